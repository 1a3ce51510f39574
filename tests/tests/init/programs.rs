//! The programs that servin-init runs in these tests: this test binary itself, which becomes one of them before
//! `main` when `INIT_TEST_PROGRAM` names it. So they need nothing but a kernel, in an initramfs too.

use super::sys;
use std::{env, fs, io::Write, process, thread, time::Duration};

pub const VARIABLE: &str = "INIT_TEST_PROGRAM";

/// Runs before `main`.
pub extern "C" fn become_program() {
    let Ok(name) = env::var(VARIABLE) else {
        return;
    };
    match name.as_str() {
        "catch" => catch("got"),
        "catch-beside-orphan" => {
            leave(|| thread::sleep(Duration::from_millis(300)));
            catch("got");
        }
        "status" => say(&fs::read_to_string("/proc/self/status").expect("read the status")),
        "place" => place(),
        "pair" => pair(),
        "orphans" => orphans(),
        "stubborn" => stubborn("ready"),
        "leave-stubborn" => leave(|| {
            // Its child becomes an orphan in turn, when it is killed itself.
            if sys::fork() == 0 {
                sys::new_session();
            }
            stubborn("left");
        }),
        "leave-polite" => leave(polite),
        "sleep" => sleep("ready"),
        _ => say("no such program"),
    }
    process::exit(7);
}

/// One line, one write.
fn say(line: &str) {
    let _ = std::io::stdout().lock().write_all(format!("{line}\n").as_bytes());
    let _ = std::io::stdout().flush();
}

fn sleep(first: &str) {
    say(first);
    thread::sleep(Duration::from_secs(60));
}

/// Says which signals come.
fn catch(word: &str) {
    sys::block_all_signals();
    say("ready");
    loop {
        say(&format!("{word} {}.", sys::next_signal()));
    }
}

/// Where this process is: its own id, its group's, and the foreground group.
fn place() {
    let foreground = sys::foreground_group(0);
    say(&format!("place {} {} {foreground}.", process::id(), sys::own_group()));
    for entry in fs::read_dir("/proc/self/fd").expect("read the descriptors") {
        let target = fs::read_link(entry.expect("read an entry").path());
        say(&format!("open {}", target.expect("read a link").display()));
    }
    // What a session says right before its end can be lost when the kernel hangs up its terminal.
    thread::sleep(Duration::from_millis(200));
}

/// Two processes of one group, both of which say what they catch.
fn pair() {
    if sys::fork() == 0 {
        catch("second got");
    }
    catch("first got");
}

/// Leaves as many orphans as `INIT_TEST_ORPHANS` says, lets them end together, and says what init made of them.
fn orphans() {
    let count: usize = env::var("INIT_TEST_ORPHANS").map_or(100, |n| n.parse().expect("a number"));
    let init = sys::parent();
    let (hold, release) = sys::pipe();
    let parent = sys::fork();
    if parent == 0 {
        for _ in 0..count {
            if sys::fork() == 0 {
                sys::close(release);
                sys::read_byte(hold);
                sys::exit(0);
            }
        }
        sys::exit(0);
    }
    sys::wait_for(parent);
    sys::close(hold);
    let adopted = children(init);
    let before = processor_time(init);
    sys::close(release);
    while children(init) > 1 {
        thread::sleep(Duration::from_millis(5));
    }
    let spent = processor_time(init).saturating_sub(before);
    say(&format!("adopted {} left {} spent {} us.", adopted - 1, children(init) - 1, spent / 1000));
}

fn children(process: i32) -> usize {
    let list =
        fs::read_to_string(format!("/proc/{process}/task/{process}/children")).expect("read the children");
    list.split_whitespace().count()
}

/// Nanoseconds on a processor.
fn processor_time(process: i32) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{process}/schedstat")).unwrap_or_default();
    stat.split(' ').next().and_then(|n| n.parse().ok()).unwrap_or(0)
}

/// Ignores every request to end.
fn stubborn(first: &str) {
    sys::block_all_signals();
    sleep(first);
}

/// Ends a while after the request, and says so.
fn polite() {
    sys::block_all_signals();
    say("left");
    while sys::next_signal() != libc::SIGTERM {}
    thread::sleep(Duration::from_millis(200));
    say("goodbye");
}

/// Starts a process in a session of its own and ends once that is there.
fn leave(what: impl FnOnce()) {
    let (started, start) = sys::pipe();
    let middle = sys::fork();
    if middle == 0 {
        if sys::fork() == 0 {
            sys::new_session();
            sys::block_all_signals();
            sys::close(start);
            what();
            sys::exit(0);
        }
        sys::exit(0);
    }
    sys::wait_for(middle);
    sys::close(start);
    sys::read_byte(started);
    thread::sleep(Duration::from_millis(50));
}
