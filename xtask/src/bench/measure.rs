//! Measuring: pinned threads, slices of about a millisecond, contenders taking turns, minimum and median.
//!
//! Machines that run benchmarks are rarely quiet. Contenders of one case therefore run in turn, one slice each, so
//! that a disturbance meets all of them, and what counts is the ratio within a case.

use std::fmt;
use std::time::{Duration, Instant};

use anyhow::Context;
use rustix::thread::{CpuSet, sched_setaffinity};
use serde::Serialize;

/// How a suite is to be measured.
pub(crate) struct Bench {
    /// Processor of the measuring thread.
    pub(crate) cpu: usize,
    /// Processor of the second thread, where a case has one.
    pub(crate) peer_cpu: usize,
    /// Slices per contender.
    pub(crate) slices: usize,
    /// How long one slice should last.
    pub(crate) slice: Duration,
    /// Only cases whose name contains this.
    pub(crate) only: Option<String>,
}

/// One thing that is measured.
pub(crate) struct Contender<'a> {
    name: String,
    run: Box<dyn FnMut(u64) -> Duration + 'a>,
    operations_per_iteration: u64,
}

impl<'a> Contender<'a> {
    /// A contender whose iteration does `operations_per_iteration` of what is counted.
    pub(crate) fn new(
        name: impl Into<String>,
        operations_per_iteration: u64,
        mut iteration: impl FnMut() + 'a,
    ) -> Self {
        Self::timed(name, operations_per_iteration, move |iterations| {
            let start = Instant::now();
            for _ in 0..iterations {
                iteration();
            }
            start.elapsed()
        })
    }

    /// A contender that times a number of iterations itself.
    pub(crate) fn timed(
        name: impl Into<String>,
        operations_per_iteration: u64,
        run: impl FnMut(u64) -> Duration + 'a,
    ) -> Self {
        Self {
            name: name.into(),
            run: Box::new(run),
            operations_per_iteration,
        }
    }

    /// Iterations that last about one slice, judged by the fastest of a few tries: a thread that loses its processor
    /// in the middle would otherwise leave slices of a single iteration.
    fn calibrate(&mut self, slice: Duration) -> u64 {
        let mut iterations = 1;
        loop {
            let elapsed = (0..4)
                .map(|_| (self.run)(iterations))
                .min()
                .unwrap_or_default();
            if elapsed >= slice / 4 || iterations >= 1 << 32 {
                let per_iteration = elapsed.as_secs_f64() / iterations as f64;
                return ((slice.as_secs_f64() / per_iteration) as u64).max(1);
            }
            iterations *= 2;
        }
    }
}

impl Bench {
    /// Whether the case was asked for.
    pub(crate) fn wants(&self, case: &str) -> bool {
        self.only.as_deref().is_none_or(|text| case.contains(text))
    }

    /// Measures the contenders in turn, slice by slice, on the pinned processor; `None` for a case not asked for.
    ///
    /// The first contender is the one the others' ratios refer to.
    pub(crate) fn case(
        &self,
        name: impl Into<String>,
        mut contenders: Vec<Contender<'_>>,
    ) -> anyhow::Result<Option<Case>> {
        let name = name.into();
        if !self.wants(&name) {
            return Ok(None);
        }
        pin(self.cpu)?;
        let iterations: Vec<u64> = contenders
            .iter_mut()
            .map(|contender| contender.calibrate(self.slice))
            .collect();
        let mut samples = vec![Vec::with_capacity(self.slices); contenders.len()];
        for _ in 0..self.slices {
            for ((contender, &iterations), samples) in
                contenders.iter_mut().zip(&iterations).zip(&mut samples)
            {
                let elapsed = (contender.run)(iterations);
                let operations = iterations * contender.operations_per_iteration;
                samples.push(elapsed.as_nanos() as f64 / operations as f64);
            }
        }
        let first = samples.first().cloned().unwrap_or_default();
        let results = contenders
            .iter()
            .zip(samples)
            .map(|(contender, samples)| Measurement::of(&contender.name, samples, &first))
            .collect();
        Ok(Some(Case {
            name,
            notes: Vec::new(),
            target: None,
            results,
        }))
    }
}

/// Pins the calling thread to one processor.
pub(crate) fn pin(cpu: usize) -> anyhow::Result<()> {
    let mut set = CpuSet::new();
    anyhow::ensure!(cpu < CpuSet::MAX_CPU, "there is no processor {cpu}");
    set.set(cpu);
    sched_setaffinity(None, &set).with_context(|| format!("pinning a thread to processor {cpu}"))
}

/// What one contender of a case needed, in nanoseconds per operation.
#[derive(Serialize)]
pub(crate) struct Measurement {
    /// Who.
    pub(crate) name: String,
    /// Fastest slice.
    pub(crate) min_ns: f64,
    /// Middle slice.
    pub(crate) median_ns: f64,
    /// Fastest slice, relative to the first contender of the case.
    pub(crate) min_ratio: f64,
    /// The middle one among the ratios of a slice to the first contender's slice just before it: what the machine did meanwhile met
    /// both.
    pub(crate) median_ratio: f64,
    /// Slices measured.
    pub(crate) slices: usize,
}

