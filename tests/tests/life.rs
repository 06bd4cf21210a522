//! The driver starts, stands in the network stack, and goes without a trace.

use nt_sim::{ClockMode, FaultPlan, Lab, LabError};
use scenarios::{Client, lab, load};

fn frame(n: u32) -> Vec<u8> {
    let mut frame = vec![0x02; 12];
    frame.extend([0x88, 0xb5]);
    frame.extend(n.to_be_bytes());
    frame.resize(60 + (n as usize * 37) % 1400, n as u8);
    frame
}

#[test]
fn it_starts_and_unloads_clean() {
    let lab = lab().boot().unwrap();
    let driver = load(&lab).unwrap();
    assert!(
        driver.unimplemented_imports().is_empty(),
        "{:?}",
        driver.unimplemented_imports()
    );
    let report = driver.unload().unwrap();
    assert!(report.is_clean(), "{report}");
}

#[test]
fn s06_2_1_frames_pass_in_both_directions_unchanged_and_in_order() {
    let lab = lab().boot().unwrap();
    let driver = load(&lab).unwrap();
    let nic = lab.nic("eth0").queues(2).create().unwrap();
    lab.settle().unwrap();
    assert_eq!(nic.filters().len(), 1, "the filter is on the adapter");
    for n in 0..200 {
        nic.wire().send(frame(n)).unwrap();
        assert_eq!(nic.stack().receive().unwrap().data, frame(n), "up {n}");
        nic.stack().send(frame(n)).unwrap();
        assert_eq!(nic.wire().receive().unwrap().data, frame(n), "down {n}");
    }
    nic.remove().unwrap();
    let report = driver.unload().unwrap();
    assert!(report.is_clean(), "{report}");
}

#[test]
fn s01_1_6_it_unloads_from_under_a_running_adapter() {
    let lab = lab().boot().unwrap();
    let driver = load(&lab).unwrap();
    let nic = lab.nic("eth0").create().unwrap();
    lab.settle().unwrap();
    nic.wire().send(frame(1)).unwrap();
    let report = driver.unload().unwrap();
    assert!(report.is_clean(), "{report}");
    nic.wire().send(frame(2)).unwrap();
    assert_eq!(nic.stack().receive().unwrap().data, frame(1));
    assert_eq!(nic.stack().receive().unwrap().data, frame(2));
}

#[test]
fn pauses_restarts_and_resets_lose_nothing_that_was_given_back() {
    let lab = lab().boot().unwrap();
    let driver = load(&lab).unwrap();
    let nic = lab.nic("eth0").create().unwrap();
    lab.settle().unwrap();
    for n in 0..20 {
        nic.pause().unwrap();
        nic.restart().unwrap();
        if n % 5 == 0 {
            nic.reset().unwrap();
        }
        nic.wire().send(frame(n)).unwrap();
        assert_eq!(nic.stack().receive().unwrap().data, frame(n));
    }
    nic.remove().unwrap();
    assert!(driver.unload().unwrap().is_clean());
}

/// One run of pause, restart, detach and unload under traffic, as a seed orders it.
fn storm(seed: u64) -> Result<(), LabError> {
    let lab = Lab::builder()
        .cpus(3)
        .clock(ClockMode::Virtual)
        .seed(seed)
        .boot()?;
    let driver = load(&lab)?;
    let nic = lab.nic("eth0").queues(2).create()?;
    lab.settle()?;
    // Without a program frames go round the filter; with one that has no rules they all pass it.
    let app = Client::new(&lab, "app");
    let program = app.program(&nic).all_queues().create().unwrap();
    for round in 0..3 {
        nic.wire().post((0..8).map(|n| frame(n).into()))?;
        nic.stack().send(frame(round))?;
        match (seed + u64::from(round)) % 3 {
            0 => {
                nic.pause()?;
                nic.restart()?;
            }
            1 => nic.reset()?,
            _ => {}
        }
    }
    nic.wire().post((0..8).map(|n| frame(n).into()))?;
    program.close();
    app.terminate();
    let report = if seed.is_multiple_of(2) {
        nic.remove()?;
        driver.unload()?
    } else {
        driver.unload()?
    };
    assert!(report.is_clean(), "seed {seed}: {report}");
    Ok(())
}

#[test]
fn seeded_storms_leave_nothing_behind() {
    let seeds = std::env::var("XDP_SEEDS")
        .ok()
        .and_then(|s| s.parse().ok())
        .unwrap_or(60);
    for seed in 0..seeds {
        if let Err(error) = storm(seed) {
            panic!("seed {seed}: {error}");
        }
    }
}

/// A short life of the driver with a failing allocation somewhere in it; whether there was one.
fn life_with_failure(plan: FaultPlan) -> Result<bool, LabError> {
    let lab = lab().boot()?;
    lab.inject_failures(plan);
    let driver = match load(&lab) {
        Ok(driver) => driver,
        // Refusing to start is an answer, as long as nothing is left.
        Err(LabError::Status { .. }) => return Ok(!lab.injected_failures().is_empty()),
        Err(error) => return Err(error),
    };
    let nic = lab.nic("eth0").create()?;
    lab.settle()?;
    let app = Client::new(&lab, "app");
    // An interface or a program that there is no memory for is an answer as well; frames pass all the same.
    let program = app.program(&nic).create().ok();
    nic.wire().send(frame(1))?;
    nic.stack().send(frame(2))?;
    nic.pause()?;
    nic.restart()?;
    drop(program);
    app.terminate();
    nic.remove()?;
    assert!(driver.unload()?.is_clean());
    Ok(!lab.injected_failures().is_empty())
}

#[test]
fn every_allocation_may_fail() {
    let mut failures = 0;
    for nth in 1.. {
        match life_with_failure(FaultPlan::Nth(nth)) {
            Ok(true) => failures += 1,
            Ok(false) => break,
            Err(error) => panic!("allocation {nth} failed: {error}"),
        }
    }
    assert!(failures > 10, "only {failures} allocations were seen");
}
