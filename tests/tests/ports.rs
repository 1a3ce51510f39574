//! Published ports: who reaches them, from where, and as whom; and that nothing of them stays.

use std::fs;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::process::Command;
use std::time::{Duration, Instant};

use servin_tests::{
    OUR_ADDRESS, OUR_ADDRESS6, OUTSIDE, OUTSIDE6, Outside, People, Server, alone, ask, ask_from,
    assert_answers, at, bring_up_loopback, forget_home, kill, nft_lists, redirections, servin, skip,
    supervisor, until, within,
};

/// A test has a network namespace of its own; `lo` in it is down at first.
fn prepare() {
    bring_up_loopback().expect("bring lo up");
}

#[test]
fn a_published_port_is_reached_from_the_host_and_from_outside() {
    alone(|| {
        prepare();
        let outside = Outside::new();
        // Only the kernel lets the container know who asks.
        for (mode, peer) in [("--publish-mode=auto", OUTSIDE), ("--publish-mode=proxy", "")] {
            let server =
                Server::start("web", &[mode, "-p", "8080:80", "-p", "8053:53/udp"], &["80", "53/udp"]);
            assert_eq!(server.ports(), ["80/tcp -> 0.0.0.0:8080", "53/udp -> 0.0.0.0:8053"]);
            for (kind, port) in [("tcp", 8080), ("udp", 8053)] {
                for address in ["127.0.0.1", OUR_ADDRESS] {
                    assert_answers(&ask(&[kind, &at(address, port)]), "web ");
                }
                assert_answers(&outside.ask(&[kind, &at(OUR_ADDRESS, port)]), &format!("web {peer}"));
            }
            drop(server);
            assert_eq!(ask(&["tcp", "127.0.0.1:8080"]), "refused");
            assert_eq!(redirections(), [""; 0]);
        }
        drop(outside);
        forget_home();
    });
}

#[test]
fn it_is_reached_by_ipv6_too() {
    alone(|| {
        prepare();
        let outside = Outside::new();
        servin(&["network", "create", "--ipv6", "six"]).succeeds();
        for (mode, peer) in [("--publish-mode=auto", OUTSIDE6), ("--publish-mode=proxy", "")] {
            let flags = [mode, "--network=six", "-p", "8080:80", "-p", "8053:53/udp", "-p", "[::1]:8081:80"];
            let server = Server::start("web", &flags, &["80", "53/udp"]);
            for (kind, port) in [("tcp", 8080), ("udp", 8053)] {
                // The neighbour's address is not known at first, which UDP does not wait for.
                until("IPv6 works", || outside.ask(&[kind, &at(OUR_ADDRESS6, port)]).starts_with("web"));
                assert_answers(&outside.ask(&[kind, &at(OUR_ADDRESS6, port)]), &format!("web {peer}"));
                assert_answers(&outside.ask(&[kind, &at(OUR_ADDRESS, port)]), "web ");
                assert_answers(&ask(&[kind, &at(OUR_ADDRESS6, port)]), "web ");
            }
            // No packet of ::1 leaves a host: a process forwards.
            assert_answers(&ask(&["tcp", "[::1]:8081"]), "web ");
            assert_eq!(outside.ask(&["tcp", &at(OUR_ADDRESS6, 8081)]), "refused");
            drop(server);
        }
        servin(&["network", "rm", "six"]).succeeds();
        drop(outside);
        forget_home();
    });
}

#[test]
fn containers_reach_it_through_the_host_even_their_own() {
    alone(|| {
        prepare();
        let outside = Outside::new();
        servin(&["network", "create", "other"]).succeeds();
        let web = Server::start("web", &["-p", "8080:80", "-p", "8053:53/udp"], &["80", "53/udp"]);
        let neighbour = Server::start("neighbour", &[], &["80"]);
        let stranger = Server::start("stranger", &["--network=other"], &["80"]);
        for asker in [&web, &neighbour, &stranger] {
            for (kind, port) in [("tcp", 8080), ("udp", 8053)] {
                assert_answers(&ask_from(asker.pid(), &[kind, &at(OUR_ADDRESS, port)]), "web ");
            }
        }
        // What is not published stays within its network.
        assert_answers(&ask_from(neighbour.pid(), &["tcp", &at(&web.address(), 80)]), "web ");
        assert_eq!(ask_from(stranger.pid(), &["tcp", &at(&web.address(), 80)]), "silence");
        assert_eq!(ask_from(web.pid(), &["tcp", &at(&stranger.address(), 80)]), "silence");
        // Not even who knows the way gets in.
        outside.ip(&["route", "add", &web.address(), "via", OUR_ADDRESS]);
        assert_eq!(outside.ask(&["tcp", &at(&web.address(), 80)]), "silence");
        drop((web, neighbour, stranger));
        servin(&["network", "rm", "other"]).succeeds();
        drop(outside);
        forget_home();
    });
}

