//! The driver on its data path, through the public ABI only: any compatible driver file can be measured.
//!
//! Every case runs with one rule, and with 1,000 rules ahead of it that do not match. Beside them the bare lab moves the
//! same frames the same way without a driver: from the wire to the stack, from the stack to the wire, or both for frames
//! that come and go. What a case costs beyond that is the driver's own part.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use anyhow::Result;
use nt_sim::{ClockMode, Lab, Mode, NtStatus, UserMemory, nic::Frame};
use scenarios::{Client, frames, matching, socket::Setup, socket::Socket, xsk::notify_in};
use xdp_abi::{Rule, frame::FrameDescriptor, ioctl, ring::RingFlags, xsk::NotifyFlags};
use zerocopy::IntoBytes;

use super::{
    lab::built,
    measure::{Bench, Case, Contender, Measurement},
};

/// Frames in a chain.
const CHAIN: usize = 64;
/// Chains that are sent before a program looks at its rings.
const CHAINS: usize = 4;
/// Frames of one round.
const ROUND: usize = CHAIN * CHAINS;
/// Port that the frames go to.
const PORT: u16 = 9;
/// Rules ahead of the one that matches.
const AHEAD: u16 = 1000;

/// What happens to the frames.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Job {
    /// A rule drops them.
    Drop,
    /// A rule lets them pass.
    Pass,
    /// A rule sends them back.
    Forward,
    /// A rule gives them to a socket, which recycles their chunks.
    Receive,
    /// A socket sends them.
    Send,
    /// A socket receives them and sends them back as they are.
    Echo,
}

/// A way of frames through a stack without a driver.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Bare {
    /// From the wire to the stack, and their buffers back.
    Receive,
    /// From the stack to the wire, and their completions back.
    Send,
}

impl Bare {
    const fn name(self) -> &'static str {
        match self {
            Self::Receive => "bare lab, wire to stack",
            Self::Send => "bare lab, stack to wire",
        }
    }

    fn contender<'a>(self) -> Contender<'a> {
        Contender::timed(self.name(), ROUND as u64, move |n| {
            bare(self, n).expect("what worked before works again")
        })
    }
}

impl Job {
    const ALL: [(Self, &'static str); 6] = [
        (Self::Drop, "receive and drop"),
        (Self::Pass, "receive and pass"),
        (Self::Forward, "L2FWD"),
        (Self::Receive, "redirect to a socket that recycles"),
        (Self::Send, "socket transmit"),
        (Self::Echo, "socket echo"),
    ];

    /// What the bare lab does with the frames of this job.
    const fn bare(self) -> &'static [Bare] {
        match self {
            Self::Drop | Self::Pass | Self::Receive => &[Bare::Receive],
            Self::Send => &[Bare::Send],
            Self::Forward | Self::Echo => &[Bare::Receive, Bare::Send],
        }
    }

    fn setup(self) -> Option<Setup> {
        let setup = match self {
            Self::Drop | Self::Pass | Self::Forward => return None,
            Self::Receive => Setup::rx(),
            Self::Send => Setup::tx(),
            Self::Echo => Setup::rx_tx(),
        };
        let size = ROUND as u32;
        Some(
            setup
                .chunks(2048, size)
                .rx_rings(size, size)
                .tx_rings(size, size),
        )
    }

    fn rule(self, socket: Option<&Socket<'_>>) -> Option<Rule> {
        let port = matching::udp_dst(PORT);
        Some(match self {
            Self::Drop => port.drop(),
            Self::Pass => port.pass(),
            Self::Forward => port.l2fwd(),
            Self::Receive | Self::Echo => port.redirect(&socket?.xsk),
            Self::Send => return None,
        })
    }
}

/// Runs the suite with the driver file, or with the one that `cargo xtask driver` built.
pub(super) fn run(bench: &Bench, driver: Option<&Path>) -> Result<Vec<Case>> {
    let file = driver.map_or_else(built, Path::to_path_buf);
    anyhow::ensure!(
        file.exists(),
        "{} does not exist: build it with `cargo xtask driver`, or name a file with --driver",
        file.display()
    );
    let mut cases = Vec::new();
    for (job, name) in Job::ALL {
        let name = format!("{name}, 64-byte frames in chains of 64, one processor, fast mode");
        if !bench.wants(&name) {
            continue;
        }
        // Once outside the measurement, where an error can be told.
        rounds(&file, job, 0, 1)?;
        let bare = job.bare();
        let mut contenders: Vec<_> = bare.iter().map(|bare| bare.contender()).collect();
        contenders.push(contender("one rule", &file, job, 0));
        if job != Job::Send {
            contenders.push(contender("1,000 rules ahead", &file, job, AHEAD));
        }
        let case = bench.case(&name, contenders)?;
        cases.extend(case.map(|case| own_part(case, bare.len())));
    }
    Ok(cases)
}

/// Notes what the others of a case cost beyond the first `bare` ones together.
fn own_part(mut case: Case, bare: usize) -> Case {
    let (bare, others) = case.results.split_at(bare.min(case.results.len()));
    let sum = |of: fn(&Measurement) -> f64| bare.iter().map(of).sum::<f64>();
    let (min, median) = (sum(|bare| bare.min_ns), sum(|bare| bare.median_ns));
    let notes: Vec<_> = others
        .iter()
        .flat_map(|other| {
            let name = &other.name;
            [
                (format!("own part, {name}, ns min"), other.min_ns - min),
                (
                    format!("own part, {name}, ns median"),
                    other.median_ns - median,
                ),
            ]
        })
        .collect();
    for (name, value) in notes {
        case = case.note(name, value);
    }
    case
}

