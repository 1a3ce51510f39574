//! Whether a chain of certificates leads from a server to an authority that is trusted (RFC 5280 section 6), and whether
//! it is for that server (RFC 9525). Stricter than the standards where that has no price: a server is no authority, names
//! are those of the extension alone, a wildcard is a whole label, and constraints of names that are not understood are
//! met by nobody.

use alloc::vec::Vec;
use core::net::IpAddr;

use super::certificate::Certificate;
use super::der::{Der, SEQUENCE};

/// Why a chain is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    Expired,
    NotYet,
    AnotherName,
    Stranger,
    Signature,
    Unacceptable,
}

/// An authority.
#[derive(Debug, Clone)]
pub struct Anchor {
    pub subject: Vec<u8>,
    /// The content of its SubjectPublicKeyInfo.
    pub key: Vec<u8>,
    /// The content of NameConstraints.
    pub name_constraints: Option<Vec<u8>>,
}

impl Anchor {
    /// Of its certificate, of which no more counts.
    pub fn read(certificate: &[u8]) -> Option<Anchor> {
        let certificate = Certificate::read(certificate)?;
        let name_constraints = certificate.name_constraints()?.map(Into::into);
        Some(Anchor { subject: certificate.subject.into(), key: certificate.key.into(), name_constraints })
    }
}

/// Whom we wanted to talk to.
#[derive(Debug, Clone)]
pub enum Name<'a> {
    Address(IpAddr),
    Domain(&'a str),
}

impl Name<'_> {
    /// Reads a host; nothing, where it cannot have a certificate.
    pub fn read(host: &str) -> Option<Name<'_>> {
        let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
        if let Ok(address) = bare.parse() {
            return Some(Name::Address(address));
        }
        let name = bare.strip_suffix('.').unwrap_or(bare);
        let is_label = |label: &str| {
            (1..=63).contains(&label.len())
                && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
        };
        // A last label of digits alone would be an address.
        let numeric = |label: &str| label.bytes().all(|byte| byte.is_ascii_digit());
        let good = name.len() <= 253
            && name.split('.').all(is_label)
            && name.rsplit('.').next().is_some_and(|last| !numeric(last));
        good.then_some(Name::Domain(name))
    }
}

// The kinds of GeneralName.
const DOMAIN: u8 = 0x82;
const DIRECTORY: u8 = 0xa4;
const ADDRESS: u8 = 0x87;

/// So many authorities may be between a server and whom we trust.
const MAX_BETWEEN: usize = 6;
/// So many signatures are checked: a chain of strangers is not to keep us busy.
const MAX_SIGNATURES: u32 = 40;
/// So many names are compared with constraints.
const MAX_COMPARISONS: u32 = 100_000;

/// The search for a chain.
struct Search<'a> {
    anchors: &'a [Anchor],
    others: Vec<Certificate<'a>>,
    now: i64,
    signatures: u32,
    comparisons: u32,
}

/// Checks what a server shows, its own certificate first, at a time.
pub fn check(name: &Name, certificates: &[&[u8]], anchors: &[Anchor], now: i64) -> Result<(), Refusal> {
    let (own, others) = certificates.split_first().ok_or(Refusal::Unacceptable)?;
    let own = Certificate::read(own).ok_or(Refusal::Unacceptable)?;
    // What cannot be read among the others helps nobody.
    let others = others.iter().filter_map(|bytes| Certificate::read(bytes)).collect();
    let mut search =
        Search { anchors, others, now, signatures: MAX_SIGNATURES, comparisons: MAX_COMPARISONS };
    search.find(&mut alloc::vec![own])?;
    if is_for(&own, name) { Ok(()) } else { Err(Refusal::AnotherName) }
}

impl<'a> Search<'a> {
    /// Finds who has signed the last certificate of a path that begins with the server's.
    fn find(&mut self, path: &mut Vec<Certificate<'a>>) -> Result<(), Refusal> {
        let last = *path.last().ok_or(Refusal::Unacceptable)?;
        self.check_alone(&last, path.len())?;
        let mut refusal = Refusal::Stranger;
        let anchors = self.anchors;
        for anchor in anchors.iter().filter(|anchor| anchor.subject == last.issuer) {
            match self.check_signature(&last, &anchor.key) {
                Ok(()) => match self.check_names(path, anchor.name_constraints.as_deref()) {
                    Ok(()) => return Ok(()),
                    Err(found) => refusal = found,
                },
                Err(found) => refusal = found,
            }
        }
        if path.len() > MAX_BETWEEN {
            return Err(refusal);
        }
        for at in 0..self.others.len() {
            let other = self.others[at];
            let known = path.iter().any(|before| before.subject == other.subject && before.key == other.key);
            if other.subject != last.issuer || known {
                continue;
            }
            let constraints = other.name_constraints().ok_or(Refusal::Unacceptable)?;
            let found =
                self.check_signature(&last, other.key).and_then(|()| self.check_names(path, constraints));
            let found = found.and_then(|()| {
                path.push(other);
                let found = self.find(path);
                path.pop();
                found
            });
            match found {
                Ok(()) => return Ok(()),
                // That nobody knows its authority is the least that can be said.
                Err(Refusal::Stranger) => {}
                Err(found) => refusal = found,
            }
        }
        Err(refusal)
    }

