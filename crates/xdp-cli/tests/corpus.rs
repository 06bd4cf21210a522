//! Replays the corpus of the fuzz target `capture`, and the inputs that once broke it.

#[path = "../../../fuzz/checks/capture.rs"]
mod capture;

#[test]
fn the_fuzz_corpus_still_passes() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fuzz/corpus/capture");
    let mut count = 0;
    for entry in std::fs::read_dir(folder).expect(folder) {
        let path = entry.unwrap().path();
        println!("{}", path.display());
        capture::check(&std::fs::read(path).unwrap());
        count += 1;
    }
    assert!(count >= 5, "the corpus is gone");
}
