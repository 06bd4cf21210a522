//! Socket options.

use core::sync::atomic::{AtomicU32, Ordering};

use nt::io::{Completion, Control as Request, FastControl};
use nt::memory::{Mode, Requestor, UserSlice};
use nt::{Arc, Passive, Result, Status};
use xdp_abi::hook::HookId;
use xdp_abi::ring::RingFlags;
use xdp_abi::sockopt::{SetSockoptIn, Sockopt};
use xdp_abi::xsk::{ProcessorNumber, Statistics, UmemReg};
use xdp_ring::UmemGeometry;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::offload::queried;
use super::rings::Which;
use super::state::State;
use super::{Control, Profile, Socket};
use crate::control::read_user;
use crate::holders::Holder;
use crate::memory::Umem;

/// The value of an option that is set.
struct Value {
    bytes: UserSlice,
}

impl Value {
    /// Captures the value; `short` is the answer when it is too short.
    fn read<T: FromBytes + IntoBytes + Immutable + KnownLayout>(&self, short: Status) -> Result<T> {
        if self.bytes.len() < size_of::<T>() {
            return Err(short);
        }
        let mut value = T::new_zeroed();
        read_user(&self.bytes, align_of::<T>(), value.as_mut_bytes())?;
        Ok(value)
    }
}

impl Socket {
    /// Serves the setting of an option.
    pub(super) fn set_option(
        this: &Arc<Self>,
        input: &[u8],
        requestor: Requestor,
        passive: Passive<'_>,
    ) -> Result<()> {
        let (set, _) =
            SetSockoptIn::read_from_prefix(input).map_err(|_| Status::INVALID_PARAMETER)?;
        let value = Value {
            bytes: requestor.slice(set.input_buffer.0, set.input_buffer_length as usize),
        };
        let mut control = this.control.write(passive);
        let control = &mut *control;
        match set.option {
            Sockopt::UMEM_REG => Self::register_umem(this, control, &value, requestor, passive),
            Sockopt::RX_RING_SIZE => this.set_ring_size(control, Which::Rx, &value, passive),
            Sockopt::RX_FILL_RING_SIZE => this.set_ring_size(control, Which::Fill, &value, passive),
            Sockopt::TX_RING_SIZE => this.set_ring_size(control, Which::Tx, &value, passive),
            Sockopt::TX_COMPLETION_RING_SIZE => {
                this.set_ring_size(control, Which::Completion, &value, passive)
            }
            Sockopt::RX_HOOK_ID => this.set_hook(&mut control.rx_hook, &value),
            Sockopt::TX_HOOK_ID => this.set_hook(&mut control.tx_hook, &value),
            Sockopt::RX_PROCESSOR_AFFINITY => set_profile(&this.rx_processor, &value),
            Sockopt::TX_PROCESSOR_AFFINITY => set_profile(&this.tx_processor, &value),
            Sockopt::TX_OFFLOAD_CHECKSUM
            | Sockopt::RX_OFFLOAD_CHECKSUM
            | Sockopt::RX_ORIGINAL_LENGTH
            | Sockopt::RX_OFFLOAD_TIMESTAMP
            | Sockopt::TX_OFFLOAD_TIMESTAMP => {
                let on = value.read(Status::BUFFER_TOO_SMALL)?;
                this.enable(control, set.option, on, passive)
            }
            _ => Err(Status::NOT_SUPPORTED),
        }
    }

    fn register_umem(
        this: &Arc<Self>,
        control: &mut Control,
        value: &Value,
        requestor: Requestor,
        passive: Passive<'_>,
    ) -> Result<()> {
        let reg: UmemReg = value.read(Status::INVALID_PARAMETER)?;
        let geometry = UmemGeometry::new(reg.total_size, reg.chunk_size, reg.headroom)
            .map_err(|_| Status::INVALID_PARAMETER)?;
        let len = usize::try_from(reg.total_size).map_err(|_| Status::INVALID_PARAMETER)?;
        let memory = requestor.slice(reg.address.0, len);
        let umem = Umem::lock(&memory, geometry, passive)?;
        let umem = Arc::new(crate::TAG, umem)?;
        if control.umem.is_some() || this.state.get() >= State::Activating {
            return Err(Status::INVALID_DEVICE_STATE);
        }
        if requestor.mode() == Mode::User {
            let holder = Holder::Socket(this.clone());
            this.services.holders.add(holder, passive)?;
        }
        control.umem = Some(umem);
        Ok(())
    }

