//! `/etc/servin/registries.json`, or the file that SERVIN_REGISTRIES names: mirrors, and registries without (good)
//! certificates.
//!
//! ```json
//! {"registries": {"docker.io": {"mirrors": ["http://127.0.0.1:5000"]}, "old.example": {"plainHttp": true}}}
//! ```

use alloc::string::String;
use alloc::vec::Vec;

use rustix::io::Errno;

use crate::error::{Error, Result};
use crate::fs::read_text;
use crate::gather::Gather as _;
use crate::image::environment::Environment;
use crate::image::http::Url;
use crate::image::http::url::split_port;
use crate::image::reference::DEFAULT_REGISTRY;
use crate::spec::json::{self, object};

object! {
    /// The document.
    pub struct Configuration {
        /// By name, as in the names of images: `HOST` or `HOST:PORT`.
        "registries" => registries: Vec<(String, Options)>,
        /// After so many seconds of silence a server is given up; 30 where it is not said.
        "timeout" => timeout: Option<u32>,
        /// How often a request is sent again after a failure that may pass; 4 where it is not said.
        "retries" => retries: Option<u32>,
    }

    /// What is known about one registry.
    pub struct Options {
        /// Addresses that are asked first, in this order: `https://HOST[:PORT][/PREFIX]`.
        "mirrors" => mirrors: Vec<String>,
        /// Its certificate is not looked at.
        "insecure" => insecure: Option<bool>,
        /// It does not speak TLS.
        "plainHttp" => plain: Option<bool>,
    }
}

const PLACE: &str = "/etc/servin/registries.json";
/// Where Docker's registry is.
const DOCKERS_HOST: &str = "registry-1.docker.io";

/// A place where a repository may be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// What comes before `/v2/`.
    pub base: Url,
    /// Whether it has to be found out if it speaks TLS.
    pub unsure: bool,
    /// A copy of another one, to which nothing is pushed.
    pub mirror: bool,
}

impl Configuration {
    /// Reads the file; without one nothing is special.
    pub fn read(environment: &Environment) -> Result<Configuration> {
        let named = environment.variable("SERVIN_REGISTRIES");
        let path = named.unwrap_or(PLACE);
        match read_text(path) {
            Ok(text) => json::parse(&text, path),
            Err(error) if named.is_none() && error.errno() == Some(Errno::NOENT) => {
                Ok(Configuration::default())
            }
            Err(error) => Err(error),
        }
    }

    fn options(&self, registry: &str) -> Option<&Options> {
        self.registries.iter().find(|(name, _)| name == registry).map(|(_, options)| options)
    }

    /// Where to ask for what is in a registry: its mirrors, then itself.
    pub fn endpoints(&self, registry: &str) -> Result<Vec<Endpoint>> {
        let mut endpoints = Vec::new();
        for mirror in self.options(registry).into_iter().flat_map(|options| &options.mirrors) {
            let endpoint = match mirror.contains("://") {
                true => {
                    let mut base = Url::parse(mirror)?;
                    base.path.truncate(base.path.trim_end_matches('/').len());
                    Ok(Endpoint { base, unsure: false, mirror: true })
                }
                false => self.endpoint(mirror, true),
            };
            endpoints
                .push(endpoint.map_err(|error: Error| error.within(format_args!("a mirror of {registry}")))?);
        }
        let host = if registry == DEFAULT_REGISTRY { DOCKERS_HOST } else { registry };
        endpoints.push(self.endpoint(host, false)?);
        Ok(endpoints)
    }

    fn endpoint(&self, host: &str, mirror: bool) -> Result<Endpoint> {
        let plain = self.options(host).and_then(|options| options.plain);
        let (name, _) = split_port(host).unwrap_or((host, None));
        // As Docker has it, this host's own registries need not speak TLS.
        let unsure = plain.is_none() && is_loopback(name);
        let scheme = if plain == Some(true) || unsure { "http" } else { "https" };
        let mut base = Url::parse(&alloc::format!("{scheme}://{host}"))?;
        base.path.clear();
        Ok(Endpoint { base, unsure, mirror })
    }

    /// The servers whose certificates are not looked at.
    pub fn insecure(&self) -> Vec<String> {
        let insecure = self.registries.iter().filter(|(_, options)| options.insecure == Some(true));
        insecure.map(|(name, _)| name.strip_suffix(":443").unwrap_or(name).into()).gather()
    }
}

/// Whether a name is this host's own.
fn is_loopback(name: &str) -> bool {
    let literal = name.trim_start_matches('[').trim_end_matches(']');
    name == "localhost" || literal.parse::<core::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn mirrors_come_first_and_this_host_need_not_encrypt() {
        let text = r#"{"registries": {
            "docker.io": {"mirrors": ["https://m.example/hub/", "localhost:5000", "plain.example"]},
            "plain.example": {"plainHttp": true}, "bad.example:443": {"insecure": true}
        }}"#;
        let configuration: Configuration = json::parse(text, "registries.json").expect("parsed");
        let places = |registry: &str| -> Vec<(String, bool, bool)> {
            let endpoints = configuration.endpoints(registry).expect("valid").into_iter();
            endpoints.map(|e| (e.base.to_string() + &e.base.path, e.unsure, e.mirror)).collect()
        };
        assert_eq!(
            places("docker.io"),
            [
                ("https://m.example/hub/hub".to_string(), false, true),
                ("http://localhost:5000".to_string(), true, true),
                ("http://plain.example".to_string(), false, true),
                ("https://registry-1.docker.io".to_string(), false, false),
            ]
        );
        assert_eq!(places("[::1]:5000"), [("http://[::1]:5000".to_string(), true, false)]);
        assert_eq!(places("ghcr.io"), [("https://ghcr.io".to_string(), false, false)]);
        assert_eq!(configuration.insecure(), ["bad.example"]);
    }
}
