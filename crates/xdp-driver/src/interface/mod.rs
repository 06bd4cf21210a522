//! Interfaces: the adapters that programs and sockets attach to.

mod attachment;
mod bindings;
mod chores;
mod describe;
mod insertion;
mod rx_queue;

use core::ptr;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use nt::ndis::{Datapath, Filter};
use nt::sync::{Published, PushLock, PushWriteGuard, SpinLock};
use nt::{Arc, Box, Passive, Result, Status, Vec};
use xdp_abi::hook::{Direction, HookId, Layer, SubLayer};

pub(crate) use self::attachment::Attachment;
use self::bindings::{RxControl, TxControl};
use self::chores::Chores;
use self::insertion::Insertion;

pub(crate) use self::rx_queue::RxQueue;
use crate::driver::Services;
use crate::gate::Gate;
use crate::generic::{Forwarder, Rss, Steering, TaskOffload, TxQueue};
use crate::socket::Socket;
use crate::trace::Trace;

/// Where a hook's frames travel.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Way {
    /// From the network card upwards.
    Up,
    /// Towards the network card.
    Down,
}

impl Way {
    const fn index(self) -> usize {
        match self {
            Self::Up => 0,
            Self::Down => 1,
        }
    }
}

/// A hook that interfaces have: all are of layer 2.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Hook {
    pub(crate) way: Way,
    pub(crate) inspects: bool,
}

impl Hook {
    /// The hook of an identifier; `None` when there is no such hook.
    pub(crate) fn of(id: HookId) -> Option<Self> {
        let way = match id.direction {
            Direction::RX => Way::Up,
            Direction::TX => Way::Down,
            _ => return None,
        };
        let inspects = match id.sub_layer {
            SubLayer::INSPECT => true,
            SubLayer::INJECT => false,
            _ => return None,
        };
        (id.layer == Layer::L2).then_some(Self { way, inspects })
    }
}

/// Which mode of an interface a caller takes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum ModeWish {
    /// Native if there is one, else generic.
    Any,
    /// Generic only.
    Generic,
    /// Native only.
    Native,
}

/// The interfaces that can be looked up.
pub(crate) struct Interfaces {
    list: PushLock<Vec<Arc<Interface>>>,
}

impl Interfaces {
    /// No interfaces.
    pub(crate) const fn new() -> Self {
        Self {
            list: PushLock::new(Vec::new(crate::TAG)),
        }
    }

    /// The interface with an index that has a hook in a mode that the caller takes.
    pub(crate) fn find(
        &self,
        index: u32,
        hook: HookId,
        wish: ModeWish,
        passive: Passive<'_>,
    ) -> Result<(Arc<Interface>, Hook)> {
        let hook = Hook::of(hook).ok_or(Status::NOT_FOUND)?;
        // No adapter is in native mode yet.
        if wish == ModeWish::Native {
            return Err(Status::NOT_FOUND);
        }
        Ok((self.by_index(index, passive)?, hook))
    }

    /// All interfaces.
    pub(crate) fn all(&self, passive: Passive<'_>) -> Result<Vec<Arc<Interface>>> {
        let list = self.list.read(passive);
        let mut all = Vec::with_capacity(crate::TAG, list.len())?;
        for interface in list.iter() {
            all.push(interface.clone())?;
        }
        Ok(all)
    }

    /// The interface with an index.
    pub(crate) fn by_index(&self, index: u32, passive: Passive<'_>) -> Result<Arc<Interface>> {
        let list = self.list.read(passive);
        let found = list.iter().find(|interface| interface.index == index);
        found.cloned().ok_or(Status::NOT_FOUND)
    }

    /// Lets an interface be looked up.
    pub(crate) fn add(&self, interface: Arc<Interface>, passive: Passive<'_>) -> Result<()> {
        let mut list = self.list.write(passive);
        if list.iter().any(|other| other.index == interface.index) {
            return Err(Status::DUPLICATE_OBJECTID);
        }
        list.push(interface)
    }

    /// Lets an interface be looked up no more.
    pub(crate) fn remove(&self, interface: &Interface, passive: Passive<'_>) {
        let mut list = self.list.write(passive);
        if let Some(at) = list.iter().position(|other| ptr::eq(&**other, interface)) {
            list.swap_remove(at);
        }
    }
}

/// An adapter in generic mode. It outlives its filter module as long as somebody refers to it, but is then removed: nothing
/// attaches to it any more, and nothing of it is in the data path.
pub(crate) struct Interface {
    index: u32,
    filter: Filter,
    services: Arc<Services>,
    control: PushLock<Control>,
    max_frame: AtomicU32,
    /// Frames of ours that are in other drivers' hands; closed while the adapter is paused.
    pub(crate) gate: Gate,
    rx: [Box<[RxQueue]>; 2],
    tx: [Box<[TxQueue]>; 2],
    insertion: Insertion,
    pub(crate) steering: Published<Steering>,
    pub(crate) forwarder: Forwarder,
    chores: SpinLock<Option<Chores>>,
    /// When a direction without users is given up, in units of the interrupt time.
    idle_until: AtomicU64,
    pub(crate) task_offload: SpinLock<Option<TaskOffload>>,
    /// Receive-side scaling.
    pub(crate) rss: Rss,
}

/// What only one thread at a time changes: attaching and detaching happen one after the other.
pub(crate) struct Control {
    removed: bool,
    rx: [Vec<RxControl>; 2],
    tx: [Vec<TxControl>; 2],
    /// Sockets that are bound to receive from queues that do not exist.
    strays: Vec<Arc<Socket>>,
}

