//! Where and when the process runs: scheduling policy, I/O priority, memory nodes, execution domain.

use alloc::string::String;
use alloc::vec::Vec;

use linux_raw_sys::mempolicy::{
    MPOL_BIND, MPOL_DEFAULT, MPOL_F_NUMA_BALANCING, MPOL_F_RELATIVE_NODES, MPOL_F_STATIC_NODES,
    MPOL_INTERLEAVE, MPOL_LOCAL, MPOL_PREFERRED, MPOL_PREFERRED_MANY, MPOL_WEIGHTED_INTERLEAVE,
};

use crate::error::{Error, Result};
use crate::gather::Gather as _;
use crate::spec;
use crate::sys::schedule::SchedAttr;

/// What is set on the process itself; each part only where the configuration has it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Schedule {
    /// For sched_setattr(2).
    pub policy: Option<SchedAttr>,
    /// For ioprio_set(2): class << 13 | level.
    pub io_priority: Option<u32>,
    /// For personality(2).
    pub personality: Option<u32>,
    /// For set_mempolicy(2): mode with flags, and the nodes as words of bits.
    pub memory: Option<(u32, Vec<usize>)>,
    /// For sched_setaffinity(2): processors as words of bits; empty leaves them alone.
    pub processors: Vec<usize>,
}

/// The processors that a process which enters a container stays on, as words of bits: `final`, or what it began with.
pub fn affinity(process: &spec::Process) -> Result<Vec<usize>> {
    let Some(affinity) = &process.exec_cpu_affinity else { return Ok(Vec::new()) };
    let list = |field, list: &Option<String>| numbers(field, list.as_deref().unwrap_or_default());
    let initial = list("process.execCPUAffinity.initial", &affinity.initial)?;
    let last = list("process.execCPUAffinity.final", &affinity.r#final)?;
    Ok(words_of_bits(if last.is_empty() { initial } else { last }))
}

/// Words and what they stand for.
type Table = &'static [(&'static str, u32)];

/// linux/sched.h; 4 is SCHED_ISO, which no kernel has.
const POLICIES: Table = &[
    ("SCHED_OTHER", 0),
    ("SCHED_FIFO", 1),
    ("SCHED_RR", 2),
    ("SCHED_BATCH", 3),
    ("SCHED_ISO", 4),
    ("SCHED_IDLE", 5),
    ("SCHED_DEADLINE", 6),
];

const SCHED_FLAGS: Table = &[
    ("SCHED_FLAG_RESET_ON_FORK", 0x01),
    ("SCHED_FLAG_RECLAIM", 0x02),
    ("SCHED_FLAG_DL_OVERRUN", 0x04),
    ("SCHED_FLAG_KEEP_POLICY", 0x08),
    ("SCHED_FLAG_KEEP_PARAMS", 0x10),
    ("SCHED_FLAG_UTIL_CLAMP_MIN", 0x20),
    ("SCHED_FLAG_UTIL_CLAMP_MAX", 0x40),
];

const IO_CLASSES: Table = &[("IOPRIO_CLASS_RT", 1), ("IOPRIO_CLASS_BE", 2), ("IOPRIO_CLASS_IDLE", 3)];

/// What `linux.memoryPolicy.mode` may be.
pub const MEMORY_MODES: Table = &[
    ("MPOL_DEFAULT", MPOL_DEFAULT as u32),
    ("MPOL_PREFERRED", MPOL_PREFERRED as u32),
    ("MPOL_BIND", MPOL_BIND as u32),
    ("MPOL_INTERLEAVE", MPOL_INTERLEAVE as u32),
    ("MPOL_LOCAL", MPOL_LOCAL as u32),
    ("MPOL_PREFERRED_MANY", MPOL_PREFERRED_MANY as u32),
    ("MPOL_WEIGHTED_INTERLEAVE", MPOL_WEIGHTED_INTERLEAVE as u32),
];

/// What `linux.memoryPolicy.flags` may hold.
pub const MEMORY_FLAGS: Table = &[
    ("MPOL_F_STATIC_NODES", MPOL_F_STATIC_NODES),
    ("MPOL_F_RELATIVE_NODES", MPOL_F_RELATIVE_NODES),
    ("MPOL_F_NUMA_BALANCING", MPOL_F_NUMA_BALANCING),
];

/// sys/personality.h.
const DOMAINS: Table = &[("LINUX", 0x0000), ("LINUX32", 0x0008)];

/// The highest processor or node number in a list: far above what kernels are built for (8192, 1024).
const MOST_IN_LIST: usize = 1 << 14;

/// Reads the scheduling fields.
pub fn plan(process: &spec::Process, linux: &spec::Linux) -> Result<Schedule> {
    // Not for the container's first process, says the specification: checked here, and used by `exec`.
    affinity(process)?;
    Ok(Schedule {
        policy: process.scheduler.as_ref().map(policy).transpose()?,
        io_priority: process.io_priority.as_ref().map(io_priority).transpose()?,
        personality: linux.personality.as_ref().map(personality).transpose()?,
        memory: linux.memory_policy.as_ref().map(memory).transpose()?,
        processors: Vec::new(),
    })
}

fn word(field: impl core::fmt::Display, word: &str, table: Table) -> Result<u32> {
    let found = table.iter().find(|(name, _)| *name == word).map(|(_, value)| *value);
    found.ok_or_else(|| {
        let names: Vec<&str> = table.iter().map(|(name, _)| *name).gather();
        Error::new(format_args!("{field}: \"{word}\" is none of {}", names.join(", ")))
    })
}

