//! What people type: `servin run`, `servin check`.

use std::fs;
use std::os::unix::fs::symlink;
use std::process::{Command, Stdio};

use serde_json::json;
use servin_tests::{
    Bundle, DOCKERS_CAPABILITIES, People, Terminal, alone, bring_up_loopback, scratch, servin,
    servin_program, servin_run, skip, start,
};

#[test]
fn a_program_runs_behind_the_init() {
    alone(|| {
        let seen = People::new().report();
        assert_eq!((&seen["pid"], &seen["ppid"]), (&2.into(), &1.into()));
        let seen = People::new().flags(&["--init=true"]).report();
        assert_eq!(seen["pid"], 2);
    });
}

#[test]
fn without_the_init_the_program_is_pid_1() {
    alone(|| assert_eq!(People::new().flags(&["--init=false"]).report()["pid"], 1));
}

#[test]
fn every_namespace_but_the_users_is_new() {
    alone(|| {
        let seen = People::new().report();
        for (kind, new) in [
            ("pid", true),
            ("mnt", true),
            ("net", true),
            ("ipc", true),
            ("uts", true),
            ("cgroup", true),
            ("user", false),
        ] {
            let own = fs::read_link(format!("/proc/self/ns/{kind}"))
                .expect("read a namespace's link")
                .display()
                .to_string();
            assert_eq!(own != format!("{kind}:[{}]", seen.namespace(kind)), new, "{kind}");
        }
        assert_eq!(seen["interfaces"]["lo"]["up"], true);
    });
}

#[test]
fn the_capabilities_are_dockers_fourteen() {
    alone(|| {
        let fourteen = json!(DOCKERS_CAPABILITIES);
        let seen = People::new().report();
        for set in ["bounding", "effective", "permitted"] {
            assert_eq!(seen["capabilities"][set], fourteen, "{set}");
        }
        assert_eq!(
            (&seen["capabilities"]["inheritable"], &seen["capabilities"]["ambient"]),
            (&json!([]), &json!([]))
        );
    });
}

#[test]
fn capabilities_are_dropped_and_added_by_name() {
    alone(|| {
        let effective =
            |flags: &[&str]| People::new().flags(flags).report()["capabilities"]["effective"].clone();
        assert_eq!(effective(&["--cap-drop", "ALL"]), json!([]));
        assert_eq!(
            effective(&["--cap-drop", "ALL", "--cap-add", "NET_BIND_SERVICE"]),
            json!(["CAP_NET_BIND_SERVICE"])
        );
        assert_eq!(
            effective(&["--cap-drop=ALL", "--cap-add=CAP_CHOWN", "--cap-add=kill"]),
            json!(["CAP_CHOWN", "CAP_KILL"])
        );
        let seen = People::new().flags(&["--cap-drop", "MKNOD", "--cap-add", "SYS_TIME"]).report();
        assert!(
            !seen.has_capability("effective", "CAP_MKNOD")
                && seen.has_capability("effective", "CAP_SYS_TIME")
        );
    });
}

#[test]
fn a_capability_that_nobody_knows_is_refused() {
    alone(|| {
        for flag in ["--cap-add", "--cap-drop"] {
            People::new().flags(&[flag, "FLY"]).run(&["/bin/probe", "report"]).ends_with(125).fails(&["FLY"]);
        }
    });
}

#[test]
fn dockers_paths_are_masked_or_read_only() {
    alone(|| {
        let seen = People::new().report();
        for path in ["/proc/sys", "/proc/sysrq-trigger", "/proc/irq", "/proc/bus", "/proc/fs"] {
            if fs::exists(path).unwrap_or(false) {
                assert!(seen.mounted_with(path, "ro"), "{path}");
            }
        }
        for path in
            ["/proc/kcore", "/proc/keys", "/proc/timer_list", "/proc/acpi", "/proc/scsi", "/sys/firmware"]
        {
            if fs::exists(path).unwrap_or(false) {
                assert!(
                    ["tmpfs", "devtmpfs"].iter().any(|kind| seen.mount(path)["type"] == *kind),
                    "{}",
                    seen.mount(path)
                );
            }
        }
        assert!(seen.mounted_with("/sys", "ro"));
    });
}

#[test]
fn the_environment_has_a_path_a_home_a_hostname_and_what_was_given() {
    alone(|| {
        let seen = People::new()
            .flags(&["-e", "K=V", "--env", "EMPTY=", "-e=A=b=c", "--hostname", "named"])
            .report();
        assert!(seen.has_env("K=V") && seen.has_env("EMPTY=") && seen.has_env("A=b=c"), "{}", seen["env"]);
        assert_eq!(seen.env("PATH"), Some("/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"));
        assert!(seen.env("HOME").is_some(), "{}", seen["env"]);
        assert_eq!(seen.env("HOSTNAME"), Some("named"));
    });
}

