//! Replays the corpus of the fuzz target `rule_file`, and the inputs that once broke it.

#[path = "../../../fuzz/checks/rule_file.rs"]
mod rule_file;

#[test]
fn the_fuzz_corpus_still_passes() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fuzz/corpus/rule_file");
    let mut count = 0;
    for entry in std::fs::read_dir(folder).expect(folder) {
        let path = entry.unwrap().path();
        println!("{}", path.display());
        rule_file::check(&std::fs::read(path).unwrap());
        count += 1;
    }
    assert!(count >= 5, "the corpus is gone");
}
