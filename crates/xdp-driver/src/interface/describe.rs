//! An interface as administrators see it.

use core::sync::atomic::{AtomicU64, Ordering};

use nt::Passive;
use nt::pcw::Counted;
use xdp_abi::hook::{Direction, HookId, Layer, SubLayer};
use xdp_abi::inventory;

use super::{Hook, Interface, Way};
use crate::control::List;

impl Hook {
    /// The hook's identifier.
    pub(crate) const fn id(self) -> HookId {
        HookId {
            layer: Layer::L2,
            direction: match self.way {
                Way::Up => Direction::RX,
                Way::Down => Direction::TX,
            },
            sub_layer: if self.inspects {
                SubLayer::INSPECT
            } else {
                SubLayer::INJECT
            },
        }
    }
}

/// The first counters of a set.
fn read<const N: usize>(counters: &[AtomicU64]) -> [u64; N] {
    let mut values = [0; N];
    for (value, counter) in values.iter_mut().zip(counters) {
        *value = counter.load(Ordering::Relaxed);
    }
    values
}

impl Interface {
    /// Its index.
    pub(crate) const fn index(&self) -> u32 {
        self.index
    }

    /// Lists the interface and its queues.
    pub(crate) fn describe(&self, list: &mut List<'_>, passive: Passive<'_>) {
        list.add(&inventory::Interface {
            header: inventory::Interface::HEADER,
            if_index: self.index,
            mode: inventory::MODE_GENERIC,
            queue_count: self.queue_count(),
            max_frame: self.max_frame(),
        });
        let control = self.control.read(passive);
        for way in [Way::Up, Way::Down] {
            let queues = self.rx.get(way.index()).into_iter();
            let on = control.rx.get(way.index()).into_iter();
            let inspects = true;
            for (queue, on) in queues
                .flat_map(|queues| queues.iter())
                .zip(on.flat_map(|on| on.iter()))
            {
                list.add(&inventory::RxQueue {
                    header: inventory::RxQueue::HEADER,
                    if_index: self.index,
                    queue: queue.id(),
                    hook: Hook { way, inspects }.id(),
                    programs: on.programs(),
                    sockets: on.sockets().len() as u32,
                    failed: queue.has_failed().into(),
                    counters: read(queue.counters.values()),
                    generic_counters: read(queue.generic.values()),
                    misdirected: queue.counters.misdirected().load(Ordering::Relaxed),
                    forward_short: queue.generic.forward_short().load(Ordering::Relaxed),
                    forward_paused: queue.generic.forward_paused().load(Ordering::Relaxed),
                    forward_failed: queue.generic.forward_failed().load(Ordering::Relaxed),
                    malformed: queue.generic.malformed().load(Ordering::Relaxed),
                });
            }
            let queues = self.tx.get(way.index()).into_iter();
            let on = control.tx.get(way.index()).into_iter();
            let inspects = false;
            for (queue, on) in queues
                .flat_map(|queues| queues.iter())
                .zip(on.flat_map(|on| on.iter()))
            {
                list.add(&inventory::TxQueue {
                    header: inventory::TxQueue::HEADER,
                    if_index: self.index,
                    queue: queue.id(),
                    hook: Hook { way, inspects }.id(),
                    sockets: on.sockets().len() as u32,
                    counters: read(queue.counters.values()),
                    generic_counters: read(queue.generic.values()),
                });
            }
        }
    }
}
