//! A user-mode TCP/IP stack over a socket: [`Device`] is what an interface of the crate [`smoltcp`] runs on.
//!
//! ```no_run
//! use smoltcp::iface::{Config, Interface as Stack, SocketSet};
//! use smoltcp::time::Instant;
//! use smoltcp::wire::{EthernetAddress, IpAddress, IpCidr};
//! use xdp::{Interface, Match, Program, Socket, Umem};
//!
//! let interface = Interface::find("Ethernet 2")?;
//! let umem = Umem::builder(&interface).build()?;
//! let socket = Socket::builder(&interface, &umem).open()?;
//! let _program = Program::builder(&interface)
//!     .queue(0)
//!     .rule(Match::all().redirect(&socket))
//!     .attach()?;
//! let mut device = xdp::smoltcp::Device::new(socket, &interface);
//!
//! let mac = EthernetAddress(interface.mac().unwrap_or([2, 0, 0, 0, 0, 1]));
//! let mut stack = Stack::new(Config::new(mac.into()), &mut device, Instant::now());
//! stack.update_ip_addrs(|addresses| {
//!     let _ = addresses.push(IpCidr::new(IpAddress::v4(192, 0, 2, 9), 24));
//! });
//! let mut sockets = SocketSet::new(Vec::new());
//! loop {
//!     stack.poll(Instant::now(), &mut device, &mut sockets);
//!     // ... work with what the sockets have ...
//!     let delay = stack.poll_delay(Instant::now(), &sockets);
//!     device.wait(delay.map_or(xdp::Deadline::NEVER, |delay| std::time::Duration::from(delay).into()))?;
//! }
//! # #[expect(unreachable_code, reason = "the type of the example")]
//! # Ok::<(), xdp::Error>(())
//! ```

use ::smoltcp::phy::{self, DeviceCapabilities, Medium};
use ::smoltcp::time::Instant as Moment;

use crate::error::Error;
use crate::interface::Interface;
use crate::socket::{Deadline, Interest, Socket};
use crate::umem::{Batch, Frame};

/// Frames received or sent at once.
const BATCH: usize = 64;
/// Destination, source and EtherType before the packet that an MTU speaks of.
const ETHERNET_BYTES: usize = 14;
const USUAL_MTU_BYTES: usize = 1500;

/// A socket as a device of [`smoltcp`]. Received frames are parsed, and frames to send are written, in the memory that
/// is shared with the driver.
///
/// Frames are sent in batches: after each poll of the stack call [`Device::wait`] or [`Device::flush`]. When the transmit
/// ring is full, or no frame is free, the stack gets no token and tries again at its next poll: no frame is lost here.
#[derive(Debug)]
pub struct Device<'u> {
    socket: Socket<'u>,
    longest_frame_bytes: usize,
    /// Newest first, so that the oldest can be popped.
    received: Batch<'u>,
    to_send: Batch<'u>,
}

/// A received frame, for the stack.
#[derive(Debug)]
pub struct RxToken<'u>(Frame<'u>);

/// A free frame that the stack may fill and send.
#[derive(Debug)]
pub struct TxToken<'d, 'u> {
    frame: Frame<'u>,
    to_send: &'d mut Batch<'u>,
}

impl<'u> Device<'u> {
    /// Makes a device of a socket that receives and sends, bound to a queue of `interface`.
    ///
    /// The longest frame is what the interface takes, or what fits into a frame of the socket's memory if that is less.
    #[must_use]
    pub fn new(socket: Socket<'u>, interface: &Interface) -> Self {
        let mtu = interface
            .mtu_bytes()
            .map_or(USUAL_MTU_BYTES, |mtu| mtu as usize);
        let umem = socket.umem();
        let chunk = umem
            .frame_size_bytes()
            .saturating_sub(umem.headroom_bytes());
        Self {
            longest_frame_bytes: (mtu + ETHERNET_BYTES).min(chunk as usize),
            socket,
            received: Batch::with_capacity(BATCH),
            to_send: Batch::with_capacity(BATCH),
        }
    }

    /// The socket, for its statistics.
    #[must_use]
    pub fn socket(&self) -> &Socket<'u> {
        &self.socket
    }

    /// Sends what the stack has written, as far as there is room; the rest is sent by the next call.
    ///
    /// # Errors
    ///
    /// As [`Socket::send`].
    pub fn flush(&mut self) -> Result<(), Error> {
        self.socket.complete();
        if !self.to_send.is_empty() {
            self.socket.send(&mut self.to_send)?;
        }
        Ok(())
    }

    /// Sends what the stack has written, and waits until a frame has arrived or the deadline passes. When frames find no room
    /// to be sent, it also ends when some have gone.
    ///
    /// # Errors
    ///
    /// As [`Socket::send`] and [`Socket::wait`].
    pub fn wait(&mut self, deadline: impl Into<Deadline>) -> Result<(), Error> {
        self.flush()?;
        if self.received.is_empty() {
            let interest = if self.to_send.is_empty() {
                Interest::RX
            } else {
                Interest::RX | Interest::TX
            };
            let _ready = self.socket.wait(interest, deadline)?;
        }
        Ok(())
    }

    /// A free frame, if there is room to send it.
    fn room(&mut self) -> Option<Frame<'u>> {
        if self.to_send.len() == BATCH {
            // What is wrong with the socket shows in `wait` or `flush`, which comes next.
            self.flush().ok()?;
        }
        if self.to_send.len() == BATCH {
            return None;
        }
        let umem = self.socket.umem();
        umem.frame().or_else(|| {
            self.socket.complete();
            umem.frame()
        })
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
        if self.received.is_empty() {
            return None;
        }
        let frame = self.room()?;
        let received = self.received.pop()?;
        let to_send = &mut self.to_send;
        Some((RxToken(received), TxToken { frame, to_send }))
    }

    fn transmit(&mut self, _: Moment) -> Option<TxToken<'_, 'u>> {
        let frame = self.room()?;
        let to_send = &mut self.to_send;
        Some(TxToken { frame, to_send })
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ethernet;
        capabilities.max_transmission_unit = self.longest_frame_bytes;
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
            // The stack was told that there are no such frames; a trait without errors leaves nothing but to lose it.
            return write(&mut vec![0; length]);
        }
        let result = write(&mut self.frame);
        self.to_send.push(self.frame);
        result
    }
}
