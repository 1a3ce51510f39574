//! Beside a container: what is typed and printed, leaving it and coming back, more programs in it.

use std::process::{Command, Stdio};

use servin_tests::{People, Terminal, alone, kill, servin, servin_program, start, supervisor};

fn typed(arguments: &[&str]) -> Command {
    let mut command = Command::new(servin_program());
    command.args(arguments);
    command
}

#[test]
fn a_terminal_is_left_by_its_keys_and_attached_to_again() {
    alone(|| {
        let people = People::of("busybox").kept().flags(&["-it", "--name", "shell"]);
        let mut terminal = Terminal::new(24, 80);
        let before = terminal.settings();
        terminal = terminal.start(people.command(&["sh"]));
        terminal.expect("# ").type_in("A=remem''bered\n").expect("# ").type_in("\x10\x11");
        terminal.finish().succeeds();
        assert_eq!(terminal.settings(), before);
        let mut again = Terminal::new(30, 90).start(typed(&["attach", "--detach-keys", "ctrl-a,d", "shell"]));
        again.type_in("\necho $A; stty size\n").expect("remembered").expect("30 90");
        again.type_in("\x01d");
        again.finish().succeeds();
        let mut last = Terminal::new(24, 80).start(typed(&["attach", "shell"]));
        last.type_in("\nexit 6\n");
        last.finish().ends_with(6);
        servin(&["rm", "shell"]).succeeds();
    });
}

#[test]
fn the_terminal_is_as_before_whoever_was_killed() {
    alone(|| {
        for signal in [15, 9] {
            let people = People::of("busybox").kept().flags(&["-it", "--name", "shell"]);
            let mut terminal = Terminal::new(24, 80);
            let before = terminal.settings();
            terminal = terminal.start(people.command(&["sh", "-c", "echo ready; sleep 1000"]));
            terminal.expect("ready");
            assert!(terminal.is_raw());
            match signal {
                // The command: it hands that on to the container.
                15 => {
                    kill(terminal.pid(), 15).expect("ask the command to end");
                    terminal.finish().ends_with(143);
                }
                _ => {
                    kill(supervisor("shell"), 9).expect("kill the supervisor");
                    assert_ne!(terminal.finish().code, 0);
                }
            }
            assert_eq!(terminal.settings(), before);
            servin(&["rm", "-f", "shell"]).succeeds();
        }
    });
}

#[test]
fn keys_that_only_begin_like_the_sequence_reach_the_program() {
    alone(|| {
        let people = People::new().flags(&["-it"]);
        let mut terminal = Terminal::new(24, 80).start(people.command(&["/bin/probe", "echo-tty"]));
        terminal.expect("ready").type_in("a\x10b\r").expect("got a\x10b");
        terminal.type_in("\x04").finish().succeeds();
    });
}

#[test]
fn several_listen_to_one_container_and_its_end_reaches_all() {
    alone(|| {
        People::of("busybox").flags(&["-i"]).detached("cat", &["cat"]);
        let mut listeners: Vec<_> = ["one\n", "two\n"]
            .iter()
            .map(|text| {
                let mut command = typed(&["attach", "cat"]);
                command.stdin(Stdio::piped());
                let mut listener = start(command);
                // Who hears his own word is attached.
                listener.type_in(text);
                listener.says(text);
                listener
            })
            .collect();
        for (number, text) in ["first\n", "second\n"].iter().enumerate() {
            listeners[number].type_in(text);
            listeners.iter_mut().for_each(|listener| drop(listener.says(text)));
        }
        servin(&["stop", "cat"]).succeeds();
        listeners.into_iter().for_each(|listener| drop(listener.finish().ends_with(143)));
        servin(&["attach", "cat"]).ends_with(125).fails(&["does not run"]);
        servin(&["rm", "cat"]).succeeds();
    });
}

#[test]
fn input_reaches_the_program_whole_and_its_end_too() {
    alone(|| {
        let people = People::of("busybox").flags(&["-i"]);
        let mut command = people.command(&["sh", "-c", "wc -c"]);
        command.stdin(Stdio::piped());
        let mut running = start(command);
        running.type_in(&"x".repeat(2_000_000));
        running.end_input();
        assert_eq!(running.finish().succeeds().out.trim(), "2000000");
    });
}

#[test]
fn only_what_was_asked_for_is_attached() {
    alone(|| {
        let run = |flags: &[&str]| {
            let run = People::of("busybox")
                .flags(&["--network", "none"])
                .flags(flags)
                .run(&["sh", "-c", "echo out; echo err >&2"])
                .succeeds();
            (run.out, run.err)
        };
        assert_eq!(run(&["-a", "stdout"]), ("out\n".into(), "".into()));
        assert_eq!(run(&["-a", "stderr"]), ("".into(), "err\n".into()));
        assert_eq!(run(&[]), ("out\n".into(), "err\n".into()));
    });
}

#[test]
fn output_is_passed_on_byte_by_byte() {
    alone(|| {
        let mut command = People::of("busybox").command(&[
            "sh",
            "-c",
            "printf '\\377\\000\\200x'; head -c 5000000 /dev/zero",
        ]);
        let out = command.stderr(Stdio::null()).output().expect("run servin").stdout;
        assert!(out[..4] == [255, 0, 128, b'x'] && out.len() == 5_000_004, "{}", out.len());
    });
}

#[test]
fn programs_are_run_in_a_container_beside_its_own() {
    alone(|| {
        People::of("busybox").flags(&["-e", "OWN=1", "-w", "/tmp"]).detached("web", &["sleep", "1000"]);
        let exec = |arguments: &[&str]| servin(&[&["exec"], arguments].concat());
        assert_eq!(exec(&["web", "sh", "-c", "echo $OWN $(pwd); exit 3"]).ends_with(3).out, "1 /tmp\n");
        let seen =
            exec(&["-u", "app", "-w", "/", "-e", "A=b", "web", "sh", "-c", "echo $(id -u) $A $HOME $(pwd)"]);
        assert_eq!(seen.succeeds().out, "1000 b /home/app /\n");
        exec(&["web", "/bin/nothing"]).ends_with(127).fails(&["/bin/nothing"]);
        let capabilities = |flags: &[&str]| {
            exec(&[flags, &["web", "grep", "CapEff", "/proc/self/status"]].concat()).succeeds().out
        };
        assert_ne!(capabilities(&[]), capabilities(&["--privileged"]));
        let mut command = typed(&["exec", "-i", "web", "cat"]);
        command.stdin(Stdio::piped());
        let mut running = start(command);
        running.type_in("typed");
        running.end_input();
        assert_eq!(running.finish().succeeds().out, "typed");
        assert_eq!(exec(&["web", "cat"]).succeeds().out, "");
        exec(&["-d", "web", "sh", "-c", "echo here > /tmp/detached; sleep 1000"]).succeeds();
        let mut terminal = Terminal::new(20, 70).start(typed(&["exec", "-it", "web", "sh"]));
        terminal
            .expect("# ")
            .type_in("stty size; cat /tmp/detached; exit 4\n")
            .expect("20 70")
            .expect("here");
        terminal.finish().ends_with(4);
        servin(&["rm", "-f", "web"]).succeeds();
        exec(&["web", "true"]).ends_with(125).fails(&["there is no container web"]);
    });
}
