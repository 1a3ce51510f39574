//! The program means what the profile says: both are asked the same questions.

use super::*;
use crate::spec::{Seccomp, SyscallArg, SyscallRule};

fn number_of(name: &str, column: usize) -> Option<u32> {
    table::number(table::find(name)?, column)
}

/// What a program sees of a call.
#[derive(Debug, Clone, Copy)]
struct Call {
    arch: u32,
    number: u32,
    arguments: [u64; 6],
}

/// Runs a program as the kernel does; returns its answer and how many instructions that took. Panics on whatever the
/// kernel would refuse.
fn interpret(program: &[Instruction], call: Call) -> (u32, usize) {
    let mut data = [0u8; 64];
    data[0..4].copy_from_slice(&call.number.to_le_bytes());
    data[4..8].copy_from_slice(&call.arch.to_le_bytes());
    for (index, argument) in call.arguments.iter().enumerate() {
        data[16 + 8 * index..][..8].copy_from_slice(&argument.to_le_bytes());
    }
    let (mut at, mut accumulator) = (0, 0);
    for steps in 1.. {
        let Instruction { code, jt, jf, k } = program[at];
        at += 1;
        let jump = |holds: bool| usize::from(if holds { jt } else { jf });
        match code {
            0x20 => {
                let bytes = &data[k as usize..][..4];
                accumulator = u32::from_le_bytes(bytes.try_into().expect("four bytes"));
            }
            0x54 => accumulator &= k,
            0x05 => at += k as usize,
            0x15 => at += jump(accumulator == k),
            0x25 => at += jump(accumulator > k),
            0x35 => at += jump(accumulator >= k),
            0x06 => return (k, steps),
            other => panic!("instruction {other:#x}"),
        }
    }
    unreachable!("a program without loops ends")
}

/// What the rules of the specification and of libseccomp give, read naively.
fn expected(profile: &Seccomp, call: Call) -> u32 {
    let default = returned("", profile.default_action, profile.default_errno_ret).expect("valid");
    let abis = architecture::wanted(&profile.architectures).expect("valid");
    let x32 = cfg!(target_arch = "x86_64") && call.arch == abis[0].audit && call.number >= 0x4000_0000;
    let bit = if x32 { 0x4000_0000 } else { 0 };
    let Some(abi) = abis.iter().find(|abi| abi.audit == call.arch && abi.bit == bit) else {
        return KILL_THREAD;
    };
    let number = call.number - bit;
    let (mut first, mut known) = (None, 0);
    for rule in &profile.syscalls {
        let action = returned("", rule.action, rule.errno_ret).expect("valid");
        for name in &rule.names {
            let Some(own) = number_of(name, abi.column) else { continue };
            known = known.max(own);
            if own != number || action == default {
                continue;
            }
            if rule.args.is_empty() {
                // The first of those without conditions decides.
                return match profile.syscalls.iter().find(|rule| {
                    let other = returned("", rule.action, rule.errno_ret).expect("valid");
                    rule.args.is_empty()
                        && other != default
                        && rule.names.iter().any(|name| number_of(name, abi.column) == Some(number))
                }) {
                    Some(rule) => returned("", rule.action, rule.errno_ret).expect("valid"),
                    None => action,
                };
            }
            let holds = |arg: &SyscallArg| {
                let mask = if abi.wide { u64::MAX } else { u64::from(u32::MAX) };
                let (value, with) = (call.arguments[arg.index as usize] & mask, arg.value & mask);
                match arg.op {
                    Operator::NotEqual => value != with,
                    Operator::Less => value < with,
                    Operator::LessOrEqual => value <= with,
                    Operator::Equal => value == with,
                    Operator::GreaterOrEqual => value >= with,
                    Operator::Greater => value > with,
                    Operator::MaskedEqual => value & with == arg.value_two.unwrap_or(0) & with,
                }
            };
            let applies = match repeats_an_argument(rule) {
                true => rule.args.iter().any(holds),
                false => rule.args.iter().all(holds),
            };
            if applies && first.is_none() {
                first = Some(action);
            }
        }
    }
    match first {
        // An unconditional rule further on would have returned above.
        Some(action) => action,
        None if number > known && default & 0xffff_0000 == ERRNO => ERRNO | ENOSYS,
        None => default,
    }
}

