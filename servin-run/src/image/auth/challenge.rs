//! `WWW-Authenticate` (RFC 9110 section 11.6.1): challenges, each a scheme with parameters, in one line.

use alloc::string::String;
use alloc::vec::Vec;

/// One challenge.
#[derive(Debug, PartialEq, Eq)]
pub struct Challenge {
    /// `Bearer`.
    pub scheme: String,
    parameters: Vec<(String, String)>,
}

impl Challenge {
    /// The value of a parameter.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }
}

/// Reads a header's value; what cannot be understood ends the list.
pub fn parse(value: &str) -> Vec<Challenge> {
    let mut challenges: Vec<Challenge> = Vec::new();
    let mut rest = value.trim_start_matches([' ', '\t', ',']);
    while !rest.is_empty() {
        let end = rest.find(|c: char| !is_token(c)).unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        if word.is_empty() {
            break;
        }
        let after = after.trim_start_matches([' ', '\t']);
        rest = match after.strip_prefix('=') {
            Some(after) => {
                let Some((text, after)) = text(after.trim_start_matches([' ', '\t'])) else { break };
                // A parameter without a scheme before it belongs to nobody.
                let Some(challenge) = challenges.last_mut() else { break };
                challenge.parameters.push((word.into(), text));
                after
            }
            None => {
                challenges.push(Challenge { scheme: word.into(), parameters: Vec::new() });
                after
            }
        };
        rest = rest.trim_start_matches([' ', '\t', ',']);
    }
    challenges
}

fn is_token(c: char) -> bool {
    c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c)
}

/// A word or a quoted text, and what follows it.
fn text(rest: &str) -> Option<(String, &str)> {
    let Some(quoted) = rest.strip_prefix('"') else {
        let end = rest.find([',', ' ', '\t']).unwrap_or(rest.len());
        return Some((rest[..end].into(), &rest[end..]));
    };
    let mut text = String::new();
    let mut escaped = false;
    for (at, c) in quoted.char_indices() {
        match c {
            _ if escaped => {
                text.push(c);
                escaped = false;
            }
            '\\' => escaped = true,
            '"' => return Some((text, &quoted[at + 1..])),
            _ => text.push(c),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn challenges_are_taken_apart() {
        let value = r#"Basic realm="a, b", Bearer realm="https://auth.example/token",service=reg , scope="repository:x:pull,push" error="a\"b""#;
        let found = parse(value);
        assert_eq!(found.iter().map(|challenge| &*challenge.scheme).collect::<Vec<_>>(), ["Basic", "Bearer"]);
        assert_eq!(found[0].parameter("realm"), Some("a, b"));
        assert_eq!(found[1].parameter("Service"), Some("reg"));
        assert_eq!(found[1].parameter("scope"), Some("repository:x:pull,push"));
        assert_eq!(found[1].parameter("error"), Some("a\"b"));
    }

    #[test]
    fn nonsense_ends_the_list() {
        assert_eq!(parse("realm=x"), []);
        assert_eq!(parse("Basic realm=\"x").len(), 1);
        assert_eq!(parse("Negotiate, Basic").len(), 2);
        crate::image::mutate::bytes(&["Basic realm=\"a\", Bearer b=c,d=\"e\\\"\""], 20_000, |bytes| {
            parse(&String::from_utf8_lossy(bytes));
        });
    }
}
