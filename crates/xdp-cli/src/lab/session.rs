//! One run of the lab.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nt_sim::cable::{CaptureSource, Feed, Source as _};
use nt_sim::nic::Frame;
use nt_sim::{Driver, Lab, LabError, Mode, Nic, PeError, Rule};
use xdp::lab::EndSpec;

use super::ear::{Ear, Overheard};
use super::end::{is_live, open};
use super::program;
use super::report::{self, Sample};
use super::{RunArgs, Verifier};
use crate::error::{Exit, Failure};
use crate::filter::load::load_or_show;
use crate::session::{Change, Held, Reply, Server, Traffic, Watched};
use crate::status::driver::DriverRecord;
use crate::{interrupt, messages};

/// Stands for the driver in this program where a driver file is named.
const LINKED: &str = "linked";
/// The name of a lab that was given none.
const DEFAULT_NAME: &str = "lab";
/// How often the run looks whether it shall end.
const TICK: Duration = Duration::from_millis(20);

/// One network card and what is still to be replayed into it.
struct Card<'lab> {
    nic: Nic<'lab>,
    from_wire: Option<CaptureSource>,
    from_stack: Option<CaptureSource>,
    last: [Sample; 2],
    ear: Ear,
}

/// `xdp lab run`.
pub(super) fn run(args: RunArgs) -> Result<Exit, Failure> {
    let ends = pair_up(&args)?;
    let rules = args.rules.as_deref().map(read_rules).transpose()?;
    let is_linked = args.linked || args.driver.as_deref() == Some(Path::new(LINKED));
    let file = if is_linked {
        None
    } else {
        Some(driver_file(args.driver.as_deref())?)
    };
    interrupt::catch()?;

    let mode = match args.verifier {
        Verifier::Strict => Mode::Strict,
        Verifier::Fast => Mode::Fast,
    };
    let mut builder = Lab::builder().cpus(args.cpus).mode(mode);
    if let Some(seed) = args.seed {
        builder = builder.seed(seed);
    }
    let lab = builder
        .boot()
        .map_err(|error| stopped("cannot boot the lab", error))?;
    let driver = load(&lab, file.as_deref())?;
    report::loaded(&driver);

    let mut cards = Vec::new();
    for (number, (wire, stack)) in ends.iter().enumerate() {
        cards.push(plug_in(&lab, number, wire, stack, args.queues)?);
    }
    let attaches = lab.filter_attaches();
    if let Some(attach) = attaches.iter().find(|attach| attach.status < 0) {
        return Err(Failure::new(format!(
            "{} did not attach to {}",
            attach.filter, attach.nic
        ))
        .because(format!("status {:#010x}", attach.status)));
    }
    let process = lab
        .administrator("xdp")
        .map_err(|error| stopped("cannot start a process in the lab", error))?;
    let held = cards
        .iter()
        .map(|card| program::Card::new(&process, card.nic.name(), card.nic.if_index()));
    let server = open_session(&args)?;
    let session = server.as_ref().map_or(DEFAULT_NAME, Server::name);
    let mut held = Held::new(session, held);
    if let Some(text) = rules {
        held.change(None, &Change::Replace { text })?;
        lab.settle()
            .map_err(|error| stopped("the lab did not settle", error))?;
    }
    let live = args.stay
        || ends
            .iter()
            .any(|(wire, stack)| is_live(wire) || is_live(stack));
    report::running(cards.len(), live);
    if live && let Some(server) = &server {
        report::session(server.name());
    }
    let described = match &file {
        Some(file) => DriverRecord::of_file(file),
        None => DriverRecord {
            driver: "linked into xdp lab run".into(),
            version: None,
        },
    };
    let serve = |cards: &[Card<'_>]| {
        if let Some(server) = &server {
            server.serve(|request| match held.serve(request) {
                Reply::Watched(watched) => Reply::Watched(Watched {
                    driver: Some(described.clone()),
                    ..with_traffic(watched, cards)
                }),
                reply => reply,
            });
        }
    };
    let interrupted = work(&lab, &mut cards, &args, live, serve)?;
    // Nobody is to add rules to a lab that goes.
    drop(server);
    if !held.is_empty() {
        report::rules(&held.listing(None)?)?;
        held.change(None, &Change::Clear)?;
    }
    drop(held);
    drop(process);
    finish(cards, driver)?;
    Ok(if interrupted {
        Exit::Interrupted
    } else {
        Exit::Done
    })
}

/// The text of a rule file that is in order.
fn read_rules(path: &Path) -> Result<String, Failure> {
    load_or_show(path).map(|(text, _)| text)
}

