//! The root file system of a container: an overlay over the layers of its image, or where that cannot be, a copy.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{AtFlags, CWD, Dir, FileType, OFlags};
use rustix::io::Errno;
use rustix::mount::{FsOpenFlags, fsopen};

use super::copy::{DIRECTORY, make_directory, open_at, remove_any};
use super::digest::digits;
use super::store::{Image, LAYERS, Store, chain_ids};
use super::unpack::{Whiteouts, is_whiteout};
use crate::error::{Error, Result, Step};
use crate::fs::copy::{copy_entry, copy_metadata};
use crate::fs::{read_to_end, resolve};
use crate::gather::Gather as _;
use crate::sys::path::statat;

/// What a container's root file system is made of.
#[derive(Debug, Clone, Default)]
pub struct Layers {
    /// The directories of the layers, the highest first. None where the image has none.
    pub paths: Vec<String>,
    /// An overlay of them takes notes in attributes that users may set.
    pub user_xattrs: bool,
    /// No overlay can be made of them: [`copy`] does instead.
    pub copied: bool,
}

/// The layers of an image, for a container. An error where one is missing.
pub fn layers(store: &Store, image: &Image) -> Result<Layers> {
    let chain = chain_ids(&image.config.rootfs.diff_ids);
    if let Some(missing) = chain.iter().find(|id| !store.has_layer(id)) {
        return Err(Error::new(format_args!(
            "the layer {missing} of the image is missing in {}",
            store.home()
        ))
        .hint("pull or load the image again"));
    }
    let whiteouts = store.whiteouts_of(&chain)?;
    Ok(Layers {
        paths: chain.iter().rev().map(|id| store.layer_path(id)).gather(),
        user_xattrs: whiteouts == Whiteouts::User,
        copied: whiteouts == Whiteouts::Files || !has_overlay(),
    })
}

/// Whether the kernel has overlayfs. Only a kernel that says so has it not: a filter, say, hides the question.
fn has_overlay() -> bool {
    !matches!(fsopen("overlay", FsOpenFlags::FSOPEN_CLOEXEC), Err(Errno::NODEV))
}

/// The text of a small file as a container of these layers finds it; empty where there is none. Links are followed
/// within the layer that has the file.
pub fn read_file(layers: &[String], path: &str) -> Result<String> {
    let step = || format!("read {path} of the container");
    for layer in layers {
        let root = open_at(CWD, layer, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC)
            .step(|| format!("open the root file system {layer}"))?;
        // A device or a fifo must not hold us up.
        match resolve::open(&root, path, OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY) {
            Ok(file) => {
                let stat = rustix::fs::fstat(&file).step(step)?;
                match FileType::from_raw_mode(stat.st_mode) {
                    FileType::RegularFile if stat.st_size < 4 << 20 => {}
                    FileType::RegularFile => {
                        return Err(Error::new(format_args!("{}: it is too long", step())));
                    }
                    _ => return Ok(String::new()),
                }
                let text = read_to_end(&file).step(step)?;
                return Ok(String::from_utf8_lossy(&text).into_owned());
            }
            Err(Errno::NOENT) => {}
            // It was removed, or never was in a place like that.
            Err(Errno::NOTDIR | Errno::NXIO | Errno::LOOP) => return Ok(String::new()),
            Err(errno) => return Err(Error::os(step(), errno)),
        }
    }
    Ok(String::new())
}

/// Makes the directory `target` a copy of the image's files, data shared where the file system can.
pub fn copy(store: &Store, image: &Image, target: &str) -> Result<()> {
    make_directory(CWD, target, 0o755).step(|| format!("make {target}"))?;
    let root = open_at(CWD, target, DIRECTORY).step(|| format!("open {target}"))?;
    for id in chain_ids(&image.config.rootfs.diff_ids) {
        let whiteouts = match store.layer(&id)?.plain_whiteouts {
            Some(true) => Whiteouts::Files,
            _ => store.whiteouts,
        };
        let layer = store.open_directory(&format!("{LAYERS}/{}", digits(&id)))?;
        apply(layer, &root, whiteouts).map_err(|error| error.within("copy the image's files"))?;
    }
    Ok(())
}

/// Puts a layer on what is there. Directories one after the other, without recursion.
fn apply(layer: OwnedFd, root: &OwnedFd, whiteouts: Whiteouts) -> Result<()> {
    let again = open_at(root.as_fd(), ".", DIRECTORY).step(|| "open a directory")?;
    let mut ahead = Vec::from([(layer, again)]);
    while let Some((from, to)) = ahead.pop() {
        if whiteouts.hides_below(from.as_fd()) {
            empty(&to).step(|| "empty a directory")?;
        }
        for entry in Dir::read_from(&from).step(|| "list a directory")? {
            let entry = entry.step(|| "list a directory")?;
            let name = entry.file_name();
            if name == c"." || name == c".." {
                continue;
            }
            let shown = || format!("copy {}", name.to_string_lossy());
            let stat = statat(&from, name, AtFlags::SYMLINK_NOFOLLOW).step(shown)?;
            let removed = match whiteouts {
                Whiteouts::Files => name.to_bytes().strip_prefix(b".wh."),
                _ => is_whiteout(&stat).then(|| name.to_bytes()),
            };
            if let Some(removed) = removed {
                absent(remove_any(to.as_fd(), removed)).step(shown)?;
                continue;
            }
            let there = statat(&to, name, AtFlags::SYMLINK_NOFOLLOW).ok();
            let is_directory = |mode| FileType::from_raw_mode(mode) == FileType::Directory;
            match there {
                Some(there) if is_directory(there.st_mode) && is_directory(stat.st_mode) => {
                    let open = |parent: &OwnedFd| {
                        crate::sys::path::openat(parent, name, DIRECTORY, rustix::fs::Mode::empty())
                    };
                    ahead.push((open(&from).step(shown)?, open(&to).step(shown)?));
                    continue;
                }
                Some(_) => remove_any(to.as_fd(), name.to_bytes()).step(shown)?,
                None => {}
            }
            ahead.extend(copy_entry(&from, name, &to, name).step(shown)?);
        }
        let stat = rustix::fs::fstat(&from).step(|| "look at a directory")?;
        copy_metadata(&from, &to, &stat).step(|| "copy a directory's attributes")?;
    }
    Ok(())
}

fn absent(removed: rustix::io::Result<()>) -> rustix::io::Result<()> {
    match removed {
        Err(Errno::NOENT) => Ok(()),
        other => other,
    }
}

fn empty(directory: &OwnedFd) -> rustix::io::Result<()> {
    for entry in Dir::read_from(directory)? {
        let entry = entry?;
        match entry.file_name().to_bytes() {
            b"." | b".." => {}
            name => absent(remove_any(directory.as_fd(), name))?,
        }
    }
    Ok(())
}
