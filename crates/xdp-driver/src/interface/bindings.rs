//! What is on the queues of an interface, and binding sockets to them.

use core::ptr;

use nt::{Arc, Box, Passive, Result, Status, Vec};

use super::insertion::Use;
use super::{Control, Hook, Interface, RxQueue, TxQueue, Way};
use crate::counters::{
    GenericRxCounters, GenericTxCounters, Instances, QueueName, RxCounters, TxCounters,
};
use crate::program::Plan;
use crate::socket::Socket;

/// What is on a queue where frames are inspected.
pub(super) struct RxControl {
    instances: Option<Instances<RxCounters, GenericRxCounters>>,
    pub(super) standby: Option<Box<Plan>>,
    pub(super) programs: u32,
    sockets: Vec<Arc<Socket>>,
    offloads: RxOffloads,
}

/// What is on a queue through which sockets send.
pub(super) struct TxControl {
    instances: Option<Instances<TxCounters, GenericTxCounters>>,
    sockets: Vec<Arc<Socket>>,
    offloads: TxOffloads,
    activated: bool,
}

/// What the sockets of a queue want to know about received frames.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct RxOffloads {
    pub(crate) checksum: bool,
    pub(crate) timestamp: bool,
}

/// What the sockets of a queue want done to frames sent.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct TxOffloads {
    pub(crate) checksum: bool,
    pub(crate) timestamp: bool,
}

impl RxControl {
    pub(super) const fn new() -> Self {
        Self {
            instances: None,
            standby: None,
            programs: 0,
            sockets: Vec::new(crate::TAG),
            offloads: RxOffloads {
                checksum: false,
                timestamp: false,
            },
        }
    }

    pub(super) const fn programs(&self) -> u32 {
        self.programs
    }

    pub(super) fn sockets(&self) -> &[Arc<Socket>] {
        &self.sockets
    }

    /// What was set for a queue goes with the last who uses it.
    pub(super) fn forget_if_unused(&mut self) {
        if self.programs == 0 && self.sockets.is_empty() {
            self.offloads = RxOffloads::default();
            self.instances = None;
        }
    }
}

impl TxControl {
    pub(super) const fn new() -> Self {
        Self {
            instances: None,
            sockets: Vec::new(crate::TAG),
            offloads: TxOffloads {
                checksum: false,
                timestamp: false,
            },
            activated: false,
        }
    }

    pub(super) fn sockets(&self) -> &[Arc<Socket>] {
        &self.sockets
    }
}

/// A queue of a direction, with what is on it.
fn parts<'a, Queue, On>(
    queues: &'a [Box<[Queue]>; 2],
    on: &'a mut [Vec<On>; 2],
    way: Way,
    id: u32,
) -> Result<(&'a Queue, &'a mut On)> {
    let at = id as usize;
    let queue = queues.get(way.index()).and_then(|queues| queues.get(at));
    let on = on.get_mut(way.index()).and_then(|on| on.get_mut(at));
    queue.zip(on).ok_or(Status::INVALID_PARAMETER)
}

fn take(sockets: &mut Vec<Arc<Socket>>, socket: &Socket) {
    if let Some(at) = sockets.iter().position(|other| ptr::eq(&**other, socket)) {
        sockets.swap_remove(at);
    }
}

/// Which directions of the data path a user of a hook needs.
const fn needs(hook: Hook) -> Use {
    match hook {
        Hook { inspects: true, .. } => Use {
            receive: true,
            send: true,
        },
        Hook { way: Way::Up, .. } => Use {
            receive: true,
            send: false,
        },
        Hook { way: Way::Down, .. } => Use {
            receive: false,
            send: true,
        },
    }
}

