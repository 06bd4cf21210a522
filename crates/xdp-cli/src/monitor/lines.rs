//! A line for each queue and interval, or records for programs.

use std::io::{self, Write};

use serde::Serialize;

use super::sample::{Change, Frames, LOSSES, QueueKey, Sample};
use crate::args::si;
use crate::output::{FAINT, Format, Record, Writer};

/// Lines between two headings.
const PAGE: usize = 20;
/// Talkers in each record of an interval.
const TALKERS: usize = 10;

#[derive(Serialize)]
struct QueueRecord<'a> {
    time: f64,
    interface: &'a str,
    hook: &'a str,
    queue: u32,
    seconds: f64,
    frames: u64,
    passed: u64,
    dropped: u64,
    redirected: u64,
    sent_back: u64,
    lost: u64,
    /// Why, where any were lost since the start.
    #[serde(skip_serializing_if = "Option::is_none")]
    lost_because: Option<serde_json::Map<String, serde_json::Value>>,
    frames_per_second: f64,
    passed_per_second: f64,
    dropped_per_second: f64,
    redirected_per_second: f64,
    sent_back_per_second: f64,
    lost_per_second: f64,
}

impl Record for QueueRecord<'_> {
    const KIND: &'static str = "monitor_queue";
    const LABELS: &'static [&'static str] = &["interface", "hook", "queue"];
    const COUNTERS: &'static [&'static str] = &[
        "frames",
        "passed",
        "dropped",
        "redirected",
        "sent_back",
        "lost",
    ];
}

#[derive(Serialize)]
struct TrafficRecord<'a> {
    time: f64,
    interface: &'a str,
    seconds: f64,
    received: u64,
    received_bytes: u64,
    sent: u64,
    sent_bytes: u64,
    received_per_second: f64,
    received_bits_per_second: f64,
    sent_per_second: f64,
    sent_bits_per_second: f64,
}

impl Record for TrafficRecord<'_> {
    const KIND: &'static str = "monitor_interface";
    const LABELS: &'static [&'static str] = &["interface"];
    const COUNTERS: &'static [&'static str] = &["received", "received_bytes", "sent", "sent_bytes"];
}

#[derive(Serialize)]
struct HitsRecord<'a> {
    time: f64,
    interface: &'a str,
    queue: u32,
    program: u64,
    number: usize,
    name: &'a str,
    hits: u64,
    hits_per_second: f64,
}

impl Record for HitsRecord<'_> {
    const KIND: &'static str = "monitor_rule";
    const LABELS: &'static [&'static str] = &["interface", "queue", "program", "number", "name"];
    const COUNTERS: &'static [&'static str] = &["hits"];
}

#[derive(Serialize)]
struct TalkerRecord<'a> {
    time: f64,
    source: &'a str,
    destination: &'a str,
    service: &'a str,
    frames: u64,
    bytes: u64,
    frames_per_second: f64,
    bits_per_second: f64,
}

impl Record for TalkerRecord<'_> {
    const KIND: &'static str = "monitor_talker";
    const LABELS: &'static [&'static str] = &["source", "destination", "service"];
    const COUNTERS: &'static [&'static str] = &["frames", "bytes"];
}

/// Writes what changed, interval by interval.
pub(super) struct Lines<W: Write> {
    shape: Shape<W>,
}

enum Shape<W: Write> {
    Text { out: W, lines: usize },
    Records(Writer<W>, Format),
}

impl<W: Write> Lines<W> {
    pub(super) fn new(format: Format, out: W) -> Self {
        let shape = match format {
            Format::Text => Shape::Text { out, lines: 0 },
            Format::Csv => Shape::Records(Writer::csv(out), format),
            Format::Prometheus => Shape::Records(Writer::prometheus(out), format),
            Format::Json => Shape::Records(Writer::json(out), format),
            Format::Ndjson => Shape::Records(Writer::ndjson(out), format),
        };
        Self { shape }
    }

    /// Writes an interval.
    pub(super) fn write(&mut self, now: &Sample, change: &Change) -> io::Result<()> {
        match &mut self.shape {
            Shape::Text { out, lines } => text(out, lines, now, change),
            Shape::Records(writer, format) => records(writer, *format, now, change),
        }
    }

    pub(super) fn finish(self) -> io::Result<()> {
        match self.shape {
            Shape::Text { mut out, .. } => out.flush(),
            Shape::Records(writer, _) => writer.finish(),
        }
    }
}

/// A rate in few letters.
pub(super) fn short(value: f64) -> String {
    si(value, "").trim_end().to_owned()
}

/// What rules and losses there are to tell of a queue.
fn details(now: &Sample, change: &Change, key: &QueueKey, frames: &Frames) -> String {
    let mut parts = Vec::new();
    for (rule, hits) in &change.rules {
        // Rules of programs that transmit have a queue of the same number.
        let is_here =
            rule.interface == key.interface && rule.queue == key.queue && key.hook == "receive";
        if is_here && *hits > 0 {
            let name = now.rules.get(rule).map_or("", |rule| rule.name.as_str());
            parts.push(format!("{name} {}/s", short(change.per_second(*hits))));
        }
    }
    for ((why, _), lost) in LOSSES.iter().zip(frames.lost) {
        if lost > 0 {
            parts.push(format!("lost, {why}: {}/s", short(change.per_second(lost))));
        }
    }
    parts.join("; ")
}

