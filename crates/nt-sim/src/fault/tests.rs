//! What drivers do that an ordinary process cannot, and what they should not do.

use iced_x86::code_asm::*;

use super::guarded::{BadAccess, copy, read_word};
use crate::{
    BugCheck, Lab, LabError, Rule, invoke, irql,
    mem::user,
    pe::{
        Module,
        testing::{DriverBuilder, Guard},
    },
    sched,
    seh::status,
};

const SHARED: u64 = 0xffff_f780_0000_0000;

/// A driver of one function without a frame.
fn driver(code: impl FnOnce(&mut CodeAssembler)) -> DriverBuilder {
    let mut b = DriverBuilder::new();
    b.trivial_entry();
    b.begin("F");
    code(&mut b.a);
    b.a.ret().unwrap();
    b.end();
    b
}

fn load(b: DriverBuilder) -> (Module, usize) {
    let module = Module::load(&b.build(), "test.sys").unwrap();
    let f = module.export("F").unwrap();
    (module, f)
}

fn call(b: DriverBuilder, first: u64) -> Result<u64, LabError> {
    let lab = Lab::boot().unwrap();
    let (_module, f) = load(b);
    lab.enter(|| invoke!(f, first))
}

fn stopped(result: Result<u64, LabError>) -> BugCheck {
    match result {
        Err(LabError::BugCheck(report)) => *report,
        other => panic!("no bugcheck: {other:?}"),
    }
}

#[test]
fn guarded_accesses_report_where_they_failed() {
    let _lab = Lab::boot().unwrap();
    let from = [1_u8, 2, 3, 4];
    let mut to = [0_u8; 4];
    assert_eq!(
        copy(to.as_mut_ptr() as usize, from.as_ptr() as usize, 4),
        Ok(())
    );
    assert_eq!(to, from);
    let bad = |address, write| Err(BadAccess { address, write });
    assert_eq!(copy(to.as_mut_ptr() as usize, 0x10, 4), bad(0x10, false));
    assert_eq!(copy(0x20, from.as_ptr() as usize, 4), bad(0x20, true));
    assert_eq!(read_word(0x8000_0000_0000_0000), None);
    assert!(read_word(to.as_ptr() as usize & !7).is_some());
}

