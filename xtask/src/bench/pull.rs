//! `bench pull`: images from a registry on the loopback into an empty store, beside Podman, which unpacks them too,
//! skopeo and umoci, of which one copies the blobs and the other unpacks them, and skopeo alone. The images are Debian's
//! files in several layers and in one, and many small files.

use std::fs;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::runner::{Contender, ID, Measured, chosen, run};
use super::statistics::ratio;
use super::table::Table;
use super::{Options, programs};
use crate::{Result, command, debian, workspace};

const ROUNDS: usize = 7;
/// Nobody else's port is used: a registry that is there already is not ours.
const PORT: u16 = 58_123;
/// Podman wants a short name for what is gone at reboot.
pub const PODMANS_PLACE: &str = "/tmp/servin-bench-podman";
const TIME_LIMIT: Duration = Duration::from_secs(20);

/// An image that is brought: what it is, and what each layer has of which root.
pub struct Image {
    pub what: &'static str,
    root: fn(&Path) -> Result<PathBuf>,
    layers: &'static [&'static [&'static str]],
}

pub const IMAGES: [Image; 3] = [
    Image {
        what: "Debian's files in 4 layers",
        root: debian_root,
        layers: &[
            &["./bin", "./sbin", "./lib", "./lib64", "./etc", "./usr/bin", "./usr/sbin"],
            &["./usr/lib"],
            &["./usr/share"],
            &["./var", "./root", "./tmp"],
        ],
    },
    Image { what: "Debian's files in one layer", root: debian_root, layers: &[&["."]] },
    Image { what: "20,000 small files in one layer", root: small_files, layers: &[&["."]] },
];

/// The Debian root of the tests.
fn debian_root(_: &Path) -> Result<PathBuf> {
    let root = workspace::target().join("fixtures/roots/debian");
    if root.join("usr/lib").is_dir() {
        return Ok(root);
    }
    Err(format!("no {}: `cargo xtask test host/real` makes it", root.display()))
}

/// Files of a line, a hundred in each directory.
fn small_files(folder: &Path) -> Result<PathBuf> {
    let root = folder.join("root");
    for number in 0..20_000 {
        workspace::write(&root.join(format!("{}/{number}", number / 100)), format!("file {number}\n"))?;
    }
    Ok(root)
}

pub fn run_all(options: &Options) -> Result {
    debian::ensure(&["docker-registry", "skopeo", "podman", "umoci"], "bench pull")?;
    let state = programs::folder().join("state");
    let registry = Registry::start(&state.join("registry"))?;
    let name = format!("localhost:{PORT}/bench");
    let to = format!("docker://{name}");
    let text = |path: &Path| path.to_string_lossy().into_owned();
    let (place, skopeos) = (text(&state.join(ID)), format!("oci:{}", text(&state.join(ID))));
    let servin = text(&workspace::dist().join("servin"));
    let (podman, skopeo) = (text(&command::find("podman")?), text(&command::find("skopeo")?));
    let (umoci, shell) = (text(&command::find("umoci")?), text(&command::find("sh")?));
    let both = "mkdir \"$0\" &&
        \"$1\" copy --quiet --insecure-policy --src-tls-verify=false \"$2\" \"oci:$0/layout:image\" &&
        \"$3\" unpack --image \"$0/layout:image\" \"$0/bundle\"";
    #[rustfmt::skip]
    let contenders = chosen(vec![
        Contender::new("servin", &[&servin, "--home", &place, "pull", "--quiet", &name]),
        Contender::new("podman", &[
            &podman, "--root", &place, "--runroot", PODMANS_PLACE, "pull", "--quiet", "--tls-verify=false", &name,
        ]),
        Contender::new("skopeo, umoci", &[&shell, "-c", both, &place, &skopeo, &to, &umoci]),
        Contender::new("skopeo", &[
            &skopeo, "copy", "--quiet", "--insecure-policy", "--src-tls-verify=false", &to, &skopeos,
        ]),
    ], options)?;
    let rounds = options.rounds.unwrap_or(ROUNDS);
    println!("from a registry on the loopback; {rounds} interleaved rounds; peak: the largest process");
    println!("podman, and umoci behind skopeo, unpack as servin does; skopeo alone copies blobs\n");
    for image in &IMAGES {
        image.copy(&state.join("image"), &["--dest-tls-verify=false", &to])?;
        let measured = interleaved(&contenders, rounds, &state)?;
        println!("{}\n\n{}", image.what, table(&measured).text(options.markdown));
    }
    drop(registry);
    let _ = fs::remove_dir_all(PODMANS_PLACE);
    Ok(())
}

/// Runs everybody in turn, each time into a place of its own, which is removed.
pub fn interleaved(contenders: &[Contender], rounds: usize, state: &Path) -> Result<Vec<Measured>> {
    let mut measured: Vec<Measured> =
        contenders.iter().map(|each| Measured { name: each.name, samples: Vec::new() }).collect();
    for round in 0..=rounds {
        for turn in 0..contenders.len() {
            let index = (round + turn) % contenders.len();
            let sample = run(&contenders[index], round)?;
            // The name that the run had, which is where its store is.
            let made = contenders[index].line(round).into_iter().find_map(|word| {
                word.find("bench-").map(|at| word[at..].split('/').next().unwrap_or_default().to_owned())
            });
            remove(state, made.as_deref())?;
            // The first one fills the page cache.
            if round > 0 {
                measured[index].samples.push(sample);
            }
        }
    }
    Ok(measured)
}

/// Times and peaks, and their ratios to the first.
pub fn table(measured: &[Measured]) -> Table {
    let mut table = Table::new(&["", "median ms", "CPU ms", "peak kB", "ratio of time", "ratio of peak"]);
    let Some(first) = measured.first() else { return table };
    let (time, peak) = (first.median(|sample| sample.wall_ns), first.median(|sample| sample.peak_kb));
    for each in measured {
        let (wall, memory) = (each.median(|sample| sample.wall_ns), each.median(|sample| sample.peak_kb));
        table.row(vec![
            each.name.to_owned(),
            format!("{:.0}", wall as f64 / 1e6),
            format!("{:.0}", each.median(|sample| sample.cpu_us) as f64 / 1e3),
            memory.to_string(),
            format!("{:.2}", ratio(wall, time)),
            format!("{:.1}", ratio(memory, peak)),
        ]);
    }
    table
}

/// Removes what a run has made: Podman's overlays are mounted.
fn remove(state: &Path, name: Option<&str>) -> Result {
    let Some(name) = name else { return Ok(()) };
    let place = state.join(name);
    let _ = Command::new("umount").arg("-l").arg(place.join("overlay")).stderr(Stdio::null()).status();
    fs::remove_dir_all(&place).map_err(|e| format!("remove {}: {e}", place.display()))
}

impl Image {
    /// Lets skopeo copy it to where `to` says; `folder` is used on the way.
    pub fn copy(&self, folder: &Path, to: &[&str]) -> Result {
        let from = format!("docker-archive:{}", self.archive(folder)?.display());
        command::run(Command::new("skopeo").args(["copy", "--quiet", "--insecure-policy", &from]).args(to))?;
        fs::remove_dir_all(folder).map_err(|e| format!("remove the archive: {e}"))
    }

