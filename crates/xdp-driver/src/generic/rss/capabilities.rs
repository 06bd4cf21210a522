//! What the network card's receive-side scaling can do.

use core::mem::offset_of;

use nt::sys::{
    NDIS_HASH_IPV4, NDIS_HASH_IPV6, NDIS_HASH_IPV6_EX, NDIS_HASH_TCP_IPV4, NDIS_HASH_TCP_IPV6,
    NDIS_HASH_TCP_IPV6_EX, NDIS_HASH_UDP_IPV4, NDIS_HASH_UDP_IPV6, NDIS_HASH_UDP_IPV6_EX,
    NDIS_RECEIVE_SCALE_CAPABILITIES, NDIS_RSS_CAPS_HASH_TYPE_TCP_IPV4,
    NDIS_RSS_CAPS_HASH_TYPE_TCP_IPV6, NDIS_RSS_CAPS_HASH_TYPE_TCP_IPV6_EX,
    NDIS_RSS_CAPS_HASH_TYPE_UDP_IPV4, NDIS_RSS_CAPS_HASH_TYPE_UDP_IPV6,
    NDIS_RSS_CAPS_HASH_TYPE_UDP_IPV6_EX,
};
use xdp_abi::ObjectHeader;
use xdp_abi::offload::{
    RSS_CAPABILITIES_REVISION_2, RssCapabilities, RssHashTypes, SIZEOF_RSS_CAPABILITIES_REVISION_2,
};

use super::settings::{ENTRIES, KEY};

/// What the network card's receive-side scaling can do; nothing when it has none.
#[derive(Clone, Copy, Default)]
pub(crate) struct Capabilities {
    types: RssHashTypes,
    queues: u32,
    entries: u32,
}

/// Hash types: as programs, as NDIS, and as the capabilities of network cards name them. The hashes of addresses alone
/// have no bit of their own there: who hashes ports falls back to them.
const TYPES: [(RssHashTypes, u32, u32); 9] = [
    (
        RssHashTypes::IPV4,
        NDIS_HASH_IPV4,
        NDIS_RSS_CAPS_HASH_TYPE_TCP_IPV4 | NDIS_RSS_CAPS_HASH_TYPE_UDP_IPV4,
    ),
    (
        RssHashTypes::TCP_IPV4,
        NDIS_HASH_TCP_IPV4,
        NDIS_RSS_CAPS_HASH_TYPE_TCP_IPV4,
    ),
    (
        RssHashTypes::UDP_IPV4,
        NDIS_HASH_UDP_IPV4,
        NDIS_RSS_CAPS_HASH_TYPE_UDP_IPV4,
    ),
    (
        RssHashTypes::IPV6,
        NDIS_HASH_IPV6,
        NDIS_RSS_CAPS_HASH_TYPE_TCP_IPV6 | NDIS_RSS_CAPS_HASH_TYPE_UDP_IPV6,
    ),
    (
        RssHashTypes::TCP_IPV6,
        NDIS_HASH_TCP_IPV6,
        NDIS_RSS_CAPS_HASH_TYPE_TCP_IPV6,
    ),
    (
        RssHashTypes::UDP_IPV6,
        NDIS_HASH_UDP_IPV6,
        NDIS_RSS_CAPS_HASH_TYPE_UDP_IPV6,
    ),
    (
        RssHashTypes::IPV6_EX,
        NDIS_HASH_IPV6_EX,
        NDIS_RSS_CAPS_HASH_TYPE_TCP_IPV6_EX | NDIS_RSS_CAPS_HASH_TYPE_UDP_IPV6_EX,
    ),
    (
        RssHashTypes::TCP_IPV6_EX,
        NDIS_HASH_TCP_IPV6_EX,
        NDIS_RSS_CAPS_HASH_TYPE_TCP_IPV6_EX,
    ),
    (
        RssHashTypes::UDP_IPV6_EX,
        NDIS_HASH_UDP_IPV6_EX,
        NDIS_RSS_CAPS_HASH_TYPE_UDP_IPV6_EX,
    ),
];

/// Hash types as NDIS names them.
pub(super) fn to_ndis_types(types: RssHashTypes) -> u32 {
    let set = TYPES.iter().filter(|(xdp, ..)| types.0 & xdp.0 != 0);
    set.fold(0, |all, (_, ndis, _)| all | ndis)
}

/// Hash types as programs name them.
pub(super) fn to_xdp_types(hash: u32) -> RssHashTypes {
    let set = TYPES.iter().filter(|(_, ndis, _)| hash & ndis != 0);
    RssHashTypes(set.fold(0, |all, (xdp, ..)| all | xdp.0))
}

pub(super) fn word(bytes: &[u8], offset: usize) -> Option<u32> {
    let bytes = bytes.get(offset..)?.first_chunk().copied()?;
    Some(u32::from_le_bytes(bytes))
}

impl Capabilities {
    /// From what the network card answers; `None` when that is too short.
    #[doc(alias = "NDIS_RECEIVE_SCALE_CAPABILITIES")]
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        let flags = word(
            bytes,
            offset_of!(NDIS_RECEIVE_SCALE_CAPABILITIES, CapabilitiesFlags),
        )?;
        let queues = word(
            bytes,
            offset_of!(NDIS_RECEIVE_SCALE_CAPABILITIES, NumberOfReceiveQueues),
        )?;
        let [_, revision, ..] = bytes else {
            return None;
        };
        let at = offset_of!(
            NDIS_RECEIVE_SCALE_CAPABILITIES,
            NumberOfIndirectionTableEntries
        );
        // The first revision does not say how long its table is; NDIS sets none that is longer.
        let entries = match (*revision, bytes.get(at..).and_then(<[u8]>::first_chunk)) {
            (2.., Some(entries)) => u32::from(u16::from_le_bytes(*entries)),
            _ => ENTRIES as u32,
        };
        let set = TYPES.iter().filter(|(.., caps)| flags & caps != 0);
        Some(Self {
            types: RssHashTypes(set.fold(0, |all, (xdp, ..)| all | xdp.0)),
            queues,
            entries: entries.min(ENTRIES as u32),
        })
    }

    /// The number of queues that an interface has.
    pub(crate) fn queue_count(self) -> u32 {
        self.queues.clamp(1, ENTRIES as u32)
    }

    /// Entries of the longest table.
    pub(super) const fn entries(self) -> usize {
        self.entries as usize
    }

    /// Whether all of these can be hashed. Addresses alone always can.
    pub(super) fn can_hash(self, types: RssHashTypes) -> bool {
        let addresses = RssHashTypes::IPV4.0 | RssHashTypes::IPV6.0 | RssHashTypes::IPV6_EX.0;
        types.0 & !addresses & !self.types.0 == 0
    }

    /// What programs are told.
    pub(super) const fn describe(self) -> RssCapabilities {
        RssCapabilities {
            header: ObjectHeader {
                revision: RSS_CAPABILITIES_REVISION_2,
                size: SIZEOF_RSS_CAPABILITIES_REVISION_2 as u32,
            },
            flags: 0,
            hash_types: self.types,
            hash_secret_key_size: KEY as u32,
            number_of_receive_queues: self.queues,
            number_of_indirection_table_entries: self.entries,
        }
    }
}
