//! Small drivers that raise, handle and unwind.

use iced_x86::code_asm::*;

use super::{call, stopped};
use crate::{
    Mode, Rule, invoke,
    pe::{
        Module,
        testing::{DriverBuilder, Guard},
    },
    seh::status,
};

/// `__try { read [rcx] } __except (guard) { return GetExceptionCode() } return 1`.
fn reads_under(b: &mut DriverBuilder, name: &str) {
    b.begin(name);
    b.alloc(0x28);
    let begin = b.here();
    b.a.mov(rax, qword_ptr(rcx)).unwrap();
    b.a.nop().unwrap();
    let end = b.here();
    b.a.mov(eax, 1).unwrap();
    let handler = b.here();
    b.guard(begin, end, Guard::ExceptAll(handler));
    b.a.add(rsp, 0x28).unwrap();
    b.a.ret().unwrap();
    b.end();
}

fn driver() -> DriverBuilder {
    let mut b = DriverBuilder::new();
    b.trivial_entry();
    b
}

/// Appends a digit to the decimal log at the start of the data section. Uses R10 and R11.
fn log(b: &mut DriverBuilder, digit: i32) {
    let data = b.data_address(0);
    b.a.mov(r10, qword_ptr(data)).unwrap();
    b.a.imul_3(r11, qword_ptr(r10), 10).unwrap();
    b.a.add(r11, digit).unwrap();
    b.a.mov(qword_ptr(r10), r11).unwrap();
}

fn return_log(b: &mut DriverBuilder) {
    let data = b.data_address(0);
    b.a.mov(r10, qword_ptr(data)).unwrap();
    b.a.mov(rax, qword_ptr(r10)).unwrap();
}

fn raise(b: &mut DriverBuilder, status: u32) {
    b.a.mov(ecx, status).unwrap();
    b.call_nt("ExRaiseStatus");
}

/// A termination handler that logs a digit.
fn finally_logs(b: &mut DriverBuilder, digit: i32) -> CodeLabel {
    let handler = b.begin_hidden();
    b.push(rbx);
    b.alloc(0x20);
    log(b, digit);
    b.a.add(rsp, 0x20).unwrap();
    b.a.pop(rbx).unwrap();
    b.a.ret().unwrap();
    b.end();
    handler
}

#[test]
fn an_access_violation_is_caught() {
    for address in [0, 0x10, 0x12_3456_7890] {
        let mut b = driver();
        reads_under(&mut b, "Read");
        let result = call(b, "Read", [address, 0]).unwrap();
        assert_eq!(result, u64::from(status::ACCESS_VIOLATION), "{address:#x}");
    }
}

#[test]
fn an_address_that_is_not_canonical_is_an_access_violation() {
    let mut b = driver();
    reads_under(&mut b, "Read");
    let result = call(b, "Read", [0x8000_0000_0000_0000, 0]).unwrap();
    assert_eq!(result, u64::from(status::ACCESS_VIOLATION));
}

#[test]
fn fast_mode_handles_exceptions_on_one_stack() {
    let lab = crate::Lab::builder().mode(Mode::Fast).boot().unwrap();
    let mut b = driver();
    reads_under(&mut b, "Read");
    let module = Module::load(&b.build(), "test.sys").unwrap();
    let read = module.export("Read").unwrap();
    for _ in 0..3 {
        let result = lab.enter(|| invoke!(read, 0x10)).unwrap();
        assert_eq!(result, u64::from(status::ACCESS_VIOLATION));
    }
}

#[test]
fn no_handler_catches_a_bad_kernel_address() {
    let mut b = driver();
    reads_under(&mut b, "Read");
    let report = stopped(call(b, "Read", [0xffff_8000_0000_0000, 0]));
    assert_eq!(report.rule, Rule::InvalidAddress, "{report}");
    assert!(report.details.contains("0xffff800000000000"), "{report}");
}

