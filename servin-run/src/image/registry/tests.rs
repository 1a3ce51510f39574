//! A registry against servers that do as they please: each is a few scripted answers on a socket of this host.

use std::io::{BufRead, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use super::*;
use crate::image::http::Url;
use crate::image::source::Sink;

/// What a server was asked: the first line, the headers, the body.
#[derive(Debug, Clone)]
struct Asked {
    line: String,
    headers: Vec<String>,
    body: Vec<u8>,
}

impl Asked {
    fn header(&self, name: &str) -> Option<&str> {
        let found = self
            .headers
            .iter()
            .find_map(|line| line.split_once(": ").filter(|(n, _)| n.eq_ignore_ascii_case(name)));
        found.map(|(_, value)| value)
    }
}

/// A server that answers each request by `answer`, which gives the bytes to send; the connection ends after an answer
/// that says `Connection: close`.
struct Server {
    authority: String,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Server {
    fn start(answer: impl Fn(&Asked, usize) -> Vec<u8> + Send + Sync + 'static) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").expect("listen");
        let authority = listener.local_addr().expect("bound").to_string();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (log, answer) = (asked.clone(), Arc::new(answer));
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (log, answer) = (log.clone(), answer.clone());
                thread::spawn(move || serve(stream, &log, &*answer));
            }
        });
        Server { authority, asked }
    }

    fn asked(&self) -> Vec<Asked> {
        self.asked.lock().expect("the log").clone()
    }

    /// The repository `x` of this server.
    fn registry(&self, options: &str, credentials: Option<Credentials>) -> Registry {
        registry(
            &self.authority,
            &format!(r#"{{"registries": {{{options}}}, "timeout": 1, "retries": 2}}"#),
            credentials,
        )
    }
}

fn registry(authority: &str, configuration: &str, credentials: Option<Credentials>) -> Registry {
    let configuration = crate::spec::json::parse(configuration, "registries.json").expect("a configuration");
    let environment = Environment::default();
    let session = Session::new(authority, "x", &configuration, credentials, &environment, true);
    Registry { session: session.expect("a session"), others: Vec::new() }
}

fn serve(stream: TcpStream, log: &Mutex<Vec<Asked>>, answer: &dyn Fn(&Asked, usize) -> Vec<u8>) {
    let mut reader = BufReader::new(stream.try_clone().expect("a second descriptor"));
    let mut writer = stream;
    loop {
        let mut lines = Vec::new();
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line).unwrap_or(0) == 0 {
                return;
            }
            if line.trim_end().is_empty() {
                break;
            }
            lines.push(line.trim_end().to_owned());
        }
        let line = lines.remove(0);
        let mut asked = Asked { line, headers: lines, body: Vec::new() };
        let length = asked.header("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
        asked.body.resize(length, 0);
        if reader.read_exact(&mut asked.body).is_err() {
            return;
        }
        // Whether this host's registry speaks TLS is asked first, and is not what the tests are about.
        if asked.line.starts_with("GET /v2/ ") {
            let _ = writer.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
            continue;
        }
        let number = {
            let mut log = log.lock().expect("the log");
            log.push(asked.clone());
            log.len()
        };
        let bytes = answer(&asked, number);
        let _ = writer.write_all(&bytes);
        if bytes.windows(17).any(|window| window == b"Connection: close") {
            return;
        }
    }
}

fn ok(body: &str) -> Vec<u8> {
    with("200 OK", "", body)
}

fn with(status: &str, headers: &str, body: &str) -> Vec<u8> {
    format!("HTTP/1.1 {status}\r\n{headers}Content-Length: {}\r\n\r\n{body}", body.len()).into_bytes()
}

fn all(mut content: Box<dyn Read + '_>) -> Result<Vec<u8>> {
    let (mut bytes, mut buffer) = (Vec::new(), [0; 7]);
    loop {
        match content.read(&mut buffer)? {
            0 => return Ok(bytes),
            length => bytes.extend(&buffer[..length]),
        }
    }
}

