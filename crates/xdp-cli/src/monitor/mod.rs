//! `xdp monitor`: what queues, rules and talkers do, second by second.

mod lines;
mod sample;
#[cfg(feature = "tui")]
mod screen;
mod source;

use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use xdp::rulefile::RuleFile;
use xdp::{Interface, System, Umem, WaitSet};

use crate::args::{InterfaceArgs, duration, in_range};
use crate::capture::write::Verdict;
use crate::error::{Exit, Failure};
use crate::filter::load::load_without_targets;
use crate::filter::words;
use crate::interrupt::{self, interrupted};
use crate::output::OutputArgs;
use crate::own_lab;
use crate::talkers::Talkers;
use crate::tap::{self, Settings, Tap};
use lines::Lines;
use source::{Here, Source};

/// How often it is looked whether a capture that a lab replays has ended.
const LOOK: Duration = Duration::from_millis(50);
/// How long frames are waited for at a time.
const NAP: Duration = Duration::from_millis(20);
/// Frames in the rings through which talkers are counted.
const RING: u32 = 4096;

const EXAMPLES: &str = "\
Each line is one queue in one interval, as rates: frames that rules let pass, dropped, gave to sockets and sent back; frames that \
were lost on the way, and why; and the rules that were hit. Totals are in every other format than text. The driver counts at queues \
that have a program or a socket; --rules puts rules there for as long as the command runs.

Who talks to whom is known of labs of other terminals. Elsewhere --talkers has every frame that no rule decides about pass through \
this command, which costs time, and then goes on to the network stack.

In a terminal, `xdp monitor -i lab:demo --tui` shows all of that full-screen; q leaves.

Examples:
  A lab of another terminal, a line for each queue and second:
    xdp monitor -i lab:demo
  What rules do to a capture, one JSON document a line:
    xdp monitor -i lab:wire=read:in.pcap --rules rules.toml --talkers --interval 200ms -d 1s -o ndjson
  One look, for the textfile collector of Prometheus:
    xdp monitor -i lab:demo --count 1 -o prometheus > xdp.prom";

/// Arguments of `xdp monitor`.
#[derive(clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(flatten)]
    interface: InterfaceArgs,
    /// Full-screen, with the keys that its last line names
    #[cfg(feature = "tui")]
    #[arg(long, conflicts_with_all = ["output", "json"])]
    tui: bool,
    /// Rules that are in force meanwhile
    #[arg(short = 'f', long, value_name = "FILE")]
    rules: Option<PathBuf>,
    /// Counts who talks to whom, by having frames pass through this command
    #[arg(long)]
    talkers: bool,
    /// Time between two looks
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = duration)]
    interval: Duration,
    /// Ends after so many intervals
    #[arg(short, long, value_name = "INTERVALS", value_parser = in_range(1..=u64::MAX))]
    count: Option<u64>,
    /// Ends after this time [default: until Ctrl-C]
    #[arg(short, long, value_name = "TIME", value_parser = duration)]
    duration: Option<Duration>,
    #[command(flatten)]
    output: OutputArgs,
}

/// Runs `xdp monitor`.
pub(crate) fn run(args: &Args) -> Result<Exit, Failure> {
    #[cfg(feature = "tui")]
    if args.tui {
        screen::require_terminal()?;
    }
    let named = args.interface.get();
    interrupt::catch()?;
    if let Some(source) = Source::session(named) {
        if args.rules.is_some() || args.talkers {
            return Err(Failure::usage("the lab runs in another process")
                .because("it has rules and counts talkers itself")
                .hint("change its rules with `xdp filter apply`"));
        }
        watch(args, &source, || Ok(false))?;
    } else {
        let rules = args
            .rules
            .as_deref()
            .map(load_without_targets)
            .transpose()?;
        let (system, interface) = source::open(named)?;
        if interface.is_none() && (rules.is_some() || args.talkers) {
            args.interface.require()?;
        }
        here_and_now(args, system, interface.as_ref(), rules.as_ref())?;
        if let Some(interface) = interface {
            own_lab::finish(interface)?;
        }
    }
    Ok(if interrupted() {
        Exit::Interrupted
    } else {
        Exit::Done
    })
}

