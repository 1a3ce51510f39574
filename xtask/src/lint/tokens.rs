//! Rust's text with comments and literals blanked out, so that the rules see code alone.

/// The text with every comment and every string's or character's content replaced by spaces; lines stay lines.
pub fn code(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    // The character before decides whether `r` or `'` begins a literal.
    let mut before = ' ';
    while let Some(first) = rest.chars().next() {
        let length = literal(rest, before).unwrap_or(0);
        if length == 0 {
            out.push(first);
            before = first;
            rest = &rest[first.len_utf8()..];
            continue;
        }
        let (blanked, after) = rest.split_at(length);
        out.extend(blanked.chars().map(|c| if c == '\n' { '\n' } else { ' ' }));
        before = ' ';
        rest = after;
    }
    out
}

/// The length of the comment or literal that `rest` begins with.
fn literal(rest: &str, before: char) -> Option<usize> {
    let end = rest.len();
    if rest.starts_with("//") {
        return Some(rest.find('\n').unwrap_or(end));
    }
    if rest.starts_with("/*") {
        return Some(block_comment(rest));
    }
    if rest.starts_with('"') {
        return Some(quoted(rest, 1, b'"'));
    }
    let in_word = before.is_alphanumeric() || before == '_';
    if rest.starts_with('r') || rest.starts_with("br") || rest.starts_with("cr") {
        let hashes_at = rest.find('r')? + 1;
        let hashes = rest[hashes_at..].bytes().take_while(|byte| *byte == b'#').count();
        let quote = hashes_at + hashes;
        if !in_word && rest[quote..].starts_with('"') {
            let close = format!("\"{}", "#".repeat(hashes));
            let found = rest[quote + 1..].find(&close);
            return Some(found.map_or(end, |at| quote + 1 + at + close.len()));
        }
    }
    if let Some(inside) = rest.strip_prefix('\'') {
        let mut inside = inside.chars();
        let first = inside.next()?;
        // 'a' is a character, 'a a lifetime.
        if first == '\\' || inside.next() == Some('\'') {
            return Some(quoted(rest, 1, b'\''));
        }
    }
    None
}

/// Block comments nest.
fn block_comment(rest: &str) -> usize {
    let (mut depth, mut at) = (0, 0);
    let bytes = rest.as_bytes();
    while at < bytes.len() {
        match &bytes[at..] {
            [b'/', b'*', ..] => {
                depth += 1;
                at += 2;
            }
            [b'*', b'/', ..] => {
                depth -= 1;
                at += 2;
                if depth == 0 {
                    return at;
                }
            }
            _ => at += 1,
        }
    }
    rest.len()
}

/// The end of a literal with escapes, from behind its opening quote.
fn quoted(rest: &str, mut at: usize, close: u8) -> usize {
    let bytes = rest.as_bytes();
    while at < bytes.len() {
        match bytes[at] {
            b'\\' => at += 2,
            byte if byte == close => return at + 1,
            _ => at += 1,
        }
    }
    rest.len()
}

/// The words of a text: identifiers, keywords and numbers, each with its line.
pub fn words(code: &str) -> impl Iterator<Item = (usize, &str)> {
    let not_word = |c: char| !c.is_alphanumeric() && c != '_';
    code.lines().enumerate().flat_map(move |(index, line)| {
        line.split(not_word).filter(|w| !w.is_empty()).map(move |w| (index + 1, w))
    })
}

/// Code without its `#[cfg(test)]` modules, lines taken out whole.
pub fn without_tests(text: &str) -> String {
    let code = code(text);
    let mut kept = String::new();
    let mut depth: Option<i64> = None;
    let mut pending = false;
    for (line, original) in code.lines().zip(text.lines()) {
        let trimmed = line.trim();
        if depth.is_none() && trimmed == "#[cfg(test)]" {
            pending = true;
            continue;
        }
        if pending {
            // An attribute may stand between; a test-only item of one line ends at its semicolon.
            if line.contains('{') {
                pending = false;
                depth = Some(0);
            } else {
                pending = !trimmed.ends_with(';');
                continue;
            }
        }
        if let Some(open) = &mut depth {
            *open += line.matches('{').count() as i64 - line.matches('}').count() as i64;
            if *open <= 0 {
                depth = None;
            }
            continue;
        }
        kept += original;
        kept.push('\n');
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    fn word_list(text: &str) -> Vec<String> {
        words(&code(text)).map(|(_, word)| word.to_owned()).collect()
    }

    #[test]
    fn comments_and_literals_are_no_code() {
        assert_eq!(word_list("a // b\nc /* d /* e */ f */ g"), ["a", "c", "g"]);
        assert_eq!(
            word_list(r##"a("b \" c", r#"d " e"#, b"f", 'g', '\'', '\u{1F}', c"h") i"##),
            ["a", "b", "c", "i"]
        );
        assert_eq!(word_list("fn a<'b>(c: &'b str) { 'd' }"), ["fn", "a", "b", "c", "b", "str"]);
        assert_eq!(word_list("for\"x\" xr\"y\" z"), ["for", "xr", "z"]);
    }

    #[test]
    fn unfinished_literals_end_with_the_file() {
        for text in ["\"abc", "r#\"abc", "/* abc", "'\\", "\"\\", "// abc", "'", "r#", "b"] {
            assert_eq!(code(text).len(), text.len(), "{text}");
        }
    }

    #[test]
    fn lines_stay_lines_and_words_know_theirs() {
        let text = "a\n\"x\ny\"\nb";
        assert_eq!(words(&code(text)).collect::<Vec<_>>(), [(1, "a"), (4, "b")]);
    }

    #[test]
    fn test_modules_are_left_out() {
        let text = "fn a() {}\n#[cfg(test)]\nmod tests {\n fn t() { \"}\" }\n}\nfn b() {}\n#[cfg(test)]\nuse x;\nfn c() {}\n";
        assert_eq!(without_tests(text), "fn a() {}\nfn b() {}\nfn c() {}\n");
    }
}
