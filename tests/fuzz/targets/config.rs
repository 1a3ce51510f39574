//! A bundle's config.json: parsed, written again to the same, and planned.
#![no_main]

use libfuzzer_sys::fuzz_target;
use servin_run::plan::{self, Host};
use servin_run::spec::{self, Config};

fuzz_target!(|text: &str| {
    let Ok(config) = spec::parse::<Config>(text, "config.json") else { return };
    let written = spec::to_json(&config);
    let again = spec::parse::<Config>(&written, "config.json").expect("what was written can be read");
    assert!(again == config, "{written}");
    let _ = plan::plan(&config, "/bundle", Host::default()).map(|plan| plan.to_string());
});
