//! Poking and waiting.

use core::sync::atomic::{AtomicU32, AtomicUsize, Ordering, fence};
use core::time::Duration;

use nt::io::{Cancelled, Completion, Control as Request, FastControl, Irp, IrpSlot};
use nt::memory::UserSlice;
use nt::sync::{Event, SpinLock};
use nt::{Arc, Passive, Result, Status};
use xdp_abi::xsk::{INFINITE, NotifyFlags, NotifyIn, NotifyResultFlags};
use zerocopy::{FromZeros, IntoBytes};

use super::state::State;
use super::{Socket, TxLink};
use crate::control::read_user;
use crate::driver::Services;
use crate::trace::{Field, TraceEvent};

const KNOWN_FLAGS: u32 = NotifyFlags::POKE_RX.0
    | NotifyFlags::POKE_TX.0
    | NotifyFlags::WAIT_RX.0
    | NotifyFlags::WAIT_TX.0;
const POKE_FLAGS: u32 = NotifyFlags::POKE_RX.0 | NotifyFlags::POKE_TX.0;
const WAIT_FLAGS: u32 = NotifyFlags::WAIT_RX.0 | NotifyFlags::WAIT_TX.0;

/// Who waits for a socket: one at a time.
pub(super) struct Waiter {
    /// What is waited for: the wait flags, or 0. Read by those who make a ring ready, without the lock.
    armed: AtomicU32,
    turn: SpinLock<Turn>,
    event: Event,
    parked: Arc<IrpSlot<Traced>>,
}

/// Tells those who trace of waits that are cancelled.
struct Traced {
    services: Arc<Services>,
    /// The socket by its address.
    socket: AtomicUsize,
}

