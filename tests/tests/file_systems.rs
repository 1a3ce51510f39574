//! `--rootfs FILE`: containers whose root is a file system in a file.

use std::fs;

use servin_tests::{Bundle, alone, fixture, kill, reap_one, scratch, servin, skip};

/// The busybox root as such a file; none where nothing of this host made one.
fn file(kind: &str) -> Option<String> {
    let file = fixture(&format!("busybox.{kind}"));
    file.exists().then(|| file.to_str().expect("UTF-8").to_string())
}

/// Loop devices that hold a file of that name.
fn devices(name: &str) -> usize {
    let all = fs::read_dir("/sys/block").expect("list the block devices");
    all.filter_map(|entry| fs::read_to_string(entry.ok()?.path().join("loop/backing_file")).ok())
        .filter(|path| path.trim_end().ends_with(name))
        .count()
}

/// A copy of the fixture under a name of the test's own, which no other test attaches.
fn own(kind: &str, name: &str) -> Option<String> {
    let to = scratch(name);
    fs::copy(file(kind)?, &to).expect("copy the file system");
    Some(to.to_str().expect("UTF-8").to_string())
}

#[test]
fn a_container_runs_on_a_file_system_in_a_file_which_it_does_not_change() {
    alone(|| {
        for kind in ["squashfs", "erofs"] {
            let name = format!("unchanged.{kind}");
            let Some(file) = own(kind, &name) else {
                skip!("nothing here makes a {kind}");
            };
            let before = fs::read(&file).expect("read");
            let run = |flags: &[&str], script: &str| {
                let (run, shell) = (["run", "--rm", "--rootfs", &file], ["--", "/bin/sh", "-c", script]);
                servin(&[&run, flags, &shell].concat())
            };
            let script = "echo new > /bin/new; cat /bin/new; id -un; pwd; rm /etc/group; ls /etc";
            let out = run(&["-u", "app", "-w", "/made/here"], "id -un; pwd").succeeds().out;
            assert_eq!(out, "app\n/made/here\n");
            let out = run(&[], script).succeeds().out;
            assert!(out.starts_with("new\nroot\n/\n") && !out.contains("group"), "{out}");
            let out = run(&["--read-only", "-w", "/made/here"], "pwd; touch /x || echo not").succeeds().out;
            assert_eq!(out, "/made/here\nnot\n");
            // What the container sees is an overlay; the file system below it is not among its mounts.
            let mounts = run(&[], "cat /proc/self/mountinfo").succeeds().out;
            assert!(mounts.contains(" / / ") && !mounts.contains("/dev/loop"), "{mounts}");
            assert_eq!((devices(&name), fs::read(&file).expect("read") == before), (0, true));
        }
    });
}

#[test]
fn it_is_stopped_started_copied_from_compared_exported_and_killed() {
    alone(|| {
        for kind in ["squashfs", "erofs"] {
            let name = format!("living.{kind}");
            let Some(file) = own(kind, &name) else {
                skip!("nothing here makes a {kind}");
            };
            let script = "echo run >> /runs; test -e /stay && exec sleep 1000";
            servin(&["run", "--name", "one", "--rootfs", &file, "/bin/sh", "-c", script]).ends_with(1);
            assert_eq!(devices(&name), 0, "nothing is mounted while nothing runs");
            let stay = scratch("stay");
            fs::write(&stay, "").expect("write");
            servin(&["cp", stay.to_str().expect("UTF-8"), "one:/stay"]).succeeds();
            let changes = servin(&["diff", "one"]).succeeds().out;
            assert!(changes.contains("C /etc\n") && changes.ends_with("A /runs\nA /stay\n"), "{changes}");
            let passwd = scratch("passwd");
            let passwd = passwd.to_str().expect("UTF-8");
            servin(&["cp", "one:/etc/passwd", passwd]).succeeds();
            assert!(fs::read_to_string(passwd).expect("read").contains("app"));
            servin(&["start", "one"]).succeeds();
            let pid = servin(&["inspect", "-f", "{{.State.Pid}}", "one"]).succeeds().out;
            servin(&["exec", "one", "cat", "/runs"]).succeeds();
            assert_eq!(devices(&name), 1);
            let archive = scratch("export.tar");
            let archive = archive.to_str().expect("UTF-8");
            servin(&["export", "-o", archive, "one"]).succeeds();
            let exported = fs::read(archive).expect("read");
            for path in ["bin/busybox", "runs", "stay"] {
                assert!(exported.windows(path.len()).any(|bytes| bytes == path.as_bytes()), "{path}");
            }
            // Nobody is left to tidy up, and nothing has to.
            let supervisor = parent(pid.trim());
            kill(supervisor, libc::SIGKILL).expect("kill");
            kill(pid.trim().parse().expect("a pid"), libc::SIGKILL).expect("kill");
            reap_one(supervisor);
            servin(&["rm", "-f", "one"]).succeeds();
            assert_eq!(devices(&name), 0);
        }
    });
}

fn parent(pid: &str) -> i32 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("read a process's status");
    let line = status.lines().find_map(|line| line.strip_prefix("PPid:")).expect("its parent");
    line.trim().parse().expect("a pid")
}

#[test]
fn a_file_that_holds_no_file_system_is_refused() {
    alone(|| {
        let file = scratch("text");
        fs::write(&file, "hsq").expect("write");
        let path = file.to_str().expect("UTF-8");
        servin(&["run", "--rootfs", path, "/bin/sh"])
            .ends_with(125)
            .fails(&["neither a directory nor a squashfs", "servin import"]);
        fs::write(&file, [b"hsqs".as_slice(), &[0; 8192]].concat()).expect("write");
        servin(&["run", "--rootfs", path, "/bin/sh"])
            .ends_with(125)
            .fails(&["the squashfs /tmp/servin-tests/text"]);
        assert_eq!(devices("/text"), 0);
    });
}

#[test]
fn a_bundle_may_mount_a_file_by_the_option_loop() {
    alone(|| {
        let Some(file) = own("squashfs", "bundle.squashfs") else {
            skip!("nothing here makes a squashfs");
        };
        let bundle = Bundle::new().mount("/image", "squashfs", &file, &["loop", "ro"]);
        let seen = bundle.report();
        let mounts = seen["mounts"].to_string();
        assert!(mounts.contains("/image") && mounts.contains("squashfs"), "{mounts}");
        assert_eq!(devices("/bundle.squashfs"), 0);
    });
}
