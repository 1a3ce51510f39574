//! Where `unsafe` may stand: at the kernel's edge and in the entry points of the products; elsewhere only in files
//! that are listed with their reason.

use super::Source;
use super::tokens::{code, words};

/// Folders (with a slash at the end) and files.
const ALLOWED: &[(&str, &str)] = &[
    ("servin-init/src/sys/", "the kernel's edge"),
    ("servin-run/src/sys/", "the kernel's edge"),
    ("servin-init/src/main.rs", "the entry point"),
    ("servin-run/src/main.rs", "the entry point"),
    ("rootfs-fixtures/src/bin/probe/", "asks the kernel what std has no calls for"),
    ("tests/tests/init/sys.rs", "processes, terminals and signals as servin-init meets them"),
    ("tests/src/sys.rs", "namespaces, terminals and signals for the tests' own processes"),
];

pub fn check(sources: &[Source]) -> Vec<String> {
    let mut findings = Vec::new();
    for source in sources.iter().filter(|source| source.path.ends_with(".rs")) {
        if ALLOWED.iter().any(|(place, _)| covers(place, &source.path)) {
            continue;
        }
        if let Some((line, _)) = words(&code(&source.text)).find(|(_, word)| *word == "unsafe") {
            findings.push(format!("{}:{line}: `unsafe` outside of sys", source.path));
        }
    }
    findings
}

/// A folder's files, and the file that stands for the folder as a module.
fn covers(place: &str, path: &str) -> bool {
    match place.strip_suffix('/') {
        Some(folder) => path.starts_with(place) || path.strip_suffix(".rs") == Some(folder),
        None => path == place,
    }
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;

    #[test]
    fn unsafe_is_found_outside_of_sys_alone() {
        let block = "fn f() {\n    unsafe { g() }\n}";
        let findings = check(&[
            sample("servin-run/src/sys.rs", block),
            sample("servin-run/src/sys/clone.rs", block),
            sample("servin-run/src/main.rs", block),
            sample("servin-run/src/plan/mounts.rs", block),
            sample("xtask/src/size.rs", block),
            sample("servin-run/src/system.rs", block),
            sample("servin-run/src/fs.rs", "#![deny(unsafe_code)]\n// unsafe\n\"unsafe\""),
        ]);
        let expected =
            ["servin-run/src/plan/mounts.rs:2", "xtask/src/size.rs:2", "servin-run/src/system.rs:2"];
        assert_eq!(findings, expected.map(|place| format!("{place}: `unsafe` outside of sys")));
    }
}
