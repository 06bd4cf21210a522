//! One queue that is captured: a socket takes the frames, and gives those that pass to the network stack.

use std::time::{Duration, Instant};

use xdp::rulefile::RuleFile;
use xdp::{
    Batch, Frame, Hook, Interest, Interface, Match, Program, Socket, Targets, Umem, WaitSet,
};

use crate::capture::write::Verdict;
use crate::error::Failure;
use crate::filter::words::SOCKET;

/// How long the transmit ring may be full before frames are given up.
const PATIENCE: Duration = Duration::from_millis(200);
/// How long is waited at a time.
const NAP: Duration = Duration::from_millis(1);

/// How a tap is made.
pub(crate) struct Settings<'a> {
    pub(crate) mode: xdp::Mode,
    pub(crate) ring_size: u32,
    pub(crate) batch: usize,
    /// Rules that lead to [`SOCKET`]; without any, everything is captured.
    pub(crate) filter: Option<&'a RuleFile>,
    /// Rules that are in force meanwhile, for frames that are not captured.
    pub(crate) rules: Option<&'a RuleFile>,
    /// Whether frames may be sent back.
    pub(crate) sends_back: bool,
}

/// What became of frames.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Frames that came.
    pub(crate) seen: u64,
    pub(crate) passed: u64,
    pub(crate) dropped: u64,
    pub(crate) sent_back: u64,
    pub(crate) taken: u64,
    /// Frames that came and could not be passed on.
    pub(crate) stuck: u64,
    /// Frames that the driver dropped because nobody took them in time.
    pub(crate) missed: u64,
}

impl Counts {
    pub(crate) fn plus(self, other: Self) -> Self {
        Self {
            seen: self.seen + other.seen,
            passed: self.passed + other.passed,
            dropped: self.dropped + other.dropped,
            sent_back: self.sent_back + other.sent_back,
            taken: self.taken + other.taken,
            stuck: self.stuck + other.stuck,
            missed: self.missed + other.missed,
        }
    }
}

/// A queue that is captured.
pub(crate) struct Tap<'u> {
    queue: u32,
    /// Receives from the wire, sends into the stack.
    socket: Socket<'u>,
    /// Sends to the wire.
    back: Option<Socket<'u>>,
    received: Batch<'u>,
    passing: Batch<'u>,
    returning: Batch<'u>,
    program: Option<Program>,
    counts: Counts,
}

impl<'u> Tap<'u> {
    /// Opens the sockets; nothing is captured yet.
    pub(crate) fn new(
        interface: &Interface,
        umem: &'u Umem,
        queue: u32,
        settings: &Settings<'_>,
    ) -> Result<Self, Failure> {
        let ring = settings.ring_size;
        let builder = || {
            Socket::builder(interface, umem)
                .queue(queue)
                .mode(settings.mode)
        };
        let socket = builder()
            .tx_hook(Hook::Receive)
            .rx_ring(ring)
            .fill_ring(ring)
            .tx_ring(ring)
            .completion_ring(ring)
            .open()?;
        let back = match settings.sends_back {
            true => Some(
                builder()
                    .transmit_only()
                    .tx_ring(ring)
                    .completion_ring(ring)
                    .open()?,
            ),
            false => None,
        };
        Ok(Self {
            queue,
            socket,
            back,
            received: Batch::with_capacity(settings.batch),
            passing: Batch::with_capacity(settings.batch),
            returning: Batch::with_capacity(settings.batch),
            program: None,
            counts: Counts::default(),
        })
    }

    /// Lets frames come.
    pub(crate) fn attach(
        &mut self,
        interface: &Interface,
        settings: &Settings<'_>,
    ) -> Result<(), Failure> {
        let mut program = Program::builder(interface)
            .queue(self.queue)
            .mode(settings.mode);
        match settings.filter {
            Some(filter) => {
                let targets = Targets::new().socket(SOCKET, &self.socket);
                program = program.rule_file(filter, &targets)?;
                if let Some(rules) = settings.rules {
                    program = program.rule_file(rules, &Targets::new())?;
                }
            }
            None => program = program.rule(Match::all().redirect(&self.socket)),
        }
        self.program = Some(program.attach()?);
        Ok(())
    }

    pub(crate) fn queue(&self) -> u32 {
        self.queue
    }

    /// Takes what is there, asks about each frame what is to become of it, and does that; tells whether there was anything.
    pub(crate) fn run(&mut self, mut judge: impl FnMut(&[u8]) -> Verdict) -> Result<bool, Failure> {
        if self.socket.receive(&mut self.received) == 0 {
            return Ok(false);
        }
        for mut frame in self.received.drain(..) {
            self.counts.seen += 1;
            match judge(&frame) {
                Verdict::Pass => self.passing.push(frame),
                Verdict::Drop => self.counts.dropped += 1,
                Verdict::Redirect => self.counts.taken += 1,
                Verdict::SendBack => {
                    swap(&mut frame);
                    self.returning.push(frame);
                }
            }
        }
        let stuck = &mut self.counts.stuck;
        self.counts.passed += send(&mut self.socket, &mut self.passing, stuck)?;
        if let Some(back) = &mut self.back {
            self.counts.sent_back += send(back, &mut self.returning, stuck)?;
        }
        Ok(true)
    }

    /// No more frames come; what is there already can still be taken.
    pub(crate) fn detach(&mut self) {
        self.program = None;
    }

    /// Waits until what was passed on has left.
    pub(crate) fn drain(&mut self) -> Result<(), Failure> {
        let start = Instant::now();
        for socket in std::iter::once(&mut self.socket).chain(&mut self.back) {
            while socket.in_flight() > 0 && start.elapsed() < PATIENCE {
                let _ = socket.wait(Interest::TX, NAP)?;
                socket.complete();
            }
        }
        Ok(())
    }

    pub(crate) fn counts(&self) -> Result<Counts, Failure> {
        Ok(Counts {
            missed: self.socket.statistics()?.rx_dropped,
            ..self.counts
        })
    }
}

/// Waits until frames come to any of the taps.
pub(crate) fn wait(taps: &mut [Tap<'_>], set: &WaitSet, time: Duration) -> Result<(), Failure> {
    let sockets = taps.iter_mut().map(|tap| (&mut tap.socket, Interest::RX));
    set.wait(sockets, time)?;
    Ok(())
}

/// Sends all frames, waiting for room; gives up what finds none, or is too long. Returns how many went.
fn send<'u>(
    socket: &mut Socket<'u>,
    batch: &mut Batch<'u>,
    stuck: &mut u64,
) -> Result<u64, Failure> {
    let mut total = 0;
    let start = Instant::now();
    while !batch.is_empty() {
        match socket.send(batch) {
            Ok(0) if socket.complete() > 0 => {}
            Ok(0) if start.elapsed() > PATIENCE => break,
            Ok(0) => {
                let _ = socket.wait(Interest::TX, NAP)?;
            }
            Ok(sent) => total += sent as u64,
            Err(error) if error.kind() == xdp::Kind::InvalidArgument => {
                *stuck += 1;
                drop(batch.drain(..1));
            }
            Err(error) => return Err(error.into()),
        }
    }
    *stuck += batch.len() as u64;
    batch.clear();
    Ok(total)
}

/// What the driver does with a frame that it sends back.
fn swap(frame: &mut Frame<'_>) {
    if let Some((destination, rest)) = frame.split_at_mut_checked(6)
        && let Some(source) = rest.get_mut(..6)
    {
        destination.swap_with_slice(source);
    }
}
