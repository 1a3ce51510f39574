use super::*;
use linux_raw_sys::general as kernel;

#[test]
fn every_name_leads_to_its_number_with_and_without_sig_in_both_cases() {
    for (row, name) in NAMES.split(|byte| *byte == b' ').enumerate() {
        let name = std::str::from_utf8(&name[1..]).expect("ASCII");
        let number = row as Signal + 1;
        for spelling in [name.to_owned(), name.to_lowercase(), format!("SIG{name}"), number.to_string()] {
            assert_eq!(parse(spelling.as_bytes()), Some(number), "{spelling}");
        }
    }
}

#[test]
fn the_names_stand_at_the_kernels_numbers() {
    let rows = [
        ("HUP", kernel::SIGHUP),
        ("BUS", kernel::SIGBUS),
        ("KILL", kernel::SIGKILL),
        ("USR1", kernel::SIGUSR1),
        ("TERM", kernel::SIGTERM),
        ("CHLD", kernel::SIGCHLD),
        ("CONT", kernel::SIGCONT),
        ("STOP", kernel::SIGSTOP),
        ("TSTP", kernel::SIGTSTP),
        ("TTOU", kernel::SIGTTOU),
        ("URG", kernel::SIGURG),
        ("WINCH", kernel::SIGWINCH),
        ("IO", kernel::SIGIO),
        ("PWR", kernel::SIGPWR),
        ("SYS", kernel::SIGSYS),
    ];
    for (name, number) in rows {
        assert_eq!(parse(name.as_bytes()).map(u32::from), Some(number));
    }
    let constants = [KILL, TERM, CHLD, CONT].map(u32::from);
    assert_eq!(constants, [kernel::SIGKILL, kernel::SIGTERM, kernel::SIGCHLD, kernel::SIGCONT]);
}

#[test]
fn real_time_signals_go_by_their_numbers() {
    assert_eq!(parse(b"34"), Some(34));
    assert_eq!(parse(b"64"), Some(64));
}

#[test]
fn what_is_not_wholly_a_signal_is_refused() {
    for wrong in
        ["", "0", "65", "-1", "+1", "1 ", "0x1", "SIG", "TERMX", "SIGVTALRMX", "VTALRMXYZ", "SIGSIGTERM"]
    {
        assert_eq!(parse(wrong.as_bytes()), None, "{wrong:?}");
    }
    assert_eq!(parse(b"99999999999999999999"), None);
}
