//! The base allocator of the pool: size classes carved from single pages, page runs for what is larger.
//!
//! As in the real pool, a block smaller than a page has a 16-byte header in front and never crosses a page, and a block
//! of a page or more starts on a page boundary. Free blocks sit on lists per size class, in shards that threads are
//! spread over, and wander between shards in batches, so that one thread may allocate what another frees.

use std::cell::Cell;
use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::sync::Mutex;

use super::{Counts, Request};
use crate::mem::caller::Tag;
use crate::mem::os::Protection;
use crate::mem::phys::{Pfn, Phys};
use crate::mem::va::{KernelVa, Use, VaRange};
use crate::mem::{PAGE_SIZE, pages_for, raw};

const HEADER: usize = 16;

/// Sizes of blocks with their header; each divides a page with little rest.
const CLASSES: [usize; 21] = [
    32, 48, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 400, 448, 512, 576, 800, 1024, 1360,
    2048, 4096,
];

/// The largest block that is not made of whole pages.
const MAX_SMALL: usize = PAGE_SIZE - HEADER;

const SHARDS: usize = 16;

/// Blocks that move between a shard and the common depot at a time.
const BATCH: usize = 32;

const LIVE: u32 = 0x6c69_7665;
const FREE: u32 = 0x6672_6565;

/// What precedes a small block.
#[derive(Clone, Copy)]
#[repr(C)]
struct Header {
    tag: u32,
    size: u16,
    /// Bytes from the start of the carved block to the user's first byte (more than the header when aligned).
    back: u16,
    owner: u16,
    class: u8,
    paged: u8,
    /// [`LIVE`] or [`FREE`], mixed with the address so that a copied header is not taken for one.
    check: u32,
}

/// What the allocator knows of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) size: usize,
    pub(super) tag: Tag,
    pub(super) owner: u16,
    pub(super) paged: bool,
}

/// Why an address cannot be freed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NotLive {
    /// It is no block of the pool.
    Unknown,
    /// It was freed before.
    Freed(Found),
}

#[derive(Debug, Default)]
struct Shard {
    free: [Vec<usize>; CLASSES.len()],
    counts: Numbers,
}

/// Numbers by tag and owner. Drivers use few tags, and the same one many times in a row: the last one is tried first.
#[derive(Debug, Default)]
struct Numbers {
    entries: Vec<((Tag, u16), Counts)>,
    last: usize,
}

impl Numbers {
    fn of(&mut self, tag: Tag, owner: u16) -> &mut Counts {
        let key = (tag, owner);
        if self
            .entries
            .get(self.last)
            .is_none_or(|(last, _)| *last != key)
        {
            let known = self.entries.iter().position(|(other, _)| *other == key);
            self.last = known.unwrap_or_else(|| {
                self.entries.push((key, Counts::default()));
                self.entries.len() - 1
            });
        }
        &mut self.entries[self.last].1
    }
}

#[derive(Debug, Default)]
struct Depot {
    batches: [Vec<Vec<usize>>; CLASSES.len()],
}

/// A run of pages, one address range and one run of frames, that blocks come from.
#[derive(Debug)]
pub(super) struct Slab {
    range: VaRange,
    first_pfn: Pfn,
    shards: [Mutex<Shard>; SHARDS],
    depot: Mutex<Depot>,
    pages: Mutex<PageRuns>,
}

#[derive(Debug)]
struct PageRuns {
    /// Free page runs: first page index and count.
    free: BTreeMap<usize, usize>,
    large: HashMap<usize, Large>,
}

#[derive(Clone, Copy, Debug)]
struct Large {
    found: Found,
    pages: usize,
}

thread_local! {
    static SHARD: Cell<usize> = const { Cell::new(usize::MAX) };
}

fn shard_index() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    SHARD.with(|cell| {
        if cell.get() == usize::MAX {
            cell.set(NEXT.fetch_add(1, Ordering::Relaxed) % SHARDS);
        }
        cell.get()
    })
}

fn class_of(total: usize) -> usize {
    CLASSES.partition_point(|&size| size < total)
}

impl Slab {
    /// The largest block that shares its page and starts on a cache line.
    pub(super) const MAX_ALIGNED: usize = MAX_SMALL - (64 - HEADER);

    /// Takes `bytes` of addresses and frames; `None` when the machine has not as many.
    pub(super) fn new(
        phys: &Phys,
        va: &KernelVa,
        bytes: usize,
        protection: Protection,
    ) -> Option<Self> {
        let range = va.reserve(bytes, Use::Pool)?;
        let run = phys.alloc(pages_for(bytes) as u64)?;
        if va.map(phys, range, 0, &[run], protection).is_err() {
            phys.free(run);
            va.release(range);
            return None;
        }
        let pages = PageRuns {
            free: BTreeMap::from([(0, range.len / PAGE_SIZE)]),
            large: HashMap::new(),
        };
        Some(Self {
            range,
            first_pfn: run.first,
            shards: Default::default(),
            depot: Mutex::default(),
            pages: Mutex::new(pages),
        })
    }

    pub(super) fn contains(&self, address: usize) -> bool {
        address.wrapping_sub(self.range.start) < self.range.len
    }

    pub(super) fn pfn(&self, address: usize) -> Option<Pfn> {
        self.contains(address)
            .then(|| self.first_pfn + ((address - self.range.start) / PAGE_SIZE) as u64)
    }

