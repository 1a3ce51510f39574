//! Mounts: every option of the specification's table, and what else a mount entry may say.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::path::Path;

use serde_json::{Value, json};
use servin_tests::{
    Bundle, Report, alone, bind, idmapped_mounts_work, kill, make_shared, mount_flags, scratch, skip, tmpfs,
};

fn path(path: &Path) -> &str {
    path.to_str().expect("a path of ours")
}

/// A directory of the host with a file, and a mount below it with another; both mounts have these flags.
fn source(name: &str, flags: u64) -> String {
    let top = scratch(name);
    fs::create_dir_all(&top).expect("make a directory");
    tmpfs(path(&top)).expect("mount a tmpfs");
    fs::create_dir(top.join("sub")).expect("make a directory");
    fs::write(top.join("file"), "top").expect("write a file");
    tmpfs(path(&top.join("sub"))).expect("mount a tmpfs");
    fs::write(top.join("sub/file"), "below").expect("write a file");
    for place in [top.join("sub"), top.clone()] {
        mount_flags(path(&place), flags).expect("change a mount's flags");
    }
    path(&top).to_string()
}

/// Takes what [`source`] mounted away again.
fn unmount_source(name: &str) {
    servin_tests::unmount(path(&scratch(name))).expect("unmount");
}

/// Each option on a tmpfs, and the word by which the mount table shows it (`!`: that it must not show).
#[rustfmt::skip]
const ON_TMPFS: &[(&[&str], &[&str])] = &[
    (&[],                            &["rw", "relatime", "!nosuid", "!nodev", "!noexec"]),
    (&["defaults"],                  &["rw", "relatime", "!nosuid", "!nodev", "!noexec"]),
    (&["ro"],                        &["ro"]),
    (&["rw"],                        &["rw"]),
    (&["ro", "rw"],                  &["rw"]),
    (&["rw", "ro"],                  &["ro"]),
    (&["nosuid"],                    &["nosuid"]),
    (&["nosuid", "suid"],            &["!nosuid"]),
    (&["suid"],                      &["!nosuid"]),
    (&["nodev"],                     &["nodev"]),
    (&["nodev", "dev"],              &["!nodev"]),
    (&["dev"],                       &["!nodev"]),
    (&["noexec"],                    &["noexec"]),
    (&["noexec", "exec"],            &["!noexec"]),
    (&["exec"],                      &["!noexec"]),
    (&["noatime"],                   &["noatime", "!relatime"]),
    (&["noatime", "atime"],          &["!noatime"]),
    (&["atime"],                     &["!noatime"]),
    (&["nodiratime"],                &["nodiratime"]),
    (&["nodiratime", "diratime"],    &["!nodiratime"]),
    (&["diratime"],                  &["!nodiratime"]),
    (&["relatime"],                  &["relatime"]),
    (&["norelatime"],                &["!noatime"]),
    (&["strictatime"],               &["!relatime", "!noatime"]),
    (&["strictatime", "nostrictatime"], &["relatime"]),
    (&["nostrictatime"],             &["relatime"]),
    (&["sync"],                      &["sync"]),
    (&["sync", "async"],             &["!sync"]),
    (&["async"],                     &["!sync"]),
    (&["dirsync"],                   &["dirsync"]),
    (&["lazytime"],                  &["lazytime"]),
    (&["lazytime", "nolazytime"],    &["!lazytime"]),
    (&["nolazytime"],                &["!lazytime"]),
    (&["iversion"],                  &[]),
    (&["noiversion"],                &[]),
    (&["silent"],                    &[]),
    (&["loud"],                      &[]),
    (&["nomand"],                    &["!mand"]),
    (&["nosymfollow"],               &["nosymfollow"]),
    (&["nosymfollow", "symfollow"],  &["!nosymfollow"]),
    (&["symfollow"],                 &["!nosymfollow"]),
    (&["size=64k", "mode=1770"],     &["size=64k", "mode=1770"]),
    (&["nosuid", "size=64k", "noexec", "uid=7", "ro", "gid=8"], &["nosuid", "noexec", "ro", "size=64k", "uid=7", "gid=8"]),
];

