//! What must not compile does not, for the reason that the first line of each file names.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Compiled forms of this crate beside this test, the newest first: builds with other features may lie there, too.
fn libraries(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).expect("the folder of this test");
    let mut found: Vec<_> = entries
        .filter_map(|entry| {
            let path = entry.ok()?.path();
            let name = path.file_name()?.to_str()?;
            let ours = name.starts_with("libxdp-") && name.ends_with(".rlib");
            Some((path.metadata().ok()?.modified().ok()?, path.clone())).filter(|_| ours)
        })
        .collect();
    found.sort_by(|(first, _), (second, _)| second.cmp(first));
    found.into_iter().map(|(_, path)| path).collect()
}

/// What the compiler says about a file, with the first library that it can use.
fn compile(file: &Path) -> (bool, String) {
    let test = std::env::current_exe().expect("this test has a file");
    let folder = test.parent().expect("it is in a folder");
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    for library in libraries(folder) {
        let mut external = std::ffi::OsString::from("xdp=");
        external.push(&library);
        let output = Command::new(&rustc)
            .args([
                "--edition",
                "2024",
                "--crate-type",
                "bin",
                "--emit",
                "metadata",
                "-o",
            ])
            .arg(folder.join("compile_fail.rmeta"))
            .arg("-L")
            .arg(format!("dependency={}", folder.display()))
            .arg("--extern")
            .arg(external)
            .arg(file)
            .output()
            .expect("the compiler starts");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        // Left from an older build, or of another compiler.
        let unusable = ["E0460", "E0463", "E0514", "E0464"];
        if !unusable.iter().any(|code| said.contains(code)) {
            return (output.status.success(), said);
        }
    }
    panic!(
        "no compiled form of this crate lies in {}",
        folder.display()
    );
}

#[test]
fn frames_have_one_owner_and_live_no_longer_than_their_memory() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/compile_fail");
    let mut files = 0;
    for entry in std::fs::read_dir(folder).expect("the files to compile") {
        let file = entry.expect("an entry").path();
        let text = std::fs::read_to_string(&file).expect("a file");
        let code = text
            .strip_prefix("// ")
            .and_then(|rest| rest.split_once(':'))
            .map(|(code, _)| code)
            .expect("the first line names the error");
        let (compiles, said) = compile(&file);
        assert!(!compiles, "{} compiles", file.display());
        let errors = said.matches("error[").count();
        assert_eq!(errors, 1, "{}: {said}", file.display());
        assert!(
            said.contains(&format!("error[{code}]")),
            "{}: {said}",
            file.display()
        );
        files += 1;
    }
    assert!(files >= 7, "{files} files");
}

/// The check above would also hold if nothing compiled at all.
#[test]
fn what_is_right_compiles() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/echo.rs");
    let (compiles, said) = compile(&file);
    assert!(compiles, "{said}");
}
