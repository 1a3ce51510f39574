//! Limits, scheduling, and the policies that come with a process.

use serde_json::{Value, json};

use super::text;
use crate::names::{IO_CLASSES, POLICIES, RLIMITS, named};
use crate::sys;

/// Adds the limits' fields.
pub fn add(seen: &mut Value) {
    let mut limits = Value::Object(Default::default());
    for (number, name) in RLIMITS.iter().enumerate() {
        limits[name] = sys::rlimit(number as u32).map_or(Value::Null, |pair| json!(pair));
    }
    seen["rlimits"] = limits;
    seen["oom_score_adj"] =
        text("/proc/self/oom_score_adj").as_str().and_then(|text| text.parse::<i32>().ok()).into();
    seen["scheduler"] = sys::scheduling().map_or(Value::Null, |found| {
        json!({
            "policy": named(&POLICIES, found.policy.into()),
            "flags": found.flags,
            "nice": found.nice,
            "priority": found.priority,
            "runtime": found.runtime,
            "deadline": found.deadline,
            "period": found.period,
        })
    });
    seen["io_priority"] = sys::io_priority()
        .map_or(Value::Null, |(class, level)| json!({ "class": named(&IO_CLASSES, class), "level": level }));
    seen["affinity"] = sys::affinity().map_or(Value::Null, |cpus| json!(cpus));
    seen["personality"] = sys::personality().map_or(Value::Null, |number| json!(number));
    seen["memory_policy"] =
        sys::memory_policy().map_or(Value::Null, |(mode, nodes)| json!({ "mode": mode, "nodes": nodes }));
}
