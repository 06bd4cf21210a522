//! The stack end: a protocol that is bound to the top of the NIC's stack.

use std::sync::{Arc, atomic::Ordering};

use nt::sys::{
    NDIS_OID_REQUEST, NDIS_RECEIVE_FLAGS_RESOURCES, NDIS_STATUS, NDIS_STATUS_INDICATION,
    NDIS_STATUS_SUCCESS, NET_PNP_EVENT_NOTIFICATION,
};

use super::{
    Nic,
    buffers::{self, put_info},
    end::Giving,
    frame::{Frame, FrameInfo},
    layout::Random,
    rss,
};
use crate::{
    irql,
    ndis::{
        datapath,
        layer::{Layer, OidKind, State},
        nbl::{self, ChainBuilder, Nbl},
        raw::{get, put},
        signal::poll_for_driver,
    },
};

/// The built-in binding.
pub(crate) struct Top(pub(crate) Arc<Nic>);

impl crate::ndis::layer::Top for Top {
    fn receive(&self, layer: &'static Layer, chain: Nbl, _: u32, _: u32, flags: u32) {
        self.0.stack.accept(chain);
        self.route(chain);
        if flags & NDIS_RECEIVE_FLAGS_RESOURCES != 0 {
            return;
        }
        let giving = if self.0.is_up() {
            self.0.stack.giving()
        } else {
            Giving::AtOnce
        };
        match giving {
            Giving::AtOnce => {
                datapath::give_back(layer, chain, flags & 1, "NdisReturnNetBufferLists")
            }
            Giving::Held => self.hold(chain),
            Giving::Shuffled => {
                self.hold(chain);
                let nic = Arc::clone(&self.0);
                crate::ke::dpc::queue_internal(None, move || nic.return_held());
            }
        }
    }

    fn send_complete(&self, _: &'static Layer, chain: Nbl, _: u32) {
        let failed = nbl::chain(chain)
            .filter(|&nbl| get!(nbl => Status) != NDIS_STATUS_SUCCESS)
            .count();
        if failed > 0 {
            self.0
                .stack_failed
                .fetch_add(failed as u64, Ordering::Relaxed);
        }
        self.0.tx.recycle(chain);
    }

    fn status(&self, _: &'static Layer, indication: *mut NDIS_STATUS_INDICATION) {
        self.0.statuses.lock().push(get!(indication => StatusCode));
    }

    fn oid_complete(
        &self,
        _: &'static Layer,
        _: *mut NDIS_OID_REQUEST,
        _: NDIS_STATUS,
        _: OidKind,
    ) {
        // The stack end waits for its requests where it makes them.
    }

    fn pnp_event(&self, _: &'static Layer, event: *mut NET_PNP_EVENT_NOTIFICATION) -> NDIS_STATUS {
        self.0
            .events
            .lock()
            .push(get!(event => NetPnPEvent.NetEvent));
        NDIS_STATUS_SUCCESS
    }

    fn pause(&self, layer: &'static Layer, _: u32) {
        self.0.return_held();
        // A protocol pauses when all its sends are back; held ones are the wire's to give.
        self.0.complete_held();
        poll_for_driver(
            || {
                self.0.complete_held();
                self.0.tx.outstanding.load(Ordering::SeqCst) == 0
            },
            || {
                let whereabouts = crate::kernel::kernel().ndis.tracker.whereabouts(layer);
                format!("{}: sends were not completed: {whereabouts}", layer.name())
            },
        );
    }

    fn closed(&self, layer: &'static Layer) {
        let nic = &self.0;
        poll_for_driver(
            || {
                nic.return_held();
                nic.stack.held_count.load(Ordering::SeqCst) == 0
            },
            || format!("{}: receives are held", layer.name()),
        );
    }

    fn restart(&self, _: &'static Layer) {
        self.0.configure();
    }

    fn is_builtin(&self) -> bool {
        true
    }
}

