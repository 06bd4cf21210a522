//! Polling: NDIS asks a miniport for receives and completed sends when it suits NDIS.

use std::{
    ffi::c_void,
    sync::atomic::{AtomicU32, Ordering},
};

use crate::sync::Mutex;
use nt::sys::{
    NDIS_OBJECT_TYPE_DEFAULT, NDIS_POLL_CHARACTERISTICS, NDIS_POLL_DATA, NDIS_POLL_NOTIFICATION,
    NDIS_STATUS_INVALID_PARAMETER, NDIS_STATUS_RESOURCES, NDIS_STATUS_SUCCESS, PROCESSOR_NUMBER,
};

use super::{
    datapath, header,
    layer::{Layer, callback},
    memory,
    miniport::miniport,
    nbl::{self, Nbl},
    raw::{load, store},
    signal::poll_for_driver,
};
use crate::{
    exports,
    kernel::{kernel, strict},
    verifier::Rule,
};

/// NBLs that a driver may hand over at a time, in each direction.
const BUDGET: u32 = 64;
/// Rounds in one DPC before others get the processor.
const ROUNDS: u32 = 16;
/// No processor was chosen.
const ANYWHERE: u32 = u32::MAX;

/// A poll object; its address is the handle.
pub(crate) struct Poll {
    pub(crate) owner: usize,
    layer: &'static Layer,
    context: usize,
    handler: usize,
    notify: usize,
    processor: AtomicU32,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Its DPC is queued.
    queued: bool,
    /// Its DPC runs.
    running: bool,
    /// It was asked for while it ran.
    again: bool,
}

fn request(poll: &'static Poll) {
    let mut state = poll.state.lock();
    if state.running {
        state.again = true;
    } else if !state.queued {
        state.queued = true;
        drop(state);
        queue(poll);
    }
}

fn queue(poll: &'static Poll) {
    let processor = match poll.processor.load(Ordering::Relaxed) {
        ANYWHERE => None,
        number => Some(number),
    };
    crate::ke::dpc::queue_internal(processor, move || run(poll));
}

/// The DPC: polls while the driver has something, then lets it interrupt again.
fn run(poll: &'static Poll) {
    {
        let mut state = poll.state.lock();
        state.queued = false;
        state.running = true;
    }
    let finished = (0..ROUNDS).any(|_| !round(poll));
    if finished {
        let mut p = NDIS_POLL_NOTIFICATION::zeroed();
        p.Header = header(NDIS_OBJECT_TYPE_DEFAULT, 1, 5);
        p.Enabled = 1;
        callback(
            "NdisSetPollNotification",
            poll.notify,
            &[poll.context as u64, (&raw mut p) as u64],
        );
    }
    let mut state = poll.state.lock();
    state.running = false;
    if !finished || std::mem::take(&mut state.again) {
        state.queued = true;
        drop(state);
        queue(poll);
    }
}

/// Asks once; says whether the driver had anything.
fn round(poll: &'static Poll) -> bool {
    let mut data = NDIS_POLL_DATA::zeroed();
    data.Header = header(NDIS_OBJECT_TYPE_DEFAULT, 1, 0x98);
    data.Transmit.MaxNblsToComplete = BUDGET;
    data.Receive.MaxNblsToIndicate = BUDGET;
    callback(
        "NdisPoll",
        poll.handler,
        &[poll.context as u64, (&raw mut data) as u64],
    );
    let (sent, received) = (&data.Transmit, &data.Receive);
    if !sent.CompletedNblChain.is_null() {
        check_count(
            sent.CompletedNblChain,
            sent.NumberOfCompletedNbls,
            "completed",
        );
        datapath::complete(
            poll.layer,
            sent.CompletedNblChain,
            sent.SendCompleteFlags,
            "NdisPoll",
        );
    }
    if !received.IndicatedNblChain.is_null() {
        let count = received.NumberOfIndicatedNbls;
        check_count(received.IndicatedNblChain, count, "indicated");
        datapath::receive(
            poll.layer,
            received.IndicatedNblChain,
            0,
            count,
            received.Flags,
            "NdisPoll",
        );
    }
    !sent.CompletedNblChain.is_null() || !received.IndicatedNblChain.is_null()
}

