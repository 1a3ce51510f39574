//! The command line and the environment: tini's letters and variables, and a few words of our own.

use crate::message;
use crate::signals::{self, Signal, number};
use crate::sys::clock::{Nanoseconds, SECOND};
use crate::sys::descriptor::OUTPUT;
use crate::sys::start::{Arguments, Strings};
use core::ffi::CStr;
use heapless::Vec;

/// The exit code for a command line that makes no sense, as tini's.
const WRONG_USAGE: i32 = 1;
/// The exit code when servin-init itself fails, as Docker's.
pub const OWN_FAILURE: i32 = 125;

const USAGE: &str = "\
Usage: servin-init [OPTIONS] [--] PROGRAM [ARGUMENTS]
  -s, --subreaper      adopt orphans without being PID 1
  -g                   signal PROGRAM's process group
  -t, --grace SECONDS  at TERM or PROGRAM's end: TERM to all, then KILL
  -r, --rewrite A:B    forward signal A as B, or drop it if B is 0
  -e CODE              end with 0 for CODE
  -p SIGNAL            get SIGNAL when the parent ends
  -w, -v               warn of reaped orphans; say more
  -h, -l, -V           help, licence, version
Exit codes: PROGRAM's, 128+N for signal N, 127 not found, 126 not executable,
125 own failure, 1 wrong usage
";
const VERSION: &str = concat!("servin-init ", env!("CARGO_PKG_VERSION"), "\n");
const LICENCE: &str = "MIT OR Apache-2.0\n";

/// What to do, and how.
#[derive(Debug, Default, PartialEq)]
pub struct Options {
    /// PROGRAM's position among the arguments.
    pub program: usize,
    /// Become a subreaper.
    pub subreaper: bool,
    /// Signal the whole group.
    pub group: bool,
    /// Print a line for each orphan.
    pub warn_on_reap: bool,
    /// -1 errors only, 0 warnings, 1 how the program ended, 2 each signal.
    pub verbosity: i32,
    /// What to ask of the kernel for the parent's end.
    pub parent_death: Option<Signal>,
    /// How long everything has between TERM and KILL.
    pub grace: Option<Nanoseconds>,
    /// Each as what it is forwarded, the first pair that fits.
    rewritten: Vec<(Signal, Signal), 64>,
    /// One bit an exit code.
    remapped: [u64; 4],
}

/// The words that stand for a letter.
const WORDS: [(&[u8], u8); 5] =
    [(b"subreaper", b's'), (b"grace", b't'), (b"rewrite", b'r'), (b"help", b'h'), (b"version", b'V')];

const VARIABLES: [(&[u8], u8); 3] =
    [(b"TINI_SUBREAPER", b's'), (b"TINI_KILL_PROCESS_GROUP", b'g'), (b"TINI_VERBOSITY", VERBOSITY)];
/// No argument holds a NUL, so that this one is a variable's alone.
const VERBOSITY: u8 = b'\0';

fn find(table: &[(&[u8], u8)], name: &[u8]) -> Option<u8> {
    table.iter().find(|row| row.0 == name).map(|row| row.1)
}

/// Why nothing is to be run: what to print, or, without the line's end, what is wrong with the current argument.
type Stop = &'static str;
const UNKNOWN: Stop = "unknown option ";
const MISSING: Stop = "something is missing after ";
const WRONG: Stop = "not a valid value: ";

impl Options {
    /// Reads the options of this process. Err is the exit code, everything having been said.
    pub fn read(&mut self, arguments: Arguments) -> Result<(), i32> {
        let mut line = Line { strings: arguments.iter(), position: 0, current: c"" };
        let Err(stop) = self.parse(&mut line, arguments.environment()) else {
            return Ok(());
        };
        if stop.as_bytes().last() == Some(&b'\n') {
            let written = rustix::io::write(OUTPUT, stop.as_bytes());
            return Err(if written.is_ok() { 0 } else { OWN_FAILURE });
        }
        message::about(stop, line.current.to_bytes(), " (see --help)\n");
        Err(WRONG_USAGE)
    }

