//! Memory: growable arrays that say when there is no more.
//!
//! The classifier allocates only through a [`Store`], so that it can live in a program without a global allocator.

use core::fmt;
use core::ops::DerefMut;

/// No memory, or not within the limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct OutOfMemory;

impl fmt::Display for OutOfMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("out of memory")
    }
}

impl core::error::Error for OutOfMemory {}

/// A growable array whose growth can fail.
pub trait Buffer<T>: DerefMut<Target = [T]> {
    /// Makes room for `additional` more elements.
    ///
    /// # Errors
    ///
    /// There is no memory. The buffer is unchanged.
    fn try_reserve_exact(&mut self, additional: usize) -> Result<(), OutOfMemory>;

    /// Appends an element. Must succeed when there is room.
    ///
    /// # Errors
    ///
    /// There is no room, and none could be made.
    fn try_push(&mut self, value: T) -> Result<(), OutOfMemory>;

    /// Removes the last element.
    fn pop(&mut self) -> Option<T>;

    /// Drops all elements behind the first `len`.
    fn truncate(&mut self, len: usize);

    /// Returns how many elements fit without growing.
    fn capacity(&self) -> usize;
}

/// Where buffers come from.
pub trait Store {
    /// The array type.
    type Buf<T>: Buffer<T>;

    /// Makes an empty buffer, which holds no memory yet.
    fn buffer<T>(&self) -> Self::Buf<T>;
}

/// The global allocator as a store.
#[cfg(feature = "alloc")]
#[derive(Clone, Copy, Debug, Default)]
pub struct Heap;

#[cfg(feature = "alloc")]
impl Store for Heap {
    type Buf<T> = alloc::vec::Vec<T>;

    fn buffer<T>(&self) -> Self::Buf<T> {
        alloc::vec::Vec::new()
    }
}

#[cfg(feature = "alloc")]
impl<T> Buffer<T> for alloc::vec::Vec<T> {
    fn try_reserve_exact(&mut self, additional: usize) -> Result<(), OutOfMemory> {
        Self::try_reserve_exact(self, additional).map_err(|_| OutOfMemory)
    }

    fn try_push(&mut self, value: T) -> Result<(), OutOfMemory> {
        Self::try_reserve(self, 1).map_err(|_| OutOfMemory)?;
        self.push(value);
        Ok(())
    }

    fn pop(&mut self) -> Option<T> {
        Self::pop(self)
    }

    fn truncate(&mut self, len: usize) {
        Self::truncate(self, len);
    }

    fn capacity(&self) -> usize {
        Self::capacity(self)
    }
}

/// A store with an account: what is held, and how much may be.
pub(crate) struct Pool<S> {
    store: S,
    used: usize,
    limit: usize,
}

impl<S: Store> Pool<S> {
    pub(crate) const fn new(store: S, limit: usize) -> Self {
        Self {
            store,
            used: 0,
            limit,
        }
    }

    pub(crate) const fn used(&self) -> usize {
        self.used
    }

    pub(crate) fn buffer<T>(&self) -> S::Buf<T> {
        self.store.buffer()
    }

    /// Makes room for `additional` elements, by a quarter of the size where the limit allows it.
    pub(crate) fn reserve<T>(
        &mut self,
        buffer: &mut S::Buf<T>,
        additional: usize,
    ) -> Result<(), OutOfMemory> {
        let (len, capacity) = (buffer.len(), buffer.capacity());
        let needed = len.checked_add(additional).ok_or(OutOfMemory)?;
        if needed <= capacity {
            return Ok(());
        }
        let roomy = needed.max(capacity.saturating_add(capacity / 4)).max(4);
        if self.affords::<T>(roomy.saturating_sub(capacity)) {
            let grown = buffer.try_reserve_exact(roomy.saturating_sub(len));
            if grown.is_ok() {
                self.book::<T>(capacity, buffer.capacity());
                return Ok(());
            }
        }
        self.reserve_exact(buffer, additional)
    }

    /// Makes room for exactly `additional` elements.
    pub(crate) fn reserve_exact<T>(
        &mut self,
        buffer: &mut S::Buf<T>,
        additional: usize,
    ) -> Result<(), OutOfMemory> {
        let (len, capacity) = (buffer.len(), buffer.capacity());
        let needed = len.checked_add(additional).ok_or(OutOfMemory)?;
        if needed <= capacity {
            return Ok(());
        }
        if !self.affords::<T>(needed.saturating_sub(capacity)) {
            return Err(OutOfMemory);
        }
        buffer.try_reserve_exact(additional)?;
        self.book::<T>(capacity, buffer.capacity());
        Ok(())
    }

    /// Makes a buffer of `len` elements.
    pub(crate) fn filled<T: Clone>(
        &mut self,
        len: usize,
        value: T,
    ) -> Result<S::Buf<T>, OutOfMemory> {
        let mut buffer = self.buffer();
        self.reserve_exact(&mut buffer, len)?;
        for _ in 0..len {
            if buffer.try_push(value.clone()).is_err() {
                self.release(buffer);
                return Err(OutOfMemory);
            }
        }
        Ok(buffer)
    }

    /// Gives a buffer back.
    pub(crate) fn release<T>(&mut self, buffer: S::Buf<T>) {
        let size = buffer.capacity().saturating_mul(size_of::<T>());
        self.used = self.used.saturating_sub(size);
    }

    fn affords<T>(&self, elements: usize) -> bool {
        elements
            .checked_mul(size_of::<T>())
            .and_then(|size| self.used.checked_add(size))
            .is_some_and(|total| total <= self.limit)
    }

    fn book<T>(&mut self, before: usize, after: usize) {
        let size = after.saturating_sub(before).saturating_mul(size_of::<T>());
        self.used = self.used.saturating_add(size);
    }
}
