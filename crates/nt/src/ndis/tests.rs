extern crate std;

use core::ptr::{self, NonNull};
use std::boxed::Box;
use std::vec::Vec;

use super::buffer::Nbl;
use super::chain::{NblChain, NblQueue};
use super::filter::{Filter, FilterModule};
use super::handlers;
use super::{Attach, FilterDriver};
use crate::fake::{ALLOWED, ANSWER, ANSWERED, BELOW, blocks};
use crate::irql::Passive;
use crate::ndis::{OidRequest, OidView};
use crate::pool::Tag;
use crate::status::{Result, Status};
use crate::sys::*;

/// Net buffer lists of a test, linked as a chain.
fn lists(count: usize) -> (Vec<NET_BUFFER_LIST>, NblChain) {
    let mut lists = std::vec![NET_BUFFER_LIST::zeroed(); count];
    let mut first = ptr::null_mut();
    for list in lists.iter_mut().rev() {
        list.Next = first;
        first = list;
    }
    // SAFETY: the lists live as long as the test, and the vector is not changed.
    (lists, unsafe { NblChain::from_raw(first) })
}

fn ids(chain: &NblChain) -> Vec<usize> {
    chain.iter().map(|list| list.id()).collect()
}

#[test]
fn a_chain_is_taken_apart_in_order() {
    let (lists, mut chain) = lists(3);
    let expected: Vec<usize> = lists
        .iter()
        .map(|list| ptr::from_ref(list).addr())
        .collect();
    assert_eq!(ids(&chain), expected);
    let first = chain.pop_front().unwrap();
    assert_eq!(first.id(), expected[0]);
    assert!(lists[0].Next.is_null());
    let queue = chain.into_queue();
    assert_eq!(queue.len(), 2);
    assert_eq!(ids(&queue.into_chain()), expected[1..]);
    assert!(NblChain::new().is_empty());
    assert!(NblChain::new().pop_front().is_none());
}

#[test]
fn a_queue_keeps_order_across_splits_and_joins() {
    let (lists, chain) = lists(7);
    let expected: Vec<usize> = lists
        .iter()
        .map(|list| ptr::from_ref(list).addr())
        .collect();
    let (mut even, mut odd) = (NblQueue::new(), NblQueue::new());
    for (index, list) in chain.enumerate() {
        if index % 2 == 0 {
            even.push_back(list)
        } else {
            odd.push_back(list)
        }
    }
    assert_eq!((even.len(), odd.len()), (4, 3));
    let taken = odd.take();
    assert!(odd.is_empty() && odd.pop_front().is_none());
    even.append(taken);
    even.append(odd);
    assert_eq!(even.pop_front().map(|list| list.id()), Some(expected[0]));
    let order: Vec<usize> = even.iter().map(|list| list.id()).collect();
    assert_eq!(order, [2, 4, 6, 1, 3, 5].map(|index| expected[index]));
    while even.pop_front().is_some() {}
    assert_eq!(even.len(), 0);
    // A queue that ran empty starts anew.
    let list = NonNull::from(&lists[0]);
    // SAFETY: the list lives as long as the test.
    even.push_back(unsafe { Nbl::from_raw(list) });
    assert_eq!(even.into_chain().iter().count(), 1);
}

#[test]
fn several_lists_are_taken_off_at_once() {
    let (lists, mut chain) = lists(5);
    let id = |index: usize| ptr::from_ref(&lists[index]).addr();
    assert!(chain.pop_many(0).is_empty());
    let two = chain.pop_many(2);
    assert_eq!(
        (two.len(), ids(&two.into_chain())),
        (2, std::vec![id(0), id(1)])
    );
    let mut rest = chain.pop_many(9);
    assert_eq!((rest.len(), chain.is_empty()), (3, true));
    // Its end is known.
    // SAFETY: lives as long as the test, and is in no other chain any more.
    rest.push_back(unsafe { Nbl::from_raw(NonNull::from(&lists[0])) });
    assert_eq!(ids(&rest.into_chain()), [2, 3, 4, 0].map(id));
    assert!(chain.pop_many(1).is_empty());
}

#[test]
fn a_run_ends_where_the_key_changes() {
    let (lists, mut chain) = lists(6);
    let first = ptr::from_ref(&lists[0]).addr();
    let at = |list: &Nbl| (list.id() - first) / size_of::<NET_BUFFER_LIST>();
    let mut runs = Vec::new();
    while let Some((key, run)) = chain.pop_while_same(|list| [1, 1, 2, 1, 3, 3][at(list)]) {
        assert_eq!(run.len() as usize, run.iter().count());
        runs.push((key, run.iter().map(|list| at(&list)).collect::<Vec<_>>()));
        // A list can be appended to a run, so its end is known.
        let mut run = run;
        let other = NonNull::from(Box::leak(Box::new(NET_BUFFER_LIST::zeroed())));
        // SAFETY: never freed.
        run.push_back(unsafe { Nbl::from_raw(other) });
        assert_eq!(
            run.iter().last().map(|list| list.id()),
            Some(other.addr().get())
        );
    }
    let expected = [
        (1, std::vec![0, 1]),
        (2, std::vec![2]),
        (1, std::vec![3]),
        (3, std::vec![4, 5]),
    ];
    assert_eq!(runs, expected);
    assert!(chain.is_empty());
}

