//! Frame descriptors and what may be attached to them.

use crate::macros::open_enum;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Where a buffer lies in frame memory: 48 bits of chunk address and 16 bits of offset.
#[doc(alias = "XSK_BUFFER_ADDRESS")]
#[doc(alias = "AddressAndOffset")]
#[derive(
    Clone, Copy, PartialEq, Eq, Hash, Default, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(transparent)]
pub struct BufferAddress(pub u64);

impl BufferAddress {
    /// Bits of the base address.
    pub const BASE_ADDRESS_BITS: u32 = 48;
    const BASE_ADDRESS_MASK: u64 = (1 << Self::BASE_ADDRESS_BITS) - 1;

    /// An address from its two parts; bits of `base_address` above the 48th are cut off.
    #[doc(alias = "BaseAddress")]
    #[inline]
    #[must_use]
    pub const fn new(base_address: u64, offset: u16) -> Self {
        Self(base_address & Self::BASE_ADDRESS_MASK | (offset as u64) << Self::BASE_ADDRESS_BITS)
    }

    /// Address of the chunk, an offset into frame memory.
    #[inline]
    #[must_use]
    pub const fn base_address(self) -> u64 {
        self.0 & Self::BASE_ADDRESS_MASK
    }

    /// Offset of the data from the base address.
    #[doc(alias = "Offset")]
    #[inline]
    #[must_use]
    pub const fn offset(self) -> u16 {
        (self.0 >> Self::BASE_ADDRESS_BITS) as u16
    }
}

impl core::fmt::Debug for BufferAddress {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{:#x}+{}", self.base_address(), self.offset())
    }
}

/// One buffer in frame memory.
#[doc(alias = "XSK_BUFFER_DESCRIPTOR")]
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, Default, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct BufferDescriptor {
    /// Where the data lies.
    pub address: BufferAddress,
    /// Bytes of data.
    pub length: u32,
    /// Neither read nor written by the driver.
    pub reserved: u32,
}

/// One element of a receive or transmit ring, before its extensions.
#[doc(alias = "XSK_FRAME_DESCRIPTOR")]
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, Default, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct FrameDescriptor {
    /// The frame's only buffer.
    pub buffer: BufferDescriptor,
}

impl FrameDescriptor {
    /// A frame of `length` bytes at `offset` behind `base_address`.
    #[inline]
    #[must_use]
    pub const fn new(base_address: u64, offset: u16, length: u32) -> Self {
        let address = BufferAddress::new(base_address, offset);
        Self {
            buffer: BufferDescriptor {
                address,
                length,
                reserved: 0,
            },
        }
    }
}

open_enum! {
    /// Link layer of a frame.
    #[doc(alias = "XDP_FRAME_LAYER2_TYPE")]
    pub struct Layer2Type: u8 {
        /// Not said.
        UNSPECIFIED = 0, "XdpFrameLayer2TypeUnspecified";
        /// No header.
        NULL = 1, "XdpFrameLayer2TypeNull";
        /// Ethernet.
        ETHERNET = 2, "XdpFrameLayer2TypeEthernet";
    }
}

open_enum! {
    /// Network layer of a frame.
    #[doc(alias = "XDP_FRAME_LAYER3_TYPE")]
    pub struct Layer3Type: u8 {
        /// Not said.
        UNSPECIFIED = 0, "XdpFrameLayer3TypeUnspecified";
        /// IPv4, with options or without.
        IPV4_UNSPECIFIED_OPTIONS = 1, "XdpFrameLayer3TypeIPv4UnspecifiedOptions";
        /// IPv4 with options.
        IPV4_WITH_OPTIONS = 2, "XdpFrameLayer3TypeIPv4WithOptions";
        /// IPv4 without options.
        IPV4_NO_OPTIONS = 3, "XdpFrameLayer3TypeIPv4NoOptions";
        /// IPv6, with extension headers or without.
        IPV6_UNSPECIFIED_EXTENSIONS = 4, "XdpFrameLayer3TypeIPv6UnspecifiedExtensions";
        /// IPv6 with extension headers.
        IPV6_WITH_EXTENSIONS = 5, "XdpFrameLayer3TypeIPv6WithExtensions";
        /// IPv6 without extension headers.
        IPV6_NO_EXTENSIONS = 6, "XdpFrameLayer3TypeIPv6NoExtensions";
    }
}

open_enum! {
    /// Transport layer of a frame.
    #[doc(alias = "XDP_FRAME_LAYER4_TYPE")]
    pub struct Layer4Type: u8 {
        /// Not said.
        UNSPECIFIED = 0, "XdpFrameLayer4TypeUnspecified";
        /// TCP.
        TCP = 1, "XdpFrameLayer4TypeTcp";
        /// UDP.
        UDP = 2, "XdpFrameLayer4TypeUdp";
        /// Part of a fragmented IP packet.
        IP_FRAGMENT = 3, "XdpFrameLayer4TypeIPFragment";
        /// Something else, not fragmented.
        IP_NOT_FRAGMENT = 4, "XdpFrameLayer4TypeIPNotFragment";
    }
}

/// Kinds and lengths of a frame's headers.
#[doc(alias = "XDP_FRAME_LAYOUT")]
#[derive(
    Clone, Copy, PartialEq, Eq, Hash, Default, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct FrameLayout {
    /// The five bytes, of bit fields.
    pub bytes: [u8; 5],
}

