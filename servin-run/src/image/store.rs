//! The store of images below HOME: an OCI image layout ([image-layout.md][layout]), which other tools read too, and
//! beside it the layers as they are unpacked.
//!
//! ```text
//! oci-layout               the layout's version
//! index.json               the images and their names
//! blobs/sha256/DIGEST      manifests, configurations, layers as they came
//! layers/sha256/CHAIN      a layer, unpacked; CHAIN stands for it and all below it
//! layers/sha256/CHAIN.json what is known of it
//! layers/sha256/.CHAIN     a layer in the making, locked by whoever makes it
//! .images                  a lock: shared while images are added or used, exclusive while what nobody needs is removed
//! ```
//!
//! Everything appears whole: it is made under another name and renamed. A process killed at any moment leaves
//! unlocked things whose names begin with a dot, which the next one removes, and blobs that no image names, which
//! [`Store::collect`] removes.
//!
//! [layout]: https://github.com/opencontainers/image-spec/blob/v1.1.1/image-layout.md

use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{AtFlags, CWD, FlockOperation, OFlags, flock, fsync};
use rustix::io::{self, Errno};

use super::copy::{DIRECTORY, make_directory, open_at};
use super::digest;
use super::documents::{Descriptor, ImageConfig, Index, Manifest};
use super::manifest::{self, Document, LARGEST_DOCUMENT};
use super::reference::{Reference, check_digest};
use super::unpack::Whiteouts;
use crate::error::{Error, Result, Step};
use crate::fs::copy::write_all;
use crate::fs::read_to_end;
use crate::gather::Gather as _;
use crate::spec;
use crate::sys::path::{openat, renameat, statat, unlinkat};

mod garbage;
mod index;
mod layers;
mod used;

pub use garbage::Collected;
pub use layers::{Building, LAYERS, Layer, TREE, chain_ids};

/// The image's name in full, as containerd writes it.
pub const NAME: &str = "io.containerd.image.name";
/// The tag, or whatever another tool has called the image (the OCI layout's own annotation).
pub const REF_NAME: &str = "org.opencontainers.image.ref.name";
/// The digest that the name had at its source: an index's, where we have chosen from one.
pub const SOURCE_DIGEST: &str = "io.servin.source.digest";

const LAYOUT: &str = "{\"imageLayoutVersion\":\"1.0.0\"}";
const MOVES_HOME: &str = "--home DIR or SERVIN_HOME=DIR keeps Servin's files somewhere else";

/// The store of one user.
pub struct Store {
    home: String,
    directory: OwnedFd,
    /// How layers that are unpacked here keep what they remove.
    pub whiteouts: Whiteouts,
    /// We are in a user namespace.
    pub unprivileged: bool,
    /// And have but one id there.
    pub one_owner: bool,
}

/// An image of the store.
#[derive(Debug)]
pub struct Image {
    /// The digest of the configuration, which is what Docker calls an image by.
    pub id: String,
    /// The digest of the manifest.
    pub digest: String,
    /// Its names.
    pub references: Vec<Reference>,
    /// The digests that its names had at their sources.
    pub source_digests: Vec<String>,
    /// The manifest.
    pub manifest: Manifest,
    /// The descriptor of the manifest.
    pub descriptor: Descriptor,
    /// The configuration.
    pub config: ImageConfig,
}

