//! `bench network`: a published port, from another host (a network namespace behind a veth pair) and from this one,
//! beside podman with netavark; and what it takes to connect a container and to take it away again, beside netavark
//! and CNI's bridge.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::runner::{Contender, ID, chosen, measure};
use super::statistics::{median, ratio};
use super::table::Table;
use super::{Options, bundle, programs};
use crate::{Result, command, debian, elf, workspace};

const ROUNDS: usize = 5;
const SET_UP_ROUNDS: usize = 30;

/// What this benchmark wants beside the others'.
const PACKAGES: &[&str] = &[
    "iperf3",
    "iproute2",
    "iptables",
    "podman",
    "netavark",
    "conmon",
    "containernetworking-plugins",
    "nftables",
];

/// The other host, and the addresses of the cable to it.
const OTHER: &str = "bench-other";
const OURS: &str = "192.0.2.1";
const THEIRS: &str = "192.0.2.2";

/// iperf3's own port, and that of the echo.
const IPERF: u16 = 5201;
const ECHO: u16 = 7;

/// Seconds of one transfer.
const TRANSFER: &str = "2";
/// Questions and answers of one round, and connections.
const QUESTIONS: u32 = 5000;
const CONNECTIONS: u32 = 500;

/// How long a server may take until it answers.
const START: Duration = Duration::from_secs(20);

/// Somebody who publishes ports.
struct Publisher {
    name: &'static str,
    /// The command that starts a detached container, up to its name, and what follows the name.
    run: (Vec<String>, Vec<String>),
    /// The command that removes one by name.
    remove: Vec<String>,
    /// Where its ports begin.
    port: u16,
}

/// What was measured of one of them, one value a round.
#[derive(Default)]
struct Results {
    /// Bits per second, to the container and from it.
    inward: Vec<u64>,
    outward: Vec<u64>,
    /// Nanoseconds of a question and its answer, and of a connection with its first byte.
    answer: Vec<u64>,
    connection: Vec<u64>,
}

pub fn run(options: &Options) -> Result {
    debian::ensure(PACKAGES, "bench network")?;
    let root = server_root()?;
    prepare_network()?;
    let publishers: Vec<Publisher> =
        publishers(&root)?.into_iter().filter(|one| options.wants(one.name)).collect();
    let started = publishers.iter().try_for_each(Publisher::start);
    let measured = started.and_then(|()| measure_ports(&publishers, options.rounds.unwrap_or(ROUNDS)));
    publishers.iter().for_each(Publisher::stop);
    let measured = measured?;
    println!("a published port; iperf3 from another host, questions and connections from this one\n");
    print!("{}", ports_table(&publishers, &measured).text(options.markdown));
    set_up(&root, options)
}

fn text(path: &Path) -> String {
    path.display().to_string()
}

/// A root with iperf3, its libraries and the probe.
fn server_root() -> Result<PathBuf> {
    let root = programs::folder().join("network-root");
    for name in ["proc", "dev", "sys", "tmp", "etc", "run"] {
        let path = root.join(name);
        fs::create_dir_all(&path).map_err(|e| format!("create {}: {e}", path.display()))?;
    }
    let iperf = command::find("iperf3")?;
    let inside = |path: &Path| root.join(path.strip_prefix("/").unwrap_or(path));
    for library in elf::libraries(std::slice::from_ref(&iperf))? {
        let real = fs::canonicalize(&library).map_err(|e| format!("{}: {e}", library.display()))?;
        workspace::install(&real, &inside(&library))?;
    }
    workspace::install(&iperf, &root.join("bin/iperf3"))?;
    workspace::install(&programs::program("echo"), &root.join("bin/echo"))?;
    workspace::install(&programs::program("payload"), &root.join("payload"))?;
    workspace::write(&root.join("etc/passwd"), "root:x:0:0::/:/bin/sh\n")?;
    Ok(root)
}

fn sh(line: &str) -> Result {
    command::run(Command::new("/bin/sh").args(["-ec", line]).stdin(Stdio::null()))
}

fn prepare_network() -> Result {
    sh(&format!(
        "mkdir -p /run/netns && mount -t tmpfs none /run/netns
        ip link set lo up
        ip netns add {OTHER}
        ip link add bench0 type veth peer name eth0 netns {OTHER}
        ip addr add {OURS}/24 dev bench0
        ip link set bench0 up
        ip -n {OTHER} addr add {THEIRS}/24 dev eth0
        ip -n {OTHER} link set eth0 up
        echo 1 > /proc/sys/net/ipv4/ip_forward"
    ))
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| word.to_string()).collect()
}

