//! How long a step takes, for `--trace`.

use servin_init::sys::clock::{Nanoseconds, now};

/// Runs from its start; without tracing it does not exist and costs nothing.
pub struct Clock(Option<Nanoseconds>);

impl Clock {
    /// Starts it, if there is somebody to read it.
    pub fn start(trace: bool) -> Clock {
        Clock(trace.then(now))
    }

    /// Microseconds since the start.
    pub fn micros(self) -> Option<u32> {
        u32::try_from((now() - self.0?) / 1000).ok()
    }
}
