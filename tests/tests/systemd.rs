//! The systemd driver, against a real systemd as PID 1. These tests run in a machine of their own.

#[test]
fn systemd_is_pid_1() {
    assert_eq!(std::fs::read_to_string("/proc/1/comm").expect("PID 1"), "systemd\n");
}
