//! What servin-init does as PID 1 and as a subreaper, seen with the kernel's eyes. These tests run as root.

#[path = "init/container.rs"]
mod container;
#[path = "init/programs.rs"]
mod programs;
#[path = "init/sys.rs"]
mod sys;

use container::{Container, status_field};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// A file to execute, which goes away with this value.
struct Executable(PathBuf);

impl Executable {
    fn new(name: &str, mode: u32, content: &[u8]) -> Executable {
        let path = std::env::temp_dir().join(format!("servin-init-test-{}-{name}", std::process::id()));
        fs::write(&path, content).expect("write a file");
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("set its mode");
        Executable(path)
    }

    fn path(&self) -> &str {
        self.0.to_str().expect("a path in UTF-8")
    }

    fn directory(&self) -> &str {
        self.0.parent().and_then(|path| path.to_str()).expect("a path in UTF-8")
    }

    fn name(&self) -> &str {
        self.0.file_name().and_then(|name| name.to_str()).expect("a name in UTF-8")
    }
}

impl Drop for Executable {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

fn shell(script: &str) -> Container {
    Container::new(&["--", "/bin/sh", "-c", script])
}

// ---- exit codes

#[test]
fn the_programs_exit_code_is_passed_on() {
    for code in [0, 1, 3, 127, 255] {
        assert_eq!(shell(&format!("exit {code}")).finish(), (code, String::new()));
    }
}

#[test]
fn a_program_that_a_signal_ends_gives_128_and_the_signal() {
    for signal in [libc::SIGKILL, libc::SIGTERM, libc::SIGSEGV, 34, 64] {
        let mut running = Container::running("sleep", &[]).start();
        running.expect("ready");
        sys::send(running.children()[0], signal);
        assert_eq!(running.code(), 128 + signal);
    }
}

#[test]
fn the_exit_code_comes_through_even_if_init_was_started_with_sigchld_ignored() {
    assert_eq!(shell("exit 3").with_signals(0, &[libc::SIGCHLD]).finish().0, 3);
}

#[test]
fn remapped_exit_codes_become_0() {
    assert_eq!(Container::new(&["-e", "3", "-e143", "sh", "-c", "exit 3"]).finish().0, 0);
    assert_eq!(Container::new(&["-e", "3", "-e143", "sh", "-c", "kill -TERM $$"]).finish().0, 0);
    assert_eq!(Container::new(&["-e", "3", "-e143", "sh", "-c", "exit 4"]).finish().0, 4);
}

// ---- executing

#[test]
fn a_name_that_is_nowhere_in_path_gives_127() {
    let (code, output) = Container::new(&["--", "no-such-program"]).finish();
    assert_eq!(code, 127);
    assert_eq!(output, "servin-init: exec: \"no-such-program\": executable file not found in $PATH\n");
    assert_eq!(Container::new(&["--", ""]).finish().0, 127);
}

#[test]
fn a_path_that_is_not_there_gives_127() {
    let (code, output) = Container::new(&["--", "/no/such"]).finish();
    assert_eq!(
        (code, output.as_str()),
        (127, "servin-init: exec: \"/no/such\": no such file or directory\n")
    );
}

#[test]
fn a_file_without_permission_gives_126_by_path_and_by_name() {
    let file = Executable::new("private", 0o644, b"#!/bin/sh\n");
    let expected = format!("servin-init: exec: \"{}\": permission denied\n", file.path());
    assert_eq!(Container::new(&["--", file.path()]).finish(), (126, expected.clone()));
    let path = format!("/nowhere:{}:/bin", file.directory());
    let by_name = Container::new(&["--", file.name()]).without_environment().env("PATH", &path);
    assert_eq!(by_name.finish(), (126, expected));
}

#[test]
fn a_file_that_is_no_program_gives_126_and_no_shell_runs_it() {
    let file = Executable::new("text", 0o755, b"echo wrong\n");
    let (code, output) = Container::new(&["--", file.path()]).finish();
    assert_eq!(code, 126);
    assert!(output.contains(&format!("exec: \"{}\": exec format error", file.path())), "{output}");
    assert!(!output.contains("wrong\n"), "{output}");
}

#[test]
fn a_missing_interpreter_gives_127_and_its_name() {
    let file = Executable::new("script", 0o755, b"#!/no/such/shell -e\n");
    let expected = "no such file or directory: its interpreter \"/no/such/shell\" is missing\n";
    let path = format!("{}:/bin", file.directory());
    let by_name = Container::new(&["--", file.name()]).without_environment().env("PATH", &path);
    for container in [Container::new(&["--", file.path()]), by_name] {
        let (code, output) = container.finish();
        assert_eq!(code, 127);
        assert!(output.ends_with(expected) && output.contains(file.path()), "{output}");
    }
}

#[test]
fn a_script_with_windows_line_ends_is_recognised() {
    let file = Executable::new("dos", 0o755, b"#!/bin/sh\r\necho\r\n");
    let (code, output) = Container::new(&["--", file.path()]).finish();
    assert_eq!(code, 127);
    assert!(output.ends_with("its interpreter \"/bin/sh\r\" is missing (that is a Windows line end)\n"));
}

#[test]
fn without_path_the_usual_directories_are_searched() {
    let found = Container::new(&["sh", "-c", "exit 5"]).without_environment();
    assert_eq!(found.finish(), (5, String::new()));
}

#[test]
fn the_programs_arguments_and_environment_are_untouched() {
    let script = "echo $0,$1,$2,$A_VARIABLE";
    let run =
        Container::new(&["-s", "sh", "-c", script, "-s", "--", "--grace=x"]).env("A_VARIABLE", "its value");
    assert_eq!(run.finish(), (0, "-s,--,--grace=x,its value\n".to_owned()));
}

#[test]
fn a_mistake_in_the_options_is_named_and_nothing_runs() {
    for (arguments, text) in [
        (&["--grace", "5s", "sh"][..], "not a valid value: \"5s\""),
        (&["-x", "sh"], "unknown option \"-x\""),
        (&["-g"], "something is missing after \"-g\""),
    ] {
        let (code, output) = Container::new(arguments).finish();
        assert_eq!((code, output), (1, format!("servin-init: {text} (see --help)\n")));
    }
    let (code, output) = Container::new(&["--version"]).finish();
    assert_eq!((code, output), (0, format!("servin-init {}\n", env!("CARGO_PKG_VERSION"))));
}

// ---- signals

#[test]
fn the_program_starts_with_the_mask_and_the_dispositions_that_init_was_started_with() {
    let blocked = [libc::SIGUSR1, libc::SIGCHLD, libc::SIGTTOU, 32, 40, 64];
    let ignored = [libc::SIGCHLD, libc::SIGHUP, libc::SIGTSTP, libc::SIGTTIN, libc::SIGPIPE, 50];
    let bits = |signals: &[i32]| signals.iter().fold(0_u64, |set, signal| set | 1 << (signal - 1));
    for (blocked, ignored) in [(&blocked[..], &ignored[..]), (&[], &[])] {
        let run = Container::running("status", &[]).with_signals(bits(blocked), ignored);
        let (code, status) = run.finish();
        assert_eq!(code, 7);
        assert_eq!(status_field(&status, "SigBlk"), format!("{:016x}", bits(blocked)));
        assert_eq!(status_field(&status, "SigIgn"), format!("{:016x}", bits(ignored)));
        assert_eq!(status_field(&status, "SigPnd"), "0".repeat(16));
    }
}

#[test]
fn every_signal_that_can_be_received_is_forwarded() {
    let running = Container::running("catch", &[]).start();
    running.expect("ready");
    for signal in (1..=64).filter(|signal| ![libc::SIGKILL, libc::SIGSTOP].contains(signal)) {
        running.signal(signal);
        running.expect(&format!("\ngot {signal}."));
    }
}

#[test]
fn the_end_of_an_orphan_is_no_signal_for_the_program() {
    let running = Container::running("catch-beside-orphan", &["-w"]).start();
    running.expect("reaped orphan").signal(libc::SIGHUP);
    running.expect("got 1.");
    assert!(!running.output().contains("got 17."), "{}", running.output());
}

#[test]
fn real_time_signals_arrive_as_often_as_they_were_sent() {
    let running = Container::running("catch", &[]).start();
    running.expect("ready");
    (0..50).for_each(|_| running.signal(40));
    running.eventually("fifty of them", || running.output().matches("got 40.").count() == 50);
}

#[test]
fn signals_reach_the_program_alone_or_with_g_its_whole_group() {
    let alone = Container::running("pair", &[]).start();
    let together = Container::running("pair", &["-g"]).start();
    let by_variable = Container::running("pair", &[]).env("TINI_KILL_PROCESS_GROUP", "").start();
    for running in [&alone, &together, &by_variable] {
        running.eventually("both ready", || running.output().matches("ready").count() == 2);
        running.signal(libc::SIGHUP);
        running.expect("first got 1.");
    }
    together.expect("second got 1.");
    by_variable.expect("second got 1.");
    sleep(Duration::from_millis(100));
    assert!(!alone.output().contains("second got"), "{}", alone.output());
}

#[test]
fn signals_are_rewritten_or_dropped() {
    let running =
        Container::running("catch", &["--rewrite", "15:3", "--rewrite=HUP:40", "--rewrite", "USR1:0"])
            .start();
    running.expect("ready");
    for signal in [libc::SIGUSR1, libc::SIGTERM, libc::SIGHUP, libc::SIGUSR2] {
        running.signal(signal);
    }
    running.expect("got 3.").expect("got 40.").expect("got 12.");
    for absent in ["got 10.", "got 15.", "got 1."] {
        assert!(!running.output().contains(absent), "{}", running.output());
    }
}

#[test]
fn the_parents_death_brings_the_signal_that_p_names() {
    let init = container::servin_init();
    let own = std::env::current_exe().expect("the test binary");
    let script = format!("{} -p USR2 -s -- {} & read line", init.display(), own.display());
    // The shell waits on a terminal that nobody types at.
    let shell = Container::new(&["-c", &script]).started_by("/bin/sh").not_as_pid_1().on_terminal(false);
    let running = shell.env(programs::VARIABLE, "catch").start();
    running.expect("ready");
    let left = running.descendants();
    running.signal(libc::SIGKILL);
    running.expect("got 12.");
    left.into_iter().for_each(sys::end);
}

// ---- orphans

#[test]
fn ten_thousand_orphans_are_reaped() {
    let (code, output) = Container::running("orphans", &[]).env("INIT_TEST_ORPHANS", "10000").finish();
    assert_eq!(code, 7);
    assert!(output.contains("adopted 10000 left 0 spent"), "{output}");
}

#[test]
fn as_a_subreaper_it_adopts_and_reaps_orphans_too() {
    for (options, variable) in [(&["-s"][..], "OTHER"), (&["--subreaper"], "OTHER"), (&[], "TINI_SUBREAPER")]
    {
        let run = Container::running("orphans", options).not_as_pid_1().env(variable, "");
        let (code, output) = run.finish();
        assert_eq!(code, 7);
        assert!(output.starts_with("adopted 100 left 0"), "{output}");
    }
}

#[test]
fn without_being_pid_1_or_a_subreaper_it_warns() {
    let (code, output) = shell("exit 0").not_as_pid_1().finish();
    assert_eq!(code, 0);
    assert!(output.starts_with("servin-init: warning: neither PID 1 nor a subreaper"), "{output}");
    assert_eq!(shell("exit 0").not_as_pid_1().env("TINI_VERBOSITY", "0").finish(), (0, String::new()));
    assert_eq!(shell("exit 0").finish(), (0, String::new()));
}

#[test]
fn w_warns_of_every_reaped_orphan() {
    let (_, output) = Container::running("orphans", &["-w"]).env("INIT_TEST_ORPHANS", "5").finish();
    assert_eq!(output.matches("servin-init: warning: reaped orphan ").count(), 5, "{output}");
}

// ---- the terminal

#[test]
fn the_program_leads_a_group_of_its_own_and_inherits_no_descriptor() {
    let (_, output) = Container::running("place", &[]).finish();
    assert!(output.contains("place 2 2 -1."), "{output}");
    // Three streams, and the directory that is being read.
    assert_eq!(output.matches("open ").count(), 4, "{output}");
    let (_, output) = Container::running("place", &[]).on_terminal(true).finish();
    assert!(output.contains("place 2 2 2."), "{output}");
    assert_eq!(output.matches("open ").count(), 4, "{output}");
}

#[test]
fn ctrl_c_ends_the_program() {
    let mut running = Container::running("sleep", &[]).on_terminal(true).start();
    running.expect("ready").press(b"\x03");
    assert_eq!(running.code(), 128 + libc::SIGINT);
}

#[test]
fn a_terminal_that_is_only_standard_input_becomes_the_controlling_one() {
    let mut running = Container::running("sleep", &[]).on_terminal(false).start();
    running.expect("ready").press(b"\x03");
    assert_eq!(running.code(), 128 + libc::SIGINT);
}

#[test]
fn ctrl_z_stops_the_program_and_the_next_key_or_sigcont_wakes_it() {
    let mut running = Container::running("sleep", &[]).on_terminal(true).start();
    running.expect("ready");
    for wake in ["key", "signal", "key", "signal"] {
        running.press(b"\x1a");
        running.expect_child_state('T');
        running.eventually("back with init", || {
            running.proc("stat").contains(" T ") || holds_terminal(&running)
        });
        match wake {
            "key" => running.press(b"\x1a"),
            _ => running.signal(libc::SIGCONT),
        }
        running.expect_child_state('S');
        running.eventually("back with the program", || !holds_terminal(&running));
    }
    running.press(b"\x1a");
    running.expect_child_state('T');
    running.eventually("back with init", || holds_terminal(&running));
    running.press(b"\x03");
    assert_eq!(running.code(), 128 + libc::SIGINT);
}

/// Whether servin-init's group is its terminal's foreground group (proc_pid_stat(5), fields 5 and 8).
fn holds_terminal(running: &container::Running) -> bool {
    let stat = running.proc("stat");
    let fields: Vec<_> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    fields[2] == fields[5]
}

#[test]
fn under_a_shell_with_job_control_ctrl_z_stops_the_job_and_fg_continues_it() {
    let init = container::servin_init();
    let own = std::env::current_exe().expect("the test binary");
    let run = format!("{} -s -- {}", init.display(), own.display());
    let script = format!("set -m; {run}; echo first $?.; fg >/dev/null; echo then $?.");
    let shell = Container::new(&["-c", &script]).started_by("/bin/sh").not_as_pid_1().on_terminal(true);
    let running = shell.env(programs::VARIABLE, "sleep").start();
    running.expect("ready").press(b"\x1a");
    running.expect(&format!("first {}.", 128 + libc::SIGTSTP));
    let sleeps =
        |pid: i32| fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| stat.contains(") S "));
    running.eventually("awake again", || running.descendants().into_iter().all(sleeps));
    sleep(Duration::from_millis(50));
    running.press(b"\x03");
    running.expect(&format!("then {}.", 128 + libc::SIGINT));
}

