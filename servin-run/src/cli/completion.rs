//! `servin completion`: scripts for the shells, made from the table that reads the arguments.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::arguments::{Command, Flag, Given};
use super::people::{Entry, GLOBALS, entries};
use super::{Invocation, output};
use crate::error::{Error, Result};
use crate::gather::Gather as _;

/// The command.
pub const COMPLETION: Command = Command {
    name: "servin completion",
    usage: "bash|zsh|fish",
    about: "Print a script that completes commands and flags in a shell.",
    groups: &[],
    last_word: usize::MAX,
};

/// What may stand where a usage has a word in capitals, and the command that lists it.
const LISTS: &[(&str, &str)] = &[
    ("CONTAINER", "servin ps --all --format '{{.Names}}'"),
    ("IMAGE", "servin image ls --format '{{.Repository}}:{{.Tag}}'"),
    ("NETWORK", "servin network ls --format '{{.Name}}'"),
    ("VOLUME", "servin volume ls --quiet"),
];

/// Runs the command.
pub fn main(_: &Invocation, given: &Given) -> Result<i32> {
    let shell = given.one(&COMPLETION, "the shell: bash, zsh or fish")?;
    match script(shell) {
        Some(script) => output::result(script.trim_end()).map(|()| 0),
        None => Err(Error::new(format_args!("{shell}: there is a completion for bash, zsh and fish"))),
    }
}

/// The script for a shell.
pub fn script(shell: &str) -> Option<String> {
    match shell {
        "bash" => Some(bash()),
        "zsh" => Some(zsh()),
        "fish" => Some(fish()),
        _ => None,
    }
}

/// Each way to call each command.
fn calls() -> impl Iterator<Item = (&'static str, &'static Entry)> {
    entries().flat_map(|entry| {
        let aliases = entry.aliases.iter().copied();
        core::iter::once(entry.path()).chain(aliases).map(move |path| (path, entry))
    })
}

/// The words that may follow `group`, or `servin` itself.
fn words(group: &str) -> Vec<(&'static str, &'static str)> {
    let mut words: Vec<(&str, &str)> = Vec::new();
    for (path, entry) in calls() {
        let own = match path.split_once(' ') {
            Some((first, second)) if first == group => (second, entry.command.about),
            Some((first, _)) if group.is_empty() => (first, "Commands of this kind."),
            None if group.is_empty() => (path, entry.command.about),
            _ => continue,
        };
        if words.iter().all(|(word, _)| *word != own.0) {
            words.push(own);
        }
    }
    words
}

fn groups() -> Vec<&'static str> {
    let mut groups: Vec<&str> = Vec::new();
    for (first, _) in calls().filter_map(|(path, _)| path.split_once(' ')) {
        if !groups.contains(&first) {
            groups.push(first);
        }
    }
    groups
}

fn flags(entry: &Entry) -> impl Iterator<Item = &'static Flag> {
    entry.command.groups.iter().flat_map(|group| group.1).chain(GLOBALS)
}

/// Whether a file or directory is a value of the flag.
fn takes_path(flag: &Flag) -> bool {
    flag.value.is_some_and(|value| ["FILE", "DIR", "PATH", "SRC"].iter().any(|word| value.contains(word)))
}

/// The command that lists what a usage wants, where there is one.
fn listing(usage: &str) -> &'static str {
    LISTS.iter().find(|(word, _)| usage.contains(word)).map_or("", |(_, list)| list)
}

/// The flag as it is typed: `-e`, `--env`.
fn spellings(flags: &mut dyn Iterator<Item = &'static Flag>) -> String {
    let mut text = String::new();
    for flag in flags {
        if let Some(letter) = flag.short {
            text.push_str(&format!("-{letter} "));
        }
        text.push_str(&format!("--{} ", flag.name));
    }
    text.truncate(text.trim_end().len());
    text
}

fn joined(words: &[(&str, &str)]) -> String {
    words.iter().map(|(word, _)| *word).gather::<Vec<_>>().join(" ")
}

fn bash() -> String {
    let mut script = String::from(
        r#"# bash completion of servin: source it, or keep it as /usr/share/bash-completion/completions/servin
_servin() {
    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} path= flags= paths= values= list= word i
    for ((i = 1; i < COMP_CWORD; i++)); do
        word=${COMP_WORDS[i]}
        case $word in
        --home|--root) ((i++)); continue ;;
        -*) continue ;;
        esac
        path="${path:+$path }$word"
        case $path in
"#,
    );
    script.push_str(&format!(
        "        {}) ;;\n        *) break ;;\n        esac\n    done\n    case $path in\n",
        groups().join("|")
    ));
    script.push_str(&format!(
        "    '') flags='{} -v --version' paths='--home --root' list=\"echo {}\" ;;\n",
        spellings(&mut GLOBALS.iter()),
        joined(&words(""))
    ));
    for group in groups() {
        script.push_str(&format!("    {group}) list=\"echo {}\" ;;\n", joined(&words(group))));
    }
    for (path, entry) in calls() {
        script.push_str(&format!(
            "    '{path}') flags='{}' paths='{}' values='{}' list=\"{}\" ;;\n",
            spellings(&mut flags(entry)),
            spellings(&mut flags(entry).filter(|flag| takes_path(flag))),
            spellings(&mut flags(entry).filter(|flag| flag.value.is_some() && !takes_path(flag))),
            listing(entry.command.usage),
        ));
    }
    script.push_str(
        r#"    esac
    case " $paths " in *" $prev "*) COMPREPLY=($(compgen -f -- "$cur")); return ;; esac
    case " $values " in *" $prev "*) COMPREPLY=(); return ;; esac
    case $cur in
    -*) COMPREPLY=($(compgen -W "$flags" -- "$cur")) ;;
    *)
        if [ -n "$list" ]; then COMPREPLY=($(compgen -W "$(eval "$list" 2>/dev/null)" -- "$cur"))
        else COMPREPLY=($(compgen -f -- "$cur")); fi ;;
    esac
}
complete -o filenames -o bashdefault -F _servin servin"#,
    );
    script
}

