//! What there is: `list` the containers, `ps` the processes of one.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::{Session, id};
use crate::cli::arguments::{Command, Given, Group, flag};
use crate::cli::output;
use crate::gather::Gather as _;

use crate::container::record::Container;
use crate::error::{Error, Result};
use crate::fs::read_lossy;
use crate::spec::{self, State};

const LIST: Command = Command {
    name: "servin-run list",
    usage: "[FLAGS]",
    about: "List the containers.",
    groups: &[Group(
        "Flags",
        &[
            flag("format", Some('f'), Some("table|json"), "how (default: table)"),
            flag("quiet", Some('q'), None, "print ids alone"),
            flag("help", Some('h'), None, "print this"),
        ],
    )],
    last_word: usize::MAX,
};

const PS: Command = Command {
    name: "servin-run ps",
    usage: "[FLAGS] ID",
    about: "List the processes of a container, as the host sees them.",
    groups: &[Group(
        "Flags",
        &[
            flag("format", Some('f'), Some("table|json"), "how (default: table)"),
            flag("help", Some('h'), None, "print this"),
        ],
    )],
    last_word: usize::MAX,
};

/// `list`.
pub fn list(session: &Session, arguments: &[&str]) -> Result<i32> {
    let Some(given) = session.parse(&LIST, arguments)? else { return Ok(0) };
    if let Some(word) = given.words.first() {
        return Err(Error::new(format_args!("\"{word}\" is one word too many: see {LIST}")));
    }
    let json = is_json(&given)?;
    let root = session.root()?;
    let mut states: Vec<State> = Vec::new();
    for id in root.iter().map(|root| root.ids()).gather::<Result<Vec<_>>>()?.into_iter().flatten() {
        // Another command may have removed it since; one that cannot be read must not hide the others.
        let look = || session.directory(&id).and_then(Container::look).map(|container| container.state());
        match look() {
            Ok(state) => states.push(state),
            Err(error) if session.directory(&id).is_ok() => output::warning(&format!("{id}: {error}")),
            Err(_) => {}
        }
    }
    if given.switch("quiet", false) {
        for state in &states {
            output::result(&state.id)?;
        }
        return Ok(0);
    }
    if json {
        return output::result(spec::to_json(&states)).map(|()| 0);
    }
    let mut rows: Vec<[String; 6]> =
        [["ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER"].map(String::from)].into();
    for state in &states {
        let pid = format!("{}", state.pid.unwrap_or(0));
        let [created, owner] = [&state.created, &state.owner].map(|text| text.as_deref().unwrap_or_default());
        rows.push([&state.id, &pid, state.status.as_str(), &state.bundle, created, owner].map(String::from));
    }
    output::result(table(&rows)).map(|()| 0)
}

/// `ps`.
pub fn ps(session: &Session, arguments: &[&str]) -> Result<i32> {
    let Some(mut given) = session.parse(&PS, arguments)? else { return Ok(0) };
    // What follows are options of ps(1), which Servin does not need.
    given.words.truncate(1);
    let container = session.container(id(&PS, &given)?)?;
    let pids: Vec<i32> = container.pids()?.iter().map(|pid| pid.as_raw_nonzero().get()).gather();
    if is_json(&given)? {
        return output::result(spec::to_json(&pids)).map(|()| 0);
    }
    let mut rows: Vec<[String; 5]> = [["UID", "PID", "PPID", "TIME", "CMD"].map(String::from)].into();
    rows.extend(pids.iter().filter_map(|pid| row(*pid)));
    output::result(table(&rows)).map(|()| 0)
}

fn is_json(given: &Given) -> Result<bool> {
    match given.value("format") {
        None | Some("table") => Ok(false),
        Some("json") => Ok(true),
        Some(word) => Err(Error::new(format_args!("--format {word}: neither table nor json"))),
    }
}

/// What ps(1) shows of a process; none if it has just ended.
pub fn row(pid: i32) -> Option<[String; 5]> {
    let status = read_lossy(&format!("/proc/{pid}/status")).ok()?;
    let field = |name: &str| -> Option<&str> {
        status.lines().find_map(|line| line.strip_prefix(name)?.split_whitespace().next())
    };
    let stat = read_lossy(&format!("/proc/{pid}/stat")).ok()?;
    let (_, after) = stat.rsplit_once(')')?;
    let mut fields = after.split_ascii_whitespace();
    // Fields 14 and 15 of proc_pid_stat(5), in hundredths of a second on all our architectures (USER_HZ).
    let user: u64 = fields.nth(11)?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    let seconds = (user + system) / 100;
    let time = format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
    let arguments = read_lossy(&format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let command = match arguments.is_empty() {
        true => format!("[{}]", field("Name:")?),
        false => arguments.trim_end_matches('\0').replace('\0', " "),
    };
    Some([field("Uid:")?.into(), format!("{pid}"), field("PPid:")?.into(), time, command])
}

/// Columns as wide as their widest cell, three spaces between them.
fn table<const N: usize>(rows: &[[String; N]]) -> String {
    let mut text = String::new();
    for row in rows {
        for (column, cell) in row.iter().enumerate() {
            let width = rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
            match column + 1 == N {
                true => text.push_str(cell),
                false => text.push_str(&format!("{cell:<width$}   ")),
            }
        }
        text.push('\n');
    }
    text.truncate(text.trim_end().len());
    text
}
