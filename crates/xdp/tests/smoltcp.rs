//! A TCP connection between two stacks, one of them over a socket of the driver.

#![cfg(all(target_os = "linux", target_arch = "x86_64"))]

#[expect(dead_code, reason = "frames are built by the stacks here")]
mod stage;

use std::time::{Duration, Instant};

use smoltcp::iface::{Config, Interface as Stack, SocketHandle, SocketSet};
use smoltcp::phy::{self, DeviceCapabilities, Medium};
use smoltcp::socket::tcp;
use smoltcp::time::Instant as Moment;
use smoltcp::wire::{EthernetAddress, IpAddress, IpCidr};
use stage::{boot, finish};
use xdp::lab::End;
use xdp::{Match, Program, Socket, Umem};

const PATIENCE: Duration = Duration::from_secs(60);
const BYTES: usize = 60_000;

/// The other side: whatever is at the end of the cable.
struct Cable(End);

struct Received(Vec<u8>);

struct Sending<'d>(&'d End);

impl phy::Device for Cable {
    type RxToken<'d> = Received;
    type TxToken<'d> = Sending<'d>;

    fn receive(&mut self, _: Moment) -> Option<(Received, Sending<'_>)> {
        let frame = self.0.try_receive().expect("the lab runs")?;
        Some((Received(frame), Sending(&self.0)))
    }

    fn transmit(&mut self, _: Moment) -> Option<Sending<'_>> {
        Some(Sending(&self.0))
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ethernet;
        capabilities.max_transmission_unit = 1514;
        capabilities
    }
}

impl phy::RxToken for Received {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, read: F) -> R {
        read(&self.0)
    }
}

impl phy::TxToken for Sending<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, length: usize, write: F) -> R {
        let mut frame = vec![0; length];
        let result = write(&mut frame);
        self.0.send(&frame).expect("the lab runs");
        result
    }
}

fn stack(number: u8, device: &mut impl phy::Device) -> Stack {
    let mac = EthernetAddress([2, 0, 0, 0, 0, number]);
    let mut stack = Stack::new(Config::new(mac.into()), device, Moment::now());
    stack.update_ip_addrs(|addresses| {
        let address = IpCidr::new(IpAddress::v4(192, 0, 2, number), 24);
        addresses.push(address).expect("there is room for one");
    });
    stack
}

fn sockets() -> (SocketSet<'static>, SocketHandle) {
    let buffer = || tcp::SocketBuffer::new(vec![0; 32 << 10]);
    let mut set = SocketSet::new(Vec::new());
    let handle = set.add(tcp::Socket::new(buffer(), buffer()));
    (set, handle)
}

fn byte(at: usize) -> u8 {
    (at * 7 + at / 251) as u8
}

/// Sends what fits of the bytes from `sent` on.
fn send(socket: &mut tcp::Socket<'_>, sent: &mut usize) {
    let fill = |room: &mut [u8]| {
        let count = room.len().min(BYTES - *sent);
        for (at, place) in room[..count].iter_mut().enumerate() {
            *place = byte(*sent + at);
        }
        (count, count)
    };
    if socket.can_send() {
        *sent += socket.send(fill).expect("it can send");
    }
}

/// Compares what has come with what was sent.
fn receive(socket: &mut tcp::Socket<'_>, received: &mut usize) {
    while socket.can_recv() {
        let count = socket.recv(|bytes| {
            for (at, came) in bytes.iter().enumerate() {
                assert_eq!(*came, byte(*received + at), "at byte {}", *received + at);
            }
            (bytes.len(), bytes.len())
        });
        *received += count.expect("it can receive");
    }
}

/// A small ring and little memory: the stack has to wait for room, and nothing may be lost of it.
fn transfer(frames: u32, ring: u32) {
    let lab = boot("lab:");
    let interface = lab.interface(0);
    {
        let umem = Umem::builder(&interface)
            .frames(frames)
            .build()
            .expect("memory");
        let socket = Socket::builder(&interface, &umem)
            .rx_ring(ring)
            .fill_ring(ring)
            .tx_ring(ring)
            .completion_ring(ring)
            .open()
            .expect("a socket");
        let _program = Program::builder(&interface)
            .queue(0)
            .rule(Match::all().redirect(&socket))
            .attach()
            .expect("the program attaches");
        let mut ours = xdp::smoltcp::Device::new(socket, &interface);
        assert_eq!(phy::Device::capabilities(&ours).max_transmission_unit, 1514);
        let mut theirs = Cable(lab.wire(0));
        let (mut our_stack, mut their_stack) = (stack(9, &mut ours), stack(1, &mut theirs));
        let ((mut our_set, server), (mut their_set, client)) = (sockets(), sockets());
        our_set
            .get_mut::<tcp::Socket<'_>>(server)
            .listen(80)
            .expect("it is closed");
        their_set
            .get_mut::<tcp::Socket<'_>>(client)
            .connect(
                their_stack.context(),
                (IpAddress::v4(192, 0, 2, 9), 80),
                50_000,
            )
            .expect("it is closed");

        // Bytes sent and received by the client, then by the server.
        let mut count = [0; 4];
        let give_up = Instant::now() + PATIENCE;
        while count != [BYTES; 4] {
            assert!(Instant::now() < give_up, "it stands still at {count:?}");
            their_stack.poll(Moment::now(), &mut theirs, &mut their_set);
            let socket = their_set.get_mut::<tcp::Socket<'_>>(client);
            send(socket, &mut count[0]);
            receive(socket, &mut count[1]);
            our_stack.poll(Moment::now(), &mut ours, &mut our_set);
            let socket = our_set.get_mut::<tcp::Socket<'_>>(server);
            send(socket, &mut count[2]);
            receive(socket, &mut count[3]);
            ours.wait(Duration::ZERO).expect("the socket works");
        }
        let statistics = ours.socket().statistics().expect("statistics");
        assert_eq!(statistics.tx_invalid_descriptors, 0);
    }
    drop(interface);
    finish(lab);
}

#[test]
fn a_connection_over_a_socket_carries_bytes_both_ways() {
    transfer(1024, 512);
}

#[test]
fn a_connection_over_short_rings_and_little_memory_does_so_too() {
    transfer(24, 8);
}
