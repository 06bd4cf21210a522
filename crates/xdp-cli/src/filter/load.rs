//! Reading a rule file, and showing what is wrong with it.

use crate::error::Failure;
use crate::output::{ERROR, FAINT, count};
use std::io::{self, Read as _};
use std::path::Path;
use xdp::rulefile::{Error, Errors, RuleFile};

/// Why there are no rules.
pub(super) enum Refused {
    /// The file could not be read at all.
    Unreadable(Failure),
    /// The file could be read, and says things it should not.
    Wrong { text: String, errors: Errors },
}

/// Reads a rule file; `-` is standard input.
pub(super) fn load(path: &Path) -> Result<RuleFile, Refused> {
    let text = read(path).map_err(|error| Refused::Unreadable(Failure::reading(path, &error)))?;
    RuleFile::parse(&text).map_err(|errors| Refused::Wrong { text, errors })
}

/// Reads a rule file and shows on standard error what is wrong with it.
pub(super) fn load_or_show(path: &Path) -> Result<RuleFile, Failure> {
    load(path).map_err(|refused| match refused {
        Refused::Unreadable(failure) => failure,
        Refused::Wrong { text, errors } => show(path, &text, &errors),
    })
}

fn read(path: &Path) -> io::Result<String> {
    if path == Path::new("-") {
        let mut text = String::new();
        io::stdin().read_to_string(&mut text)?;
        return Ok(text);
    }
    std::fs::read_to_string(path)
}

/// Shows every mistake with the line it is in; returns the failure to end with.
pub(super) fn show(path: &Path, text: &str, errors: &Errors) -> Failure {
    for error in errors.as_slice() {
        anstream::eprintln!("{}", excerpt(path, text, error));
    }
    let mistakes = count(errors.as_slice().len(), "mistake");
    Failure::new(format!("{} has {mistakes}", path.display()))
        .hint("`xdp filter --help` lists the match types and their fields")
}

/// Shows a mistake the way compilers do.
fn excerpt(path: &Path, text: &str, error: &Error) -> String {
    let line = text.lines().nth(error.line - 1).unwrap_or_default();
    let gutter = error.line.to_string().len();
    // Tabs stay tabs, so that the marks end up below what they mark.
    let indent: String = line
        .chars()
        .take(error.column - 1)
        .map(|c| if c == '\t' { '\t' } else { ' ' })
        .collect();
    let marked = text
        .get(error.span.clone())
        .unwrap_or_default()
        .lines()
        .next()
        .unwrap_or_default();
    let marks = "^".repeat(marked.chars().count().max(1));
    let expected = match &error.expected {
        Some(expected) => format!(" expected {expected}"),
        None => String::new(),
    };
    format!(
        "{ERROR}error:{ERROR:#} {headline}\n{FAINT}{none:gutter$}-->{FAINT:#} {path}:{number}:{column}\n\
         {FAINT}{none:gutter$} |{FAINT:#}\n{FAINT}{number} |{FAINT:#} {line}\n\
         {FAINT}{none:gutter$} |{FAINT:#} {indent}{ERROR}{marks}{expected}{ERROR:#}\n",
        headline = error.headline(),
        path = path.display(),
        number = error.line,
        column = error.column,
        none = "",
    )
}
