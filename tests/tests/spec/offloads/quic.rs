//! QUIC connections that the network card encrypts.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use nt_sim::NtStatus;
use scenarios::interface::Interface;
use scenarios::{Scene, failures, scene, status};
use xdp_abi::ObjectHeader;
use xdp_abi::ioctl::interface as ioctl;
use xdp_abi::quic::{
    QuicAddressFamily, QuicCipherType, QuicConnection, QuicConnectionBits,
    QuicDecryptFailureAction, QuicDirection, QuicOperation,
};
use zerocopy::{FromBytes, IntoBytes};

const OID: u32 = 0xfc01_0215;
const PROTOTYPE: u32 = 0xfc03_0204;
/// Bytes of NDIS's structure: a program's without the header.
const ELEMENT: usize = 144;
const PENDING: i32 = 0x103;
const NOT_SUPPORTED: i32 = status::NOT_SUPPORTED.0;
const FAILURE: i32 = 0xC000_0001_u32 as i32;
const RESOURCES: i32 = status::INSUFFICIENT_RESOURCES.0;

fn bits(operation: QuicOperation) -> QuicConnectionBits {
    QuicConnectionBits::new(
        operation,
        QuicDirection::RECEIVE,
        QuicDecryptFailureAction::CONTINUE,
        true,
        QuicCipherType::AEAD_AES_256_GCM,
    )
}

/// A connection on a port.
fn connection(operation: QuicOperation, udp_port: u16) -> QuicConnection {
    QuicConnection {
        header: ObjectHeader {
            revision: 1,
            size: 152,
        },
        bits: bits(operation),
        address_family: QuicAddressFamily::INET6,
        udp_port,
        next_packet_number: 0x1122_3344_5566,
        connection_id_length: 8,
        address: [5; 16],
        connection_id: [6; 20],
        payload_key: [7; 32],
        header_key: [8; 32],
        payload_iv: [9; 12],
        status: 77,
        ..QuicConnection::default()
    }
}

fn add(udp_port: u16) -> QuicConnection {
    connection(QuicOperation::ADD, udp_port)
}

fn remove(udp_port: u16) -> QuicConnection {
    connection(QuicOperation::REMOVE, udp_port)
}

/// Sends a request; the status, and what has become of each connection.
fn set(interface: &Interface<'_>, connections: &[QuicConnection]) -> (NtStatus, Vec<i32>) {
    let input = connections.as_bytes();
    let output = interface.request(ioctl::QEO_SET, input, input.len());
    let results = output.bytes.chunks_exact(152);
    let results = results.map(|bytes| QuicConnection::read_from_bytes(bytes).unwrap().status);
    (output.status, results.collect())
}

/// A network card that does what it is asked, and remembers that.
struct Card {
    /// Elements of each request.
    asked: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl Card {
    fn in_scene(s: &Scene<'_>) -> Self {
        Self::answering(s, OID, |_| 0)
    }

    /// A card whose answer for each element is made of its port.
    fn answering(
        s: &Scene<'_>,
        oid: u32,
        answer: impl Fn(u16) -> i32 + Send + Sync + 'static,
    ) -> Self {
        let asked = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&asked);
        s.nic.answer_oid(oid, move |input| {
            log.lock().unwrap().push(input.to_vec());
            let mut output = input.to_vec();
            for element in output.chunks_exact_mut(ELEMENT) {
                let port = u16::from_le_bytes([element[8], element[9]]);
                element[140..].copy_from_slice(&answer(port).to_le_bytes());
            }
            Ok(output)
        });
        Card { asked }
    }

    /// Requests since the last look, each as the operations and ports of its elements.
    fn take(&self) -> Vec<Vec<(u8, u16)>> {
        let asked = std::mem::take(&mut *self.asked.lock().unwrap());
        let element = |bytes: &[u8]| (bytes[0] & 1, u16::from_le_bytes([bytes[8], bytes[9]]));
        let request = |bytes: Vec<u8>| bytes.chunks_exact(ELEMENT).map(element).collect();
        asked.into_iter().map(request).collect()
    }
}

fn open<'c>(s: &'c Scene<'_>) -> Interface<'c> {
    s.app.interface(s.nic.if_index()).unwrap()
}

