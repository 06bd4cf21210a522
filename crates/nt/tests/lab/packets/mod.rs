//! A filter that makes packets of its own, told by the 13th byte of what is received what to do.

mod stories;

use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use nt::io::{Create, Driver, DriverObject, DriverSlot};
use nt::ndis::{
    Attach, Filter, FilterConfig, FilterDriver, FilterModule, FilterRegistration, Flags, Nbl,
    NblChain, NblQueue, Packet, PacketPool, PacketQueue, Receive, Restart, Run,
};
use nt::string::UnicodeStr;
use nt::sync::Event;
use nt::sys::{DRIVER_OBJECT, NTSTATUS, NetBufferListHashValue, UNICODE_STRING};
use nt::{Arc, Passive, Result, Status, Tag};

const TAG: Tag = Tag::new(b"NtPk");
/// Room in the packets; longer frames are passed on untouched.
const ROOM: usize = 1600;
/// Where the byte is that says what to do.
const COMMAND: usize = 12;

struct Loaded {
    registration: FilterRegistration<Attacher>,
}

struct Attacher;

struct Module {
    filter: Filter,
    pool: PacketPool,
    /// Packets of this module that are away, and one as long as it runs.
    away: AtomicUsize,
    stopping: AtomicBool,
    back: Event,
}

static RUNNING: DriverSlot<Loaded> = DriverSlot::new();

nt::kernel_fn! {
    pub(crate) unsafe fn driver_entry(driver: *mut DRIVER_OBJECT, registry_path: *mut UNICODE_STRING) -> NTSTATUS {
        // SAFETY: the loader's arguments.
        unsafe { nt::io::entry::<Loaded>(driver, registry_path) }
    }
}

impl Driver for Loaded {
    type File = ();

    const TAG: Tag = TAG;

    fn slot() -> &'static DriverSlot<Self> {
        &RUNNING
    }

    fn load(object: DriverObject, _: UnicodeStr<'_>, passive: Passive<'_>) -> Result<Self> {
        let config = FilterConfig {
            friendly_name: nt::utf16!("Packets"),
            unique_name: nt::utf16!("{11111111-2222-3333-4444-555555555555}"),
            service_name: nt::utf16!("packets"),
            versions: &[(6, 60)],
            driver_version: (1, 0),
            flags: 0,
        };
        let registration =
            FilterRegistration::new(object, &config, Arc::new(TAG, Attacher)?, passive)?;
        Ok(Self { registration })
    }

    fn unload(self, _: Passive<'_>) {
        drop(self.registration);
    }

    fn create(&self, _: &Create<'_>, _: Passive<'_>) -> Result<Option<Arc<()>>> {
        Ok(None)
    }
}

impl FilterDriver for Attacher {
    type Module = Module;

    fn attach(&self, _: &Attach<'_>, filter: Filter, _: Passive<'_>) -> Result<Module> {
        let pool = PacketPool::new(filter, TAG)?;
        check_pool(filter, &pool)?;
        Ok(Module {
            filter,
            pool,
            away: AtomicUsize::new(0),
            stopping: AtomicBool::new(false),
            back: Event::auto_reset(TAG, false)?,
        })
    }
}

/// What can be done with packets that never leave.
fn check_pool(filter: Filter, pool: &PacketPool) -> Result<()> {
    assert_eq!(pool.allocate(0).err(), Some(Status::INVALID_PARAMETER));
    let mut packet = pool.allocate(100)?;
    assert_eq!((packet.capacity(), packet.len()), (100, 0));
    assert_eq!(packet.buffer_mut(), [0; 100]);
    packet.buffer_mut()[..4].copy_from_slice(b"abcd");
    packet.set_len(3);
    packet.set_word(1, 77);
    packet.set_word(9, 1);
    packet.set_info(NetBufferListHashValue, 5);
    let mut row = PacketQueue::new();
    row.push(packet);
    let words = |row: &PacketQueue| {
        row.each(|packet| assert_eq!((packet.word(1), packet.word(9)), (77, 0)));
    };
    words(&row);

    let mut chain = row.into_chain();
    let list = chain.iter().next().ok_or(Status::UNSUCCESSFUL)?;
    assert!(filter.owns(&list));
    assert_eq!(list.hash_value(), 5);
    let buffer = list.first_buffer().ok_or(Status::UNSUCCESSFUL)?;
    assert!(buffer.is_contiguous());
    assert_eq!(buffer.first_segment(), Some(&b"abc"[..]));

    // A packet that is back has its words and its memory; what was in its slots is gone.
    let Some(Run::Packets(0, mut row)) = chain.pop_run(filter) else {
        return Err(Status::UNSUCCESSFUL);
    };
    assert!(chain.pop_run(filter).is_none());
    assert_eq!(row.len(), 1);
    words(&row);
    let mut packet = row.pop().ok_or(Status::UNSUCCESSFUL)?;
    assert!(row.pop().is_none());
    assert_eq!((packet.len(), &packet.buffer_mut()[..4]), (0, &b"abcd"[..]));
    packet.set_len(101);
    assert_eq!((packet.len(), packet.data().len()), (100, 100));
    row.push(packet);
    let mut chain = row.into_chain();
    assert_eq!(chain.iter().next().map(|list| list.hash_value()), Some(0));

    // What was used last is used next. A row that is dropped frees its packets.
    let Some(Run::Packets(0, row)) = chain.pop_run(filter) else {
        return Err(Status::UNSUCCESSFUL);
    };
    let mut all = PacketQueue::new();
    all.push(pool.allocate(7)?);
    all.prepend(row);
    all.append(PacketQueue::new());
    let capacities = [all.pop(), all.pop()].map(|packet| packet.map(|packet| packet.capacity()));
    assert_eq!(capacities, [Some(100), Some(7)]);
    all.push(pool.allocate(9)?);
    drop(all);

    let other = PacketPool::new(filter, TAG)?;
    // The pool goes with its last packet.
    let last = other.allocate(1)?;
    drop(other);
    assert_eq!(last.capacity(), 1);
    Ok(())
}

