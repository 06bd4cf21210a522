//! Replays the corpus of the fuzz target `classifier`, and the inputs that once broke it.

#[path = "../../../fuzz/checks/classifier.rs"]
mod classifier;

#[test]
fn the_fuzz_corpus_still_passes() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fuzz/corpus/classifier");
    let mut count = 0;
    for entry in std::fs::read_dir(folder).expect("the corpus") {
        let path = entry.expect("an entry").path();
        classifier::check(&std::fs::read(&path).expect("a readable input"));
        count += 1;
    }
    assert!(count >= 7, "the corpus is gone");
}
