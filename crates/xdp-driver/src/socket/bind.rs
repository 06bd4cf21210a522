//! Binding a socket to queues, and activating it.

use core::sync::atomic::Ordering;

use nt::{Arc, Passive, Result, Status};
use xdp_abi::xsk::{ActivateIn, BindFlags, BindIn};
use zerocopy::FromBytes;

use super::rings::Which;
use super::state::State;
use super::{Control, Socket, TxLink};
use crate::interface::{Interface, ModeWish, RxQueue, Way};
use crate::settings::Setting;
use crate::trace::{Field, TraceEvent};

/// A queue that a socket is bound to.
pub(super) struct Binding {
    pub(super) interface: Arc<Interface>,
    pub(super) way: Way,
    pub(super) queue: u32,
}

/// What the queue of a socket that no queue feeds is known by.
const NO_QUEUE: usize = usize::MAX;

const KNOWN_FLAGS: u32 =
    BindFlags::RX.0 | BindFlags::TX.0 | BindFlags::GENERIC.0 | BindFlags::NATIVE.0;

impl Socket {
    /// Serves a bind.
    pub(super) fn bind(this: &Arc<Self>, input: &[u8], passive: Passive<'_>) -> Result<()> {
        let (bind, _) = BindIn::read_from_prefix(input).map_err(|_| Status::INVALID_PARAMETER)?;
        let has = |flag: BindFlags| bind.flags.0 & flag.0 != 0;
        let wish = match (has(BindFlags::GENERIC), has(BindFlags::NATIVE)) {
            (true, true) => return Err(Status::INVALID_PARAMETER),
            (true, false) => ModeWish::Generic,
            (false, true) => ModeWish::Native,
            (false, false) => ModeWish::Any,
        };
        let (rx, tx) = (has(BindFlags::RX), has(BindFlags::TX));
        if bind.flags.0 & !KNOWN_FLAGS != 0 || !(rx || tx) {
            return Err(Status::INVALID_PARAMETER);
        }
        let mut control = this.control.write(passive);
        if !this.state.advance(State::Unbound, State::Binding) {
            return Err(Status::INVALID_DEVICE_STATE);
        }
        let bound = Self::bind_directions(this, &mut control, &bind, wish, passive);
        if bound.is_err() {
            this.unbind(&mut control, passive);
            // Closing and the loss of an interface stay as they are.
            this.state.advance(State::Binding, State::Unbound);
            return bound;
        }
        this.state.advance(State::Binding, State::Bound);
        Ok(())
    }

    fn bind_directions(
        this: &Arc<Self>,
        control: &mut Control,
        bind: &BindIn,
        wish: ModeWish,
        passive: Passive<'_>,
    ) -> Result<()> {
        let find = |hook| {
            this.services
                .interfaces
                .find(bind.if_index, hook, wish, passive)
        };
        if bind.flags.0 & BindFlags::RX.0 != 0 {
            let (interface, hook) = find(control.rx_hook)?;
            if !hook.inspects {
                return Err(Status::NOT_SUPPORTED);
            }
            interface.bind_rx(hook.way, bind.queue_id, this, passive)?;
            this.receives.store(true, Ordering::Release);
            control.rx = Some(Binding {
                interface,
                way: hook.way,
                queue: bind.queue_id,
            });
        }
        if bind.flags.0 & BindFlags::TX.0 != 0 {
            let (interface, hook) = find(control.tx_hook)?;
            if hook.inspects {
                return Err(Status::NOT_SUPPORTED);
            }
            interface.bind_tx(hook.way, bind.queue_id, this, passive)?;
            if let Some(queue) = interface.tx_queue(hook.way, bind.queue_id) {
                let fields = || {
                    let [index, id] = [bind.if_index, bind.queue_id].map(Field::Number);
                    [Field::of(&**this), Field::of(queue), index, id]
                };
                this.trace().note(TraceEvent::XSK_TX_BIND, fields);
            }
            *this.tx_queue.lock() = Some(TxLink {
                interface: interface.clone(),
                way: hook.way,
                id: bind.queue_id,
            });
            control.tx = Some(Binding {
                interface,
                way: hook.way,
                queue: bind.queue_id,
            });
        }
        Ok(())
    }

    /// Takes back what a failed bind has done.
    fn unbind(&self, control: &mut Control, passive: Passive<'_>) {
        if let Some(rx) = control.rx.take() {
            rx.interface.unbind_rx(rx.way, rx.queue, self, passive);
            self.receives.store(false, Ordering::Release);
        }
    }

    /// Serves an activation.
    pub(super) fn activate(&self, input: &[u8], passive: Passive<'_>) -> Result<()> {
        let (activate, _) =
            ActivateIn::read_from_prefix(input).map_err(|_| Status::INVALID_PARAMETER)?;
        if activate.flags.0 != 0 {
            return Err(Status::INVALID_PARAMETER);
        }
        let control = self.control.write(passive);
        let has = |which| control.rings.get(which).is_some();
        let rx_ready = control.rx.is_none() || (has(Which::Rx) && has(Which::Fill));
        let tx_ready = control.tx.is_none() || (has(Which::Tx) && has(Which::Completion));
        let (Some(umem), true) = (&control.umem, rx_ready && tx_ready) else {
            return Err(Status::INVALID_DEVICE_STATE);
        };
        if !self.state.advance(State::Bound, State::Activating) {
            return Err(Status::INVALID_DEVICE_STATE);
        }
        let no_bounce = self
            .services
            .settings
            .get(Setting::XSK_DISABLE_TX_BOUNCE, passive)
            != 0;
        let bounces = self.mode == nt::memory::Mode::User && !no_bounce;
        let either = control.tx.as_ref().or(control.rx.as_ref());
        let commit = || {
            if control.tx.is_some() {
                self.tx.lock().start(umem.clone(), bounces);
            }
            if control.rx.is_some() {
                self.rx.lock().start(umem.clone());
            }
            // The loss of the interface waits for this to end, so only closing can have come in between.
            self.state.advance(State::Activating, State::Active);
            if let Some(rx) = &control.rx
                && self.state.get() == State::Active
            {
                let queue = rx.interface.rx_queue(rx.way, rx.queue);
                let identity = queue.map_or(NO_QUEUE, RxQueue::identity);
                self.rx_queue.store(identity, Ordering::Release);
            }
        };
        let tx = control.tx.as_ref().map(|tx| (tx.way, tx.queue));
        let done = either.map_or(Err(Status::INVALID_DEVICE_STATE), |binding| {
            binding.interface.activate(tx, commit, passive)
        });
        if done.is_err() {
            self.state.advance(State::Activating, State::Bound);
        }
        done
    }
}