/// Watches what this process can reach.
fn here_and_now(
    args: &Args,
    system: System,
    interface: Option<&Interface>,
    rules: Option<&RuleFile>,
) -> Result<(), Failure> {
    let here = Here {
        system,
        interface: interface.cloned(),
        rules,
        _program: None,
        talkers: None,
    };
    let Some(interface) = interface else {
        return watch(args, &Source::Here(here), || Ok(false));
    };
    let is_over = || own_lab::is_replayed(interface);
    if !args.talkers {
        let here = Here {
            _program: rules
                .map(|rules| source::put(rules, interface))
                .transpose()?,
            ..here
        };
        return watch(args, &Source::Here(here), is_over);
    }
    let talkers = Mutex::default();
    let all = everything_else(rules)?;
    let here = Here {
        rules: rules.map(|_| &all),
        talkers: Some(&talkers),
        ..here
    };
    listening(interface, &all, &talkers, || {
        watch(args, &Source::Here(here), is_over)
    })
}

/// The rules, and what no rule decides about to us.
fn everything_else(rules: Option<&RuleFile>) -> Result<RuleFile, Failure> {
    let mut all = rules.cloned().unwrap_or_else(RuleFile::empty);
    for entry in words::redirecting(&["all".to_owned()])?.into_entries() {
        all.insert(all.entries().len(), entry);
    }
    Ok(all)
}

/// Has the frames of an interface counted by who talks while `work` is done.
fn listening<T>(
    interface: &Interface,
    rules: &RuleFile,
    talkers: &Mutex<Talkers>,
    work: impl FnOnce() -> Result<T, Failure>,
) -> Result<T, Failure> {
    let settings = Settings {
        mode: xdp::Mode::Auto,
        ring_size: RING,
        batch: 64,
        filter: Some(rules),
        rules: None,
        sends_back: false,
    };
    let queues = interface.queues()?;
    let longest = interface.mtu_bytes().unwrap_or(1500) + 14;
    let umem = Umem::builder(interface)
        .frames(4 * RING * queues)
        .frame_size_bytes(longest.next_power_of_two().max(2048))
        .build()?;
    let set = WaitSet::new(interface)?;
    let mut taps = (0..queues)
        .map(|queue| Tap::new(interface, &umem, queue, &settings))
        .collect::<Result<Vec<_>, _>>()?;
    for tap in &mut taps {
        tap.attach(interface, &settings)?;
    }
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let listener = scope.spawn(|| listen(taps, &set, talkers, &stop));
        let done = work();
        stop.store(true, Ordering::Relaxed);
        match listener.join() {
            Ok(heard) => done.and_then(|done| heard.map(|()| done)),
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })
}

/// Passes frames on and counts them, until told to stop.
fn listen(
    mut taps: Vec<Tap<'_>>,
    set: &WaitSet,
    talkers: &Mutex<Talkers>,
    stop: &AtomicBool,
) -> Result<(), Failure> {
    let round = |taps: &mut [Tap<'_>]| -> Result<bool, Failure> {
        let mut moved = false;
        for tap in taps {
            moved |= tap.run(|frame| {
                talkers
                    .lock()
                    .unwrap_or_else(std::sync::PoisonError::into_inner)
                    .count(frame);
                Verdict::Pass
            })?;
        }
        Ok(moved)
    };
    while !stop.load(Ordering::Relaxed) {
        if !round(&mut taps)? {
            tap::wait(&mut taps, set, NAP)?;
        }
    }
    taps.iter_mut().for_each(Tap::detach);
    while round(&mut taps)? {}
    taps.iter_mut().try_for_each(Tap::drain)
}

/// Looks again and again until it is enough; `is_over` tells that nothing more comes.
fn watch(
    args: &Args,
    source: &Source<'_>,
    is_over: impl Fn() -> Result<bool, Failure>,
) -> Result<(), Failure> {
    let start = Instant::now();
    #[cfg(feature = "tui")]
    if args.tui {
        return screen::run(args, source, start, is_over);
    }
    let mut lines = Lines::new(args.output.format(), anstream::stdout().lock());
    let mut before = source.look(start)?;
    let mut intervals = 0;
    let mut next = args.interval;
    while args.count.is_none_or(|count| intervals < count) {
        let end = args.duration.map_or(next, |limit| limit.min(next));
        let mut over = false;
        while start.elapsed() < end && !interrupted() && !over {
            interrupt::wait(end.saturating_sub(start.elapsed()).min(LOOK));
            over = is_over()?;
        }
        let now = source.look_again(start)?;
        lines.write(&now, &now.since(&before))?;
        before = now;
        intervals += 1;
        if over || interrupted() || args.duration.is_some_and(|limit| start.elapsed() >= limit) {
            break;
        }
        // Without drift, and without catching up after a pause.
        next += args.interval;
        if next < start.elapsed() {
            next = start.elapsed() + args.interval;
        }
    }
    Ok(lines.finish()?)
}