#[test]
fn the_terminal_goes_back_to_the_group_that_started_init() {
    let init = container::servin_init();
    let script = format!("{} -s -- true; read line; echo read $line.", init.display());
    let shell = Container::new(&["-c", &script]).started_by("/bin/sh").not_as_pid_1().on_terminal(true);
    let running = shell.start();
    sleep(Duration::from_millis(100));
    running.press(b"this\n");
    running.expect("read this.");
}

// ---- grace

/// The time that ending took.
fn ending(mut running: container::Running) -> (i32, Duration) {
    let begin = Instant::now();
    (running.code(), begin.elapsed())
}

#[test]
fn with_grace_what_does_not_heed_term_is_killed_when_the_time_is_up() {
    let running = Container::running("stubborn", &["--grace", "1"]).start();
    running.expect("ready").signal(libc::SIGTERM);
    let (code, time) = ending(running);
    assert_eq!(code, 128 + libc::SIGKILL);
    assert!(time >= Duration::from_millis(990), "{time:?}");
}

#[test]
fn a_second_term_skips_the_wait() {
    let running = Container::running("stubborn", &["--grace", "1000"]).start();
    running.expect("ready").signal(libc::SIGTERM);
    running.eventually("terminated", || {
        running.status("SigQ") != "0" && running.status("ShdPnd").ends_with("0000")
    });
    sleep(Duration::from_millis(50));
    running.signal(libc::SIGTERM);
    assert_eq!(ending(running).0, 128 + libc::SIGKILL);
}

