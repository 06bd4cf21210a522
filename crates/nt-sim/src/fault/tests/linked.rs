//! Drivers that are linked in: no image, one handler in assembly.

use std::ffi::c_void;

use crate::{
    Lab, Rule, arch, invoke,
    seh::{self, status},
};

unsafe extern "win64" {
    fn nt_sim_try(f: unsafe extern "win64" fn(*mut c_void), context: *mut c_void) -> i32;
    fn ExRaiseStatus(status: i32);
}

fn guarded(f: unsafe extern "win64" fn(*mut c_void), context: *mut c_void) -> u32 {
    // SAFETY: the functions of this module accept their contexts and own nothing.
    unsafe { nt_sim_try(f, context) as u32 }
}

unsafe extern "win64" fn succeeds(context: *mut c_void) {
    // SAFETY: the context is a counter.
    unsafe { *context.cast::<u32>() += 1 };
}

unsafe extern "win64" fn raises(context: *mut c_void) {
    // SAFETY: raising is what the function is for.
    unsafe { ExRaiseStatus(context as i32) };
}

unsafe extern "win64" fn reads(context: *mut c_void) {
    // SAFETY: not safe: the point is that the fault is caught.
    unsafe { context.cast::<u64>().read_volatile() };
}

unsafe extern "win64" fn nests(_: *mut c_void) {
    assert_eq!(
        guarded(raises, 0xc000_0301_u32 as usize as *mut c_void),
        0xc000_0301
    );
    // SAFETY: as in `raises`.
    unsafe { ExRaiseStatus(0xc000_0302_u32 as i32) };
}

extern "win64" fn driver() -> u64 {
    let mut count = 0_u32;
    assert_eq!(guarded(succeeds, (&raw mut count).cast()), 0);
    assert_eq!(count, 1);
    for _ in 0..3 {
        assert_eq!(
            guarded(raises, 0xc000_0300_u32 as usize as *mut c_void),
            0xc000_0300
        );
        assert_eq!(
            guarded(reads, 0x18 as *mut c_void),
            status::ACCESS_VIOLATION
        );
    }
    assert_eq!(guarded(nests, std::ptr::null_mut()), 0xc000_0302);
    assert!(!seh::linked_handler_catches());
    7
}

extern "win64" fn unhandled() -> u64 {
    // SAFETY: as in `raises`.
    unsafe { ExRaiseStatus(0xc000_0303_u32 as i32) };
    0
}

#[test]
fn exceptions_become_statuses() {
    let lab = Lab::boot().unwrap();
    let result = lab
        .enter(|| invoke!(driver as extern "win64" fn() -> u64))
        .unwrap();
    assert_eq!(result, 7);
}

#[test]
fn an_exception_without_handler_stops_the_kernel() {
    let lab = Lab::boot().unwrap();
    let result = lab.enter(|| invoke!(unhandled as extern "win64" fn() -> u64));
    let report = super::stopped(result);
    assert_eq!(report.rule, Rule::UnhandledException);
    assert_eq!(report.parameters[0], 0xc000_0303);
    assert!(
        lab.enter(arch::current_call).is_err(),
        "the kernel has stopped"
    );
}
