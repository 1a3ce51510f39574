//! What the machine finds as its root: our PID 1, a shell, the artifacts, the test programs and the kernel modules.

use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::kernel::Kernel;
use super::modules::{Index, Module};
use super::newc::Archive;
use super::{Root, TestProgram};
use crate::{Result, build, command, elf, workspace};

/// What the kernel starts as PID 1, and the arguments for it.
pub const INIT: &str = "/servin-init";
pub const INIT_ARGUMENTS: &str = "/bin/sh /servin/rc";

/// By how much the tests are to stretch their own time limits.
const PATIENCE: u32 = 10;

const BUSYBOX: &str = "/bin/busybox";

/// Loaded before the tests: the kernel's own autoloading would want a modprobe and its index.
#[rustfmt::skip]
const MODULES: &[&str] = &[
    // The machine's own devices.
    "virtio_pci", "virtio_rng", "virtio_blk", "virtio_net", "virtio_console",
    // File systems, and what they are mounted from.
    "overlay", "loop", "squashfs", "erofs", "fuse", "configfs",
    // Links and addresses.
    "af_packet", "sctp", "veth", "bridge", "br_netfilter", "dummy", "macvlan", "ipvlan", "tun",
    // The packet filter: tables, and the expressions that publishing ports needs.
    "nf_tables", "nf_conntrack", "nf_nat", "nft_chain_nat", "nft_nat", "nft_masq", "nft_ct", "nft_redir", "nft_reject_inet",
    "nft_fib_inet", "nft_compat", "nf_conntrack_netlink",
];

/// The first lines; the loading of modules and the test programs follow.
const RC_HEAD: &str = r#"#!/bin/sh
# Made by xtask: sets the machine up, runs every test program, reports, powers off.
export PATH=/bin:/servin/dist HOME=/root TMPDIR=/tmp RUST_BACKTRACE=1
mkdir -p /proc /sys /dev /tmp /run /root /var/lib
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
mkdir -p /dev/pts /dev/shm /dev/mqueue
mount -t devpts -o newinstance,ptmxmode=0666,mode=620,gid=5 devpts /dev/pts
mount -t tmpfs tmpfs /dev/shm
mount -t mqueue mqueue /dev/mqueue
mount -t tmpfs -o mode=1777 tmpfs /tmp
mount -t tmpfs -o mode=755 tmpfs /run
mount -t cgroup2 cgroup2 /sys/fs/cgroup
for controller in $(cat /sys/fs/cgroup/cgroup.controllers); do
    echo "+$controller" > /sys/fs/cgroup/cgroup.subtree_control
done
ln -sf /proc/self/fd /dev/fd
ip link set lo up
hostname servin-test
"#;

/// Writes the archive.
pub fn write(
    to: &Path,
    kernel: &Kernel,
    root: &Root,
    programs: &[TestProgram],
    arguments: &[String],
) -> Result {
    let modules = Index::read(&kernel.modules)?.order(MODULES)?;
    let contents = Contents {
        rc: rc(root, &modules, programs, arguments),
        modules,
        libraries: elf::libraries(&programs.iter().map(|program| program.path.clone()).collect::<Vec<_>>())?,
        applets: command::output(Command::new(BUSYBOX).arg("--list"))?,
        stripped: programs.iter().map(strip).collect::<Result<_>>()?,
    };
    let file = File::create(to).map_err(|e| format!("create {}: {e}", to.display()))?;
    contents
        .write(root, Archive::new(BufWriter::new(file)))
        .map_err(|e| format!("write {}: {e}", to.display()))
}

/// Everything that goes in, found out beforehand.
struct Contents {
    rc: String,
    modules: Vec<Module>,
    libraries: Vec<PathBuf>,
    applets: String,
    /// The place in the machine and the file.
    stripped: Vec<(PathBuf, PathBuf)>,
}

impl Contents {
    fn write<W: std::io::Write>(&self, root: &Root, mut archive: Archive<W>) -> std::io::Result<()> {
        match root {
            Root::Busybox => self.write_busybox(&mut archive)?,
            Root::Systemd(debian) => super::systemd::write(&mut archive, debian)?,
        }
        archive.copy(&in_machine("busybox"), Path::new(BUSYBOX))?;
        archive.file(&in_machine("rc"), 0o755, self.rc.as_bytes())?;
        let dist = workspace::dist();
        for product in build::PRODUCTS {
            archive.copy(&in_machine("dist").join(product), &dist.join(product))?;
        }
        archive.link(&in_machine("dist/servin"), Path::new("servin-run"))?;
        let fixtures = workspace::target().join("fixtures");
        archive.copy(&in_machine("fixtures/probe"), &fixtures.join("probe"))?;
        for entry in std::fs::read_dir(fixtures.join("roots"))? {
            let name = entry?.file_name();
            // The largest by far, and what systemd's tests do without.
            if matches!(root, Root::Busybox) || name != "debian" {
                let place = Path::new("fixtures/roots").join(&name);
                archive.tree(&in_machine("").join(&place), &workspace::target().join(&place))?;
            }
        }
        for (path, file) in &self.stripped {
            archive.copy(path, file)?;
        }
        for module in &self.modules {
            archive.copy(&module_path(module), &module.path)?;
        }
        archive.end()
    }

