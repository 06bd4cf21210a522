//! How the filter describes itself to NDIS, and what it asks an adapter when it attaches: specification 06, sections 1
//! and 9.

use nt_sim::Lab;
use scenarios::{
    Stage, client::Client, frames, interface::Rss, load, matching, scene, scene::eventually,
    socket::Setup, status::*,
};
use xdp_abi::{HookId, offload::RssFlags, sockopt::Sockopt};

const OID_GEN_RECEIVE_SCALE_CAPABILITIES: u32 = 0x0001_0203;
const OID_GEN_RECEIVE_SCALE_PARAMETERS: u32 = 0x0001_0204;
const OID_TCP_OFFLOAD_CURRENT_CONFIG: u32 = 0xFC01_020B;
/// `OID_XDP_QUERY_CAPABILITIES`, of the driver API of XDP.
const OID_XDP_QUERY_CAPABILITIES: u32 = 0xFFFF_FF00;
const NDIS_MEDIUM_802_3: i32 = 0;
const NDIS_MEDIUM_802_5: i32 = 1;
const NDIS_MEDIUM_WIRELESS_WAN: i32 = 9;

#[test]
fn s06_1_r1_r2_r3_r7_r8_the_filter_describes_itself_to_ndis() {
    const SUPPORTS_L2_MTU_SIZE_CHANGE: u32 = 4;
    // Windows Server 2019, Windows 10 2004, Windows Server 2022 and 2025.
    for (build, version) in [
        (17763, (6, 82)),
        (19041, (6, 82)),
        (20348, (6, 85)),
        (26100, (6, 85)),
    ] {
        let lab = Lab::builder().windows_build(build).boot().unwrap();
        let driver = load(&lab).unwrap();
        let filters = lab.filter_drivers();
        assert_eq!(filters.len(), 1);
        let filter = &filters[0];
        assert_eq!(filter.friendly_name, "XDP Lightweight Filter");
        let unique = "{c0be1ebc-74b8-4ba9-8c1e-ecd227e2be3b}";
        assert_eq!(filter.unique_name.to_ascii_lowercase(), unique);
        assert_eq!(filter.service_name, "xdp");
        assert_eq!(filter.ndis_version, version, "build {build}");
        assert_eq!(filter.flags, SUPPORTS_L2_MTU_SIZE_CHANGE);
        assert!(driver.unload().unwrap().is_clean());
        assert!(lab.filter_drivers().is_empty());
    }
}

#[test]
fn s06_1_1_adapters_of_other_media_work_without_xdp() {
    scene(|s| {
        for medium in [NDIS_MEDIUM_802_5, NDIS_MEDIUM_WIRELESS_WAN] {
            let name = format!("medium{medium}");
            let other = s.lab.nic(&name).medium(medium).create().unwrap();
            s.lab.settle().unwrap();
            assert!(other.filters().is_empty());
            let attaches = s.lab.filter_attaches();
            let refused = attaches.iter().find(|attach| attach.nic == name).unwrap();
            assert_ne!(refused.status, 0);
            let created = s.app.program(&other).create().err();
            assert_eq!(created, Some(NOT_FOUND), "there is no such interface");
            other.wire().send(frames::numbered(1, 60)).unwrap();
            assert!(other.stack().try_receive().unwrap().is_some());
            other.unplug().unwrap();
        }
        let ethernet = s.lab.nic("eth1").medium(NDIS_MEDIUM_802_3);
        let ethernet = ethernet.create().unwrap();
        s.lab.settle().unwrap();
        assert_eq!(ethernet.filters().len(), 1);
        ethernet.unplug().unwrap();
    });
}

#[test]
fn s06_1_4_all_four_hooks_are_there() {
    scene(|s| {
        for inspect in [HookId::RX_INSPECT, HookId::TX_INSPECT] {
            s.app.program(s.nic).hook(inspect).create().unwrap().close();
            let receiver = s.app.socket(s.nic, Setup::rx().rx_hook(inspect));
            receiver.unwrap().xsk.close();
        }
        for inject in [HookId::TX_INJECT, HookId::RX_INJECT] {
            let sender = s.app.socket(s.nic, Setup::tx().tx_hook(inject));
            sender.unwrap().xsk.close();
        }
    });
}

