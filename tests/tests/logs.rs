//! What containers have printed: kept, rotated, read from any point on, followed.

use std::process::Command;
use std::time::{Duration, Instant};

use servin_tests::{People, alone, servin, servin_program, start, within};

/// A container that has printed something and ended.
#[track_caller]
fn printed(name: &str, flags: &[&str], script: &str) {
    People::of("busybox").flags(flags).detached(name, &["sh", "-c", script]);
    servin(&["wait", name]).succeeds();
}

#[test]
fn both_streams_are_kept_apart_and_exactly() {
    alone(|| {
        for driver in ["json-file", "k8s-file"] {
            let script = r#"printf 'one\n"two"\\\tx\n'; echo err >&2; printf 'no end'"#;
            printed("web", &["--log-driver", driver], script);
            let logs = servin(&["logs", "web"]).succeeds();
            assert_eq!(
                (logs.out.as_str(), logs.err.as_str()),
                ("one\n\"two\"\\\tx\nno end", "err\n"),
                "{driver}"
            );
            servin(&["rm", "web"]).succeeds();
        }
    });
}

#[test]
fn the_file_is_as_docker_writes_it() {
    alone(|| {
        printed("web", &[], "echo hello");
        let path = servin(&["inspect", "-f", "{{.LogPath}}", "web"]).succeeds().out;
        let text = std::fs::read_to_string(path.trim()).expect("read the log");
        let line: serde_json::Value = text.parse().expect("JSON");
        assert_eq!((&line["log"], &line["stream"]), (&"hello\n".into(), &"stdout".into()));
        assert!(line["time"].as_str().is_some_and(|time| time.ends_with('Z') && time.len() == 30), "{line}");
        servin(&["rm", "web"]).succeeds();
    });
}

#[test]
fn the_last_lines_are_found_across_rotated_files_and_no_line_is_divided() {
    alone(|| {
        let script = "i=0; while [ $i -lt 2000 ]; do echo line $i; i=$((i+1)); done";
        printed("web", &["--log-opt", "max-size=16k", "--log-opt", "max-file=100"], script);
        let all = servin(&["logs", "web"]).succeeds().out;
        let expected: String = (0..2000).map(|number| format!("line {number}\n")).collect();
        assert!(all == expected, "{} of {} bytes", all.len(), expected.len());
        let tail = servin(&["logs", "--tail", "500", "web"]).succeeds().out;
        assert!(expected.ends_with(&tail) && tail.lines().count() == 500, "{}", tail.lines().count());
        assert_eq!(servin(&["logs", "-n", "0", "web"]).succeeds().out, "");
        servin(&["rm", "web"]).succeeds();
        printed("few", &["--log-opt", "max-size=16k", "--log-opt", "max-file=2"], script);
        let kept = servin(&["logs", "few"]).succeeds().out;
        let lines: Vec<&str> = kept.lines().collect();
        let few = (lines.first(), lines.last(), lines.len());
        assert!(expected.ends_with(&kept) && kept.len() < expected.len() && !kept.is_empty(), "{few:?}");
        servin(&["rm", "few"]).succeeds();
    });
}

#[test]
fn long_lines_are_whole_again() {
    alone(|| {
        printed("web", &[], "head -c 100000 /dev/zero | tr '\\0' x; echo; echo next");
        let out = servin(&["logs", "web"]).succeeds().out;
        assert!(out == format!("{}\nnext\n", "x".repeat(100_000)), "{}", out.len());
        // One time a line, whatever its pieces.
        assert_eq!(servin(&["logs", "-t", "web"]).succeeds().out.matches('Z').count(), 2);
        servin(&["rm", "web"]).succeeds();
    });
}

#[test]
fn a_log_is_followed_until_the_container_ends() {
    alone(|| {
        let script = "i=0; while [ $i -lt 300 ]; do echo line $i; i=$((i+1)); done; sleep 0.3; echo last";
        People::of("busybox")
            .flags(&["--log-opt", "max-size=2k", "--log-opt", "max-file=50"])
            .detached("web", &["sh", "-c", script]);
        let mut command = Command::new(servin_program());
        command.args(["logs", "-f", "web"]);
        let out = start(command).finish().succeeds().out;
        let expected: String = (0..300).map(|number| format!("line {number}\n")).collect();
        assert!(out == expected + "last\n", "{out}");
        servin(&["rm", "web"]).succeeds();
    });
}

/// The numbers of lines, each of which is `line NUMBER`.
fn numbers(text: &str) -> Vec<u32> {
    let number = |line: &str| line.strip_prefix("line ").and_then(|number| number.parse().ok());
    text.lines().map(|line| number(line).unwrap_or_else(|| panic!("half a line: {line:?}"))).collect()
}

/// Whether each number follows the one before.
fn is_whole(numbers: &[u32]) -> bool {
    numbers.windows(2).all(|pair| pair[1] == pair[0] + 1)
}

