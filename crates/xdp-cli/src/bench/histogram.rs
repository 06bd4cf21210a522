//! Durations counted by size, exact to three per cent, in a fixed amount of memory.

use std::time::Duration;

/// Bits of a value that are kept: 32 buckets for each power of two.
const PRECISION: u32 = 5;
const BUCKETS: usize = ((64 - PRECISION) as usize + 1) << PRECISION;

/// A histogram of durations.
#[derive(Clone)]
pub(crate) struct Histogram {
    counts: Vec<u64>,
    samples: u64,
    sum_ns: u128,
    max_ns: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self {
            counts: vec![0; BUCKETS],
            samples: 0,
            sum_ns: 0,
            max_ns: 0,
        }
    }
}

/// The bucket of a value: the value itself while it is small, then its highest bits.
fn bucket(value: u64) -> usize {
    let bits = u64::BITS - value.leading_zeros();
    if bits <= PRECISION + 1 {
        return value as usize;
    }
    let shift = bits - PRECISION - 1;
    ((shift as usize) << PRECISION) + (value >> shift) as usize
}

/// The largest value in a bucket.
fn upper_end(bucket: usize) -> u64 {
    let shift = (bucket >> PRECISION).saturating_sub(1) as u32;
    if shift == 0 {
        return bucket as u64;
    }
    let top = (bucket - ((shift as usize) << PRECISION)) as u64;
    (top << shift) | ((1 << shift) - 1)
}

impl Histogram {
    /// Counts a duration.
    pub(crate) fn record(&mut self, duration: Duration) {
        let value = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        if let Some(count) = self.counts.get_mut(bucket(value)) {
            *count += 1;
        }
        self.samples += 1;
        self.sum_ns += u128::from(value);
        self.max_ns = self.max_ns.max(value);
    }

    /// Number of durations.
    pub(crate) fn samples(&self) -> u64 {
        self.samples
    }

    /// The longest one, in nanoseconds.
    pub(crate) fn max_ns(&self) -> u64 {
        self.max_ns
    }

    /// Their mean, in nanoseconds; 0 without any.
    pub(crate) fn mean_ns(&self) -> u64 {
        self.sum_ns.checked_div(self.samples.into()).unwrap_or(0) as u64
    }

    /// What this share of them is no longer than, in nanoseconds; 0 without any.
    pub(crate) fn quantile_ns(&self, share: f64) -> u64 {
        let wanted = ((self.samples as f64 * share).ceil() as u64).max(1);
        let mut seen = 0;
        for (bucket, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen >= wanted {
                return upper_end(bucket).min(self.max_ns);
            }
        }
        self.max_ns
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_follow_one_another_and_hold_their_values() {
        let mut last = None;
        for value in (0..5000).chain([1 << 20, (1 << 40) + 12345, u64::MAX - 1, u64::MAX]) {
            let bucket = bucket(value);
            assert!(bucket < BUCKETS, "{value}");
            assert!(upper_end(bucket) >= value, "{value}");
            let error = (upper_end(bucket) - value) as f64 / value.max(1) as f64;
            assert!(error < 0.035, "{value}: {error}");
            assert!(last.is_none_or(|last| last <= bucket), "{value}");
            last = Some(bucket);
        }
    }

    #[test]
    fn quantiles_are_those_of_what_was_counted() {
        let mut histogram = Histogram::default();
        assert_eq!(histogram.quantile_ns(0.99), 0);
        for microseconds in 1..=1000 {
            histogram.record(Duration::from_micros(microseconds));
        }
        assert_eq!(histogram.samples(), 1000);
        assert_eq!(histogram.max_ns(), 1_000_000);
        assert_eq!(histogram.mean_ns(), 500_500);
        for (share, expected) in [(0.5, 500_000.0), (0.99, 990_000.0), (1.0, 1_000_000.0)] {
            let found = histogram.quantile_ns(share) as f64;
            assert!(
                (found - expected).abs() / expected < 0.035,
                "{share}: {found}"
            );
        }
    }
}
