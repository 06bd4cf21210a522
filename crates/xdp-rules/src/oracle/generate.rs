//! Random rules and frames from a small world, so that they meet often.

use crate::pattern::{AddressPorts, CidSlice, Flow, Masked, Pattern, PortSet, Tuple};
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::net::{Ipv4Addr, Ipv6Addr};
use core::sync::atomic::{AtomicU64, Ordering};
use xdp_abi::Port;

/// A seeded source of numbers (SplitMix64): the same seed gives the same run everywhere.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// Starts a sequence.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Returns the next number.
    pub const fn word(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut word = self.0;
        word = (word ^ word >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        word = (word ^ word >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        word ^ word >> 31
    }

    /// Returns a number below `limit`; 0 if that is 0.
    pub fn below(&mut self, limit: usize) -> usize {
        let word = self.word() as usize;
        word.checked_rem(limit).unwrap_or(0)
    }

    /// Tells yes once in `times`.
    pub fn one_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }

    /// Picks one.
    pub fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        let index = self.below(from.len());
        *from.get(index).expect("something to pick from")
    }

    /// Returns `count` bytes.
    pub fn bytes(&mut self, count: usize) -> Vec<u8> {
        (0..count).map(|_| self.word() as u8).collect()
    }
}

/// A port set that can be changed while it is in use.
#[derive(Debug)]
pub struct PortBits(Box<[AtomicU64; 1 << 10]>);

impl Default for PortBits {
    fn default() -> Self {
        Self(Box::new([const { AtomicU64::new(0) }; 1 << 10]))
    }
}

impl PortBits {
    /// Adds or removes a port.
    pub fn set(&self, port: u16, present: bool) {
        let raw = Port::new(port).raw();
        let bit = 1u64 << (raw & 63);
        if let Some(word) = self.0.get(usize::from(raw >> 6)) {
            if present {
                word.fetch_or(bit, Ordering::Relaxed);
            } else {
                word.fetch_and(!bit, Ordering::Relaxed);
            }
        }
    }
}

impl PortSet for PortBits {
    #[inline]
    fn contains(&self, port: Port) -> bool {
        let raw = port.raw();
        self.0
            .get(usize::from(raw >> 6))
            .is_some_and(|word| word.load(Ordering::Relaxed) >> (raw & 63) & 1 != 0)
    }

    #[inline]
    fn identity(&self) -> u64 {
        self.0.as_ptr() as u64
    }
}

/// The small world that rules and frames are drawn from.
#[derive(Debug)]
pub struct Universe {
    v4: Vec<Ipv4Addr>,
    v6: Vec<Ipv6Addr>,
    masks: Vec<u128>,
    ports: Vec<u16>,
    cids: Vec<Vec<u8>>,
    /// The port sets that rules use.
    pub sets: Vec<PortBits>,
}

impl Universe {
    /// Makes a world with about `size` addresses of each family.
    #[must_use]
    pub fn new(random: &mut Random, size: usize) -> Self {
        let size = size.max(2);
        // Addresses share beginnings of all lengths: each is another one with some bit flipped, and perhaps the rest changed.
        let mut bits: Vec<u128> = Vec::new();
        for _ in 0..size {
            let mut next = if bits.is_empty() {
                wide(random)
            } else {
                random.pick(&bits)
            };
            let at = random.below(128) as u32;
            next ^= (1 << 127) >> at;
            if random.one_in(2) {
                next ^= wide(random).unbounded_shr(at.saturating_add(1));
            }
            bits.push(next);
        }
        let masks = (0..6).map(|_| wide(random) | wide(random)).collect();
        let sets: Vec<PortBits> = (0..5).map(|_| PortBits::default()).collect();
        let mut ports: Vec<u16> = (0..6).map(|_| random.word() as u16).collect();
        ports.extend([53, 443, 0, u16::MAX]);
        let mut world = Self {
            v4: bits
                .iter()
                .map(|&b| Ipv4Addr::from_bits((b >> 96) as u32))
                .collect(),
            v6: bits.into_iter().map(Ipv6Addr::from_bits).collect(),
            masks,
            ports,
            cids: (0..4).map(|_| random.bytes(21)).collect(),
            sets,
        };
        world.flip_ports(random);
        // Version 4 addresses need differences within their 32 bits.
        for address in &mut world.v4 {
            let flipped = address.to_bits() ^ (1 << random.below(32));
            *address = Ipv4Addr::from_bits(flipped);
        }
        world
    }

    /// Changes some bits of the port sets.
    fn flip_ports(&self, random: &mut Random) {
        for set in &self.sets {
            for &port in &self.ports {
                set.set(port, random.one_in(3));
            }
        }
    }