#[test]
fn what_is_published_to_loopback_is_for_the_host_alone() {
    alone(|| {
        prepare();
        let outside = Outside::new();
        let web = Server::start("web", &["-p", "127.0.0.1:8080:80"], &["80"]);
        let neighbour = Server::start("neighbour", &[], &["80"]);
        assert_answers(&ask(&["tcp", "127.0.0.1:8080"]), "web ");
        assert_eq!(ask(&["tcp", &at(OUR_ADDRESS, 8080)]), "refused");
        assert_eq!(outside.ask(&["tcp", &at(OUR_ADDRESS, 8080)]), "refused");
        assert_eq!(ask_from(neighbour.pid(), &["tcp", &at(OUR_ADDRESS, 8080)]), "refused");
        // Packets to 127.0.0.1, sent to us all the same.
        let forge = |run: &dyn Fn(&[&str]), interface: &str, gateway: &str| {
            run(&["busybox", "ip", "addr", "del", "127.0.0.1/8", "dev", "lo"]);
            run(&["busybox", "sysctl", "-w", &format!("net.ipv4.conf.{interface}.route_localnet=1")]);
            run(&["busybox", "ip", "route", "add", "127.0.0.1", "via", gateway]);
        };
        forge(
            &|words| drop(outside.run(words[0], &words[1..]).succeeds()),
            &outside.interface(),
            OUR_ADDRESS,
        );
        assert_ne!(outside.ask(&["tcp", "127.0.0.1:8080"]).split(' ').next(), Some("web"));
        // Even where the host would take them.
        fs::write("/proc/sys/net/ipv4/conf/out0/route_localnet", "1").expect("allow what nobody should");
        assert_ne!(outside.ask(&["tcp", "127.0.0.1:8080"]).split(' ').next(), Some("web"));
        // Nor do containers reach what else listens there.
        let listener = TcpListener::bind("127.0.0.1:9999").expect("listen");
        let pid = neighbour.pid();
        let inside = |words: &[&str]| {
            servin_tests::start(servin_tests::in_network_of(pid, words[0], &words[1..])).finish().succeeds();
        };
        forge(&inside, "eth0", neighbour.gateway().as_str());
        for port in [9999, 8080] {
            assert_eq!(ask_from(pid, &["tcp", &at("127.0.0.1", port)]), "silence");
        }
        drop((web, neighbour, listener, outside));
        forget_home();
    });
}

#[test]
fn ranges_and_free_ports_are_chosen_and_shown() {
    alone(|| {
        prepare();
        let flags = ["-p", "8000-8002:80-82", "-p", "83", "-P", "--expose", "84", "-p", "9000-9009:85"];
        let server = Server::start("web", &flags, &["80", "81", "82", "83", "84", "85"]);
        let ports = server.ports();
        assert_eq!(
            ports[..3],
            ["80/tcp -> 0.0.0.0:8000", "81/tcp -> 0.0.0.0:8001", "82/tcp -> 0.0.0.0:8002"]
        );
        assert_eq!(ports.len(), 6);
        assert!(ports.contains(&"85/tcp -> 0.0.0.0:9000".to_string()), "{ports:?}");
        for line in &ports {
            let (_, port) = line.rsplit_once(':').expect("a port");
            assert_answers(&ask(&["tcp", &format!("127.0.0.1:{port}")]), "web ");
        }
        assert_eq!(servin(&["port", "web", "81"]).succeeds().lines(), ["0.0.0.0:8001"]);
        servin(&["port", "web", "81/udp"]).fails(&["81/udp", "not published"]);
        let shown = servin(&["ps"]).succeeds().out;
        assert!(shown.contains("0.0.0.0:8000-8002->80-82/tcp, 0.0.0.0:"), "{shown}");
        // Another container gets the next one of the range.
        let second = Server::start("second", &["-p", "9000-9009:80"], &["80"]);
        assert_eq!(second.ports(), ["80/tcp -> 0.0.0.0:9001"]);
        drop((server, second));
        forget_home();
    });
}

