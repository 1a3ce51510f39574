//! A container's life by the OCI commands: create, start, state, kill, delete, list, ps.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use servin_tests::{
    Bundle, Terminal, alone, forget_home, kill, oci, reap_one, receive_descriptor, scratch, servin,
    servin_run, start, state, status, until, within,
};

fn sleeper() -> Bundle {
    shell("sleep 1000")
}

fn shell(script: &str) -> Bundle {
    Bundle::of("busybox").args(&["/bin/sh", "-c", script])
}

#[test]
fn a_container_is_created_started_killed_and_deleted() {
    alone(|| {
        let bundle =
            shell("echo ran > /tmp/ran; sleep 1000").writable().set("/annotations", json!({ "a.b": "c" }));
        let pid_file = scratch("pid");
        let out = bundle.oci("create", &["--pid-file", pid_file.to_str().expect("UTF-8")]).succeeds();
        assert_eq!((out.out.as_str(), out.err.as_str()), ("", ""));
        let pid: i32 =
            fs::read_to_string(&pid_file).expect("a pid file").parse().expect("a pid and nothing else");
        let seen = state(bundle.name());
        assert_eq!(seen["status"], "created");
        assert_eq!(seen["pid"], pid);
        assert_eq!(seen["id"], bundle.name());
        assert_eq!(seen["bundle"], bundle.directory().to_str().expect("UTF-8"));
        assert_eq!(seen["rootfs"], bundle.root().to_str().expect("UTF-8"));
        assert_eq!(seen["annotations"], json!({ "a.b": "c" }));
        assert_eq!(seen["owner"], "root");
        assert!(seen["ociVersion"].as_str().is_some_and(|version| version.starts_with("1.")), "{seen}");
        let created = seen["created"].as_str().expect("a time");
        assert!(created.len() == 30 && created.ends_with('Z') && &created[10..11] == "T", "{created}");
        sleep(Duration::from_millis(50));
        assert!(!bundle.root().join("tmp/ran").exists(), "the program ran before start");

        bundle.oci("start", &[]).succeeds();
        assert_eq!(status(bundle.name()), "running");
        let end = Instant::now() + within(Duration::from_secs(20));
        while !bundle.root().join("tmp/ran").exists() {
            assert!(Instant::now() < end, "the program does not run");
            sleep(Duration::from_millis(5));
        }
        bundle.oci("delete", &[]).fails(&["running"]);
        oci(&["kill", bundle.name(), "KILL"]).succeeds();
        assert_eq!(reap_one(pid), 128 + 9);
        let seen = state(bundle.name());
        assert_eq!((&seen["status"], &seen["pid"]), (&json!("stopped"), &json!(0)));
        bundle.oci("delete", &[]).succeeds();
        bundle.oci("state", &[]).fails(&["does not exist"]);
    });
}

/// Whoever reads /proc as UTF-8 does not see it any more.
#[test]
fn a_process_whose_name_is_no_text_is_seen_and_killed_all_the_same() {
    alone(|| {
        let script = r"printf '\377) \376' > /proc/self/comm; touch /tmp/named; while :; do sleep 1; done";
        let bundle = shell(script).writable();
        let pid = bundle.started();
        until("the process has its name", || bundle.root().join("tmp/named").exists());
        assert_eq!(status(bundle.name()), "running");
        let listed = oci(&["ps", "--format", "json", bundle.name()]).succeeds().json();
        assert!(listed.as_array().is_some_and(|pids| pids.contains(&json!(pid))), "{listed}");
        let rows = oci(&["ps", bundle.name()]).succeeds().out;
        assert!(rows.contains(&pid.to_string()), "{rows}");
        bundle.exec(&[], &["true"]).succeeds();
        oci(&["kill", bundle.name(), "KILL"]).succeeds();
        bundle.ended(pid);
    });
}

