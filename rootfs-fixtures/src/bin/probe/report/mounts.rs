//! The mount table, as proc_pid_mountinfo(5) tells it.

use serde_json::{Value, json};

/// Every mount in the order of the table; null where /proc is no proc.
pub fn table() -> Value {
    match std::fs::read_to_string("/proc/self/mountinfo") {
        Ok(text) => text.lines().filter_map(mount).collect(),
        Err(_) => Value::Null,
    }
}

/// `36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue`
fn mount(line: &str) -> Option<Value> {
    let (front, back) = line.split_once(" - ")?;
    let front: Vec<&str> = front.split(' ').collect();
    let [id, parent, device, root, target, options, propagation @ ..] = &front[..] else { return None };
    let mut back = back.splitn(3, ' ');
    let (kind, source, super_options) = (back.next()?, back.next()?, back.next().unwrap_or(""));
    Some(json!({
        "id": id.parse::<u64>().ok()?,
        "parent": parent.parse::<u64>().ok()?,
        "device": device,
        "root": unescape(root),
        "target": unescape(target),
        "options": options.split(',').collect::<Vec<_>>(),
        "propagation": propagation,
        "type": kind,
        "source": unescape(source),
        "super": super_options.split(',').collect::<Vec<_>>(),
    }))
}

/// Space, tab, newline and backslash are written in octal.
fn unescape(text: &str) -> String {
    [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")]
        .iter()
        .fold(text.to_string(), |text, (escape, plain)| text.replace(escape, plain))
}
