//! The two ends of a NIC: the wire below the miniport and the stack above the filters.

use std::{
    collections::VecDeque,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering},
    },
};

use crate::sync::Mutex;
use nt::sys::NET_BUFFER_LIST;

use super::{buffers, device::Device, frame::Frame};
use crate::ndis::{
    nbl::{self, Nbl},
    raw::get,
    signal::Signal,
};

/// What an end has seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Frames that the end put into the NIC.
    pub sent: u64,
    /// Bytes of these.
    pub sent_bytes: u64,
    /// Frames that came out of the NIC at this end.
    pub received: u64,
    /// Bytes of these.
    pub received_bytes: u64,
    /// Frames that the end put in and that nobody took (paused, no memory).
    pub dropped: u64,
}

#[derive(Default)]
struct Counts {
    sent: AtomicU64,
    sent_bytes: AtomicU64,
    received: AtomicU64,
    received_bytes: AtomicU64,
    dropped: AtomicU64,
}

/// What becomes of NBLs that reach an end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Giving {
    /// They go back at once.
    AtOnce,
    /// They are kept until told otherwise.
    Held,
    /// They go back one by one in another order, from a DPC.
    Shuffled,
}

/// One end of a NIC.
pub(crate) struct End {
    counts: Counts,
    collect: AtomicBool,
    giving: AtomicU8,
    frames: Mutex<VecDeque<Frame>>,
    arrived: Signal,
    pub(crate) held: Mutex<Vec<usize>>,
    /// NBLs that are held, or on their way back from there.
    pub(crate) held_count: std::sync::atomic::AtomicI64,
    pub(crate) device: Option<Arc<dyn Device>>,
    /// Frames that cannot be read are left out: the NIC makes some on purpose.
    pub(crate) lenient: bool,
}

impl End {
    pub(crate) fn new(device: Option<Arc<dyn Device>>, lenient: bool) -> End {
        End {
            counts: Counts::default(),
            collect: AtomicBool::new(device.is_none()),
            giving: AtomicU8::new(Giving::AtOnce as u8),
            frames: Mutex::new(VecDeque::new()),
            arrived: Signal::new(),
            held: Mutex::new(Vec::new()),
            held_count: std::sync::atomic::AtomicI64::new(0),
            device,
            lenient,
        }
    }

    pub(crate) fn giving(&self) -> Giving {
        match self.giving.load(Ordering::Acquire) {
            0 => Giving::AtOnce,
            1 => Giving::Held,
            _ => Giving::Shuffled,
        }
    }

    pub(crate) fn set_giving(&self, giving: Giving) {
        self.giving.store(giving as u8, Ordering::Release);
    }

    /// Whether frames are kept for the test, or only counted.
    pub(crate) fn set_collect(&self, collect: bool) {
        self.collect.store(collect, Ordering::Release);
    }

    pub(crate) fn counters(&self) -> Counters {
        let get = |c: &AtomicU64| c.load(Ordering::Relaxed);
        Counters {
            sent: get(&self.counts.sent),
            sent_bytes: get(&self.counts.sent_bytes),
            received: get(&self.counts.received),
            received_bytes: get(&self.counts.received_bytes),
            dropped: get(&self.counts.dropped),
        }
    }

    pub(crate) fn note_sent(&self, frames: u64, bytes: u64) {
        self.counts.sent.fetch_add(frames, Ordering::Relaxed);
        self.counts.sent_bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(crate) fn note_dropped(&self, frames: u64) {
        self.counts.dropped.fetch_add(frames, Ordering::Relaxed);
    }

    /// Takes the frames of a chain that reached this end. The NBLs still belong to the caller.
    #[inline]
    pub(crate) fn accept(&self, chain: *mut NET_BUFFER_LIST) {
        let (mut frames, mut bytes) = (0, 0);
        for nbl in nbl::chain(chain) {
            for nb in nbl::buffers(nbl) {
                frames += 1;
                bytes += u64::from(get!(nb => DataLength));
            }
        }
        self.counts.received.fetch_add(frames, Ordering::Relaxed);
        self.counts
            .received_bytes
            .fetch_add(bytes, Ordering::Relaxed);
        if self.device.is_some() || self.collect.load(Ordering::Relaxed) {
            self.keep(chain);
        }
    }

    fn keep(&self, chain: Nbl) {
        let mut batch = Vec::new();
        for nbl in nbl::chain(chain) {
            for nb in nbl::buffers(nbl) {
                if !self.lenient || buffers::is_readable(nb) {
                    batch.push(buffers::frame_of(nbl, nb));
                }
            }
        }
        if let Some(device) = &self.device {
            let sent = device.transmit(&batch);
            self.note_dropped((batch.len() - sent) as u64);
        }
        if self.collect.load(Ordering::Relaxed) {
            self.frames.lock().extend(batch);
            self.arrived.set();
        }
    }

    /// The next collected frame, if there is one.
    pub(crate) fn take(&self) -> Option<Frame> {
        let mut frames = self.frames.lock();
        let frame = frames.pop_front()?;
        let empty = frames.is_empty();
        drop(frames);
        if empty {
            self.note_empty();
        }
        Some(frame)
    }

    /// All collected frames, in their order.
    pub(crate) fn take_all(&self) -> VecDeque<Frame> {
        let frames = std::mem::take(&mut *self.frames.lock());
        if !frames.is_empty() {
            self.note_empty();
        }
        frames
    }

    /// The last collected frame was taken.
    fn note_empty(&self) {
        self.arrived.clear();
        // A frame may have come between the look and the clearing.
        if !self.frames.lock().is_empty() {
            self.arrived.set();
        }
    }

    /// Waits up to `timeout` (in 100 ns) for a frame.
    pub(crate) fn wait(&self, timeout: i64) -> Option<Frame> {
        let clock = &crate::kernel::kernel().clock;
        let deadline = clock.now() + timeout;
        loop {
            if let Some(frame) = self.take() {
                return Some(frame);
            }
            let left = deadline - clock.now();
            if left <= 0 || !self.arrived.wait(Some(left)) {
                return self.take();
            }
        }
    }
}
