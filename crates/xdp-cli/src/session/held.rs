//! The rules that this process holds.

use xdp::rulefile::{Entry, RuleFile};

use super::protocol::{Change, InterfaceRules, Listing, Reply, Request, RuleInfo, Watched, hex};
use crate::error::Failure;
use crate::output::count;

/// Where rules can be put.
pub(crate) trait Interface {
    /// Its name.
    fn name(&self) -> &str;

    /// Its index.
    fn index(&self) -> u32;

    /// What there is in the driver, with the hits of rules if it counts them.
    fn inventory(&self) -> Result<Vec<u8>, Failure>;

    /// Puts these rules in place of those that are there; none are none. On a failure those that were there stay.
    fn replace(&mut self, rules: &RuleFile) -> Result<(), Failure>;

    /// How many frames each rule decided about; none when that is not counted.
    fn hits(&self) -> Result<Option<Vec<u64>>, Failure>;
}

/// An interface and its rules.
struct Ruled<I> {
    interface: I,
    rules: RuleFile,
}

/// Interfaces and the rules that this process holds on them.
pub(crate) struct Held<I> {
    session: String,
    ruled: Vec<Ruled<I>>,
}

impl<I: Interface> Held<I> {
    /// Interfaces without rules.
    pub(crate) fn new(session: &str, interfaces: impl IntoIterator<Item = I>) -> Self {
        let ruled = interfaces.into_iter().map(|interface| Ruled {
            interface,
            rules: RuleFile::empty(),
        });
        Self {
            session: session.to_owned(),
            ruled: ruled.collect(),
        }
    }

    /// Whether no interface has a rule.
    pub(crate) fn is_empty(&self) -> bool {
        self.ruled
            .iter()
            .all(|ruled| ruled.rules.entries().is_empty())
    }

    /// Serves a request.
    pub(crate) fn serve(&mut self, request: Request) -> Reply {
        let served = match request {
            Request::Watch => {
                return self
                    .watched()
                    .map_or_else(|failure| Reply::refused(&failure), Reply::Watched);
            }
            Request::List { interface } => self.listing(interface.as_deref()),
            Request::Change { interface, change } => {
                let interface = interface.as_deref();
                self.change(interface, &change)
                    .and_then(|()| self.listing(interface))
            }
        };
        match served {
            Ok(listing) => Reply::Done(listing),
            Err(failure) => Reply::refused(&failure),
        }
    }

    /// What is known here of what can be watched; all interfaces are of the same driver.
    pub(crate) fn watched(&self) -> Result<Watched, Failure> {
        let list = match self.ruled.first() {
            Some(ruled) => ruled.interface.inventory()?,
            None => Vec::new(),
        };
        let interfaces = self.ruled.iter().map(|ruled| &ruled.interface);
        Ok(Watched {
            interfaces: interfaces
                .map(|it| (it.index(), it.name().to_owned()))
                .collect(),
            list: hex(&list),
            rules: self.listing(None)?,
            ..Watched::default()
        })
    }

    /// The rules of an interface, or of all.
    pub(crate) fn listing(&self, interface: Option<&str>) -> Result<Listing, Failure> {
        let mut listing = Listing {
            session: self.session.clone(),
            process: std::process::id(),
            interfaces: Vec::new(),
        };
        for index in self.chosen(interface)? {
            let Some(ruled) = self.ruled.get(index) else {
                continue;
            };
            let hits = match ruled.rules.entries() {
                [] => None,
                _ => ruled.interface.hits()?,
            };
            let describe = |(index, entry): (usize, &Entry)| RuleInfo {
                number: index + 1,
                name: entry.name().map(ToOwned::to_owned),
                condition: entry.condition().to_string(),
                action: entry.action().to_string(),
                hits: hits.as_ref().and_then(|hits| hits.get(index).copied()),
            };
            listing.interfaces.push(InterfaceRules {
                interface: ruled.interface.name().to_owned(),
                rules: ruled
                    .rules
                    .entries()
                    .iter()
                    .enumerate()
                    .map(describe)
                    .collect(),
            });
        }
        Ok(listing)
    }

