//! What `xdp status` lists.

use serde::Serialize;
use xdp_abi::hook::{Direction, HookId, SubLayer};
use xdp_abi::inventory as list;

use crate::output::Record;

/// A hook as people call it.
pub(crate) fn hook_name(hook: HookId) -> &'static str {
    match (hook.direction, hook.sub_layer) {
        (Direction::RX, SubLayer::INSPECT) => "receive",
        (Direction::TX, SubLayer::INSPECT) => "transmit",
        (Direction::RX, SubLayer::INJECT) => "into the stack",
        (Direction::TX, SubLayer::INJECT) => "to the wire",
        _ => "unknown",
    }
}

/// A process as people look for it.
fn owner(process: u64, name: Option<&str>) -> String {
    match name {
        Some(name) => format!("{process} {name}"),
        None => process.to_string(),
    }
}

fn dash(text: Option<String>) -> String {
    text.unwrap_or_else(|| "-".into())
}

#[derive(Serialize)]
pub(super) struct InterfaceRecord {
    interface: String,
    index: u32,
    mode: &'static str,
    queues: u32,
    longest_frame_bytes: Option<u32>,
}

impl Record for InterfaceRecord {
    const KIND: &'static str = "interface";
    const LABELS: &'static [&'static str] = &["interface", "index", "mode"];
}

impl InterfaceRecord {
    pub(super) fn new(it: &list::Interface, interface: String) -> Self {
        Self {
            interface,
            index: it.if_index,
            mode: match it.mode {
                list::MODE_GENERIC => "generic",
                _ => "native",
            },
            queues: it.queue_count,
            longest_frame_bytes: (it.max_frame != 0).then_some(it.max_frame),
        }
    }

    pub(super) fn cells(&self) -> [String; 5] {
        [
            self.interface.clone(),
            self.index.to_string(),
            self.mode.to_owned(),
            self.queues.to_string(),
            dash(self.longest_frame_bytes.map(|size| size.to_string())),
        ]
    }
}

#[derive(Serialize)]
pub(super) struct ProgramRecord {
    id: u64,
    process: u64,
    process_name: Option<String>,
    interface: String,
    /// None for all.
    queue: Option<u32>,
    hook: &'static str,
    rules: u32,
    attached: bool,
}

impl Record for ProgramRecord {
    const KIND: &'static str = "program";
    const LABELS: &'static [&'static str] = &[
        "id",
        "process",
        "process_name",
        "interface",
        "queue",
        "hook",
    ];
}

impl ProgramRecord {
    pub(super) fn new(
        it: &list::Program,
        interface: String,
        queue: Option<u32>,
        process_name: Option<String>,
    ) -> Self {
        Self {
            id: it.id,
            process: it.process,
            process_name,
            interface,
            queue,
            hook: hook_name(it.hook),
            rules: it.rules,
            attached: it.is_attached != 0,
        }
    }

    pub(super) fn cells(&self) -> [String; 7] {
        [
            self.interface.clone(),
            self.queue
                .map_or_else(|| "all".into(), |queue| queue.to_string()),
            self.hook.to_owned(),
            self.rules.to_string(),
            if self.attached {
                "attached"
            } else {
                "detached"
            }
            .to_owned(),
            owner(self.process, self.process_name.as_deref()),
            self.id.to_string(),
        ]
    }
}

/// Where a socket is bound to.
type Bound = (Option<String>, Option<u32>);

#[derive(Serialize)]
pub(super) struct SocketRecord {
    id: u64,
    process: u64,
    process_name: Option<String>,
    state: &'static str,
    rx_interface: Option<String>,
    rx_queue: Option<u32>,
    tx_interface: Option<String>,
    tx_queue: Option<u32>,
    rx_dropped: u64,
    rx_truncated: u64,
    rx_invalid_descriptors: u64,
    tx_invalid_descriptors: u64,
}

impl Record for SocketRecord {
    const KIND: &'static str = "socket";
    const LABELS: &'static [&'static str] = &[
        "id",
        "process",
        "process_name",
        "state",
        "rx_interface",
        "rx_queue",
        "tx_interface",
        "tx_queue",
    ];
    const COUNTERS: &'static [&'static str] = &[
        "rx_dropped",
        "rx_truncated",
        "rx_invalid_descriptors",
        "tx_invalid_descriptors",
    ];
}

impl SocketRecord {
    pub(super) fn new(
        it: &list::Socket,
        rx: Bound,
        tx: Bound,
        process_name: Option<String>,
    ) -> Self {
        const STATES: [&str; 7] = [
            "unbound",
            "binding",
            "bound",
            "activating",
            "active",
            "detached",
            "closing",
        ];
        Self {
            id: it.id,
            process: it.process,
            process_name,
            state: STATES.get(it.state as usize).copied().unwrap_or("unknown"),
            rx_interface: rx.0,
            rx_queue: rx.1,
            tx_interface: tx.0,
            tx_queue: tx.1,
            rx_dropped: it.statistics.rx_dropped,
            rx_truncated: it.statistics.rx_truncated,
            rx_invalid_descriptors: it.statistics.rx_invalid_descriptors,
            tx_invalid_descriptors: it.statistics.tx_invalid_descriptors,
        }
    }

