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
        kill(supervisor("crashed"), 9).expect("kill a supervisor");
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
