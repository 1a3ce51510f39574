//! `servin cp`, `diff` and `top`, as a person types them.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use servin_tests::{People, alone, forget_home, scratch, servin, servin_program, skip, start};

/// A line of the shell, with `$S` for servin.
fn shell(line: &str) -> servin_tests::Finished {
    let mut command = std::process::Command::new("sh");
    command.args(["-c", line]).env("S", servin_program()).stdin(std::process::Stdio::null());
    start(command).finish()
}

/// A container of the host's programs that does not run.
fn created(name: &str) {
    servin(&["create", "--name", name, "--rootfs", "host", "--", "/bin/true"]).succeeds();
}

#[test]
fn files_are_copied_into_a_container_that_does_not_run_and_out_again() {
    alone(|| {
        created("box");
        let here = scratch("copy");
        fs::create_dir_all(here.join("tree/deep")).expect("make");
        fs::write(here.join("tree/deep/file"), "content").expect("write");
        symlink("deep/file", here.join("tree/link")).expect("link");
        let path = |name: &str| here.join(name).to_str().expect("UTF-8").to_string();
        servin(&["cp", &path("tree"), "box:/fresh"]).succeeds();
        servin(&["cp", &path("tree/deep/file"), "box:/fresh/renamed"]).succeeds();
        // A directory that is there takes the tree in; a dot takes its contents alone.
        servin(&["cp", &path("tree"), "box:/fresh"]).succeeds();
        servin(&["cp", &path("tree/."), "box:/fresh/tree"]).succeeds();
        servin(&["cp", "box:/fresh", &path("out")]).succeeds();
        let read = |name: &str| fs::read_to_string(here.join(name)).expect("read");
        assert_eq!(read("out/deep/file"), "content");
        assert_eq!(read("out/renamed"), "content");
        assert_eq!(fs::read_link(here.join("out/link")).expect("a link").to_str(), Some("deep/file"));
        assert_eq!(read("out/tree/deep/file"), "content");
        servin(&["cp", "-L", "box:/fresh/link", &path("followed")]).succeeds();
        assert!(fs::symlink_metadata(here.join("followed")).expect("stat").is_file());
        servin(&["cp", "box:/nothing", &path("x")]).ends_with(125).fails(&["/nothing"]);
        servin(&["cp", &path("tree"), "nobody:/x"]).ends_with(125).fails(&["there is no container nobody"]);
        servin(&["cp", "/a", "/b"]).ends_with(125).fails(&["CONTAINER:PATH"]);
        let diff = servin(&["diff", "box"]).succeeds().out;
        assert!(diff.contains("/fresh/renamed\n") && diff.contains("A /fresh/deep/file\n"), "{diff}");
        servin(&["rm", "box"]).succeeds();
        forget_home();
    });
}

#[test]
fn a_hostile_container_gets_nothing_of_the_host_by_its_links() {
    alone(|| {
        let people = People::new();
        let root = people.root();
        symlink(servin_tests::VICTIM, root.join("escape")).expect("link");
        symlink("../../../../../../..", root.join("up")).expect("link");
        let words =
            ["create", "--name", "evil", "--rootfs", root.to_str().expect("UTF-8"), "--", "/bin/probe"];
        servin(&words).succeeds();
        let here = scratch("evil");
        fs::create_dir_all(&here).expect("make");
        fs::write(here.join("marker"), "overwritten").expect("write");
        let marker = here.join("marker").to_str().expect("UTF-8").to_string();
        // The victim does not exist inside: a path through the link leads nowhere, or into the container.
        let _ = servin(&["cp", &marker, "evil:/escape/marker"]);
        let _ = servin(&["cp", &marker, "evil:/escape"]);
        servin(&["cp", &marker, "evil:/up/marker"]).succeeds();
        assert_eq!(fs::read_to_string(root.join("marker")).expect("read"), "overwritten");
        let out = here.join("out").to_str().expect("UTF-8").to_string();
        servin(&["cp", "evil:/escape/passwd", &out]).ends_with(125);
        servin(&["rm", "evil"]).succeeds();
        forget_home();
    });
}

