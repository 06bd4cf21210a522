//! Matching has no way to panic and none to allocate: what the compiler made of it is searched for calls of anything else.

use panic_paths::Code;

#[test]
fn matching_reaches_no_panic_and_no_allocation() {
    let code = Code::of(
        env!("CARGO_MANIFEST_DIR"),
        env!("CARGO_TARGET_TMPDIR"),
        "oracle",
        &["xdp-rules", "xdp-packet"],
    );
    let mut seen = String::new();
    for root in ["3hot8classify", "3hot13classify_many", "3hot4find"] {
        let reached = code.reach(root);
        assert!(
            reached.harmful().is_empty(),
            "{root} calls {:?}",
            reached.harmful()
        );
        seen.extend(reached.inside);
    }
    // What is searched has to be there: the searches, and parsing split frames.
    for part in [
        "8searches3cid",
        "7find_in",
        "find_further",
        "parse_gathered",
        "5batch",
    ] {
        assert!(seen.contains(part), "{part} was not reached: {seen}");
    }

    // The same search does see calls to the outside where there are some: a test's equivalence run allocates. A panic would be
    // one more name that is not allowed.
    let equivalence = code.reach("Equivalence4step");
    assert!(
        equivalence
            .outside
            .iter()
            .any(|name| name.contains("__rust_alloc")),
        "no allocation among {:?}",
        equivalence.outside
    );
}
