//! Building and changing classifiers.

use std::collections::VecDeque;
use std::hint::black_box;
use std::time::{Duration, Instant};

use xdp_rules::oracle::Random;

use super::super::measure::{Bench, Case, Contender};
use super::lists::Rule;
use super::{Compiled, compile};

/// What compiling 10,000 rules may take, on any machine.
const COMPILE_NS: f64 = 5e6;
/// What one change may take.
const CHANGE_NS: f64 = 2e4;
/// What takes longer than this was interrupted.
const INTERRUPTED: Duration = Duration::from_micros(10);

/// Measures compiling each list of 10,000, and changing it by one rule.
pub(super) fn run(bench: &Bench, lists: &[(&str, Vec<Rule<'_>>)]) -> anyhow::Result<Vec<Case>> {
    let mut cases = Vec::new();
    for (name, rules) in lists.iter().filter(|(_, rules)| rules.len() == 10_000) {
        if !bench.wants(&format!("{name}, compile")) && !bench.wants(&format!("{name}, change")) {
            continue;
        }
        let contender = Contender::new("compile, the whole list", 1, || {
            black_box(compile(black_box(rules)).ok());
        });
        let case = bench.case(format!("{name}, compile"), vec![contender])?;
        cases.extend(case.map(|case| case.against(COMPILE_NS, (1.0, 1.0))));
        cases.extend(change(bench, name, rules)?);
    }
    Ok(cases)
}

/// Measures removing any rule and adding it again at the end.
fn change(bench: &Bench, name: &str, rules: &[Rule<'_>]) -> anyhow::Result<Option<Case>> {
    let mut compiled: Compiled<'_> = compile(rules)?;
    // Room for a first rule more is made once, for all of them.
    compiled.reserve(rules.len() / 2)?;
    let mut keys: VecDeque<_> = compiled.iter().map(|(key, _, _)| key).collect();
    let mut random = Random::new(7);
    let (mut pairs, mut idle) = (Times::new(), Times::new());
    let case = {
        let contender = Contender::new("remove one, add one", 2, || {
            let index = random.below(keys.len());
            let key = keys.swap_remove_back(index);
            let start = Instant::now();
            let removed = key.and_then(|key| compiled.remove(key));
            if let Some((pattern, value)) = removed
                && let Ok(key) = compiled.push(pattern, value)
            {
                let took = pairs.add(start);
                keys.push_back(key);
                // What interrupts a change interrupts this as often: it takes as long.
                let start = Instant::now();
                while start.elapsed() < took.min(INTERRUPTED) {}
                idle.add(start);
            }
        });
        bench.case(format!("{name}, change"), vec![contender])?
    };
    Ok(case.map(|case| {
        let case = case.against(CHANGE_NS, (1.0, 1.0));
        let case = pairs.note(idle.note(case, "doing nothing"), "pair of changes");
        case.note("rules at the end", compiled.len() as f64)
    }))
}

/// How long each of many things took.
struct Times(Vec<u32>);

impl Times {
    fn new() -> Self {
        Self(Vec::with_capacity(1 << 22))
    }

    fn add(&mut self, start: Instant) -> Duration {
        let elapsed = start.elapsed();
        if self.0.len() < self.0.capacity() {
            self.0
                .push(u32::try_from(elapsed.as_nanos()).unwrap_or(u32::MAX));
        }
        elapsed
    }

    /// Notes the distribution.
    fn note(mut self, case: Case, what: &str) -> Case {
        self.0.sort_unstable();
        let count = self.0.len();
        let over = self.0.iter().filter(|&&ns| f64::from(ns) > CHANGE_NS);
        let over = over.count() as f64;
        let case = case.note(format!("{what}, times"), count as f64);
        let shares = [
            ("fastest", 0),
            ("50 %", 500_000),
            ("99 %", 990_000),
            ("99.9 %", 999_000),
            ("99.99 %", 999_900),
            ("longest", 1_000_000),
        ];
        let case = shares.into_iter().fold(case, |case, (name, share)| {
            let at = (count * share / 1_000_000).min(count.saturating_sub(1));
            let ns = self.0.get(at).map_or(f64::NAN, |&ns| f64::from(ns));
            case.note(format!("{what}, {name}, ns"), ns)
        });
        case.note(format!("{what}, longer than 20 us"), over)
    }
}
