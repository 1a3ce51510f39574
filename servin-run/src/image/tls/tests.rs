use std::cell::RefCell;
use std::rc::Rc;

use super::message::{extension, message, vector};
use super::*;
use crate::image::environment::Environment;
use crate::image::mutate;

/// A server that says the same to everybody, a few bytes at a time, and keeps what it is told.
struct Fixed {
    says: Vec<u8>,
    step: usize,
    told: Rc<RefCell<Vec<u8>>>,
}

impl Stream for Fixed {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        let length = self.says.len().min(self.step).min(buffer.len());
        buffer[..length].copy_from_slice(&self.says[..length]);
        self.says.drain(..length);
        Ok(length)
    }

    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.told.borrow_mut().extend_from_slice(bytes);
        Ok(())
    }

    fn is_quiet(&self) -> bool {
        true
    }
}

/// What comes of a handshake with it, and what the client said.
fn meet(says: &[u8], step: usize) -> (String, Vec<u8>) {
    let told = Rc::new(RefCell::new(Vec::new()));
    let stream = Box::new(Fixed { says: says.into(), step, told: told.clone() });
    let trust = configuration("localhost", true, &Environment::default()).expect("anybody");
    let error = Tls::connect(stream, "localhost", &trust).err().expect("no handshake comes of that");
    let told = told.borrow().clone();
    (format!("{error}"), told)
}

fn record(kind: u8, content: &[u8]) -> Vec<u8> {
    [&[kind, 3, 3], &*vector(2, &[content])].concat()
}

/// A hello with this suite and these extensions.
fn hello(random: &[u8], suite: u16, extensions: &[Vec<u8>]) -> Vec<u8> {
    let extensions = vector(2, &[&extensions.concat()]);
    record(22, &message(2, &[&[3, 3], random, &[0], &suite.to_be_bytes(), &[0], &extensions]))
}

fn seeds() -> Vec<Vec<u8>> {
    let curve = extension(51, &[&[0, 0x1d], &vector(2, &[&[9; 32]])]);
    let tls13 = extension(43, &[&[3, 4]]);
    let retry = hello(&handshake::RETRY, 0x1301, &[tls13.clone(), extension(51, &[&[0, 0x17]])]);
    let certificate = record(22, &message(11, &[&vector(3, &[&vector(3, &[&[0x30; 40]])])]));
    let exchange = record(
        22,
        &message(12, &[&[3, 0, 0x1d], &vector(1, &[&[9; 32]]), &[8, 4], &vector(2, &[&[1; 256]])]),
    );
    let tls12 =
        [hello(&[7; 32], 0xc02f, &[extension(23, &[])]), certificate, exchange, record(22, &[14, 0, 0, 0])];
    vec![
        hello(&[7; 32], 0x1301, &[tls13.clone(), curve]),
        [retry, record(20, &[1]), hello(&[7; 32], 0x1301, &[tls13])].concat(),
        tls12.concat(),
        record(21, &[2, 40]),
    ]
}

#[test]
fn whatever_a_server_says_ends_in_an_error() {
    for seed in seeds() {
        meet(&seed, 7);
    }
    mutate::bytes(&seeds(), 1500, |bytes| {
        let (_, told) = meet(bytes, 16384);
        assert!(told.starts_with(&[22, 3, 1]));
    });
}

#[test]
fn a_server_that_breaks_a_rule_is_told_which() {
    let tls13 = || extension(43, &[&[3, 4]]);
    let share = |group: u8, key: &[u8]| extension(51, &[&[0, group], &vector(2, &[key])]);
    let said = |says: &[u8]| {
        let (error, told) = meet(says, 16384);
        let alert = told.last_chunk::<7>().filter(|end| end[..6] == [21, 3, 3, 0, 2, 2]).map(|end| end[6]);
        (alert, error)
    };
    let random = [7; 32];
    let mut older = random;
    older[24..].copy_from_slice(b"DOWNGRD\x01");
    let retry = handshake::RETRY;
    #[rustfmt::skip]
    let cases: &[(Vec<u8>, u8)] = &[
        (b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec(), 50),
        // A handshake that was once secure is not made less so (RFC 8446 section 4.1.3).
        (hello(&older, 0xc02f, &[]), 47),
        (hello(&retry, 0xc02f, &[]), 47),
        // A suite of the other version, or none of ours.
        (hello(&random, 0x1301, &[]), 47),
        (hello(&random, 0xc02f, &[tls13(), share(0x1d, &[9; 32])]), 47),
        (hello(&random, 0x002f, &[]), 47),
        // Extensions that nobody asked for, twice, or of the other version.
        (hello(&random, 0xc02f, &[extension(16, &[])]), 110),
        (hello(&random, 0xc02f, &[extension(23, &[]), extension(23, &[])]), 47),
        (hello(&random, 0x1301, &[tls13(), share(0x1d, &[9; 32]), extension(23, &[])]), 110),
        (hello(&random, 0xc02f, &[share(0x1d, &[9; 32])]), 110),
        // Another session than ours.
        (hello(&random, 0x1301, &[tls13(), share(0x1d, &[9; 32])]), 47),
        // Wishes for what it has already, for what was not offered, for nothing; and a wish once more.
        (hello(&retry, 0x1301, &[tls13(), extension(51, &[&[0, 0x1d]])]), 47),
        (hello(&retry, 0x1301, &[tls13(), extension(51, &[&[0, 0x19]])]), 47),
        (hello(&retry, 0x1301, &[tls13()]), 47),
        ([hello(&retry, 0x1301, &[tls13(), extension(51, &[&[0, 0x17]])]),
          hello(&retry, 0x1301, &[tls13(), extension(51, &[&[0, 0x18]])])].concat(), 10),
        // Another suite after the wish.
        ([hello(&retry, 0x1301, &[tls13(), extension(51, &[&[0, 0x17]])]),
          hello(&random, 0x1302, &[tls13(), share(0x17, &[9; 65])])].concat(), 47),
        // Renegotiation that is not secure.
        (hello(&random, 0xc02f, &[extension(0xff01, &[&[1, 0]])]), 40),
        // Records: data before its time, nothing at all, too long, of no kind.
        (record(23, &[1]), 10),
        (record(22, &[]), 10),
        (record(20, &[1]), 10),
        (record(22, &[0; 16385]), 22),
        (vec![22, 3, 3, 0xff, 0xff], 22),
        (vec![9, 3, 3, 0, 1, 0], 50),
        // A message without end.
        (record(22, &[2, 0xff, 0, 0]), 50),
        // Warnings without end.
        (record(21, &[1, 112]).repeat(40), 10),
    ];
    for (at, (says, alert)) in cases.iter().enumerate() {
        let (told, error) = said(says);
        assert_eq!(told, Some(*alert), "{at}: {error}");
    }
    // What it says itself is not answered.
    let (told, error) = said(&record(21, &[2, 70]));
    assert!(told.is_none() && error.contains("the alert 70"), "{error}");
    let (told, error) = said(&[]);
    assert!(told.is_none() && error.contains("cut off"), "{error}");
}
