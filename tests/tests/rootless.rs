//! Without privileges: a user's containers, with no helper and with those that map more ids.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use servin_tests::{
    Bundle, Finished, OUR_ADDRESS, OUTSIDE, Outside, alone, ask, assert_answers, at, bind, bring_up_loopback,
    scratch, servin_program, servin_run, skip, start, unmount, until,
};

const USER: u32 = 1000;

/// Runs a program as a user without privileges, with a directory of his own.
fn as_user(program: &Path, arguments: &[&str]) -> Finished {
    let own = home();
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).current_dir("/");
    command.env_clear().env("PATH", "/usr/bin:/bin").env("HOME", &own).env("XDG_RUNTIME_DIR", &own);
    command.uid(USER).gid(USER);
    start(command).finish()
}

/// The user's own directory.
fn home() -> PathBuf {
    let home = scratch("user");
    if !home.exists() {
        fs::create_dir(&home).expect("make a directory");
        chown(&home, Some(USER), Some(USER)).expect("give it to the user");
    }
    home
}

/// A bundle of the user's, with the configuration that `spec --rootless` writes.
fn bundle(root: &str, args: &[&str]) -> (Bundle, Value) {
    let bundle = Bundle::of(root);
    give(bundle.directory());
    let directory = bundle.directory().to_str().expect("UTF-8").to_string();
    as_user(&servin_run(), &["spec", "--rootless", "--bundle", &directory]).succeeds();
    let text = fs::read_to_string(bundle.directory().join("config.json")).expect("a config");
    let mut config: Value = text.parse().expect("JSON");
    config["process"]["terminal"] = json!(false);
    config["process"]["args"] = json!(args);
    config["root"]["readonly"] = json!(false);
    // The network namespace is the test's own, and its sysfs mounted by root: what it shows is not the user's.
    (bundle, config)
}

/// Gives a tree to the user.
fn give(path: &Path) {
    chown(path, Some(USER), Some(USER)).expect("give a file to the user");
    if fs::symlink_metadata(path).expect("look at a file").is_dir() {
        for entry in fs::read_dir(path).expect("list").flatten() {
            if entry.file_type().is_ok_and(|kind| !kind.is_symlink()) {
                give(&entry.path());
            }
        }
    }
}

fn run(bundle: &Bundle, config: &Value, flags: &[&str]) -> Finished {
    bundle.write(&config.to_string());
    give(bundle.directory());
    let directory = bundle.directory().to_str().expect("UTF-8").to_string();
    let mut arguments = vec!["run", "--bundle", &directory];
    arguments.extend(flags);
    arguments.push(bundle.name());
    as_user(&servin_run(), &arguments)
}

#[test]
fn a_user_runs_a_container_without_any_helper() {
    alone(|| {
        let script = "id -u; cat /proc/self/uid_map /proc/self/setgroups; echo > /tmp/made; hostname; kill -0 1; echo $?; ls /proc | grep -c '^[0-9]'";
        let (bundle, config) = bundle("busybox", &["/bin/sh", "-c", script]);
        let ended = run(&bundle, &config, &[]).succeeds();
        let words: Vec<&str> = ended.out.split_whitespace().collect();
        assert_eq!(words[..7], ["0", "0", "1000", "1", "deny", "runc", "0"], "{ended:?}");
        assert_eq!(ended.err, "");
        let made = fs::metadata(bundle.root().join("tmp/made")).expect("a file was made");
        assert_eq!(std::os::unix::fs::MetadataExt::uid(&made), USER);
        let state = fs::metadata(home().join("servin")).expect("the user's state");
        assert_eq!(state.permissions().mode() & 0o777, 0o700);
    });
}

