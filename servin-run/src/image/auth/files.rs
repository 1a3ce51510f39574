//! The files in which logins are kept: those of Docker and Podman (containers-auth.json(5)), and our own of the same
//! form, `HOME/auth.json`.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use rustix::fs::{CWD, Mode};
use rustix::io::Errno;

use crate::error::{Error, Result, Step};
use crate::fs::read_text;
use crate::fs::whole::write_whole;
use crate::gather::Gather as _;
use crate::image::base64;
use crate::image::environment::Environment;
use crate::image::reference::DEFAULT_REGISTRY;
use crate::spec::json::{self, Object, Value, object};
use crate::sys::path::mkdirat;

object! {
    /// A file of logins.
    pub struct Logins {
        /// By registry, or by registry and the beginning of a repository's name.
        "auths" => auths: Vec<(String, Login)>,
        /// Programs that keep a registry's login.
        "credHelpers" => helpers: Vec<(String, String)>,
        /// The program that keeps all others.
        "credsStore" => store: Option<String>,
    }

    /// A login.
    pub struct Login {
        /// `USER:PASSWORD` in Base64.
        "auth" => auth: Option<String>,
        /// The name.
        "username" => username: Option<String>,
        /// The password.
        "password" => password: Option<String>,
        /// A token instead of the password.
        "identitytoken" => identity: Option<String>,
    }
}

/// Who we are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Credentials {
    /// A name and a password.
    Password {
        /// The name.
        user: String,
        /// The password.
        password: String,
    },
    /// A token that stands for them (OAuth 2's refresh token).
    Identity(String),
}

/// Docker's word for its registry in these files.
const DOCKERS_KEY: &str = "https://index.docker.io/v1/";

/// The files that are looked at, in this order. One that was named must be there.
fn places(named: Option<&str>, environment: &Environment) -> Vec<(String, bool)> {
    let named = named.or_else(|| environment.variable("REGISTRY_AUTH_FILE"));
    if let Some(named) = named {
        return alloc::vec![(named.into(), true)];
    }
    let mut places = alloc::vec![format!("{}/auth.json", environment.home)];
    let mut below = |variable: &str, name: &str| {
        places.extend(environment.variable(variable).map(|folder| format!("{folder}/{name}")));
    };
    below("XDG_RUNTIME_DIR", "containers/auth.json");
    below("DOCKER_CONFIG", "config.json");
    below("HOME", ".docker/config.json");
    below("XDG_CONFIG_HOME", "containers/auth.json");
    below("HOME", ".config/containers/auth.json");
    places.into_iter().map(|place| (place, false)).gather()
}

/// The login for a repository, if there is one. `named` is the file of `--authfile`.
pub fn find(
    registry: &str,
    repository: &str,
    named: Option<&str>,
    environment: &Environment,
) -> Result<Option<Credentials>> {
    for (place, must) in places(named, environment) {
        let text = match read_text(&place) {
            Ok(text) => text,
            Err(error) if must => return Err(error),
            // Another user's file is none of ours.
            Err(_) => continue,
        };
        let logins: Logins = json::parse(&text, &place)?;
        if let Some(login) = best(&logins, registry, repository)
            && let Some(credentials) = credentials(login)
                .map_err(|why| Error::new(format_args!("{place}: the login for {registry} {why}")))?
        {
            return Ok(Some(credentials));
        }
        if let Some((_, program)) = logins.helpers.iter().find(|(key, _)| host_of(key) == registry) {
            return Err(Error::new(format_args!(
                "{place} leaves the login for {registry} to the program docker-credential-{program}, and Servin runs none"
            ))
            .hint(format!("`servin login {registry}` keeps one of its own")));
        }
    }
    Ok(None)
}

/// The login whose key is the longest that fits.
fn best<'a>(logins: &'a Logins, registry: &str, repository: &str) -> Option<&'a Login> {
    let whole = format!("{registry}/{repository}");
    let fits = |key: &str| {
        let key = normal(key);
        let rest = whole.strip_prefix(&*key)?;
        (rest.is_empty() || rest.starts_with('/')).then_some(key.len())
    };
    let fitting = logins.auths.iter().filter_map(|(key, login)| Some((fits(key)?, login)));
    fitting.max_by_key(|(length, _)| *length).map(|(_, login)| login)
}

/// A key without scheme and version: `https://index.docker.io/v1/` is `docker.io`.
fn normal(key: &str) -> String {
    let schemed = key.contains("://");
    let key = key.split_once("://").map_or(key, |(_, rest)| rest).trim_end_matches('/');
    let key = if schemed || key.matches('/').count() == 1 {
        key.strip_suffix("/v1").or_else(|| key.strip_suffix("/v2")).unwrap_or(key)
    } else {
        key
    };
    match key.split_once('/') {
        Some((host, rest)) => format!("{}/{rest}", host_of(host)),
        None => host_of(key),
    }
}

fn host_of(key: &str) -> String {
    match key {
        "index.docker.io" | "registry-1.docker.io" | "registry.hub.docker.com" => DEFAULT_REGISTRY.into(),
        _ if key.contains("://") => normal(key),
        _ => key.into(),
    }
}

fn credentials(login: &Login) -> core::result::Result<Option<Credentials>, &'static str> {
    let said = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
    if let Some(token) = said(&login.identity) {
        return Ok(Some(Credentials::Identity(token)));
    }
    if let Some(auth) = said(&login.auth) {
        let plain = base64::decode(auth.trim()).and_then(|bytes| String::from_utf8(bytes).ok());
        let plain = plain.ok_or("is not Base64")?;
        let (user, password) = plain.split_once(':').ok_or("has no password")?;
        // Docker fills some up with zeroes.
        let password = password.trim_end_matches('\0').into();
        return Ok(Some(Credentials::Password { user: user.into(), password }));
    }
    match (said(&login.username), said(&login.password)) {
        (Some(user), Some(password)) => Ok(Some(Credentials::Password { user, password })),
        _ => Ok(None),
    }
}

