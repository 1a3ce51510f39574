//! OCI bundles: a copy of a root of the fixtures, and a config.json that starts as `runc spec`'s.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::{Finished, Report, Running, places, run, start};

/// A bundle that runs the probe's report in the minimal root, until a test says otherwise.
pub struct Bundle {
    pub(crate) config: Value,
    directory: PathBuf,
    pub(crate) id: String,
    refused: Vec<String>,
    arguments: Vec<String>,
}

impl Default for Bundle {
    fn default() -> Self {
        Bundle::new()
    }
}

impl Bundle {
    /// The minimal root.
    pub fn new() -> Self {
        Bundle::of("minimal")
    }

    /// A root of the fixtures by name, copied so that the container may write to it.
    pub fn of(root: &str) -> Self {
        let bundle = Bundle::without_root();
        rootfs_fixtures::roots::copy(&places::fixture(root), &bundle.root())
            .expect("copy the fixture's root");
        bundle
    }

    /// A root of the fixtures under an overlay: for large ones.
    pub fn over(root: &Path) -> Self {
        let bundle = Bundle::without_root();
        let [upper, work] = ["upper", "work"].map(|name| bundle.directory.join(name));
        for directory in [&upper, &work, &bundle.root()] {
            fs::create_dir_all(directory).expect("make a directory");
        }
        let data =
            format!("lowerdir={},upperdir={},workdir={}", root.display(), upper.display(), work.display());
        let target = bundle.root();
        crate::file_system("overlay", "overlay", target.to_str().expect("a path of ours"), &data)
            .expect("mount an overlay");
        bundle
    }

    /// Unmounts the overlay of [`Bundle::over`].
    pub fn forget_overlay(&self) {
        crate::unmount(self.root().to_str().expect("a path of ours")).expect("unmount the overlay");
    }

    fn without_root() -> Self {
        let mut places = (0..).map(|number| (number, places::scratch(&format!("bundles/{number}"))));
        let (number, directory) = places.find(|(_, path)| !path.exists()).expect("a free number");
        fs::create_dir_all(&directory).expect("make the bundle");
        let config = rootfs_fixtures::bundles::running(&["/bin/probe", "report"]);
        Bundle { config, directory, id: format!("test-{number}"), refused: Vec::new(), arguments: Vec::new() }
    }

    /// The root file system as the host sees it.
    pub fn root(&self) -> PathBuf {
        self.directory.join("rootfs")
    }

    /// The bundle's directory.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// The configuration, to be edited freely.
    pub fn config(&mut self) -> &mut Value {
        &mut self.config
    }

    /// Runs the probe with other arguments.
    pub fn probe(self, arguments: &[&str]) -> Self {
        let mut args = vec!["/bin/probe"];
        args.extend(arguments);
        self.args(&args)
    }

    /// Runs another program.
    pub fn args(self, args: &[&str]) -> Self {
        self.set("/process/args", args)
    }

    /// Sets one field, named by its JSON pointer; objects on the way are made.
    pub fn set(mut self, pointer: &str, value: impl Into<Value>) -> Self {
        let place = pointer.split('/').skip(1).fold(&mut self.config, |at, name| match at {
            Value::Array(items) => &mut items[name.parse::<usize>().expect("an index")],
            other => &mut other[name.replace("~1", "/")],
        });
        *place = value.into();
        self
    }

    /// Adds to a list.
    pub fn push(mut self, pointer: &str, value: impl Into<Value>) -> Self {
        if self.config.pointer(pointer).is_none() {
            self = self.set(pointer, json!([]));
        }
        let list = self.config.pointer_mut(pointer).and_then(Value::as_array_mut);
        list.unwrap_or_else(|| panic!("{pointer} is no list")).push(value.into());
        self
    }

    /// Takes one field out.
    pub fn without(mut self, pointer: &str) -> Self {
        let (parent, name) = pointer.rsplit_once('/').expect("a JSON pointer");
        let parent = self.config.pointer_mut(parent).and_then(Value::as_object_mut);
        parent.and_then(|parent| parent.remove(name)).unwrap_or_else(|| panic!("there is no {pointer}"));
        self
    }

    /// Adds a mount.
    pub fn mount(self, destination: &str, kind: &str, source: &str, options: &[&str]) -> Self {
        self.push("/mounts", rootfs_fixtures::bundles::mount(destination, kind, source, options))
    }

    /// Binds a path of the host.
    pub fn bind(self, source: &str, destination: &str, options: &[&str]) -> Self {
        let mut all = vec!["rbind"];
        all.extend(options);
        self.mount(destination, "bind", source, &all)
    }

