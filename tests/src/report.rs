//! What the probe saw: the JSON of `probe report`, and questions that tests ask of it.

use std::ops::Deref;

use serde_json::Value;

/// One report; indexes like the JSON that it is.
#[derive(Debug)]
pub struct Report(pub(crate) Value);

impl Deref for Report {
    type Target = Value;

    fn deref(&self) -> &Value {
        &self.0
    }
}

impl Report {
    /// The uppermost mount on `target`.
    #[track_caller]
    pub fn mount(&self, target: &str) -> &Value {
        let mounts = self.0["mounts"].as_array().expect("the report has mounts");
        let found = mounts.iter().rev().find(|mount| mount["target"] == target);
        found.unwrap_or_else(|| panic!("nothing is mounted on {target}: {:?}", self.mount_targets()))
    }

    /// Where something is mounted, in the order of the table.
    pub fn mount_targets(&self) -> Vec<&str> {
        let mounts = self.0["mounts"].as_array().expect("the report has mounts");
        mounts.iter().filter_map(|mount| mount["target"].as_str()).collect()
    }

    /// Whether the mount on `target` has this option, its own or the file system's.
    pub fn mounted_with(&self, target: &str, option: &str) -> bool {
        let mount = self.mount(target);
        ["options", "super"].iter().any(|kind| has(&mount[kind], option))
    }

    /// Whether a capability set has this capability.
    pub fn has_capability(&self, set: &str, capability: &str) -> bool {
        has(&self.0["capabilities"][set], capability)
    }

    /// Whether the environment has this `NAME=value`.
    pub fn has_env(&self, entry: &str) -> bool {
        has(&self.0["env"], entry)
    }

    /// The value of a variable of the environment.
    pub fn env(&self, name: &str) -> Option<&str> {
        let env = self.0["env"].as_array()?;
        env.iter().filter_map(Value::as_str).find_map(|entry| entry.strip_prefix(name)?.strip_prefix('='))
    }

    /// The numbers of the open descriptors.
    pub fn descriptors(&self) -> Vec<i64> {
        let open = self.0["descriptors"].as_array().expect("the report has descriptors");
        open.iter().filter_map(|descriptor| descriptor["fd"].as_i64()).collect()
    }

    /// The number of a namespace.
    #[track_caller]
    pub fn namespace(&self, kind: &str) -> u64 {
        self.0["namespaces"][kind].as_u64().unwrap_or_else(|| panic!("no {kind} namespace in the report"))
    }
}

fn has(list: &Value, wanted: &str) -> bool {
    list.as_array().is_some_and(|list| list.iter().any(|item| item == wanted))
}
