//! Packets that a filter module makes itself.

use core::fmt;
use core::mem::ManuallyDrop;
use core::ptr::{self, NonNull};

use super::buffer::Nbl;
use super::filter::Filter;
use super::pool::{NblPool, NblTemplate};
use crate::memory::Mdl;
use crate::pool::{Arc, Box, Tag};
use crate::status::{Result, Status};
use crate::sys::{
    MDL, NDIS_NET_BUFFER_LIST_INFO, NET_BUFFER, NET_BUFFER_LIST_CONTEXT, STATUS_SUCCESS,
};

/// Where the lists of a [`PacketPool`] keep what belongs to them.
const CONTEXT_SIZE: u16 = 16;

/// Makes [`Packet`]s. The pool itself goes with the last packet of it.
pub struct PacketPool {
    pool: Arc<Pool>,
}

struct Pool {
    lists: NblPool,
    tag: Tag,
}

/// What a packet consists of beside its list. While the list is away, its context holds this.
struct Parts {
    // Freed in this order, after the list.
    mdl: Mdl,
    buffer: Box<[u8]>,
    pool: Arc<Pool>,
}

/// One packet: a net buffer list with one net buffer over memory of its own.
#[doc(alias = "NET_BUFFER_LIST")]
pub struct Packet {
    list: ManuallyDrop<Nbl>,
    /// Where the list keeps the parts while it is away.
    slot: NonNull<*mut Parts>,
    parts: Box<Parts>,
}

// SAFETY: the slot is part of the list, which is owned.
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
            context_size: CONTEXT_SIZE,
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
        // SAFETY: a block of the pool, which outlives the MDL.
        let mdl = unsafe { Mdl::of_pool(Box::as_ptr(&buffer).cast(), capacity) }?;
        let parts = Parts {
            mdl,
            buffer,
            pool: self.pool.clone(),
        };
        let parts = Box::new(tag, parts)?;
        // SAFETY: the chain is one MDL over non-paged memory; both stay until after the list is freed.
        let list = unsafe { self.pool.lists.alloc(parts.mdl.0.as_ptr(), 0, 0) }?;
        match slot(&list) {
            Some(slot) => Ok(Packet {
                list: ManuallyDrop::new(list),
                slot,
                parts,
            }),
            None => {
                // SAFETY: made above.
                unsafe { self.pool.lists.free(list) };
                Err(Status::INSUFFICIENT_RESOURCES)
            }
        }
    }

    /// Takes back a list that [`Packet::into_nbl`] gave away, with its information slots cleared.
    ///
    /// # Errors
    ///
    /// The list, when it is of somebody else, be it a clone of a list of this pool.
    pub fn reclaim(&self, list: Nbl) -> core::result::Result<Packet, Nbl> {
        // Lists of the pool are made by `allocate` only, and leave the module by `into_nbl` only. (A clone that somebody
        // made in the same pool names its maker as the source.)
        if !self.pool.lists.owns(&list) {
            return Err(list);
        }
        let Some(slot) = slot(&list) else {
            return Err(list);
        };
        // SAFETY: within the list's context, which nobody else uses.
        let parts = unsafe { slot.replace(ptr::null_mut()) };
        if parts.is_null() {
            return Err(list);
        }
        // SAFETY: stored by `into_nbl`, taken back once: the slot is empty now.
        let parts = unsafe { Box::from_raw(parts) };
        let mut packet = Packet {
            list: ManuallyDrop::new(list),
            slot,
            parts,
        };
        packet.restore();
        Ok(packet)
    }
}

impl fmt::Debug for PacketPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PacketPool")
    }
}

/// The place in the context of a list of a [`PacketPool`] where its parts are kept.
fn slot(list: &Nbl) -> Option<NonNull<*mut Parts>> {
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
    fn net_buffer(&self) -> *mut NET_BUFFER {
        let list = self.list.as_ptr();
        // SAFETY: the list is owned; the pool gives each a net buffer.
        unsafe { (*list).FirstNetBuffer }
    }

    /// The list, to read.
    pub fn nbl(&self) -> &Nbl {
        &self.list
    }

    /// The number of bytes for which there is room.
    #[must_use]
    #[inline]
    pub fn capacity(&self) -> usize {
        self.parts.buffer.len()
    }

    /// The packet's memory, from which it starts.
    #[must_use]
    #[inline]
    pub fn buffer_mut(&mut self) -> &mut [u8] {
        &mut self.parts.buffer
    }

    /// The packet's bytes.
    #[must_use]
    pub fn data(&self) -> &[u8] {
        self.parts.buffer.get(..self.len()).unwrap_or_default()
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

    /// A word for the owner of the packet, also while its list is away; there are four.
    #[must_use]
    #[inline]
    pub fn word(&self, index: usize) -> usize {
        let words = self.list.source_words();
        words.get(index).copied().unwrap_or(0)
    }

    /// Sets a word for the owner of the packet; those that there are not are ignored.
    #[inline]
    pub fn set_word(&mut self, index: usize, value: usize) {
        self.list.set_source_word(index, value);
    }

    /// Sets one of the list's information slots; slots that the list does not have are ignored.
    #[inline]
    pub fn set_info(&mut self, slot: NDIS_NET_BUFFER_LIST_INFO, value: usize) {
        self.list.set_info(slot, value);
    }

    /// Sets the list's scratch word.
    #[inline]
    pub fn set_scratch(&mut self, value: usize) {
        self.list.set_scratch(value);
    }

    /// Undoes what others have done to the list: it describes the packet's own memory, and nothing is in its slots.
    fn restore(&mut self) {
        let mdl: *mut MDL = self.parts.mdl.0.as_ptr();
        // SAFETY: the packet's own.
        unsafe { (*mdl).Next = ptr::null_mut() };
        let list = self.list.as_ptr();
        // SAFETY: the list is owned.
        unsafe { (*list).NetBufferListInfo = [ptr::null_mut(); 27] };
        let buffer = self.net_buffer();
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
        self.set_len(self.len());
    }

    /// Gives the packet away as a list, to be sent or indicated, and to come back to [`PacketPool::reclaim`].
    ///
    /// A list that does not come back leaves its memory behind.
    pub fn into_nbl(self) -> Nbl {
        let this = ManuallyDrop::new(self);
        // SAFETY: moved out of a value that is not dropped.
        let parts = unsafe { ptr::read(&this.parts) };
        // SAFETY: moved out of a value that is not dropped.
        let list = unsafe { ptr::read(&*this.list) };
        // SAFETY: within the list's context, which nobody else uses.
        unsafe { this.slot.write(Box::into_raw(parts)) };
        let raw = list.as_ptr();
        // SAFETY: the list is owned.
        unsafe { (*raw).Next = ptr::null_mut() };
        // SAFETY: as above.
        unsafe { (*raw).NblFlags = 0 };
        // SAFETY: as above.
        unsafe { (*raw).Status = STATUS_SUCCESS };
        list
    }
}

impl Drop for Packet {
    fn drop(&mut self) {
        // SAFETY: taken once.
        let list = unsafe { ManuallyDrop::take(&mut self.list) };
        // SAFETY: of this pool, and with the module.
        unsafe { self.parts.pool.lists.free(list) };
    }
}

impl fmt::Debug for Packet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Packet({} of {} bytes)", self.len(), self.capacity())
    }
}
