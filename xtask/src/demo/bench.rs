//! How fast sockets are: `xdp bench`, as a table.

use std::process::Command;

use anyhow::{Context, Result};
use serde_json::Value;

use super::traffic::output;
use super::{Args, say, step};

/// What is measured for how long; latency at a rate that leaves the socket time.
const SECONDS: &str = "2s";

/// Runs the benchmarks one after the other.
pub(super) fn run(args: &Args) -> Result<()> {
    step("How fast it is: sockets in the lab, 64-byte frames, two seconds each");
    let Some(driver) = &args.driver else {
        say("not measured: it takes a driver file, and there is none");
        return Ok(());
    };
    for (test, what) in [
        ("rx", "received by a socket"),
        ("tx", "sent by a socket"),
        ("fwd", "received and sent back"),
        ("latency", "echoed at 100,000 a second"),
    ] {
        let mut command = Command::new(&args.xdp);
        command.args(["bench", test, "-i", "lab:verifier=fast", "--json"]);
        command.args(["-d", SECONDS]).env("XDP_DRIVER", driver);
        let text = output(&mut command)?;
        say(&format!("{what:<28} {}", figures(&text)?));
    }
    say("for scale: 10 Gbit/s of such frames are 14.9 million a second");
    Ok(())
}

/// The figures that a benchmark is run for.
fn figures(json: &str) -> Result<String> {
    let all: Value = serde_json::from_str(json).context("`xdp bench` printed no JSON")?;
    let result = &all["benchmarks"][0];
    if result["latency_ns"].is_object() {
        let microseconds = |what: &str, name: &str| -> Result<f64> {
            let nanoseconds = result[what][name].as_f64();
            Ok(nanoseconds.context("no latency was measured")? / 1000.0)
        };
        let (half, most) = (
            microseconds("latency_ns", "p50")?,
            microseconds("latency_ns", "p99")?,
        );
        let added = microseconds("added_ns", "p99")?;
        return Ok(format!(
            "half within {half:.1} us, 99 % within {most:.1} us; the driver adds {added:.1} us to 99 %"
        ));
    }
    let rate = result["frames_per_second"]
        .as_f64()
        .context("no rate was measured")?;
    Ok(format!("{:.2} million a second", rate / 1e6))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_figures_are_those_of_the_benchmark() {
        let rate = r#"{"benchmarks":[{"test":"rx","frames_per_second":12345678.9}]}"#;
        assert_eq!(figures(rate).unwrap(), "12.35 million a second");
        let latency = r#"{"benchmarks":[{"frames_per_second":1.0,
            "latency_ns":{"p50":5200,"p99":36000},"added_ns":{"p99":2500}}]}"#;
        assert_eq!(
            figures(latency).unwrap(),
            "half within 5.2 us, 99 % within 36.0 us; the driver adds 2.5 us to 99 %"
        );
        for broken in ["", "{}", r#"{"benchmarks":[{"latency_ns":{}}]}"#] {
            assert!(figures(broken).is_err(), "{broken}");
        }
    }
}
