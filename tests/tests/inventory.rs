//! The list of what there is, for administrators.

use nt_sim::{Handle, Output};
use scenarios::{
    Client, Scene, Stage, client::GENERIC_READ, client::GENERIC_WRITE, failures, frames, matching,
    scene, socket::Setup, status::*,
};
use xdp_abi::{
    hook::HookId,
    inventory::{self, Entries, EntryKind, Header, NO_QUEUE},
    ioctl,
};
use zerocopy::FromBytes;

const LIST: u32 = ioctl::common::LIST;

fn common<'c>(client: &'c Client<'_>, access: u32) -> Handle<'c> {
    client.open(r"\Device\xdp").access(access).open().unwrap()
}

fn ask(handle: &Handle<'_>, size: usize) -> Output {
    handle.control_any(LIST, &[], size).unwrap()
}

/// The whole list.
fn list(s: &Scene<'_>) -> Vec<u8> {
    let handle = common(&s.app, GENERIC_READ);
    let needed = ask(&handle, 0);
    assert_eq!(needed.status, BUFFER_OVERFLOW);
    let all = ask(&handle, needed.information);
    assert_eq!((all.status, all.information), (SUCCESS, needed.information));
    all.bytes
}

/// The entries of a kind, with every field that version 1 has.
fn entries<T: FromBytes>(list: &[u8], kind: EntryKind) -> Vec<T> {
    let entries = Entries::new(list).unwrap();
    let entries = entries.filter(|(found, _)| *found == kind);
    entries
        .map(|(_, bytes)| T::read_from_bytes(bytes).unwrap())
        .collect()
}

/// The hits of each rule of each program on each queue, by the numbers of program and queue.
fn hits(s: &Scene<'_>) -> Vec<(u64, u32, Vec<u64>)> {
    let handle = common(&s.app, GENERIC_READ);
    let flags = inventory::ListFlags::RULE_HITS.0.to_le_bytes();
    let needed = handle.control_any(LIST, &flags, 0).unwrap().information;
    let all = handle.control_any(LIST, &flags, needed).unwrap();
    assert_eq!((all.status, all.information), (SUCCESS, needed));
    let mut found: Vec<(u64, u32, Vec<u64>)> = Vec::new();
    let entries = Entries::new(&all.bytes).unwrap();
    for (_, bytes) in entries.filter(|(kind, _)| *kind == EntryKind::RULE_HITS) {
        let (entry, numbers) = inventory::RuleHits::read(bytes).unwrap();
        assert_eq!(entry.if_index, s.nic.if_index());
        if entry.first_rule == 0 {
            found.push((entry.program, entry.queue, Vec::new()));
        }
        let (program, queue, all) = found.last_mut().unwrap();
        assert_eq!((entry.program, entry.queue), (*program, *queue));
        assert_eq!(entry.first_rule as usize, all.len());
        all.extend(numbers);
    }
    found
}

#[test]
fn it_tells_which_rules_decided_when_it_is_asked() {
    scene(|s| {
        let send = |ports: &[u16]| {
            let frames = ports.iter().map(|&port| frames::udp4(port, b"").into());
            s.nic.wire().send_all(frames).unwrap();
        };
        let first = [1, 2, 3].map(|port| matching::udp_dst(port).drop());
        let first = s.app.program(s.nic).rules(first).create().unwrap();
        let id = |n: usize| -> u64 {
            let bytes = list(s);
            let programs: Vec<inventory::Program> = entries(&bytes, EntryKind::PROGRAM);
            programs[n].id
        };
        let a = id(0);
        assert_eq!(hits(s), [(a, 0, vec![0, 0, 0])]);
        send(&[1, 1, 2, 9, 1, 3, 3, 3, 2]);
        assert_eq!(hits(s), [(a, 0, vec![3, 2, 3])]);
        // The numbers stay when others come and go, and rules behind the one that decides count nothing.
        let rules = [matching::udp_dst(1).drop(), matching::all().pass()];
        let second = s.app.program(s.nic).rules(rules).create().unwrap();
        let b = id(1);
        send(&[1, 9, 9, 2]);
        assert_eq!(hits(s), [(a, 0, vec![4, 3, 3]), (b, 0, vec![0, 2])]);
        first.close();
        send(&[1, 9, 2]);
        assert_eq!(hits(s), [(b, 0, vec![1, 4])]);
        second.close();
        assert_eq!(hits(s), []);
    });
}

#[test]
fn it_tells_of_rules_on_each_queue_and_hook_and_of_many() {
    Stage::new().queues(2).play(|s| {
        let many = (0..5000_u32).map(|n| matching::udp_dst(n as u16 + 100).drop());
        let _many = s.app.program(s.nic).queue(1).rules(many).create().unwrap();
        let outgoing = s.app.program(s.nic).hook(HookId::TX_INSPECT).all_queues();
        let outgoing = outgoing.rule(matching::udp_dst(7).drop()).create().unwrap();
        s.nic.stack().send(frames::udp4(7, b"")).unwrap();
        let found = hits(s);
        assert_eq!(found.len(), 3);
        assert_eq!((found[0].1, found[0].2.len()), (1, 5000));
        let of_outgoing: u64 = found[1..].iter().map(|(_, _, hits)| hits[0]).sum();
        assert_eq!((found[1].1, found[2].1, of_outgoing), (0, 1, 1));
        outgoing.close();
        // Whoever does not ask gets no such entries.
        let bytes = list(s);
        assert!(
            Entries::new(&bytes)
                .unwrap()
                .all(|(kind, _)| kind != EntryKind::RULE_HITS)
        );
    });
}

