//! Injection in generic mode: specification 06, section 7.

use nt_sim::nic::FrameInfo;
use scenarios::{
    Scene, Stage, counters, frames, matching, scene,
    socket::{Setup, Socket},
};
use xdp_abi::{
    HookId,
    frame::{FrameChecksum, FrameDescriptor, FrameLayout, Layer2Type, Layer3Type, Layer4Type},
    sockopt::Sockopt,
};
use xdp_packet::{Ipv4Header, TcpHeader};
use zerocopy::IntoBytes;

const IS_IPV4: u32 = 1;
const IS_IPV6: u32 = 2;
const TCP: u32 = 4;
const UDP: u32 = 8;
const IP_HEADER: u32 = 16;
const TCP_OFFSET: u32 = 16;

pub(super) fn checksum_socket<'c>(s: &'c Scene<'_>) -> Socket<'c> {
    let setup = Setup::tx().extension(Sockopt::TX_OFFLOAD_CHECKSUM);
    s.app.socket(s.nic, setup).unwrap()
}

/// Sends a frame with its extensions and returns what travelled beside it.
pub(super) fn send(
    s: &Scene<'_>,
    socket: &Socket<'_>,
    frame: &[u8],
    layout: FrameLayout,
    l3: u8,
    l4: u8,
) -> FrameInfo {
    let layout_at: u16 = socket.xsk.get(Sockopt::TX_FRAME_LAYOUT_EXTENSION).unwrap();
    let checksum_at: u16 = socket
        .xsk
        .get(Sockopt::TX_FRAME_CHECKSUM_EXTENSION)
        .unwrap();
    socket.umem.write(0, frame);
    let tx = socket.rings.tx();
    let (index, free) = tx.producer_reserve(1);
    assert_eq!(free, 1);
    let descriptor = FrameDescriptor::new(0, 0, frame.len() as u32);
    tx.write_element(index, 0, descriptor.as_bytes());
    tx.write_element(index, layout_at.into(), &layout.bytes);
    tx.write_element(index, checksum_at.into(), &[FrameChecksum::new(l3, l4).0]);
    tx.producer_submit(1);
    socket.poke();
    let sent = s.nic.wire().receive().unwrap();
    assert_eq!(sent.data, frame);
    socket.await_completions(1);
    sent.info
}

pub(super) fn layout(l2: (Layer2Type, u8), l3: (Layer3Type, u16), l4: Layer4Type) -> FrameLayout {
    FrameLayout::new(l2, l3, (l4, 0))
}

pub(super) const ETHERNET: (Layer2Type, u8) = (Layer2Type::ETHERNET, 14);
pub(super) const IPV4: (Layer3Type, u16) = (Layer3Type::IPV4_NO_OPTIONS, 20);
pub(super) const IPV6: (Layer3Type, u16) = (Layer3Type::IPV6_NO_EXTENSIONS, 40);

pub(super) fn invalid(s: &Scene<'_>) -> u64 {
    counters::GENERIC_TX
        .of_queue(s.lab, s.nic.if_index(), 0)
        .get("Frames with Invalid Checksum Offload")
}

#[test]
fn s06_7_1_s01_7_the_number_of_frames_in_flight_is_the_pools() {
    Stage::new().registry("GenericTxFrameCount", 5).play(|s| {
        let socket = s.app.socket(s.nic, Setup::tx()).unwrap();
        s.nic.wire().hold();
        for n in 0..16 {
            socket.post_frame(n, &frames::numbered(n, 60));
        }
        socket.poke();
        s.lab.settle().unwrap();
        assert_eq!(s.sent().len(), 5);
        s.nic.wire().release().unwrap();
        assert_eq!(socket.await_completions(16).len(), 16);
        assert_eq!(s.sent().len(), 11);
    });
}

