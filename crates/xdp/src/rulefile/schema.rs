//! The JSON schema of rule files, for editors.

use super::catalog::{ACTIONS, COMMON, Field, MATCHES, PROTOCOLS};
use std::fmt::Write;

/// Returns a JSON schema (draft 2020-12) of rule files; editors use it for TOML as well.
#[must_use]
pub fn schema() -> String {
    let rules: Vec<String> = MATCHES
        .iter()
        .map(|info| {
            let fields = info.shape.fields();
            let properties: String =
                fields.iter().map(|(field, _)| property(*field)).fold(String::new(), |all, one| all + ",\n" + &one);
            let required: String = fields
                .iter()
                .filter(|(_, required)| *required)
                .fold(String::new(), |all, (field, _)| all + ", \"" + field.name() + "\"");
            let common: String = COMMON.iter().filter(|name| **name != "match").fold(String::new(), |mut all, name| {
                // Writing to a string cannot fail.
                let _ = write!(all, ",\n          \"{name}\": {{ \"$ref\": \"#/$defs/{name}\" }}");
                all
            });
            format!(
                "      {{\n        \"type\": \"object\",\n        \"description\": \"{}\",\n        \"properties\": {{\n          \
                 \"match\": {{ \"const\": \"{}\" }}{common}{properties}\n        }},\n        \
                 \"required\": [\"match\", \"action\"{required}],\n        \"additionalProperties\": false\n      }}",
                info.about, info.name
            )
        })
        .collect();
    let list = |names: &mut dyn Iterator<Item = &str>| {
        names
            .map(|name| format!("\"{name}\""))
            .collect::<Vec<_>>()
            .join(", ")
    };
    let actions = list(&mut ACTIONS.into_iter());
    let protocols = list(&mut PROTOCOLS.iter().map(|(name, _)| *name));
    format!(
        r##"{{
  "$schema": "https://json-schema.org/draft/2020-12/schema",
  "title": "XDP rule file",
  "type": "object",
  "properties": {{
    "$schema": {{ "type": "string" }},
    "rule": {{
      "description": "The rules of one program, in the order in which they are tried; the first that matches decides.",
      "type": "array",
      "items": {{ "$ref": "#/$defs/rule" }}
    }}
  }},
  "required": ["rule"],
  "additionalProperties": false,
  "$defs": {{
    "name": {{ "description": "Shown wherever the rule is.", "type": "string" }},
    "comment": {{ "type": "string" }},
    "action": {{ "enum": [{actions}] }},
    "redirect-to": {{
      "description": "Required by the action redirect, refused by the others.",
      "oneOf": [
        {{ "type": "object", "properties": {{ "socket": {{ "type": "string", "minLength": 1 }} }}, "required": ["socket"], "additionalProperties": false }},
        {{ "type": "object", "properties": {{ "map": {{ "type": "string", "minLength": 1 }} }}, "required": ["map"], "additionalProperties": false }}
      ]
    }},
    "port": {{ "type": "integer", "minimum": 0, "maximum": 65535 }},
    "port-or-range": {{
      "oneOf": [
        {{ "$ref": "#/$defs/port" }},
        {{ "type": "string", "pattern": "^[0-9]+( *- *[0-9]+)?$" }}
      ]
    }},
    "protocol": {{
      "oneOf": [
        {{ "type": "integer", "minimum": 0, "maximum": 255 }},
        {{ "enum": [{protocols}] }}
      ]
    }},
    "rule": {{
      "oneOf": [
{}
      ]
    }}
  }}
}}
"##,
        rules.join(",\n")
    )
}

fn property(field: Field) -> String {
    let about = field.expected().replace('"', "\\\"");
    let kind = match field {
        Field::Port => "\"$ref\": \"#/$defs/port\"".into(),
        Field::Protocol => "\"$ref\": \"#/$defs/protocol\"".into(),
        Field::CidOffset => "\"type\": \"integer\", \"minimum\": 0, \"maximum\": 20".into(),
        Field::Cid => {
            "\"type\": \"string\", \"pattern\": \"^(0[xX])?([0-9A-Fa-f]{2}:?)*$\"".into()
        }
        Field::Ports => {
            "\"oneOf\": [{ \"$ref\": \"#/$defs/port-or-range\" }, \
             { \"type\": \"array\", \"minItems\": 1, \"items\": { \"$ref\": \"#/$defs/port-or-range\" } }]"
                .to_owned()
        }
        _ => String::from("\"type\": \"string\""),
    };
    format!(
        "          \"{}\": {{ \"description\": \"{about}\", {kind} }}",
        field.name()
    )
}
