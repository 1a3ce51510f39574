//! Bundle configurations: `runc spec`'s default as it is, and what tests start from.

use serde_json::{Value, json};

/// What `runc spec` (1.1) writes, to the byte.
pub const RUNC_SPEC: &str = include_str!("../data/runc-spec.json");

/// `runc spec`'s default as a document to edit.
pub fn runc_spec() -> Value {
    RUNC_SPEC.parse().unwrap_or_else(|error| unreachable!("the data of this package is JSON: {error}"))
}

/// The default without a terminal, without `linux.resources`, and without the ambient capabilities, which that
/// default does not make inheritable, so that each run would begin with a warning; running `args`.
pub fn running(args: &[&str]) -> Value {
    let mut config = runc_spec();
    config["process"]["terminal"] = false.into();
    config["process"]["args"] = json!(args);
    for (section, field) in [("/linux", "resources"), ("/process/capabilities", "ambient")] {
        if let Some(section) = config.pointer_mut(section).and_then(Value::as_object_mut) {
            section.remove(field);
        }
    }
    config
}

/// One entry of `mounts`.
pub fn mount(destination: &str, kind: &str, source: &str, options: &[&str]) -> Value {
    json!({ "destination": destination, "type": kind, "source": source, "options": options })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_few_fields_differ_from_runcs_default() {
        let mut ours = running(&["sh"]);
        assert!(ours["linux"].get("resources").is_none());
        ours["process"]["terminal"] = true.into();
        ours["linux"]["resources"] = runc_spec()["linux"]["resources"].clone();
        ours["process"]["capabilities"]["ambient"] =
            runc_spec()["process"]["capabilities"]["ambient"].clone();
        assert_eq!(ours, runc_spec());
    }
}
