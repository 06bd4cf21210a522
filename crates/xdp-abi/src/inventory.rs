//! What there is in the driver, for administrators: interfaces, their queues, programs, sockets and maps.
//!
//! The list is asked for by [`LIST`](crate::ioctl::common::LIST) on a handle to the common device that was opened without an
//! open packet, with read access. The answer is a [`Header`] and then entries one after the other, each of which
//! starts with an [`EntryHeader`]. Readers go from entry to entry by the size that is in it, skip kinds that they do not know,
//! and take fields that lie behind the end of an entry for absent: later versions add kinds, and fields at the end.
//!
//! | output buffer | answer |
//! |---|---|
//! | holds everything | `STATUS_SUCCESS` |
//! | holds the header but not everything | `STATUS_BUFFER_OVERFLOW`, and the header, which has the size that was needed |
//! | is shorter | `STATUS_BUFFER_TOO_SMALL` |
//! | has no bytes | `STATUS_BUFFER_OVERFLOW`; the number of bytes is the size that was needed |
//!
//! Objects are named by numbers that are never used twice while the driver runs.
//!
//! A request may have an input of four bytes, [`ListFlags`], that asks for more.

use crate::hook::HookId;
use crate::macros::{open_enum, open_flags};
use crate::xsk::Statistics;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// The version of what is described here.
pub const VERSION: u16 = 1;

/// The start of the list.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Default, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct Header {
    /// [`VERSION`], or a later one.
    pub version: u16,
    /// Bytes of the header, behind which entries start.
    pub header_size: u16,
    /// Number of entries.
    pub entries: u32,
    /// Bytes of the whole list.
    pub total_size: u64,
}

open_enum! {
    /// What an entry describes.
    pub struct EntryKind: u32 {
        /// An [`Interface`].
        INTERFACE = 1, "XDP_INVENTORY_INTERFACE";
        /// A [`RxQueue`].
        RX_QUEUE = 2, "XDP_INVENTORY_RX_QUEUE";
        /// A [`TxQueue`].
        TX_QUEUE = 3, "XDP_INVENTORY_TX_QUEUE";
        /// A [`Program`].
        PROGRAM = 4, "XDP_INVENTORY_PROGRAM";
        /// A [`Socket`].
        SOCKET = 5, "XDP_INVENTORY_SOCKET";
        /// A [`Map`].
        MAP = 6, "XDP_INVENTORY_MAP";
        /// An [`InterfaceHandle`].
        INTERFACE_HANDLE = 7, "XDP_INVENTORY_INTERFACE_HANDLE";
        /// A [`RuleHits`] and the numbers behind it; only on request.
        RULE_HITS = 8, "XDP_INVENTORY_RULE_HITS";
    }
}

open_flags! {
    /// What to list beyond the usual.
    pub struct ListFlags: u32 {
        /// How many frames each rule has decided on.
        RULE_HITS = 1, "XDP_INVENTORY_LIST_RULE_HITS";
    }
}

/// The start of every entry.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Default, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct EntryHeader {
    /// What is described.
    pub kind: EntryKind,
    /// Bytes of the entry with this header, a multiple of 8.
    pub size: u32,
}

