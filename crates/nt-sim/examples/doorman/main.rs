//! A small driver and its tests: how a driver that is not xdp.sys is tested in the lab.
//!
//! `cargo run -p nt-sim --example doorman` tells the story; `cargo test -p nt-sim --example doorman` runs the tests below
//! it, which also try every order of events, every layout of frames and every failure of an allocation.

mod driver;

use nt_sim::{Driver, Lab, LabError};

use driver::{COUNT, FORBID};

const ARP: [u8; 2] = [0x08, 0x06];
const IPV4: [u8; 2] = [0x08, 0x00];

/// A frame of 60 bytes and more.
fn frame(kind: [u8; 2], payload: usize) -> Vec<u8> {
    let mut frame = vec![0x02; 12];
    frame.extend(kind);
    frame.resize(60 + payload, 0x5a);
    frame
}

fn load(lab: &Lab) -> Result<Driver<'_>, LabError> {
    lab.start_linked("doorman", driver::driver_entry)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    match story() {
        // The report is made for a person: print it as it is.
        Err(LabError::BugCheck(report)) => Err(report.to_string().into()),
        other => Ok(other?),
    }
}

fn story() -> Result<(), LabError> {
    let lab = Lab::boot()?;
    let driver = load(&lab)?;
    let nic = lab.nic("eth0").create()?;
    lab.settle()?;
    println!("filters on eth0: {:?}", nic.filters());

    let program = lab.administrator("app")?;
    let device = program.open("\\Device\\doorman").open()?;
    device.control(FORBID, &ARP, 0)?;
    for kind in [ARP, IPV4, ARP] {
        nic.stack().send(frame(kind, 0))?;
    }
    let out = nic.wire().receive()?;
    println!("a frame of EtherType {:02x?} went out", &out[12..14]);
    let refused = device.control(COUNT, &[], 4)?.bytes;
    println!("{} frames were turned away", refused[0]);

    device.close()?;
    program.terminate()?;
    nic.remove()?;
    println!("{}", driver.unload()?);
    Ok(())
}

#[cfg(test)]
mod tests {
    use nt_sim::{FaultPlan, NtStatus, nic::Layout};

    use super::*;

    #[test]
    fn the_story_goes_well() {
        story().unwrap();
    }

    #[test]
    fn what_is_forbidden_stays_in_however_its_header_is_cut() {
        let lab = Lab::boot().unwrap();
        let driver = load(&lab).unwrap();
        let nic = lab.nic("eth0").create().unwrap();
        let program = lab.administrator("app").unwrap();
        let device = program.open("\\Device\\doorman").open().unwrap();
        device.control(FORBID, &ARP, 0).unwrap();
        let cuts = (1..20).map(|at| Layout::split(&[at]));
        for layout in cuts.chain((0..50).map(Layout::random)) {
            nic.stack().set_layout(layout.clone());
            nic.stack().send(frame(ARP, 3)).unwrap();
            nic.stack().send(frame(IPV4, 5)).unwrap();
            let out = nic.wire().receive().unwrap().data;
            assert_eq!(out, frame(IPV4, 5), "{layout:?}");
        }
        let refused = device.control(COUNT, &[], 4).unwrap().bytes;
        assert_eq!(refused, 69_u32.to_le_bytes());
        assert_eq!(nic.stack().failed_sends(), 69);
        device.close().unwrap();
        program.terminate().unwrap();
        nic.remove().unwrap();
        let report = driver.unload().unwrap();
        assert!(report.is_clean(), "{report}");
    }

    #[test]
    fn bad_orders_and_strangers_are_turned_away() {
        let lab = Lab::boot().unwrap();
        let _driver = load(&lab).unwrap();
        let stranger = lab.user("stranger").unwrap();
        let refused = stranger.open("\\Device\\doorman").open().err().unwrap();
        assert_eq!(
            refused.status(),
            Some(NtStatus(nt::Status::ACCESS_DENIED.0))
        );
        let program = lab.administrator("app").unwrap();
        let device = program.open("\\Device\\doorman").open().unwrap();
        for (code, input, output, status) in [
            (FORBID, &[8][..], 0, nt::Status::INVALID_PARAMETER),
            (COUNT, &[][..], 3, nt::Status::BUFFER_TOO_SMALL),
            (COUNT + 4, &[][..], 4, nt::Status::INVALID_DEVICE_REQUEST),
        ] {
            let answer = device.control_any(code, input, output).unwrap();
            assert_eq!(answer.status, NtStatus(status.0), "{code:#x}");
        }
    }

    /// Sends while the stack pauses and the driver unloads, in the order that a seed decides.
    fn storm(seed: u64) -> Result<(), LabError> {
        let lab = Lab::builder().cpus(2).seed(seed).boot()?;
        let driver = load(&lab)?;
        let nic = lab.nic("eth0").create()?;
        nic.wire().shuffle();
        for _ in 0..3 {
            nic.stack()
                .send_all((0..4).map(|n| frame(IPV4, n).into()))?;
            nic.pause()?;
            nic.restart()?;
        }
        let report = driver.unload()?;
        assert!(report.is_clean(), "{report}");
        Ok(())
    }

    #[test]
    fn nothing_is_lost_in_any_order_of_events() {
        for seed in 0..30 {
            storm(seed).unwrap_or_else(|error| panic!("seed {seed}: {error}"));
        }
    }

    #[test]
    fn every_allocation_may_fail() {
        for nth in 1.. {
            let lab = Lab::boot().unwrap();
            lab.inject_failures(FaultPlan::Nth(nth));
            match load(&lab) {
                Ok(driver) => assert!(driver.unload().unwrap().is_clean()),
                // Refusing to start is an answer, as long as nothing is left.
                Err(LabError::Status { .. }) => {}
                Err(error) => panic!("allocation {nth}: {error}"),
            }
            if lab.injected_failures().is_empty() {
                assert!(nth > 5, "only {nth} allocations were seen");
                return;
            }
        }
    }
}
