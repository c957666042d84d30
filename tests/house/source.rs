//! A source file as its words, without comments, literals and tests: enough to see what it names.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// One file of `src/`.
pub struct Source {
    /// Its path from the root of the repository.
    pub file: String,
    /// The module path, as in `["lake", "log"]`.
    path: Vec<String>,
    tokens: Vec<Token>,
}

/// A module of the crate that is named.
#[derive(Debug, PartialEq, Eq)]
pub struct Use {
    pub line: usize,
    pub module: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Token {
    line: usize,
    text: String,
}

/// All Rust files below a folder.
pub fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(self::files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files.sort();
    files
}

impl Source {
    /// Reads a file; `None` if it is part of a module `tests`.
    pub fn read(root: &Path, file: &Path) -> Option<Self> {
        let name = file.strip_prefix(root).unwrap().to_str().unwrap();
        let source = Self::of(name, &fs::read_to_string(file).unwrap());
        (!source.path.iter().any(|part| part == "tests")).then_some(source)
    }

    /// Of a text, as if it stood in `file`.
    pub fn of(file: &str, text: &str) -> Self {
        let name = file.strip_prefix("src/").and_then(|name| name.strip_suffix(".rs")).unwrap();
        let mut path: Vec<String> = name.split('/').map(str::to_owned).collect();
        if path.last().is_some_and(|last| last == "mod") {
            path.pop();
        }
        Self { file: file.to_owned(), path, tokens: without_tests(tokens(text)) }
    }

    /// The top-level module that the file belongs to.
    pub fn module(&self) -> &str {
        &self.path[0]
    }

    /// Every path of the crate that the file names, by its top-level module.
    pub fn imports(&self) -> Vec<Use> {
        let mut uses = Vec::new();
        for at in 0..self.tokens.len() {
            if self.is_path_root(at) {
                self.crate_path(at, &mut uses);
            }
        }
        uses
    }

    /// Lines on which a path begins with this crate.
    pub fn crates<'s>(&'s self, name: &'s str) -> impl Iterator<Item = usize> + 's {
        let begins = move |at: &usize| {
            let before = |count: usize| self.text(at.wrapping_sub(count));
            // `::name` names it whatever else is called so.
            let is_global = before(1) == "::" && (before(2) == "use" || !self.is_word(at.wrapping_sub(2)));
            let is_path = self.text(at + 1) == "::" || matches!(before(1), "use" | "crate");
            self.text(*at) == name && (is_global || self.is_path_root(*at) && is_path)
        };
        (0..self.tokens.len()).filter(begins).map(|at| self.tokens[at].line)
    }

    /// Lines that have this word, unless it is a macro's name.
    pub fn words<'s>(&'s self, word: &'s str) -> impl Iterator<Item = usize> + 's {
        let is_named = move |at: &usize| self.text(*at) == word && self.text(at + 1) != "!";
        (0..self.tokens.len()).filter(is_named).map(|at| self.tokens[at].line)
    }

    /// Lines that name this function of this type.
    pub fn calls<'s>(&'s self, kind: &'s str, function: &'s str) -> impl Iterator<Item = usize> + 's {
        let is_named =
            move |at: &usize| (self.text(*at), self.text(at + 1), self.text(at + 2)) == (kind, "::", function);
        (0..self.tokens.len()).filter(is_named).map(|at| self.tokens[at].line)
    }

    fn text(&self, at: usize) -> &str {
        self.tokens.get(at).map_or("", |token| &token.text)
    }

    fn is_word(&self, at: usize) -> bool {
        self.text(at).starts_with(|first: char| first.is_alphabetic() || first == '_')
    }

    fn is_path_root(&self, at: usize) -> bool {
        self.is_word(at) && !matches!(self.text(at.wrapping_sub(1)), "::" | ".")
    }

    /// If a path from the crate's root begins here, the modules that it leads to.
    fn crate_path(&self, mut at: usize, uses: &mut Vec<Use>) {
        let mut base = self.path.clone();
        match self.text(at) {
            "crate" => base.clear(),
            // The binary sees the library from outside.
            "lumetrade_export" if self.module() == "main" => base.clear(),
            "super" => {
                base.pop();
                while self.text(at + 1) == "::" && self.text(at + 2) == "super" {
                    base.pop();
                    at += 2;
                }
            }
            _ => return,
        }
        if base.is_empty() && self.text(at + 1) == "::" {
            self.heads(at + 2, uses);
        }
    }

    /// The first words of a path, or of each path of a group.
    fn heads(&self, at: usize, uses: &mut Vec<Use>) {
        if self.text(at) != "{" {
            return uses.push(Use { line: self.tokens[at].line, module: self.text(at).to_owned() });
        }
        let mut depth = 0;
        for place in at.. {
            match self.text(place) {
                "{" => depth += 1,
                "}" => depth -= 1,
                _ => {}
            }
            if depth == 0 {
                return;
            }
            if depth == 1 && self.is_word(place) && matches!(self.text(place - 1), "{" | ",") {
                uses.push(Use { line: self.tokens[place].line, module: self.text(place).to_owned() });
            }
        }
    }
}

