//! Memory of the simulated machine: page frames, kernel addresses, pool, user address spaces, MDLs.

pub mod caller;
pub mod faults;
pub(crate) mod os;
pub mod phys;
pub mod pool;
pub(crate) mod raw;
pub mod user;
pub mod va;

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
