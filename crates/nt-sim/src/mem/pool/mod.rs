//! The pool: tagged blocks of kernel memory.
//!
//! In fast mode blocks come from `slab`; in strict mode from `strict`, which puts each block at the end of pages of
//! its own and remembers who allocated and freed it.

mod request;
mod slab;
mod strict;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::OnceLock;

use crate::sync::Mutex;

pub use self::request::{BadRequest, PoolKind, Request};
use self::slab::{NotLive, Slab};
use self::strict::Strict;
pub(crate) use self::strict::UNINITIALIZED;
use super::caller::{Caller, Tag};
use super::os::Protection;
use super::phys::{Pfn, Phys};
use super::raw;
use super::va::KernelVa;

/// Sizes and limits of the pool.
#[derive(Clone, Debug)]
pub struct PoolConfig {
    /// Whether every block is checked.
    pub strict: bool,
    /// Blocks that may be on pages of their own at a time; the rest share pages, between checked borders.
    pub special_limit: usize,
    /// Bytes of the shared part of the pool.
    pub shared_bytes: usize,
    /// Bytes of the shared part of the executable pool.
    pub executable_bytes: usize,
    /// Freed blocks that are remembered.
    pub history: usize,
}

/// What is known of a block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockInfo {
    /// Its first byte.
    pub address: usize,
    /// Its size as requested.
    pub size: usize,
    /// Its tag.
    pub tag: Tag,
    /// The pool it is from.
    pub kind: PoolKind,
    /// Who allocated it.
    pub caller: Caller,
    /// Its number in order of allocation, from 1; 0 in fast mode.
    pub serial: u64,
}

impl BlockInfo {
    /// One past the last byte.
    pub fn end(&self) -> usize {
        self.address + self.size
    }
}

impl fmt::Display for BlockInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            address,
            size,
            tag,
            kind,
            ..
        } = self;
        write!(
            f,
            "block {address:#x} of {size} bytes, tag '{tag}', {}",
            kind.name()
        )
    }
}

/// A block that was freed, and by whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FreedInfo {
    /// The block as it was.
    pub block: BlockInfo,
    /// Who freed it.
    pub freed_by: Caller,
}

/// What lies at an address that has to do with the pool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PoolAddress {
    /// Inside a live block.
    Live(BlockInfo),
    /// In what was a block until it was freed.
    Freed(FreedInfo),
    /// Behind the end of a live block.
    Behind(BlockInfo),
    /// In front of a live block.
    Before(BlockInfo),
}

/// A broken rule of the pool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Violation {
    /// The address freed is no block and never was, as far as is remembered.
    NotPool {
        /// The address.
        address: usize,
        /// The live block around it, if there is one.
        inside: Option<BlockInfo>,
    },
    /// The block was freed before.
    DoubleFree {
        /// The address.
        address: usize,
        /// What is remembered of the block; only its tag and size in fast mode.
        freed: FreedInfo,
    },
    /// The tag given to the free function is not the block's.
    WrongTag {
        /// The block.
        block: BlockInfo,
        /// The tag given.
        given: Tag,
    },
    /// Bytes behind the block were changed.
    Overrun {
        /// The block.
        block: BlockInfo,
        /// The first changed byte.
        at: usize,
    },
    /// Bytes in front of the block were changed.
    Underrun {
        /// The block.
        block: BlockInfo,
        /// The first changed byte.
        at: usize,
    },
    /// Bytes of a freed block were changed.
    WriteAfterFree {
        /// The block.
        freed: FreedInfo,
        /// The first changed byte.
        at: usize,
    },
}

impl Violation {
    /// What happened, in words.
    pub fn words(&self) -> String {
        match self {
            Self::NotPool {
                address,
                inside: None,
            } => {
                format!("{address:#x} is not the start of a block that is allocated")
            }
            Self::NotPool {
                address,
                inside: Some(block),
            } => {
                let at = address.wrapping_sub(block.address) as isize;
                format!(
                    "{address:#x} is not the start of a block; it lies at offset {at} of {block}"
                )
            }
            Self::DoubleFree { freed, .. } => format!("{} was freed before", freed.block),
            Self::WrongTag { block, given } => format!("tag '{given}' was given to free {block}"),
            Self::Overrun { block, at } => {
                format!(
                    "byte {} behind the end of {block} was changed",
                    at - block.end()
                )
            }
            Self::Underrun { block, at } => {
                format!(
                    "byte {} in front of {block} was changed",
                    block.address - at
                )
            }
            Self::WriteAfterFree { freed, at } => {
                format!(
                    "offset {} of {} was written to after it was freed",
                    at - freed.block.address,
                    freed.block
                )
            }
        }
    }
}

