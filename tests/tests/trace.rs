//! The events that the driver writes for those who trace it.

use std::collections::{BTreeMap, BTreeSet};

use scenarios::{Scene, frames, manifest, matching, scene, socket::Setup};
use xdp_abi::xsk::{BindFlags, NotifyFlags};

/// Microsoft-XDP, as a GUID lies in memory.
const PROVIDER: [u8; 16] = [
    0xea, 0xbd, 0x0b, 0x58, 0x64, 0xb3, 0x69, 0x43, 0xb2, 0x91, 0xd3, 0x53, 0x9e, 0x35, 0xd2, 0x0b,
];
const TX: u64 = 1;
const RX: u64 = 2;
const XSK: u64 = 4;
const GENERIC: u64 = 8;
const EC: u64 = 0x10;
const ALL: u64 = 0x3f;

const PER_IO: u8 = 20;
const PER_FRAME: u8 = 25;

/// An event, taken apart.
struct Event {
    id: u16,
    channel: u8,
    level: u8,
    opcode: u8,
    keywords: u64,
    data: Vec<u8>,
}

impl Event {
    fn wide(&self, at: usize) -> u64 {
        u64::from_le_bytes(self.data[at..at + 8].try_into().unwrap())
    }

    fn number(&self, at: usize) -> u32 {
        u32::from_le_bytes(self.data[at..at + 4].try_into().unwrap())
    }

    fn size(&self) -> usize {
        self.data.len()
    }
}

/// What was written since the last look.
struct Events(Vec<Event>);

impl Events {
    fn take(s: &Scene<'_>) -> Self {
        let events = s.lab.take_events().unwrap().into_iter().map(|event| {
            assert_eq!(event.provider, PROVIDER);
            let d = event.descriptor;
            // The top bit is the channel's own keyword.
            let keywords = u64::from_le_bytes(d[8..].try_into().unwrap()) & !(1 << 63);
            Event {
                id: u16::from_le_bytes([d[0], d[1]]),
                channel: d[3],
                level: d[4],
                opcode: d[5],
                keywords,
                data: event.data,
            }
        });
        Events(events.collect())
    }

    fn ids(&self) -> Vec<u16> {
        self.0.iter().map(|event| event.id).collect()
    }

    fn all(&self, id: u16) -> Vec<&Event> {
        self.0.iter().filter(|event| event.id == id).collect()
    }

    /// The first event with an identifier, whose level and keywords are checked.
    #[track_caller]
    fn get(&self, id: u16, level: u8, keywords: u64) -> &Event {
        let found = self.0.iter().find(|event| event.id == id);
        let event = found.unwrap_or_else(|| panic!("no event {id} in {:?}", self.ids()));
        assert_eq!((event.level, event.keywords), (level, keywords), "{id}");
        assert_eq!(event.channel, 0x10, "{id}");
        event
    }
}

/// Listens from here on.
fn listen(s: &Scene<'_>, level: u8, keywords: u64) {
    s.lab.listen(PROVIDER, level, keywords).unwrap();
    drop(s.lab.take_events().unwrap());
}

#[test]
fn s09_1_nothing_is_written_for_nobody() {
    scene(|s| {
        let socket = s.app.socket(s.nic, Setup::rx_tx()).unwrap();
        socket.send(0, &frames::numbered(1, 60));
        assert_eq!(Events::take(s).ids(), [0_u16; 0]);
    });
}

#[test]
fn s09_1_e3_e4_e5_sockets_are_created_and_closed() {
    scene(|s| {
        listen(s, 4, ALL);
        let socket = s.app.xsk().unwrap();
        let events = Events::take(s);
        let created = events.get(3, 4, XSK);
        assert_eq!((created.size(), created.wide(8)), (16, s.app.id() as u64));
        let id = created.wide(0);
        assert_ne!(id, 0);
        socket.close();
        let events = Events::take(s);
        assert_eq!(events.ids(), [4, 5]);
        for (number, event) in [(4, 0), (5, 1)] {
            assert_eq!(events.get(number, 4, XSK).wide(0), id);
            assert_eq!(events.0[event].size(), 8);
        }
    });
}

#[test]
fn s09_1_e7_a_socket_is_bound_for_sending() {
    scene(|s| {
        listen(s, 4, TX);
        let socket = s.app.xsk().unwrap();
        let index = s.nic.if_index();
        socket
            .bind(index, 0, BindFlags(BindFlags::RX.0 | BindFlags::TX.0))
            .unwrap();
        let events = Events::take(s);
        let bound = events.get(7, 4, TX | XSK);
        assert_eq!(bound.size(), 24);
        assert_ne!(bound.wide(0), 0);
        assert_ne!(bound.wide(8), 0);
        assert_eq!((bound.number(16), bound.number(20)), (index, 0));
    });
}

