//! The client: it keeps connections, follows redirects and goes through proxies.

use alloc::boxed::Box;
use alloc::format;
use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec::Vec;
use core::cell::RefCell;

use servin_init::sys::clock::Nanoseconds;

use super::body::{Connection, Response};
use super::is_transient;
use super::proxy;
use super::stream::{Stream, Tcp};
use super::url::Url;
use crate::error::{Error, Result};
use crate::image::dns;
use crate::image::environment::Environment;
use crate::image::source::Read;

/// Connections that wait for the next request, by where they lead to.
pub(super) type Pool = Rc<RefCell<Vec<(Url, Connection)>>>;

const MAX_REDIRECTS: usize = 10;
/// How many interim answers (100, 103) may come before the one.
const MAX_INTERIM: usize = 8;
const BUFFER: usize = 64 << 10;
const AGENT: &str = concat!("servin/", env!("CARGO_PKG_VERSION"));

/// What a request carries.
pub enum Body<'a> {
    /// Nothing.
    None,
    /// These bytes.
    Bytes(&'a [u8]),
    /// So many bytes that are read while they are sent.
    Stream(u64, &'a mut dyn Read),
    /// Bytes that are read while they are sent, of unknown number.
    Chunks(&'a mut dyn Read),
}

/// A request.
pub struct Request<'a> {
    /// `GET`.
    pub method: &'static str,
    /// Where it goes.
    pub url: Url,
    /// Besides those that every request has. `Authorization` goes to this server alone, whatever the redirects.
    pub headers: Vec<(&'static str, String)>,
    /// What it carries.
    pub body: Body<'a>,
}

impl<'a> Request<'a> {
    /// A request without a body.
    pub fn new(method: &'static str, url: Url) -> Request<'a> {
        Request { method, url, headers: Vec::new(), body: Body::None }
    }
}

/// The client.
pub struct Client {
    environment: Environment,
    patience: Nanoseconds,
    /// Servers (`HOST:PORT`) whose certificates are not looked at.
    insecure: Vec<String>,
    pool: Pool,
    #[cfg(feature = "tls")]
    trusts: Vec<(String, crate::image::tls::Trust)>,
}

impl Client {
    /// A client without connections. `patience` is how long a server may keep silent.
    pub fn new(environment: Environment, patience: Nanoseconds, insecure: Vec<String>) -> Client {
        Client {
            environment,
            patience,
            insecure,
            pool: Pool::default(),
            #[cfg(feature = "tls")]
            trusts: Vec::new(),
        }
    }

    /// The same client for another process: it knows what this one knows and has no connections.
    pub fn again(&self) -> Client {
        Client {
            environment: self.environment.clone(),
            patience: self.patience,
            insecure: self.insecure.clone(),
            pool: Pool::default(),
            #[cfg(feature = "tls")]
            trusts: self.trusts.clone(),
        }
    }

    /// What it follows of the environment.
    pub fn environment(&self) -> &Environment {
        &self.environment
    }

    /// Sends a request and reads the head of its answer. Redirects are followed where nothing was carried.
    pub fn send(&mut self, request: &mut Request) -> Result<Response> {
        let origin = request.url.clone();
        for _ in 0..=MAX_REDIRECTS {
            let response = self.send_once(request)?;
            let moved = matches!(response.status, 301 | 302 | 303 | 307 | 308);
            let location = response.headers.get("location");
            let (true, "GET" | "HEAD", Some(location)) = (moved, request.method, location) else {
                return Ok(response);
            };
            let next = request
                .url
                .join(location)
                .map_err(|error| error.within(format_args!("{origin} leads on")))?;
            if !next.same_server(&request.url) {
                request.headers.retain(|(name, _)| *name != "Authorization");
            }
            request.url = next;
            response.finish();
        }
        Err(Error::new(format_args!("{origin} leads on more than {MAX_REDIRECTS} times, perhaps in circles")))
    }

    fn send_once(&mut self, request: &mut Request) -> Result<Response> {
        let within = format!("{} {}", request.method, request.url);
        while let Some(connection) = self.take_idle(&request.url) {
            let replayable = matches!(request.body, Body::None | Body::Bytes(_));
            match self.exchange(connection, request) {
                // The server may have ended the connection at the moment in which it was used again.
                Err(error) if replayable && is_transient(&error) => {}
                answer => return answer.map_err(|error| error.within(&within)),
            }
        }
        let connection = self.connect(&request.url)?;
        self.exchange(connection, request).map_err(|error| error.within(&within))
    }

    fn take_idle(&self, url: &Url) -> Option<Connection> {
        let mut pool = self.pool.borrow_mut();
        while let Some(at) = pool.iter().position(|(to, _)| to.same_server(url)) {
            let (_, connection) = pool.remove(at);
            if connection.is_quiet() {
                return Some(connection);
            }
        }
        None
    }

    /// A connection to a server, or to the proxy that requests are to be sent to instead.
    fn connect(&mut self, url: &Url) -> Result<Connection> {
        let proxy = proxy::of(url, &self.environment)?;
        let Some(proxy) = proxy else {
            let stream = self.open(url)?;
            return Ok(Connection::new(self.secured(stream, url)?));
        };
        let stream = self.open(&proxy.url).and_then(|stream| self.secured(stream, &proxy.url));
        let mut connection =
            Connection::new(stream.map_err(|error| error.within(format_args!("the proxy {}", proxy.url)))?);
        if !url.secure {
            connection.proxy = Some(proxy);
            return Ok(connection);
        }
        let to = format!("{}:{}", url.host, url.port);
        let mut head = format!("CONNECT {to} HTTP/1.1\r\nHost: {to}\r\nUser-Agent: {AGENT}\r\n");
        add_header(&mut head, "Proxy-Authorization", proxy.authorization.as_deref());
        head.push_str("\r\n");
        connection.write(head.as_bytes())?;
        let status = connection.head()?.status;
        if !(200..300).contains(&status) {
            return Err(Error::new(format_args!("the proxy {} answered with {status} for {to}", proxy.url)));
        }
        Ok(Connection::new(self.secured(connection.into_stream(), url)?))
    }

    fn open(&self, url: &Url) -> Result<Box<dyn Stream>> {
        let addresses = dns::resolve(&url.host)?;
        Ok(Box::new(Tcp::connect(&url.host, &addresses, url.port, self.patience)?))
    }

    #[cfg(feature = "tls")]
    fn secured(&mut self, stream: Box<dyn Stream>, url: &Url) -> Result<Box<dyn Stream>> {
        use crate::image::tls::{self, Tls};
        if !url.secure {
            return Ok(stream);
        }
        let authority = url.authority();
        let known = self.trusts.iter().position(|(known, _)| *known == authority);
        let at = match known {
            Some(at) => at,
            None => {
                let insecure = self.insecure.contains(&authority);
                let trust = tls::configuration(&authority, insecure, &self.environment)?;
                self.trusts.push((authority, trust));
                self.trusts.len() - 1
            }
        };
        Ok(Box::new(Tls::connect(stream, &url.host, &self.trusts[at].1)?))
    }

    #[cfg(not(feature = "tls"))]
    fn secured(&mut self, stream: Box<dyn Stream>, url: &Url) -> Result<Box<dyn Stream>> {
        if !url.secure {
            return Ok(stream);
        }
        Err(Error::new(format_args!("{url} needs TLS, which this servin was built without"))
            .hint("a registry on this host, or one that is configured with plainHttp, does not need it"))
    }

    fn exchange(&mut self, mut connection: Connection, request: &mut Request) -> Result<Response> {
        let sent = send(&mut connection, request);
        if let Err(error) = &sent
            && !is_transient(error)
        {
            return Err(error.clone());
        }
        // Who refuses a body early may have said why before the connection broke.
        let mut head = match (connection.head(), sent) {
            (Err(_), Err(error)) => return Err(error),
            (head, _) => head?,
        };
        for _ in 0..MAX_INTERIM {
            if !(100..200).contains(&head.status) {
                break;
            }
            head = connection.head()?;
        }
        Response::new(head, request.method, request.url.clone(), connection, self.pool.clone())
    }
}

fn add_header(head: &mut String, name: &str, value: Option<&str>) {
    if let Some(value) = value {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
}

fn send(connection: &mut Connection, request: &mut Request) -> Result<()> {
    let (url, proxy) = (&request.url, &connection.proxy);
    let (method, authority) = (request.method, url.authority());
    // A proxy wants to be told where to (RFC 9112 section 3.2.2).
    let absolute = if proxy.is_some() { format!("http://{authority}") } else { String::new() };
    let mut head =
        format!("{method} {absolute}{} HTTP/1.1\r\nHost: {authority}\r\nUser-Agent: {AGENT}\r\n", url.path);
    add_header(
        &mut head,
        "Proxy-Authorization",
        proxy.as_ref().and_then(|proxy| proxy.authorization.as_deref()),
    );
    for (name, value) in &request.headers {
        if !value.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic()) {
            return Err(Error::new(format_args!(
                "the header {name} would have characters that none may have"
            )));
        }
        add_header(&mut head, name, Some(value));
    }
    let length = match &request.body {
        Body::None if matches!(method, "GET" | "HEAD" | "DELETE") => None,
        Body::None => Some(0),
        Body::Bytes(bytes) => Some(bytes.len() as u64),
        Body::Stream(length, _) => Some(*length),
        Body::Chunks(_) => {
            head.push_str("Transfer-Encoding: chunked\r\n");
            None
        }
    };
    if let Some(length) = length {
        head.push_str(&format!("Content-Length: {length}\r\n"));
    }
    head.push_str("\r\n");
    let mut head = head.into_bytes();
    if let Body::Bytes(bytes) = &request.body {
        head.extend_from_slice(bytes);
    }
    connection.write(&head)?;
    match &mut request.body {
        Body::None | Body::Bytes(_) => Ok(()),
        Body::Stream(length, content) => send_stream(connection, *length, *content),
        Body::Chunks(content) => send_chunks(connection, *content),
    }
}

fn send_stream(connection: &mut Connection, mut left: u64, content: &mut dyn Read) -> Result<()> {
    let mut buffer = alloc::vec![0; BUFFER];
    while left > 0 {
        let length = content.read(&mut buffer)?;
        if length == 0 || length as u64 > left {
            return Err(Error::new("what was to be sent has another length than was said"));
        }
        connection.write(&buffer[..length])?;
        left -= length as u64;
    }
    Ok(())
}

fn send_chunks(connection: &mut Connection, content: &mut dyn Read) -> Result<()> {
    let mut buffer = alloc::vec![0; BUFFER];
    loop {
        let length = content.read(&mut buffer)?;
        connection.write(format!("{length:x}\r\n").as_bytes())?;
        connection.write(&buffer[..length])?;
        connection.write(b"\r\n")?;
        if length == 0 {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{BufRead, BufReader, Write};
    use std::net::TcpListener;

    #[test]
    fn a_proxy_is_told_where_to_with_every_request_of_a_connection() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("listen");
        let proxy = format!("HTTP_PROXY=me:secret@{}", listener.local_addr().expect("bound"));
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().expect("accepted");
            let mut lines = BufReader::new(stream.try_clone().expect("a copy")).lines();
            let mut heads = Vec::new();
            for _ in 0..2 {
                let head = lines.by_ref().map(|line| line.expect("a line"));
                heads.push(head.take_while(|line| !line.is_empty()).collect::<Vec<_>>());
                stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").expect("answered");
            }
            heads
        });
        let environment = Environment { lines: [proxy].into(), ..Environment::default() };
        let mut client = Client::new(environment, 5_000_000_000, Vec::new());
        for path in ["one", "two"] {
            let url = Url::parse(&format!("http://registry.example/{path}")).expect("a URL");
            assert_eq!(client.send(&mut Request::new("GET", url)).expect("an answer").status, 200);
        }
        for (head, path) in server.join().expect("served").iter().zip(["one", "two"]) {
            assert_eq!(head[0], format!("GET http://registry.example/{path} HTTP/1.1"));
            assert!(head.contains(&"Proxy-Authorization: Basic bWU6c2VjcmV0".into()), "{head:?}");
        }
    }
}
