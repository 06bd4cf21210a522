//! The kernel core: dispatcher objects, DPCs, timers, spin locks, processors.

pub(crate) mod dispatcher;
pub(crate) mod dpc;
pub(crate) mod irql_exports;
pub(crate) mod object_exports;
mod processor_exports;
pub(crate) mod spin_lock;
#[cfg(test)]
mod tests;
mod thread_exports;
pub(crate) mod timer;

use crate::{export::Export, kernel::kernel};

/// State of the kernel core.
pub(crate) struct State {
    pub(crate) dispatcher: dispatcher::Dispatcher,
    pub(crate) dpc: Vec<dpc::Queue>,
    pub(crate) timers: timer::Timers,
}

impl State {
    pub(crate) fn new(cpus: u32) -> State {
        State {
            dispatcher: dispatcher::Dispatcher::default(),
            dpc: (0..cpus).map(|_| dpc::Queue::default()).collect(),
            timers: timer::Timers::default(),
        }
    }
}

/// What the kernel core exports.
pub(crate) fn exports() -> Vec<&'static [Export]> {
    vec![
        dpc::EXPORTS,
        irql_exports::EXPORTS,
        object_exports::EXPORTS,
        processor_exports::EXPORTS,
        spin_lock::EXPORTS,
        thread_exports::EXPORTS,
        timer::EXPORTS,
    ]
}

/// Starts the kernel core's threads.
pub(crate) fn start() {
    dpc::start_threads();
}

/// Lets the kernel core's threads end.
pub(crate) fn stop() {
    for queue in &kernel().ke.dpc {
        queue.stop();
    }
}
