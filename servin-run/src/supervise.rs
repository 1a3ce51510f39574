//! What stays beside a running container.

pub mod foreground;
pub mod proxy;
mod terminal;
