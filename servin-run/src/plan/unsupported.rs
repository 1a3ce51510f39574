//! Fields that this version does not honour yet. They are refused by name: a container that silently lacks a
//! limit or a filter that was asked for would be worse than none.

use crate::error::{Error, Result};
use crate::spec;

/// Refuses the first such field.
pub fn refuse(config: &spec::Config) -> Result<()> {
    let linux = config.linux.as_ref();
    #[rustfmt::skip]
    let fields = [
        ("linux.netDevices", linux.is_some_and(|l| !l.net_devices.is_empty())),
    ];
    match fields.iter().find(|(_, given)| *given) {
        Some((field, _)) => Err(Error::new(format_args!("{field}: not supported by this version of Servin"))),
        None => Ok(()),
    }
}
