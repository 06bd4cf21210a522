//! The configuration file: other defaults for the flags of subcommands.
//!
//! A value comes from the first of these that has one: the flag, its variable, the file, the default. So the file is read before the
//! command line is, and what it says becomes the default in the definition of the command line.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use clap::Command;
use clap::builder::Resettable;
use toml::{Table, Value};

use crate::error::Failure;

/// Names the file.
const VARIABLE: &str = "XDP_CONFIG";
const FLAG: &str = "--config";
/// Flags that make no sense in a file.
const NOT_HERE: [&str; 3] = ["config", "help", "version"];

/// A definition with the defaults of a file in it.
pub(crate) struct Configured {
    pub(crate) definition: Command,
    /// The file, if there is one.
    pub(crate) file: Option<PathBuf>,
}

/// Puts what the file says into the definition.
pub(crate) fn apply(definition: Command, arguments: &[OsString]) -> Result<Configured, Failure> {
    let definition = without_empty_variables(definition);
    let Some((file, text)) = read(arguments)? else {
        return Ok(Configured {
            definition,
            file: None,
        });
    };
    let wrong = |why: String| {
        Failure::usage(format!("{} is no configuration", file.display())).because(why)
    };
    let table: Table = text.parse().map_err(|error: toml::de::Error| {
        let line = error.span().map_or(1, |span| {
            1 + text
                .get(..span.start)
                .unwrap_or_default()
                .matches('\n')
                .count()
        });
        wrong(format!("line {line}: {}", error.message()))
    })?;
    let definition = with_defaults(definition, &Defaults::default(), &table).map_err(|why| {
        wrong(why).hint("keys are the long names of flags without dashes, tables the names of subcommands, as in [bench.rx]")
    })?;
    Ok(Configured {
        definition,
        file: Some(file),
    })
}

/// The definition without variables that are set to nothing: they say nothing.
fn without_empty_variables(command: Command) -> Command {
    let is_empty = |arg: &clap::Arg| {
        let value = arg.get_env().and_then(std::env::var_os);
        value.is_some_and(|value| value.is_empty())
    };
    let command = command.mut_args(|arg| match is_empty(&arg) {
        true => arg.env(Resettable::Reset),
        false => arg,
    });
    command.mut_subcommands(without_empty_variables)
}

/// The file and its text: the one that is named must be there.
fn read(arguments: &[OsString]) -> Result<Option<(PathBuf, String)>, Failure> {
    let variable = || std::env::var_os(VARIABLE).filter(|value| !value.is_empty());
    if let Some(named) = flag(arguments).or_else(variable) {
        let file = PathBuf::from(named);
        let text =
            std::fs::read_to_string(&file).map_err(|error| Failure::reading(&file, &error))?;
        return Ok(Some((file, text)));
    }
    for file in usual_places() {
        match std::fs::read_to_string(&file) {
            Ok(text) => return Ok(Some((file, text))),
            // Not there; or in a home folder that this user may not enter, as under sudo or in a service: not theirs.
            Err(_) if file.symlink_metadata().is_err() => {}
            Err(error) => return Err(Failure::reading(&file, &error)),
        }
    }
    Ok(None)
}

/// What `--config` names; the last one counts.
fn flag(arguments: &[OsString]) -> Option<OsString> {
    let mut named = None;
    let mut words = arguments.iter().take_while(|word| *word != "--");
    while let Some(word) = words.next() {
        if word == FLAG {
            named = words.next().cloned();
        } else if let Some(value) = word
            .to_str()
            .and_then(|word| word.strip_prefix("--config="))
        {
            named = Some(value.into());
        }
    }
    named
}

