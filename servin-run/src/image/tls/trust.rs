//! Whom to trust: the system's authorities, those of one registry, or the ones built in.

use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use rustix::fs::{CWD, Dir, Mode, OFlags};
use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::time_provider::TimeProvider;
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};

use super::Trust;
use super::provider::provider;
use super::roots;
use super::signature::ALGORITHMS;
use crate::error::{Error, Result};
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

/// How to meet a server. `authority` is `HOST` or `HOST:PORT`; whom `insecure` lets in is nobody's concern.
pub fn configuration(authority: &str, insecure: bool, environment: &Environment) -> Result<Trust> {
    let builder = ClientConfig::builder_with_details(Arc::new(provider()), Arc::new(Clock))
        .with_safe_default_protocol_versions()
        .map_err(|_| Error::new("TLS: no protocol versions"))?;
    let builder = if insecure {
        builder.dangerous().with_custom_certificate_verifier(Arc::new(Anybody))
    } else {
        builder.with_root_certificates(authorities(authority, environment, BUNDLES)?)
    };
    let mut configuration = builder.with_no_client_auth();
    configuration.resumption = Resumption::disabled();
    Ok(Arc::new(configuration))
}

/// The authorities; of `bundles` the first that is there.
fn authorities(authority: &str, environment: &Environment, bundles: &[&str]) -> Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
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
            roots.extend(roots::mozilla());
        }
    }
    for folder in REGISTRIES {
        add_directory(&mut roots, &format!("{folder}/{authority}"), &["crt"]);
    }
    Ok(roots)
}

/// Adds what a file has; a certificate that cannot be one's authority is passed over, as elsewhere.
fn add_file(roots: &mut RootCertStore, path: &str) -> Result<()> {
    for certificate in certificates(&read_text(path)?) {
        let _ = roots.add(CertificateDer::from(certificate));
    }
    Ok(())
}

fn add_directory(roots: &mut RootCertStore, path: &str, suffixes: &[&str]) {
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

/// The time of day.
#[derive(Debug)]
struct Clock;

impl TimeProvider for Clock {
    fn current_time(&self) -> Option<UnixTime> {
        u64::try_from(time_of_day().0)
            .ok()
            .map(|seconds| UnixTime::since_unix_epoch(core::time::Duration::from_secs(seconds)))
    }
}

/// For registries that are configured as insecure: anybody's certificate, as long as it is the other side's own.
#[derive(Debug)]
struct Anybody;

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> core::result::Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> core::result::Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signed, &ALGORITHMS)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> core::result::Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signed, &ALGORITHMS)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        ALGORITHMS.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_the_host_has_no_authorities_mozillas_are_taken() {
        let environment = Environment::default();
        let built_in = authorities("x", &environment, &["/nowhere"]).expect("roots");
        assert!(built_in.len() > 100, "{}", built_in.len());
        // They are those that Debian's package has too, where that is installed: by their names and their keys.
        let mut debians = RootCertStore::empty();
        if add_file(&mut debians, "/etc/ssl/certs/ca-certificates.crt").is_ok() && debians.len() > 100 {
            let known = |root: &rustls::pki_types::TrustAnchor| {
                let same = |other: &&rustls::pki_types::TrustAnchor| {
                    (&other.subject, &other.subject_public_key_info)
                        == (&root.subject, &root.subject_public_key_info)
                };
                debians.roots.iter().any(|root| same(&root))
            };
            let count = built_in.roots.iter().filter(|root| known(root)).count();
            assert!(count * 3 > built_in.len() * 2, "{count} of {}", built_in.len());
        }
        // Who names others gets those alone.
        let lines = Vec::from(["SSL_CERT_DIR=/nowhere".into()]);
        let named = Environment { lines, ..Environment::default() };
        assert!(authorities("x", &named, BUNDLES).expect("roots").is_empty());
        let lines = Vec::from(["SSL_CERT_FILE=/nowhere".into()]);
        let named = Environment { lines, ..Environment::default() };
        assert!(authorities("x", &named, BUNDLES).is_err());
    }

    #[test]
    fn certificates_are_found_among_commentary() {
        let text = "# one\n-----BEGIN CERTIFICATE-----\nAQID\nBA==\n-----END CERTIFICATE-----\n-----BEGIN X-----\nAA==\n-----END X-----\n-----BEGIN CERTIFICATE-----\nBQ==\n-----END CERTIFICATE-----\n-----BEGIN CERTIFICATE-----\nBg";
        assert_eq!(certificates(text), [&[1, 2, 3, 4][..], &[5]]);
    }
}
