//! `xdp dump`: what arrives, with the queue and the verdict of each packet.

mod outlet;
mod sink;

use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use serde::Serialize;
use xdp::rulefile::{Entry, RuleFile, Target};
use xdp::{Umem, WaitSet};
use xdp_abi::RuleAction;

use crate::args::{InterfaceArgs, Mode, Queues, duration, in_range, power_of_two};
use crate::capture::write::Verdict;
use crate::error::{Exit, Failure};
use crate::filter::decide::Decider;
use crate::filter::load::{load_or_show, load_without_targets};
use crate::filter::words::{self, SOCKET};
use crate::interrupt::{self, interrupted};
use crate::output::{OutputArgs, Record, Writer, count};
use crate::tap::{self, Counts, Settings, Tap};
use crate::{messages, own_lab, system};
use sink::{Seen, Sink};

/// Frames that are handled at a time.
const BATCH: usize = 64;
/// How long frames are waited for at a time.
const NAP: Duration = Duration::from_millis(20);
/// How often it is looked whether a capture that a lab replays has ended.
const LOOK: Duration = Duration::from_millis(50);

const EXAMPLES: &str = "\
What is captured goes on to the network stack in the same order, unless --take says otherwise. Packets that the command could not \
take in time are lost for the stack as well; they are counted and reported. Other programs on the interface come first: what they \
decide about is not seen.

What to capture is written as match type and fields (`xdp filter --help` lists them), with `or` between several; or it is a rule \
file with rules that redirect to the socket `dump` (--filter), whose other rules are in force meanwhile.

With --rules, the rules of a file are in force meanwhile, and each captured packet has their verdict: it passes, is dropped or is \
sent back. Wireshark shows queue and verdict as options of a packet.

Examples:
  A line for each packet, until Ctrl-C:
    xdp dump -i lab:
  Packets to two ports into a file:
    xdp dump -i lab: -d 1s -w out.pcapng udp-dst port=53 or tcp-dst port=80
  Live to tshark:
    xdp dump -i lab:wire=read:in.pcap -w - | tshark -r -
  What rules do to the packets of a capture, with the bytes of each packet:
    xdp dump -i lab:wire=read:in.pcap --rules rules.toml -x";

/// Arguments of `xdp dump`.
#[derive(clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(flatten)]
    interface: InterfaceArgs,
    /// What to capture: match type and fields, as in `udp-dst port=53`; `or` between several [default: everything]
    #[arg(value_name = "MATCH")]
    matches: Vec<String>,
    /// Captures what the rules of this file redirect to the socket `dump`
    #[arg(long, value_name = "FILE", conflicts_with = "matches")]
    filter: Option<PathBuf>,
    /// Rules that are in force meanwhile, and decide about captured packets as well
    #[arg(short = 'f', long, value_name = "FILE")]
    rules: Option<PathBuf>,
    /// Takes captured packets away from the network stack
    #[arg(long, conflicts_with = "rules")]
    take: bool,
    /// Writes a pcapng file; `-` is standard output
    #[arg(short, long, value_name = "FILE")]
    write: Option<PathBuf>,
    /// Ends after so many packets
    #[arg(short, long, value_name = "PACKETS", value_parser = in_range(1..=u64::MAX))]
    count: Option<u64>,
    /// Ends after this time [default: until Ctrl-C]
    #[arg(short, long, value_name = "TIME", value_parser = duration)]
    duration: Option<Duration>,
    /// Bytes of each packet that go to the file
    #[arg(short, long, value_name = "BYTES", default_value = "262144", value_parser = in_range(1..=262_144))]
    snaplen: u64,
    /// Shows the bytes of each packet
    #[arg(short = 'x', long, conflicts_with = "write")]
    hex: bool,
    /// Queues: 0, 0,2, 0-3 or all
    #[arg(short, long, value_name = "QUEUES", default_value = "all")]
    queue: Queues,
    /// How the interface is used
    #[arg(short, long, value_enum, default_value_t = Mode::Auto, value_name = "MODE")]
    mode: Mode,
    /// Frames in each ring: more of them outlast longer pauses of this command
    #[arg(long, value_name = "FRAMES", default_value = "4096", value_parser = power_of_two(64..=65536))]
    ring_size: u32,
    #[command(flatten)]
    output: OutputArgs,
}

/// What became of the packets.
#[derive(Serialize)]
struct Summary {
    interface: String,
    seconds: f64,
    /// Packets that were written or shown.
    captured: u64,
    passed: u64,
    dropped: u64,
    sent_back: u64,
    taken: u64,
    /// Packets that were neither captured nor passed on, because this command did not take them in time.
    lost: u64,
    /// Packets that were captured and could not be passed on.
    stuck: u64,
    /// Packets that were passed on, but not written in time.
    unwritten: u64,
}

