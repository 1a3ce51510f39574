//! Volumes made, filled, found and removed.

use super::*;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::PathBuf;

/// A home that is removed with the value.
struct Home(PathBuf);

impl Home {
    fn new(name: &str) -> (Home, Volumes) {
        let path = std::env::temp_dir().join(format!("servin-volume-{}-{name}", std::process::id()));
        let home = path.join("home").to_str().expect("UTF-8").to_string();
        let volumes = Volumes::open(&home).expect("volumes");
        (Home(path), volumes)
    }

    fn path(&self) -> String {
        self.0.join("home").to_str().expect("UTF-8").into()
    }

    fn image(&self) -> Result<OwnedFd> {
        let image = self.0.join("image");
        fs::create_dir_all(image.join("data/deep")).expect("make");
        open_at(CWD, image.to_str().expect("UTF-8"), DIRECTORY).step(|| "open the image")
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).expect("remove");
    }
}

fn wanted(kind: Kind, destination: &str) -> Wanted {
    Wanted {
        flag: "--volume".into(),
        kind,
        destination: destination.into(),
        options: Vec::new(),
        alone: false,
        copy: true,
        give: false,
        labels: Vec::new(),
        volume_options: Vec::new(),
        subpath: None,
    }
}

#[test]
fn a_volume_is_made_once_and_gone_when_removed() {
    let (home, volumes) = Home::new("made");
    let labels = [("a".to_string(), "b".to_string())];
    let (volume, new) = volumes.create("one", &labels, &[], false).expect("made");
    assert!(new && !volumes.create("one", &[], &[], false).expect("found").1);
    assert_eq!(volumes.all().expect("listed"), core::slice::from_ref(&volume));
    assert_eq!(fs::metadata(&volume.mountpoint).expect("stat").permissions().mode() & 0o7777, 0o755);
    // What a killed command has left is no volume, and is gone with the next look.
    fs::create_dir_all(home.0.join("home/volumes/half/data")).expect("make");
    assert_eq!(volumes.all().expect("listed").len(), 1);
    assert!(!home.0.join("home/volumes/half").exists());
    volumes.remove("one").expect("removed");
    assert_eq!(volumes.get("one").expect("looked"), None);
    for bad in ["", "a", ".a", "a/b", "../x", "-x"] {
        assert!(volumes.create(bad, &[], &[], false).is_err(), "{bad}");
    }
    let options = |key: &str, value: &str| [(key.to_string(), value.to_string())];
    for (key, value) in [("type", "tmpfs"), ("type", "nfs"), ("fast", "1")] {
        assert!(volumes.create("two", &[], &options(key, value), false).is_err(), "{key}={value}");
    }
}

#[test]
fn an_empty_volume_gets_what_the_image_has_there() {
    let (home, _) = Home::new("filled");
    let image = home.image().expect("an image");
    let data = home.0.join("image/data");
    fs::set_permissions(&data, fs::Permissions::from_mode(0o1770)).expect("chmod");
    fs::write(data.join("deep/file"), "content").expect("write");
    symlink("/data", home.0.join("image/link")).expect("link");
    let open = || home.image();
    let kinds = [wanted(Kind::Volume("vol".into()), "/link"), wanted(Kind::Anonymous, "/nothing")].to_vec();
    let mounted = prepare(&home.path(), kinds).expect("ready");
    // What a killed command has left is not taken for the image's.
    fs::create_dir_all(home.0.join("home/volumes/vol/filling/half")).expect("make");
    mounted.fill(&open, (0, 0)).expect("filled");
    let [named, anonymous] = mounted.points.as_slice() else { panic!("{:?}", mounted.points) };
    assert_eq!((named.name.as_deref(), named.anonymous, anonymous.anonymous), (Some("vol"), false, true));
    assert_eq!(anonymous.name.as_deref().map(str::len), Some(64));
    mounted.keep();
    let inside = home.0.join("home/volumes/vol/data");
    assert_eq!(fs::read_to_string(inside.join("deep/file")).expect("read"), "content");
    assert_eq!(fs::metadata(&inside).expect("stat").mode() & 0o7777, 0o1770);
    assert!(!inside.join("half").exists() && !home.0.join("home/volumes/vol/filling").exists());
    // Only what is empty is filled.
    fs::remove_file(inside.join("deep/file")).expect("remove");
    let again = [wanted(Kind::Volume("vol".into()), "/data")].to_vec();
    let mounted = prepare(&home.path(), again).expect("ready");
    mounted.fill(&open, (0, 0)).expect("filled");
    mounted.keep();
    assert!(!inside.join("deep/file").exists());
    drop(image);
}

#[test]
fn what_was_made_in_vain_is_removed() {
    let (home, volumes) = Home::new("vain");
    let kinds = [wanted(Kind::Volume("vol".into()), "/a"), wanted(Kind::Anonymous, "/b")].to_vec();
    drop(prepare(&home.path(), kinds).expect("ready"));
    assert!(volumes.all().expect("listed").is_empty());
    let missing =
        [wanted(Kind::Volume("vol".into()), "/a"), wanted(Kind::Bind("/no/such/place".into()), "/b/c")]
            .to_vec();
    let error = prepare(&home.path(), missing).err().expect("refused").to_string();
    assert!(error.contains("look at /no/such/place"), "{error}");
    assert!(volumes.all().expect("listed").is_empty());
    let twice = [wanted(Kind::Anonymous, "/a"), wanted(Kind::Tmpfs, "/a/")].to_vec();
    assert!(prepare(&home.path(), twice).is_err());
}

#[test]
fn mounts_inside_others_come_after_them() {
    let (home, _) = Home::new("order");
    let kinds =
        [wanted(Kind::Tmpfs, "/a/b/c"), wanted(Kind::Tmpfs, "/a"), wanted(Kind::Tmpfs, "/a/b")].to_vec();
    let mounted = prepare(&home.path(), kinds).expect("ready");
    let order: Vec<&str> = mounted.mounts.iter().map(|mount| mount.destination.as_str()).collect();
    assert_eq!(order, ["/a", "/a/b", "/a/b/c"]);
}
