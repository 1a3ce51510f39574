//! Containers of images: what the image says, and what a person says instead.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use servin_tests::{
    Finished, Layout, alone, bind, fixture, forget_home, scratch, servin, servin_program, start, tool,
    unmount,
};

/// An image with the probe, busybox and a configuration.
fn app() -> String {
    let layout = Layout::new("app")
        .layer(|root| {
            for name in ["busybox", "minimal"] {
                let from = format!("{}/.", fixture(name).display());
                tool("cp", &["-a", &from, root.to_str().expect("UTF-8")]);
            }
            fs::create_dir_all(root.join("etc")).expect("mkdir");
            fs::create_dir_all(root.join("data")).expect("mkdir");
            fs::write(root.join("data/old"), "old").expect("write");
            fs::write(root.join("etc/passwd"), "root:x:0:0::/root:/bin/sh\napp:x:1234:2345::/srv:/bin/sh\n")
                .expect("write");
            fs::write(root.join("etc/group"), "root:x:0:\napp:x:2345:\nlog:x:77:app\n").expect("write");
        })
        .layer(|root| {
            fs::write(root.join("second"), "two").expect("write");
            fs::remove_file(root.join("etc/group")).expect("remove");
            fs::write(root.join("etc/group"), "root:x:0:\napp:x:2345:\ntape:x:78:app\n").expect("write");
        })
        .config(&[
            "--config.entrypoint=/bin/probe",
            "--config.cmd=report",
            "--config.env=PATH=/bin:/image",
            "--config.env=FROM=image",
            "--config.workingdir=/work/dir",
            "--config.user=app",
            "--config.label=who=image",
            "--config.stopsignal=SIGUSR1",
        ]);
    servin(&["load", "-i", &layout.text()]).succeeds();
    let id = servin(&["images", "-q", "--no-trunc"]).succeeds().out.trim().to_string();
    servin(&["tag", &id, "app"]).succeeds();
    fs::remove_dir_all("/tmp/servin-tests/app").expect("forget the layout");
    id
}

#[test]
fn a_container_runs_as_its_image_says() {
    alone(|| {
        app();
        let seen = servin(&["run", "--rm", "app"]).report();
        assert_eq!(seen["cwd"], "/work/dir");
        let env = seen["env"].to_string();
        assert!(env.contains("PATH=/bin:/image") || env.contains("\"PATH\":\"/bin:/image\""), "{env}");
        assert!(env.contains("FROM") && env.contains("/srv"), "{env}");
        assert_eq!(
            (&seen["uid"]["real"], &seen["gid"]["real"]),
            (&1234.into(), &2345.into()),
            "{}",
            seen["uid"]
        );
        assert_eq!(seen["groups"].to_string(), "[78]");
        forget_home();
    });
}

#[test]
fn what_a_person_says_counts_more_than_the_image() {
    alone(|| {
        app();
        let run =
            |flags: &[&str], words: &[&str]| servin(&[&["run", "--rm"], flags, &["app"], words].concat());
        let shell = |flags: &[&str], script: &str| {
            let flags = [&["--entrypoint", "/bin/sh"], flags].concat();
            run(&flags, &["-c", script]).succeeds().out.trim().to_string()
        };
        assert_eq!(shell(&[], "echo $FROM; pwd; id -u; cat /second"), "image\n/work/dir\n1234\ntwo");
        assert_eq!(shell(&["-e", "FROM=me", "-w", "/", "-u", "0"], "echo $FROM; pwd; id -u"), "me\n/\n0");
        run(&["--entrypoint", ""], &[]).fails(&["names no program"]);
        run(&["--entrypoint", ""], &["/bin/sh", "-c", "exit 3"]).ends_with(3);
        run(&["-u", "nobody-here"], &[]).fails(&["no user nobody-here"]);
        run(&["--read-only", "-w", "/", "--entrypoint", "/bin/sh", "-u", "0"], &["-c", "echo x > /file"])
            .ends_with(1);
        forget_home();
    });
}

