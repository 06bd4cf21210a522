//! Registration of frame memory: specification 02, section 5.

use nt_sim::NtStatus;
use scenarios::{Scene, failures, frames, matching, scene, socket::Setup, status::*, xsk::Xsk};
use xdp_abi::{ClientPtr, sockopt::Sockopt, xsk::UmemReg};
use zerocopy::IntoBytes;

fn memory(s: &Scene<'_>, size: usize) -> u64 {
    s.app.alloc(size).unwrap().address() as u64
}

fn registration(address: u64, total_size: u64, chunk_size: u32, headroom: u32) -> UmemReg {
    UmemReg {
        total_size,
        chunk_size,
        headroom,
        address: ClientPtr(address),
    }
}

fn register(xsk: &Xsk<'_>, umem: UmemReg) -> NtStatus {
    xsk.set(Sockopt::UMEM_REG, &umem).err().unwrap_or(SUCCESS)
}

#[test]
fn s02_5_r1_a_short_structure_is_refused() {
    scene(|s| {
        let xsk = s.app.xsk().unwrap();
        let umem = registration(memory(s, 4096), 4096, 2048, 0);
        for length in 0..24 {
            let refused = xsk.set_bytes(Sockopt::UMEM_REG, &umem.as_bytes()[..length]);
            assert_eq!(refused, Err(INVALID_PARAMETER), "{length} bytes");
        }
        assert_eq!(register(&xsk, umem), SUCCESS, "none of them registered");
    });
}

#[test]
fn s02_5_r2_an_unreadable_structure_raises() {
    scene(|s| {
        let xsk = s.app.xsk().unwrap();
        let refused = xsk.set_from(Sockopt::UMEM_REG, 24, 0x5000);
        assert_eq!(refused, Err(ACCESS_VIOLATION));
        let page = s.app.alloc(4096).unwrap();
        let umem = registration(memory(s, 4096), 4096, 2048, 0);
        page.write(4096 - 16, &umem.as_bytes()[..16]);
        let across = (page.address() + 4096 - 16) as u64;
        let refused = xsk.set_from(Sockopt::UMEM_REG, 24, across);
        assert_eq!(refused, Err(ACCESS_VIOLATION), "its end is on no page");
    });
}

#[test]
fn s02_5_r3_the_total_size_is_1_to_4_gib_less_1() {
    scene(|s| {
        let xsk = s.app.xsk().unwrap();
        let address = memory(s, 8192);
        for total in [0, 0x1_0000_0000, 0x1_0000_1000, u64::MAX] {
            let status = register(&xsk, registration(address, total, 2048, 0));
            assert_eq!(status, INVALID_PARAMETER, "{total:#x}");
        }
    });
}

#[test]
fn s02_5_r4_a_chunk_is_not_empty_and_fits() {
    scene(|s| {
        let xsk = s.app.xsk().unwrap();
        let address = memory(s, 8192);
        for chunk in [0, 8193, u32::MAX] {
            let status = register(&xsk, registration(address, 8192, chunk, 0));
            assert_eq!(status, INVALID_PARAMETER, "{chunk}");
        }
        assert_eq!(
            register(&xsk, registration(address, 8192, 8192, 0)),
            SUCCESS
        );
    });
}

#[test]
fn s02_5_r5_headroom_fits_into_a_chunk_and_16_bits() {
    scene(|s| {
        let xsk = s.app.xsk().unwrap();
        let address = memory(s, 0x40000);
        for (chunk, headroom) in [
            (2048, 2049),
            (2048, u32::MAX),
            (0x20000, 0x10000),
            (0x20000, 0x1FFFF),
        ] {
            let status = register(&xsk, registration(address, 0x40000, chunk, headroom));
            assert_eq!(status, INVALID_PARAMETER, "{headroom} of {chunk}");
        }
        let status = register(&xsk, registration(address, 0x40000, 0x20000, 0xFFFF));
        assert_eq!(status, SUCCESS);
    });
}

