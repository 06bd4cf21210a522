//! Performance counters: one set for each kind of queue, one instance for each queue that is in use.

use core::sync::atomic::{AtomicU64, Ordering};

use nt::pcw::{Counted, Counter, CounterSet, Instance};
use nt::{Arc, Passive, Result, UnicodeStr};

/// Adds to a counter.
#[inline]
pub(crate) fn count(counter: &AtomicU64, by: u32) {
    if by != 0 {
        counter.fetch_add(u64::from(by), Ordering::Relaxed);
    }
}

/// Declares the counters of a set, in the order of its manifest.
macro_rules! counters {
    ($(#[$doc:meta])* $name:ident, $values:ident: [$($(#[$field_doc:meta])* $field:ident),*]) => {
        #[expect(non_camel_case_types, reason = "the counters have the names of their methods")]
        enum $values {
            $($field,)*
            /// The number of counters.
            all,
        }

        $(#[$doc])*
        pub(crate) struct $name([AtomicU64; $values::all as usize]);

        impl $name {
            const COUNT: usize = $values::all as usize;

            /// All counters at zero.
            pub(crate) const fn new() -> Self {
                Self([const { AtomicU64::new(0) }; $values::all as usize])
            }

            $($(#[$field_doc])*
            #[inline]
            pub(crate) const fn $field(&self) -> &AtomicU64 {
                &self.0[$values::$field as usize]
            })*
        }

        // A counter of the set has a value even when this driver has nothing to count in it.
        const _: fn(&$name) = |counters| {
            $(let _ = counters.$field();)*
        };

        impl Counted for $name {
            fn values(&self) -> &[AtomicU64] {
                &self.0
            }
        }
    };
}

counters! {
    /// What happened on a receive queue, in any mode.
    RxCounters, RxValues: [
        /// Frames delivered to sockets.
        delivered,
        /// Frames for sockets that had no room.
        undelivered,
        /// Fill entries out of range.
        invalid_descriptors,
        /// Frames cut to the size of a chunk.
        truncated,
        /// Frames that a rule or no rule let pass.
        passed,
        /// Frames that a rule dropped.
        dropped,
        /// Frames that a rule gave to a socket.
        redirected,
        /// Frames that a rule sent back.
        forwarded,
        /// Batches inspected.
        batches,
        /// Frames of several buffers.
        discontiguous,
        /// Frames for sockets that are not active on this queue. From here on counters are this driver's own.
        misdirected
    ]
}

counters! {
    /// What happened on a receive queue of generic mode.
    GenericRxCounters, GenericRxValues: [
        /// Frames with memory that could not be mapped.
        mapping_failures,
        /// Frames that could not be made contiguous. They need not be, so this stays zero.
        linearization_failures,
        /// Frames to be sent back for which there was no memory.
        forward_no_memory,
        /// Frames to be sent back above the limit.
        forward_limit,
        /// Coalesced frames to be sent back whose headers make no sense.
        forward_rsc_invalid,
        /// Frames to be sent back.
        forward_requested,
        /// Frames sent back.
        forward_sent,
        /// Lists looped back, which are not inspected.
        loopback_skipped,
        /// Frames to be sent back that are shorter than their addresses. From here on counters are this driver's own.
        forward_short,
        /// Frames to be sent back while the adapter was paused.
        forward_paused,
        /// Frames sent back that the network card did not send.
        forward_failed,
        /// Frames whose memory is shorter than they claim to be, and lists without a frame.
        malformed
    ]
}

counters! {
    /// What happened on a transmit queue, in any mode.
    TxCounters, TxValues: [
        /// Descriptors that were refused.
        invalid_descriptors,
        /// Batches sent.
        batches,
        /// Frames on the way.
        depth
    ]
}

counters! {
    /// What happened on a transmit queue of generic mode.
    GenericTxCounters, GenericTxValues: [
        /// Frames dropped because the adapter was paused.
        dropped_pause,
        /// Frames that the network card did not send.
        dropped_nic,
        /// Frames whose checksum wish made no sense.
        bad_checksums
    ]
}

/// The registered counter sets.
pub(crate) struct CounterSets {
    /// Of queues where frames are inspected.
    pub(crate) rx: QueueSets,
    /// Of queues through which sockets send.
    pub(crate) tx: QueueSets,
}

/// The sets of one kind of queue: in any mode, and in generic mode.
pub(crate) struct QueueSets {
    common: Arc<CounterSet>,
    generic: Arc<CounterSet>,
}

/// The most counters of a set.
const MAX_COUNTERS: usize = 16;

fn register(name: &'static [u16], count: usize, passive: Passive<'_>) -> Result<Arc<CounterSet>> {
    let mut counters = [Counter { id: 0, index: 0 }; MAX_COUNTERS];
    for (index, counter) in (0_u16..).zip(&mut counters) {
        // Manifests number from one.
        *counter = Counter {
            id: index + 1,
            index,
        };
    }
    let counters = counters.get(..count).unwrap_or_default();
    let set = CounterSet::register(crate::TAG, UnicodeStr::new(name)?, counters, passive)?;
    Arc::new(crate::TAG, set)
}

impl CounterSets {
    /// Registers the sets.
    pub(crate) fn register(passive: Passive<'_>) -> Result<Self> {
        let rx = QueueSets {
            common: register(nt::utf16!("XDP Receive Queue"), RxCounters::COUNT, passive)?,
            generic: register(
                nt::utf16!("XDP LWF Receive Queue"),
                GenericRxCounters::COUNT,
                passive,
            )?,
        };
        let tx = QueueSets {
            common: register(nt::utf16!("XDP Transmit Queue"), TxCounters::COUNT, passive)?,
            generic: register(
                nt::utf16!("XDP LWF Transmit Queue"),
                GenericTxCounters::COUNT,
                passive,
            )?,
        };
        Ok(Self { rx, tx })
    }
}

/// The name of a queue's instances.
#[derive(Clone, Copy)]
pub(crate) struct QueueName {
    pub(crate) if_index: u32,
    pub(crate) queue: u32,
    /// What tells a queue of an unusual hook from the usual one.
    pub(crate) suffix: &'static str,
}

/// UTF-16 text of a bounded length.
struct Text {
    units: [u16; 48],
    len: usize,
}

impl Text {
    fn push(&mut self, byte: u8) {
        if let Some(unit) = self.units.get_mut(self.len) {
            *unit = byte.into();
            self.len += 1;
        }
    }

    fn push_str(&mut self, text: &str) {
        for byte in text.bytes() {
            self.push(byte);
        }
    }

    fn push_number(&mut self, number: u32) {
        let mut divisor = 1_000_000_000;
        let mut started = false;
        while divisor != 0 {
            let digit = number / divisor % 10;
            started |= digit != 0 || divisor == 1;
            if started {
                self.push(b'0' + digit as u8);
            }
            divisor /= 10;
        }
    }
}

impl QueueName {
    fn text(self) -> Text {
        let mut text = Text {
            units: [0; 48],
            len: 0,
        };
        text.push_str("if_");
        text.push_number(self.if_index);
        text.push_str("_queue_");
        text.push_number(self.queue);
        text.push_str(self.suffix);
        text
    }
}

/// The instances of a queue.
pub(crate) struct Instances<C: Counted, G: Counted> {
    _common: Instance<C>,
    _generic: Instance<G>,
}

impl QueueSets {
    /// Publishes a queue's counters, from zero.
    pub(crate) fn publish<C: Counted, G: Counted>(
        &self,
        name: QueueName,
        common: &Arc<C>,
        generic: &Arc<G>,
        passive: Passive<'_>,
    ) -> Result<Instances<C, G>> {
        for counter in common.values().iter().chain(generic.values()) {
            counter.store(0, Ordering::Relaxed);
        }
        let text = name.text();
        let name = UnicodeStr::new(text.units.get(..text.len).unwrap_or_default())?;
        Ok(Instances {
            _common: Instance::create(&self.common, name, common.clone(), passive)?,
            _generic: Instance::create(&self.generic, name, generic.clone(), passive)?,
        })
    }
}