macro_rules! entries {
    ($($(#[$doc:meta])* $name:ident($kind:ident) { $($(#[$field_doc:meta])* $field:ident: $ty:ty,)* })*) => { $(
        $(#[$doc])*
        #[derive(
            Clone, Copy, Debug, PartialEq, Eq, Default, FromBytes, IntoBytes, Immutable, KnownLayout,
        )]
        #[repr(C)]
        pub struct $name {
            /// The start of the entry.
            pub header: EntryHeader,
            $($(#[$field_doc])* pub $field: $ty,)*
        }

        impl $name {
            /// The header of such an entry.
            pub const HEADER: EntryHeader = EntryHeader {
                kind: EntryKind::$kind,
                size: size_of::<Self>() as u32,
            };
        }
    )* };
}

/// The queue of a program that is on all queues, and of a socket that is bound to none.
pub const NO_QUEUE: u32 = u32::MAX;

/// The mode in which an interface is used.
pub const MODE_GENERIC: u32 = 0;

entries! {
    /// An interface that programs and sockets can attach to.
    Interface(INTERFACE) {
        /// Its index.
        if_index: u32,
        /// [`MODE_GENERIC`].
        mode: u32,
        /// Queues of each hook.
        queue_count: u32,
        /// Bytes of the longest frame; 0 when that is not known.
        max_frame: u32,
    }

    /// A queue where frames are inspected; in each interface there is one of each number for each inspecting hook.
    RxQueue(RX_QUEUE) {
        /// The interface.
        if_index: u32,
        /// Its number.
        queue: u32,
        /// Its hook.
        hook: HookId,
        /// Programs on it.
        programs: u32,
        /// Sockets that are bound to it.
        sockets: u32,
        /// Whether it has failed: 1 when the network card has broken the rules of NDIS on it, else 0.
        failed: u32,
        /// The counters of the set XDP Receive Queue, in its order.
        counters: [u64; 10],
        /// The counters of the set XDP LWF Receive Queue, in its order.
        generic_counters: [u64; 8],
        /// Frames redirected to sockets that are not active on this queue.
        misdirected: u64,
        /// Frames to be sent back that were shorter than their addresses.
        forward_short: u64,
        /// Frames to be sent back while the adapter was paused.
        forward_paused: u64,
        /// Frames sent back that the network card did not send.
        forward_failed: u64,
        /// Frames whose memory was shorter than they claimed to be, and lists without a frame.
        malformed: u64,
    }

    /// A queue through which sockets send; in each interface there is one of each number for each injecting hook.
    TxQueue(TX_QUEUE) {
        /// The interface.
        if_index: u32,
        /// Its number.
        queue: u32,
        /// Its hook.
        hook: HookId,
        /// Sockets that are bound to it.
        sockets: u32,
        /// The counters of the set XDP Transmit Queue, in its order.
        counters: [u64; 3],
        /// The counters of the set XDP LWF Transmit Queue, in its order.
        generic_counters: [u64; 3],
    }

    /// A program.
    Program(PROGRAM) {
        /// Its number.
        id: u64,
        /// The process that made it.
        process: u64,
        /// The interface.
        if_index: u32,
        /// The queue, or [`NO_QUEUE`] for all.
        queue: u32,
        /// Its hook.
        hook: HookId,
        /// How many rules it has.
        rules: u32,
        /// Whether it is attached (1): it is not when its memory's process has ended.
        is_attached: u32,
        /// Zero.
        reserved: u32,
    }

    /// A socket.
    Socket(SOCKET) {
        /// Its number.
        id: u64,
        /// The process that made it.
        process: u64,
        /// 0 unbound, 1 binding, 2 bound, 3 activating, 4 active, 5 detached, 6 closing.
        state: u32,
        /// The interface that it is bound to for receiving; 0 when it is not.
        rx_if_index: u32,
        /// The queue, or [`NO_QUEUE`].
        rx_queue: u32,
        /// The interface that it is bound to for sending; 0 when it is not.
        tx_if_index: u32,
        /// The queue, or [`NO_QUEUE`].
        tx_queue: u32,
        /// Zero.
        reserved: u32,
        /// What happened on it.
        statistics: Statistics,
    }

    /// A map.
    Map(MAP) {
        /// Its number.
        id: u64,
        /// The process that made it.
        process: u64,
        /// Slots.
        slots: u32,
        /// Slots in use.
        used: u32,
    }

    /// A handle to an interface.
    InterfaceHandle(INTERFACE_HANDLE) {
        /// Its number.
        id: u64,
        /// The process that opened it.
        process: u64,
        /// The interface.
        if_index: u32,
        /// Zero.
        reserved: u32,
    }

    /// How many frames the rules of a program have decided on, on one queue. The numbers follow, 64 bits for each rule, in the
    /// order of the rules; they may be spread over several entries.
    RuleHits(RULE_HITS) {
        /// The program's number.
        program: u64,
        /// The interface.
        if_index: u32,
        /// The queue.
        queue: u32,
        /// The rule that the first number belongs to, counted from 0.
        first_rule: u32,
        /// Numbers that follow.
        rules: u32,
    }
}

impl RuleHits {
    /// The most numbers in one entry.
    pub const MOST: u32 = 4096;

    /// The header of an entry with so many numbers.
    #[must_use]
    pub const fn header_for(rules: u32) -> EntryHeader {
        EntryHeader {
            kind: EntryKind::RULE_HITS,
            size: Self::HEADER.size + 8 * rules,
        }
    }

    /// Reads an entry and its numbers; `None` when it is cut short.
    #[must_use]
    pub fn read(entry: &[u8]) -> Option<(Self, impl Iterator<Item = u64> + '_)> {
        let (this, rest) = Self::read_from_prefix(entry).ok()?;
        let (numbers, _) = rest.as_chunks::<8>();
        let numbers = numbers.get(..this.rules as usize)?;
        Some((this, numbers.iter().map(|bytes| u64::from_le_bytes(*bytes))))
    }
}

/// The entries of a list, with their headers; ends where an entry makes no sense.
#[derive(Clone, Debug)]
pub struct Entries<'a> {
    rest: &'a [u8],
}

impl<'a> Entries<'a> {
    /// The entries of a whole list; `None` when its header makes no sense.
    #[must_use]
    pub fn new(list: &'a [u8]) -> Option<Self> {
        let (header, _) = Header::read_from_prefix(list).ok()?;
        let total = usize::try_from(header.total_size).ok()?;
        let start = usize::from(header.header_size);
        if header.version < VERSION || start < size_of::<Header>() {
            return None;
        }
        let rest = list.get(start..total)?;
        Some(Self { rest })
    }
}

impl<'a> Iterator for Entries<'a> {
    type Item = (EntryKind, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let (header, _) = EntryHeader::read_from_prefix(self.rest).ok()?;
        let size = header.size as usize;
        if size < size_of::<EntryHeader>() || !size.is_multiple_of(8) {
            return None;
        }
        let (entry, rest) = self.rest.split_at_checked(size)?;
        self.rest = rest;
        Some((header.kind, entry))
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::vec::Vec;

    use super::*;

    #[test]
    fn entries_are_as_long_as_they_are_documented_to_be() {
        let sizes = [
            (EntryKind::INTERFACE, Interface::HEADER, 24),
            (EntryKind::RX_QUEUE, RxQueue::HEADER, 224),
            (EntryKind::TX_QUEUE, TxQueue::HEADER, 80),
            (EntryKind::PROGRAM, Program::HEADER, 56),
            (EntryKind::SOCKET, Socket::HEADER, 80),
            (EntryKind::MAP, Map::HEADER, 32),
            (EntryKind::INTERFACE_HANDLE, InterfaceHandle::HEADER, 32),
            (EntryKind::RULE_HITS, RuleHits::HEADER, 32),
            (EntryKind::RULE_HITS, RuleHits::header_for(3), 56),
        ];
        for (kind, header, size) in sizes {
            assert_eq!((header.kind, header.size), (kind, size));
        }
        assert_eq!(size_of::<Header>(), 16);
        assert_eq!(core::mem::offset_of!(Header, total_size), 8);
        assert_eq!(core::mem::offset_of!(RxQueue, counters), 40);
        assert_eq!(core::mem::offset_of!(RxQueue, misdirected), 184);
        assert_eq!(core::mem::offset_of!(TxQueue, counters), 32);
        assert_eq!(core::mem::offset_of!(Program, rules), 44);
        assert_eq!(core::mem::offset_of!(Socket, statistics), 48);
    }

    fn list(entries: &[&[u8]]) -> Vec<u8> {
        let total: usize = entries.iter().map(|entry| entry.len()).sum();
        let header = Header {
            version: VERSION,
            header_size: size_of::<Header>() as u16,
            entries: entries.len() as u32,
            total_size: (size_of::<Header>() + total) as u64,
        };
        let mut bytes = header.as_bytes().to_vec();
        entries.iter().for_each(|entry| bytes.extend(*entry));
        bytes
    }

    #[test]
    fn readers_skip_what_they_do_not_know() {
        let later = [99, 0, 0, 0, 16, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8];
        let map = Map {
            header: Map::HEADER,
            id: 7,
            ..Map::default()
        };
        let bytes = list(&[&later, map.as_bytes()]);
        let kinds: Vec<_> = Entries::new(&bytes).unwrap().collect();
        assert_eq!(kinds[0].0, EntryKind(99));
        assert_eq!(kinds[1], (EntryKind::MAP, map.as_bytes()));
        assert_eq!(kinds.len(), 2);
    }

    #[test]
    fn the_hits_of_rules_follow_their_entry() {
        let hits = RuleHits {
            header: RuleHits::header_for(2),
            program: 9,
            first_rule: 4096,
            rules: 2,
            ..RuleHits::default()
        };
        let mut entry = hits.as_bytes().to_vec();
        entry.extend(7_u64.to_le_bytes());
        entry.extend(8_u64.to_le_bytes());
        let bytes = list(&[&entry]);
        let (kind, found) = Entries::new(&bytes).unwrap().next().unwrap();
        assert_eq!(kind, EntryKind::RULE_HITS);
        let (read, numbers) = RuleHits::read(found).unwrap();
        assert_eq!((read, numbers.collect::<Vec<_>>()), (hits, [7, 8].into()));
        for len in 0..entry.len() {
            assert!(RuleHits::read(&entry[..len]).is_none(), "cut at {len}");
        }
    }

    #[test]
    fn lists_that_make_no_sense_end() {
        let map = Map {
            header: Map::HEADER,
            ..Map::default()
        };
        let bytes = list(&[map.as_bytes()]);
        for len in 0..bytes.len() {
            assert!(Entries::new(&bytes[..len]).is_none(), "cut at {len}");
        }
        for size in (0..24).chain(33..64).chain([u32::MAX]) {
            let mut bad = bytes.clone();
            bad[20..24].copy_from_slice(&size.to_le_bytes());
            let count = Entries::new(&bad).unwrap().count();
            let fits = size != 0 && size % 8 == 0 && size <= 32;
            assert_eq!(count != 0, fits, "{size}");
        }
    }
}
