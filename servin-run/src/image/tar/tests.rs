use super::*;
use crate::image::mutate;
use crate::image::stream::{Buffered, Bytes};
use std::process::Command;

fn archive(bytes: &[u8], limits: Limits) -> Archive<'_> {
    Archive::new(Box::new(Buffered::new(Box::new(Bytes(bytes)))), limits)
}

/// All entries with their contents.
fn read(bytes: &[u8]) -> Result<Vec<(Entry, Vec<u8>)>> {
    let mut archive = archive(bytes, Limits::default());
    let mut found = Vec::new();
    while let Some(entry) = archive.next_entry()? {
        let mut content = Vec::new();
        loop {
            let some = archive.content()?;
            if some.is_empty() {
                break;
            }
            content.extend(some);
            let length = some.len();
            archive.consume(length);
        }
        found.push((entry, content));
    }
    Ok(found)
}

fn entry(path: &str) -> Entry {
    Entry {
        path: path.into(),
        kind: Kind::File,
        link: Vec::new(),
        mode: 0o644,
        uid: 0,
        gid: 0,
        mtime: Time::default(),
        size: 0,
        device: (0, 0),
        xattrs: Vec::new(),
        segments: None,
    }
}

fn written(entry: &Entry, content: &[u8]) -> Vec<u8> {
    let mut bytes = write::header(entry);
    bytes.extend(content);
    bytes.resize(bytes.len().next_multiple_of(BLOCK), 0);
    bytes
}

#[test]
fn what_is_written_is_read_again() {
    let long = "d/".repeat(200) + "ö";
    let mut given = entry(&long);
    given.kind = Kind::Symlink;
    given.link = long.clone().into();
    given.uid = 4_000_000_000;
    given.gid = 0o7_777_777;
    given.mtime = Time { seconds: -5, nanoseconds: 250_000_000 };
    given.xattrs = vec![(b"user.x".to_vec(), vec![0, 255, b'\n'])];
    let mut device = entry("dev");
    (device.kind, device.device, device.mode) = (Kind::Block, (259, 300), 0o4640);
    device.mtime = Time { seconds: 10, nanoseconds: 0 };
    let bytes = [written(&given, b""), written(&device, b""), write::END.to_vec()].concat();
    let found = read(&bytes).expect("read");
    let (first, second) = (&found[0].0, &found[1].0);
    assert_eq!((&first.path, &first.link, first.kind), (&given.path, &given.link, given.kind));
    assert_eq!((first.uid, first.gid, first.mtime), (given.uid, given.gid, given.mtime));
    assert_eq!(first.xattrs, given.xattrs);
    assert_eq!((second.device, second.mode, second.mtime), (device.device, device.mode, device.mtime));
}

