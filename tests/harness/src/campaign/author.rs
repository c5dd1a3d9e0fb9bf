//! Who writes the wishes of a plan: from dice, and from what stands so far, so that each wish is one that can be made and
//! its end be told.

use std::collections::{BTreeMap, BTreeSet};

use rand::rngs::StdRng;
use rand::seq::{IndexedRandom as _, SliceRandom as _};
use rand::{RngExt as _, SeedableRng as _};
use serde_json::{Value, json};

use super::attempt::Attempt;
use super::clouds::{Cloud, IMAGES, OWNERS, RECEIVERS, RECIPIENTS, Seat};
use super::fault::Fault;
use super::lean::{Ask, Corner, Lean, one_of};
use super::mistakes::SECOND;
use super::outages::{HELD, SETTLED};
use super::plan::{Deed, Step};
use super::tenants::{Harm, Tenant};
use super::wish::{Kind, Object, Standing, Wish, flag, text};

/// Where the shares live that come from another namespace than their image.
pub(super) const GUESTS: &str = "guests";
/// Where recipients live that answer.
pub(super) const ANSWERS: &str = "answers";

/// Images of one team at a time, names of its shares.
const IMAGES_AT_ONCE: usize = 3;
const SHARE_NAMES: u32 = 7;

/// An owner's people.
#[derive(Debug, Clone)]
pub(super) struct Team {
    pub(super) seat: Seat,
    /// Counts its namespaces.
    pub(super) generation: u32,
    next_image: u32,
    pub(super) next_copy: u32,
    pub(super) key: usize,
}

impl Team {
    pub(super) fn namespace(&self) -> String {
        format!("{}-{}", self.seat.name(), self.generation)
    }

    pub(super) fn next_image(&self) -> u32 {
        self.next_image
    }

    pub(super) fn account(&self) -> Object {
        Object::new(Kind::CloudAccount, &self.namespace(), &self.seat.name())
    }
}

/// What is done later, whatever else is wished until then.
#[derive(Debug)]
pub(super) enum Later {
    Deed(Deed),
    /// An image ends, with all that names it then.
    EndImage(Object),
}

/// Writes a plan's wishes, and the faults that come with them.
#[derive(Debug)]
pub(super) struct Author {
    pub(super) dice: StdRng,
    pub(super) lean: Lean,
    length: u64,
    pub(super) at: u64,
    pub(super) teams: Vec<Team>,
    pub(super) standing: Standing,
    steps: Vec<Step>,
    later: Vec<(u64, Later)>,
    /// What the clouds lied about once: lies about the same thing twice in a row cannot be told from the truth.
    pub(super) lied: BTreeSet<(&'static str, String)>,
    /// Images that are to go and got a stranger.
    pub(super) strangers: BTreeSet<Object>,
    /// A tenant who means harm.
    pub(super) tenant: Tenant,
    /// Accounts about which their owner errs, and until when.
    pub(super) erring: BTreeMap<Object, u64>,
    /// Images about which a call is refused, and teams whose lists are empty: each once.
    pub(super) refused: BTreeSet<Object>,
    pub(super) emptied: BTreeSet<usize>,
}

impl Author {
    pub(super) fn new(seed: u64, length: u64) -> Self {
        let seats = Cloud::ALL.into_iter().flat_map(|cloud| (0..OWNERS).map(move |n| Seat::owner(cloud, n)));
        let team = |seat| Team { seat, generation: 0, next_image: 0, next_copy: 0, key: 0 };
        Self {
            dice: StdRng::seed_from_u64(seed),
            lean: Lean::of(seed),
            length,
            at: 0,
            teams: seats.map(team).collect(),
            standing: Standing::default(),
            steps: Vec::new(),
            later: Vec::new(),
            lied: BTreeSet::new(),
            strangers: BTreeSet::new(),
            tenant: Tenant::default(),
            erring: BTreeMap::new(),
            refused: BTreeSet::new(),
            emptied: BTreeSet::new(),
        }
    }