#[test]
fn with_grace_the_programs_end_lets_the_others_end_in_peace() {
    for as_subreaper in [false, true] {
        let mut run = Container::running("leave-polite", &["-s", "--grace", "50"]);
        if as_subreaper {
            run = run.not_as_pid_1();
        }
        let running = run.start();
        running.expect("left").expect("goodbye");
        let (code, time) = ending(running);
        assert_eq!(code, 7);
        assert!(time < Duration::from_secs(40), "it waited for nobody: {time:?}");
    }
}

#[test]
fn without_grace_the_programs_end_ends_all_at_once() {
    let running = Container::running("leave-polite", &[]).start();
    running.expect("left");
    let output = running.output();
    assert_eq!(ending(running).0, 7);
    assert!(!output.contains("goodbye"), "{output}");
}

#[test]
fn with_grace_stubborn_orphans_are_killed_by_pid_1_and_by_a_subreaper() {
    for as_subreaper in [false, true] {
        let mut run = Container::running("leave-stubborn", &["-s", "--grace", "1"]);
        if as_subreaper {
            run = run.not_as_pid_1();
        }
        let running = run.start();
        running.eventually("both left", || running.output().matches("left").count() == 2);
        let orphans = running.descendants();
        let (code, time) = ending(running);
        assert_eq!(code, 7);
        assert!(time >= Duration::from_millis(900), "{time:?}");
        assert!(!orphans.is_empty());
        for orphan in orphans {
            assert!(!PathBuf::from(format!("/proc/{orphan}")).exists(), "{orphan} is still there");
        }
    }
}