#[test]
fn a_port_that_is_taken_is_refused_before_anything_runs() {
    alone(|| {
        prepare();
        let web = Server::start("web", &["-p", "8080:80"], &["80"]);
        let taken = "publish 0.0.0.0:8080/tcp: container web";
        Server::try_start("second", &["-p", "8080:80"], &["80"]).fails(&[taken]);
        Server::try_start("second", &["-p", "127.0.0.1:8080:80"], &["80"]).fails(&["container web"]);
        let listener = TcpListener::bind("127.0.0.1:9090").expect("listen");
        for mode in ["auto", "proxy"] {
            Server::try_start("second", &["--publish-mode", mode, "-p", "9090:80"], &["80"])
                .fails(&[":9090/tcp: address already in use", "a program of this host listens there"]);
        }
        servin(&["rm", "second"]);
        drop(listener);
        let second = Server::start("second", &["-p", "9090:80", "-p", "8080:80/udp"], &["80"]);
        // Each has its own, and only that goes with it.
        assert_answers(&ask(&["tcp", "127.0.0.1:9090"]), "second ");
        drop(web);
        assert_answers(&ask(&["tcp", "127.0.0.1:9090"]), "second ");
        assert_eq!(ask(&["tcp", "127.0.0.1:8080"]), "refused");
        drop(second);
        assert_eq!(redirections(), [""; 0]);
        forget_home();
    });
}

#[test]
fn a_started_again_container_has_its_ports_again() {
    alone(|| {
        prepare();
        for mode in ["auto", "proxy"] {
            let server = Server::start(
                "web",
                &["--publish-mode", mode, "-p", "8080:80", "-p", "53:53/udp"],
                &["80", "53/udp"],
            );
            for _ in 0..2 {
                servin(&["restart", "-t", "0", "web"]).succeeds();
                until("it answers again", || ask(&["tcp", "127.0.0.1:8080"]).starts_with("web"));
                assert_answers(&ask(&["udp", "127.0.0.1:53", "5353"]), "web ");
            }
            drop(server);
        }
        forget_home();
    });
}

#[test]
fn what_a_killed_supervisor_leaves_is_cleaned_by_the_next_command() {
    alone(|| {
        prepare();
        for mode in ["auto", "proxy"] {
            let server = Server::start("web", &["--publish-mode", mode, "-p", "8080:80"], &["80"]);
            assert_answers(&ask(&["tcp", "127.0.0.1:8080"]), "web ");
            kill(supervisor("web"), 9).expect("kill the supervisor");
            until("the container is gone", || ask(&["tcp", "127.0.0.1:8080"]) != "web 127.0.0.1");
            servin(&["ps", "-a"]).succeeds();
            assert_eq!(redirections(), [""; 0]);
            assert_eq!(ask(&["tcp", "127.0.0.1:8080"]), "refused");
            drop(server);
        }
        forget_home();
    });
}

#[test]
fn two_thousand_ports_are_published_at_once() {
    alone(|| {
        prepare();
        let begin = Instant::now();
        let server = Server::start("web", &["-p", "10000-11999:10000-11999"], &["10000", "11999"]);
        // Generous; it is about a tenth of a second.
        assert!(begin.elapsed() < within(Duration::from_secs(5)), "{:?}", begin.elapsed());
        assert_eq!(server.ports().len(), 2000);
        for port in [10000, 11999] {
            assert_answers(&ask(&["tcp", &at("127.0.0.1", port)]), "web ");
        }
        drop(server);
        assert_eq!(redirections(), [""; 0]);
        forget_home();
    });
}

#[test]
fn rules_of_others_are_left_alone_and_a_chain_that_drops_is_named() {
    alone(|| {
        prepare();
        let nft = |line: &str| Command::new("nft").arg(line).status();
        if nft("add table inet mine").is_err() {
            skip!("there is no nft here");
        }
        let lines = [
            "add chain inet mine input { type filter hook input priority 0; policy accept; }",
            "add rule inet mine input tcp dport 1 drop comment \"mine\"",
            "add map inet mine ports { type inet_service : ipv4_addr; elements = { 1 : 10.0.0.1 }; }",
            "add table ip filter",
            "add chain ip filter FORWARD { type filter hook forward priority 0; policy drop; }",
        ];
        for line in lines {
            assert!(nft(line).is_ok_and(|status| status.success()), "{line}");
        }
        let theirs = || ["inet mine", "ip filter"].map(|table| nft_lists(&format!("table {table}")));
        let before = theirs();
        let said = Server::try_start("web", &["-p", "8080:80"], &["80"]).succeeds();
        assert!(said.err.contains("ip filter FORWARD"), "{}", said.err);
        assert_eq!(redirections().len(), 1);
        drop(Server::of("web"));
        assert_eq!(theirs(), before);
        forget_home();
    });
}

