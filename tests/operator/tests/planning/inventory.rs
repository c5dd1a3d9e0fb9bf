//! What the inventory of an account becomes: from what the cloud lists and the objects there are.

use std::collections::{BTreeMap, BTreeSet};

use imageshare_operator::api::shared_image::{SharedImageSpec, SharedImageState, SharedImageStatus};
use imageshare_operator::domain::identifiers::{ImageId, PrincipalId, RegionId};
use imageshare_operator::domain::image::{Answer, ImageKind, ImageState, ReceivedImage, ReceivedList};
use imageshare_operator::planning::inventory::{Changes, INVENTORY_MAX, name_of, plan_inventory};

const REGION: &str = "cn-north-4";

fn image(n: usize, answer: Option<Answer>) -> ReceivedImage {
    ReceivedImage {
        image: ImageId::parse(&format!("image-{n}")).unwrap(),
        through: PrincipalId::parse("our-project").unwrap(),
        owner: Some(PrincipalId::parse("friend").unwrap()),
        name: format!("golden {n}"),
        kind: ImageKind::SystemDisk,
        state: ImageState::Available,
        answer,
        via: BTreeMap::new(),
    }
}

fn pending(numbers: impl IntoIterator<Item = usize>) -> Vec<ReceivedImage> {
    numbers.into_iter().map(|n| image(n, Some(Answer::Pending))).collect()
}

/// The objects of one account, and what its regions list.
#[derive(Default)]
struct Stock {
    objects: BTreeMap<String, (SharedImageSpec, Option<SharedImageStatus>)>,
    listed: BTreeMap<RegionId, Option<ReceivedList>>,
}

impl Stock {
    fn of(images: Vec<ReceivedImage>) -> Self {
        let mut stock = Self::default();
        stock.list(REGION, images);
        stock
    }

    fn put(&mut self, region: &str, list: Option<ReceivedList>) {
        self.listed.insert(RegionId::parse(region).unwrap(), list);
    }

    fn list(&mut self, region: &str, images: Vec<ReceivedImage>) {
        self.put(region, Some(ReceivedList { images, complete: true }));
    }

    fn plan(&self) -> Changes {
        plan_inventory("consumer", &self.objects, &self.listed)
    }

    /// Plans and carries out.
    fn take(&mut self) -> Changes {
        let changes = self.plan();
        for (name, entry) in changes.create.iter().chain(&changes.update) {
            self.objects.insert(name.clone(), (entry.spec.clone(), Some(entry.status.clone())));
        }
        changes.delete.iter().for_each(|name| drop(self.objects.remove(name)));
        changes
    }

    fn images(&self) -> BTreeSet<&str> {
        self.objects.values().map(|(spec, _)| spec.image_id.as_str()).collect()
    }

    fn assert_at_rest(&self) {
        let Changes { create, update, delete, .. } = self.plan();
        assert!(create.is_empty() && update.is_empty() && delete.is_empty());
    }
}

#[test]
fn each_image_has_one_object_that_says_what_the_cloud_says() {
    let answers = [None, Some(Answer::Pending), Some(Answer::Accepted), Some(Answer::Rejected)];
    let kinds = [ImageKind::SystemDisk, ImageKind::DataDisk, ImageKind::FullServer, ImageKind::SystemDisk];
    let images = answers.iter().zip(kinds).enumerate().map(|(n, (a, kind))| ReceivedImage { kind, ..image(n, *a) });
    let mut stock = Stock::of(images.collect());
    let changes = stock.take();
    assert_eq!((changes.create.len(), changes.received, changes.pending, changes.cut), (4, 4, 1, false));
    let said: BTreeSet<(String, String)> = stock
        .objects
        .values()
        .map(|(_, status)| status.clone().unwrap())
        .map(|status| (format!("{:?}", status.state.unwrap()), status.kind.unwrap()))
        .collect();
    let wanted =
        [("Shared", "SystemDisk"), ("Pending", "DataDisk"), ("Accepted", "FullServer"), ("Rejected", "SystemDisk")];
    assert_eq!(said, wanted.map(|(state, kind)| (state.to_owned(), kind.to_owned())).into());
    let (spec, status) = stock.objects.values().next().unwrap();
    assert_eq!((spec.account_ref.name.as_str(), spec.region.as_str()), ("consumer", REGION));
    assert_eq!((spec.recipient.as_str(), status.as_ref().unwrap().owner.as_deref()), ("our-project", Some("friend")));
    stock.assert_at_rest();
}

#[test]
fn an_answer_changes_its_object_and_no_other() {
    let mut stock = Stock::of(pending(0..3));
    stock.take();
    let mut images = pending(0..3);
    images[1].answer = Some(Answer::Accepted);
    stock.list(REGION, images);
    let changes = stock.take();
    assert_eq!((changes.create.len(), changes.update.len(), changes.delete.len()), (0, 1, 0));
    assert_eq!(changes.update[0].1.status.state, Some(SharedImageState::Accepted));
    assert_eq!((changes.received, changes.pending), (3, 2));
    stock.assert_at_rest();
}

#[test]
fn an_object_whose_status_was_never_written_is_brought_into_step() {
    let mut stock = Stock::of(pending([1]));
    stock.take();
    stock.objects.values_mut().for_each(|(_, status)| *status = None);
    assert_eq!(stock.take().update.len(), 1);
    stock.assert_at_rest();
}

#[test]
fn what_a_complete_list_does_not_show_goes() {
    let mut stock = Stock::of(pending(0..3));
    stock.take();
    stock.list(REGION, pending(1..3));
    assert_eq!(stock.take().delete.len(), 1);
    assert_eq!(stock.images(), ["image-1", "image-2"].into());
    stock.list(REGION, vec![]);
    stock.take();
    assert!(stock.objects.is_empty(), "a complete empty list proves absence");
}

