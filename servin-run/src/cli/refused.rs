//! Flags of Docker and Podman that are not taken here, and what to do instead; other spellings of those that are.

/// Spellings that mean the same as a flag of ours.
pub const SAME: &[(&str, &str)] =
    &[("dns-opt", "dns-option"), ("net-alias", "network-alias"), ("timeout", "time")];

#[rustfmt::skip]
const REFUSED: &[(&[&str], &str)] = &[
    (&["gpus"], "--device passes a device on, such as /dev/dri or /dev/nvidia0"),
    (&["runtime"], "Servin runs containers itself; as another engine's runtime it is `servin oci`"),
    (&["init-path"], "the init is servin-init, which is part of this program"),
    (&["isolation", "cpu-count", "cpu-percent", "io-maxbandwidth", "io-maxiops"], "that is for Windows"),
    (&["link", "link-local-ip"], "containers on one network of `servin network create` find each other by name"),
    (&["storage-opt"], "a container's layer has no quota of its own here"),
    (&["volume-driver"], "volumes are local: `servin volume create --opt device=…` mounts others"),
    (&["kernel-memory"], "cgroup v2 counts the kernel's memory with --memory"),
    (&["disable-content-trust"], "signatures are not looked at; digests always are: IMAGE@sha256:…"),
    (&["use-api-socket"], "there is no daemon, and so no socket of one"),
    (&["health-start-interval", "health-startup-cmd", "health-startup-interval", "health-startup-retries",
       "health-startup-success", "health-startup-timeout"], "checks begin after --health-interval; --health-start-period forgives their first failures"),
    (&["health-on-failure", "health-log-destination", "health-max-log-count", "health-max-log-size"],
     "`servin inspect` shows the last five checks"),
    (&["pod", "pod-id-file", "init-ctr"], "there are no pods: --network, --ipc and --pid container:NAME share namespaces"),
    (&["arch", "os", "variant"], "--platform OS/ARCHITECTURE says it"),
    (&["cert-dir", "creds", "decryption-key", "retry", "retry-delay", "tls-verify"],
     "`servin login` and /etc/servin/registries.json say how registries are spoken to"),
    (&["secret"], "mount a file: --volume FILE:/run/secrets/NAME:ro"),
    (&["systemd", "sdnotify"], "--init=false makes the program PID 1; NOTIFY_SOCKET is not passed on"),
    (&["requires"], "start it after the others"),
    (&["rmi"], "`servin rmi` removes an image"),
    (&["timeout"], "`timeout SECONDS servin run …` ends it"),
    (&["http-proxy"], "--env http_proxy passes a variable of ours on"),
    (&["image-volume"], "an image's volumes are made nameless, unless --volume names them"),
    (&["read-only-tmpfs"], "--tmpfs /tmp --tmpfs /run make them writable"),
    (&["passwd", "passwd-entry", "group-entry", "hostuser"], "the image's users are left as they are: --user takes numbers"),
    (&["preserve-fd", "preserve-fds"], "a container has no descriptor of its caller's but the three"),
    (&["uidmap", "gidmap", "subuidname", "subgidname"],
     "`servin oci` has maps: linux.uidMappings of config.json; a user other than root has the ids of /etc/subuid"),
    (&["rdt-class", "personality"], "`servin oci` has it: linux.intelRdt and linux.personality of config.json"),
    (&["seccomp-policy"], "--security-opt seccomp=FILE|unconfined chooses the filter"),
    (&["cgroups"], "--cgroup-manager disabled does without"),
    (&["shm-size-systemd", "chrootdirs", "env-merge", "hosts-file", "conmon-pidfile", "kube", "log-level"],
     "it is Podman's alone"),
    (&["compress", "no-stream-compress"], "archives are as they are: pipe them through gzip"),
    (&["checkpoint", "checkpoint-dir"], "there are no checkpoints"),
];

/// Why a flag that other programs have is not taken.
pub fn why(name: &str) -> Option<&'static str> {
    REFUSED.iter().find(|(names, _)| names.contains(&name)).map(|(_, why)| *why)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::people::entries;

    #[test]
    fn no_flag_of_run_is_refused_and_every_other_spelling_leads_to_one() {
        let run = entries().find(|entry| entry.path() == "run").expect("run").command;
        let has = |name: &str| run.groups.iter().flat_map(|group| group.1).any(|flag| flag.name == name);
        assert!(REFUSED.iter().flat_map(|(names, _)| *names).all(|name| !has(name)));
        let flags = || entries().flat_map(|entry| entry.command.groups).flat_map(|group| group.1);
        let there = |name: &str| flags().any(|flag| flag.name == name);
        assert!(SAME.iter().all(|(other, own)| there(own) && !there(other)));
    }
}
