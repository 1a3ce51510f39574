//! Whom to trust: the system's authorities, those of one registry, or the ones built in.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use rustix::fs::{CWD, Dir, Mode, OFlags};

use super::certificate::Certificate;
use super::chain::{Anchor, Name, check};
use super::fault::{BAD_CERTIFICATE, DECRYPT_ERROR, Fault, ILLEGAL_PARAMETER, Outcome};
use super::roots;
use super::signature::{Key, Kind, SCHEMES};
use crate::error::Result;
use crate::fs::read_text;
use crate::image::base64;
use crate::image::environment::Environment;
use crate::sys::clock::time_of_day;
use crate::sys::path::openat;

/// Where distributions keep the authorities: Debian and Alpine, Fedora, SUSE, RHEL, Arch and the BSDs.
const BUNDLES: &[&str] = &[
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// Where a registry's own authorities are, each in a folder of its name: ours, Docker's, Podman's.
const REGISTRIES: &[&str] = &["/etc/servin/certs.d", "/etc/containers/certs.d", "/etc/docker/certs.d"];

/// The authorities; where there are none, anybody is trusted, as long as its certificate is its own.
#[derive(Clone)]
pub struct Trust(Option<Vec<Anchor>>);

/// How to meet a server. `authority` is `HOST` or `HOST:PORT`; whom `insecure` lets in is nobody's concern.
pub fn configuration(authority: &str, insecure: bool, environment: &Environment) -> Result<Trust> {
    Ok(Trust(if insecure { None } else { Some(trusted(authority, environment, BUNDLES)?) }))
}

impl Trust {
    /// Checks what a server shows, its own certificate first.
    pub fn check(&self, name: &Name, certificates: &[&[u8]]) -> Outcome<()> {
        let Some(anchors) = &self.0 else { return Ok(()) };
        let now = time_of_day().0;
        check(name, certificates, anchors, now).map_err(Fault::Certificate)
    }
}

/// Checks that the owner of a certificate has signed `message`. `ecdsa` is what TLS 1.2 has agreed on; TLS 1.3 agrees on
/// nothing.
pub fn check_signature(
    certificate: &[u8],
    scheme: usize,
    ecdsa: Option<bool>,
    message: &[u8],
    signature: &[u8],
) -> Outcome<()> {
    let certificate = Certificate::read(certificate).ok_or(Fault::Own(BAD_CERTIFICATE))?;
    let key = Key::read(certificate.key).ok_or(Fault::Own(BAD_CERTIFICATE))?;
    let scheme = SCHEMES.iter().find(|known| usize::from(known.code) == scheme);
    let scheme = scheme.ok_or(Fault::Own(ILLEGAL_PARAMETER))?;
    let agreed = match ecdsa {
        Some(ecdsa) => ecdsa == (key.kind != Kind::Rsa),
        None => scheme.tls13 == Some(key.kind),
    };
    if !agreed {
        return Err(Fault::Own(ILLEGAL_PARAMETER));
    }
    scheme.method.verify(key, message, signature).ok_or(Fault::Own(DECRYPT_ERROR))
}

/// The authorities; of `bundles` the first that is there.
fn trusted(authority: &str, environment: &Environment, bundles: &[&str]) -> Result<Vec<Anchor>> {
    let mut roots = Vec::new();
    let named = ["SSL_CERT_FILE", "SSL_CERT_DIR"].map(|name| environment.variable(name));
    if let [Some(file), _] = named {
        add_file(&mut roots, file)?;
    }
    if let [_, Some(directories)] = named {
        directories
            .split(':')
            .for_each(|directory| add_directory(&mut roots, directory, &["pem", "crt", "0"]));
    }
    if named == [None, None] {
        for bundle in bundles {
            if add_file(&mut roots, bundle).is_ok() {
                break;
            }
        }
        if roots.is_empty() {
            roots = roots::mozilla();
        }
    }
    for folder in REGISTRIES {
        add_directory(&mut roots, &format!("{folder}/{authority}"), &["crt"]);
    }
    Ok(roots)
}

/// Adds what a file has; a certificate that cannot be one's authority is passed over, as elsewhere.
fn add_file(roots: &mut Vec<Anchor>, path: &str) -> Result<()> {
    for certificate in certificates(&read_text(path)?) {
        roots.extend(Anchor::read(&certificate));
    }
    Ok(())
}

fn add_directory(roots: &mut Vec<Anchor>, path: &str, suffixes: &[&str]) {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let opened = openat(CWD, path, flags, Mode::empty()).and_then(Dir::new);
    for entry in opened.into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy();
        if name.rsplit_once('.').is_some_and(|(_, suffix)| suffixes.contains(&suffix)) {
            let _ = add_file(roots, &format!("{path}/{name}"));
        }
    }
}

/// The certificates of a PEM file (RFC 7468); all else in it is commentary.
fn certificates(text: &str) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some((_, begun)) = rest.split_once("-----BEGIN CERTIFICATE-----") {
        let Some((body, after)) = begun.split_once("-----END CERTIFICATE-----") else { break };
        let body: String = body.split_ascii_whitespace().collect();
        found.extend(base64::decode(&body));
        rest = after;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_the_host_has_no_authorities_mozillas_are_taken() {
        let environment = Environment::default();
        let built_in = trusted("x", &environment, &["/nowhere"]).expect("roots");
        assert!(built_in.len() > 100, "{}", built_in.len());
        // They are those that Debian's package has too, where that is installed: by their names and their keys.
        let mut debians = Vec::new();
        if add_file(&mut debians, "/etc/ssl/certs/ca-certificates.crt").is_ok() && debians.len() > 100 {
            let known = |root: &&Anchor| {
                let same = |other: &Anchor| (&other.subject, &other.key) == (&root.subject, &root.key);
                debians.iter().any(same)
            };
            let count = built_in.iter().filter(known).count();
            assert!(count * 3 > built_in.len() * 2, "{count} of {}", built_in.len());
        }
        // Who names others gets those alone.
        let lines = Vec::from(["SSL_CERT_DIR=/nowhere".into()]);
        let named = Environment { lines, ..Environment::default() };
        assert!(trusted("x", &named, BUNDLES).expect("roots").is_empty());
        let lines = Vec::from(["SSL_CERT_FILE=/nowhere".into()]);
        let named = Environment { lines, ..Environment::default() };
        assert!(trusted("x", &named, BUNDLES).is_err());
    }

    #[test]
    fn certificates_are_found_among_commentary() {
        let text = "# one\n-----BEGIN CERTIFICATE-----\nAQID\nBA==\n-----END CERTIFICATE-----\n-----BEGIN X-----\nAA==\n-----END X-----\n-----BEGIN CERTIFICATE-----\nBQ==\n-----END CERTIFICATE-----\n-----BEGIN CERTIFICATE-----\nBg";
        assert_eq!(certificates(text), [&[1, 2, 3, 4][..], &[5]]);
    }
}
