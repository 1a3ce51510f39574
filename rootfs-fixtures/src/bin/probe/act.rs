//! Commands that do one small thing with a file, and say how it went.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::process::{Command, Stdio};

use crate::names::outcome;
use crate::{number, say, sys};

/// Ends with a code.
pub fn exit(arguments: &[String]) -> i32 {
    number(arguments, 0).unwrap_or(2) as i32
}

/// Ends by a signal, if the kernel lets it.
pub fn signal_self(arguments: &[String]) -> i32 {
    let sent = sys::kill(sys::pids()[0], number(arguments, 0).unwrap_or(0) as i32);
    say(outcome(sent));
    2
}

/// Tries one thing with each argument; the code is 1 if any failed.
fn each(arguments: &[String], attempt: impl Fn(&str) -> std::io::Result<()>) -> i32 {
    let mut code = 0;
    for argument in arguments {
        let answer = attempt(argument);
        code |= i32::from(answer.is_err());
        say(outcome(answer));
    }
    code
}

/// Reads a file, or the names in a directory.
pub fn try_read(arguments: &[String]) -> i32 {
    each(arguments, |path| match fs::metadata(path)?.is_dir() {
        true => fs::read_dir(path)?.try_for_each(|entry| entry.map(drop)),
        false => {
            std::io::copy(&mut std::io::Read::take(File::open(path)?, 4096), &mut std::io::sink()).map(drop)
        }
    })
}

/// Opens an existing file for writing, and writes nothing.
pub fn try_write(arguments: &[String]) -> i32 {
    each(arguments, |path| OpenOptions::new().write(true).open(path).map(drop))
}

/// Makes a new file.
pub fn try_create(arguments: &[String]) -> i32 {
    each(arguments, |path| OpenOptions::new().write(true).create_new(true).open(path).map(drop))
}

/// Executes a file.
pub fn try_execute(arguments: &[String]) -> i32 {
    each(arguments, |path| {
        Command::new(path).args(["exit", "0"]).stdin(Stdio::null()).stdout(Stdio::null()).status().map(drop)
    })
}

/// Makes a device node and opens it: the host's memory, which nothing inside may have.
pub fn try_mknod(arguments: &[String]) -> i32 {
    each(arguments, |path| {
        sys::mknod(path, libc::S_IFCHR | 0o600, 1, 1)?;
        File::open(path).map(drop)
    })
}

/// Prints a file.
pub fn read(arguments: &[String]) -> i32 {
    let answer = fs::read(arguments.first().map_or("", String::as_str));
    match &answer {
        // Without std's own start there is no flush at the end either.
        Ok(content) => {
            let mut out = std::io::stdout();
            i32::from(out.write_all(content).and_then(|()| out.flush()).is_err())
        }
        Err(_) => {
            say(outcome(answer));
            1
        }
    }
}

/// Writes a text into a file, which may be new.
pub fn write(arguments: &[String]) -> i32 {
    let [path, text] = arguments else { return 2 };
    each(std::slice::from_ref(path), |path| fs::write(path, text))
}

/// Prints the names in a directory, sorted.
pub fn list(arguments: &[String]) -> i32 {
    let names = fs::read_dir(arguments.first().map_or(".", String::as_str)).and_then(|entries| {
        entries.map(|entry| entry.map(|entry| entry.file_name().to_string_lossy().into_owned())).collect()
    });
    let mut names: Vec<String> = match names {
        Ok(names) => names,
        Err(error) => {
            say(outcome::<()>(Err(error)));
            return 1;
        }
    };
    names.sort();
    names.iter().for_each(say);
    0
}

/// One text to standard output, the other to standard error.
pub fn say_both(arguments: &[String]) -> i32 {
    let [out, error] = arguments else { return 2 };
    say(out);
    eprintln!("{error}");
    0
}
