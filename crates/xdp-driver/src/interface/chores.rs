//! What system threads do for an interface.

use core::sync::atomic::Ordering;
use core::time::Duration;

use nt::work::{Tick, Timer, Work, WorkItem};
use nt::{Arc, Dispatch, Passive, Result};

use super::{Interface, RxQueue, Way};
use crate::generic::reflect;
use crate::settings::Setting;

/// The kernel counts time in units of 100 ns.
const UNITS_PER_SECOND: u64 = 10_000_000;

/// The chores of an interface. They refer to it, so they have to be given up when it is removed.
pub(super) struct Chores {
    announce: WorkItem<Announce>,
    transmit: WorkItem<Transmit>,
    scaling: WorkItem<Scaling>,
    failing: WorkItem<Failing>,
    idle: Timer<Idle>,
    /// What the timer runs, to be waited for.
    ticks: Arc<Idle>,
}

/// Tells sockets that the adapter's offload changed.
struct Announce {
    interface: Arc<Interface>,
}

impl Work for Announce {
    fn run(&self, passive: Passive<'_>) {
        let Ok(control) = self.interface.lock(passive) else {
            return;
        };
        let receivers = control
            .rx
            .iter()
            .flatten()
            .flat_map(|queue| queue.sockets());
        let senders = control
            .tx
            .iter()
            .flatten()
            .flat_map(|queue| queue.sockets());
        for socket in receivers.chain(senders) {
            socket.offload_changed();
        }
    }
}

/// Goes on with queues whose time was up.
struct Transmit {
    interface: Arc<Interface>,
}

impl Work for Transmit {
    fn run(&self, _passive: Passive<'_>) {
        for queue in self.interface.tx_queues() {
            if queue.unfinished.swap(false, Ordering::AcqRel) {
                let raised = nt::irql::Raised::to_dispatch();
                queue.kick(&self.interface, raised.token());
            }
        }
        for queue in self.interface.rx_queues(Way::Down) {
            if queue.reflected.unfinished.swap(false, Ordering::AcqRel) {
                let raised = nt::irql::Raised::to_dispatch();
                reflect::go_on(&self.interface, queue, raised.token());
            }
        }
    }
}

/// Serves requests about RSS that came at DISPATCH_LEVEL.
struct Scaling {
    interface: Arc<Interface>,
}

impl Work for Scaling {
    fn run(&self, passive: Passive<'_>) {
        self.interface.serve_deferred_rss(passive);
    }
}

/// Takes programs and sockets off the queues on which the network card has broken the rules.
struct Failing {
    interface: Arc<Interface>,
}

impl Work for Failing {
    fn run(&self, passive: Passive<'_>) {
        if let Ok(mut control) = self.interface.lock(passive) {
            self.interface.end_failed(&mut control, passive);
        }
    }
}

/// Runs when a direction of the data path has had no user for some time.
struct Idle {
    expire: WorkItem<Expire>,
}

struct Expire {
    interface: Arc<Interface>,
}

impl Tick for Idle {
    fn tick(&self, _dispatch: Dispatch<'_>) {
        self.expire.queue();
    }
}

impl Work for Expire {
    fn run(&self, passive: Passive<'_>) {
        // The filter module is there while the lock is held and the interface is not removed.
        let Ok(_control) = self.interface.lock(passive) else {
            return;
        };
        // The time may have been set anew since this was queued, or have stood still while the machine was asleep.
        let until = self.interface.idle_until.load(Ordering::Acquire);
        let left = until.saturating_sub(nt::processor::interrupt_time());
        if left != 0 {
            if let Some(chores) = &*self.interface.chores.lock() {
                let left = Duration::from_nanos(left.saturating_mul(100));
                chores.idle.set(left, None);
            }
            return;
        }
        if self.interface.insertion.expire() {
            // Refused, it is tried again when the next last user goes.
            let _ = self.interface.filter.request_restart();
        }
    }
}

impl Interface {
    /// Makes an interface's chores.
    pub(crate) fn start(this: &Arc<Self>) -> Result<()> {
        let device = this.services.devices.common();
        let announce = Announce {
            interface: this.clone(),
        };
        let transmit = Transmit {
            interface: this.clone(),
        };
        let scaling = Scaling {
            interface: this.clone(),
        };
        let failing = Failing {
            interface: this.clone(),
        };
        let expire = Expire {
            interface: this.clone(),
        };
        let tag = crate::TAG;
        let idle = Idle {
            expire: WorkItem::new(tag, device, Arc::new(tag, expire)?)?,
        };
        let ticks = Arc::new(tag, idle)?;
        let chores = Chores {
            announce: WorkItem::new(tag, device, Arc::new(tag, announce)?)?,
            transmit: WorkItem::new(tag, device, Arc::new(tag, transmit)?)?,
            scaling: WorkItem::new(tag, device, Arc::new(tag, scaling)?)?,
            failing: WorkItem::new(tag, device, Arc::new(tag, failing)?)?,
            idle: Timer::new(ticks.clone(), false)?,
            ticks,
        };
        *this.chores.lock() = Some(chores);
        Ok(())
    }

    /// Gives up the chores, and waits for what is queued: it finds the interface removed, but is the driver's code, which
    /// may be unloaded next. The lock is not held: the chores take it.
    pub(super) fn stop(&self, passive: Passive<'_>) {
        let Some(chores) = self.chores.lock().take() else {
            return;
        };
        let Chores {
            announce,
            transmit,
            scaling,
            failing,
            idle,
            ticks,
        } = chores;
        drop(idle);
        while announce.is_pending()
            || transmit.is_pending()
            || scaling.is_pending()
            || failing.is_pending()
            || ticks.expire.is_pending()
        {
            self.rss.rest(passive);
        }
    }

    /// Has the sockets told that the adapter's offload changed. Any level up to DISPATCH_LEVEL.
    pub(crate) fn announce_offload(&self) {
        if let Some(chores) = &*self.chores.lock() {
            chores.announce.queue();
        }
    }

    /// Has unfinished queues gone on with. Any level up to DISPATCH_LEVEL.
    pub(crate) fn continue_later(&self) {
        if let Some(chores) = &*self.chores.lock() {
            chores.transmit.queue();
        }
    }

    /// Frames came on a queue that make no sense: nothing is inspected there until the adapter has been reset. Any level
    /// up to DISPATCH_LEVEL.
    pub(crate) fn fail_queue(&self, queue: &RxQueue) {
        if queue.fail()
            && let Some(chores) = &*self.chores.lock()
        {
            chores.failing.queue();
        }
    }

    /// Has deferred requests about RSS served; `false` when the interface is removed. Any level up to DISPATCH_LEVEL.
    pub(crate) fn serve_rss_later(&self) -> bool {
        let chores = self.chores.lock();
        if let Some(chores) = &*chores {
            chores.scaling.queue();
        }
        chores.is_some()
    }

    /// Starts the time after which a direction without users is given up.
    pub(super) fn linger(&self, passive: Passive<'_>) {
        let timeout = Setting::GENERIC_DELAY_DETACH_TIMEOUT_SEC;
        let seconds = self.services.settings.get(timeout, passive);
        let until = u64::from(seconds).saturating_mul(UNITS_PER_SECOND);
        let until = nt::processor::interrupt_time().saturating_add(until);
        self.idle_until.store(until, Ordering::Release);
        if let Some(chores) = &*self.chores.lock() {
            chores.idle.set(Duration::from_secs(seconds.into()), None);
        }
    }
}