impl Interface {
    pub(super) fn rx_parts<'a>(
        &'a self,
        control: &'a mut Control,
        way: Way,
        id: u32,
    ) -> Result<(&'a RxQueue, &'a mut RxControl)> {
        parts(&self.rx, &mut control.rx, way, id)
    }

    fn tx_parts<'a>(
        &'a self,
        control: &'a mut Control,
        way: Way,
        id: u32,
    ) -> Result<(&'a TxQueue, &'a mut TxControl)> {
        parts(&self.tx, &mut control.tx, way, id)
    }

    /// What the counters of a queue are published as; queues of the unusual hooks have a suffix.
    const fn queue_name(&self, hook: Hook, queue: u32) -> QueueName {
        let suffix = match (hook.way, hook.inspects) {
            (Way::Up, true) | (Way::Down, false) => "",
            (Way::Down, true) => "_tx",
            (Way::Up, false) => "_rx",
        };
        QueueName {
            if_index: self.index,
            queue,
            suffix,
        }
    }

    /// Publishes the counters of a queue that gets its first user.
    pub(super) fn publish_rx(
        &self,
        queue: &RxQueue,
        on: &mut RxControl,
        passive: Passive<'_>,
    ) -> Result<()> {
        if on.instances.is_none() {
            let hook = Hook {
                way: queue.way(),
                inspects: true,
            };
            let name = self.queue_name(hook, queue.id());
            let sets = &self.services.counters.rx;
            let (common, generic) = (&queue.counters, &queue.generic);
            on.instances = Some(sets.publish(name, common, generic, passive)?);
        }
        Ok(())
    }

    /// As [`Interface::publish_rx`].
    fn publish_tx(&self, queue: &TxQueue, on: &mut TxControl, passive: Passive<'_>) -> Result<()> {
        if on.instances.is_none() {
            let hook = Hook {
                way: queue.way(),
                inspects: false,
            };
            let name = self.queue_name(hook, queue.id());
            let sets = &self.services.counters.tx;
            let (common, generic) = (&queue.counters, &queue.generic);
            on.instances = Some(sets.publish(name, common, generic, passive)?);
        }
        Ok(())
    }

    /// Notes a user of a hook; whether the filter has to be restarted for it. The lock is held.
    pub(crate) fn begin_use(&self, hook: Hook) -> bool {
        let missing = self.insertion.acquire(needs(hook));
        // The adapter is there while the lock is held; the restart itself comes later.
        missing && self.filter.request_restart().is_ok()
    }

    pub(crate) fn wait_inserted(&self, hook: Hook, restart: bool, passive: Passive<'_>) {
        if restart {
            self.insertion.wait(needs(hook), passive);
        }
    }

    /// Takes back a [`Interface::begin_use`].
    pub(crate) fn end_use(&self, hook: Hook, passive: Passive<'_>) {
        if self.insertion.release(needs(hook)) {
            self.linger(passive);
        }
    }

    /// Binds a socket to a queue for receiving. Whether there is such a queue shows only when a program is attached.
    pub(crate) fn bind_rx(
        &self,
        way: Way,
        id: u32,
        socket: &Arc<Socket>,
        passive: Passive<'_>,
    ) -> Result<()> {
        let mut control = self.lock(passive)?;
        match self.rx_parts(&mut control, way, id) {
            Ok((queue, _)) if queue.has_failed() => Err(Status::DEVICE_DATA_ERROR),
            Ok((queue, on)) => {
                self.publish_rx(queue, on, passive)?;
                let bound = on.sockets.push(socket.clone());
                on.forget_if_unused();
                bound
            }
            Err(_) => control.strays.push(socket.clone()),
        }
    }

    /// Takes back a [`Interface::bind_rx`].
    pub(crate) fn unbind_rx(&self, way: Way, id: u32, socket: &Socket, passive: Passive<'_>) {
        let mut control = self.control.write(passive);
        match self.rx_parts(&mut control, way, id) {
            Ok((_, on)) => {
                take(&mut on.sockets, socket);
                on.forget_if_unused();
            }
            Err(_) => take(&mut control.strays, socket),
        }
    }

    /// Binds a socket to a queue for sending.
    pub(crate) fn bind_tx(
        &self,
        way: Way,
        id: u32,
        socket: &Arc<Socket>,
        passive: Passive<'_>,
    ) -> Result<()> {
        let hook = Hook {
            way,
            inspects: false,
        };
        let restart = {
            let mut control = self.lock(passive)?;
            let (queue, on) = self.tx_parts(&mut control, way, id)?;
            on.sockets.push(socket.clone())?;
            let bound = self
                .publish_tx(queue, on, passive)
                .and_then(|()| queue.bind(self, socket, passive));
            if let Err(status) = bound {
                on.sockets.pop();
                if on.sockets.is_empty() {
                    *on = TxControl::new();
                }
                return Err(status);
            }
            self.begin_use(hook)
        };
        self.wait_inserted(hook, restart, passive);
        Ok(())
    }

    /// Takes back a [`Interface::bind_tx`]; waits until the socket's frames are back.
    pub(crate) fn unbind_tx(&self, way: Way, id: u32, socket: &Socket, passive: Passive<'_>) {
        let mut control = self.control.write(passive);
        let Ok((queue, on)) = self.tx_parts(&mut control, way, id) else {
            return;
        };
        if queue.unbind(self, socket, passive) {
            take(&mut on.sockets, socket);
            if on.sockets.is_empty() {
                *on = TxControl::new();
            }
            if !control.removed {
                self.end_use(
                    Hook {
                        way,
                        inspects: false,
                    },
                    passive,
                );
            }
        }
    }

    /// Has a queue's frames come with what a socket wants to know.
    pub(crate) fn enable_rx_offload(
        &self,
        way: Way,
        id: u32,
        enable: impl Fn(&mut RxOffloads) -> &mut bool,
        passive: Passive<'_>,
    ) -> Result<()> {
        let mut control = self.lock(passive)?;
        let Ok((_, on)) = self.rx_parts(&mut control, way, id) else {
            return Ok(());
        };
        let programs = on.programs;
        let offload = enable(&mut on.offloads);
        if !*offload && programs != 0 {
            return Err(Status::INVALID_DEVICE_STATE);
        }
        *offload = true;
        Ok(())
    }

    /// Has a queue do what a socket wants done to frames.
    pub(crate) fn enable_tx_offload(
        &self,
        way: Way,
        id: u32,
        enable: impl Fn(&mut TxOffloads) -> &mut bool,
        passive: Passive<'_>,
    ) -> Result<()> {
        let mut control = self.lock(passive)?;
        let (_, on) = self.tx_parts(&mut control, way, id)?;
        let activated = on.activated;
        let offload = enable(&mut on.offloads);
        if !*offload && activated {
            return Err(Status::INVALID_DEVICE_STATE);
        }
        *offload = true;
        Ok(())
    }

    /// Runs the last step of a socket's activation, unless the interface is removed.
    pub(crate) fn activate(
        &self,
        tx: Option<(Way, u32)>,
        commit: impl FnOnce(),
        passive: Passive<'_>,
    ) -> Result<()> {
        let mut control = self.lock(passive)?;
        if let Some((way, id)) = tx {
            self.tx_parts(&mut control, way, id)?.1.activated = true;
        }
        commit();
        Ok(())
    }

    /// Takes every socket off the transmit queues: what they were made for, the longest frame, is no longer true.
    pub(super) fn drop_transmit(&self, passive: Passive<'_>) {
        let mut control = self.control.write(passive);
        self.end_transmit(&mut control, passive);
    }

    fn end_transmit(&self, control: &mut Control, passive: Passive<'_>) {
        for way in [Way::Up, Way::Down] {
            for id in 0..self.queue_count() {
                let Ok((queue, on)) = self.tx_parts(control, way, id) else {
                    continue;
                };
                let gone = core::mem::replace(on, TxControl::new());
                queue.evict(self, passive);
                for _ in 0..gone.sockets.len() {
                    self.end_use(
                        Hook {
                            way,
                            inspects: false,
                        },
                        passive,
                    );
                }
            }
        }
    }

    /// Takes programs and sockets off the queues that have failed, as if their interface had gone.
    pub(super) fn end_failed(&self, control: &mut Control, passive: Passive<'_>) {
        self.end_inspection(control, RxQueue::has_failed, passive);
    }

    fn end_inspection(
        &self,
        control: &mut Control,
        which: impl Fn(&RxQueue) -> bool,
        passive: Passive<'_>,
    ) {
        for way in [Way::Up, Way::Down] {
            for id in 0..self.queue_count() {
                let Ok((queue, on)) = self.rx_parts(control, way, id) else {
                    continue;
                };
                if which(queue) {
                    queue.clear(passive);
                    on.standby = None;
                    on.programs = 0;
                    for socket in &on.sockets {
                        socket.lose_rx();
                    }
                }
            }
        }
    }

    /// Removes the interface: sockets and programs are detached, and nothing attaches any more.
    pub(crate) fn remove(&self, passive: Passive<'_>) {
        self.services().interfaces.remove(self, passive);
        let mut control = self.control.write(passive);
        if control.removed {
            return;
        }
        self.end_transmit(&mut control, passive);
        control.removed = true;
        self.end_inspection(&mut control, |_| true, passive);
        for on in control.rx.iter_mut().flat_map(|on| on.iter_mut()) {
            on.instances = None;
        }
        for socket in &control.strays {
            socket.lose_rx();
        }
        drop(control);
        self.stop(passive);
        // Frames that were sent back are on their way still.
        self.gate.close(passive);
        for queue in self.rx.iter().flat_map(|queues| queues.iter()) {
            queue.reflected.clear();
            let kept = queue.kept.lock().take();
            drop(kept);
        }
        self.forwarder.close();
    }
}
