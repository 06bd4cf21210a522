//! Indicating to the stack what rules send back on its way to the network card.
//!
//! A stack that routes may answer a frame while that is indicated, a rule may send the answer back as well, and so on: each on
//! the kernel stack of the one before. So one thread at a time indicates for a queue, and what is sent back meanwhile waits
//! until that thread is back.

use core::sync::atomic::{AtomicBool, Ordering};

use nt::Dispatch;
use nt::ndis::{Flags, PacketQueue, Receive};
use nt::sync::SpinLock;
use nt::sys::NDIS_SEND_FLAGS_DISPATCH_LEVEL;

use crate::counters::count;
use crate::interface::{Interface, RxQueue, Way};

/// Turns before others get the processor.
const TURNS: u32 = 16;

/// Frames of a queue on their way back to the stack.
pub(crate) struct Reflected {
    turn: SpinLock<Turn>,
    /// Whether the queue is to be gone on with by a system thread.
    pub(crate) unfinished: AtomicBool,
}

struct Turn {
    waiting: PacketQueue,
    /// Somebody indicates, or a system thread will.
    is_taken: bool,
}

impl Reflected {
    /// None.
    pub(crate) const fn new() -> Self {
        Self {
            turn: SpinLock::new(Turn {
                waiting: PacketQueue::new(),
                is_taken: false,
            }),
            unfinished: AtomicBool::new(false),
        }
    }

    /// Gives up what waits: nobody indicates any more.
    pub(crate) fn clear(&self) {
        let waiting = self.turn.lock().waiting.take();
        drop(waiting);
    }
}

/// Indicates frames of a queue to the stack, or leaves them to who does so already.
pub(super) fn indicate(
    interface: &Interface,
    queue: &RxQueue,
    lists: PacketQueue,
    dispatch: Dispatch<'_>,
) {
    let mut turn = queue.reflected.turn.lock_at_dispatch(dispatch);
    turn.waiting.append(lists);
    if core::mem::replace(&mut turn.is_taken, true) {
        return;
    }
    drop(turn);
    go_on(interface, queue, dispatch);
}

/// Indicates what waits, for some turns. The turn is the caller's.
pub(crate) fn go_on(interface: &Interface, queue: &RxQueue, dispatch: Dispatch<'_>) {
    for _ in 0..TURNS {
        let mut turn = queue.reflected.turn.lock_at_dispatch(dispatch);
        let lists = turn.waiting.take();
        turn.is_taken = !lists.is_empty();
        drop(turn);
        if lists.is_empty() {
            return;
        }
        indicate_now(interface, queue, lists);
    }
    queue.reflected.unfinished.store(true, Ordering::Release);
    interface.continue_later();
}

fn indicate_now(interface: &Interface, queue: &RxQueue, lists: PacketQueue) {
    let frames = lists.len();
    if !interface.let_out(Way::Up, frames) {
        queue.forwarding.fetch_sub(frames, Ordering::Relaxed);
        return count(queue.generic.forward_paused(), frames);
    }
    count(queue.generic.forward_sent(), frames);
    let receive = Receive {
        port: 0,
        count: frames,
        flags: Flags(NDIS_SEND_FLAGS_DISPATCH_LEVEL),
    };
    interface.filter().indicate(lists.into_chain(), receive);
}
