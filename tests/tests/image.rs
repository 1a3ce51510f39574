//! Images: archives and layouts in, archives out, and the store in between.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::process::{Command, Stdio};

use rootfs_fixtures::archives;
use servin_tests::{
    Layout, alone, assert_same, fixture, forget_home, mounted, scratch, servin, servin_program, start, tool,
    unmount,
};

/// The store of the tests.
fn home() -> String {
    std::env::var("SERVIN_HOME").expect("the test's own home")
}

/// What every layer may hold, by other hands than Servin's.
fn everything(root: &Path) {
    tool("cp", &["-a", &format!("{}/.", fixture("busybox").display()), root.to_str().expect("UTF-8")]);
    let script = r#"
cd "$0"
mkdir -p d/deep/er long sticky && chmod 1777 sticky && chmod 2755 d
n=; for i in $(seq 1 30); do n=$n/component-of-a-long-path; done; mkdir -p long$n && echo deep > long$n/file
echo content > file && chown 1000:1001 file && chmod 4711 file && touch -d '2001-02-03 04:05:06.123456789' file
touch -d '1969-12-31 23:59:58.5 UTC' old
ln file hard && ln -s ../nowhere link && ln -s file good
mknod pipe p && mknod null c 1 3 && mknod block b 259 300 && chmod 0666 null
truncate -s 3M sparse && printf end >> sparse
printf 'name with space' > "a file"; printf umlaut > "größe"; printf new > "$(printf 'new\nline')"
python3 - <<'PYTHON'
import os
os.setxattr('file', 'security.capability', bytes.fromhex('0100000200040000000000000000000000000000'))
try:
    os.setxattr('d', 'user.note', b'\x00\xff\n')
except OSError:
    pass
PYTHON
touch -d @1000000000.5 d/deep d long sticky
"#;
    tool("bash", &["-euc", script, root.to_str().expect("UTF-8")]);
}

/// An image of three layers: the second removes, replaces and hides, the third adds a little.
fn image() -> Layout {
    Layout::new("image")
        .layer(everything)
        .layer(|root| {
            tool(
                "rm",
                &[
                    "-r",
                    root.join("d/deep").to_str().expect("UTF-8"),
                    root.join("old").to_str().expect("UTF-8"),
                ],
            );
            // A directory in the place of another, of a file, and a file in that of a directory.
            fs::remove_dir_all(root.join("sticky")).expect("remove");
            fs::write(root.join("sticky"), "a file now").expect("write");
            fs::remove_file(root.join("good")).expect("remove");
            fs::create_dir_all(root.join("good/inside")).expect("mkdir");
            fs::write(root.join("d/new"), "new").expect("write");
            fs::set_permissions(root.join("d"), fs::Permissions::from_mode(0o700)).expect("chmod");
        })
        .layer(|root| {
            fs::write(root.join("etc/added"), "by the third").expect("write");
            symlink("/absolute", root.join("link2")).expect("symlink");
        })
}

/// Loads what is at `path`; says the ID.
#[track_caller]
fn load(path: &str) -> String {
    servin(&["load", "--input", path]).succeeds();
    servin(&["images", "-q", "--no-trunc"]).succeeds().lines().first().expect("an image").to_string()
}

#[track_caller]
fn same_as_umoci(id: &str, layout: &Layout) {
    let ours = mounted(&home(), id);
    assert_same(&ours, &layout.unpacked_by_umoci());
    unmount(ours.to_str().expect("UTF-8")).expect("unmount");
}

#[test]
fn an_image_is_unpacked_as_umoci_unpacks_it() {
    alone(|| {
        let layout = image();
        same_as_umoci(&load(&layout.text()), &layout);
        forget_home();
    });
}

