//! Offloads an interface can be asked about or told to use.

use crate::macros::open_flags;
use crate::object::ObjectHeader;
use core::mem::offset_of;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Current checksum offload of an interface.
#[doc(alias = "XDP_CHECKSUM_CONFIGURATION")]
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Default, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct ChecksumConfiguration {
    /// Revision and size.
    pub header: ObjectHeader,
    /// Whether checksums are offloaded at all.
    pub enabled: u8,
    /// Whether segments with TCP options are included.
    pub tcp_options: u8,
    /// Padding, not part of the revision's size.
    pub padding: [u8; 2],
}

/// Revision of [`ChecksumConfiguration`].
#[doc(alias = "XDP_CHECKSUM_CONFIGURATION_REVISION_1")]
pub const CHECKSUM_CONFIGURATION_REVISION_1: u32 = 1;
/// Bytes of revision 1.
#[doc(alias = "XDP_SIZEOF_CHECKSUM_CONFIGURATION_REVISION_1")]
pub const SIZEOF_CHECKSUM_CONFIGURATION_REVISION_1: usize =
    offset_of!(ChecksumConfiguration, padding);

open_flags! {
    /// What a [`RssConfiguration`] contains.
    pub struct RssFlags: u32 {
        /// The hash type.
        SET_HASH_TYPE = 1, "XDP_RSS_FLAG_SET_HASH_TYPE";
        /// The secret key.
        SET_HASH_SECRET_KEY = 2, "XDP_RSS_FLAG_SET_HASH_SECRET_KEY";
        /// The indirection table.
        SET_INDIRECTION_TABLE = 4, "XDP_RSS_FLAG_SET_INDIRECTION_TABLE";
        /// RSS is off.
        DISABLED = 8, "XDP_RSS_FLAG_DISABLED";
    }
}

/// Every flag with a meaning.
#[doc(alias = "XDP_RSS_VALID_FLAGS")]
pub const RSS_VALID_FLAGS: RssFlags = RssFlags::all();

open_flags! {
    /// Fields of a packet that RSS hashes.
    pub struct RssHashTypes: u32 {
        /// IPv4 addresses.
        IPV4 = 0x1, "XDP_RSS_HASH_TYPE_IPV4";
        /// IPv4 addresses and TCP ports.
        TCP_IPV4 = 0x2, "XDP_RSS_HASH_TYPE_TCP_IPV4";
        /// IPv4 addresses and UDP ports.
        UDP_IPV4 = 0x4, "XDP_RSS_HASH_TYPE_UDP_IPV4";
        /// IPv6 addresses.
        IPV6 = 0x8, "XDP_RSS_HASH_TYPE_IPV6";
        /// IPv6 addresses and TCP ports.
        TCP_IPV6 = 0x10, "XDP_RSS_HASH_TYPE_TCP_IPV6";
        /// IPv6 addresses and UDP ports.
        UDP_IPV6 = 0x20, "XDP_RSS_HASH_TYPE_UDP_IPV6";
        /// IPv6 addresses, those of extension headers first.
        IPV6_EX = 0x40, "XDP_RSS_HASH_TYPE_IPV6_EX";
        /// The same with TCP ports.
        TCP_IPV6_EX = 0x80, "XDP_RSS_HASH_TYPE_TCP_IPV6_EX";
        /// The same with UDP ports.
        UDP_IPV6_EX = 0x100, "XDP_RSS_HASH_TYPE_UDP_IPV6_EX";
    }
}

/// Every hash type with a meaning.
#[doc(alias = "XDP_RSS_VALID_HASH_TYPES")]
pub const RSS_VALID_HASH_TYPES: RssHashTypes = RssHashTypes::all();

/// What RSS of an interface can do.
#[doc(alias = "XDP_RSS_CAPABILITIES")]
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Default, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct RssCapabilities {
    /// Revision and size.
    pub header: ObjectHeader,
    /// Zero.
    pub flags: u32,
    /// Supported hash types.
    pub hash_types: RssHashTypes,
    /// Bytes of the secret key.
    pub hash_secret_key_size: u32,
    /// Receive queues.
    pub number_of_receive_queues: u32,
    /// Entries of the indirection table (since revision 2).
    pub number_of_indirection_table_entries: u32,
}

/// First revision of [`RssCapabilities`].
#[doc(alias = "XDP_RSS_CAPABILITIES_REVISION_1")]
pub const RSS_CAPABILITIES_REVISION_1: u32 = 1;
/// Second revision of [`RssCapabilities`].
#[doc(alias = "XDP_RSS_CAPABILITIES_REVISION_2")]
pub const RSS_CAPABILITIES_REVISION_2: u32 = 2;
/// Bytes of revision 1.
#[doc(alias = "XDP_SIZEOF_RSS_CAPABILITIES_REVISION_1")]
pub const SIZEOF_RSS_CAPABILITIES_REVISION_1: usize =
    offset_of!(RssCapabilities, number_of_indirection_table_entries);
/// Bytes of revision 2.
#[doc(alias = "XDP_SIZEOF_RSS_CAPABILITIES_REVISION_2")]
pub const SIZEOF_RSS_CAPABILITIES_REVISION_2: usize = size_of::<RssCapabilities>();

/// RSS configuration; key and table follow at the offsets given.
#[doc(alias = "XDP_RSS_CONFIGURATION")]
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Default, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct RssConfiguration {
    /// Revision and size.
    pub header: ObjectHeader,
    /// What is contained.
    pub flags: RssFlags,
    /// Fields that are hashed.
    pub hash_type: RssHashTypes,
    /// Where the secret key starts.
    pub hash_secret_key_offset: u16,
    /// Bytes of the secret key.
    pub hash_secret_key_size: u16,
    /// Where the indirection table starts.
    pub indirection_table_offset: u16,
    /// Bytes of the indirection table.
    pub indirection_table_size: u16,
}

/// Revision of [`RssConfiguration`].
#[doc(alias = "XDP_RSS_CONFIGURATION_REVISION_1")]
pub const RSS_CONFIGURATION_REVISION_1: u32 = 1;
/// Bytes of revision 1.
#[doc(alias = "XDP_SIZEOF_RSS_CONFIGURATION_REVISION_1")]
pub const SIZEOF_RSS_CONFIGURATION_REVISION_1: usize = size_of::<RssConfiguration>();
