//! `servin pull` and `servin push` against Debian's registry, which skopeo fills and reads.

#[path = "registry/certificates.rs"]
mod certificates;
#[path = "registry/forward.rs"]
mod forward;
#[path = "registry/name_server.rs"]
mod name_server;

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;

use certificates::Authority;
use forward::Cutter;
use name_server::NameServer;
use servin_tests::registry::{Registry, Setting, archive, noise, path, servin_with};
use servin_tests::{
    Layout, Terminal, alone, bind, bring_up_loopback, fixture, forget_home, scratch, servin, servin_program,
    start, tool, unmount,
};

/// A file of registries.
fn registries(text: &str) -> String {
    let file = path("registries.json");
    fs::write(&file, text).expect("write");
    file
}

/// What skopeo says about an image of a registry.
fn inspected(name: &str) -> serde_json::Value {
    let said = tool("skopeo", &["inspect", "--tls-verify=false", &format!("docker://{name}")]);
    said.parse().expect("JSON")
}

/// Two layers, of a few files and of three megabytes.
fn image() -> String {
    archive(
        "image",
        &[&[("hello", b"hello\n"), ("etc/name", b"old")], &[("etc/name", b"new"), ("big", &noise(3 << 20))]],
    )
}

/// Runs a test with an own loopback and nothing left in the store.
fn on_loopback(test: impl FnOnce()) {
    bring_up_loopback().expect("bring lo up");
    test();
    forget_home();
}

#[test]
fn what_skopeo_pushed_is_pulled_and_what_we_push_is_the_same() {
    alone(|| {
        on_loopback(|| {
            let registry = Registry::plain(5000);
            registry.fill(&image(), "team/image:1");
            let name = registry.name("team/image:1");
            let digest = inspected(&name)["Digest"].as_str().expect("a digest").to_owned();
            let run = servin(&["pull", &name]).succeeds();
            assert_eq!(run.out, format!("{name} {digest}\n"));
            assert_eq!(run.err.matches("pulled").count(), 2, "{}", run.err);
            // Nothing is fetched again.
            assert_eq!(servin(&["pull", &name]).succeeds().err.matches("pulled").count(), 0);
            let home = std::env::var("SERVIN_HOME").expect("set");
            // What the registry has in one repository is not sent to another: it could not be sent from here.
            let layers = inspected(&name)["Layers"].clone();
            let blob = format!("{home}/blobs/sha256/{}", &layers[1].as_str().expect("a digest")[7..]);
            let content = fs::read(&blob).expect("read");
            fs::write(&blob, vec![0; content.len()]).expect("write");
            let copy = registry.name("copy:2");
            let run = servin(&["push", &name, &copy]).succeeds();
            fs::write(&blob, content).expect("write");
            assert_eq!(run.out, format!("{copy} {digest}\n"));
            assert_eq!(inspected(&copy)["Digest"], *digest);
            // Into a registry that has nothing of it.
            let other = Registry::plain(5001);
            servin(&["push", "-q", &name, &other.name("image")]).succeeds();
            assert_eq!(inspected(&other.name("image"))["Digest"], *digest);
            tool(
                "skopeo",
                &[
                    "copy",
                    "-q",
                    "--insecure-policy",
                    "--src-tls-verify=false",
                    &format!("docker://{}", other.name("image")),
                    &format!("dir:{}", path("copied")),
                ],
            );
            // By its digest, into an empty store.
            forget_home();
            let by_digest = other.name(&format!("image@{digest}"));
            assert_eq!(servin(&["pull", "--quiet", &by_digest]).succeeds().out, format!("{by_digest}\n"));
        });
    });
}

/// The digest that a file's bytes have.
fn digest(content: &str) -> String {
    let file = path("digest");
    fs::write(&file, content).expect("write");
    format!("sha256:{}", &tool("sha256sum", &[&file])[..64])
}

