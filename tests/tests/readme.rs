//! The README's examples, run as they stand there.

use std::fs;
use std::os::unix::fs::symlink;
use std::process::{Command, Stdio};

use servin_tests::{alone, scratch, servin_program, start};

/// The README, as it was when this was built: the virtual machine has no other.
const README: &str = include_str!("../../README.md");

#[test]
fn the_readmes_examples_print_what_it_says() {
    alone(|| {
        let programs = scratch("readme");
        fs::create_dir_all(&programs).expect("make a folder for the program");
        symlink(servin_program(), programs.join("servin")).expect("link servin");
        let path = format!("{}:{}", programs.display(), std::env::var("PATH").unwrap_or_default());
        let (_, examples) = README.split_once("```sh\n").expect("a block of examples");
        let (examples, _) = examples.split_once("```").expect("its end");
        let mut run = 0;
        for line in examples.lines() {
            let (command, expected) = line.split_once("    # ").expect("a command and what it prints");
            let mut shell = Command::new("/bin/sh");
            shell.args(["-c", command]).env("PATH", &path).stdin(Stdio::null());
            let finished = start(shell).finish();
            assert_eq!(finished.out.trim_end(), expected, "{command}\n{}", finished.err);
            run += 1;
        }
        assert!(run > 8);
        servin_tests::forget_home();
    });
}
