//! Clones, fragments and reassembled copies of NET_BUFFER_LISTs.

use std::ffi::c_void;

use nt::sys::{MDL, NDIS_CLONE_FLAGS_USE_ORIGINAL_MDLS, NET_BUFFER, NET_BUFFER_LIST};

use super::{
    memory,
    nbl::{self, Nb, Nbl},
    pool::{self, Pool},
    raw::{get, put},
};
use crate::{exports, kernel::kernel};

/// How a derived NBL was made; in its `NdisReserved[0]`, so that it is freed the same way.
const CLONE_WITH_OWN_MDLS: usize = 1;
const CLONE_WITH_ORIGINAL_MDLS: usize = 2;
const FRAGMENT: usize = 3;
const REASSEMBLED: usize = 4;

struct Pools {
    lists: &'static Pool,
    buffers: Option<*mut c_void>,
}

/// The pools to allocate from: those given, or the original's.
fn pools(original: Nbl, lists: *mut c_void, buffers: *mut c_void) -> Pools {
    let handle = if lists.is_null() {
        get!(original => NdisPoolHandle)
    } else {
        lists
    };
    Pools {
        lists: kernel().ndis.pools.get(handle, "an NBL clone"),
        buffers: (!buffers.is_null()).then_some(buffers),
    }
}

fn mark(nbl: Nbl, how: usize) {
    put!(nbl => [NdisReserved] [how as *mut c_void, std::ptr::null_mut()]);
}

fn marked(nbl: Nbl) -> usize {
    get!(nbl => NdisReserved)[0] as usize
}

/// Partial MDLs for `len` bytes from `offset` bytes into `mdl`; `None` when memory is used up or
/// the chain ends before.
fn partial(mdl: *mut MDL, offset: usize, len: usize) -> Option<*mut MDL> {
    let (mut first, mut last) = (std::ptr::null_mut::<MDL>(), std::ptr::null_mut::<MDL>());
    let mut done = 0;
    for piece in nbl::pieces(mdl, offset, len) {
        let new = memory::new_partial_mdl(piece.mdl, piece.start, piece.len);
        if new.is_null() {
            free_mdls(first);
            return None;
        }
        done += piece.len;
        if last.is_null() {
            first = new;
        } else {
            put!(last => [Next] new);
        }
        last = new;
    }
    if done < len {
        free_mdls(first);
        return None;
    }
    Some(first)
}

fn free_mdls(mut mdl: *mut MDL) {
    while !mdl.is_null() {
        let next = get!(mdl => Next);
        memory::free_mdl(mdl);
        mdl = next;
    }
}

fn new_buffer(pools: &Pools) -> Nb {
    match pools.buffers {
        // SAFETY: a kernel export called by kernel code with a pool handle of the caller.
        Some(pool) => unsafe { pool::NdisAllocateNetBuffer(pool, std::ptr::null_mut(), 0, 0) },
        None => memory::allocate(size_of::<NET_BUFFER>()).cast(),
    }
}

fn free_buffer(nb: Nb) {
    if get!(nb => NdisPoolHandle).is_null() {
        memory::free(nb.cast(), size_of::<NET_BUFFER>());
    } else {
        // SAFETY: a kernel export; the NET_BUFFER came from the pool that it names.
        unsafe { pool::NdisFreeNetBuffer(nb) };
    }
}

fn append(nbl: Nbl, last: &mut Nb, nb: Nb) {
    if last.is_null() {
        put!(nbl => [FirstNetBuffer] nb);
    } else {
        put!(*last => [Next] nb);
    }
    *last = nb;
}

/// Whether the NET_BUFFER lies in the NBL's own block.
fn is_inner(nbl: Nbl, nb: Nb) -> bool {
    nb as usize == nbl as usize + size_of::<NET_BUFFER_LIST>()
}

