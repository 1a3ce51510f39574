//! Hooks: other programs at points of a container's life.

use std::fs;

use serde_json::{Value, json};
use servin_tests::{Bundle, alone, reap_one, scratch};

/// A hook that runs a line of shell; the host's programs are there before the root is switched.
fn hook(line: &str) -> Value {
    json!({ "path": "/bin/sh", "args": ["sh", "-c", line], "env": ["PATH=/bin:/usr/bin", "KEY=value"] })
}

fn bundle() -> Bundle {
    Bundle::of("busybox").args(&["/bin/sh", "-c", "echo program >> /tmp/order; sleep 1000"]).writable()
}

const KINDS: [&str; 6] =
    ["prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"];

/// A bundle where each hook notes its kind, its mount namespace and what it read.
fn noting() -> (Bundle, String) {
    let notes = scratch("notes").display().to_string();
    fs::create_dir_all(&notes).expect("make a directory");
    let mut bundle = bundle().bind(&notes, "/notes", &[]);
    for kind in KINDS {
        let place = if kind == "startContainer" { "/notes" } else { &notes };
        let line = format!(
            "cat > {place}/{kind}.state; readlink /proc/self/ns/mnt > {place}/{kind}.mnt; echo {kind} >> {place}/order; \
             env > {place}/{kind}.env; ls /proc/self/fd > {place}/{kind}.fd"
        );
        bundle = bundle.push(&format!("/hooks/{kind}"), hook(&line));
    }
    (bundle, notes)
}

fn read(notes: &str, name: &str) -> String {
    fs::read_to_string(format!("{notes}/{name}")).unwrap_or_default()
}

#[test]
fn all_six_kinds_run_in_order_in_their_namespaces_with_the_state() {
    alone(|| {
        let (bundle, notes) = noting();
        let bundle = bundle.set("/annotations", json!({ "a.b": "c" }));
        let order = || read(&notes, "order").split_whitespace().map(String::from).collect::<Vec<_>>();
        let pid = bundle.created();
        assert_eq!(order(), KINDS[..3]);
        bundle.oci("start", &[]).succeeds();
        assert_eq!(order(), KINDS[..5]);
        let inside = fs::read_link(format!("/proc/{pid}/ns/mnt")).expect("a link").display().to_string();
        let outside = fs::read_link("/proc/self/ns/mnt").expect("a link").display().to_string();
        bundle.ended(pid);
        assert_eq!(order(), KINDS);
        let statuses = ["creating", "creating", "creating", "created", "running", "stopped"];
        for (kind, status) in KINDS.iter().zip(statuses) {
            let state: Value = read(&notes, &format!("{kind}.state")).parse().expect("the state");
            assert_eq!((&state["status"], &state["id"]), (&json!(status), &json!(bundle.name())), "{kind}");
            assert_eq!(state["bundle"], bundle.directory().to_str().expect("UTF-8"), "{kind}");
            assert_eq!(state["annotations"], json!({ "a.b": "c" }), "{kind}");
            let in_container = ["createContainer", "startContainer"].contains(kind);
            let expected = match *kind {
                "poststop" => 0,
                _ if in_container => 1,
                _ => pid,
            };
            assert_eq!(state["pid"], expected, "{kind}");
            let namespace = read(&notes, &format!("{kind}.mnt"));
            assert_eq!(namespace.trim(), if in_container { &inside } else { &outside }, "{kind}");
            let env = read(&notes, &format!("{kind}.env"));
            assert!(env.contains("KEY=value") && !env.contains("SERVIN"), "{kind}: {env}");
            assert_eq!(
                read(&notes, &format!("{kind}.fd")).split_whitespace().collect::<Vec<_>>(),
                ["0", "1", "2", "3"],
                "{kind}"
            );
        }
    });
}

#[test]
fn run_runs_them_all_too() {
    alone(|| {
        let (bundle, notes) = noting();
        bundle.args(&["/bin/true"]).oci("run", &[]).succeeds();
        let order = read(&notes, "order");
        assert_eq!(
            order.split_whitespace().filter(|kind| *kind != "poststart").collect::<Vec<_>>().len(),
            5,
            "{order}"
        );
        assert!(order.contains("poststart"), "{order}");
    });
}