/// The callee saves and changes nonvolatile registers, then raises: the handler's frame must see
/// its own values again.
#[test]
fn a_raise_restores_the_registers_of_the_handlers_frame() {
    let mut b = driver();
    let raiser = b.begin_hidden();
    b.push(rbx);
    b.push(rsi);
    b.alloc(0x48);
    b.save(rdi, 0x60);
    b.save_xmm(xmm6, 0x30);
    b.a.mov(rbx, -1_i64).unwrap();
    b.a.mov(rsi, rbx).unwrap();
    b.a.mov(rdi, rbx).unwrap();
    b.a.xorps(xmm6, xmm6).unwrap();
    raise(&mut b, 0xc000_0123);
    b.a.nop().unwrap();
    b.end();
    b.begin("Catch");
    b.push(rbx);
    b.push(rsi);
    b.push(rdi);
    b.alloc(0x30);
    b.save_xmm(xmm6, 0x20);
    b.a.mov(ebx, 500).unwrap();
    b.a.mov(esi, 60).unwrap();
    b.a.mov(edi, 7).unwrap();
    b.a.mov(eax, 8000).unwrap();
    b.a.movq(xmm6, rax).unwrap();
    let begin = b.here();
    b.a.call(raiser).unwrap();
    b.a.nop().unwrap();
    let end = b.here();
    b.a.int3().unwrap();
    let handler = b.here();
    b.guard(begin, end, Guard::ExceptAll(handler));
    b.a.movq(rax, xmm6).unwrap();
    b.a.add(rax, rbx).unwrap();
    b.a.add(rax, rsi).unwrap();
    b.a.add(rax, rdi).unwrap();
    b.a.movaps(xmm6, xmmword_ptr(rsp + 0x20)).unwrap();
    b.a.add(rsp, 0x30).unwrap();
    b.a.pop(rdi).unwrap();
    b.a.pop(rsi).unwrap();
    b.a.pop(rbx).unwrap();
    b.a.ret().unwrap();
    b.end();
    assert_eq!(call(b, "Catch", [0, 0]).unwrap(), 8567);
}

/// A filter `(pointers, frame)` that logs a digit and answers `answer`.
fn filter(b: &mut DriverBuilder, digit: i32, answer: i32) -> CodeLabel {
    let label = b.begin_hidden();
    b.alloc(0x28);
    log(b, digit);
    b.a.mov(eax, answer).unwrap();
    b.a.add(rsp, 0x28).unwrap();
    b.a.ret().unwrap();
    b.end();
    label
}

#[test]
fn filters_are_asked_inside_out_and_termination_handlers_run_before_the_handler() {
    let mut b = driver();
    let passes = filter(&mut b, 1, 0);
    let takes = filter(&mut b, 2, 1);
    let inner_finally = finally_logs(&mut b, 3);
    let outer_finally = finally_logs(&mut b, 4);

    // __try { __try { __try { raise } __finally {3} } __except (1: pass) {} } __finally {4}
    let callee = b.begin_hidden();
    b.alloc(0x28);
    let begin = b.here();
    raise(&mut b, 0xc000_0124);
    b.a.nop().unwrap();
    let end = b.here();
    let unwanted = b.here();
    b.guard(begin, end, Guard::Finally(inner_finally));
    b.guard(begin, end, Guard::Except(passes, unwanted));
    b.guard(begin, end, Guard::Finally(outer_finally));
    b.a.int3().unwrap();
    b.end();

    b.begin("Catch");
    b.alloc(0x28);
    let begin = b.here();
    b.a.call(callee).unwrap();
    b.a.nop().unwrap();
    let end = b.here();
    b.a.int3().unwrap();
    let handler = b.here();
    log(&mut b, 5);
    return_log(&mut b);
    b.guard(begin, end, Guard::Except(takes, handler));
    b.a.add(rsp, 0x28).unwrap();
    b.a.ret().unwrap();
    b.end();
    assert_eq!(call(b, "Catch", [0, 0]).unwrap(), 12_345);
}

