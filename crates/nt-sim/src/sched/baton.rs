//! The seeded scheduler: one thread runs at a time, and a random number generator says which.

use std::sync::Arc;

use parking_lot::{Condvar, Mutex, MutexGuard};

use super::Thread;
use crate::{kernel::kernel, verifier::Rule};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Ready,
    /// Polls for something that another thread gives up.
    Spinning,
    Blocked,
}

struct Entry {
    id: u32,
    name: String,
    state: State,
    /// An unblock that came before the block.
    token: bool,
    turn: Arc<Condvar>,
}

struct Table {
    random: u64,
    entries: Vec<Entry>,
    running: u32,
    /// Spinning threads that were picked since anything else happened.
    idle_spins: u32,
    /// The kernel has stopped: everybody runs to its end.
    free: bool,
}

/// Hands out turns.
pub(crate) struct Baton {
    table: Mutex<Table>,
    /// One switch in this many yield points, a power of two.
    rarity: u64,
}

/// Rounds of nothing but spinning after which the threads are taken to be stuck.
const SPIN_LIMIT: u32 = 100_000;

impl Table {
    fn next_random(&mut self) -> u64 {
        // splitmix64: full period, one word of state.
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.random;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn entry(&mut self, id: u32) -> Option<&mut Entry> {
        self.entries.iter_mut().find(|e| e.id == id)
    }

    /// Chooses who runs next, or says that nobody can.
    fn pick(&mut self) -> Option<u32> {
        let ready = self
            .entries
            .iter()
            .filter(|e| e.state != State::Blocked)
            .count();
        if ready == 0 {
            return None;
        }
        let nth = (self.next_random() % ready as u64) as usize;
        let entry = self
            .entries
            .iter()
            .filter(|e| e.state != State::Blocked)
            .nth(nth)?;
        if entry.state == State::Spinning && self.entries.iter().all(|e| e.state != State::Ready) {
            self.idle_spins += 1;
        } else {
            self.idle_spins = 0;
        }
        Some(entry.id)
    }
}

impl Baton {
    pub(crate) fn new(seed: u64) -> Baton {
        let mut table = Table {
            random: seed,
            entries: Vec::new(),
            running: 0,
            idle_spins: 0,
            free: false,
        };
        // Some bugs need many switches, some need few: the seed chooses.
        let rarity = 1 << (1 + table.next_random() % 6);
        Baton {
            table: Mutex::new(table),
            rarity,
        }
    }

    /// Makes `thread` known; the first one runs.
    pub(crate) fn add(&self, thread: &Thread) {
        let mut table = self.table.lock();
        table.entries.push(Entry {
            id: thread.id,
            name: thread.name.clone(),
            state: State::Ready,
            token: false,
            turn: Arc::new(Condvar::new()),
        });
        if table.running == 0 {
            table.running = thread.id;
        }
    }

    /// Waits until it is `thread`'s turn.
    pub(crate) fn wait_for_turn(&self, thread: &Thread) {
        let mut table = self.table.lock();
        let Some(turn) = table.entry(thread.id).map(|e| Arc::clone(&e.turn)) else {
            return;
        };
        while table.running != thread.id && !table.free {
            turn.wait(&mut table);
        }
    }

    /// Forgets `thread` and lets another one run.
    pub(crate) fn remove(&self, thread: &Thread) {
        let mut table = self.table.lock();
        table.entries.retain(|e| e.id != thread.id);
        if table.running == thread.id && !table.free {
            self.hand_over(table, None);
        }
    }

    /// Maybe lets another thread run.
    pub(crate) fn maybe_switch(&self, thread: &Thread) {
        let mut table = self.table.lock();
        if table.free || table.running != thread.id || table.next_random() & (self.rarity - 1) != 0
        {
            return;
        }
        self.hand_over(table, Some(thread));
    }

    /// Lets others run while `thread` polls.
    pub(crate) fn spin(&self, thread: &Thread) {
        self.set_state(thread, State::Spinning);
        let table = self.table.lock();
        if table.free {
            drop(table);
            super::stop_if_crashed();
            std::thread::yield_now();
            return;
        }
        let stuck = table.idle_spins > SPIN_LIMIT;
        self.hand_over(table, Some(thread));
        self.set_state(thread, State::Ready);
        super::stop_if_crashed();
        if stuck {
            self.deadlock("every thread that could run spins");
        }
    }

    /// Waits for [`Baton::unblock`].
    pub(crate) fn block(&self, thread: &Thread) {
        let mut table = self.table.lock();
        if table.free {
            drop(table);
            return;
        }
        if let Some(entry) = table.entry(thread.id) {
            if std::mem::take(&mut entry.token) {
                drop(table);
                return self.maybe_switch(thread);
            }
            entry.state = State::Blocked;
        }
        self.hand_over(table, Some(thread));
    }

    /// Ends (or prevents) the wait of `thread`.
    pub(crate) fn unblock(&self, thread: &Thread) {
        let mut table = self.table.lock();
        table.idle_spins = 0;
        if let Some(entry) = table.entry(thread.id) {
            if entry.state == State::Blocked {
                entry.state = State::Ready;
            } else {
                entry.token = true;
            }
        }
    }

    fn set_state(&self, thread: &Thread, state: State) {
        if let Some(entry) = self.table.lock().entry(thread.id) {
            entry.state = state;
        }
    }

    /// Gives the turn to somebody, and waits for it to come back when `from` still wants to run.
    fn hand_over<'a>(&'a self, mut table: MutexGuard<'a, Table>, from: Option<&Thread>) {
        loop {
            if table.free {
                return;
            }
            if let Some(next) = table.pick() {
                table.running = next;
                if from.is_some_and(|t| t.id == next) {
                    return;
                }
                if let Some(entry) = table.entry(next) {
                    entry.turn.notify_one();
                }
                break;
            }
            if table.entries.is_empty() {
                table.running = 0;
                return;
            }
            // Everybody waits: time passes. What becomes due may run DPCs on this thread, as an
            // interrupt would: meanwhile it runs, or the driver's calls in them would let time pass
            // again.
            if let Some(entry) = from.and_then(|t| table.entry(t.id)) {
                entry.state = State::Ready;
            }
            drop(table);
            if !kernel().clock.skip_to_next() {
                return self.deadlock("every thread waits and no timer is set");
            }
            table = self.table.lock();
            if let Some(entry) = from.and_then(|t| table.entry(t.id))
                && !std::mem::take(&mut entry.token)
            {
                entry.state = State::Blocked;
            }
        }
        if let Some(thread) = from {
            let Some(turn) = table.entry(thread.id).map(|e| Arc::clone(&e.turn)) else {
                return;
            };
            while table.running != thread.id && !table.free {
                turn.wait(&mut table);
            }
        }
    }

    fn deadlock(&self, what: &str) {
        let table = self.table.lock();
        let list = table
            .entries
            .iter()
            .map(|e| format!("{} ({:?})", e.name, e.state))
            .collect::<Vec<_>>()
            .join(", ");
        drop(table);
        crate::bugcheck!(Rule::Deadlock; "{what}: {list}");
    }

    /// Lets every thread run to its end: the kernel has stopped.
    pub(crate) fn release_all(&self) {
        let mut table = self.table.lock();
        table.free = true;
        for entry in &mut table.entries {
            entry.state = State::Ready;
            entry.turn.notify_all();
        }
    }
}
