//! `servin system`: what is taken, what is removed, what the host is.

use std::fs;
use std::process::{Command, Stdio};

use servin_tests::{
    People, Terminal, alone, bring_up_loopback, forget_home, kill, servin, servin_program, start, supervisor,
};

/// Starts a container that stays.
fn stays(people: &People, name: &str) {
    let root = people.root().display().to_string();
    servin(&["run", "--detach", "--name", name, "--rootfs", &root, "--", "/bin/probe", "sleep"]).succeeds();
}

/// The line of `df` about something, after its name: total, active.
fn counts(kind: &str) -> String {
    let template = "{{.Type}}:{{.TotalCount}}:{{.Active}}";
    let out = servin(&["system", "df", "--format", template]).succeeds().out;
    let line = out.lines().find_map(|line| line.strip_prefix(kind)?.strip_prefix(':'));
    line.unwrap_or_else(|| panic!("no {kind} in {out}")).to_string()
}

#[test]
fn df_counts_what_there_is_and_what_is_in_use() {
    alone(|| {
        bring_up_loopback().expect("bring loopback up");
        assert_eq!((counts("Images"), counts("Containers")), ("0:0".into(), "0:0".into()));
        let people = People::new();
        stays(&people, "one");
        stays(&people, "two");
        servin(&["kill", "two"]).succeeds();
        servin(&["wait", "two"]).succeeds();
        servin(&["volume", "create", "kept"]).succeeds();
        assert_eq!((counts("Containers"), counts("Local Volumes")), ("2:1".into(), "1:0".into()));
        servin(&["rm", "--force", "--all"]).succeeds();
        forget_home();
    });
}

#[test]
fn before_anything_is_pruned_a_person_is_asked() {
    alone(|| {
        for what in ["image", "network", "system", "volume"] {
            // Nobody is there, somebody says no, somebody says yes.
            servin(&[what, "prune"]).ends_with(125).fails(&["--force does so without asking"]);
            for (answer, code) in [("no\n", 1), ("\n", 1), ("y\n", 0)] {
                let mut command = Command::new(servin_program());
                command.args([what, "prune"]);
                let mut terminal = Terminal::new(24, 80).start(command);
                terminal.expect("Go on? [y/N] ").type_in(answer);
                terminal.finish().ends_with(code);
            }
            let mut command = Command::new(servin_program());
            command.args([what, "prune"]).stdin(Stdio::piped());
            let mut running = start(command);
            running.type_in("y\n");
            running.finish().succeeds();
        }
        forget_home();
    });
}

#[test]
fn prune_removes_what_is_stopped_or_was_left_by_a_crash_and_nothing_that_runs() {
    alone(|| {
        bring_up_loopback().expect("bring loopback up");
        let people = People::new();
        stays(&people, "runs");
        stays(&people, "stopped");
        stays(&people, "crashed");
        servin(&["kill", "stopped"]).succeeds();
        servin(&["wait", "stopped"]).succeeds();
        let crashed = supervisor("crashed");
        kill(crashed, 9).expect("kill a supervisor");
        // It holds its lock until it is gone.
        let ended = |stat: String| stat.contains(") Z ") || stat.contains(") X ");
        while !fs::read_to_string(format!("/proc/{crashed}/stat")).map_or(true, ended) {
            std::thread::yield_now();
        }
        servin(&["network", "create", "unused"]).succeeds();
        servin(&["system", "prune"]).fails(&["stopped containers", "--force"]);
        servin(&["system", "prune", "--force"]).succeeds();
        assert_eq!(servin(&["ps", "--all", "--format", "{{.Names}}"]).succeeds().out, "runs\n");
        assert_eq!(servin(&["network", "ls", "--format", "{{.Name}}"]).succeeds().out, "bridge\n");
        let interfaces = fs::read_to_string("/proc/net/dev").expect("read the interfaces");
        let ends = interfaces.lines().filter(|line| line.starts_with("sv") && !line.starts_with("servin0"));
        assert_eq!(ends.count(), 1, "{interfaces}");
        servin(&["rm", "--force", "runs"]).succeeds();
        forget_home();
    });
}

