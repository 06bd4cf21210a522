//! `xdp bench`: how fast sockets are.

mod added;
mod handover;
mod histogram;
mod latency;
pub(crate) mod load;
pub(crate) mod pace;
mod processor;
mod report;
mod throughput;

use std::time::Duration;

use clap::Subcommand;
use xdp::{Interface, Socket, SocketBuilder, Umem};

use crate::args::{InterfaceArgs, Mode, Rate, duration, in_range, power_of_two, rate, size};
use crate::error::{Exit, Failure};
use crate::output::OutputArgs;
use load::{HEADERS, Wire};
use report::Result as Outcome;

/// Bytes of a stamp: when a frame was sent, and its number.
const STAMP: usize = 16;

/// Arguments of `xdp bench`.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// How many frames a second a socket receives
    #[command(after_long_help = RX_EXAMPLES)]
    Rx(Common),
    /// How many frames a second a socket sends
    #[command(after_long_help = TX_EXAMPLES)]
    Tx(Common),
    /// How many frames a second a socket receives, turns round and sends back
    #[command(after_long_help = FWD_EXAMPLES)]
    Fwd(Common),
    /// How long it takes until a frame is back that a socket sends back
    #[command(after_long_help = LATENCY_EXAMPLES)]
    Latency(Common),
}

const RX_EXAMPLES: &str = "\
Without `lab:` the frames have to come from elsewhere; what arrives is taken away from the network stack.

Examples:
  Frames a second that a socket receives from the driver in the lab:
    xdp bench rx -i lab:verifier=fast --duration 2s
  Whether frames are lost at a million a second:
    xdp bench rx -i lab:verifier=fast --rate 1Mpps --duration 2s --json";
const TX_EXAMPLES: &str = "\
Examples:
  Frames a second that a socket sends through the driver in the lab:
    xdp bench tx -i lab:verifier=fast --duration 2s";
const FWD_EXAMPLES: &str = "\
Examples:
  Frames a second that are echoed in the lab:
    xdp bench fwd -i lab:verifier=fast --duration 2s";
const LATENCY_EXAMPLES: &str = "\
In the lab, frames are put on the wire and a socket on another thread sends them back. Beside each frame the two threads hand a word
over and back with nothing between them. What a frame takes longer than its word is what the driver, the card and the socket add;
a pause of the machine delays both alike.

Elsewhere a socket sends frames, which whoever is at the other end has to send back; `xdp bench fwd` does.

Examples:
  What the driver and a socket add at 100,000 frames a second:
    xdp bench latency -i lab:verifier=fast --rate 100kpps --duration 2s";

/// What all benchmarks take.
#[derive(clap::Args)]
struct Common {
    #[command(flatten)]
    interface: InterfaceArgs,
    /// Queue
    #[arg(short, long, value_name = "NUMBER", default_value = "0", value_parser = in_range(0..=1023))]
    queue: u64,
    /// How the interface is used
    #[arg(short, long, value_enum, default_value_t = Mode::Auto, value_name = "MODE")]
    mode: Mode,
    /// How long it takes
    #[arg(short, long, value_name = "TIME", default_value = "5s", value_parser = duration)]
    duration: Duration,
    /// Bytes of a frame, without its check sequence
    #[arg(long, value_name = "BYTES", default_value = "64", value_parser = size(60..=9014))]
    size: u64,
    /// Rate at which frames are put in, such as 1Mpps or 10Gbit/s [default: as fast as it goes; latency: 100kpps]
    #[arg(long, value_name = "RATE", value_parser = rate)]
    rate: Option<Rate>,
    /// Frames that are handled at a time
    #[arg(short, long, value_name = "FRAMES", default_value = "64", value_parser = in_range(1..=4096))]
    batch: u64,
    /// Frames in each ring [default: what comes in 30 ms at --rate, at least 2048]
    #[arg(long, value_name = "FRAMES", value_parser = power_of_two(8..=LARGEST_RING))]
    ring_size: Option<u32>,
    /// Frames in frame memory [default: enough for all rings]
    #[arg(long, value_name = "FRAMES", value_parser = in_range(8..=4_194_304))]
    umem_frames: Option<u64>,
    #[command(flatten)]
    output: OutputArgs,
}

/// A benchmark that is about to run.
struct Bench<'a> {
    common: &'a Common,
    interface: Interface,
    wire: Option<Wire>,
    size: usize,
}

