//! The examples, run on the driver as it ships.

#![cfg(all(target_os = "linux", target_arch = "x86_64"))]

mod stage;

#[expect(dead_code, reason = "the program is not run, what it is made of is")]
#[path = "../examples/drop.rs"]
mod drop_example;
#[expect(dead_code, reason = "the program is not run, what it is made of is")]
#[path = "../examples/echo.rs"]
mod echo_example;
#[expect(dead_code, reason = "the program is not run, what it is made of is")]
#[path = "../examples/receive.rs"]
mod receive_example;

use std::time::Duration;

use stage::{boot, finish, udp};

const SHORT: Duration = Duration::from_millis(300);

/// Puts frames in until they are answered: the example has to attach first.
fn until<T>(frame: &[u8], lab: &xdp::lab::Lab, example: impl FnOnce() -> T + Send) -> T
where
    T: Send,
{
    std::thread::scope(|scope| {
        let example = scope.spawn(example);
        while !example.is_finished() && lab.wire(0).counters().sent < 400 {
            lab.wire(0).send(frame).expect("the lab runs");
            std::thread::sleep(Duration::from_millis(5));
        }
        example.join().expect("the example ends well")
    })
}

#[test]
fn drop() {
    let lab = boot("lab:");
    let interface = lab.interface(0);
    let program = drop_example::drop_port(&interface, 53).expect("it attaches");
    lab.wire(0).send(&udp(53, b"dropped")).expect("a frame");
    lab.wire(0).send(&udp(80, b"passed")).expect("a frame");
    assert_eq!(lab.stack(0).received_frames(), 1);
    std::mem::drop((program, interface));
    finish(lab);
}

#[test]
fn receive() {
    let lab = boot("lab:");
    let interface = lab.interface(0);
    let patience = Duration::from_secs(10);
    let lengths = until(&udp(4433, b"hello"), &lab, || {
        receive_example::receive(&interface, 4433, 3, patience)
    });
    let lengths = lengths.expect("it receives");
    assert!(lengths.len() >= 3);
    assert!(lengths.iter().all(|length| *length == 42 + 5));
    std::mem::drop(interface);
    finish(lab);
}

#[test]
fn echo() {
    let lab = boot("lab:");
    let interface = lab.interface(0);
    // It ends when nothing came for a while, so frames must come in time only once.
    let frame = udp(7, b"hello");
    let echoed = std::thread::scope(|scope| {
        let example = scope.spawn(|| echo_example::echo(&interface, 7, SHORT * 4));
        let back = loop {
            lab.wire(0).send(&frame).expect("the lab runs");
            if let Some(back) = lab.wire(0).receive(SHORT).expect("the lab runs") {
                break back;
            }
        };
        assert_eq!((&back[..6], &back[6..12]), (&frame[6..12], &frame[..6]));
        assert_eq!(back[26..30], frame[30..34], "addresses");
        assert_eq!(back[34..36], frame[36..38], "ports");
        example
            .join()
            .expect("the example ends well")
            .expect("it echoes")
    });
    assert!(echoed >= 1);
    std::mem::drop(interface);
    finish(lab);
}
