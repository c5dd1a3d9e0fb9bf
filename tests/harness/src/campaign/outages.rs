//! Clouds at their worst: one call is refused for long with a code that nobody knows, what was done shows half a minute
//! late, deletions take their time, and an account's lists are empty. Everybody else's images are served meanwhile.

use rand::RngExt as _;
use serde_json::{Value, json};

use super::author::{Author, GUESTS, Later, insert};
use super::clouds::{Cloud, IMAGES, SETTLED_IMAGES, SETTLED_RECIPIENTS};
use super::fault::Fault;
use super::plan::Deed;
use super::wish::{Kind, Object, Wish, text};
use crate::auditor::Scope;

/// What a cloud does to a team.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hardship {
    /// It refuses to take an image from anybody, with a code that nobody knows.
    RefusedRemoval,
    /// It refuses to give an image to anybody, likewise.
    RefusedAddition,
    /// It takes its time to delete an image.
    SlowDeletion,
    /// Its lists of images are empty for the whole account.
    EmptyAccount,
}

/// A code that no client knows.
const UNKNOWN: &str = "SomethingNew.NotInAnyTable";

/// The longest that one call is refused, in milliseconds, where there is so much time.
const REFUSED: u64 = 90_000;

/// How late a change shows, in milliseconds, and from when on.
const LAG: u64 = 30_000;
const LAG_FROM: u64 = 5_000;

/// What the names of images begin with that some have had for long. Nothing else is asked about them: where changes show
/// later than an absence is waited for, who was just added cannot be told from who never was.
pub(super) const SETTLED: &str = "settled-";

/// How long an account's lists are empty, in milliseconds.
const EMPTY: u64 = 8_000;
const EMPTY_FROM: u64 = 9_000;

/// What is left for the outage to end before the plan does.
const LEFT: u64 = 2_000;

/// Images that are to go while guests still share them, and from when on.
pub(super) const HELD: u32 = 14;
const HELD_FROM: u64 = 6_000;

impl Author {
    pub(super) fn suffer(&mut self, team: usize, hardship: Hardship) {
        match hardship {
            Hardship::RefusedRemoval => self.refuse_a_removal(team),
            Hardship::RefusedAddition => self.refuse_an_addition(team),
            Hardship::SlowDeletion => self.delete_slowly(team),
            Hardship::EmptyAccount => self.empty_an_account(team),
        }
    }

    fn outage(&mut self, fault: Value, millis: u64, scope: Scope) {
        self.befall(0, Fault::Outage { fault, millis, scope });
    }

    fn refuse(&mut self, action: &str, image: &str) {
        let then = json!({"kind": "refuse", "status": 400, "code": UNKNOWN, "message": "something new"});
        let fault = json!({"when": {"action": action, "image": image}, "then": then});
        let millis = self.left().saturating_sub(LEFT).min(REFUSED);
        self.outage(fault, millis, Scope::Image(image.to_owned()));
    }

    /// One image of each team is enough: the others are to be served meanwhile.
    fn may_refuse(&mut self, image: &Object) -> bool {
        let first = self.refused.iter().all(|other| other.namespace != image.namespace);
        self.has_time(10_000) && first && self.refused.insert(image.clone())
    }

    fn refuse_a_removal(&mut self, team: usize) {
        let shares = self.shares(team);
        let (Some((object, spec)), Some(seat)) = (self.some(&shares), self.seat(team)) else { return };
        let image = self.standing.image_of(&object, &spec).map(|(image, of)| (image.clone(), of.clone()));
        let Some((image, of)) = image else { return };
        if self.may_refuse(&image) {
            self.refuse(seat.cloud.removing(), text(&of, "/imageID"));
        }
        self.wish(Wish::Delete { object });
    }

    fn refuse_an_addition(&mut self, team: usize) {
        let images = self.own(team, Kind::CloudImage);
        let (Some(image), Some(seat)) = (self.some(&images), self.seat(team)) else { return };
        if self.may_refuse(&image.0) {
            self.refuse(seat.cloud.adding(), text(&image.1, "/imageID"));
        }
        self.share(team, &image);
    }

    /// The image goes from the cloud with its `CloudImage`, late.
    fn delete_slowly(&mut self, team: usize) {
        let images = self.own(team, Kind::CloudImage);
        let going: Vec<_> =
            images.iter().filter(|(_, spec)| text(spec, "/deletionPolicy") == "Delete").cloned().collect();
        let Some((image, spec)) = self.some(&going).filter(|_| images.len() > 1) else {
            return self.create_image(team);
        };
        let millis = 15_000;
        if self.seat(team).is_some_and(|seat| seat.cloud == Cloud::Huawei) && self.has_time(millis + LEFT) {
            let id = text(&spec, "/imageID");
            let fault = json!({"when": {"action": "GlanceDeleteImage", "image": id},
                "then": {"kind": "jobSlow", "millis": millis}});
            self.outage(fault, millis, Scope::Image(id.to_owned()));
        }
        self.later(0, Later::EndImage(image));
    }

