//! `xdp filter check`.

use super::decide::patterns;
use super::load::load_or_show;
use crate::error::{Exit, Failure};
use crate::output::{GOOD, count};
use std::path::PathBuf;

/// Arguments of `xdp filter check`.
#[derive(clap::Args)]
pub(super) struct Args {
    /// Rule file, TOML or JSON; `-` is standard input.
    #[arg(value_name = "RULES")]
    rules: PathBuf,
}

pub(super) fn run(args: &Args) -> Result<Exit, Failure> {
    let file = load_or_show(&args.rules)?;
    let patterns = patterns(&file)?;
    let rules = count(patterns.len(), "rule");
    anstream::println!("{GOOD}valid:{GOOD:#} {}, {rules}", args.rules.display());
    Ok(Exit::Done)
}
