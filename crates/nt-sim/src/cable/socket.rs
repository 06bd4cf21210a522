//! The system calls of the cables, one each, with results as `io::Result`.

use std::io;
use std::mem::size_of_val;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::time::Duration;

use super::CableError;

/// Makes a packet socket that receives nothing until it is bound.
pub(super) fn packet_socket() -> io::Result<OwnedFd> {
    // SAFETY: takes three numbers and gives a new descriptor or -1.
    let fd =
        check(unsafe { libc::socket(libc::AF_PACKET, libc::SOCK_RAW | libc::SOCK_CLOEXEC, 0) })?;
    // SAFETY: the call above made this descriptor and nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Number of an interface.
pub(super) fn interface_index(name: &str) -> Result<i32, CableError> {
    let c_name = std::ffi::CString::new(name).map_err(|_| CableError::BadName(name.to_owned()))?;
    // SAFETY: the name is a C string that outlives the call.
    let index = unsafe { libc::if_nametoindex(c_name.as_ptr()) };
    match i32::try_from(index) {
        Ok(index) if index > 0 => Ok(index),
        _ => Err(CableError::NoInterface(name.to_owned())),
    }
}

/// Binds a packet socket to an interface, all protocols.
pub(super) fn bind(socket: BorrowedFd<'_>, index: i32) -> io::Result<()> {
    // SAFETY: all fields are integers and byte arrays, for which zero is a value.
    let mut address: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
    address.sll_family = libc::AF_PACKET as u16;
    address.sll_protocol = (libc::ETH_P_ALL as u16).to_be();
    address.sll_ifindex = index;
    let length = size_of_val(&address) as libc::socklen_t;
    // SAFETY: the address is a whole sockaddr_ll of the stated length and outlives the call.
    check(unsafe { libc::bind(socket.as_raw_fd(), (&raw const address).cast(), length) })?;
    Ok(())
}

/// Sets an option of packet sockets.
pub(super) fn set_packet_option<T>(
    socket: BorrowedFd<'_>,
    option: i32,
    value: &T,
) -> io::Result<()> {
    let length = size_of_val(value) as libc::socklen_t;
    // SAFETY: the value is `length` readable bytes and outlives the call.
    check(unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_PACKET,
            option,
            (&raw const *value).cast(),
            length,
        )
    })?;
    Ok(())
}

/// Number of frames that a packet socket has dropped since this was last asked.
pub(super) fn dropped_frames(socket: BorrowedFd<'_>) -> io::Result<u64> {
    let mut statistics = libc::tpacket_stats_v3 {
        tp_packets: 0,
        tp_drops: 0,
        tp_freeze_q_cnt: 0,
    };
    let mut length = size_of_val(&statistics) as libc::socklen_t;
    // SAFETY: the kernel writes at most `length` bytes to the structure, which outlives the call.
    check(unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_PACKET,
            libc::PACKET_STATISTICS,
            (&raw mut statistics).cast(),
            &raw mut length,
        )
    })?;
    Ok(u64::from(statistics.tp_drops))
}

/// Hardware type of an interface (`ARPHRD_ETHER` and so on).
pub(super) fn hardware_type(socket: BorrowedFd<'_>, name: &str) -> Result<u16, CableError> {
    let mut request = request(name)?;
    // SAFETY: the request is a whole ifreq with the name in it and outlives the call.
    let done =
        check(unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCGIFHWADDR, &raw mut request) });
    done.map_err(|error| CableError::interface("ask the hardware type of", name, error))?;
    // SAFETY: the call above has filled in this member.
    Ok(unsafe { request.ifr_ifru.ifru_hwaddr }.sa_family)
}

/// Brings an interface up.
pub(super) fn bring_up(socket: BorrowedFd<'_>, name: &str) -> Result<(), CableError> {
    let mut request = request(name)?;
    request.ifr_ifru.ifru_flags = (libc::IFF_UP | libc::IFF_RUNNING) as i16;
    // SAFETY: the request is a whole ifreq with name and flags in it and outlives the call.
    let done =
        check(unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS, &raw const request) });
    done.map_err(|error| CableError::interface("bring up", name, error))?;
    Ok(())
}

