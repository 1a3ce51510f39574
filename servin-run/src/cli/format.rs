//! What the commands that list and inspect have in common: tables, JSON, templates, filters. Rows and documents are
//! JSON values with Docker's names, so that one renderer serves all of them.

pub mod template;
pub mod units;

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use crate::gather::Gather as _;
use crate::spec::json::{self, Object, Value};

use super::arguments::{Flag, Given, Group, flag};
use super::output;
use crate::container::people::short;
use crate::error::{Error, Result};
use crate::spec::json::{Encode, to_json, to_json_pretty_list};
use template::Template;

const FORMAT: Flag = flag("format", None, Some("FORMAT"), "json, table or a template such as '{{.ID}}'");

/// The flags of a command that lists.
pub const LIST: Group = Group(
    "Output",
    &[
        FORMAT,
        flag("filter", Some('f'), Some("KEY=VALUE"), "list only what matches"),
        flag("quiet", Some('q'), None, "print ids or names alone"),
        flag("no-trunc", None, None, "shorten nothing"),
    ],
);

/// The flags of a command that inspects; its `-f` is the format, as Docker's.
pub const INSPECT: Group = Group(
    "Output",
    &[flag("format", Some('f'), Some("FORMAT"), "json or a template such as '{{.State.Status}}'")],
);

/// The one flag of a command with a single result.
pub const SINGLE: Group = Group("Output", &[FORMAT]);

/// A column of a table: its heading, and the field that it shows.
#[derive(Clone, Copy)]
pub struct Column(pub &'static str, pub &'static str);

/// A row for [`list`]: fields by their names, which cost the least where they come in order.
pub fn row(fields: &[(&str, &str)]) -> Value {
    let fields = fields.iter().map(|(name, value)| (name.to_string(), Value::String(value.to_string())));
    Value::Object(fields.collect::<Object>())
}

/// A document as a value, to fill a template from.
pub fn value(document: &dyn Encode) -> Value {
    json::from_str(&to_json(document)).unwrap_or_default()
}

/// Prints rows as the flags of [`LIST`] ask; `key` is the field of `--quiet`.
pub fn list(given: &Given, columns: &[Column], key: &str, rows: &[Value]) -> Result<i32> {
    let lines = lines(given, columns, key, rows)?;
    print(&lines)
}

/// The lines that [`list`] prints.
pub fn lines(given: &Given, columns: &[Column], key: &str, rows: &[Value]) -> Result<Vec<String>> {
    let asked = given.value("format");
    if given.switch("quiet", false) && asked.is_none() {
        return fill(rows, &Template::parse(&format!("{{{{.{key}}}}}"), true)?);
    }
    match asked {
        Some("json") => Ok(rows.iter().map(|row| to_json(row)).gather()),
        None | Some("table") => {
            let mut lines = Vec::from([columns.iter().map(|column| column.0).gather()]);
            lines.extend(rows.iter().map(|row| columns.iter().map(|column| text(row, column.1)).gather()));
            Ok(aligned(&lines))
        }
        Some(text) => match text.strip_prefix("table ") {
            Some(template) => table(rows, columns, template),
            None => fill(rows, &Template::parse(text, true)?),
        },
    }
}

/// Prints documents as the flag of [`INSPECT`] asks: a list of them, or a template filled by each.
pub fn inspect(given: &Given, documents: &[&dyn Encode]) -> Result<i32> {
    match given.value("format") {
        None => output::result(to_json_pretty_list(documents))?,
        Some("json") => documents.iter().try_for_each(|document| output::result(to_json(*document)))?,
        Some(text) => {
            let documents: Vec<Value> = documents.iter().map(|document| value(*document)).gather();
            return print(&fill(&documents, &Template::parse(text, false)?)?);
        }
    }
    Ok(0)
}

fn print(lines: &[String]) -> Result<i32> {
    if !lines.is_empty() {
        output::result(lines.join("\n"))?;
    }
    Ok(0)
}

/// One line a value.
fn fill(values: &[Value], template: &Template) -> Result<Vec<String>> {
    values.iter().map(|value| template.fill(value)).gather()
}

/// The template's fields as columns with headings; tabs in it end the columns.
fn table(rows: &[Value], columns: &[Column], text: &str) -> Result<Vec<String>> {
    let template = Template::parse(text, true)?;
    let heading = |field: &str| {
        let known = columns.iter().find(|column| column.1 == field);
        known.map_or_else(|| field.to_ascii_uppercase(), |column| column.0.into())
    };
    let mut lines = Vec::from([template.headings(&heading)]);
    for row in rows {
        lines.push(template.fill(row)?);
    }
    let rows: Vec<Vec<&str>> = lines.iter().map(|line| line.split('\t').gather()).gather();
    Ok(aligned(&rows))
}

/// A field of a row.
fn text<'v>(row: &'v Value, field: &str) -> &'v str {
    match row {
        Value::Object(fields) => match fields.get(field) {
            Some(Value::String(text)) => text,
            _ => "",
        },
        _ => "",
    }
}

fn aligned(rows: &[Vec<&str>]) -> Vec<String> {
    align(rows).split('\n').map(String::from).gather()
}

