//! Frames on their way to the network card that are sent back to the stack, and that it answers while they come up:
//! specification 06, section 6.

use scenarios::{counters, frames, matching, scene, scene::eventually};
use xdp_abi::HookId;

#[test]
fn s06_6_1_frames_that_the_stack_sends_on_while_they_come_up_are_sent_back_in_turn() {
    const TIMES: u64 = 10_000;
    scene(|s| {
        let program = s.app.program(s.nic).hook(HookId::TX_INSPECT);
        let _program = program.rule(matching::all().l2fwd()).create().unwrap();
        let there = frames::udp4(7, b"round and round");
        let mut back = there.clone();
        let (to, from) = back[..12].split_at_mut(6);
        to.swap_with_slice(from);
        s.nic.stack().route(TIMES);
        s.nic.stack().send(there.clone()).unwrap();
        // Once for the first, and once for each that was sent on: one in the stack of the other, they would not fit.
        let came_up = || s.nic.stack().counters().received == TIMES + 1;
        assert!(eventually(came_up), "{:?}", s.nic.stack().counters());
        let frames = s.passed();
        assert_eq!((&frames[0], &frames[1]), (&back, &there));
        assert_eq!(frames.len() as u64, TIMES + 1);
        assert_eq!(s.sent().len(), 0);
        let queue = counters::instance(s.nic.if_index(), 0, "_tx");
        let counters = counters::GENERIC_RX.read(s.lab, &queue).unwrap();
        assert_eq!(counters.get("Forwarding NBs: Sent"), TIMES + 1);
    });
}

#[test]
fn s06_6_1_an_endless_round_ends_when_the_adapter_pauses_or_goes() {
    for goes in [false, true] {
        scene(|s| {
            let program = s.app.program(s.nic).hook(HookId::TX_INSPECT);
            let _program = program.rule(matching::all().l2fwd()).create().unwrap();
            s.nic.stack().count_only();
            s.nic.stack().route(u64::MAX);
            for _ in 0..10 {
                s.nic.stack().send(frames::udp4(7, b"")).unwrap();
                s.nic.pause().unwrap();
                s.nic.restart().unwrap();
            }
            s.nic.stack().send(frames::udp4(7, b"")).unwrap();
            if goes {
                s.unplug();
            } else {
                s.nic.stack().route(0);
            }
        });
    }
}
