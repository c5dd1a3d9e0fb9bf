//! Who writes the wishes of a plan: from dice, and from what stands so far, so that each wish is one that can be made and
//! its end be told.

use rand::rngs::StdRng;
use rand::seq::{IndexedRandom as _, SliceRandom as _};
use rand::{RngExt as _, SeedableRng as _};
use serde_json::{Value, json};

use super::clouds::{Cloud, IMAGES, OWNERS, RECEIVERS, RECIPIENTS, STRANGERS, Seat};
use super::plan::{ByHand, Deed, Step};
use super::wish::{Kind, Object, Standing, Wish, flag, text};

/// Where the shares live that come from another namespace than their image.
pub(super) const GUESTS: &str = "guests";
/// Where recipients live that answer.
const ANSWERS: &str = "answers";

/// Images of one team at a time, names of its shares, copies it may ask for.
const IMAGES_AT_ONCE: usize = 3;
const SHARE_NAMES: u32 = 7;
const COPIES: u32 = 5;

/// An owner's people.
#[derive(Debug, Clone)]
struct Team {
    seat: Seat,
    /// Counts its namespaces.
    generation: u32,
    next_image: u32,
    next_copy: u32,
    key: usize,
}

impl Team {
    fn namespace(&self) -> String {
        format!("{}-{}", self.seat.name(), self.generation)
    }

    fn account(&self) -> Object {
        Object::new(Kind::CloudAccount, &self.namespace(), &self.seat.name())
    }
}

/// Writes a plan's wishes.
#[derive(Debug)]
pub(super) struct Author {
    dice: StdRng,
    at: u64,
    teams: Vec<Team>,
    standing: Standing,
    steps: Vec<Step>,
    /// Shares that are deleted some time after their image, and when.
    behind: Vec<(u64, Object)>,
}

impl Author {
    pub(super) fn new(seed: u64) -> Self {
        let seats = Cloud::ALL.into_iter().flat_map(|cloud| (0..OWNERS).map(move |n| Seat::owner(cloud, n)));
        let team = |seat| Team { seat, generation: 0, next_image: 0, next_copy: 0, key: 0 };
        let (steps, standing, behind) = (Vec::new(), Standing::default(), Vec::new());
        Self { dice: StdRng::seed_from_u64(seed), at: 0, teams: seats.map(team).collect(), standing, steps, behind }
    }

    /// All wishes until then.
    pub(super) fn write(mut self, length: u64) -> Vec<Step> {
        self.begin();
        while self.at < length {
            // Some come together, most do not.
            let pause = if self.dice.random_bool(0.3) { 0..30 } else { 60..500 };
            let next = self.at + self.dice.random_range(pause);
            self.follow(next);
            self.at = next;
            let team = self.dice.random_range(0..self.teams.len());
            self.wish_something(team);
        }
        self.follow(u64::MAX);
        self.at = self.at.max(length);
        self.end();
        self.steps
    }

    fn wish(&mut self, wish: Wish) {
        self.standing.apply(&wish);
        self.steps.push(Step { at: self.at, deed: Deed::Wish(wish) });
    }

