//! What a name server answers, the first bytes choosing the question.
#![no_main]

use libfuzzer_sys::fuzz_target;
use servin_run::image::dns::message::{Kind, answer, question};

fuzz_target!(|bytes: &[u8]| {
    let kind = if bytes.first().is_some_and(|byte| byte % 2 == 0) { Kind::A } else { Kind::Aaaa };
    let name = "registry.example";
    // Behind a right beginning, so that all of the rest is reached; and as it is.
    let mut whole = question(7, name, kind);
    whole[2] = 0x81;
    let counts = bytes.get(1).copied().unwrap_or(0);
    whole[7] = counts;
    whole.extend(bytes.get(2..).unwrap_or_default());
    let _ = answer(&whole, 7, name, kind);
    let _ = answer(bytes, 7, name, kind);
});