impl Record for Summary {
    const KIND: &'static str = "capture";
    const LABELS: &'static [&'static str] = &["interface"];
    const COUNTERS: &'static [&'static str] = &[
        "captured",
        "passed",
        "dropped",
        "sent_back",
        "taken",
        "lost",
        "stuck",
        "unwritten",
    ];
}

/// Runs `xdp dump`.
pub(crate) fn run(args: &Args) -> Result<Exit, Failure> {
    let to_stdout = args.write.as_deref() == Some(Path::new("-"));
    if to_stdout && args.output.format() != crate::output::Format::Text {
        return Err(
            Failure::usage("capture and summary cannot both go to standard output")
                .hint("name a file with -w, or leave --output away"),
        );
    }
    let filter = filter(args)?;
    let rules = match &args.rules {
        Some(path) => Some(load_without_targets(path)?),
        None => None,
    };
    let judge = Judge::new(rules.as_ref(), args.take)?;
    interrupt::catch()?;
    let interface = system::open(args.interface.require()?)?;
    let sink = Sink::open(args, &interface)?;
    let settings = Settings {
        mode: args.mode.into(),
        ring_size: args.ring_size,
        batch: BATCH,
        filter: filter.as_ref(),
        rules: rules.as_ref(),
        sends_back: judge.sends_back(),
    };
    let summary = capture(args, &interface, &settings, &judge, sink)?;
    own_lab::finish(interface)?;
    report(args, &summary)?;
    Ok(if interrupted() {
        Exit::Interrupted
    } else {
        Exit::Done
    })
}

/// The rules that choose what is captured.
fn filter(args: &Args) -> Result<Option<RuleFile>, Failure> {
    if let Some(path) = &args.filter {
        let (_, file) = load_or_show(path)?;
        let is_ours =
            |entry: &Entry| matches!(entry.target(), Some(Target::Socket(name)) if name == SOCKET);
        if !file.entries().iter().any(is_ours) {
            return Err(Failure::new(format!("{} captures nothing", path.display()))
                .because(format!("no rule redirects to the socket `{SOCKET}`"))
                .hint(format!(
                    "write action = \"redirect\" and redirect-to = {{ socket = \"{SOCKET}\" }}"
                )));
        }
        return Ok(Some(file));
    }
    match args.matches.as_slice() {
        [] => Ok(None),
        words => words::redirecting(words).map(Some),
    }
}

/// Says what becomes of captured packets.
struct Judge<'a> {
    rules: Option<(&'a RuleFile, Decider<'a>)>,
    otherwise: Verdict,
}

impl<'a> Judge<'a> {
    fn new(rules: Option<&'a RuleFile>, take: bool) -> Result<Self, Failure> {
        let rules = match rules {
            Some(file) => Some((file, Decider::new(file)?)),
            None => None,
        };
        let otherwise = if take {
            Verdict::Redirect
        } else {
            Verdict::Pass
        };
        Ok(Self { rules, otherwise })
    }

    fn sends_back(&self) -> bool {
        let sends = |entry: &Entry| entry.rule().action == RuleAction::L2FWD;
        self.rules
            .as_ref()
            .is_some_and(|(file, _)| file.entries().iter().any(sends))
    }