#[test]
fn s02_5_r6_r8_no_memory_for_describing_or_mapping_is_insufficient_resources() {
    scene(|s| {
        let xsk = s.app.xsk().unwrap();
        let umem = registration(memory(s, 65536), 65536, 2048, 0);
        let (refused, last) = failures::each_refused(s.lab, || xsk.set(Sockopt::UMEM_REG, &umem));
        assert!(
            refused.len() >= 2,
            "an MDL and a mapping at least: {refused:?}"
        );
        for status in refused {
            assert_eq!(status, INSUFFICIENT_RESOURCES);
        }
        assert_eq!(
            last,
            Ok(()),
            "a failure leaves the socket able to try again"
        );
    });
}

#[test]
fn s02_5_r7_memory_that_cannot_be_locked_for_writing_raises() {
    scene(|s| {
        let xsk = s.app.xsk().unwrap();
        let read_only = s.app.alloc(8192).unwrap();
        s.app.set_writable(read_only, false).unwrap();
        let short = s.app.alloc(4096).unwrap();
        for (address, why) in [
            (0, "nothing at 0"),
            (0x7FFF_0000_0000, "nothing there"),
            (0xFFFF_8000_0000_0000, "the kernel's"),
            (u64::MAX - 4095, "wraps around"),
            (read_only.address() as u64, "read-only"),
            (short.address() as u64, "half of it missing"),
        ] {
            let status = register(&xsk, registration(address, 8192, 2048, 0));
            assert_eq!(status, ACCESS_VIOLATION, "{why}");
        }
        let status = register(&xsk, registration(memory(s, 8192), 8192, 2048, 0));
        assert_eq!(status, SUCCESS);
    });
}

#[test]
fn s02_5_r9_a_second_registration_is_refused_last() {
    scene(|s| {
        let xsk = s.app.xsk().unwrap();
        let good = registration(memory(s, 8192), 8192, 2048, 0);
        assert_eq!(register(&xsk, good), SUCCESS);
        assert_eq!(register(&xsk, good), INVALID_DEVICE_STATE);
        let other = registration(memory(s, 8192), 8192, 2048, 0);
        assert_eq!(register(&xsk, other), INVALID_DEVICE_STATE);
        let invalid = registration(good.address.0, 8192, 0, 0);
        assert_eq!(register(&xsk, invalid), INVALID_PARAMETER);
        let nowhere = registration(0x6000, 8192, 2048, 0);
        assert_eq!(register(&xsk, nowhere), ACCESS_VIOLATION);
        let active = s.app.socket(s.nic, Setup::rx()).unwrap();
        assert_eq!(register(&active.xsk, other), INVALID_DEVICE_STATE);
    });
}

#[test]
fn s02_5_1_nothing_has_to_be_aligned() {
    scene(|s| {
        let block = s.app.alloc(40_000).unwrap();
        for (offset, total, chunk, headroom) in [
            (3, 12_345, 1_001, 7),
            (4095, 4097, 4096, 4096),
            (1, 1, 1, 1),
        ] {
            let xsk = s.app.xsk().unwrap();
            let address = block.address() as u64 + offset;
            let status = register(&xsk, registration(address, total, chunk, headroom));
            assert_eq!(status, SUCCESS, "{total} bytes at +{offset}");
        }
    });
}

