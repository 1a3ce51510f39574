//! Network interfaces (rtnetlink(7), linux/if_link.h): made, changed, moved, removed.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use rustix::fd::{AsRawFd, BorrowedFd};
use rustix::io::Errno;

use super::netlink::{Answer, Attributes, CREATE, EXCLUSIVE, Message, Reply, Socket, number};
use crate::error::{Error, Result, Step};
use crate::gather::Gather as _;

/// `RTM_NEWLINK`, `RTM_DELLINK`, `RTM_GETLINK` and `RTM_SETLINK` of linux/rtnetlink.h.
const NEW: u16 = 16;
const DELETE: u16 = 17;
const GET: u16 = 18;
const SET: u16 = 19;
/// `struct ifinfomsg`.
const BODY: usize = 16;
/// `IFF_UP` of linux/if.h.
pub const UP: u32 = 1;

/// `IFLA_*`.
const ADDRESS: u16 = 1;
const NAME: u16 = 3;
const MTU: u16 = 4;
const PARENT: u16 = 5;
const MASTER: u16 = 10;
const INFO: u16 = 18;
const NAMESPACE_PID: u16 = 19;
const NAMESPACE: u16 = 28;
/// `IFLA_INFO_KIND` and `IFLA_INFO_DATA`.
const KIND: u16 = 1;
const DATA: u16 = 2;

/// The longest name of an interface (`IFNAMSIZ` without its NUL).
pub const LONGEST_NAME: usize = 15;

/// A hardware address of Ethernet.
pub type Mac = [u8; 6];

/// Refuses what cannot be the name of an interface (dev_valid_name of the kernel).
pub fn check_name(name: &str) -> Result<()> {
    let bad =
        |byte: u8| byte == b'/' || byte == b':' || byte == b'%' || byte.is_ascii_whitespace() || byte == 0;
    match name.is_empty() || name.len() > LONGEST_NAME || matches!(name, "." | "..") || name.bytes().any(bad)
    {
        true => Err(Error::new(format_args!(
            "\"{name}\" cannot name an interface: 1 to {LONGEST_NAME} characters without space, slash and colon"
        ))),
        false => Ok(()),
    }
}

/// Reads `02:42:ac:11:00:02`: of one interface, not of many.
pub fn parse_mac(text: &str) -> Result<Mac> {
    let mut mac = [0; 6];
    let mut parts = text.split(':');
    let digits = |part: &str| part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_hexdigit());
    let all = mac.iter_mut().all(|byte| {
        let part = parts.next().filter(|part| digits(part));
        part.and_then(|part| u8::from_str_radix(part, 16).ok()).map(|value| *byte = value).is_some()
    });
    if !all || parts.next().is_some() {
        return Err(Error::new(format_args!("{text} is no hardware address, such as 02:42:ac:11:00:02")));
    }
    if mac[0] & 1 != 0 || mac == [0; 6] {
        return Err(Error::new(format_args!("{text} is not the hardware address of one interface")));
    }
    Ok(mac)
}

/// The address as it is written.
pub fn mac_text(mac: &Mac) -> String {
    let mut text: String = mac.iter().map(|byte| format!("{byte:02x}:")).collect();
    text.pop();
    text
}

/// An interface as the kernel describes it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Link {
    /// Its number in its namespace.
    pub index: u32,
    /// Its name.
    pub name: String,
    /// Its flags (`IFF_*`).
    pub flags: u32,
    /// Its hardware address.
    pub mac: Option<Mac>,
    /// The longest packet.
    pub mtu: u32,
    /// What kind it is, such as `bridge`; empty for a device.
    pub kind: String,
    /// The number of the bridge that it is a port of; 0 for none.
    pub master: u32,
}

fn body(index: u32, flags: u32, change: u32) -> [u8; BODY] {
    // family, padding, type; index; flags; the flags that change.
    let mut body = [0; BODY];
    body[4..8].copy_from_slice(&index.to_ne_bytes());
    body[8..12].copy_from_slice(&flags.to_ne_bytes());
    body[12..16].copy_from_slice(&change.to_ne_bytes());
    body
}

