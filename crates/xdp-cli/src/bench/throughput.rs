//! Frames a second.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use xdp::{Batch, Interest, Match, Program, Socket};

use super::load::{self, Wire};
use super::pace::Pace;
use super::processor::Waiting;
use super::{Bench, Outcome};
use crate::error::Failure;
use crate::interrupt::interrupted;

/// Looks without a frame before the socket is waited for.
const LOOKS: u32 = 2000;
/// How long it is waited for at a time, so that the end of the run is seen.
const NAP: Duration = Duration::from_millis(20);
/// How long the last frames may take.
const LAST: Duration = Duration::from_millis(500);
/// Flows that the frames belong to.
const FLOWS: u16 = 16;

impl Bench<'_> {
    /// Frames that are put on the wire.
    fn frames(&self) -> Vec<Vec<u8>> {
        let mac = self.interface.mac().unwrap_or([0xFF; 6]);
        let source = [2, 0, 0, 0, 0x99, 1];
        (0..FLOWS)
            .map(|flow| load::frame(self.size, mac, source, flow))
            .collect()
    }

    /// Runs `work` while frames are put on the wire; returns what it returns, and how many frames were put in.
    ///
    /// It is told when to stop, and that nothing more comes.
    fn under_load<T>(
        &self,
        work: impl FnOnce(&dyn Fn() -> Phase) -> Result<T, Failure>,
    ) -> Result<(T, Option<u64>), Failure> {
        let stop = AtomicBool::new(false);
        let quiet = AtomicBool::new(self.wire.is_none());
        let start = Instant::now();
        let duration = self.common.duration;
        let phase = || {
            if start.elapsed() < duration && !interrupted() {
                return Phase::Running;
            }
            stop.store(true, Ordering::Relaxed);
            if quiet.load(Ordering::Acquire) {
                Phase::Quiet
            } else {
                Phase::Ending
            }
        };
        std::thread::scope(|scope| {
            let generator = self.wire.as_ref().map(|wire| {
                let (frames, pace) = (self.frames(), Pace::new(self.frames_per_second()).smooth());
                let (stop, quiet) = (&stop, &quiet);
                scope.spawn(move || {
                    let total = wire.generate(&frames, pace, stop);
                    quiet.store(true, Ordering::Release);
                    total
                })
            });
            let done = work(&phase);
            // Also when it failed.
            stop.store(true, Ordering::Relaxed);
            let offered = match generator {
                Some(generator) => match generator.join() {
                    Ok(total) => Some(total?),
                    Err(panic) => std::panic::resume_unwind(panic),
                },
                None => None,
            };
            Ok((done?, offered))
        })
    }
}

/// How far a run is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    Running,
    /// Frames may still come.
    Ending,
    /// No more frames are put in.
    Quiet,
}

/// Receives frames and gives them to `handle` until the run is over and nothing more comes; returns how many came, and for
/// how long.
fn receive_all<'u>(
    socket: &mut Socket<'u>,
    batch: usize,
    phase: &dyn Fn() -> Phase,
    mut handle: impl FnMut(&mut Socket<'u>, &mut Batch<'u>) -> Result<(), Failure>,
) -> Result<(u64, Duration), Failure> {
    let mut batch = Batch::with_capacity(batch);
    let (mut frames, mut idle) = (0, 0_u32);
    let start = Instant::now();
    let (mut ended, mut quiet_since) = (None, None);
    let mut rounds = 0_u32;
    loop {
        let received = socket.receive(&mut batch);
        if received > 0 {
            frames += received as u64;
            handle(socket, &mut batch)?;
            idle = 0;
        } else {
            idle += 1;
        }
        rounds = rounds.wrapping_add(1);
        // The clock is looked at now and then only.
        if received > 0 && !rounds.is_multiple_of(64) {
            continue;
        }
        match phase() {
            Phase::Running => {
                if idle > LOOKS {
                    let _ = socket.wait(Interest::RX, NAP)?;
                    idle = 0;
                }
                continue;
            }
            Phase::Ending => {}
            Phase::Quiet => {
                let since = *quiet_since.get_or_insert_with(Instant::now);
                // Frames from elsewhere need not end.
                let done = since.elapsed() > LAST
                    || (received == 0 && socket.wait(Interest::RX, LAST)?.is_empty());
                if done {
                    return Ok((frames, ended.unwrap_or_else(|| start.elapsed())));
                }
            }
        }
        ended.get_or_insert_with(|| start.elapsed());
    }
}

/// `xdp bench rx`.
pub(super) fn receive(bench: &Bench<'_>) -> Result<Outcome, Failure> {
    let umem = bench.umem(1)?;
    let mut socket = bench.socket(&umem).receive_only().open()?;
    let _program = Program::builder(&bench.interface)
        .rule(Match::all().redirect(&socket))
        .queue(bench.common.queue as u32)
        .mode(bench.common.mode.into())
        .attach()?;
    let size = bench.common.batch as usize;
    let waiting = Waiting::begin();
    let ((frames, time), offered) = bench.under_load(|phase| {
        receive_all(&mut socket, size, phase, |_, batch| {
            batch.clear();
            Ok(())
        })
    })?;
    let waited = waiting.end().map(|waited| waited.as_secs_f64());
    let outcome = Outcome {
        offered,
        lost: offered.map(|offered| offered.saturating_sub(frames)),
        waited_seconds: waited,
        ..bench.outcome("rx")
    };
    Ok(outcome.rated(frames, time))
}