    /// Checks one certificate: the server's where it is the first, or an authority's.
    fn check_alone(&self, certificate: &Certificate, place: usize) -> Result<(), Refusal> {
        let (from, until) = certificate.validity().ok_or(Refusal::Unacceptable)?;
        let constraints = certificate.constraints().ok_or(Refusal::Unacceptable)?;
        if !certificate.version3 || certificate.is_beyond_us || !certificate.may_serve() {
            return Err(Refusal::Unacceptable);
        }
        if self.now < from {
            return Err(Refusal::NotYet);
        }
        if self.now > until {
            return Err(Refusal::Expired);
        }
        let good = if place == 1 {
            !constraints.authority
        } else {
            let between = place - 2;
            constraints.authority
                && certificate.may_sign()
                && constraints.below.is_none_or(|below| between <= usize::from(below))
        };
        if good { Ok(()) } else { Err(Refusal::Unacceptable) }
    }

    fn check_signature(&mut self, certificate: &Certificate, key: &[u8]) -> Result<(), Refusal> {
        self.signatures = self.signatures.checked_sub(1).ok_or(Refusal::Unacceptable)?;
        if certificate.is_signed_by(key) { Ok(()) } else { Err(Refusal::Signature) }
    }

    /// Checks the names of all certificates of a path by what the authority above them allows.
    fn check_names(&mut self, path: &[Certificate], constraints: Option<&[u8]>) -> Result<(), Refusal> {
        let Some(constraints) = constraints else { return Ok(()) };
        for certificate in path {
            let mut names = certificate.names().ok_or(Refusal::Unacceptable)?;
            while !names.is_empty() {
                let name = names.next().ok_or(Refusal::Unacceptable)?;
                self.check_name(name, constraints).filter(|good| *good).ok_or(Refusal::Unacceptable)?;
            }
            // Every certificate has the name of its subject.
            let subject = (DIRECTORY, certificate.subject);
            self.check_name(subject, constraints).filter(|good| *good).ok_or(Refusal::Unacceptable)?;
        }
        Ok(())
    }

    /// Whether a name is allowed; nothing, where that cannot be found out.
    fn check_name(&mut self, (kind, name): (u8, &[u8]), constraints: &[u8]) -> Option<bool> {
        let mut constraints = Der(constraints);
        let (permitted, excluded) = (constraints.optional(0xa0)?, constraints.optional(0xa1)?);
        constraints.end()?;
        let mut allowed = None;
        for (list, exclude) in [(permitted, false), (excluded, true)] {
            let mut list = Der(list.unwrap_or_default());
            while !list.is_empty() {
                self.comparisons = self.comparisons.checked_sub(1)?;
                // Minimum and maximum are not used with any names.
                let mut subtree = list.inside(SEQUENCE)?;
                let (base_kind, base) = subtree.next()?;
                subtree.end()?;
                if base_kind != kind {
                    continue;
                }
                let inside = match kind {
                    DOMAIN => is_below(name, base, exclude),
                    ADDRESS => is_in_network(name, base),
                    // Whatever that means, it is not met.
                    _ => exclude,
                };
                if exclude && inside {
                    return Some(false);
                }
                if !exclude {
                    allowed = Some(allowed.unwrap_or(false) || inside);
                }
            }
        }
        Some(allowed.unwrap_or(true))
    }
}

/// Whether a domain is another one or below it; of a wildcard, whether all are that it stands for, or any.
fn is_below(name: &[u8], base: &[u8], any: bool) -> bool {
    let ends = |name: &[u8], base: &[u8]| {
        name.len().checked_sub(base.len()).is_some_and(|at| {
            let (front, end) = name.split_at(at);
            let whole = front.is_empty() || base.is_empty() || base[0] == b'.' || front.ends_with(b".");
            // One that begins with a dot has only what is below it.
            whole && end.eq_ignore_ascii_case(base) && !(front.is_empty() && base.starts_with(b"."))
        })
    };
    if ends(name, base) {
        return true;
    }
    let Some(parent) = name.strip_prefix(b"*") else { return false };
    let base = base.strip_prefix(b".").unwrap_or(base);
    let first = base.iter().position(|byte| *byte == b'.').unwrap_or(base.len());
    any && base[first..].eq_ignore_ascii_case(parent)
}

/// Whether an address is in a network, which has a mask behind it.
fn is_in_network(address: &[u8], network: &[u8]) -> bool {
    let (network, mask) = network.split_at(network.len() / 2);
    let both = address.iter().zip(network).zip(mask);
    mask.len() == address.len()
        && network.len() == address.len()
        && both.fold(0, |all, ((address, network), mask)| all | (address ^ network) & mask) == 0
}

/// Whether a certificate is for a server of this name.
fn is_for(certificate: &Certificate, name: &Name) -> bool {
    let Some(mut names) = certificate.names() else { return false };
    while let Some((kind, known)) = names.next() {
        let same = match (kind, name) {
            (DOMAIN, Name::Domain(name)) => is_same(known, name.as_bytes()),
            (ADDRESS, Name::Address(IpAddr::V4(address))) => known == address.octets(),
            (ADDRESS, Name::Address(IpAddr::V6(address))) => known == address.octets(),
            _ => false,
        };
        if same {
            return true;
        }
    }
    false
}

/// Whether a name of a certificate is this one; its first label may be a star, if two others follow.
fn is_same(known: &[u8], name: &[u8]) -> bool {
    let Some(parent) = known.strip_prefix(b"*") else { return known.eq_ignore_ascii_case(name) };
    let first = name.iter().position(|byte| *byte == b'.').unwrap_or(name.len());
    parent.iter().filter(|byte| **byte == b'.').count() >= 2
        && !parent.ends_with(b".")
        && name[first..].eq_ignore_ascii_case(parent)
}

#[cfg(test)]
mod tests;
