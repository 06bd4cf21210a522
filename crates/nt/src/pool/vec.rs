//! A growable array in the pool.

use core::alloc::Layout;
use core::fmt;
use core::marker::PhantomData;
use core::mem::ManuallyDrop;
use core::ops::{Deref, DerefMut};
use core::ptr::{self, NonNull};
use core::slice;

use super::{Box, Tag, allocate, free};
use crate::status::{Result, Status};

/// A growable array in non-paged pool.
pub struct Vec<T> {
    values: NonNull<T>,
    len: usize,
    capacity: usize,
    tag: Tag,
    owned: PhantomData<T>,
}

// SAFETY: a vector owns its values.
unsafe impl<T: Send> Send for Vec<T> {}
// SAFETY: a shared vector gives shared access only.
unsafe impl<T: Sync> Sync for Vec<T> {}

impl<T> Vec<T> {
    /// An empty vector; nothing is allocated.
    #[must_use]
    pub const fn new(tag: Tag) -> Self {
        let capacity = if size_of::<T>() == 0 { usize::MAX } else { 0 };
        Self {
            values: NonNull::dangling(),
            len: 0,
            capacity,
            tag,
            owned: PhantomData,
        }
    }

    /// An empty vector with room for `capacity` values.
    ///
    /// # Errors
    ///
    /// [`Status::INSUFFICIENT_RESOURCES`].
    pub fn with_capacity(tag: Tag, capacity: usize) -> Result<Self> {
        let mut values = Self::new(tag);
        values.reserve(capacity)?;
        Ok(values)
    }

    /// Copies a slice.
    ///
    /// # Errors
    ///
    /// [`Status::INSUFFICIENT_RESOURCES`].
    pub fn from_slice(tag: Tag, values: &[T]) -> Result<Self>
    where
        T: Copy,
    {
        let mut copy = Self::with_capacity(tag, values.len())?;
        copy.extend_from_slice(values)?;
        Ok(copy)
    }

    /// The number of values for which there is room.
    #[must_use]
    pub const fn capacity(&self) -> usize {
        self.capacity
    }

    /// Makes room for `additional` more values.
    ///
    /// # Errors
    ///
    /// [`Status::INSUFFICIENT_RESOURCES`]; the vector is unchanged.
    pub fn reserve(&mut self, additional: usize) -> Result<()> {
        if self.capacity - self.len >= additional {
            return Ok(());
        }
        let needed = self
            .len
            .checked_add(additional)
            .ok_or(Status::INSUFFICIENT_RESOURCES)?;
        self.grow(needed.max(self.capacity.saturating_mul(2)))
    }

    /// Makes room for `additional` more values, and no more than that.
    ///
    /// # Errors
    ///
    /// [`Status::INSUFFICIENT_RESOURCES`]; the vector is unchanged.
    pub fn reserve_exact(&mut self, additional: usize) -> Result<()> {
        if self.capacity - self.len >= additional {
            return Ok(());
        }
        let needed = self
            .len
            .checked_add(additional)
            .ok_or(Status::INSUFFICIENT_RESOURCES)?;
        self.grow(needed)
    }

    fn grow(&mut self, capacity: usize) -> Result<()> {
        let layout = Layout::array::<T>(capacity).map_err(|_| Status::INSUFFICIENT_RESOURCES)?;
        let grown: NonNull<T> = allocate(layout, self.tag)?.cast();
        // SAFETY: the new block is larger and distinct; the values move.
        unsafe { ptr::copy_nonoverlapping(self.values.as_ptr(), grown.as_ptr(), self.len) };
        self.release();
        self.values = grown;
        self.capacity = capacity;
        Ok(())
    }

    /// Frees the block without dropping values.
    fn release(&mut self) {
        if size_of::<T>() != 0 && self.capacity != 0 {
            // SAFETY: a non-zero capacity means a block of `allocate` with this tag.
            unsafe { free(self.values.cast(), self.tag) };
        }
    }

    /// Appends a value.
    ///
    /// # Errors
    ///
    /// [`Status::INSUFFICIENT_RESOURCES`]; the value is dropped.
    pub fn push(&mut self, value: T) -> Result<()> {
        self.reserve(1)?;
        // SAFETY: within the reserved room.
        let end = unsafe { self.values.add(self.len) };
        // SAFETY: the room at the end is not initialised.
        unsafe { end.write(value) };
        self.len += 1;
        Ok(())
    }

