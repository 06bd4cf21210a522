//! The filter, and defects with NDIS.

use std::{
    ffi::c_void,
    ptr::null_mut,
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use nt::sys::{
    imports::{ndis::*, ntoskrnl::*},
    *,
};

use crate::driver::{Answer, Request, TAG, nt, object, pool, read, string, write};

/// What the filter does when NDIS calls it next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Act {
    Behave,
    // With receives.
    ReturnTwice,
    ReturnLent,
    CutLinks,
    CountWrong,
    TellTooMuch,
    ChangeAfterPassing,
    Keep,
    RaiseLevel,
    HoldLock,
    // With requests.
    CompleteAndAnswer,
    LeakClone,
    // With its life.
    Unhook,
    NeverPause,
    KeepPool,
    StayRegistered,
}

static ACT: Mutex<Act> = Mutex::new(Act::Behave);
static DRIVER: AtomicUsize = AtomicUsize::new(0);
static MODULE: AtomicUsize = AtomicUsize::new(0);
static POOL: AtomicUsize = AtomicUsize::new(0);
static UNHOOKED: AtomicBool = AtomicBool::new(false);

fn act() -> Act {
    *ACT.lock().unwrap()
}

fn from_now_on(act: Act) -> Answer {
    *ACT.lock().unwrap() = act;
    Answer::Done
}

fn driver() -> NDIS_HANDLE {
    DRIVER.load(Ordering::SeqCst) as NDIS_HANDLE
}

fn module() -> NDIS_HANDLE {
    MODULE.load(Ordering::SeqCst) as NDIS_HANDLE
}

fn lists() -> NDIS_HANDLE {
    POOL.load(Ordering::SeqCst) as NDIS_HANDLE
}

fn header(kind: u8, revision: u8, size: usize) -> NDIS_OBJECT_HEADER {
    NDIS_OBJECT_HEADER {
        Type: kind,
        Revision: revision,
        Size: size as u16,
    }
}

pub(crate) fn register(object: *mut DRIVER_OBJECT) -> NTSTATUS {
    from_now_on(Act::Behave);
    UNHOOKED.store(false, Ordering::SeqCst);
    let mut c = NDIS_FILTER_DRIVER_CHARACTERISTICS::zeroed();
    c.Header = header(
        NDIS_OBJECT_TYPE_FILTER_DRIVER_CHARACTERISTICS,
        3,
        size_of_val(&c),
    );
    c.MajorNdisVersion = 6;
    c.MinorNdisVersion = 82;
    c.FriendlyName = string("broken filter");
    c.UniqueName = string("{3f2d1b7c-58c6-4b2d-9c7b-0d6fdb0f6a11}");
    c.ServiceName = string("broken");
    c.SetFilterModuleOptionsHandler = Some(set_module_options);
    c.AttachHandler = Some(attach);
    c.DetachHandler = Some(detach);
    c.RestartHandler = Some(restart);
    c.PauseHandler = Some(pause);
    c.SendNetBufferListsHandler = Some(send);
    c.SendNetBufferListsCompleteHandler = Some(send_complete);
    c.ReceiveNetBufferListsHandler = Some(receive);
    c.ReturnNetBufferListsHandler = Some(return_lists);
    c.OidRequestHandler = Some(oid_request);
    c.OidRequestCompleteHandler = Some(oid_complete);
    let mut handle = null_mut();
    let status = nt!(NdisFRegisterFilterDriver(
        object,
        null_mut(),
        &raw mut c,
        &raw mut handle
    ));
    DRIVER.store(handle as usize, Ordering::SeqCst);
    status
}

pub(crate) fn deregister() {
    if act() != Act::StayRegistered {
        nt!(NdisFDeregisterFilterDriver(driver()));
    }
}

fn new_pool(handle: NDIS_HANDLE) -> NDIS_HANDLE {
    let mut p = NET_BUFFER_LIST_POOL_PARAMETERS::zeroed();
    p.Header = header(NDIS_OBJECT_TYPE_DEFAULT, 1, size_of_val(&p));
    p.fAllocateNetBuffer = 1;
    p.PoolTag = TAG;
    nt!(NdisAllocateNetBufferListPool(handle, &raw const p))
}