    fn set_ring_size(
        &self,
        control: &mut Control,
        which: Which,
        value: &Value,
        passive: Passive<'_>,
    ) -> Result<()> {
        let elements = value.read(Status::INVALID_PARAMETER)?;
        self.size_ring(control, which, elements, passive)
    }

    fn set_hook(&self, hook: &mut HookId, value: &Value) -> Result<()> {
        let id = value.read(Status::BUFFER_TOO_SMALL)?;
        if self.state.get() != State::Unbound {
            return Err(Status::INVALID_DEVICE_STATE);
        }
        *hook = id;
        Ok(())
    }

    /// Serves the query of an option.
    pub(super) fn get_option(&self, mut request: Request, passive: Passive<'_>) -> Completion {
        let option = match Sockopt::read_from_prefix(request.input()) {
            Ok((option, _)) => option,
            Err(_) => return request.complete(Status::INVALID_PARAMETER, 0),
        };
        let control = self.control.write(passive);
        let result = self.query(&control, option, request.output(), passive);
        drop(control);
        match result {
            Ok(len) => request.complete(Status::SUCCESS, len),
            Err((status, len)) => request.complete(status, len),
        }
    }

    fn query(
        &self,
        control: &Control,
        option: Sockopt,
        output: &mut [u8],
        passive: Passive<'_>,
    ) -> Result<usize, (Status, usize)> {
        let error = |error: &AtomicU32| error.load(Ordering::Acquire);
        let answer = match option {
            Sockopt::RING_INFO => {
                if self.state.get() == State::Closing {
                    Err(Status::INVALID_DEVICE_STATE)
                } else {
                    put(output, &control.rings.info())
                }
            }
            Sockopt::STATISTICS => put(output, &self.statistics()),
            Sockopt::RX_HOOK_ID => put(output, &control.rx_hook),
            Sockopt::TX_HOOK_ID => put(output, &control.tx_hook),
            Sockopt::RX_ERROR => put(output, &error(&self.errors.rx)),
            Sockopt::RX_FILL_ERROR => put(output, &error(&self.errors.fill)),
            Sockopt::TX_ERROR => put(output, &error(&self.errors.tx)),
            Sockopt::TX_COMPLETION_ERROR => put(output, &error(&self.errors.completion)),
            Sockopt::TX_OFFLOAD_CURRENT_CONFIG_CHECKSUM
            | Sockopt::RX_OFFLOAD_CURRENT_CONFIG_CHECKSUM => {
                return self.checksum_configuration(control, option, output, passive);
            }
            _ => match queried(option) {
                Some(_) if output.len() < size_of::<u16>() => Err(Status::INVALID_PARAMETER),
                Some((which, extension)) => control
                    .rings
                    .get(which)
                    .and_then(|ring| ring.descriptor.offset(extension))
                    .ok_or(Status::NOT_FOUND)
                    .and_then(|offset| put(output, &offset)),
                None => Err(Status::NOT_SUPPORTED),
            },
        };
        answer.map_err(|status| (status, 0))
    }

    pub(super) fn statistics(&self) -> Statistics {
        let counters = &self.statistics;
        Statistics {
            rx_dropped: counters.rx_dropped.load(Ordering::Relaxed),
            rx_truncated: counters.rx_truncated.load(Ordering::Relaxed),
            rx_invalid_descriptors: counters.rx_invalid_descriptors.load(Ordering::Relaxed),
            tx_invalid_descriptors: counters.tx_invalid_descriptors.load(Ordering::Relaxed),
        }
    }

