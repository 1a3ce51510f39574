//! `bench start`: how long it takes to start a container and to see it end.

use std::path::Path;

use super::runner::{Contender, ID, Measured, chosen, measure};
use super::statistics::ratio;
use super::table::Table;
use super::{Options, bundle, programs};
use crate::{Result, command, workspace};

const ROUNDS: usize = 100;

pub fn run(options: &Options) -> Result {
    let root = bundle::root()?;
    let bundle = bundle::make("bundle", &root, &[bundle::PAYLOAD])?;
    let contenders = chosen(contenders(&root, &bundle, &[])?, options)?;
    let rounds = options.rounds.unwrap_or(ROUNDS);
    let measured = measure(&contenders, rounds)?;
    println!("start of a container with a payload of one page, until its end; {rounds} interleaved rounds\n");
    print!("{}", table(&measured).text(options.markdown));
    Ok(())
}

/// Everybody with the same root and payload; the runtimes with the same bundle. The first is who the others are
/// compared with.
pub fn contenders(root: &Path, bundle: &Path, payload_arguments: &[&str]) -> Result<Vec<Contender>> {
    let text = |path: &Path| path.to_string_lossy().into_owned();
    let (root, bundle) = (text(root), text(bundle));
    let state = text(&programs::folder().join("state"));
    let (servin, floor) = (text(&workspace::dist().join("servin-run")), text(&programs::program("floor")));
    // With their paths: measure.c does not search, and no contender shall be charged for a search.
    let peer = |name| command::find(name).map(|path| text(&path));
    let (crun, runc, bwrap) = (peer("crun")?, peer("runc")?, peer("bwrap")?);
    let runtime = |name, program: &str| {
        Contender::new(name, &[program, "--root", &state, "run", "--bundle", &bundle, ID])
    };
    // What the configuration asks for, as far as bubblewrap can: its own masks, not runc's list.
    #[rustfmt::skip]
    let bwrap = [
        &bwrap, "--unshare-pid", "--unshare-net", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup", "--as-pid-1",
        "--ro-bind", &root, "/", "--proc", "/proc", "--dev", "/dev", "--mqueue", "/dev/mqueue", "--tmpfs", "/dev/shm",
        "--ro-bind", "/sys", "/sys", "--hostname", "runc", "--cap-drop", "ALL", "--", bundle::PAYLOAD,
    ];
    let with_arguments = |name, line: &[&str]| Contender::new(name, &[line, payload_arguments].concat());
    Ok(vec![
        runtime("servin-run", &servin),
        with_arguments("floor", &[&floor, &root, bundle::PAYLOAD]),
        runtime("crun", &crun),
        runtime("runc", &runc),
        with_arguments("bwrap", &bwrap),
    ])
}

/// Times, and their ratios to the first.
pub fn table(measured: &[Measured]) -> Table {
    let mut table = Table::new(&["", "median ms", "min ms", "CPU ms", "ratio"]);
    let reference = measured.first().map_or(0, |first| first.median(|sample| sample.wall_ns));
    for each in measured {
        let wall = each.median(|sample| sample.wall_ns);
        table.row(vec![
            each.name.to_owned(),
            format!("{:.2}", wall as f64 / 1e6),
            format!("{:.2}", each.least(|sample| sample.wall_ns) as f64 / 1e6),
            format!("{:.2}", each.median(|sample| sample.cpu_us) as f64 / 1e3),
            format!("{:.2}", ratio(wall, reference)),
        ]);
    }
    table
}
