//! Requests to one repository: at the right place, with the right login, again where that may help.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use servin_init::sys::clock::{Nanoseconds, SECOND};

use super::configuration::{Configuration, Endpoint};
use crate::error::{Error, Result};
use crate::gather::Gather as _;
use crate::image::auth::{Authority, Credentials};
use crate::image::environment::Environment;
use crate::image::http::stream::{MILLISECOND, pause};
use crate::image::http::{Body, Client, Request, Response, Url, is_transient};
use crate::spec::json::{self, object};

object! {
    /// What a registry says about a failure.
    pub struct Failures {
        "errors" => errors: Vec<Failure>,
    }

    /// One of the reasons.
    pub struct Failure {
        /// `MANIFEST_UNKNOWN`.
        "code" => code: Option<String>,
        /// The reason in words.
        "message" => message: Option<String>,
    }

    /// The answer to `tags/list`.
    pub struct Tags {
        "tags" => tags: Vec<String>,
    }
}

const PATIENCE: u32 = 30;
const RETRIES: u32 = 4;
/// The first pause before a request is sent again; each further one is twice as long.
const FIRST_PAUSE: Nanoseconds = 250 * MILLISECOND;
/// The longest pause that a server may ask for.
const LONGEST_PAUSE: u64 = 60;
const MAX_FAILURE: usize = 64 << 10;
const MAX_TAGS: usize = 8 << 20;
/// More pages of tags than anybody has.
const MAX_PAGES: usize = 1000;