#[test]
fn what_networks_keep_of_a_container_that_is_gone_goes_with_all_others() {
    alone(|| {
        bring_up_loopback().expect("bring loopback up");
        stays(&People::new(), "web");
        let id = servin(&["ps", "--no-trunc", "-q"]).succeeds().out;
        let root = std::env::var("SERVIN_ROOT").expect("set by the harness");
        let path = format!("{root}/.networks/{}.json", id.trim());
        let record = fs::read(&path).expect("read what networks keep");
        servin(&["rm", "--force", "web"]).succeeds();
        // As after a supervisor that was killed between the two.
        fs::write(&path, record).expect("write it again");
        servin(&["rm", "--force", "--all"]).succeeds();
        assert!(fs::metadata(&path).is_err());
        forget_home();
    });
}

#[test]
fn info_says_what_the_host_is() {
    alone(|| {
        let info = servin(&["info", "--format", "json"]).succeeds().json();
        let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").expect("read the kernel's version");
        assert_eq!(info["KernelVersion"], kernel.trim());
        assert_eq!((&info["Containers"], &info["Rootless"]), (&0.into(), &false.into()));
        let memory = fs::read_to_string("/proc/meminfo").expect("read the memory");
        let total = memory.split_whitespace().nth(1).and_then(|kilobytes| kilobytes.parse::<u64>().ok());
        assert_eq!(info["MemTotal"].as_u64(), total.map(|kilobytes| kilobytes << 10));
        forget_home();
    });
}

/// A container with a bit of everything; `inspect` as JSON.
fn inspected(flags: &[&str]) -> serde_json::Value {
    People::of("busybox").flags(flags).detached("box", &["/bin/sleep", "1000"]);
    servin(&["inspect", "--size", "box"]).succeeds().json()[0].clone()
}

#[test]
fn inspect_has_dockers_names_for_what_was_asked_for() {
    alone(|| {
        let seen = inspected(&[
            "-v",
            "data:/data",
            "-v",
            "/tmp:/host:ro",
            "--cap-add",
            "NET_ADMIN",
            "--cap-drop",
            "KILL",
            "--uts",
            "host",
            "--shm-size",
            "8m",
            "--ulimit",
            "nofile=64:128",
            "--dns",
            "9.9.9.9",
            "--restart",
            "on-failure:3",
            "--sysctl",
            "kernel.msgmax=4096",
            "--network",
            "none",
        ]);
        let host = &seen["HostConfig"];
        assert_eq!(host["Binds"], serde_json::json!(["data:/data", "/tmp:/host:ro"]));
        assert!(host["CapAdd"].to_string().contains("CAP_NET_ADMIN"), "{host}");
        assert!(host["CapDrop"].to_string().contains("CAP_KILL"), "{host}");
        assert_eq!((&host["UTSMode"], &host["PidMode"]), (&"host".into(), &"".into()));
        assert_eq!((&host["IpcMode"], &host["CgroupnsMode"]), (&"private".into(), &"private".into()));
        assert_eq!((&host["ShmSize"], &host["NetworkMode"]), (&(8 << 20).into(), &"none".into()));
        assert_eq!(host["Ulimits"][0], serde_json::json!({ "Name": "nofile", "Hard": 128, "Soft": 64 }));
        assert_eq!((&host["Dns"][0], &host["Init"]), (&"9.9.9.9".into(), &true.into()));
        assert_eq!(host["RestartPolicy"]["MaximumRetryCount"], 3);
        assert_eq!(host["Sysctls"]["kernel.msgmax"], "4096");
        assert_eq!(host["Privileged"], false);
        let volume = &seen["Mounts"][0];
        assert_eq!(
            (&volume["Type"], &volume["Name"], &volume["Driver"]),
            (&"volume".into(), &"data".into(), &"local".into())
        );
        let bind = &seen["Mounts"][1];
        assert_eq!(
            (&bind["Type"], &bind["RW"], &bind["Mode"]),
            (&"bind".into(), &false.into(), &"ro".into())
        );
        assert!(seen["SizeRw"].is_u64(), "{seen}");
        // Whatever has the name; and of one kind alone.
        assert!(servin(&["inspect", "data"]).succeeds().json()[0]["Mountpoint"].is_string());
        assert_eq!(
            servin(&["inspect", "--type", "network", "bridge"]).succeeds().json()[0]["Driver"],
            "bridge"
        );
        servin(&["inspect", "--type", "volume", "box"]).fails(&["there is no volume box"]);
        servin(&["inspect", "--type", "house", "box"]).fails(&["--type house"]);
        servin(&["inspect", "nothing"]).fails(&["there is no container nothing"]);
        servin(&["rm", "-f", "box"]).succeeds();
        servin(&["volume", "rm", "data"]).succeeds();
        forget_home();
    });
}