impl Top {
    /// Sends frames that come up down again, from within their indication.
    fn route(&self, chain: Nbl) {
        let routed = &self.0.routed;
        if routed.load(Ordering::Relaxed) == 0 {
            return;
        }
        let mut frames = Vec::new();
        for nbl in nbl::chain(chain) {
            for buffer in nbl::buffers(nbl) {
                let one_less = |left: u64| left.checked_sub(1);
                if routed
                    .fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_less)
                    .is_ok()
                {
                    frames.push(buffers::frame_of(nbl, buffer));
                }
            }
        }
        self.0.send(frames);
    }

    fn hold(&self, chain: Nbl) {
        let all: Vec<usize> = nbl::chain(chain).map(|n| n as usize).collect();
        self.0
            .stack
            .held_count
            .fetch_add(all.len() as i64, Ordering::SeqCst);
        self.0.stack.held.lock().extend(all);
    }
}

impl Nic {
    /// Sends frames from the stack end down. Returns how many were handed over.
    pub(crate) fn send(&self, frames: Vec<Frame>) -> u64 {
        let layer = self.binding();
        let mut sent = 0;
        for batch in frames.chunks(self.chain) {
            let mut chain = ChainBuilder::new();
            let mut recycled = Vec::new();
            self.tx.take_recycled(batch.len(), &mut recycled);
            let mut bytes = 0;
            for frame in batch {
                let Some(nbl) = self.tx.make(frame, &mut recycled) else {
                    self.stack.note_dropped(1);
                    continue;
                };
                put_info(nbl, &frame.info);
                put!(nbl => [SourceHandle] layer.handle());
                put!(nbl => [Status] NDIS_STATUS_SUCCESS);
                bytes += frame.len() as u64;
                chain.push(nbl);
            }
            sent += self.send_chain(layer, chain, bytes);
        }
        sent
    }

    /// Sends a frame down that can be cancelled by an identifier.
    pub(crate) fn send_as(&self, frame: &Frame, id: usize) {
        let Some(nbl) = self.tx.make_list(std::slice::from_ref(frame)) else {
            return self.stack.note_dropped(1);
        };
        put_info(nbl, &frame.info);
        let mut slots = get!(nbl => NetBufferListInfo);
        slots[nt::sys::NetBufferListCancelId as usize] = id as *mut _;
        put!(nbl => [NetBufferListInfo] slots);
        put!(nbl => [SourceHandle] self.binding().handle());
        put!(nbl => [Status] NDIS_STATUS_SUCCESS);
        let mut chain = ChainBuilder::new();
        chain.push(nbl);
        self.send_frames(self.binding(), chain, 1, frame.len() as u64);
    }

    /// Sends lists of several frames each down. Returns how many frames were handed over.
    pub(crate) fn send_lists(&self, lists: &[Vec<Frame>]) -> u64 {
        let layer = self.binding();
        let mut sent = 0;
        for batch in lists.chunks(self.chain) {
            let mut chain = ChainBuilder::new();
            let (mut frames, mut bytes) = (0, 0);
            for list in batch {
                let Some(nbl) = self.tx.make_list(list) else {
                    self.stack.note_dropped(list.len() as u64);
                    continue;
                };
                // What travels beside the bytes is the list's.
                put_info(nbl, &list[0].info);
                put!(nbl => [SourceHandle] layer.handle());
                put!(nbl => [Status] NDIS_STATUS_SUCCESS);
                frames += list.len() as u64;
                bytes += list.iter().map(|frame| frame.len() as u64).sum::<u64>();
                chain.push(nbl);
            }
            sent += self.send_frames(layer, chain, frames, bytes);
        }
        sent
    }

