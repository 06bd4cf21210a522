//! Matching, compiled once for real types, so that a test can look at what the compiler made of it.

use super::PortBits;
use crate::classifier::{Classifier, Hit};
use crate::store::Heap;
use xdp_packet::{Frame, Packet};

/// A classifier as a test or a tool would have it.
pub type Compiled<'a> = Classifier<&'a PortBits, u32, Heap>;

/// Classifies a frame.
#[inline(never)]
#[must_use]
pub fn classify(rules: &Compiled<'_>, frame: &Frame<'_>) -> Option<u32> {
    rules.classify(frame).map(|hit| *hit.value)
}

/// Classifies frames, which are as many as the places for their rules.
#[inline(never)]
pub fn classify_many<'r>(
    rules: &'r Compiled<'_>,
    frames: &[Frame<'_>],
    hits: &mut [Option<Hit<'r, u32>>],
) {
    let mut places = hits.iter_mut();
    rules.classify_many(frames.iter().copied(), |hit| {
        if let Some(place) = places.next() {
            *place = hit;
        }
    });
}

/// Finds the rule for a parsed packet.
#[inline(never)]
#[must_use]
pub fn find(rules: &Compiled<'_>, packet: &Packet<'_>) -> Option<u32> {
    rules.find(packet).map(|hit| *hit.value)
}