fn servin() -> Vec<String> {
    words(&[&text(&workspace::dist().join("servin"))])
}

/// servin's places, in memory as everybody's.
fn servin_places() -> [String; 4] {
    let place = |name: &str| text(&programs::folder().join("state").join(name));
    ["--home".into(), place("servin-home"), "--root".into(), place("servin-root")]
}

fn podman() -> Vec<String> {
    let place = |name: &str| text(&programs::folder().join("state").join(name));
    let all = [
        ("--root", place("podman-root")),
        ("--runroot", place("podman-run")),
        ("--network-config-dir", place("podman-networks")),
        ("--cgroup-manager", "cgroupfs".into()),
        ("--events-backend", "none".into()),
        ("--runtime", "crun".into()),
    ];
    let flags = all.into_iter().flat_map(|(flag, value)| [flag.to_string(), value]);
    words(&["podman"]).into_iter().chain(flags).collect()
}

fn publishers(root: &Path) -> Result<Vec<Publisher>> {
    command::find("podman")?;
    let by_servin = |name, mode: &str, port| Publisher {
        name,
        run: (
            [
                servin(),
                words(&["run", "-d"]),
                servin_places().to_vec(),
                words(&[mode, "--rootfs", &text(root), "--name"]),
            ]
            .concat(),
            words(&["--"]),
        ),
        remove: [servin(), words(&["rm", "-f"]), servin_places().to_vec()].concat(),
        port,
    };
    Ok(vec![
        by_servin("servin", "--publish-mode=nftables", 20000),
        by_servin("servin, proxy", "--publish-mode=proxy", 20010),
        Publisher {
            name: "podman, netavark",
            run: (
                [
                    podman(),
                    words(&[
                        "run",
                        "-d",
                        "--ulimit=nofile=1024:1024",
                        "--ulimit=nproc=1024:1024",
                        "--cgroups=disabled",
                        "--network=podman",
                        "--name",
                    ]),
                ]
                .concat(),
                words(&["--rootfs", &text(root)]),
            ),
            remove: [podman(), words(&["rm", "-f", "-t", "0"])].concat(),
            port: 20020,
        },
    ])
}

impl Publisher {
    fn servers(&self) -> [(u16, u16, &'static [&'static str]); 2] {
        [(0, IPERF, &["/bin/iperf3", "-s"]), (1, ECHO, &["/bin/echo"])]
    }

    fn start(&self) -> Result {
        for (offset, inside, program) in self.servers() {
            let mut line = self.run.0.clone();
            line.push(format!("bench-{}", self.port + offset));
            line.push(format!("--publish={}:{inside}", self.port + offset));
            line.extend(self.run.1.iter().cloned());
            line.extend(words(program));
            let mut start = Command::new(&line[0]);
            start.args(&line[1..]).stdin(Stdio::null()).stdout(Stdio::null());
            command::run(&mut start).map_err(|e| format!("{}: {e}", self.name))?;
        }
        let end = Instant::now() + START;
        while self.connect(1).and_then(|mut echo| ask(&mut echo)).is_err() {
            if Instant::now() > end {
                return Err(format!("{}: nobody answers at port {}", self.name, self.port + 1));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }

    fn stop(&self) {
        for (offset, ..) in self.servers() {
            let mut remove = Command::new(&self.remove[0]);
            remove.args(&self.remove[1..]).arg(format!("bench-{}", self.port + offset));
            let _ = remove.stdin(Stdio::null()).stdout(Stdio::null()).status();
        }
    }

    fn connect(&self, offset: u16) -> std::io::Result<TcpStream> {
        let address: SocketAddr =
            format!("{OURS}:{}", self.port + offset).parse().map_err(std::io::Error::other)?;
        let stream = TcpStream::connect_timeout(&address, Duration::from_secs(2))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(2)))?;
        Ok(stream)
    }

    /// Bits per second from the other host; `-R` the other way.
    fn transfer(&self, backward: bool) -> Result<u64> {
        let mut iperf = Command::new("ip");
        iperf.args(["netns", "exec", OTHER, "iperf3", "--json", "-t", TRANSFER, "-c", OURS, "-p"]);
        iperf.arg(self.port.to_string());
        if backward {
            iperf.arg("-R");
        }
        let json = command::output(iperf.stdin(Stdio::null()))?;
        received(&json).ok_or_else(|| format!("{}: iperf3 said {json}", self.name))
    }

    fn questions(&self) -> std::io::Result<u64> {
        let mut echo = self.connect(1)?;
        let begin = Instant::now();
        for _ in 0..QUESTIONS {
            ask(&mut echo)?;
        }
        Ok((begin.elapsed() / QUESTIONS).as_nanos() as u64)
    }

    fn connections(&self) -> std::io::Result<u64> {
        let begin = Instant::now();
        for _ in 0..CONNECTIONS {
            ask(&mut self.connect(1)?)?;
        }
        Ok((begin.elapsed() / CONNECTIONS).as_nanos() as u64)
    }
}