#[test]
fn a_variable_without_a_value_takes_the_callers() {
    alone(|| {
        let mut command = People::new()
            .flags(&["-e", "FROM_CALLER", "-e", "NOT_SET_ANYWHERE"])
            .command(&["/bin/probe", "report"]);
        command.env("FROM_CALLER", "here");
        let seen = start(command).finish().report();
        assert_eq!(seen.env("FROM_CALLER"), Some("here"));
        assert_eq!(seen.env("NOT_SET_ANYWHERE"), None);
    });
}

#[test]
fn the_working_directory_is_made() {
    alone(|| {
        let people = People::new().flags(&["-w", "/app/deep"]);
        assert_eq!(people.report()["cwd"], "/app/deep");
        assert_eq!(People::new().report()["cwd"], "/");
        assert_eq!(People::new().flags(&["--workdir=/tmp"]).report()["cwd"], "/tmp");
    });
}

#[test]
fn the_hostname_is_the_flags_and_otherwise_the_containers_own() {
    alone(|| {
        assert_eq!(People::new().flags(&["--hostname", "h"]).report()["hostname"], "h");
        assert_eq!(People::new().flags(&["-h", "short"]).report()["hostname"], "short");
        let own = fs::read_to_string("/proc/sys/kernel/hostname").expect("read the host's name");
        let name = People::new().report()["hostname"].as_str().unwrap_or_default().to_string();
        assert!(!name.is_empty() && name != own.trim(), "{name}");
    });
}

#[test]
fn the_user_is_a_number_or_two() {
    alone(|| {
        let ids = |user: &str| {
            let seen = People::new().flags(&["-u", user]).report();
            (seen["uid"]["real"].clone(), seen["gid"]["real"].clone())
        };
        assert_eq!(ids("1000:1001"), (1000.into(), 1001.into()));
        assert_eq!(ids("1000").0, 1000);
        assert_eq!(ids("0:0"), (0.into(), 0.into()));
    });
}

#[test]
fn the_user_may_be_a_name_of_the_containers_passwd() {
    alone(|| {
        let run = People::of("busybox").flags(&["-u", "app"]).run(&["/bin/probe", "report"]);
        if run.code == 125 {
            skip!("names come with a later issue: {}", run.err.trim());
        }
        let seen = run.report();
        assert_eq!((&seen["uid"]["real"], &seen["gid"]["real"]), (&1000.into(), &1000.into()));
        assert_eq!(seen.env("HOME"), Some("/home/app"));
    });
}

#[test]
fn volumes_are_bound() {
    alone(|| {
        let source = scratch("volume");
        fs::create_dir_all(&source).expect("make a directory");
        fs::write(source.join("file"), "from the host").expect("write a file");
        let volume = |rest: &str| format!("{}:{rest}", source.display());
        let run = |flag: &str| {
            People::new().flags(&["-v", flag]).run(&[
                "/bin/probe",
                "both",
                "read",
                "/dst/file",
                ",",
                "try-create",
                "/dst/new",
            ])
        };
        assert_eq!(run(&volume("/dst:ro")).out, "from the hostEROFS\n");
        assert!(!source.join("new").exists());
        assert_eq!(run(&volume("/dst")).out, "from the hostok\n");
        assert!(source.join("new").exists());
        assert_eq!(run(&volume("/dst:rw")).out, "from the hostEEXIST\n");
    });
}

#[test]
fn a_volume_that_is_malformed_is_refused() {
    alone(|| {
        for volume in
            ["", ":", "/src:", ":/dst", "/tmp:dst", "/tmp:/dst:wrong", "/tmp:/dst:ro:more", "/tmp:/dst:"]
        {
            let run = People::new().flags(&["-v", volume]).run(&["/bin/probe", "report"]);
            assert_eq!(run.code, 125, "{volume:?}: {}", run.err);
        }
    });
}

#[test]
fn a_tmpfs_is_mounted() {
    alone(|| {
        let seen = People::new().flags(&["--tmpfs", "/scratch"]).report();
        assert_eq!(seen.mount("/scratch")["type"], "tmpfs");
        let seen = People::new().flags(&["--tmpfs", "/scratch:size=64k,mode=700"]).report();
        assert!(seen.mounted_with("/scratch", "size=64k") && seen.mounted_with("/scratch", "mode=700"));
    });
}

