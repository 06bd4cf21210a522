//! Rules from an application: any bytes are refused with a reason, or give a list that a classifier takes.

use xdp_abi::Rule;
use xdp_rules::validate::{Caller, rules};
use xdp_rules::{Classifier, Heap, Pattern, PortSet};
use zerocopy::FromBytes;

/// Ports named by an address that nobody has locked: none.
#[derive(Clone)]
struct NoMemory(u64);

impl PortSet for NoMemory {
    fn contains(&self, _: xdp_abi::Port) -> bool {
        false
    }

    fn identity(&self) -> u64 {
        self.0
    }
}

/// Validates the bytes as an array of rules, for both kinds of callers.
pub(crate) fn check(data: &[u8]) {
    let count = data.len() / size_of::<Rule>();
    let array: Vec<Rule> = data
        .chunks_exact(size_of::<Rule>())
        .filter_map(|bytes| Rule::read_from_bytes(bytes).ok())
        .collect();
    assert_eq!(array.len(), count);
    for caller in [Caller::User, Caller::Kernel] {
        let mut classifier = Classifier::<NoMemory, usize, Heap>::new(Heap, 1, 1 << 24);
        for (index, result) in rules(&array, caller).enumerate() {
            let valid = match result {
                Ok(valid) => valid,
                Err(error) => {
                    assert_eq!(error.index, index);
                    assert!(error.to_string().starts_with(&format!("rule {index}: ")));
                    return;
                }
            };
            assert_eq!(valid.pattern.match_type(), array[index].match_type);
            let Ok(pattern): Result<Pattern<NoMemory>, std::convert::Infallible> = valid
                .pattern
                .try_map_port_set(|address| Ok(NoMemory(address.0)));
            let key = classifier.push(pattern, index).expect("memory for a rule");
            assert_eq!(classifier.get(key).map(|(_, value)| *value), Some(index));
        }
    }
}
