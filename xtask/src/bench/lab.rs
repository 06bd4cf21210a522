//! The lab itself: frames through a stack with and without the driver, and how long a boot takes.

use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::Result;
use nt_sim::{ClockMode, Lab, LabError, Mode, nic::Frame};
use scenarios::Client;

use super::measure::{Bench, Case, Contender};

/// Frames in a chain.
const CHAIN: usize = 64;
/// Bytes of a frame.
const FRAME: usize = 64;

/// Runs the suite with the driver file, or with the one that `cargo xtask driver` built.
pub(super) fn run(bench: &Bench, driver: Option<&Path>) -> Result<Vec<Case>> {
    let file = driver.map_or_else(built, Path::to_path_buf);
    anyhow::ensure!(
        file.exists(),
        "{} does not exist: build it with `cargo xtask driver`, or name a file with --driver",
        file.display()
    );
    // Once outside the measurement, where an error can be told.
    move_frames(Some(&file), 1)?;
    let mut cases = Vec::new();
    cases.extend(bench.case(
        "frames from the wire to the stack, one processor, fast mode, chains of 64",
        vec![
            contender("bare lab", None),
            contender("with the driver", Some(&file)),
        ],
    )?);
    cases.extend(bench.case(
        "boot, load the driver, attach to a NIC",
        vec![
            Contender::timed("fast", 1, |n| boots(Mode::Fast, &file, n)),
            Contender::timed("strict", 1, |n| boots(Mode::Strict, &file, n)),
        ],
    )?);
    Ok(cases)
}

/// The driver file that `cargo xtask driver` leaves.
pub(super) fn built() -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../target"),
        PathBuf::from,
    );
    target.join("driver/x86_64/xdp.sys")
}

fn contender<'a>(name: &str, file: Option<&'a Path>) -> Contender<'a> {
    Contender::timed(name, CHAIN as u64, move |chains| {
        // `run` has shown that the file loads; a measurement has nowhere to put an error.
        move_frames(file, chains).expect("what worked before works again")
    })
}

/// Boots a lab, warms it up, and times `chains` chains of frames through it.
fn move_frames(file: Option<&Path>, chains: u64) -> Result<Duration> {
    let lab = Lab::builder()
        .cpus(1)
        .mode(Mode::Fast)
        .clock(ClockMode::Real)
        .boot()?;
    let _driver = file.map(|file| lab.load_as(file, "xdp")).transpose()?;
    let nic = lab.nic("bench").chain(CHAIN).inline().create()?;
    lab.settle()?;
    nic.stack().count_only();
    // Without a program frames go round the filter.
    let app = Client::new(&lab, "bench");
    let _program = file
        .map(|_| app.program(&nic).create())
        .transpose()
        .map_err(|status| anyhow::anyhow!("the driver refused the program: {status:?}"))?;
    lab.settle()?;
    let frames: Vec<Frame> = (0..CHAIN).map(frame).collect();
    nic.wire().blast(&frames, 16 * CHAIN as u64)?;
    let before = nic.stack().counters().received;
    let total = chains * CHAIN as u64;
    let start = Instant::now();
    nic.wire().blast(&frames, total)?;
    let elapsed = start.elapsed();
    let arrived = nic.stack().counters().received - before;
    anyhow::ensure!(arrived == total, "{arrived} of {total} frames arrived");
    Ok(elapsed)
}

/// An Ethernet frame of an experimental type.
fn frame(n: usize) -> Frame {
    let mut bytes = vec![2; 12];
    bytes.extend([0x88, 0xb5]);
    bytes.resize(FRAME, n as u8);
    Frame::new(bytes)
}

fn boots(mode: Mode, file: &Path, count: u64) -> Duration {
    (0..count)
        .map(|_| boot(mode, file).expect("what worked before works again"))
        .sum()
}

/// Time from nothing to a running NIC under the driver.
fn boot(mode: Mode, file: &Path) -> Result<Duration, LabError> {
    let start = Instant::now();
    let lab = Lab::builder().mode(mode).boot()?;
    let _driver = lab.load_as(file, "xdp")?;
    let _nic = lab.nic("bench").create()?;
    lab.settle()?;
    Ok(start.elapsed())
}
