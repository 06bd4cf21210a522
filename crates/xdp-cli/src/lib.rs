//! The `xdp` command: everything but `main`.
//!
//! Data goes to standard output, everything else to standard error. Every failure says what was tried, why it failed and what
//! to do ([`error::Failure`]), and ends with an exit code that scripts can rely on ([`error::Exit`]).

#![forbid(unsafe_code)]

pub mod args;
mod bench;
pub mod capture;
mod config;
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

use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand};
use error::Exit;
use output::Color;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::OnceLock;

/// XDP for Windows: see, drop, forward or take packets before the network stack does.
#[derive(Parser)]
#[command(
    name = "xdp",
    version,
    propagate_version = true,
    after_long_help = SETTINGS,
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

    /// File with other defaults [default: config.toml in the usual folders]
    #[arg(
        long,
        global = true,
        display_order = 104,
        env = "XDP_CONFIG",
        hide_env_values = true,
        value_name = "FILE"
    )]
    config: Option<PathBuf>,
}

const SETTINGS: &str = "\
A value comes from the first of these that has one: the flag, its variable, the configuration file, the default. The file is the one \
that --config or XDP_CONFIG names, or else config.toml in $XDG_CONFIG_HOME/xdp (~/.config/xdp) or /etc/xdp, on Windows in %APPDATA%\\xdp \
or %ProgramData%\\xdp. Its keys are the long names of flags; what is in the table of a subcommand is for that one:

  interface = \"Ethernet 2\"
  color = \"never\"
  [monitor]
  interval = \"500ms\"
  [bench.rx]
  size = 128

Variables: XDP_INTERFACE (--interface), XDP_LOG (--log), XDP_CONFIG (--config), XDP_DRIVER (the driver of labs), XDP_RUNTIME_DIR (where \
sessions are found), NO_COLOR and CLICOLOR_FORCE.

Exit codes: 0 done, 1 failed, 2 wrong usage, 3 no driver or one that cannot be used, 4 not permitted, 5 not supported by the interface, \
6 no such interface, 7 in use by somebody else, 130 ended by Ctrl-C.";

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
    /// Boot a driver in a simulated NT kernel.
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
    Cli::command().long_version(long_version())
}

/// The versions of this command, of what it asks drivers for, and of the driver of this machine.
fn long_version() -> &'static str {
    static VERSION: OnceLock<String> = OnceLock::new();
    VERSION.get_or_init(|| {
        let mut text = format!("{}\nXDP API 1, 2 and 3", env!("CARGO_PKG_VERSION"));
        if let Some(driver) = status::driver::DriverRecord::of_windows() {
            text = format!("{text}\n{}", driver.line());
        }
        text
    })
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
    let arguments = arguments(std::env::args_os().collect());
    let configured = match config::apply(definition(), &arguments) {
        Ok(configured) => configured,
        Err(failure) => {
            failure.print();
            return failure.exit().into();
        }
    };
    let matches = configured.definition.try_get_matches_from(arguments);
    let cli = match matches.and_then(|matches| Cli::from_arg_matches(&matches)) {
        Ok(cli) => cli,
        Err(error) => {
            // Nobody reads what cannot be printed.
            let _ = error.print();
            if let Some(file) = configured.file.filter(|_| error.use_stderr()) {
                messages::say(format_args!("defaults come from {}", file.display()));
            }
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
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
