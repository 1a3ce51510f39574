//! What a server sends: heads, bodies of every framing in pieces of every size, challenges.
#![no_main]

use libfuzzer_sys::fuzz_target;
use servin_run::error::Result;
use servin_run::image::auth::challenge;
use servin_run::image::http::Url;
use servin_run::image::http::body::read_answer;
use servin_run::image::http::stream::Stream;

struct Words(Vec<u8>, usize);

impl Stream for Words {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        let length = self.1.min(self.0.len()).min(buffer.len());
        buffer[..length].copy_from_slice(&self.0[..length]);
        self.0.drain(..length);
        Ok(length)
    }

    fn write(&mut self, _: &[u8]) -> Result<()> {
        Ok(())
    }

    fn is_quiet(&self) -> bool {
        true
    }
}

fuzz_target!(|bytes: &[u8]| {
    let Some((piece, words)) = bytes.split_first() else { return };
    let url = Url::parse("http://registry.example/v2/").expect("a URL");
    let stream = Box::new(Words(words.into(), usize::from(*piece) + 1));
    let Ok(response) = read_answer(stream, "GET", url.clone()) else { return };
    response.headers.all("www-authenticate").for_each(|value| drop(challenge::parse(value)));
    if let Some(location) = response.headers.get("location")
        && let Ok(next) = url.join(location)
    {
        assert!(!next.path.contains(['\r', '\n', ' ']) && next.path.starts_with('/'), "{next:?}");
    }
    // Answers without a body have the length that one would have had.
    let bare = matches!(response.status, 100..200 | 204 | 304);
    let length = response.length().filter(|_| !bare);
    if let Ok(body) = response.bytes(1 << 16) {
        assert!(length.is_none_or(|length| body.len() as u64 == length));
    }
});
