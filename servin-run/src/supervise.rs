//! What stays beside a running container.

pub mod client;
pub mod foreground;
pub mod proxy;
mod health;
mod input;
pub mod keys;
pub mod log;
mod network;
pub mod policy;
mod serve;
mod slirp;
mod spaces;
pub mod supervisor;
mod terminal;
pub mod wire;
