//! Certificates of X.509 (RFC 5280 section 4), read but not judged.

use super::der::{BOOLEAN, Der, IDENTIFIER, INTEGER, OCTET_STRING, SEQUENCE, TIME, UTC_TIME};
use super::signature::{Key, Method};

/// What a certificate says; all of it points into its bytes.
#[derive(Clone, Copy)]
pub struct Certificate<'a> {
    /// What is signed, how, and the signature.
    signed: &'a [u8],
    algorithm: &'a [u8],
    signature: &'a [u8],
    pub version3: bool,
    pub issuer: &'a [u8],
    validity: &'a [u8],
    pub subject: &'a [u8],
    /// The content of the SubjectPublicKeyInfo.
    pub key: &'a [u8],
    key_usage: Option<&'a [u8]>,
    subject_names: Option<&'a [u8]>,
    basic_constraints: Option<&'a [u8]>,
    name_constraints: Option<&'a [u8]>,
    extended_usage: Option<&'a [u8]>,
    /// Whether it wants something to be obeyed that is not known here.
    pub is_beyond_us: bool,
}

/// Who may be an authority below whom.
pub struct Constraints {
    pub authority: bool,
    /// How many authorities there may be between it and a server.
    pub below: Option<u8>,
}

/// The use as a server of TLS, in a list of uses.
const SERVER: &[u8] = b"\x2b\x06\x01\x05\x05\x07\x03\x01";
/// The fifth bit of a use: to sign certificates.
const SIGNS_CERTIFICATES: u8 = 0x04;

impl<'a> Certificate<'a> {
    pub fn read(bytes: &'a [u8]) -> Option<Certificate<'a>> {
        let mut whole = Der(bytes).only(SEQUENCE)?;
        let begin = whole.0;
        let mut body = whole.inside(SEQUENCE)?;
        let signed = &begin[..begin.len() - whole.0.len()];
        let (algorithm, signature) = (whole.take(SEQUENCE)?, whole.bits()?);
        whole.end()?;
        let version3 = match body.optional(0xa0)? {
            Some([INTEGER, 1, 2]) => true,
            None => false,
            Some(_) => return None,
        };
        body.take(INTEGER)?;
        if body.take(SEQUENCE)? != algorithm {
            return None;
        }
        let mut take = || body.take(SEQUENCE);
        let (issuer, validity, subject, key) = (take()?, take()?, take()?, take()?);
        let mut certificate = Certificate {
            signed,
            algorithm,
            signature,
            version3,
            issuer,
            validity,
            subject,
            key,
            key_usage: None,
            subject_names: None,
            basic_constraints: None,
            name_constraints: None,
            extended_usage: None,
            is_beyond_us: false,
        };
        if !body.is_empty() {
            let mut list = body.inside(0xa3)?.only(SEQUENCE)?;
            while !list.is_empty() {
                certificate.extension(list.inside(SEQUENCE)?)?;
            }
        }
        body.end()?;
        Some(certificate)
    }

    fn extension(&mut self, mut extension: Der<'a>) -> Option<()> {
        let kind = extension.take(IDENTIFIER)?;
        let critical = flag(&mut extension)?;
        let value = extension.take(OCTET_STRING)?;
        extension.end()?;
        let place = match kind {
            b"\x55\x1d\x0f" => &mut self.key_usage,
            b"\x55\x1d\x11" => &mut self.subject_names,
            b"\x55\x1d\x13" => &mut self.basic_constraints,
            b"\x55\x1d\x1e" => &mut self.name_constraints,
            b"\x55\x1d\x25" => &mut self.extended_usage,
            // Where lists of what was revoked are, which nobody asks for here.
            b"\x55\x1d\x1f" => return Some(()),
            _ => {
                self.is_beyond_us |= critical;
                return Some(());
            }
        };
        // Nothing is said twice.
        place.replace(value).is_none().then_some(())
    }

    /// Whether the owner of a key, the content of a SubjectPublicKeyInfo, has signed it.
    pub fn is_signed_by(&self, key: &[u8]) -> bool {
        let verified = Method::of_certificate(self.algorithm)
            .and_then(|method| method.verify(Key::read(key)?, self.signed, self.signature));
        verified.is_some()
    }

    /// From when until when it is valid, in seconds since 1970.
    pub fn validity(&self) -> Option<(i64, i64)> {
        let mut reader = Der(self.validity);
        let validity = (time(reader.next()?)?, time(reader.next()?)?);
        reader.end().map(|()| validity)
    }

    pub fn constraints(&self) -> Option<Constraints> {
        let Some(bytes) = self.basic_constraints else {
            return Some(Constraints { authority: false, below: None });
        };
        let mut reader = Der(bytes).only(SEQUENCE)?;
        let authority = flag(&mut reader)?;
        let below = match reader.optional(INTEGER)? {
            None => None,
            Some(&[below @ 0..0x80]) => Some(below),
            Some(_) => return None,
        };
        reader.end().map(|()| Constraints { authority, below })
    }

    /// Whether its owner may sign certificates, if it says what for its key is.
    pub fn may_sign(&self) -> bool {
        let Some(bytes) = self.key_usage else { return true };
        let bits = Der(bytes).only(super::der::BIT_STRING);
        bits.is_some_and(|bits| bits.0.get(1).is_some_and(|first| first & SIGNS_CERTIFICATES != 0))
    }

    /// Whether it is for servers, if it says for whom it is.
    pub fn may_serve(&self) -> bool {
        let Some(bytes) = self.extended_usage else { return true };
        let Some(mut list) = Der(bytes).only(SEQUENCE) else { return false };
        while let Some(usage) = list.take(IDENTIFIER) {
            if usage == SERVER {
                return true;
            }
        }
        false
    }

    /// The names of its owner: a list of GeneralName, which may not be readable to its end.
    pub fn names(&self) -> Option<Der<'a>> {
        match self.subject_names {
            Some(bytes) => Der(bytes).only(SEQUENCE),
            None => Some(Der(&[])),
        }
    }

