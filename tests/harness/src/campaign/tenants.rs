//! Tenants who mean harm. They have a namespace of their own and no key at any cloud. They name the images, ids and accounts
//! of others, send every string that the schema admits, create and delete in haste with every policy, ask for reconciles in
//! floods, and delete everything at once. Nothing of that may change anything for anybody else.

use rand::RngExt as _;
use rand::seq::IndexedRandom as _;
use serde_json::{Value, json};

use super::attempt::Attempt;
use super::author::{Author, Later, insert};
use super::clouds::{ACCOMPLICES, Cloud, IMAGES, RECEIVERS, Seat};
use super::fault::Fault;
use super::plan::Deed;
use super::wish::{Kind, Object, Wish, text};

/// What a tenant does to a team.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Harm {
    /// Claims the team's account, without a key, and an image of it: before its owner, or in its place.
    Squat,
    /// Names whom a share loses with shares that go with `Retain`, while the owner's removal takes its time.
    KeepByRetain,
    /// Names accomplices while the owner consents, and goes with `Retain` when the owner does so no more.
    KeepAfterConsent,
    /// A share like any other, with or without consent.
    Guest,
    /// A share whose date no calendar knows, or no program.
    OddDate,
    /// An object with a string that the schema admits and nobody expects.
    OddString,
    /// Asks for reconciles of its objects, as often as it can.
    Flood,
    /// Deletes some of what it has.
    Drop,
    /// Deletes all, and its namespace too.
    DropAll,
}

/// Dates that an API server takes for one.
const ODD_DATES: [&str; 6] = [
    "9999-12-31T23:59:59Z",
    "9999-12-31T23:59:59.999999999Z",
    "2031-06-01T00:00:00+99:00",
    "2031-06-01T00:00:00ZTrash",
    "0000-01-01T00:00:00Z",
    "2016-12-31T23:59:60Z",
];

/// Names that are none, where nothing but their length is asked for.
const ODD_NAMES: [&str; 10] = [
    "golden ubuntu",
    "golden%zz",
    "golden%20image",
    "a/b",
    "..",
    "%2e%2e",
    "?watch=1",
    "#",
    "Ünïcode",
    "\u{202e}nedlog",
];

/// The longest name of an object.
const LONGEST: usize = 253;

/// For how long a removal fails that somebody wants to outlive, in calls.
const FAILURES: u64 = 3;

/// By when accomplices were given what they may have, in milliseconds, also by a busy operator.
const GRANTED: u64 = 6_000;

/// What a tenant has made, so far.
#[derive(Debug, Default)]
pub(super) struct Tenant {
    made: u32,
    /// Counts its namespaces.
    generation: u32,
}

impl Tenant {
    fn namespace(&self) -> String {
        format!("harm-{}", self.generation)
    }
}

impl Author {
    /// The tenant's namespace, with nothing in it.
    pub(super) fn let_in(&mut self) {
        let name = self.tenant.namespace();
        self.wish(Wish::Namespace { name, seats: Vec::new() });
    }

    pub(super) fn harm(&mut self, team: usize, harm: Harm) {
        match harm {
            Harm::Squat => self.squat(team),
            Harm::KeepByRetain => self.keep_by_retain(team),
            Harm::KeepAfterConsent => self.keep_after_consent(team),
            Harm::Guest => self.name_an_image(team, None),
            Harm::OddDate => {
                let date = ODD_DATES.choose(&mut self.dice).copied();
                self.name_an_image(team, date);
            }
            Harm::OddString => self.send_an_odd_string(team),
            Harm::Flood => self.flood(),
            Harm::Drop => self.drop_some(),
            Harm::DropAll => self.drop_all(),
        }
    }

    pub(super) fn attempt(&mut self, attempt: Attempt) {
        self.wish(Wish::Attempt(attempt));
    }

    /// A new object of the tenant's; one in six by the longest name there is.
    fn object_of_tenant(&mut self, kind: Kind) -> Object {
        let number = self.tenant.made;
        self.tenant.made += 1;
        let mut name = format!("mine-{number}");
        if self.dice.random_ratio(1, 6) {
            name = format!("{name}-{}", "x".repeat(LONGEST - name.len() - 1));
        }
        Object::new(kind, &self.tenant.namespace(), &name)
    }

