//! Event tracing and performance counters: registrations, and the events that were written.

mod etw;
mod pcw;

pub(crate) use self::{
    etw::{Event, left_by as etw_left_by},
    pcw::left_by as pcw_left_by,
};
use crate::export::Export;

/// State of tracing.
#[derive(Default)]
pub(crate) struct State {
    pub(crate) etw: etw::Etw,
    pub(crate) pcw: pcw::Pcw,
}

/// A GUID as people write it.
pub(crate) fn guid_words(guid: &[u8; 16]) -> String {
    let [a, b, c, d, e, f, g, h, rest @ ..] = guid;
    let [i, j, tail @ ..] = rest;
    let tail: String = tail.iter().map(|byte| format!("{byte:02x}")).collect();
    format!(
        "{{{:08x}-{:04x}-{:04x}-{i:02x}{j:02x}-{tail}}}",
        u32::from_le_bytes([*a, *b, *c, *d]),
        u16::from_le_bytes([*e, *f]),
        u16::from_le_bytes([*g, *h]),
    )
}

/// What tracing exports.
pub(crate) fn exports() -> Vec<&'static [Export]> {
    vec![etw::EXPORTS, pcw::EXPORTS]
}
