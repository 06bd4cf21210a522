//! What the network card does of the stack's work.

use core::mem::offset_of;

use nt::sys::{NDIS_OBJECT_TYPE_OFFLOAD, NDIS_OFFLOAD, OID_TCP_OFFLOAD_CURRENT_CONFIG};
use nt::{Passive, Vec};
use xdp_abi::ObjectHeader;
use xdp_abi::offload::{
    CHECKSUM_CONFIGURATION_REVISION_1, ChecksumConfiguration,
    SIZEOF_CHECKSUM_CONFIGURATION_REVISION_1,
};

use crate::interface::Interface;

/// An adapter's task offload, as far as it matters here.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct TaskOffload {
    /// Every checksum that the stack knows, both ways, TCP options included.
    pub(crate) checksums: bool,
    /// Bytes of the largest segment to be split; 0 when the adapter splits none.
    pub(crate) lso_max: u32,
    /// Segments that are worth it at the least.
    pub(crate) lso_min: u32,
}

/// Bytes of the shortest structure that has all that is looked at.
const SHORTEST: usize = offset_of!(NDIS_OFFLOAD, Flags);

fn word(bytes: &[u8], offset: usize) -> Option<u32> {
    bytes
        .get(offset..)?
        .first_chunk()
        .copied()
        .map(u32::from_le_bytes)
}

/// `NDIS_ENCAPSULATION_IEEE_802_3`.
const ETHERNET: u32 = 2;

impl TaskOffload {
    /// From an `NDIS_OFFLOAD`; `None` when it is none.
    fn parse(bytes: &[u8]) -> Option<Self> {
        let [kind, revision, ..] = bytes else {
            return None;
        };
        if *kind != NDIS_OBJECT_TYPE_OFFLOAD || *revision < 1 || bytes.len() < SHORTEST {
            return None;
        }
        let checksum = offset_of!(NDIS_OFFLOAD, Checksum);
        // Each direction and family: the encapsulations, then two bits for each capability.
        let has = |at: usize, fields: &[u32]| {
            let encapsulation = word(bytes, checksum + at)?;
            let bits = word(bytes, checksum + at + 4)?;
            let all = fields.iter().all(|shift| bits >> shift & 3 != 0);
            Some(encapsulation & ETHERNET != 0 && all)
        };
        const TCP_OPTIONS: u32 = 2;
        const TCP: u32 = 4;
        const UDP: u32 = 6;
        const IP: u32 = 8;
        let ipv4 = [TCP_OPTIONS, TCP, UDP, IP];
        let ipv6 = [TCP_OPTIONS, TCP, UDP];
        let checksums = has(0, &ipv4)? && has(8, &ipv4)? && has(16, &ipv6)? && has(24, &ipv6)?;
        let lso = offset_of!(NDIS_OFFLOAD, LsoV2);
        let (v4, v6) = (lso, lso + 12);
        let splits = word(bytes, v4)? & ETHERNET != 0
            && word(bytes, v6)? & ETHERNET != 0
            && word(bytes, v6 + 12)? >> TCP_OPTIONS & 3 != 0;
        let lso_max = word(bytes, v4 + 4)?.min(word(bytes, v6 + 4)?);
        let lso_min = word(bytes, v4 + 8)?.max(word(bytes, v6 + 8)?).max(1);
        Some(Self {
            checksums,
            lso_max: if splits { lso_max } else { 0 },
            lso_min,
        })
    }

    /// What programs are told of it.
    fn configuration(self) -> ChecksumConfiguration {
        ChecksumConfiguration {
            header: ObjectHeader {
                revision: CHECKSUM_CONFIGURATION_REVISION_1,
                size: SIZEOF_CHECKSUM_CONFIGURATION_REVISION_1 as u32,
            },
            enabled: self.checksums.into(),
            tcp_options: self.checksums.into(),
            padding: [0; 2],
        }
    }
}

/// Asks the adapter; one that does not know is heard of when it says so.
pub(super) fn query(interface: &Interface, passive: Passive<'_>) {
    const ROOM: usize = size_of::<NDIS_OFFLOAD>();
    let Ok(mut room) = Vec::from_slice(crate::TAG, &[0_u8; ROOM]) else {
        return;
    };
    let answered = interface.filter().query_oid(
        crate::TAG,
        OID_TCP_OFFLOAD_CURRENT_CONFIG,
        &mut room,
        passive,
    );
    if let Some(bytes) = answered.ok().and_then(|len| room.get(..len)) {
        *interface.task_offload.lock() = TaskOffload::parse(bytes);
    }
}

/// The adapter says that its offload changed. Any level up to DISPATCH_LEVEL.
pub(super) fn changed(interface: &Interface, bytes: &[u8]) {
    // What makes no sense is ignored.
    let Some(offload) = TaskOffload::parse(bytes) else {
        return;
    };
    *interface.task_offload.lock() = Some(offload);
    interface.announce_offload();
}

impl Interface {
    /// What programs are told of checksum offload; `None` when nothing is known.
    pub(crate) fn checksum_configuration(&self) -> Option<ChecksumConfiguration> {
        self.task_offload.lock().map(TaskOffload::configuration)
    }
}
