//! Where samples come from: this machine, a lab of this command, or whoever holds a session.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use xdp::rulefile::RuleFile;
use xdp::{Interface, Program, System, Targets};

use super::sample::Sample;
use crate::args::{InterfaceArg, Place};
use crate::error::Failure;
use crate::session::{self, InterfaceRules, Listing, Request, RuleInfo, Traffic};
use crate::system;
use crate::talkers::Talkers;

/// Talkers in a sample.
const LOUDEST: usize = 64;

/// Where samples come from.
pub(super) enum Source<'a> {
    /// A session: its name, and the interface if one was named.
    Session(&'a str, Option<&'a str>),
    /// Interfaces that this process can reach.
    Here(Here<'a>),
}

/// Interfaces that this process can reach.
pub(super) struct Here<'a> {
    pub(super) system: System,
    /// The one that was named.
    pub(super) interface: Option<Interface>,
    /// Rules that this command put there.
    pub(super) rules: Option<&'a RuleFile>,
    pub(super) _program: Option<Program>,
    pub(super) talkers: Option<&'a Mutex<Talkers>>,
}

impl<'a> Source<'a> {
    /// The session that an interface is of; none when it is of this process.
    pub(super) fn session(interface: Option<&'a InterfaceArg>) -> Option<Self> {
        match interface?.place() {
            Place::RunningLab(name, card) => Some(Self::Session(name, card)),
            Place::Host(_) | Place::OwnLab(_) => None,
        }
    }

    /// What there is now, when there was something before.
    pub(super) fn look_again(&self, start: Instant) -> Result<Sample, Failure> {
        match self {
            Self::Session(name, card) => {
                let mut sample = ask(name, *card)?
                    .ok_or_else(|| Failure::new(format!("the lab {name} has ended")))?;
                sample.at = start.elapsed();
                Ok(sample)
            }
            Self::Here(_) => self.look(start),
        }
    }

    /// What there is now.
    pub(super) fn look(&self, start: Instant) -> Result<Sample, Failure> {
        let mut sample = match self {
            Self::Session(name, card) => ask(name, *card)?.ok_or_else(|| no_session(name))?,
            Self::Here(here) => here.look()?,
        };
        sample.at = start.elapsed();
        Ok(sample)
    }
}

/// What a session tells; none when there is no such session.
fn ask(name: &str, card: Option<&str>) -> Result<Option<Sample>, Failure> {
    let reply = match session::is_name(name) {
        true => session::ask(name, &Request::Watch)?,
        false => None,
    };
    let Some(reply) = reply else {
        return Ok(None);
    };
    let watched = reply.into_watched()?;
    let list = watched
        .list()
        .ok_or_else(|| Failure::new("the answer makes no sense"))?;
    let names: BTreeMap<u32, String> = watched.interfaces.iter().cloned().collect();
    let only = match card {
        None => None,
        Some(card) => {
            let found = names.iter().find(|(_, name)| *name == card);
            Some(
                *found
                    .ok_or_else(|| Failure::new(format!("{name} has no interface {card}")))?
                    .0,
            )
        }
    };
    let mut sample = Sample::read(&list, &names, &watched.rules, only);
    let is_meant = |traffic: &Traffic| card.is_none_or(|card| traffic.interface == card);
    sample.traffic = watched.traffic.into_iter().filter(is_meant).collect();
    sample.talkers = watched.talkers;
    Ok(Some(sample))
}

fn no_session(name: &str) -> Failure {
    let failure = Failure::new(format!("there is no lab named {name}"));
    // Whoever was killed leaves the name behind.
    let others: Vec<String> = session::names()
        .into_iter()
        .filter(|other| other != name)
        .collect();
    match others.as_slice() {
        [] => failure.hint(format!("start one: xdp lab run --name {name} --stay")),
        names => failure.hint(format!("there is {}", names.join(", "))),
    }
}

impl Here<'_> {
    fn look(&self) -> Result<Sample, Failure> {
        let inventory = self.system.inventory_with_hits()?;
        let interfaces = self.system.interfaces()?;
        let names = interfaces
            .iter()
            .map(|it| (it.index(), it.alias().to_owned()))
            .collect();
        let only = self.interface.as_ref().map(Interface::index);
        let mut sample = Sample::read(inventory.raw(), &names, &self.listing(&interfaces), only);
        sample.traffic = self
            .interface
            .as_ref()
            .and_then(traffic)
            .into_iter()
            .collect();
        if let Some(talkers) = self.talkers {
            let talkers = talkers.lock().unwrap_or_else(PoisonError::into_inner);
            sample.talkers = talkers.loudest(LOUDEST);
        }
        Ok(sample)
    }

    /// The rules in words: ours, or those of sessions.
    fn listing(&self, interfaces: &[Interface]) -> Listing {
        if let (Some(rules), Some(interface)) = (self.rules, &self.interface) {
            let info = |(index, entry): (usize, &xdp::rulefile::Entry)| RuleInfo {
                number: index + 1,
                // The rule behind those of the file is ours.
                name: match entry.target() {
                    Some(_) => Some("(no rule)".to_owned()),
                    None => entry.name().map(ToOwned::to_owned),
                },
                condition: entry.condition().to_string(),
                action: entry.action().to_string(),
                hits: None,
            };
            return Listing {
                interfaces: vec![InterfaceRules {
                    interface: interface.alias().to_owned(),
                    rules: rules.entries().iter().enumerate().map(info).collect(),
                }],
                ..Listing::default()
            };
        }
        let mut listing = Listing::default();
        for interface in interfaces {
            let request = Request::List { interface: None };
            // Without an answer rules have numbers only.
            let reply = session::ask(&format!("if-{}", interface.index()), &request);
            if let Some(Ok(held)) = reply.ok().flatten().map(session::Reply::into_result) {
                listing
                    .interfaces
                    .extend(held.interfaces.into_iter().map(|held| InterfaceRules {
                        interface: interface.alias().to_owned(),
                        ..held
                    }));
            }
        }
        listing
    }
}

/// Puts rules on all queues of an interface.
pub(super) fn put(rules: &RuleFile, interface: &Interface) -> Result<Program, Failure> {
    Ok(Program::builder(interface)
        .rule_file(rules, &Targets::new())?
        .all_queues()
        .attach()?)
}

/// Opens what was named, and the system that it is of.
pub(super) fn open(named: Option<&InterfaceArg>) -> Result<(System, Option<Interface>), Failure> {
    match named {
        Some(named) => {
            let interface = system::open(named)?;
            Ok((interface.system().clone(), Some(interface)))
        }
        None => {
            let failed = |failure: Failure| match session::names().as_slice() {
                [] => failure,
                names => failure.hint(format!("labs that run: {}", names.join(", "))),
            };
            Ok((system::of(None).map_err(failed)?, None))
        }
    }
}

/// What the card of a lab carried.
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
fn traffic(interface: &Interface) -> Option<Traffic> {
    let lab = xdp::lab::Lab::of(interface)?;
    let card = (0..lab.cards()).find(|card| lab.interface(*card).index() == interface.index())?;
    let wire = lab.wire(card).counters();
    Some(Traffic {
        interface: interface.alias().to_owned(),
        received: wire.sent,
        received_bytes: wire.sent_bytes,
        sent: wire.received,
        sent_bytes: wire.received_bytes,
    })
}

#[cfg(not(all(target_os = "linux", target_arch = "x86_64")))]
fn traffic(_: &Interface) -> Option<Traffic> {
    None
}
