//! `servin cp`: files and directories between the host and a container, whether it runs or not.
//!
//! What a container holds is hostile (hostile.md, CVE-2018-15664): its paths are resolved inside its root, and from
//! there on every step is from a directory's descriptor and follows nothing.

mod archive;

use alloc::ffi::CString;
use alloc::format;
use alloc::vec::Vec;
use core::ffi::CStr;

use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{AtFlags, CWD, Dir, FileType, Gid, Mode, OFlags, Uid};
use rustix::io::{self, Errno};
use rustix::process::{getegid, geteuid};

use super::arguments::{Command, Given, Group, flag};
use super::{Invocation, output, places, rootless};
use crate::container::directory::Lock;
use crate::container::view;
use crate::error::{Error, Result, Step};
use crate::fs::copy::{copy_known, copy_metadata};
use crate::fs::resolve;
use crate::sys::path::{chownat, mkdirat, openat, statat, unlinkat};

/// The table's entry.
pub const CP: Command = Command {
    name: "servin cp",
    usage: "[FLAGS] CONTAINER:PATH PATH|- | PATH|- CONTAINER:PATH",
    about: "Copy files between the host and a container, or an archive with -.",
    groups: &[Group(
        "Copy",
        &[
            flag("archive", Some('a'), None, "keep owners (default: root inside, you outside)"),
            flag("follow-link", Some('L'), None, "copy what a link at the source's end leads to"),
            flag("quiet", Some('q'), None, "accepted: nothing is printed anyway"),
        ],
    )],
    last_word: usize::MAX,
};

const DIRECTORY: OFlags =
    OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// One side: a root, and a path in it.
struct Side<'a> {
    root: OwnedFd,
    path: &'a str,
    /// The path is a container's.
    inside: bool,
    _lock: Option<Lock>,
}

/// How entries are copied.
#[derive(Clone, Copy)]
struct Manner {
    /// Who gets the copies; none keeps their owners.
    owner: Option<(Uid, Gid)>,
    /// Device nodes are made: never on the host, where a stranger's would be as good as the host's own.
    devices: bool,
}

/// Runs the command.
pub fn main(invocation: &Invocation, given: &Given) -> Result<i32> {
    given.between(&CP, "the source or the target", 2, 2)?;
    let (from, to) = (given.words[0], given.words[1]);
    match (container(from), container(to)) {
        (None, None) => return Err(Error::new("one of both is CONTAINER:PATH; cp(1) copies on the host")),
        (Some(_), Some(_)) => {
            return Err(Error::new("from one container to another: copy to the host in between"));
        }
        _ => {}
    }
    // The namespace that a container has now, it does not have when it is started anew: then the copy fails.
    let process = match container(from).or(container(to)) {
        Some((name, _)) => {
            let store = places::store(invocation, given)?;
            let record = store.find(name)?.record;
            let process = if record.state.phase.is_alive() { store.process(&record.id)? } else { None };
            process.map(|process| process.pid)
        }
        None => None,
    };
    rootless::as_root(invocation, given, process, &mut |inside| {
        both(inside, given).map_err(|error| error.within(format_args!("copy {from} to {to}")))
    })
}

/// Does it as who may.
fn both(invocation: &Invocation, given: &Given) -> Result<i32> {
    let (from, to) = (given.words[0], given.words[1]);
    if to == "-" {
        if given.switch("follow-link", false) {
            return Err(Error::new("--follow-link: an archive has links as links"));
        }
        return archive::write(&side(invocation, given, from)?).map(|()| 0);
    }
    if from == "-" {
        return archive::read(&side(invocation, given, to)?).map(|()| 0);
    }
    let (source, target) = (side(invocation, given, from)?, side(invocation, given, to)?);
    let owner = match (given.switch("archive", false), target.inside) {
        (true, _) => None,
        (false, true) => Some((Uid::ROOT, Gid::ROOT)),
        (false, false) => Some((geteuid(), getegid())),
    };
    let manner = Manner { owner, devices: target.inside };
    copy(&source, &target, given.switch("follow-link", false), manner).map(|()| 0)
}

/// `NAME:PATH`; a path with a slash before the colon is the host's.
fn container(word: &str) -> Option<(&str, &str)> {
    word.split_once(':').filter(|(name, _)| !name.is_empty() && !name.contains('/') && !name.starts_with('.'))
}