    /// What names those below it may have: the content of NameConstraints.
    pub fn name_constraints(&self) -> Option<Option<&'a [u8]>> {
        match self.name_constraints {
            Some(bytes) => Some(Some(Der(bytes).only(SEQUENCE)?.0)),
            None => Some(None),
        }
    }
}

/// A truth value that is false where it is missing.
fn flag(reader: &mut Der) -> Option<bool> {
    match reader.optional(BOOLEAN)? {
        Some([0xff]) => Some(true),
        Some([0]) | None => Some(false),
        Some(_) => None,
    }
}

/// Seconds since 1970 (RFC 5280 section 4.1.2.5).
fn time((kind, text): (u8, &[u8])) -> Option<i64> {
    let digits = text.strip_suffix(b"Z")?;
    let (century, digits) = match (kind, digits) {
        (UTC_TIME, [b'5'..=b'9', ..]) => (1900, digits),
        (UTC_TIME, _) => (2000, digits),
        (TIME, [high, low, rest @ ..]) => (pair(*high, *low)? * 100, rest),
        _ => return None,
    };
    let (pairs, []) = digits.as_chunks::<2>() else { return None };
    let [year, month, day, hour, minute, second] =
        <[[u8; 2]; 6]>::try_from(pairs).ok()?.map(|[a, b]| pair(a, b));
    let (year, month, day) = (century + year?, month?, day?);
    let (hour, minute, second) = (hour?, minute?, second?);
    let right =
        (1..=12).contains(&month) && (1..=31).contains(&day) && hour < 24 && minute < 60 && second < 60;
    // Years begin in March, so that the odd day is their last.
    let (year, month) = if month <= 2 { (year - 1, month + 9) } else { (year, month - 3) };
    let days = year * 365 + year.div_euclid(4) - year.div_euclid(100)
        + year.div_euclid(400)
        + (153 * month + 2) / 5
        + day;
    right.then_some((days - 719_469) * 86_400 + hour * 3600 + minute * 60 + second)
}

fn pair(high: u8, low: u8) -> Option<i64> {
    let digit = |byte: u8| char::from(byte).to_digit(10).map(i64::from);
    Some(digit(high)? * 10 + digit(low)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_seconds_since_1970() {
        for (kind, text, seconds) in [
            (UTC_TIME, "700101000000Z", Some(0)),
            (UTC_TIME, "691231235959Z", Some(-1)),
            (UTC_TIME, "000229120000Z", Some(951_825_600)),
            (UTC_TIME, "491231235959Z", Some(2_524_607_999)),
            (UTC_TIME, "500101000000Z", Some(-631_152_000)),
            (TIME, "20500101000000Z", Some(2_524_608_000)),
            (TIME, "99991231235959Z", Some(253_402_300_799)),
            (TIME, "20240301000000Z", Some(1_709_251_200)),
            (UTC_TIME, "20500101000000Z", None),
            (TIME, "500101000000Z", None),
            (UTC_TIME, "7001010000Z", None),
            (UTC_TIME, "700101000000+0000", None),
            (UTC_TIME, "70010100000xZ", None),
            (UTC_TIME, "701301000000Z", None),
            (UTC_TIME, "700100000000Z", None),
            (UTC_TIME, "", None),
            (SEQUENCE, "700101000000Z", None),
        ] {
            assert_eq!(time((kind, text.as_bytes())), seconds, "{text}");
        }
    }
}
