//! A name server with one name, whose answers by UDP are cut off: who wants them has to ask by TCP. Strangers' answers
//! come first, which nobody may believe.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

/// Listens on port 53 of the loopback until it is dropped.
pub struct NameServer {
    stopped: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Drop for NameServer {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::Relaxed);
        let wake = UdpSocket::bind("127.0.0.1:0").expect("a socket");
        let _ = wake.send_to(b"", "127.0.0.1:53");
        let _ = TcpStream::connect("127.0.0.1:53");
        self.threads.drain(..).for_each(|thread| thread.join().expect("it ended"));
    }
}

impl NameServer {
    pub fn start(name: &'static str) -> NameServer {
        let udp = UdpSocket::bind("127.0.0.1:53").expect("listen");
        let tcp = TcpListener::bind("127.0.0.1:53").expect("listen");
        let stopped = Arc::new(AtomicBool::new(false));
        let (stop_udp, stop_tcp) = (stopped.clone(), stopped.clone());
        let by_udp = thread::spawn(move || {
            let mut buffer = [0; 512];
            while let Ok((length, from)) = udp.recv_from(&mut buffer) {
                if stop_udp.load(Ordering::Relaxed) {
                    break;
                }
                let question = &buffer[..length];
                // Another number: an answer to somebody else.
                let mut strange = answer(question, name, [6, 6, 6, 6]);
                strange[0] ^= 0xff;
                let _ = udp.send_to(&strange, from);
                let mut cut = answer(question, name, [6, 6, 6, 6]);
                if cut[3] & 0xf == 0 {
                    cut[2] |= 2;
                    cut.truncate(length);
                    cut[7] = 0;
                }
                let _ = udp.send_to(&cut, from);
            }
        });
        let by_tcp = thread::spawn(move || {
            for mut stream in tcp.incoming().flatten() {
                if stop_tcp.load(Ordering::Relaxed) {
                    break;
                }
                let mut length = [0; 2];
                if stream.read_exact(&mut length).is_err() {
                    continue;
                }
                let mut question = vec![0; usize::from(u16::from_be_bytes(length))];
                if stream.read_exact(&mut question).is_ok() {
                    let answer = answer(&question, name, [127, 0, 0, 1]);
                    let _ = stream.write_all(&(answer.len() as u16).to_be_bytes());
                    let _ = stream.write_all(&answer);
                }
            }
        });
        NameServer { stopped, threads: vec![by_udp, by_tcp] }
    }
}

/// The address for the one name, no address of IPv6, and no other names.
fn answer(question: &[u8], name: &str, address: [u8; 4]) -> Vec<u8> {
    let mut wanted = Vec::new();
    for label in name.split('.') {
        wanted.push(label.len() as u8);
        wanted.extend(label.as_bytes());
    }
    wanted.push(0);
    let mut bytes = question.to_vec();
    bytes[2] = 0x81;
    bytes[3] = 0x80;
    let asked = &question[12..question.len() - 4];
    if asked != wanted {
        bytes[3] |= 3;
    } else if question[question.len() - 3] == 1 {
        bytes[7] = 1;
        bytes.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4]);
        bytes.extend(address);
    }
    bytes
}
