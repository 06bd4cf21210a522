//! Code that runs elsewhere or later: deferred calls, timers, work items, threads.

mod dpc;
mod item;
mod thread;
mod timer;
mod visit;

pub use self::dpc::{Deferred, Dpc};
pub use self::item::{Work, WorkItem};
pub use self::thread::{Pinned, Thread};
pub use self::timer::{Tick, Timer};
pub use self::visit::visit_processors;
