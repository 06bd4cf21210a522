//! The classifier, the walker and the oracle name the same rule for every pair of a rule list and a frame.
//!
//! A short run from a fixed seed. `cargo xtask equivalence --pairs 10000000` is the long one.

use xdp_rules::oracle::Equivalence;

#[test]
fn a_short_run_finds_no_difference() {
    let mut run = Equivalence::new(2026);
    while run.pairs < 100_000 {
        if let Err(mismatch) = run.step() {
            panic!("list {}: {}", run.lists, mismatch.0);
        }
    }
    // Both answers have to be common, or the run shows little.
    assert!(run.matched * 8 > run.pairs, "{run:?}");
    assert!(run.matched * 4 < run.pairs * 3, "{run:?}");
}
