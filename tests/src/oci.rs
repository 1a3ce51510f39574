//! The OCI commands, as engines call them.

use std::process::Command;

use serde_json::Value;

use crate::{Bundle, Finished, places, reap_one, run, start};

/// Calls `servin-run` with these arguments.
#[track_caller]
pub fn oci(arguments: &[&str]) -> Finished {
    let mut command = Command::new(places::servin_run());
    command.args(arguments);
    start(run::quiet(command)).finish()
}

/// The document that `state` prints.
#[track_caller]
pub fn state(id: &str) -> Value {
    oci(&["state", id]).succeeds().json()
}

/// Where in its life a container is.
#[track_caller]
pub fn status(id: &str) -> String {
    state(id)["status"].as_str().expect("a status").to_string()
}

impl Bundle {
    /// The container's id.
    pub fn name(&self) -> &str {
        &self.id
    }

    /// Calls a command about this container; `create` and `run` get the bundle.
    #[track_caller]
    pub fn oci(&self, command: &str, flags: &[&str]) -> Finished {
        self.oci_with(&[], command, flags)
    }

    /// The same, with global flags before the command.
    #[track_caller]
    pub fn oci_with(&self, globals: &[&str], command: &str, flags: &[&str]) -> Finished {
        let mut arguments = globals.to_vec();
        arguments.push(command);
        let directory = self.directory().to_str().expect("a path of ours");
        if matches!(command, "create" | "run") {
            self.write(&self.config.to_string());
            arguments.extend(["--bundle", directory]);
        }
        arguments.extend(flags);
        arguments.push(&self.id);
        oci(&arguments)
    }

    /// Creates the container; the pid of its process.
    #[track_caller]
    pub fn created(&self) -> i32 {
        self.oci("create", &[]).succeeds();
        state(&self.id)["pid"].as_i64().expect("a pid") as i32
    }

    /// Creates the container and starts it; its pid.
    #[track_caller]
    pub fn started(&self) -> i32 {
        let pid = self.created();
        self.oci("start", &[]).succeeds();
        pid
    }

    /// Ends the container and removes it.
    #[track_caller]
    pub fn ended(&self, pid: i32) {
        self.oci("delete", &["--force"]).succeeds();
        reap_one(pid);
    }

    /// Runs one more process in it.
    #[track_caller]
    pub fn exec(&self, flags: &[&str], program: &[&str]) -> Finished {
        let mut arguments = vec!["exec"];
        arguments.extend(flags);
        arguments.push(&self.id);
        arguments.extend(program);
        oci(&arguments)
    }
}
