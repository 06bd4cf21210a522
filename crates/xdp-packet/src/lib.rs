//! Packet headers over frames made of any number of buffers.
//!
//! A frame arrives as a [`Frame`]: its first buffer, and whatever follows. [`Packet::parse`] reads its headers once, as deep
//! as asked ([`Depth`]), and gives views of them: `None`-like when absent, never a panic. Headers that lie in the first
//! buffer are read in place; when one crosses into the next, the head of the frame is gathered into a caller-supplied
//! [`Scratch`] and read there, so that a split frame gives exactly the answer of a contiguous one.
//!
//! ```
//! use xdp_packet::{Depth, Frame, Packet, Scratch};
//!
//! fn is_dns(frame: &Frame<'_>) -> bool {
//!     let mut scratch = Scratch::new();
//!     let packet = Packet::parse(frame, Depth::Transport, &mut scratch);
//!     packet.udp().is_some_and(|udp| udp.destination_port() == 53)
//! }
//!
//! assert!(!is_dns(&Frame::new(b"too short to be anything")));
//! ```
//!
//! What counts as "present" is what rules are specified to see: no VLAN tags, no IPv4 options, no IPv6 extension headers.
//! They are reported as facts ([`Facts::VLAN`] and so on), and [`Extended`] looks through them.
//!
//! Every protocol has a view ([`Ipv4`]) over a byte array of the header's exact length, so that no accessor can fail, and a
//! value ([`Ipv4Header`]) that can be changed and written out.
//!
//! Programs that send frames on or answer them change them where they are: [`Rewriter`] exchanges addresses and ports,
//! [`Responder`] answers ARP, neighbour discovery and ping.

#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    warn(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects
    )
)]

#[cfg(feature = "alloc")]
extern crate alloc;

#[cfg(feature = "alloc")]
mod build;
pub mod checksum;
mod ethernet;
mod extended;
mod facts;
mod frame;
#[cfg(feature = "hot-paths")]
pub mod hot_paths;
mod icmp;
mod ipv4;
mod ipv6;
mod packet;
mod parse;
mod quic;
mod respond;
mod rewrite;
mod tcp;
mod udp;
mod values;

#[cfg(feature = "alloc")]
pub use build::FrameBuilder;
pub use ethernet::{ETHERTYPE_IPV4, ETHERTYPE_IPV6, Ethernet, InvalidMacAddr, MacAddr};
pub use extended::{Extended, Fragment, VlanTag};
pub use facts::Facts;
pub use frame::{Frame, SCRATCH_SIZE, Scratch, Tail};
pub use icmp::Icmp;
pub use ipv4::Ipv4;
pub use ipv6::Ipv6;
pub use packet::{Depth, Packet, protocol};
pub use quic::{Quic, QuicIncomplete};
pub use respond::Responder;
pub use rewrite::{OtherFamily, Rewriter};
pub use tcp::Tcp;
pub use udp::Udp;
pub use values::{EthernetHeader, Ipv4Header, Ipv6Header, TcpHeader, UdpHeader};
