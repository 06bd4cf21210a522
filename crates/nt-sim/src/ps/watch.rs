//! Routines that drivers have called when a process starts or ends.

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

use nt::sys::{STATUS_INVALID_PARAMETER, STATUS_PROCEDURE_NOT_FOUND, STATUS_SUCCESS};

use crate::{
    exports, invoke, irql, kernel::kernel, kernel::strict, mem::caller, sched, sync::Mutex,
    verifier::Rule,
};

/// Routines that the kernel has room for.
const ROOM: usize = 64;

/// Everybody who is told about processes.
#[derive(Default)]
pub(crate) struct Watches {
    registered: Mutex<Vec<Arc<Watch>>>,
}

struct Watch {
    routine: usize,
    owner: u16,
    /// Calls in progress.
    running: AtomicU32,
}

/// Routines that a driver left registered, in words.
pub(crate) fn left_by(owner: u16) -> Vec<String> {
    let registered = kernel().ps.watches.registered.lock();
    let left = registered.iter().filter(|watch| watch.owner == owner);
    left.map(|watch| format!("{:#x}", watch.routine)).collect()
}

impl Watches {
    fn add(&self, routine: usize) -> i32 {
        let mut registered = self.registered.lock();
        if registered.len() == ROOM || registered.iter().any(|watch| watch.routine == routine) {
            return STATUS_INVALID_PARAMETER;
        }
        registered.push(Arc::new(Watch {
            routine,
            owner: caller::owner(),
            running: AtomicU32::new(0),
        }));
        STATUS_SUCCESS
    }

    fn remove(&self, routine: usize) -> i32 {
        let mut registered = self.registered.lock();
        let at = registered.iter().position(|watch| watch.routine == routine);
        let Some(watch) = at.map(|at| registered.remove(at)) else {
            return STATUS_PROCEDURE_NOT_FOUND;
        };
        drop(registered);
        sched::spin_until(|| watch.running.load(Ordering::Acquire) == 0);
        STATUS_SUCCESS
    }

    /// Tells everybody that a process has started, or that its last thread is about to end.
    pub(crate) fn tell(&self, parent: usize, process: usize, starts: bool) {
        let all = self.registered.lock().clone();
        for watch in all {
            watch.running.fetch_add(1, Ordering::AcqRel);
            let is_there = {
                let registered = self.registered.lock();
                registered.iter().any(|other| Arc::ptr_eq(other, &watch))
            };
            if is_there {
                call(watch.routine, parent, process, starts);
            }
            watch.running.fetch_sub(1, Ordering::AcqRel);
        }
    }
}

/// Calls a routine as the kernel does: at PASSIVE_LEVEL, inside a critical region.
fn call(routine: usize, parent: usize, process: usize, starts: bool) {
    let thread = sched::current();
    let depth = thread.apc_disable.get() + 1;
    thread.apc_disable.set(depth);
    invoke!(routine, parent, process, u8::from(starts));
    if strict() && thread.irql() != irql::PASSIVE {
        crate::bugcheck!(Rule::IrqlNotRestored, thread.irql(), 0;
            "the process routine at {routine:#x} returned at {}", irql::name(thread.irql()));
    }
    if strict() && thread.apc_disable.get() != depth {
        crate::bugcheck!(Rule::CriticalRegionUnbalanced, thread.apc_disable.get();
            "the process routine at {routine:#x} left a critical region open, or one that is not its own");
    }
    thread.apc_disable.set(depth - 1);
}

exports! { "ntoskrnl.exe" => pub(crate) EXPORTS;
    /// Has a routine called when a process starts or ends, or takes that back after calls in progress have ended.
    #[irql(PASSIVE)]
    fn PsSetCreateProcessNotifyRoutine(routine: usize, remove: u8) -> i32 {
        let watches = &kernel().ps.watches;
        if remove != 0 {
            return watches.remove(routine);
        }
        if crate::verifier::fault("PsSetCreateProcessNotifyRoutine") {
            return nt::sys::STATUS_INSUFFICIENT_RESOURCES;
        }
        watches.add(routine)
    }
}

#[cfg(test)]
mod tests {
    use nt::sys::{DRIVER_OBJECT, STATUS_INSUFFICIENT_RESOURCES, UNICODE_STRING};

    use super::*;
    use crate::{FaultPlan, Lab, LabError, ob, ps};

    unsafe extern "win64" {
        fn PsSetCreateProcessNotifyRoutine(routine: usize, remove: u8) -> i32;
    }

