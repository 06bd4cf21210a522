//! `cargo xtask api`: the public API of the crate `xdp` as a text file, so that no change of it goes unseen.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, ensure};

use crate::driver::{root, target_dir};

/// The list, from the root of the workspace.
const LIST: &str = "crates/xdp/public-api.txt";
/// Asks for the list to be written instead of compared.
const BLESS: &str = "XDP_BLESS";
/// The version of rustdoc's JSON that is read here; it belongs to the toolchain's version.
const FORMAT: u64 = 57;
/// Above the items.
const HEAD: &str = "\
# The public API of the crate `xdp` with all features, as Linux on x86-64 has it (Windows has `Peer::of`, and no `lab`).
# After a change that is meant: XDP_BLESS=1 cargo xtask api
";

/// Runs the task.
pub(crate) fn run() -> Result<ExitCode> {
    if !cfg!(all(target_os = "linux", target_arch = "x86_64")) {
        println!("not compared: {LIST} is of the API that Linux on x86-64 has");
        return Ok(ExitCode::SUCCESS);
    }
    let document = document()?;
    let format = format_of(&document)?;
    if format != FORMAT {
        println!(
            "not compared: the rustdoc of this toolchain writes version {format} of its JSON, and {LIST} was made from version {FORMAT}"
        );
        return Ok(ExitCode::SUCCESS);
    }
    let now = list(&document)?;
    let path = root().join(LIST);
    if std::env::var_os(BLESS).is_some_and(|value| value == "1") {
        std::fs::write(&path, now).with_context(|| format!("cannot write {}", path.display()))?;
        println!("written: {LIST}");
        return Ok(ExitCode::SUCCESS);
    }
    let before = std::fs::read_to_string(&path)
        .with_context(|| format!("cannot read {}", path.display()))?;
    let changes = changes(&before, &now);
    if changes.is_empty() {
        let items = now.lines().filter(|line| !line.starts_with('#')).count();
        println!("the public API is that of {LIST}: {items} items");
        return Ok(ExitCode::SUCCESS);
    }
    eprint!(
        "error: the public API is not that of {LIST} (`-` is gone, `+` is new):\n{changes}\
         hint: if that is meant, write the list anew with `{BLESS}=1 cargo xtask api`, and say so in CHANGELOG.md\n"
    );
    Ok(ExitCode::FAILURE)
}

/// Has rustdoc write down what is public; returns the file.
fn document() -> Result<PathBuf> {
    let status = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .current_dir(root())
        .env("RUSTDOC", root().join("xtask/data/rustdoc-json"))
        .env_remove("RUSTDOCFLAGS")
        .args([
            "rustdoc",
            "--quiet",
            "--locked",
            "--package",
            "xdp",
            "--lib",
            "--all-features",
            "--",
        ])
        .args(["-Z", "unstable-options", "--output-format", "json"])
        .status()
        .context("cannot run cargo")?;
    ensure!(status.success(), "rustdoc failed ({status})");
    Ok(target_dir()?.join("doc/xdp.json"))
}

/// The version of the JSON that rustdoc wrote.
fn format_of(file: &Path) -> Result<u64> {
    #[derive(serde::Deserialize)]
    struct Head {
        format_version: u64,
    }
    let text = std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
    let head: Head = serde_json::from_slice(&text)
        .with_context(|| format!("{} is not what rustdoc writes", file.display()))?;
    Ok(head.format_version)
}

/// One line for each public item, in the order of their names.
fn list(file: &Path) -> Result<String> {
    let api = public_api::Builder::from_rustdoc_json(file)
        .omit_blanket_impls(true)
        .omit_auto_trait_impls(true)
        .omit_auto_derived_impls(true)
        .build()
        .with_context(|| format!("cannot read {}", file.display()))?;
    let mut list = HEAD.to_owned();
    for item in api.items() {
        // Writing to a string cannot fail.
        let _ = writeln!(list, "{item}");
    }
    Ok(list)
}

/// Lines that only one of two lists has.
fn changes(before: &str, now: &str) -> String {
    let mut changes = String::new();
    for (sign, these, others) in [('-', before, now), ('+', now, before)] {
        let others: std::collections::HashSet<&str> = others.lines().collect();
        for line in these.lines().filter(|line| !others.contains(line)) {
            let _ = writeln!(changes, "{sign} {line}");
        }
    }
    changes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_of_a_document_is_read_whatever_else_is_new_in_it() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), r#"{"root": {"new": 1}, "format_version": 58}"#).unwrap();
        assert_eq!(format_of(file.path()).unwrap(), 58);
        std::fs::write(file.path(), "[]").unwrap();
        assert!(format_of(file.path()).is_err());
    }

    #[test]
    fn what_went_and_what_came_is_told() {
        let before = format!("{HEAD}pub fn xdp::a()\npub fn xdp::b()\n");
        let now = format!("{HEAD}pub fn xdp::b()\npub fn xdp::c(u32)\n");
        assert_eq!(
            changes(&before, &now),
            "- pub fn xdp::a()\n+ pub fn xdp::c(u32)\n"
        );
        assert_eq!(changes(&now, &now), "");
    }
}