#[test]
fn s06_7_1_s01_7_a_pool_size_out_of_range_is_the_default() {
    for value in [0, 8097, u32::MAX] {
        Stage::new()
            .registry("GenericTxFrameCount", value)
            .play(|s| {
                let setup = Setup::tx().tx_rings(64, 64).chunks(2048, 64);
                let socket = s.app.socket(s.nic, setup).unwrap();
                s.nic.wire().hold();
                for n in 0..64 {
                    socket.post_frame(n, &frames::numbered(n, 60));
                }
                socket.poke();
                s.lab.settle().unwrap();
                assert_eq!(s.sent().len(), 32, "{value}");
                s.nic.wire().release().unwrap();
                assert_eq!(socket.await_completions(64).len(), 64);
            });
    }
}

#[test]
fn s06_7_2_no_frame_is_longer_than_64_kib_whatever_the_mtu() {
    scene(|s| {
        s.nic.set_mtu(70_000).unwrap();
        let socket = s.app.socket(s.nic, Setup::tx().chunks(1 << 17, 4)).unwrap();
        let longest = frames::numbered(1, 65_536);
        socket.send(0, &longest);
        socket.await_completions(1);
        assert_eq!(s.sent(), [longest]);
        socket.send(1, &frames::numbered(2, 65_537));
        let frame = frames::numbered(3, 60);
        socket.send(2, &frame);
        socket.await_completions(1);
        assert_eq!(s.sent(), [frame]);
        assert_eq!(socket.xsk.statistics().tx_invalid_descriptors, 1);
    });
}

#[test]
fn s06_7_3_frames_carry_the_hash_of_their_queue() {
    Stage::new().cpus(2).queues(2).play(|s| {
        for queue in 0..2 {
            let socket = s.app.socket(s.nic, Setup::tx().queue(queue)).unwrap();
            socket.send(0, &frames::numbered(1, 60));
            let hash = s.nic.wire().receive().unwrap().info.hash;
            // The stack's table has the processors in turn.
            assert_eq!(hash, queue);
            socket.await_completions(1);
        }
    });
}

#[test]
fn s06_7_4_frames_are_injected_into_the_stack() {
    scene(|s| {
        let setup = Setup::tx().tx_hook(HookId::RX_INJECT);
        let socket = s.app.socket(s.nic, setup).unwrap();
        let _program = s.attach(matching::all().drop());
        s.nic.stack().hold();
        let frame = frames::udp4(53, b"as if received");
        socket.send(3, &frame);
        assert_eq!(s.nic.stack().receive().unwrap().data, frame);
        assert!(socket.completions().is_empty(), "the stack has it");
        s.nic.stack().release().unwrap();
        assert_eq!(socket.await_completions(1), [socket.umem.chunk(3)]);
        assert!(s.sent().is_empty());
    });
}

#[test]
fn s06_7_4_s10_5_r5_injected_frames_are_not_inspected() {
    scene(|s| {
        let socket = s.app.socket(s.nic, Setup::tx()).unwrap();
        let _program = s
            .app
            .program(s.nic)
            .hook(HookId::TX_INSPECT)
            .rule(matching::all().drop())
            .create()
            .unwrap();
        let frame = frames::udp4(53, b"");
        socket.send(0, &frame);
        assert_eq!(s.nic.wire().receive().unwrap().data, frame);
        s.nic.stack().send(&frame).unwrap();
        s.lab.settle().unwrap();
        assert!(s.sent().is_empty(), "what the stack sends is");
    });
}