    fn policy(&mut self, other: &'static str) -> &'static str {
        if self.dice.random_bool(0.7) { "Retain" } else { other }
    }

    fn accomplices(&mut self, seat: Seat) -> Value {
        let kind = seat.cloud.recipient_type();
        let count = self.dice.random_range(1..=ACCOMPLICES);
        (0..count).map(|n| json!({"type": kind, "id": seat.accomplice(n).id()})).collect()
    }

    fn an_image(&mut self, team: usize) -> Option<(Object, Value)> {
        let images = self.own(team, Kind::CloudImage);
        self.some(&images)
    }

    /// An account that is the team's or a receiver's, in the tenant's namespace, with a Secret that does not exist.
    fn false_account(&mut self, seat: Seat) -> (Object, Value) {
        let mut spec = seat.account();
        let credentials = format!("/{}/credentials/secretRef/name", seat.cloud.word());
        if let Some(name) = spec.pointer_mut(&credentials) {
            *name = json!("no-such-secret");
        }
        (self.object_of_tenant(Kind::CloudAccount), spec)
    }

    fn squat(&mut self, team: usize) {
        let Some(seat) = self.seat(team) else { return };
        // An image that has no CloudImage yet, or one that has.
        let next = self.team(team, super::author::Team::next_image).unwrap_or_default();
        let ahead = (next + self.dice.random_range(0..2)).min(IMAGES - 1);
        let number = if self.dice.random_bool(0.5) { ahead } else { self.dice.random_range(0..=ahead) };
        let (account, account_spec) = self.false_account(seat);
        let image = self.object_of_tenant(Kind::CloudImage);
        let policy = if self.dice.random_bool(0.5) { "Delete" } else { "Retain" };
        let spec = json!({"accountRef": {"name": account.name}, "region": seat.cloud.region(),
            "imageID": seat.image(number), "deletionPolicy": policy, "unmanagedRecipients": "Revoke"});
        let claims = Attempt::Create { object: account, spec: account_spec };
        let images = Attempt::Create { object: image.clone(), spec };
        if self.dice.random_bool(0.4) {
            // A sleeper: it wakes when its account comes.
            self.attempt(images);
            let millis = self.dice.random_range(500..4_000);
            self.later(millis, Later::Deed(Deed::Wish(Wish::Attempt(claims))));
        } else {
            self.attempt(claims);
            self.attempt(images);
        }
        let recipients = self.accomplices(seat);
        let policy = self.policy("Revoke");
        let share = self.object_of_tenant(Kind::ImageShare);
        let spec = json!({"imageRef": {"name": image.name}, "recipients": recipients, "deletionPolicy": policy});
        self.attempt(Attempt::Create { object: share, spec });
        if seat.cloud == Cloud::Huawei {
            self.answer_for_others(seat, number);
        }
    }

    /// An answer to an offer that somebody else got.
    fn answer_for_others(&mut self, owner: Seat, image: u32) {
        let receiver = owner.recipient(self.dice.random_range(0..RECEIVERS));
        let (account, account_spec) = self.false_account(receiver);
        let spec = json!({"accountRef": {"name": account.name}, "region": owner.cloud.region(),
            "imageID": owner.image(image), "owner": owner.id(), "decision": "Reject", "deletionPolicy": "Reject"});
        self.attempt(Attempt::Create { object: account, spec: account_spec });
        let object = self.object_of_tenant(Kind::SharedImageAcceptance);
        self.attempt(Attempt::Create { object, spec });
    }

    /// The owner's removal fails for a while; meanwhile shares with `Retain` come and go that name whom it is about.
    fn keep_by_retain(&mut self, team: usize) {
        let shares: Vec<_> =
            self.shares(team).into_iter().filter(|(share, _)| share.name.contains("-share-")).collect();
        let (Some((share, spec)), Some(seat)) = (self.some(&shares), self.seat(team)) else { return };
        let Some((image, id)) = self.standing.image_of(&share, &spec).map(|(image, of)| (image.clone(), of.clone()))
        else {
            return;
        };
        if !self.has_time(9_000) {
            return;
        }
        let object = self.object_of_tenant(Kind::ImageShare);
        let recipients = spec.get("recipients").cloned().unwrap_or_default();
        let own = json!({"imageRef": {"name": image.name, "namespace": image.namespace}, "recipients": recipients,
            "deletionPolicy": "Retain"});
        self.fail_removals(0, seat, text(&id, "/imageID"));
        self.attempt(Attempt::Haste { object, spec: own, times: 12 });
        self.later(400, Later::Deed(Deed::Wish(Wish::Delete { object: share })));
    }

    fn fail_removals(&mut self, millis: u64, seat: Seat, image: &str) {
        let fault = json!({"when": {"action": seat.cloud.removing(), "image": image}, "count": FAILURES,
            "then": {"kind": "unavailable"}});
        self.befall(millis, Fault::scripted(fault));
    }

    /// Accomplices come while the owner consents. The share goes with `Retain`: after the owner withdrew its consent and while
    /// the removal takes its time, or with the consent where the image lets shares from elsewhere retain nobody.
    fn keep_after_consent(&mut self, team: usize) {
        let (Some((image, spec)), Some(seat)) = (self.an_image(team), self.seat(team)) else { return };
        if !self.has_time(GRANTED + 3_000) || text(&spec, "/deletionPolicy") == "Delete" {
            return;
        }
        let allows = self.dice.random_bool(0.6);
        let retain = if allows { "Allow" } else { "Forbid" };
        let from = |from: &str| json!({"shareableFrom": {"namespaces": {"from": from}, "retain": retain}});
        self.wish(Wish::Edit { object: image.clone(), change: from("All") });
        let object = self.object_of_tenant(Kind::ImageShare);
        let recipients = self.accomplices(seat);
        let own = json!({"imageRef": {"name": image.name, "namespace": image.namespace}, "recipients": recipients,
            "deletionPolicy": "Retain"});
        self.attempt(Attempt::Create { object: object.clone(), spec: own });
        let withdrawn = GRANTED + self.dice.random_range(0..1_500);
        if allows {
            self.fail_removals(withdrawn, seat, text(&spec, "/imageID"));
            self.later(withdrawn, Later::Deed(Deed::Wish(Wish::Edit { object: image, change: from("Same") })));
        }
        let gone = withdrawn + self.dice.random_range(300..1_200);
        self.later(gone, Later::Deed(Deed::Wish(Wish::Attempt(Attempt::Delete { object }))));
    }

    /// A share of an image of the team's that gives it to accomplices; without consent, also to whom its owner gives it.
    fn name_an_image(&mut self, team: usize, expiry: Option<&str>) {
        let (Some((image, spec)), Some(seat)) = (self.an_image(team), self.seat(team)) else { return };
        let open = text(&spec, "/shareableFrom/namespaces/from") == "All";
        let others = !open && self.dice.random_bool(0.5);
        let recipients = if others { self.recipients(seat) } else { self.accomplices(seat) };
        let object = self.object_of_tenant(Kind::ImageShare);
        let policy = self.policy("Revoke");
        let mut own = json!({"imageRef": {"name": image.name, "namespace": image.namespace}, "recipients": recipients,
            "deletionPolicy": policy});
        if let Some(expiry) = expiry {
            insert(&mut own, "expirationTime", json!(expiry));
        }
        self.attempt(Attempt::Create { object, spec: own });
    }

    fn send_an_odd_string(&mut self, team: usize) {
        let Some(seat) = self.seat(team) else { return };
        let long = "z".repeat(LONGEST);
        let mut names = ODD_NAMES.to_vec();
        names.push(&long);
        let odd = names.choose(&mut self.dice).copied().unwrap_or_default().to_owned();
        let recipients = self.accomplices(seat);
        let region = seat.cloud.region();
        let namespace = self.team(team, super::author::Team::namespace).unwrap_or_default();
        let share = |reference: Value, recipients: Value| {
            json!({"imageRef": reference, "recipients": recipients,
            "deletionPolicy": "Retain"})
        };
        let account = |mut spec: Value, at: &str, value: Value| {
            if let Some(field) = spec.pointer_mut(at) {
                *field = value;
            }
            spec
        };
        let (kind, spec) = match self.dice.random_range(0..10_u32) {
            0 | 1 => (Kind::ImageShare, share(json!({"name": odd}), recipients)),
            2 => (Kind::ImageShare, share(json!({"name": odd, "namespace": namespace}), recipients)),
            3 => {
                let place: String = odd.chars().take(63).collect();
                (Kind::ImageShare, share(json!({"name": "image-0", "namespace": place}), recipients))
            }
            4 => {
                let ids = ["..".to_owned(), "/".to_owned(), "o".repeat(255), ".:/@-".to_owned()];
                let ids: Vec<Value> = ids.iter().map(|id| json!({"type": "Organization", "id": id})).collect();
                (Kind::ImageShare, share(json!({"name": "image-0", "namespace": namespace}), Value::Array(ids)))
            }
            5 => {
                let spec = json!({"accountRef": {"name": odd}, "region": region, "imageID": seat.image(0)});
                (Kind::CloudImage, spec)
            }
            6 => {
                let from = json!({"namespaces": {"from": "Selector", "selector": {
                    "matchExpressions": [{"key": odd, "operator": "in", "values": [odd]}]}}});
                let spec = json!({"accountRef": {"name": "none"}, "region": "no-such-region", "imageID": "x".repeat(128),
                    "shareableFrom": from});
                (Kind::CloudImage, spec)
            }
            7 => {
                let secret = format!("/{}/credentials/secretRef/name", seat.cloud.word());
                let mut spec = account(seat.account(), &secret, json!(odd));
                insert(
                    &mut spec,
                    "inventory",
                    json!({"regions": ["cn hangzhou!", odd.chars().take(63).collect::<String>()]}),
                );
                (Kind::CloudAccount, spec)
            }
            8 => {
                let spec = json!({"accountRef": {"name": odd}, "region": region, "imageID": "x".repeat(128),
                    "owner": "-".repeat(64), "decision": "Accept", "deletionPolicy": "Reject"});
                (Kind::SharedImageAcceptance, spec)
            }
            _ => {
                let name: String = odd.chars().cycle().take(255).collect();
                let spec = json!({"source": {"imageRef": {"name": odd}}, "destination": {"region": region, "name": name},
                    "deletionPolicy": "Delete"});
                (Kind::ImageReplica, spec)
            }
        };
        let object = self.object_of_tenant(kind);
        self.attempt(Attempt::Create { object, spec });
    }

    /// Half of what it has, some more than once.
    fn flood(&mut self) {
        for (object, _) in self.some_of_what_it_has(0.5) {
            let times = self.dice.random_range(5..25);
            self.attempt(Attempt::Annotate { object, times });
        }
    }

    fn some_of_what_it_has(&mut self, share: f64) -> Vec<(Object, Value)> {
        let all = self.standing.attempted.clone();
        all.into_iter().filter(|_| self.dice.random_bool(share)).collect()
    }

    /// What was to change something at a cloud when it goes waits for its account, which never works: it has to give that up.
    /// An account, or an image, goes after what names it.
    fn delete(&mut self, object: Object, spec: &Value) {
        let reference = match object.kind {
            Kind::CloudAccount => Some("/accountRef/name"),
            Kind::CloudImage => Some("/imageRef/name"),
            Kind::ImageShare | Kind::SharedImageAcceptance | Kind::ImageReplica => None,
        };
        if let Some(reference) = reference {
            let names = |other: &Object, spec: &Value| {
                other.namespace == object.namespace && text(spec, reference) == object.name
            };
            let all = self.standing.attempted.clone();
            for (user, spec) in all.into_iter().filter(|(other, spec)| names(other, spec)) {
                self.delete(user, &spec);
            }
        }
        if ["Delete", "Reject"].contains(&text(spec, "/deletionPolicy")) {
            let change = json!({"deletionPolicy": "Retain"});
            self.attempt(Attempt::Edit { object: object.clone(), change });
        }
        self.attempt(Attempt::Delete { object });
    }

    fn drop_some(&mut self) {
        for (object, spec) in self.some_of_what_it_has(0.3) {
            self.delete(object, &spec);
        }
    }

    /// Everything at once; half of the time the namespace with it.
    fn drop_all(&mut self) {
        for (object, spec) in self.standing.attempted.clone() {
            self.delete(object, &spec);
        }
        if self.dice.random_bool(0.5) {
            self.wish(Wish::EndNamespace { name: self.tenant.namespace() });
            self.tenant.generation += 1;
            self.let_in();
        }
    }
}
