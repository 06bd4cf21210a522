//! AF_XDP sockets.

mod bind;
mod describe;
mod notify;
mod offload;
mod options;
mod receive;
mod rings;
mod state;
mod transmit;

use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};

use nt::io::{Completion, Control as Request, FastControl};
use nt::memory::Mode;
use nt::process::Process;
use nt::sync::{PushLock, SpinLock};
use nt::{Arc, Passive, Result, Status};
use xdp_abi::hook::HookId;
use xdp_abi::ioctl;
use xdp_abi::ring::RingFlags;
use xdp_abi::xsk::XskError;

use self::bind::Binding;
use self::notify::Waiter;
use self::offload::Enabled;
use self::receive::RxSide;
use self::rings::Rings;
use self::state::{SocketState, State};
use self::transmit::TxSide;
use crate::driver::Services;
use crate::interface::{Interface, Way};
use crate::memory::Umem;
use crate::trace::{Field, Trace, TraceEvent};

pub(crate) use self::receive::RxFrame;
pub(crate) use self::rings::Lent;
pub(crate) use self::transmit::Sent;

/// API versions from here on do not follow processors by default.
const NO_PROFILING_SINCE: u32 = 2;

/// A socket. The object lives as long as a handle, a rule or a map entry refers to it.
pub(crate) struct Socket {
    services: Arc<Services>,
    /// Who opened it.
    mode: Mode,
    state: SocketState,
    control: PushLock<Control>,
    rx: SpinLock<RxSide>,
    tx: SpinLock<TxSide>,
    /// Identity of the queue that may deliver frames; 0 while the socket is not active.
    rx_queue: AtomicUsize,
    /// Whether the socket is bound to receive.
    receives: AtomicBool,
    /// The queue that sends the socket's frames, once it is bound to one.
    tx_queue: SpinLock<Option<TxLink>>,
    waiter: Waiter,
    statistics: Counters,
    errors: Errors,
    rx_processor: Profile,
    tx_processor: Profile,
}

/// A transmit queue, by its interface.
#[derive(Clone)]
struct TxLink {
    interface: Arc<Interface>,
    way: Way,
    id: u32,
}

/// What requests change, one at a time.
struct Control {
    rx_hook: HookId,
    tx_hook: HookId,
    umem: Option<Arc<Umem>>,
    rings: Rings,
    enabled: Enabled,
    rx: Option<Binding>,
    tx: Option<Binding>,
}

#[derive(Default)]
struct Counters {
    rx_dropped: AtomicU64,
    rx_truncated: AtomicU64,
    rx_invalid_descriptors: AtomicU64,
    tx_invalid_descriptors: AtomicU64,
}

/// The first error of each ring.
#[derive(Default)]
struct Errors {
    rx: AtomicU32,
    fill: AtomicU32,
    tx: AtomicU32,
    completion: AtomicU32,
}

/// Keeps a ring's first error.
fn keep_first(error: &AtomicU32, value: XskError) {
    let _ = error.compare_exchange(
        XskError::NO_ERROR.0,
        value.0,
        Ordering::AcqRel,
        Ordering::Relaxed,
    );
}

/// The processor that works for one direction of a socket.
struct Profile {
    enabled: AtomicBool,
    /// Index of the processor plus one; 0 while none is known.
    last: AtomicU32,
}

impl Profile {
    const fn new(enabled: bool) -> Self {
        Self {
            enabled: AtomicBool::new(enabled),
            last: AtomicU32::new(0),
        }
    }

    /// Notes the current processor; whether it is news.
    #[inline]
    fn note(&self) -> bool {
        if !self.enabled.load(Ordering::Relaxed) {
            return false;
        }
        let current = nt::processor::current_index() + 1;
        self.last.swap(current, Ordering::Relaxed) != current
    }
}

impl Socket {
    /// Serves the open of a socket.
    pub(crate) fn open(services: Arc<Services>, mode: Mode, api_version: u32) -> Result<Arc<Self>> {
        let profiles = api_version < NO_PROFILING_SINCE;
        let control = Control {
            rx_hook: HookId::RX_INSPECT,
            tx_hook: HookId::TX_INJECT,
            umem: None,
            rings: Rings::default(),
            enabled: Enabled::default(),
            rx: None,
            tx: None,
        };
        let socket = Self {
            waiter: Waiter::new(&services)?,
            services,
            mode,
            state: SocketState::new(),
            control: PushLock::new(control),
            rx: SpinLock::new(RxSide::default()),
            tx: SpinLock::new(TxSide::new()),
            rx_queue: AtomicUsize::new(0),
            receives: AtomicBool::new(false),
            tx_queue: SpinLock::new(None),
            statistics: Counters::default(),
            errors: Errors::default(),
            rx_processor: Profile::new(profiles),
            tx_processor: Profile::new(profiles),
        };
        let socket = Arc::new(crate::TAG, socket)?;
        socket.trace().note(TraceEvent::CREATE_SOCKET, || {
            [Field::of(&*socket), Field::Wide(Process::current().id())]
        });
        Ok(socket)
    }