#[test]
fn the_containers_standard_streams_are_the_callers_own() {
    alone(|| {
        let bundle = shell("cat; echo to the error >&2");
        let mut command = Command::new(servin_run());
        bundle.command();
        command.args(["create", "--bundle"]).arg(bundle.directory()).arg(bundle.name());
        command.stdin(std::process::Stdio::from({
            fs::write(scratch("input"), "typed").expect("write a file");
            fs::File::open(scratch("input")).expect("open a file")
        }));
        let created = start(command);
        let pid = loop {
            let seen = oci(&["state", bundle.name()]);
            if seen.code == 0 && seen.json()["status"] == "created" {
                break seen.json()["pid"].as_i64().expect("a pid") as i32;
            }
        };
        bundle.oci("start", &[]).succeeds();
        assert_eq!(reap_one(pid), 0);
        let out = created.finish().succeeds();
        assert_eq!((out.out.as_str(), out.err.as_str()), ("typed", "to the error\n"));
        bundle.oci("delete", &[]).succeeds();
    });
}

#[test]
fn what_cannot_be_is_said() {
    alone(|| {
        let bundle = sleeper();
        let pid = bundle.created();
        bundle.oci("create", &[]).fails(&["already exists"]);
        bundle.oci("run", &[]).fails(&["already exists"]);
        bundle.oci("start", &[]).succeeds();
        bundle.oci("start", &[]).fails(&["cannot start", "started already"]);
        oci(&["kill", bundle.name(), "9"]).succeeds();
        assert_eq!(reap_one(pid), 128 + 9);
        bundle.oci("kill", &[]).fails(&["container not running"]);
        bundle.oci("kill", &["--all"]).succeeds();
        bundle.oci("start", &[]).fails(&["stopped"]);
        bundle.oci("ps", &[]).fails(&["container not running"]);
        bundle.exec(&[], &["true"]).fails(&["container not running"]);
        bundle.oci("delete", &[]).succeeds();
        for command in ["start", "state", "kill", "delete", "ps"] {
            bundle.oci(command, &[]).fails(&["does not exist"]);
        }
        bundle.oci("delete", &["--force"]).succeeds();
        for id in ["", "a/b", "..", ".", "a b", "ä", &"x".repeat(1025)] {
            oci(&["create", "--bundle", "/tmp", "--", id]).fails(&["invalid container ID"]);
            oci(&["state", "--", id]).fails(&["invalid container ID"]);
        }
        for arguments in
            [&["nosuch"][..], &["state", "--nosuch", "a"], &["--nosuch", "state", "a"], &["create", "a", "b"]]
        {
            oci(arguments).fails(&["see"]);
        }
        for command in ["checkpoint", "restore"] {
            oci(&[command, "--help"]).fails(&["not supported"]);
        }
    });
}

#[test]
fn a_missing_program_is_an_error_of_create_and_leaves_nothing() {
    alone(|| {
        let missing = |args: &[&str]| Bundle::of("busybox").args(args);
        missing(&["nosuch"]).oci("create", &[]).fails(&["executable file not found in $PATH"]);
        missing(&["/nosuch"]).oci("create", &[]).fails(&["stat /nosuch: no such file or directory"]);
        missing(&["/etc/passwd"]).oci("create", &[]).fails(&["permission denied"]);
        missing(&["/etc"]).oci("create", &[]).fails(&["permission denied", "it is a directory"]);
        assert_eq!(oci(&["list", "--quiet"]).succeeds().out, "");
    });
}

#[test]
fn flags_may_come_in_every_spelling_and_after_the_id() {
    alone(|| {
        let bundle = sleeper();
        let directory = bundle.directory().to_str().expect("UTF-8").to_string();
        bundle.command();
        for flags in [
            &["--bundle", &directory][..],
            &["-bundle", &directory],
            &[&format!("--bundle={directory}")],
            &["-b", &directory],
        ] {
            let mut arguments = vec!["create", bundle.name()];
            arguments.extend(flags);
            oci(&arguments).succeeds();
            let pid = state(bundle.name())["pid"].as_i64().expect("a pid") as i32;
            oci(&["delete", bundle.name(), "-f"]).succeeds();
            assert_eq!(reap_one(pid), 128 + 9);
        }
    });
}