fn compare(seen: &Report, target: &str, options: &[&str], words: &[&str]) {
    for word in words {
        let (wanted, word) = (!word.starts_with('!'), word.trim_start_matches('!'));
        assert_eq!(
            seen.mounted_with(target, word),
            wanted,
            "{word} after {options:?}: {}",
            seen.mount(target)
        );
    }
}

#[test]
fn every_option_does_to_a_file_system_what_the_specification_says() {
    alone(|| {
        let all = ON_TMPFS.iter().enumerate();
        let bundle = all.fold(Bundle::new(), |bundle, (at, (options, _))| {
            bundle.mount(&format!("/mnt/{at}"), "tmpfs", "tmpfs", options)
        });
        let seen = bundle.report();
        for (at, (options, words)) in ON_TMPFS.iter().enumerate() {
            compare(&seen, &format!("/mnt/{at}"), options, words);
        }
    });
}

/// Options of a bind by what they do to the mount itself and to the one below it. The source has none of the flags.
#[rustfmt::skip]
const ON_BIND: &[(&[&str], &[&str], &[&str])] = &[
    (&["rbind"],                    &["rw"],                     &["rw"]),
    (&["rbind", "ro"],              &["ro"],                     &["rw"]),
    (&["rbind", "rro"],             &["ro"],                     &["ro"]),
    (&["rbind", "rro", "rw"],       &["rw"],                     &["ro"]),
    (&["rbind", "rrw"],             &["rw"],                     &["rw"]),
    (&["rbind", "nosuid"],          &["nosuid"],                 &["!nosuid"]),
    (&["rbind", "rnosuid"],         &["nosuid"],                 &["nosuid"]),
    (&["rbind", "rnosuid", "rsuid"],&["!nosuid"],                &["!nosuid"]),
    (&["rbind", "nodev"],           &["nodev"],                  &["!nodev"]),
    (&["rbind", "rnodev"],          &["nodev"],                  &["nodev"]),
    (&["rbind", "noexec"],          &["noexec"],                 &["!noexec"]),
    (&["rbind", "rnoexec"],         &["noexec"],                 &["noexec"]),
    (&["rbind", "noatime"],         &["noatime"],                &["!noatime"]),
    (&["rbind", "rnoatime"],        &["noatime"],                &["noatime"]),
    (&["rbind", "rnodiratime"],     &["nodiratime"],             &["nodiratime"]),
    (&["rbind", "rrelatime"],       &["relatime"],               &["relatime"]),
    (&["rbind", "rnorelatime"],     &["!noatime"],               &["!noatime"]),
    (&["rbind", "rstrictatime"],    &["!relatime", "!noatime"],  &["!relatime", "!noatime"]),
    (&["rbind", "rnostrictatime"],  &["relatime"],               &["relatime"]),
    (&["rbind", "nosymfollow"],     &["nosymfollow"],            &["!nosymfollow"]),
    (&["rbind", "rnosymfollow"],    &["nosymfollow"],            &["nosymfollow"]),
    (&["rbind", "rro", "rnosuid", "rnodev", "rnoexec", "rnoatime"],
                                    &["ro", "nosuid", "nodev", "noexec", "noatime"], &["ro", "nosuid", "nodev", "noexec", "noatime"]),
    (&["rbind", "ro", "nosuid", "nodev", "noexec"],
                                    &["ro", "nosuid", "nodev", "noexec"], &["rw", "!nosuid", "!nodev", "!noexec"]),
];