/// `xdp bench fwd`.
pub(super) fn forward(bench: &Bench<'_>) -> Result<Outcome, Failure> {
    let umem = bench.umem(2)?;
    let mut socket = bench.socket(&umem).open()?;
    let _program = Program::builder(&bench.interface)
        .rule(Match::all().redirect(&socket))
        .queue(bench.common.queue as u32)
        .mode(bench.common.mode.into())
        .attach()?;
    if let Some(wire) = &bench.wire {
        wire.count_only();
    }
    let before = bench.wire.as_ref().map_or(0, Wire::out);
    let size = bench.common.batch as usize;
    let mut sent = 0;
    let waiting = Waiting::begin();
    let ((_, time), offered) = bench.under_load(|phase| {
        receive_all(&mut socket, size, phase, |socket, batch| {
            for frame in batch.iter_mut() {
                if let Some((destination, rest)) = frame.split_at_mut_checked(6)
                    && let Some(source) = rest.get_mut(..6)
                {
                    destination.swap_with_slice(source);
                }
            }
            sent += send_all(socket, batch)?;
            Ok(())
        })
    })?;
    drain(&mut socket)?;
    let frames = match &bench.wire {
        Some(wire) => wire.out() - before,
        None => sent,
    };
    let waited = waiting.end().map(|waited| waited.as_secs_f64());
    let outcome = Outcome {
        offered,
        lost: offered.map(|offered| offered.saturating_sub(frames)),
        waited_seconds: waited,
        ..bench.outcome("fwd")
    };
    Ok(outcome.rated(frames, time))
}

/// `xdp bench tx`.
pub(super) fn transmit(bench: &Bench<'_>) -> Result<Outcome, Failure> {
    let umem = bench.umem(1)?;
    let mut socket = bench.socket(&umem).transmit_only().open()?;
    let templates = {
        let mac = bench.interface.mac().unwrap_or([2, 0, 0, 0, 0, 1]);
        load::frame(bench.size, [0xFF; 6], mac, 0)
    };
    // Every frame of the memory has the bytes already when it is sent: sending is what is measured.
    let mut all = Batch::with_capacity(umem.frames() as usize);
    umem.fill(&mut all);
    for frame in &mut all {
        let written = frame.extend_from_slice(&templates);
        written.map_err(|error| Failure::new("a frame does not fit").because(error))?;
    }
    drop(all);
    if let Some(wire) = &bench.wire {
        wire.count_only();
    }
    let before = bench.wire.as_ref().map_or(0, Wire::out);
    let mut pace = Pace::new(bench.frames_per_second());
    let mut batch = Batch::with_capacity(bench.common.batch as usize);
    let start = Instant::now();
    let (mut queued, mut rounds) = (0_u64, 0_u32);
    while !rounds.is_multiple_of(64) || (start.elapsed() < bench.common.duration && !interrupted())
    {
        rounds = rounds.wrapping_add(1);
        if batch.is_empty() {
            let due = pace.due(batch.capacity() as u64) as usize;
            if due == 0 {
                // Sleeping is not exact enough for short times.
                let nap = pace.until_next();
                if nap > Duration::from_millis(2) {
                    std::thread::sleep(nap.min(NAP) / 2);
                }
                continue;
            }
            umem.fill(&mut batch);
            while batch.len() > due {
                batch.pop();
            }
            for frame in &mut batch {
                let set = frame.set_len(bench.size);
                set.map_err(|error| Failure::new("a frame does not fit").because(error))?;
            }
        }
        let sent = if batch.is_empty() {
            0
        } else {
            socket.send(&mut batch)?
        };
        queued += sent as u64;
        if sent == 0 && socket.complete() == 0 {
            let _ = socket.wait(Interest::TX, NAP)?;
        }
    }
    drop(batch);
    drain(&mut socket)?;
    let time = start.elapsed();
    let frames = match &bench.wire {
        Some(wire) => wire.out() - before,
        None => queued - socket.in_flight() as u64,
    };
    let outcome = Outcome {
        offered: Some(queued),
        lost: Some(queued.saturating_sub(frames)),
        ..bench.outcome("tx")
    };
    Ok(outcome.rated(frames, time))
}

/// Sends a batch. While there is no room, what arrives waits in the receive ring; what finds none for long is dropped.
fn send_all<'u>(socket: &mut Socket<'u>, batch: &mut Batch<'u>) -> Result<u64, Failure> {
    let mut total = socket.send(batch)? as u64;
    let start = Instant::now();
    while !batch.is_empty() && start.elapsed() < LAST {
        if socket.complete() == 0 {
            let _ = socket.wait(Interest::TX, NAP)?;
        }
        total += socket.send(batch)? as u64;
    }
    batch.clear();
    Ok(total)
}

/// Waits until what was sent has left.
fn drain(socket: &mut Socket<'_>) -> Result<(), Failure> {
    let start = Instant::now();
    while socket.in_flight() > 0 && start.elapsed() < LAST {
        let _ = socket.wait(Interest::TX, NAP)?;
        socket.complete();
    }
    Ok(())
}
