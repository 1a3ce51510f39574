//! Other people's engines with Servin as their runtime: Podman, buildah, containerd's ctr with its runc shim, from
//! Debian's packages, each in namespaces and with a store of its own.
//!
//! Where the host's controllers are on cgroup v1, the engines are told not to ask for limits; limits by way of the
//! OCI command line are tested where the hierarchy is unified.

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use servin_tests::{Finished, Terminal, alone, cgroup_mount, fixture, scratch, servin_run, start, until};

/// Mounts of the engines' own, over what is the host's.
const SET_UP: &str = "\
umount -l /sys/fs/cgroup && mount -t cgroup2 none /sys/fs/cgroup || exit 1
for place in /run /dev/shm /var/lib/containers /var/tmp; do
    mkdir -p $place && mount -t tmpfs -o mode=1777 tmpfs $place || exit 1
done
mkdir -p /run/lock
ip link set lo up
echo ready
exec sleep 100000";

const CONTAINERS_CONF: &str = "\
[containers]
pids_limit = 0
log_driver = \"k8s-file\"
[engine]
cgroup_manager = \"cgroupfs\"
events_logger = \"file\"
runtime = \"servin\"
[engine.runtimes]
servin = [\"RUNTIME\"]
";

/// A mount namespace in which the engines live, until it is dropped.
struct Engines {
    holder: Child,
    home: PathBuf,
}

impl Engines {
    /// With the image `bb`: busybox.
    fn new() -> Engines {
        let mut unshare = Command::new("unshare");
        unshare.args(["--mount", "--propagation", "private", "sh", "-c", SET_UP]);
        unshare.stdin(Stdio::null()).stdout(Stdio::piped());
        let mut holder = unshare.spawn().expect("start unshare");
        let mut line = [0; 6];
        let out = holder.stdout.as_mut().expect("a pipe");
        std::io::Read::read_exact(out, &mut line).expect("the engines' mounts are made");
        let home = scratch("engines/home");
        fs::create_dir_all(&home).expect("make a directory");
        let conf = CONTAINERS_CONF.replace("RUNTIME", servin_run().to_str().expect("UTF-8"));
        fs::write(home.join("containers.conf"), conf).expect("write containers.conf");
        let engines = Engines { holder, home };
        // The fixture has no directories to mount on, and no users.
        let root = scratch("engines/root");
        rootfs_fixtures::roots::copy(&fixture("busybox"), &root).expect("copy the fixture's root");
        for directory in ["tmp", "mnt", "etc", "root"] {
            fs::create_dir_all(root.join(directory)).expect("make a directory");
        }
        fs::write(root.join("etc/passwd"), "root:x:0:0::/:/bin/sh\nuser:x:1000:1000::/:/bin/sh\n")
            .expect("write passwd");
        fs::write(root.join("etc/group"), "root:x:0:\nuser:x:1000:\n").expect("write group");
        let image = scratch("engines/bb.tar");
        let tar = Command::new("tar").arg("-C").arg(&root).arg("-cf").arg(&image).arg(".").status();
        assert!(tar.expect("start tar").success());
        engines.podman(&["import", image.to_str().expect("UTF-8"), "bb:latest"]).succeeds();
        engines
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new("nsenter");
        command.arg("-t").arg(self.holder.id().to_string()).arg("-m").arg("--").arg(program);
        command.env("CONTAINERS_CONF", self.home.join("containers.conf")).env("STORAGE_DRIVER", "vfs");
        command.env("TMPDIR", "/var/tmp").env_remove("SERVIN_ROOT").stdin(Stdio::null());
        command
    }

    fn podman_command(&self, arguments: &[&str]) -> Command {
        let mut command = self.command("podman");
        command.args(["--root", "/var/lib/containers/storage", "--runroot", "/run/containers"]);
        command.args(["--tmpdir", "/run/podman"]).args(arguments);
        command
    }

    fn podman(&self, arguments: &[&str]) -> Finished {
        start(self.podman_command(arguments)).finish()
    }

    /// `podman run` without a network.
    fn run(&self, arguments: &[&str]) -> Finished {
        self.podman(&[&["run", "--rm", "--network", "none"], arguments].concat())
    }

    /// A container that runs until it gets TERM, and then ends with 3.
    fn sleeper(&self, name: &str) {
        self.podman(&["run", "-d", "--name", name, "--network", "none", "bb", "sh", "-c", SLEEPER])
            .succeeds();
    }

    /// What Servin keeps of containers.
    fn left(&self) -> Vec<String> {
        let listed = start({
            let mut command = self.command(servin_run().to_str().expect("UTF-8"));
            command.args(["list", "--quiet"]);
            command
        });
        listed.finish().succeeds().lines().iter().map(|line| line.to_string()).collect()
    }
}

impl Drop for Engines {
    fn drop(&mut self) {
        let _ = self.holder.kill();
        let _ = self.holder.wait();
        // The engines' own; one with a container's below it cannot be removed, and is found by the look for leaks.
        let mount = cgroup_mount().expect("cgroup v2");
        for own in ["libpod_parent/conmon", "libpod_parent", "default"] {
            let _ = fs::remove_dir(mount.join(own));
        }
    }
}

const SLEEPER: &str = "trap 'exit 3' TERM; while :; do sleep 0.1; done";

#[test]
fn podman_runs_containers_and_hands_their_codes_on() {
    alone(|| {
        let podman = Engines::new();
        let info = podman
            .podman(&["info", "--format", "{{.Host.OCIRuntime.Name}} {{.Host.OCIRuntime.Path}}"])
            .succeeds();
        assert_eq!(info.out.trim(), format!("servin {}", servin_run().display()));
        assert_eq!(podman.run(&["bb", "sh", "-c", "echo hi; exit 7"]).ends_with(7).out, "hi\n");
        assert!(podman.run(&["bb", "nosuch"]).ends_with(127).err.contains("not found"));
        assert!(podman.run(&["bb", "/etc/passwd"]).ends_with(126).err.contains("permission denied"));
        assert!(podman.run(&["-w", "/nowhere", "bb", "true"]).fails(&["/nowhere"]).code > 124);
        let mut piped = podman.podman_command(&["run", "--rm", "-i", "--network", "none", "bb", "cat"]);
        let input = scratch("input");
        fs::write(&input, "through\n").expect("write");
        piped.stdin(fs::File::open(&input).expect("open"));
        assert_eq!(start(piped).finish().succeeds().out, "through\n");
        assert_eq!(podman.left(), [""; 0]);
    });
}

#[test]
fn podmans_options_reach_the_process() {
    alone(|| {
        let podman = Engines::new();
        let script = "hostname; id -u; pwd; echo $A; grep -E 'Cap(Eff|Bnd)|NoNewPrivs|Seccomp:' /proc/self/status; \
                      touch /x; touch /tmp/x && echo tmp; cat /mnt/given; touch /mnt/y; cat /proc/sys/net/ipv4/ip_forward";
        let given = scratch("volume/given");
        fs::write(&given, "given\n").expect("write");
        let volume = format!("{}:/mnt:ro", given.parent().expect("a directory").display());
        let limit = "--ulimit=nofile=100:100";
        let ended = podman.run(&[
            "--read-only",
            "--tmpfs",
            "/tmp",
            "--cap-drop",
            "all",
            "--security-opt",
            "no-new-privileges",
            "--hostname",
            "inside",
            "-v",
            &volume,
            "-e",
            "A=b",
            "-w",
            "/mnt",
            "--sysctl",
            "net.ipv4.ip_forward=1",
            limit,
            // Podman's own default raises this one, which takes a capability that the machine may lack.
            "--ulimit=nproc=1000:1000",
            "bb",
            "sh",
            "-c",
            script,
        ]);
        let out = ended.succeeds();
        let expected = "inside\n0\n/mnt\nb\nCapEff:\t0000000000000000\nCapBnd:\t0000000000000000\nNoNewPrivs:\t1\n\
                        Seccomp:\t2\ntmp\ngiven\n1\n";
        assert_eq!(out.out, expected, "{}", out.err);
        assert_eq!(out.err.matches("Read-only file system").count(), 2, "{}", out.err);
        let out = podman.run(&[
            "-u",
            "user",
            "--ulimit=nproc=1000:1000",
            limit,
            "bb",
            "sh",
            "-c",
            "id -u; ulimit -n",
        ]);
        assert_eq!(out.succeeds().out, "1000\n100\n");
        let out = podman.run(&["--device", "/dev/fuse", "bb", "stat", "-c", "%t:%T", "/dev/fuse"]);
        assert_eq!(out.succeeds().out, "a:e5\n");
        assert_eq!(podman.run(&["--init", "bb", "sh", "-c", "echo $$"]).succeeds().out, "2\n");
        assert_eq!(
            podman.run(&["--privileged", "bb", "mount", "-t", "tmpfs", "t", "/mnt"]).succeeds().out,
            ""
        );
        let out = podman.run(&["--pid=host", "--ipc=host", "--uts=host", "bb", "hostname"]).succeeds().out;
        assert_eq!(out, fs::read_to_string("/proc/sys/kernel/hostname").expect("a name"));
        let out = podman.podman(&["run", "--rm", "--network", "host", "bb", "ls", "/sys/class/net"]);
        assert_eq!(out.succeeds().out.trim(), "lo");
        let out =
            podman.run(&["--uidmap", "0:100000:65536", "bb", "sh", "-c", "id -u; cat /proc/self/uid_map"]);
        let words: Vec<String> = out.succeeds().out.split_whitespace().map(str::to_string).collect();
        assert_eq!(words, ["0", "0", "100000", "65536"]);
        assert_eq!(podman.left(), [""; 0]);
    });
}

#[test]
fn podman_execs_with_and_without_a_terminal() {
    alone(|| {
        let podman = Engines::new();
        podman.sleeper("one");
        assert_eq!(podman.podman(&["exec", "one", "sh", "-c", "echo in; exit 5"]).ends_with(5).out, "in\n");
        assert_eq!(
            podman
                .podman(&[
                    "exec",
                    "-u",
                    "1000",
                    "-w",
                    "/tmp",
                    "-e",
                    "X=y",
                    "one",
                    "sh",
                    "-c",
                    "id -u; pwd; echo $X"
                ])
                .succeeds()
                .out,
            "1000\n/tmp\ny\n"
        );
        podman.podman(&["exec", "one", "nosuch"]).ends_with(127);
        podman.podman(&["exec", "-d", "one", "sh", "-c", "echo > /tmp/detached"]).succeeds();
        until("the detached process does nothing", || {
            podman.podman(&["exec", "one", "ls", "/tmp/detached"]).code == 0
        });
        let terminal = Terminal::new(31, 97);
        let mut terminal = terminal.start(podman.podman_command(&["exec", "-it", "one", "sh"]));
        terminal
            .expect("# ")
            .type_in("tty; stty size\r")
            .expect("/dev/pts/0")
            .expect("31 97")
            .type_in("exit 4\r");
        terminal.finish().ends_with(4);
        let mut terminal = Terminal::new(24, 80).start(podman.podman_command(&[
            "run",
            "--rm",
            "-it",
            "--network",
            "none",
            "bb",
            "sh",
        ]));
        terminal.expect("# ").type_in("echo $((6 * 7)); exit 9\r").expect("42");
        terminal.finish().ends_with(9);
        assert!(podman.podman(&["top", "one"]).succeeds().out.contains("sleep 0.1"));
        podman.podman(&["rm", "-f", "-t", "0", "one"]).succeeds();
        assert_eq!(podman.left(), [""; 0]);
    });
}

#[test]
fn podman_stops_kills_pauses_and_removes() {
    alone(|| {
        let podman = Engines::new();
        let shown = |what: &str| {
            podman.podman(&["inspect", "one", "--format", what]).succeeds().out.trim().to_string()
        };
        podman.sleeper("one");
        assert_eq!(shown("{{.State.Status}}"), "running");
        podman.podman(&["pause", "one"]).succeeds();
        assert_eq!(shown("{{.State.Status}}"), "paused");
        podman.podman(&["unpause", "one"]).succeeds();
        podman.podman(&["stop", "-t", "10", "one"]).succeeds();
        assert_eq!(shown("{{.State.Status}} {{.State.ExitCode}}"), "exited 3");
        podman.podman(&["start", "one"]).succeeds();
        podman.podman(&["kill", "-s", "KILL", "one"]).succeeds();
        until("it is not killed", || shown("{{.State.Status}} {{.State.ExitCode}}") == "exited 137");
        podman.podman(&["restart", "one"]).succeeds();
        assert_eq!(podman.podman(&["ps", "-q"]).succeeds().lines().len(), 1);
        podman.podman(&["rm", "-f", "one"]).succeeds();
        assert_eq!(podman.podman(&["ps", "-aq"]).succeeds().out, "");
        assert_eq!(podman.left(), [""; 0]);
    });
}

#[test]
fn podmans_user_namespaces_map_ids_as_asked() {
    alone(|| {
        let podman = Engines::new();
        let map = |arguments: &[&str]| -> Vec<String> {
            let script = ["bb", "sh", "-c", "id -u; cat /proc/self/uid_map"];
            let out = podman.run(&[arguments, &script].concat()).succeeds().out;
            out.split_whitespace().map(str::to_string).collect()
        };
        // Where from is the choice of Podman, out of what /etc/subuid gives to its user "containers".
        let mine = "containers:200000:1000000\n";
        let script = "for file in /etc/subuid /etc/subgid; do printf %s \"$0\" > /run/sub && mount --bind /run/sub $file; done";
        let mut give = podman.command("sh");
        give.args(["-c", script, mine]);
        start(give).finish().succeeds();
        let map_of = map(&["--userns", "auto:size=4096"]);
        assert_eq!((map_of[0].as_str(), map_of[1].as_str(), map_of[3].as_str()), ("0", "0", "4096"));
        assert!(map_of[2].parse::<u32>().is_ok_and(|outside| outside >= 200_000), "{map_of:?}");
        let fixed = ["--userns", "auto:size=100,uidmapping=0:300000:100,gidmapping=0:300000:100"];
        assert_eq!(map(&fixed)[..3], ["0", "0", "300000"]);
        assert_eq!(map(&["--userns", "host"])[..3], ["0", "0", "0"]);
        // Another container's, joined by its path.
        let held = ["--name", "held", "--network", "none", "--uidmap", "0:100000:5000"];
        podman.podman(&[&["run", "-d", "--rm"][..], &held, &["bb", "sh", "-c", SLEEPER]].concat()).succeeds();
        assert_eq!(map(&["--userns", "container:held"]), ["0", "0", "100000", "5000"]);
        let words = podman.podman(&["exec", "held", "cat", "/proc/self/uid_map"]).succeeds().out;
        assert!(words.contains("100000"), "{words}");
        // Its own clean-up removes it: beside that `podman rm` finds /dev/shm busy at times.
        podman.podman(&["stop", "-t", "10", "held"]).succeeds();
        until("it is not removed", || podman.left().is_empty());
        // These are for callers without privileges.
        for mode in ["keep-id", "nomap"] {
            podman.run(&["--userns", mode, "bb", "true"]).fails(&[mode, "rootless"]);
        }
        assert_eq!(podman.left(), [""; 0]);
    });
}

/// A user without privileges, with ids of his own below, and Servin and the image where he can read them.
const UNPRIVILEGED: &str = "\
set -e
mkdir -p /run/home /run/user/4711
own() { cat /etc/$1 > /run/$1; echo \"$2\" >> /run/$1; mount --bind /run/$1 /etc/$1; }
own passwd user:x:4711:4711::/run/home:/bin/sh
own group user:x:4711:
own subuid user:200000:65536
own subgid user:200000:65536
install -m 755 \"$1\" /run/servin-run
cp \"$2\" /run/home/bb.tar
sed \"s,$1,/run/servin-run,\" \"$3\" > /run/home/containers.conf
chown -R 4711:4711 /run/home /run/user/4711
chmod 700 /run/user/4711";

#[test]
fn podmans_user_namespaces_of_an_unprivileged_user() {
    alone(|| {
        let podman = Engines::new();
        let mut set_up = podman.command("sh");
        set_up.args(["-c", UNPRIVILEGED, "sh"]).arg(servin_run());
        set_up.arg(scratch("engines/bb.tar")).arg(podman.home.join("containers.conf"));
        start(set_up).finish().succeeds();
        let rootless = |arguments: &[&str]| {
            let mut command = podman.command("setpriv");
            command.args(["--reuid=4711", "--regid=4711", "--clear-groups", "env", "-C", "/run/home"]);
            command.args(["HOME=/run/home", "XDG_RUNTIME_DIR=/run/user/4711", "podman"]).args(arguments);
            command.env("CONTAINERS_CONF", "/run/home/containers.conf");
            start(command).finish()
        };
        rootless(&["import", "bb.tar", "bb:latest"]).succeeds();
        for (mode, expected) in [
            // In terms of Podman's own namespace, whose root is the user.
            ("keep-id", "4711 0 1 4711 4711 0 1 4712 4712 60825"),
            ("nomap", "0 0 1 65536"),
            ("auto:size=500", "0 0 1 500"),
            ("host", "0 0 4711 1 1 200000 65536"),
        ] {
            let run = ["run", "--rm", "--network", "none", "--userns", mode, "bb", "sh", "-c"];
            let ended = rootless(&[&run[..], &["id -u; cat /proc/self/uid_map"]].concat()).succeeds();
            assert_eq!(ended.out.split_whitespace().collect::<Vec<_>>().join(" "), expected, "{mode}");
        }
        // Ends the process that keeps its namespace.
        rootless(&["system", "migrate"]).succeeds();
    });
}

#[test]
fn podmans_pods_share_namespaces() {
    alone(|| {
        let podman = Engines::new();
        // Podman 4.3 denies every device to the cgroup of a pod without systemd, with any runtime.
        podman
            .podman(&["pod", "create", "--name", "pod", "--network", "none", "--share-parent=false"])
            .succeeds();
        for name in ["one", "two"] {
            podman
                .podman(&["run", "-d", "--pod", "pod", "--name", name, "bb", "sh", "-c", SLEEPER])
                .succeeds();
        }
        let namespaces = |name: &str| {
            let script = "for kind in net ipc uts; do readlink /proc/self/ns/$kind; done";
            podman.podman(&["exec", name, "sh", "-c", script]).succeeds().out
        };
        assert_eq!(namespaces("one"), namespaces("two"));
        assert_eq!(namespaces("one").lines().count(), 3);
        podman.podman(&["pod", "stop", "-t", "10", "pod"]).succeeds();
        podman.podman(&["pod", "rm", "-f", "pod"]).succeeds();
        assert_eq!(podman.left(), [""; 0]);
    });
}

#[test]
fn podmans_healthchecks_see_the_container() {
    alone(|| {
        let podman = Engines::new();
        let check = ["--health-cmd", "test -e /tmp/well", "--health-interval", "disable"];
        let run =
            [&["run", "-d", "--name", "one", "--network", "none"][..], &check, &["bb", "sh", "-c", SLEEPER]]
                .concat();
        podman.podman(&run).succeeds();
        podman.podman(&["healthcheck", "run", "one"]).ends_with(1);
        podman.podman(&["exec", "one", "touch", "/tmp/well"]).succeeds();
        podman.podman(&["healthcheck", "run", "one"]).succeeds();
        podman.podman(&["rm", "-f", "-t", "0", "one"]).succeeds();
        assert_eq!(podman.left(), [""; 0]);
    });
}

#[test]
fn podman_and_buildah_build_with_it() {
    alone(|| {
        let podman = Engines::new();
        let context = scratch("context");
        fs::create_dir_all(&context).expect("make a directory");
        let text = "FROM bb\nRUN echo built > /built && test $$ -le 2\nENV X=1\nCMD [\"cat\", \"/built\"]\n";
        fs::write(context.join("Containerfile"), text).expect("write");
        let place = context.to_str().expect("UTF-8");
        podman.podman(&["build", "--network", "none", "-t", "mine", place]).succeeds();
        assert_eq!(podman.run(&["mine"]).succeeds().out, "built\n");
        fs::write(context.join("Containerfile"), "FROM bb\nRUN exit 6\n").expect("write");
        podman.podman(&["build", "--network", "none", place]).fails(&["6"]);

        let buildah = |arguments: &[&str]| {
            let mut command = podman.command("buildah");
            command
                .args(["--root", "/var/lib/containers/storage", "--runroot", "/run/containers"])
                .args(arguments);
            start(command).finish()
        };
        let name = buildah(&["from", "bb"]).succeeds().out.trim().to_string();
        let runtime = servin_run();
        let run = [
            "run",
            "--isolation",
            "oci",
            "--runtime",
            runtime.to_str().expect("UTF-8"),
            "--network",
            "none",
            &name,
        ];
        let ran = buildah(&[&run[..], &["sh", "-c", "echo from buildah > /said; exit 4"]].concat());
        assert_eq!(ran.code, 4, "{ran:?}");
        assert_eq!(buildah(&[&run[..], &["cat", "/said"]].concat()).succeeds().out, "from buildah\n");
        buildah(&["rm", &name]).succeeds();
        assert_eq!(podman.left(), [""; 0]);
    });
}

const CONTAINERD: &str = "\
version = 2
root = \"/var/lib/containers/containerd\"
state = \"/run/containerd\"
disabled_plugins = [\"io.containerd.grpc.v1.cri\", \"io.containerd.snapshotter.v1.btrfs\", \"io.containerd.snapshotter.v1.zfs\"]
[grpc]
address = \"/run/containerd.sock\"
[ttrpc]
address = \"/run/containerd.sock.ttrpc\"
";

#[test]
fn containerds_shim_drives_it() {
    alone(|| {
        let engines = Engines::new();
        let config = engines.home.join("containerd.toml");
        fs::write(&config, CONTAINERD).expect("write");
        let mut command = engines.command("containerd");
        command.arg("-c").arg(&config);
        let daemon = start(command);
        let ctr_command = |arguments: &[&str]| {
            let mut command = engines.command("ctr");
            command.args(["-a", "/run/containerd.sock"]).args(arguments);
            command
        };
        let ctr = |arguments: &[&str]| start(ctr_command(arguments)).finish();
        until("containerd does not answer", || ctr(&["version"]).code == 0);
        let archive = scratch("engines/image.tar");
        let archive = archive.to_str().expect("UTF-8");
        engines.podman(&["save", "-q", "-o", archive, "bb"]).succeeds();
        ctr(&["images", "import", archive]).succeeds();
        let image = ctr(&["images", "list", "-q"]).succeeds().out.trim().to_string();

        let runtime = servin_run();
        let run = ["run", "--runc-binary", runtime.to_str().expect("UTF-8")];
        let ended = ctr(&[&run[..], &["--rm", &image, "one", "sh", "-c", "echo hi; exit 6"]].concat());
        assert_eq!((ended.code, ended.out.as_str()), (6, "hi\n"), "{}", ended.err);
        let failed = ctr(&[&run[..], &["--rm", &image, "none", "nosuch"]].concat());
        failed.fails(&["OCI runtime create failed", "executable file not found in $PATH"]);
        ctr(&["containers", "rm", "none"]);

        ctr(&[&run[..], &["-d", &image, "two", "sh", "-c", SLEEPER]].concat()).succeeds();
        let state = || {
            let out = ctr(&["tasks", "list"]).succeeds().out;
            let line =
                out.lines().find(|line| line.starts_with("two ")).map(str::to_string).unwrap_or_default();
            line.split_whitespace().nth(2).unwrap_or_default().to_string()
        };
        assert_eq!(state(), "RUNNING");
        let ended = ctr(&["tasks", "exec", "--exec-id", "x", "two", "sh", "-c", "echo in; exit 5"]);
        assert_eq!((ended.code, ended.out.as_str()), (5, "in\n"), "{}", ended.err);
        ctr(&["tasks", "pause", "two"]).succeeds();
        assert_eq!(state(), "PAUSED");
        ctr(&["tasks", "resume", "two"]).succeeds();
        assert_eq!(state(), "RUNNING");
        assert!(ctr(&["tasks", "ps", "two"]).succeeds().lines().len() >= 2);
        assert!(ctr(&["tasks", "metrics", "two"]).succeeds().out.contains("pids.current"));
        let mut terminal =
            Terminal::new(24, 80).start(ctr_command(&["tasks", "exec", "-t", "--exec-id", "t", "two", "sh"]));
        terminal.expect("# ").type_in("tty; exit 8\r").expect("/dev/pts/0");
        terminal.finish().ends_with(8);
        ctr(&["tasks", "kill", "-s", "TERM", "two"]).succeeds();
        until("it does not stop", || state() == "STOPPED");
        let removed = ctr(&["tasks", "rm", "two"]);
        assert!(removed.err.contains("exit code 3") || removed.out.contains('3'), "{removed:?}");
        ctr(&["containers", "rm", "two"]).succeeds();
        daemon.signal(15);
        daemon.finish();
        assert_eq!(engines.left(), [""; 0]);
    });
}
