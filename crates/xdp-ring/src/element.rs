//! What rings carry.

use crate::memory::ElementWord;
use xdp_abi::frame::FrameDescriptor;

/// A value that fits the words of an element.
pub trait Element: Copy {
    /// Words the value takes; extensions may follow it.
    const WORDS: usize;

    /// Reads the value, each word once; `None` if there are too few words.
    fn load<W: ElementWord>(words: &[W]) -> Option<Self>;

    /// Writes the value; `None`, and nothing is written, if there are too few words.
    fn store<W: ElementWord>(self, words: &[W]) -> Option<()>;
}

/// The address of a chunk: an element of a fill or completion ring.
impl Element for u64 {
    const WORDS: usize = 1;

    #[inline]
    fn load<W: ElementWord>(words: &[W]) -> Option<Self> {
        words.first().map(ElementWord::load)
    }

    #[inline]
    fn store<W: ElementWord>(self, words: &[W]) -> Option<()> {
        words.first().map(|word| word.store(self))
    }
}

impl Element for FrameDescriptor {
    const WORDS: usize = 2;

    #[inline]
    fn load<W: ElementWord>(words: &[W]) -> Option<Self> {
        let [address, length, ..] = words else {
            return None;
        };
        let words = [address.load(), length.load()];
        Some(zerocopy::transmute!(words))
    }

    #[inline]
    fn store<W: ElementWord>(self, words: &[W]) -> Option<()> {
        let [address, length, ..] = words else {
            return None;
        };
        let values: [u64; 2] = zerocopy::transmute!(self);
        address.store(values[0]);
        length.store(values[1]);
        Some(())
    }
}
