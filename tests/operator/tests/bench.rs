//! A tiny run of the benchmark: its figures are there and its counts are right. How long anything takes is not for a test.

#![allow(clippy::float_cmp, reason = "counts, which are whole")]

use std::collections::BTreeMap;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use imageshare_harness::{assets, run};
use serde_json::Value;

/// Images of this run: the largest size, scaled.
const IMAGES: f64 = 6.0;
/// Recipients of each.
const RECIPIENTS: f64 = 20.0;

const ARGUMENTS: [&str; 8] = [
    "--cases",
    "10000x20,restart,handover,rest,edit,delete",
    "--scale",
    "0.0006",
    "--latencies",
    "0",
    "--seconds",
    "2",
];

fn report() -> Result<Value> {
    let json = run::folder_of_this_binary()?.join("bench.json");
    let ran = Command::new(assets::built("bench")?).args(ARGUMENTS).arg("--json").arg(&json).output()?;
    let (told, failed) = (String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
    ensure!(ran.status.success(), "{told}\n{failed}");
    serde_json::from_str(&std::fs::read_to_string(json)?).context("the report")
}

/// The figures of a case: value and floor.
fn figures<'a>(report: &'a Value, case: &str) -> BTreeMap<&'a str, (f64, Option<f64>)> {
    let of_case = report["figures"].as_array().unwrap().iter().filter(|figure| figure["case"] == case);
    of_case.map(|f| (f["figure"].as_str().unwrap(), (f["value"].as_f64().unwrap(), f["floor"].as_f64()))).collect()
}

/// What was counted in a case.
fn counts<'a>(report: &'a Value, case: &str) -> BTreeMap<&'a str, f64> {
    let of_case = report["counts"].as_array().unwrap().iter().filter(|count| count["case"] == case);
    of_case.map(|count| (count["what"].as_str().unwrap(), count["count"].as_f64().unwrap())).collect()
}

#[test]
fn a_tiny_benchmark_tells_every_figure_and_counts_right() -> Result<()> {
    let report = report()?;
    let case = "10000x20, 0 ms";
    let (shared, counts_of_it) = (figures(&report, case), counts(&report, case));
    // Ten recipients a call; an image and its recipients are read before, and the recipients again after.
    assert_eq!(counts_of_it["ModifyImageSharePermission"], IMAGES * RECIPIENTS / 10.0);
    assert!(counts_of_it["DescribeImages"] >= IMAGES, "{counts_of_it:?}");
    assert!(counts_of_it["DescribeImageSharePermission"] >= 2.0 * IMAGES, "{counts_of_it:?}");
    // A finalizer each, asked for once; the ledger before the calls and after them.
    assert_eq!(counts_of_it["PATCH cloudimages"], IMAGES);
    assert_eq!(counts_of_it["PATCH imageshares"], IMAGES);
    assert!(counts_of_it["APPLY cloudimages/status"] >= 2.0 * IMAGES, "{counts_of_it:?}");
    for same in ["cloud calls", "Kubernetes writes"] {
        let (value, floor) = shared[same];
        assert_eq!(Some(value), floor, "{same}: the floor is the same work");
    }
    let counted: f64 = counts_of_it.values().sum();
    assert_eq!(shared["cloud calls"].0 + shared["Kubernetes writes"].0, counted);
    for timed in ["time to all Ready", "operator CPU per recipient", "operator peak RSS"] {
        assert!(shared[timed].0 > 0.0, "{timed}: {shared:?}");
    }
    let restart = figures(&report, "restart");
    assert_eq!(restart["looks at one image, most"], (1.0, Some(1.0)));
    assert!(restart["time to steady"].0 > 0.0 && restart["first edit served, P50"].0 > 0.0, "{restart:?}");
    assert!(restart["cloud calls"].0 >= 2.0 * IMAGES, "{restart:?}");
    assert!(figures(&report, "handover")["first edit served"].0 > 0.0);
    let rest = figures(&report, "rest");
    assert_eq!(rest["Kubernetes writes while nothing is due"].0, 0.0);
    assert_eq!(rest["Kubernetes writes while all are looked at"].0, 0.0);
    for (case, what) in [("edit", "spec edit to granted"), ("delete", "delete to gone from the cloud")] {
        assert_eq!(counts(&report, case)[what], IMAGES / 2.0);
        for part in ["P50", "P99"] {
            let (value, floor) = figures(&report, case)[format!("{what}, {part}").as_str()];
            assert!(value > 0.0 && floor.unwrap() > 0.0, "{case}: {what}, {part}");
        }
    }
    Ok(())
}