/// Options that take flags away, on a source that has them all.
#[rustfmt::skip]
const OFF_BIND: &[(&[&str], &[&str], &[&str])] = &[
    (&["rbind"],                  &["ro", "nosuid", "nodev", "noexec", "noatime", "nodiratime"], &["ro", "nosuid", "nodev", "noexec", "noatime", "nodiratime"]),
    (&["rbind", "rrw"],           &["rw", "nosuid"],            &["rw", "nosuid"]),
    (&["rbind", "rsuid"],         &["!nosuid", "ro"],           &["!nosuid", "ro"]),
    (&["rbind", "rdev"],          &["!nodev", "ro"],            &["!nodev", "ro"]),
    (&["rbind", "rexec"],         &["!noexec", "ro"],           &["!noexec", "ro"]),
    (&["rbind", "ratime"],        &["!noatime", "ro"],          &["!noatime", "ro"]),
    (&["rbind", "rdiratime"],     &["!nodiratime", "ro"],       &["!nodiratime", "ro"]),
    (&["rbind", "rsymfollow"],    &["!nosymfollow"],            &["!nosymfollow"]),
];

fn binds(table: &[(&[&str], &[&str], &[&str])], flags: u64) {
    let source = source("source", flags);
    let bundle = table.iter().enumerate().fold(Bundle::new(), |bundle, (at, (options, ..))| {
        bundle.mount(&format!("/mnt/{at}"), "bind", &source, options)
    });
    let seen = bundle.report();
    for (at, (options, own, below)) in table.iter().enumerate() {
        compare(&seen, &format!("/mnt/{at}"), options, own);
        compare(&seen, &format!("/mnt/{at}/sub"), options, below);
    }
    unmount_source("source");
}

#[test]
fn plain_options_change_the_bind_and_recursive_ones_all_below_it() {
    alone(|| binds(ON_BIND, 0));
}

#[test]
fn recursive_options_take_flags_away_and_a_bind_alone_takes_none() {
    alone(|| {
        let all = libc_flags();
        binds(OFF_BIND, all);
    });
}

/// MS_RDONLY, NOSUID, NODEV, NOEXEC, NOATIME, NODIRATIME
fn libc_flags() -> u64 {
    1 | 2 | 4 | 8 | 1024 | 2048
}

#[test]
fn a_read_only_bind_keeps_the_sources_flags() {
    alone(|| {
        let source = source("source", 2 | 4 | 8);
        let seen = Bundle::new().mount("/mnt", "bind", &source, &["bind", "ro"]).report();
        compare(&seen, "/mnt", &["bind", "ro"], &["ro", "nosuid", "nodev", "noexec"]);
        unmount_source("source");
    });
}

#[test]
fn bind_leaves_what_is_mounted_below_and_rbind_takes_it() {
    alone(|| {
        let source = source("source", 0);
        let bundle = Bundle::new().mount("/one", "bind", &source, &["bind"]).mount(
            "/all",
            "bind",
            &source,
            &["rbind"],
        );
        let run =
            bundle.probe(&["try-read", "/one/file", "/one/sub/file", "/all/file", "/all/sub/file"]).run();
        assert_eq!(run.lines(), ["ok", "ENOENT", "ok", "ok"]);
        unmount_source("source");
    });
}

#[test]
fn bind_is_an_option_and_needs_no_type() {
    alone(|| {
        let source = source("source", 0);
        for kind in [json!("bind"), json!("none"), json!(""), Value::Null] {
            let mut mount = json!({ "destination": "/mnt", "source": source, "options": ["rbind"] });
            if !kind.is_null() {
                mount["type"] = kind;
            }
            Bundle::new().push("/mounts", mount).probe(&["try-read", "/mnt/sub/file"]).run().succeeds();
        }
        unmount_source("source");
    });
}

#[test]
fn a_file_is_bound_to_a_file_that_is_made_for_it() {
    alone(|| {
        fs::write(scratch("file"), "from the host").expect("write a file");
        let bundle = Bundle::new().bind(path(&scratch("file")), "/deep/in/file", &["ro"]);
        let run = bundle.probe(&["both", "read", "/deep/in/file", ",", "try-write", "/deep/in/file"]).run();
        assert_eq!(run.out, "from the hostEROFS\n");
    });
}

