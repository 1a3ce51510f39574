//! Containers in networks: their interfaces, addresses and names; who reaches whom; what is left.

use std::collections::BTreeSet;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;
use servin_tests::{Outside, People, Running, alone, bind, servin, start, unmount, until};

/// A web server that says one word; its command waits in the foreground.
const SERVER: &[&str] =
    &["sh", "-c", "mkdir -p /www/$0; echo $0 > /www/index.html; httpd -p 80 -h /www && exec sleep 1000"];

fn people() -> People {
    People::of("busybox")
}

/// A detached container.
struct Detached(String);

impl Detached {
    #[track_caller]
    fn new(people: &People, name: &str, flags: &[&str], program: &[&str]) -> Detached {
        let root = people.root();
        let head = ["run", "-d", "--name", name, "--rootfs", root.to_str().expect("UTF-8")];
        servin(&[&head, flags, &["--"], program].concat()).succeeds();
        Detached(name.to_string())
    }

    fn serving(people: &People, name: &str, flags: &[&str]) -> Detached {
        Detached::new(people, name, flags, &[SERVER, &[name]].concat())
    }

    fn address(&self, network: &str) -> String {
        member(network, &self.0)["IPv4Address"]
            .as_str()
            .expect("an address")
            .split('/')
            .next()
            .unwrap_or("")
            .into()
    }
}

impl Drop for Detached {
    fn drop(&mut self) {
        servin(&["rm", "-f", &self.0]);
    }
}

fn inspect(network: &str) -> Value {
    servin(&["network", "inspect", network]).succeeds().json()[0].clone()
}

/// What the network says of a container in it.
#[track_caller]
fn member(network: &str, name: &str) -> Value {
    let document = inspect(network);
    let members = document["Containers"].as_object().expect("an object");
    let found = members.values().find(|member| member["Name"] == name);
    found.unwrap_or_else(|| panic!("{name} is not in {network}: {document}")).clone()
}

/// What a web server says to the test itself; empty if nothing does in time.
fn fetch(address: &str) -> String {
    ask_server(address).unwrap_or_default()
}

fn ask_server(address: &str) -> std::io::Result<String> {
    let address = format!("{address}:80").parse().expect("an address");
    let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(2))?;
    stream.set_read_timeout(Some(Duration::from_secs(2)))?;
    stream.write_all(b"GET / HTTP/1.0\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer.split("\r\n\r\n").nth(1).unwrap_or_default().trim().to_string())
}

/// The same until it answers.
#[track_caller]
fn fetch_soon(address: &str) -> String {
    let mut said = String::new();
    until("it answers", || {
        said = fetch(address);
        !said.is_empty()
    });
    said
}

/// What a web server says to a container in `network`.
fn fetch_inside(people: &People, network: &str, address: &str) -> String {
    let wget = ["timeout", "2", "wget", "-q", "-O", "-", &format!("http://{address}/")];
    people.clone().flags(&["--network", network]).run(&wget).out.trim().to_string()
}

fn interfaces() -> BTreeSet<String> {
    let lines = fs::read_to_string("/proc/net/dev").expect("read the interfaces");
    lines.lines().filter_map(|line| Some(line.split_once(':')?.0.trim().to_string())).collect()
}

/// Removes networks, so that nothing is left.
fn remove(networks: &[&str]) {
    // The last container's supervisor may still be at it.
    for network in networks {
        until("the network is nobody's", || servin(&["network", "rm", network]).code == 0);
    }
}

#[test]
fn a_container_has_an_interface_an_address_a_way_out_and_names() {
    alone(|| {
        let script = "ip -o addr; ip route; echo --; cat /etc/hosts; echo --; cat /etc/hostname";
        let run = people().flags(&["--hostname", "box"]).run(&["sh", "-c", script]).succeeds();
        let parts: Vec<&str> = run.out.split("--\n").collect();
        assert!(
            parts[0].contains("inet 127.0.0.1/8") && parts[0].contains("inet 10.121.0.2/16"),
            "{}",
            parts[0]
        );
        assert!(parts[0].contains("default via 10.121.0.1 dev eth0"), "{}", parts[0]);
        assert!(
            parts[1].contains("127.0.0.1\tlocalhost") && parts[1].contains("10.121.0.2\tbox"),
            "{}",
            parts[1]
        );
        assert_eq!(parts[2], "box\n");
    });
}

