//! Arguments, read by a table of flags; the same table prints the help.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use crate::error::{Error, Result};

/// One flag of a command.
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

/// A group of flags with a heading.
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
    /// At which word flags end, because what follows is another program's.
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

    /// Whether a switch is on; `default` where it was not given.
    pub fn switch(&self, name: &str, default: bool) -> bool {
        self.value(name).map_or(default, |value| value == "true")
    }
}

impl Command {
    fn flags(&self) -> impl Iterator<Item = &'static Flag> {
        self.groups.iter().flat_map(|group| group.1)
    }

    /// Reads `arguments`: `--flag value`, `--flag=value`, `-flag value`, `-f value`, `-fvalue`, `-abc`.
    pub fn parse<'a>(&self, arguments: &[&'a str]) -> Result<Given<'a>> {
        let mut given = Given { flags: Vec::new(), words: Vec::new() };
        let mut rest = arguments.iter().copied();
        while let Some(argument) = rest.next() {
            if argument == "--" {
                given.words.extend(rest);
                break;
            }
            if let Some(long) = argument.strip_prefix("--") {
                self.long(long, argument, &mut rest, &mut given)?;
            } else if argument.len() > 1 && argument.starts_with('-') {
                self.single_dash(argument, &mut rest, &mut given)?;
            } else {
                given.words.push(argument);
                if given.words.len() >= self.last_word {
                    given.words.extend(rest);
                    break;
                }
            }
        }
        Ok(given)
    }

    fn long<'a>(
        &self,
        text: &'a str,
        argument: &str,
        rest: &mut dyn Iterator<Item = &'a str>,
        given: &mut Given<'a>,
    ) -> Result<()> {
        let (name, value) = match text.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (text, None),
        };
        let flag = self.flags().find(|flag| flag.name == name).ok_or_else(|| self.unknown(argument))?;
        let value = match (flag.value, value) {
            (_, Some(value)) => value,
            (None, None) => "true",
            (Some(_), None) => rest.next().ok_or_else(|| self.incomplete(flag))?,
        };
        self.add(flag, value, given)
    }

    /// Short flags, which may be run together; or, as Go's programs take it, a long one.
    fn single_dash<'a>(
        &self,
        argument: &'a str,
        rest: &mut dyn Iterator<Item = &'a str>,
        given: &mut Given<'a>,
    ) -> Result<()> {
        let text = &argument[1..];
        let long = text.split('=').next().unwrap_or_default();
        if long.chars().count() > 1 && self.flags().any(|flag| flag.name == long) {
            return self.long(text, argument, rest, given);
        }
        let mut letters = text.chars();
        while let Some(letter) = letters.next() {
            let flag =
                self.flags().find(|flag| flag.short == Some(letter)).ok_or_else(|| self.unknown(argument))?;
            let attached = letters.as_str();
            let attached = attached.strip_prefix('=').unwrap_or(attached);
            match flag.value {
                Some(_) if attached.is_empty() => {
                    let value = rest.next().ok_or_else(|| self.incomplete(flag))?;
                    return self.add(flag, value, given);
                }
                Some(_) => return self.add(flag, attached, given),
                None if letters.as_str().starts_with('=') => return self.add(flag, attached, given),
                None => self.add(flag, "true", given)?,
            }
        }
        Ok(())
    }

    fn add<'a>(&self, flag: &Flag, value: &'a str, given: &mut Given<'a>) -> Result<()> {
        if flag.value.is_none() && !matches!(value, "true" | "false") {
            let name = flag.name;
            return Err(Error::new(format_args!("--{name}={value}: a switch is true or false; see {self}")));
        }
        // The table lives as long as the program: its names do too.
        let name = self.flags().find(|f| f.name == flag.name).map_or("", |f| f.name);
        given.flags.push((name, value));
        Ok(())
    }

    fn unknown(&self, argument: &str) -> Error {
        Error::new(format_args!("unknown flag {argument}: see {self}"))
    }

    fn incomplete(&self, flag: &Flag) -> Error {
        let value = flag.value.unwrap_or_default();
        Error::new(format_args!("--{} needs a value, {value}: see {self}", flag.name))
    }

    /// The help, as it is printed.
    pub fn help(&self) -> String {
        let mut text = alloc::format!("{}\n\nusage: {} {}\n", self.about, self.name, self.usage);
        for Group(heading, flags) in self.groups {
            text.push_str(&alloc::format!("\n{heading}:\n"));
            for flag in *flags {
                let short = flag.short.map_or(String::from("    "), |letter| alloc::format!("-{letter}, "));
                let name = alloc::format!("{short}--{} {}", flag.name, flag.value.unwrap_or_default());
                text.push_str(&alloc::format!("  {name:<32} {}\n", flag.help));
            }
        }
        text.truncate(text.trim_end().len());
        text
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
    }

    #[test]
    fn what_is_wrong_is_named() {
        let error = |arguments: &[&str]| COMMAND.parse(arguments).expect_err("refused").to_string();
        assert_eq!(error(&["--evn", "x"]), "unknown flag --evn: see `servin test --help`");
        assert_eq!(error(&["-ix"]), "unknown flag -ix: see `servin test --help`");
        assert_eq!(error(&["--env"]), "--env needs a value, KEY=VALUE: see `servin test --help`");
        assert_eq!(
            error(&["--tty=maybe"]),
            "--tty=maybe: a switch is true or false; see `servin test --help`"
        );
    }
}
