//! Which of the host's files make a small system: shells, core utilities, the interpreters and libraries that
//! they need, and the few configuration files that a C library reads.
//!
//! It reads the host and changes nothing. What a host does not have is left out; only a host without any
//! shell is an error.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::files::{Entry, File, Host, Kind, base_name, cut, directory};
use super::libraries::{Configuration, Loader, add_run_path};
use crate::error::{Error, Result};
use crate::image::elf::{Elf, Source};

/// Shells in the order in which one of them stands in for a missing /bin/sh.
const SHELLS: &str = "bash ash dash busybox";

/// What people type first, 19 MB with its libraries on Debian. Left out on purpose: editors, interpreters,
/// package managers and network clients, each of which brings megabytes of its own.
const PROGRAMS: &str = "\
    [ awk base64 basename cat chgrp chmod chown chroot clear cmp comm cp cut date dd df diff dirname du echo \
    egrep env expand expr false fgrep find fmt free getent grep groups gunzip gzip head hexdump hostname id \
    ip kill less link ln ls md5sum mkdir mkfifo mknod mktemp more mount mountpoint mv nice nohup nproc \
    nsenter od paste pgrep pidof ping pkill printenv printf ps pwd readlink realpath rev rm rmdir sed seq \
    setsid sha1sum sha256sum sha512sum shuf sleep sort split stat stty sync tac tail tar tee test timeout \
    touch tput tr true truncate tty uname umount uniq unlink unshare uptime wc which who whoami xargs yes \
    zcat";

/// Taken only where they are a file that is there already, which on a busybox host costs one link each.
const FREE: &str = "\
    addgroup adduser arch arp ascii b2sum base32 bc brctl bunzip2 bzcat cal chattr chpasswd cksum cpio crc32 \
    dc deluser dir dmesg dnsdomainname dos2unix ed factor fold fsync fuser halt httpd ifconfig inotifyd \
    install ionice iostat ipcalc ipcs join killall last login logname lsattr lsns lsof man microcom mpstat \
    nc netstat nl nmeter nslookup patch pstree pwdx renice reset resize route runparts sh shred strings su \
    sum sysctl telnet time top traceroute tsort unix2dos unxz unzip users usleep uuencode vi vmstat watch \
    wget whereis xxd xz xzcat";

/// /usr before / for hosts where the two are not one; the last two are where NixOS and Guix have programs.
const DIRECTORIES: [&str; 6] = [
    "/usr/bin",
    "/bin",
    "/usr/sbin",
    "/sbin",
    "/run/current-system/sw/bin",
    "/run/current-system/profile/bin",
];
const STANDARD: usize = 4;

/// Loaded by glibc when it is first asked for a user or a host: it names them nowhere in its headers. Since
/// glibc 2.34 they are built in, and these are stubs of a few kilobytes where they exist.
const NAME_SERVICES: [&str; 2] = ["libnss_files.so.2", "libnss_dns.so.2"];

const TERMINALS: [&str; 8] = [
    "x/xterm",
    "x/xterm-256color",
    "l/linux",
    "s/screen",
    "s/screen-256color",
    "t/tmux-256color",
    "v/vt100",
    "d/dumb",
];
const TERMINFO: [&str; 4] = ["/etc/terminfo", "/lib/terminfo", "/usr/share/terminfo", "/usr/lib/terminfo"];

/// What was chosen.
pub struct Selection<'host> {
    /// The host that it was chosen from.
    pub host: &'host Host,
    /// Files and links, each once.
    pub entries: Vec<Entry>,
    /// Directories and files whose change may mean another choice.
    pub watched: Vec<String>,
    configured: Vec<String>,
    /// How many entries there were when the shells had been added.
    shells: usize,
    found: Vec<Found>,
}

/// A library that a search has found, so that it need not be searched for again.
struct Found {
    name: String,
    /// The loader's own directory, which stands for its whole search path.
    loader: String,
    abi: (u8, u16),
}

/// An ELF file whose needs are to be met.
struct Pending {
    path: String,
    elf: Elf,
    /// The DT_RPATH directories of those that needed it.
    inherited: Vec<String>,
}

