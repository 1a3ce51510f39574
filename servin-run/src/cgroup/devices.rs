//! Which devices a container may use: `linux.resources.devices` to an eBPF program for its cgroup
//! (BPF_PROG_TYPE_CGROUP_DEVICE, Linux 4.15), which is asked at each open(2) and mknod(2) of a device.
//!
//! Rules count in their order, later ones over earlier ones; each bit of an access is decided by the last rule that
//! speaks of it. What no rule allows is denied. After the configuration's rules come those for the devices that
//! every container has, as with runc and crun.

use alloc::format;
use alloc::vec::Vec;

use rustix::fd::{BorrowedFd, OwnedFd};
use rustix::io::{self, Errno};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::error::{Error, Result, Step};
use crate::spec::DeviceRule;
use crate::sys::bpf;
pub use crate::sys::bpf::Instruction;

/// Access bits of linux/bpf.h (`BPF_DEVCG_ACC_*`).
const MKNOD: u8 = 1;
const READ: u8 = 2;
const WRITE: u8 = 4;
const ALL: u8 = MKNOD | READ | WRITE;

/// Kinds of devices there (`BPF_DEVCG_DEV_*`).
const BLOCK: u8 = 1;
const CHARACTER: u8 = 2;

/// A rule in the kernel's numbers; what is absent matches everything.
#[derive(Debug, Clone, Copy)]
struct Rule {
    allow: bool,
    kind: Option<u8>,
    major: Option<u32>,
    minor: Option<u32>,
    access: u8,
}

const fn allowed(kind: u8, major: Option<u32>, minor: Option<u32>, access: u8) -> Rule {
    Rule { allow: true, kind: Some(kind), major, minor, access }
}

/// What every container may use: the default devices (config-linux.md), nodes of any device without opening them,
/// the console, pseudo-terminals, and tun, as runc and crun have it.
const DEFAULTS: [Rule; 12] = [
    allowed(CHARACTER, None, None, MKNOD),
    allowed(BLOCK, None, None, MKNOD),
    allowed(CHARACTER, Some(1), Some(3), ALL),
    allowed(CHARACTER, Some(1), Some(5), ALL),
    allowed(CHARACTER, Some(1), Some(7), ALL),
    allowed(CHARACTER, Some(1), Some(8), ALL),
    allowed(CHARACTER, Some(1), Some(9), ALL),
    allowed(CHARACTER, Some(5), Some(0), ALL),
    allowed(CHARACTER, Some(5), Some(1), ALL),
    allowed(CHARACTER, Some(5), Some(2), ALL),
    allowed(CHARACTER, Some(136), None, ALL),
    allowed(CHARACTER, Some(10), Some(200), ALL),
];

/// The program for `rules`; none where there are no rules, and the cgroups above decide alone.
pub fn program(rules: &[DeviceRule]) -> Result<Option<Vec<Instruction>>> {
    if rules.is_empty() {
        return Ok(None);
    }
    let mut all = Vec::new();
    for (index, given) in rules.iter().enumerate() {
        let read = rule(given);
        all.push(read.map_err(|e| e.within(format_args!("linux.resources.devices[{index}]")))?);
    }
    all.extend(DEFAULTS);
    Ok(Some(assemble(&all)))
}

fn rule(given: &DeviceRule) -> Result<Rule> {
    let kind = match given.kind.as_deref() {
        None | Some("" | "a") => None,
        Some("c" | "u") => Some(CHARACTER),
        Some("b") => Some(BLOCK),
        Some(other) => return Err(Error::new(format_args!("type: \"{other}\" is none of a, b and c"))),
    };
    let mut access = 0;
    for word in given.access.as_deref().unwrap_or_default().chars() {
        access |= match word {
            'r' => READ,
            'w' => WRITE,
            'm' => MKNOD,
            _ => return Err(Error::new(format_args!("access: '{word}' is none of r, w and m"))),
        };
    }
    Ok(Rule {
        allow: given.allow,
        kind,
        major: number("major", given.major)?,
        minor: number("minor", given.minor)?,
        access: if access == 0 { ALL } else { access },
    })
}

fn number(field: &str, value: Option<i64>) -> Result<Option<u32>> {
    match value {
        None | Some(-1) => Ok(None),
        // The kernel has 12 bits for the major number and 20 for the minor one.
        Some(value @ 0..=0xf_ffff) => Ok(Some(value as u32)),
        Some(value) => Err(Error::new(format_args!("{field}: {value} is not a device number"))),
    }
}

// Operations of linux/bpf.h, and what the registers hold.
const LOAD_WORD: u8 = 0x61; // BPF_LDX | BPF_MEM | BPF_W
const AND: u8 = 0x57; // BPF_ALU64 | BPF_AND | BPF_K
const RIGHT_SHIFT: u8 = 0x77; // BPF_ALU64 | BPF_RSH | BPF_K
const SET: u8 = 0xb7; // BPF_ALU64 | BPF_MOV | BPF_K
const COPY: u8 = 0xbf; // BPF_ALU64 | BPF_MOV | BPF_X
const JUMP_IF_EQUAL: u8 = 0x15; // BPF_JMP | BPF_JEQ | BPF_K
const JUMP_UNLESS_EQUAL: u8 = 0x55; // BPF_JMP | BPF_JNE | BPF_K
const EXIT: u8 = 0x95; // BPF_JMP | BPF_EXIT

/// What the program returns: whether access is granted.
const ANSWER: u8 = 0;
/// The request, `struct bpf_cgroup_dev_ctx`: kind and access, major, minor.
const REQUEST: u8 = 1;
/// The bits of the access that no rule has decided yet.
const UNDECIDED: u8 = 2;
/// A field of the request. Loaded afresh for each comparison: so the verifier learns nothing on one path that makes
/// it different from another, and has to look at each rule a few times only, however many there are.
const FIELD: u8 = 3;