#[test]
fn shared_user_data_is_read_by_every_kind_of_instruction() {
    let lab = Lab::builder().seed(1).boot().unwrap();
    let time = lab.enter(|| crate::kernel::kernel().clock.now()).unwrap() as u64;
    let build = 20348;
    type Body = fn(&mut CodeAssembler);
    let cases: &[(&str, Body, u64)] = &[
        (
            "mov r, [r]",
            |a| {
                a.mov(rdx, SHARED).unwrap();
                a.mov(rax, qword_ptr(rdx + 8)).unwrap();
            },
            time,
        ),
        (
            "mov r, [same r]",
            |a| {
                a.mov(rax, SHARED).unwrap();
                a.mov(rax, qword_ptr(rax + 8)).unwrap();
            },
            time,
        ),
        (
            "mov rax, moffs",
            |a| {
                a.db(&[0x48, 0xa1]).unwrap();
                a.dq(&[SHARED + 8]).unwrap();
            },
            time,
        ),
        (
            "mov eax, [index]",
            |a| {
                a.mov(r9, SHARED / 8).unwrap();
                a.mov(rax, -1_i64).unwrap();
                a.mov(eax, dword_ptr(r9 * 8 + 0x260)).unwrap();
            },
            build,
        ),
        (
            "mov al",
            |a| {
                a.mov(rcx, SHARED).unwrap();
                a.mov(eax, 0x100).unwrap();
                a.mov(al, byte_ptr(rcx + 0x264)).unwrap();
            },
            0x103,
        ),
        (
            "movzx",
            |a| {
                a.mov(rcx, SHARED).unwrap();
                a.movzx(eax, word_ptr(rcx + 0x26a)).unwrap();
            },
            9,
        ),
        (
            "movsxd",
            |a| {
                a.mov(rcx, SHARED).unwrap();
                a.movsxd(rax, dword_ptr(rcx + 0x26c)).unwrap();
            },
            10,
        ),
        (
            "add r, [r]",
            |a| {
                a.mov(rcx, SHARED).unwrap();
                a.mov(eax, 5).unwrap();
                a.add(eax, dword_ptr(rcx + 0x26c)).unwrap();
            },
            15,
        ),
        (
            "add r, [same r]",
            |a| {
                a.mov(rax, SHARED + 0x26c).unwrap();
                a.add(rax, qword_ptr(rax)).unwrap();
            },
            SHARED + 0x26c + 10,
        ),
        (
            "cmp and flags",
            |a| {
                a.mov(rcx, SHARED).unwrap();
                a.xor(eax, eax).unwrap();
                a.cmp(dword_ptr(rcx + 0x26c), 10).unwrap();
                a.sete(al).unwrap();
            },
            1,
        ),
        (
            "movups",
            |a| {
                a.mov(rcx, SHARED).unwrap();
                a.movups(xmm0, xmmword_ptr(rcx + 0x260)).unwrap();
                a.movd(eax, xmm0).unwrap();
            },
            build,
        ),
        (
            "movq",
            |a| {
                a.mov(rcx, SHARED).unwrap();
                a.movq(xmm0, qword_ptr(rcx + 0x260)).unwrap();
                a.movd(eax, xmm0).unwrap();
            },
            build,
        ),
        (
            "ah destination",
            |a| {
                a.mov(rcx, SHARED).unwrap();
                a.xor(eax, eax).unwrap();
                a.add(ah, byte_ptr(rcx + 0x26c)).unwrap();
            },
            10 << 8,
        ),
        (
            "push",
            |a| {
                a.mov(rcx, SHARED).unwrap();
                a.push(qword_ptr(rcx + 0x26c)).unwrap();
                a.pop(rax).unwrap();
            },
            10,
        ),
        (
            "lodsd",
            |a| {
                a.mov(r8, rsi).unwrap();
                a.mov(rsi, SHARED + 0x260).unwrap();
                a.lodsd().unwrap();
                a.xchg(rsi, r8).unwrap();
            },
            build,
        ),
        (
            "rep movsb",
            |a| {
                a.mov(r8, rsi).unwrap();
                a.mov(r9, rdi).unwrap();
                a.mov(rsi, SHARED + 0x260).unwrap();
                a.lea(rdi, ptr(rsp + 8)).unwrap();
                a.mov(ecx, 4).unwrap();
                a.mov(qword_ptr(rdi), 0).unwrap();
                a.rep().movsb().unwrap();
                a.mov(rax, qword_ptr(rdi - 4)).unwrap();
                a.sub(rsi, r8).unwrap();
                a.mov(rsi, r8).unwrap();
                a.mov(rdi, r9).unwrap();
            },
            build,
        ),
        (
            "repe cmpsw",
            |a| {
                a.mov(r8, rsi).unwrap();
                a.mov(r9, rdi).unwrap();
                // "C:\Windows" with itself, one word further: differs at once.
                a.mov(rsi, SHARED + 0x30).unwrap();
                a.mov(rdi, SHARED + 0x32).unwrap();
                a.mov(ecx, 10).unwrap();
                a.repe().cmpsw().unwrap();
                a.mov(rsi, r8).unwrap();
                a.mov(rdi, r9).unwrap();
                // 'C' > ':' : above.
                a.seta(al).unwrap();
                a.movzx(eax, al).unwrap();
                a.shl(rcx, 8).unwrap();
                a.or(rax, rcx).unwrap();
            },
            9 << 8 | 1,
        ),
        (
            "repne scasb",
            |a| {
                a.mov(r9, rdi).unwrap();
                a.mov(rdi, SHARED + 0x30).unwrap();
                a.mov(eax, 'W' as u32).unwrap();
                a.mov(ecx, 100).unwrap();
                a.repne().scasb().unwrap();
                a.mov(rdi, r9).unwrap();
                a.mov(rax, rcx).unwrap();
            },
            100 - 7,
        ),
    ];
    for (name, body, expected) in cases {
        let (_module, f) = load(driver(body));
        let result = lab.enter(|| invoke!(f)).unwrap();
        assert_eq!(result, *expected, "{name}");
    }
}

