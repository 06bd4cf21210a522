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

/// Reads a rule file; `-` is standard input. Its text comes with it.
pub(super) fn load(path: &Path) -> Result<(String, RuleFile), Refused> {
    let text = read(path).map_err(Refused::Unreadable)?;
    match RuleFile::parse(&text) {
        Ok(file) => Ok((text, file)),
        Err(errors) => Err(Refused::Wrong { text, errors }),
    }
}

/// Reads a rule file and shows on standard error what is wrong with it.
pub(crate) fn load_or_show(path: &Path) -> Result<(String, RuleFile), Failure> {
    load(path).map_err(|refused| match refused {
        Refused::Unreadable(failure) => failure,
        Refused::Wrong { text, errors } => show(path, &text, &errors),
    })
}

/// Reads a rule file for a command that has no sockets and maps that rules could redirect to.
pub(crate) fn load_without_targets(path: &Path) -> Result<RuleFile, Failure> {
    let (_, file) = load_or_show(path)?;
    for (number, entry) in (1..).zip(file.entries()) {
        if let Some(target) = entry.target() {
            return Err(Failure::usage(format!(
                "rule {number} of {} redirects to {target}",
                path.display()
            ))
            .because("this command has no sockets and maps to redirect to")
            .hint("leave the rule away"));
        }
    }
    Ok(file)
}

fn read(path: &Path) -> Result<String, Failure> {
    let failed = |error: io::Error| Failure::reading(path, &error);
    let bytes = if path == Path::new("-") {
        let mut bytes = Vec::new();
        io::stdin().read_to_end(&mut bytes).map_err(failed)?;
        bytes
    } else {
        std::fs::read(path).map_err(failed)?
    };
    if bytes.starts_with(&[0xFF, 0xFE]) || bytes.starts_with(&[0xFE, 0xFF]) {
        return Err(Failure::new(format!("cannot read {}", path.display()))
            .because("it is UTF-16")
            .hint("save it as UTF-8; in PowerShell: `... | Out-File -Encoding utf8 FILE`"));
    }
    // Some editors mark UTF-8 with a byte order mark.
    let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(&bytes);
    let text = std::str::from_utf8(bytes).map_err(|error| {
        Failure::new(format!("cannot read {}", path.display()))
            .because(format!("byte {} is not UTF-8", error.valid_up_to()))
            .hint("rule files are text: TOML or JSON")
    })?;
    Ok(text.to_owned())
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
    let line = printable(text.lines().nth(error.line - 1).unwrap_or_default());
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
        Some(expected) => format!(" expected {}", printable(expected)),
        None => String::new(),
    };
    format!(
        "{ERROR}error:{ERROR:#} {headline}\n{FAINT}{none:gutter$}-->{FAINT:#} {path}:{number}:{column}\n\
         {FAINT}{none:gutter$} |{FAINT:#}\n{FAINT}{number} |{FAINT:#} {line}\n\
         {FAINT}{none:gutter$} |{FAINT:#} {indent}{ERROR}{marks}{expected}{ERROR:#}\n",
        headline = printable(&error.headline()),
        path = path.display(),
        number = error.line,
        column = error.column,
        none = "",
    )
}

/// Returns text without what could command the terminal: it may come from anywhere.
fn printable(text: &str) -> String {
    let harmless = |c: char| c == '\t' || !c.is_control();
    text.chars()
        .map(|c| if harmless(c) { c } else { '\u{FFFD}' })
        .collect()
}
