//! Paths that are hidden, and paths that cannot be written to.

use std::fs;
use std::os::unix::fs::symlink;

use serde_json::json;
use servin_tests::{Bundle, alone};

fn with_secrets() -> Bundle {
    let bundle = Bundle::new()
        .writable()
        .set("/linux/maskedPaths", json!(["/etc/secret", "/etc/secrets", "/nowhere"]));
    fs::write(bundle.root().join("etc/secret"), "hidden").expect("write a file");
    fs::create_dir(bundle.root().join("etc/secrets")).expect("make a directory");
    fs::write(bundle.root().join("etc/secrets/key"), "hidden").expect("write a file");
    bundle
}

#[test]
fn a_masked_file_is_empty_and_takes_no_writes() {
    alone(|| {
        let bundle = with_secrets().probe(&[
            "both",
            "read",
            "/etc/secret",
            ",",
            "write",
            "/etc/secret",
            "x",
            ",",
            "read",
            "/etc/secret",
        ]);
        assert_eq!(bundle.run().out.replace("ok\n", ""), "");
        assert_eq!(fs::read_to_string(bundle.root().join("etc/secret")).expect("read a file"), "hidden");
    });
}

#[test]
fn a_masked_directory_is_empty_and_read_only() {
    alone(|| {
        let run = with_secrets()
            .probe(&["both", "try-create", "/etc/secrets/new", ",", "list", "/etc/secrets"])
            .run();
        assert_eq!(run.out, "EROFS\n");
    });
}

#[test]
fn a_masked_path_that_does_not_exist_is_not_made() {
    alone(|| {
        let bundle = with_secrets().probe(&["stat", "/nowhere"]);
        assert_eq!(bundle.run().json()["/nowhere"], "ENOENT");
        assert!(!bundle.root().join("nowhere").exists());
    });
}

#[test]
fn the_default_masked_paths_say_nothing() {
    alone(|| {
        for path in
            ["/proc/kcore", "/proc/keys", "/proc/timer_list", "/proc/sched_debug", "/proc/latency_stats"]
        {
            let run = Bundle::new().probe(&["read", path]).run();
            assert!(["", "ENOENT\n"].contains(&run.out.as_str()), "{path}: {}", run.out);
        }
        for path in ["/proc/acpi", "/proc/scsi", "/sys/firmware"] {
            let run = Bundle::new().probe(&["list", path]).run();
            assert!(["", "ENOENT\n"].contains(&run.out.as_str()), "{path}: {}", run.out);
        }
    });
}

#[test]
fn the_default_read_only_paths_cannot_be_written_to() {
    alone(|| {
        let run = Bundle::new()
            .probe(&[
                "try-write",
                "/proc/sys/net/ipv4/ip_forward",
                "/proc/sysrq-trigger",
                "/proc/sys/kernel/hostname",
            ])
            .run();
        for answer in run.lines() {
            assert!(["EROFS", "ENOENT"].contains(&answer), "{answer}");
        }
        assert_eq!(run.lines()[0], "EROFS");
    });
}

#[test]
fn a_read_only_path_is_readable_and_keeps_its_other_flags() {
    alone(|| {
        let bundle = Bundle::new().writable().options("/proc", &["nosuid", "nodev", "noexec"]);
        let bundle = bundle.set("/linux/readonlyPaths", json!(["/etc", "/proc/sys", "/nowhere"]));
        fs::write(bundle.root().join("etc/file"), "text").expect("write a file");
        let seen = bundle.report();
        for option in ["ro", "nosuid", "nodev", "noexec"] {
            assert!(seen.mounted_with("/proc/sys", option), "{option}: {}", seen.mount("/proc/sys"));
        }
        let run =
            bundle.probe(&["both", "try-create", "/etc/new", "/tmp/new", ",", "read", "/etc/file"]).run();
        assert_eq!(run.out, "EROFS\nok\ntext");
    });
}

#[test]
fn a_masked_link_hides_what_it_leads_to() {
    alone(|| {
        let bundle = Bundle::new().set("/linux/maskedPaths", json!(["/etc/link"]));
        fs::write(bundle.root().join("etc/secret"), "hidden").expect("write a file");
        symlink("secret", bundle.root().join("etc/link")).expect("make a link");
        assert_eq!(bundle.probe(&["read", "/etc/link"]).run().out, "");
    });
}

#[test]
fn a_path_in_a_volume_is_masked_too() {
    alone(|| {
        let source = servin_tests::scratch("volume");
        fs::create_dir_all(&source).expect("make a directory");
        fs::write(source.join("secret"), "hidden").expect("write a file");
        let bundle = Bundle::new().bind(source.to_str().expect("a path of ours"), "/data", &[]);
        let bundle = bundle.set("/linux/maskedPaths", json!(["/data/secret"]));
        assert_eq!(bundle.probe(&["read", "/data/secret"]).run().succeeds().out, "");
        assert_eq!(fs::read_to_string(source.join("secret")).expect("read a file"), "hidden");
    });
}

#[test]
fn masks_cannot_be_taken_away_from_inside() {
    alone(|| {
        let answers = Bundle::new().probe(&["mount-attempts"]).run().succeeds().json();
        for (attempt, answer) in answers.as_object().expect("an object") {
            // ENOENT: a kernel without that file.
            assert!(answer == "EPERM" || answer == "ENOENT", "{attempt}: {answer}");
        }
    });
}
