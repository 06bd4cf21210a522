//! The checked pool: blocks at the end of pages of their own, borders and freed blocks under watch, everything recorded.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

use super::slab::Slab;
use super::{BlockInfo, Counts, FreedInfo, PoolAddress, PoolConfig, Request, Violation, same_tag};
use crate::mem::caller::{Caller, Tag};
use crate::mem::os::Protection;
use crate::mem::phys::{Phys, Run};
use crate::mem::va::{KernelVa, Use, VaRange};
use crate::mem::{PAGE_SIZE, pages_for, raw};

/// Memory that was never written by its owner. As an address it is not canonical, so using it faults.
pub(crate) const UNINITIALIZED: u8 = 0xa5;
/// Memory of a freed block.
pub(crate) const FREED: u8 = 0xf5;
/// Memory around a block.
pub(crate) const BORDER: u8 = 0xb9;

/// Checked bytes on each side of a block that shares pages.
const BORDER_BYTES: usize = 64;
/// Freed blocks of the shared part that are kept out of use, and their total size.
const QUARANTINE_BLOCKS: usize = 4096;
const QUARANTINE_BYTES: usize = 16 << 20;

#[derive(Debug)]
struct Block {
    info: BlockInfo,
    home: Home,
}

/// Where a block's memory is from.
#[derive(Clone, Copy, Debug)]
enum Home {
    /// Pages of its own.
    Own(VaRange, Run),
    /// A block of the shared part that starts here and has this size.
    Shared(usize, usize),
}

impl Home {
    /// The whole memory, borders included.
    fn extent(self) -> (usize, usize) {
        match self {
            Self::Own(range, _) => (range.start, range.end()),
            Self::Shared(start, size) => (start, start + size),
        }
    }
}

/// A freed block of the shared part that is kept out of use.
#[derive(Debug)]
struct Kept {
    start: usize,
    size: usize,
    freed: FreedInfo,
}

#[derive(Debug)]
pub(super) struct Strict {
    live: BTreeMap<usize, Block>,
    own_pages: usize,
    own_pages_limit: usize,
    serial: u64,
    counts: BTreeMap<(Tag, u16), Counts>,
    /// Freed blocks by the start of their extent, with its end.
    freed: BTreeMap<usize, (usize, FreedInfo)>,
    /// Extents in order of freeing, with the block's number.
    freed_order: VecDeque<(usize, u64)>,
    history: usize,
    quarantine: VecDeque<Kept>,
    quarantined: usize,
}

impl Strict {
    pub(super) fn new(config: &PoolConfig) -> Self {
        Self {
            live: BTreeMap::new(),
            own_pages: 0,
            own_pages_limit: config.special_limit,
            serial: 0,
            counts: BTreeMap::new(),
            freed: BTreeMap::new(),
            freed_order: VecDeque::new(),
            history: config.history,
            quarantine: VecDeque::new(),
            quarantined: 0,
        }
    }

