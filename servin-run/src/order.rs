//! Sorting, by one heap sort for everything: what is sorted here is seldom more than a handful, and the standard
//! library's sorts are some 4 KB of code for each type.

use core::cmp::Ordering;

/// What is sorted, behind one table of functions.
trait Items {
    fn less(&self, one: usize, other: usize) -> bool;
    fn swap(&mut self, one: usize, other: usize);
}

struct Ordered<'a, T, F>(&'a mut [T], F);

impl<T, F: Fn(&T, &T) -> Ordering> Items for Ordered<'_, T, F> {
    fn less(&self, one: usize, other: usize) -> bool {
        matches!((self.0.get(one), self.0.get(other)), (Some(one), Some(other)) if self.1(one, other).is_lt())
    }

    fn swap(&mut self, one: usize, other: usize) {
        self.0.swap(one, other);
    }
}

/// Puts `items` into ascending order.
pub fn sort<T: Ord>(items: &mut [T]) {
    sort_by(items, T::cmp);
}

/// Puts `items` into the ascending order of what `key` says of each; those of one key come in any order.
pub fn sort_by_key<T, K: Ord>(items: &mut [T], key: impl Fn(&T) -> K) {
    sort_by(items, |one, other| key(one).cmp(&key(other)));
}

/// Puts `items` into the order that `compare` says; those that are equal come in any order.
pub fn sort_by<T>(items: &mut [T], compare: impl Fn(&T, &T) -> Ordering) {
    let count = items.len();
    heap_sort(&mut Ordered(items, compare), count);
}

fn heap_sort(items: &mut dyn Items, count: usize) {
    for root in (0..count / 2).rev() {
        sift(items, root, count);
    }
    for end in (1..count).rev() {
        items.swap(0, end);
        sift(items, 0, end);
    }
}

/// Lets the item at `root` sink below those that are greater, among the first `end`.
fn sift(items: &mut dyn Items, mut root: usize, end: usize) {
    loop {
        let mut child = 2 * root + 1;
        if child >= end {
            return;
        }
        if child + 1 < end && items.less(child, child + 1) {
            child += 1;
        }
        if !items.less(root, child) {
            return;
        }
        items.swap(root, child);
        root = child;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_every_count_are_sorted() {
        for count in 0..200_u32 {
            let mut items: Vec<u32> = (0..count).map(|index| index * 7919 % 211).collect();
            let mut expected = items.clone();
            expected.sort_unstable();
            sort(&mut items);
            assert_eq!(items, expected);
            sort_by_key(&mut items, |item| core::cmp::Reverse(*item));
            expected.reverse();
            assert_eq!(items, expected);
        }
    }
}
