//! The root: where it is, whether it may be written to, how its mounts propagate, and that there is no way back.

use std::fs;
use std::os::unix::fs::symlink;

use serde_json::json;
use servin_tests::{Bundle, VICTIM, alone, make_shared};

#[test]
fn a_read_only_root_cannot_be_written_to() {
    alone(|| {
        let bundle = Bundle::new().set("/root/readonly", true);
        let run =
            bundle.probe(&["try-create", "/new", "/bin/new", "/etc/new", "/dev/new", "/dev/shm/new"]).run();
        assert_eq!(run.lines(), ["EROFS", "EROFS", "EROFS", "ok", "ok"]);
    });
}

#[test]
fn a_writable_root_is_the_bundles_own() {
    alone(|| {
        let bundle = Bundle::new().writable().probe(&["write", "/etc/new", "from inside"]);
        bundle.run().succeeds();
        assert_eq!(fs::read_to_string(bundle.root().join("etc/new")).expect("read a file"), "from inside");
    });
}

#[test]
fn a_root_without_a_word_about_it_is_writable() {
    alone(|| drop(Bundle::new().without("/root/readonly").probe(&["try-create", "/new"]).run().succeeds()));
}

#[test]
fn the_root_may_be_an_absolute_path_or_a_link() {
    alone(|| {
        let bundle = Bundle::new();
        let root = bundle.root().display().to_string();
        assert_eq!(bundle.set("/root/path", root.as_str()).report()["exe"], "/bin/probe");
        let bundle = Bundle::new().set("/root/path", "linked");
        symlink("rootfs", bundle.directory().join("linked")).expect("make a link");
        assert_eq!(bundle.report()["exe"], "/bin/probe");
    });
}

#[test]
fn the_bundle_is_the_working_directory_when_none_is_named() {
    alone(|| {
        let bundle = Bundle::new();
        bundle.command();
        let mut command = std::process::Command::new(servin_tests::servin_run());
        command.current_dir(bundle.directory()).args(["run", "from-here"]);
        assert_eq!(servin_tests::start(command).finish().report()["pid"], 1);
    });
}

#[test]
fn a_root_that_is_not_there_or_no_directory_is_named() {
    alone(|| {
        Bundle::new().set("/root/path", "nowhere").run().fails(&["nowhere"]);
        Bundle::new().set("/root/path", "config.json").run().fails(&["config.json"]);
    });
}

#[test]
fn every_propagation_of_the_root_does_what_it_says() {
    alone(|| {
        let source = servin_tests::scratch("shared");
        fs::create_dir_all(&source).expect("make a directory");
        let source = source.to_str().expect("a path of ours");
        servin_tests::tmpfs(source).expect("mount a tmpfs");
        make_shared(source);
        for (word, shown) in [
            ("private", ""),
            ("rprivate", ""),
            ("shared", "shared:"),
            ("rshared", "shared:"),
            ("unbindable", "unbindable"),
        ] {
            let seen = Bundle::new().set("/linux/rootfsPropagation", word).report();
            let propagation = seen.mount("/")["propagation"].to_string();
            assert!(
                if shown.is_empty() { propagation == "[]" } else { propagation.contains(shown) },
                "{word}: {propagation}"
            );
        }
        servin_tests::unmount(source).expect("unmount");
    });
}

#[test]
fn a_slave_root_takes_and_never_gives() {
    alone(|| {
        make_shared("/tmp/servin-tests");
        let seen = Bundle::new().set("/linux/rootfsPropagation", "rslave").report();
        let propagation = seen.mount("/")["propagation"].to_string();
        assert!(propagation.contains("master:") && !propagation.contains("shared:"), "{propagation}");
        servin_tests::make_private_again("/tmp/servin-tests");
    });
}

#[test]
fn the_root_is_mounted_once_and_the_host_is_not_below_it() {
    alone(|| {
        let seen = Bundle::new().report();
        assert_eq!(seen.mount_targets().iter().filter(|target| **target == "/").count(), 1);
        Bundle::new().probe(&["try-read", &format!("{VICTIM}/marker")]).run().ends_with(1);
    });
}

/// Climbs out by every descriptor and the working directory, and by a second chroot.
fn no_way_out(bundle: fn() -> Bundle) {
    let marker = format!("{VICTIM}/marker");
    let climbed = bundle().probe(&["escape-cwd", &marker]).run().succeeds();
    assert_eq!(climbed.json(), json!([]));
    let jumped = bundle()
        .writable()
        .capabilities(&["CAP_SYS_CHROOT"])
        .probe(&["escape-chroot", &marker])
        .run()
        .succeeds();
    assert_eq!(jumped.json(), json!({ "chroot": "ok", "found": false }));
}

#[test]
fn there_is_no_way_out_of_the_root() {
    alone(|| no_way_out(Bundle::new));
}

#[test]
fn there_is_no_way_out_where_pivot_root_does_not_work() {
    // As on an initramfs, whose root cannot be pivoted.
    alone(|| no_way_out(|| Bundle::new().refusing(&["pivot_root", "--errno", "EINVAL"])));
}

#[test]
fn where_pivot_root_does_not_work_the_mounts_are_the_same() {
    alone(|| {
        let targets = |bundle: Bundle| -> Vec<String> {
            bundle.report().mount_targets().into_iter().map(str::to_string).collect()
        };
        assert_eq!(
            targets(Bundle::new().refusing(&["pivot_root", "--errno", "EINVAL"])),
            targets(Bundle::new())
        );
    });
}

#[test]
fn with_all_capabilities_the_hosts_root_is_still_unreachable() {
    alone(|| {
        // Unmounting one's own root, or mounting over it, leads nowhere either.
        let bundle = Bundle::new().writable().capabilities(&["CAP_SYS_ADMIN", "CAP_SYS_CHROOT"]);
        let marker = format!("{VICTIM}/marker");
        let run = bundle.probe(&["both", "mount-attempts", ",", "escape-chroot", &marker]).run().succeeds();
        assert!(run.lines()[1].contains("\"found\":false"), "{}", run.out);
    });
}
