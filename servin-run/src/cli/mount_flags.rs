//! `--volume`, `--mount`, `--tmpfs`, `--volumes-from`: what a container wants mounted, from Docker's words. Pure, but for
//! the working directory that a relative source starts at.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::arguments::{Given, Group, flag};
use super::oci::absolute_or_new;
use super::size;
use crate::container::volume::{Kind, MountPoint, Wanted, validate_name};
use crate::error::{Error, Result};
use crate::gather::Gather as _;
use crate::plan::mounts::{clean, option_words, propagation};

/// The flags.
pub const MOUNTS: Group = Group(
    "Files",
    &[
        flag("volume", Some('v'), Some("[SRC:]DST[:OPTIONS]"), "mount a directory of the host, or a volume"),
        flag("mount", None, Some("type=TYPE,…"), "the same, in words: type, source, target, readonly, …"),
        flag("tmpfs", None, Some("DST[:OPTIONS]"), "mount an empty file system in memory"),
        flag("volumes-from", None, Some("CONTAINER[:ro]"), "mount what another container has"),
    ],
);

/// What all flags ask for, and the directories that the image declares as volumes; `points_of` finds the mounts of a
/// container.
pub fn read(
    given: &Given,
    image_volumes: &[String],
    points_of: &dyn Fn(&str) -> Result<Vec<MountPoint>>,
) -> Result<Vec<Wanted>> {
    let mut wanted = Vec::new();
    for text in given.values("volume") {
        wanted.push(volume(text)?);
    }
    for text in given.values("mount") {
        wanted.push(mount(text)?);
    }
    for text in given.values("tmpfs") {
        wanted.push(tmpfs(text)?);
    }
    // What was asked for goes before what others have, and that before what the image wants.
    for text in given.values("volumes-from") {
        let (name, mode) = text.split_once(':').unwrap_or((text, ""));
        let refuse = |error: Error| error.within(format_args!("--volumes-from {text}"));
        for point in points_of(name).map_err(refuse)? {
            let mut other = of_point(&point, &format!("--volumes-from {text}"));
            other.add_words(mode)?;
            add(&mut wanted, other.finish()?);
        }
    }
    for destination in image_volumes {
        let flag = format!("the image's volume {destination}");
        let mut anonymous = new(&flag, Kind::Anonymous, destination);
        anonymous.copy = true;
        anonymous.options.push("rprivate".into());
        check_destination(&anonymous)?;
        add(&mut wanted, anonymous);
    }
    Ok(wanted)
}

fn add(wanted: &mut Vec<Wanted>, one: Wanted) {
    if !wanted.iter().any(|own| clean(&own.destination) == clean(&one.destination)) {
        wanted.push(one);
    }
}

fn new(flag: &str, kind: Kind, destination: &str) -> Wanted {
    Wanted {
        flag: flag.into(),
        copy: matches!(kind, Kind::Volume(_) | Kind::Anonymous),
        kind,
        destination: destination.into(),
        options: Vec::new(),
        alone: false,
        give: false,
        labels: Vec::new(),
        volume_options: Vec::new(),
        subpath: None,
    }
}

fn check_destination(wanted: &Wanted) -> Result<()> {
    match wanted.destination.starts_with('/') && clean(&wanted.destination) != "/" {
        true => Ok(()),
        false => Err(wanted.refuse("the destination must be an absolute path, and not /")),
    }
}

impl Wanted {
    fn refuse(&self, why: &str) -> Error {
        Error::new(format_args!("{}: {why}", self.flag))
    }

    /// Takes a list of options, as `-v` has them.
    fn add_words(&mut self, words: &str) -> Result<()> {
        for word in words.split(',').filter(|word| !word.is_empty()) {
            match word {
                // Docker Desktop's, and podman's for what is so anyway.
                "consistent" | "cached" | "delegated" | "copy" => {}
                "nocopy" if matches!(self.kind, Kind::Volume(_) | Kind::Anonymous) => self.copy = false,
                "U" => self.give = true,
                "z" | "Z" => relabel(self)?,
                "bind" => self.alone = true,
                "rbind" => self.alone = false,
                _ if option_words().any(|known| known == word) => self.options.push(word.into()),
                _ => return Err(self.refuse(&format!("there is no option {word}"))),
            }
        }
        Ok(())
    }

