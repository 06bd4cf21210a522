//! Inspecting frames on their way.
//!
//! Lists are looked at where they are: first each gets its verdict, and what is redirected is copied to its socket; then
//! each goes where its verdict says. Nothing is locked meanwhile; the caller is at DISPATCH_LEVEL, which is what keeps the
//! rules in place.

use nt::Dispatch;
use nt::ndis::{Extent, Flags, Nbl, NblChain, NblQueue, NblRef, NetBuffer, Receive};
use xdp_packet::{Frame, Tail};

use super::forward::Outgoing;
use super::rss;
use crate::counters::count;
use crate::interface::{Interface, RxQueue, Way};
use crate::program::{Plan, Rule, Target};
use crate::socket::{RxFrame, Socket};
use crate::trace::{Field, TraceEvent};

/// Lists that are inspected at once.
const BATCH: usize = 64;

/// Frames that are delivered to a socket at once.
const DELIVERY: usize = BATCH;

/// What happens to a list.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Pass,
    /// Dropped, or copied to a socket.
    Drop,
    Forward,
}

/// Frames on the way from the network card.
pub(super) fn receive(
    interface: &Interface,
    mut chain: NblChain,
    receive: Receive,
    dispatch: Dispatch<'_>,
) {
    let filter = interface.filter();
    let queue = chain
        .iter()
        .next()
        .map(|first| interface.queue_of(first.hash_value(), Way::Up, dispatch))
        .and_then(|id| interface.rx_queue(Way::Up, id));
    let is_overridden = interface.rss.is_overridden();
    let Some((queue, plan)) = queue.and_then(|queue| Some((queue, queue.plan.read(dispatch)?)))
    else {
        if is_overridden {
            chain = rss::clear_hashes(chain);
        }
        return filter.indicate(chain, receive);
    };
    if receive.is_lent() {
        return receive_lent(interface, queue, plan, chain, receive, dispatch);
    }
    let this = || [Field::of(queue)];
    interface
        .trace()
        .note(TraceEvent::GENERIC_RX_INSPECT_START, this);
    let (mut passed, mut done) = (NblQueue::new(), NblQueue::new());
    let mut outgoing = Outgoing::new(interface, queue, dispatch);
    while !chain.is_empty() {
        let verdicts = inspect(interface, queue, plan, &chain, dispatch);
        for (verdict, count) in verdicts.runs() {
            let lists = chain.pop_many(count);
            match verdict {
                Verdict::Pass if is_overridden => {
                    let cleared = rss::clear_hashes(lists.into_chain());
                    passed.append(cleared.into_queue());
                }
                Verdict::Pass => passed.append(lists),
                Verdict::Drop => done.append(lists),
                Verdict::Forward => {
                    outgoing.add_all(&lists);
                    done.append(lists);
                }
            }
        }
    }
    interface
        .trace()
        .note(TraceEvent::GENERIC_RX_INSPECT_STOP, this);
    let count = passed.len();
    filter.return_chain(done.into_chain(), receive.flags.level_only());
    outgoing.send();
    filter.indicate(passed.into_chain(), Receive { count, ..receive });
}

/// As [`receive`], for lists that stay the network card's: they are linked afterwards as they were.
fn receive_lent(
    interface: &Interface,
    queue: &RxQueue,
    plan: &Plan,
    chain: NblChain,
    receive: Receive,
    dispatch: Dispatch<'_>,
) {
    let this = || [Field::of(queue)];
    interface
        .trace()
        .note(TraceEvent::GENERIC_RX_INSPECT_START, this);
    let mut outgoing = Outgoing::new(interface, queue, dispatch);
    let mut verdicts = Verdicts::new();
    let mut at = 0;
    let is_overridden = interface.rss.is_overridden();
    let choose = |rest: &NblChain, list: &Nbl| {
        if at == verdicts.len {
            verdicts = inspect(interface, queue, plan, rest, dispatch);
            at = 0;
        }
        let verdict = verdicts.get(at);
        at += 1;
        if verdict == Verdict::Forward {
            outgoing.add(list);
        }
        verdict == Verdict::Pass
    };
    let prepare = |list: &mut Nbl| {
        if is_overridden {
            rss::clear_hash(list);
        }
    };
    interface
        .filter()
        .indicate_lent(chain, receive, choose, prepare);
    interface
        .trace()
        .note(TraceEvent::GENERIC_RX_INSPECT_STOP, this);
    outgoing.send();
}