    fn judge(&self, frame: &[u8]) -> (Verdict, Option<(usize, &'a Entry)>) {
        let decided = self.rules.as_ref().and_then(|(file, decider)| {
            let index = decider.decide(frame)?;
            Some((index + 1, file.entries().get(index)?))
        });
        let verdict = match decided {
            None => self.otherwise,
            Some((_, entry)) => match entry.rule().action {
                RuleAction::DROP => Verdict::Drop,
                RuleAction::L2FWD => Verdict::SendBack,
                _ => Verdict::Pass,
            },
        };
        (verdict, decided)
    }
}

fn capture(
    args: &Args,
    interface: &xdp::Interface,
    settings: &Settings<'_>,
    judge: &Judge<'_>,
    mut sink: Sink,
) -> Result<Summary, Failure> {
    let queues = args.queue.on(interface.alias(), interface.queues()?)?;
    warn_of_others(interface);
    let longest = interface.mtu_bytes().unwrap_or(1500) + 14;
    let each = (if settings.sends_back { 5 } else { 4 }) * args.ring_size;
    let umem = Umem::builder(interface)
        .frames(each * queues.len() as u32)
        .frame_size_bytes(longest.next_power_of_two().max(2048))
        .build()?;
    let set = WaitSet::new(interface)?;
    let mut taps = Vec::new();
    for queue in queues {
        taps.push(Tap::new(interface, &umem, queue, settings)?);
    }
    for tap in &mut taps {
        tap.attach(interface, settings)?;
    }
    messages::say(format_args!("capturing on {interface}; Ctrl-C ends it"));
    let start = Instant::now();
    let (mut looked, mut shown) = (start, start);
    let most = args.count.unwrap_or(u64::MAX);
    while !interrupted()
        && sink.packets() < most
        && args.duration.is_none_or(|limit| start.elapsed() < limit)
    {
        let moved = round(&mut taps, judge, &mut sink, most)?;
        if !moved {
            if !sink.pass_on() {
                break;
            }
            tap::wait(&mut taps, &set, NAP)?;
        }
        if !moved && looked.elapsed() >= LOOK {
            looked = Instant::now();
            if own_lab::is_replayed(interface)? {
                break;
            }
        }
        if args.write.is_some()
            && messages::shows_progress()
            && shown.elapsed() >= Duration::from_secs(1)
        {
            shown = Instant::now();
            messages::say(count(sink.packets() as usize, "packet"));
        }
    }
    let seconds = start.elapsed().as_secs_f64();
    taps.iter_mut().for_each(Tap::detach);
    // What is there already is still captured and passed on; what comes behind the last one that was asked for is passed on only.
    while round(&mut taps, judge, &mut sink, most)? {}
    let mut counts = Counts::default();
    for tap in &mut taps {
        tap.drain()?;
        counts = counts.plus(tap.counts()?);
    }
    drop(taps);
    let unwritten = sink.unwritten();
    let summary = Summary {
        interface: interface.alias().to_owned(),
        seconds,
        captured: sink.packets() - unwritten,
        passed: counts.passed,
        dropped: counts.dropped,
        sent_back: counts.sent_back,
        taken: counts.taken,
        lost: counts.missed,
        stuck: counts.stuck,
        unwritten,
    };
    sink.finish(&summary)?;
    Ok(summary)
}

/// Moves what is there on all queues; tells whether there was anything.
fn round(
    taps: &mut [Tap<'_>],
    judge: &Judge<'_>,
    sink: &mut Sink,
    most: u64,
) -> Result<bool, Failure> {
    let mut moved = false;
    for tap in taps {
        let queue = tap.queue();
        let mut time = None;
        let mut written: io::Result<()> = Ok(());
        moved |= tap.run(|bytes| {
            let (verdict, rule) = judge.judge(bytes);
            if sink.packets() < most && written.is_ok() {
                let time = *time.get_or_insert_with(now);
                written = sink.packet(&Seen {
                    time,
                    queue,
                    verdict,
                    rule,
                    bytes,
                });
            }
            verdict
        })?;
        written?;
    }
    Ok(moved)
}

/// The time since 1970; a clock before that is at its start.
fn now() -> Duration {
    SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default()
}

/// Says that others decide first, if the driver tells.
fn warn_of_others(interface: &xdp::Interface) {
    let Ok(inventory) = interface.system().inventory() else {
        return;
    };
    let others = inventory
        .programs
        .iter()
        .filter(|program| program.if_index == interface.index())
        .count();
    if others > 0 {
        messages::warn(format_args!(
            "{} on {interface} already: packets that they decide about are not seen",
            match others {
                1 => "a program is".to_owned(),
                others => format!("{others} programs are"),
            }
        ));
    }
}

/// The summary: for people on standard error, because standard output has the packets.
fn report(args: &Args, summary: &Summary) -> Result<(), Failure> {
    let format = args.output.format();
    let is_written = args.write.is_some() || format == crate::output::Format::Prometheus;
    if is_written && let Some(mut writer) = Writer::new(format, io::stdout().lock()) {
        writer.record(summary)?;
        writer.finish()?;
    }
    let mut parts = vec![count(summary.captured as usize, "packet") + " captured"];
    for (number, what) in [
        (summary.passed, "passed on"),
        (summary.dropped, "dropped"),
        (summary.sent_back, "sent back"),
        (summary.taken, "taken"),
    ] {
        if number > 0 {
            parts.push(format!("{number} {what}"));
        }
    }
    parts.push(format!(
        "{} lost",
        summary.lost + summary.stuck + summary.unwritten
    ));
    messages::say(format_args!(
        "{} in {:.2} s",
        parts.join(", "),
        summary.seconds
    ));
    for (number, what) in [
        (
            summary.lost,
            "came too fast, and did not reach the network stack either; try a larger --ring-size",
        ),
        (summary.stuck, "could not be passed on to the network stack"),
        (
            summary.unwritten,
            "were passed on, but not written: whoever reads the output is too slow",
        ),
    ] {
        if number > 0 {
            messages::warn(format_args!("{} {what}", count(number as usize, "packet")));
        }
    }
    Ok(())
}