#[test]
fn s06_7_5_s08_7_1_s08_7_2_valid_requests_reach_the_nic() {
    scene(|s| {
        let socket = checksum_socket(s);
        let options = Ipv4Header::new(frames::SOURCE4, frames::DESTINATION4);
        let with_options = xdp_packet::FrameBuilder::new()
            .ipv4_with(options, &[1; 8])
            .udp(1, 2)
            .finish();
        let tcp_options = TcpHeader::new(1, 2, 2);
        let unspecified = (Layer3Type::IPV4_UNSPECIFIED_OPTIONS, 20);
        for (frame, l3, l4_type, ip, l4, expected) in [
            (
                frames::udp4(1, b"x"),
                IPV4,
                Layer4Type::UDP,
                0,
                1,
                IS_IPV4 | UDP,
            ),
            (
                frames::udp4(1, b"x"),
                IPV4,
                Layer4Type::UDP,
                1,
                1,
                IS_IPV4 | UDP | IP_HEADER,
            ),
            (
                frames::udp4(1, b"x"),
                unspecified,
                Layer4Type::UDP,
                1,
                0,
                IS_IPV4 | IP_HEADER,
            ),
            (
                frames::tcp4(1, 2, b"x"),
                IPV4,
                Layer4Type::TCP,
                0,
                1,
                IS_IPV4 | TCP | 34 << TCP_OFFSET,
            ),
            (
                frames::udp6(1, b"x"),
                IPV6,
                Layer4Type::UDP,
                0,
                1,
                IS_IPV6 | UDP,
            ),
            (
                frames::ipv6().tcp_with(tcp_options, &[1; 8]).finish(),
                IPV6,
                Layer4Type::TCP,
                0,
                1,
                IS_IPV6 | TCP | 54 << TCP_OFFSET,
            ),
            (
                with_options,
                (Layer3Type::IPV4_WITH_OPTIONS, 28),
                Layer4Type::UDP,
                1,
                1,
                IS_IPV4 | UDP | IP_HEADER,
            ),
        ] {
            let info = send(s, &socket, &frame, layout(ETHERNET, l3, l4_type), ip, l4);
            assert_eq!(info.checksum, expected, "{l3:?} {l4_type:?} {ip} {l4}");
        }
        assert_eq!(invalid(s), 0);
    });
}

#[test]
fn s06_7_5_nothing_is_validated_when_nothing_is_asked() {
    scene(|s| {
        let socket = checksum_socket(s);
        let nonsense = FrameLayout { bytes: [0xFF; 5] };
        let info = send(s, &socket, &frames::numbered(1, 60), nonsense, 0, 0);
        assert_eq!((info.checksum, invalid(s)), (0, 0));
    });
}