impl FrameLayout {
    /// A layout from its parts; bits that do not fit their field are cut off.
    #[must_use]
    pub const fn new(
        layer2: (Layer2Type, u8),
        layer3: (Layer3Type, u16),
        layer4: (Layer4Type, u8),
    ) -> Self {
        let [low, high] = (layer2.1 as u16 & 0x7f | layer3.1 << 7).to_le_bytes();
        let types = layer2.0.0 & 0xf | layer3.0.0 << 4;
        Self {
            bytes: [low, high, layer4.1, types, layer4.0.0 & 0xf],
        }
    }

    const fn lengths(self) -> u16 {
        u16::from_le_bytes([self.bytes[0], self.bytes[1]])
    }

    /// Bytes of the link header.
    #[must_use]
    pub const fn layer2_header_length(self) -> u8 {
        self.lengths() as u8 & 0x7f
    }

    /// Bytes of the network header.
    #[must_use]
    pub const fn layer3_header_length(self) -> u16 {
        self.lengths() >> 7
    }

    /// Bytes of the transport header.
    #[must_use]
    pub const fn layer4_header_length(self) -> u8 {
        self.bytes[2]
    }

    /// Kind of link header.
    #[must_use]
    pub const fn layer2_type(self) -> Layer2Type {
        Layer2Type(self.bytes[3] & 0xf)
    }

    /// Kind of network header.
    #[must_use]
    pub const fn layer3_type(self) -> Layer3Type {
        Layer3Type(self.bytes[3] >> 4)
    }

    /// Kind of transport header.
    #[must_use]
    pub const fn layer4_type(self) -> Layer4Type {
        Layer4Type(self.bytes[4] & 0xf)
    }

    /// Bits without a meaning yet.
    #[must_use]
    pub const fn reserved0(self) -> u8 {
        self.bytes[4] >> 4
    }
}

impl core::fmt::Debug for FrameLayout {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("FrameLayout")
            .field("layer2", &(self.layer2_type(), self.layer2_header_length()))
            .field("layer3", &(self.layer3_type(), self.layer3_header_length()))
            .field("layer4", &(self.layer4_type(), self.layer4_header_length()))
            .finish()
    }
}

open_enum! {
    /// What the receiver found out about a checksum.
    #[doc(alias = "XDP_FRAME_RX_CHECKSUM_EVALUATION")]
    pub struct RxChecksumEvaluation: u8 {
        /// Nothing.
        NOT_CHECKED = 0, "XdpFrameRxChecksumEvaluationNotChecked";
        /// It is right.
        SUCCEEDED = 1, "XdpFrameRxChecksumEvaluationSucceeded";
        /// It is wrong.
        FAILED = 2, "XdpFrameRxChecksumEvaluationFailed";
        /// It is missing or meaningless.
        INVALID = 3, "XdpFrameRxChecksumEvaluationInvalid";
    }
}

open_enum! {
    /// What the sender is to do about a checksum.
    #[doc(alias = "XDP_FRAME_TX_CHECKSUM_ACTION")]
    pub struct TxChecksumAction: u8 {
        /// Nothing.
        PASSTHROUGH = 0, "XdpFrameTxChecksumActionPassthrough";
        /// Compute it.
        REQUIRED = 1, "XdpFrameTxChecksumActionRequired";
    }
}

/// Two bits for the network checksum, two for the transport checksum.
#[doc(alias = "XDP_FRAME_CHECKSUM")]
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, Default, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(transparent)]
pub struct FrameChecksum(pub u8);

impl FrameChecksum {
    /// From the two values, each a [`RxChecksumEvaluation`] or a [`TxChecksumAction`].
    #[must_use]
    pub const fn new(layer3: u8, layer4: u8) -> Self {
        Self(layer3 & 3 | (layer4 & 3) << 2)
    }

    /// Value for the network checksum.
    #[must_use]
    pub const fn layer3(self) -> u8 {
        self.0 & 3
    }

    /// Value for the transport checksum.
    #[must_use]
    pub const fn layer4(self) -> u8 {
        self.0 >> 2 & 3
    }

    /// Bits without a meaning yet.
    #[must_use]
    pub const fn reserved(self) -> u8 {
        self.0 >> 4
    }
}

/// When the frame arrived or left, in the interface's own unit.
#[doc(alias = "XDP_FRAME_TIMESTAMP")]
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, Default, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct FrameTimestamp {
    /// The time.
    pub timestamp: u64,
}

/// Length of a received frame before it was cut.
#[doc(alias = "XSK_FRAME_ORIGINAL_LENGTH")]
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, Default, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct FrameOriginalLength {
    /// The length.
    pub original_length: u32,
}

/// How a frame was joined from several received ones: TCP segments joined, or bytes of each UDP message.
#[doc(alias = "XDP_FRAME_GRO")]
#[doc(alias = "CoalescedSegmentCount")]
#[doc(alias = "MessageSize")]
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, Default, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(transparent)]
pub struct FrameGro(pub u16);

/// Difference of the TCP timestamps of the frames that were joined.
#[doc(alias = "XDP_FRAME_GRO_TIMESTAMP")]
#[doc(alias = "TcpTimestampDelta")]
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, Default, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(transparent)]
pub struct FrameGroTimestamp(pub u32);

/// How a frame is to be cut for sending: the segment size in the low 20 bits, for TCP and UDP alike.
#[doc(alias = "XDP_FRAME_GSO")]
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, Default, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(transparent)]
pub struct FrameGso(pub u32);

impl FrameGso {
    /// Largest segment.
    #[doc(alias = "Mss")]
    #[must_use]
    pub const fn mss(self) -> u32 {
        self.0 & 0xf_ffff
    }

    /// Bits without a meaning yet.
    #[must_use]
    pub const fn reserved0(self) -> u32 {
        self.0 >> 20
    }
}
