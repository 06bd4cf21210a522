//! A web server without a network stack of the system: smoltcp over an AF_XDP socket.
//!
//! Everything that the queue brings goes to the socket: smoltcp answers ARP, neighbour discovery and ping by itself.

#![forbid(unsafe_code)]

use std::net::IpAddr;
use std::process::ExitCode;
use std::time::Duration;

use named_args::{Args, Failure, TICK, catch_interrupts, close, find, interrupted, sample};
use smoltcp::iface::{Config, Interface as Stack, SocketHandle, SocketSet};
use smoltcp::socket::tcp;
use smoltcp::time::Instant;
use smoltcp::wire::{EthernetAddress, IpCidr};
use xdp::smoltcp::Device;
use xdp::{Interface, Match, Program, Socket, Umem};

const USAGE: &str = "\
Usage: smoltcp_http <INTERFACE> <ADDRESS>... [-Port <PORT>]

Serves one page over HTTP from a user-mode TCP/IP stack on queue 0, until Ctrl-C.
Takes every frame that the queue receives.

  <INTERFACE>  name or index of an interface, or lab:...
  <ADDRESS>    up to two addresses of the server, IPv4 or IPv6; prefixes are 24 and 64 bits long
  -Port        80 if not given

Example: smoltcp_http lab:wire=if:veth1 192.0.2.9 2001:db8::9";

const PAGE: &str = "This page came from a TCP/IP stack in user mode, over an AF_XDP socket.\n";
/// Connections at a time; each has a socket that listens until it comes.
const CONNECTIONS: usize = 64;
const BUFFER_BYTES: usize = 16 << 10;

/// A connection, or a socket that waits for one.
struct Connection {
    socket: SocketHandle,
    /// What has come of a request that is not whole.
    pending: Vec<u8>,
}

fn main() -> ExitCode {
    sample(USAGE, |args| {
        let (interface, addresses, port) = parse(args)?;
        catch_interrupts()?;
        let interface = find(&interface)?;
        serve(&interface, &addresses, port)?;
        close(interface)
    })
}

fn parse(mut args: Args) -> Result<(String, Vec<IpCidr>, u16), String> {
    let port = args.value("-Port")?.unwrap_or(80);
    if port == 0 {
        return Err("-Port cannot be 0: it is 1 to 65535".into());
    }
    let interface = args.positional("<INTERFACE>")?;
    let mut addresses = Vec::new();
    while addresses.is_empty() || !args.is_empty() {
        let address: IpAddr = args.positional("<ADDRESS>")?;
        let prefix = if address.is_ipv4() { 24 } else { 64 };
        addresses.push(IpCidr::new(address.into(), prefix));
    }
    if addresses.len() > 2 {
        return Err("more than two addresses".into());
    }
    Ok((interface, addresses, port))
}

fn serve(interface: &Interface, addresses: &[IpCidr], port: u16) -> Result<(), Failure> {
    let umem = Umem::builder(interface).frames(2048).build()?;
    let socket = Socket::builder(interface, &umem)
        .queue(0)
        .rx_ring(512)
        .fill_ring(512)
        .tx_ring(512)
        .completion_ring(512)
        .open()?;
    let program = Program::builder(interface)
        .queue(0)
        .rule(Match::all().redirect(&socket))
        .attach()?;
    let mut device = Device::new(socket, interface);

    let mac = EthernetAddress(interface.mac().unwrap_or([2, 0, 0, 0, 0, 0x58]));
    let mut config = Config::new(mac.into());
    config.random_seed = std::process::id().into();
    let mut stack = Stack::new(config, &mut device, Instant::now());
    // `parse` took no more addresses than there is room for.
    stack.update_ip_addrs(|all| all.extend(addresses.iter().copied()));
    let mut sockets = SocketSet::new(Vec::new());
    let mut connections: Vec<Connection> = (0..CONNECTIONS)
        .map(|_| {
            let buffer = || tcp::SocketBuffer::new(vec![0; BUFFER_BYTES]);
            let mut socket = tcp::Socket::new(buffer(), buffer());
            // Answers are written whole; waiting for more to send would only delay them.
            socket.set_nagle_enabled(false);
            Connection {
                socket: sockets.add(socket),
                pending: Vec::new(),
            }
        })
        .collect();
    println!("serving port {} on {}", port, interface.name());
    let mut answered = 0;
    while !interrupted() {
        stack.poll(Instant::now(), &mut device, &mut sockets);
        let before = answered;
        for connection in &mut connections {
            answered += connection.work(sockets.get_mut(connection.socket), port);
        }
        // Answers wait to be cut into segments, or there is time until the next frame or timer.
        if answered == before {
            let delay = stack.poll_delay(Instant::now(), &sockets);
            device.wait(delay.map_or(TICK, |delay| TICK.min(Duration::from(delay))))?;
        }
    }
    program.detach();
    println!("{answered} requests answered");
    Ok(())
}

impl Connection {
    /// Listens if nobody does, and answers the requests that have come whole; returns how many.
    fn work(&mut self, socket: &mut tcp::Socket<'_>, port: u16) -> u64 {
        if !socket.is_open() {
            self.pending.clear();
            // A port other than 0 can always be listened on by a closed socket.
            let _ = socket.listen(port);
        }
        if socket.may_send() && !socket.may_recv() {
            // The client has said all that it will.
            socket.close();
        }
        while socket.can_recv() && self.pending.len() < BUFFER_BYTES {
            // It can be received from.
            let _ = socket.recv(|bytes| (bytes.len(), self.pending.extend_from_slice(bytes)));
        }
        let mut answered = 0;
        while socket.may_send() && socket.send_capacity() - socket.send_queue() > PAGE.len() + 256 {
            let mut headers = [httparse::EMPTY_HEADER; 64];
            let mut request = httparse::Request::new(&mut headers);
            let (reply, stays_open) = match request.parse(&self.pending) {
                Ok(httparse::Status::Complete(length)) => {
                    let answer = reply(&request);
                    self.pending.drain(..length);
                    answer
                }
                Ok(httparse::Status::Partial) if self.pending.len() < BUFFER_BYTES => break,
                _ => (response("400 Bad Request", "", false), false),
            };
            // The room was looked at above.
            let _ = socket.send_slice(reply.as_bytes());
            answered += 1;
            if !stays_open {
                socket.close();
            }
        }
        answered
    }
}

/// The answer, and whether the connection stays open after it.
fn reply(request: &httparse::Request<'_, '_>) -> (String, bool) {
    let is_get = request.method == Some("GET");
    let asks = |what: &str| {
        request.headers.iter().any(|header| {
            header.name.eq_ignore_ascii_case("connection")
                && header.value.eq_ignore_ascii_case(what.as_bytes())
        })
    };
    // HTTP/1.0 (`ab`) closes unless asked not to, HTTP/1.1 the other way round. A body is not read.
    let stays_open = match request.version {
        Some(0) => is_get && asks("keep-alive"),
        _ => is_get && !asks("close"),
    };
    if is_get {
        (response("200 OK", PAGE, stays_open), stays_open)
    } else {
        (response("405 Method Not Allowed", "", false), false)
    }
}

fn response(status: &str, body: &str, stays_open: bool) -> String {
    let connection = if stays_open { "keep-alive" } else { "close" };
    format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/plain\r\nContent-Length: {}\r\nConnection: {connection}\r\n\r\n{body}",
        body.len()
    )
}

#[cfg(test)]
mod tests;
