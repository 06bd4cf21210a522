//! A TAP device as a cable: to the rest of the system it is a network card, whose wire is this cable.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt as _;
use std::sync::Arc;
use std::time::Duration;

use super::{CableError, Feed, MAX_FRAME_BYTES, Sink, Source, socket};

/// How many frames are taken at once.
const BATCH: usize = 256;

/// Frames that the system sends through the TAP device.
pub struct TapSource {
    device: Arc<File>,
    name: String,
    buffer: Vec<u8>,
}

/// Frames that the system receives from the TAP device.
pub struct TapSink {
    device: Arc<File>,
    name: String,
}

/// Makes a TAP device and brings it up. It disappears when both halves are dropped.
///
/// # Errors
/// If the name cannot be used or the process may not make TAP devices.
pub fn tap(name: &str) -> Result<(TapSource, TapSink), CableError> {
    let opened = OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(libc::O_NONBLOCK)
        .open("/dev/net/tun");
    let device = opened.map_err(|error| match error.kind() {
        io::ErrorKind::PermissionDenied => CableError::NotPermitted("make a TAP device".into()),
        _ => CableError::NoTap(error),
    })?;
    socket::make_tap(device.as_fd(), name)?;
    let control =
        socket::packet_socket().map_err(|error| CableError::interface("bring up", name, error))?;
    socket::bring_up(control.as_fd(), name)?;
    let device = Arc::new(device);
    let sink = TapSink {
        device: Arc::clone(&device),
        name: name.to_owned(),
    };
    Ok((
        TapSource {
            device,
            name: name.to_owned(),
            buffer: vec![0; MAX_FRAME_BYTES],
        },
        sink,
    ))
}

impl Source for TapSource {
    fn receive(&mut self, frames: &mut Vec<Vec<u8>>, wait: Duration) -> Result<Feed, CableError> {
        let failed = |error| CableError::interface("receive from", &self.name, error);
        if socket::wait_readable(self.device.as_fd(), wait).map_err(failed)? {
            for _ in 0..BATCH {
                let Some(length) =
                    socket::read(self.device.as_fd(), &mut self.buffer).map_err(failed)?
                else {
                    break;
                };
                frames.push(self.buffer[..length].to_vec());
            }
        }
        Ok(Feed::Open)
    }
}

impl Sink for TapSink {
    fn send(&mut self, frame: &[u8]) -> Result<bool, CableError> {
        match socket::write(self.device.as_fd(), frame) {
            // Shorter than an Ethernet header, or the device was taken down: a wire would lose it too.
            Err(error) if matches!(error.raw_os_error(), Some(libc::EINVAL | libc::EIO)) => {
                Ok(false)
            }
            sent => sent.map_err(|error| CableError::interface("send through", &self.name, error)),
        }
    }
}
