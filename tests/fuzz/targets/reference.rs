//! The names of images: what is understood can be said again, in full and as people say it, and means the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use servin_run::image::reference::Reference;

fuzz_target!(|text: &str| {
    let Ok(reference) = Reference::parse(text) else { return };
    for said in [reference.to_string(), reference.familiar()] {
        let again = Reference::parse(&said).unwrap_or_else(|error| panic!("{said}: {error}"));
        assert!(again.to_string() == reference.to_string(), "{text}: {said}");
    }
});
