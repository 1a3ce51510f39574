//! `rootfs-fixtures make [DIR] [--debian]`: makes what the tests need below DIR, `target/fixtures` unless told
//! otherwise. Quick and quiet where all of it is there already.

use std::path::PathBuf;
use std::process::ExitCode;

use rootfs_fixtures::{probe, roots};

const USAGE: &str = "usage: rootfs-fixtures make [DIR] [--debian]";

fn main() -> ExitCode {
    let mut words = std::env::args().skip(1);
    if words.next().as_deref() != Some("make") {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    }
    let (mut directory, mut debian) = (probe::workspace().join("target/fixtures"), false);
    for word in words {
        match word.as_str() {
            "--debian" => debian = true,
            word if word.starts_with('-') => {
                eprintln!("unknown flag {word}\n{USAGE}");
                return ExitCode::from(2);
            }
            word => directory = PathBuf::from(word),
        }
    }
    let made = roots::make(&directory).and_then(|()| match debian {
        true => roots::debian(&directory.join("roots/debian")),
        false => Ok(()),
    });
    match made {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("rootfs-fixtures: {error}");
            ExitCode::FAILURE
        }
    }
}
