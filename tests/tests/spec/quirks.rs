//! What the specification marks as a quirk or a defect of the reference, and this driver does not have. The page
//! `docs/src/conformance.md` lists them all with their tests; those that need a test of their own are here.

use nt_sim::nic::{FrameInfo, Layout};
use scenarios::{
    Scene, Stage, counters,
    frames::{self, DESTINATION4, DESTINATION6, ipv4, ipv6, tcp4, tcp6},
    matching, scene,
    socket::Setup,
    status::*,
};
use xdp_abi::{
    MatchType,
    frame::{FrameChecksum, FrameLayout, Layer3Type, Layer4Type},
    sockopt::Sockopt,
    xsk::XskError,
};

use super::{generic_tx, programs_match};

#[test]
fn s02_13_5_each_frame_in_flight_of_one_chunk_has_its_own_content() {
    scene(|s| {
        let socket = s.app.socket(s.nic, Setup::tx()).unwrap();
        s.nic.wire().hold();
        let sent: Vec<_> = (0..4).map(|n| frames::numbered(n, 100)).collect();
        let chunk = socket.umem.chunk(1);
        for (frame, offset) in sent.iter().zip([0, 200, 0, 50]) {
            // The chunk's earlier frames are on their way, and partly overwritten here.
            socket.umem.write(chunk + u64::from(offset), frame);
            socket.post(chunk, offset, 100);
            socket.poke();
        }
        assert_eq!(s.nic.wire().held().unwrap(), sent);
        s.nic.wire().release().unwrap();
        assert_eq!(socket.await_completions(4), [chunk; 4]);
    });
}

#[test]
fn s03_1_7_many_programs_without_rules_share_a_queue_with_one_that_has_some() {
    scene(|s| {
        let empty = || s.app.program(s.nic).create().unwrap();
        let programs = [empty(), empty(), empty()];
        let drop = s.app.program(s.nic).rule(matching::udp_dst(1).drop());
        let drop = drop.create().unwrap();
        let last = empty();
        s.arrive(frames::udp4(1, b""));
        s.arrive(frames::udp4(2, b""));
        assert_eq!(s.passed().len(), 1);
        for program in programs {
            program.close();
            s.arrive(frames::udp4(1, b""));
            assert!(s.passed().is_empty(), "the other program's rule holds");
        }
        drop.close();
        s.arrive(frames::udp4(1, b""));
        assert_eq!(s.passed().len(), 1);
        last.close();
    });
}

#[test]
fn s03_3_1_r6_an_impossible_tcp_offset_is_no_header_however_the_frame_lies() {
    scene(|s| {
        for layout in [
            Layout::contiguous(),
            Layout::split(&[34]),
            Layout::split(&[40]),
            Layout::split(&[14, 20, 13]).empty_mdls(),
            Layout::split(&[53]),
        ] {
            s.nic.wire().set_layout(layout);
            for words in 0..5_u8 {
                let mut four = tcp4(443, 2, b"some payload");
                four[14 + 20 + 12] = words << 4;
                programs_match::misses(s, matching::tcp_dst(443), &four);
                programs_match::misses(s, matching::tcp_control_dst(443), &four);
                let mut six = tcp6(443, 2, b"some payload");
                six[14 + 40 + 12] = words << 4;
                programs_match::misses(s, matching::tcp_dst(443), &six);
            }
            programs_match::matches(s, matching::tcp_dst(443), &tcp4(443, 2, b"some payload"));
        }
    });
}

#[test]
fn s03_3_4_3_echo_replies_are_of_their_protocol_and_may_be_split_anywhere() {
    scene(|s| {
        let four = matching::masked(
            MatchType::ICMPV4_ECHO_REPLY_IP_DST,
            [0; 4],
            DESTINATION4.octets(),
        );
        let six = matching::masked(
            MatchType::ICMPV6_ECHO_REPLY_IP_DST,
            [0; 16],
            DESTINATION6.octets(),
        );
        for split in [1, 14, 20, 33, 34, 35, 36, 37, 53, 54, 55, 57] {
            let layout = Layout::split(&[split, 1]);
            s.nic.wire().set_layout(layout);
            programs_match::matches(s, four, &ipv4().icmpv4_echo_reply(1, 2).finish());
            programs_match::matches(s, six, &ipv6().icmpv6_echo_reply(1, 2).finish());
            for protocol in [0, 2, 47, 58, 132] {
                let frame = ipv4().protocol(protocol).payload(&[0; 8]).finish();
                programs_match::misses(s, four, &frame);
            }
            for protocol in [0, 1, 47, 59] {
                let frame = ipv6().protocol(protocol).payload(&[129, 0, 0, 0]);
                programs_match::misses(s, six, &frame.finish());
            }
        }
    });
}