#[test]
fn changes_stay_in_the_container_and_removed_files_removed() {
    alone(|| {
        let id = app();
        let shell = ["--entrypoint", "/bin/sh", "-u", "0", "app", "-c"];
        servin(
            &[&["run", "--name", "one"], &shell[..], &["echo changed > /second; rm -f /etc/passwd"]].concat(),
        )
        .succeeds();
        servin(&[&["run", "--rm"], &shell[..], &["cat /second; test -e /etc/passwd"]].concat()).succeeds();
        servin(&["rmi", "app"]).fails(&["used by the container one"]);
        servin(&["rmi", "-f", "app"]).succeeds();
        // Its layers stay as long as the container does.
        servin(&["start", "-a", "one"]).succeeds();
        servin(&["rm", "one"]).succeeds();
        servin(&["image", "prune", "-f"]).succeeds();
        let left = fs::read_dir(format!("{}/layers/sha256", std::env::var("SERVIN_HOME").expect("set")));
        assert_eq!(left.expect("list").count(), 0);
        servin(&["run", "--pull", "never", &id]).fails(&["there is no image"]);
        forget_home();
    });
}

#[test]
fn images_of_many_layers_and_a_home_of_a_long_path_run() {
    alone(|| {
        let mut layout = Layout::new("many").layer(|root| {
            tool(
                "cp",
                &["-a", &format!("{}/.", fixture("busybox").display()), root.to_str().expect("UTF-8")],
            );
        });
        for number in 0..90 {
            let content =
                rootfs_fixtures::archives::file(&format!("layers/{number}"), number.to_string().as_bytes());
            layout = layout.raw_layer(&rootfs_fixtures::archives::archive(&[content]));
        }
        let home = scratch(&"a-long-name-of-a-directory/".repeat(9));
        let home = home.to_str().expect("UTF-8");
        servin(&["--home", home, "load", "-i", &layout.text()]).succeeds();
        let id = servin(&["--home", home, "images", "-q"]).succeeds().out.trim().to_string();
        let run = [
            "--home",
            home,
            "run",
            "--rm",
            &id,
            "/bin/sh",
            "-c",
            "ls /layers | wc -l; cat /layers/0 /layers/89",
        ];
        assert_eq!(servin(&run).succeeds().out, "90\n089");
        forget_home();
    });
}

#[test]
fn an_image_for_another_platform_is_refused_unless_it_is_asked_for() {
    alone(|| {
        let layout = Layout::new("arm")
            .layer(|root| fs::write(root.join("file"), "x").expect("write"))
            .config(&["--architecture=riscv64"]);
        servin(&["load", "-i", &layout.text()]).fails(&["linux/riscv64", "--platform"]);
        servin(&["load", "--platform", "linux/riscv64", "-i", &layout.text()]).succeeds();
        forget_home();
    });
}

#[test]
fn a_containers_changes_become_an_image_and_its_files_an_archive() {
    alone(|| {
        app();
        let script = "echo changed > /second; rm /etc/passwd; mkdir /new; ln /second /new/hard; rm -r /data; mkdir /data; echo 1 > /data/new";
        let shell = ["--entrypoint", "/bin/sh", "-u", "0", "app", "-c", script];
        servin(&[&["run", "--name", "one"], &shell[..]].concat()).succeeds();
        let change = "ENTRYPOINT [\"/bin/sh\"]";
        servin(&["commit", "-c", change, "-c", "USER 0", "-m", "by hand", "one", "changed"]).succeeds();
        let script = "cat /second /new/hard; test -e /etc/passwd || echo gone; cat /data/new; ls /data";
        let seen = servin(&["run", "--rm", "changed", "-c", script]).succeeds().out;
        assert_eq!(seen, "changed\nchanged\ngone\n1\nnew\n");
        let history = servin(&["history", "--format", "{{.Comment}}", "changed"]).succeeds().out;
        assert!(history.starts_with("by hand\n"), "{history}");
        let file = scratch("exported.tar");
        servin(&["export", "-o", file.to_str().expect("UTF-8"), "one"]).succeeds();
        let names = tool("tar", &["-tf", file.to_str().expect("UTF-8")]);
        assert!(names.contains("\nsecond\n") && names.contains("\nbin/busybox\n"), "{names}");
        assert!(!names.contains("etc/passwd") && !names.contains(".wh."), "{names}");
        servin(&["import", file.to_str().expect("UTF-8"), "flat"]).succeeds();
        let seen = servin(&["run", "--rm", "flat", "/bin/sh", "-c", "cat /new/hard; stat -c %h /second"])
            .succeeds()
            .out;
        assert_eq!(seen, "changed\n2\n");
        servin(&["rm", "one"]).succeeds();
        forget_home();
    });
}

