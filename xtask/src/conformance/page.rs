//! The page.

use std::fmt::Write;

use super::{
    Coverage,
    statements::{Document, Id},
};

const HEAD: &str = "\
# Conformance

Which scenario checks which statement of the behaviour specification. `13.7` is a statement, `2 r3` is row 3 of the
table of section 2. Every scenario runs on the driver file as shipped, or on the one that `XDP_DRIVER` names.

A scenario that is ignored waits for the driver and covers nothing. This page is written by `cargo xtask conformance` from the names of the tests.
";

/// Numbers of statements: tested, with a reason, and neither.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Totals {
    pub(super) tested: usize,
    pub(super) excused: usize,
    pub(super) missing: Vec<String>,
}

pub(super) fn totals(documents: &[Document], coverage: &Coverage) -> Totals {
    let mut totals = Totals::default();
    for document in documents {
        for statement in &document.statements {
            let id = Id {
                document: document.number.clone(),
                path: statement.path.clone(),
            };
            if coverage.contains_key(&id) {
                totals.tested += 1;
            } else if statement.untested.is_some() {
                totals.excused += 1;
            } else {
                totals.missing.push(format!("{} {}", id.document, id.path));
            }
        }
    }
    totals
}

pub(super) fn render(documents: &[Document], coverage: &Coverage) -> String {
    let mut page = HEAD.to_owned();
    let totals = totals(documents, coverage);
    let _ = writeln!(
        page,
        "\n{} statements are tested, {} cannot be tested here, {} have no test that passes yet.",
        totals.tested,
        totals.excused,
        totals.missing.len()
    );
    for document in documents {
        let _ = write!(
            page,
            "\n## {} {}\n\n| statement | tests |\n|---|---|\n",
            document.number, document.title
        );
        for statement in &document.statements {
            let id = Id {
                document: document.number.clone(),
                path: statement.path.clone(),
            };
            let tests = match (coverage.get(&id), &statement.untested) {
                (Some(tests), _) => tests
                    .iter()
                    .map(|test| format!("`{test}`"))
                    .collect::<Vec<_>>()
                    .join("<br>"),
                (None, Some(reason)) => format!("not testable here: {reason}"),
                (None, None) => "**none yet**".to_owned(),
            };
            let _ = writeln!(page, "| {} | {tests} |", statement.path);
        }
    }
    page
}