    pub(super) fn alloc<'a>(
        &mut self,
        phys: &Phys,
        va: &KernelVa,
        slab: impl FnOnce() -> Option<&'a Slab>,
        request: &Request,
        caller: &Caller,
    ) -> Result<Option<usize>, Violation> {
        let own = (self.own_pages < self.own_pages_limit)
            .then(|| own_pages(phys, va, request))
            .flatten();
        let (address, home) = match own {
            Some(placed) => {
                self.own_pages += 1;
                placed
            }
            None => {
                let Some(slab) = slab() else { return Ok(None) };
                match shared_pages(slab, request) {
                    Some(placed) => placed,
                    None => {
                        // What is kept back from reuse comes first when memory is short.
                        self.shrink_quarantine(slab, 0, 0)?;
                        let Some(placed) = shared_pages(slab, request) else {
                            return Ok(None);
                        };
                        placed
                    }
                }
            }
        };
        let (start, end) = home.extent();
        self.forget(start, end);
        raw::fill(start, address - start, BORDER);
        raw::fill(
            address,
            request.size,
            if request.zero { 0 } else { UNINITIALIZED },
        );
        raw::fill(
            address + request.size,
            end - (address + request.size),
            BORDER,
        );
        self.serial += 1;
        let info = BlockInfo {
            address,
            size: request.size,
            tag: request.tag,
            kind: request.kind,
            caller: caller.clone(),
            serial: self.serial,
        };
        self.counts
            .entry((request.tag, caller.owner))
            .or_default()
            .add(request.size);
        self.live.insert(address, Block { info, home });
        Ok(Some(address))
    }

    pub(super) fn free<'a>(
        &mut self,
        phys: &Phys,
        va: &KernelVa,
        slab_of: impl FnOnce(usize) -> Option<&'a Slab>,
        address: usize,
        tag: Option<Tag>,
        caller: &Caller,
    ) -> Result<BlockInfo, Violation> {
        let Some(block) = self.live.get(&address) else {
            return Err(match self.describe(address) {
                Some(PoolAddress::Freed(freed)) if freed.block.address == address => {
                    Violation::DoubleFree { address, freed }
                }
                Some(
                    PoolAddress::Live(block)
                    | PoolAddress::Behind(block)
                    | PoolAddress::Before(block),
                ) => Violation::NotPool {
                    address,
                    inside: Some(block),
                },
                _ => Violation::NotPool {
                    address,
                    inside: None,
                },
            });
        };
        if let Some(given) = tag
            && !same_tag(block.info.tag, given)
        {
            return Err(Violation::WrongTag {
                block: block.info.clone(),
                given,
            });
        }
        check_borders(block)?;
        let Some(Block { info, home }) = self.live.remove(&address) else {
            unreachable!("it was just found")
        };
        self.counts
            .entry((info.tag, info.caller.owner))
            .or_default()
            .remove(info.size);
        let (start, end) = home.extent();
        let freed = FreedInfo {
            block: info.clone(),
            freed_by: caller.clone(),
        };
        match home {
            Home::Own(range, run) => {
                va.release(range);
                phys.free(run);
                self.own_pages -= 1;
            }
            Home::Shared(start, size) => {
                raw::fill(start, size, FREED);
                self.quarantine.push_back(Kept {
                    start,
                    size,
                    freed: freed.clone(),
                });
                self.quarantined += size;
            }
        }
        self.remember(start, end, freed);
        if let (Home::Shared(..), Some(slab)) = (home, slab_of(start)) {
            self.shrink_quarantine(slab, QUARANTINE_BLOCKS, QUARANTINE_BYTES)?;
        }
        Ok(info)
    }

    fn shrink_quarantine(
        &mut self,
        slab: &Slab,
        blocks: usize,
        bytes: usize,
    ) -> Result<(), Violation> {
        let mut passed = VecDeque::new();
        let mut result = Ok(());
        while self.quarantine.len() > blocks || self.quarantined > bytes {
            let Some(kept) = self.quarantine.pop_front() else {
                break;
            };
            if !slab.contains(kept.start) {
                // The other pool's; its own frees will get to it.
                passed.push_back(kept);
                continue;
            }
            self.quarantined -= kept.size;
            if result.is_ok() {
                result = kept.check();
            }
            let _ = slab.free(kept.start);
        }
        passed.append(&mut self.quarantine);
        self.quarantine = passed;
        result
    }

    fn remember(&mut self, start: usize, end: usize, freed: FreedInfo) {
        self.freed_order.push_back((start, freed.block.serial));
        self.freed.insert(start, (end, freed));
        while self.freed_order.len() > self.history {
            let Some((start, serial)) = self.freed_order.pop_front() else {
                break;
            };
            if self
                .freed
                .get(&start)
                .is_some_and(|(_, freed)| freed.block.serial == serial)
            {
                self.freed.remove(&start);
            }
        }
    }

    /// Drops what is remembered of an extent that is in use again.
    fn forget(&mut self, start: usize, end: usize) {
        while let Some((&at, (old_end, _))) = self.freed.range(..end).next_back() {
            if *old_end <= start {
                break;
            }
            self.freed.remove(&at);
        }
    }

    pub(super) fn block(&self, address: usize) -> Option<BlockInfo> {
        self.live.get(&address).map(|block| block.info.clone())
    }

    pub(super) fn describe(&self, address: usize) -> Option<PoolAddress> {
        if let Some((_, block)) = self.live.range(..=address).next_back() {
            if address < block.info.end() || address == block.info.address {
                return Some(PoolAddress::Live(block.info.clone()));
            }
            if address < block.home.extent().1 + PAGE_SIZE && self.freed_at(address).is_none() {
                let next_start = self
                    .live
                    .range(address..)
                    .next()
                    .map(|(_, next)| next.home.extent().0);
                if next_start.is_none_or(|start| address < start) {
                    return Some(PoolAddress::Behind(block.info.clone()));
                }
            }
        }
        if let Some(freed) = self.freed_at(address) {
            return Some(PoolAddress::Freed(freed.clone()));
        }
        let (_, next) = self.live.range(address..).next()?;
        (next.home.extent().0 <= address).then(|| PoolAddress::Before(next.info.clone()))
    }

    fn freed_at(&self, address: usize) -> Option<&FreedInfo> {
        let (_, (end, freed)) = self.freed.range(..=address).next_back()?;
        (address < *end).then_some(freed)
    }

    pub(super) fn verify(&self) -> Result<(), Violation> {
        self.live.values().try_for_each(check_borders)?;
        self.quarantine.iter().try_for_each(Kept::check)
    }

    pub(super) fn counts(&self) -> &BTreeMap<(Tag, u16), Counts> {
        &self.counts
    }

    pub(super) fn examples(&self, tag: Tag, owner: u16) -> Vec<(BlockInfo, u64)> {
        let mut by_stack: HashMap<&Arc<[usize]>, (&BlockInfo, u64)> = HashMap::new();
        let wanted = self.live.values().map(|block| &block.info);
        for info in wanted.filter(|info| info.tag == tag && info.caller.owner == owner) {
            by_stack.entry(&info.caller.stack).or_insert((info, 0)).1 += 1;
        }
        let mut examples: Vec<_> = by_stack
            .into_values()
            .map(|(info, count)| (info.clone(), count))
            .collect();
        examples.sort_by_key(|(info, _)| info.serial);
        examples
    }
}

