//! Receive-side scaling: what the stack has set, and what a program has set in its place.
//!
//! The *upper edge* is what the stack set last. Usually the network card has the same. A program can *override* it: then
//! the card has the program's settings, and what the stack sets is only noted, until the program's handle is closed.

mod capabilities;
mod change;
mod settings;

use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use core::time::Duration;

use nt::ndis::{Filter, Nbl, NblChain, NblQueue, OidRequest};
use nt::sync::{Event, SpinLock};
use nt::sys::{
    DISPATCH_LEVEL, KIRQL, NDIS_STATUS_BUFFER_TOO_SHORT, NDIS_STATUS_FAILURE,
    NDIS_STATUS_INVALID_PARAMETER, NdisRequestQueryInformation, NdisRequestSetInformation,
    NetBufferListHashInfo, NetBufferListHashValue, OID_GEN_RECEIVE_SCALE_CAPABILITIES,
    OID_GEN_RECEIVE_SCALE_PARAMETERS,
};
use nt::{Box, Passive, Result, Status, Vec};
use xdp_abi::offload::RssCapabilities;

pub(crate) use self::capabilities::Capabilities;
use self::change::Change;
pub(super) use self::settings::ENTRIES;
use self::settings::{LONGEST, Settings};
use super::steering::Steering;
use crate::interface::{Hook, Interface, Way};

/// Room that is enough for the usual answers about scaling.
const ROOM: usize = 1024;
/// Bytes of the longest answer about scaling that is taken.
const MOST: usize = 64 << 10;
/// How often a request of ours is repeated that fails for want of memory.
const ATTEMPTS: u32 = 8;
/// Time between looks and between attempts.
const PAUSE: Duration = Duration::from_millis(1);

/// What a program that overrides needs of the data path: to see what comes.
const HOOK: Hook = Hook {
    way: Way::Up,
    inspects: false,
};

/// Receive-side scaling of an interface.
pub(crate) struct Rss {
    capabilities: Capabilities,
    state: SpinLock<State>,
    /// Whether frames come with hashes that the stack has not asked for.
    overridden: AtomicBool,
    /// The handle that is opened next.
    next_owner: AtomicU64,
    /// Never set: for pauses.
    pause: Event,
}

struct State {
    upper: Option<Box<Settings>>,
    /// Counts what the stack has set.
    changes: u64,
    /// Requests of the stack that are being passed down.
    passing: u32,
    lower: Option<Override>,
    /// Requests of the stack that came at DISPATCH_LEVEL.
    deferred: Vec<OidRequest>,
}

/// What a handle has set.
struct Override {
    owner: u64,
    /// Absent while it is being set for the first time.
    settings: Option<Box<Settings>>,
    /// What [`State::changes`] was before.
    changes: u64,
    /// What going back to the upper edge takes; closing does not allocate.
    parameters: Vec<u8>,
    steering: Box<Steering>,
}

fn no_memory<T>(result: Result<T>) -> Result<T> {
    result.map_err(|_| Status::NO_MEMORY)
}

/// How the network card scales, as it says when it is asked.
pub(super) struct Scale {
    pub(super) rss: Rss,
    pub(super) steering: Steering,
}

/// Asks the network card how it scales; one that does not has one queue.
pub(super) fn query(filter: Filter, passive: Passive<'_>) -> Result<Scale> {
    let mut room = Vec::with_capacity(crate::TAG, ROOM)?;
    for _ in 0..ROOM {
        room.push(0_u8)?;
    }
    let ask = |oid, room: &mut Vec<u8>| {
        filter
            .query_oid_growing(crate::TAG, oid, room, MOST, passive)
            .ok()
    };
    let capabilities = ask(OID_GEN_RECEIVE_SCALE_CAPABILITIES, &mut room)
        .and_then(|len| Capabilities::parse(room.get(..len)?))
        .unwrap_or_default();
    // What the card has now is not what the stack has set.
    let mut current = Box::new(crate::TAG, Settings::UNKNOWN)?;
    let steering = ask(OID_GEN_RECEIVE_SCALE_PARAMETERS, &mut room).and_then(|len| {
        current.apply(room.get(..len)?)?;
        current.steering(capabilities.queue_count())
    });
    Ok(Scale {
        rss: Rss {
            capabilities,
            state: SpinLock::new(State {
                upper: None,
                changes: 0,
                passing: 0,
                lower: None,
                deferred: Vec::new(crate::TAG),
            }),
            overridden: AtomicBool::new(false),
            next_owner: AtomicU64::new(0),
            pause: Event::manual_reset(crate::TAG, false)?,
        },
        steering: steering.unwrap_or(Steering::single()),
    })
}

