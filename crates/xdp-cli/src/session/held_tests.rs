use super::*;
use crate::error::Exit;

/// An interface that remembers what is on it.
#[derive(Default)]
struct Fake {
    name: String,
    on_it: usize,
    is_broken: bool,
}

impl Interface for Fake {
    fn name(&self) -> &str {
        &self.name
    }

    fn index(&self) -> u32 {
        7
    }

    fn inventory(&self) -> Result<Vec<u8>, Failure> {
        Ok(vec![1, 2])
    }

    fn replace(&mut self, rules: &RuleFile) -> Result<(), Failure> {
        if self.is_broken && rules.entries().len() > 1 {
            return Err(Failure::new("no memory"));
        }
        self.on_it = rules.entries().len();
        Ok(())
    }

    fn hits(&self) -> Result<Option<Vec<u64>>, Failure> {
        Ok(Some((0..self.on_it as u64).collect()))
    }
}

const DNS: &str = "[[rule]]\nname=\"dns\"\nmatch=\"udp-dst\"\nport=53\naction=\"drop\"\n";
const ALL: &str = "[[rule]]\nmatch=\"all\"\naction=\"pass\"\n";

fn held(names: &[&str]) -> Held<Fake> {
    let fakes = names.iter().map(|name| Fake {
        name: (*name).to_owned(),
        ..Fake::default()
    });
    Held::new("test", fakes)
}

fn insert(text: &str, at: Option<usize>) -> Change {
    Change::Insert {
        text: text.into(),
        at,
    }
}

fn remove(rules: &[&str]) -> Change {
    Change::Remove {
        rules: rules.iter().map(|rule| (*rule).to_owned()).collect(),
    }
}

fn conditions(held: &Held<Fake>, interface: &str) -> Vec<String> {
    let listing = held.listing(Some(interface)).unwrap();
    let rules = listing.interfaces[0].rules.iter();
    rules.map(|rule| rule.condition.clone()).collect()
}

#[test]
fn rules_are_replaced_added_and_removed() {
    let mut held = held(&["nic0"]);
    assert!(held.is_empty());
    held.change(None, &Change::Replace { text: ALL.into() })
        .unwrap();
    held.change(None, &insert(DNS, Some(1))).unwrap();
    assert_eq!(conditions(&held, "nic0"), ["udp-dst 53", "all"]);
    held.change(None, &insert(DNS, None)).unwrap();
    assert_eq!(
        conditions(&held, "nic0"),
        ["udp-dst 53", "all", "udp-dst 53"]
    );
    assert_eq!(held.ruled[0].interface.on_it, 3);
    held.change(None, &remove(&["dns"])).unwrap();
    assert_eq!(conditions(&held, "nic0"), ["all"]);
    held.change(None, &remove(&["1", "1"])).unwrap();
    assert!(held.is_empty());
    held.change(None, &insert(DNS, None)).unwrap();
    held.change(None, &Change::Clear).unwrap();
    assert_eq!(held.ruled[0].interface.on_it, 0);
}

#[test]
fn wrong_places_and_numbers_change_nothing() {
    let mut held = held(&["nic0"]);
    held.change(None, &insert(DNS, None)).unwrap();
    for (change, exit) in [
        (insert(ALL, Some(3)), Exit::Usage),
        (insert("nonsense", None), Exit::Failed),
        (remove(&["dns", "2"]), Exit::Failed),
        (remove(&["0"]), Exit::Failed),
        (
            Change::Replace {
                text: "[[rule]]".into(),
            },
            Exit::Failed,
        ),
    ] {
        let failure = held.change(None, &change).unwrap_err();
        assert_eq!(failure.exit(), exit, "{change:?}");
        assert_eq!(conditions(&held, "nic0"), ["udp-dst 53"]);
    }
}

#[test]
fn a_change_of_all_interfaces_is_made_on_all_or_on_none() {
    let mut held = held(&["nic0", "nic1"]);
    held.change(None, &insert(DNS, None)).unwrap();
    held.ruled[1].interface.is_broken = true;
    let failure = held.change(None, &insert(ALL, None)).unwrap_err();
    assert_eq!(failure.parts().0, "no memory");
    for index in [0, 1] {
        assert_eq!(held.ruled[index].interface.on_it, 1);
        assert_eq!(held.ruled[index].rules.entries().len(), 1);
    }
    held.change(Some("nic0"), &insert(ALL, None)).unwrap();
    assert_eq!(conditions(&held, "nic0").len(), 2);
    assert_eq!(conditions(&held, "nic1").len(), 1);
}

#[test]
fn requests_get_the_list_as_it_is_then() {
    let mut held = held(&["nic0"]);
    let request = Request::Change {
        interface: Some("nic0".into()),
        change: insert(&format!("{DNS}{ALL}"), None),
    };
    let listing = held.serve(request).into_result().unwrap();
    let rules = &listing.interfaces[0].rules;
    assert_eq!(
        (rules[0].number, rules[0].name.as_deref()),
        (1, Some("dns"))
    );
    assert_eq!((rules[1].action.as_str(), rules[1].hits), ("pass", Some(1)));
    let watched = held.serve(Request::Watch).into_watched().unwrap();
    assert_eq!(watched.interfaces, [(7, "nic0".to_owned())]);
    assert_eq!(watched.list(), Some(vec![1, 2]));
    assert_eq!(watched.rules.interfaces[0].rules.len(), 2);
    let unknown = Request::List {
        interface: Some("nic7".into()),
    };
    let failure = held.serve(unknown).into_result().unwrap_err();
    assert_eq!(failure.parts().1, Some("it has nic0"));
}
