//! What a seed leans on. Each plan draws from all kinds of wishes and faults, but not evenly: it goes deep in one corner,
//! and leaves some kinds out, so that what hides behind what is common comes to light at some seed (swarm testing).

use std::ops::Range;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

use super::clouds::{Cloud, Seat};
use super::mistakes::Slip;
use super::outages::Hardship;
use super::tenants::Harm;

/// Where a plan goes deep.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Corner {
    /// Reads that lie, while shares end.
    Lies,
    /// Images, shares and namespaces that end, in every way and order.
    Ends,
    /// Copies whose answers are lost.
    Copies,
    /// Receivers and their answers, jobs that are lost.
    Answers,
    /// More wishes than places, calls that are rationed, and somebody who changes things by hand.
    Places,
    /// Caches and requests that are late, while people change their minds.
    OldNews,
    /// Tenants without consent who mean harm. This profile and those below are adversarial: few faults, but people and
    /// clouds at their worst, and the time that others wait is measured.
    Tenants,
    /// Owners who err, and undo it a few seconds later.
    Mistakes,
    /// Clouds that refuse one call for long, lag by half a minute, or answer empty lists for a whole account.
    Outages,
    /// Everything at once: deletions that are held, floods of annotations, and few calls to spare.
    Floods,
}

/// What may be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ask {
    CreateShare,
    EditShare,
    DeleteShare,
    SuspendShare,
    ExpireShare,
    CreateImage,
    DeleteImage,
    EditImage,
    SuspendAccount,
    Rotate,
    MoveOut,
    ByHand,
    CreateCopy,
    DeleteCopy,
    Answer,
    /// Somebody has an image that is to go from the cloud.
    Stranger,
    /// Another edit takes an edit back a moment later.
    Waver,
    /// A share goes a moment after it came.
    Fleeting,
    /// The same, while changes of images are heard of late.
    Unheard,
    /// A share ends, and the next list of who has its image is empty.
    EmptyList,
    /// A share ends, and the next look does not find its image.
    NoImage,
    /// A share ends, and lists of who has its image lack rows.
    MissingRows,
    /// A share ends, its removal is refused, and then a list is empty.
    RefusedRemoval,
    /// A share goes while the job that nobody heard of adds its recipients.
    LostJob,
    /// A tenant without consent does this to the team.
    Harm(Harm),
    /// The owner errs so.
    Slip(Slip),
    /// The team's cloud does this.
    Hardship(Hardship),
}

/// What may go wrong by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Blow {
    Kill,
    KillAtWrite,
    Freeze,
    ApiServerRestart,
    WatchCut,
    StaleWatches,
    Kubernetes,
    Weather,
    Cloud,
}

/// Every wish with its weight where nothing leans.
const ASKS: [(Ask, u32); 24] = [
    (Ask::CreateShare, 22),
    (Ask::EditShare, 22),
    (Ask::DeleteShare, 12),
    (Ask::SuspendShare, 5),
    (Ask::ExpireShare, 3),
    (Ask::CreateImage, 4),
    (Ask::DeleteImage, 3),
    (Ask::EditImage, 2),
    (Ask::SuspendAccount, 2),
    (Ask::Rotate, 3),
    (Ask::MoveOut, 1),
    (Ask::ByHand, 7),
    (Ask::CreateCopy, 4),
    (Ask::DeleteCopy, 2),
    (Ask::Answer, 6),
    (Ask::Stranger, 1),
    (Ask::Waver, 1),
    (Ask::Fleeting, 1),
    (Ask::Unheard, 1),
    (Ask::EmptyList, 1),
    (Ask::NoImage, 1),
    (Ask::MissingRows, 1),
    (Ask::RefusedRemoval, 1),
    (Ask::LostJob, 1),
];

/// Every fault with its weight where nothing leans.
const BLOWS: [(Blow, u32); 9] = [
    (Blow::Kill, 8),
    (Blow::KillAtWrite, 18),
    (Blow::Freeze, 6),
    (Blow::ApiServerRestart, 2),
    (Blow::WatchCut, 4),
    (Blow::StaleWatches, 8),
    (Blow::Kubernetes, 17),
    (Blow::Weather, 18),
    (Blow::Cloud, 20),
];