#[test]
fn whoever_reads_while_files_are_renamed_sees_each_line_once_and_in_order() {
    alone(|| {
        let script = "i=0; while [ $i -lt 20000 ]; do echo line $i; i=$((i+1)); done";
        let logs = |flags: &[&str]| {
            let mut command = Command::new(servin_program());
            command.arg("logs").args(flags).arg("web");
            start(command)
        };
        for driver in ["json-file", "k8s-file"] {
            People::of("busybox")
                .flags(&["--log-driver", driver, "--log-opt", "max-size=8k", "--log-opt", "max-file=1000"])
                .detached("web", &["sh", "-c", script]);
            let all = [logs(&["-f"]), logs(&["-f"])];
            let last = logs(&["-f", "--tail", "100"]);
            let mut seen = 0;
            while seen < 20_000 {
                let now = numbers(&logs(&[]).finish().succeeds().out);
                assert!(is_whole(&now) && now.first().is_none_or(|first| *first == 0), "{driver}: {now:?}");
                assert!(now.len() >= seen, "{driver}: there were {seen} lines, and now {}", now.len());
                seen = now.len();
                let now = numbers(&logs(&["--tail", "700"]).finish().succeeds().out);
                // More than that where more is printed meanwhile.
                assert!(is_whole(&now) && now.len() >= seen.min(700), "{driver}: {now:?}");
            }
            for reader in all {
                let read = numbers(&reader.finish().succeeds().out);
                assert!(is_whole(&read) && read.len() == 20_000, "{driver}: {} lines", read.len());
            }
            let read = numbers(&last.finish().succeeds().out);
            assert!(is_whole(&read) && read.last() == Some(&19_999), "{driver}: {} lines", read.len());
            servin(&["wait", "web"]).succeeds();
            servin(&["rm", "web"]).succeeds();
        }
    });
}

#[test]
fn a_log_is_followed_from_one_run_to_the_next() {
    alone(|| {
        People::of("busybox")
            .flags(&["--restart", "on-failure:3"])
            .detached("web", &["sh", "-c", "echo run; sleep 0.1; exit 1"]);
        assert_eq!(servin(&["logs", "-f", "web"]).succeeds().out, "run\n".repeat(4));
        servin(&["rm", "web"]).succeeds();
    });
}

#[test]
fn times_and_counts_cut_a_log_together() {
    alone(|| {
        printed("web", &[], "for line in a b c d; do echo $line; sleep 0.1; done");
        let stamped = servin(&["logs", "-t", "web"]).succeeds().out;
        let times: Vec<&str> = stamped.lines().filter_map(|line| line.split(' ').next()).collect();
        let logs = |flags: &[&str]| servin(&[&["logs"], flags, &["web"]].concat()).succeeds().out;
        let (since, until) = (["--since", times[1]], ["--until", times[2]]);
        assert_eq!(logs(&[since, until].concat()), "b\nc\n");
        // The last lines are those of the whole log, as with Docker.
        assert_eq!(logs(&[&since[..], &until, &["--tail", "3"]].concat()), "b\nc\n");
        assert_eq!(logs(&[&since[..], &until, &["--tail", "2"]].concat()), "c\n");
        assert_eq!(logs(&[&since[..], &["-t", "--tail", "1"]].concat()), format!("{} d\n", times[3]));
        servin(&["rm", "web"]).succeeds();
    });
}

#[test]
fn since_and_until_cut_a_log() {
    alone(|| {
        printed("web", &[], "echo early; sleep 1.2; echo late");
        let stamped = servin(&["logs", "-t", "web"]).succeeds().out;
        let times: Vec<&str> = stamped.lines().filter_map(|line| line.split(' ').next()).collect();
        let logs = |flag: &str, time: &str| servin(&["logs", flag, time, "web"]).succeeds().out;
        assert_eq!(logs("--since", times[1]), "late\n");
        assert_eq!(logs("--until", times[0]), "early\n");
        assert_eq!(logs("--since", "10m"), "early\nlate\n");
        assert_eq!(logs("--until", "10m"), "");
        servin(&["logs", "--since", "yesterday", "web"]).ends_with(125).fails(&["--since yesterday"]);
        servin(&["rm", "web"]).succeeds();
    });
}

#[test]
fn a_reader_that_does_not_read_holds_nobody_up_and_loses_nothing() {
    alone(|| {
        let script = "head -c 3000000 /dev/zero | tr '\\0' x | fold -w 100; echo; echo done > /finished";
        let people = People::of("busybox").kept().flags(&["--name", "web"]);
        let root = people.root();
        let mut command = people.command(&["sh", "-c", script]);
        let (reader, writer) = std::io::pipe().expect("make a pipe");
        command.stdout(writer);
        let mut child = command.spawn().expect("start servin");
        drop(command);
        let end = Instant::now() + within(Duration::from_secs(30));
        while !root.join("finished").exists() {
            assert!(Instant::now() < end, "the container is held up");
            std::thread::sleep(Duration::from_millis(5));
        }
        let mut text = String::new();
        std::io::Read::read_to_string(&mut { reader }, &mut text).expect("read");
        assert!(child.wait().expect("wait").success());
        assert_eq!(text.bytes().filter(|byte| *byte == b'x').count(), 3_000_000);
        assert!(servin(&["logs", "web"]).succeeds().out == text);
        servin(&["rm", "web"]).succeeds();
    });
}

#[test]
fn without_a_log_there_is_none_to_read() {
    alone(|| {
        printed("web", &["--log-driver", "none"], "echo x");
        servin(&["logs", "web"]).ends_with(125).fails(&["--log-driver none"]);
        servin(&["rm", "web"]).succeeds();
        let people = People::of("busybox").flags(&["--log-driver", "none"]);
        assert_eq!(people.run(&["sh", "-c", "echo out; echo err >&2"]).succeeds().out, "out\n");
    });
}