#[test]
fn the_log_holds_one_object_after_a_failure_and_nothing_otherwise() {
    alone(|| {
        let log = scratch("log.json");
        let path = log.to_str().expect("UTF-8");
        let globals = |rest: &[&str]| {
            let mut all = vec!["--log", path, "--log-format", "json", "--systemd-cgroup=false"];
            all.extend(rest);
            oci(&all)
        };
        globals(&["list"]).succeeds();
        assert!(!log.exists() || fs::read_to_string(&log).expect("a log").is_empty());
        let said = globals(&["state", "nobody"]).fails(&["does not exist"]).err;
        let line: Value = fs::read_to_string(&log).expect("a log").parse().expect("one JSON object");
        assert_eq!(line["level"], "error");
        assert!(said.contains(line["msg"].as_str().expect("a message")), "{line} {said}");
        assert!(line["time"].as_str().is_some_and(|time| time.ends_with('Z')), "{line}");
        fs::remove_file(&log).expect("remove the log");
        oci(&["--log", path, "state", "nobody"]).fails(&[]);
        let text = fs::read_to_string(&log).expect("a log");
        assert!(text.contains("level=error msg=\"container \\\"nobody\\\" does not exist\""), "{text}");
    });
}

#[test]
fn signals_go_by_name_and_number() {
    alone(|| {
        for (signal, code) in [("USR1", 11), ("SIGUSR2", 12), ("10", 11), ("sigusr2", 12)] {
            let bundle = shell(
                "trap 'exit 11' USR1; trap 'exit 12' USR2; echo ready > /tmp/ready; while :; do sleep 0.01; done",
            );
            let bundle = bundle.writable();
            let pid = bundle.started();
            let end = Instant::now() + within(Duration::from_secs(20));
            while !bundle.root().join("tmp/ready").exists() {
                assert!(Instant::now() < end, "the program does not run");
                sleep(Duration::from_millis(5));
            }
            oci(&["kill", bundle.name(), signal]).succeeds();
            assert_eq!(reap_one(pid), code, "{signal}");
            bundle.oci("delete", &[]).succeeds();
        }
        oci(&["kill", "nobody", "NOSUCH"]).fails(&["unknown signal \"NOSUCH\""]);
    });
}

#[test]
fn delete_with_force_ends_what_runs_and_what_waits() {
    alone(|| {
        let bundle = sleeper();
        let pid = bundle.created();
        bundle.ended(pid);
        let pid = bundle.started();
        bundle.ended(pid);
        let pid = bundle.created();
        bundle.oci("delete", &[]).succeeds();
        assert_eq!(reap_one(pid), 128 + 9);
        assert_eq!(oci(&["list", "-q"]).succeeds().out, "");
    });
}

#[test]
fn run_detaches_and_keeps_and_cleans_up() {
    alone(|| {
        let bundle = sleeper();
        let out = bundle.oci("run", &["--detach"]).succeeds();
        assert_eq!(out.out, "");
        assert_eq!(status(bundle.name()), "running");
        let pid = state(bundle.name())["pid"].as_i64().expect("a pid") as i32;
        bundle.ended(pid);
        let bundle = shell("exit 5");
        bundle.oci("run", &[]).ends_with(5);
        bundle.oci("state", &[]).fails(&["does not exist"]);
        bundle.oci("run", &["--keep"]).ends_with(5);
        assert_eq!(status(bundle.name()), "stopped");
        bundle.oci("delete", &[]).succeeds();
    });
}

