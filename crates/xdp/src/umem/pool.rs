// UNSAFETY: gives the owner of a chunk of shared memory references to its bytes. That it has one owner is counted here.
#![expect(
    unsafe_code,
    reason = "references to parts of shared memory, each with one owner, cannot be had in safe code"
)]

//! Who owns which chunk of frame memory.
//!
//! Each chunk has a word that names its owner: nobody (it is free), a [`Chunk`], or the driver, by way of the [`Lender`]
//! of one socket. There is never more than one `Chunk` of a number, whatever the driver writes into rings.

use std::mem::ManuallyDrop;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use xdp_ring::UmemGeometry;

use crate::memory::Memory;
use crate::sys::Object;

const FREE: u32 = 0;
const OWNED: u32 = 1;
/// The first number that stands for a lender.
const FIRST_LENDER: u32 = 2;

/// Frame memory and the owners of its chunks.
#[derive(Debug)]
pub(crate) struct Pool {
    memory: Memory,
    geometry: UmemGeometry,
    owners: Box<[AtomicU32]>,
    free: Mutex<Vec<u32>>,
    next_lender: AtomicU32,
}

/// A chunk that belongs to this program. Dropping it gives it back.
#[derive(Debug)]
pub(crate) struct Chunk<'u> {
    pool: &'u Pool,
    number: u32,
}

/// What a socket has lent to the driver, and the socket itself: chunks come back at the latest when it is closed.
pub(crate) struct Lender<'u> {
    pool: &'u Pool,
    object: Option<Arc<dyn Object>>,
    /// Whether another process may keep the socket open.
    has_others: bool,
    receiving: u32,
    sending: u32,
}

/// What a chunk is lent for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    Receiving,
    Sending,
}

impl Pool {
    pub(crate) fn new(memory: Memory, geometry: UmemGeometry) -> Self {
        let chunks = geometry.chunks();
        Self {
            memory,
            geometry,
            owners: (0..chunks).map(|_| AtomicU32::new(FREE)).collect(),
            // The first chunks are taken first.
            free: Mutex::new((0..chunks).rev().collect()),
            next_lender: AtomicU32::new(FIRST_LENDER),
        }
    }

    pub(crate) fn memory(&self) -> &Memory {
        &self.memory
    }

    pub(crate) fn geometry(&self) -> &UmemGeometry {
        &self.geometry
    }

    fn lock(&self) -> MutexGuard<'_, Vec<u32>> {
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn free_chunks(&self) -> usize {
        self.lock().len()
    }

    fn set_owner(&self, number: u32, owner: u32) {
        // Only the present owner does this; what it wrote is published by the ring or the lock that hands the chunk on.
        self.owners[number as usize].store(owner, Ordering::Relaxed);
    }

    /// Takes a free chunk.
    pub(crate) fn allocate(&self) -> Option<Chunk<'_>> {
        let number = self.lock().pop()?;
        self.set_owner(number, OWNED);
        Some(Chunk { pool: self, number })
    }

    /// Takes up to `count` free chunks at once.
    pub(crate) fn allocate_many<'u>(&'u self, count: usize, mut take: impl FnMut(Chunk<'u>)) {
        let mut free = self.lock();
        let rest = free.len().saturating_sub(count);
        for number in free.drain(rest..) {
            self.set_owner(number, OWNED);
            take(Chunk { pool: self, number });
        }
    }

    /// Gives many chunks back, with as little locking as possible.
    pub(crate) fn release_many<'u>(chunks: impl Iterator<Item = Chunk<'u>>) {
        let mut held: Option<(&Pool, MutexGuard<'_, Vec<u32>>)> = None;
        for chunk in chunks {
            let (pool, number) = chunk.into_parts();
            pool.set_owner(number, FREE);
            match &mut held {
                Some((holder, free)) if std::ptr::eq(*holder, pool) => free.push(number),
                other => {
                    // One lock at a time.
                    *other = None;
                    let mut free = pool.lock();
                    free.push(number);
                    *other = Some((pool, free));
                }
            }
        }
    }

    /// Offset of a chunk in the memory.
    #[inline]
    fn offset(&self, number: u32) -> usize {
        number as usize * self.geometry.chunk_size() as usize
    }

    /// Starts lending to the driver by way of a socket.
    ///
    /// Where `has_others` says that other processes may have the socket open, what is lent when the lender is dropped stays lent.
    pub(crate) fn lender(&self, object: Arc<dyn Object>, has_others: bool) -> Lender<'_> {
        let receiving = self.next_lender.fetch_add(2, Ordering::Relaxed);
        assert!(
            receiving < u32::MAX - 2,
            "two thousand million sockets used this memory"
        );
        Lender {
            pool: self,
            object: Some(object),
            has_others,
            receiving,
            sending: receiving + 1,
        }
    }
}

