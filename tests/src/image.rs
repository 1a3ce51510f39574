//! Images for tests: OCI layouts made by umoci, and what a tree of files looks like, to be compared.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::places;

/// Runs a program of the host that has to succeed; says what it printed.
#[track_caller]
pub fn tool(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|error| panic!("{program}: {error}"));
    let err = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {arguments:?}: {}\n{err}", output.status);
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// An OCI layout in the making, with one image called `test`.
pub struct Layout {
    /// The layout's directory.
    pub path: PathBuf,
    bundle: PathBuf,
}

impl Layout {
    /// An image without layers.
    #[track_caller]
    pub fn new(name: &str) -> Layout {
        let layout = Layout {
            path: places::scratch(&format!("{name}/layout")),
            bundle: places::scratch(&format!("{name}/bundle")),
        };
        tool("umoci", &["init", "--layout", &text(&layout.path)]);
        tool("umoci", &["new", "--image", &layout.image()]);
        layout
    }

    fn image(&self) -> String {
        format!("{}:test", self.path.display())
    }

    /// Adds a layer: what `change` does to the files of those before it.
    #[track_caller]
    pub fn layer(self, change: impl FnOnce(&Path)) -> Layout {
        if !self.bundle.exists() {
            tool("umoci", &["unpack", "--image", &self.image(), &text(&self.bundle)]);
        }
        change(&self.bundle.join("rootfs"));
        tool("umoci", &["repack", "--refresh-bundle", "--image", &self.image(), &text(&self.bundle)]);
        self
    }

    /// Adds an archive as a layer, whatever is in it.
    #[track_caller]
    pub fn raw_layer(self, archive: &[u8]) -> Layout {
        let file = places::scratch("layer.tar");
        fs::write(&file, archive).expect("write a layer");
        tool("umoci", &["raw", "add-layer", "--image", &self.image(), &text(&file)]);
        self
    }

    /// Changes the configuration, by flags of `umoci config`.
    #[track_caller]
    pub fn config(self, flags: &[&str]) -> Layout {
        tool("umoci", &[&["config", "--image", &self.image()], flags].concat());
        self
    }

    /// The layout's path as text.
    pub fn text(&self) -> String {
        text(&self.path)
    }

    /// What umoci makes of the image, in a new directory.
    #[track_caller]
    pub fn unpacked_by_umoci(&self) -> PathBuf {
        let bundle = places::scratch("umoci");
        tool("umoci", &["unpack", "--image", &self.image(), &text(&bundle)]);
        bundle.join("rootfs")
    }
}

fn text(path: &Path) -> String {
    path.to_str().expect("UTF-8").into()
}

/// Every file below `root` on a line of its own: name, type, mode, owner, device, length, time, links to it, extended
/// attributes, and what is in it.
#[track_caller]
pub fn listing(root: &Path) -> Vec<String> {
    const SCRIPT: &str = r#"
import hashlib, os, stat, sys
root = os.fsencode(sys.argv[1])
first = {}
def line(path):
    status = os.lstat(path)
    kind = stat.S_IFMT(status.st_mode)
    content, size = '', 0
    if kind == stat.S_IFREG:
        size = status.st_size
        content = hashlib.sha256(open(path, 'rb').read()).hexdigest()
        name = first.setdefault(status.st_ino, path)
        content += ' ' + repr(os.path.relpath(name, root)) if name != path else ''
    elif kind == stat.S_IFLNK:
        content = repr(os.readlink(path))
    device = status.st_rdev if kind in (stat.S_IFCHR, stat.S_IFBLK) else 0
    names = sorted(n for n in os.listxattr(path, follow_symlinks=False) if '.overlay.' not in n)
    attributes = [(n, os.getxattr(path, n, follow_symlinks=False)) for n in names]
    print(repr(os.path.relpath(path, root)), oct(status.st_mode), status.st_uid, status.st_gid, device, size,
          status.st_mtime_ns, attributes, content)
def walk(path):
    line(path)
    for name in sorted(os.listdir(path)):
        below = os.path.join(path, name)
        if stat.S_ISDIR(os.lstat(below).st_mode):
            walk(below)
        else:
            line(below)
walk(root)
"#;
    let listed = tool("python3", &["-c", SCRIPT, &text(root)]);
    listed.lines().map(str::to_string).collect()
}

/// Fails the test unless both trees are the same, and shows where they are not.
#[track_caller]
pub fn assert_same(ours: &Path, theirs: &Path) {
    let (ours, theirs) = (listing(ours), listing(theirs));
    let only =
        |a: &[String], b: &[String]| a.iter().filter(|line| !b.contains(line)).cloned().collect::<Vec<_>>();
    let (left, right) = (only(&ours, &theirs), only(&theirs, &ours));
    assert!(left.is_empty() && right.is_empty(), "ours alone: {left:#?}\ntheirs alone: {right:#?}");
    assert!(ours.len() > 1);
}

/// The layers of the newest image as an overlay, at a new place that the test unmounts.
#[track_caller]
pub fn mounted(home: &str, image: &str) -> PathBuf {
    let target = places::scratch("merged");
    fs::create_dir_all(&target).expect("make a mount point");
    let lower = crate::servin(&[
        "--home",
        home,
        "image",
        "inspect",
        "-f",
        "{{range .RootFS.Layers}}{{.}} {{end}}",
        image,
    ])
    .succeeds()
    .out;
    let mut paths = Vec::new();
    let mut chain = String::new();
    for diff_id in lower.split_whitespace() {
        chain = match chain.as_str() {
            "" => diff_id.to_string(),
            below => format!("sha256:{}", sha256(&format!("{below} {diff_id}"))),
        };
        paths.insert(0, format!("{home}/layers/sha256/{}", &chain[7..]));
    }
    let empty = places::scratch("empty");
    fs::create_dir_all(&empty).expect("make a directory");
    paths.push(text(&empty));
    crate::sys::file_system("overlay", "overlay", &text(&target), &format!("lowerdir={}", paths.join(":")))
        .expect("mount the layers");
    target
}

fn sha256(content: &str) -> String {
    let file = places::scratch("hashed");
    fs::write(&file, content).expect("write");
    tool("sha256sum", &[&text(&file)])[..64].to_string()
}
