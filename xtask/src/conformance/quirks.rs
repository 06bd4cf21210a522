//! Quirks and defects of the reference, each with the test that shows that this driver has it not.

use std::fmt::Write;

use anyhow::{Context, Result, ensure};

use super::Coverage;
use super::statements::{Document, Id};

/// A quirk of the reference.
#[derive(Debug)]
pub(super) struct Quirk {
    pub(super) statement: Id,
    /// What the reference does.
    pub(super) reference: String,
    /// The test that would notice it here: `module::name`.
    pub(super) test: String,
}

/// Reads the list.
pub(super) fn quirks() -> Result<Vec<Quirk>> {
    parse(include_str!("quirks.txt"))
}

pub(super) fn parse(text: &str) -> Result<Vec<Quirk>> {
    text.lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(|line| {
            let fields: Vec<_> = line.split(" | ").collect();
            let [id, reference, test] = fields[..] else {
                anyhow::bail!("three fields: {line}");
            };
            let (document, path) = id.split_once(' ').context("a document and a statement")?;
            let statement = Id {
                document: document.to_owned(),
                path: path.to_owned(),
            };
            Ok(Quirk {
                statement,
                reference: reference.to_owned(),
                test: test.to_owned(),
            })
        })
        .collect()
}

/// Checks that each is about a statement of the list, and that its test is a test of that statement.
pub(super) fn check(quirks: &[Quirk], documents: &[Document], coverage: &Coverage) -> Result<()> {
    for quirk in quirks {
        let Id { document, path } = &quirk.statement;
        let mut known = documents.iter().filter(|d| d.number == *document);
        ensure!(
            known.any(|d| d.statements.iter().any(|s| s.path == *path)),
            "{document} {path} is no statement of the list"
        );
        let tests = coverage.get(&quirk.statement);
        ensure!(
            tests.is_some_and(|tests| tests.contains(&quirk.test)),
            "{} is no test of {document} {path}",
            quirk.test
        );
    }
    Ok(())
}

/// The table of them.
pub(super) fn render(quirks: &[Quirk]) -> String {
    let mut table = "
## Quirks of the reference that are absent

Whatever the specification marks as a quirk or a defect of the reference, with the test that would notice it in this driver.

| statement | the reference | test |
|---|---|---|
"
    .to_owned();
    for quirk in quirks {
        let Id { document, path } = &quirk.statement;
        let _ = writeln!(
            table,
            "| {document} {path} | {} | `{}` |",
            quirk.reference, quirk.test
        );
    }
    table
}