    /// Deletes the shares that were left behind until then.
    fn follow(&mut self, until: u64) {
        self.behind.sort();
        let later = self.behind.partition_point(|(at, _)| *at <= until);
        let later = self.behind.split_off(later);
        for (at, object) in std::mem::replace(&mut self.behind, later) {
            self.at = self.at.max(at);
            self.wish(Wish::Delete { object });
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
        for team in 0..self.teams.len() {
            self.settle_in(team);
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

    fn team<T>(&self, team: usize, tell: impl Fn(&Team) -> T) -> Option<T> {
        self.teams.get(team).map(tell)
    }

    /// Nobody holds anything back any more: what must be so can be told.
    fn end(&mut self) {
        let accounts: Vec<Object> = self.suspended(Kind::CloudAccount);
        let shares: Vec<Object> = self.suspended(Kind::ImageShare);
        for object in accounts.into_iter().chain(shares) {
            self.wish(Wish::Edit { object, change: json!({"suspend": false}) });
        }
    }

    fn is_suspended(&self, object: &Object) -> bool {
        self.standing.objects.get(object).is_some_and(|spec| flag(spec, "/suspend"))
    }

    fn suspended(&self, kind: Kind) -> Vec<Object> {
        self.standing.of(kind).filter(|(_, spec)| flag(spec, "/suspend")).map(|(object, _)| object.clone()).collect()
    }

    fn wish_something(&mut self, team: usize) {
        let is_huawei = self.team(team, |team| team.seat.cloud) == Some(Cloud::Huawei);
        match self.dice.random_range(0..100_u32) {
            0..22 => self.create_share(team),
            22..44 => self.edit_share(team),
            44..56 => self.delete_share(team),
            56..61 => self.suspend_share(team),
            61..64 => self.expire_share(team),
            64..68 => self.create_image(team),
            68..71 => self.delete_image(team),
            71..73 => self.edit_image(team),
            73..75 => self.suspend_account(team),
            75..78 => self.rotate(team),
            78..79 => self.move_out(team),
            79..86 => self.change_by_hand(team),
            86..90 => self.create_copy(team),
            90..92 => self.delete_copy(team),
            _ if is_huawei => self.answer(team),
            _ => self.edit_share(team),
        }
    }

    /// What stands of a kind in a team's namespace.
    fn own(&self, team: usize, kind: Kind) -> Vec<(Object, Value)> {
        let namespace = self.team(team, Team::namespace).unwrap_or_default();
        let own = self.standing.of(kind).filter(|(object, _)| object.namespace == namespace);
        own.map(|(object, spec)| (object.clone(), spec.clone())).collect()
    }

    fn some(&mut self, from: &[(Object, Value)]) -> Option<(Object, Value)> {
        from.choose(&mut self.dice).cloned()
    }

    /// Shares that name an image, from wherever.
    fn shares_of(&self, image: &Object) -> Vec<(Object, Value)> {
        let names = |share: &Object, spec: &Value| {
            let namespace = text(spec, "/imageRef/namespace");
            let namespace = if namespace.is_empty() { &share.namespace } else { namespace };
            text(spec, "/imageRef/name") == image.name && *namespace == *image.namespace
        };
        let shares = self.standing.of(Kind::ImageShare).filter(|(share, spec)| names(share, spec));
        shares.map(|(share, spec)| (share.clone(), spec.clone())).collect()
    }

    fn shares(&self, team: usize) -> Vec<(Object, Value)> {
        self.own(team, Kind::CloudImage).iter().flat_map(|(image, _)| self.shares_of(image)).collect()
    }

    fn recipients(&mut self, seat: Seat) -> Value {
        let mut numbers: Vec<u32> = (0..RECIPIENTS).collect();
        numbers.shuffle(&mut self.dice);
        numbers.truncate(self.dice.random_range(1..=6));
        let kind = seat.cloud.recipient_type();
        numbers.into_iter().map(|n| json!({"type": kind, "id": seat.recipient(n).id()})).collect()
    }

    fn create_share(&mut self, team: usize) {
        let images = self.own(team, Kind::CloudImage);
        let Some(seat) = self.team(team, |team| team.seat) else { return };
        let Some((image, image_spec)) = self.some(&images) else { return self.create_image(team) };
        let open = text(&image_spec, "/shareableFrom/namespaces/from") == "All";
        let namespace = if open && self.dice.random_bool(0.5) { GUESTS } else { &image.namespace };
        let name = format!("{}-share-{}", seat.name(), self.dice.random_range(0..SHARE_NAMES));
        let object = Object::new(Kind::ImageShare, namespace, &name);
        if self.standing.objects.contains_key(&object) {
            return self.edit_share(team);
        }
        let recipients = self.recipients(seat);
        let mut spec =
            json!({"imageRef": {"name": image.name, "namespace": image.namespace}, "recipients": recipients});
        let goes = text(&image_spec, "/deletionPolicy") == "Delete";
        if !goes && self.dice.random_bool(0.1) {
            insert(&mut spec, "deletionPolicy", json!("Retain"));
        }
        self.wish(Wish::Create { object, spec });
    }

    fn edit_share(&mut self, team: usize) {
        let shares = self.shares(team);
        let Some((object, _)) = self.some(&shares) else { return };
        let Some(seat) = self.team(team, |team| team.seat) else { return };
        let recipients = self.recipients(seat);
        self.wish(Wish::Edit { object, change: json!({"recipients": recipients}) });
    }

    fn delete_share(&mut self, team: usize) {
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

    fn create_image(&mut self, team: usize) {
        let standing = self.own(team, Kind::CloudImage).len();
        let chance = self.dice.random::<f64>();
        let Some(team) = self.teams.get_mut(team) else { return };
        if standing >= IMAGES_AT_ONCE || team.next_image >= IMAGES {
            return;
        }
        let (seat, number) = (team.seat, team.next_image);
        team.next_image += 1;
        let object = Object::new(Kind::CloudImage, &team.namespace(), &format!("image-{number}"));
        let mut spec = json!({
            "accountRef": {"name": seat.name()}, "region": seat.cloud.region(), "imageID": seat.image(number),
        });
        if chance < 0.3 {
            insert(&mut spec, "deletionPolicy", json!("Delete"));
        } else if chance < 0.6 {
            insert(&mut spec, "shareableFrom", json!({"namespaces": {"from": "All"}}));
        }
        if (0.5..0.7).contains(&chance) {
            insert(&mut spec, "unmanagedRecipients", json!("Revoke"));
        }
        self.wish(Wish::Create { object, spec });
    }

    /// With all shares and copies that name it, in either order; or one share expires, and goes a while after the others:
    /// as long as it is there, so is the image.
    fn delete_image(&mut self, team: usize) {
        let images = self.own(team, Kind::CloudImage);
        if images.len() < 2 {
            return;
        }
        let Some((image, _)) = self.some(&images) else { return };
        let copies = self.own(team, Kind::ImageReplica);
        let copies = copies.into_iter().filter(|(_, spec)| text(spec, "/source/imageRef/name") == image.name);
        let mut going: Vec<Object> =
            self.shares_of(&image).into_iter().chain(copies).map(|(object, _)| object).collect();
        let first = self.dice.random_bool(0.5);
        let last =
            going.iter().position(|object| object.kind == Kind::ImageShare).filter(|_| self.dice.random_bool(0.5));
        if let Some(object) = last.map(|last| going.remove(last)) {
            if !self.standing.expired.contains(&object) {
                self.wish(Wish::Expire { object: object.clone(), millis: 500 });
            }
            self.behind.push((self.at + self.dice.random_range(3_000..5_000), object));
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
            self.wish(Wish::Edit { object, change: json!({"shareableFrom": {"namespaces": {"from": from}}}) });
        }
    }

    fn suspend_account(&mut self, team: usize) {
        let accounts = self.own(team, Kind::CloudAccount);
        if let Some((object, spec)) = self.some(&accounts) {
            let change = json!({"suspend": !flag(&spec, "/suspend")});
            self.wish(Wish::Edit { object, change });
        }
    }

    fn rotate(&mut self, team: usize) {
        let withdrawn_first = self.dice.random_bool(0.3);
        let Some(team) = self.teams.get_mut(team) else { return };
        // The Secret of a namespace that goes is not changed any more: its key stays good.
        if team.generation > 0 {
            return;
        }
        team.key = 1 - team.key;
        let (namespace, seat, to) = (team.namespace(), team.seat, team.key);
        self.wish(Wish::Rotate { namespace, seat, to, withdrawn_first });
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

    /// Images that are to be deleted get nobody by hand: who they are to go from is not asked.
    fn change_by_hand(&mut self, team: usize) {
        let images = self.own(team, Kind::CloudImage);
        let images: Vec<_> = images.into_iter().filter(|(_, spec)| text(spec, "/deletionPolicy") != "Delete").collect();
        let Some((_, spec)) = self.some(&images) else { return };
        let Some(seat) = self.team(team, |team| team.seat) else { return };
        let known = seat.recipient(self.dice.random_range(0..RECIPIENTS)).id();
        let stranger = seat.stranger(self.dice.random_range(0..STRANGERS)).id();
        let (add, remove) = match self.dice.random_range(0..6_u32) {
            0 | 1 => (vec![stranger], Vec::new()),
            2 => (vec![known], Vec::new()),
            3 => (Vec::new(), vec![stranger]),
            _ => (Vec::new(), vec![known]),
        };
        let huawei = seat.cloud == Cloud::Huawei;
        let change = ByHand { huawei, image: text(&spec, "/imageID").to_owned(), add, remove };
        self.steps.push(Step { at: self.at, deed: Deed::ByHand(change) });
    }

    fn create_copy(&mut self, team: usize) {
        let images = self.own(team, Kind::CloudImage);
        let Some((image, _)) = self.some(&images) else { return };
        let lasting = self.dice.random_bool(0.5);
        let Some(team) = self.teams.get_mut(team) else { return };
        if team.next_copy >= COPIES {
            return;
        }
        let name = format!("copy-{}-{}", team.seat.name(), team.next_copy);
        team.next_copy += 1;
        let object = Object::new(Kind::ImageReplica, &team.namespace(), &name);
        let mut destination = json!({"region": team.seat.cloud.elsewhere(), "name": name});
        if team.seat.cloud == Cloud::Huawei {
            insert(&mut destination, "agencyName", json!("copies"));
        }
        let spec = json!({"source": {"imageRef": {"name": image.name}}, "destination": destination,
            "deletionPolicy": if lasting { "Retain" } else { "Delete" }});
        self.wish(Wish::Create { object, spec });
    }

    fn delete_copy(&mut self, team: usize) {
        let copies = self.own(team, Kind::ImageReplica);
        if let Some((object, _)) = self.some(&copies) {
            self.wish(Wish::Delete { object });
        }
    }

    /// A receiver answers an offer, answers otherwise, or takes the answer back.
    fn answer(&mut self, team: usize) {
        let images = self.own(team, Kind::CloudImage);
        let (Some((image, spec)), Some(owner)) = (self.some(&images), self.team(team, |team| team.seat)) else {
            return;
        };
        let receiver = owner.recipient(self.dice.random_range(0..RECEIVERS));
        let object = Object::new(Kind::SharedImageAcceptance, ANSWERS, &format!("{}-{}", receiver.name(), image.name));
        let decision = |accept: bool| if accept { "Accept" } else { "Reject" };
        match self.standing.objects.get(&object).cloned() {
            Some(_) if self.dice.random_bool(0.3) => self.wish(Wish::Delete { object }),
            Some(old) => {
                let change = json!({"decision": decision(text(&old, "/decision") != "Accept")});
                self.wish(Wish::Edit { object, change });
            }
            None => {
                let decision = decision(self.dice.random_bool(0.7));
                let spec = json!({"accountRef": {"name": receiver.name()}, "region": text(&spec, "/region"),
                    "imageID": text(&spec, "/imageID"), "owner": owner.id(), "decision": decision});
                self.wish(Wish::Create { object, spec });
            }
        }
    }
}

fn insert(object: &mut Value, field: &str, value: Value) {
    if let Some(fields) = object.as_object_mut() {
        fields.insert(field.to_owned(), value);
    }
}