#[test]
fn an_image_is_unpacked_as_podmans_storage_unpacks_it() {
    alone(|| {
        let layout = image();
        let container = buildah(&["from", &format!("oci:{}:test", layout.text())]);
        let theirs = buildah(&["mount", &container]);
        let id = load(&layout.text());
        let ours = mounted(&home(), &id);
        // Theirs is a copy for a container, whose root was made just now.
        tool("touch", &["-r", ours.to_str().expect("UTF-8"), &theirs]);
        assert_same(&ours, Path::new(&theirs));
        // And the store is a layout that others read.
        servin(&["tag", &id, "name:1"]).succeeds();
        let read = tool("skopeo", &["inspect", "--config", "--raw", &format!("oci:{}:1", home())]);
        assert_eq!(read, fs::read_to_string(format!("{}/blobs/sha256/{}", home(), &id[7..])).expect("read"));
        unmount(ours.to_str().expect("UTF-8")).expect("unmount");
        buildah(&["umount", &container]);
        forget_home();
    });
}

/// What buildah says; its store, which is Podman's too, is the test's own.
fn buildah(arguments: &[&str]) -> String {
    let place = |name: &str| scratch(&format!("buildah/{name}")).to_str().expect("UTF-8").to_string();
    let (root, run, tmp) = (place("root"), place("run"), place("tmp"));
    fs::create_dir_all(&tmp).expect("mkdir");
    let storage = ["--storage-driver", "vfs", "--root", &root, "--runroot", &run];
    let script = format!("export TMPDIR={tmp}; exec buildah \"$@\"");
    let words = [&["-c", &script, "buildah"], &storage[..], arguments].concat();
    tool("sh", &words).trim().to_string()
}

#[test]
fn archives_of_skopeo_in_both_formats_make_the_same_image() {
    alone(|| {
        let layout = image();
        let source = format!("oci:{}:test", layout.text());
        for (kind, name) in
            [("docker-archive", "docker.io/library/from:docker"), ("oci-archive", "from.example/oci:1")]
        {
            let file = scratch(kind);
            let file = file.to_str().expect("UTF-8");
            tool(
                "skopeo",
                &[
                    "--tmpdir",
                    "/tmp/servin-tests",
                    "--insecure-policy",
                    "copy",
                    &source,
                    &format!("{kind}:{file}:{name}"),
                ],
            );
            let id = load(file);
            let loaded = servin(&["images", "--format", "{{.Repository}}:{{.Tag}}"]).succeeds().out;
            assert!(loaded.contains(name.trim_start_matches("docker.io/library/")), "{loaded}");
            same_as_umoci(&id, &layout);
            fs::remove_dir_all(home()).expect("forget the store");
            fs::remove_dir_all("/tmp/servin-tests/umoci").expect("forget umoci's");
        }
        forget_home();
    });
}

#[test]
fn what_is_saved_others_read_and_we_do_again() {
    alone(|| {
        let layout = image();
        let id = load(&layout.text());
        servin(&["tag", &id, "me/saved:1"]).succeeds();
        for (format, kind) in [("docker-archive", "docker-archive"), ("oci-archive", "oci-archive")] {
            let file = scratch(&format!("saved.{kind}"));
            let file = file.to_str().expect("UTF-8");
            servin(&["save", "--format", format, "-o", file, "me/saved:1"]).succeeds();
            let other = scratch("other");
            let other = format!("oci:{}:test", other.display());
            tool(
                "skopeo",
                &[
                    "--tmpdir",
                    "/tmp/servin-tests",
                    "--insecure-policy",
                    "copy",
                    &format!("{kind}:{file}"),
                    &other,
                ],
            );
            let second = servin(&["--home", "/tmp/servin-tests/second", "load", "-i", file]).succeeds();
            assert!(second.out.contains("me/saved:1"), "{}", second.out);
            let ids =
                servin(&["--home", "/tmp/servin-tests/second", "images", "-q", "--no-trunc"]).succeeds();
            assert_eq!(ids.out.trim(), id);
            fs::remove_dir_all("/tmp/servin-tests/second").expect("forget the store");
        }
        forget_home();
    });
}