/// A lock, held as long as it lives.
pub struct Held(#[allow(dead_code)] OwnedFd);

impl Store {
    /// Opens the store below `home`, making what is missing.
    pub fn open(home: &str) -> Result<Store> {
        let home = home.trim_end_matches('/');
        let home = if home.is_empty() { "/" } else { home };
        super::host::make_all(home, 0o700).map_err(|error| error.hint(MOVES_HOME))?;
        let flags = DIRECTORY.difference(OFlags::NOFOLLOW);
        let directory = open_at(CWD, home, flags).step(|| format!("open {home}"))?;
        let mut store = Store {
            home: home.to_string(),
            directory,
            whiteouts: Whiteouts::Trusted,
            unprivileged: false,
            one_owner: false,
        };
        store.make().map_err(|error| match error.errno() {
            Some(_) => error.hint(MOVES_HOME),
            None => error,
        })?;
        store.see_privileges()?;
        Ok(store)
    }

    /// Where it is.
    pub fn home(&self) -> &str {
        &self.home
    }

    fn make(&self) -> Result<()> {
        for path in ["blobs", "blobs/sha256", "layers", "layers/sha256"] {
            if statat(&self.directory, path, AtFlags::empty()).is_err() {
                make_directory(self.directory.as_fd(), path, 0o700)
                    .step(|| format!("make {}/{path}", self.home))?;
            }
        }
        match statat(&self.directory, "oci-layout", AtFlags::empty()) {
            Ok(_) => Ok(()),
            Err(_) => self.replace("oci-layout", LAYOUT.as_bytes()),
        }
    }

    fn see_privileges(&mut self) -> Result<()> {
        let map = crate::fs::read_text("/proc/self/uid_map").unwrap_or_default();
        let fields: Vec<&str> = map.split_ascii_whitespace().gather();
        self.unprivileged = !rustix::process::geteuid().is_root() || fields != ["0", "0", "4294967295"];
        let ids: u64 = fields.chunks(3).filter_map(|line| line.get(2)?.parse::<u64>().ok()).sum();
        self.one_owner = ids <= 1 || !rustix::process::geteuid().is_root();
        self.whiteouts = self.probe_whiteouts()?;
        Ok(())
    }

    /// Which marks of removed files the file system takes: another overlay takes none.
    fn probe_whiteouts(&self) -> Result<Whiteouts> {
        let name = format!("layers/.probe-{}", rustix::process::getpid());
        let step = || format!("make {}/{name}", self.home);
        make_directory(self.directory.as_fd(), &name, 0o700).step(step)?;
        let probe = open_at(self.directory.as_fd(), &name, DIRECTORY).step(step)?;
        let first = if self.unprivileged { Whiteouts::User } else { Whiteouts::Trusted };
        let works = |kind: Whiteouts| {
            let name = b"whiteout";
            let made = kind.remove(probe.as_fd(), name).and_then(|()| kind.hide_below(probe.as_fd()));
            let _ = unlinkat(&probe, &name[..], AtFlags::empty());
            made.is_ok()
        };
        let found = [first, Whiteouts::User].into_iter().find(|kind| works(*kind));
        unlinkat(&self.directory, name.as_str(), AtFlags::REMOVEDIR).step(step)?;
        Ok(found.unwrap_or(Whiteouts::Files))
    }

    /// Held while images are added or used: nothing that they need is removed meanwhile.
    pub fn share(&self) -> Result<Held> {
        self.lock(".images", FlockOperation::LockShared)
    }

    fn lock(&self, name: &str, how: FlockOperation) -> Result<Held> {
        let step = || format!("lock {}/{name}", self.home);
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let file = open_at(self.directory.as_fd(), name, flags).step(step)?;
        io::retry_on_intr(|| flock(&file, how)).step(step)?;
        Ok(Held(file))
    }

    /// Writes the file `path` anew, whole and safe from a power failure.
    fn replace(&self, path: &str, content: &[u8]) -> Result<()> {
        let step = || format!("write {}/{path}", self.home);
        let name = format!(".{}-{}", path.replace('/', "-"), rustix::process::getpid());
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let write = || {
            let file = open_at(self.directory.as_fd(), &name, flags)?;
            write_all(file.as_fd(), content)?;
            fsync(&file)?;
            renameat(&self.directory, name.as_str(), &self.directory, path)
        };
        let written = write();
        if written.is_err() {
            let _ = unlinkat(&self.directory, name.as_str(), AtFlags::empty());
        }
        written.step(step)
    }

    /// A directory of the store.
    pub(super) fn open_directory(&self, path: &str) -> Result<OwnedFd> {
        open_at(self.directory.as_fd(), path, DIRECTORY).step(|| format!("open {}/{path}", self.home))
    }

    pub(super) fn as_fd(&self) -> BorrowedFd<'_> {
        self.directory.as_fd()
    }

    /// Whether the blob is there.
    pub fn has_blob(&self, digest: &str) -> bool {
        self.open_blob(digest).is_ok()
    }

    /// Opens a blob.
    pub fn open_blob(&self, digest: &str) -> Result<OwnedFd> {
        check_digest(digest).map_err(|why| Error::new(format_args!("the digest \"{digest}\": {why}")))?;
        let path = format!("blobs/sha256/{}", digest::digits(digest));
        open_at(self.directory.as_fd(), &path, OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC)
            .step(|| format!("open {}/{path}", self.home))
    }

    /// Reads a document and compares it with its digest.
    pub fn document(&self, digest: &str) -> Result<Vec<u8>> {
        let file = self.open_blob(digest)?;
        let damaged = || Error::new(format_args!("the blob {digest} in {} is damaged", self.home));
        let size = rustix::fs::fstat(&file).step(|| format!("look at the blob {digest}"))?.st_size;
        if size as u64 > LARGEST_DOCUMENT as u64 {
            return Err(damaged());
        }
        let content = read_to_end(&file).step(|| format!("read the blob {digest}"))?;
        if digest::of(&content) != digest {
            return Err(damaged().hint("pull the image again"));
        }
        Ok(content)
    }

    /// Adds a document to the blobs; says its descriptor.
    pub fn add_document(&self, content: &[u8], media_type: &str) -> Result<Descriptor> {
        let digest = digest::of(content);
        if self.document(&digest).is_err() {
            self.replace(&format!("blobs/sha256/{}", digest::digits(&digest)), content)?;
        }
        let size = content.len() as u64;
        Ok(Descriptor { media_type: media_type.into(), digest, size, ..Descriptor::default() })
    }

    /// All images, each once, the newest name first.
    pub fn images(&self) -> Result<Vec<Image>> {
        let index = self.index()?;
        let mut images: Vec<Image> = Vec::new();
        for entry in &index.manifests {
            let reference = index::reference(entry);
            let source = index::annotation(entry, SOURCE_DIGEST).map(ToString::to_string);
            match images.iter_mut().find(|image| image.digest == entry.digest) {
                Some(image) => {
                    image.references.extend(reference);
                    image.source_digests.extend(source);
                }
                None => {
                    // What another tool has put there, or a disk's failure has damaged, is not in the others' way.
                    let Ok(mut image) = self.load(entry) else { continue };
                    image.references.extend(reference);
                    image.source_digests.extend(source);
                    images.push(image);
                }
            }
        }
        Ok(images)
    }

    fn load(&self, entry: &Descriptor) -> Result<Image> {
        let name = format!("the manifest {}", entry.digest);
        let content = self.document(&entry.digest)?;
        let Document::Manifest(manifest) = manifest::read(&content, &entry.media_type, &name)? else {
            return Err(Error::new(format_args!("{name} is an index")));
        };
        let config = self.config(&manifest)?;
        Ok(Image {
            id: manifest.config.digest.clone(),
            digest: entry.digest.clone(),
            references: Vec::new(),
            source_digests: Vec::new(),
            descriptor: Descriptor { annotations: Vec::new(), ..entry.clone() },
            manifest: *manifest,
            config,
        })
    }

    /// The configuration that a manifest names.
    pub fn config(&self, manifest: &Manifest) -> Result<ImageConfig> {
        let content = self.document(&manifest.config.digest)?;
        config(&content, &manifest.config.digest)
    }

    /// The image of that name, ID, digest, or of the ID that begins so.
    pub fn find(&self, wanted: &str) -> Result<Option<Box<Image>>> {
        let mut images = self.images()?;
        let by_name = Reference::parse(wanted).ok().and_then(|reference| {
            let named = |image: &Image| image.references.contains(&reference);
            let by_digest = |image: &Image| {
                reference.digest().is_some_and(|digest| {
                    (image.digest == digest || image.source_digests.iter().any(|source| source == digest))
                        && image.references.iter().any(|known| known.name() == reference.name())
                })
            };
            images.iter().position(named).or_else(|| images.iter().position(by_digest))
        });
        if let Some(place) = by_name {
            return Ok(Some(Box::new(images.swap_remove(place))));
        }
        let digits = wanted.strip_prefix("sha256:").unwrap_or(wanted);
        if digits.len() < 3 || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Ok(None);
        }
        let begins = |digest: &str| digest::digits(digest).starts_with(digits);
        let begin = |text: &dyn Fn(&Image) -> &str| -> Vec<usize> {
            (0..images.len()).filter(|place| begins(text(&images[*place]))).gather()
        };
        let mut found = begin(&|image| &image.id);
        found.dedup_by(|a, b| images[*a].id == images[*b].id);
        if found.is_empty() {
            found = begin(&|image| &image.digest);
        }
        match found[..] {
            [] => Ok(None),
            [place] => Ok(Some(Box::new(images.swap_remove(place)))),
            _ => Err(Error::new(format_args!("the ID {wanted} is the beginning of several images' IDs"))),
        }
    }

    /// The same, where there has to be one.
    pub fn get(&self, wanted: &str) -> Result<Box<Image>> {
        self.find(wanted)?.ok_or_else(|| {
            Error::new(format_args!("there is no image {wanted}"))
                .hint("`servin image ls` lists them, `servin pull` gets one")
        })
    }
}