/// Pseudo-random numbers (xorshift), the same in every run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit as u64) as usize
    }

    /// A value near the places where comparisons change their minds.
    fn value(&mut self) -> u64 {
        let near =
            [0, 1, 0x7fff_ffff, 0xffff_ffff, 0x1_0000_0000, 0xffff_ffff_0000_0000, u64::MAX][self.below(7)];
        near.wrapping_add(self.below(3) as u64).wrapping_sub(1)
    }
}

const NAMES: [&str; 12] = [
    "read",
    "write",
    "openat",
    "clone",
    "socket",
    "personality",
    "ioctl",
    "execve",
    "socketcall",
    "mseal",
    "no_such_call",
    "futex",
];
const ACTIONS: [Action; 6] =
    [Action::Allow, Action::Errno, Action::KillProcess, Action::Trap, Action::Log, Action::Trace];
const OPERATORS: [Operator; 7] = [
    Operator::NotEqual,
    Operator::Less,
    Operator::LessOrEqual,
    Operator::Equal,
    Operator::GreaterOrEqual,
    Operator::Greater,
    Operator::MaskedEqual,
];

fn random_profile(random: &mut Random) -> Seccomp {
    let rules = (0..random.below(8)).map(|_| {
        let args = (0..random.below(4)).map(|_| SyscallArg {
            index: random.below(6) as u32,
            value: random.value(),
            value_two: [None, Some(random.value())][random.below(2)],
            op: OPERATORS[random.below(7)],
        });
        let args = args.collect();
        let names = (0..1 + random.below(4)).map(|_| NAMES[random.below(NAMES.len())].into()).collect();
        let action = ACTIONS[random.below(6)];
        let errno_ret =
            [None, Some(38)][random.below(2)].filter(|_| matches!(action, Action::Errno | Action::Trace));
        SyscallRule { args, names, action, errno_ret }
    });
    let syscalls = rules.collect();
    let listed: &[&str] = [
        &[][..],
        &["SCMP_ARCH_X86"],
        &["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"],
        &["SCMP_ARCH_ARM"],
    ][random.below(4)];
    Seccomp {
        default_action: ACTIONS[random.below(6)],
        architectures: listed.iter().map(ToString::to_string).collect(),
        syscalls,
        ..Seccomp::default()
    }
}

fn random_call(random: &mut Random, abis: &[Abi]) -> Call {
    let abi = abis[random.below(abis.len())];
    let name = NAMES[random.below(NAMES.len())];
    let number = match random.below(4) {
        0 => random.below(600) as u32,
        1 => [u32::MAX, 0, 0x4000_0000, 0x3fff_ffff, 0x8000_0000][random.below(5)],
        _ => number_of(name, abi.column).unwrap_or(0),
    };
    let arch = if random.below(20) == 0 { 0x1234 } else { abi.audit };
    Call { arch, number: number | abi.bit, arguments: [(); 6].map(|()| random.value()) }
}

/// All jumps stay inside, and whatever is reached ends with a return: what the kernel's own check demands.
fn check(program: &[Instruction]) {
    assert!(program.len() <= 4096);
    assert_eq!(program.last().map(|last| last.code), Some(0x06));
    for (at, Instruction { code, jt, jf, k }) in program.iter().enumerate() {
        let furthest = match code {
            0x05 => at + 1 + *k as usize,
            0x15 | 0x25 | 0x35 => at + 1 + usize::from(*jt.max(jf)),
            _ => at,
        };
        assert!(furthest < program.len(), "{at} jumps out");
    }
}

#[test]
fn random_profiles_mean_what_they_say() {
    let mut random = Random(0x5eed);
    let all = architecture::wanted(&["SCMP_ARCH_X86".into(), "SCMP_ARCH_X32".into(), "SCMP_ARCH_ARM".into()]);
    let all = all.expect("known");
    for _ in 0..3000 {
        let profile = random_profile(&mut random);
        let filter = compile(&profile).expect("compiled");
        check(&filter.program);
        for _ in 0..40 {
            let call = random_call(&mut random, &all);
            let (answer, _) = interpret(&filter.program, call);
            assert_eq!(answer, expected(&profile, call), "{call:x?} in {profile:#?}");
        }
    }
}

