//! What stays beside a running container.

pub mod foreground;
mod terminal;
