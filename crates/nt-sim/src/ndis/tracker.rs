//! Who owns which NET_BUFFER_LIST: the rules of the data path, checked in strict mode.

use std::collections::HashMap;

use crate::sync::Mutex;
use nt::sys::NDIS_RECEIVE_FLAGS_RESOURCES;

use super::{
    layer::{Layer, Part, State, at},
    nbl::{self, Nbl},
    raw::get,
};
use crate::{mem::pool::PoolAddress, verifier::Rule};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Direction {
    Send,
    Receive,
}

/// An NBL that was sent or indicated and has not come back.
struct Flight {
    direction: Direction,
    origin: &'static Layer,
    owner: &'static Layer,
    /// Who lent it upwards with the RESOURCES flag, innermost last.
    lenders: Vec<&'static Layer>,
    /// Fingerprint from when the simulator's own part became the owner.
    mark: Option<u64>,
    /// The NIC that started it broke the rules in making it: others may pass it on as it is.
    spoiled: bool,
}

/// All NBLs in flight.
#[derive(Default)]
pub(crate) struct Tracker {
    flights: Mutex<HashMap<usize, Flight>>,
}

/// What a broken rule says; reported after the table's lock is released.
struct Broken(Rule, String);

type Checked = Result<(), Broken>;

fn broken<T>(rule: Rule, words: String) -> Result<T, Broken> {
    Err(Broken(rule, words))
}

impl Tracker {
    fn each(
        &self,
        from: &'static Layer,
        chain: Nbl,
        mut check: impl FnMut(&mut HashMap<usize, Flight>, Nbl) -> Checked,
    ) {
        let mut nbl = chain;
        while !nbl.is_null() {
            // What is freed is not read: the check says what happened to it.
            let result = check(&mut self.flights.lock(), nbl);
            if let Err(Broken(rule, words)) = result
                && !from.excuses(rule, &words)
            {
                crate::bugcheck!(rule, nbl; "{words}");
            }
            nbl = get!(nbl => Next);
        }
    }

    /// `from` hands a send down to `to`.
    pub(crate) fn send(
        &self,
        from: &'static Layer,
        to: &'static Layer,
        chain: Nbl,
        function: &str,
    ) {
        self.each(from, chain, |flights, nbl| {
            hand_over(flights, Direction::Send, from, to, nbl, function)
        });
    }

    /// `from` indicates a receive to `to`.
    pub(crate) fn receive(
        &self,
        from: &'static Layer,
        to: &'static Layer,
        chain: Nbl,
        count: u32,
        flags: u32,
        function: &str,
    ) {
        let lent = flags & NDIS_RECEIVE_FLAGS_RESOURCES != 0;
        let mut length = 0;
        self.each(from, chain, |flights, nbl| {
            length += 1;
            let address = nbl as usize;
            if let Some(flight) = flights.get(&address)
                && flight.owner.is(from)
                && !flight.lenders.is_empty()
                && !lent
            {
                return broken(Rule::NblResourcesKept, format!(
                    "{function}: the NBL at {nbl:p} came with the RESOURCES flag and was passed on without it"));
            }
            hand_over(flights, Direction::Receive, from, to, nbl, function)?;
            if lent && let Some(flight) = flights.get_mut(&address) {
                flight.lenders.push(from);
            }
            Ok(())
        });
        if length != count {
            let words = format!("{function} says {count} NBLs, the chain has {length}");
            // A filter may pass on what it was told.
            let mut flights = self.flights.lock();
            let told = |nbl: Nbl| flights.get(&(nbl as usize)).is_some_and(|f| f.spoiled);
            let told = nbl::chain(chain).any(told);
            if told || from.excuses(Rule::NblCount, &words) {
                for nbl in nbl::chain(chain) {
                    if let Some(flight) = flights.get_mut(&(nbl as usize)) {
                        flight.spoiled = true;
                    }
                }
            } else {
                drop(flights);
                crate::bugcheck!(Rule::NblCount, chain, count, length; "{words}");
            }
        }
    }