/// Headers of a request.
pub type Headers<'a> = &'a [(&'static str, String)];

/// How requests to one repository are sent.
pub struct Session {
    client: Client,
    endpoints: Vec<Endpoint>,
    /// What each endpoint knows of us.
    authorities: Vec<Authority>,
    repository: String,
    scope: String,
    retries: u32,
}

impl Session {
    /// Nothing is sent yet.
    pub fn new(
        registry: &str,
        repository: &str,
        configuration: &Configuration,
        credentials: Option<Credentials>,
        environment: &Environment,
        push: bool,
    ) -> Result<Session> {
        let patience = Nanoseconds::from(configuration.timeout.unwrap_or(PATIENCE).clamp(1, 3600)) * SECOND;
        let client = Client::new(environment.clone(), patience, configuration.insecure());
        let mut endpoints = configuration.endpoints(registry)?;
        endpoints.retain(|endpoint| !(push && endpoint.mirror));
        // A mirror is somebody else: the login is for the registry itself.
        let authority =
            |endpoint: &Endpoint| Authority::new(credentials.clone().filter(|_| !endpoint.mirror));
        let authorities = endpoints.iter().map(authority).gather();
        let actions = if push { "pull,push" } else { "pull" };
        let scope =
            if repository.is_empty() { String::new() } else { format!("repository:{repository}:{actions}") };
        let retries = configuration.retries.unwrap_or(RETRIES).min(20);
        Ok(Session { client, endpoints, authorities, repository: repository.into(), scope, retries })
    }

    /// The same for another process.
    pub fn again(&self) -> Session {
        Session {
            client: self.client.again(),
            endpoints: self.endpoints.clone(),
            authorities: self.authorities.clone(),
            repository: self.repository.clone(),
            scope: self.scope.clone(),
            retries: self.retries,
        }
    }

    /// Sends a request without a body, to one endpoint after the other until one has it, and sees to it that it
    /// succeeded.
    pub fn get(&mut self, method: &'static str, path: &str, headers: Headers) -> Result<Response> {
        let mut first = None;
        for at in 0..self.endpoints.len() {
            let response = self.answer(at, method, path, headers).and_then(|response| {
                if (200..300).contains(&response.status) { Ok(response) } else { Err(refusal(response)) }
            });
            match response {
                Ok(response) => {
                    // What one place has is looked for there first, next time.
                    self.endpoints.swap(0, at);
                    self.authorities.swap(0, at);
                    return Ok(response);
                }
                // Of several failures the registry's own is the one that counts.
                Err(error) if !self.endpoints[at].mirror || first.is_none() => first = Some(error),
                Err(_) => {}
            }
        }
        Err(first.unwrap_or_else(|| Error::new("there is no place to ask")))
    }

    /// Sends a request without a body to an endpoint, again where a failure may pass.
    fn answer(&mut self, at: usize, method: &'static str, path: &str, headers: Headers) -> Result<Response> {
        let mut failures = 0;
        loop {
            self.find_out(at)?;
            let base = &self.endpoints[at].base;
            let slash = if self.repository.is_empty() { "" } else { "/" };
            let whole = format!("{}/v2/{}{slash}{path}", base.path, self.repository);
            let url = Url { path: whole, ..base.clone() };
            let answer = self.send(at, method, url, headers, &mut Body::None);
            let wait = match &answer {
                Ok(response) if is_passing(response.status) => asked_pause(response),
                Err(error) if is_transient(error) && !is_absent(error) => None,
                _ => return answer,
            };
            if failures == self.retries {
                return answer;
            }
            pause(wait.unwrap_or(FIRST_PAUSE << failures));
            failures += 1;
        }
    }

    /// Finds out whether a registry on this host speaks TLS: one that does refuses what is not.
    fn find_out(&mut self, at: usize) -> Result<()> {
        let endpoint = &mut self.endpoints[at];
        if !core::mem::take(&mut endpoint.unsure) {
            return Ok(());
        }
        let url = Url { path: format!("{}/v2/", endpoint.base.path), ..endpoint.base.clone() };
        match self.client.send(&mut Request::new("GET", url)) {
            Ok(response) if response.status != 400 => response.finish(),
            Err(error) if is_absent(&error) => return Err(error),
            _ => endpoint.base.secure = true,
        }
        Ok(())
    }

    /// Sends one request to one address, with the login of the endpoint where it goes there. A body that cannot be
    /// read twice is sent once.
    pub fn send(
        &mut self,
        at: usize,
        method: &'static str,
        url: Url,
        headers: Headers,
        body: &mut Body,
    ) -> Result<Response> {
        let response = self.send_once(at, method, url.clone(), headers, body)?;
        let own = response.url.same_server(&self.endpoints[at].base);
        if response.status != 401 || !own || matches!(body, Body::Stream(..) | Body::Chunks(_)) {
            return Ok(response);
        }
        self.authorities[at].meet(&mut self.client, &response, &self.scope)?;
        response.finish();
        self.send_once(at, method, url, headers, body)
    }

    fn send_once(
        &mut self,
        at: usize,
        method: &'static str,
        url: Url,
        headers: Headers,
        body: &mut Body,
    ) -> Result<Response> {
        let mut headers = Vec::from(headers);
        if url.same_server(&self.endpoints[at].base) {
            let header = self.authorities[at].header(&self.scope);
            headers.extend(header.map(|header| ("Authorization", header)));
        }
        let body = match body {
            Body::None => Body::None,
            Body::Bytes(bytes) => Body::Bytes(bytes),
            Body::Stream(length, content) => Body::Stream(*length, *content),
            Body::Chunks(content) => Body::Chunks(*content),
        };
        self.client.send(&mut Request { method, url, headers, body })
    }

    /// Asks for the right to read another repository too.
    pub fn also_read(&mut self, repository: &str) {
        self.scope.push_str(&format!(" repository:{repository}:pull"));
    }

    /// Where uploads and manifests go.
    pub fn address(&mut self, path: &str) -> Result<Url> {
        self.find_out(0)?;
        let base = &self.endpoints[0].base;
        Ok(Url { path: format!("{}/v2/{}/{path}", base.path, self.repository), ..base.clone() })
    }

    /// How often a request is sent again.
    pub fn retries(&self) -> u32 {
        self.retries
    }
}

/// The pause before the request is sent again for the `failures`th time.
pub fn back_off(failures: u32) -> Nanoseconds {
    FIRST_PAUSE << failures.min(8)
}

/// Whether a failure may pass: too many requests, or the server is in trouble.
pub fn is_passing(status: u16) -> bool {
    matches!(status, 408 | 429 | 500 | 502 | 503 | 504)
}

/// Nobody was there: waiting a few seconds will hardly help.
fn is_absent(error: &Error) -> bool {
    use rustix::io::Errno;
    matches!(error.errno(), Some(Errno::CONNREFUSED | Errno::HOSTUNREACH | Errno::NETUNREACH))
}

/// The pause that a server asks for.
fn asked_pause(response: &Response) -> Option<Nanoseconds> {
    let seconds: u64 = response.headers.get("retry-after")?.parse().ok()?;
    Some(seconds.min(LONGEST_PAUSE) * SECOND)
}

/// What a registry meant by a status that is no success.
pub fn refusal(response: Response) -> Error {
    let (status, url) = (response.status, response.url.clone());
    let bytes = response.bytes(MAX_FAILURE).unwrap_or_default();
    let text = core::str::from_utf8(&bytes).unwrap_or_default();
    let failures: Failures = json::parse(text, "").unwrap_or_default();
    let mut words = String::new();
    for failure in failures.errors.iter().take(3) {
        let word = failure.message.as_ref().or(failure.code.as_ref()).map_or("", String::as_str);
        // Somebody else's words, on one line and not too many.
        let word: String = word.chars().filter(|c| !c.is_control()).take(200).collect();
        words.push_str(if words.is_empty() { ": " } else { ", " });
        words.push_str(&word);
    }
    let error = Error::new(format_args!("{url} answered with {status}{words}"));
    match status {
        401 | 403 => {
            error.hint(format!("`servin login {}`? or there is no such repository", url.authority()))
        }
        404 => error.hint("there is no such image"),
        429 => error.hint("too many requests for one address: log in, or try again later"),
        _ => error,
    }
}

/// The tags of the repository, page after page.
pub fn tags(session: &mut Session) -> Result<Vec<String>> {
    let mut tags = Vec::new();
    let mut path = String::from("tags/list?n=1000");
    for _ in 0..MAX_PAGES {
        let response = session.get("GET", &path, &[])?;
        let next = response.headers.get("link").and_then(next_page);
        let bytes = response.bytes(MAX_TAGS)?;
        let text = core::str::from_utf8(&bytes).unwrap_or_default();
        tags.extend(json::parse::<Tags>(text, "the list of tags")?.tags);
        match next {
            Some(query) => path = format!("tags/list?{query}"),
            None => return Ok(tags),
        }
    }
    Err(Error::new("the list of tags has no end"))
}

/// The query of `</v2/…/tags/list?last=x&n=1000>; rel="next"` (RFC 8288).
fn next_page(link: &str) -> Option<String> {
    let (address, rest) = link.strip_prefix('<')?.split_once('>')?;
    let (_, query) = address.split_once('?')?;
    rest.contains("next").then(|| query.into())
}