#[test]
fn s06_2_r2_a_restart_that_says_nothing_leaves_the_mtu_as_it_was() {
    scene(|s| {
        let socket = s.app.socket(s.nic, Setup::tx()).unwrap();
        s.nic.hide_attributes(true);
        s.nic.pause().unwrap();
        s.nic.restart().unwrap();
        let longest = frames::numbered(1, 1514);
        socket.send(0, &longest);
        socket.await_completions(1);
        assert_eq!(s.sent(), std::slice::from_ref(&longest));
        assert_eq!(socket.xsk.error(Sockopt::TX_ERROR), XskError::NO_ERROR);
        let later = s.app.socket(s.nic, Setup::tx()).unwrap();
        later.send(0, &longest);
        later.await_completions(1);
    });
}

#[test]
fn s02_2_r9_there_is_no_transmitting_before_the_mtu_is_known() {
    Stage::new().hides_attributes().play(|s| {
        let bound = s.app.socket(s.nic, Setup::tx()).err();
        assert_eq!(bound, Some(DEVICE_NOT_READY));
        // A socket that could not be bound can be, later.
        let receiver = s.app.socket(s.nic, Setup::rx()).unwrap();
        receiver.xsk.close();
        s.nic.hide_attributes(false);
        s.nic.pause().unwrap();
        s.nic.restart().unwrap();
        let socket = s.app.socket(s.nic, Setup::tx()).unwrap();
        socket.send(0, &frames::numbered(1, 1514));
        socket.await_completions(1);
    });
}

#[test]
fn s06_7_5_r7_the_udp_length_is_measured_from_the_udp_header() {
    scene(|s| {
        let socket = generic_tx::checksum_socket(s);
        let udp = Layer4Type::UDP;
        let layout = generic_tx::layout(generic_tx::ETHERNET, generic_tx::IPV4, udp);
        let payload = [7; 20];
        // From the UDP header on there are 28 bytes, and 62 in the frame.
        for (length, is_valid) in [(28, true), (29, false), (42, false), (62, false)] {
            let mut frame = frames::udp4(1, &payload);
            assert_eq!(frame.len(), 62);
            frame[38..40].copy_from_slice(&u16::to_be_bytes(length));
            let before = generic_tx::invalid(s);
            let info = generic_tx::send(s, &socket, &frame, layout, 0, 1);
            assert_eq!(info.checksum != 0, is_valid, "{length}");
            let refused = generic_tx::invalid(s) - before;
            assert_eq!(refused, u64::from(!is_valid), "{length}");
        }
    });
}

#[test]
fn s06_8_r2_nothing_of_an_earlier_frame_is_in_the_layout() {
    scene(|s| {
        let setup = Setup::rx().extension(Sockopt::RX_OFFLOAD_CHECKSUM);
        let socket = s.app.socket(s.nic, setup.rx_rings(1, 1)).unwrap();
        let at = |option| usize::from(socket.xsk.get::<u16>(option).unwrap());
        let layout_at = at(Sockopt::RX_FRAME_LAYOUT_EXTENSION);
        let checksum_at = at(Sockopt::RX_FRAME_CHECKSUM_EXTENSION);
        let _program = s.attach(matching::all().redirect(&socket.xsk));
        const IP_OK: u32 = 32;
        const UDP_OK: u32 = 16;
        // One element is used again and again.
        for (checksum, layer3, layer4) in [
            (
                IP_OK | UDP_OK,
                Layer3Type::IPV4_UNSPECIFIED_OPTIONS,
                Layer4Type::UDP,
            ),
            (0, Layer3Type::UNSPECIFIED, Layer4Type::UNSPECIFIED),
            (
                IP_OK,
                Layer3Type::IPV4_UNSPECIFIED_OPTIONS,
                Layer4Type::UNSPECIFIED,
            ),
            (UDP_OK, Layer3Type::UNSPECIFIED, Layer4Type::UDP),
        ] {
            socket.rings.rx().write_element(0, 16, &[0xff; 8]);
            socket.fill([0]);
            let info = FrameInfo {
                checksum,
                ..FrameInfo::default()
            };
            let frame = nt_sim::nic::Frame::from(frames::udp4(1, b""));
            s.arrive(frame.with(info));
            let element = socket.received().remove(0).element;
            let layout = FrameLayout {
                bytes: element[layout_at..layout_at + 5].try_into().unwrap(),
            };
            let expected = FrameLayout::new(Default::default(), (layer3, 0), (layer4, 0));
            assert_eq!(layout, expected, "{checksum:#x}");
            let evaluation = FrameChecksum(element[checksum_at]);
            let of = |bit| u8::from(checksum & bit != 0);
            let found = (evaluation.layer3(), evaluation.layer4());
            assert_eq!(found, (of(IP_OK), of(UDP_OK)), "{checksum:#x}");
        }
    });
}

#[test]
fn s03_7_s03_6_4_the_only_redirect_of_everything_is_counted_as_one() {
    scene(|s: &Scene<'_>| {
        let socket = s.receiver(Setup::rx());
        let _program = s.attach(matching::all().redirect(&socket.xsk));
        for n in 0..5 {
            s.arrive(frames::numbered(n, 60));
        }
        let counters = counters::RX.of_queue(s.lab, s.nic.if_index(), 0);
        assert_eq!(counters.get("Inspection Frames Redirected"), 5);
        assert_eq!(counters.get("AF_XDP Frames Delivered"), 5);
    });
}
