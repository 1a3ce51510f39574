//! The variables that sources of images follow.

use alloc::string::String;
use alloc::vec::Vec;

/// The lines of the environment, and where Servin keeps its files.
#[derive(Debug, Clone, Default)]
pub struct Environment {
    /// `KEY=VALUE`.
    pub lines: Vec<String>,
    /// SERVIN_HOME, or what was given as `--home`.
    pub home: String,
}

impl Environment {
    /// The value of a variable that is set to something.
    pub fn variable(&self, name: &str) -> Option<&str> {
        let value = |line: &String| -> Option<usize> {
            let rest = line.strip_prefix(name)?.strip_prefix('=')?;
            (!rest.is_empty()).then(|| line.len() - rest.len())
        };
        self.lines.iter().find_map(|line| Some(&line[value(line)?..]))
    }
}
