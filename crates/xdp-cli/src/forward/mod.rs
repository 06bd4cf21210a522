//! `xdp forward`: sends frames back, or from one interface to another.

mod path;

use std::io;
use std::time::{Duration, Instant};

use clap::ValueEnum;
use serde::Serialize;
use xdp::{Interface, Match, Program, Umem, WaitSet};

use crate::args::{
    InterfaceArg, InterfaceArgs, Mode, Queues, duration, in_range, power_of_two, si,
};
use crate::error::{Exit, Failure};
use crate::interrupt::{self, interrupted};
use crate::output::{Format, OutputArgs, Record, Writer};
use crate::{messages, own_lab, system};
use path::{Counts, Path};

/// How long frames are waited for at a time.
const NAP: Duration = Duration::from_millis(20);
/// How often it is looked whether a capture that a lab replays has ended.
const LOOK: Duration = Duration::from_millis(50);

const EXAMPLES: &str = "\
With --to, frames go from each queue of the one interface to the same queue of the other, unchanged, and with --both
also the other way. Without, they go back where they came from, their MAC addresses swapped. The network stack sees none of them.

Examples:
  Send back what arrives, for two seconds:
    xdp forward -i lab: --duration 2s
  The same without a socket, in the driver:
    xdp forward -i lab: --by driver --duration 2s
  Between the two network cards of a lab, both ways:
    xdp forward -i lab:nics=2 --to lab:nics=2,nic=nic1 --both --duration 2s";

/// Arguments of `xdp forward`.
#[derive(clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(flatten)]
    interface: InterfaceArgs,
    /// Interface that frames are sent from [default: the one that they come from]
    #[arg(long, value_name = "INTERFACE")]
    to: Option<InterfaceArg>,
    /// Forwards the other way, too
    #[arg(long, requires = "to")]
    both: bool,
    /// What forwards
    #[arg(long, value_enum, default_value_t = By::Socket, value_name = "WHAT")]
    by: By,
    /// Queues: 0, 0,2, 0-3 or all
    #[arg(short, long, value_name = "QUEUES", default_value = "all")]
    queue: Queues,
    /// How the interfaces are used
    #[arg(short, long, value_enum, default_value_t = Mode::Auto, value_name = "MODE")]
    mode: Mode,
    /// Ends after this time [default: until Ctrl-C]
    #[arg(short, long, value_name = "TIME", value_parser = duration)]
    duration: Option<Duration>,
    /// Time between two lines of counters
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = duration)]
    interval: Duration,
    /// Frames that are handled at a time
    #[arg(short, long, value_name = "FRAMES", default_value = "64", value_parser = in_range(1..=4096))]
    batch: u64,
    /// Frames in each ring
    #[arg(long, value_name = "FRAMES", default_value = "2048", value_parser = power_of_two(8..=65536))]
    ring_size: u32,
    #[command(flatten)]
    output: OutputArgs,
}

/// What forwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum By {
    /// AF_XDP sockets of this command.
    Socket,
    /// The driver, which can only send back.
    Driver,
}

/// Counters of one direction, per interval and in the end.
#[derive(Serialize)]
struct Forwarded {
    from: String,
    to: String,
    seconds: f64,
    received: u64,
    forwarded: u64,
    /// Frames for which there was no room.
    dropped: u64,
    forwarded_per_second: f64,
}

impl Record for Forwarded {
    const KIND: &'static str = "forwarded";
    const LABELS: &'static [&'static str] = &["from", "to"];
    const COUNTERS: &'static [&'static str] = &["received", "forwarded", "dropped"];
}

/// Runs `xdp forward`.
pub(crate) fn run(args: &Args) -> Result<Exit, Failure> {
    interrupt::catch()?;
    let from = system::open(args.interface.require()?)?;
    let to = args.to.as_ref().map(system::open).transpose()?;
    match (args.by, &to) {
        (By::Socket, _) => by_sockets(args, &from, to.as_ref())?,
        (By::Driver, None) => by_driver(args, &from)?,
        (By::Driver, Some(_)) => {
            return Err(Failure::usage("the driver forwards to no other interface")
                .because("it can only send frames back where they came from")
                .hint("leave --by driver away, or --to"));
        }
    }
    drop(to);
    own_lab::finish(from)?;
    Ok(if interrupted() {
        Exit::Interrupted
    } else {
        Exit::Done
    })
}

/// The driver does it; what it counts tells how much.
fn by_driver(args: &Args, interface: &Interface) -> Result<(), Failure> {
    let queues = args.queue.on(interface.alias(), interface.queues()?)?;
    let before = driver_counts(interface);
    let programs = queues
        .iter()
        .map(|queue| {
            Program::builder(interface)
                .rule(Match::all().send_back())
                .queue(*queue)
                .mode(args.mode.into())
                .attach()
        })
        .collect::<Result<Vec<_>, _>>()?;
    messages::say(format_args!(
        "{interface} sends back what arrives; Ctrl-C ends it"
    ));
    let start = Instant::now();
    let mut shown = start;
    let limit = args.duration.unwrap_or(Duration::MAX);
    while !interrupted() && start.elapsed() < limit {
        let left = limit.saturating_sub(start.elapsed());
        interrupt::wait(left.min(LOOK));
        if shown.elapsed() >= args.interval {
            shown = Instant::now();
            report_progress(driver_counts(interface).since(before), start);
        }
        if own_lab::is_replayed(interface)? {
            break;
        }
    }
    // Counters go with the last program.
    let counts = driver_counts(interface).since(before);
    drop(programs);
    show(args, &[(interface, interface, counts)], start)
}

