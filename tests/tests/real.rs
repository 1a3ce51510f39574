//! Programs that nobody here wrote: busybox, Debian with apt and dpkg, Python, daemons.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::process::CommandExt;
use std::process::Command;

use serde_json::json;
use servin_tests::{
    Bundle, DOCKERS_CAPABILITIES, People, Terminal, alone, bring_up_loopback, debian_root, kill, skip, start,
};

fn busybox(script: &str) -> Bundle {
    Bundle::of("busybox").args(&["sh", "-c", script])
}

#[test]
fn a_shell_runs_a_script() {
    alone(|| {
        let run = busybox(
            "echo pid $$; for i in 1 2 3; do echo $i; done | sort -r | head -1; uname -n; pwd; exit 5",
        )
        .run();
        assert_eq!(run.ends_with(5).lines(), ["pid 1", "3", "runc", "/"]);
    });
}

#[test]
fn a_shell_starts_and_waits_for_many_processes() {
    alone(|| {
        let run =
            busybox("for i in $(seq 1 200); do true & done; wait; ps | grep -c defunct; echo done").run();
        assert!(run.succeeds().out.ends_with("done\n"));
    });
}

#[test]
fn a_shell_is_interactive_in_a_terminal() {
    alone(|| {
        let bundle = Bundle::of("busybox").set("/process/terminal", true).args(&["sh"]);
        let mut terminal = Terminal::new(24, 80).start(bundle.command());
        terminal
            .expect("# ")
            .type_in("tty; stty size; echo $((6*7))\r")
            .expect("/dev/pts/0")
            .expect("24 80")
            .expect("42");
        // Job control: Ctrl-C ends the job and not the shell.
        terminal.type_in("sleep 100\r").expect("sleep 100\r\n");
        std::thread::sleep(servin_tests::within(std::time::Duration::from_millis(300)));
        terminal
            .type_in("\x03")
            .expect("# ")
            .type_in("echo code $?\r")
            .expect("code 130")
            .type_in("exit 3\r");
        terminal.finish().ends_with(3);
    });
}

#[test]
fn a_web_server_answers_on_the_containers_own_network() {
    alone(|| {
        let script = "mkdir /tmp/www; echo hello > /tmp/www/index.html; httpd -h /tmp/www -p 127.0.0.1:80; wget -q -O - http://127.0.0.1/";
        let run = busybox(script).writable().run();
        assert_eq!(run.succeeds().out, "hello\n");
    });
}

#[test]
fn a_web_server_answers_on_a_network_that_was_joined() {
    alone(|| {
        bring_up_loopback().expect("bring lo up");
        let script = "mkdir /tmp/www; echo joined > /tmp/www/index.html; echo ready; exec httpd -f -h /tmp/www -p 127.0.0.1:8080";
        let mut running = busybox(script).writable().no_namespace("network").start();
        running.says("ready");
        let answer = (0..100).find_map(|_| {
            std::thread::sleep(std::time::Duration::from_millis(50));
            let mut stream = TcpStream::connect("127.0.0.1:8080").ok()?;
            stream.write_all(b"GET / HTTP/1.0\r\n\r\n").ok()?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer).ok().map(|_| answer)
        });
        kill(running.container(), 9).expect("kill the container");
        running.finish().ends_with(137);
        assert!(answer.as_ref().is_some_and(|answer| answer.ends_with("joined\n")), "{answer:?}");
    });
}

#[test]
fn a_program_that_daemonises_is_reaped_by_the_init() {
    alone(|| {
        let people = People::of("busybox");
        let script = "start-stop-daemon -S -b -x /bin/sleep -- 1000; (sleep 0.1 &) ; sleep 0.5; ps -o pid,stat,comm | grep -c Z; true";
        let run = people.run(&["sh", "-c", script]).succeeds();
        // grep itself says 0 lines.
        assert_eq!(run.out, "0\n");
    });
}