/// Serves a request about scaling parameters from above.
pub(super) fn serve(interface: &Interface, request: OidRequest) {
    if nt::irql::current() >= DISPATCH_LEVEL as KIRQL {
        return defer(interface, request);
    }
    match request.view().kind() {
        NDIS_SET => set_from_above(interface, request),
        NDIS_QUERY => answer_above(interface, request),
        _ => request.forward(),
    }
}

/// The kinds of requests under names that can be matched.
const NDIS_SET: nt::sys::NDIS_REQUEST_TYPE = NdisRequestSetInformation;
const NDIS_QUERY: nt::sys::NDIS_REQUEST_TYPE = NdisRequestQueryInformation;

/// Has a request served below DISPATCH_LEVEL, where steering can be replaced.
fn defer(interface: &Interface, request: OidRequest) {
    let mut state = interface.rss.state.lock();
    if let Err(status) = state.deferred.reserve(1) {
        drop(state);
        return request.complete(status, 0, 0);
    }
    // There is room.
    let _ = state.deferred.push(request);
    drop(state);
    if !interface.serve_rss_later() {
        // The interface is removed, so nothing is steered any more.
        while let Some(request) = interface.rss.next_deferred() {
            request.forward();
        }
    }
}

/// Notes what the stack sets, and steers by it; the network card gets it unless its settings are overridden.
fn set_from_above(interface: &Interface, request: OidRequest) {
    let rss = &interface.rss;
    let memory = Box::new(crate::TAG, Settings::UNKNOWN)
        .and_then(|next| Ok((next, Box::new(crate::TAG, Steering::single())?)));
    let (mut next, mut steering) = match memory {
        Ok(memory) => memory,
        Err(status) => return request.complete(status, 0, 0),
    };
    let bytes = request.view().buffer();
    let len = bytes.len();
    let mut state = rss.state.lock();
    if let Some(before) = &state.upper {
        next.copy_from(before);
    }
    if next.apply(bytes).is_none() {
        drop(state);
        return request.complete(Status(NDIS_STATUS_INVALID_PARAMETER), 0, 0);
    }
    let is_overridden = state.lower.is_some();
    let steers = match next.steering(interface.queue_count()) {
        Some(new) if !is_overridden => {
            *steering = new;
            true
        }
        _ => false,
    };
    let before = state.upper.replace(next);
    state.changes = state.changes.wrapping_add(1);
    if !is_overridden {
        state.passing += 1;
    }
    drop(state);
    drop(before);
    if is_overridden {
        return request.complete(Status::SUCCESS, len, 0);
    }
    if steers {
        interface.steer(steering);
    }
    request.forward();
    // Requests reach the network card in the order in which they were passed down.
    rss.state.lock().passing -= 1;
}

/// Answers with what the stack has set, whatever the network card has.
fn answer_above(interface: &Interface, mut request: OidRequest) {
    let mut answer = match Vec::with_capacity(crate::TAG, LONGEST) {
        Ok(answer) => answer,
        Err(status) => return request.complete(status, 0, 0),
    };
    let known = interface
        .rss
        .state
        .lock()
        .upper
        .as_ref()
        .map(|upper| upper.write_parameters(&mut answer));
    if known.is_none() {
        return request.complete(Status(NDIS_STATUS_FAILURE), 0, 0);
    }
    let len = answer.len();
    match request.buffer_mut().get_mut(..len) {
        Some(room) => {
            room.copy_from_slice(&answer);
            request.complete(Status::SUCCESS, len, 0);
        }
        None => request.complete(Status(NDIS_STATUS_BUFFER_TOO_SHORT), 0, len),
    }
}

