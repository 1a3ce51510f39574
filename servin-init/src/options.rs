//! The command line and the environment: tini's letters and variables, and a few words of our own.

use crate::message;
use crate::signals::{self, Signal, number};
use crate::sys::clock::{Nanoseconds, SECOND};
use crate::sys::descriptor::OUTPUT;
use crate::sys::process::NAME;
use crate::sys::start::{Arguments, Strings};
use core::ffi::CStr;

/// The exit code for a command line that makes no sense, as tini's.
const WRONG_USAGE: i32 = 1;
/// The exit code when servin-init itself fails, as Docker's.
pub const OWN_FAILURE: i32 = 125;

const USAGE: &str = "\
Usage: servin-init [OPTIONS] [--] PROGRAM [ARGUMENTS]
  -s, --subreaper\tadopt orphans without being PID 1
  -g\t\t\tsignal PROGRAM's process group
  -t, --grace SECONDS\tat TERM or PROGRAM's end: TERM to all, then KILL
  -r, --rewrite A:B\tforward signal A as B, or drop it if B is 0
  -e CODE\t\tend with 0 for CODE
  -p SIGNAL\t\tget SIGNAL when the parent ends
  -w, -v\t\twarn of reaped orphans; say more
  -h, -l, -V\t\thelp, licence, version
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
    rewritten: EachByte<Rewriting>,
    /// PATH, the first one.
    pub search: Option<&'static [u8]>,
    /// The exit codes that stand for 0.
    remapped: EachByte<bool>,
}

/// A value for everything that a byte can be, so that nothing has to be searched or to be checked.
#[derive(Debug, PartialEq)]
struct EachByte<T>([T; 256]);

impl<T: Copy + Default> Default for EachByte<T> {
    fn default() -> Self {
        EachByte([T::default(); 256])
    }
}

/// As what a signal is forwarded: another one, or one of these two.
type Rewriting = u8;
const AS_IT_IS: Rewriting = 0;
const DROPPED: Rewriting = 255;

/// The words that stand for a letter, each behind its own.
const WORDS: &[u8] = b"ssubreaper tgrace rrewrite hhelp Vversion";

/// The variables that do. No argument holds a NUL, so that this letter is a variable's alone.
const VARIABLES: &[u8] = b"sTINI_SUBREAPER gTINI_KILL_PROCESS_GROUP \0TINI_VERBOSITY /PATH";
const VERBOSITY: u8 = b'\0';
/// This one is no option.
const SEARCH: u8 = b'/';