#[test]
fn a_hook_that_fails_ends_the_creation_and_leaves_nothing() {
    alone(|| {
        for kind in ["prestart", "createRuntime", "createContainer"] {
            let bundle = bundle().set(&format!("/hooks/{kind}"), json!([hook("exit 0"), hook("exit 3")]));
            let place = format!("hooks.{kind}[1]: /bin/sh: exit status 3");
            bundle.oci("create", &[]).fails(&[&place]);
            bundle.oci("run", &[]).fails(&[&place]);
            bundle.oci("state", &[]).fails(&["does not exist"]);
        }
        let bundle = bundle().set("/hooks/createRuntime", json!([{ "path": "/nosuch/hook" }]));
        bundle
            .oci("create", &[])
            .fails(&["hooks.createRuntime[0]: /nosuch/hook", "no such file or directory"]);
    });
}

#[test]
fn a_hook_of_the_start_that_fails_ends_and_removes_the_container() {
    alone(|| {
        for (kind, code) in [("startContainer", 4), ("poststart", 5)] {
            let ended = scratch("ended");
            let noted = hook(&format!("cat > {}", ended.display()));
            let bundle = bundle()
                .push(&format!("/hooks/{kind}"), hook(&format!("exit {code}")))
                .push("/hooks/poststop", noted);
            let place = format!("hooks.{kind}[0]: /bin/sh: exit status {code}");
            let pid = bundle.created();
            bundle.oci("start", &[]).fails(&[&place]);
            assert_ne!(reap_one(pid), 0);
            bundle.oci("state", &[]).fails(&["does not exist"]);
            let state = fs::read_to_string(&ended).expect("poststop has run");
            assert!(state.contains("stopped"), "{state}");
            bundle.oci("delete", &["--force"]).succeeds();
            fs::remove_file(&ended).expect("remove");

            bundle.oci("run", &[]).fails(&[&place]);
            bundle.oci("run", &["--detach"]).fails(&[&place]);
            bundle.oci("state", &[]).fails(&["does not exist"]);
            fs::remove_file(&ended).expect("poststop has run");
        }
    });
}

#[test]
fn a_hook_after_the_end_that_fails_is_a_warning() {
    alone(|| {
        let bundle = bundle().push("/hooks/poststop", hook("exit 6"));
        let pid = bundle.created();
        bundle.oci("start", &[]).succeeds();
        let out = bundle.oci("delete", &["--force"]).succeeds();
        assert!(out.err.contains("warning: hooks.poststop[0]: /bin/sh: exit status 6"), "{out:?}");
        reap_one(pid);
    });
}

#[test]
fn a_hook_is_ended_after_its_timeout() {
    alone(|| {
        let mut slow = hook("exec sleep 1000");
        slow["timeout"] = json!(1);
        bundle().set("/hooks/createRuntime", json!([slow])).oci("create", &[]).fails(&["timeout of 1 s"]);
    });
}

#[test]
fn a_hook_need_not_read_its_input_however_long_that_is() {
    alone(|| {
        let large = "x".repeat(200_000);
        let bundle = bundle().set("/annotations", json!({ "large": large }));
        let count = scratch("count").display().to_string();
        let bundle =
            bundle.set("/hooks/createRuntime", json!([hook("true"), hook(&format!("wc -c > {count}"))]));
        let pid = bundle.created();
        let counted: usize = fs::read_to_string(&count).expect("a count").trim().parse().expect("a number");
        assert!(counted > 200_000, "{counted}");
        bundle.ended(pid);
    });
}

#[test]
fn a_bad_hook_is_refused_before_anything_is_made() {
    alone(|| {
        for (hook, words) in [
            (json!({ "path": "relative" }), "hooks.poststop[0]: path: \"relative\" is not an absolute path"),
            (json!({ "path": "/a", "timeout": 0 }), "hooks.poststop[0]: timeout: 0 is not more than 0"),
            (json!({}), "hooks.poststop[0].path is missing"),
        ] {
            bundle().set("/hooks/poststop", json!([hook])).oci("create", &[]).fails(&[words]);
        }
    });
}
