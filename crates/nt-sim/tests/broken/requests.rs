//! Defects with requests, objects, handles, work items and network modules.

use std::ptr::null_mut;

use nt::sys::{
    imports::{netio::*, ntoskrnl::*},
    *,
};

use crate::driver::{Answer, Request, complete, nt, pool, string};

pub(crate) fn completes_twice(request: &Request) -> Answer {
    complete(request.irp, STATUS_SUCCESS);
    Answer::Done
}

pub(crate) fn completes_pending(request: &Request) -> Answer {
    complete(request.irp, STATUS_PENDING);
    Answer::Leave(STATUS_PENDING)
}

unsafe extern "win64" fn cancel(_: *mut DEVICE_OBJECT, _: *mut IRP) {}

pub(crate) fn completes_what_can_be_cancelled(request: &Request) -> Answer {
    nt!((*request.irp).CancelRoutine = Some(cancel));
    Answer::Done
}

pub(crate) fn passes_on_too_often(request: &Request) -> Answer {
    Answer::Leave(nt!(IofCallDriver(request.device, request.irp)))
}

pub(crate) fn pends_without_marking(_: &Request) -> Answer {
    Answer::Leave(STATUS_PENDING)
}

pub(crate) fn marks_and_does_not_pend(request: &Request) -> Answer {
    // SL_PENDING_RETURNED.
    nt!((*request.location).Control |= 1);
    Answer::DoneWith(STATUS_SUCCESS)
}

pub(crate) fn forgets_a_request(_: &Request) -> Answer {
    Answer::Leave(STATUS_SUCCESS)
}

pub(crate) fn answers_with_more_than_there_is_room_for(request: &Request) -> Answer {
    nt!((*request.irp).IoStatus.Status = STATUS_BUFFER_OVERFLOW);
    nt!((*request.irp).IoStatus.Information = 4096);
    nt!(IofCompleteRequest(request.irp, 0));
    Answer::Leave(STATUS_BUFFER_OVERFLOW)
}

pub(crate) fn frees_a_request_of_others(request: &Request) -> Answer {
    nt!(IoFreeIrp(request.irp));
    Answer::Done
}

pub(crate) fn frees_a_work_item_that_is_none(_: &Request) -> Answer {
    nt!(IoFreeWorkItem(pool(64).cast()));
    Answer::Done
}

pub(crate) fn dereferences_what_is_no_object(_: &Request) -> Answer {
    nt!(ObfDereferenceObject(pool(64)));
    Answer::Done
}

pub(crate) fn dereferences_too_often(request: &Request) -> Answer {
    let file = nt!((*request.location).FileObject);
    for _ in 0..8 {
        nt!(ObfDereferenceObject(file.cast()));
    }
    Answer::Done
}

/// Opens a registry key with a system handle.
fn open_key() -> HANDLE {
    let mut name = string("\\Registry\\Machine\\System\\CurrentControlSet\\Services");
    let mut attributes = OBJECT_ATTRIBUTES::zeroed();
    attributes.Length = size_of::<OBJECT_ATTRIBUTES>() as u32;
    attributes.ObjectName = &raw mut name;
    attributes.Attributes = OBJ_KERNEL_HANDLE | OBJ_CASE_INSENSITIVE;
    let mut key = null_mut();
    let status = nt!(ZwOpenKey(&raw mut key, KEY_READ, &raw mut attributes));
    assert_eq!(status, STATUS_SUCCESS);
    key
}

pub(crate) fn closes_a_handle_twice(_: &Request) -> Answer {
    let key = open_key();
    nt!(ZwClose(key));
    nt!(ZwClose(key));
    Answer::Done
}

pub(crate) fn leaks_a_handle(_: &Request) -> Answer {
    open_key();
    Answer::Done
}

pub(crate) fn deregisters_a_module_that_is_none(_: &Request) -> Answer {
    nt!(NmrDeregisterClient(pool(64)));
    Answer::Done
}
