use p256::ecdsa::signature::Signer;
use p256::ecdsa::{Signature, SigningKey};
use rustls_pki_types::{
    AlgorithmIdentifier, CertificateDer, InvalidSignature, ServerName, SignatureVerificationAlgorithm,
    UnixTime, alg_id,
};

use super::*;
use crate::image::mutate::{self, Random};
use crate::image::tls::hash::Hash;
use crate::image::tls::signature::{Key, Method};

/// 2026-01-01.
const NOW: i64 = 1_767_225_600;

fn tlv(kind: u8, parts: &[&[u8]]) -> Vec<u8> {
    let content = parts.concat();
    let length = content.len();
    let head = match length {
        0..0x80 => vec![kind, length as u8],
        0x80..0x100 => vec![kind, 0x81, length as u8],
        _ => vec![kind, 0x82, (length >> 8) as u8, length as u8],
    };
    [head, content].concat()
}

fn name(text: &str) -> Vec<u8> {
    tlv(0x30, &[&tlv(0x31, &[&tlv(0x30, &[&[6, 3, 0x55, 4, 3], &tlv(12, &[text.as_bytes()])])])])
}

/// An extension below 2.5.29.
fn extension(number: u8, critical: bool, value: &[u8]) -> Vec<u8> {
    let critical: &[u8] = if critical { &[1, 1, 0xff] } else { &[] };
    tlv(0x30, &[&[6, 3, 0x55, 0x1d, number], critical, &tlv(4, &[value])])
}

fn names(list: &[(u8, &[u8])]) -> Vec<u8> {
    let list: Vec<Vec<u8>> = list.iter().map(|(kind, text)| tlv(*kind, &[text])).collect();
    extension(17, false, &tlv(0x30, &[&list.concat()]))
}

fn for_host(host: &str) -> Vec<u8> {
    names(&[(DOMAIN, host.as_bytes())])
}

fn authority(below: Option<u8>) -> Vec<u8> {
    let below = below.map(|below| tlv(2, &[&[below]])).unwrap_or_default();
    extension(19, true, &tlv(0x30, &[&[1, 1, 0xff], &below]))
}

fn name_constraints(permitted: &[(u8, &[u8])], excluded: &[(u8, &[u8])]) -> Vec<u8> {
    let list = |kind, bases: &[(u8, &[u8])]| {
        let bases: Vec<Vec<u8>> =
            bases.iter().map(|(kind, base)| tlv(0x30, &[&tlv(*kind, &[base])])).collect();
        if bases.is_empty() { Vec::new() } else { tlv(kind, &[&bases.concat()]) }
    };
    extension(30, true, &tlv(0x30, &[&list(0xa0, permitted), &list(0xa1, excluded)]))
}

/// A certificate before it is signed.
#[derive(Clone)]
struct Plan {
    subject: &'static str,
    issuer: &'static str,
    key: u8,
    signer: u8,
    from: &'static str,
    until: &'static str,
    version: Vec<u8>,
    extensions: Vec<Vec<u8>>,
}

fn plan(subject: &'static str, key: u8, issuer: &'static str, signer: u8, extensions: &[Vec<u8>]) -> Plan {
    let (from, until) = ("250101000000Z", "270101000000Z");
    Plan {
        subject,
        issuer,
        key,
        signer,
        from,
        until,
        version: vec![0xa0, 3, 2, 1, 2],
        extensions: extensions.into(),
    }
}

impl Plan {
    fn body(&self) -> Vec<u8> {
        let key = SigningKey::from_slice(&[self.key; 32]).expect("a key");
        let point = key.verifying_key().to_sec1_point(false);
        let identifier = tlv(0x30, &[alg_id::ECDSA_P256.as_ref()]);
        let key = tlv(0x30, &[&identifier, &tlv(3, &[&[0], point.as_bytes()])]);
        let time = |text: &str| tlv(0x17, &[text.as_bytes()]);
        let extensions = match &*self.extensions {
            [] => Vec::new(),
            list => tlv(0xa3, &[&tlv(0x30, &[&list.concat()])]),
        };
        let validity = tlv(0x30, &[&time(self.from), &time(self.until)]);
        let method = tlv(0x30, &[alg_id::ECDSA_SHA256.as_ref()]);
        tlv(
            0x30,
            &[
                &self.version,
                &[2, 1, self.key],
                &method,
                &name(self.issuer),
                &validity,
                &name(self.subject),
                &key,
                &extensions,
            ],
        )
    }