#[test]
fn s06_9_2_the_filter_asks_how_the_adapter_scales_and_what_it_offloads() {
    Stage::new().queues(2).without_rss().play(|s| {
        s.nic.take_oids();
        s.nic.reset().unwrap();
        s.lab.settle().unwrap();
        let queries: Vec<u32> = s
            .nic
            .take_oids()
            .into_iter()
            .filter(|seen| !seen.set)
            .map(|seen| seen.oid)
            .collect();
        for oid in [
            OID_GEN_RECEIVE_SCALE_CAPABILITIES,
            OID_GEN_RECEIVE_SCALE_PARAMETERS,
            OID_TCP_OFFLOAD_CURRENT_CONFIG,
        ] {
            assert!(queries.contains(&oid), "{oid:#x} in {queries:x?}");
        }
    });
}

#[test]
fn s06_9_3_a_query_of_xdp_capabilities_from_above_passes() {
    scene(|s| {
        let unanswered = s.nic.stack().query(OID_XDP_QUERY_CAPABILITIES).unwrap();
        assert!(unanswered.is_err(), "the filter does not answer it");
        s.nic.take_oids();
        s.nic
            .answer_oid(OID_XDP_QUERY_CAPABILITIES, |_| Ok(vec![1, 2, 3]));
        let answer = s.nic.stack().query(OID_XDP_QUERY_CAPABILITIES).unwrap();
        assert_eq!(answer, Ok(vec![1, 2, 3]));
        let seen = s.nic.take_oids();
        assert_eq!(seen.len(), 1);
        assert_eq!(seen[0].oid, OID_XDP_QUERY_CAPABILITIES);
    });
}

#[test]
fn s06_9_r5_requests_of_the_filter_are_not_seen_above() {
    Stage::new().queues(2).play(|s| {
        let interface = s.app.interface(s.nic.if_index()).unwrap();
        s.nic.take_oids();
        let before = s.nic.stack().query(OID_GEN_RECEIVE_SCALE_PARAMETERS);
        let rss = Rss {
            flags: RssFlags::SET_INDIRECTION_TABLE,
            table: vec![1, 0],
            ..Rss::default()
        };
        for later in [false, true] {
            // Completed at once and from another thread: what comes back to nobody stops the lab.
            s.nic.answer_oids_later(later);
            interface.set_rss(&rss).unwrap();
            let mut seen = s.nic.take_oids();
            seen.retain(|seen| seen.oid == OID_GEN_RECEIVE_SCALE_PARAMETERS);
            assert!(seen.len() == 1 && seen[0].set, "{seen:?}");
        }
        s.nic.answer_oids_later(false);
        let after = s.nic.stack().query(OID_GEN_RECEIVE_SCALE_PARAMETERS);
        assert_eq!(after.unwrap(), before.unwrap(), "the stack's own settings");
    });
}

#[test]
fn s06_9_r6_announcements_of_offloads_pass_up_unchanged() {
    const NDIS_STATUS_TASK_OFFLOAD_CURRENT_CONFIG: i32 = 0x4002_0006;
    scene(|s| {
        let setup = Setup::rx().extension(Sockopt::RX_OFFLOAD_CHECKSUM);
        let _socket = s.app.socket(s.nic, setup).unwrap();
        s.nic.stack().take_statuses();
        for size in [0, 4, 0x9c, 0x200] {
            let code = NDIS_STATUS_TASK_OFFLOAD_CURRENT_CONFIG;
            s.nic.indicate_status(code, &vec![1; size]).unwrap();
        }
        s.lab.settle().unwrap();
        let seen = s.nic.stack().take_statuses();
        assert_eq!(seen, [NDIS_STATUS_TASK_OFFLOAD_CURRENT_CONFIG; 4]);
    });
}