/// The filter moves RIP behind the read and answers EXCEPTION_CONTINUE_EXECUTION.
#[test]
fn a_filter_can_repair_and_go_on() {
    let mut b = driver();
    let repairs = b.begin_hidden();
    b.a.mov(rax, qword_ptr(rcx + 8)).unwrap();
    b.a.add(qword_ptr(rax + 0xf8), 3).unwrap(); // Rip
    b.a.mov(qword_ptr(rax + 0x78), 77).unwrap(); // Rax
    b.a.mov(eax, -1).unwrap();
    b.a.ret().unwrap();
    b.end();
    b.begin("Read");
    b.alloc(0x28);
    b.a.mov(r9d, 1000).unwrap();
    let begin = b.here();
    b.a.mov(rax, qword_ptr(rcx)).unwrap(); // three bytes
    b.a.add(rax, r9).unwrap();
    b.a.nop().unwrap();
    let end = b.here();
    b.a.add(rsp, 0x28).unwrap();
    b.a.ret().unwrap();
    let handler = b.here();
    b.guard(begin, end, Guard::Except(repairs, handler));
    b.a.int3().unwrap();
    b.end();
    assert_eq!(call(b, "Read", [0x10, 0]).unwrap(), 1077);
}

#[test]
fn a_raised_status_cannot_be_continued() {
    let mut b = driver();
    let goes_on = filter(&mut b, 1, -1);
    b.begin("Raise");
    b.alloc(0x28);
    let begin = b.here();
    raise(&mut b, 0xc000_0125);
    b.a.nop().unwrap();
    let end = b.here();
    let handler = b.here();
    b.guard(begin, end, Guard::Except(goes_on, handler));
    b.a.int3().unwrap();
    b.end();
    let report = stopped(call(b, "Raise", [0, 0]));
    assert_eq!(report.rule, Rule::UnhandledException);
    assert_eq!(report.parameters[0], 0xc000_0025);
}

#[test]
fn an_unhandled_exception_stops_the_kernel_and_names_the_place() {
    let mut b = driver();
    b.begin("Crash");
    b.alloc(0x28);
    b.a.mov(qword_ptr(rcx), 1).unwrap();
    b.a.add(rsp, 0x28).unwrap();
    b.a.ret().unwrap();
    b.end();
    let report = stopped(call(b, "Crash", [0x18, 0]));
    assert_eq!(report.rule, Rule::UnhandledException);
    assert_eq!(report.stop_code(), 0x1e);
    assert_eq!(report.parameters[0], 0xc000_0005);
    assert_eq!(report.parameters[2..], [1, 0x18]);
    assert!(report.details.contains("test.sys!Crash+0x4"), "{report}");
    assert!(report.details.contains("writing 0x18"), "{report}");
    assert!(report.details.contains("null pointer"), "{report}");
}

#[test]
fn an_unhandled_raise_stops_the_kernel() {
    let mut b = driver();
    b.begin("Raise");
    b.alloc(0x28);
    raise(&mut b, 0xc000_009a);
    b.a.nop().unwrap();
    b.end();
    let report = stopped(call(b, "Raise", [0, 0]));
    assert_eq!(report.rule, Rule::UnhandledException);
    assert_eq!(report.parameters[0], 0xc000_009a);
    assert!(report.details.contains("test.sys!Raise"), "{report}");
}

/// The termination handler of the first exception raises a second one, which replaces it; the
/// handler is not called again.
#[test]
fn an_exception_in_a_termination_handler_replaces_the_first() {
    let mut b = driver();
    let raises = b.begin_hidden();
    b.alloc(0x28);
    log(&mut b, 1);
    raise(&mut b, 0xc000_0200);
    b.a.nop().unwrap();
    b.end();
    let outer = finally_logs(&mut b, 2);
    b.begin("Collide");
    b.alloc(0x28);
    let begin = b.here();
    b.a.mov(rax, qword_ptr(rcx)).unwrap();
    b.a.nop().unwrap();
    let end = b.here();
    b.a.int3().unwrap();
    let handler = b.here();
    b.guard(begin, end, Guard::Finally(raises));
    b.guard(begin, end, Guard::Finally(outer));
    b.guard(begin, end, Guard::ExceptAll(handler));
    b.a.mov(r9d, eax).unwrap();
    return_log(&mut b);
    b.a.shl(r9, 32).unwrap();
    b.a.or(rax, r9).unwrap();
    b.a.add(rsp, 0x28).unwrap();
    b.a.ret().unwrap();
    b.end();
    assert_eq!(
        call(b, "Collide", [0, 0]).unwrap(),
        0xc000_0200_u64 << 32 | 12
    );
}

