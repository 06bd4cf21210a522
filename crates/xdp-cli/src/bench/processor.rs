//! How long a thread had to wait for a processor: what is lost meanwhile is not lost for slowness.

use std::time::Duration;

/// What the calling thread had waited at one moment.
pub(super) struct Waiting(Option<Duration>);

impl Waiting {
    /// From now on.
    pub(super) fn begin() -> Self {
        Self(so_far())
    }

    /// How long the calling thread, which must be the one that began, waited since; none where nobody tells.
    pub(super) fn end(&self) -> Option<Duration> {
        Some(so_far()?.saturating_sub(self.0?))
    }
}

#[cfg(target_os = "linux")]
fn so_far() -> Option<Duration> {
    parse(&std::fs::read_to_string("/proc/thread-self/schedstat").ok()?)
}

#[cfg(not(target_os = "linux"))]
fn so_far() -> Option<Duration> {
    None
}

/// Nanoseconds that the thread ran, that it waited, and how often it got a processor.
#[cfg(any(target_os = "linux", test))]
fn parse(text: &str) -> Option<Duration> {
    let waited = text.split_whitespace().nth(1)?.parse().ok()?;
    Some(Duration::from_nanos(waited))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_number_is_the_wait() {
        assert_eq!(
            parse("3537000000 262000000 207\n"),
            Some(Duration::from_millis(262))
        );
        assert_eq!(parse(""), None);
        assert_eq!(parse("1 x 2"), None);
    }
}
