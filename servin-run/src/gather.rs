//! Putting the items of an iterator together by a plain loop. The standard library's `collect` does the same with some
//! 100 bytes more of code wherever it is used, for a first item and a guess at how many there will be.

use alloc::vec::Vec;

/// What every iterator can do.
pub trait Gather: Iterator + Sized {
    /// Does what `collect` does.
    fn gather<G: Gathered<Self::Item>>(self) -> G {
        G::gathered(self)
    }
}

impl<I: Iterator> Gather for I {}

/// What items are gathered to.
pub trait Gathered<T> {
    /// All of `items`, or their first failure.
    fn gathered(items: impl Iterator<Item = T>) -> Self;
}

impl<T> Gathered<T> for Vec<T> {
    fn gathered(items: impl Iterator<Item = T>) -> Vec<T> {
        let mut all = Vec::new();
        for item in items {
            all.push(item);
        }
        all
    }
}

impl<T, E> Gathered<Result<T, E>> for Result<Vec<T>, E> {
    fn gathered(items: impl Iterator<Item = Result<T, E>>) -> Result<Vec<T>, E> {
        let mut all = Vec::new();
        for item in items {
            all.push(item?);
        }
        Ok(all)
    }
}

impl<T> Gathered<Option<T>> for Option<Vec<T>> {
    fn gathered(items: impl Iterator<Item = Option<T>>) -> Option<Vec<T>> {
        let mut all = Vec::new();
        for item in items {
            all.push(item?);
        }
        Some(all)
    }
}
