//! Writes an initramfs: a cpio archive in the "newc" format (the kernel's
//! Documentation/driver-api/early-userspace/buffer-format.rst).

use std::collections::BTreeMap;
use std::fs::{self, Metadata};
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

const S_IFDIR: u32 = 0o040_000;
const S_IFCHR: u32 = 0o020_000;
const S_IFREG: u32 = 0o100_000;
const S_IFLNK: u32 = 0o120_000;

/// An archive being written; `end` must be called last.
pub struct Archive<W> {
    to: W,
    inode: u32,
    /// The kernel makes no parent folders: those that exist already.
    folders: Vec<PathBuf>,
    /// Files of the host with several names: their device and inode, and their inode in the archive.
    linked: BTreeMap<(u64, u64), u32>,
}

/// What stands in front of an entry's bytes, as far as entries differ.
struct Header {
    mode: u32,
    /// The inode of an earlier entry that this one is another name of.
    same_as: Option<u32>,
    links: u32,
    owner: (u32, u32),
    device: (u32, u32),
}

impl Header {
    fn owned_by_root(mode: u32) -> Self {
        Header { mode, same_as: None, links: 1, owner: (0, 0), device: (0, 0) }
    }
}

impl<W: Write> Archive<W> {
    pub fn new(to: W) -> Self {
        Archive { to, inode: 0, folders: vec![PathBuf::from("/")], linked: BTreeMap::new() }
    }

    /// Makes a folder and those above it.
    pub fn folder(&mut self, path: &Path) -> io::Result<()> {
        if self.folders.iter().any(|folder| folder == path) {
            return Ok(());
        }
        self.parents(path)?;
        self.folders.push(path.to_owned());
        self.entry(path, &Header::owned_by_root(S_IFDIR | 0o755), b"")
    }

    pub fn file(&mut self, path: &Path, permissions: u32, content: &[u8]) -> io::Result<()> {
        self.parents(path)?;
        self.entry(path, &Header::owned_by_root(S_IFREG | permissions), content)
    }

    pub fn link(&mut self, path: &Path, target: &Path) -> io::Result<()> {
        self.parents(path)?;
        self.entry(path, &Header::owned_by_root(S_IFLNK | 0o777), target.as_os_str().as_bytes())
    }

    pub fn character_device(&mut self, path: &Path, major: u32, minor: u32) -> io::Result<()> {
        self.parents(path)?;
        let device = (major, minor);
        self.entry(path, &Header { device, ..Header::owned_by_root(S_IFCHR | 0o600) }, b"")
    }

    /// A file of the host, with its permissions.
    pub fn copy(&mut self, path: &Path, from: &Path) -> io::Result<()> {
        let mode = fs::metadata(from)?.mode();
        self.file(path, mode & 0o7777, &fs::read(from)?)
    }

    /// A whole folder of the host: owners, permissions, devices and hard links, but no extended attributes.
    pub fn tree(&mut self, path: &Path, from: &Path) -> io::Result<()> {
        let metadata = fs::symlink_metadata(from)?;
        self.parents(path)?;
        let kind = metadata.file_type();
        if kind.is_socket() {
            return Ok(());
        }
        let mut header = like(&metadata);
        if kind.is_file() && header.links > 1 {
            header.same_as = self.linked.get(&(metadata.dev(), metadata.ino())).copied();
        }
        // The kernel takes the bytes from whichever of the names has them.
        let content = if kind.is_file() && header.same_as.is_none() {
            fs::read(from)?
        } else if kind.is_symlink() {
            fs::read_link(from)?.as_os_str().as_bytes().to_vec()
        } else {
            Vec::new()
        };
        self.entry(path, &header, &content)?;
        if kind.is_file() && header.same_as.is_none() {
            self.linked.insert((metadata.dev(), metadata.ino()), self.inode);
        }
        if kind.is_dir() {
            self.folders.push(path.to_owned());
            let mut names: Vec<_> =
                fs::read_dir(from)?.map(|e| Ok(e?.file_name())).collect::<io::Result<_>>()?;
            // The same tree gives the same archive.
            names.sort();
            for name in names {
                self.tree(&path.join(&name), &from.join(&name))?;
            }
        }
        Ok(())
    }

    /// Writes the entry that ends the archive.
    pub fn end(mut self) -> io::Result<()> {
        self.entry(Path::new("TRAILER!!!"), &Header::owned_by_root(0), b"")?;
        self.to.flush()
    }

    fn parents(&mut self, path: &Path) -> io::Result<()> {
        match path.parent() {
            Some(parent) if parent != Path::new("") => self.folder(parent),
            _ => Ok(()),
        }
    }

