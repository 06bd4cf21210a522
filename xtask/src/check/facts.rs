//! Which Windows build first had a kernel function.

use std::collections::HashMap;
use std::sync::LazyLock;

/// The oldest supported system: Windows Server 2019.
pub(super) const OLDEST_BUILD: u32 = 17763;

/// When a function appeared.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum First {
    /// In the oldest supported system or before.
    Old,
    /// Later: build and name of the version.
    Later(u32, &'static str),
}

static TABLE: LazyLock<HashMap<&'static str, First>> = LazyLock::new(|| {
    include_str!("../../data/first-builds.tsv")
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| {
            let mut columns = line.split('\t');
            let name = columns.next()?;
            let later = columns
                .next()
                .and_then(|build| build.parse().ok())
                .zip(columns.next());
            Some((
                name,
                later.map_or(First::Old, |(build, version)| First::Later(build, version)),
            ))
        })
        .collect()
});

/// Looks a function up; `None` if the table does not know it.
pub(super) fn first_build(function: &str) -> Option<First> {
    TABLE.get(function).copied()
}
