//! A rule in the words of a command line: `udp-dst port=53 drop`.

use std::fmt::Write as _;

use xdp::rulefile::RuleFile;

use crate::error::Failure;

/// Socket that conditions of [`redirecting`] lead to.
pub(crate) const SOCKET: &str = "dump";

/// The rule file that holds the rule.
pub(super) fn rule(name: Option<&str>, words: &[String]) -> Result<String, Failure> {
    let [condition @ .., action] = words else {
        return Err(wrong(
            "a rule needs a match type and an action",
            "udp-dst port=53 drop",
        ));
    };
    if condition.is_empty() {
        return Err(wrong(
            "a rule needs a match type and an action",
            "udp-dst port=53 drop",
        ));
    }
    let action = format!("action = {}\n", quoted(action));
    write(name, condition, &action, "udp-dst port=53 drop")
}

/// The rule file with a rule for each of the conditions, between which the word `or` stands: what matches goes to [`SOCKET`].
pub(crate) fn redirecting(words: &[String]) -> Result<RuleFile, Failure> {
    let action = format!("action = \"redirect\"\nredirect-to = {{ socket = \"{SOCKET}\" }}\n");
    let mut text = String::new();
    for condition in words.split(|word| word == "or") {
        if condition.is_empty() {
            return Err(wrong(
                "there is nothing beside an `or`",
                "udp-dst port=53 or tcp-dst port=53",
            ));
        }
        text += &write(None, condition, &action, "udp-dst port=53")?;
    }
    RuleFile::parse(&text).map_err(|errors| {
        let mistakes: Vec<String> = errors.as_slice().iter().map(ToString::to_string).collect();
        Failure::usage("these conditions do not go together").because(mistakes.join("; "))
    })
}

fn wrong(what: impl Into<String>, example: &str) -> Failure {
    let parts = match example.ends_with("drop") {
        true => "match type, fields and action",
        false => "match type and fields",
    };
    Failure::usage(what).hint(format!(
        "write {parts}, as in `{example}`; `xdp filter --help` lists them"
    ))
}

/// The rule file with a rule of this condition.
fn write(
    name: Option<&str>,
    words: &[String],
    action: &str,
    example: &str,
) -> Result<String, Failure> {
    let wrong = |what: String| wrong(what, example);
    let [condition, fields @ ..] = words else {
        return Err(wrong("a rule needs a match type".into()));
    };
    let mut text = String::from("[[rule]]\n");
    // Writing to a string cannot fail.
    if let Some(name) = name {
        let _ = writeln!(text, "name = {}", quoted(name));
    }
    let _ = writeln!(text, "match = {}", quoted(condition));
    for field in fields {
        let Some((name, value)) = field.split_once('=') else {
            return Err(wrong(format!("`{field}` is no field: it has no value")));
        };
        let is_key = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if name.is_empty() || !name.chars().all(is_key) {
            return Err(wrong(format!("`{name}` is no name of a field")));
        }
        let value = match name {
            "ports" => list(value),
            _ => one(value),
        };
        let _ = writeln!(text, "{name} = {value}");
    }
    text += action;
    match RuleFile::parse(&text) {
        Ok(_) => Ok(text),
        Err(errors) => {
            let mistakes = errors.as_slice().iter().map(|error| {
                let headline = error.headline();
                let headline = headline
                    .split_once(": ")
                    .map_or(headline.as_str(), |(_, rest)| rest);
                match &error.expected {
                    Some(expected) => format!("{headline} (expected {expected})"),
                    None => headline.to_owned(),
                }
            });
            Err(wrong(format!(
                "this is no rule: {}",
                mistakes.collect::<Vec<_>>().join("; ")
            )))
        }
    }
}

/// Strings of JSON are strings of TOML.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// A number as it is, everything else as text.
fn one(value: &str) -> String {
    match value.parse::<u64>() {
        Ok(number) => number.to_string(),
        Err(_) => quoted(value),
    }
}

/// Numbers and ranges between commas.
fn list(value: &str) -> String {
    let items = value.split(',').map(|item| one(item.trim()));
    format!("[{}]", items.collect::<Vec<_>>().join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(words: &str, name: Option<&str>) -> Result<String, String> {
        let words: Vec<String> = words.split_whitespace().map(ToOwned::to_owned).collect();
        let text = rule(name, &words).map_err(|failure| failure.parts().0.to_owned())?;
        let file = RuleFile::parse(&text).unwrap();
        let entry = &file.entries()[0];
        assert_eq!(entry.name(), name);
        Ok(format!("{} => {}", entry.condition(), entry.action()))
    }

    #[test]
    fn rules_are_written_as_words() {
        assert_eq!(
            read("udp-dst port=53 drop", None).unwrap(),
            "udp-dst 53 => drop"
        );
        assert_eq!(
            read("udp-port-set ports=53,8000-8100 drop", Some("a \"b\"")).unwrap(),
            "udp-port-set {53, 8000-8100} => drop"
        );
        assert_eq!(read("all pass", None).unwrap(), "all => pass");
        let ip = read("ipv4-dst-mask address=192.0.2.0/24 drop", None).unwrap();
        assert!(ip.contains("192.0.2.0/24"), "{ip}");
    }

    #[test]
    fn what_is_no_rule_is_explained() {
        for (words, part) in [
            ("drop", "needs a match type and an action"),
            ("udp-dst port drop", "`port` is no field"),
            ("udp-dst po\"rt=1 drop", "is no name of a field"),
            ("udp-dst port=70000 drop", "70000 is out of range"),
            ("udp-dts port=53 drop", "did you mean \"udp-dst\""),
            ("udp-dst port=53 dorp", "did you mean \"drop\""),
            (
                "udp-dst port=53 adress=1 drop",
                "there is no field `adress`",
            ),
        ] {
            let message = read(words, None).unwrap_err();
            assert!(message.contains(part), "{words}: {message}");
        }
    }
}