#[test]
fn a_users_container_has_a_life_too() {
    alone(|| {
        let (bundle, config) = bundle("busybox", &["/bin/sh", "-c", "sleep 1000"]);
        run(&bundle, &config, &["--detach"]).succeeds();
        let call = |arguments: &[&str]| as_user(&servin_run(), arguments);
        assert_eq!(call(&["state", bundle.name()]).succeeds().json()["status"], "running");
        let inside = call(&["exec", bundle.name(), "/bin/sh", "-c", "id -u; exit 4"]).ends_with(4);
        assert_eq!(inside.out, "0\n");
        assert_eq!(
            call(&["ps", "--format", "json", bundle.name()]).succeeds().json().as_array().map(Vec::len),
            Some(1)
        );
        call(&["pause", bundle.name()]).fails(&["has no cgroup"]);
        call(&["delete", "--force", bundle.name()]).succeeds();
        call(&["state", bundle.name()]).fails(&["does not exist"]);
    });
}

#[test]
fn limits_that_a_user_cannot_set_are_refused() {
    alone(|| {
        let (bundle, mut config) = bundle("busybox", &["/bin/true"]);
        config["linux"]["resources"] = json!({ "pids": { "limit": 10 } });
        run(&bundle, &config, &[]).fails(&["cgroup"]);
        // A rule about devices is no limit to who can make none.
        config["linux"]["resources"] = json!({ "devices": [{ "allow": false, "access": "rwm" }] });
        run(&bundle, &config, &[]).succeeds();
    });
}

/// Maps in which ids beside the user's own are his subordinate ones.
fn wide(config: &mut Value) {
    let maps = json!([
        { "containerID": 0, "hostID": USER, "size": 1 },
        { "containerID": 1, "hostID": 100_000, "size": 1000 },
    ]);
    config["linux"]["uidMappings"] = maps.clone();
    config["linux"]["gidMappings"] = maps;
}

#[test]
fn more_ids_are_mapped_by_the_helpers() {
    alone(|| {
        if !Path::new("/usr/bin/newuidmap").exists() {
            skip!("newuidmap is not installed");
        }
        let files = [
            ("/etc/subuid", "user:100000:1000\n"),
            ("/etc/subgid", "user:100000:1000\n"),
            ("/etc/passwd", "root:x:0:0::/:/bin/sh\nuser:x:1000:1000::/:/bin/sh\n"),
        ];
        for (path, text) in files {
            let own = scratch(&path[1..]);
            fs::write(&own, text).expect("write");
            bind(own.to_str().expect("UTF-8"), path).expect("bind a file");
        }
        let (bundle, mut config) =
            bundle("busybox", &["/bin/sh", "-c", "id -u; id -g; cat /proc/self/uid_map /proc/self/gid_map"]);
        wide(&mut config);
        config["process"]["user"] = json!({ "uid": 7, "gid": 8, "additionalGids": [9] });
        let ended = run(&bundle, &config, &[]).succeeds();
        let words: Vec<&str> = ended.out.split_whitespace().collect();
        let map = ["0", "1000", "1", "1", "100000", "1000"];
        assert_eq!(words, [&["7", "8"][..], &map, &map].concat());
        config["linux"]["uidMappings"][1]["hostID"] = json!(200_000);
        run(&bundle, &config, &[]).fails(&["newuidmap", "/etc/subuid"]);

        let people =
            as_user(&servin_program(), &["run", "--rootfs", "host", "--", "/bin/cat", "/proc/self/uid_map"])
                .succeeds();
        assert_eq!(people.out.split_whitespace().collect::<Vec<_>>(), map);
        for (path, _) in files {
            unmount(path).expect("unmount a file");
        }
    });
}

#[test]
fn without_the_helpers_more_ids_are_refused() {
    alone(|| {
        let (bundle, mut config) = bundle("busybox", &["/bin/true"]);
        wide(&mut config);
        // Nobody has given this user any; where the helpers are installed they say so.
        run(&bundle, &config, &[]).fails(&["newuidmap"]);
        let (bundle, mut config) = self::bundle("busybox", &["/bin/true"]);
        config["linux"]["uidMappings"][0]["hostID"] = json!(0);
        run(&bundle, &config, &[]).fails(&["newuidmap"]);
    });
}