    fn entry(&mut self, path: &Path, header: &Header, content: &[u8]) -> io::Result<()> {
        let name = path.strip_prefix("/").unwrap_or(path).as_os_str().as_bytes();
        let inode = header.same_as.unwrap_or(self.inode + 1);
        self.inode = self.inode.max(inode);
        let size = u32::try_from(content.len()).map_err(|_| io::Error::other("a file beyond 4 GiB"))?;
        let (uid, gid) = header.owner;
        let (major, minor) = header.device;
        let (links, time) = (header.links, 0);
        #[rustfmt::skip]
        let fields = [
            inode, header.mode, uid, gid, links, time, size, 0, 0, major, minor, name.len() as u32 + 1, 0,
        ];
        self.to.write_all(b"070701")?;
        for field in fields {
            write!(self.to, "{field:08x}")?;
        }
        self.to.write_all(name)?;
        self.to.write_all(b"\0")?;
        self.pad(6 + 8 * fields.len() + name.len() + 1)?;
        self.to.write_all(content)?;
        self.pad(content.len())
    }

    /// Header with name, and content, each end on a multiple of four.
    fn pad(&mut self, written: usize) -> io::Result<()> {
        self.to.write_all(&[0; 3][..written.next_multiple_of(4) - written])
    }
}

/// The header of an entry like the host's file.
fn like(metadata: &Metadata) -> Header {
    let device = metadata.rdev();
    // The encoding of dev_t in user space (makedev(3)).
    let major = (device >> 8 & 0xfff) as u32;
    let minor = (device & 0xff | device >> 12 & 0xff_ff00) as u32;
    // A folder's links are its sub-folders; only those of files mean other names.
    let links = if metadata.is_file() { u32::try_from(metadata.nlink()).unwrap_or(u32::MAX) } else { 1 };
    let owner = (metadata.uid(), metadata.gid());
    Header { mode: metadata.mode(), same_as: None, links, owner, device: (major, minor) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_laid_out_as_the_kernel_reads_it() {
        let mut bytes = Vec::new();
        let mut archive = Archive::new(&mut bytes);
        archive.file(Path::new("/f"), 0o755, b"hello").expect("written");
        archive.end().expect("written");
        assert_eq!(&bytes[..22], b"07070100000001000081ed");
        assert_eq!(&bytes[54..62], b"00000005", "the size");
        assert_eq!(
            &bytes[94..110],
            b"00000002\x30\x30\x30\x30\x30\x30\x30\x30",
            "the name's length, no checksum"
        );
        assert_eq!(&bytes[110..112], b"f\0");
        assert_eq!(&bytes[112..120], b"hello\0\0\0");
        assert!(bytes.ends_with(b"TRAILER!!!\0\0\0\0"));
        assert_eq!(bytes.len() % 4, 0);
    }

    #[test]
    fn entries_follow_each_other_and_parents_come_once() {
        let mut bytes = Vec::new();
        let mut archive = Archive::new(&mut bytes);
        archive.file(Path::new("/a/b/one"), 0o644, b"1").expect("written");
        archive.link(Path::new("/a/b/two"), Path::new("one")).expect("written");
        archive.character_device(Path::new("/dev/null"), 1, 3).expect("written");
        archive
            .tree(Path::new("/src"), &Path::new(env!("CARGO_MANIFEST_DIR")).join("src/qemu"))
            .expect("read");
        archive.end().expect("written");
        let names = names(&bytes);
        assert_eq!(names[..6], ["a", "a/b", "a/b/one", "a/b/two", "dev", "dev/null"]);
        assert!(names.contains(&"src/newc.rs".to_owned()));
    }

    #[test]
    fn a_second_name_of_a_file_shares_its_inode_and_has_no_bytes() {
        let folder = std::env::temp_dir().join(format!("servin-newc-{}", std::process::id()));
        fs::create_dir_all(&folder).expect("made");
        fs::write(folder.join("a"), "content").expect("written");
        fs::hard_link(folder.join("a"), folder.join("b")).expect("linked");
        let mut bytes = Vec::new();
        let mut archive = Archive::new(&mut bytes);
        archive.tree(Path::new("/t"), &folder).expect("read");
        archive.end().expect("written");
        fs::remove_dir_all(&folder).expect("removed");
        assert_eq!(names(&bytes), ["t", "t/a", "t/b"]);
        let text = String::from_utf8_lossy(&bytes);
        assert_eq!(text.matches("content").count(), 1);
        assert_eq!(text.matches("07070100000002").count(), 2, "the inode number of both names");
    }

    /// Walks the archive by its own length fields.
    fn names(bytes: &[u8]) -> Vec<String> {
        let hex = |at: usize| {
            usize::from_str_radix(std::str::from_utf8(&bytes[at..at + 8]).expect("text"), 16).expect("hex")
        };
        let (mut at, mut names) = (0, Vec::new());
        loop {
            assert_eq!(&bytes[at..at + 6], b"070701");
            let (size, length) = (hex(at + 54), hex(at + 94));
            let name = String::from_utf8_lossy(&bytes[at + 110..at + 109 + length]).into_owned();
            if name == "TRAILER!!!" {
                return names;
            }
            names.push(name);
            at = (at + 110 + length).next_multiple_of(4) + size.next_multiple_of(4);
        }
    }
}
