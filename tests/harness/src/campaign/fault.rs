//! Faults: what befalls the operator, the API server and the clouds, as data, drawn from a seed.

use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::{Map, Value, json};

use super::clouds::{Cloud, HOSTILE};
use super::lean::{Blow, Corner, Lean};
use super::plan::{Deed, Step};
use crate::auditor::Scope;

/// What befalls requests to the API server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trouble {
    /// Each write is answered as if somebody else had written meanwhile.
    Conflict,
    Unavailable,
    TooManyRequests,
    /// The connection is closed before it is done.
    CutBefore,
    /// It is done, and the connection closed without the answer.
    CutAfter,
    /// It is carried on so many milliseconds later.
    Late(u64),
}

/// What befalls somebody.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Fault {
    /// The operator is killed, and started again after so many milliseconds.
    Kill { down: u64 },
    /// The operator is killed when its nth write from now on was applied, or before it is: to the API server or to Alibaba
    /// Cloud, or to this cloud alone.
    KillAtWrite { nth: u64, applied: bool, huawei: bool },
    /// The operator is halted for a while.
    Freeze { millis: u64 },
    /// The API server is killed, and started again after so many milliseconds.
    ApiServerRestart { down: u64 },
    /// Every connection to the API server is closed, watches included.
    WatchCut,
    /// The same, and new watches whose path holds this say nothing for a while: caches grow old while reads do not.
    StaleWatches { about: &'static str, millis: u64 },
    /// Requests to the API server whose path holds this meet trouble: so many at most, for a while.
    Kubernetes { trouble: Trouble, about: &'static str, writes: bool, times: u64, millis: u64 },
    /// Random weather at both clouds for a while.
    Weather { climate: Value, millis: u64 },
    /// A scripted fault at the clouds, until it is used up or for a while.
    Cloud { fault: Value, millis: u64 },
    /// A scripted fault at the clouds for so long, and for whom.
    Outage { fault: Value, millis: u64, scope: Scope },
}

impl Fault {
    /// A scripted fault that is used up.
    pub(super) fn scripted(fault: Value) -> Self {
        Self::Cloud { fault, millis: 0 }
    }
}

/// The longest any of them lasts.
const LONGEST: u64 = 4_000;

/// Whose watches fall silent, and which requests meet trouble: those of all kinds, or of one.
const ABOUT: [&str; 4] = ["", "", "/cloudimages", "/imageshares"];

/// The kinds of random weather, with what each may cost in thousandths of all requests at most. Wrong empty answers are
/// no such weather: two in a row are no fault but a lie, from which nobody can tell an absence.
const WEATHER: [(&str, u32); 12] = [
    ("throttle", 200),
    ("unavailable", 200),
    ("internalError", 150),
    ("cutBefore", 200),
    ("cutAfter", 250),
    ("slow", 200),
    ("describeLag", 500),
    ("wrongJson", 150),
    ("truncatedPage", 250),
    ("truncatedBody", 150),
    ("jobFails", 250),
    ("jobSlow", 250),
];

/// Writes of the clouds by which access changes.
const CHANGES: [&str; 3] = ["ModifyImageSharePermission", "BatchAddMembers", "BatchDeleteMembers"];

/// Writes by which copies are made. At Huawei Cloud nothing but the operator keeps one from being made twice.
const COPIES: [&str; 3] = ["CopyImage", "CopyImageCrossRegion", "CopyImageCrossRegion"];

/// Draws faults from a seed until the end of a plan; all are over by then.
pub(super) fn draw(seed: u64, length: u64) -> Vec<Step> {
    let (lean, mut dice) = (Lean::of(seed), StdRng::seed_from_u64(seed ^ 0xFA17));
    let mut steps = Vec::new();
    // The first wishes find everybody well: there is something to lose then.
    let mut at = 2_500;
    loop {
        at += dice.random_range(lean.between_faults());
        let Some(left) = length.checked_sub(at).filter(|left| *left > 600) else { return steps };
        steps.push(Step { at, deed: Deed::Fault(one(&lean, &mut dice, left.min(LONGEST))) });
    }
}

fn one(lean: &Lean, dice: &mut StdRng, longest: u64) -> Fault {
    let millis = dice.random_range(300..=longest.max(301));
    match lean.blow(dice) {
        Blow::Kill => Fault::Kill { down: dice.random_range(0..(longest / 2).max(1)) },
        Blow::KillAtWrite => kill_at_write(lean, dice),
        Blow::Freeze => Fault::Freeze { millis },
        Blow::ApiServerRestart if longest == LONGEST => Fault::ApiServerRestart { down: dice.random_range(0..1_500) },
        Blow::WatchCut | Blow::ApiServerRestart => Fault::WatchCut,
        Blow::StaleWatches => Fault::StaleWatches { about: about(dice), millis },
        Blow::Kubernetes => kubernetes(lean, dice, millis),
        Blow::Weather => Fault::Weather { climate: climate(dice), millis },
        Blow::Cloud => Fault::Cloud { fault: scripted(lean, dice), millis },
    }
}

fn about(dice: &mut StdRng) -> &'static str {
    ABOUT.choose(dice).copied().unwrap_or_default()
}