    /// Mounts spread neither way, unless it was asked for.
    fn finish(mut self) -> Result<Wanted> {
        check_destination(&self)?;
        if self.kind != Kind::Tmpfs && !self.options.iter().any(|word| propagation(word).is_some()) {
            self.options.insert(0, if self.alone { "private" } else { "rprivate" }.into());
        }
        Ok(self)
    }
}

/// Without SELinux there is nothing to relabel.
fn relabel(wanted: &Wanted) -> Result<()> {
    match crate::sys::path::stat("/sys/fs/selinux/enforce") {
        Err(_) => Ok(()),
        Ok(_) => Err(wanted.refuse("files are not relabelled here: `chcon -Rt container_file_t` does it")),
    }
}

/// `[SOURCE:]DESTINATION[:OPTIONS]`.
fn volume(text: &str) -> Result<Wanted> {
    let flag = format!("--volume {text}");
    let parts: Vec<&str> = text.splitn(3, ':').gather();
    let (source, destination, words) = match parts.as_slice() {
        [destination] => ("", *destination, ""),
        [source, destination] => (*source, *destination, ""),
        [source, destination, words] if !words.is_empty() => (*source, *destination, *words),
        _ => return Err(Error::new(format_args!("{flag}: it takes SOURCE:DESTINATION[:OPTIONS]"))),
    };
    let kind = match source.bytes().next() {
        None if parts.len() == 1 => Kind::Anonymous,
        Some(b'/') => Kind::Bind(source.into()),
        Some(b'.') => Kind::Bind(absolute_or_new(source)?),
        _ => {
            validate_name(source)
                .map_err(|error| error.within(&flag).hint("a directory's path begins with / or ./"))?;
            Kind::Volume(source.into())
        }
    };
    let mut wanted = new(&flag, kind, destination);
    wanted.add_words(words)?;
    wanted.finish()
}

/// `DESTINATION[:OPTIONS]`, with Docker's defaults.
fn tmpfs(text: &str) -> Result<Wanted> {
    let (destination, words) = text.split_once(':').unwrap_or((text, ""));
    let mut wanted = new(&format!("--tmpfs {text}"), Kind::Tmpfs, destination);
    wanted.options.extend(["nosuid", "nodev", "noexec"].map(String::from));
    // Any word may be the file system's.
    wanted.options.extend(words.split(',').filter(|word| !word.is_empty()).map(ToString::to_string));
    wanted.finish()
}