impl<'u> Chunk<'u> {
    #[inline]
    fn into_parts(self) -> (&'u Pool, u32) {
        let chunk = ManuallyDrop::new(self);
        (chunk.pool, chunk.number)
    }

    pub(crate) fn pool(&self) -> &'u Pool {
        self.pool
    }

    /// Bytes of it.
    #[inline]
    pub(crate) fn size(&self) -> usize {
        self.pool.geometry.chunk_size() as usize
    }

    /// Some of its bytes.
    #[inline]
    pub(crate) fn bytes(&self, start: usize, length: usize) -> &[u8] {
        assert!(start <= self.size() && length <= self.size() - start);
        let offset = self.pool.offset(self.number) + start;
        // SAFETY: the range is in this chunk, whose only owner is `self`: the driver has given it back, or never had it.
        unsafe { self.pool.memory.bytes(offset, length) }
    }

    /// Some of its bytes, to be changed.
    #[inline]
    pub(crate) fn bytes_mut(&mut self, start: usize, length: usize) -> &mut [u8] {
        assert!(start <= self.size() && length <= self.size() - start);
        let offset = self.pool.offset(self.number) + start;
        // SAFETY: as in `bytes`, and `self` is borrowed exclusively.
        unsafe { self.pool.memory.bytes_mut(offset, length) }
    }
}

impl Drop for Chunk<'_> {
    fn drop(&mut self) {
        self.pool.set_owner(self.number, FREE);
        self.pool.lock().push(self.number);
    }
}

impl<'u> Lender<'u> {
    /// The socket.
    #[inline]
    pub(crate) fn object(&self) -> &Arc<dyn Object> {
        self.object
            .as_ref()
            .expect("there until the lender is dropped")
    }

    #[inline]
    pub(crate) fn pool(&self) -> &'u Pool {
        self.pool
    }

    #[inline]
    fn mark(&self, purpose: Purpose) -> u32 {
        match purpose {
            Purpose::Receiving => self.receiving,
            Purpose::Sending => self.sending,
        }
    }

    /// Lends a chunk and returns its address in frame memory; gives the chunk back when it is of other memory.
    #[inline]
    pub(crate) fn lend(&mut self, purpose: Purpose, chunk: Chunk<'u>) -> Result<u64, Chunk<'u>> {
        if !std::ptr::eq(chunk.pool, self.pool) {
            return Err(chunk);
        }
        let (pool, number) = chunk.into_parts();
        pool.set_owner(number, self.mark(purpose));
        Ok(pool.offset(number) as u64)
    }

    /// Number of the chunk at an address, if it is lent for that purpose.
    #[inline]
    fn find(&self, purpose: Purpose, address: u64) -> Option<u32> {
        let number = self.pool.geometry.chunk_of(address)?;
        let owner = self.pool.owners.get(number as usize)?;
        // Nobody else changes the word of a chunk that this lender has lent.
        (owner.load(Ordering::Relaxed) == self.mark(purpose)).then_some(number)
    }

    /// Takes a chunk back; `None` if it is not lent for that purpose, whatever the driver says.
    #[inline]
    pub(crate) fn take_back(&mut self, purpose: Purpose, address: u64) -> Option<Chunk<'u>> {
        let number = self.find(purpose, address)?;
        self.pool.set_owner(number, OWNED);
        Some(Chunk {
            pool: self.pool,
            number,
        })
    }
}

impl Drop for Lender<'_> {
    fn drop(&mut self) {
        let Some(object) = self.object.take() else {
            return;
        };
        // If somebody else has the socket open, too, what is lent stays lent: lost to this program, but safe.
        if self.has_others || Arc::strong_count(&object) != 1 || Arc::weak_count(&object) != 0 {
            return;
        }
        // Once its handle is closed the driver uses the memory no more.
        drop(object);
        let mut free = self.pool.lock();
        for (number, owner) in (0..).zip(&self.pool.owners) {
            let lent_to = owner.load(Ordering::Relaxed);
            if lent_to == self.receiving || lent_to == self.sending {
                owner.store(FREE, Ordering::Relaxed);
                free.push(number);
            }
        }
    }
}
