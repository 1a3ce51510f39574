//! A terminal in the foreground: relayed, resized, and given back as it was.

use std::fs;
use std::process::Stdio;

use serde_json::json;
use servin_tests::{Bundle, Finished, People, Terminal, alone, kill, servin, start};

fn with_terminal() -> Bundle {
    Bundle::new().set("/process/terminal", true)
}

/// Runs it in a terminal of 40 rows and 100 columns.
fn run(bundle: &Bundle) -> Finished {
    Terminal::new(40, 100).start(bundle.command()).finish()
}

#[test]
fn the_program_has_a_terminal_of_its_own_and_it_is_the_controlling_one() {
    alone(|| {
        let seen = run(&with_terminal()).report();
        let terminal = &seen["terminal"];
        assert_eq!(terminal["descriptors"], json!([true, true, true]));
        assert_eq!((&terminal["controlling"], &terminal["foreground"]), (&true.into(), &true.into()));
        assert_eq!((&terminal["echo"], &terminal["canonical"]), (&true.into(), &true.into()));
    });
}

#[test]
fn the_terminal_is_the_containers_own_and_not_the_callers() {
    alone(|| {
        let seen = run(&with_terminal()).report();
        assert_eq!(seen["descriptors"][0]["target"], "/dev/pts/0");
        assert_eq!(seen["terminal"]["name"], "/dev/pts/0");
        assert_eq!(seen.descriptors(), [0, 1, 2]);
    });
}

#[test]
fn the_console_is_that_terminal() {
    alone(|| {
        let seen = run(&with_terminal()).report();
        let console = &seen["dev"]["console"];
        assert_eq!((&console["type"], &console["major"]), (&"character".into(), &136.into()));
        assert_eq!(seen.mount("/dev/console")["type"], "devpts");
    });
}

#[test]
fn the_terminal_belongs_to_the_programs_user() {
    alone(|| {
        let bundle = with_terminal()
            .set("/process/user", json!({ "uid": 1000, "gid": 1000 }))
            .probe(&["stat", "/dev/pts/0"]);
        assert_eq!(run(&bundle).json()["/dev/pts/0"]["uid"], 1000);
    });
}

#[test]
fn the_console_is_as_large_as_the_callers_terminal() {
    alone(|| {
        assert_eq!(run(&with_terminal()).report()["terminal"]["size"], json!([40, 100]));
        // A size in the config is for callers without a terminal; what a person looks at wins.
        let sized = with_terminal().set("/process/consoleSize", json!({ "height": 12, "width": 34 }));
        assert_eq!(run(&sized).report()["terminal"]["size"], json!([40, 100]));
    });
}

#[test]
fn the_console_size_is_the_configs_where_the_caller_has_no_terminal() {
    alone(|| {
        let sized = with_terminal().set("/process/consoleSize", json!({ "height": 12, "width": 34 }));
        assert_eq!(sized.report()["terminal"]["size"], json!([12, 34]));
    });
}

#[test]
fn the_console_size_means_nothing_without_a_terminal() {
    alone(|| {
        let seen = Bundle::new().set("/process/consoleSize", json!({ "height": 12, "width": 34 })).report();
        assert_eq!(seen["terminal"]["size"], json!(null));
    });
}

#[test]
fn without_a_terminal_in_the_config_the_program_has_the_callers_descriptors() {
    alone(|| {
        let seen = Terminal::new(40, 100).start(Bundle::new().command()).finish().report();
        // The caller gave /dev/null and its terminal.
        assert_eq!(seen["terminal"]["descriptors"][1], true);
        assert!(seen["dev"]["console"].is_null());
    });
}

#[test]
fn what_is_typed_arrives_and_what_is_said_returns() {
    alone(|| {
        let mut terminal = Terminal::new(40, 100).start(with_terminal().probe(&["echo-tty"]).command());
        terminal.expect("ready size 40 100").type_in("hello\r").expect("got hello");
        terminal.type_in("\x04").finish().succeeds();
    });
}

#[test]
fn a_resize_reaches_the_program() {
    alone(|| {
        let mut terminal = Terminal::new(40, 100).start(with_terminal().probe(&["echo-tty"]).command());
        terminal.expect("ready");
        for (rows, columns) in [(50, 120), (10, 20), (24, 80)] {
            terminal.resize(rows, columns).expect(&format!("size {rows} {columns}"));
        }
        terminal.type_in("\x04").finish().succeeds();
    });
}