#[test]
fn where_home_lies_on_an_overlay_containers_get_copies() {
    alone(|| {
        let layout = Layout::new("base")
            .layer(|root| {
                tool(
                    "cp",
                    &["-a", &format!("{}/.", fixture("busybox").display()), root.to_str().expect("UTF-8")],
                );
                fs::create_dir_all(root.join("data/deep")).expect("mkdir");
                fs::write(root.join("data/deep/old"), "old").expect("write");
                fs::write(root.join("data/low"), "low").expect("write");
                fs::write(root.join("gone"), "x").expect("write");
            })
            .layer(|root| {
                fs::remove_file(root.join("gone")).expect("remove");
                fs::remove_dir_all(root.join("data/deep")).expect("remove");
                fs::create_dir_all(root.join("data/deep")).expect("mkdir");
                let new = root.join("data/deep/new");
                fs::write(&new, "new").expect("write");
                for (path, owner, mode) in [(root.join("data"), (33, 44), 0o750), (new, (7, 8), 0o640)] {
                    chown(&path, Some(owner.0), Some(owner.1)).expect("chown");
                    fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("chmod");
                }
            });
        let place = |name: &str| {
            let path = scratch(&format!("overlay/{name}"));
            fs::create_dir_all(&path).expect("mkdir");
            path.to_str().expect("UTF-8").to_string()
        };
        let merged = place("merged");
        let options =
            format!("lowerdir={},upperdir={},workdir={}", place("lower"), place("upper"), place("work"));
        servin_tests::file_system("overlay", "overlay", &merged, &options).expect("mount an overlay");
        let home = format!("{merged}/home");
        servin(&["--home", &home, "load", "-i", &layout.text()]).succeeds();
        let id = servin(&["--home", &home, "images", "-q"]).succeeds().out.trim().to_string();
        let script =
            "ls /data/deep; test -e /gone || echo gone; ls -a / | grep -c wh; echo x > /new; cat /new";
        for _ in 0..2 {
            let run = servin(&["--home", &home, "run", "--rm", &id, "/bin/sh", "-c", script]).succeeds();
            assert_eq!(run.out, "new\ngone\n0\nx\n");
        }
        // New volumes begin with what the layers have together, not with what the highest one has.
        let script = "find /data | sort; stat -c '%u:%g %a' /data /data/deep/new";
        for flags in [&["-v", "named:/data"][..], &["-v", "/data"], &["--mount", "type=volume,target=/data"]]
        {
            let run = [&["--home", &home, "run", "--rm"], flags, &[&id, "/bin/sh", "-c", script]].concat();
            let seen = "/data\n/data/deep\n/data/deep/new\n/data/low\n33:44 750\n7:8 640\n";
            assert_eq!(servin(&run).succeeds().out, seen);
        }
        servin(&["--home", &home, "volume", "rm", "named"]).succeeds();
        assert_eq!(servin(&["--home", &home, "volume", "ls", "-q"]).succeeds().out, "");
        unmount(&merged).expect("unmount");
    });
}

const USER: u32 = 1000;

/// `servin ARGUMENTS` as a user without privileges.
fn as_user(arguments: &[&str]) -> Finished {
    let home = scratch("user");
    if !home.exists() {
        fs::create_dir(&home).expect("mkdir");
        chown(&home, Some(USER), Some(USER)).expect("give it to the user");
    }
    let mut command = Command::new(servin_program());
    command.args(arguments).stdin(Stdio::null()).current_dir("/").uid(USER).gid(USER);
    command.env_clear().env("PATH", "/usr/bin:/bin").env("HOME", &home).env("XDG_RUNTIME_DIR", &home);
    start(command).finish()
}

/// An image whose files belong to several users, some of whom let nobody else look.
fn owned() -> Layout {
    Layout::new("owned")
        .layer(|root| {
            let from = format!("{}/.", fixture("busybox").display());
            tool("cp", &["-a", &from, root.to_str().expect("UTF-8")]);
            for name in ["data", "data/sub"] {
                fs::create_dir(root.join(name)).expect("mkdir");
            }
            for name in ["data/own", "data/gone", "data/sub/low"] {
                fs::write(root.join(name), name).expect("write");
            }
            tool("chown", &["-R", "33:44", root.join("data").to_str().expect("UTF-8")]);
            tool("chmod", &["-R", "u=rwX,go=", root.join("data").to_str().expect("UTF-8")]);
        })
        .layer(|root| {
            fs::remove_file(root.join("data/gone")).expect("remove");
            fs::remove_dir_all(root.join("data/sub")).expect("remove");
            fs::create_dir(root.join("data/sub")).expect("mkdir");
            fs::write(root.join("data/sub/high"), "").expect("write");
        })
}

