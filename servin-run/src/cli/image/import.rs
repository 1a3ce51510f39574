//! `servin image import` and `servin image from-host`.

use alloc::boxed::Box;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use rustix::fs::{CWD, OFlags};
use rustix::termios::isatty;

use super::super::arguments::{Command, Flag, Given, Group, flag};
use super::super::{Invocation, output};
use super::{LIMITS, PLATFORM, limits, new_name, platform, store};
use crate::container::time;
use crate::error::{Error, Result, Step};
use crate::fs::descriptors::stdin;
use crate::gather::Gather as _;
use crate::image::copy::{DIRECTORY, open_at};
use crate::image::documents::{Empty, RunConfig};
use crate::image::import::{self, New};
use crate::image::source::Read;
use crate::image::stream::{Borrowed, File};
use crate::image::unpack::Whiteouts;
use crate::launch::file_system;
use crate::plan::mounts::Attributes;

/// Changes to a configuration.
pub const CHANGE: Flag =
    flag("change", Some('c'), Some("INSTRUCTION"), "a Dockerfile's CMD, ENTRYPOINT, ENV, USER, …");

/// A remark in the history.
pub const MESSAGE: Flag = flag("message", Some('m'), Some("TEXT"), "a remark for the history");

pub const IMPORT: Command = Command {
    name: "servin image import",
    usage: "[FLAGS] FILE|- [NAME]",
    about: "Make an image of an archive, a squashfs or an erofs.",
    groups: &[Group("Flags", &[CHANGE, MESSAGE, PLATFORM]), LIMITS],
    last_word: usize::MAX,
};

/// Imports an archive; prints the image's ID.
pub fn import(invocation: &Invocation, given: &Given) -> Result<i32> {
    given.between(&IMPORT, "an archive, or - for standard input,", 1, 2)?;
    let path = given.words[0];
    let name = given.words.get(1).map(|name| new_name(name)).transpose()?;
    let created = time::now();
    let mut config = import::configuration(&created, platform(given)?);
    change(config.config.get_or_insert_default(), given)?;
    let history =
        import::history(&created, "servin import", given.value("message").unwrap_or("Imported from -"));
    let new = New { config, history, name, limits: limits(given)?, base: None };
    let within = |error: Error| error.within(if path == "-" { "standard input" } else { path });
    let kind = if path == "-" { None } else { file_system::kind(path)? };
    if let Some(kind) = kind {
        let root = file_system::mount(kind, path, &[], Attributes::default())?;
        let id =
            import::import_tree(store(invocation, given)?, &root, Whiteouts::None, new).map_err(within)?;
        return output::result(id).map(|()| 0);
    }
    let reader: Box<dyn Read> = match path {
        "-" if isatty(stdin()) => return Err(Error::new("an archive is missing on standard input")),
        "-" => Box::new(Borrowed(stdin())),
        path => {
            let opened = open_at(CWD, path, OFlags::RDONLY | OFlags::CLOEXEC);
            Box::new(File(opened.step(|| alloc::format!("open {path}"))?))
        }
    };
    let id = import::import(store(invocation, given)?, reader, new).map_err(within)?;
    output::result(id).map(|()| 0)
}

pub const FROM_HOST: Command = Command {
    name: "servin image from-host",
    usage: "[FLAGS] [NAME]",
    about: "Make an image of this host's essential programs.",
    groups: &[Group("Flags", &[CHANGE, MESSAGE])],
    last_word: usize::MAX,
};

/// Makes an image of what `--rootfs host` is; prints its ID.
pub fn from_host(invocation: &Invocation, given: &Given) -> Result<i32> {
    given.between(&FROM_HOST, "", 0, 1)?;
    let name = new_name(given.words.first().copied().unwrap_or("host"))?;
    let created = time::now();
    let mut config = import::configuration(&created, platform(given)?);
    let run = config.config.get_or_insert_default();
    run.cmd = Some(Vec::from(["/bin/sh".to_string()]));
    change(run, given)?;
    let store = store(invocation, given)?;
    let root = crate::image::host_root(store.home())?;
    let root = open_at(CWD, &root, DIRECTORY).step(|| alloc::format!("open {root}"))?;
    let history =
        import::history(&created, "servin image from-host", given.value("message").unwrap_or_default());
    let new = New { config, history, name: Some(name), ..New::default() };
    let id = import::import_tree(store, &root, Whiteouts::None, new)?;
    output::result(id).map(|()| 0)
}

/// Carries out the instructions of `--change`.
pub fn change(config: &mut RunConfig, given: &Given) -> Result<()> {
    given.values("change").try_for_each(|instruction| {
        instruct(config, instruction).map_err(|error| error.within(format_args!("--change {instruction}")))
    })
}

