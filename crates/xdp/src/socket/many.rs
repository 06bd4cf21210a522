//! Waiting for several sockets at once.

use std::fmt;
use std::sync::Arc;

use xdp_abi::ioctl::xsk::NOTIFY_ASYNC;
use xdp_abi::xsk::{INFINITE, NotifyIn};
use zerocopy::IntoBytes;

use super::{Deadline, Interest, Socket, Waiting};
use crate::error::{Call, Error, Fault, Kind};
use crate::interface::System;
use crate::status::NtStatus;
use crate::sys::Signal;

/// Waits for several sockets at once, whichever is ready first.
///
/// ```no_run
/// use std::time::Duration;
/// use xdp::{Batch, Interest, Interface, Socket, Umem, WaitSet};
///
/// let interface = Interface::find("Ethernet 2")?;
/// let umem = Umem::builder(&interface).build()?;
/// let open = |queue| Socket::builder(&interface, &umem).queue(queue).open();
/// let mut sockets = vec![open(0)?, open(1)?];
/// let set = WaitSet::new(&interface)?;
/// let mut batch = Batch::with_capacity(64);
/// while set.wait(sockets.iter_mut().map(|socket| (socket, Interest::RX)), Duration::from_secs(10))? > 0 {
///     for socket in &mut sockets {
///         socket.receive(&mut batch);
///         batch.clear();
///     }
/// }
/// # Ok::<(), xdp::Error>(())
/// ```
#[doc(alias = "XskNotifyAsync")]
pub struct WaitSet {
    system: System,
    signal: Arc<dyn Signal>,
}

impl WaitSet {
    /// Makes a set for sockets of a system, or of the system that an interface is in.
    ///
    /// # Errors
    ///
    /// [`Kind::OutOfMemory`] when the system has no event left.
    pub fn new(system: impl Into<System>) -> Result<Self, Error> {
        let system = system.into();
        let signal = system.backend().signal();
        let signal = signal.map_err(|fault| fault.during(Call::Wait, ""))?;
        Ok(Self { system, signal })
    }

    /// Waits until at least one of the sockets has what it is waited for, or the deadline passes; returns how many have. Which
    /// ones they are is seen by receiving or completing.
    ///
    /// As with [`Socket::wait`], the driver gets free frames before that and is told about queued ones, and calls with a
    /// deadline that has passed only look. In the driver a wait for each socket stays when this returns, for the next call
    /// to use; [`Socket::wait`] on the socket ends it.
    ///
    /// # Errors
    ///
    /// As [`Socket::wait`], of the first socket that fails; [`Kind::InvalidArgument`] when a socket is of another system.
    pub fn wait<'s, 'u: 's>(
        &self,
        sockets: impl IntoIterator<Item = (&'s mut Socket<'u>, Interest)>,
        deadline: impl Into<Deadline>,
    ) -> Result<usize, Error> {
        let deadline = deadline.into();
        let mut sockets: Vec<_> = sockets.into_iter().collect();
        for (socket, _) in &sockets {
            self.check(socket)?;
        }
        loop {
            let mut ready = 0;
            for (socket, interest) in &mut sockets {
                ready += usize::from(!socket.look(*interest)?.is_empty());
            }
            if ready > 0 || deadline.has_passed() {
                return Ok(ready);
            }
            let failed = |fault: Fault| fault.during(Call::Wait, "");
            self.signal.reset().map_err(failed)?;
            for (socket, interest) in &mut sockets {
                socket.start_wait(*interest, &self.signal)?;
            }
            // Sending a request may have lowered what another one had raised.
            let mut ended = false;
            for (socket, _) in &sockets {
                ended |= socket.wait_has_ended()?;
            }
            if !ended {
                self.signal.wait(deadline.left()).map_err(failed)?;
            }
        }
    }

    fn check(&self, socket: &Socket<'_>) -> Result<(), Error> {
        let (ours, theirs) = (self.system.shared_backend(), socket.system.shared_backend());
        if Arc::ptr_eq(&ours, &theirs) {
            return Ok(());
        }
        let cause = "the socket is of another system than the set";
        Err(socket.error(Call::Wait, Fault::of(Kind::InvalidArgument, cause)))
    }
}

impl Socket<'_> {
    /// What is ready; an error when the driver says that nothing will be any more.
    fn look(&mut self, interest: Interest) -> Result<super::Ready, Error> {
        if self.has_failed() {
            // A wait that is under way does not end for this; a new one says what is wrong.
            self.end_wait()?;
            return self.notify(interest.0, 0, Call::Wait);
        }
        self.prepare_wait(interest)
    }

    /// Has the driver raise the signal when the socket is ready, unless it is about to already.
    fn start_wait(&mut self, interest: Interest, signal: &Arc<dyn Signal>) -> Result<(), Error> {
        if let Some(waiting) = &self.waiting {
            let same = waiting.interest == interest
                && waiting
                    .signal
                    .as_ref()
                    .is_some_and(|raised| Arc::ptr_eq(raised, signal));
            if same && !self.wait_has_ended()? {
                return Ok(());
            }
        }
        self.end_wait()?;
        let input = NotifyIn {
            flags: interest.0,
            wait_timeout_milliseconds: INFINITE,
        };
        let pending = self
            .object()
            .submit(NOTIFY_ASYNC, input.as_bytes(), Some(signal))
            .map_err(|fault| self.error(Call::Wait, fault))?;
        self.waiting = Some(Waiting {
            pending,
            interest,
            signal: Some(Arc::clone(signal)),
        });
        Ok(())
    }

    /// Whether the wait in the driver has ended.
    fn wait_has_ended(&self) -> Result<bool, Error> {
        let Some(waiting) = &self.waiting else {
            return Ok(false);
        };
        match waiting.pending.answer() {
            Ok(None) => Ok(false),
            // The thread that asked may have ended, and its requests with it: somebody else asks again.
            Ok(Some(answer))
                if answer.status.is_success() || answer.status == NtStatus::CANCELLED =>
            {
                Ok(true)
            }
            Ok(Some(answer)) => Err(self.error(Call::Wait, Fault::Status(answer.status))),
            Err(fault) => Err(self.error(Call::Wait, fault)),
        }
    }
}

impl fmt::Debug for WaitSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WaitSet").finish_non_exhaustive()
    }
}
