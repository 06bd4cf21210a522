//! Lists of several frames, as a protocol stack sends them: specification 06, section 5.4.

use nt_sim::nic::{Frame, FrameInfo, Layout};
use scenarios::{Scene, Stage, client::Client, counters, frames, matching, scene, socket::Setup};
use xdp_abi::HookId;

/// A socket that frames on their way to the network card are redirected to.
fn on_the_way_out() -> Setup {
    Setup::rx().rx_hook(HookId::TX_INSPECT)
}

fn lists(ports: &[&[u16]]) -> Vec<Vec<Frame>> {
    let frame = |&port: &u16| Frame::from(frames::udp4(port, &port.to_be_bytes()));
    ports
        .iter()
        .map(|ports| ports.iter().map(frame).collect())
        .collect()
}

fn ports(frames: &[Vec<u8>]) -> Vec<u16> {
    frames
        .iter()
        .map(|frame| u16::from_be_bytes([frame[36], frame[37]]))
        .collect()
}

fn send(s: &Scene<'_>, ports: &[&[u16]]) {
    let lists = lists(ports);
    let count: usize = lists.iter().map(Vec::len).sum();
    let sent = s.nic.stack().send_lists(&lists).unwrap();
    assert_eq!(sent, count as u64);
    s.lab.settle().unwrap();
    assert_eq!(s.nic.stack().pending_sends(), 0, "every list is completed");
    assert_eq!(s.nic.stack().failed_sends(), 0);
}

const PASSED: u16 = 1;
const DROPPED: u16 = 2;
const REDIRECTED: u16 = 3;
const FORWARDED: u16 = 4;

/// A program with a rule for each action, and the socket of one of them.
fn each_action<'c>(
    s: &Scene<'c>,
    app: &'c Client<'c>,
) -> (
    scenarios::socket::Socket<'c>,
    scenarios::program::Program<'c>,
) {
    let socket = app.socket(s.nic, on_the_way_out()).unwrap();
    socket.fill_all();
    let program = app
        .program(s.nic)
        .hook(HookId::TX_INSPECT)
        .rule(matching::udp_dst(DROPPED).drop())
        .rule(matching::udp_dst(REDIRECTED).redirect(&socket.xsk))
        .rule(matching::udp_dst(FORWARDED).l2fwd())
        .create()
        .unwrap();
    (socket, program)
}

#[test]
fn s06_5_4_a_list_goes_where_its_first_frame_goes() {
    scene(|s| {
        let (_socket, _program) = each_action(s, &s.app);
        send(s, &[&[PASSED, DROPPED, PASSED, FORWARDED]]);
        let whole = [PASSED, DROPPED, PASSED, FORWARDED];
        assert_eq!(ports(&s.sent()), whole, "the list passes as it is");
        send(s, &[&[DROPPED, PASSED, FORWARDED]]);
        assert!(s.sent().is_empty() && s.passed().is_empty());
        send(s, &[&[FORWARDED, PASSED]]);
        assert!(s.sent().is_empty());
        assert_eq!(ports(&s.passed()), [FORWARDED, PASSED], "sent back whole");
        // Of lists in a row each goes its own way.
        send(s, &[&[PASSED, PASSED], &[DROPPED], &[PASSED, DROPPED]]);
        assert_eq!(ports(&s.sent()), [PASSED, PASSED, PASSED, DROPPED]);
    });
}

#[test]
fn s06_5_4_s06_5_3_r1_every_frame_of_a_list_is_inspected_and_redirected_by_itself() {
    scene(|s| {
        let (socket, _program) = each_action(s, &s.app);
        send(s, &[&[REDIRECTED, PASSED, REDIRECTED]]);
        let received = ports(&socket.received_bytes());
        assert_eq!(received, [REDIRECTED, REDIRECTED]);
        assert!(s.sent().is_empty(), "the first frame was redirected");
        send(s, &[&[PASSED, REDIRECTED]]);
        assert_eq!(ports(&socket.received_bytes()), [REDIRECTED]);
        assert_eq!(ports(&s.sent()), [PASSED, REDIRECTED]);
        let name = counters::instance(s.nic.if_index(), 0, "_tx");
        let counters = counters::RX.read(s.lab, &name).unwrap();
        let of = |name| counters.get(name);
        assert_eq!(of("Inspection Frames Redirected"), 3);
        assert_eq!(of("Inspection Frames Passed"), 2);
        assert_eq!(of("AF_XDP Frames Delivered"), 3);
    });
}