#[test]
fn the_first_container_says_that_the_host_forwards_now() {
    alone(|| {
        // Not for those who do not go out.
        servin(&["network", "create", "--internal", "inner"]).succeeds();
        for network in ["none", "host", "inner"] {
            let run = people().flags(&["--network", network]).run(&["true"]).succeeds();
            assert!(!run.err.contains("ip_forward"), "{}", run.err);
            assert_eq!(fs::read_to_string("/proc/sys/net/ipv4/ip_forward").expect("read"), "0\n");
        }
        remove(&["inner"]);
        let run = people().run(&["true"]).succeeds();
        assert!(run.err.contains("net.ipv4.ip_forward"), "{}", run.err);
        assert_eq!(fs::read_to_string("/proc/sys/net/ipv4/ip_forward").expect("read"), "1\n");
        let again = people().run(&["true"]).succeeds();
        assert!(!again.err.contains("ip_forward"), "{}", again.err);
    });
}

#[test]
fn containers_find_each_other_by_name_as_long_as_they_run() {
    alone(|| {
        let people = people();
        let web = Detached::serving(&people, "web", &["--network-alias", "www"]);
        assert_eq!(fetch_soon(&web.address("bridge")), "web");
        let mut other = people.start(&[
            "sh",
            "-c",
            "wget -qO- http://web/; wget -qO- http://www/; read x; cat /etc/hosts",
        ]);
        other.says("web\nweb");
        assert_eq!(fetch_inside(&people, "bridge", "www"), "web");
        drop(web);
        let later = Detached::serving(&people, "later", &[]);
        assert_eq!(fetch_soon(&later.address("bridge")), "later");
        other.signal(libc::SIGTERM);
        other.finish();
    });
}

#[test]
fn hosts_files_forget_who_has_gone() {
    alone(|| {
        let people = people();
        let _stays = Detached::new(
            &people,
            "stays",
            &[],
            &[
                "sh",
                "-c",
                "while ! cat /etc/hosts | grep -q comes; do sleep 0.02; done; while grep -q comes /etc/hosts; do sleep 0.02; done; echo gone > /gone; sleep 1000",
            ],
        );
        let comes = Detached::new(&people, "comes", &[], &["sleep", "1000"]);
        std::thread::sleep(Duration::from_millis(100));
        drop(comes);
        until("the hosts file is written anew", || people.root().join("gone").exists());
    });
}

#[test]
fn the_world_is_reached_under_the_hosts_address() {
    alone(|| {
        let outside = Outside::new();
        let mut server = start(outside.command(
            "busybox",
            &["nc", "-l", "-p", "7000", "-e", "sh", "-c", "echo ok; busybox netstat -tn >&2"],
        ));
        std::thread::sleep(Duration::from_millis(200));
        let run = people().run(&["nc", "-w", "5", servin_tests::OUTSIDE, "7000"]);
        assert_eq!(run.out.trim(), "ok", "{}", run.err);
        server.end_input();
        let server = server.finish();
        assert!(server.err.contains(servin_tests::OUR_ADDRESS), "{}", server.err);
    });
}