fn flags(field: &str, words: &[String], table: Table) -> Result<u32> {
    words
        .iter()
        .enumerate()
        .try_fold(0, |bits, (index, flag)| Ok(bits | word(format_args!("{field}[{index}]"), flag, table)?))
}

fn policy(scheduler: &spec::Scheduler) -> Result<SchedAttr> {
    let priority = scheduler.priority.unwrap_or(0);
    let priority = u32::try_from(priority)
        .map_err(|_| Error::new(format_args!("process.scheduler.priority: {priority} is negative")))?;
    let nice = scheduler.nice.unwrap_or(0);
    if !(-20..=19).contains(&nice) {
        return Err(Error::new(format_args!("process.scheduler.nice: {nice} is not from -20 to 19")));
    }
    Ok(SchedAttr {
        policy: word("process.scheduler.policy", &scheduler.policy, POLICIES)?,
        flags: u64::from(flags("process.scheduler.flags", &scheduler.flags, SCHED_FLAGS)?),
        nice,
        priority,
        runtime: scheduler.runtime.unwrap_or(0),
        deadline: scheduler.deadline.unwrap_or(0),
        period: scheduler.period.unwrap_or(0),
        ..SchedAttr::default()
    })
}

fn io_priority(priority: &spec::IoPriority) -> Result<u32> {
    const CLASS_SHIFT: u32 = 13;
    let class = word("process.ioPriority.class", &priority.class, IO_CLASSES)?;
    match priority.priority {
        level @ 0..=7 => Ok(class << CLASS_SHIFT | level as u32),
        level => Err(Error::new(format_args!("process.ioPriority.priority: {level} is not from 0 to 7"))),
    }
}

fn personality(personality: &spec::Personality) -> Result<u32> {
    if !personality.flags.is_empty() {
        return Err(Error::new("linux.personality.flags: the specification defines none"));
    }
    word("linux.personality.domain", &personality.domain, DOMAINS)
}

fn memory(policy: &spec::MemoryPolicy) -> Result<(u32, Vec<usize>)> {
    let mode = word("linux.memoryPolicy.mode", &policy.mode, MEMORY_MODES)?;
    let mode = mode | flags("linux.memoryPolicy.flags", &policy.flags, MEMORY_FLAGS)?;
    let nodes = numbers("linux.memoryPolicy.nodes", policy.nodes.as_deref().unwrap_or_default())?;
    Ok((mode, words_of_bits(nodes)))
}

/// The kernel's form of a set of small numbers.
fn words_of_bits(numbers: Vec<usize>) -> Vec<usize> {
    let mut words = Vec::new();
    for number in numbers {
        let (word, bit) = (number / usize::BITS as usize, number % usize::BITS as usize);
        if words.len() <= word {
            words.resize(word + 1, 0);
        }
        words[word] |= 1 << bit;
    }
    words
}

/// A list such as `0-3,7` (cpuset(7), "List format"), in order; empty for an empty string.
pub fn numbers(field: &str, list: &str) -> Result<Vec<usize>> {
    let refuse =
        |part: &str| Error::new(format_args!("{field}: \"{part}\" is not a number or range such as 0-3"));
    let mut found = Vec::new();
    for part in list.split(',').filter(|_| !list.is_empty()) {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let number = |text: &str| match text.bytes().all(|b| b.is_ascii_digit()) {
            true => text.parse::<usize>().ok().filter(|n| *n < MOST_IN_LIST).ok_or_else(|| refuse(part)),
            false => Err(refuse(part)),
        };
        let (first, last) = (number(first)?, number(last)?);
        if first > last {
            return Err(refuse(part));
        }
        found.extend(first..=last);
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_read_as_the_kernel_writes_them() {
        assert_eq!(numbers("f", "0-2,7").expect("a list"), [0, 1, 2, 7]);
        assert_eq!(numbers("f", "").expect("an empty list"), []);
        for bad in ["a", "1-", "-1", "3-1", "1,,2", "1 ", "+1", "99999999999999999999", "0-4000000000"] {
            assert!(numbers("f", bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn memory_nodes_become_words_of_bits() {
        let policy = |nodes: &str| spec::MemoryPolicy {
            mode: "MPOL_INTERLEAVE".into(),
            nodes: Some(nodes.into()),
            flags: ["MPOL_F_STATIC_NODES".into()].to_vec(),
        };
        assert_eq!(memory(&policy("0-1,64")).expect("planned"), (3 | 1 << 15, [3, 1].to_vec()));
    }

    #[test]
    fn the_io_priority_is_class_and_level() {
        let best_effort = spec::IoPriority { class: "IOPRIO_CLASS_BE".into(), priority: 4 };
        assert_eq!(io_priority(&best_effort).expect("planned"), 2 << 13 | 4);
        let worse = spec::IoPriority { priority: 8, ..best_effort };
        assert!(io_priority(&worse).is_err());
    }

    #[test]
    fn an_unknown_word_is_answered_with_the_known_ones() {
        let scheduler = spec::Scheduler { policy: "SCHED_FAST".into(), ..spec::Scheduler::default() };
        let text = policy(&scheduler).expect_err("refused").to_string();
        assert!(
            text.starts_with("process.scheduler.policy: \"SCHED_FAST\" is none of SCHED_OTHER, "),
            "{text}"
        );
    }
}
