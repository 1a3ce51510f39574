//! Packs the authorities that Mozilla trusts: names and keys, which compress to little more than the keys.

fn vector(width: usize, content: &[u8]) -> Vec<u8> {
    [&(content.len() as u32).to_be_bytes()[4 - width..], content].concat()
}

/// The length of what is packed, and that compressed: a vector of names, each followed by constraints of names, and one
/// of keys, the greatest byte of each length first.
pub fn pack() -> Vec<u8> {
    let mut anchors: Vec<_> = webpki_roots::TLS_SERVER_ROOTS.iter().collect();
    anchors.sort_by_key(|anchor| (anchor.subject_public_key_info.len(), anchor.subject.to_vec()));
    let (mut names, mut keys) = (Vec::new(), Vec::new());
    for anchor in anchors {
        names.extend(vector(2, &anchor.subject));
        names.extend(vector(2, anchor.name_constraints.as_deref().unwrap_or_default()));
        keys.extend(vector(2, &anchor.subject_public_key_info));
    }
    let all = [vector(3, &names), vector(3, &keys)].concat();
    let mut packed = (all.len() as u32).to_be_bytes().to_vec();
    packed.extend(miniz_oxide::deflate::compress_to_vec(&all, 10));
    packed
}
