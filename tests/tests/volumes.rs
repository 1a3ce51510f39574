//! Volumes and mounts, as a person types them.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use servin_tests::{People, alone, forget_home, scratch, servin};

const HOME: &str = "/tmp/servin-tests/home";

fn data(name: &str) -> PathBuf {
    Path::new(HOME).join("volumes").join(name).join("data")
}

/// The names that `volume ls -q` prints.
fn names() -> Vec<String> {
    servin(&["volume", "ls", "-q"]).succeeds().lines().iter().map(|line| line.to_string()).collect()
}

#[test]
fn a_volume_is_made_listed_inspected_and_removed() {
    alone(|| {
        let made = servin(&["volume", "create", "--label", "stage=test", "data"]).succeeds();
        assert_eq!(made.out, "data\n");
        assert_eq!(servin(&["volume", "create", "data"]).succeeds().out, "data\n");
        assert_eq!(servin(&["volume", "ls"]).succeeds().out, "DRIVER   VOLUME NAME\nlocal    data\n");
        let inspected = servin(&["volume", "inspect", "data"]).succeeds().json();
        assert_eq!(inspected[0]["Mountpoint"], data("data").to_str().expect("UTF-8"));
        assert_eq!(inspected[0]["Labels"]["stage"], "test");
        let format = |text: &str| servin(&["volume", "inspect", "-f", text, "data"]).succeeds().out;
        assert_eq!(format("{{.Name}} {{.Labels.stage}} {{json .Scope}}"), "data test \"local\"\n");
        assert_eq!(servin(&["volume", "ls", "-q", "-f", "label=stage=other"]).succeeds().out, "");
        assert_eq!(servin(&["volume", "ls", "-q", "-f", "label=stage"]).succeeds().out, "data\n");
        servin(&["volume", "ls", "-f", "colour=red"]).ends_with(125).fails(&["there is no colour"]);
        assert_eq!(servin(&["volume", "rm", "data"]).succeeds().out, "data\n");
        servin(&["volume", "rm", "data"]).ends_with(1).fails(&["there is no volume data"]);
        servin(&["volume", "rm", "-f", "data"]).succeeds();
        servin(&["volume", "create", "../x"]).ends_with(125).fails(&["../x"]);
        assert_eq!(servin(&["volume", "create"]).succeeds().out.trim().len(), 64);
        servin(&["volume", "prune"]).ends_with(125).fails(&["--force"]);
        assert!(servin(&["volume", "prune", "-f"]).succeeds().out.contains("Total reclaimed space: "));
        assert!(names().is_empty());
        forget_home();
    });
}

#[test]
fn a_new_named_volume_has_what_the_image_has_there_and_keeps_what_is_written() {
    alone(|| {
        let people = People::new().flags(&["--rm", "-v", "data:/srv", "--read-only"]);
        let inside = people.root().join("srv");
        fs::create_dir_all(inside.join("deep")).expect("make");
        fs::write(inside.join("deep/file"), "of the image").expect("write");
        std::os::unix::fs::chown(&inside, Some(1000), Some(1001)).expect("chown");
        let run =
            people.run(&["/bin/probe", "both", "read", "/srv/deep/file", ",", "try-create", "/srv/new"]);
        assert_eq!(run.succeeds().out, "of the imageok\n");
        assert!(data("data").join("new").exists() && !inside.join("new").exists());
        let owner = fs::metadata(data("data")).expect("stat");
        assert_eq!((owner.uid(), owner.gid()), (1000, 1001));
        // A second container sees it, read-only where that was asked for; --rm leaves it.
        let read_only = People::new().flags(&["--rm", "-v", "data:/other:ro"]);
        let run =
            read_only.run(&["/bin/probe", "both", "read", "/other/deep/file", ",", "try-create", "/other/x"]);
        assert_eq!(run.out, "of the imageEROFS\n");
        let empty = People::new().flags(&["--rm", "--mount", "source=bare,target=/srv,volume-nocopy"]);
        fs::create_dir_all(empty.root().join("srv/deep")).expect("make");
        empty.run(&["/bin/probe", "exit", "0"]).succeeds();
        assert!(!data("bare").join("deep").exists());
        assert_eq!(names(), ["bare", "data"]);
        forget_home();
    });
}

#[test]
fn nameless_volumes_go_with_their_container_and_used_ones_are_not_removed() {
    alone(|| {
        let create = |flags: &[&str], name: &str| {
            let root = People::new().root();
            let root = root.to_str().expect("UTF-8");
            let words =
                [&["create", "--name", name, "--rootfs", root], flags, &["--", "/bin/probe"]].concat();
            servin(&words).succeeds();
        };
        create(&["-v", "/nameless", "-v", "named:/x"], "one");
        assert_eq!(names().len(), 2);
        servin(&["volume", "rm", "named"]).ends_with(1).fails(&["in use by one"]);
        create(&["--volumes-from", "one:ro"], "two");
        assert_eq!(servin(&["volume", "ls", "-q", "-f", "dangling=true"]).succeeds().out, "");
        // The other one still has it.
        servin(&["rm", "-v", "one"]).succeeds();
        assert_eq!(names().len(), 2);
        servin(&["rm", "-v", "two"]).succeeds();
        // Only whose container has made it takes it away.
        servin(&["volume", "prune", "-f"]).succeeds();
        assert_eq!(names(), ["named"]);
        create(&["-v", "/nameless"], "three");
        servin(&["rm", "three"]).succeeds();
        assert_eq!(names().len(), 2);
        servin(&["volume", "prune", "-f", "-a"]).succeeds();
        assert!(names().is_empty());
        People::new().flags(&["--rm", "-v", "/nameless"]).run(&["/bin/probe", "exit", "0"]).succeeds();
        assert!(names().is_empty());
        forget_home();
    });
}