    fn mask6(&self, random: &mut Random) -> u128 {
        match random.below(8) {
            0 => 0,
            1 => u128::MAX,
            2 => random.pick(&self.masks),
            3 => wide(random),
            _ => !u128::MAX.unbounded_shr(random.below(129) as u32),
        }
    }

    fn mask4(&self, random: &mut Random) -> u32 {
        match random.below(8) {
            0 => 0,
            1 => u32::MAX,
            2 => (random.pick(&self.masks) >> 96) as u32,
            3 => random.word() as u32,
            _ => !u32::MAX.unbounded_shr(random.below(33) as u32),
        }
    }

    fn masked4(&self, random: &mut Random) -> Masked<Ipv4Addr> {
        let mask = Ipv4Addr::from_bits(self.mask4(random));
        let address = random.pick(&self.v4);
        // Sometimes the address is not masked: such a rule never matches.
        let address = if random.one_in(16) {
            address
        } else {
            address & mask
        };
        Masked { mask, address }
    }

    fn masked6(&self, random: &mut Random) -> Masked<Ipv6Addr> {
        let mask = Ipv6Addr::from_bits(self.mask6(random));
        let address = random.pick(&self.v6);
        let address = if random.one_in(16) {
            address
        } else {
            address & mask
        };
        Masked { mask, address }
    }

    fn flow(&self, random: &mut Random) -> Flow {
        let offset = if random.one_in(2) {
            0
        } else {
            random.below(21)
        };
        let length = random.below(21usize.saturating_sub(offset));
        let cid = random.below(self.cids.len());
        let bytes = self.cids.get(cid).and_then(|cid| cid.get(offset..));
        let bytes = bytes.and_then(|bytes| bytes.get(..length)).unwrap_or(&[]);
        Flow {
            port: random.pick(&self.ports),
            cid: CidSlice::new(offset as u8, bytes).expect("at most 20 bytes"),
        }
    }

