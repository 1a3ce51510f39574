//! Runs a program under a kernel that refuses some system calls: how every fallback is tested. The filter is a
//! classic BPF program, so a call is refused as a whole, whatever its arguments; `nftables` stands for sockets to the
//! kernel's packet filter, which a kernel without one refuses.

use std::os::unix::process::CommandExt;
use std::process::Command;

use libc::{BPF_ABS, BPF_JEQ, BPF_JMP, BPF_K, BPF_LD, BPF_RET, BPF_W, sock_filter};

use crate::names::{SYSTEM_CALLS, errno};
use crate::sys;

/// `refuse CALL[,CALL…] [--errno NAME] -- PROGRAM ARGS`
pub fn refuse(arguments: &[String]) -> i32 {
    match plan(arguments) {
        Ok((mut filter, program)) => {
            if let Err(error) = sys::filter(&mut filter) {
                eprintln!("probe refuse: install the filter: {error}");
                return 125;
            }
            let error = Command::new(&program[0]).args(&program[1..]).exec();
            eprintln!("probe refuse: execute {}: {error}", program[0]);
            127
        }
        Err(why) => {
            eprintln!("probe refuse: {why}");
            125
        }
    }
}

fn plan(arguments: &[String]) -> Result<(Vec<sock_filter>, &[String]), String> {
    let end = arguments.iter().position(|word| word == "--").ok_or("no `--` before the program")?;
    let (options, program) = (&arguments[..end], &arguments[end + 1..]);
    let (calls, answer) = match options {
        [calls] => (calls, libc::ENOSYS),
        [calls, flag, name] if flag == "--errno" => (calls, errno(name).ok_or("unknown error name")?),
        _ => return Err("usage: refuse CALL[,CALL…] [--errno NAME] -- PROGRAM…".to_string()),
    };
    if program.is_empty() {
        return Err("no program".to_string());
    }
    if calls == "nftables" {
        return Ok((netfilter_filter(answer as u32), program));
    }
    let numbers = calls.split(',').map(|name| {
        let known = SYSTEM_CALLS.iter().find(|(known, _)| *known == name);
        known.map(|(_, number)| *number as u32).ok_or(format!("unknown system call {name}"))
    });
    Ok((filter(&numbers.collect::<Result<Vec<_>, _>>()?, answer as u32), program))
}

/// The call's number (the first word of seccomp_data) is compared with each in turn.
fn filter(numbers: &[u32], errno: u32) -> Vec<sock_filter> {
    let step = |code: u32, jt, jf, k| sock_filter { code: code as u16, jt, jf, k };
    let mut program = vec![step(BPF_LD | BPF_W | BPF_ABS, 0, 0, 0)];
    for number in numbers {
        program.push(step(BPF_JMP | BPF_JEQ | BPF_K, 0, 1, *number));
        program.push(step(BPF_RET | BPF_K, 0, 0, libc::SECCOMP_RET_ERRNO | errno));
    }
    program.push(step(BPF_RET | BPF_K, 0, 0, libc::SECCOMP_RET_ALLOW));
    program
}

/// socket(AF_NETLINK, …, NETLINK_NETFILTER) fails. The low halves of the arguments (seccomp_data has each in eight
/// bytes, from the sixteenth on) are all that the kernel looks at.
fn netfilter_filter(errno: u32) -> Vec<sock_filter> {
    /// NETLINK_NETFILTER of linux/netlink.h.
    const NETFILTER: u32 = 12;
    let half = if cfg!(target_endian = "big") { 4 } else { 0 };
    let compared =
        [(0, libc::SYS_socket as u32), (16 + half, libc::AF_NETLINK as u32), (32 + half, NETFILTER)];
    let step = |code: u32, jf, k| sock_filter { code: code as u16, jt: 0, jf, k };
    let mut program = Vec::new();
    for (index, (offset, value)) in compared.into_iter().enumerate() {
        program.push(step(BPF_LD | BPF_W | BPF_ABS, 0, offset));
        // Past the other comparisons and the refusal.
        program.push(step(BPF_JMP | BPF_JEQ | BPF_K, ((compared.len() - 1 - index) * 2 + 1) as u8, value));
    }
    program.push(step(BPF_RET | BPF_K, 0, libc::SECCOMP_RET_ERRNO | errno));
    program.push(step(BPF_RET | BPF_K, 0, libc::SECCOMP_RET_ALLOW));
    program
}
