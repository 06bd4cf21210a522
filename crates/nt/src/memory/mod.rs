//! Memory of the requestor, locked pages and their mappings.

mod mdl;
mod pages;
mod shared;
mod user;

pub(crate) use self::mdl::system_address;
pub use self::mdl::{Access, LockedPages};
pub use self::pages::{KernelPages, UserMapping};
pub use self::user::{Mode, Requestor, UserSlice};
