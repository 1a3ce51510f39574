//! Templates as Go's text/template has them, as far as people use them in `--format`: fields, `range`, `if`, `with`,
//! variables of a range, pipes, and the functions below. <https://pkg.go.dev/text/template>

use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use crate::gather::Gather as _;
use crate::spec::json::{Number, Value};

use super::super::size;
use crate::error::{Error, Result};
use crate::spec::json::to_json;

mod syntax;

/// A template that was understood.
pub struct Template {
    nodes: Vec<Node>,
    /// A field that a row does not have is an error; in a document it may just be absent.
    strict: bool,
}

enum Node {
    Text(String),
    Show(Pipe),
    Block(Box<Block>),
}

struct Block {
    kind: Kind,
    /// What a range calls its key and its value.
    names: Vec<String>,
    pipe: Pipe,
    body: Vec<Node>,
    otherwise: Vec<Node>,
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    If,
    With,
    Range,
}

/// Commands, each of which gets the result of the one before it as its last argument.
type Pipe = Vec<Vec<Term>>;

/// A value and the fields taken from it.
struct Term {
    base: Base,
    fields: Vec<String>,
}

enum Base {
    Dot,
    Variable(String),
    Constant(Value),
    Function(String),
    Nested(Pipe),
}

/// What names mean at one place.
#[derive(Clone)]
struct Scope<'v> {
    dot: Cow<'v, Value>,
    /// `$` is the first, without a name.
    variables: Vec<(String, Cow<'v, Value>)>,
}

fn refuse<T>(why: core::fmt::Arguments<'_>) -> Result<T> {
    Err(Error::new(format_args!("--format: {why}")))
}

impl Template {
    /// Reads a template, in which `\t` and `\n` may be spelt out. Where it is strict an unknown field is an error.
    pub fn parse(text: &str, strict: bool) -> Result<Template> {
        let text = text.replace("\\t", "\t").replace("\\n", "\n");
        Ok(Template { nodes: syntax::parse(&text)?, strict })
    }

    /// The template filled from one value.
    pub fn fill(&self, value: &Value) -> Result<String> {
        let mut out = String::new();
        let dot = Cow::Borrowed(value);
        let scope = Scope { dot: dot.clone(), variables: Vec::from([(String::new(), dot)]) };
        self.run(&self.nodes, &scope, &mut out)?;
        Ok(out)
    }

    /// The template with the headings of its fields in their places.
    pub fn headings(&self, heading: &dyn Fn(&str) -> String) -> String {
        let mut out = String::new();
        for node in &self.nodes {
            match node {
                Node::Text(text) => out.push_str(text),
                Node::Show(pipe) => {
                    let field = pipe.iter().flatten().find_map(|term| term.fields.last());
                    out.push_str(&field.map_or_else(String::new, |field| heading(field)));
                }
                Node::Block(_) => {}
            }
        }
        out
    }

