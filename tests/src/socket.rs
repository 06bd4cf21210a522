//! A socket ready for traffic: bound, with frame memory and rings, active.

use std::time::Duration;

use nt_sim::Nic;
use xdp_abi::{
    HookId,
    frame::FrameDescriptor,
    sockopt::Sockopt,
    xsk::{BindFlags, NotifyFlags},
};
use zerocopy::FromBytes;

use crate::{client::Client, ring::Rings, status::Answer, umem::Umem, xsk::Xsk};

/// How long a scenario waits for what surely comes.
pub const PATIENCE: Duration = Duration::from_secs(5);

/// How a socket is made.
#[derive(Clone, Debug)]
#[must_use]
pub struct Setup {
    /// Directions and mode.
    pub bind: BindFlags,
    /// Queue.
    pub queue: u32,
    /// Bytes of a chunk.
    pub chunk_size: u32,
    /// Chunks.
    pub chunks: u32,
    /// Headroom in each.
    pub headroom: u32,
    /// Elements of the receive ring.
    pub rx: u32,
    /// Elements of the fill ring.
    pub fill: u32,
    /// Elements of the transmit ring.
    pub tx: u32,
    /// Elements of the completion ring.
    pub completion: u32,
    /// Extensions to enable.
    pub extensions: Vec<Sockopt>,
    /// Hook of the receive side, if not the usual one.
    pub rx_hook: Option<HookId>,
    /// Hook of the transmit side, if not the usual one.
    pub tx_hook: Option<HookId>,
}

impl Setup {
    fn new(bind: BindFlags) -> Self {
        Setup {
            bind,
            queue: 0,
            chunk_size: 2048,
            chunks: 32,
            headroom: 0,
            rx: 16,
            fill: 16,
            tx: 16,
            completion: 16,
            extensions: Vec::new(),
            rx_hook: None,
            tx_hook: None,
        }
    }

    /// Receives.
    pub fn rx() -> Self {
        Self::new(BindFlags::RX)
    }

    /// Transmits.
    pub fn tx() -> Self {
        Self::new(BindFlags::TX)
    }

    /// Does both.
    pub fn rx_tx() -> Self {
        Self::new(BindFlags::RX | BindFlags::TX)
    }

    /// On another queue.
    pub fn queue(mut self, queue: u32) -> Self {
        self.queue = queue;
        self
    }

    /// With other chunks.
    pub fn chunks(mut self, size: u32, count: u32) -> Self {
        self.chunk_size = size;
        self.chunks = count;
        self
    }

    /// With headroom.
    pub fn headroom(mut self, bytes: u32) -> Self {
        self.headroom = bytes;
        self
    }

    /// With rings for receiving of other sizes.
    pub fn rx_rings(mut self, rx: u32, fill: u32) -> Self {
        self.rx = rx;
        self.fill = fill;
        self
    }

    /// With rings for transmitting of other sizes.
    pub fn tx_rings(mut self, tx: u32, completion: u32) -> Self {
        self.tx = tx;
        self.completion = completion;
        self
    }

    /// With an extension enabled.
    pub fn extension(mut self, option: Sockopt) -> Self {
        self.extensions.push(option);
        self
    }

    /// With another hook for receiving.
    pub fn rx_hook(mut self, hook: HookId) -> Self {
        self.rx_hook = Some(hook);
        self
    }

    /// With another hook for transmitting.
    pub fn tx_hook(mut self, hook: HookId) -> Self {
        self.tx_hook = Some(hook);
        self
    }

    /// With a mode.
    pub fn flags(mut self, flags: BindFlags) -> Self {
        self.bind |= flags;
        self
    }
}

/// A socket ready for traffic.
pub struct Socket<'c> {
    /// The socket.
    pub xsk: Xsk<'c>,
    /// Its frame memory.
    pub umem: Umem,
    /// Its rings.
    pub rings: Rings,
}

/// A received frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    /// Fill address that it used up.
    pub base: u64,
    /// Offset of the data from there.
    pub offset: u16,
    /// The bytes.
    pub data: Vec<u8>,
    /// The whole ring element, with its extensions.
    pub element: Vec<u8>,
}

