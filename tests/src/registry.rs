//! Debian's `docker-registry` on the loopback of a test's own network namespace.

use std::fs;
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::{Finished, places, run, start, tool};

/// `servin ARGUMENTS` with variables.
pub fn servin_with(variables: &[(&str, &str)], arguments: &[&str]) -> Finished {
    let mut command = Command::new(places::servin_program());
    command.args(arguments).envs(variables.iter().copied()).stdin(Stdio::null());
    start(command).finish()
}

/// The name of a file in the test's own tmpfs.
pub fn path(name: &str) -> String {
    places::scratch(name).to_str().expect("UTF-8").to_owned()
}

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

/// Makes an archive as `docker save` does, of layers with these files (name and content), and names it `docker-archive:…`
/// for skopeo.
pub fn archive(name: &str, layers: &[&[(&str, &[u8])]]) -> String {
    let place = places::scratch(&format!("archives/{name}/manifest.json"));
    let folder = place.parent().expect("a folder");
    let path = |file: &str| folder.join(file).to_str().expect("UTF-8").to_owned();
    let (mut diff_ids, mut members) =
        (Vec::new(), vec!["manifest.json".to_owned(), "config.json".to_owned()]);
    for (number, files) in layers.iter().enumerate() {
        let (tree, tar) = (path(&format!("tree{number}")), format!("{number}.tar"));
        for (file, content) in *files {
            let file = format!("{tree}/{file}");
            fs::create_dir_all(std::path::Path::new(&file).parent().expect("a folder"))
                .expect("make a folder");
            fs::write(file, content).expect("write a file of a layer");
        }
        tool("tar", &["-C", &tree, "--sort=name", "--owner=0", "--group=0", "-cf", &path(&tar), "."]);
        let sum = tool("sha256sum", &[&path(&tar)]);
        diff_ids.push(format!("sha256:{}", sum.split(' ').next().unwrap_or_default()));
        members.push(tar);
    }
    let machine = if cfg!(target_arch = "x86_64") { "amd64" } else { "arm64" };
    let config = serde_json::json!({
        "architecture": machine, "os": "linux", "config": {"Cmd": ["/hello"]},
        "rootfs": {"type": "layers", "diff_ids": diff_ids},
    });
    fs::write(path("config.json"), config.to_string()).expect("write the configuration");
    let manifest = serde_json::json!([{"Config": "config.json", "RepoTags": [], "Layers": members[2..]}]);
    fs::write(&place, manifest.to_string()).expect("write the manifest");
    let whole = path("image.tar");
    let mut arguments = vec!["-C", folder.to_str().expect("UTF-8"), "-cf", &whole];
    arguments.extend(members.iter().map(String::as_str));
    tool("tar", &arguments);
    format!("docker-archive:{whole}")
}

/// Bytes that do not compress: always the same.
pub fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let mut bytes: Vec<u8> = (0..length / 8 + 1).flat_map(|_| next().to_le_bytes()).collect();
    bytes.truncate(length);
    bytes
}