    /// The receive handler of `to` returned; what `from` lent it belongs to `from` again.
    pub(crate) fn lent_back(&self, from: &'static Layer, to: &'static Layer, list: &[Nbl]) {
        for (index, &nbl) in list.iter().enumerate() {
            let expected = list.get(index + 1).copied().unwrap_or(std::ptr::null_mut());
            let link = get!(nbl => Next);
            if link != expected {
                crate::bugcheck!(Rule::NblResourcesKept, nbl, link, expected;
                    "{} got the NBL at {nbl:p} with the RESOURCES flag and left its next link {link:p}, it was {expected:p}",
                    to.name());
            }
            let mut flights = self.flights.lock();
            let Some(flight) = flights.get_mut(&(nbl as usize)) else {
                drop(flights);
                crate::bugcheck!(Rule::NblResourcesReturned, nbl;
                    "the NBL at {nbl:p} was indicated with the RESOURCES flag and returned");
            };
            if !flight.owner.is(to) {
                let owner = flight.owner.name();
                drop(flights);
                crate::bugcheck!(Rule::NblResourcesKept, nbl;
                    "the receive handler of {} returned, and {owner} still has the NBL at {nbl:p}, which was indicated with \
                     the RESOURCES flag", to.name());
            }
            flight.lenders.pop();
            flight.owner = from;
            if flight.origin.is(from) {
                flights.remove(&(nbl as usize));
            }
        }
    }

    /// `from` completes sends; `to` comes next.
    pub(crate) fn complete(
        &self,
        from: &'static Layer,
        to: &'static Layer,
        chain: Nbl,
        function: &str,
    ) {
        self.each(from, chain, |flights, nbl| {
            hand_back(flights, Direction::Send, from, to, nbl, function)
        });
    }

    /// `from` returns receives; `to` comes next.
    pub(crate) fn returned(
        &self,
        from: &'static Layer,
        to: &'static Layer,
        chain: Nbl,
        function: &str,
    ) {
        self.each(from, chain, |flights, nbl| {
            hand_back(flights, Direction::Receive, from, to, nbl, function)
        });
    }

    /// An NBL is about to be freed.
    pub(crate) fn check_free(&self, nbl: Nbl) {
        let words = self.flights.lock().get(&(nbl as usize)).map(|f| {
            format!(
                "the NBL at {nbl:p} is freed while {} has it ({} {:?} it)",
                f.owner.name(),
                f.origin.name(),
                f.direction
            )
        });
        if let Some(words) = words {
            crate::bugcheck!(Rule::NblFreedInFlight, nbl; "{words}");
        }
    }

    /// What `layer` holds of others, and what it originated and has not got back.
    pub(crate) fn outstanding(&self, layer: &Layer) -> (Vec<usize>, Vec<usize>) {
        let flights = self.flights.lock();
        let held = flights
            .iter()
            .filter(|(_, f)| f.owner.is(layer))
            .map(|(a, _)| *a)
            .collect();
        let own = flights
            .iter()
            .filter(|(_, f)| f.origin.is(layer))
            .map(|(a, _)| *a)
            .collect();
        (held, own)
    }

    /// Where the NBLs that `layer` originated are now, in words.
    pub(crate) fn whereabouts(&self, layer: &Layer) -> String {
        let mut owners: HashMap<String, u32> = HashMap::new();
        for flight in self.flights.lock().values().filter(|f| f.origin.is(layer)) {
            *owners.entry(flight.owner.name()).or_default() += 1;
        }
        let mut words: Vec<String> = owners
            .into_iter()
            .map(|(owner, count)| format!("{count} with {owner}"))
            .collect();
        words.sort();
        words.join(", ")
    }
}

/// A paused layer must keep quiet.
pub(crate) fn check_may_originate(from: &'static Layer, function: &str) {
    let state = from.state();
    if matches!(state, State::Paused | State::Attaching | State::Detached) {
        let words = format!("{function} by {}, which is {state:?}", from.name());
        if !from.excuses(Rule::NdisPausedTraffic, &words) {
            crate::bugcheck!(Rule::NdisPausedTraffic, from.handle(); "{words}");
        }
    }
}

/// An NBL that starts its way must be memory that is there.
fn check_not_freed(nbl: Nbl, function: &str) -> Checked {
    match crate::kernel::kernel().mem.pool.describe(nbl as usize) {
        Some(PoolAddress::Freed(freed)) => broken(
            Rule::PoolUseAfterFree,
            format!(
                "{function}: the NBL at {nbl:p} is in memory that was freed ({})",
                freed.block
            ),
        ),
        _ => Ok(()),
    }
}

