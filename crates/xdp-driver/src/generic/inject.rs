//! Sending the frames of sockets.

use nt::ndis::{Flags, NblQueue, Packet, PacketPool, Receive};
use nt::sync::{Event, SpinLock};
use nt::sys::{NDIS_SEND_FLAGS_DISPATCH_LEVEL, NetBufferListHashValue};
use nt::{Arc, Box, Dispatch, Passive, Result, Status, Vec};

use core::sync::atomic::{AtomicBool, Ordering};

use crate::counters::{GenericTxCounters, TxCounters, count};
use crate::interface::{Interface, Way};
use crate::settings::Setting;
use crate::socket::{Sent, Socket};
use crate::trace::{Field, Trace, TraceEvent};

/// Passes over a queue's sockets before others get the processor.
const PASSES: u32 = 8;

/// Frames that are completed to a socket at once.
const COMPLETIONS: usize = 32;

/// What a packet of ours is about; kept in the packet while others have it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Owner {
    /// A frame of a socket on a transmit queue.
    Socket(Way, u32),
    /// A frame that was sent back from a queue.
    Forward(Way, u32),
}

impl Owner {
    const FORWARD: usize = 1 << 33;
    const DOWN: usize = 1 << 32;

    pub(super) const fn into_word(self) -> usize {
        let (kind, way, queue) = match self {
            Self::Socket(way, queue) => (0, way, queue),
            Self::Forward(way, queue) => (Self::FORWARD, way, queue),
        };
        let way = match way {
            Way::Up => 0,
            Way::Down => Self::DOWN,
        };
        kind | way | queue as usize
    }

    pub(super) const fn from_word(word: usize) -> Self {
        let way = if word & Self::DOWN == 0 {
            Way::Up
        } else {
            Way::Down
        };
        if word & Self::FORWARD == 0 {
            Self::Socket(way, word as u32)
        } else {
            Self::Forward(way, word as u32)
        }
    }
}

/// A queue through which sockets send. It is there as long as its interface; the packets are while a socket is bound.
pub(crate) struct TxQueue {
    id: u32,
    way: Way,
    turn: SpinLock<Turn>,
    /// Lists that came back and have not been looked at.
    back: SpinLock<NblQueue>,
    sockets: SpinLock<Vec<Option<Arc<Socket>>>>,
    /// Set when frames of a socket that leaves are back, and when the runner rests.
    rested: Event,
    pub(crate) counters: Arc<TxCounters>,
    pub(crate) generic: Arc<GenericTxCounters>,
    /// Whether the queue is to be gone on with by a system thread.
    pub(crate) unfinished: AtomicBool,
}

/// Who runs the queue: one thread at a time has the runner.
struct Turn {
    runner: Option<Box<Runner>>,
    /// Another pass is due; whoever has the runner does it.
    again: bool,
    /// Whether there is a runner at all.
    exists: bool,
}

/// Whether a queue runs, as events tell.
#[derive(Clone, Copy)]
enum Running {
    /// Nothing is to be done.
    Idle,
    /// A system thread will run it.
    Queued,
    /// It runs.
    Runs,
}

/// What it takes to run a queue.
struct Runner {
    pool: PacketPool,
    free: Vec<Packet>,
    outstanding: u32,
    /// How many frames have been sent; it wraps.
    sent: u32,
    max_length: u32,
    packets: u32,
    hash: u32,
    /// The socket whose turn is next.
    next: usize,
}

impl TxQueue {
    /// A queue without sockets.
    pub(crate) fn new(id: u32, way: Way) -> Result<Self> {
        Ok(Self {
            id,
            way,
            turn: SpinLock::new(Turn {
                runner: None,
                again: false,
                exists: false,
            }),
            back: SpinLock::new(NblQueue::new()),
            sockets: SpinLock::new(Vec::new(crate::TAG)),
            rested: Event::auto_reset(crate::TAG, false)?,
            counters: Arc::new(crate::TAG, TxCounters::new())?,
            generic: Arc::new(crate::TAG, GenericTxCounters::new())?,
            unfinished: AtomicBool::new(false),
        })
    }

    /// Its number.
    pub(crate) const fn id(&self) -> u32 {
        self.id
    }

    /// Where its frames travel.
    pub(crate) const fn way(&self) -> Way {
        self.way
    }