#[test]
fn s09_1_e6_e8_e9_e10_e14_e15_frames_are_sent_and_completed() {
    scene(|s| {
        let socket = s.app.socket(s.nic, Setup::tx()).unwrap();
        socket.send(0, &frames::numbered(1, 60));
        socket.await_completions(1);
        listen(s, PER_FRAME, TX);
        for chunk in [1, 2, 3] {
            socket.post_frame(chunk, &frames::numbered(chunk, 60));
        }
        socket.poke();
        socket.await_completions(3);
        let events = Events::take(s);
        // The frame before took the first place in each ring.
        let taken = events.all(6);
        assert_eq!(taken.len(), 3);
        for (index, event) in (1..).zip(taken) {
            assert_eq!((event.level, event.keywords), (PER_FRAME, TX | XSK));
            assert_eq!((event.number(8), event.number(12)), (index, index));
            assert_eq!(event.size(), 16);
        }
        let enqueued = events.all(8);
        assert_eq!(enqueued.len(), 3);
        let queue = enqueued[0].wide(0);
        for (index, event) in (1..).zip(enqueued) {
            assert_eq!((event.level, event.keywords), (PER_FRAME, TX | GENERIC));
            assert_eq!((event.wide(0), event.number(8)), (queue, index));
        }
        for id in [9, 10] {
            let posted = events.get(id, PER_IO, TX | GENERIC);
            assert_eq!((posted.wide(0), posted.size()), (queue, 8), "{id}");
        }
        let back = events.get(14, PER_IO, TX | GENERIC);
        assert_eq!((back.wide(0), back.number(8)), (queue, 1));
        let count = |id| -> u32 { events.all(id).iter().map(|e| e.number(12)).sum() };
        assert_eq!(count(14), 3);
        let completed = events.get(15, PER_IO, TX | XSK);
        assert_eq!(completed.wide(0), events.all(6)[0].wide(0));
        assert_eq!((completed.number(8), completed.size()), (1, 16));
        assert_eq!(count(15), 3);
    });
}

#[test]
fn s09_1_e11_e12_e13_e21_e22_frames_are_inspected_and_received() {
    scene(|s| {
        let socket = s.app.socket(s.nic, Setup::rx()).unwrap();
        let rule = matching::udp_dst(53).redirect(&socket.xsk);
        let _program = s.app.program(s.nic).rule(rule).create().unwrap();
        socket.fill_all();
        s.arrive(frames::udp4(53, b"first"));
        listen(s, PER_IO, RX);
        s.arrive(frames::udp4(53, b"second"));
        let events = Events::take(s);
        assert_eq!(events.ids(), [11, 21, 13, 22, 12]);
        let queue = events.0[0].wide(0);
        assert_ne!(queue, 0);
        for id in [11, 12, 21, 22] {
            let event = events.get(id, PER_IO, RX | GENERIC);
            assert_eq!((event.wide(0), event.size()), (queue, 8), "{id}");
        }
        let posted = events.get(13, PER_IO, RX | XSK);
        assert_eq!((posted.number(8), posted.number(12)), (1, 1));
        assert_eq!(posted.size(), 16);
        // A frame that goes past the socket is inspected all the same.
        s.arrive(frames::udp4(54, b"third"));
        assert_eq!(Events::take(s).ids(), [11, 21, 22, 12]);
    });
}

#[test]
fn s09_1_e16_a_queue_runs_and_rests() {
    scene(|s| {
        let socket = s.app.socket(s.nic, Setup::tx()).unwrap();
        listen(s, PER_IO, EC);
        socket.send(0, &frames::numbered(1, 60));
        socket.await_completions(1);
        let events = Events::take(s);
        let first = events.get(16, PER_IO, EC);
        assert_eq!((first.number(8), first.size()), (2, 12));
        let last = events.0.last().unwrap();
        assert_eq!((last.wide(0), last.number(8)), (first.wide(0), 0));
    });
}

