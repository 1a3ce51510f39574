//! Source files that no `mod` reaches: they look like code and are not compiled.

use std::collections::BTreeSet;

use super::Source;
use super::tokens::code;

pub fn check(sources: &[Source]) -> Vec<String> {
    let files: Vec<&Source> = sources.iter().filter(|source| source.path.ends_with(".rs")).collect();
    let mut reached = BTreeSet::new();
    let mut todo: Vec<String> = files.iter().map(|f| f.path.clone()).filter(|path| is_root(path)).collect();
    todo.extend(sources.iter().flat_map(manifest_roots));
    while let Some(path) = todo.pop() {
        let Some(source) = files.iter().find(|source| source.path == path) else { continue };
        if reached.insert(path.clone()) {
            todo.extend(modules(source));
        }
    }
    let orphans = files.iter().filter(|source| !reached.contains(&source.path));
    orphans.map(|source| format!("{}: no `mod` reaches this file", source.path)).collect()
}

/// Files that cargo compiles by their place.
fn is_root(path: &str) -> bool {
    let Some((_, inside)) = path.split_once('/') else { return false };
    if matches!(inside, "build.rs" | "src/lib.rs" | "src/main.rs") {
        return true;
    }
    ["src/bin/", "tests/", "benches/", "examples/"].iter().any(|folder| {
        let inside = inside.strip_prefix(folder);
        inside.is_some_and(|file| {
            !file.contains('/') || file.ends_with("/main.rs") && file.matches('/').count() == 1
        })
    })
}

/// The `path = "…"` lines of a manifest's targets.
fn manifest_roots(source: &Source) -> Vec<String> {
    let Some(folder) = source.path.strip_suffix("/Cargo.toml") else { return Vec::new() };
    let paths = source.text.lines().filter_map(|line| line.trim().strip_prefix("path = \""));
    paths.filter_map(|rest| Some(format!("{folder}/{}", rest.split('"').next()?))).collect()
}

/// The files that the `mod x;` lines of a file may mean.
fn modules(source: &Source) -> Vec<String> {
    let (folder, file) = source.path.rsplit_once('/').unwrap_or(("", &source.path));
    let own = match file.strip_suffix(".rs").unwrap_or(file) {
        "mod" => folder.to_owned(),
        _ if is_root(&source.path) => folder.to_owned(),
        stem => format!("{folder}/{stem}"),
    };
    let mut found = Vec::new();
    let mut paths: Vec<&str> = Vec::new();
    for (line, original) in code(&source.text).lines().zip(source.text.lines()) {
        let line = line.trim();
        if line.starts_with("#[") {
            // The code has the string blanked out; the attribute itself has it.
            paths.extend(original.split_once("path = \"").and_then(|(_, rest)| rest.split('"').next()));
            continue;
        }
        if let Some(name) = module_name(line) {
            if paths.is_empty() {
                found.push(format!("{own}/{name}.rs"));
                found.push(format!("{own}/{name}/mod.rs"));
            }
            // A path attribute starts from the folder of the file that holds it.
            found.extend(paths.iter().map(|path| joined(folder, path)));
        }
        if !line.is_empty() {
            paths.clear();
        }
    }
    found
}

fn module_name(line: &str) -> Option<&str> {
    let declaration = line.strip_suffix(';')?;
    let (visibility, name) = declaration.split_once("mod ")?;
    let visibility = visibility.trim();
    (visibility.is_empty() || visibility.starts_with("pub")).then_some(name.trim())
}

/// A relative path, its `..` taken out.
fn joined(folder: &str, path: &str) -> String {
    let mut parts: Vec<&str> = folder.split('/').collect();
    for part in path.split('/') {
        match part {
            "." => (),
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    parts.join("/")
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;

    #[test]
    fn files_without_a_mod_are_found() {
        let findings = check(&[
            sample("x/src/lib.rs", "mod a;\n// mod lost;\nmod inline { }"),
            sample("x/src/a.rs", "pub(crate) mod b;\nmod c;"),
            sample("x/src/a/b.rs", ""),
            sample("x/src/a/c/mod.rs", "mod d;"),
            sample("x/src/a/c/d.rs", ""),
            sample("x/src/lost.rs", "mod more;"),
            sample("x/src/lost/more.rs", ""),
        ]);
        let expected = ["x/src/lost.rs", "x/src/lost/more.rs"];
        assert_eq!(findings, expected.map(|path| format!("{path}: no `mod` reaches this file")));
    }

    #[test]
    fn path_attributes_and_cargos_own_places_reach_files() {
        let findings = check(&[
            sample("x/Cargo.toml", "[[bin]]\npath = \"tools/one.rs\"\n"),
            sample("x/tools/one.rs", ""),
            sample("x/build.rs", "#[path = \"../y/build/link.rs\"]\nmod link;"),
            sample("y/build/link.rs", ""),
            sample(
                "x/src/main.rs",
                "#[cfg_attr(a, path = \"sys/a.rs\")]\n#[cfg_attr(b, path = \"sys/b.rs\")]\nmod arch;",
            ),
            sample("x/src/sys/a.rs", ""),
            sample("x/src/sys/b.rs", ""),
            sample("x/src/bin/probe/main.rs", "mod deep;"),
            sample("x/src/bin/probe/deep.rs", ""),
            sample("x/tests/mounts.rs", "mod helper;"),
            sample("x/tests/helper.rs", ""),
        ]);
        assert_eq!(findings, Vec::<String>::new());
    }
}
