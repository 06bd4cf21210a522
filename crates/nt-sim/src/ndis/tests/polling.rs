//! Polling of a miniport driver that loops its sends back.

use std::{
    ffi::c_void,
    sync::atomic::{AtomicU32, AtomicUsize, Ordering},
};

use nt::sys::*;
use parking_lot::Mutex;

use super::{
    driver::new_filter,
    miniport::{ADAPTER, ALONE, copy_of, register},
    rule, udp,
};
use crate::{
    FaultPlan, Lab, LabError, Nic, Rule, invoke, irql,
    ndis::{
        header,
        nbl::{self, ChainBuilder, Nbl},
        poll::*,
        raw::{Text, get, load, put},
    },
    nic::Frame,
};

static HANDLE: AtomicUsize = AtomicUsize::new(0);
/// Sends that wait to be completed and looped back.
static QUEUE: Mutex<Vec<usize>> = Mutex::new(Vec::new());
static ENABLED: AtomicU32 = AtomicU32::new(0);
static PROCESSORS: AtomicU32 = AtomicU32::new(0);
/// What is added to the counts that the driver states.
static LIE: AtomicU32 = AtomicU32::new(0);

unsafe extern "win64" fn notify(context: *mut c_void, p: *mut NDIS_POLL_NOTIFICATION) {
    assert_eq!(context as usize, 5);
    ENABLED.fetch_add(load(p).Enabled.into(), Ordering::SeqCst);
}

unsafe extern "win64" fn poll(context: *mut c_void, data: *mut NDIS_POLL_DATA) {
    assert_eq!((context as usize, irql::current()), (5, irql::DISPATCH));
    PROCESSORS.fetch_or(1 << crate::sched::current().processor(), Ordering::SeqCst);
    let max = get!(data => Transmit.MaxNblsToComplete) as usize;
    let taken: Vec<usize> = {
        let mut queue = QUEUE.lock();
        let count = queue.len().min(max);
        queue.drain(..count).collect()
    };
    let (mut sent, mut received) = (ChainBuilder::new(), ChainBuilder::new());
    for &nbl in &taken {
        received.push(copy_of(nbl as Nbl));
        sent.push(nbl as Nbl);
    }
    let count = taken.len() as u32 + LIE.load(Ordering::SeqCst);
    put!(data => [Transmit.NumberOfCompletedNbls] count);
    put!(data => [Transmit.CompletedNblChain] sent.finish());
    put!(data => [Receive.NumberOfIndicatedNbls] count);
    put!(data => [Receive.IndicatedNblChain] received.finish());
    put!(data => [Receive.Flags] NDIS_RECEIVE_FLAGS_DISPATCH_LEVEL);
}

unsafe extern "win64" fn send(_: *mut c_void, chain: Nbl, _: u32, _: u32) {
    QUEUE.lock().extend(nbl::chain(chain).map(|n| n as usize));
    let handle = HANDLE.load(Ordering::SeqCst) as *mut c_void;
    // SAFETY: a kernel export.
    unsafe { NdisRequestPoll(handle, std::ptr::null_mut()) };
}

fn start(adapter: usize) -> Result<usize, i32> {
    let mut c = NDIS_POLL_CHARACTERISTICS {
        Header: header(NDIS_OBJECT_TYPE_DEFAULT, 1, 0x18),
        SetPollNotificationHandler: Some(notify),
        PollHandler: Some(poll),
    };
    let mut handle = 0_usize;
    let status = invoke!(NdisRegisterPoll, adapter, 5, &raw mut c, &raw mut handle) as i32;
    HANDLE.store(handle, Ordering::SeqCst);
    if status == 0 { Ok(handle) } else { Err(status) }
}

