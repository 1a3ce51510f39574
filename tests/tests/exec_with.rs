//! `servin exec --with`: tools for an image that has none.

use std::fs;
use std::path::Path;

use servin_tests::{Layout, People, alone, fixture, forget_home, scratch, servin, skip, start, tool};

/// A container whose image is one static program and nothing else.
fn bare(name: &str, flags: &[&str]) {
    let flags = [&["--env", "FROM=container", "--workdir", "/work"], flags].concat();
    let people = People::new();
    fs::remove_dir_all(people.root()).expect("empty it");
    fs::create_dir_all(people.root().join("bin")).expect("make");
    fs::copy(servin_tests::probe(), people.root().join("bin/probe")).expect("copy");
    people.flags(&flags).detached(name, &["/bin/probe", "sleep"]);
}

/// The mounts that the container's program sees.
fn mounts_of(name: &str) -> String {
    let pid = servin(&["inspect", "--format", "{{.State.Pid}}", name]).succeeds().out;
    fs::read_to_string(format!("/proc/{}/mountinfo", pid.trim())).expect("mountinfo")
}

fn gone(name: &str) {
    servin(&["rm", "--force", name]).succeeds();
}

/// An image of two layers with busybox.
fn tools_image() {
    let layout = Layout::new("tools")
        .layer(|root| {
            let from = format!("{}/.", fixture("busybox").display());
            tool("cp", &["-a", &from, root.to_str().expect("UTF-8")]);
        })
        .layer(|root| fs::write(root.join("second"), "two").expect("write"));
    servin(&["load", "-i", &layout.text()]).succeeds();
    let id = servin(&["images", "-q", "--no-trunc"]).succeeds().out.trim().to_string();
    servin(&["tag", &id, "tools"]).succeeds();
    fs::remove_dir_all("/tmp/servin-tests/tools").expect("forget the layout");
}

#[test]
fn a_container_without_a_shell_is_looked_into_with_the_hosts_tools() {
    alone(|| {
        bare("bare", &["--hostname", "box"]);
        servin(&["exec", "bare", "sh"]).ends_with(127);
        let before = mounts_of("bare");
        let script = "pwd; ls /container/bin; hostname; echo $FROM; cat /proc/1/comm; echo new > /container/work/file; \
                      touch /.tools/x 2>/dev/null || echo read-only; readlink /proc/self/ns/mnt";
        let out = servin(&["exec", "--with", "host", "bare", "sh", "-c", script]).succeeds();
        let lines = out.lines();
        assert_eq!(
            &lines[..6],
            ["/container/work", "probe", "box", "container", "servin-init", "read-only"],
            "{out:?}"
        );
        let pid = servin(&["inspect", "--format", "{{.State.Pid}}", "bare"]).succeeds().out;
        let own = fs::read_link(format!("/proc/{}/ns/mnt", pid.trim())).expect("a link");
        assert_ne!(lines[6], own.to_str().expect("UTF-8"));
        // The container has the file, and no mount more.
        let written = scratch("written");
        servin(&["cp", "bare:/work/file", written.to_str().expect("UTF-8")]).succeeds();
        assert_eq!(fs::read_to_string(written).expect("read"), "new\n");
        assert_eq!(mounts_of("bare"), before);
        gone("bare");
        forget_home();
    });
}

#[test]
fn tools_come_from_an_image_or_a_directory_too() {
    alone(|| {
        if !Path::new("/usr/bin/umoci").exists() {
            skip!("there is no umoci to make an image");
        }
        tools_image();
        bare("bare", &[]);
        let before = mounts_of("bare");
        let look = |with: &str, words: &[&str]| servin(&[&["exec", "--with", with, "bare"], words].concat());
        let script = "cat /second; ls /container/bin; ls /; cat /proc/mounts";
        let out = look("tools", &["sh", "-c", script]).succeeds().out;
        assert!(out.starts_with("twoprobe\n") && out.contains("container\n"), "{out}");
        // Nothing of the host's tree is in the copy but the tools and what the container has.
        let root = |line: &&str| {
            line.split(' ').nth(1).is_some_and(|at| !at.starts_with("/container") && at != "/.tools")
        };
        assert_eq!(
            out.lines().filter(|line| line.contains(" rw,") || line.contains(" ro,")).filter(root).count(),
            1,
            "{out}"
        );
        // Mere programs in a directory, static ones.
        let directory = scratch("programs");
        fs::create_dir_all(&directory).expect("make");
        fs::copy(servin_tests::probe(), directory.join("look")).expect("copy");
        let seen = look(directory.to_str().expect("UTF-8"), &["look", "report"]).report();
        assert_eq!(seen["cwd"], "/container/work");
        // Paths that are nothing, and images that are not there.
        look("/nowhere", &["look"]).ends_with(125).fails(&["/nowhere", "no such file or directory"]);
        look("host", &["no-such-tool"]).ends_with(127);
        assert_eq!(mounts_of("bare"), before);
        gone("bare");
        forget_home();
    });
}