#[test]
fn a_read_only_root_keeps_its_tmpfs_writable() {
    alone(|| {
        let people = People::new().flags(&["--read-only", "--tmpfs", "/tmp"]);
        let run = people.run(&["/bin/probe", "try-create", "/new", "/tmp/new"]);
        assert_eq!(run.lines(), ["EROFS", "ok"]);
    });
}

#[test]
fn standard_input_is_empty_unless_it_was_asked_for() {
    alone(|| {
        let typed = |flags: &[&str]| {
            let mut command = People::new().flags(flags).command(&["/bin/probe", "read", "/proc/self/fd/0"]);
            command.stdin(Stdio::piped());
            let mut running = start(command);
            running.type_in("typed");
            running.end_input();
            running.finish().succeeds().out
        };
        assert_eq!(typed(&["-i"]), "typed");
        assert_eq!(typed(&[]), "");
    });
}

#[test]
fn a_terminal_is_given_when_it_was_asked_for() {
    alone(|| {
        let people = People::new().flags(&["-it"]);
        let mut terminal = Terminal::new(33, 99).start(people.command(&["/bin/probe", "echo-tty"]));
        terminal
            .expect("ready size 33 99")
            .type_in("hello\r")
            .expect("got hello")
            .resize(20, 70)
            .expect("size 20 70");
        terminal.type_in("\x04").finish().succeeds();
        let people = People::new().flags(&["-i", "-t", "--network", "none"]);
        let seen = Terminal::new(33, 99).start(people.command(&["/bin/probe", "report"])).finish().report();
        assert_eq!(
            (&seen["terminal"]["controlling"], &seen["terminal"]["foreground"]),
            (&true.into(), &true.into())
        );
        assert!(seen.env("TERM").is_some());
    });
}

#[test]
fn control_c_reaches_the_program_behind_the_init() {
    alone(|| {
        let people = People::new().flags(&["-it"]);
        let mut terminal = Terminal::new(24, 80).start(people.command(&["/bin/probe", "sleep"]));
        terminal.expect("ready").type_in("\x03");
        terminal.finish().ends_with(130);
    });
}

#[test]
fn exit_codes_are_the_programs_or_as_docker_has_them() {
    alone(|| {
        let run = |program: &[&str]| People::new().run(program);
        run(&["/bin/probe", "exit", "7"]).ends_with(7);
        run(&["/bin/probe", "signal-self", "15"]).ends_with(143);
        run(&["/bin/probe", "signal-self", "9"]).ends_with(137);
        run(&["/bin/nothing"]).ends_with(127).fails(&["/bin/nothing"]);
        run(&["nothing"]).ends_with(127).fails(&["nothing"]);
        run(&["/etc"]).ends_with(126).fails(&["/etc"]);
        People::new().flags(&["--nonsense"]).run(&["/bin/probe"]).ends_with(125).fails(&["--nonsense"]);
        servin(&["run", "--rm", "--rootfs", "/nowhere", "--", "/bin/true"])
            .ends_with(125)
            .fails(&["/nowhere"]);
    });
}

#[test]
fn a_program_is_found_in_the_path() {
    alone(|| assert_eq!(People::new().run(&["probe", "report"]).report()["exe"], "/bin/probe"));
}

#[test]
fn the_words_after_the_program_are_its_own() {
    alone(|| {
        let seen =
            People::new().run(&["/bin/probe", "report", "--hostname", "x", "-e", "--", "-it"]).report();
        assert_eq!(seen["argv"], json!(["/bin/probe", "report", "--hostname", "x", "-e", "--", "-it"]));
        // Without `--` the first word that is no flag is the program.
        let root = People::new().root();
        let root = root.to_str().expect("a path of ours");
        let seen = servin(&["run", "--rm", "--rootfs", root, "/bin/probe", "report", "-e", "x"]).report();
        assert_eq!(seen["argv"], json!(["/bin/probe", "report", "-e", "x"]));
    });
}

#[test]
fn a_run_without_a_program_or_a_root_says_what_to_type() {
    alone(|| {
        let root = People::new().root();
        servin(&["run", "--rm", "--rootfs", root.to_str().expect("a path of ours")])
            .ends_with(125)
            .fails(&["run"]);
        servin(&["run"]).ends_with(125).fails(&["servin run"]);
        let alone = servin(&[]);
        assert!(alone.code != 0 && (alone.out + &alone.err).contains(" run"));
        servin(&["rnu"]).fails(&["run"]);
    });
}

