//! Chains of net buffer lists.

use core::marker::PhantomData;
use core::mem;
use core::ops::Deref;
use core::ptr::{self, NonNull};

use super::buffer::Nbl;
use super::net_buffer::NetBuffers;
use crate::sys::NET_BUFFER_LIST;

/// An owned chain of net buffer lists, as it came; only its start is known.
#[must_use = "net buffer lists go back to where they came from"]
#[derive(Debug)]
pub struct NblChain {
    first: *mut NET_BUFFER_LIST,
}

// SAFETY: ownership of net buffer lists may move between threads.
unsafe impl Send for NblChain {}

fn next(list: NonNull<NET_BUFFER_LIST>) -> *mut NET_BUFFER_LIST {
    // SAFETY: chains and queues link valid lists.
    unsafe { (*list.as_ptr()).Next }
}

fn link(list: NonNull<NET_BUFFER_LIST>, to: *mut NET_BUFFER_LIST) {
    // SAFETY: chains and queues link valid lists that they own.
    unsafe { (*list.as_ptr()).Next = to }
}

impl NblChain {
    /// The chain of no lists.
    pub const fn new() -> Self {
        Self {
            first: ptr::null_mut(),
        }
    }

    /// Owns a chain.
    ///
    /// # Safety
    ///
    /// `first` is null or starts a chain of valid lists that nobody else uses until it is given back.
    #[inline]
    pub const unsafe fn from_raw(first: *mut NET_BUFFER_LIST) -> Self {
        Self { first }
    }

    /// Gives the chain away as a pointer to its first list, or null.
    #[must_use]
    #[inline]
    pub const fn into_raw(self) -> *mut NET_BUFFER_LIST {
        self.first
    }

    /// Whether there is no list in it.
    #[must_use]
    #[inline]
    pub const fn is_empty(&self) -> bool {
        self.first.is_null()
    }

    /// Takes the first list off the chain.
    #[inline]
    pub fn pop_front(&mut self) -> Option<Nbl> {
        let first = NonNull::new(self.first)?;
        self.first = next(first);
        link(first, ptr::null_mut());
        // SAFETY: owned by the chain until now.
        Some(unsafe { Nbl::from_raw(first) })
    }

    /// Takes lists off the start, as many as there are of `count`.
    #[inline]
    pub fn pop_many(&mut self, count: usize) -> NblQueue {
        let (Some(first), Some(more)) = (NonNull::new(self.first), count.checked_sub(1)) else {
            return NblQueue::new();
        };
        let mut last = first;
        let mut len = 1;
        for _ in 0..more {
            let Some(list) = NonNull::new(next(last)) else {
                break;
            };
            last = list;
            len += 1;
        }
        self.first = next(last);
        link(last, ptr::null_mut());
        NblQueue {
            first: first.as_ptr(),
            last: last.as_ptr(),
            len,
        }
    }

    /// Takes lists off the start as long as `key` is the same for them; links are read only, but for the last one.
    #[inline]
    pub(super) fn pop_while_same<K: PartialEq>(
        &mut self,
        key: impl Fn(&Nbl) -> K,
    ) -> Option<(K, NblQueue)> {
        // SAFETY: owned by the chain; the value is only looked at.
        let key_of = |list| key(&unsafe { Nbl::from_raw(list) });
        let first = NonNull::new(self.first)?;
        let common = key_of(first);
        let mut last = first;
        let mut len = 1;
        let rest = loop {
            let Some(list) = NonNull::new(next(last)) else {
                break ptr::null_mut();
            };
            if key_of(list) != common {
                break list.as_ptr();
            }
            last = list;
            len += 1;
        };
        self.first = rest;
        link(last, ptr::null_mut());
        let run = NblQueue {
            first: first.as_ptr(),
            last: last.as_ptr(),
            len,
        };
        Some((common, run))
    }

    /// Looks at each list.
    #[inline]
    pub fn iter(&self) -> NblIter<'_> {
        NblIter {
            next: self.first,
            chain: PhantomData,
        }
    }

    /// Walks to the end, so that lists can be appended.
    pub fn into_queue(self) -> NblQueue {
        let mut queue = NblQueue::new();
        queue.append_chain(self);
        queue
    }
}

impl Default for NblChain {
    fn default() -> Self {
        Self::new()
    }
}

impl From<Nbl> for NblChain {
    fn from(list: Nbl) -> Self {
        let list = list.into_raw();
        link(list, ptr::null_mut());
        Self {
            first: list.as_ptr(),
        }
    }
}