/// The file that `login` and `logout` change.
pub fn own(named: Option<&str>, environment: &Environment) -> String {
    let mut places = places(named, environment);
    places.swap_remove(0).0
}

/// Keeps a login in a file, or takes it out of it; says whether there was one. What else is in the file stays.
pub fn keep(file: &str, registry: &str, login: Option<(&str, &str)>) -> Result<bool> {
    let within = |error: Error| error.within(format_args!("keep the login in {file}"));
    let text = match read_text(file) {
        Err(error) if error.errno() == Some(Errno::NOENT) => String::from("{}"),
        other => other?,
    };
    // What is there must make sense to us before we write it again.
    json::parse::<Logins>(&text, file)?;
    let Ok(Value::Object(mut document)) = json::from_str(&text) else {
        return Err(Error::new(format_args!("{file}: not an object")));
    };
    let auths = document.entry("auths");
    if *auths == Value::Null {
        *auths = Value::Object(Object::new());
    }
    let Value::Object(auths) = auths else {
        return Err(Error::new(format_args!("{file}: auths is not an object")));
    };
    let before = auths.len();
    auths.retain(|key| normal(key) != registry);
    let was_known = auths.len() != before;
    if let Some((user, password)) = login {
        let mut entry = Object::new();
        entry.insert("auth", Value::String(base64::encode(format!("{user}:{password}").as_bytes())));
        let key = if registry == DEFAULT_REGISTRY { DOCKERS_KEY } else { registry };
        auths.insert(key, Value::Object(entry));
    } else if !was_known {
        return Ok(false);
    }
    make_folder(file).map_err(within)?;
    let text = json::to_json(&Value::Object(document));
    write_whole(CWD, file, &text, 0o600).step(|| format!("write {file}")).map_err(within)?;
    Ok(was_known)
}

/// Makes the folders above a file.
fn make_folder(file: &str) -> Result<()> {
    let Some((folder, _)) = file.rsplit_once('/') else { return Ok(()) };
    for (end, _) in folder.match_indices('/').chain([(folder.len(), "")]).filter(|(end, _)| *end > 0) {
        let path = &folder[..end];
        match mkdirat(CWD, path, Mode::RWXU) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(errno) => return Err(Error::os(format_args!("make {}", path), errno)),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str, registry: &str, repository: &str) -> Option<Credentials> {
        let logins: Logins = json::parse(text, "auth.json").expect("parsed");
        credentials(best(&logins, registry, repository)?).expect("valid")
    }

    fn password(user: &str, password: &str) -> Option<Credentials> {
        Some(Credentials::Password { user: user.into(), password: password.into() })
    }

    #[test]
    fn the_longest_key_that_fits_is_taken() {
        let text = r#"{"auths": {"r:5000": {"auth": "YTpi"}, "r:5000/team": {"auth": "YzpkOmU="}, "r:5000/team/x": {}, "other": {"identitytoken": "t"}}}"#;
        assert_eq!(found(text, "r:5000", "tea"), password("a", "b"));
        assert_eq!(found(text, "r:5000", "team/y"), password("c", "d:e"));
        assert_eq!(found(text, "r:500", "team"), None);
        assert_eq!(found(text, "other", "x"), Some(Credentials::Identity("t".into())));
    }

    #[test]
    fn dockers_keys_are_understood() {
        for key in ["https://index.docker.io/v1/", "docker.io", "index.docker.io/v1/", "registry-1.docker.io"]
        {
            let text = format!(r#"{{"auths": {{"{key}": {{"username": "u", "password": "p"}}}}}}"#);
            assert_eq!(found(&text, "docker.io", "library/alpine"), password("u", "p"), "{key}");
        }
        let text = r#"{"auths": {"http://r.example:5000/v2/": {"auth": "YTpi"}}}"#;
        assert_eq!(found(text, "r.example:5000", "x"), password("a", "b"));
    }

    #[test]
    fn a_login_is_kept_beside_what_else_is_there() {
        let folder = std::env::temp_dir().join(format!("servin-auth-{}", std::process::id()));
        let file = folder.join("deep/auth.json");
        let name = file.to_str().expect("UTF-8");
        assert!(!keep(name, "docker.io", Some(("u", "p"))).expect("kept"));
        assert!(keep(name, "docker.io", Some(("u", "q:r"))).expect("kept"));
        assert!(!keep(name, "r:1", Some(("v", "w"))).expect("kept"));
        let text = std::fs::read_to_string(&file).expect("read");
        assert_eq!(found(&text, "docker.io", "x"), password("u", "q:r"));
        std::fs::write(&file, text.replacen('{', "{\"detachKeys\": \"x\", ", 1)).expect("write");
        assert!(
            keep(name, "docker.io", None).expect("taken out")
                && !keep(name, "docker.io", None).expect("gone")
        );
        let text = std::fs::read_to_string(&file).expect("read");
        assert!(text.contains("detachKeys") && found(&text, "docker.io", "x").is_none(), "{text}");
        let mode =
            std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&file).expect("there").permissions());
        assert_eq!(mode & 0o777, 0o600);
        std::fs::remove_dir_all(folder).expect("clean up");
    }
}
