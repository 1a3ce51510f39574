//! `servin …`: for people. One table has all commands; the help, the completions and the man pages are made from it too.

use super::arguments::{Command, Flag, Given, Group, flag};
use super::image::{self, export, import, list, load, remove};
use super::suggestion::did_you_mean;
use super::{
    Invocation, attach, check, completion, copy, exec, help, inspect, login, logs, manual, network, oci,
    output, pause, port, ps, pull, push, rm, rootless, run, start, stats, stop, system, top, update, version,
    volume, wait,
};
use crate::error::{Error, Result};
use crate::fs::descriptors::close_on_exec_from;
use crate::supervise::supervisor;

/// A command that people type.
pub struct Entry {
    /// Its name, flags and texts.
    pub command: &'static Command,
    /// Other words that call it: `images` for `image ls`.
    pub aliases: &'static [&'static str],
    /// One of the few that the first help describes.
    pub everyday: bool,
    /// Runs it with the flags, those before the command's name among them, and the words.
    pub run: fn(&Invocation, &Given) -> Result<i32>,
}

/// Commands that belong together.
pub struct Section(pub &'static str, pub &'static [Entry]);

const fn entry(
    command: &'static Command,
    aliases: &'static [&'static str],
    run: fn(&Invocation, &Given) -> Result<i32>,
) -> Entry {
    Entry { command, aliases, everyday: false, run }
}

const fn everyday(
    command: &'static Command,
    aliases: &'static [&'static str],
    run: fn(&Invocation, &Given) -> Result<i32>,
) -> Entry {
    Entry { command, aliases, everyday: true, run }
}

/// All commands.
pub static TABLE: &[Section] = &[
    Section(
        "Containers",
        &[
            everyday(&run::RUN, &["container run"], run::main),
            everyday(&ps::PS, &["container ls", "container list", "container ps"], ps::main),
            everyday(&stop::STOP, &["container stop"], stop::main),
            everyday(&rm::RM, &["container rm"], rm::main),
            everyday(&logs::LOGS, &["container logs"], logs::main),
            everyday(&exec::EXEC, &["container exec"], exec::main),
            entry(&run::CREATE, &["container create"], run::create),
            entry(&start::START, &["container start"], start::main),
            entry(&stop::RESTART, &["container restart"], stop::restart),
            entry(&stop::KILL, &["container kill"], stop::kill),
            entry(&wait::WAIT, &["container wait"], wait::main),
            entry(&port::PORT, &["container port"], port::main),
            entry(&inspect::INSPECT, &["container inspect"], inspect::main),
            entry(&attach::ATTACH, &["container attach"], attach::main),
            entry(&pause::PAUSE, &["container pause"], pause::pause),
            entry(&pause::UNPAUSE, &["container unpause"], pause::unpause),
            entry(&pause::RENAME, &["container rename"], pause::rename),
            entry(&stats::STATS, &["container stats"], stats::main),
            entry(&update::UPDATE, &["container update"], update::main),
            entry(&copy::CP, &["container cp"], copy::main),
            entry(&top::TOP, &["container top"], top::top),
            entry(&top::DIFF, &["container diff"], top::diff),
            entry(&rm::PRUNE, &[], rm::prune),
        ],
    ),
    Section(
        "Images",
        &[
            everyday(&list::LS, &["images", "image list"], list::ls),
            everyday(&pull::PULL, &["pull"], pull::main),
            entry(&push::PUSH, &["push"], push::main),
            entry(&load::LOAD, &["load"], load::load),
            entry(&load::SAVE, &["save"], load::save),
            entry(&export::COMMIT, &["container commit"], export::commit),
            entry(&export::EXPORT, &["container export"], export::export),
            entry(&import::IMPORT, &["import"], import::import),
            entry(&import::FROM_HOST, &[], import::from_host),
            entry(&image::TAG, &["tag"], image::tag),
            entry(&image::INSPECT, &[], image::inspect),
            entry(&list::HISTORY, &["history"], list::history),
            everyday(&remove::RM, &["rmi", "image remove"], remove::rm),
            entry(&remove::PRUNE, &[], remove::prune),
        ],
    ),
    Section(
        "Registries",
        &[entry(&login::LOGIN, &[], login::login), entry(&login::LOGOUT, &[], login::logout)],
    ),
    Section(
        "Networks",
        &[
            entry(&network::CREATE, &[], network::create),
            entry(&network::LIST, &["network list"], network::list),
            entry(&network::INSPECT, &[], network::inspect),
            entry(&network::CONNECT, &[], network::connect),
            entry(&network::DISCONNECT, &[], network::disconnect),
            entry(&network::REMOVE, &["network remove"], network::remove),
            entry(&network::PRUNE, &[], network::prune),
        ],
    ),
    Section(
        "Volumes",
        &[
            entry(&volume::CREATE, &[], volume::create),
            entry(&volume::LS, &["volume list"], volume::ls),
            entry(&volume::INSPECT, &[], volume::inspect),
            entry(&volume::RM, &["volume remove"], volume::rm),
            entry(&volume::PRUNE, &[], volume::prune),
        ],
    ),
    Section(
        "System",
        &[
            entry(&check::CHECK, &[], check::main),
            entry(&system::DF, &[], system::df),
            entry(&system::INFO, &["info"], system::info),
            entry(&system::PRUNE, &[], system::prune),
            entry(&version::VERSION, &[], version::main),
            entry(&help::HELP, &[], help::main),
            entry(&completion::COMPLETION, &[], completion::main),
            entry(&manual::MAN, &[], manual::main),
            entry(&OCI, &[], oci::people),
        ],
    ),
];

