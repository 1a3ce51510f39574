//! The authorities that Mozilla trusts, as the build has packed them (build/roots.rs).

use alloc::vec::Vec;

use super::chain::Anchor;
use super::message::Reader;

/// Compressed; how long it is otherwise, stands in front.
const PACKED: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/roots"));

pub fn mozilla() -> Vec<Anchor> {
    let mut anchors = Vec::new();
    let Some((length, packed)) = PACKED.split_first_chunk::<4>() else { return anchors };
    let mut bytes = alloc::vec![0; u32::from_be_bytes(*length) as usize];
    let _ = miniz_oxide::inflate::decompress_slice_iter_to_slice(
        &mut bytes,
        core::iter::once(packed),
        false,
        true,
    );
    let mut reader = Reader(&bytes);
    let (Ok(mut names), Ok(mut keys)) = (reader.vector(3), reader.vector(3)) else { return anchors };
    while let (Ok(subject), Ok(constraints), Ok(key)) = (names.vector(2), names.vector(2), keys.vector(2)) {
        let name_constraints = (!constraints.is_empty()).then(|| constraints.0.into());
        anchors.push(Anchor { subject: subject.0.into(), key: key.0.into(), name_constraints });
    }
    anchors
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_are_there_as_they_were() {
        let mut anchors = mozilla();
        assert_eq!(anchors.len(), webpki_roots::TLS_SERVER_ROOTS.len());
        for known in webpki_roots::TLS_SERVER_ROOTS {
            let same = |anchor: &Anchor| {
                anchor.subject == *known.subject
                    && anchor.key == *known.subject_public_key_info
                    && anchor.name_constraints.as_deref() == known.name_constraints.as_deref()
            };
            let at = anchors.iter().position(same).expect("this one");
            anchors.remove(at);
        }
    }
}
