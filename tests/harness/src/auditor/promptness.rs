//! Nobody waits for what a stranger does: deleted objects go, and what is desired is shared, within a bound. Time in which
//! something else than the operator was in the way does not count.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::rules::{consent, is_deleting, line, title};
use super::witness::{Life, names, recipients};
use super::{Auditor, Invariant, Violation};
use crate::history::{Change, Version};

/// Whom something was in the way of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// Everybody.
    Everybody,
    /// The images of this account, by the id of their owner.
    Account(String),
    /// One image, by its id.
    Image(String),
}

/// A time in which something else than the operator kept it from acting: a fault that was injected, an owner's mistake that
/// was not mended yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Excuse {
    /// From when.
    pub from: Timestamp,
    /// Until when.
    pub until: Timestamp,
    /// For whom.
    pub scope: Scope,
}

/// How soon the operator acts.
#[derive(Debug, Clone)]
pub struct Promptness {
    /// How long anybody waits at most.
    pub bound: SignedDuration,
    /// What does not count.
    pub excuses: Vec<Excuse>,
    /// Namespaces of owners: their accounts work, and their images are theirs.
    pub owners: BTreeSet<String>,
    /// Until when all is known.
    pub until: Timestamp,
}

impl Promptness {
    /// The time between two moments in which nothing was in the way of an image.
    fn clear(&self, from: Timestamp, until: Timestamp, excused: impl Fn(&Scope) -> bool) -> SignedDuration {
        let within = |excuse: &&Excuse| excuse.until > from && excuse.from < until && excused(&excuse.scope);
        let mut spans: Vec<(Timestamp, Timestamp)> =
            self.excuses.iter().filter(within).map(|e| (e.from.max(from), e.until.min(until))).collect();
        spans.sort_unstable();
        let (mut clear, mut at) = (SignedDuration::ZERO, from);
        for (begin, end) in spans {
            clear = clear.saturating_add(begin.duration_since(at).max(SignedDuration::ZERO));
            at = at.max(end);
        }
        clear.saturating_add(until.duration_since(at).max(SignedDuration::ZERO))
    }
}

/// A time from which something is due.
struct Due<'a> {
    since: Timestamp,
    until: Timestamp,
    image: Option<&'a Version>,
}

impl Auditor {
    /// How soon the operator acts: without it, [`Invariant::EndsInTime`] and [`Invariant::ServedInTime`] are not judged.
    #[must_use]
    pub fn prompt(mut self, promptness: Promptness) -> Self {
        self.promptness = Some(promptness);
        self
    }

    /// For how long something was due, not counting what was in the way.
    fn waited(&self, due: &Due<'_>) -> Option<SignedDuration> {
        let promptness = self.promptness.as_ref()?;
        let image = due.image.map(|image| image.text("/spec/imageID"));
        let owner = image.and_then(|image| self.owners.get(image));
        let excused = |scope: &Scope| match scope {
            Scope::Everybody => true,
            Scope::Account(account) => owner == Some(account),
            Scope::Image(id) => image == Some(id.as_str()),
        };
        let waited = promptness.clear(due.since, due.until, excused);
        (waited > promptness.bound).then_some(waited)
    }

    /// Every object whose deletion was asked for goes within the bound after what holds it has gone.
    pub(super) fn judge_ends(&self, found: &mut Vec<Violation>) {
        let Some(Promptness { until, .. }) = self.promptness else { return };
        let kinds = ["ImageShare", "CloudImage", "CloudAccount", "SharedImageAcceptance", "ImageReplica"];
        for life in kinds.into_iter().flat_map(|kind| self.witnessed.lives(kind)) {
            let Some(asked) = life.iter().find(|version| is_deleting(version)) else { continue };
            let gone = life.last().filter(|last| last.change == Change::Deleted).map(|last| last.seen_at);
            let Some(free) = self.free_since(asked) else { continue };
            let image = self.image_behind(asked);
            let due = Due { since: free.max(asked.seen_at), until: gone.unwrap_or(until), image };
            if let Some(waited) = self.waited(&due) {
                let what = format!(
                    "{} {} {} {waited:#} after its deletion was asked for and nothing held it",
                    asked.kind(),
                    title(asked),
                    if gone.is_some() { "went only" } else { "is still there" }
                );
                let evidence = vec![line(asked)];
                found.push(Violation { invariant: Invariant::EndsInTime, at: due.until, what, evidence });
            }
        }
    }

