//! Holding rules in the foreground.

use std::time::{Duration, Instant};

use super::live::{PlaceArgs, report};
use crate::args::{InterfaceArg, Mode, Place, Queues};
use crate::error::{Exit, Failure};
use crate::output::{OutputArgs, count};
use crate::session::{self, Change, Held, OnInterface, Request, Server};
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
    let mut held = Held::new(server.name(), [on_interface(place, interface)?]);
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

/// The place of the rules, as the command line says it.
fn on_interface(place: &PlaceArgs, interface: &xdp::Interface) -> Result<OnInterface, Failure> {
    let queues = match &place.queue {
        Queues::All => None,
        some @ Queues::Some(_) => Some(some.on(interface.name(), interface.queues()?)?),
    };
    let mode = match place.mode {
        Mode::Auto => xdp::Mode::Auto,
        Mode::Native => xdp::Mode::Native,
        Mode::Generic => xdp::Mode::Generic,
    };
    Ok(OnInterface::new(interface.clone(), queues, mode))
}
