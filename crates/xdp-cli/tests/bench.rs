//! `xdp bench` in the lab: what it counts is what went through the driver, and mistakes end with the right code.

#![cfg(all(target_os = "linux", target_arch = "x86_64"))]

use std::process::{Command, Output};

fn bench(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_xdp"))
        .arg("bench")
        .args(arguments)
        .env_remove("XDP_INTERFACE")
        .output()
        .expect("the program starts")
}

/// The result of a benchmark that runs for a short while.
fn result(test: &str, more: &[&str]) -> serde_json::Value {
    let mut arguments = vec![
        test,
        "-i",
        "lab:verifier=fast",
        "--duration",
        "300ms",
        "--json",
    ];
    arguments.extend(more);
    let output = bench(&arguments);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {text}{said}");
    let document: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let result = document["benchmarks"][0].clone();
    assert_eq!(result["test"], test, "{document}");
    result
}

fn number(result: &serde_json::Value, field: &str) -> u64 {
    result[field]
        .as_u64()
        .unwrap_or_else(|| panic!("{field} in {result}"))
}

#[test]
fn what_is_received_sent_and_sent_back_is_counted() {
    for test in ["rx", "tx", "fwd"] {
        let result = result(test, &[]);
        let (frames, offered) = (number(&result, "frames"), number(&result, "offered"));
        assert!(frames > 0, "{result}");
        assert_eq!(frames + number(&result, "lost"), offered, "{result}");
        assert_eq!(number(&result, "frame_bytes"), 64);
    }
}

#[test]
fn fewer_frames_than_a_ring_holds_are_not_lost() {
    for test in ["rx", "fwd", "tx"] {
        let result = result(test, &["--rate", "2kpps", "--size", "200"]);
        assert_eq!(number(&result, "lost"), 0, "{result}");
        assert!(number(&result, "offered") >= 1, "{result}");
    }
}

#[test]
fn latencies_are_in_order() {
    let result = result("latency", &["--rate", "2kpps"]);
    let latency = &result["latency_ns"];
    for latency in [latency, &result["handover_ns"], &result["added_ns"]] {
        let order: Vec<u64> = ["p50", "p99", "p999", "max"]
            .map(|name| number(latency, name))
            .to_vec();
        assert!(order.is_sorted() && order[3] > 0, "{result}");
    }
    assert!(number(latency, "p50") > 0, "{result}");
    assert_eq!(number(latency, "samples"), number(&result, "frames"));
}

/// What is added is part of the whole, and every frame that came back was compared with its word.
#[test]
fn what_a_driver_adds_is_part_of_the_latency() {
    let result = result("latency", &["--rate", "2kpps"]);
    let (all, added) = (&result["latency_ns"], &result["added_ns"]);
    for name in ["p50", "p99", "p999", "max", "mean"] {
        assert!(number(added, name) <= number(all, name), "{name}: {result}");
    }
    assert_eq!(number(added, "samples"), number(all, "samples"), "{result}");
}

#[test]
fn mistakes_have_codes_and_name_what_is_valid() {
    for (arguments, code, part) in [
        (&["rx"][..], 2, "no interface"),
        (&["rx", "-i", "lab:", "--size", "20"], 2, "from 60 bytes"),
        (&["rx", "-i", "lab:", "--size", "4000"], 2, "1514"),
        (
            &["rx", "-i", "lab:", "--ring-size", "1000"],
            2,
            "power of two",
        ),
        (
            &["tx", "-i", "lab:", "--queue", "5", "--duration", "100ms"],
            1,
            "no such queue",
        ),
        (
            &["rx", "-i", "lab:", "--mode", "native"],
            5,
            "no native mode",
        ),
        (&["rx", "-i", "eth0"], 3, "not Windows"),
        (&["rx", "-i", "lab:queues=0"], 2, "1 to 64"),
        (
            &["rx", "-i", "lab:driver=/no/such/xdp.sys"],
            3,
            "/no/such/xdp.sys",
        ),
    ] {
        let output = bench(arguments);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {said}");
        assert!(said.contains(part), "{arguments:?}: {said}");
        assert!(output.stdout.is_empty(), "{arguments:?}");
    }
}
