//! Net buffer lists and what is in them.

use core::marker::PhantomData;
use core::ptr::{self, NonNull};
use core::slice;

use crate::memory::system_address;
use crate::status::Status;
use crate::sys::{
    MDL, NDIS_NET_BUFFER_LIST_INFO, NET_BUFFER, NET_BUFFER_LIST, NetBufferListHashInfo,
    NetBufferListHashValue, TcpIpChecksumNetBufferListInfo, TcpLargeSendNetBufferListInfo,
};

/// One net buffer list that the driver has: received, sent, or allocated, and to be given back the same way.
#[doc(alias = "NET_BUFFER_LIST")]
#[must_use = "a net buffer list goes back to where it came from"]
#[derive(PartialEq, Eq, Debug)]
pub struct Nbl {
    list: NonNull<NET_BUFFER_LIST>,
}

// SAFETY: ownership of a net buffer list may move between threads.
unsafe impl Send for Nbl {}
// SAFETY: shared access only reads.
unsafe impl Sync for Nbl {}

macro_rules! field {
    ($self:ident.$field:ident) => {{
        let list = $self.list.as_ptr();
        // SAFETY: the list is the driver's.
        unsafe { (*list).$field }
    }};
}

impl Nbl {
    /// Owns a net buffer list.
    ///
    /// # Safety
    ///
    /// The list is valid and nobody else uses it until it is given back.
    pub const unsafe fn from_raw(list: NonNull<NET_BUFFER_LIST>) -> Self {
        Self { list }
    }

    /// Gives the list away as a pointer.
    #[must_use]
    pub const fn into_raw(self) -> NonNull<NET_BUFFER_LIST> {
        self.list
    }

    /// The list, valid while it is owned.
    #[must_use]
    pub const fn as_ptr(&self) -> *mut NET_BUFFER_LIST {
        self.list.as_ptr()
    }

    /// A number that tells lists apart while they are owned.
    #[must_use]
    pub fn id(&self) -> usize {
        self.list.as_ptr().addr()
    }

    /// `NDIS_NBL_FLAGS_...`.
    #[must_use]
    #[inline]
    pub fn nbl_flags(&self) -> u32 {
        field!(self.NblFlags)
    }

    /// The status with which a send completed.
    #[must_use]
    pub fn status(&self) -> Status {
        Status(field!(self.Status))
    }

    /// Sets the status with which a send is completed.
    pub fn set_status(&mut self, status: Status) {
        let list = self.list.as_ptr();
        // SAFETY: the list is the driver's, borrowed exclusively.
        unsafe { (*list).Status = status.0 };
    }

    /// One of the list's information slots, as a word.
    #[doc(alias = "NET_BUFFER_LIST_INFO")]
    #[must_use]
    #[inline]
    pub fn info(&self, slot: NDIS_NET_BUFFER_LIST_INFO) -> usize {
        field!(self.NetBufferListInfo)
            .get(slot as usize)
            .map_or(0, |value| value.addr())
    }

    /// Sets one of the list's information slots; slots that the list does not have are ignored.
    #[inline]
    pub fn set_info(&mut self, slot: NDIS_NET_BUFFER_LIST_INFO, value: usize) {
        let list = self.list.as_ptr();
        // SAFETY: the list is the driver's, borrowed exclusively.
        let slots = unsafe { &mut (*list).NetBufferListInfo };
        if let Some(slot) = slots.get_mut(slot as usize) {
            *slot = ptr::without_provenance_mut(value);
        }
    }

    /// The receive-side-scaling hash of the packet; 0 when it has none.
    #[must_use]
    #[inline]
    pub fn hash_value(&self) -> u32 {
        self.info(NetBufferListHashValue) as u32
    }

    /// Clears hash, checksum and segmentation information.
    pub fn clear_offload_info(&mut self) {
        for slot in [
            NetBufferListHashValue,
            NetBufferListHashInfo,
            TcpIpChecksumNetBufferListInfo,
            TcpLargeSendNetBufferListInfo,
        ] {
            self.set_info(slot, 0);
        }
    }

    /// A word of the list that its owner of the moment may use: protocols, filters and miniports alike.
    #[doc(alias = "Scratch")]
    #[must_use]
    pub fn scratch(&self) -> usize {
        field!(self.Scratch).addr()
    }

    /// Sets the scratch word.
    pub fn set_scratch(&mut self, value: usize) {
        let list = self.list.as_ptr();
        // SAFETY: the list is the driver's, borrowed exclusively.
        unsafe { (*list).Scratch = ptr::without_provenance_mut(value) };
    }

