//! `cargo xtask sanitize`: tests under the address and thread sanitizers.
//!
//! The sanitizers are unstable compiler options; `RUSTC_BOOTSTRAP` lets the stable compiler take them.

use std::process::{Command, ExitCode};

use anyhow::{Context, bail};
use clap::ValueEnum;

/// Which sanitizers.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Only this one.
    #[arg(long, value_enum)]
    only: Option<Sanitizer>,
}

/// A sanitizer.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
enum Sanitizer {
    /// Memory that is not there, or not any more.
    Address,
    /// Accesses that nothing orders.
    Thread,
}

impl Sanitizer {
    fn flags(self) -> &'static str {
        match self {
            Self::Address => "-Zsanitizer=address",
            // The standard library is not instrumented.
            Self::Thread => "-Zsanitizer=thread -Cunsafe-allow-abi-mismatch=sanitizer",
        }
    }
}

/// A package and those of its tests that touch shared or raw memory.
const SUITES: &[(&str, &[&str])] = &[("xdp-ring", &["mapped", "hostile", "corpus", "umem"])];

/// Races that are none.
const SUPPRESSIONS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tsan-suppressions.txt");

/// Runs every suite under every sanitizer asked for.
pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let host = host()?;
    let mut failed = false;
    for sanitizer in [Sanitizer::Address, Sanitizer::Thread] {
        if args.only.is_some_and(|only| only != sanitizer) {
            continue;
        }
        for (package, tests) in SUITES {
            println!("{sanitizer:?}: {package}");
            let mut command = Command::new(&cargo);
            // Naming the target keeps build scripts and procedural macros free of the sanitizer.
            command.args(["test", "--quiet", "--package", package, "--target", &host]);
            command.args(tests.iter().flat_map(|test| ["--test", test]));
            // Assembly is invisible to a sanitizer: the rings do without.
            let flags = format!("{} --cfg xdp_ring_plain_words", sanitizer.flags());
            command.env("RUSTC_BOOTSTRAP", "1").env("RUSTFLAGS", flags);
            command.env("TSAN_OPTIONS", format!("suppressions={SUPPRESSIONS}"));
            let status = command.status().context("running cargo")?;
            failed |= !status.success();
        }
    }
    if failed {
        bail!("a sanitizer complained, or a test failed");
    }
    Ok(ExitCode::SUCCESS)
}

/// The target this machine runs.
fn host() -> anyhow::Result<String> {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(rustc)
        .arg("-vV")
        .output()
        .context("asking rustc for its target")?;
    let text = String::from_utf8_lossy(&output.stdout);
    let host = text.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned)
        .context("rustc does not say which target it runs on")
}
