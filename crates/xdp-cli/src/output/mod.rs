//! Colours and formats of the output.

mod records;
mod table;

pub use records::{Record, Writer};
pub use table::Table;

use anstyle::{AnsiColor, Style};
use clap::ValueEnum;

use crate::error::Failure;

/// Something that has to be put right.
pub const ERROR: Style = AnsiColor::Red.on_default().bold();
/// Something that is probably not meant.
pub const WARNING: Style = AnsiColor::Yellow.on_default().bold();
/// Advice.
pub const HINT: Style = AnsiColor::Cyan.on_default().bold();
/// Something that is in order.
pub const GOOD: Style = AnsiColor::Green.on_default().bold();
/// What can be overlooked.
pub const FAINT: Style = Style::new().dimmed();

/// When to use colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Color {
    /// When the output is a terminal and NO_COLOR is not set.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

impl Color {
    /// Makes it so.
    pub fn apply(self) {
        match self {
            Self::Auto => anstream::ColorChoice::Auto,
            Self::Always => anstream::ColorChoice::Always,
            Self::Never => anstream::ColorChoice::Never,
        }
        .write_global();
    }
}

/// Format of the data.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    #[default]
    Text,
    /// One JSON document.
    Json,
    /// One JSON document a line.
    Ndjson,
    /// Comma-separated values: a line of names, then a line a record; an empty line between two kinds of records.
    Csv,
    /// What Prometheus reads: put it into the folder of a textfile collector.
    Prometheus,
}

impl Format {
    /// The format, for a command that has no others than these.
    pub fn among(self, possible: &[Self]) -> Result<Self, Failure> {
        if possible.contains(&self) {
            return Ok(self);
        }
        let name = |format: &Self| {
            let value = format.to_possible_value();
            value.map_or_else(String::new, |value| value.get_name().to_owned())
        };
        let names: Vec<_> = possible.iter().map(name).collect();
        Err(
            Failure::usage(format!("this command has no output as {}", name(&self)))
                .hint(format!("it has {}", names.join(", "))),
        )
    }
}

/// How the data is to be written.
#[derive(Clone, Copy, Debug, clap::Args)]
pub struct OutputArgs {
    /// Format of the output
    #[arg(short, long, value_enum, default_value_t = Format::Text, value_name = "FORMAT")]
    output: Format,
    /// Same as --output json
    #[arg(long, conflicts_with = "output")]
    json: bool,
}

impl OutputArgs {
    /// The format.
    pub const fn format(self) -> Format {
        if self.json { Format::Json } else { self.output }
    }
}

/// Returns a number of things with the right ending: `1 rule`, `2 rules`.
pub fn count(number: usize, thing: &str) -> String {
    let ending = if number == 1 { "" } else { "s" };
    format!("{number} {thing}{ending}")
}

/// Returns the style of an action by its name.
pub fn action_style(action: &str) -> Style {
    let color = match action {
        "drop" => AnsiColor::Red,
        "pass" => AnsiColor::Green,
        "l2fwd" => AnsiColor::Magenta,
        _ => AnsiColor::Cyan,
    };
    color.on_default()
}
