//! Sending frames back where they came from, with their addresses swapped.
//!
//! A frame is copied, so that its memory goes back to its owner at once and cannot change any more.

use core::sync::atomic::{AtomicU32, Ordering};

use nt::ndis::{Filter, Flags, Nbl, NblQueue, Packet, PacketPool, Receive};
use nt::sync::SpinLock;
use nt::sys::{NDIS_SEND_FLAGS_DISPATCH_LEVEL, NetBufferListHashValue};
use nt::{Result, Status, Vec};

use super::segment;
use crate::counters::{GenericRxCounters, count};
use crate::interface::{Interface, RxQueue, Way};

/// Bytes of an Ethernet address, and of the two at the start of a frame.
pub(super) const ADDRESS: usize = 6;
pub(super) const ADDRESSES: usize = 2 * ADDRESS;
/// Bytes of the shortest frame that is sent back: an Ethernet header.
const SHORTEST: usize = 14;
/// Room of the packets that are kept for reuse.
const ROOM: usize = 2048;
/// How many are kept.
const KEPT: usize = 256;
/// How many are taken at once.
const TAKEN: usize = 32;

/// Packets for frames that are sent back.
pub(crate) struct Forwarder {
    packets: SpinLock<Packets>,
    /// Frames on the way for each queue at most.
    pub(crate) limit: AtomicU32,
}

/// Where packets come from, and those that wait to be used again.
struct Packets {
    /// Gone when the interface is: pools do not outlive the filter module.
    pool: Option<PacketPool>,
    free: Vec<Packet>,
}

impl Forwarder {
    pub(crate) fn new(filter: Filter) -> Result<Self> {
        let packets = Packets {
            pool: Some(PacketPool::new(filter, crate::TAG)?),
            free: Vec::with_capacity(crate::TAG, KEPT)?,
        };
        Ok(Self {
            packets: SpinLock::new(packets),
            limit: AtomicU32::new(1024),
        })
    }

    /// A packet of an own size.
    fn allocate(&self, len: usize) -> Result<Packet> {
        let packets = self.packets.lock();
        let pool = packets.pool.as_ref().ok_or(Status::DEVICE_REMOVED)?;
        pool.allocate(len.max(ROOM))
    }

    /// Some of the packets that wait to be used again.
    fn take_kept(&self) -> Stash {
        let mut stash = [const { None }; TAKEN];
        let mut packets = self.packets.lock();
        for slot in &mut stash {
            *slot = packets.free.pop();
            if slot.is_none() {
                break;
            }
        }
        stash
    }

    /// Keeps packets that were taken and not used.
    fn put_back(&self, stash: &mut Stash) {
        let mut packets = self.packets.lock();
        for packet in stash.iter_mut().filter_map(Option::take) {
            if packets.pool.is_some() && packets.free.len() < KEPT {
                // There is room: nothing is allocated.
                let _ = packets.free.push(packet);
            }
        }
    }

    /// Takes a list back; `Err` gives it back when it is not of this pool.
    pub(super) fn reclaim(&self, list: Nbl) -> core::result::Result<(), Nbl> {
        let mut packets = self.packets.lock();
        let Some(pool) = &packets.pool else {
            return Err(list);
        };
        let packet = pool.reclaim(list)?;
        if packet.capacity() == ROOM && packets.free.len() < KEPT {
            // There is room: nothing is allocated.
            let _ = packets.free.push(packet);
        } else {
            drop(packets);
            drop(packet);
        }
        Ok(())
    }

    /// Takes lists of this pool back.
    pub(super) fn reclaim_all(&self, lists: NblQueue) {
        let mut packets = self.packets.lock();
        let Packets {
            pool: Some(pool),
            free,
        } = &mut *packets
        else {
            return;
        };
        for list in lists.into_chain() {
            if let Ok(packet) = pool.reclaim(list)
                && packet.capacity() == ROOM
                && free.len() < KEPT
            {
                // There is room: nothing is allocated.
                let _ = free.push(packet);
            }
        }
    }

    /// Gives the pool up. Everything of it is back.
    pub(crate) fn close(&self) {
        let gone = Packets {
            pool: None,
            free: Vec::new(crate::TAG),
        };
        let packets = core::mem::replace(&mut *self.packets.lock(), gone);
        drop(packets);
    }
}

