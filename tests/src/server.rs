//! A container whose ports are published, who asks at them, and what nftables has of them.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::{Finished, People, ask_from, servin, start, until};

/// A detached container that answers at ports, as `probe answer` does; removed with the value.
pub struct Server {
    name: String,
}

impl Server {
    /// `flags` publish; `ports` are those that it answers at.
    #[track_caller]
    pub fn start(name: &str, flags: &[&str], ports: &[&str]) -> Server {
        Server::started(Server::command(name, flags, ports), name, ports)
    }

    /// The same by a command that runs [`Server::command`].
    #[track_caller]
    pub fn started(command: Command, name: &str, ports: &[&str]) -> Server {
        start(command).finish().succeeds();
        let server = Server::of(name);
        if let Some(port) = ports.iter().find(|port| !port.contains('/')) {
            let place = format!("127.0.0.1:{port}");
            until(&format!("{name} answers"), || ask_from(server.pid(), &["tcp", &place]) != "refused");
        }
        server
    }

    /// What the command says that starts it.
    #[track_caller]
    pub fn try_start(name: &str, flags: &[&str], ports: &[&str]) -> Finished {
        start(Server::command(name, flags, ports)).finish()
    }

    /// The command that starts it.
    pub fn command(name: &str, flags: &[&str], ports: &[&str]) -> Command {
        let people = People::new().flags(&["-d", "--rm=false", "--name", name]).flags(flags);
        people.command(&[&["/bin/probe", "answer", name], ports].concat())
    }

    /// One that was started otherwise.
    pub fn of(name: &str) -> Server {
        Server { name: name.to_string() }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What Servin keeps of it.
    fn record(&self) -> Value {
        let containers =
            Path::new(&std::env::var("SERVIN_HOME").expect("set by the harness")).join("containers");
        let all = fs::read_dir(&containers).expect("list the containers").flatten();
        let mut records = all.filter_map(|entry| {
            let text = fs::read_to_string(entry.path().join("container.json")).ok()?;
            Some(text.parse::<Value>().expect("a record"))
        });
        records.find(|record| record["name"] == self.name.as_str()).expect("a container of that name")
    }

    /// Its PID 1 as the test sees it.
    pub fn pid(&self) -> i32 {
        self.record()["state"]["pid"].as_i64().expect("a pid") as i32
    }

    /// Its own address.
    pub fn address(&self) -> String {
        self.place("address")
    }

    /// The host's address in its network.
    pub fn gateway(&self) -> String {
        self.place("gateway")
    }

    fn place(&self, field: &str) -> String {
        let record = self.record();
        let address = record["attached"]["endpoints"][0]["addresses"][0][field].as_str();
        address.expect("an address").to_string()
    }

    /// What `servin port` says.
    pub fn ports(&self) -> Vec<String> {
        servin(&["port", &self.name]).succeeds().lines().iter().map(|line| line.to_string()).collect()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        servin(&["rm", "-f", &self.name]);
    }
}

/// The elements of all maps that nft lists, or nothing where it is not installed (in QEMU).
pub fn redirections() -> Vec<String> {
    let text = nft_lists("ruleset");
    let elements = text.lines().filter(|line| line.contains(" comment ") && line.contains(" : "));
    elements.map(|line| line.trim().to_string()).collect()
}

/// What `nft list WHAT` prints.
pub fn nft_lists(what: &str) -> String {
    let listed = Command::new("nft").args(["list"]).args(what.split(' ')).output();
    listed.map_or(String::new(), |listed| String::from_utf8_lossy(&listed.stdout).into_owned())
}

/// `ADDRESS:PORT`.
pub fn at(address: &str, port: u16) -> String {
    if address.contains(':') { format!("[{address}]:{port}") } else { format!("{address}:{port}") }
}

/// Fails the test unless the answer begins so.
#[track_caller]
pub fn assert_answers(answer: &str, expected: &str) {
    assert!(answer.starts_with(expected), "{expected:?} was to answer: {answer:?}");
}
