//! The text of a template, taken apart.

use alloc::boxed::Box;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use crate::gather::Gather as _;
use crate::spec::json::{Number, Value};

use super::{Base, Block, Kind, Node, Pipe, Term, refuse};
use crate::error::Result;

/// Nobody nests deeper; the stack is finite.
const DEEPEST: usize = 32;

/// Reads a whole template.
pub fn parse(text: &str) -> Result<Vec<Node>> {
    let mut reader = Reader { rest: text, trim: false, depth: 0 };
    let (nodes, end) = reader.nodes()?;
    match end {
        Stop::Text => Ok(nodes),
        Stop::End => refuse(format_args!("{{{{end}}}} without a beginning")),
        Stop::Else(_) => refuse(format_args!("{{{{else}}}} without a beginning")),
    }
}

struct Reader<'t> {
    rest: &'t str,
    /// The last action asked to drop the white space behind it.
    trim: bool,
    depth: usize,
}

/// How a row of nodes ended.
enum Stop<'t> {
    Text,
    End,
    /// With what stands behind `else`.
    Else(&'t str),
}

impl<'t> Reader<'t> {
    fn nodes(&mut self) -> Result<(Vec<Node>, Stop<'t>)> {
        let mut nodes = Vec::new();
        loop {
            let (text, action) = match self.rest.split_once("{{") {
                Some((text, rest)) => (text, Some(rest)),
                None => (self.rest, None),
            };
            let text = if self.trim { text.trim_start() } else { text };
            let Some(after) = action else {
                nodes.push(Node::Text(text.to_string()));
                return Ok((nodes, Stop::Text));
            };
            let Some(length) = length(after) else {
                return refuse(format_args!("}}}} is missing after {{{{{after}"));
            };
            let mut action = &after[..length];
            self.rest = &after[length + 2..];
            let text = if action.starts_with("- ") { text.trim_end() } else { text };
            nodes.push(Node::Text(text.to_string()));
            action = action.strip_prefix("- ").unwrap_or(action);
            self.trim = action.ends_with(" -");
            action = action.strip_suffix(" -").unwrap_or(action).trim();
            let (word, rest) = action.split_once(char::is_whitespace).unwrap_or((action, ""));
            match word {
                "end" => return Ok((nodes, Stop::End)),
                "else" => return Ok((nodes, Stop::Else(rest.trim()))),
                "if" | "with" | "range" => nodes.push(Node::Block(Box::new(self.block(word, rest)?))),
                _ if action.starts_with("/*") && action.ends_with("*/") => {}
                _ => nodes.push(Node::Show(pipe(action)?)),
            }
        }
    }

    fn block(&mut self, word: &str, rest: &str) -> Result<Block> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return refuse(format_args!("it is nested too deep"));
        }
        let kind = match word {
            "if" => Kind::If,
            "with" => Kind::With,
            _ => Kind::Range,
        };
        let (names, rest) = match rest.split_once(":=") {
            Some((names, rest)) if kind == Kind::Range => {
                (names.split(',').map(|name| name.trim().trim_start_matches('$').into()).gather(), rest)
            }
            _ => (Vec::new(), rest),
        };
        let pipe = pipe(rest)?;
        let (body, end) = self.nodes()?;
        let otherwise = match end {
            Stop::Text => return refuse(format_args!("{{{{end}}}} is missing")),
            Stop::End => Vec::new(),
            Stop::Else("") => match self.nodes()? {
                (nodes, Stop::End) => nodes,
                _ => return refuse(format_args!("{{{{end}}}} is missing")),
            },
            // `else if`: the one end is for both.
            Stop::Else(action) => {
                let (word, rest) = action.split_once(char::is_whitespace).unwrap_or((action, ""));
                if !matches!(word, "if" | "with") {
                    return refuse(format_args!("{action} has no meaning behind else"));
                }
                Vec::from([Node::Block(Box::new(self.block(word, rest)?))])
            }
        };
        self.depth -= 1;
        Ok(Block { kind, names, pipe, body, otherwise })
    }
}