/// `type=volume,source=NAME,target=PATH,…`.
fn mount(text: &str) -> Result<Wanted> {
    let flag = format!("--mount {text}");
    let pairs: Vec<(&str, Option<&str>)> = text
        .split(',')
        .map(|part| part.split_once('=').map_or((part, None), |(key, value)| (key, Some(value))))
        .gather();
    let value =
        |keys: &[&str]| pairs.iter().rev().find(|(key, _)| keys.contains(key)).and_then(|(_, value)| *value);
    let source = value(&["source", "src"]).unwrap_or_default();
    let kind = match value(&["type"]).unwrap_or("volume") {
        "bind" if source.is_empty() => return Err(Error::new(format_args!("{flag}: source=… is missing"))),
        "bind" => Kind::Bind(absolute_or_new(source)?),
        "volume" if source.is_empty() => Kind::Anonymous,
        "volume" => {
            validate_name(source).map_err(|error| error.within(&flag))?;
            Kind::Volume(source.into())
        }
        "tmpfs" => Kind::Tmpfs,
        "image" => {
            return Err(Error::new(format_args!("{flag}: an image is not mounted into a container"))
                .hint("`servin exec --with IMAGE` has its programs at hand"));
        }
        other => {
            return Err(Error::new(format_args!("{flag}: there is no type {other}: bind, volume or tmpfs")));
        }
    };
    let Some(destination) = value(&["target", "dst", "destination"]) else {
        return Err(Error::new(format_args!("{flag}: target=… is missing")));
    };
    let mut wanted = new(&flag, kind, destination);
    if wanted.kind == Kind::Tmpfs {
        wanted.options.extend(["nosuid", "nodev", "noexec"].map(String::from));
    }
    let mut recursive = "enabled";
    for (key, value) in &pairs {
        let on = match value {
            None | Some("true" | "1") => true,
            Some("false" | "0") => false,
            _ => true,
        };
        let text = value.unwrap_or_default();
        let bind = matches!(wanted.kind, Kind::Bind(_));
        let tmpfs = wanted.kind == Kind::Tmpfs;
        match *key {
            "type" | "source" | "src" | "target" | "dst" | "destination" | "consistency" => {}
            "readonly" | "ro" if on => wanted.options.push("ro".into()),
            "readonly" | "ro" => wanted.options.push("rw".into()),
            "rw" => wanted.options.push(if on { "rw" } else { "ro" }.into()),
            "bind-propagation" if bind => match propagation(text) {
                Some(_) => wanted.options.push(text.into()),
                None => return Err(wanted.refuse(&format!("{text} is no propagation: rprivate, rslave, …"))),
            },
            "bind-nonrecursive" if bind => wanted.alone = on,
            "bind-recursive" if bind => recursive = value.unwrap_or("enabled"),
            "bind-create-src" | "bind-selinux" if bind => {
                return Err(
                    wanted.refuse(&format!("{key} is not supported: the source is there before, as it is"))
                );
            }
            "relabel" | "z" | "Z" if !tmpfs => relabel(&wanted)?,
            "U" | "chown" if !tmpfs => wanted.give = on,
            "volume-nocopy" | "nocopy" if !bind && !tmpfs => wanted.copy = !on,
            "volume-subpath" | "subpath" if matches!(wanted.kind, Kind::Volume(_)) => {
                if text.split('/').all(|part| matches!(part, "" | "."))
                    || text.split('/').any(|part| part == "..")
                {
                    return Err(wanted.refuse(&format!("{key} is a path inside the volume")));
                }
                wanted.subpath = Some(text.into());
                wanted.copy = false;
            }
            "volume-driver" if !bind && !tmpfs && text == "local" => {}
            "volume-label" | "volume-opt" if !bind && !tmpfs => {
                let (name, value) = text.split_once('=').unwrap_or((text, ""));
                let list =
                    if *key == "volume-label" { &mut wanted.labels } else { &mut wanted.volume_options };
                list.push((name.to_string(), value.to_string()));
            }
            "tmpfs-size" | "size" if tmpfs => {
                let bytes = size::parse("mount tmpfs-size", text)?;
                wanted.options.push(format!("size={bytes}"));
            }
            "tmpfs-mode" | "mode" if tmpfs => {
                if u32::from_str_radix(text, 8).is_err() {
                    return Err(wanted.refuse("tmpfs-mode is an octal number such as 1777"));
                }
                wanted.options.push(format!("mode={text}"));
            }
            "tmpfs-options" if tmpfs => {
                wanted
                    .options
                    .extend(text.split(',').filter(|word| !word.is_empty()).map(ToString::to_string));
            }
            word if value.is_none() && option_words().any(|known| known == word) => {
                wanted.options.push(word.into())
            }
            other => {
                let what = match wanted.kind {
                    Kind::Bind(_) => "bind",
                    Kind::Tmpfs => "tmpfs",
                    _ => "volume",
                };
                return Err(wanted.refuse(&format!("a mount of type {what} has no option {other}")));
            }
        }
    }
    let read_only = wanted.options.iter().any(|word| word == "ro");
    match recursive {
        "enabled" | "writable" => {}
        "disabled" => wanted.alone = true,
        "readonly" if read_only => wanted.options.push("rro".into()),
        _ => {
            return Err(
                wanted.refuse("bind-recursive is enabled, disabled, writable, or, with readonly, readonly")
            );
        }
    }
    wanted.finish()
}