/// Where others can change the rules; none under a seed, because what comes from outside cannot be repeated.
fn open_session(args: &RunArgs) -> Result<Option<Server>, Failure> {
    match &args.name {
        _ if args.seed.is_some() => Ok(None),
        Some(name) => match Server::open(name)? {
            Some(server) => Ok(Some(server)),
            None => Err(Failure::new(format!("there is a lab named {name} already"))
                .hint("choose another name, or end the other lab")),
        },
        None => match Server::open_any(DEFAULT_NAME) {
            Ok(server) => Ok(Some(server)),
            Err(failure) => {
                let (what, cause, _) = failure.parts();
                messages::warn(format_args!(
                    "rules cannot be changed from another terminal: {what}: {}",
                    cause.unwrap_or_default()
                ));
                Ok(None)
            }
        },
    }
}

/// The ends of each card; an end that is not given is plugged into nothing.
fn pair_up(args: &RunArgs) -> Result<Vec<(EndSpec, EndSpec)>, Failure> {
    let cards = args.wires.len().max(args.stacks.len()).max(1);
    let end = |given: &[EndSpec], number: usize| given.get(number).cloned().unwrap_or_default();
    let ends: Vec<_> = (0..cards)
        .map(|number| (end(&args.wires, number), end(&args.stacks, number)))
        .collect();
    if args.seed.is_some()
        && let Some(live) = ends
            .iter()
            .flat_map(|(wire, stack)| [wire, stack])
            .find(|end| is_live(end))
    {
        return Err(
            Failure::new(format!("a seed and the end {live} do not go together"))
                .because("what comes from outside in real time cannot be repeated")
                .hint("use captures with a seed: --wire read:FILE")
                .ending(Exit::Usage),
        );
    }
    Ok(ends)
}

/// The driver file: the one given, or the one that was built.
fn driver_file(given: Option<&Path>) -> Result<PathBuf, Failure> {
    if let Some(file) = given {
        return Ok(file.to_owned());
    }
    let program = std::env::current_exe()
        .map_err(|error| Failure::new("cannot tell where this program is").because(error))?;
    // This program lies in target/release, the driver in target/driver.
    let built = program
        .ancestors()
        .nth(2)
        .map(|target| target.join("driver/x86_64/xdp.sys"));
    built.filter(|file| file.exists()).ok_or_else(|| {
        Failure::new("there is no driver to boot")
            .because("no --driver was given and none was built beside this program")
            .hint("build it with `cargo xtask driver`, name a file with --driver, or use --linked")
            .ending(Exit::DriverAbsent)
    })
}

fn load<'lab>(lab: &'lab Lab, file: Option<&Path>) -> Result<Driver<'lab>, Failure> {
    match file {
        Some(file) => lab.load(file).map_err(|error| not_booted(file, error)),
        None => lab
            .start_linked("xdp", xdp_driver::DriverEntry)
            .map_err(|error| stopped("cannot start the linked driver", error)),
    }
}

/// Why a driver file did not boot, as one sentence where the file is the cause.
fn not_booted(file: &Path, error: LabError) -> Failure {
    let exit = match &error {
        LabError::Image {
            cause: PeError::Read(io),
            ..
        } if io.kind() == std::io::ErrorKind::PermissionDenied => Exit::NotPermitted,
        LabError::Image { .. } => Exit::DriverAbsent,
        LabError::BugCheck(report) if report.rule == Rule::UnimplementedImport => {
            return Failure::new(format!("cannot boot the driver: {}", file.display()))
                .because(&report.details)
                .hint(
                    "check that the name is one of Windows; if it is, this lab does not have it yet: \
                     look it up by name at run time, or run a driver that does without",
                )
                .ending(Exit::DriverAbsent);
        }
        _ => Exit::Failed,
    };
    stopped("cannot boot the driver", error).ending(exit)
}

fn plug_in<'lab>(
    lab: &'lab Lab,
    number: usize,
    wire: &EndSpec,
    stack: &EndSpec,
    queues: u32,
) -> Result<Card<'lab>, Failure> {
    let name = format!("nic{number}");
    let (wire_end, stack_end) = (open(wire)?, open(stack)?);
    let ear = Ear::new();
    let overheard = wire_end.live.map(|source| {
        Box::new(Overheard {
            source,
            ear: ear.clone(),
        }) as _
    });
    let nic = lab
        .nic(&name)
        .queues(queues)
        .wire_cable(overheard, wire_end.sink)
        .stack_cable(stack_end.live, stack_end.sink)
        .create()
        .map_err(|error| stopped("cannot make a network card", error))?;
    // Frames that nobody takes are counted, not kept.
    nic.wire().count_only();
    nic.stack().count_only();
    let filters: Vec<String> = nic
        .filters()
        .into_iter()
        .map(|filter| filter.name)
        .collect();
    anstream::println!(
        "{name}: wire {wire}, stack {stack}, filters: {}",
        filters.join(", ")
    );
    Ok(Card {
        nic,
        from_wire: wire_end.replay,
        from_stack: stack_end.replay,
        last: [Sample::default(); 2],
        ear,
    })
}

