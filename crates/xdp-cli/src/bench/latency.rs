//! How long frames take.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use xdp::{Batch, Match, Program, Socket};

use super::added::Added;
use super::handover::{Handover, Word};
use super::histogram::Histogram;
use super::load::{self, HEADERS, PORT, Wire};
use super::pace::Pace;
use super::report::Latency;
use super::{Bench, Outcome, STAMP};
use crate::error::Failure;
use crate::interrupt::interrupted;

/// Frames a second, if not said otherwise.
const USUAL: f64 = 100_000.0;
/// How long the last frames may take.
const LAST: Duration = Duration::from_millis(200);

/// Writes when a frame was sent into its payload, and its number.
fn stamp(frame: &mut [u8], at: Duration, number: u64) {
    let nanoseconds = at.as_nanos() as u64;
    if let Some(place) = frame.get_mut(HEADERS..HEADERS + STAMP) {
        place[..8].copy_from_slice(&nanoseconds.to_be_bytes());
        place[8..].copy_from_slice(&number.to_be_bytes());
    }
}

/// When a frame was sent that came back, and its number.
fn stamped(frame: &[u8]) -> Option<(Duration, u64)> {
    let place = frame.get(HEADERS..HEADERS + STAMP)?;
    let nanoseconds = u64::from_be_bytes(*place.first_chunk()?);
    let number = u64::from_be_bytes(*place.last_chunk()?);
    Some((Duration::from_nanos(nanoseconds), number))
}

/// `xdp bench latency`.
pub(super) fn run(bench: &Bench<'_>) -> Result<Outcome, Failure> {
    let rate = bench.frames_per_second().unwrap_or(USUAL);
    let mut measured = Measured::default();
    match &bench.wire {
        Some(wire) => through_echo(bench, wire, rate, &mut measured)?,
        None => there_and_back(bench, rate, &mut measured)?,
    }
    let added = measured.added.as_ref();
    let outcome = Outcome {
        offered: Some(measured.sent),
        lost: Some(measured.sent - measured.back),
        latency_ns: Some(Latency::of(&measured.histogram)),
        handover_ns: added.map(|added| Latency::of(added.words())),
        added_ns: added.map(|added| Latency::of(added.differences())),
        ..bench.outcome("latency")
    };
    Ok(outcome.rated(measured.back, measured.time))
}

/// What came out.
#[derive(Default)]
struct Measured {
    histogram: Histogram,
    /// Where the same process has both ends.
    added: Option<Added>,
    sent: u64,
    back: u64,
    time: Duration,
}

impl Measured {
    fn count(&mut self, frame: &[u8], now: Duration) {
        if let Some((sent, number)) = stamped(frame) {
            let took = now.saturating_sub(sent);
            self.histogram.record(took);
            if let Some(added) = &mut self.added {
                added.frame(number, took);
            }
            self.back += 1;
        }
    }

    /// Whether all frames and words are back.
    fn is_complete(&self) -> bool {
        let words = self.added.as_ref().map(|added| added.words().samples());
        self.back >= self.sent && words.is_none_or(|words| words == self.sent)
    }

    fn count_word(&mut self, word: &Word, now: Duration) {
        if let Some(added) = &mut self.added {
            added.word(word.number, now.saturating_sub(word.sent));
        }
    }
}

