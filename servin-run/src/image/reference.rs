//! Names of images, as Docker reads them: `alpine` is `docker.io/library/alpine:latest`.
//!
//! The grammar is that of the [distribution's references][grammar]; what stands before the first `/` is a registry
//! if it has a dot, a colon or a capital letter in it, or is `localhost`. Pure.
//!
//! [grammar]: https://pkg.go.dev/github.com/distribution/reference#hdr-Grammar

use alloc::format;
use alloc::string::{String, ToString};
use core::fmt;

use crate::error::{Error, Result};

/// The registry that names without one are in.
pub const DEFAULT_REGISTRY: &str = "docker.io";
/// Docker's older word for it.
const FORMER_DEFAULT_REGISTRY: &str = "index.docker.io";
/// The part of it that names of one word are in.
const OFFICIAL: &str = "library/";
const DEFAULT_TAG: &str = "latest";

/// Registry and repository together.
const LONGEST_NAME: usize = 255;
const LONGEST_TAG: usize = 128;

/// An image's name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Reference {
    registry: String,
    repository: String,
    tag: Option<String>,
    digest: Option<String>,
}

impl Reference {
    /// Reads a name as people write it. A name without tag and digest gets the tag `latest`.
    pub fn parse(text: &str) -> Result<Reference> {
        let refuse = |why: &str| Error::new(format_args!("image name \"{text}\": {why}"));
        let (rest, digest) = match text.split_once('@') {
            Some((rest, digest)) => (rest, Some(digest)),
            None => (text, None),
        };
        if let Some(digest) = digest {
            check_digest(digest).map_err(refuse)?;
        }
        // A colon before a slash belongs to the port of a registry.
        let name_start = rest.rfind('/').map_or(0, |slash| slash + 1);
        let (name, tag) = match rest[name_start..].split_once(':') {
            Some((name, tag)) => (&rest[..name_start + name.len()], Some(tag)),
            None => (rest, None),
        };
        if tag.is_some_and(|tag| !is_tag(tag)) {
            return Err(refuse(
                "a tag has up to 128 letters, digits, '_', '.' and '-', and begins with none of the last two",
            ));
        }
        if is_id(name) {
            return Err(refuse("64 hexadecimal digits are an ID, not a name"));
        }
        let (registry, path) = split(name);
        if !is_registry(registry) {
            return Err(refuse("what stands before the first / is no name of a registry"));
        }
        if path.bytes().any(|byte| byte.is_ascii_uppercase()) {
            return Err(refuse("the name of a repository is in small letters"));
        }
        if !path.split('/').all(is_component) {
            return Err(refuse(
                "a repository's name has small letters and digits, with '.', '_', '__' or '-' between them, in parts divided by '/'",
            ));
        }
        let official = registry == DEFAULT_REGISTRY && !path.contains('/');
        let repository = if official { [OFFICIAL, path].concat() } else { path.to_string() };
        if registry.len() + 1 + repository.len() > LONGEST_NAME {
            return Err(refuse("it is longer than 255 characters"));
        }
        let tag = tag.or(if digest.is_none() { Some(DEFAULT_TAG) } else { None });
        Ok(Reference {
            registry: registry.into(),
            repository,
            tag: tag.map(String::from),
            digest: digest.map(String::from),
        })
    }

    /// The registry's host name, with its port where one was given.
    pub fn registry(&self) -> &str {
        &self.registry
    }

    /// The repository's path in the registry.
    pub fn repository(&self) -> &str {
        &self.repository
    }

    /// The tag; none where only a digest was given.
    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    /// The digest of the manifest, where one was given.
    pub fn digest(&self) -> Option<&str> {
        self.digest.as_deref()
    }

    /// Registry and repository, without tag and digest.
    pub fn name(&self) -> String {
        format!("{}/{}", self.registry, self.repository)
    }