#[test]
fn an_archive_comes_through_a_pipe_and_compressed() {
    alone(|| {
        let layout = Layout::new("small").layer(|root| fs::write(root.join("file"), "x").expect("write"));
        let tar = scratch("layout.tar");
        tool("tar", &["-C", &layout.text(), "-cf", tar.to_str().expect("UTF-8"), "."]);
        for program in [&["cat"][..], &["gzip", "-c"], &["zstd", "-qc"]] {
            let mut packer = Command::new(program[0])
                .args(&program[1..])
                .stdin(fs::File::open(&tar).expect("open"))
                .stdout(Stdio::piped())
                .spawn()
                .expect("start");
            let mut load = Command::new(servin_program());
            load.arg("load").stdin(packer.stdout.take().expect("a pipe"));
            let said = start(load).finish().succeeds();
            assert!(said.out.contains("Loaded image ID: sha256:"), "{}", said.out);
            assert!(packer.wait().expect("wait").success());
        }
        forget_home();
    });
}

#[test]
fn a_root_file_system_is_imported_and_a_stream_of_every_kind() {
    alone(|| {
        let tar = scratch("root.tar");
        let tar = tar.to_str().expect("UTF-8").to_string();
        tool("tar", &["--format=pax", "-C", fixture("busybox").to_str().expect("UTF-8"), "-cf", &tar, "."]);
        tool("gzip", &["-k", &tar]);
        tool("zstd", &["-q", &tar]);
        let mut diff_ids = Vec::new();
        for (end, kind) in [("", "tar"), (".gz", "tar+gzip"), (".zst", "tar+zstd")] {
            let file = format!("{tar}{end}");
            let change = ["-c", "CMD [\"/bin/sh\"]", "-c", "ENV A=b"];
            let id = servin(&[&["import"], &change[..], &[&file, "busy:box"]].concat()).succeeds().out;
            let shown = servin(&["image", "inspect", id.trim()]).succeeds().json();
            assert_eq!(
                (&shown[0]["Config"]["Env"][0], &shown[0]["Config"]["Cmd"][0]),
                (&"A=b".into(), &"/bin/sh".into())
            );
            diff_ids.push(shown[0]["RootFS"]["Layers"][0].clone());
            let digest = shown[0]["Digest"].as_str().expect("a digest").to_string();
            let manifest =
                fs::read_to_string(format!("{}/blobs/sha256/{}", home(), &digest[7..])).expect("read");
            assert!(manifest.contains(&format!("layer.v1.{kind}\"")), "{manifest}");
        }
        assert!(diff_ids.iter().all(|id| *id == diff_ids[0]));
        // Nobody has said which digest it has to have: gzip's own checksum and length are all that can be compared.
        let good = fs::read(format!("{tar}.gz")).expect("read");
        for place in [1, 8] {
            let mut bad = good.clone();
            let at = bad.len() - place;
            bad[at] ^= 0x10;
            fs::write(format!("{tar}.gz"), bad).expect("write");
            servin(&["import", &format!("{tar}.gz"), "bad"]).fails(&["the gzip stream is damaged"]);
        }
        servin(&["image", "inspect", "bad"]).fails(&["there is no image"]);
        let ours = mounted(&home(), "busy:box");
        assert_same(&ours, &fixture("busybox"));
        unmount(ours.to_str().expect("UTF-8")).expect("unmount");
        forget_home();
    });
}

#[test]
fn hostile_archives_stay_inside_and_are_refused_in_words() {
    alone(|| {
        for case in archives::CASES {
            let file = scratch("hostile.tar");
            fs::write(&file, (case.make)()).expect("write");
            let imported = servin(&["import", file.to_str().expect("UTF-8"), "hostile"]);
            match case.refused {
                "" => drop(imported.succeeds()),
                words => {
                    imported.fails(&[words]);
                    assert_eq!(
                        fs::read_dir(format!("{}/layers/sha256", home())).expect("list").count(),
                        0,
                        "{}",
                        case.name
                    );
                    assert_eq!(
                        fs::read_dir(format!("{}/blobs/sha256", home())).expect("list").count(),
                        0,
                        "{}",
                        case.name
                    );
                }
            }
            fs::remove_dir_all(home()).expect("forget the store");
        }
        forget_home();
    });
}

