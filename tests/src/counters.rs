//! Performance counters of queues, as tools read them.

use nt_sim::Lab;

/// Counters of one queue, in the order of their counter set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counters {
    names: &'static [&'static str],
    values: Vec<u64>,
}

/// A counter set: its name, and the names of its counters.
#[derive(Clone, Copy, Debug)]
pub struct CounterSet {
    /// Name that the driver registers.
    pub name: &'static str,
    /// Names of the counters.
    pub counters: &'static [&'static str],
}

/// Counters of receive queues.
pub const RX: CounterSet = CounterSet {
    name: "XDP Receive Queue",
    counters: &[
        "AF_XDP Frames Delivered",
        "AF_XDP Frames Dropped",
        "AF_XDP Invalid Descriptors",
        "AF_XDP Frames Truncated",
        "Inspection Frames Passed",
        "Inspection Frames Dropped",
        "Inspection Frames Redirected",
        "Inspection Frames Forwarded",
        "Inspection Batches",
        "Inspection Frames Discontiguous",
        "AF_XDP Frames Misdirected",
    ],
};

/// Counters of receive queues of generic mode.
pub const GENERIC_RX: CounterSet = CounterSet {
    name: "XDP LWF Receive Queue",
    counters: &[
        "Mapping Failures",
        "Linearization Failures",
        "Forwarding Failures: Allocation",
        "Forwarding Failures: Allocation Limit",
        "Forwarding Failures: RSC Invalid Headers",
        "Forwarding NBs: Requested",
        "Forwarding NBs: Sent",
        "NDIS Loopback NBLs Skipped",
        "Forwarding Failures: Short Frames",
        "Forwarding Failures: NDIS Pause",
        "Forwarding Failures: NIC Failure",
        "Malformed Frames",
    ],
};

/// Counters of transmit queues.
pub const TX: CounterSet = CounterSet {
    name: "XDP Transmit Queue",
    counters: &[
        "AF_XDP Invalid Descriptors",
        "Injection Batches",
        "Queue Depth",
    ],
};

/// Counters of transmit queues of generic mode.
pub const GENERIC_TX: CounterSet = CounterSet {
    name: "XDP LWF Transmit Queue",
    counters: &[
        "Frames Dropped (NDIS Pause)",
        "Frames Dropped (NIC Failure)",
        "Frames with Invalid Checksum Offload",
    ],
};

impl CounterSet {
    /// Names of the instances there are.
    ///
    /// # Panics
    /// When the kernel stopped.
    pub fn instances(&self, lab: &Lab) -> Vec<String> {
        let instances = lab.counter_instances(self.name).expect("counters");
        instances.into_iter().map(|i| i.name).collect()
    }

    /// Counters of an instance; `None` when there is no such instance.
    ///
    /// # Panics
    /// When the kernel stopped.
    pub fn read(&self, lab: &Lab, instance: &str) -> Option<Counters> {
        let instances = lab.counter_instances(self.name).expect("counters");
        let found = instances.into_iter().find(|i| i.name == instance)?;
        let bytes = found.blocks.concat();
        let values = bytes
            .as_chunks::<8>()
            .0
            .iter()
            .map(|word| u64::from_le_bytes(*word))
            .collect();
        Some(Counters {
            names: self.counters,
            values,
        })
    }

    /// Counters of a queue on the ordinary hook of its direction.
    ///
    /// # Panics
    /// When the queue does not exist.
    #[track_caller]
    pub fn of_queue(&self, lab: &Lab, if_index: u32, queue: u32) -> Counters {
        let name = instance(if_index, queue, "");
        self.read(lab, &name)
            .unwrap_or_else(|| panic!("{} has no instance {name}", self.name))
    }
}

/// Name of an instance; `suffix` is `_tx` or `_rx` for the unusual hooks.
pub fn instance(if_index: u32, queue: u32, suffix: &str) -> String {
    format!("if_{if_index}_queue_{queue}{suffix}")
}

impl Counters {
    /// A counter by its name.
    ///
    /// # Panics
    /// When the set has no such counter.
    #[track_caller]
    pub fn get(&self, name: &str) -> u64 {
        let index = self.names.iter().position(|n| *n == name);
        let index = index.unwrap_or_else(|| panic!("no counter {name}"));
        self.values[index]
    }
}
