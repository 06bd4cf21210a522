//! A driver that breaks every rule, one a request, and is caught each time with the right report.
//!
//! The driver is an ordinary one: it has a device, and a filter in the network stack. It is written against the
//! kernel's own declarations, and the tests reach it through the public face of the lab only.

mod driver;
mod images;
mod kernel;
mod memory;
mod network;
mod requests;
mod table;

use std::collections::BTreeSet;

use nt_sim::{BugCheck, FaultPlan, Lab, LabError, Mode, Nic, Rule, UnloadReport, nic::Layout};

use table::{Before, ROWS, Row, Stack, Then};

/// Rules that this driver cannot break, and why.
const OUT_OF_REACH: &[(Rule, &str)] = &[
    (
        Rule::Simulator,
        "it reports defects of the simulated kernel, and none is known",
    ),
    (
        Rule::PoolWriteAfterFree,
        "freed blocks lie on pages of their own, where the write itself is caught, until a third of what the host can \
         map is used up; the pool's own tests make it share pages",
    ),
    (
        Rule::NdisPort,
        "only miniports have ports, and this driver is none; the tests of NDIS have one that breaks the rule",
    ),
];

fn card<'lab>(lab: &'lab Lab, before: Before) -> Result<Option<Nic<'lab>>, LabError> {
    if matches!(
        before,
        Before::Device | Before::NoRoom | Before::Seed | Before::Failure(_)
    ) {
        return Ok(None);
    }
    let layout = match before {
        Before::LendingCard => Layout::contiguous().resources(),
        _ => Layout::contiguous(),
    };
    let card = lab.nic("eth0").rx_layout(layout).create()?;
    match before {
        Before::PausedCard => card.pause()?,
        Before::SlowWire => card.wire().hold(),
        Before::SlowStack => card.stack().hold(),
        _ => {}
    }
    Ok(Some(card))
}

fn frames() -> Vec<nt_sim::nic::Frame> {
    (0..3)
        .map(|n| vec![n; 60 + usize::from(n)].into())
        .collect()
}

/// Runs the driver until it is caught.
fn run(lab: &Lab, index: usize, row: &Row) -> Result<(), LabError> {
    let driver = lab.start_linked("broken", driver::entry)?;
    let card = card(lab, row.before)?;
    let process = lab.administrator("app")?;
    let handle = process.open(driver::DEVICE).open()?;
    let page = process.alloc(4096)?;
    let (code, output) = match row.before {
        // METHOD_BUFFERED, with an address for the answer.
        Before::NoRoom => (driver::code(index) & !3, page.address()),
        _ => (driver::code(index), 0),
    };
    let ask = || {
        let request = handle.control_raw(code, (page.address(), page.size()), (output, 0))?;
        request.wait(None).map(|_| ())
    };
    if let Before::Failure(nth) = row.before {
        lab.inject_failures(FaultPlan::Nth(nth));
    }
    ask()?;
    let card = || card.as_ref().expect("the row has a card");
    match row.then {
        Then::Nothing => {}
        Then::Receive => card().wire().send_all(frames())?,
        Then::ReceiveAndRelease => {
            card().wire().send_all(frames())?;
            card().stack().release()?;
        }
        Then::ReceiveAndPause => {
            card().wire().send_all(frames())?;
            card().pause()?;
        }
        Then::Pause => card().pause()?,
        Then::RestartAndAskAgain => {
            card().pause()?;
            card().restart()?;
            ask()?;
        }
        Then::Query => drop(card().stack().query(0x1234_5678)?),
        Then::QueryAndRemove => {
            drop(card().stack().query(0x1234_5678)?);
            card().reset()?;
        }
        Then::Remove => card().reset()?,
        Then::Unload => {
            handle.close()?;
            process.terminate()?;
            println!("{}", driver.unload()?);
        }
        Then::Terminate => {
            handle.close()?;
            process.terminate()?;
        }
    }
    Ok(())
}

fn caught(index: usize, row: &Row) -> Result<Box<BugCheck>, String> {
    let builder = match row.before {
        Before::Seed | Before::CardAndSeed => Lab::builder().seed(1),
        _ => Lab::builder(),
    };
    let lab = builder.boot().map_err(|e| e.to_string())?;
    match run(&lab, index, row) {
        Err(LabError::BugCheck(report)) => Ok(report),
        Err(other) => Err(format!("{other}")),
        Ok(()) => Err("it was not caught".to_owned()),
    }
}