#[test]
fn s09_1_e1_e2_e17_e18_a_program_notifies() {
    scene(|s| {
        let socket = s.app.socket(s.nic, Setup::rx_tx()).unwrap();
        listen(s, PER_IO, XSK);
        let flags = NotifyFlags(NotifyFlags::POKE_TX.0 | NotifyFlags::WAIT_RX.0);
        let waited = socket.xsk.notify(flags, Some(std::time::Duration::ZERO));
        assert!(waited.is_err() || waited.is_ok_and(|(_, result)| result.0 == 0));
        let events = Events::take(s);
        assert_eq!(events.ids(), [17, 1, 2, 18]);
        let start = events.get(17, PER_IO, XSK);
        assert_eq!((start.wide(8), start.size()), (0, 24));
        assert_eq!((start.number(16), start.number(20)), (flags.0, 0));
        for id in [1, 2] {
            let poke = events.get(id, PER_IO, XSK);
            assert_eq!(poke.wide(0), start.wide(0));
            assert_eq!((poke.number(8), poke.size()), (NotifyFlags::POKE_TX.0, 12));
        }
        let stop = events.get(18, PER_IO, XSK);
        assert_eq!((stop.wide(0), stop.wide(8)), (start.wide(0), 0));
        // STATUS_TIMEOUT.
        assert_eq!((stop.number(16), stop.number(20)), (0, 0x102));
        // Without poke flags nothing is poked.
        socket
            .xsk
            .notify(NotifyFlags::WAIT_RX, Some(std::time::Duration::ZERO))
            .ok();
        assert_eq!(Events::take(s).ids(), [17, 18]);
    });
}

#[test]
fn s09_1_e17_e18_e19_a_wait_goes_on_after_its_request_was_made() {
    scene(|s| {
        let socket = s.app.socket(s.nic, Setup::rx()).unwrap();
        let rule = matching::all().redirect(&socket.xsk);
        let _program = s.app.program(s.nic).rule(rule).create().unwrap();
        socket.fill_all();
        listen(s, PER_IO, XSK);
        let waiting = socket.xsk.notify_async(NotifyFlags::WAIT_RX).unwrap();
        let events = Events::take(s);
        assert_eq!(events.ids(), [17, 18]);
        let request = events.get(17, PER_IO, XSK).wide(8);
        assert_ne!(request, 0);
        let stop = events.get(18, PER_IO, XSK);
        // STATUS_PENDING.
        assert_eq!((stop.wide(8), stop.number(20)), (request, 0x103));
        s.arrive(frames::udp4(53, b"ends the wait"));
        assert!(waiting.result().is_some());
        let events = Events::take(s);
        let done = events.get(19, PER_IO, XSK);
        assert_eq!(
            (done.wide(8), done.number(16), done.size()),
            (request, 0, 20)
        );
    });
}

#[test]
fn s09_1_e19_a_cancelled_wait_is_told_of() {
    scene(|s| {
        let socket = s.app.socket(s.nic, Setup::rx()).unwrap();
        listen(s, PER_IO, XSK);
        let waiting = socket.xsk.notify_async(NotifyFlags::WAIT_RX).unwrap();
        let events = Events::take(s);
        let start = events.get(17, PER_IO, XSK);
        let (id, request) = (start.wide(0), start.wide(8));
        assert!(waiting.cancel().unwrap());
        let events = Events::take(s);
        assert_eq!(events.ids(), [19]);
        let done = events.get(19, PER_IO, XSK);
        assert_eq!((done.wide(0), done.wide(8)), (id, request));
        // STATUS_CANCELLED.
        assert_eq!((done.number(16), done.size()), (0xC000_0120, 20));
    });
}

#[test]
fn s09_1_levels_and_keywords_choose_events() {
    scene(|s| {
        let socket = s.app.socket(s.nic, Setup::tx()).unwrap();
        let send = |chunk| {
            socket.send(chunk, &frames::numbered(chunk, 60));
            socket.await_completions(1);
        };
        for (level, keywords) in [(4, ALL), (PER_IO, ALL), (PER_FRAME, EC), (PER_FRAME, XSK)] {
            listen(s, level, keywords);
            send(0);
            let events = Events::take(s);
            for event in &events.0 {
                assert!(event.level <= level && event.keywords & keywords != 0);
            }
            assert_eq!(events.0.is_empty(), level == 4, "{level}, {keywords:#x}");
        }
    });
}

/// An event as the manifest describes it: level, opcode, keywords, bytes of its fields.
type Described = (u8, u8, u64, usize);