fn instruct(config: &mut RunConfig, instruction: &str) -> Result<()> {
    let (word, rest) = instruction.trim().split_once([' ', '=']).unwrap_or((instruction, ""));
    let rest = rest.trim();
    if rest.is_empty() {
        return Err(Error::new("its value is missing"));
    }
    let pairs = || pairs(rest);
    match word.to_ascii_uppercase().as_str() {
        "CMD" => config.cmd = Some(program(rest)?),
        "ENTRYPOINT" => config.entrypoint = Some(program(rest)?),
        "ENV" => {
            for (key, value) in pairs()? {
                config.env.retain(|line| line.split('=').next() != Some(&key));
                config.env.push([&key, "=", &value].concat());
            }
        }
        "LABEL" => {
            for (key, value) in pairs()? {
                config.labels.retain(|(known, _)| *known != key);
                config.labels.push((key, value));
            }
        }
        "EXPOSE" => {
            for port in rest.split_whitespace() {
                let port = if port.contains('/') { port.to_string() } else { [port, "/tcp"].concat() };
                config.exposed_ports.push((port, Empty {}));
            }
        }
        "VOLUME" => {
            let places = if rest.starts_with('[') { program(rest)? } else { words(rest) };
            config.volumes.extend(places.into_iter().map(|place| (place, Empty {})));
        }
        "USER" => config.user = Some(rest.into()),
        "WORKDIR" => config.working_dir = Some(rest.into()),
        "STOPSIGNAL" => config.stop_signal = Some(rest.into()),
        _ => {
            return Err(Error::new(
                "it is none of CMD, ENTRYPOINT, ENV, EXPOSE, LABEL, STOPSIGNAL, USER, VOLUME and WORKDIR",
            ));
        }
    }
    Ok(())
}

fn words(text: &str) -> Vec<String> {
    text.split_whitespace().map(ToString::to_string).gather()
}

/// A list in JSON, or a line for the shell.
fn program(text: &str) -> Result<Vec<String>> {
    if text.starts_with('[') {
        return crate::spec::parse(text, "the list");
    }
    Ok(Vec::from(["/bin/sh".to_string(), "-c".to_string(), text.to_string()]))
}

/// `KEY=VALUE KEY="VALUE WITH SPACES"`, or the older `KEY VALUE`.
fn pairs(text: &str) -> Result<Vec<(String, String)>> {
    let first = text.split_whitespace().next().unwrap_or_default();
    if !first.contains('=') {
        let (key, value) = text.split_once(' ').ok_or_else(|| Error::new("it takes KEY=VALUE"))?;
        return Ok(Vec::from([(key.to_string(), value.trim().to_string())]));
    }
    let (mut found, mut word, mut quote) = (Vec::new(), String::new(), None);
    for character in text.chars().chain([' ']) {
        match (character, quote) {
            ('"' | '\'', None) => quote = Some(character),
            (_, Some(open)) if character == open => quote = None,
            (' ', None) => {
                if let Some((key, value)) = core::mem::take(&mut word).split_once('=') {
                    found.push((key.to_string(), value.to_string()));
                }
            }
            _ => word.push(character),
        }
    }
    match quote {
        None => Ok(found),
        Some(_) => Err(Error::new("a quotation mark has no end")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instructions_change_a_configuration_as_a_dockerfile_does() {
        let mut config = RunConfig { env: vec!["A=old".into()], ..RunConfig::default() };
        for instruction in [
            "CMD [\"a\", \"b c\"]",
            "ENTRYPOINT run it",
            "ENV A=new B=\"two words\"",
            "env C old form",
            "LABEL x=y",
            "EXPOSE 80 53/udp",
            "USER me:us",
            "WORKDIR /w",
            "VOLUME /v /w",
            "STOPSIGNAL SIGUSR1",
        ] {
            instruct(&mut config, instruction).expect(instruction);
        }
        assert_eq!(config.cmd.as_deref(), Some(&["a".to_string(), "b c".into()][..]));
        assert_eq!(config.entrypoint.as_deref().map(<[String]>::len), Some(3));
        assert_eq!(config.env, ["A=new", "B=two words", "C=old form"]);
        assert_eq!(config.exposed_ports[0].0, "80/tcp");
        assert_eq!((config.volumes.len(), config.user.as_deref()), (2, Some("me:us")));
        for bad in ["RUN x", "CMD", "CMD [", "ENV A", "ENV A=\"b"] {
            assert!(instruct(&mut config, bad).is_err(), "{bad}");
        }
    }
}