/// Columns as wide as their widest cell, three spaces between them.
pub fn align(rows: &[Vec<&str>]) -> String {
    let mut widths: Vec<usize> = Vec::new();
    for row in rows {
        for (column, cell) in row.iter().enumerate() {
            let width = cell.chars().count();
            match widths.get_mut(column) {
                Some(widest) => *widest = width.max(*widest),
                None => widths.push(width),
            }
        }
    }
    let mut text = String::new();
    for row in rows {
        for (cell, width) in row.iter().zip(&widths) {
            text.push_str(cell);
            text.extend(core::iter::repeat_n(' ', width + 3 - cell.chars().count()));
        }
        text.truncate(text.trim_end_matches(' ').len());
        text.push('\n');
    }
    text.truncate(text.trim_end().len());
    text
}

/// The first twelve digits of an id, or all of them with `--no-trunc`.
pub fn id<'a>(given: &Given, id: &'a str) -> &'a str {
    let digits = id.strip_prefix("sha256:").unwrap_or(id);
    match given.switch("no-trunc", false) {
        true => id,
        false => short(digits),
    }
}

/// `text`, cut to `most` characters where it is longer, or all of it with `--no-trunc`.
pub fn shorten(given: &Given, text: &str, most: usize) -> String {
    match given.switch("no-trunc", false) || text.chars().count() <= most {
        true => text.into(),
        false => text.chars().take(most - 1).chain(['…']).collect(),
    }
}

/// What `--filter` asks for.
pub struct Filters<'a>(Vec<(&'a str, &'a str)>);

impl<'a> Filters<'a> {
    /// Reads the flag; `known` are the keys that this command has.
    pub fn read(given: &Given<'a>, known: &[&str]) -> Result<Filters<'a>> {
        let mut filters = Vec::new();
        for text in given.values("filter") {
            let Some((key, value)) = text.split_once('=') else {
                return Err(Error::new(format_args!("--filter {text}: it takes KEY=VALUE")));
            };
            if !known.contains(&key) {
                return Err(Error::new(format_args!(
                    "--filter {text}: there is no {key}, there are {}",
                    known.join(", ")
                )));
            }
            filters.push((key, value));
        }
        Ok(Filters(filters))
    }

    /// What was asked for by a key.
    pub fn values(&self, key: &str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(own, _)| *own == key).map(|(_, value)| *value)
    }

    /// Whether one of the values of `key` matches, or none was given.
    pub fn admit(&self, key: &str, matches: &dyn Fn(&str) -> bool) -> bool {
        self.values(key).next().is_none() || self.values(key).any(matches)
    }

    /// Whether all asked-for labels are there: `label=KEY` or `label=KEY=VALUE`; and none that `label!=` excludes.
    pub fn admit_labels(&self, labels: &[(String, String)]) -> bool {
        let there = |wanted: &str| {
            let (key, value) =
                wanted.split_once('=').map_or((wanted, None), |(key, value)| (key, Some(value)));
            labels.iter().any(|(own, label)| own == key && value.is_none_or(|value| value == label))
        };
        self.values("label").all(there) && !self.values("label!").any(there)
    }

    /// The value of a key that says yes or no, such as `dangling=true`.
    pub fn boolean(&self, key: &str) -> Result<Option<bool>> {
        match self.values(key).last() {
            None => Ok(None),
            Some("true" | "1") => Ok(Some(true)),
            Some("false" | "0") => Ok(Some(false)),
            Some(word) => Err(Error::new(format_args!("--filter {key}={word}: neither true nor false"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::arguments::Command;

    const COMMAND: Command =
        Command { name: "servin test", usage: "", about: "", groups: &[LIST], last_word: usize::MAX };

    fn given<'a>(arguments: &[&'a str]) -> Given<'a> {
        COMMAND.parse(arguments).expect("parsed")
    }

    #[test]
    fn columns_are_aligned_and_lines_have_no_spaces_at_their_end() {
        let rows = [["A", "LONG HEADING", "C"].to_vec(), ["wide cell", "é", ""].to_vec()];
        assert_eq!(align(&rows), "A           LONG HEADING   C\nwide cell   é");
    }

    #[test]
    fn filters_admit_what_matches() {
        let given = given(&["-f", "name=a", "-f", "name=b", "-f", "label=x", "-f", "label=y=1"]);
        let filters = Filters::read(&given, &["name", "label"]).expect("filters");
        assert!(filters.admit("name", &|name| "b" == name) && !filters.admit("name", &|name| "c" == name));
        assert!(filters.admit("id", &|_| false));
        let labels = |value: &str| [("x".to_string(), String::new()), ("y".to_string(), value.to_string())];
        assert!(filters.admit_labels(&labels("1")) && !filters.admit_labels(&labels("2")));
        let refused = Filters::read(&given, &["id"]).err().expect("refused").to_string();
        assert_eq!(refused, "--filter name=a: there is no name, there are id");
    }

    #[test]
    fn ids_are_shortened_unless_they_must_not_be() {
        let long = "sha256:0123456789abcdef";
        assert_eq!(id(&given(&[]), long), "0123456789ab");
        assert_eq!(id(&given(&["--no-trunc"]), long), long);
        assert_eq!(shorten(&given(&[]), "abcdef", 4), "abc…");
    }
}