#[test]
fn with_grace_a_stopped_program_is_woken_to_end() {
    let mut running = Container::running("sleep", &["--grace", "1000"]).start();
    running.expect("ready");
    sys::send(running.children()[0], libc::SIGSTOP);
    running.expect_child_state('T');
    running.signal(libc::SIGTERM);
    assert_eq!(running.code(), 128 + libc::SIGTERM);
}

#[test]
fn with_grace_a_rewritten_term_is_what_everybody_gets() {
    let running = Container::running("pair", &["--grace", "1", "--rewrite", "TERM:QUIT"]).start();
    running.eventually("both ready", || running.output().matches("ready").count() == 2);
    running.signal(libc::SIGTERM);
    running.expect("first got 3.").expect("second got 3.");
    assert_eq!(ending(running).0, 128 + libc::SIGKILL);
}

// ---- frugality

/// The pages that it has written to. Private_Dirty would add those of the program's file that have not been written back
/// to the disk yet: all of them, two, where it lies in a tmpfs.
fn written_kilobytes(running: &container::Running) -> usize {
    let written = status_field(&running.proc("smaps_rollup"), "Anonymous");
    written.trim_end_matches(" kB").parse().expect("a number")
}

#[test]
fn as_pid_1_it_has_one_page_of_its_own_beside_that_of_its_strings_in_every_start() {
    // The kernel begins every stack at another place.
    for terminal in [false, true].repeat(20) {
        let mut run = Container::running("catch", &["--grace", "5"]);
        if terminal {
            run = run.on_terminal(true);
        }
        let running = run.start();
        running.expect("ready").signal(libc::SIGHUP);
        running.expect("got 1.");
        assert_eq!(written_kilobytes(&running), 8);
    }
}

