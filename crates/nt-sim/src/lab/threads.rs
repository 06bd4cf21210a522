//! Threads of user programs that run side by side.

use std::{
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    sync::atomic::{AtomicUsize, Ordering},
};

use super::{ATTACHED, Lab, LabError};
use crate::{
    ndis::signal::Signal,
    sched::{self, ThreadKind},
};

impl Lab {
    /// Runs each of `bodies` on a thread of its own, and returns when all have ended. With a seed, the seed decides how
    /// they interleave; host threads that a test makes itself would not take turns.
    ///
    /// # Errors
    /// When the kernel has stopped.
    ///
    /// # Panics
    /// When one of them does.
    pub fn side_by_side(&self, bodies: &[&(dyn Fn() + Sync)]) -> Result<(), LabError> {
        let threads = self.enter(|| {
            let name = |n| format!("user {n}");
            (0..bodies.len())
                .map(|n| sched::prepare(&name(n), ThreadKind::User))
                .collect::<Vec<_>>()
        })?;
        let left = AtomicUsize::new(bodies.len());
        let ended: Vec<Signal> = bodies.iter().map(|_| Signal::new()).collect();
        let outcome = std::thread::scope(|scope| {
            let handles: Vec<_> = bodies
                .iter()
                .zip(threads)
                .zip(&ended)
                .map(|((body, thread), ended)| {
                    let left = &left;
                    scope.spawn(move || {
                        let attached = sched::begin(thread);
                        ATTACHED.with_borrow_mut(|slot| *slot = Some((self.id, attached)));
                        let result = catch_unwind(AssertUnwindSafe(body));
                        // A kernel that has stopped wakes its waiters by itself.
                        let _ = self.enter(|| ended.set());
                        // From here to the hand-over of the turn nobody else runs: see below.
                        left.fetch_sub(1, Ordering::Release);
                        ATTACHED.with_borrow_mut(|slot| drop(slot.take()));
                        result
                    })
                })
                .collect();
            let waited = self.enter(|| {
                for signal in &ended {
                    signal.wait(None);
                }
                // The host's join below knows nothing of turns: by then each thread must have given its turn away.
                sched::spin_until(|| left.load(Ordering::Acquire) == 0);
            });
            let results: Vec<_> = handles.into_iter().map(|handle| handle.join()).collect();
            waited.map(|()| results)
        });
        for result in outcome? {
            if let Err(panic) = result.and_then(|inner| inner) {
                resume_unwind(panic);
            }
        }
        Ok(())
    }
}
