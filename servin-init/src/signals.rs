//! The signals' names and numbers (signal(7)). All but KILL and STOP are received and forwarded, those of faults
//! (SEGV, BUS …) too: they come here only if somebody sends them, for a fault of our own ends us.

use crate::options::find;

/// Each name behind its number, which is the same on all architectures that servin is built for.
const NAMES: &[u8] =
    b"\x01HUP \x02INT \x03QUIT \x04ILL \x05TRAP \x06ABRT \x07BUS \x08FPE \x09KILL \x0aUSR1 \x0bSEGV \
    \x0cUSR2 \x0dPIPE \x0eALRM \x0fTERM \x10STKFLT \x11CHLD \x12CONT \x13STOP \x14TSTP \x15TTIN \x16TTOU \
    \x17URG \x18XCPU \x19XFSZ \x1aVTALRM \x1bPROF \x1cWINCH \x1dIO \x1ePWR \x1fSYS";
const LONGEST: usize = "SIGSTKFLT".len();

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
/// Ctrl-Z.
pub const TSTP: Signal = 20;
/// A process in the background reads from the terminal.
pub const TTIN: Signal = 21;
/// Or writes to it.
pub const TTOU: Signal = 22;

/// A signal from its number, or its name but for real-time signals: `15`, `TERM`, `SIGTERM`, in either case.
pub fn parse(text: &[u8]) -> Option<Signal> {
    if let Some(number @ 1..) = number(text, LAST) {
        return Some(number as Signal);
    }
    let mut room = [0; LONGEST];
    let name = room.get_mut(..text.len())?;
    for (capital, byte) in name.iter_mut().zip(text) {
        *capital = byte.to_ascii_uppercase();
    }
    let name: &[u8] = name;
    find(NAMES, name.strip_prefix(b"SIG").unwrap_or(name)).map(|[number]| *number)
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

#[cfg(test)]
mod tests;