/// Words, `::` and single signs, with their lines.
fn tokens(text: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let (mut rest, mut line) = (text, 1);
    while let Some(first) = rest.chars().next() {
        let (length, kept) = next(rest, first);
        let (taken, after) = rest.split_at(length);
        if kept {
            tokens.push(Token { line, text: taken.to_owned() });
        }
        line += taken.matches('\n').count();
        rest = after;
    }
    tokens
}

/// How long what stands here is, and whether it says anything.
fn next(rest: &str, first: char) -> (usize, bool) {
    let word = |text: &str| text.find(|sign: char| !sign.is_alphanumeric() && sign != '_').unwrap_or(text.len());
    if rest.starts_with("//") {
        return (rest.find('\n').unwrap_or(rest.len()), false);
    }
    if rest.starts_with("/*") {
        return (block_comment(rest), false);
    }
    if let Some(length) = raw_string(rest) {
        return (length, false);
    }
    match first {
        '"' => (string(rest, '"'), false),
        '\'' => (character_or_lifetime(rest), false),
        _ if first.is_alphanumeric() || first == '_' => (word(rest), true),
        ':' if rest.starts_with("::") => (2, true),
        _ => (first.len_utf8(), !first.is_whitespace()),
    }
}

fn block_comment(rest: &str) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at < rest.len() {
        if rest[at..].starts_with("/*") {
            (depth, at) = (depth + 1, at + 2);
        } else if rest[at..].starts_with("*/") {
            (depth, at) = (depth - 1, at + 2);
            if depth == 0 {
                return at;
            }
        } else {
            at += rest[at..].chars().next().map_or(1, char::len_utf8);
        }
    }
    rest.len()
}

/// The length of `r"…"`, `r#"…"#`, `br"…"` and the like.
fn raw_string(rest: &str) -> Option<usize> {
    let after = rest.strip_prefix("br").or_else(|| rest.strip_prefix('r'))?;
    let marks = after.len() - after.trim_start_matches('#').len();
    let inner = after[marks..].strip_prefix('"')?;
    let close = format!("\"{}", "#".repeat(marks));
    let end = inner.find(&close)?;
    Some(rest.len() - inner.len() + end + close.len())
}

/// The length of a literal that ends at `quote`.
fn string(rest: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, sign) in rest.char_indices().skip(1) {
        match sign {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if sign == quote => return at + 1,
            _ => {}
        }
    }
    rest.len()
}

fn character_or_lifetime(rest: &str) -> usize {
    let mut inner = rest[1..].chars();
    let (first, second) = (inner.next(), inner.next());
    if first == Some('\\') || second == Some('\'') { string(rest, '\'') } else { 1 }
}

/// Without items that are compiled for tests alone.
fn without_tests(tokens: Vec<Token>) -> Vec<Token> {
    const MARK: [&str; 7] = ["#", "[", "cfg", "(", "test", ")", "]"];
    let mut kept = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        let is_mark = tokens[at..].iter().zip(MARK).filter(|(token, mark)| token.text == *mark).count() == MARK.len();
        if is_mark {
            at = end_of_item(&tokens, at + MARK.len());
        } else {
            kept.push(tokens[at].clone());
            at += 1;
        }
    }
    kept
}

/// Behind the `;` or the closing brace of the item that begins here.
fn end_of_item(tokens: &[Token], start: usize) -> usize {
    let mut depth = 0;
    for (at, token) in tokens.iter().enumerate().skip(start) {
        match token.text.as_str() {
            ";" if depth == 0 => return at + 1,
            "{" => depth += 1,
            "}" => {
                depth -= 1;
                if depth == 0 {
                    return at + 1;
                }
            }
            _ => {}
        }
    }
    tokens.len()
}