#[test]
fn an_internal_network_reaches_nothing_outside() {
    alone(|| {
        let outside = Outside::new();
        servin(&["network", "create", "--internal", "inner"]).succeeds();
        let people = people();
        let web = Detached::serving(&people, "web", &["--network", "inner"]);
        assert_eq!(fetch_soon(&web.address("inner")), "web");
        assert_eq!(fetch_inside(&people, "inner", "web"), "web");
        // Not even by a route of its own making.
        let script = format!(
            "ip route | grep -c default; ip route add default via $(ip route | sed -n 's/.*src //p' | sed 's/[0-9]*$/1/'); \
             ping -c 1 -W 1 {} > /dev/null && echo reached",
            servin_tests::OUTSIDE
        );
        let flags = ["--network", "inner", "--cap-add", "NET_ADMIN"];
        let run = people.clone().flags(&flags).run(&["sh", "-c", &script]);
        assert_eq!(run.out.trim(), "0", "{}", run.err);
        drop(web);
        drop(outside);
        remove(&["inner"]);
    });
}

#[test]
fn containers_of_different_networks_do_not_reach_each_other() {
    alone(|| {
        servin(&["network", "create", "red"]).succeeds();
        servin(&["network", "create", "blue"]).succeeds();
        let people = people();
        let web = Detached::serving(&people, "web", &["--network", "red"]);
        let address = web.address("red");
        assert_eq!(fetch_soon(&address), "web");
        assert_eq!(fetch_inside(&people, "red", &address), "web");
        assert_eq!(fetch_inside(&people, "blue", &address), "");
        assert_eq!(fetch_inside(&people, "bridge", &address), "");
        // One that is in both reaches both.
        let both = people.clone().flags(&["--network", "blue", "--network", "red"]);
        let run =
            both.run(&["sh", "-c", "timeout 2 wget -qO- http://web/; ip -o addr | grep -c eth"]).succeeds();
        assert_eq!(run.out, "web\n2\n");
        drop(web);
        remove(&["red", "blue"]);
    });
}

#[test]
fn ipv6_works_as_ipv4_does() {
    alone(|| {
        let mtu = ["--opt", "mtu=1380"];
        let create = ["network", "create", "--ipv6", "--subnet", "fd00:7::/64"];
        servin(&[&create[..], &mtu, &["six"]].concat()).succeeds();
        let people = people();
        let web = Detached::serving(&people, "web", &["--network", "six", "--ip6", "fd00:7::99"]);
        assert_eq!(member("six", "web")["IPv6Address"], "fd00:7::99/64");
        assert_eq!(fetch_soon("[fd00:7::99]"), "web");
        assert_eq!(fetch_inside(&people, "six", "[fd00:7::99]"), "web");
        let run = people
            .clone()
            .flags(&["--network", "six"])
            .run(&["sh", "-c", "ip -6 route; ip -6 addr"])
            .succeeds();
        assert!(run.out.contains("mtu 1380"), "{}", run.out);
        assert!(run.out.contains("default via fd00:7::1") && run.out.contains("fd00:7::2/64"), "{}", run.out);
        drop(web);
        remove(&["six"]);
    });
}

