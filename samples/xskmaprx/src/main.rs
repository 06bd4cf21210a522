//! A socket for each queue, all in one map: the driver finds the socket by the queue that a frame arrived on.

#![forbid(unsafe_code)]

use std::process::ExitCode;
use std::time::{Duration, Instant};

use named_args::{Args, Failure, TICK, catch_interrupts, close, find, interrupted, mode};
use xdp::{Batch, Interest, Interface, Map, Match, Mode, Program, Socket, Umem, WaitSet};

const USAGE: &str = "\
Usage: xskmaprx -IfIndex <INTERFACE> -QueueCount <1-128> [-UdpDstPort <PORT> | -IcmpOnly] [-XdpMode <MODE>] [-TimeoutSeconds <N>]

Counts what arrives on each queue and throws it away.

  -UdpDstPort      only this UDP port; otherwise everything
  -IcmpOnly        only IP protocol 1
  -XdpMode         System (default), Generic, Native
  -TimeoutSeconds  end after this time; 0 (default): run until Ctrl-C";

const RING: u32 = 64;
const CHUNK_BYTES: u32 = 2048;
/// Time between two lines.
const PERIOD: Duration = Duration::from_secs(1);

struct Options {
    interface: String,
    queues: u32,
    what: Match,
    mode: Mode,
    /// `None`: forever.
    timeout: Option<Duration>,
}

/// What one queue brought.
#[derive(Clone, Copy, Default)]
struct Counts {
    packets: u64,
    bytes: u64,
    drops: u64,
}

fn main() -> ExitCode {
    named_args::reference_sample(USAGE, |args| {
        let options = parse(args)?;
        catch_interrupts()?;
        let interface = find(&options.interface)?;
        count(&interface, &options)?;
        close(interface)
    })
}

fn parse(mut args: Args) -> Result<Options, String> {
    let interface = args.required("-IfIndex")?;
    let queues = args.required("-QueueCount")?;
    if !(1..=128).contains(&queues) {
        return Err(format!("-QueueCount cannot be {queues}: it is 1 to 128"));
    }
    let port = args.value("-UdpDstPort")?;
    let what = match (port, args.switch("-IcmpOnly")) {
        (Some(_), true) => return Err("-UdpDstPort and -IcmpOnly exclude each other".into()),
        (Some(port), false) => Match::udp_dst(port),
        (None, true) => Match::ip_protocol(1),
        (None, false) => Match::all(),
    };
    let seconds = args.value("-TimeoutSeconds")?.unwrap_or(0);
    let options = Options {
        interface,
        queues,
        what,
        mode: mode(&mut args)?,
        timeout: (seconds > 0).then(|| Duration::from_secs(seconds)),
    };
    args.finish()?;
    Ok(options)
}

fn count(interface: &Interface, options: &Options) -> Result<(), Failure> {
    let umem = Umem::builder(interface)
        .frames(2 * RING * options.queues)
        .frame_size_bytes(CHUNK_BYTES)
        .build()?;
    let map = Map::new(interface.system())?;
    let mut sockets = Vec::new();
    for queue in 0..options.queues {
        let socket = Socket::builder(interface, &umem)
            .queue(queue)
            .mode(options.mode)
            .receive_only()
            .rx_ring(RING)
            .fill_ring(RING)
            .open()?;
        map.insert(queue, &socket)?;
        sockets.push(socket);
    }
    let program = Program::builder(interface)
        .all_queues()
        .mode(options.mode)
        .rule(options.what.clone().redirect_by_queue(&map))
        .attach()?;
    println!(
        "receiving on {} queues of {}",
        options.queues,
        interface.name()
    );

    let start = Instant::now();
    let mut shown = start;
    let mut counts = vec![Counts::default(); sockets.len()];
    let mut batch = Batch::with_capacity(RING as usize);
    let set = WaitSet::new(interface)?;
    while !interrupted() && options.timeout.is_none_or(|limit| start.elapsed() < limit) {
        // A tick at most, so that the time and Ctrl-C are noticed.
        set.wait(
            sockets.iter_mut().map(|socket| (socket, Interest::RX)),
            TICK,
        )?;
        for (socket, counts) in sockets.iter_mut().zip(&mut counts) {
            socket.receive(&mut batch);
            counts.packets += batch.len() as u64;
            counts.bytes += batch.iter().map(|frame| frame.len() as u64).sum::<u64>();
            batch.clear();
        }
        if shown.elapsed() >= PERIOD {
            shown = Instant::now();
            for (socket, counts) in sockets.iter().zip(&mut counts) {
                counts.drops = socket.statistics()?.rx_dropped;
            }
            show(&counts);
        }
    }
    for (socket, counts) in sockets.iter().zip(&mut counts) {
        counts.drops = socket.statistics()?.rx_dropped;
    }
    program.detach();
    show(&counts);
    let total = counts.iter().fold(Counts::default(), |sum, one| Counts {
        packets: sum.packets + one.packets,
        bytes: sum.bytes + one.bytes,
        drops: sum.drops + one.drops,
    });
    println!(
        "total: {} packets, {} bytes, {} drops",
        total.packets, total.bytes, total.drops
    );
    Ok(())
}

fn show(counts: &[Counts]) {
    for (queue, counts) in counts.iter().enumerate() {
        println!(
            "queue {queue}: {} packets, {} bytes, {} drops",
            counts.packets, counts.bytes, counts.drops
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_have_their_ranges() {
        let parsed = |line: &'static str| parse(line.split_whitespace().collect());
        let options = parsed("-IfIndex 7 -QueueCount 128 -IcmpOnly -TimeoutSeconds 3")
            .expect("all of it is valid");
        assert_eq!(
            (options.queues, options.timeout),
            (128, Some(Duration::from_secs(3)))
        );
        let options = parsed("-ifindex 7 -queuecount 1 -timeoutseconds 0").expect("it is valid");
        assert_eq!(options.timeout, None);
        for line in [
            "-IfIndex 7",
            "-IfIndex 7 -QueueCount 0",
            "-IfIndex 7 -QueueCount 129",
            "-IfIndex 7 -QueueCount 1 -UdpDstPort 5 -IcmpOnly",
            "-IfIndex 7 -QueueCount 1 -TimeoutSeconds -1",
        ] {
            assert!(parsed(line).is_err(), "{line}");
        }
    }
}
