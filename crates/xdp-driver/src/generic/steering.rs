//! Which queue a frame belongs to: a mirror of the network card's receive-side scaling.

use core::mem::offset_of;

use nt::ndis::{Filter, OidRequest};
use nt::processor::{self, ProcessorNumber};
use nt::sys::{
    NDIS_HASH_FUNCTION_MASK, NDIS_OBJECT_TYPE_RSS_PARAMETERS, NDIS_RECEIVE_SCALE_PARAMETERS,
    NDIS_RSS_PARAM_FLAG_DISABLE_RSS, NDIS_RSS_PARAM_FLAG_ITABLE_UNCHANGED,
    NDIS_STATUS_BUFFER_TOO_SHORT, NDIS_STATUS_FAILURE, NDIS_STATUS_INVALID_PARAMETER,
    NdisRequestSetInformation, OID_GEN_RECEIVE_SCALE_CAPABILITIES,
    OID_GEN_RECEIVE_SCALE_PARAMETERS, PROCESSOR_NUMBER,
};
use nt::{Box, Dispatch, Passive, Result, Status, Vec};

use crate::interface::{Interface, Way};

/// Entries of the largest indirection table.
const ENTRIES: usize = 128;
/// Bytes of the largest answer about scaling: the structure, the table and the key.
const ROOM: usize = 1024;

/// Which queue a hash leads to.
pub(crate) struct Steering {
    /// Queue of each entry of the indirection table.
    table: [u8; ENTRIES],
    /// Entries less one, a mask for hashes.
    mask: u32,
    /// Home of each queue that the table leads to.
    homes: [Home; ENTRIES],
    /// How many there are.
    used: usize,
}

/// Where a queue is.
#[derive(Clone, Copy)]
struct Home {
    /// Index of the processor.
    processor: u32,
    /// The first hash that leads to it.
    hash: u32,
}

/// How the network card scales.
pub(super) struct Scale {
    pub(super) queues: u32,
    pub(super) steering: Steering,
}

impl Steering {
    /// All frames in queue 0.
    const fn single() -> Self {
        Self {
            table: [0; ENTRIES],
            mask: 0,
            homes: [Home {
                processor: 0,
                hash: 0,
            }; ENTRIES],
            used: 1,
        }
    }

    /// The steering of a table of processors: queues are numbered in the order in which their processors appear. `None`
    /// when the table has more processors than there are queues, or makes no sense.
    fn of_table(
        table: impl ExactSizeIterator<Item = PROCESSOR_NUMBER>,
        queues: u32,
    ) -> Option<Self> {
        let mut steering = Self::single();
        let len = table.len();
        if !len.is_power_of_two() || len > ENTRIES {
            return None;
        }
        steering.mask = len as u32 - 1;
        steering.used = 0;
        for (hash, number) in table.enumerate() {
            let processor = ProcessorNumber::from_raw(number).index()?;
            let known = steering.homes.get(..steering.used)?;
            let queue = match known.iter().position(|home| home.processor == processor) {
                Some(queue) => queue,
                None => {
                    let hash = hash as u32;
                    *steering.homes.get_mut(steering.used)? = Home { processor, hash };
                    steering.used += 1;
                    steering.used - 1
                }
            };
            *steering.table.get_mut(hash)? = queue as u8;
        }
        (steering.used <= queues as usize).then_some(steering)
    }

    /// The steering that scaling parameters describe; `None` when they leave it as it is or make no sense.
    fn of_parameters(bytes: &[u8], queues: u32) -> Option<Self> {
        let flags = u32::from(field_u16(
            bytes,
            offset_of!(NDIS_RECEIVE_SCALE_PARAMETERS, Flags),
        )?);
        let hash = field_u32(
            bytes,
            offset_of!(NDIS_RECEIVE_SCALE_PARAMETERS, HashInformation),
        )?;
        if flags & NDIS_RSS_PARAM_FLAG_DISABLE_RSS != 0 || hash & NDIS_HASH_FUNCTION_MASK == 0 {
            return Some(Self::single());
        }
        if flags & NDIS_RSS_PARAM_FLAG_ITABLE_UNCHANGED != 0 {
            return None;
        }
        let size = field_u16(
            bytes,
            offset_of!(NDIS_RECEIVE_SCALE_PARAMETERS, IndirectionTableSize),
        )?;
        let start = field_u32(
            bytes,
            offset_of!(NDIS_RECEIVE_SCALE_PARAMETERS, IndirectionTableOffset),
        )? as usize;
        let end = start.checked_add(size.into())?;
        let (entries, _) = bytes.get(start..end)?.as_chunks::<4>();
        let numbers = entries.iter().map(|[group, high, number, _]| {
            let mut entry = PROCESSOR_NUMBER::zeroed();
            entry.Group = u16::from_le_bytes([*group, *high]);
            entry.Number = *number;
            entry
        });
        Self::of_table(numbers, queues)
    }