    /// Sends `total` frames, taken in turn from `frames`, on the calling thread, in chains, with recycled buffers: the
    /// stack at full speed. Returns how many the stack below took.
    pub(crate) fn pour(&self, frames: &[Frame], total: u64) -> u64 {
        let layer = self.binding();
        let plain: Vec<bool> = frames
            .iter()
            .map(|f| f.info == FrameInfo::default())
            .collect();
        let (mut done, mut taken, mut next) = (0, 0, 0);
        let mut recycled = Vec::with_capacity(self.chain);
        while done < total {
            irql::at_dispatch(|| {
                let count = (total - done).min(self.chain as u64);
                let mut chain = ChainBuilder::new();
                let mut bytes = 0;
                self.tx
                    .take_recycled(count as usize - recycled.len(), &mut recycled);
                for _ in 0..count {
                    let frame = &frames[next];
                    if let Some(nbl) = self.tx.make(frame, &mut recycled) {
                        if !plain[next] {
                            put_info(nbl, &frame.info);
                        }
                        put!(nbl => [SourceHandle] layer.handle());
                        put!(nbl => [Status] NDIS_STATUS_SUCCESS);
                        bytes += frame.len() as u64;
                        chain.push(nbl);
                    }
                    next = (next + 1) % frames.len();
                }
                done += count;
                taken += self.send_chain(layer, chain, bytes);
            });
        }
        for nbl in recycled {
            self.tx.keep(nbl as Nbl);
        }
        taken
    }

    /// Hands a chain of frames of `bytes` bytes to the stack below; returns how many it took.
    fn send_chain(&self, layer: &'static Layer, chain: ChainBuilder, bytes: u64) -> u64 {
        let frames = u64::from(chain.len);
        self.send_frames(layer, chain, frames, bytes)
    }

    /// As [`Nic::send_chain`], for lists of several frames.
    fn send_frames(
        &self,
        layer: &'static Layer,
        chain: ChainBuilder,
        count: u64,
        bytes: u64,
    ) -> u64 {
        if chain.is_empty() {
            return 0;
        }
        let first = chain.finish();
        let open = layer.pass(|| {
            self.stack.note_sent(count, bytes);
            let flags = u32::from(irql::current() >= irql::DISPATCH);
            datapath::send(layer, first, 0, flags, "NdisSendNetBufferLists");
        });
        if open {
            return count;
        }
        self.stack.note_dropped(count);
        self.tx.recycle(first);
        0
    }

    /// Returns the receives that the stack end holds.
    pub(crate) fn return_held(&self) {
        let mut held = std::mem::take(&mut *self.stack.held.lock());
        if held.is_empty() {
            return;
        }
        let count = held.len() as i64;
        let shuffle = self.stack.giving() == Giving::Shuffled;
        if shuffle {
            let mut random = Random(held.len() as u64 ^ self.stack.counters().received);
            for i in (1..held.len()).rev() {
                held.swap(i, random.below(i + 1));
            }
        }
        irql::at_dispatch(|| {
            let mut chain = ChainBuilder::new();
            for nbl in held {
                chain.push(nbl as Nbl);
                if shuffle {
                    let one = std::mem::replace(&mut chain, ChainBuilder::new());
                    datapath::give_back(
                        self.binding(),
                        one.finish(),
                        1,
                        "NdisReturnNetBufferLists",
                    );
                }
            }
            if !chain.is_empty() {
                datapath::give_back(
                    self.binding(),
                    chain.finish(),
                    1,
                    "NdisReturnNetBufferLists",
                );
            }
        });
        self.stack.held_count.fetch_sub(count, Ordering::SeqCst);
    }

    /// What a protocol stack sets when its binding starts: the packet filter, and RSS.
    fn configure(&self) {
        let filter = nt::sys::NDIS_PACKET_TYPE_DIRECTED
            | nt::sys::NDIS_PACKET_TYPE_BROADCAST
            | nt::sys::NDIS_PACKET_TYPE_ALL_MULTICAST;
        self.set_oid(
            nt::sys::OID_GEN_CURRENT_PACKET_FILTER,
            &mut filter.to_le_bytes(),
        );
        if self.stack_sets_rss {
            let cpus = crate::kernel::kernel().config.cpus;
            let processors = cpus.min(self.queues.len() as u32);
            let mut parameters = rss::parameters(processors, rss::MAX_TABLE);
            self.set_oid(nt::sys::OID_GEN_RECEIVE_SCALE_PARAMETERS, &mut parameters);
        }
    }

    /// Whether the stack end runs.
    pub(crate) fn is_up(&self) -> bool {
        self.binding().state() == State::Running
    }
}
