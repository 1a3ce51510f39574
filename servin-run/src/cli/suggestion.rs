//! What a misspelt word was meant to be.

use crate::gather::Gather as _;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

/// `did you mean --env? ` for the start of a hint, or nothing; `dashes` stand before the word.
pub fn did_you_mean(word: &str, known: &mut dyn Iterator<Item = &'static str>, dashes: &str) -> String {
    closest(word, known).map_or(String::new(), |meant| format!("did you mean {dashes}{meant}? "))
}

/// The known word that is nearest, where it is near enough to be what was meant: a third of its letters may differ.
pub fn closest(word: &str, known: &mut dyn Iterator<Item = &'static str>) -> Option<&'static str> {
    let near = known.map(|candidate| (distance(word, candidate), candidate));
    let near = near.filter(|(distance, candidate)| *distance <= (candidate.len() / 3).clamp(1, 3));
    near.min_by_key(|(distance, _)| *distance).map(|(_, candidate)| candidate)
}

/// How many letters must be put in, taken out, exchanged, or swapped with their neighbour (the optimal string alignment
/// distance): the last three rows of the usual table.
fn distance(from: &str, to: &str) -> usize {
    let (from, to) = (from.as_bytes(), to.as_bytes());
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=to.len()).gather();
    for (i, a) in from.iter().enumerate() {
        let mut row = Vec::from([i + 1]);
        for (j, b) in to.iter().enumerate() {
            let mut best = (last[j] + usize::from(a != b)).min(last[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && *a == to[j - 1] && from[i - 1] == *b {
                best = best.min(before[j - 1] + 1);
            }
            row.push(best);
        }
        before = core::mem::replace(&mut last, row);
    }
    last.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_are_counted() {
        for (from, to, expected) in [
            ("", "", 0),
            ("run", "run", 0),
            ("rn", "run", 1),
            ("rnu", "run", 1),
            ("evn", "env", 1),
            ("", "abc", 3),
            ("kitten", "sitting", 3),
        ] {
            assert_eq!(distance(from, to), expected, "{from} {to}");
        }
    }

    #[test]
    fn only_what_is_near_is_suggested() {
        let known = || ["run", "rm", "inspect", "hostname"].into_iter();
        assert_eq!(closest("rnu", &mut known()), Some("run"));
        assert_eq!(closest("inpsct", &mut known()), Some("inspect"));
        assert_eq!(closest("hots-name", &mut known()), Some("hostname"));
        assert_eq!(closest("volume", &mut known()), None);
        assert_eq!(did_you_mean("hostnam", &mut known(), "--"), "did you mean --hostname? ");
    }
}