#[test]
fn s08_5_5_elements_reach_the_network_card_as_they_are() {
    scene(|s| {
        let card = Card::in_scene(s);
        let interface = open(s);
        let wanted = add(443);
        assert_eq!(set(&interface, &[wanted]), (status::SUCCESS, vec![0]));
        let asked = card.asked.lock().unwrap()[0].clone();
        assert_eq!(asked.len(), ELEMENT);
        assert_eq!(asked[..140], wanted.as_bytes()[8..148]);
        assert_eq!(
            asked[140..],
            PENDING.to_le_bytes(),
            "until the card says more"
        );
        let seen = s.nic.take_oids();
        let seen: Vec<_> = seen.iter().filter(|seen| seen.oid == OID).collect();
        assert!(seen.iter().all(|seen| seen.direct && seen.set), "s08_5_4");
        assert_eq!(seen.len(), 1);
    });
}

#[test]
fn s08_5_each_check_has_its_status() {
    scene(|s| {
        let card = Card::in_scene(s);
        let interface = open(s);
        let whole = add(1).as_bytes().to_vec();
        let request = |input: &[u8], output: usize| {
            let output = interface.request(ioctl::QEO_SET, input, output);
            output.status
        };
        assert_eq!(request(&[], 0), status::INVALID_PARAMETER);
        assert_eq!(request(&[], 152), status::INVALID_PARAMETER);
        assert_eq!(request(&whole, 0), status::INVALID_PARAMETER);
        assert_eq!(request(&whole, 151), status::INVALID_PARAMETER);
        assert_eq!(request(&whole, 153), status::INVALID_PARAMETER);
        for len in [1, 7, 8, 151] {
            assert_eq!(
                request(&whole[..len], len),
                status::INVALID_PARAMETER,
                "{len} bytes"
            );
        }
        let with = |at: usize, byte: u8| {
            let mut wrong = whole.clone();
            wrong[at] = byte;
            request(&wrong, wrong.len())
        };
        for (at, byte, what) in [
            (0, 0, "revision 0"),
            (0, 2, "revision 2"),
            (4, 151, "size of too little"),
            (4, 153, "size of more than there is"),
            (4, 0, "size of nothing"),
            (10, 4, "cipher"),
            (12, 2, "address family"),
            (32, 21, "length of the connection id"),
        ] {
            assert_eq!(with(at, byte), status::INVALID_PARAMETER, "{what}");
        }
        let second = [whole.clone(), whole[..151].to_vec()].concat();
        assert_eq!(request(&second, second.len()), status::INVALID_PARAMETER);
        assert_eq!(card.take(), Vec::<Vec<_>>::new(), "nothing of it was tried");
        // A longer element is one of a later revision's size.
        let mut longer = whole.clone();
        longer[4] = 160;
        longer.extend([0xee; 8]);
        longer.extend(add(2).as_bytes());
        assert_eq!(request(&longer, longer.len()), status::SUCCESS);
        assert_eq!(card.take(), [[(0, 1), (0, 2)]]);
        assert_eq!(
            interface.request(0x12_8010, &[], 0).status,
            status::NOT_SUPPORTED
        );
    });
}

#[test]
fn s08_5_connections_are_added_and_removed_once() {
    scene(|s| {
        let card = Card::in_scene(s);
        let interface = open(s);
        let only = |connections: &[QuicConnection]| set(&interface, connections).0;
        assert_eq!(only(&[remove(1)]), status::NOT_FOUND);
        assert_eq!(
            only(&[add(1), add(1)]),
            status::DUPLICATE_OBJECTID,
            "in one array"
        );
        assert_eq!(only(&[add(1), remove(1)]), status::INVALID_DEVICE_STATE);
        assert_eq!(card.take(), Vec::<Vec<_>>::new());
        assert_eq!(only(&[add(1), add(2)]), status::SUCCESS);
        assert_eq!(only(&[add(3), add(2)]), status::DUPLICATE_OBJECTID);
        assert_eq!(only(&[remove(3)]), status::NOT_FOUND, "5.2: forgotten");
        assert_eq!(only(&[remove(1), remove(1)]), status::INVALID_DEVICE_STATE);
        assert_eq!(only(&[remove(1), add(1)]), status::DUPLICATE_OBJECTID);
        assert_eq!(only(&[remove(1), remove(9)]), status::NOT_FOUND);
        assert_eq!(
            only(&[remove(1), add(3)]),
            status::SUCCESS,
            "5.2: it was still there"
        );
        assert_eq!(only(&[remove(1)]), status::NOT_FOUND);
        assert_eq!(only(&[add(1)]), status::SUCCESS);
        let asked = card.take();
        assert_eq!(
            asked,
            [vec![(0, 1), (0, 2)], vec![(1, 1), (0, 3)], vec![(0, 1)]]
        );
    });
}

