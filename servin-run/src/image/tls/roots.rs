//! The authorities that Mozilla trusts, as the build has packed them (build/roots.rs).

use alloc::boxed::Box;
use alloc::vec::Vec;

use rustls::pki_types::{Der, TrustAnchor};

use super::super::decompress::inflate::{Inflate, SLACK};
use super::super::stream::{Buffered, Bytes};

/// Compressed; how long it is otherwise, stands in front.
const PACKED: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/roots"));

/// All of them.
pub fn mozilla() -> Vec<TrustAnchor<'static>> {
    let mut anchors = Vec::new();
    let Some((length, packed)) = PACKED.split_first_chunk::<4>() else { return anchors };
    let length = u32::from_be_bytes(*length) as usize;
    let mut bytes = alloc::vec![0; length + SLACK];
    let mut packed = Buffered::new(Box::new(Bytes(packed)));
    let _ = Box::<Inflate>::default().inflate(&mut packed, &mut bytes, 0);
    let mut rest = &bytes[..length];
    let (Some(mut names), Some(mut keys)) = (take(&mut rest), take(&mut rest)) else { return anchors };
    while let (Some(subject), Some(constraints), Some(key)) =
        (take(&mut names), take(&mut names), take(&mut keys))
    {
        anchors.push(TrustAnchor {
            subject: owned(subject),
            subject_public_key_info: owned(key),
            name_constraints: (!constraints.is_empty()).then(|| owned(constraints)),
        });
    }
    anchors
}

fn owned(bytes: &[u8]) -> Der<'static> {
    Vec::from(bytes).into()
}

/// The next part of `rest`, which begins with its length, the greatest byte first.
fn take<'b>(rest: &mut &'b [u8]) -> Option<&'b [u8]> {
    let (length, after) = rest.split_first_chunk::<3>()?;
    let [a, b, c] = *length;
    let (part, after) = after.split_at_checked(u32::from_be_bytes([0, a, b, c]) as usize)?;
    *rest = after;
    Some(part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_are_there_as_they_were() {
        let mut anchors = mozilla();
        assert_eq!(anchors.len(), webpki_roots::TLS_SERVER_ROOTS.len());
        for known in webpki_roots::TLS_SERVER_ROOTS {
            let at = anchors.iter().position(|anchor| anchor == known).expect("this one");
            anchors.remove(at);
        }
    }
}