    fn checksum_configuration(
        &self,
        control: &Control,
        option: Sockopt,
        output: &mut [u8],
        _passive: Passive<'_>,
    ) -> Result<usize, (Status, usize)> {
        let is_tx = option == Sockopt::TX_OFFLOAD_CURRENT_CONFIG_CHECKSUM;
        let binding = if is_tx { &control.tx } else { &control.rx };
        // Lowered before the configuration is read, so that no change is lost.
        if is_tx {
            let tx = self.tx.lock();
            tx.ring_flags(RingFlags::OFFLOAD_CHANGED, RingFlags(0));
        } else {
            let rx = self.rx.lock();
            rx.ring_flags(RingFlags::OFFLOAD_CHANGED, RingFlags(0));
        }
        let upper_way = if is_tx {
            crate::interface::Way::Up
        } else {
            crate::interface::Way::Down
        };
        let configuration = binding
            .as_ref()
            .filter(|binding| binding.way != upper_way)
            .and_then(|binding| binding.interface.checksum_configuration());
        let Some(configuration) = configuration else {
            return Err((Status::INVALID_DEVICE_STATE, 0));
        };
        let bytes = configuration
            .as_bytes()
            .get(..xdp_abi::offload::SIZEOF_CHECKSUM_CONFIGURATION_REVISION_1)
            .unwrap_or_default();
        let is_empty = output.is_empty();
        match output.get_mut(..bytes.len()) {
            Some(output) => {
                output.copy_from_slice(bytes);
                Ok(bytes.len())
            }
            None if is_empty => Err((Status::BUFFER_OVERFLOW, bytes.len())),
            None => Err((Status::BUFFER_TOO_SMALL, 0)),
        }
    }

    /// Serves the query of a processor, which comes without a packet only; `None` for other options.
    pub(super) fn get_processor(&self, request: &FastControl<'_>) -> Option<(Status, usize)> {
        let mut option = 0_u32;
        if request.input().len() < size_of::<u32>()
            || read_user(&request.input(), 1, option.as_mut_bytes()).is_err()
        {
            return None;
        }
        let (profile, is_rx) = match Sockopt(option) {
            Sockopt::RX_PROCESSOR_AFFINITY => (&self.rx_processor, true),
            Sockopt::TX_PROCESSOR_AFFINITY => (&self.tx_processor, false),
            _ => return None,
        };
        Some(match self.processor(profile, is_rx, &request.output()) {
            Ok(len) => (Status::SUCCESS, len),
            Err(status) => (status, 0),
        })
    }

    fn processor(&self, profile: &Profile, is_rx: bool, output: &UserSlice) -> Result<usize> {
        let sized = if is_rx {
            self.rx.lock().is_sized()
        } else {
            self.tx.lock().is_sized()
        };
        if self.state.get() < State::Active || !sized {
            return Err(Status::INVALID_DEVICE_STATE);
        }
        let len = size_of::<ProcessorNumber>();
        if output.len() < len {
            return Err(Status::BUFFER_TOO_SMALL);
        }
        // Lowered before the processor is read, so that no change is lost.
        if is_rx {
            let rx = self.rx.lock();
            rx.ring_flags(RingFlags::AFFINITY_CHANGED, RingFlags(0));
        } else {
            let tx = self.tx.lock();
            tx.ring_flags(RingFlags::AFFINITY_CHANGED, RingFlags(0));
        }
        let index = profile
            .last
            .load(Ordering::Acquire)
            .checked_sub(1)
            .ok_or(Status::DEVICE_NOT_READY)?;
        let number = nt::processor::ProcessorNumber::from_index(index)?.raw();
        let number = ProcessorNumber {
            group: number.Group,
            number: number.Number,
            reserved: 0,
        };
        output.write(0, number.as_bytes())?;
        Ok(len)
    }
}

fn set_profile(profile: &Profile, value: &Value) -> Result<()> {
    let on: u32 = value.read(Status::BUFFER_TOO_SMALL)?;
    profile.enabled.store(on != 0, Ordering::Relaxed);
    Ok(())
}

/// Writes an answer; too little room for it is a wrong parameter.
fn put<T: IntoBytes + Immutable>(output: &mut [u8], value: &T) -> Result<usize> {
    let bytes = value.as_bytes();
    let room = output
        .get_mut(..bytes.len())
        .ok_or(Status::INVALID_PARAMETER)?;
    room.copy_from_slice(bytes);
    Ok(bytes.len())
}
