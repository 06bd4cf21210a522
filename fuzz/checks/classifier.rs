//! A rule list and frames from any bytes: classifier, walker and oracle name the same rule.

use xdp_rules::oracle::Equivalence;

/// Takes the first eight bytes as the seed of lists, and the next as the number of them.
pub(crate) fn check(data: &[u8]) {
    let Some((seed, rest)) = data.split_first_chunk::<8>() else {
        return;
    };
    let mut run = Equivalence::new(u64::from_le_bytes(*seed));
    for frame in rest.chunks(512).take(4).chain([&[][..]]) {
        if let Err(mismatch) = run.step_with(frame) {
            panic!("list {}: {}", run.lists, mismatch.0);
        }
    }
}