impl Selection<'_> {
    /// Chooses from `host`.
    pub fn new(host: &Host) -> Result<Selection<'_>> {
        let mut configuration = Configuration::default();
        configuration.read(host, "/etc/ld.so.conf");
        let mut selection = Selection {
            host,
            entries: Vec::new(),
            watched: configuration.read,
            configured: configuration.directories,
            shells: 0,
            found: Vec::new(),
        };
        for directory in DIRECTORIES {
            selection.watched.push(directory.to_string());
        }
        for directory in ["/bin", "/sbin", "/lib", "/lib64", "/usr/bin", "/usr/sbin", "/usr/lib"] {
            selection.add_path(directory);
        }
        selection.add_shells()?;
        selection.add_all(PROGRAMS, Selection::add_program);
        selection.add_all(FREE, Selection::add_alias);
        for name in TERMINALS {
            for directory in TERMINFO {
                if selection.add_path(&[directory, "/", name].concat()) {
                    break;
                }
            }
        }
        selection.add_path("/etc/os-release");
        Ok(selection)
    }

    fn add_shells(&mut self) -> Result<()> {
        let standard = self.add_program("/bin/sh");
        // With a /bin/sh, busybox is two megabytes that nobody asked for.
        let shells = if standard { "bash ash" } else { SHELLS };
        let stand_in = self.add_all(shells, Selection::add_program);
        if !standard {
            let Some(shell) = stand_in else {
                let text = [
                    "--rootfs host: this host has no shell that can be run: looked for /bin/sh, and for ",
                    SHELLS,
                    " in /bin, /sbin, /usr/bin, /usr/sbin",
                ];
                return Err(
                    Error::new(text.concat()).hint("--rootfs DIR takes a root file system of your own")
                );
            };
            self.add_link("/bin", "sh", &shell);
        }
        self.shells = self.entries.len();
        Ok(())
    }

    /// Adds the programs that are named in a row, and says where the first of them is.
    fn add_all(&mut self, names: &str, add: fn(&mut Self, &str) -> bool) -> Option<String> {
        let mut first = None;
        let mut rest = names;
        while !rest.is_empty() {
            let (name, next) = cut(rest, b' ');
            rest = next;
            for (index, directory) in DIRECTORIES.iter().enumerate() {
                let path = [directory, "/", name].concat();
                if add(self, &path) {
                    if index >= STANDARD {
                        self.add_link("/usr/bin", name, &path);
                    }
                    first = first.or(Some(path));
                    break;
                }
            }
        }
        first
    }

    /// Adds the program at `path` with all that it needs, or nothing.
    #[inline(never)]
    fn add_program(&mut self, path: &str) -> bool {
        let mark = (self.entries.len(), self.found.len());
        let added = self.try_program(path).is_some();
        if !added {
            self.entries.truncate(mark.0);
            self.found.truncate(mark.1);
        }
        added
    }

    /// Adds the links that lead from `path` to a file that is there already.
    fn add_alias(&mut self, path: &str) -> bool {
        let walk = self.host.walk(path).unwrap_or_default();
        let known = walk.last().is_some_and(|file| self.has(&file.path));
        if known {
            self.commit(walk);
        }
        known
    }

    /// Adds what is at `path`, whatever it is.
    #[inline(never)]
    fn add_path(&mut self, path: &str) -> bool {
        let walk = self.host.walk(path);
        let found = walk.is_some();
        self.commit(walk.unwrap_or_default());
        found
    }

    /// Adds a link that the host does not have, unless something is in its place.
    #[inline(never)]
    fn add_link(&mut self, directory: &str, name: &str, target: &str) {
        let walk = self.host.walk(directory).unwrap_or_default();
        let path = [walk.last().map_or(directory, |entry| &entry.path), "/", name].concat();
        self.commit(walk);
        if path != target && !self.has(&path) {
            self.entries.push(Entry { path, stamp: String::new(), kind: Kind::Link(target.to_string()) });
        }
    }

    #[inline(never)]
    fn has(&self, path: &str) -> bool {
        self.entries.iter().any(|entry| entry.path == path)
    }

    #[inline(never)]
    fn commit(&mut self, walk: Vec<Entry>) {
        for entry in walk {
            if !self.has(&entry.path) {
                self.entries.push(entry);
            }
        }
    }

    fn try_program(&mut self, path: &str) -> Option<()> {
        let walk = self.host.walk(path)?;
        let Entry { path: file, kind: Kind::File(mode, _), .. } = walk.last()? else { return None };
        if mode & 0o111 == 0 {
            return None;
        }
        let file = file.clone();
        let known = self.has(&file);
        self.commit(walk);
        if known {
            return Some(());
        }
        let opened = File(self.host.open(&file).ok()?);
        let Some(elf) = Elf::read(&opened) else { return self.check_script(&opened) };
        let Some(interpreter) = &elf.interpreter else { return Some(()) };
        let walk = self.host.walk(interpreter)?;
        let loader = Loader::new(self.host, interpreter, &walk.last()?.path, &self.configured);
        self.commit(walk);
        self.add_libraries(&loader, Pending { path: file, elf, inherited: Vec::new() })
    }

    /// A script is taken when one of the shells runs it (egrep, zcat); others need what is not there.
    fn check_script(&self, file: &File) -> Option<()> {
        let mut line = [0; 128];
        let length = file.read_at(0, &mut line);
        let line = line[..length].strip_prefix(b"#!")?.trim_ascii_start();
        let end = line.iter().position(u8::is_ascii_whitespace)?;
        let shell = self.host.walk(core::str::from_utf8(&line[..end]).ok()?)?.pop()?;
        self.entries[..self.shells].iter().any(|entry| entry.path == shell.path).then_some(())
    }

    /// Adds what `program` needs, and what that needs.
    fn add_libraries(&mut self, loader: &Loader, program: Pending) -> Option<()> {
        let mut queue = Vec::from([program]);
        while let Some(mut pending) = queue.pop() {
            // DT_RPATH is for all below and comes first; DT_RUNPATH is for the file itself and hides it.
            let mut places = Vec::new();
            if let Some(text) = &pending.elf.runpath {
                add_run_path(&mut places, text, &pending.path);
            } else {
                add_run_path(
                    &mut pending.inherited,
                    pending.elf.rpath.as_deref().unwrap_or(""),
                    &pending.path,
                );
                places.extend_from_slice(&pending.inherited);
            }
            let first = places.len();
            places.extend_from_slice(&loader.search);
            for name in &pending.elf.needed {
                self.add_library(loader, name, (&places, first), &pending, &mut queue)?;
            }
            if base_name(&pending.path) == "libc.so.6" {
                for name in NAME_SERVICES {
                    let _ = self.add_library(loader, name, (&places, first), &pending, &mut queue);
                }
            }
        }
        Some(())
    }

    /// Finds one library that `user` needs as `loader` would, adds it and queues it. The first of the places, as
    /// many as the number says, are the user's own.
    #[inline(never)]
    fn add_library(
        &mut self,
        loader: &Loader,
        name: &str,
        (places, first): (&[String], usize),
        user: &Pending,
        queue: &mut Vec<Pending>,
    ) -> Option<()> {
        let abi = user.elf.abi;
        let same = |found: &Found| found.name == name && found.abi == abi && found.loader == loader.own();
        if first == 0 && self.found.iter().any(same) {
            return Some(());
        }
        // A name with a slash is a path, found without a search.
        let own_place = [directory(name).to_string()];
        let (places, first, base) =
            if name.contains('/') { (&own_place[..], 1, base_name(name)) } else { (places, first, name) };
        for (index, place) in places.iter().enumerate() {
            let target = [place, "/", base].concat();
            let Some(walk) = self.host.walk(&target) else { continue };
            let Some(Entry { path, kind: Kind::File(..), .. }) = walk.last() else { continue };
            // One of another machine or class is passed over, as ld.so does.
            let elf = self.host.open(path).ok().and_then(|file| Elf::read(&File(file)));
            let Some(elf) = elf.filter(|elf| elf.abi == abi) else { continue };
            if !self.has(path) {
                queue.push(Pending { path: path.clone(), elf, inherited: user.inherited.clone() });
            }
            self.commit(walk);
            if index >= first {
                if !places[places.len() - loader.built_in..].contains(place) {
                    self.add_link(loader.own(), name, &target);
                }
                self.found.push(Found { name: name.to_string(), loader: loader.own().to_string(), abi });
            }
            return Some(());
        }
        loader.is(name).then_some(())
    }
}