/// Puts frames on the wire of a lab, and a socket on another thread sends them back.
fn through_echo(
    bench: &Bench<'_>,
    wire: &Wire,
    rate: f64,
    measured: &mut Measured,
) -> Result<(), Failure> {
    let umem = bench.umem(2)?;
    let mut socket = bench.socket(&umem).open()?;
    let _program = Program::builder(&bench.interface)
        .rule(Match::all().redirect(&socket))
        .queue(bench.common.queue as u32)
        .mode(bench.common.mode.into())
        .attach()?;
    let stop = AtomicBool::new(false);
    let mac = bench.interface.mac().unwrap_or([0xFF; 6]);
    let (here, there) = Handover::ends();
    std::thread::scope(|scope| {
        let (socket, told) = (&mut socket, &stop);
        let echo = scope.spawn(move || echo(socket, bench.common.batch as usize, &there, told));
        let sent = put_and_take(bench, wire, mac, rate, &here, measured);
        stop.store(true, Ordering::Relaxed);
        match echo.join() {
            Ok(echoed) => sent.and(echoed),
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })
}

/// Sends back what is received, until told to stop.
fn echo(
    socket: &mut Socket<'_>,
    size: usize,
    words: &Handover,
    stop: &AtomicBool,
) -> Result<(), Failure> {
    let mut batch = Batch::with_capacity(size);
    while !stop.load(Ordering::Relaxed) {
        // Words wait in batches as frames do, so that a backlog delays both alike.
        words.echo(size);
        if socket.receive(&mut batch) == 0 {
            std::hint::spin_loop();
            continue;
        }
        for frame in &mut batch {
            if let Some((destination, rest)) = frame.split_at_mut_checked(6)
                && let Some(source) = rest.get_mut(..6)
            {
                destination.swap_with_slice(source);
            }
        }
        while !batch.is_empty() && !stop.load(Ordering::Relaxed) {
            socket.send(&mut batch)?;
        }
    }
    Ok(())
}

fn put_and_take(
    bench: &Bench<'_>,
    wire: &Wire,
    mac: [u8; 6],
    rate: f64,
    words: &Handover,
    measured: &mut Measured,
) -> Result<(), Failure> {
    measured.added = Some(Added::new());
    let mut frame = [load::frame(bench.size, mac, [2, 0, 0, 0, 0x99, 1], 0)];
    let mut pace = Pace::new(Some(rate));
    let start = Instant::now();
    let mut last = None;
    loop {
        let now = start.elapsed();
        if now < bench.common.duration && !interrupted() {
            // One at a time: each has its own stamp.
            if pace.due(1) == 1 {
                words.send(measured.sent, start.elapsed());
                stamp(&mut frame[0], start.elapsed(), measured.sent);
                wire.put(&frame)?;
                measured.sent += 1;
            }
        } else {
            let ended = *last.get_or_insert(now);
            if measured.is_complete() || now - ended > LAST {
                measured.time = ended;
                return Ok(());
            }
        }
        let (back, now) = (wire.take()?, start.elapsed());
        for frame in &back {
            measured.count(frame, now);
        }
        let now = start.elapsed();
        while let Some(word) = words.take() {
            measured.count_word(&word, now);
        }
    }
}

/// Sends frames from a socket, and receives those that come back.
fn there_and_back(bench: &Bench<'_>, rate: f64, measured: &mut Measured) -> Result<(), Failure> {
    let umem = bench.umem(2)?;
    let mut socket = bench.socket(&umem).open()?;
    let _program = Program::builder(&bench.interface)
        .rule(Match::udp_dst(PORT).redirect(&socket))
        .queue(bench.common.queue as u32)
        .mode(bench.common.mode.into())
        .attach()?;
    let mac = bench.interface.mac().unwrap_or([2, 0, 0, 0, 0, 1]);
    let template = load::frame(bench.size, [0xFF; 6], mac, 0);
    let mut batch = Batch::with_capacity(bench.common.batch as usize);
    let mut pace = Pace::new(Some(rate));
    let start = Instant::now();
    let mut last = None;
    loop {
        let now = start.elapsed();
        if now < bench.common.duration && !interrupted() {
            if pace.due(1) == 1
                && let Some(mut frame) = umem.frame()
            {
                let written = frame.extend_from_slice(&template);
                written.map_err(|error| Failure::new("a frame does not fit").because(error))?;
                stamp(&mut frame, start.elapsed(), measured.sent);
                if let Err(refused) = socket.send_one(frame) {
                    // Without room the frame is late, not lost.
                    if let Some(reason) = refused.reason {
                        return Err(reason.into());
                    }
                } else {
                    measured.sent += 1;
                }
            }
        } else {
            let ended = *last.get_or_insert(now);
            if measured.is_complete() || now - ended > LAST {
                // Somebody else's frames may look like ours.
                measured.back = measured.back.min(measured.sent);
                measured.time = ended;
                return Ok(());
            }
        }
        if socket.receive(&mut batch) > 0 {
            let now = start.elapsed();
            batch.iter().for_each(|frame| measured.count(frame, now));
            batch.clear();
        }
        socket.complete();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stamps_are_read_as_they_were_written() {
        let mut frame = load::frame(60, [1; 6], [2; 6], 0);
        stamp(&mut frame, Duration::from_micros(1234), 7);
        assert_eq!(stamped(&frame), Some((Duration::from_micros(1234), 7)));
        assert_eq!(stamped(&frame[..57]), None);
    }
}