fn described() -> BTreeMap<u16, Described> {
    let elements = manifest::read("xdp-events.man");
    let named = |element: &str, value: &str| -> BTreeMap<String, u64> {
        let found = elements.iter().filter(|e| e.name == element);
        found
            .map(|e| {
                let value = e.get(value);
                let number = match value.strip_prefix("0x") {
                    Some(hex) => u64::from_str_radix(hex, 16),
                    None => value.parse(),
                };
                (e.get("name").to_owned(), number.unwrap())
            })
            .collect()
    };
    let (levels, masks) = (named("level", "value"), named("keyword", "mask"));
    assert_eq!(named("channel", "value").values().copied().next(), Some(16));
    let mut sizes: BTreeMap<&str, usize> = BTreeMap::new();
    let mut template = "";
    for element in &elements {
        match element.name.as_str() {
            "template" => template = element.get("tid"),
            "data" => {
                *sizes.entry(template).or_default() += match element.get("inType") {
                    "win:UInt32" => 4,
                    "win:Pointer" | "win:UInt64" => 8,
                    other => panic!("a field of type {other}"),
                }
            }
            _ => {}
        }
    }
    let events = elements.iter().filter(|e| e.name == "event");
    events
        .map(|e| {
            let level = match e.get("level") {
                "win:Informational" => 4,
                other => levels[other] as u8,
            };
            let opcode = match e.get("opcode") {
                "win:Start" => 1,
                "win:Stop" => 2,
                other => panic_unless_empty(other),
            };
            let keywords = e.get("keywords").split(' ').map(|name| masks[name]).sum();
            let size = sizes[e.get("template")];
            let id = e.get("value").parse().unwrap();
            (id, (level, opcode, keywords, size))
        })
        .collect()
}

fn panic_unless_empty(opcode: &str) -> u8 {
    assert_eq!(opcode, "");
    0
}

#[test]
fn s09_1_the_manifest_describes_every_event_as_it_is_written() {
    let described = described();
    let provider = manifest::read("xdp-events.man");
    let provider = provider.iter().find(|e| e.name == "provider").unwrap();
    let guid = "{580bbdea-b364-4369-b291-d3539e35d20b}";
    assert_eq!(
        (provider.get("name"), provider.get("guid")),
        ("Microsoft-XDP", guid)
    );
    scene(|s| {
        listen(s, PER_FRAME, ALL);
        let socket = s.app.socket(s.nic, Setup::rx_tx()).unwrap();
        let rule = matching::all().redirect(&socket.xsk);
        let program = s.app.program(s.nic).rule(rule).create().unwrap();
        socket.fill_all();
        let waiting = socket.xsk.notify_async(NotifyFlags::WAIT_RX).unwrap();
        s.arrive(frames::udp4(53, b"in"));
        assert!(waiting.result().is_some());
        socket.send(20, &frames::numbered(1, 60));
        socket.await_completions(1);
        program.close();
        socket.xsk.close();
        let mut seen = BTreeSet::new();
        for event in Events::take(s).0 {
            let written = (event.level, event.opcode, event.keywords, event.size());
            assert_eq!(described.get(&event.id), Some(&written), "{}", event.id);
            assert_eq!(event.channel, 0x10);
            seen.insert(event.id);
        }
        assert_eq!(seen, described.keys().copied().collect());
        assert_eq!(seen, (1..=22).filter(|id| *id != 20).collect());
    });
}

#[test]
fn s09_2_the_profiles_record_the_provider_at_both_levels() {
    let elements = manifest::read("xdptrace.wprp");
    let providers = elements.iter().filter(|e| e.name == "EventProvider");
    let providers: BTreeMap<&str, u8> = providers
        .map(|e| {
            assert_eq!(e.get("Name"), "580bbdea-b364-4369-b291-d3539e35d20b");
            (e.get("Id"), e.get("Level").parse().unwrap())
        })
        .collect();
    let used = elements.iter().filter(|e| e.name == "EventProviderId");
    let used: BTreeSet<u8> = used.map(|e| providers[e.get("Value")]).collect();
    assert_eq!(used, [PER_IO, PER_FRAME].into());
    let collector = |name: &str, attribute: &str| -> BTreeSet<String> {
        let found = elements.iter().filter(|e| e.name == name);
        found.map(|e| e.get(attribute).to_owned()).collect()
    };
    assert_eq!(
        collector("EventCollector", "Id"),
        collector("EventCollectorId", "Value")
    );
    let keywords = elements.iter().filter(|e| e.name == "Keyword");
    assert!(keywords.clone().count() == 2 && keywords.clone().all(|e| e.get("Value") == "0x3F"));
}
