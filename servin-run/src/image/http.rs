//! HTTP/1.1 (RFC 9110, RFC 9112) as registries speak it: requests over kept connections, bodies that stream both
//! ways, redirects, proxies. Everything that a server sends has a limit, every wait an end.

pub mod body;
pub mod client;
pub mod head;
pub mod proxy;
pub mod stream;
pub mod url;

use rustix::io::Errno;

use crate::error::Error;

pub use self::body::Response;
pub use self::client::{Body, Client, Request};
pub use self::url::Url;

/// Whether the same request may succeed a little later: the connection broke, or nobody was there.
pub fn is_transient(error: &Error) -> bool {
    const BROKEN: &[Errno] = &[
        Errno::CONNRESET,
        Errno::CONNABORTED,
        Errno::CONNREFUSED,
        Errno::PIPE,
        Errno::TIMEDOUT,
        Errno::HOSTUNREACH,
        Errno::NETUNREACH,
    ];
    error.errno().is_some_and(|errno| BROKEN.contains(&errno))
}