#[test]
fn a_directory_is_made_for_a_mount_even_in_a_read_only_root() {
    alone(|| {
        let seen = Bundle::new().mount("/deep/er/still", "tmpfs", "tmpfs", &[]).report();
        assert_eq!(seen.mount("/deep/er/still")["type"], "tmpfs");
    });
}

#[test]
fn a_relative_source_of_a_bind_starts_at_the_bundle() {
    alone(|| {
        let bundle = Bundle::new().bind("data", "/mnt", &[]).probe(&["try-read", "/mnt/file"]);
        fs::create_dir(bundle.directory().join("data")).expect("make a directory");
        fs::write(bundle.directory().join("data/file"), "").expect("write a file");
        bundle.run().succeeds();
    });
}

#[test]
fn a_source_that_does_not_exist_is_named() {
    alone(|| {
        let bundle = Bundle::new().bind("/nowhere/at/all", "/mnt", &[]);
        bundle.run().fails(&["/nowhere/at/all", "no such file or directory"]);
        assert!(!Path::new("/nowhere").exists());
    });
}

#[test]
fn mounts_are_made_in_the_order_of_the_list() {
    alone(|| {
        let source = source("source", 0);
        let bundle = Bundle::new().mount("/mnt", "tmpfs", "first", &[]).bind(&source, "/mnt/in", &[]);
        bundle.probe(&["try-read", "/mnt/in/file"]).run().succeeds();
        let hidden = Bundle::new().bind(&source, "/mnt/in", &[]).mount("/mnt", "tmpfs", "second", &[]);
        assert_eq!(hidden.probe(&["try-read", "/mnt/in/file"]).run().lines(), ["ENOENT"]);
        unmount_source("source");
    });
}

#[test]
fn remount_changes_the_mount_that_is_there() {
    alone(|| {
        let source = source("source", 0);
        let seen = Bundle::new()
            .mount("/mnt", "tmpfs", "tmpfs", &["nosuid"])
            .mount("/mnt", "tmpfs", "tmpfs", &["remount", "ro", "nosuid", "nodev"])
            .bind(&source, "/bound", &[])
            .mount("/bound", "bind", &source, &["remount", "bind", "ro"])
            .report();
        compare(&seen, "/mnt", &["remount"], &["ro", "nosuid", "nodev"]);
        compare(&seen, "/bound", &["remount", "bind"], &["ro"]);
        compare(&seen, "/bound/sub", &["remount", "bind"], &["rw"]);
        assert_eq!(seen.mount_targets().iter().filter(|target| **target == "/mnt").count(), 1);
        unmount_source("source");
    });
}

#[test]
fn every_word_of_propagation_does_what_it_says() {
    alone(|| {
        let source = source("source", 0);
        make_shared(&source);
        make_shared(&format!("{source}/sub"));
        // The option, whether it reaches below, and how the table shows it (a shared source's bind is shared first).
        let table = [
            ("private", false, ""),
            ("rprivate", true, ""),
            ("shared", false, "shared:"),
            ("rshared", true, "shared:"),
            ("slave", false, "master:"),
            ("rslave", true, "master:"),
            ("unbindable", false, "unbindable"),
            ("runbindable", true, "unbindable"),
        ];
        for (option, recursive, word) in table {
            let seen = Bundle::new().mount("/mnt", "bind", &source, &["rbind", option]).report();
            let shown = |target: &str| match seen.mount(target)["propagation"].as_array() {
                Some(words) if !words.is_empty() => words.iter().any(|found| {
                    found.as_str().is_some_and(|found| found.starts_with(word)) && !word.is_empty()
                }),
                _ => word.is_empty(),
            };
            assert!(shown("/mnt"), "{option}: {}", seen.mount("/mnt"));
            assert!(!recursive || shown("/mnt/sub"), "{option}: {}", seen.mount("/mnt/sub"));
        }
        unmount_source("source");
    });
}

