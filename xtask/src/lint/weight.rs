//! What brings kilobytes of the standard library into servin-run for something that has a lighter form.

use super::Source;
use super::tokens::code;

/// A call, and what to write for it.
const HEAVY: [(&str, &str); 10] = [
    (".sort(", "order::sort"),
    (".sort_by(", "order::sort_by"),
    (".sort_by_key(", "order::sort_by_key"),
    (".sort_unstable(", "order::sort"),
    (".sort_unstable_by(", "order::sort_by"),
    (".sort_unstable_by_key(", "order::sort_by_key"),
    (".to_lowercase()", "to_ascii_lowercase"),
    (".to_uppercase()", "to_ascii_uppercase"),
    (".is_alphanumeric()", "is_ascii_alphanumeric"),
    (".is_alphabetic()", "is_ascii_alphabetic"),
];

pub fn check(sources: &[Source]) -> Vec<String> {
    sources.iter().flat_map(check_file).collect()
}

fn check_file(source: &Source) -> Vec<String> {
    if !source.path.starts_with("servin-run/src/") || source.path.ends_with("tests.rs") {
        return Vec::new();
    }
    let code = code(&source.text);
    let product = code.lines().take_while(|line| !line.starts_with("#[cfg(test)]"));
    let mut findings = Vec::new();
    for (number, line) in product.enumerate() {
        for (call, instead) in HEAVY.iter().filter(|(call, _)| line.contains(call)) {
            findings.push(format!("{}:{}: {call} costs kilobytes: write {instead}", source.path, number + 1));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(path: &str, text: &str) -> Vec<String> {
        check(&[Source { path: path.into(), text: text.into() }])
    }

    #[test]
    fn heavy_calls_are_found_but_in_comments_and_tests() {
        let text = "fn a() {\n    // x.sort()\n    names.sort();\n}\n#[cfg(test)]\nmod tests { x.sort(); }\n";
        let found = findings("servin-run/src/fs/a.rs", text);
        assert_eq!(found, ["servin-run/src/fs/a.rs:3: .sort( costs kilobytes: write order::sort"]);
        assert!(findings("servin-run/src/fs/tests.rs", text).is_empty());
        assert!(findings("xtask/src/a.rs", text).is_empty());
    }
}
