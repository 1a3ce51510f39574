//! The flags about a container's life: its name, how it ends and is started again, who hears what it prints. None of
//! them is in the OCI configuration: they are in the container's record.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use crate::cli::arguments::{Given, Group, flag};
use crate::cli::oci::signals;
use crate::cli::size;
use crate::container::people::{HealthCheck, LogSettings, Record, validate_name};
use crate::error::{Error, Result};
use crate::fs::read_text;
use crate::gather::Gather as _;
use crate::supervise::client::Attach;
use crate::supervise::keys::Keys;
use crate::supervise::log::Driver;
use crate::supervise::policy::Policy;

pub const LIFETIME: Group = Group(
    "Life",
    &[
        flag("detach", Some('d'), None, "print the ID and leave the container alone"),
        flag("name", None, Some("NAME"), "its name (default: one is made up)"),
        flag("replace", None, None, "end and remove the container that has the name"),
        flag("rm", None, None, "remove it when it has ended"),
        flag("restart", None, Some("POLICY"), "no, on-failure[:N], always, unless-stopped"),
        flag("stop-signal", None, Some("SIGNAL"), "what `stop` sends (default: TERM)"),
        flag("stop-timeout", None, Some("SECONDS"), "when `stop` kills (default: 10; -1: never)"),
        flag("cidfile", None, Some("FILE"), "write the ID there"),
        flag("pidfile", None, Some("FILE"), "write the pid of its first process there"),
        flag("label", Some('l'), Some("KEY[=VALUE]"), "a note for people and programs"),
        flag("label-file", None, Some("FILE"), "such notes, one a line"),
        flag("annotation", None, Some("KEY=VALUE"), "a note in the OCI configuration"),
        flag("health-cmd", None, Some("LINE"), "a shell's line that fails when the container is not well"),
        flag("health-interval", None, Some("TIME"), "between two of them (default: 30s)"),
        flag("health-timeout", None, Some("TIME"), "when one has failed (default: 30s)"),
        flag("health-retries", None, Some("N"), "so many failures are unhealthy (default: 3)"),
        flag("health-start-period", None, Some("TIME"), "failures that do not count (default: 0s)"),
        flag("no-healthcheck", None, None, "never mind the image's"),
    ],
);

pub const OUTPUT: Group = Group(
    "Input and output",
    &[
        flag("attach", Some('a'), Some("STREAM"), "stdin, stdout, stderr (default: the last two)"),
        flag("detach-keys", None, Some("KEYS"), "leave a terminal (default: ctrl-p,ctrl-q)"),
        flag("sig-proxy", None, None, "our signals are the container's (default: true)"),
        flag("log-driver", None, Some("NAME"), "json-file, k8s-file, none"),
        flag("log-opt", None, Some("KEY=VALUE"), "max-size=SIZE, max-file=N"),
    ],
);

/// The part of the record that flags say. In the foreground input ends with the command.
pub fn record(given: &Given, foreground: bool) -> Result<Record> {
    let (remove, restart) = (given.switch("rm", false), given.value("restart"));
    let policy = Policy::parse(restart.unwrap_or_default())?;
    if remove && policy != Policy::No {
        return Err(Error::new("--rm and --restart: a container that is removed cannot be started again"));
    }
    let name = given.value("name").unwrap_or_default();
    if name.is_empty() && given.switch("replace", false) {
        return Err(Error::new("--replace: it needs --name"));
    }
    if given.value("name").is_some() {
        validate_name(name)?;
    }
    let input = given.switch("interactive", false);
    Ok(Record {
        name: name.into(),
        labels: labels(given)?,
        terminal: given.switch("tty", false),
        input,
        input_once: input && foreground,
        remove,
        restart: restart.map(String::from),
        stop_signal: given.value("stop-signal").map(stop_signal).transpose()?,
        stop_timeout: given.value("stop-timeout").map(seconds).transpose()?,
        log: log(given)?,
        health: health(given)?,
        cgroup_manager: given.value("cgroup-manager").map(String::from),
        ..Record::default()
    })
}

