//! What a team wishes beside shares: other keys, copies, the answers of its receivers; and what somebody changes by hand.

use rand::RngExt as _;
use serde_json::json;

use super::author::{ANSWERS, Author, Later, insert};
use super::clouds::{Cloud, RECEIVERS, RECIPIENTS, STRANGERS};
use super::fault::{Fault, Trouble};
use super::lean::Corner;
use super::plan::{ByHand, Deed};
use super::wish::{Kind, Object, Wish, text};

/// Copies that a team may ask for.
const COPIES: u32 = 12;

impl Author {
    /// Images that are to be deleted get nobody by hand: who they are to go from is not asked.
    pub(super) fn change_by_hand(&mut self, team: usize) {
        let images = self.own(team, Kind::CloudImage);
        let images: Vec<_> = images.into_iter().filter(|(_, spec)| text(spec, "/deletionPolicy") != "Delete").collect();
        let Some((_, spec)) = self.some(&images) else { return };
        let Some(seat) = self.seat(team) else { return };
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
        self.later(0, Later::Deed(Deed::ByHand(change)));
    }

    pub(super) fn rotate(&mut self, team: usize) {
        let overlap = if self.dice.random_bool(0.3) { None } else { Some(self.lean.overlap()) };
        let Some(team) = self.teams.get_mut(team) else { return };
        // The Secret of a namespace that goes is not changed any more: its key stays good.
        if team.generation > 0 {
            return;
        }
        team.key = 1 - team.key;
        let (namespace, seat, to) = (team.namespace(), team.seat, team.key);
        let rotation = Wish::Rotate { namespace, seat, to, overlap };
        if self.lean.corner == Corner::OldNews && self.has_time(3_000) {
            // Between two reads of one key there is time for the other one.
            let trouble = Trouble::Late(self.dice.random_range(400..900));
            self.befall(0, Fault::Kubernetes { trouble, about: "/secrets/", writes: false, times: 30, millis: 3_000 });
            return self.later(1_800, Later::Deed(Deed::Wish(rotation)));
        }
        self.wish(rotation);
    }

    pub(super) fn create_copy(&mut self, team: usize) {
        let images = self.own(team, Kind::CloudImage);
        let Some((image, image_spec)) = self.some(&images) else { return };
        let lasting = self.dice.random_bool(0.5);
        let loses = self.lean.corner == Corner::Copies && self.has_time(100) && self.dice.random_bool(0.6);
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
        if loses {
            let action = team.seat.cloud.copying();
            let when = json!({"action": action, "image": text(&image_spec, "/imageID")});
            self.befall(0, Fault::scripted(json!({"when": when, "count": 1, "then": {"kind": "cutAfter"}})));
        }
        self.wish(Wish::Create { object, spec });
    }

    pub(super) fn delete_copy(&mut self, team: usize) {
        let copies = self.own(team, Kind::ImageReplica);
        if let Some((object, _)) = self.some(&copies) {
            self.wish(Wish::Delete { object });
        }
    }

    /// A receiver answers an offer, answers otherwise, or takes the answer back.
    pub(super) fn answer(&mut self, team: usize) {
        if self.team(team, |team| team.seat.cloud) != Some(Cloud::Huawei) {
            return self.edit_share(team);
        }
        let images = self.own(team, Kind::CloudImage);
        let (Some((image, spec)), Some(owner)) = (self.some(&images), self.seat(team)) else {
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
                // Some trust another than the image's owner: those are never answered.
                let trusted = if self.dice.random_bool(0.15) { owner.stranger(0) } else { owner };
                let spec = json!({"accountRef": {"name": receiver.name()}, "region": text(&spec, "/region"),
                    "imageID": text(&spec, "/imageID"), "owner": trusted.id(), "decision": decision});
                self.wish(Wish::Create { object, spec });
            }
        }
    }
}