const KIND_AND_ACCESS: i16 = 0;
const MAJOR: i16 = 4;
const MINOR: i16 = 8;

/// The last rule first.
fn assemble(rules: &[Rule]) -> Vec<Instruction> {
    let mut code = Vec::new();
    code.push(load(UNDECIDED, KIND_AND_ACCESS));
    code.push(with(RIGHT_SHIFT, UNDECIDED, 16));
    code.push(with(AND, UNDECIDED, ALL.into()));
    for rule in rules.iter().rev() {
        let begin = code.len();
        if let Some(kind) = rule.kind {
            code.push(load(FIELD, KIND_AND_ACCESS));
            code.push(with(AND, FIELD, 0xffff));
            code.push(with(JUMP_UNLESS_EQUAL, FIELD, kind.into()));
        }
        for (field, number) in [(MAJOR, rule.major), (MINOR, rule.minor)] {
            if let Some(number) = number {
                code.push(load(FIELD, field));
                code.push(with(JUMP_UNLESS_EQUAL, FIELD, number as i32));
            }
        }
        let always = code.len() == begin && rule.access == ALL;
        if rule.access != ALL && rule.allow {
            code.push(with(AND, UNDECIDED, (ALL & !rule.access).into()));
            code.push(with(JUMP_UNLESS_EQUAL, UNDECIDED, 0));
        } else if rule.access != ALL {
            code.push(Instruction { registers: registers(FIELD, UNDECIDED), ..with(COPY, 0, 0) });
            code.push(with(AND, FIELD, rule.access.into()));
            code.push(with(JUMP_IF_EQUAL, FIELD, 0));
        }
        answer(&mut code, rule.allow);
        // Every jump so far within this rule goes to the next one.
        let end = code.len();
        for (at, instruction) in code.iter_mut().enumerate().skip(begin) {
            if matches!(instruction.code, JUMP_IF_EQUAL | JUMP_UNLESS_EQUAL) {
                instruction.offset = (end - at - 1) as i16;
            }
        }
        // Nothing gets past this rule, and the verifier refuses code that cannot be reached.
        if always {
            return code;
        }
    }
    answer(&mut code, false);
    code
}

fn answer(code: &mut Vec<Instruction>, granted: bool) {
    code.push(with(SET, ANSWER, granted.into()));
    code.push(with(EXIT, 0, 0));
}

fn load(register: u8, offset: i16) -> Instruction {
    Instruction { code: LOAD_WORD, registers: registers(register, REQUEST), offset, immediate: 0 }
}

fn with(code: u8, register: u8, immediate: i32) -> Instruction {
    Instruction { code, registers: registers(register, 0), offset: 0, immediate }
}

/// Bit fields of C: the destination is the lower half on little-endian machines, the upper one on others.
const fn registers(destination: u8, source: u8) -> u8 {
    if cfg!(target_endian = "little") { destination | source << 4 } else { destination << 4 | source }
}

/// Makes `program` the one that decides about the cgroup's devices. In one step where the kernel can (Linux 5.6); else
/// the new one is there before the old ones go, so that at no time more is allowed than one of them allows.
pub fn replace(cgroup: BorrowedFd<'_>, program: &[Instruction]) -> Result<()> {
    let step = || "linux.resources.devices: attach a device program to the cgroup (bpf)";
    let hint = |errno: Errno| {
        let error = Error::os(step(), errno);
        match errno {
            Errno::PERM => {
                error.hint("this needs CAP_BPF (before Linux 5.8: CAP_SYS_ADMIN) outside of user namespaces")
            }
            Errno::NOSYS | Errno::INVAL => error.hint("this needs CONFIG_CGROUP_BPF and Linux 4.15"),
            _ => error,
        }
    };
    let new = load_program(program).map_err(hint)?;
    // No more than 64 can be attached to a cgroup (BPF_CGROUP_MAX_PROGS).
    let mut ids = [0; 64];
    let count = bpf::query(cgroup, &mut ids).map_err(hint)?;
    let mut old = Vec::new();
    for id in ids.iter().take(count) {
        match bpf::program_by_id(*id) {
            // Gone meanwhile.
            Err(Errno::NOENT) => {}
            found => old.push(found.step(|| format!("open the device program {id} of the cgroup"))?),
        }
    }
    if let Some(replaced) = old.last()
        && bpf::attach(cgroup, &new, Some(replaced)).is_ok()
    {
        old.pop();
    } else {
        bpf::attach(cgroup, &new, None).map_err(hint)?;
    }
    for program in &old {
        bpf::detach(cgroup, program).step(|| "detach an old device program from the cgroup")?;
    }
    Ok(())
}

/// Loads a program. Before Linux 5.11 its pages count as locked memory of the user, root too, against this process's
/// limit, which a dozen containers reach: EPERM. Then it is loaded without that limit, which nobody inherits.
fn load_program(program: &[Instruction]) -> io::Result<OwnedFd> {
    let loaded = bpf::load_device_program(program);
    if !matches!(loaded, Err(Errno::PERM)) {
        return loaded;
    }
    let own = getrlimit(Resource::Memlock);
    setrlimit(Resource::Memlock, Rlimit { current: None, maximum: None }).map_err(|_| Errno::PERM)?;
    let loaded = bpf::load_device_program(program);
    let _ = setrlimit(Resource::Memlock, own);
    loaded
}

#[cfg(test)]
mod tests;
