//! Opening a socket.

use std::sync::Arc;

use xdp_abi::ClientPtr;
use xdp_abi::ioctl::xsk as ioctl;
use xdp_abi::ring::{RingInfo, RingInfoSet};
use xdp_abi::sockopt::Sockopt;
use xdp_abi::xsk::{ActivateIn, UmemReg};
use xdp_ring::RingLayout;
use zerocopy::IntoBytes;

use super::binding::{Binding, BoundSocket};
use super::rings::{Offsets, Receiving, Sending, ring};
use super::statistics::read;
use super::{Setter, Socket};
use crate::error::{Call, Error, Fault, Kind};
use crate::program::{Hook, Mode};
use crate::sys::Object;
use crate::umem::Umem;

/// Bytes of an Ethernet header, which an MTU does not count.
const ETHERNET_HEADER: u32 = 14;

/// A socket that is being described: one that is to be bound ([`Binding`]), or one that is bound already
/// ([`BoundSocket`]).
#[derive(Clone, Debug)]
#[must_use]
pub struct SocketBuilder<'u, P = Binding> {
    place: P,
    equipment: Equipment<'u>,
}

/// What a socket gets once it is bound.
#[derive(Clone, Debug)]
struct Equipment<'u> {
    umem: &'u Umem,
    rx_ring: u32,
    fill_ring: u32,
    tx_ring: u32,
    completion_ring: u32,
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

impl SocketBuilder<'_> {
    /// Chooses the queue, which counts from 0; 0 if not said.
    pub fn queue(mut self, queue: u32) -> Self {
        self.place = self.place.queue(queue);
        self
    }

    /// Chooses the mode; [`Mode::Auto`] if not said.
    pub fn mode(mut self, mode: Mode) -> Self {
        self.place = self.place.mode(mode);
        self
    }

    /// Opens it for receiving only.
    pub fn receive_only(mut self) -> Self {
        self.place = self.place.receive_only();
        self
    }

    /// Opens it for sending only.
    pub fn transmit_only(mut self) -> Self {
        self.place = self.place.transmit_only();
        self
    }

    /// Chooses what is received: what comes from the wire ([`Hook::Receive`], if not said), or what the local stack sends
    /// ([`Hook::Transmit`]).
    #[doc(alias = "XSK_SOCKOPT_RX_HOOK_ID")]
    pub fn rx_hook(mut self, hook: Hook) -> Self {
        self.place = self.place.rx_hook(hook);
        self
    }

    /// Chooses where what is sent goes: to the wire ([`Hook::Transmit`], if not said), or to the local stack, as if
    /// received ([`Hook::Receive`]).
    #[doc(alias = "XSK_SOCKOPT_TX_HOOK_ID")]
    pub fn tx_hook(mut self, hook: Hook) -> Self {
        self.place = self.place.tx_hook(hook);
        self
    }
}

impl<'u, P> SocketBuilder<'u, P> {
    pub(super) fn new(place: P, umem: &'u Umem) -> Self {
        let equipment = Equipment {
            umem,
            rx_ring: 1024,
            fill_ring: 1024,
            tx_ring: 1024,
            completion_ring: 1024,
            extensions: Vec::new(),
        };
        Self { place, equipment }
    }

    /// Sets the number of frames that can wait to be received, a power of two; 1,024 if not said. What arrives when they
    /// all wait is dropped.
    #[doc(alias = "XSK_SOCKOPT_RX_RING_SIZE")]
    pub fn rx_ring(mut self, frames: u32) -> Self {
        self.equipment.rx_ring = frames;
        self
    }

    /// Sets the number of free frames that the driver can have, a power of two; 1,024 if not said. The socket lends it
    /// so many as long as there are free ones.
    #[doc(alias = "XSK_SOCKOPT_RX_FILL_RING_SIZE")]
    pub fn fill_ring(mut self, frames: u32) -> Self {
        self.equipment.fill_ring = frames;
        self
    }

    /// Sets the number of frames that can wait to be sent, a power of two; 1,024 if not said.
    #[doc(alias = "XSK_SOCKOPT_TX_RING_SIZE")]
    pub fn tx_ring(mut self, frames: u32) -> Self {
        self.equipment.tx_ring = frames;
        self
    }

    /// Sets the number of frames that can be on their way at a time, a power of two; 1,024 if not said.
    #[doc(alias = "XSK_SOCKOPT_TX_COMPLETION_RING_SIZE")]
    pub fn completion_ring(mut self, frames: u32) -> Self {
        self.equipment.completion_ring = frames;
        self
    }