#[test]
fn an_incomplete_or_missing_list_deletes_nothing() {
    let mut stock = Stock::of(pending(0..3));
    stock.take();
    stock.put(REGION, Some(ReceivedList { images: pending([2, 7]), complete: false }));
    let changes = stock.take();
    assert_eq!((changes.create.len(), changes.delete.len()), (1, 0), "what it shows is there all the same");
    stock.put(REGION, Some(ReceivedList { images: vec![], complete: false }));
    stock.assert_at_rest();
    stock.put(REGION, None);
    stock.assert_at_rest();
    assert_eq!(stock.objects.len(), 4);
}

#[test]
fn a_region_that_cannot_be_listed_does_not_hold_up_the_others() {
    let mut stock = Stock::of(pending(0..2));
    stock.list("cn-south-1", pending(5..7));
    stock.take();
    stock.put(REGION, None);
    stock.list("cn-south-1", pending([6]));
    stock.take();
    assert_eq!(stock.images(), ["image-0", "image-1", "image-6"].into());
}

#[test]
fn a_region_taken_off_the_inventory_takes_its_objects_with_it() {
    let mut stock = Stock::of(pending(0..2));
    stock.list("cn-south-1", pending(5..7));
    stock.take();
    stock.listed.remove(&RegionId::parse(REGION).unwrap());
    assert_eq!(stock.take().delete.len(), 2);
    assert_eq!(stock.images(), ["image-5", "image-6"].into());
    stock.listed.clear();
    stock.take();
    assert!(stock.objects.is_empty());
}

#[test]
fn names_are_stable_and_differ_by_account_recipient_region_and_image() {
    assert_eq!(name_of("a", "p", "r", "i"), name_of("a", "p", "r", "i"));
    let names: BTreeSet<String> = [
        name_of("a", "p", "r", "i"),
        name_of("b", "p", "r", "i"),
        name_of("a", "q", "r", "i"),
        name_of("a", "p", "s", "i"),
        name_of("a", "p", "r", "j"),
        // Where one part ends and the next begins is part of the name.
        name_of("ap", "", "r", "i"),
        name_of("a", "pr", "", "i"),
    ]
    .into();
    assert_eq!(names.len(), 7);
    for name in names {
        let rest = name.strip_prefix("shared-").unwrap();
        assert!(rest.len() == 20 && rest.bytes().all(|b| b.is_ascii_hexdigit()), "{name}");
    }
}

#[test]
fn one_image_that_reaches_two_projects_has_two_objects() {
    let other = ReceivedImage { through: PrincipalId::parse("other-project").unwrap(), ..image(1, None) };
    let mut stock = Stock::of(vec![image(1, None), other]);
    stock.take();
    assert_eq!((stock.objects.len(), stock.images().len()), (2, 1));
    stock.assert_at_rest();
}

#[test]
fn beyond_the_bound_images_are_left_out_and_told_and_none_pushes_out_another() {
    let mut stock = Stock::of(pending(0..INVENTORY_MAX));
    assert!(!stock.take().cut);
    let before: BTreeSet<String> = stock.objects.keys().cloned().collect();
    stock.list(REGION, pending(0..INVENTORY_MAX + 20));
    let changes = stock.take();
    assert!(changes.cut && changes.create.is_empty() && changes.delete.is_empty());
    assert_eq!((changes.received, changes.pending), (INVENTORY_MAX + 20, 5020));
    assert!(stock.objects.keys().eq(&before));
    // All that are there are kept in step, not only the first by name.
    let accepted = pending(0..INVENTORY_MAX + 20).into_iter().map(|i| ReceivedImage { answer: None, ..i }).collect();
    stock.list(REGION, accepted);
    assert_eq!(stock.take().update.len(), INVENTORY_MAX);
    // Room goes to those left out.
    stock.list(REGION, pending(1..INVENTORY_MAX + 20));
    let changes = stock.take();
    assert_eq!((changes.create.len(), changes.delete.len(), changes.cut), (1, 1, true));
    assert_eq!(stock.objects.len(), INVENTORY_MAX);
}

#[test]
fn foreign_text_is_made_plain_and_bounded() {
    let named = |name: &str| {
        let images = vec![ReceivedImage { name: name.to_owned(), ..image(1, None) }];
        Stock::of(images).plan().create.remove(0).1.status.image_name
    };
    let escape = named("a\u{1b}[2Jb\u{202e}c\nd").unwrap();
    assert_eq!(escape, "a\u{FFFD}[2Jb\u{FFFD}c\u{FFFD}d");
    assert_eq!(named(&"镜".repeat(5000)).unwrap().chars().count(), 128);
    assert_eq!(named(""), None, "no name is no field");
}

#[test]
fn where_one_region_is_listed_the_entries_of_the_others_count_as_they_are() {
    let mut stock = Stock::of(pending(1..=2));
    stock.list("cn-east-3", pending(3..=5));
    stock.take();
    stock.put("cn-east-3", None);
    stock.list(REGION, vec![image(1, Some(Answer::Accepted)), image(6, Some(Answer::Pending))]);
    let changes = stock.plan();
    assert_eq!((changes.create.len(), changes.update.len(), changes.delete.len()), (1, 1, 1));
    assert_eq!(changes.counted_over(&stock.objects), (5, 4));
    stock.take();
    assert_eq!(stock.plan().counted_over(&stock.objects), (5, 4), "and so they do when nothing changes");
}
