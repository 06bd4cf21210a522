//! What owners of NDIS objects leave behind.

use std::{ffi::c_void, sync::atomic::Ordering};

use super::{layer::Part, tag};
use crate::{
    kernel::{kernel, strict},
    verifier::Rule,
};

/// Objects that belong to some owners, in words.
#[derive(Default)]
struct Left {
    /// NBLs and NET_BUFFERs that were not freed to their pools, a word for each pool.
    lists: Vec<String>,
    pools: Vec<String>,
    locks: usize,
    timers: usize,
    work_items: usize,
    configurations: usize,
    devices: usize,
    polls: usize,
    /// Timers that are set and work items that are queued.
    pending: usize,
    clones: usize,
}

impl Left {
    fn by(owned: impl Fn(usize) -> bool) -> Left {
        let ndis = &kernel().ndis;
        let mut left = Left::default();
        for pool in ndis.pools.live().into_iter().filter(|p| owned(p.owner)) {
            let words = format!(
                "a pool (tag '{}', {} allocated)",
                tag(pool.tag),
                pool.outstanding()
            );
            if pool.outstanding() > 0 {
                left.lists.push(words.clone());
            }
            left.pools.push(words);
        }
        let locks = ndis.rw_locks.live().into_iter();
        left.locks = locks.filter(|l| owned(l.owner)).count();
        for timer in ndis.timers.live().into_iter().filter(|t| owned(t.owner)) {
            left.timers += 1;
            left.pending += usize::from(timer.is_armed());
        }
        for item in ndis
            .work_items
            .live()
            .into_iter()
            .filter(|i| owned(i.owner))
        {
            left.work_items += 1;
            left.pending += usize::from(item.queued.load(Ordering::Acquire));
        }
        let configurations = ndis.configurations.live().into_iter();
        left.configurations = configurations.filter(|c| owned(c.owner)).count();
        let devices = ndis.devices.live().into_iter();
        left.devices = devices.filter(|d| owned(d.owner)).count();
        let polls = ndis.polls.live().into_iter();
        left.polls = polls.filter(|p| owned(p.owner)).count();
        let clones = ndis.requests.clones.lock();
        left.clones = clones.values().filter(|owner| owned(**owner)).count();
        left
    }

    /// What there is, without clones.
    fn words(&self) -> Vec<String> {
        let mut words = self.pools.clone();
        for (count, what) in [
            (self.locks, "reader-writer locks"),
            (self.timers, "timers"),
            (self.work_items, "work items"),
            (self.configurations, "open configurations"),
            (self.devices, "control devices"),
            (self.polls, "poll objects"),
        ] {
            if count > 0 {
                words.push(format!("{count} {what}"));
            }
        }
        words
    }
}

/// Stops the kernel when objects of `owner` are left.
pub(super) fn check_owner_left_nothing(owner: usize, name: &str) {
    if !strict() {
        return;
    }
    let left = Left::by(|other| other == owner);
    if left.pending > 0 {
        crate::bugcheck!(Rule::NdisPendingAtDetach, owner, left.pending;
            "{name} is gone and {} of its timers and work items are still to run", left.pending);
    }
    if !left.lists.is_empty() {
        crate::bugcheck!(Rule::NblLeaked, owner, left.lists.len();
            "{name} is gone and left NET_BUFFER_LISTs behind: {}", left.lists.join(", "));
    }
    let words = left.words();
    if !words.is_empty() {
        crate::bugcheck!(Rule::NdisObjectLeaked, owner, words.len();
            "{name} is gone and left behind: {}", words.join(", "));
    }
    if left.clones > 0 {
        crate::bugcheck!(Rule::OidCloneLeaked, owner, left.clones;
            "{name} is gone and left {} cloned OID requests behind", left.clones);
    }
}

/// Address of the driver object that `handle` (of a driver, a filter module or a miniport's adapter) belongs to, even
/// when it is gone.
fn driver_of(handle: usize) -> Option<usize> {
    let ndis = &kernel().ndis;
    let handle = handle as *const c_void;
    if let Some(driver) = ndis.filter_drivers.recall(handle) {
        return Some(driver.driver_object);
    }
    if let Some(driver) = ndis.miniport_drivers.recall(handle) {
        return Some(driver.driver_object);
    }
    let layer = ndis.layers.recall(handle)?;
    match &layer.part {
        Part::Filter(_) => layer.filter().map(|driver| driver.driver_object),
        Part::Miniport(bottom) => ndis
            .miniport_drivers
            .recall(bottom.driver() as *const c_void)
            .map(|driver| driver.driver_object),
        Part::Binding(_) => None,
    }
}

/// What the driver with this driver object left, by kind.
pub(crate) fn left_by(driver_object: usize) -> Vec<(&'static str, Vec<String>)> {
    let ndis = &kernel().ndis;
    let filters = ndis.filter_drivers.live().into_iter();
    let mut registered: Vec<_> = filters
        .filter(|driver| driver.driver_object == driver_object)
        .map(|driver| format!("the filter driver \"{}\"", driver.name))
        .collect();
    let miniports = ndis.miniport_drivers.live().into_iter();
    registered.extend(
        miniports
            .filter(|driver| driver.driver_object == driver_object)
            .map(|_| "a miniport driver".to_owned()),
    );
    let left = Left::by(|owner| driver_of(owner) == Some(driver_object));
    let clones = vec!["a clone".to_owned(); left.clones];
    vec![
        ("NDIS registrations", registered),
        ("NDIS objects", left.words()),
        ("cloned OID requests", clones),
    ]
}
