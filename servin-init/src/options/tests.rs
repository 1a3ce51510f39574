use super::*;

type Read = (Result<Options, Stop>, String);

/// What was read, and the argument that the reading ended at.
fn read(arguments: &[&'static CStr], environment: &[&'static CStr]) -> Read {
    let mut line = Line { strings: Strings::leak(arguments), position: 1, current: NAME };
    let mut options = Options::default();
    let read = options.parse(&mut line, Strings::leak(environment));
    (read.map(|()| options), line.current.to_string_lossy().into_owned())
}

fn options(arguments: &[&'static CStr]) -> Options {
    read(arguments, &[]).0.expect("these options are right")
}

fn mistake(arguments: &[&'static CStr]) -> (Stop, String) {
    let (read, at) = read(arguments, &[]);
    (read.expect_err("these options are wrong"), at)
}

fn at(stop: Stop, argument: &str) -> (Stop, String) {
    (stop, argument.to_owned())
}

#[test]
fn the_program_is_found_with_and_without_the_dashes() {
    assert_eq!(options(&[c"sh"]).program, 1);
    assert_eq!(options(&[c"--", c"sh"]).program, 2);
    assert_eq!(options(&[c"-g", c"sh", c"-c", c"true"]).program, 2);
    assert_eq!(options(&[c"-e", c"1", c"--grace=5", c"--", c"-odd-name"]).program, 5);
    assert_eq!(options(&[c"-"]).program, 1);
    assert_eq!(options(&[c""]).program, 1);
}

#[test]
fn a_line_without_program_is_refused() {
    assert_eq!(mistake(&[]), at(MISSING, "servin-init"));
    assert_eq!(mistake(&[c"--"]), at(MISSING, "--"));
    assert_eq!(mistake(&[c"-s", c"-g"]), at(MISSING, "-g"));
    assert_eq!(mistake(&[c"--grace"]), at(MISSING, "--grace"));
    assert_eq!(mistake(&[c"-ge"]), at(MISSING, "-ge"));
}

#[test]
fn letters_combine_as_with_tini() {
    let read = options(&[c"-sgwvv", c"-e143", c"-pHUP", c"sh"]);
    assert!(read.subreaper && read.group && read.warn_on_reap);
    assert_eq!((read.verbosity, read.remap(143), read.parent_death), (2, 0, Some(1)));
    assert_eq!(options(&[c"-ge", c"7", c"-p", c"9", c"sh"]).remap(7), 0);
}

#[test]
fn only_the_named_exit_codes_are_remapped() {
    let read = options(&[c"-e", c"0", c"-e", c"64", c"-e", c"255", c"sh"]);
    let zero: Vec<u8> = (0..=255).filter(|code| read.remap(*code) == 0).collect();
    assert_eq!(zero, [0, 64, 255]);
}

#[test]
fn words_take_their_value_from_either_side_of_the_space() {
    let five = Some(5 * SECOND);
    assert_eq!(options(&[c"--grace", c"5", c"sh"]).grace, five);
    assert_eq!(options(&[c"--grace=5", c"--subreaper", c"sh"]).grace, five);
    assert_eq!(options(&[c"sh", c"--grace=5"]).grace, None);
}

#[test]
fn rewriting_takes_numbers_and_names_and_can_be_repeated() {
    let read = options(&[c"--rewrite", c"15:3", c"--rewrite=hup:SIGUSR1", c"--rewrite", c"WINCH:0", c"sh"]);
    for (from, to) in [("TERM", 3), ("HUP", 10), ("WINCH", 0), ("INT", 2), ("64", 64)] {
        assert_eq!(signals::parse(from.as_bytes()).map(|signal| read.rewrite(signal)), Some(to), "{from}");
    }
}

#[test]
fn what_is_not_wholly_a_value_is_refused() {
    for wrong in [c"", c"5s", c"-1", c"+5", c" 5", c"0x5", c"1.5", c"99999999999"] {
        let given = wrong.to_str().expect("tests use ASCII");
        assert_eq!(mistake(&[c"--grace", wrong, c"sh"]), at(WRONG, given));
    }
    for wrong in [c"256", c"-1", c"", c"1x"] {
        assert_eq!(mistake(&[c"-e", wrong, c"sh"]).0, WRONG);
    }
    for wrong in [c"15", c"15:", c":3", c"15:3:4", c"0:15", c"15:65"] {
        assert_eq!(mistake(&[c"--rewrite", wrong, c"sh"]).0, WRONG);
    }
    assert_eq!(mistake(&[c"-p", c"NONE", c"sh"]), at(WRONG, "NONE"));
}

#[test]
fn an_unknown_option_is_named() {
    for wrong in [c"-x", c"-sx", c"--graces", c"--=", c"--help-me", c"---", c"-\x01"] {
        assert_eq!(mistake(&[wrong, c"sh"]), at(UNKNOWN, wrong.to_str().expect("ASCII")));
    }
    assert_eq!(mistake(&[c"--subreaper=no", c"sh"]), at(WRONG, "--subreaper=no"));
}

#[test]
fn help_licence_and_version_need_no_program() {
    let asked = [(c"-h", USAGE), (c"--help", USAGE), (c"-l", LICENCE), (c"--version", VERSION)];
    for (argument, stop) in asked {
        assert_eq!(mistake(&[argument]).0, stop);
    }
}

#[test]
fn tinis_variables_are_read() {
    let all = [c"TINI_SUBREAPER=", c"TINI_KILL_PROCESS_GROUP=1", c"TINI_VERBOSITY=0", c"TINI_OTHER=1"];
    let read_all = read(&[c"-vvv", c"sh"], &all).0.expect("these are right");
    assert!(read_all.subreaper && read_all.group);
    assert_eq!(read_all.verbosity, -1);
    let wrong = read(&[c"sh"], &[c"TINI_VERBOSITY=loud"]);
    assert_eq!(wrong, (Err(WRONG), "TINI_VERBOSITY=loud".to_owned()));
}
