//! Files that a person reads in one go.

use super::Source;
use super::tokens::{code, without_tests};

const FILE_LINES: usize = 600;

/// servin-init is to be readable in one sitting. Counted is code: no tests, no comments, no empty lines.
const INIT_LINES: usize = 1000;

/// What a program without libc needs before `main`, which servin-run shares: not PID 1's own story.
const SHARED: [&str; 3] = ["start", "memory", "syscall"];

pub fn check(sources: &[Source]) -> Vec<String> {
    let mut findings = Vec::new();
    for source in sources {
        let lines = source.text.lines().count();
        if lines > FILE_LINES {
            findings.push(format!("{}: {lines} lines; a file has at most {FILE_LINES}", source.path));
        }
    }
    let init =
        sources.iter().filter(|s| s.path.starts_with("servin-init/src/") && !s.path.ends_with("/tests.rs"));
    let shared = |source: &&Source| {
        SHARED.iter().any(|part| source.path.starts_with(&format!("servin-init/src/sys/{part}")))
    };
    let lines: usize = init.filter(|source| !shared(source)).map(|source| code_lines(&source.text)).sum();
    if lines >= INIT_LINES {
        findings.push(format!("servin-init: {lines} lines of code; it is to stay under {INIT_LINES}"));
    }
    findings
}

fn code_lines(text: &str) -> usize {
    code(&without_tests(text)).lines().filter(|line| !line.trim().is_empty()).count()
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;

    #[test]
    fn long_files_are_found() {
        let long = sample("xtask/src/long.rs", &"x\n".repeat(601));
        let fits = sample("xtask/src/fits.rs", &"x\n".repeat(600));
        assert_eq!(check(&[long, fits]), ["xtask/src/long.rs: 601 lines; a file has at most 600"]);
    }

    #[test]
    fn the_init_is_counted_as_a_whole_without_its_tests() {
        let half = "x // why\n\n/// What.\n".repeat(499);
        let tests = format!("{half}#[cfg(test)]\nmod tests {{\n{}}}\n", "x\n".repeat(50));
        let two = |b: &str| {
            let beside = sample("servin-init/src/a/tests.rs", "x\n");
            [sample("servin-init/src/a.rs", &tests), sample("servin-init/src/b.rs", b), beside]
        };
        let too_long = |b: &str| check(&two(b)).iter().any(|finding| finding.starts_with("servin-init: "));
        assert!(!too_long(&"x\n".repeat(500)));
        assert!(too_long(&"x\n".repeat(501)));
    }
}
