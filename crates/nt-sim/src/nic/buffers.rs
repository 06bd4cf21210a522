//! NET_BUFFER_LISTs that a NIC or the stack end makes for frames.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use crate::sync::Mutex;
use nt::sys::{
    Ieee8021QNetBufferListInfo, MDL, NetBufferListHashInfo, NetBufferListHashValue,
    TcpIpChecksumNetBufferListInfo, TcpLargeSendNetBufferListInfo, TcpRecvSegCoalesceInfo,
};

use super::{
    frame::{Frame, FrameInfo},
    layout::{Layout, Random},
    misdeed::Misdeed,
};
use crate::{
    kernel::{kernel, strict},
    ndis::{
        memory,
        nbl::{self, Nbl},
        pool::{self, Pool},
        raw::{copy, get, put},
    },
    verifier::Rule,
};

/// Where time stamps are (nbltimestamp.h).
const TIMESTAMP_INFO: i32 = nt::sys::NetBufferListInfoReserved3;

/// What NBL memory consists of; `MiniportReserved[1]` of the NBL points at it.
struct Parts {
    /// Further NET_BUFFERs with their memory.
    more: Vec<(nbl::Nb, Parts)>,
    /// The frame was made to break the rules, so nobody is held to how it comes back.
    spoiled: bool,
    /// MDLs with the memory they describe: base of the allocation, its size.
    mdls: Vec<(*mut MDL, *mut u8, usize)>,
    first: *mut MDL,
    data_offset: u32,
    capacity: usize,
}

/// Makes and recycles NBLs for frames.
pub(crate) struct Buffers {
    pool: &'static Pool,
    /// Of NET_BUFFERs beyond the first of a list.
    buffers: &'static Pool,
    layout: Mutex<(Layout, Random)>,
    /// Plain layouts in fast mode: finished NBLs of `capacity` bytes, to use again.
    cache: Mutex<Vec<usize>>,
    plain: std::sync::atomic::AtomicBool,
    capacity: usize,
    pub(crate) outstanding: AtomicI64,
    pub(crate) made: AtomicU64,
}

impl Buffers {
    /// `capacity`: longest frame that recycled buffers take.
    pub(crate) fn new(layout: Layout, capacity: usize) -> Buffers {
        let pool =
            kernel()
                .ndis
                .pools
                .insert(Pool::lists(0, u32::from_le_bytes(*b"sNIC"), 0, true, 0));
        let plain = layout.is_plain();
        let seed = layout.random.unwrap_or(0);
        let tag = u32::from_le_bytes(*b"sNIC");
        Buffers {
            pool,
            buffers: kernel().ndis.pools.insert(Pool::buffers(0, tag, 0)),
            layout: Mutex::new((layout, Random(seed))),
            cache: Mutex::new(Vec::new()),
            plain: plain.into(),
            capacity,
            outstanding: AtomicI64::new(0),
            made: AtomicU64::new(0),
        }
    }

    /// Uses another layout from now on.
    pub(crate) fn set_layout(&self, layout: Layout) {
        let plain = layout.is_plain();
        let seed = layout.random.unwrap_or(0);
        self.plain.store(plain, Ordering::Relaxed);
        *self.layout.lock() = (layout, Random(seed));
        let old = std::mem::take(&mut *self.cache.lock());
        for nbl in old {
            self.destroy(nbl as Nbl);
        }
    }

    /// Whether frames are to be indicated with the RESOURCES flag now.
    pub(crate) fn resources(&self) -> bool {
        let mut layout = self.layout.lock();
        layout.0.resources || (layout.0.random.is_some() && layout.1.below(4) == 0)
    }

    /// Takes up to `count` recycled NBLs; they hold frames of up to `capacity` bytes.
    pub(crate) fn take_recycled(&self, count: usize, out: &mut Vec<usize>) {
        let mut cache = self.cache.lock();
        let keep = cache.len().saturating_sub(count);
        out.extend(cache.drain(keep..));
    }

    fn recycles(&self) -> bool {
        !strict() && self.plain.load(Ordering::Relaxed)
    }