    /// Since when nothing holds an object that is to go; `None` where something still does.
    fn free_since(&self, going: &Version) -> Option<Timestamp> {
        let holding: Vec<&Life> = match going.kind() {
            "CloudImage" => {
                let shares = self.witnessed.lives("ImageShare");
                let named =
                    |life: &&Life| life.iter().any(|share| names(share, going) && consent(share, going) != Some(false));
                let copies = self.witnessed.lives("ImageReplica").filter(|life| Self::copies(life, going));
                shares.filter(named).chain(copies).collect()
            }
            "CloudAccount" => self.lives_using(going).collect(),
            _ => Vec::new(),
        };
        let gone = |life: &&Life| life.last().filter(|last| last.change == Change::Deleted).map(|last| last.seen_at);
        let gone = holding.iter().map(gone).collect::<Option<Vec<_>>>()?;
        Some(gone.into_iter().max().unwrap_or(Timestamp::MIN))
    }

    fn copies(replica: &Life, image: &Version) -> bool {
        let first = replica.first();
        first.is_some_and(|replica| {
            replica.namespace() == image.namespace() && replica.text("/spec/source/imageRef/name") == image.name()
        })
    }

    /// Objects of the account's namespace that name it.
    fn lives_using<'a>(&'a self, account: &'a Version) -> impl Iterator<Item = &'a Life> {
        let kinds = ["CloudImage", "SharedImageAcceptance", "ImageReplica"].into_iter();
        let places =
            ["/spec/accountRef/name", "/spec/source/received/accountRef/name", "/spec/destination/accountRef/name"];
        let names = move |version: &Version| {
            version.namespace() == account.namespace() && places.iter().any(|at| version.text(at) == account.name())
        };
        kinds.flat_map(|kind| self.witnessed.lives(kind)).filter(move |life| life.first().is_some_and(names))
    }

    /// The image that an object is about.
    fn image_behind<'a>(&'a self, object: &'a Version) -> Option<&'a Version> {
        match object.kind() {
            "CloudImage" | "SharedImageAcceptance" => Some(object),
            "ImageShare" => {
                let mut images = self.witnessed.lives("CloudImage").filter_map(|life| life.first());
                images.find(|image| names(object, image))
            }
            _ => None,
        }
    }

    /// Everybody whom an admitted share names has the image within the bound.
    pub(super) fn judge_service(&self, found: &mut Vec<Violation>) {
        let Some(promptness) = &self.promptness else { return };
        let images = self.witnessed.lives("CloudImage");
        let served = |life: &&Life| life.first().is_some_and(|image| promptness.owners.contains(image.namespace()));
        for image in images.filter(served).filter(|image| self.stands_alone(image)) {
            let Some(first) = image.first() else { continue };
            for share in self.witnessed.lives("ImageShare") {
                if share.first().is_some_and(|share| names(share, first)) {
                    self.judge_share_served(image, share, promptness.until, found);
                }
            }
        }
    }

    /// Whether no other `CloudImage` of an owner's ever stood for the same image, nor has its account a limit of its own.
    fn stands_alone(&self, image: &Life) -> bool {
        let Some((first, promptness)) = image.first().zip(self.promptness.as_ref()) else { return false };
        let same = self.witnessed.standing_for(first.text("/spec/region"), first.text("/spec/imageID"));
        let owners = same.filter_map(|life| life.first()).filter(|other| promptness.owners.contains(other.namespace()));
        owners.count() == 1 && self.limit_of_image(first).is_none()
    }