fn side<'a>(invocation: &Invocation, given: &Given, word: &'a str) -> Result<Side<'a>> {
    let Some((name, path)) = container(word) else {
        let root = if word.starts_with('/') { c"/" } else { c"." };
        let root =
            openat(CWD, root, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).step(|| "open a directory")?;
        return Ok(Side { root, path: word, inside: false, _lock: None });
    };
    let store = places::store(invocation, given)?;
    let mut entry = store.find(name)?;
    // Nobody starts it while its files are mounted here.
    let lock = match entry.record.state.phase.is_alive() {
        true => None,
        false => Some(entry.reload()?),
    };
    let root = view::of_container(store, &entry)?;
    let path = if path.is_empty() { "/" } else { path };
    Ok(Side { root, path, inside: true, _lock: lock })
}

impl Side<'_> {
    /// Opens a path of this side; the host's own are as the caller means them.
    fn open(&self, path: &str, flags: OFlags) -> io::Result<OwnedFd> {
        match self.inside {
            true => resolve::open(&self.root, path, flags),
            false => openat(
                &self.root,
                if path.is_empty() { "." } else { path },
                flags | OFlags::CLOEXEC,
                Mode::empty(),
            ),
        }
    }

    fn directory(&self, path: &str) -> io::Result<OwnedFd> {
        self.open(path, OFlags::RDONLY | OFlags::DIRECTORY)
    }
}

/// The directory of a path, and the last name in it.
fn split(path: &str) -> (&str, &str) {
    let path = path.trim_end_matches('/');
    match path.rsplit_once('/') {
        Some(("", name)) => ("/", name),
        Some((above, name)) => (above, name),
        None => ("", path),
    }
}

fn c_name(name: &str) -> Result<CString> {
    CString::new(name).map_err(|_| Error::new("a name holds a NUL"))
}

fn copy(source: &Side, target: &Side, follow: bool, manner: Manner) -> Result<()> {
    let contents = source.path.ends_with("/.") || source.path == "." || split(source.path).1.is_empty();
    let look = || format!("look at {}", source.path);
    // What is copied is a name in a directory, so that a link is copied as a link.
    let (above, name) = split(source.path);
    let whole = || source.directory(source.path);
    let (from, stat) = match contents || matches!(name, "" | "." | "..") {
        true => (None, rustix::fs::fstat(whole().step(look)?).step(look)?),
        false => {
            let above = source.directory(above).step(look)?;
            let stat = statat(&above, name, AtFlags::SYMLINK_NOFOLLOW).step(look)?;
            (Some(above), stat)
        }
    };
    let link = FileType::from_raw_mode(stat.st_mode) == FileType::Symlink;
    let followed = (link && follow).then(|| source.open(source.path, OFlags::PATH)).transpose().step(look)?;
    let stat = match &followed {
        Some(place) => rustix::fs::fstat(place).step(look)?,
        None => stat,
    };
    let is_directory = FileType::from_raw_mode(stat.st_mode) == FileType::Directory;
    // Where to: into a directory that is there, or under a new name.
    let (into, new) = match target.directory(target.path) {
        Ok(into) if is_directory && contents => return merge_all(whole().step(look)?, into, manner, false),
        Ok(into) => (into, name),
        Err(Errno::NOENT | Errno::NOTDIR) if target.path.ends_with('/') && !is_directory => {
            return Err(Error::new(format_args!("{} is no directory", target.path)));
        }
        Err(Errno::NOENT | Errno::NOTDIR) => {
            let (above, new) = split(target.path);
            let step = || format!("open the directory of {}", target.path);
            (target.directory(above).step(step)?, new)
        }
        Err(errno) => return Err(Error::os(format_args!("open {}", target.path), errno)),
    };
    let new = c_name(new)?;
    if is_directory {
        let from = match followed {
            Some(_) => source.directory(source.path),
            None => whole(),
        };
        let (to, made) = enter(&into, &new).step(|| format!("make {}", new.to_string_lossy()))?;
        return merge_all(from.step(look)?, to, manner, made);
    }
    let step = || format!("write {}", new.to_string_lossy());
    match (from, followed) {
        // The file that the link leads to.
        (_, Some(place)) => {
            let file = resolve::reopen(&place, OFlags::RDONLY | OFlags::NONBLOCK).step(look)?;
            replace(&into, &new).step(step)?;
            let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let written = openat(&into, &*new, flags, Mode::RUSR | Mode::WUSR).step(step)?;
            crate::fs::copy::copy_data(file.as_fd(), written.as_fd()).step(step)?;
            copy_metadata(&file, &written, &stat).step(step)?;
            give(&into, &new, manner).step(step)
        }
        (Some(from), None) => put(&from, &c_name(name)?, &into, &new, manner).map(drop).step(step),
        (None, None) => Err(Error::new(format_args!("{} is no file", source.path))),
    }
}