    /// Makes an NBL for `data`; `None` when memory is used up.
    pub(crate) fn make(&self, data: &[u8], recycled: &mut Vec<usize>) -> Option<Nbl> {
        self.outstanding.fetch_add(1, Ordering::Relaxed);
        if self.recycles() && data.len() <= self.capacity {
            if let Some(nbl) = recycled.pop() {
                let nbl = nbl as Nbl;
                refill(nbl, data);
                return Some(nbl);
            }
            let nbl = self.build(
                data,
                &Layout {
                    trailing: self.capacity - data.len(),
                    ..self.next_layout()
                },
            );
            return self.counted(nbl);
        }
        let layout = self.next_layout();
        let nbl = self.build(data, &layout);
        self.counted(nbl)
    }

    fn counted(&self, nbl: Option<Nbl>) -> Option<Nbl> {
        if nbl.is_none() {
            self.outstanding.fetch_sub(1, Ordering::Relaxed);
        }
        nbl
    }

    fn next_layout(&self) -> Layout {
        let mut layout = self.layout.lock();
        let (layout, random) = &mut *layout;
        layout.next(random)
    }

    fn build(&self, data: &[u8], layout: &Layout) -> Option<Nbl> {
        self.made.fetch_add(1, Ordering::Relaxed);
        let nbl = self.pool.new_nbl(0, 0, None);
        if nbl.is_null() {
            return None;
        }
        let parts = Parts::of(data, layout);
        parts.describe(get!(nbl => FirstNetBuffer), data.len());
        let parts = Box::into_raw(Box::new(parts));
        put!(nbl => [MiniportReserved] [std::ptr::null_mut(), parts.cast()]);
        Some(nbl)
    }

    /// Makes one NBL with a NET_BUFFER for each of some frames, of which there is at least one; `None` when memory is used
    /// up.
    pub(crate) fn make_list(&self, frames: &[Frame]) -> Option<Nbl> {
        let (first, rest) = frames.split_first()?;
        let nbl = self.make_anew(first)?;
        let mut last = get!(nbl => FirstNetBuffer);
        for frame in rest {
            let nb = self.buffers.new_buffer();
            if nb.is_null() {
                self.recycle(nbl);
                return None;
            }
            let parts = Parts::of(frame, &self.next_layout());
            parts.describe(nb, frame.len());
            put!(last => [Next] nb);
            last = nb;
            parts_mut(nbl).more.push((nb, parts));
        }
        Some(nbl)
    }

    /// As [`Buffers::make`], never in an NBL that has been used.
    fn make_anew(&self, data: &[u8]) -> Option<Nbl> {
        self.outstanding.fetch_add(1, Ordering::Relaxed);
        self.counted(self.build(data, &self.next_layout()))
    }

    /// Makes an NBL that breaks the rules; `None` when memory is used up.
    pub(crate) fn make_wrong(&self, data: &[u8], misdeed: Misdeed) -> Option<Nbl> {
        if misdeed == Misdeed::SecondBuffer {
            let frame = Frame::from(data);
            return self.make_list(&[frame.clone(), frame]);
        }
        let nbl = self.make_anew(data)?;
        parts_mut(nbl).spoiled = true;
        let nb = get!(nbl => FirstNetBuffer);
        match misdeed {
            Misdeed::None | Misdeed::WrongCount(_) | Misdeed::SecondBuffer => {}
            Misdeed::Overlong(by) => {
                put!(nb => [DataLength] get!(nb => DataLength).saturating_add(by))
            }
            Misdeed::OffsetBeyondMemory => put!(nb => [CurrentMdlOffset] u32::MAX),
            Misdeed::NoMemory => {
                put!(nb => [MdlChain] std::ptr::null_mut());
                put!(nb => [CurrentMdl] std::ptr::null_mut());
            }
            Misdeed::EndlessMemory => {
                let parts = parts_mut(nbl);
                parts.push(0, 0);
                if let Some(&(mdl, ..)) = parts.mdls.last() {
                    put!(mdl => [Next] mdl);
                }
                put!(nb => [DataLength] get!(nb => DataLength) + 1);
            }
            Misdeed::NoBuffer => put!(nbl => [FirstNetBuffer] std::ptr::null_mut()),
        }
        Some(nbl)
    }

