//! Who talks to whom, and how much: a table of bounded size.

use std::collections::HashMap;
use std::fmt;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use xdp_packet::Extended;

/// Pairs that are remembered; when there are more, those that said least are forgotten.
const MOST: usize = 4096;

/// A pair of talkers, and what they use.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct Pair {
    /// Who speaks: an IP address, or a MAC address where there is none.
    pub(crate) source: String,
    /// To whom.
    pub(crate) destination: String,
    /// Such as `TCP 443`: of both ports the lower one, which is the service's.
    pub(crate) service: String,
}

/// A pair, and how much was said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Talker {
    #[serde(flatten)]
    pub(crate) pair: Pair,
    pub(crate) frames: u64,
    pub(crate) bytes: u64,
}

/// A pair in few bytes.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Key {
    Ip(IpAddr, IpAddr, u8, u16),
    Link([u8; 6], [u8; 6], u16),
}

/// The table.
#[derive(Default)]
pub(crate) struct Talkers {
    pairs: HashMap<Key, (u64, u64)>,
}

fn key(frame: &[u8]) -> Option<Key> {
    let found = Extended::parse_slice(frame);
    let v4 = found.ipv4.map(|ip| {
        (
            IpAddr::from(ip.source_addr()),
            IpAddr::from(ip.destination_addr()),
        )
    });
    let v6 = || {
        found.ipv6.map(|ip| {
            (
                IpAddr::from(ip.source_addr()),
                IpAddr::from(ip.destination_addr()),
            )
        })
    };
    if let Some((source, destination)) = v4.or_else(v6) {
        let udp = found
            .udp
            .map(|udp| udp.source_port().min(udp.destination_port()));
        let tcp = found
            .tcp
            .map(|tcp| tcp.source_port().min(tcp.destination_port()));
        let port = udp.or(tcp).unwrap_or(0);
        return Some(Key::Ip(
            source,
            destination,
            found.protocol.unwrap_or(0xFF),
            port,
        ));
    }
    let (destination, rest) = frame.split_first_chunk::<6>()?;
    let (source, _) = rest.split_first_chunk::<6>()?;
    Some(Key::Link(*source, *destination, found.ethertype))
}

impl fmt::Display for Pair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} > {} {}", self.source, self.destination, self.service)
    }
}

impl From<Key> for Pair {
    fn from(key: Key) -> Self {
        match key {
            Key::Ip(source, destination, protocol, port) => Self {
                source: source.to_string(),
                destination: destination.to_string(),
                service: match (crate::filter::headers::protocol_name(protocol), port) {
                    (name, 0) => name,
                    (name, port) => format!("{name} {port}"),
                },
            },
            Key::Link(source, destination, ethertype) => {
                let mac = |bytes: [u8; 6]| bytes.map(|byte| format!("{byte:02x}")).join(":");
                let name = crate::filter::headers::ethertype_name(ethertype);
                Self {
                    source: mac(source),
                    destination: mac(destination),
                    service: name.map_or_else(|| format!("0x{ethertype:04x}"), ToOwned::to_owned),
                }
            }
        }
    }
}

impl Talkers {
    /// Counts a frame.
    pub(crate) fn count(&mut self, frame: &[u8]) {
        let Some(key) = key(frame) else {
            return;
        };
        if self.pairs.len() >= MOST && !self.pairs.contains_key(&key) {
            self.forget();
        }
        let (frames, bytes) = self.pairs.entry(key).or_default();
        *frames += 1;
        *bytes += frame.len() as u64;
    }

    /// Forgets the half that said least.
    fn forget(&mut self) {
        let mut said: Vec<u64> = self.pairs.values().map(|(_, bytes)| *bytes).collect();
        let (_, middle, _) = said.select_nth_unstable(MOST / 2);
        let middle = *middle;
        self.pairs.retain(|_, (_, bytes)| *bytes > middle);
    }

    /// Those that said most, the loudest first.
    pub(crate) fn loudest(&self, most: usize) -> Vec<Talker> {
        let mut all: Vec<_> = self.pairs.iter().collect();
        all.sort_unstable_by_key(|(_, (_, bytes))| std::cmp::Reverse(*bytes));
        all.truncate(most);
        all.into_iter()
            .map(|(key, (frames, bytes))| Talker {
                pair: (*key).into(),
                frames: *frames,
                bytes: *bytes,
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::load;

    #[test]
    fn pairs_are_counted_by_service() {
        let mut talkers = Talkers::default();
        let frame = load::frame(100, [1; 6], [2; 6], 7);
        for _ in 0..3 {
            talkers.count(&frame);
        }
        let mut arp = vec![0xFF; 12];
        arp.extend([8, 6]);
        arp.resize(60, 0);
        talkers.count(&arp);
        talkers.count(&[]);
        let loudest = talkers.loudest(10);
        let shown: Vec<String> = loudest
            .iter()
            .map(|talker| {
                format!(
                    "{}: {} frames, {} bytes",
                    talker.pair, talker.frames, talker.bytes
                )
            })
            .collect();
        assert_eq!(
            shown,
            [
                "198.18.0.7 > 198.19.0.1 UDP 9: 3 frames, 300 bytes",
                "ff:ff:ff:ff:ff:ff > ff:ff:ff:ff:ff:ff ARP: 1 frames, 60 bytes"
            ]
        );
    }

    #[test]
    fn the_loudest_are_remembered_whatever_else_comes() {
        let mut talkers = Talkers::default();
        let loud = load::frame(1500, [1; 6], [2; 6], 0xFFFF - 1024);
        for flow in 0..20_000_u16 {
            talkers.count(&loud);
            talkers.count(&load::frame(60, [1; 6], [2; 6], flow));
            assert!(talkers.pairs.len() <= MOST);
        }
        let loudest = talkers.loudest(1);
        assert_eq!(
            (loudest[0].frames, loudest[0].bytes),
            (20_000, 20_000 * 1500)
        );
    }
}
