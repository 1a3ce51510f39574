//! Documents that others wrote go through unchanged, and every kind of mistake is named.

use miniserde::json as text;

use super::json::{Decode, Encode};
use super::*;

const RUNC_SPEC: &str = include_str!("testdata/runc-spec.json");
const MAXIMAL: &str = include_str!("testdata/maximal.json");
const FEATURES: &str = include_str!("testdata/features.json");

/// The document in one form, whatever its order and white space.
fn canonical(document: &str) -> String {
    text::to_string(&text::from_str::<text::Value>(document).expect("JSON"))
}

#[track_caller]
fn goes_through_unchanged<T: Decode + Encode + Default>(text: &str) -> T {
    let parsed: T = parse(text, "config.json").expect("a valid document");
    assert_eq!(canonical(&to_json(&parsed)), canonical(text));
    assert_eq!(canonical(&to_json_pretty(&parsed)), canonical(text));
    parsed
}

/// The maximal document with `from`, which it contains, replaced.
fn maximal_with(from: &str, to: &str) -> String {
    assert!(MAXIMAL.contains(from), "{from}");
    MAXIMAL.replacen(from, to, 1)
}

#[track_caller]
fn fails<T: Decode + Default>(text: &str, expected: &str) {
    match parse::<T>(text, "config.json") {
        Ok(_) => panic!("accepted; expected {expected}"),
        Err(error) => assert_eq!(error.to_string(), expected),
    }
}

#[track_caller]
fn maximal_fails(from: &str, to: &str, expected: &str) {
    fails::<Config>(&maximal_with(from, to), expected);
}

#[test]
fn the_config_of_runc_spec_is_printed_byte_for_byte() {
    let config: Config = goes_through_unchanged(RUNC_SPEC);
    assert_eq!(to_json_pretty(&config), RUNC_SPEC.trim_end());
}

