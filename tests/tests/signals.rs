//! Signals to a Servin in the foreground, and the processes that a container leaves.

use std::time::Duration;

use servin_tests::{Bundle, People, alone, kill, start};

/// Those that a caller may send and a program may take (SIGSTOP, SIGKILL and what the kernel sends for faults are
/// none of them).
const FORWARDED: [i32; 13] = [1, 2, 3, 10, 12, 14, 15, 18, 28, 29, 34, 50, 64];

#[test]
fn every_signal_reaches_the_program() {
    alone(|| {
        for signal in FORWARDED {
            let mut running = Bundle::new().probe(&["trap", "1"]).start();
            running.says("ready");
            running.signal(signal);
            assert_eq!(running.finish().succeeds().lines(), ["ready", &signal.to_string()]);
        }
    });
}

#[test]
fn several_signals_reach_the_program_in_their_order() {
    alone(|| {
        let mut running = Bundle::new().probe(&["trap", "3"]).start();
        running.says("ready");
        for signal in [10, 12, 1] {
            running.signal(signal);
            running.says(&format!("\n{signal}\n"));
        }
        running.finish().succeeds();
    });
}

#[test]
fn a_signal_reaches_the_program_behind_the_init() {
    alone(|| {
        let mut running = People::new().start(&["/bin/probe", "trap", "2"]);
        running.says("ready");
        for signal in [10, 15] {
            running.signal(signal);
            running.says(&format!("\n{signal}\n"));
        }
        running.finish().succeeds();
    });
}

#[test]
fn terminate_ends_a_program_that_has_no_handler_when_there_is_an_init() {
    alone(|| {
        let mut running = People::new().start(&["/bin/probe", "sleep"]);
        running.says("ready");
        running.signal(15);
        running.finish().ends_with(143);
    });
}

#[test]
fn the_init_reaps_every_orphan() {
    alone(|| {
        let run =
            People::new().run(&["/bin/probe", "both", "orphans", "50", ",", "sleep", "1", ",", "children"]);
        let last = run.lines().last().map(|line| line.to_string()).unwrap_or_default();
        assert_eq!(last, "[\"1\",\"2\"]");
    });
}

#[test]
fn no_process_of_a_container_outlives_it() {
    alone(|| {
        // A program that daemonises: its children would sleep for an hour. The harness looks for them afterwards.
        Bundle::new().probe(&["orphans", "5", "3600"]).run().succeeds();
        People::new().run(&["/bin/probe", "orphans", "5", "3600"]).succeeds();
    });
}

#[test]
fn servin_returns_at_once_when_the_program_ends() {
    alone(|| {
        // Orphans hold the caller's descriptors open; who waits for end of file instead of the process would hang.
        let begun = std::time::Instant::now();
        Bundle::new().probe(&["orphans", "1", "3600"]).run().succeeds();
        assert!(begun.elapsed() < servin_tests::within(Duration::from_secs(20)));
    });
}

#[test]
fn a_signal_at_any_moment_of_the_start_leaves_nothing() {
    alone(|| {
        for step in 0..40 {
            let running = start(Bundle::new().probe(&["sleep"]).command());
            std::thread::sleep(Duration::from_micros(250 * step));
            running.signal(15);
            // PID 1 of a namespace has no default dispositions: once it runs, only KILL ends it.
            while !has_ended(running.pid()) {
                std::thread::sleep(Duration::from_millis(5));
                if let Some(container) = running.try_container() {
                    let _ = kill(container, 9);
                }
            }
            let code = running.finish().code;
            assert!([125, 137, 143].contains(&code), "step {step}: {code}");
        }
    });
}

/// Whether a child of ours only waits to be waited for.
fn has_ended(pid: i32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_none_or(|(_, fields)| fields.starts_with('Z'))
}