/// What the driver counted at the queues of an interface; nothing if it does not tell.
fn driver_counts(interface: &Interface) -> Counts {
    let Ok(inventory) = interface.system().inventory() else {
        return Counts::default();
    };
    let ours = inventory.rx_queues.iter().filter(|queue| {
        queue.if_index == interface.index() && queue.hook == xdp_abi::HookId::RX_INSPECT
    });
    ours.fold(Counts::default(), |counts, queue| {
        let forwarded = queue.counters[path::COUNTER_FORWARDED];
        Counts {
            received: counts.received + forwarded,
            forwarded: counts.forwarded + forwarded,
            dropped: counts.dropped,
        }
    })
}

/// Sockets do it, on one thread for all queues.
fn by_sockets(args: &Args, from: &Interface, to: Option<&Interface>) -> Result<(), Failure> {
    let target = to.unwrap_or(from);
    let queues = args.queue.on(from.alias(), from.queues()?)?;
    if to.is_some() {
        // Each queue has its counterpart.
        args.queue.on(target.alias(), target.queues()?)?;
    }
    let longest = [from, target].map(|interface| interface.mtu_bytes().unwrap_or(1500) + 14);
    let frame_size = longest
        .into_iter()
        .max()
        .unwrap_or(2048)
        .next_power_of_two()
        .max(2048);
    let umem = Umem::builder(from)
        .frames(6 * args.ring_size * queues.len() as u32)
        .frame_size_bytes(frame_size)
        .build()?;
    let mut paths = Vec::new();
    for queue in queues {
        let settings = path::Settings {
            queue,
            mode: args.mode.into(),
            ring_size: args.ring_size,
            batch: args.batch as usize,
        };
        match to {
            None => paths.push(Path::back(from, &umem, &settings)?),
            Some(to) => paths.push(Path::across(from, to, args.both, &umem, &settings)?),
        }
    }
    messages::say(format_args!(
        "forwarding from {from} to {target}; Ctrl-C ends it"
    ));
    let start = Instant::now();
    let set = WaitSet::new(from)?;
    let (mut shown, mut looked) = (start, start);
    let mut rounds = 0_u32;
    while !rounds.is_multiple_of(64)
        || (!interrupted() && args.duration.is_none_or(|limit| start.elapsed() < limit))
    {
        rounds = rounds.wrapping_add(1);
        let mut moved = false;
        for path in &mut paths {
            moved |= path.run()?;
        }
        if !moved {
            set.wait(paths.iter_mut().flat_map(Path::receiving), NAP)?;
            if looked.elapsed() >= LOOK {
                looked = Instant::now();
                if own_lab::is_replayed(from)? {
                    break;
                }
            }
            rounds = rounds.next_multiple_of(64);
        }
        if shown.elapsed() >= args.interval {
            shown = Instant::now();
            let [there, back] = total(&paths);
            report_progress(there.plus(back), start);
        }
    }
    for path in &mut paths {
        path.drain()?;
    }
    let [there, back] = total(&paths);
    drop(paths);
    let mut directions = vec![(from, target, there)];
    if args.both {
        directions.push((target, from, back));
    }
    show(args, &directions, start)
}

fn total(paths: &[Path<'_>]) -> [Counts; 2] {
    paths
        .iter()
        .fold([Counts::default(); 2], |[there, back], path| {
            let [path_there, path_back] = path.counts();
            [there.plus(path_there), back.plus(path_back)]
        })
}

fn report_progress(counts: Counts, start: Instant) {
    if messages::shows_progress() {
        let rate = counts.forwarded as f64 / start.elapsed().as_secs_f64();
        messages::say(format_args!(
            "{} received, {} forwarded, {} dropped, {}",
            counts.received,
            counts.forwarded,
            counts.dropped,
            si(rate, "frames/s")
        ));
    }
}

fn show(
    args: &Args,
    directions: &[(&Interface, &Interface, Counts)],
    start: Instant,
) -> Result<(), Failure> {
    let seconds = start.elapsed().as_secs_f64();
    let format = args.output.format();
    let mut writer = Writer::new(format, io::stdout().lock());
    for (from, to, counts) in directions {
        let record = Forwarded {
            from: from.alias().to_owned(),
            to: to.alias().to_owned(),
            seconds,
            received: counts.received,
            forwarded: counts.forwarded,
            dropped: counts.dropped,
            forwarded_per_second: counts.forwarded as f64 / seconds.max(f64::MIN_POSITIVE),
        };
        if let Some(writer) = &mut writer {
            writer.record(&record)?;
        }
        if format == Format::Text {
            anstream::println!(
                "{} to {}: {} received, {} forwarded, {} dropped in {seconds:.2} s: {}",
                record.from,
                record.to,
                record.received,
                record.forwarded,
                record.dropped,
                si(record.forwarded_per_second, "frames/s"),
            );
        }
    }
    if let Some(writer) = writer {
        writer.finish()?;
    }
    Ok(())
}
