//! A disk that is full: whoever waits hears how a container has ended, and everything can still be seen and removed.

use std::fs::{self, File};
use std::io::Write as _;

use servin_tests::{People, alone, file_system, scratch, servin, unmount};

/// HOME on a small disk of its own.
struct Disk(String);

impl Disk {
    fn new() -> Disk {
        let place = scratch("disk").display().to_string();
        fs::create_dir_all(&place).expect("make a place");
        file_system("tmpfs", "tmpfs", &place, "size=1m").expect("mount a small disk");
        Disk(place)
    }

    fn people(&self) -> People {
        People::of("busybox").kept().flags(&["--home", &self.0, "--network", "none"])
    }

    /// Writes until there is no room but for so many blocks.
    fn fill(&self, left: u64) {
        let mut file = File::create(format!("{}/filler", self.0)).expect("make a file");
        let mut length = 0;
        while file.write_all(&[0; 4096]).is_ok() {
            length += 4096;
        }
        file.set_len(length - left * 4096).expect("make room");
    }

    fn make_room(&self) {
        fs::remove_file(format!("{}/filler", self.0)).expect("remove the filler");
    }

    fn servin(&self, command: &str, arguments: &[&str]) -> servin_tests::Finished {
        servin(&[&[command, "--home", &self.0], arguments].concat())
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        unmount(&self.0).expect("unmount the small disk");
    }
}

#[test]
fn the_exit_code_is_heard_and_the_container_can_be_seen_and_removed() {
    alone(|| {
        let disk = Disk::new();
        let people = disk.people().flags(&["--name", "full"]);
        let go = people.root().join("go");
        let mut running =
            people.start(&["sh", "-c", "echo ready; while ! test -e /go; do sleep 0.05; done; exit 3"]);
        running.says("ready");
        disk.fill(0);
        fs::write(go, "").expect("let it go on");
        running.finish().ends_with(3);
        let listed = disk.servin("ps", &["-a"]).succeeds().out;
        assert!(listed.contains("full") && listed.contains("Exited"), "{listed}");
        disk.servin("rm", &["full"]).succeeds();
        disk.make_room();
        assert_eq!(disk.servin("ps", &["-aq"]).succeeds().out, "");
    });
}

#[test]
fn a_container_whose_start_cannot_be_written_down_is_not_left_half_started() {
    alone(|| {
        let disk = Disk::new();
        // A record of more than one block. How many a start takes until each of its files is there is the kernel's.
        let label = format!("note={}", "x".repeat(6000));
        let root = disk.people().root().display().to_string();
        let flags =
            ["--network", "none", "--name", "full", "--label", &label, "--rootfs", &root, "--", "true"];
        disk.servin("create", &flags).succeeds();
        let mut failed = 0;
        for left in 0..8 {
            disk.fill(left);
            let started = disk.servin("start", &["full"]);
            if started.code != 0 {
                started.fails(&["no space left on device"]);
                failed += 1;
                disk.make_room();
                disk.servin("start", &["full"]).succeeds();
            } else {
                disk.make_room();
            }
            assert_eq!(disk.servin("wait", &["full"]).succeeds().out, "0\n");
        }
        assert!(failed > 1, "{failed}");
        disk.servin("rm", &["full"]).succeeds();
    });
}

#[test]
fn the_log_goes_on_with_a_whole_line_when_there_is_room_again() {
    alone(|| {
        let disk = Disk::new();
        let people = disk.people().flags(&["--name", "full"]);
        let (go, on) = (people.root().join("go"), people.root().join("on"));
        let wait = |file: &str| format!("while ! test -e /{file}; do sleep 0.05; done;");
        let script = format!("echo ready; {} seq 1000; echo printed; {} echo after", wait("go"), wait("on"));
        let mut running = people.start(&["sh", "-c", &script]);
        running.says("ready");
        disk.fill(1);
        fs::write(go, "").expect("let it go on");
        running.says("printed");
        disk.make_room();
        fs::write(on, "").expect("let it go on");
        running.finish().succeeds();
        let logged = disk.servin("logs", &["full"]).succeeds().out;
        assert!(logged.starts_with("ready\n") && logged.ends_with("\nafter\n"), "{logged}");
        disk.servin("rm", &["full"]).succeeds();
    });
}

#[test]
fn output_that_is_lost_is_an_error() {
    alone(|| {
        let mut command = People::of("busybox").flags(&["--network", "none"]).command(&["echo", "lost"]);
        let full = File::options().write(true).open("/dev/full").expect("open /dev/full");
        let output = command.stdout(full).output().expect("run it");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.code() == Some(125) && said.contains("no space left"), "{output:?}");
    });
}
