//! A rule list and frames from any bytes: classifier, walker and oracle name the same rule.

use xdp_rules::oracle::Equivalence;

/// Longest frame: behind it no rule looks.
const FRAME_MAX: usize = 640;

/// Takes the first eight bytes as the seed of a list, the next as its length, and the rest as a frame and as bits to flip in
/// frames that rules match.
pub(crate) fn check(data: &[u8]) {
    let Some((seed, [count, change @ ..])) = data.split_first_chunk::<8>() else {
        return;
    };
    let mut run = Equivalence::new(u64::from_le_bytes(*seed));
    let change = change.get(..FRAME_MAX).unwrap_or(change);
    if let Err(mismatch) = run.step_small(usize::from(count % 64), change) {
        panic!("{}", mismatch.0);
    }
}