#[test]
fn shared_user_data_is_mapped_for_programs() {
    let lab = Lab::builder().windows_build(17763).boot().unwrap();
    let build = read_word(0x7ffe_0260).unwrap() as u32;
    assert_eq!(build, 17763);
    drop(lab);
}

#[test]
fn shared_user_data_cannot_be_written() {
    let report = stopped(call(
        driver(|a| {
            a.mov(rcx, SHARED).unwrap();
            a.mov(qword_ptr(rcx + 8), rcx).unwrap();
        }),
        0,
    ));
    assert_eq!(report.rule, Rule::InvalidAddress, "{report}");
}

#[test]
fn the_processor_block_is_read_through_gs() {
    let lab = Lab::boot().unwrap();
    let gs_read = |offset: u32| {
        move |a: &mut CodeAssembler| {
            a.mov(rax, qword_ptr(u64::from(offset)).gs()).unwrap();
        }
    };
    let (_module, f) = load(driver(gs_read(0x188)));
    let (thread, expected) = lab
        .enter(|| (invoke!(f), sched::current().kthread() as u64))
        .unwrap();
    assert_eq!(thread, expected);
    let (_module, f) = load(driver(gs_read(0x18)));
    let block = lab.enter(|| invoke!(f)).unwrap();
    assert_ne!(block, 0);
    let (_module, f) = load(driver(|a| {
        a.mov(eax, dword_ptr(0x1a4).gs()).unwrap();
    }));
    let (number, expected) = lab
        .enter(|| (invoke!(f), u64::from(sched::current().processor())))
        .unwrap();
    assert_eq!(number, expected);
}

#[test]
fn cr8_is_the_irql() {
    let lab = Lab::boot().unwrap();
    let (_module, f) = load(driver(|a| {
        a.mov(r10, rbx).unwrap();
        a.mov(ebx, 0x1234).unwrap();
        a.mov(rax, cr8).unwrap();
        a.mov(ecx, 2).unwrap();
        a.mov(cr8, rcx).unwrap();
        a.shl(rax, 8).unwrap();
        a.mov(r8, cr8).unwrap();
        a.or(rax, r8).unwrap();
        // Nothing else may change.
        a.shl(rbx, 32).unwrap();
        a.or(rax, rbx).unwrap();
        a.mov(rbx, r10).unwrap();
    }));
    let (result, level) = lab
        .enter(|| {
            irql::raise(irql::APC);
            let result = invoke!(f);
            let level = irql::current();
            irql::lower(irql::PASSIVE);
            (result, level)
        })
        .unwrap();
    assert_eq!(result, 0x1234_u64 << 32 | 0x102);
    assert_eq!(level, irql::DISPATCH);
    let (_module, f) = load(driver(|a| {
        a.xor(ecx, ecx).unwrap();
        a.mov(cr8, rcx).unwrap();
        a.mov(rax, cr8).unwrap();
    }));
    let result = lab
        .enter(|| {
            irql::raise(irql::DISPATCH);
            invoke!(f)
        })
        .unwrap();
    assert_eq!(result, 0);
    assert_eq!(lab.enter(irql::current).unwrap(), irql::PASSIVE);
}

#[test]
fn a_fast_fail_says_what_its_code_means() {
    let report = stopped(call(
        driver(|a| {
            a.mov(ecx, 3).unwrap();
            a.int(0x29).unwrap();
        }),
        0,
    ));
    assert_eq!((report.rule, report.stop_code()), (Rule::FastFail, 0x139));
    assert_eq!(report.parameters[0], 3);
    assert!(report.details.contains("doubly linked list"), "{report}");
    assert!(report.details.contains("test.sys!F+0x5"), "{report}");
}

#[test]
fn privileged_instructions_are_named() {
    type Body = fn(&mut CodeAssembler);
    let cases: &[(&str, Body)] = &[
        ("Cli", |a| a.cli().unwrap()),
        ("Hlt", |a| a.hlt().unwrap()),
        ("In", |a| a.in_(al, dx).unwrap()),
        ("Out", |a| a.out(0x80, al).unwrap()),
        ("Rdmsr", |a| a.rdmsr().unwrap()),
        ("Wrmsr", |a| a.wrmsr().unwrap()),
        ("Stac", |a| a.stac().unwrap()),
        ("Mov", |a| a.mov(rax, cr3).unwrap()),
    ];
    for (name, body) in cases {
        let report = stopped(call(driver(body), 0));
        assert_eq!(report.rule, Rule::PrivilegedInstruction, "{name}: {report}");
        assert!(report.details.contains(name), "{report}");
    }
}

