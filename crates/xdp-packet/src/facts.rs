//! What was found in a frame.

use core::fmt;
use core::ops::{BitOr, BitOrAssign};

/// What was found in a frame, as a set.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Facts(pub u16);

impl Facts {
    /// Nothing.
    pub const NONE: Self = Self(0);
    /// An Ethernet header is present.
    pub const ETHERNET: Self = Self(1 << 0);
    /// An IPv4 header without options is present.
    pub const IPV4: Self = Self(1 << 1);
    /// An IPv6 header is present.
    pub const IPV6: Self = Self(1 << 2);
    /// A UDP header is present.
    pub const UDP: Self = Self(1 << 3);
    /// A TCP header is present.
    pub const TCP: Self = Self(1 << 4);
    /// The payload of IP is neither UDP nor TCP.
    pub const IP_PAYLOAD: Self = Self(1 << 5);
    /// The payload of UDP or TCP starts with a QUIC long header, if it is QUIC.
    pub const QUIC_LONG: Self = Self(1 << 6);
    /// The payload of UDP or TCP starts with a QUIC short header, if it is QUIC.
    pub const QUIC_SHORT: Self = Self(1 << 7);
    /// An ICMP header (IPv4) is present.
    pub const ICMPV4: Self = Self(1 << 8);
    /// An ICMPv6 header is present.
    pub const ICMPV6: Self = Self(1 << 9);
    /// An inner IPv4 header without options is present.
    pub const INNER_IPV4: Self = Self(1 << 10);
    /// An inner IPv6 header is present.
    pub const INNER_IPV6: Self = Self(1 << 11);
    /// A VLAN tag hides the rest from standard rules.
    pub const VLAN: Self = Self(1 << 12);
    /// IPv4 options hide the IPv4 header from standard rules.
    pub const IPV4_OPTIONS: Self = Self(1 << 13);
    /// An IPv6 extension header hides what follows from standard rules.
    pub const IPV6_EXTENSION: Self = Self(1 << 14);
    /// Headers crossed buffers and were gathered.
    pub const GATHERED: Self = Self(1 << 15);

    /// Every fact with its name.
    pub const NAMES: [(Self, &'static str); 16] = [
        (Self::ETHERNET, "ethernet"),
        (Self::IPV4, "ipv4"),
        (Self::IPV6, "ipv6"),
        (Self::UDP, "udp"),
        (Self::TCP, "tcp"),
        (Self::IP_PAYLOAD, "ip-payload"),
        (Self::QUIC_LONG, "quic-long"),
        (Self::QUIC_SHORT, "quic-short"),
        (Self::ICMPV4, "icmpv4"),
        (Self::ICMPV6, "icmpv6"),
        (Self::INNER_IPV4, "inner-ipv4"),
        (Self::INNER_IPV6, "inner-ipv6"),
        (Self::VLAN, "vlan"),
        (Self::IPV4_OPTIONS, "ipv4-options"),
        (Self::IPV6_EXTENSION, "ipv6-extension"),
        (Self::GATHERED, "gathered"),
    ];

    /// Returns the facts in either set.
    #[inline]
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Returns these facts without `other`.
    #[inline]
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Tells whether all of `facts` hold.
    #[inline]
    #[must_use]
    pub const fn contains(self, facts: Self) -> bool {
        self.0 & facts.0 == facts.0
    }

    /// Tells whether any of `facts` holds.
    #[inline]
    #[must_use]
    pub const fn intersects(self, facts: Self) -> bool {
        self.0 & facts.0 != 0
    }
}

impl fmt::Debug for Facts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set()
            .entries(
                Self::NAMES
                    .iter()
                    .filter(|(fact, _)| self.contains(*fact))
                    .map(|(_, name)| name),
            )
            .finish()
    }
}

impl BitOr for Facts {
    type Output = Self;

    #[inline]
    fn bitor(self, other: Self) -> Self {
        self.union(other)
    }
}

impl BitOrAssign for Facts {
    #[inline]
    fn bitor_assign(&mut self, other: Self) {
        self.0 |= other.0;
    }
}
