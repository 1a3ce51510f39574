//! The formats of lists, as a person types them.

use servin_tests::{alone, forget_home, servin};

fn created(name: &str, label: &str) {
    servin(&["create", "--name", name, "--label", label, "--rootfs", "host", "--", "/bin/true"]).succeeds();
}

#[test]
fn lists_have_dockers_formats() {
    alone(|| {
        created("one", "stage=test");
        let format = |text: &str| servin(&["ps", "-a", "--format", text]).succeeds().out;
        assert_eq!(format("{{.Names}} {{.Label \"stage\"}}"), "one test\n");
        assert_eq!(format("table {{.Names}}\\t{{.State}}"), "NAMES   STATE\none     created\n");
        assert!(format("json").starts_with('{') && format("json").contains("\"Names\":\"one\""));
        assert_eq!(format("{{if eq .State \"created\"}}new{{else}}old{{end}}"), "new\n");
        servin(&["ps", "-a", "--format", "{{.Nmaes}}"]).ends_with(125).fails(&["there is no field Nmaes"]);
        servin(&["ps", "-a", "--format", "{{.Names"]).ends_with(125).fails(&["}} is missing"]);
        let id = servin(&["ps", "-aq"]).succeeds().out;
        let long = servin(&["ps", "-aq", "--no-trunc"]).succeeds().out;
        assert!(id.trim().len() == 12 && long.trim().len() == 64 && long.starts_with(id.trim()));
        servin(&["rm", "-v", "one"]).succeeds();
        forget_home();
    });
}