/// Places a block so that its end is as close to the guard page as its alignment allows.
fn own_pages(phys: &Phys, va: &KernelVa, request: &Request) -> Option<(usize, Home)> {
    let pages = pages_for(request.size.max(1));
    let run = phys.alloc(pages as u64)?;
    let Some(range) = va.reserve(pages * PAGE_SIZE, Use::SpecialPool) else {
        phys.free(run);
        return None;
    };
    let protection = if request.kind.executable {
        Protection::ReadWriteExecute
    } else {
        Protection::ReadWrite
    };
    if va.map(phys, range, 0, &[run], protection).is_err() {
        va.release(range);
        phys.free(run);
        return None;
    }
    let room = range.len - request.size.max(1);
    Some((
        range.start + room / request.alignment() * request.alignment(),
        Home::Own(range, run),
    ))
}

/// Places a block between two borders.
fn shared_pages(slab: &Slab, request: &Request) -> Option<(usize, Home)> {
    // A block that would not fit into a page with both borders starts on a page and has its border behind it only.
    let front = if request.size + 2 * BORDER_BYTES > Slab::MAX_ALIGNED {
        0
    } else {
        BORDER_BYTES
    };
    let size = request.size.checked_add(front + BORDER_BYTES)?;
    let outer = Request {
        size,
        cache_aligned: true,
        ..*request
    };
    let start = slab.alloc(&outer, 0)?;
    Some((start + front, Home::Shared(start, size)))
}

impl Kept {
    fn check(&self) -> Result<(), Violation> {
        match raw::first_other(self.start, self.size, FREED) {
            Some(at) => Err(Violation::WriteAfterFree {
                freed: self.freed.clone(),
                at,
            }),
            None => Ok(()),
        }
    }
}

fn check_borders(block: &Block) -> Result<(), Violation> {
    let (start, end) = block.home.extent();
    let info = &block.info;
    if let Some(at) = raw::first_other(start, info.address - start, BORDER) {
        return Err(Violation::Underrun {
            block: info.clone(),
            at,
        });
    }
    if let Some(at) = raw::first_other(info.end(), end - info.end(), BORDER) {
        return Err(Violation::Overrun {
            block: info.clone(),
            at,
        });
    }
    Ok(())
}