#[test]
fn malformed_flags_are_refused() {
    alone(|| {
        for flags in [
            &["-u", "x:y:z"][..],
            &["-u", ""],
            &["-w", "relative"],
            &["-w", ""],
            &["--init=maybe"],
            &["-e", ""],
            &["-e", "=x"],
            &["--tmpfs", "relative"],
            &["--read-only=perhaps"],
        ] {
            let run = People::new().flags(flags).run(&["/bin/probe", "report"]);
            assert_eq!(run.code, 125, "{flags:?}: {}", run.err);
        }
    });
}

#[test]
fn a_plan_is_printed_and_nothing_is_done() {
    alone(|| {
        let people = People::new().flags(&[
            "--plan",
            "-v",
            "/tmp:/from/host:ro",
            "--tmpfs",
            "/scratch",
            "-w",
            "/made",
            "--hostname",
            "planned",
        ]);
        let root = people.root();
        let run = people.run(&["/bin/probe", "write", "/ran", "x"]).succeeds();
        for word in ["proc", "/from/host", "/scratch", "planned", "CHOWN", "/bin/probe", "clone", "pid"] {
            assert!(run.out.contains(word), "no {word:?} in the plan:\n{}", run.out);
        }
        for name in ["ran", "made", "scratch", "from", "dev/null"] {
            assert!(!root.join(name).exists(), "{name} was made");
        }
    });
}

#[test]
fn a_trace_shows_each_step_with_its_microseconds() {
    alone(|| {
        let run = People::new().flags(&["--trace"]).run(&["/bin/probe", "exit", "0"]).succeeds();
        assert_eq!(run.out, "");
        let steps = run.err.lines().filter(|line| {
            line.split_whitespace()
                .any(|word| word.trim_end_matches("µs").trim_end_matches("us").parse::<f64>().is_ok())
        });
        assert!(steps.count() >= 8, "{}", run.err);
        for word in ["clone", "/proc", "pivot_root"] {
            assert!(run.err.contains(word), "no {word:?} in the trace:\n{}", run.err);
        }
    });
}

#[test]
fn check_says_what_the_host_offers() {
    alone(|| {
        let run = servin(&["check"]).succeeds();
        let text = run.out.to_lowercase();
        for word in [
            "pid",
            "mount",
            "net",
            "ipc",
            "uts",
            "user",
            "cgroup",
            "time",
            "overlay",
            "nftables",
            "seccomp",
            "openat2",
            "veth",
            "bridge",
            "squashfs",
            "erofs",
            "loop",
            "terminals",
            "newuidmap",
            "pasta",
            "ipv6",
        ] {
            assert!(text.contains(word), "no {word:?} in:\n{}", run.out);
        }
        // What is missing is named.
        for line in run.out.lines().filter(|line| line.contains(" no: ")) {
            assert!(line.trim_end().len() > line.find(" no: ").expect("no") + 6, "{line}");
        }
        // It says what the kernel does: networks of this host are made of such interfaces.
        let there = |kind: &str| {
            let mut ip = Command::new("ip");
            start({
                ip.args(["link", "add", "servin-try", "type", kind]);
                ip
            })
            .finish()
            .code
                == 0
        };
        for kind in ["bridge", "veth"] {
            let said = run
                .out
                .lines()
                .any(|line| line.starts_with(&format!("{kind} interfaces")) && line.ends_with("yes"));
            assert_eq!(said, there(kind), "{kind}");
            let mut ip = Command::new("ip");
            ip.args(["link", "del", "servin-try"]);
            start(ip).finish();
        }
    });
}

#[test]
fn version_and_help_fit_a_screen() {
    alone(|| {
        assert!(servin(&["--version"]).succeeds().out.starts_with("servin version "));
        for help in [&["--help"][..], &["run", "--help"], &["help"]] {
            let run = servin(help).succeeds();
            assert!(run.out.contains("run") && run.lines().len() <= 60, "{}", run.out);
            assert!(run.lines().iter().all(|line| line.chars().count() <= 100), "{}", run.out);
        }
    });
}

#[test]
fn the_hosts_own_programs_make_a_root() {
    alone(|| {
        let run =
            servin(&["run", "--rm", "--rootfs", "host", "--", "/bin/sh", "-c", "echo Hello from container"])
                .succeeds();
        assert_eq!(run.out, "Hello from container\n");
        let script = "id -u && ls / >/dev/null && cat /etc/passwd | head -1 && echo pid $$";
        let run = servin(&["run", "--rm", "--rootfs", "host", "--", "/bin/sh", "-c", script]).succeeds();
        assert_eq!(run.lines().first(), Some(&"0"));
        assert!(run.out.contains("root:") && run.out.contains("pid 2"), "{}", run.out);
        servin_tests::forget_home();
    });
}