/// A byte there and back.
fn ask(echo: &mut TcpStream) -> std::io::Result<()> {
    echo.write_all(&[1])?;
    echo.read_exact(&mut [0])
}

/// What iperf3's report says of the receiver.
fn received(json: &str) -> Option<u64> {
    let sum = &json[json.find("\"sum_received\"")?..];
    let number = &sum[sum.find("\"bits_per_second\"")?..];
    let number = number[number.find(':')? + 1..].trim_start();
    let end = number.find(|c: char| !c.is_ascii_digit() && c != '.')?;
    number[..end].parse::<f64>().ok().map(|bits| bits as u64)
}

fn measure_ports(publishers: &[Publisher], rounds: usize) -> Result<Vec<Results>> {
    let mut all: Vec<Results> = publishers.iter().map(|_| Results::default()).collect();
    for round in 0..rounds {
        for turn in 0..publishers.len() {
            let index = (round + turn) % publishers.len();
            let (publisher, results) = (&publishers[index], &mut all[index]);
            let failed = |error: std::io::Error| format!("{}: {error}", publisher.name);
            results.inward.push(publisher.transfer(false)?);
            results.outward.push(publisher.transfer(true)?);
            results.answer.push(publisher.questions().map_err(failed)?);
            results.connection.push(publisher.connections().map_err(failed)?);
        }
    }
    Ok(all)
}

fn ports_table(publishers: &[Publisher], results: &[Results]) -> Table {
    let mut table = Table::new(&[
        "",
        "in Gbit/s",
        "ratio",
        "out Gbit/s",
        "ratio",
        "answer µs",
        "ratio",
        "connection µs",
        "ratio",
    ]);
    let columns: [fn(&Results) -> &Vec<u64>; 4] =
        [|one| &one.inward, |one| &one.outward, |one| &one.answer, |one| &one.connection];
    for (publisher, result) in publishers.iter().zip(results) {
        let mut row = vec![publisher.name.to_owned()];
        for (index, column) in columns.iter().enumerate() {
            let of = |results: &Results| median(column(results).iter().copied());
            let unit = if index < 2 { 1e9 } else { 1e3 };
            row.push(format!("{:.1}", of(result) as f64 / unit));
            row.push(format!("{:.2}", ratio(of(result), of(&results[0]))));
        }
        table.row(row);
    }
    table
}

/// The time to connect a container and to take it away again.
fn set_up(root: &Path, options: &Options) -> Result {
    let rounds = options.rounds.unwrap_or(SET_UP_ROUNDS);
    let contenders = set_up_contenders(root)?;
    let measured =
        measure(&chosen(contenders, &Options { rounds: None, markdown: false, only: Vec::new() })?, rounds)?;
    let wall = |index: usize| measured[index].median(|sample| sample.wall_ns);
    // A whole run with a network, without what the run takes.
    let servin = wall(1).saturating_sub(wall(0));
    let mut table = Table::new(&["", "ms", "ratio"]);
    let rows = [("servin", servin), ("netavark", wall(2)), ("CNI bridge and portmap", wall(3))];
    for (name, time) in rows {
        table.row(vec![
            name.to_owned(),
            format!("{:.2}", time as f64 / 1e6),
            format!("{:.2}", ratio(time, servin)),
        ]);
    }
    println!("\na bridge network and a published port, there and gone again; {rounds} interleaved rounds\n");
    print!("{}", table.text(options.markdown));
    println!("\n(servin: `run` with the network, {:.2} ms, less `run --network none`)", wall(1) as f64 / 1e6);
    Ok(())
}

