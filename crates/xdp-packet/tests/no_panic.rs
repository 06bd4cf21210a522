//! What runs for every frame has no way to panic, and calls nothing outside but to copy memory.

use panic_paths::Code;

#[test]
fn hot_functions_cannot_panic() {
    let code = Code::of(
        env!("CARGO_MANIFEST_DIR"),
        env!("CARGO_TARGET_TMPDIR"),
        "hot-paths",
        &["xdp-packet"],
    );

    // A panic is found where there is one.
    let planted = code.reach("planted_panic");
    assert!(
        planted.harmful().iter().any(|name| name.contains("panic")),
        "the planted panic is not found: {:?}",
        planted.outside
    );

    let hot = code.named("9hot_paths");
    let hot: Vec<&str> = hot
        .into_iter()
        .filter(|name| !name.contains("planted_panic"))
        .collect();
    assert!(hot.len() >= 10, "only {hot:?} found");
    for function in hot {
        let reached = code.reach(function);
        assert!(
            reached.harmful().is_empty(),
            "{function} reaches {:?}",
            reached.harmful()
        );
    }
}
