//! `cargo xtask conformance`: which tests check which statement of the specification.
//!
//! A scenario's name begins with what it tests: `s02_13_7_...` is statement 13.7 of document 02, `s02_2_r3_...` row 3 of
//! the table of section 2. The statements are listed in `statements.txt`, by number only.

mod page;
mod quirks;
mod statements;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result};

use crate::driver::root;

/// The generated page, from the root.
const PAGE: &str = "docs/src/conformance.md";

/// Tests of each statement: `module::name`, sorted.
type Coverage = BTreeMap<statements::Id, Vec<String>>;

/// Writes the page, or checks it.
pub(crate) fn run(check: bool) -> Result<ExitCode> {
    let root = root();
    let text = generate(&root)?;
    let file = root.join(PAGE);
    if !check {
        std::fs::write(&file, text).with_context(|| format!("cannot write {PAGE}"))?;
        println!("{PAGE} is written");
        return Ok(ExitCode::SUCCESS);
    }
    let current = std::fs::read_to_string(&file).with_context(|| format!("cannot read {PAGE}"))?;
    if current == text {
        println!("{PAGE} is up to date");
        return Ok(ExitCode::SUCCESS);
    }
    println!("{PAGE} is out of date: run `cargo xtask conformance`");
    Ok(ExitCode::FAILURE)
}

/// The page for the tests there are.
fn generate(root: &Path) -> Result<String> {
    let documents = statements::documents()?;
    let names = test_names(&root.join("tests/tests"))?;
    let coverage = coverage(&documents, &names);
    let quirks = quirks::quirks()?;
    quirks::check(&quirks, &documents, &coverage)?;
    Ok(page::render(&documents, &coverage) + &quirks::render(&quirks))
}

/// Names of the tests below a folder, with their module; not of those that wait for the driver.
fn test_names(folder: &Path) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for file in crate::house::rust_files(folder)? {
        let module = file.file_stem().unwrap_or_default().to_string_lossy();
        let text = std::fs::read_to_string(&file)
            .with_context(|| format!("cannot read {}", file.display()))?;
        let mut is_test = false;
        for line in text.lines() {
            let line = line.trim();
            if line == "#[test]" {
                is_test = true;
            } else if line.starts_with("#[ignore") {
                // It is written, and the driver does not pass it yet: that covers nothing.
                is_test = false;
            } else if let Some(rest) = line.strip_prefix("fn ")
                && std::mem::take(&mut is_test)
            {
                let name: String = rest
                    .chars()
                    .take_while(|c| c.is_alphanumeric() || *c == '_')
                    .collect();
                names.push(format!("{module}::{name}"));
            }
        }
    }
    names.sort();
    Ok(names)
}

/// Sorts tests by the statements that their names begin with.
fn coverage(documents: &[statements::Document], names: &[String]) -> Coverage {
    let mut coverage = Coverage::new();
    for name in names {
        let (_, test) = name.rsplit_once("::").unwrap_or(("", name));
        for id in statements::of_name(documents, test) {
            coverage.entry(id).or_default().push(name.clone());
        }
    }
    coverage
}
