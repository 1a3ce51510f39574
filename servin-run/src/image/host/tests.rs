//! Trees made of this very host, and of small made-up hosts that are laid out otherwise.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use super::*;
use crate::image::elf::Elf;

/// A directory that is removed at the end.
pub struct Scratch(PathBuf);

impl Scratch {
    pub fn new(name: &str) -> Scratch {
        let path = std::env::temp_dir().join(format!("servin-host-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir(&path).unwrap();
        Scratch(path)
    }

    pub fn path(&self) -> &str {
        self.0.to_str().unwrap()
    }

    pub fn write(&self, path: &str, content: impl AsRef<[u8]>) {
        let path = self.0.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    pub fn link(&self, path: &str, target: &str) {
        let path = self.0.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        symlink(target, path).unwrap();
    }

    /// A host whose only program is a static shell.
    fn static_host(name: &str) -> Scratch {
        let host = Scratch::new(name);
        host.write("bin/sh", elf(None, &[], None));
        host
    }

    fn build(&self, home: &Scratch) -> Result<PathBuf> {
        root_of(&Host::new(self.path()), home.path()).map(PathBuf::from)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// An ELF file with these headers and nothing to run.
fn elf(interpreter: Option<&str>, needed: &[&str], runpath: Option<&str>) -> Vec<u8> {
    let mut strings = vec![0];
    let mut place = |text: &str| {
        let at = strings.len() as u64;
        strings.extend_from_slice(text.as_bytes());
        strings.push(0);
        at
    };
    let mut dynamic: Vec<u64> = needed.iter().flat_map(|name| [1, place(name)]).collect();
    dynamic.extend(runpath.iter().flat_map(|path| [29, place(path)]));
    let interpreter = interpreter.map(place);
    let strings_at = 64 + 3 * 56;
    let dynamic_at = strings_at + strings.len() as u64;
    dynamic.extend([5, strings_at, 0, 0]);
    let mut file = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x03\0\x3e\0\x01\0\0\0".to_vec();
    for word in [0, 64, 0] {
        file.extend_from_slice(&u64::to_le_bytes(word));
    }
    for half in [0_u16, 0, 64, 56, 3, 0, 0, 0] {
        file.extend_from_slice(&half.to_le_bytes());
    }
    let size = dynamic.len() as u64 * 8;
    for (kind, at, size) in [
        (1, 0, dynamic_at + size),
        (2, dynamic_at, size),
        (if interpreter.is_some() { 3 } else { 0 }, strings_at + interpreter.unwrap_or(0), 1),
    ] {
        for word in [kind, at, at, at, size, size, 0] {
            file.extend_from_slice(&u64::to_le_bytes(word));
        }
    }
    file.extend_from_slice(&strings);
    file.extend(dynamic.iter().flat_map(|word| word.to_le_bytes()));
    file
}

fn files_below(root: &Path) -> Vec<PathBuf> {
    let mut found = vec![];
    let mut folders = vec![root.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            match entry.file_type().unwrap() {
                kind if kind.is_dir() => folders.push(entry.path()),
                kind if kind.is_file() => found.push(entry.path()),
                _ => {}
            }
        }
    }
    found
}

fn chroot(root: &Path, script: &str) -> String {
    let output = Command::new("chroot")
        .arg(root)
        .args(["/bin/sh", "-c", script])
        .env_clear()
        .env("PATH", "/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
        .output()
        .unwrap();
    assert!(output.status.success(), "{script}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn this_host_makes_a_small_tree_that_works() {
    let home = Scratch::new("own");
    let started = Instant::now();
    let root = PathBuf::from(host_root(home.path()).unwrap());
    let built = started.elapsed();
    let started = Instant::now();
    assert_eq!(host_root(home.path()).unwrap(), root.to_str().unwrap());
    let found = started.elapsed();
    let files = files_below(&root);
    let size: u64 = files.iter().map(|file| file.metadata().unwrap().len()).sum();
    println!("{} files, {} KiB, built in {built:?}, found again in {found:?}", files.len(), size >> 10);
    assert!(size < 20 << 20, "{size} bytes");

    assert_eq!(root.metadata().unwrap().mode() & 0o7777, 0o755);
    assert_eq!(root.join("tmp").metadata().unwrap().mode() & 0o7777, 0o1777);
    assert_eq!(root.join("root").metadata().unwrap().mode() & 0o7777, 0o700);
    for file in &files {
        assert_eq!(file.metadata().unwrap().mode() & 0o7000, 0, "{}", file.display());
    }
    assert_eq!(fs::read_link("/bin").ok(), fs::read_link(root.join("bin")).ok());
    assert!(!root.parent().unwrap().join(BUILDING).exists());
}

#[test]
fn every_library_of_this_hosts_tree_is_inside_it() {
    let home = Scratch::new("closed");
    let root = host_root(home.path()).unwrap();
    let tree = Host::new(&root);
    let mut checked = 0;
    for file in files_below(Path::new(&root)) {
        let Some(elf) = Elf::read(&&fs::read(&file).unwrap()[..]) else { continue };
        for loader in elf.interpreter.iter().filter(|_| !file.to_str().unwrap().contains(".so")) {
            assert!(tree.walk(loader).is_some(), "{}: {loader}", file.display());
        }
        for name in &elf.needed {
            let mut places = ["/lib", "/usr/lib", "/lib64", "/usr/lib64"].map(String::from).to_vec();
            places.extend(tree.names("/usr/lib").iter().map(|name| format!("/usr/lib/{name}")));
            let inside = places.iter().any(|place| tree.walk(&format!("{place}/{name}")).is_some());
            assert!(inside, "{} needs {name}", file.display());
            checked += 1;
        }
    }
    assert!(checked > 0);
}

#[test]
fn programs_of_this_hosts_tree_run_in_it() {
    let home = Scratch::new("runs");
    let root = PathBuf::from(host_root(home.path()).unwrap());
    assert!(chroot(&root, "ls / | wc -l").trim().parse::<u32>().unwrap() > 10);
    assert_eq!(chroot(&root, "id -un; echo b a | tr ' ' '\\n' | sort | head -1; whoami"), "root\na\nroot\n");
    // What is there must load: --version makes every program do that, whatever it says.
    let failed = chroot(
        &root,
        "for f in /bin/* /usr/bin/* /sbin/*; do $f --version </dev/null >/dev/null 2>/tmp/e; \
         grep -l 'shared lib\\|not found\\|GLIBC' /tmp/e >/dev/null && echo $f && cat /tmp/e; done; true",
    );
    assert_eq!(failed, "");
}

#[test]
fn a_host_without_a_shell_is_told_what_was_looked_for() {
    let (host, home) = (Scratch::new("bare"), Scratch::new("bare-home"));
    host.write("bin/ls", elf(None, &[], None));
    let text = host.build(&home).unwrap_err().to_string();
    assert!(text.contains("/bin/sh") && text.contains("bash ash dash busybox"), "{text}");
}

#[test]
fn a_shell_whose_library_is_missing_is_passed_over() {
    let (host, home) = (Scratch::new("broken"), Scratch::new("broken-home"));
    host.write("lib/ld-linux-x86-64.so.2", elf(None, &[], None));
    host.write("bin/sh", elf(Some("/lib/ld-linux-x86-64.so.2"), &["libgone.so"], None));
    host.write("usr/bin/dash", elf(None, &[], None));
    let root = host.build(&home).unwrap();
    // The broken one is not in the tree, so that its name is free for a shell that works.
    assert!(root.join("usr/bin/dash").is_file());
    assert_eq!(fs::read_link(root.join("bin/sh")).unwrap(), Path::new("/usr/bin/dash"));
    assert!(!root.join("lib/ld-linux-x86-64.so.2").exists());
}

#[test]
fn a_busybox_host_keeps_its_links_and_its_musl() {
    let (host, home) = (Scratch::new("busybox"), Scratch::new("busybox-home"));
    host.write("lib/ld-musl-x86_64.so.1", elf(None, &[], None));
    host.link("lib/libc.musl-x86_64.so.1", "ld-musl-x86_64.so.1");
    host.write("bin/busybox", elf(Some("/lib/ld-musl-x86_64.so.1"), &["libc.musl-x86_64.so.1"], None));
    host.link("bin/sh", "/bin/busybox");
    host.link("bin/ls", "/bin/busybox");
    host.link("usr/bin/vi", "../../bin/busybox");
    host.write("usr/bin/wget", elf(None, &[], None));
    let root = host.build(&home).unwrap();
    assert_eq!(fs::read_link(root.join("bin/ls")).unwrap(), Path::new("/bin/busybox"));
    assert_eq!(fs::read_link(root.join("usr/bin/vi")).unwrap(), Path::new("../../bin/busybox"));
    assert!(root.join("lib/ld-musl-x86_64.so.1").is_file());
    assert!(root.join("lib/libc.musl-x86_64.so.1").is_symlink());
    assert!(!root.join("usr/bin/wget").exists(), "a program of its own is not free");
}

#[test]
fn libraries_are_found_as_the_loader_finds_them() {
    let (host, home) = (Scratch::new("search"), Scratch::new("search-home"));
    let loader = Some("/lib64/ld-linux-x86-64.so.2");
    for (link, target) in [("bin", "usr/bin"), ("lib64", "usr/lib64"), ("lib", "usr/lib")] {
        host.link(link, target);
    }
    host.write("usr/lib64/ld-linux-x86-64.so.2", elf(None, &[], None));
    host.write(
        "usr/bin/sh",
        elf(loader, &["libown.so", "libconf.so.1", "libc.so.6"], Some("$ORIGIN/../lib/sh")),
    );
    host.write("usr/lib/sh/libown.so", elf(None, &["libc.so.6"], None));
    host.write("usr/lib64/libown.so", elf(None, &[], None));
    host.write("etc/ld.so.conf", "/opt/lib\n");
    host.write("opt/lib/libconf.so.1.2", elf(None, &[], None));
    host.link("opt/lib/libconf.so.1", "libconf.so.1.2");
    host.write("opt/lib/libc.so.6", b"GROUP ( a linker script )");
    host.write("usr/lib64/libc.so.6", elf(None, &[], None));
    host.write("usr/lib64/libnss_files.so.2", elf(None, &[], None));
    let root = host.build(&home).unwrap();
    assert!(root.join("usr/lib/sh/libown.so").is_file());
    assert!(!root.join("usr/lib64/libown.so").exists());
    assert!(root.join("opt/lib/libconf.so.1").is_symlink());
    assert_eq!(
        fs::read_link(root.join("usr/lib64/libconf.so.1")).unwrap(),
        Path::new("/opt/lib/libconf.so.1")
    );
    assert!(!root.join("opt/lib/libc.so.6").exists() && root.join("usr/lib64/libc.so.6").is_file());
    assert!(root.join("usr/lib64/libnss_files.so.2").is_file());
}

#[test]
fn programs_outside_of_the_usual_places_are_linked_into_them() {
    let (host, home) = (Scratch::new("nix"), Scratch::new("nix-home"));
    host.write("nix/store/x-bash/bin/bash", elf(None, &[], None));
    host.write("nix/store/x-coreutils/bin/coreutils", elf(None, &[], None));
    host.link("nix/store/x-coreutils/bin/ls", "coreutils");
    host.link("nix/store/x-system/sw/bin/ls", "/nix/store/x-coreutils/bin/ls");
    host.link("run/current-system", "/nix/store/x-system");
    host.link("bin/sh", "/nix/store/x-bash/bin/bash");
    let root = host.build(&home).unwrap();
    assert_eq!(fs::read_link(root.join("usr/bin/ls")).unwrap(), Path::new("/run/current-system/sw/bin/ls"));
    assert!(root.join("nix/store/x-coreutils/bin/coreutils").is_file());
}

#[test]
fn loops_and_scripts_without_their_interpreter_are_left_out() {
    let (host, home) = (Scratch::static_host("odd"), Scratch::new("odd-home"));
    host.link("bin/ls", "ls");
    host.link("bin/cat", "../../../../bin/missing");
    host.write("bin/egrep", "#! /bin/sh -e\n");
    host.write("bin/which", "#!/usr/bin/perl\n");
    host.write("bin/zcat", "#!");
    fs::create_dir(host.0.join("bin/sort")).unwrap();
    let root = host.build(&home).unwrap();
    let names: Vec<_> =
        fs::read_dir(root.join("bin")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names.len(), 2, "{names:?}");
    assert!(root.join("bin/egrep").exists());
}

#[test]
fn hard_links_stay_hard_links_and_set_user_id_is_dropped() {
    let (host, home) = (Scratch::static_host("modes"), Scratch::new("modes-home"));
    fs::hard_link(host.0.join("bin/sh"), host.0.join("bin/ls")).unwrap();
    host.write("bin/su", elf(None, &[], None));
    host.write("bin/mount", elf(None, &[], None));
    fs::set_permissions(host.0.join("bin/mount"), fs::Permissions::from_mode(0o6755)).unwrap();
    let root = host.build(&home).unwrap();
    let inode = |name| root.join(name).metadata().unwrap().ino();
    assert_eq!(inode("bin/sh"), inode("bin/ls"));
    assert_eq!(root.join("bin/mount").metadata().unwrap().mode() & 0o7777, 0o755);
}

#[test]
fn an_upgrade_makes_a_new_tree_and_a_new_program_too() {
    let (host, home) = (Scratch::static_host("upgrade"), Scratch::new("upgrade-home"));
    let first = host.build(&home).unwrap();
    assert_eq!(host.build(&home).unwrap(), first);
    host.write("bin/ls", elf(None, &[], None));
    let second = host.build(&home).unwrap();
    assert_ne!(second, first);
    host.write("bin/sh", elf(None, &[], Some("/newer")));
    assert_ne!(host.build(&home).unwrap(), second);
    // A program that was not asked for changes the directory, and not the tree.
    let third = host.build(&home).unwrap();
    host.write("bin/unknown", "");
    assert_eq!(host.build(&home).unwrap(), third);
}

#[test]
fn a_killed_build_and_a_damaged_tree_are_repaired() {
    let (host, home) = (Scratch::static_host("repair"), Scratch::new("repair-home"));
    home.write("rootfs/.building/bin/half", "");
    home.write("rootfs/host", "host-0\n=/bin/sh\t");
    let root = host.build(&home).unwrap();
    assert!(!home.0.join("rootfs/.building").exists());
    // A power failure: the name is there, the data is not.
    fs::write(root.join("bin/sh"), "").unwrap();
    assert_eq!(host.build(&home).unwrap(), root);
    assert!(root.join("bin/sh").metadata().unwrap().len() > 0);
    fs::remove_file(home.0.join("rootfs/host")).unwrap();
    let inode = root.metadata().unwrap().ino();
    assert_eq!(host.build(&home).unwrap().metadata().unwrap().ino(), inode, "a complete tree is kept");
}

#[test]
fn builders_at_the_same_time_get_the_same_tree() {
    let (host, home) = (Scratch::static_host("race"), Scratch::new("race-home"));
    let roots: Vec<_> = std::thread::scope(|scope| {
        let builders: Vec<_> = (0..8).map(|_| scope.spawn(|| host.build(&home).unwrap())).collect();
        builders.into_iter().map(|builder| builder.join().unwrap()).collect()
    });
    assert!(roots.iter().all(|root| *root == roots[0] && root.join("bin/sh").is_file()));
    assert_eq!(fs::read_dir(home.0.join("rootfs")).unwrap().count(), 3, "tree, manifest, lock");
}

#[test]
fn a_home_that_cannot_be_made_names_the_flag_that_moves_it() {
    let host = Scratch::static_host("nowhere");
    for home in ["/proc/servin/home", "/dev/null/home"] {
        let error = root_of(&Host::new(host.path()), home).unwrap_err().to_string();
        assert!(error.contains(home.rsplit_once('/').unwrap().0) && error.contains("--home DIR"), "{error}");
    }
    let home = Scratch::new("deep");
    let deep = format!("{}/var/lib/servin", home.path());
    root_of(&Host::new(host.path()), &deep).unwrap();
    assert_eq!(fs::metadata(&deep).unwrap().mode() & 0o7777, 0o700);
    assert_eq!(fs::metadata(format!("{deep}/rootfs")).unwrap().mode() & 0o7777, 0o700);
}