#[test]
fn what_fails_leaves_no_volume() {
    alone(|| {
        for flags in [
            &["-v", "fresh:/x", "-v", "/no/such/place:/y"][..],
            &["-v", "fresh:/x", "--cap-add", "FLY"],
            &["-v", "fresh:/x", "--tmpfs", "/x"],
            &["-v", "fresh:/x", "--volumes-from", "nobody"],
        ] {
            People::new().flags(flags).run(&["/bin/probe", "exit", "0"]).ends_with(125);
            assert!(names().is_empty(), "{flags:?}");
        }
        People::new().flags(&["-v", "fresh:/x", "--plan"]).run(&["/bin/probe", "exit", "0"]).succeeds();
        assert!(names().is_empty());
        forget_home();
    });
}

#[test]
fn mounts_have_dockers_words() {
    alone(|| {
        let source = scratch("bound");
        fs::create_dir_all(&source).expect("make");
        let bind =
            format!("type=bind,source={},target=/dst,readonly,bind-propagation=rslave", source.display());
        let seen = People::new()
            .flags(&[
                "--rm",
                "--mount",
                &bind,
                "--mount",
                "type=tmpfs,target=/memory,tmpfs-size=64k,tmpfs-mode=700",
            ])
            .report();
        assert!(seen.mounted_with("/dst", "ro"));
        assert!(seen.mounted_with("/memory", "size=64k") && seen.mounted_with("/memory", "mode=700"));
        // What a person mounts takes the place of a default; inner mounts come after outer ones.
        let seen = People::new()
            .flags(&[
                "--rm",
                "--tmpfs",
                "/a/b:size=8k",
                "--tmpfs",
                "/a:size=16k",
                "--tmpfs",
                "/dev/shm:size=4k",
            ])
            .report();
        assert!(seen.mounted_with("/a/b", "size=8k") && seen.mounted_with("/dev/shm", "size=4k"));
        let owned = scratch("owned");
        fs::create_dir_all(owned.join("deep")).expect("make");
        let volume = format!("{}:/dst:U", owned.display());
        People::new()
            .flags(&["--rm", "-u", "7:8", "-v", &volume])
            .run(&["/bin/probe", "exit", "0"])
            .succeeds();
        let owner = fs::metadata(owned.join("deep")).expect("stat");
        assert_eq!((owner.uid(), owner.gid()), (7, 8));
        forget_home();
    });
}

#[test]
fn a_part_of_a_volume_is_mounted_and_no_link_in_it_leads_out() {
    alone(|| {
        servin(&["volume", "create", "data"]).succeeds();
        fs::create_dir_all(data("data").join("a/b")).expect("make");
        fs::write(data("data").join("a/b/file"), "deep").expect("write");
        std::os::unix::fs::symlink(servin_tests::VICTIM, data("data").join("out")).expect("link");
        std::os::unix::fs::symlink("/a", data("data").join("in")).expect("link");
        let run = |part: &str, path: &str| {
            let mount = format!("type=volume,source=data,target=/mnt,volume-subpath={part}");
            People::new().flags(&["--rm", "--mount", &mount]).run(&["/bin/probe", "read", path])
        };
        assert_eq!(run("a/b", "/mnt/file").succeeds().out, "deep");
        assert_eq!(run("a/b/file", "/mnt").succeeds().out, "deep");
        // A link is followed inside the volume, which is its root.
        assert_eq!(run("in/b", "/mnt/file").succeeds().out, "deep");
        run("out", "/mnt/marker").ends_with(125).fails(&["volume-subpath", "no such file or directory"]);
        run("nothing", "/mnt").ends_with(125).fails(&["volume-subpath"]);
        for bad in ["", ".", "..", "a/../..", "/"] {
            run(bad, "/mnt").ends_with(125).fails(&["volume-subpath is a path inside the volume"]);
        }
        servin(&["volume", "rm", "data"]).succeeds();
        forget_home();
    });
}

#[test]
fn every_word_of_a_mount_that_is_not_honoured_is_refused_by_its_name() {
    alone(|| {
        for (words, named) in [
            ("type=bind,source=/tmp,target=/t,bind-create-src", "bind-create-src"),
            ("type=bind,source=/tmp,target=/t,volume-subpath=a", "volume-subpath"),
            ("type=tmpfs,target=/t,volume-nocopy", "volume-nocopy"),
            ("type=volume,source=data,target=/t,volume-driver=nfs", "volume-driver"),
            ("type=volume,target=/t,volume-subpath=a", "volume-subpath"),
            ("type=image,source=x,target=/t", "image"),
            ("type=cluster,source=x,target=/t", "cluster"),
            ("type=bind,source=/tmp,target=/t,bind-recursive=often", "bind-recursive"),
        ] {
            People::new()
                .flags(&["--mount", words])
                .run(&["/bin/probe", "report"])
                .ends_with(125)
                .fails(&[named]);
        }
        forget_home();
    });
}
