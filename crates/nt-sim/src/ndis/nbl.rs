//! Walking NET_BUFFER_LISTs, NET_BUFFERs and their MDL chains.

use nt::sys::{MDL, NET_BUFFER, NET_BUFFER_LIST};

use super::{
    memory,
    raw::{bytes, copy, get, put},
};

pub(crate) type Nbl = *mut NET_BUFFER_LIST;
pub(crate) type Nb = *mut NET_BUFFER;

/// The NBLs of a chain. The next link is read before an NBL is handed out, so it may be unlinked.
pub(crate) fn chain(first: Nbl) -> impl Iterator<Item = Nbl> {
    let mut next = first;
    std::iter::from_fn(move || {
        let nbl = next;
        if nbl.is_null() {
            return None;
        }
        next = get!(nbl => Next);
        Some(nbl)
    })
}

/// The NET_BUFFERs of an NBL.
pub(crate) fn buffers(nbl: Nbl) -> impl Iterator<Item = Nb> {
    let mut next = get!(nbl => FirstNetBuffer);
    std::iter::from_fn(move || {
        let nb = next;
        if nb.is_null() {
            return None;
        }
        next = get!(nb => Next);
        Some(nb)
    })
}

/// Builds a chain in order.
pub(crate) struct ChainBuilder {
    first: Nbl,
    last: Nbl,
    pub(crate) len: u32,
}

impl ChainBuilder {
    pub(crate) fn new() -> ChainBuilder {
        ChainBuilder {
            first: std::ptr::null_mut(),
            last: std::ptr::null_mut(),
            len: 0,
        }
    }

    #[inline]
    pub(crate) fn push(&mut self, nbl: Nbl) {
        put!(nbl => [Next] std::ptr::null_mut());
        if self.last.is_null() {
            self.first = nbl;
        } else {
            put!(self.last => [Next] nbl);
        }
        self.last = nbl;
        self.len += 1;
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.first.is_null()
    }

    pub(crate) fn finish(self) -> Nbl {
        self.first
    }
}

/// A run of frame bytes inside one MDL.
pub(crate) struct Segment {
    pub(crate) address: *mut u8,
    pub(crate) len: usize,
}

/// A run of frame bytes inside one MDL, mapped or not.
#[derive(Clone, Copy)]
pub(crate) struct Piece {
    pub(crate) mdl: *mut MDL,
    pub(crate) start: usize,
    pub(crate) len: usize,
}

/// The parts of an MDL chain that `len` bytes from `offset` bytes into `mdl` lie in. Ends early
/// when the chain does.
pub(crate) fn pieces(mdl: *mut MDL, offset: usize, len: usize) -> impl Iterator<Item = Piece> {
    let (mut mdl, mut offset, mut left) = (mdl, offset, len);
    let mut seen = 0;
    std::iter::from_fn(move || {
        while left > 0 && !mdl.is_null() && seen < MOST_MDLS {
            seen += 1;
            let count = get!(mdl => ByteCount) as usize;
            let this = mdl;
            mdl = get!(mdl => Next);
            if offset >= count {
                offset -= count;
                continue;
            }
            let piece = Piece {
                mdl: this,
                start: offset,
                len: left.min(count - offset),
            };
            offset = 0;
            left -= piece.len;
            return Some(piece);
        }
        None
    })
}

/// The parts of an MDL chain that `len` bytes from `offset` bytes into `mdl` lie in. Ends early
/// when the chain does, or at an MDL without a mapping.
pub(crate) fn segments(mdl: *mut MDL, offset: usize, len: usize) -> impl Iterator<Item = Segment> {
    pieces(mdl, offset, len).map_while(|piece| {
        let address = memory::mdl_address(piece.mdl)?;
        Some(Segment {
            address: address.wrapping_add(piece.start),
            len: piece.len,
        })
    })
}

/// The segments of a NET_BUFFER's data.
pub(crate) fn data(nb: Nb) -> impl Iterator<Item = Segment> {
    segments(
        get!(nb => CurrentMdl),
        get!(nb => CurrentMdlOffset) as usize,
        get!(nb => DataLength) as usize,
    )
}

/// In how many MDLs a NET_BUFFER's data lies.
pub(crate) fn mdl_count(nb: Nb) -> usize {
    data_pieces(nb).count()
}

fn data_pieces(nb: Nb) -> impl Iterator<Item = Piece> {
    pieces(
        get!(nb => CurrentMdl),
        get!(nb => CurrentMdlOffset) as usize,
        get!(nb => DataLength) as usize,
    )
}