unsafe extern "win64" fn attach(
    handle: NDIS_HANDLE,
    context: NDIS_HANDLE,
    _: *mut NDIS_FILTER_ATTACH_PARAMETERS,
) -> NDIS_STATUS {
    MODULE.store(handle as usize, Ordering::SeqCst);
    POOL.store(new_pool(handle) as usize, Ordering::SeqCst);
    let mut attributes = NDIS_FILTER_ATTRIBUTES::zeroed();
    attributes.Header = header(
        NDIS_OBJECT_TYPE_FILTER_ATTRIBUTES,
        1,
        size_of_val(&attributes),
    );
    nt!(NdisFSetAttributes(handle, context, &raw mut attributes))
}

unsafe extern "win64" fn detach(_: NDIS_HANDLE) {
    if act() != Act::KeepPool {
        nt!(NdisFreeNetBufferListPool(lists()));
    }
}

unsafe extern "win64" fn set_module_options(_: NDIS_HANDLE) -> NDIS_STATUS {
    if act() != Act::Unhook {
        return NDIS_STATUS_SUCCESS;
    }
    UNHOOKED.store(true, Ordering::SeqCst);
    let mut p = NDIS_FILTER_PARTIAL_CHARACTERISTICS::zeroed();
    p.Header = header(
        NDIS_OBJECT_TYPE_FILTER_PARTIAL_CHARACTERISTICS,
        1,
        size_of_val(&p),
    );
    nt!(NdisSetOptionalHandlers(module(), (&raw mut p).cast()))
}

unsafe extern "win64" fn restart(
    _: NDIS_HANDLE,
    _: *mut NDIS_FILTER_RESTART_PARAMETERS,
) -> NDIS_STATUS {
    NDIS_STATUS_SUCCESS
}

unsafe extern "win64" fn pause(
    _: NDIS_HANDLE,
    _: *mut NDIS_FILTER_PAUSE_PARAMETERS,
) -> NDIS_STATUS {
    if act() == Act::NeverPause {
        return NDIS_STATUS_PENDING;
    }
    NDIS_STATUS_SUCCESS
}

unsafe extern "win64" fn send(_: NDIS_HANDLE, chain: *mut NET_BUFFER_LIST, port: u32, flags: u32) {
    nt!(NdisFSendNetBufferLists(module(), chain, port, flags));
}

/// Frees what is the filter's own and hands the rest to `pass`.
fn sort(mut chain: *mut NET_BUFFER_LIST, pass: impl Fn(*mut NET_BUFFER_LIST)) {
    while !chain.is_null() {
        let next = read(nt!(&raw const (*chain).Next));
        write(nt!(&raw mut (*chain).Next), null_mut());
        if read(nt!(&raw const (*chain).SourceHandle)) == module() {
            nt!(NdisFreeNetBufferList(chain));
        } else {
            pass(chain);
        }
        chain = next;
    }
}

unsafe extern "win64" fn send_complete(_: NDIS_HANDLE, chain: *mut NET_BUFFER_LIST, flags: u32) {
    sort(chain, |nbl| {
        nt!(NdisFSendNetBufferListsComplete(module(), nbl, flags))
    });
}

unsafe extern "win64" fn return_lists(_: NDIS_HANDLE, chain: *mut NET_BUFFER_LIST, flags: u32) {
    sort(chain, |nbl| {
        nt!(NdisFReturnNetBufferLists(module(), nbl, flags))
    });
}

/// Changes the length of the first frame of a chain.
fn set_length(chain: *mut NET_BUFFER_LIST, length: u32) {
    let buffer = read(nt!(&raw const (*chain).FirstNetBuffer));
    write(nt!(&raw mut (*buffer).DataLength), length);
}