impl<'c> Client<'c> {
    /// Makes a socket and activates it.
    ///
    /// # Errors
    /// The first refusal of the driver.
    pub fn socket(&'c self, nic: &Nic<'_>, setup: Setup) -> Answer<Socket<'c>> {
        let socket = self.idle_socket(nic, setup)?;
        socket.xsk.activate()?;
        Ok(socket)
    }

    /// Makes a socket that is bound, with frame memory and rings, and not active yet.
    ///
    /// # Errors
    /// The first refusal of the driver.
    pub fn idle_socket(&'c self, nic: &Nic<'_>, setup: Setup) -> Answer<Socket<'c>> {
        let xsk = self.xsk()?;
        if let Some(hook) = setup.rx_hook {
            xsk.set_rx_hook(hook)?;
        }
        if let Some(hook) = setup.tx_hook {
            xsk.set_tx_hook(hook)?;
        }
        xsk.bind(nic.if_index(), setup.queue, setup.bind)?;
        for &option in &setup.extensions {
            xsk.set(option, &1_u32)?;
        }
        let total = u64::from(setup.chunk_size) * u64::from(setup.chunks);
        let umem = xsk.register(total, setup.chunk_size, setup.headroom)?;
        if setup.bind.contains(BindFlags::RX) {
            xsk.size_ring(Sockopt::RX_RING_SIZE, setup.rx)?;
            xsk.size_ring(Sockopt::RX_FILL_RING_SIZE, setup.fill)?;
        }
        if setup.bind.contains(BindFlags::TX) {
            xsk.size_ring(Sockopt::TX_RING_SIZE, setup.tx)?;
            xsk.size_ring(Sockopt::TX_COMPLETION_RING_SIZE, setup.completion)?;
        }
        let rings = xsk.rings()?;
        Ok(Socket { xsk, umem, rings })
    }
}

impl Socket<'_> {
    /// Posts addresses for receiving.
    ///
    /// # Panics
    /// When the fill ring has no room.
    pub fn fill(&self, addresses: impl IntoIterator<Item = u64>) {
        for address in addresses {
            assert!(self.rings.fill().push(&address), "the fill ring is full");
        }
    }

    /// Posts chunks until the fill ring is full: chunk 0 and following.
    pub fn fill_all(&self) {
        let fill = self.rings.fill();
        let count = fill.free().min(self.umem.chunks());
        self.fill((0..count).map(|n| self.umem.chunk(n)));
    }

    /// Takes what has been received.
    ///
    /// # Panics
    /// When a descriptor leads out of the frame memory.
    pub fn received(&self) -> Vec<Received> {
        std::iter::from_fn(|| self.rings.rx().pop_bytes())
            .map(|element| {
                let (frame, _) =
                    FrameDescriptor::read_from_prefix(&element).expect("a frame descriptor");
                let (address, length) = (frame.buffer.address, frame.buffer.length);
                let (base, offset) = (address.base_address(), address.offset());
                Received {
                    base,
                    offset,
                    data: self.umem.read(base + u64::from(offset), length),
                    element,
                }
            })
            .collect()
    }

    /// The bytes of what has been received.
    pub fn received_bytes(&self) -> Vec<Vec<u8>> {
        self.received()
            .into_iter()
            .map(|frame| frame.data)
            .collect()
    }

    /// Puts a descriptor into the transmit ring without telling the driver.
    ///
    /// # Panics
    /// When the ring has no room.
    pub fn post(&self, base: u64, offset: u16, length: u32) {
        let descriptor = FrameDescriptor::new(base, offset, length);
        assert!(
            self.rings.tx().push(&descriptor),
            "the transmit ring is full"
        );
    }

    /// Writes a frame into a chunk and puts it into the transmit ring.
    pub fn post_frame(&self, chunk: u32, frame: &[u8]) {
        let base = self.umem.chunk(chunk);
        self.umem.write(base, frame);
        self.post(base, 0, frame.len() as u32);
    }

    /// Tells the driver to look at the transmit ring.
    ///
    /// # Panics
    /// When the driver refuses.
    pub fn poke(&self) {
        self.xsk.poke(NotifyFlags::POKE_TX).expect("a poke");
    }

    /// Sends a frame from a chunk.
    pub fn send(&self, chunk: u32, frame: &[u8]) {
        self.post_frame(chunk, frame);
        self.poke();
    }

    /// Takes what has been completed.
    pub fn completions(&self) -> Vec<u64> {
        std::iter::from_fn(|| self.rings.completion().pop::<u64>()).collect()
    }

    /// Waits until `count` frames have been completed, and takes them.
    ///
    /// # Panics
    /// When they do not come.
    pub fn await_completions(&self, count: usize) -> Vec<u64> {
        let mut done = self.completions();
        while done.len() < count {
            let waited = self.xsk.notify(NotifyFlags::WAIT_TX, Some(PATIENCE));
            let (status, _) = waited.expect("a wait");
            let more = self.completions();
            assert!(
                status.0 == 0 || !more.is_empty(),
                "{} of {count} completions came",
                done.len()
            );
            done.extend(more);
        }
        done
    }

    /// Waits until `count` frames have been received, and takes them.
    ///
    /// # Panics
    /// When they do not come.
    pub fn await_received(&self, count: usize) -> Vec<Received> {
        let mut got = self.received();
        while got.len() < count {
            let waited = self.xsk.notify(NotifyFlags::WAIT_RX, Some(PATIENCE));
            let (status, _) = waited.expect("a wait");
            let more = self.received();
            assert!(
                status.0 == 0 || !more.is_empty(),
                "{} of {count} frames came",
                got.len()
            );
            got.extend(more);
        }
        got
    }
}
