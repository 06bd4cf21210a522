//! Sockets and programs that one process makes and another one uses.

#![cfg(all(target_os = "linux", target_arch = "x86_64"))]

mod stage;

use std::time::Duration;

use stage::{boot, finish, udp};
use xdp::lab::{Process, User};
use xdp::{
    BoundSocket, Error, Handle, Interest, Interface, Kind, Map, Match, Program, Socket, System,
    Umem,
};

const PATIENCE: Duration = Duration::from_secs(10);

/// The only card of the lab, as a process sees it.
fn card(process: &Process) -> Interface {
    process.system().interface("nic0").expect("a card")
}

fn adopt(system: &System, value: u64) -> Result<Handle, Error> {
    // SAFETY: each test takes over each value once, and does not use the handle otherwise.
    unsafe { Handle::from_value(system, value) }
}

/// Binds a socket and redirects a port to it.
fn bind(interface: &Interface, port: u16) -> (BoundSocket, Program) {
    let socket = Socket::binding(interface).queue(0).bind().expect("bound");
    let program = Program::builder(interface)
        .rule(Match::udp_dst(port).redirect_to_bound(&socket))
        .attach()
        .expect("attached");
    (socket, program)
}

#[test]
fn an_unprivileged_process_echoes_with_what_it_was_given() {
    let lab = boot("lab:");
    let parent = lab.interface(0);
    let child = lab
        .process("child", User::Ordinary)
        .expect("another process");
    {
        let (mut socket, program) = bind(&parent, 1234);
        let socket_value = socket.duplicate_to(&child.peer()).expect("a handle");
        let program_value = program.duplicate_to(&child.peer()).expect("a handle");
        // From here on the child alone holds them.
        drop((socket, program));

        let interface = card(&child);
        let umem = Umem::builder(&interface)
            .frames(64)
            .build()
            .expect("memory");
        let denied = Socket::binding(&interface).bind().expect_err("no rights");
        assert_eq!(denied.kind(), Kind::NotPermitted);
        let denied = Program::builder(&interface)
            .attach()
            .expect_err("no rights");
        assert_eq!(denied.kind(), Kind::NotPermitted);

        let system = child.system();
        let _program = Program::adopt(adopt(&system, program_value).expect("a handle"));
        let handle = adopt(&system, socket_value).expect("a handle");
        let bound = Socket::binding(&interface).adopt(handle).expect("a socket");
        let mut socket = bound
            .builder(&umem)
            .rx_ring(16)
            .fill_ring(16)
            .open()
            .expect("active");
        let frame = udp(1234, b"hello");
        lab.wire(0).send(&frame).expect("a frame");
        assert!(socket.wait(Interest::RX, PATIENCE).expect("a wait").rx());
        let received = socket.receive_one().expect("the frame");
        assert_eq!(&*received, frame.as_slice());
        socket.send_one(received).expect("it is sent");
        let back = lab.wire(0).receive(PATIENCE).expect("the lab runs");
        assert_eq!(back.as_deref(), Some(frame.as_slice()));
        // What is for others passes.
        lab.wire(0).send(&udp(1235, b"no")).expect("a frame");
        assert_eq!(lab.stack(0).received_frames(), 1);
    }
    // With the child's handles the program went.
    lab.settle().expect("the lab settles");
    lab.wire(0).send(&udp(1234, b"free")).expect("a frame");
    assert_eq!(lab.stack(0).received_frames(), 2);
    drop((parent, child));
    finish(lab);
}