struct Folder(std::path::PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn gnu_tar(folder: &Folder, arguments: &[&str]) -> Vec<u8> {
    let made = Command::new("tar").args(arguments).args(["-cf", "-", "."]).current_dir(&folder.0).output();
    let made = made.expect("run tar");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    made.stdout
}

#[test]
fn every_format_of_gnu_tar_is_read_and_its_sparse_files() {
    let folder = Folder(std::env::temp_dir().join(format!("servin-tar-{}", std::process::id())));
    let long = "long/".repeat(30);
    std::fs::create_dir_all(folder.0.join(&long)).expect("mkdir");
    std::fs::write(folder.0.join("plain"), "content").expect("write");
    let holes = std::fs::File::create(folder.0.join("holes")).expect("create");
    let mut whole = vec![0; 3 << 20];
    for at in 0..40 {
        use std::os::unix::fs::FileExt;
        let (at, text) = (at * 70_000, format!("segment {at}"));
        holes.write_all_at(text.as_bytes(), at as u64).expect("write");
        whole[at..at + text.len()].copy_from_slice(text.as_bytes());
    }
    holes.set_len(whole.len() as u64).expect("set the length");
    drop(holes);
    let version = |version| vec!["--format=pax", "--sparse", "--sparse-version", version];
    let formats = [
        vec!["--format=gnu"],
        vec!["--format=gnu", "--sparse"],
        vec!["--format=pax"],
        version("0.0"),
        version("0.1"),
        version("1.0"),
        vec!["--format=gnu", "--mtime=@99999999999"],
    ];
    for arguments in formats {
        let bytes = gnu_tar(&folder, &arguments);
        let found = read(&bytes).expect("read");
        let named = |name: &str| {
            let is = |entry: &Entry| String::from_utf8_lossy(&entry.path).trim_matches(['.', '/']) == name;
            found.iter().find(|(entry, _)| is(entry)).unwrap_or_else(|| panic!("{arguments:?}: no {name}"))
        };
        assert_eq!(named("plain").1, b"content");
        assert_eq!(named(long.trim_end_matches('/')).0.kind, Kind::Directory);
        let (entry, content) = named("holes");
        assert_eq!(entry.size, whole.len() as u64, "{arguments:?}");
        match &entry.segments {
            None => assert!(*content == whole),
            Some(segments) => {
                assert!(content.len() < whole.len());
                let (mut unpacked, mut from) = (vec![0; whole.len()], 0);
                for segment in segments {
                    let (at, length) = (segment.offset as usize, segment.length as usize);
                    unpacked[at..at + length].copy_from_slice(&content[from..from + length]);
                    from += length;
                }
                assert!(unpacked == whole, "{arguments:?}");
            }
        }
        if arguments.len() == 2 && arguments[1].starts_with("--mtime") {
            assert_eq!(named("plain").0.mtime.seconds, 99_999_999_999);
        }
        // Cut off anywhere inside an entry it is an error, and never a panic.
        assert!(read(&bytes[..700]).is_err() || bytes[512..700].iter().all(|byte| *byte == 0));
    }
}

#[test]
fn numbers_are_octal_or_of_base_256() {
    use header::number;
    assert_eq!(number(b"0000644\0"), Some(0o644));
    assert_eq!(number(b"   644 \0"), Some(0o644));
    assert_eq!(number(b"\0\0\0"), Some(0));
    assert_eq!(number(b"\x80\0\0\0\x01\0"), Some(256));
    assert_eq!(number(b"\xff\xff\xff\xff"), Some(-1));
    assert_eq!(number(b"\x80\0\0\xff\xff\xff\xff\xff\xff\xff\xff\xff"), None);
    assert_eq!(number(b"0009"), None);
    assert_eq!(number(b"77777777777777777777777777"), None);
}

#[test]
fn limits_are_kept_before_memory_is_taken() {
    let mut huge = entry("././@LongLink");
    huge.size = 4 << 30;
    let mut bytes = write::header(&huge);
    bytes[156] = b'x';
    // The sum follows the letter.
    let sum = u64::from(b'x') - u64::from(b'0');
    let old = header::number(&bytes[148..156]).expect("a sum") as u64;
    bytes[148..154].copy_from_slice(format!("{:06o}", old + sum).as_bytes());
    let error = read(&bytes).expect_err("refused").to_string();
    assert!(error.contains("headers are longer") && error.contains("--max-header-size"), "{error}");
    let mut file = entry("a");
    file.size = 600;
    let bytes = [written(&file, &[1; 600]), written(&file, &[1; 600])].concat();
    let limits = |bytes: u64, entries: u64| Limits { bytes, entries, ..Limits::default() };
    for (limits, flag) in [(limits(1000, 9), "--max-size"), (limits(9000, 1), "--max-entries")] {
        let mut archive = archive(&bytes, limits);
        archive.next_entry().expect("the first");
        let error = archive.next_entry().expect_err("refused").to_string();
        assert!(error.contains(flag), "{error}");
    }
}

#[test]
fn no_archive_panics_or_hangs() {
    let folder = Folder(std::env::temp_dir().join(format!("servin-tar-fuzz-{}", std::process::id())));
    std::fs::create_dir_all(folder.0.join("d/".repeat(70))).expect("mkdir");
    std::fs::write(folder.0.join("f"), "content").expect("write");
    let holes = std::fs::File::create(folder.0.join("holes")).expect("create");
    holes.set_len(1 << 20).expect("set the length");
    let seeds: Vec<Vec<u8>> = [
        &["--format=gnu", "--sparse"][..],
        &["--format=pax", "--sparse"],
        &["--format=pax", "--sparse", "--sparse-version=0.1"],
    ]
    .iter()
    .map(|arguments| gnu_tar(&folder, arguments))
    .collect();
    mutate::bytes(&seeds, 4000, |input| drop(read(input)));
    // And with the sums put right, so that what is behind them is reached.
    mutate::bytes(&seeds, 4000, |input| {
        let mut input = input.to_vec();
        for block in input.chunks_exact_mut(BLOCK) {
            if block[257..262] == *b"ustar" {
                block[148..156].fill(b' ');
                let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
                block[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
            }
        }
        drop(read(&input));
    });
}
