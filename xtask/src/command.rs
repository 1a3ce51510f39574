//! Other programs: start them, watch them against a time limit, say in words how they ended.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use crate::Result;

/// How many lines of a hung program are shown again.
const LAST_LINES: usize = 40;

/// The command as a person would type it.
pub fn shown(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}

/// The cargo that runs this program, in the repository.
pub fn cargo() -> Command {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or("cargo".into()));
    cargo.current_dir(crate::workspace::root());
    cargo
}

/// Runs to the end, with this program's input and outputs; any exit code but 0 is an error.
pub fn run(command: &mut Command) -> Result {
    let status = command.status().map_err(|e| format!("{}: {e}", shown(command)))?;
    judged(command, status)
}

/// Runs to the end and returns what was written to standard output.
pub fn output(command: &mut Command) -> Result<String> {
    let output = command
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .map_err(|e| format!("{}: {e}", shown(command)))?;
    judged(command, output.status)?;
    String::from_utf8(output.stdout).map_err(|_| format!("{}: printed what is not UTF-8", shown(command)))
}

/// An error unless the status is success.
pub fn judged(command: &Command, status: ExitStatus) -> Result {
    if status.success() { Ok(()) } else { Err(format!("{}: {status}", shown(command))) }
}

/// The program's file, looked for on the PATH.
pub fn find(program: &str) -> Result<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut files = std::env::split_paths(&path).map(|folder| folder.join(program));
    files.find(|file| file.is_file()).ok_or_else(|| format!("there is no program {program} on the PATH"))
}

/// Runs with standard output shown and handed line by line to `each`. Past the limit the whole process group is
/// killed and its last lines are shown once more, so that a hang can be read off the end of a log.
pub fn watch(command: &mut Command, limit: Duration, mut each: impl FnMut(&str)) -> Result<ExitStatus> {
    let name = shown(command);
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .process_group(0)
        .spawn()
        .map_err(|e| format!("{name}: {e}"))?;
    let stdout = child.stdout.take().ok_or("no standard output")?;
    let (sender, lines) = channel();
    // Not joined: a grandchild that outlives the program may hold the pipe open for ever.
    std::thread::spawn(move || {
        for line in BufReader::new(stdout).split(b'\n').map_while(|line| line.ok()) {
            // A serial console ends its lines with a carriage return too.
            let line = String::from_utf8_lossy(&line).trim_end_matches('\r').to_owned();
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    let deadline = Instant::now() + limit;
    let mut last = VecDeque::new();
    loop {
        let until_check = Duration::from_millis(500).min(deadline.saturating_duration_since(Instant::now()));
        match lines.recv_timeout(until_check) {
            Ok(line) => {
                println!("{line}");
                each(&line);
                last.push_back(line);
                if last.len() > LAST_LINES {
                    last.pop_front();
                }
            }
            Err(RecvTimeoutError::Disconnected) => break,
            Err(RecvTimeoutError::Timeout) => {
                let ended = child.try_wait().map_err(|e| format!("{name}: {e}"))?;
                if ended.is_some() {
                    break;
                }
            }
        }
        if Instant::now() >= deadline {
            kill_group(&mut child);
            eprintln!("xtask: {name}: no end after {} s; its last lines:", limit.as_secs());
            last.iter().for_each(|line| eprintln!("  | {line}"));
            return Err(format!("{name}: no end after {} s", limit.as_secs()));
        }
    }
    // Standard output is closed, but the program may still be running.
    wait_until(&mut child, deadline.max(Instant::now() + Duration::from_secs(5)))
        .ok_or_else(|| format!("{name}: closed its output and did not end"))
}

/// Waits for the child until the deadline, then kills its process group.
pub fn wait_until(child: &mut Child, deadline: Instant) -> Option<ExitStatus> {
    while Instant::now() < deadline {
        if let Ok(Some(status)) = child.try_wait() {
            return Some(status);
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    kill_group(child);
    None
}

/// Kills the child and its process group (which it must lead), and reaps it.
pub fn kill_group(child: &mut Child) {
    // The program kill, because std cannot signal a group.
    let _ = Command::new("kill").args(["-KILL", "--", &format!("-{}", child.id())]).status();
    let _ = child.kill();
    let _ = child.wait();
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut sh = Command::new("sh");
        sh.args(["-c", script]);
        sh
    }

    #[test]
    fn watched_lines_arrive_without_their_ends() {
        let mut seen = Vec::new();
        let status = watch(&mut shell("printf 'a\\r\\nb'; exit 3"), Duration::from_secs(20), |l| {
            seen.push(l.to_owned())
        });
        assert_eq!(seen, ["a", "b"]);
        assert_eq!(status.map(|s| s.code()), Ok(Some(3)));
    }

    #[test]
    fn a_hang_is_an_error_and_takes_the_children_with_it() {
        let begin = Instant::now();
        let error = watch(&mut shell("echo begun; sleep 600 & wait"), Duration::from_millis(300), |_| ());
        assert!(error.is_err_and(|e| e.contains("no end after")));
        assert!(begin.elapsed() < Duration::from_secs(60));
    }

    #[test]
    fn exit_codes_are_errors() {
        assert!(run(&mut shell("exit 0")).is_ok());
        assert_eq!(run(&mut shell("exit 4")), Err("sh -c exit 4: exit status: 4".to_owned()));
        assert_eq!(output(&mut shell("echo hi")), Ok("hi\n".to_owned()));
    }
}
