//! A frame as it lies in memory: one buffer or many.

/// Bytes of the largest frame head that a decision can depend on: Ethernet (14), IPv6 (40), TCP with options (60) and a QUIC
/// long header with both connection IDs at their longest (5 + 256 + 256), rounded up.
pub const SCRATCH_SIZE: usize = 640;

/// The part of a frame behind its first buffer, for memory that is not a list of slices (a chain of MDLs, for instance).
pub trait Tail {
    /// Copies bytes from `offset` (0 is the first byte behind the first buffer) into `into` and returns how many there were.
    /// Fewer than asked means that the frame ends there.
    fn read(&self, offset: usize, into: &mut [u8]) -> usize;

    /// Returns the number of bytes behind the first buffer.
    fn size_bytes(&self) -> usize;
}

#[derive(Clone, Copy)]
enum Rest<'a> {
    None,
    Slices(&'a [&'a [u8]]),
    Tail(&'a dyn Tail),
}

/// One frame: its first buffer and the rest. Copying it copies pointers only.
#[derive(Clone, Copy)]
pub struct Frame<'a> {
    first: &'a [u8],
    rest: Rest<'a>,
}

impl<'a> Frame<'a> {
    /// Makes a frame of one buffer.
    #[inline]
    #[must_use]
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self {
            first: bytes,
            rest: Rest::None,
        }
    }

    /// Makes a frame of any number of buffers; empty buffers are fine.
    #[inline]
    #[must_use]
    pub const fn from_buffers(buffers: &'a [&'a [u8]]) -> Self {
        match buffers {
            [] => Self::new(&[]),
            [only] => Self::new(only),
            [first, rest @ ..] => Self {
                first,
                rest: Rest::Slices(rest),
            },
        }
    }

    /// Makes a frame of a first buffer and something that can be read behind it.
    #[inline]
    #[must_use]
    pub const fn with_tail(first: &'a [u8], tail: &'a dyn Tail) -> Self {
        Self {
            first,
            rest: Rest::Tail(tail),
        }
    }

    /// Returns the first buffer.
    #[inline]
    #[must_use]
    pub const fn first(&self) -> &'a [u8] {
        self.first
    }

    /// Tells whether the first buffer is known to be the whole frame.
    #[inline]
    #[must_use]
    pub const fn is_contiguous(&self) -> bool {
        matches!(self.rest, Rest::None)
    }

    /// Returns the length of the frame over all buffers.
    #[must_use]
    pub fn size_bytes(&self) -> usize {
        let rest = match self.rest {
            Rest::None => 0,
            Rest::Slices(slices) => slices
                .iter()
                .fold(0usize, |sum, slice| sum.saturating_add(slice.len())),
            Rest::Tail(tail) => tail.size_bytes(),
        };
        self.first.len().saturating_add(rest)
    }

    /// Copies the frame's bytes from `offset` into `into`, over all buffers, and returns how many there were.
    pub fn read(&self, offset: usize, into: &mut [u8]) -> usize {
        let done = copy(self.first.get(offset..).unwrap_or_default(), into);
        let offset = offset.saturating_sub(self.first.len());
        let Some(into) = into.get_mut(done..) else {
            return done;
        };
        let more = match self.rest {
            Rest::None => 0,
            Rest::Slices(slices) => read_slices(slices, offset, into),
            // A tail that claims more than it was given room for is not believed.
            Rest::Tail(tail) => tail.read(offset, into).min(into.len()),
        };
        done.saturating_add(more)
    }
}

fn read_slices(slices: &[&[u8]], mut offset: usize, into: &mut [u8]) -> usize {
    let mut done = 0usize;
    for slice in slices {
        let Some(room) = into.get_mut(done..).filter(|room| !room.is_empty()) else {
            break;
        };
        done = done.saturating_add(copy(slice.get(offset..).unwrap_or_default(), room));
        offset = offset.saturating_sub(slice.len());
    }
    done
}

#[inline]
fn copy(from: &[u8], into: &mut [u8]) -> usize {
    let count = from.len().min(into.len());
    if let (Some(from), Some(into)) = (from.get(..count), into.get_mut(..count)) {
        into.copy_from_slice(from);
    }
    count
}

/// Where the head of a split frame is gathered.
///
/// A new one costs nothing until it is used, and one can serve any number of frames after each other.
#[derive(Default)]
pub struct Scratch(Option<[u8; SCRATCH_SIZE]>);

impl Scratch {
    /// Makes an unused scratch.
    #[inline]
    #[must_use]
    pub const fn new() -> Self {
        Self(None)
    }

    /// Gathers the head of `frame`, at most `limit` bytes.
    pub(crate) fn gather(&mut self, frame: &Frame<'_>, limit: usize) -> &[u8] {
        let buffer = self.0.get_or_insert([0; SCRATCH_SIZE]);
        let limit = limit.min(SCRATCH_SIZE);
        let count = frame.read(0, buffer.get_mut(..limit).unwrap_or_default());
        buffer.get(..count).unwrap_or_default()
    }
}