/// Puts a manifest or an index into a registry, which skopeo does not make; what points to it.
fn put(port: u16, place: &str, document: &serde_json::Value) -> serde_json::Value {
    let (text, kind) = (document.to_string(), document["mediaType"].as_str().expect("a kind"));
    let digest = digest(&text);
    let (repository, tag) = place.split_once(':').unwrap_or((place, &digest));
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("connect");
    let head = format!(
        "PUT /v2/{repository}/manifests/{tag} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\r\n{text}",
        text.len()
    );
    stream.write_all(head.as_bytes()).expect("send");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("read");
    assert!(answer.starts_with("HTTP/1.1 201"), "{answer}");
    serde_json::json!({"mediaType": kind, "digest": digest, "size": text.len()})
}

#[test]
fn an_index_is_pushed_as_a_whole_where_all_of_it_is_here() {
    alone(|| {
        on_loopback(|| {
            let (registry, other) = (Registry::plain(5000), Registry::plain(5001));
            registry.fill(&image(), "many:own");
            registry.fill(&archive("far", &[&[("far", &noise(1 << 20))]]), "many:far");
            let raw = |tag: &str| -> serde_json::Value {
                let name = format!("docker://{}", registry.name(&format!("many:{tag}")));
                tool("skopeo", &["inspect", "--raw", "--tls-verify=false", &name]).parse().expect("JSON")
            };
            // What builders add about how an image was made is no image.
            let mut note = raw("far");
            note["layers"] = note["layers"].as_array().expect("layers")[..1].into();
            note["layers"][0]["mediaType"] = "application/vnd.in-toto+json".into();
            note["mediaType"] = "application/vnd.oci.image.manifest.v1+json".into();
            note["config"]["mediaType"] = "application/vnd.oci.image.config.v1+json".into();
            let machine = if cfg!(target_arch = "x86_64") { "amd64" } else { "arm64" };
            let mut manifests = Vec::new();
            for (document, architecture, os) in
                [(raw("own"), machine, "linux"), (raw("far"), "s390x", "linux"), (note, "unknown", "unknown")]
            {
                let mut entry = put(5000, "many", &document);
                entry["platform"] = serde_json::json!({"architecture": architecture, "os": os});
                manifests.push(entry);
            }
            let index = serde_json::json!({
                "schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": manifests,
            });
            put(5000, "many:all", &index);
            let (name, copy) = (registry.name("many:all"), other.name("copy"));
            let pushed = || servin(&["push", "-q", &name, &copy]).succeeds().out.trim().to_string();
            servin(&["pull", &name]).succeeds();
            assert_eq!(pushed(), index["manifests"][0]["digest"], "the one that is here");
            servin(&["pull", "--all-platforms", &name]).succeeds();
            // All of it stays as long as the name does.
            servin(&["image", "prune", "-f"]).succeeds();
            assert_eq!(pushed(), digest(&index.to_string()));
            let from = format!("docker://{copy}");
            let target = format!("dir:{}", path("whole"));
            let flags = ["copy", "-q", "--all", "--insecure-policy", "--src-tls-verify=false"];
            tool("skopeo", &[&flags[..], &[&from, &target]].concat());
            servin(&["rmi", &name]).succeeds();
            let blobs = fs::read_dir(format!("{}/blobs/sha256", std::env::var("SERVIN_HOME").expect("set")));
            assert_eq!(blobs.expect("list").count(), 0);
        });
    });
}

#[test]
fn what_does_not_get_through_as_a_whole_is_pushed_in_pieces_and_what_is_cut_off_goes_on() {
    alone(|| {
        on_loopback(|| {
            let registry = Registry::plain(5000);
            registry.fill(&image(), "image");
            let name = registry.name("image");
            servin(&["pull", &name]).succeeds();
            let digest = inspected(&name)["Digest"].clone();
            let narrow = Cutter::narrow(5001, 5000, 1 << 20);
            servin(&["push", "-q", &name, "localhost:5001/narrow"]).succeeds();
            drop(narrow);
            assert_eq!(inspected(&registry.name("narrow"))["Digest"], digest);
            // Connections that end in the middle of what is sent.
            let fresh = Registry::plain(5002);
            let cutter = Cutter::upwards(5003, 5002, 1_000_000, 5);
            servin(&["push", "-q", &name, "localhost:5003/cut"]).succeeds();
            drop(cutter);
            assert_eq!(inspected(&fresh.name("cut"))["Digest"], digest);
        });
    });
}