    fn runner(&self, interface: &Interface, passive: Passive<'_>) -> Result<Box<Runner>> {
        let max_length = interface.max_frame();
        if max_length == 0 {
            return Err(Status::DEVICE_NOT_READY);
        }
        let packets = interface
            .services()
            .settings
            .get(Setting::GENERIC_TX_FRAME_COUNT, passive);
        let pool = PacketPool::new(interface.filter(), crate::TAG)?;
        let mut free = Vec::with_capacity(crate::TAG, packets as usize)?;
        let raised = nt::irql::Raised::to_dispatch();
        let hash = interface.hash_of(self.id, raised.token());
        drop(raised);
        for _ in 0..packets {
            let mut packet = pool.allocate(max_length as usize)?;
            packet.set_word(0, Owner::Socket(self.way, self.id).into_word());
            free.push(packet)?;
        }
        Box::new(
            crate::TAG,
            Runner {
                pool,
                free,
                outstanding: 0,
                sent: 0,
                max_length,
                packets,
                hash,
                next: 0,
            },
        )
    }

    /// Adds a socket. The interface's lock is held.
    pub(crate) fn bind(
        &self,
        interface: &Interface,
        socket: &Arc<Socket>,
        passive: Passive<'_>,
    ) -> Result<()> {
        let is_idle = self.sockets.lock().iter().all(Option::is_none);
        if is_idle {
            let runner = self.runner(interface, passive)?;
            let mut turn = self.turn.lock();
            turn.runner = Some(runner);
            turn.again = false;
            turn.exists = true;
        }
        let (packets, max_length) =
            self.wait_for_runner(passive, |runner| (runner.packets, runner.max_length));
        let joined = socket
            .join_tx(packets, max_length)
            .and_then(|()| self.enlist(socket));
        if joined.is_err() && is_idle {
            self.dissolve(passive);
        }
        joined
    }

    fn enlist(&self, socket: &Arc<Socket>) -> Result<()> {
        let mut sockets = self.sockets.lock();
        if let Some(slot) = sockets.iter_mut().find(|slot| slot.is_none()) {
            *slot = Some(socket.clone());
            return Ok(());
        }
        sockets.push(Some(socket.clone()))
    }