    /// All wishes until the end.
    pub(super) fn write(mut self) -> Vec<Step> {
        let turns: Vec<(usize, u32)> =
            self.teams.iter().enumerate().map(|(team, of)| (team, self.lean.weight_of(of.seat))).collect();
        self.begin();
        while self.at < self.length {
            // Some come together, most do not.
            let pause = if self.dice.random_bool(0.3) { 0..30 } else { 60..self.lean.longest_pause() };
            let next = self.at + self.dice.random_range(pause);
            self.follow(next);
            self.at = next;
            if let Some(team) = one_of(&turns, &mut self.dice) {
                self.wish_something(team);
            }
        }
        self.follow(u64::MAX);
        self.at = self.at.max(self.length);
        self.end();
        self.steps
    }

    pub(super) fn wish(&mut self, wish: Wish) {
        self.standing.apply(&wish);
        self.steps.push(Step { at: self.at, deed: Deed::Wish(wish) });
    }

    /// A fault that comes with a wish, so many milliseconds from now.
    pub(super) fn befall(&mut self, millis: u64, fault: Fault) {
        self.steps.push(Step { at: self.at + millis, deed: Deed::Fault(fault) });
    }

    /// Whether there is so much time left.
    pub(super) fn has_time(&self, millis: u64) -> bool {
        self.at + millis <= self.length
    }

    /// How much time is left.
    pub(super) fn left(&self) -> u64 {
        self.length.saturating_sub(self.at)
    }

    pub(super) fn later(&mut self, millis: u64, later: Later) {
        self.later.push((self.at + millis, later));
    }

    /// Does what is due until then.
    fn follow(&mut self, until: u64) {
        self.later.sort_by_key(|(at, _)| *at);
        let due = self.later.partition_point(|(at, _)| *at <= until);
        let later = self.later.split_off(due);
        for (at, due) in std::mem::replace(&mut self.later, later) {
            self.at = self.at.max(at);
            match due {
                // What it is about may have gone meanwhile.
                Later::Deed(Deed::Wish(Wish::Edit { object, .. } | Wish::Delete { object }))
                    if !self.standing.objects.contains_key(&object) => {}
                Later::Deed(Deed::Wish(Wish::Rotate { namespace, .. })) if self.standing.ended.contains(&namespace) => {
                }
                Later::Deed(Deed::Wish(wish)) => self.wish(wish),
                Later::Deed(deed) => self.steps.push(Step { at: self.at, deed }),
                Later::EndImage(image) => {
                    if self.standing.objects.contains_key(&image) {
                        self.end_image(image);
                    }
                }
            }
        }
    }

    fn begin(&mut self) {
        self.wish(Wish::Namespace { name: GUESTS.to_owned(), seats: Vec::new() });
        let receivers: Vec<Seat> = (0..OWNERS)
            .flat_map(|owner| (0..RECEIVERS).map(move |n| Seat::owner(Cloud::Huawei, owner).recipient(n)))
            .collect();
        self.wish(Wish::Namespace { name: ANSWERS.to_owned(), seats: receivers.clone() });
        for seat in receivers {
            let object = Object::new(Kind::CloudAccount, ANSWERS, &seat.name());
            self.wish(Wish::Create { object, spec: seat.account() });
        }
        if self.lean.corner.is_adversarial() {
            self.let_in();
        }
        if self.lean.corner == Corner::Tenants {
            // Somebody claims an image before its owner does.
            self.harm(0, Harm::Squat);
        }
        for team in 0..self.teams.len() {
            self.settle_in(team);
            match self.lean.corner {
                Corner::Outages => self.settle_laggards(team),
                Corner::Floods if team % 2 == 0 => self.hold_deletions(team),
                _ => {}
            }
        }
    }

    /// A namespace with an account and two images, of which one is shared.
    fn settle_in(&mut self, team: usize) {
        let Some(Team { seat, .. }) = self.teams.get(team) else { return };
        let seat = *seat;
        let (Some(name), Some(object)) = (self.team(team, Team::namespace), self.team(team, Team::account)) else {
            return;
        };
        self.wish(Wish::Namespace { name, seats: vec![seat] });
        self.wish(Wish::Create { object, spec: seat.account() });
        self.create_image(team);
        self.create_image(team);
        self.create_share(team);
    }

    pub(super) fn team<T>(&self, team: usize, tell: impl Fn(&Team) -> T) -> Option<T> {
        self.teams.get(team).map(tell)
    }