#[test]
fn a_user_of_the_image_owns_what_it_makes() {
    alone(|| {
        let bundle = busybox(
            "id -u; id -g; id -G; touch /tmp/own && stat -c %u:%g /tmp/own; touch /etc/no 2>&1 || true",
        )
        .writable();
        fs::set_permissions(bundle.root().join("tmp"), std::os::unix::fs::PermissionsExt::from_mode(0o1777))
            .expect("set a mode");
        let run = bundle
            .set("/process/user", json!({ "uid": 1000, "gid": 1000, "additionalGids": [2000] }))
            .run()
            .succeeds();
        assert_eq!(
            run.lines(),
            ["1000", "1000", "1000 2000", "1000:1000", "touch: /etc/no: Permission denied"]
        );
    });
}

/// A Debian system under an overlay, with Docker's capabilities.
fn debian(script: &str) -> Option<Bundle> {
    let root = debian_root()?;
    Some(
        Bundle::over(&root)
            .writable()
            .capabilities(&DOCKERS_CAPABILITIES)
            .set("/process/noNewPrivileges", false)
            .args(&["/bin/bash", "-ec", script]),
    )
}

/// Runs a script in Debian, or says why not.
macro_rules! in_debian {
    ($script:expr) => {{
        let Some(bundle) = debian($script) else {
            skip!("no Debian root here (rootfs-fixtures make --debian)")
        };
        let run = bundle.run();
        bundle.forget_overlay();
        run
    }};
}

#[test]
fn debians_package_manager_is_whole() {
    alone(|| {
        let run = in_debian!("dpkg --audit; dpkg -l | grep -c ^ii; apt-get check 2>&1 | tail -1; apt-cache policy bash | head -1; cat /etc/debian_version").succeeds();
        assert!(run.lines()[0].parse::<u32>().is_ok_and(|packages| packages > 50), "{}", run.out);
        assert!(run.out.contains("bash:"), "{}", run.out);
    });
}

#[test]
fn apt_installs_and_dpkg_removes_a_package() {
    alone(|| {
        let run = in_debian!(
            "mkdir -p /tmp/made/DEBIAN /tmp/made/usr/bin
             printf 'Package: made-here\\nVersion: 1\\nArchitecture: all\\nMaintainer: Nobody <nobody@example.test>\\nDescription: made by the test\\n' > /tmp/made/DEBIAN/control
             printf '#!/bin/sh\\necho installed and running\\n' > /tmp/made/usr/bin/made-here; chmod 755 /tmp/made/usr/bin/made-here
             printf '#!/bin/sh\\nset -e\\nchown games:games /usr/bin/made-here\\n' > /tmp/made/DEBIAN/postinst; chmod 755 /tmp/made/DEBIAN/postinst
             dpkg-deb --root-owner-group --build /tmp/made /tmp/made.deb >/dev/null
             apt-get install --yes /tmp/made.deb >/dev/null 2>/tmp/log || { cat /tmp/log; exit 1; }
             made-here; stat -c %U /usr/bin/made-here
             dpkg --remove made-here >/dev/null; test ! -e /usr/bin/made-here; echo removed"
        );
        assert_eq!(run.succeeds().lines(), ["installed and running", "games", "removed"]);
    });
}

#[test]
fn debians_users_change_with_su() {
    alone(|| {
        let run = in_debian!(
            "useradd --create-home tester; su tester -c 'id -un; cd; pwd; touch /root/x 2>&1 || true'"
        );
        let lines = run.succeeds();
        assert_eq!(lines.lines()[..2], ["tester", "/home/tester"]);
        assert!(lines.out.contains("Permission denied"));
    });
}