#[test]
fn a_bind_is_private_unless_the_config_says_otherwise() {
    alone(|| {
        let source = source("source", 0);
        make_shared(&source);
        let seen = Bundle::new().bind(&source, "/mnt", &[]).report();
        let propagation = seen.mount("/mnt")["propagation"].to_string();
        assert!(!propagation.contains("shared:"), "{propagation}");
        unmount_source("source");
    });
}

#[test]
fn a_slave_sees_what_the_host_mounts_later_and_the_host_nothing_of_it() {
    alone(|| {
        let source = source("source", 0);
        make_shared(&source);
        let bundle =
            Bundle::new().bind(&source, "/mnt", &["rslave"]).set("/linux/rootfsPropagation", "slave");
        let mut running = bundle.probe(&["sleep"]).start();
        running.says("ready");
        fs::create_dir(format!("{source}/later")).expect("make a directory");
        tmpfs(&format!("{source}/later")).expect("mount a tmpfs");
        let inside =
            fs::read_to_string(format!("/proc/{}/mountinfo", running.container())).expect("read its mounts");
        assert!(inside.contains(" /mnt/later "), "{inside}");
        kill(running.container(), 9).expect("kill the container");
        running.finish().ends_with(137);
        unmount_source("source");
    });
}

#[test]
fn tmpcopyup_starts_with_what_the_directory_had() {
    alone(|| {
        let bundle = Bundle::new().mount("/data", "tmpfs", "tmpfs", &["tmpcopyup", "size=1m"]);
        let data = bundle.root().join("data");
        fs::create_dir_all(data.join("deep/er")).expect("make a directory");
        fs::write(data.join("deep/er/file"), "content").expect("write a file");
        fs::write(data.join("script"), "x").expect("write a file");
        fs::set_permissions(data.join("script"), Permissions::from_mode(0o4751)).expect("set a mode");
        chown(data.join("deep"), Some(7), Some(8)).expect("change the owner");
        symlink("deep/er/file", data.join("link")).expect("make a link");
        symlink(servin_tests::VICTIM, data.join("out")).expect("make a link");
        let run = bundle
            .probe(&[
                "both",
                "read",
                "/data/link",
                ",",
                "stat",
                "/data",
                "/data/deep",
                "/data/script",
                "/data/out",
                ",",
                "write",
                "/data/script",
                "new",
            ])
            .run()
            .succeeds();
        let (content, rest) = run.out.split_at("content".len());
        let stat: Value = rest.lines().next().unwrap_or_default().parse().expect("what probe stat prints");
        assert_eq!(content, "content");
        assert_eq!((&stat["/data/deep"]["uid"], &stat["/data/deep"]["gid"]), (&7.into(), &8.into()));
        assert_eq!(stat["/data/script"]["mode"], 0o4751);
        assert_eq!(stat["/data/out"]["target"], servin_tests::VICTIM);
        assert_eq!(fs::read_to_string(data.join("script")).expect("read a file"), "x");
    });
}

#[test]
fn tmpcopyup_of_a_directory_that_is_not_there_is_an_empty_one() {
    alone(|| {
        assert_eq!(
            Bundle::new()
                .mount("/data", "tmpfs", "tmpfs", &["tmpcopyup"])
                .probe(&["list", "/data"])
                .run()
                .succeeds()
                .out,
            ""
        )
    });
}

