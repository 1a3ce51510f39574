//! Roots that attack the runtime. The harness looks after every test whether the host was touched (alone.rs);
//! each test here looks at what the container got instead.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::json;
use servin_tests::{Bundle, Finished, People, Terminal, VICTIM, alone, probe, servin_run, start};

fn hostile(name: &str) -> Bundle {
    Bundle::of(&format!("hostile/{name}")).writable()
}

/// Nothing in /dev but the root's own directory.
fn plain_dev(bundle: Bundle) -> Bundle {
    bundle.unmounted("/dev").unmounted("/dev/pts").unmounted("/dev/shm").unmounted("/dev/mqueue")
}

/// It was refused; or it ran, and then the host's files were not in it.
fn refused_or_harmless(mut bundle: Bundle) -> Finished {
    let run = bundle.run();
    if run.code == 0 {
        for place in [&format!("{VICTIM}/marker"), "/data/marker", "/data/parent/marker", "/app/marker"] {
            bundle = bundle.probe(&["read", place]);
            assert_ne!(bundle.run().out, "untouched", "{place} is the host's");
        }
    } else {
        assert!((125..128).contains(&run.code) || run.code == 1, "{} {}", run.code, run.err);
        assert!(!run.err.trim().is_empty());
    }
    run
}

#[test]
fn proc_that_is_a_link_is_refused() {
    alone(|| {
        for case in ["proc-link", "proc-link-inside"] {
            hostile(case).run().fails(&["/proc"]);
        }
    });
}

#[test]
fn sys_that_is_a_link_is_refused() {
    alone(|| drop(hostile("sys-link").run().fails(&["/sys"])));
}

#[test]
fn a_proc_directory_of_the_image_is_covered_by_the_real_one() {
    alone(|| {
        let seen = hostile("proc-own").set("/process/oomScoreAdj", 77).report();
        assert_eq!((&seen["oom_score_adj"], &seen.mount("/proc")["type"]), (&77.into(), &"proc".into()));
    });
}

#[test]
fn settings_are_written_to_the_real_proc_even_where_none_is_mounted() {
    alone(|| {
        let bundle = hostile("proc-own")
            .unmounted("/proc")
            .set("/linux/sysctl", json!({ "net.ipv4.ip_forward": "1", "kernel.shmmax": "4096" }))
            .set("/linux/maskedPaths", json!([]))
            .set("/linux/readonlyPaths", json!([]))
            .set("/process/oomScoreAdj", 77);
        let root = bundle.root();
        let run = bundle.probe(&["exit", "0"]).run();
        if run.code != 0 {
            run.fails(&["proc"]);
        }
        for file in ["attr/exec", "attr/current", "oom_score_adj"] {
            assert_eq!(
                fs::read_to_string(root.join("proc/self").join(file)).expect("read a file"),
                "",
                "{file}"
            );
        }
    });
}

#[test]
fn nothing_is_mounted_below_proc_but_what_is_known_to_be_harmless() {
    alone(|| {
        fs::write("/tmp/servin-tests/fake", "fake").expect("write a file");
        for target in [
            "/proc/self/attr/exec",
            "/proc/sys/kernel/hostname",
            "/proc/1/environ",
            "/proc/self",
            "/proc/sys",
            "/proc/../proc/self/attr",
        ] {
            Bundle::new().bind("/tmp/servin-tests/fake", target, &[]).run().fails(&["/proc"]);
        }
        for target in ["/proc/meminfo", "/proc/cpuinfo", "/proc/uptime", "/proc/stat", "/proc/loadavg"] {
            let run =
                Bundle::new().bind("/tmp/servin-tests/fake", target, &[]).probe(&["read", target]).run();
            assert_eq!(run.succeeds().out, "fake", "{target}");
        }
    });
}

#[test]
fn a_link_into_proc_is_no_mount_target() {
    alone(|| {
        fs::write("/tmp/servin-tests/fake", "fake").expect("write a file");
        for target in ["/data/attr/exec", "/data/fd", "/data"] {
            hostile("target-proc").bind("/tmp/servin-tests/fake", target, &[]).run().fails(&[]);
        }
    });
}

#[test]
fn a_mount_target_that_leads_out_stays_inside_or_is_refused() {
    alone(|| {
        fs::create_dir_all("/tmp/servin-tests/source").expect("make a directory");
        for case in ["target-absolute", "target-relative", "target-dangling"] {
            refused_or_harmless(hostile(case).bind("/tmp/servin-tests/source", "/data", &[]));
            refused_or_harmless(hostile(case).mount("/data/below", "tmpfs", "tmpfs", &[]));
            refused_or_harmless(hostile(case).mount("/data", "tmpfs", "tmpfs", &["tmpcopyup"]));
        }
    });
}

