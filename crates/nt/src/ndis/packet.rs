//! Packets that a filter module makes itself.

use core::fmt;
use core::mem::ManuallyDrop;
use core::ptr::{self, NonNull};
use core::slice;

use super::buffer::Nbl;
use super::filter::Filter;
use super::pool::{NblPool, NblTemplate};
use crate::memory::Mdl;
use crate::pool::{Arc, Box, Tag};
use crate::status::{Result, Status};
use crate::sys::{
    MDL, NDIS_NET_BUFFER_LIST_INFO, NET_BUFFER, NET_BUFFER_LIST_CONTEXT, STATUS_SUCCESS,
};

/// Makes [`Packet`]s. The pool itself goes with the last packet of it.
pub struct PacketPool {
    pool: Arc<Pool>,
}

struct Pool {
    lists: NblPool,
    tag: Tag,
}

/// What a packet consists of beside its list.
struct Parts {
    // Freed in this order, after the list.
    mdl: Mdl,
    _buffer: Box<[u8]>,
    pool: Arc<Pool>,
}

/// What is kept in the context of a packet's list, which is the module's alone wherever the list is. All that moving
/// frames needs is here, so that the parts need not be looked at.
#[repr(C, align(16))]
struct Private {
    parts: NonNull<Parts>,
    mdl: *mut MDL,
    buffer: *mut u8,
    capacity: usize,
    words: [usize; Packet::WORDS],
}

/// One packet: a net buffer list with one net buffer over memory of its own.
#[doc(alias = "NET_BUFFER_LIST")]
pub struct Packet {
    list: ManuallyDrop<Nbl>,
    /// In the list's context.
    private: NonNull<Private>,
}

// SAFETY: all that is reached through it is owned with the list.
unsafe impl Send for Packet {}
// SAFETY: shared access only reads.
unsafe impl Sync for Packet {}

impl PacketPool {
    /// Makes a pool of a filter module.
    ///
    /// # Errors
    ///
    /// [`Status::INSUFFICIENT_RESOURCES`].
    pub fn new(filter: Filter, tag: Tag) -> Result<Self> {
        let template = NblTemplate {
            context_size: const { size_of::<Private>() as u16 },
            data_size: 0,
            tag,
        };
        let lists = NblPool::new(filter, &template)?;
        Ok(Self {
            pool: Arc::new(tag, Pool { lists, tag })?,
        })
    }

    /// Makes a packet with room for `capacity` bytes, all zero, and no length yet. Any level up to DISPATCH_LEVEL.
    ///
    /// # Errors
    ///
    /// [`Status::INVALID_PARAMETER`] without any room; [`Status::INSUFFICIENT_RESOURCES`].
    pub fn allocate(&self, capacity: usize) -> Result<Packet> {
        if capacity == 0 {
            return Err(Status::INVALID_PARAMETER);
        }
        let tag = self.pool.tag;
        let buffer = Box::<[u8]>::zeroed_slice(tag, capacity)?;
        let bytes: *mut u8 = Box::as_ptr(&buffer).cast();
        // SAFETY: a block of the pool, which outlives the MDL.
        let mdl = unsafe { Mdl::of_pool(bytes.cast(), capacity) }?;
        let parts = Parts {
            mdl,
            _buffer: buffer,
            pool: self.pool.clone(),
        };
        let parts = Box::new(tag, parts)?;
        let mdl = parts.mdl.0.as_ptr();
        // SAFETY: the chain is one MDL over non-paged memory; both stay until after the list is freed.
        let list = unsafe { self.pool.lists.alloc(mdl, 0, 0) }?;
        let Some(private) = private(&list) else {
            // SAFETY: made above.
            unsafe { self.pool.lists.free(list) };
            return Err(Status::INSUFFICIENT_RESOURCES);
        };
        let value = Private {
            // SAFETY: a box's address is not null.
            parts: unsafe { NonNull::new_unchecked(Box::into_raw(parts)) },
            mdl,
            buffer: bytes,
            capacity,
            words: [0; Packet::WORDS],
        };
        // SAFETY: the pool gives each list room for it.
        unsafe { private.write(value) };
        Ok(Packet {
            list: ManuallyDrop::new(list),
            private,
        })
    }
}

impl fmt::Debug for PacketPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PacketPool")
    }
}

/// The place in the context of a packet's list that is the packet's; [`None`] for a list without a context.
#[inline]
fn private(list: &Nbl) -> Option<NonNull<Private>> {
    let list = list.as_ptr();
    // SAFETY: the list is the driver's.
    let context = NonNull::new(unsafe { (*list).Context })?;
    // SAFETY: a context of a list of the driver's.
    let offset = usize::from(unsafe { (*context.as_ptr()).Offset });
    // SAFETY: the data are behind the header, at the context's offset.
    let data = unsafe { context.byte_add(size_of::<NET_BUFFER_LIST_CONTEXT>() + offset) };
    Some(data.cast())
}

impl Packet {
    /// Words for the owner.
    pub const WORDS: usize = 3;

