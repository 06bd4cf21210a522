//! What each case should cost, and what that means on this core.
//!
//! The targets are for a core on which parsing a hot UDP frame's headers and one comparison of a port take 3 ns. The same work
//! is measured here as one more contender of every case, slice by slice beside ours, and the target is scaled by it: so a
//! busy neighbour that slows both changes nothing. Scaling by a walker's match-all would not do: how much a walker parses for a
//! rule that needs nothing is its own affair.

use std::hint::black_box;

use super::super::measure::{Case, Contender};
use super::lists::Frames;
use super::over;

/// Name of the contender that tells how fast this core is.
const YARDSTICK: &str = "yardstick: parse, compare";
/// What it needs on the core the targets are for.
const YARDSTICK_NS: f64 = 3.0;

/// Beginnings of case names and what classifying a frame should cost at most, in nanoseconds.
const TARGETS: [(&str, f64); 14] = [
    ("1 match-all", 4.0),
    ("1 UDP port", 8.0),
    ("1 IPv4 5-tuple", 9.0),
    ("100 IPv4 5-tuples", 12.0),
    ("10,000 IPv4 5-tuples", 12.0),
    ("100,000 IPv4 5-tuples", 20.0),
    ("10,000 IPv4 prefixes", 12.0),
    ("10,000 IPv6 prefixes", 30.0),
    ("1 port set", 9.0),
    ("10,000 rules with one port set", 9.0),
    ("10,000 addresses with port sets", 9.0),
    ("10,000 QUIC", 20.0),
    ("10,000 IPv4 destinations under 32 masks", 80.0),
    ("10,000 rules of all 23 kinds", 50.0),
];

/// The yardstick over a few copies of one frame.
pub(super) fn yardstick<'a>(frames: &'a Frames) -> Contender<'a> {
    let port = black_box(443);
    over(YARDSTICK, frames, move |bytes| {
        u32::from(udp4_port(bytes) == Some(port))
    })
}

/// What anybody would write by hand.
fn udp4_port(bytes: &[u8]) -> Option<u16> {
    let (link, rest) = bytes.split_first_chunk::<14>()?;
    if link[12..] != [0x08, 0x00] {
        return None;
    }
    let (ip, rest) = rest.split_first_chunk::<20>()?;
    if ip[0] & 0xF != 5 || ip[9] != 17 {
        return None;
    }
    let udp = rest.first_chunk::<8>()?;
    Some(u16::from_be_bytes([udp[2], udp[3]]))
}

/// Compares a case with its target, if it has one.
pub(super) fn judge(case: Case) -> Case {
    let target = TARGETS.iter().find(|(name, _)| case.name.starts_with(name));
    let yardstick = case.results.iter().find(|result| result.name == YARDSTICK);
    match (target, yardstick) {
        (Some(&(_, ns)), Some(yardstick)) => {
            let scale = (
                yardstick.min_ns / YARDSTICK_NS,
                yardstick.median_ns / YARDSTICK_NS,
            );
            case.against(ns, scale)
        }
        _ => case,
    }
}
