//! Defects that only a driver file can have, in small files written here.

use iced_x86::code_asm::{dword_ptr, eax, ecx, ptr, qword_ptr, r8, r9, rax, rbp, rcx, rdx, rsp};
use nt_sim::{ClockMode, Lab, LabError, Mode, Rule, UnloadReport};

use image::{DriverBuilder, Guard};

#[path = "../../src/pe/testing.rs"]
#[expect(dead_code, reason = "the kernel's own tests use the rest")]
mod image;

/// A defect of a file.
pub(crate) struct Row {
    pub(crate) rule: Rule,
    stop: u32,
    file: fn() -> DriverBuilder,
    words: &'static str,
    mode: Mode,
}

const fn row(rule: Rule, stop: u32, file: fn() -> DriverBuilder, words: &'static str) -> Row {
    Row {
        rule,
        stop,
        file,
        words,
        mode: Mode::Strict,
    }
}

pub(crate) static ROWS: &[Row] = &[
    row(
        Rule::UnimplementedImport,
        0,
        calls_what_is_not_there,
        "ntoskrnl.exe!KeDoesNotExist was called",
    ),
    row(Rule::StackOverflow, 0x7f, recurs, "broken.sys!DriverEntry+"),
    row(Rule::WriteReadOnly, 0xbe, writes_code, "which is read-only"),
    row(Rule::FastFail, 0x139, fails_fast, "code 3"),
    row(
        Rule::PrivilegedInstruction,
        0x1e,
        reads_a_machine_register,
        "executed Rdmsr",
    ),
    row(Rule::ExecuteData, 0xfc, calls_data, "which is data"),
    row(
        Rule::StackCorrupted,
        0xf7,
        loses_its_frame,
        "the frame of broken.sys!DriverEntry+",
    ),
    row(Rule::BadUnwindTarget, 0x1e, unwinds_to_nowhere, "0x1000"),
    row(Rule::BadDisposition, 0x1e, answers_nonsense, "answered 77"),
    // A strict kernel does not let it come to that.
    Row {
        mode: Mode::Fast,
        ..row(
            Rule::UnloadedDriver,
            0xce,
            stays_registered,
            "after broken.sys was unloaded",
        )
    },
];

/// A driver whose entry point is `code`, with room for the arguments of calls.
fn entry(code: impl FnOnce(&mut DriverBuilder)) -> DriverBuilder {
    let mut b = DriverBuilder::new();
    b.begin("DriverEntry");
    b.alloc(0x28);
    code(&mut b);
    b.a.xor(rax, rax).unwrap();
    b.a.add(rsp, 0x28).unwrap();
    b.a.ret().unwrap();
    b.end();
    b
}

fn calls_what_is_not_there() -> DriverBuilder {
    entry(|b| b.call_nt("KeDoesNotExist"))
}

fn recurs() -> DriverBuilder {
    entry(|b| {
        let again = b.export_label("DriverEntry");
        b.a.call(again).unwrap();
    })
}

fn writes_code() -> DriverBuilder {
    entry(|b| {
        let code = b.export_label("DriverEntry");
        b.a.lea(rax, ptr(code)).unwrap();
        b.a.mov(dword_ptr(rax), 1).unwrap();
    })
}

fn fails_fast() -> DriverBuilder {
    entry(|b| {
        // FAST_FAIL_CORRUPT_LIST_ENTRY.
        b.a.mov(ecx, 3).unwrap();
        b.a.int(0x29).unwrap();
    })
}

fn reads_a_machine_register() -> DriverBuilder {
    entry(|b| b.a.rdmsr().unwrap())
}

fn calls_data() -> DriverBuilder {
    entry(|b| {
        let data = b.data_address(0);
        b.a.call(qword_ptr(data)).unwrap();
    })
}

fn raise(b: &mut DriverBuilder) {
    b.a.mov(ecx, 0xc000_0001_u32).unwrap();
    b.call_nt("ExRaiseStatus");
}

fn loses_its_frame() -> DriverBuilder {
    let mut b = DriverBuilder::new();
    b.begin("DriverEntry");
    b.push(rbp);
    b.alloc(0x20);
    b.set_frame(0x20);
    b.a.mov(rbp, 0x10_u64).unwrap();
    raise(&mut b);
    b.end();
    b
}

fn unwinds_to_nowhere() -> DriverBuilder {
    entry(|b| {
        let here = b.export_label("DriverEntry");
        b.a.mov(ecx, 0x1000).unwrap();
        b.a.lea(rdx, ptr(here)).unwrap();
        b.a.xor(r8, r8).unwrap();
        b.a.xor(r9, r9).unwrap();
        b.call_nt("RtlUnwind");
    })
}

