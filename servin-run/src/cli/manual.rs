//! `servin man`: manual pages, made from the table that reads the arguments. Written in roff, as man(7) has it.

use alloc::format;
use alloc::string::String;

use rustix::fd::AsFd;
use rustix::fs::{CWD, Mode, OFlags};

use super::arguments::{Command, Flag, Given, Group, flag};
use super::people::{Found, GLOBALS, SERVIN, Section, TABLE, entries, find};
use super::{Invocation, output};
use crate::error::{Error, Result, Step};
use crate::fs::copy::write_all;
use crate::sys::path::openat;

/// The command.
pub const MAN: Command = Command {
    name: "servin man",
    usage: "[FLAGS] [COMMAND]",
    about: "Print the manual page of servin, or of a command.",
    groups: &[Group("Flags", &[flag("output", None, Some("DIR"), "write all pages there instead")])],
    last_word: usize::MAX,
};

/// Runs the command.
pub fn main(_: &Invocation, given: &Given) -> Result<i32> {
    if let Some(directory) = given.value("output") {
        given.none(&MAN)?;
        write(directory, "servin", &overview())?;
        for entry in entries() {
            write(directory, &file_name(entry.command), &page(entry.command, entry.aliases))?;
        }
        return Ok(0);
    }
    let page = match given.words.as_slice() {
        [] => overview(),
        words => match find(words)? {
            Found::Command(entry, used) => {
                given.between(&MAN, "", used, used)?;
                page(entry.command, entry.aliases)
            }
            Found::Group(group, _) => {
                return Err(Error::new(format_args!(
                    "there are pages for the commands of {group}: `servin help {group}` lists them"
                )));
            }
        },
    };
    output::result(page.trim_end()).map(|()| 0)
}

fn write(directory: &str, name: &str, page: &str) -> Result<()> {
    let path = format!("{directory}/{name}.1");
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC | OFlags::CLOEXEC;
    let file =
        openat(CWD, path.as_str(), flags, Mode::from_raw_mode(0o644)).step(|| format!("make {path}"))?;
    write_all(file.as_fd(), page.as_bytes()).step(|| format!("write {path}"))
}

/// `servin-image-ls`.
fn file_name(command: &Command) -> String {
    command.name.replace(' ', "-")
}

/// A text in which roff sees nothing of its own, and no character but those of ASCII.
fn text(text: &str) -> String {
    let mut escaped = String::from(if text.starts_with(['.', '\'']) { "\\&" } else { "" });
    for character in text.chars() {
        match character {
            '\\' => escaped.push_str("\\e"),
            '-' => escaped.push_str("\\-"),
            other if other.is_ascii() => escaped.push(other),
            other => escaped.push_str(&format!("\\[u{:04X}]", other as u32)),
        }
    }
    escaped
}

fn header(name: &str, about: &str) -> String {
    format!(
        ".TH {} 1 \"\" \"servin {}\" \"Servin\"\n.SH NAME\n{} \\- {}\n",
        name.to_ascii_uppercase(),
        env!("CARGO_PKG_VERSION"),
        text(name),
        text(about.trim_end_matches('.')),
    )
}

fn describe(page: &mut String, flags: &[Flag]) {
    for flag in flags {
        page.push_str(".TP\n");
        if let Some(letter) = flag.short {
            page.push_str(&format!("\\fB\\-{letter}\\fR, "));
        }
        page.push_str(&format!("\\fB\\-\\-{}\\fR", text(flag.name)));
        if let Some(value) = flag.value {
            page.push_str(&format!(" \\fI{}\\fR", text(value)));
        }
        page.push_str(&format!("\n{}\n", text(flag.help)));
    }
}

/// The page of a command.
pub fn page(command: &Command, aliases: &[&str]) -> String {
    let mut page = header(&file_name(command), command.about);
    page.push_str(&format!(".SH SYNOPSIS\n\\fB{}\\fR {}\n", text(command.name), text(command.usage)));
    for alias in aliases {
        page.push_str(&format!(".br\n\\fBservin {}\\fR {}\n", text(alias), text(command.usage)));
    }
    page.push_str(&format!(".SH DESCRIPTION\n{}\n.SH OPTIONS\n", text(command.about)));
    for Group(heading, flags) in command.groups.iter().chain(&[Group("Everywhere", GLOBALS)]) {
        page.push_str(&format!(".SS {}\n", text(heading)));
        describe(&mut page, flags);
    }
    page.push_str(".SH SEE ALSO\n.BR servin (1)\n");
    page
}

/// The page of `servin` itself.
pub fn overview() -> String {
    let mut page = header("servin", SERVIN.about);
    page.push_str(&format!(".SH SYNOPSIS\n\\fBservin\\fR {}\n.SH OPTIONS\n", text(SERVIN.usage)));
    SERVIN.groups.iter().for_each(|group| describe(&mut page, group.1));
    page.push_str(".SH COMMANDS\n");
    for Section(heading, entries) in TABLE {
        page.push_str(&format!(".SS {}\n", text(heading)));
        for entry in *entries {
            page.push_str(&format!(
                ".TP\n\\fB{}\\fR\n{} See\n.BR {} (1).\n",
                text(entry.path()),
                text(entry.command.about),
                text(&file_name(entry.command)),
            ));
        }
    }
    page.push_str(
        ".SH EXIT STATUS\nThat of the container's program; 128+N where signal N ended it; 125 where Servin failed, 126 where the\nprogram could not be executed, 127 where there is none.\n.SH ENVIRONMENT\n.TP\nSERVIN_HOME, SERVIN_ROOT\nAs \\fB\\-\\-home\\fR and \\fB\\-\\-root\\fR.\n.TP\nNO_COLOR\nNothing is coloured.\n",
    );
    page
}
