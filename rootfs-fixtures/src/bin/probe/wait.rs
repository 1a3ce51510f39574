//! Commands that stay for a while: they sleep, listen to signals, or talk to a terminal.

use std::io::BufRead;
use std::time::Duration;

use serde_json::json;

use crate::{number, say, sys};

/// Says `ready` and sleeps, for ever when no number is given.
pub fn sleep(arguments: &[String]) -> i32 {
    say("ready");
    std::thread::sleep(Duration::from_secs(number(arguments, 0).unwrap_or(3600) as u64));
    0
}

/// Leaves the caller's namespaces for new ones, says `ready` and sleeps, so that others may join them by path.
pub fn namespaces(arguments: &[String]) -> i32 {
    let kinds = arguments.first().map_or("", String::as_str).split(',').map(|kind| match kind {
        "cgroup" => libc::CLONE_NEWCGROUP,
        "ipc" => libc::CLONE_NEWIPC,
        "mnt" => libc::CLONE_NEWNS,
        "net" => libc::CLONE_NEWNET,
        "time" => libc::CLONE_NEWTIME,
        "user" => libc::CLONE_NEWUSER,
        "uts" => libc::CLONE_NEWUTS,
        _ => 0,
    });
    match sys::unshare(kinds.fold(0, |all, kind| all | kind)) {
        Ok(()) => sleep(&[]),
        Err(error) => {
            eprintln!("unshare: {error}");
            1
        }
    }
}

/// Says `ready`, then the number of every signal that it gets; ends after `COUNT` of them.
pub fn trap(arguments: &[String]) -> i32 {
    sys::block_signals();
    say("ready");
    for _ in 0..number(arguments, 0).unwrap_or(1) {
        match sys::wait_for_signal(60) {
            Ok(signal) => say(signal),
            Err(_) => return 2,
        }
    }
    0
}

/// Leaves `COUNT` processes behind, each in a session of its own, that end after `SECONDS` (0: at once).
pub fn orphans(arguments: &[String]) -> i32 {
    let (count, seconds) = (number(arguments, 0).unwrap_or(1), number(arguments, 1).unwrap_or(0));
    for _ in 0..count {
        match sys::fork() {
            Ok(0) => match sys::setsid().and_then(|()| sys::fork()) {
                Ok(0) => {
                    std::thread::sleep(Duration::from_secs(seconds as u64));
                    sys::exit_now(7)
                }
                Ok(_) => sys::exit_now(0),
                Err(_) => sys::exit_now(1),
            },
            Ok(child) => drop(sys::wait(child)),
            Err(_) => return 1,
        }
    }
    0
}

/// The processes of this PID namespace, zombies with a `Z` before their number.
pub fn children(_: &[String]) -> i32 {
    let mut found: Vec<String> = Vec::new();
    for entry in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
        let stat = std::fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with(|first: char| first.is_ascii_digit()) && !stat.is_empty() {
            let state = stat.rsplit(") ").next().unwrap_or_default();
            found.push(if state.starts_with('Z') { format!("Z{name}") } else { name });
        }
    }
    say(json!(found));
    0
}

/// Says `ready` and the terminal's size, then repeats each line it reads and each new size, until end of file.
pub fn echo_terminal(_: &[String]) -> i32 {
    let size = || match sys::window_size(0) {
        Ok([rows, columns]) => format!("size {rows} {columns}"),
        Err(error) => format!("no size: {error}"),
    };
    let mut last = size();
    say(format_args!("ready {last}"));
    let mut line = Vec::new();
    loop {
        if last != size() {
            last = size();
            say(&last);
        }
        if !sys::readable(0) {
            continue;
        }
        // All that is there: what stayed in std's buffer would not make the descriptor readable again.
        let mut input = std::io::stdin().lock();
        let typed = input.fill_buf().unwrap_or_default().to_vec();
        input.consume(typed.len());
        if typed.is_empty() {
            return 0;
        }
        for byte in typed {
            if byte == b'\n' {
                say(format_args!("got {}", String::from_utf8_lossy(&line)));
                line.clear();
            } else {
                line.push(byte);
            }
        }
    }
}
