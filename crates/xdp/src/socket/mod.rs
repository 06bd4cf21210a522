//! AF_XDP sockets.

mod binding;
mod builder;
mod many;
#[cfg(feature = "tokio")]
mod ready;
mod request;
mod rings;
mod statistics;
mod wait;

pub use binding::{Binding, BoundSocket};
pub use builder::SocketBuilder;
pub use many::WaitSet;
pub use statistics::{RingError, RingErrors};
pub use wait::{Deadline, Interest, Ready};
pub use xdp_abi::xsk::Statistics;

use std::fmt;
use std::sync::Arc;

use xdp_abi::ring::RingFlags;
use xdp_abi::xsk::{NotifyFlags, NotifyIn, NotifyResultFlags};
use zerocopy::IntoBytes;

use crate::error::{Call, Error, Fault, Kind};
use crate::interface::{Interface, System};
use crate::status::NtStatus;
use crate::sys::{Object, Pending, Signal};
use crate::umem::pool::Lender;
use crate::umem::{Batch, Frame, Umem};
use request::Setter;
use rings::{Receiving, Sending, Unsendable};

/// An AF_XDP socket, bound to one queue of an interface and active.
///
/// What rules redirect to it ([`Match::redirect`](crate::Match::redirect)) on that queue is received without being copied again, and
/// what is sent goes out of the interface as it is. Frames are in the memory of a [`Umem`]; free frames are lent to the
/// driver as needed whenever something is received or waited for.
///
/// Dropping the socket closes it. Frames that the driver has then come back to their memory.
#[doc(alias = "XSK")]
pub struct Socket<'u> {
    // The rings are unmapped before the socket is closed.
    receiving: Option<Receiving>,
    sending: Option<Sending>,
    /// A wait that goes on between calls, or was given up.
    waiting: Option<Waiting>,
    lender: Lender<'u>,
    umem: &'u Umem,
    system: System,
    /// What it is called in errors.
    name: String,
}

/// A wait that is under way in the driver. A socket has one at a time.
struct Waiting {
    pending: Arc<dyn Pending>,
    interest: Interest,
    /// What it raises when it ends.
    signal: Option<Arc<dyn Signal>>,
}

/// A frame could not be sent.
#[derive(Debug)]
pub struct SendError<'u> {
    /// The frame.
    pub frame: Frame<'u>,
    /// Why; `None` when there is no room in the transmit ring now.
    pub reason: Option<Error>,
}

impl<'u> Socket<'u> {
    /// Starts describing a socket on queue 0 of an interface that receives and sends.
    pub fn builder(interface: &Interface, umem: &'u Umem) -> SocketBuilder<'u> {
        SocketBuilder::new(Binding::new(interface.clone()), umem)
    }

    /// Starts describing where a socket is to be that gets its memory later, perhaps in another process: on queue 0 of an
    /// interface, for receiving and sending.
    pub fn binding(interface: &Interface) -> Binding {
        Binding::new(interface.clone())
    }

    /// The memory that its frames are in.
    #[must_use]
    pub fn umem(&self) -> &'u Umem {
        self.umem
    }

    pub(crate) fn object(&self) -> &Arc<dyn Object> {
        self.lender.object()
    }

    pub(crate) fn system(&self) -> &System {
        &self.system
    }

    fn error(&self, call: Call, fault: Fault) -> Error {
        fault.during(call, &*self.name)
    }

    /// Moves frames that have arrived into a batch, up to its capacity; returns how many. Never waits.
    ///
    /// The driver gets free frames in return, if there are any: it drops what arrives when it has none.
    #[inline]
    pub fn receive(&mut self, batch: &mut Batch<'u>) -> usize {
        let Some(receiving) = &mut self.receiving else {
            return 0;
        };
        let received = receiving.receive(&mut self.lender, batch);
        // Frames that have been sent may be all that there is to receive into.
        if received == 0
            && let Some(sending) = &mut self.sending
        {
            sending.complete(&mut self.lender);
        }
        receiving.refill(&mut self.lender, self.umem.pool());
        received
    }