/// `text` within single quotes, where a colon or bracket would end a part of zsh's specification.
fn zsh_text(text: &str) -> String {
    let mut escaped = String::new();
    for character in text.chars() {
        match character {
            '\'' => escaped.push_str("'\\''"),
            ':' | '[' | ']' | '\\' => escaped.extend(['\\', character]),
            other => escaped.push(other),
        }
    }
    escaped
}

fn zsh_flags(script: &mut String, flags: &mut dyn Iterator<Item = &'static Flag>) {
    for flag in flags {
        let value = match flag.value {
            None => String::new(),
            Some(_) if takes_path(flag) => ":file:_files".into(),
            Some(value) => format!(":{}:", zsh_text(value)),
        };
        let help = zsh_text(flag.help);
        let names = match flag.short {
            Some(letter) => format!("'(-{letter} --{0})'{{-{letter},--{0}}}", flag.name),
            None => format!("--{}", flag.name),
        };
        // Every flag may be given again.
        let again = if flag.value.is_some() && flag.short.is_none() { "'*'" } else { "" };
        script.push_str(&format!(" \\\n        {again}{names}'[{help}]{value}'"));
    }
}

fn zsh() -> String {
    let mut script = String::from(
        "#compdef servin\n# zsh completion of servin: keep it as _servin in a directory of $fpath\n_servin_list() { local -a found; found=(${(f)\"$(eval $1 2>/dev/null)\"}); compadd -a found }\n_servin() {\n    local path= word i\n    for ((i = 2; i < CURRENT; i++)); do\n        word=$words[i]\n        case $word in\n        --home|--root) ((i++)); continue ;;\n        -*) continue ;;\n        esac\n        path=\"${path:+$path }$word\"\n",
    );
    script.push_str(&format!("        case $path in\n        {}) ;;\n        *) break ;;\n        esac\n    done\n    case $path in\n    '')\n", groups().join("|")));
    for (group, label) in core::iter::once(("", "")).chain(groups().into_iter().map(|group| (group, group))) {
        if !label.is_empty() {
            script.push_str(&format!("    {label})\n"));
        }
        script.push_str("        local -a known; known=(");
        for (word, about) in words(group) {
            script.push_str(&format!(" '{word}:{}'", zsh_text(about.trim_end_matches('.'))));
        }
        script.push_str(" )\n        _describe command known");
        if group.is_empty() {
            script.push_str("\n        _arguments");
            zsh_flags(&mut script, &mut GLOBALS.iter());
        }
        script.push_str(" ;;\n");
    }
    for (path, entry) in calls() {
        script.push_str(&format!("    '{path}')\n        _arguments"));
        zsh_flags(&mut script, &mut flags(entry));
        let words = match listing(entry.command.usage) {
            "" => "_files".into(),
            list => format!("{{_servin_list \"{list}\"}}"),
        };
        script.push_str(&format!(" \\\n        '*:word:{}' ;;\n", words.replace('\'', "'\\''")));
    }
    script.push_str("    esac\n}\n_servin \"$@\"");
    script
}

/// `text` within single quotes.
fn fish_text(text: &str) -> String {
    text.replace('\\', "\\\\").replace('\'', "\\'")
}

fn fish() -> String {
    let mut script = String::from(
        "# fish completion of servin: keep it as ~/.config/fish/completions/servin.fish\nfunction __servin_path\n    set -l path\n    set -l skip 0\n    for word in (commandline -opc)[2..]\n        if test $skip = 1\n            set skip 0\n            continue\n        end\n        switch $word\n            case --home --root\n                set skip 1\n            case '-*'\n            case '*'\n                set -a path $word\n",
    );
    script.push_str(&format!("                contains -- \"$path\" {}; or break\n        end\n    end\n    echo \"$path\"\nend\nfunction __servin_at\n    test (__servin_path) = \"$argv[1]\"\nend\ncomplete -c servin -f\n", groups().join(" ")));
    for group in core::iter::once("").chain(groups()) {
        for (word, about) in words(group) {
            let about = fish_text(about.trim_end_matches('.'));
            script.push_str(&format!(
                "complete -c servin -n '__servin_at \"{group}\"' -a {word} -d '{about}'\n"
            ));
        }
    }
    for (path, entry) in calls() {
        for flag in flags(entry) {
            let short = flag.short.map_or(String::new(), |letter| format!(" -s {letter}"));
            let value = match flag.value {
                None => "",
                Some(_) if takes_path(flag) => " -r -F",
                Some(_) => " -x",
            };
            script.push_str(&format!(
                "complete -c servin -n '__servin_at \"{path}\"'{short} -l {}{value} -d '{}'\n",
                flag.name,
                fish_text(flag.help)
            ));
        }
        match listing(entry.command.usage) {
            "" => script.push_str(&format!("complete -c servin -n '__servin_at \"{path}\"' -F\n")),
            list => script.push_str(&format!(
                "complete -c servin -n '__servin_at \"{path}\"' -a '({})'\n",
                fish_text(list)
            )),
        }
    }
    script
}
