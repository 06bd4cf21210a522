//! Clients in kernel mode: specification 01, section 10.

use scenarios::{
    Client, failures, frames, matching, scene,
    socket::Setup,
    status::{INVALID_HANDLE, answer},
    xsk::notified,
};
use xdp_abi::{sockopt::Sockopt, xsk::NotifyFlags};

/// Where the kernel's addresses begin in the lab and on Windows.
const USER_END: u64 = 0x1000_0000_0000;

#[test]
fn s01_10_1_a_driver_receives_sends_and_waits_in_its_own_memory() {
    scene(|s| {
        let driver = Client::in_kernel(s.lab);
        let socket = driver.socket(s.nic, Setup::rx_tx()).unwrap();
        let info = socket.xsk.ring_info().unwrap();
        for ring in [info.rx, info.fill, info.tx, info.completion] {
            assert!(
                ring.ring.0 > USER_END,
                "{:#x} is a kernel address",
                ring.ring.0
            );
        }
        let map = driver.map().unwrap();
        map.insert(0, &socket.xsk).unwrap();
        let ports = matching::Ports::new(&driver, &[53]);
        let program = driver
            .program(s.nic)
            .rule(matching::udp_port_set(&ports).redirect_map(&map))
            .rule(matching::udp_dst(54).redirect(&socket.xsk))
            .create()
            .unwrap();
        socket.fill_all();
        let waiting = socket.xsk.notify_async(NotifyFlags::WAIT_RX).unwrap();
        s.arrive(frames::udp4(53, b"by the map"));
        let output = waiting.wait(None).unwrap().unwrap();
        assert_eq!(notified(&output).0.0, 0);
        s.arrive(frames::udp4(54, b"by the rule"));
        s.arrive(frames::udp4(55, b"passes"));
        let wanted = [
            frames::udp4(53, b"by the map"),
            frames::udp4(54, b"by the rule"),
        ];
        assert_eq!(socket.received_bytes(), wanted);
        assert_eq!(s.passed().len(), 1);
        socket.send(20, &frames::numbered(1, 100));
        assert_eq!(socket.await_completions(1), [socket.umem.chunk(20)]);
        assert_eq!(s.sent(), [frames::numbered(1, 100)]);
        program.close();
    });
}

#[test]
fn s01_10_1_s02_13_4_frames_of_drivers_may_span_chunks() {
    scene(|s| {
        let driver = Client::in_kernel(s.lab);
        let frame = frames::numbered(1, 200);
        let kernel = driver.socket(s.nic, Setup::tx()).unwrap();
        kernel.umem.write(2048 - 100, &frame);
        kernel.post(2048 - 100, 0, 200);
        kernel.poke();
        assert_eq!(kernel.await_completions(1), [2048 - 100]);
        assert_eq!(s.sent(), std::slice::from_ref(&frame));
        // Those of programs may not.
        let user = s.app.socket(s.nic, Setup::tx()).unwrap();
        user.umem.write(2048 - 100, &frame);
        user.post(2048 - 100, 0, 200);
        user.poke();
        assert_eq!(user.xsk.statistics().tx_invalid_descriptors, 1);
        assert!(s.sent().is_empty());
    });
}

#[test]
fn s01_10_1_handles_of_drivers_are_kernel_handles() {
    scene(|s| {
        let driver = Client::in_kernel(s.lab);
        let ours = driver.socket(s.nic, Setup::rx()).unwrap();
        let theirs = s.app.socket(s.nic, Setup::rx()).unwrap();
        let kernel_rule = matching::all().redirect(&ours.xsk);
        // A program cannot name what only the kernel has a handle to, nor a driver what only a process has.
        let stolen = s.app.program(s.nic).rule(kernel_rule).create();
        assert_eq!(stolen.err(), Some(INVALID_HANDLE));
        let map = driver.map().unwrap();
        let inserted = map.insert(0, &theirs.xsk);
        assert_eq!(inserted, Err(INVALID_HANDLE));
        assert!(driver.program(s.nic).rule(kernel_rule).create().is_ok());
    });
}

#[test]
fn s01_10_1_options_and_statistics_are_the_same_for_drivers() {
    scene(|s| {
        let driver = Client::in_kernel(s.lab);
        let xsk = driver.xsk().unwrap();
        assert_eq!(
            xsk.set(Sockopt::RX_RING_SIZE, &3_u32).err(),
            xsk.set(Sockopt::RX_RING_SIZE, &0_u32).err()
        );
        xsk.size_ring(Sockopt::RX_RING_SIZE, 8).unwrap();
        assert_eq!(xsk.statistics().rx_dropped, 0);
        let short = answer(xsk.handle().control(0, &[], 0));
        assert!(short.is_err());
        let (refused, last) =
            failures::each_refused(s.lab, || driver.socket(s.nic, Setup::rx()).map(drop));
        assert!(refused.len() > 5 && last.is_ok(), "{refused:?}");
    });
}
