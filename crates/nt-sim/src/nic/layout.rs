//! How a NIC lays frames out in memory.

/// How frames lie in buffers and MDLs.
///
/// Drivers must accept any of it: headers cut anywhere, data that starts in the middle of an MDL,
/// MDLs longer than the frame, buffers that the NIC wants back at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    pub(crate) backfill: usize,
    pub(crate) splits: Vec<usize>,
    pub(crate) trailing: usize,
    pub(crate) skew: usize,
    pub(crate) empty_mdls: bool,
    pub(crate) resources: bool,
    pub(crate) unmapped: bool,
    pub(crate) random: Option<u64>,
}

impl Default for Layout {
    fn default() -> Self {
        Layout::contiguous()
    }
}

impl Layout {
    /// Each frame in one MDL of its own length.
    pub fn contiguous() -> Layout {
        Layout {
            backfill: 0,
            splits: Vec::new(),
            trailing: 0,
            skew: 0,
            empty_mdls: false,
            resources: false,
            unmapped: false,
            random: None,
        }
    }

    /// Frame bytes per MDL; what is left goes into a last one.
    pub fn split(sizes: &[usize]) -> Layout {
        Layout {
            splits: sizes.to_vec(),
            ..Layout::contiguous()
        }
    }

    /// Another layout for each frame, drawn from `seed`.
    pub fn random(seed: u64) -> Layout {
        Layout {
            random: Some(seed),
            ..Layout::contiguous()
        }
    }

    /// Unused bytes before the frame in the first MDL.
    #[must_use]
    pub fn backfill(mut self, bytes: usize) -> Layout {
        self.backfill = bytes;
        self
    }

    /// Unused bytes after the frame in the last MDL.
    #[must_use]
    pub fn trailing(mut self, bytes: usize) -> Layout {
        self.trailing = bytes;
        self
    }

    /// Buffers start this many bytes off alignment.
    #[must_use]
    pub fn skew(mut self, bytes: usize) -> Layout {
        self.skew = bytes;
        self
    }

    /// An MDL without bytes lies between any two.
    #[must_use]
    pub fn empty_mdls(mut self) -> Layout {
        self.empty_mdls = true;
        self
    }

    /// Receives are indicated with the RESOURCES flag.
    #[must_use]
    pub fn resources(mut self) -> Layout {
        self.resources = true;
        self
    }

    /// MDLs have locked pages and no address in the kernel: who looks at a frame has to map it, which may fail. For what
    /// a driver above can see; the wire reads pages.
    #[must_use]
    pub fn unmapped(mut self) -> Layout {
        self.unmapped = true;
        self
    }

    /// Whether every frame lies in one MDL.
    pub(crate) fn is_plain(&self) -> bool {
        self.random.is_none() && self.splits.is_empty() && !self.empty_mdls && !self.unmapped
    }

    /// The layout of the next frame.
    pub(crate) fn next(&self, random: &mut Random) -> Layout {
        if self.random.is_none() {
            return self.clone();
        }
        let pieces = random.below(6);
        Layout {
            backfill: random.below(65),
            splits: (0..pieces).map(|_| 1 + random.below(40)).collect(),
            trailing: random.below(33),
            skew: random.below(16),
            empty_mdls: random.below(8) == 0,
            resources: false,
            unmapped: false,
            random: None,
        }
    }
}

/// Random numbers that a seed repeats (splitmix64).
#[derive(Clone, Debug)]
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number from 0 to `limit` - 1.
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit.max(1) as u64) as usize
    }
}
