//! Health checks: what they find is known of the container, and nothing else happens.

use std::fs;

use servin_tests::{People, alone, servin, until};

fn health(name: &str) -> serde_json::Value {
    servin(&["inspect", name]).succeeds().json()[0]["State"]["Health"].clone()
}

#[track_caller]
fn becomes(status: &str, name: &str) -> serde_json::Value {
    until(status, || health(name)["Status"] == status);
    health(name)
}

#[test]
fn a_container_is_healthy_or_not_as_its_check_says() {
    alone(|| {
        let people = People::of("busybox").flags(&[
            "--health-cmd",
            "echo looked; test -e /well",
            "--health-interval",
            "100ms",
            "--health-retries",
            "2",
        ]);
        let root = people.root();
        people.detached("web", &["sleep", "1000"]);
        assert_eq!(health("web")["Status"], "starting");
        let seen = becomes("unhealthy", "web");
        assert!(seen["FailingStreak"].as_u64() >= Some(2), "{seen}");
        let last = seen["Log"].as_array().and_then(|log| log.last()).expect("a result").clone();
        assert_eq!((&last["ExitCode"], &last["Output"]), (&1.into(), &"looked\n".into()));
        assert!(servin(&["ps"]).succeeds().out.contains("(unhealthy)"));
        fs::write(root.join("well"), "").expect("write a file");
        assert_eq!(becomes("healthy", "web")["FailingStreak"], 0);
        let listed = servin(&["ps", "-f", "health=healthy", "--format", "{{.Names}}"]).succeeds().out;
        assert_eq!(listed, "web\n");
        servin(&["rm", "-f", "web"]).succeeds();
    });
}

#[test]
fn a_check_that_takes_too_long_has_failed_and_is_ended() {
    alone(|| {
        People::of("busybox")
            .flags(&[
                "--health-cmd",
                "sleep 999",
                "--health-interval=50ms",
                "--health-timeout=200ms",
                "--health-retries=1",
            ])
            .detached("web", &["sleep", "1000"]);
        let seen = becomes("unhealthy", "web");
        assert_eq!(seen["Log"][0]["ExitCode"], -1);
        let processes =
            servin(&["exec", "web", "sh", "-c", "cat /proc/[0-9]*/cmdline | tr '\\0' ' '"]).succeeds().out;
        assert!(processes.matches("sleep 999").count() <= 2, "{processes}");
        servin(&["rm", "-f", "web"]).succeeds();
    });
}

#[test]
fn flags_about_health_need_a_check() {
    alone(|| {
        let run = |flags: &[&str]| People::of("busybox").kept().flags(flags).run(&["true"]).ends_with(125);
        run(&["--health-interval", "1s"]).fails(&["--health-interval", "--health-cmd"]);
        run(&["--health-cmd", "true", "--health-interval", "often"]).fails(&["--health-interval often"]);
        run(&["--health-cmd", "true", "--no-healthcheck"]).fails(&["--no-healthcheck"]);
    });
}

#[test]
fn a_check_may_say_more_than_a_pipe_holds() {
    alone(|| {
        People::of("busybox")
            .flags(&["--health-cmd", "yes | head -c 300000", "--health-interval=50ms", "--health-retries=1"])
            .flags(&["--health-timeout=30s", "--network=none"])
            .detached("web", &["sleep", "1000"]);
        let seen = becomes("healthy", "web");
        assert_eq!(seen["Log"][0]["Output"].as_str().map(str::len), Some(4096));
        servin(&["rm", "-f", "web"]).succeeds();
    });
}