#[test]
fn a_mount_target_that_leads_to_itself_is_refused() {
    alone(|| drop(hostile("target-loop").mount("/data", "tmpfs", "tmpfs", &[]).run().fails(&["/data"])));
}

#[test]
fn directories_for_a_mount_are_made_inside_or_not_at_all() {
    alone(|| {
        for target in ["/data/parent/made", "/data/parent/made/deeper", "/data/parent/../made"] {
            refused_or_harmless(hostile("target-parent").mount(target, "tmpfs", "tmpfs", &[]));
        }
        fs::write("/tmp/servin-tests/file", "").expect("write a file");
        refused_or_harmless(hostile("target-parent").bind(
            "/tmp/servin-tests/file",
            "/data/parent/file",
            &[],
        ));
        // The victim's own file must not be covered either.
        refused_or_harmless(hostile("target-parent").bind(
            "/tmp/servin-tests/file",
            "/data/parent/marker",
            &[],
        ));
    });
}

#[test]
fn dots_in_a_mount_target_lead_nowhere_but_the_root() {
    alone(|| {
        let out = format!("/../../../../../..{VICTIM}/mounted");
        let bundle = Bundle::new().writable().mount(&out, "tmpfs", "tmpfs", &[]);
        let root = bundle.root();
        let run = bundle.run();
        if run.code == 0 {
            assert!(root.join(VICTIM.trim_start_matches('/')).join("mounted").exists());
        }
    });
}

#[test]
fn devices_are_not_made_where_a_link_leads() {
    alone(|| {
        // With and without a mount on /dev: neither may reach the host.
        refused_or_harmless(plain_dev(hostile("dev-link")));
        refused_or_harmless(hostile("dev-link"));
        let device = json!({ "path": "/data/parent/node", "type": "c", "major": 1, "minor": 3 });
        refused_or_harmless(hostile("target-parent").push("/linux/devices", device));
        let device =
            json!({ "path": format!("/../../../..{VICTIM}/node"), "type": "c", "major": 1, "minor": 3 });
        refused_or_harmless(Bundle::new().writable().push("/linux/devices", device));
    });
}

#[test]
fn a_null_device_that_is_none_masks_nothing_and_is_refused() {
    alone(|| {
        for case in ["dev-null-file", "dev-null-link"] {
            let bundle =
                plain_dev(hostile(case)).set("/linux/maskedPaths", json!(["/proc/kcore", "/etc/secret"]));
            fs::write(bundle.root().join("etc/secret"), "hidden").expect("write a file");
            let run = bundle.run();
            if run.code == 0 {
                // Then a real null device took its place, or the mask came from elsewhere.
                let inside = bundle.probe(&["both", "stat", "/etc/secret", ",", "read", "/etc/secret"]).run();
                assert_eq!(inside.lines().len(), 1, "{case}: {}", inside.out);
                assert!(inside.out.contains("\"minor\":3"), "{case}: {}", inside.out);
            } else {
                run.fails(&["/dev/null"]);
            }
        }
    });
}

#[test]
fn a_null_device_from_a_bound_dev_is_proved_too() {
    alone(|| {
        let fake = Path::new("/tmp/servin-tests/fake-dev");
        fs::create_dir_all(fake).expect("make a directory");
        fs::write(fake.join("null"), "not null").expect("write a file");
        let bundle = plain_dev(Bundle::new()).bind("/tmp/servin-tests/fake-dev", "/dev", &[]);
        let bundle = bundle.set("/linux/maskedPaths", json!(["/etc/secret"]));
        fs::write(bundle.root().join("etc/secret"), "hidden").expect("write a file");
        let run = bundle.probe(&["read", "/etc/secret"]).run();
        assert!(!run.out.contains("hidden") && !run.out.contains("not null"), "{}", run.out);
    });
}

#[test]
fn links_in_dev_that_are_there_already_are_not_written_through() {
    alone(|| {
        refused_or_harmless(plain_dev(hostile("dev-links-taken")));
        // A mount on /dev covers them.
        assert_eq!(hostile("dev-links-taken").report()["dev"]["fd"]["target"], "/proc/self/fd");
    });
}

#[test]
fn mounts_below_dev_do_not_follow_links() {
    alone(|| {
        for (case, target) in [("dev-pts-link", "/dev/pts"), ("dev-shm-link", "/dev/shm")] {
            let bundle = hostile(case).unmounted("/dev");
            refused_or_harmless(bundle.unmounted("/dev/mqueue"));
            assert_eq!(hostile(case).report().mount(target)["target"], target);
        }
    });
}

#[test]
fn the_console_is_not_bound_where_a_link_leads() {
    alone(|| {
        let bundle = plain_dev(hostile("dev-console-link")).set("/process/terminal", true);
        let run = Terminal::new(24, 80).start(bundle.command()).finish();
        if run.code == 0 {
            let report = run.report();
            assert_eq!(report["terminal"]["controlling"], true);
        }
    });
}

