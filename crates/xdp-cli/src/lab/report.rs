//! What the lab prints.

use std::collections::BTreeMap;
use std::io;
use std::time::Duration;

use xdp::lab::{Counters, Driver};

use crate::args::si;
use crate::output::{FAINT, GOOD, count};
use crate::session::Listing;

/// Prints what was loaded.
pub(super) fn loaded(driver: &Driver) {
    let service = &driver.service;
    let Some(file) = &driver.file else {
        anstream::println!("driver {service}: linked into this program");
        return;
    };
    anstream::println!(
        "driver {service}: {} bytes, SHA-256 {}",
        file.bytes,
        file.sha256
    );
    let mut modules: BTreeMap<&str, usize> = BTreeMap::new();
    for import in &file.imports {
        *modules.entry(&import.module).or_default() += 1;
    }
    for (module, number) in modules {
        anstream::println!("  imports {number} from {module}");
    }
    for import in &file.unimplemented_imports {
        anstream::println!(
            "  {}!{} is not simulated: calling it stops the lab",
            import.module,
            import.name
        );
    }
}

/// Counters of one end at one time.
#[derive(Clone, Copy, Default)]
pub(super) struct Sample {
    counters: Counters,
}

impl Sample {
    /// A sample of these counters.
    pub(super) const fn new(counters: Counters) -> Self {
        Self { counters }
    }

    /// The line of one end: rates since the last sample, then totals.
    pub(super) fn line(&self, last: Self, elapsed: Duration) -> String {
        let (now, before) = (&self.counters, &last.counters);
        let seconds = elapsed.as_secs_f64().max(1e-9);
        let frames = |now: u64, before: u64| (now - before) as f64 / seconds;
        let bits = |now: u64, before: u64| (now - before) as f64 * 8.0 / seconds;
        format!(
            "in {:>11} {:>13}  out {:>11} {:>13}  dropped {}",
            si(frames(now.sent, before.sent), "f/s"),
            si(bits(now.sent_bytes, before.sent_bytes), "bit/s"),
            si(frames(now.received, before.received), "f/s"),
            si(bits(now.received_bytes, before.received_bytes), "bit/s"),
            now.dropped,
        )
    }

    /// The line of one end with totals only.
    pub(super) fn totals(&self) -> String {
        let counters = &self.counters;
        format!(
            "in {} frames, out {} frames, dropped {}",
            counters.sent, counters.received, counters.dropped
        )
    }
}

/// Prints how the lab is found.
pub(super) fn session(name: &str) {
    anstream::println!(
        "{FAINT}in other terminals it is lab:{name}, as in `xdp monitor -i lab:{name}`{FAINT:#}"
    );
}

/// Prints the rules and how often each decided.
pub(super) fn rules(listing: &Listing) -> io::Result<()> {
    listing.write_text(&mut anstream::stdout().lock())
}

/// Prints the end of the run.
pub(super) fn unloaded(deepest_stack: usize) {
    anstream::println!("{GOOD}clean unload{GOOD:#}: nothing was left behind");
    // Not measured when the verifier is fast or the driver is linked.
    if deepest_stack > 0 {
        anstream::println!("{FAINT}deepest kernel stack: {deepest_stack} bytes{FAINT:#}");
    }
}

/// The line that tells that frames pass.
pub(super) fn running(nics: usize, live: bool) {
    let hint = if live { "; Ctrl-C ends" } else { "" };
    anstream::println!("running: {}{hint}", count(nics, "network card"));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_shows_the_rates_since_the_last() {
        let first = Sample::new(Counters {
            sent: 100,
            sent_bytes: 6_400,
            ..Counters::default()
        });
        let second = Sample::new(Counters {
            sent: 2_100,
            sent_bytes: 134_400,
            dropped: 3,
            ..Counters::default()
        });
        let line = second.line(first, Duration::from_secs(2));
        assert!(line.starts_with("in   1.00 kf/s 512.00 kbit/s"), "{line}");
        assert!(line.ends_with("dropped 3"), "{line}");
    }
}
