use super::super::stream::{Buffered, Bytes};
use super::super::tar::{BLOCK, Limits, Time, write};
use super::*;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt, symlink};

/// A directory that is removed with the value, and beside it one that nothing may touch.
struct Place(std::path::PathBuf);

impl Place {
    fn new(name: &str) -> Place {
        let path = std::env::temp_dir().join(format!("servin-unpack-{}-{name}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(path.join("root")).expect("mkdir");
        std::fs::create_dir_all(path.join("victim")).expect("mkdir");
        std::fs::write(path.join("victim/file"), "untouched").expect("write");
        Place(path)
    }

    fn root(&self) -> std::path::PathBuf {
        self.0.join("root")
    }

    fn open(&self) -> OwnedFd {
        openat(rustix::fs::CWD, self.root().as_os_str().as_bytes(), DIRECTORY, Mode::empty()).expect("open")
    }

    fn unpack(&self, entries: &[Entry], whiteouts: Whiteouts) -> Result<Unpacked> {
        let mut bytes: Vec<u8> = Vec::new();
        for entry in entries {
            bytes.extend(write::header(entry));
            bytes.extend(vec![b'x'; entry.size as usize]);
            bytes.resize(bytes.len().next_multiple_of(BLOCK), 0);
        }
        bytes.extend(write::END);
        unpack_bytes(&self.open(), &bytes, whiteouts)
    }

    fn untouched(&self) {
        let victim = self.0.join("victim");
        assert_eq!(std::fs::read_dir(&victim).expect("list").count(), 1);
        let stat = victim.join("file").metadata().expect("stat");
        assert_eq!((stat.len(), stat.nlink()), (9, 1));
        assert_eq!(std::fs::read_dir(&self.0).expect("list").count(), 2);
    }
}

fn unpack_bytes(root: &OwnedFd, bytes: &[u8], whiteouts: Whiteouts) -> Result<Unpacked> {
    let limits = Limits { bytes: 4 << 20, entries: 10_000, header: 1 << 16 };
    let mut archive = Archive::new(Box::new(Buffered::new(Box::new(Bytes(bytes)))), limits);
    let options = Options { whiteouts, unprivileged: true, one_owner: true };
    unpack(&mut archive, root, &options)
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn entry(kind: Kind, path: &str, link: &str) -> Entry {
    Entry {
        path: path.into(),
        kind,
        link: link.into(),
        mode: if kind == Kind::Directory { 0o755 } else { 0o644 },
        uid: 0,
        gid: 0,
        mtime: Time { seconds: 1_000_000_000, nanoseconds: 7 },
        size: if kind == Kind::File { 3 } else { 0 },
        device: (0, 0),
        xattrs: Vec::new(),
        segments: None,
    }
}

fn file(path: &str) -> Entry {
    entry(Kind::File, path, "")
}

fn directory(path: &str) -> Entry {
    entry(Kind::Directory, path, "")
}

#[test]
fn attacks_stay_inside_and_are_named() {
    let outside = |place: &Place| place.0.join("victim").to_str().expect("UTF-8").to_string();
    for (name, words) in [
        ("dotdot", "leads upwards"),
        ("dotdot-inside", "leads upwards"),
        ("link-absolute", "symbolic link"),
        ("link-relative", "symbolic link"),
        ("link-deep", "symbolic link"),
        ("hard-link-upwards", "leads upwards"),
        ("whiteout-upwards", "without a name"),
        ("whiteout-itself", "without a name"),
    ] {
        let place = Place::new(name);
        let victim = outside(&place);
        let entries = match name {
            "dotdot" => vec![file("../victim/new")],
            "dotdot-inside" => vec![directory("a"), file("a/../../victim/new")],
            "link-absolute" => vec![entry(Kind::Symlink, "l", &victim), file("l/file")],
            "link-relative" => vec![entry(Kind::Symlink, "l", "../victim"), file("l/file")],
            "link-deep" => {
                vec![directory("d"), entry(Kind::Symlink, "d/l", "../../victim"), file("d/l/new/x")]
            }
            "hard-link-upwards" => vec![entry(Kind::HardLink, "h", "../victim/file")],
            "whiteout-upwards" => vec![directory("d"), file("d/.wh...")],
            _ => vec![directory("d"), file("d/.wh..")],
        };
        let error = place.unpack(&entries, Whiteouts::User).expect_err(name).to_string();
        assert!(error.contains(words), "{name}: {error}");
        place.untouched();
    }
}

#[test]
fn what_exists_is_replaced_and_never_written_through() {
    let place = Place::new("replaced");
    let victim = place.0.join("victim/file");
    let victim = victim.to_str().expect("UTF-8");
    let entries = [
        entry(Kind::Symlink, "l", victim),
        file("l"),
        // To the place inside that it names, not to the host's.
        entry(Kind::HardLink, "h", victim),
        directory("d/e/f"),
        file("d"),
        entry(Kind::Symlink, "s", victim),
        directory("s"),
        file("/absolute//./name"),
    ];
    let result = place.unpack(&entries, Whiteouts::User).expect("unpacked");
    assert_eq!(result.links.len(), 1);
    let root = place.root();
    assert_eq!(std::fs::read(root.join("l")).expect("read"), b"xxx");
    assert!(root.join("d").is_file() && root.join("s").is_dir() && root.join("absolute/name").is_file());
    place.untouched();
}

#[test]
fn times_are_exact_whatever_comes_after() {
    let place = Place::new("times");
    let mut own = directory("a/b");
    own.mtime = Time { seconds: 5, nanoseconds: 6 };
    let root = directory("./");
    let entries = [
        root,
        directory("a"),
        own,
        file("a/b/c"),
        file("x"),
        file("a/b/d"),
        entry(Kind::Symlink, "a/b/l", "nowhere"),
        file("a/late"),
        directory("a/b/e"),
    ];
    place.unpack(&entries, Whiteouts::User).expect("unpacked");
    for (path, expected) in
        [("a/b", (5, 6)), ("a", (1_000_000_000, 7)), ("", (1_000_000_000, 7)), ("a/b/l", (1_000_000_000, 7))]
    {
        let stat = place.root().join(path).symlink_metadata().expect("stat");
        assert_eq!((stat.mtime(), stat.mtime_nsec()), expected, "{path}");
    }
}

#[test]
fn removals_are_marked_as_overlayfs_wants_them() {
    let place = Place::new("whiteouts");
    let entries = [
        directory("d"),
        file("d/.wh.gone"),
        file("d/.wh..wh..opq"),
        file("d/.wh..wh.plnk"),
        // A directory that was a file below: what the file hid stays hidden.
        file(".wh.again"),
        file("again/file"),
        file("kept"),
        file(".wh.kept"),
    ];
    place.unpack(&entries, Whiteouts::User).expect("unpacked");
    let root = place.root();
    let gone = root.join("d/gone").symlink_metadata().expect("a mark");
    assert!(gone.file_type().is_char_device() && gone.rdev() == 0);
    assert!(!root.join("d/.wh..wh.plnk").exists() && root.join("kept").is_file());
    for path in ["d", "again"] {
        let open = openat(place.open(), path, DIRECTORY, Mode::empty()).expect("open");
        assert!(Whiteouts::User.hides_below(open.as_fd()), "{path}");
    }
}

#[test]
fn directories_without_an_entry_and_links_to_layers_below_are_completed() {
    let below = Place::new("below");
    let mut etc = directory("etc");
    (etc.mode, etc.mtime) = (0o2711, Time { seconds: 9, nanoseconds: 0 });
    below.unpack(&[etc, file("etc/lower"), directory("etc/d")], Whiteouts::User).expect("unpacked");
    let place = Place::new("above");
    let entries = [file("etc/upper"), entry(Kind::HardLink, "etc/linked", "etc/lower")];
    let unpacked = place.unpack(&entries, Whiteouts::User).expect("unpacked");
    complete(&place.open(), &unpacked, &[below.open()], Whiteouts::User).expect("completed");
    let stat = place.root().join("etc").metadata().expect("stat");
    assert_eq!((stat.mode() & 0o7777, stat.mtime()), (0o2711, 9));
    let linked = place.root().join("etc/linked").metadata().expect("stat");
    let lower = place.root().join("etc/lower").metadata().expect("stat");
    assert_eq!((linked.ino(), linked.nlink(), linked.len()), (lower.ino(), 2, 3));
    let gone = [entry(Kind::HardLink, "x", "nowhere")];
    let unpacked = place.unpack(&gone, Whiteouts::User).expect("unpacked");
    assert!(complete(&place.open(), &unpacked, &[below.open()], Whiteouts::User).is_err());
}

#[test]
fn a_name_of_many_directories_does_not_fill_the_memory() {
    let place = Place::new("many");
    // 60 KB that stand for 30,000 directories, whose names together have 900 MB.
    let deep = entry(Kind::File, &("d/".repeat(30_000) + "f"), "");
    let error = place.unpack(&[deep], Whiteouts::User).expect_err("refused").to_string();
    let removed = std::process::Command::new("rm").arg("-rf").arg(&place.0).status();
    assert!(removed.expect("rm").success());
    assert!(error.ends_with("too many directories without entries, or links to nothing"), "{error:.100}");
    let place = Place::new("links");
    let target = "t".repeat(200) + "/" + &"u".repeat(200);
    let nowhere = |number: usize| entry(Kind::HardLink, &format!("{number}"), &target);
    let entries: Vec<Entry> = (0..9000).map(nowhere).collect();
    assert_eq!(place.unpack(&entries, Whiteouts::User).expect("few enough").links.len(), 9000);
}

#[test]
fn no_archive_leaves_its_directory() {
    let place = Place::new("fuzz");
    let entries = [
        directory("a"),
        file("a/b"),
        entry(Kind::Symlink, "l", "../victim"),
        entry(Kind::HardLink, "h", "a/b"),
        file("a/.wh.x"),
        file(&"long/".repeat(60)),
    ];
    let seed: Vec<u8> = entries.iter().flat_map(write::header).collect();
    symlink("../victim", place.root().join("given")).expect("symlink");
    super::super::mutate::bytes(&[seed], 1500, |input| {
        let mut input = input.to_vec();
        for block in input.chunks_exact_mut(BLOCK) {
            block[148..156].fill(b' ');
            let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
            block[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
        }
        let _ = unpack_bytes(&place.open(), &input, Whiteouts::User);
    });
    place.untouched();
}
