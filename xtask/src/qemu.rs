//! Boots Debian's kernel under QEMU with an initramfs that holds the artifacts, the test programs and what they
//! need, runs every test program there, and brings back the lines that they print and their exit codes.
//!
//! There `/` is rootfs itself and cgroup v2 is unified: what a host seldom offers. Emulated (TCG) throughout: a
//! machine that is itself virtual may have a /dev/kvm that hangs.

mod initramfs;
mod kernel;
mod modules;
mod newc;
mod systemd;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use crate::{Result, command, debian, workspace};

/// From power on to power off. An emulated, busy machine is an order of magnitude slower than a real one.
const TIME_LIMIT: Duration = Duration::from_secs(30 * 60);

const MEMORY: &str = "2G";

/// What rc writes to the second serial port, one line for each test program, then the last line.
const STATUS_PREFIX: &str = "status ";
const STATUS_END: &str = "all run";

/// One test program to run in the machine.
pub struct TestProgram {
    pub name: String,
    pub path: PathBuf,
}

/// What is there beside the tests.
pub enum Root {
    /// Our own PID 1 and busybox.
    Busybox,
    /// A Debian in this folder, with systemd as PID 1.
    Systemd(PathBuf),
}

impl Root {
    /// The one with systemd, made the first time.
    pub fn systemd() -> Result<Root> {
        systemd::make(&workspace::target().join("qemu")).map(Root::Systemd)
    }
}

/// Runs the programs in a machine, each with `arguments`; every line of its console goes to `each`. Returns the
/// names of those that did not exit with 0.
pub fn run(
    root: &Root,
    programs: &[TestProgram],
    arguments: &[String],
    each: impl FnMut(&str),
) -> Result<Vec<String>> {
    debian::ensure(&["qemu-system-x86", "busybox-static"], "a test in QEMU")?;
    let folder = workspace::target().join("qemu");
    let kernel = kernel::fetch(&folder)?;
    let begin = Instant::now();
    let initramfs = folder.join("initramfs.cpio");
    initramfs::write(&initramfs, &kernel, root, programs, arguments)?;
    let size = fs::metadata(&initramfs).map_err(|e| format!("initramfs: {e}"))?.len();
    println!("xtask: initramfs of {} MiB in {} ms", size >> 20, begin.elapsed().as_millis());

    let status = folder.join("status");
    let _ = fs::remove_file(&status);
    let mut qemu = machine(root, &kernel.image, &initramfs, &status);
    let begin = Instant::now();
    let ended = command::watch(&mut qemu, TIME_LIMIT, each)?;
    println!("xtask: the machine ran for {} s", begin.elapsed().as_secs());
    command::judged(&qemu, ended)?;
    let names: Vec<&str> = programs.iter().map(|program| program.name.as_str()).collect();
    failures(&workspace::read_text(&status)?, &names)
}

fn machine(root: &Root, kernel: &Path, initramfs: &Path, status: &Path) -> Command {
    let mut qemu = Command::new("qemu-system-x86_64");
    qemu.args(["-machine", "q35", "-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "2", "-m", MEMORY]);
    qemu.args(["-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"]);
    // The guest gathers randomness slowly under emulation; without this, getrandom may block early programs.
    qemu.args(["-device", "virtio-rng-pci"]);
    qemu.args(["-serial", "stdio", "-serial"]).arg(format!("file:{}", status.display()));
    qemu.arg("-kernel").arg(kernel).arg("-initrd").arg(initramfs);
    // The kernel hands what follows `--` to /init; it would swallow a second `--`. A panic ends the machine
    // (-no-reboot). Messages below warnings would only break into the lines of the tests.
    let init = match root {
        Root::Busybox => format!("rdinit={} -- {}", initramfs::INIT, initramfs::INIT_ARGUMENTS),
        Root::Systemd(_) => systemd::KERNEL_ARGUMENTS.to_owned(),
    };
    let line = format!("console=ttyS0 loglevel=4 panic=-1 psi=1 {init}");
    qemu.arg("-append").arg(line);
    qemu
}

/// Reads what rc reported: programs that failed or were never reached.
fn failures(status: &str, programs: &[&str]) -> Result<Vec<String>> {
    let code_of = |name: &str| {
        let mut reports = status.lines().filter_map(|line| line.trim_end().strip_prefix(STATUS_PREFIX));
        reports.find_map(|report| report.strip_prefix(name)?.strip_prefix(' ')?.parse::<u32>().ok())
    };
    if !status.lines().any(|line| line.trim_end() == STATUS_END) {
        let missing = programs.iter().find(|name| code_of(name).is_none());
        return Err(format!(
            "the machine stopped before the tests were through, in {}",
            missing.copied().unwrap_or("the power-off")
        ));
    }
    Ok(programs.iter().filter(|name| code_of(name) != Some(0)).map(|name| name.to_string()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_programs_reported_with_zero_have_passed() {
        let status = "status a 0\r\nstatus ab 101\r\nall run\r\n";
        assert_eq!(failures(status, &["a", "ab", "c"]), Ok(vec!["ab".to_owned(), "c".to_owned()]));
        assert_eq!(failures(status, &["a"]), Ok(vec![]));
    }

    #[test]
    fn a_machine_that_stopped_early_is_an_error_that_names_where() {
        let error = failures("status a 0\n", &["a", "b"]);
        assert!(error.is_err_and(|e| e.ends_with("in b")));
    }
}