#[test]
fn each_kind_of_file_system_is_mounted_with_its_own_data() {
    alone(|| {
        let seen =
            Bundle::new().options("/proc", &["nosuid", "noexec", "nodev", "hidepid=invisible"]).report();
        for (target, kind, words) in [
            ("/proc", "proc", &["nosuid", "noexec", "nodev", "hidepid=invisible"][..]),
            ("/dev", "tmpfs", &["nosuid", "mode=755", "size=65536k", "!relatime"]),
            ("/dev/pts", "devpts", &["nosuid", "noexec", "gid=5", "mode=620", "ptmxmode=666"]),
            ("/dev/shm", "tmpfs", &["nosuid", "noexec", "nodev", "size=65536k"]),
            ("/dev/mqueue", "mqueue", &["nosuid", "noexec", "nodev"]),
            ("/sys", "sysfs", &["nosuid", "noexec", "nodev", "ro"]),
        ] {
            assert_eq!(seen.mount(target)["type"], kind, "{target}");
            compare(&seen, target, &[], words);
        }
    });
}

#[test]
fn the_control_groups_are_mounted_read_only() {
    alone(|| {
        let seen = Bundle::new().namespace("cgroup", None).report();
        compare(&seen, "/sys/fs/cgroup", &[], &["ro", "nosuid", "noexec", "nodev"]);
        let kind = seen.mount("/sys/fs/cgroup")["type"].as_str().unwrap_or_default().to_string();
        assert!(["cgroup2", "tmpfs"].contains(&kind.as_str()), "{kind}");
    });
}

#[test]
fn an_overlay_is_mounted_from_its_options() {
    alone(|| {
        for name in ["lower", "upper", "work"] {
            fs::create_dir_all(scratch("overlay").join(name)).expect("make a directory");
        }
        fs::write(scratch("overlay/lower/file"), "lower").expect("write a file");
        let option = |name: &str| format!("{name}dir={}", path(&scratch("overlay").join(name)));
        let options = [option("lower"), option("upper"), option("work")];
        let options: Vec<&str> = options.iter().map(String::as_str).collect();
        let bundle = Bundle::new().mount("/mnt", "overlay", "overlay", &options);
        let run = bundle.probe(&["both", "write", "/mnt/new", "x", ",", "read", "/mnt/file"]).run();
        if run.err.contains("overlay") && run.err.contains("ENODEV") {
            skip!("this kernel has no overlay file system");
        }
        assert_eq!(run.succeeds().out, "ok\nlower");
        assert!(scratch("overlay/upper/new").exists());
    });
}

#[test]
fn a_file_system_that_the_kernel_lacks_is_named() {
    alone(|| drop(Bundle::new().mount("/mnt", "nosuchfs", "none", &[]).run().fails(&["nosuchfs", "/mnt"])));
}

#[test]
fn data_that_a_file_system_does_not_know_is_an_error_that_names_the_mount() {
    alone(|| drop(Bundle::new().mount("/mnt", "tmpfs", "tmpfs", &["nonsense=1"]).run().fails(&["/mnt"])));
}

/// A host directory with a file of uid 1000 and a file of root, and a mount below it.
fn owned() -> String {
    let source = source("owned", 0);
    chown(format!("{source}/file"), Some(1000), Some(1000)).expect("change the owner");
    chown(format!("{source}/sub/file"), Some(1000), Some(1000)).expect("change the owner");
    source
}

fn owner(bundle: Bundle, paths: &[&str]) -> Vec<Value> {
    let stat = bundle.probe(&[&["stat"], paths].concat()).run().succeeds().json();
    paths.iter().map(|path| stat[*path]["uid"].clone()).collect()
}

fn idmapped(source: &str, option: &str, host: u32) -> Value {
    let map = json!([{ "containerID": 1000, "hostID": host, "size": 1 }]);
    json!({ "destination": "/mnt", "type": "bind", "source": source, "options": ["rbind", option], "uidMappings": map, "gidMappings": map })
}

#[test]
fn idmap_shows_other_owners_on_one_mount_and_ridmap_on_all_below() {
    alone(|| {
        if !idmapped_mounts_work() {
            skip!("this kernel maps no ids on a tmpfs (6.3 does)");
        }
        let source = owned();
        let paths = ["/mnt/file", "/mnt/sub/file"];
        assert_eq!(
            owner(Bundle::new().push("/mounts", idmapped(&source, "idmap", 2000)), &paths),
            [2000, 1000]
        );
        assert_eq!(
            owner(Bundle::new().push("/mounts", idmapped(&source, "ridmap", 2000)), &paths),
            [2000, 2000]
        );
        assert_eq!(fs::metadata(format!("{source}/file")).expect("look at a file").uid(), 1000);
        unmount_source("owned");
    });
}