#[test]
fn lists_show_every_container() {
    alone(|| {
        assert_eq!(oci(&["list", "--format=json"]).succeeds().json(), json!([]));
        let (one, two) = (sleeper().id("one"), sleeper().id("two"));
        let pids = [one.created(), two.started()];
        let listed = oci(&["list", "-f", "json"]).succeeds().json();
        let of = |index: usize| {
            (listed[index]["id"].clone(), listed[index]["status"].clone(), listed[index]["pid"].clone())
        };
        assert_eq!(of(0), (json!("one"), json!("created"), json!(pids[0])));
        assert_eq!(of(1), (json!("two"), json!("running"), json!(pids[1])));
        assert_eq!(oci(&["list", "--quiet"]).succeeds().lines(), ["one", "two"]);
        let table = oci(&["list"]).succeeds().out;
        let words: Vec<&str> = table.lines().next().expect("a heading").split_whitespace().collect();
        assert_eq!(words, ["ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER"]);
        assert!(
            table.lines().nth(2).is_some_and(|line| line.contains("two") && line.contains("running")),
            "{table}"
        );
        oci(&["list", "--format", "xml"]).fails(&["--format xml"]);
        one.ended(pids[0]);
        two.ended(pids[1]);
    });
}

#[test]
fn ps_shows_the_processes_as_the_host_sees_them() {
    alone(|| {
        let bundle = shell("sleep 1000 & exec sleep 2000");
        let pid = bundle.started();
        let end = Instant::now() + within(Duration::from_secs(20));
        let pids = loop {
            let pids = bundle.oci("ps", &["--format", "json"]).succeeds().json();
            if pids.as_array().is_some_and(|pids| pids.len() == 2) {
                break pids;
            }
            assert!(Instant::now() < end, "{pids}");
        };
        assert_eq!(pids[0], pid);
        for pid in pids.as_array().expect("a list") {
            assert!(Path::new(&format!("/proc/{pid}")).exists());
        }
        let table = bundle.oci("ps", &[]).succeeds().out;
        assert!(
            table.starts_with("UID") && table.contains("sleep 1000") && table.contains("sleep 2000"),
            "{table}"
        );
        bundle.ended(pid);
    });
}

#[test]
fn kill_all_reaches_every_process() {
    alone(|| {
        let script = "trap 'echo one >> /tmp/got' TERM; (trap 'echo two >> /tmp/got; exit' TERM; echo x > /tmp/up; while :; do \
                      sleep 0.01; done) & while :; do sleep 0.01; done";
        let bundle = shell(script).writable();
        let pid = bundle.started();
        let end = Instant::now() + within(Duration::from_secs(20));
        while !bundle.root().join("tmp/up").exists() {
            assert!(Instant::now() < end, "the program does not run");
            sleep(Duration::from_millis(5));
        }
        bundle.oci("kill", &["--all"]).succeeds();
        let got = || fs::read_to_string(bundle.root().join("tmp/got")).unwrap_or_default();
        while !(got().contains("one") && got().contains("two")) {
            assert!(Instant::now() < end, "{}", got());
            sleep(Duration::from_millis(5));
        }
        bundle.ended(pid);
    });
}

#[test]
fn a_persons_run_leaves_an_engines_container_alone() {
    alone(|| {
        let bundle = sleeper();
        let pid = bundle.started();
        servin(&["run", "--rm", "--rootfs", "host", "--", "/bin/sh", "-c", ":"]).succeeds();
        assert_eq!(status(bundle.name()), "running");
        bundle.ended(pid);
        forget_home();
    });
}

#[test]
fn a_terminal_goes_to_the_console_socket() {
    alone(|| {
        let path = scratch("console");
        let socket = std::os::unix::net::UnixListener::bind(&path).expect("listen");
        let bundle = shell("tty; echo said; sleep 1000").set("/process/terminal", true);
        bundle.oci("create", &[]).fails(&["--console-socket"]);
        bundle.oci("create", &["--console-socket", path.to_str().expect("UTF-8")]).succeeds();
        let (connection, _) = socket.accept().expect("somebody connects");
        let (name, master) = receive_descriptor(&connection);
        assert_eq!(name, "/dev/ptmx");
        bundle.oci("start", &[]).succeeds();
        let mut terminal = Terminal::of(master.into());
        terminal.expect("/dev/pts/0");
        terminal.expect("said");
        let pid = state(bundle.name())["pid"].as_i64().expect("a pid") as i32;
        bundle.ended(pid);
        let bundle = sleeper();
        bundle.oci("create", &["--console-socket", "/tmp/none"]).fails(&["process.terminal is not true"]);
    });
}

