//! Replays the corpora of the fuzz targets `packet_parse`, `packet_rewrite` and `packet_respond`, and the inputs that once broke them.

#[path = "../../../fuzz/checks/packet_parse.rs"]
mod packet_parse;
#[path = "../../../fuzz/checks/packet_respond.rs"]
mod packet_respond;
#[path = "../../../fuzz/checks/packet_rewrite.rs"]
mod packet_rewrite;

fn replay(target: &str, check: fn(&[u8])) {
    let folder = format!("{}/../../fuzz/corpus/{target}", env!("CARGO_MANIFEST_DIR"));
    let mut count = 0;
    for entry in std::fs::read_dir(&folder).expect(&folder) {
        let path = entry.unwrap().path();
        println!("{}", path.display());
        check(&std::fs::read(path).unwrap());
        count += 1;
    }
    assert!(count >= 5, "the corpus of {target} is gone");
}

#[test]
fn the_fuzz_corpora_still_pass() {
    replay("packet_parse", packet_parse::check);
    replay("packet_rewrite", packet_rewrite::check);
    replay("packet_respond", packet_respond::check);
}