impl Rss {
    /// The number of queues that the interface has.
    pub(crate) fn queue_count(&self) -> u32 {
        self.capabilities.queue_count()
    }

    /// Whether frames come with hashes that the stack has not asked for.
    #[inline]
    pub(super) fn is_overridden(&self) -> bool {
        self.overridden.load(Ordering::Relaxed)
    }

    /// Lets others go on for a moment.
    pub(crate) fn rest(&self, passive: Passive<'_>) {
        self.pause.wait_for(PAUSE, passive);
    }

    /// The request that was deferred first.
    fn next_deferred(&self) -> Option<OidRequest> {
        self.state.lock().deferred.remove(0)
    }

    /// A number for a handle.
    pub(crate) fn owner(&self) -> u64 {
        self.next_owner.fetch_add(1, Ordering::Relaxed)
    }
}

/// Takes the hash off a frame: it is not the one that the stack has asked for.
pub(super) fn clear_hash(list: &mut Nbl) {
    list.set_info(NetBufferListHashValue, 0);
    list.set_info(NetBufferListHashInfo, 0);
}

/// As [`clear_hash`], for all frames of a chain, which stays linked as it is.
pub(super) fn clear_hashes(chain: NblChain) -> NblChain {
    let mut cleared = NblQueue::new();
    for mut list in chain {
        clear_hash(&mut list);
        cleared.push_back(list);
    }
    cleared.into_chain()
}

impl Interface {
    /// Serves what came at DISPATCH_LEVEL.
    pub(crate) fn serve_deferred_rss(&self, _passive: Passive<'_>) {
        while let Some(request) = self.rss.next_deferred() {
            serve(self, request);
        }
    }

    /// What receive-side scaling can do.
    pub(crate) fn rss_capabilities(&self, passive: Passive<'_>) -> Result<RssCapabilities> {
        let _control = self.active(passive)?;
        Ok(self.rss.capabilities.describe())
    }

    /// The settings in force: what a handle has set, or else the stack.
    pub(crate) fn rss_configuration(&self, passive: Passive<'_>) -> Result<Vec<u8>> {
        let mut answer = no_memory(Vec::with_capacity(crate::TAG, LONGEST))?;
        let _control = self.active(passive)?;
        let state = self.rss.state.lock();
        let lower = state.lower.as_ref();
        let settings = lower
            .and_then(|lower| lower.settings.as_ref())
            .or(state.upper.as_ref())
            .ok_or(Status::INVALID_DEVICE_STATE)?;
        settings.write_configuration(&mut answer)?;
        drop(state);
        Ok(answer)
    }

    /// Overrides what the stack has set.
    pub(crate) fn set_rss(&self, owner: u64, request: &[u8], passive: Passive<'_>) -> Result<()> {
        let change = Change::parse(request)?;
        let restart = {
            let _control = self.active(passive)?;
            self.override_rss(owner, &change, passive)?
        };
        self.wait_inserted(HOOK, restart, passive);
        Ok(())
    }