#[test]
fn s08_4_r12_a_table_is_no_longer_than_the_network_cards() {
    Stage::new().queues(2).play(|s| {
        // NDIS_RECEIVE_SCALE_CAPABILITIES, revision 2, with a table of 4 entries.
        let mut capabilities = vec![0x88, 2, 0x14, 0];
        capabilities.extend(0x0000_0700_u32.to_le_bytes());
        capabilities.extend(1_u32.to_le_bytes());
        capabilities.extend(2_u32.to_le_bytes());
        capabilities.extend(4_u16.to_le_bytes());
        capabilities.extend([0; 2]);
        s.nic
            .answer_oid(OID_GEN_RECEIVE_SCALE_CAPABILITIES, move |_| {
                Ok(capabilities.clone())
            });
        s.nic.reset().unwrap();
        s.lab.settle().unwrap();
        let interface = s.app.interface(s.nic.if_index()).unwrap();
        let told = interface.rss_capabilities().unwrap();
        assert_eq!(told.number_of_indirection_table_entries, 4);
        let table = |len: usize| Rss {
            flags: RssFlags::SET_INDIRECTION_TABLE,
            table: (0..len as u8).map(|entry| entry % 2).collect(),
            ..Rss::default()
        };
        assert_eq!(interface.set_rss(&table(8)).err(), Some(NOT_SUPPORTED));
        assert_eq!(interface.set_rss(&table(128)).err(), Some(NOT_SUPPORTED));
        interface.set_rss(&table(4)).unwrap();
    });
}

#[test]
fn s08_9_offloads_go_with_the_last_user_of_their_queue() {
    scene(|s| {
        let setup = || Setup::rx().extension(Sockopt::RX_OFFLOAD_CHECKSUM);
        let first = s.app.socket(s.nic, setup()).unwrap();
        let program = || s.app.program(s.nic).create().unwrap();
        let on_it = program();
        let second = s.app.socket(s.nic, setup());
        assert!(second.is_ok(), "the queue has it already");
        drop(second);
        first.xsk.close();
        on_it.close();
        // Nobody is on the queue any more, and the next program finds it without.
        let on_it = program();
        let late = s.app.socket(s.nic, setup()).err();
        assert_eq!(late, Some(INVALID_DEVICE_STATE));
        on_it.close();
        assert!(s.app.socket(s.nic, setup()).is_ok());
    });
}

#[test]
fn s10_5_r1_programs_of_several_processes_share_a_queue_and_the_first_match_wins() {
    scene(|s| {
        let other = s.client("other");
        let first = s.app.program(s.nic).rule(matching::udp_dst(1).drop());
        let first = first.create().unwrap();
        let second = other
            .program(s.nic)
            .rule(matching::udp_dst(1).pass())
            .rule(matching::udp_dst(2).drop());
        let second = second.create().unwrap();
        s.arrive(frames::udp4(1, b""));
        assert!(s.passed().is_empty(), "the older program decides");
        s.arrive(frames::udp4(2, b""));
        assert!(s.passed().is_empty(), "the other's further rules hold");
        first.close();
        s.arrive(frames::udp4(1, b""));
        assert_eq!(s.passed().len(), 1);
        second.close();
        other.terminate();
    });
}

#[test]
fn s10_5_r6_what_is_sent_is_seen_as_it_goes_out() {
    scene(|s| {
        let setup = Setup::rx().rx_hook(HookId::TX_INSPECT);
        let socket = s.receiver(setup);
        let _program = s
            .app
            .program(s.nic)
            .hook(HookId::TX_INSPECT)
            .rule(matching::all().redirect(&socket.xsk))
            .create()
            .unwrap();
        let frame = frames::udp4(1, b"plain text");
        s.nic.stack().send(&frame).unwrap();
        assert_eq!(socket.received_bytes(), [frame]);
    });
}

