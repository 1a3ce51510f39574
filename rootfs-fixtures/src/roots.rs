//! Root file systems, made idempotently: what is already right is not touched.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{FileTypeExt, PermissionsExt, symlink};
use std::path::Path;
use std::process::{Command, Stdio};

use crate::probe::wants_interpreter;
use crate::{Context, Error, Result};

/// The directories that every root here has, empty.
pub const DIRECTORIES: [&str; 8] = ["bin", "dev", "etc", "proc", "root", "sys", "tmp", "run"];

/// Everything that needs no network: the minimal root, busybox, the hostile ones.
pub fn make(fixtures: &Path) -> Result<()> {
    let (probe, roots) = (fixtures.join("probe"), fixtures.join("roots"));
    crate::probe::build(&probe)?;
    minimal(&roots.join("minimal"), &probe)?;
    busybox(&roots.join("busybox"), &probe)?;
    file_systems(&roots)?;
    for case in crate::hostile::CASES {
        let root = roots.join("hostile").join(case.name);
        minimal(&root, &probe)?;
        (case.arm)(&root)?;
    }
    Ok(())
}

/// The probe in /bin and empty directories.
pub fn minimal(root: &Path, probe: &Path) -> Result<()> {
    for name in DIRECTORIES {
        let directory = root.join(name);
        // A hostile root may have put a link in its place, on purpose.
        if directory.symlink_metadata().is_err() {
            fs::create_dir_all(&directory).context("create", &directory)?;
        }
    }
    let program = root.join("bin/probe");
    match same_file(probe, &program) {
        true => Ok(()),
        false => {
            let _ = fs::remove_file(&program);
            fs::hard_link(probe, &program).context("link", &program)
        }
    }
}

fn same_file(one: &Path, other: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let inode = |path: &Path| fs::metadata(path).map(|found| (found.dev(), found.ino())).ok();
    inode(one).is_some() && inode(one) == inode(other)
}

/// Debian's static busybox, a link for each applet, and the accounts `root` and `app`.
pub fn busybox(root: &Path, probe: &Path) -> Result<()> {
    minimal(root, probe)?;
    install(
        b"root:x:0:0:root:/root:/bin/sh\napp:x:1000:1000:App:/home/app:/bin/sh\n",
        0o644,
        &root.join("etc/passwd"),
    )?;
    install(b"root:x:0:\ntty:x:5:\napp:x:1000:\nextra:x:2000:app\n", 0o644, &root.join("etc/group"))?;
    let program = root.join("bin/busybox");
    if !program.exists() {
        install(&find_busybox(root)?, 0o755, &program)?;
    }
    let listed = Command::new(&program).arg("--list-full").output().context("execute", &program)?;
    for applet in String::from_utf8_lossy(&listed.stdout).lines() {
        let link = root.join(applet.trim_start_matches('/'));
        if link.symlink_metadata().is_err() {
            if let Some(folder) = link.parent() {
                fs::create_dir_all(folder).context("create", folder)?;
            }
            symlink("/bin/busybox", &link).context("link", &link)?;
        }
    }
    Ok(())
}

/// The same root in the file systems that lie in a file, by those of their makers that this host has.
fn file_systems(roots: &Path) -> Result<()> {
    let root = roots.join("busybox");
    let newest = |path: &Path| fs::metadata(path).and_then(|found| found.modified()).ok();
    for kind in ["squashfs", "erofs"] {
        let (file, made) = (roots.join(format!("busybox.{kind}")), roots.join(format!(".busybox.{kind}")));
        if newest(&file) > newest(&root.join("bin/probe")) {
            continue;
        }
        let mut command = match kind {
            "squashfs" => Command::new("mksquashfs"),
            _ => Command::new("mkfs.erofs"),
        };
        match kind {
            "squashfs" => command.arg(&root).arg(&made).args(["-noappend", "-quiet", "-no-progress"]),
            _ => command.arg("-d0").arg(&made).arg(&root),
        };
        match command.stdout(Stdio::null()).status() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Ok(status) if status.success() => fs::rename(&made, &file).context("rename", &made)?,
            _ => return Err(Error::new(format!("{command:?} failed"))),
        }
    }
    Ok(())
}