#[test]
fn a_web_server_of_busybox_is_fetched_from_through_either() {
    alone(|| {
        prepare();
        for mode in ["auto", "proxy"] {
            let people = People::of("busybox");
            let page: String = (0..200_000).map(|number| format!("{number}\n")).collect();
            fs::create_dir_all(people.root().join("srv")).expect("make a directory");
            fs::write(people.root().join("srv/index.html"), &page).expect("write a page");
            let people = people.flags(&["-d", "--name", "web", "--publish-mode", mode, "-p", "8080:80"]);
            people.run(&["busybox", "httpd", "-f", "-h", "/srv"]).succeeds();
            let server = Server::of("web");
            let fetch = || {
                let mut connection = TcpStream::connect("127.0.0.1:8080").ok()?;
                connection.write_all(b"GET / HTTP/1.0\r\n\r\n").ok()?;
                let mut all = String::new();
                connection.read_to_string(&mut all).ok()?;
                Some(all.split_once("\r\n\r\n")?.1.to_string())
            };
            until("it listens", || fetch().is_some());
            assert!(fetch().is_some_and(|fetched| fetched == page), "{mode}: another page came");
            drop(server);
        }
        forget_home();
    });
}

#[test]
fn what_goes_through_comes_back_whole_and_each_side_may_end_first() {
    alone(|| {
        prepare();
        for mode in ["auto", "proxy"] {
            let server = Server::start("echo", &["--publish-mode", mode, "-p", "8080:80"], &["80"]);
            // More than all buffers on the way hold, so that each side has to wait for the other.
            let sent: Vec<u8> = (0..8_000_000_u32).flat_map(u32::to_le_bytes).collect();
            let mut connection = TcpStream::connect("127.0.0.1:8080").expect("connect");
            let mut writer = connection.try_clone().expect("copy a socket");
            let received = std::thread::scope(|scope| {
                scope.spawn(|| {
                    writer.write_all(&sent).expect("send");
                    // The other direction goes on.
                    writer.shutdown(Shutdown::Write).expect("end one direction");
                });
                let mut received = Vec::new();
                connection.read_to_end(&mut received).expect("receive");
                received
            });
            let greeting = received.iter().position(|byte| *byte == b'\n').expect("a greeting");
            assert!(received[greeting + 1..] == sent, "{mode}: {} of {} bytes", received.len(), sent.len());
            // Many at once, which stay.
            let many: Vec<TcpStream> = (0..300)
                .map(|_| {
                    let mut connection = TcpStream::connect("127.0.0.1:8080").expect("connect");
                    connection.read_exact(&mut [0; 5]).expect("be greeted");
                    connection
                })
                .collect();
            assert_answers(&ask(&["tcp", "127.0.0.1:8080"]), "echo ");
            drop((many, server));
        }
        forget_home();
    });
}

#[test]
fn containers_that_are_started_at_once_get_ports_of_their_own() {
    alone(|| {
        prepare();
        let people = People::new();
        let names: Vec<String> = (0..10).map(|number| format!("web{number}")).collect();
        let started: Vec<_> = names
            .iter()
            .map(|name| {
                let flags = ["-d", "--rm=false", "--name", name, "-p", "80", "-p", "8000-8020:81"];
                people.clone().flags(&flags).start(&["/bin/probe", "answer", name, "80", "81"])
            })
            .collect();
        started.into_iter().for_each(|one| drop(one.finish().succeeds()));
        let servers: Vec<Server> = names.iter().map(|name| Server::of(name)).collect();
        let mut ports = Vec::new();
        for server in &servers {
            for line in server.ports() {
                let port: u16 = line.rsplit_once(':').expect("a port").1.parse().expect("a number");
                until("it answers", || ask(&["tcp", &at("127.0.0.1", port)]) != "refused");
                assert_answers(&ask(&["tcp", &at("127.0.0.1", port)]), &format!("{} ", server.name()));
                ports.push(port);
            }
        }
        ports.sort_unstable();
        ports.dedup();
        assert_eq!(ports.len(), 20);
        drop(servers);
        assert_eq!(redirections(), [""; 0]);
        forget_home();
    });
}

