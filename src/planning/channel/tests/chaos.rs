//! Whatever people, clouds and machines do to a channel.

use proptest::test_runner::Config;

use super::year::{HOUR, Listing, World, name, named, recipient};
use super::*;
use crate::domain::image::Answer;

/// What people, the cloud and the machine do to a channel.
#[derive(Debug, Clone, Copy)]
enum Event {
    Build,
    Hours(i64),
    Listing(Listing),
    Answer(usize, bool),
    Room(usize, usize),
    Exclude(usize, bool),
    Include,
    Pin(usize),
    Unpin,
    Keep(usize),
    Join(usize),
    Leave(usize),
    Suspend(bool),
    NotReady(usize, Option<bool>),
    Ready,
    Clock(i64),
    Again,
}

fn event() -> impl Strategy<Value = Event> {
    let image = 1_usize..9;
    let listing = prop_oneof![Just(Listing::Failed), Just(Listing::Empty), Just(Listing::None)];
    prop_oneof![
        4 => Just(Event::Build),
        8 => (1_i64..500).prop_map(Event::Hours),
        4 => (0_usize..4, prop::bool::weighted(0.8)).prop_map(|(who, yes)| Event::Answer(who, yes)),
        2 => listing.prop_map(Event::Listing),
        1 => (0_usize..4, 1_usize..4).prop_map(|(who, room)| Event::Room(who, room)),
        2 => (image.clone(), prop::bool::weighted(0.2)).prop_map(|(which, now)| Event::Exclude(which, now)),
        1 => Just(Event::Include),
        1 => image.clone().prop_map(Event::Pin),
        1 => Just(Event::Unpin),
        1 => (1_usize..4).prop_map(Event::Keep),
        1 => (0_usize..4).prop_map(Event::Join),
        1 => (0_usize..4).prop_map(Event::Leave),
        1 => any::<bool>().prop_map(Event::Suspend),
        1 => (image, any::<Option<bool>>()).prop_map(|(which, ready)| Event::NotReady(which, ready)),
        1 => Just(Event::Ready),
        2 => (-9000_i64..9000).prop_map(Event::Clock),
        1 => Just(Event::Again),
    ]
}

impl World {
    fn befall(&mut self, event: Event) -> Listing {
        let terms = &mut self.channel.terms;
        match event {
            Event::Build if self.images.len() < 40 => self.build(),
            Event::Hours(hours) => self.truth += HOUR * i32::try_from(hours).unwrap(),
            Event::Listing(listing) => return listing,
            Event::Answer(who, yes) => self.answer(&name(who), if yes { Answer::Accepted } else { Answer::Rejected }),
            Event::Room(who, room) => drop(self.room.insert(name(who), room)),
            Event::Exclude(which, now) => {
                terms.exclude.insert(which.to_string());
                terms.urgent.extend(now.then(|| which.to_string()));
            }
            Event::Include => (terms.exclude, terms.urgent) = (BTreeSet::new(), BTreeSet::new()),
            Event::Pin(which) => terms.pin = Some(which.to_string()),
            Event::Unpin => terms.pin = None,
            Event::Keep(keep) => terms.keep = keep,
            Event::Join(who) => {
                let all = self.shares.iter().flat_map(|share| &share.spec.recipients);
                if !all.map(named).any(|one| one == name(who)) {
                    self.shares[0].spec.recipients.push(serde_json::from_value(recipient(who)).unwrap());
                }
            }
            Event::Leave(who) => {
                for share in self.shares.iter_mut().filter(|share| share.spec.recipients.len() > 1) {
                    share.spec.recipients.retain(|one| named(one) != name(who));
                }
            }
            Event::Suspend(suspend) => self.shares[0].spec.suspend = suspend,
            Event::NotReady(which, ready) => {
                self.channel.served.insert(id(&which.to_string()), Served { ready, shared: true });
            }
            Event::Ready => self.channel.served.clear(),
            Event::Clock(hours) => self.skew = HOUR * i32::try_from(hours * i64::from(hours % 3 == 0)).unwrap(),
            // By mistake the object is deleted and applied again.
            Event::Again => {
                (self.channel.versions, self.channel.latest) = (Vec::new(), None);
                self.deprecated.clear();
            }
            Event::Build => {}
        }
        Listing::Good
    }
}

proptest! {
    #![proptest_config(Config { cases: 192, ..Config::default() })]

    #[test]
    fn whatever_happens_no_recipient_loses_its_last_version_and_nothing_ends_early(
        events in vec(event(), 1..80), asks: bool,
    ) {
        let mut world = World::new(2, 2, asks);
        world.build();
        for event in events {
            let listing = world.befall(event);
            world.settle(listing)?;
        }
    }
}