    fn run<'v>(&self, nodes: &[Node], scope: &Scope<'v>, out: &mut String) -> Result<()> {
        for node in nodes {
            match node {
                Node::Text(text) => out.push_str(text),
                Node::Show(pipe) => out.push_str(&shown(&*self.pipe(pipe, scope)?)),
                Node::Block(block) => self.block(block, scope, out)?,
            }
        }
        Ok(())
    }

    fn block<'v>(&self, block: &Block, scope: &Scope<'v>, out: &mut String) -> Result<()> {
        let value = self.pipe(&block.pipe, scope)?;
        if !is_true(&value) {
            return self.run(&block.otherwise, scope, out);
        }
        match block.kind {
            Kind::If => self.run(&block.body, scope, out),
            Kind::With => self.run(&block.body, &Scope { dot: value, ..scope.clone() }, out),
            Kind::Range => {
                for (key, item) in items(value)? {
                    let mut scope = Scope { dot: item.clone(), ..scope.clone() };
                    match block.names.as_slice() {
                        [own] => scope.variables.push((own.clone(), item)),
                        [first, second] => {
                            scope.variables.push((first.clone(), Cow::Owned(key)));
                            scope.variables.push((second.clone(), item));
                        }
                        _ => {}
                    }
                    self.run(&block.body, &scope, out)?;
                }
                Ok(())
            }
        }
    }

    fn pipe<'v>(&self, pipe: &Pipe, scope: &Scope<'v>) -> Result<Cow<'v, Value>> {
        let mut before = None;
        for command in pipe {
            let (first, rest) = match command.split_first() {
                Some((Term { base: Base::Function(name), .. }, rest)) => (Some(name), rest),
                _ => (None, command.as_slice()),
            };
            let mut values = Vec::new();
            for term in rest {
                // `.Label "key"` looks a label up.
                let label = first.is_none() && values.is_empty() && rest.len() > 1;
                let fields = match term.fields.split_last() {
                    Some((last, fields)) if label && last == "Label" => fields,
                    _ if label => return refuse(format_args!("only functions take arguments")),
                    _ => &term.fields,
                };
                values.push(self.term(term, fields, scope)?);
            }
            values.extend(before.take());
            before = Some(match (first, values.as_slice()) {
                (Some(name), _) => call(name, &values)?,
                (None, [value, Cow::Borrowed(Value::String(key)) | Cow::Owned(Value::String(key))]) => {
                    Cow::Owned(Value::String(label(value, key)))
                }
                (None, [value]) => value.clone(),
                _ => return refuse(format_args!("a pipe leads to a function")),
            });
        }
        Ok(before.unwrap_or(Cow::Owned(Value::Null)))
    }

    fn term<'v>(&self, term: &Term, fields: &[String], scope: &Scope<'v>) -> Result<Cow<'v, Value>> {
        let mut value = match &term.base {
            Base::Dot => scope.dot.clone(),
            Base::Constant(value) => Cow::Owned(value.clone()),
            Base::Nested(pipe) => self.pipe(pipe, scope)?,
            Base::Variable(name) => match scope.variables.iter().rev().find(|(own, _)| own == name) {
                Some((_, value)) => value.clone(),
                None => return refuse(format_args!("there is no variable ${name}")),
            },
            Base::Function(name) => return call(name, &[]),
        };
        for field in fields {
            value = self.field(value, field)?;
        }
        Ok(value)
    }

    fn field<'v>(&self, value: Cow<'v, Value>, name: &str) -> Result<Cow<'v, Value>> {
        if let (true, Value::Object(object)) = (self.strict, &*value)
            && !object.contains_key(name)
        {
            let names: Vec<&str> = object.keys().gather();
            return refuse(format_args!("there is no field {name}, there are {}", names.join(", ")));
        }
        match &*value {
            Value::Object(_) | Value::Null => Ok(member(value, name)),
            other => refuse(format_args!("{} has no field {name}", shown(other))),
        }
    }
}

/// The member of an object, or nothing.
fn member<'v>(value: Cow<'v, Value>, name: &str) -> Cow<'v, Value> {
    match value {
        Cow::Borrowed(Value::Object(object)) => {
            object.get(name).map_or(Cow::Owned(Value::Null), Cow::Borrowed)
        }
        Cow::Owned(Value::Object(object)) => Cow::Owned(object.get(name).cloned().unwrap_or_default()),
        _ => Cow::Owned(Value::Null),
    }
}

/// What a range goes through: keys and values.
fn items(value: Cow<'_, Value>) -> Result<Vec<(Value, Cow<'_, Value>)>> {
    let number = |index: usize| Value::Number(Number::U64(index as u64));
    let owned = |(key, value): (Value, &Value)| (key, Cow::Owned(value.clone()));
    Ok(match &value {
        Cow::Borrowed(Value::Array(list)) => {
            list.iter().enumerate().map(|(index, item)| (number(index), Cow::Borrowed(item))).gather()
        }
        Cow::Owned(Value::Array(list)) => {
            list.iter().enumerate().map(|(index, item)| owned((number(index), item))).gather()
        }
        Cow::Borrowed(Value::Object(object)) => {
            object.iter().map(|(key, item)| (Value::String(key.into()), Cow::Borrowed(item))).gather()
        }
        Cow::Owned(Value::Object(object)) => {
            object.iter().map(|(key, item)| owned((Value::String(key.into()), item))).gather()
        }
        other => return refuse(format_args!("{} is nothing to range over", shown(other))),
    })
}

