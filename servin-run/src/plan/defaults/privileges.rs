//! What a container may do: capabilities, system calls, and what it sees of the host's kernel.

use alloc::boxed::Box;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::tables::{CAPABILITIES, MASKED, READ_ONLY};
use crate::error::{Error, Result};
use crate::gather::Gather as _;
use crate::plan::capabilities::CapabilitySet;
use crate::spec;

/// Which system calls a container's processes may make.
#[derive(Debug, Clone, Default)]
pub enum Filtering {
    /// What the container tools allow by default; everything where the container is privileged.
    #[default]
    Default,
    /// All.
    Unconfined,
    /// As a profile says.
    Profile(Box<spec::Seccomp>),
}

/// What is hidden of /proc and /sys, beside the default.
#[derive(Debug, Clone, Default)]
pub struct Hidden {
    /// Nothing at all.
    pub nothing: bool,
    /// These paths too.
    pub mask: Vec<String>,
    /// These not, nor are they read-only.
    pub unmask: Vec<String>,
}

impl Hidden {
    /// The paths that are masked, and those that are read-only.
    pub fn paths(&self) -> [Vec<String>; 2] {
        let kept = |paths: &[&str]| -> Vec<String> {
            let kept =
                paths.iter().filter(|path| !self.nothing && !self.unmask.iter().any(|own| own == *path));
            kept.map(ToString::to_string).gather()
        };
        let mut masked = kept(MASKED);
        masked.extend(self.mask.iter().cloned());
        [masked, kept(READ_ONLY)]
    }
}

/// Docker's set, changed by names with or without `CAP_`, in any case, or `ALL`.
pub fn capabilities(add: &[String], drop: &[String]) -> Result<CapabilitySet> {
    let all = |names: &[String]| names.iter().any(|name| name.eq_ignore_ascii_case("ALL"));
    let set = |flag: &str, names: &[String]| {
        names.iter().filter(|name| !name.eq_ignore_ascii_case("ALL")).try_fold(
            CapabilitySet(0),
            |mut set, name| {
                let upper = name.to_ascii_uppercase();
                let bare = upper.strip_prefix("CAP_").unwrap_or(&upper);
                set |= CapabilitySet::by_name(bare)
                    .ok_or_else(|| Error::new(format_args!("{flag} {name}: there is no such capability")))?;
                Ok::<_, Error>(set)
            },
        )
    };
    let (added, dropped) = (set("--cap-add", add)?, set("--cap-drop", drop)?);
    let default =
        CAPABILITIES.iter().filter_map(|name| CapabilitySet::by_name(name)).fold(0, |all, one| all | one.0);
    Ok(match (all(add), all(drop)) {
        (true, _) => CapabilitySet(CapabilitySet::ALL.0 & !dropped.0),
        (false, true) => added,
        (false, false) => CapabilitySet((default | added.0) & !dropped.0),
    })
}
