//! `xdp filter`: rule files.

mod check;
pub(crate) mod decide;
mod explain;
pub(crate) mod headers;
mod hold;
mod live;
pub(crate) mod load;
mod report;
mod rows;
pub(crate) mod words;

use crate::error::{Exit, Failure};
use clap::Subcommand;
use std::fmt::Write as _;
use std::io::Write as _;

/// Arguments of `xdp filter`.
#[derive(clap::Args)]
#[command(after_long_help = rules_help())]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// List the rules in force, and how often each was hit.
    #[command(visible_alias = "status", alias = "show")]
    List(live::ListArgs),
    /// Put the rules of a file into force, in place of those of the session that holds rules on the interface.
    #[command(alias = "load")]
    Apply(live::ApplyArgs),
    /// Add a rule to those in force.
    Add(live::AddArgs),
    /// Remove rules from those in force.
    #[command(alias = "delete", alias = "unload")]
    Remove(live::RemoveArgs),
    /// Check a rule file: is it valid, and which rules can never match?
    Check(check::Args),
    /// Show what a rule file does to each packet of a capture.
    Explain(explain::Args),
    /// Print the JSON schema of rule files, for editors.
    #[command(after_long_help = "Examples:\n  xdp filter schema > rules.schema.json")]
    Schema,
}

/// Returns what can be written in a rule file.
fn rules_help() -> String {
    let mut help = String::from(
        "\
Rules are tried in order, and the first that matches decides; a packet that no rule matches passes:

  [[rule]]
  name = \"dns\"
  match = \"udp-dst\"
  port = 53
  action = \"redirect\"                    # or pass, drop, l2fwd
  redirect-to = { socket = \"resolver\" }  # or { map = \"by-queue\" }

Match types and their fields:
",
    );
    for info in xdp::rulefile::MATCHES {
        let fields = info.fields().map(|(name, required)| match required {
            true => name.to_owned(),
            false => format!("[{name}]"),
        });
        let fields = fields.collect::<Vec<_>>().join(", ");
        // Writing to a string cannot fail.
        let _ = writeln!(help, "  {:24}  {:24}  {}", info.name, fields, info.about);
    }
    help
}

/// Runs `xdp filter`.
///
/// # Errors
///
/// What was asked for could not be done.
pub fn run(args: Args) -> Result<Exit, Failure> {
    match args.command {
        Command::List(args) => live::list(&args),
        Command::Apply(args) => live::apply(&args),
        Command::Add(args) => live::add(&args),
        Command::Remove(args) => live::remove(&args),
        Command::Check(args) => check::run(&args),
        Command::Explain(args) => explain::run(&args),
        Command::Schema => {
            anstream::stdout().write_all(xdp::rulefile::schema().as_bytes())?;
            Ok(Exit::Done)
        }
    }
}
