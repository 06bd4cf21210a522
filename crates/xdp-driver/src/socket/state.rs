//! The states of a socket.

use core::sync::atomic::{AtomicU8, Ordering};

/// A state; later ones are greater.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[repr(u8)]
pub(super) enum State {
    Unbound,
    Binding,
    Bound,
    Activating,
    Active,
    /// The interface or a queue went away; nothing leads out of it but closing.
    Detached,
    Closing,
}

impl State {
    const ALL: [Self; 7] = [
        Self::Unbound,
        Self::Binding,
        Self::Bound,
        Self::Activating,
        Self::Active,
        Self::Detached,
        Self::Closing,
    ];
}

/// The state of a socket, which cleanup and the loss of an interface change at any time.
pub(super) struct SocketState(AtomicU8);

impl SocketState {
    pub(super) const fn new() -> Self {
        Self(AtomicU8::new(State::Unbound as u8))
    }

    #[inline]
    pub(super) fn get(&self) -> State {
        let state = self.0.load(Ordering::Acquire);
        State::ALL
            .get(usize::from(state))
            .copied()
            .unwrap_or(State::Closing)
    }

    /// Sets the state whatever it is.
    pub(super) fn set(&self, to: State) {
        self.0.store(to as u8, Ordering::Release);
    }

    /// Goes from one state to another; `false` when the state is another one.
    pub(super) fn advance(&self, from: State, to: State) -> bool {
        self.0
            .compare_exchange(from as u8, to as u8, Ordering::AcqRel, Ordering::Acquire)
            .is_ok()
    }

    /// Notes that the interface went away, unless the socket is closing.
    pub(super) fn detach(&self) {
        let _ = self
            .0
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |state| {
                (state < State::Detached as u8).then_some(State::Detached as u8)
            });
    }
}
