//! Opening a socket.

use std::sync::Arc;

use xdp_abi::ClientPtr;
use xdp_abi::HookId;
use xdp_abi::ioctl::xsk as ioctl;
use xdp_abi::open::ObjectType;
use xdp_abi::ring::{RingInfo, RingInfoSet};
use xdp_abi::sockopt::{SetSockoptIn, Sockopt};
use xdp_abi::xsk::{ActivateIn, BindFlags, BindIn, UmemReg};
use xdp_ring::RingLayout;
use zerocopy::{Immutable, IntoBytes};

use super::Socket;
use super::rings::{Offsets, Receiving, Sending, ring};
use super::statistics::read;
use crate::error::{Call, Error, Fault, Kind};
use crate::interface::Interface;
use crate::program::{Hook, Mode};
use crate::sys::{Object, open_object};
use crate::umem::Umem;

/// Bytes of an Ethernet header, which an MTU does not count.
const ETHERNET_HEADER: u32 = 14;

/// A socket that is being described.
#[derive(Clone, Debug)]
#[must_use]
pub struct SocketBuilder<'u> {
    interface: Interface,
    umem: &'u Umem,
    queue: u32,
    mode: Mode,
    receives: bool,
    sends: bool,
    rx_ring: u32,
    fill_ring: u32,
    tx_ring: u32,
    completion_ring: u32,
    rx_hook: Hook,
    tx_hook: Hook,
    extensions: Vec<&'static Extension>,
}

/// Something that can be enabled.
#[derive(Debug)]
struct Extension {
    option: Sockopt,
    name: &'static str,
    receiving: bool,
}

const RX_TIMESTAMPS: Extension = extension(
    Sockopt::RX_OFFLOAD_TIMESTAMP,
    "time stamps of received frames",
    true,
);
const RX_CHECKSUMS: Extension = extension(
    Sockopt::RX_OFFLOAD_CHECKSUM,
    "checksum offload for receiving",
    true,
);
const RX_LENGTHS: Extension = extension(
    Sockopt::RX_ORIGINAL_LENGTH,
    "original lengths of received frames",
    true,
);
const TX_TIMESTAMPS: Extension = extension(
    Sockopt::TX_OFFLOAD_TIMESTAMP,
    "time stamps of sent frames",
    false,
);
const TX_CHECKSUMS: Extension = extension(
    Sockopt::TX_OFFLOAD_CHECKSUM,
    "checksum offload for sending",
    false,
);

const fn extension(option: Sockopt, name: &'static str, receiving: bool) -> Extension {
    Extension {
        option,
        name,
        receiving,
    }
}

impl<'u> SocketBuilder<'u> {
    pub(super) fn new(interface: Interface, umem: &'u Umem) -> Self {
        Self {
            interface,
            umem,
            queue: 0,
            mode: Mode::Auto,
            receives: true,
            sends: true,
            rx_ring: 1024,
            fill_ring: 1024,
            tx_ring: 1024,
            completion_ring: 1024,
            rx_hook: Hook::Receive,
            tx_hook: Hook::Transmit,
            extensions: Vec::new(),
        }
    }

    /// Chooses the queue, which counts from 0.
    pub fn queue(mut self, queue: u32) -> Self {
        self.queue = queue;
        self
    }

    /// Chooses the mode.
    pub fn mode(mut self, mode: Mode) -> Self {
        self.mode = mode;
        self
    }

    /// Opens it for receiving only.
    pub fn receive_only(mut self) -> Self {
        (self.receives, self.sends) = (true, false);
        self
    }

    /// Opens it for sending only.
    pub fn transmit_only(mut self) -> Self {
        (self.receives, self.sends) = (false, true);
        self
    }

    /// Sets the number of frames that can wait to be received, a power of two; 1,024 if not said. What arrives when they
    /// all wait is dropped.
    #[doc(alias = "XSK_SOCKOPT_RX_RING_SIZE")]
    pub fn rx_ring(mut self, frames: u32) -> Self {
        self.rx_ring = frames;
        self
    }

