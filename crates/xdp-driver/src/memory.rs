//! Memory of the kernel and of programs, in the forms that rules, rings and frames want it.

use core::ops::{Deref, DerefMut};
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};

use nt::memory::{Access, KernelPages, LockedPages, UserSlice};
use nt::{Arc, Passive, Result, Status, Vec};
use xdp_abi::Port;
use xdp_abi::rule::PORT_SET_BUFFER_SIZE;
use xdp_ring::{FrameMemory, RingLayout, RingMemory, UmemGeometry};
use xdp_rules::{Buffer, OutOfMemory, PortSet, Store};

/// Rules live in non-paged pool.
#[derive(Clone, Copy)]
pub(crate) struct PoolStore;

/// A growable array in non-paged pool.
pub(crate) struct PoolBuffer<T>(Vec<T>);

impl Store for PoolStore {
    type Buf<T> = PoolBuffer<T>;

    fn buffer<T>(&self) -> PoolBuffer<T> {
        PoolBuffer(Vec::new(crate::TAG))
    }
}

impl<T> Deref for PoolBuffer<T> {
    type Target = [T];

    #[inline]
    fn deref(&self) -> &[T] {
        &self.0
    }
}

impl<T> DerefMut for PoolBuffer<T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut [T] {
        &mut self.0
    }
}

impl<T> Buffer<T> for PoolBuffer<T> {
    fn try_reserve_exact(&mut self, additional: usize) -> Result<(), OutOfMemory> {
        self.0.reserve(additional).map_err(|_| OutOfMemory)
    }

    fn try_push(&mut self, value: T) -> Result<(), OutOfMemory> {
        self.0.push(value).map_err(|_| OutOfMemory)
    }

    fn pop(&mut self) -> Option<T> {
        self.0.pop()
    }

    fn truncate(&mut self, len: usize) {
        self.0.truncate(len);
    }

    fn capacity(&self) -> usize {
        self.0.capacity()
    }
}

/// A bitmap of ports in locked pages of a program, which goes on writing to it.
#[derive(Clone)]
pub(crate) struct LivePorts(Arc<LockedPages>);

impl LivePorts {
    /// Locks the bitmap in the memory of who makes the request.
    pub(crate) fn lock(bitmap: &UserSlice, passive: Passive<'_>) -> Result<Self> {
        debug_assert!(bitmap.len() == PORT_SET_BUFFER_SIZE);
        let pages = LockedPages::lock(bitmap, Access::Read, passive)?;
        Ok(Self(Arc::new(crate::TAG, pages)?))
    }
}

impl PortSet for LivePorts {
    #[inline]
    fn contains(&self, port: Port) -> bool {
        let bit = usize::from(port.raw());
        self.0
            .byte(bit >> 3)
            .is_some_and(|byte| byte >> (bit & 7) & 1 != 0)
    }

    fn identity(&self) -> u64 {
        core::ptr::from_ref(&*self.0).addr() as u64
    }
}

/// A ring in kernel pages that a program has mapped.
pub(crate) struct SharedRing {
    pages: Arc<KernelPages>,
    layout: RingLayout,
}

impl SharedRing {
    /// The ring with this layout in pages that are large enough for it.
    pub(crate) fn new(pages: Arc<KernelPages>, layout: RingLayout) -> Result<Self> {
        if layout.bytes() > pages.len() as u64 {
            return Err(Status::INVALID_PARAMETER);
        }
        Ok(Self { pages, layout })
    }

    #[inline]
    fn half(&self, offset: u32) -> &AtomicU32 {
        /// Stands for a word outside of the pages, where no layout of ours has one.
        static OUTSIDE: AtomicU32 = AtomicU32::new(0);
        self.pages
            .halves()
            .get(offset as usize / size_of::<u32>())
            .unwrap_or(&OUTSIDE)
    }
}

impl RingMemory for SharedRing {
    type Index = AtomicU32;
    type Word = AtomicU64;

    #[inline]
    fn producer_index(&self) -> &AtomicU32 {
        self.half(self.layout.producer_index)
    }

    #[inline]
    fn consumer_index(&self) -> &AtomicU32 {
        self.half(self.layout.consumer_index)
    }

    #[inline]
    fn flags(&self) -> &AtomicU32 {
        self.half(self.layout.flags)
    }

    #[inline]
    fn elements(&self) -> &[AtomicU64] {
        let first = self.layout.elements as usize / size_of::<u64>();
        self.pages.words().get(first..).unwrap_or_default()
    }

    #[inline]
    fn full_barrier(&self) {
        fence(Ordering::SeqCst);
    }
}

/// Frame memory of a program, locked and mapped.
pub(crate) struct Umem {
    pages: LockedPages,
    geometry: UmemGeometry,
}

impl Umem {
    /// Locks frame memory.
    pub(crate) fn lock(
        memory: &UserSlice,
        geometry: UmemGeometry,
        passive: Passive<'_>,
    ) -> Result<Self> {
        let pages = LockedPages::lock(memory, Access::Modify, passive)?;
        Ok(Self { pages, geometry })
    }

    /// Its sizes.
    #[inline]
    pub(crate) const fn geometry(&self) -> &UmemGeometry {
        &self.geometry
    }
}

impl FrameMemory for Umem {
    fn len(&self) -> usize {
        self.pages.len()
    }

    #[inline]
    fn write(&self, at: usize, bytes: &[u8]) -> bool {
        self.pages.write(at, bytes)
    }

    #[inline]
    fn read(&self, at: usize, bytes: &mut [u8]) -> bool {
        self.pages.read(at, bytes)
    }
}