fn read(reply: &Reply) -> Option<Link> {
    let all = Attributes::behind(&reply.payload, BODY);
    let number_at = |at: usize| reply.payload.get(at..).and_then(number).unwrap_or_default();
    Some(Link {
        index: number_at(4),
        name: all.text(NAME)?.into(),
        flags: number_at(8),
        mac: all.find(ADDRESS).and_then(|mac| mac.try_into().ok()),
        mtu: all.number(MTU).unwrap_or_default(),
        kind: all.nest(INFO).text(KIND).unwrap_or_default().into(),
        master: all.number(MASTER).unwrap_or_default(),
    })
}

/// The interface of that name; `None` where there is none.
pub fn find(socket: &Socket, name: &str) -> Result<Option<Link>> {
    let mut request = Message::new(GET, 0, &body(0, 0, 0));
    request.text(NAME, name);
    match socket.ask(&request) {
        Err(refused) if refused.errno == Errno::NODEV => Ok(None),
        other => Ok(read(&other.step(|| format!("look for the interface {name}"))?)),
    }
}

/// The interface of that name, which is an error not to find.
pub fn require(socket: &Socket, name: &str) -> Result<Link> {
    find(socket, name)?.ok_or_else(|| Error::new(format_args!("there is no interface {name}")))
}

/// All interfaces of the namespace.
pub fn all(socket: &Socket) -> Result<Vec<Link>> {
    let replies = socket.dump(&Message::new(GET, 0, &body(0, 0, 0))).step(|| "list the interfaces")?;
    Ok(replies.iter().filter_map(read).gather())
}

/// An interface to be made; up as soon as it is there.
#[derive(Debug, Clone, Copy, Default)]
pub struct New<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its hardware address, which the kernel chooses otherwise.
    pub mac: Option<Mac>,
    /// The longest packet.
    pub mtu: Option<u32>,
    /// The number of the bridge that it becomes a port of.
    pub master: Option<u32>,
    /// The network namespace in which it appears (its file).
    pub namespace: Option<BorrowedFd<'a>>,
}

impl New<'_> {
    fn put(&self, message: &mut Message) {
        message.text(NAME, self.name);
        if let Some(mac) = &self.mac {
            message.attribute(ADDRESS, mac);
        }
        if let Some(mtu) = self.mtu {
            message.number(MTU, mtu);
        }
        if let Some(master) = self.master {
            message.number(MASTER, master);
        }
        if let Some(namespace) = self.namespace {
            message.number(NAMESPACE, namespace.as_raw_fd().cast_unsigned());
        }
    }

    /// Begins its message, and says what is to be made up to the kind's own data.
    fn message(&self, kind: &str, parent: Option<u32>, data: &mut dyn FnMut(&mut Message)) -> Message {
        let mut message = Message::new(NEW, CREATE | EXCLUSIVE, &body(0, UP, UP));
        self.put(&mut message);
        if let Some(parent) = parent {
            message.number(PARENT, parent);
        }
        let info = message.open(INFO);
        message.text(KIND, kind);
        let inner = message.open(DATA);
        data(&mut message);
        message.close(inner).close(info);
        message
    }
}

/// Whether the kernel makes interfaces of a kind: it says so of those that it does not know. One of those that it makes
/// may stay, so this is for a namespace that is to go.
pub fn has_kind(socket: &Socket, kind: &str) -> bool {
    let made = socket.call(&New { name: kind, ..New::default() }.message(kind, None, &mut |_| {}));
    !matches!(made, Err(refused) if matches!(refused.errno, Errno::OPNOTSUPP | Errno::PERM))
}

/// Makes a bridge.
pub fn make_bridge(socket: &Socket, bridge: &New) -> Answer<()> {
    /// `IFLA_BR_FORWARD_DELAY` and `IFLA_BR_STP_STATE`: a port forwards at once.
    const FORWARD_DELAY: u16 = 1;
    const STP: u16 = 5;
    socket.call(&bridge.message("bridge", None, &mut |message| {
        message.number(FORWARD_DELAY, 0).number(STP, 0);
    }))
}

/// The request that sets an interface up.
pub fn set_up(index: u32) -> Message {
    Message::new(SET, 0, &body(index, UP, UP))
}

/// Makes a pair of interfaces that are the two ends of a wire, each where it belongs. The other end is down: the
/// kernel knows no wire yet when it makes that.
pub fn make_pair(socket: &Socket, here: &New, there: &New) -> Answer<()> {
    /// `VETH_INFO_PEER` of linux/veth.h.
    const PEER: u16 = 1;
    socket.call(&here.message("veth", None, &mut |message| {
        let peer = message.open(PEER);
        message.structure(&body(0, 0, 0));
        there.put(message);
        message.close(peer);
    }))
}