/// Runs until there is a reason to end; `true` if it was Ctrl-C.
fn work(
    lab: &Lab,
    cards: &mut [Card<'_>],
    args: &RunArgs,
    live: bool,
    mut serve: impl FnMut(&[Card<'_>]),
) -> Result<bool, Failure> {
    let start = Instant::now();
    let mut shown = start;
    loop {
        if interrupt::interrupted() {
            return Ok(true);
        }
        serve(cards);
        let mut open = live;
        for card in &mut *cards {
            open |= card.replay()?;
        }
        if shown.elapsed() >= args.interval {
            let elapsed = shown.elapsed();
            shown = Instant::now();
            for card in &mut *cards {
                card.show(elapsed);
            }
        }
        if !open {
            lab.settle()
                .map_err(|error| stopped("the lab stopped", error))?;
            return Ok(false);
        }
        if args.duration.is_some_and(|limit| start.elapsed() >= limit) {
            return Ok(false);
        }
        if !cards.iter().any(Card::is_replaying) {
            interrupt::wait(TICK);
            // A kernel that has stopped says so to whoever asks it anything.
            for card in &*cards {
                card.nic
                    .wire()
                    .try_receive()
                    .map_err(|error| stopped("the lab stopped", error))?;
            }
        }
    }
}

/// What is watched, with what only the network cards know.
fn with_traffic(mut watched: Watched, cards: &[Card<'_>]) -> Watched {
    for card in cards {
        let wire = card.nic.wire().counters();
        watched.traffic.push(Traffic {
            interface: card.nic.name().to_owned(),
            received: wire.sent,
            received_bytes: wire.sent_bytes,
            sent: wire.received,
            sent_bytes: wire.received_bytes,
        });
        watched.talkers.extend(card.ear.ask());
    }
    watched
}

impl Card<'_> {
    const fn is_replaying(&self) -> bool {
        self.from_wire.is_some() || self.from_stack.is_some()
    }

    /// Puts the next frames of the captures into the card; `false` when there are none left.
    fn replay(&mut self) -> Result<bool, Failure> {
        if let Some(frames) = next(&mut self.from_wire)? {
            self.ear
                .hear(frames.iter().map(|frame| frame.data.as_slice()));
            self.nic
                .wire()
                .send_all(frames)
                .map_err(|error| stopped("the lab stopped", error))?;
        }
        if let Some(frames) = next(&mut self.from_stack)? {
            self.nic
                .stack()
                .send_all(frames)
                .map_err(|error| stopped("the lab stopped", error))?;
        }
        Ok(self.is_replaying())
    }

    fn samples(&self) -> [Sample; 2] {
        [
            Sample::new(self.nic.wire().counters()),
            Sample::new(self.nic.stack().counters()),
        ]
    }

    fn show(&mut self, elapsed: Duration) {
        let now = self.samples();
        for ((end, now), last) in ["wire ", "stack"].into_iter().zip(&now).zip(self.last) {
            anstream::println!("{} {end}: {}", self.nic.name(), now.line(last, elapsed));
        }
        self.last = now;
    }
}

/// The next frames of a capture, which is closed at its end.
fn next(source: &mut Option<CaptureSource>) -> Result<Option<Vec<Frame>>, Failure> {
    let Some(capture) = source else {
        return Ok(None);
    };
    let mut frames = Vec::new();
    let feed = capture
        .receive(&mut frames, Duration::ZERO)
        .map_err(|error| Failure::new("cannot go on replaying").because(error))?;
    if feed == Feed::End {
        *source = None;
    }
    Ok(Some(frames.into_iter().map(Frame::new).collect()))
}

/// Takes the cards away, unloads the driver and says what was left.
fn finish(cards: Vec<Card<'_>>, driver: Driver<'_>) -> Result<(), Failure> {
    for card in cards {
        let name = card.nic.name().to_owned();
        let samples = card.samples();
        card.nic
            .remove()
            .map_err(|error| stopped("cannot take a network card away", error))?;
        for (end, sample) in ["wire", "stack"].into_iter().zip(samples) {
            anstream::println!("{name} {end}: {}", sample.totals());
        }
    }
    let unloaded = driver
        .unload()
        .map_err(|error| stopped("the unload was not clean", error))?;
    if !unloaded.is_clean() {
        return Err(Failure::new("the driver left things behind").because(unloaded));
    }
    report::unloaded(unloaded.deepest_stack);
    Ok(())
}

fn stopped(what: &str, error: LabError) -> Failure {
    Failure::new(what).because(error)
}
