//! Pools of NET_BUFFER_LISTs and NET_BUFFERs.

use std::{
    collections::BTreeMap,
    ffi::c_void,
    sync::atomic::{AtomicI64, Ordering},
};

use crate::sync::Mutex;
use nt::sys::{
    MDL, NDIS_OBJECT_TYPE_DEFAULT, NET_BUFFER, NET_BUFFER_LIST, NET_BUFFER_LIST_CONTEXT,
    NET_BUFFER_LIST_POOL_PARAMETERS, NET_BUFFER_POOL_PARAMETERS,
};

use super::{
    memory,
    nbl::{Nb, Nbl},
    raw::{at, get, load, put, store},
};
use crate::{
    exports,
    kernel::{kernel, strict},
    verifier::Rule,
};

const NBL_SIZE: usize = size_of::<NET_BUFFER_LIST>();
const NB_SIZE: usize = size_of::<NET_BUFFER>();
const CONTEXT_HEADER: usize = size_of::<NET_BUFFER_LIST_CONTEXT>();

/// A pool; its address is the handle.
pub(crate) struct Pool {
    /// Handle that the pool was allocated for; 0 for none.
    pub(crate) owner: usize,
    pub(crate) tag: u32,
    kind: Kind,
    context_size: usize,
    data_size: usize,
    with_buffer: bool,
    outstanding: AtomicI64,
    /// Freed blocks of the usual size, for fast mode.
    cache: Mutex<Vec<usize>>,
    /// Live blocks and their sizes, kept in strict mode.
    live: Mutex<BTreeMap<usize, usize>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Lists,
    Buffers,
}

impl Pool {
    pub(crate) fn lists(
        owner: usize,
        tag: u32,
        context_size: usize,
        with_buffer: bool,
        data_size: usize,
    ) -> Pool {
        Pool {
            owner,
            tag,
            kind: Kind::Lists,
            context_size: context_size.next_multiple_of(16),
            data_size,
            with_buffer: with_buffer || data_size > 0,
            outstanding: AtomicI64::new(0),
            cache: Mutex::new(Vec::new()),
            live: Mutex::new(BTreeMap::new()),
        }
    }

    /// A pool of NET_BUFFERs.
    pub(crate) fn buffers(owner: usize, tag: u32, data_size: usize) -> Pool {
        let mut pool = Pool::lists(owner, tag, 0, false, data_size);
        pool.kind = Kind::Buffers;
        pool
    }

    /// Allocates a NET_BUFFER that describes nothing.
    pub(crate) fn new_buffer(&self) -> Nb {
        let Some(object) = self.take(self.usual_size()) else {
            return std::ptr::null_mut();
        };
        let nb = object.cast::<NET_BUFFER>();
        put!(nb => [NdisPoolHandle] self.handle());
        nb
    }

    /// Frees a NET_BUFFER.
    pub(crate) fn free_buffer(&self, nb: Nb) {
        self.give(nb.cast(), "a NET_BUFFER");
    }

    fn handle(&self) -> *mut c_void {
        std::ptr::from_ref(self).cast_mut().cast()
    }

    fn usual_size(&self) -> usize {
        match self.kind {
            Kind::Lists => {
                let context = if self.context_size > 0 {
                    CONTEXT_HEADER + self.context_size
                } else {
                    0
                };
                16 + NBL_SIZE + context + if self.with_buffer { NB_SIZE } else { 0 }
            }
            Kind::Buffers => 16 + NB_SIZE,
        }
    }

    /// A zeroed block of at least `size` bytes behind a word that holds its size.
    fn take(&self, size: usize) -> Option<*mut u8> {
        let cached = if !strict() && size == self.usual_size() {
            self.cache.lock().pop()
        } else {
            None
        };
        let block = match cached {
            Some(block) => {
                super::raw::zero(block as *mut u8, size);
                block as *mut u8
            }
            None => memory::allocate(size),
        };
        if block.is_null() {
            return None;
        }
        store(block.cast::<usize>(), size);
        self.outstanding.fetch_add(1, Ordering::Relaxed);
        let object = block.wrapping_add(16);
        if strict() {
            self.live.lock().insert(object as usize, size);
        }
        Some(object)
    }

    fn give(&self, object: *mut u8, what: &str) {
        if strict() && self.live.lock().remove(&(object as usize)).is_none() {
            crate::bugcheck!(Rule::NblDoubleFree, object, self.handle();
                "{what} at {object:p} is not allocated from pool {:p} (freed twice?)", self.handle());
        }
        let block = object.wrapping_sub(16);
        let size = load(block.cast::<usize>());
        self.outstanding.fetch_sub(1, Ordering::Relaxed);
        if !strict() && size == self.usual_size() {
            self.cache.lock().push(block as usize);
        } else {
            memory::free(block, size);
        }
    }

