//! `size`: what the artifacts weigh, against their budgets.

use crate::dist::TARGETS;
use crate::{Result, build, workspace};

/// The most bytes that a product may have. servin-run is meant to come down to 1331 KiB; until then it is held to what
/// it has reached.
const BUDGETS: [(&str, u64); 2] = [("servin-init", 8 * 1024), ("servin-run", 1692 * 1024)];
/// For servin-init on the other architectures, whose instructions are longer.
const INIT_ELSEWHERE: u64 = 10 * 1024 + 512;
/// The same for servin-run without the feature `tls`, which is meant to come down to 420 KiB.
const WITHOUT_TLS: u64 = 1248 * 1024;
/// The folder of that one.
const SMALL: &str = "without-tls";

pub fn command(_: &[String]) -> Result {
    build::build()?;
    build::build_without_tls(SMALL)?;
    let mut over = Vec::new();
    // This host's artifacts lie in dist itself; those of `dist`, where it has run, in a folder a target.
    for folder in [".", SMALL].into_iter().chain(TARGETS.iter().map(|target| target.name)) {
        for (product, budget) in BUDGETS {
            let path = workspace::dist().join(folder).join(product);
            let Ok(metadata) = std::fs::metadata(&path) else { continue };
            let size = metadata.len();
            let budget = match (product, folder) {
                (_, SMALL) => WITHOUT_TLS,
                ("servin-init", other) if other != "." && !other.starts_with("x86_64") => INIT_ELSEWHERE,
                _ => budget,
            };
            let place = if folder == "." { "this host" } else { folder };
            println!(
                "{product:<12} {place:<32} {size:>8} bytes of {budget:>7} ({:>3} %)",
                size * 100 / budget
            );
            if size > budget {
                over.push(format!("{product} ({place}) is {} bytes over its budget", size - budget));
            }
        }
    }
    if over.is_empty() { Ok(()) } else { Err(over.join("; ")) }
}
