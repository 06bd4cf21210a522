//! Spreads TCP connections to one address over back ends: consistent hashing picks, address translation carries.

#![forbid(unsafe_code)]

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroUsize;
use std::process::ExitCode;

use lru::LruCache;
use named_args::{Args, Failure, TICK, catch_interrupts, close, find, interrupted, sample};
use xdp::{Batch, Frame, Interest, Interface, Match, Program, Socket, Umem};
use xdp_packet::{MacAddr, Responder, Rewriter};

const USAGE: &str = "\
Usage: load_balancer <INTERFACE> <ADDRESS:PORT> (<BACK END> <MAC>)...

Takes TCP connections to an address that no host has, and passes each to one of the back ends, on queue 0, until Ctrl-C.
The same client address and port always lead to the same back end; one back end less moves only its own clients.
Takes every frame that the queue receives.

  <INTERFACE>       name or index of an interface, or lab:...
  <ADDRESS:PORT>    where clients connect
  <BACK END> <MAC>  IP and MAC address of a host on the same link that serves the same port

Example: load_balancer lab:wire=if:veth1 192.0.2.100:80 192.0.2.11 02:00:00:00:00:0b 192.0.2.12 02:00:00:00:00:0c";

/// Connections at a time: each has a source port of its own towards the back ends.
const CONNECTIONS: NonZeroUsize = NonZeroUsize::new(1 << 15).expect("it is not 0");
const FIRST_PORT: u16 = 1 << 15;
const TCP_SYN: u8 = 0x02;
const TCP_ACK: u8 = 0x10;

/// A program on a host of this link, or behind it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
struct Peer {
    address: SocketAddr,
    mac: MacAddr,
}

struct Balancer {
    service: Peer,
    /// Back ends, and how many connections each was given.
    back_ends: Vec<(Peer, u64)>,
    /// Each client's source port and back end. Who was silent the longest is forgotten when ports run out.
    connections: LruCache<Peer, (u16, usize)>,
    /// The client of each source port, from [`FIRST_PORT`] on.
    clients: Vec<Peer>,
}

fn main() -> ExitCode {
    sample(USAGE, |args| {
        let (interface, mut balancer) = parse(args)?;
        catch_interrupts()?;
        let interface = find(&interface)?;
        balancer.service.mac = interface.mac().map_or(balancer.service.mac, MacAddr);
        run(&interface, balancer)?;
        close(interface)
    })
}

fn parse(mut args: Args) -> Result<(String, Balancer), String> {
    let interface = args.positional("<INTERFACE>")?;
    let address: SocketAddr = args.positional("<ADDRESS:PORT>")?;
    let mac = MacAddr([2, 0, 0, 0, 0, 0x58]);
    let mut balancer = Balancer::new(Peer { address, mac });
    while balancer.back_ends.is_empty() || !args.is_empty() {
        let ip: IpAddr = args.positional("<BACK END>")?;
        if ip.is_ipv4() != address.is_ipv4() {
            return Err(format!("{ip} has another version of IP than {address}"));
        }
        let (address, mac) = (
            SocketAddr::new(ip, address.port()),
            args.positional("<MAC>")?,
        );
        balancer.back_ends.push((Peer { address, mac }, 0));
    }
    Ok((interface, balancer))
}

fn run(interface: &Interface, mut balancer: Balancer) -> Result<(), Failure> {
    let umem = Umem::builder(interface).frames(1024).build()?;
    let mut socket = Socket::builder(interface, &umem).queue(0).open()?;
    let program = Program::builder(interface)
        .queue(0)
        .rule(Match::all().redirect(&socket))
        .attach()?;
    let Peer { address, mac } = balancer.service;
    println!("balancing {address} on {}", interface.name());
    // The service's address has no host behind it: somebody must say where it is.
    let mut responder = Responder::new(mac);
    responder.set_address(address.ip());
    let mut batch = Batch::with_capacity(64);
    while !interrupted() {
        if socket.wait(Interest::RX, TICK)?.is_empty() {
            continue;
        }
        socket.receive(&mut batch);
        batch.retain_mut(|frame| balancer.translate(frame) || answer(&responder, frame));
        socket.send(&mut batch)?;
        // What finds no room is lost, as on any full link; TCP sends it again.
        batch.clear();
    }
    program.detach();
    for (back_end, connections) in balancer.back_ends {
        println!("{}: {connections} connections", back_end.address.ip());
    }
    Ok(())
}

