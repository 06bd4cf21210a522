//! Pools of net buffer lists. Only packets are made of them: whoever has a list of the module's knows what its context is.

use core::ptr::NonNull;

use super::buffer::Nbl;
use super::filter::Filter;
use crate::pool::Tag;
use crate::status::{Result, Status};
use crate::sys::imports::ndis;
use crate::sys::{
    MDL, NDIS_HANDLE, NDIS_OBJECT_HEADER, NDIS_OBJECT_TYPE_DEFAULT, NDIS_PROTOCOL_ID_DEFAULT,
    NDIS_SIZEOF_NET_BUFFER_LIST_POOL_PARAMETERS_REVISION_1, NET_BUFFER_LIST_POOL_PARAMETERS,
    NET_BUFFER_LIST_POOL_PARAMETERS_REVISION_1,
};

/// What the lists of a pool have room for.
#[derive(Clone, Copy, Debug)]
pub(super) struct NblTemplate {
    /// Bytes of context in each list, a multiple of 16.
    pub(super) context_size: u16,
    /// Bytes of data that come with each list's net buffer.
    pub(super) data_size: u32,
    /// The tag of the pool.
    pub(super) tag: Tag,
}

/// A pool of net buffer lists, each with one net buffer.
#[derive(Debug)]
pub(super) struct NblPool {
    pool: NDIS_HANDLE,
    filter: Filter,
    context_size: u16,
}

// SAFETY: NDIS pools serve any number of threads.
unsafe impl Send for NblPool {}
// SAFETY: as above.
unsafe impl Sync for NblPool {}

impl NblPool {
    /// Makes a pool of a filter module.
    ///
    /// # Errors
    ///
    /// [`Status::INSUFFICIENT_RESOURCES`].
    pub(super) fn new(filter: Filter, template: &NblTemplate) -> Result<Self> {
        let parameters = NET_BUFFER_LIST_POOL_PARAMETERS {
            Header: NDIS_OBJECT_HEADER {
                Type: NDIS_OBJECT_TYPE_DEFAULT,
                Revision: NET_BUFFER_LIST_POOL_PARAMETERS_REVISION_1,
                Size: NDIS_SIZEOF_NET_BUFFER_LIST_POOL_PARAMETERS_REVISION_1,
            },
            ProtocolId: NDIS_PROTOCOL_ID_DEFAULT as u8,
            fAllocateNetBuffer: 1,
            ContextSize: template.context_size,
            PoolTag: template.tag.0,
            DataSize: template.data_size,
        };
        // SAFETY: the parameters are read during the call.
        let pool = unsafe { ndis::NdisAllocateNetBufferListPool(filter.raw(), &parameters) };
        if pool.is_null() {
            return Err(Status::INSUFFICIENT_RESOURCES);
        }
        Ok(Self {
            pool,
            filter,
            context_size: template.context_size,
        })
    }

    /// Takes a list out of the pool whose packet is `len` bytes from `offset` on of an MDL chain.
    ///
    /// # Errors
    ///
    /// [`Status::INSUFFICIENT_RESOURCES`].
    ///
    /// # Safety
    ///
    /// The chain describes locked or non-paged memory of at least that many bytes, until the list is freed.
    pub(super) unsafe fn alloc(&self, mdl: *mut MDL, offset: u32, len: usize) -> Result<Nbl> {
        // SAFETY: the pool has one net buffer for each list; the chain is the caller's promise.
        let list = unsafe {
            ndis::NdisAllocateNetBufferAndNetBufferList(
                self.pool,
                self.context_size,
                0,
                mdl,
                offset,
                len,
            )
        };
        let list = NonNull::new(list).ok_or(Status::INSUFFICIENT_RESOURCES)?;
        // SAFETY: a new list. NDIS uses the source to find the way back.
        unsafe { (*list.as_ptr()).SourceHandle = self.filter.raw() };
        // SAFETY: new, and the caller's from here on.
        Ok(unsafe { Nbl::from_raw(list) })
    }

    /// Puts a list back.
    ///
    /// # Safety
    ///
    /// The list came from this pool's [`NblPool::alloc`], and has come back to the driver.
    pub(super) unsafe fn free(&self, list: Nbl) {
        // SAFETY: the caller's promise.
        unsafe { ndis::NdisFreeNetBufferList(list.into_raw().as_ptr()) }
    }
}

impl Drop for NblPool {
    fn drop(&mut self) {
        // SAFETY: allocated by `new`; its lists are back.
        unsafe { ndis::NdisFreeNetBufferListPool(self.pool) }
    }
}
