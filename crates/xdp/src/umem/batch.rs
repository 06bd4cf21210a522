//! Many frames.

use std::fmt;
use std::ops::{Deref, DerefMut, RangeBounds};

use super::frame::Frame;
use super::pool::Pool;

/// Frames that are received, sent or dropped together, which costs less for each.
///
/// It dereferences to a slice of frames. Its capacity is how many a call of [`Socket::receive`](crate::Socket::receive) puts
/// into it at most.
pub struct Batch<'u> {
    frames: Vec<Frame<'u>>,
    capacity: usize,
}

impl<'u> Batch<'u> {
    /// An empty batch for up to `frames` frames.
    #[must_use]
    pub fn with_capacity(frames: usize) -> Self {
        Self {
            frames: Vec::with_capacity(frames),
            capacity: frames,
        }
    }

    /// How many frames are received into it at most.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// How many more frames can be received into it.
    #[must_use]
    pub fn room(&self) -> usize {
        self.capacity.saturating_sub(self.frames.len())
    }

    #[inline]
    pub(crate) fn put(&mut self, frame: Frame<'u>) {
        self.frames.push(frame);
    }

    /// Appends a frame; there is no limit but memory.
    pub fn push(&mut self, frame: Frame<'u>) {
        self.frames.push(frame);
    }

    /// Takes the last frame out.
    pub fn pop(&mut self) -> Option<Frame<'u>> {
        self.frames.pop()
    }

    /// Takes some frames out, in order.
    pub fn drain(
        &mut self,
        range: impl RangeBounds<usize>,
    ) -> impl ExactSizeIterator<Item = Frame<'u>> + '_ {
        self.frames.drain(range)
    }

    /// Drops the frames that `keep` says no to.
    pub fn retain_mut(&mut self, keep: impl FnMut(&mut Frame<'u>) -> bool) {
        self.frames.retain_mut(keep);
    }

    /// Drops all frames: they go back to their memory at once.
    pub fn clear(&mut self) {
        Pool::release_many(self.frames.drain(..).map(Frame::into_chunk));
    }
}

impl Drop for Batch<'_> {
    fn drop(&mut self) {
        self.clear();
    }
}

impl<'u> Deref for Batch<'u> {
    type Target = [Frame<'u>];

    fn deref(&self) -> &[Frame<'u>] {
        &self.frames
    }
}

impl DerefMut for Batch<'_> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.frames
    }
}

impl<'u> Extend<Frame<'u>> for Batch<'u> {
    fn extend<I: IntoIterator<Item = Frame<'u>>>(&mut self, frames: I) {
        self.frames.extend(frames);
    }
}

impl<'u> IntoIterator for Batch<'u> {
    type Item = Frame<'u>;
    type IntoIter = std::vec::IntoIter<Frame<'u>>;

    fn into_iter(mut self) -> Self::IntoIter {
        std::mem::take(&mut self.frames).into_iter()
    }
}

impl<'b, 'u> IntoIterator for &'b Batch<'u> {
    type Item = &'b Frame<'u>;
    type IntoIter = std::slice::Iter<'b, Frame<'u>>;

    fn into_iter(self) -> Self::IntoIter {
        self.frames.iter()
    }
}

impl<'b, 'u> IntoIterator for &'b mut Batch<'u> {
    type Item = &'b mut Frame<'u>;
    type IntoIter = std::slice::IterMut<'b, Frame<'u>>;

    fn into_iter(self) -> Self::IntoIter {
        self.frames.iter_mut()
    }
}

impl fmt::Debug for Batch<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Batch({} of {})", self.frames.len(), self.capacity)
    }
}
