//! Memory of the simulated machine: page frames, kernel addresses, pool, user address spaces, MDLs.
//!
//! Lock order inside this module: an address space, then [`va`], then [`phys`]; the pool before both; the tables of
//! [`mdl`] are held while none of the others is, except that reserved mappings are mapped under their table's lock.

pub mod caller;
pub mod faults;
pub(crate) mod guest;
pub mod mdl;
pub(crate) mod os;
pub mod phys;
pub mod pool;
pub(crate) mod raw;
pub(crate) mod report;
pub(crate) mod stack;
#[cfg(test)]
pub(crate) mod testing;
pub mod user;
pub mod va;
pub mod window;

use std::collections::HashMap;
use std::io;
use std::sync::Arc;

use crate::sync::Mutex;

use self::faults::Faults;
use self::phys::Phys;
use self::pool::{Pool, PoolConfig};
use self::user::{AddressSpace, Pins, Spaces};
use self::va::KernelVa;

/// Bytes in a page.
pub const PAGE_SIZE: usize = 4096;

/// The lowest user-mode address.
pub const USER_BASE: usize = 0x1_0000_0000;

/// One past the highest user-mode address; kernel addresses start here.
pub const USER_END: usize = 0x1000_0000_0000;

/// The number of pages that `bytes` bytes take.
pub fn pages_for(bytes: usize) -> usize {
    bytes.div_ceil(PAGE_SIZE)
}

/// Whether an address lies in the half that belongs to user mode.
pub fn is_user(address: usize) -> bool {
    address < USER_END
}

/// Sizes of the simulated machine.
#[derive(Clone, Debug)]
pub struct MemoryConfig {
    /// Whether everything is checked.
    pub strict: bool,
    /// Bytes of physical memory; they cost nothing until they are used.
    pub physical_bytes: u64,
    /// Bytes of kernel addresses; the more, the later an address is used again.
    pub kernel_bytes: usize,
    /// Bytes that the shared part of the pool may grow to.
    pub pool_bytes: usize,
}

impl MemoryConfig {
    /// A machine with 16 GiB.
    pub fn new(strict: bool) -> Self {
        Self {
            strict,
            physical_bytes: 16 << 30,
            kernel_bytes: 1 << 40,
            pool_bytes: 4 << 30,
        }
    }
}

/// The memory of the machine.
#[derive(Debug)]
pub struct Memory {
    strict: bool,
    /// Page frames.
    pub phys: Phys,
    /// Kernel addresses.
    pub va: KernelVa,
    /// The pool.
    pub pool: Pool,
    /// User address spaces.
    pub spaces: Spaces,
    /// Injected failures.
    pub faults: Faults,
    pub(crate) pins: Pins,
    pub(crate) mdls: mdl::Mdls,
    contiguous: Mutex<HashMap<usize, mdl::Contiguous>>,
    /// Bases of the images that have allocated something; an owner's number follows from the place.
    images: Mutex<Vec<usize>>,
}

impl Memory {
    /// Makes the memory of a machine that boots.
    ///
    /// # Errors
    /// When Linux refuses the address space or the memory file.
    pub fn new(config: &MemoryConfig) -> io::Result<Self> {
        // A block on its own pages takes two of Linux' mappings (itself and the gap behind); the other third is for
        // everything else in the process.
        let special_limit = os::mapping_limit() / 3;
        let pool = PoolConfig {
            strict: config.strict,
            special_limit,
            shared_bytes: config.pool_bytes,
            executable_bytes: config.pool_bytes / 8,
            history: 1 << 16,
        };
        Ok(Self {
            strict: config.strict,
            phys: Phys::new(config.physical_bytes)?,
            va: KernelVa::new(config.kernel_bytes)?,
            pool: Pool::new(pool),
            spaces: Spaces::new(config.strict),
            faults: Faults::default(),
            pins: Pins::default(),
            mdls: mdl::Mdls::default(),
            contiguous: Mutex::default(),
            images: Mutex::default(),
        })
    }

    /// Makes the address space of a new process.
    ///
    /// # Errors
    /// When the user range is used up.
    pub fn create_space(&self) -> io::Result<Arc<AddressSpace>> {
        self.spaces.create()
    }

    /// Ends the address space of a process.
    ///
    /// # Errors
    /// What drivers still lock of it or have mapped into it, locks first. The mappings go with it all the same.
    pub fn delete_space(&self, space: &AddressSpace) -> Result<(), Vec<mdl::MdlLeak>> {
        let mut left = self.mdls.locked_by(space.id());
        left.extend(self.mdls.mapped_into(space.id()));
        self.mdls.forget_space(space.id());
        self.spaces.delete(&self.phys, &self.pins, space);
        if left.is_empty() { Ok(()) } else { Err(left) }
    }

    /// The number that what an image allocates is filed under.
    pub fn owner_of_image(&self, base: usize) -> u16 {
        let mut images = self.images.lock();
        let known = images.iter().position(|&image| image == base);
        let place = known.unwrap_or_else(|| {
            images.push(base);
            images.len() - 1
        });
        caller::LINKED + 1 + place as u16
    }

    /// What images hold of MDLs, pages and mappings; `owner` `None` means every image.
    pub fn mdl_leaks(&self, owner: Option<u16>) -> Vec<mdl::MdlLeak> {
        let mut leaks = self.mdls.leaks(owner);
        let contiguous = self.contiguous.lock();
        let mine = contiguous
            .iter()
            .filter(|(_, record)| owner.is_none_or(|owner| record.caller.owner == owner));
        leaks.extend(mine.map(|(&address, record)| mdl::MdlLeak {
            address,
            what: "contiguous memory",
            caller: record.caller.clone(),
        }));
        leaks
    }

    /// The physical address behind an address, as the current process sees it.
    pub fn physical_address(&self, address: usize) -> Option<u64> {
        let pfn = if is_user(address) {
            let space = self.spaces.get(user::current()?)?;
            *space.pages(address, 1, user::Access::Read).ok()?.first()?
        } else if !self.va.contains(address) && !os::is_mapped(address) {
            return None;
        } else {
            *self
                .kernel_pfns(address, 1, user::Access::Read)
                .ok()?
                .first()?
        };
        Some(pfn * PAGE_SIZE as u64 + (address % PAGE_SIZE) as u64)
    }
}
