//! One frame.

use std::fmt;
use std::ops::{Deref, DerefMut};

use xdp_abi::frame::{FrameChecksum, FrameLayout};

use super::pool::{Chunk, Lender};

/// A frame in frame memory that belongs to this program.
///
/// It dereferences to its bytes, from the Ethernet header on. Sending it takes it away, so that it cannot be sent twice
/// nor read or changed while the driver has it; dropping it gives it back to its [`Umem`](super::Umem).
///
/// ```compile_fail,E0382
/// # fn f<'u>(socket: &mut xdp::Socket<'u>, frame: xdp::Frame<'u>) {
/// let _ = socket.send_one(frame);
/// let _ = socket.send_one(frame); // it is gone
/// # }
/// ```
///
/// ```compile_fail,E0382
/// # fn f<'u>(socket: &mut xdp::Socket<'u>, frame: xdp::Frame<'u>) -> usize {
/// let _ = socket.send_one(frame);
/// frame.len() // it is gone
/// # }
/// ```
pub struct Frame<'u> {
    chunk: Chunk<'u>,
    start: u32,
    len: u32,
    info: FrameInfo,
}

/// What travels beside the bytes of a frame, where it was enabled in the builder of the socket.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FrameInfo {
    /// When it was received, in the interface's own unit.
    pub timestamp: Option<u64>,
    /// How many bytes it had before it was cut.
    pub original_length_bytes: Option<u32>,
    /// Kinds and lengths of its headers, as the interface found them.
    pub layout: Option<FrameLayout>,
    /// What the interface found out about its checksums.
    pub checksum: Option<FrameChecksum>,
    /// What the interface is to do when it sends the frame.
    pub offload: Option<SendOffload>,
}

/// What the interface is to do about the checksums of a frame that it sends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SendOffload {
    /// Kinds and lengths of the headers, without which it cannot find the checksums.
    pub layout: FrameLayout,
    /// Which checksums to compute ([`TxChecksumAction`](xdp_abi::frame::TxChecksumAction)).
    pub checksum: FrameChecksum,
}

/// There is no room in the frame for that many bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{wanted_bytes} bytes do not fit: there is room for {room_bytes}")]
pub struct NoRoom {
    /// How many bytes were asked for.
    pub wanted_bytes: usize,
    /// How many there are.
    pub room_bytes: usize,
}

impl<'u> Frame<'u> {
    /// Nothing yet, with the headroom of the memory before it.
    #[inline]
    pub(super) fn empty(chunk: Chunk<'u>) -> Self {
        let start = chunk.pool().geometry().headroom();
        Self {
            chunk,
            start,
            len: 0,
            info: FrameInfo::default(),
        }
    }

    /// What the driver wrote; `None` if that is not inside the chunk.
    #[inline]
    pub(crate) fn received(
        chunk: Chunk<'u>,
        start: u32,
        len: u32,
        info: FrameInfo,
    ) -> Option<Self> {
        let end = u64::from(start) + u64::from(len);
        (end <= chunk.size() as u64).then_some(Self {
            chunk,
            start,
            len,
            info,
        })
    }

    #[inline]
    pub(crate) fn into_chunk(self) -> Chunk<'u> {
        self.chunk
    }

    /// Takes it apart, for sending.
    #[inline]
    pub(crate) fn split(self) -> (Chunk<'u>, Parts) {
        let parts = Parts {
            start: self.start,
            len: self.len,
            info: self.info,
        };
        (self.chunk, parts)
    }

    /// Whether it is in the memory that a socket lends from.
    #[inline]
    pub(crate) fn is_of(&self, lender: &Lender<'_>) -> bool {
        std::ptr::eq(self.chunk.pool(), lender.pool())
    }

    /// What travels beside the bytes.
    #[must_use]
    pub fn info(&self) -> &FrameInfo {
        &self.info
    }

    /// What travels beside the bytes, to be changed before sending.
    pub fn info_mut(&mut self) -> &mut FrameInfo {
        &mut self.info
    }

    /// Free bytes before the data.
    #[must_use]
    pub fn headroom(&self) -> usize {
        self.start as usize
    }

    /// Free bytes behind the data.
    #[must_use]
    pub fn tailroom(&self) -> usize {
        self.chunk.size() - self.start as usize - self.len as usize
    }

    /// Sets the length, keeping the start. Bytes that are added have whatever value was there.
    ///
    /// # Errors
    ///
    /// When there is not that much room.
    pub fn set_len(&mut self, bytes: usize) -> Result<(), NoRoom> {
        let room = self.len as usize + self.tailroom();
        if bytes > room {
            return Err(NoRoom {
                wanted_bytes: bytes,
                room_bytes: room,
            });
        }
        self.len = bytes as u32;
        Ok(())
    }

    /// Cuts the end off, so that at most `bytes` are left.
    pub fn truncate(&mut self, bytes: usize) {
        self.len = self.len.min(u32::try_from(bytes).unwrap_or(u32::MAX));
    }

    /// Makes it empty, with the headroom of the memory before it.
    pub fn clear(&mut self) {
        self.start = self.chunk.pool().geometry().headroom();
        self.len = 0;
        self.info = FrameInfo::default();
    }

    /// Appends bytes.
    ///
    /// # Errors
    ///
    /// When there is not enough room; then nothing is appended.
    pub fn extend_from_slice(&mut self, bytes: &[u8]) -> Result<(), NoRoom> {
        let at = self.len as usize;
        let room = self.tailroom();
        if bytes.len() > room {
            return Err(NoRoom {
                wanted_bytes: bytes.len(),
                room_bytes: room,
            });
        }
        self.set_len(at + bytes.len())?;
        self[at..].copy_from_slice(bytes);
        Ok(())
    }

    /// Makes the data start `bytes` further in front and returns it, its new bytes with whatever value was there.
    ///
    /// # Errors
    ///
    /// When there is not that much headroom.
    pub fn grow_front(&mut self, bytes: usize) -> Result<&mut [u8], NoRoom> {
        if bytes > self.headroom() {
            return Err(NoRoom {
                wanted_bytes: bytes,
                room_bytes: self.headroom(),
            });
        }
        self.start -= bytes as u32;
        self.len += bytes as u32;
        Ok(self)
    }

    /// Cuts bytes off in front.
    ///
    /// # Errors
    ///
    /// When it has fewer.
    pub fn trim_front(&mut self, bytes: usize) -> Result<(), NoRoom> {
        if bytes > self.len as usize {
            return Err(NoRoom {
                wanted_bytes: bytes,
                room_bytes: self.len as usize,
            });
        }
        self.start += bytes as u32;
        self.len -= bytes as u32;
        Ok(())
    }
}

/// Everything about a frame but whose it is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Parts {
    pub(crate) start: u32,
    pub(crate) len: u32,
    pub(crate) info: FrameInfo,
}

impl Deref for Frame<'_> {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        self.chunk.bytes(self.start as usize, self.len as usize)
    }
}

impl DerefMut for Frame<'_> {
    #[inline]
    fn deref_mut(&mut self) -> &mut [u8] {
        self.chunk.bytes_mut(self.start as usize, self.len as usize)
    }
}

impl AsRef<[u8]> for Frame<'_> {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl AsMut<[u8]> for Frame<'_> {
    fn as_mut(&mut self) -> &mut [u8] {
        self
    }
}

impl fmt::Debug for Frame<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Frame({} bytes)", self.len)
    }
}
