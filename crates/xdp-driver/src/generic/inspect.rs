//! Inspecting frames on their way.
//!
//! Lists are looked at where they are: first each gets its verdict, and what is redirected is copied to its socket; then
//! each goes where its verdict says. Nothing is locked meanwhile; the caller is at DISPATCH_LEVEL, which is what keeps the
//! rules in place.

use core::mem;

use nt::Dispatch;
use nt::ndis::{Extent, Flags, Nbl, NblChain, NblQueue, NetBuffer, Receive};
use xdp_packet::{Frame, Tail};

use super::forward::Outgoing;
use super::outcome::{Arrival, BATCH, Outcome, Verdict, Verdicts};
use super::rss;
use crate::interface::{Interface, RxQueue, Way};
use crate::program::Plan;
use crate::socket::RxFrame;
use crate::trace::{Field, TraceEvent};

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
        let verdicts = inspect(interface, queue, plan, &chain, BATCH, dispatch);
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
            verdicts = inspect(interface, queue, plan, rest, BATCH, dispatch);
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
        let count = of_one_queue(interface, queue.id(), &chain, dispatch);
        let verdicts = inspect(interface, queue, plan, &chain, count, dispatch);
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

/// How many of the lists with which a chain on its way to the network card begins are of the queue of the first, but for
/// those that are too many for a batch.
fn of_one_queue(
    interface: &Interface,
    queue: u32,
    chain: &NblChain,
    dispatch: Dispatch<'_>,
) -> usize {
    if interface.queue_count() == 1 {
        return BATCH;
    }
    let queue_of = |hash| interface.queue_of(hash, Way::Down, dispatch);
    // The first is of its queue even if the queues have been moved since.
    let others = chain.iter().take(BATCH).skip(1);
    let others = others.take_while(|list| queue_of(list.hash_value()) == queue);
    1 + others.count()
}

/// Gives the first lists of a chain, up to a batch, their verdicts.
fn inspect(
    interface: &Interface,
    queue: &RxQueue,
    plan: &Plan,
    chain: &NblChain,
    count: usize,
    dispatch: Dispatch<'_>,
) -> Verdicts {
    let this = || [Field::of(queue)];
    interface
        .trace()
        .note(TraceEvent::RX_INSPECT_RING_START, this);
    let mut batch = plan.batch();
    let mut outcome = Outcome::new(queue, dispatch);
    for list in chain.iter().take(count) {
        // A list goes where its first frame goes.
        let mut number = outcome.verdicts.len;
        outcome.verdicts.len += 1;
        if list.is_loopback() {
            outcome.tally.loopback += 1;
            continue;
        }
        for buffer in list.buffers() {
            let arrival = Arrival {
                frame: RxFrame { buffer, list },
                list_number: mem::replace(&mut number, usize::MAX),
            };
            let Some(first) = buffer.first_segment() else {
                outcome.unmapped(&arrival);
                continue;
            };
            let is_split = first.len() != buffer.len();
            if let (false, Some(batch)) = (is_split, &mut batch) {
                batch.add(arrival, first, &mut |arrival, hit| {
                    outcome.decide(&arrival, hit.map(|hit| hit.value));
                });
                continue;
            }
            let rest = Rest {
                buffer,
                skip: first.len(),
            };
            let frame = if is_split {
                outcome.tally.discontiguous += 1;
                match buffer.extent() {
                    Extent::Whole => Frame::with_tail(first, &rest),
                    Extent::Unmapped => {
                        outcome.unmapped(&arrival);
                        continue;
                    }
                    Extent::Short => {
                        outcome.malformed(arrival.list_number);
                        continue;
                    }
                }
            } else {
                Frame::new(first)
            };
            match &mut batch {
                Some(batch) => batch.add_frame(arrival, &frame, &mut |arrival, hit| {
                    outcome.decide(&arrival, hit.map(|hit| hit.value));
                }),
                None => outcome.decide(&arrival, plan.rule(&frame)),
            }
        }
        // A list without a frame is not passed on: others may rely on there being one.
        if number != usize::MAX {
            outcome.malformed(number);
        }
    }
    if let Some(batch) = batch {
        batch.finish(&mut |arrival, hit| {
            outcome.decide(&arrival, hit.map(|hit| hit.value));
        });
    }
    outcome.delivery.flush();
    outcome.tally.note(queue);
    if outcome.tally.malformed != 0 {
        interface.fail_queue(queue);
    }
    interface
        .trace()
        .note(TraceEvent::RX_INSPECT_RING_STOP, this);
    outcome.verdicts
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
