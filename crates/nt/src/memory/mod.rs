//! Memory of the requestor, locked pages and their mappings.

mod mdl;
mod pages;
mod shared;
mod user;

pub use self::mdl::{Access, LockedPages};
pub(crate) use self::mdl::{Mdl, system_address};
pub use self::pages::{KernelPages, UserMapping};
pub(crate) use self::shared::copy_bytes;
pub use self::user::{Mode, Requestor, UserSlice};