#[test]
fn a_person_without_privileges_types_the_same() {
    alone(|| {
        let run = |arguments: &[&str]| {
            as_user(&servin_program(), &[&["run", "--rootfs", "host"], arguments].concat())
        };
        let script = "id -u; touch /made && echo writable; cat /proc/sys/kernel/hostname; grep Seccomp: /proc/self/status";
        let ended = run(&["-h", "mine", "--", "/bin/sh", "-c", script]).succeeds();
        assert_eq!(ended.out, "0\nwritable\nmine\nSeccomp:\t2\n", "{}", ended.err);
        run(&["--", "/bin/sh", "-c", "exit 9"]).ends_with(9);
        run(&["-u", "5", "--", "/bin/true"]).fails(&["uid"]);
    });
}

#[test]
fn a_state_directory_of_somebody_else_is_refused() {
    alone(|| {
        let (bundle, config) = bundle("busybox", &["/bin/true"]);
        fs::create_dir(home().join("servin")).expect("make a directory");
        run(&bundle, &config, &[]).fails(&["another user"]);
    });
}

/// `servin run --rm` in the user's own name.
fn servin_run_as_user(flags: &[&str], program: &[&str]) -> Finished {
    let own = home();
    let root = own.join("rootfs");
    let _ = fs::remove_dir_all(&root);
    rootfs_fixtures::roots::copy(&servin_tests::fixture("busybox"), &root).expect("copy the fixture's root");
    give(&root);
    let root = root.to_str().expect("UTF-8");
    as_user(&servin_program(), &[&["run", "--rm", "--rootfs", root], flags, &["--"], program].concat())
}

#[test]
fn a_user_has_no_bridge_but_the_hosts_network_or_none() {
    alone(|| {
        let none = servin_run_as_user(&["--network", "none"], &["ip", "-o", "link"]).succeeds();
        assert_eq!(none.lines().len(), 1, "{none:?}");
        let own = fs::read_link("/proc/self/ns/net").expect("read").display().to_string();
        let host = servin_run_as_user(&["--network", "host"], &["readlink", "/proc/self/ns/net"]).succeeds();
        assert_eq!(host.out.trim(), own);
        for network in ["bridge", "web"] {
            let refused = servin_run_as_user(&["--network", network], &["true"]);
            refused.fails(&["privileges of root", "--network pasta", "host", "none"]);
        }
    });
}

/// Where people work everybody may use the device; here only root may. Gives a way out, too.
fn with_tun(test: impl FnOnce(&Outside)) {
    servin_tests::tmpfs("/dev/net").expect("mount");
    let made = Command::new("mknod").args(["-m", "666", "/dev/net/tun", "c", "10", "200"]).status();
    assert!(made.is_ok_and(|status| status.success()));
    bring_up_loopback().expect("bring lo up");
    let outside = Outside::new();
    let added = Command::new("busybox").args(["ip", "route", "add", "default", "via", OUTSIDE]).status();
    assert!(added.is_ok_and(|status| status.success()));
    test(&outside);
    drop(outside);
    unmount("/dev/net").expect("unmount");
}

/// Whether there is the program, and what it needs.
fn has(program: &str) -> bool {
    Path::new("/usr/bin").join(program).exists() && Path::new("/dev/net/tun").exists()
}