#[test]
fn what_another_program_flushes_is_back_with_the_next_command() {
    alone(|| {
        prepare();
        let flush = || Command::new("nft").args(["flush", "ruleset"]).status();
        if flush().is_err() {
            skip!("there is no nft here");
        }
        let outside = Outside::new();
        servin(&["network", "create", "--ipv6", "six"]).succeeds();
        servin(&["network", "create", "red"]).succeeds();
        let flags = ["--network=six", "-p", "8080:80", "-p", "8053:53/udp"];
        let web = Server::start("web", &flags, &["80", "53/udp"]);
        let other = Server::start("other", &["--network=red", "-p", "127.0.0.1:8081:80"], &["80"]);
        let proxied = Server::start("proxied", &["--publish-mode=proxy", "-p", "8082:80"], &["80"]);
        let before = nft_lists("table inet servin");
        for command in [
            &["port", "web"][..],
            &["network", "ls"],
            &["network", "inspect", "red"],
            &["run", "--rm", "--rootfs", &People::of("busybox").root().display().to_string(), "true"],
            &["restart", "-t", "0", "proxied"],
        ] {
            assert!(flush().is_ok_and(|status| status.success()));
            assert_eq!(nft_lists("ruleset"), "");
            assert_eq!(outside.ask(&["tcp", &at(OUR_ADDRESS, 8080)]), "refused");
            let said = servin(command).succeeds();
            // What a supervisor does it says to nobody, and it may be the first.
            assert!(
                command[0] == "restart" || said.err.contains("they are back"),
                "{command:?}: {}",
                said.err
            );
            assert_answers(&outside.ask(&["tcp", &at(OUR_ADDRESS, 8080)]), "web 192.0.2.2");
            assert_answers(&outside.ask(&["udp", &at(OUR_ADDRESS, 8053)]), "web 192.0.2.2");
            until("IPv6 is back", || outside.ask(&["tcp", &at(OUR_ADDRESS6, 8080)]).starts_with("web"));
            assert_answers(&ask(&["tcp", "127.0.0.1:8081"]), "other ");
            assert!(!servin(command).succeeds().err.contains("they are back"));
        }
        // Networks are kept from each other again.
        assert_eq!(ask_from(other.pid(), &["tcp", &at(&web.address(), 80)]), "silence");
        assert_eq!(sorted(&nft_lists("table inet servin")), sorted(&before));
        drop((web, other, proxied));
        // The last one's network goes when nobody waits for it any more.
        until("all is gone", || nft_lists("ruleset").is_empty());
        for network in ["six", "red"] {
            servin(&["network", "rm", network]).succeeds();
        }
        drop(outside);
        forget_home();
    });
}

/// What nft lists, whatever the order of elements.
fn sorted(listed: &str) -> Vec<&str> {
    let mut words: Vec<&str> = listed.split([' ', '\n', '\t', ',']).collect();
    words.sort_unstable();
    words
}

#[test]
fn a_process_that_had_no_descriptor_left_accepts_again_however_busy_it_is() {
    alone(|| {
        prepare();
        let server = Server::start("echo", &["--publish-mode=proxy", "-p", "8080:80"], &["80"]);
        let pid = servin(&["inspect", "-f", "{{.State.Pid}}", "echo"]).succeeds().out;
        let pid: i32 = pid.trim().parse().expect("a pid");
        let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("read a process's status");
        let parent = status.lines().find_map(|line| line.strip_prefix("PPid:")).expect("its parent");
        let siblings = servin_tests::children(parent.trim().parse().expect("a pid"));
        let proxy = siblings.into_iter().find(|child| *child != pid).expect("a process that forwards");
        servin_tests::limit_descriptors(proxy, 40).expect("limit another process");
        let greeted = |patience: Duration| {
            let mut connection = TcpStream::connect("127.0.0.1:8080").expect("connect");
            connection.set_read_timeout(Some(patience)).expect("set a time limit");
            let greeted = connection.read_exact(&mut [0; 5]).is_ok();
            (connection, greeted)
        };
        let (mut busy, _) = greeted(within(Duration::from_secs(5)));
        let over = std::sync::atomic::AtomicBool::new(false);
        let order = std::sync::atomic::Ordering::Relaxed;
        std::thread::scope(|scope| {
            // What it has to do until the end.
            scope.spawn(|| {
                while !over.load(order) && busy.write_all(b".").is_ok() {
                    std::thread::sleep(Duration::from_millis(20));
                }
            });
            let many: Vec<_> = (0..40).map(|_| greeted(Duration::from_millis(100))).collect();
            let refused = many.iter().any(|(_, greeted)| !greeted);
            drop(many);
            let again = until_greeted(&greeted);
            over.store(true, order);
            assert!(refused && again, "{refused} {again}");
        });
        drop(server);
        forget_home();
    });
}

/// Whether somebody is greeted again after a while; those before him wait in the kernel's line.
fn until_greeted(greeted: &dyn Fn(Duration) -> (TcpStream, bool)) -> bool {
    let end = Instant::now() + within(Duration::from_secs(10));
    while Instant::now() < end {
        if greeted(Duration::from_secs(1)).1 {
            return true;
        }
    }
    false
}
