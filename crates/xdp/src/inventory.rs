//! What there is in the driver, for administrators.

use xdp_abi::inventory::{Entries, EntryKind, Header, ListFlags, RuleHits};
pub use xdp_abi::inventory::{
    Interface as InterfaceEntry, InterfaceHandle as InterfaceHandleEntry, Map as MapEntry,
    Program as ProgramEntry, RxQueue as RxQueueEntry, Socket as SocketEntry,
    TxQueue as TxQueueEntry,
};
use xdp_abi::ioctl::common::LIST;
use xdp_abi::open::DEVICE_NAME;
use zerocopy::{FromBytes, IntoBytes};

use crate::error::{Call, Error, Fault, Kind};
use crate::interface::System;
use crate::status::NtStatus;
use crate::sys::Access;

/// What there is in the driver at one moment: interfaces, their queues with counters, and the programs, sockets, maps and
/// interface handles of all processes.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Inventory {
    /// Interfaces that XDP is on.
    pub interfaces: Vec<InterfaceEntry>,
    /// Queues where frames are looked at.
    pub rx_queues: Vec<RxQueueEntry>,
    /// Queues through which sockets send.
    pub tx_queues: Vec<TxQueueEntry>,
    /// Programs.
    pub programs: Vec<ProgramEntry>,
    /// Sockets.
    pub sockets: Vec<SocketEntry>,
    /// Maps.
    pub maps: Vec<MapEntry>,
    /// Handles to interfaces, through which offloads are set.
    pub interface_handles: Vec<InterfaceHandleEntry>,
    raw: Vec<u8>,
}

/// Bytes to start with; more are taken as the driver asks for them.
const FIRST_SIZE: usize = 16 * 1024;
/// The list may grow between two requests.
const TRIES: usize = 8;

impl System {
    /// Lists what there is in the driver.
    ///
    /// # Errors
    ///
    /// [`Kind::DriverAbsent`]; [`Kind::NotPermitted`] unless the caller may open the driver's common device, which only
    /// administrators may; [`Kind::NotSupported`] by drivers without such a list.
    pub fn inventory(&self) -> Result<Inventory, Error> {
        self.list(&[])
    }

    /// As [`System::inventory`], with how often each rule of each program decided about a frame, if the driver counts it:
    /// see [`Inventory::rule_hits`].
    ///
    /// # Errors
    ///
    /// As [`System::inventory`].
    pub fn inventory_with_hits(&self) -> Result<Inventory, Error> {
        self.list(ListFlags::RULE_HITS.as_bytes())
    }

    fn list(&self, wanted: &[u8]) -> Result<Inventory, Error> {
        let failed = |fault: Fault| fault.during(Call::ListObjects, "");
        let object = self
            .backend()
            .open(DEVICE_NAME, Access::Read, None)
            .map_err(failed)?;
        let mut size = FIRST_SIZE;
        for _ in 0..TRIES {
            let mut bytes = vec![0; size];
            let answer = object.control(LIST, wanted, &mut bytes).map_err(failed)?;
            match answer.status {
                NtStatus::SUCCESS => {
                    bytes.truncate(answer.information);
                    return Inventory::parse(&bytes).ok_or_else(|| {
                        let cause = "the driver's list makes no sense";
                        failed(Fault::of(Kind::Failed, cause))
                    });
                }
                NtStatus::BUFFER_OVERFLOW => {
                    let needed = Header::read_from_prefix(&bytes)
                        .map_or(0, |(header, _)| header.total_size as usize);
                    // Room for what comes meanwhile.
                    size = needed.max(size) + FIRST_SIZE;
                }
                status => return Err(failed(Fault::Status(status))),
            }
        }
        let cause = "the list grows faster than it can be read";
        Err(failed(Fault::of(Kind::Busy, cause)))
    }
}