/// A user's container asks the world, and is asked at its published ports.
fn connected_both_ways(network: &[&str], outside: &Outside) {
    let listener = std::net::TcpListener::bind("127.0.0.1:7001").expect("listen");
    let probe = servin_tests::probe().display().to_string();
    let mut there = start(outside.command(&probe, &["answer", "there", "7000"]));
    there.says("ready");
    let asked = servin_run_as_user(network, &["/bin/probe", "ask", "tcp", &at(OUTSIDE, 7000)]).succeeds();
    assert_eq!(asked.out.trim(), format!("there {OUR_ADDRESS}"));
    // What listens on the host's loopback interface alone is nothing to it, by no address.
    for gateway in [OUTSIDE, "10.0.2.2", OUR_ADDRESS] {
        let asked = servin_run_as_user(network, &["/bin/probe", "ask", "tcp", &at(gateway, 7001)]);
        assert!(["refused", "silence", "unreachable"].contains(&asked.out.trim()), "{gateway}: {asked:?}");
    }
    drop(listener);
    there.signal(libc::SIGKILL);
    there.finish();
    let publish = [
        "-d",
        "--rm=false",
        "--name",
        "web",
        "-p",
        "8080:80",
        "-p",
        "127.0.0.1:8081:80",
        "-p",
        "8053:53/udp",
    ];
    let flags = [network, &publish].concat();
    servin_run_as_user(&flags, &["/bin/probe", "answer", "web", "80", "53/udp"]).succeeds();
    for port in [8080, 8081] {
        until("it answers", || ask(&["tcp", &at("127.0.0.1", port)]).starts_with("web "));
    }
    // Debian 12's pasta accepts such a connection and forwards nothing of it, whoever called it how.
    if network[1] == "slirp4netns" {
        assert_answers(&outside.ask(&["tcp", &at(OUR_ADDRESS, 8080)]), "web ");
    }
    until("it answers", || outside.ask(&["udp", &at(OUR_ADDRESS, 8053)]).starts_with("web "));
    assert_eq!(outside.ask(&["tcp", &at(OUR_ADDRESS, 8081)]), "refused");
    as_user(&servin_program(), &["restart", "-t", "0", "web"]).succeeds();
    until("it answers again", || ask(&["tcp", "127.0.0.1:8080"]).starts_with("web "));
    as_user(&servin_program(), &["rm", "-f", "web"]).succeeds();
    until("its ports are free", || ask(&["tcp", "127.0.0.1:8080"]) == "refused");
}

#[test]
fn a_user_is_connected_by_pasta_where_it_is_installed() {
    alone(|| {
        if !has("pasta") {
            skip!("there is no pasta, or no /dev/net/tun");
        }
        with_tun(|outside| {
            // It is what a user gets who does not ask.
            let run = servin_run_as_user(&[], &["ip", "-o", "-4", "addr"]).succeeds();
            assert!(run.out.contains("192.0.2.1/24"), "{run:?}");
            connected_both_ways(&["--network", "pasta"], outside);
        });
    });
}

#[test]
fn a_user_is_connected_by_slirp4netns_where_there_is_no_pasta() {
    alone(|| {
        if !has("slirp4netns") {
            skip!("there is no slirp4netns, or no /dev/net/tun");
        }
        with_tun(|outside| {
            connected_both_ways(&["--network", "slirp4netns"], outside);
            // What it cannot do is said before anything is made, or in its own words.
            let flags = |publish| ["--network", "slirp4netns", "-p", publish];
            for publish in ["[::1]:8080:80", "8080:80/sctp", "80"] {
                servin_run_as_user(&flags(publish), &["true"]).fails(&["--publish: slirp4netns"]);
            }
            let listener = std::net::TcpListener::bind("0.0.0.0:9090").expect("listen");
            servin_run_as_user(&flags("9090:80"), &["true"]).fails(&["9090/tcp", "listens there"]);
            drop(listener);
            // Who does not ask gets it where pasta is missing.
            let hidden = Path::new("/usr/bin/pasta").exists();
            if hidden {
                bind("/dev/null", "/usr/bin/pasta").expect("hide pasta");
            }
            let run = servin_run_as_user(&[], &["ip", "-o", "-4", "addr"]).succeeds();
            assert!(run.out.contains("10.0.2.100/24"), "{run:?}");
            if hidden {
                unmount("/usr/bin/pasta").expect("unmount");
            }
        });
    });
}