#[test]
fn addresses_that_are_asked_for_are_given_or_refused() {
    alone(|| {
        servin(&["network", "create", "--subnet", "10.77.0.0/24", "--ip-range", "10.77.0.64/26", "net"])
            .succeeds();
        let people = people();
        let flags = |more: &[&'static str]| people.clone().flags(&[&["--network", "net"], more].concat());
        let address = &["sh", "-c", "ip -o -4 addr show eth0; ip -o link show eth0"];
        let given =
            flags(&["--ip", "10.77.0.9", "--mac-address", "02:aa:bb:cc:dd:ee"]).run(address).succeeds();
        assert!(
            given.out.contains("10.77.0.9/24") && given.out.contains("02:aa:bb:cc:dd:ee"),
            "{}",
            given.out
        );
        assert!(flags(&[]).run(address).succeeds().out.contains("10.77.0.64/24"));
        let _holder =
            Detached::new(&people, "holder", &["--network", "net", "--ip", "10.77.0.9"], &["sleep", "1000"]);
        for (more, words) in [
            (&["--ip", "10.77.0.9"][..], &["holder", "10.77.0.9"][..]),
            (&["--ip", "10.77.0.1"], &["gateway"]),
            (&["--ip", "10.77.1.1"], &["10.77.0.0/24"]),
            (&["--ip", "10.77.0.255"], &["broadcast"]),
            (&["--ip6", "fd00::9"], &["IPv6"]),
            (&["--mac-address", "01:00:00:00:00:01"], &["--mac-address"]),
            (&["--ip", "x"], &["--ip x"]),
        ] {
            flags(more).run(&["true"]).fails(words);
        }
        people.clone().flags(&["--network", "nosuch"]).run(&["true"]).fails(&["there is no network nosuch"]);
        drop(_holder);
        remove(&["net"]);
    });
}

#[test]
fn an_address_leads_at_once_to_who_has_it_now() {
    alone(|| {
        servin(&["network", "create", "--ipv6", "--subnet", "fd00:7::/64", "six"]).succeeds();
        let people = people();
        // So that the bridge stays, and with it what the host knows of hardware addresses.
        let _stays = Detached::new(&people, "stays", &["--network", "six"], &["sleep", "1000"]);
        for number in 0..3 {
            let (name, mac) = (format!("web{number}"), format!("02:00:00:00:00:0{number}"));
            let flags = ["--network", "six", "--ip6", "fd00:7::99", "--mac-address", &mac];
            let web = Detached::serving(&people, &name, &flags);
            let address = web.address("six");
            until("it listens", || servin(&["exec", &name, "wget", "-qO-", "http://127.0.0.1/"]).code == 0);
            assert_eq!(fetch(&address), name);
            assert_eq!(fetch("[fd00:7::99]"), name);
        }
        drop(_stays);
        remove(&["six"]);
    });
}

#[test]
fn a_namespace_may_be_the_hosts_none_or_another_containers() {
    alone(|| {
        let people = people();
        let links = |flags: &[&str]| {
            people
                .clone()
                .flags(flags)
                .run(&["sh", "-c", "ls /sys/class/net; readlink /proc/self/ns/net"])
                .succeeds()
                .out
        };
        let own = fs::read_link("/proc/self/ns/net").expect("read").display().to_string();
        assert!(links(&["--network", "host"]).ends_with(&format!("{own}\n")));
        let none = people.clone().flags(&["--network", "none"]).run(&["ip", "-o", "addr"]).succeeds();
        assert!(none.out.contains("127.0.0.1") && !none.out.contains("eth0"), "{}", none.out);
        let web = Detached::serving(&people, "web", &[]);
        assert_eq!(fetch_soon(&web.address("bridge")), "web");
        let shared = people.clone().flags(&["--network", "container:web"]);
        let run = shared.run(&["sh", "-c", "wget -qO- http://127.0.0.1/; grep web /etc/hosts"]).succeeds();
        assert!(run.out.starts_with("web\n10.121.0.2\t"), "{}", run.out);
        people.clone().flags(&["--network", "container:nosuch"]).run(&["true"]).fails(&["nosuch"]);
    });
}

#[test]
fn name_servers_that_a_container_cannot_reach_are_left_out() {
    alone(|| {
        let mine = servin_tests::scratch("resolv.conf");
        let place = mine.to_str().expect("UTF-8");
        fs::write(&mine, "nameserver 127.0.0.53\nnameserver 192.0.2.53\nsearch here\noptions edns0\n")
            .expect("write");
        // The virtual machine has none.
        let _ = fs::OpenOptions::new().create(true).append(true).open("/etc/resolv.conf");
        bind(place, "/etc/resolv.conf").expect("bind");
        let cat = |flags: &[&str]| people().flags(flags).run(&["cat", "/etc/resolv.conf"]).succeeds();
        assert_eq!(cat(&[]).out, "nameserver 192.0.2.53\nsearch here\noptions edns0\n");
        assert_eq!(cat(&["--network", "host"]).lines()[0], "nameserver 127.0.0.53");
        let own = ["--dns", "9.9.9.9", "--dns-search", "there", "--dns-option", "ndots:2"];
        assert_eq!(cat(&own).out, "nameserver 9.9.9.9\nsearch there\noptions ndots:2\n");
        fs::write(&mine, "nameserver 127.0.0.1\n").expect("write");
        let public = cat(&[]);
        assert_eq!(public.out, "nameserver 8.8.8.8\nnameserver 8.8.4.4\n");
        assert!(public.err.contains("--dns"), "{}", public.err);
        let hosts = people().flags(&["--add-host", "there:192.0.2.7", "--add-host", "up=host-gateway"]);
        let hosts = hosts.run(&["cat", "/etc/hosts"]).succeeds().out;
        assert!(hosts.contains("192.0.2.7\tthere") && hosts.contains("10.121.0.1\tup"), "{hosts}");
        unmount("/etc/resolv.conf").expect("unmount");
    });
}

#[test]
fn a_hundred_containers_at_once_have_a_hundred_addresses() {
    alone(|| {
        let people = people();
        let commands: Vec<Running> = (0..100)
            .map(|number| {
                let mut command = Command::new(servin_tests::servin_program());
                command.args([
                    "run",
                    "-d",
                    "--name",
                    &format!("c{number}"),
                    "--log-driver",
                    "none",
                    "--rootfs",
                ]);
                start({
                    command.arg(people.root()).args(["sleep", "1000"]);
                    command
                })
            })
            .collect();
        for command in commands {
            command.finish().succeeds();
        }
        let document = inspect("bridge");
        let members = document["Containers"].as_object().expect("an object");
        let addresses: BTreeSet<&str> =
            members.values().filter_map(|member| member["IPv4Address"].as_str()).collect();
        assert_eq!((members.len(), addresses.len()), (100, 100));
        let pids: Vec<String> = (0..100).map(|number| format!("c{number}")).collect();
        let names: Vec<&str> = pids.iter().map(String::as_str).collect();
        servin(&[&["rm", "-f"], names.as_slice()].concat()).succeeds();
    });
}

#[test]
fn a_container_that_was_restarted_is_connected_again() {
    alone(|| {
        let people = people();
        let web = Detached::serving(&people, "web", &[]);
        assert_eq!(fetch_soon(&web.address("bridge")), "web");
        servin(&["restart", "-t", "0", "web"]).succeeds();
        assert_eq!(fetch_soon(&web.address("bridge")), "web");
        servin(&["stop", "-t", "0", "web"]).succeeds();
        servin(&["start", "web"]).succeeds();
        assert_eq!(fetch_soon(&web.address("bridge")), "web");
    });
}

#[test]
fn a_running_container_is_connected_and_disconnected() {
    alone(|| {
        servin(&["network", "create", "red"]).succeeds();
        let people = people();
        let web = Detached::serving(&people, "web", &[]);
        let settings = || servin(&["inspect", "web"]).succeeds().json()[0]["NetworkSettings"].clone();
        assert_eq!(settings()["IPAddress"], "10.121.0.2");
        assert_eq!(settings()["Networks"]["bridge"]["Gateway"], "10.121.0.1");
        servin(&["network", "connect", "--alias", "www", "red", "web"]).succeeds();
        servin(&["network", "connect", "red", "web"]).fails(&["already"]);
        // Its own names are in its own hosts file, for each address that it has.
        let hostname = servin(&["exec", "web", "hostname"]).succeeds().out.trim().to_string();
        let own = || {
            let hosts = servin(&["exec", "web", "cat", "/etc/hosts"]).succeeds().out;
            let names = format!("\t{hostname} web");
            hosts.lines().filter_map(|line| line.strip_suffix(&names)).map(String::from).collect::<Vec<_>>()
        };
        let in_red = web.address("red");
        assert_eq!(own(), ["10.121.0.2", &in_red]);
        assert_eq!(fetch_soon(&web.address("red")), "web");
        assert_eq!(fetch_inside(&people, "red", "www"), "web");
        servin(&["network", "rm", "red"]).fails(&["web"]);
        let neighbour = Detached::new(&people, "neighbour", &[], &["sleep", "1000"]);
        let knows = |name: &str| servin(&["exec", "web", "grep", name, "/etc/hosts"]).code == 0;
        assert!(knows("neighbour"));
        servin(&["network", "disconnect", "bridge", "web"]).succeeds();
        assert_eq!(own(), [in_red]);
        assert!(!knows("neighbour"));
        drop(neighbour);
        assert_eq!(settings()["Networks"].as_object().map(|networks| networks.len()), Some(1));
        assert_eq!(fetch_inside(&people, "red", "web"), "web");
        // What was changed while it ran holds for the next start.
        servin(&["restart", "-t", "0", "web"]).succeeds();
        assert_eq!(fetch_soon(&web.address("red")), "web");
        // Out of the last one, and into one again.
        servin(&["network", "disconnect", "red", "web"]).succeeds();
        assert_eq!(own(), ["127.0.1.1"]);
        servin(&["restart", "-t", "0", "web"]).succeeds();
        servin(&["network", "connect", "red", "web"]).succeeds();
        assert_eq!(own(), [web.address("red")]);
        assert!(inspect("bridge")["Containers"].as_object().is_some_and(|members| members.is_empty()));
        drop(web);
        remove(&["red"]);
    });
}

#[test]
fn nothing_is_left_of_networks_whoever_is_killed() {
    alone(|| {
        let people = people();
        let before = interfaces();
        for round in 0..36_u64 {
            let root = people.root();
            let mut command = Command::new(servin_tests::servin_program());
            command.args(["run", "-d", "--name", "victim", "-p", "8080:80", "-p", "53:53/udp", "--rootfs"]);
            command.arg(root).args(["sleep", "1000"]);
            let running = start(command);
            std::thread::sleep(Duration::from_micros(round * 1_700));
            // Everybody at once (the command, the supervisor, the container), or one of the first two alone.
            match round % 3 {
                0 => kill_all(),
                1 => kill_supervisors(),
                _ => running.signal(libc::SIGKILL),
            }
            running.finish();
            servin(&["rm", "-f", "victim"]);
            servin(&["system", "prune", "-f"]).succeeds();
            // The kernel takes namespaces down behind our back.
            until("the interfaces are gone", || interfaces() == before);
            assert_eq!(servin_tests::nft_lists("ruleset"), "", "round {round}");
            let state =
                Path::new(&std::env::var("SERVIN_ROOT").expect("set by the harness")).join(".networks");
            for leases in [&state, &state.join("ports")] {
                let left: Vec<_> = fs::read_dir(leases).into_iter().flatten().flatten().collect();
                let kept =
                    |entry: &&fs::DirEntry| ![".lock", "ports"].map(Into::into).contains(&entry.file_name());
                assert_eq!(left.iter().filter(kept).count(), 0, "round {round}: {left:?}");
            }
            assert_eq!(servin(&["ps", "-aq"]).succeeds().out, "", "round {round}");
            let document = inspect("bridge");
            assert_eq!(
                document["Containers"].as_object().map(|members| members.len()),
                Some(0),
                "{document}"
            );
        }
        servin_tests::forget_home();
    });
}

fn kill_supervisors() {
    for pid in others() {
        let line = fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        if line.contains(".supervise") {
            let _ = servin_tests::kill(pid.cast_signed(), libc::SIGKILL);
        }
    }
}

/// Kills every process of the test's PID namespace but the test, and waits until they have ended: one that is in a
/// system call finishes that first.
fn kill_all() {
    let _ = servin_tests::kill(-1, libc::SIGKILL);
    until("what was killed ends", || others_that_live() == 0);
}

fn others() -> Vec<u32> {
    let processes = fs::read_dir("/proc").expect("list /proc").flatten();
    let pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    pids.filter(|pid| *pid != std::process::id()).collect()
}

fn others_that_live() -> usize {
    let lives =
        |pid: &u32| fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z"));
    others().iter().filter(|pid| lives(pid)).count()
}
