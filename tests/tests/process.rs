//! What a config says about the process: program, environment, directory, user, limits, priorities, exit codes.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::{PermissionsExt, chown};
use std::process::Stdio;

use serde_json::{Value, json};
use servin_tests::{Bundle, Given, alone, kill, set_descriptor_inherited, skip, start};

#[test]
fn arguments_arrive_as_they_are() {
    alone(|| {
        let odd = [
            "/bin/probe",
            "report",
            "",
            " two  words ",
            "\"quoted\"",
            "new\nline",
            "ünïcödé",
            "--bundle",
            "-",
        ];
        assert_eq!(Bundle::new().args(&odd).report()["argv"], json!(odd));
    });
}

#[test]
fn the_environment_is_the_configs_and_no_more() {
    alone(|| {
        let env = ["PATH=/bin", "HOME=/root", "EMPTY=", "EQUALS=a=b", "TWICE=1", "LAST=ünïcödé"];
        assert_eq!(Bundle::new().set("/process/env", json!(env)).report()["env"], json!(env));
    });
}

#[test]
fn nothing_of_the_callers_environment_reaches_the_container() {
    alone(|| {
        let mut command = Bundle::new().command();
        command.env("SECRET_OF_THE_CALLER", "1");
        let seen = start(command).finish().report();
        assert_eq!(seen.env("SECRET_OF_THE_CALLER"), None);
        assert_eq!(seen.env("SERVIN_ROOT"), None);
    });
}

#[test]
fn the_working_directory_is_the_configs() {
    alone(|| assert_eq!(Bundle::new().set("/process/cwd", "/tmp").report()["cwd"], "/tmp"));
}

#[test]
fn a_working_directory_that_does_not_exist_is_an_error_and_is_not_made() {
    alone(|| {
        let bundle = Bundle::new().writable().set("/process/cwd", "/nowhere");
        bundle.run().fails(&["/nowhere", "no such file or directory"]);
        assert!(!bundle.root().join("nowhere").exists());
    });
}

#[test]
fn a_working_directory_that_is_a_file_is_an_error() {
    alone(|| {
        drop(Bundle::new().set("/process/cwd", "/bin/probe").run().fails(&["/bin/probe", "not a directory"]))
    });
}

#[test]
fn a_working_directory_that_only_its_user_may_enter_works() {
    alone(|| {
        let bundle = Bundle::new()
            .set("/process/cwd", "/tmp/own")
            .set("/process/user", json!({ "uid": 1000, "gid": 1000 }));
        let own = bundle.root().join("tmp/own");
        fs::create_dir(&own).expect("make a directory");
        fs::set_permissions(&own, Permissions::from_mode(0o700)).expect("set a mode");
        chown(&own, Some(1000), Some(1000)).expect("change the owner");
        assert_eq!(bundle.capabilities(&[]).report()["cwd"], "/tmp/own");
    });
}

#[test]
fn user_and_group_are_set_four_times_each() {
    alone(|| {
        let seen = Bundle::new().set("/process/user", json!({ "uid": 1000, "gid": 2000 })).report();
        assert_eq!(seen["uid"], json!({ "real": 1000, "effective": 1000, "saved": 1000, "fs": 1000 }));
        assert_eq!(seen["gid"], json!({ "real": 2000, "effective": 2000, "saved": 2000, "fs": 2000 }));
    });
}

#[test]
fn the_highest_user_id_is_itself_and_not_root() {
    alone(|| {
        let seen = Bundle::new().set("/process/user", json!({ "uid": 4_294_967_294_u32, "gid": 0 })).report();
        assert_eq!(seen["uid"]["real"], 4_294_967_294_u32);
    });
}

#[test]
fn additional_groups_are_the_configs_and_no_more() {
    alone(|| {
        assert_eq!(Bundle::new().report()["groups"], json!([]));
        let seen = Bundle::new().set("/process/user/additionalGids", json!([10, 65_534, 100])).report();
        let mut groups: Vec<u64> =
            seen["groups"].as_array().into_iter().flatten().filter_map(Value::as_u64).collect();
        groups.sort();
        assert_eq!(groups, [10, 100, 65_534]);
    });
}