    /// Takes back a chain of NBLs that [`Buffers::make`] made; returns how many.
    pub(crate) fn recycle(&self, chain: Nbl) -> u32 {
        let mut count = 0;
        if self.recycles() {
            let mut cache = self.cache.lock();
            for nbl in nbl::chain(chain) {
                let parts = parts_mut(nbl);
                if parts.spoiled || !parts.more.is_empty() {
                    self.destroy(nbl);
                } else {
                    cache.push(nbl as usize);
                }
                count += 1;
            }
        } else {
            for nbl in nbl::chain(chain) {
                check_restored(nbl);
                self.destroy(nbl);
                count += 1;
            }
        }
        self.outstanding
            .fetch_sub(i64::from(count), Ordering::SeqCst);
        count
    }

    /// Takes back an NBL of [`Buffers::take_recycled`] that was not used.
    pub(crate) fn keep(&self, nbl: Nbl) {
        put!(nbl => [Next] std::ptr::null_mut());
        self.outstanding.fetch_add(1, Ordering::Relaxed);
        self.recycle(nbl);
    }

    fn destroy(&self, nbl: Nbl) {
        let parts = parts(nbl).cast_mut();
        // SAFETY: made by `Box::into_raw` in `build`, and the NBL is used no more.
        let mut parts = unsafe { Box::from_raw(parts) };
        for (nb, _) in parts.more.drain(..) {
            self.buffers.free_buffer(nb);
        }
        drop(parts);
        self.pool.free_nbl(nbl);
    }
}

impl Drop for Buffers {
    fn drop(&mut self) {
        for nbl in std::mem::take(self.cache.get_mut()) {
            self.destroy(nbl as Nbl);
        }
    }
}

impl Parts {
    /// Memory with a frame in it.
    fn of(data: &[u8], layout: &Layout) -> Parts {
        let mut pieces: Vec<usize> = Vec::new();
        let mut left = data.len();
        for &size in &layout.splits {
            let take = size.min(left);
            if take == 0 {
                break;
            }
            pieces.push(take);
            left -= take;
        }
        if left > 0 || pieces.is_empty() {
            pieces.push(left);
        }
        let mut parts = Parts {
            more: Vec::new(),
            spoiled: false,
            mdls: Vec::new(),
            first: std::ptr::null_mut(),
            data_offset: layout.backfill as u32,
            capacity: 0,
        };
        let last = pieces.len() - 1;
        for (index, &piece) in pieces.iter().enumerate() {
            let front = if index == 0 { layout.backfill } else { 0 };
            let back = if index == last { layout.trailing } else { 0 };
            parts.push(front + piece + back, layout.skew);
            if index == last {
                parts.capacity = piece + back;
            } else {
                parts.capacity += piece;
                if layout.empty_mdls {
                    parts.push(0, layout.skew);
                }
            }
        }
        nbl::write(parts.first, layout.backfill, data);
        if layout.unmapped {
            for &(mdl, ..) in &parts.mdls {
                memory::unmap_mdl(mdl);
            }
        }
        parts
    }

    /// Has a NET_BUFFER describe the frame.
    fn describe(&self, nb: nbl::Nb, len: usize) {
        pool::describe(nb, self.first, self.data_offset as usize, len);
    }

    fn push(&mut self, len: usize, skew: usize) {
        let base = memory::allocate(len + skew);
        assert!(!base.is_null(), "the host is out of memory");
        let mdl = memory::new_mdl(base.wrapping_add(skew), len);
        assert!(!mdl.is_null(), "the host is out of memory");
        match self.mdls.last() {
            Some((last, ..)) => put!(*last => [Next] mdl),
            None => self.first = mdl,
        }
        self.mdls.push((mdl, base, len + skew));
    }
}

impl Drop for Parts {
    fn drop(&mut self) {
        for &(mdl, base, size) in &self.mdls {
            memory::free_mdl(mdl);
            memory::free(base, size);
        }
    }
}

fn parts(nbl: Nbl) -> *const Parts {
    get!(nbl => MiniportReserved)[1].cast()
}

fn parts_mut<'a>(nbl: Nbl) -> &'a mut Parts {
    // SAFETY: made by `Box::into_raw` in `build`; only the thread that has the NBL looks at it.
    unsafe { &mut *parts(nbl).cast_mut() }
}

