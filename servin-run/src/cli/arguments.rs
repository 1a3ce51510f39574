//! Arguments, read by a table of flags; the same table makes the help (`help`), the completions and the man pages.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use super::refused;
use super::suggestion::did_you_mean;

use crate::error::{Error, Result};
use crate::gather::Gather as _;

/// One flag of a command.
#[derive(Clone, Copy)]
pub struct Flag {
    /// `hostname`, without dashes.
    pub name: &'static str,
    /// `h`, or nothing.
    pub short: Option<char>,
    /// What stands for the value in the help; none for a switch, which takes `=true` and `=false` alone.
    pub value: Option<&'static str>,
    /// What it does, in a line.
    pub help: &'static str,
}

/// Declares a flag: `flag("hostname", Some('h'), Some("NAME"), "…")`.
pub const fn flag(
    name: &'static str,
    short: Option<char>,
    value: Option<&'static str>,
    help: &'static str,
) -> Flag {
    Flag { name, short, value, help }
}

/// A group of flags with a heading. A file that reads some of a command's flags declares them as a group of its own.
#[derive(Clone, Copy)]
pub struct Group(pub &'static str, pub &'static [Flag]);

/// A command and all its flags.
pub struct Command {
    /// The words that call it: `servin run`.
    pub name: &'static str,
    /// What follows: `[FLAGS] [--] PROGRAM [ARGUMENTS]`.
    pub usage: &'static str,
    /// What it does, in a line.
    pub about: &'static str,
    /// The flags.
    pub groups: &'static [Group],
    /// At which word flags end, because what follows is another program's; at 0 nothing is a flag.
    pub last_word: usize,
}

/// What was given.
#[derive(Debug)]
pub struct Given<'a> {
    flags: Vec<(&'static str, &'a str)>,
    /// The words that are no flags.
    pub words: Vec<&'a str>,
}

impl<'a> Given<'a> {
    /// The last value of a flag.
    pub fn value(&self, name: &str) -> Option<&'a str> {
        self.values(name).last()
    }

    /// All values of a flag, in order.
    pub fn values(&self, name: &str) -> impl Iterator<Item = &'a str> {
        self.flags.iter().filter(move |(flag, _)| *flag == name).map(|(_, value)| *value)
    }

    /// The same, after flags that were given before the command.
    pub fn after(mut self, mut earlier: Given<'a>) -> Given<'a> {
        earlier.flags.append(&mut self.flags);
        self.flags = earlier.flags;
        self
    }

    /// Whether a switch is on; `default` where it was not given.
    pub fn switch(&self, name: &str, default: bool) -> bool {
        self.value(name).map_or(default, |value| value == "true")
    }
}

impl Given<'_> {
    /// The only word there may be: `what`, which must be there.
    pub fn one(&self, command: &Command, what: &str) -> Result<&str> {
        self.between(command, what, 1, 1)?;
        Ok(self.words[0])
    }

    /// Refuses any word.
    pub fn none(&self, command: &Command) -> Result<()> {
        self.between(command, "", 0, 0)
    }

    /// Refuses fewer than `least` words and more than `most`; `what` is said to be missing.
    pub fn between(&self, command: &Command, what: &str, least: usize, most: usize) -> Result<()> {
        match self.words.len() {
            count if count < least => Err(Error::new(format_args!("{what} is missing: see {command}"))),
            count if count > most => {
                Err(Error::new(format_args!("\"{}\" is one word too many: see {command}", self.words[most])))
            }
            _ => Ok(()),
        }
    }
}

impl Command {
    /// Reads `arguments`: `--flag value`, `--flag=value`, `-flag value`, `-f value`, `-fvalue`, `-abc`.
    pub fn parse<'a>(&self, arguments: &[&'a str]) -> Result<Given<'a>> {
        self.parse_with(&[], arguments)
    }

    /// The same, where flags that are no command's own are taken too.
    pub fn parse_with<'a>(&self, globals: &'static [Flag], arguments: &[&'a str]) -> Result<Given<'a>> {
        let flags = self.groups.iter().flat_map(|group| group.1).chain(globals).gather();
        let given = Given { flags: Vec::new(), words: Vec::new() };
        Reader { command: self, flags, given }.read(arguments)
    }
}

/// The arguments of a command while they are read.
struct Reader<'c, 'a> {
    command: &'c Command,
    flags: Vec<&'static Flag>,
    given: Given<'a>,
}