impl Measurement {
    fn of(name: &str, samples: Vec<f64>, first: &[f64]) -> Self {
        let ratios = samples.iter().zip(first).map(|(own, first)| own / first);
        let (_, median_ratio) = min_and_median(ratios.collect());
        let (first_ns, _) = min_and_median(first.to_vec());
        let slices = samples.len();
        let (min_ns, median_ns) = min_and_median(samples);
        Self {
            name: name.to_owned(),
            min_ns,
            median_ns,
            min_ratio: min_ns / first_ns,
            median_ratio,
            slices,
        }
    }
}

fn min_and_median(mut samples: Vec<f64>) -> (f64, f64) {
    samples.sort_by(f64::total_cmp);
    let at = |index: usize| samples.get(index).copied().unwrap_or(f64::NAN);
    (at(0), at(samples.len() / 2))
}

/// One case: the same work done by several contenders.
#[derive(Serialize)]
pub(crate) struct Case {
    /// What is measured.
    pub(crate) name: String,
    /// Facts that belong to the case: sizes, memory, the machine's state.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) notes: Vec<(String, f64)>,
    /// What the first contender should need at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) target: Option<Target>,
    /// One measurement per contender.
    pub(crate) results: Vec<Measurement>,
}

/// What the first contender of a case should need at most.
#[derive(Serialize)]
pub(crate) struct Target {
    /// On the machine the target was set for.
    pub(crate) ns: f64,
    /// For the fastest slice, here.
    pub(crate) min_ns: f64,
    /// For the middle slice, here.
    pub(crate) median_ns: f64,
    /// Whether the fastest slice was fast enough.
    pub(crate) min_met: bool,
    /// Whether the middle slice was.
    pub(crate) median_met: bool,
}

impl Case {
    /// Compares the first contender with each of the named ones, slice by slice.
    pub(crate) fn against_peers(mut self, names: &[&str]) -> Self {
        let (mut min_ns, mut median_ns) = (f64::INFINITY, f64::INFINITY);
        let (mut min_met, mut median_met) = (true, true);
        for peer in &self.results {
            if names.contains(&peer.name.as_str()) {
                min_ns = min_ns.min(peer.min_ns);
                median_ns = median_ns.min(peer.median_ns);
                min_met &= peer.min_ratio >= 1.0;
                median_met &= peer.median_ratio >= 1.0;
            }
        }
        self.target = Some(Target {
            ns: min_ns,
            min_ns,
            median_ns,
            min_met,
            median_met,
        });
        self
    }

    /// Compares the first contender with a target, which is first multiplied by how much slower than the target's machine this
    /// one is: for the fastest and for the middle slice.
    pub(crate) fn against(mut self, ns: f64, (min_scale, median_scale): (f64, f64)) -> Self {
        if let Some(first) = self.results.first() {
            let (min_ns, median_ns) = (ns * min_scale, ns * median_scale);
            self.target = Some(Target {
                ns,
                min_ns,
                median_ns,
                min_met: first.min_ns <= min_ns,
                median_met: first.median_ns <= median_ns,
            });
        }
        self
    }

    /// Adds a fact.
    pub(crate) fn note(mut self, name: impl Into<String>, value: f64) -> Self {
        self.notes.push((name.into(), value));
        self
    }
}

/// Where it was measured.
#[derive(Serialize)]
pub(crate) struct Machine {
    /// Model of the processor.
    processor: String,
    /// Processors in the machine.
    processors: usize,
    /// Architecture.
    architecture: &'static str,
    /// Second-level cache of one processor, which decides what a stream of many packets costs; absent where it is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    l2_cache: Option<String>,
}

impl Machine {
    /// This machine.
    pub(crate) fn describe() -> Self {
        let information = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let model = information
            .lines()
            .find(|line| line.starts_with("model name"))
            .and_then(|line| line.split_once(':'))
            .map_or("unknown", |(_, model)| model.trim());
        Self {
            processor: model.to_owned(),
            processors: information
                .lines()
                .filter(|line| line.starts_with("processor"))
                .count(),
            architecture: std::env::consts::ARCH,
            l2_cache: std::fs::read_to_string("/sys/devices/system/cpu/cpu0/cache/index2/size")
                .ok()
                .map(|size| size.trim().to_owned()),
        }
    }
}

/// Everything a run measured.
#[derive(Serialize)]
pub(crate) struct Report {
    /// Where.
    pub(crate) machine: Machine,
    /// What.
    pub(crate) cases: Vec<Case>,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{}, {} processors, L2 cache {}",
            self.machine.processor,
            self.machine.processors,
            self.machine.l2_cache.as_deref().unwrap_or("unknown")
        )?;
        for case in &self.cases {
            writeln!(f, "\n{}", case.name)?;
            for (name, value) in &case.notes {
                writeln!(f, "  {name}: {value:.1}")?;
            }
            if let Some(target) = &case.target {
                let verdict = |met| if met { "met" } else { "MISSED" };
                writeln!(
                    f,
                    "  target {:<25} {:>9.2} ns min {:>9.2} ns median   {} {}",
                    format!("{:.2} ns, here", target.ns),
                    target.min_ns,
                    target.median_ns,
                    verdict(target.min_met),
                    verdict(target.median_met)
                )?;
            }
            for result in &case.results {
                writeln!(
                    f,
                    "  {:<32} {:>9.2} ns min {:>9.2} ns median   {:>6.2}x {:>6.2}x",
                    result.name,
                    result.min_ns,
                    result.median_ns,
                    result.min_ratio,
                    result.median_ratio
                )?;
            }
        }
        Ok(())
    }
}
