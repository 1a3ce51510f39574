//! The assembly of a filter: a decision by architecture, then a balanced tree over the numbers of calls, so that the
//! cost of a call grows with the logarithm of the rules. A leaf returns, or looks at arguments first.
//!
//! Jumps of classic BPF go forward only, conditional ones over at most 255 instructions (Documentation/networking/
//! filter.rst of the kernel).
//!
//! The build compiles this file too, for the default filter (build/default_filter.rs).

use alloc::vec::Vec;

use super::abi::{Abi, X32_BIT};
use crate::spec::Operator;
use crate::sys::seccomp::Instruction;

/// What happens to a call if conditions hold.
#[derive(Debug, Clone)]
pub struct Rule {
    /// The call's number.
    pub number: u32,
    /// The value to return.
    pub action: u32,
    /// All must hold; none means always.
    pub conditions: Vec<Condition>,
}

/// What a profile says of one architecture.
#[derive(Debug, Clone)]
pub struct Family {
    /// Which one.
    pub abi: Abi,
    /// Its rules; several may be for one call.
    pub rules: Vec<Rule>,
    /// What is returned for a call without a rule.
    pub default: u32,
    /// The highest number that the profile knows.
    pub newest: u32,
    /// What is returned for a call beyond that.
    pub unknown: u32,
}

/// A comparison with one argument, masked before.
#[derive(Debug, Clone, Copy)]
pub struct Condition {
    /// From 0 to 5.
    pub argument: u32,
    /// How.
    pub operator: Operator,
    /// Which bits.
    pub mask: u64,
    /// With what.
    pub value: u64,
}

/// `BPF_MAXINSNS`.
const LONGEST: usize = 4096;

/// Instructions (linux/bpf_common.h).
const LOAD: u16 = 0x20;
const AND: u16 = 0x54;
const JUMP: u16 = 0x05;
const EQUAL: u16 = 0x15;
const GREATER: u16 = 0x25;
const GREATER_OR_EQUAL: u16 = 0x35;
/// Ends the program with the constant.
pub const RETURN: u16 = 0x06;

/// Offsets in `struct seccomp_data`.
const NUMBER: u32 = 0;
const ARCHITECTURE: u32 = 4;
const ARGUMENTS: u32 = 16;

/// Calls from this number on have one outcome, up to the next.
struct Range<'r> {
    first: u32,
    outcome: Outcome<'r>,
}

#[derive(Clone, Copy)]
enum Outcome<'r> {
    Return(u32),
    /// The rules of one call, in their order, what is returned if none applies, and whether arguments have 64 bits.
    Rules(&'r [Rule], u32, bool),
}

/// The whole program; `foreign` is returned to calls of other architectures. `None` when it gets too long.
pub fn assemble(mut families: Vec<Family>, foreign: u32) -> Option<Vec<Instruction>> {
    let mut program = alloc::vec![op(LOAD, ARCHITECTURE)];
    for family in &mut families {
        simplify(family);
    }
    for (index, family) in families.iter().enumerate() {
        if family.abi.bit != 0 {
            continue;
        }
        let mut ranges = ranges(family);
        if family.abi.audit == X86_64 {
            // The calls of x32 have the same architecture and a bit in their number.
            match families.iter().find(|other| other.abi.bit == X32_BIT) {
                Some(x32) => ranges.extend(self::ranges(x32)),
                None => ranges.push(Range { first: X32_BIT, outcome: Outcome::Return(foreign) }),
            }
        }
        let mut block = alloc::vec![op(LOAD, NUMBER)];
        block.extend(tree(&ranges));
        let last = !families.iter().skip(index + 1).any(|family| family.abi.bit == 0);
        program.extend([jump(EQUAL, family.abi.audit, 1, 0), op(JUMP, block.len() as u32)]);
        program.extend(block);
        if last {
            program.push(op(RETURN, foreign));
        }
    }
    (program.len() <= LONGEST).then_some(program)
}

/// `AUDIT_ARCH_X86_64`.
const X86_64: u32 = 0xc000_003e;

/// Sorts the rules by their call, keeping their order otherwise, and leaves a rule without conditions alone.
fn simplify(family: &mut Family) {
    let mut sorted: Vec<Rule> = Vec::with_capacity(family.rules.len());
    for rule in in_order(&family.rules) {
        let same = |other: &Rule| other.number == rule.number;
        if sorted.last().is_some_and(|last| same(last) && last.conditions.is_empty()) {
            continue;
        }
        while rule.conditions.is_empty() && sorted.pop_if(|last| same(last)).is_some() {}
        sorted.push(rule.clone());
    }
    family.rules = sorted;
}

/// The rules in the order of their numbers, those of one number as they come. Byte by byte, the lowest first: comparing
/// them takes several times as long, and this is on the way of every container.
fn in_order(rules: &[Rule]) -> Vec<&Rule> {
    let mut order: Vec<&Rule> = rules.iter().collect();
    for shift in [0, 8, 16, 24] {
        let byte = |rule: &Rule| (rule.number >> shift) as usize & 0xff;
        let mut next = [0_usize; 256];
        for rule in rules {
            next[byte(rule)] += 1;
        }
        if next.contains(&rules.len()) {
            continue;
        }
        let mut before = 0;
        for count in &mut next {
            before += core::mem::replace(count, before);
        }
        let mut sorted = order.clone();
        for rule in order {
            let place = &mut next[byte(rule)];
            if let Some(slot) = sorted.get_mut(*place) {
                *slot = rule;
            }
            *place += 1;
        }
        order = sorted;
    }
    order
}

