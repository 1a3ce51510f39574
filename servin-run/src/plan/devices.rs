//! Device nodes and the links of /dev.

use alloc::string::String;
use alloc::vec::Vec;

use rustix::fs::{FileType, makedev};

use super::mounts::{Mount, Source, clean};
use crate::error::{Error, Result};
use crate::gather::Gather as _;
use crate::spec::{self, DeviceKind};

/// A device node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// Where, as seen from inside the container.
    pub path: String,
    /// Character, block, or fifo.
    pub kind: FileType,
    /// Major and minor number in one.
    pub number: u64,
    /// Permission bits.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
}

/// The devices that every container has (config-linux.md, "Default devices"): name, major, minor.
const DEFAULTS: &[(&str, u32, u32)] = &[
    ("/dev/null", 1, 3),
    ("/dev/zero", 1, 5),
    ("/dev/full", 1, 7),
    ("/dev/random", 1, 8),
    ("/dev/urandom", 1, 9),
    ("/dev/tty", 5, 0),
];

/// The links that every container has: path and target.
pub const LINKS: &[(&str, &str)] = &[
    ("/dev/ptmx", "pts/ptmx"),
    ("/dev/fd", "/proc/self/fd"),
    ("/dev/stdin", "/proc/self/fd/0"),
    ("/dev/stdout", "/proc/self/fd/1"),
    ("/dev/stderr", "/proc/self/fd/2"),
];

/// The link to the kernel's memory, where the host has that file.
pub const CORE_LINK: (&str, &str) = ("/dev/core", "/proc/kcore");

/// Whether /dev is the host's own, mounted into the container: then nothing is made there.
pub fn dev_is_bound(mounts: &[Mount]) -> bool {
    mounts.iter().any(|m| m.destination == "/dev" && matches!(m.source, Source::Bind { .. }))
}

/// The default devices and those of `linux.devices`, which replace a default of the same path.
pub fn plan(devices: &[spec::Device]) -> Result<Vec<Device>> {
    let mut planned: Vec<Device> = DEFAULTS
        .iter()
        .map(|(path, major, minor)| Device {
            path: (*path).into(),
            kind: FileType::CharacterDevice,
            number: makedev(*major, *minor),
            mode: 0o666,
            uid: 0,
            gid: 0,
        })
        .gather();
    for (index, device) in devices.iter().enumerate() {
        let device = one(index, device)?;
        match planned.iter_mut().find(|p| p.path == device.path) {
            Some(same) => *same = device,
            None => planned.push(device),
        }
    }
    Ok(planned)
}

fn one(index: usize, device: &spec::Device) -> Result<Device> {
    let field = |name: &str| alloc::format!("linux.devices[{index}].{name}");
    let kind = match device.kind {
        DeviceKind::Character | DeviceKind::Unbuffered => FileType::CharacterDevice,
        DeviceKind::Block => FileType::BlockDevice,
        DeviceKind::Fifo => FileType::Fifo,
    };
    let number = |name: &str, value: Option<i64>| match value {
        Some(value) => u32::try_from(value)
            .map_err(|_| Error::new(format_args!("{}: {value} is not a device number", field(name)))),
        None if kind == FileType::Fifo => Ok(0),
        None => Err(Error::new(format_args!("{} is missing", field(name)))),
    };
    if !device.path.starts_with('/') || clean(&device.path) == "/" {
        return Err(Error::new(format_args!(
            "{}: \"{}\" is not the absolute path of a file",
            field("path"),
            device.path
        )));
    }
    // Go's os.FileMode puts the type above the permission bits; some engines leave it in.
    let mode = device.file_mode.unwrap_or(0o666) & 0o7777;
    Ok(Device {
        path: clean(&device.path),
        kind,
        number: makedev(number("major", device.major)?, number("minor", device.minor)?),
        mode,
        uid: device.uid.unwrap_or(0),
        gid: device.gid.unwrap_or(0),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn device(path: &str, kind: DeviceKind, major: Option<i64>) -> spec::Device {
        spec::Device { path: path.into(), kind, major, minor: Some(9), ..spec::Device::default() }
    }

    #[test]
    fn a_configured_device_replaces_the_default_of_its_path() {
        let devices = [
            device("/dev//null", DeviceKind::Character, Some(4)),
            device("/dev/x", DeviceKind::Block, Some(8)),
        ];
        let planned = plan(&devices).expect("planned");
        assert_eq!(planned.len(), DEFAULTS.len() + 1);
        assert_eq!(planned[0].number, makedev(4, 9));
        assert_eq!(planned.last().map(|d| d.kind), Some(FileType::BlockDevice));
    }

    #[test]
    fn bad_devices_are_refused_by_field() {
        let refused = |d: spec::Device| plan(&[d]).expect_err("refused").to_string();
        assert!(refused(device("dev/x", DeviceKind::Block, Some(1))).starts_with("linux.devices[0].path: "));
        assert!(
            refused(device("/dev/x", DeviceKind::Block, None))
                .starts_with("linux.devices[0].major is missing")
        );
        assert!(
            refused(device("/dev/x", DeviceKind::Block, Some(-1))).starts_with("linux.devices[0].major: ")
        );
    }
}
