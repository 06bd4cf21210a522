//! Colours and formats of the output.

use anstyle::{AnsiColor, Style};
use clap::ValueEnum;

/// Something that has to be put right.
pub(crate) const ERROR: Style = AnsiColor::Red.on_default().bold();
/// Something that is probably not meant.
pub(crate) const WARNING: Style = AnsiColor::Yellow.on_default().bold();
/// Advice.
pub(crate) const HINT: Style = AnsiColor::Cyan.on_default().bold();
/// Something that is in order.
pub(crate) const GOOD: Style = AnsiColor::Green.on_default().bold();
/// What can be overlooked.
pub(crate) const FAINT: Style = Style::new().dimmed();

/// When to use colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Color {
    /// When the output is a terminal and NO_COLOR is not set.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

impl Color {
    pub(crate) fn apply(self) {
        match self {
            Self::Auto => anstream::ColorChoice::Auto,
            Self::Always => anstream::ColorChoice::Always,
            Self::Never => anstream::ColorChoice::Never,
        }
        .write_global();
    }
}

/// Format of the data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people.
    Text,
    /// One JSON document.
    Json,
    /// One JSON document a line.
    Ndjson,
}

/// Returns a number of things with the right ending: `1 rule`, `2 rules`.
pub(crate) fn count(number: usize, thing: &str) -> String {
    let ending = if number == 1 { "" } else { "s" };
    format!("{number} {thing}{ending}")
}

/// Returns the style of an action by its name.
pub(crate) fn action_style(action: &str) -> Style {
    let color = match action {
        "drop" => AnsiColor::Red,
        "pass" => AnsiColor::Green,
        "l2fwd" => AnsiColor::Magenta,
        _ => AnsiColor::Cyan,
    };
    color.on_default()
}