/// What happens to every number of an architecture; neighbours of the same fate are one range.
fn ranges(family: &Family) -> Vec<Range<'_>> {
    let mut ranges: Vec<Range> = Vec::new();
    let mut next = family.abi.bit;
    for rules in family.rules.chunk_by(|a, b| a.number == b.number) {
        let Some(first) = rules.first() else { continue };
        if next < first.number {
            add(&mut ranges, next, Outcome::Return(family.default));
        }
        let outcome = match first.conditions.is_empty() {
            true => Outcome::Return(first.action),
            false => Outcome::Rules(rules, family.default, family.abi.wide),
        };
        add(&mut ranges, first.number, outcome);
        next = first.number + 1;
    }
    if next <= family.newest {
        add(&mut ranges, next, Outcome::Return(family.default));
    }
    add(&mut ranges, next.max(family.newest + 1), Outcome::Return(family.unknown));
    ranges
}

fn add<'r>(ranges: &mut Vec<Range<'r>>, first: u32, outcome: Outcome<'r>) {
    match (ranges.last().map(|range| range.outcome), outcome) {
        (Some(Outcome::Return(before)), Outcome::Return(now)) if before == now => {}
        _ => ranges.push(Range { first, outcome }),
    }
}

/// Finds the range of the number in the accumulator.
fn tree(ranges: &[Range]) -> Vec<Instruction> {
    match ranges {
        [] => Vec::new(),
        [range] => leaf(range.outcome),
        _ => {
            let (low, high) = ranges.split_at(ranges.len() / 2);
            let boundary = high.first().map_or(0, |range| range.first);
            let low = tree(low);
            let mut code = match u8::try_from(low.len()) {
                Ok(distance) => alloc::vec![jump(GREATER_OR_EQUAL, boundary, distance, 0)],
                Err(_) => {
                    alloc::vec![jump(GREATER_OR_EQUAL, boundary, 0, 1), op(JUMP, low.len() as u32)]
                }
            };
            code.extend(low);
            code.extend(tree(high));
            code
        }
    }
}

fn leaf(outcome: Outcome) -> Vec<Instruction> {
    let (rules, default, wide) = match outcome {
        Outcome::Return(value) => return [op(RETURN, value)].into(),
        Outcome::Rules(rules, default, wide) => (rules, default, wide),
    };
    let mut code = Vec::new();
    for rule in rules {
        // Each condition passes over the rest of the rule when it fails: built from the end, where that is known.
        let mut rest = alloc::vec![op(RETURN, rule.action)];
        for condition in rule.conditions.iter().rev() {
            let mut whole = compare(condition, wide, rest.len() as u8);
            whole.extend(rest);
            rest = whole;
        }
        code.extend(rest);
    }
    code.push(op(RETURN, default));
    code
}

/// Passes over the `rest` that follows, unless the condition holds. The halves of an argument are compared one by
/// one, the upper one first.
fn compare(condition: &Condition, wide: bool, rest: u8) -> Vec<Instruction> {
    let Condition { operator, mask, value, .. } = *condition;
    let low_at = ARGUMENTS + 8 * condition.argument;
    let load = |at: u32, mask: u32| {
        let mut code = alloc::vec![op(LOAD, at)];
        if mask != u32::MAX {
            code.push(op(AND, mask));
        }
        code
    };
    // What the lower half decides where the upper ones are equal: (instruction, holds if it jumps).
    let (test, holds) = match operator {
        Operator::Equal | Operator::MaskedEqual => (EQUAL, true),
        Operator::NotEqual => (EQUAL, false),
        Operator::Greater => (GREATER, true),
        Operator::LessOrEqual => (GREATER, false),
        Operator::GreaterOrEqual => (GREATER_OR_EQUAL, true),
        Operator::Less => (GREATER_OR_EQUAL, false),
    };
    let mut low = load(low_at, mask as u32);
    low.push(match holds {
        true => jump(test, value as u32, 0, rest),
        false => jump(test, value as u32, rest, 0),
    });
    if !wide {
        return low;
    }
    let (to_rest, to_fail) = (low.len() as u8, low.len() as u8 + rest);
    let upper = (value >> 32) as u32;
    let mut code = load(low_at + 4, (mask >> 32) as u32);
    match operator {
        Operator::Equal | Operator::MaskedEqual => code.push(jump(EQUAL, upper, 0, to_fail)),
        Operator::NotEqual => code.push(jump(EQUAL, upper, 0, to_rest)),
        Operator::Greater | Operator::GreaterOrEqual => {
            code.extend([jump(GREATER, upper, to_rest + 1, 0), jump(EQUAL, upper, 0, to_fail)]);
        }
        Operator::Less | Operator::LessOrEqual => {
            code.extend([jump(GREATER, upper, to_fail + 1, 0), jump(EQUAL, upper, 0, to_rest)]);
        }
    }
    code.extend(low);
    code
}

fn op(code: u16, k: u32) -> Instruction {
    Instruction { code, jt: 0, jf: 0, k }
}

fn jump(code: u16, k: u32, jt: u8, jf: u8) -> Instruction {
    Instruction { code, jt, jf, k }
}