#[test]
fn descriptors_are_passed_on_only_if_asked_for() {
    alone(|| {
        fs::write(scratch("third"), "through the third").expect("write a file");
        let with = |flags: &str, id: &str| {
            let bundle = shell("ls /proc/self/fd | wc -l; cat <&3").id(id);
            bundle.command();
            let mut command = Command::new("/bin/sh");
            let line = format!(
                "exec 3<{}; exec {} run {flags} --bundle {} {id}",
                scratch("third").display(),
                servin_run().display(),
                bundle.directory().display()
            );
            command.args(["-c", &line]);
            start(command).finish()
        };
        let out = with("--preserve-fds 1", "kept").succeeds().out;
        assert!(out.ends_with("through the third"), "{out}");
        let out = with("", "closed");
        assert!(out.code != 0 && !out.out.contains("third"), "{out:?}");
        with("--preserve-fds 2", "missing").fails(&["--preserve-fds", "descriptor 4"]);
    });
}

#[test]
fn a_reused_pid_and_another_boot_are_seen_as_stopped() {
    alone(|| {
        for (field, value) in [("start", json!(1)), ("boot", json!("another"))] {
            let bundle = sleeper();
            let pid = bundle.started();
            let path = format!(
                "{}/{}/state.json",
                std::env::var("SERVIN_ROOT").expect("set by the harness"),
                bundle.name()
            );
            let mut record: Value = fs::read_to_string(&path).expect("a record").parse().expect("JSON");
            assert_eq!(record["pid"], pid);
            record[field] = value;
            fs::write(&path, record.to_string()).expect("write the record");
            assert_eq!(status(bundle.name()), "stopped");
            bundle.oci("kill", &[]).fails(&["container not running"]);
            bundle.oci("delete", &["--force"]).succeeds();
            // Another's process, for all that Servin knows: it lives on.
            kill(pid, 0).expect("still there");
            kill(pid, 9).expect("kill it");
            assert_eq!(reap_one(pid), 128 + 9);
        }
    });
}

#[test]
fn whatever_is_killed_leaves_what_can_be_read_and_removed() {
    alone(|| {
        for step in 0..60u64 {
            let bundle = sleeper().id(&format!("killed-{step}"));
            bundle.command();
            let mut command = Command::new(servin_run());
            command.args(["create", "--bundle"]).arg(bundle.directory()).arg(bundle.name());
            let created = start(command);
            sleep(Duration::from_micros(step * 100));
            created.signal(9);
            created.finish();
            let seen = oci(&["state", bundle.name()]);
            if seen.code == 0 {
                let status = seen.json()["status"].as_str().expect("a status").to_string();
                assert!(["creating", "created", "stopped"].contains(&status.as_str()), "{status}");
            } else {
                seen.fails(&["does not exist"]);
            }
            bundle.oci("delete", &["--force"]).succeeds();
            bundle.oci("state", &[]).fails(&["does not exist"]);
        }
        for step in 0..30u64 {
            let bundle = sleeper().id(&format!("start-{step}"));
            let pid = bundle.created();
            let mut command = Command::new(servin_run());
            command.args(["start", bundle.name()]);
            let started = start(command);
            sleep(Duration::from_micros(step * 100));
            started.signal(9);
            started.finish();
            let status = status(bundle.name());
            assert!(["created", "running", "stopped"].contains(&status.as_str()), "{status}");
            bundle.oci("delete", &["--force"]).succeeds();
            reap_one(pid);
        }
    });
}

