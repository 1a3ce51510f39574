//! Packs the authorities that Mozilla trusts: names and keys, which compress to little more than the keys.

/// The content behind its length, which has three bytes, the greatest first.
fn part(content: &[u8]) -> Vec<u8> {
    [&(content.len() as u32).to_be_bytes()[1..], content].concat()
}

/// The length of what is packed, and that compressed: a part of names, each followed by constraints of names, and one of
/// keys.
pub fn pack() -> Vec<u8> {
    let mut anchors: Vec<_> = webpki_roots::TLS_SERVER_ROOTS.iter().collect();
    anchors.sort_by_key(|anchor| (anchor.subject_public_key_info.len(), anchor.subject.to_vec()));
    let (mut names, mut keys) = (Vec::new(), Vec::new());
    for anchor in anchors {
        names.extend(part(&anchor.subject));
        names.extend(part(anchor.name_constraints.as_deref().unwrap_or_default()));
        keys.extend(part(&anchor.subject_public_key_info));
    }
    let all = [part(&names), part(&keys)].concat();
    let mut packed = (all.len() as u32).to_be_bytes().to_vec();
    packed.extend(miniz_oxide::deflate::compress_to_vec(&all, 10));
    packed
}