impl Cancelled for Traced {
    fn cancelled(&self, request: usize) {
        let trace = &self.services.trace;
        trace.note(TraceEvent::NOTIFY_ASYNC_COMPLETE, || {
            let socket = self.socket.load(Ordering::Relaxed);
            let status = Status::CANCELLED.0.cast_unsigned();
            [
                Field::Wide(socket),
                Field::Wide(request),
                Field::Number(status),
            ]
        });
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Turn {
    /// Nobody waits.
    Free,
    /// A thread waits for the event.
    Thread,
    /// A request is about to be parked.
    Parking,
    /// A request was parked; when the slot is empty, it was cancelled.
    Parked,
}

impl Waiter {
    pub(super) fn new(services: &Arc<Services>) -> Result<Self> {
        let traced = Traced {
            services: services.clone(),
            socket: AtomicUsize::new(0),
        };
        Ok(Self {
            armed: AtomicU32::new(0),
            turn: SpinLock::new(Turn::Free),
            event: Event::manual_reset(crate::TAG, false)?,
            parked: Arc::new(crate::TAG, IrpSlot::with_note(traced))?,
        })
    }

    /// Takes the turn to wait; `false` when somebody has it.
    fn begin(&self, turn: Turn, flags: u32) -> bool {
        let mut current = self.turn.lock();
        let is_free = match *current {
            Turn::Free => true,
            Turn::Parked => !self.parked.is_taken(),
            Turn::Thread | Turn::Parking => false,
        };
        if is_free {
            *current = turn;
            self.event.clear();
            self.armed.store(flags, Ordering::SeqCst);
            // Whoever makes a ring ready from here on sees the flags, or the look at the ring sees what they did.
            fence(Ordering::SeqCst);
        }
        is_free
    }

    fn end(&self) {
        let mut current = self.turn.lock();
        self.armed.store(0, Ordering::SeqCst);
        *current = Turn::Free;
    }

    /// Wakes whoever waits if there is a result for what they wait for; a request is handed back with it. Whoever made a ring
    /// ready may come late, when somebody else waits for something else.
    fn wake(&self, result: impl FnOnce(u32) -> Option<u32>) -> Option<(Irp, u32)> {
        let mut current = self.turn.lock();
        let is_parked = match *current {
            Turn::Free | Turn::Parking => return None,
            Turn::Thread => false,
            Turn::Parked => true,
        };
        let result = result(self.armed.load(Ordering::SeqCst))?;
        if !is_parked {
            self.event.set();
            return None;
        }
        // Cancelled meanwhile, it is completed by whoever cancels it.
        let irp = self.parked.take();
        self.armed.store(0, Ordering::SeqCst);
        *current = Turn::Free;
        irp.map(|irp| (irp, result))
    }
}

impl Socket {
    /// Serves a synchronous notification.
    pub(super) fn notify(
        &self,
        request: &FastControl<'_>,
        passive: Passive<'_>,
    ) -> (Status, usize) {
        let (status, result) = self.notify_now(request, passive);
        self.note_stop(0, status, result as u32);
        (status, result)
    }

    fn note_stop(&self, request: usize, status: Status, result: u32) {
        self.trace().note(TraceEvent::NOTIFY_STOP, || {
            let [result, status] = [result, status.0.cast_unsigned()].map(Field::Number);
            [Field::of(self), Field::Wide(request), result, status]
        });
    }

    fn notify_now(&self, request: &FastControl<'_>, passive: Passive<'_>) -> (Status, usize) {
        let timeout = match self.prepare(&request.input(), 0) {
            Ok((0, _)) => return (Status::SUCCESS, 0),
            Ok((wait, timeout)) => {
                let ready = self.ready(wait);
                if ready != 0 {
                    return (Status::SUCCESS, ready as usize);
                }
                if self.state.get() != State::Active || !self.waiter.begin(Turn::Thread, wait) {
                    return (Status::INVALID_DEVICE_STATE, 0);
                }
                (wait, timeout)
            }
            Err(status) => return (status, 0),
        };
        let (wait, milliseconds) = timeout;
        let timeout =
            (milliseconds != INFINITE).then(|| Duration::from_millis(milliseconds.into()));
        let mut status = Status::SUCCESS;
        if self.ready(wait) == 0 && self.state.get() == State::Active {
            status = self.waiter.event.wait_user(timeout, passive);
        }
        self.waiter.end();
        match self.ready(wait) {
            0 => (status, 0),
            ready => (Status::SUCCESS, ready as usize),
        }
    }

    /// Serves an asynchronous notification.
    pub(super) fn notify_async(&self, request: Request) -> Completion {
        let address = request.address();
        let answer = |request: Request, status, result: u32| {
            self.note_stop(address, status, result);
            request.complete(status, result as usize)
        };
        let wait = match self.prepare(&request.user_input(), address) {
            Ok((0, _)) => return answer(request, Status::SUCCESS, 0),
            Ok((wait, _)) => wait,
            Err(status) => return answer(request, status, 0),
        };
        let ready = self.ready(wait);
        if ready != 0 {
            return answer(request, Status::SUCCESS, ready);
        }
        if self.state.get() != State::Active || !self.waiter.begin(Turn::Parking, wait) {
            return answer(request, Status::INVALID_DEVICE_STATE, 0);
        }
        // Parked, the request may be completed by others at any time: the event comes first.
        self.note_stop(address, Status::PENDING, 0);
        let this = core::ptr::from_ref(self).addr();
        self.waiter
            .parked
            .note()
            .socket
            .store(this, Ordering::Relaxed);
        let parked = match IrpSlot::park(&self.waiter.parked, request.into_irp()) {
            Ok(parked) => parked,
            Err(irp) => {
                self.waiter.end();
                return irp.complete(Status::INVALID_DEVICE_STATE, 0);
            }
        };
        *self.waiter.turn.lock() = Turn::Parked;
        // A ring became ready, or the socket inactive, while nobody could be woken.
        match self.state.get() {
            State::Active => self.finish_ready(),
            state => self.end_waits(state == State::Closing),
        }
        parked
    }

    /// Checks a notification and pokes; the wait flags and the time.
    fn prepare(&self, input: &UserSlice, request: usize) -> Result<(u32, u32)> {
        if self.state.get() != State::Active {
            return Err(Status::INVALID_DEVICE_STATE);
        }
        if input.len() < size_of::<NotifyIn>() {
            return Err(Status::INVALID_PARAMETER);
        }
        let mut notify = NotifyIn::new_zeroed();
        read_user(input, align_of::<NotifyIn>(), notify.as_mut_bytes())?;
        let flags = notify.flags.0;
        self.trace().note(TraceEvent::NOTIFY_START, || {
            let [flags, time] = [flags, notify.wait_timeout_milliseconds].map(Field::Number);
            [Field::of(self), Field::Wide(request), flags, time]
        });
        if flags == 0 || flags & !KNOWN_FLAGS != 0 {
            return Err(Status::INVALID_PARAMETER);
        }
        let has = |these: NotifyFlags| flags & these.0 != 0;
        let rx = has(NotifyFlags(NotifyFlags::POKE_RX.0 | NotifyFlags::WAIT_RX.0));
        let tx = has(NotifyFlags(NotifyFlags::POKE_TX.0 | NotifyFlags::WAIT_TX.0));
        let link = if tx {
            self.tx_queue.lock().clone()
        } else {
            None
        };
        if (rx && !self.receives.load(Ordering::Acquire)) || (tx && link.is_none()) {
            return Err(Status::INVALID_DEVICE_STATE);
        }
        let pokes = flags & POKE_FLAGS;
        if pokes != 0 {
            let fields = || [Field::of(self), Field::Number(pokes)];
            self.trace().note(TraceEvent::POKE_START, fields);
            let poked = self.poke(link.filter(|_| has(NotifyFlags::POKE_TX)));
            self.trace().note(TraceEvent::POKE_STOP, fields);
            poked?;
        }
        Ok((flags & WAIT_FLAGS, notify.wait_timeout_milliseconds))
    }

    /// Has a queue send. Poking the receiving side does nothing: frames come when they come.
    fn poke(&self, link: Option<TxLink>) -> Result<()> {
        let Some(link) = link else {
            return Ok(());
        };
        if self.tx_errors().0 != 0 {
            return Err(Status::DEVICE_REMOVED);
        }
        self.note_poke();
        if let Some(queue) = link.interface.tx_queue(link.way, link.id) {
            let raised = nt::irql::Raised::to_dispatch();
            queue.kick(&link.interface, raised.token());
        }
        Ok(())
    }

    /// Which of the awaited rings have entries.
    fn ready(&self, wait: u32) -> u32 {
        let mut ready = 0;
        if wait & NotifyFlags::WAIT_RX.0 != 0 && self.rx.lock().has_entries() {
            ready |= NotifyResultFlags::RX_AVAILABLE.0;
        }
        if wait & NotifyFlags::WAIT_TX.0 != 0 && self.tx.lock().has_completions() {
            ready |= NotifyResultFlags::TX_COMP_AVAILABLE.0;
        }
        ready
    }

    /// Wakes whoever waits if it is for something that is ready.
    fn finish_ready(&self) {
        let ready = |wait| Some(self.ready(wait)).filter(|ready| *ready != 0);
        if let Some((irp, ready)) = self.waiter.wake(ready) {
            self.complete_parked(irp, ready);
        }
    }

    fn became_ready(&self, wait: NotifyFlags) {
        // Orders the ring's index before the look at who waits.
        fence(Ordering::SeqCst);
        if self.waiter.armed.load(Ordering::SeqCst) & wait.0 != 0 {
            self.finish_ready();
        }
    }

    /// The receive ring has new entries.
    #[inline]
    pub(super) fn rx_ready(&self) {
        self.became_ready(NotifyFlags::WAIT_RX);
    }

    /// The completion ring has new entries.
    #[inline]
    pub(super) fn tx_ready(&self) {
        self.became_ready(NotifyFlags::WAIT_TX);
    }

    /// Nothing will become ready any more: ends waits. A request that waits while its handle is closed is answered as if
    /// everything were ready.
    pub(super) fn end_waits(&self, closing: bool) {
        // The result flags are the wait flags shifted by two.
        let result = |wait| Some(if closing { wait >> 2 } else { self.ready(wait) });
        if let Some((irp, result)) = self.waiter.wake(result) {
            self.complete_parked(irp, result);
        }
    }

    fn complete_parked(&self, irp: Irp, result: u32) {
        let status = Status::SUCCESS;
        self.trace().note(TraceEvent::NOTIFY_ASYNC_COMPLETE, || {
            let status = Field::Number(status.0.cast_unsigned());
            [Field::of(self), Field::Wide(irp.address()), status]
        });
        let _ = irp.complete(status, result as usize);
    }
}
