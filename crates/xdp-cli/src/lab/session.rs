//! One run of the lab.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use xdp::Mode;
use xdp::lab::{
    Address, Cable, End, EndSpec, Feed, Lab, Share, Side, Source, Visitor, built_driver,
};

use super::RunArgs;
use super::ear::{Ear, Overheard};
use super::report::{self, Sample};
use crate::error::{Exit, Failure};
use crate::filter::load::load_or_show;
use crate::session::{Change, Held, OnInterface, Reply, Server, Traffic, Watched};
use crate::status::driver::DriverRecord;
use crate::{interrupt, messages, own_lab};

/// Stands for the driver in this program where a driver file is named.
const LINKED: &str = "linked";
/// The name of a lab that was given none.
const DEFAULT_NAME: &str = "lab";
/// How often the run looks whether it shall end.
const TICK: Duration = Duration::from_millis(20);

/// One network card and what is still to be replayed into it.
struct Card {
    name: String,
    wire: End,
    stack: End,
    replayed: Replayed,
    last: [Sample; 2],
    ear: Ear,
}

/// What is replayed into the ends of a card. This is done here and not by its cables, so that it is the same each time.
struct Replayed {
    wire: Option<Box<dyn Source>>,
    stack: Option<Box<dyn Source>>,
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

    let (lab, mut cards) = boot(&args, &ends, file)?;
    let held = (0..lab.cards()).map(|card| OnInterface::new(lab.interface(card), None, Mode::Auto));
    let server = open_session(&args)?;
    let session = server.as_ref().map_or(DEFAULT_NAME, Server::name);
    let share = match &server {
        Some(server) => Some(lab.share(server.name())?),
        None => None,
    };
    let mut held = Held::new(session, held);
    if let Some(text) = rules {
        held.change(None, &Change::Replace { text })?;
        lab.settle()?;
    }
    let live = args.stay
        || ends
            .iter()
            .any(|(wire, stack)| wire.is_live() || stack.is_live());
    report::running(cards.len(), live);
    if live && let Some(server) = &server {
        report::session(server.name());
    }
    let described = match &lab.driver().file {
        Some(file) => DriverRecord::of_file(&file.path),
        None => DriverRecord {
            driver: "linked into xdp lab run".into(),
            version: None,
        },
    };
    let serve = |cards: &[Card]| {
        if let Some(server) = &server {
            server.serve(|request| match held.serve(request) {
                Reply::Watched(watched) => Reply::Watched(Watched {
                    driver: Some(described.clone()),
                    processes: share.as_ref().map(processes).unwrap_or_default(),
                    ..with_traffic(watched, cards)
                }),
                reply => reply,
            });
        }
    };
    let interrupted = work(&lab, &mut cards, &args, live, serve)?;
    // Nobody is to add rules to a lab that goes.
    drop(server);
    drop(share);
    if !held.is_empty() {
        report::rules(&held.listing(None)?)?;
        held.change(None, &Change::Clear)?;
    }
    drop(held);
    for card in cards {
        card.print_totals();
    }
    report::unloaded(own_lab::end(lab)?.deepest_stack_bytes());
    Ok(if interrupted {
        Exit::Interrupted
    } else {
        Exit::Done
    })
}

/// The programs that are in the lab, by their numbers there.
fn processes(share: &Share) -> Vec<(u64, String)> {
    let visitors = share.visitors().into_iter();
    let named = visitors.map(|visitor| {
        let Visitor {
            process,
            linux_process,
            program,
            ..
        } = visitor;
        (process, format!("{program} (process {linux_process} here)"))
    });
    named.collect()
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
                    "the lab cannot be found from another terminal: {what}: {}",
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
            .find(|end| end.is_live())
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
    built_driver().ok_or_else(|| {
        Failure::new("there is no driver to boot")
            .because("no --driver was given and none was built beside this program")
            .hint("build it with `cargo xtask driver`, name a file with --driver, or use --linked")
            .ending(Exit::DriverAbsent)
    })
}

