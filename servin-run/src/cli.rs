//! The command lines, one file a command. The name that the program is called by chooses: `servin` speaks to
//! people, any other name speaks the OCI runtime command line, and `servin oci …` reaches that too.

pub mod arguments;
mod attach;
mod check;
mod completion;
mod copy;
mod exec;
pub mod format;
mod help;
mod image;
mod inspect;
mod isolation;
mod limits;
mod login;
mod logs;
mod manual;
mod mount_flags;
mod network;
mod network_flags;
mod oci;
mod output;
mod pause;
mod people;
mod places;
mod port;
mod process;
mod progress;
mod ps;
mod pull;
mod push;
mod refused;
mod rm;
mod rootless;
mod run;
mod size;
mod start;
mod stats;
mod stop;
mod suggestion;
mod system;
mod top;
mod update;
mod user;
mod version;
mod volume;
mod wait;

use alloc::string::String;
use alloc::vec::Vec;

use servin_init::sys::start::Arguments;

use arguments::Given;

use crate::error::{EXIT_SERVIN_FAILED, Error, Result};
use crate::fs::descriptors::fill_standard;
use crate::gather::Gather as _;
use crate::launch::sealed::{self, Company};

/// The program of PID 1, embedded.
static INIT: &[u8] = include_bytes!(env!("SERVIN_INIT_PROGRAM"));

/// The process as the kernel started it.
pub struct Invocation<'a> {
    /// The arguments after the program's name.
    pub arguments: Vec<&'a str>,
    /// The environment, as far as it is UTF-8.
    pub environment: Vec<&'a str>,
    /// The kernel's own arrays, to execute this program again as it was called.
    pub raw: Arguments,
}

impl<'a> Invocation<'a> {
    /// The value of an environment variable that is set to something.
    pub fn variable(&self, name: &str) -> Option<&'a str> {
        let value = |line: &&'a str| line.strip_prefix(name)?.strip_prefix('=');
        self.environment.iter().find_map(value).filter(|value| !value.is_empty())
    }

    /// Where what stays is kept: images, volumes, networks, containers.
    pub fn home(&self, given: &Given) -> Result<String> {
        self.place(given.value("home").or_else(|| self.variable("SERVIN_HOME")), rootless::home)
    }

    /// Where what runs is kept, until the next boot.
    pub fn root(&self, given: &Given) -> Result<String> {
        self.place(given.value("root").or_else(|| self.variable("SERVIN_ROOT")), rootless::root)
    }

    fn place(&self, given: Option<&str>, default: fn(&Invocation) -> String) -> Result<String> {
        given.map_or_else(|| Ok(default(self)), oci::absolute_or_new)
    }

    /// Executes this program again, from a copy in memory that nothing can change; returns where it is that
    /// already. Before a container can look at it, this program must not be a file of the host any more.
    pub fn become_sealed(&self, company: Company) -> Result<()> {
        match sealed::copy_of_self(company)? {
            Some(copy) => Err(sealed::execute(&copy, self.raw)),
            None => Ok(()),
        }
    }
}

/// Runs the program and returns its exit code.
pub fn main(raw: Arguments) -> i32 {
    let name = raw.iter().next().map(|name| name.to_bytes()).unwrap_or_default();
    let file = name.rsplit(|&byte| byte == b'/').next().unwrap_or_default();
    let command = match file {
        b"servin" => people::main,
        _ => oci::main,
    };
    let finished = start(raw).and_then(|invocation| {
        output::choose_colours(&invocation);
        command(&invocation)
    });
    finished.unwrap_or_else(|error| {
        output::error(&error);
        error.code().into()
    })
}

fn start(raw: Arguments) -> Result<Invocation<'static>> {
    fill_standard()?;
    let text = |argument: &'static core::ffi::CStr| {
        argument.to_str().map_err(|_| {
            Error::new(format_args!(
                "the argument {} is not UTF-8",
                String::from_utf8_lossy(argument.to_bytes())
            ))
        })
    };
    let arguments = raw.iter().skip(1).map(text).gather::<Result<_>>()?;
    let environment = raw.environment().filter_map(|line| line.to_str().ok()).gather();
    Ok(Invocation { arguments, environment, raw })
}

/// Says where the program broke: a panic is a bug of Servin.
pub fn bug(info: &core::panic::PanicInfo) {
    output::error(&Error::new(format_args!("a bug in servin: {info}")).exit_code(EXIT_SERVIN_FAILED));
}
