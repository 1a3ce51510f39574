//! Published ports where the kernel has no packet filter: a process forwards, which nobody has to ask for.

use std::process::Command;

use servin_tests::{
    OUR_ADDRESS, OUR_ADDRESS6, Outside, Server, alone, ask, ask_from, assert_answers, at, bring_up_loopback,
    forget_home, nft_lists, refusing, servin, servin_program, start, until,
};

/// How kernels without nfnetlink answer who wants to speak to it.
const REFUSED: [&[&str]; 2] =
    [&["nftables", "--errno", "EPROTONOSUPPORT"], &["nftables", "--errno", "EAFNOSUPPORT"]];

#[test]
fn a_process_forwards_where_the_kernel_has_no_nftables() {
    alone(|| {
        bring_up_loopback().expect("bring lo up");
        let outside = Outside::new();
        servin(&["network", "create", "--ipv6", "six"]).succeeds();
        for refused in REFUSED {
            let flags = ["--network=six", "-p", "8080:80", "-p", "8053:53/udp", "-p", "127.0.0.1:8081:80"];
            let command = refusing(refused, &Server::command("web", &flags, &["80", "53/udp"]));
            let said = start(command).finish().succeeds();
            assert!(said.err.contains("no nftables (CONFIG_NF_TABLES)"), "{}", said.err);
            let web = Server::of("web");
            for round in 0..2 {
                for (kind, port) in [("tcp", 8080), ("udp", 8053)] {
                    for address in [OUR_ADDRESS, OUR_ADDRESS6] {
                        let asked = [kind, &at(address, port)];
                        until("it answers", || outside.ask(&asked).starts_with("web "));
                        assert_answers(&ask(&asked), "web ");
                    }
                    assert_answers(&ask(&[kind, &at("127.0.0.1", port)]), "web ");
                    assert_answers(&ask(&[kind, &at("::1", port)]), "web ");
                }
                assert_answers(&ask(&["tcp", "127.0.0.1:8081"]), "web ");
                assert_eq!(outside.ask(&["tcp", &at(OUR_ADDRESS, 8081)]), "refused");
                assert_answers(&ask_from(web.pid(), &["tcp", &at(OUR_ADDRESS, 8080)]), "web ");
                // The kernel that could has not been asked.
                assert_eq!(nft_lists("ruleset"), "");
                if round == 0 {
                    let mut again = Command::new(servin_program());
                    again.args(["restart", "-t", "0", "web"]);
                    start(refusing(refused, &again)).finish().succeeds();
                }
            }
            drop(web);
            assert_eq!(ask(&["tcp", "127.0.0.1:8080"]), "refused");
        }
        servin(&["network", "rm", "six"]).succeeds();
        drop(outside);
        forget_home();
    });
}

#[test]
fn what_only_nftables_can_do_is_refused_in_words_without_it() {
    alone(|| {
        bring_up_loopback().expect("bring lo up");
        servin(&["network", "create", "--internal", "inner"]).succeeds();
        for refused in REFUSED {
            for (flags, words) in [
                (
                    &["--publish-mode", "nftables", "-p", "8080:80"][..],
                    &["publish", "--publish-mode proxy"][..],
                ),
                (&["-p", "8080:80/sctp"], &["SCTP is forwarded by nftables alone"]),
                (&["--network", "inner"], &["CONFIG_NF_TABLES", "internal"]),
            ] {
                start(refusing(refused, &Server::command("web", flags, &["80"]))).finish().fails(words);
                servin(&["rm", "-f", "web"]);
            }
        }
        servin(&["network", "rm", "inner"]).succeeds();
        forget_home();
    });
}
