//! Who we are to a registry: what it challenges us with (RFC 9110 section 11, RFC 6750, the distribution's token
//! specification), and what the files of `servin login`, Docker and Podman know about it.

pub mod challenge;
pub mod files;

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use self::challenge::Challenge;
pub use self::files::Credentials;
use super::base64;
use super::http::url::escape;
use super::http::{Body, Client, Request, Response, Url};
use crate::error::{Error, Result};
use crate::spec::json::{self, object};

/// The most bytes of a token's document.
const MAX_TOKEN: usize = 256 << 10;

object! {
    /// What a token server answers.
    pub struct Token {
        /// The token.
        "token" => token: Option<String>,
        /// The same, in the words of OAuth 2.
        "access_token" => access_token: Option<String>,
    }
}

/// What is known about one registry.
#[derive(Debug, Clone, Default)]
pub struct Authority {
    /// Who we are; nobody where there is no login.
    pub credentials: Option<Credentials>,
    /// The header for each scope that was granted; the empty scope is that of passwords.
    granted: Vec<(String, String)>,
}

impl Authority {
    /// Nothing is known yet but who we are.
    pub fn new(credentials: Option<Credentials>) -> Authority {
        Authority { credentials, granted: Vec::new() }
    }

    /// The value of `Authorization` for a scope, as far as it was granted before.
    pub fn header(&self, scope: &str) -> Option<String> {
        let known = |wanted: &str| self.granted.iter().find(|(scope, _)| scope == wanted);
        known(scope).or_else(|| known("")).map(|(_, header)| header.clone())
    }

    /// Meets the challenges of a response of status 401.
    pub fn meet(&mut self, client: &mut Client, response: &Response, scope: &str) -> Result<()> {
        // What was granted before is not good any more.
        self.granted.retain(|(known, _)| known != scope && !known.is_empty());
        let mut challenges: Vec<Challenge> = Vec::new();
        response.headers.all("www-authenticate").for_each(|value| challenges.extend(challenge::parse(value)));
        let find = |scheme: &str| challenges.iter().find(|found| found.scheme.eq_ignore_ascii_case(scheme));
        if let Some(bearer) = find("bearer") {
            let token = self.token(client, &response.url, bearer, scope)?;
            self.granted.push((scope.into(), format!("Bearer {token}")));
            return Ok(());
        }
        let Some(_) = find("basic") else {
            return Err(Error::new(format_args!(
                "{} wants a login of a kind that Servin does not know",
                response.url
            )));
        };
        let Some(Credentials::Password { user, password }) = &self.credentials else {
            return Err(denied(&response.url));
        };
        self.granted.push((String::new(), basic(user, password)));
        Ok(())
    }

    /// Fetches a token from the server that the registry names.
    fn token(&self, client: &mut Client, from: &Url, bearer: &Challenge, scope: &str) -> Result<String> {
        let realm = bearer
            .parameter("realm")
            .ok_or_else(|| Error::new(format_args!("{from} names no token server")))?;
        let mut url =
            Url::parse(realm).map_err(|error| error.within(format_args!("the token server of {from}")))?;
        if from.secure && !url.secure && self.credentials.is_some() {
            return Err(Error::new(format_args!(
                "{from} wants the password to be sent to {url}, which is not encrypted"
            )));
        }
        let service = bearer.parameter("service").unwrap_or_default();
        let scope = if scope.is_empty() { bearer.parameter("scope").unwrap_or_default() } else { scope };
        let mut query = format!("service={}", escape(service));
        for scope in scope.split(' ').filter(|scope| !scope.is_empty()) {
            query.push_str(&format!("&scope={}", escape(scope)));
        }
        let form;
        let mut request = match &self.credentials {
            Some(Credentials::Identity(token)) => {
                let scope = escape(scope);
                form = format!(
                    "grant_type=refresh_token&client_id=servin&service={}&scope={scope}&refresh_token={}",
                    escape(service),
                    escape(token)
                );
                let mut request = Request::new("POST", url);
                request.headers.push(("Content-Type", "application/x-www-form-urlencoded".into()));
                request.body = Body::Bytes(form.as_bytes());
                request
            }
            credentials => {
                let separator = if url.path.contains('?') { '&' } else { '?' };
                url.path.push_str(&format!("{separator}{query}"));
                let mut request = Request::new("GET", url);
                if let Some(Credentials::Password { user, password }) = credentials {
                    request.headers.push(("Authorization", basic(user, password)));
                }
                request
            }
        };
        let response = client.send(&mut request)?;
        let (status, url) = (response.status, response.url.clone());
        if matches!(status, 400 | 401 | 403) {
            return Err(denied(&url));
        }
        if status != 200 {
            return Err(Error::new(format_args!("{url} answered with {status} instead of a token")));
        }
        let bytes = response.bytes(MAX_TOKEN)?;
        let text = core::str::from_utf8(&bytes).unwrap_or_default();
        let answer: Token = json::parse(text, "the answer of the token server")?;
        let token = answer.token.or(answer.access_token).filter(|token| !token.is_empty());
        token.ok_or_else(|| Error::new(format_args!("{url} answered without a token")))
    }
}

fn denied(url: &Url) -> Error {
    Error::new(format_args!("{url} denied the access")).hint(format!("`servin login {}`?", url.authority()))
}

fn basic(user: &str, password: &str) -> String {
    format!("Basic {}", base64::encode(format!("{user}:{password}").as_bytes()))
}
