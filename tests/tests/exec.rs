//! `exec`: one more process in a container.

use std::fs;
use std::os::unix::net::UnixListener;
use std::process::{Command, Stdio};
use std::thread;

use serde_json::json;
use servin_tests::{Bundle, Terminal, alone, oci, reap_one, receive_descriptor, scratch, servin_run, start};

fn sleeper() -> Bundle {
    Bundle::of("busybox").args(&["/bin/sleep", "1000"]).writable()
}

/// The links of /proc/PID/ns, as a process of that PID namespace sees them.
fn namespaces(pid: i32) -> Vec<String> {
    let link = |kind: &&str| fs::read_link(format!("/proc/{pid}/ns/{kind}")).expect("a link");
    let kinds = ["cgroup", "ipc", "mnt", "net", "pid", "time", "user", "uts"];
    kinds.iter().map(|kind| link(kind).display().to_string()).collect()
}

#[test]
fn the_process_is_in_all_namespaces_of_the_container() {
    alone(|| {
        for bundle in [sleeper(), sleeper().mapped(100_000, 65_536), sleeper().namespace("time", None)] {
            let pid = bundle.started();
            let script = "for k in cgroup ipc mnt net pid time user uts; do readlink /proc/self/ns/$k; done; echo $$ $PPID";
            let out = bundle.exec(&[], &["sh", "-c", script]).succeeds();
            let lines = out.lines();
            assert_eq!(&lines[..8], namespaces(pid), "{out:?}");
            assert_ne!(namespaces(pid)[2], namespaces(1)[2]);
            // Its parent is outside.
            assert!(lines[8].ends_with(" 0"), "{lines:?}");
            bundle.ended(pid);
        }
    });
}

#[test]
fn its_exit_code_becomes_ours() {
    alone(|| {
        let bundle = sleeper();
        let pid = bundle.started();
        for code in [0, 1, 42, 255] {
            bundle.exec(&[], &["sh", "-c", &format!("exit {code}")]).ends_with(code);
        }
        bundle.exec(&[], &["sh", "-c", "kill -TERM $$"]).ends_with(128 + 15);
        let missing = bundle.exec(&[], &["nosuch"]).ends_with(127);
        assert!(missing.err.contains("exec: \"nosuch\": executable file not found in $PATH"), "{missing:?}");
        let denied = bundle.exec(&[], &["/etc/passwd"]).ends_with(126);
        assert!(denied.err.contains("permission denied"), "{denied:?}");
        bundle.ended(pid);
    });
}

