//! The list of statements, and what the name of a test says it checks.

use anyhow::{Context, Result, bail};

/// A statement: document and path, as in `02 13.7` or `02 2 r3`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Id {
    pub(super) document: String,
    /// Section and row as they are written: `13.7`, `2 r3`, `2.4 a`.
    pub(super) path: String,
}

/// A document with its statements in order.
#[derive(Debug)]
pub(super) struct Document {
    pub(super) number: String,
    pub(super) title: String,
    pub(super) statements: Vec<Statement>,
}

/// A statement, and why it is not tested, if it is not.
#[derive(Debug)]
pub(super) struct Statement {
    pub(super) path: String,
    pub(super) untested: Option<String>,
}

/// Reads the list.
pub(super) fn documents() -> Result<Vec<Document>> {
    parse(include_str!("statements.txt"))
}

pub(super) fn parse(text: &str) -> Result<Vec<Document>> {
    let mut documents: Vec<Document> = Vec::new();
    for line in text.lines().map(str::trim) {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if let Some(rest) = line.strip_prefix("document ") {
            let (number, title) = rest.split_once(' ').context("a document has a title")?;
            documents.push(Document {
                number: number.to_owned(),
                title: title.to_owned(),
                statements: Vec::new(),
            });
            continue;
        }
        let document = documents.last_mut().context("a document comes first")?;
        if let Some(rest) = line.strip_prefix("untested ") {
            let (paths, reason) = rest.split_once(": ").context("a reason")?;
            mark_untested(document, paths, reason);
            continue;
        }
        let (section, list) = line
            .split_once(':')
            .with_context(|| format!("neither section nor reason: {line}"))?;
        for item in list.split_whitespace() {
            for path in expand(section, item)? {
                document.add(path);
            }
        }
    }
    Ok(documents)
}

impl Document {
    fn add(&mut self, path: String) -> &mut Statement {
        let found = self.statements.iter().position(|s| s.path == path);
        let index = found.unwrap_or_else(|| {
            self.statements.push(Statement {
                path,
                untested: None,
            });
            self.statements.len() - 1
        });
        &mut self.statements[index]
    }
}

/// `14 r4 14.3`: a row belongs to the section named last.
fn mark_untested(document: &mut Document, paths: &str, reason: &str) {
    let mut section = "";
    let words: Vec<_> = paths.split_whitespace().collect();
    for (index, word) in words.iter().enumerate() {
        let path = if is_row(word) {
            format!("{section} {word}")
        } else {
            section = word;
            if words.get(index + 1).is_some_and(|next| is_row(next)) {
                continue;
            }
            (*word).to_owned()
        };
        document.add(path).untested = Some(reason.to_owned());
    }
}

fn is_row(word: &str) -> bool {
    word.strip_prefix('r')
        .is_some_and(|rest| rest.parse::<u32>().is_ok())
        || word.len() == 1 && word.chars().all(|c| c.is_ascii_lowercase())
}

/// The statements that an item of a line stands for: `.`, `2.5`, `2.1-3`, `r1-9`, `a-h`, a word.
fn expand(section: &str, item: &str) -> Result<Vec<String>> {
    let row = |row: String| {
        if section.is_empty() {
            row
        } else {
            format!("{section} {row}")
        }
    };
    if item == "." {
        return Ok(vec![section.to_owned()]);
    }
    let Some((first, last)) = item.split_once('-') else {
        return Ok(vec![if item.starts_with(|c: char| c.is_ascii_digit()) {
            item.to_owned()
        } else {
            row(item.to_owned())
        }]);
    };
    if let [first] = first.as_bytes()
        && let [last] = last.as_bytes()
        && first.is_ascii_lowercase()
    {
        return Ok((*first..=*last)
            .map(|letter| row((letter as char).to_string()))
            .collect());
    }
    let digits = first.trim_end_matches(|c: char| c.is_ascii_digit()).len();
    let (prefix, from) = first.split_at(digits);
    let (Ok(from), Ok(to)) = (from.parse::<u32>(), last.parse::<u32>()) else {
        bail!("{section}: no range: {item}");
    };
    let numbers = (from..=to).map(|number| format!("{prefix}{number}"));
    Ok(if prefix == "r" {
        numbers.map(row).collect()
    } else {
        numbers.collect()
    })
}

/// The statements that a test's name begins with.
pub(super) fn of_name(documents: &[Document], name: &str) -> Vec<Id> {
    let mut ids = Vec::new();
    let mut words = name.split('_').peekable();
    while let Some(document) = words.peek().and_then(|word| find(documents, word)) {
        words.next();
        let has = |path: &str| document.statements.iter().any(|s| s.path == path);
        let id = |path: &str| Id {
            document: document.number.clone(),
            path: path.to_owned(),
        };
        let mut section = String::new();
        while let Some(number) = words.next_if(|word| word.parse::<u32>().is_ok()) {
            if !section.is_empty() {
                section.push('.');
            }
            section.push_str(number);
        }
        let mut rows = false;
        let row_of = |word: &str| format!("{section} {word}").trim_start().to_owned();
        while let Some(row) = words.next_if(|word| has(&row_of(word))) {
            rows = true;
            ids.push(id(&row_of(row)));
        }
        if !rows && has(&section) {
            ids.push(id(&section));
        }
    }
    ids
}

fn find<'a>(documents: &'a [Document], word: &str) -> Option<&'a Document> {
    let number = word.strip_prefix('s')?;
    documents.iter().find(|d| d.number == number)
}
