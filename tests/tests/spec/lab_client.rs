//! The scenes themselves: they leave nothing behind, and notice when something is.

use scenarios::{Stage, frames, scene, status};
use xdp_abi::open::{DEVICE_NAME, ObjectType};

#[test]
fn a_scene_without_a_test_is_clean() {
    scene(|s| {
        s.arrive(frames::numbered(7, 60));
        assert_eq!(s.passed(), [frames::numbered(7, 60)]);
    });
}

#[test]
fn a_scene_on_a_virtual_clock_may_lose_its_nic() {
    Stage::new().virtual_clock().queues(2).play(|s| {
        s.arrive(frames::udp4(53, b"a"));
        s.unplug();
        assert_eq!(s.passed().len(), 1, "what was collected can still be read");
    });
}

#[test]
fn objects_of_an_unknown_type_are_refused_through_the_common_device() {
    scene(|s| {
        let result = s.app.open_object(ObjectType(9), &[]);
        let refused = result.err();
        assert_eq!(refused, Some(status::INVALID_PARAMETER), "{DEVICE_NAME}");
    });
}

#[test]
fn words_of_user_memory_are_loaded_and_stored() {
    scene(|s| {
        let memory = s.app.place(&[1, 0, 0, 0, 2, 0, 0, 0]);
        assert_eq!(memory.load_u32(4), 2);
        memory.store_u32(0, 9);
        assert_eq!(memory.read(0, 4), [9, 0, 0, 0]);
        memory.store_u64(0, 5);
        assert_eq!(memory.load_u64(0), 5);
    });
}

#[test]
fn a_duplicated_handle_outlives_the_process_it_came_from() {
    scene(|s| {
        let other = s.client("other");
        let first = s.client("first");
        let copy = {
            let handle = first.open(DEVICE_NAME).open().unwrap();
            handle.duplicate(&other, 0x4000_0000).unwrap()
        };
        first.terminate();
        let output = copy.control_any(0x128000, &[], 0).unwrap();
        assert_eq!(output.status, status::NOT_SUPPORTED, "an inert handle");
    });
}