/// The directory `name` of `to`, made where it is missing; says whether it was.
fn enter(to: &OwnedFd, name: &CStr) -> io::Result<(OwnedFd, bool)> {
    let made = match mkdirat(to, name, Mode::RWXU) {
        Ok(()) => true,
        Err(Errno::EXIST) => false,
        Err(errno) => return Err(errno),
    };
    openat(to, name, DIRECTORY, Mode::empty()).map(|directory| (directory, made))
}

/// Makes room for a new file; a directory stays, and is an error.
fn replace(to: &OwnedFd, name: &CStr) -> io::Result<()> {
    match unlinkat(to, name, AtFlags::empty()) {
        Err(Errno::NOENT) => Ok(()),
        other => other,
    }
}

fn give(to: &OwnedFd, name: &CStr, manner: Manner) -> io::Result<()> {
    let Some((uid, gid)) = manner.owner else { return Ok(()) };
    chownat(to, name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)
}

/// Copies one entry over what is there; a directory is returned with its original, to be filled.
fn put(
    from: &OwnedFd,
    original: &CStr,
    to: &OwnedFd,
    name: &CStr,
    manner: Manner,
) -> io::Result<Option<(OwnedFd, OwnedFd, bool)>> {
    let stat = statat(from, original, AtFlags::SYMLINK_NOFOLLOW)?;
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::Directory => {
            let (directory, made) = enter(to, name)?;
            return Ok(Some((openat(from, original, DIRECTORY, Mode::empty())?, directory, made)));
        }
        FileType::CharacterDevice | FileType::BlockDevice if !manner.devices => {
            output::warning(&format!("{} is a device and is left out", original.to_string_lossy()));
            return Ok(None);
        }
        FileType::Socket => return Ok(None),
        _ => {}
    }
    replace(to, name)?;
    copy_known(from, original, &stat, to, name)?;
    give(to, name, manner)?;
    Ok(None)
}

/// Copies all that is in a directory into another one; one that was made gets the attributes of its original.
fn merge_all(from: OwnedFd, to: OwnedFd, manner: Manner, made: bool) -> Result<()> {
    let list = |directory: &OwnedFd| Dir::read_from(directory).step(|| "list a directory");
    let mut inside = Vec::from([(list(&from)?, from, to, made)]);
    while let Some((entries, from, to, made)) = inside.last_mut() {
        let Some(entry) = entries.next() else {
            if *made {
                let stat = rustix::fs::fstat(&*from).step(|| "look at a directory")?;
                copy_metadata(from, to, &stat).step(|| "copy a directory's attributes")?;
                if let Some((uid, gid)) = manner.owner {
                    rustix::fs::fchown(&*to, Some(uid), Some(gid)).step(|| "give a directory away")?;
                }
            }
            inside.pop();
            continue;
        };
        let entry = entry.step(|| "list a directory")?;
        let name = entry.file_name();
        if name == c"." || name == c".." {
            continue;
        }
        let put = put(from, name, to, name, manner);
        if let Some((from, to, made)) = put.step(|| format!("copy {}", name.to_string_lossy()))? {
            inside.push((list(&from)?, from, to, made));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_container_is_what_stands_before_a_colon_and_is_no_path() {
        assert_eq!(container("box:/etc"), Some(("box", "/etc")));
        assert_eq!(container("box:"), Some(("box", "")));
        for host in ["/a:b", "./a:b", "a/b:c", "a", ":x"] {
            assert_eq!(container(host), None, "{host}");
        }
    }

    #[test]
    fn a_path_is_a_directory_and_a_name() {
        assert_eq!(split("/etc/passwd"), ("/etc", "passwd"));
        assert_eq!(split("/etc/"), ("/", "etc"));
        assert_eq!(split("file"), ("", "file"));
        assert_eq!(split("/"), ("", ""));
    }
}
