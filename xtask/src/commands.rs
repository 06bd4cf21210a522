//! The reference chapter of the book and the man pages, from the command line's own definition.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Output};

use anyhow::{Context, Result, bail};

/// Arguments of `cargo xtask commands`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Only checks that the chapter is up to date.
    #[arg(long)]
    check: bool,
    /// Writes the man pages into this folder, too.
    #[arg(long, value_name = "FOLDER")]
    man: Option<PathBuf>,
}

pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    let chapter = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/src/commands.md");
    let now = xdp(&["man", "--markdown"])?.stdout;
    if args.check {
        let written = std::fs::read(&chapter).unwrap_or_default();
        if written != now {
            bail!(
                "{} is out of date: run `cargo xtask commands`",
                chapter.display()
            );
        }
    } else {
        std::fs::write(&chapter, now).with_context(|| chapter.display().to_string())?;
    }
    if let Some(folder) = &args.man {
        std::fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
        let folder = folder
            .to_str()
            .context("the name of the folder is not UTF-8")?;
        xdp(&["man", "--write", folder])?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Runs the command that is built from this source.
fn xdp(words: &[&str]) -> Result<Output> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["run", "--quiet", "--package", "xdp-cli", "--"])
        .args(words)
        .output()
        .context("cargo does not start")?;
    if !output.status.success() {
        bail!("xdp {words:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(output)
}
