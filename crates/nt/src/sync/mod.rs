//! Locks, events and run-down protection.

mod event;
mod push;
mod rundown;
mod spin;

pub(crate) use self::event::relative;
pub use self::event::{Event, Waited};
pub use self::push::{PushLock, PushReadGuard, PushWriteGuard};
pub use self::rundown::{CacheAwareRundown, Rundown, RundownGuard};
pub use self::spin::{SpinGuard, SpinLock};
