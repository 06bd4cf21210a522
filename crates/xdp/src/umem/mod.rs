//! Frame memory, and frames in it.

mod batch;
mod frame;
pub(crate) mod pool;

pub use batch::Batch;
pub(crate) use frame::Parts;
pub use frame::{Frame, FrameInfo, NoRoom, SendOffload};

use std::fmt;

use xdp_ring::UmemGeometry;

use crate::error::{Call, Error, Kind};
use crate::interface::System;
use pool::Pool;

/// Frame memory: what sockets receive into and send from.
///
/// It is cut into frames of one size. A frame belongs to one owner at a time: it is free, or in the hands of the
/// program as a [`Frame`], or lent to the driver through a socket. A `Frame` borrows the memory that it is in, so it
/// cannot outlive it:
///
/// ```compile_fail,E0505
/// # fn f(system: &xdp::System) -> Result<(), xdp::Error> {
/// let umem = xdp::Umem::builder(system).build()?;
/// let frame = umem.frame();
/// drop(umem);
/// drop(frame);
/// # Ok(())
/// # }
/// ```
///
/// Several sockets may use the same memory, and frames received by one may be sent by another.
#[doc(alias = "XSK_UMEM_REG")]
pub struct Umem {
    system: System,
    pool: Pool,
}

/// Frame memory that is being described.
#[derive(Clone, Debug)]
#[must_use]
pub struct UmemBuilder {
    system: System,
    frames: u32,
    frame_size: u32,
    headroom: u32,
}

impl Umem {
    /// Starts describing frame memory for sockets of a system, or of the system that an interface is in: 4,096 frames of
    /// 2,048 bytes without headroom.
    pub fn builder(system: impl Into<System>) -> UmemBuilder {
        UmemBuilder {
            system: system.into(),
            frames: 4096,
            frame_size: 2048,
            headroom: 0,
        }
    }

    /// Takes a free frame, empty, with the headroom that received frames have before them; `None` when all are in use.
    #[must_use]
    pub fn frame(&self) -> Option<Frame<'_>> {
        let chunk = self.pool.allocate()?;
        Some(Frame::empty(chunk))
    }

    /// Fills a batch with free, empty frames up to its capacity, as far as there are any; returns how many it added.
    pub fn fill<'u>(&'u self, batch: &mut Batch<'u>) -> usize {
        let before = batch.len();
        self.pool
            .allocate_many(batch.room(), |chunk| batch.put(Frame::empty(chunk)));
        batch.len() - before
    }

    /// Number of frames.
    #[must_use]
    pub fn frames(&self) -> u32 {
        self.pool.geometry().chunks()
    }

    /// Number of frames that nobody uses.
    #[must_use]
    pub fn free_frames(&self) -> usize {
        self.pool.free_chunks()
    }

    /// Size of a frame in bytes, headroom included.
    #[must_use]
    pub fn frame_size_bytes(&self) -> u32 {
        self.pool.geometry().chunk_size()
    }

    /// Bytes that are left free before the data of a received frame.
    #[must_use]
    pub fn headroom_bytes(&self) -> u32 {
        self.pool.geometry().headroom()
    }

    /// Makes the memory live until the process ends, so that sockets and frames in it can be given to threads and tasks
    /// that nobody waits for.
    #[must_use]
    pub fn leak(self) -> &'static Self {
        Box::leak(Box::new(self))
    }

    pub(crate) fn pool(&self) -> &Pool {
        &self.pool
    }

    pub(crate) fn system(&self) -> &System {
        &self.system
    }
}

impl fmt::Debug for Umem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Umem")
            .field("geometry", self.pool.geometry())
            .field("free_frames", &self.free_frames())
            .finish_non_exhaustive()
    }
}

impl UmemBuilder {
    /// Sets the number of frames.
    pub fn frames(mut self, frames: u32) -> Self {
        self.frames = frames;
        self
    }

    /// Sets the size of a frame in bytes, headroom included. What is received and does not fit is cut.
    pub fn frame_size_bytes(mut self, bytes: u32) -> Self {
        self.frame_size = bytes;
        self
    }

    /// Sets the number of bytes that are left free before the data of a received frame, 0 to 65,535 and no more than
    /// a frame has.
    pub fn headroom_bytes(mut self, bytes: u32) -> Self {
        self.headroom = bytes;
        self
    }

    /// Allocates the memory.
    ///
    /// # Errors
    ///
    /// [`Kind::InvalidArgument`] with the range that is valid, or [`Kind::OutOfMemory`].
    pub fn build(self) -> Result<Umem, Error> {
        let object = format!("{} frames of {} bytes", self.frames, self.frame_size);
        let total = u64::from(self.frames) * u64::from(self.frame_size);
        let geometry =
            UmemGeometry::new(total, self.frame_size, self.headroom).map_err(|error| {
                Error::new(
                    Kind::InvalidArgument,
                    Call::AllocateUmem,
                    &object,
                    error.to_string(),
                )
            })?;
        let bytes = geometry.total_size() as usize;
        let memory = self
            .system
            .backend()
            .allocate(bytes)
            .map_err(|fault| fault.during(Call::AllocateUmem, object))?;
        Ok(Umem {
            system: self.system,
            pool: Pool::new(memory, geometry),
        })
    }
}
