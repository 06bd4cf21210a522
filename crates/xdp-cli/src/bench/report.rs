//! What a benchmark found out.

use std::fmt;
use std::io;
use std::time::Duration;

use serde::Serialize;

use super::histogram::Histogram;
use crate::args::si;
use crate::error::Failure;
use crate::output::{Format, Record, Writer};

/// The result of a benchmark.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Result {
    pub(crate) test: &'static str,
    pub(crate) interface: String,
    pub(crate) queue: u32,
    /// Where the frames came from, or went to.
    pub(crate) peer: &'static str,
    pub(crate) frame_bytes: usize,
    pub(crate) batch: usize,
    pub(crate) seconds: f64,
    /// Frames that the generator of the lab gave.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) offered: Option<u64>,
    pub(crate) frames: u64,
    /// Frames that were offered and did not arrive.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) lost: Option<u64>,
    /// How long whoever received had to wait for a processor.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) waited_seconds: Option<f64>,
    pub(crate) frames_per_second: f64,
    pub(crate) bits_per_second: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) latency_ns: Option<Latency>,
    /// How long words took that the threads handed over beside the frames.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) handover_ns: Option<Latency>,
    /// How much longer each frame took than its word.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) added_ns: Option<Latency>,
}

/// How long frames took, in nanoseconds.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Latency {
    pub(crate) samples: u64,
    pub(crate) mean: u64,
    pub(crate) p50: u64,
    pub(crate) p99: u64,
    pub(crate) p999: u64,
    pub(crate) max: u64,
}

impl Record for Result {
    const KIND: &'static str = "benchmark";
    const LABELS: &'static [&'static str] = &["test", "interface", "queue", "peer"];
}

impl Latency {
    pub(crate) fn of(histogram: &Histogram) -> Self {
        Self {
            samples: histogram.samples(),
            mean: histogram.mean_ns(),
            p50: histogram.quantile_ns(0.5),
            p99: histogram.quantile_ns(0.99),
            p999: histogram.quantile_ns(0.999),
            max: histogram.max_ns(),
        }
    }
}

impl fmt::Display for Latency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let us = |ns: u64| format!("{:.1} us", ns as f64 / 1e3);
        write!(
            f,
            "p50 {}, p99 {}, p99.9 {}, max {}, mean {} ({} samples)",
            us(self.p50),
            us(self.p99),
            us(self.p999),
            us(self.max),
            us(self.mean),
            self.samples
        )
    }
}

impl Result {
    /// Works out the rates.
    pub(crate) fn rated(mut self, frames: u64, time: Duration) -> Self {
        self.frames = frames;
        self.seconds = time.as_secs_f64();
        let seconds = self.seconds.max(f64::MIN_POSITIVE);
        self.frames_per_second = frames as f64 / seconds;
        self.bits_per_second = self.frames_per_second * self.frame_bytes as f64 * 8.0;
        self
    }

    /// Writes it to standard output.
    pub(crate) fn write(&self, format: Format) -> std::result::Result<(), Failure> {
        if let Some(mut writer) = Writer::new(format, io::stdout().lock()) {
            writer.record(self)?;
            writer.finish()?;
            return Ok(());
        }
        anstream::println!(
            "{}: {} frames of {} bytes in {:.2} s: {}, {}",
            self.test,
            self.frames,
            self.frame_bytes,
            self.seconds,
            si(self.frames_per_second, "frames/s"),
            si(self.bits_per_second, "bit/s"),
        );
        if let (Some(offered), Some(lost)) = (self.offered, self.lost) {
            anstream::println!("offered {offered}, lost {lost}");
            if let Some(waited) = self.waited_seconds.filter(|_| lost > 0) {
                let milliseconds = waited * 1e3;
                anstream::println!(
                    "while other programs had its processor, the receiver waited {milliseconds:.1} ms in all"
                );
            }
        }
        for (name, latency) in [
            ("latency", self.latency_ns),
            ("of that, between the threads alone", self.handover_ns),
            ("added by driver, card and socket", self.added_ns),
        ] {
            if let Some(latency) = latency {
                anstream::println!("{name}: {latency}");
            }
        }
        Ok(())
    }
}
