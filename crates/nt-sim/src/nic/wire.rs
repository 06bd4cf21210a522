//! The miniport side: frames from the wire to the stack, sends to the wire.

use std::{
    collections::VecDeque,
    ffi::c_void,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use crate::sync::Mutex;
use nt::sys::{
    NDIS_OID_REQUEST, NDIS_RECEIVE_FLAGS_DISPATCH_LEVEL, NDIS_RECEIVE_FLAGS_RESOURCES,
    NDIS_RECEIVE_FLAGS_SINGLE_QUEUE, NDIS_STATUS, NDIS_STATUS_NOT_SUPPORTED, NDIS_STATUS_PENDING,
    NDIS_STATUS_REQUEST_ABORTED, NDIS_STATUS_SUCCESS, NetBufferListCancelId,
};

use super::{
    Nic,
    buffers::put_info,
    end::Giving,
    frame::{Frame, FrameInfo},
    layout::Random,
};
use crate::{
    irql,
    kernel::kernel,
    ndis::{
        datapath,
        layer::{Layer, OidKind, State},
        nbl::{self, ChainBuilder, Nbl},
        oid,
        raw::{get, put},
        signal::{Signal, poll_for_driver},
    },
};

/// A receive queue.
#[derive(Default)]
pub(crate) struct Queue {
    pending: Mutex<VecDeque<(Frame, super::rss::Class)>>,
    scheduled: AtomicBool,
}

/// The built-in miniport.
pub(crate) struct Bottom(pub(crate) Arc<Nic>);

impl crate::ndis::layer::Bottom for Bottom {
    fn send(&self, _: &'static Layer, chain: Nbl, _: u32, flags: u32) {
        self.0.transmit(chain, flags);
    }

    fn returned(&self, _: &'static Layer, chain: Nbl, _: u32) {
        self.0.rx.recycle(chain);
    }

    fn cancel_send(&self, _: &'static Layer, id: *mut c_void) {
        self.0.cancel_sends(id);
    }

    fn pause(&self, layer: &'static Layer, _: u32) {
        let nic = &self.0;
        nic.running.store(false, Ordering::SeqCst);
        nic.complete_held();
        nic.wait_for_returns(layer);
    }

    fn restart(&self, _: &'static Layer) -> NDIS_STATUS {
        self.0.running.store(true, Ordering::SeqCst);
        NDIS_STATUS_SUCCESS
    }

    fn oid(&self, _: &'static Layer, request: *mut NDIS_OID_REQUEST, kind: OidKind) -> NDIS_STATUS {
        if self.0.holds_oid(request, kind) {
            return NDIS_STATUS_PENDING;
        }
        // Of the requests on the other paths the NIC knows those that a test answers.
        if kind != OidKind::Regular && !(kind == OidKind::Direct && self.0.knows_method(request)) {
            self.0.note_oid(crate::ndis::oid::oid_of(request), kind);
            return NDIS_STATUS_NOT_SUPPORTED;
        }
        if !self.0.oids_later.load(Ordering::Acquire) {
            return self.0.handle_oid(request, kind);
        }
        let (nic, request) = (Arc::clone(&self.0), request as usize);
        crate::ke::dpc::queue_internal(None, move || {
            let request = request as *mut NDIS_OID_REQUEST;
            let status = nic.handle_oid(request, kind);
            let function = match kind {
                OidKind::Regular => "NdisMOidRequestComplete",
                _ => "NdisMDirectOidRequestComplete",
            };
            oid::complete(nic.miniport(), request, status, kind, function);
        });
        NDIS_STATUS_PENDING
    }

    fn cancel_oid(&self, _: &'static Layer, id: *mut c_void, kind: OidKind) {
        self.0.cancel_held_oids(id, kind);
    }

    fn pnp_event(&self, _: &'static Layer, _: *mut nt::sys::NET_DEVICE_PNP_EVENT) {}

    fn refused(&self, frames: u64) {
        self.0.wire.note_dropped(frames);
    }

    fn is_builtin(&self) -> bool {
        true
    }

    fn excuses(&self, rule: crate::verifier::Rule, _: &str) -> bool {
        self.0.broken.note(rule)
    }
}

impl Nic {
    /// Puts frames on the wire side. With `wait`, returns when they have been indicated.
    pub(crate) fn inject(self: &Arc<Nic>, frames: Vec<Frame>, wait: bool) {
        let bytes = frames.iter().map(|f| f.len() as u64).sum();
        self.wire.note_sent(frames.len() as u64, bytes);
        let mut touched = vec![false; self.queues.len()];
        {
            let rss = self.rss.read();
            for frame in frames {
                let class = rss.classify(&frame);
                touched[class.queue as usize] = true;
                self.queues[class.queue as usize]
                    .pending
                    .lock()
                    .push_back((frame, class));
            }
        }
        for (queue, _) in touched.iter().enumerate().filter(|(_, t)| **t) {
            if self.inline {
                irql::at_dispatch(|| self.drain_queue(queue));
            } else {
                self.schedule(queue, wait);
            }
        }
    }

    fn schedule(self: &Arc<Nic>, queue: usize, wait: bool) {
        let cpu = self.rss.read().processor(queue as u32);
        let done = wait.then(|| Arc::new(Signal::new()));
        let first = !self.queues[queue].scheduled.swap(true, Ordering::AcqRel);
        if first || wait {
            let nic = Arc::clone(self);
            let signal = done.clone();
            crate::ke::dpc::queue_internal(Some(cpu), move || {
                nic.queues[queue].scheduled.store(false, Ordering::Release);
                nic.drain_queue(queue);
                if let Some(signal) = signal {
                    signal.set();
                }
            });
        }
        if let Some(done) = done {
            done.wait_for_driver(|| format!("{}: a frame was not indicated", self.name));
        }
    }

    /// Indicates what is pending on a queue, in chains.
    fn drain_queue(&self, queue: usize) {
        loop {
            let batch: Vec<_> = {
                let mut pending = self.queues[queue].pending.lock();
                let count = pending.len().min(self.chain);
                pending.drain(..count).collect()
            };
            if batch.is_empty() {
                return;
            }
            self.indicate(&batch);
        }
    }

    fn indicate(&self, batch: &[(Frame, super::rss::Class)]) {
        let mut chain = ChainBuilder::new();
        let mut recycled = Vec::new();
        self.rx.take_recycled(batch.len(), &mut recycled);
        for (frame, class) in batch {
            let Some(nbl) = self.rx.make(frame, &mut recycled) else {
                self.wire.note_dropped(1);
                continue;
            };
            let mut info = frame.info;
            if class.hash_info != 0 {
                (info.hash, info.hash_info) = (class.hash, class.hash_info);
            }
            put_info(nbl, &info);
            put!(nbl => [SourceHandle] self.miniport().handle());
            chain.push(nbl);
        }
        self.indicate_chain(chain);
    }

    fn indicate_chain(&self, chain: ChainBuilder) {
        if chain.is_empty() {
            return;
        }
        let count = chain.len;
        let first = chain.finish();
        if !self.may_indicate() {
            self.wire.note_dropped(count.into());
            self.rx.recycle(first);
            return;
        }
        let resources = self.rx.resources();
        let mut flags = NDIS_RECEIVE_FLAGS_SINGLE_QUEUE;
        if irql::current() >= irql::DISPATCH {
            flags |= NDIS_RECEIVE_FLAGS_DISPATCH_LEVEL;
        }
        if resources {
            flags |= NDIS_RECEIVE_FLAGS_RESOURCES;
        }
        datapath::receive(
            self.miniport(),
            first,
            0,
            count,
            flags,
            "NdisMIndicateReceiveNetBufferLists",
        );
        if resources {
            self.rx.recycle(first);
        }
    }

    fn may_indicate(&self) -> bool {
        self.running.load(Ordering::SeqCst)
            && matches!(
                self.miniport().state(),
                State::Running | State::Restarting | State::Pausing
            )
    }

    /// Indicates `total` frames, taken in turn from `frames`, on the calling thread, in chains,
    /// with recycled buffers: the wire at full speed.
    pub(crate) fn replay(&self, frames: &[Frame], total: u64) -> u64 {
        let queue_of: Vec<super::rss::Class> = {
            let rss = self.rss.read();
            frames.iter().map(|f| rss.classify(f)).collect()
        };
        let plain: Vec<bool> = frames
            .iter()
            .map(|f| f.info == FrameInfo::default())
            .collect();
        let mut done = 0;
        let mut next = 0;
        let mut recycled = Vec::with_capacity(self.chain);
        while done < total {
            irql::at_dispatch(|| {
                let count = (total - done).min(self.chain as u64);
                let mut chain = ChainBuilder::new();
                let mut bytes = 0;
                self.rx
                    .take_recycled(count as usize - recycled.len(), &mut recycled);
                for _ in 0..count {
                    let frame = &frames[next];
                    if let Some(nbl) = self.rx.make(&frame.data, &mut recycled) {
                        let class = queue_of[next];
                        if !plain[next] || class.hash_info != 0 {
                            let mut info = frame.info;
                            (info.hash, info.hash_info) = (class.hash, class.hash_info);
                            put_info(nbl, &info);
                        }
                        put!(nbl => [SourceHandle] self.miniport().handle());
                        chain.push(nbl);
                        bytes += frame.len() as u64;
                    }
                    next += 1;
                    if next == frames.len() {
                        next = 0;
                    }
                }
                self.wire.note_sent(count, bytes);
                self.indicate_chain(chain);
                done += count;
            });
        }
        for nbl in recycled {
            self.rx.keep(nbl as Nbl);
        }
        done
    }

    /// Frames that drivers send reach the wire.
    fn transmit(&self, chain: Nbl, flags: u32) {
        self.wire.accept(chain);
        let status = self.send_status.load(Ordering::Relaxed);
        // Whoever pauses waits for its sends: then nothing is held.
        let giving = if self.is_up() {
            self.wire.giving()
        } else {
            Giving::AtOnce
        };
        match giving {
            Giving::AtOnce => {
                for nbl in nbl::chain(chain) {
                    put!(nbl => [Status] status);
                }
                datapath::complete(
                    self.miniport(),
                    chain,
                    flags & 1,
                    "NdisMSendNetBufferListsComplete",
                );
            }
            Giving::Held => self.hold_sends(chain),
            Giving::Shuffled => {
                self.hold_sends(chain);
                if let Some(nic) = crate::ndis::nic(&self.name) {
                    crate::ke::dpc::queue_internal(None, move || nic.complete_held());
                }
            }
        }
    }

    fn hold_sends(&self, chain: Nbl) {
        let all: Vec<usize> = nbl::chain(chain).map(|n| n as usize).collect();
        self.wire.held.lock().extend(all);
    }

    /// What lies in the sends that are held now.
    pub(crate) fn held_sends(&self) -> Vec<Vec<u8>> {
        let held = self.wire.held.lock().clone();
        let lists = held.into_iter().map(|nbl| nbl as Nbl);
        lists
            .flat_map(|nbl| nbl::buffers(nbl).map(move |nb| super::buffers::frame_of(nbl, nb).data))
            .collect()
    }

    /// Completes the sends that are held: one by one and out of order when shuffled.
    pub(crate) fn complete_held(&self) {
        let mut held = std::mem::take(&mut *self.wire.held.lock());
        if held.is_empty() {
            return;
        }
        let shuffle = self.wire.giving() == Giving::Shuffled;
        if shuffle {
            let mut random = Random(held.len() as u64 ^ self.wire.counters().received);
            for i in (1..held.len()).rev() {
                held.swap(i, random.below(i + 1));
            }
        }
        let status = self.send_status.load(Ordering::Relaxed);
        irql::at_dispatch(|| {
            let mut chain = ChainBuilder::new();
            for nbl in held {
                let nbl = nbl as Nbl;
                put!(nbl => [Status] status);
                chain.push(nbl);
                if shuffle {
                    let one = std::mem::replace(&mut chain, ChainBuilder::new());
                    datapath::complete(
                        self.miniport(),
                        one.finish(),
                        1,
                        "NdisMSendNetBufferListsComplete",
                    );
                }
            }
            if !chain.is_empty() {
                datapath::complete(
                    self.miniport(),
                    chain.finish(),
                    1,
                    "NdisMSendNetBufferListsComplete",
                );
            }
        });
    }

    fn cancel_sends(&self, id: *mut c_void) {
        let mut chain = ChainBuilder::new();
        self.wire.held.lock().retain(|&nbl| {
            let nbl = nbl as Nbl;
            let hit = get!(nbl => NetBufferListInfo)[NetBufferListCancelId as usize] == id;
            if hit {
                put!(nbl => [Status] NDIS_STATUS_REQUEST_ABORTED);
                chain.push(nbl);
            }
            !hit
        });
        if !chain.is_empty() {
            let flags = u32::from(irql::current() >= irql::DISPATCH);
            datapath::complete(
                self.miniport(),
                chain.finish(),
                flags,
                "NdisMSendNetBufferListsComplete",
            );
        }
    }

    /// A miniport pauses when every receive that it indicated is back.
    fn wait_for_returns(&self, layer: &'static Layer) {
        let outstanding = || self.rx.outstanding.load(Ordering::SeqCst);
        poll_for_driver(
            || outstanding() == 0,
            || {
                let whereabouts = kernel().ndis.tracker.whereabouts(layer);
                format!(
                    "{} is to pause and {} receives have not been returned: {whereabouts}",
                    layer.name(),
                    outstanding()
                )
            },
        );
    }
}
