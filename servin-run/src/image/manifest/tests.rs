use super::*;

fn descriptor(kind: &str, more: &str) -> String {
    format!(r#"{{"mediaType":"{kind}","digest":"sha256:{}","size":3{more}}}"#, "ab".repeat(32))
}

fn manifest(kind: &str, more: &str) -> String {
    let (config, layer) =
        (descriptor(OCI_CONFIG, ""), descriptor("application/vnd.oci.image.layer.v1.tar+gzip", ""));
    format!(r#"{{"schemaVersion":2{kind},"config":{config},"layers":[{layer}]{more}}}"#)
}

fn index(entries: &[(&str, &str)]) -> Index {
    let entries: Vec<String> = entries
        .iter()
        .map(|(architecture, variant)| {
            let platform = format!(
                r#","platform":{{"os":"linux","architecture":"{architecture}","variant":"{variant}"}}"#
            );
            descriptor(OCI_MANIFEST, &platform)
        })
        .collect();
    let text = format!(r#"{{"schemaVersion":2,"manifests":[{}]}}"#, entries.join(","));
    match read(text.as_bytes(), "", "x").expect("an index") {
        Document::Index(index) => index,
        Document::Manifest(_) => panic!("not an index"),
    }
}

fn error(text: &str, media_type: &str) -> String {
    read(text.as_bytes(), media_type, "x").expect_err("refused").to_string()
}

#[test]
fn a_manifest_is_known_by_its_media_type_or_its_properties() {
    for (own, announced) in [
        ("", ""),
        ("", OCI_MANIFEST),
        ("", "application/json; charset=utf-8"),
        (OCI_MANIFEST, ""),
        (OCI_MANIFEST, "application/vnd.oci.image.manifest.v1+json; charset=utf-8"),
        (DOCKER_MANIFEST, DOCKER_MANIFEST),
    ] {
        let kind = if own.is_empty() { String::new() } else { format!(r#","mediaType":"{own}""#) };
        let read = read(manifest(&kind, "").as_bytes(), announced, "x");
        assert!(matches!(read, Ok(Document::Manifest(_))), "{own} {announced}: {read:?}");
    }
}

#[test]
fn a_document_that_reads_as_two_kinds_is_refused() {
    assert!(error(&manifest("", r#","manifests":[]"#), "").contains("ambiguous"));
    let kind = |kind: &str| format!(r#","mediaType":"{kind}""#);
    assert!(error(&manifest(&kind(OCI_INDEX), ""), "").contains("has layers"));
    assert!(error(&manifest(&kind(OCI_MANIFEST), ""), OCI_INDEX).contains("announced as"));
    let list = format!(r#"{{"schemaVersion":2,"mediaType":"{OCI_MANIFEST}","manifests":[]}}"#);
    assert!(error(&list, "").contains("has manifests"));
}

#[test]
fn what_is_no_image_is_refused_in_words() {
    assert!(error(r#"{"schemaVersion":1,"fsLayers":[]}"#, "").contains("schema 1"));
    assert!(error("{}", "").contains("schemaVersion"));
    assert!(error(&manifest("", "").replace("image.config", "wasm.config"), "").contains("no image"));
    assert!(
        error(&manifest("", "").replace("layer.v1", "layer.nondistributable.v1"), "").contains("foreign")
    );
    assert!(error(&manifest("", "").replace("+gzip", "+lz4"), "").contains("not known"));
    assert!(error(&manifest("", "").replace("sha256:ab", "sha256:aB"), "").contains("digest"));
    assert!(error(&manifest("", "").replace("sha256:ab", "../../../../x"), "").contains("digest"));
}

#[test]
fn the_image_of_this_platform_is_chosen_and_the_best_variant_of_it() {
    let chosen = |entries: &[(&str, &str)], wanted: &str| {
        let index = index(entries);
        let platform = Platform::parse(wanted).expect("a platform");
        choose(&index, &platform, "x").map(|found| {
            index.manifests.iter().position(|entry| core::ptr::eq(entry, found)).expect("one of them")
        })
    };
    assert_eq!(chosen(&[("arm64", "v8"), ("amd64", "")], "linux/amd64").expect("found"), 1);
    assert_eq!(chosen(&[("arm", "v5"), ("arm", "v6"), ("arm", "v7")], "arm/v6").expect("found"), 1);
    assert_eq!(chosen(&[("arm", "v5"), ("arm", "v7"), ("arm", "v6")], "arm").expect("found"), 1);
    assert_eq!(chosen(&[("amd64", "v3"), ("amd64", "")], "x86_64").expect("found"), 1);
    assert_eq!(chosen(&[("amd64", "v3"), ("amd64", "")], "amd64/v4").expect("found"), 0);
    let error = chosen(&[("arm", "v7"), ("s390x", "")], "amd64").expect_err("none").to_string();
    assert!(error.contains("no image for linux/amd64") && error.contains("linux/arm/v7"), "{error}");
}

#[test]
fn platforms_are_read_strictly() {
    assert_eq!(Platform::parse("linux/arm/v7").expect("read").to_string(), "linux/arm/v7");
    assert_eq!(Platform::parse("aarch64").expect("read").to_string(), "linux/arm64");
    for bad in ["", "linux/", "a/b/c", "windows/amd64", "linux/a b", "a/"] {
        assert!(Platform::parse(bad).is_err(), "{bad}");
    }
}

#[test]
fn no_document_panics() {
    let seeds = [manifest("", ""), spec::to_json(&index(&[("amd64", ""), ("arm", "v7")]))];
    crate::image::mutate::bytes(&seeds, 10_000, |input| {
        let _ = read(input, "", "x");
        if let Ok(text) = core::str::from_utf8(input) {
            let _ = spec::parse::<crate::image::documents::ImageConfig>(text, "x");
        }
    });
}
