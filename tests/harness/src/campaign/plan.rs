//! The plan of a campaign: wishes and faults with their times. It is data, and a pure function of seed and length.

use std::time::Duration;

use aws_lc_rs::digest;

use super::author::Author;
use super::fault::{self, Fault};
use super::lean::Lean;
use super::wish::{Standing, Wish};

/// What is done at one moment.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Deed {
    Wish(Wish),
    /// Somebody changes who has an image, behind the operator's back.
    ByHand(ByHand),
    Fault(Fault),
}

/// A change of who has an image, around everybody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ByHand {
    pub(super) huawei: bool,
    pub(super) image: String,
    pub(super) add: Vec<String>,
    pub(super) remove: Vec<String>,
}

/// One deed and its time, in milliseconds since the beginning.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Step {
    pub(super) at: u64,
    pub(super) deed: Deed,
}

/// Everything that is to be done, in the order of time.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    seed: u64,
    pub(super) steps: Vec<Step>,
}

impl Plan {
    /// The plan of this seed for so long.
    pub fn of(seed: u64, length: Duration) -> Self {
        let length = u64::try_from(length.as_millis()).unwrap_or(u64::MAX);
        let mut steps = Author::new(seed, length).write();
        steps.extend(fault::draw(seed, length));
        steps.sort_by_key(|step| step.at);
        Self { seed, steps }
    }

    /// What it leans on.
    pub(super) fn lean(&self) -> Lean {
        Lean::of(self.seed)
    }

    /// By which two plans are told apart.
    pub fn hash(&self) -> String {
        let hash = digest::digest(&digest::SHA256, format!("{:?}", self.steps).as_bytes());
        hex::encode(hash).chars().take(16).collect()
    }

    /// Every deed with its time, in the order of time.
    pub fn lines(&self) -> impl Iterator<Item = String> {
        self.steps.iter().map(|step| format!("{} {:?}", step.at, step.deed))
    }

    /// Seed, hash and size.
    pub fn title(&self) -> String {
        let faults = self.steps.iter().filter(|step| matches!(step.deed, Deed::Fault(_))).count();
        let wishes = self.wishes().count();
        format!("seed {} (plan {}): {wishes} wishes, {faults} faults", self.seed, self.hash())
    }

    pub(super) fn wishes(&self) -> impl Iterator<Item = &Wish> {
        self.steps.iter().filter_map(|step| if let Deed::Wish(wish) = &step.deed { Some(wish) } else { None })
    }

    pub(super) fn by_hand(&self) -> impl Iterator<Item = &ByHand> {
        self.steps.iter().filter_map(|step| if let Deed::ByHand(change) = &step.deed { Some(change) } else { None })
    }