/// What people of good will ask for in an adversarial profile.
const PLAIN_ASKS: [(Ask, u32); 6] = [
    (Ask::CreateShare, 14),
    (Ask::EditShare, 14),
    (Ask::DeleteShare, 8),
    (Ask::CreateImage, 8),
    (Ask::DeleteImage, 4),
    (Ask::EditImage, 3),
];

/// What goes wrong by itself there: clouds answer as they should.
const PLAIN_BLOWS: [(Blow, u32); 5] =
    [(Blow::Kill, 6), (Blow::KillAtWrite, 6), (Blow::WatchCut, 4), (Blow::StaleWatches, 4), (Blow::Kubernetes, 6)];

/// Without these there is nothing to lose.
const ALWAYS: [Ask; 4] = [Ask::CreateShare, Ask::EditShare, Ask::DeleteShare, Ask::CreateImage];

/// One kind in so many is left out, where the corner does not lean on it.
const LEFT_OUT: u32 = 6;

impl Corner {
    const ALL: [Self; 10] = [
        Self::Lies,
        Self::Ends,
        Self::Copies,
        Self::Answers,
        Self::Places,
        Self::OldNews,
        Self::Tenants,
        Self::Mistakes,
        Self::Outages,
        Self::Floods,
    ];

    /// Whether people and clouds are at their worst, and the time is measured that others wait.
    pub(super) fn is_adversarial(self) -> bool {
        matches!(self, Self::Tenants | Self::Mistakes | Self::Outages | Self::Floods)
    }

    /// All that an adversarial profile asks for: what people of good will ask for beside it is plain, so that it is clear
    /// what they may expect and when.
    /// `round`: how often the seeds went through all corners before.
    fn adversarial_asks(self, round: u64) -> &'static [(Ask, u32)] {
        match self {
            Self::Tenants => &[
                (Ask::Harm(Harm::Squat), 10),
                (Ask::Harm(Harm::KeepByRetain), 10),
                (Ask::Harm(Harm::KeepAfterConsent), 18),
                (Ask::Harm(Harm::Guest), 6),
                (Ask::Harm(Harm::OddDate), 8),
                (Ask::Harm(Harm::OddString), 14),
                (Ask::Harm(Harm::Flood), 3),
                (Ask::Harm(Harm::Drop), 14),
                (Ask::Harm(Harm::DropAll), 2),
            ],
            Self::Mistakes => &[
                (Ask::Slip(Slip::OtherProject), 12),
                (Ask::Slip(Slip::OtherKey), 6),
                (Ask::Slip(Slip::RestoredStatus), 10),
                (Ask::Slip(Slip::OddEntry), 10),
                (Ask::Slip(Slip::SecondImage), 6),
                (Ask::Slip(Slip::MisspeltSelector), 6),
            ],
            Self::Outages if round.is_multiple_of(2) => &[
                (Ask::Hardship(Hardship::RefusedRemoval), 12),
                (Ask::Hardship(Hardship::RefusedAddition), 4),
                (Ask::Hardship(Hardship::SlowDeletion), 8),
            ],
            Self::Outages => {
                &[(Ask::Hardship(Hardship::EmptyAccount), 12), (Ask::Hardship(Hardship::RefusedRemoval), 4)]
            }
            Self::Floods => &[
                (Ask::Harm(Harm::Flood), 16),
                (Ask::Harm(Harm::Squat), 6),
                (Ask::Harm(Harm::Guest), 6),
                (Ask::Harm(Harm::Drop), 8),
                (Ask::Harm(Harm::DropAll), 4),
            ],
            _ => &[],
        }
    }

    /// What weighs more, and by how much.
    fn asks(self) -> &'static [(Ask, u32)] {
        match self {
            Self::Lies => &[
                (Ask::CreateShare, 16),
                (Ask::DeleteShare, 6),
                (Ask::EmptyList, 8),
                (Ask::NoImage, 8),
                (Ask::MissingRows, 12),
                (Ask::RefusedRemoval, 12),
                (Ask::Fleeting, 4),
                (Ask::CreateImage, 8),
            ],
            Self::Ends => &[
                (Ask::CreateShare, 10),
                (Ask::DeleteShare, 6),
                (Ask::ExpireShare, 5),
                (Ask::SuspendShare, 4),
                (Ask::CreateImage, 10),
                (Ask::DeleteImage, 9),
                (Ask::Stranger, 20),
                (Ask::MoveOut, 3),
            ],
            Self::Copies => &[(Ask::CreateCopy, 24), (Ask::DeleteCopy, 10)],
            Self::Answers => &[(Ask::CreateShare, 8), (Ask::Answer, 26), (Ask::LostJob, 9), (Ask::EditShare, 6)],
            Self::Places => &[(Ask::CreateShare, 30), (Ask::ByHand, 22), (Ask::EditShare, 10)],
            Self::OldNews => {
                &[(Ask::CreateShare, 8), (Ask::Waver, 24), (Ask::Fleeting, 6), (Ask::Unheard, 12), (Ask::Rotate, 10)]
            }
            Self::Tenants | Self::Mistakes | Self::Outages | Self::Floods => &[],
        }
    }

    fn blows(self) -> &'static [(Blow, u32)] {
        match self {
            Self::Lies => &[(Blow::Weather, 30), (Blow::Cloud, 10)],
            Self::Copies => &[(Blow::KillAtWrite, 12), (Blow::Cloud, 40)],
            Self::Answers => &[(Blow::KillAtWrite, 16), (Blow::Weather, 12)],
            Self::Places => &[(Blow::KillAtWrite, 6)],
            Self::OldNews => &[(Blow::StaleWatches, 12), (Blow::Kubernetes, 40), (Blow::WatchCut, 4)],
            Self::Ends | Self::Tenants | Self::Mistakes | Self::Outages | Self::Floods => &[],
        }
    }
}