#[test]
fn idmap_without_mappings_uses_those_of_the_container() {
    alone(|| {
        if !idmapped_mounts_work() {
            skip!("this kernel maps no ids on a tmpfs (6.3 does)");
        }
        let source = owned();
        let bundle = Bundle::new().mapped(100_000, 65_536);
        assert_eq!(owner(bundle.bind(&source, "/mnt", &["idmap"]), &["/mnt/file"]), [1000]);
        let plain = Bundle::new().mapped(100_000, 65_536).bind(&source, "/mnt", &[]);
        assert_eq!(owner(plain, &["/mnt/file"]), [65_534]);
        unmount_source("owned");
    });
}

#[test]
fn idmap_without_any_mapping_is_refused() {
    alone(|| {
        let source = owned();
        Bundle::new().bind(&source, "/mnt", &["idmap"]).run().fails(&["idmap"]);
        unmount_source("owned");
    });
}

#[test]
fn a_mount_on_a_link_inside_the_root_lands_where_it_leads() {
    alone(|| {
        let bundle = Bundle::new().mount("/var/run/data", "tmpfs", "tmpfs", &[]);
        fs::create_dir_all(bundle.root().join("var")).expect("make a directory");
        symlink("/run", bundle.root().join("var/run")).expect("make a link");
        assert_eq!(bundle.report().mount("/run/data")["type"], "tmpfs");
    });
}

#[test]
fn a_bind_of_the_hosts_dev_is_left_as_it_is() {
    alone(|| {
        let names = || {
            let mut names: Vec<_> =
                fs::read_dir("/dev").expect("list /dev").flatten().map(|entry| entry.file_name()).collect();
            names.sort();
            names
        };
        let before = names();
        let bundle = Bundle::new()
            .unmounted("/dev")
            .unmounted("/dev/pts")
            .unmounted("/dev/shm")
            .unmounted("/dev/mqueue");
        bundle.bind("/dev", "/dev", &["rslave"]).probe(&["try-write", "/dev/null"]).run().succeeds();
        assert_eq!(names(), before);
    });
}

#[test]
fn nothing_of_the_hosts_mounts_is_seen_inside() {
    alone(|| {
        let known = ["/", "/proc", "/dev", "/dev/pts", "/dev/shm", "/dev/mqueue", "/sys", "/sys/fs/cgroup"];
        let seen = Bundle::new()
            .set("/linux/maskedPaths", json!([]))
            .set("/linux/readonlyPaths", json!([]))
            .report();
        for target in seen.mount_targets() {
            assert!(known.contains(&target) || target.starts_with("/sys/fs/cgroup/"), "{target}");
        }
    });
}

#[test]
fn no_mount_of_a_container_reaches_the_host_even_where_the_hosts_are_shared() {
    alone(|| {
        bind("/tmp/servin-tests", "/tmp/servin-tests").expect("bind the test's own tmpfs over itself");
        make_shared("/tmp/servin-tests");
        let before = fs::read_to_string("/proc/self/mountinfo").expect("read the mounts");
        for propagation in ["shared", "slave", "private", "unbindable"] {
            let bundle = Bundle::new()
                .mount("/mnt", "tmpfs", "tmpfs", &[])
                .set("/linux/rootfsPropagation", propagation);
            bundle.run().succeeds();
            assert_eq!(
                fs::read_to_string("/proc/self/mountinfo").expect("read the mounts"),
                before,
                "{propagation}"
            );
        }
        servin_tests::unmount("/tmp/servin-tests").expect("unmount");
    });
}
