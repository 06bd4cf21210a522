//! Replays the corpora of the fuzz targets `ring_hostile` and `umem`, and the inputs that once broke them.

#[path = "../../../fuzz/checks/ring_hostile.rs"]
mod ring_hostile;
#[path = "../../../fuzz/checks/umem.rs"]
mod umem;

fn replay(target: &str, check: impl Fn(&[u8])) {
    let folder = format!("{}/../../fuzz/corpus/{target}", env!("CARGO_MANIFEST_DIR"));
    let mut count = 0;
    for entry in std::fs::read_dir(&folder).expect(&folder) {
        let path = entry.expect("readable").path();
        println!("{}", path.display());
        check(&std::fs::read(path).expect("readable"));
        count += 1;
    }
    assert!(count >= 5, "the corpus of {target} is gone");
}

#[test]
fn the_corpus_of_the_hostile_ring_still_passes() {
    replay("ring_hostile", ring_hostile::check);
}

#[test]
fn the_corpus_of_frame_memory_still_passes() {
    replay("umem", umem::check);
}
