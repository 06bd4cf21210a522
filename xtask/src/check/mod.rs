//! `cargo xtask driver --check FILE`: is this file fit to be loaded by a Windows kernel?
//!
//! Works on any driver, not only on ours. It prints what the file is, then one line per defect.

pub(crate) mod checksum;
mod events;
mod facts;
mod image;
mod panic_sites;
mod rules;
mod symbols;
#[cfg(test)]
mod tests;

use std::fmt::Write as _;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result};

use image::Image;
use panic_sites::PanicSites;

/// How many functions with panic sites are named.
const NAMED_FUNCTIONS: usize = 10;

/// Prints the report; exit code 1 if there is a defect.
pub(crate) fn run(file: &Path) -> Result<ExitCode> {
    let bytes = std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
    let image =
        Image::parse(&bytes).with_context(|| format!("{} is not a driver file", file.display()))?;
    let defects = rules::check(&image);
    print!("{}", describe(file, &image)?);
    for defect in &defects {
        println!("DEFECT {defect}");
    }
    Ok(if defects.is_empty() {
        println!("fit to ship: no defect found");
        ExitCode::SUCCESS
    } else {
        println!("{} defect(s)", defects.len());
        ExitCode::FAILURE
    })
}

fn describe(file: &Path, image: &Image<'_>) -> Result<String> {
    let mut text = String::new();
    writeln!(
        text,
        "{}: {}, {} bytes, {} bytes in memory",
        file.display(),
        image.machine_name(),
        image.bytes.len(),
        image.size_of_image
    )?;
    match image.version {
        Some([a, b, c, d]) => writeln!(text, "version {a}.{b}.{c}.{d}")?,
        None => writeln!(text, "version unknown")?,
    }
    for section in &image.sections {
        writeln!(
            text,
            "section {:8} {:>8} bytes {}",
            section.name,
            section.size,
            section.access()
        )?;
    }
    for (module, names) in &image.imports_by_module() {
        writeln!(
            text,
            "imports {module}: {} ({})",
            names.len(),
            names.join(", ")
        )?;
    }
    let unknown = rules::without_stated_version(image);
    if !unknown.is_empty() {
        writeln!(
            text,
            "no first version is known for: {}",
            unknown.join(", ")
        )?;
    }
    describe_panics(&mut text, file, image)?;
    Ok(text)
}

fn describe_panics(text: &mut String, file: &Path, image: &Image<'_>) -> Result<()> {
    match panic_sites::find(image) {
        PanicSites::NotCounted(why) => writeln!(text, "panic sites: not counted ({why})")?,
        PanicSites::NoHandler => {
            writeln!(text, "panic sites: 0 (no Rust panic handler is linked in)")?
        }
        PanicSites::Found(sites) => {
            let symbols = symbols::read_map(&file.with_extension("map"))?;
            let mut by_function: Vec<(String, usize)> = Vec::new();
            for site in &sites {
                let name = symbols.name_of(site.function);
                match by_function.iter_mut().find(|(known, _)| *known == name) {
                    Some((_, count)) => *count += 1,
                    None => by_function.push((name, 1)),
                }
            }
            by_function.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
            writeln!(
                text,
                "panic sites: {} in {} functions",
                sites.len(),
                by_function.len()
            )?;
            for (name, count) in by_function.iter().take(NAMED_FUNCTIONS) {
                writeln!(text, "  {count:4} in {name}")?;
            }
        }
    }
    Ok(())
}
