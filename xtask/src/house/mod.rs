//! `cargo xtask house`: the rules of `ARCHITECTURE.md` that neither the compiler nor clippy checks.

mod arrows;
mod sizes;
mod unsafety;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};

use crate::driver::root;

/// Checks everything and prints one line per broken rule.
pub(crate) fn run() -> Result<ExitCode> {
    let root = root();
    let mut broken = arrows::check(&root)?;
    broken.extend(unsafety::check(&root)?);
    broken.extend(sizes::check(&root)?);
    for line in &broken {
        println!("BROKEN {line}");
    }
    Ok(if broken.is_empty() {
        println!("house rules hold: arrows, unsafe table, file sizes");
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Folders that hold a package: those of `crates` and `samples`, and the packages at the root.
fn packages(root: &Path) -> Result<Vec<PathBuf>> {
    let mut entries = Vec::new();
    for group in ["crates", "samples"].map(|group| root.join(group)) {
        if group.exists() {
            let listed = std::fs::read_dir(&group)
                .with_context(|| format!("cannot list {}", group.display()))?;
            entries.extend(listed.collect::<Result<Vec<_>, _>>()?);
        }
    }
    let mut folders: Vec<PathBuf> = entries
        .into_iter()
        .map(|entry| entry.path())
        .chain([root.join("xtask"), root.join("tests")])
        .filter(|folder| folder.join("Cargo.toml").exists())
        .collect();
    folders.sort();
    Ok(folders)
}

/// Every Rust source file below a folder.
pub(crate) fn rust_files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let mut open = vec![folder.to_path_buf()];
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(&folder)
            .with_context(|| format!("cannot list {}", folder.display()))?
        {
            let entry = entry?;
            let path = entry.path();
            if entry.file_type()?.is_dir() {
                if entry.file_name() != "target" {
                    open.push(path);
                }
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.push(path);
            }
        }
    }
    files.sort();
    Ok(files)
}

fn read(file: &Path) -> Result<String> {
    std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))
}

/// A path as it is written in messages: relative to the root, with forward slashes.
fn shown(root: &Path, file: &Path) -> String {
    file.strip_prefix(root)
        .unwrap_or(file)
        .to_string_lossy()
        .replace('\\', "/")
}

#[cfg(test)]
pub(crate) fn write(root: &Path, file: &str, text: &str) {
    let path = root.join(file);
    std::fs::create_dir_all(path.parent().expect("the file lies in a folder"))
        .expect("the folder can be made");
    std::fs::write(path, text).expect("the file can be written");
}