    pub(super) fn seat(&self, team: usize) -> Option<Seat> {
        self.team(team, |team| team.seat)
    }

    /// Nobody holds anything back any more: what must be so can be told.
    fn end(&mut self) {
        let accounts: Vec<Object> = self.suspended(Kind::CloudAccount);
        let shares: Vec<Object> = self.suspended(Kind::ImageShare);
        for object in accounts.into_iter().chain(shares) {
            self.wish(Wish::Edit { object, change: json!({"suspend": false}) });
        }
        // The pause before a refused call is made again is as long as it was refused: their owners do not wait for it.
        for object in std::mem::take(&mut self.refused) {
            self.attempt(Attempt::Annotate { object, times: 1 });
        }
    }

    fn is_suspended(&self, object: &Object) -> bool {
        self.standing.objects.get(object).is_some_and(|spec| flag(spec, "/suspend"))
    }

    fn suspended(&self, kind: Kind) -> Vec<Object> {
        self.standing.of(kind).filter(|(_, spec)| flag(spec, "/suspend")).map(|(object, _)| object.clone()).collect()
    }

    fn wish_something(&mut self, team: usize) {
        match self.lean.ask(&mut self.dice) {
            Ask::CreateShare => self.create_share(team),
            Ask::EditShare => self.edit_share(team),
            Ask::DeleteShare => self.delete_share(team),
            Ask::SuspendShare => self.suspend_share(team),
            Ask::ExpireShare => self.expire_share(team),
            Ask::CreateImage => self.create_image(team),
            Ask::DeleteImage => self.delete_image(team),
            Ask::EditImage => self.edit_image(team),
            Ask::SuspendAccount => self.suspend_account(team),
            Ask::Rotate => self.rotate(team),
            Ask::MoveOut => self.move_out(team),
            Ask::ByHand => self.change_by_hand(team),
            Ask::CreateCopy => self.create_copy(team),
            Ask::DeleteCopy => self.delete_copy(team),
            Ask::Answer => self.answer(team),
            Ask::Stranger => self.leave_a_stranger(team),
            Ask::Waver => self.waver(team),
            Ask::Fleeting => self.come_and_go(team),
            Ask::Unheard => self.come_and_go_unheard(team),
            Ask::EmptyList => self.end_under_an_empty_list(team),
            Ask::NoImage => self.end_under_no_image(team),
            Ask::MissingRows => self.end_under_missing_rows(team),
            Ask::RefusedRemoval => self.end_under_a_refused_removal(team),
            Ask::LostJob => self.lose_a_job(team),
            Ask::Harm(harm) => self.harm(team, harm),
            Ask::Slip(slip) => self.err(team, slip),
            Ask::Hardship(hardship) => self.suffer(team, hardship),
        }
    }

    /// What stands of a kind in a team's namespace, but for what nothing else is asked about.
    pub(super) fn own(&self, team: usize, kind: Kind) -> Vec<(Object, Value)> {
        let namespace = self.team(team, Team::namespace).unwrap_or_default();
        let own = |object: &Object| {
            let aside = [SECOND, SETTLED].iter().any(|prefix| object.name.starts_with(prefix));
            object.namespace == namespace && !aside
        };
        let own = self.standing.of(kind).filter(|(object, _)| own(object));
        own.map(|(object, spec)| (object.clone(), spec.clone())).collect()
    }

    pub(super) fn some(&mut self, from: &[(Object, Value)]) -> Option<(Object, Value)> {
        from.choose(&mut self.dice).cloned()
    }

    /// Shares that name an image, from wherever.
    pub(super) fn shares_of(&self, image: &Object) -> Vec<(Object, Value)> {
        let names = |share: &Object, spec: &Value| {
            let namespace = text(spec, "/imageRef/namespace");
            let namespace = if namespace.is_empty() { &share.namespace } else { namespace };
            text(spec, "/imageRef/name") == image.name && *namespace == *image.namespace
        };
        let shares = self.standing.of(Kind::ImageShare).filter(|(share, spec)| names(share, spec));
        shares.map(|(share, spec)| (share.clone(), spec.clone())).collect()
    }