#[test]
fn a_working_directory_that_is_a_descriptor_of_servins_is_refused() {
    alone(|| {
        for fd in 3..32 {
            for cwd in
                [format!("/cwd-{fd}"), format!("/proc/self/fd/{fd}"), format!("/proc/self/fd/{fd}/../../..")]
            {
                let run = hostile("cwd-descriptor")
                    .set("/process/cwd", cwd.as_str())
                    .probe(&["escape-cwd", &format!("{VICTIM}/marker")])
                    .run();
                assert!(run.code != 0, "{cwd} was accepted: {}", run.out);
                assert!(run.err.contains("cwd") || run.err.contains(&cwd), "{cwd}: {}", run.err);
            }
        }
    });
}

#[test]
fn a_working_directory_that_is_a_link_stays_inside() {
    alone(|| {
        for cwd in ["/app", "/app-new", "/app/.."] {
            let run = hostile("cwd-link")
                .set("/process/cwd", cwd)
                .probe(&["escape-cwd", &format!("{VICTIM}/marker")])
                .run();
            assert!(["", "[]\n"].contains(&run.out.as_str()), "{cwd}: {}", run.out);
        }
    });
}

#[test]
fn a_persons_working_directory_is_made_inside() {
    alone(|| {
        for cwd in ["/app/made", "/app-new", "/app"] {
            let people = People::of("hostile/cwd-link").flags(&["-w", cwd]);
            let run = people.run(&["/bin/probe", "escape-cwd", &format!("{VICTIM}/marker")]);
            assert!(["", "[]\n"].contains(&run.out.as_str()), "{cwd}: {}", run.out);
        }
    });
}

/// A copy of Servin that an attack may spoil; it must be what it was when the test ends.
fn own_file_stays(test: impl Fn(&Path)) {
    let copy = servin_tests::scratch("own/servin-run");
    fs::copy(servin_run(), &copy).expect("copy Servin");
    let before = fs::read(&copy).expect("read Servin");
    test(&copy);
    assert!(fs::read(&copy).expect("read Servin") == before, "Servin's own file was overwritten");
}

/// What the bundle runs, by another copy of Servin.
fn with_program(program: &Path, bundle: &Bundle) -> Command {
    let mut command = Command::new(program);
    command.args(bundle.command().get_args()).stdin(std::process::Stdio::null());
    command
}

#[test]
fn servins_own_file_cannot_be_overwritten_from_inside() {
    alone(|| {
        let attack =
            ["overwrite", "/proc/self/exe", "/proc/1/exe", "/proc/2/exe", "/bin/script", "/bin/linked"];
        own_file_stays(|program| {
            for args in [&["/bin/script"][..], &["/bin/linked"], &["/proc/self/exe"]] {
                drop(start(with_program(program, &hostile("own-binary").args(args))).finish());
            }
            let behind_init = hostile("own-binary").set("/annotations/servin.init", "true");
            for bundle in [hostile("own-binary"), behind_init] {
                drop(start(with_program(program, &bundle.probe(&attack))).finish());
            }
        });
    });
}

/// A neighbour in the PID namespace that Servin joins sees Servin's processes; it must not get hold of Servin's file
/// through them, neither before they execute the container's program nor when that program is /proc/self/exe.
fn neighbour_gets_nothing(capabilities: &[&str]) {
    own_file_stays(|program| {
        let mut thief = Bundle::new().capabilities(capabilities).probe(&["steal"]).start();
        thief.says("ready");
        let namespace = format!("/proc/{}/ns/pid", thief.container());
        // The thief does not wait for ever; a slow machine tries less often.
        let end = Instant::now() + Duration::from_secs(30);
        for round in (0..60).take_while(|round| *round < 10 || Instant::now() < end) {
            let args = [&["/bin/script"][..], &["/bin/probe", "exit", "0"]][round % 2];
            let bundle = hostile("own-binary").capabilities(&["CAP_KILL"]).namespace("pid", Some(&namespace));
            drop(start(with_program(program, &bundle.args(args))).finish());
        }
        servin_tests::kill(thief.container(), 9).expect("kill the thief");
        let said = thief.finish().out;
        assert!(!said.contains("overwrote"), "{said}");
    });
}

#[test]
fn a_neighbour_with_the_same_rights_cannot_overwrite_servins_file() {
    alone(|| neighbour_gets_nothing(&["CAP_KILL", "CAP_DAC_OVERRIDE"]));
}

#[test]
fn a_neighbour_that_may_trace_others_cannot_overwrite_servins_file() {
    alone(|| neighbour_gets_nothing(&["CAP_KILL", "CAP_DAC_OVERRIDE", "CAP_SYS_PTRACE"]));
}

