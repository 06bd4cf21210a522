//! Replays the corpus of the fuzz target `driver_file`.

#[path = "../../../fuzz/checks/driver_file.rs"]
mod driver_file;

use nt_sim::DriverFile;

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fuzz/corpus/driver_file");

fn read(name: &str) -> Vec<u8> {
    std::fs::read(format!("{FOLDER}/{name}")).expect(name)
}

#[test]
fn the_fuzz_corpus_still_passes() {
    let mut count = 0;
    for entry in std::fs::read_dir(FOLDER).expect(FOLDER) {
        let path = entry.unwrap().path();
        println!("{}", path.display());
        driver_file::check(&std::fs::read(path).unwrap());
        count += 1;
    }
    assert!(count >= 10, "the corpus is gone");
}

#[test]
fn damage_is_told() {
    let good = DriverFile::read(&read("driver.sys")).unwrap();
    assert_eq!(good.damaged_functions(), [""; 0]);
    assert!(good.exports().any(|name| name == "Collide"));
    assert_eq!(good.unimplemented_imports().count(), 0);
    for name in ["unwind-version.sys", "unwind-chained.sys"] {
        let file = DriverFile::read(&read(name)).unwrap();
        assert!(file.damaged_functions().len() > 5, "{name}");
    }
    for name in [
        "imports-outside.sys",
        "functions-odd.sys",
        "relocations-in-code.sys",
        "huge-image.sys",
    ] {
        let error = DriverFile::read(&read(name)).unwrap_err().to_string();
        assert!(error.contains("damaged"), "{name}: {error}");
    }
}
