//! Net buffer lists.

use core::ptr::{self, NonNull};

use super::net_buffer::{NetBuffer, NetBuffers};
use crate::status::Status;
use crate::sys::{
    NDIS_HANDLE, NDIS_NBL_FLAGS_IS_LOOPBACK_PACKET, NDIS_NET_BUFFER_LIST_INFO, NET_BUFFER_LIST,
    NetBufferListHashInfo, NetBufferListHashValue, NetBufferListInfoReserved3,
    TcpIpChecksumNetBufferListInfo, TcpLargeSendNetBufferListInfo, TcpRecvSegCoalesceInfo,
};

/// One net buffer list that the driver has: received, sent, or allocated, and to be given back the same way.
#[doc(alias = "NET_BUFFER_LIST")]
#[must_use = "a net buffer list goes back to where it came from"]
#[derive(PartialEq, Eq, Debug)]
#[repr(transparent)]
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

    /// Whether the stack sees here what it sent itself.
    #[doc(alias = "NDIS_NBL_FLAGS_IS_LOOPBACK_PACKET")]
    #[must_use]
    #[inline]
    pub fn is_loopback(&self) -> bool {
        self.nbl_flags() & NDIS_NBL_FLAGS_IS_LOOPBACK_PACKET != 0
    }

    /// The handle of whoever made the list.
    #[inline]
    pub(super) fn source(&self) -> NDIS_HANDLE {
        field!(self.SourceHandle)
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
        let list = self.list.as_ptr();
        // SAFETY: the list is the driver's.
        let slots = unsafe { &(*list).NetBufferListInfo };
        slots.get(slot as usize).map_or(0, |value| value.addr())
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

    /// What is known of the packet's checksums, or to be done about them.
    #[doc(alias = "NDIS_TCP_IP_CHECKSUM_NET_BUFFER_LIST_INFO")]
    #[must_use]
    #[inline]
    pub fn checksum_info(&self) -> usize {
        self.info(TcpIpChecksumNetBufferListInfo)
    }

    /// The number of TCP segments that the adapter has put together into this packet; 0 for an ordinary one.
    #[doc(alias = "NET_BUFFER_LIST_COALESCED_SEG_COUNT")]
    #[must_use]
    #[inline]
    pub fn coalesced_segments(&self) -> u16 {
        self.info(TcpRecvSegCoalesceInfo) as u16
    }

    /// When the packet was received or sent, in the adapter's time; 0 when the adapter does not say.
    #[doc(alias = "NdisGetNblTimestampInfo")]
    #[must_use]
    #[inline]
    pub fn timestamp(&self) -> u64 {
        // `ndis/nbltimestamp.h` keeps it in this slot.
        self.info(NetBufferListInfoReserved3) as u64
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

    /// The packets of the list.
    #[must_use]
    #[inline]
    pub fn buffers(&self) -> NetBuffers<'_> {
        NetBuffers::of(self)
    }

    /// The first packet of the list; received lists have only one.
    #[must_use]
    #[inline]
    pub fn first_buffer(&self) -> Option<NetBuffer<'_>> {
        self.buffers().next()
    }

    /// Overwrites bytes of the first packet from an offset on; as many as are there, and returns how many.
    ///
    /// Packets of others may be changed where the stack allows it: those that were received, on their way up.
    pub fn write_first_buffer(&mut self, offset: usize, from: &[u8]) -> usize {
        let Some(buffer) = self.first_buffer() else {
            return 0;
        };
        let mut rest = from;
        buffer.each_piece(offset, from.len(), |piece| {
            let (now, later) = rest.split_at_checked(piece.len()).unwrap_or((rest, &[]));
            // SAFETY: part of the packet, which is borrowed exclusively; nobody lends it while it is written.
            unsafe {
                ptr::copy_nonoverlapping(now.as_ptr(), piece.cast::<u8>().as_ptr(), now.len())
            };
            rest = later;
        })
    }
}