impl<'a> Reader<'_, 'a> {
    fn read(mut self, arguments: &[&'a str]) -> Result<Given<'a>> {
        let mut rest = arguments.iter().copied();
        while self.given.words.len() < self.command.last_word {
            let Some(argument) = rest.next() else { break };
            if argument == "--" {
                break;
            }
            if let Some(long) = argument.strip_prefix("--") {
                self.long(long, argument, &mut rest)?;
            } else if argument.len() > 1 && argument.starts_with('-') {
                self.single_dash(argument, &mut rest)?;
            } else {
                self.given.words.push(argument);
            }
        }
        self.given.words.extend(rest);
        Ok(self.given)
    }

    fn flag(&self, name: &str) -> Option<&'static Flag> {
        let name = refused::SAME.iter().find(|(other, _)| *other == name).map_or(name, |(_, own)| own);
        self.flags.iter().copied().find(|flag| flag.name == name)
    }

    fn long(&mut self, text: &'a str, argument: &str, rest: &mut dyn Iterator<Item = &'a str>) -> Result<()> {
        let (name, value) = match text.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (text, None),
        };
        let flag = self.flag(name).ok_or_else(|| self.unknown(name, argument))?;
        let value = match (flag.value, value) {
            (_, Some(value)) => value,
            (None, None) => "true",
            (Some(_), None) => rest.next().ok_or_else(|| self.incomplete(flag))?,
        };
        self.add(flag, value)
    }

    /// Short flags, which may be run together; or, as Go's programs take it, a long one.
    fn single_dash(&mut self, argument: &'a str, rest: &mut dyn Iterator<Item = &'a str>) -> Result<()> {
        let text = &argument[1..];
        let long = text.split('=').next().unwrap_or_default();
        if long.chars().count() > 1 && self.flag(long).is_some() {
            return self.long(text, argument, rest);
        }
        let mut letters = text.chars();
        while let Some(letter) = letters.next() {
            let flag = self.flags.iter().copied().find(|flag| flag.short == Some(letter));
            let flag = flag.ok_or_else(|| self.unknown(long, argument))?;
            let attached = letters.as_str();
            let attached = attached.strip_prefix('=').unwrap_or(attached);
            match flag.value {
                Some(_) if attached.is_empty() => {
                    let value = rest.next().ok_or_else(|| self.incomplete(flag))?;
                    return self.add(flag, value);
                }
                Some(_) => return self.add(flag, attached),
                None if letters.as_str().starts_with('=') => return self.add(flag, attached),
                None => self.add(flag, "true")?,
            }
        }
        Ok(())
    }

    fn add(&mut self, flag: &'static Flag, value: &'a str) -> Result<()> {
        if flag.value.is_none() && !matches!(value, "true" | "false") {
            return Err(Error::new(format_args!(
                "--{}={value}: a switch is true or false; see {}",
                flag.name, self.command
            )));
        }
        self.given.flags.push((flag.name, value));
        Ok(())
    }

    fn unknown(&self, name: &str, argument: &str) -> Error {
        if let Some(why) = refused::why(name) {
            return Error::new(format_args!("--{name} is not supported: {why}"));
        }
        // One letter resembles everything.
        let known = self.flags.iter().map(|flag| flag.name);
        let meant = if name.len() > 1 { did_you_mean(name, &mut { known }, "--") } else { String::new() };
        Error::new(format_args!("unknown flag {argument}: {meant}see {}", self.command))
    }

    fn incomplete(&self, flag: &Flag) -> Error {
        let value = flag.value.unwrap_or_default();
        Error::new(format_args!("--{} needs a value, {value}: see {}", flag.name, self.command))
    }
}

/// Where to read more, for the end of an error.
impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{} --help`", self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COMMAND: Command = Command {
        name: "servin test",
        usage: "[FLAGS]",
        about: "Tests.",
        groups: &[Group(
            "Flags",
            &[
                flag("env", Some('e'), Some("KEY=VALUE"), "set a variable"),
                flag("interactive", Some('i'), None, "keep input open"),
                flag("tty", Some('t'), None, "a terminal"),
            ],
        )],
        last_word: 1,
    };

    fn env<'a>(arguments: &[&'a str]) -> Vec<&'a str> {
        COMMAND.parse(arguments).expect("parsed").values("env").collect()
    }

    #[test]
    fn a_value_may_be_attached_in_every_usual_way() {
        for arguments in [
            &["--env", "A=b"][..],
            &["--env=A=b"],
            &["-env", "A=b"],
            &["-env=A=b"],
            &["-e", "A=b"],
            &["-eA=b"],
            &["-e=A=b"],
            &["-ite", "A=b"],
        ] {
            assert_eq!(env(arguments), ["A=b"], "{arguments:?}");
        }
    }

    #[test]
    fn flags_end_where_the_other_programs_begin() {
        let given = COMMAND.parse(&["-it", "sh", "-e", "x"]).expect("parsed");
        assert!(given.switch("interactive", false) && given.switch("tty", false));
        assert_eq!(given.words, ["sh", "-e", "x"]);
        assert_eq!(COMMAND.parse(&["-i=false", "--", "-t"]).expect("parsed").words, ["-t"]);
        let raw = Command { last_word: 0, ..COMMAND };
        assert_eq!(raw.parse(&["--env", "--", "-x"]).expect("parsed").words, ["--env", "--", "-x"]);
    }

    #[test]
    fn what_is_wrong_is_named() {
        let error = |arguments: &[&str]| COMMAND.parse(arguments).expect_err("refused").to_string();
        assert_eq!(
            error(&["--evn", "x"]),
            "unknown flag --evn: did you mean --env? see `servin test --help`"
        );
        assert_eq!(error(&["-ix"]), "unknown flag -ix: see `servin test --help`");
        assert_eq!(error(&["--env"]), "--env needs a value, KEY=VALUE: see `servin test --help`");
        assert_eq!(
            error(&["--tty=maybe"]),
            "--tty=maybe: a switch is true or false; see `servin test --help`"
        );
    }
}