fn check_count(chain: Nbl, count: u32, what: &str) {
    if !strict() {
        return;
    }
    let length = nbl::chain(chain).count() as u32;
    if length != count || count > BUDGET {
        crate::bugcheck!(Rule::NblCount, chain, count, length;
            "NdisPoll says {count} NBLs are {what}, the chain has {length}, and {BUDGET} were asked for");
    }
}

fn register(
    owner: usize,
    layer: &'static Layer,
    context: usize,
    characteristics: *const NDIS_POLL_CHARACTERISTICS,
) -> Result<*mut c_void, i32> {
    let c = load(characteristics);
    super::check_header(
        c.Header,
        NDIS_OBJECT_TYPE_DEFAULT,
        1,
        0x18,
        "NDIS_POLL_CHARACTERISTICS",
    );
    let address = |slot: usize| {
        // A handler that is missing is null, which the types of the bindings cannot say.
        load(characteristics.cast::<usize>().wrapping_byte_add(slot))
    };
    let notify = address(std::mem::offset_of!(
        NDIS_POLL_CHARACTERISTICS,
        SetPollNotificationHandler
    ));
    let handler = address(std::mem::offset_of!(NDIS_POLL_CHARACTERISTICS, PollHandler));
    if notify == 0 || handler == 0 {
        return Err(NDIS_STATUS_INVALID_PARAMETER);
    }
    if memory::must_fail("NdisRegisterPoll") {
        return Err(NDIS_STATUS_RESOURCES);
    }
    let poll = kernel().ndis.polls.insert(Poll {
        owner,
        layer,
        context,
        handler,
        notify,
        processor: AtomicU32::new(ANYWHERE),
        state: Mutex::default(),
    });
    Ok(std::ptr::from_ref(poll).cast_mut().cast())
}

fn poll(handle: *mut c_void, function: &'static str) -> &'static Poll {
    kernel().ndis.polls.get(handle, function)
}

exports! { "ndis.sys" => pub(crate) EXPORTS;
    /// Registers a function that NDIS polls.
    #[irql(PASSIVE)]
    fn NdisRegisterPoll(
        handle: *mut c_void, context: *mut c_void, characteristics: *const NDIS_POLL_CHARACTERISTICS, out: *mut *mut c_void,
    ) -> i32 {
        let layer = miniport(handle, "NdisRegisterPoll");
        store(out, std::ptr::null_mut());
        match register(handle as usize, layer, context as usize, characteristics) {
            Ok(made) => {
                store(out, made);
                NDIS_STATUS_SUCCESS
            }
            Err(status) => status,
        }
    }

    /// Ends polling; the function is not called any more.
    #[irql(PASSIVE)]
    fn NdisDeregisterPoll(handle: *mut c_void) {
        let poll = poll(handle, "NdisDeregisterPoll");
        // No new request can come once the handle is stale.
        kernel().ndis.polls.retire(poll);
        let busy = || {
            let state = poll.state.lock();
            state.queued || state.running
        };
        poll_for_driver(|| !busy(), || format!("{}: NdisPoll does not end", poll.layer.name()));
    }

    /// Chooses the processor on which a function is polled.
    #[irql(DISPATCH)]
    fn NdisSetPollAffinity(handle: *mut c_void, processor: *const PROCESSOR_NUMBER) {
        let poll = poll(handle, "NdisSetPollAffinity");
        let number = load(processor);
        let cpus = kernel().config.cpus;
        if number.Group != 0 || u32::from(number.Number) >= cpus {
            crate::bugcheck!(Rule::NdisBadStructure, handle, number.Group, number.Number;
                "NdisSetPollAffinity: there is no processor {} of group {}", number.Number, number.Group);
        }
        poll.processor.store(number.Number.into(), Ordering::Relaxed);
    }

    /// Asks NDIS to poll soon.
    #[irql(ANY)]
    fn NdisRequestPoll(handle: *mut c_void, reserved: *mut c_void) {
        if !reserved.is_null() {
            crate::bugcheck!(Rule::NdisBadStructure, handle, reserved;
                "NdisRequestPoll: the reserved argument is {reserved:p}, it must be null");
        }
        request(poll(handle, "NdisRequestPoll"));
    }
}