#[test]
fn the_umask_is_the_configs() {
    alone(|| {
        assert_eq!(Bundle::new().set("/process/user/umask", 0o027).report()["umask"], 0o027);
        assert_eq!(Bundle::new().set("/process/user/umask", 0).report()["umask"], 0);
    });
}

#[test]
fn the_callers_umask_changes_nothing() {
    alone(|| {
        for umask in [0, 0o077] {
            let mut command = Bundle::new().command();
            Given { umask: Some(umask), ..Given::default() }.to(&mut command);
            let seen = start(command).finish().report();
            assert_eq!(seen["umask"], 0o022);
            assert_eq!(seen["dev"]["null"]["mode"], 0o666);
        }
    });
}

#[test]
fn limits_are_the_configs() {
    alone(|| {
        let seen = Bundle::new()
            .set(
                "/process/rlimits",
                json!([
                    { "type": "RLIMIT_NOFILE", "soft": 100, "hard": 200 },
                    { "type": "RLIMIT_CORE", "soft": 0, "hard": 0 },
                    { "type": "RLIMIT_FSIZE", "soft": 1_000_000_000_000_u64, "hard": u64::MAX },
                    { "type": "RLIMIT_STACK", "soft": 4_194_304, "hard": 8_388_608 },
                ]),
            )
            .report();
        let limits = &seen["rlimits"];
        assert_eq!(limits["RLIMIT_NOFILE"], json!([100, 200]));
        assert_eq!(limits["RLIMIT_CORE"], json!([0, 0]));
        assert_eq!(limits["RLIMIT_FSIZE"], json!([1_000_000_000_000_u64, u64::MAX]));
        assert_eq!(limits["RLIMIT_STACK"], json!([4_194_304, 8_388_608]));
    });
}

#[test]
fn every_limit_that_the_kernel_knows_has_its_name() {
    alone(|| {
        let names = "AS CORE CPU DATA FSIZE LOCKS MEMLOCK MSGQUEUE NICE NOFILE NPROC RSS RTPRIO RTTIME SIGPENDING STACK";
        for name in names.split(' ').map(|name| format!("RLIMIT_{name}")) {
            let own = Bundle::new().without("/process/rlimits").report()["rlimits"][&name].clone();
            let limit = json!([{ "type": name, "soft": own[0], "hard": own[1] }]);
            assert_eq!(Bundle::new().set("/process/rlimits", limit).report()["rlimits"][&name], own);
        }
    });
}

#[test]
fn no_new_privileges_is_set_when_the_config_says_so() {
    alone(|| {
        assert_eq!(Bundle::new().set("/process/noNewPrivileges", true).report()["no_new_privs"], 1);
        assert_eq!(Bundle::new().set("/process/noNewPrivileges", false).report()["no_new_privs"], 0);
        assert_eq!(Bundle::new().without("/process/noNewPrivileges").report()["no_new_privs"], 0);
    });
}

#[test]
fn the_oom_score_is_the_configs_and_otherwise_the_callers() {
    alone(|| {
        assert_eq!(Bundle::new().set("/process/oomScoreAdj", 321).report()["oom_score_adj"], 321);
        let own = fs::read_to_string("/proc/self/oom_score_adj").expect("read the test's own score");
        assert_eq!(Bundle::new().report()["oom_score_adj"].to_string(), own.trim());
    });
}

#[test]
fn the_scheduler_is_the_configs() {
    alone(|| {
        let scheduled = |scheduler: Value| {
            Bundle::new().set("/process/scheduler", scheduler).report()["scheduler"].clone()
        };
        let batch = scheduled(json!({ "policy": "SCHED_BATCH", "nice": 5 }));
        assert_eq!((&batch["policy"], &batch["nice"]), (&"SCHED_BATCH".into(), &5.into()));
        assert_eq!(scheduled(json!({ "policy": "SCHED_IDLE" }))["policy"], "SCHED_IDLE");
        let other =
            scheduled(json!({ "policy": "SCHED_OTHER", "nice": -5, "flags": ["SCHED_FLAG_RESET_ON_FORK"] }));
        assert_eq!((&other["nice"], &other["flags"]), (&(-5).into(), &1.into()));
    });
}