#[test]
fn limits_end_what_unpacks_without_end_and_flags_raise_them() {
    alone(|| {
        let bomb = scratch("bomb.tar.gz");
        let bomb = bomb.to_str().expect("UTF-8");
        tool(
            "bash",
            &[
                "-c",
                &format!(
                    "truncate -s 300M /tmp/servin-tests/zeroes; tar -C /tmp/servin-tests -cz zeroes > {bomb}"
                ),
            ],
        );
        servin(&["import", "--max-size", "100m", bomb])
            .fails(&["unpacks to more than 104857600 bytes", "--max-size"]);
        servin(&["import", "--max-size", "400m", bomb]).succeeds();
        servin(&["import", "--max-entries", "0", bomb]).fails(&["--max-entries 0"]);
        let many =
            archives::archive(&(0..50).map(|n| archives::file(&n.to_string(), b"")).collect::<Vec<_>>());
        let file = scratch("many.tar");
        fs::write(&file, many).expect("write");
        let file = file.to_str().expect("UTF-8");
        servin(&["import", "--max-entries", "49", file]).fails(&["more than 49 entries"]);
        servin(&["import", "--max-entries", "50", file]).succeeds();
        forget_home();
    });
}

#[test]
fn damaged_and_lying_layouts_are_refused() {
    alone(|| {
        let layout =
            Layout::new("small").layer(|root| fs::write(root.join("file"), "x".repeat(5000)).expect("write"));
        let blobs = layout.path.join("blobs/sha256");
        let by_content = |text: &str| {
            let mut found = fs::read_dir(&blobs).expect("list").map(|entry| entry.expect("list").path());
            found
                .find(|path| String::from_utf8_lossy(&fs::read(path).expect("read")).contains(text))
                .expect("a blob")
        };
        let manifest = by_content("\"layers\"");
        let text = fs::read_to_string(&manifest).expect("read");
        let digest = text.split("sha256:").last().expect("a digest")[..64].to_string();
        let layer = blobs.join(&digest);
        let content = fs::read(&layer).expect("read");
        let refused = |words: &[&str]| {
            servin(&["load", "-i", &layout.text()]).fails(words);
            assert_eq!(servin(&["images", "-q"]).succeeds().out, "");
            assert_eq!(fs::read_dir(format!("{}/layers/sha256", home())).expect("list").count(), 0);
        };
        fs::write(&layer, &content[..content.len() - 1]).expect("write");
        refused(&[&digest[..12], "cut off"]);
        let mut changed = content.clone();
        changed[4] ^= 1;
        fs::write(&layer, &changed).expect("write");
        refused(&[&digest[..12], "digest"]);
        fs::write(&layer, [&content[..], b"more"].concat()).expect("write");
        refused(&["longer than"]);
        fs::remove_file(&layer).expect("remove");
        refused(&["no such file"]);
        fs::write(&layer, &content).expect("write");
        // A manifest that reads as an index too (CVE-2021-41190), under its right digest.
        let both = text.replacen('{', "{\"manifests\":[],", 1);
        let file = scratch("both");
        fs::write(&file, &both).expect("write");
        let sum = tool("sha256sum", &[file.to_str().expect("UTF-8")])[..64].to_string();
        fs::write(blobs.join(&sum), &both).expect("write");
        let index = layout.path.join("index.json");
        let old = fs::read_to_string(&index).expect("read");
        let own = manifest.file_name().expect("a name").to_str().expect("UTF-8").to_string();
        fs::write(&index, old.replace(&own, &sum)).expect("write");
        refused(&["ambiguous"]);
        fs::write(&index, old.replace(&own, "../../../../../../tmp/servin-tests/victim/marker"))
            .expect("write");
        refused(&["digest"]);
        fs::write(&index, &old).expect("write");
        load(&layout.text());
        forget_home();
    });
}

