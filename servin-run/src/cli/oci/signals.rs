//! The names of signals (signal(7)).

use crate::error::{Error, Result};
use crate::sys::signal::LAST;

/// Name N-1 is that of signal N, on all architectures that Servin is built for.
const NAMES: &str = "HUP INT QUIT ILL TRAP ABRT BUS FPE KILL USR1 SEGV USR2 PIPE ALRM TERM STKFLT CHLD CONT STOP \
                     TSTP TTIN TTOU URG XCPU XFSZ VTALRM PROF WINCH IO PWR SYS";
/// The first real-time signal, as the kernel counts; C libraries keep two for themselves.
const FIRST_REAL_TIME: u32 = 34;

/// Reads `15`, `TERM`, `SIGTERM`, `SIGRTMIN+3`; in small letters too.
pub fn parse(text: &str) -> Result<u32> {
    let unknown = || Error::new(format_args!("unknown signal \"{text}\""));
    if let Ok(number) = text.parse() {
        return Some(number).filter(|number| *number <= LAST).ok_or_else(unknown);
    }
    let name = text.to_ascii_uppercase();
    let name = name.strip_prefix("SIG").unwrap_or(&name);
    let distance = |text: &str| if text.is_empty() { Some(0) } else { text.get(1..)?.parse::<u32>().ok() };
    let real_time = match (name.strip_prefix("RTMIN"), name.strip_prefix("RTMAX")) {
        (Some(rest), _) if rest.is_empty() || rest.starts_with('+') => {
            distance(rest).map(|n| FIRST_REAL_TIME + n.min(LAST))
        }
        (_, Some(rest)) if rest.is_empty() || rest.starts_with('-') => {
            distance(rest).and_then(|n| LAST.checked_sub(n))
        }
        _ => None,
    };
    if let Some(number) = real_time {
        return Some(number).filter(|number| (FIRST_REAL_TIME..=LAST).contains(number)).ok_or_else(unknown);
    }
    let name = match name {
        "POLL" => "IO",
        "IOT" => "ABRT",
        "CLD" => "CHLD",
        name => name,
    };
    let position = NAMES.split(' ').position(|known| known == name);
    position.map(|index| index as u32 + 1).ok_or_else(unknown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers_are_the_kernels() {
        for (text, number) in [
            ("15", 15),
            ("0", 0),
            ("64", 64),
            ("TERM", 15),
            ("SIGKILL", 9),
            ("sighup", 1),
            ("SYS", 31),
            ("winch", 28),
            ("SIGRTMIN", 34),
            ("RTMIN+3", 37),
            ("SIGRTMAX", 64),
            ("RTMAX-1", 63),
            ("CHLD", 17),
            ("POLL", 29),
        ] {
            assert_eq!(parse(text).expect(text), number, "{text}");
        }
        for text in ["", "SIG", "65", "-1", "TERM ", "SIGRTMIN+31", "RTMAX-31", "RTMIN+x", "+15x"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
