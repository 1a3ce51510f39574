//! Containers that run in the background, and what stays beside them.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use servin_tests::{
    People, Terminal, alone, children, field, is_emulated, kill, pid, reap_one, servin, servin_program, skip,
    start, supervisor, time_of_children, until, within,
};

/// The most kilobytes of memory that a supervisor may have to itself.
const MOST: u64 = 100;

fn busybox() -> People {
    People::of("busybox")
}

/// The memory of a process in kilobytes, that which it shares with others divided by their number (PSS).
fn weight(pid: i32) -> u64 {
    memory(pid, "Pss:")
}

/// A field of what the kernel says of a process's memory (proc_pid_smaps(5)).
fn memory(pid: i32, field: &str) -> u64 {
    let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).expect("read of a process");
    let line = rollup.lines().find_map(|line| line.strip_prefix(field)).expect("a field");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}

fn servin_command(arguments: &[&str]) -> Command {
    let mut command = Command::new(servin_program());
    command.args(arguments);
    command
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
fn the_init_has_at_most_16_kib_of_private_dirty_memory_in_every_start() {
    alone(|| {
        for _ in 0..10 {
            busybox().detached("box", &["sleep", "1000"]);
            let dirty = memory(pid("box"), "Private_Dirty:");
            assert!((1..=16).contains(&dirty), "{dirty} kB");
            servin(&["rm", "--force", "box"]).succeeds();
        }
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
        let supervisor = supervisor("web");
        assert_eq!(children(supervisor), [pid("web")]);
        until("a small supervisor", || weight(supervisor) <= MOST);
        let switches = || {
            let status = fs::read_to_string(format!("/proc/{supervisor}/status")).expect("read of a process");
            let count = |kind: &str| {
                let line = status.lines().find_map(|line| line.strip_prefix(kind)).expect("a field");
                line.trim().parse::<u64>().expect("a number")
            };
            count("voluntary_ctxt_switches:") + count("nonvoluntary_ctxt_switches:")
        };
        let before = switches();
        std::thread::sleep(Duration::from_secs(3));
        assert_eq!(switches(), before, "it was woken");
        // Who has come and gone leaves nothing behind.
        servin(&["logs", "web"]).succeeds();
        let attached = start(servin_command(&["attach", "web"]));
        attached.signal(9);
        attached.finish();
        until("a small supervisor again", || weight(supervisor) <= MOST);
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
        let killed = supervisor("web");
        kill(killed, 9).expect("kill the supervisor");
        assert_eq!(reap_one(killed), 137);
        assert_eq!(reap_one(first), 137, "it ends with its supervisor");
        assert!(servin(&["ps", "-a"]).succeeds().out.contains("Exited (137)"));
        servin(&["start", "web"]).succeeds();
        servin(&["rm", "-f", "web"]).succeeds();
        // And one that was to be removed is.
        let id = busybox().kept().flags(&["-d", "--rm"]).run(&["sleep", "1000"]).succeeds().out;
        kill(supervisor(id.trim()), 9).expect("kill the supervisor");
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
fn a_container_that_goes_with_its_end_outlives_a_restart() {
    alone(|| {
        let id = busybox().flags(&["--rm"]).detached("web", &["sleep", "1000"]);
        let first = field("web", ".State.Pid");
        assert_eq!(servin(&["restart", "--time", "0", "web"]).succeeds().out, "web\n");
        assert_eq!(field("web", ".Id"), id);
        assert!(field("web", ".State.Pid") != first && field("web", ".HostConfig.AutoRemove") == "true");
        servin(&["stop", "--time", "0", "web"]).succeeds();
        assert_eq!(servin(&["ps", "-aq"]).succeeds().out, "");
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
fn two_hundred_containers_run_at_once_beside_as_many_small_supervisors() {
    alone(|| {
        let root = People::new().root();
        let root = root.to_str().expect("UTF-8");
        for number in 0..200 {
            let name = format!("c{number}");
            let run = ["run", "-d", "--network", "none", "--name", &name, "--rootfs", root, "--"];
            servin(&[&run[..], &["/bin/probe", "sleep", "1000"]].concat()).succeeds();
        }
        assert_eq!(servin(&["ps", "-q"]).succeeds().lines().len(), 200);
        // Their parent is this process, as every orphan's.
        let supervisors = children(std::process::id() as i32);
        assert_eq!(supervisors.len(), 200);
        until("small supervisors", || supervisors.iter().all(|pid| weight(*pid) <= MOST));
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
        let heard = ended.recv_timeout(within(Duration::from_secs(5)));
        servin(&["rm", "-f", "prompt"]).succeeds();
        assert!(heard.is_ok(), "the pipe is open somewhere");
    });
}

#[test]
fn a_thousand_containers_are_listed_at_once() {
    alone(|| {
        if is_emulated() {
            skip!("the processor is emulated");
        }
        let root = People::new().root();
        let root = root.to_str().expect("UTF-8");
        let first = servin(&["create", "--name", "c0", "--rootfs", root, "--", "/bin/probe"]).succeeds().out;
        let all = Path::new(&std::env::var("SERVIN_HOME").expect("set by the harness")).join("containers");
        let record = fs::read_to_string(all.join(first.trim()).join("container.json")).expect("read");
        for number in 1..1000 {
            let id = format!("{:064x}", u128::MAX / 1000 * number);
            fs::create_dir(all.join(&id)).expect("make a directory");
            let name = format!("c{number}");
            let own = record.replace(first.trim(), &id).replace("\"c0\"", &format!("\"{name}\""));
            fs::write(all.join(&id).join("container.json"), own).expect("write");
            symlink(&id, all.join(".names").join(name)).expect("link");
        }
        // The processor's, since the clock goes on while others have it. How fast it is, `cargo xtask bench people` says;
        // here that nothing is done for each of them that grows with their number.
        let time = || {
            let before = time_of_children();
            assert_eq!(servin(&["ps", "-a"]).succeeds().lines().len(), 1001);
            time_of_children() - before
        };
        let quickest = (0..20).map(|_| time()).min().expect("a time");
        assert!(quickest < within(Duration::from_millis(100)), "{quickest:?}");
        servin(&["rm", "-fa"]).succeeds();
    });
}

#[test]
fn a_killed_supervisor_is_noticed_while_its_container_waits_for_a_restart() {
    alone(|| {
        busybox().flags(&["--restart", "always"]).detached("web", &["sh", "-c", "exit 3"]);
        // The pauses become longer. Asked at once: what is asked twice may be of two of them.
        until("a long pause", || {
            let said =
                servin(&["inspect", "-f", "{{.State.Status}} {{.RestartCount}}", "web"]).succeeds().out;
            let count = said.strip_prefix("restarting ").and_then(|count| count.trim().parse::<u32>().ok());
            count.is_some_and(|count| count >= 4)
        });
        let [supervisor] = children(std::process::id() as i32)[..] else { panic!("one process of ours") };
        kill(supervisor, 9).expect("kill the supervisor");
        reap_one(supervisor);
        assert!(servin(&["ps", "-a"]).succeeds().out.contains("Exited (3)"));
        assert_eq!(servin(&["start", "--all", "--restart-policy"]).succeeds().out, "web\n");
        servin(&["rm", "-f", "web"]).succeeds();
    });
}

#[test]
fn a_killed_supervisor_takes_a_health_check_along() {
    alone(|| {
        busybox()
            .flags(&["--health-cmd", "sleep 999", "--health-interval", "50ms"])
            .detached("web", &["sleep", "1000"]);
        let supervisor = supervisor("web");
        until("a check", || children(supervisor).len() == 2);
        kill(supervisor, 9).expect("kill the supervisor");
        until("the end", || servin(&["ps", "-a"]).succeeds().out.contains("Exited (137)"));
        servin(&["rm", "web"]).succeeds();
    });
}