impl Module {
    /// A packet of the same bytes, if they fit.
    fn copy(&self, list: &Nbl) -> Option<Packet> {
        let buffer = list.first_buffer()?;
        let mut packet = self.pool.allocate(ROOM).ok()?;
        let len = buffer.read(0, packet.buffer_mut());
        packet.set_len(len);
        (len == buffer.len()).then_some(packet)
    }

    /// Counts a packet out, as long as the module runs.
    fn leave(&self, mut packet: Packet) -> Option<NblChain> {
        if self.stopping.load(Ordering::SeqCst) {
            return None;
        }
        self.away.fetch_add(1, Ordering::SeqCst);
        packet.set_word(0, packet.len());
        let mut row = PacketQueue::new();
        row.push(packet);
        Some(row.into_chain())
    }

    fn came_back(&self) {
        if self.away.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.back.set();
        }
    }

    /// Takes the module's own packets out of a chain.
    fn sort(&self, mut chain: NblChain) -> NblQueue {
        let mut theirs = NblQueue::new();
        while let Some(run) = chain.pop_run(self.filter) {
            match run {
                Run::Packets(word, packets) => {
                    packets.each(|packet| assert_eq!(packet.word(0), word));
                    let count = packets.len();
                    drop(packets);
                    for _ in 0..count {
                        self.came_back();
                    }
                }
                Run::Others(lists) => {
                    assert!(!lists.iter().any(|list| self.filter.owns(&list)));
                    theirs.append(lists);
                }
            }
        }
        theirs
    }

    fn send_back(&self, list: &Nbl, receive: Receive) {
        let Some(mut packet) = self.copy(list) else {
            return;
        };
        let bytes = packet.buffer_mut();
        let (to, rest) = bytes.split_at_mut(6);
        to.swap_with_slice(&mut rest[..6]);
        if let Some(list) = self.leave(packet) {
            let level = receive.flags.level_only();
            self.filter.send(list, receive.port, level);
        }
    }

    fn indicate_own(&self, packet: Packet, receive: Receive) {
        if let Some(list) = self.leave(packet) {
            let receive = Receive {
                count: 1,
                flags: receive.flags.level_only(),
                ..receive
            };
            self.filter.indicate(list, receive);
        }
    }

    /// Says in a packet what is known of another one beside its bytes.
    fn describe(&self, list: &Nbl, receive: Receive) {
        let Ok(mut packet) = self.pool.allocate(64) else {
            return;
        };
        let words = [
            list.timestamp(),
            list.checksum_info() as u64,
            u64::from(list.coalesced_segments()),
            u64::from(list.is_loopback()),
        ];
        let bytes = packet.buffer_mut();
        for (word, place) in words.iter().zip(bytes[16..].chunks_mut(8)) {
            place.copy_from_slice(&word.to_le_bytes());
        }
        packet.set_len(48);
        self.indicate_own(packet, receive);
    }
}

impl FilterModule for Module {
    const TAG: Tag = TAG;

    fn filter(&self) -> Filter {
        self.filter
    }

    fn restart(&self, _: &Restart<'_>, _: Passive<'_>) -> Result<()> {
        self.away.store(1, Ordering::SeqCst);
        self.stopping.store(false, Ordering::SeqCst);
        Ok(())
    }

    fn pause(&self, passive: Passive<'_>) {
        self.stopping.store(true, Ordering::SeqCst);
        self.came_back();
        self.back.wait(passive);
    }

    fn receive(&self, chain: NblChain, receive: Receive) {
        let mut up = NblQueue::new();
        let mut done = NblQueue::new();
        for mut list in chain {
            let mut command = [0];
            let there = list.first_buffer().map(|b| b.read(COMMAND, &mut command));
            assert_eq!(there, Some(1));
            match command[0] {
                b'E' => self.send_back(&list, receive),
                b'U' => {
                    if let Some(packet) = self.copy(&list) {
                        self.indicate_own(packet, receive);
                    }
                }
                b'I' => self.describe(&list, receive),
                b'W' => {
                    let bytes: [u8; 40] = core::array::from_fn(|index| index as u8);
                    assert_eq!(list.write_first_buffer(20, &bytes), 40);
                    assert_eq!(list.write_first_buffer(1_000_000, &bytes), 0);
                    let end = list.first_buffer().map_or(0, |buffer| buffer.len());
                    assert_eq!(list.write_first_buffer(end - 2, b"end"), 2);
                    up.push_back(list);
                    continue;
                }
                _ => {
                    up.push_back(list);
                    continue;
                }
            }
            done.push_back(list);
        }
        let count = up.len();
        self.filter
            .indicate(up.into_chain(), Receive { count, ..receive });
        if !receive.is_lent() {
            self.filter
                .return_chain(done.into_chain(), receive.flags.level_only());
        }
    }

    fn send_complete(&self, chain: NblChain, flags: Flags) {
        self.filter
            .send_complete(self.sort(chain).into_chain(), flags);
    }

    fn return_chain(&self, chain: NblChain, flags: Flags) {
        self.filter
            .return_chain(self.sort(chain).into_chain(), flags);
    }
}