#[test]
fn names_are_given_taken_and_moved() {
    alone(|| {
        let make = |content: &str| {
            let file = scratch("one.tar");
            fs::write(&file, archives::archive(&[archives::file("f", content.as_bytes())])).expect("write");
            servin(&["import", file.to_str().expect("UTF-8"), "app"]).succeeds().out.trim().to_string()
        };
        let first = make("1");
        servin(&["tag", "app", "registry.example:5000/me/app:v1"]).succeeds();
        let second = make("2");
        let names = |id: &str| {
            let shown = servin(&["image", "inspect", "-f", "{{json .RepoTags}}", id]).succeeds().out;
            shown.trim().to_string()
        };
        assert_eq!(names(&second), "[\"app:latest\"]");
        assert_eq!(names(&first[..19]), "[\"registry.example:5000/me/app:v1\"]");
        // The last name goes, and the image with it.
        servin(&["rmi", "registry.example:5000/me/app:v1"]).succeeds();
        servin(&["image", "inspect", &first]).fails(&["there is no image"]);
        make("3");
        assert_eq!(servin(&["images", "-f", "dangling=true", "-q"]).succeeds().lines().len(), 1);
        servin(&["image", "prune", "-f"]).succeeds();
        assert_eq!(servin(&["images", "-q"]).succeeds().lines().len(), 1);
        servin(&["rmi", "app", "nobody"]).ends_with(1).fails(&["there is no image nobody"]);
        let left = |path: &str| fs::read_dir(format!("{}/{path}", home())).expect("list").count();
        assert_eq!((left("blobs/sha256"), left("layers/sha256")), (0, 0));
        forget_home();
    });
}

#[test]
fn blobs_and_layers_that_images_share_stay_with_the_last() {
    alone(|| {
        let base = Layout::new("base").layer(|root| fs::write(root.join("base"), "x").expect("write"));
        load(&base.text());
        let one = base.layer(|root| fs::write(root.join("one"), "x").expect("write"));
        load(&one.text());
        let left = |path: &str| fs::read_dir(format!("{}/{path}", home())).expect("list").count();
        let ids = servin(&["images", "-q"]).succeeds();
        assert_eq!((ids.lines().len(), left("layers/sha256")), (2, 4));
        servin(&["rmi", ids.lines()[0]]).succeeds();
        assert_eq!(left("layers/sha256"), 2);
        servin(&["rmi", ids.lines()[1]]).succeeds();
        assert_eq!((left("layers/sha256"), left("blobs/sha256")), (0, 0));
        forget_home();
    });
}

#[test]
fn pulls_side_by_side_and_removals_do_not_harm_each_other() {
    alone(|| {
        let layout = image();
        for _ in 0..3 {
            let command = |words: &[&str]| {
                let mut command = Command::new(servin_program());
                command.args(words).stdin(Stdio::null());
                start(command)
            };
            let text = layout.text();
            let mut running: Vec<_> = (0..4).map(|_| command(&["load", "-q", "-i", &text])).collect();
            running.push(command(&["image", "prune", "-f"]));
            for one in running {
                one.finish().succeeds();
            }
            let id = load(&text);
            same_as_umoci(&id, &layout);
            fs::remove_dir_all("/tmp/servin-tests/umoci").expect("forget umoci's");
            servin(&["rmi", "-f", &id]).succeeds();
        }
        forget_home();
    });
}

#[test]
fn killed_at_any_moment_the_store_stays_usable() {
    alone(|| {
        let layout = image();
        for pause in [0, 1, 3, 6, 10, 15, 22, 30, 45, 70] {
            let mut command = Command::new(servin_program());
            command.args(["load", "-i", &layout.text()]).stdin(Stdio::null());
            let running = start(command);
            std::thread::sleep(std::time::Duration::from_millis(pause));
            running.signal(9);
            drop(running.finish());
        }
        let id = load(&layout.text());
        same_as_umoci(&id, &layout);
        servin(&["rmi", "-f", &id]).succeeds();
        servin(&["image", "prune", "-f"]).succeeds();
        for path in ["blobs/sha256", "layers/sha256"] {
            let left: Vec<_> = fs::read_dir(format!("{}/{path}", home())).expect("list").collect();
            assert!(left.is_empty(), "{left:?}");
        }
        forget_home();
    });
}