    /// Sets the number of free frames that the driver can have, a power of two; 1,024 if not said. The socket lends it
    /// so many as long as there are free ones.
    #[doc(alias = "XSK_SOCKOPT_RX_FILL_RING_SIZE")]
    pub fn fill_ring(mut self, frames: u32) -> Self {
        self.fill_ring = frames;
        self
    }

    /// Sets the number of frames that can wait to be sent, a power of two; 1,024 if not said.
    #[doc(alias = "XSK_SOCKOPT_TX_RING_SIZE")]
    pub fn tx_ring(mut self, frames: u32) -> Self {
        self.tx_ring = frames;
        self
    }

    /// Sets the number of frames that can be on their way at a time, a power of two; 1,024 if not said.
    #[doc(alias = "XSK_SOCKOPT_TX_COMPLETION_RING_SIZE")]
    pub fn completion_ring(mut self, frames: u32) -> Self {
        self.completion_ring = frames;
        self
    }

    /// Chooses what is received: what comes from the wire ([`Hook::Receive`], if not said), or what the local stack sends
    /// ([`Hook::Transmit`]).
    #[doc(alias = "XSK_SOCKOPT_RX_HOOK_ID")]
    pub fn rx_hook(mut self, hook: Hook) -> Self {
        self.rx_hook = hook;
        self
    }

    /// Chooses where what is sent goes: to the wire ([`Hook::Transmit`], if not said), or to the local stack, as if
    /// received ([`Hook::Receive`]).
    #[doc(alias = "XSK_SOCKOPT_TX_HOOK_ID")]
    pub fn tx_hook(mut self, hook: Hook) -> Self {
        self.tx_hook = hook;
        self
    }

    fn enable(mut self, extension: &'static Extension) -> Self {
        if !self
            .extensions
            .iter()
            .any(|enabled| enabled.option == extension.option)
        {
            self.extensions.push(extension);
        }
        self
    }

    /// Tells when frames were received ([`FrameInfo::timestamp`](crate::FrameInfo::timestamp)).
    #[doc(alias = "XSK_SOCKOPT_RX_OFFLOAD_TIMESTAMP")]
    pub fn rx_timestamps(self) -> Self {
        self.enable(&RX_TIMESTAMPS)
    }

    /// Tells what the interface found out about headers and checksums ([`FrameInfo::checksum`](crate::FrameInfo::checksum)).
    #[doc(alias = "XSK_SOCKOPT_RX_OFFLOAD_CHECKSUM")]
    pub fn rx_checksums(self) -> Self {
        self.enable(&RX_CHECKSUMS)
    }

    /// Tells how long frames were that had to be cut
    /// ([`FrameInfo::original_length_bytes`](crate::FrameInfo::original_length_bytes)).
    #[doc(alias = "XSK_SOCKOPT_RX_ORIGINAL_LENGTH")]
    pub fn rx_original_lengths(self) -> Self {
        self.enable(&RX_LENGTHS)
    }

    /// Tells when frames were sent ([`Socket::take_tx_timestamps`]).
    #[doc(alias = "XSK_SOCKOPT_TX_OFFLOAD_TIMESTAMP")]
    pub fn tx_timestamps(self) -> Self {
        self.enable(&TX_TIMESTAMPS)
    }

    /// Lets the interface compute checksums of frames ([`FrameInfo::offload`](crate::FrameInfo::offload)).
    #[doc(alias = "XSK_SOCKOPT_TX_OFFLOAD_CHECKSUM")]
    pub fn tx_checksums(self) -> Self {
        self.enable(&TX_CHECKSUMS)
    }

    fn name(&self) -> String {
        format!("queue {} of {}", self.queue, self.interface)
    }

