//! An existing Linux interface as a cable.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use super::ring::Ring;
use super::{CableError, Feed, Sink, Source, socket};

/// Frames that arrive at an interface.
pub struct InterfaceSource {
    socket: Arc<OwnedFd>,
    ring: Ring,
    name: String,
    lost: u64,
}

/// Frames that leave through an interface.
pub struct InterfaceSink {
    socket: Arc<OwnedFd>,
    name: String,
}

/// Plugs a cable into an interface, promiscuously. The interface's own kernel still sees the frames.
///
/// # Errors
/// If there is no such Ethernet interface or the process may not use packet sockets.
pub fn interface(name: &str) -> Result<(InterfaceSource, InterfaceSink), CableError> {
    const OPEN: &str = "open a packet socket on";
    let failed = |error| CableError::interface(OPEN, name, error);
    let index = socket::interface_index(name)?;
    let socket = socket::packet_socket().map_err(failed)?;
    if socket::hardware_type(socket.as_fd(), name)? != libc::ARPHRD_ETHER {
        return Err(CableError::NotEthernet(name.to_owned()));
    }
    // What goes out through this socket must not come back in by it.
    socket::set_packet_option(socket.as_fd(), libc::PACKET_IGNORE_OUTGOING, &1_i32)
        .map_err(failed)?;
    let ring = Ring::new(socket.as_fd()).map_err(failed)?;
    socket::bind(socket.as_fd(), index).map_err(failed)?;
    let membership = libc::packet_mreq {
        mr_ifindex: index,
        mr_type: libc::PACKET_MR_PROMISC as u16,
        mr_alen: 0,
        mr_address: [0; 8],
    };
    socket::set_packet_option(socket.as_fd(), libc::PACKET_ADD_MEMBERSHIP, &membership)
        .map_err(failed)?;
    let socket = Arc::new(socket);
    let sink = InterfaceSink {
        socket: Arc::clone(&socket),
        name: name.to_owned(),
    };
    Ok((
        InterfaceSource {
            socket,
            ring,
            name: name.to_owned(),
            lost: 0,
        },
        sink,
    ))
}

impl Source for InterfaceSource {
    fn receive(&mut self, frames: &mut Vec<Vec<u8>>, wait: Duration) -> Result<Feed, CableError> {
        let before = frames.len();
        self.ring.take(frames);
        if frames.len() == before {
            let ready = socket::wait_readable(self.socket.as_fd(), wait)
                .map_err(|error| CableError::interface("receive from", &self.name, error))?;
            if ready {
                self.ring.take(frames);
            }
        }
        Ok(Feed::Open)
    }

    fn lost(&mut self) -> u64 {
        // Without an answer the last known number stands.
        self.lost += socket::dropped_frames(self.socket.as_fd()).unwrap_or(0);
        self.lost
    }
}

impl Sink for InterfaceSink {
    fn send(&mut self, frame: &[u8]) -> Result<bool, CableError> {
        match socket::send(self.socket.as_fd(), frame) {
            // Longer than the interface takes: a wire would lose it too.
            Err(error) if error.raw_os_error() == Some(libc::EMSGSIZE) => Ok(false),
            sent => sent.map_err(|error| CableError::interface("send through", &self.name, error)),
        }
    }
}
