//! Building and changing classifiers.

use std::collections::VecDeque;
use std::hint::black_box;
use std::time::Instant;

use xdp_rules::oracle::Random;

use super::super::measure::{Bench, Case, Contender};
use super::lists::Rule;
use super::{Compiled, compile};

/// What compiling 10,000 rules may take, on any machine.
const COMPILE_NS: f64 = 5e6;
/// What one change may take.
const CHANGE_NS: f64 = 2e4;

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
    let mut keys: VecDeque<_> = compiled.iter().map(|(key, _, _)| key).collect();
    let mut random = Random::new(7);
    let mut longest = 0u128;
    let case = {
        let contender = Contender::new("remove one, add one", 2, || {
            let index = random.below(keys.len());
            let key = keys.swap_remove_back(index);
            let start = Instant::now();
            let removed = key.and_then(|key| compiled.remove(key));
            if let Some((pattern, value)) = removed
                && let Ok(key) = compiled.push(pattern, value)
            {
                longest = longest.max(start.elapsed().as_nanos());
                keys.push_back(key);
            }
        });
        bench.case(format!("{name}, change"), vec![contender])?
    };
    Ok(case.map(|case| {
        case.against(CHANGE_NS, (1.0, 1.0))
            .note("longest pair of changes, ns", longest as f64)
            .note("rules at the end", compiled.len() as f64)
    }))
}