#[test]
fn what_both_hold_goes_on_when_one_of_them_ends() {
    let lab = boot("lab:");
    let parent = lab.interface(0);
    let child = lab
        .process("child", User::Ordinary)
        .expect("another process");
    let (mut bound, program) = bind(&parent, 7);
    let socket_value = bound.duplicate_to(&child.peer()).expect("a handle");
    let _program_value = program.duplicate_to(&child.peer()).expect("a handle");
    {
        let interface = card(&child);
        let umem = Umem::builder(&interface).frames(8).build().expect("memory");
        let handle = adopt(&child.system(), socket_value).expect("a handle");
        let adopted = Socket::binding(&interface).adopt(handle).expect("a socket");
        let socket = adopted.builder(&umem).open().expect("active");
        assert_eq!(umem.free_frames(), 0, "all are with the driver");
        drop(socket);
        // The other process has the socket open: the driver may still write to what it was lent.
        assert_eq!(umem.free_frames(), 0);
        lab.wire(0).send(&udp(7, b"into")).expect("a frame");
        assert_eq!(umem.free_frames(), 0);
    }
    drop(child);
    // The socket had its memory; the parent cannot give it another, and has its program yet.
    let umem = Umem::builder(&parent).frames(8).build().expect("memory");
    let again = bound.builder(&umem).open().expect_err("it has memory");
    assert_eq!(again.kind(), Kind::Busy, "{again}");
    lab.wire(0).send(&udp(7, b"dropped")).expect("a frame");
    assert_eq!(lab.stack(0).received_frames(), 0);
    drop(program);
    lab.settle().expect("the lab settles");
    lab.wire(0).send(&udp(7, b"passed")).expect("a frame");
    assert_eq!(lab.stack(0).received_frames(), 1);
    drop((umem, parent));
    finish(lab);
}

#[test]
fn a_process_that_ends_leaves_nothing_attached() {
    let lab = boot("lab:");
    let parent = lab.interface(0);
    let child = lab
        .process("child", User::Ordinary)
        .expect("another process");
    let (mut socket, program) = bind(&parent, 7);
    socket.duplicate_to(&child.peer()).expect("a handle");
    program.duplicate_to(&child.peer()).expect("a handle");
    drop((socket, program));
    lab.wire(0).send(&udp(7, b"dropped")).expect("a frame");
    assert_eq!(lab.stack(0).received_frames(), 0);
    // Nobody took the handles over: they are closed when the process ends.
    drop(child);
    lab.settle().expect("the lab settles");
    lab.wire(0).send(&udp(7, b"passed")).expect("a frame");
    assert_eq!(lab.stack(0).received_frames(), 1);
    assert!(
        lab.system()
            .inventory()
            .expect("a list")
            .programs
            .is_empty()
    );
    drop(parent);
    finish(lab);
}

#[test]
fn handles_that_are_none_or_of_something_else_are_refused() {
    let lab = boot("lab:");
    let parent = lab.interface(0);
    let child = lab
        .process("child", User::Ordinary)
        .expect("another process");
    let system = child.system();
    let none = adopt(&system, 0x7770).expect_err("there is none");
    assert_eq!(none.kind(), Kind::InvalidArgument);
    assert_eq!(
        none.to_string(),
        "cannot take over a handle (0x7770): this process has no such handle (STATUS_INVALID_HANDLE)"
    );
    let (mut bound, program) = bind(&parent, 7);
    let value = program.duplicate_to(&child.peer()).expect("a handle");
    let handle = adopt(&system, value).expect("a handle");
    let interface = card(&child);
    let binding = Socket::binding(&interface);
    let wrong = binding.clone().adopt(handle).expect_err("a program");
    assert_eq!(wrong.kind(), Kind::InvalidArgument);
    assert!(wrong.to_string().contains("not one of a socket"), "{wrong}");
    // An interface of one process and a handle of another do not go together.
    let value = bound.duplicate_to(&child.peer()).expect("a handle");
    let handle = adopt(&system, value).expect("a handle");
    let wrong = Socket::binding(&parent).adopt(handle).expect_err("another");
    assert!(wrong.to_string().contains("another system"), "{wrong}");
    // Memory of one process does not go with a socket of another, and maps do not take it.
    let value = bound.duplicate_to(&child.peer()).expect("a handle");
    let handle = adopt(&system, value).expect("a handle");
    let adopted = binding.adopt(handle).expect("a socket");
    let umem = Umem::builder(&parent).frames(8).build().expect("memory");
    let wrong = adopted.builder(&umem).open().expect_err("other memory");
    assert_eq!(wrong.kind(), Kind::InvalidArgument, "{wrong}");
    drop((umem, bound, program, interface, system));
    drop(Map::new(&parent).expect("a map"));
    drop((parent, child));
    finish(lab);
}