#[test]
fn of_a_long_environment_it_keeps_the_strings_alone_which_proc_shows() {
    let variables: Vec<(String, String)> =
        (0..1000).map(|number| (format!("V{number}"), number.to_string().repeat(3))).collect();
    let mut run = Container::running("sleep", &["--grace", "5"]);
    for (name, value) in &variables {
        run = run.env(name, value);
    }
    let running = run.start();
    running.expect("ready");
    let (environment, line) = (running.proc("environ"), running.proc("cmdline"));
    for (name, value) in &variables {
        assert!(environment.contains(&format!("\0{name}={value}\0")), "{environment}");
    }
    assert!(line.starts_with("servin-init\0--grace\x005\0--\0/"), "{line:?}");
    // They end with the stack, the program's path after them.
    let strings = (environment.len() + line.len() + 256).next_multiple_of(4096) / 1024;
    assert!(written_kilobytes(&running) <= 4 + strings, "beside {strings} kB of strings");
}

#[test]
fn while_nothing_happens_it_does_not_wake_up() {
    let running = Container::running("sleep", &["--grace", "5"]).start();
    running.expect("ready");
    sleep(Duration::from_millis(100));
    let switches = || running.status("voluntary_ctxt_switches");
    let before = switches();
    sleep(Duration::from_millis(1500));
    assert_eq!(switches(), before);
}