fn contender<'a>(name: &str, file: &'a Path, job: Job, ahead: u16) -> Contender<'a> {
    Contender::timed(name, ROUND as u64, move |n| {
        rounds(file, job, ahead, n).expect("what worked before works again")
    })
}

fn lab() -> Result<Lab> {
    Ok(Lab::builder()
        .cpus(1)
        .mode(Mode::Fast)
        .clock(ClockMode::Real)
        .boot()?)
}

fn round() -> Vec<Frame> {
    let frame = || {
        let mut bytes = frames::udp4(PORT, &[0; 22]);
        bytes.resize(64, 0);
        Frame::new(bytes)
    };
    (0..CHAIN).map(|_| frame()).collect()
}

/// Times rounds of frames through a stack without a driver.
fn bare(way: Bare, count: u64) -> Result<Duration> {
    let lab = lab()?;
    let nic = lab.nic("bench").chain(CHAIN).inline().create()?;
    lab.settle()?;
    nic.stack().count_only();
    nic.wire().count_only();
    let frames = round();
    let blast = |frames: &[Frame], total| match way {
        Bare::Receive => nic.wire().blast(frames, total),
        Bare::Send => nic.stack().blast(frames, total),
    };
    blast(&frames, ROUND as u64)?;
    let total = count * ROUND as u64;
    let start = Instant::now();
    blast(&frames, total)?;
    let elapsed = start.elapsed();
    let arrived = match way {
        Bare::Receive => nic.stack().counters().received,
        Bare::Send => nic.wire().counters().received,
    };
    anyhow::ensure!(
        arrived == total + ROUND as u64,
        "{arrived} frames arrived in place of {}",
        total + ROUND as u64
    );
    Ok(elapsed)
}

/// Boots a lab with the driver, warms it up, and times rounds of frames through it.
fn rounds(file: &Path, job: Job, ahead: u16, count: u64) -> Result<Duration> {
    let lab = lab()?;
    let _driver = lab.load_as(file, "xdp")?;
    let nic = lab.nic("bench").chain(CHAIN).inline().create()?;
    lab.settle()?;
    nic.stack().count_only();
    nic.wire().count_only();
    let app = Client::new(&lab, "bench");
    let socket = job
        .setup()
        .map(|setup| app.socket(&nic, setup))
        .transpose()
        .map_err(|status| anyhow::anyhow!("the driver refused the socket: {status:?}"))?;
    let others = (0..ahead).map(|n| matching::udp_dst(10_000 + n).drop());
    let rules: Vec<Rule> = others.chain(job.rule(socket.as_ref())).collect();
    let _program = (!rules.is_empty())
        .then(|| app.program(&nic).rules(rules).create())
        .transpose()
        .map_err(|status| anyhow::anyhow!("the driver refused the program: {status:?}"))?;
    lab.settle()?;
    if let Some(socket) = &socket {
        prepare(socket, job);
    }
    let frames = round();
    // What a program has on its stack: the request is made again and again of the same memory.
    let poke = notify_in(NotifyFlags::POKE_TX, Some(Duration::ZERO));
    let poke = app.place(poke.as_bytes());
    let one = || -> Result<()> {
        if job != Job::Send {
            nic.wire().blast(&frames, ROUND as u64)?;
        }
        if let Some(socket) = &socket {
            serve(socket, job, &poke)?;
        }
        Ok(())
    };
    one()?;
    let start = Instant::now();
    for _ in 0..count {
        one()?;
    }
    Ok(start.elapsed())
}

/// Fills the rings once: rounds use the same chunks in the same order.
fn prepare(socket: &Socket<'_>, job: Job) {
    if job != Job::Send {
        socket.fill_all();
    }
    if job != Job::Receive {
        let tx = socket.rings.tx();
        for chunk in 0..ROUND as u32 {
            let frame = FrameDescriptor::new(socket.umem.chunk(chunk), 0, 64);
            tx.write_element(chunk, 0, frame.as_bytes());
        }
    }
}

/// What the program does after a round: moves indices only, as its chunks stay where they are.
fn serve(socket: &Socket<'_>, job: Job, poke: &UserMemory) -> Result<()> {
    const COUNT: u32 = ROUND as u32;
    if job != Job::Send {
        let (rx, fill) = (socket.rings.rx(), socket.rings.fill());
        let arrived = rx.producer().wrapping_sub(rx.consumer());
        anyhow::ensure!(arrived == COUNT, "{arrived} of {COUNT} frames arrived");
        rx.set_consumer(rx.producer());
        fill.set_producer(fill.producer().wrapping_add(COUNT));
    }
    if job != Job::Receive {
        let (tx, completion) = (socket.rings.tx(), socket.rings.completion());
        tx.set_producer(tx.producer().wrapping_add(COUNT));
        if tx.flags().contains(RingFlags::NEED_POKE) {
            let handle = socket.xsk.handle();
            let input = (poke.address(), poke.size());
            let poked = handle.control_raw(ioctl::xsk::NOTIFY, input, (0, 0))?;
            let status = poked.wait(None)?.map(|output| output.status);
            anyhow::ensure!(
                status.is_some_and(NtStatus::is_success),
                "the driver refused the poke: {status:?}"
            );
        }
        let sent = completion.producer().wrapping_sub(completion.consumer());
        anyhow::ensure!(sent == COUNT, "{sent} of {COUNT} frames were sent");
        completion.set_consumer(completion.producer());
    }
    Ok(())
}
