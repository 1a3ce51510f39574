//! Servers and clients: who hears whom over a network, and as whom.

use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::thread;
use std::time::Duration;

use crate::{number, say, sys};

/// How long a client waits for an answer.
const PATIENCE: Duration = Duration::from_secs(2);
/// The longest datagram that is answered.
const DATAGRAM: usize = 65536;

/// Says `ready` and answers at each `PORT`, by datagrams at each `PORT/udp` and by SCTP's streams at each `PORT/sctp`,
/// for ever: `NAME`, then the address of who asks; what else a connection brings it gets back.
pub fn answer(arguments: &[String]) -> i32 {
    let Some((name, ports)) = arguments.split_first() else { return 2 };
    let mut workers = Vec::new();
    for port in ports {
        let (number, protocol) = port.split_once('/').unwrap_or((port, "tcp"));
        // One socket for both families, where there are both.
        let number = number.parse().unwrap_or(0);
        let places: [SocketAddr; 2] =
            [(Ipv6Addr::UNSPECIFIED, number).into(), (Ipv4Addr::UNSPECIFIED, number).into()];
        let name = name.clone();
        let listener = match protocol {
            "udp" => match UdpSocket::bind(&places[..]) {
                Ok(socket) => {
                    workers.push(thread::spawn(move || answer_datagrams(&name, &socket)));
                    continue;
                }
                Err(error) => return refused(&error),
            },
            // std's own words for a connection are those for any socket of that kind.
            "sctp" => places
                .iter()
                .map(|place| sys::sctp(place, true))
                .find(Result::is_ok)
                .unwrap_or_else(|| Err(std::io::Error::from_raw_os_error(libc::EPROTONOSUPPORT)))
                .map(TcpListener::from),
            _ => TcpListener::bind(&places[..]),
        };
        match listener {
            Ok(listener) => workers.push(thread::spawn(move || answer_connections(&name, &listener))),
            Err(error) => return refused(&error),
        }
    }
    say("ready");
    for worker in workers {
        let _ = worker.join();
    }
    0
}

fn refused(error: &std::io::Error) -> i32 {
    eprintln!("listen: {error}");
    1
}

fn plain(address: SocketAddr) -> IpAddr {
    address.ip().to_canonical()
}

fn answer_datagrams(name: &str, socket: &UdpSocket) {
    let mut buffer = vec![0; DATAGRAM];
    while let Ok((length, from)) = socket.recv_from(&mut buffer) {
        let _ = socket.send_to(format!("{name} {} {length}", plain(from)).as_bytes(), from);
    }
}

fn answer_connections(name: &str, listener: &TcpListener) {
    for connection in listener.incoming().flatten() {
        let name = name.to_string();
        thread::spawn(move || {
            let mut connection = connection;
            let Ok(from) = connection.peer_addr() else { return };
            let _ = connection.write_all(format!("{name} {}\n", plain(from)).as_bytes());
            if let Ok(mut reader) = connection.try_clone() {
                let _ = std::io::copy(&mut reader, &mut connection);
            }
        });
    }
}

/// Asks at `tcp|udp|sctp ADDRESS:PORT`, from `PORT` if one is given (UDP), and says the answer, or why there is none.
pub fn ask(arguments: &[String]) -> i32 {
    let [kind, address, rest @ ..] = arguments else { return 2 };
    let Ok(address) = address.parse::<SocketAddr>() else { return 2 };
    let answer = match kind.as_str() {
        "udp" => ask_by_datagram(address, number(rest, 0).unwrap_or(0) as u16),
        "sctp" => sys::sctp(&address, false).and_then(|socket| ask_by_connection(socket.into())),
        _ => TcpStream::connect_timeout(&address, PATIENCE).and_then(ask_by_connection),
    };
    match answer {
        Ok(text) => say(text.trim_end()),
        Err(error) => say(match error.kind() {
            ErrorKind::TimedOut | ErrorKind::WouldBlock => "silence".to_string(),
            ErrorKind::ConnectionRefused => "refused".to_string(),
            ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable => "unreachable".to_string(),
            ErrorKind::ConnectionReset | ErrorKind::UnexpectedEof => "reset".to_string(),
            _ => error.to_string(),
        }),
    }
    0
}

fn ask_by_datagram(address: SocketAddr, from: u16) -> std::io::Result<String> {
    let own: IpAddr =
        if address.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind((own, from))?;
    // Answers of any other address than the one asked are not heard.
    socket.connect(address)?;
    socket.set_read_timeout(Some(PATIENCE))?;
    socket.send(b"?")?;
    let mut buffer = [0; 512];
    let length = socket.recv(&mut buffer)?;
    Ok(String::from_utf8_lossy(&buffer[..length]).into_owned())
}

fn ask_by_connection(mut connection: TcpStream) -> std::io::Result<String> {
    connection.set_read_timeout(Some(PATIENCE))?;
    let mut line = Vec::new();
    let mut byte = [0];
    while line.last() != Some(&b'\n') {
        connection.read_exact(&mut byte)?;
        line.push(byte[0]);
    }
    Ok(String::from_utf8_lossy(&line).into_owned())
}