/// A packet of pieces: the bytes of each MDL, the offset into the first, and the length of the packet.
struct Packet {
    list: Box<NET_BUFFER_LIST>,
    _buffer: Box<NET_BUFFER>,
    mdls: Vec<MDL>,
}

fn packet(pieces: &[&'static [u8]], offset: u32, len: u32) -> Packet {
    let mut mdls = std::vec![MDL::zeroed(); pieces.len()];
    let mut first = ptr::null_mut();
    for (mdl, piece) in mdls.iter_mut().zip(pieces).rev() {
        mdl.MdlFlags = MDL_SOURCE_IS_NONPAGED_POOL;
        mdl.MappedSystemVa = piece.as_ptr().cast_mut().cast();
        mdl.ByteCount = piece.len() as u32;
        mdl.Next = first;
        first = mdl;
    }
    let mut buffer = Box::new(NET_BUFFER::zeroed());
    buffer.CurrentMdl = first;
    buffer.CurrentMdlOffset = offset;
    buffer.DataLength = len;
    let mut list = Box::new(NET_BUFFER_LIST::zeroed());
    list.FirstNetBuffer = &raw mut *buffer;
    Packet {
        list,
        _buffer: buffer,
        mdls,
    }
}

impl Packet {
    fn segments(&mut self) -> Vec<Option<Vec<u8>>> {
        // SAFETY: lives as long as the packet.
        let list = unsafe { Nbl::from_raw(NonNull::from(&mut *self.list)) };
        let buffer = list.first_buffer().unwrap();
        buffer
            .segments()
            .map(|piece| piece.map(<[u8]>::to_vec))
            .collect()
    }
}

#[test]
fn a_packet_is_the_bytes_between_offset_and_length() {
    let some = |bytes: &[u8]| Some(bytes.to_vec());
    assert_eq!(packet(&[b"abcdef"], 2, 3).segments(), [some(b"cde")]);
    assert_eq!(
        packet(&[b"ab", b"", b"cdef", b"never"], 1, 4).segments(),
        [some(b"b"), some(b""), some(b"cde")]
    );
    assert_eq!(packet(&[b"ab"], 0, 0).segments(), []);
    // A packet that claims more than it has ends with what it has.
    assert_eq!(packet(&[b"ab"], 1, 10).segments(), [some(b"b")]);
    assert_eq!(
        packet(&[b"ab", b"cd"], 9, 2).segments(),
        [some(b""), some(b"cd")]
    );
}

#[test]
fn a_piece_that_cannot_be_mapped_is_told() {
    let mut packet = packet(&[b"ab", b"cd"], 0, 4);
    packet.mdls[1].MdlFlags = 0;
    assert_eq!(packet.segments(), [Some(b"ab".to_vec()), None]);
}

#[test]
fn information_slots_hold_words() {
    let mut list = Box::new(NET_BUFFER_LIST::zeroed());
    // SAFETY: lives as long as the test.
    let mut list = unsafe { Nbl::from_raw(NonNull::from(&mut *list)) };
    list.set_info(NetBufferListHashValue, 0xdead_beef);
    list.set_info(TcpIpChecksumNetBufferListInfo, 5);
    list.set_info(1000, 7);
    assert_eq!(
        (
            list.hash_value(),
            list.info(TcpIpChecksumNetBufferListInfo),
            list.info(1000)
        ),
        (0xdead_beef, 5, 0)
    );
    list.clear_offload_info();
    assert_eq!(
        (list.hash_value(), list.info(TcpIpChecksumNetBufferListInfo)),
        (0, 0)
    );
    list.set_status(Status::CANCELLED);
    assert_eq!(list.status(), Status::CANCELLED);
}

/// A module that answers one object itself and notes the answers of others.
struct Module {
    answers: std::sync::Mutex<Vec<(u32, Status)>>,
}

const ANSWERED_HERE: u32 = OID_GEN_VENDOR_ID;

impl FilterModule for Module {
    const TAG: Tag = Tag::new(b"Test");

    fn filter(&self) -> Filter {
        Filter::new(ptr::null_mut())
    }

    fn oid_request(&self, mut request: OidRequest) {
        if request.view().oid() == ANSWERED_HERE {
            request.buffer_mut()[..2].copy_from_slice(b"me");
            return request.complete(Status::SUCCESS, 2, 2);
        }
        request.forward();
    }

    fn oid_answered(&self, request: &OidView<'_>, status: Status) {
        self.answers.lock().unwrap().push((request.oid(), status));
    }
}

struct Driver;

impl FilterDriver for Driver {
    type Module = Module;

    fn attach(&self, _: &Attach<'_>, _: Filter, _: Passive<'_>) -> Result<Module> {
        Err(Status::NOT_SUPPORTED)
    }
}

struct Oid {
    module: Module,
    buffer: [u8; 16],
    request: Box<NDIS_OID_REQUEST>,
}

impl Oid {
    fn query(oid: u32) -> Self {
        let mut request = Box::new(NDIS_OID_REQUEST::zeroed());
        request.RequestType = NdisRequestQueryInformation;
        request.DATA.QUERY_INFORMATION.Oid = oid;
        Self {
            module: Module {
                answers: std::sync::Mutex::default(),
            },
            buffer: [0; 16],
            request,
        }
    }

    fn ask(&mut self) -> NDIS_STATUS {
        self.request.DATA.QUERY_INFORMATION.InformationBuffer = (&raw mut self.buffer).cast();
        self.request.DATA.QUERY_INFORMATION.InformationBufferLength = 16;
        let context = ptr::from_ref(&self.module).cast_mut().cast();
        let handler = handlers::characteristics::<Driver>((6, 80))
            .OidRequestHandler
            .unwrap();
        // SAFETY: as NDIS calls it.
        unsafe { handler(context, &raw mut *self.request) }
    }

    fn answers(&self) -> Vec<NDIS_STATUS> {
        let address = (&raw const *self.request).addr();
        ANSWERED.with_borrow(|all| {
            all.iter()
                .filter(|(request, _)| *request == address)
                .map(|(_, status)| *status)
                .collect()
        })
    }

    fn written(&self) -> u32 {
        // SAFETY: the union's member for a query.
        unsafe { self.request.DATA.QUERY_INFORMATION }.BytesWritten
    }
}

#[test]
fn a_module_answers_a_request_itself() {
    let mut oid = Oid::query(ANSWERED_HERE);
    assert_eq!(oid.ask(), NDIS_STATUS_PENDING);
    assert_eq!(
        (oid.answers(), oid.written(), &oid.buffer[..2]),
        (std::vec![NDIS_STATUS_SUCCESS], 2, &b"me"[..])
    );
    assert!(oid.module.answers.lock().unwrap().is_empty());
}

#[test]
fn a_forwarded_request_has_the_answer_of_its_clone() {
    let mut oid = Oid::query(OID_GEN_LINK_SPEED);
    ANSWER.set(NDIS_STATUS_SUCCESS);
    assert_eq!(oid.ask(), NDIS_STATUS_PENDING);
    assert_eq!(
        (oid.answers(), oid.written(), blocks()),
        (std::vec![NDIS_STATUS_SUCCESS], 6, 0)
    );
    assert_eq!(
        *oid.module.answers.lock().unwrap(),
        [(OID_GEN_LINK_SPEED, Status::SUCCESS)]
    );
}

#[test]
fn a_forwarded_request_may_be_answered_later() {
    let mut oid = Oid::query(OID_GEN_LINK_SPEED);
    ANSWER.set(NDIS_STATUS_PENDING);
    assert_eq!(oid.ask(), NDIS_STATUS_PENDING);
    assert_eq!((oid.answers(), blocks()), (std::vec![], 1));
    let clone = BELOW.with_borrow_mut(|below| below.pop()).unwrap();
    let context = ptr::from_ref(&oid.module).cast_mut().cast();
    let handler = handlers::characteristics::<Driver>((6, 30))
        .OidRequestCompleteHandler
        .unwrap();
    // SAFETY: as NDIS calls it, with the request that it got.
    unsafe { handler(context, clone, NDIS_STATUS_NOT_SUPPORTED) };
    assert_eq!(
        (oid.answers(), oid.written(), blocks()),
        (std::vec![NDIS_STATUS_NOT_SUPPORTED], 6, 0)
    );
    assert_eq!(oid.module.answers.lock().unwrap().len(), 1);
}

#[test]
fn a_request_that_cannot_be_cloned_is_answered_so() {
    let mut oid = Oid::query(OID_GEN_LINK_SPEED);
    ALLOWED.set(0);
    assert_eq!(oid.ask(), NDIS_STATUS_PENDING);
    assert_eq!(oid.answers(), [Status::INSUFFICIENT_RESOURCES.0]);
}

#[test]
fn characteristics_have_the_revision_of_the_version() {
    let new = handlers::characteristics::<Driver>((6, 85));
    assert_eq!((new.Header.Revision, new.Header.Size), (3, 240));
    let old = handlers::characteristics::<Driver>((6, 30));
    assert_eq!(
        (old.Header.Revision, old.Header.Size, old.MinorNdisVersion),
        (2, 224, 30)
    );
}
