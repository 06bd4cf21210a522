//! The manifests beside the driver, as far as tests read them.

use std::{collections::BTreeMap, path::Path};

/// An element of a manifest, without what is in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Element {
    /// Its name.
    pub name: String,
    attributes: BTreeMap<String, String>,
}

impl Element {
    /// An attribute; empty when it is absent.
    pub fn get(&self, name: &str) -> &str {
        self.attributes.get(name).map_or("", String::as_str)
    }
}

/// The elements of a file of the folder `packaging`, in the order in which they begin.
///
/// # Panics
/// When there is no such file, or an element makes no sense.
pub fn read(file: &str) -> Vec<Element> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../packaging")
        .join(file);
    let text = std::fs::read_to_string(&path).expect("the manifest");
    elements(&text)
}

fn elements(text: &str) -> Vec<Element> {
    let document = roxmltree::Document::parse(text).expect("a manifest is XML");
    let elements = document.descendants().filter(roxmltree::Node::is_element);
    elements
        .map(|element| Element {
            name: element.tag_name().name().to_owned(),
            attributes: element
                .attributes()
                .map(|attribute| (attribute.name().to_owned(), attribute.value().to_owned()))
                .collect(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::elements;

    #[test]
    fn elements_have_their_attributes() {
        let found = elements("<?xml?>\n<!-- a comment -->\n<a x=\"1\" y=\"2 3\">\n<c/>\n</a>");
        let names: Vec<_> = found.iter().map(|e| e.name.as_str()).collect();
        assert_eq!(names, ["a", "c"]);
        assert_eq!((found[0].get("x"), found[0].get("y")), ("1", "2 3"));
        assert_eq!(found[1].get("x"), "");
    }
}