#[test]
fn every_property_of_the_specification_is_decoded() {
    let config: Config = goes_through_unchanged(MAXIMAL);
    let process = config.process.as_ref().expect("process");
    assert_eq!(process.user, User { uid: 1, gid: 1, umask: Some(0o77), additional_gids: vec![5, 6] });
    assert_eq!(process.rlimits[1].hard, u64::MAX);
    assert_eq!(process.oom_score_adj, Some(-100));
    assert_eq!(process.exec_cpu_affinity.as_ref().and_then(|c| c.r#final.as_deref()), Some("0-3,7"));
    let linux = config.linux.as_ref().expect("linux");
    let kinds: Vec<_> = linux.namespaces.iter().map(|namespace| namespace.kind).collect();
    assert_eq!(kinds, NamespaceKind::ALL);
    assert_eq!(linux.devices[2].kind, DeviceKind::Fifo);
    assert_eq!(linux.time_offsets[1].1, TimeOffset { secs: Some(-172_800), nanosecs: Some(7) });
    assert_eq!(linux.net_devices[2], ("eth0".into(), NetDevice { name: Some("container_eth0".into()) }));
    let seccomp = linux.seccomp.as_ref().expect("seccomp");
    assert_eq!(seccomp.default_action, Action::Allow);
    assert_eq!(seccomp.syscalls[1].args[1].op, Operator::NotEqual);
}

#[test]
fn the_features_document_goes_through_unchanged() {
    let features: Features = goes_through_unchanged(FEATURES);
    assert_eq!(features.linux.expect("linux").cgroup.expect("cgroup").v1, Some(false));
}

#[test]
fn the_state_goes_through_unchanged() {
    let text = r#"{"ociVersion":"1.3.0","id":"oci-container1","pid":4422,"status":"running",
        "bundle":"/containers/redis","rootfs":"/containers/redis/rootfs","created":"2026-01-01T00:00:00Z",
        "annotations":{"myKey":"myValue"},"owner":"root"}"#;
    let state: State = goes_through_unchanged(text);
    assert_eq!(state.status, Status::Running);
    goes_through_unchanged::<ContainerProcessState>(&format!(
        r#"{{"ociVersion":"1.3.0","fds":["seccompFd"],"pid":4422,"metadata":"MKNOD=/dev/null","state":{text}}}"#
    ));
}

#[test]
fn null_is_the_same_as_absent() {
    let config: Config = parse(
        r#"{"ociVersion":"1.3.0","process":null,"mounts":null,"annotations":{"a":null},
            "linux":{"seccomp":null,"sysctl":null,"resources":{"devices":null,"memory":{"limit":null}}}}"#,
        "config.json",
    )
    .expect("a valid document");
    assert_eq!(to_json(&config), r#"{"ociVersion":"1.3.0","linux":{"resources":{"memory":{}}}}"#);
}

#[test]
fn unknown_properties_are_ignored() {
    let config: Config =
        parse(r#"{"ociVersion":"1.3.0","future":{"deep":[1.5]}}"#, "config.json").expect("valid");
    assert_eq!(to_json_pretty(&config), "{\n\t\"ociVersion\": \"1.3.0\"\n}");
}

#[test]
fn an_error_names_what_is_missing() {
    fails::<Config>("{}", "config.json: ociVersion is missing");
    maximal_fails(r#""path": "rootfs", "#, "", "config.json: root.path is missing");
    maximal_fails(r#""path": "rootfs""#, r#""path": null"#, "config.json: root.path is missing");
    maximal_fails(r#""uid": 1, "#, "", "config.json: process.user.uid is missing");
    maximal_fails(r#""hard": 1024, "#, "", "config.json: process.rlimits[0].hard is missing");
    maximal_fails(r#""type": "mount""#, "", "config.json: linux.namespaces[2].type is missing");
}

#[test]
fn an_error_says_what_was_expected_and_what_was_found() {
    let limits =
        "config.json: process.rlimits[1].soft: expected a number from 0 to 18446744073709551615, found";
    for (soft, found) in [
        (r#""x""#, r#""x""#),
        ("-1", "-1"),
        ("1.5", "a fraction or a larger number"),
        ("18446744073709551616", "a fraction or a larger number"),
        ("true", "true"),
        ("[]", "a list"),
        ("{}", "an object"),
    ] {
        maximal_fails(r#""soft": 0"#, &format!(r#""soft": {soft}"#), &format!("{limits} {found}"));
    }
    maximal_fails(
        "-100",
        "2147483648",
        "config.json: process.oomScoreAdj: expected a number from -2147483648 to 2147483647, found 2147483648",
    );
    maximal_fails(
        r#""weight": 10"#,
        r#""weight": 65536"#,
        "config.json: linux.resources.blockIO.weight: expected a number from 0 to 65535, found 65536",
    );
    maximal_fails(
        r#""terminal": true"#,
        r#""terminal": "yes""#,
        r#"config.json: process.terminal: expected true or false, found "yes""#,
    );
    maximal_fails(r#"["sh"]"#, r#""sh\n""#, r#"config.json: process.args: expected a list, found "sh\n""#);
    maximal_fails(r#"["sh"]"#, "[null]", "config.json: process.args[0]: expected a string, found null");
    maximal_fails(
        r#""net.core.somaxconn": "256""#,
        r#""net.core.somaxconn": 256"#,
        r#"config.json: linux.sysctl["net.core.somaxconn"]: expected a string, found 256"#,
    );
    maximal_fails(
        r#"{ "name": "container_eth0" }"#,
        "[]",
        r#"config.json: linux.netDevices["eth0"]: expected an object, found a list"#,
    );
    maximal_fails(
        r#""type": "ipc""#,
        r#""type": "foo""#,
        r#"config.json: linux.namespaces[3].type: "foo" is none of pid, network, mount, ipc, uts, user, cgroup, time"#,
    );
    maximal_fails(
        r#""type": "ipc""#,
        r#""type": 3"#,
        "config.json: linux.namespaces[3].type: expected a word, found 3",
    );
    fails::<Config>("[]", "config.json: expected an object, found a list");
    fails::<Vec<Rlimit>>("[{}]", "config.json: [0].type is missing");
}

#[test]
fn a_long_or_odd_word_is_shown_on_one_short_line() {
    let word = format!("é\\u0000{}", "x".repeat(100));
    fails::<Root>(
        &format!(r#"{{"path":"r","readonly":"{word}"}}"#),
        &format!(r#"config.json: readonly: expected true or false, found "é\u0000{}"…"#, "x".repeat(58)),
    );
}

#[test]
fn an_error_says_where_the_text_is_no_json() {
    for (text, place) in [
        ("", " at line 1, column 1: expected a value"),
        ("nul", " at line 1, column 1: expected a value"),
        ("{\n\t\"a\": 1,\n}", " at line 3, column 1: expected a property's name in double quotes"),
        ("{\"a\" 1}", " at line 1, column 6: expected ':'"),
        ("{\"a\": [1 2]}", " at line 1, column 10: expected ',' or ']'"),
        ("{\"a\": 1]", " at line 1, column 8: expected ',' or '}'"),
        ("[1,]", " at line 1, column 4: expected a value"),
        ("{} x", " at line 1, column 4: expected nothing after the document"),
        ("[\"a", " at line 1, column 4: expected '\"' at the end of a string"),
        ("[\"a\n\"]", " at line 1, column 4: expected an escape such as \\n for a control character"),
        (
            "[\"\\x\"]",
            " at line 1, column 3: expected one of the escapes \\\" \\\\ \\/ \\b \\f \\n \\r \\t \\uXXXX",
        ),
        ("[-]", " at line 1, column 3: expected a digit"),
        ("[1.e]", " at line 1, column 4: expected a digit"),
        ("[01]", " at line 1, column 3: expected ',' or ']'"),
        (
            "[\"\\ud800\"]",
            " at line 1, column 9: expected the escapes of two surrogates that belong together",
        ),
    ] {
        fails::<Config>(text, &format!("config.json: not valid JSON{place}"));
    }
}

#[test]
fn a_million_brackets_do_not_exhaust_the_stack() {
    let depth = 1_000_000;
    let open = "[".repeat(depth);
    fails::<Config>(
        &open,
        "config.json: not valid JSON at line 1, column 1001: expected at most 1000 brackets within each other",
    );
    let closed = open[..999].to_owned() + &"]".repeat(999);
    let inside = format!(r#"{{"ociVersion":"1.3.0","unknown":{closed}}}"#);
    assert!(parse::<Config>(&inside, "config.json").is_ok());
    let objects = r#"{"a":"#.repeat(1000) + "1" + &"}".repeat(1000);
    fails::<Config>(&objects, "config.json: ociVersion is missing");
}

#[test]
fn an_update_or_a_process_is_a_document_too() {
    let resources: Resources = parse(r#"{"memory":{"limit":524288}}"#, "standard input").expect("valid");
    assert_eq!(resources.memory.and_then(|memory| memory.limit), Some(524_288));
    let error = parse::<Process>(r#"{"user":{"uid":0,"gid":0}}"#, "process.json").expect_err("no cwd");
    assert_eq!(error.to_string(), "process.json: cwd is missing");
}