/// Numbers of one tag and owner.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Blocks allocated so far.
    pub allocations: u64,
    /// Blocks freed so far.
    pub frees: u64,
    /// Bytes allocated so far.
    pub bytes_allocated: u64,
    /// Bytes freed so far.
    pub bytes_freed: u64,
}

impl Counts {
    /// Blocks that are live. Shards count separately, so single shards may wrap; sums do not.
    pub fn live(self) -> u64 {
        self.allocations.wrapping_sub(self.frees)
    }

    /// Bytes that are live.
    pub fn live_bytes(self) -> u64 {
        self.bytes_allocated.wrapping_sub(self.bytes_freed)
    }

    fn add(&mut self, bytes: usize) {
        self.allocations += 1;
        self.bytes_allocated += bytes as u64;
    }

    fn remove(&mut self, bytes: usize) {
        self.frees += 1;
        self.bytes_freed += bytes as u64;
    }

    fn merge(&mut self, other: Self) {
        self.allocations += other.allocations;
        self.frees += other.frees;
        self.bytes_allocated += other.bytes_allocated;
        self.bytes_freed += other.bytes_freed;
    }
}

/// The live blocks of one tag and owner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leak {
    /// The tag.
    pub tag: Tag,
    /// The image that allocated them.
    pub owner: u16,
    /// How many blocks.
    pub blocks: u64,
    /// How many bytes.
    pub bytes: u64,
    /// A block for each distinct allocation stack, with how many came from there; empty in fast mode.
    pub examples: Vec<(BlockInfo, u64)>,
}

/// The pool.
#[derive(Debug)]
pub struct Pool {
    config: PoolConfig,
    shared: OnceLock<Option<Slab>>,
    executable: OnceLock<Option<Slab>>,
    strict: Mutex<Strict>,
}

impl Pool {
    /// Makes an empty pool; pages are taken when the first block is.
    pub fn new(config: PoolConfig) -> Self {
        let strict = Mutex::new(Strict::new(&config));
        Self {
            config,
            shared: OnceLock::new(),
            executable: OnceLock::new(),
            strict,
        }
    }

    fn slab(&self, phys: &Phys, va: &KernelVa, executable: bool) -> Option<&Slab> {
        let (cell, bytes, protection) = if executable {
            (
                &self.executable,
                self.config.executable_bytes,
                Protection::ReadWriteExecute,
            )
        } else {
            (
                &self.shared,
                self.config.shared_bytes,
                Protection::ReadWrite,
            )
        };
        cell.get_or_init(|| Slab::new(phys, va, bytes, protection))
            .as_ref()
    }

    fn slabs(&self) -> impl Iterator<Item = &Slab> {
        [&self.shared, &self.executable]
            .into_iter()
            .filter_map(|cell| cell.get()?.as_ref())
    }

    /// Takes a block; `Ok(None)` when memory is used up.
    ///
    /// # Errors
    /// When a block that was freed long ago is found to have been written to.
    pub fn alloc(
        &self,
        phys: &Phys,
        va: &KernelVa,
        request: &Request,
        caller: &Caller,
    ) -> Result<Option<usize>, Violation> {
        if request.size > MAX_BLOCK {
            return Ok(None);
        }
        if self.config.strict {
            let slab = || self.slab(phys, va, request.kind.executable);
            return self.strict.lock().alloc(phys, va, slab, request, caller);
        }
        let address = self
            .slab(phys, va, request.kind.executable)
            .and_then(|slab| slab.alloc(request, caller.owner));
        if let (Some(address), true) = (address, request.zero) {
            raw::fill(address, request.size, 0);
        }
        Ok(address)
    }