/// Makes an interface that shares a parent's wire under a hardware address of its own. The modes are those of
/// `macvlan_mode` in linux/if_link.h.
pub fn make_macvlan(socket: &Socket, own: &New, parent: u32, mode: u32) -> Answer<()> {
    /// `IFLA_MACVLAN_MODE`.
    const MODE: u16 = 1;
    socket.call(&own.message("macvlan", Some(parent), &mut |message| {
        message.number(MODE, mode);
    }))
}

/// Makes an interface that shares a parent's hardware address under addresses of its own (`IPVLAN_MODE_*`,
/// linux/if_link.h).
pub fn make_ipvlan(socket: &Socket, own: &New, parent: u32, mode: u16) -> Answer<()> {
    /// `IFLA_IPVLAN_MODE`.
    const MODE: u16 = 1;
    socket.call(&own.message("ipvlan", Some(parent), &mut |message| {
        message.attribute(MODE, &mode.to_ne_bytes());
    }))
}

/// What changes of an interface.
#[derive(Debug, Clone, Copy, Default)]
pub struct Change<'a> {
    /// Up or down.
    pub up: Option<bool>,
    /// Another name; the interface may have to be down for that.
    pub name: Option<&'a str>,
    /// Another hardware address.
    pub mac: Option<Mac>,
    /// The longest packet.
    pub mtu: Option<u32>,
    /// The bridge that it becomes a port of; 0 for none.
    pub master: Option<u32>,
    /// The network namespace that it moves to (its file).
    pub namespace: Option<BorrowedFd<'a>>,
    /// The network namespace that it moves to (that of a process).
    pub process: Option<i32>,
}

/// Changes an interface.
pub fn change(socket: &Socket, index: u32, change: &Change) -> Answer<()> {
    let up = change.up.map_or((0, 0), |up| (if up { UP } else { 0 }, UP));
    let mut message = Message::new(SET, 0, &body(index, up.0, up.1));
    if let Some(name) = change.name {
        message.text(NAME, name);
    }
    let numbers = [
        (MTU, change.mtu),
        (MASTER, change.master),
        (NAMESPACE, change.namespace.map(|namespace| namespace.as_raw_fd().cast_unsigned())),
        (NAMESPACE_PID, change.process.map(i32::cast_unsigned)),
    ];
    for (kind, value) in numbers {
        if let Some(value) = value {
            message.number(kind, value);
        }
    }
    if let Some(mac) = &change.mac {
        message.attribute(ADDRESS, mac);
    }
    socket.call(&message)
}

/// Removes an interface. It is no error that there is none.
pub fn remove(socket: &Socket, name: &str) -> Answer<()> {
    let mut message = Message::new(DELETE, 0, &body(0, 0, 0));
    message.text(NAME, name);
    match socket.call(&message) {
        Err(refused) if refused.errno == Errno::NODEV => Ok(()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hardware_addresses_are_read_strictly() {
        assert_eq!(parse_mac("02:42:ac:11:00:FE").expect("one"), [2, 0x42, 0xac, 0x11, 0, 0xfe]);
        assert_eq!(mac_text(&[2, 0x42, 0xac, 0x11, 0, 0xfe]), "02:42:ac:11:00:fe");
        for bad in [
            "",
            "02:42:ac:11:00",
            "02:42:ac:11:00:02:03",
            "2:42:ac:11:0:2",
            "02:42:ac:11:00:+2",
            "01:00:5e:00:00:01",
            "ff:ff:ff:ff:ff:ff",
            "00:00:00:00:00:00",
            "02-42-ac-11-00-02",
        ] {
            assert!(parse_mac(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn names_are_what_the_kernel_takes() {
        assert!(check_name("servin0").is_ok() && check_name("eth0.100").is_ok());
        for bad in ["", ".", "..", "a/b", "a b", "a:b", "sixteen_letters_", "%d"] {
            assert!(check_name(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_loopback_interface_is_found_and_listed() {
        // Reading needs no privilege, and every namespace has one.
        let socket = Socket::open().expect("a socket");
        let lo = find(&socket, "lo").expect("asked").expect("there");
        assert_eq!((lo.index, lo.name.as_str()), (1, "lo"));
        assert!(all(&socket).expect("listed").contains(&lo));
        assert_eq!(find(&socket, "no-such").expect("asked"), None);
    }
}
