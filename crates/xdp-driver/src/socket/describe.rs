//! A socket as administrators see it.

use nt::Passive;
use xdp_abi::inventory::{self, NO_QUEUE};

use super::Socket;
use super::bind::Binding;

impl Socket {
    /// Describes the socket.
    pub(crate) fn describe(
        &self,
        id: u64,
        process: u64,
        passive: Passive<'_>,
    ) -> inventory::Socket {
        let place = |binding: &Option<Binding>| match binding {
            Some(binding) => (binding.interface.index(), binding.queue),
            None => (0, NO_QUEUE),
        };
        let control = self.control.read(passive);
        let (rx_if_index, rx_queue) = place(&control.rx);
        let (tx_if_index, tx_queue) = place(&control.tx);
        inventory::Socket {
            header: inventory::Socket::HEADER,
            id,
            process,
            state: self.state.get() as u32,
            rx_if_index,
            rx_queue,
            tx_if_index,
            tx_queue,
            reserved: 0,
            statistics: self.statistics(),
        }
    }
}
