//! The files of a person's container as it sees them, whether it runs or not: its layer over those of its image, in a
//! mount of one's own that nobody can write to and that is attached nowhere.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use rustix::fd::OwnedFd;
use rustix::fs::CWD;
use rustix::io::Errno;

use crate::error::{Result, Step};
use crate::image::copy::{DIRECTORY, open_at};
use crate::launch::mount::new_file_system;
use crate::plan::mounts::Attributes;
use crate::spec::Config;

/// The overlay that a configuration begins with, if it does.
struct Overlay<'c>(&'c [String]);

impl<'c> Overlay<'c> {
    fn of(config: &'c Config) -> Option<Overlay<'c>> {
        let first = config.mounts.first()?;
        let is_root = first.destination == "/" && first.kind.as_deref() == Some("overlay");
        is_root.then_some(Overlay(&first.options))
    }

    fn value(&self, key: &str) -> Option<&'c str> {
        self.0.iter().find_map(|option| option.strip_prefix(key)?.strip_prefix('='))
    }
}

/// The directory that holds what the container has changed; none where it has changed its root itself.
pub fn upper(config: &Config) -> Option<&str> {
    Overlay::of(config)?.value("upperdir")
}

/// All files of the container.
pub fn open(config: &Config) -> Result<OwnedFd> {
    let Some(overlay) = Overlay::of(config) else {
        let path = config.root.as_ref().map_or("", |root| root.path.as_str());
        return open_at(CWD, path, DIRECTORY).step(|| format!("open {path}"));
    };
    let (upper, lower) = (overlay.value("upperdir").unwrap_or_default(), overlay.value("lowerdir"));
    let upper = upper.replace('\\', "\\\\").replace(':', "\\:");
    let mut parameters = Vec::from([format!("lowerdir={upper}:{}", lower.unwrap_or_default())]);
    parameters.extend(overlay.0.iter().filter(|option| *option == "userxattr").cloned());
    new_file_system("overlay", "overlay", &parameters, Attributes::default()).map_err(|error| {
        let error = error.within("look at the container's files");
        match error.errno() {
            Some(Errno::PERM) => error.hint("this takes root's privileges"),
            Some(Errno::NOSYS) => error.hint("this needs Linux 5.2, and 6.5 for images of many layers"),
            _ => error,
        }
    })
}
