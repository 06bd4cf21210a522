//! The search in one structure.
//!
//! Where a packet needs several, a search takes hardly more instructions than calling it: there it is [`InPlace`]. Where one is
//! all there is to do it is [`Apart`]: what jumps there has nothing to keep, and neither do the others it could have jumped to.

use crate::NONE;
use crate::address::Address;
use crate::cids::Cids;
use crate::hash::Key;
use crate::index::{ByPrefix, Exact};
use crate::masks::ByMask;
use crate::pattern::PortSet;
use crate::port_sets::{First, PortSets};
use crate::store::Store;
use crate::table::Value;
use crate::tables::{Tuple4, Tuple6};
use xdp_abi::Port;
use xdp_packet::Quic;

/// Where the code of searches is.
pub(crate) trait Way {
    /// Looks a key up.
    fn exact<K: Key, S: Store>(rules: &Exact<K, S>, key: K) -> u32;

    /// Looks both ends of IPv4 UDP up; they come in registers.
    fn tuple4<S: Store>(rules: &Exact<Tuple4, S>, from: u32, to: u32, ports: u32) -> u32;

    /// Looks both ends of IPv6 UDP up: the source address, then the destination address.
    fn tuple6<S: Store>(rules: &Exact<Tuple6, S>, ends: &[u8; 32], ports: u32) -> u32;

    /// Looks for prefixes of an address.
    fn prefix<A: Address, S: Store>(rules: &ByPrefix<A, S>, to: A) -> u32;

    /// Looks for an address under masks.
    fn mask<A: Address, S: Store>(rules: &ByMask<A, S>, to: A, best: u32) -> u32;

    /// Looks for the connection ID of a QUIC header with the wanted form.
    fn cid<S: Store>(rules: &Cids<S>, payload: &[u8], long: bool, port: u16, best: u32) -> u32;

    /// Looks for an address and asks its sets for a port.
    fn ports<K: Key, P: PortSet, S: Store>(
        rules: &PortSets<K, P, S>,
        to: K,
        port: u16,
        best: u32,
    ) -> u32;
}

/// Where it is needed.
pub(crate) struct InPlace;

impl Way for InPlace {
    #[inline(always)]
    fn exact<K: Key, S: Store>(rules: &Exact<K, S>, key: K) -> u32 {
        rules.table.find(&key)
    }

    #[inline(always)]
    fn tuple4<S: Store>(rules: &Exact<Tuple4, S>, from: u32, to: u32, ports: u32) -> u32 {
        let (table, key) = (&rules.table, Tuple4::new(from, to, ports));
        if let Some(id) = table.find_only(&key) {
            return id;
        }
        match table.find_soon(&key, table.hash(&key)) {
            Some(id) => id,
            None => tuple4_further(rules, from, to, ports),
        }
    }

    #[inline(always)]
    fn tuple6<S: Store>(rules: &Exact<Tuple6, S>, ends: &[u8; 32], ports: u32) -> u32 {
        let (table, key) = (&rules.table, Tuple6::new(ends, ports));
        if let Some(id) = table.find_only(&key) {
            return id;
        }
        match table.find_soon(&key, table.hash(&key)) {
            Some(id) => id,
            None => tuple6_further(rules, ends, ports),
        }
    }

    #[inline(always)]
    fn prefix<A: Address, S: Store>(rules: &ByPrefix<A, S>, to: A) -> u32 {
        rules.tree.find(to)
    }

    #[inline(always)]
    fn mask<A: Address, S: Store>(rules: &ByMask<A, S>, to: A, best: u32) -> u32 {
        rules.find(to, best)
    }

    #[inline(always)]
    fn cid<S: Store>(rules: &Cids<S>, payload: &[u8], long: bool, port: u16, best: u32) -> u32 {
        if wants_cid(rules, payload, long, port) {
            cid(rules, payload, port, best)
        } else {
            NONE
        }
    }

