//! Packets and the pieces of memory that they lie in.

use core::marker::PhantomData;
use core::mem;
use core::ptr::NonNull;

use super::buffer::Nbl;
use crate::memory::{copy_bytes, system_address};
use crate::sys::{MDL, NET_BUFFER};

/// How much of a packet its memory descriptor lists describe.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Extent {
    /// All of it.
    Whole,
    /// A piece of it cannot be mapped.
    Unmapped,
    /// Less than its length: whoever made it has broken the rules.
    Short,
}

/// More memory descriptor lists than any packet has: a chain of more is taken for one that goes round in a circle.
const MOST_PIECES: u32 = 8192;

/// The packets of a list.
#[derive(Clone, Debug)]
pub struct NetBuffers<'a> {
    next: *mut NET_BUFFER,
    list: PhantomData<&'a Nbl>,
}

impl<'a> NetBuffers<'a> {
    pub(super) fn of(list: &'a Nbl) -> Self {
        let raw = list.as_ptr();
        Self {
            // SAFETY: the list is borrowed.
            next: unsafe { (*raw).FirstNetBuffer },
            list: PhantomData,
        }
    }

    /// As [`NetBuffers::of`], for a list that is there for longer than this value of it.
    ///
    /// # Safety
    ///
    /// The list itself is borrowed for `'a`.
    pub(super) unsafe fn of_borrowed(list: &Nbl) -> Self {
        let NetBuffers { next, .. } = NetBuffers::of(list);
        Self {
            next,
            list: PhantomData,
        }
    }
}

impl<'a> Iterator for NetBuffers<'a> {
    type Item = NetBuffer<'a>;

    #[inline]
    fn next(&mut self) -> Option<NetBuffer<'a>> {
        let buffer = NonNull::new(self.next)?;
        // SAFETY: part of a list that is borrowed.
        self.next = unsafe { (*buffer.as_ptr()).Next };
        Some(NetBuffer {
            buffer,
            list: PhantomData,
        })
    }
}

/// One packet.
#[doc(alias = "NET_BUFFER")]
#[derive(Clone, Copy, Debug)]
pub struct NetBuffer<'a> {
    buffer: NonNull<NET_BUFFER>,
    list: PhantomData<&'a Nbl>,
}

impl<'a> NetBuffer<'a> {
    /// The structure, valid while its list is borrowed.
    #[must_use]
    pub const fn as_ptr(&self) -> *mut NET_BUFFER {
        self.buffer.as_ptr()
    }

    /// The length of the packet.
    #[must_use]
    #[inline]
    #[expect(clippy::len_without_is_empty, reason = "packets are not empty")]
    pub fn len(&self) -> usize {
        // SAFETY: part of a list that is borrowed.
        unsafe { (*self.as_ptr()).DataLength as usize }
    }