#[test]
fn s08_5_1_the_key_is_direction_family_port_and_connection_id() {
    scene(|s| {
        let _card = Card::in_scene(s);
        let interface = open(s);
        let mut others = vec![add(1)];
        others.push(QuicConnection {
            bits: QuicConnectionBits(others[0].bits.0 & !2),
            ..add(1)
        });
        others.push(QuicConnection {
            address_family: QuicAddressFamily::INET4,
            ..add(1)
        });
        others.push(add(2));
        others.push(QuicConnection {
            connection_id_length: 7,
            ..add(1)
        });
        let mut id = [6; 20];
        id[7] = 0;
        others.push(QuicConnection {
            connection_id: id,
            ..add(1)
        });
        assert_eq!(set(&interface, &others).0, status::SUCCESS);
        let mut same = [add(1); 3];
        same[0].address = [0; 16];
        same[1].connection_id[8] = 99;
        same[2].payload_key = [0; 32];
        for same in same {
            assert_eq!(set(&interface, &[same]).0, status::DUPLICATE_OBJECTID);
        }
        let other = open(s);
        assert_eq!(
            set(&other, &[remove(1)]).0,
            status::NOT_FOUND,
            "of another handle"
        );
        assert_eq!(set(&other, &[add(1)]).0, status::SUCCESS);
    });
}

#[test]
fn s08_5_2_only_what_the_network_card_did_is_noted() {
    scene(|s| {
        let refuses = Arc::new(AtomicU32::new(2));
        let refused = Arc::clone(&refuses);
        let card = Card::answering(s, OID, move |port| {
            match u32::from(port) == refused.load(Ordering::Relaxed) {
                true => RESOURCES,
                false => 0,
            }
        });
        let interface = open(s);
        let no_resources = 0x8007_05aa_u32 as i32;
        let added = set(&interface, &[add(1), add(2), add(3)]);
        assert_eq!(added, (status::SUCCESS, vec![0, no_resources, 0]));
        assert_eq!(set(&interface, &[remove(2)]).0, status::NOT_FOUND);
        refuses.store(3, Ordering::Relaxed);
        let removed = set(&interface, &[remove(3), remove(1)]);
        assert_eq!(removed, (status::SUCCESS, vec![no_resources, 0]));
        assert_eq!(set(&interface, &[remove(1)]).0, status::NOT_FOUND);
        assert_eq!(set(&interface, &[add(3)]).0, status::DUPLICATE_OBJECTID);
        card.take();
        interface.close();
        assert_eq!(card.take(), [[(1, 3)]]);
    });
}

#[test]
fn s08_5_2_a_failed_request_changes_nothing() {
    scene(|s| {
        let card = Card::in_scene(s);
        let interface = open(s);
        assert_eq!(set(&interface, &[add(1)]).0, status::SUCCESS);
        for (answer, told) in [
            (Err(FAILURE), NtStatus(FAILURE)),
            (Err(0xC001_0015_u32 as i32), status::INVALID_PARAMETER),
            (Ok(ELEMENT), status::DEVICE_DATA_ERROR),
        ] {
            s.nic
                .answer_oid(OID, move |_| answer.map(|len| vec![0; len]));
            let input = [remove(1), add(2)];
            let output = interface.request(ioctl::QEO_SET, input.as_bytes(), 304);
            assert_eq!((output.status, output.information), (told, 0));
        }
        drop(card);
        let card = Card::in_scene(s);
        assert_eq!(set(&interface, &[remove(2)]).0, status::NOT_FOUND);
        assert_eq!(set(&interface, &[add(1)]).0, status::DUPLICATE_OBJECTID);
        assert_eq!(set(&interface, &[remove(1), add(2)]).0, status::SUCCESS);
        assert_eq!(card.take(), [[(1, 1), (0, 2)]]);
    });
}

#[test]
fn s08_5_3_closing_removes_in_batches() {
    scene(|s| {
        let card = Card::in_scene(s);
        let interface = open(s);
        let many: Vec<_> = (0..10_000).map(add).collect();
        assert_eq!(set(&interface, &many).0, status::SUCCESS);
        assert_eq!(
            set(&interface, &[add(10_000), add(10_001)]).0,
            status::SUCCESS
        );
        assert_eq!(set(&interface, &[remove(5)]).0, status::SUCCESS);
        card.take();
        interface.close();
        let asked = card.take();
        let sizes: Vec<_> = asked.iter().map(Vec::len).collect();
        assert_eq!(sizes, [10_000, 1]);
        let mut removed: Vec<_> = asked.concat();
        removed.sort_unstable();
        let wanted = (0..=10_001).filter(|port| *port != 5).map(|port| (1, port));
        assert_eq!(removed, wanted.collect::<Vec<_>>());
    });
}