    #[inline(always)]
    fn ports<K: Key, P: PortSet, S: Store>(
        rules: &PortSets<K, P, S>,
        to: K,
        port: u16,
        best: u32,
    ) -> u32 {
        let first = rules.first(&to);
        if first.is_nothing() {
            NONE
        } else {
            ports(rules, first, port, best)
        }
    }
}

/// In a function of its own.
pub(crate) struct Apart;

impl Way for Apart {
    #[inline(never)]
    fn exact<K: Key, S: Store>(rules: &Exact<K, S>, key: K) -> u32 {
        InPlace::exact(rules, key)
    }

    #[inline(never)]
    fn tuple4<S: Store>(rules: &Exact<Tuple4, S>, from: u32, to: u32, ports: u32) -> u32 {
        InPlace::tuple4(rules, from, to, ports)
    }

    #[inline(never)]
    fn tuple6<S: Store>(rules: &Exact<Tuple6, S>, ends: &[u8; 32], ports: u32) -> u32 {
        InPlace::tuple6(rules, ends, ports)
    }

    #[inline(never)]
    fn prefix<A: Address, S: Store>(rules: &ByPrefix<A, S>, to: A) -> u32 {
        InPlace::prefix(rules, to)
    }

    #[inline(never)]
    fn mask<A: Address, S: Store>(rules: &ByMask<A, S>, to: A, best: u32) -> u32 {
        InPlace::mask(rules, to, best)
    }

    #[inline(never)]
    fn cid<S: Store>(rules: &Cids<S>, payload: &[u8], long: bool, port: u16, best: u32) -> u32 {
        if wants_cid(rules, payload, long, port) {
            cid_in(rules, payload, port, best)
        } else {
            NONE
        }
    }

    #[inline(never)]
    fn ports<K: Key, P: PortSet, S: Store>(
        rules: &PortSets<K, P, S>,
        to: K,
        port: u16,
        best: u32,
    ) -> u32 {
        let first = rules.first(&to);
        if first.is_nothing() {
            NONE
        } else {
            rules.find_from(first, Port::new(port), best)
        }
    }
}

/// Apart from the search for the address, most of which find nothing.
#[inline(never)]
fn ports<K: Key, P: PortSet, S: Store>(
    rules: &PortSets<K, P, S>,
    first: First,
    port: u16,
    best: u32,
) -> u32 {
    rules.find_from(first, Port::new(port), best)
}

/// Tells whether a packet may be of interest: most are not.
#[inline(always)]
fn wants_cid<S: Store>(rules: &Cids<S>, payload: &[u8], long: bool, port: u16) -> bool {
    rules.wants(port) && matches!(payload.first(), Some(first) if (first & 0x80 != 0) == long)
}

#[inline(never)]
fn cid<S: Store>(rules: &Cids<S>, payload: &[u8], port: u16, best: u32) -> u32 {
    cid_in(rules, payload, port, best)
}

#[inline(always)]
fn cid_in<S: Store>(rules: &Cids<S>, payload: &[u8], port: u16, best: u32) -> u32 {
    match Quic::parse(payload) {
        Ok(quic) => rules.find(port, quic.rule_cid(), best),
        Err(_) => NONE,
    }
}

/// The parts of the key come separately, in registers: the whole key would be put into memory before it is known whether this
/// is called.
#[cold]
#[inline(never)]
fn tuple4_further<S: Store>(rules: &Exact<Tuple4, S>, from: u32, to: u32, ports: u32) -> u32 {
    let (table, key) = (&rules.table, Tuple4::new(from, to, ports));
    table.find_further(key, table.hash(&key))
}

/// As [`tuple4_further`].
#[cold]
#[inline(never)]
fn tuple6_further<S: Store>(rules: &Exact<Tuple6, S>, ends: &[u8; 32], ports: u32) -> u32 {
    let (table, key) = (&rules.table, Tuple6::new(ends, ports));
    table.find_further(key, table.hash(&key))
}
