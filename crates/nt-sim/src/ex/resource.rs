//! Executive resources: locks for one writer or many readers, which their owners may take again.
//!
//! Who owns and who waits is kept here, by the address of the driver's `ERESOURCE`.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use crate::{
    exports,
    kernel::{kernel, strict},
    sched::{self, Thread},
    sync::Mutex,
    verifier::Rule,
};

/// Bytes of an `ERESOURCE`.
const SIZE: usize = 0x68;

#[derive(Default)]
struct Resource {
    exclusive: bool,
    /// Owning threads, and how often each has it.
    owners: BTreeMap<u32, u32>,
    waiting: VecDeque<Waiter>,
}

struct Waiter {
    thread: Arc<Thread>,
    exclusive: bool,
}

/// Resources that are initialised.
#[derive(Default)]
pub(crate) struct Resources {
    table: Mutex<BTreeMap<usize, Resource>>,
}

/// How a resource is to be taken.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Wanted {
    Exclusive,
    Shared,
    /// Shared, ahead of writers that wait.
    Starving,
}

impl Resource {
    /// Whether `thread` can have it now.
    fn is_free(&self, thread: u32, wanted: Wanted) -> bool {
        if self.owners.contains_key(&thread) {
            // Its owner may take it again, but shared owners cannot become the only one.
            return self.exclusive || wanted != Wanted::Exclusive;
        }
        let writers_wait = || {
            let mut before = self.waiting.iter();
            before.any(|w| w.exclusive && w.thread.id != thread)
        };
        match wanted {
            Wanted::Exclusive => self.owners.is_empty(),
            Wanted::Shared => !self.exclusive && !writers_wait(),
            Wanted::Starving => !self.exclusive,
        }
    }

    fn take(&mut self, thread: u32, wanted: Wanted) {
        if self.owners.is_empty() {
            self.exclusive = wanted == Wanted::Exclusive;
        }
        *self.owners.entry(thread).or_default() += 1;
        self.waiting.retain(|w| w.thread.id != thread);
    }
}

/// Runs `body` on the resource at `address`; stops the kernel when there is none.
fn with<R>(address: usize, function: &str, body: impl FnOnce(&mut Resource) -> R) -> R {
    let mut table = kernel().ex.resources.table.lock();
    let result = table.get_mut(&address).map(body);
    drop(table);
    result.unwrap_or_else(|| {
        crate::bugcheck!(Rule::ResourceMisused, address;
            "{function} for {address:#x}, which is no initialised resource")
    })
}

fn initialize(address: usize) {
    let mut table = kernel().ex.resources.table.lock();
    let twice = table.insert(address, Resource::default()).is_some();
    drop(table);
    if twice && strict() {
        crate::bugcheck!(Rule::ResourceMisused, address;
            "the resource at {address:#x} was initialised again without being deleted");
    }
    // SAFETY: the driver gives memory for a resource.
    unsafe { (address as *mut u8).write_bytes(0, SIZE) };
    let owner = crate::mem::caller::owner();
    let mut objects = kernel().verifier.objects.lock();
    objects.insert(address, "executive resource", SIZE, owner);
}

fn delete(address: usize) {
    let owners = with(address, "ExDeleteResourceLite", |r| {
        r.owners.len() + r.waiting.len()
    });
    if owners > 0 {
        crate::bugcheck!(Rule::ResourceMisused, address, owners;
            "the resource at {address:#x} was deleted while {owners} threads own it or wait for it");
    }
    kernel().ex.resources.table.lock().remove(&address);
    kernel().verifier.objects.lock().remove(address);
}