#[test]
fn an_image_that_is_newer_at_the_registry_is_pulled_where_that_is_asked_for() {
    alone(|| {
        on_loopback(|| {
            let registry = Registry::plain(5000);
            let name = registry.name("app");
            let fill = |text: &str| {
                let layout = Layout::new("app").layer(|root| {
                    let from = format!("{}/.", fixture("busybox").display());
                    tool("cp", &["-a", &from, root.to_str().expect("UTF-8")]);
                    fs::write(root.join("which"), text).expect("write");
                });
                registry.fill(&format!("oci:{}:test", layout.text()), "app");
                fs::remove_dir_all(scratch("app")).expect("forget the layout");
            };
            let which = |when: &str| {
                servin(&["run", "--rm", "--quiet", &format!("--pull={when}"), &name, "cat", "/which"])
            };
            fill("old");
            which("never").fails(&["there is no image"]);
            assert_eq!(which("newer").succeeds().out, "old");
            fill("new");
            let seen =
                ["missing", "never", "newer", "always", "missing"].map(|when| which(when).succeeds().out);
            assert_eq!(seen, ["old", "old", "new", "new", "new"]);
        });
    });
}

#[test]
fn every_tag_of_a_repository_is_pulled() {
    alone(|| {
        on_loopback(|| {
            let registry = Registry::plain(5000);
            for tag in ["1", "2", "old"] {
                registry.fill(&image(), &format!("image:{tag}"));
            }
            let run = servin(&["pull", "-q", "--all-tags", &registry.name("image")]).succeeds();
            let mut names = run.lines();
            names.sort_unstable();
            assert_eq!(names, ["1", "2", "old"].map(|tag| registry.name(&format!("image:{tag}"))));
        });
    });
}

#[test]
fn a_blob_that_is_damaged_or_cut_off_is_refused_and_nothing_stays() {
    alone(|| {
        on_loopback(|| {
            let registry = Registry::plain(5000);
            registry.fill(&image(), "image");
            let name = registry.name("image");
            let layers = inspected(&name)["Layers"].clone();
            let layer = layers[1].as_str().expect("a digest");
            let blob = registry.blob(layer);
            let good = fs::read(&blob).expect("read");
            let mut bad = good.clone();
            let middle = bad.len() / 2;
            bad[middle] ^= 1;
            let cut = &good[..good.len() - 1000];
            for content in [&bad[..], cut] {
                fs::write(&blob, content).expect("damage a blob");
                servin(&["pull", &name])
                    .fails(&["pull localhost:5000/image", &layer["sha256:".len()..][..12]]);
                assert_eq!(servin(&["image", "ls", "-q"]).succeeds().out, "");
            }
            fs::write(&blob, good).expect("mend the blob");
            servin(&["pull", &name]).succeeds();
        });
    });
}

#[test]
fn a_download_that_is_cut_off_again_and_again_comes_to_its_end() {
    alone(|| {
        on_loopback(|| {
            let registry = Registry::plain(5000);
            registry.fill(&image(), "image");
            let _cutter = Cutter::start(5001, 5000, 200_000, 8);
            servin(&["pull", "localhost:5001/image"]).succeeds();
        });
    });
}

