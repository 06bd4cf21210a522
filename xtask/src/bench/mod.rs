//! `cargo xtask bench SUITE`: our code and its peers, measured in one run, slice by slice in turn.

mod driver;
mod lab;
pub(crate) mod measure;
mod ring;
mod rules;

use std::process::ExitCode;

use anyhow::Context;
use clap::ValueEnum;

use measure::{Bench, Machine, Report};

/// What to measure and how long.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Which part of the system.
    #[arg(value_enum)]
    suite: Suite,
    /// Processor the measuring thread is pinned to.
    #[arg(long, default_value_t = 0)]
    cpu: usize,
    /// Second processor, for cases that need two.
    #[arg(long, default_value_t = 1)]
    peer_cpu: usize,
    /// Slices per contender.
    #[arg(long, default_value_t = 100)]
    slices: usize,
    /// Milliseconds that a slice should last. Longer ones are for profilers: what is set up for a slice weighs less.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    slice_ms: u64,
    /// Only cases whose name contains this.
    #[arg(long, value_name = "TEXT")]
    only: Option<String>,
    /// Driver file for the suites that run one; default: the built one.
    #[arg(long, value_name = "FILE")]
    driver: Option<std::path::PathBuf>,
    /// How the result is printed.
    #[arg(long, short, value_enum, default_value_t = Output::Json)]
    output: Output,
}

/// A part of the system that has a benchmark.
#[derive(Clone, Copy, ValueEnum)]
enum Suite {
    /// The driver on its data path: drop, pass, L2FWD, sockets.
    Driver,
    /// The lab: frames through a stack with and without the driver, and boots.
    Lab,
    /// Shared rings: one thread, and two processors beside other ring libraries.
    Ring,
    /// Rule lists: the classifier beside the plain walker and maps for one kind of list.
    Rules,
}

/// Form of the result.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Output {
    /// One JSON document.
    Json,
    /// A table.
    Text,
}

/// Runs the suite and prints what it measured.
pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    if cfg!(debug_assertions) {
        return in_release();
    }
    let bench = Bench {
        cpu: args.cpu,
        peer_cpu: args.peer_cpu,
        slices: args.slices.max(1),
        slice: std::time::Duration::from_millis(args.slice_ms),
        only: args.only.clone(),
    };
    let cases = match args.suite {
        Suite::Driver => driver::run(&bench, args.driver.as_deref())?,
        Suite::Lab => lab::run(&bench, args.driver.as_deref())?,
        Suite::Ring => ring::run(&bench)?,
        Suite::Rules => rules::run(&bench)?,
    };
    let report = Report {
        machine: Machine::describe(),
        cases,
    };
    match args.output {
        Output::Json => println!("{}", serde_json::to_string_pretty(&report)?),
        Output::Text => print!("{report}"),
    }
    Ok(ExitCode::SUCCESS)
}

/// Runs the same command again, optimised: what a debug build measures means nothing.
fn in_release() -> anyhow::Result<ExitCode> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = std::process::Command::new(cargo)
        .args(["run", "--quiet", "--release", "--package", "xtask", "--"])
        .args(std::env::args_os().skip(1))
        .status()
        .context("running cargo")?;
    Ok(ExitCode::from(
        u8::try_from(status.code().unwrap_or(1)).unwrap_or(1),
    ))
}