#[test]
fn tools_with_a_terminal_and_as_another_user() {
    alone(|| {
        bare("bare", &["--user", "1000:1000"]);
        let mut command = std::process::Command::new(servin_tests::servin_program());
        command.args(["exec", "-it", "--with", "host", "bare", "sh", "-c", "tty; id -u; echo $TERM"]);
        let out = servin_tests::Terminal::new(30, 90).start(command).finish().ends_with(0).out;
        assert!(out.contains("/dev/pts/0") && out.contains("1000") && out.contains("xterm"), "{out}");
        let capabilities = "grep -E 'CapEff|Seccomp:|NoNewPrivs' /proc/self/status";
        let out = servin(&["exec", "--with", "host", "bare", "sh", "-c", capabilities]).succeeds().out;
        assert!(out.contains("CapEff:\t0000000000000000") && out.contains("Seccomp:\t2"), "{out}");
        gone("bare");
        forget_home();
    });
}

#[test]
fn a_hostile_container_sees_the_tools_and_nothing_else_of_the_host() {
    alone(|| {
        // Everything shared that can be: mounts would spread if the copy were not a slave.
        let people = People::of("busybox").flags(&["--privileged"]);
        fs::create_dir_all(people.root().join("etc")).expect("make");
        let _ = fs::remove_file(people.root().join("etc/resolv.conf"));
        std::os::unix::fs::symlink(servin_tests::VICTIM, people.root().join("etc/resolv.conf"))
            .expect("link");
        people.detached(
            "evil",
            &["/bin/sh", "-c", "mount --make-rshared /; echo ready; while true; do sleep 1; done"],
        );
        while !mounts_of("evil").contains("shared:") {
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        let before = mounts_of("evil");
        let mut command = std::process::Command::new(servin_tests::servin_program());
        command.args(["exec", "-i", "--with", "host", "evil", "sh", "-c", "echo in; read line"]);
        command.stdin(std::process::Stdio::piped());
        let mut running = start(command);
        running.says("in");
        assert_eq!(mounts_of("evil"), before, "while the tool runs");
        // From inside, the tool's root has the tools, and they cannot be written to.
        let script = "for p in /proc/[0-9]*; do if [ -d $p/root/.tools ]; then ls $p/root/; touch $p/root/.tools/usr/x; fi; done";
        let seen = servin(&["exec", "evil", "sh", "-c", script]);
        assert!(seen.out.contains("container") && seen.err.contains("Read-only file system"), "{seen:?}");
        running.type_in("\n");
        running.finish().succeeds();
        assert_eq!(mounts_of("evil"), before);
        assert!(Path::new(servin_tests::VICTIM).exists());
        gone("evil");
        forget_home();
    });
}

#[test]
fn a_terminal_of_exec_is_left_by_its_keys_and_the_program_goes_on() {
    alone(|| {
        People::of("busybox").detached("box", &["/bin/sleep", "1000"]);
        let exec = |flags: &[&str], script: &str| {
            let mut command = std::process::Command::new(servin_tests::servin_program());
            command.args(["exec", "-it"]).args(flags).args(["box", "sh", "-c", script]);
            let terminal = servin_tests::Terminal::new(30, 90);
            (terminal.settings(), terminal.start(command))
        };
        let script =
            "trap 'echo $n > /hung' HUP; echo ready; n=0; while true; do n=$((n+1)); sleep 0.05; done";
        for (flags, keys) in [(&[][..], "\x10\x11"), (&["--detach-keys", "ctrl-x,y"], "\x18y")] {
            let (before, mut terminal) = exec(flags, script);
            terminal.expect("ready").type_in(keys);
            terminal.finish().ends_with(0);
            assert_eq!(terminal.settings(), before);
            assert!(servin(&["top", "box"]).succeeds().out.contains("n=$((n+1))"));
            // Nothing has hung it up.
            assert_eq!(servin(&["exec", "box", "ls", "/hung"]).code, 1);
            servin(&["exec", "box", "pkill", "-KILL", "sh"]);
        }
        // Whoever does not leave has the program's code, and what only begins like the keys is typed.
        let (_, mut terminal) = exec(&["--detach-keys", "a,b"], "read line; echo got $line; exit 7");
        terminal.type_in("axb\n").expect("got axb");
        terminal.finish().ends_with(7);
        servin(&["exec", "--detach-keys", "ctrl-", "box", "true"]).ends_with(125).fails(&["--detach-keys"]);
        gone("box");
        forget_home();
    });
}