/// Frees a derived NBL, its NET_BUFFERs and, if it has its own, its MDLs.
fn free_derived(nbl: Nbl) {
    let own_mdls = marked(nbl) != CLONE_WITH_ORIGINAL_MDLS;
    let all: Vec<Nb> = nbl::buffers(nbl).collect();
    for nb in all {
        if own_mdls {
            if marked(nbl) == FRAGMENT
                && let header = get!(nb => NdisReserved)[1]
                && !header.is_null()
            {
                let mdl = header.cast::<MDL>();
                memory::free(
                    get!(mdl => MappedSystemVa).cast(),
                    get!(mdl => ByteCount) as usize,
                );
            }
            free_mdls(get!(nb => MdlChain));
        }
        put!(nb => [MdlChain] std::ptr::null_mut());
        if !is_inner(nbl, nb) {
            free_buffer(nb);
        }
    }
    put!(nbl => [FirstNetBuffer] std::ptr::null_mut());
    pool::free_nbl(nbl, "freeing a derived NBL");
}

fn clone(original: Nbl, pools: &Pools, share: bool) -> Option<Nbl> {
    let new = pools.lists.new_nbl(0, 0, None);
    if new.is_null() {
        return None;
    }
    let mut inner = get!(new => FirstNetBuffer);
    put!(new => [FirstNetBuffer] std::ptr::null_mut());
    mark(
        new,
        if share {
            CLONE_WITH_ORIGINAL_MDLS
        } else {
            CLONE_WITH_OWN_MDLS
        },
    );
    let mut last: Nb = std::ptr::null_mut();
    for from in nbl::buffers(original) {
        let nb = if inner.is_null() {
            new_buffer(pools)
        } else {
            std::mem::replace(&mut inner, std::ptr::null_mut())
        };
        if nb.is_null() {
            free_derived(new);
            return None;
        }
        append(new, &mut last, nb);
        let len = get!(from => DataLength) as usize;
        if share {
            put!(nb => [MdlChain] get!(from => MdlChain));
            put!(nb => [CurrentMdl] get!(from => CurrentMdl));
            put!(nb => [CurrentMdlOffset] get!(from => CurrentMdlOffset));
            put!(nb => [DataOffset] get!(from => DataOffset));
            put!(nb => [DataLength] len as u32);
        } else {
            let (mdl, offset) = (
                get!(from => CurrentMdl),
                get!(from => CurrentMdlOffset) as usize,
            );
            let Some(mdls) = partial(mdl, offset, len) else {
                free_derived(new);
                return None;
            };
            pool::describe(nb, mdls, 0, len);
        }
    }
    Some(new)
}

/// Cuts the NET_BUFFERs of `original` into pieces of at most `max` bytes, each behind `header`
/// zero bytes of room.
fn fragment(
    original: Nbl,
    pools: &Pools,
    start: usize,
    max: usize,
    header: usize,
    backfill: usize,
) -> Option<Nbl> {
    let new = pools.lists.new_nbl(0, 0, None);
    if new.is_null() {
        return None;
    }
    let mut inner = get!(new => FirstNetBuffer);
    put!(new => [FirstNetBuffer] std::ptr::null_mut());
    mark(new, FRAGMENT);
    let mut last: Nb = std::ptr::null_mut();
    for from in nbl::buffers(original) {
        let mdl = get!(from => CurrentMdl);
        let base = get!(from => CurrentMdlOffset) as usize;
        let len = get!(from => DataLength) as usize;
        let mut at = start;
        while at < len {
            let take = max.min(len - at);
            let nb = if inner.is_null() {
                new_buffer(pools)
            } else {
                std::mem::replace(&mut inner, std::ptr::null_mut())
            };
            if nb.is_null() {
                free_derived(new);
                return None;
            }
            append(new, &mut last, nb);
            let Some(mut mdls) = partial(mdl, base + at, take) else {
                free_derived(new);
                return None;
            };
            let room = header + backfill;
            if room > 0 {
                let data = memory::allocate(room);
                let front = memory::new_mdl(data, room);
                put!(front => [Next] mdls);
                put!(nb => [NdisReserved] [std::ptr::null_mut(), front.cast()]);
                mdls = front;
            }
            pool::describe(nb, mdls, backfill, header + take);
            at += take;
        }
    }
    Some(new)
}

