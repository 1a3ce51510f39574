//! Kernel modules in the order in which they can be loaded. Debian's kernel package has no modules.dep, but each
//! module says in its own `.modinfo` section which others it depends on.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use crate::elf::Elf;
use crate::{Result, workspace};

/// A module, where it lies and what it wants loaded before it.
#[derive(Clone, Default, Debug, PartialEq)]
pub struct Module {
    pub path: PathBuf,
    pub depends: Vec<String>,
    /// Loaded before where they exist; they may as well be built in.
    pub soft: Vec<String>,
}

/// All modules under a folder by name, and the names of what the kernel has built in.
pub struct Index {
    modules: BTreeMap<String, Module>,
    built_in: Vec<String>,
}

impl Index {
    /// `folder` is /lib/modules/RELEASE. Only those files are opened that `order` asks for.
    pub fn read(folder: &Path) -> Result<Self> {
        let mut modules = BTreeMap::new();
        collect(folder, &mut modules)?;
        let built_in = workspace::read_text(&folder.join("modules.builtin"))?;
        Ok(Index { modules, built_in: built_in.lines().map(|line| name_of(Path::new(line))).collect() })
    }

    /// The wanted modules and all that they depend on, each behind what it depends on.
    pub fn order(&mut self, wanted: &[&str]) -> Result<Vec<Module>> {
        for name in wanted {
            self.read_needs(name)?;
        }
        let mut order = Vec::new();
        for name in wanted {
            self.visit(name, true, &mut Vec::new(), &mut order)?;
        }
        Ok(order.iter().map(|name| self.modules[name].clone()).collect())
    }

    /// Reads the `.modinfo` of a module and of those it depends on.
    fn read_needs(&mut self, name: &str) -> Result {
        let name = normal(name);
        let Some(module) = self.modules.get_mut(&name) else { return Ok(()) };
        if !module.depends.is_empty() || !module.soft.is_empty() {
            return Ok(());
        }
        let bytes = workspace::read(&module.path)?;
        let section = Elf::parse(&bytes).and_then(|elf| elf.section(".modinfo"));
        let section = section.map_err(|e| format!("{}: {e}", module.path.display()))?;
        (module.depends, module.soft) = needs(section.unwrap_or_default());
        let before = [module.depends.clone(), module.soft.clone()].concat();
        before.iter().try_for_each(|name| self.read_needs(name))
    }

    fn visit(&self, name: &str, needed: bool, above: &mut Vec<String>, order: &mut Vec<String>) -> Result {
        let name = normal(name);
        if order.contains(&name) || self.built_in.contains(&name) {
            return Ok(());
        }
        let Some(module) = self.modules.get(&name) else {
            return if needed { Err(format!("the kernel has no module {name}")) } else { Ok(()) };
        };
        if above.contains(&name) {
            // A circle can only be closed by a soft dependency, which is a wish.
            return if needed { Err(format!("the module {name} depends on itself")) } else { Ok(()) };
        }
        above.push(name.clone());
        module.soft.iter().try_for_each(|before| self.visit(before, false, above, order))?;
        module.depends.iter().try_for_each(|before| self.visit(before, true, above, order))?;
        above.pop();
        order.push(name);
        Ok(())
    }
}

/// A module is `nft-ct` or `nft_ct` as one likes; the kernel knows it by the second.
fn normal(name: &str) -> String {
    name.replace('-', "_")
}

fn name_of(path: &Path) -> String {
    normal(&path.file_stem().unwrap_or_default().to_string_lossy())
}

fn collect(folder: &Path, modules: &mut BTreeMap<String, Module>) -> Result {
    let entries = fs::read_dir(folder).map_err(|e| format!("read {}: {e}", folder.display()))?;
    for path in entries.flatten().map(|entry| entry.path()) {
        if path.is_dir() && !path.is_symlink() {
            collect(&path, modules)?;
        } else if path.extension().is_some_and(|extension| extension == "ko") {
            modules.insert(name_of(&path), Module { path, ..Module::default() });
        }
    }
    Ok(())
}

/// The names in `depends=a,b` and `softdep=pre: c d post: e`.
fn needs(modinfo: &[u8]) -> (Vec<String>, Vec<String>) {
    let text = String::from_utf8_lossy(modinfo);
    let (mut depends, mut soft) = (Vec::new(), Vec::new());
    for field in text.split('\0') {
        if let Some(names) = field.strip_prefix("depends=") {
            depends.extend(names.split(',').filter(|name| !name.is_empty()).map(str::to_owned));
        }
        if let Some(names) = field.strip_prefix("softdep=pre:") {
            soft.extend(names.split_whitespace().take_while(|word| *word != "post:").map(str::to_owned));
        }
    }
    (depends, soft)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn index(table: &[(&str, &[&str], &[&str])]) -> Index {
        let owned = |names: &[&str]| names.iter().map(|name| name.to_string()).collect();
        let module = |(name, depends, soft): &(&str, &[&str], &[&str])| {
            (name.to_string(), Module { path: name.into(), depends: owned(depends), soft: owned(soft) })
        };
        Index { modules: table.iter().map(module).collect(), built_in: vec!["ext4".to_owned()] }
    }

    fn order(index: &Index, wanted: &[&str]) -> Result<Vec<String>> {
        let mut order = Vec::new();
        wanted.iter().try_for_each(|name| index.visit(name, true, &mut Vec::new(), &mut order))?;
        Ok(order)
    }

    #[test]
    fn what_is_depended_on_comes_first_and_once() {
        let index = index(&[
            ("bridge", &["stp", "llc"], &[]),
            ("stp", &["llc"], &[]),
            ("llc", &[], &[]),
            ("br_netfilter", &["bridge"], &["nothing_such"]),
        ]);
        let names = order(&index, &["br-netfilter", "stp", "ext4"]);
        assert_eq!(names, Ok(["llc", "stp", "bridge", "br_netfilter"].map(str::to_owned).to_vec()));
    }

    #[test]
    fn missing_modules_and_circles_are_errors() {
        let index = index(&[("a", &["b"], &[]), ("b", &["a"], &[]), ("c", &["gone"], &[])]);
        assert!(order(&index, &["a"]).is_err_and(|e| e.contains("depends on itself")));
        assert!(order(&index, &["c"]).is_err_and(|e| e.contains("no module gone")));
    }

    #[test]
    fn modinfo_is_read() {
        let (depends, soft) = needs(b"license=GPL\0depends=x,y\0softdep=pre: crc32c z post: w\0name=q\0");
        assert_eq!(depends, ["x", "y"]);
        assert_eq!(soft, ["crc32c", "z"]);
        assert_eq!(needs(b"depends=\0"), (vec![], vec![]));
    }
}