#[test]
fn a_running_container_is_copied_from_and_looked_at() {
    alone(|| {
        let mut running = People::new().flags(&["--name", "busy", "--tmpfs", "/memory"]).start(&[
            "/bin/probe",
            "both",
            "try-create",
            "/memory/inside",
            ",",
            "sleep",
        ]);
        running.says("ready");
        let out = scratch("from-memory");
        servin(&["cp", "busy:/memory/inside", out.to_str().expect("UTF-8")]).succeeds();
        assert!(out.exists());
        servin(&["cp", out.to_str().expect("UTF-8"), "busy:/memory/outside"]).succeeds();
        let top = servin(&["top", "busy"]).succeeds().out;
        assert!(top.starts_with("UID") && top.contains("/bin/probe both"), "{top}");
        servin(&["kill", "busy"]).succeeds();
        running.finish().ends_with(137);
        servin(&["top", "busy"]).ends_with(125);
        forget_home();
    });
}

#[test]
fn archives_come_from_a_container_and_go_into_one() {
    alone(|| {
        created("box");
        let here = scratch("archives");
        fs::create_dir_all(here.join("tree/deep")).expect("make");
        fs::write(here.join("tree/deep/file"), "content").expect("write");
        symlink("deep/file", here.join("tree/link")).expect("link");
        let here = here.to_str().expect("UTF-8");
        // As they are, and compressed.
        shell(&format!("tar -C {here} -c tree | $S cp - box:/srv")).succeeds();
        shell(&format!("tar -C {here} -cz tree | $S cp - box:/tmp")).succeeds();
        let listed = shell("$S cp box:/srv/tree - | tar -tf - | sort").succeeds().out;
        assert_eq!(listed, "tree/\ntree/deep/\ntree/deep/file\ntree/link\n");
        let one = shell("$S cp box:/tmp/tree/deep/file - | tar -xO").succeeds().out;
        assert_eq!(one, "content");
        let inside = shell("$S cp box:/srv/tree/. - | tar -tf - | sort").succeeds().out;
        assert_eq!(inside, "./\ndeep/\ndeep/file\nlink\n");
        let link = shell("$S cp box:/srv/tree/link - | tar -tvf -").succeeds().out;
        assert!(link.contains("link -> deep/file"), "{link}");
        shell("echo nothing | $S cp - box:/srv").ends_with(125);
        shell(&format!("tar -C {here} -c tree | $S cp - box:/nowhere")).ends_with(125).fails(&["/nowhere"]);
        shell("$S cp box:/nothing -").ends_with(125).fails(&["/nothing"]);
        shell("$S cp - - < /dev/null").ends_with(125).fails(&["CONTAINER:PATH"]);
        servin(&["rm", "box"]).succeeds();
        forget_home();
    });
}

#[test]
fn a_hostile_archive_or_container_leads_nowhere_else() {
    alone(|| {
        if !Path::new("/usr/bin/python3").exists() {
            skip!("there is no Python to write such archives");
        }
        let people = People::new();
        let root = people.root();
        symlink(servin_tests::VICTIM, root.join("escape")).expect("link");
        let words =
            ["create", "--name", "evil", "--rootfs", root.to_str().expect("UTF-8"), "--", "/bin/probe"];
        servin(&words).succeeds();
        let here = scratch("hostile");
        fs::create_dir_all(here.join("escape")).expect("make");
        fs::write(here.join("escape/marker"), "overwritten").expect("write");
        let here = here.to_str().expect("UTF-8");
        let before = servin_tests::listing(Path::new(servin_tests::VICTIM));
        // Through the container's link, and by a name that leads upwards.
        shell(&format!("tar -C {here} -c escape/marker | $S cp - evil:/"))
            .ends_with(125)
            .fails(&["symbolic link"]);
        shell(&format!("tar -C {here} -c escape/marker | $S cp - evil:/escape")).ends_with(125);
        shell(&format!("tar -C {here}/escape -P --transform 's,^,../../,' -c marker | $S cp - evil:/"))
            .ends_with(125)
            .fails(&["leads upwards"]);
        assert_eq!(servin_tests::listing(Path::new(servin_tests::VICTIM)), before);
        servin(&["rm", "evil"]).succeeds();
        forget_home();
    });
}