/// The functions.
fn call<'v>(name: &str, values: &[Cow<'v, Value>]) -> Result<Cow<'v, Value>> {
    let text = |text: String| Ok(Cow::Owned(Value::String(text)));
    let boolean = |value: bool| Ok(Cow::Owned(Value::Bool(value)));
    match (name, values) {
        ("json", [value]) => text(to_json(&**value)),
        ("len", [value]) => {
            let length = match &**value {
                Value::Array(list) => list.len(),
                Value::Object(object) => object.len(),
                Value::String(text) => text.len(),
                _ => 0,
            };
            Ok(Cow::Owned(Value::Number(Number::U64(length as u64))))
        }
        ("index", [value, keys @ ..]) => {
            let mut value = value.clone();
            for key in keys {
                value = match (&*value, &**key) {
                    (Value::Array(list), Value::Number(Number::U64(index))) => {
                        Cow::Owned(list.get(*index as usize).cloned().unwrap_or_default())
                    }
                    (Value::Object(_) | Value::Null, Value::String(key)) => member(value.clone(), key),
                    _ => return refuse(format_args!("index: {} is no key of {}", shown(key), shown(&value))),
                };
            }
            Ok(value)
        }
        ("join", [list, separator]) => {
            let parts: Vec<String> = items(list.clone())?.iter().map(|(_, item)| shown(item)).gather();
            text(parts.join(&shown(separator)))
        }
        ("upper", [value]) => text(shown(value).to_ascii_uppercase()),
        ("lower", [value]) => text(shown(value).to_ascii_lowercase()),
        ("print" | "println", values) => {
            let parts: Vec<String> = values.iter().map(|value| shown(value)).gather();
            text(parts.join(" ") + if name == "println" { "\n" } else { "" })
        }
        ("eq", [value, others @ ..]) => boolean(others.iter().any(|other| shown(other) == shown(value))),
        ("ne", [value, other]) => boolean(shown(value) != shown(other)),
        ("not", [value]) => boolean(!is_true(value)),
        ("size", [value]) => text(super::units::size(size::parse("format", &shown(value))?.unsigned_abs())),
        ("and", [.., last]) => Ok(values.iter().find(|value| !is_true(value)).unwrap_or(last).clone()),
        ("or", [.., last]) => Ok(values.iter().find(|value| is_true(value)).unwrap_or(last).clone()),
        (
            "json" | "len" | "index" | "join" | "upper" | "lower" | "eq" | "ne" | "not" | "size" | "and"
            | "or",
            _,
        ) => refuse(format_args!("{name} does not take {} arguments", values.len())),
        _ => refuse(format_args!("there is no function {name}")),
    }
}

/// A label of a document (a map), or of a row (`KEY=VALUE,…`).
fn label(value: &Value, key: &str) -> String {
    let Value::Object(object) = value else { return String::new() };
    match object.get("Labels") {
        Some(Value::Object(labels)) => labels.get(key).map_or(String::new(), shown),
        Some(Value::String(labels)) => {
            let own = |pair: &str| Some(pair.strip_prefix(key)?.strip_prefix('=')?.to_string());
            labels.split(',').find_map(own).unwrap_or_default()
        }
        _ => String::new(),
    }
}

fn is_true(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) | Value::Number(Number::U64(0)) => false,
        Value::String(text) => !text.is_empty(),
        Value::Array(list) => !list.is_empty(),
        Value::Object(object) => !object.is_empty(),
        _ => true,
    }
}