#[test]
fn common_calls_of_a_large_profile_take_few_instructions() {
    let profile = profile_for(DOCKERS);
    let begin = std::time::Instant::now();
    let filter = compile(&profile).expect("compiled");
    println!("compiled in {:?}", begin.elapsed());
    check(&filter.program);
    let arch = architecture::wanted(&[]).expect("own")[0].audit;
    for name in ["read", "write", "openat", "mmap", "futex", "epoll_wait", "clock_gettime", "getppid"] {
        let Some(number) = number_of(name, 0) else { continue };
        let call = Call { arch, number, arguments: [0; 6] };
        let (answer, steps) = interpret(&filter.program, call);
        println!("{name}: {steps} of {} instructions", filter.program.len());
        assert_eq!(answer, ALLOW, "{name}");
        assert!(steps <= 14, "{name} takes {steps}");
    }
    for number in 0..600 {
        let call = Call { arch, number, arguments: [8; 6] };
        assert_eq!(interpret(&filter.program, call).0, expected(&profile, call), "{number}");
    }
}

#[test]
fn what_is_wrong_is_named_by_its_field() {
    let rule =
        |action: Action| SyscallRule { names: ["read".into()].into(), action, ..SyscallRule::default() };
    let base = || Seccomp { default_action: Action::Allow, ..Seccomp::default() };
    let refused = |profile: Seccomp| compile(&profile).expect_err("refused").to_string();
    for (profile, field) in [
        (
            Seccomp { architectures: ["SCMP_ARCH_Z80".into()].into(), ..base() },
            "linux.seccomp.architectures[0]: ",
        ),
        (Seccomp { flags: ["FAST".into()].into(), ..base() }, "linux.seccomp.flags[0]: "),
        (Seccomp { default_action: Action::Notify, ..base() }, "linux.seccomp.defaultAction: "),
        (
            Seccomp { syscalls: [rule(Action::Notify)].into(), ..base() },
            "linux.seccomp.listenerPath is missing",
        ),
        (Seccomp { listener_metadata: Some("x".into()), ..base() }, "linux.seccomp.listenerMetadata: "),
        (Seccomp { listener_path: Some("a".into()), ..base() }, "linux.seccomp.listenerPath: "),
        (
            Seccomp { default_action: Action::Errno, default_errno_ret: Some(70_000), ..base() },
            "linux.seccomp.defaultErrnoRet: ",
        ),
        (
            Seccomp {
                syscalls: [SyscallRule { errno_ret: Some(1 << 16), ..rule(Action::Errno) }].into(),
                ..base()
            },
            "linux.seccomp.syscalls[0].errnoRet: ",
        ),
        (
            Seccomp { default_action: Action::Allow, default_errno_ret: Some(1), ..base() },
            "linux.seccomp.defaultErrnoRet: SCMP_ACT_ALLOW has no error number",
        ),
        (
            Seccomp { syscalls: [SyscallRule { errno_ret: Some(1), ..rule(Action::Kill) }].into(), ..base() },
            "linux.seccomp.syscalls[0].errnoRet: SCMP_ACT_KILL has no error number",
        ),
        (
            Seccomp { syscalls: [SyscallRule { names: Vec::new(), ..rule(Action::Errno) }].into(), ..base() },
            "linux.seccomp.syscalls[0].names is empty",
        ),
        (
            Seccomp {
                syscalls: [SyscallRule {
                    args: [SyscallArg { index: 6, ..SyscallArg::default() }].into(),
                    ..rule(Action::Errno)
                }]
                .into(),
                ..base()
            },
            "linux.seccomp.syscalls[0].args: [0].index: 6",
        ),
    ] {
        let error = refused(profile);
        assert!(error.starts_with(field), "{error}");
    }
}

#[test]
fn a_program_that_the_kernel_would_not_take_is_an_error() {
    let rule = |number: u32| SyscallRule {
        names: ["read".into()].into(),
        action: Action::Errno,
        errno_ret: Some(number),
        args: (0..6)
            .map(|index| SyscallArg { index, value: number.into(), op: Operator::Greater, value_two: None })
            .collect(),
    };
    let profile = Seccomp {
        default_action: Action::Allow,
        syscalls: (0..200).map(rule).collect(),
        ..Seccomp::default()
    };
    let error = compile(&profile).expect_err("too long").to_string();
    assert!(error.contains("4096"), "{error}");
}

