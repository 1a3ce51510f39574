//! Web servers that nobody here wrote, in containers, reached each way there is: from the host, from another container
//! by name, through a published port, from another host; by IPv4 and by IPv6.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;

use servin_tests::{
    Finished, OUR_ADDRESS, OUR_ADDRESS6, OUTSIDE, OUTSIDE6, Outside, People, alone, bring_up_loopback,
    forget_home, quiet, servin, skip, start, until,
};

/// Longer than all that is on the way holds at once.
const LINES: u32 = 100_000;

/// One process that says who asks at /who, and keeps to IPv4 and IPv6.
const NGINX: &str = "daemon off; user root root; error_log stderr; pid /tmp/nginx.pid; events {}
http {
    access_log off; client_body_temp_path /tmp/a; proxy_temp_path /tmp/b; fastcgi_temp_path /tmp/c;
    uwsgi_temp_path /tmp/d; scgi_temp_path /tmp/e;
    server { listen 80; listen [::]:80; root /srv; location = /who { return 200 $remote_addr\\n; } }
}";

/// The same of busybox's server.
const WHO: &str = "#!/bin/sh\nprintf 'Content-Type: text/plain\\r\\n\\r\\n'; echo $REMOTE_ADDR\n";

/// A root with the host's own libraries, where its programs run.
fn with_libraries() -> People {
    let people = People::of("busybox");
    for (link, target) in [("lib", "usr/lib"), ("lib64", "usr/lib64")] {
        let link = people.root().join(link);
        let _ = fs::remove_dir(&link);
        symlink(target, link).expect("make a link");
    }
    ["/usr/lib", "/usr/lib64", "/usr/bin/curl", "/usr/sbin/nginx"]
        .iter()
        .filter(|place| Path::new(place).exists())
        .fold(people, |people, place| people.flags(&["-v", &format!("{place}:{place}:ro")]))
}

/// curl's words for one page.
fn curl<'a>(family: &'a str, url: &'a str) -> [&'a str; 7] {
    ["curl", family, "--silent", "--show-error", "--max-time", "20", url]
}

fn said(command: &[&str]) -> Finished {
    let mut program = Command::new(command[0]);
    program.args(&command[1..]);
    start(quiet(program)).finish()
}

/// Fetches from the server that `program` runs. `who` is the path of what says who asks.
fn reached_each_way(program: &[&str], who: &str) {
    for mode in ["auto", "proxy"] {
        let outside = Outside::new();
        servin(&["network", "create", "--ipv6", "six"]).succeeds();
        let people = with_libraries();
        let page: String = (0..LINES).map(|number| format!("{number}\n")).collect();
        let write = |name: &str, text: &str| {
            let path = people.root().join(name);
            fs::create_dir_all(path.parent().expect("a parent")).expect("make a directory");
            fs::write(&path, text).expect("write a file");
            path
        };
        write("srv/index.html", &page);
        write("etc/nginx.conf", NGINX);
        // As in Debian's images: glibc looks at more than the first line of a name (host.conf(5)).
        write("etc/host.conf", "multi on\n");
        let script = write("srv/cgi-bin/who", WHO);
        fs::set_permissions(script, fs::Permissions::from_mode(0o755)).expect("make it executable");
        let published = ["--publish-mode", mode, "-p", "8080:80", "--network", "six"];
        people.clone().flags(&published).detached("web", program);
        let inspected = servin(&["inspect", "web"]).succeeds().json();
        let place = &inspected[0]["NetworkSettings"]["Networks"]["six"];
        let own = place["IPAddress"].as_str().expect("an address");
        let own6 = format!("[{}]", place["GlobalIPv6Address"].as_str().expect("an address"));
        let ours6 = format!("[{OUR_ADDRESS6}]:8080");
        let ours = format!("{OUR_ADDRESS}:8080");
        until("the server listens", || said(&curl("-4", &format!("http://{own}/"))).code == 0);
        let whole = |from: &str, fetch: &dyn Fn(&[&str]) -> Finished, family: &str, host: &str| {
            let fetched = fetch(&curl(family, &format!("http://{host}/")));
            assert!(
                fetched.out == page,
                "{mode}: from {from}, {host} ({family}) sent {} bytes: {}",
                fetched.out.len(),
                fetched.err
            );
        };
        // The host itself: straight, and through the published port.
        for (family, host) in [
            ("-4", own),
            ("-6", &own6),
            ("-4", "127.0.0.1:8080"),
            ("-4", "localhost:8080"),
            ("-4", &ours),
            ("-6", &ours6),
        ] {
            whole("the host", &said, family, host);
        }
        // Another container, by the name.
        let neighbour = people.clone().flags(&["--network", "six"]);
        for (family, host) in [("-4", "web"), ("-6", "web"), ("-4", &ours), ("-6", &ours6)] {
            whole("another container", &|words| neighbour.run(words), family, host);
        }
        // Another host, which the server gets to know where the kernel forwards.
        let other = |words: &[&str]| outside.run(words[0], &words[1..]);
        for (family, host, peer) in [("-4", &ours, OUTSIDE), ("-6", &ours6, OUTSIDE6)] {
            whole("another host", &other, family, host);
            let asked = other(&curl(family, &format!("http://{host}{who}"))).succeeds();
            let asker = asked.out.trim().trim_matches(['[', ']']).trim_start_matches("::ffff:");
            assert_eq!(asker == peer, mode == "auto", "{mode}: {asker} asks");
        }
        servin(&["rm", "-f", "web"]).succeeds();
        assert_ne!(other(&curl("-4", &format!("http://{ours}/"))).code, 0);
        servin(&["network", "rm", "six"]).succeeds();
    }
    forget_home();
}

#[test]
fn busyboxs_httpd_is_reached_each_way() {
    alone(|| {
        if said(&["which", "curl"]).code != 0 {
            skip!("there is no curl here");
        }
        bring_up_loopback().expect("bring lo up");
        reached_each_way(&["httpd", "-f", "-h", "/srv", "-p", "80"], "/cgi-bin/who");
    });
}

#[test]
fn nginx_is_reached_each_way() {
    alone(|| {
        if !Path::new("/usr/sbin/nginx").exists() || said(&["which", "curl"]).code != 0 {
            skip!("there is no nginx here, or no curl");
        }
        bring_up_loopback().expect("bring lo up");
        reached_each_way(&["/usr/sbin/nginx", "-c", "/etc/nginx.conf"], "/who");
    });
}
