//! Where the dynamic loader finds a library: ld.so(8) for glibc, and musl's ldso/dynlink.c.
//!
//! The new tree gets neither ld.so.cache nor ld.so.conf, which list what the host has: a library that the
//! host finds by them alone is linked into the loader's own directory (see `Selection::add_library`).

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::files::{Host, base_name, cut, directory};

/// ld.so.conf may include itself.
const MAX_INCLUDES: usize = 128;

/// A dynamic loader, by where it is.
pub struct Loader {
    musl: bool,
    /// All directories that it searches on this host, in order.
    pub search: Vec<String>,
    /// How many at the end of [`Loader::search`] it searches on any system; the first of these is its own.
    pub built_in: usize,
}

impl Loader {
    /// The loader that programs call `interpreter`, whose real place is `path`.
    pub fn new(host: &Host, interpreter: &str, path: &str, configured: &[String]) -> Loader {
        let name = base_name(interpreter);
        let musl = name.starts_with("ld-musl-");
        let mut search = Vec::new();
        if musl {
            // The path file replaces the built-in list. The tree has no such file, and there the list counts.
            add_list(&mut search, &host.text(&["/etc/", cut(name, b'.').0, ".path"].concat()));
            add_list(&mut search, "/lib:/usr/local/lib:/usr/lib");
            return Loader { musl, search, built_in: 3 };
        }
        search.extend_from_slice(configured);
        // glibc searches the directory it is installed to, and its twin with or without /usr.
        let own = directory(path);
        let twin = match own.strip_prefix("/usr") {
            Some(twin) => twin.to_string(),
            None => ["/usr", own].concat(),
        };
        search.push(own.to_string());
        search.push(twin);
        add_list(&mut search, "/lib64:/usr/lib64:/lib:/usr/lib");
        Loader { musl, search, built_in: 6 }
    }

    /// The directory of its own.
    pub fn own(&self) -> &str {
        &self.search[self.search.len() - self.built_in]
    }

    /// musl is its own libc under all the names that a libc has had: these need no file.
    pub fn is(&self, library: &str) -> bool {
        let name = library.strip_prefix("lib").unwrap_or("");
        self.musl && ["c", "pthread", "rt", "m", "dl", "util", "xnet"].contains(&cut(name, b'.').0)
    }
}

/// What /etc/ld.so.conf says.
#[derive(Default)]
pub struct Configuration {
    /// The directories, in order.
    pub directories: Vec<String>,
    /// The files and folders that they were read from.
    pub read: Vec<String>,
}

impl Configuration {
    /// Adds what `file` and the files that it includes say.
    pub fn read(&mut self, host: &Host, file: &str) {
        if self.read.len() >= MAX_INCLUDES || self.read.iter().any(|read| read == file) {
            return;
        }
        self.read.push(file.to_string());
        let text = host.text(file);
        let mut rest = &*text;
        while !rest.is_empty() {
            let (line, next) = cut(rest, b'\n');
            rest = next;
            let line = cut(line, b'#').0.trim_ascii();
            if line.starts_with('/') {
                // `/lib/old=libc5` names a flavour that nothing has needed for decades.
                self.directories.push(cut(line, b'=').0.to_string());
            } else if let Some(pattern) = line.strip_prefix("include") {
                let pattern = pattern.trim_ascii();
                let above = if pattern.starts_with('/') { "" } else { directory(file) };
                let pattern = [above, "/", pattern].concat();
                let folder = directory(&pattern);
                for name in host.names(folder) {
                    if matches(base_name(&pattern), &name) {
                        self.read(host, &[folder, "/", &name].concat());
                    }
                }
                self.read.push(folder.to_string());
            }
        }
    }
}

/// Adds the directories of a DT_RPATH or DT_RUNPATH of the file `path`. Those with `$LIB` or `$PLATFORM` are
/// left out: no program that a system calls essential has them.
pub fn add_run_path(list: &mut Vec<String>, text: &str, path: &str) {
    let mut rest = text;
    while !rest.is_empty() {
        let (item, next) = cut(rest, b':');
        rest = next;
        match item.strip_prefix("$ORIGIN").or(item.strip_prefix("${ORIGIN}")) {
            Some(below) => add_list(list, &[directory(path), below].concat()),
            None => add_list(list, item),
        }
    }
}

/// Adds the absolute paths of a list that is separated by `:` or by ends of lines.
fn add_list(list: &mut Vec<String>, text: &str) {
    for item in text.split([':', '\n']) {
        if item.starts_with('/') && !item.contains('$') {
            list.push(item.to_string());
        }
    }
}

/// A shell pattern with at most one `*`, which is what ld.so.conf files are written with.
fn matches(pattern: &str, name: &str) -> bool {
    let (head, tail) = cut(pattern, b'*');
    let rest = name.strip_prefix(head);
    if head.len() == pattern.len() {
        return rest == Some("");
    }
    !name.starts_with('.') && rest.is_some_and(|rest| rest.ends_with(tail))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_path_knows_its_origin() {
        let split = |text| {
            let mut list = Vec::new();
            add_run_path(&mut list, text, "/opt/app/bin/tool");
            list
        };
        assert_eq!(split("$ORIGIN/../lib:/x"), ["/opt/app/bin/../lib", "/x"]);
        assert_eq!(split("${ORIGIN}:$LIB/y::relative:/z/$PLATFORM"), ["/opt/app/bin"]);
        assert!(split("").is_empty());
    }

    #[test]
    fn ld_so_conf_includes_are_followed_in_order() {
        let root = crate::image::host::tests::Scratch::new("conf");
        root.write("etc/ld.so.conf", "include ld.so.conf.d/*.conf\n/last # comment\ninclude ld.so.conf\n");
        root.write("etc/ld.so.conf.d/b.conf", "/b=libc6\nhwcap 0 nosegneg\n");
        root.write("etc/ld.so.conf.d/a.conf", "# nothing\n  /a  \n");
        root.write("etc/ld.so.conf.d/a.conf.old", "/wrong\n");
        let mut configuration = Configuration::default();
        configuration.read(&Host::new(root.path()), "/etc/ld.so.conf");
        assert_eq!(configuration.directories, ["/a", "/b", "/last"]);
        assert!(configuration.read.iter().any(|path| path == "/etc/ld.so.conf.d"));
    }

    #[test]
    fn musl_reads_its_path_file() {
        let root = crate::image::host::tests::Scratch::new("musl-path");
        let loader = |root: &str| {
            Loader::new(&Host::new(root), "/lib/ld-musl-x86_64.so.1", "/lib/ld-musl-x86_64.so.1", &[])
        };
        assert_eq!(loader(root.path()).search, ["/lib", "/usr/local/lib", "/usr/lib"]);
        root.write("etc/ld-musl-x86_64.path", "/lib/x86_64-linux-musl\n/more:/yet\n");
        let loader = loader(root.path());
        assert_eq!(loader.search[..3], ["/lib/x86_64-linux-musl", "/more", "/yet"]);
        assert_eq!(loader.own(), "/lib");
        assert!(
            loader.is("libc.musl-x86_64.so.1") && loader.is("libpthread.so.0") && !loader.is("libz.so.1")
        );
    }
}
