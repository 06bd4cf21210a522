//! A socket: one method per request.

use std::time::Duration;

use nt_sim::{Handle, NtStatus, Output, Pending};
use xdp_abi::{
    ClientPtr, HookId,
    ioctl::xsk as ioctl,
    ring::RingInfoSet,
    sockopt::{SetSockoptIn, Sockopt},
    xsk::{BindFlags, BindIn, NotifyFlags, NotifyIn, NotifyResultFlags, Statistics, XskError},
};
use zerocopy::{FromBytes, Immutable, IntoBytes};

use crate::{
    client::Client,
    ring::Rings,
    status::{Answer, answer},
    umem::Umem,
};

/// A socket of a client.
pub struct Xsk<'c> {
    client: &'c Client<'c>,
    handle: Handle<'c>,
}

/// How a notification ended: its status, and what was ready.
pub type Notified = (NtStatus, NotifyResultFlags);

impl<'c> Xsk<'c> {
    pub(crate) fn new(client: &'c Client<'c>, handle: Handle<'c>) -> Self {
        Xsk { client, handle }
    }

    /// The socket behind a handle that was come by otherwise.
    pub fn of(client: &'c Client<'c>, handle: Handle<'c>) -> Self {
        Xsk { client, handle }
    }

    /// Its handle.
    pub fn handle(&self) -> &Handle<'c> {
        &self.handle
    }

    /// The process that owns it.
    pub fn client(&self) -> &'c Client<'c> {
        self.client
    }

    /// Closes the handle.
    ///
    /// # Panics
    /// When the kernel stopped.
    pub fn close(self) {
        self.handle.close().expect("the handle closes");
    }

    /// Sends a request; whatever the status, it is an answer.
    ///
    /// # Panics
    /// When the kernel stopped.
    pub fn request(&self, code: u32, input: &[u8], output_size: usize) -> Output {
        match answer(self.handle.control_any(code, input, output_size)) {
            Ok(output) => output,
            Err(status) => Output {
                status,
                information: 0,
                bytes: Vec::new(),
            },
        }
    }

    fn call(&self, code: u32, input: &[u8]) -> Answer<()> {
        let status = self.request(code, input, 0).status;
        if status.is_success() {
            Ok(())
        } else {
            Err(status)
        }
    }

    /// Binds to a queue.
    ///
    /// # Errors
    /// What the driver answers.
    pub fn bind(&self, if_index: u32, queue_id: u32, flags: BindFlags) -> Answer<()> {
        let bind = BindIn {
            if_index,
            queue_id,
            flags,
        };
        self.call(ioctl::BIND, bind.as_bytes())?;
        self.client.settle();
        Ok(())
    }

    /// Activates.
    ///
    /// # Errors
    /// What the driver answers.
    pub fn activate(&self) -> Answer<()> {
        self.call(ioctl::ACTIVATE, &[0; 4])
    }

    /// Sets an option to a value.
    ///
    /// # Errors
    /// What the driver answers.
    pub fn set<T: IntoBytes + Immutable>(&self, option: Sockopt, value: &T) -> Answer<()> {
        self.set_bytes(option, value.as_bytes())
    }

    /// Sets an option to some bytes.
    ///
    /// # Errors
    /// What the driver answers.
    ///
    /// # Panics
    /// When the kernel stopped.
    pub fn set_bytes(&self, option: Sockopt, value: &[u8]) -> Answer<()> {
        let memory = self.client.place(value);
        let result = self.set_from(option, value.len() as u32, memory.address() as u64);
        self.client.free(memory).expect("the value is freed");
        result
    }

    /// Sets an option from any address.
    ///
    /// # Errors
    /// What the driver answers.
    pub fn set_from(&self, option: Sockopt, length: u32, address: u64) -> Answer<()> {
        let set = SetSockoptIn {
            option,
            input_buffer_length: length,
            input_buffer: ClientPtr(address),
        };
        self.call(ioctl::SET_SOCKOPT, set.as_bytes())
    }

    /// Reads an option, with room for `size` bytes; whatever the status, it is an answer.
    pub fn get_bytes(&self, option: Sockopt, size: usize) -> Output {
        self.request(ioctl::GET_SOCKOPT, option.as_bytes(), size)
    }

    /// Reads an option.
    ///
    /// # Errors
    /// What the driver answers.
    ///
    /// # Panics
    /// When the length that the driver reports is not the type's.
    pub fn get<T: FromBytes>(&self, option: Sockopt) -> Answer<T> {
        let output = self.get_bytes(option, size_of::<T>());
        if output.status.0 != 0 {
            return Err(output.status);
        }
        assert_eq!(
            output.information,
            size_of::<T>(),
            "{option:?} returns its exact size"
        );
        Ok(T::read_from_bytes(&output.bytes).expect("as many bytes as the type has"))
    }

    /// Registers `memory_size` fresh bytes as frame memory.
    ///
    /// # Errors
    /// What the driver answers.
    pub fn register(&self, total_size: u64, chunk_size: u32, headroom: u32) -> Answer<Umem> {
        let umem = Umem::new(self.client, total_size as usize, chunk_size, headroom);
        self.set(Sockopt::UMEM_REG, &umem.registration())?;
        Ok(umem)
    }

    /// Sizes a ring.
    ///
    /// # Errors
    /// What the driver answers.
    pub fn size_ring(&self, option: Sockopt, elements: u32) -> Answer<()> {
        self.set(option, &elements)
    }

    /// Where the rings are.
    ///
    /// # Errors
    /// What the driver answers.
    pub fn ring_info(&self) -> Answer<RingInfoSet> {
        self.get(Sockopt::RING_INFO)
    }

    /// The rings, as they lie in the client's memory.
    ///
    /// # Errors
    /// What the driver answers.
    pub fn rings(&self) -> Answer<Rings> {
        Ok(Rings::of(self.client, &self.ring_info()?))
    }

    /// Counters.
    ///
    /// # Panics
    /// When the driver does not give them.
    pub fn statistics(&self) -> Statistics {
        self.get(Sockopt::STATISTICS).expect("statistics")
    }

    /// Error of a ring, by the option that reads it.
    ///
    /// # Panics
    /// When the driver does not give it.
    pub fn error(&self, option: Sockopt) -> XskError {
        self.get(option).expect("the error of a ring")
    }

    /// Sets the hook of the receive side.
    ///
    /// # Errors
    /// What the driver answers.
    pub fn set_rx_hook(&self, hook: HookId) -> Answer<()> {
        self.set(Sockopt::RX_HOOK_ID, &hook)
    }

    /// Sets the hook of the transmit side.
    ///
    /// # Errors
    /// What the driver answers.
    pub fn set_tx_hook(&self, hook: HookId) -> Answer<()> {
        self.set(Sockopt::TX_HOOK_ID, &hook)
    }

    /// Pokes and waits on the calling thread; `None` waits without end.
    ///
    /// # Errors
    /// The status, when it is an error.
    pub fn notify(&self, flags: NotifyFlags, timeout: Option<Duration>) -> Answer<Notified> {
        let output = self.request(ioctl::NOTIFY, notify_in(flags, timeout).as_bytes(), 0);
        if !output.status.is_success() {
            return Err(output.status);
        }
        let flags = NotifyResultFlags::from_bits_retain(output.information as u32);
        Ok((output.status, flags))
    }

    /// Pokes, and waits for nothing.
    ///
    /// # Errors
    /// What the driver answers.
    pub fn poke(&self, flags: NotifyFlags) -> Answer<()> {
        self.notify(flags, Some(Duration::ZERO)).map(|_| ())
    }

    /// Starts a notification that ends later.
    ///
    /// # Errors
    /// The status, when the request could not be sent.
    ///
    /// # Panics
    /// When the kernel stopped.
    pub fn notify_async(&self, flags: NotifyFlags) -> Answer<Pending<'c>> {
        let input = self.client.place(notify_in(flags, None).as_bytes());
        let range = (input.address(), input.size());
        let sent = answer(self.handle.control_raw(ioctl::NOTIFY_ASYNC, range, (0, 0)));
        // The driver captured the input before the call returned.
        self.client.free(input).expect("the input is freed");
        sent
    }
}

/// The input of a notification.
pub fn notify_in(flags: NotifyFlags, timeout: Option<Duration>) -> NotifyIn {
    NotifyIn {
        flags,
        wait_timeout_milliseconds: timeout.map_or(xdp_abi::xsk::INFINITE, |t| t.as_millis() as u32),
    }
}

/// What a notification that has ended says.
pub fn notified(output: &Output) -> Notified {
    let flags = NotifyResultFlags::from_bits_retain(output.information as u32);
    (output.status, flags)
}