#[test]
fn a_registry_that_wants_a_password_gets_the_one_that_was_kept() {
    alone(|| {
        on_loopback(|| {
            let file = path("htpasswd");
            tool("htpasswd", &["-Bbc", &file, "me", "secret"]);
            let registry = Registry::start(5000, Setting { htpasswd: Some(&file), ..Setting::default() });
            let name = registry.name("image");
            tool(
                "skopeo",
                &[
                    "copy",
                    "-q",
                    "--insecure-policy",
                    "--dest-tls-verify=false",
                    "--dest-creds=me:secret",
                    &image(),
                    &format!("docker://{name}"),
                ],
            );
            servin(&["pull", &name]).fails(&["denied", "`servin login localhost:5000`"]);
            servin(&["login", "-u", "me", "-p", "secret", "localhost:5000"]).succeeds();
            servin(&["pull", &name]).succeeds();
            servin(&["push", &name, &registry.name("copy")]).succeeds();
            servin(&["logout", "localhost:5000"]).succeeds();
            // As Podman's and Docker's programs keep it.
            let kept = path("theirs.json");
            tool(
                "skopeo",
                &[
                    "login",
                    "--tls-verify=false",
                    "-u",
                    "me",
                    "-p",
                    "secret",
                    "--authfile",
                    &kept,
                    "localhost:5000",
                ],
            );
            servin_with(&[("REGISTRY_AUTH_FILE", &kept)], &["pull", &name]).succeeds();
            fs::write(&kept, r#"{"credHelpers": {"localhost:5000": "pass"}}"#).expect("write");
            servin(&["pull", "--authfile", &kept, &name]).fails(&["docker-credential-pass", "servin login"]);
        });
    });
}

#[test]
fn a_name_without_registry_comes_from_a_mirror_on_loopback() {
    alone(|| {
        on_loopback(|| {
            let registry = Registry::plain(5000);
            registry.fill(&image(), "library/alpine");
            let file = registries(r#"{"registries": {"docker.io": {"mirrors": ["http://127.0.0.1:5000"]}}}"#);
            let variables = [("SERVIN_REGISTRIES", &*file)];
            let run = servin_with(&variables, &["pull", "-q", "alpine"]).succeeds();
            assert_eq!(run.out, "docker.io/library/alpine:latest\n");
            servin_with(&variables, &["pull", "debian"]).fails(&["pull debian", "registry-1.docker.io"]);
            fs::write(&file, r#"{"registries": {"docker.io": {"mirrors": "x"}}}"#).expect("write");
            servin_with(&variables, &["pull", "alpine"])
                .fails(&["registries[\"docker.io\"].mirrors", "a list"]);
        });
    });
}

#[test]
fn a_registry_is_found_by_its_name_through_udp_and_tcp() {
    alone(|| {
        on_loopback(|| {
            let registry = Registry::plain(5000);
            registry.fill(&image(), "image");
            let _server = NameServer::start("registry.test");
            let (hosts, resolver) = (path("hosts"), path("resolv.conf"));
            fs::write(&hosts, "127.0.0.1 localhost\n").expect("write");
            fs::write(
                &resolver,
                "nameserver 127.0.0.1\nsearch nowhere.test test\noptions timeout:1 attempts:1\n",
            )
            .expect("write");
            bind(&hosts, "/etc/hosts").expect("bind");
            bind(&resolver, "/etc/resolv.conf").expect("bind");
            let file = registries(
                r#"{"registries": {"registry.test:5000": {"plainHttp": true}, "registry:5000": {"plainHttp": true}, "gone.test": {"plainHttp": true}}}"#,
            );
            let variables = [("SERVIN_REGISTRIES", &*file)];
            let whole = servin_with(&variables, &["pull", "registry.test:5000/image"]);
            let short = servin_with(&variables, &["pull", "registry:5000/image"]);
            let gone = servin_with(&variables, &["pull", "gone.test/image"]);
            unmount("/etc/hosts").expect("unmount");
            unmount("/etc/resolv.conf").expect("unmount");
            whole.succeeds();
            short.succeeds();
            gone.fails(&["look up gone.test: there is no such host"]);
        });
    });
}

#[test]
fn a_registry_behind_a_proxy_is_trusted_by_an_authority_of_its_own() {
    alone(|| {
        on_loopback(|| {
            let authority = Authority::new("ec:P-256");
            let certificate = authority.sign("rsa:2048", "DNS:registry.test,DNS:localhost", 0, 1);
            let setting = Setting { tls: Some((&certificate.0, &certificate.1)), ..Setting::default() };
            let registry = Registry::start(5443, setting);
            registry.fill(&image(), "image");
            let _proxy = Cutter::proxy(3128);
            let pull = || {
                // Nobody but the proxy could find this name.
                let variables = [("https_proxy", "http://localhost:3128"), ("SSL_CERT_DIR", "")];
                servin_with(&variables, &["pull", "registry.test:5443/image"])
            };
            pull().fails(&["an authority that is not trusted here"]);
            let own = path("docker/certs.d/registry.test:5443/ca.crt");
            fs::copy(&authority.certificate, own).expect("copy");
            bind(&path("docker"), "/etc/docker").expect("bind");
            let trusted = pull();
            unmount("/etc/docker").expect("unmount");
            trusted.succeeds();
        });
    });
}

#[test]
fn on_a_terminal_a_password_is_asked_for_unseen_and_each_layer_has_a_line() {
    alone(|| {
        on_loopback(|| {
            let file = path("htpasswd");
            tool("htpasswd", &["-Bbc", &file, "me", "secret"]);
            let _registry = Registry::start(5000, Setting { htpasswd: Some(&file), ..Setting::default() });
            let other = Registry::plain(5001);
            other.fill(&image(), "image");
            let command = |arguments: &[&str]| {
                let mut command = Command::new(servin_program());
                command.args(arguments);
                command
            };
            let mut terminal = Terminal::new(24, 80).start(command(&["login", "localhost:5000"]));
            terminal.expect("Name: ").type_in("me\r").expect("Password: ").type_in("secret\r");
            let said = terminal.finish().succeeds().out;
            assert!(said.contains("logged in to localhost:5000") && !said.contains("secret"), "{said}");
            let mut terminal = Terminal::new(24, 80).start(command(&["pull", &other.name("image")]));
            let said = terminal.finish().succeeds().out;
            // Drawn over the lines before.
            assert!(said.contains("\x1b[2A") && said.matches("  pulled ").count() >= 2, "{said:?}");
            servin(&["logout", "localhost:5000"]).succeeds();
        });
    });
}

/// The README, as it was when this was built.
const README: &str = include_str!("../../README.md");

#[test]
fn the_readmes_examples_with_registries_print_what_it_says() {
    alone(|| {
        on_loopback(|| {
            let registry = Registry::plain(5000);
            let file = path("htpasswd");
            tool("htpasswd", &["-Bbc", &file, "me", "secret"]);
            let _other = Registry::start(5001, Setting { htpasswd: Some(&file), ..Setting::default() });
            let layout = Layout::new("alpine").layer(|root| {
                let from = format!("{}/.", fixture("busybox").display());
                tool("cp", &["-a", &from, root.to_str().expect("UTF-8")]);
            });
            registry.fill(&format!("oci:{}:test", layout.text()), "library/alpine");
            let mirror =
                registries(r#"{"registries": {"docker.io": {"mirrors": ["http://127.0.0.1:5000"]}}}"#);
            let (_, section) = README.split_once("## Registries").expect("a section");
            let (_, examples) = section.split_once("```sh\n").expect("a block of examples");
            let (examples, _) = examples.split_once("```").expect("its end");
            let folder = servin_program().parent().expect("a folder").to_owned();
            let path = format!("{}:{}", folder.display(), std::env::var("PATH").unwrap_or_default());
            for line in examples.lines() {
                let (command, expected) = line.split_once("    # ").expect("a command and what it prints");
                let mut shell = Command::new("/bin/sh");
                shell.args(["-c", command]).env("PATH", &path).env("SERVIN_REGISTRIES", &mirror);
                let finished = start(shell).finish();
                assert_eq!(finished.out.trim_end(), expected, "{command}\n{}", finished.err);
            }
            // What was pulled runs when there is no registry any more, but not when it has to be looked at again.
            drop(registry);
            let variables = [("SERVIN_REGISTRIES", &*mirror)];
            servin_with(&variables, &["run", "--rm", "alpine", "true"]).succeeds();
            servin_with(&variables, &["run", "--rm", "--pull=newer", "alpine", "true"]).succeeds();
            servin_with(&variables, &["run", "--rm", "--pull=always", "alpine", "true"])
                .fails(&["pull alpine"]);
        });
    });
}