    /// Takes the mount on `destination` out.
    pub fn unmounted(mut self, destination: &str) -> Self {
        let mounts = self.config["mounts"].as_array_mut().expect("mounts is a list");
        let before = mounts.len();
        mounts.retain(|mount| mount["destination"] != destination);
        assert!(mounts.len() < before, "the config has no mount on {destination}");
        self
    }

    /// Changes the options of the mount on `destination`.
    pub fn options(mut self, destination: &str, options: &[&str]) -> Self {
        let mounts = self.config["mounts"].as_array_mut().expect("mounts is a list");
        let found = mounts.iter_mut().find(|mount| mount["destination"] == destination);
        found.expect("the config has this mount")["options"] = json!(options);
        self
    }

    /// A namespace more, or the path of one that is there.
    pub fn namespace(mut self, kind: &str, path: Option<&str>) -> Self {
        self = self.no_namespace(kind);
        self.push(
            "/linux/namespaces",
            match path {
                Some(path) => json!({ "type": kind, "path": path }),
                None => json!({ "type": kind }),
            },
        )
    }

    /// A namespace less.
    pub fn no_namespace(mut self, kind: &str) -> Self {
        let list = self.config["linux"]["namespaces"].as_array_mut().expect("namespaces is a list");
        list.retain(|namespace| namespace["type"] != kind);
        self
    }

    /// A user namespace in which container ids from 0 are host ids from `host`, `size` of them; the root belongs
    /// to its root.
    pub fn mapped(self, host: u32, size: u32) -> Self {
        let map = json!([{ "containerID": 0, "hostID": host, "size": size }]);
        chown_tree(&self.root(), host);
        // With the mount of the control groups in the default, which only a control group namespace's owner may make.
        let owned = self.namespace("user", None).namespace("cgroup", None);
        owned.set("/linux/uidMappings", map.clone()).set("/linux/gidMappings", map)
    }

    /// A root that may be written to (the default's may not).
    pub fn writable(self) -> Self {
        self.set("/root/readonly", false)
    }

    /// All five sets are these capabilities (ambient and inheritable stay as they are).
    pub fn capabilities(mut self, names: &[&str]) -> Self {
        for set in ["bounding", "effective", "permitted"] {
            self = self.set(&format!("/process/capabilities/{set}"), names);
        }
        self.set("/process/capabilities/ambient", json!([]))
    }

    /// Makes the kernel answer ENOSYS to these system calls, or what `--errno` says.
    pub fn refusing(mut self, calls: &[&str]) -> Self {
        self.refused = calls.iter().map(|word| word.to_string()).collect();
        self
    }

    /// Another id.
    pub fn id(mut self, id: &str) -> Self {
        self.id = id.to_string();
        self
    }

    /// More arguments for `run`, before the id.
    pub fn flags(mut self, flags: &[&str]) -> Self {
        self.arguments = flags.iter().map(|word| word.to_string()).collect();
        self
    }

    /// Writes config.json; the command that runs it.
    pub fn command(&self) -> Command {
        self.write(&self.config.to_string());
        let mut command = match &self.refused[..] {
            [] => Command::new(places::servin_run()),
            calls => {
                let mut command = Command::new(places::probe());
                command.arg("refuse").args(calls).arg("--").arg(places::servin_run());
                command
            }
        };
        command.arg("run").arg("--bundle").arg(&self.directory).args(&self.arguments).arg(&self.id);
        run::quiet(command)
    }

    /// The text of config.json.
    pub fn config_text(&self) -> String {
        self.config.to_string()
    }

    /// Writes a config.json that need not be JSON.
    pub fn write(&self, config: &str) {
        fs::write(self.directory.join("config.json"), config).expect("write config.json");
    }

    /// Starts it.
    pub fn start(&self) -> Running {
        start(self.command())
    }

    /// Runs it to its end.
    #[track_caller]
    pub fn run(&self) -> Finished {
        self.start().finish()
    }

    /// Runs it, and hands back what the probe saw.
    #[track_caller]
    pub fn report(&self) -> Report {
        self.run().report()
    }
}

fn chown_tree(path: &Path, id: u32) {
    std::os::unix::fs::lchown(path, Some(id), Some(id)).expect("change the owner");
    if path.symlink_metadata().is_ok_and(|found| found.is_dir()) {
        for entry in fs::read_dir(path).expect("list a directory").flatten() {
            chown_tree(&entry.path(), id);
        }
    }
}