    /// Words for the driver that allocated the list (`ProtocolReserved`).
    #[must_use]
    pub fn source_words(&self) -> [usize; 4] {
        field!(self.ProtocolReserved).map(|word| word.addr())
    }

    /// Sets a word for the driver that allocated the list.
    pub fn set_source_word(&mut self, index: usize, value: usize) {
        let list = self.list.as_ptr();
        // SAFETY: the list is the driver's, borrowed exclusively.
        let words = unsafe { &mut (*list).ProtocolReserved };
        if let Some(word) = words.get_mut(index) {
            *word = ptr::without_provenance_mut(value);
        }
    }

    /// The packets of the list.
    #[must_use]
    #[inline]
    pub fn buffers(&self) -> NetBuffers<'_> {
        NetBuffers {
            next: field!(self.FirstNetBuffer),
            list: PhantomData,
        }
    }

    /// The first packet of the list; received lists have only one.
    #[must_use]
    #[inline]
    pub fn first_buffer(&self) -> Option<NetBuffer<'_>> {
        self.buffers().next()
    }
}

/// The packets of a list.
#[derive(Clone, Debug)]
pub struct NetBuffers<'a> {
    next: *mut NET_BUFFER,
    list: PhantomData<&'a Nbl>,
}

impl<'a> Iterator for NetBuffers<'a> {
    type Item = NetBuffer<'a>;

    #[inline]
    fn next(&mut self) -> Option<NetBuffer<'a>> {
        let buffer = NonNull::new(self.next)?;
        // SAFETY: part of a list that is borrowed.
        self.next = unsafe { (*buffer.as_ptr()).Next };
        Some(NetBuffer {
            buffer,
            list: PhantomData,
        })
    }
}

/// One packet.
#[doc(alias = "NET_BUFFER")]
#[derive(Clone, Copy, Debug)]
pub struct NetBuffer<'a> {
    buffer: NonNull<NET_BUFFER>,
    list: PhantomData<&'a Nbl>,
}

impl<'a> NetBuffer<'a> {
    /// The structure, valid while its list is borrowed.
    #[must_use]
    pub const fn as_ptr(&self) -> *mut NET_BUFFER {
        self.buffer.as_ptr()
    }

    /// The length of the packet.
    #[must_use]
    #[inline]
    #[expect(clippy::len_without_is_empty, reason = "packets are not empty")]
    pub fn len(&self) -> usize {
        // SAFETY: part of a list that is borrowed.
        unsafe { (*self.as_ptr()).DataLength as usize }
    }

    /// The packet's bytes, piece by piece.
    #[must_use]
    #[inline]
    pub fn segments(&self) -> Segments<'a> {
        // SAFETY: part of a list that is borrowed.
        let mdl = unsafe { (*self.as_ptr()).CurrentMdl };
        // SAFETY: as above.
        let offset = unsafe { (*self.as_ptr()).CurrentMdlOffset };
        Segments {
            mdl,
            offset: offset as usize,
            rest: self.len(),
            list: PhantomData,
        }
    }
}

/// The pieces of a packet, one for each memory descriptor list; [`None`] inside when one cannot be mapped.
#[derive(Clone, Debug)]
pub struct Segments<'a> {
    mdl: *mut MDL,
    offset: usize,
    rest: usize,
    list: PhantomData<&'a Nbl>,
}

impl Segments<'_> {
    /// How many bytes the remaining pieces should have.
    #[must_use]
    pub const fn remaining(&self) -> usize {
        self.rest
    }
}

impl<'a> Iterator for Segments<'a> {
    type Item = Option<&'a [u8]>;

    #[inline]
    fn next(&mut self) -> Option<Option<&'a [u8]>> {
        if self.rest == 0 {
            return None;
        }
        let mdl = NonNull::new(self.mdl)?;
        // SAFETY: part of a list that is borrowed.
        let bytes = unsafe { (*mdl.as_ptr()).ByteCount } as usize;
        let offset = self.offset.min(bytes);
        let len = (bytes - offset).min(self.rest);
        // SAFETY: as above.
        self.mdl = unsafe { (*mdl.as_ptr()).Next };
        self.offset = 0;
        self.rest -= len;
        if len == 0 {
            return Some(Some(&[]));
        }
        // SAFETY: packets are described by locked or non-paged memory.
        let Some(start) = (unsafe { system_address(mdl.as_ptr()) }) else {
            return Some(None);
        };
        // SAFETY: the offset is within the described bytes.
        let start = unsafe { start.add(offset) };
        // SAFETY: `len` bytes are described from there; whoever lends a packet leaves its bytes alone.
        Some(Some(unsafe { slice::from_raw_parts(start.as_ptr(), len) }))
    }
}
