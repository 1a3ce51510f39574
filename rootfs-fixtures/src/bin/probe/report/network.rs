//! The network's interfaces.

use serde_json::{Value, json};

use crate::sys;

/// Interfaces by name: flags and addresses.
pub fn interfaces() -> Value {
    let Ok(entries) = sys::interfaces() else { return Value::Null };
    let mut found = Value::Object(Default::default());
    for entry in entries {
        let has = |flag: libc::c_int| entry.flags & flag as u32 != 0;
        let interface = &mut found[&entry.name];
        if interface.is_null() {
            *interface = json!({ "addresses": [] });
        }
        interface["up"] = has(libc::IFF_UP).into();
        interface["running"] = has(libc::IFF_RUNNING).into();
        interface["loopback"] = has(libc::IFF_LOOPBACK).into();
        if let (Some(addresses), false) = (interface["addresses"].as_array_mut(), entry.address.is_empty()) {
            addresses.push(entry.address.into());
        }
    }
    found
}
