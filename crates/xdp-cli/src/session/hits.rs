//! How often rules decided, as the driver's list of what there is says.

pub(super) use xdp::inventory::rule_hits as of;

#[cfg(test)]
mod tests {
    use super::*;
    use xdp_abi::inventory::{Header, RuleHits};
    use zerocopy::IntoBytes as _;

    fn entry(program: u64, queue: u32, first: u32, hits: &[u64]) -> Vec<u8> {
        let entry = RuleHits {
            header: RuleHits::header_for(hits.len() as u32),
            program,
            if_index: 1,
            queue,
            first_rule: first,
            rules: hits.len() as u32,
        };
        let mut bytes = entry.as_bytes().to_vec();
        hits.iter()
            .for_each(|hits| bytes.extend(hits.to_le_bytes()));
        bytes
    }

    fn list(entries: &[Vec<u8>]) -> Vec<u8> {
        let size = size_of::<Header>() + entries.iter().map(Vec::len).sum::<usize>();
        let header = Header {
            version: 1,
            header_size: size_of::<Header>() as u16,
            entries: entries.len() as u32,
            total_size: size as u64,
        };
        let mut bytes = header.as_bytes().to_vec();
        entries.iter().for_each(|entry| bytes.extend(entry));
        bytes
    }

    #[test]
    fn hits_of_all_queues_are_added() {
        let list = list(&[
            entry(7, 0, 0, &[1, 2]),
            entry(7, 0, 2, &[5]),
            entry(9, 0, 0, &[100]),
            entry(7, 1, 0, &[10, 0]),
        ]);
        assert_eq!(of(&list, &[7]), Some(vec![11, 2, 5]));
        assert_eq!(of(&list, &[9]), Some(vec![100]));
        assert_eq!(of(&list, &[9, 7]), Some(vec![111, 2, 5]));
        assert_eq!(of(&list, &[8]), None);
    }

    #[test]
    fn a_list_cut_anywhere_is_no_reason_to_panic() {
        let whole = list(&[entry(7, 0, 0, &[1, 2])]);
        for size in 0..whole.len() {
            assert_eq!(of(&whole[..size], &[7]), None);
        }
    }
}