    /// The body of [`Interface::set_rss`]; whether the filter is being restarted. The lock is held.
    fn override_rss(&self, owner: u64, change: &Change<'_>, passive: Passive<'_>) -> Result<bool> {
        let rss = &self.rss;
        let is_first = {
            let state = rss.state.lock();
            if state.upper.is_none() {
                return Err(Status::DEVICE_NOT_READY);
            }
            match &state.lower {
                Some(lower) if lower.owner != owner => return Err(Status::INVALID_DEVICE_STATE),
                lower => lower.is_none(),
            }
        };
        let mut next = no_memory(Box::new(crate::TAG, Settings::UNKNOWN))?;
        {
            let state = rss.state.lock();
            let lower = state.lower.as_ref();
            let base = lower
                .and_then(|lower| lower.settings.as_ref())
                .or(state.upper.as_ref());
            if let Some(base) = base {
                next.copy_from(base);
            }
        }
        change.apply(&mut next, rss.capabilities)?;
        let mut parameters = no_memory(Vec::with_capacity(crate::TAG, LONGEST))?;
        no_memory(next.write_parameters(&mut parameters))?;
        let mut steering = no_memory(Box::new(crate::TAG, Steering::single()))?;
        if is_first {
            let room = no_memory(Vec::with_capacity(crate::TAG, LONGEST))?;
            let spare = no_memory(Box::new(crate::TAG, Steering::single()))?;
            let mut state = rss.state.lock();
            state.lower = Some(Override {
                owner,
                settings: None,
                changes: state.changes,
                parameters: room,
                steering: spare,
            });
            drop(state);
            // From here on nothing of the stack goes down; what is on its way has to arrive before ours.
            while rss.state.lock().passing != 0 {
                rss.rest(passive);
            }
        }
        let oid = OID_GEN_RECEIVE_SCALE_PARAMETERS;
        let set = self
            .filter()
            .set_oid(crate::TAG, oid, &mut parameters, passive);
        if let Err(status) = set {
            if is_first {
                self.restore(true, passive);
            }
            return Err(super::oid_status(status));
        }
        let steers = next.steering(self.queue_count());
        let mut state = rss.state.lock();
        let before = state
            .lower
            .as_mut()
            .and_then(|lower| lower.settings.replace(next));
        drop(state);
        drop(before);
        rss.overridden.store(true, Ordering::Relaxed);
        if let Some(new) = steers {
            *steering = new;
            self.steer(steering);
        }
        Ok(is_first && self.begin_use(HOOK))
    }

    /// Goes back to what the stack has set, if this handle has overridden it.
    pub(crate) fn end_rss(&self, owner: u64, passive: Passive<'_>) {
        // With the adapter the settings are gone.
        let Ok(_control) = self.active(passive) else {
            return;
        };
        let is_owner = {
            let state = self.rss.state.lock();
            let lower = state.lower.as_ref();
            lower.is_some_and(|lower| lower.owner == owner)
        };
        if is_owner {
            self.restore(false, passive);
            self.end_use(HOOK, passive);
        }
    }

    /// Ends an override. A network card that has refused the settings still has the stack's, unless those have changed
    /// meanwhile. The lock is held.
    fn restore(&self, was_refused: bool, passive: Passive<'_>) {
        let rss = &self.rss;
        let taken = rss.state.lock().lower.as_mut().map(|lower| {
            let parameters = core::mem::replace(&mut lower.parameters, Vec::new(crate::TAG));
            (parameters, was_refused.then_some(lower.changes))
        });
        let Some((mut parameters, mut sent)) = taken else {
            return;
        };
        let ended = loop {
            {
                let mut state = rss.state.lock();
                let changes = state.changes;
                if sent == Some(changes) {
                    let upper = state.upper.as_ref();
                    let steers = upper.and_then(|upper| upper.steering(self.queue_count()));
                    break (state.lower.take(), steers);
                }
                parameters.clear();
                if let Some(upper) = &state.upper {
                    // There is room for the longest.
                    let _ = upper.write_parameters(&mut parameters);
                }
                sent = Some(changes);
            }
            self.send_parameters(&mut parameters, passive);
        };
        rss.overridden.store(false, Ordering::Relaxed);
        if let (Some(lower), Some(new)) = ended {
            let mut steering = lower.steering;
            *steering = new;
            self.steer(steering);
        }
    }

    /// Gives the network card the stack's settings. Only want of memory can stand in the way, and that passes.
    fn send_parameters(&self, parameters: &mut [u8], passive: Passive<'_>) {
        for _ in 0..ATTEMPTS {
            let oid = OID_GEN_RECEIVE_SCALE_PARAMETERS;
            let set = self.filter().set_oid(crate::TAG, oid, parameters, passive);
            if set != Err(Status::INSUFFICIENT_RESOURCES) {
                return;
            }
            self.rss.rest(passive);
        }
    }
}