    /// Shares go meanwhile: that nothing shows proves nothing.
    fn empty_an_account(&mut self, team: usize) {
        // Who has had an image for long was seen to have it by then.
        let in_time = self.at > EMPTY_FROM && self.has_time(EMPTY + LEFT);
        let Some(seat) = self.seat(team).filter(|_| in_time) else { return self.edit_share(team) };
        if !self.emptied.insert(team) {
            return self.delete_share(team);
        }
        let fault = json!({"when": {"action": seat.cloud.listing_images(), "account": seat.id()},
            "then": {"kind": "emptyList"}});
        self.outage(fault, EMPTY, Scope::Account(seat.id()));
        for _ in 0..2 {
            let shares = self.shares(team);
            if let Some((object, _)) = self.some(&shares) {
                let millis = self.dice.random_range(1_000..EMPTY - 1_000);
                self.later(millis, Later::Deed(Deed::Wish(Wish::Delete { object })));
            }
        }
    }

    /// Images that some have had for long; what is taken from them shows half a minute later.
    pub(super) fn settle_laggards(&mut self, team: usize) {
        let (Some(seat), Some(namespace)) = (self.seat(team), self.team(team, super::author::Team::namespace)) else {
            return;
        };
        // The simulated Huawei Cloud shows nobody as of a time before it was there.
        if seat.cloud == Cloud::Huawei {
            return;
        }
        for number in IMAGES..IMAGES + SETTLED_IMAGES {
            let id = seat.image(number);
            let image = Object::new(Kind::CloudImage, &namespace, &format!("{SETTLED}{number}"));
            let spec = json!({"accountRef": {"name": seat.name()}, "region": seat.cloud.region(), "imageID": id});
            self.wish(Wish::Create { object: image.clone(), spec });
            let kind = seat.cloud.recipient_type();
            let ids = (0..SETTLED_RECIPIENTS).map(|n| json!({"type": kind, "id": seat.recipient(n).id()}));
            let recipients: Vec<Value> = ids.collect();
            let share = Object::new(Kind::ImageShare, &namespace, &format!("{SETTLED}{number}"));
            let spec = json!({"imageRef": {"name": image.name}, "recipients": recipients});
            self.wish(Wish::Create { object: share.clone(), spec });
            let millis = self.left().saturating_sub(LAG_FROM + LEFT).min(LAG);
            let fault = json!({"when": {"action": seat.cloud.listing(), "image": id},
                "then": {"kind": "describeLag", "millis": LAG}});
            self.befall(LAG_FROM, Fault::Outage { fault, millis, scope: Scope::Image(id) });
            let ends = if number == IMAGES {
                Wish::Delete { object: share }
            } else {
                let kept: Vec<Value> = recipients.into_iter().skip(1).collect();
                Wish::Edit { object: share, change: json!({"recipients": kept}) }
            };
            self.later(LAG_FROM + 1_000, Later::Deed(Deed::Wish(ends)));
        }
    }

    /// Images that are deleted all at once, while guests go on to share them: they stay until those let them go.
    pub(super) fn hold_deletions(&mut self, team: usize) {
        let (Some(seat), Some(namespace)) = (self.seat(team), self.team(team, super::author::Team::namespace)) else {
            return;
        };
        for number in IMAGES - HELD..IMAGES {
            let image = Object::new(Kind::CloudImage, &namespace, &format!("image-{number}"));
            let mut spec = json!({"accountRef": {"name": seat.name()}, "region": seat.cloud.region(),
                "imageID": seat.image(number)});
            insert(&mut spec, "shareableFrom", json!({"namespaces": {"from": "All"}}));
            self.wish(Wish::Create { object: image.clone(), spec });
            let share = Object::new(Kind::ImageShare, GUESTS, &format!("held-{}-{number}", seat.name()));
            let recipients = json!([{"type": seat.cloud.recipient_type(), "id": seat.recipient(0).id()}]);
            let spec = json!({"imageRef": {"name": image.name, "namespace": namespace}, "recipients": recipients});
            self.wish(Wish::Create { object: share, spec });
            self.later(HELD_FROM, Later::Deed(Deed::Wish(Wish::Delete { object: image })));
        }
    }
}