    /// What is wrong with the description, seen without asking anybody.
    fn check(&self) -> Result<(), Error> {
        let wrong =
            |call, cause: String| Err(Error::new(Kind::InvalidArgument, call, self.name(), cause));
        let rings = [
            ("receive", self.rx_ring, self.receives),
            ("fill", self.fill_ring, self.receives),
            ("transmit", self.tx_ring, self.sends),
            ("completion", self.completion_ring, self.sends),
        ];
        for (ring, size, used) in rings {
            if used && !size.is_power_of_two() {
                let cause = format!(
                    "{size} frames: the size must be a power of two from 1 to {}",
                    1u32 << 31
                );
                return wrong(Call::SizeRing(ring), cause);
            }
        }
        if let Some(extension) = self.extensions.iter().find(|extension| {
            if extension.receiving {
                !self.receives
            } else {
                !self.sends
            }
        }) {
            let cause = "the socket does not go in that direction".to_owned();
            return wrong(Call::Enable(extension.name), cause);
        }
        let ours = Arc::ptr_eq(
            &self.interface.system().shared_backend(),
            &self.umem.system().shared_backend(),
        );
        if !ours {
            let cause = "the frame memory is of another system than the interface".to_owned();
            return wrong(Call::RegisterUmem, cause);
        }
        Ok(())
    }

    /// Creates the socket, binds it to the queue and activates it.
    ///
    /// # Errors
    ///
    /// The first step that fails, by its name: [`Kind::DriverAbsent`], [`Kind::NotPermitted`] from creating it;
    /// [`Kind::NoSuchInterface`], [`Kind::InvalidArgument`] (no such queue) from binding; [`Kind::NotSupported`],
    /// [`Kind::Busy`] from enabling what was asked for; [`Kind::OutOfMemory`]. Nothing is left open then.
    pub fn open(self) -> Result<Socket<'u>, Error> {
        self.check()?;
        let name = self.name();
        let failed = |call: Call| {
            let name = name.clone();
            move |fault: Fault| fault.during(call, name)
        };
        let backend = self.interface.backend();
        let object =
            open_object(backend, ObjectType::XSK, &[]).map_err(failed(Call::CreateSocket))?;
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
            let hook: HookId = self.tx_hook.inject();
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
        backend.settle().map_err(failed(Call::Bind))?;
        for extension in &self.extensions {
            setter.set(Call::Enable(extension.name), extension.option, &1_u32)?;
        }
        let pool = self.umem.pool();
        let registration = UmemReg {
            total_size: pool.geometry().total_size().into(),
            chunk_size: pool.geometry().chunk_size(),
            headroom: pool.geometry().headroom(),
            address: ClientPtr(pool.memory().address()),
        };
        setter.set(Call::RegisterUmem, Sockopt::UMEM_REG, &registration)?;
        if self.receives {
            setter.set(
                Call::SizeRing("receive"),
                Sockopt::RX_RING_SIZE,
                &self.rx_ring,
            )?;
            setter.set(
                Call::SizeRing("fill"),
                Sockopt::RX_FILL_RING_SIZE,
                &self.fill_ring,
            )?;
        }
        if self.sends {
            setter.set(
                Call::SizeRing("transmit"),
                Sockopt::TX_RING_SIZE,
                &self.tx_ring,
            )?;
            let completion = &self.completion_ring;
            setter.set(
                Call::SizeRing("completion"),
                Sockopt::TX_COMPLETION_RING_SIZE,
                completion,
            )?;
        }
        let info: RingInfoSet =
            read(&*object, Sockopt::RING_INFO).map_err(failed(Call::MapRings))?;
        let mapped = |info: &RingInfo| map(&object, info).map_err(failed(Call::MapRings));
        let receiving = if self.receives {
            let offsets = self.offsets(&*object, true)?;
            let half = Receiving::new(mapped(&info.rx)?, mapped(&info.fill)?, offsets);
            Some(half.map_err(failed(Call::MapRings))?)
        } else {
            None
        };
        let sending = if self.sends {
            let longest = self
                .interface
                .mtu_bytes()
                .map(|mtu| (mtu + ETHERNET_HEADER) as usize);
            let offsets = self.offsets(&*object, false)?;
            let half = Sending::new(
                mapped(&info.tx)?,
                mapped(&info.completion)?,
                offsets,
                longest,
            );
            Some(half.map_err(failed(Call::MapRings))?)
        } else {
            None
        };
        let activate = ActivateIn::default();
        setter.request(Call::Activate, ioctl::ACTIVATE, activate.as_bytes())?;
        let mut socket = Socket {
            receiving,
            sending,
            #[cfg(feature = "tokio")]
            waiting: None,
            lender: pool.lender(object),
            umem: self.umem,
            system: self.interface.system().clone(),
            name,
        };
        if let Some(receiving) = &mut socket.receiving {
            receiving.refill(&mut socket.lender, pool);
        }
        Ok(socket)
    }

    /// Where the driver put what was enabled.
    fn offsets(&self, object: &dyn Object, receiving: bool) -> Result<Offsets, Error> {
        let offset = |option: Sockopt| -> Result<Option<u16>, Error> {
            let offset = read::<u16>(object, option);
            let failed = |fault: Fault| fault.during(Call::MapRings, self.name());
            offset.map(Some).map_err(failed)
        };
        let mut offsets = Offsets::default();
        for extension in self
            .extensions
            .iter()
            .filter(|extension| extension.receiving == receiving)
        {
            match extension.option {
                Sockopt::RX_OFFLOAD_TIMESTAMP => {
                    offsets.timestamp = offset(Sockopt::RX_FRAME_TIMESTAMP_EXTENSION)?;
                }
                Sockopt::RX_ORIGINAL_LENGTH => {
                    offsets.original_length = offset(Sockopt::RX_FRAME_ORIGINAL_LENGTH_EXTENSION)?;
                }
                Sockopt::RX_OFFLOAD_CHECKSUM => {
                    offsets.layout = offset(Sockopt::RX_FRAME_LAYOUT_EXTENSION)?;
                    offsets.checksum = offset(Sockopt::RX_FRAME_CHECKSUM_EXTENSION)?;
                }
                Sockopt::TX_OFFLOAD_TIMESTAMP => {
                    offsets.timestamp = offset(Sockopt::TX_FRAME_TIMESTAMP_EXTENSION)?;
                }
                _ => {
                    offsets.layout = offset(Sockopt::TX_FRAME_LAYOUT_EXTENSION)?;
                    offsets.checksum = offset(Sockopt::TX_FRAME_CHECKSUM_EXTENSION)?;
                }
            }
        }
        Ok(offsets)
    }
}

