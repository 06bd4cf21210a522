//! An AF_XDP socket as a device of smoltcp: received frames are parsed, and frames to send are written, in shared memory.

use std::time::Duration;

use smoltcp::phy::{self, DeviceCapabilities, Medium};
use smoltcp::time::Instant as Moment;
use xdp::{Batch, Frame, Interest, Socket, Umem};

/// Frames received or sent at once.
const BATCH: usize = 64;
/// Ethernet frame without its checksum.
const FRAME_BYTES: usize = 1514;

pub(crate) struct Device<'u> {
    socket: Socket<'u>,
    umem: &'u Umem,
    /// Newest first, so that the oldest can be popped.
    received: Batch<'u>,
    to_send: Batch<'u>,
}

pub(crate) struct RxToken<'u>(Frame<'u>);

pub(crate) struct TxToken<'d, 'u> {
    frame: Frame<'u>,
    to_send: &'d mut Batch<'u>,
}

impl<'u> Device<'u> {
    pub(crate) fn new(socket: Socket<'u>, umem: &'u Umem) -> Self {
        Self {
            socket,
            umem,
            received: Batch::with_capacity(BATCH),
            to_send: Batch::with_capacity(BATCH),
        }
    }

    /// Sends what has been collected.
    pub(crate) fn flush(&mut self) -> Result<(), xdp::Error> {
        self.socket.complete();
        if !self.to_send.is_empty() {
            self.socket.send(&mut self.to_send)?;
            // Without room in the ring they are lost, as on any full link; TCP sends them again.
            self.to_send.clear();
        }
        Ok(())
    }

    /// Waits until a frame has arrived.
    pub(crate) fn wait(&mut self, interest: Interest, pause: Duration) -> Result<(), xdp::Error> {
        if self.received.is_empty() {
            let _came = self.socket.wait(interest, pause)?;
        }
        Ok(())
    }

    /// A token for a frame to send, if there is memory for one.
    fn room(&mut self) -> Option<Frame<'u>> {
        if self.to_send.len() == BATCH {
            // A lab or driver that has stopped tells `wait`, which comes next.
            self.flush().ok()?;
        }
        self.umem.frame()
    }
}

impl<'u> phy::Device for Device<'u> {
    type RxToken<'d>
        = RxToken<'u>
    where
        Self: 'd;
    type TxToken<'d>
        = TxToken<'d, 'u>
    where
        Self: 'd;

    fn receive(&mut self, _: Moment) -> Option<(RxToken<'u>, TxToken<'_, 'u>)> {
        if self.received.is_empty() {
            self.socket.receive(&mut self.received);
            self.received.reverse();
        }
        let answer = self.room()?;
        let frame = self.received.pop()?;
        let to_send = &mut self.to_send;
        Some((
            RxToken(frame),
            TxToken {
                frame: answer,
                to_send,
            },
        ))
    }

    fn transmit(&mut self, _: Moment) -> Option<TxToken<'_, 'u>> {
        let frame = self.room()?;
        Some(TxToken {
            frame,
            to_send: &mut self.to_send,
        })
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ethernet;
        capabilities.max_transmission_unit = FRAME_BYTES;
        capabilities.max_burst_size = Some(BATCH);
        capabilities
    }
}

impl phy::RxToken for RxToken<'_> {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, read: F) -> R {
        read(&self.0)
    }
}

impl phy::TxToken for TxToken<'_, '_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(mut self, length: usize, write: F) -> R {
        if self.frame.set_len(length).is_err() {
            // Longer than a chunk: smoltcp was told that there are no such frames.
            return write(&mut vec![0; length]);
        }
        let result = write(&mut self.frame);
        self.to_send.push(self.frame);
        result
    }
}
