//! Which tests may be skipped where. Any other skip is a failure: what a machine lacks is to be installed, and a
//! test that never runs proves nothing.

/// Environment, test, and why it cannot run there.
#[rustfmt::skip]
const ALLOWED: &[(&str, &str, &str)] = &[
    // Debian's 6.1 is the machine's kernel there; on the host they run.
    ("qemu", "idmap_shows_other_owners_on_one_mount_and_ridmap_on_all_below", "tmpfs maps ids from Linux 6.3 on"),
    ("qemu", "idmap_without_mappings_uses_those_of_the_container", "tmpfs maps ids from Linux 6.3 on"),
    ("qemu", "more_ids_are_mapped_by_the_helpers", "the machine's initramfs has no newuidmap; on the host it runs"),
    ("qemu", "bash_completes_commands_flags_and_files", "the initramfs has busybox's shell; on the host it runs"),
    ("qemu", "the_other_shells_understand_their_scripts", "the initramfs has busybox's shell; on the host it runs"),
    ("qemu", "the_manual_pages_are_good_roff", "the initramfs has no groff; on the host it runs"),
    ("qemu", "tools_come_from_an_image_or_a_directory_too", "the initramfs has no umoci; on the host it runs"),
    ("qemu", "a_hostile_archive_or_container_leads_nowhere_else", "the initramfs has no Python; on the host it runs"),
    ("qemu", "a_thousand_containers_are_listed_at_once", "an emulated processor says nothing of how fast a real one is"),
    ("qemu", "a_user_is_connected_by_pasta_where_it_is_installed", "the initramfs has no pasta; on the host it runs"),
    ("qemu", "busyboxs_httpd_is_reached_each_way", "the initramfs has no curl; on the host it runs"),
    ("qemu", "nginx_is_reached_each_way", "the initramfs has neither nginx nor curl; on the host it runs"),
    ("host", "a_port_of_sctp_is_reached_from_the_host_and_from_outside", "not every kernel has SCTP; Debian's in QEMU has"),
    ("qemu", "a_user_is_connected_by_slirp4netns_where_there_is_no_pasta", "the initramfs has no slirp4netns; on the host it runs"),
    ("host", "a_container_is_on_the_cable_by_ipvlan", "not every kernel has it; Debian's in QEMU has"),
    ("qemu", "what_another_program_flushes_is_back_with_the_next_command", "the initramfs has no nft; on the host it runs"),
    ("qemu", "rules_of_others_are_left_alone_and_a_chain_that_drops_is_named", "the initramfs has no nft; on the host it runs"),
];

pub fn allowed(environment: &str, test: &str) -> bool {
    ALLOWED.iter().any(|(place, name, _)| *place == environment && *name == test)
}
