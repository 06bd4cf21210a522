//! What rings carry.

use xdp_abi::frame::FrameDescriptor;
use zerocopy::{FromBytes, Immutable, IntoBytes};

/// A value made of whole words, any bits of which are a value: what an element of a ring starts with.
///
/// Extensions may follow it in the ring.
pub trait Element: Copy + FromBytes + IntoBytes + Immutable {
    /// Words the value takes.
    const WORDS: usize = {
        assert!(size_of::<Self>() > 0 && size_of::<Self>().is_multiple_of(size_of::<u64>()));
        assert!(align_of::<Self>() == align_of::<u64>());
        size_of::<Self>() / size_of::<u64>()
    };
}

/// The address of a chunk: an element of a fill or completion ring.
impl Element for u64 {}

impl Element for FrameDescriptor {}

/// Elements as words. None are lost: [`Element::WORDS`] exists only for types that are whole words.
#[inline]
pub(crate) fn words<E: Element>(elements: &[E]) -> &[u64] {
    const { assert!(E::WORDS > 0) };
    <[u64]>::ref_from_bytes(elements.as_bytes()).unwrap_or_default()
}

/// Elements as words to be overwritten.
#[inline]
pub(crate) fn words_mut<E: Element>(elements: &mut [E]) -> &mut [u64] {
    const { assert!(E::WORDS > 0) };
    <[u64]>::mut_from_bytes(elements.as_mut_bytes()).unwrap_or_default()
}