#[test]
fn a_python_program_runs_threads_processes_and_sockets() {
    alone(|| {
        let run = in_debian!(
            "exec /usr/bin/python3 -c '
import os, threading, socket, signal, time, json
answers = []
threads = [threading.Thread(target=lambda n=n: answers.append(n * n)) for n in range(8)]
[t.start() for t in threads]; [t.join() for t in threads]
print(sorted(answers))
pid = os.fork()
if pid == 0: os._exit(7)
print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
server = socket.create_server((\"127.0.0.1\", 0)); client = socket.create_connection(server.getsockname())
peer, _ = server.accept(); client.sendall(b\"over loopback\"); print(peer.recv(100).decode())
signal.signal(signal.SIGALRM, lambda *_: print(\"alarm\")); signal.alarm(1); time.sleep(1.5)
print(os.getpid(), os.cpu_count() > 0, len(os.urandom(8)))
'"
        );
        assert_eq!(
            run.succeeds().lines(),
            ["[0, 1, 4, 9, 16, 25, 36, 49]", "7", "over loopback", "alarm", "1 True 8"]
        );
    });
}

#[test]
fn a_daemon_of_debian_is_found_and_stopped() {
    alone(|| {
        let run = in_debian!(
            "start-stop-daemon --start --background --make-pidfile --pidfile /run/d.pid --exec /bin/sleep -- 1000
             sleep 0.3; kill -0 $(cat /run/d.pid); start-stop-daemon --stop --pidfile /run/d.pid; echo stopped"
        );
        assert!(run.succeeds().out.ends_with("stopped\n"));
    });
}

#[test]
fn debian_runs_in_a_user_namespace() {
    alone(|| {
        let Some(bundle) = debian("id -u; cat /proc/self/uid_map | tr -s ' '; ls -ld /root | cut -d' ' -f3")
        else {
            skip!("no Debian root here (rootfs-fixtures make --debian)")
        };
        // The files stay the host's root's: whoever is root inside sees them as nobody's, and may read them.
        let map = json!([{ "containerID": 0, "hostID": 100_000, "size": 65_536 }]);
        let bundle = bundle
            .namespace("user", None)
            .namespace("cgroup", None)
            .set("/linux/uidMappings", map.clone())
            .set("/linux/gidMappings", map);
        std::os::unix::fs::lchown(bundle.root(), Some(100_000), Some(100_000)).expect("change the owner");
        let run = bundle.run();
        bundle.forget_overlay();
        assert_eq!(run.succeeds().lines(), ["0", " 0 100000 65536", "nobody"]);
    });
}

#[test]
fn a_container_runs_inside_a_container() {
    alone(|| {
        // Servin in Servin: the inner one has only what the outer one gave it.
        let inner = Bundle::new().probe(&["exit", "42"]);
        let command = inner.command();
        let arguments: Vec<&str> =
            command.get_args().map(|word| word.to_str().expect("a path of ours")).collect();
        let all = servin_tests::own_capabilities();
        let all: Vec<&str> = all.iter().map(String::as_str).collect();
        let program = servin_tests::servin_run();
        let program = program.to_str().expect("a path of ours");
        let mut args = vec!["/servin/program"];
        args.extend(arguments);
        let outer = Bundle::of("busybox")
            .bind("/tmp/servin-tests/bundles/0", "/tmp/servin-tests/bundles/0", &[])
            .bind(program, "/servin/program", &["ro"])
            .mount("/run", "tmpfs", "tmpfs", &[])
            .set("/linux/maskedPaths", json!([]))
            .set("/linux/readonlyPaths", json!([]))
            .options("/sys", &["nosuid", "noexec", "nodev"])
            .set("/process/noNewPrivileges", false)
            .capabilities(&all)
            .args(&args);
        outer.run().ends_with(42);
    });
}

#[test]
fn a_caller_without_root_is_told_what_it_lacks() {
    alone(|| {
        let bundle = Bundle::new();
        let written = bundle.command();
        let mut command = Command::new(servin_tests::servin_run());
        command
            .args(written.get_args())
            .uid(65_534)
            .gid(65_534)
            .env("SERVIN_ROOT", "/tmp/servin-tests/nobody");
        start(command).finish().fails(&[]);
    });
}
