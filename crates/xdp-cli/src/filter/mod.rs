//! `xdp filter`: rule files.

mod check;
mod decide;
mod explain;
mod headers;
mod load;
mod report;

use crate::error::{Exit, Failure};
use clap::Subcommand;
use std::io::Write as _;

/// Arguments of `xdp filter`.
#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Check a rule file: is it valid, and which rules can never match?
    Check(check::Args),
    /// Show what a rule file does to each packet of a capture.
    Explain(explain::Args),
    /// Print the JSON schema of rule files, for editors.
    Schema,
}

/// Runs `xdp filter`.
///
/// # Errors
///
/// What was asked for could not be done.
pub fn run(args: Args) -> Result<Exit, Failure> {
    match args.command {
        Command::Check(args) => check::run(&args),
        Command::Explain(args) => explain::run(&args),
        Command::Schema => {
            anstream::stdout().write_all(xdp::rulefile::schema().as_bytes())?;
            Ok(Exit::Done)
        }
    }
}