/// Turns an open /dev/net/tun into the TAP device of this name.
pub(super) fn make_tap(tun: BorrowedFd<'_>, name: &str) -> Result<(), CableError> {
    let mut request = request(name)?;
    request.ifr_ifru.ifru_flags = (libc::IFF_TAP | libc::IFF_NO_PI) as i16;
    // SAFETY: the request is a whole ifreq with name and flags in it and outlives the call.
    let done = check(unsafe { libc::ioctl(tun.as_raw_fd(), libc::TUNSETIFF, &raw const request) });
    done.map(|_| ())
        .map_err(|error| match error.raw_os_error() {
            Some(libc::EINVAL | libc::EBUSY | libc::EEXIST) => {
                CableError::NameTaken(name.to_owned())
            }
            _ => CableError::interface("make the TAP device", name, error),
        })
}

/// An interface request for this name.
fn request(name: &str) -> Result<libc::ifreq, CableError> {
    // SAFETY: a name of bytes and a union of integers, for which zero is a value.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    let fits = (1..request.ifr_name.len()).contains(&name.len());
    let allowed = name
        .bytes()
        .all(|byte| byte.is_ascii_graphic() && byte != b'/')
        && name != "."
        && name != "..";
    if !fits || !allowed {
        return Err(CableError::BadName(name.to_owned()));
    }
    for (to, from) in request.ifr_name.iter_mut().zip(name.bytes()) {
        *to = from as libc::c_char;
    }
    Ok(request)
}

/// Waits until a descriptor is readable (`true`) or the time is over.
pub(super) fn wait_readable(fd: BorrowedFd<'_>, wait: Duration) -> io::Result<bool> {
    let mut poll = libc::pollfd {
        fd: fd.as_raw_fd(),
        events: libc::POLLIN,
        revents: 0,
    };
    let timeout = i32::try_from(wait.as_millis()).unwrap_or(i32::MAX);
    // SAFETY: one pollfd, which outlives the call.
    match check(unsafe { libc::poll(&raw mut poll, 1, timeout) }) {
        Ok(ready) if poll.revents & (libc::POLLERR | libc::POLLNVAL) != 0 && ready > 0 => {
            Err(pending_error(fd))
        }
        Ok(ready) => Ok(ready > 0),
        Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(false),
        Err(error) => Err(error),
    }
}

/// The error that a socket keeps, such as the interface going down.
fn pending_error(fd: BorrowedFd<'_>) -> io::Error {
    let mut code: libc::c_int = 0;
    let mut length = size_of_val(&code) as libc::socklen_t;
    // SAFETY: the kernel writes an int to the variable, which outlives the call.
    let asked = check(unsafe {
        libc::getsockopt(
            fd.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_ERROR,
            (&raw mut code).cast(),
            &raw mut length,
        )
    });
    match asked {
        Ok(_) => io::Error::from_raw_os_error(code),
        Err(error) => error,
    }
}

/// Sends one frame. `false`: the queue is full.
pub(super) fn send(fd: BorrowedFd<'_>, frame: &[u8]) -> io::Result<bool> {
    // SAFETY: the frame is readable for its length during the call.
    let sent = unsafe {
        libc::send(
            fd.as_raw_fd(),
            frame.as_ptr().cast(),
            frame.len(),
            libc::MSG_DONTWAIT,
        )
    };
    full_or(sent)
}

/// Reads one frame into `buffer`; `None` if there is none now.
pub(super) fn read(fd: BorrowedFd<'_>, buffer: &mut [u8]) -> io::Result<Option<usize>> {
    // SAFETY: the buffer is writable for its length during the call.
    let got = unsafe { libc::read(fd.as_raw_fd(), buffer.as_mut_ptr().cast(), buffer.len()) };
    match usize::try_from(got) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(_) => match io::Error::last_os_error() {
            error
                if matches!(
                    error.kind(),
                    io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted
                ) =>
            {
                Ok(None)
            }
            error => Err(error),
        },
    }
}

/// Writes one frame. `false`: the queue is full.
pub(super) fn write(fd: BorrowedFd<'_>, frame: &[u8]) -> io::Result<bool> {
    // SAFETY: the frame is readable for its length during the call.
    let written = unsafe { libc::write(fd.as_raw_fd(), frame.as_ptr().cast(), frame.len()) };
    full_or(written)
}

fn full_or(result: isize) -> io::Result<bool> {
    if result >= 0 {
        return Ok(true);
    }
    let error = io::Error::last_os_error();
    match error.raw_os_error() {
        Some(libc::ENOBUFS | libc::EAGAIN | libc::EINTR) => Ok(false),
        _ => Err(error),
    }
}

fn check(result: libc::c_int) -> io::Result<libc::c_int> {
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(result)
    }
}