/// Frames in a ring, if not said otherwise.
const RING: u32 = 2048;
const LARGEST_RING: u32 = 1 << 20;
/// What a ring outlasts: whoever is to empty it may have to wait while others have its processor. Linux gives each program 3 ms
/// and more; in a virtual machine, pauses of 15 ms were seen that it knows nothing of.
const PAUSE: Duration = Duration::from_millis(30);
/// The least room for a frame. Frames do not share cache lines, nor the pairs of lines that are fetched together.
const LEAST_ROOM: u32 = 128;

/// Frames in a ring that outlasts a pause at a rate.
fn ring_for(frames_per_second: Option<f64>) -> u32 {
    let frames = frames_per_second.unwrap_or(0.0) * PAUSE.as_secs_f64();
    // A number that is too large is the largest one.
    (frames as u32)
        .clamp(RING, LARGEST_RING)
        .next_power_of_two()
}

impl Bench<'_> {
    fn ring_size(&self) -> u32 {
        self.common
            .ring_size
            .unwrap_or_else(|| ring_for(self.frames_per_second()))
    }

    /// Memory that fills so many rings, and what is handled at the time.
    fn umem(&self, rings: u32) -> Result<Umem, Failure> {
        let batch = u64::from(self.common.batch as u32);
        let frames = self
            .common
            .umem_frames
            .unwrap_or(u64::from(rings * self.ring_size()) + 2 * batch);
        // The headroom that nothing needs is left away.
        let room = (self.size as u32).next_power_of_two().max(LEAST_ROOM);
        Ok(Umem::builder(&self.interface)
            .frames(frames as u32)
            .frame_size_bytes(room)
            .build()?)
    }

    fn socket<'u>(&self, umem: &'u Umem) -> SocketBuilder<'u> {
        let ring = self.ring_size();
        Socket::builder(&self.interface, umem)
            .queue(self.common.queue as u32)
            .mode(self.common.mode.into())
            .rx_ring(ring)
            .fill_ring(ring)
            .tx_ring(ring)
            .completion_ring(ring)
    }

    /// Frames a second that are to be put in.
    fn frames_per_second(&self) -> Option<f64> {
        self.common.rate.map(|rate| rate.frames(self.size, false))
    }

    fn outcome(&self, test: &'static str) -> Outcome {
        Outcome {
            test,
            interface: self.interface.alias().to_owned(),
            queue: self.common.queue as u32,
            peer: if self.wire.is_some() {
                "lab"
            } else {
                "network"
            },
            frame_bytes: self.size,
            batch: self.common.batch as usize,
            seconds: 0.0,
            offered: None,
            frames: 0,
            lost: None,
            waited_seconds: None,
            frames_per_second: 0.0,
            bits_per_second: 0.0,
            latency_ns: None,
            handover_ns: None,
            added_ns: None,
        }
    }
}

/// Runs `xdp bench`.
pub(crate) fn run(args: &Args) -> Result<Exit, Failure> {
    let (Command::Rx(common)
    | Command::Tx(common)
    | Command::Fwd(common)
    | Command::Latency(common)) = &args.command;
    let needed = match args.command {
        Command::Latency(_) => HEADERS + STAMP,
        _ => HEADERS,
    };
    debug_assert!(common.size as usize >= needed, "the smallest size has room");
    crate::interrupt::catch()?;
    let interface = crate::system::open(common.interface.require()?)?;
    let size = common.size as usize;
    if let Some(mtu) = interface.mtu_bytes()
        && size > mtu as usize + 14
    {
        return Err(Failure::usage(format!(
            "frames of {size} bytes are too long for {interface}"
        ))
        .because(format!("its MTU is {mtu}"))
        .hint(format!("--size can be up to {}", mtu + 14)));
    }
    let bench = Bench {
        common,
        wire: Wire::of(&interface),
        interface,
        size,
    };
    let outcome = match args.command {
        Command::Rx(_) => throughput::receive(&bench)?,
        Command::Tx(_) => throughput::transmit(&bench)?,
        Command::Fwd(_) => throughput::forward(&bench)?,
        Command::Latency(_) => latency::run(&bench)?,
    };
    outcome.write(common.output.format())?;
    Ok(if crate::interrupt::interrupted() {
        Exit::Interrupted
    } else {
        Exit::Done
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rings_outlast_a_pause_at_their_rate() {
        assert_eq!(ring_for(None), 2048);
        assert_eq!(ring_for(Some(1e3)), 2048);
        assert_eq!(ring_for(Some(1e6)), 32768);
        assert_eq!(ring_for(Some(3e6)), 131_072);
        assert_eq!(ring_for(Some(8e6)), 262_144);
        assert_eq!(ring_for(Some(1e12)), LARGEST_RING);
    }
}