/// Boots the lab with this driver file or the linked driver, and prints what it consists of.
fn boot(
    args: &RunArgs,
    ends: &[(EndSpec, EndSpec)],
    file: Option<PathBuf>,
) -> Result<(Lab, Vec<Card>), Failure> {
    let is_linked = file.is_none();
    let mut address = Address::default();
    address.ends = ends.to_vec();
    address.queues = args.queues;
    address.cpus = args.cpus;
    address.verifier = args.verifier.into();
    address.driver = file;
    let mut builder = Lab::builder(&address);
    if is_linked {
        builder = builder.linked(xdp_driver::DriverEntry);
    }
    if let Some(seed) = args.seed {
        builder = builder.seed(seed);
    }
    let mut plugged = Vec::new();
    for (number, (wire, stack)) in ends.iter().enumerate() {
        let ear = Ear::new();
        let (mut wire_cable, from_wire) = open(wire)?;
        wire_cable.source = wire_cable.source.map(|source| {
            let ear = ear.clone();
            Box::new(Overheard { source, ear }) as _
        });
        let (stack_cable, from_stack) = open(stack)?;
        builder =
            builder
                .cable(number, Side::Wire, wire_cable)
                .cable(number, Side::Stack, stack_cable);
        let replayed = Replayed {
            wire: from_wire,
            stack: from_stack,
        };
        plugged.push((replayed, ear));
    }
    let lab = builder.boot()?;
    report::loaded(lab.driver());
    let mut cards = Vec::new();
    for (number, ((wire, stack), (replayed, ear))) in ends.iter().zip(plugged).enumerate() {
        let card = Card {
            name: lab.interface(number).name().to_owned(),
            wire: lab.wire(number),
            stack: lab.stack(number),
            replayed,
            last: [Sample::default(); 2],
            ear,
        };
        // Frames that nobody takes are counted, not kept.
        card.wire.count_only();
        card.stack.count_only();
        let filters = lab.filters(number).join(", ");
        anstream::println!(
            "{}: wire {wire}, stack {stack}, filters: {filters}",
            card.name
        );
        cards.push(card);
    }
    Ok((lab, cards))
}

/// Opens an end: the cable for it, and what is to be replayed into it.
fn open(end: &EndSpec) -> Result<(Cable, Option<Box<dyn Source>>), Failure> {
    let mut cable = end.open()?;
    let replayed = if end.is_live() {
        None
    } else {
        cable.source.take()
    };
    Ok((cable, replayed))
}

/// Runs until there is a reason to end; `true` if it was Ctrl-C.
fn work(
    lab: &Lab,
    cards: &mut [Card],
    args: &RunArgs,
    live: bool,
    mut serve: impl FnMut(&[Card]),
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
            lab.settle()?;
            return Ok(false);
        }
        if args.duration.is_some_and(|limit| start.elapsed() >= limit) {
            return Ok(false);
        }
        if !cards.iter().any(Card::is_replaying) {
            interrupt::wait(TICK);
            // A kernel that has stopped says so to whoever asks it anything.
            for card in &*cards {
                card.wire.try_receive()?;
            }
        }
    }
}

/// What is watched, with what only the network cards know.
fn with_traffic(mut watched: Watched, cards: &[Card]) -> Watched {
    for card in cards {
        let wire = card.wire.counters();
        watched.traffic.push(Traffic {
            interface: card.name.clone(),
            received: wire.sent,
            received_bytes: wire.sent_bytes,
            sent: wire.received,
            sent_bytes: wire.received_bytes,
        });
        watched.talkers.extend(card.ear.ask());
    }
    watched
}

impl Card {
    fn is_replaying(&self) -> bool {
        self.replayed.wire.is_some() || self.replayed.stack.is_some()
    }

    /// Puts the next frames of the captures into the card; `false` when there are none left.
    fn replay(&mut self) -> Result<bool, Failure> {
        if let Some(frames) = next(&mut self.replayed.wire)? {
            self.ear.hear(frames.iter().map(Vec::as_slice));
            self.wire.send_all(frames)?;
        }
        if let Some(frames) = next(&mut self.replayed.stack)? {
            self.stack.send_all(frames)?;
        }
        Ok(self.is_replaying())
    }

    fn samples(&self) -> [Sample; 2] {
        [
            Sample::new(self.wire.counters()),
            Sample::new(self.stack.counters()),
        ]
    }

    fn show(&mut self, elapsed: Duration) {
        let now = self.samples();
        for ((end, now), last) in ["wire ", "stack"].into_iter().zip(&now).zip(self.last) {
            anstream::println!("{} {end}: {}", self.name, now.line(last, elapsed));
        }
        self.last = now;
    }

    fn print_totals(&self) {
        for (end, sample) in ["wire", "stack"].into_iter().zip(self.samples()) {
            anstream::println!("{} {end}: {}", self.name, sample.totals());
        }
    }
}

/// The next frames of a capture, which is closed at its end.
fn next(source: &mut Option<Box<dyn Source>>) -> Result<Option<Vec<Vec<u8>>>, Failure> {
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
    Ok(Some(frames))
}