#[test]
fn s06_5_4_a_list_may_have_more_frames_than_are_delivered_at_once() {
    const FRAMES: u32 = 300;
    scene(|s| {
        let setup = on_the_way_out().chunks(256, 512).rx_rings(512, 512);
        let socket = s.receiver(setup);
        let _program = s
            .app
            .program(s.nic)
            .hook(HookId::TX_INSPECT)
            .rule(matching::all().redirect(&socket.xsk))
            .create()
            .unwrap();
        let list: Vec<Frame> = (0..FRAMES)
            .map(|number| frames::numbered(number, 60 + number as usize % 90).into())
            .collect();
        s.nic.stack().send_lists(&[list]).unwrap();
        let received = socket.received_bytes();
        assert_eq!(received.len(), FRAMES as usize);
        for (number, frame) in (0..).zip(received) {
            let expected = frames::numbered(number, 60 + number as usize % 90);
            assert_eq!(frame, expected, "whole and in order");
        }
    });
}

#[test]
fn s06_5_4_frames_of_a_list_may_lie_in_any_pieces() {
    scene(|s| {
        let (socket, _program) = each_action(s, &s.app);
        s.nic.stack().set_layout(Layout::random(7));
        for _ in 0..4 {
            send(s, &[&[PASSED, REDIRECTED, DROPPED, REDIRECTED]]);
            let received = ports(&socket.received_bytes());
            assert_eq!(received, [REDIRECTED, REDIRECTED]);
            assert_eq!(ports(&s.sent()), [PASSED, REDIRECTED, DROPPED, REDIRECTED]);
        }
    });
}

#[test]
fn s06_4_3_lists_of_one_chain_are_inspected_on_the_queue_of_each() {
    Stage::new().queues(2).play(|s| {
        let program = |queue, rule| {
            let builder = s.app.program(s.nic).hook(HookId::TX_INSPECT).queue(queue);
            builder.rule(rule).create().unwrap()
        };
        let socket = s.receiver(on_the_way_out().queue(1));
        let list = |number: u32, hash: u32| {
            let info = FrameInfo {
                hash,
                ..FrameInfo::default()
            };
            vec![Frame::from(frames::numbered(number, 60)).with(info)]
        };
        let send = |hashes: &[u32]| {
            let lists: Vec<_> = (0..).zip(hashes).map(|(n, &hash)| list(n, hash)).collect();
            s.nic.stack().send_lists(&lists).unwrap();
            s.lab.settle().unwrap();
            assert_eq!(s.nic.stack().pending_sends(), 0, "every list is completed");
        };
        let numbers = |frames: Vec<Vec<u8>>| -> Vec<u32> {
            frames
                .iter()
                .map(|frame| frames::number_of(frame))
                .collect()
        };
        let redirect = program(1, matching::all().redirect(&socket.xsk));
        // The table has the queues in turn; no program looks at queue 0.
        send(&[1, 3, 0, 2, 5, 4, 1]);
        assert_eq!(numbers(s.sent()), [2, 3, 5]);
        assert_eq!(numbers(socket.received_bytes()), [0, 1, 4, 6]);
        send(&[0, 1, 1, 0]);
        assert_eq!(numbers(s.sent()), [0, 3]);
        assert_eq!(numbers(socket.received_bytes()), [1, 2]);
        let drop = program(0, matching::all().drop());
        send(&[1, 0, 0, 3, 2]);
        assert!(s.sent().is_empty());
        assert_eq!(numbers(socket.received_bytes()), [0, 3]);
        redirect.close();
        send(&[0, 1, 2, 3]);
        assert_eq!(numbers(s.sent()), [1, 3]);
        drop.close();
    });
}
