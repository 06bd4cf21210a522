//! Holding rules in the foreground.

use std::time::{Duration, Instant};

use xdp::rulefile::RuleFile;
use xdp::{Program, Targets};

use super::live::{PlaceArgs, report};
use crate::args::{InterfaceArg, Mode, Place, Queues};
use crate::error::{Exit, Failure};
use crate::output::{OutputArgs, count};
use crate::session::{self, Change, Held, Request, Server, hits};
use crate::{interrupt, messages, own_lab, system};

/// How often requests are looked for.
const TICK: Duration = Duration::from_millis(20);
/// How often it is looked whether the rules are still there.
const LOOK: Duration = Duration::from_secs(1);

/// The session of an interface of this machine.
fn session_of(interface: &xdp::Interface) -> String {
    format!("if-{}", interface.index())
}

/// The name of the session that has rules on an interface of this machine.
pub(super) fn session_name(interface: &InterfaceArg) -> Result<String, Failure> {
    if let Place::OwnLab(_) = interface.place() {
        let failure = Failure::usage(format!("{interface} is a lab that is not there yet"));
        return Err(match session::names().as_slice() {
            [] => {
                failure.hint("start one: xdp lab run --name demo --stay; its address is lab:demo")
            }
            names => failure.hint(format!(
                "a lab that runs is lab:NAME; there is {}",
                names.join(", ")
            )),
        });
    }
    Ok(session_of(&system::open(interface)?))
}

/// Changes the rules of the session that has some on the interface, or becomes it.
pub(super) fn change_or_hold(
    place: &PlaceArgs,
    change: Change,
    output: OutputArgs,
) -> Result<Exit, Failure> {
    let named = place.interface.require()?;
    let interface = system::open(named)?;
    let server = match named.place() {
        Place::OwnLab(_) => Server::open_any("lab")?,
        _ => {
            let name = session_of(&interface);
            match Server::open(&name)? {
                Some(server) => server,
                None => {
                    let request = Request::Change {
                        interface: None,
                        change,
                    };
                    let reply = session::ask(&name, &request)?;
                    let gone = || {
                        Failure::new(format!("the session {name} ended just now")).hint("try again")
                    };
                    return report(&reply.ok_or_else(gone)?.into_result()?, output);
                }
            }
        }
    };
    interrupt::catch()?;
    let exit = hold(place, &interface, &server, &change, output);
    drop(server);
    let exit = exit?;
    own_lab::finish(interface)?;
    Ok(exit)
}

fn hold(
    place: &PlaceArgs,
    interface: &xdp::Interface,
    server: &Server,
    change: &Change,
    output: OutputArgs,
) -> Result<Exit, Failure> {
    let mut held = Held::new(server.name(), [OnInterface::new(place, interface)?]);
    held.change(None, change)?;
    let listing = held.listing(None)?;
    let rules: usize = listing.interfaces.iter().map(|on| on.rules.len()).sum();
    messages::say(format_args!(
        "{} on {}{}; Ctrl-C removes {}",
        count(rules, "rule"),
        interface.name(),
        match &place.queue {
            Queues::All => String::new(),
            some @ Queues::Some(_) => format!(", queues {some}"),
        },
        if rules == 1 { "it" } else { "them" }
    ));
    let (start, mut looked) = (Instant::now(), Instant::now());
    let exit = loop {
        let asked = server.serve(|request| held.serve(request));
        if asked && held.is_empty() {
            messages::say("all rules were removed");
            break Exit::Done;
        }
        let is_over = place
            .duration
            .is_some_and(|duration| start.elapsed() >= duration);
        if is_over || own_lab::is_replayed(interface)? {
            break Exit::Done;
        }
        if looked.elapsed() >= LOOK {
            looked = Instant::now();
            held.listing(None)?;
        }
        if interrupt::wait(TICK) {
            break Exit::Interrupted;
        }
    };
    let listing = held.listing(None)?;
    held.change(None, &Change::Clear)?;
    report(&listing, output)?;
    Ok(exit)
}

/// An interface and the programs on its queues.
struct OnInterface {
    interface: xdp::Interface,
    /// None for all.
    queues: Option<Vec<u32>>,
    mode: xdp::Mode,
    programs: Vec<Program>,
}

impl OnInterface {
    fn new(place: &PlaceArgs, interface: &xdp::Interface) -> Result<Self, Failure> {
        let queues = match &place.queue {
            Queues::All => None,
            some @ Queues::Some(_) => Some(some.on(interface.name(), interface.queues()?)?),
        };
        Ok(Self {
            interface: interface.clone(),
            queues,
            mode: match place.mode {
                Mode::Auto => xdp::Mode::Auto,
                Mode::Native => xdp::Mode::Native,
                Mode::Generic => xdp::Mode::Generic,
            },
            programs: Vec::new(),
        })
    }

    fn attach(&self, rules: &RuleFile) -> Result<Vec<Program>, Failure> {
        let on = |queue: Option<u32>| -> Result<Program, Failure> {
            let builder = Program::builder(&self.interface).mode(self.mode);
            let builder = builder.rule_file(rules, &Targets::new())?;
            Ok(match queue {
                None => builder.all_queues(),
                Some(queue) => builder.queue(queue),
            }
            .attach()?)
        };
        match &self.queues {
            None => Ok(vec![on(None)?]),
            Some(queues) => queues.iter().map(|queue| on(Some(*queue))).collect(),
        }
    }
}

impl session::Interface for OnInterface {
    fn name(&self) -> &str {
        self.interface.name()
    }

    fn index(&self) -> u32 {
        self.interface.index()
    }

    fn inventory(&self) -> Result<Vec<u8>, Failure> {
        Ok(self
            .interface
            .system()
            .inventory_with_hits()?
            .raw()
            .to_vec())
    }

    fn replace(&mut self, rules: &RuleFile) -> Result<(), Failure> {
        let next = match rules.entries() {
            [] => Vec::new(),
            _ => self.attach(rules)?,
        };
        // From here on both decide; now the old ones go.
        drop(std::mem::replace(&mut self.programs, next));
        Ok(())
    }

    fn hits(&self) -> Result<Option<Vec<u64>>, Failure> {
        let inventory = self.interface.system().inventory_with_hits()?;
        // In a lab of one's own, all programs are one's own.
        let is_lab = is_lab(&self.interface);
        let process = u64::from(std::process::id());
        let mut ours: Vec<u64> = inventory
            .programs
            .iter()
            .filter(|program| program.if_index == self.interface.index())
            .filter(|program| is_lab || program.process == process)
            .map(|program| program.id)
            .collect();
        // Numbers grow: the last ones are those that are there now.
        ours.sort_unstable();
        let newest = ours.len().saturating_sub(self.programs.len());
        Ok(hits::of(
            inventory.raw(),
            ours.get(newest..).unwrap_or_default(),
        ))
    }
}

#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
fn is_lab(interface: &xdp::Interface) -> bool {
    xdp::lab::Lab::of(interface).is_some()
}

#[cfg(not(all(target_os = "linux", target_arch = "x86_64")))]
fn is_lab(_: &xdp::Interface) -> bool {
    false
}
