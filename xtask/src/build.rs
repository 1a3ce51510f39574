//! `build`: the release artifacts for this host.

use std::fs;
use std::os::unix::fs::symlink;

use crate::{Result, command, workspace};

/// The programs that users get; `servin` is a link to servin-run, which acts by the name it is called by.
pub const PRODUCTS: [&str; 2] = ["servin-init", "servin-run"];

pub fn command(arguments: &[String]) -> Result {
    if let Some(extra) = arguments.first() {
        return Err(format!("build takes no arguments, not {extra}"));
    }
    build()?;
    println!("built {}: servin-run, servin-init, servin", workspace::dist().display());
    Ok(())
}

/// Builds both products and puts them into target/dist.
pub fn build() -> Result {
    for product in PRODUCTS {
        // One cargo call each: in one build the features of both would be united.
        command::run(command::cargo().args(["build", "--quiet", "--release", "--package", product]))?;
        let built = workspace::target().join("release").join(product);
        workspace::install(&built, &workspace::dist().join(product))?;
    }
    let link = workspace::dist().join("servin");
    if fs::read_link(&link).is_ok_and(|to| to.as_os_str() == "servin-run") {
        return Ok(());
    }
    let _ = fs::remove_file(&link);
    symlink("servin-run", &link).map_err(|e| format!("link {}: {e}", link.display()))
}