/// Appends a NET_BUFFER's data to `out`; `false` when part of it is in no memory. Pages that are
/// not mapped are read where they are, as hardware does.
pub(crate) fn read(nb: Nb, out: &mut Vec<u8>) -> bool {
    let before = out.len();
    for piece in data_pieces(nb) {
        match memory::mdl_address(piece.mdl) {
            Some(address) => {
                out.extend_from_slice(bytes(address.wrapping_add(piece.start), piece.len));
            }
            None if memory::read_pages(piece.mdl, piece.start, piece.len, out) => {}
            None => return false,
        }
    }
    out.len() - before == get!(nb => DataLength) as usize
}

/// Copies `from` to the bytes of an MDL chain that start `offset` bytes into `mdl`.
pub(crate) fn write(mdl: *mut MDL, offset: usize, from: &[u8]) -> usize {
    let mut done = 0;
    for segment in segments(mdl, offset, from.len()) {
        copy(segment.address, from[done..].as_ptr(), segment.len);
        done += segment.len;
    }
    done
}

/// Finds the MDL that holds the byte `offset` bytes into the chain, and where in it. The end of
/// the chain counts as the end of its last MDL.
pub(crate) fn locate(chain: *mut MDL, offset: usize) -> Option<(*mut MDL, usize)> {
    let (mut mdl, mut offset) = (chain, offset);
    while !mdl.is_null() {
        let count = get!(mdl => ByteCount) as usize;
        let next = get!(mdl => Next);
        if offset < count || (offset == count && next.is_null()) {
            return Some((mdl, offset));
        }
        offset -= count;
        mdl = next;
    }
    None
}

/// More MDLs than a frame lies in: a longer chain goes round in a circle.
const MOST_MDLS: usize = 1 << 16;

/// The MDLs of a chain, up to as many as a chain has.
fn mdls(first: *mut MDL) -> impl Iterator<Item = *mut MDL> {
    let mut next = first;
    std::iter::from_fn(move || {
        let mdl = next;
        if mdl.is_null() {
            return None;
        }
        next = get!(mdl => Next);
        Some(mdl)
    })
    .take(MOST_MDLS)
}

/// Whether the NBL's NET_BUFFERs describe bytes that they have; what is wrong if not.
pub(crate) fn check(nbl: Nbl, function: &str) -> Result<(), String> {
    let first = get!(nbl => FirstNetBuffer);
    if first.is_null() {
        return Err(format!("{function}: the NBL at {nbl:p} has no NET_BUFFER"));
    }
    for nb in buffers(nbl) {
        let (mdl, offset) = (
            get!(nb => CurrentMdl),
            get!(nb => CurrentMdlOffset) as usize,
        );
        let len = get!(nb => DataLength) as usize;
        let data_offset = get!(nb => DataOffset) as usize;
        let bytes_of = |mdl: *mut MDL| get!(mdl => ByteCount) as usize;
        if mdls(mdl).count() == MOST_MDLS {
            return Err(format!(
                "{function}: the MDL chain of the NET_BUFFER at {nb:p} has no end"
            ));
        }
        let have: usize = mdls(mdl).map(bytes_of).sum();
        if offset + len > have {
            return Err(format!(
                "{function}: the NET_BUFFER at {nb:p} claims {len} bytes from offset {offset} of its current MDL, and its \
                 MDLs have {have}"
            ));
        }
        let chain = get!(nb => MdlChain);
        let before: usize = mdls(chain).take_while(|&at| at != mdl).map(bytes_of).sum();
        let is_there = mdls(chain).any(|at| at == mdl);
        if len > 0 && (!is_there || before + offset != data_offset) {
            return Err(format!(
                "{function}: the NET_BUFFER at {nb:p} has data offset {data_offset}, but its current MDL and offset are {} \
                 bytes into its MDL chain",
                before + offset
            ));
        }
    }
    Ok(())
}

/// A number that changes when the NBL, its NET_BUFFERs or their MDLs are changed (not the data).
pub(crate) fn fingerprint(nbl: Nbl) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    let mut add = |value: u64| {
        hash = (hash ^ value)
            .wrapping_mul(0x0100_0000_01b3)
            .rotate_left(23)
    };
    add(get!(nbl => FirstNetBuffer) as u64);
    add(get!(nbl => SourceHandle) as u64);
    for nb in buffers(nbl) {
        add(get!(nb => Next) as u64);
        add(get!(nb => CurrentMdl) as u64);
        add(u64::from(get!(nb => CurrentMdlOffset)));
        add(u64::from(get!(nb => DataLength)));
        add(u64::from(get!(nb => DataOffset)));
        for mdl in mdls(get!(nb => MdlChain)) {
            add(mdl as u64);
            add(get!(mdl => MappedSystemVa) as u64);
            add(u64::from(get!(mdl => ByteCount)));
        }
    }
    hash
}
