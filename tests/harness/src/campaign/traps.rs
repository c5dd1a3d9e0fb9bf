//! Wishes that come together with what makes them dangerous: a share that ends while its image cannot be seen as it is,
//! that is taken back while it is heard of late, or that goes before its recipients come.

use rand::RngExt as _;
use serde_json::{Value, json};

use super::author::{Author, Later};
use super::clouds::{Cloud, STRANGERS};
use super::fault::{Fault, Trouble};
use super::lean::Corner;
use super::plan::{ByHand, Deed};
use super::wish::{Kind, Object, Wish, text};

/// How long after an image got a stranger it is deleted: whoever looks has seen it.
const SEEN: u64 = 3_200;
/// How long after that the stranger goes, and the image can.
const STAYS: u64 = 6_000;

/// How long changes of images are not heard of.
const UNHEARD: u64 = 3_500;

impl Author {
    fn image_id(&self, share: &Object, spec: &Value) -> Option<String> {
        self.standing.image_of(share, spec).map(|(_, image)| text(image, "/imageID").to_owned())
    }

    /// Deletes a share; meanwhile this befalls calls of this action about its image. Any other share where the cloud is
    /// another one, or has told this lie of the image before.
    fn end_under(&mut self, team: usize, (cloud, lie): (Cloud, &'static str), trap: impl Fn(&mut Self, &str)) {
        let shares = self.shares(team);
        let Some((object, spec)) = self.some(&shares) else { return };
        let fits = self.seat(team).is_some_and(|seat| seat.cloud == cloud) && self.has_time(UNHEARD);
        if let Some(image) = self.image_id(&object, &spec).filter(|_| fits)
            && self.lied.insert((lie, image.clone()))
        {
            trap(self, &image);
        }
        self.wish(Wish::Delete { object });
    }

    pub(super) fn end_under_an_empty_list(&mut self, team: usize) {
        self.end_under(team, (Cloud::Alibaba, "list"), |author, image| {
            author.befall(0, about(image, "DescribeImageSharePermission", 1, &json!({"kind": "emptyList"})));
        });
    }

    pub(super) fn end_under_no_image(&mut self, team: usize) {
        self.end_under(team, (Cloud::Alibaba, "image"), |author, image| {
            author.befall(0, about(image, "DescribeImages", 1, &json!({"kind": "emptyList"})));
        });
    }

    /// Longer than an absence is waited for.
    pub(super) fn end_under_missing_rows(&mut self, team: usize) {
        self.end_under(team, (Cloud::Alibaba, "rows"), |author, image| {
            let then = json!({"kind": "truncatedPage", "drop": 6});
            author.befall(0, about(image, "DescribeImageSharePermission", 6, &then));
        });
    }

    pub(super) fn end_under_a_refused_removal(&mut self, team: usize) {
        self.end_under(team, (Cloud::Alibaba, "list"), |author, image| {
            author.befall(0, about(image, "ModifyImageSharePermission", 4, &json!({"kind": "unavailable"})));
            author.befall(2_600, about(image, "DescribeImageSharePermission", 1, &json!({"kind": "emptyList"})));
        });
    }

    /// The answer to the job that adds them is lost, and the job takes longer than an absence is waited for.
    pub(super) fn lose_a_job(&mut self, team: usize) {
        if self.seat(team).is_none_or(|seat| seat.cloud != Cloud::Huawei) || !self.has_time(UNHEARD) {
            return self.delete_share(team);
        }
        let Some((share, (_, spec))) = self.new_share(team) else { return };
        let image = text(&spec, "/imageID");
        self.befall(0, about(image, "BatchAddMembers", 1, &json!({"kind": "jobSlow", "millis": 5_000})));
        self.befall(0, about(image, "BatchAddMembers", 1, &json!({"kind": "cutAfter"})));
        let millis = self.dice.random_range(500..1_500);
        self.later(millis, Later::Deed(Deed::Wish(Wish::Delete { object: share })));
    }

    /// What is listed then is what was so before it came.
    pub(super) fn come_and_go(&mut self, team: usize) {
        let Some((share, (image, spec))) = self.new_share(team) else { return };
        if let Some(seat) = self.seat(team).filter(|_| self.has_time(UNHEARD)) {
            let lag = json!({"kind": "describeLag", "millis": 1_200});
            self.befall(0, about(text(&spec, "/imageID"), seat.cloud.listing(), 4, &lag));
            if self.lean.corner == Corner::OldNews {
                // Its finalizer is late, and its image is looked at before.
                let (trouble, about) = (Trouble::Unavailable, "/imageshares/");
                self.befall(0, Fault::Kubernetes { trouble, about, writes: true, times: 12, millis: 1_500 });
                self.later(150, Later::Deed(Deed::Wish(Wish::Look { object: image })));
            }
        }
        let millis = self.dice.random_range(300..1_200);
        self.later(millis, Later::Deed(Deed::Wish(Wish::Delete { object: share })));
    }

    /// Long enough that watches which were cut are there again, but that of images, which says nothing.
    pub(super) fn come_and_go_unheard(&mut self, team: usize) {
        if !self.has_time(UNHEARD) {
            return;
        }
        let Some((share, _)) = self.new_share(team) else { return };
        self.befall(0, Fault::StaleWatches { about: "/cloudimages", millis: UNHEARD });
        let millis = self.dice.random_range(1_700..2_800);
        self.later(millis, Later::Deed(Deed::Wish(Wish::Delete { object: share })));
    }

    fn new_share(&mut self, team: usize) -> Option<(Object, (Object, Value))> {
        let images = self.own(team, Kind::CloudImage);
        let image = self.some(&images)?;
        Some((self.share(team, &image)?, image))
    }

    /// Somebody changes a share and thinks better of it, often while what is written about images is late.
    pub(super) fn waver(&mut self, team: usize) {
        let shares = self.shares(team);
        let (Some((object, spec)), Some(seat)) = (self.some(&shares), self.seat(team)) else { return };
        let (other, before) = (self.recipients(seat), spec.get("recipients").cloned().unwrap_or_default());
        if self.has_time(UNHEARD) && self.dice.random_bool(0.6) {
            let trouble = Trouble::Late(self.dice.random_range(400..900));
            let fault = Fault::Kubernetes { trouble, about: "/cloudimages/", writes: true, times: 4, millis: 1_500 };
            self.befall(0, fault);
        }
        self.wish(Wish::Edit { object: object.clone(), change: json!({"recipients": other}) });
        let back = Wish::Edit { object, change: json!({"recipients": before}) };
        let millis = self.dice.random_range(150..900);
        self.later(millis, Later::Deed(Deed::Wish(back)));
    }

    /// Somebody has an image by hand that is then deleted here and is to go from the cloud; in the end nobody has.
    pub(super) fn leave_a_stranger(&mut self, team: usize) {
        let images = self.own(team, Kind::CloudImage);
        let going: Vec<_> =
            images.iter().filter(|(_, spec)| text(spec, "/deletionPolicy") == "Delete").cloned().collect();
        let (Some((image, spec)), Some(seat)) = (self.some(&going), self.seat(team)) else {
            return self.create_image(team);
        };
        if !self.has_time(SEEN + STAYS) || !self.strangers.insert(image.clone()) {
            return self.create_image(team);
        }
        let stranger = vec![seat.stranger(self.dice.random_range(0..STRANGERS)).id()];
        let (huawei, id) = (seat.cloud == Cloud::Huawei, text(&spec, "/imageID").to_owned());
        let comes = ByHand { huawei, image: id.clone(), add: stranger.clone(), remove: Vec::new() };
        let goes = ByHand { huawei, image: id, add: Vec::new(), remove: stranger };
        self.later(0, Later::Deed(Deed::ByHand(comes)));
        self.later(SEEN, Later::EndImage(image));
        self.later(SEEN + STAYS, Later::Deed(Deed::ByHand(goes)));
    }
}

/// What befalls so many calls of this action about an image.
fn about(image: &str, action: &str, count: u64, then: &Value) -> Fault {
    Fault::scripted(json!({"when": {"action": action, "image": image}, "count": count, "then": then}))
}