/// `__try { body } __except (1) { return GetExceptionCode(); } return 0;`
fn caught(body: impl FnOnce(&mut DriverBuilder)) -> Result<u64, LabError> {
    let mut b = DriverBuilder::new();
    b.trivial_entry();
    b.begin("F");
    b.alloc(0x28);
    let begin = b.here();
    body(&mut b);
    b.a.nop().unwrap();
    let end = b.here();
    b.a.xor(eax, eax).unwrap();
    let handler = b.here();
    b.guard(begin, end, Guard::ExceptAll(handler));
    b.a.add(rsp, 0x28).unwrap();
    b.a.ret().unwrap();
    b.end();
    call(b, 0)
}

#[test]
fn faults_that_are_exceptions_can_be_caught() {
    let code = |result: Result<u64, LabError>| result.unwrap() as u32;
    let divided = caught(|b| {
        b.a.xor(ecx, ecx).unwrap();
        b.a.xor(edx, edx).unwrap();
        b.a.mov(eax, 7).unwrap();
        b.a.div(ecx).unwrap();
    });
    assert_eq!(code(divided), status::INTEGER_DIVIDE_BY_ZERO);
    assert_eq!(code(caught(|b| b.a.int3().unwrap())), status::BREAKPOINT);
    assert_eq!(
        code(caught(|b| b.a.ud2().unwrap())),
        status::ILLEGAL_INSTRUCTION
    );
    assert_eq!(
        code(caught(|b| b.a.int(0x2c).unwrap())),
        status::ASSERTION_FAILURE
    );
    let null_call = caught(|b| {
        b.a.xor(eax, eax).unwrap();
        b.a.call(rax).unwrap();
    });
    assert_eq!(code(null_call), status::ACCESS_VIOLATION);
    let raised = caught(|b| b.call_nt("ExRaiseAccessViolation"));
    assert_eq!(code(raised), status::ACCESS_VIOLATION);
}

#[test]
fn a_null_call_names_its_caller() {
    let report = stopped(call(
        driver(|a| {
            a.xor(eax, eax).unwrap();
            a.push(rax).unwrap();
            a.call(rax).unwrap();
        }),
        0,
    ));
    assert_eq!(report.rule, Rule::UnhandledException, "{report}");
    assert!(report.details.contains("executing 0x0"), "{report}");
    assert!(
        report.details.contains("called from test.sys!F+"),
        "{report}"
    );
}

#[test]
fn a_page_fault_at_dispatch_is_not_an_exception() {
    let result = caught(|b| {
        b.a.mov(ecx, 2).unwrap();
        b.a.mov(cr8, rcx).unwrap();
        b.a.mov(rax, qword_ptr(0x18)).unwrap();
    });
    let report = stopped(result);
    assert_eq!(
        (report.rule, report.stop_code()),
        (Rule::PageFaultAtDispatch, 0xd1)
    );
    assert_eq!(report.parameters[..2], [0x18, 2]);
    assert!(report.details.contains("null pointer"), "{report}");
}

#[test]
fn endless_recursion_overflows_the_kernel_stack() {
    let mut b = DriverBuilder::new();
    b.trivial_entry();
    let f = b.begin("F");
    b.alloc(0x1f8);
    b.a.call(f).unwrap();
    b.a.add(rsp, 0x1f8).unwrap();
    b.a.ret().unwrap();
    b.end();
    let report = stopped(call(b, 0));
    assert_eq!(
        (report.rule, report.stop_code()),
        (Rule::StackOverflow, 0x7f),
        "{report}"
    );
    assert!(report.details.contains("test.sys!F"), "{report}");
    assert!(report.stack.len() > 10, "{report}");
}