    fn sign(&self) -> Vec<u8> {
        signed(&self.body(), self.signer)
    }
}

fn signed(body: &[u8], signer: u8) -> Vec<u8> {
    let key = SigningKey::from_slice(&[signer; 32]).expect("a key");
    let signature: Signature = key.sign(body);
    let method = tlv(0x30, &[alg_id::ECDSA_SHA256.as_ref()]);
    tlv(0x30, &[body, &method, &tlv(3, &[&[0], signature.to_der().as_bytes()])])
}

/// How the other judge checks signatures: as we do.
#[derive(Debug)]
struct P256Sha256;

impl SignatureVerificationAlgorithm for P256Sha256 {
    fn verify_signature(&self, key: &[u8], message: &[u8], signature: &[u8]) -> Result<(), InvalidSignature> {
        let identifier = tlv(0x30, &[alg_id::ECDSA_P256.as_ref()]);
        let key = [identifier, tlv(3, &[&[0], key])].concat();
        let key = Key::read(&key).ok_or(InvalidSignature)?;
        let method = Method { hash: Hash::Sha256, padding: None };
        method.verify(key, message, signature).ok_or(InvalidSignature)
    }

    fn public_key_alg_id(&self) -> AlgorithmIdentifier {
        alg_id::ECDSA_P256
    }

    fn signature_alg_id(&self) -> AlgorithmIdentifier {
        alg_id::ECDSA_SHA256
    }
}

fn others_judgement(host: &str, certificates: &[Vec<u8>], anchors: &[Vec<u8>]) -> Result<(), webpki::Error> {
    let ders: Vec<CertificateDer> = certificates.iter().map(|bytes| CertificateDer::from(&**bytes)).collect();
    let roots: Vec<CertificateDer> = anchors.iter().map(|bytes| CertificateDer::from(&**bytes)).collect();
    let roots: Result<Vec<_>, _> = roots.iter().map(webpki::anchor_from_trusted_cert).collect();
    let roots = roots?;
    let own = webpki::EndEntityCert::try_from(&ders[0])?;
    let time = UnixTime::since_unix_epoch(core::time::Duration::from_secs(NOW as u64));
    let usage = webpki::KeyUsage::server_auth();
    own.verify_for_usage(&[&P256Sha256], &roots, &ders[1..], time, usage, None, None)?;
    own.verify_is_valid_for_subject_name(&ServerName::try_from(host).expect("a name"))
}

fn judgement(host: &str, certificates: &[Vec<u8>], anchors: &[Vec<u8>]) -> Result<(), Refusal> {
    let anchors: Vec<Anchor> = anchors.iter().filter_map(|bytes| Anchor::read(bytes)).collect();
    let certificates: Vec<&[u8]> = certificates.iter().map(|bytes| &**bytes).collect();
    check(&Name::read(host).expect("a name"), &certificates, &anchors, NOW)
}

/// What comes of it, about which the other judge thinks the same.
fn both(host: &str, certificates: &[Vec<u8>], anchors: &[Vec<u8>]) -> Result<(), Refusal> {
    let (ours, theirs) =
        (judgement(host, certificates, anchors), others_judgement(host, certificates, anchors));
    assert_eq!(ours.is_ok(), theirs.is_ok(), "{ours:?} and {theirs:?}");
    ours
}

fn root() -> Plan {
    plan("root", 1, "root", 1, &[authority(None)])
}

fn middle(extensions: &[Vec<u8>]) -> Plan {
    plan("middle", 2, "root", 1, extensions)
}

fn server(extensions: &[Vec<u8>]) -> Plan {
    plan("server", 9, "middle", 2, extensions)
}

