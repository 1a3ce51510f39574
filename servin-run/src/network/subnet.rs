//! Blocks of addresses, IPv4 and IPv6 alike. Pure.

use alloc::string::String;
use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::error::{Error, Result};
use crate::spec::json::{Decode, Encode, Path, Value, Writer};

/// A block, written `10.0.0.0/24`: all addresses that share its first `prefix` bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Subnet {
    /// Its lowest address.
    pub address: IpAddr,
    /// The length of the prefix.
    pub prefix: u8,
}

impl Default for Subnet {
    fn default() -> Subnet {
        Subnet { address: IpAddr::V4(Ipv4Addr::UNSPECIFIED), prefix: 0 }
    }
}

/// The address as a number.
fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => address.to_bits().into(),
        IpAddr::V6(address) => address.to_bits(),
    }
}

/// How many bits the family's addresses have.
fn width(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

impl Subnet {
    /// The block of this size that holds `address`.
    pub fn around(address: IpAddr, prefix: u8) -> Subnet {
        let prefix = prefix.min(width(address));
        let block = Subnet { address, prefix };
        Subnet { address: block.make(bits(address) & !block.rest()), prefix }
    }

    /// Reads `ADDRESS/PREFIX`, in which no bit behind the prefix may be set.
    pub fn parse(text: &str) -> Result<Subnet> {
        let refuse =
            || Error::new(format_args!("{text} is no subnet: one is written 10.20.0.0/24, or fd00:1::/64"));
        let (address, prefix) = text.split_once('/').ok_or_else(refuse)?;
        let address: IpAddr = address.parse().map_err(|_| refuse())?;
        let number = prefix.bytes().all(|byte| byte.is_ascii_digit()) && !prefix.starts_with("00");
        let prefix = prefix.parse().ok().filter(|&prefix: &u8| number && prefix <= width(address));
        let subnet = Subnet::around(address, prefix.ok_or_else(refuse)?);
        match subnet.address == address {
            true => Ok(subnet),
            false => Err(Error::new(format_args!("{text} has bits behind its prefix: {subnet} holds it"))),
        }
    }

    /// Whether it is of IPv4.
    pub fn is_ipv4(&self) -> bool {
        self.address.is_ipv4()
    }

    /// The bits behind the prefix.
    fn rest(&self) -> u128 {
        let behind = u32::from(width(self.address).saturating_sub(self.prefix));
        1_u128.checked_shl(behind).map_or(u128::MAX, |bit| bit - 1)
    }

    /// An address of the family from its number.
    fn make(&self, number: u128) -> IpAddr {
        match self.address {
            IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::from_bits(number as u32)),
            IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::from_bits(number)),
        }
    }

    /// The address of this number in the block.
    pub fn nth(&self, number: u128) -> Option<IpAddr> {
        (number <= self.rest()).then(|| self.make(bits(self.address) + number))
    }

    /// Its highest address, which in IPv4 means all of them.
    pub fn last(&self) -> IpAddr {
        self.make(bits(self.address) | self.rest())
    }

    /// The number of an address in the block.
    pub fn number_of(&self, address: IpAddr) -> Option<u128> {
        self.contains(address).then(|| bits(address) - bits(self.address))
    }

    /// The numbers of the lowest and the highest address that an interface may have: without the network's own and
    /// the broadcast address, where there is room for them (RFC 3021).
    pub fn usable(&self) -> (u128, u128) {
        match (self.rest(), self.address) {
            (rest @ (0 | 1), _) => (0, rest),
            (rest, IpAddr::V4(_)) => (1, rest - 1),
            (rest, IpAddr::V6(_)) => (1, rest),
        }
    }

    /// Whether the address is in the block.
    pub fn contains(&self, address: IpAddr) -> bool {
        address.is_ipv4() == self.is_ipv4() && bits(address) & !self.rest() == bits(self.address)
    }

    /// Whether there are addresses in both.
    pub fn overlaps(&self, other: &Subnet) -> bool {
        self.contains(other.address) || other.contains(self.address)
    }

    /// Whether all addresses of the other one are in it.
    pub fn covers(&self, other: &Subnet) -> bool {
        self.contains(other.address) && self.prefix <= other.prefix
    }
}