unsafe extern "win64" fn receive(
    _: NDIS_HANDLE,
    chain: *mut NET_BUFFER_LIST,
    port: u32,
    count: u32,
    flags: u32,
) {
    let up = |count| {
        nt!(NdisFIndicateReceiveNetBufferLists(
            module(),
            chain,
            port,
            count,
            flags
        ))
    };
    let back = || nt!(NdisFReturnNetBufferLists(module(), chain, flags & 1));
    match act() {
        Act::ReturnTwice => {
            back();
            back();
        }
        Act::ReturnLent => back(),
        Act::CutLinks => write(nt!(&raw mut (*chain).Next), null_mut()),
        Act::CountWrong => up(count + 1),
        Act::TellTooMuch => {
            set_length(chain, 9000);
            up(count);
        }
        Act::ChangeAfterPassing => {
            up(count);
            set_length(chain, 20);
        }
        Act::Keep => {}
        Act::RaiseLevel => {
            up(count);
            nt!(KfRaiseIrql(5));
        }
        Act::HoldLock => {
            up(count);
            nt!(KeAcquireSpinLockAtDpcLevel(object()));
        }
        _ => up(count),
    }
}

unsafe extern "win64" fn oid_request(
    _: NDIS_HANDLE,
    request: *mut NDIS_OID_REQUEST,
) -> NDIS_STATUS {
    match act() {
        Act::CompleteAndAnswer => {
            nt!(NdisFOidRequestComplete(
                module(),
                request,
                NDIS_STATUS_NOT_SUPPORTED
            ));
        }
        Act::LeakClone => {
            let mut clone = null_mut();
            nt!(NdisAllocateCloneOidRequest(
                module(),
                request,
                TAG,
                &raw mut clone
            ));
        }
        _ => {}
    }
    NDIS_STATUS_NOT_SUPPORTED
}

unsafe extern "win64" fn oid_complete(_: NDIS_HANDLE, _: *mut NDIS_OID_REQUEST, _: NDIS_STATUS) {}

/// An NBL of the filter with a frame of 64 bytes.
fn own_list() -> *mut NET_BUFFER_LIST {
    let mdl = nt!(IoAllocateMdl(pool(64), 64, 0, 0, null_mut()));
    nt!(MmBuildMdlForNonPagedPool(mdl));
    let list = nt!(NdisAllocateNetBufferAndNetBufferList(
        lists(),
        0,
        0,
        mdl,
        0,
        64
    ));
    nt!((*list).SourceHandle = module());
    list
}

fn send_down(list: *mut NET_BUFFER_LIST) {
    nt!(NdisFSendNetBufferLists(module(), list, 0, 0));
}

pub(crate) fn sends_by_a_handle_that_is_none(_: &Request) -> Answer {
    nt!(NdisFSendNetBufferLists(
        0x1230 as NDIS_HANDLE,
        own_list(),
        0,
        0
    ));
    Answer::Done
}

pub(crate) fn frees_a_pool_twice(_: &Request) -> Answer {
    let pool = new_pool(driver());
    nt!(NdisFreeNetBufferListPool(pool));
    nt!(NdisFreeNetBufferListPool(pool));
    Answer::Done
}

pub(crate) fn gives_a_structure_without_header(_: &Request) -> Answer {
    let p = NET_BUFFER_LIST_POOL_PARAMETERS::zeroed();
    nt!(NdisAllocateNetBufferListPool(module(), &raw const p));
    Answer::Done
}

pub(crate) fn completes_a_pause_that_is_none(_: &Request) -> Answer {
    nt!(NdisFPauseComplete(module()));
    Answer::Done
}

pub(crate) fn claims_dispatch_level(_: &Request) -> Answer {
    nt!(NdisFIndicateReceiveNetBufferLists(
        module(),
        own_list(),
        0,
        1,
        1
    ));
    Answer::Done
}

pub(crate) fn sends(_: &Request) -> Answer {
    send_down(own_list());
    Answer::Done
}

pub(crate) fn returns_twice(_: &Request) -> Answer {
    from_now_on(Act::ReturnTwice)
}