    /// Allocates an NBL; with a NET_BUFFER when the pool has them or `buffer` describes one.
    pub(crate) fn new_nbl(
        &self,
        context_size: usize,
        backfill: usize,
        buffer: Option<(*mut MDL, usize, usize)>,
    ) -> Nbl {
        let mut context = context_size + backfill;
        if context > 0 || self.context_size > 0 {
            context = context.max(self.context_size);
        }
        let context_bytes = if context > 0 {
            CONTEXT_HEADER + context
        } else {
            0
        };
        let with_buffer = self.with_buffer || buffer.is_some();
        let size = 16 + NBL_SIZE + context_bytes + if with_buffer { NB_SIZE } else { 0 };
        let Some(object) = self.take(size) else {
            return std::ptr::null_mut();
        };
        let nbl = object.cast::<NET_BUFFER_LIST>();
        put!(nbl => [NdisPoolHandle] self.handle());
        if with_buffer {
            let nb: Nb = at(nbl, NBL_SIZE);
            put!(nb => [NdisPoolHandle] self.handle());
            put!(nbl => [FirstNetBuffer] nb);
            match buffer {
                Some((mdl, offset, len)) => describe(nb, mdl, offset, len),
                None if self.data_size > 0 => {
                    let mdl = own_data(self.data_size);
                    if mdl.is_null() {
                        self.give(object, "an NBL");
                        return std::ptr::null_mut();
                    }
                    put!(nb => [NdisReserved] [mdl.cast(), std::ptr::null_mut()]);
                    describe(nb, mdl, 0, 0);
                }
                None => {}
            }
        }
        if context > 0 {
            let area: *mut NET_BUFFER_LIST_CONTEXT =
                at(nbl, NBL_SIZE + if with_buffer { NB_SIZE } else { 0 });
            put!(area => [Size] context as u16);
            put!(area => [Offset] backfill as u16);
            put!(nbl => [Context] area);
        }
        nbl
    }

    /// Frees an NBL.
    pub(crate) fn free_nbl(&self, nbl: Nbl) {
        if strict() {
            kernel().ndis.tracker.check_free(nbl);
            if !self.live.lock().contains_key(&(nbl as usize)) {
                crate::bugcheck!(Rule::NblDoubleFree, nbl, self.handle();
                    "the NBL at {nbl:p} is not allocated from pool {:p} (freed twice?)", self.handle());
            }
        }
        while let Some(context) = added_context(nbl) {
            remove_context(nbl, context);
        }
        if self.data_size > 0 {
            let nb: Nb = at(nbl, NBL_SIZE);
            free_own_data(get!(nb => NdisReserved)[0].cast());
        }
        self.give(nbl.cast(), "an NBL");
    }

    /// Objects that are allocated from the pool now.
    pub(crate) fn outstanding(&self) -> i64 {
        self.outstanding.load(Ordering::Relaxed)
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        for block in self.cache.get_mut().drain(..) {
            let size = load((block as *const u8).cast::<usize>());
            memory::free(block as *mut u8, size);
        }
    }
}

/// Sets up a NET_BUFFER for `len` bytes, `offset` bytes into `mdl`.
pub(crate) fn describe(nb: Nb, mdl: *mut MDL, offset: usize, len: usize) {
    put!(nb => [MdlChain] mdl);
    put!(nb => [DataOffset] offset as u32);
    put!(nb => [DataLength] len as u32);
    let (current, within) = super::nbl::locate(mdl, offset).unwrap_or((std::ptr::null_mut(), 0));
    put!(nb => [CurrentMdl] current);
    put!(nb => [CurrentMdlOffset] within as u32);
}

fn own_data(size: usize) -> *mut MDL {
    let data = memory::allocate(size);
    if data.is_null() {
        return std::ptr::null_mut();
    }
    let mdl = memory::new_mdl(data, size);
    if mdl.is_null() {
        memory::free(data, size);
    }
    mdl
}

fn free_own_data(mdl: *mut MDL) {
    if !mdl.is_null() {
        let size = get!(mdl => ByteCount) as usize;
        memory::free(get!(mdl => MappedSystemVa).cast(), size);
        memory::free_mdl(mdl);
    }
}

/// The context that was allocated last, if it is not the one inside the NBL's own block.
fn added_context(nbl: Nbl) -> Option<*mut NET_BUFFER_LIST_CONTEXT> {
    let context = get!(nbl => Context);
    let start = nbl as usize;
    let size = load(nbl.cast::<u8>().wrapping_sub(16).cast::<usize>());
    let inside = (start..start + size).contains(&(context as usize));
    (!context.is_null() && !inside).then_some(context)
}

