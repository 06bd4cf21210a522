//! An owned value in the pool.

use core::alloc::Layout;
use core::fmt;
use core::marker::PhantomData;
use core::mem::{self, MaybeUninit};
use core::ops::{Deref, DerefMut};
use core::ptr::{self, NonNull};

use super::{Tag, allocate, free_any};
use crate::status::{Result, Status};
use crate::sys::Zeroable;

/// An owned value in non-paged pool; its address does not change.
pub struct Box<T: ?Sized> {
    value: NonNull<T>,
    owned: PhantomData<T>,
}

// SAFETY: a box owns its value.
unsafe impl<T: ?Sized + Send> Send for Box<T> {}
// SAFETY: a shared box gives shared access only.
unsafe impl<T: ?Sized + Sync> Sync for Box<T> {}

impl<T> Box<T> {
    /// Moves a value into the pool.
    ///
    /// # Errors
    ///
    /// [`Status::INSUFFICIENT_RESOURCES`]; the value is dropped.
    pub fn new(tag: Tag, value: T) -> Result<Self> {
        let empty = Self::uninit(tag)?;
        Ok(empty.write(value))
    }

    /// Allocates room for a value.
    ///
    /// # Errors
    ///
    /// [`Status::INSUFFICIENT_RESOURCES`].
    pub fn uninit(tag: Tag) -> Result<Box<MaybeUninit<T>>> {
        let layout = Layout::new::<T>();
        let value = if layout.size() == 0 {
            NonNull::dangling()
        } else {
            allocate(layout, tag)?.cast()
        };
        Ok(Box {
            value,
            owned: PhantomData,
        })
    }

    /// Allocates a value of zeros.
    ///
    /// # Errors
    ///
    /// [`Status::INSUFFICIENT_RESOURCES`].
    pub fn zeroed(tag: Tag) -> Result<Self>
    where
        T: Zeroable,
    {
        let mut empty = Self::uninit(tag)?;
        // SAFETY: the block has room for one value.
        unsafe { ptr::write_bytes(empty.as_mut_ptr(), 0, 1) };
        // SAFETY: zeros are a value of a `Zeroable` type.
        Ok(unsafe { Box::<T>::from_raw(Box::into_raw(empty).cast()) })
    }

    /// Moves the value out and frees the block.
    #[must_use]
    pub fn into_inner(self) -> T {
        let value = Self::into_raw(self);
        // SAFETY: the box owned a value, which is moved out once.
        let inner = unsafe { value.read() };
        // SAFETY: same layout, and the room is to be freed without dropping a value.
        drop(unsafe { Box::<MaybeUninit<T>>::from_raw(value.cast()) });
        inner
    }
}

impl<T> Box<MaybeUninit<T>> {
    /// Puts a value into the allocated room.
    #[must_use]
    pub fn write(mut self, value: T) -> Box<T> {
        MaybeUninit::write(&mut self, value);
        // SAFETY: just initialised.
        unsafe { Box::from_raw(Self::into_raw(self).cast()) }
    }
}

impl<T> Box<[T]> {
    /// Allocates `len` values, each made from its index.
    ///
    /// # Errors
    ///
    /// [`Status::INSUFFICIENT_RESOURCES`], or the error of `make`; values already made are dropped.
    pub fn try_from_fn(tag: Tag, len: usize, make: impl FnMut(usize) -> Result<T>) -> Result<Self> {
        let mut values = super::Vec::with_capacity(tag, len)?;
        for value in (0..len).map(make) {
            values.push(value?)?;
        }
        Ok(values.into_boxed_slice())
    }

    /// Allocates `len` values of zeros.
    ///
    /// # Errors
    ///
    /// [`Status::INSUFFICIENT_RESOURCES`], also when the size overflows.
    pub fn zeroed_slice(tag: Tag, len: usize) -> Result<Self>
    where
        T: Zeroable,
    {
        let layout = Layout::array::<T>(len).map_err(|_| Status::INSUFFICIENT_RESOURCES)?;
        if layout.size() == 0 {
            let empty = NonNull::slice_from_raw_parts(NonNull::<T>::dangling(), len);
            return Ok(Self {
                value: empty,
                owned: PhantomData,
            });
        }
        let block: NonNull<T> = allocate(layout, tag)?.cast();
        // SAFETY: the block has room for `len` values.
        unsafe { ptr::write_bytes(block.as_ptr(), 0, len) };
        Ok(Self {
            value: NonNull::slice_from_raw_parts(block, len),
            owned: PhantomData,
        })
    }
}

impl<T: ?Sized> Box<T> {
    /// Gives the block away as a pointer, for the kernel to hold.
    #[must_use]
    pub fn into_raw(this: Self) -> *mut T {
        mem::ManuallyDrop::new(this).value.as_ptr()
    }

    /// Takes back what [`Box::into_raw`] gave away.
    ///
    /// # Safety
    ///
    /// `value` came from `into_raw`, is taken back once, and its value is initialised.
    #[must_use]
    pub unsafe fn from_raw(value: *mut T) -> Self {
        // SAFETY: `into_raw` never gives a null pointer.
        let value = unsafe { NonNull::new_unchecked(value) };
        Self {
            value,
            owned: PhantomData,
        }
    }

    /// The address of the value, valid for as long as the box is.
    #[must_use]
    pub const fn as_ptr(this: &Self) -> *mut T {
        this.value.as_ptr()
    }
}

impl<T: ?Sized> Drop for Box<T> {
    fn drop(&mut self) {
        let size = size_of_val::<T>(self);
        // SAFETY: the value is initialised and dropped once.
        unsafe { ptr::drop_in_place(self.value.as_ptr()) };
        if size != 0 {
            // SAFETY: non-empty values live in a block of `allocate`.
            unsafe { free_any(self.value.cast()) };
        }
    }
}

impl<T: ?Sized> Deref for Box<T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: owned and initialised.
        unsafe { self.value.as_ref() }
    }
}

impl<T: ?Sized> DerefMut for Box<T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: owned, initialised and borrowed exclusively.
        unsafe { self.value.as_mut() }
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for Box<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}