#[test]
fn writes_to_code_and_calls_of_data_are_told_apart() {
    let report = stopped(call(
        driver(|a| {
            let mut here = a.create_label();
            a.set_label(&mut here).unwrap();
            a.lea(rax, ptr(here)).unwrap();
            a.mov(dword_ptr(rax), 1).unwrap();
        }),
        0,
    ));
    assert_eq!(
        (report.rule, report.stop_code()),
        (Rule::WriteReadOnly, 0xbe),
        "{report}"
    );
    let mut b = DriverBuilder::new();
    b.trivial_entry();
    b.begin("F");
    b.alloc(0x28);
    let data = b.data_address(0x20);
    b.a.mov(rax, qword_ptr(data)).unwrap();
    b.a.call(rax).unwrap();
    b.a.nop().unwrap();
    b.end();
    let report = stopped(call(b, 0));
    assert_eq!(
        (report.rule, report.stop_code()),
        (Rule::ExecuteData, 0xfc),
        "{report}"
    );
}

#[test]
fn code_of_an_unloaded_driver_is_recognised() {
    let lab = Lab::boot().unwrap();
    let (module, f) = load(driver(|a| a.nop().unwrap()));
    lab.enter(|| invoke!(f)).unwrap();
    module.unload();
    let report = stopped(lab.enter(|| invoke!(f)));
    assert_eq!(
        (report.rule, report.stop_code()),
        (Rule::UnloadedDriver, 0xce),
        "{report}"
    );
    assert!(report.details.contains("test.sys"), "{report}");
}

#[test]
fn a_bad_pointer_passed_to_the_kernel_is_told_with_its_caller() {
    let bad = crate::mem::USER_END as u64 + 0x10_0000;
    for (function, verb) in [("memset", "writing"), ("RtlInitUnicodeString", "to")] {
        let mut b = DriverBuilder::new();
        b.trivial_entry();
        b.begin("F");
        b.alloc(0x28);
        b.a.xor(edx, edx).unwrap();
        b.a.mov(r8d, 8).unwrap();
        b.call_nt(function);
        b.a.add(rsp, 0x28).unwrap();
        b.a.ret().unwrap();
        b.end();
        let report = stopped(call(b, bad));
        assert_eq!(report.rule, Rule::BadPointerArgument, "{report}");
        assert_eq!(report.parameters[0], bad);
        for word in [function, verb] {
            assert!(report.details.contains(word), "{report}");
        }
        assert!(report.stack[0].starts_with("test.sys!F+"), "{report}");
    }
}

/// Reads and writes user memory through every way of emulation, and only after probing.
#[test]
fn probed_user_memory_is_reached_and_other_user_memory_is_not() {
    let lab = Lab::boot().unwrap();
    let process = lab.user("program").unwrap();
    let memory = process.alloc(8192).unwrap();
    memory.write(0, &100_u64.to_le_bytes());
    memory.write(4092, &[1, 0, 0, 0, 2, 0, 0, 0]);
    let at = memory.address() as u64;
    let (_module, f) = load(driver(|a| {
        a.mov(rax, qword_ptr(rcx)).unwrap(); // 100
        a.mov(qword_ptr(rcx + 8), rax).unwrap();
        a.mov(dword_ptr(rcx + 16), 7).unwrap();
        a.mov(word_ptr(rcx + 24), cx).unwrap();
        a.lock().xadd(qword_ptr(rcx), rax).unwrap(); // [0] = 200, rax = 100
        a.add(rax, qword_ptr(rcx + 4092)).unwrap(); // across pages: + 2^33 + 1
        a.mov(qword_ptr(rcx + 32), rcx).unwrap();
        a.mov(rdx, rcx).unwrap();
        a.mov(r10, rdi).unwrap();
        a.mov(r11, rax).unwrap();
        a.lea(rdi, ptr(rcx + 40)).unwrap();
        a.mov(ecx, 3).unwrap();
        a.mov(eax, 0xab).unwrap();
        a.rep().stosb().unwrap();
        a.mov(rax, r11).unwrap();
        a.mov(rdi, r10).unwrap();
    }));
    let in_process = |probe: bool| {
        let space = crate::kernel::kernel().mem.spaces.of(at as usize).unwrap();
        let old = user::switch_to(Some(space.id()));
        user::begin_system_call();
        if probe {
            user::note_probe(at as usize, 8192, true);
        }
        let result = invoke!(f, at);
        user::begin_system_call();
        user::switch_to(old);
        result
    };
    let result = lab.enter(|| in_process(true)).unwrap();
    assert_eq!(result, 100 + (2 << 32) + 1);
    let word = |offset| u64::from_le_bytes(memory.read(offset, 8).try_into().unwrap());
    assert_eq!(word(0), 200);
    assert_eq!(word(8), 100);
    assert_eq!(word(16), 7);
    assert_eq!(word(24), at & 0xffff);
    assert_eq!(word(32), at);
    assert_eq!(word(40), 0xab_abab);
    let report = stopped(lab.enter(|| in_process(false)));
    assert_eq!(report.rule, Rule::UserNotProbed, "{report}");
    drop(process);
}