#[test]
fn the_init_runs_from_memory_that_nobody_can_write_to() {
    alone(|| {
        let people = People::new().flags(&["--cap-add", "SYS_PTRACE"]);
        let answers = people.run(&["/bin/probe", "overwrite", "/proc/1/exe"]).succeeds().json();
        assert!(
            ["EPERM", "EACCES", "ETXTBSY"].iter().any(|errno| answers["/proc/1/exe"] == *errno),
            "{answers}"
        );
    });
}

#[test]
fn a_number_of_passwd_that_overflows_is_no_root() {
    alone(|| {
        for user in [
            "big",
            "minus",
            "hex",
            "plus",
            "empty",
            "short",
            "nobody-here",
            "4294967296",
            "-1",
            "0x0",
            "+0",
            "1000:",
            ":",
            "1000:big",
            "1000:-1",
            " 0",
            "0 ",
            "1e3",
        ] {
            let run =
                People::of("hostile/passwd-numbers").flags(&["-u", user]).run(&["/bin/probe", "report"]);
            assert_eq!(run.code, 125, "{user:?}: {} {}", run.out, run.err);
        }
    });
}

#[test]
fn a_user_that_is_a_number_is_that_number_whatever_passwd_says() {
    alone(|| {
        // A line of this passwd has the *name* 1000, and uid 0.
        let seen = People::of("hostile/passwd-numbers").flags(&["-u", "1000:1000"]).report();
        assert_eq!((&seen["uid"]["real"], &seen["gid"]["real"]), (&1000.into(), &1000.into()));
    });
}

#[test]
fn a_hostile_passwd_neither_hangs_nor_crashes() {
    alone(|| {
        for case in ["passwd-long", "passwd-fifo"] {
            let run = People::of(&format!("hostile/{case}"))
                .flags(&["-u", "1000:1000"])
                .run(&["/bin/probe", "report"]);
            assert!(run.code == 0 || run.code == 125, "{case}: {} {}", run.code, run.err);
        }
    });
}

#[test]
fn passwd_is_the_containers_even_where_it_is_a_link_to_the_hosts() {
    alone(|| {
        for user in ["hostonly", "app"] {
            let run = People::of("hostile/passwd-link").flags(&["-u", user]).run(&["/bin/probe", "report"]);
            assert_eq!(run.code, 125, "{user}: {}", run.out);
        }
    });
}

#[test]
fn masked_and_read_only_paths_do_not_follow_links_out() {
    alone(|| {
        for field in ["/linux/maskedPaths", "/linux/readonlyPaths"] {
            for path in ["/data", "/data/marker", "/../../../tmp/servin-tests/victim/marker"] {
                let bundle = hostile("target-absolute").set(field, json!([path]));
                refused_or_harmless(bundle);
            }
        }
    });
}

#[test]
fn a_target_that_is_exchanged_during_the_start_never_reaches_the_host() {
    alone(|| {
        fs::write("/tmp/servin-tests/file", "from the config").expect("write a file");
        for round in 0..30 {
            let bundle = hostile("race")
                .mount("/data/target", "tmpfs", "tmpfs", &[])
                .mount("/data/made/deep", "tmpfs", "tmpfs", &[])
                .bind("/tmp/servin-tests/file", "/data/file", &[])
                .push("/linux/devices", json!({ "path": "/data/node", "type": "c", "major": 1, "minor": 3 }));
            let root = bundle.root();
            let mut race = Command::new(probe());
            race.arg("exchange").arg(root.join("data")).arg(root.join("data-link"));
            let mut race = start(race);
            race.says("ready");
            let run = bundle.probe(&["try-read", &format!("{VICTIM}/marker")]).run();
            race.signal(9);
            race.finish();
            assert!(!run.out.contains("ok"), "round {round}: {}", run.out);
            let names = fs::read_dir(VICTIM).expect("list the victim").count();
            assert_eq!(names, 2, "round {round}: something was made on the host");
        }
    });
}

#[test]
fn the_state_is_nobody_elses_to_read() {
    alone(|| {
        // CVE-2024-25621
        use std::os::unix::fs::PermissionsExt;
        let mut running = Bundle::new().probe(&["sleep"]).start();
        running.says("ready");
        if let Ok(found) = fs::metadata("/tmp/servin-tests/state") {
            assert_eq!(found.permissions().mode() & 0o066, 0, "{:o}", found.permissions().mode());
        }
        servin_tests::kill(running.container(), 9).expect("kill the container");
        running.finish().ends_with(137);
    });
}

#[test]
fn servin_opens_no_abstract_socket() {
    alone(|| {
        // CVE-2020-15257
        let mut running = People::new().start(&["/bin/probe", "sleep"]);
        running.says("ready");
        let sockets = fs::read_to_string("/proc/net/unix").expect("read the sockets");
        assert!(!sockets.contains(" @"), "{sockets}");
        running.signal(15);
        running.finish().ends_with(143);
    });
}
