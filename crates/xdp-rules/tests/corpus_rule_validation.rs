//! Replays the corpus of the fuzz target `rule_validation`, and the inputs that once broke it.

#[path = "../../../fuzz/checks/rule_validation.rs"]
mod rule_validation;

#[test]
fn the_fuzz_corpus_still_passes() {
    let folder = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../fuzz/corpus/rule_validation"
    );
    let mut count = 0;
    for entry in std::fs::read_dir(folder).expect("the corpus") {
        let path = entry.expect("an entry").path();
        rule_validation::check(&std::fs::read(&path).expect("a readable input"));
        count += 1;
    }
    assert!(count >= 7, "the corpus is gone");
}
