//! Extensions of descriptors, and the offloads behind them.

use nt::{Passive, Result, Status};
use xdp_abi::extension::{
    self, Extension, FRAME_CHECKSUM, FRAME_LAYOUT, FRAME_ORIGINAL_LENGTH, FRAME_TIMESTAMP,
};
use xdp_abi::sockopt::Sockopt;

use super::rings::Which;
use super::state::State;
use super::{Control, Socket};

/// Which offloads a socket has enabled.
#[derive(Clone, Copy, Default)]
pub(super) struct Enabled {
    pub(super) rx_checksum: bool,
    rx_original_length: bool,
    rx_timestamp: bool,
    pub(super) tx_checksum: bool,
    tx_timestamp: bool,
}

impl Enabled {
    fn slot(&mut self, option: Sockopt) -> Option<&mut bool> {
        Some(match option {
            Sockopt::RX_OFFLOAD_CHECKSUM => &mut self.rx_checksum,
            Sockopt::RX_ORIGINAL_LENGTH => &mut self.rx_original_length,
            Sockopt::RX_OFFLOAD_TIMESTAMP => &mut self.rx_timestamp,
            Sockopt::TX_OFFLOAD_CHECKSUM => &mut self.tx_checksum,
            Sockopt::TX_OFFLOAD_TIMESTAMP => &mut self.tx_timestamp,
            _ => return None,
        })
    }

    /// The extensions of a ring's elements, in the order of their registration.
    pub(super) fn extensions(self, which: Which) -> impl Iterator<Item = &'static Extension> {
        let all: &[Extension] = match which {
            Which::Fill => &[],
            Which::Rx => extension::socket::RX_FRAME,
            Which::Tx => extension::socket::TX_FRAME,
            Which::Completion => extension::socket::TX_COMPLETION,
        };
        let is_rx = which == Which::Rx;
        all.iter().filter(move |extension| {
            if **extension == FRAME_ORIGINAL_LENGTH {
                self.rx_original_length
            } else if **extension == FRAME_TIMESTAMP {
                if is_rx {
                    self.rx_timestamp
                } else {
                    self.tx_timestamp
                }
            } else if is_rx {
                self.rx_checksum
            } else {
                self.tx_checksum
            }
        })
    }
}

/// The ring and the extension whose offset an option asks for.
pub(super) fn queried(option: Sockopt) -> Option<(Which, &'static Extension)> {
    Some(match option {
        Sockopt::TX_FRAME_LAYOUT_EXTENSION => (Which::Tx, &FRAME_LAYOUT),
        Sockopt::TX_FRAME_CHECKSUM_EXTENSION => (Which::Tx, &FRAME_CHECKSUM),
        Sockopt::RX_FRAME_LAYOUT_EXTENSION => (Which::Rx, &FRAME_LAYOUT),
        Sockopt::RX_FRAME_CHECKSUM_EXTENSION => (Which::Rx, &FRAME_CHECKSUM),
        Sockopt::RX_FRAME_ORIGINAL_LENGTH_EXTENSION => (Which::Rx, &FRAME_ORIGINAL_LENGTH),
        Sockopt::RX_FRAME_TIMESTAMP_EXTENSION => (Which::Rx, &FRAME_TIMESTAMP),
        Sockopt::TX_FRAME_TIMESTAMP_EXTENSION => (Which::Completion, &FRAME_TIMESTAMP),
        _ => return None,
    })
}

impl Socket {
    /// Enables an offload, before the rings of its direction are sized.
    pub(super) fn enable(
        &self,
        control: &mut Control,
        option: Sockopt,
        value: u32,
        passive: Passive<'_>,
    ) -> Result<()> {
        let is_rx = matches!(
            option,
            Sockopt::RX_OFFLOAD_CHECKSUM
                | Sockopt::RX_ORIGINAL_LENGTH
                | Sockopt::RX_OFFLOAD_TIMESTAMP
        );
        let (binding, rings) = if is_rx {
            (&control.rx, [Which::Rx, Which::Fill])
        } else {
            (&control.tx, [Which::Tx, Which::Completion])
        };
        let enabled = control.enabled.slot(option).ok_or(Status::NOT_SUPPORTED)?;
        let refused = self.state.get() != State::Bound
            || *enabled
            || rings.iter().any(|ring| control.rings.get(*ring).is_some());
        let (Some(binding), false) = (binding, refused) else {
            return Err(Status::INVALID_DEVICE_STATE);
        };
        if value == 0 {
            return Ok(());
        }
        let (interface, way, queue) = (&binding.interface, binding.way, binding.queue);
        match option {
            Sockopt::RX_OFFLOAD_CHECKSUM => {
                interface.enable_rx_offload(way, queue, |on| &mut on.checksum, passive)?;
            }
            Sockopt::RX_OFFLOAD_TIMESTAMP => {
                interface.enable_rx_offload(way, queue, |on| &mut on.timestamp, passive)?;
            }
            Sockopt::TX_OFFLOAD_CHECKSUM => {
                interface.enable_tx_offload(way, queue, |on| &mut on.checksum, passive)?;
            }
            Sockopt::TX_OFFLOAD_TIMESTAMP => {
                interface.enable_tx_offload(way, queue, |on| &mut on.timestamp, passive)?;
            }
            // The length before cutting takes nothing of the interface.
            _ => {}
        }
        *enabled = true;
        Ok(())
    }

    /// The interface's offload changed: tells the program, if it has asked for checksums.
    pub(crate) fn offload_changed(&self) {
        self.rx.lock().offload_changed();
        self.tx.lock().offload_changed();
    }
}