/// Docker's fourteen capabilities.
const DOCKERS: u64 = 0xa804_25fb;

/// The container tools' default profile as it is for a process with these capabilities, read naively.
fn profile_for(capabilities: u64) -> Seccomp {
    use miniserde::json::Value;
    let member = |value: &Value, key: &str| match value {
        Value::Object(object) => object.get(key).map(miniserde::json::to_string),
        _ => None,
    };
    let machine = if cfg!(target_arch = "x86_64") { "amd64" } else { "arm64" };
    let document: Value =
        miniserde::json::from_str(include_str!("../../build/default-seccomp.json")).expect("JSON");
    let rules: Vec<Value> =
        miniserde::json::from_str(&member(&document, "syscalls").expect("rules")).expect("rules");
    let mut profile: Seccomp = spec::parse(
        r#"{"defaultAction":"SCMP_ACT_ERRNO","defaultErrnoRet":38,
            "architectures":["SCMP_ARCH_X86_64","SCMP_ARCH_X86","SCMP_ARCH_X32"]}"#,
        "profile",
    )
    .expect("valid");
    for rule in &rules {
        let conditions = |key: &str, kind: &str| -> Vec<String> {
            let object = member(rule, key).map(|text| miniserde::json::from_str(&text).expect("JSON"));
            let words = object.and_then(|object: Value| member(&object, kind));
            words.map_or(Vec::new(), |text| miniserde::json::from_str(&text).expect("words"))
        };
        let held = |name: &String| {
            let known = [
                ("CAP_DAC_READ_SEARCH", 2),
                ("CAP_SYS_MODULE", 16),
                ("CAP_SYS_RAWIO", 17),
                ("CAP_SYS_CHROOT", 18),
                ("CAP_SYS_PTRACE", 19),
                ("CAP_SYS_PACCT", 20),
                ("CAP_SYS_ADMIN", 21),
                ("CAP_SYS_TIME", 25),
                ("CAP_SYS_TTY_CONFIG", 26),
                ("CAP_AUDIT_WRITE", 29),
            ];
            let (_, bit) = known.iter().find(|(known, _)| known == name).expect("a capability");
            capabilities >> bit & 1 == 1
        };
        let machines = conditions("includes", "arches");
        if (machines.is_empty() || machines.iter().any(|word| word == machine))
            && conditions("includes", "caps").iter().all(held)
            && !conditions("excludes", "caps").iter().any(held)
        {
            let rule = spec::parse(&miniserde::json::to_string(rule), "rule").expect("a rule");
            profile.syscalls.push(rule);
        }
    }
    profile
}

#[test]
fn the_default_filter_is_the_profile_for_the_processs_capabilities() {
    let mut random = Random(0x5eed_0003);
    for capabilities in [DOCKERS, 0, u64::MAX >> 23, 1 << 21, 1 << 2 | 1 << 18, DOCKERS & !(1 << 29)] {
        let profile = profile_for(capabilities);
        let program = default(capabilities).program;
        let abis = architecture::wanted(&profile.architectures).expect("valid");
        assert!(
            program.len() < 4096 && abis.len() == profile.architectures.len()
                || cfg!(not(target_arch = "x86_64"))
        );
        for abi in abis {
            for number in 0..600 {
                for _ in 0..6 {
                    let mut arguments = [0; 6];
                    arguments.iter_mut().for_each(|argument| *argument = random.value());
                    if random.below(2) == 0 {
                        arguments[0] = [16, 8, 0x20000, 0x20008][random.below(4)];
                        arguments[2] = [9, 0, 1][random.below(3)];
                    }
                    let call = Call { arch: abi.audit, number: number | abi.bit, arguments };
                    let (found, steps) = interpret(&program, call);
                    assert_eq!(found, expected(&profile, call), "{call:?} with {capabilities:#x}");
                    assert!(steps < 40, "{steps} instructions for {call:?}");
                }
            }
        }
    }
}
