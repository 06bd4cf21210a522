//! The rings of a socket, from their size to the mapping in its program.

use nt::memory::{KernelPages, Mode, UserMapping};
use nt::{Arc, Passive, Result, Status};
use xdp_abi::ClientPtr;
use xdp_abi::extension::Extension;
use xdp_abi::frame::FrameDescriptor;
use xdp_abi::ring::{RingFlags, RingInfo, RingInfoSet};
use xdp_ring::{Consumer, DescriptorLayout, Producer, Ring, RingLayout};

use super::state::State;
use super::{Control, Socket};
use crate::memory::SharedRing;

/// Which ring.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Which {
    Fill,
    Completion,
    Rx,
    Tx,
}

/// The rings that have been sized.
#[derive(Default)]
pub(super) struct Rings {
    fill: Option<Sized>,
    completion: Option<Sized>,
    rx: Option<Sized>,
    tx: Option<Sized>,
}

/// A ring in memory.
pub(super) struct Sized {
    // Dropped before the pages: unmapping needs them.
    _mapping: Option<UserMapping>,
    _pages: Arc<KernelPages>,
    layout: RingLayout,
    pub(super) descriptor: DescriptorLayout,
    address: u64,
}

impl Rings {
    pub(super) const fn get(&self, which: Which) -> Option<&Sized> {
        match which {
            Which::Fill => self.fill.as_ref(),
            Which::Completion => self.completion.as_ref(),
            Which::Rx => self.rx.as_ref(),
            Which::Tx => self.tx.as_ref(),
        }
    }

    const fn slot(&mut self, which: Which) -> &mut Option<Sized> {
        match which {
            Which::Fill => &mut self.fill,
            Which::Completion => &mut self.completion,
            Which::Rx => &mut self.rx,
            Which::Tx => &mut self.tx,
        }
    }

    /// Where the rings are.
    pub(super) fn info(&self) -> RingInfoSet {
        let info = |ring: &Option<Sized>| {
            ring.as_ref().map_or_else(RingInfo::default, |ring| {
                ring.layout.to_info(ClientPtr(ring.address))
            })
        };
        RingInfoSet {
            fill: info(&self.fill),
            completion: info(&self.completion),
            rx: info(&self.rx),
            tx: info(&self.tx),
        }
    }
}

fn invalid<E>(_: E) -> Status {
    Status::INVALID_PARAMETER
}

impl Socket {
    /// Makes a ring of `elements` elements.
    pub(super) fn size_ring(
        &self,
        control: &mut Control,
        which: Which,
        elements: u32,
        passive: Passive<'_>,
    ) -> Result<()> {
        let mut extensions = [xdp_abi::extension::FRAME_CHECKSUM; MAX_EXTENSIONS];
        let mut count = 0;
        for (slot, extension) in extensions.iter_mut().zip(control.enabled.extensions(which)) {
            *slot = *extension;
            count += 1;
        }
        let extensions: &[Extension] = extensions.get(..count).unwrap_or_default();
        let base = match which {
            Which::Fill | Which::Completion => size_of::<u64>(),
            Which::Rx | Which::Tx => size_of::<FrameDescriptor>(),
        };
        let descriptor = DescriptorLayout::new(base as u16, 8, extensions).map_err(invalid)?;
        let layout = RingLayout::new(elements, descriptor.stride().into()).map_err(invalid)?;
        if control.rings.get(which).is_some() || self.state.get() >= State::Activating {
            return Err(Status::INVALID_DEVICE_STATE);
        }
        let bytes = usize::try_from(layout.bytes()).map_err(|_| Status::INSUFFICIENT_RESOURCES)?;
        let pages = Arc::new(crate::TAG, KernelPages::new(crate::TAG, bytes)?)?;
        let (mapping, address) = match self.mode {
            Mode::User => {
                let mapping = KernelPages::map_to_user(&pages, passive)?;
                let address = mapping.address();
                (Some(mapping), address)
            }
            Mode::Kernel => (None, pages.kernel_address()),
        };
        let ring = || {
            let memory = SharedRing::new(pages.clone(), layout)?;
            Ring::new(memory, layout.size, layout.stride).map_err(invalid)
        };
        match which {
            Which::Fill => {
                let half = Consumer::new(ring()?).map_err(invalid)?;
                self.rx.lock().fill = Some(half);
            }
            Which::Rx => {
                let half = Producer::new(ring()?).map_err(invalid)?;
                self.rx.lock().set_ring(half, &descriptor);
            }
            Which::Tx => {
                let half = Consumer::new(ring()?).map_err(invalid)?;
                half.ring().raise(RingFlags::NEED_POKE);
                self.tx.lock().set_ring(half, &descriptor);
            }
            Which::Completion => {
                let half = Producer::new(ring()?).map_err(invalid)?;
                self.tx.lock().set_completion(half, &descriptor);
            }
        }
        *control.rings.slot(which) = Some(Sized {
            _mapping: mapping,
            _pages: pages,
            layout,
            descriptor,
            address,
        });
        Ok(())
    }
}

/// More extensions than any ring of a socket has.
const MAX_EXTENSIONS: usize = 8;