pub(crate) fn completes_a_send_of_others(_: &Request) -> Answer {
    let list = own_list();
    send_down(list);
    nt!(NdisFSendNetBufferListsComplete(module(), list, 0));
    Answer::Done
}

pub(crate) fn sends_twice(_: &Request) -> Answer {
    let list = own_list();
    send_down(list);
    send_down(list);
    Answer::Done
}

pub(crate) fn frees_while_sent(_: &Request) -> Answer {
    let list = own_list();
    send_down(list);
    nt!(NdisFreeNetBufferList(list));
    Answer::Done
}

pub(crate) fn frees_a_list_twice(_: &Request) -> Answer {
    let list = own_list();
    nt!(NdisFreeNetBufferList(list));
    nt!(NdisFreeNetBufferList(list));
    Answer::Done
}

pub(crate) fn frees_a_pool_in_use(_: &Request) -> Answer {
    own_list();
    nt!(NdisFreeNetBufferListPool(lists()));
    Answer::Done
}

pub(crate) fn changes_what_the_stack_has(_: &Request) -> Answer {
    from_now_on(Act::ChangeAfterPassing)
}

pub(crate) fn keeps_receives(_: &Request) -> Answer {
    from_now_on(Act::Keep)
}

pub(crate) fn cuts_links(_: &Request) -> Answer {
    from_now_on(Act::CutLinks)
}

pub(crate) fn returns_lent_lists(_: &Request) -> Answer {
    from_now_on(Act::ReturnLent)
}

pub(crate) fn tells_more_bytes_than_there_are(_: &Request) -> Answer {
    from_now_on(Act::TellTooMuch)
}

pub(crate) fn counts_wrong(_: &Request) -> Answer {
    from_now_on(Act::CountWrong)
}

pub(crate) fn returns_from_a_callback_raised(_: &Request) -> Answer {
    from_now_on(Act::RaiseLevel)
}

pub(crate) fn returns_from_a_callback_with_a_lock(_: &Request) -> Answer {
    from_now_on(Act::HoldLock)
}

/// Asked again after a restart, it sends.
pub(crate) fn sends_without_handler(_: &Request) -> Answer {
    if UNHOOKED.load(Ordering::SeqCst) {
        send_down(own_list());
    }
    from_now_on(Act::Unhook)
}

pub(crate) fn completes_a_request_and_answers(_: &Request) -> Answer {
    from_now_on(Act::CompleteAndAnswer)
}

pub(crate) fn leaks_a_clone(_: &Request) -> Answer {
    from_now_on(Act::LeakClone)
}

pub(crate) fn keeps_its_pool(_: &Request) -> Answer {
    from_now_on(Act::KeepPool)
}

pub(crate) fn leaks_a_list(_: &Request) -> Answer {
    nt!(NdisAllocateNetBufferList(lists(), 0, 0));
    from_now_on(Act::KeepPool)
}

unsafe extern "win64" fn expired(_: PVOID, _: PVOID, _: PVOID, _: PVOID) {}

pub(crate) fn leaves_a_timer(_: &Request) -> Answer {
    let mut c = NDIS_TIMER_CHARACTERISTICS::zeroed();
    c.Header = header(NDIS_OBJECT_TYPE_TIMER_CHARACTERISTICS, 1, size_of_val(&c));
    c.AllocationTag = TAG;
    c.TimerFunction = Some(expired);
    let mut timer = null_mut();
    nt!(NdisAllocateTimerObject(
        module(),
        &raw mut c,
        &raw mut timer
    ));
    let mut due = LARGE_INTEGER::zeroed();
    due.QuadPart = -36_000_000_000;
    nt!(NdisSetTimerObject(timer, due, 0, null_mut::<c_void>()));
    Answer::Done
}

pub(crate) fn stays_registered(_: &Request) -> Answer {
    from_now_on(Act::StayRegistered)
}

pub(crate) fn never_pauses(_: &Request) -> Answer {
    from_now_on(Act::NeverPause)
}
