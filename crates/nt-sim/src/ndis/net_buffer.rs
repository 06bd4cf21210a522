//! Moving the start of a NET_BUFFER's data, and reading and copying the data.

use std::ffi::c_void;

use nt::sys::MDL;

use super::{
    memory,
    nbl::{self, Nb, Nbl},
    raw::{copy, get, put},
};
use crate::{exports, invoke, kernel::strict, verifier::Rule};

/// Status of a retreat that found no memory.
const RESOURCES: i32 = nt::sys::NDIS_STATUS_RESOURCES;
/// In `MDL.MdlFlags`: NDIS put this MDL in front of a chain (`MDL_NETWORK_HEADER`).
const NETWORK_HEADER: i16 = 0x1000;

fn update_current(nb: Nb) {
    let (mdl, offset) = nbl::locate(get!(nb => MdlChain), get!(nb => DataOffset) as usize)
        .unwrap_or((std::ptr::null_mut(), 0));
    put!(nb => [CurrentMdl] mdl);
    put!(nb => [CurrentMdlOffset] offset as u32);
}

fn retreat(nb: Nb, delta: u32, backfill: u32, allocate: *const ()) -> i32 {
    let offset = get!(nb => DataOffset);
    if offset >= delta {
        put!(nb => [DataOffset] offset - delta);
    } else {
        if memory::must_fail("NdisRetreatNetBufferDataStart") {
            return RESOURCES;
        }
        let mut size = delta - offset + backfill;
        let wanted = size;
        let mdl: *mut MDL = if allocate.is_null() {
            let data = memory::allocate(size as usize);
            if data.is_null() {
                return RESOURCES;
            }
            memory::new_mdl(data, size as usize)
        } else {
            // NET_BUFFER_ALLOCATE_MDL_HANDLER(PULONG BufferSize) -> PMDL.
            invoke!(allocate, &raw mut size) as *mut MDL
        };
        if mdl.is_null() {
            return RESOURCES;
        }
        if get!(mdl => ByteCount) < wanted {
            crate::bugcheck!(Rule::NblBadNetBuffer, nb, mdl, get!(mdl => ByteCount), wanted;
                "the MDL for a retreat by {delta} bytes has {} bytes, {wanted} were asked for",
                get!(mdl => ByteCount));
        }
        if allocate.is_null() {
            put!(mdl => [MdlFlags] get!(mdl => MdlFlags) | NETWORK_HEADER);
        }
        put!(mdl => [Next] get!(nb => MdlChain));
        put!(nb => [MdlChain] mdl);
        put!(nb => [DataOffset] get!(mdl => ByteCount) - (delta - offset));
    }
    put!(nb => [DataLength] get!(nb => DataLength) + delta);
    update_current(nb);
    0
}

fn advance(nb: Nb, delta: u32, free_mdl: bool, free: *const ()) {
    let len = get!(nb => DataLength);
    if delta > len {
        crate::bugcheck!(Rule::NblBadNetBuffer, nb, delta, len;
            "the NET_BUFFER at {nb:p} has {len} bytes and was advanced by {delta}");
    }
    put!(nb => [DataOffset] get!(nb => DataOffset) + delta);
    put!(nb => [DataLength] len - delta);
    update_current(nb);
    if !free_mdl {
        return;
    }
    loop {
        let first = get!(nb => MdlChain);
        if first.is_null() || first == get!(nb => CurrentMdl) {
            return;
        }
        let ours = get!(first => MdlFlags) & NETWORK_HEADER != 0;
        if !ours && free.is_null() {
            return;
        }
        put!(nb => [MdlChain] get!(first => Next));
        put!(nb => [DataOffset] get!(nb => DataOffset) - get!(first => ByteCount));
        if ours {
            let data = get!(first => MappedSystemVa).cast();
            memory::free(data, get!(first => ByteCount) as usize);
            memory::free_mdl(first);
        } else {
            invoke!(free, first);
        }
        update_current(nb);
    }
}

fn copied(destination: Nb, to: u32, source: Nb, from: u32, len: u32) -> u32 {
    let room = get!(destination => DataLength).saturating_sub(to);
    let have = get!(source => DataLength).saturating_sub(from);
    let len = len.min(room).min(have) as usize;
    let start = |nb: Nb, skip: u32| {
        (
            get!(nb => CurrentMdl),
            get!(nb => CurrentMdlOffset) as usize + skip as usize,
        )
    };
    let (to_mdl, mut to_offset) = start(destination, to);
    let (from_mdl, from_offset) = start(source, from);
    let mut done = 0;
    for segment in nbl::segments(from_mdl, from_offset, len) {
        let bytes = super::raw::bytes(segment.address, segment.len);
        let written = nbl::write(to_mdl, to_offset, bytes);
        done += written;
        to_offset += written;
        if written < segment.len {
            break;
        }
    }
    done as u32
}