    /// Takes one frame that has arrived. Never waits.
    pub fn receive_one(&mut self) -> Option<Frame<'u>> {
        let mut batch = Batch::with_capacity(1);
        self.receive(&mut batch);
        batch.pop()
    }

    /// Sends frames from the front of a batch, as many as there is room for in the transmit ring, and tells the driver;
    /// returns how many. The others stay in the batch. Never waits.
    ///
    /// # Errors
    ///
    /// [`Kind::InvalidArgument`] when the first frame cannot be sent at all: it is empty, longer than the interface takes,
    /// or in other memory than the socket's. It stays in the batch. [`Kind::InterfaceGone`] when there is nobody to tell.
    pub fn send(&mut self, batch: &mut Batch<'u>) -> Result<usize, Error> {
        let queued = self.queue(batch)?;
        self.flush()?;
        Ok(queued)
    }

    /// As [`Socket::send`], without telling the driver, which may wait for [`Socket::flush`].
    ///
    /// # Errors
    ///
    /// As [`Socket::send`].
    pub fn queue(&mut self, batch: &mut Batch<'u>) -> Result<usize, Error> {
        let Some(sending) = &mut self.sending else {
            return Err(self.cannot_send());
        };
        // The driver sends no more than there is room for completions.
        sending.complete(&mut self.lender);
        match sending.queue(&mut self.lender, batch) {
            (0, Some(why)) => Err(self.unsendable(&why)),
            (queued, _) => Ok(queued),
        }
    }

    /// Sends one frame and tells the driver.
    ///
    /// # Errors
    ///
    /// Gives the frame back when there is no room for it now, or it cannot be sent for a reason that [`Socket::send`] has.
    pub fn send_one(&mut self, frame: Frame<'u>) -> Result<(), SendError<'u>> {
        let Some(sending) = &mut self.sending else {
            let reason = Some(self.cannot_send());
            return Err(SendError { frame, reason });
        };
        if let Err(why) = sending.check(&self.lender, &frame) {
            let reason = Some(self.unsendable(&why));
            return Err(SendError { frame, reason });
        }
        sending.complete(&mut self.lender);
        if sending.room(1) == 0 {
            return Err(SendError {
                frame,
                reason: None,
            });
        }
        sending.queue_checked(&mut self.lender, std::iter::once(frame));
        // The frame is with the driver now: what goes wrong from here on shows in the next call.
        let _ = self.flush();
        Ok(())
    }

    fn cannot_send(&self) -> Error {
        Error::new(
            Kind::InvalidArgument,
            Call::Send,
            &*self.name,
            "the socket was opened for receiving only",
        )
    }

    fn unsendable(&self, why: &Unsendable) -> Error {
        let cause = match why {
            Unsendable::Empty => "the frame is empty".to_owned(),
            Unsendable::TooLong { bytes, longest } => {
                format!("the frame has {bytes} bytes; the interface takes up to {longest}")
            }
            Unsendable::OtherMemory => {
                "the frame is not in the memory that the socket was opened with".to_owned()
            }
        };
        Error::new(Kind::InvalidArgument, Call::Send, &*self.name, cause)
    }

    /// Tells the driver about frames that were queued, if it has to be told.
    ///
    /// # Errors
    ///
    /// [`Kind::InterfaceGone`] when there is nobody to tell.
    #[inline]
    pub fn flush(&mut self) -> Result<(), Error> {
        match &mut self.sending {
            Some(sending) if sending.in_flight > 0 && sending.needs_poke() => {
                self.notify(NotifyFlags::POKE_TX, 0, Call::Poke).map(drop)
            }
            _ => Ok(()),
        }
    }

    /// Takes back frames that have been sent; returns how many. Sending does it too when it needs room.
    #[inline]
    pub fn complete(&mut self) -> usize {
        match &mut self.sending {
            Some(sending) => sending.complete(&mut self.lender),
            None => 0,
        }
    }

    /// Frames that were queued and have not come back yet.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.sending
            .as_ref()
            .map_or(0, |sending| sending.in_flight as usize)
    }

    /// When frames were sent, in the interface's own unit, in the order of their completion, since the last call; needs
    /// [`SocketBuilder::tx_timestamps`].
    pub fn take_tx_timestamps(&mut self) -> Vec<u64> {
        self.sending
            .as_mut()
            .map(|sending| std::mem::take(&mut sending.timestamps))
            .unwrap_or_default()
    }

    /// Waits until there is something to receive, or something was sent, or the deadline passes.
    ///
    /// Before that, the driver gets free frames and is told about queued ones, so that a program that only waits,
    /// receives and sends never stops. Calls with a deadline that has passed only look.
    ///
    /// # Errors
    ///
    /// [`Kind::InterfaceGone`] when the socket was detached from its interface; [`Kind::InvalidArgument`] when the socket
    /// does not go in a direction that is asked for.
    pub fn wait(
        &mut self,
        interest: Interest,
        deadline: impl Into<Deadline>,
    ) -> Result<Ready, Error> {
        let deadline = deadline.into();
        self.end_wait()?;
        loop {
            let ready = self.prepare_wait(interest)?;
            if !ready.is_empty() {
                return Ok(ready);
            }
            let milliseconds = deadline.milliseconds();
            let ready = self.notify(interest.0, milliseconds, Call::Wait)?;
            if !ready.is_empty() || deadline.has_passed() {
                return Ok(ready);
            }
        }
    }

    /// Sees a wait that goes on to its end.
    fn end_wait(&mut self) -> Result<(), Error> {
        let Some(waiting) = self.waiting.take() else {
            return Ok(());
        };
        waiting.pending.cancel();
        let ended = waiting.pending.wait(None);
        ended
            .map(drop)
            .map_err(|fault| self.error(Call::Wait, fault))
    }

    /// What is ready already; if nothing is, everything is done that there is to do before waiting.
    fn prepare_wait(&mut self, interest: Interest) -> Result<Ready, Error> {
        let mut ready = Ready::default();
        let wrong_way = |name: &str, direction: &str| {
            let cause = format!("the socket was not opened for {direction}");
            Err(Error::new(Kind::InvalidArgument, Call::Wait, name, cause))
        };
        if interest.contains(Interest::RX) {
            let Some(receiving) = &mut self.receiving else {
                return wrong_way(&self.name, "receiving");
            };
            if receiving.available() {
                ready |= Ready(NotifyResultFlags::RX_AVAILABLE);
            }
            receiving.refill(&mut self.lender, self.umem.pool());
        }
        if interest.contains(Interest::TX) {
            let Some(sending) = &mut self.sending else {
                return wrong_way(&self.name, "sending");
            };
            if sending.completed() {
                ready |= Ready(NotifyResultFlags::TX_COMP_AVAILABLE);
            }
        }
        self.flush()?;
        Ok(ready)
    }

    fn notify(&self, flags: NotifyFlags, milliseconds: u32, call: Call) -> Result<Ready, Error> {
        let input = NotifyIn {
            flags,
            wait_timeout_milliseconds: milliseconds,
        };
        let mut bytes = [0; size_of::<NotifyIn>()];
        bytes.copy_from_slice(input.as_bytes());
        let answer = self
            .object()
            .notify(bytes)
            .map_err(|fault| self.error(call, fault))?;
        match answer.status {
            NtStatus::SUCCESS => Ok(Ready(NotifyResultFlags::from_bits_retain(
                answer.information as u32,
            ))),
            NtStatus::TIMEOUT => Ok(Ready::default()),
            status => Err(self.error(call, Fault::Status(status))),
        }
    }

    /// Flags that the driver has raised in the rings of either direction.
    fn flags(&self) -> RingFlags {
        let receiving = self.receiving.as_ref().map(Receiving::flags);
        let sending = self.sending.as_ref().map(Sending::flags);
        receiving.unwrap_or_default() | sending.unwrap_or_default()
    }

    /// Whether the driver says that a ring is dead, because the interface went away or an index made no sense;
    /// [`Socket::ring_errors`] tells which. Costs no call.
    #[must_use]
    pub fn has_failed(&self) -> bool {
        self.flags().contains(RingFlags::ERROR)
    }

    /// Whether the offloads of the interface have changed since they were asked for last. Costs no call.
    #[must_use]
    pub fn offload_has_changed(&self) -> bool {
        self.flags().contains(RingFlags::OFFLOAD_CHANGED)
    }

    /// Entries that the driver wrote into rings and that made no sense: frames that it was not lent. Always 0 with a
    /// sound driver.
    #[must_use]
    pub fn refused_entries(&self) -> u64 {
        let receiving = self.receiving.as_ref().map_or(0, |half| half.refused);
        receiving + self.sending.as_ref().map_or(0, |half| half.refused)
    }
}

impl fmt::Debug for Socket<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Socket")
            .field("on", &self.name)
            .field("in_flight", &self.in_flight())
            .finish_non_exhaustive()
    }
}

impl fmt::Display for SendError<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.reason {
            Some(reason) => reason.fmt(f),
            None => f.write_str("there is no room in the transmit ring"),
        }
    }
}

impl std::error::Error for SendError<'_> {}
