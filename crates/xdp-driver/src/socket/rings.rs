//! The rings of a socket, from their size to the mapping in its program.

use nt::memory::{KernelPages, Mode, UserMapping};
use nt::sync::PushLock;
use nt::{Arc, Passive, Result, Status};
use xdp_abi::ClientPtr;
use xdp_abi::extension::Extension;
use xdp_abi::frame::FrameDescriptor;
use xdp_abi::ring::{RingFlags, RingInfo, RingInfoSet};
use xdp_ring::{Consumer, DescriptorLayout, Producer, Ring, RingLayout};

use super::state::State;
use super::{Control, Socket};
use crate::holders::Holder;
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
    lent: Option<Arc<Lent>>,
    _pages: Arc<KernelPages>,
    layout: RingLayout,
    pub(super) descriptor: DescriptorLayout,
    address: u64,
}

/// The mapping of a ring in its program, until the socket is closed or the process ends.
pub(crate) struct Lent {
    mapping: PushLock<Option<UserMapping>>,
}

impl Lent {
    /// Unmaps the ring; on return it is unmapped, whoever does it.
    pub(crate) fn take_back(&self, passive: Passive<'_>) {
        // With the lock held: the process may be about to end, and waits here until nobody is in its memory.
        drop(self.mapping.write(passive).take());
    }
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
        let (lent, address) = match self.mode {
            Mode::User => {
                let (lent, address) = self.lend(&pages, passive)?;
                (Some(lent), address)
            }
            Mode::Kernel => (None, pages.kernel_address()),
        };
        if let Err(status) = self.install_ring(which, &pages, layout, &descriptor) {
            self.take_back(lent.as_ref(), passive);
            return Err(status);
        }
        *control.rings.slot(which) = Some(Sized {
            lent,
            _pages: pages,
            layout,
            descriptor,
            address,
        });
        Ok(())
    }

    /// Maps a ring into the current process.
    fn lend(&self, pages: &Arc<KernelPages>, passive: Passive<'_>) -> Result<(Arc<Lent>, u64)> {
        let mapping = KernelPages::map_to_user(pages, passive)?;
        let address = mapping.address();
        let mapping = PushLock::new(Some(mapping));
        let lent = Arc::new(crate::TAG, Lent { mapping })?;
        let holder = Holder::Ring(lent.clone());
        self.services.holders.add(holder, passive)?;
        Ok((lent, address))
    }

    fn take_back(&self, lent: Option<&Arc<Lent>>, passive: Passive<'_>) {
        if let Some(lent) = lent {
            lent.take_back(passive);
            self.services.holders.remove(&**lent, passive);
        }
    }

    /// Unmaps the rings and frees their memory.
    pub(super) fn free_rings(&self, control: &mut Control, passive: Passive<'_>) {
        let Rings {
            fill,
            completion,
            rx,
            tx,
        } = core::mem::take(&mut control.rings);
        for ring in [fill, completion, rx, tx].iter().flatten() {
            self.take_back(ring.lent.as_ref(), passive);
        }
    }

    /// Gives a ring to the side of the socket that works with it.
    fn install_ring(
        &self,
        which: Which,
        pages: &Arc<KernelPages>,
        layout: RingLayout,
        descriptor: &DescriptorLayout,
    ) -> Result<()> {
        let memory = SharedRing::new(pages.clone(), layout)?;
        let ring = Ring::new(memory, layout.size, layout.stride).map_err(invalid)?;
        match which {
            Which::Fill => self.rx.lock().fill = Some(Consumer::new(ring).map_err(invalid)?),
            Which::Rx => {
                let half = Producer::new(ring).map_err(invalid)?;
                self.rx.lock().set_ring(half, descriptor);
            }
            Which::Tx => {
                let half = Consumer::new(ring).map_err(invalid)?;
                half.ring().raise(RingFlags::NEED_POKE);
                self.tx.lock().set_ring(half, descriptor);
            }
            Which::Completion => {
                let half = Producer::new(ring).map_err(invalid)?;
                self.tx.lock().set_completion(half, descriptor);
            }
        }
        Ok(())
    }
}

/// More extensions than any ring of a socket has.
const MAX_EXTENSIONS: usize = 8;