/// Where the file is looked for, the first that is there counts.
fn usual_places() -> Vec<PathBuf> {
    let folder = |variable: &str| {
        std::env::var_os(variable)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    if cfg!(windows) {
        let folders = [folder("APPDATA"), folder("ProgramData")];
        return folders
            .into_iter()
            .flatten()
            .map(|it| it.join(r"xdp\config.toml"))
            .collect();
    }
    let own = folder("XDG_CONFIG_HOME").or_else(|| folder("HOME").map(|home| home.join(".config")));
    let own = own.map(|folder| folder.join("xdp/config.toml"));
    own.into_iter()
        .chain([Path::new("/etc/xdp/config.toml").to_owned()])
        .collect()
}

/// Defaults of a subcommand and of those in it.
#[derive(Clone, Default)]
struct Defaults(Vec<(String, Vec<String>)>);

/// The texts that a value would have been on the command line.
fn texts(value: &Value) -> Option<Vec<String>> {
    Some(match value {
        Value::String(text) => vec![text.clone()],
        Value::Integer(number) => vec![number.to_string()],
        Value::Float(number) => vec![number.to_string()],
        Value::Boolean(yes) => vec![yes.to_string()],
        Value::Array(items) => {
            let items: Option<Vec<_>> = items.iter().map(texts).collect();
            items?.concat()
        }
        Value::Datetime(_) | Value::Table(_) => return None,
    })
}

/// The definition with defaults: those that it inherits, and those of its own table.
fn with_defaults(
    mut command: Command,
    inherited: &Defaults,
    table: &Table,
) -> Result<Command, String> {
    let mut defaults = inherited.clone();
    for (key, value) in table {
        let is_subcommand = command.find_subcommand(key).is_some();
        match value {
            Value::Table(_) if is_subcommand => {}
            Value::Table(_) => {
                return Err(unknown("subcommand", key, names_of_subcommands(&command)));
            }
            _ => {
                let flags = flags(&command);
                if !flags.contains(key.as_str()) {
                    return Err(unknown("flag", key, flags.into_iter().collect()));
                }
                let texts = texts(value)
                    .ok_or_else(|| format!("`{key}` has no value that a flag could have"))?;
                defaults.0.push((key.clone(), texts));
            }
        }
    }
    for (key, values) in &defaults.0 {
        let id = command
            .get_arguments()
            .find(|arg| arg.get_long() == Some(key))
            .map(|arg| arg.get_id().clone());
        if let Some(id) = id {
            // The definition lives as long as the process, and so does what is in it.
            let values: Vec<&'static OsStr> = values
                .iter()
                .map(|value| OsStr::new(&*Box::leak(value.clone().into_boxed_str())))
                .collect();
            command = command.mut_arg(id, |arg| arg.default_values(values));
        }
    }
    let names: Vec<String> = command
        .get_subcommands()
        .map(|inner| inner.get_name().to_owned())
        .collect();
    for name in names {
        let empty = Table::new();
        let own = table.get(&name).and_then(Value::as_table).unwrap_or(&empty);
        let inner = command.find_subcommand(&name).cloned().unwrap_or_default();
        let inner = with_defaults(inner, &defaults, own).map_err(|why| match own.is_empty() {
            true => why,
            false => format!("[{name}] {why}"),
        })?;
        command = command.mut_subcommand(name, |_| inner);
    }
    Ok(command)
}

fn unknown(what: &str, key: &str, known: Vec<&str>) -> String {
    let near = known.iter().find(|name| is_near(name, key));
    match near {
        Some(name) => format!("there is no {what} `{key}`; did you mean `{name}`?"),
        None => format!("there is no {what} `{key}`; there are {}", known.join(", ")),
    }
}

/// Whether two words differ in one place, or in two letters that changed places.
fn is_near(one: &str, other: &str) -> bool {
    let (short, long) = if one.len() <= other.len() {
        (one, other)
    } else {
        (other, one)
    };
    let (short, long) = (short.as_bytes(), long.as_bytes());
    let front = short.iter().zip(long).take_while(|(a, b)| a == b).count();
    let back = |skip: usize| {
        short[front..]
            .iter()
            .rev()
            .zip(long[front..].iter().rev())
            .take_while(|(a, b)| a == b)
            .count()
            + skip
    };
    match long.len() - short.len() {
        0 => {
            let rest = short.len() - front;
            rest <= 1 + back(0)
                || (rest >= 2
                    && short[front] == long[front + 1]
                    && short[front + 1] == long[front]
                    && short[front + 2..] == long[front + 2..])
        }
        1 => back(0) >= short.len() - front,
        _ => false,
    }
}

/// The long flags of a command and of all in it.
fn flags(command: &Command) -> BTreeSet<&str> {
    let own = command
        .get_arguments()
        .filter_map(clap::Arg::get_long)
        .filter(|name| !NOT_HERE.contains(name));
    own.chain(command.get_subcommands().flat_map(flags))
        .collect()
}

fn names_of_subcommands(command: &Command) -> Vec<&str> {
    command
        .get_subcommands()
        .map(Command::get_name)
        .filter(|name| *name != "help")
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::{Arg, ArgAction};

    fn definition() -> Command {
        let interface = || {
            Arg::new("interface")
                .long("interface")
                .env("XDP_TEST_NO_SUCH_VARIABLE")
        };
        let size = || Arg::new("size").long("size").default_value("64");
        Command::new("xdp")
            .arg(
                Arg::new("color")
                    .long("color")
                    .global(true)
                    .default_value("auto"),
            )
            .arg(
                Arg::new("quiet")
                    .long("quiet")
                    .global(true)
                    .action(ArgAction::SetTrue),
            )
            .subcommand(Command::new("status").arg(interface()))
            .subcommand(
                Command::new("bench")
                    .subcommand(Command::new("rx").arg(interface()).arg(size()))
                    .subcommand(Command::new("tx").arg(interface()).arg(size())),
            )
    }

    fn parsed(text: &str, words: &[&str]) -> Result<clap::ArgMatches, String> {
        let table: Table = text.parse().expect("TOML");
        let command = with_defaults(definition(), &Defaults::default(), &table)?;
        command
            .try_get_matches_from(words)
            .map_err(|error| error.to_string())
    }

    fn value(matches: &clap::ArgMatches, path: &[&str], name: &str) -> Option<String> {
        let inner = path
            .iter()
            .try_fold(matches, |inner, name| inner.subcommand_matches(name))?;
        inner.get_one::<String>(name).cloned()
    }

    #[test]
    fn a_file_gives_defaults_and_flags_win() {
        let text = "interface = \"nic7\"\ncolor = \"never\"\nquiet = true\n[bench]\nsize = 128\n[bench.rx]\nsize = 256\n";
        let rx = parsed(text, &["xdp", "bench", "rx"]).expect("it is parsed");
        assert_eq!(value(&rx, &["bench", "rx"], "size").as_deref(), Some("256"));
        assert_eq!(
            value(&rx, &["bench", "rx"], "interface").as_deref(),
            Some("nic7")
        );
        assert_eq!(
            rx.get_one::<String>("color").map(String::as_str),
            Some("never")
        );
        assert!(rx.get_flag("quiet"));
        let tx =
            parsed(text, &["xdp", "bench", "tx", "--interface", "other"]).expect("it is parsed");
        assert_eq!(value(&tx, &["bench", "tx"], "size").as_deref(), Some("128"));
        assert_eq!(
            value(&tx, &["bench", "tx"], "interface").as_deref(),
            Some("other")
        );
    }

    #[test]
    fn what_nobody_knows_is_an_error() {
        for (text, why) in [
            (
                "interfcae = \"x\"",
                "there is no flag `interfcae`; did you mean `interface`?",
            ),
            (
                "[bench]\nsiz = 1",
                "[bench] there is no flag `siz`; did you mean `size`?",
            ),
            (
                "[status]\nsize = 1",
                "[status] there is no flag `size`; there are interface",
            ),
            (
                "[bnech]\nsize = 1",
                "there is no subcommand `bnech`; did you mean `bench`?",
            ),
            (
                "config = \"x\"",
                "there is no flag `config`; there are color, interface, quiet, size",
            ),
            (
                "size = 2026-11-23",
                "`size` has no value that a flag could have",
            ),
        ] {
            assert_eq!(parsed(text, &["xdp"]).expect_err(text), why);
        }
    }

    #[test]
    fn the_last_flag_names_the_file() {
        let words = |text: &str| text.split(' ').map(OsString::from).collect::<Vec<_>>();
        assert_eq!(
            flag(&words("xdp --config a status --config=b")),
            Some("b".into())
        );
        assert_eq!(flag(&words("xdp status -- --config a")), None);
    }

    #[test]
    fn near_words_are_near() {
        for (one, other) in [
            ("size", "siz"),
            ("size", "sizes"),
            ("size", "sixe"),
            ("size", "szie"),
            ("size", "isze"),
        ] {
            assert!(is_near(one, other) && is_near(other, one), "{other}");
        }
        for other in ["", "color", "si", "esiz"] {
            assert!(!is_near("size", other), "{other}");
        }
    }
}
