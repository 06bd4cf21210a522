//! Sending the frames of sockets.

use nt::ndis::{Flags, Packet, PacketPool, PacketQueue, Receive};
use nt::sync::{Event, SpinLock};
use nt::sys::{NDIS_SEND_FLAGS_DISPATCH_LEVEL, NetBufferListHashValue};
use nt::{Arc, Box, Dispatch, Passive, Result, Status, Vec};

use core::sync::atomic::{AtomicBool, Ordering};

use crate::counters::{GenericTxCounters, TxCounters, count};
use crate::interface::{Interface, Way};
use crate::settings::Setting;
use crate::socket::{Sent, Socket};
use crate::trace::{Field, Trace, TraceEvent};

use super::forward;

/// Passes over a queue's sockets before others get the processor. With the usual number of packets that is some hundred
/// frames.
const PASSES: u32 = 17;

/// Frames that are completed to a socket at once.
const COMPLETIONS: usize = 64;

/// Bytes of the longest frame that is sent, whatever the MTU.
const LONGEST: u32 = 65536;

/// What a packet of ours is about; kept in the packet while others have it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Owner {
    /// A frame of a socket on a transmit queue.
    Socket(Way, u32),
    /// A frame that was sent back from a queue.
    Forward(Way, u32),
    /// The same, in a packet that is not kept for reuse.
    Large(Way, u32),
}

impl Owner {
    const LARGE: usize = 1 << 34;
    const FORWARD: usize = 1 << 33;
    const DOWN: usize = 1 << 32;

