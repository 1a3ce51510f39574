//! Debian's `docker-registry` on the loopback of a test's own network namespace.

use std::fs;
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::{places, run};

/// A registry that runs until it is dropped.
pub struct Registry {
    child: Child,
    port: u16,
}

/// How one is started.
#[derive(Default)]
pub struct Setting<'a> {
    /// Names of the files of its certificate and key; without, it speaks plain HTTP.
    pub tls: Option<(&'a str, &'a str)>,
    /// The file of htpasswd; without, everybody is welcome.
    pub htpasswd: Option<&'a str>,
}

impl Registry {
    /// Starts an empty one that speaks HTTP to everybody.
    pub fn plain(port: u16) -> Registry {
        Registry::start(port, Setting::default())
    }

    /// Starts an empty one.
    pub fn start(port: u16, setting: Setting) -> Registry {
        let place = places::scratch(&format!("registry/{port}/data"));
        let mut document = format!(
            "version: 0.1\nlog: {{level: error}}\nstorage: {{filesystem: {{rootdirectory: {}}}, delete: {{enabled: true}}}}\nhttp:\n  addr: 127.0.0.1:{port}\n  secret: test\n",
            place.display()
        );
        if let Some((certificate, key)) = setting.tls {
            document.push_str(&format!("  tls: {{certificate: {certificate}, key: {key}}}\n"));
        }
        if let Some(file) = setting.htpasswd {
            document.push_str(&format!("auth: {{htpasswd: {{realm: test, path: {file}}}}}\n"));
        }
        let configuration = places::scratch(&format!("registry/{port}/config.yml"));
        fs::write(&configuration, document).expect("write the registry's configuration");
        let mut command = Command::new("docker-registry");
        command
            .arg("serve")
            .arg(&configuration)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let child = command.spawn().expect("start docker-registry");
        let end = Instant::now() + run::within(Duration::from_secs(30));
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(Instant::now() < end, "docker-registry does not listen on {port}");
            std::thread::sleep(Duration::from_millis(20));
        }
        Registry { child, port }
    }

    /// `localhost:PORT/REPOSITORY`.
    pub fn name(&self, repository: &str) -> String {
        format!("localhost:{}/{repository}", self.port)
    }

    /// Where a blob's bytes are, to be damaged.
    pub fn blob(&self, digest: &str) -> PathBuf {
        let hex = digest.trim_start_matches("sha256:");
        let blobs =
            format!("registry/{}/data/docker/registry/v2/blobs/sha256/{}/{hex}/data", self.port, &hex[..2]);
        places::scratch(&blobs)
    }

    /// Puts the image of an OCI directory (`oci:/…`) or an archive into it, by skopeo.
    pub fn fill(&self, from: &str, repository: &str) {
        let to = format!("docker://{}", self.name(repository));
        tool(
            "skopeo",
            &["copy", "--quiet", "--insecure-policy", "--dest-tls-verify=false", "--all", from, &to],
        );
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs another program, which has to succeed; returns what it printed.
#[track_caller]
pub fn tool(program: &str, arguments: &[&str]) -> String {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null());
    let output = command.output().unwrap_or_else(|error| panic!("start {program}: {error}"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}
