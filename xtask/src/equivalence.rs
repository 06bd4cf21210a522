//! `cargo xtask equivalence`: the long comparison of classifier, walker and oracle.

use std::process::ExitCode;
use std::time::Instant;

use xdp_rules::oracle::Equivalence;

/// How long, and which numbers.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Pairs of a rule list and a frame to compare at least.
    #[arg(long, default_value_t = 10_000_000)]
    pairs: u64,
    /// Where the random numbers start; the same seed gives the same run.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// Compares until there were enough pairs, or a difference.
pub(crate) fn run(args: &Args) -> ExitCode {
    let mut run = Equivalence::new(args.seed);
    let start = Instant::now();
    while run.pairs < args.pairs {
        if let Err(mismatch) = run.step() {
            println!("seed {}, list {}: {}", args.seed, run.lists, mismatch.0);
            return ExitCode::FAILURE;
        }
    }
    println!(
        "{} pairs of {} lists, {} of them with a match: no difference ({:.1} s)",
        run.pairs,
        run.lists,
        run.matched,
        start.elapsed().as_secs_f64()
    );
    ExitCode::SUCCESS
}
