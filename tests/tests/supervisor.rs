//! Containers that run in the background, and what stays beside them.

use std::fs;
use std::time::{Duration, Instant};

use servin_tests::{People, Terminal, alone, children, field, kill, reap_one, servin, until};

fn busybox() -> People {
    People::of("busybox")
}

fn pid(name: &str) -> i32 {
    field(name, ".State.Pid").parse().expect("a pid")
}

/// The parent of a process.
fn parent(pid: i32) -> i32 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("read a process's status");
    let line = status.lines().find_map(|line| line.strip_prefix("PPid:")).expect("its parent");
    line.trim().parse().expect("a pid")
}

#[test]
fn a_detached_container_runs_until_it_is_stopped_and_is_listed_until_it_is_removed() {
    alone(|| {
        let id = busybox().detached("web", &["sleep", "1000"]);
        assert_eq!(id.len(), 64);
        let listed = servin(&["ps"]).succeeds().out;
        assert!(listed.contains(&id[..12]) && listed.contains("Up ") && listed.contains("web"), "{listed}");
        servin(&["rm", "web"]).ends_with(1).fails(&["web runs", "servin stop"]);
        servin(&["stop", "web"]).succeeds();
        assert_eq!(servin(&["ps", "-q"]).succeeds().out, "");
        assert!(servin(&["ps", "-a"]).succeeds().out.contains("Exited (143)"));
        servin(&["rm", &id[..6]]).succeeds();
        assert_eq!(servin(&["ps", "-aq"]).succeeds().out, "");
    });
}

#[test]
fn the_end_of_a_container_is_waited_for_and_its_code_is_kept() {
    alone(|| {
        busybox().detached("one", &["sh", "-c", "sleep 0.2; exit 7"]);
        assert_eq!(servin(&["wait", "one"]).succeeds().out, "7\n");
        assert_eq!(servin(&["wait", "one"]).succeeds().out, "7\n");
        assert_eq!(
            (field("one", ".State.Status"), field("one", ".State.ExitCode")),
            ("exited".into(), "7".into())
        );
        servin(&["start", "one"]).succeeds();
        assert_eq!(servin(&["wait", "one"]).succeeds().out, "7\n");
        servin(&["rm", "one"]).succeeds();
    });
}

#[test]
fn what_cannot_be_started_is_said_at_once_with_dockers_codes() {
    alone(|| {
        let run =
            |program: &str| busybox().kept().flags(&["-d", "--name", "no", "--init=false"]).run(&[program]);
        run("/bin/nothing").ends_with(127).fails(&["/bin/nothing"]);
        assert_eq!(field("no", ".State.ExitCode"), "127");
        assert!(field("no", ".State.Error").contains("/bin/nothing"));
        servin(&["rm", "no"]).succeeds();
        run("/etc").ends_with(126).fails(&["/etc"]);
        servin(&["rm", "no"]).succeeds();
    });
}

#[test]
fn a_name_belongs_to_one_container() {
    alone(|| {
        busybox().detached("same", &["true"]);
        busybox()
            .kept()
            .flags(&["--name", "same"])
            .run(&["true"])
            .ends_with(125)
            .fails(&["already in use", "servin rm same"]);
        servin(&["rename", "same", "other"]).succeeds();
        servin(&["wait", "other"]).succeeds();
        servin(&["rm", "other"]).succeeds();
        servin(&["rm", "other"]).ends_with(1).fails(&["there is no container other"]);
    });
}

#[test]
fn the_supervisor_is_the_containers_parent_and_small_and_sleeps() {
    alone(|| {
        busybox().detached("web", &["sleep", "1000"]);
        let supervisor = parent(pid("web"));
        assert_eq!(children(supervisor), [pid("web")]);
        let own =
            |path: &str| fs::read_to_string(format!("/proc/{supervisor}/{path}")).expect("read of a process");
        let private = || {
            let rollup = own("smaps_rollup");
            let sum = |name: &str| {
                let line = rollup.lines().find_map(|line| line.strip_prefix(name)).expect("a field");
                line.trim_start_matches(':').trim().trim_end_matches(" kB").parse::<u64>().expect("a number")
            };
            sum("Private_Dirty")
        };
        until("a small supervisor", || private() <= 100);
        let switches = || {
            let status = own("status");
            let line = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
            line.expect("a field").trim().to_string()
        };
        let before = switches();
        std::thread::sleep(Duration::from_millis(500));
        assert_eq!(switches(), before, "it was woken");
        servin(&["rm", "-f", "web"]).succeeds();
    });
}

#[test]
fn a_container_outlives_the_terminal_that_it_was_started_from() {
    alone(|| {
        let people = busybox().kept().flags(&["-it", "--name", "shell"]);
        let mut terminal = Terminal::new(24, 80).start(people.command(&["sh"]));
        terminal.expect("# ").type_in("echo re''ady\n").expect("ready");
        terminal.hang_up();
        assert_eq!(field("shell", ".State.Status"), "running");
        servin(&["rm", "-f", "shell"]).succeeds();
    });
}