/// Huawei Cloud is called seldom, and by jobs: there the next write is the one.
fn kill_at_write(lean: &Lean, dice: &mut StdRng) -> Fault {
    let applied = dice.random_bool(0.6);
    let there = if matches!(lean.corner, Corner::Copies | Corner::Answers) { 0.6 } else { 0.2 };
    if dice.random_bool(there) {
        return Fault::KillAtWrite { nth: dice.random_range(1..3), applied, huawei: true };
    }
    Fault::KillAtWrite { nth: dice.random_range(1..6), applied, huawei: false }
}

fn kubernetes(lean: &Lean, dice: &mut StdRng, millis: u64) -> Fault {
    let late = dice.random_range(50..1_500);
    let troubles = [
        Trouble::Conflict,
        Trouble::Conflict,
        Trouble::Unavailable,
        Trouble::TooManyRequests,
        Trouble::CutBefore,
        Trouble::CutAfter,
        Trouble::CutAfter,
        Trouble::Late(late),
    ];
    let leant = lean.corner == Corner::OldNews && dice.random_bool(0.5);
    let trouble = troubles.choose(dice).copied().filter(|_| !leant).unwrap_or(Trouble::Late(late));
    let writes = trouble == Trouble::Conflict || dice.random_bool(0.5);
    Fault::Kubernetes { trouble, about: about(dice), writes, times: dice.random_range(1..20), millis }
}

fn climate(dice: &mut StdRng) -> Value {
    let mut shares = Map::new();
    let kinds = dice.random_range(1..=4_usize);
    for (kind, most) in WEATHER.sample(dice, kinds) {
        // Four of them stay below all requests.
        shares.insert((*kind).to_owned(), json!(dice.random_range(20..=most / 2)));
    }
    json!({
        "seed": dice.random::<u32>(), "perMille": shares,
        "retryAfterMillis": *[0, 300, 1_200].choose(dice).unwrap_or(&0),
        "slowMillis": dice.random_range(100..2_500), "lagMillis": dice.random_range(100..1_200),
    })
}

fn scripted(lean: &Lean, dice: &mut StdRng) -> Value {
    let change = CHANGES.choose(dice).copied().unwrap_or_default();
    let copy = COPIES.choose(dice).copied().unwrap_or_default();
    let strange = json!({"kind": "refuse", "status": 400, "code": "Strange.Code", "message": HOSTILE});
    let leant = lean.corner == Corner::Copies && dice.random_bool(0.5);
    match if leant { 9 } else { dice.random_range(0..12_u32) } {
        0 => json!({"when": {"action": change}, "count": 2, "then": {"kind": "cutAfter"}}),
        1 => json!({"when": {"action": change}, "count": 2, "then": {"kind": "cutBefore"}}),
        2 => json!({"when": {"action": change}, "count": 1, "then": {"kind": "slow", "millis": 11_000}}),
        3 | 4 => json!({"when": {"action": change}, "count": 1, "then": strange}),
        5 | 6 => json!({"when": {"action": change}, "count": 3, "then": {"kind": "throttle", "retryAfterMillis": 700}}),
        // Rows are missing longer than an absence is waited for.
        7 | 8 => {
            let then = json!({"kind": "truncatedPage", "drop": 3});
            json!({"when": {"action": "DescribeImageSharePermission"}, "count": 8, "then": then})
        }
        9 | 10 => json!({"when": {"action": copy}, "count": 1, "then": {"kind": "cutAfter"}}),
        _ => skew(dice),
    }
}

/// The clocks differ: the cloud refuses every signature as too old. The simulator's own clock stays, for the journal's
/// times are compared with etcd's.
fn skew(dice: &mut StdRng) -> Value {
    let (status, code, message) = match Cloud::ALL.choose(dice) {
        Some(Cloud::Huawei) => {
            (401, "APIGW.0301", "Incorrect IAM authentication information: request date/time skewed")
        }
        _ => (400, "InvalidTimeStamp.Expired", "the request's time is past"),
    };
    let region = if status == 401 { Cloud::Huawei.region() } else { Cloud::Alibaba.region() };
    let then = json!({"kind": "refuse", "status": status, "code": code, "message": message});
    json!({"when": {"region": region}, "count": 30, "then": then})
}