    /// Looks at the runner, once it rests. Only one thread at a time does this: the interface's lock is held.
    fn wait_for_runner<R>(&self, passive: Passive<'_>, look: impl Fn(&mut Runner) -> R) -> R
    where
        R: Default,
    {
        loop {
            let mut turn = self.turn.lock();
            if !turn.exists {
                return R::default();
            }
            if let Some(runner) = &mut turn.runner {
                return look(runner);
            }
            drop(turn);
            self.rested
                .wait_for(core::time::Duration::from_millis(1), passive);
        }
    }

    /// Removes a socket and waits until its frames are back; whether it was there. The interface's lock is held.
    pub(crate) fn unbind(
        &self,
        interface: &Interface,
        socket: &Socket,
        passive: Passive<'_>,
    ) -> bool {
        let is_this = |slot: &Option<Arc<Socket>>| {
            slot.as_ref()
                .is_some_and(|other| core::ptr::eq(&**other, socket))
        };
        if !self.sockets.lock().iter().any(is_this) {
            return false;
        }
        self.drain(interface, socket, passive);
        let mut sockets = self.sockets.lock();
        let slot = sockets.iter_mut().find(|slot| is_this(slot));
        let taken = slot.and_then(Option::take);
        let is_last = sockets.iter().all(Option::is_none);
        drop(sockets);
        drop(taken);
        if is_last {
            self.dissolve(passive);
        } else {
            // Whoever runs the queue may have found the socket before it was taken out, and must not be the one who frees it.
            self.wait_for_runner(passive, |_| ());
        }
        true
    }

    /// Waits until no frame of a socket is on the way.
    fn drain(&self, interface: &Interface, socket: &Socket, passive: Passive<'_>) {
        while socket.stop_tx() != 0 {
            let raised = nt::irql::Raised::to_dispatch();
            self.kick(interface, raised.token());
            drop(raised);
            if socket.stop_tx() == 0 {
                break;
            }
            self.rested
                .wait_for(core::time::Duration::from_millis(1), passive);
        }
    }

    /// Removes all sockets, telling them that the queue goes. The interface's lock is held.
    pub(crate) fn evict(&self, interface: &Interface, passive: Passive<'_>) {
        let mut evicted = false;
        loop {
            let first = self.sockets.lock().iter().flatten().next().cloned();
            let Some(socket) = first else {
                break;
            };
            self.drain(interface, &socket, passive);
            let is_this = |slot: &&mut Option<Arc<Socket>>| {
                slot.as_ref()
                    .is_some_and(|other| Arc::ptr_eq(other, &socket))
            };
            let taken = self
                .sockets
                .lock()
                .iter_mut()
                .find(is_this)
                .and_then(Option::take);
            drop(taken);
            socket.lose_tx();
            evicted = true;
        }
        if evicted {
            self.dissolve(passive);
        }
    }

    /// Frees the packets, once the runner rests.
    fn dissolve(&self, passive: Passive<'_>) {
        loop {
            let mut turn = self.turn.lock();
            if !turn.exists {
                return;
            }
            if let Some(runner) = turn.runner.take_if(|runner| runner.outstanding == 0) {
                turn.exists = false;
                drop(turn);
                drop(runner);
                *self.sockets.lock() = Vec::new(crate::TAG);
                return;
            }
            drop(turn);
            self.rested
                .wait_for(core::time::Duration::from_millis(1), passive);
        }
    }

    /// Runs the queue, or has whoever runs it look again.
    pub(crate) fn kick(&self, interface: &Interface, dispatch: Dispatch<'_>) {
        let mut turn = self.turn.lock_at_dispatch(dispatch);
        let Some(mut runner) = turn.runner.take() else {
            turn.again = true;
            return;
        };
        turn.again = false;
        drop(turn);
        // The stack or a program may have moved the queues since.
        runner.hash = interface.hash_of(self.id, dispatch);
        self.note_state(interface, Running::Runs);
        let mut passes = 0;
        loop {
            let more = self.pass(interface, &mut runner);
            passes += 1;
            let mut turn = self.turn.lock_at_dispatch(dispatch);
            let again = core::mem::take(&mut turn.again) || more;
            if again && passes < PASSES {
                continue;
            }
            turn.runner = Some(runner);
            drop(turn);
            let state = if again {
                Running::Queued
            } else {
                Running::Idle
            };
            self.note_state(interface, state);
            if again {
                self.unfinished.store(true, Ordering::Release);
                interface.continue_later();
            }
            self.rested.set();
            return;
        }
    }

    #[inline]
    fn note_state(&self, interface: &Interface, state: Running) {
        let fields = || [Field::of(self), Field::Number(state as u32)];
        interface.trace().note(TraceEvent::EC_STATE_CHANGE, fields);
    }

    /// Completes what came back, then takes from every socket what there is; whether another pass is due.
    fn pass(&self, interface: &Interface, runner: &mut Runner) -> bool {
        self.complete(interface, runner);
        let count_sockets = self.sockets.lock().len();
        let mut lists = NblQueue::new();
        let start = runner.next;
        let mut more = false;
        let each = Trace::wants(TraceEvent::GENERIC_TX_ENQUEUE);
        for turn in 0..count_sockets {
            let at = (start + turn) % count_sockets.max(1);
            let Some(socket) = self.sockets.lock().get(at).cloned().flatten() else {
                continue;
            };
            let hash = runner.hash as usize;
            let taken = socket.take_tx(&mut runner.free, |mut packet, sequence| {
                packet.set_word(1, at << 32 | sequence as usize);
                packet.set_info(NetBufferListHashValue, hash);
                if each {
                    let number = runner.sent.wrapping_add(lists.len());
                    let fields = || [Field::of(self), Field::Number(number)];
                    interface
                        .trace()
                        .note(TraceEvent::GENERIC_TX_ENQUEUE, fields);
                }
                lists.push_back(packet.into_nbl());
            });
            count(self.counters.invalid_descriptors(), taken.refused);
            count(self.generic.bad_checksums(), taken.bad_checksums);
            if taken.frames != 0 {
                runner.next = at + 1;
            }
        }
        let frames = lists.len();
        if frames != 0 {
            runner.outstanding += frames;
            runner.sent = runner.sent.wrapping_add(frames);
            count(self.counters.batches(), 1);
            count(self.counters.depth(), frames);
            let this = || [Field::of(self)];
            interface
                .trace()
                .note(TraceEvent::GENERIC_TX_POST_START, this);
            self.send(interface, lists);
            interface
                .trace()
                .note(TraceEvent::GENERIC_TX_POST_STOP, this);
        }
        self.complete(interface, runner);
        for at in 0..count_sockets {
            let socket = self.sockets.lock().get(at).cloned().flatten();
            if let Some(socket) = socket {
                more |= socket.rest_tx();
            }
        }
        more
    }

    fn send(&self, interface: &Interface, lists: NblQueue) {
        let frames = lists.len();
        if !interface.gate.enter(frames) {
            // A paused adapter sends nothing; the frames are done with all the same.
            count(self.generic.dropped_pause(), frames);
            self.back.lock().append(lists);
            return;
        }
        let flags = Flags(NDIS_SEND_FLAGS_DISPATCH_LEVEL);
        let chain = lists.into_chain();
        match self.way {
            Way::Down => interface.filter().send(chain, 0, flags),
            Way::Up => interface.filter().indicate(
                chain,
                Receive {
                    port: 0,
                    count: frames,
                    flags,
                },
            ),
        }
    }

    /// Completes to their sockets the frames that came back.
    fn complete(&self, interface: &Interface, runner: &mut Runner) {
        let lists = self.back.lock().take();
        if lists.is_empty() {
            return;
        }
        let frames = lists.len();
        interface.trace().note(TraceEvent::GENERIC_TX_COMPLETE, || {
            // Frames come back in the order in which they were sent, or are counted as if they did.
            let first = runner.sent.wrapping_sub(runner.outstanding);
            let [first, frames] = [first, frames].map(Field::Number);
            [Field::of(self), first, frames]
        });
        let mut batch = Batch::new();
        for list in lists.into_chain() {
            let timestamp = list.timestamp();
            let Ok(packet) = runner.pool.reclaim(list) else {
                continue;
            };
            let word = packet.word(1);
            runner.outstanding -= 1;
            // There is room: all packets were in the list once.
            let _ = runner.free.push(packet);
            batch.add(
                self,
                word >> 32,
                Sent {
                    sequence: word as u32,
                    timestamp,
                },
            );
        }
        batch.flush(self);
        self.counters
            .depth()
            .store(runner.outstanding.into(), Ordering::Relaxed);
    }
}

/// Frames of one socket that came back.
struct Batch {
    slot: usize,
    frames: [Sent; COMPLETIONS],
    len: usize,
}

impl Batch {
    const fn new() -> Self {
        Self {
            slot: 0,
            frames: [Sent {
                sequence: 0,
                timestamp: 0,
            }; COMPLETIONS],
            len: 0,
        }
    }