/// What a plan leans on.
#[derive(Debug, Clone)]
pub(super) struct Lean {
    pub(super) corner: Corner,
    asks: Vec<(Ask, u32)>,
    blows: Vec<(Blow, u32)>,
    loose: bool,
}

impl Lean {
    /// Seeds in a row go through all corners.
    pub(super) fn of(seed: u64) -> Self {
        let number = usize::try_from(seed.wrapping_sub(1) % 10).unwrap_or_default();
        let corner = Corner::ALL.get(number).copied().unwrap_or(Corner::Lies);
        if corner.is_adversarial() {
            let loose = corner == Corner::Tenants && seed.wrapping_sub(1) / 10 % 2 == 1;
            let asks = PLAIN_ASKS.iter().chain(corner.adversarial_asks(seed.wrapping_sub(1) / 10)).copied().collect();
            return Self { corner, asks, blows: PLAIN_BLOWS.to_vec(), loose };
        }
        let mut dice = StdRng::seed_from_u64(seed ^ 0x1EA4);
        let asks = weigh(&ASKS, corner.asks(), &ALWAYS, &mut dice);
        let blows = weigh(&BLOWS, corner.blows(), &[], &mut dice);
        Self { corner, asks, blows, loose: false }
    }

    pub(super) fn ask(&self, dice: &mut StdRng) -> Ask {
        one_of(&self.asks, dice).unwrap_or(Ask::EditShare)
    }

    pub(super) fn blow(&self, dice: &mut StdRng) -> Blow {
        one_of(&self.blows, dice).unwrap_or(Blow::Weather)
    }

    /// How often the others' turn is this one's.
    pub(super) fn weight_of(&self, seat: Seat) -> u32 {
        match self.corner {
            Corner::Lies if seat.cloud == Cloud::Alibaba => 3,
            Corner::Ends | Corner::Answers | Corner::Copies if seat.cloud == Cloud::Huawei => 3,
            Corner::Places if seat.is_limited() => 4,
            _ => 1,
        }
    }

    /// For how many milliseconds an old key is good beside the new one.
    pub(super) fn overlap(&self) -> u64 {
        if self.corner == Corner::OldNews { 2_000 } else { 0 }
    }

    /// The longest pause between two wishes, in milliseconds.
    pub(super) fn longest_pause(&self) -> u64 {
        if self.corner == Corner::Places { 250 } else { 500 }
    }

