//! Event tracing and performance counters: registrations, and the events that were written.

mod etw;
mod pcw;

pub(crate) use self::etw::{Event, alive as etw_alive};
use crate::export::Export;

/// State of tracing.
#[derive(Default)]
pub(crate) struct State {
    pub(crate) etw: etw::Etw,
    pub(crate) pcw: pcw::Pcw,
}

/// Performance counter registrations and instances that are left.
pub(crate) fn pcw_alive() -> usize {
    pcw::alive()
}

/// What tracing exports.
pub(crate) fn exports() -> Vec<&'static [Export]> {
    vec![etw::EXPORTS, pcw::EXPORTS]
}