fn answers_nonsense() -> DriverBuilder {
    let mut b = DriverBuilder::new();
    b.begin("DriverEntry");
    b.alloc(0x28);
    let from = b.here();
    raise(&mut b);
    // Handlers are not asked about epilogues.
    b.a.nop().unwrap();
    let to = b.here();
    b.a.add(rsp, 0x28).unwrap();
    b.a.ret().unwrap();
    b.guard(from, to, Guard::ExceptAll(to));
    b.end();
    let handler = b.begin("Handler");
    b.a.mov(eax, 77).unwrap();
    b.a.ret().unwrap();
    b.end();
    b.handler = Some(handler);
    b
}

/// What [`run`] listens to: the first bytes of the data section, which are zero.
const PROVIDER: [u8; 16] = [0; 16];

fn stays_registered() -> DriverBuilder {
    let mut b = DriverBuilder::new();
    let routine = b.begin("Routine");
    b.a.ret().unwrap();
    b.end();
    b.begin("DriverEntry");
    b.alloc(0x28);
    b.a.lea(rax, ptr(routine)).unwrap();
    // DriverUnload.
    b.a.mov(qword_ptr(rcx + 0x68), rax).unwrap();
    b.a.mov(rdx, rax).unwrap();
    let provider = b.data_address(0);
    b.a.mov(rcx, qword_ptr(provider)).unwrap();
    b.a.xor(r8, r8).unwrap();
    let handle = b.data_address(0x20);
    b.a.mov(r9, qword_ptr(handle)).unwrap();
    b.call_nt("EtwRegister");
    b.a.add(rsp, 0x28).unwrap();
    b.a.ret().unwrap();
    b.end();
    b
}

/// A driver that does nothing but unload.
fn behaves() -> DriverBuilder {
    let mut b = DriverBuilder::new();
    let unload = b.begin("Unload");
    b.a.ret().unwrap();
    b.end();
    b.begin("DriverEntry");
    b.a.lea(rax, ptr(unload)).unwrap();
    b.a.mov(qword_ptr(rcx + 0x68), rax).unwrap();
    b.a.xor(rax, rax).unwrap();
    b.a.ret().unwrap();
    b.end();
    b
}

fn run(lab: &Lab, row: &Row) -> Result<(), LabError> {
    let driver = lab.load_bytes(&(row.file)().build(), "broken")?;
    let report = driver.unload()?;
    assert!(!report.is_clean(), "{report}");
    lab.listen(PROVIDER, 4, 0)
}

#[test]
fn every_defect_of_a_file_is_caught() {
    for row in ROWS {
        let lab = Lab::builder()
            .mode(row.mode)
            .clock(ClockMode::Virtual)
            .boot()
            .unwrap();
        let report = match run(&lab, row) {
            Err(LabError::BugCheck(report)) => report,
            other => panic!("{:?}: {other:?}", row.rule),
        };
        println!("{report}");
        assert_eq!(report.rule, row.rule, "{report}");
        assert_eq!(report.stop_code(), row.stop, "{report}");
        assert!(
            report.details.contains(row.words),
            "{}\n{report}",
            row.words
        );
        if row.mode == Mode::Strict {
            assert!(
                report
                    .stack
                    .iter()
                    .any(|frame| frame.contains("broken.sys!DriverEntry")),
                "{report}"
            );
        }
    }
}

/// Loads three drivers, of which the second leaks; what its unloading gives.
fn leak_between_others(lab: &Lab) -> Result<UnloadReport, LabError> {
    let good = lab.load_bytes(&behaves().build(), "good")?;
    let bad = lab.load_bytes(&stays_registered().build(), "bad")?;
    let late = lab.load_bytes(&behaves().build(), "late")?;
    for driver in [good, late] {
        let report = driver.unload()?;
        assert!(report.is_clean(), "{report}");
    }
    bad.unload()
}

#[test]
fn leaks_are_charged_to_the_driver_that_made_them() {
    let words = "left 1 ETW providers: {00000000-0000-0000-0000-000000000000}";
    let lab = Lab::builder().mode(Mode::Fast).boot().unwrap();
    let report = leak_between_others(&lab).unwrap();
    assert!(report.to_string().contains(words), "{report}");
    drop(lab);
    let lab = Lab::boot().unwrap();
    let Err(LabError::BugCheck(report)) = leak_between_others(&lab) else {
        panic!("not caught");
    };
    assert_eq!(report.rule, Rule::LeakAtUnload, "{report}");
    let words = format!("bad: it unloaded and left things behind\n{words}");
    assert!(report.details.contains(&words), "{report}");
}