fn acquire(address: usize, wanted: Wanted, wait: bool, function: &'static str) -> bool {
    let thread = sched::current();
    if strict() && thread.apc_disable.get() == 0 && thread.guarded.get() == 0 && thread.irql() == 0
    {
        crate::bugcheck!(Rule::ResourceMisused, address;
            "{function} for the resource at {address:#x} outside a critical region");
    }
    loop {
        let (taken, upgrade) = with(address, function, |resource| {
            if resource.is_free(thread.id, wanted) {
                resource.take(thread.id, wanted);
                return (true, false);
            }
            let upgrade = resource.owners.contains_key(&thread.id);
            if wait
                && !upgrade
                && let Some(me) = thread.weak().upgrade()
            {
                let queued = resource.waiting.iter().any(|w| w.thread.id == thread.id);
                if !queued {
                    resource.waiting.push_back(Waiter {
                        thread: me,
                        exclusive: wanted == Wanted::Exclusive,
                    });
                }
            }
            (false, upgrade)
        });
        if taken {
            return true;
        }
        if !wait {
            return false;
        }
        if upgrade {
            crate::bugcheck!(Rule::ResourceMisused, address;
                "{function} for the resource at {address:#x}, which this thread owns shared: it would wait for itself");
        }
        sched::block();
    }
}

/// Lets those that wait try again.
fn wake(address: usize) {
    let waiting: Vec<Arc<Thread>> = with(address, "releasing a resource", |r| {
        r.waiting.iter().map(|w| Arc::clone(&w.thread)).collect()
    });
    for thread in waiting {
        sched::unblock(&thread);
    }
}

fn release(address: usize, thread: u32, function: &'static str) {
    let owned = with(address, function, |resource| {
        let count = resource.owners.get_mut(&thread)?;
        *count -= 1;
        if *count == 0 {
            resource.owners.remove(&thread);
        }
        if resource.owners.is_empty() {
            resource.exclusive = false;
        }
        Some(())
    });
    if owned.is_none() {
        crate::bugcheck!(Rule::ResourceMisused, address;
            "{function} for the resource at {address:#x}, which this thread does not own");
    }
    wake(address);
}

fn enter_region() {
    let thread = sched::current();
    thread.apc_disable.set(thread.apc_disable.get() + 1);
}

fn leave_region() {
    let thread = sched::current();
    thread.apc_disable.set(thread.apc_disable.get() - 1);
}

