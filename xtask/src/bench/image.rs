//! `bench image`: OCI layouts of the images of `bench pull`, compressed by gzip, unpacked into an empty place: by Servin
//! into its store, beside Podman, which keeps blobs and layers as well, umoci, which makes one tree of it, and tar, which
//! does that without comparing a digest.

use std::fs;
use std::path::Path;

use super::pull::{IMAGES, PODMANS_PLACE, interleaved, table};
use super::runner::{Contender, ID, chosen};
use super::{Options, programs};
use crate::{Result, command, debian, workspace};

const ROUNDS: usize = 7;

pub fn run(options: &Options) -> Result {
    debian::ensure(&["skopeo", "podman", "umoci"], "bench image")?;
    let state = programs::folder().join("state");
    let text = |path: &Path| path.to_string_lossy().into_owned();
    let layout = text(&state.join("layout"));
    let to = format!("oci:{layout}:image");
    let place = text(&state.join(ID));
    let servin = text(&workspace::dist().join("servin"));
    let (podman, umoci) = (text(&command::find("podman")?), text(&command::find("umoci")?));
    // The layers as the manifest lists them, which is the only document with that word.
    let script = "mkdir \"$1\" && cd \"$0/blobs/sha256\" || exit
        for layer in $(grep -l '\"layers\":' * | xargs sed 's/.*\"layers\"://' | grep -o 'sha256:[0-9a-f]*'); do
            tar -xzf \"${layer#sha256:}\" -C \"$1\" || exit
        done";
    let shell = text(&command::find("sh")?);
    #[rustfmt::skip]
    let contenders = chosen(vec![
        Contender::new("servin", &[&servin, "--home", &place, "load", "--quiet", "--input", &layout]),
        Contender::new("podman", &[
            &podman, "--root", &place, "--runroot", PODMANS_PLACE, "pull", "--quiet", &to,
        ]),
        Contender::new("umoci", &[&umoci, "unpack", "--image", to.trim_start_matches("oci:"), &place]),
        Contender::new("tar", &[&shell, "-c", script, &layout, &place]),
    ], options)?;
    let rounds = options.rounds.unwrap_or(ROUNDS);
    println!("an OCI layout, unpacked; {rounds} interleaved rounds; peak: the largest process\n");
    for image in &IMAGES {
        let _ = fs::remove_dir_all(&layout);
        image.copy(&state.join("image"), &[&to])?;
        let measured = interleaved(&contenders, rounds, &state)?;
        println!("{}\n\n{}", image.what, table(&measured).text(options.markdown));
    }
    let _ = fs::remove_dir_all(PODMANS_PLACE);
    Ok(())
}