#[test]
fn a_chain_that_leads_to_an_authority_is_good_whatever_is_beside_it() {
    let (anchor, middle) = ([root().sign()], middle(&[authority(None)]).sign());
    let server = server(&[for_host("host.example")]).sign();
    let good = |certificates: &[Vec<u8>]| both("host.example", certificates, &anchor);
    assert_eq!(good(&[server.clone(), middle.clone()]), Ok(()));
    // The root with it, in another order, with strangers and what cannot be read.
    let stranger = plan("stranger", 7, "stranger", 7, &[authority(None)]).sign();
    let others = [server.clone(), stranger, anchor[0].clone(), vec![1, 2, 3], middle.clone()];
    assert_eq!(good(&others), Ok(()));
    // An authority of the same name with another key, and one that has expired.
    let double = plan("middle", 3, "root", 1, &[authority(None)]).sign();
    let old = Plan { until: "250201000000Z", ..self::middle(&[authority(None)]) }.sign();
    assert_eq!(good(&[server.clone(), double, old, middle.clone()]), Ok(()));
    assert_eq!(good(core::slice::from_ref(&server)), Err(Refusal::Stranger));
    assert_eq!(both("host.example", &[server.clone(), middle.clone()], &[]), Err(Refusal::Stranger));
    // The other judge need not know where a key or a name is wrong.
    let other = plan("middle", 3, "root", 1, &[authority(None)]).sign();
    assert_eq!(judgement("host.example", &[server.clone(), other], &anchor), Err(Refusal::Signature));
    assert_eq!(both("other.example", &[server, middle], &anchor), Err(Refusal::AnotherName));
}

#[test]
fn whom_it_is_for_is_in_its_names_alone() {
    let (anchor, middle) = ([root().sign()], middle(&[authority(None)]).sign());
    let meets = |known: &[(u8, &[u8])], host: &str| {
        let server = server(&[names(known)]).sign();
        both(host, &[server, middle.clone()], &anchor).is_ok()
    };
    for (known, host, same) in [
        ("host.example", "host.example", true),
        ("HOST.example", "host.EXAMPLE", true),
        ("host.example", "host.example.", true),
        ("host.example", "a.host.example", false),
        ("host.example", "xhost.example", false),
        ("*.host.example", "a.host.example", true),
        ("*.host.example", "A.HOST.example", true),
        ("*.host.example", "host.example", false),
        ("*.host.example", "a.b.host.example", false),
        ("a*.host.example", "ab.host.example", false),
        ("*b.host.example", "ab.host.example", false),
        ("a.*.example", "a.b.example", false),
        ("*.example", "host.example", false),
        ("*", "example", false),
        ("*.*.example", "a.b.example", false),
        ("host.example\0.evil", "host.example", false),
        ("", "host.example", false),
        ("127.0.0.1", "127.0.0.1", false),
    ] {
        assert_eq!(meets(&[(DOMAIN, known.as_bytes())], host), same, "{known} and {host}");
    }
    let addresses: &[(u8, &[u8])] =
        &[(ADDRESS, &[127, 0, 0, 1]), (ADDRESS, &[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1])];
    assert!(meets(addresses, "127.0.0.1") && meets(addresses, "::1"));
    assert!(!meets(addresses, "127.0.0.2") && !meets(addresses, "::2") && !meets(addresses, "host.example"));
    assert!(!meets(&[(ADDRESS, &[127, 0, 0])], "127.0.0.1"));
    // The subject is not a name, nor is nothing.
    let server = plan("host.example", 9, "middle", 2, &[]).sign();
    assert_eq!(both("host.example", &[server, middle.clone()], &anchor), Err(Refusal::AnotherName));
}

#[test]
fn hosts_that_cannot_have_a_certificate_are_none() {
    for good in ["localhost", "a.b", "A-b_c.example.", "127.0.0.1", "[::1]", "::1", "1a.2b"] {
        assert!(Name::read(good).is_some(), "{good}");
    }
    let long = "a".repeat(64);
    let longer = "a.".repeat(130) + "a";
    for bad in ["", ".", "a..b", ".a", "a b", "é.example", "*.a.b", "1.2.3", "a/b", &long, &longer] {
        assert!(Name::read(bad).is_none(), "{bad}");
    }
}