    /// Takes a block; its content is whatever it was.
    pub(super) fn alloc(&self, request: &Request, owner: u16) -> Option<usize> {
        let found = Found {
            size: request.size,
            tag: request.tag,
            owner,
            paged: request.kind.paged,
        };
        let slack = request.alignment().saturating_sub(HEADER);
        if request.size + slack > MAX_SMALL {
            return self.alloc_pages(found);
        }
        let class = class_of(request.size + HEADER + slack);
        let mut shard = self.shards[shard_index()].lock();
        let block = match shard.free[class].pop() {
            Some(block) => block,
            None => {
                self.refill(&mut shard.free[class], class)?;
                shard.free[class].pop()?
            }
        };
        shard.counts.of(found.tag, owner).add(found.size);
        drop(shard);
        let address = (block + HEADER).next_multiple_of(request.alignment());
        let header = Header {
            tag: found.tag.0,
            size: found.size as u16,
            back: (address - block) as u16,
            owner,
            class: class as u8,
            paged: found.paged.into(),
            check: LIVE ^ address as u32,
        };
        raw::store(address - HEADER, header);
        Some(address)
    }

    fn alloc_pages(&self, found: Found) -> Option<usize> {
        let count = pages_for(found.size.max(1));
        let address = {
            let mut pages = self.pages.lock();
            let address = self.range.start + pages.take(count)? * PAGE_SIZE;
            pages.large.insert(
                address,
                Large {
                    found,
                    pages: count,
                },
            );
            address
        };
        let mut shard = self.shards[shard_index()].lock();
        shard.counts.of(found.tag, found.owner).add(found.size);
        Some(address)
    }

    fn refill(&self, list: &mut Vec<usize>, class: usize) -> Option<()> {
        if let Some(mut batch) = self.depot.lock().batches[class].pop() {
            list.append(&mut batch);
            return Some(());
        }
        let page = self.range.start + self.pages.lock().take(1)? * PAGE_SIZE;
        let size = CLASSES[class];
        list.extend((0..PAGE_SIZE / size).rev().map(|index| page + index * size));
        Some(())
    }

    /// Looks at a block without freeing it.
    pub(super) fn find(&self, address: usize) -> Result<Found, NotLive> {
        if !self.contains(address) {
            return Err(NotLive::Unknown);
        }
        if address.is_multiple_of(PAGE_SIZE) {
            return self
                .pages
                .lock()
                .large
                .get(&address)
                .map(|large| large.found)
                .ok_or(NotLive::Unknown);
        }
        let (header, found) = self.header(address).ok_or(NotLive::Unknown)?;
        match header.check ^ address as u32 {
            LIVE => Ok(found),
            FREE => Err(NotLive::Freed(found)),
            _ => Err(NotLive::Unknown),
        }
    }

    fn header(&self, address: usize) -> Option<(Header, Found)> {
        if !address.is_multiple_of(HEADER) {
            return None;
        }
        let header: Header = raw::load(address - HEADER);
        let found = Found {
            size: header.size.into(),
            tag: Tag(header.tag),
            owner: header.owner,
            paged: header.paged != 0,
        };
        ((header.class as usize) < CLASSES.len()).then_some((header, found))
    }

    /// Frees a block.
    pub(super) fn free(&self, address: usize) -> Result<Found, NotLive> {
        if self.contains(address) && address.is_multiple_of(PAGE_SIZE) {
            let mut pages = self.pages.lock();
            let Large {
                found,
                pages: count,
            } = pages.large.remove(&address).ok_or(NotLive::Unknown)?;
            pages.give((address - self.range.start) / PAGE_SIZE, count);
            drop(pages);
            self.count_free(found);
            return Ok(found);
        }
        let found = self.find(address)?;
        let (mut header, _) = self.header(address).ok_or(NotLive::Unknown)?;
        header.check = FREE ^ address as u32;
        raw::store(address - HEADER, header);
        let class = usize::from(header.class);
        let mut shard = self.shards[shard_index()].lock();
        shard.counts.of(found.tag, found.owner).remove(found.size);
        let list = &mut shard.free[class];
        list.push(address - usize::from(header.back));
        if list.len() > 2 * BATCH {
            let batch = list.split_off(list.len() - BATCH);
            drop(shard);
            self.depot.lock().batches[class].push(batch);
        }
        Ok(found)
    }

    fn count_free(&self, found: Found) {
        let mut shard = self.shards[shard_index()].lock();
        shard.counts.of(found.tag, found.owner).remove(found.size);
    }

    /// Adds this slab's numbers to `total`.
    pub(super) fn count(&self, total: &mut BTreeMap<(Tag, u16), Counts>) {
        for shard in &self.shards {
            for &(key, counts) in &shard.lock().counts.entries {
                total.entry(key).or_default().merge(counts);
            }
        }
    }
}

impl PageRuns {
    fn take(&mut self, count: usize) -> Option<usize> {
        let (&start, &len) = self.free.iter().find(|&(_, &len)| len >= count)?;
        self.free.remove(&start);
        if len > count {
            self.free.insert(start + count, len - count);
        }
        Some(start)
    }

    fn give(&mut self, mut start: usize, mut count: usize) {
        if let Some((&before, &len)) = self.free.range(..start).next_back()
            && before + len == start
        {
            self.free.remove(&before);
            start = before;
            count += len;
        }
        if let Some(len) = self.free.remove(&(start + count)) {
            count += len;
        }
        self.free.insert(start, count);
    }
}