fn queues<T>(count: u32, make: impl Fn(u32) -> Result<T>) -> Result<Vec<T>> {
    let mut queues = Vec::with_capacity(crate::TAG, count as usize)?;
    for id in 0..count {
        queues.push(make(id)?)?;
    }
    Ok(queues)
}

impl Interface {
    /// The interface of an adapter.
    pub(crate) fn new(
        index: u32,
        filter: Filter,
        services: Arc<Services>,
        rss: Rss,
    ) -> Result<Self> {
        let count = rss.queue_count();
        let rx = |way| queues(count, |id| RxQueue::new(id, way));
        let tx = |way| queues(count, |id| TxQueue::new(id, way));
        let control = Control {
            removed: false,
            rx: [
                queues(count, |_| Ok(RxControl::new()))?,
                queues(count, |_| Ok(RxControl::new()))?,
            ],
            tx: [
                queues(count, |_| Ok(TxControl::new()))?,
                queues(count, |_| Ok(TxControl::new()))?,
            ],
            strays: Vec::new(crate::TAG),
        };
        Ok(Self {
            index,
            filter,
            services,
            control: PushLock::new(control),
            max_frame: AtomicU32::new(0),
            gate: Gate::closed()?,
            rx: [
                rx(Way::Up)?.into_boxed_slice(),
                rx(Way::Down)?.into_boxed_slice(),
            ],
            tx: [
                tx(Way::Up)?.into_boxed_slice(),
                tx(Way::Down)?.into_boxed_slice(),
            ],
            insertion: Insertion::new()?,
            steering: Published::empty(),
            forwarder: Forwarder::new(filter)?,
            chores: SpinLock::new(None),
            idle_until: AtomicU64::new(0),
            task_offload: SpinLock::new(None),
            rss,
        })
    }

    /// The filter module; only to be used on the data path and where [`Interface::lock`] says that it is there.
    #[inline]
    pub(crate) const fn filter(&self) -> Filter {
        self.filter
    }

    /// The driver's services.
    pub(crate) const fn services(&self) -> &Arc<Services> {
        &self.services
    }

    /// The event provider.
    #[inline]
    pub(crate) fn trace(&self) -> &Trace {
        &self.services.trace
    }

    /// The number of queues.
    pub(crate) fn queue_count(&self) -> u32 {
        self.rx[0].len() as u32
    }

    /// Bytes of the longest frame; 0 when it is not known.
    pub(crate) fn max_frame(&self) -> u32 {
        self.max_frame.load(Ordering::Relaxed)
    }

    /// The queue where frames are inspected.
    #[inline]
    pub(crate) fn rx_queue(&self, way: Way, id: u32) -> Option<&RxQueue> {
        self.rx.get(way.index())?.get(id as usize)
    }

    /// The queue through which sockets send.
    #[inline]
    pub(crate) fn tx_queue(&self, way: Way, id: u32) -> Option<&TxQueue> {
        self.tx.get(way.index())?.get(id as usize)
    }

    fn rx_queues(&self, way: Way) -> impl Iterator<Item = &RxQueue> {
        let queues = self.rx.get(way.index());
        queues.into_iter().flat_map(|queues| queues.iter())
    }

    fn tx_queues(&self) -> impl Iterator<Item = &TxQueue> {
        self.tx.iter().flat_map(|queues| queues.iter())
    }

    /// Waits for one's turn to attach or detach. Fails when the interface is removed.
    fn lock<'a>(&'a self, passive: Passive<'a>) -> Result<PushWriteGuard<'a, Control>> {
        let control = self.control.write(passive);
        if control.removed {
            return Err(Status::DELETE_PENDING);
        }
        Ok(control)
    }

    /// As [`Interface::lock`], for those who are not attached: fails when the adapter has gone or has been reset.
    pub(crate) fn active<'a>(
        &'a self,
        passive: Passive<'a>,
    ) -> Result<PushWriteGuard<'a, Control>> {
        self.lock(passive).map_err(|_| Status::DEVICE_NOT_READY)
    }

    /// Lets frames of ours out that travel that way, to come back by [`Gate::leave`]: unless the adapter is paused, or the
    /// filter is not where they would come back to it. Who has just come waits for that only so long, and rules are in force
    /// before.
    pub(crate) fn let_out(&self, way: Way, frames: u32) -> bool {
        if !self.gate.enter(frames) {
            return false;
        }
        // Inside the gate nothing changes about it.
        let comes_back = self.insertion.brings_back(way);
        if !comes_back {
            self.gate.leave(frames);
        }
        comes_back
    }

    /// Which directions of the data path the filter is to be in from now on.
    pub(crate) fn datapath(&self) -> Datapath {
        self.insertion.datapath()
    }

    /// The adapter runs again: frames of ours may go out, and those who wait for the filter to be inserted go on.
    pub(crate) fn restarted(&self, max_frame: Option<u32>, passive: Passive<'_>) {
        if let Some(max_frame) = max_frame
            && self.max_frame.swap(max_frame, Ordering::Relaxed) != max_frame
        {
            self.drop_transmit(passive);
        }
        self.gate.open();
        self.insertion.installed();
        let raised = nt::irql::Raised::to_dispatch();
        for queue in self.tx_queues() {
            queue.kick(self, raised.token());
        }
    }

    /// The adapter pauses: waits until everything of ours is back.
    pub(crate) fn pause(&self, passive: Passive<'_>) {
        self.gate.close(passive);
    }
}
