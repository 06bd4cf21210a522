//! The executive: pool and lists, locks that wait, rundown, callbacks, timers.

pub(crate) mod callback;
mod list;
mod lookaside;
#[cfg(test)]
mod memory_tests;
mod mutex;
pub(crate) mod pool;
mod push_lock;
mod resource;
mod rundown;
mod slist;
mod timer;

use crate::export::Export;

/// State of the executive.
#[derive(Default)]
pub(crate) struct State {
    pub(crate) push_locks: push_lock::Waiters,
    pub(crate) resources: resource::Resources,
    pub(crate) rundown: rundown::Waiters,
    pub(crate) callbacks: callback::Callbacks,
    pub(crate) timers: timer::Timers,
}

pub(crate) use self::{
    callback::left_by as callbacks_left_by, rundown::left_by as rundown_left_by,
    timer::left_by as timers_left_by,
};

/// What the executive exports.
pub(crate) fn exports() -> Vec<&'static [Export]> {
    vec![
        callback::EXPORTS,
        list::EXPORTS,
        lookaside::EXPORTS,
        mutex::EXPORTS,
        pool::EXPORTS,
        push_lock::EXPORTS,
        resource::EXPORTS,
        rundown::EXPORTS,
        slist::EXPORTS,
        timer::EXPORTS,
    ]
}