#[test]
fn s01_1_3_names_of_devices_are_found_in_any_case() {
    scene(|s| {
        let client = Client::new(s.lab, "shouting");
        for name in [r"\DEVICE\XDP", r"\device\xdpapi\xsk", r"\Device\XdpApi\Xsk"] {
            let opened = client.open(name).open();
            assert!(opened.is_ok(), "{name}: {:?}", opened.err());
        }
        client.terminate();
    });
}

#[test]
fn s06_9_4_requests_that_were_passed_on_can_be_cancelled() {
    const NDIS_STATUS_REQUEST_ABORTED: i32 = 0xC001_000C_u32 as i32;
    const OID: u32 = 0xFF12_3456;
    scene(|s| {
        s.nic.answer_oid(OID, |_| Ok(vec![1]));
        s.nic.hold_oid(OID);
        for direct in [false, true] {
            let statuses = std::sync::Mutex::new(Vec::new());
            let ask = |id: usize| {
                let status = s.nic.stack().query_as(OID, direct, id).unwrap();
                statuses.lock().unwrap().push((id, status));
            };
            s.nic.take_oids();
            s.side_by_side(&[&|| ask(7), &|| {
                let reached = || s.nic.take_oids().iter().any(|seen| seen.oid == OID);
                assert!(eventually(reached));
                let stack = s.nic.stack();
                stack.cancel_requests(direct, 6).unwrap();
                assert!(statuses.lock().unwrap().is_empty(), "another's identifier");
                stack.cancel_requests(direct, 7).unwrap();
            }]);
            let statuses = statuses.into_inner().unwrap();
            assert_eq!(statuses, [(7, NDIS_STATUS_REQUEST_ABORTED)], "{direct}");
        }
    });
}

#[test]
fn s06_9_4_sends_that_were_passed_on_can_be_cancelled() {
    scene(|s| {
        let _program = s
            .app
            .program(s.nic)
            .hook(HookId::TX_INSPECT)
            .rule(matching::udp_dst(1).drop())
            .create()
            .unwrap();
        let stack = s.nic.stack();
        s.nic.wire().hold();
        for id in [7, 8, 7] {
            stack.send_as(frames::udp4(2, b""), id).unwrap();
        }
        s.lab.settle().unwrap();
        assert_eq!(stack.pending_sends(), 3);
        stack.cancel_sends(6).unwrap();
        assert_eq!(stack.pending_sends(), 3);
        stack.cancel_sends(7).unwrap();
        assert_eq!((stack.pending_sends(), stack.failed_sends()), (1, 2));
        s.nic.wire().release().unwrap();
        assert_eq!((stack.pending_sends(), stack.failed_sends()), (0, 2));
    });
}

#[test]
fn s01_1_5_s01_10_2_drivers_that_wait_for_the_start_hear_of_it_once() {
    const SECURITY: &str = r"\Registry\Machine\System\CurrentControlSet\Control\Class\{28f93d3f-4c0a-4a7c-8ff1-96b24e19b856}\Properties";
    let lab = scenarios::lab().boot().unwrap();
    // Registered before the driver is there; names are found in any case.
    let early = lab.watch_callback(r"\Callback\XdpDriverStart").unwrap();
    lab.set_registry_value(SECURITY, "Security", 3, &[1, 2, 3])
        .unwrap();
    assert!(load(&lab).is_err());
    assert!(early.notifications().is_empty(), "it has not started");
    lab.delete_registry_value(SECURITY, "Security").unwrap();
    for starts in 1..3 {
        let driver = load(&lab).unwrap();
        assert_eq!(early.notifications(), vec![(0, 0); starts]);
        let late = lab.watch_callback(r"\callback\XDPDRIVERSTART").unwrap();
        let client = Client::in_kernel(&lab);
        assert!(client.xsk().is_ok(), "who hears of the start may open");
        assert!(late.notifications().is_empty());
        assert!(driver.unload().unwrap().is_clean());
    }
}
