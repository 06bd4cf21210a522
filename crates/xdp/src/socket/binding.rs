//! Sockets that are bound, and have no memory and rings yet: what one process can hand to another.

use std::fmt;
use std::sync::Arc;

use xdp_abi::ioctl::xsk as ioctl;
use xdp_abi::open::ObjectType;
use xdp_abi::sockopt::Sockopt;
use xdp_abi::xsk::{BindFlags, BindIn};
use zerocopy::IntoBytes;

use super::request::Setter;
use super::statistics::read;
use super::{SocketBuilder, Statistics};
use crate::error::{Call, Error, Fault, Kind};
use crate::handle::{Handle, Peer};
use crate::interface::Interface;
use crate::program::{Hook, Mode};
use crate::sys::{Object, open_object};
use crate::umem::Umem;

/// Where a socket is: a queue of an interface, and which way frames go.
#[derive(Clone, Debug)]
#[must_use]
pub struct Binding {
    pub(super) interface: Interface,
    queue: u32,
    mode: Mode,
    pub(super) receives: bool,
    pub(super) sends: bool,
    rx_hook: Hook,
    tx_hook: Hook,
}

/// A socket that is bound to a queue, and has no frame memory and rings yet.
///
/// Binding takes the rights that opening the driver takes; everything after it, only the handle. So a program that has the
/// rights can bind a socket, redirect frames to it, and hand both to one that has not ([`BoundSocket::duplicate_to`],
/// [`Program::duplicate_to`](crate::Program::duplicate_to)), which adopts them ([`Binding::adopt`]) and gives the socket its
/// own memory ([`BoundSocket::builder`]).
pub struct BoundSocket {
    pub(super) place: Binding,
    pub(super) object: Arc<dyn Object>,
    /// Whether other processes may have it open, so that closing it here need not be its end.
    pub(super) has_others: bool,
}

impl Binding {
    pub(super) fn new(interface: Interface) -> Self {
        Self {
            interface,
            queue: 0,
            mode: Mode::Auto,
            receives: true,
            sends: true,
            rx_hook: Hook::Receive,
            tx_hook: Hook::Transmit,
        }
    }

    /// Chooses the queue, which counts from 0; 0 if not said.
    pub fn queue(mut self, queue: u32) -> Self {
        self.queue = queue;
        self
    }

    /// Chooses the mode; [`Mode::Auto`] if not said.
    pub fn mode(mut self, mode: Mode) -> Self {
        self.mode = mode;
        self
    }

    /// For receiving only.
    pub fn receive_only(mut self) -> Self {
        (self.receives, self.sends) = (true, false);
        self
    }

    /// For sending only.
    pub fn transmit_only(mut self) -> Self {
        (self.receives, self.sends) = (false, true);
        self
    }

    /// Chooses what is received: what comes from the wire ([`Hook::Receive`], if not said), or what the local stack sends
    /// ([`Hook::Transmit`]).
    pub fn rx_hook(mut self, hook: Hook) -> Self {
        self.rx_hook = hook;
        self
    }

    /// Chooses where what is sent goes: to the wire ([`Hook::Transmit`], if not said), or to the local stack, as if
    /// received ([`Hook::Receive`]).
    pub fn tx_hook(mut self, hook: Hook) -> Self {
        self.tx_hook = hook;
        self
    }

    pub(super) fn name(&self) -> String {
        format!("queue {} of {}", self.queue, self.interface)
    }

    /// Creates a socket and binds it.
    ///
    /// # Errors
    ///
    /// [`Kind::DriverAbsent`], [`Kind::NotPermitted`] from creating it; [`Kind::NoSuchInterface`], [`Kind::InvalidArgument`]
    /// (no such queue), [`Kind::NotSupported`] from binding it. Nothing is left open then.
    #[doc(alias = "XskBind")]
    pub fn bind(self) -> Result<BoundSocket, Error> {
        let name = self.name();
        let backend = self.interface.backend();
        let object = open_object(backend, ObjectType::XSK, &[])
            .map_err(|fault| fault.during(Call::CreateSocket, &*name))?;
        let setter = Setter {
            interface: &self.interface,
            object: &*object,
            name: &name,
        };
        if self.rx_hook != Hook::Receive {
            let hook = self.rx_hook.inspect();
            setter.set(Call::SetHook, Sockopt::RX_HOOK_ID, &hook)?;
        }
        if self.tx_hook != Hook::Transmit {
            let hook = self.tx_hook.inject();
            setter.set(Call::SetHook, Sockopt::TX_HOOK_ID, &hook)?;
        }
        let mut flags = self.mode.bind_flags();
        flags.set(BindFlags::RX, self.receives);
        flags.set(BindFlags::TX, self.sends);
        let bind = BindIn {
            if_index: self.interface.index(),
            queue_id: self.queue,
            flags,
        };
        setter
            .request(Call::Bind, ioctl::BIND, bind.as_bytes())
            .map_err(|error| self.mode.explain(error))?;
        let settled = backend.settle();
        settled.map_err(|fault| fault.during(Call::Bind, name))?;
        Ok(BoundSocket {
            place: self,
            object,
            has_others: false,
        })
    }

    /// Takes over a socket that another process bound and duplicated into this one; `self` says how it was bound.
    ///
    /// # Errors
    ///
    /// [`Kind::InvalidArgument`] when the handle is not one of a socket, or is of another system than the interface. It is
    /// closed then.
    pub fn adopt(self, handle: Handle) -> Result<BoundSocket, Error> {
        let failed = |fault: Fault| fault.during(Call::AdoptSocket, self.name());
        if !Arc::ptr_eq(
            &self.interface.system().shared_backend(),
            &handle.system().shared_backend(),
        ) {
            let cause = "the handle is of another system than the interface";
            return Err(failed(Fault::of(Kind::InvalidArgument, cause)));
        }
        let object = handle.into_object();
        // Sockets of any state tell it, and nothing else has it.
        let _: Statistics = read(&*object, Sockopt::STATISTICS).map_err(failed)?;
        Ok(BoundSocket {
            place: self,
            object,
            has_others: true,
        })
    }
}

impl BoundSocket {
    /// Starts describing the rings of the socket and what it is to do with `umem`, which is of this process.
    pub fn builder(self, umem: &Umem) -> SocketBuilder<'_, Self> {
        SocketBuilder::new(self, umem)
    }

    /// Makes a handle to the socket in another process, and returns its value there.
    ///
    /// Both processes have the socket open then, and the first one to give it memory has the frames. As long as the other
    /// one has it open, closing it here does not end it: frames that the driver has then do not come back to their memory.
    ///
    /// # Errors
    ///
    /// [`Kind::NotPermitted`], [`Kind::Failed`] when the system refuses.
    #[doc(alias = "DuplicateHandle")]
    pub fn duplicate_to(&mut self, process: &Peer) -> Result<u64, Error> {
        let value = process.duplicate(&*self.object, || self.place.name())?;
        self.has_others = true;
        Ok(value)
    }

    pub(crate) fn object(&self) -> &Arc<dyn Object> {
        &self.object
    }
}

impl fmt::Debug for BoundSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BoundSocket")
            .field("on", &self.place.name())
            .finish_non_exhaustive()
    }
}