    pub(super) fn shares(&self, team: usize) -> Vec<(Object, Value)> {
        self.own(team, Kind::CloudImage).iter().flat_map(|(image, _)| self.shares_of(image)).collect()
    }

    pub(super) fn recipients(&mut self, seat: Seat) -> Value {
        let mut numbers: Vec<u32> = (0..RECIPIENTS).collect();
        numbers.shuffle(&mut self.dice);
        numbers.truncate(self.dice.random_range(1..=6));
        let kind = seat.cloud.recipient_type();
        numbers.into_iter().map(|n| json!({"type": kind, "id": seat.recipient(n).id()})).collect()
    }

    fn create_share(&mut self, team: usize) {
        let images = self.own(team, Kind::CloudImage);
        match self.some(&images) {
            Some(image) => {
                if self.share(team, &image).is_none() {
                    self.edit_share(team);
                }
            }
            None => self.create_image(team),
        }
    }

    /// A share of an image, by a name that is free; `None` where none is.
    pub(super) fn share(&mut self, team: usize, (image, image_spec): &(Object, Value)) -> Option<Object> {
        let seat = self.seat(team)?;
        let open = text(image_spec, "/shareableFrom/namespaces/from") == "All";
        let namespace = if open && self.dice.random_bool(0.5) { GUESTS } else { &image.namespace };
        let names = (0..SHARE_NAMES).map(|n| format!("{}-share-{n}", seat.name()));
        let names = names.map(|name| Object::new(Kind::ImageShare, namespace, &name));
        let free: Vec<Object> = names.filter(|name| !self.standing.objects.contains_key(name)).collect();
        let object = free.choose(&mut self.dice)?.clone();
        let recipients = self.recipients(seat);
        let mut spec =
            json!({"imageRef": {"name": image.name, "namespace": image.namespace}, "recipients": recipients});
        let goes = text(image_spec, "/deletionPolicy") == "Delete";
        let stays = if self.lean.corner == Corner::Ends { 0.7 } else { 0.1 };
        if !goes && self.dice.random_bool(stays) {
            insert(&mut spec, "deletionPolicy", json!("Retain"));
        }
        self.wish(Wish::Create { object: object.clone(), spec });
        Some(object)
    }

    pub(super) fn edit_share(&mut self, team: usize) {
        let shares = self.shares(team);
        let Some((object, _)) = self.some(&shares) else { return };
        let Some(seat) = self.seat(team) else { return };
        let recipients = self.recipients(seat);
        self.wish(Wish::Edit { object, change: json!({"recipients": recipients}) });
    }

    pub(super) fn delete_share(&mut self, team: usize) {
        let shares = self.shares(team);
        if let Some((object, _)) = self.some(&shares) {
            self.wish(Wish::Delete { object });
        }
    }

    fn suspend_share(&mut self, team: usize) {
        let shares = self.shares(team);
        if let Some((object, spec)) = self.some(&shares) {
            let change = json!({"suspend": !flag(&spec, "/suspend")});
            self.wish(Wish::Edit { object, change });
        }
    }

    fn expire_share(&mut self, team: usize) {
        let shares = self.shares(team);
        if let Some((object, _)) = self.some(&shares) {
            let millis = self.dice.random_range(500..3_000);
            self.wish(Wish::Expire { object, millis });
        }
    }

    pub(super) fn create_image(&mut self, team: usize) {
        let standing = self.own(team, Kind::CloudImage).len();
        let chance = self.dice.random::<f64>();
        let (goes, open) = match self.lean.corner {
            Corner::Ends => (0.65, 0.6),
            Corner::Tenants => (0.15, 0.7),
            _ => (0.3, 0.6),
        };
        let last = if self.lean.corner == Corner::Floods { IMAGES - HELD } else { IMAGES };
        let Some(team) = self.teams.get_mut(team) else { return };
        if standing >= IMAGES_AT_ONCE || team.next_image >= last {
            return;
        }
        let (seat, number) = (team.seat, team.next_image);
        team.next_image += 1;
        let object = Object::new(Kind::CloudImage, &team.namespace(), &format!("image-{number}"));
        let mut spec = json!({
            "accountRef": {"name": seat.name()}, "region": seat.cloud.region(), "imageID": seat.image(number),
        });
        if chance < goes {
            insert(&mut spec, "deletionPolicy", json!("Delete"));
        } else if chance < open {
            // Some let shares from elsewhere leave their recipients behind.
            let retain = if number % 3 == 0 { "Allow" } else { "Forbid" };
            insert(&mut spec, "shareableFrom", json!({"namespaces": {"from": "All"}, "retain": retain}));
        }
        let revokes = if self.lean.corner == Corner::Places { 0.3..0.8 } else { 0.5..0.7 };
        if revokes.contains(&chance) {
            insert(&mut spec, "unmanagedRecipients", json!("Revoke"));
        }
        self.wish(Wish::Create { object, spec });
    }

