//! `xdp generate`: sends frames, at an exact rate.

mod source;

use std::io;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::{Duration, Instant};

use serde::Serialize;
use xdp::{Batch, Frame, Interest, Socket, Umem};

use crate::args::{InterfaceArgs, Mode, Rate, duration, in_range, power_of_two, rate, si, size};
use crate::bench::pace::Pace;
use crate::error::{Exit, Failure};
use crate::interrupt::{self, interrupted};
use crate::output::{OutputArgs, Record, Writer};
use crate::{messages, own_lab, system};
use source::Source;

/// How long a wait for room may last before the end of the run is looked for.
const NAP: Duration = Duration::from_millis(20);
/// How long the last frames may take.
const LAST: Duration = Duration::from_secs(1);
/// Frames that were due before the end and may be sent after it; if there are more, the rate is beyond what can be sent.
const MOST_LATE: u64 = 4096;
/// Waits shorter than this are spun through: sleeping is not exact enough.
const SPIN: Duration = Duration::from_millis(2);

const EXAMPLES: &str = "\
Rates are of frames, or of the bits in them without preamble, gap and check sequence; --wire counts these, too.

Examples:
  A thousand frames into the lab:
    xdp generate -i lab: --count 1000
  UDP to port 53 from 64 addresses, 1,000 frames a second for two seconds:
    xdp generate -i lab: --flows 64 --port 53 --rate 1kpps --duration 2s";

/// Arguments of `xdp generate`.
#[derive(clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(flatten)]
    interface: InterfaceArgs,
    /// Queue
    #[arg(short, long, value_name = "NUMBER", default_value = "0", value_parser = in_range(0..=1023))]
    queue: u64,
    /// How the interface is used
    #[arg(short, long, value_enum, default_value_t = Mode::Auto, value_name = "MODE")]
    mode: Mode,
    /// Rate, such as 1Mpps or 10Gbit/s [default: as fast as it goes]
    #[arg(long, value_name = "RATE", value_parser = rate)]
    rate: Option<Rate>,
    /// Counts preamble, gap and check sequence into a rate in bits
    #[arg(long, requires = "rate")]
    wire: bool,
    /// Ends after this time [default: until Ctrl-C]
    #[arg(short, long, value_name = "TIME", value_parser = duration)]
    duration: Option<Duration>,
    /// Ends after so many frames
    #[arg(short, long, value_name = "FRAMES", value_parser = in_range(1..=u64::MAX))]
    count: Option<u64>,
    /// Bytes of a frame, without its check sequence
    #[arg(long, value_name = "BYTES", default_value = "64", value_parser = size(60..=9014), conflicts_with = "read")]
    size: u64,
    /// UDP flows that the frames belong to, in turn
    #[arg(long, value_name = "NUMBER", default_value = "1", value_parser = in_range(1..=4096), conflicts_with = "read")]
    flows: u64,
    /// UDP destination port
    #[arg(
        long,
        value_name = "PORT",
        default_value_t = 9,
        conflicts_with = "read"
    )]
    port: u16,
    /// Destination MAC address [default: broadcast]
    #[arg(long, value_name = "MAC", conflicts_with = "read")]
    destination: Option<Mac>,
    /// Sends the frames of a capture, pcap or pcapng; their times are not kept
    #[arg(short, long, value_name = "FILE")]
    read: Option<PathBuf>,
    /// Begins the capture again at its end
    #[arg(long = "loop", requires = "read")]
    again: bool,
    /// Frames that are sent at a time
    #[arg(short, long, value_name = "FRAMES", default_value = "64", value_parser = in_range(1..=4096))]
    batch: u64,
    /// Frames in the transmit ring
    #[arg(long, value_name = "FRAMES", default_value = "2048", value_parser = power_of_two(8..=65536))]
    ring_size: u32,
    #[command(flatten)]
    output: OutputArgs,
}

/// A MAC address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Mac([u8; 6]);

impl FromStr for Mac {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || "it must be six bytes such as 02:00:00:00:00:01".to_owned();
        let mut bytes = [0; 6];
        let mut parts = text.split([':', '-']);
        for byte in &mut bytes {
            let part = parts
                .next()
                .filter(|part| part.len() == 2)
                .ok_or_else(wrong)?;
            *byte = u8::from_str_radix(part, 16).map_err(|_| wrong())?;
        }
        if parts.next().is_some() {
            return Err(wrong());
        }
        Ok(Self(bytes))
    }
}

/// What was sent.
#[derive(Serialize)]
struct Summary {
    interface: String,
    queue: u32,
    frames: u64,
    bytes: u64,
    /// Frames that the driver took and that did not leave within a second.
    unsent: u64,
    seconds: f64,
    frames_per_second: f64,
    bits_per_second: f64,
}

impl Record for Summary {
    const KIND: &'static str = "generated";
    const LABELS: &'static [&'static str] = &["interface", "queue"];
    const COUNTERS: &'static [&'static str] = &["frames", "bytes"];
}