#[test]
fn a_root_made_of_the_hosts_programs_is_not_the_host() {
    alone(|| {
        let script =
            "echo changed > /etc/passwd; rm -f /bin/ls; touch /new; test ! -e /tmp/servin-tests/victim";
        let before = fs::read("/etc/passwd").expect("read the host's passwd");
        servin(&["run", "--rm", "--rootfs", "host", "--", "/bin/sh", "-c", script]).succeeds();
        assert!(fs::read("/etc/passwd").expect("read the host's passwd") == before);
        // And the next one starts afresh.
        let run = servin(&[
            "run",
            "--rm",
            "--rootfs",
            "host",
            "--",
            "/bin/sh",
            "-c",
            "test ! -e /new && ls / > /dev/null && head -1 /etc/passwd",
        ]);
        assert!(run.succeeds().out.contains("root:"));
        servin_tests::forget_home();
    });
}

#[test]
fn the_name_decides_the_language() {
    alone(|| {
        let bundle = Bundle::new().probe(&["exit", "9"]);
        let oci = bundle.command();
        for name in ["runc", "crun", "anything"] {
            let link = scratch(&format!("names/{name}"));
            symlink(servin_run(), &link).expect("make a link");
            let mut command = Command::new(&link);
            command.args(oci.get_args()).stdin(Stdio::null());
            start(command).finish().ends_with(9);
        }
        let mut command = Command::new(servin_program());
        command.arg("oci").args(oci.get_args()).stdin(Stdio::null());
        start(command).finish().ends_with(9);
    });
}

#[test]
fn a_persons_command_at_the_oci_name_is_told_what_to_type() {
    alone(|| {
        let mut command = Command::new(servin_run());
        command.args(["run", "--rootfs", "/", "--", "/bin/true"]);
        start(command).finish().fails(&["servin run"]);
    });
}

#[test]
fn the_host_network_is_not_the_containers() {
    alone(|| {
        bring_up_loopback().expect("bring lo up");
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("listen");
        let port = listener.local_addr().expect("an address").port();
        let run = People::new().run(&["/bin/probe", "read", "/proc/net/tcp"]).succeeds();
        assert!(!run.out.contains(&format!(":{port:04X}")), "{}", run.out);
    });
}

#[test]
fn variables_of_ours_are_passed_on_and_left_out() {
    alone(|| {
        let env = |flags: &[&str]| {
            let mut command = People::new().flags(flags).command(&["/bin/probe", "report"]);
            command.env_clear().env("OURS", "ours").env("PATH", "/bin");
            start(command).finish().report()["env"].to_string()
        };
        assert!(!env(&[]).contains("ours"));
        let all = env(&["--env-host", "--unsetenv", "HOME"]);
        assert!(all.contains("ours") && !all.contains("HOME"), "{all}");
        let bare = env(&["--unsetenv-all", "-e", "A=b"]);
        assert!(bare.contains("A") && !bare.contains("PATH"), "{bare}");
    });
}

#[test]
fn a_name_is_taken_over_and_the_pid_is_written_down() {
    alone(|| {
        let first = People::of("busybox").detached("box", &["/bin/sleep", "1000"]);
        let file = scratch("box.pid");
        let flags = ["--replace", "--pidfile", file.to_str().expect("UTF-8"), "--no-hosts"];
        let second = People::of("busybox").flags(&flags).detached("box", &["/bin/sleep", "1000"]);
        assert_ne!(first, second);
        let listed = servin(&["ps", "-aq", "--no-trunc"]).succeeds().out;
        assert_eq!(listed.trim(), second);
        let pid = servin(&["inspect", "-f", "{{.State.Pid}}", "box"]).succeeds().out;
        assert_eq!(fs::read_to_string(&file).expect("a pid"), pid.trim());
        let mounts = fs::read_to_string(format!("/proc/{}/mountinfo", pid.trim())).expect("mountinfo");
        assert!(!mounts.contains(" /etc/hosts ") && mounts.contains(" /etc/resolv.conf "), "{mounts}");
        People::new()
            .flags(&["--replace"])
            .run(&["/bin/probe"])
            .ends_with(125)
            .fails(&["--replace", "--name"]);
        servin(&["rm", "-f", "box"]).succeeds();
        servin_tests::forget_home();
    });
}