    fn add(&mut self, queue: &TxQueue, slot: usize, frame: Sent) {
        if self.len == COMPLETIONS || self.slot != slot {
            self.flush(queue);
        }
        self.slot = slot;
        if let Some(place) = self.frames.get_mut(self.len) {
            *place = frame;
            self.len += 1;
        }
    }

    fn flush(&mut self, queue: &TxQueue) {
        let frames = self.frames.get(..self.len).unwrap_or_default();
        if frames.is_empty() {
            return;
        }
        let socket = queue.sockets.lock().get(self.slot).cloned().flatten();
        if let Some(socket) = socket {
            socket.complete_tx(frames);
        }
        self.len = 0;
    }
}

impl Interface {
    /// Takes back lists of ours. They come in runs of one owner, which are handed over at once.
    pub(super) fn packets_back(&self, lists: NblQueue, dispatch: Dispatch<'_>) {
        let count = lists.len();
        let mut run = NblQueue::new();
        let mut word = 0;
        let mut failed = 0;
        for list in lists.into_chain() {
            let [next, ..] = list.source_words();
            if next != word && !run.is_empty() {
                self.run_back(word, run.take(), core::mem::take(&mut failed));
                self.kick_owner(word, dispatch);
            }
            word = next;
            failed += u32::from(!list.status().is_success());
            run.push_back(list);
        }
        self.run_back(word, run, failed);
        self.gate.leave(count);
        self.kick_owner(word, dispatch);
    }

    fn run_back(&self, word: usize, run: NblQueue, failed: u32) {
        if run.is_empty() {
            return;
        }
        match Owner::from_word(word) {
            Owner::Forward(way, id) => {
                if let Some(queue) = self.rx_queue(way, id) {
                    queue.forwarding.fetch_sub(run.len(), Ordering::Relaxed);
                    if way == Way::Up {
                        count(queue.generic.forward_failed(), failed);
                    }
                }
                self.forwarder.reclaim_all(run);
            }
            Owner::Socket(way, id) => {
                if let Some(queue) = self.tx_queue(way, id) {
                    if way == Way::Down {
                        count(queue.generic.dropped_nic(), failed);
                    }
                    queue.back.lock().append(run);
                }
            }
        }
    }

    fn kick_owner(&self, word: usize, dispatch: Dispatch<'_>) {
        if let Owner::Socket(way, id) = Owner::from_word(word)
            && let Some(queue) = self.tx_queue(way, id)
        {
            queue.kick(self, dispatch);
        }
    }
}