/// As [`Inventory::rule_hits`], in a list as the driver gave it.
#[must_use]
pub fn rule_hits(list: &[u8], programs: &[u64]) -> Option<Vec<u64>> {
    let mut sums: Option<Vec<u64>> = None;
    let entries = Entries::new(list)?.filter(|(kind, _)| *kind == EntryKind::RULE_HITS);
    for (entry, hits) in entries.filter_map(|(_, entry)| RuleHits::read(entry)) {
        if !programs.contains(&entry.program) {
            continue;
        }
        let sums = sums.get_or_insert_default();
        for (index, hits) in (entry.first_rule as usize..).zip(hits) {
            if sums.len() <= index {
                sums.resize(index + 1, 0);
            }
            if let Some(sum) = sums.get_mut(index) {
                *sum += hits;
            }
        }
    }
    sums
}

/// An entry, whose end may be missing or be longer than what is known here.
fn entry<T: FromBytes + IntoBytes>(bytes: &[u8]) -> T {
    let mut entry = T::new_zeroed();
    let known = bytes.len().min(size_of::<T>());
    if let (Some(to), Some(from)) = (entry.as_mut_bytes().get_mut(..known), bytes.get(..known)) {
        to.copy_from_slice(from);
    }
    entry
}

impl Inventory {
    /// The driver's list as [`xdp_abi::inventory`] lays it out, with what this version does not know.
    #[must_use]
    pub fn raw(&self) -> &[u8] {
        &self.raw
    }

    /// How many frames each rule of a program has decided about, on all queues together; `None` when the driver does not count
    /// them, or was not asked to tell ([`System::inventory_with_hits`]). Of several programs, which must have the same
    /// rules, the sum.
    #[must_use]
    pub fn rule_hits(&self, programs: &[u64]) -> Option<Vec<u64>> {
        rule_hits(&self.raw, programs)
    }

    fn parse(list: &[u8]) -> Option<Self> {
        let mut found = Self {
            raw: list.to_vec(),
            ..Self::default()
        };
        for (kind, bytes) in Entries::new(list)? {
            match kind {
                EntryKind::INTERFACE => found.interfaces.push(entry(bytes)),
                EntryKind::RX_QUEUE => found.rx_queues.push(entry(bytes)),
                EntryKind::TX_QUEUE => found.tx_queues.push(entry(bytes)),
                EntryKind::PROGRAM => found.programs.push(entry(bytes)),
                EntryKind::SOCKET => found.sockets.push(entry(bytes)),
                EntryKind::MAP => found.maps.push(entry(bytes)),
                EntryKind::INTERFACE_HANDLE => found.interface_handles.push(entry(bytes)),
                // Of a later driver.
                _ => {}
            }
        }
        Some(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use xdp_abi::inventory::{EntryHeader, VERSION};

    #[test]
    fn entries_of_other_drivers_are_read_as_far_as_they_go() {
        // A map whose last fields are missing, one with fields that are not known here, and an unknown kind.
        let map = MapEntry {
            header: MapEntry::HEADER,
            id: 7,
            process: 4,
            slots: 128,
            used: 2,
        };
        let mut list = Vec::new();
        for (kind, size) in [
            (EntryKind::MAP, 24),
            (EntryKind::MAP, 40),
            (EntryKind(99), 16),
        ] {
            let mut bytes = map.as_bytes().to_vec();
            bytes.resize(size, 0xEE);
            let header = EntryHeader {
                kind,
                size: size as u32,
            };
            bytes[..8].copy_from_slice(header.as_bytes());
            list.extend(bytes);
        }
        let header = Header {
            version: VERSION,
            header_size: size_of::<Header>() as u16,
            entries: 3,
            total_size: (size_of::<Header>() + list.len()) as u64,
        };
        let mut bytes = header.as_bytes().to_vec();
        bytes.extend(list);
        let maps = Inventory::parse(&bytes).expect("a list").maps;
        let seen: Vec<_> = maps
            .iter()
            .map(|map| (map.id, map.process, map.slots))
            .collect();
        assert_eq!(seen, [(7, 4, 0), (7, 4, 128)]);
        assert!(Inventory::parse(&bytes[..20]).is_none());
    }
}
