//! The filter on one adapter.

use core::sync::atomic::{AtomicU32, Ordering};

use nt::ndis::{Filter, FilterModule, Restart};
use nt::{Passive, Result, Tag};

/// Bytes of an Ethernet header: what a frame has beyond the MTU.
const ETHERNET_HEADER: u32 = 14;

/// The filter on one adapter. It takes part in both directions and passes everything on, in order and unchanged.
pub(crate) struct Adapter {
    filter: Filter,
    /// Bytes of the longest frame; 0 until the adapter has first started.
    max_frame: AtomicU32,
}

impl Adapter {
    pub(crate) fn new(filter: Filter) -> Self {
        Self {
            filter,
            max_frame: AtomicU32::new(0),
        }
    }
}

impl FilterModule for Adapter {
    const TAG: Tag = crate::TAG;

    fn filter(&self) -> Filter {
        self.filter
    }

    fn restart(&self, restart: &Restart<'_>, _passive: Passive<'_>) -> Result<()> {
        // A restart without attributes says nothing about the MTU: what was known stays.
        if let Some(mtu) = restart.mtu() {
            let max_frame = mtu.saturating_add(ETHERNET_HEADER);
            self.max_frame.store(max_frame, Ordering::Relaxed);
        }
        Ok(())
    }
}
