//! Cables: what an end of a simulated network card can be plugged into outside of the simulation.
//!
//! A cable is two halves, so that two threads can work it: a [`Source`] gives the frames that come in, a [`Sink`] takes those
//! that go out. Frames are whole Ethernet frames without the check sequence, as they would be on a wire: checksums
//! finished, VLAN tags in place.
//!
//! * [`interface`]: an existing Linux interface, promiscuously.
//! * [`tap`]: a TAP device, made for the purpose; it disappears with the cable.
//! * [`CaptureSource`], [`CaptureSink`]: pcap and pcapng files.
//!
//! A card is plugged in when it is made, by [`NicBuilder::wire_cable`](crate::NicBuilder::wire_cable) and
//! [`NicBuilder::stack_cable`](crate::NicBuilder::stack_cable).

mod capture;
mod checksum;
mod error;
mod interface;
mod plug;
mod ring;
mod socket;
mod tap;
#[cfg(test)]
mod tests;

use std::time::Duration;

pub use capture::{CaptureSink, CaptureSource};
pub use error::CableError;
pub use interface::{InterfaceSink, InterfaceSource, interface};
pub(crate) use plug::Plug;
pub use tap::{TapSink, TapSource, tap};

/// Longest frame that goes through a cable, well above a jumbo frame.
pub const MAX_FRAME_BYTES: usize = 65_535;

/// Whether a source can give more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Feed {
    /// More may come.
    Open,
    /// Nothing will come any more.
    End,
}

/// The half of a cable that frames come out of.
pub trait Source: Send {
    /// Appends the frames that have arrived to `frames`, waiting up to `wait` for the first.
    ///
    /// # Errors
    /// When the cable is broken: the interface went away, the file is damaged.
    fn receive(&mut self, frames: &mut Vec<Vec<u8>>, wait: Duration) -> Result<Feed, CableError>;

    /// Number of frames lost since the start because nobody took them in time.
    fn lost(&mut self) -> u64 {
        0
    }
}

/// The half of a cable that frames go into.
pub trait Sink: Send {
    /// Sends a frame. `false` means that the other side could not take it and it is lost.
    ///
    /// # Errors
    /// When the cable is broken: the interface went away, the disk is full.
    fn send(&mut self, frame: &[u8]) -> Result<bool, CableError>;

    /// Makes sure that what was sent has left this process.
    ///
    /// # Errors
    /// When it cannot be written.
    fn flush(&mut self) -> Result<(), CableError> {
        Ok(())
    }
}