impl fmt::Display for Subnet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

/// An address in a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Address(pub IpAddr);

impl Default for Address {
    fn default() -> Address {
        Address(IpAddr::V4(Ipv4Addr::UNSPECIFIED))
    }
}

impl Address {
    /// It, if it is one of IPv4.
    pub fn v4(self) -> Option<Ipv4Addr> {
        match self.0 {
            IpAddr::V4(address) => Some(address),
            IpAddr::V6(_) => None,
        }
    }

    /// It, if it is one of IPv6.
    pub fn v6(self) -> Option<Ipv6Addr> {
        match self.0 {
            IpAddr::V4(_) => None,
            IpAddr::V6(address) => Some(address),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Decode for Address {
    fn decode(&mut self, value: &Value, at: &Path) -> Result<()> {
        let mut text = String::new();
        text.decode(value, at)?;
        let read = text.parse();
        self.0 = read.map_err(|_| at.mismatch(&"an address", value))?;
        Ok(())
    }
}

impl Encode for Address {
    fn encode(&self, out: &mut Writer) {
        out.string(&alloc::format!("{self}"));
    }
}

impl Decode for Subnet {
    fn decode(&mut self, value: &Value, at: &Path) -> Result<()> {
        let mut text = String::new();
        text.decode(value, at)?;
        *self = Subnet::parse(&text).map_err(|error| at.error(error))?;
        Ok(())
    }
}

impl Encode for Subnet {
    fn encode(&self, out: &mut Writer) {
        out.string(&alloc::format!("{self}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subnet(text: &str) -> Subnet {
        Subnet::parse(text).expect("a subnet")
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn a_block_knows_its_addresses() {
        let block = subnet("10.1.2.0/24");
        assert_eq!(block.usable(), (1, 254));
        assert_eq!(block.nth(255), Some(ip("10.1.2.255")));
        assert_eq!(block.nth(256), None);
        assert_eq!(block.number_of(ip("10.1.2.9")), Some(9));
        assert_eq!(block.number_of(ip("10.1.3.9")), None);
        assert_eq!(subnet("10.1.2.4/31").usable(), (0, 1));
        assert_eq!(subnet("10.1.2.4/32").usable(), (0, 0));
        assert_eq!(subnet("fd00::/64").nth(0x1_0000), Some(ip("fd00::1:0")));
        assert_eq!(subnet("::/0").nth(u128::MAX), Some(ip("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff")));
        assert_eq!(subnet("0.0.0.0/0").usable(), (1, u128::from(u32::MAX) - 1));
    }

    #[test]
    fn families_never_meet() {
        assert!(!subnet("::/0").contains(ip("10.0.0.1")));
        assert!(!subnet("0.0.0.0/0").overlaps(&subnet("::/96")));
        assert!(subnet("10.0.0.0/8").overlaps(&subnet("10.9.0.0/16")));
        assert!(subnet("10.9.0.0/16").overlaps(&subnet("10.0.0.0/8")));
        assert!(!subnet("10.9.0.0/16").overlaps(&subnet("10.10.0.0/16")));
        assert!(subnet("10.0.0.0/8").covers(&subnet("10.9.0.0/16")));
        assert!(!subnet("10.9.0.0/16").covers(&subnet("10.0.0.0/8")));
    }

    #[test]
    fn what_is_no_block_is_refused() {
        for bad in [
            "",
            "10.0.0.0",
            "10.0.0.0/",
            "10.0.0.0/33",
            "10.0.0.0/+8",
            "10.0.0/8",
            "x/8",
            "::/129",
            "::/-1",
            "10.0.0.0/008",
        ] {
            assert!(Subnet::parse(bad).is_err(), "{bad}");
        }
        let error = alloc::format!("{}", Subnet::parse("10.0.0.5/24").expect_err("refused"));
        assert!(error.contains("10.0.0.0/24"), "{error}");
    }
}