    /// As what `signal` is forwarded, 0 for not at all.
    pub fn rewrite(&self, signal: Signal) -> Signal {
        self.rewritten.iter().find(|pair| pair.0 == signal).map_or(signal, |pair| pair.1)
    }

    /// The exit code that PROGRAM's stands for.
    pub fn remap(&self, code: u8) -> u8 {
        let bit = self.remapped[usize::from(code / 64)] >> (code % 64) & 1;
        if bit == 1 { 0 } else { code }
    }

    /// Options end at `--` or at the first argument that is none. Letters combine (`-sg`); a value may follow its
    /// letter directly (`-e143`) or its word after a `=`, or be the next argument.
    fn parse(&mut self, line: &mut Line, environment: Strings) -> Result<(), Stop> {
        line.next()?;
        let mut letters: &[u8] = b"";
        loop {
            let mut value = None;
            let letter = match letters.split_first() {
                Some((letter, rest)) => {
                    letters = rest;
                    *letter
                }
                None => match line.next()? {
                    b"--" => {
                        line.next()?;
                        break;
                    }
                    [b'-', b'-', option @ ..] => {
                        let (word, attached) = split(option, b'=');
                        value = attached;
                        find(&WORDS, word).ok_or(UNKNOWN)?
                    }
                    [b'-', first, rest @ ..] => {
                        letters = rest;
                        *first
                    }
                    _ => break,
                },
            };
            if matches!(letter, b'e' | b'p' | b'r' | b't') {
                let attached = value.or((!letters.is_empty()).then_some(letters));
                letters = b"";
                self.set(letter, attached.map_or_else(|| line.next(), Ok)?)?;
            } else if value.is_some() {
                return Err(WRONG);
            } else {
                self.set(letter, b"")?;
            }
        }
        self.program = line.position - 1;
        // The environment comes last, as with tini: TINI_VERBOSITY stands against any number of `-v`.
        for variable in environment {
            if let (name, Some(value)) = split(variable.to_bytes(), b'=')
                && let Some(letter) = find(&VARIABLES, name)
            {
                line.current = variable;
                self.set(letter, value)?;
            }
        }
        Ok(())
    }

    fn set(&mut self, letter: u8, value: &[u8]) -> Result<(), Stop> {
        let number = |limit| number(value, limit).ok_or(WRONG);
        match letter {
            b's' => self.subreaper = true,
            b'g' => self.group = true,
            b'w' => self.warn_on_reap = true,
            b'v' => self.verbosity = self.verbosity.saturating_add(1),
            VERBOSITY => self.verbosity = number(i32::MAX as u32)? as i32 - 1,
            b'e' => {
                let code = number(255)?;
                self.remapped[code as usize / 64] |= 1 << (code % 64);
            }
            b'p' => self.parent_death = Some(signals::parse(value).ok_or(WRONG)?),
            b't' => self.grace = Some(u64::from(number(i32::MAX as u32)?) * SECOND),
            b'r' => self.set_rewriting(value).ok_or(WRONG)?,
            b'h' => return Err(USAGE),
            b'l' => return Err(LICENCE),
            b'V' => return Err(VERSION),
            _ => return Err(UNKNOWN),
        }
        Ok(())
    }

    /// `A:B`, where B may be 0.
    fn set_rewriting(&mut self, pair: &[u8]) -> Option<()> {
        let (from, to) = split(pair, b':');
        let to = if to? == b"0" { 0 } else { signals::parse(to?)? };
        self.rewritten.push((signals::parse(from)?, to)).ok()
    }
}

/// The arguments as they are read; a mistake is about the current one.
struct Line {
    strings: Strings,
    position: usize,
    current: &'static CStr,
}

impl Line {
    fn next(&mut self) -> Result<&'static [u8], Stop> {
        self.current = self.strings.next().ok_or(MISSING)?;
        self.position += 1;
        Ok(self.current.to_bytes())
    }
}

/// The part of `text` before the first `separator`, and after it if there is one.
pub fn split(text: &[u8], separator: u8) -> (&[u8], Option<&[u8]>) {
    for (position, byte) in text.iter().enumerate() {
        if *byte == separator {
            return (&text[..position], Some(&text[position + 1..]));
        }
    }
    (text, None)
}

#[cfg(test)]
mod tests;
