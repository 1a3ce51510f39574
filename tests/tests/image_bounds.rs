//! What the store does with little memory, and on a disk that fills up at any moment.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use servin_tests::{
    Layout, alone, children, file_system, forget_home, scratch, servin, servin_program, start, tool, unmount,
};

/// The most memory that a process and each of its children has had, in kB, while they lived.
fn peaks(arguments: &[&str]) -> BTreeMap<i32, u64> {
    let mut command = Command::new(servin_program());
    command.args(arguments);
    let running = start(command);
    let mut peaks = BTreeMap::new();
    let peak = |pid: i32| -> Option<u64> {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB")?.parse().ok())
    };
    while let Some(own) = peak(running.pid()) {
        peaks.insert(running.pid(), own);
        for child in children(running.pid()) {
            if let Some(kilobytes) = peak(child) {
                peaks.insert(child, kilobytes);
            }
        }
    }
    running.finish().succeeds();
    peaks
}

/// Large layers, and one of many files.
fn large() -> Layout {
    let noise = servin_tests::registry::noise(1 << 20);
    let mut layout = Layout::new("large").layer(|root| {
        for number in 0..8_000 {
            let folder = root.join(format!("many/{}", number % 97));
            fs::create_dir_all(&folder).expect("mkdir");
            fs::write(folder.join(format!("a-file-with-quite-a-long-name-{number}")), "x").expect("write");
        }
    });
    for name in ["one", "two"] {
        layout = layout.layer(|root| fs::write(root.join(name), noise.repeat(60)).expect("write"));
    }
    layout
}

#[test]
fn an_image_of_any_size_takes_eight_mebibytes_of_memory_at_most() {
    alone(|| {
        let layout = large();
        let archive = scratch("large.tar").to_str().expect("UTF-8").to_string();
        tool("tar", &["-C", &layout.text(), "-cf", &archive, "."]);
        for from in [layout.text(), archive] {
            let peaks = peaks(&["load", "-q", "-i", &from]);
            assert!(peaks.len() > 1 && peaks.values().all(|kilobytes| *kilobytes <= 8 << 10), "{peaks:?}");
            let id = servin(&["images", "-q"]).succeeds().out.trim().to_string();
            servin(&["rmi", &id]).succeeds();
        }
        // A root file system, and one in zstd, which has a window of its own.
        let root = layout.unpacked_by_umoci();
        let (root, plain) = (root.to_str().expect("UTF-8"), scratch("root.tar"));
        let plain = plain.to_str().expect("UTF-8").to_string();
        tool("tar", &["-C", root, "-cf", &plain, "."]);
        tool("zstd", &["-q", "-1", &plain]);
        for file in [plain.clone(), format!("{plain}.zst")] {
            let peaks = peaks(&["import", &file, "root"]);
            assert!(peaks.values().all(|kilobytes| *kilobytes <= 8 << 10), "{file}: {peaks:?}");
            servin(&["rmi", "root"]).succeeds();
        }
        forget_home();
    });
}

#[test]
fn a_disk_that_fills_up_at_any_moment_leaves_a_store_that_can_be_used() {
    alone(|| {
        let layout = Layout::new("image")
            .layer(|root| {
                for number in 0..40 {
                    fs::write(root.join(format!("file{number}")), vec![7; 9000]).expect("write");
                }
            })
            .layer(|root| {
                fs::write(root.join("other"), servin_tests::registry::noise(600_000)).expect("write")
            });
        let disk = scratch("disk");
        fs::create_dir_all(&disk).expect("mkdir");
        let disk = disk.to_str().expect("UTF-8");
        let servin = |arguments: &[&str]| servin(&[&["--home", disk], arguments].concat());
        let (mut full, mut size) = (0, 16);
        loop {
            file_system("tmpfs", "tmpfs", disk, &format!("size={size}k")).expect("mount a small disk");
            let loaded = servin(&["load", "-q", "-i", &layout.text()]);
            let is_whole = loaded.code == 0;
            if !is_whole {
                full += 1;
                loaded.fails(&["no space left on device"]);
                // What was there before is usable, and what was not is not there by half.
                assert_eq!(servin(&["images", "-q"]).out, "", "{size}k");
                tool("mount", &["-o", "remount,size=16m", disk]);
                servin(&["load", "-q", "-i", &layout.text()]).succeeds();
            }
            let id = servin(&["images", "-q"]).succeeds().out.trim().to_string();
            servin(&["image", "inspect", &id]).succeeds();
            servin(&["rmi", &id]).succeeds();
            for path in ["blobs/sha256", "layers/sha256"] {
                let left = fs::read_dir(Path::new(disk).join(path)).expect("list").count();
                assert_eq!(left, 0, "{size}k: {path}");
            }
            unmount(disk).expect("unmount");
            if is_whole {
                break;
            }
            size += 60;
        }
        assert!(full > 15, "it was full {full} times");
        forget_home();
    });
}