    fn judge_share_served(&self, image: &Life, share: &Life, until: Timestamp, found: &mut Vec<Violation>) {
        let mut moments: Vec<&Version> = image.iter().chain(share).collect();
        moments.sort_by_key(|version| version.revision);
        let at = |life: &'_ Life, revision: u64| life.iter().rposition(|version| version.revision <= revision);
        let mut before: Option<(Value, Value)> = None;
        for (index, moment) in moments.iter().enumerate() {
            let state = at(image, moment.revision).zip(at(share, moment.revision));
            let Some((image, share)) = state.and_then(|(i, s)| image.get(i).zip(share.get(s))) else { continue };
            let spec = |version: &Version| version.object.get("spec").cloned().unwrap_or_default();
            // Only what begins a time in which both stay as they are.
            let now = Some((spec(image), spec(share)));
            if now == before {
                continue;
            }
            before.clone_from(&now);
            let ends = |later: &&&Version| {
                let other = if later.kind() == "ImageShare" { share } else { image };
                spec(later) != spec(other) || is_deleting(later) || later.change == Change::Deleted
            };
            let end = moments.iter().skip(index + 1).find(ends).map_or(until, |later| later.seen_at);
            if !is_desired(share, image, end) {
                continue;
            }
            for id in recipients(share) {
                let id_of_image = image.text("/spec/imageID");
                let given = self.given_between(id_of_image, id, moment.seen_at, end);
                let due = Due { since: moment.seen_at, until: given.unwrap_or(end), image: Some(image) };
                if let Some(waited) = self.waited(&due) {
                    let what =
                        format!("{id} waited {waited:#} for {id_of_image}, which {} shares with it", title(share));
                    let evidence = vec![line(share), line(image)];
                    found.push(Violation { invariant: Invariant::ServedInTime, at: due.until, what, evidence });
                }
            }
        }
    }

    /// When a recipient first had an image between two moments.
    fn given_between(&self, image: &str, id: &str, from: Timestamp, until: Timestamp) -> Option<Timestamp> {
        if self.has(image, id, from) {
            return Some(from);
        }
        let mut given = self.acts.iter().filter(|act| act.image == image && act.added.iter().any(|added| added == id));
        given.find(|act| from <= act.time && act.time <= until).map(|act| act.time)
    }
}

/// Whether a share certainly wants its recipients to have the image, until a moment.
fn is_desired(share: &Version, image: &Version, until: Timestamp) -> bool {
    let ends = [share, image].into_iter().any(|object| is_deleting(object) || object.change == Change::Deleted);
    let suspended = share.object.pointer("/spec/suspend").and_then(Value::as_bool) == Some(true);
    let expiry = share.object.pointer("/spec/expirationTime").and_then(Value::as_str);
    let stays = expiry.is_none_or(|time| time.parse::<Timestamp>().is_ok_and(|time| time > until));
    !ends && !suspended && stays && consent(share, image) == Some(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(seconds).unwrap()
    }

    #[test]
    fn time_in_which_something_was_in_the_way_does_not_count_and_none_counts_twice() {
        let excuse = |from, until, scope| Excuse { from: at(from), until: at(until), scope };
        let excuses = vec![
            excuse(5, 10, Scope::Everybody),
            excuse(8, 12, Scope::Everybody),
            excuse(20, 30, Scope::Account("a".to_owned())),
        ];
        let bound = SignedDuration::from_secs(30);
        let promptness = Promptness { bound, excuses, owners: BTreeSet::new(), until: at(100) };
        let clear =
            |from, until, all: bool| promptness.clear(at(from), at(until), |scope| all || *scope == Scope::Everybody);
        assert_eq!(clear(0, 40, true), SignedDuration::from_secs(23));
        assert_eq!(clear(0, 40, false), SignedDuration::from_secs(33));
        assert_eq!(clear(6, 9, true), SignedDuration::ZERO);
        assert_eq!(clear(9, 25, true), SignedDuration::from_secs(8));
    }
}