const OCI: Command = Command {
    name: "servin oci",
    usage: "[FLAGS] COMMAND …",
    about: "Speak the command line of an OCI runtime.",
    groups: &[],
    last_word: 0,
};

/// Flags that every command takes, before its name and behind it.
pub const GLOBALS: &[Flag] = &[
    flag("home", None, Some("DIR"), "what stays: images, volumes, … (SERVIN_HOME; /var/lib/servin)"),
    flag("root", None, Some("DIR"), "what runs (SERVIN_ROOT; /run/servin)"),
    flag("help", Some('h'), None, "print this"),
];

/// What comes before the command.
pub const SERVIN: Command = Command {
    name: "servin",
    usage: "[FLAGS] COMMAND [FLAGS] [WORDS]",
    about: "Servin runs containers.",
    groups: &[Group("Flags", GLOBALS), Group("", &[flag("version", Some('v'), None, "print the version")])],
    last_word: 1,
};

impl Entry {
    /// The words behind `servin`.
    pub fn path(&self) -> &'static str {
        self.command.name.strip_prefix("servin ").unwrap_or(self.command.name)
    }
}

/// All commands, in the order of the table.
pub fn entries() -> impl Iterator<Item = &'static Entry> {
    TABLE.iter().flat_map(|section| section.1)
}

/// Finds the command and runs it.
pub fn main(invocation: &Invocation) -> Result<i32> {
    if let [supervisor::AGAIN, words @ ..] = invocation.arguments.as_slice() {
        return supervisor::resume(words, oci::means(false));
    }
    let mut globals = SERVIN.parse(&invocation.arguments)?;
    let words = core::mem::take(&mut globals.words);
    if globals.switch("version", false) {
        return version::main(invocation, &globals);
    }
    if words.is_empty() {
        let asked = globals.switch("help", false);
        return output::result(help::overview()).map(|()| i32::from(!asked));
    }
    let (entry, arguments) = match find(&words)? {
        Found::Command(entry, used) => (entry, &words[used..]),
        Found::Group(group, rest) => {
            let asked = globals.switch("help", false) || rest.iter().any(|word| is_help(word));
            return output::result(help::group(group)).map(|()| i32::from(!asked));
        }
    };
    if entry.command.last_word > 0 {
        // Whatever else the caller left open, the container never sees.
        close_on_exec_from(3)?;
    }
    let given = entry.command.parse_with(GLOBALS, arguments)?.after(globals);
    if given.switch("help", false) {
        return output::result(help::command(entry.command, help::Detail::Short)).map(|()| 0);
    }
    let path = entry.path();
    let mut run = |inside: &Invocation| (entry.run)(inside, &given);
    match path {
        _ if WITH_IDS.contains(&path) => rootless::with_ids(invocation, &given, &mut run),
        _ if AS_ROOT.contains(&path) => rootless::as_root(invocation, &given, None, &mut run),
        _ => run(invocation),
    }
}

/// Commands that mount the layers of a container that does not run.
const AS_ROOT: &[&str] = &["commit", "export", "diff"];

/// Commands that write, read or remove files whose owners count.
const WITH_IDS: &[&str] = &[
    "image pull",
    "image load",
    "image import",
    "image from-host",
    "image rm",
    "image prune",
    "system df",
    "system prune",
    "volume prune",
];

