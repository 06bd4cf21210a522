//! Which queue a frame belongs to: a mirror of the network card's receive-side scaling.

use nt::processor::{self, ProcessorNumber};
use nt::sys::PROCESSOR_NUMBER;
use nt::{Box, Dispatch};

use super::rss::ENTRIES;
use crate::interface::{Interface, Way};

/// Which queue a hash leads to.
pub(crate) struct Steering {
    /// Queue of each entry of the indirection table.
    table: [u8; ENTRIES],
    /// Entries less one, a mask for hashes.
    mask: u32,
    /// Home of each queue that the table leads to.
    homes: [Home; ENTRIES],
    /// How many there are.
    used: usize,
}

/// Where a queue is.
#[derive(Clone, Copy)]
struct Home {
    /// Index of the processor.
    processor: u32,
    /// The first hash that leads to it.
    hash: u32,
}

impl Steering {
    /// All frames in queue 0.
    pub(super) const fn single() -> Self {
        Self {
            table: [0; ENTRIES],
            mask: 0,
            homes: [Home {
                processor: 0,
                hash: 0,
            }; ENTRIES],
            used: 1,
        }
    }

    /// The steering of a table of processors: queues are numbered in the order in which their processors appear. `None`
    /// when the table has more processors than there are queues, or makes no sense.
    pub(super) fn of_table(
        table: impl ExactSizeIterator<Item = PROCESSOR_NUMBER>,
        queues: u32,
    ) -> Option<Self> {
        let mut steering = Self::single();
        let len = table.len();
        if !len.is_power_of_two() || len > ENTRIES {
            return None;
        }
        steering.mask = len as u32 - 1;
        steering.used = 0;
        for (hash, number) in table.enumerate() {
            let processor = ProcessorNumber::from_raw(number).index()?;
            let known = steering.homes.get(..steering.used)?;
            let queue = match known.iter().position(|home| home.processor == processor) {
                Some(queue) => queue,
                None => {
                    let hash = hash as u32;
                    *steering.homes.get_mut(steering.used)? = Home { processor, hash };
                    steering.used += 1;
                    steering.used - 1
                }
            };
            *steering.table.get_mut(hash)? = queue as u8;
        }
        (steering.used <= queues as usize).then_some(steering)
    }

    fn queue_of(&self, hash: u32, way: Way) -> u32 {
        if hash == 0 && self.mask != 0 && way == Way::Up {
            let current = processor::current_index();
            let homes = self.homes.get(..self.used).unwrap_or_default();
            let here = homes.iter().position(|home| home.processor == current);
            return here.unwrap_or(0) as u32;
        }
        let entry = self.table.get((hash & self.mask) as usize);
        entry.copied().unwrap_or(0).into()
    }
}

impl Interface {
    /// The queue of frames with a hash.
    #[inline]
    pub(super) fn queue_of(&self, hash: u32, way: Way, dispatch: Dispatch<'_>) -> u32 {
        self.steering
            .read(dispatch)
            .map_or(0, |steering| steering.queue_of(hash, way))
    }

    /// A hash that leads to a queue.
    pub(super) fn hash_of(&self, queue: u32, dispatch: Dispatch<'_>) -> u32 {
        self.steering
            .read(dispatch)
            .and_then(|steering| {
                let homes = steering.homes.get(..steering.used)?;
                homes.get(queue as usize)
            })
            .map_or(0, |home| home.hash)
    }

    /// Replaces the steering. Below DISPATCH_LEVEL.
    pub(super) fn steer(&self, steering: Box<Steering>) {
        drop(self.steering.swap_later(Some(steering)));
    }
}
