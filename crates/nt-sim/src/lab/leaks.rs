//! What a driver left behind when it unloaded.

use std::{
    fmt,
    sync::{Arc, atomic::Ordering},
};

use crate::{
    ex,
    io::{self, driver::Driver},
    kernel::{kernel, strict},
    mem::caller::{self, LINKED},
    ndis, nmr, ps, trace,
    verifier::Rule,
};

/// Something that a driver did not give back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leak {
    /// What kind of thing it is.
    pub kind: &'static str,
    /// How many.
    pub count: usize,
    /// Which, in words.
    pub details: String,
}

/// What was left when a driver had unloaded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use]
pub struct UnloadReport {
    /// What the driver did not give back; empty for a clean unload.
    pub leaks: Vec<Leak>,
    /// Most bytes of kernel stack that a thread used.
    pub deepest_stack: usize,
}

impl UnloadReport {
    /// Whether everything was given back.
    pub fn is_clean(&self) -> bool {
        self.leaks.is_empty()
    }
}

impl fmt::Display for UnloadReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_clean() {
            return write!(
                f,
                "clean: no memory, NBL, MDL, handle, object or thread left; deepest kernel stack {} bytes",
                self.deepest_stack
            );
        }
        for leak in &self.leaks {
            writeln!(f, "left {} {}: {}", leak.count, leak.kind, leak.details)?;
        }
        Ok(())
    }
}

const REGISTRATIONS: &str = "NDIS registrations";
const THREADS: &str = "threads";
const TIMERS: &str = "timers";
const WORK_ITEMS: &str = "work items";
const OBJECTS: &str = "objects in use";
const POOL_BLOCKS: &str = "pool blocks";
const MDLS: &str = "MDLs, locks or mappings";

/// The rule that the leaks break: the one whose breach does most harm.
fn rule(leaks: &[Leak]) -> Rule {
    let any = |kinds: &[&str]| leaks.iter().any(|leak| kinds.contains(&leak.kind));
    if any(&[REGISTRATIONS]) {
        Rule::NdisLeftRegistered
    } else if any(&[THREADS, TIMERS, WORK_ITEMS, OBJECTS]) {
        Rule::PendingAtUnload
    } else {
        Rule::LeakAtUnload
    }
}

/// Looks for what a driver left; in strict mode anything stops the kernel.
pub(super) fn check(driver: &Arc<Driver>, when: &str) -> UnloadReport {
    let report = UnloadReport {
        leaks: of(driver),
        deepest_stack: kernel().verifier.deepest_stack_now(),
    };
    if strict() {
        // Damage and pure leaks of memory have rules of their own.
        let memory_only = report
            .leaks
            .iter()
            .all(|leak| leak.kind == POOL_BLOCKS || leak.kind == MDLS);
        if memory_only {
            kernel()
                .mem
                .check_unloaded(memory_owner(driver), &driver.name);
        }
    }
    if strict() && !report.is_clean() {
        crate::bugcheck!(rule(&report.leaks), report.leaks.len();
            "{}: {when} left things behind\n{report}", driver.name);
    }
    report
}

/// What the driver's memory, and everything else that it made, is filed under.
fn memory_owner(driver: &Driver) -> u16 {
    match driver.image_base() {
        0 => LINKED,
        base => kernel().mem.owner_of_image(base),
    }
}

/// What is left of a driver.
fn of(driver: &Arc<Driver>) -> Vec<Leak> {
    let kernel = kernel();
    let owner = memory_owner(driver);
    let mut leaks = Vec::new();
    let mut note = |kind: &'static str, left: Vec<String>| {
        if !left.is_empty() {
            leaks.push(Leak {
                kind,
                count: left.len(),
                details: left.join(", "),
            });
        }
    };
    note("devices", devices(driver));
    for (kind, left) in ndis::left_by(driver.object.address) {
        note(kind, left);
    }
    note("system handles", kernel.ob.kernel_handles.left_by(owner));
    note(WORK_ITEMS, io::work_item::left_by(owner));
    note("ETW providers", trace::etw_left_by(owner));
    note(
        "performance counter sets and instances",
        trace::pcw_left_by(owner),
    );
    note("network modules", nmr::left_by(owner));
    note(TIMERS, ex::timers_left_by(owner));
    note("callback registrations", ex::callbacks_left_by(owner));
    note("process routines", ps::watches_left_by(owner));
    note("cache-aware rundown references", ex::rundown_left_by(owner));
    note(OBJECTS, objects(owner));
    note("requests", io::irp::left_by(driver, owner));
    note(THREADS, threads(owner));
    memory(owner, &mut leaks);
    leaks
}

fn devices(driver: &Arc<Driver>) -> Vec<String> {
    let devices = kernel().io.devices.lock();
    let mine = devices.values().filter(|d| Arc::ptr_eq(&d.driver, driver));
    mine.map(|d| {
        let name = d.object.name.lock().clone();
        name.unwrap_or_else(|| "without a name".into())
    })
    .collect()
}

/// Timers, DPCs, work items and locks in the driver's memory.
fn objects(owner: u16) -> Vec<String> {
    let objects: Vec<_> = {
        let objects = kernel().verifier.objects.lock();
        let all = objects.iter();
        all.map(|(address, object)| (address, object.clone()))
            .collect()
    };
    objects
        .into_iter()
        .filter(|(address, object)| {
            // Only strict mode knows whose memory an object is in.
            let of = if strict() {
                caller::owner_of(*address)
            } else {
                object.owner
            };
            of == owner
        })
        .map(|(address, object)| format!("a {} at {address:#x}", object.kind))
        .collect()
}

fn threads(owner: u16) -> Vec<String> {
    let threads = kernel().sched.threads.lock();
    let mine = threads
        .iter()
        .filter(|t| t.owner.load(Ordering::Relaxed) == owner);
    mine.map(|t| t.name.clone()).collect()
}

fn memory(owner: u16, leaks: &mut Vec<Leak>) {
    for leak in kernel().mem.pool.leaks(owner) {
        leaks.push(Leak {
            kind: POOL_BLOCKS,
            count: leak.blocks as usize,
            details: format!(
                "tag '{}', {} bytes{}",
                leak.tag,
                leak.bytes,
                crate::mem::report::leak_places(&leak)
            ),
        });
    }
    let mdls = kernel().mem.mdl_leaks(Some(owner));
    if !mdls.is_empty() {
        leaks.push(Leak {
            kind: MDLS,
            count: mdls.len(),
            details: mdls
                .iter()
                .map(|m| format!("{:#x} {}", m.address, m.what))
                .collect::<Vec<_>>()
                .join(", "),
        });
    }
}