exports! { "ntoskrnl.exe" => pub(crate) EXPORTS;
    /// Makes a resource.
    #[irql(DISPATCH)]
    fn ExInitializeResourceLite(resource: *mut usize) -> i32 {
        initialize(resource as usize);
        0
    }

    /// Makes a resource that nobody owns fresh again.
    #[irql(DISPATCH)]
    fn ExReinitializeResourceLite(resource: *mut usize) -> i32 {
        delete(resource as usize);
        initialize(resource as usize);
        0
    }

    /// Ends the use of a resource.
    #[irql(APC)]
    fn ExDeleteResourceLite(resource: *mut usize) -> i32 {
        delete(resource as usize);
        0
    }

    /// Takes a resource for the calling thread alone; false when that needs waiting and `wait` is not set.
    #[irql(APC)]
    fn ExAcquireResourceExclusiveLite(resource: *mut usize, wait: u8) -> u8 {
        acquire(resource as usize, Wanted::Exclusive, wait != 0, "ExAcquireResourceExclusiveLite").into()
    }

    /// Takes a resource shared, behind writers that wait.
    #[irql(APC)]
    fn ExAcquireResourceSharedLite(resource: *mut usize, wait: u8) -> u8 {
        acquire(resource as usize, Wanted::Shared, wait != 0, "ExAcquireResourceSharedLite").into()
    }

    /// Takes a resource shared, ahead of writers that wait.
    #[irql(APC)]
    fn ExAcquireSharedStarveExclusive(resource: *mut usize, wait: u8) -> u8 {
        acquire(resource as usize, Wanted::Starving, wait != 0, "ExAcquireSharedStarveExclusive").into()
    }

    /// Releases a resource once.
    #[irql(DISPATCH)]
    fn ExReleaseResourceLite(resource: *mut usize) {
        release(resource as usize, sched::current().id, "ExReleaseResourceLite");
    }

    /// Makes the only owner one of many.
    #[irql(APC)]
    fn ExConvertExclusiveToSharedLite(resource: *mut usize) {
        let address = resource as usize;
        let me = sched::current().id;
        let converted = with(address, "ExConvertExclusiveToSharedLite", |r| {
            let mine = r.exclusive && r.owners.contains_key(&me);
            r.exclusive &= !mine;
            mine
        });
        if !converted {
            crate::bugcheck!(Rule::ResourceMisused, address;
                "ExConvertExclusiveToSharedLite for the resource at {address:#x}, which this thread does not own alone");
        }
        wake(address);
    }

    /// Whether the calling thread owns a resource alone.
    #[irql(DISPATCH)]
    fn ExIsResourceAcquiredExclusiveLite(resource: *mut usize) -> u8 {
        let me = sched::current().id;
        with(resource as usize, "ExIsResourceAcquiredExclusiveLite", |r| {
            u8::from(r.exclusive && r.owners.contains_key(&me))
        })
    }

    /// How often the calling thread owns a resource, in either way.
    #[irql(DISPATCH)]
    fn ExIsResourceAcquiredSharedLite(resource: *mut usize) -> u32 {
        let me = sched::current().id;
        with(resource as usize, "ExIsResourceAcquiredSharedLite", |r| {
            r.owners.get(&me).copied().unwrap_or(0)
        })
    }

    /// How many threads wait for a resource exclusively.
    #[irql(DISPATCH)]
    fn ExGetExclusiveWaiterCount(resource: *mut usize) -> u32 {
        with(resource as usize, "ExGetExclusiveWaiterCount", |r| {
            r.waiting.iter().filter(|w| w.exclusive).count() as u32
        })
    }

    /// How many threads wait for a resource shared.
    #[irql(DISPATCH)]
    fn ExGetSharedWaiterCount(resource: *mut usize) -> u32 {
        with(resource as usize, "ExGetSharedWaiterCount", |r| {
            r.waiting.iter().filter(|w| !w.exclusive).count() as u32
        })
    }

    /// Enters a critical region and takes a resource for the calling thread alone.
    #[irql(APC)]
    fn ExEnterCriticalRegionAndAcquireResourceExclusive(resource: *mut usize) -> *mut u8 {
        enter_region();
        acquire(resource as usize, Wanted::Exclusive, true, "ExEnterCriticalRegionAndAcquireResourceExclusive");
        std::ptr::null_mut()
    }

    /// Enters a critical region and takes a resource shared.
    #[irql(APC)]
    fn ExEnterCriticalRegionAndAcquireResourceShared(resource: *mut usize) -> *mut u8 {
        enter_region();
        acquire(resource as usize, Wanted::Shared, true, "ExEnterCriticalRegionAndAcquireResourceShared");
        std::ptr::null_mut()
    }

    /// Releases a resource and leaves the critical region.
    #[irql(DISPATCH)]
    fn ExReleaseResourceAndLeaveCriticalRegion(resource: *mut usize) {
        release(resource as usize, sched::current().id, "ExReleaseResourceAndLeaveCriticalRegion");
        leave_region();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;
    use crate::{Lab, LabError, invoke};

    /// A resource in memory that stays.
    fn made() -> usize {
        let memory = Box::leak(Box::new([0_u128; 7]));
        let address = memory.as_mut_ptr() as usize;
        assert_eq!(invoke!(ExInitializeResourceLite, address), 0);
        address
    }

    fn exclusive(resource: usize, wait: u32) -> bool {
        invoke!(ExAcquireResourceExclusiveLite, resource, wait) as u8 != 0
    }

    fn shared(resource: usize, wait: u32) -> bool {
        invoke!(ExAcquireResourceSharedLite, resource, wait) as u8 != 0
    }

    fn release_once(resource: usize) {
        invoke!(ExReleaseResourceLite, resource);
    }

    #[test]
    fn owners_take_it_again_and_others_do_not() {
        let lab = Lab::boot().unwrap();
        lab.enter(|| {
            enter_region();
            let resource = made();
            assert!(exclusive(resource, 0) && exclusive(resource, 0) && shared(resource, 0));
            assert_eq!(
                invoke!(ExIsResourceAcquiredExclusiveLite, resource) as u8,
                1
            );
            assert_eq!(invoke!(ExIsResourceAcquiredSharedLite, resource), 3);
            let other = sched::spawn_system("other", move || {
                enter_region();
                assert!(!exclusive(resource, 0) && !shared(resource, 0));
                leave_region();
            });
            crate::ke::dispatcher::wait(&[other.kthread() as usize], false, None);
            release_once(resource);
            release_once(resource);
            invoke!(ExConvertExclusiveToSharedLite, resource);
            let reader = sched::spawn_system("reader", move || {
                enter_region();
                assert!(shared(resource, 0) && !exclusive(resource, 0));
                release_once(resource);
                leave_region();
            });
            crate::ke::dispatcher::wait(&[reader.kthread() as usize], false, None);
            release_once(resource);
            invoke!(ExDeleteResourceLite, resource);
            leave_region();
        })
        .unwrap();
    }

    #[test]
    fn writers_exclude_each_other_on_many_seeds() {
        for seed in 0..20 {
            let lab = Lab::builder().seed(seed).boot().unwrap();
            static INSIDE: AtomicU32 = AtomicU32::new(0);
            static DONE: AtomicU32 = AtomicU32::new(0);
            DONE.store(0, Ordering::SeqCst);
            lab.enter(|| {
                let resource = made();
                let threads: Vec<_> = (0..4)
                    .map(|number| {
                        sched::spawn_system("worker", move || {
                            for _ in 0..5 {
                                let (take, alone) = if number < 2 {
                                    (
                                        ExEnterCriticalRegionAndAcquireResourceExclusive
                                            as *const (),
                                        true,
                                    )
                                } else {
                                    (
                                        ExEnterCriticalRegionAndAcquireResourceShared as *const (),
                                        false,
                                    )
                                };
                                invoke!(take, resource);
                                let inside = INSIDE.fetch_add(1, Ordering::SeqCst);
                                assert!(!alone || inside == 0);
                                sched::yield_point();
                                INSIDE.fetch_sub(1, Ordering::SeqCst);
                                invoke!(ExReleaseResourceAndLeaveCriticalRegion, resource);
                            }
                            DONE.fetch_add(1, Ordering::SeqCst);
                        })
                    })
                    .collect();
                for thread in threads {
                    crate::ke::dispatcher::wait(&[thread.kthread() as usize], false, None);
                }
                invoke!(ExDeleteResourceLite, resource);
            })
            .unwrap();
            assert_eq!(DONE.load(Ordering::SeqCst), 4);
        }
    }

    #[test]
    fn misuse_is_caught() {
        let caught = |misuse: fn(usize)| {
            let lab = Lab::boot().unwrap();
            let result = lab.enter(|| {
                enter_region();
                misuse(made());
            });
            let Err(LabError::BugCheck(report)) = result else {
                panic!("no bugcheck");
            };
            assert_eq!(report.rule, Rule::ResourceMisused, "{report}");
        };
        caught(release_once);
        caught(|resource| {
            invoke!(ExInitializeResourceLite, resource);
        });
        caught(|resource| {
            exclusive(resource, 1);
            invoke!(ExDeleteResourceLite, resource);
        });
        caught(|resource| {
            shared(resource, 1);
            exclusive(resource, 1);
        });
        caught(|resource| {
            invoke!(ExDeleteResourceLite, resource);
            shared(resource, 1);
        });
        caught(|resource| {
            leave_region();
            exclusive(resource, 1);
        });
        caught(|resource| {
            shared(resource, 1);
            invoke!(ExConvertExclusiveToSharedLite, resource);
        });
    }
}