#[test]
fn s08_5_3_with_the_adapter_connections_are_forgotten() {
    scene(|s| {
        let card = Card::in_scene(s);
        let interface = open(s);
        assert_eq!(set(&interface, &[add(1)]).0, status::SUCCESS);
        card.take();
        s.nic.reset().unwrap();
        s.lab.settle().unwrap();
        assert_eq!(set(&interface, &[add(2)]).0, status::DEVICE_NOT_READY);
        interface.close();
        assert_eq!(card.take(), Vec::<Vec<_>>::new());
    });
}

#[test]
fn s08_5_4_the_prototype_stands_in_for_the_request() {
    scene(|s| {
        let interface = open(s);
        let none = set(&interface, &[add(1)]);
        assert_eq!(none.0, status::NOT_SUPPORTED, "a card without either");
        let asked = s.nic.take_oids();
        let asked: Vec<_> = asked.iter().map(|seen| (seen.oid, seen.direct)).collect();
        assert!(
            asked.ends_with(&[(OID, true), (PROTOTYPE, true)]),
            "{asked:?}"
        );
        let card = Card::answering(s, PROTOTYPE, |_| 0);
        assert_eq!(set(&interface, &[add(1)]), (status::SUCCESS, vec![0]));
        assert_eq!(card.take(), [[(0, 1)]]);
        s.nic.answer_oid(OID, |_| Err(NOT_SUPPORTED));
        assert_eq!(set(&interface, &[add(2)]), (status::SUCCESS, vec![0]));
        s.nic.answer_oid(OID, |_| Err(FAILURE));
        card.take();
        assert_eq!(set(&interface, &[add(3)]).0, NtStatus(FAILURE));
        assert_eq!(
            card.take(),
            Vec::<Vec<_>>::new(),
            "only for what is not supported"
        );
    });
}

#[test]
fn s08_5_a_network_card_may_answer_later() {
    scene(|s| {
        let card = Card::in_scene(s);
        s.nic.answer_oids_later(true);
        let interface = open(s);
        assert_eq!(
            set(&interface, &[add(1), add(2)]),
            (status::SUCCESS, vec![0, 0])
        );
        assert_eq!(set(&interface, &[remove(1)]), (status::SUCCESS, vec![0]));
        interface.close();
        assert_eq!(card.take().len(), 3);
    });
}

#[test]
fn s08_5_calls_side_by_side_do_not_touch_each_others_connections() {
    for seed in 0..20 {
        scenarios::Stage::new().seed(seed).play(|s| {
            let card = Card::in_scene(s);
            s.nic.answer_oids_later(true);
            let interface = open(s);
            let won = AtomicU32::new(0);
            let thread = || {
                for _ in 0..5 {
                    match set(&interface, &[add(1)]).0 {
                        status::SUCCESS => _ = won.fetch_add(1, Ordering::Relaxed),
                        got => assert_eq!(got, status::DUPLICATE_OBJECTID),
                    }
                    match set(&interface, &[remove(1)]).0 {
                        status::SUCCESS => _ = won.fetch_add(1, Ordering::Relaxed),
                        status::NOT_FOUND | status::INVALID_DEVICE_STATE => {}
                        got => panic!("{got:?}"),
                    }
                }
            };
            s.side_by_side(&[&thread, &thread]);
            let operations: Vec<_> = card.take().concat().iter().map(|(op, _)| *op).collect();
            assert_eq!(operations.len() as u32, won.load(Ordering::Relaxed));
            let alternates = operations
                .iter()
                .enumerate()
                .all(|(at, op)| *op as usize == at % 2);
            assert!(
                alternates,
                "{operations:?}: each addition is followed by its removal"
            );
        });
    }
}

#[test]
fn s08_5_without_memory_nothing_changes() {
    scene(|s| {
        let card = Card::in_scene(s);
        let interface = open(s);
        let (refused, last) =
            failures::each_refused(s.lab, || match set(&interface, &[add(1), add(2)]).0 {
                status::SUCCESS => Ok(()),
                status => Err(status),
            });
        assert_eq!(last, Ok(()));
        assert!(refused.contains(&status::NO_MEMORY), "{refused:?}");
        assert_eq!(card.take(), [[(0, 1), (0, 2)]], "asked once");
        s.lab.inject_failures(nt_sim::FaultPlan::Nth(1));
        interface.close();
        s.lab.inject_failures(nt_sim::FaultPlan::Never);
        assert_eq!(card.take().concat(), [(1, 1), (1, 2)], "one by one");
    });
}
