//! Registries: Debian's own on loopback, with and without TLS and passwords, and servers that do as they please.

#[path = "registry/certificates.rs"]
mod certificates;

use std::fs;
use std::process::Command;

use certificates::Authority;
use servin_tests::registry::{Registry, Setting, path, servin_with};
use servin_tests::{Finished, alone, bring_up_loopback, servin_program, start, tmpfs, tool, unmount};

fn htpasswd() -> String {
    let file = path("htpasswd");
    tool("htpasswd", &["-Bbc", &file, "me", "secret"]);
    file
}

#[test]
fn a_login_is_checked_kept_for_us_alone_and_forgotten() {
    alone(|| {
        bring_up_loopback().expect("bring lo up");
        let file = htpasswd();
        let registry = Registry::start(5000, Setting { htpasswd: Some(&file), ..Setting::default() });
        let kept = path("auth.json");
        let login = |password: &str| {
            let arguments = ["login", "-u", "me", "-p", password, "--authfile", &kept, "localhost:5000"];
            servin_with(&[], &arguments)
        };
        login("wrong").fails(&["log in to localhost:5000", "401"]);
        assert!(!fs::exists(&kept).expect("look"), "a wrong password is not kept");
        login("secret").succeeds();
        let text = fs::read_to_string(&kept).expect("read");
        assert_eq!(text, r#"{"auths":{"localhost:5000":{"auth":"bWU6c2VjcmV0"}}}"#);
        assert_eq!(tool("stat", &["-c", "%a", &kept]).trim(), "600");
        // What Docker's and Podman's programs read.
        tool("skopeo", &["login", "--get-login", "--authfile", &kept, "localhost:5000"]);
        servin_with(&[("REGISTRY_AUTH_FILE", &kept)], &["logout", "localhost:5000"]).succeeds();
        servin_with(&[("REGISTRY_AUTH_FILE", &kept)], &["logout", "localhost:5000"])
            .fails(&["there is no login to localhost:5000"]);
        drop(registry);
    });
}

#[test]
fn a_password_comes_from_standard_input() {
    alone(|| {
        bring_up_loopback().expect("bring lo up");
        let file = htpasswd();
        let _registry = Registry::start(5000, Setting { htpasswd: Some(&file), ..Setting::default() });
        let words = path("words");
        fs::write(&words, "secret\n").expect("write");
        let mut command = Command::new(servin_program());
        command.args(["login", "--username", "me", "--password-stdin", "localhost:5000"]);
        command.stdin(fs::File::open(&words).expect("open"));
        start(command).finish().succeeds();
        let home = std::env::var("SERVIN_HOME").expect("set by alone");
        assert!(fs::exists(format!("{home}/auth.json")).expect("look"));
        servin_with(&[], &["logout", "localhost:5000"]).succeeds();
        servin_tests::forget_home();
    });
}

#[test]
fn where_the_host_has_no_authorities_a_strangers_registry_is_refused_all_the_same() {
    alone(|| {
        bring_up_loopback().expect("bring lo up");
        let stranger = Authority::new("ec:P-256").sign("ec:P-256", "DNS:localhost", 0, 1);
        let _registry =
            Registry::start(5443, Setting { tls: Some((&stranger.0, &stranger.1)), ..Setting::default() });
        let places: Vec<&str> =
            ["/etc/ssl", "/etc/pki"].into_iter().filter(|place| fs::exists(place).expect("look")).collect();
        places.iter().for_each(|place| tmpfs(place).expect("hide the host's authorities"));
        let unset = [("SSL_CERT_FILE", ""), ("SSL_CERT_DIR", "")];
        servin_with(&unset, &["pull", "localhost:5443/image"])
            .fails(&["an authority that is not trusted here"]);
        places.iter().for_each(|place| unmount(place).expect("unmount"));
        servin_tests::forget_home();
    });
}

/// Logs in by TLS; whether the registry could be trusted is seen in how that ends.
fn by_tls(authority: &Authority, certificate: (&str, &str), variables: &[(&str, &str)]) -> Finished {
    let file = htpasswd();
    let setting = Setting { tls: Some(certificate), htpasswd: Some(&file) };
    let _registry = Registry::start(5443, setting);
    let trust = [("SSL_CERT_FILE", authority.certificate.as_str())];
    let arguments = ["login", "-u", "me", "-p", "secret", "--authfile", &path("auth.json"), "localhost:5443"];
    servin_with(&[&trust, variables].concat(), &arguments)
}

#[test]
fn a_registry_with_a_certificate_of_an_authority_that_is_trusted_is_spoken_to() {
    alone(|| {
        bring_up_loopback().expect("bring lo up");
        let authority = Authority::new("rsa:2048");
        for key in ["rsa:2048", "ec:P-256", "ec:P-384"] {
            let certificate = authority.sign(key, "DNS:localhost", 0, 1);
            by_tls(&authority, (&certificate.0, &certificate.1), &[]).succeeds();
        }
    });
}

#[test]
fn a_certificate_that_is_for_another_name_or_old_or_of_a_stranger_is_refused() {
    alone(|| {
        bring_up_loopback().expect("bring lo up");
        let authority = Authority::new("ec:P-256");
        let other = authority.sign("ec:P-256", "DNS:other.example,IP:127.0.0.1", 0, 1);
        by_tls(&authority, (&other.0, &other.1), &[])
            .fails(&["the server's certificate is for another name"]);
        let old = authority.sign("ec:P-256", "DNS:localhost", -9, -1);
        by_tls(&authority, (&old.0, &old.1), &[]).fails(&["the server's certificate has expired"]);
        let early = authority.sign("ec:P-256", "DNS:localhost", 5, 9);
        by_tls(&authority, (&early.0, &early.1), &[]).fails(&["the server's certificate is not valid yet"]);
        let stranger = Authority::new("ec:P-256").sign("ec:P-256", "DNS:localhost", 0, 1);
        by_tls(&authority, (&stranger.0, &stranger.1), &[]).fails(&["an authority that is not trusted here"]);
        // The same, where the registry is said to be none of our business.
        let insecure = path("registries.json");
        fs::write(&insecure, r#"{"registries": {"localhost:5443": {"insecure": true}}}"#).expect("write");
        by_tls(&authority, (&stranger.0, &stranger.1), &[("SERVIN_REGISTRIES", &insecure)]).succeeds();
    });
}