#[test]
fn two_commands_at_once_do_not_get_in_each_others_way() {
    alone(|| {
        for round in 0..20 {
            let bundle = sleeper().id(&format!("both-{round}"));
            let pid = bundle.created();
            let call = |arguments: &[&str]| {
                let mut command = Command::new(servin_run());
                command.args(arguments);
                start(command)
            };
            let id = bundle.name();
            let commands = [
                &["start", id][..],
                &["start", id],
                &["kill", id, "KILL"],
                &["delete", "--force", id],
                &["state", id],
            ];
            let running: Vec<_> = commands.iter().map(|arguments| call(arguments)).collect();
            let ended: Vec<_> = running.into_iter().map(|command| command.finish()).collect();
            assert_eq!(ended[3].code, 0, "{:?}", ended[3]);
            assert!(ended[0].code != 0 || ended[1].code != 0, "started twice: {ended:?}");
            assert!(
                ended.iter().all(|end| !end.err.contains("panicked") && !end.err.contains("bug")),
                "{ended:?}"
            );
            bundle.oci("state", &[]).fails(&["does not exist"]);
            assert_eq!(reap_one(pid), 128 + 9);
        }
    });
}

#[test]
fn the_version_is_as_engines_read_it() {
    alone(|| {
        let out = oci(&["--version"]).succeeds();
        let lines = out.lines();
        assert!(lines[0].contains(" version "), "{lines:?}");
        assert!(lines[1].starts_with("commit: ") && lines[2].starts_with("spec: 1."), "{lines:?}");
        for command in
            ["create", "start", "run", "state", "kill", "delete", "exec", "list", "ps", "spec", "features"]
        {
            let help = oci(&[command, "--help"]).succeeds().out;
            assert!(help.contains(&format!("usage: servin-run {command}")), "{help}");
        }
        let help = oci(&["--help"]).succeeds().out;
        assert!(help.contains("--systemd-cgroup") && help.contains("  features"), "{help}");
    });
}

#[test]
fn spec_writes_a_configuration_that_runs() {
    alone(|| {
        let directory = scratch("spec");
        let path = directory.to_str().expect("UTF-8");
        for rootless in [false, true] {
            fs::create_dir_all(&directory).expect("make a directory");
            oci(&["spec", "--bundle", path, if rootless { "--rootless" } else { "--rootless=false" }])
                .succeeds();
            let text = fs::read_to_string(directory.join("config.json")).expect("a configuration");
            let config: Value = text.parse().expect("JSON");
            let kinds = config["linux"]["namespaces"].to_string();
            assert_eq!(kinds.contains("user"), rootless, "{kinds}");
            assert_eq!(config["process"]["args"], json!(["sh"]));
            oci(&["spec", "--bundle", path]).fails(&["exists"]);
            let mut bundle = Bundle::of("busybox");
            *bundle.config() = config;
            let bundle = bundle.set("/process/terminal", false).args(&["id", "-u"]);
            let bundle = if rootless { bundle } else { bundle.without("/linux/resources") };
            assert_eq!(bundle.run().succeeds().out, "0\n");
            fs::remove_dir_all(&directory).expect("remove the directory");
        }
    });
}

#[test]
fn the_features_are_complete_json() {
    alone(|| {
        let features = oci(&["features"]).succeeds().json();
        assert_eq!(features["ociVersionMin"], "1.0.0");
        assert_eq!(features["hooks"].as_array().map(Vec::len), Some(6));
        let has = |pointer: &str, word: &str| {
            features
                .pointer(pointer)
                .and_then(Value::as_array)
                .is_some_and(|list| list.contains(&json!(word)))
        };
        assert!(has("/mountOptions", "rro") && has("/linux/namespaces", "time"));
        assert!(
            has("/linux/capabilities", "CAP_SYS_ADMIN") && has("/linux/seccomp/actions", "SCMP_ACT_NOTIFY")
        );
        assert!(has("/linux/seccomp/operators", "SCMP_CMP_MASKED_EQ"));
        assert_eq!(features["linux"]["seccomp"]["enabled"], true);
    });
}
