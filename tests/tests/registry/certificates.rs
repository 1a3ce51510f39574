//! Authorities and the certificates that they sign, made by OpenSSL.

use servin_tests::scratch;
use servin_tests::tool;
use std::fs;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Somebody who signs certificates.
pub struct Authority {
    pub certificate: String,
    key: String,
}

fn new_path(kind: &str) -> String {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    scratch(&format!("tls/{number}.{kind}")).to_str().expect("UTF-8").to_owned()
}

/// `ec:P-256` or `rsa:2048`.
fn key(kind: &str) -> String {
    let file = new_path("key");
    let option = match kind.split_once(':').expect("a kind and a size") {
        ("ec", curve) => format!("ec_paramgen_curve:{curve}"),
        (_, bits) => format!("rsa_keygen_bits:{bits}"),
    };
    let algorithm = if kind.starts_with("ec") { "EC" } else { "RSA" };
    tool("openssl", &["genpkey", "-quiet", "-algorithm", algorithm, "-pkeyopt", &option, "-out", &file]);
    file
}

impl Authority {
    pub fn new(kind: &str) -> Authority {
        let (key, certificate) = (key(kind), new_path("crt"));
        let subject = format!("/CN=authority {certificate}").replace("/tmp/servin-tests/", "");
        tool(
            "openssl",
            &[
                "req",
                "-x509",
                "-key",
                &key,
                "-out",
                &certificate,
                "-subj",
                &subject.replace("tls/", ""),
                "-days",
                "5",
            ],
        );
        Authority { certificate, key }
    }

    /// A certificate for `names`, valid from so many days after now to so many days after now; and its key.
    pub fn sign(&self, kind: &str, names: &str, from: i64, to: i64) -> (String, String) {
        let (key, request, certificate, extensions) =
            (key(kind), new_path("csr"), new_path("crt"), new_path("ext"));
        tool("openssl", &["req", "-new", "-key", &key, "-out", &request, "-subj", "/CN=server"]);
        fs::write(&extensions, format!("subjectAltName={names}\n")).expect("write");
        let (database, serial) = (new_path("db"), new_path("serial"));
        fs::write(&database, "").expect("write");
        fs::write(&serial, "01").expect("write");
        let configuration = new_path("conf");
        let text = format!(
            "[ca]\ndefault_ca = own\n[own]\ndatabase = {database}\nserial = {serial}\nnew_certs_dir = /tmp/servin-tests\ndefault_md = sha256\npolicy = any\n[any]\ncommonName = supplied\n"
        );
        fs::write(&configuration, text).expect("write");
        let (from, to) = (date(from), date(to));
        let arguments = [
            "ca",
            "-batch",
            "-notext",
            "-config",
            &configuration,
            "-cert",
            &self.certificate,
            "-keyfile",
            &self.key,
            "-in",
            &request,
            "-out",
            &certificate,
            "-extfile",
            &extensions,
            "-startdate",
            &from,
            "-enddate",
            &to,
        ];
        tool("openssl", &arguments);
        (certificate, key)
    }
}

/// `YYYYMMDDHHMMSSZ`, so many days after now; today begins an hour ago.
fn date(days: i64) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs() as i64;
    let seconds = now + days * 86_400 - i64::from(days == 0) * 3600;
    tool("date", &["-u", &format!("--date=@{seconds}"), "+%Y%m%d%H%M%SZ"]).trim().to_owned()
}