    fn enable(mut self, extension: &'static Extension) -> Self {
        let enabled = &mut self.equipment.extensions;
        if !enabled.iter().any(|one| one.option == extension.option) {
            enabled.push(extension);
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
}

impl<'u> Equipment<'u> {
    /// What is wrong with the description, seen without asking anybody.
    fn check(&self, place: &Binding) -> Result<(), Error> {
        let wrong =
            |call, cause: String| Err(Error::new(Kind::InvalidArgument, call, place.name(), cause));
        let rings = [
            ("receive", self.rx_ring, place.receives),
            ("fill", self.fill_ring, place.receives),
            ("transmit", self.tx_ring, place.sends),
            ("completion", self.completion_ring, place.sends),
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
                !place.receives
            } else {
                !place.sends
            }
        }) {
            let cause = "the socket does not go in that direction".to_owned();
            return wrong(Call::Enable(extension.name), cause);
        }
        let ours = Arc::ptr_eq(
            &place.interface.system().shared_backend(),
            &self.umem.system().shared_backend(),
        );
        if !ours {
            let cause = "the frame memory is of another system than the interface".to_owned();
            return wrong(Call::RegisterUmem, cause);
        }
        Ok(())
    }

    /// Gives a bound socket memory and rings, and activates it.
    fn activate(&self, bound: BoundSocket) -> Result<Socket<'u>, Error> {
        let place = &bound.place;
        let name = place.name();
        let failed = |call: Call| {
            let name = name.clone();
            move |fault: Fault| fault.during(call, name)
        };
        let object = Arc::clone(&bound.object);
        let setter = Setter {
            interface: &place.interface,
            object: &*object,
            name: &name,
        };
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
        let rings = [
            ("receive", Sockopt::RX_RING_SIZE, self.rx_ring),
            ("fill", Sockopt::RX_FILL_RING_SIZE, self.fill_ring),
            ("transmit", Sockopt::TX_RING_SIZE, self.tx_ring),
            (
                "completion",
                Sockopt::TX_COMPLETION_RING_SIZE,
                self.completion_ring,
            ),
        ];
        let used = [place.receives, place.receives, place.sends, place.sends];
        for ((ring, option, size), _) in rings.iter().zip(used).filter(|(_, used)| *used) {
            setter.set(Call::SizeRing(ring), *option, size)?;
        }
        let info: RingInfoSet =
            read(&*object, Sockopt::RING_INFO).map_err(failed(Call::MapRings))?;
        let mapped = |info: &RingInfo| map(&object, info).map_err(failed(Call::MapRings));
        let receiving = if place.receives {
            let offsets = self.offsets(&*object, &name, true)?;
            let half = Receiving::new(mapped(&info.rx)?, mapped(&info.fill)?, offsets);
            Some(half.map_err(failed(Call::MapRings))?)
        } else {
            None
        };
        let sending = if place.sends {
            let longest = place
                .interface
                .mtu_bytes()
                .map(|mtu| (mtu + ETHERNET_HEADER) as usize);
            let offsets = self.offsets(&*object, &name, false)?;
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
        let system = place.interface.system().clone();
        let has_others = bound.has_others;
        // From here on only the lender keeps the socket open, which has to know when it is closed.
        drop(bound);
        let mut socket = Socket {
            receiving,
            sending,
            waiting: None,
            lender: pool.lender(object, has_others),
            umem: self.umem,
            system,
            name,
        };
        if let Some(receiving) = &mut socket.receiving {
            receiving.refill(&mut socket.lender, pool);
        }
        Ok(socket)
    }

    /// Where the driver put what was enabled.
    fn offsets(&self, object: &dyn Object, name: &str, receiving: bool) -> Result<Offsets, Error> {
        let offset = |option: Sockopt| -> Result<Option<u16>, Error> {
            let offset = read::<u16>(object, option);
            let failed = |fault: Fault| fault.during(Call::MapRings, name);
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

impl<'u> SocketBuilder<'u> {
    /// Creates the socket, binds it to the queue and activates it.
    ///
    /// # Errors
    ///
    /// The first step that fails, by its name: [`Kind::DriverAbsent`], [`Kind::NotPermitted`] from creating it;
    /// [`Kind::NoSuchInterface`], [`Kind::InvalidArgument`] (no such queue) from binding; [`Kind::NotSupported`],
    /// [`Kind::Busy`] from enabling what was asked for; [`Kind::OutOfMemory`]. Nothing is left open then.
    pub fn open(self) -> Result<Socket<'u>, Error> {
        self.equipment.check(&self.place)?;
        self.equipment.activate(self.place.bind()?)
    }
}

impl<'u> SocketBuilder<'u, BoundSocket> {
    /// Gives the socket memory and rings in this process, and activates it.
    ///
    /// # Errors
    ///
    /// As [`SocketBuilder::open`] of a socket that is not bound yet, from the steps that are left: [`Kind::InvalidArgument`],
    /// [`Kind::NotSupported`], [`Kind::Busy`], [`Kind::OutOfMemory`]. The handle is closed then.
    pub fn open(self) -> Result<Socket<'u>, Error> {
        self.equipment.check(&self.place.place)?;
        self.equipment.activate(self.place)
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