fn hand_over(
    flights: &mut HashMap<usize, Flight>,
    direction: Direction,
    from: &'static Layer,
    to: &'static Layer,
    nbl: Nbl,
    function: &str,
) -> Checked {
    if !flights.contains_key(&(nbl as usize)) {
        check_not_freed(nbl, function)?;
    }
    let mut spoiled = flights
        .get(&(nbl as usize))
        .is_some_and(|flight| flight.spoiled);
    if !spoiled && let Err(words) = nbl::check(nbl, function) {
        spoiled = from.excuses(Rule::NblBadNetBuffer, &words);
        if !spoiled {
            return broken(Rule::NblBadNetBuffer, words);
        }
    }
    let mark = to.is_builtin().then(|| nbl::fingerprint(nbl));
    let Some(flight) = flights.get_mut(&(nbl as usize)) else {
        if matches!(from.part, Part::Filter(_)) {
            let hook = match direction {
                Direction::Send => &from.hooks.send_complete,
                Direction::Receive => &from.hooks.returned,
            };
            if hook.load(std::sync::atomic::Ordering::Relaxed) == 0 {
                return broken(
                    Rule::NblHandlerMissing,
                    format!(
                        "{function} by {}, which has no handler for the NBL at {nbl:p} to come back to",
                        from.name()
                    ),
                );
            }
        }
        let source = get!(nbl => SourceHandle);
        if source != from.handle() && !matches!(from.part, Part::Miniport(_)) {
            return broken(
                Rule::NdisBadStructure,
                format!(
                    "{function}: the NBL at {nbl:p} has source handle {source:p}, its origin is {:p}",
                    from.handle()
                ),
            );
        }
        flights.insert(
            nbl as usize,
            Flight {
                direction,
                origin: from,
                owner: to,
                lenders: Vec::new(),
                mark,
                spoiled,
            },
        );
        return Ok(());
    };
    if flight.direction != direction {
        return broken(
            Rule::NblNotOwned,
            format!(
                "{function}: the NBL at {nbl:p} is on its way in the other direction ({} by {}); a clone must be used",
                match flight.direction {
                    Direction::Send => "sent",
                    Direction::Receive => "indicated",
                },
                flight.origin.name()
            ),
        );
    }
    if !flight.owner.is(from) {
        let rule = if flight.origin.is(from) {
            Rule::NblInFlightTwice
        } else {
            Rule::NblNotOwned
        };
        return broken(
            rule,
            format!(
                "{function} by {}: the NBL at {nbl:p} is with {}",
                from.name(),
                flight.owner.name()
            ),
        );
    }
    flight.owner = to;
    flight.mark = mark;
    Ok(())
}

fn hand_back(
    flights: &mut HashMap<usize, Flight>,
    direction: Direction,
    from: &'static Layer,
    to: &'static Layer,
    nbl: Nbl,
    function: &str,
) -> Checked {
    let Some(flight) = flights.get_mut(&(nbl as usize)) else {
        return broken(
            Rule::NblNotInFlight,
            format!(
                "{function} by {}: the NBL at {nbl:p} is not in flight (given back twice, or its own)",
                from.name()
            ),
        );
    };
    if flight.direction != direction || !flight.owner.is(from) {
        return broken(
            Rule::NblNotOwned,
            format!(
                "{function} by {}: the NBL at {nbl:p} is with {}",
                from.name(),
                flight.owner.name()
            ),
        );
    }
    if !flight.lenders.is_empty() {
        return broken(
            Rule::NblResourcesReturned,
            format!(
                "{function} by {}: the NBL at {nbl:p} was indicated with the RESOURCES flag",
                from.name()
            ),
        );
    }
    if let Some(mark) = flight.mark.take()
        && nbl::fingerprint(nbl) != mark
    {
        return broken(
            Rule::NblChanged,
            format!(
                "the NBL at {nbl:p} was changed while {} had it",
                from.name()
            ),
        );
    }
    if flight.origin.is(to) {
        flights.remove(&(nbl as usize));
    } else {
        flight.owner = to;
    }
    Ok(())
}

/// The layer that completions of `from` go to, for one NBL at the top of the stack.
pub(crate) fn binding_of(from: &'static Layer, nbl: Nbl) -> &'static Layer {
    let source = get!(nbl => SourceHandle);
    if let Some(binding) = from
        .adapter
        .bindings
        .read()
        .iter()
        .find(|b| b.handle() == source)
    {
        return binding;
    }
    match at(&from.route.complete_up) {
        Some(layer) => layer,
        None => crate::bugcheck!(Rule::NblNotOwned, nbl, source;
            "the NBL at {nbl:p} has source handle {source:p}, which is no binding of {}", from.adapter.name),
    }
}