    /// Appends copies of all values of a slice.
    ///
    /// # Errors
    ///
    /// [`Status::INSUFFICIENT_RESOURCES`]; the vector is unchanged.
    pub fn extend_from_slice(&mut self, values: &[T]) -> Result<()>
    where
        T: Copy,
    {
        self.reserve(values.len())?;
        // SAFETY: within the reserved room.
        let end = unsafe { self.values.add(self.len) };
        // SAFETY: the room is reserved and belongs to this vector, so it overlaps no slice.
        unsafe { ptr::copy_nonoverlapping(values.as_ptr(), end.as_ptr(), values.len()) };
        self.len += values.len();
        Ok(())
    }

    /// Removes the last value.
    pub fn pop(&mut self) -> Option<T> {
        self.len = self.len.checked_sub(1)?;
        // SAFETY: the new length is within the block.
        let last = unsafe { self.values.add(self.len) };
        // SAFETY: initialised, and no longer counted.
        Some(unsafe { last.read() })
    }

    /// Inserts a value at an index, at the end when there are fewer values; those behind it move up.
    ///
    /// # Errors
    ///
    /// [`Status::INSUFFICIENT_RESOURCES`]; the value is dropped.
    pub fn insert(&mut self, index: usize, value: T) -> Result<()> {
        let index = index.min(self.len);
        self.push(value)?;
        if let Some(moved @ [_, ..]) = self.get_mut(index..) {
            moved.rotate_right(1);
        }
        Ok(())
    }

    /// Removes a value; those behind it move down. `None` when the index is past the end.
    pub fn remove(&mut self, index: usize) -> Option<T> {
        let Some(moved @ [_, ..]) = self.get_mut(index..) else {
            return None;
        };
        moved.rotate_left(1);
        self.pop()
    }

    /// Keeps, in their order, the values for which `keep` says so.
    pub fn retain(&mut self, mut keep: impl FnMut(&mut T) -> bool) {
        let mut kept = 0;
        for index in 0..self.len {
            if self.get_mut(index).is_some_and(&mut keep) {
                let values = self.values.as_ptr();
                // SAFETY: no more are kept than were looked at.
                let to = unsafe { values.add(kept) };
                // SAFETY: counts up to the number of values.
                let from = unsafe { values.add(index) };
                // SAFETY: both are values of this vector, perhaps the same.
                unsafe { ptr::swap(to, from) };
                kept += 1;
            }
        }
        self.truncate(kept);
    }

    /// Removes a value and puts the last one in its place; `None` when the index is past the end.
    pub fn swap_remove(&mut self, index: usize) -> Option<T> {
        let last = self.len.checked_sub(1)?;
        if index > last {
            return None;
        }
        self.swap(index, last);
        self.pop()
    }

    /// Drops the values from `len` on.
    pub fn truncate(&mut self, len: usize) {
        while self.len > len {
            drop(self.pop());
        }
    }

    /// Drops all values; the room stays.
    pub fn clear(&mut self) {
        self.truncate(0);
    }

    /// The values as a box, in a block of just their size or the present one.
    #[must_use]
    pub fn into_boxed_slice(self) -> Box<[T]> {
        // A box of no values frees nothing, so an unused block must go now.
        if self.len == 0 && size_of::<T>() != 0 {
            drop(self);
            let none = ptr::slice_from_raw_parts_mut(NonNull::<T>::dangling().as_ptr(), 0);
            // SAFETY: an empty slice needs no block.
            return unsafe { Box::from_raw(none) };
        }
        let this = ManuallyDrop::new(self);
        let values = ptr::slice_from_raw_parts_mut(this.values.as_ptr(), this.len);
        // SAFETY: the block is given away; boxes free by address, whatever the capacity.
        unsafe { Box::from_raw(values) }
    }
}

impl<T> Drop for Vec<T> {
    fn drop(&mut self) {
        self.clear();
        self.release();
    }
}

impl<T> Deref for Vec<T> {
    type Target = [T];

    #[inline]
    fn deref(&self) -> &[T] {
        // SAFETY: the first `len` values are initialised.
        unsafe { slice::from_raw_parts(self.values.as_ptr(), self.len) }
    }
}

impl<T> DerefMut for Vec<T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut [T] {
        // SAFETY: the first `len` values are initialised and borrowed exclusively.
        unsafe { slice::from_raw_parts_mut(self.values.as_ptr(), self.len) }
    }
}

impl<'a, T> IntoIterator for &'a Vec<T> {
    type Item = &'a T;
    type IntoIter = slice::Iter<'a, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl<'a, T> IntoIterator for &'a mut Vec<T> {
    type Item = &'a mut T;
    type IntoIter = slice::IterMut<'a, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter_mut()
    }
}

impl<T: fmt::Debug> fmt::Debug for Vec<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}