/// The same mount again, in another container.
fn of_point(point: &MountPoint, flag: &str) -> Wanted {
    let kind = match (&point.name, &point.source) {
        (Some(name), _) => Kind::Volume(name.clone()),
        (None, Some(source)) => Kind::Bind(source.clone()),
        (None, None) => Kind::Tmpfs,
    };
    let mut wanted = new(flag, kind, &point.destination);
    wanted.copy = false;
    wanted.options = point.mode.split(',').filter(|word| !word.is_empty()).map(ToString::to_string).gather();
    wanted
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(wanted: Result<Wanted>) -> Vec<String> {
        wanted.expect("a mount").options
    }

    #[test]
    fn a_volume_is_a_directory_of_the_host_or_a_name_or_nothing() {
        assert_eq!(volume("/a:/b").expect("a mount").kind, Kind::Bind("/a".into()));
        assert_eq!(volume("data:/b").expect("a mount").kind, Kind::Volume("data".into()));
        assert_eq!(volume("/b").expect("a mount").kind, Kind::Anonymous);
        assert_eq!(options(volume("/a:/b:ro")), ["rprivate", "ro"]);
        assert_eq!(options(volume("/a:/b:rslave,rro")), ["rslave", "rro"]);
        assert_eq!(options(volume("/a:/b:z,U,cached")), ["rprivate"]);
        let given = volume("data:/b:nocopy,U,noexec").expect("a mount");
        assert!(!given.copy && given.give);
        for bad in [
            "",
            "a:/b",
            "/a:b",
            "/a:/",
            "/a:/b:fast",
            "/a:/b:",
            "/a:/..",
            ":/b",
            "/a:/b:nocopy",
            "b",
            "-x:/b",
        ] {
            assert!(volume(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_tmpfs_has_dockers_defaults_and_takes_words_of_its_own() {
        assert_eq!(options(tmpfs("/t:size=1m,exec")), ["nosuid", "nodev", "noexec", "size=1m", "exec"]);
        assert!(tmpfs("t").is_err() && tmpfs("/").is_err());
    }

    #[test]
    fn a_mount_in_words_says_the_same() {
        let bind = mount("type=bind,source=/a,target=/b,readonly,bind-propagation=rslave").expect("a mount");
        assert_eq!(
            (bind.kind.clone(), bind.options),
            (Kind::Bind("/a".into()), ["ro", "rslave"].map(String::from).to_vec())
        );
        assert_eq!(options(mount("type=bind,src=/a,dst=/b,ro=false")), ["rprivate", "rw"]);
        assert_eq!(
            options(mount("type=bind,src=/a,dst=/b,ro,bind-recursive=readonly")),
            ["rprivate", "ro", "rro"]
        );
        assert!(mount("type=bind,src=/a,dst=/b,bind-nonrecursive").expect("a mount").alone);
        let named = mount("source=data,target=/b,volume-nocopy,volume-label=a=b,volume-opt=device=/x")
            .expect("a mount");
        assert_eq!((named.kind.clone(), named.copy), (Kind::Volume("data".into()), false));
        assert_eq!(named.labels, [("a".to_string(), "b".to_string())]);
        assert_eq!(named.volume_options, [("device".to_string(), "/x".to_string())]);
        assert_eq!(mount("target=/b").expect("a mount").kind, Kind::Anonymous);
        let memory = options(mount("type=tmpfs,target=/t,tmpfs-size=1k,tmpfs-mode=1777"));
        assert_eq!(memory, ["nosuid", "nodev", "noexec", "size=1024", "mode=1777"]);
        for bad in [
            "",
            "type=bind,target=/b",
            "type=bind,source=/a",
            "type=npipe,target=/b",
            "type=bind,source=/a,target=/b,volume-nocopy",
            "type=volume,target=/b,tmpfs-size=1k",
            "type=bind,source=/a,target=/b,bind-propagation=fast",
            "type=bind,source=/a,target=/b,bind-recursive=readonly",
            "type=bind,source=/a,target=/b,fast",
            "type=tmpfs,target=/b,tmpfs-mode=9",
        ] {
            assert!(mount(bad).is_err(), "{bad}");
        }
    }
}
