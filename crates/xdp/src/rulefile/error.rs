//! Mistakes in a rule file.

use std::fmt;
use std::ops::Range;

/// A mistake, before its place in the text has been turned into line and column.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) span: Range<usize>,
    pub(super) rule: Option<(usize, Option<String>)>,
    pub(super) field: Option<&'static str>,
    pub(super) message: String,
    pub(super) expected: Option<String>,
}

impl Found {
    pub(super) fn new(span: Range<usize>, message: String) -> Self {
        Self {
            span,
            rule: None,
            field: None,
            message,
            expected: None,
        }
    }

    pub(super) fn expecting(mut self, expected: &str) -> Self {
        self.expected = Some(expected.into());
        self
    }
}

/// One mistake in a rule file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// Bytes of the text the mistake is about, counted without a byte order mark.
    pub span: Range<usize>,
    /// Number of the rule, from 1, when the mistake is in one.
    pub rule: Option<usize>,
    /// Name of that rule, if it has one.
    pub rule_name: Option<String>,
    /// The field, when the mistake is about one.
    pub field: Option<&'static str>,
    /// What is wrong.
    pub message: String,
    /// What was expected there.
    pub expected: Option<String>,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}: ", self.line, self.column)?;
        self.write_message(f)?;
        match &self.expected {
            Some(expected) => write!(f, ": expected {expected}"),
            None => Ok(()),
        }
    }
}

impl Error {
    fn write_message(&self, f: &mut impl fmt::Write) -> fmt::Result {
        if let Some(number) = self.rule {
            write!(f, "rule {number}")?;
            if let Some(name) = &self.rule_name {
                write!(f, " ({name})")?;
            }
            f.write_str(": ")?;
        }
        if let Some(field) = self.field {
            write!(f, "`{field}`: ")?;
        }
        f.write_str(&self.message)
    }

    /// Returns what is wrong and in which rule and field, without the place and without what was expected.
    #[must_use]
    pub fn headline(&self) -> String {
        let mut line = String::new();
        // Writing to a string cannot fail.
        let _ = self.write_message(&mut line);
        line
    }
}

impl std::error::Error for Error {}

/// Every mistake found in a rule file, in the order of the text; at least one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Errors(Vec<Error>);

impl Errors {
    pub(super) fn locate(text: &str, mut found: Vec<Found>) -> Self {
        found.sort_by_key(|error| error.span.start);
        let lines = Lines::new(text);
        Self(found.into_iter().map(|error| lines.locate(error)).collect())
    }

    /// Returns the mistakes.
    #[must_use]
    pub fn as_slice(&self) -> &[Error] {
        &self.0
    }
}

impl fmt::Display for Errors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.0.iter().enumerate() {
            if index != 0 {
                f.write_str("\n")?;
            }
            error.fmt(f)?;
        }
        Ok(())
    }
}

impl std::error::Error for Errors {}

/// Where the lines of a text start.
pub(super) struct Lines<'a> {
    text: &'a str,
    starts: Vec<usize>,
}

impl<'a> Lines<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        let starts = std::iter::once(0)
            .chain(text.match_indices('\n').map(|(at, _)| at + 1))
            .collect();
        Self { text, starts }
    }

    /// Returns the line of a byte, from 1.
    pub(super) fn line(&self, at: usize) -> usize {
        self.starts.partition_point(|start| *start <= at)
    }

    fn locate(&self, found: Found) -> Error {
        let line = self.line(found.span.start);
        let start = self.starts[line - 1];
        let before = self.text.get(start..found.span.start).unwrap_or_default();
        let (rule, rule_name) = found.rule.unzip();
        Error {
            line,
            column: before.chars().count() + 1,
            span: found.span,
            rule: rule.map(|index| index + 1),
            rule_name: rule_name.flatten(),
            field: found.field,
            message: found.message,
            expected: found.expected,
        }
    }
}