#[test]
fn the_callers_terminal_is_raw_meanwhile_and_as_before_afterwards() {
    alone(|| {
        let mut terminal = Terminal::new(40, 100);
        let before = terminal.settings();
        terminal = terminal.start(with_terminal().probe(&["echo-tty"]).command());
        terminal.expect("ready");
        assert!(terminal.is_raw(), "{}", terminal.settings());
        terminal.type_in("\x04").finish().succeeds();
        assert_eq!(terminal.settings(), before);
    });
}

#[test]
fn the_terminal_is_restored_when_the_container_is_killed() {
    alone(|| {
        let mut terminal = Terminal::new(40, 100);
        let before = terminal.settings();
        terminal = terminal.start(with_terminal().probe(&["echo-tty"]).command());
        terminal.expect("ready");
        kill(terminal.container(), 9).expect("kill the container");
        terminal.finish().ends_with(137);
        assert_eq!(terminal.settings(), before);
    });
}

#[test]
fn the_terminal_is_restored_when_nothing_could_be_started() {
    alone(|| {
        let mut terminal = Terminal::new(40, 100);
        let before = terminal.settings();
        terminal = terminal.start(with_terminal().args(&["/bin/nothing"]).command());
        terminal.finish().ends_with(127);
        assert_eq!(terminal.settings(), before);
    });
}

#[test]
fn control_c_interrupts_the_program_and_not_servin() {
    alone(|| {
        let mut terminal = Terminal::new(40, 100).start(with_terminal().probe(&["trap", "1"]).command());
        terminal.expect("ready").type_in("\x03").expect("2\r\n");
        terminal.finish().succeeds();
    });
}

#[test]
fn the_exit_code_passes_through_a_terminal() {
    alone(|| drop(run(&with_terminal().probe(&["exit", "42"])).ends_with(42)));
}

#[test]
fn a_lot_of_output_arrives_whole() {
    alone(|| {
        let bundle = with_terminal().probe(&["read", "/etc/large"]);
        let large: String = (0..100_000).map(|number| format!("line {number}\n")).collect();
        fs::write(bundle.root().join("etc/large"), &large).expect("write a file");
        let out = run(&bundle).succeeds().out.replace("\r\n", "\n");
        assert!(out == large, "{} of {} bytes", out.len(), large.len());
    });
}

#[test]
fn standard_input_may_be_no_terminal_when_the_config_wants_one() {
    alone(|| {
        let mut command = with_terminal().probe(&["echo-tty"]).command();
        command.stdin(Stdio::piped());
        let mut running = start(command);
        running.says("ready");
        running.type_in("through a pipe\n");
        running.says("got through a pipe");
        running.type_in("\x04");
        running.finish().succeeds();
    });
}

#[test]
fn the_container_ends_when_the_callers_terminal_goes_away() {
    alone(|| {
        let mut terminal = Terminal::new(40, 100).start(with_terminal().probe(&["echo-tty"]).command());
        terminal.expect("ready");
        terminal.hang_up();
    });
}

/// Closes its terminal everywhere, and opens it again after a while, as systemd and getty do.
const LATE: &str =
    "echo first; exec </dev/null >/dev/null 2>&1; sleep 0.3; echo late >/dev/console; sleep 0.3; exit 4";

#[test]
fn what_is_printed_on_a_terminal_that_all_had_closed_is_seen() {
    alone(|| {
        let bundle = Bundle::of("busybox").set("/process/terminal", true).args(&["/bin/sh", "-c", LATE]);
        let mut terminal = Terminal::new(40, 100).start(bundle.command());
        terminal.expect("first").expect("late");
        assert_eq!(terminal.finish().code, 4);
        let people = People::of("busybox").flags(&["-t", "--init=false"]);
        let mut terminal = Terminal::new(40, 100).start(people.command(&["sh", "-c", LATE]));
        terminal.expect("first").expect("late");
        assert_eq!(terminal.finish().code, 4);
        // Its supervisor neither turns round and round meanwhile, nor forgets what is printed when nobody listens.
        people.detached("late", &["sh", "-c", LATE]);
        assert_eq!(servin(&["wait", "late"]).succeeds().out, "4\n");
        assert!(servin(&["logs", "late"]).succeeds().out.contains("late"));
        servin(&["rm", "late"]).succeeds();
    });
}