#[test]
fn ps_and_top_show_the_fields_that_are_asked_for() {
    alone(|| {
        inspected(&["-v", "data:/data", "--network", "none"]);
        let ps = |words: &[&str]| servin(&[&["ps"], words].concat()).succeeds().out;
        let all = "{{.Names}} {{.Networks}} {{.Mounts}} {{.LocalVolumes}} {{.Size}} {{.State}}";
        assert_eq!(ps(&["--format", all]), "box none data 1 0B running\n");
        let created = ps(&["--format", "{{.CreatedAt}}"]);
        assert!(created.ends_with(" +0000 UTC\n") && created.matches(' ').count() == 3, "{created}");
        assert!(ps(&["--size"]).lines().next().expect("a heading").ends_with("SIZE"));
        for (filter, found) in [
            ("network=none", true),
            ("network=x", false),
            ("volume=data", true),
            ("volume=/data", true),
            ("volume=x", false),
            ("before=box", false),
            ("since=box", false),
        ] {
            assert_eq!(!ps(&["-q", "--filter", filter]).is_empty(), found, "{filter}");
        }
        servin(&["ps", "--filter", "since=nobody"]).fails(&["nobody"]);
        let top = |words: &[&str]| servin(&[&["top", "box"], words].concat());
        let usual = top(&[]).succeeds().out;
        assert!(usual.starts_with("UID   PID") && usual.contains("/bin/sleep 1000"), "{usual}");
        for words in [&["-eo", "pid,comm"][..], &["-o", "pid,comm"], &["-opid,comm"], &["pid", "comm"]] {
            let out = top(words).succeeds().out;
            let last = out.lines().last().expect("a process").split_whitespace().collect::<Vec<_>>();
            assert!(out.starts_with("PID") && last.len() == 2 && last[1] == "sleep", "{out}");
        }
        assert_eq!(top(&["-ef"]).succeeds().out, usual);
        assert_eq!(top(&["aux"]).succeeds().out, usual);
        top(&["-o", "pcpu"]).fails(&["no column pcpu"]);
        servin(&["stop", "--timeout", "0", "box"]).succeeds();
        servin(&["container", "prune"]).fails(&["--force"]);
        let pruned = servin(&["container", "prune", "-f"]).succeeds().out;
        assert_eq!((pruned.trim().len(), ps(&["-aq"]).as_str()), (64, ""));
        assert_eq!(servin(&["version", "-f", "{{.Server.Version}}"]).code, 125);
        let version = servin(&["version", "--format", "{{.Client.Version}} {{.Server.Os}}"]).succeeds().out;
        assert!(version.ends_with(" linux\n"), "{version}");
        assert_eq!(
            servin(&["info", "--format", "{{.Driver}} {{.OSType}}"]).succeeds().out,
            "overlay2 linux\n"
        );
        servin(&["volume", "rm", "data"]).succeeds();
        forget_home();
    });
}