/// Reads a configuration; `digest` is its name in errors.
pub fn config(content: &[u8], digest: &str) -> Result<ImageConfig> {
    let name = format!("the image's configuration {digest}");
    let text = core::str::from_utf8(content).map_err(|_| Error::new(format_args!("{name}: not UTF-8")))?;
    let config: ImageConfig = spec::parse(text, &name)?;
    for id in &config.rootfs.diff_ids {
        check_digest(id).map_err(|why| Error::new(format_args!("{name}: rootfs.diff_ids: {why}")))?;
    }
    Ok(config)
}

/// The index of an empty layout.
fn empty_index() -> Index {
    Index { schema_version: 2, media_type: Some(manifest::OCI_INDEX.into()), ..Index::default() }
}

/// Whether a process that looks for it finds `name` in `directory`.
fn exists(directory: BorrowedFd<'_>, name: &str) -> bool {
    statat(directory, name, AtFlags::SYMLINK_NOFOLLOW).is_ok()
}

/// Opens what may not be there.
fn open_if_there(directory: BorrowedFd<'_>, path: &str) -> io::Result<Option<OwnedFd>> {
    match openat(
        directory,
        path,
        OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC,
        rustix::fs::Mode::empty(),
    ) {
        Ok(file) => Ok(Some(file)),
        Err(Errno::NOENT) => Ok(None),
        Err(errno) => Err(errno),
    }
}
