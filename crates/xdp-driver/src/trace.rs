//! Events for tracing: the provider Microsoft-XDP.
//!
//! While nobody listens an event costs one load, for a batch at a time also where each frame has an event.

use nt::etw::{EventProvider, Listening};
use nt::sys::{EVENT_DESCRIPTOR, GUID};
use nt::{Passive, Result};

/// Microsoft-XDP.
const PROVIDER: GUID = GUID {
    Data1: 0x580b_bdea,
    Data2: 0xb364,
    Data3: 0x4369,
    Data4: [0xb2, 0x91, 0xd3, 0x53, 0x9e, 0x35, 0xd2, 0x0b],
};

/// Microsoft-XDP/Diagnostic.
const CHANNEL: u8 = 0x10;
/// The keyword of the first channel of a provider, which every event in it has.
const CHANNEL_KEYWORD: u64 = 1 << 63;

const TX: u64 = 0x1;
const RX: u64 = 0x2;
const XSK: u64 = 0x4;
const GENERIC: u64 = 0x8;
const EC: u64 = 0x10;

const INFORMATION: u8 = 4;
const PER_IO: u8 = 20;
const PER_FRAME: u8 = 25;

/// The opcodes of what has a beginning and an end.
const START: u8 = 1;
const STOP: u8 = 2;

/// An event.
#[derive(Clone, Copy)]
pub(crate) struct TraceEvent {
    id: u16,
    level: u8,
    opcode: u8,
    keyword: u64,
}

macro_rules! events {
    ($($(#[$doc:meta])* $id:literal $name:ident: $level:ident, $opcode:expr, $keyword:expr;)*) => {
        impl TraceEvent {
            $($(#[$doc])* pub(crate) const $name: Self = Self {
                id: $id,
                level: $level,
                opcode: $opcode,
                keyword: $keyword,
            };)*
        }
    };
}

// Event 20, the failure of an eBPF program, comes with eBPF.
events! {
    /// Socket, flags.
    1 POKE_START: PER_IO, START, XSK;
    /// Socket, flags.
    2 POKE_STOP: PER_IO, STOP, XSK;
    /// Socket, process.
    3 CREATE_SOCKET: INFORMATION, 0, XSK;
    /// Socket.
    4 CLOSE_SOCKET_START: INFORMATION, START, XSK;
    /// Socket.
    5 CLOSE_SOCKET_STOP: INFORMATION, STOP, XSK;
    /// Socket, index in the socket's ring, number of the frame on its queue.
    6 XSK_TX_ENQUEUE: PER_FRAME, 0, TX | XSK;
    /// Socket, transmit queue, interface, number of the queue.
    7 XSK_TX_BIND: INFORMATION, 0, TX | XSK;
    /// Transmit queue, number of the frame.
    8 GENERIC_TX_ENQUEUE: PER_FRAME, 0, TX | GENERIC;
    /// Transmit queue.
    9 GENERIC_TX_POST_START: PER_IO, START, TX | GENERIC;
    /// Transmit queue.
    10 GENERIC_TX_POST_STOP: PER_IO, STOP, TX | GENERIC;
    /// Receive queue.
    11 GENERIC_RX_INSPECT_START: PER_IO, START, RX | GENERIC;
    /// Receive queue.
    12 GENERIC_RX_INSPECT_STOP: PER_IO, STOP, RX | GENERIC;
    /// Socket, index of the first entry, their number.
    13 XSK_RX_POST: PER_IO, 0, RX | XSK;
    /// Transmit queue, number of the first frame, how many.
    14 GENERIC_TX_COMPLETE: PER_IO, 0, TX | GENERIC;
    /// Socket, index of the first entry, their number.
    15 XSK_TX_COMPLETE: PER_IO, 0, TX | XSK;
    /// Execution context, state.
    16 EC_STATE_CHANGE: PER_IO, 0, EC;
    /// Socket, request (0 without a packet), flags, timeout in milliseconds.
    17 NOTIFY_START: PER_IO, START, XSK;
    /// Socket, request, result flags, status.
    18 NOTIFY_STOP: PER_IO, STOP, XSK;
    /// Socket, request, status.
    19 NOTIFY_ASYNC_COMPLETE: PER_IO, 0, XSK;
    /// Receive queue.
    21 RX_INSPECT_RING_START: PER_IO, START, RX | GENERIC;
    /// Receive queue.
    22 RX_INSPECT_RING_STOP: PER_IO, STOP, RX | GENERIC;
}

/// A field of an event.
#[derive(Clone, Copy)]
pub(crate) enum Field {
    /// An address or another number as wide as one.
    Wide(usize),
    /// A number of 32 bits.
    Number(u32),
}

impl Field {
    /// Something by its address.
    pub(crate) fn of<T>(thing: &T) -> Self {
        Self::Wide(core::ptr::from_ref(thing).addr())
    }
}

/// The most fields that an event has.
const MOST: usize = 4;

static LISTENING: Listening = Listening::new();

/// The registered provider.
pub(crate) struct Trace {
    provider: EventProvider,
}

impl Trace {
    /// Registers the provider.
    pub(crate) fn register(passive: Passive<'_>) -> Result<Self> {
        let provider = EventProvider::register(&PROVIDER, &LISTENING, passive)?;
        Ok(Self { provider })
    }

    /// Whether somebody may listen to an event: to be asked once for many.
    #[inline]
    pub(crate) fn wants(event: TraceEvent) -> bool {
        LISTENING.wants(event.level)
    }

    /// Writes an event if somebody listens. Any level up to DISPATCH_LEVEL.
    #[inline]
    pub(crate) fn note<const N: usize>(
        &self,
        event: TraceEvent,
        fields: impl FnOnce() -> [Field; N],
    ) {
        const { assert!(N <= MOST) };
        if Self::wants(event) {
            self.write(event, &fields());
        }
    }

    #[cold]
    #[inline(never)]
    fn write(&self, event: TraceEvent, fields: &[Field]) {
        let mut wide = [[0; 8]; MOST];
        let mut pieces: [&[u8]; MOST] = [&[]; MOST];
        for ((field, bytes), piece) in fields.iter().zip(&mut wide).zip(&mut pieces) {
            let len = match field {
                Field::Wide(value) => {
                    *bytes = (*value as u64).to_le_bytes();
                    8
                }
                Field::Number(value) => {
                    *bytes = u64::from(*value).to_le_bytes();
                    4
                }
            };
            *piece = bytes.get(..len).unwrap_or_default();
        }
        let descriptor = EVENT_DESCRIPTOR {
            Id: event.id,
            Version: 0,
            Channel: CHANNEL,
            Level: event.level,
            Opcode: event.opcode,
            Task: 0,
            Keyword: event.keyword | CHANNEL_KEYWORD,
        };
        // Who listens loses events when there is no room for them; nobody can be told.
        let pieces = pieces.get(..fields.len()).unwrap_or_default();
        let _ = self.provider.write(&descriptor, pieces);
    }
}