    /// How many calls a second an account may be asked in a region, and how many at once.
    pub(super) fn budget(&self) -> (u32, u32) {
        match self.corner {
            Corner::Places | Corner::Outages | Corner::Floods => (6, 6),
            _ => (20, 20),
        }
    }

    /// The pauses between two faults, in milliseconds.
    pub(super) fn between_faults(&self) -> Range<u64> {
        if self.corner.is_adversarial() { 6_000..12_000 } else { 200..1_800 }
    }

    /// How long the operator waits before it tries again what failed, what the cloud refused, and what only a person can
    /// mend: in seconds. Where repetitions are counted it is given more time.
    pub(super) fn pauses(&self) -> [u64; 3] {
        match self.corner {
            Corner::Tenants | Corner::Mistakes | Corner::Outages => [15, 20, 15],
            _ => [3, 4, 2],
        }
    }

    /// Whether the definitions are those of an older version, which checked fewer strings: what the operator's own refuse is
    /// stored then, and reaches the operator.
    pub(super) fn has_loose_definitions(&self) -> bool {
        self.loose
    }

    /// How often a call may be repeated within a minute with the same outcome; `None` where pauses are too short to say.
    pub(super) fn repetitions(&self) -> Option<usize> {
        matches!(self.corner, Corner::Tenants | Corner::Mistakes | Corner::Outages).then_some(5)
    }
}

/// All of these, with more weight for what is leant on; some others are left out, but for what is there always.
fn weigh<T: Copy + PartialEq>(all: &[(T, u32)], leant: &[(T, u32)], always: &[T], dice: &mut StdRng) -> Vec<(T, u32)> {
    let weight = |(one, base): &(T, u32)| {
        let more = leant.iter().find(|(leant, _)| leant == one).map_or(0, |(_, more)| *more);
        let out = dice.random_ratio(1, LEFT_OUT) && more == 0 && !always.contains(one);
        (*one, if out { 0 } else { base + more })
    };
    all.iter().map(weight).collect()
}

/// One of these, by weight.
pub(super) fn one_of<T: Copy>(weighed: &[(T, u32)], dice: &mut StdRng) -> Option<T> {
    let all = weighed.iter().map(|(_, weight)| weight).sum::<u32>();
    if all == 0 {
        return None;
    }
    let mut roll = dice.random_range(0..all);
    weighed.iter().find_map(|(one, weight)| {
        let here = roll < *weight;
        roll = roll.saturating_sub(*weight);
        here.then_some(*one)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn weight(lean: &Lean, ask: Ask) -> u32 {
        lean.asks.iter().find(|(one, _)| *one == ask).map_or(0, |(_, weight)| *weight)
    }

    #[test]
    fn ten_seeds_in_a_row_go_through_all_corners_and_each_again_to_its_own() {
        for corner in Corner::ALL {
            assert_eq!((7..17).filter(|seed| Lean::of(*seed).corner == corner).count(), 1, "{corner:?}");
        }
        assert_eq!(Lean::of(1).corner, Corner::Lies);
        assert_eq!(format!("{:?}", Lean::of(5)), format!("{:?}", Lean::of(5)));
    }

    #[test]
    fn seeds_of_one_corner_differ_in_what_they_leave_out_and_never_leave_out_what_they_lean_on() {
        let leans: Vec<Lean> = (0..40).map(|n| Lean::of(2 + 10 * n)).collect();
        assert!(leans.iter().all(|lean| weight(lean, Ask::Stranger) == 21 && weight(lean, Ask::CreateShare) == 32));
        let rotates = leans.iter().filter(|lean| weight(lean, Ask::Rotate) > 0).count();
        assert!((1..40).contains(&rotates), "{rotates}");
    }

    #[test]
    fn what_weighs_nothing_is_never_drawn_and_the_rest_by_its_weight() {
        let mut dice = StdRng::seed_from_u64(1);
        let drawn: Vec<char> = (0..400).filter_map(|_| one_of(&[('a', 1), ('b', 0), ('c', 3)], &mut dice)).collect();
        let count = |letter| drawn.iter().filter(|one| **one == letter).count();
        assert_eq!((count('b'), drawn.len()), (0, 400));
        assert!((200..400).contains(&count('c')), "{}", count('c'));
        assert_eq!(one_of::<char>(&[], &mut dice), None);
    }
}