/// Frames on the way to the network card.
pub(super) fn send(
    interface: &Interface,
    mut chain: NblChain,
    port: u32,
    flags: Flags,
    dispatch: Dispatch<'_>,
) {
    let filter = interface.filter();
    let (mut passed, mut done) = (NblQueue::new(), NblQueue::new());
    while !chain.is_empty() {
        // Lists of one chain may belong to different queues.
        let queue = chain
            .iter()
            .next()
            .map(|first| interface.queue_of(first.hash_value(), Way::Down, dispatch))
            .and_then(|id| interface.rx_queue(Way::Down, id));
        let Some((queue, plan)) = queue.and_then(|queue| Some((queue, queue.plan.read(dispatch)?)))
        else {
            if let Some(list) = chain.pop_front() {
                passed.push_back(list);
            }
            continue;
        };
        let this = || [Field::of(queue)];
        interface
            .trace()
            .note(TraceEvent::GENERIC_RX_INSPECT_START, this);
        let mut outgoing = Outgoing::new(interface, queue, dispatch);
        let verdicts = inspect(interface, queue, plan, &chain, dispatch);
        for (verdict, count) in verdicts.runs() {
            let lists = chain.pop_many(count);
            match verdict {
                Verdict::Pass => passed.append(lists),
                Verdict::Drop => done.append(lists),
                Verdict::Forward => {
                    outgoing.add_all(&lists);
                    done.append(lists);
                }
            }
        }
        interface
            .trace()
            .note(TraceEvent::GENERIC_RX_INSPECT_STOP, this);
        outgoing.send();
    }
    filter.send_complete(done.into_chain(), flags.level_only());
    filter.send(passed.into_chain(), port, flags);
}

/// The verdicts of a batch.
struct Verdicts {
    verdicts: [Verdict; BATCH],
    len: usize,
}

impl Verdicts {
    const fn new() -> Self {
        Self {
            verdicts: [Verdict::Pass; BATCH],
            len: 0,
        }
    }

    fn push(&mut self, verdict: Verdict) {
        if let Some(slot) = self.verdicts.get_mut(self.len) {
            *slot = verdict;
            self.len += 1;
        }
    }

    fn get(&self, at: usize) -> Verdict {
        self.verdicts.get(at).copied().unwrap_or(Verdict::Pass)
    }

    /// The verdicts in order, and for how many lists in a row each is.
    fn runs(&self) -> impl Iterator<Item = (Verdict, usize)> {
        let verdicts = self.verdicts.get(..self.len).unwrap_or_default();
        let mut at = 0;
        core::iter::from_fn(move || {
            let rest = verdicts.get(at..)?;
            let first = *rest.first()?;
            let len = rest.iter().take_while(|verdict| **verdict == first).count();
            at += len;
            Some((first, len))
        })
    }
}

/// How many frames got which verdict.
#[derive(Default)]
struct Tally<'a> {
    /// The rule that decided last, and how often in a row: most frames go as the one before.
    rule: Option<&'a Rule>,
    hits: u32,
    passed: u32,
    dropped: u32,
    redirected: u32,
    forwarded: u32,
    discontiguous: u32,
    misdirected: u32,
    unmapped: u32,
    malformed: u32,
    loopback: u32,
}

impl<'a> Tally<'a> {
    #[inline]
    fn decided(&mut self, rule: &'a Rule) {
        if !self.rule.is_some_and(|last| core::ptr::eq(last, rule)) {
            self.count_hits();
            self.rule = Some(rule);
        }
        self.hits += 1;
    }

    fn count_hits(&mut self) {
        if let Some(rule) = self.rule {
            rule.count(core::mem::take(&mut self.hits));
        }
    }

    fn note(&mut self, queue: &RxQueue) {
        self.count_hits();
        let counters = &queue.counters;
        count(counters.batches(), 1);
        count(counters.passed(), self.passed);
        count(counters.dropped(), self.dropped);
        count(counters.redirected(), self.redirected);
        count(counters.forwarded(), self.forwarded);
        count(counters.discontiguous(), self.discontiguous);
        count(counters.misdirected(), self.misdirected);
        count(queue.generic.mapping_failures(), self.unmapped);
        count(queue.generic.malformed(), self.malformed);
        count(queue.generic.loopback_skipped(), self.loopback);
    }
}

