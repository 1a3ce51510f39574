//! Every dependency is used by the crate that names it, and a comment says what it is for.

use super::Source;
use super::tokens::{code, words};

/// One line of a table of dependencies.
struct Dependency {
    name: String,
    line: usize,
    explained: bool,
    inherited: bool,
}

pub fn check(sources: &[Source]) -> Vec<String> {
    let mut findings = Vec::new();
    let shared: Vec<Dependency> = sources
        .iter()
        .filter(|source| source.path == "Cargo.toml")
        .flat_map(|source| dependencies(&source.text, |table| table == "workspace.dependencies"))
        .collect();
    for dependency in shared.iter().filter(|dependency| !dependency.explained) {
        findings
            .push(format!("Cargo.toml:{}: no comment says what {} is for", dependency.line, dependency.name));
    }
    let mut inherited = Vec::new();
    for manifest in sources {
        let Some(folder) = manifest.path.strip_suffix("/Cargo.toml") else { continue };
        let text: String = sources
            .iter()
            .filter(|s| s.path.ends_with(".rs") && s.path.starts_with(&format!("{folder}/")))
            .map(|source| code(&source.text) + "\n")
            .collect();
        let table = |name: &str| {
            name == "dependencies" || name.ends_with("-dependencies") || name.ends_with(".dependencies")
        };
        for dependency in dependencies(&manifest.text, table) {
            let Dependency { name, line, explained, .. } = &dependency;
            let place = format!("{}:{line}", manifest.path);
            let word = name.replace('-', "_");
            if !words(&text).any(|(_, used)| used == word) {
                findings.push(format!("{place}: {name} is not used"));
            }
            // One that the workspace shares is explained there.
            if !explained && !dependency.inherited {
                findings.push(format!("{place}: no comment says what {name} is for"));
            }
            if dependency.inherited {
                inherited.push(name.clone());
            }
        }
    }
    for dependency in shared.iter().filter(|dependency| !inherited.contains(&dependency.name)) {
        findings.push(format!("Cargo.toml:{}: no member uses {}", dependency.line, dependency.name));
    }
    findings
}

/// The dependencies in the tables that `wanted` picks, in the form that this repository writes: one `name = …` or
/// `name.workspace = true` a line, or continued in brackets.
fn dependencies(manifest: &str, wanted: impl Fn(&str) -> bool) -> Vec<Dependency> {
    let mut found: Vec<Dependency> = Vec::new();
    let (mut inside, mut comment, mut open) = (false, false, 0);
    for (index, line) in manifest.lines().enumerate() {
        let line = line.trim();
        if open == 0 && line.starts_with('[') {
            inside = wanted(line.trim_matches(['[', ']']));
        } else if inside && !line.is_empty() && !line.starts_with('#') {
            if open == 0 {
                let key = line.split('=').next().unwrap_or_default().trim();
                let name = key.split('.').next().unwrap_or_default().trim_matches('"').to_owned();
                found.push(Dependency { name, line: index + 1, explained: comment, inherited: false });
            }
            if let Some(last) = found.last_mut() {
                last.inherited |= line.replace(' ', "").contains("workspace=true");
            }
            open += line.matches(['[', '{']).count() as i64 - line.matches([']', '}']).count() as i64;
        }
        comment = line.starts_with('#');
    }
    found
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;

    const WORKSPACE: &str =
        "[workspace.dependencies]\n# Calls.\nrustix = { version = \"1\" }\nheapless = \"0.9\"\n";

    #[test]
    fn unused_and_unexplained_dependencies_are_found() {
        let findings = check(&[
            sample("Cargo.toml", WORKSPACE),
            sample(
                "servin-run/Cargo.toml",
                "[dependencies]\nrustix = { workspace = true, features = [\n  \"fs\",\n] }\n# JSON.\nmini-serde = \"1\"\nlibc = \"1\"\n",
            ),
            sample("servin-run/src/lib.rs", "use rustix::fs;\n// libc mini_serde"),
            sample("xtask/src/main.rs", "use libc; use mini_serde;"),
        ]);
        assert_eq!(
            findings,
            [
                "Cargo.toml:4: no comment says what heapless is for",
                "servin-run/Cargo.toml:6: mini-serde is not used",
                "servin-run/Cargo.toml:7: libc is not used",
                "servin-run/Cargo.toml:7: no comment says what libc is for",
                "Cargo.toml:4: no member uses heapless",
            ]
        );
    }

    #[test]
    fn used_and_explained_dependencies_are_fine() {
        let findings = check(&[
            sample(
                "Cargo.toml",
                "[workspace.dependencies]\n# Calls.\nrustix = \"1\"\n[profile.dev]\npanic = \"abort\"\n",
            ),
            sample(
                "tests/Cargo.toml",
                "[package]\nname = \"x\"\n[dev-dependencies]\nrustix.workspace = true\n",
            ),
            sample("tests/tests/a.rs", "rustix::fs::open()"),
        ]);
        assert_eq!(findings, Vec::<String>::new());
    }
}