    /// An archive as `docker save` makes it.
    fn archive(&self, folder: &Path) -> Result<PathBuf> {
        let root = (self.root)(folder)?;
        fs::create_dir_all(folder).map_err(|e| format!("make {}: {e}", folder.display()))?;
        let (mut sums, mut layers) = (Vec::new(), Vec::new());
        for (number, parts) in self.layers.iter().enumerate() {
            let name = format!("{number}.tar");
            let mut tar = Command::new("tar");
            tar.arg("-C").arg(&root).arg("-cf").arg(folder.join(&name)).args(*parts);
            command::run(&mut tar)?;
            let sum = command::output(Command::new("sha256sum").arg(folder.join(&name)))?;
            sums.push(format!("\"sha256:{}\"", sum.split(' ').next().unwrap_or_default()));
            layers.push(format!("\"{name}\""));
        }
        let machine = if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" };
        let config = format!(
            r#"{{"architecture": "{machine}", "os": "linux", "config": {{}}, "rootfs": {{"type": "layers", "diff_ids": [{}]}}}}"#,
            sums.join(", ")
        );
        workspace::write(&folder.join("config.json"), config)?;
        let manifest =
            format!(r#"[{{"Config": "config.json", "RepoTags": [], "Layers": [{}]}}]"#, layers.join(", "));
        workspace::write(&folder.join("manifest.json"), manifest)?;
        let whole = folder.join("image.tar");
        let mut tar = Command::new("tar");
        tar.arg("-C").arg(folder).arg("-cf").arg(&whole).args(["manifest.json", "config.json"]);
        command::run(tar.args(layers.iter().map(|name| name.trim_matches('"'))))?;
        Ok(whole)
    }
}

/// Debian's registry, until it is dropped.
struct Registry(Child);

impl Registry {
    fn start(folder: &Path) -> Result<Registry> {
        if TcpStream::connect(("127.0.0.1", PORT)).is_ok() {
            return Err(format!("somebody listens on port {PORT} already"));
        }
        let configuration = folder.join("config.yml");
        let text = format!(
            "version: 0.1\nlog: {{level: error}}\nstorage: {{filesystem: {{rootdirectory: {}}}}}\nhttp: {{addr: '127.0.0.1:{PORT}'}}\n",
            folder.display()
        );
        workspace::write(&configuration, text)?;
        let mut registry = Command::new("docker-registry");
        registry.arg("serve").arg(&configuration);
        registry.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let registry = Registry(registry.spawn().map_err(|e| format!("docker-registry: {e}"))?);
        let end = Instant::now() + TIME_LIMIT;
        while TcpStream::connect(("127.0.0.1", PORT)).is_err() {
            if Instant::now() > end {
                return Err("docker-registry does not listen".to_owned());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(registry)
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
