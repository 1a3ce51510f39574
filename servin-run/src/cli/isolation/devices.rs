//! `--device` and `--device-cgroup-rule`: nodes of the host, and the rules that allow them.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;

use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, Stat, major, minor};

use crate::cli::arguments::Given;
use crate::error::{Error, Result, Step};
use crate::gather::Gather as _;
use crate::plan::defaults::Request;
use crate::spec::{Device, DeviceKind, DeviceRule};
use crate::sys::path::{openat, statat};

/// What of /dev is not a device of the host, but a place of its terminals and memory.
const NOT_DEVICES: &[&str] = &["pts", "shm", "mqueue", "fd", "console", "hugepages"];
/// Directories of devices are no deeper.
const DEEPEST: usize = 8;

/// Puts both flags into the request; a privileged container has all devices of the host.
pub fn apply(given: &Given, request: &mut Request) -> Result<()> {
    // Without a first rule nobody here decides about devices.
    let ruled = !request.resources.devices.is_empty();
    if request.privileged {
        // Without privileges there is nothing to gain.
        if request.id_maps.is_none() {
            collect("/dev", "/dev", 0, &mut request.devices)?;
        }
        if ruled {
            request.resources.devices = vec![DeviceRule { allow: true, ..DeviceRule::default() }];
        }
    }
    for text in given.values("device") {
        let (path, inside, access) = parts(text)?;
        let mut found = Vec::new();
        collect(path, inside, 0, &mut found)
            .map_err(|error| error.within(format_args!("--device {text}")))?;
        if found.is_empty() {
            return Err(Error::new(format_args!("--device {text}: {path} is not a device")));
        }
        for device in found {
            if ruled {
                request.resources.devices.push(rule(&device, access));
            }
            request.devices.retain(|own| own.path != device.path);
            request.devices.push(device);
        }
    }
    for text in given.values("device-cgroup-rule") {
        let parsed = parse_rule(text);
        let parsed = parsed.ok_or_else(|| {
            Error::new(format_args!("--device-cgroup-rule {text}: it takes a rule such as 'c 10:* rwm'"))
        })?;
        if ruled {
            request.resources.devices.push(parsed);
        }
    }
    Ok(())
}

/// `HOST[:CONTAINER][:rwm]`.
fn parts(text: &str) -> Result<(&str, &str, &str)> {
    let is_access = |word: &str| !word.is_empty() && word.bytes().all(|byte| b"rwm".contains(&byte));
    let parts: Vec<&str> = text.split(':').gather();
    let (path, inside, access) = match parts.as_slice() {
        [path] => (*path, *path, "rwm"),
        [path, access] if is_access(access) => (*path, *path, *access),
        [path, inside] => (*path, *inside, "rwm"),
        [path, inside, access] if is_access(access) => (*path, *inside, *access),
        _ => ("", "", ""),
    };
    match path.starts_with('/') && inside.starts_with('/') {
        true => Ok((path, inside, access)),
        false => {
            Err(Error::new(format_args!("--device {text}: it takes DEVICE[:PATH][:rwm], such as /dev/fuse")))
        }
    }
}

/// The device at `path`, or all devices of that directory.
fn collect(path: &str, inside: &str, depth: usize, devices: &mut Vec<Device>) -> Result<()> {
    let step = || format!("look at {path}");
    let stat = statat(CWD, path, AtFlags::empty()).step(step)?;
    let kind = match FileType::from_raw_mode(stat.st_mode) {
        FileType::CharacterDevice => DeviceKind::Character,
        FileType::BlockDevice => DeviceKind::Block,
        FileType::Directory if depth < DEEPEST => {
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
            let directory = openat(CWD, path, flags, Mode::empty()).step(step)?;
            for entry in Dir::read_from(&directory).step(step)? {
                let entry = entry.step(step)?;
                let Ok(name) = entry.file_name().to_str() else { continue };
                let skipped = depth == 0 && path == "/dev" && NOT_DEVICES.contains(&name);
                let link = entry.file_type() == FileType::Symlink;
                if skipped || link || matches!(name, "." | "..") {
                    continue;
                }
                // It may have been unplugged since.
                let _ = collect(&format!("{path}/{name}"), &format!("{inside}/{name}"), depth + 1, devices);
            }
            return Ok(());
        }
        _ => return Ok(()),
    };
    devices.push(node(inside, kind, &stat));
    Ok(())
}

fn node(path: &str, kind: DeviceKind, stat: &Stat) -> Device {
    Device {
        path: path.into(),
        kind,
        major: Some(major(stat.st_rdev).into()),
        minor: Some(minor(stat.st_rdev).into()),
        file_mode: Some(stat.st_mode & 0o777),
        uid: Some(stat.st_uid),
        gid: Some(stat.st_gid),
    }
}

fn rule(device: &Device, access: &str) -> DeviceRule {
    DeviceRule {
        allow: true,
        kind: Some(device.kind.as_str().to_string()),
        major: device.major,
        minor: device.minor,
        access: Some(access.into()),
    }
}

/// `TYPE MAJOR:MINOR ACCESS`, with `*` for all numbers.
fn parse_rule(text: &str) -> Option<DeviceRule> {
    let mut words = text.split(' ');
    let (kind, numbers, access) = (words.next()?, words.next()?, words.next()?);
    let (major, minor) = numbers.split_once(':')?;
    let number = |text: &str| match text {
        "*" => Some(None),
        digits if !digits.starts_with('+') => {
            digits.parse::<u32>().ok().map(|number| Some(i64::from(number)))
        }
        _ => None,
    };
    let valid = words.next().is_none()
        && matches!(kind, "a" | "b" | "c")
        && !access.is_empty()
        && access.bytes().all(|byte| b"rwm".contains(&byte));
    valid.then_some(DeviceRule {
        allow: true,
        kind: Some(String::from(kind)),
        major: number(major)?,
        minor: number(minor)?,
        access: Some(access.into()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_has_a_path_and_an_access() {
        assert_eq!(parts("/dev/fuse").ok(), Some(("/dev/fuse", "/dev/fuse", "rwm")));
        assert_eq!(parts("/dev/fuse:r").ok(), Some(("/dev/fuse", "/dev/fuse", "r")));
        assert_eq!(parts("/dev/fuse:/dev/x").ok(), Some(("/dev/fuse", "/dev/x", "rwm")));
        assert_eq!(parts("/dev/fuse:/dev/x:rw").ok(), Some(("/dev/fuse", "/dev/x", "rw")));
        for bad in
            ["", "fuse", "/dev/fuse:x", "/dev/fuse:/x:", "/dev/fuse:/x:rq", "/a:/b:r:w", "vendor.com/gpu=0"]
        {
            assert!(parts(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_rules_are_dockers() {
        let rule = parse_rule("c 10:* rwm").expect("a rule");
        assert_eq!((rule.kind.as_deref(), rule.major, rule.minor), (Some("c"), Some(10), None));
        for bad in ["", "c", "c 1:3", "c 1 rwm", "x 1:3 r", "c 1:3 q", "c +1:3 r", "c 1:3 r more", "c -1:3 r"]
        {
            assert!(parse_rule(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn a_device_of_the_host_is_found_by_its_numbers() {
        let mut found = Vec::new();
        collect("/dev/null", "/dev/nothing", 0, &mut found).expect("found");
        let [device] = found.as_slice() else { panic!("{found:?}") };
        assert_eq!((device.path.as_str(), device.major, device.minor), ("/dev/nothing", Some(1), Some(3)));
        collect("/etc/hostname", "/x", 0, &mut found).expect("looked at");
        assert_eq!(found.len(), 1);
    }
}
