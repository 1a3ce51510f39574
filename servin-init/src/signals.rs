//! The signals' names and numbers (signal(7)). All but KILL and STOP are received and forwarded, those of faults
//! (SEGV, BUS …) too: they come here only if somebody sends them, for a fault of our own ends us.

/// Signal N is the Nth, on all architectures that servin is built for; filled up with NULs.
const NAMES: [Name; 31] = names([
    "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2", "PIPE",
    "ALRM", "TERM", "STKFLT", "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG", "XCPU", "XFSZ",
    "VTALRM", "PROF", "WINCH", "IO", "PWR", "SYS",
]);
type Name = [u8; 6];

/// The last real-time signal.
const LAST: u32 = 64;

/// A signal's number, 1 to 64.
pub type Signal = u8;
/// Ends at once, cannot be held.
pub const KILL: Signal = 9;
/// The request to end.
pub const TERM: Signal = 15;
/// A child has changed.
pub const CHLD: Signal = 17;
/// Continues what is stopped.
pub const CONT: Signal = 18;

/// A signal from its number, or its name but for real-time signals: `15`, `TERM`, `SIGTERM`, in either case.
pub fn parse(text: &[u8]) -> Option<Signal> {
    if let Some(number @ 1..) = number(text, LAST) {
        return Some(number as Signal);
    }
    let name = if filled(text).starts_with(b"SIG") { &text[3..] } else { text };
    let position = NAMES.iter().position(|known| *known == filled(name))?;
    (name.len() <= size_of::<Name>()).then_some(position as Signal + 1)
}

/// The whole of `text` as a decimal number of at most `limit`.
pub fn number(text: &[u8], limit: u32) -> Option<u32> {
    let mut value = 0_u64;
    for c in text {
        let digit = c.wrapping_sub(b'0');
        value = value * 10 + u64::from(digit);
        if digit > 9 || value > limit.into() {
            return None;
        }
    }
    (!text.is_empty()).then_some(value as u32)
}

const fn names<const N: usize>(texts: [&str; N]) -> [Name; N] {
    let mut names = [[0; _]; N];
    let mut at = 0;
    while at < N {
        names[at] = filled(texts[at].as_bytes());
        at += 1;
    }
    names
}

/// The first bytes of `text` in capitals.
const fn filled(text: &[u8]) -> Name {
    let mut name = [0; _];
    let mut at = 0;
    while at < text.len() && at < name.len() {
        name[at] = text[at].to_ascii_uppercase();
        at += 1;
    }
    name
}

#[cfg(test)]
mod tests;
