//! Memory of the requestor, locked pages and their mappings.

mod mdl;
mod user;

pub(crate) use self::mdl::system_address;
pub use self::mdl::{Access, KernelPages, LockedPages, UserMapping};
pub use self::user::{Mode, Requestor, UserSlice};