/// Joins the NET_BUFFERs of `fragments` into one, leaving out the first `skip` bytes of each.
fn reassemble(fragments: Nbl, pools: &Pools, skip: usize) -> Option<Nbl> {
    let new = pools.lists.new_nbl(0, 0, None);
    if new.is_null() {
        return None;
    }
    mark(new, REASSEMBLED);
    let mut nb = get!(new => FirstNetBuffer);
    if nb.is_null() {
        nb = new_buffer(pools);
        put!(new => [FirstNetBuffer] nb);
    }
    let (mut first, mut last, mut total) =
        (std::ptr::null_mut::<MDL>(), std::ptr::null_mut::<MDL>(), 0);
    for from in nbl::buffers(fragments) {
        let len = (get!(from => DataLength) as usize).saturating_sub(skip);
        let offset = get!(from => CurrentMdlOffset) as usize + skip;
        let Some(mdls) = partial(get!(from => CurrentMdl), offset, len) else {
            put!(nb => [MdlChain] first);
            free_derived(new);
            return None;
        };
        total += len;
        if last.is_null() {
            first = mdls;
        } else {
            put!(last => [Next] mdls);
        }
        let mut end = mdls;
        while !end.is_null() {
            last = end;
            end = get!(end => Next);
        }
    }
    pool::describe(nb, first, 0, total);
    Some(new)
}

fn or_null(nbl: Option<Nbl>) -> Nbl {
    nbl.unwrap_or(std::ptr::null_mut())
}

exports! { "ndis.sys" => pub(crate) EXPORTS;
    /// Makes an NBL for the same data.
    #[irql(DISPATCH)]
    fn NdisAllocateCloneNetBufferList(original: Nbl, lists: *mut c_void, buffers: *mut c_void, flags: u32) -> Nbl {
        if memory::must_fail("NdisAllocateCloneNetBufferList") {
            return std::ptr::null_mut();
        }
        let pools = pools(original, lists, buffers);
        or_null(clone(original, &pools, flags & NDIS_CLONE_FLAGS_USE_ORIGINAL_MDLS != 0))
    }

    /// Frees a clone.
    #[irql(DISPATCH)]
    fn NdisFreeCloneNetBufferList(clone: Nbl, flags: u32) {
        let _ = flags;
        free_derived(clone);
    }

    /// Cuts an NBL's data into pieces.
    #[irql(DISPATCH)]
    fn NdisAllocateFragmentNetBufferList(
        original: Nbl, lists: *mut c_void, buffers: *mut c_void, start: u32, max: u32, header: u32, backfill: u32,
        flags: u32,
    ) -> Nbl {
        let _ = flags;
        if max == 0 {
            return std::ptr::null_mut();
        }
        let pools = pools(original, lists, buffers);
        or_null(fragment(original, &pools, start as usize, max as usize, header as usize, backfill as usize))
    }

    /// Frees what NdisAllocateFragmentNetBufferList made.
    #[irql(DISPATCH)]
    fn NdisFreeFragmentNetBufferList(fragments: Nbl, header: u32, flags: u32) {
        let _ = (header, flags);
        free_derived(fragments);
    }

    /// Joins fragments into one NET_BUFFER.
    #[irql(DISPATCH)]
    fn NdisAllocateReassembledNetBufferList(
        fragments: Nbl, lists: *mut c_void, skip: u32, header: u32, backfill: u32, flags: u32,
    ) -> Nbl {
        let _ = (header, backfill, flags);
        let pools = pools(fragments, lists, std::ptr::null_mut());
        or_null(reassemble(fragments, &pools, skip as usize))
    }

    /// Frees what NdisAllocateReassembledNetBufferList made.
    #[irql(DISPATCH)]
    fn NdisFreeReassembledNetBufferList(reassembled: Nbl, skip: u32, flags: u32) {
        let _ = (skip, flags);
        free_derived(reassembled);
    }
}
