//! What is generated from the definition of the command line: completions, man pages, the reference chapter of the book.

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use clap::Command;
use clap_complete::Shell;

use crate::error::{Exit, Failure};

/// Arguments of `xdp completions`.
#[derive(clap::Args)]
#[command(after_long_help = "\
Examples:
  xdp completions bash > xdp.bash
  xdp completions powershell > xdp.ps1")]
pub(crate) struct CompletionsArgs {
    /// Shell
    #[arg(value_enum)]
    shell: Shell,
}

/// Prints completions.
pub(crate) fn completions(
    args: &CompletionsArgs,
    mut definition: Command,
) -> Result<Exit, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut definition, "xdp", &mut script);
    io::stdout().lock().write_all(&script)?;
    Ok(Exit::Done)
}

/// Arguments of `xdp man`.
#[derive(clap::Args)]
#[command(after_long_help = "\
Examples:
  xdp man > xdp.1
  xdp man filter check > xdp-filter-check.1
  xdp man --write .
  xdp man --markdown > commands.md")]
pub(crate) struct ManArgs {
    /// Subcommand, none for `xdp` itself
    #[arg(value_name = "COMMAND", conflicts_with_all = ["write", "markdown"])]
    command: Vec<String>,
    /// Write the pages of all commands into this folder
    #[arg(short, long, value_name = "FOLDER")]
    write: Option<PathBuf>,
    /// Print all commands as one page of Markdown
    #[arg(long, conflicts_with = "write")]
    markdown: bool,
}

/// Prints or writes man pages.
pub(crate) fn man(args: &ManArgs, definition: Command) -> Result<Exit, Failure> {
    if args.markdown {
        io::stdout()
            .lock()
            .write_all(markdown(definition).as_bytes())?;
        return Ok(Exit::Done);
    }
    if let Some(folder) = &args.write {
        for (name, page) in pages(definition)? {
            let file = folder.join(name);
            std::fs::write(&file, page).map_err(|error| writing(&file, &error))?;
        }
        return Ok(Exit::Done);
    }
    let mut command = named(definition);
    for word in &args.command {
        let Some(found) = command.find_subcommand(word) else {
            let known: Vec<_> = shown(&command).map(Command::get_name).collect();
            let name = command.get_bin_name().unwrap_or("xdp").to_owned();
            return Err(Failure::usage(format!("{name} has no subcommand `{word}`"))
                .hint(format!("it has {}", known.join(", "))));
        };
        command = found.clone();
    }
    let page = page(&command)?;
    io::stdout().lock().write_all(&page)?;
    Ok(Exit::Done)
}

fn writing(file: &Path, error: &io::Error) -> Failure {
    Failure::new(format!("cannot write {}", file.display()))
        .because(error)
        .hint("name a folder that exists and that you may write to")
}

/// The definition with the whole name of every command in it.
fn named(mut definition: Command) -> Command {
    definition.build();
    definition
}

/// The subcommands that are no secret.
fn shown(command: &Command) -> impl Iterator<Item = &Command> {
    command
        .get_subcommands()
        .filter(|command| !command.is_hide_set() && command.get_name() != "help")
}

/// Every command, each before its subcommands.
fn all(definition: &Command) -> Vec<&Command> {
    let mut commands = vec![definition];
    for subcommand in shown(definition) {
        commands.extend(all(subcommand));
    }
    commands
}

fn page(command: &Command) -> io::Result<Vec<u8>> {
    let name = command.get_bin_name().unwrap_or("xdp").replace(' ', "-");
    let mut page = Vec::new();
    clap_mangen::Man::new(command.clone())
        .title(name.to_uppercase())
        .manual("XDP for Windows")
        .render(&mut page)?;
    if name == "xdp" {
        page.extend_from_slice(
            b".SH \"EXIT STATUS\"\n.TP\n.B 0\nDone.\n.TP\n.B 1\nFailed.\n.TP\n.B 2\nThe arguments make no sense.\n\
              .TP\n.B 3\nThe driver is not there, or has the wrong version.\n.TP\n.B 4\nNot permitted.\n\
              .TP\n.B 5\nNot supported by this interface.\n.TP\n.B 130\nEnded by Ctrl-C.\n",
        );
    }
    Ok(page)
}

/// The man pages of all commands by the names of their files.
///
/// # Errors
///
/// None that the caller can cause.
pub fn pages(definition: Command) -> io::Result<Vec<(String, Vec<u8>)>> {
    let definition = named(definition);
    let file = |command: &Command| {
        let name = command.get_bin_name().unwrap_or("xdp").replace(' ', "-");
        Ok((format!("{name}.1"), page(command)?))
    };
    all(&definition).into_iter().map(file).collect()
}

/// The reference chapter of the book.
#[must_use]
pub fn markdown(definition: Command) -> String {
    let definition = named(definition);
    let mut text = String::from(
        "# Commands\n\n\
         This page is generated from the definition of the command line (`cargo xtask commands`). `xdp COMMAND --help` prints the\n\
         same, `xdp man` makes man pages of it, `xdp completions` what shells need.\n\n\
         A file of the program that is called `xdp-filter` acts as `xdp filter`, and so with every other subcommand.\n\n\
         | exit code | meaning |\n|---|---|\n\
         | 0 | done |\n| 1 | failed |\n| 2 | the arguments make no sense |\n| 3 | the driver is not there, or has the wrong version |\n\
         | 4 | not permitted |\n| 5 | not supported by this interface |\n| 6 | no such interface |\n\
         | 7 | in use by somebody else |\n| 130 | ended by Ctrl-C |\n\n\
         | environment | meaning |\n|---|---|\n\
         | `XDP_INTERFACE` | interface to use when none is named with `-i` |\n\
         | `XDP_DRIVER` | driver file that labs boot |\n\
         | `XDP_RUNTIME_DIR` | folder of the sockets through which rules of running sessions are changed |\n\
         | `NO_COLOR`, `CLICOLOR_FORCE` | no colours; colours in pipes, too |\n",
    );
    for command in all(&definition) {
        let name = command.get_bin_name().unwrap_or("xdp").to_owned();
        // Writing to a string cannot fail.
        let _ = write!(text, "\n## {name}\n\n```text\n");
        let help = command
            .clone()
            .term_width(110)
            .render_long_help()
            .to_string();
        for line in help.lines() {
            let _ = writeln!(text, "{}", line.trim_end());
        }
        text.push_str("```\n");
    }
    text
}
