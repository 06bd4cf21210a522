use super::*;
use statements::{Id, documents, of_name, parse};

fn ids(name: &str) -> Vec<String> {
    let documents = documents().unwrap();
    let ids = of_name(&documents, name);
    ids.into_iter()
        .map(|Id { document, path }| format!("{document} {path}"))
        .collect()
}

#[test]
fn names_begin_with_what_they_test() {
    assert_eq!(ids("s02_13_7_each_descriptor"), ["02 13.7"]);
    assert_eq!(
        ids("s02_2_r3_s02_19_r15_s02_1_2_bound_once"),
        ["02 2 r3", "02 19 r15", "02 1.2"]
    );
    assert_eq!(ids("s01_2_4_a_32_bit"), ["01 2.4 a"]);
    assert_eq!(ids("s01_2_5_a_handle"), ["01 2.5"], "an article is no row");
    assert_eq!(ids("s02_4_1_r1_a_set_request"), ["02 4.1 r1"]);
    assert_eq!(
        ids("s02_13_2_r1_r2_s02_13_3_x"),
        ["02 13.2 r1", "02 13.2 r2", "02 13.3"]
    );
    assert_eq!(ids("s04_r1_short"), ["04 r1"]);
    assert_eq!(
        ids("s04_insert_delete_an_empty"),
        ["04 insert", "04 delete"]
    );
    assert!(ids("it_starts").is_empty());
    assert!(ids("s77_1_1_nowhere").is_empty());
}

#[test]
fn ranges_rows_and_reasons_are_read() {
    let documents = parse(
        "document 05 Title of it\n1: 1.1-3 r1-2 .\n2.4: a-c\n: x\nuntested 7 r1 r2 8.1: why: so",
    )
    .unwrap();
    let paths: Vec<_> = documents[0]
        .statements
        .iter()
        .map(|s| (s.path.as_str(), s.untested.is_some()))
        .collect();
    assert_eq!(
        paths,
        [
            ("1.1", false),
            ("1.2", false),
            ("1.3", false),
            ("1 r1", false),
            ("1 r2", false),
            ("1", false),
            ("2.4 a", false),
            ("2.4 b", false),
            ("2.4 c", false),
            ("x", false),
            ("7 r1", true),
            ("7 r2", true),
            ("8.1", true),
        ]
    );
    assert!(parse("1: 1.1").is_err(), "no document");
    assert!(parse("document 1 x\nnonsense").is_err());
    assert!(parse("document 1 x\n1: r1-x").is_err());
}

#[test]
fn every_numbered_scenario_names_a_statement() {
    let documents = documents().unwrap();
    for name in test_names(&root().join("tests/tests")).unwrap() {
        let (_, test) = name.rsplit_once("::").unwrap();
        let numbered = test.starts_with('s') && test.as_bytes()[1].is_ascii_digit();
        assert!(
            !numbered || !of_name(&documents, test).is_empty(),
            "{name} names no statement of the list"
        );
    }
}

#[test]
fn the_page_is_up_to_date() {
    let current = std::fs::read_to_string(root().join(PAGE)).unwrap();
    assert!(
        current == generate(&root()).unwrap(),
        "run `cargo xtask conformance`"
    );
}

#[test]
fn a_quirk_has_a_test_of_its_statement() {
    let documents = documents().unwrap();
    let names = ["m::s02_12_8_all".to_owned(), "m::s02_12_9_x".to_owned()];
    let coverage = coverage(&documents, &names);
    let checked = |line: &str| {
        let quirks = quirks::parse(line).unwrap();
        quirks::check(&quirks, &documents, &coverage).is_ok()
    };
    assert!(checked(
        "# a comment\n\n02 12.8 | does it | m::s02_12_8_all"
    ));
    assert!(!checked("02 12.8 | does it | m::s02_12_9_x"));
    assert!(!checked("02 12.8 | does it | m::no_such_test"));
    assert!(!checked("02 99.9 | does it | m::s02_12_8_all"));
    assert!(quirks::parse("02 12.8 | two fields").is_err());
}