    /// What the routine saw: parent, process, whether it starts, open handles and critical regions of its thread.
    type Seen = (usize, usize, bool, usize, i32);

    static SEEN: Mutex<Vec<Seen>> = Mutex::new(Vec::new());

    extern "win64" fn note(parent: usize, process: usize, starts: u8) {
        let ps = &kernel().ps;
        let open = ps
            .processes
            .lock()
            .iter()
            .find(|p| p.id == process)
            .cloned();
        let handles = open.map_or(0, |process| process.handles.values().len());
        let regions = sched::current().apc_disable.get();
        SEEN.lock()
            .push((parent, process, starts != 0, handles, regions));
    }

    extern "win64" fn leave_region_open(_: usize, _: usize, _: u8) {
        sched::current().apc_disable.set(2);
    }

    fn set(routine: usize, remove: u8) -> i32 {
        // SAFETY: a routine of this test, or a number that is only compared.
        unsafe { PsSetCreateProcessNotifyRoutine(routine, remove) }
    }

    unsafe extern "win64" fn entry(_: *mut DRIVER_OBJECT, _: *mut UNICODE_STRING) -> i32 {
        set(note as *const () as usize, 0)
    }

    extern "win64" fn unload(_: *mut DRIVER_OBJECT) {}

    unsafe extern "win64" fn forgetful(object: *mut DRIVER_OBJECT, _: *mut UNICODE_STRING) -> i32 {
        // SAFETY: the driver object is ours to fill in.
        unsafe { (*object).DriverUnload = Some(unload) };
        set(note as *const () as usize, 0)
    }

    #[test]
    fn a_routine_is_told_of_starts_and_of_ends_before_handles_are_closed() {
        let lab = Lab::boot().unwrap();
        let _driver = lab.start_linked("watcher", entry).unwrap();
        SEEN.lock().clear();
        let process = lab.administrator("app").unwrap();
        let id = process.id();
        process
            .as_kernel(|| {
                let object = ps::current_process().object();
                kernel().ob.reference(&object);
                ob::new_handle(object, 0, 0)
            })
            .unwrap();
        process.terminate().unwrap();
        let seen = std::mem::take(&mut *SEEN.lock());
        assert_eq!(seen, [(4, id, true, 0, 1), (4, id, false, 1, 1)]);
        let removed = lab.enter(|| set(note as *const () as usize, 1)).unwrap();
        assert_eq!(removed, STATUS_SUCCESS);
        drop(lab.administrator("other").unwrap());
        assert!(SEEN.lock().is_empty(), "nobody is told any more");
    }

    #[test]
    fn routines_are_registered_once_and_as_many_as_there_is_room_for() {
        let lab = Lab::boot().unwrap();
        lab.enter(|| {
            for routine in 1..=ROOM {
                assert_eq!(set(routine, 0), STATUS_SUCCESS);
                assert_eq!(set(routine, 0), STATUS_INVALID_PARAMETER, "{routine} twice");
            }
            assert_eq!(set(ROOM + 1, 0), STATUS_INVALID_PARAMETER, "no room");
            assert_eq!(set(ROOM + 1, 1), STATUS_PROCEDURE_NOT_FOUND);
            for routine in 1..=ROOM {
                assert_eq!(set(routine, 1), STATUS_SUCCESS);
            }
        })
        .unwrap();
        lab.inject_failures(FaultPlan::Nth(1));
        assert_eq!(
            lab.enter(|| set(1, 0)).unwrap(),
            STATUS_INSUFFICIENT_RESOURCES
        );
    }

    #[test]
    fn a_routine_that_leaves_a_critical_region_open_is_caught() {
        let lab = Lab::boot().unwrap();
        let routine = leave_region_open as *const () as usize;
        lab.enter(|| set(routine, 0)).unwrap();
        match lab.administrator("app") {
            Err(LabError::BugCheck(report)) => {
                assert_eq!(report.rule, Rule::CriticalRegionUnbalanced);
            }
            Err(other) => panic!("{other}"),
            Ok(_) => panic!("not caught"),
        }
    }

    #[test]
    fn a_routine_that_stays_behind_is_a_leak() {
        let lab = Lab::boot().unwrap();
        let driver = lab.start_linked("forgetful", forgetful).unwrap();
        match driver.unload() {
            Err(LabError::BugCheck(report)) => {
                assert!(report.details.contains("process routines"), "{report}");
            }
            Err(other) => panic!("{other}"),
            Ok(report) => panic!("{report}"),
        }
        assert_eq!(ps::watches_left_by(caller::LINKED).len(), 1);
    }
}