    /// The same without what Docker leaves out: `alpine`, `me/tool`, `quay.io/a/b`.
    pub fn familiar_name(&self) -> String {
        match self.registry.as_str() {
            DEFAULT_REGISTRY => match self.repository.strip_prefix(OFFICIAL) {
                Some(word) if !word.contains('/') && !is_id(word) => word.into(),
                // Else it would be read as an ID, or below as a registry's.
                Some(word) if is_id(word) => self.name(),
                _ if looks_like_registry(self.repository.split('/').next().unwrap_or_default()) => {
                    self.name()
                }
                _ => self.repository.clone(),
            },
            _ => self.name(),
        }
    }

    /// The whole as people write it: `alpine:latest`.
    pub fn familiar(&self) -> String {
        [self.familiar_name(), self.suffix()].concat()
    }

    /// What a registry knows the image's manifest by: the digest where there is one.
    pub fn manifest_name(&self) -> &str {
        self.digest().or(self.tag()).unwrap_or(DEFAULT_TAG)
    }

    /// The same name with nothing but this tag.
    pub fn with_tag(&self, tag: &str) -> Result<Reference> {
        Reference::parse(&format!("{}:{tag}", self.name()))
    }

    fn suffix(&self) -> String {
        let part = |mark: &str, text: &Option<String>| {
            text.as_ref().map(|text| [mark, text].concat()).unwrap_or_default()
        };
        [part(":", &self.tag), part("@", &self.digest)].concat()
    }
}

/// The full form, which names the same image everywhere.
impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}{}", self.registry, self.repository, self.suffix())
    }
}

/// Registry and the rest of a name.
fn split(name: &str) -> (&str, &str) {
    let (registry, path) = match name.split_once('/') {
        Some((first, path)) if looks_like_registry(first) => (first, path),
        _ => (DEFAULT_REGISTRY, name),
    };
    (if registry == FORMER_DEFAULT_REGISTRY { DEFAULT_REGISTRY } else { registry }, path)
}

fn looks_like_registry(text: &str) -> bool {
    text.contains(['.', ':']) || text == "localhost" || text.bytes().any(|byte| byte.is_ascii_uppercase())
}

/// A host name or an address, and perhaps a port.
fn is_registry(text: &str) -> bool {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let Some((address, after)) = rest.split_once(']') else { return false };
            let is_address = !address.is_empty() && address.bytes().all(|b| is_hexadecimal(b) || b == b':');
            return is_address && (after.is_empty() || after.strip_prefix(':').is_some_and(is_port));
        }
        None => match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        },
    };
    host.split('.').all(is_label) && port.is_none_or(is_port)
}

fn is_label(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'-')
        && bytes.first().is_some_and(|byte| *byte != b'-')
        && bytes.last().is_some_and(|byte| *byte != b'-')
}

fn is_port(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit()) && text.parse::<u16>().is_ok_and(|port| port > 0)
}

/// Runs of small letters and digits with one separator between them: `.`, `_`, `__`, or dashes.
fn is_component(text: &str) -> bool {
    let is_word = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let bytes = text.as_bytes();
    let ends = [bytes.first(), bytes.last()];
    ends.iter().all(|end| end.is_some_and(|byte| is_word(*byte)))
        && text.split(|c: char| is_word(c as u8) && c.is_ascii()).all(|separator| {
            matches!(separator, "" | "." | "_" | "__") || separator.bytes().all(|byte| byte == b'-')
        })
}

fn is_tag(text: &str) -> bool {
    let bytes = text.as_bytes();
    (1..=LONGEST_TAG).contains(&bytes.len())
        && bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-'))
        && !matches!(bytes[0], b'.' | b'-')
}

fn is_hexadecimal(byte: u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'a'..=b'f')
}

/// 64 hexadecimal digits stand for an image's ID wherever people name one.
fn is_id(name: &str) -> bool {
    name.len() == 64 && name.bytes().all(is_hexadecimal)
}

