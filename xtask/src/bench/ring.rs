//! `cargo xtask bench ring`.

use std::sync::atomic::{
    AtomicBool, AtomicU64, Ordering::Acquire, Ordering::Relaxed, Ordering::Release,
};
use std::thread;
use std::time::Instant;

use super::measure::{Bench, Case, Contender, pin};

/// Runs the cases.
pub(crate) fn run(bench: &Bench) -> anyhow::Result<Vec<Case>> {
    // Asked for here, so that no thread waits for another one that could not be pinned.
    pin(bench.peer_cpu)?;
    pin(bench.cpu)?;
    let mut cases = Vec::new();
    cases.extend(round_trip(bench)?);
    Ok(cases)
}

/// A word alone on its cache line, and on the line the processor fetches with it.
#[repr(align(128))]
#[derive(Default)]
struct Line(AtomicU64);

/// How long a cache line takes to the other processor and back: what a ring's two ends cannot undercut.
fn round_trip(bench: &Bench) -> anyhow::Result<Option<Case>> {
    let (ping, pong, stop) = (Line::default(), Line::default(), AtomicBool::new(false));
    thread::scope(|scope| {
        let echo = scope.spawn(|| {
            pin(bench.peer_cpu)?;
            let mut seen = 0;
            while !stop.load(Relaxed) {
                let value = ping.0.load(Acquire);
                if value != seen {
                    seen = value;
                    pong.0.store(value, Release);
                }
            }
            anyhow::Ok(())
        });
        let mut count = 0;
        let case = bench.case(
            "cache line, there and back, two processors",
            vec![Contender::timed("round trip", 1, |iterations| {
                let start = Instant::now();
                for _ in 0..iterations {
                    count += 1;
                    ping.0.store(count, Release);
                    while pong.0.load(Acquire) != count {
                        std::hint::spin_loop();
                    }
                }
                start.elapsed()
            })],
        );
        stop.store(true, Relaxed);
        echo.join()
            .unwrap_or_else(|_| Err(anyhow::anyhow!("the echoing thread panicked")))?;
        case
    })
}