#[test]
fn a_container_whose_supervisor_was_killed_has_ended_and_nothing_is_left_of_it() {
    alone(|| {
        busybox().detached("web", &["sleep", "1000"]);
        let first = pid("web");
        let supervisor = parent(first);
        kill(supervisor, 9).expect("kill the supervisor");
        assert_eq!(reap_one(supervisor), 137);
        assert_eq!(reap_one(first), 137, "it ends with its supervisor");
        assert!(servin(&["ps", "-a"]).succeeds().out.contains("Exited (137)"));
        servin(&["start", "web"]).succeeds();
        servin(&["rm", "-f", "web"]).succeeds();
        // And one that was to be removed is.
        let id = busybox().kept().flags(&["-d", "--rm"]).run(&["sleep", "1000"]).succeeds().out;
        kill(parent(pid(id.trim())), 9).expect("kill the supervisor");
        until("the removal", || servin(&["ps", "-aq"]).succeeds().out.is_empty());
    });
}

#[test]
fn stop_asks_first_and_kills_in_the_end() {
    alone(|| {
        busybox()
            .kept()
            .flags(&["--stop-signal", "USR1"])
            .detached("polite", &["sh", "-c", "trap 'exit 9' USR1; while :; do sleep 0.05; done"]);
        until("the trap", || servin(&["exec", "polite", "true"]).code == 0);
        servin(&["stop", "polite"]).succeeds();
        assert_eq!(field("polite", ".State.ExitCode"), "9");
        busybox().kept().flags(&["--init=false"]).detached("deaf", &["sleep", "1000"]);
        let begin = Instant::now();
        servin(&["stop", "-t", "1", "deaf"]).succeeds();
        assert!(begin.elapsed() >= Duration::from_secs(1));
        assert_eq!(field("deaf", ".State.ExitCode"), "137");
        servin(&["stop", "deaf"]).succeeds();
        servin(&["rm", "polite", "deaf"]).succeeds();
    });
}

#[test]
fn a_created_container_waits_for_its_start() {
    alone(|| {
        let root = busybox().root();
        let id = servin(&[
            "create",
            "--name",
            "later",
            "--rootfs",
            root.to_str().expect("UTF-8"),
            "--",
            "sh",
            "-c",
            "exit 4",
        ])
        .succeeds()
        .out;
        assert_eq!(id.trim().len(), 64);
        assert_eq!(field("later", ".State.Status"), "created");
        servin(&["start", "-a", "later"]).ends_with(4);
        servin(&["rm", "later"]).succeeds();
    });
}

#[test]
fn signals_reach_the_program_by_kill_and_through_the_foreground() {
    alone(|| {
        let script = "trap 'echo got; exit 3' USR1; echo ready; while :; do sleep 0.05; done";
        let mut running = busybox().start(&["sh", "-c", script]);
        running.says("ready");
        running.signal(10);
        let ended = running.finish().ends_with(3);
        assert_eq!(ended.out, "ready\ngot\n");
        busybox().detached("web", &["sh", "-c", script]);
        until("the trap", || servin(&["logs", "web"]).succeeds().out.contains("ready"));
        servin(&["kill", "-s", "USR1", "web"]).succeeds();
        assert_eq!(servin(&["wait", "web"]).succeeds().out, "3\n");
        servin(&["kill", "web"]).ends_with(1).fails(&["does not run"]);
        servin(&["rm", "web"]).succeeds();
    });
}

#[test]
fn many_containers_run_at_once_and_are_listed_quickly() {
    alone(|| {
        let root = busybox().root();
        let root = root.to_str().expect("UTF-8");
        for number in 0..30 {
            servin(&["run", "-d", "--name", &format!("c{number}"), "--rootfs", root, "--", "sleep", "1000"])
                .succeeds();
        }
        assert_eq!(servin(&["ps", "-q"]).succeeds().lines().len(), 30);
        servin(&["rm", "-fa"]).succeeds();
    });
}

#[test]
fn what_goes_on_printing_in_the_hosts_pid_namespace_does_not_put_the_end_off() {
    alone(|| {
        let people = busybox().flags(&["--pid", "host", "--init=false"]);
        people.run(&["sh", "-c", "yes & exit 3"]).ends_with(3);
    });
}

#[test]
fn what_the_caller_has_left_open_is_not_held_beside_the_container() {
    alone(|| {
        let (mut reader, writer) = std::io::pipe().expect("make a pipe");
        let writer = fs::File::from(std::os::fd::OwnedFd::from(writer));
        servin_tests::set_descriptor_inherited(&writer);
        // With a line that has not ended, its supervisor has something in mind that no other program could go on with.
        busybox().detached("prompt", &["sh", "-c", "printf name:; exec sleep 1000"]);
        drop(writer);
        let (sender, ended) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let _ = std::io::Read::read(&mut reader, &mut [0]);
            sender.send(()).expect("the test waits");
        });
        let heard = ended.recv_timeout(servin_tests::within(Duration::from_secs(5)));
        servin(&["rm", "-f", "prompt"]).succeeds();
        assert!(heard.is_ok(), "the pipe is open somewhere");
    });
}