/// Writes an answer over its question, which may be shorter.
fn answer(responder: &Responder, frame: &mut Frame<'_>) -> bool {
    let length = frame.len();
    let room = frame.set_len(length.max(Responder::ROOM_BYTES));
    let answer = room.ok().and_then(|()| responder.answer(frame, length));
    answer.inspect(|length| frame.truncate(*length)).is_some()
}

impl Balancer {
    fn new(service: Peer) -> Self {
        Self {
            service,
            back_ends: Vec::new(),
            connections: LruCache::new(CONNECTIONS),
            clients: Vec::new(),
        }
    }

    /// Rewrites a frame of the service for its next stop; `false` if it is none of ours.
    fn translate(&mut self, frame: &mut [u8]) -> bool {
        let service = self.service.address;
        let Some(mut packet) = Rewriter::new(frame) else {
            return false;
        };
        let (address, to) = (packet.source(), packet.destination());
        let (Some(flags), true) = (packet.tcp_flags(), to.ip() == service.ip()) else {
            return false;
        };
        let next = if to.port() == service.port() {
            let mac = packet.source_mac();
            self.back_end_of(
                Peer { address, mac },
                flags & (TCP_SYN | TCP_ACK) == TCP_SYN,
            )
        } else {
            self.client_of(to.port(), address)
        };
        next.is_some_and(|(port, peer)| {
            packet.set_macs(peer.mac, self.service.mac);
            let source = SocketAddr::new(service.ip(), port);
            packet.set_source(source).is_ok() && packet.set_destination(peer.address).is_ok()
        })
    }

    /// The source port of a client's connection, and its back end; only a first segment opens one.
    fn back_end_of(&mut self, client: Peer, opens: bool) -> Option<(u16, Peer)> {
        let known = self.connections.get(&client).copied();
        let (port, chosen) = known.or_else(|| if opens { self.open(client) } else { None })?;
        Some((port, self.back_ends[chosen].0))
    }

    fn open(&mut self, client: Peer) -> Option<(u16, usize)> {
        let chosen = pick(&self.back_ends, &client)?;
        let port = if self.clients.len() < CONNECTIONS.get() {
            self.clients.push(client);
            FIRST_PORT + u16::try_from(self.clients.len() - 1).ok()?
        } else {
            let (_, (port, _)) = self.connections.pop_lru()?;
            self.clients[usize::from(port - FIRST_PORT)] = client;
            port
        };
        self.connections.put(client, (port, chosen));
        self.back_ends[chosen].1 += 1;
        Some((port, chosen))
    }

    /// The service's own port, and the client that a back end answers; what comes from elsewhere answers nobody.
    fn client_of(&mut self, port: u16, from: SocketAddr) -> Option<(u16, Peer)> {
        let client = *self
            .clients
            .get(usize::from(port.checked_sub(FIRST_PORT)?))?;
        let (_, chosen) = *self.connections.get(&client)?;
        (self.back_ends[chosen].0.address == from).then_some((from.port(), client))
    }
}

/// Rendezvous hashing: the back end that, together with the client, hashes highest.
fn pick(back_ends: &[(Peer, u64)], client: &Peer) -> Option<usize> {
    let weight = |index: &usize| {
        let mut hasher = DefaultHasher::new();
        (back_ends[*index].0.address, client.address).hash(&mut hasher);
        hasher.finish()
    };
    (0..back_ends.len()).max_by_key(weight)
}

#[cfg(test)]
mod tests;