    /// Frees a block. `tag` is checked unless it is `None`.
    ///
    /// # Errors
    /// When a rule of the pool is broken; nothing is freed then.
    pub fn free(
        &self,
        phys: &Phys,
        va: &KernelVa,
        address: usize,
        tag: Option<Tag>,
        caller: &Caller,
    ) -> Result<BlockInfo, Violation> {
        if self.config.strict {
            return self
                .strict
                .lock()
                .free(phys, va, |at| self.slab_of(at), address, tag, caller);
        }
        let slab = self.slab_of(address).ok_or(Violation::NotPool {
            address,
            inside: None,
        })?;
        let info = |found: slab::Found, executable| BlockInfo {
            address,
            size: found.size,
            tag: found.tag,
            kind: PoolKind {
                paged: found.paged,
                executable,
            },
            caller: Caller {
                owner: found.owner,
                ..Caller::default()
            },
            serial: 0,
        };
        let executable = self
            .executable
            .get()
            .and_then(Option::as_ref)
            .is_some_and(|slab| slab.contains(address));
        let refuse = |error| match error {
            NotLive::Unknown => Violation::NotPool {
                address,
                inside: None,
            },
            NotLive::Freed(found) => Violation::DoubleFree {
                address,
                freed: FreedInfo {
                    block: info(found, executable),
                    freed_by: Caller::default(),
                },
            },
        };
        if let Some(given) = tag {
            let found = slab.find(address).map_err(refuse)?;
            if !same_tag(found.tag, given) {
                return Err(Violation::WrongTag {
                    block: info(found, executable),
                    given,
                });
            }
        }
        slab.free(address)
            .map(|found| info(found, executable))
            .map_err(refuse)
    }

    fn slab_of(&self, address: usize) -> Option<&Slab> {
        self.slabs().find(|slab| slab.contains(address))
    }

    /// The live block that starts at an address.
    pub fn block(&self, address: usize) -> Option<BlockInfo> {
        if self.config.strict {
            return self.strict.lock().block(address);
        }
        let slab = self.slab_of(address)?;
        let found = slab.find(address).ok()?;
        Some(BlockInfo {
            address,
            size: found.size,
            tag: found.tag,
            kind: PoolKind {
                paged: found.paged,
                executable: false,
            },
            caller: Caller {
                owner: found.owner,
                ..Caller::default()
            },
            serial: 0,
        })
    }

    /// Tells what block an address belongs to, belonged to, or is next to (strict mode).
    pub fn describe(&self, address: usize) -> Option<PoolAddress> {
        self.strict.lock().describe(address)
    }

    /// The frame behind an address of the shared part.
    pub fn pfn(&self, address: usize) -> Option<Pfn> {
        self.slabs().find_map(|slab| slab.pfn(address))
    }

    /// Checks the borders of every live block and the content of freed ones (strict mode).
    ///
    /// # Errors
    /// The first rule found broken.
    pub fn verify(&self) -> Result<(), Violation> {
        self.strict.lock().verify()
    }

    /// The numbers by tag and owner.
    pub fn counts(&self) -> BTreeMap<(Tag, u16), Counts> {
        if self.config.strict {
            return self.strict.lock().counts().clone();
        }
        let mut total = BTreeMap::new();
        for slab in self.slabs() {
            slab.count(&mut total);
        }
        total
    }

    /// What an image has allocated and not freed, by tag.
    pub fn leaks(&self, owner: u16) -> Vec<Leak> {
        let leaked = self
            .counts()
            .into_iter()
            .filter(|((_, of), counts)| *of == owner && counts.live() != 0);
        leaked
            .map(|((tag, owner), counts)| Leak {
                tag,
                owner,
                blocks: counts.live(),
                bytes: counts.live_bytes(),
                examples: self.strict.lock().examples(tag, owner),
            })
            .collect()
    }
}

/// No block is larger; the rest of the arithmetic on sizes cannot overflow.
const MAX_BLOCK: usize = 1 << 40;

/// Tags compare without the top bit, which marks protected blocks of old.
fn same_tag(a: Tag, b: Tag) -> bool {
    (a.0 ^ b.0) & 0x7fff_ffff == 0
}

#[cfg(test)]
mod tests;
