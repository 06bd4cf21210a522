//! Locks, events, run-down protection, and values that are replaced under their readers.

mod event;
mod published;
mod push;
mod rundown;
mod spin;

pub use self::event::{Event, Waited};
pub(crate) use self::event::{relative, units};
pub use self::published::{Grace, Published, Retired, grace_period};
pub use self::push::{PushLock, PushReadGuard, PushWriteGuard};
pub use self::rundown::{CacheAwareRundown, Rundown, RundownGuard};
pub use self::spin::{SpinGuard, SpinLock};