#[test]
fn it_names_every_object_with_its_process_and_place() {
    Stage::new().queues(2).play(|s| {
        let index = s.nic.if_index();
        let other = s.client("other");
        let socket = other.socket(s.nic, Setup::rx_tx().queue(1)).unwrap();
        let idle = s.app.xsk().unwrap();
        let map = s.app.map().unwrap();
        map.insert(1, &socket.xsk).unwrap();
        let rules = [
            matching::udp_dst(53).redirect_map(&map),
            matching::all().pass(),
        ];
        let program = s
            .app
            .program(s.nic)
            .all_queues()
            .rules(rules)
            .create()
            .unwrap();
        let handle = s.app.interface(index).unwrap();
        let bytes = list(s);
        let (header, _) = Header::read_from_prefix(&bytes).unwrap();
        assert_eq!((header.version, header.header_size), (1, 16));
        assert_eq!(header.total_size, bytes.len() as u64);
        assert_eq!(
            header.entries as usize,
            Entries::new(&bytes).unwrap().count()
        );

        let interfaces: Vec<inventory::Interface> = entries(&bytes, EntryKind::INTERFACE);
        assert_eq!(interfaces.len(), 1);
        let interface = interfaces[0];
        assert_eq!((interface.if_index, interface.queue_count), (index, 2));
        assert_eq!((interface.mode, interface.max_frame), (0, 1514));

        let sockets: Vec<inventory::Socket> = entries(&bytes, EntryKind::SOCKET);
        assert_eq!(sockets.len(), 2);
        let active = sockets[0];
        assert_eq!((active.process, active.state), (other.id() as u64, 4));
        assert_eq!((active.rx_if_index, active.rx_queue), (index, 1));
        assert_eq!((active.tx_if_index, active.tx_queue), (index, 1));
        let unbound = sockets[1];
        assert_eq!((unbound.process, unbound.state), (s.app.id() as u64, 0));
        assert_eq!((unbound.rx_if_index, unbound.rx_queue), (0, NO_QUEUE));

        let programs: Vec<inventory::Program> = entries(&bytes, EntryKind::PROGRAM);
        assert_eq!(programs.len(), 1);
        assert_eq!((programs[0].if_index, programs[0].queue), (index, NO_QUEUE));
        assert_eq!((programs[0].rules, programs[0].is_attached), (2, 1));
        assert_eq!(programs[0].hook, HookId::RX_INSPECT);
        assert_eq!(programs[0].process, s.app.id() as u64);

        let maps: Vec<inventory::Map> = entries(&bytes, EntryKind::MAP);
        assert_eq!(maps.len(), 1);
        assert_eq!((maps[0].slots, maps[0].used), (128, 1));
        let handles: Vec<inventory::InterfaceHandle> = entries(&bytes, EntryKind::INTERFACE_HANDLE);
        assert_eq!((handles.len(), handles[0].if_index), (1, index));

        let mut ids = vec![
            programs[0].id,
            maps[0].id,
            handles[0].id,
            active.id,
            unbound.id,
        ];
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), 5, "each has a number of its own");
        assert!(ids.iter().all(|id| *id < 100), "and none is an address");

        program.close();
        drop(handle);
        drop(map);
        idle.close();
        let bytes = list(s);
        let left: Vec<inventory::Socket> = entries(&bytes, EntryKind::SOCKET);
        assert_eq!(
            left.iter().map(|socket| socket.id).collect::<Vec<_>>(),
            [active.id]
        );
        for kind in [
            EntryKind::PROGRAM,
            EntryKind::MAP,
            EntryKind::INTERFACE_HANDLE,
        ] {
            let mut all = Entries::new(&bytes).unwrap();
            assert!(all.all(|(found, _)| found != kind), "{kind:?}");
        }
    });
}