    fn queue_of(&self, hash: u32, way: Way) -> u32 {
        if hash == 0 && self.mask != 0 && way == Way::Up {
            let current = processor::current_index();
            let homes = self.homes.get(..self.used).unwrap_or_default();
            let here = homes.iter().position(|home| home.processor == current);
            return here.unwrap_or(0) as u32;
        }
        let entry = self.table.get((hash & self.mask) as usize);
        entry.copied().unwrap_or(0).into()
    }
}

fn field_u16(bytes: &[u8], offset: usize) -> Option<u16> {
    bytes
        .get(offset..)?
        .first_chunk()
        .copied()
        .map(u16::from_le_bytes)
}

fn field_u32(bytes: &[u8], offset: usize) -> Option<u32> {
    bytes
        .get(offset..)?
        .first_chunk()
        .copied()
        .map(u32::from_le_bytes)
}

impl Interface {
    /// The queue of frames with a hash.
    #[inline]
    pub(super) fn queue_of(&self, hash: u32, way: Way, dispatch: Dispatch<'_>) -> u32 {
        self.steering
            .read(dispatch)
            .map_or(0, |steering| steering.queue_of(hash, way))
    }

    /// A hash that leads to a queue.
    pub(super) fn hash_of(&self, queue: u32, dispatch: Dispatch<'_>) -> u32 {
        self.steering
            .read(dispatch)
            .and_then(|steering| {
                let homes = steering.homes.get(..steering.used)?;
                homes.get(queue as usize)
            })
            .map_or(0, |home| home.hash)
    }

    /// Replaces the steering. Below DISPATCH_LEVEL.
    fn steer(&self, steering: Steering) -> Result<()> {
        let steering = Box::new(crate::TAG, steering)?;
        drop(self.steering.swap_later(Some(steering)));
        Ok(())
    }
}

/// Asks the network card how it scales; one that does not has one queue.
pub(super) fn query(filter: Filter, passive: Passive<'_>) -> Result<Scale> {
    let mut room = Vec::with_capacity(crate::TAG, ROOM)?;
    for _ in 0..ROOM {
        room.push(0_u8)?;
    }
    let ask = |oid, room: &mut Vec<u8>| {
        filter
            .query_oid(crate::TAG, oid, room, passive)
            .ok()
            .filter(|len| *len <= ROOM)
    };
    /// Offset of `NumberOfReceiveQueues` in `NDIS_RECEIVE_SCALE_CAPABILITIES`.
    const RECEIVE_QUEUES: usize = 12;
    let queues = ask(OID_GEN_RECEIVE_SCALE_CAPABILITIES, &mut room)
        .and_then(|len| field_u32(room.get(..len)?, RECEIVE_QUEUES))
        .unwrap_or(0)
        .clamp(1, ENTRIES as u32);
    let steering = ask(OID_GEN_RECEIVE_SCALE_PARAMETERS, &mut room)
        .and_then(|len| Steering::of_parameters(room.get(..len)?, queues));
    Ok(Scale {
        queues,
        steering: steering.unwrap_or(Steering::single()),
    })
}

/// Serves a request about scaling from above.
pub(super) fn serve(interface: &Interface, mut request: OidRequest) {
    if request.view().kind() == NdisRequestSetInformation {
        let bytes = request.view().buffer();
        let [kind, revision, ..] = bytes else {
            return request.complete(Status(NDIS_STATUS_INVALID_PARAMETER), 0, 0);
        };
        if *kind != NDIS_OBJECT_TYPE_RSS_PARAMETERS || *revision < 2 {
            return request.complete(Status(NDIS_STATUS_INVALID_PARAMETER), 0, 0);
        }
        let mirrored = mirror(interface, bytes);
        if let Err(status) = mirrored {
            return request.complete(status, 0, 0);
        }
        return request.forward();
    }
    let upper = interface.upper_rss.lock();
    let Some(bytes) = &*upper else {
        drop(upper);
        return request.complete(Status(NDIS_STATUS_FAILURE), 0, 0);
    };
    let len = bytes.len();
    let fits = request
        .buffer_mut()
        .get_mut(..len)
        .map(|room| room.copy_from_slice(bytes));
    drop(upper);
    match fits {
        Some(()) => request.complete(Status::SUCCESS, len, 0),
        None => request.complete(Status(NDIS_STATUS_BUFFER_TOO_SHORT), 0, len),
    }
}

/// Notes the parameters that the stack sets, and steers by them.
fn mirror(interface: &Interface, bytes: &[u8]) -> Result<()> {
    let kept = Vec::from_slice(crate::TAG, bytes)?;
    if let Some(steering) = Steering::of_parameters(bytes, interface.queue_count()) {
        interface.steer(steering)?;
    }
    let before = interface.upper_rss.lock().replace(kept);
    drop(before);
    Ok(())
}