#[test]
fn a_manifest_comes_with_its_type_and_one_connection_serves_many_requests() {
    let server = Server::start(|_, _| {
        with("200 OK", "Content-Type: application/vnd.oci.image.index.v1+json; x=y\r\n", "{}")
    });
    let mut registry = server.registry("", None);
    for _ in 0..3 {
        let (bytes, kind) = registry.manifest("1.0").expect("a manifest");
        assert_eq!((&*bytes, &*kind), (&b"{}"[..], "application/vnd.oci.image.index.v1+json"));
    }
    let asked = &server.asked()[0];
    assert_eq!(asked.line, "GET /v2/x/manifests/1.0 HTTP/1.1");
    assert_eq!(asked.header("host"), Some(&*server.authority));
    assert!(asked.header("user-agent").is_some_and(|agent| agent.starts_with("servin/")));
    assert!(asked.header("accept").is_some_and(|accept| accept.contains("manifest.list.v2+json")));
}

#[test]
fn a_download_that_breaks_goes_on_where_it_broke() {
    let server = Server::start(|asked, _| {
        match asked.header("range") {
        None => b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\nConnection: close\r\n\r\n0123".to_vec(),
        Some("bytes=4-") => b"HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 4-9/10\r\nContent-Length: 6\r\nConnection: close\r\n\r\n4".to_vec(),
        Some("bytes=5-") => with("206 Partial Content", "Content-Range: bytes 5-9/10\r\n", "56789"),
        other => panic!("{other:?}"),
    }
    });
    let mut registry = server.registry("", None);
    assert_eq!(all(registry.blob("sha256:a", 0).expect("begun")).expect("whole"), b"0123456789");
}

#[test]
fn a_server_without_ranges_sends_again_what_is_thrown_away() {
    let server = Server::start(|_, _| ok("0123456789"));
    let mut registry = server.registry("", None);
    assert_eq!(all(registry.blob("sha256:a", 4).expect("begun")).expect("whole"), b"456789");
    assert_eq!(server.asked()[0].header("range"), Some("bytes=4-"));
}

#[test]
fn another_part_than_was_asked_for_is_refused() {
    let server =
        Server::start(|_, _| with("206 Partial Content", "Content-Range: bytes 0-9/10\r\n", "0123456789"));
    let error = server.registry("", None).blob("sha256:a", 4).err().expect("refused");
    assert!(error.to_string().contains("another part"), "{error}");
}

