//! The harness of the integration tests: real programs, started as people and engines start them.
//!
//! Each test is one closure given to [`alone`], which runs it in a process and namespaces of its own, looks for
//! what was left behind, and for damage to the host. A test builds a [`Bundle`] (or says what a person would type,
//! [`servin`]), runs it, and compares what the probe inside saw.
//!
//! The programs are those of `target/dist`, or what `SERVIN_RUN`, `SERVIN` and `SERVIN_INIT` name; the roots those of
//! `target/fixtures`, or `SERVIN_FIXTURES`. `SERVIN_PATIENCE` multiplies every time limit, for slow machines.

mod alone;
mod bundle;
mod cgroup;
mod image;
mod leaks;
mod oci;
mod outside;
mod people;
mod places;
pub mod registry;
mod report;
mod run;
mod server;
mod sys;
mod terminal;

pub use alone::{
    alone, beside_the_host, forget_home, make_private_again, make_shared, own_capabilities, skipped,
};
pub use bundle::Bundle;
pub use cgroup::{cgroup_mount, has_controller};
pub use image::{Layout, assert_same, listing, mounted, tool};
pub use oci::{oci, state, status};
pub use outside::{OUR_ADDRESS, OUR_ADDRESS6, OUTSIDE, OUTSIDE6, Outside, ask, ask_from, in_network_of};
pub use people::{DOCKERS_CAPABILITIES, People, field, pid, servin, supervisor};
pub use places::{
    SCRATCH, VICTIM, debian_root, fixture, probe, scratch, servin_init, servin_program, servin_run,
};
pub use report::Report;
pub use run::{Finished, Running, children, is_emulated, quiet, refusing, start, until, within};
pub use server::{Server, assert_answers, at, nft_lists, redirections};
pub use sys::{
    Given, bind, bring_up_loopback, file_system, idmapped_mounts_work, kill, kill_group, limit_descriptors,
    mount_flags, reap_one, receive_descriptor, set_descriptor_inherited, time_of_children, tmpfs, unmount,
};
pub use terminal::Terminal;

/// Ends a test that cannot say anything here, and says why.
#[macro_export]
macro_rules! skip {
    ($($why:tt)*) => {{
        $crate::skipped(format_args!($($why)*));
        return;
    }};
}
