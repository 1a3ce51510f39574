//! Containers as their commands see them: the life from creation to removal, and the state on disk by which one
//! command finds what another has made ([runtime.md](https://github.com/opencontainers/runtime-spec/blob/v1.3.0/runtime.md)).

pub mod creation;
pub mod directory;
pub mod enter;
pub mod people;
pub mod placement;
pub mod process;
pub mod record;
pub mod removal;
pub mod resctrl;
pub mod start;
pub mod time;
pub mod view;
pub mod volume;

/// What a container is when nobody knows it, in the words that engines look for.
pub fn does_not_exist(id: &str) -> crate::error::Error {
    crate::error::Error::new(format_args!("container \"{id}\" does not exist"))
}
