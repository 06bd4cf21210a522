//! Programs of other Linux processes in a lab that is shared.

#![cfg(all(target_os = "linux", target_arch = "x86_64"))]

mod stage;

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use stage::{boot, finish, udp};
use xdp::lab::{Lab, Share};
use xdp::{Batch, Interest, Interface, Kind, Match, Program, Socket, Umem, WaitSet};

const PATIENCE: Duration = Duration::from_secs(20);
/// Tells the child which lab is meant.
const LAB: &str = "XDP_TEST_LAB";

/// Shares a lab under a name that no other test has.
fn share(lab: &Lab, test: &str) -> Share {
    let name = format!("test-{}-{test}", std::process::id());
    lab.share(&name).unwrap_or_else(|e| panic!("{e}"))
}

/// Another process, which does what a test marked `ignore` of this file does.
struct Player {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Player {
    fn start(role: &str, share: &Share) -> Self {
        let mut child = Command::new(std::env::current_exe().expect("this program"))
            .args(["--exact", role, "--ignored", "--nocapture"])
            .env(LAB, format!("lab:{}", share.name()))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("another process");
        let output = BufReader::new(child.stdout.take().expect("its output"));
        Self {
            input: child.stdin.take(),
            child,
            output,
        }
    }

    /// Waits until it says this.
    fn says(&mut self, word: &str) {
        let mut line = String::new();
        while self.output.read_line(&mut line).expect("its output") > 0 {
            if line.trim_end().ends_with(word) {
                return;
            }
            line.clear();
        }
        panic!("the other process ended without {word}");
    }

    /// Lets it end.
    fn end(mut self) {
        drop(self.input.take());
        // What it still says goes nowhere, but it must not wait for a reader.
        std::io::copy(&mut self.output, &mut std::io::sink()).expect("its output");
        assert!(self.child.wait().expect("its end").success());
    }

    fn kill(mut self) {
        self.child.kill().expect("it runs");
        self.child.wait().expect("its end");
    }
}

/// In the other process: says something to the test.
fn say(word: &str) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{word}").expect("somebody listens");
    out.flush().expect("somebody listens");
}

/// In the other process: waits until the test lets it end.
fn until_let_go() {
    std::io::copy(&mut std::io::stdin().lock(), &mut std::io::sink()).expect("an end");
}

fn interface() -> Interface {
    let name = std::env::var(LAB).expect("this is run by another test of this file");
    Interface::find(&name).unwrap_or_else(|e| panic!("{e}"))
}

/// Waits until a lab has so many programs in it.
fn wait_for(share: &Share, programs: usize) {
    let start = Instant::now();
    while share.visitors().len() != programs {
        assert!(start.elapsed() < PATIENCE, "{:?}", share.visitors());
        thread::sleep(Duration::from_millis(1));
    }
}

/// What is in the driver: programs and sockets.
fn inventory(lab: &Lab) -> (usize, usize) {
    let inventory = lab.system().inventory().expect("the driver tells");
    (inventory.programs.len(), inventory.sockets.len())
}

/// Echoes what goes to port 7, until it is let go.
#[test]
#[ignore = "the other process of a test"]
fn echo() {
    let interface = interface();
    let umem = Umem::builder(&interface)
        .frames(256)
        .build()
        .expect("memory");
    let mut socket = Socket::builder(&interface, &umem)
        .rx_ring(64)
        .fill_ring(64)
        .tx_ring(64)
        .open()
        .expect("a socket");
    let _program = Program::builder(&interface)
        .rule(Match::udp_dst(7).redirect(&socket))
        .attach()
        .expect("attached");
    say("ready");
    let mut batch = Batch::with_capacity(64);
    loop {
        let ready = socket.wait(Interest::RX, PATIENCE).expect("a wait");
        assert!(ready.rx());
        socket.receive(&mut batch);
        let last = batch.iter().any(|frame| frame.ends_with(b"last"));
        while !batch.is_empty() {
            socket.send(&mut batch).expect("it is sent");
            socket.flush().expect("it is sent");
            socket.complete();
        }
        if last {
            break;
        }
    }
    say("echoed");
    until_let_go();
}