#[test]
fn it_has_the_counters_of_queues_and_sockets() {
    scene(|s| {
        let socket = s.app.socket(s.nic, Setup::rx_tx()).unwrap();
        let to_socket = matching::udp_dst(53).redirect(&socket.xsk);
        let _program = s.app.program(s.nic).rule(to_socket).create().unwrap();
        socket.fill([0]);
        for _ in 0..3 {
            s.arrive(frames::udp4(53, b"two of these find no room"));
        }
        s.arrive(frames::udp4(54, b"passes"));
        socket.post(1 << 40, 0, 60);
        socket.poke();
        let bytes = list(s);
        let queues: Vec<inventory::RxQueue> = entries(&bytes, EntryKind::RX_QUEUE);
        assert_eq!(queues.len(), 2, "one for each way");
        let queue = queues.iter().find(|queue| queue.hook == HookId::RX_INSPECT);
        let queue = queue.unwrap();
        assert_eq!((queue.if_index, queue.queue), (s.nic.if_index(), 0));
        assert_eq!((queue.programs, queue.sockets), (1, 1));
        // Delivered, undelivered, two about descriptors, passed, dropped, redirected.
        assert_eq!(queue.counters[..7], [1, 2, 0, 0, 1, 0, 3]);
        let queues: Vec<inventory::TxQueue> = entries(&bytes, EntryKind::TX_QUEUE);
        let queue = queues.iter().find(|queue| queue.hook == HookId::TX_INJECT);
        let queue = queue.unwrap();
        assert_eq!((queue.sockets, queue.counters[0]), (1, 1));
        let sockets: Vec<inventory::Socket> = entries(&bytes, EntryKind::SOCKET);
        assert_eq!(sockets[0].statistics, socket.xsk.statistics());
        assert_eq!(sockets[0].statistics.rx_dropped, 2);
    });
}

#[test]
fn short_buffers_learn_what_is_needed_and_get_nothing_else() {
    scene(|s| {
        let _socket = s.app.socket(s.nic, Setup::rx()).unwrap();
        let handle = common(&s.app, GENERIC_READ);
        let needed = ask(&handle, 0).information;
        for size in 1..16 {
            let answer = ask(&handle, size);
            assert_eq!((answer.status, answer.information), (BUFFER_TOO_SMALL, 0));
        }
        for size in (16..needed).step_by(7).chain([needed - 1]) {
            let answer = ask(&handle, size);
            assert_eq!((answer.status, answer.information), (BUFFER_OVERFLOW, 16));
            let (header, rest) = Header::read_from_prefix(&answer.bytes).unwrap();
            assert_eq!(header.total_size, needed as u64);
            assert!(rest.iter().all(|byte| *byte == 0), "nothing else is copied");
        }
        for size in [needed, needed + 1, 1 << 20] {
            let answer = ask(&handle, size);
            assert_eq!((answer.status, answer.information), (SUCCESS, needed));
        }
        // Input says nothing.
        let answer = handle.control_any(LIST, &[0xff; 5000], needed).unwrap();
        assert_eq!((answer.status, answer.information), (SUCCESS, needed));
    });
}

#[test]
fn only_the_common_device_lists_and_only_for_who_may_read() {
    scene(|s| {
        let writer = common(&s.app, GENERIC_WRITE);
        let refused = answer(writer.control_any(LIST, &[], 4096));
        assert_eq!(refused.err(), Some(ACCESS_DENIED));
        for device in ["program", "xsk", "interface", "map"] {
            let handle = s
                .app
                .open(&format!(r"\Device\xdpapi\{device}"))
                .open()
                .unwrap();
            assert_eq!(ask(&handle, 4096).status, NOT_SUPPORTED, "{device}");
        }
        let socket = s.app.xsk().unwrap();
        let answer = socket.handle().control_any(LIST, &[], 4096).unwrap();
        assert_eq!(answer.status, NOT_SUPPORTED);
        let handle = common(&s.app, GENERIC_READ | GENERIC_WRITE);
        for code in [LIST + 4, LIST - 4, LIST | 3, LIST ^ 0xc000, 0x128000] {
            let answer = handle.control_any(code, &[], 4096).unwrap();
            assert_eq!(answer.status, NOT_SUPPORTED, "{code:#x}");
        }
    });
}

#[test]
fn it_says_so_when_there_is_no_memory() {
    scene(|s| {
        let handle = common(&s.app, GENERIC_READ);
        let (refused, last) = failures::each_refused(s.lab, || {
            let answer = ask(&handle, 1 << 16);
            if answer.status == SUCCESS {
                Ok(())
            } else {
                Err(answer.status)
            }
        });
        assert!(!refused.is_empty());
        for status in refused {
            assert_eq!(status, INSUFFICIENT_RESOURCES);
        }
        assert_eq!(last, Ok(()));
    });
}

#[test]
fn it_can_be_asked_for_while_everything_changes() {
    for seed in 0..10 {
        Stage::new().seed(seed).play(|s| {
            let open = || {
                for _ in 0..5 {
                    let socket = s.app.socket(s.nic, Setup::rx_tx()).unwrap();
                    let rule = matching::udp().redirect(&socket.xsk);
                    drop(s.app.program(s.nic).rule(rule).create().unwrap());
                }
            };
            let look = || {
                for _ in 0..10 {
                    let handle = common(&s.app, GENERIC_READ);
                    let answer = ask(&handle, 1 << 16);
                    assert_eq!(answer.status, SUCCESS);
                    let bytes = &answer.bytes[..answer.information];
                    let (header, _) = Header::read_from_prefix(bytes).unwrap();
                    let count = Entries::new(bytes).unwrap().count();
                    assert_eq!(count, header.entries as usize);
                }
            };
            s.side_by_side(&[&open, &look]);
        });
    }
}