/// What is wrong with the report of a row.
fn fault(row: &Row, report: &BugCheck) -> Option<String> {
    let text = report.to_string();
    if report.rule != row.rule {
        return Some(format!("it was caught by {:?}", report.rule));
    }
    if report.stop_code() != row.stop {
        return Some(format!("the stop code is {:#x}", report.stop_code()));
    }
    if !report.details.contains(row.words) {
        return Some(format!("the words \"{}\" are missing", row.words));
    }
    for part in [
        row.rule.sentence(),
        row.rule.id(),
        row.rule.stop_name(),
        "where   thread",
    ] {
        if !text.contains(part) {
            return Some(format!("the report lacks \"{part}\""));
        }
    }
    let function = match row.stack {
        Stack::Defect => row.name,
        Stack::Function(name) => name,
        Stack::Empty => return (!report.stack.is_empty()).then(|| "it has a stack".to_owned()),
    };
    let named = report
        .stack
        .iter()
        .any(|frame| frame.rsplit("::").next() == Some(function));
    (!named).then(|| format!("the stack does not name {function}"))
}

#[test]
fn every_defect_is_caught_with_the_right_report() {
    let mut faults = Vec::new();
    for (index, row) in ROWS.iter().enumerate() {
        let told = match caught(index, row) {
            Ok(report) => fault(row, &report).map(|fault| format!("{fault}\n{report}")),
            Err(problem) => Some(problem),
        };
        println!("{:<28} {}", row.rule.id(), row.name);
        if let Some(told) = told {
            faults.push(format!("{:?} {}: {told}", row.rule, row.name));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n\n"));
}

#[test]
fn every_rule_has_a_defect() {
    let mut covered: BTreeSet<&str> = ROWS.iter().map(|row| row.rule.id()).collect();
    covered.extend(images::ROWS.iter().map(|row| row.rule.id()));
    for (rule, why) in OUT_OF_REACH {
        assert!(
            !covered.contains(rule.id()),
            "{rule:?} is in reach, though {why}"
        );
    }
    let missing: Vec<_> = Rule::ALL
        .iter()
        .filter(|rule| !covered.contains(rule.id()))
        .filter(|rule| OUT_OF_REACH.iter().all(|(out, _)| out != *rule))
        .collect();
    assert!(missing.is_empty(), "no defect breaks {missing:?}");
}

/// What the fast kernel, which stops for nothing, reports when the driver unloads after the request of a row.
fn left_after(name: &str) -> UnloadReport {
    let index = ROWS.iter().position(|row| row.name == name).expect(name);
    let lab = Lab::builder().mode(Mode::Fast).boot().unwrap();
    let driver = lab.start_linked("broken", driver::entry).unwrap();
    let _card = lab.nic("eth0").create().unwrap();
    let process = lab.administrator("app").unwrap();
    let handle = process.open(driver::DEVICE).open().unwrap();
    let page = process.alloc(4096).unwrap();
    handle
        .control_raw(driver::code(index), (page.address(), 4096), (0, 0))
        .unwrap()
        .wait(None)
        .unwrap();
    handle.close().unwrap();
    process.terminate().unwrap();
    driver.unload().unwrap()
}

#[test]
fn unload_reports_name_what_is_left() {
    for (defect, kind, words) in [
        (
            "leaks_a_list",
            "NDIS objects",
            "a pool (tag 'Brkn', 1 allocated)",
        ),
        (
            "keeps_its_pool",
            "NDIS objects",
            "a pool (tag 'Brkn', 0 allocated)",
        ),
        ("leaves_a_timer", "NDIS objects", "1 timers"),
        (
            "stays_registered",
            "NDIS registrations",
            "the filter driver \"broken filter\"",
        ),
        ("leaks_a_handle", "system handles", "Key \\Registry"),
        ("leaks_a_block", "pool blocks", "tag 'Brkn', 48 bytes"),
        ("leaks_an_mdl", "pool blocks", "tag 'Mdl '"),
        ("leaves_a_thread", "threads", "driver thread 0x"),
        ("reads_user_memory_on_a_worker", "work items", "(idle)"),
        ("frees_a_set_timer", "objects in use", "a set timer at 0x"),
    ] {
        let report = left_after(defect);
        assert!(!report.is_clean(), "{defect}");
        let leak = report.leaks.iter().find(|leak| leak.kind == kind);
        let leak = leak.unwrap_or_else(|| panic!("{defect} left no {kind}:\n{report}"));
        assert!(leak.details.contains(words), "{defect}: {report}");
        assert!(
            report
                .to_string()
                .contains(&format!("left {} {kind}", leak.count))
        );
    }
}