fn remove_context(nbl: Nbl, context: *mut NET_BUFFER_LIST_CONTEXT) {
    put!(nbl => [Context] get!(context => Next));
    memory::free(
        context.cast(),
        CONTEXT_HEADER + usize::from(get!(context => Size)),
    );
}

fn pool(handle: *mut c_void, kind: Kind, function: &str) -> &'static Pool {
    let pool = kernel().ndis.pools.get(handle, function);
    if strict() && pool.kind != kind {
        crate::bugcheck!(Rule::NdisBadHandle, handle;
            "{function} was given a pool of the other kind ({handle:p})");
    }
    pool
}

/// Frees an NBL to the pool it names.
pub(crate) fn free_nbl(nbl: Nbl, function: &str) {
    if strict() {
        super::check_nbl_memory(nbl, function);
        // A freed one is not there to be looked at.
        let pools = kernel().ndis.pools.live();
        if !pools
            .iter()
            .any(|p| p.live.lock().contains_key(&(nbl as usize)))
        {
            crate::bugcheck!(Rule::NblDoubleFree, nbl;
                "{function}: the NBL at {nbl:p} is not allocated from any pool (freed twice?)");
        }
    }
    pool(get!(nbl => NdisPoolHandle), Kind::Lists, function).free_nbl(nbl);
}

fn free_pool(handle: *mut c_void, kind: Kind, function: &str) {
    let pool = pool(handle, kind, function);
    let outstanding = pool.outstanding();
    if outstanding != 0 && strict() {
        crate::bugcheck!(Rule::NblPoolInUse, handle, outstanding;
            "{function} for pool {handle:p} (tag '{}') with {outstanding} allocated from it",
            super::tag(pool.tag));
    }
    kernel().ndis.pools.retire(pool);
}

fn new_pool(pool: Pool) -> *mut c_void {
    kernel().ndis.pools.insert(pool).handle()
}

