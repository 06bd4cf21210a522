//! Project tasks: what `cargo` alone does not do.

#![forbid(unsafe_code)]

#[cfg(feature = "development")]
mod api;
#[cfg(feature = "development")]
mod bench;
mod check;
mod commands;
mod conformance;
mod demo;
mod driver;
#[cfg(feature = "development")]
mod equivalence;
mod house;
mod sanitize;
mod windows;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand, ValueEnum};

/// Builds, checks and benchmarks what cargo alone does not.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Args {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    #[cfg(feature = "development")]
    /// Compares the public API of the crate `xdp` with crates/xdp/public-api.txt, or writes that file when XDP_BLESS=1.
    Api,
    #[cfg(feature = "development")]
    /// Measures one part of the system beside its peers.
    Bench(bench::Args),
    /// Writes the reference chapter of the book, and man pages, from the definition of the command line.
    Commands(commands::Args),
    /// Writes the page that says which tests check which statement of the specification.
    Conformance {
        /// Only checks that the page is up to date.
        #[arg(long)]
        check: bool,
    },
    /// Builds xdp.sys, or checks a driver file.
    Driver {
        /// Processor architecture to build for.
        #[arg(long, value_enum, default_value_t = Arch::X86_64)]
        arch: Arch,
        /// Checks this driver file instead of building: exit code 1 and one line per defect when it is not fit to ship.
        #[arg(long, value_name = "FILE", conflicts_with_all = ["arch", "toolchain"])]
        check: Option<PathBuf>,
        /// Only says which toolchain would build the driver; exit code 3 when there is none.
        #[arg(long)]
        toolchain: bool,
    },
    /// Shows real programs talking through the driver.
    Demo(demo::Args),
    #[cfg(feature = "development")]
    /// Compares the rule classifier with a plain walk over the list, on random lists and frames.
    Equivalence(equivalence::Args),
    /// Checks the dependency arrows, the unsafe table and the file sizes.
    House,
    /// Runs the tests of what is shared between threads under the address and thread sanitizers.
    Sanitize(sanitize::Args),
    /// Builds the command and the samples for Windows, and starts each under wine.
    Windows(windows::Args),
}

/// Processor architectures that the driver is built for.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Arch {
    /// x64.
    #[value(name = "x86_64", alias = "x64")]
    X86_64,
    /// Arm64.
    #[value(name = "aarch64", alias = "arm64")]
    Aarch64,
}

fn main() -> ExitCode {
    let result = match Args::parse().task {
        #[cfg(feature = "development")]
        Task::Api => api::run(),
        #[cfg(feature = "development")]
        Task::Bench(args) => bench::run(&args),
        Task::Commands(args) => commands::run(&args),
        Task::Conformance { check } => conformance::run(check),
        Task::Driver {
            check: Some(file), ..
        } => check::run(&file),
        Task::Driver {
            arch, toolchain, ..
        } => driver::run(arch, toolchain),
        Task::Demo(args) => demo::run(&args),
        #[cfg(feature = "development")]
        Task::Equivalence(args) => Ok(equivalence::run(&args)),
        Task::House => house::run(),
        Task::Sanitize(args) => sanitize::run(&args),
        Task::Windows(args) => windows::run(&args),
    };
    result.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}