#[test]
fn a_server_that_always_breaks_or_stalls_is_given_up() {
    let breaks =
        Server::start(|_, _| b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\nConnection: close\r\n\r\n".to_vec());
    let mut registry = breaks.registry("", None);
    let error = all(registry.blob("sha256:a", 0).expect("begun")).expect_err("gave up");
    assert!(error.to_string().contains("less than it had said"), "{error}");
    assert_eq!(breaks.asked().len(), 3, "two retries");
    let stalls = Server::start(|_, _| b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n012".to_vec());
    let mut registry = registry_without_retries(&stalls);
    let error = all(registry.blob("sha256:a", 0).expect("begun")).expect_err("gave up");
    assert!(error.to_string().contains("timed out"), "{error}");
}

fn registry_without_retries(server: &Server) -> Registry {
    registry(&server.authority, r#"{"timeout": 1, "retries": 0}"#, None)
}

#[test]
fn redirects_in_circles_end_and_the_login_stays_behind() {
    let elsewhere = Server::start(|_, _| ok("content"));
    let other = elsewhere.authority.replace("127.0.0.1", "localhost");
    let server =
        Server::start(move |asked, _| match (asked.line.contains("circle"), asked.header("authorization")) {
            (true, _) => with("307 Temporary Redirect", "Location: /v2/x/blobs/circle\r\n", ""),
            (_, None) => with("401 Unauthorized", "WWW-Authenticate: Basic realm=\"r\"\r\n", ""),
            _ => with("307 Temporary Redirect", &format!("Location: http://{other}/signed?by=them\r\n"), ""),
        });
    let login = Credentials::Password { user: "u".into(), password: "p".into() };
    let mut registry = server.registry("", Some(login));
    assert_eq!(all(registry.blob("sha256:a", 0).expect("begun")).expect("whole"), b"content");
    assert_eq!(server.asked()[1].header("authorization"), Some("Basic dTpw"));
    assert_eq!(elsewhere.asked()[0].header("authorization"), None);
    let error = registry.blob("circle", 0).err().expect("refused");
    assert!(error.to_string().contains("in circles"), "{error}");
}

#[test]
fn a_token_is_fetched_once_and_again_when_it_is_not_good_any_more() {
    let tokens = Server::start(|asked, number| {
        assert_eq!(asked.line, "GET /token?service=reg&scope=repository%3Ax%3Apull%2Cpush HTTP/1.1");
        ok(&format!(r#"{{"token": "t{number}", "expires_in": 60}}"#))
    });
    let realm = format!(
        "WWW-Authenticate: Bearer realm=\"http://{}/token\",service=\"reg\",scope=\"x\"\r\n",
        tokens.authority
    );
    let server = Server::start(move |asked, number| {
        let good = if number < 4 { "Bearer t1" } else { "Bearer t2" };
        if asked.header("authorization") == Some(good) {
            ok("{}")
        } else {
            with("401 Unauthorized", &realm, "")
        }
    });
    let mut registry = server.registry("", None);
    for _ in 0..4 {
        registry.manifest("latest").expect("granted");
    }
    assert_eq!(tokens.asked().len(), 2);
    assert_eq!(tokens.asked()[0].header("authorization"), None);
}

#[test]
fn an_identity_token_is_changed_for_one_that_is_good_here() {
    let tokens = Server::start(|asked, _| {
        assert!(asked.line.starts_with("POST /token "));
        let form = String::from_utf8_lossy(&asked.body).into_owned();
        assert!(
            form.contains("grant_type=refresh_token") && form.ends_with("&refresh_token=a%2Fb"),
            "{form}"
        );
        ok(r#"{"access_token": "good"}"#)
    });
    let realm =
        format!("WWW-Authenticate: Bearer realm=\"http://{}/token\",service=\"reg\"\r\n", tokens.authority);
    let server = Server::start(move |asked, _| match asked.header("authorization") {
        Some("Bearer good") => ok("{}"),
        _ => with("401 Unauthorized", &realm, ""),
    });
    server.registry("", Some(Credentials::Identity("a/b".into()))).manifest("latest").expect("granted");
}

#[test]
fn a_login_that_is_refused_says_what_to_do() {
    let server =
        Server::start(|_, _| with("401 Unauthorized", "WWW-Authenticate: Basic realm=\"r\"\r\n", ""));
    let error = server.registry("", None).manifest("latest").expect_err("refused");
    assert!(error.to_string().contains("`servin login 127.0.0.1:"), "{error}");
}

#[test]
fn trouble_that_passes_is_waited_for_and_words_of_refusal_are_shown() {
    let server = Server::start(|_, number| match number {
        1 => with("503 Service Unavailable", "Retry-After: 0\r\n", "busy"),
        2 => with("429 Too Many Requests", "", ""),
        3 => ok("{}"),
        _ => with(
            "404 Not Found",
            "",
            r#"{"errors": [{"code": "MANIFEST_UNKNOWN", "message": "manifest\nunknown"}]}"#,
        ),
    });
    let mut registry = server.registry("", None);
    registry.manifest("latest").expect("waited");
    let error = registry.manifest("latest").expect_err("refused");
    assert!(
        error.to_string().ends_with("answered with 404: manifestunknown: there is no such image"),
        "{error}"
    );
}

#[test]
fn a_mirror_is_asked_first_and_the_registry_where_it_has_not_got_it() {
    let mirror = Server::start(|asked, _| match asked.line.contains("latest") {
        true => ok("of the mirror"),
        false => with("404 Not Found", "", ""),
    });
    let server = Server::start(|_, _| ok("of the registry"));
    let options = format!(r#""{}": {{"mirrors": ["http://{}/deep/"]}}"#, server.authority, mirror.authority);
    let configuration = format!(r#"{{"registries": {{{options}}}}}"#);
    let configuration = crate::spec::json::parse(&configuration, "registries.json").expect("a configuration");
    let environment = Environment::default();
    let session = Session::new(&server.authority, "x", &configuration, None, &environment, false);
    let mut registry = Registry { session: session.expect("a session"), others: Vec::new() };
    assert_eq!(registry.manifest("latest").expect("there").0, b"of the mirror");
    assert_eq!(mirror.asked()[0].line, "GET /deep/v2/x/manifests/latest HTTP/1.1");
    assert_eq!(registry.manifest("old").expect("there").0, b"of the registry");
}

#[test]
fn a_document_without_end_is_cut_off() {
    let server = Server::start(|_, _| {
        let mut bytes = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n500001\r\n".to_vec();
        bytes.resize(bytes.len() + 0x50_0001, b' ');
        bytes.extend(b"\r\n0\r\n\r\n");
        bytes
    });
    let error = server.registry("", None).manifest("latest").expect_err("refused");
    assert!(error.to_string().contains("more than 4194304 bytes"), "{error}");
}

#[test]
fn a_registry_that_answers_in_another_protocol_is_refused() {
    for answer in [
        "SSH-2.0-OpenSSH_9.2\r\n",
        "HTTP/2 200\r\n\r\n",
        "HTTP/1.1 999 x\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx",
    ] {
        let server = Server::start(move |_, _| [answer.as_bytes(), b"Connection: close"].concat());
        let error = server.registry("", None).manifest("latest").expect_err("refused");
        let text = error.to_string();
        assert!(
            text.contains("not an answer of HTTP/1.1") || text.contains("wait for an answer"),
            "{answer}: {text}"
        );
    }
}

#[test]
fn a_blob_is_pushed_to_where_the_registry_wants_it() {
    let server = Server::start(|asked, _| {
        let (method, path) = asked.line.split_once(' ').expect("a request");
        match method {
            "HEAD" => b"HTTP/1.1 404 Not Found\r\nContent-Length: 5\r\n\r\n".to_vec(),
            "POST" if path.contains("mount=sha256%3Ab") => with("201 Created", "", ""),
            "POST" => with("202 Accepted", "Location: /up/1?state=a%2Fb\r\n", ""),
            _ => with("201 Created", "", ""),
        }
    });
    let mut registry = server.registry("", None);
    assert!(!registry.has_blob("sha256:a").expect("asked"));
    registry.mount_from(vec!["team/y".into()]);
    let open = &mut |_| -> Result<Box<dyn Read>> { panic!("it was mounted") };
    registry.put_blob("sha256:b", 7, open).expect("mounted");
    registry.mount_from(Vec::new());
    struct Words(&'static [u8]);
    impl Read for Words {
        fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
            let length = self.0.len().min(buffer.len()).min(3);
            buffer[..length].copy_from_slice(&self.0[..length]);
            self.0 = &self.0[length..];
            Ok(length)
        }
    }
    let open = &mut |_| -> Result<Box<dyn Read>> { Ok(Box::new(Words(b"content"))) };
    registry.put_blob("sha256:a", 7, open).expect("pushed");
    registry.put_manifest("1.0", b"{}", "application/x").expect("pushed");
    let asked = server.asked();
    let lines: Vec<&str> = asked.iter().map(|asked| asked.line.trim_end_matches(" HTTP/1.1")).collect();
    assert_eq!(
        lines,
        [
            "HEAD /v2/x/blobs/sha256:a",
            "POST /v2/x/blobs/uploads/?mount=sha256%3Ab&from=team%2Fy",
            "POST /v2/x/blobs/uploads/",
            "PUT /up/1?state=a%2Fb&digest=sha256%3Aa",
            "PUT /v2/x/manifests/1.0",
        ]
    );
    assert_eq!((&*asked[3].body, &*asked[4].body), (&b"content"[..], &b"{}"[..]));
    let error = registry.put_blob("sha256:a", 9, open).expect_err("too short");
    assert!(error.to_string().contains("another length"), "{error}");
}

#[test]
fn a_blob_goes_in_pieces_where_the_registry_asks_for_that_and_on_where_it_broke() {
    // It takes 20 MiB at least at a time, loses the second piece but for some bytes, and wants another login then.
    let lost = AtomicBool::new(false);
    let server = Server::start(move |asked, _| {
        let (method, path) = asked.line.split_once(' ').expect("a request");
        let lose = method == "PATCH" && path.contains("/up/2") && !lost.swap(true, Ordering::Relaxed);
        match method {
            "POST" => with("202 Accepted", "Location: /up/1\r\nOCI-Chunk-Min-Length: 20971520\r\n", ""),
            "PATCH" if lose => with("503 Busy", "", ""),
            "PATCH" => with("202 Accepted", "Location: /up/2\r\n", ""),
            "GET" => with("204 No Content", "Location: /up/3\r\nRange: 0-20971619\r\n", ""),
            _ => with("201 Created", "", ""),
        }
    });
    let size: u64 = (20 << 20) + 1000;
    struct Zeros;
    impl Read for Zeros {
        fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
            buffer.fill(0);
            Ok(buffer.len())
        }
    }
    let mut from = Vec::new();
    let open = &mut |at| -> Result<Box<dyn Read>> {
        from.push(at);
        Ok(Box::new(Zeros))
    };
    server.registry("", None).put_blob("sha256:a", size, open).expect("pushed");
    assert_eq!(from, [0, 20 << 20, (20 << 20) + 100]);
    let sent: Vec<(String, Option<String>)> = server
        .asked()
        .iter()
        .map(|asked| {
            let line = asked.line.trim_end_matches(" HTTP/1.1").to_owned();
            (line, asked.header("content-range").map(str::to_owned))
        })
        .collect();
    let range = |line: &str, range: &str| (line.to_string(), (!range.is_empty()).then(|| range.to_string()));
    assert_eq!(
        sent,
        [
            range("POST /v2/x/blobs/uploads/", ""),
            range("PATCH /up/1", "0-20971519"),
            range("PATCH /up/2", "20971520-20972519"),
            range("GET /up/2", ""),
            range("PATCH /up/3", "20971620-20972519"),
            range("PUT /up/2?digest=sha256%3Aa", ""),
        ]
    );
}

#[test]
fn a_proxy_is_asked_for_the_whole_address() {
    let proxy = Server::start(|_, _| ok("{}"));
    let lines = vec![format!("HTTP_PROXY=u:p@{}", proxy.authority)];
    let environment = Environment { lines, ..Environment::default() };
    let configuration =
        crate::spec::json::parse(r#"{"registries": {"far.example": {"plainHttp": true}}}"#, "")
            .expect("valid");
    let session =
        Session::new("far.example", "x", &configuration, None, &environment, false).expect("a session");
    Registry { session, others: Vec::new() }.manifest("latest").expect("by the proxy");
    let asked = &proxy.asked()[0];
    assert_eq!(asked.line, "GET http://far.example/v2/x/manifests/latest HTTP/1.1");
    assert_eq!(
        (asked.header("host"), asked.header("proxy-authorization")),
        (Some("far.example"), Some("Basic dTpw"))
    );
    let refused = Server::start(|asked, _| {
        assert_eq!(asked.line, "CONNECT far.example:443 HTTP/1.1");
        with("403 Forbidden", "", "")
    });
    let lines = vec![format!("https_proxy=http://{}", refused.authority)];
    let environment = Environment { lines, ..Environment::default() };
    let mut client = crate::image::http::Client::new(environment, 1_000_000_000, Vec::new());
    let url = Url::parse("https://far.example/").expect("a URL");
    let error = client.send(&mut crate::image::http::Request::new("GET", url)).err().expect("refused");
    assert!(error.to_string().contains("answered with 403 for far.example:443"), "{error}");
}
