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

    /// Cuts off what goes to the server.
    pub fn upwards(port: u16, to: u16, after: usize, times: usize) -> Cutter {
        let open = move |_: &mut TcpStream| TcpStream::connect(("127.0.0.1", to)).expect("connect");
        Cutter::serve(port, open, move |number, client, server| {
            let limit = if number < times { after } else { usize::MAX };
            pass(client, server, limit, usize::MAX)
        })
    }

    /// Answers requests whose bodies are longer than `most` itself, and passes all others on, one a connection.
    pub fn narrow(port: u16, to: u16, most: usize) -> Cutter {
        let open = move |client: &mut TcpStream| {
            let mut head = Vec::new();
            let mut byte = [0];
            while !head.ends_with(b"\r\n\r\n") && client.read(&mut byte).is_ok_and(|length| length == 1) {
                head.push(byte[0]);
            }
            let head = String::from_utf8(head).expect("a head");
            let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: ")?.parse().ok());
            let mut server = TcpStream::connect(("127.0.0.1", to)).expect("connect");
            if length.unwrap_or(0) > most {
                let _ = client.write_all(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n");
                // What is on its way is taken, so that the answer is not lost with the connection.
                let _ = client.shutdown(Shutdown::Write);
                let _ = std::io::copy(&mut client.take(length.unwrap_or(0) as u64), &mut std::io::sink());
            } else {
                let head = head.replacen("\r\n", "\r\nConnection: close\r\n", 1);
                server.write_all(head.as_bytes()).expect("pass a head on");
            }
            server
        };
        Cutter::serve(port, open, |_, client, server| pass(client, server, usize::MAX, usize::MAX))
    }

    fn with(
        port: u16,
        times: usize,
        after: usize,
        open: impl Fn(&mut TcpStream) -> TcpStream + Send + 'static,
    ) -> Cutter {
        Cutter::serve(port, open, move |number, client, server| {
            pass(client, server, usize::MAX, if number < times { after } else { usize::MAX })
        })
    }

    fn serve(
        port: u16,
        open: impl Fn(&mut TcpStream) -> TcpStream + Send + 'static,
        pass: impl Fn(usize, TcpStream, TcpStream) -> [JoinHandle<()>; 2] + Send + 'static,
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
                threads.extend(pass(number, client, server));
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

/// Both directions of a connection, each cut off after so many bytes.
fn pass(client: TcpStream, server: TcpStream, most_up: usize, most_down: usize) -> [JoinHandle<()>; 2] {
    let copy = |stream: &TcpStream| stream.try_clone().expect("copy");
    let up = (copy(&client), copy(&server), most_up);
    [up, (server, client, most_down)].map(|(mut from, mut to, limit)| {
        thread::spawn(move || {
            let (mut passed, mut buffer) = (0, [0; 16384]);
            let mut cut = true;
            while let Ok(length) = from.read(&mut buffer) {
                passed += length;
                // Who has nothing more to say may still be told something.
                cut = length > 0;
                if !cut || to.write_all(&buffer[..length]).is_err() || passed > limit {
                    break;
                }
            }
            match cut {
                true => drop((to.shutdown(Shutdown::Both), from.shutdown(Shutdown::Both))),
                false => drop(to.shutdown(Shutdown::Write)),
            }
        })
    })
}
