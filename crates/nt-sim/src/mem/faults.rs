//! Injected failures: which requests for memory fail although there is enough.
//!
//! Every function that can fail for want of resources asks [`Faults::should_fail`] first. The plan counts requests, so
//! the same sequence of requests fails in the same places in every run.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::sync::Mutex;

use super::caller::Caller;

/// Which requests fail.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum FaultPlan {
    /// None.
    #[default]
    Never,
    /// The request with this number, counting from 1.
    Nth(u64),
    /// The first request of each distinct call stack; a driver survives when it can fail everywhere once.
    OncePerStack,
    /// The first request of each distinct call stack, but only stacks whose number (counting from 1) is in the list;
    /// this is how one failure of an `OncePerStack` run is repeated alone.
    Stacks(Vec<u64>),
    /// Each request with this many chances in 65,536, drawn from a generator with the given seed.
    Random {
        /// Chances in 65,536.
        chances: u16,
        /// Start of the sequence.
        seed: u64,
    },
}

/// A failure that was injected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InjectedFault {
    /// The number of the request, counting from 1.
    pub request: u64,
    /// The number of the call stack among the distinct ones seen, counting from 1 (0 when stacks are not counted).
    pub stack_number: u64,
    /// The function that failed.
    pub function: &'static str,
    /// Who had called it.
    pub caller: Caller,
}

/// The plan and what became of it.
#[derive(Debug, Default)]
pub struct Faults {
    armed: AtomicBool,
    requests: AtomicU64,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    plan: FaultPlan,
    stacks: HashSet<u64>,
    random: u64,
    injected: Vec<InjectedFault>,
}

impl Faults {
    /// Starts a plan; counting begins anew.
    pub fn arm(&self, plan: FaultPlan) {
        let mut state = self.state.lock();
        self.requests.store(0, Ordering::Relaxed);
        self.armed
            .store(plan != FaultPlan::Never, Ordering::Release);
        let random = if let FaultPlan::Random { seed, .. } = plan {
            seed
        } else {
            0
        };
        *state = State {
            plan,
            random,
            ..State::default()
        };
    }

    /// Whether some plan is active; call stacks are only needed then.
    pub fn is_armed(&self) -> bool {
        self.armed.load(Ordering::Acquire)
    }

    /// The number of requests seen since the plan was started.
    pub fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }

    /// The failures injected so far, oldest first.
    pub fn injected(&self) -> Vec<InjectedFault> {
        self.state.lock().injected.clone()
    }

    /// Decides whether this request fails.
    pub fn should_fail(&self, function: &'static str, caller: &Caller) -> bool {
        if !self.is_armed() {
            return false;
        }
        let mut state = self.state.lock();
        let request = self.requests.fetch_add(1, Ordering::Relaxed) + 1;
        let mut stack_number = 0;
        let new_stack = match state.plan {
            FaultPlan::OncePerStack | FaultPlan::Stacks(_) => {
                // The function is part of the stack: two functions called from one line are two places.
                let place = function.bytes().fold(caller.stack_hash(), |hash, byte| {
                    (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
                });
                let new = state.stacks.insert(place);
                stack_number = state.stacks.len() as u64;
                new
            }
            _ => false,
        };
        let fails = match &state.plan {
            FaultPlan::Never => false,
            FaultPlan::Nth(nth) => request == *nth,
            FaultPlan::OncePerStack => new_stack,
            FaultPlan::Stacks(numbers) => new_stack && numbers.contains(&stack_number),
            FaultPlan::Random { chances, .. } => {
                let chances = *chances;
                // An LCG step (Knuth's MMIX constants); the high bits are the good ones.
                state.random = state
                    .random
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1_442_695_040_888_963_407);
                ((state.random >> 48) as u16) < chances
            }
        };
        if fails {
            state.injected.push(InjectedFault {
                request,
                stack_number,
                function,
                caller: caller.clone(),
            });
        }
        fails
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(stack: &[usize]) -> Caller {
        Caller {
            stack: stack.into(),
            ..Caller::default()
        }
    }

    #[test]
    fn the_nth_request_fails_and_is_reported() {
        let faults = Faults::default();
        assert!(!faults.should_fail("f", &from(&[1])), "no plan, no failure");
        faults.arm(FaultPlan::Nth(3));
        let outcome: Vec<bool> = (0..5)
            .map(|_| faults.should_fail("f", &from(&[1])))
            .collect();
        assert_eq!(outcome, [false, false, true, false, false]);
        assert_eq!(faults.requests(), 5);
        let injected = faults.injected();
        assert_eq!(
            (injected.len(), injected[0].request, injected[0].function),
            (1, 3, "f")
        );
    }

    #[test]
    fn every_stack_fails_once() {
        let faults = Faults::default();
        faults.arm(FaultPlan::OncePerStack);
        assert!(faults.should_fail("f", &from(&[1, 2])));
        assert!(!faults.should_fail("f", &from(&[1, 2])));
        assert!(faults.should_fail("f", &from(&[1, 3])));
        assert!(faults.should_fail("g", &from(&[1, 2])));
        faults.arm(FaultPlan::Stacks(vec![2]));
        assert!(!faults.should_fail("f", &from(&[1, 2])));
        assert!(faults.should_fail("f", &from(&[1, 3])));
        assert!(!faults.should_fail("f", &from(&[1, 3])));
    }

    #[test]
    fn random_failures_repeat_with_the_seed() {
        let faults = Faults::default();
        let run = |seed| {
            faults.arm(FaultPlan::Random {
                chances: 16_384,
                seed,
            });
            (0..200)
                .map(|_| faults.should_fail("f", &from(&[])))
                .collect::<Vec<_>>()
        };
        let first = run(7);
        assert_eq!(first, run(7));
        assert_ne!(first, run(8));
        let failed = first.iter().filter(|&&failed| failed).count();
        assert!((20..90).contains(&failed), "{failed} of 200 at one in four");
    }
}