    /// Takes a list for a packet, and undoes what others have done to it: it describes the packet's own memory, nothing is
    /// in its slots, and it is linked to nothing.
    ///
    /// # Safety
    ///
    /// The list was made by [`PacketPool::allocate`].
    #[inline]
    pub(super) unsafe fn from_list(list: Nbl) -> Self {
        // SAFETY: the caller's promise.
        let private = unsafe { private_of(&list) };
        let packet = Self {
            list: ManuallyDrop::new(list),
            private,
        };
        let mdl = packet.private().mdl;
        // SAFETY: the packet's own.
        unsafe { (*mdl).Next = ptr::null_mut() };
        let list = packet.list.as_ptr();
        // SAFETY: the list is owned.
        unsafe { (*list).Next = ptr::null_mut() };
        // SAFETY: as above.
        unsafe { (*list).NblFlags = 0 };
        // SAFETY: as above.
        unsafe { (*list).Status = STATUS_SUCCESS };
        // SAFETY: as above.
        unsafe { (*list).NetBufferListInfo = [ptr::null_mut(); 27] };
        let buffer = packet.net_buffer();
        // SAFETY: part of the owned list.
        unsafe { (*buffer).Next = ptr::null_mut() };
        // SAFETY: as above.
        unsafe { (*buffer).MdlChain = mdl };
        // SAFETY: as above.
        unsafe { (*buffer).CurrentMdl = mdl };
        // SAFETY: as above.
        unsafe { (*buffer).CurrentMdlOffset = 0 };
        // SAFETY: as above.
        unsafe { (*buffer).DataOffset = 0 };
        // SAFETY: as above. What the packet had is gone.
        unsafe { (*buffer).DataLength = 0 };
        packet
    }

    /// The list, which only [`Packet::from_list`] makes a packet again.
    #[inline]
    pub(super) fn into_list(self) -> Nbl {
        let mut this = ManuallyDrop::new(self);
        // SAFETY: taken once, as the packet is not dropped.
        unsafe { ManuallyDrop::take(&mut this.list) }
    }

    #[inline]
    fn private(&self) -> &Private {
        // SAFETY: written when the packet was made, and there as long as the list.
        unsafe { self.private.as_ref() }
    }

    #[inline]
    fn net_buffer(&self) -> *mut NET_BUFFER {
        let list = self.list.as_ptr();
        // SAFETY: the list is owned; the pool gives each a net buffer.
        unsafe { (*list).FirstNetBuffer }
    }

    /// The number of bytes for which there is room.
    #[must_use]
    #[inline]
    pub fn capacity(&self) -> usize {
        self.private().capacity
    }

    /// The packet's memory, from which it starts.
    #[must_use]
    #[inline]
    pub fn buffer_mut(&mut self) -> &mut [u8] {
        let Private {
            buffer, capacity, ..
        } = *self.private();
        // SAFETY: the packet's memory, all initialised, borrowed with the packet.
        unsafe { slice::from_raw_parts_mut(buffer, capacity) }
    }

    /// The packet's bytes.
    #[must_use]
    pub fn data(&self) -> &[u8] {
        // SAFETY: the packet's memory, all initialised, borrowed with the packet; the length is at most the capacity.
        unsafe { slice::from_raw_parts(self.private().buffer, self.len()) }
    }

    /// The length of the packet.
    #[must_use]
    #[inline]
    #[expect(clippy::len_without_is_empty, reason = "packets are not empty")]
    pub fn len(&self) -> usize {
        // SAFETY: part of the owned list.
        unsafe { (*self.net_buffer()).DataLength as usize }
    }

    /// Sets the length of the packet; one beyond the capacity is cut to it.
    #[inline]
    pub fn set_len(&mut self, len: usize) {
        let len = len.min(self.capacity());
        // SAFETY: part of the owned list. The capacity of an MDL fits.
        unsafe { (*self.net_buffer()).DataLength = len as u32 };
    }

    /// Sets a word for the owner of the packet, which stays until it is set again; those that there are not are ignored.
    #[inline]
    pub fn set_word(&mut self, index: usize, value: usize) {
        // SAFETY: as above, and borrowed exclusively.
        let private = unsafe { self.private.as_mut() };
        if let Some(word) = private.words.get_mut(index) {
            *word = value;
        }
    }

    /// Sets one of the list's information slots; slots that the list does not have are ignored.
    #[inline]
    pub fn set_info(&mut self, slot: NDIS_NET_BUFFER_LIST_INFO, value: usize) {
        self.list.set_info(slot, value);
    }
}

/// As [`private`], for a packet's list.
///
/// # Safety
///
/// The list was made by [`PacketPool::allocate`].
#[inline]
unsafe fn private_of(list: &Nbl) -> NonNull<Private> {
    // SAFETY: such lists have a context, which was looked at when they were made.
    unsafe { private(list).unwrap_unchecked() }
}

/// A word of a packet by its list; [`None`] when there is none of that number.
///
/// # Safety
///
/// The list was made by [`PacketPool::allocate`].
#[inline]
pub(super) unsafe fn word_of(list: &Nbl, index: usize) -> Option<usize> {
    // SAFETY: the caller's promise.
    let private = unsafe { private_of(list) };
    // SAFETY: written when the packet was made.
    let private = unsafe { private.as_ref() };
    private.words.get(index).copied()
}

impl Drop for Packet {
    fn drop(&mut self) {
        // SAFETY: made by `allocate`; with the packet goes the last who knows them.
        let parts = unsafe { Box::from_raw(self.private().parts.as_ptr()) };
        // SAFETY: taken once.
        let list = unsafe { ManuallyDrop::take(&mut self.list) };
        // SAFETY: of this pool, and with the module.
        unsafe { parts.pool.lists.free(list) };
    }
}

impl fmt::Debug for Packet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Packet({} of {} bytes)", self.len(), self.capacity())
    }
}