/// As Go prints it.
fn shown(value: &Value) -> String {
    match value {
        Value::Null => "<no value>".into(),
        Value::String(text) => text.clone(),
        Value::Array(list) => {
            let parts: Vec<String> = list.iter().map(shown).gather();
            format!("[{}]", parts.join(" "))
        }
        Value::Object(object) => {
            let parts: Vec<String> =
                object.iter().map(|(key, value)| format!("{key}:{}", shown(value))).gather();
            format!("map[{}]", parts.join(" "))
        }
        scalar => to_json(scalar),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOCUMENT: &str = r#"{"Id":"abc","State":{"Status":"running","Pid":12,"OK":true},"Names":["a","b"],
        "Labels":{"k":"v","x.y":"z"},"Ports":{"80/tcp":[{"HostIp":"","HostPort":"8080"}]},"Empty":[],"Rate":null}"#;

    fn fill(template: &str) -> String {
        let value = crate::spec::json::from_str(DOCUMENT).expect("JSON");
        let filled = Template::parse(template, false).and_then(|template| template.fill(&value));
        filled.unwrap_or_else(|error| error.to_string())
    }

    #[test]
    fn templates_are_filled_as_go_does() {
        for (template, expected) in [
            ("plain", "plain"),
            ("{{.Id}}", "abc"),
            ("{{ .State.Status }}: {{.State.Pid}}\\t{{.State.OK}}", "running: 12\ttrue"),
            ("{{.Names}} {{.Labels}}", "[a b] map[k:v x.y:z]"),
            ("{{json .Names}}", r#"["a","b"]"#),
            ("{{.State | json}}", r#"{"OK":true,"Pid":12,"Status":"running"}"#),
            ("{{index .Labels \"x.y\"}} {{index .Names 1}}", "z b"),
            ("{{(index (index .Ports `80/tcp`) 0).HostPort}}", "8080"),
            ("{{range .Names}}<{{.}}>{{end}}", "<a><b>"),
            ("{{range $i, $n := .Names}}{{$i}}={{$n}};{{end}}", "0=a;1=b;"),
            (
                "{{range $p, $c := .Ports}}{{$p}}->{{(index $c 0).HostPort}} {{$.Id}}{{end}}",
                "80/tcp->8080 abc",
            ),
            ("{{range .Empty}}x{{else}}none{{end}}", "none"),
            ("{{if .Empty}}x{{else if .State.OK}}y{{else}}z{{end}}", "y"),
            ("{{if eq .State.Status \"running\" | not}}x{{end}}-", "-"),
            ("{{with .State}}{{.Pid}}{{end}}", "12"),
            ("{{join .Names \", \"}} {{len .Names}} {{upper .Id}}", "a, b 2 ABC"),
            ("a {{- .Id -}} b", "aabcb"),
            ("{{.Label \"k\"}}", "v"),
            ("{{.Nothing}}{{/* a comment */}}", "<no value>"),
            ("{{and .Id .State.Pid}} {{or .Empty \"no\"}}", "12 no"),
            ("{{println .Id}}", "abc\n"),
            ("{{\"a}}b\"}}", "a}}b"),
        ] {
            assert_eq!(fill(template), expected, "{template}");
        }
    }

    #[test]
    fn what_is_no_template_is_refused_in_words() {
        for (template, expected) in [
            ("{{.Id", "--format: }} is missing after {{.Id"),
            ("{{fly .Id}}", "--format: there is no function fly"),
            ("{{if .Id}}", "--format: {{end}} is missing"),
            ("{{end}}", "--format: {{end}} without a beginning"),
            ("{{.Id.X}}", "--format: abc has no field X"),
            ("{{len}}", "--format: len does not take 0 arguments"),
            ("{{$x}}", "--format: there is no variable $x"),
            ("{{\"x}}", "--format: }} is missing after {{\"x}}"),
            ("{{.Id !}}", "--format: ! has no meaning there"),
            ("{{(.Id}}", "--format: ) is missing"),
            ("{{.Id \"x\"}}", "--format: only functions take arguments"),
            ("{{}}", "--format: there is nothing in {{}}"),
        ] {
            assert_eq!(fill(template), expected, "{template}");
        }
        let deep = "(".repeat(100_000);
        assert!(fill(&["{{", &deep].concat()).starts_with("--format: "));
        assert!(fill(&["{{", &deep, "}}"].concat()).contains("too deep"));
        assert!(fill(&"{{if .Id}}".repeat(100_000)).contains("too deep"));
    }

    #[test]
    fn a_row_has_the_fields_that_it_has() {
        let template = Template::parse("{{.Nmae}}", true).expect("a template");
        let error = template.fill(&super::super::row(&[("ID", "1"), ("Name", "n")])).expect_err("refused");
        assert_eq!(error.to_string(), "--format: there is no field Nmae, there are ID, Name");
    }
}
