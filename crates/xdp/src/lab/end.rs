//! The ends of network cards.

use std::sync::Arc;
use std::time::{Duration, Instant};

use nt_sim::LabError;
use nt_sim::nic::{Counters, Frame};

use super::Machine;
use crate::error::{Call, Error};
use crate::sys::lab::fault;

/// Which end of a card.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// What would be plugged into a network.
    Wire,
    /// The place of the protocol stack.
    Stack,
}

/// An end of a network card of a lab: here frames are put in, and come out.
#[derive(Clone)]
pub struct End {
    machine: Arc<Machine>,
    card: usize,
    side: Side,
}

/// How long to sleep between two looks for a frame.
const LOOK: Duration = Duration::from_micros(50);

impl End {
    pub(super) fn new(machine: Arc<Machine>, card: usize, side: Side) -> Self {
        assert!(card < machine.details().len(), "the lab has no card {card}");
        Self {
            machine,
            card,
            side,
        }
    }

    fn done<T>(&self, result: Result<T, LabError>) -> Result<T, Error> {
        result.map_err(|error| fault(error).during(Call::UseEnd, self.name()))
    }

    fn name(&self) -> String {
        let side = match self.side {
            Side::Wire => "wire",
            Side::Stack => "stack",
        };
        format!("{side} end of {}", self.machine.details()[self.card].name)
    }

    /// Puts a frame in: on the wire end as if it had arrived, on the stack end as if the stack sent it. Returns when the
    /// driver has seen it.
    ///
    /// # Errors
    ///
    /// [`Kind::LabStopped`](crate::Kind::LabStopped).
    pub fn send(&self, frame: &[u8]) -> Result<(), Error> {
        self.send_all([frame])
    }

    /// As [`End::send`], for many frames.
    ///
    /// # Errors
    ///
    /// [`Kind::LabStopped`](crate::Kind::LabStopped).
    pub fn send_all<F: AsRef<[u8]>>(
        &self,
        frames: impl IntoIterator<Item = F>,
    ) -> Result<(), Error> {
        let frames = frames.into_iter().map(|frame| Frame::new(frame.as_ref()));
        let nic = self.machine.nic(self.card);
        self.done(match self.side {
            Side::Wire => nic.wire().send_all(frames),
            Side::Stack => nic.stack().send_all(frames).map(drop),
        })
    }

    /// Puts `total` frames in, taken in turn from `frames`, as fast as the driver takes them; returns how many. On the
    /// stack end in batches.
    ///
    /// # Errors
    ///
    /// [`Kind::LabStopped`](crate::Kind::LabStopped).
    pub fn blast(&self, frames: &[Vec<u8>], total: u64) -> Result<u64, Error> {
        let frames: Vec<Frame> = frames
            .iter()
            .map(|frame| Frame::new(frame.as_slice()))
            .collect();
        let nic = self.machine.nic(self.card);
        self.done(match self.side {
            Side::Wire => nic.wire().blast(&frames, total),
            Side::Stack => nic
                .stack()
                .send_all(frames.iter().cycle().take(total as usize).cloned()),
        })
    }

    /// The next frame that came out, if there is one.
    ///
    /// # Errors
    ///
    /// [`Kind::LabStopped`](crate::Kind::LabStopped).
    pub fn try_receive(&self) -> Result<Option<Vec<u8>>, Error> {
        let nic = self.machine.nic(self.card);
        let frame = match self.side {
            Side::Wire => nic.wire().try_receive(),
            Side::Stack => nic.stack().try_receive(),
        };
        self.done(frame.map(|frame| frame.map(|frame| frame.data)))
    }

    /// All frames that came out since they were last looked for, in their order.
    ///
    /// # Errors
    ///
    /// [`Kind::LabStopped`](crate::Kind::LabStopped).
    pub fn take_all(&self) -> Result<Vec<Vec<u8>>, Error> {
        let nic = self.machine.nic(self.card);
        let frames = match self.side {
            Side::Wire => nic.wire().take_all(),
            Side::Stack => nic.stack().take_all(),
        };
        self.done(frames.map(|frames| frames.into_iter().map(|frame| frame.data).collect()))
    }

    /// Waits for the next frame that comes out; `None` when `timeout` passes first.
    ///
    /// # Errors
    ///
    /// [`Kind::LabStopped`](crate::Kind::LabStopped).
    pub fn receive(&self, timeout: Duration) -> Result<Option<Vec<u8>>, Error> {
        let start = Instant::now();
        loop {
            if let Some(frame) = self.try_receive()? {
                return Ok(Some(frame));
            }
            if start.elapsed() >= timeout {
                return Ok(None);
            }
            std::thread::sleep(LOOK);
        }
    }

    /// What the end has seen.
    #[must_use]
    pub fn counters(&self) -> Counters {
        let nic = self.machine.nic(self.card);
        match self.side {
            Side::Wire => nic.wire().counters(),
            Side::Stack => nic.stack().counters(),
        }
    }

    /// How many frames came out so far.
    #[must_use]
    pub fn received_frames(&self) -> u64 {
        self.counters().received
    }

    /// From now on frames that come out are counted and not kept, which is what load needs.
    pub fn count_only(&self) {
        let nic = self.machine.nic(self.card);
        match self.side {
            Side::Wire => nic.wire().count_only(),
            Side::Stack => nic.stack().count_only(),
        }
    }
}

impl std::fmt::Debug for End {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.name())
    }
}