/// A filter faults when it is asked first; the second exception comes to the same filter, which
/// then takes it.
#[test]
fn an_exception_in_a_filter_is_dispatched_over_the_same_frames() {
    let mut b = driver();
    let faults_once = b.begin_hidden();
    b.alloc(0x28);
    log(&mut b, 1);
    let mut take = b.a.create_label();
    b.a.cmp(r11, 11).unwrap();
    b.a.je(take).unwrap();
    b.a.mov(rax, qword_ptr(0x20)).unwrap();
    b.a.nop().unwrap();
    b.place(&mut take);
    b.a.mov(eax, 1).unwrap();
    b.a.add(rsp, 0x28).unwrap();
    b.a.ret().unwrap();
    b.end();
    b.begin("Nest");
    b.alloc(0x28);
    let begin = b.here();
    raise(&mut b, 0xc000_0201);
    b.a.nop().unwrap();
    let end = b.here();
    b.a.int3().unwrap();
    let handler = b.here();
    b.guard(begin, end, Guard::Except(faults_once, handler));
    b.a.add(rsp, 0x28).unwrap();
    b.a.ret().unwrap();
    b.end();
    let result = call(b, "Nest", [0, 0]).unwrap();
    assert_eq!(result, u64::from(status::ACCESS_VIOLATION));
}

/// A filter calls a function that handles an exception of its own.
#[test]
fn a_filter_may_handle_exceptions_itself() {
    let mut b = driver();
    reads_under(&mut b, "Read");
    let read = b.import("ntoskrnl.exe", "KeGetCurrentIrql");
    let filter = b.begin_hidden();
    b.push(rbx);
    b.alloc(0x20);
    b.a.xor(ecx, ecx).unwrap();
    b.a.call(qword_ptr(read)).unwrap();
    // __try { read [8] } __except (1) { }
    let begin = b.here();
    b.a.mov(rax, qword_ptr(8)).unwrap();
    b.a.nop().unwrap();
    let end = b.here();
    b.a.int3().unwrap();
    let handler = b.here();
    b.guard(begin, end, Guard::ExceptAll(handler));
    log(&mut b, 1);
    b.a.mov(eax, 1).unwrap();
    b.a.add(rsp, 0x20).unwrap();
    b.a.pop(rbx).unwrap();
    b.a.ret().unwrap();
    b.end();
    b.begin("Outer");
    b.push(rbx);
    b.alloc(0x20);
    b.a.mov(ebx, 9000).unwrap();
    let begin = b.here();
    raise(&mut b, 0xc000_0202);
    b.a.nop().unwrap();
    let end = b.here();
    b.a.int3().unwrap();
    let handler = b.here();
    b.guard(begin, end, Guard::Except(filter, handler));
    log(&mut b, 2);
    return_log(&mut b);
    b.a.add(rax, rbx).unwrap();
    b.a.add(rsp, 0x20).unwrap();
    b.a.pop(rbx).unwrap();
    b.a.ret().unwrap();
    b.end();
    assert_eq!(call(b, "Outer", [0, 0]).unwrap(), 9012);
}