fn text(out: &mut impl Write, lines: &mut usize, now: &Sample, change: &Change) -> io::Result<()> {
    let width = now
        .queues
        .keys()
        .map(|key| key.interface.len())
        .chain(now.traffic.iter().map(|traffic| traffic.interface.len()))
        .max()
        .unwrap_or(0)
        .max(9);
    if lines.is_multiple_of(PAGE) {
        writeln!(
            out,
            "{FAINT}{:>8}  {:width$}  {:>5}  {:>9}  {:>9}  {:>9}  {:>9}  {:>9}  {:>9}  DETAILS{FAINT:#}",
            "TIME",
            "INTERFACE",
            "QUEUE",
            "FRAMES/S",
            "PASSED",
            "DROPPED",
            "TO SOCKET",
            "SENT BACK",
            "LOST"
        )?;
    }
    let time = format!("{:.1} s", now.at.as_secs_f64());
    let rate = |number: u64| short(change.per_second(number));
    for traffic in &change.traffic {
        *lines += 1;
        let bits = |bytes: u64| si(change.per_second(bytes) * 8.0, "bit/s");
        writeln!(
            out,
            "{time:>8}  {:width$}  {:>5}  {:>9}  {:55}{}; out {} frames/s, {}",
            traffic.interface,
            "wire",
            rate(traffic.received),
            "",
            bits(traffic.received_bytes),
            rate(traffic.sent),
            bits(traffic.sent_bytes)
        )?;
    }
    for (key, frames) in &change.queues {
        let is_quiet = now.queues.get(key).is_none_or(|all| all.seen() == 0);
        if key.hook != "receive" && is_quiet {
            continue;
        }
        *lines += 1;
        let queue = match key.hook {
            "receive" => key.queue.to_string(),
            _ => format!("tx {}", key.queue),
        };
        let line = format!(
            "{time:>8}  {:width$}  {queue:>5}  {:>9}  {:>9}  {:>9}  {:>9}  {:>9}  {:>9}  {}",
            key.interface,
            rate(frames.seen()),
            rate(frames.passed),
            rate(frames.dropped),
            rate(frames.redirected),
            rate(frames.sent_back),
            rate(frames.all_lost()),
            details(now, change, key, frames),
        );
        writeln!(out, "{}", line.trim_end())?;
    }
    if change.queues.is_empty() && change.traffic.is_empty() {
        *lines += 1;
        writeln!(
            out,
            "{time:>8}  no program and no socket is on any queue: nothing is counted"
        )?;
    }
    out.flush()
}

fn records<W: Write>(
    writer: &mut Writer<W>,
    format: Format,
    now: &Sample,
    change: &Change,
) -> io::Result<()> {
    let (time, seconds) = (now.at.as_secs_f64(), change.seconds);
    let rate = |number: u64| change.per_second(number);
    for (all, traffic) in now.traffic.iter().zip(&change.traffic) {
        writer.record(&TrafficRecord {
            time,
            interface: &all.interface,
            seconds,
            received: all.received,
            received_bytes: all.received_bytes,
            sent: all.sent,
            sent_bytes: all.sent_bytes,
            received_per_second: rate(traffic.received),
            received_bits_per_second: rate(traffic.received_bytes) * 8.0,
            sent_per_second: rate(traffic.sent),
            sent_bits_per_second: rate(traffic.sent_bytes) * 8.0,
        })?;
    }
    for ((key, all), frames) in now.queues.iter().zip(change.queues.values()) {
        let why = LOSSES.iter().zip(all.lost).filter(|(_, lost)| *lost > 0);
        let why: serde_json::Map<_, _> = why
            .map(|((why, _), lost)| ((*why).to_owned(), lost.into()))
            .collect();
        writer.record(&QueueRecord {
            time,
            interface: &key.interface,
            hook: key.hook,
            queue: key.queue,
            seconds,
            frames: all.seen(),
            passed: all.passed,
            dropped: all.dropped,
            redirected: all.redirected,
            sent_back: all.sent_back,
            lost: all.all_lost(),
            lost_because: matches!(format, Format::Json | Format::Ndjson).then_some(why),
            frames_per_second: rate(frames.seen()),
            passed_per_second: rate(frames.passed),
            dropped_per_second: rate(frames.dropped),
            redirected_per_second: rate(frames.redirected),
            sent_back_per_second: rate(frames.sent_back),
            lost_per_second: rate(frames.all_lost()),
        })?;
    }
    for ((key, rule), hits) in now.rules.iter().zip(change.rules.values()) {
        writer.record(&HitsRecord {
            time,
            interface: &key.interface,
            queue: key.queue,
            program: key.program,
            number: key.number,
            name: &rule.name,
            hits: rule.hits,
            hits_per_second: rate(*hits),
        })?;
    }
    for (all, talker) in now.talkers.iter().zip(&change.talkers).take(TALKERS) {
        writer.record(&TalkerRecord {
            time,
            source: &all.pair.source,
            destination: &all.pair.destination,
            service: &all.pair.service,
            frames: all.frames,
            bytes: all.bytes,
            frames_per_second: rate(talker.frames),
            bits_per_second: rate(talker.bytes) * 8.0,
        })?;
    }
    Ok(())
}
