//! Owners who err, and undo it a few seconds later. What was shared before is shared after, and what somebody deleted
//! meanwhile goes once the mistake is undone.

use rand::RngExt as _;
use serde_json::json;

use super::attempt::Attempt;
use super::author::{Author, Later};
use super::clouds::{Cloud, OWNERS, Seat};
use super::plan::Deed;
use super::wish::{Kind, Object, Wish, text};

/// What an owner does by mistake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Slip {
    /// Another project of its account, in which there are no images.
    OtherProject,
    /// The key of another account in its Secret.
    OtherKey,
    /// A backup's status over an image's.
    RestoredStatus,
    /// An entry in the ledger that cannot be parsed, as a newer version might write.
    OddEntry,
    /// A second `CloudImage` for an image that has one.
    SecondImage,
    /// A selector whose operator there is not.
    MisspeltSelector,
}

/// What the names of second `CloudImages` begin with.
pub(super) const SECOND: &str = "again-";

/// How long a mistake stands, in milliseconds: longer than two looks at an absence are apart.
const STANDS: u64 = 11_000;

/// It is undone by then.
pub(super) const UNDONE: u64 = STANDS + 2_000;

impl Author {
    pub(super) fn err(&mut self, team: usize, slip: Slip) {
        if !self.has_time(UNDONE) {
            return self.edit_share(team);
        }
        match slip {
            Slip::OtherProject => self.take_another_project(team),
            Slip::OtherKey => self.take_another_key(team),
            Slip::RestoredStatus => self.restore_a_status(team),
            Slip::OddEntry => self.spoil_a_ledger(team),
            Slip::SecondImage => self.create_a_second_image(team),
            Slip::MisspeltSelector => self.misspell_a_selector(team),
        }
    }

    fn undo(&mut self, wish: Wish) {
        let millis = STANDS + self.dice.random_range(0..UNDONE - STANDS);
        self.later(millis, Later::Deed(Deed::Wish(wish)));
    }

    /// A share of the team's goes while the mistake stands.
    fn delete_meanwhile(&mut self, team: usize) {
        let shares = self.shares(team);
        if let Some((object, _)) = self.some(&shares) {
            // After the absence of its image was read twice, if it is read.
            let millis = self.dice.random_range(500..STANDS - 500);
            self.later(millis, Later::Deed(Deed::Wish(Wish::Delete { object })));
        }
    }

    fn take_another_project(&mut self, team: usize) {
        let Some(seat) = self.seat(team).filter(|seat| seat.cloud == Cloud::Huawei && self.errs_alone(team)) else {
            return self.spoil_a_ledger(team);
        };
        let Some(object) = self.account(team) else { return };
        let projects = |id: String| json!({"huawei": {"projects": [{"region": seat.cloud.region(), "projectID": id}]}});
        self.erring.insert(object.clone(), self.at + UNDONE);
        self.wish(Wish::Edit { object: object.clone(), change: projects(seat.other_project()) });
        self.delete_meanwhile(team);
        self.undo(Wish::Edit { object, change: projects(seat.id()) });
    }

    fn take_another_key(&mut self, team: usize) {
        let Some(seat) = self.seat(team).filter(|_| self.errs_alone(team)) else { return };
        let Some(object) = self.account(team) else { return };
        let of = Seat::owner(seat.cloud, (seat.owner + 1) % OWNERS);
        self.erring.insert(object.clone(), self.at + UNDONE);
        self.attempt(Attempt::Key { namespace: object.namespace.clone(), seat, of });
        self.delete_meanwhile(team);
        self.undo(Wish::Attempt(Attempt::Key { namespace: object.namespace, seat, of: seat }));
    }

    /// One mistake about an account at a time.
    fn errs_alone(&self, team: usize) -> bool {
        let until = self.account(team).and_then(|account| self.erring.get(&account).copied());
        until.is_none_or(|until| until < self.at)
    }

    pub(super) fn account(&self, team: usize) -> Option<Object> {
        self.team(team, super::author::Team::account)
    }

    /// Later one empty answer about the image may be enough, if what was restored is believed.
    fn restore_a_status(&mut self, team: usize) {
        let images = self.own(team, Kind::CloudImage);
        let Some((image, _)) = self.some(&images) else { return };
        self.attempt(Attempt::Restore { image: image.clone() });
        if self.dice.random_bool(0.4) && self.own(team, Kind::CloudImage).len() > 1 {
            let millis = self.dice.random_range(1_000..3_000);
            self.later(millis, Later::EndImage(image));
        }
    }

    fn spoil_a_ledger(&mut self, team: usize) {
        let images = self.own(team, Kind::CloudImage);
        let in_use = images.into_iter().filter(|(image, _)| !self.shares_of(image).is_empty());
        let in_use: Vec<_> = in_use.collect();
        let Some((image, _)) = self.some(&in_use) else { return };
        self.attempt(Attempt::Spoil { image: image.clone() });
        let shares = self.shares_of(&image);
        if let Some((object, _)) = self.some(&shares) {
            self.later(1_500, Later::Deed(Deed::Wish(Wish::Delete { object })));
        }
        self.undo(Wish::Attempt(Attempt::Clean { image }));
    }

    fn create_a_second_image(&mut self, team: usize) {
        let images = self.own(team, Kind::CloudImage);
        let Some((image, spec)) = self.some(&images) else { return };
        let object = Object::new(Kind::CloudImage, &image.namespace, &format!("{SECOND}{}", image.name));
        if self.standing.objects.contains_key(&object) {
            return;
        }
        let spec = json!({"accountRef": spec.get("accountRef"), "region": text(&spec, "/region"),
            "imageID": text(&spec, "/imageID")});
        self.wish(Wish::Create { object: object.clone(), spec });
        self.undo(Wish::Delete { object });
    }

    fn misspell_a_selector(&mut self, team: usize) {
        let images = self.own(team, Kind::CloudImage);
        let Some((object, _)) = self.some(&images) else { return };
        let selector = json!({"matchExpressions": [{"key": "team", "operator": "in", "values": ["a"]}]});
        let change = json!({"shareableFrom": {"namespaces": {"from": "Selector", "selector": selector}}});
        self.attempt(Attempt::Edit { object: object.clone(), change });
        let from = if self.dice.random_bool(0.5) { "Same" } else { "All" };
        let change = json!({"shareableFrom": {"namespaces": {"from": from, "selector": null}}});
        self.undo(Wish::Edit { object, change });
    }
}
