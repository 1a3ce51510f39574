//! Whether a container that has ended is started again, and when (Docker's rules).

use crate::error::{Error, Result};

/// What is to happen when a container has ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Policy {
    /// Nothing.
    #[default]
    No,
    /// It is started again when it has failed, so many times at most.
    OnFailure(Option<u32>),
    /// It is started again, and with the host.
    Always,
    /// The same, unless a person has stopped it.
    UnlessStopped,
}

impl Policy {
    /// Reads `no`, `on-failure[:N]`, `always`, `unless-stopped`.
    pub fn parse(text: &str) -> Result<Policy> {
        let limit =
            |count: &str| count.parse().ok().map(|count| Policy::OnFailure(Some(count).filter(|n| *n > 0)));
        let policy = match text {
            "" | "no" => Some(Policy::No),
            "always" => Some(Policy::Always),
            "unless-stopped" => Some(Policy::UnlessStopped),
            "on-failure" => Some(Policy::OnFailure(None)),
            other => other.strip_prefix("on-failure:").and_then(limit),
        };
        policy.ok_or_else(|| {
            Error::new(format_args!(
                "--restart {text}: it is none of no, on-failure[:N], always and unless-stopped"
            ))
        })
    }

    /// Whether a container that ended with `code`, after so many restarts, is started again.
    pub fn restarts(self, code: i32, restarts: u32) -> bool {
        match self {
            Policy::No => false,
            Policy::OnFailure(limit) => code != 0 && limit.is_none_or(|limit| restarts < limit),
            Policy::Always | Policy::UnlessStopped => true,
        }
    }

    /// Whether it is started when the host has started; `stopped` by a person.
    pub fn starts_with_the_host(self, code: Option<i32>, stopped: bool) -> bool {
        match self {
            Policy::No => false,
            Policy::OnFailure(_) => code != Some(0) && !stopped,
            Policy::Always => true,
            Policy::UnlessStopped => !stopped,
        }
    }
}

/// The pause before a restart.
#[derive(Debug, Default)]
pub struct BackOff {
    milliseconds: u64,
}

impl BackOff {
    /// After a pause of so many milliseconds.
    pub fn of(milliseconds: u64) -> BackOff {
        BackOff { milliseconds }
    }

    /// The last pause.
    pub fn milliseconds(&self) -> u64 {
        self.milliseconds
    }

    /// The pause after a container ran for so many seconds: twice the last one, up to a minute, but short again after
    /// it ran for ten.
    pub fn next(&mut self, ran: u64) -> u64 {
        self.milliseconds = match self.milliseconds {
            1.. if ran < 10 => (self.milliseconds * 2).min(60_000),
            _ => 100,
        };
        self.milliseconds
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    #[test]
    fn policies_are_dockers() {
        let restarts = |text, code, count| Policy::parse(text).expect("a policy").restarts(code, count);
        assert!(!restarts("no", 1, 0) && !restarts("on-failure", 0, 0) && restarts("on-failure", 1, 1000));
        assert!(restarts("on-failure:3", 1, 2) && !restarts("on-failure:3", 1, 3));
        assert!(restarts("always", 0, 9) && restarts("unless-stopped", 0, 9));
        for bad in ["never", "on-failure:", "on-failure:x", "always:3", "on-failure:-1"] {
            assert!(Policy::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn pauses_double_up_to_a_minute_and_begin_anew_after_a_long_run() {
        let mut pause = BackOff::default();
        let pauses: Vec<u64> = (0..12).map(|_| pause.next(0)).collect();
        assert_eq!((pauses[0], pauses[1], pauses[11]), (100, 200, 60_000));
        assert_eq!(pause.next(10), 100);
    }
}