    /// The event provider.
    #[inline]
    fn trace(&self) -> &Trace {
        &self.services.trace
    }

    /// Serves a request.
    pub(crate) fn control(this: &Arc<Self>, request: Request, passive: Passive<'_>) -> Completion {
        let result = match request.code() {
            ioctl::xsk::BIND => Self::bind(this, request.input(), passive),
            ioctl::xsk::ACTIVATE => this.activate(request.input(), passive),
            ioctl::xsk::GET_SOCKOPT => return this.get_option(request, passive),
            ioctl::xsk::SET_SOCKOPT => {
                Self::set_option(this, request.input(), request.requestor(), passive)
            }
            ioctl::xsk::NOTIFY_ASYNC => return this.notify_async(request),
            _ => Err(Status::NOT_SUPPORTED),
        };
        request.complete(Status::of(&result), 0)
    }

    /// Serves a request that came without a packet; `None` has the packet made.
    pub(crate) fn fast_control(
        &self,
        request: &FastControl<'_>,
        passive: Passive<'_>,
    ) -> Option<(Status, usize)> {
        match request.code() {
            ioctl::xsk::NOTIFY => Some(self.notify(request, passive)),
            ioctl::xsk::GET_SOCKOPT => self.get_processor(request),
            _ => None,
        }
    }

    /// The last handle is closed: nobody waits any more.
    pub(crate) fn cleanup(&self) {
        self.state.set(State::Closing);
        self.rx_queue.store(0, Ordering::Release);
        self.end_waits(true);
    }

    /// The last request is done: the socket leaves its queues, and its memory goes. Waits for frames on the way.
    pub(crate) fn close(&self, passive: Passive<'_>) {
        let this = || [Field::of(self)];
        self.trace().note(TraceEvent::CLOSE_SOCKET_START, this);
        let mut control = self.control.write(passive);
        if let Some(tx) = control.tx.take() {
            tx.interface.unbind_tx(tx.way, tx.queue, self, passive);
        }
        if let Some(rx) = control.rx.take() {
            rx.interface.unbind_rx(rx.way, rx.queue, self, passive);
        }
        self.rx_queue.store(0, Ordering::Release);
        self.tx_queue.lock().take();
        // What refers to the pages goes first, then their mappings in the program.
        let rx = core::mem::take(&mut *self.rx.lock());
        let tx = core::mem::replace(&mut *self.tx.lock(), TxSide::new());
        drop(rx);
        drop(tx);
        self.free_rings(&mut control, passive);
        control.umem = None;
        self.services.holders.remove(self, passive);
        self.trace().note(TraceEvent::CLOSE_SOCKET_STOP, this);
    }

    /// The process whose memory the frames are in ends: the socket moves no more of them. Those on the way are copies.
    pub(crate) fn owner_ended(&self, passive: Passive<'_>) {
        let mut control = self.control.write(passive);
        self.detach();
        let of_rx = self.rx.lock().stop();
        let of_tx = self.tx.lock().stop();
        drop(of_rx);
        drop(of_tx);
        control.umem = None;
        if control.rx.is_some() {
            self.lose_rx();
        }
        if control.tx.is_some() {
            self.lose_tx();
        }
        self.end_waits(false);
    }

    /// Whether a program may redirect to the socket.
    pub(crate) fn check_receives(&self) -> Result<()> {
        if self.state.get() < State::Bound {
            return Err(Status::INVALID_DEVICE_STATE);
        }
        if !self.receives.load(Ordering::Acquire) {
            return Err(Status::NOT_SUPPORTED);
        }
        Ok(())
    }

    /// Whether a queue may deliver frames.
    #[inline]
    pub(crate) fn is_fed_by(&self, queue: usize) -> bool {
        self.rx_queue.load(Ordering::Acquire) == queue
    }

    /// The interface goes away, for receiving.
    pub(crate) fn lose_rx(&self) {
        self.detach();
        keep_first(&self.errors.rx, XskError::INTERFACE_DETACH);
        keep_first(&self.errors.fill, XskError::INTERFACE_DETACH);
        let rx = self.rx.lock();
        rx.raise(RingFlags::ERROR);
        drop(rx);
        self.end_waits(false);
    }

    /// The queue goes away that sends; its frames are back.
    pub(crate) fn lose_tx(&self) {
        self.detach();
        keep_first(&self.errors.tx, XskError::INTERFACE_DETACH);
        keep_first(&self.errors.completion, XskError::INTERFACE_DETACH);
        let tx = self.tx.lock();
        tx.raise(RingFlags::ERROR);
        drop(tx);
        self.end_waits(false);
    }

    fn detach(&self) {
        self.state.detach();
        self.rx_queue.store(0, Ordering::Release);
    }
}
