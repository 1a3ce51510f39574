//! TLS with OpenSSL's server as a registry: every version, suite, group, signature and mood that one may have.

#[path = "registry/certificates.rs"]
mod certificates;

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use certificates::Authority;
use servin_tests::registry::path;
use servin_tests::{Finished, alone, bring_up_loopback, forget_home, scratch, servin_program, start, within};

const PORT: u16 = 5443;

/// OpenSSL's server, until it is dropped.
struct Server(Child);

impl Server {
    fn start(certificate: &(String, String), options: &[&str]) -> Server {
        // What it says is wanted line by line.
        let mut command = Command::new("stdbuf");
        command.args(["-oL", "openssl", "s_server", "-accept", &format!("127.0.0.1:{PORT}")]);
        command.args(["-cert", &certificate.0, "-key", &certificate.1]).args(options);
        command
            .current_dir(scratch("site"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        let server = Server(command.spawn().expect("start openssl"));
        let end = Instant::now() + within(Duration::from_secs(30));
        while TcpStream::connect(("127.0.0.1", PORT)).is_err() {
            assert!(Instant::now() < end, "openssl does not listen");
            std::thread::sleep(Duration::from_millis(10));
        }
        server
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

const DIGEST: &str = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

/// A registry of one manifest, as a file with the header of the answer. It has many records; what matters comes last.
fn site() {
    let noise: String = (0..150_000_u32).map(|at| char::from(b'a' + (at % 1009 * at % 23) as u8)).collect();
    let manifest = serde_json::json!({
        "annotations": {"noise": noise},
        "schemaVersion": 2,
        "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": DIGEST, "size": 2},
        "layers": [],
    })
    .to_string();
    let kind = "application/vnd.oci.image.manifest.v1+json";
    let header =
        format!("HTTP/1.0 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\r\n", manifest.len());
    let folder = path("site/v2/image/manifests");
    fs::create_dir_all(&folder).expect("make a folder");
    fs::write(format!("{folder}/latest"), header + &manifest).expect("write");
}

fn pull(authority: &Authority) -> Finished {
    let mut command = Command::new(servin_program());
    command.args(["pull", &format!("localhost:{PORT}/image")]).stdin(Stdio::null());
    command.env("SSL_CERT_FILE", &authority.certificate);
    let finished = start(command).finish();
    forget_home();
    finished
}

/// A manifest comes from a server with each of these options. What it names, this server cannot have: to it, a path
/// with a colon is none.
fn reached_with(key: &str, options: &[&str]) {
    let authority = Authority::new("ec:P-256");
    let certificate = authority.sign(key, "DNS:localhost", 0, 1);
    for option in options {
        eprintln!("{key}: {option}");
        let options: Vec<&str> = option.split(' ').collect();
        let _server = Server::start(&certificate, &[&["-quiet", "-HTTP"], &*options].concat());
        pull(&authority).fails(&[&format!("the configuration {DIGEST} is damaged")]);
    }
}

#[test]
fn both_versions_are_spoken_in_each_suite_and_group() {
    alone(|| {
        bring_up_loopback().expect("bring lo up");
        site();
        let groups =
            |version: &str| ["X25519", "P-256", "P-384"].map(|group| format!("{version} -groups {group}"));
        let groups = [groups("-tls1_3"), groups("-tls1_2")].concat();
        let groups: Vec<&str> = groups.iter().map(|option| &**option).collect();
        reached_with("ec:P-256", &groups);
        reached_with(
            "rsa:2048",
            &[
                "-tls1_3 -ciphersuites TLS_AES_128_GCM_SHA256",
                "-tls1_3 -ciphersuites TLS_AES_256_GCM_SHA384",
                "-tls1_2 -cipher ECDHE-RSA-AES128-GCM-SHA256",
                "-tls1_2 -cipher ECDHE-RSA-AES256-GCM-SHA384",
            ],
        );
        reached_with(
            "ec:P-384",
            &[
                "-tls1_3 -ciphersuites TLS_AES_256_GCM_SHA384",
                "-tls1_2 -cipher ECDHE-ECDSA-AES128-GCM-SHA256",
                "-tls1_2 -cipher ECDHE-ECDSA-AES256-GCM-SHA384",
            ],
        );
    });
}

#[test]
fn each_signature_is_known() {
    alone(|| {
        bring_up_loopback().expect("bring lo up");
        site();
        reached_with(
            "rsa:3072",
            &[
                "-tls1_2 -sigalgs RSA+SHA256",
                "-tls1_2 -sigalgs RSA+SHA384",
                "-tls1_2 -sigalgs RSA+SHA512",
                "-tls1_2 -sigalgs rsa_pss_rsae_sha256",
                "-tls1_3 -sigalgs rsa_pss_rsae_sha384",
                "-tls1_3 -sigalgs rsa_pss_rsae_sha512",
            ],
        );
        // In TLS 1.2 the hash may be another one than the curve's.
        reached_with("ec:P-256", &["-tls1_2 -sigalgs ECDSA+SHA384", "-tls1_2 -sigalgs ECDSA+SHA256"]);
    });
}

#[test]
fn a_server_may_ask_for_a_certificate_want_its_cookie_back_and_cut_everything_small() {
    alone(|| {
        bring_up_loopback().expect("bring lo up");
        site();
        reached_with(
            "ec:P-256",
            &[
                "-tls1_3 -verify 1",
                "-tls1_2 -verify 1",
                "-stateless",
                "-stateless -groups P-384",
                "-tls1_3 -max_send_frag 512",
                "-tls1_2 -max_send_frag 512",
                "-tls1_3 -num_tickets 9",
            ],
        );
    });
}

#[test]
fn a_server_with_nothing_in_common_is_refused() {
    alone(|| {
        bring_up_loopback().expect("bring lo up");
        site();
        let authority = Authority::new("ec:P-256");
        let certificate = authority.sign("rsa:2048", "DNS:localhost", 0, 1);
        for options in [
            &["-tls1_1", "-cipher", "ALL:@SECLEVEL=0"][..],
            &["-tls1_2", "-cipher", "AES128-GCM-SHA256"],
            &["-tls1_2", "-cipher", "ECDHE-RSA-AES128-SHA"],
            &["-tls1_3", "-ciphersuites", "TLS_CHACHA20_POLY1305_SHA256"],
            &["-groups", "P-521"],
        ] {
            let _server = Server::start(&certificate, &[&["-quiet", "-HTTP"], options].concat());
            pull(&authority).fails(&["TLS with localhost: the server "]);
        }
    });
}

/// A pull from a server that is told by hand what to do, once it has been asked, and then what to answer.
fn ordered(version: &str, order: &str) {
    let authority = Authority::new("ec:P-256");
    let certificate = authority.sign("ec:P-256", "DNS:localhost", 0, 1);
    let mut server = Server::start(&certificate, &[version]);
    let (input, output) = (server.0.stdin.take(), server.0.stdout.take());
    let (mut input, output) = (input.expect("piped"), BufReader::new(output.expect("piped")));
    let order = order.to_owned();
    let teller = std::thread::spawn(move || {
        let mut lines = output.lines().map_while(Result::ok);
        let mut until = |text: &str| lines.find(|line| line.contains(text)).expect("the server goes on");
        let mut tell =
            |text: &str| input.write_all(text.as_bytes()).and_then(|()| input.flush()).expect("told");
        until("GET /v2/image");
        tell(&order);
        until("SSL_do_handshake -> 1");
        tell("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
        input
    });
    pull(&authority).fails(&["404"]);
    drop(teller.join().expect("the server did as it was told"));
}

#[test]
fn keys_are_changed_in_the_course_of_a_connection_and_no_second_handshake_is_begun() {
    alone(|| {
        bring_up_loopback().expect("bring lo up");
        site();
        // The server changes its keys, alone and with ours; and in TLS 1.2 it says that it would shake hands again.
        ordered("-tls1_3", "k\n");
        ordered("-tls1_3", "K\n");
        ordered("-tls1_2", "r\n");
    });
}
