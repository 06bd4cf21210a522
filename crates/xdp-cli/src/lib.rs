//! The `xdp` command: everything but `main`.
//!
//! Data goes to standard output, everything else to standard error. Every failure says what was tried, why it failed and what
//! to do ([`error::Failure`]), and ends with an exit code that scripts can rely on ([`error::Exit`]).

#![forbid(unsafe_code)]

pub mod args;
mod bench;
pub mod capture;
mod doctor;
mod dump;
pub mod error;
mod features;
pub mod filter;
mod forward;
mod generate;
mod interfaces;
pub mod interrupt;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod lab;
pub mod manual;
pub mod messages;
mod monitor;
pub mod output;
mod own_lab;
mod session;
mod status;
pub mod system;
mod talkers;
mod tap;

use clap::{CommandFactory as _, Parser, Subcommand};
use error::Exit;
use output::Color;
use std::ffi::OsString;
use std::path::Path;
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

    #[command(flatten)]
    verbosity: messages::Verbosity,
}

#[derive(Subcommand)]
enum Command {
    /// List the network interfaces.
    Interfaces(interfaces::Args),
    /// List the programs, sockets and maps of all processes, and the counters of queues.
    Status(status::Args),
    /// Tell what an interface can do, and why not.
    Features(features::Args),
    /// Look for what is wrong, in one report to paste.
    Doctor(doctor::Args),
    /// Check rule files, see what they do to captured packets, and put rules into force.
    Filter(filter::Args),
    /// Watch queues, rules and talkers, a line for each queue and second, or full-screen.
    Monitor(monitor::Args),
    /// Capture packets as they arrive, with queue and verdict, and let them pass.
    Dump(dump::Args),
    /// Send frames back where they came from, or from one interface to another.
    Forward(forward::Args),
    /// Send frames at an exact rate, made up or of a capture.
    Generate(generate::Args),
    /// Measure how fast sockets are.
    Bench(bench::Args),
    /// Boots a driver in a simulated NT kernel.
    #[cfg(all(target_os = "linux", target_arch = "x86_64"))]
    Lab(lab::Args),
    /// Print what a shell needs to complete this command.
    Completions(manual::CompletionsArgs),
    /// Print or write man pages.
    Man(manual::ManArgs),
}

/// Returns the definition of the command line, of which everything that describes it is made.
#[must_use]
pub fn definition() -> clap::Command {
    Cli::command()
}

/// The arguments, with the subcommand that the program file is named after: `xdp-filter` is `xdp filter`.
fn arguments(mut given: Vec<OsString>) -> Vec<OsString> {
    let named = given
        .first()
        .and_then(|program| Path::new(program).file_stem()?.to_str())
        .and_then(|name| name.strip_prefix("xdp-"))
        .filter(|name| definition().find_subcommand(name).is_some())
        .map(OsString::from);
    if let Some(subcommand) = named {
        given.splice(..1, [OsString::from("xdp"), subcommand]);
    }
    given
}

/// Runs the command with the arguments of the process.
#[must_use]
pub fn main() -> ExitCode {
    let cli = Cli::parse_from(arguments(std::env::args_os().collect()));
    cli.color.apply();
    cli.verbosity.apply();
    let result = match cli.command {
        Command::Interfaces(args) => interfaces::run(&args),
        Command::Monitor(args) => monitor::run(&args),
        Command::Dump(args) => dump::run(&args),
        Command::Forward(args) => forward::run(&args),
        Command::Generate(args) => generate::run(&args),
        Command::Bench(args) => bench::run(&args),
        Command::Status(args) => status::run(&args),
        Command::Features(args) => features::run(&args),
        Command::Doctor(args) => doctor::run(&args),
        Command::Filter(args) => filter::run(args),
        #[cfg(all(target_os = "linux", target_arch = "x86_64"))]
        Command::Lab(args) => lab::run(args),
        Command::Completions(args) => manual::completions(&args, definition()),
        Command::Man(args) => manual::man(&args, definition()),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definition_is_sound() {
        definition().debug_assert();
    }

    #[test]
    fn a_program_file_may_be_named_after_a_subcommand() {
        let words = |given: &[&str]| {
            let given = given.iter().map(OsString::from).collect();
            let words = arguments(given).into_iter();
            words
                .map(|word| word.into_string().unwrap())
                .collect::<Vec<_>>()
        };
        assert_eq!(
            words(&["/usr/bin/xdp-filter", "check"]),
            ["xdp", "filter", "check"]
        );
        assert_eq!(words(&["xdp-man.exe"]), ["xdp", "man"]);
        assert_eq!(words(&["xdp-cli", "man"]), ["xdp-cli", "man"]);
        assert_eq!(words(&["xdp", "filter"]), ["xdp", "filter"]);
        assert!(words(&[]).is_empty());
    }
}
