//! One queue's way through sockets.

use std::time::{Duration, Instant};

use xdp::{Batch, Interest, Interface, Match, Program, Socket, Umem};

use crate::error::Failure;

/// Where a receive queue's counters have the frames that the driver sent back, in the order of the set XDP Receive Queue.
pub(super) const COUNTER_FORWARDED: usize = 7;
/// How long the last frames are waited for at a time.
const NAP: Duration = Duration::from_millis(1);
/// How long the last frames may take.
const LAST: Duration = Duration::from_millis(500);

/// How a path is made.
pub(super) struct Settings {
    pub(super) queue: u32,
    pub(super) mode: xdp::Mode,
    pub(super) ring_size: u32,
    pub(super) batch: usize,
}

/// What went through.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) received: u64,
    pub(super) forwarded: u64,
    pub(super) dropped: u64,
}

impl Counts {
    pub(super) fn plus(self, other: Self) -> Self {
        Self {
            received: self.received + other.received,
            forwarded: self.forwarded + other.forwarded,
            dropped: self.dropped + other.dropped,
        }
    }

    pub(super) fn since(self, before: Self) -> Self {
        Self {
            received: self.received.saturating_sub(before.received),
            forwarded: self.forwarded.saturating_sub(before.forwarded),
            dropped: self.dropped.saturating_sub(before.dropped),
        }
    }
}

/// A socket, or two that send what the other one receives.
pub(super) struct Path<'u> {
    near: Socket<'u>,
    far: Option<Socket<'u>>,
    both: bool,
    batch: Batch<'u>,
    there: Counts,
    back: Counts,
    /// Detached before the sockets are closed.
    programs: Vec<Program>,
}

fn socket<'u>(
    interface: &Interface,
    umem: &'u Umem,
    settings: &Settings,
) -> Result<Socket<'u>, xdp::Error> {
    let ring = settings.ring_size;
    Socket::builder(interface, umem)
        .queue(settings.queue)
        .mode(settings.mode)
        .rx_ring(ring)
        .fill_ring(ring)
        .tx_ring(ring)
        .completion_ring(ring)
        .open()
}

fn program(
    interface: &Interface,
    socket: &Socket<'_>,
    settings: &Settings,
) -> Result<Program, xdp::Error> {
    Program::builder(interface)
        .rule(Match::all().redirect(socket))
        .queue(settings.queue)
        .mode(settings.mode)
        .attach()
}

impl<'u> Path<'u> {
    /// Frames go back where they came from.
    pub(super) fn back(
        interface: &Interface,
        umem: &'u Umem,
        settings: &Settings,
    ) -> Result<Self, Failure> {
        let near = socket(interface, umem, settings)?;
        let programs = vec![program(interface, &near, settings)?];
        Ok(Self {
            near,
            far: None,
            both: false,
            batch: Batch::with_capacity(settings.batch),
            there: Counts::default(),
            back: Counts::default(),
            programs,
        })
    }

    /// Frames go to another interface.
    pub(super) fn across(
        from: &Interface,
        to: &Interface,
        both: bool,
        umem: &'u Umem,
        settings: &Settings,
    ) -> Result<Self, Failure> {
        let near = socket(from, umem, settings)?;
        let far = socket(to, umem, settings)?;
        let mut programs = vec![program(from, &near, settings)?];
        if both {
            programs.push(program(to, &far, settings)?);
        }
        Ok(Self {
            near,
            far: Some(far),
            both,
            batch: Batch::with_capacity(settings.batch),
            there: Counts::default(),
            back: Counts::default(),
            programs,
        })
    }

    /// Moves what is there; tells whether there was anything.
    pub(super) fn run(&mut self) -> Result<bool, Failure> {
        let Some(far) = &mut self.far else {
            let received = self.near.receive(&mut self.batch);
            self.there.received += received as u64;
            swap_all(&mut self.batch);
            send(&mut self.near, &mut self.batch, &mut self.there)?;
            return Ok(received > 0);
        };
        let received = self.near.receive(&mut self.batch);
        self.there.received += received as u64;
        send(far, &mut self.batch, &mut self.there)?;
        let mut moved = received > 0;
        if self.both {
            let received = far.receive(&mut self.batch);
            self.back.received += received as u64;
            send(&mut self.near, &mut self.batch, &mut self.back)?;
            moved |= received > 0;
        }
        Ok(moved)
    }

    /// The sockets that receive.
    pub(super) fn receiving(&mut self) -> impl Iterator<Item = (&mut Socket<'u>, Interest)> {
        let both = self.both;
        let far = self.far.iter_mut().filter(move |_| both);
        std::iter::once(&mut self.near)
            .chain(far)
            .map(|socket| (socket, Interest::RX))
    }

    /// Takes no more frames, and waits until those under way have left.
    pub(super) fn drain(&mut self) -> Result<(), Failure> {
        self.programs.clear();
        // What is there already still goes its way.
        while self.run()? {}
        let start = Instant::now();
        for socket in std::iter::once(&mut self.near).chain(&mut self.far) {
            while socket.in_flight() > 0 && start.elapsed() < LAST {
                let _ = socket.wait(Interest::TX, NAP)?;
                socket.complete();
            }
        }
        Ok(())
    }

    /// What went there, and what went back.
    pub(super) fn counts(&self) -> [Counts; 2] {
        [self.there, self.back]
    }
}

/// Sends a batch; what there is no room for, or is too long for the interface, is dropped.
fn send<'u>(
    socket: &mut Socket<'u>,
    batch: &mut Batch<'u>,
    counts: &mut Counts,
) -> Result<(), Failure> {
    while !batch.is_empty() {
        match socket.send(batch) {
            Ok(0) => break,
            Ok(sent) => counts.forwarded += sent as u64,
            Err(error) if error.kind() == xdp::Kind::InvalidArgument => {
                counts.dropped += 1;
                drop(batch.drain(..1));
            }
            Err(error) => return Err(error.into()),
        }
    }
    counts.dropped += batch.len() as u64;
    batch.clear();
    Ok(())
}

/// Swaps the MAC addresses of each frame.
fn swap_all(batch: &mut Batch<'_>) {
    for frame in batch {
        if let Some((destination, rest)) = frame.split_at_mut_checked(6)
            && let Some(source) = rest.get_mut(..6)
        {
            destination.swap_with_slice(source);
        }
    }
}