    pub(super) const fn into_word(self) -> usize {
        let (kind, way, queue) = match self {
            Self::Socket(way, queue) => (0, way, queue),
            Self::Forward(way, queue) => (Self::FORWARD, way, queue),
            Self::Large(way, queue) => (Self::LARGE, way, queue),
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
        if word & Self::FORWARD != 0 {
            Self::Forward(way, word as u32)
        } else if word & Self::LARGE != 0 {
            Self::Large(way, word as u32)
        } else {
            Self::Socket(way, word as u32)
        }
    }
}

/// A queue through which sockets send. It is there as long as its interface; the packets are while a socket is bound.
pub(crate) struct TxQueue {
    id: u32,
    way: Way,
    turn: SpinLock<Turn>,
    /// Whether somebody has the runner; changes under the lock of the turn.
    running: AtomicBool,
    /// Another pass is due; whoever has the runner does it.
    again: AtomicBool,
    /// Packets that came back and have not been looked at.
    back: SpinLock<PacketQueue>,
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

/// What it takes to run a queue, and what only who runs it may look at.
struct Runner {
    free: PacketQueue,
    sockets: Vec<Option<Arc<Socket>>>,
    batch: Batch,
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
                exists: false,
            }),
            running: AtomicBool::new(false),
            again: AtomicBool::new(false),
            back: SpinLock::new(PacketQueue::new()),
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
        let max_length = interface.max_frame().min(LONGEST);
        if max_length == 0 {
            return Err(Status::DEVICE_NOT_READY);
        }
        let packets = interface
            .services()
            .settings
            .get(Setting::GENERIC_TX_FRAME_COUNT, passive);
        let pool = PacketPool::new(interface.filter(), crate::TAG)?;
        let mut free = PacketQueue::new();
        let raised = nt::irql::Raised::to_dispatch();
        let hash = interface.hash_of(self.id, raised.token());
        drop(raised);
        for _ in 0..packets {
            let mut packet = pool.allocate(max_length as usize)?;
            packet.set_word(0, Owner::Socket(self.way, self.id).into_word());
            free.push(packet);
        }
        Box::new(
            crate::TAG,
            Runner {
                free,
                sockets: Vec::new(crate::TAG),
                batch: Batch::new(),
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
        let is_first = !self.turn.lock().exists;
        if is_first {
            let runner = self.runner(interface, passive)?;
            let mut turn = self.turn.lock();
            turn.runner = Some(runner);
            turn.exists = true;
        }
        let (packets, max_length) = self
            .wait_for_runner(passive, |runner| (runner.packets, runner.max_length))
            .unwrap_or_default();
        let joined = socket.join_tx(packets, max_length).and_then(|()| {
            self.wait_for_runner(passive, |runner| runner.enlist(socket))
                .unwrap_or(Err(Status::DEVICE_NOT_READY))
        });
        if joined.is_err() && is_first {
            self.dissolve(passive);
        }
        joined
    }

    /// Looks at the runner, once it rests; `None` when there is none. Only one thread at a time does this: the interface's
    /// lock is held.
    fn wait_for_runner<R>(
        &self,
        passive: Passive<'_>,
        look: impl Fn(&mut Runner) -> R,
    ) -> Option<R> {
        loop {
            let mut turn = self.turn.lock();
            if !turn.exists {
                return None;
            }
            if let Some(runner) = &mut turn.runner {
                return Some(look(runner));
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
        let is_bound = self.wait_for_runner(passive, |runner| runner.slot_of(socket).is_some());
        if is_bound != Some(true) {
            return false;
        }
        self.drain(interface, socket, passive);
        let taken = self.wait_for_runner(passive, |runner| runner.dismiss(socket));
        if taken.is_some_and(|(_, is_last)| is_last) {
            self.dissolve(passive);
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
        let first = |runner: &mut Runner| runner.sockets.iter().flatten().next().cloned();
        let mut evicted = false;
        while let Some(socket) = self.wait_for_runner(passive, first).flatten() {
            self.drain(interface, &socket, passive);
            drop(self.wait_for_runner(passive, |runner| runner.dismiss(&socket)));
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
                return;
            }
            drop(turn);
            self.rested
                .wait_for(core::time::Duration::from_millis(1), passive);
        }
    }

    /// Runs the queue, or has whoever runs it look again.
    pub(crate) fn kick(&self, interface: &Interface, dispatch: Dispatch<'_>) {
        self.again.store(true, Ordering::SeqCst);
        let mut passes = PASSES;
        // Who runs the queue looks at the note once more after it has put the runner back.
        while self.again.load(Ordering::SeqCst) && !self.running.load(Ordering::SeqCst) {
            if passes == 0 {
                self.unfinished.store(true, Ordering::Release);
                interface.continue_later();
                return;
            }
            let mut turn = self.turn.lock_at_dispatch(dispatch);
            let Some(runner) = turn.runner.take() else {
                return;
            };
            self.running.store(true, Ordering::SeqCst);
            drop(turn);
            passes = self.run(interface, runner, passes, dispatch);
        }
    }

    /// Runs the queue for so many passes at most and lets it rest; how many are left. The note says whether more is due.
    fn run(
        &self,
        interface: &Interface,
        mut runner: Box<Runner>,
        passes: u32,
        dispatch: Dispatch<'_>,
    ) -> u32 {
        // The stack or a program may have moved the queues since.
        runner.hash = interface.hash_of(self.id, dispatch);
        self.note_state(interface, Running::Runs);
        let mut left = passes;
        let mut state = Running::Queued;
        while left != 0 {
            left -= 1;
            self.again.store(false, Ordering::SeqCst);
            if self.pass(interface, &mut runner, dispatch) {
                self.again.store(true, Ordering::SeqCst);
            } else if !self.again.load(Ordering::SeqCst) {
                state = Running::Idle;
                break;
            }
        }
        let mut turn = self.turn.lock_at_dispatch(dispatch);
        turn.runner = Some(runner);
        self.running.store(false, Ordering::SeqCst);
        drop(turn);
        self.note_state(interface, state);
        self.rested.set();
        left
    }

    #[inline]
    fn note_state(&self, interface: &Interface, state: Running) {
        let fields = || [Field::of(self), Field::Number(state as u32)];
        interface.trace().note(TraceEvent::EC_STATE_CHANGE, fields);
    }

    /// Completes what came back and takes from every socket what there is; whether another pass is due.
    fn pass(&self, interface: &Interface, runner: &mut Runner, dispatch: Dispatch<'_>) -> bool {
        self.take_back(interface, runner, dispatch);
        let Runner {
            free,
            sockets,
            batch,
            sent,
            hash,
            next,
            ..
        } = runner;
        let mut lists = PacketQueue::new();
        let hash = *hash as usize;
        let start = *next;
        let mut more = false;
        let each = Trace::wants(TraceEvent::GENERIC_TX_ENQUEUE);
        for turn in 0..sockets.len() {
            let at = (start + turn) % sockets.len().max(1);
            let Some(socket) = sockets.get(at).and_then(Option::as_deref) else {
                continue;
            };
            let back = batch.take_of(at);
            let send = |mut packet: Packet, sequence: u32| {
                packet.set_word(1, at << 32 | sequence as usize);
                packet.set_info(NetBufferListHashValue, hash);
                if each {
                    let number = sent.wrapping_add(lists.len());
                    let fields = || [Field::of(self), Field::Number(number)];
                    interface
                        .trace()
                        .note(TraceEvent::GENERIC_TX_ENQUEUE, fields);
                }
                lists.push(packet);
            };
            let taken = socket.work_tx(back, free, send, dispatch);
            count(self.counters.invalid_descriptors(), taken.refused);
            count(self.generic.bad_checksums(), taken.bad_checksums);
            more |= taken.more;
            if taken.frames != 0 {
                *next = at + 1;
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
            self.send(interface, lists, dispatch);
            interface
                .trace()
                .note(TraceEvent::GENERIC_TX_POST_STOP, this);
        }
        more
    }

    fn send(&self, interface: &Interface, lists: PacketQueue, dispatch: Dispatch<'_>) {
        let frames = lists.len();
        if !interface.let_out(self.way, frames) {
            // Nothing is sent now; the frames are done with all the same.
            count(self.generic.dropped_pause(), frames);
            self.back.lock_at_dispatch(dispatch).append(lists);
            self.again.store(true, Ordering::SeqCst);
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

    /// Takes packets that came back, and tells their sockets, but for the last run of one socket, which is left in the batch.
    fn take_back(&self, interface: &Interface, runner: &mut Runner, dispatch: Dispatch<'_>) {
        let packets = self.back.lock_at_dispatch(dispatch).take();
        if packets.is_empty() {
            return;
        }
        let frames = packets.len();
        interface.trace().note(TraceEvent::GENERIC_TX_COMPLETE, || {
            // Frames come back in the order in which they were sent, or are counted as if they did.
            let first = runner.sent.wrapping_sub(runner.outstanding);
            let [first, frames] = [first, frames].map(Field::Number);
            [Field::of(self), first, frames]
        });
        let Runner { sockets, batch, .. } = runner;
        let mut failed = 0;
        packets.each(|packet| {
            failed += u32::from(!packet.status().is_success());
            let word = packet.word(1);
            let frame = Sent {
                sequence: word as u32,
                timestamp: packet.timestamp(),
            };
            batch.add(sockets, word >> 32, frame, dispatch);
        });
        if self.way == Way::Down {
            count(self.generic.dropped_nic(), failed);
        }
        runner.free.prepend(packets);
        runner.outstanding -= frames;
        self.counters
            .depth()
            .store(runner.outstanding.into(), Ordering::Relaxed);
    }
}

impl Runner {
    fn slot_of(&self, socket: &Socket) -> Option<usize> {
        let is_this = |other: &Arc<Socket>| core::ptr::eq(&**other, socket);
        self.sockets
            .iter()
            .position(|slot| slot.as_ref().is_some_and(is_this))
    }

    fn enlist(&mut self, socket: &Arc<Socket>) -> Result<()> {
        if let Some(slot) = self.sockets.iter_mut().find(|slot| slot.is_none()) {
            *slot = Some(socket.clone());
            return Ok(());
        }
        self.sockets.push(Some(socket.clone()))
    }

    /// Takes a socket off, to be dropped where one may wait; whether it was the last.
    fn dismiss(&mut self, socket: &Socket) -> (Option<Arc<Socket>>, bool) {
        let at = self.slot_of(socket).unwrap_or(usize::MAX);
        let taken = self.sockets.get_mut(at).and_then(Option::take);
        (taken, self.sockets.iter().all(Option::is_none))
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

    /// The frames of a socket, which are its alone from here on.
    fn take_of(&mut self, slot: usize) -> &[Sent] {
        let len = if self.slot == slot {
            core::mem::take(&mut self.len)
        } else {
            0
        };
        self.frames.get(..len).unwrap_or_default()
    }

    #[inline]
    fn add(
        &mut self,
        sockets: &[Option<Arc<Socket>>],
        slot: usize,
        frame: Sent,
        dispatch: Dispatch<'_>,
    ) {
        if self.len == COMPLETIONS || self.slot != slot {
            self.flush(sockets, dispatch);
        }
        self.slot = slot;
        if let Some(place) = self.frames.get_mut(self.len) {
            *place = frame;
            self.len += 1;
        }
    }

    #[cold]
    fn flush(&mut self, sockets: &[Option<Arc<Socket>>], dispatch: Dispatch<'_>) {
        let socket = sockets.get(self.slot).and_then(Option::as_deref);
        let frames = self.take_of(self.slot);
        if let (Some(socket), false) = (socket, frames.is_empty()) {
            socket.complete_tx(frames, dispatch);
        }
    }
}

impl Interface {
    /// Takes packets of ours back that have the same first word.
    pub(super) fn packets_back(&self, word: usize, packets: PacketQueue, dispatch: Dispatch<'_>) {
        let frames = packets.len();
        let owner = Owner::from_word(word);
        let mut waiting = None;
        match owner {
            Owner::Forward(way, id) | Owner::Large(way, id) => {
                if let Some(queue) = self.rx_queue(way, id) {
                    queue.forwarding.fetch_sub(frames, Ordering::Relaxed);
                    if way == Way::Up {
                        let mut failed = 0;
                        packets.each(|packet| failed += u32::from(!packet.status().is_success()));
                        count(queue.generic.forward_failed(), failed);
                    }
                    match owner {
                        Owner::Forward(..) => forward::keep(queue, packets, dispatch),
                        _ => drop(packets),
                    }
                }
            }
            Owner::Socket(way, id) => {
                waiting = self.tx_queue(way, id);
                if let Some(queue) = waiting {
                    queue.back.lock_at_dispatch(dispatch).append(packets);
                }
            }
        }
        // Whoever waits at the gate may take the packets' pool away.
        self.gate.leave(frames);
        if let Some(queue) = waiting {
            queue.kick(self, dispatch);
        }
    }
}
