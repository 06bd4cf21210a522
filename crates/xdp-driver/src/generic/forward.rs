//! Sending frames back where they came from, with their addresses swapped.
//!
//! A frame is copied, so that its memory goes back to its owner at once and cannot change any more.

use core::sync::atomic::{AtomicU32, Ordering};

use nt::ndis::{Filter, Flags, Nbl, NblQueue, Packet, PacketPool, PacketQueue};
use nt::sync::SpinLock;
use nt::sys::{NDIS_SEND_FLAGS_DISPATCH_LEVEL, NetBufferListHashValue};
use nt::{Dispatch, Result, Status};

use super::inject::Owner;
use super::{reflect, segment};
use crate::counters::{GenericRxCounters, count};
use crate::interface::{Interface, RxQueue, Way};

/// Bytes of an Ethernet address, and of the two at the start of a frame.
pub(super) const ADDRESS: usize = 6;
pub(super) const ADDRESSES: usize = 2 * ADDRESS;
/// Bytes of the shortest frame that is sent back: an Ethernet header.
const SHORTEST: usize = 14;
/// Room of the packets that are kept for reuse.
const ROOM: usize = 2048;
/// How many are kept for a queue.
const KEPT: u32 = 256;

/// Makes packets for frames that are sent back.
pub(crate) struct Forwarder {
    /// Gone when the interface is: pools do not outlive the filter module.
    pool: SpinLock<Option<PacketPool>>,
    /// Frames on the way for each queue at most.
    pub(crate) limit: AtomicU32,
}

impl Forwarder {
    pub(crate) fn new(filter: Filter) -> Result<Self> {
        Ok(Self {
            pool: SpinLock::new(Some(PacketPool::new(filter, crate::TAG)?)),
            limit: AtomicU32::new(1024),
        })
    }

    fn allocate(&self, room: usize, owner: Owner) -> Result<Packet> {
        let pool = self.pool.lock();
        let pool = pool.as_ref().ok_or(Status::DEVICE_REMOVED)?;
        let mut packet = pool.allocate(room)?;
        packet.set_word(0, owner.into_word());
        Ok(packet)
    }

    /// Gives the pool up. Everything of it is back.
    pub(crate) fn close(&self) {
        let pool = self.pool.lock().take();
        drop(pool);
    }
}

/// Keeps packets of a queue that came back, for its next frames.
pub(super) fn keep(queue: &RxQueue, packets: PacketQueue, dispatch: Dispatch<'_>) {
    let mut too_many = PacketQueue::new();
    let mut kept = queue.kept.lock_at_dispatch(dispatch);
    kept.prepend(packets);
    while kept.len() > KEPT {
        let Some(packet) = kept.pop() else {
            break;
        };
        too_many.push(packet);
    }
    drop(kept);
    drop(too_many);
}

/// Frames of one queue that are about to be sent back.
pub(super) struct Outgoing<'a> {
    interface: &'a Interface,
    queue: &'a RxQueue,
    dispatch: Dispatch<'a>,
    lists: PacketQueue,
    /// The queue's packets, once there was a first frame.
    kept: Option<PacketQueue>,
    requested: u32,
}

impl<'a> Outgoing<'a> {
    pub(super) const fn new(
        interface: &'a Interface,
        queue: &'a RxQueue,
        dispatch: Dispatch<'a>,
    ) -> Self {
        Self {
            interface,
            queue,
            dispatch,
            lists: PacketQueue::new(),
            kept: None,
            requested: 0,
        }
    }

    pub(super) const fn interface(&self) -> &'a Interface {
        self.interface
    }

    pub(super) fn counters(&self) -> &'a GenericRxCounters {
        &self.queue.generic
    }

    /// As [`Outgoing::add`], for each list.
    pub(super) fn add_all(&mut self, lists: &NblQueue) {
        for list in lists.iter() {
            self.add(&list);
        }
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
                if let Some((to, rest)) = bytes.split_first_chunk_mut::<ADDRESS>()
                    && let Some(from) = rest.first_chunk_mut()
                {
                    core::mem::swap(to, from);
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
        self.lists.push(packet);
        true
    }

    fn packet(&mut self, len: usize) -> Result<Packet> {
        let (way, id) = (self.queue.way(), self.queue.id());
        let forwarder = &self.interface.forwarder;
        if len > ROOM {
            return forwarder.allocate(len, Owner::Large(way, id));
        }
        let kept = self
            .kept
            .get_or_insert_with(|| self.queue.kept.lock_at_dispatch(self.dispatch).take());
        kept.pop()
            .map_or_else(|| forwarder.allocate(ROOM, Owner::Forward(way, id)), Ok)
    }

    /// Sends what was added.
    pub(super) fn send(self) {
        if let Some(kept) = self.kept
            && !kept.is_empty()
        {
            self.queue.kept.lock_at_dispatch(self.dispatch).append(kept);
        }
        count(self.queue.generic.forward_requested(), self.requested);
        let interface = self.interface;
        let frames = self.lists.len();
        if frames == 0 {
            return;
        }
        self.queue.forwarding.fetch_add(frames, Ordering::Relaxed);
        if self.queue.way() == Way::Down {
            return reflect::indicate(interface, self.queue, self.lists, self.dispatch);
        }
        if !interface.let_out(Way::Down, frames) {
            self.queue.forwarding.fetch_sub(frames, Ordering::Relaxed);
            count(self.queue.generic.forward_paused(), frames);
            return;
        }
        count(self.queue.generic.forward_sent(), frames);
        let flags = Flags(NDIS_SEND_FLAGS_DISPATCH_LEVEL);
        let chain = self.lists.into_chain();
        interface.filter().send(chain, 0, flags);
    }
}