#[test]
fn user_memory_that_is_gone_is_an_access_violation() {
    let lab = Lab::boot().unwrap();
    let process = lab.user("program").unwrap();
    let memory = process.alloc(4096).unwrap();
    let at = memory.address();
    let mut b = DriverBuilder::new();
    b.trivial_entry();
    b.begin("F");
    b.alloc(0x28);
    let begin = b.here();
    b.a.mov(rax, qword_ptr(rcx)).unwrap();
    b.a.nop().unwrap();
    let end = b.here();
    b.a.xor(eax, eax).unwrap();
    let handler = b.here();
    b.guard(begin, end, Guard::ExceptAll(handler));
    b.a.add(rsp, 0x28).unwrap();
    b.a.ret().unwrap();
    b.end();
    let (_module, f) = load(b);
    let result = lab
        .enter(|| {
            let space = crate::kernel::kernel().mem.spaces.of(at).unwrap();
            let old = user::switch_to(Some(space.id()));
            user::begin_system_call();
            user::note_probe(at, 1 << 20, true);
            let result = invoke!(f, at + (512 << 10));
            user::begin_system_call();
            user::switch_to(old);
            result
        })
        .unwrap();
    assert_eq!(result as u32, status::ACCESS_VIOLATION);
    drop(process);
}

mod linked;

/// Whatever pointer a driver passes to whatever function, the kernel stops with a report and the
/// lab still ends: nobody waits for a lock that the function held.
#[test]
fn bad_pointers_to_functions_that_hold_locks_do_not_hang_the_lab() {
    let functions = [
        "KeSetEvent",
        "KeResetEvent",
        "KeWaitForSingleObject",
        "KeInsertQueueDpc",
        "KeSetTimer",
        "KeCancelTimer",
        "KeAcquireSpinLockRaiseToDpc",
        "KeReleaseSpinLockFromDpcLevel",
        "KeInitializeEvent",
        "ExFreePoolWithTag",
        "ExAcquireRundownProtection",
        "ExAcquirePushLockExclusiveEx",
        "ExQueueWorkItem",
        "IofCompleteRequest",
        "IofCallDriver",
        "IoDeleteDevice",
        "IoFreeIrp",
        "IoFreeMdl",
        "MmUnlockPages",
        "MmMapLockedPagesSpecifyCache",
        "ObfDereferenceObject",
        "RtlInitUnicodeString",
        "RtlCopyUnicodeString",
        "ExpInterlockedPushEntrySList",
        "memcpy",
        "NdisFreeNetBufferList",
        "NdisFreeNetBufferListPool",
        "NdisAcquireRWLockRead",
    ];
    for function in functions {
        for pointer in [
            0x40,
            crate::mem::USER_END as u64 + 0x10_0000,
            0x1_2345_6789,
            0x1_2345_6780,
        ] {
            let module = if function.starts_with("Ndis") {
                "ndis.sys"
            } else {
                "ntoskrnl.exe"
            };
            let mut b = DriverBuilder::new();
            b.trivial_entry();
            b.begin("F");
            b.alloc(0x48);
            b.a.mov(rdx, rcx).unwrap();
            b.a.mov(r8d, 8).unwrap();
            b.a.xor(r9d, r9d).unwrap();
            let slot = b.import(module, function);
            b.a.call(qword_ptr(slot)).unwrap();
            b.a.add(rsp, 0x48).unwrap();
            b.a.ret().unwrap();
            b.end();
            let result = call(b, pointer);
            let report = stopped(result);
            assert_ne!(report.rule, Rule::Simulator, "{function}: {report}");
            assert_ne!(report.rule, Rule::UnimplementedImport, "{function}");
        }
    }
}
