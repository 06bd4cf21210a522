//! Boots a lab, loads the driver file given on the command line, says what it found, and unloads it.
//!
//! `cargo run -p nt-sim --example boot -- FILE.sys`

use nt_sim::{Lab, LabError};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let file = std::env::args().nth(1).ok_or("usage: boot FILE.sys")?;
    let lab = Lab::boot()?;
    match run(&lab, &file) {
        Err(LabError::BugCheck(report)) => Err(report.to_string().into()),
        other => Ok(other?),
    }
}

fn run(lab: &Lab, file: &str) -> Result<(), LabError> {
    let driver = lab.load(file)?;
    println!(
        "{}: {} bytes, {} imports",
        driver.name(),
        driver.file_size().unwrap_or_default(),
        driver.imports().len()
    );
    for import in driver.unimplemented_imports() {
        println!("not implemented: {}!{}", import.module, import.name);
    }
    println!("{}", driver.unload()?);
    Ok(())
}