#[test]
fn the_times_of_all_count() {
    let anchor = [root().sign()];
    let of = |from, until| {
        let server = Plan { from, until, ..server(&[for_host("host.example")]) };
        both("host.example", &[server.sign(), middle(&[authority(None)]).sign()], &anchor)
    };
    assert_eq!(of("260101000000Z", "260101000000Z"), Ok(()));
    assert_eq!(of("250101000000Z", "251231235959Z"), Err(Refusal::Expired));
    assert_eq!(of("260101000001Z", "270101000000Z"), Err(Refusal::NotYet));
    assert!(of("270101000000Z", "250101000000Z").is_err());
    let middle = Plan { until: "250301000000Z", ..middle(&[authority(None)]) };
    let server = server(&[for_host("host.example")]).sign();
    assert_eq!(both("host.example", &[server, middle.sign()], &anchor), Err(Refusal::Expired));
}

#[test]
fn only_authorities_sign_and_no_more_than_they_may() {
    let anchor = [root().sign()];
    let server = || server(&[for_host("host.example")]).sign();
    let refused = |middle: Plan| {
        let found = both("host.example", &[server(), middle.sign()], &anchor);
        assert_eq!(found, Err(Refusal::Unacceptable));
    };
    refused(middle(&[]));
    refused(middle(&[extension(19, true, &tlv(0x30, &[]))]));
    refused(middle(&[extension(19, true, &tlv(0x30, &[&[1, 1, 0]]))]));
    // What says something twice cannot be read at all.
    let twice = middle(&[authority(None), authority(None)]).sign();
    assert_eq!(both("host.example", &[server(), twice], &anchor), Err(Refusal::Stranger));
    // A server is no authority, nor is what is not version 3.
    let own = self::server(&[for_host("host.example"), authority(None)]);
    let middles = [middle(&[authority(None)]).sign()];
    assert!(both("host.example", &[own.sign(), middles[0].clone()], &anchor).is_err());
    for version in [vec![], vec![0xa0, 3, 2, 1, 1], vec![0xa0, 3, 2, 1, 3]] {
        let old = Plan { version, ..self::server(&[for_host("host.example")]) };
        assert!(both("host.example", &[old.sign(), middles[0].clone()], &anchor).is_err());
    }
    // What its key is for: the other judge does not look at that.
    let usage = |bits: u8| middle(&[authority(None), extension(15, true, &[3, 2, 1, bits])]).sign();
    assert_eq!(judgement("host.example", &[server(), usage(0x06)], &anchor), Ok(()));
    assert_eq!(judgement("host.example", &[server(), usage(0x80)], &anchor), Err(Refusal::Unacceptable));
    // How many there may be below.
    let chain = |limit: Option<u8>| {
        let first = plan("first", 3, "root", 1, &[authority(limit)]).sign();
        let second = plan("middle", 2, "first", 3, &[authority(Some(0))]).sign();
        both("host.example", &[server(), second, first], &anchor)
    };
    assert_eq!((chain(None), chain(Some(1))), (Ok(()), Ok(())));
    assert_eq!(chain(Some(0)), Err(Refusal::Unacceptable));
    let zero = middle(&[authority(Some(0))]).sign();
    assert_eq!(both("host.example", &[server(), zero], &anchor), Ok(()));
}