#[test]
fn s02_5_1_frames_land_in_unaligned_memory() {
    scene(|s| {
        let socket = s.app.idle_socket(s.nic, Setup::rx().chunks(1, 1)).unwrap();
        drop(socket);
        let xsk = s.app.xsk().unwrap();
        xsk.bind(s.nic.if_index(), 0, xdp_abi::xsk::BindFlags::RX)
            .unwrap();
        let block = s.app.alloc(10_000).unwrap();
        let umem = registration(block.address() as u64 + 5, 9_001, 3_000, 11);
        assert_eq!(register(&xsk, umem), SUCCESS);
        xsk.size_ring(Sockopt::RX_RING_SIZE, 2).unwrap();
        xsk.size_ring(Sockopt::RX_FILL_RING_SIZE, 2).unwrap();
        xsk.activate().unwrap();
        let _program = s.attach(matching::all().redirect(&xsk));
        let rings = xsk.rings().unwrap();
        rings.fill().push(&3_000_u64);
        let frame = frames::numbered(1, 777);
        s.arrive(&frame);
        assert_eq!(rings.rx().available(), 1);
        assert_eq!(block.read(5 + 3_000 + 11, 777), frame);
    });
}

#[test]
fn s02_5_2_the_remainder_of_the_last_chunk_is_out_of_bounds() {
    scene(|s| {
        let xsk = s.app.xsk().unwrap();
        xsk.bind(s.nic.if_index(), 0, xdp_abi::xsk::BindFlags::RX)
            .unwrap();
        xsk.register(3 * 2000 + 1999, 2000, 0).unwrap();
        xsk.size_ring(Sockopt::RX_RING_SIZE, 4).unwrap();
        xsk.size_ring(Sockopt::RX_FILL_RING_SIZE, 4).unwrap();
        xsk.activate().unwrap();
        let _program = s.attach(matching::all().redirect(&xsk));
        let rings = xsk.rings().unwrap();
        rings.fill().push(&4_000_u64);
        s.arrive(frames::numbered(1, 60));
        assert_eq!(rings.rx().available(), 1, "the last whole chunk");
        for behind in [4_001_u64, 5_999, 6_000] {
            rings.fill().push(&behind);
            s.arrive(frames::numbered(2, 60));
        }
        assert_eq!(rings.rx().available(), 1, "nothing behind it");
        assert_eq!(xsk.statistics().rx_invalid_descriptors, 3);
    });
}

#[test]
fn s02_5_3_a_chunk_that_is_all_headroom_receives_nothing() {
    scene(|s| {
        let socket = s.app.socket(s.nic, Setup::rx().headroom(2048)).unwrap();
        let _program = s.attach(matching::all().redirect(&socket.xsk));
        socket.fill([0]);
        s.arrive(frames::numbered(1, 100));
        let received = socket.received();
        assert_eq!(received.len(), 1);
        assert_eq!((received[0].offset, received[0].data.len()), (2048, 0));
        assert_eq!(socket.xsk.statistics().rx_truncated, 1);
    });
}

#[test]
fn s02_5_4_pages_stay_when_the_program_frees_them() {
    scene(|s| {
        let socket = s.app.socket(s.nic, Setup::rx_tx()).unwrap();
        let _program = s.attach(matching::all().redirect(&socket.xsk));
        socket.fill([0, 2048]);
        let frame = frames::numbered(9, 200);
        socket.umem.write(4096, &frame);
        s.app.free(socket.umem.memory()).unwrap();
        s.arrive(frames::numbered(1, 100));
        assert_eq!(socket.rings.rx().available(), 1);
        socket.post(4096, 0, 200);
        socket.poke();
        assert_eq!(s.nic.wire().receive().unwrap().data, frame);
        assert_eq!(socket.await_completions(1), [4096]);
    });
}

#[test]
fn s02_5_5_sockets_may_register_the_same_memory_each_for_itself() {
    scene(|s| {
        let address = memory(s, 65536);
        let first = s.app.xsk().unwrap();
        let second = s.app.xsk().unwrap();
        assert_eq!(
            register(&first, registration(address, 65536, 2048, 0)),
            SUCCESS
        );
        let other = registration(address + 1000, 50_000, 1000, 10);
        assert_eq!(register(&second, other), SUCCESS);
        let invalid = registration(address, 65536, 0, 0);
        let third = s.app.xsk().unwrap();
        assert_eq!(register(&third, invalid), INVALID_PARAMETER);
        first.close();
        second.close();
    });
}