    pub(super) fn cells(&self) -> [String; 9] {
        let place = |interface: &Option<String>, queue: Option<u32>| match (interface, queue) {
            (Some(interface), Some(queue)) => format!("{interface} queue {queue}"),
            (Some(interface), None) => interface.clone(),
            (None, _) => "-".into(),
        };
        [
            self.state.to_owned(),
            place(&self.rx_interface, self.rx_queue),
            place(&self.tx_interface, self.tx_queue),
            self.rx_dropped.to_string(),
            self.rx_truncated.to_string(),
            self.rx_invalid_descriptors.to_string(),
            self.tx_invalid_descriptors.to_string(),
            owner(self.process, self.process_name.as_deref()),
            self.id.to_string(),
        ]
    }
}

#[derive(Serialize)]
pub(super) struct MapRecord {
    id: u64,
    process: u64,
    process_name: Option<String>,
    slots: u32,
    used: u32,
}

impl Record for MapRecord {
    const KIND: &'static str = "map";
    const LABELS: &'static [&'static str] = &["id", "process", "process_name"];
}

impl MapRecord {
    pub(super) fn new(it: &list::Map, process_name: Option<String>) -> Self {
        Self {
            id: it.id,
            process: it.process,
            process_name,
            slots: it.slots,
            used: it.used,
        }
    }

    pub(super) fn cells(&self) -> [String; 4] {
        [
            self.slots.to_string(),
            self.used.to_string(),
            owner(self.process, self.process_name.as_deref()),
            self.id.to_string(),
        ]
    }
}

#[derive(Serialize)]
pub(super) struct HandleRecord {
    id: u64,
    process: u64,
    process_name: Option<String>,
    interface: String,
}

impl Record for HandleRecord {
    const KIND: &'static str = "interface_handle";
    const LABELS: &'static [&'static str] = &["id", "process", "process_name", "interface"];
}

impl HandleRecord {
    pub(super) fn new(
        it: &list::InterfaceHandle,
        interface: String,
        process_name: Option<String>,
    ) -> Self {
        Self {
            id: it.id,
            process: it.process,
            process_name,
            interface,
        }
    }

    pub(super) fn cells(&self) -> [String; 3] {
        [
            self.interface.clone(),
            owner(self.process, self.process_name.as_deref()),
            self.id.to_string(),
        ]
    }
}

/// A queue's counters, with the names of its sets.
macro_rules! queue {
    ($record:ident($entry:ident, $kind:literal) $($set:ident: [$($counter:ident = $index:literal),*]),*; $($own:ident),*) => {
        #[derive(Serialize)]
        pub(super) struct $record {
            interface: String,
            queue: u32,
            hook: &'static str,
            sockets: u32,
            $($($counter: u64,)*)*
            $($own: u64,)*
        }

        impl Record for $record {
            const KIND: &'static str = $kind;
            const LABELS: &'static [&'static str] = &["interface", "queue", "hook"];
            const COUNTERS: &'static [&'static str] = &[$($(stringify!($counter),)*)* $(stringify!($own),)*];
        }

        impl $record {
            pub(super) fn new(it: &list::$entry, interface: String) -> Self {
                Self {
                    interface,
                    queue: it.queue,
                    hook: hook_name(it.hook),
                    sockets: it.sockets,
                    $($($counter: it.$set[$index],)*)*
                    $($own: it.$own,)*
                }
            }

            /// Those of its counters that are not zero.
            pub(super) fn counted(&self) -> Vec<[String; 5]> {
                let all = [$($((stringify!($counter), self.$counter),)*)* $((stringify!($own), self.$own),)*];
                let counted = all.into_iter().filter(|(_, value)| *value != 0);
                counted
                    .map(|(name, value)| {
                        [
                            name.replace('_', " "),
                            self.interface.clone(),
                            self.queue.to_string(),
                            self.hook.to_owned(),
                            value.to_string(),
                        ]
                    })
                    .collect()
            }
        }
    };
}

queue!(RxQueueRecord(RxQueue, "rx_queue")
    counters: [
        delivered = 0, undelivered = 1, invalid_descriptors = 2, truncated = 3, passed = 4, dropped = 5, redirected = 6,
        forwarded = 7, batches = 8, discontiguous = 9
    ],
    generic_counters: [
        mapping_failures = 0, linearization_failures = 1, forward_no_memory = 2, forward_limit = 3, forward_rsc_invalid = 4,
        forward_requested = 5, forward_sent = 6, loopback_skipped = 7
    ];
    misdirected, forward_short, forward_paused, forward_failed
);

queue!(TxQueueRecord(TxQueue, "tx_queue")
    counters: [invalid_descriptors = 0, batches = 1, queue_depth = 2],
    generic_counters: [dropped_while_paused = 0, dropped_by_card = 1, invalid_checksum_offload = 2];
);
