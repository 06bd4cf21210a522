//! QUIC encryption offload.

use crate::macros::open_enum;
use crate::object::ObjectHeader;
use crate::rule::QUIC_MAX_CID_LENGTH;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

open_enum! {
    /// Whether a connection is added or removed.
    #[doc(alias = "XDP_QUIC_OPERATION")]
    pub struct QuicOperation: u32 {
        /// Added.
        ADD = 0, "XDP_QUIC_OPERATION_ADD";
        /// Removed.
        REMOVE = 1, "XDP_QUIC_OPERATION_REMOVE";
    }
}

open_enum! {
    /// Direction of an offloaded connection.
    #[doc(alias = "XDP_QUIC_DIRECTION")]
    pub struct QuicDirection: u32 {
        /// Sending.
        TRANSMIT = 0, "XDP_QUIC_DIRECTION_TRANSMIT";
        /// Receiving.
        RECEIVE = 1, "XDP_QUIC_DIRECTION_RECEIVE";
    }
}

open_enum! {
    /// What happens to a packet that cannot be decrypted.
    #[doc(alias = "XDP_QUIC_DECRYPT_FAILURE_ACTION")]
    pub struct QuicDecryptFailureAction: u32 {
        /// It is dropped.
        DROP = 0, "XDP_QUIC_DECRYPT_FAILURE_ACTION_DROP";
        /// It is delivered as it is.
        CONTINUE = 1, "XDP_QUIC_DECRYPT_FAILURE_ACTION_CONTINUE";
    }
}

open_enum! {
    /// Cipher of an offloaded connection.
    #[doc(alias = "XDP_QUIC_CIPHER_TYPE")]
    pub struct QuicCipherType: u32 {
        /// AES-128-GCM.
        AEAD_AES_128_GCM = 0, "XDP_QUIC_CIPHER_TYPE_AEAD_AES_128_GCM";
        /// AES-256-GCM.
        AEAD_AES_256_GCM = 1, "XDP_QUIC_CIPHER_TYPE_AEAD_AES_256_GCM";
        /// ChaCha20-Poly1305.
        AEAD_CHACHA20_POLY1305 = 2, "XDP_QUIC_CIPHER_TYPE_AEAD_CHACHA20_POLY1305";
        /// AES-128-CCM.
        AEAD_AES_128_CCM = 3, "XDP_QUIC_CIPHER_TYPE_AEAD_AES_128_CCM";
    }
}

open_enum! {
    /// Family of the address of an offloaded connection.
    #[doc(alias = "XDP_QUIC_ADDRESS_FAMILY")]
    pub struct QuicAddressFamily: u32 {
        /// IPv4.
        INET4 = 0, "XDP_QUIC_ADDRESS_FAMILY_INET4";
        /// IPv6.
        INET6 = 1, "XDP_QUIC_ADDRESS_FAMILY_INET6";
    }
}

/// Operation, direction, failure action, key phase and cipher of a connection, in one word.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Default, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(transparent)]
pub struct QuicConnectionBits(pub u32);

impl QuicConnectionBits {
    /// The word from its parts; bits that do not fit their field are cut off.
    #[must_use]
    pub const fn new(
        operation: QuicOperation,
        direction: QuicDirection,
        decrypt_failure_action: QuicDecryptFailureAction,
        key_phase: bool,
        cipher_type: QuicCipherType,
    ) -> Self {
        Self(
            operation.0 & 1
                | (direction.0 & 1) << 1
                | (decrypt_failure_action.0 & 1) << 2
                | (key_phase as u32) << 3
                | cipher_type.0 << 16,
        )
    }

    /// Whether the connection is added or removed.
    #[must_use]
    pub const fn operation(self) -> QuicOperation {
        QuicOperation(self.0 & 1)
    }

    /// Direction.
    #[must_use]
    pub const fn direction(self) -> QuicDirection {
        QuicDirection(self.0 >> 1 & 1)
    }

    /// What happens to a packet that cannot be decrypted.
    #[must_use]
    pub const fn decrypt_failure_action(self) -> QuicDecryptFailureAction {
        QuicDecryptFailureAction(self.0 >> 2 & 1)
    }

    /// Key phase bit.
    #[must_use]
    pub const fn key_phase(self) -> u32 {
        self.0 >> 3 & 1
    }

    /// Bits without a meaning yet.
    #[doc(alias = "RESERVED")]
    #[must_use]
    pub const fn reserved(self) -> u32 {
        self.0 >> 4 & 0xfff
    }

    /// Cipher.
    #[must_use]
    pub const fn cipher_type(self) -> QuicCipherType {
        QuicCipherType(self.0 >> 16)
    }
}

/// One connection to offload.
#[doc(alias = "XDP_QUIC_CONNECTION")]
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Default, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct QuicConnection {
    /// Revision and size.
    pub header: ObjectHeader,
    /// Operation, direction, failure action, key phase and cipher.
    pub bits: QuicConnectionBits,
    /// Family of the address.
    pub address_family: QuicAddressFamily,
    /// UDP port.
    pub udp_port: u16,
    /// Padding.
    pub padding0: [u8; 6],
    /// Next packet number.
    pub next_packet_number: u64,
    /// Bytes of the connection id.
    pub connection_id_length: u8,
    /// Address.
    pub address: [u8; 16],
    /// Connection id.
    pub connection_id: [u8; QUIC_MAX_CID_LENGTH],
    /// Key of the payload.
    pub payload_key: [u8; 32],
    /// Key of the header protection.
    pub header_key: [u8; 32],
    /// Initialisation vector of the payload.
    pub payload_iv: [u8; 12],
    /// Padding.
    pub padding1: [u8; 3],
    /// Result, filled in by the driver.
    pub status: i32,
}

/// Revision of [`QuicConnection`].
#[doc(alias = "XDP_QUIC_CONNECTION_REVISION_1")]
pub const QUIC_CONNECTION_REVISION_1: u32 = 1;
/// Bytes of revision 1.
#[doc(alias = "XDP_SIZEOF_QUIC_CONNECTION_REVISION_1")]
pub const SIZEOF_QUIC_CONNECTION_REVISION_1: usize = size_of::<QuicConnection>();
