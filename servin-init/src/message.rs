//! Messages on standard error. Each is written piece by piece, as stderr(3) would be: no buffer, no formatting code.

use crate::sys::descriptor::ERROR;

/// Writes text as it is.
pub fn text(text: &str) {
    bytes(text.as_bytes());
}

/// Begins a message.
pub fn begin(first: &str) {
    text("servin-init: ");
    text(first);
}

/// Begins a message about something that has a name, which somebody else gave and which stands in quotes.
pub fn about(first: &str, name: &[u8], then: &str) {
    begin(first);
    quoted(name);
    text(then);
}

/// Writes a name in quotes.
pub fn quoted(name: &[u8]) {
    text("\"");
    bytes(name);
    text("\"");
}

/// Writes a decimal number.
pub fn number(number: u32) {
    if number > 9 {
        self::number(number / 10);
    }
    bytes(&[b'0' + (number % 10) as u8]);
}

/// A whole message that ends in a number.
pub fn note(first: &str, last: u32) {
    begin(first);
    number(last);
    text("\n");
}

#[inline(never)]
fn bytes(bytes: &[u8]) {
    // Where there is nobody to tell, there is nothing to do about it.
    let _ = rustix::io::write(ERROR, bytes);
}
