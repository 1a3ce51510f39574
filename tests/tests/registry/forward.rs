//! Between a client and a server: connections that are cut off, and a proxy.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

/// Passes connections on to a server and cuts the first ones off after so many bytes, until it is dropped.
pub struct Cutter {
    port: u16,
    stopped: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Cutter {
    pub fn start(port: u16, to: u16, after: usize, times: usize) -> Cutter {
        Cutter::with(port, times, after, move |_| TcpStream::connect(("127.0.0.1", to)).expect("connect"))
    }

    /// A proxy that lets clients through to any port of this host, whatever the host is called.
    pub fn proxy(port: u16) -> Cutter {
        Cutter::with(port, 0, 0, |client| {
            let mut reader = BufReader::new(client.try_clone().expect("copy"));
            let mut first = String::new();
            reader.read_line(&mut first).expect("read");
            let mut line = String::new();
            while line != "\r\n" {
                line.clear();
                reader.read_line(&mut line).expect("read");
            }
            let target = first.strip_prefix("CONNECT ").and_then(|rest| rest.strip_suffix(" HTTP/1.1\r\n"));
            let (_, to) = target.and_then(|target| target.rsplit_once(':')).expect("a host and a port");
            let server = TcpStream::connect(("127.0.0.1", to.parse().expect("a port"))).expect("connect");
            client.write_all(b"HTTP/1.1 200 Through\r\n\r\n").expect("answer");
            server
        })
    }

    fn with(
        port: u16,
        times: usize,
        after: usize,
        open: impl Fn(&mut TcpStream) -> TcpStream + Send + 'static,
    ) -> Cutter {
        let listener = TcpListener::bind(("127.0.0.1", port)).expect("listen");
        let stopped = Arc::new(AtomicBool::new(false));
        let stop = stopped.clone();
        let thread = thread::spawn(move || {
            let mut threads = Vec::new();
            for (number, mut client) in listener.incoming().flatten().enumerate() {
                if stop.load(Ordering::Relaxed) {
                    break;
                }
                let server = open(&mut client);
                let limit = if number < times { after } else { usize::MAX };
                threads.extend(pass(client, server, limit));
            }
            threads.into_iter().for_each(|thread| thread.join().expect("passed on"));
        });
        Cutter { port, stopped, thread: Some(thread) }
    }
}

impl Drop for Cutter {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::Relaxed);
        let _ = TcpStream::connect(("127.0.0.1", self.port));
        self.thread.take().expect("it runs").join().expect("it ended");
    }
}

/// Both directions of a connection.
fn pass(mut client: TcpStream, mut server: TcpStream, limit: usize) -> [JoinHandle<()>; 2] {
    let (mut up_from, mut up_to) = (client.try_clone().expect("copy"), server.try_clone().expect("copy"));
    let up = thread::spawn(move || {
        let _ = std::io::copy(&mut up_from, &mut up_to);
        let _ = up_to.shutdown(Shutdown::Write);
    });
    let down = thread::spawn(move || {
        let (mut passed, mut buffer) = (0, [0; 16384]);
        while let Ok(length @ 1..) = server.read(&mut buffer) {
            passed += length;
            if client.write_all(&buffer[..length]).is_err() || passed > limit {
                break;
            }
        }
        let _ = (client.shutdown(Shutdown::Both), server.shutdown(Shutdown::Both));
    });
    [up, down]
}