fn set_up_contenders(root: &Path) -> Result<Vec<Contender>> {
    const NAMESPACE: &str = "bench-set-up";
    sh(&format!("ip netns add {NAMESPACE}; ip -n {NAMESPACE} link set lo up"))?;
    let file = |name: &str, content: &str| {
        let path = programs::folder().join("state").join(name);
        workspace::write(&path, content).map(|()| text(&path))
    };
    let run = |flags: &[&str]| {
        let root = text(root);
        let tail = words(&["--rm", "--log-driver=none", "--rootfs", &root, "--", bundle::PAYLOAD]);
        [servin(), words(&["run"]), servin_places().to_vec(), words(flags), tail].concat()
    };
    let netavark = file("netavark.json", NETAVARK)?;
    let call = ["/usr/lib/podman/netavark", "/usr/libexec/podman/netavark"]
        .into_iter()
        .find(|path| Path::new(path).exists());
    let call = call.ok_or("netavark is not where Debian puts it")?;
    let by_netavark = format!(
        "{call} -f {netavark} setup /run/netns/{NAMESPACE} && {call} -f {netavark} teardown /run/netns/{NAMESPACE}"
    );
    let (bridge, portmap) = (file("bridge.json", CNI_BRIDGE)?, file("portmap.json", CNI_PORTMAP)?);
    let result = text(&programs::folder().join("state/result.json"));
    // What a CNI runtime does: a plugin's result goes into the next one's configuration.
    let by_cni = format!(
        "export CNI_CONTAINERID={ID} CNI_NETNS=/run/netns/{NAMESPACE} CNI_IFNAME=eth0 CNI_PATH=/usr/lib/cni
        export CNI_COMMAND=ADD
        /usr/lib/cni/bridge < {bridge} > {result}
        {{ echo '{{\"prevResult\":'; cat {result}; echo ,; cat {portmap}; }} > {result}.next
        /usr/lib/cni/portmap < {result}.next
        export CNI_COMMAND=DEL
        /usr/lib/cni/portmap < {result}.next
        /usr/lib/cni/bridge < {bridge}"
    );
    let owned = |line: Vec<String>, name| Contender { name, line };
    Ok(vec![
        owned(run(&["--network=none"]), "servin without"),
        owned(run(&["--publish=21000:80"]), "servin"),
        Contender::new("netavark", &["/bin/sh", "-ec", &by_netavark]),
        Contender::new("cni", &["/bin/sh", "-ec", &by_cni]),
    ])
}

const NETAVARK: &str = r#"{"container_id":"bench","container_name":"bench",
"port_mappings":[{"container_port":80,"host_ip":"","host_port":21001,"protocol":"tcp","range":1}],
"networks":{"podman":{"static_ips":["10.77.0.2"],"interface_name":"eth0"}},
"network_info":{"podman":{"name":"podman","id":"2f259bab93aaaaa2542ba43ef33eb990d0999ee1b9924b557b7be53c0b7a1bb9",
"driver":"bridge","network_interface":"bench77","subnets":[{"gateway":"10.77.0.1","subnet":"10.77.0.0/16"}],
"ipv6_enabled":false,"internal":false,"dns_enabled":false,"ipam_options":{"driver":"host-local"},"options":{}}}}
"#;

const CNI_BRIDGE: &str = r#"{"cniVersion":"1.0.0","name":"bench","type":"bridge","bridge":"bench78","isGateway":true,
"ipMasq":true,"ipam":{"type":"host-local","subnet":"10.78.0.0/16","dataDir":"/run/bench-cni","routes":[{"dst":"0.0.0.0/0"}]}}
"#;

/// Without its opening brace: the result of the bridge goes before.
const CNI_PORTMAP: &str = r#""cniVersion":"1.0.0","name":"bench","type":"portmap","capabilities":{"portMappings":true},
"runtimeConfig":{"portMappings":[{"hostPort":21002,"containerPort":80,"protocol":"tcp"}]}}
"#;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn iperfs_report_is_read() {
        let json = r#"{"end": {"sum_sent": {"bits_per_second": 1.5}, "sum_received": {"start": 0,
            "bits_per_second":	8123456789.25, "sender": true}}}"#;
        assert_eq!(received(json), Some(8_123_456_789));
        assert_eq!(received("{}"), None);
    }
}
