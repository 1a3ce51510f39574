//! `servin login` and `servin logout`: names and passwords for registries, kept in a file of Docker's form.

use alloc::string::String;
use alloc::vec::Vec;

use rustix::io::{self, Errno};
use rustix::termios::{LocalModes, OptionalActions, Termios, isatty, tcgetattr, tcsetattr};

use super::arguments::{Command, Flag, Given, Group, flag};
use super::{Invocation, output};
use crate::error::{Error, Result, Step};
use crate::fs::copy::write_all;
use crate::fs::descriptors::{stderr, stdin};
use crate::gather::Gather as _;
use crate::image::auth::{Credentials, files};
use crate::image::environment::Environment;
use crate::image::reference::DEFAULT_REGISTRY;
use crate::image::registry::{self, configuration::Configuration};

/// Where logins are kept, for every command that needs one.
pub const AUTHFILE: Flag =
    flag("authfile", None, Some("FILE"), "the file of logins (REGISTRY_AUTH_FILE; auth.json in --home)");

/// The command.
pub const LOGIN: Command = Command {
    name: "servin login",
    usage: "[FLAGS] [REGISTRY]",
    about: "Log in to a registry.",
    groups: &[Group(
        "Flags",
        &[
            flag("username", Some('u'), Some("NAME"), "the name; asked for on a terminal"),
            flag("password", Some('p'), Some("WORD"), "the password, for everybody on this host to see"),
            flag("password-stdin", None, None, "read the password from standard input"),
            AUTHFILE,
        ],
    )],
    last_word: usize::MAX,
};

/// The opposite.
pub const LOGOUT: Command = Command {
    name: "servin logout",
    usage: "[FLAGS] [REGISTRY]",
    about: "Forget the login to a registry.",
    groups: &[Group("Flags", &[AUTHFILE])],
    last_word: usize::MAX,
};

impl Invocation<'_> {
    /// What the sources of images follow.
    pub fn image_environment(&self, given: &Given) -> Result<Environment> {
        let lines = self.environment.iter().map(|line| String::from(*line)).gather();
        Ok(Environment { lines, home: self.home(given)? })
    }
}

/// The longest name or password.
const LONGEST: usize = 64 << 10;

/// Asks the registry whether it knows us before the login is kept.
pub fn login(invocation: &Invocation, given: &Given) -> Result<i32> {
    let registry = registry(&LOGIN, given)?;
    let environment = invocation.image_environment(given)?;
    let from_input = given.switch("password-stdin", false);
    if from_input && (given.value("password").is_some() || given.value("username").is_none()) {
        return Err(Error::new("--password-stdin needs --username, and no --password"));
    }
    let user = match given.value("username") {
        Some(user) => user.into(),
        None => ask("Name: ", true)?,
    };
    let password = match given.value("password") {
        Some(password) => password.into(),
        None if from_input => line(false)?,
        None => ask("Password: ", false)?,
    };
    if user.is_empty() || user.contains(':') || password.is_empty() {
        return Err(Error::new("a name and a password are needed, and the name has no colon"));
    }
    let credentials = Credentials::Password { user: user.clone(), password: password.clone() };
    let configuration = Configuration::read(&environment)?;
    registry::Session::new(&registry, "", &configuration, Some(credentials), &environment, true)?
        .get("GET", "", &[])
        .map_err(|error| error.within(format_args!("log in to {registry}")))?
        .finish();
    let file = files::own(given.value("authfile"), &environment);
    files::keep(&file, &registry, Some((&user, &password)))?;
    output::result(format_args!("logged in to {registry}; the login is kept in {file}")).map(|()| 0)
}

/// Takes the login out of the file.
pub fn logout(invocation: &Invocation, given: &Given) -> Result<i32> {
    let registry = registry(&LOGOUT, given)?;
    let environment = invocation.image_environment(given)?;
    let file = files::own(given.value("authfile"), &environment);
    if !files::keep(&file, &registry, None)? {
        return Err(Error::new(format_args!("there is no login to {registry} in {file}")));
    }
    output::result(format_args!("forgot the login to {registry}")).map(|()| 0)
}

/// `HOST[:PORT]`, however it was written.
fn registry(command: &Command, given: &Given) -> Result<String> {
    given.between(command, "REGISTRY", 0, 1)?;
    let word = given.words.first().copied().unwrap_or(DEFAULT_REGISTRY);
    let word = word.split_once("://").map_or(word, |(_, rest)| rest).trim_end_matches('/');
    if word.is_empty() || word.contains(['/', '@', ' ']) {
        return Err(Error::new(format_args!("{word:?} is not the name of a registry: HOST or HOST:PORT")));
    }
    Ok(if word == "index.docker.io" { DEFAULT_REGISTRY } else { word }.into())
}

/// Asks the person at the terminal.
fn ask(question: &str, shown: bool) -> Result<String> {
    if !isatty(stdin()) {
        return Err(
            Error::new("standard input is no terminal to ask at").hint("--username NAME --password-stdin")
        );
    }
    // Before the question: who answers quickly is not shown either.
    let _quiet = if shown { None } else { Silence::begin() };
    let _ = write_all(stderr(), question.as_bytes());
    line(true)
}

/// Reads a line, or all that there is: programs write passwords with and without an end of the line.
fn line(only_one: bool) -> Result<String> {
    let mut bytes = Vec::new();
    loop {
        let mut buffer = [0; 1024];
        let length = match io::read(stdin(), &mut buffer) {
            Err(Errno::INTR) => continue,
            read => read.step(|| "read standard input")?,
        };
        bytes.extend_from_slice(&buffer[..length]);
        if length == 0 || only_one && bytes.ends_with(b"\n") || bytes.len() > LONGEST {
            break;
        }
    }
    let text = String::from_utf8(bytes).map_err(|_| Error::new("standard input is not UTF-8"))?;
    let text = text.strip_suffix('\n').unwrap_or(&text);
    Ok(text.strip_suffix('\r').unwrap_or(text).into())
}

/// The terminal does not show what is typed, until this is dropped.
struct Silence(Termios);

impl Silence {
    fn begin() -> Option<Silence> {
        let before = tcgetattr(stdin()).ok()?;
        let mut quiet = before.clone();
        quiet.local_modes.remove(LocalModes::ECHO);
        tcsetattr(stdin(), OptionalActions::Flush, &quiet).ok()?;
        Some(Silence(before))
    }
}

impl Drop for Silence {
    fn drop(&mut self) {
        let _ = tcsetattr(stdin(), OptionalActions::Drain, &self.0);
        let _ = write_all(stderr(), b"\n");
    }
}