/// The host's busybox where it is static, else the one in Debian's package, unpacked and not installed.
fn find_busybox(root: &Path) -> Result<Vec<u8>> {
    for place in ["/bin/busybox", "/usr/bin/busybox"] {
        if let Some(content) = fs::read(place).ok().filter(|content| !wants_interpreter(content)) {
            return Ok(content);
        }
    }
    let unpacked = root.with_extension("package");
    fs::create_dir_all(&unpacked).context("create", &unpacked)?;
    run(Command::new("apt-get").current_dir(&unpacked).args([
        "--quiet",
        "--quiet",
        "download",
        "busybox-static",
    ]))?;
    run(Command::new("sh").current_dir(&unpacked).args(["-c", "dpkg-deb --extract busybox-static_*.deb ."]))?;
    let content =
        ["bin/busybox", "usr/bin/busybox"].iter().find_map(|place| fs::read(unpacked.join(place)).ok());
    let _ = fs::remove_dir_all(&unpacked);
    content.ok_or_else(|| Error::new("the package busybox-static has no busybox"))
}

/// A Debian system made by debootstrap from Debian's packages, with a Python interpreter; needs root and the
/// network, takes about a minute, and is made once.
pub fn debian(root: &Path) -> Result<()> {
    if root.join("usr/bin/apt").exists() {
        return Ok(());
    }
    let release = fs::read_to_string("/etc/os-release").unwrap_or_default();
    let suite = release.lines().find_map(|line| line.strip_prefix("VERSION_CODENAME=")).unwrap_or("stable");
    let unfinished = root.with_extension("unfinished");
    let _ = fs::remove_dir_all(&unfinished);
    let made = run(Command::new("debootstrap")
        .args(["--variant=minbase", "--include=python3", suite])
        .arg(&unfinished))
    .map_err(|error| Error::new(format!("{error} (apt-get install debootstrap?)")))
    .and_then(|()| fs::rename(&unfinished, root).context("rename to", root));
    if made.is_err() {
        let _ = fs::remove_dir_all(&unfinished);
    }
    made
}

fn run(command: &mut Command) -> Result<()> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command.stdin(Stdio::null()).output().context("execute", Path::new(&name))?;
    match output.status.success() {
        true => Ok(()),
        false => Err(Error::new(format!(
            "{name} failed ({}): {}{}",
            output.status,
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        ))),
    }
}

/// Puts `content` at `target` unless it is already there; the file appears whole.
pub fn install(content: &[u8], mode: u32, target: &Path) -> Result<()> {
    if fs::read(target).is_ok_and(|present| present == content) {
        return Ok(());
    }
    if let Some(folder) = target.parent() {
        fs::create_dir_all(folder).context("create", folder)?;
    }
    let new = target.with_extension("new");
    fs::write(&new, content).context("write", &new)?;
    fs::set_permissions(&new, Permissions::from_mode(mode)).context("set the mode of", &new)?;
    fs::rename(&new, target).context("rename to", target)
}

/// Puts a link at `place` instead of whatever is there.
pub(crate) fn link(to: &str, place: &Path) -> Result<()> {
    if fs::read_link(place).is_ok_and(|target| target == Path::new(to)) {
        return Ok(());
    }
    let _ = fs::remove_file(place).or_else(|_| fs::remove_dir_all(place));
    if let Some(folder) = place.parent() {
        fs::create_dir_all(folder).context("create", folder)?;
    }
    symlink(to, place).context("link", place)
}

/// Makes a named pipe (std cannot).
pub(crate) fn fifo(place: &Path) -> Result<()> {
    match place.symlink_metadata() {
        Ok(_) => Ok(()),
        Err(_) => run(Command::new("mkfifo").arg(place)),
    }
}

/// Copies a tree: directories, files, links and pipes with their modes; nothing else.
pub fn copy(from: &Path, to: &Path) -> Result<()> {
    let found = from.symlink_metadata().context("look at", from)?;
    let copied: io::Result<()> = if found.is_symlink() {
        fs::read_link(from).and_then(|target| symlink(target, to))
    } else if found.is_dir() {
        fs::create_dir_all(to).and_then(|()| fs::set_permissions(to, found.permissions()))
    } else if found.is_file() {
        fs::copy(from, to).map(drop)
    } else if found.file_type().is_fifo() {
        return fifo(to);
    } else {
        Err(io::Error::other("neither a directory nor a file, a link or a pipe"))
    };
    copied.context("copy", from)?;
    if found.is_dir() {
        for entry in fs::read_dir(from).context("list", from)? {
            let name = entry.context("list", from)?.file_name();
            copy(&from.join(&name), &to.join(&name))?;
        }
    }
    Ok(())
}