#[test]
fn the_use_of_all_counts_and_what_is_critical_is_known() {
    let anchor = [root().sign()];
    let usages = |list: &[&[u8]]| {
        let list: Vec<Vec<u8>> = list.iter().map(|usage| tlv(6, &[usage])).collect();
        extension(37, false, &tlv(0x30, &[&list.concat()]))
    };
    let (to_serve, to_call): (&[u8], &[u8]) =
        (b"\x2b\x06\x01\x05\x05\x07\x03\x01", b"\x2b\x06\x01\x05\x05\x07\x03\x02");
    let of = |server_has: Vec<u8>, middle_has: Vec<u8>| {
        let server = server(&[for_host("host.example"), server_has]);
        both("host.example", &[server.sign(), middle(&[authority(None), middle_has]).sign()], &anchor)
    };
    assert_eq!(of(usages(&[to_call, to_serve]), usages(&[to_serve])), Ok(()));
    for bad in [usages(&[to_call]), usages(&[]), usages(&[b"\x55\x1d\x25\x00"])] {
        assert_eq!(of(bad.clone(), vec![]), Err(Refusal::Unacceptable));
        assert_eq!(of(vec![], bad), Err(Refusal::Unacceptable));
    }
    assert_eq!(of(extension(99, false, &[5, 0]), extension(31, true, &[0x30, 0])), Ok(()));
    assert_eq!(of(extension(99, true, &[5, 0]), vec![]), Err(Refusal::Unacceptable));
    assert_eq!(of(vec![], extension(99, true, &[5, 0])), Err(Refusal::Unacceptable));
}

#[test]
fn an_authority_may_be_for_some_names_alone() {
    let anchor = [root().sign()];
    let allows = |constraints: Vec<u8>, known: &[(u8, &[u8])]| {
        let first = String::from_utf8_lossy(known[0].1).replace('*', "q");
        let host = if known[0].0 == ADDRESS { "10.1.2.3" } else { &*first };
        let server = server(&[names(known)]).sign();
        both(host, &[server, middle(&[authority(None), constraints]).sign()], &anchor).is_ok()
    };
    let domain = |text: &'static str| (DOMAIN, text.as_bytes());
    for (base, inside) in [
        ("example", true),
        ("host.example", true),
        ("HOST.EXAMPLE", true),
        (".example", true),
        ("", true),
        (".host.example", false),
        ("ost.example", false),
        ("other.example", false),
        ("a.host.example", false),
    ] {
        assert_eq!(
            allows(name_constraints(&[domain(base)], &[]), &[domain("host.example")]),
            inside,
            "{base}"
        );
        assert_eq!(
            allows(name_constraints(&[], &[domain(base)]), &[domain("host.example")]),
            !inside,
            "{base}"
        );
    }
    // Any of those that are permitted, none of those that are excluded.
    let two = [domain("other.example"), domain("example")];
    assert!(allows(name_constraints(&two, &[]), &[domain("host.example")]));
    assert!(!allows(name_constraints(&two, &[domain("host.example")]), &[domain("host.example")]));
    assert!(
        !allows(name_constraints(&two, &[]), &[domain("host.example"), domain("host.test")]),
        "all names"
    );
    // A wildcard is all that it stands for.
    assert!(allows(name_constraints(&[domain("example")], &[]), &[domain("*.a.example")]));
    assert!(!allows(
        name_constraints(&[domain("b.a.example"), domain("host.example")], &[]),
        &[domain("*.a.example")]
    ));
    assert!(!allows(name_constraints(&[], &[domain("b.a.example")]), &[domain("*.a.example")]));
    assert!(allows(name_constraints(&[], &[domain("b.c.example")]), &[domain("*.a.example")]));
    // Networks.
    let ours: (u8, &[u8]) = (ADDRESS, &[10, 1, 2, 3]);
    for (base, inside) in [
        (&[10, 0, 0, 0, 255, 0, 0, 0][..], true),
        (&[10, 1, 2, 3, 255, 255, 255, 255], true),
        (&[0, 0, 0, 0, 0, 0, 0, 0], true),
        (&[10, 2, 0, 0, 255, 255, 0, 0], false),
        (&[0; 32], false),
    ] {
        assert_eq!(allows(name_constraints(&[(ADDRESS, base)], &[]), &[ours]), inside, "{base:?}");
        assert_eq!(allows(name_constraints(&[], &[(ADDRESS, base)]), &[ours]), !inside, "{base:?}");
    }
    // What is for other kinds of names; and what is for every subject, which we do not judge.
    assert!(allows(name_constraints(&[(0x81, b"example")], &[]), &[domain("host.example")]));
    for kind in [0x81, 0x86] {
        assert!(!allows(name_constraints(&[(kind, b"x")], &[]), &[domain("host.example"), (kind, b"x")]));
        assert!(!allows(name_constraints(&[], &[(kind, b"x")]), &[domain("host.example"), (kind, b"y")]));
    }
    assert!(!allows(name_constraints(&[(DIRECTORY, &name("server"))], &[]), &[domain("host.example")]));
    assert!(!allows(name_constraints(&[], &[(DIRECTORY, &name("x"))]), &[domain("host.example")]));
    // The same of a root, whose certificate says it.
    let root =
        plan("root", 1, "root", 1, &[authority(None), name_constraints(&[domain("other.example")], &[])]);
    let server = plan("server", 9, "root", 1, &[for_host("host.example")]).sign();
    assert_eq!(both("host.example", &[server], &[root.sign()]), Err(Refusal::Unacceptable));
}

