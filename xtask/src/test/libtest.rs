//! Reads what cargo and Rust's test harness print.

use std::path::PathBuf;

use super::skips;
use crate::qemu::TestProgram;

/// What a test prints for "not here": the harness itself knows no skipped tests.
const SKIPPED: &str = "SKIPPED: ";

/// Counts over any number of test programs.
#[derive(Default)]
pub struct Tally {
    /// The program's last line of results: a failed test may quote the output of another run of the harness.
    result: Option<String>,
    /// As the harness counts: a skipped test has passed.
    ok: usize,
    pub failed: usize,
    /// Test and reason.
    pub skipped: Vec<(String, String)>,
}

impl Tally {
    /// Takes note of one line of a test program's output.
    pub fn line(&mut self, line: &str) {
        if let Some(counts) = line.strip_prefix("test result: ") {
            self.result = Some(counts.to_owned());
        } else if line.starts_with(super::RUNNING) {
            self.end_program();
        } else if let Some(skip) = line.strip_prefix(SKIPPED) {
            let (test, why) = skip.split_once(": ").unwrap_or((skip, "no reason given"));
            self.skipped.push((test.to_owned(), why.to_owned()));
        }
    }

    /// Counts the results of the program whose lines came before.
    pub fn end_program(&mut self) {
        let Some(counts) = self.result.take() else { return };
        self.ok += count(&counts, "passed");
        self.failed += count(&counts, "failed");
        // Nothing is ignored in this project; what is must stand in the list of skips, by no name.
        for _ in 0..count(&counts, "ignored") {
            self.skipped.push(("#[ignore]".to_owned(), "ignored".to_owned()));
            self.ok += 1;
        }
    }

    /// Tests that ran and held.
    pub fn passed(&self) -> usize {
        self.ok.saturating_sub(self.skipped.len())
    }

    pub fn add(&mut self, mut other: Tally) {
        other.end_program();
        self.ok += other.ok;
        self.failed += other.failed;
        self.skipped.extend(other.skipped);
    }

    /// A line for each skip that the environment has no permission for.
    pub fn forbidden_skips(&self, environment: &str) -> Vec<String> {
        let forbidden = self.skipped.iter().filter(|(test, _)| !skips::allowed(environment, test));
        forbidden.map(|(test, why)| format!("{environment}: {test} may not be skipped here: {why}")).collect()
    }
}

/// The number before `word` in "ok. 3 passed; 0 failed; …".
fn count(counts: &str, word: &str) -> usize {
    let parts = counts.split(['.', ';']).filter_map(|part| part.trim().strip_suffix(word));
    parts.filter_map(|number| number.trim().parse::<usize>().ok()).sum()
}

/// The test programs that `cargo test --no-run --message-format=json` names, one JSON object a line.
pub fn programs(json: &str) -> Vec<TestProgram> {
    let built = json.lines().filter(|line| line.contains(r#""kind":["test"]"#));
    let program = |line: &str| {
        // The target's name comes behind its kind; a package has one before it.
        let target = &line[line.find(r#""kind":["test"]"#)?..];
        let path = PathBuf::from(text(target, "executable")?);
        Some(TestProgram { name: text(target, "name")?.to_owned(), path })
    };
    built.filter_map(program).collect()
}

/// The string that follows the first `"key":`. Paths and names of targets need no unescaping.
fn text<'a>(json: &'a str, key: &str) -> Option<&'a str> {
    let rest = json.split_once(&format!("\"{key}\":\""))?.1;
    rest.split_once('"').map(|(text, _)| text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_and_skips_are_counted_over_programs() {
        let mut tally = Tally::default();
        for line in [
            "running 3 tests",
            "test result: ok. 3 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.01s",
            "SKIPPED: joins_a_time_namespace: the kernel has none",
            "xtask: running another",
            "test result: FAILED. 0 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; quoted by a failure",
            "test result: FAILED. 4 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out",
        ] {
            tally.line(line);
        }
        tally.end_program();
        assert_eq!((tally.passed(), tally.failed, tally.skipped.len()), (6, 2, 1));
        let forbidden = tally.forbidden_skips("nowhere");
        let expected = "nowhere: joins_a_time_namespace may not be skipped here: the kernel has none";
        assert_eq!(forbidden, [expected]);
    }

    #[test]
    fn ignored_tests_are_forbidden_skips() {
        let mut tally = Tally::default();
        tally.line("test result: ok. 1 passed; 0 failed; 2 ignored; 0 measured; 0 filtered out");
        tally.end_program();
        assert_eq!((tally.passed(), tally.forbidden_skips("host").len()), (1, 2));
    }

    #[test]
    fn only_integration_tests_are_programs() {
        let json = concat!(
            r#"{"reason":"compiler-artifact","target":{"kind":["lib"],"name":"servin_tests"},"executable":"/x/lib"}"#,
            "\n",
            r#"{"reason":"compiler-artifact","target":{"kind":["test"],"crate_types":["bin"],"name":"mounts","#,
            r#""src_path":"/w/tests/mounts.rs"},"executable":"/w/target/debug/deps/mounts-1"}"#,
            "\n",
            r#"{"reason":"build-finished","success":true}"#,
        );
        let programs = programs(json);
        assert_eq!(programs.len(), 1);
        assert_eq!(
            (programs[0].name.as_str(), programs[0].path.to_str()),
            ("mounts", Some("/w/target/debug/deps/mounts-1"))
        );
    }
}