    /// What stands when all wishes were made.
    pub(super) fn standing(&self) -> Standing {
        Standing::after(self.wishes())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use serde_json::json;

    use super::*;
    use crate::auditor::Scope;
    use crate::campaign::attempt::Attempt;
    use crate::campaign::clouds::Seat;
    use crate::campaign::mistakes::SECOND;
    use crate::campaign::wish::{Kind, Object, text};

    const LENGTH: Duration = Duration::from_secs(60);

    #[test]
    fn a_seed_has_one_plan_and_another_seed_another() {
        let plan = Plan::of(7, LENGTH);
        assert_eq!(plan, Plan::of(7, LENGTH));
        assert_eq!(plan.hash(), Plan::of(7, LENGTH).hash());
        assert_ne!(plan.hash(), Plan::of(8, LENGTH).hash());
    }

    /// The first word of what a deed is, in its debug print: `Fault(Kill`.
    fn kinds(plan: &Plan) -> BTreeSet<String> {
        let word = |step: &Step| format!("{:?}", step.deed).split([' ', '{']).next().unwrap_or_default().to_owned();
        plan.steps.iter().map(word).collect()
    }

    #[test]
    fn plans_hold_every_kind_of_wish_and_fault() {
        let met: BTreeSet<String> = (0..20).flat_map(|seed| kinds(&Plan::of(seed, LENGTH))).collect();
        let wishes = ["Namespace", "EndNamespace", "Create", "Edit", "Look", "Expire", "Delete", "Rotate"];
        let attempts = ["Create", "Edit", "Delete", "Haste", "Annotate", "Restore", "Spoil", "Clean", "Key"];
        let faults = ["Kill", "KillAtWrite", "Freeze", "ApiServerRestart", "WatchCut", "StaleWatches", "Kubernetes"];
        let all = wishes.map(|wish| format!("Wish({wish}")).into_iter();
        let all = all.chain(faults.map(|fault| format!("Fault({fault}")));
        let all = all.chain(attempts.map(|attempt| format!("Wish(Attempt({attempt}")));
        let all = all.chain(["Fault(Weather", "Fault(Cloud", "Fault(Outage", "ByHand(ByHand"].map(str::to_owned));
        // A kind without fields has its bracket behind it.
        let met: BTreeSet<String> = met.into_iter().map(|kind| kind.trim_end_matches(')').to_owned()).collect();
        assert_eq!(met, all.collect());
    }

    /// Whether an expired share goes so many milliseconds after the image that it names.
    fn outlives_its_image(plan: &Plan, millis: u64) -> bool {
        let (mut standing, mut gone) = (Standing::default(), BTreeMap::new());
        plan.steps.iter().any(|step| {
            let Deed::Wish(wish) = &step.deed else { return false };
            let mut late = false;
            if let Wish::Delete { object } = wish {
                gone.insert(object.clone(), step.at);
                let spec = standing.objects.get(object).filter(|_| standing.expired.contains(object));
                let named = |at: &str| spec.map(|spec| text(spec, at)).unwrap_or_default();
                let image = Object::new(Kind::CloudImage, named("/imageRef/namespace"), named("/imageRef/name"));
                late = gone.get(&image).is_some_and(|at| at + millis <= step.at);
            }
            standing.apply(wish);
            late
        })
    }

    #[test]
    fn an_image_is_deleted_now_and_then_while_an_expired_share_still_names_it() {
        let late = |seed: &u64| outlives_its_image(&Plan::of(*seed, LENGTH), 3_000);
        assert!((1..=6).filter(late).count() >= 3);
    }

    #[test]
    fn no_cloud_tells_the_same_lie_about_an_image_twice() {
        for seed in 1..=12 {
            let mut told = BTreeSet::new();
            for step in Plan::of(seed, LENGTH).steps {
                let Deed::Fault(Fault::Cloud { fault, .. }) = step.deed else { continue };
                if text(&fault, "/then/kind") == "emptyList" {
                    assert_eq!(fault["count"], 1);
                    assert!(!text(&fault, "/when/image").is_empty());
                    assert!(told.insert(fault["when"].to_string()), "seed {seed}: {fault}");
                }
            }
            assert!(seed % 10 != 1 || told.len() >= 4, "seed {seed} tells {} lies", told.len());
        }
    }

    #[test]
    fn all_faults_are_over_when_a_plan_ends() {
        for step in [3, 7, 8, 9, 10].into_iter().flat_map(|seed| Plan::of(seed, LENGTH).steps) {
            let lasting = match step.deed {
                Deed::Fault(
                    Fault::Freeze { millis }
                    | Fault::StaleWatches { millis, .. }
                    | Fault::Kubernetes { millis, .. }
                    | Fault::Weather { millis, .. }
                    | Fault::Cloud { millis, .. }
                    | Fault::Outage { millis, .. },
                ) => millis,
                Deed::Fault(Fault::Kill { down } | Fault::ApiServerRestart { down }) => down,
                Deed::Fault(Fault::KillAtWrite { .. } | Fault::WatchCut) | Deed::Wish(_) | Deed::ByHand(_) => 0,
            };
            assert!(lasting == 0 || u128::from(step.at + lasting) <= LENGTH.as_millis());
        }
    }

    #[test]
    fn every_mistake_of_an_owner_is_undone_before_a_plan_ends() {
        for seed in [8, 18, 28] {
            let plan = Plan::of(seed, LENGTH);
            let (mut keys, mut spoilt) = (BTreeMap::new(), BTreeSet::new());
            for wish in plan.wishes() {
                match wish {
                    Wish::Attempt(Attempt::Key { namespace, seat, of }) => drop(keys.insert(namespace, seat == of)),
                    Wish::Attempt(Attempt::Spoil { image }) => drop(spoilt.insert(image)),
                    Wish::Attempt(Attempt::Clean { image }) => drop(spoilt.remove(image)),
                    _ => {}
                }
            }
            assert!(keys.values().all(|own| *own) && spoilt.is_empty(), "seed {seed}");
            let standing = plan.standing();
            for (object, spec) in standing.of(Kind::CloudAccount) {
                let project = text(spec, "/huawei/projects/0/projectID");
                assert!(project.is_empty() || project.starts_with('b'), "seed {seed}: {object:?} {project}");
            }
            assert!(!standing.of(Kind::CloudImage).any(|(image, _)| image.name.starts_with(SECOND)), "seed {seed}");
        }
    }

    #[test]
    fn tenants_keep_to_their_own_namespaces_and_accounts_without_keys() {
        for seed in [7, 10, 17] {
            let (mut created, plan) = (0, Plan::of(seed, LENGTH));
            for wish in plan.wishes() {
                let Wish::Attempt(Attempt::Create { object, spec } | Attempt::Haste { object, spec, .. }) = wish else {
                    continue;
                };
                assert!(object.namespace.starts_with("harm-"), "{object:?}");
                let secrets = ["/alibaba", "/huawei"].map(|at| text(spec, &format!("{at}/credentials/secretRef/name")));
                assert!(secrets.iter().all(|name| Seat::named(name).is_none()), "{secrets:?}");
                created += 1;
            }
            assert!(created > 20, "seed {seed} creates {created}");
        }
    }

    #[test]
    fn what_was_in_the_way_is_told_for_whom_it_was() {
        let excuses = |seed| Plan::of(seed, LENGTH).excuses(jiff::Timestamp::UNIX_EPOCH);
        let scopes = |seed| excuses(seed).into_iter().map(|excuse| excuse.scope).collect::<Vec<_>>();
        assert!(scopes(7).contains(&Scope::Everybody));
        assert!(scopes(8).iter().any(|scope| matches!(scope, Scope::Account(_))));
        assert!(scopes(9).iter().any(|scope| matches!(scope, Scope::Image(_))));
        assert!(excuses(9).iter().all(|excuse| excuse.from < excuse.until));
    }

    #[test]
    fn what_stands_in_the_end_is_what_was_not_deleted_as_it_was_edited_last() {
        let share = |name: &str| Object::new(Kind::ImageShare, "n", name);
        let wishes = [
            Wish::Create { object: share("s"), spec: json!({"recipients": [1], "suspend": true}) },
            Wish::Create { object: share("t"), spec: json!({"recipients": [2]}) },
            Wish::Edit { object: share("s"), change: json!({"recipients": [3]}) },
            Wish::Delete { object: share("t") },
        ];
        let standing = Standing::after(&wishes);
        let stands = standing.objects.into_iter().collect::<Vec<_>>();
        assert_eq!(stands, [(share("s"), json!({"recipients": [3], "suspend": true}))]);
        assert_eq!(standing.deleted, [(share("t"), json!({"recipients": [2]}))]);
    }
}