#[test]
fn s06_7_5_r1_r2_r3_r4_r5_r6_r7_r8_s02_7_6_s09_3_r4_invalid_requests_are_counted_and_sent_without()
{
    scene(|s| {
        let socket = checksum_socket(s);
        let udp = frames::udp4(1, b"payload");
        let udp6 = frames::udp6(1, b"payload");
        let tcp = frames::tcp4(1, 2, b"payload");
        let change = |frame: &[u8], at: usize, value: u8| {
            let mut frame = frame.to_vec();
            frame[at] = value;
            frame
        };
        let u = Layer4Type::UDP;
        let t = Layer4Type::TCP;
        let cases: Vec<(&str, Vec<u8>, FrameLayout, u8, u8)> = vec![
            (
                "r1 type",
                udp.clone(),
                layout((Layer2Type::NULL, 14), IPV4, u),
                1,
                1,
            ),
            (
                "r1 length",
                udp.clone(),
                layout((Layer2Type::ETHERNET, 18), IPV4, u),
                1,
                1,
            ),
            (
                "r2 short",
                udp[..33].to_vec(),
                layout(ETHERNET, IPV4, u),
                1,
                0,
            ),
            (
                "r2 version",
                change(&udp, 14, 0x65),
                layout(ETHERNET, IPV4, u),
                1,
                0,
            ),
            (
                "r2 IHL",
                change(&udp, 14, 0x44),
                layout(ETHERNET, IPV4, u),
                1,
                0,
            ),
            (
                "r2 IHL outside",
                change(&udp[..36], 14, 0x4F),
                layout(ETHERNET, (IPV4.0, 60), u),
                1,
                0,
            ),
            (
                "r2 length",
                udp.clone(),
                layout(ETHERNET, (IPV4.0, 24), u),
                1,
                0,
            ),
            (
                "r3 short",
                udp6[..53].to_vec(),
                layout(ETHERNET, IPV6, u),
                0,
                1,
            ),
            (
                "r3 version",
                change(&udp6, 14, 0x45),
                layout(ETHERNET, IPV6, u),
                0,
                1,
            ),
            (
                "r3 length",
                udp6.clone(),
                layout(ETHERNET, (IPV6.0, 48), u),
                0,
                1,
            ),
            (
                "r4 type",
                udp.clone(),
                layout(ETHERNET, (Layer3Type::UNSPECIFIED, 20), u),
                1,
                1,
            ),
            (
                "r4 extensions",
                udp6.clone(),
                layout(ETHERNET, (Layer3Type::IPV6_WITH_EXTENSIONS, 40), u),
                0,
                1,
            ),
            ("r5 IPv6", udp6.clone(), layout(ETHERNET, IPV6, u), 1, 1),
            ("r6 protocol", udp.clone(), layout(ETHERNET, IPV4, t), 0, 1),
            (
                "r6 short",
                tcp[..53].to_vec(),
                layout(ETHERNET, IPV4, t),
                0,
                1,
            ),
            (
                "r6 offset",
                change(&tcp, 46, 0x40),
                layout(ETHERNET, IPV4, t),
                0,
                1,
            ),
            (
                "r6 offset outside",
                change(&tcp, 46, 0xF0),
                layout(ETHERNET, IPV4, t),
                0,
                1,
            ),
            ("r7 protocol", tcp.clone(), layout(ETHERNET, IPV4, u), 0, 1),
            (
                "r7 short",
                udp[..41].to_vec(),
                layout(ETHERNET, IPV4, u),
                0,
                1,
            ),
            (
                "r7 length 7",
                change(&udp, 39, 7),
                layout(ETHERNET, IPV4, u),
                0,
                1,
            ),
            (
                "r7 length of 200",
                change(&udp, 39, 200),
                layout(ETHERNET, IPV4, u),
                0,
                1,
            ),
            (
                "r8 type",
                udp.clone(),
                layout(ETHERNET, IPV4, Layer4Type::UNSPECIFIED),
                0,
                1,
            ),
            (
                "r8 fragment",
                udp.clone(),
                layout(ETHERNET, IPV4, Layer4Type::IP_FRAGMENT),
                1,
                1,
            ),
        ];
        for (n, (why, frame, layout, l3, l4)) in cases.into_iter().enumerate() {
            let info = send(s, &socket, &frame, layout, l3, l4);
            assert_eq!(info.checksum, 0, "{why}");
            assert_eq!(invalid(s), n as u64 + 1, "{why}");
        }
    });
}

#[test]
fn s06_7_7_deleting_a_queue_waits_for_its_frames() {
    scene(|s| {
        let socket = s.app.socket(s.nic, Setup::tx()).unwrap();
        s.nic.wire().shuffle();
        for n in 0..16 {
            socket.post_frame(n, &frames::numbered(n, 60));
        }
        socket.poke();
        socket.xsk.close();
        assert!(s.nic.wire().counters().received <= 16);
    });
}

#[test]
fn s09_3_r3_transmit_counters_count() {
    scene(|s| {
        let socket = s.app.socket(s.nic, Setup::tx()).unwrap();
        socket.post(0, 0, 0);
        socket.post_frame(1, &frames::numbered(1, 60));
        socket.poke();
        s.nic.wire().receive().unwrap();
        socket.await_completions(1);
        let counters = counters::TX.of_queue(s.lab, s.nic.if_index(), 0);
        assert_eq!(counters.get("AF_XDP Invalid Descriptors"), 1);
        assert!(counters.get("Injection Batches") >= 1);
    });
}