fn stop_signal(text: &str) -> Result<u32> {
    match signals::parse(text) {
        Ok(number @ 1..) => Ok(number),
        _ => Err(Error::new(format_args!("--stop-signal {text}: there is no such signal"))),
    }
}

fn seconds(text: &str) -> Result<i32> {
    text.parse().map_err(|_| Error::new(format_args!("--stop-timeout {text}: not a number of seconds")))
}

/// The labels of flags and files; of one that is given twice the last value counts.
fn labels(given: &Given) -> Result<Vec<(String, String)>> {
    let mut labels: Vec<(String, String)> = Vec::new();
    let mut add = |text: &str, flag: &str| {
        let (key, value) = text.split_once('=').unwrap_or((text, ""));
        if key.is_empty() {
            return Err(Error::new(format_args!("--{flag} {text}: the key is missing")));
        }
        labels.retain(|(known, _)| known != key);
        labels.push((key.into(), value.into()));
        Ok(())
    };
    for path in given.values("label-file") {
        for line in lines(&read_text(path).map_err(|error| error.within("--label-file"))?) {
            add(line, "label-file")?;
        }
    }
    given.values("label").try_for_each(|text| add(text, "label"))?;
    Ok(labels)
}

/// The lines of a file of labels or variables: empty ones and comments say nothing.
pub fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.lines().map(str::trim_start).filter(|line| !line.is_empty() && !line.starts_with('#'))
}

/// What `--annotation` says.
pub fn annotations(given: &Given) -> Result<Vec<(String, String)>> {
    let split = |text: &str| match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_string(), value.to_string())),
        _ => Err(Error::new(format_args!("--annotation {text}: it takes KEY=VALUE"))),
    };
    given.values("annotation").map(split).gather()
}

fn log(given: &Given) -> Result<LogSettings> {
    let driver = given.value("log-driver").unwrap_or("json-file");
    if Driver::by_name(driver).is_none() || driver.is_empty() {
        return Err(Error::new(format_args!(
            "--log-driver {driver}: it is none of json-file, k8s-file and none"
        )));
    }
    let mut settings = LogSettings { driver: driver.into(), ..LogSettings::default() };
    for option in given.values("log-opt") {
        let refuse = |why: &str| Error::new(format_args!("--log-opt {option}: {why}"));
        match option.split_once('=') {
            Some(("max-size", size)) => {
                let size = size::parse("log-opt max-size", size)?;
                settings.max_size = Some(u64::try_from(size).ok().filter(|size| *size > 0)).flatten();
            }
            Some(("max-file", count)) => {
                let count = count.parse().ok().filter(|count| (1..=1000).contains(count));
                settings.max_file = Some(count.ok_or_else(|| refuse("a number from 1 to 1000"))?);
            }
            _ => return Err(refuse("it is none of max-size=SIZE and max-file=N")),
        }
    }
    if settings.max_file.is_some_and(|count| count > 1) && settings.max_size.is_none() {
        return Err(Error::new("--log-opt max-file: it needs max-size too"));
    }
    Ok(settings)
}

