//! The help, made from the tables that read the arguments: of all commands, of a group of them, of one.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::arguments::{Command, Flag, Given, Group};
use super::people::{Found, GLOBALS, Section, TABLE, entries, find};
use super::{Invocation, output};
use crate::error::{Error, Result};
use crate::gather::Gather as _;

/// The command.
pub const HELP: Command = Command {
    name: "servin help",
    usage: "[COMMAND [GROUP|all]]",
    about: "Say what a command does, and what its flags are.",
    groups: &[],
    last_word: usize::MAX,
};

/// As wide as the narrowest terminal.
const WIDTH: usize = 80;

/// A command with more flags shows those of the first group alone, and the names of the others.
const FIT: usize = 30;

/// How much is said about flags.
#[derive(Clone, Copy)]
pub enum Detail<'a> {
    /// What fits a screen.
    Short,
    /// Each one.
    All,
    /// Those of one group.
    Group(&'a str),
}

/// Runs the command.
pub fn main(_: &Invocation, given: &Given) -> Result<i32> {
    let words = &given.words;
    if words.is_empty() {
        return output::result(overview()).map(|()| 0);
    }
    let text = match find(words)? {
        Found::Group(name, _) => group(name),
        Found::Command(entry, used) => {
            given.between(&HELP, "", 0, used + 1)?;
            let detail = match words.get(used) {
                None => Detail::Short,
                Some(&"all") => Detail::All,
                Some(name) => Detail::Group(name),
            };
            if let Detail::Group(name) = detail {
                let headings: Vec<&str> = entry.command.groups.iter().map(|group| group.0).gather();
                if !headings.iter().any(|heading| is(heading, name)) {
                    return Err(Error::new(format_args!(
                        "{} has no group of flags {name}: there are {}, and all",
                        entry.command.name,
                        headings.join(", ").to_ascii_lowercase()
                    )));
                }
            }
            command(entry.command, detail)
        }
    };
    output::result(text).map(|()| 0)
}

/// Whether `name` is the heading or its first word, in any case.
fn is(heading: &str, name: &str) -> bool {
    heading.eq_ignore_ascii_case(name)
        || heading.split(' ').next().unwrap_or_default().eq_ignore_ascii_case(name)
}

impl Command {
    /// The whole help, as it is printed.
    pub fn help(&self) -> String {
        text(self, &[], Detail::All)
    }
}

/// The help of a command that takes the global flags too.
pub fn command(command: &Command, detail: Detail) -> String {
    let mut text = text(command, &[Group("Everywhere", GLOBALS)], detail);
    let entry = entries().find(|entry| entry.command.name == command.name);
    let aliases = entry.map_or(&[][..], |entry| entry.aliases);
    if let (false, Detail::Short | Detail::All) = (aliases.is_empty(), detail) {
        text.push_str(&format!("\n\nalso: servin {}", aliases.join(", servin ")));
    }
    text
}

fn text(command: &Command, more: &[Group], detail: Detail) -> String {
    let mut text = format!("{}\n\nusage: {} {}\n", command.about, command.name, command.usage);
    let count: usize = command.groups.iter().map(|group| group.1.len()).sum();
    let mut names = false;
    for (index, Group(heading, flags)) in command.groups.iter().chain(more).enumerate() {
        let whole = match detail {
            Detail::All => true,
            Detail::Short => index == 0 || count <= FIT,
            Detail::Group(name) => is(heading, name),
        };
        if whole {
            text.push_str(&format!("\n{}:\n", output::heading(heading)));
            flags.iter().for_each(|flag| describe(&mut text, &left(flag), flag.help));
        } else if let Detail::Short = detail {
            let listed: Vec<String> = flags.iter().map(|flag| format!("--{}", flag.name)).gather();
            if !core::mem::replace(&mut names, true) {
                text.push('\n');
            }
            list(&mut text, heading, &listed.join(", "));
        }
    }
    if names {
        let name = command.name.strip_prefix("servin ").unwrap_or(command.name);
        text.push_str(&format!(
            "\n`servin help {name} all` says what each does, or one GROUP instead of all."
        ));
    }
    text.truncate(text.trim_end().len());
    text
}

/// `-e, --env KEY=VALUE`.
fn left(flag: &Flag) -> String {
    let short = flag.short.map_or(String::from("    "), |letter| format!("-{letter}, "));
    format!("{short}--{} {}", flag.name, flag.value.unwrap_or_default())
}

/// All commands: the everyday ones with a line each, the others by name.
pub fn overview() -> String {
    let mut text = String::from("Servin runs containers.\n\nusage: servin [FLAGS] COMMAND [FLAGS] [WORDS]\n");
    text.push_str(&format!("\n{}:\n", output::heading("Everyday")));
    for entry in entries().filter(|entry| entry.everyday) {
        short(&mut text, entry.path(), entry.command.about);
    }
    text.push('\n');
    for Section(heading, entries) in TABLE {
        let mut names: Vec<String> = Vec::new();
        for entry in *entries {
            // `image ls`, `image rm` become `image ls|rm`.
            match (entry.path().split_once(' '), names.last_mut()) {
                (Some((group, name)), Some(last)) if last.split(' ').next() == Some(group) => {
                    last.push_str(&format!("|{name}"));
                }
                _ if entry.everyday && !entry.path().contains(' ') => {}
                _ => names.push(entry.path().into()),
            }
        }
        if !names.is_empty() {
            list(&mut text, heading, &names.join(", "));
        }
    }
    text.push_str("\n`servin help COMMAND` says more; `servin check` says what this host offers.");
    text
}

/// The commands that begin with the same word.
pub fn group(name: &str) -> String {
    let mut text = format!("usage: servin {name} COMMAND [FLAGS] [WORDS]\n\n");
    for entry in entries() {
        let names = core::iter::once(entry.path()).chain(entry.aliases.iter().copied());
        let own = names.filter_map(|path| path.split_once(' ')).find(|(group, _)| *group == name);
        if let Some((_, own)) = own {
            short(&mut text, own, entry.command.about);
        }
    }
    text.push_str(&format!("\n`servin help {name} COMMAND` says more."));
    text
}

fn short(text: &mut String, name: &str, about: &str) {
    text.push_str(&format!("  {name:<12} "));
    wrap(text, about.trim_end_matches('.'), 15, 15);
}

/// A line of two columns, the second wrapped.
fn describe(text: &mut String, left: &str, right: &str) {
    const COLUMN: usize = 34;
    text.push_str(&format!("  {:<32}", left.trim_end()));
    let begins = if left.trim_end().len() + 2 >= COLUMN { WIDTH } else { COLUMN };
    wrap(text, right, begins, COLUMN);
}

/// A heading and words behind it, wrapped.
fn list(text: &mut String, heading: &str, words: &str) {
    text.push_str(&output::heading(heading));
    text.push(':');
    wrap(text, words, heading.len() + 1, 2);
}

/// Appends words from column `column` on; further lines begin at `indent`.
fn wrap(text: &mut String, words: &str, mut column: usize, indent: usize) {
    for word in words.split(' ') {
        let length = word.chars().count();
        if column + 1 + length > WIDTH {
            text.push_str(&format!("\n{:indent$}", ""));
            column = indent;
        } else if column > indent {
            text.push(' ');
            column += 1;
        }
        text.push_str(word);
        column += length;
    }
    text.push('\n');
}