/// Packets in the hands of one thread.
type Stash = [Option<Packet>; TAKEN];

/// Frames of one queue that are about to be sent back.
pub(super) struct Outgoing<'a> {
    interface: &'a Interface,
    queue: &'a RxQueue,
    lists: NblQueue,
    /// Packets for the next frames, once there was a first.
    stash: Option<Stash>,
    requested: u32,
}

impl<'a> Outgoing<'a> {
    pub(super) const fn new(interface: &'a Interface, queue: &'a RxQueue) -> Self {
        Self {
            interface,
            queue,
            lists: NblQueue::new(),
            stash: None,
            requested: 0,
        }
    }

    pub(super) const fn interface(&self) -> &'a Interface {
        self.interface
    }

    pub(super) fn counters(&self) -> &'a GenericRxCounters {
        &self.queue.generic
    }

    /// Adds the frames of a list. Those that cannot be sent are counted.
    pub(super) fn add(&mut self, list: &Nbl) {
        if self.queue.way() == Way::Up && list.coalesced_segments() != 0 {
            return segment::add(self, list);
        }
        for buffer in list.buffers() {
            let len = buffer.len();
            if len < SHORTEST {
                count(self.queue.generic.forward_short(), 1);
                continue;
            }
            self.push(len, list.hash_value(), |packet| {
                let bytes = packet.buffer_mut().get_mut(..len).unwrap_or_default();
                buffer.read(0, bytes);
                if let Some(addresses) = bytes.get_mut(..ADDRESSES) {
                    addresses.rotate_left(ADDRESS);
                }
            });
        }
    }

    /// Adds a frame of `len` bytes that `fill` writes; whether there was a packet for it.
    pub(super) fn push(&mut self, len: usize, hash: u32, fill: impl FnOnce(&mut Packet)) -> bool {
        self.requested += 1;
        let limit = self.interface.forwarder.limit.load(Ordering::Relaxed);
        let before = self.queue.forwarding.load(Ordering::Relaxed);
        if before.saturating_add(self.lists.len()) >= limit {
            count(self.queue.generic.forward_limit(), 1);
            return false;
        }
        let Ok(mut packet) = self.packet(len) else {
            count(self.queue.generic.forward_no_memory(), 1);
            return false;
        };
        fill(&mut packet);
        packet.set_len(len);
        packet.set_info(NetBufferListHashValue, hash as usize);
        let owner = super::inject::Owner::Forward(self.queue.way(), self.queue.id());
        packet.set_word(0, owner.into_word());
        self.lists.push_back(packet.into_nbl());
        true
    }

    fn packet(&mut self, len: usize) -> Result<Packet> {
        let forwarder = &self.interface.forwarder;
        if len > ROOM {
            return forwarder.allocate(len);
        }
        let mut take = |stash: &mut Stash| stash.iter_mut().find_map(Option::take);
        let kept = match self.stash.as_mut().and_then(&mut take) {
            Some(packet) => Some(packet),
            None => take(self.stash.insert(forwarder.take_kept())),
        };
        kept.map_or_else(|| forwarder.allocate(len), Ok)
    }

    /// Sends what was added.
    pub(super) fn send(mut self) {
        count(self.queue.generic.forward_requested(), self.requested);
        let interface = self.interface;
        if let Some(stash) = &mut self.stash
            && stash.iter().any(Option::is_some)
        {
            interface.forwarder.put_back(stash);
        }
        let frames = self.lists.len();
        if frames == 0 {
            return;
        }
        self.queue.forwarding.fetch_add(frames, Ordering::Relaxed);
        if !interface.gate.enter(frames) {
            self.queue.forwarding.fetch_sub(frames, Ordering::Relaxed);
            count(self.queue.generic.forward_paused(), frames);
            for list in self.lists.into_chain() {
                let _ = interface.forwarder.reclaim(list);
            }
            return;
        }
        count(self.queue.generic.forward_sent(), frames);
        let flags = Flags(NDIS_SEND_FLAGS_DISPATCH_LEVEL);
        let chain = self.lists.into_chain();
        match self.queue.way() {
            Way::Up => interface.filter().send(chain, 0, flags),
            Way::Down => interface.filter().indicate(
                chain,
                Receive {
                    port: 0,
                    count: frames,
                    flags,
                },
            ),
        }
    }
}