/// Up to the end of an action, which does not stand within a string.
fn length(text: &str) -> Option<usize> {
    let mut quote = None;
    let mut escaped = false;
    for (index, character) in text.char_indices() {
        match quote {
            None if text[index..].starts_with("}}") => return Some(index),
            None if matches!(character, '"' | '`') => quote = Some(character),
            Some(own) if character == own && !escaped => quote = None,
            _ => {}
        }
        escaped = quote == Some('"') && character == '\\' && !escaped;
    }
    None
}

fn pipe(text: &str) -> Result<Pipe> {
    let mut rest = text;
    let pipe = commands(&mut rest, 0)?;
    match rest.chars().next() {
        None => Ok(pipe),
        Some(character) => refuse(format_args!("{character} has no meaning there")),
    }
}

/// Commands up to a closing bracket or what is no part of one.
fn commands(rest: &mut &str, depth: usize) -> Result<Pipe> {
    if depth > DEEPEST {
        return refuse(format_args!("it is nested too deep"));
    }
    let mut pipe = Vec::from([Vec::new()]);
    loop {
        *rest = rest.trim_start();
        match rest.chars().next() {
            Some('|') => {
                *rest = &rest[1..];
                pipe.push(Vec::new());
            }
            Some(character) if starts_term(character) => {
                let term = term(rest, depth)?;
                if let Some(command) = pipe.last_mut() {
                    command.push(term);
                }
            }
            _ => break,
        }
    }
    match pipe.iter().any(Vec::is_empty) && !rest.starts_with(|c: char| c != ')') {
        true => refuse(format_args!("there is nothing in {{{{}}}}")),
        false => Ok(pipe),
    }
}

fn starts_term(character: char) -> bool {
    matches!(character, '.' | '$' | '"' | '`' | '(' | '-' | '_') || character.is_ascii_alphanumeric()
}

fn term(rest: &mut &str, depth: usize) -> Result<Term> {
    let base = match rest.chars().next() {
        Some('.') => Base::Dot,
        Some('(') => {
            *rest = &rest[1..];
            let nested = commands(rest, depth + 1)?;
            let Some(after) = rest.strip_prefix(')') else {
                return refuse(format_args!(") is missing"));
            };
            *rest = after;
            Base::Nested(nested)
        }
        Some('$') => {
            *rest = &rest[1..];
            Base::Variable(word(rest).into())
        }
        Some('"' | '`') => Base::Constant(Value::String(quoted(rest)?)),
        _ => match word(rest) {
            "true" => Base::Constant(Value::Bool(true)),
            "false" => Base::Constant(Value::Bool(false)),
            "nil" => Base::Constant(Value::Null),
            text => match (text.parse(), text.parse()) {
                (Ok(number), _) => Base::Constant(Value::Number(Number::U64(number))),
                (_, Ok(number)) => Base::Constant(Value::Number(Number::I64(number))),
                _ => Base::Function(text.into()),
            },
        },
    };
    let mut fields = Vec::new();
    while let Some(after) = rest.strip_prefix('.') {
        *rest = after;
        let name = word(rest);
        if !name.is_empty() {
            fields.push(String::from(name));
        }
    }
    Ok(Term { base, fields })
}

/// Takes letters and digits off the beginning.
fn word<'t>(rest: &mut &'t str) -> &'t str {
    let sign = usize::from(rest.starts_with('-'));
    let end = rest[sign..]
        .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .map_or(rest.len(), |end| sign + end);
    let (word, after) = rest.split_at(end);
    *rest = after;
    word
}

/// Takes a string off the beginning; of escapes it knows those of quotes, tabs and lines.
fn quoted(rest: &mut &str) -> Result<String> {
    let mut characters = rest.char_indices();
    let quote = characters.next().map_or('"', |(_, quote)| quote);
    let mut text = String::new();
    while let Some((index, character)) = characters.next() {
        match character {
            _ if character == quote => {
                *rest = &rest[index + 1..];
                return Ok(text);
            }
            '\\' if quote == '"' => text.push(match characters.next() {
                Some((_, 't')) => '\t',
                Some((_, 'n')) => '\n',
                Some((_, other)) => other,
                None => break,
            }),
            _ => text.push(character),
        }
    }
    refuse(format_args!("a quote is missing"))
}