#[test]
fn a_chain_of_strangers_does_not_keep_us_busy() {
    // Six between are accepted, seven are not.
    const NAMES: [&str; 9] = ["root", "1", "2", "3", "4", "5", "6", "7", "8"];
    for between in [6, 7] {
        let mut certificates: Vec<Vec<u8>> = (1..=between)
            .map(|at| {
                plan(
                    NAMES[at],
                    10 + at as u8,
                    NAMES[at - 1],
                    if at == 1 { 1 } else { 9 + at as u8 },
                    &[authority(None)],
                )
                .sign()
            })
            .collect();
        let own = plan("server", 9, NAMES[between], 10 + between as u8, &[for_host("host.example")]);
        certificates.insert(0, own.sign());
        assert_eq!(both("host.example", &certificates, &[root().sign()]).is_ok(), between == 6);
    }
    // Authorities that all have signed one another.
    let mut certificates = vec![plan("server", 9, "a", 20, &[for_host("host.example")]).sign()];
    for key in 20..32 {
        for signer in 20..32 {
            certificates.push(plan("a", key, "a", signer, &[authority(None)]).sign());
        }
    }
    // That no more is looked for is what stands in the end.
    assert_eq!(judgement("host.example", &certificates, &[root().sign()]), Err(Refusal::Unacceptable));
}

#[test]
fn what_is_damaged_is_accepted_by_nobody_who_is_stricter() {
    let anchor = [root().sign()];
    let bodies = [
        server(&[for_host("host.example"), extension(15, true, &[3, 2, 7, 0x80])]).body(),
        middle(&[
            authority(Some(0)),
            name_constraints(&[domain_base("example")], &[domain_base("x.example")]),
        ])
        .body(),
    ];
    let good = [signed(&bodies[0], 2), signed(&bodies[1], 1)];
    assert_eq!(both("host.example", &good, &anchor), Ok(()));
    let mut random = Random(77);
    mutate::bytes(&bodies, 400, |body| {
        // Its length is mended often, so that what is inside is read.
        let body = match Der(body).next() {
            None if body.len() > 8 && body.len() < 0x1_0000 => tlv(0x30, &[&body[4..]]),
            _ => body.to_vec(),
        };
        let mut certificates = good.to_vec();
        let at = random.below(2);
        certificates[at] = signed(&body, [2, 1][at]);
        let ours = judgement("host.example", &certificates, &anchor);
        assert!(
            ours.is_err() || others_judgement("host.example", &certificates, &anchor).is_ok(),
            "{body:x?}"
        );
    });
    // And bytes of which nothing is signed again.
    mutate::bytes(&good, 2000, |bytes| {
        let _ = Certificate::read(bytes);
        let _ = Anchor::read(bytes);
        let changed = !good.iter().any(|good| good == bytes);
        let ours = judgement("host.example", &[good[0].clone(), bytes.to_vec()], &anchor);
        assert!(
            ours.is_err()
                || !changed
                || others_judgement("host.example", &[good[0].clone(), bytes.to_vec()], &anchor).is_ok()
        );
    });
}

fn domain_base(text: &'static str) -> (u8, &'static [u8]) {
    (DOMAIN, text.as_bytes())
}