    /// Changes the rules of an interface, or of all: of all that were chosen, or of none.
    pub(crate) fn change(
        &mut self,
        interface: Option<&str>,
        change: &Change,
    ) -> Result<(), Failure> {
        let chosen = self.chosen(interface)?;
        let mut before = Vec::new();
        for index in chosen {
            let Some(ruled) = self.ruled.get_mut(index) else {
                continue;
            };
            let wanted = match changed(&ruled.rules, change) {
                Ok(wanted) => ruled.interface.replace(&wanted).map(|()| wanted),
                Err(failure) => Err(failure),
            };
            match wanted {
                Ok(wanted) => before.push((index, std::mem::replace(&mut ruled.rules, wanted))),
                Err(failure) => return Err(self.restore(before, failure)),
            }
        }
        Ok(())
    }

    /// Puts back what was there; the failure that led to this, with what could not be put back.
    fn restore(&mut self, before: Vec<(usize, RuleFile)>, failure: Failure) -> Failure {
        let mut failure = failure;
        for (index, rules) in before {
            let Some(ruled) = self.ruled.get_mut(index) else {
                continue;
            };
            match ruled.interface.replace(&rules) {
                Ok(()) => ruled.rules = rules,
                Err(_) => {
                    let name = ruled.interface.name();
                    failure = failure.hint(format!(
                        "{name} has the new rules already, and could not be given the old ones back"
                    ));
                }
            }
        }
        failure
    }

    fn chosen(&self, interface: Option<&str>) -> Result<Vec<usize>, Failure> {
        let Some(name) = interface else {
            return Ok((0..self.ruled.len()).collect());
        };
        let found = self
            .ruled
            .iter()
            .position(|ruled| ruled.interface.name() == name);
        found.map(|index| vec![index]).ok_or_else(|| {
            let names: Vec<_> = self
                .ruled
                .iter()
                .map(|ruled| ruled.interface.name())
                .collect();
            Failure::new(format!("{} has no interface {name}", self.session))
                .because(format!("it has {}", names.join(", ")))
        })
    }
}

/// The rules after a change.
fn changed(rules: &RuleFile, change: &Change) -> Result<RuleFile, Failure> {
    let mut wanted = rules.clone();
    match change {
        Change::Replace { text } => wanted = parse(text)?,
        Change::Clear => wanted = RuleFile::empty(),
        Change::Insert { text, at } => {
            let size = wanted.entries().len();
            let at = at.map_or(size, |number| number.saturating_sub(1));
            if at > size {
                let most = size + 1;
                return Err(Failure::usage(format!("there is no place {}", at + 1))
                    .because(format!("there are {}", count(size, "rule")))
                    .hint(format!("name a place from 1 to {most}")));
            }
            for (index, entry) in parse(text)?.into_entries().into_iter().enumerate() {
                wanted.insert(at + index, entry);
            }
        }
        Change::Remove { rules } => {
            let mut gone = Vec::new();
            for rule in rules {
                gone.extend(find(&wanted, rule)?);
            }
            gone.sort_unstable();
            gone.dedup();
            for index in gone.into_iter().rev() {
                wanted.remove(index);
            }
        }
    }
    Ok(wanted)
}

/// The rules that a number or a name stands for.
fn find(rules: &RuleFile, wanted: &str) -> Result<Vec<usize>, Failure> {
    let entries = rules.entries();
    let named: Vec<usize> = (0..entries.len())
        .filter(|index| entries[*index].name() == Some(wanted))
        .collect();
    if !named.is_empty() {
        return Ok(named);
    }
    let number: Option<usize> = wanted.parse().ok();
    match number.and_then(|number| number.checked_sub(1)) {
        Some(index) if index < entries.len() => Ok(vec![index]),
        _ => Err(Failure::new(format!("there is no rule {wanted}"))
            .because(match entries.len() {
                0 => "there are no rules".to_owned(),
                1 => "the only rule is number 1".to_owned(),
                most => {
                    format!("rules have the numbers 1 to {most}, and names if they were given any")
                }
            })
            .hint("`xdp filter list` shows them")),
    }
}

fn parse(text: &str) -> Result<RuleFile, Failure> {
    RuleFile::parse(text).map_err(|errors| {
        let mistakes: Vec<String> = errors.as_slice().iter().map(ToString::to_string).collect();
        Failure::new("the rules have mistakes").because(mistakes.join("; "))
    })
}

#[cfg(test)]
#[path = "held_tests.rs"]
mod tests;