/// The ring that the driver described, mapped for as long as it is used.
fn map(
    object: &Arc<dyn Object>,
    info: &RingInfo,
) -> Result<xdp_ring::Ring<crate::memory::SharedRing>, Fault> {
    let wrong = |error| {
        Fault::of(
            Kind::Failed,
            format!("the driver describes no ring: {error}"),
        )
    };
    let layout = RingLayout::from_info(info, u64::from(u32::MAX)).map_err(wrong)?;
    let bytes = layout.bytes() as usize;
    let memory = Arc::clone(object).mapped(info.ring.0, bytes)?;
    ring(memory, info)
}

/// Requests to one socket.
struct Setter<'a> {
    interface: &'a Interface,
    object: &'a dyn Object,
    name: &'a str,
}

impl Setter<'_> {
    fn request(&self, call: Call, code: u32, input: &[u8]) -> Result<(), Error> {
        let answer = self.object.control(code, input, &mut []);
        match answer {
            Ok(answer) if answer.status.is_success() => Ok(()),
            Ok(answer) => Err(Fault::Status(answer.status).during(call, self.name)),
            Err(fault) => Err(fault.during(call, self.name)),
        }
    }

    /// Sets an option, whose value lies in memory that the request refers to.
    fn set<T: IntoBytes + Immutable>(
        &self,
        call: Call,
        option: Sockopt,
        value: &T,
    ) -> Result<(), Error> {
        let memory = self
            .interface
            .backend()
            .allocate(size_of::<T>())
            .map_err(|fault| fault.during(call, self.name))?;
        memory.write(0, value.as_bytes());
        let set = SetSockoptIn {
            option,
            input_buffer_length: size_of::<T>() as u32,
            input_buffer: ClientPtr(memory.address()),
        };
        self.request(call, ioctl::SET_SOCKOPT, set.as_bytes())
    }
}
