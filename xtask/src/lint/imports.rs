//! The modules of servin-run import downwards only: the order is that of the design.

use super::Source;
use super::tokens::code;

/// From the ground up. A module may name itself and those before it.
const ORDER: [&str; 15] = [
    "error",
    "gather",
    "order",
    "sys",
    "fs",
    "spec",
    "seccomp",
    "cgroup",
    "plan",
    "network",
    "image",
    "launch",
    "container",
    "supervise",
    "cli",
];

pub fn check(sources: &[Source]) -> Vec<String> {
    sources.iter().flat_map(check_file).collect()
}

fn check_file(source: &Source) -> Vec<String> {
    let Some(module) = module_of(&source.path) else { return Vec::new() };
    let Some(own) = place(module) else {
        return vec![format!(
            "{}: {module} is not in the order of modules (xtask/src/lint/imports.rs)",
            source.path
        )];
    };
    let mut findings = Vec::new();
    for (line, import) in imports(&code(&source.text)) {
        // Macros and items of the crate's root belong to no module.
        if place(&import).is_some_and(|other| other > own) {
            findings.push(format!("{}:{line}: {module} imports {import}, which is above it", source.path));
        }
    }
    findings
}

fn place(module: &str) -> Option<usize> {
    ORDER.iter().position(|name| *name == module)
}

/// The top-level module that a file belongs to; none for the crate's root and the program.
fn module_of(path: &str) -> Option<&str> {
    let inside = path.strip_prefix("servin-run/src/")?.strip_suffix(".rs")?;
    let module = inside.split('/').next()?;
    (!["lib", "main"].contains(&inside)).then_some(module)
}

/// What follows each `crate::`, groups in braces taken apart, with its line.
fn imports(code: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (at, _) in code.match_indices("crate::") {
        // `$crate` and `my_crate` are others.
        if code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == '$') {
            continue;
        }
        let line = code[..at].matches('\n').count() + 1;
        let rest = code[at + "crate::".len()..].trim_start();
        match rest.strip_prefix('{') {
            Some(group) => found.extend(group_heads(group).into_iter().map(|name| (line, name))),
            None => found.push((line, head(rest))),
        }
    }
    found
}

fn head(path: &str) -> String {
    path.trim_start().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

/// The first names of `a::b, c::{d, e}, f }`.
fn group_heads(group: &str) -> Vec<String> {
    let (mut heads, mut depth, mut begin) = (Vec::new(), 0, 0);
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => {
                heads.push(head(&group[begin..at]));
                break;
            }
            '}' => depth -= 1,
            ',' if depth == 0 => {
                heads.push(head(&group[begin..at]));
                begin = at + 1;
            }
            _ => (),
        }
    }
    heads.retain(|name| !name.is_empty());
    heads
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;

    #[test]
    fn imports_from_above_are_found() {
        let text = "use crate::sys::clone;\nuse crate::{error::Error, launch::{run, cli}, plan};\nfn f() { crate::cli::g() }";
        let findings = check(&[sample("servin-run/src/plan/mounts.rs", text)]);
        assert_eq!(
            findings,
            [
                "servin-run/src/plan/mounts.rs:2: plan imports launch, which is above it",
                "servin-run/src/plan/mounts.rs:3: plan imports cli, which is above it",
            ]
        );
    }

    #[test]
    fn downwards_comments_and_the_root_are_fine() {
        let findings = check(&[
            sample("servin-run/src/cli.rs", "use crate::{container, launch};"),
            sample(
                "servin-run/src/plan.rs",
                "// crate::cli\nuse crate::plan::mounts;\nuse crate::EXIT; $crate::cli!()",
            ),
            sample("servin-run/src/lib.rs", "use crate::cli;"),
            sample("servin-init/src/reap.rs", "use crate::sys;"),
        ]);
        assert_eq!(findings, Vec::<String>::new());
    }

    #[test]
    fn a_new_module_must_find_its_place() {
        let findings = check(&[sample("servin-run/src/utils/x.rs", "")]);
        assert!(findings[0].contains("utils is not in the order of modules"));
    }
}