#[test]
fn flags_change_what_the_containers_process_is_like() {
    alone(|| {
        let bundle = sleeper();
        let pid = bundle.started();
        let says = |flags: &[&str], script: &str| bundle.exec(flags, &["sh", "-c", script]).succeeds().out;
        assert_eq!(
            says(&[], "pwd; echo $PATH"),
            format!("/\n{}\n", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
        );
        assert_eq!(says(&["--env", "A=b c", "-e", "D=e"], "echo \"$A-$D\""), "b c-e\n");
        assert_eq!(says(&["--cwd", "/tmp"], "pwd"), "/tmp\n");
        assert_eq!(says(&["--user", "1000:1001"], "id -u; id -g"), "1000\n1001\n");
        assert_eq!(says(&["-u", "1000", "-g", "7", "--additional-gids=8"], "id -G").trim(), "0 7 8");
        let effective = |flags: &[&str]| {
            let text = says(flags, "grep CapEff /proc/self/status");
            u64::from_str_radix(text.split_whitespace().nth(1).expect("a number"), 16).expect("hexadecimal")
        };
        assert_eq!(effective(&["--cap", "CAP_CHOWN"]), effective(&[]) | 1);
        assert_eq!(says(&["--no-new-privs"], "grep NoNewPrivs /proc/self/status"), "NoNewPrivs:\t1\n");
        bundle.exec(&["--user", "a"], &["true"]).fails(&["--user a"]);
        bundle
            .exec(&["--cap", "CAP_NONE"], &["true"])
            .fails(&["--cap CAP_NONE: there is no such capability"]);
        bundle.exec(&["--cwd", "relative"], &["true"]).fails(&["process.cwd"]);
        bundle.exec(&["--nosuch"], &["true"]).fails(&["--nosuch"]);
        bundle.exec(&[], &[]).fails(&["a program to run is missing"]);
        // What follows the program is the program's.
        assert_eq!(bundle.exec(&[], &["echo", "--tty", "-e"]).succeeds().out, "--tty -e\n");
        bundle.ended(pid);
    });
}

#[test]
fn a_file_says_everything_about_the_process() {
    alone(|| {
        let bundle = sleeper();
        let pid = bundle.started();
        let file = scratch("process.json");
        let path = file.to_str().expect("UTF-8");
        let process = json!({
            "args": ["sh", "-c", "echo $A; pwd; id -u; ulimit -n; umask; grep CapEff /proc/self/status"],
            "env": ["A=of the file", "PATH=/bin"], "cwd": "/tmp",
            "user": { "uid": 7, "gid": 8, "umask": 63 },
            "rlimits": [{ "type": "RLIMIT_NOFILE", "soft": 64, "hard": 64 }],
            "noNewPrivileges": true,
        });
        fs::write(&file, process.to_string()).expect("write a file");
        let out = bundle.exec(&["--process", path], &[]).succeeds();
        assert_eq!(out.lines(), ["of the file", "/tmp", "7", "64", "0077", "CapEff:\t0000000000000000"]);
        fs::write(&file, "{").expect("write a file");
        bundle.exec(&["--process", path], &[]).fails(&[path, "not valid JSON"]);
        fs::write(&file, json!({ "cwd": "/", "user": { "uid": 0, "gid": 0 }, "args": [] }).to_string())
            .expect("write");
        bundle.exec(&["--process", path], &[]).fails(&["process.args"]);
        bundle.exec(&["--process", "/nosuch"], &[]).fails(&["/nosuch", "no such file or directory"]);
        bundle.ended(pid);
    });
}

#[test]
fn it_stays_on_the_processors_that_its_process_says() {
    alone(|| {
        let bundle = sleeper();
        let pid = bundle.started();
        let file = scratch("process.json");
        let allowed = |affinity: serde_json::Value| {
            let process = json!({
                "args": ["grep", "Cpus_allowed_list", "/proc/self/status"], "env": ["PATH=/bin"], "cwd": "/",
                "user": { "uid": 0, "gid": 0 }, "execCPUAffinity": affinity,
            });
            fs::write(&file, process.to_string()).expect("write a file");
            bundle.exec(&["--process", file.to_str().expect("UTF-8")], &[])
        };
        for affinity in
            [json!({ "initial": "0" }), json!({ "initial": "1", "final": "0" }), json!({ "final": "0" })]
        {
            let out = allowed(affinity.clone()).succeeds().out;
            assert_eq!(out.split_whitespace().last(), Some("0"), "{affinity}");
        }
        allowed(json!({ "final": "x" })).fails(&["process.execCPUAffinity.final"]);
        allowed(json!({ "final": "9999" })).fails(&["process.execCPUAffinity", "invalid argument"]);
        bundle.ended(pid);
    });
}

#[test]
fn a_detached_process_is_left_to_the_caller() {
    alone(|| {
        let bundle = sleeper();
        let pid = bundle.started();
        // Many at once: who says the pid must be waited for however slow it is.
        thread::scope(|scope| {
            for number in 0..4 {
                let bundle = &bundle;
                scope.spawn(move || {
                    let file = scratch(&format!("exec.pid.{number}"));
                    let flags = ["--detach", "--pid-file", file.to_str().expect("UTF-8")];
                    for _ in 0..8 {
                        bundle.exec(&flags, &["sh", "-c", "exit 9"]).succeeds();
                        let detached = fs::read_to_string(&file).expect("a pid file");
                        assert_eq!(reap_one(detached.parse().expect("a pid and nothing else")), 9);
                    }
                });
            }
        });
        bundle.ended(pid);
    });
}

#[test]
fn standard_streams_are_the_callers() {
    alone(|| {
        let bundle = sleeper();
        let pid = bundle.started();
        let mut command = Command::new(servin_run());
        command.args(["exec", bundle.name(), "sh", "-c", "cat; echo error >&2"]).stdin(Stdio::piped());
        let mut running = start(command);
        running.type_in("typed\n");
        running.says("typed");
        running.end_input();
        let out = running.finish().succeeds();
        assert_eq!((out.out.as_str(), out.err.as_str()), ("typed\n", "error\n"));
        bundle.ended(pid);
    });
}

#[test]
fn a_terminal_is_relayed_or_handed_over() {
    alone(|| {
        let bundle = sleeper();
        let pid = bundle.started();
        let mut command = Command::new(servin_run());
        command.args(["exec", "--tty", bundle.name(), "sh", "-c", "tty; stty size; exit 3"]);
        let out = Terminal::new(41, 101).start(command).finish().ends_with(3);
        assert!(out.out.contains("/dev/pts/0") && out.out.contains("41 101"), "{out:?}");

        let path = scratch("console");
        let socket = UnixListener::bind(&path).expect("listen");
        let console = ["--console-socket", path.to_str().expect("UTF-8")];
        bundle.exec(&["--tty", "--detach"], &["true"]).fails(&["--console-socket"]);
        let pid_file = scratch("exec.pid");
        let flags =
            ["--tty", "--detach", "--pid-file", pid_file.to_str().expect("UTF-8"), console[0], console[1]];
        bundle.exec(&flags, &["sh", "-c", "echo said; read line; echo got $line"]).succeeds();
        let (connection, _) = socket.accept().expect("somebody connects");
        let (_, master) = receive_descriptor(&connection);
        let mut terminal = Terminal::of(master.into());
        terminal.expect("said");
        terminal.type_in("hello\n");
        terminal.expect("got hello");
        // An orphan, whose namespace does not end before somebody has waited for it.
        let other = fs::read_to_string(&pid_file).expect("a pid file");
        assert_eq!(reap_one(other.parse().expect("a pid and nothing else")), 0);
        bundle.ended(pid);
    });
}

#[test]
fn a_created_container_can_be_entered_and_a_stopped_one_not() {
    alone(|| {
        let bundle = sleeper();
        let pid = bundle.created();
        assert_eq!(bundle.exec(&[], &["echo", "inside"]).succeeds().out, "inside\n");
        oci(&["kill", bundle.name(), "KILL"]).succeeds();
        reap_one(pid);
        bundle.exec(&[], &["true"]).fails(&["container not running"]);
        bundle.oci("delete", &[]).succeeds();
        bundle.exec(&[], &["true"]).fails(&["does not exist"]);
    });
}

#[test]
fn nothing_of_the_host_comes_in_with_the_process() {
    alone(|| {
        let bundle = sleeper();
        let pid = bundle.started();
        // CVE-2024-21626: a working directory by way of a descriptor that leads outside.
        for number in 3..20 {
            let cwd = format!("/proc/self/fd/{number}");
            let out = bundle.exec(&["--cwd", &cwd], &["pwd"]);
            assert_ne!(out.code, 0, "{out:?}");
        }
        // Only the three, and what ls opens itself.
        let out = bundle.exec(&[], &["sh", "-c", "ls /proc/self/fd"]).succeeds();
        assert_eq!(out.lines(), ["0", "1", "2", "3"]);
        // CVE-2019-5736: the program that entered is no file of the host.
        let out = bundle.exec(&[], &["sh", "-c", "readlink /proc/self/exe"]).succeeds();
        assert!(out.out.starts_with("/bin/"), "{out:?}");
        bundle.ended(pid);
    });
}

#[test]
fn a_process_of_the_container_never_sees_a_program_of_the_host() {
    alone(|| {
        // It looks at every new process until it has seen twenty, and notes what their programs are.
        let script = "mkdir /tmp/seen; n=0; while [ $n -lt 2000 ]; do for p in /proc/[0-9]*; do \
                      e=$(readlink $p/exe 2>/dev/null) && echo \"$e\" >> /tmp/seen/exe; done; n=$((n+1)); done";
        let bundle = Bundle::of("busybox").args(&["/bin/sh", "-c", script]).writable();
        let pid = bundle.started();
        for _ in 0..30 {
            bundle.exec(&[], &["true"]).succeeds();
        }
        let seen = fs::read_to_string(bundle.root().join("tmp/seen/exe")).unwrap_or_default();
        for line in seen.lines() {
            assert!(line.starts_with("/bin/") || line.contains("memfd:"), "{line}");
        }
        assert!(seen.contains("/bin/"), "the container has looked at nothing");
        bundle.ended(pid);
    });
}

#[test]
fn the_container_is_entered_whatever_the_kernel_lacks() {
    alone(|| {
        let bundle = sleeper();
        let pid = bundle.started();
        for refused in ["pidfd_open,pidfd_send_signal", "openat2", "clone3"] {
            let mut command = Command::new(servin_tests::probe());
            command.args(["refuse", refused, "--"]).arg(servin_run());
            command.args(["exec", bundle.name(), "hostname"]).stdin(Stdio::null());
            assert_eq!(
                start(command).finish().succeeds().out,
                bundle.exec(&[], &["hostname"]).out,
                "{refused}"
            );
        }
        bundle.ended(pid);
    });
}