#[test]
fn a_full_disk_is_said_and_leaves_what_was_there() {
    alone(|| {
        let small = Layout::new("small").layer(|root| fs::write(root.join("file"), "x").expect("write"));
        let large = Layout::new("large")
            .layer(|root| fs::write(root.join("file"), vec![7; 20 << 20]).expect("write"));
        let place = scratch("disk");
        fs::create_dir_all(&place).expect("mkdir");
        let place = place.to_str().expect("UTF-8");
        servin_tests::file_system("tmpfs", "tmpfs", place, "size=8m").expect("mount a small disk");
        servin(&["--home", place, "load", "-i", &small.text()]).succeeds();
        servin(&["--home", place, "load", "-i", &large.text()]).fails(&["no space left on device"]);
        assert_eq!(servin(&["--home", place, "images", "-q"]).succeeds().lines().len(), 1);
        let left = fs::read_dir(format!("{place}/layers/sha256")).expect("list").count();
        assert_eq!(left, 2);
        unmount(place).expect("unmount");
        forget_home();
    });
}

#[test]
fn the_hosts_own_programs_become_an_image() {
    alone(|| {
        servin(&["image", "from-host", "mine"]).succeeds();
        let shown = servin(&["image", "inspect", "mine"]).succeeds().json();
        assert_eq!(shown[0]["Config"]["Cmd"][0], "/bin/sh");
        let history = servin(&["history", "--format", "{{.CreatedBy}}", "mine"]).succeeds().out;
        assert_eq!(history.trim(), "servin image from-host");
        let ours = mounted(&home(), "mine");
        assert!(ours.join("bin/sh").exists() && ours.metadata().expect("stat").uid() == 0);
        unmount(ours.to_str().expect("UTF-8")).expect("unmount");
        forget_home();
    });
}

#[test]
fn images_of_file_systems_are_imported_through_a_loop_device() {
    alone(|| {
        let root = fixture("busybox");
        let root = root.to_str().expect("UTF-8");
        for (kind, program) in [("squashfs", "mksquashfs"), ("erofs", "mkfs.erofs")] {
            let file = scratch(&format!("root.{kind}"));
            let file = file.to_str().expect("UTF-8");
            match kind {
                "squashfs" => tool(program, &[root, file, "-no-progress", "-quiet"]),
                _ => tool(program, &[file, root]),
            };
            servin(&["import", file, kind]).succeeds();
            let ours = mounted(&home(), kind);
            assert_eq!(
                fs::read(ours.join("bin/busybox")).expect("read"),
                fs::read(format!("{root}/bin/busybox")).expect("read")
            );
            assert!(ours.join("bin/sh").symlink_metadata().expect("stat").is_symlink());
            unmount(ours.to_str().expect("UTF-8")).expect("unmount");
            let using = fs::read_dir("/sys/block")
                .expect("list")
                .filter_map(|entry| fs::read_to_string(entry.ok()?.path().join("loop/backing_file")).ok());
            assert_eq!(using.filter(|path| path.contains("servin-tests")).count(), 0);
        }
        forget_home();
    });
}

#[test]
fn what_buildah_commits_is_loaded() {
    alone(|| {
        let container = buildah(&["from", "scratch"]);
        let busybox = fixture("busybox");
        buildah(&["add", "--quiet", &container, busybox.to_str().expect("UTF-8"), "/"]);
        buildah(&["config", "--cmd", "[\"/bin/echo\", \"by\", \"buildah\"]", &container]);
        for kind in ["docker-archive", "oci-archive"] {
            let file = scratch(kind).to_str().expect("UTF-8").to_string();
            let to = format!("{kind}:{file}:example.org/built:1");
            buildah(&["commit", "--quiet", "--disable-compression=false", &container, &to]);
            servin(&["load", "-i", &file]).succeeds();
            assert_eq!(servin(&["run", "--rm", "example.org/built:1"]).succeeds().out, "by buildah\n");
            servin(&["rmi", "example.org/built:1"]).succeeds();
        }
        forget_home();
    });
}