    fn delete_image(&mut self, team: usize) {
        let images = self.own(team, Kind::CloudImage);
        if images.len() < 2 {
            return;
        }
        if let Some((image, _)) = self.some(&images) {
            self.end_image(image);
        }
    }

    /// With all shares and copies that name it, in either order; or one share expires, and goes a while after the others:
    /// as long as it is there, so is the image.
    fn end_image(&mut self, image: Object) {
        let copies = self.standing.of(Kind::ImageReplica).filter(|(copy, spec)| {
            copy.namespace == image.namespace && text(spec, "/source/imageRef/name") == image.name
        });
        let copies: Vec<Object> = copies.map(|(copy, _)| copy.clone()).collect();
        let mut going: Vec<Object> =
            self.shares_of(&image).into_iter().map(|(object, _)| object).chain(copies).collect();
        let first = self.dice.random_bool(0.5);
        let last =
            going.iter().position(|object| object.kind == Kind::ImageShare).filter(|_| self.dice.random_bool(0.5));
        if let Some(object) = last.map(|last| going.remove(last)) {
            if !self.standing.expired.contains(&object) {
                self.wish(Wish::Expire { object: object.clone(), millis: 500 });
            }
            let millis = self.dice.random_range(5_000..8_000);
            self.later(millis, Later::Deed(Deed::Wish(Wish::Delete { object })));
        }
        going.insert(if first { 0 } else { going.len() }, image);
        for object in going {
            self.wish(Wish::Delete { object });
        }
    }

    /// Consent is withdrawn, or given.
    fn edit_image(&mut self, team: usize) {
        let images = self.own(team, Kind::CloudImage);
        if let Some((object, spec)) = self.some(&images) {
            let from = if text(&spec, "/shareableFrom/namespaces/from") == "All" { "Same" } else { "All" };
            let mut namespaces = json!({"from": from});
            if self.lean.corner == Corner::Mistakes {
                // There may be a misspelt one.
                insert(&mut namespaces, "selector", Value::Null);
            }
            self.wish(Wish::Edit { object, change: json!({"shareableFrom": {"namespaces": namespaces}}) });
        }
    }

    fn suspend_account(&mut self, team: usize) {
        let accounts = self.own(team, Kind::CloudAccount);
        if let Some((object, spec)) = self.some(&accounts) {
            let change = json!({"suspend": !flag(&spec, "/suspend")});
            self.wish(Wish::Edit { object, change });
        }
    }

    /// The namespace goes with all that is in it, and another one comes.
    fn move_out(&mut self, team: usize) {
        let Some(Team { generation: 0, .. }) = self.teams.get(team) else { return };
        let guests = self.shares(team).into_iter().filter(|(share, _)| share.namespace == GUESTS);
        guests.collect::<Vec<_>>().into_iter().for_each(|(object, _)| self.wish(Wish::Delete { object }));
        // While it is suspended nothing can be ended.
        let suspended = self.team(team, Team::account).filter(|account| self.is_suspended(account));
        if let Some(object) = suspended {
            self.wish(Wish::Edit { object, change: json!({"suspend": false}) });
        }
        if let Some(name) = self.team(team, Team::namespace) {
            self.wish(Wish::EndNamespace { name });
        }
        if let Some(team) = self.teams.get_mut(team) {
            team.generation += 1;
        }
        self.settle_in(team);
    }
}

pub(super) fn insert(object: &mut Value, field: &str, value: Value) {
    if let Some(fields) = object.as_object_mut() {
        fields.insert(field.to_owned(), value);
    }
}