fn health(given: &Given) -> Result<Option<HealthCheck>> {
    const NAMES: [&str; 4] = ["health-interval", "health-timeout", "health-retries", "health-start-period"];
    let line = given.value("health-cmd");
    if given.switch("no-healthcheck", false) {
        return match line {
            Some(_) => Err(Error::new("--no-healthcheck and --health-cmd exclude each other")),
            None => Ok(None),
        };
    }
    let Some(line) = line else {
        return match NAMES.iter().find(|name| given.value(name).is_some()) {
            Some(name) => Err(Error::new(format_args!("--{name}: it needs --health-cmd"))),
            None => Ok(None),
        };
    };
    let time = |name: &str, default: u64| {
        let parse = |text: &str| {
            nanoseconds(text)
                .ok_or_else(|| Error::new(format_args!("--{name} {text}: not a time such as 30s or 1m30s")))
        };
        given.value(name).map_or(Ok(default), parse)
    };
    const SECOND: u64 = 1_000_000_000;
    let or_default = |value: u64| if value == 0 { 30 * SECOND } else { value };
    let retries = match given.value("health-retries") {
        None | Some("0") => 3,
        Some(text) => {
            text.parse().map_err(|_| Error::new(format_args!("--health-retries {text}: not a number")))?
        }
    };
    Ok(Some(HealthCheck {
        test: ["CMD-SHELL".into(), line.into()].into(),
        interval: or_default(time("health-interval", 0)?),
        timeout: or_default(time("health-timeout", 0)?),
        start_period: time("health-start-period", 0)?,
        retries,
    }))
}

/// A time as Go writes it: `1h30m`, `1.5s`, `300ms`.
pub fn nanoseconds(text: &str) -> Option<u64> {
    const UNITS: &[(&str, u64)] = &[
        ("ns", 1),
        ("us", 1_000),
        ("µs", 1_000),
        ("ms", 1_000_000),
        ("s", 1_000_000_000),
        ("m", 60_000_000_000),
        ("h", 3_600_000_000_000),
    ];
    if text == "0" {
        return Some(0);
    }
    let mut rest = text;
    let mut sum: u64 = 0;
    while !rest.is_empty() {
        let (number, after) = rest.split_at(rest.find(|c: char| !c.is_ascii_digit() && c != '.')?);
        let (unit, after) = after.split_at(after.find(|c: char| c.is_ascii_digit()).unwrap_or(after.len()));
        let (_, unit) = UNITS.iter().find(|(name, _)| *name == unit)?;
        let (whole, part) = number.split_once('.').unwrap_or((number, ""));
        if (whole.is_empty() && part.is_empty()) || part.len() > 9 {
            return None;
        }
        let digits = |text: &str| if text.is_empty() { Some(0) } else { text.parse::<u64>().ok() };
        let part = u128::from(digits(part)?) * u128::from(*unit) / 10u128.pow(part.len() as u32);
        sum = sum.checked_add(digits(whole)?.checked_mul(*unit)?)?.checked_add(u64::try_from(part).ok()?)?;
        rest = after;
    }
    Some(sum).filter(|_| !text.is_empty())
}

/// How the command attends to the container.
pub fn attach(given: &Given, detach: bool) -> Result<Attach> {
    let mut streams = [true, true, given.switch("interactive", false)];
    if given.value("attach").is_some() {
        if detach {
            return Err(Error::new("--attach and --detach exclude each other"));
        }
        let input = streams[2];
        streams = [false; 3];
        for stream in given.values("attach") {
            match stream.to_ascii_lowercase().as_str() {
                "stdout" => streams[0] = true,
                "stderr" => streams[1] = true,
                "stdin" => streams[2] = true,
                _ => {
                    return Err(Error::new(format_args!(
                        "--attach {stream}: it is none of stdin, stdout and stderr"
                    )));
                }
            }
        }
        streams[2] |= input;
    }
    Ok(Attach {
        streams,
        terminal: given.switch("tty", false),
        detach_keys: Keys::read(given.value("detach-keys"))?,
        forwards_signals: given.switch("sig-proxy", true),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_gos() {
        for (text, expected) in [
            ("30s", Some(30_000_000_000)),
            ("1m30s", Some(90_000_000_000)),
            ("1.5s", Some(1_500_000_000)),
            ("100ms", Some(100_000_000)),
            ("0", Some(0)),
            ("1h", Some(3_600_000_000_000)),
            ("", None),
            ("5", None),
            ("s", None),
            ("-1s", None),
            ("1d", None),
            ("99999999999h", None),
        ] {
            assert_eq!(nanoseconds(text), expected, "{text}");
        }
    }
}