/// Gives the user ids, in files that lie over the host's; those have to be unmounted.
fn give_ids() -> [(&'static str, &'static str); 3] {
    let files = [
        ("/etc/subuid", "user:100000:1000\n"),
        ("/etc/subgid", "user:200000:1000\n"),
        ("/etc/passwd", "root:x:0:0::/:/bin/sh\nuser:x:1000:1000::/:/bin/sh\n"),
    ];
    for (path, text) in files {
        let own = scratch(&path[1..]);
        fs::write(&own, text).expect("write");
        bind(own.to_str().expect("UTF-8"), path).expect("bind a file");
    }
    files
}

#[test]
fn a_users_volumes_and_copies_have_their_owners_and_go_again() {
    alone(|| {
        let text = owned().config(&["--config.volume=/data"]).text();
        tool("chown", &["-R", "1000:1000", &text]);
        let files = give_ids();
        let run = |flags: &[&str], script: &str| {
            let words = [&["run", "--network", "none"], flags, &["owned", "/bin/sh", "-c", script]].concat();
            as_user(&words).succeeds().out
        };
        as_user(&["load", "-i", &text]).succeeds();
        let id = as_user(&["images", "-q"]).succeeds().out.trim().to_string();
        as_user(&["tag", &id, "owned"]).succeeds();
        let data = scratch("user").join(".local/share/servin/volumes/named/data");
        // What the layers have together, with owners and modes, in a volume with a name and in one without.
        let seen = "find /data | sort; stat -c '%u:%g %a' /data /data/own";
        let names = "/data\n/data/own\n/data/sub\n/data/sub/high\n";
        for flags in [&["--rm"][..], &["--rm", "-v", "named:/data"]] {
            assert_eq!(run(flags, seen), format!("{names}33:44 700\n33:44 600\n"));
        }
        let owner = |path: &std::path::Path| {
            let stat = fs::metadata(path).expect("stat");
            (stat.uid(), stat.gid())
        };
        assert_eq!(owner(&data), (100_032, 200_043));
        run(&["--rm", "-v", "named:/data", "-u", "33:44"], "mkdir -m 700 /data/deep; echo x > /data/deep/x");
        run(&["--rm", "-v", "given:/data:U", "-u", "7:8"], "test $(stat -c %u:%g /data/own) = 7:8");
        // Files of others are copied out of a container and into one, whether it runs or not.
        let host = scratch("user/copied");
        let host = host.to_str().expect("UTF-8");
        for (name, running) in [("stopped", false), ("running", true)] {
            run(
                &["-d", "--name", name, "-v", "named:/data"],
                "mkdir -m 700 /own; echo kept > /own/file; chown -R 33:44 /own; exec sleep 100",
            );
            servin_tests::until("it has its file", || {
                as_user(&["exec", name, "cat", "/own/file"]).out == "kept\n"
            });
            if !running {
                as_user(&["kill", name]).succeeds();
                as_user(&["wait", name]).succeeds();
            }
            as_user(&["cp", &format!("{name}:/own/file"), host]).succeeds();
            assert_eq!(
                (fs::read_to_string(host).expect("read").as_str(), owner(host.as_ref())),
                ("kept\n", (USER, USER))
            );
            as_user(&["cp", host, &format!("{name}:/own/second")]).succeeds();
            as_user(&["cp", "-a", &format!("{name}:/own"), &format!("{host}-tree")]).succeeds();
            assert_eq!(owner(format!("{host}-tree/file").as_ref()), (100_032, 200_043));
            assert_eq!(owner(format!("{host}-tree/second").as_ref()), (USER, USER));
            tool("rm", &["-r", host, &format!("{host}-tree")]);
            as_user(&["rm", "-f", name]).succeeds();
        }
        as_user(&["system", "df"]).succeeds();
        as_user(&["volume", "rm", "given"]).succeeds();
        as_user(&["volume", "prune", "-a", "-f"]).succeeds();
        assert!(!data.exists());
        assert_eq!(as_user(&["volume", "ls", "-q"]).succeeds().out, "");
        as_user(&["rmi", "owned"]).succeeds();
        for (path, _) in files {
            unmount(path).expect("unmount a file");
        }
        fs::remove_dir_all(scratch("user")).expect("forget the user's files");
    });
}