    /// The first piece of the packet; [`None`] when it cannot be mapped.
    #[must_use]
    #[inline]
    pub fn first_segment(&self) -> Option<&'a [u8]> {
        self.segments().next().unwrap_or(Some(&[]))
    }

    /// Whether the first piece is the whole packet.
    #[must_use]
    #[inline]
    pub fn is_contiguous(&self) -> bool {
        let Pieces { mdl, offset, rest } = self.pieces();
        // SAFETY: null, or part of a list that is borrowed.
        let bytes = unsafe { mdl.as_ref() }.map_or(0, |mdl| mdl.ByteCount as usize);
        bytes.saturating_sub(offset) >= rest
    }

    /// Whether the packet is all there. Only of such a packet may pieces be looked at without an end in sight.
    #[must_use]
    pub fn extent(&self) -> Extent {
        let mut pieces = self.pieces();
        // SAFETY: null, or part of a list that is borrowed.
        let first = unsafe { pieces.mdl.as_ref() }.map_or(0, |mdl| mdl.ByteCount as usize);
        if pieces.offset > first {
            return Extent::Short;
        }
        for _ in 0..MOST_PIECES {
            match pieces.advance() {
                None => break,
                Some(None) => return Extent::Unmapped,
                Some(Some(_)) => {}
            }
        }
        if pieces.rest == 0 {
            Extent::Whole
        } else {
            Extent::Short
        }
    }

    /// Copies bytes of the packet from an offset on, as many as there are; returns how many.
    #[inline]
    pub fn read(&self, offset: usize, to: &mut [u8]) -> usize {
        let len = to.len();
        let mut rest = to;
        self.each_piece(offset, len, |piece| {
            let whole = mem::take(&mut rest);
            let Some((now, later)) = whole.split_at_mut_checked(piece.len()) else {
                return;
            };
            // SAFETY: part of the packet, which is borrowed; `now` is as long.
            unsafe { copy_bytes(piece.cast::<u8>().as_ptr(), now.as_mut_ptr(), now.len()) };
            rest = later;
        })
    }

    /// Calls `with` for the pieces of `len` bytes from an offset on, as far as they are there and can be mapped;
    /// returns the number of bytes in them.
    #[inline]
    pub(super) fn each_piece(
        &self,
        offset: usize,
        len: usize,
        mut with: impl FnMut(NonNull<[u8]>),
    ) -> usize {
        let mut skip = offset;
        let mut rest = len;
        let mut pieces = self.pieces();
        while rest > 0 {
            let Some(Some(piece)) = pieces.advance() else {
                break;
            };
            let start = skip.min(piece.len());
            skip -= start;
            let count = (piece.len() - start).min(rest);
            if count > 0 {
                // SAFETY: within the piece.
                let start = unsafe { piece.cast::<u8>().add(start) };
                with(NonNull::slice_from_raw_parts(start, count));
                rest -= count;
            }
        }
        len - rest
    }

    /// The packet's bytes, piece by piece.
    #[must_use]
    #[inline]
    pub fn segments(&self) -> Segments<'a> {
        Segments {
            pieces: self.pieces(),
            list: PhantomData,
        }
    }

    #[inline]
    fn pieces(&self) -> Pieces {
        // SAFETY: part of a list that is borrowed.
        let mdl = unsafe { (*self.as_ptr()).CurrentMdl };
        // SAFETY: as above.
        let offset = unsafe { (*self.as_ptr()).CurrentMdlOffset };
        Pieces {
            mdl,
            offset: offset as usize,
            rest: self.len(),
        }
    }
}

/// The pieces of a packet of a list that is borrowed.
#[derive(Clone, Debug)]
struct Pieces {
    mdl: *mut MDL,
    offset: usize,
    rest: usize,
}

impl Pieces {
    /// The next piece, [`None`] inside when it cannot be mapped.
    #[inline]
    fn advance(&mut self) -> Option<Option<NonNull<[u8]>>> {
        if self.rest == 0 {
            return None;
        }
        let mdl = NonNull::new(self.mdl)?;
        // SAFETY: part of a list that is borrowed.
        let bytes = unsafe { (*mdl.as_ptr()).ByteCount } as usize;
        let offset = self.offset.min(bytes);
        let len = (bytes - offset).min(self.rest);
        // SAFETY: as above.
        self.mdl = unsafe { (*mdl.as_ptr()).Next };
        self.offset = 0;
        self.rest -= len;
        if len == 0 {
            return Some(Some(NonNull::slice_from_raw_parts(NonNull::dangling(), 0)));
        }
        // SAFETY: packets are described by locked or non-paged memory.
        let Some(start) = (unsafe { system_address(mdl.as_ptr()) }) else {
            return Some(None);
        };
        // SAFETY: the offset is within the described bytes.
        let start = unsafe { start.add(offset) };
        Some(Some(NonNull::slice_from_raw_parts(start, len)))
    }
}

/// The pieces of a packet, one for each memory descriptor list; [`None`] inside when one cannot be mapped.
#[derive(Clone, Debug)]
pub struct Segments<'a> {
    pieces: Pieces,
    list: PhantomData<&'a Nbl>,
}

impl Segments<'_> {
    /// How many bytes the remaining pieces should have.
    #[must_use]
    pub const fn remaining(&self) -> usize {
        self.pieces.rest
    }
}

impl<'a> Iterator for Segments<'a> {
    type Item = Option<&'a [u8]>;

    #[inline]
    fn next(&mut self) -> Option<Option<&'a [u8]>> {
        let piece = self.pieces.advance()?;
        // SAFETY: bytes that are described; whoever lends a packet leaves its bytes alone.
        Some(piece.map(|piece| unsafe { piece.as_ref() }))
    }
}