    /// A root of busybox alone.
    fn write_busybox<W: std::io::Write>(&self, archive: &mut Archive<W>) -> std::io::Result<()> {
        // The kernel opens it for PID 1 before anything is mounted.
        archive.character_device(Path::new("/dev/console"), 5, 1)?;
        archive.copy(Path::new(BUSYBOX), Path::new(BUSYBOX))?;
        for applet in self.applets.lines().filter(|applet| *applet != "busybox") {
            archive.link(&Path::new("/bin").join(applet), Path::new("busybox"))?;
        }
        archive.file(
            Path::new("/etc/passwd"),
            0o644,
            b"root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534::/:/bin/sh\n",
        )?;
        archive.file(Path::new("/etc/group"), 0o644, b"root:x:0:\ntty:x:5:\nnogroup:x:65534:\n")?;
        archive.file(Path::new("/etc/hosts"), 0o644, b"127.0.0.1 localhost\n")?;
        archive.copy(Path::new("/servin-init"), &workspace::dist().join("servin-init"))?;
        for library in &self.libraries {
            archive.copy(library, library)?;
        }
        Ok(())
    }
}

/// Where the tests' files lie in the machine.
fn in_machine(name: &str) -> PathBuf {
    Path::new("/servin").join(name)
}

fn module_path(module: &Module) -> PathBuf {
    in_machine("modules").join(module.path.file_name().unwrap_or_default())
}

/// Debug information is most of a test program, and the machine's root is its memory.
fn strip(program: &TestProgram) -> Result<(PathBuf, PathBuf)> {
    let folder = workspace::target().join("qemu/tests");
    std::fs::create_dir_all(&folder).map_err(|e| format!("create {}: {e}", folder.display()))?;
    let stripped = folder.join(&program.name);
    command::run(Command::new("strip").arg("-o").arg(&stripped).arg(&program.path))?;
    Ok((in_machine("tests").join(&program.name), stripped))
}

fn rc(root: &Root, modules: &[Module], programs: &[TestProgram], arguments: &[String]) -> String {
    let (head, environment) = match root {
        Root::Busybox => (RC_HEAD, "qemu"),
        Root::Systemd(_) => (super::systemd::RC_HEAD, "systemd"),
    };
    let mut rc = head.to_owned();
    for module in modules {
        rc += &format!("/servin/busybox insmod {}\n", quoted(&module_path(module).to_string_lossy()));
    }
    for (name, value) in crate::test::environment(environment, &in_machine("dist"), &in_machine("fixtures")) {
        rc += &format!("export {name}={}\n", quoted(&value));
    }
    rc += &format!("export SERVIN_PATIENCE={PATIENCE}\n");
    let arguments: String = arguments.iter().map(|argument| format!(" {}", quoted(argument))).collect();
    for program in programs {
        let name = &program.name;
        rc +=
            &format!("echo '{}{name}'\n/servin/tests/{name}{arguments} < /dev/null\n", crate::test::RUNNING);
        rc += &format!("echo \"{}{name} $?\" > /dev/ttyS1\n", super::STATUS_PREFIX);
    }
    rc += &format!("echo '{}' > /dev/ttyS1\nsync\n/servin/busybox poweroff -f\n", super::STATUS_END);
    rc
}

/// A word for the shell.
fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rc_loads_runs_reports_and_powers_off_in_this_order() {
        let program = TestProgram { name: "mounts".to_owned(), path: PathBuf::new() };
        let module = Module { path: "/x/veth.ko".into(), ..Module::default() };
        let rc = rc(&Root::Busybox, &[module], &[program], &["it's".to_owned()]);
        let places = [
            "mount -t proc",
            "insmod '/servin/modules/veth.ko'",
            "export SERVIN_RUN='/servin/dist/servin-run'",
            r"/servin/tests/mounts 'it'\''s' < /dev/null",
            "echo \"status mounts $?\" > /dev/ttyS1",
            "echo 'all run' > /dev/ttyS1",
            "poweroff -f",
        ];
        let found: Vec<_> = places.iter().map(|place| rc.find(place)).collect();
        assert!(found.iter().all(Option::is_some), "{rc}");
        assert!(found.is_sorted(), "{rc}");
    }
}