#[test]
fn a_real_time_scheduler_is_the_configs() {
    alone(|| {
        for policy in ["SCHED_FIFO", "SCHED_RR"] {
            let run =
                Bundle::new().set("/process/scheduler", json!({ "policy": policy, "priority": 7 })).run();
            if run.code != 0 && run.err.contains("EPERM") {
                skip!("this host allows no real-time scheduling: {}", run.err.trim());
            }
            let seen = run.report();
            let scheduler = &seen["scheduler"];
            assert_eq!((&scheduler["policy"], &scheduler["priority"]), (&policy.into(), &7.into()));
        }
    });
}

#[test]
fn a_deadline_is_the_configs() {
    alone(|| {
        let deadline = json!({ "policy": "SCHED_DEADLINE", "runtime": 1_000_000, "deadline": 5_000_000, "period": 10_000_000 });
        let run = Bundle::new().set("/process/scheduler", deadline).run();
        if run.code != 0 && (run.err.contains("EPERM") || run.err.contains("EBUSY")) {
            skip!("this host allows no deadline: {}", run.err.trim());
        }
        let seen = run.report();
        assert_eq!(seen["scheduler"]["policy"], "SCHED_DEADLINE");
        assert_eq!(seen["scheduler"]["runtime"], 1_000_000);
        assert_eq!(seen["scheduler"]["deadline"], 5_000_000);
        assert_eq!(seen["scheduler"]["period"], 10_000_000);
    });
}

#[test]
fn the_priority_of_input_and_output_is_the_configs() {
    alone(|| {
        for (class, priority) in [("IOPRIO_CLASS_BE", 3), ("IOPRIO_CLASS_RT", 1), ("IOPRIO_CLASS_IDLE", 0)] {
            let seen = Bundle::new()
                .set("/process/ioPriority", json!({ "class": class, "priority": priority }))
                .report();
            assert_eq!(seen["io_priority"], json!({ "class": class, "level": priority }));
        }
    });
}

#[test]
fn the_affinity_for_exec_is_accepted_and_not_applied_to_the_first_process() {
    alone(|| {
        // The specification: "This setting is not applicable to the container's init process."
        let plain = Bundle::new().report()["affinity"].clone();
        let seen =
            Bundle::new().set("/process/execCPUAffinity", json!({ "initial": "0", "final": "0" })).report();
        assert_eq!(seen["affinity"], plain);
    });
}

#[test]
fn the_personality_is_the_configs() {
    alone(|| {
        assert_eq!(Bundle::new().set("/linux/personality/domain", "LINUX32").report()["personality"], 8);
        assert_eq!(Bundle::new().set("/linux/personality/domain", "LINUX").report()["personality"], 0);
    });
}

#[test]
fn the_memory_policy_is_the_configs() {
    alone(|| {
        if Bundle::new().report()["memory_policy"].is_null() {
            skip!("this kernel has no memory policies (CONFIG_NUMA)");
        }
        let policy = |policy: Value| {
            Bundle::new().set("/linux/memoryPolicy", policy).report()["memory_policy"].clone()
        };
        assert_eq!(policy(json!({ "mode": "MPOL_BIND", "nodes": "0" })), json!({ "mode": 2, "nodes": [0] }));
        assert_eq!(
            policy(json!({ "mode": "MPOL_INTERLEAVE", "nodes": "0" })),
            json!({ "mode": 3, "nodes": [0] })
        );
        assert_eq!(
            policy(json!({ "mode": "MPOL_PREFERRED", "nodes": "0" })),
            json!({ "mode": 1, "nodes": [0] })
        );
        assert_eq!(policy(json!({ "mode": "MPOL_LOCAL" }))["mode"], 4);
        let flagged = policy(json!({ "mode": "MPOL_BIND", "nodes": "0", "flags": ["MPOL_F_STATIC_NODES"] }));
        assert_eq!(flagged, json!({ "mode": 2 | 1 << 15, "nodes": [0] }));
    });
}

#[test]
fn the_programs_code_is_the_exit_code() {
    alone(|| {
        for code in [0, 1, 3, 125, 126, 127, 200, 255] {
            Bundle::new().probe(&["exit", &code.to_string()]).run().ends_with(code);
        }
    });
}

#[test]
fn a_program_that_a_signal_ended_makes_128_and_its_number() {
    alone(|| {
        for signal in [1, 6, 9, 11, 15, 34] {
            // As PID 1 of a namespace of its own it could not signal itself.
            let bundle = Bundle::new().no_namespace("pid").probe(&["signal-self", &signal.to_string()]);
            bundle.run().ends_with(128 + signal);
        }
    });
}

