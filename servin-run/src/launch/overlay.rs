//! overlayfs over many layers, whose paths may be long. fsconfig(2) takes strings of up to 255 bytes, and the old
//! mount(2) a page for all options together ([overlayfs.rst, "Multiple lower layers"][layers]).
//!
//! [layers]: https://docs.kernel.org/filesystems/overlayfs.html#multiple-lower-layers

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use rustix::fd::OwnedFd;
use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::Errno;
use rustix::mount::{fsconfig_set_flag, fsconfig_set_string};

use super::mount::explain;
use crate::error::{Error, Result, Step};
use crate::fs::descriptors::path_of;
use crate::gather::Gather as _;
use crate::sys::path::openat;

/// The longest string that fsconfig(2) takes.
const LONGEST: usize = 255;
/// What mount(2) takes, with some room for the other options.
const PAGE: usize = 3900;

const LOWER: &str = "lowerdir=";

/// Layers separated by colons, of which those with a backslash before them belong to a path.
pub fn split(layers: &str) -> Vec<String> {
    let (mut found, mut path, mut escaped) = (Vec::new(), String::new(), false);
    for character in layers.chars() {
        match character {
            _ if escaped => {
                path.push(character);
                escaped = false;
            }
            '\\' => escaped = true,
            ':' => found.push(core::mem::take(&mut path)),
            _ => path.push(character),
        }
    }
    found.push(path);
    found
}

/// The path of an open descriptor in place of a long path.
fn shorten(path: &str, open: &mut Vec<OwnedFd>) -> Result<String> {
    let directory = openat(CWD, path, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
        .step(|| format!("open the layer {path}"))?;
    let short = path_of(&directory);
    open.push(directory);
    Ok(short)
}

/// Gives an overlay's parameters to its context. What is returned has to stay open until the file system is created.
/// ENOSYS from kernels that take so many layers by the old call alone (before Linux 6.5).
pub fn configure(context: &OwnedFd, parameters: &[String]) -> Result<Vec<OwnedFd>> {
    let mut open = Vec::new();
    for parameter in parameters {
        let failed = |errno| explain(context, &format!("option {parameter}"), errno);
        let Some((key, value)) = parameter.split_once('=') else {
            fsconfig_set_flag(context, parameter.as_str()).map_err(failed)?;
            continue;
        };
        if value.len() <= LONGEST {
            fsconfig_set_string(context, key, value).map_err(failed)?;
            continue;
        }
        if key != "lowerdir" {
            let short = shorten(value, &mut open)?;
            fsconfig_set_string(context, key, short.as_str()).map_err(failed)?;
            continue;
        }
        for (index, layer) in split(value).iter().enumerate() {
            let path = if layer.len() > LONGEST { shorten(layer, &mut open)? } else { layer.to_string() };
            match fsconfig_set_string(context, "lowerdir+", path.as_str()) {
                Err(Errno::INVAL) if index == 0 => {
                    return Err(Error::os("set layers one by one", Errno::NOSYS));
                }
                set => set.map_err(|errno| explain(context, &format!("the layer {layer}"), errno))?,
            }
        }
    }
    Ok(open)
}

/// Parameters that fit a page; with them what has to stay open until the mount.
pub fn for_old_mount(parameters: &[String]) -> Result<(Vec<String>, Vec<OwnedFd>)> {
    let mut open = Vec::new();
    let length: usize = parameters.iter().map(|parameter| parameter.len() + 1).sum();
    if length <= PAGE {
        return Ok((parameters.to_vec(), open));
    }
    let mut shortened = Vec::new();
    for parameter in parameters {
        shortened.push(match (parameter.strip_prefix(LOWER), parameter.split_once('=')) {
            (Some(layers), _) => {
                let layers = split(layers);
                let layers: Result<Vec<String>> =
                    layers.iter().map(|layer| shorten(layer, &mut open)).gather();
                format!("{LOWER}{}", layers?.join(":"))
            }
            (None, Some((key @ ("upperdir" | "workdir"), path))) => {
                format!("{key}={}", shorten(path, &mut open)?)
            }
            _ => parameter.clone(),
        });
    }
    Ok((shortened, open))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colons_of_a_path_do_not_end_it() {
        assert_eq!(split("/a:/b\\:c:/d\\\\"), ["/a", "/b:c", "/d\\"]);
    }

    #[test]
    fn layers_that_do_not_fit_a_page_are_named_by_descriptors() {
        let few = [format!("{LOWER}/:/tmp"), "upperdir=/u".to_string()];
        assert_eq!(for_old_mount(&few).expect("parameters").0, few);
        let many = [format!("{LOWER}{}/", "/./././././././././././././././././././././././tmp:".repeat(100))];
        let (short, open) = for_old_mount(&many).expect("parameters");
        assert_eq!(open.len(), 101);
        assert!(short[0].starts_with("lowerdir=/proc/self/fd/") && short[0].len() < PAGE);
    }
}