/// Whether all of a NET_BUFFER's data is there.
pub(crate) fn is_readable(nb: nbl::Nb) -> bool {
    nbl::read(nb, &mut Vec::new())
}

/// Puts another frame into a recycled NBL of the plain layout.
#[inline]
fn refill(nbl: Nbl, data: &[u8]) {
    let parts = parts(nbl);
    let nb = get!(nbl => FirstNetBuffer);
    let mdl = get!(parts => first);
    let offset = get!(parts => data_offset);
    put!(nb => [MdlChain] mdl);
    put!(nb => [CurrentMdl] mdl);
    put!(nb => [CurrentMdlOffset] offset);
    put!(nb => [DataOffset] offset);
    put!(nb => [DataLength] data.len() as u32);
    put!(nbl => [NetBufferListInfo] [std::ptr::null_mut(); 27]);
    put!(nbl => [NblFlags] 0);
    let base: *mut u8 = get!(mdl => MappedSystemVa).cast();
    copy(
        base.wrapping_add(offset as usize),
        data.as_ptr(),
        data.len(),
    );
}

/// A driver that has changed where the data starts must have changed it back.
fn check_restored(nbl: Nbl) {
    let parts = parts(nbl);
    if get!(parts => spoiled) {
        return;
    }
    let nb = get!(nbl => FirstNetBuffer);
    let (chain, offset) = (get!(nb => MdlChain), get!(nb => DataOffset));
    if strict() && (chain != get!(parts => first) || offset != get!(parts => data_offset)) {
        crate::bugcheck!(Rule::NblChanged, nbl, chain, offset;
            "the NBL at {nbl:p} came back with MDL chain {chain:p} and data offset {offset}, it left with {:p} and {}",
            get!(parts => first), get!(parts => data_offset));
    }
}

/// Writes a frame's out-of-band data into its NBL.
pub(crate) fn put_info(nbl: Nbl, info: &FrameInfo) {
    let mut slots = get!(nbl => NetBufferListInfo);
    let mut set = |slot: i32, value: u64| slots[slot as usize] = value as *mut _;
    set(TcpIpChecksumNetBufferListInfo, info.checksum.into());
    set(TcpLargeSendNetBufferListInfo, info.large_send.into());
    set(Ieee8021QNetBufferListInfo, info.vlan.into());
    set(TcpRecvSegCoalesceInfo, info.coalesced.into());
    set(NetBufferListHashValue, info.hash.into());
    set(NetBufferListHashInfo, info.hash_info.into());
    set(TIMESTAMP_INFO, info.timestamp);
    put!(nbl => [NetBufferListInfo] slots);
    put!(nbl => [NblFlags] info.flags);
}

/// Reads the out-of-band data of an NBL.
pub(crate) fn get_info(nbl: Nbl) -> FrameInfo {
    let slots = get!(nbl => NetBufferListInfo);
    let value = |slot: i32| slots[slot as usize] as u64;
    FrameInfo {
        checksum: value(TcpIpChecksumNetBufferListInfo) as u32,
        large_send: value(TcpLargeSendNetBufferListInfo) as u32,
        vlan: value(Ieee8021QNetBufferListInfo) as u32,
        coalesced: value(TcpRecvSegCoalesceInfo) as u32,
        hash: value(NetBufferListHashValue) as u32,
        hash_info: value(NetBufferListHashInfo) as u32,
        timestamp: value(TIMESTAMP_INFO),
        flags: get!(nbl => NblFlags),
        mdls: 0,
        processor: crate::sched::current().processor(),
    }
}

/// The frame in a NET_BUFFER; stops the kernel when it cannot be read.
pub(crate) fn frame_of(nbl: Nbl, nb: nbl::Nb) -> Frame {
    let mut frame = Frame {
        data: Vec::with_capacity(get!(nb => DataLength) as usize),
        info: get_info(nbl),
    };
    frame.info.mdls = nbl::mdl_count(nb) as u32;
    if !nbl::read(nb, &mut frame.data) {
        crate::bugcheck!(Rule::NblBadNetBuffer, nbl, nb;
            "part of the NET_BUFFER at {nb:p} is neither mapped nor locked, or its MDL chain is too short");
    }
    frame
}