impl Iterator for NblChain {
    type Item = Nbl;

    #[inline]
    fn next(&mut self) -> Option<Nbl> {
        self.pop_front()
    }
}

/// The lists of a chain, one after the other.
#[derive(Debug)]
pub struct NblIter<'a> {
    next: *mut NET_BUFFER_LIST,
    chain: PhantomData<&'a NblChain>,
}

impl<'a> Iterator for NblIter<'a> {
    type Item = NblRef<'a>;

    #[inline]
    fn next(&mut self) -> Option<NblRef<'a>> {
        let list = NonNull::new(self.next)?;
        self.next = next(list);
        let chain = PhantomData;
        Some(NblRef { list, chain })
    }
}

/// A list of a borrowed chain.
#[derive(Clone, Copy, Debug)]
pub struct NblRef<'a> {
    list: NonNull<NET_BUFFER_LIST>,
    chain: PhantomData<&'a NblChain>,
}

impl<'a> NblRef<'a> {
    /// The packets of the list, as long as the chain is borrowed.
    #[must_use]
    #[inline]
    pub fn buffers(&self) -> NetBuffers<'a> {
        // SAFETY: the chain is borrowed for `'a`.
        unsafe { NetBuffers::of_borrowed(self) }
    }
}

impl Deref for NblRef<'_> {
    type Target = Nbl;

    #[inline]
    fn deref(&self) -> &Nbl {
        // SAFETY: a pointer to a list is laid out as a list that is owned; the chain is borrowed, and the value gives shared
        // access only.
        unsafe { NonNull::from(&self.list).cast::<Nbl>().as_ref() }
    }
}

/// An owned chain of net buffer lists with a known end and length.
#[must_use = "net buffer lists go back to where they came from"]
#[derive(Debug)]
pub struct NblQueue {
    first: *mut NET_BUFFER_LIST,
    last: *mut NET_BUFFER_LIST,
    len: u32,
}

// SAFETY: ownership of net buffer lists may move between threads.
unsafe impl Send for NblQueue {}

impl NblQueue {
    /// The queue of no lists.
    pub const fn new() -> Self {
        Self {
            first: ptr::null_mut(),
            last: ptr::null_mut(),
            len: 0,
        }
    }

    /// The number of lists.
    #[must_use]
    #[inline]
    pub const fn len(&self) -> u32 {
        self.len
    }

    /// Whether there is no list in it.
    #[must_use]
    #[inline]
    pub const fn is_empty(&self) -> bool {
        self.first.is_null()
    }

    /// Appends a list.
    #[inline]
    pub fn push_back(&mut self, list: Nbl) {
        let list = list.into_raw();
        link(list, ptr::null_mut());
        self.splice(list, list.as_ptr(), 1);
    }

    fn splice(&mut self, first: NonNull<NET_BUFFER_LIST>, last: *mut NET_BUFFER_LIST, len: u32) {
        match NonNull::new(self.last) {
            Some(end) => link(end, first.as_ptr()),
            None => self.first = first.as_ptr(),
        }
        self.last = last;
        self.len += len;
    }

    /// Appends all lists of another queue.
    pub fn append(&mut self, other: Self) {
        if let Some(first) = NonNull::new(other.first) {
            self.splice(first, other.last, other.len);
        }
    }

    /// Appends all lists of a chain, walking it to its end.
    pub fn append_chain(&mut self, chain: NblChain) {
        for list in chain {
            self.push_back(list);
        }
    }

    /// Takes the first list off the queue.
    #[inline]
    pub fn pop_front(&mut self) -> Option<Nbl> {
        let first = NonNull::new(self.first)?;
        self.first = next(first);
        if self.first.is_null() {
            self.last = ptr::null_mut();
        }
        self.len -= 1;
        link(first, ptr::null_mut());
        // SAFETY: owned by the queue until now.
        Some(unsafe { Nbl::from_raw(first) })
    }

    /// Takes everything, leaving the queue empty.
    pub fn take(&mut self) -> Self {
        mem::take(self)
    }

    /// Looks at each list.
    #[inline]
    pub fn iter(&self) -> NblIter<'_> {
        NblIter {
            next: self.first,
            chain: PhantomData,
        }
    }

    /// The lists as a chain.
    #[inline]
    pub const fn into_chain(self) -> NblChain {
        NblChain { first: self.first }
    }
}

impl Default for NblQueue {
    fn default() -> Self {
        Self::new()
    }
}