    /// Makes a pattern of the kind with this number (as in the application interface).
    pub fn pattern_of<'a>(&'a self, kind: usize, random: &mut Random) -> Pattern<&'a PortBits> {
        let port = random.pick(&self.ports);
        let v4 = random.pick(&self.v4);
        let v6 = random.pick(&self.v6);
        let set = random.below(self.sets.len());
        let ports = self.sets.get(set).expect("a set");
        let at4 = AddressPorts { address: v4, ports };
        let at6 = AddressPorts { address: v6, ports };
        match kind {
            0 => Pattern::All,
            1 => Pattern::Udp,
            2 => Pattern::UdpDst(port),
            3 => Pattern::Ipv4DstMask(self.masked4(random)),
            4 => Pattern::Ipv6DstMask(self.masked6(random)),
            5 => Pattern::QuicFlowSrcCid(self.flow(random)),
            6 => Pattern::QuicFlowDstCid(self.flow(random)),
            7 => Pattern::Ipv4UdpTuple(Tuple {
                source: random.pick(&self.v4),
                destination: v4,
                source_port: random.pick(&self.ports),
                destination_port: port,
            }),
            8 => Pattern::Ipv6UdpTuple(Tuple {
                source: random.pick(&self.v6),
                destination: v6,
                source_port: random.pick(&self.ports),
                destination_port: port,
            }),
            9 => Pattern::UdpPortSet(ports),
            10 => Pattern::Ipv4UdpPortSet(at4),
            11 => Pattern::Ipv6UdpPortSet(at6),
            12 => Pattern::Ipv4TcpPortSet(at4),
            13 => Pattern::Ipv6TcpPortSet(at6),
            14 => Pattern::TcpDst(port),
            15 => Pattern::TcpQuicFlowSrcCid(self.flow(random)),
            16 => Pattern::TcpQuicFlowDstCid(self.flow(random)),
            17 => Pattern::TcpControlDst(port),
            18 => Pattern::IpNextHeader(random.pick(&[1, 4, 6, 17, 41, 58, 0, 255])),
            19 => Pattern::InnerIpv4DstMaskUdp(self.masked4(random)),
            20 => Pattern::InnerIpv6DstMaskUdp(self.masked6(random)),
            21 => Pattern::Icmpv4EchoReplyIpDst(v4),
            _ => Pattern::Icmpv6EchoReplyIpDst(v6),
        }
    }

    /// Makes a pattern. Those that match a lot are rare, so that lists are looked at to their ends.
    pub fn pattern<'a>(&'a self, random: &mut Random) -> Pattern<&'a PortBits> {
        let kind = match random.below(23) {
            0 | 1 | 18 if !random.one_in(8) => 3,
            kind => kind,
        };
        self.pattern_of(kind, random)
    }

    /// Makes a frame with any combination of headers, most of them well-formed.
    pub fn frame(&self, random: &mut Random) -> Vec<u8> {
        let mut frame = random.bytes(12);
        if random.one_in(24) {
            frame.extend([0x81, 0x00, 0x00, 0x05]);
        }
        if random.one_in(2) {
            frame.extend([0x08, 0x00]);
            self.ipv4(random, &mut frame, true);
        } else {
            frame.extend([0x86, 0xDD]);
            self.ipv6(random, &mut frame, true);
        }
        if random.one_in(12) {
            let at = random.below(frame.len());
            if let Some(byte) = frame.get_mut(at) {
                *byte = random.word() as u8;
            }
        }
        frame
    }

    fn ipv4(&self, random: &mut Random, frame: &mut Vec<u8>, outer: bool) {
        let protocol = Self::protocol(random, outer);
        let words = if random.one_in(16) {
            random.below(16) as u8
        } else {
            5
        };
        let version = if random.one_in(16) {
            random.below(16) as u8
        } else {
            4
        };
        frame.push(version << 4 | words);
        frame.extend(random.bytes(8));
        frame.push(protocol);
        frame.extend(random.bytes(2));
        frame.extend(random.pick(&self.v4).octets());
        frame.extend(random.pick(&self.v4).octets());
        if words > 5 {
            frame.extend(random.bytes(usize::from(words.saturating_sub(5)) * 4));
        }
        self.above(random, frame, protocol, outer);
    }

    fn ipv6(&self, random: &mut Random, frame: &mut Vec<u8>, outer: bool) {
        let protocol = Self::protocol(random, outer);
        let version = if random.one_in(16) {
            random.below(16) as u8
        } else {
            6
        };
        frame.push(version << 4);
        frame.extend(random.bytes(5));
        frame.push(protocol);
        frame.extend(random.bytes(1));
        frame.extend(random.pick(&self.v6).octets());
        frame.extend(random.pick(&self.v6).octets());
        self.above(random, frame, protocol, outer);
    }

    fn protocol(random: &mut Random, outer: bool) -> u8 {
        match random.below(if outer { 14 } else { 5 }) {
            0..4 => 17,
            4 => random.word() as u8,
            5..9 => 6,
            9 | 10 => 4,
            11 => 41,
            12 => 1,
            _ => 58,
        }
    }

    fn above(&self, random: &mut Random, frame: &mut Vec<u8>, protocol: u8, outer: bool) {
        match protocol {
            17 => {
                self.port_pair(random, frame);
                frame.extend(random.bytes(4));
                self.quic(random, frame);
            }
            6 => {
                self.port_pair(random, frame);
                frame.extend(random.bytes(8));
                let words = match random.below(8) {
                    0 => random.below(16) as u8,
                    1..4 => 8,
                    _ => 5,
                };
                frame.push(words << 4);
                frame.push(if random.one_in(2) {
                    0x10
                } else {
                    random.word() as u8
                });
                frame.extend(random.bytes(6));
                frame.extend(random.bytes(usize::from(words.saturating_sub(5)) * 4));
                self.quic(random, frame);
            }
            4 if outer => self.ipv4(random, frame, false),
            41 if outer => self.ipv6(random, frame, false),
            1 | 58 => {
                let kind = random.pick(&[0, 8, 128, 129]);
                frame.extend([kind, u8::from(random.one_in(8))]);
                frame.extend(random.bytes(6));
            }
            _ => {
                let count = random.below(30);
                frame.extend(random.bytes(count));
            }
        }
    }

    fn port_pair(&self, random: &mut Random, frame: &mut Vec<u8>) {
        frame.extend(random.pick(&self.ports).to_be_bytes());
        frame.extend(random.pick(&self.ports).to_be_bytes());
    }

    fn quic(&self, random: &mut Random, frame: &mut Vec<u8>) {
        let cid = random.below(self.cids.len());
        let known = self.cids.get(cid).map_or(&[][..], |cid| cid);
        let size = random.below(21);
        let known = known.get(..size).unwrap_or(known);
        if random.one_in(2) {
            frame.push(0x40);
            frame.extend(known);
            let more = random.below(30);
            frame.extend(random.bytes(more));
            return;
        }
        frame.push(0xC0);
        frame.extend(random.bytes(4));
        let other = if random.one_in(16) {
            random.below(256)
        } else {
            random.below(21)
        };
        frame.push(other as u8);
        frame.extend(random.bytes(other));
        let pad = if random.one_in(16) {
            random.below(220)
        } else {
            0
        };
        frame.push((known.len().saturating_add(pad)) as u8);
        frame.extend(known);
        frame.extend(random.bytes(pad));
        let more = random.below(8);
        frame.extend(random.bytes(more));
    }
}

fn wide(random: &mut Random) -> u128 {
    u128::from(random.word()) << 64 | u128::from(random.word())
}
