//! The `xdp` command: everything but `main`.
//!
//! Data goes to standard output, everything else to standard error. Every failure says what was tried, why it failed and what
//! to do ([`error::Failure`]), and ends with an exit code that scripts can rely on ([`error::Exit`]).

#![forbid(unsafe_code)]

pub mod capture;
pub mod error;
pub mod filter;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod lab;
mod output;

use clap::{Parser, Subcommand};
use error::Exit;
use output::Color;
use std::process::ExitCode;

/// XDP for Windows: see, drop, forward or take packets before the network stack does.
#[derive(Parser)]
#[command(
    name = "xdp",
    version,
    propagate_version = true,
    arg_required_else_help = true
)]
struct Cli {
    #[command(subcommand)]
    command: Command,

    /// When to colour the output.
    #[arg(long, global = true, display_order = 100, value_enum, default_value_t = Color::Auto, value_name = "WHEN")]
    color: Color,
}

#[derive(Subcommand)]
enum Command {
    /// Check rule files and see what they do to captured packets; nothing is installed or changed.
    Filter(filter::Args),
    /// Boots a driver in a simulated NT kernel.
    #[cfg(all(target_os = "linux", target_arch = "x86_64"))]
    Lab(lab::Args),
}

/// Runs the command with the arguments of the process.
#[must_use]
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    cli.color.apply();
    let result = match cli.command {
        Command::Filter(args) => filter::run(args),
        #[cfg(all(target_os = "linux", target_arch = "x86_64"))]
        Command::Lab(args) => lab::run(args),
    };
    match result {
        Ok(exit) => exit.into(),
        // Whoever read the output has seen enough (`xdp ... | head`).
        Err(failure) if failure.is_broken_pipe() => Exit::Done.into(),
        Err(failure) => {
            failure.print();
            failure.exit().into()
        }
    }
}