#[test]
fn a_container_that_is_killed_from_outside_makes_137() {
    alone(|| {
        let mut running = Bundle::new().probe(&["sleep"]).start();
        running.says("ready");
        kill(running.container(), 9).expect("kill the container");
        running.finish().ends_with(137);
    });
}

#[test]
fn a_program_that_does_not_exist_is_127() {
    alone(|| {
        let run = Bundle::new().args(&["/bin/nothing", "x"]).run().ends_with(127);
        run.fails(&["exec: \"/bin/nothing\"", "no such file or directory"]);
    });
}

#[test]
fn a_program_that_is_nowhere_in_the_path_is_127() {
    alone(|| {
        let run = Bundle::new().args(&["nothing"]).run().ends_with(127);
        run.fails(&["exec: \"nothing\"", "executable file not found in $PATH"]);
    });
}

#[test]
fn a_program_is_looked_for_in_the_containers_path() {
    alone(|| {
        let found = |path: &str| {
            let bundle =
                Bundle::new().args(&["probe", "report"]).set("/process/env", json!([format!("PATH={path}")]));
            // Neither a directory nor a file that cannot be executed ends the search.
            fs::create_dir_all(bundle.root().join("first/probe")).expect("make a directory");
            fs::create_dir_all(bundle.root().join("second")).expect("make a directory");
            fs::write(bundle.root().join("second/probe"), "no program").expect("write a file");
            bundle.report()["exe"].clone()
        };
        assert_eq!(found("/nowhere:/first:/second:/bin"), "/bin/probe");
        assert_eq!(found("/bin:/nowhere"), "/bin/probe");
    });
}

#[test]
fn a_program_with_a_slash_is_found_from_the_working_directory() {
    alone(|| {
        assert_eq!(
            Bundle::new().set("/process/cwd", "/bin").args(&["./probe", "report"]).report()["exe"],
            "/bin/probe"
        )
    });
}

#[test]
fn a_file_that_may_not_be_executed_is_126() {
    alone(|| {
        let bundle = Bundle::new().args(&["/tmp/text"]);
        fs::write(bundle.root().join("tmp/text"), "#!/bin/probe\n").expect("write a file");
        bundle.run().ends_with(126).fails(&["/tmp/text", "permission denied"]);
        Bundle::new().args(&["/bin"]).run().ends_with(126).fails(&["/bin"]);
    });
}

fn script(bundle: &Bundle, content: &[u8]) {
    let place = bundle.root().join("bin/script");
    fs::write(&place, content).expect("write a script");
    fs::set_permissions(&place, Permissions::from_mode(0o755)).expect("make it executable");
}

#[test]
fn a_file_that_is_no_program_is_126() {
    alone(|| {
        let bundle = Bundle::new().args(&["/bin/script"]);
        script(&bundle, b"no magic number\n");
        bundle.run().ends_with(126).fails(&["/bin/script", "exec format error"]);
    });
}

#[test]
fn a_script_runs_under_its_interpreter() {
    alone(|| {
        let bundle = Bundle::new().args(&["/bin/script"]);
        script(&bundle, b"#!/bin/probe report\n");
        assert_eq!(bundle.report()["argv"], json!(["/bin/probe", "report", "/bin/script"]));
    });
}

#[test]
fn a_missing_interpreter_is_named() {
    alone(|| {
        let bundle = Bundle::new().args(&["/bin/script"]);
        script(&bundle, b"#!/opt/no-shell -x\n");
        bundle.run().ends_with(127).fails(&["/opt/no-shell"]);
    });
}

#[test]
fn a_missing_dynamic_loader_is_named() {
    alone(|| {
        let own = fs::read("/proc/self/exe").expect("read the running program");
        let Some(at) = own.windows(8).position(|window| window.starts_with(b"ld-linux")) else {
            skip!("the test itself is static");
        };
        let name = own[at..].split(|byte| *byte == 0).next().map(String::from_utf8_lossy).unwrap_or_default();
        let bundle = Bundle::new().args(&["/bin/script"]);
        script(&bundle, &own);
        bundle.run().ends_with(127).fails(&[&name]);
    });
}

