//! Published ports of SCTP: the kernel alone forwards them.

use std::net::UdpSocket;

use servin_tests::{
    OUR_ADDRESS, OUR_ADDRESS6, OUTSIDE, OUTSIDE6, Outside, Server, alone, ask, ask_from, assert_answers, at,
    bring_up_loopback, forget_home, redirections, servin, skip, until,
};

#[test]
fn a_port_of_sctp_is_reached_from_the_host_and_from_outside() {
    alone(|| {
        bring_up_loopback().expect("bring lo up");
        if ask(&["sctp", "127.0.0.1:1"]) != "refused" {
            skip!("this kernel has no SCTP");
        }
        let outside = Outside::new();
        servin(&["network", "create", "--ipv6", "six"]).succeeds();
        let flags = ["--network=six", "-p", "8080:80/sctp", "-p", "8080:80"];
        let web = Server::start("web", &flags, &["80", "80/sctp"]);
        assert!(web.ports().contains(&"80/sctp -> 0.0.0.0:8080".to_string()), "{:?}", web.ports());
        for (address, peer) in [(OUR_ADDRESS, OUTSIDE), (OUR_ADDRESS6, OUTSIDE6)] {
            let asked = ["sctp", &at(address, 8080)];
            until("the way is found", || outside.ask(&asked).starts_with("web"));
            assert_answers(&outside.ask(&asked), &format!("web {peer}"));
            assert_answers(&ask(&asked), "web ");
            // Its own port, seen from within.
            assert_answers(&ask_from(web.pid(), &asked), "web ");
        }
        assert_answers(&ask(&["sctp", "127.0.0.1:8080"]), "web ");
        drop(web);
        assert_eq!(outside.ask(&["sctp", &at(OUR_ADDRESS, 8080)]), "refused");
        servin(&["network", "rm", "six"]).succeeds();
        drop(outside);
        forget_home();
    });
}

#[test]
fn a_port_of_sctp_is_the_kernels_or_refused() {
    alone(|| {
        bring_up_loopback().expect("bring lo up");
        // The number is free of other protocols, and not theirs.
        let other = UdpSocket::bind("127.0.0.1:8080").expect("bind");
        let web = Server::start("web", &["-p", "8080:80/sctp"], &["80"]);
        // In QEMU there is no nft, and SCTP itself instead.
        for rule in redirections() {
            assert!(
                rule.contains("sctp . 8080 ") && rule.contains(&format!(" : {} . 80", web.address())),
                "{rule}"
            );
        }
        assert_eq!(servin(&["port", "web"]).succeeds().lines(), ["80/sctp -> 0.0.0.0:8080"]);
        Server::try_start("second", &["-p", "8080:80/sctp"], &["80"]).fails(&["8080/sctp: container web"]);
        let proxied = ["--publish-mode", "proxy", "-p", "8081:80/sctp"];
        Server::try_start("second", &proxied, &["80"]).fails(&["SCTP is forwarded by nftables alone"]);
        servin(&["rm", "-f", "second"]);
        drop((web, other));
        forget_home();
    });
}