/// Gives the first lists of a chain their verdicts.
fn inspect(
    interface: &Interface,
    queue: &RxQueue,
    plan: &Plan,
    chain: &NblChain,
    dispatch: Dispatch<'_>,
) -> Verdicts {
    let this = || [Field::of(queue)];
    interface
        .trace()
        .note(TraceEvent::RX_INSPECT_RING_START, this);
    let mut verdicts = Verdicts::new();
    let mut tally = Tally::default();
    let mut delivery = Delivery::new(queue, dispatch);
    for list in chain.iter().take(BATCH) {
        if list.is_loopback() {
            tally.loopback += 1;
            verdicts.push(Verdict::Pass);
            continue;
        }
        let mut verdict = None;
        for buffer in list.buffers() {
            let found = decide(
                queue,
                plan,
                &list,
                buffer,
                &mut delivery,
                &mut tally,
                dispatch,
            );
            // A list goes where its first frame goes.
            verdict.get_or_insert(found);
        }
        // A list without a frame is not passed on: others may rely on there being one.
        verdicts.push(verdict.unwrap_or_else(|| {
            tally.malformed += 1;
            Verdict::Drop
        }));
    }
    delivery.flush();
    tally.note(queue);
    if tally.malformed != 0 {
        interface.fail_queue(queue);
    }
    interface
        .trace()
        .note(TraceEvent::RX_INSPECT_RING_STOP, this);
    verdicts
}

#[inline]
fn decide<'a>(
    queue: &RxQueue,
    plan: &'a Plan,
    list: &NblRef<'a>,
    buffer: NetBuffer<'a>,
    delivery: &mut Delivery<'a>,
    tally: &mut Tally<'a>,
    dispatch: Dispatch<'a>,
) -> Verdict {
    let Some(first) = buffer.first_segment() else {
        tally.unmapped += 1;
        return Verdict::Drop;
    };
    let rule = if first.len() == buffer.len() {
        plan.rule(&Frame::new(first))
    } else {
        tally.discontiguous += 1;
        match buffer.extent() {
            Extent::Whole => {}
            Extent::Unmapped => {
                tally.unmapped += 1;
                return Verdict::Drop;
            }
            Extent::Short => {
                tally.malformed += 1;
                return Verdict::Drop;
            }
        }
        let rest = Rest {
            buffer,
            skip: first.len(),
        };
        plan.rule(&Frame::with_tail(first, &rest))
    };
    let Some(rule) = rule else {
        tally.passed += 1;
        return Verdict::Pass;
    };
    tally.decided(rule);
    let socket = match &rule.target {
        Target::Pass => {
            tally.passed += 1;
            return Verdict::Pass;
        }
        Target::Drop => {
            tally.dropped += 1;
            return Verdict::Drop;
        }
        Target::Forward => {
            tally.forwarded += 1;
            return Verdict::Forward;
        }
        Target::Socket(socket) => socket,
        Target::Map(map) => match map.get(queue.id(), dispatch) {
            Some(socket) => socket,
            None => {
                tally.dropped += 1;
                return Verdict::Drop;
            }
        },
    };
    tally.redirected += 1;
    if socket.is_fed_by(queue.identity()) {
        delivery.add(
            socket,
            RxFrame {
                buffer,
                list: *list,
            },
        );
    } else {
        tally.misdirected += 1;
    }
    Verdict::Drop
}

/// The part of a frame behind its first buffer.
struct Rest<'a> {
    buffer: NetBuffer<'a>,
    skip: usize,
}

impl Tail for Rest<'_> {
    fn read(&self, offset: usize, into: &mut [u8]) -> usize {
        self.buffer.read(self.skip.saturating_add(offset), into)
    }

    fn size_bytes(&self) -> usize {
        self.buffer.len().saturating_sub(self.skip)
    }
}

/// Frames on their way to one socket.
struct Delivery<'a> {
    queue: &'a RxQueue,
    dispatch: Dispatch<'a>,
    socket: Option<&'a Socket>,
    frames: [Option<RxFrame<'a>>; DELIVERY],
    len: usize,
}

impl<'a> Delivery<'a> {
    const fn new(queue: &'a RxQueue, dispatch: Dispatch<'a>) -> Self {
        Self {
            queue,
            dispatch,
            socket: None,
            frames: [None; DELIVERY],
            len: 0,
        }
    }

    #[inline]
    fn add(&mut self, socket: &'a Socket, frame: RxFrame<'a>) {
        let is_other = self
            .socket
            .is_some_and(|current| !core::ptr::eq(current, socket));
        if is_other || self.len == DELIVERY {
            self.flush();
        }
        self.socket = Some(socket);
        if let Some(slot) = self.frames.get_mut(self.len) {
            *slot = Some(frame);
            self.len += 1;
        }
    }

    fn flush(&mut self) {
        let frames = self.frames.get(..self.len).unwrap_or_default();
        if let (Some(socket), false) = (self.socket, frames.is_empty()) {
            socket.deliver(frames, &self.queue.counters, self.dispatch);
        }
        self.len = 0;
    }
}