#[test]
fn only_the_three_descriptors_reach_the_program() {
    alone(|| {
        let careless: Vec<File> = (0..20).map(|_| File::open("/").expect("open the host's root")).collect();
        careless.iter().for_each(set_descriptor_inherited);
        assert_eq!(Bundle::new().report().descriptors(), [0, 1, 2]);
    });
}

#[test]
fn a_closed_descriptor_is_not_filled_with_one_of_servins() {
    alone(|| {
        for closed in [vec![0], vec![2], vec![0, 2]] {
            let mut command = Bundle::new().command();
            Given { closed: closed.clone(), ..Given::default() }.to(&mut command);
            let seen = start(command).finish().report();
            for descriptor in seen["descriptors"].as_array().into_iter().flatten() {
                let (fd, target) = (descriptor["fd"].as_i64().unwrap_or(-1), descriptor["target"].as_str());
                assert!(fd <= 2, "{descriptor}");
                if closed.contains(&(fd as i32)) {
                    assert_eq!(target, Some("/dev/null"), "{descriptor}");
                }
            }
        }
    });
}

#[test]
fn the_program_reads_what_the_caller_writes() {
    alone(|| {
        let mut command = Bundle::new().probe(&["read", "/proc/self/fd/0"]).command();
        command.stdin(Stdio::piped());
        let mut running = start(command);
        running.type_in("through the pipe");
        running.end_input();
        assert_eq!(running.finish().succeeds().out, "through the pipe");
    });
}

#[test]
fn standard_output_and_error_stay_apart() {
    alone(|| {
        let run = Bundle::new().probe(&["say", "to out", "to error"]).run().succeeds();
        assert_eq!((run.out.as_str(), run.err.as_str()), ("to out\n", "to error\n"));
    });
}

#[test]
fn no_signal_is_blocked_or_ignored_or_caught() {
    alone(|| {
        let signals = Bundle::new().report()["signals"].clone();
        assert_eq!(signals, json!({ "blocked": [], "ignored": [], "caught": [] }));
    });
}

#[test]
fn the_program_leads_a_session_of_its_own() {
    alone(|| {
        let seen = Bundle::new().report();
        assert_eq!((&seen["sid"], &seen["pgid"]), (&seen["pid"], &seen["pid"]));
    });
}

#[test]
fn what_nobody_asked_for_is_as_the_kernel_makes_it() {
    alone(|| {
        let seen = Bundle::new().report();
        assert_eq!(seen["securebits"], 0);
        assert_eq!(seen["dumpable"], 1);
        assert_eq!(seen["seccomp"], 0);
        assert_eq!(seen["personality"], 0);
        assert_eq!((&seen["root"], &seen["exe"]), (&"/".into(), &"/bin/probe".into()));
    });
}

#[test]
fn a_property_that_nobody_knows_is_ignored() {
    alone(|| {
        // "Implementations MUST NOT generate an error or emit a warning if they encounter an unknown property."
        let run = Bundle::new()
            .set("/com.example", json!({ "deep": [1, { "er": null }] }))
            .set("/process/com.example", true)
            .set("/linux/com.example", "text")
            .set("/annotations/com.example", "text")
            .run();
        assert_eq!(run.succeeds().err, "");
    });
}

#[test]
fn runcs_default_config_runs_unchanged() {
    alone(|| {
        // But for `terminal` and `linux.resources`, which Bundle leaves out.
        let ambient = rootfs_fixtures::bundles::runc_spec()["process"]["capabilities"]["ambient"].clone();
        let seen = Bundle::new().set("/process/capabilities/ambient", ambient).report();
        assert_eq!(seen["hostname"], "runc");
        assert_eq!(seen["rlimits"]["RLIMIT_NOFILE"], json!([1024, 1024]));
        assert_eq!(seen["no_new_privs"], 1);
        assert!(seen.mounted_with("/", "ro"));
        assert_eq!(
            seen["capabilities"]["effective"],
            json!(["CAP_KILL", "CAP_NET_BIND_SERVICE", "CAP_AUDIT_WRITE"])
        );
    });
}

#[test]
fn the_annotation_puts_the_init_before_the_program() {
    alone(|| {
        let seen = Bundle::new().set("/annotations/servin.init", "true").report();
        assert_eq!((&seen["pid"], &seen["ppid"]), (&2.into(), &1.into()));
    });
}
