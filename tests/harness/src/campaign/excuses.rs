//! What was in the way of whom, and when: told from the plan, so that the time which others wait can be judged.

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::attempt::Attempt;
use super::clouds::Seat;
use super::fault::Fault;
use super::mistakes::UNDONE;
use super::plan::{Deed, Plan, Step};
use super::wish::{Kind, Object, Standing, Wish, text};
use crate::auditor::{Excuse, Scope};

/// How long the operator may take after a fault to be as it was, in milliseconds: it starts, lists, and tries again.
const RECOVERY: u64 = 6_000;

/// The longest pause before it tries again what was refused, or what only a person could mend.
const PAUSE: u64 = 22_000;

/// A write at which the operator is to be killed is waited for so long.
const WRITE: u64 = 4_000;

impl Plan {
    /// What was in the way, where the plan began then.
    pub(super) fn excuses(&self, began: Timestamp) -> Vec<Excuse> {
        let at = |millis: u64| {
            let after = SignedDuration::from_millis(i64::try_from(millis).unwrap_or(i64::MAX));
            began.saturating_add(after).unwrap_or(Timestamp::MAX)
        };
        let mut standing = Standing::default();
        let mut excuses = Vec::new();
        for step in &self.steps {
            if let Some((millis, scope)) = excuse(step, &standing) {
                excuses.push(Excuse { from: at(step.at), until: at(step.at + millis), scope });
            }
            if let Deed::Wish(wish) = &step.deed {
                standing.apply(wish);
            }
        }
        excuses
    }
}

/// For how long and for whom a step is in the way.
fn excuse(step: &Step, standing: &Standing) -> Option<(u64, Scope)> {
    match &step.deed {
        Deed::Fault(fault) => Some(of_fault(fault)),
        Deed::Wish(Wish::Attempt(Attempt::Key { seat, of, .. })) => {
            let millis = if seat == of { PAUSE } else { UNDONE + PAUSE };
            Some((millis, Scope::Account(seat.id())))
        }
        Deed::Wish(Wish::Attempt(Attempt::Restore { image } | Attempt::Spoil { image } | Attempt::Clean { image })) => {
            let id = standing.objects.get(image).map(|spec| text(spec, "/imageID").to_owned())?;
            Some((UNDONE + PAUSE, Scope::Image(id)))
        }
        Deed::Wish(Wish::Edit { object, change }) => of_edit(object, change),
        Deed::ByHand(_) | Deed::Wish(_) => None,
    }
}

/// Another project of an account, or its own again.
fn of_edit(object: &Object, change: &Value) -> Option<(u64, Scope)> {
    let moves = object.kind == Kind::CloudAccount && change.pointer("/huawei/projects").is_some();
    let seat = moves.then(|| Seat::named(&object.name)).flatten()?;
    Some((UNDONE + PAUSE, Scope::Account(seat.id())))
}

fn of_fault(fault: &Fault) -> (u64, Scope) {
    let millis = match fault {
        Fault::Kill { down } | Fault::ApiServerRestart { down } => *down + RECOVERY,
        Fault::KillAtWrite { .. } => WRITE + RECOVERY,
        Fault::WatchCut => 0,
        Fault::Freeze { millis }
        | Fault::StaleWatches { millis, .. }
        | Fault::Kubernetes { millis, .. }
        | Fault::Weather { millis, .. } => *millis,
        Fault::Cloud { fault, millis } => {
            let image = text(fault, "/when/image");
            let scope = if image.is_empty() { Scope::Everybody } else { Scope::Image(image.to_owned()) };
            return (*millis + PAUSE, scope);
        }
        // What was in vain is tried again after as long as it was.
        Fault::Outage { millis, scope, .. } => return (2 * *millis + PAUSE, scope.clone()),
    };
    (millis + RECOVERY, Scope::Everybody)
}
