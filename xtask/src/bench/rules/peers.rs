//! What a user could pick instead: maps that find the same rule for one kind of list.

use std::net::{Ipv4Addr, Ipv6Addr};

use prefix_trie::PrefixMap;
use xdp_packet::{Packet, protocol};
use xdp_rules::Pattern;

use super::lists::Rule;

type Tuple4 = (u32, u32, u32);
type Fast = foldhash::fast::FixedState;

/// A map over both ends of IPv4 UDP flows: hashbrown with foldhash.
pub(super) struct Hashbrown(hashbrown::HashMap<Tuple4, u32, Fast>);

impl Hashbrown {
    pub(super) fn new(rules: &[Rule<'_>]) -> Self {
        let mut map = hashbrown::HashMap::with_hasher(Fast::with_seed(1));
        for (index, rule) in rules.iter().enumerate() {
            if let Some(key) = rule_key(rule) {
                map.entry(key).or_insert(index as u32);
            }
        }
        Self(map)
    }

    #[inline]
    pub(super) fn find(&self, packet: &Packet<'_>) -> Option<u32> {
        self.0.get(&packet_key(packet)?).copied()
    }
}

/// The table somebody would write for exactly this: 16-byte slots, at most half full, linear probing.
pub(super) struct HandTable {
    slots: Vec<(Tuple4, u32)>,
    mask: usize,
}

impl HandTable {
    const FREE: u32 = u32::MAX;

    pub(super) fn new(rules: &[Rule<'_>]) -> Self {
        let size = (rules.len() * 2).next_power_of_two();
        let mut table = Self {
            slots: vec![((0, 0, 0), Self::FREE); size],
            mask: size - 1,
        };
        for (index, rule) in rules.iter().enumerate() {
            let Some(key) = rule_key(rule) else { continue };
            let mut at = Self::hash(key) & table.mask;
            while table.slots[at].1 != Self::FREE && table.slots[at].0 != key {
                at = (at + 1) & table.mask;
            }
            if table.slots[at].1 == Self::FREE {
                table.slots[at] = (key, index as u32);
            }
        }
        table
    }

    #[inline]
    fn hash((source, destination, ports): Tuple4) -> usize {
        let low = u64::from(source) << 32 | u64::from(destination);
        let product = u128::from(low ^ 0x9E37_79B9_7F4A_7C15)
            * u128::from(u64::from(ports) ^ 0xE703_7ED1_A0B4_28DB);
        (product as u64 ^ (product >> 64) as u64) as usize
    }

    #[inline]
    pub(super) fn find(&self, packet: &Packet<'_>) -> Option<u32> {
        let key = packet_key(packet)?;
        let mut at = Self::hash(key) & self.mask;
        loop {
            let (other, index) = self.slots[at & self.mask];
            if index == Self::FREE {
                return None;
            }
            if other == key {
                return Some(index);
            }
            at += 1;
        }
    }
}

/// A map over destination prefixes: the crate prefix-trie. It finds the longest one, not the first one, which is less work.
pub(super) struct Trie {
    v4: PrefixMap<(u32, u8), u32>,
    v6: PrefixMap<(u128, u8), u32>,
}

impl Trie {
    pub(super) fn new(rules: &[Rule<'_>]) -> Self {
        let mut trie = Self {
            v4: PrefixMap::new(),
            v6: PrefixMap::new(),
        };
        for (index, rule) in rules.iter().enumerate() {
            match rule {
                Pattern::Ipv4DstMask(masked) => {
                    let len = masked.mask.to_bits().leading_ones() as u8;
                    trie.v4
                        .insert((masked.address.to_bits(), len), index as u32);
                }
                Pattern::Ipv6DstMask(masked) => {
                    let len = masked.mask.to_bits().leading_ones() as u8;
                    trie.v6
                        .insert((masked.address.to_bits(), len), index as u32);
                }
                _ => {}
            }
        }
        trie
    }

    #[inline]
    pub(super) fn find(&self, packet: &Packet<'_>) -> Option<u32> {
        if let Some(ip) = packet.ipv4() {
            let to = Ipv4Addr::from(ip.destination()).to_bits();
            return self.v4.get_lpm(&(to, 32)).map(|(_, index)| *index);
        }
        let to = Ipv6Addr::from(packet.ipv6()?.destination()).to_bits();
        self.v6.get_lpm(&(to, 128)).map(|(_, index)| *index)
    }
}

fn rule_key(rule: &Rule<'_>) -> Option<Tuple4> {
    let Pattern::Ipv4UdpTuple(tuple) = rule else {
        return None;
    };
    let ports = u32::from(tuple.source_port) << 16 | u32::from(tuple.destination_port);
    Some((tuple.source.to_bits(), tuple.destination.to_bits(), ports))
}

#[inline]
fn packet_key(packet: &Packet<'_>) -> Option<Tuple4> {
    let ip = packet.ipv4()?;
    if ip.protocol() != protocol::UDP {
        return None;
    }
    let (from, to) = packet.ports()?;
    Some((
        u32::from_be_bytes(ip.source()),
        u32::from_be_bytes(ip.destination()),
        u32::from(from) << 16 | u32::from(to),
    ))
}
