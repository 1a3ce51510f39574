//! The bundle that every runtime runs: runc's default configuration, changed in nothing but the payload, the
//! terminal (there is none), and the resources (a matter of their own).

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::programs;
use crate::{Result, command, workspace};

/// The payload's place inside.
pub const PAYLOAD: &str = "/payload";

/// Makes the root with the payload and the mount points, once for all bundles.
pub fn root() -> Result<PathBuf> {
    let root = programs::folder().join("root");
    for name in ["proc", "dev", "sys", "tmp"] {
        let path = root.join(name);
        fs::create_dir_all(&path).map_err(|e| format!("create {}: {e}", path.display()))?;
    }
    workspace::install(&programs::program("payload"), &root.join(&PAYLOAD[1..]))?;
    Ok(root)
}

/// Makes a bundle whose process is `arguments`; returns its folder.
pub fn make(name: &str, root: &Path, arguments: &[&str]) -> Result<PathBuf> {
    let folder = programs::folder().join(name);
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).map_err(|e| format!("create {}: {e}", folder.display()))?;
    command::run(Command::new("runc").arg("spec").current_dir(&folder))?;
    let path = folder.join("config.json");
    let config = edited(&workspace::read_text(&path)?, root, arguments)?;
    workspace::write(&path, config)?;
    Ok(folder)
}

/// runc's text with its few changes. It is edited as the text it is: everything else stays runc's.
fn edited(config: &str, root: &Path, arguments: &[&str]) -> Result<String> {
    let words: Vec<String> = arguments.iter().map(|word| format!("\"{word}\"")).collect();
    let mut config = config.to_owned();
    replace(&mut config, "args", '[', ']', &format!("[{}]", words.join(", ")))?;
    replace(&mut config, "resources", '{', '}', "{}")?;
    for (from, to) in [
        ("\"terminal\": true", "\"terminal\": false".to_owned()),
        ("\"path\": \"rootfs\"", format!("\"path\": \"{}\"", root.display())),
        ("\"resources\": {},", String::new()),
    ] {
        if !config.contains(from) {
            return Err(format!("runc's default configuration has no {from}"));
        }
        config = config.replacen(from, &to, 1);
    }
    Ok(config)
}

/// Replaces the bracketed value of `key`. runc's default has no brackets inside of strings.
fn replace(config: &mut String, key: &str, open: char, close: char, value: &str) -> Result {
    let missing = || format!("runc's default configuration has no {key} with {open}{close}");
    let at = config.find(&format!("\"{key}\":")).ok_or_else(missing)?;
    let start = at + config[at..].find(open).ok_or_else(missing)?;
    let mut depth = 0;
    for (offset, c) in config[start..].char_indices() {
        depth += i32::from(c == open) - i32::from(c == close);
        if depth == 0 {
            config.replace_range(start..=start + offset, value);
            return Ok(());
        }
    }
    Err(missing())
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEFAULT: &str = r#"{ "process": { "terminal": true, "args": [ "sh" ], "cwd": "/" },
        "root": { "path": "rootfs", "readonly": true },
        "linux": { "resources": { "devices": [ { "allow": false } ] }, "namespaces": [] } }"#;

    #[test]
    fn only_the_named_parts_change() {
        let config = edited(DEFAULT, Path::new("/r"), &["/payload", "stay"]).expect("edited");
        let expected = r#"{ "process": { "terminal": false, "args": ["/payload", "stay"], "cwd": "/" },
        "root": { "path": "/r", "readonly": true },
        "linux": {  "namespaces": [] } }"#;
        assert_eq!(config, expected);
    }

    #[test]
    fn another_default_is_an_error() {
        for (from, to) in [("true, \"args", "false, \"args"), ("resources", "limits")] {
            assert!(edited(&DEFAULT.replace(from, to), Path::new("/r"), &[]).is_err(), "{from}");
        }
    }
}