exports! { "ndis.sys" => pub(crate) EXPORTS;
    /// Makes a pool of NBLs.
    #[irql(DISPATCH)]
    fn NdisAllocateNetBufferListPool(handle: *mut c_void, parameters: *const NET_BUFFER_LIST_POOL_PARAMETERS) -> *mut c_void {
        let p = load(parameters);
        super::check_header(p.Header, NDIS_OBJECT_TYPE_DEFAULT, 1, 0x10, "NET_BUFFER_LIST_POOL_PARAMETERS");
        if p.DataSize > 0 && p.fAllocateNetBuffer == 0 {
            return std::ptr::null_mut();
        }
        if !p.ContextSize.is_multiple_of(16) {
            return std::ptr::null_mut();
        }
        let owner = super::owner(handle);
        if memory::must_fail("NdisAllocateNetBufferListPool") {
            return std::ptr::null_mut();
        }
        new_pool(Pool::lists(owner, p.PoolTag, p.ContextSize.into(), p.fAllocateNetBuffer != 0, p.DataSize as usize))
    }

    /// Frees a pool of NBLs.
    #[irql(DISPATCH)]
    fn NdisFreeNetBufferListPool(handle: *mut c_void) {
        free_pool(handle, Kind::Lists, "NdisFreeNetBufferListPool");
    }

    /// Makes a pool of NET_BUFFERs.
    #[irql(DISPATCH)]
    fn NdisAllocateNetBufferPool(handle: *mut c_void, parameters: *const NET_BUFFER_POOL_PARAMETERS) -> *mut c_void {
        let p = load(parameters);
        super::check_header(p.Header, NDIS_OBJECT_TYPE_DEFAULT, 1, 0xc, "NET_BUFFER_POOL_PARAMETERS");
        new_pool(Pool::buffers(super::owner(handle), p.PoolTag, p.DataSize as usize))
    }

    /// Frees a pool of NET_BUFFERs.
    #[irql(DISPATCH)]
    fn NdisFreeNetBufferPool(handle: *mut c_void) {
        free_pool(handle, Kind::Buffers, "NdisFreeNetBufferPool");
    }

    /// Allocates an NBL.
    #[irql(DISPATCH)]
    fn NdisAllocateNetBufferList(handle: *mut c_void, context_size: u16, backfill: u16) -> Nbl {
        if memory::must_fail("NdisAllocateNetBufferList") {
            return std::ptr::null_mut();
        }
        pool(handle, Kind::Lists, "NdisAllocateNetBufferList").new_nbl(context_size.into(), backfill.into(), None)
    }

    /// Allocates an NBL with a NET_BUFFER.
    #[irql(DISPATCH)]
    fn NdisAllocateNetBufferAndNetBufferList(
        handle: *mut c_void, context_size: u16, backfill: u16, mdl: *mut MDL, offset: u32, len: u64,
    ) -> Nbl {
        let pool = pool(handle, Kind::Lists, "NdisAllocateNetBufferAndNetBufferList");
        if memory::must_fail("NdisAllocateNetBufferAndNetBufferList") {
            return std::ptr::null_mut();
        }
        if !pool.with_buffer && strict() {
            crate::bugcheck!(Rule::NdisBadHandle, handle;
                "NdisAllocateNetBufferAndNetBufferList needs a pool made with fAllocateNetBuffer");
        }
        pool.new_nbl(context_size.into(), backfill.into(), Some((mdl, offset as usize, len as usize)))
    }

    /// Frees an NBL.
    #[irql(DISPATCH)]
    fn NdisFreeNetBufferList(nbl: Nbl) {
        free_nbl(nbl, "NdisFreeNetBufferList");
    }

    /// Allocates a NET_BUFFER.
    #[irql(DISPATCH)]
    fn NdisAllocateNetBuffer(handle: *mut c_void, mdl: *mut MDL, offset: u32, len: u64) -> Nb {
        let pool = pool(handle, Kind::Buffers, "NdisAllocateNetBuffer");
        if memory::must_fail("NdisAllocateNetBuffer") {
            return std::ptr::null_mut();
        }
        let nb = pool.new_buffer();
        if !nb.is_null() {
            describe(nb, mdl, offset as usize, len as usize);
        }
        nb
    }

    /// Allocates a NET_BUFFER with an MDL and as many bytes of data as the pool says.
    #[irql(DISPATCH)]
    fn NdisAllocateNetBufferMdlAndData(handle: *mut c_void) -> Nb {
        let pool = pool(handle, Kind::Buffers, "NdisAllocateNetBufferMdlAndData");
        if pool.data_size == 0 {
            return std::ptr::null_mut();
        }
        let mdl = own_data(pool.data_size);
        if mdl.is_null() {
            return std::ptr::null_mut();
        }
        let nb = pool.new_buffer();
        if nb.is_null() {
            free_own_data(mdl);
            return nb;
        }
        put!(nb => [NdisReserved] [mdl.cast(), std::ptr::null_mut()]);
        describe(nb, mdl, 0, 0);
        nb
    }

    /// Frees a NET_BUFFER.
    #[irql(DISPATCH)]
    fn NdisFreeNetBuffer(nb: Nb) {
        let pool = pool(get!(nb => NdisPoolHandle), Kind::Buffers, "NdisFreeNetBuffer");
        let own: *mut c_void = get!(nb => NdisReserved)[0];
        free_own_data(own.cast());
        pool.free_buffer(nb);
    }

    /// Gives an NBL more context space.
    #[irql(DISPATCH)]
    fn NdisAllocateNetBufferListContext(nbl: Nbl, context_size: u16, backfill: u16, tag: u32) -> i32 {
        let _ = tag;
        let old = get!(nbl => Context);
        if !old.is_null() && get!(old => Offset) >= context_size {
            put!(old => [Offset] get!(old => Offset) - context_size);
            return 0;
        }
        let size = context_size.saturating_add(backfill);
        let context = memory::allocate(CONTEXT_HEADER + usize::from(size)).cast::<NET_BUFFER_LIST_CONTEXT>();
        if context.is_null() {
            return nt::sys::NDIS_STATUS_RESOURCES;
        }
        put!(context => [Next] old);
        put!(context => [Size] size);
        put!(context => [Offset] backfill);
        put!(nbl => [Context] context);
        0
    }

    /// Takes context space back.
    #[irql(DISPATCH)]
    fn NdisFreeNetBufferListContext(nbl: Nbl, context_size: u16) {
        let context = get!(nbl => Context);
        if context.is_null() {
            return;
        }
        let offset = get!(context => Offset).saturating_add(context_size).min(get!(context => Size));
        put!(context => [Offset] offset);
        if let Some(added) = added_context(nbl)
            && offset == get!(added => Size)
        {
            remove_context(nbl, added);
        }
    }

    /// Pool of an NBL.
    #[irql(DISPATCH)]
    fn NdisGetPoolFromNetBufferList(nbl: Nbl) -> *mut c_void {
        get!(nbl => NdisPoolHandle)
    }

    /// Pool of a NET_BUFFER.
    #[irql(DISPATCH)]
    fn NdisGetPoolFromNetBuffer(nb: Nb) -> *mut c_void {
        get!(nb => NdisPoolHandle)
    }
}