/// Runs `xdp generate`.
pub(crate) fn run(args: &Args) -> Result<Exit, Failure> {
    interrupt::catch()?;
    let interface = system::open(args.interface.require()?)?;
    let mut source = Source::new(args, &interface)?;
    let longest = interface.mtu_bytes().map_or(9014, |mtu| mtu as usize + 14);
    source.check(longest, &interface)?;
    let umem = Umem::builder(&interface)
        .frames(2 * args.ring_size + args.batch as u32)
        .frame_size_bytes((longest as u32).next_power_of_two().max(2048))
        .build()?;
    let mut socket = Socket::builder(&interface, &umem)
        .queue(args.queue as u32)
        .mode(args.mode.into())
        .transmit_only()
        .tx_ring(args.ring_size)
        .completion_ring(args.ring_size)
        .open()?;
    let start = Instant::now();
    let (frames, bytes) = send(args, &umem, &mut socket, &mut source, start)?;
    let ended = start.elapsed();
    let drained = Instant::now();
    while socket.in_flight() > 0 && drained.elapsed() < LAST {
        let _ = socket.wait(Interest::TX, NAP)?;
        socket.complete();
    }
    let seconds = ended.as_secs_f64().max(f64::MIN_POSITIVE);
    let summary = Summary {
        interface: interface.alias().to_owned(),
        queue: args.queue as u32,
        frames,
        bytes,
        unsent: socket.in_flight() as u64,
        seconds,
        frames_per_second: frames as f64 / seconds,
        bits_per_second: bytes as f64 * 8.0 / seconds,
    };
    show(args, &summary)?;
    drop(socket);
    drop(umem);
    own_lab::finish(interface)?;
    Ok(if interrupted() {
        Exit::Interrupted
    } else {
        Exit::Done
    })
}

/// Sends until it is enough; returns how many frames and bytes the driver took.
fn send<'u>(
    args: &Args,
    umem: &'u Umem,
    socket: &mut Socket<'u>,
    source: &mut Source,
    start: Instant,
) -> Result<(u64, u64), Failure> {
    let average = source.average_bytes();
    let rate = args.rate.map(|rate| rate.frames(average, args.wire));
    let mut pace = Pace::new(rate);
    let mut batch = Batch::with_capacity(args.batch as usize);
    let (mut frames, mut bytes, mut ended) = (0, 0, false);
    let mut shown = start;
    let total = frames_in_all(args, rate);
    let mut over = None;
    while !interrupted() {
        if args.duration.is_some_and(|limit| start.elapsed() >= limit) {
            // What was due before the end is still sent.
            let at_the_end = *over.get_or_insert(frames);
            if rate.is_none() || frames - at_the_end >= MOST_LATE {
                break;
            }
        }
        if batch.is_empty() {
            let left = total - frames;
            if left == 0 || ended {
                break;
            }
            // Only as many as there is memory for: what is due must not be forgotten.
            let room = left.min(args.batch).min(umem.free_frames() as u64);
            let due = if room == 0 { 0 } else { pace.due(room) };
            ended = !make(umem, source, &mut batch, due as usize)?;
            if due == 0 && room > 0 {
                let nap = pace.until_next();
                if nap > SPIN {
                    std::thread::sleep((nap - SPIN).min(NAP));
                }
                continue;
            }
        }
        let sizes: Vec<usize> = batch.iter().map(|frame| frame.len()).collect();
        let sent = if batch.is_empty() {
            0
        } else {
            socket.send(&mut batch)?
        };
        frames += sent as u64;
        bytes += sizes[..sent].iter().map(|size| *size as u64).sum::<u64>();
        if sent == 0 && over.is_some() {
            break;
        }
        if sent == 0 && socket.complete() == 0 && socket.in_flight() > 0 {
            let _ = socket.wait(Interest::TX, NAP)?;
        }
        if messages::shows_progress() && shown.elapsed() >= Duration::from_secs(1) {
            shown = Instant::now();
            let rate = frames as f64 / start.elapsed().as_secs_f64();
            messages::say(format_args!("{frames} frames, {}", si(rate, "frames/s")));
        }
    }
    Ok((frames, bytes))
}

/// How many frames are to be sent: as many as asked for, or as are due until the end.
fn frames_in_all(args: &Args, rate: Option<f64>) -> u64 {
    let count = args.count.unwrap_or(u64::MAX);
    match (rate, args.duration) {
        // The first is due at once, the one at the very end no more.
        (Some(rate), Some(duration)) => count.min((rate * duration.as_secs_f64()).ceil() as u64),
        _ => count,
    }
}

/// Fills a batch with the next frames; `false` when there are none left.
fn make<'u>(
    umem: &'u Umem,
    source: &mut Source,
    batch: &mut Batch<'u>,
    count: usize,
) -> Result<bool, Failure> {
    while batch.len() < count {
        let Some(mut frame) = umem.frame() else {
            return Ok(true);
        };
        let Some(bytes) = source.next() else {
            return Ok(false);
        };
        put(&mut frame, bytes)?;
        batch.push(frame);
    }
    Ok(true)
}

fn put(frame: &mut Frame<'_>, bytes: &[u8]) -> Result<(), Failure> {
    let written = frame.extend_from_slice(bytes);
    written.map_err(|error| Failure::new("a frame does not fit").because(error))
}

fn show(args: &Args, summary: &Summary) -> Result<(), Failure> {
    if let Some(mut writer) = Writer::new(args.output.format(), io::stdout().lock()) {
        writer.record(summary)?;
        writer.finish()?;
        return Ok(());
    }
    anstream::println!(
        "{} frames, {} bytes in {:.2} s: {}, {}",
        summary.frames,
        summary.bytes,
        summary.seconds,
        si(summary.frames_per_second, "frames/s"),
        si(summary.bits_per_second, "bit/s"),
    );
    if summary.unsent > 0 {
        messages::warn(format_args!("{} frames have not left", summary.unsent));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mac_addresses_are_six_bytes() {
        let mac: Mac = "02:00:00:0a:Bc:01".parse().unwrap();
        assert_eq!(mac, Mac([2, 0, 0, 10, 0xBC, 1]));
        assert_eq!("02-00-00-0a-bc-01".parse(), Ok(mac));
        for wrong in [
            "",
            "02:00:00:00:00",
            "02:00:00:00:00:01:02",
            "2:0:0:0:0:1",
            "02:00:00:00:00:0g",
        ] {
            assert!(wrong.parse::<Mac>().is_err(), "{wrong}");
        }
    }
}