/// `goto` out of a guarded block: the termination handler runs, then the target.
#[test]
fn a_local_unwind_runs_termination_handlers() {
    let mut b = driver();
    let finally = finally_logs(&mut b, 1);
    b.begin("Leave");
    b.alloc(0x28);
    let begin = b.here();
    b.a.mov(rcx, rsp).unwrap();
    let mut out = b.a.create_label();
    b.a.lea(rdx, ptr(out)).unwrap();
    b.call_nt("_local_unwind");
    b.a.nop().unwrap();
    let end = b.here();
    b.a.int3().unwrap();
    b.place(&mut out);
    b.guard(begin, end, Guard::Finally(finally));
    log(&mut b, 2);
    return_log(&mut b);
    b.a.add(rsp, 0x28).unwrap();
    b.a.ret().unwrap();
    b.end();
    assert_eq!(call(b, "Leave", [0, 0]).unwrap(), 12);
}

#[test]
fn handled_exceptions_leave_nothing_behind() {
    let lab = crate::Lab::boot().unwrap();
    let mut b = driver();
    reads_under(&mut b, "Read");
    b.begin("Crash");
    b.alloc(0x28);
    b.a.ud2().unwrap();
    b.end();
    let module = Module::load(&b.build(), "test.sys").unwrap();
    let (read, crash) = (
        module.export("Read").unwrap(),
        module.export("Crash").unwrap(),
    );
    for _ in 0..500 {
        let result = lab.enter(|| invoke!(read, 0x10)).unwrap();
        assert_eq!(result, u64::from(status::ACCESS_VIOLATION));
    }
    let report = stopped(lab.enter(|| invoke!(crash)));
    assert_eq!(report.parameters[0], u64::from(status::ILLEGAL_INSTRUCTION));
}

#[test]
fn a_call_of_an_unimplemented_import_is_named() {
    let mut b = driver();
    b.begin("Call");
    b.alloc(0x28);
    b.call_nt("KeDoesNotExist");
    b.a.add(rsp, 0x28).unwrap();
    b.a.ret().unwrap();
    b.end();
    let report = stopped(call(b, "Call", [0, 0]));
    assert_eq!(report.rule, Rule::UnimplementedImport);
    assert!(
        report.details.contains("ntoskrnl.exe!KeDoesNotExist"),
        "{report}"
    );
}

/// Return addresses of the caller and its caller, by the driver itself.
#[test]
fn a_driver_can_capture_its_stack() {
    let mut b = driver();
    b.begin("Inner");
    b.push(rbp);
    b.alloc(0x30);
    b.set_frame(0x20);
    b.a.sub(rsp, 0x40).unwrap(); // alloca
    b.a.mov(r8, rcx).unwrap();
    b.a.xor(ecx, ecx).unwrap();
    b.a.mov(edx, 8).unwrap();
    b.a.xor(r9d, r9d).unwrap();
    b.call_nt("RtlCaptureStackBackTrace");
    b.a.lea(rsp, ptr(rbp + 0x10)).unwrap();
    b.a.pop(rbp).unwrap();
    b.a.ret().unwrap();
    b.end();
    let mut inner = b.a.create_label();
    b.begin("Outer");
    b.alloc(0x28);
    b.a.call(inner).unwrap();
    b.a.add(rsp, 0x28).unwrap();
    b.a.ret().unwrap();
    b.end();
    // A jump in between: a leaf without unwind information.
    b.place(&mut inner);
    let lab = crate::Lab::boot().unwrap();
    let target = b.export_label("Inner");
    b.a.jmp(target).unwrap();
    let module = Module::load(&b.build(), "test.sys").unwrap();
    let outer = module.export("Outer").unwrap();
    let mut frames = [0_usize; 8];
    let count = lab.enter(|| invoke!(outer, frames.as_mut_ptr())).unwrap();
    let names: Vec<String> = frames[..count as usize]
        .iter()
        .map(|&at| crate::pe::describe(at))
        .collect();
    assert_eq!(names.len(), 2, "{names:?}");
    assert!(names[0].starts_with("test.sys!Inner+"), "{names:?}");
    assert!(names[1].starts_with("test.sys!Outer+"), "{names:?}");
}
