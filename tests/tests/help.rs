//! The help, the completions, the manual: what a person reads before typing.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use servin_tests::{Terminal, alone, scratch, servin, servin_program, skip, start};

#[test]
fn the_help_fits_a_screen_and_is_the_same_by_every_name() {
    alone(|| {
        let help = servin(&["help"]).succeeds().out;
        assert_eq!(help, servin(&["--help"]).succeeds().out);
        assert_eq!(help, servin(&[]).ends_with(1).out);
        assert!(help.lines().count() <= 40, "{help}");
        let run = servin(&["run", "--help"]).succeeds().out;
        assert_eq!(run, servin(&["help", "run"]).succeeds().out);
        assert_eq!(run, servin(&["container", "run", "--help"]).succeeds().out);
        assert!(run.lines().count() <= 50 && !run.contains("weight against others"), "{run}");
        assert!(servin(&["help", "run", "limits"]).succeeds().out.contains("weight against others"));
        assert!(servin(&["help", "run", "all"]).succeeds().out.contains("weight against others"));
        servin(&["help", "run", "nothing"]).ends_with(125).fails(&["no group of flags nothing", "limits"]);
        assert!(servin(&["container", "--help"]).succeeds().out.contains("run"));
    });
}

#[test]
fn what_is_misspelt_gets_a_suggestion() {
    alone(|| {
        servin(&["rnu"]).ends_with(125).fails(&["there is no command rnu: did you mean run?"]);
        servin(&["container", "rn"]).ends_with(125).fails(&["no command container rn: did you mean run?"]);
        servin(&["run", "--hostnam", "x"]).ends_with(125).fails(&["--hostnam: did you mean --hostname?"]);
        servin(&["--hom", "/x", "run"]).ends_with(125).fails(&["unknown flag --hom: did you mean --home?"]);
        servin(&["zzz"]).ends_with(125).fails(&["there is no command zzz: `servin help` lists"]);
    });
}

#[test]
fn colours_are_for_terminals_alone_and_not_with_no_color() {
    alone(|| {
        assert!(!servin(&["help"]).succeeds().out.contains('\x1b'));
        for (variable, value, coloured) in
            [("X", "", true), ("NO_COLOR", "1", false), ("NO_COLOR", "", true), ("TERM", "dumb", false)]
        {
            let mut command = Command::new(servin_program());
            command.arg("help").env("TERM", "xterm").env(variable, value);
            let mut terminal = Terminal::new(40, 80).start(command);
            assert_eq!(terminal.finish().out.contains("\x1b[1m"), coloured, "{variable}={value}");
        }
    });
}

/// What bash offers after a line, whose last word may be empty.
fn bash_offers(line: &[&str]) -> Vec<String> {
    let programs = scratch("completion");
    fs::create_dir_all(&programs).expect("make a folder for the program");
    let _ = symlink(servin_program(), programs.join("servin"));
    let words = line.iter().map(|word| format!("'{word}'")).collect::<Vec<_>>().join(" ");
    let script = format!(
        "eval \"$(servin completion bash)\" && COMP_WORDS=({words}) && COMP_CWORD={} && _servin && printf '%s\\n' \"${{COMPREPLY[@]}}\"",
        line.len() - 1
    );
    let mut bash = Command::new("bash");
    let path = format!("{}:{}", programs.display(), std::env::var("PATH").unwrap_or_default());
    bash.args(["--norc", "-c", &script]).env("PATH", path);
    start(bash).finish().succeeds().out.lines().map(str::to_string).collect()
}

#[test]
fn bash_completes_commands_flags_and_files() {
    alone(|| {
        if !Path::new("/bin/bash").exists() {
            skip!("there is no bash");
        }
        assert_eq!(bash_offers(&["servin", "vers"]), ["version"]);
        assert_eq!(bash_offers(&["servin", "--ho"]), ["--home"]);
        assert_eq!(bash_offers(&["servin", "--home", "/x", "ru"]), ["run"]);
        assert_eq!(bash_offers(&["servin", "container", "ru"]), ["run"]);
        assert_eq!(bash_offers(&["servin", "run", "--hostn"]), ["--hostname"]);
        assert_eq!(bash_offers(&["servin", "container", "run", "--read"]), ["--read-only"]);
        let files = bash_offers(&["servin", "run", "--rootfs", "/etc/pass"]);
        assert!(files.contains(&"/etc/passwd".to_string()), "{files:?}");
        assert_eq!(bash_offers(&["servin", "run", "--hostname", ""]), [""]);
    });
}

#[test]
fn the_other_shells_understand_their_scripts() {
    alone(|| {
        for shell in ["zsh", "fish"] {
            if !fs::exists(format!("/usr/bin/{shell}")).unwrap_or(false) {
                skip!("there is no {shell} here");
            }
            let path = scratch(shell);
            fs::write(&path, servin(&["completion", shell]).succeeds().out).expect("write the script");
            let mut command = Command::new(shell);
            command.arg("-n").arg(&path).env("HOME", "/nowhere");
            let finished = start(command).finish().succeeds();
            assert_eq!(finished.err, "", "{shell}");
        }
    });
}

#[test]
fn the_manual_pages_are_good_roff() {
    alone(|| {
        let folder = scratch("man");
        fs::create_dir_all(&folder).expect("make a folder");
        servin(&["man", "--output", folder.to_str().expect("UTF-8")]).succeeds();
        let pages: Vec<_> =
            fs::read_dir(&folder).expect("list").map(|page| page.expect("list").path()).collect();
        assert!(pages.iter().any(|page| page.ends_with("servin.1")));
        assert!(pages.iter().any(|page| page.ends_with("servin-run.1")));
        let run = fs::read_to_string(folder.join("servin-run.1")).expect("read");
        assert_eq!(run, servin(&["man", "run"]).succeeds().out);
        if !fs::exists("/usr/bin/groff").unwrap_or(false) {
            skip!("there is no groff here");
        }
        for page in pages {
            let mut groff = Command::new("groff");
            groff.args(["-man", "-Tutf8", "-ww"]).arg(&page);
            let finished = start(groff).finish().succeeds();
            assert_eq!(finished.err, "", "{}", page.display());
            assert!(finished.out.contains("Servin"), "{}", finished.out);
        }
    });
}