/// What is wrong with a digest; nothing is wrong with `sha256:` and 64 hexadecimal digits.
pub fn check_digest(digest: &str) -> core::result::Result<(), &'static str> {
    let (algorithm, hexadecimal) =
        digest.split_once(':').ok_or("a digest is sha256: and 64 hexadecimal digits")?;
    if algorithm != "sha256" {
        return Err("of digests only sha256 is supported");
    }
    if hexadecimal.len() != 64 || !hexadecimal.bytes().all(is_hexadecimal) {
        return Err("a digest is sha256: and 64 hexadecimal digits in small letters");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: &str = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    #[test]
    fn names_are_completed_as_docker_does() {
        for (text, full, familiar) in [
            ("alpine", "docker.io/library/alpine:latest", "alpine:latest"),
            ("alpine:3.20", "docker.io/library/alpine:3.20", "alpine:3.20"),
            ("me/tool", "docker.io/me/tool:latest", "me/tool:latest"),
            ("docker.io/alpine", "docker.io/library/alpine:latest", "alpine:latest"),
            ("index.docker.io/library/alpine", "docker.io/library/alpine:latest", "alpine:latest"),
            ("quay.io/a/b/c:v1", "quay.io/a/b/c:v1", "quay.io/a/b/c:v1"),
            ("localhost/x", "localhost/x:latest", "localhost/x:latest"),
            ("localhost:5000/x", "localhost:5000/x:latest", "localhost:5000/x:latest"),
            ("[::1]:5000/x:t", "[::1]:5000/x:t", "[::1]:5000/x:t"),
            ("Host/x", "Host/x:latest", "Host/x:latest"),
            ("a__b/c-.d", "", ""),
            ("a__b/c--d.e_f", "docker.io/a__b/c--d.e_f:latest", "a__b/c--d.e_f:latest"),
            ("localhost:5000", "docker.io/library/localhost:5000", "localhost:5000"),
        ] {
            match Reference::parse(text) {
                Ok(reference) => {
                    assert_eq!(
                        (reference.to_string().as_str(), reference.familiar().as_str()),
                        (full, familiar)
                    );
                    assert_eq!(Reference::parse(full).expect("the full form"), reference);
                    assert_eq!(Reference::parse(familiar).expect("the familiar form"), reference);
                }
                Err(error) => assert_eq!(full, "", "{error}"),
            }
        }
    }

    #[test]
    fn a_digest_stands_for_the_tag() {
        let by_digest = Reference::parse(&format!("alpine@{DIGEST}")).expect("parsed");
        assert_eq!((by_digest.tag(), by_digest.manifest_name()), (None, DIGEST));
        let both = Reference::parse(&format!("alpine:3@{DIGEST}")).expect("parsed");
        assert_eq!((both.tag(), both.manifest_name()), (Some("3"), DIGEST));
        assert_eq!(both.to_string(), format!("docker.io/library/alpine:3@{DIGEST}"));
    }

    #[test]
    fn what_docker_refuses_is_refused() {
        let long = "a/".repeat(128) + "a";
        let tag = format!("a:{}", "t".repeat(129));
        let id = "0123456789abcdef".repeat(4);
        for text in [
            "",
            " ",
            "Alpine",
            "a/B",
            "a//b",
            "/a",
            "a/",
            "-a",
            "a-",
            "a._b",
            "a___b",
            "a:",
            "a:.t",
            "a:-t",
            "a b",
            "a@",
            "a@sha256:12",
            "a@md5:0123",
            "a@sha512:00",
            "a:b:c",
            "host:0/a",
            "host:70000/a",
            "host:x/a",
            "-h.io/a",
            "h-.io/a",
            "h..io/a",
            "[::1/a",
            "a/ö",
            "ö",
            "http://a/b",
            &long,
            &tag,
            &id,
            &format!("a@{}", DIGEST.to_uppercase()),
            &format!("a@{DIGEST}@{DIGEST}"),
        ] {
            assert!(Reference::parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn no_input_panics_and_what_parses_parses_again() {
        let seeds = ["docker.io/library/alpine:latest", "[::1]:5/a__b@sha256:00", "localhost:5000/x:t"];
        crate::image::mutate::bytes(&seeds, 20_000, |input| {
            let text = String::from_utf8_lossy(input);
            if let Ok(reference) = Reference::parse(&text) {
                assert_eq!(Reference::parse(&reference.to_string()).expect(&text), reference);
                assert_eq!(Reference::parse(&reference.familiar()).expect(&text), reference);
            }
        });
    }
}
