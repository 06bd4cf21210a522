//! XDP for Windows in safe Rust: see, drop, forward or take packets before the network stack does.
//!
//! - [`Interface`]: a network card, found by name; `lab:` is one in a simulated kernel, in this process or another one ([`lab`]).
//! - [`Program`]: rules ([`Match`], [`Rule`], or a [`rulefile`]) attached to its queues.
//! - [`Umem`] and [`Frame`]: memory that frames are received into and sent from without being copied.
//! - [`Socket`]: receives what rules redirect to it, and sends.
//! - `smoltcp::Device` (feature `smoltcp`): a TCP/IP stack in user mode over a socket; feature `tokio`: sockets in async code.
//! - [`Map`]: sockets by queue. [`Inventory`]: what there is in the driver.
//!
//! All of it is safe code: a frame has one owner, is given up when it is sent, and cannot outlive its memory. Every
//! failure is an [`Error`] that says what was tried, on what, why it failed and what to do. What is attached or open
//! goes away when its value is dropped, and with the process however it ends.
//!
//! Ports and addresses are as people write them, sizes are in bytes and rings in frames unless a name says otherwise, queues and
//! cards count from 0.
//!
//! # Where the meaning comes from
//!
//! What the driver does with a value is what XDP for Windows documents for it; the names of the C API find the items here
//! in the search. Requests and structures are those of its headers:
//!
//! | here | C header |
//! |---|---|
//! | [`Program`], [`Match`], [`Rule`], [`PortSet`], [`Mode`] | `xdp/program.h` |
//! | [`Hook`] | `xdp/hookid.h` |
//! | [`Socket`], [`Umem`], [`Interest`], [`Statistics`], [`RingError`], [`WaitSet`] | `afxdp.h`, `afxdp_helper.h` |
//! | [`FrameInfo`], [`SendOffload`], time stamps and checksums of sockets | `afxdp_experimental.h` |
//! | [`Map`] | `xdpapi.h` |
//! | [`Interface::queues`] | `xdpapi_experimental.h` |
//! | [`NtStatus`] | `ntstatus.h` |
//! | [`Inventory`] | a request of this project's driver only |
//!
//! # Example
//!
//! ```no_run
//! use std::time::Duration;
//! use xdp::{Batch, Interest, Interface, Match, Program, Socket, Umem};
//!
//! let interface = Interface::find("Ethernet 2")?;
//! let umem = Umem::builder(&interface).frames(4096).build()?;
//! let mut socket = Socket::builder(&interface, &umem).queue(0).open()?;
//! let _program = Program::builder(&interface)
//!     .rule(Match::udp_dst(7).redirect(&socket))
//!     .attach()?;
//!
//! let mut batch = Batch::with_capacity(64);
//! while !socket.wait(Interest::RX, Duration::from_secs(10))?.is_empty() {
//!     socket.receive(&mut batch);
//!     for frame in &mut batch {
//!         let (destination, rest) = frame.split_at_mut(6);
//!         destination.swap_with_slice(&mut rest[..6]);
//!     }
//!     socket.send(&mut batch)?;
//! }
//! # Ok::<(), xdp::Error>(())
//! ```

#![deny(unsafe_code)]
#![cfg_attr(
    not(any(
        windows,
        all(feature = "lab", target_os = "linux", target_arch = "x86_64")
    )),
    expect(dead_code, reason = "without a system to talk to, much is not reached")
)]

mod error;
mod handle;
mod interface;
pub mod inventory;
#[cfg(all(feature = "lab", target_os = "linux", target_arch = "x86_64"))]
pub mod lab;
mod map;
mod memory;
mod program;
pub mod rulefile;
#[cfg(feature = "smoltcp")]
pub mod smoltcp;
mod socket;
mod status;
mod sys;
mod umem;

pub use error::{Error, Kind};
pub use handle::{Handle, Peer};
pub use interface::{Interface, System};
pub use inventory::Inventory;
pub use map::Map;
pub use program::{Hook, Match, Mode, PortSet, Program, ProgramBuilder, Rule, Targets};
pub use socket::{
    Binding, BoundSocket, Deadline, Interest, Ready, RingError, RingErrors, SendError, Socket,
    SocketBuilder, Statistics, WaitSet,
};
pub use status::NtStatus;
pub use umem::{Batch, Frame, FrameInfo, NoRoom, SendOffload, Umem, UmemBuilder};
