//! The default filter of people's containers, compiled here so that a start does not pay for it. What depends on the
//! container's capabilities is a marker, which the program replaces by what the capabilities say.

use std::collections::BTreeMap;
use std::fmt::Write;

use miniserde::json::{Number, Value};

use crate::abi;
use crate::program::{Condition, Family, Rule, assemble};
use crate::spec::Operator;

/// The profile of the container tools (containers/common and moby, Apache-2.0), as it is there but for its layout.
const PROFILE: &str = include_str!("default-seccomp.json");

const ALLOW: u32 = 0x7fff_0000;
const ERRNO: u32 = 0x0005_0000;
const KILL_THREAD: u32 = 0;

/// Allowed with a capability, and otherwise an error: the capability's number and the error's follow.
const MARKER: u32 = 0x0001_0000;

/// The numbers of the capabilities that the profile speaks of (linux/capability.h).
const CAPABILITIES: &[(&str, u32)] = &[
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

/// The words that the profile has for machines.
fn machine_word(machine: &str) -> &'static str {
    match machine {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "arm" => "arm",
        "riscv64" => "riscv64",
        other => panic!("Servin is not built for {other}"),
    }
}

/// The Rust source of the filter: `PROGRAM`, an instruction as code, jt, jf, k.
pub fn source(machine: &str, numbers: &[BTreeMap<&'static str, u32>]) -> String {
    let profile: Value = miniserde::json::from_str(PROFILE).expect("the profile is JSON");
    let default = ERRNO | number(member(&profile, "defaultErrnoRet").expect("an error"));
    let rules = list(member(&profile, "syscalls").expect("rules"));
    let families: Vec<Family> = abi::of_machine(machine)
        .iter()
        .map(|abi| {
            let mut family = Family { abi: *abi, rules: Vec::new(), default, newest: 0, unknown: default };
            for rule in rules {
                add(&mut family, rule, machine, &numbers[abi.column]);
            }
            family.newest |= abi.bit;
            family
        })
        .collect();
    let program = assemble(families, KILL_THREAD).expect("the filter is short enough");
    let mut source = String::new();
    let _ = writeln!(source, "pub static PROGRAM: [(u16, u8, u8, u32); {}] = [", program.len());
    for instruction in program {
        let crate::sys::seccomp::Instruction { code, jt, jf, k } = instruction;
        let _ = writeln!(source, "({code}, {jt}, {jf}, {k}),");
    }
    source.push_str("];\n");
    source
}

fn add(family: &mut Family, rule: &Value, machine: &str, numbers: &BTreeMap<&'static str, u32>) {
    let words = |key: &str, kind: &str| -> Vec<&str> {
        let found = member(rule, key).and_then(|object| member(object, kind));
        found.map_or(Vec::new(), |found| list(found).iter().map(text).collect())
    };
    let machines = words("includes", "arches");
    if !machines.is_empty() && !machines.contains(&machine_word(machine)) {
        return;
    }
    let refusal = member(rule, "errnoRet").map(number);
    let (with, without) = (words("includes", "caps"), words("excludes", "caps"));
    let action = match (text(member(rule, "action").expect("an action")), with.as_slice(), without.as_slice())
    {
        ("SCMP_ACT_ALLOW", [], []) => ALLOW,
        ("SCMP_ACT_ERRNO", [], []) => ERRNO | refusal.expect("an error"),
        // What is an error without the capability is allowed with it, which the profile says by a rule of its own.
        ("SCMP_ACT_ERRNO", [], [capability]) => marker(capability, refusal.expect("an error")),
        // And what is allowed without it, under conditions, stays so with it.
        ("SCMP_ACT_ALLOW", [], [_]) => ALLOW,
        ("SCMP_ACT_ALLOW", [_], []) => return,
        other => panic!("a rule of a new kind: {other:?}"),
    };
    let conditions: Vec<Condition> =
        member(rule, "args").map_or(Vec::new(), |args| list(args).iter().map(condition).collect());
    for name in list(member(rule, "names").expect("names")) {
        let Some(number) = numbers.get(text(name)) else { continue };
        family.newest = family.newest.max(*number);
        if action != family.default {
            family.rules.push(Rule {
                number: number | family.abi.bit,
                action,
                conditions: conditions.clone(),
            });
        }
    }
}

fn marker(capability: &str, refusal: u32) -> u32 {
    let known = CAPABILITIES.iter().find(|(name, _)| *name == capability);
    let (_, number) = known.unwrap_or_else(|| panic!("{capability} is not in the table here"));
    assert!(refusal < 256, "the error fits into the marker");
    MARKER | number << 8 | refusal
}

fn condition(arg: &Value) -> Condition {
    let operator = match text(member(arg, "op").expect("an operator")) {
        "SCMP_CMP_EQ" => Operator::Equal,
        "SCMP_CMP_NE" => Operator::NotEqual,
        other => panic!("an operator that the default profile did not have: {other}"),
    };
    let value = match member(arg, "value") {
        Some(Value::Number(Number::U64(value))) => *value,
        other => panic!("not a value: {other:?}"),
    };
    let argument = number(member(arg, "index").expect("an index"));
    Condition { argument, operator, mask: u64::MAX, value }
}

fn member<'v>(value: &'v Value, key: &str) -> Option<&'v Value> {
    match value {
        Value::Object(object) => object.get(key),
        _ => None,
    }
}

fn list(value: &Value) -> &[Value] {
    match value {
        Value::Array(items) => items,
        other => panic!("not a list: {other:?}"),
    }
}

fn text(value: &Value) -> &str {
    match value {
        Value::String(text) => text,
        other => panic!("not a string: {other:?}"),
    }
}

fn number(value: &Value) -> u32 {
    match value {
        Value::Number(Number::U64(number)) => u32::try_from(*number).expect("a small number"),
        other => panic!("not a number: {other:?}"),
    }
}