/// A lab with a miniport that is polled; the test's NIC is above it.
fn polled(test: impl FnOnce(&Lab, &Nic<'_>)) {
    let _alone = ALONE.lock();
    QUEUE.lock().clear();
    LIE.store(0, Ordering::SeqCst);
    PROCESSORS.store(0, Ordering::SeqCst);
    let lab = Lab::builder().cpus(3).boot().unwrap();
    new_filter().register(&lab, "filter").unwrap();
    register(&lab, |c| c.SendNetBufferListsHandler = Some(send));
    let nic = lab.nic("driven").by_miniport_driver().create().unwrap();
    lab.enter(|| start(ADAPTER.load(Ordering::SeqCst)).unwrap())
        .unwrap();
    test(&lab, &nic);
    if lab.bugcheck().is_none() {
        lab.enter(|| {
            let handle = HANDLE.load(Ordering::SeqCst);
            if kernel_has(handle) {
                invoke!(NdisDeregisterPoll, handle);
            }
        })
        .unwrap();
        nic.remove().unwrap();
    }
}

fn kernel_has(handle: usize) -> bool {
    crate::kernel::kernel()
        .ndis
        .polls
        .contains(handle as *const c_void)
}

#[test]
fn sends_are_completed_and_receives_indicated_from_polls() {
    polled(|lab, nic| {
        lab.enter(|| {
            let two = PROCESSOR_NUMBER {
                Group: 0,
                Number: 2,
                Reserved: 0,
            };
            let handle = HANDLE.load(Ordering::SeqCst);
            invoke!(NdisSetPollAffinity, handle, &raw const two);
        })
        .unwrap();
        let before = ENABLED.load(Ordering::SeqCst);
        let frames = (0..200).map(|p| Frame::new(udp(p, 9)));
        assert_eq!(nic.stack().send_all(frames).unwrap(), 200);
        for port in 0..200 {
            assert_eq!(nic.stack().receive().unwrap().data, udp(port, 9));
        }
        lab.enter(crate::ke::dpc::flush).unwrap();
        assert_eq!(nic.stack().pending_sends(), 0);
        assert_eq!(PROCESSORS.load(Ordering::SeqCst), 1 << 2);
        assert!(ENABLED.load(Ordering::SeqCst) > before);
    });
}

#[test]
fn polling_is_found_by_name_where_windows_has_it() {
    for (build, there) in [(17763, false), (20348, true)] {
        let lab = Lab::builder().windows_build(build).boot().unwrap();
        lab.enter(|| {
            for name in [
                "NdisRegisterPoll",
                "NdisDeregisterPoll",
                "NdisSetPollAffinity",
                "NdisRequestPoll",
            ] {
                let name = Text::new(name);
                let address = invoke!(crate::ndis::version::NdisGetRoutineAddress, name.pointer());
                assert_eq!(address != 0, there);
            }
        })
        .unwrap();
    }
}

#[test]
fn registrations_that_cannot_be_are_refused() {
    polled(|lab, _| {
        let adapter = ADAPTER.load(Ordering::SeqCst);
        let handle = HANDLE.load(Ordering::SeqCst);
        lab.enter(|| {
            lab.inject_failures(FaultPlan::Nth(1));
            assert_eq!(start(adapter), Err(NDIS_STATUS_RESOURCES));
            let empty = [0x18_0180_usize, 0, 0];
            let mut out = 1_usize;
            let status = invoke!(NdisRegisterPoll, adapter, 0, &raw const empty, &raw mut out);
            assert_eq!((status as i32, out), (NDIS_STATUS_INVALID_PARAMETER, 0));
        })
        .unwrap();
        HANDLE.store(handle, Ordering::SeqCst);
    });
}

#[test]
fn misuse_of_polling_is_caught() {
    let caught = |misuse: &dyn Fn(&Lab, &Nic<'_>, usize) -> Result<(), LabError>, expected| {
        polled(|lab, nic| {
            let handle = HANDLE.load(Ordering::SeqCst);
            assert_eq!(rule(misuse(lab, nic, handle)), expected);
        });
    };
    caught(
        &|_, nic, _| {
            LIE.store(1, Ordering::SeqCst);
            nic.stack().send(udp(1, 1))?;
            nic.stack().receive().map(|_| ())
        },
        Rule::NblCount,
    );
    caught(
        &|lab, _, handle| {
            lab.enter(|| {
                invoke!(NdisDeregisterPoll, handle);
                invoke!(NdisRequestPoll, handle, 0);
            })
        },
        Rule::NdisStaleHandle,
    );
    caught(
        &|lab, _, handle| {
            lab.enter(|| {
                invoke!(NdisRequestPoll, handle, 8);
            })
        },
        Rule::NdisBadStructure,
    );
    caught(
        &|lab, _, handle| {
            let far = PROCESSOR_NUMBER {
                Group: 0,
                Number: 9,
                Reserved: 0,
            };
            lab.enter(|| {
                invoke!(NdisSetPollAffinity, handle, &raw const far);
            })
        },
        Rule::NdisBadStructure,
    );
    // Halting with a poll object left.
    caught(
        &|lab, _, _| {
            lab.enter(|| {
                let adapter = crate::ndis::nic("driven").unwrap().adapter();
                crate::ndis::remove_adapter(adapter);
            })
        },
        Rule::NdisObjectLeaked,
    );
}