#[test]
fn a_users_images_have_the_owners_that_the_helpers_map_or_one() {
    alone(|| {
        let text = owned().text();
        tool("chown", &["-R", "1000:1000", &text]);
        let files = give_ids();
        let layers = scratch("user").join(".local/share/servin/layers/sha256");
        let run = |flags: &[&str], script: &str| {
            let (run, shell) = (["run", "--network", "none"], ["owned", "/bin/sh", "-c", script]);
            as_user(&[&run, flags, &shell].concat())
        };
        let found = "stat -c '%u:%g %n' /data /data/own /bin/busybox; find /data | sort";
        let names = "/data\n/data/own\n/data/sub\n/data/sub/high\n";
        let take_in = || {
            as_user(&["load", "-i", &text]).succeeds();
            let id = as_user(&["images", "-q"]).succeeds().out.trim().to_string();
            as_user(&["tag", &id, "owned"]).succeeds();
        };
        take_in();
        let outside = tool("find", &[layers.to_str().expect("UTF-8"), "-name", "own", "-printf", "%U:%G"]);
        assert_eq!(outside, "100032:200043");
        let out = run(&["--rm"], found).succeeds().out;
        assert_eq!(out, format!("33:44 /data\n33:44 /data/own\n0:0 /bin/busybox\n{names}"));
        // What other users of the container make is theirs, and goes with the container or into an image.
        let make = "mkdir -p /data/new/deep; chmod 700 /data/new; echo x > /data/new/deep/file";
        run(&["--name", "kept", "-u", "33:44"], make).succeeds();
        let changes = as_user(&["diff", "kept"]).succeeds().out;
        assert!(changes.contains("A /data/new/deep/file\n"), "{changes}");
        as_user(&["commit", "kept", "second"]).succeeds();
        let shown =
            ["run", "--rm", "--network", "none", "second", "stat", "-c", "%u:%g", "/data/new/deep/file"];
        assert_eq!(as_user(&shown).succeeds().out, "33:44\n");
        as_user(&["rm", "kept"]).succeeds();
        run(&["--rm", "-u", "33:44"], make).succeeds();
        as_user(&["rmi", "second", "owned"]).succeeds();
        assert_eq!(fs::read_dir(&layers).expect("list").count(), 0);
        // Nobody gives ids to this user any more: all is his own.
        unmount("/etc/subuid").expect("unmount");
        fs::write(scratch("etc/subuid"), "").expect("write");
        bind(scratch("etc/subuid").to_str().expect("UTF-8"), "/etc/subuid").expect("bind a file");
        take_in();
        let out = run(&["--rm"], found).succeeds().out;
        assert_eq!(out, format!("0:0 /data\n0:0 /data/own\n0:0 /bin/busybox\n{names}"));
        as_user(&["rmi", "owned"]).succeeds();
        assert_eq!(fs::read_dir(&layers).expect("list").count(), 0);
        for (path, _) in files {
            unmount(path).expect("unmount a file");
        }
        fs::remove_dir_all(scratch("user")).expect("forget the user's files");
    });
}

#[test]
fn volumes_of_an_image_begin_with_what_all_its_layers_have_there() {
    alone(|| {
        let layout = owned().config(&["--config.volume=/data", "--config.volume=/new/place"]);
        servin(&["load", "-i", &layout.text()]).succeeds();
        let id = servin(&["images", "-q"]).succeeds().out.trim().to_string();
        let script = "find /data | sort; stat -c '%u:%g %a' /data /data/own; cat /data/own; \
                      grep -c ' /data \\| /new/place ' /proc/mounts; echo more > /data/more";
        let out = servin(&["run", "--name", "one", &id, "/bin/sh", "-c", script]).succeeds().out;
        let names = "/data\n/data/own\n/data/sub\n/data/sub/high\n";
        assert_eq!(out, format!("{names}33:44 700\n33:44 600\ndata/own2\n"));
        // Each container has its own; a named one keeps what it has.
        servin(&["run", "--rm", &id, "/bin/sh", "-c", "test ! -e /data/more"]).succeeds();
        for expected in ["0", "1"] {
            let script = "ls /data | grep -c more; echo x > /data/more";
            let run = servin(&["run", "--rm", "-v", "named:/data", &id, "/bin/sh", "-c", script]);
            assert_eq!(run.out.trim(), expected);
        }
        servin(&["rm", "-v", "one"]).succeeds();
        servin(&["volume", "rm", "named"]).succeeds();
        assert_eq!(servin(&["volume", "ls", "-q"]).succeeds().out, "");
        forget_home();
    });
}