#[test]
fn a_program_of_another_process_receives_and_sends() {
    let lab = boot("lab:");
    let share = share(&lab, "echo");
    {
        let mut player = Player::start("echo", &share);
        player.says("ready");
        for number in 0..1000_u32 {
            let frame = udp(7, &number.to_be_bytes());
            lab.wire(0).send(&frame).expect("a frame");
            let back = lab.wire(0).receive(PATIENCE).expect("the lab runs");
            assert_eq!(back, Some(frame), "frame {number}");
        }
        lab.wire(0).send(&udp(8, b"other")).expect("a frame");
        assert_eq!(lab.stack(0).received_frames(), 1);
        assert_eq!(inventory(&lab), (1, 1));
        lab.wire(0).send(&udp(7, b"last")).expect("a frame");
        player.says("echoed");
        player.end();
        wait_for(&share, 0);
        assert_eq!(inventory(&lab), (0, 0));
    }
    drop(share);
    finish(lab);
}

/// Waits in the driver for what does not come.
#[test]
#[ignore = "the other process of a test"]
fn wait_in_vain() {
    let interface = interface();
    let umem = Umem::builder(&interface)
        .frames(256)
        .build()
        .expect("memory");
    let open = || Socket::builder(&interface, &umem).rx_ring(16).open();
    let (mut alone, mut one) = (open().expect("a socket"), open().expect("a socket"));
    let _program = Program::builder(&interface)
        .rule(Match::udp_dst(7).redirect(&alone))
        .attach()
        .expect("attached");
    let set = WaitSet::new(&interface).expect("a set");
    thread::scope(|scope| {
        scope.spawn(|| set.wait([(&mut one, Interest::RX)], Duration::from_secs(3600)));
        scope.spawn(|| alone.wait(Interest::RX, Duration::from_secs(3600)));
        thread::sleep(Duration::from_millis(50));
        say("ready");
    });
}

#[test]
fn what_a_killed_process_had_open_is_closed() {
    let lab = boot("lab:");
    let share = share(&lab, "killed");
    for _ in 0..3 {
        let mut player = Player::start("wait_in_vain", &share);
        player.says("ready");
        assert_eq!((share.visitors().len(), inventory(&lab)), (1, (1, 2)));
        player.kill();
        wait_for(&share, 0);
        assert_eq!(inventory(&lab), (0, 0));
        lab.wire(0).send(&udp(7, b"free")).expect("a frame");
    }
    assert_eq!(lab.stack(0).received_frames(), 3);
    drop(share);
    finish(lab);
}

#[test]
fn programs_are_put_out_when_the_lab_is_no_longer_shared() {
    let lab = boot("lab:");
    let share = share(&lab, "put-out");
    let mut players: Vec<Player> = (0..2)
        .map(|_| Player::start("wait_in_vain", &share))
        .collect();
    for player in &mut players {
        player.says("ready");
    }
    drop(share);
    assert_eq!(inventory(&lab), (0, 0));
    finish(lab);
    for mut player in players {
        // They see an error; what they make of it is their business.
        player.child.wait().expect("its end");
    }
}

#[test]
fn a_lab_is_found_by_its_name_and_only_by_it() {
    let lab = boot("lab:nics=2");
    let share = share(&lab, "found");
    let name = format!("lab:{}", share.name());
    {
        let first = Interface::find(&name).expect("it is shared");
        let second = Interface::find(&format!("{name}/nic1")).expect("it has two");
        assert_eq!((first.name(), second.name()), ("nic0", "nic1"));
        assert_eq!(second.mac(), Some([2, 0, 0, 0, 0, 2]));
        assert_eq!(
            (first.queues().expect("queues"), share.visitors().len()),
            (1, 1)
        );
        // Both are of one system, so a set can wait on both.
        let umem = Umem::builder(&first).build().expect("memory");
        let set = WaitSet::new(&first).expect("a set");
        let mut socket = Socket::builder(&second, &umem).open().expect("a socket");
        let none = set.wait([(&mut socket, Interest::RX)], Duration::ZERO);
        assert_eq!(none, Ok(0));

        let error = Interface::find(&format!("{name}/nic2")).expect_err("it has two");
        assert_eq!(error.kind(), Kind::NoSuchInterface);
        assert!(error.to_string().contains("nic0, nic1"), "{error}");
        let error = lab.share(share.name()).expect_err("it is shared already");
        assert_eq!(error.kind(), Kind::Busy);
    }
    wait_for(&share, 0);
    let interface = Interface::find(&name).expect("it is shared");
    drop(share);
    let error = interface.queues().expect_err("the lab has gone");
    assert_eq!(error.kind(), Kind::InterfaceGone, "{error}");
    let error = Interface::find(&name).expect_err("it is shared no more");
    assert_eq!(error.kind(), Kind::NoSuchInterface, "{error}");
    assert!(
        error
            .advice()
            .is_some_and(|advice| advice.contains("xdp lab run --name"))
    );
    finish(lab);
}
