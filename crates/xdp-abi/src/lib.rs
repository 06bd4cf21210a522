//! The bytes both sides of XDP for Windows agree on.
//!
//! Everything an application, a NIC driver and `xdp.sys` exchange is declared here: rules and patterns, frame
//! descriptors, the layout of shared rings, socket options, IOCTL codes, the open packet, offload structures and
//! the native NIC driver interface. There is no behaviour beyond naming bits and bytes.
//!
//! Conventions:
//!
//! - Names are Rust-cased; searching the documentation for the C name finds the item (`XDP_RULE`, `XSK_BIND_IN`).
//! - Enumerations that arrive from outside are *open*: a newtype with constants, so that an unknown value is a
//!   value and not undefined behaviour.
//! - C unions are stored as words and read through typed views, so no `unsafe` is needed to look at one.
//! - Addresses and handles in application structures are numbers ([`ClientPtr`], [`Handle`]): they have to be
//!   captured and validated before they mean anything.
//! - Only 64-bit layouts exist: the driver refuses 32-bit clients.
#![no_std]
#![forbid(unsafe_code)]

mod macros;

pub mod address;
pub mod api;
pub mod extension;
pub mod frame;
pub mod hook;
pub mod inventory;
pub mod ioctl;
pub mod map;
pub mod native;
pub mod object;
pub mod offload;
pub mod open;
pub mod program;
pub mod quic;
pub mod ring;
pub mod rule;
pub mod sockopt;
pub mod status;
pub mod xsk;

pub use address::{In6Addr, InAddr, InetAddr, IpAddressMask, Port};
pub use hook::{Direction, HookId, Layer, SubLayer};
pub use object::{ClientPtr, Guid, Handle, ObjectHeader, Version};
pub use rule::{
    ActionParams, EbpfParams, IpPortSet, MatchPattern, MatchType, PortSet, QuicFlow,
    RedirectParams, RedirectTargetType, Rule, RuleAction, Tuple,
};

/// Distance that keeps two words written by different processors off each other's cache line, as the
/// shared structures were laid out (`SYSTEM_CACHE_ALIGNMENT_SIZE`).
#[doc(alias = "SYSTEM_CACHE_ALIGNMENT_SIZE")]
pub const CACHE_LINE: usize = if cfg!(target_arch = "aarch64") {
    128
} else {
    64
};