/// The byte that stands for `name`, in a table of names that each follow theirs, with a blank in between.
pub fn find(table: &'static [u8], name: &[u8]) -> Option<&'static [u8; 1]> {
    let mut left = Some(table);
    while let Some(table) = left {
        let (row, rest) = split(table, b' ');
        match row.split_first_chunk() {
            Some((letter, word)) if word == name => return Some(letter),
            _ => left = rest,
        }
    }
    None
}

/// Why nothing is to be run: what to print, or, without the line's end, what is wrong with the current argument.
type Stop = &'static str;
const UNKNOWN: Stop = "unknown option ";
const MISSING: Stop = "something is missing after ";
const WRONG: Stop = "not a valid value: ";

impl Options {
    /// Reads the options of this process. Err is the exit code, everything having been said.
    pub fn read(&mut self, arguments: Arguments) -> Result<(), i32> {
        let mut line = Line { strings: arguments.from(1), position: 1, current: NAME };
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
        match self.rewritten.0[usize::from(signal)] {
            AS_IT_IS => signal,
            DROPPED => 0,
            other => other,
        }
    }

    /// The exit code that PROGRAM's stands for.
    pub fn remap(&self, code: u8) -> u8 {
        if self.remapped.0[usize::from(code)] { 0 } else { code }
    }

    /// Options end at `--` or at the first argument that is none. Letters combine (`-sg`); a value may follow its
    /// letter directly (`-e143`) or its word after a `=`, or be the next argument.
    #[inline(never)]
    fn parse(&mut self, line: &mut Line, environment: Strings) -> Result<(), Stop> {
        let mut dashes = false;
        loop {
            let (mut letters, attached) = match line.next().ok_or(MISSING)? {
                [b'-', rest @ ..] if !rest.is_empty() && !dashes => match rest {
                    b"-" => {
                        dashes = true;
                        continue;
                    }
                    [b'-', option @ ..] => {
                        let (word, value) = split(option, b'=');
                        (find(WORDS, word).ok_or(UNKNOWN)?.as_slice(), value)
                    }
                    letters => (letters, None),
                },
                _ => break,
            };
            while let [letter, rest @ ..] = letters {
                letters = rest;
                let mut value = attached;
                if !matches!(letter, b'e' | b'p' | b'r' | b't') {
                    if value.is_some() {
                        return Err(WRONG);
                    }
                    value = Some(b"");
                } else if !rest.is_empty() {
                    value = Some(rest);
                    letters = b"";
                }
                self.set(*letter, value.or_else(|| line.next()).ok_or(MISSING)?)?;
            }
        }
        self.program = line.position - 1;
        // The environment comes last, as with tini: TINI_VERBOSITY stands against any number of `-v`.
        for variable in environment {
            let (name, Some(value)) = split(variable.to_bytes(), b'=') else { continue };
            match find(VARIABLES, name) {
                Some([SEARCH]) => drop(self.search.get_or_insert(value)),
                Some([letter]) => {
                    line.current = variable;
                    self.set(*letter, value)?;
                }
                None => {}
            }
        }
        Ok(())
    }

    fn set(&mut self, letter: u8, value: &[u8]) -> Result<(), Stop> {
        match (letter, number(value, i32::MAX as u32)) {
            (b's', _) => self.subreaper = true,
            (b'g', _) => self.group = true,
            (b'w', _) => self.warn_on_reap = true,
            (b'v', _) => self.verbosity = self.verbosity.saturating_add(1),
            (VERBOSITY, Some(number)) => self.verbosity = number as i32 - 1,
            (b'e', Some(code @ ..256)) => self.remapped.0[code as usize] = true,
            (b'p', _) => self.parent_death = Some(signals::parse(value).ok_or(WRONG)?),
            (b't', Some(seconds)) => self.grace = Some(u64::from(seconds) * SECOND),
            (b'r', _) => self.set_rewriting(value).ok_or(WRONG)?,
            (b'h', _) => return Err(USAGE),
            (b'l', _) => return Err(LICENCE),
            (b'V', _) => return Err(VERSION),
            (VERBOSITY | b'e' | b't', _) => return Err(WRONG),
            _ => return Err(UNKNOWN),
        }
        Ok(())
    }

    /// `A:B`, where B may be 0. The first to name A is the one that holds.
    fn set_rewriting(&mut self, pair: &[u8]) -> Option<()> {
        let (from, to) = split(pair, b':');
        let to = if to? == b"0" { DROPPED } else { signals::parse(to?)? };
        let rewriting = &mut self.rewritten.0[usize::from(signals::parse(from)?)];
        if *rewriting == AS_IT_IS {
            *rewriting = to;
        }
        Some(())
    }
}

/// The arguments as they are read; a mistake is about the current one.
struct Line {
    strings: Strings,
    position: usize,
    current: &'static CStr,
}

impl Line {
    fn next(&mut self) -> Option<&'static [u8]> {
        self.current = self.strings.next()?;
        self.position += 1;
        Some(self.current.to_bytes())
    }
}

/// The part of `text` before the first `separator`, and after it if there is one.
pub fn split(text: &[u8], separator: u8) -> (&[u8], Option<&[u8]>) {
    let mut after = text;
    while let [byte, rest @ ..] = after {
        if *byte == separator {
            // Always there; said so that no slicing can panic, which would bring all that panics need.
            return (text.get(..text.len() - after.len()).unwrap_or(text), Some(rest));
        }
        after = rest;
    }
    (text, None)
}

#[cfg(test)]
mod tests;