/// What words call.
pub enum Found<'w> {
    /// A command, by so many words.
    Command(&'static Entry, usize),
    /// The first word of several commands, and what follows it.
    Group(&'static str, &'w [&'w str]),
}

/// Finds what the first words call; an error suggests what may have been meant.
pub fn find<'w>(words: &'w [&'w str]) -> Result<Found<'w>> {
    let called = |entry: &&Entry, name: &str| entry.path() == name || entry.aliases.contains(&name);
    for used in [2, 1] {
        let Some(name) = words.get(..used).map(|words| words.join(" ")) else { continue };
        if let Some(entry) = entries().find(|entry| called(entry, &name)) {
            return Ok(Found::Command(entry, used));
        }
    }
    let (first, rest) = words.split_first().map_or(("", words), |(first, rest)| (*first, rest));
    let Some(group) = paths().find_map(|path| path.split_once(' ').filter(|(group, _)| *group == first))
    else {
        let known = paths().map(|path| path.split(' ').next().unwrap_or_default());
        return Err(unknown(first, "servin help", &did_you_mean(first, &mut { known }, "")));
    };
    match rest.first() {
        Some(word) if !word.starts_with('-') => {
            let known = paths().filter_map(|path| path.split_once(' ').filter(|(own, _)| *own == first));
            let meant = did_you_mean(word, &mut known.map(|(_, name)| name), "");
            Err(unknown(&[first, word].join(" "), &["servin help", first].join(" "), &meant))
        }
        _ => Ok(Found::Group(group.0, rest)),
    }
}

/// Everything that calls a command.
fn paths() -> impl Iterator<Item = &'static str> {
    entries().flat_map(|entry| core::iter::once(entry.path()).chain(entry.aliases.iter().copied()))
}

fn unknown(name: &str, help: &str, meant: &str) -> Error {
    Error::new(format_args!("there is no command {name}: {meant}`{help}` lists what there is"))
}

fn is_help(word: &str) -> bool {
    matches!(word, "--help" | "-h" | "-help")
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;
    use alloc::vec::Vec;

    #[test]
    fn every_name_and_flag_is_there_once_and_every_text_is_short() {
        let mut names: Vec<&str> = paths().collect();
        names.sort_unstable();
        let count = names.len();
        names.dedup();
        assert_eq!(count, names.len(), "{names:?}");
        for entry in entries() {
            let name = entry.command.name;
            assert!(name.starts_with("servin "), "{name}");
            assert!(entry.command.about.ends_with('.') && entry.command.about.len() <= 80, "{name}");
            let flags: Vec<&Flag> = entry.command.groups.iter().flat_map(|group| group.1).collect();
            for (index, flag) in flags.iter().enumerate() {
                let again = flags[..index].iter().any(|other| {
                    other.name == flag.name || (flag.short.is_some() && other.short == flag.short)
                });
                assert!(!again && flag.name.len() > 1, "{name} --{}", flag.name);
                assert!(GLOBALS.iter().all(|global| global.name != flag.name), "{name} --{}", flag.name);
                assert!(!flag.help.is_empty() && !flag.help.ends_with('.'), "{name} --{}", flag.name);
            }
        }
    }

    #[test]
    fn every_command_and_flag_is_in_the_help_the_completions_and_the_manual() {
        let scripts = ["bash", "zsh", "fish"].map(completion::script).map(|script| script.expect("a shell"));
        let (overview, manual) = (help::overview(), manual::overview());
        for entry in entries() {
            let (path, name) = (entry.path(), entry.path().rsplit(' ').next().expect("a word"));
            assert!(overview.contains(name), "{path}");
            assert!(manual.contains(&["\\fB", &path.replace('-', "\\-"), "\\fR"].concat()), "{path}");
            assert!(scripts.iter().all(|script| script.contains(path)), "{path}");
            let help = help::command(entry.command, help::Detail::All);
            let short = help::command(entry.command, help::Detail::Short);
            let page = manual::page(entry.command, entry.aliases);
            assert!(short.lines().count() <= 50, "{path}: its help does not fit a screen");
            assert!(help.lines().all(|line| line.chars().count() <= 80), "{path}: {help}");
            for flag in entry.command.groups.iter().flat_map(|group| group.1).chain(GLOBALS) {
                let long = ["--", flag.name].concat();
                assert!(help.contains(&long) && short.contains(&long), "{path} {long}");
                assert!(
                    page.contains(&["\\-\\-", &flag.name.replace('-', "\\-"), "\\fR"].concat()),
                    "{path} {long}"
                );
                assert!(scripts[0].contains(&long) && scripts[1].contains(&long), "{path} {long}");
                let line = ["-l ", flag.name, " "].concat();
                let at = ["'__servin_at \"", path, "\"'"].concat();
                assert!(
                    scripts[2].lines().any(|own| own.contains(&at) && own.contains(&line)),
                    "{path} {long}"
                );
            }
        }
        assert!(overview.lines().count() <= 40 && overview.lines().all(|line| line.chars().count() <= 80));
    }

    #[test]
    fn a_command_is_found_by_its_words_and_a_misspelt_one_gets_a_suggestion() {
        assert!(matches!(find(&["run", "x"]), Ok(Found::Command(entry, 1)) if entry.path() == "run"));
        assert!(matches!(find(&["container", "run"]), Ok(Found::Command(entry, 2)) if entry.path() == "run"));
        assert!(matches!(find(&["container", "--help"]), Ok(Found::Group("container", ["--help"]))));
        let error = |words: &[&str]| find(words).map(|_| ()).expect_err("refused").to_string();
        assert_eq!(
            error(&["rnu"]),
            "there is no command rnu: did you mean run? `servin help` lists what there is"
        );
        assert_eq!(
            error(&["container", "rum"]),
            "there is no command container rum: did you mean run? `servin help container` lists what there is"
        );
        assert_eq!(error(&["zzz"]), "there is no command zzz: `servin help` lists what there is");
    }
}