fn copy_info(destination: Nbl, source: Nbl) {
    put!(destination => [NetBufferListInfo] get!(source => NetBufferListInfo));
    put!(destination => [NblFlags] get!(source => NblFlags));
}

exports! { "ndis.sys" => pub(crate) EXPORTS;
    /// Moves the start of a NET_BUFFER's data forward.
    #[irql(DISPATCH)]
    fn NdisAdvanceNetBufferDataStart(nb: Nb, delta: u32, free_mdl: u8, handler: *const ()) {
        advance(nb, delta, free_mdl != 0, handler);
    }

    /// Moves the start of a NET_BUFFER's data backward, with a new MDL when there is no room.
    #[irql(DISPATCH)]
    fn NdisRetreatNetBufferDataStart(nb: Nb, delta: u32, backfill: u32, handler: *const ()) -> i32 {
        retreat(nb, delta, backfill, handler)
    }

    /// Advances every NET_BUFFER of an NBL.
    #[irql(DISPATCH)]
    fn NdisAdvanceNetBufferListDataStart(nbl: Nbl, delta: u32, free_mdl: u8, handler: *const ()) {
        for nb in nbl::buffers(nbl) {
            advance(nb, delta, free_mdl != 0, handler);
        }
    }

    /// Retreats every NET_BUFFER of an NBL; none when one fails.
    #[irql(DISPATCH)]
    fn NdisRetreatNetBufferListDataStart(
        nbl: Nbl, delta: u32, backfill: u32, allocate: *const (), free: *const (),
    ) -> i32 {
        for nb in nbl::buffers(nbl) {
            let status = retreat(nb, delta, backfill, allocate);
            if status != 0 {
                for done in nbl::buffers(nbl).take_while(|&done| done != nb) {
                    advance(done, delta, true, free);
                }
                return status;
            }
        }
        0
    }

    /// A contiguous, aligned view of the first bytes; copied to `storage` when they are not.
    #[irql(DISPATCH)]
    fn NdisGetDataBuffer(nb: Nb, needed: u32, storage: *mut u8, multiple: u32, offset: u32) -> *mut u8 {
        if needed == 0 || get!(nb => DataLength) < needed {
            return std::ptr::null_mut();
        }
        if strict() && !multiple.is_power_of_two() {
            crate::bugcheck!(Rule::NdisBadStructure, nb, multiple;
                "NdisGetDataBuffer: the alignment {multiple} is not a power of two");
        }
        let Some(first) = nbl::data(nb).next() else {
            return std::ptr::null_mut();
        };
        let aligned = first.address as usize % multiple.max(1) as usize == offset as usize;
        if first.len >= needed as usize && aligned {
            return first.address;
        }
        if storage.is_null() {
            return storage;
        }
        let mut done = 0;
        for segment in nbl::data(nb) {
            let take = segment.len.min(needed as usize - done);
            copy(storage.wrapping_add(done), segment.address, take);
            done += take;
            if done == needed as usize {
                return storage;
            }
        }
        std::ptr::null_mut()
    }

    /// Copies data between NET_BUFFERs.
    #[irql(DISPATCH)]
    fn NdisCopyFromNetBufferToNetBuffer(
        destination: Nb, to: u32, bytes: u32, source: Nb, from: u32, count: *mut u32,
    ) -> i32 {
        let done = copied(destination, to, source, from, bytes);
        super::raw::store(count, done);
        0
    }

    /// Copies the out-of-band data of a send.
    #[irql(DISPATCH)]
    fn NdisCopySendNetBufferListInfo(destination: Nbl, source: Nbl) {
        copy_info(destination, source);
    }

    /// Copies the out-of-band data of a receive.
    #[irql(DISPATCH)]
    fn NdisCopyReceiveNetBufferListInfo(destination: Nbl, source: Nbl) {
        copy_info(destination, source);
    }

    /// Makes an MDL for non-paged memory.
    #[irql(DISPATCH)]
    fn NdisAllocateMdl(handle: *mut c_void, address: *mut u8, len: u32) -> *mut MDL {
        let _ = super::owner(handle);
        if memory::must_fail("NdisAllocateMdl") {
            return std::ptr::null_mut();
        }
        memory::new_mdl_for_driver(address, len as usize)
    }

    /// Frees an MDL.
    #[irql(DISPATCH)]
    fn NdisFreeMdl(mdl: *mut MDL) {
        memory::free_mdl(mdl);
    }

    /// Number of physical pages that a NET_BUFFER's data touches.
    #[irql(DISPATCH)]
    fn NdisQueryNetBufferPhysicalCount(nb: Nb) -> u32 {
        nbl::data(nb)
            .map(|s| ((s.address as usize % 4096) + s.len).div_ceil(4096) as u32)
            .sum()
    }
}
