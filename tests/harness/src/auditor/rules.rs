//! The invariants as questions to the witnesses. Where a witness leaves room, the operator gets the benefit of it: a
//! violation is one under every reading.

use jiff::Timestamp;
use serde_json::Value;

use super::witness::{Act, Life, alive, ids_in_ledger, ledger_state, names, recipients};
use super::{Auditor, Invariant, Violation};
use crate::history::Version;

/// Codes by which clouds refuse a recipient over the limit.
const OVER_LIMIT: [&str; 1] = ["QuotaExceed.ShareImageUser"];

/// What a live share means for a recipient it names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Claim {
    /// Nothing: it ended, or has no consent.
    None,
    /// It is being deleted: what it had is judged when it leaves.
    Leaving,
    /// It may be wished or not: consent that only labels tell.
    Unclear,
    /// It keeps what it has.
    Held,
    /// It is wished.
    Wished,
}

impl Auditor {
    /// A grant must be in the ledger before, and wished by a live share when the ledger was last written or after.
    pub(super) fn judge_grants(&self, act: &Act, found: &mut Vec<Violation>) {
        if !act.by_an_account() {
            return;
        }
        for recipient in &act.added {
            let ledgers = self.ledgers(act, act.asked, |state| state.is_some(), recipient);
            if ledgers.is_empty() {
                let what = format!("{recipient} was granted {} without a ledger entry", act.image);
                found.push(self.violation(Invariant::LedgerBeforeCall, what, act, recipient));
                continue;
            }
            if self.ledgers(act, act.time, |state| state.is_some(), recipient).is_empty() {
                let what = format!("{recipient} was granted {} by a job that the ledger had forgotten", act.image);
                found.push(self.violation(Invariant::NoLeak, what, act, recipient));
            }
            let wished = |newest: &&Version| {
                // The list after the intent may have shown anything written until the call.
                let lists = self.witnessed.lists(self.witnessed.horizon(newest, act.asked), act.asked);
                let claims = self.witnessed.since_written(newest, act.asked).flat_map(|image| {
                    lists.iter().flat_map(move |list| self.claims_by(image, recipient, *list, act.asked))
                });
                claims.into_iter().any(|(claim, _)| [Claim::Wished, Claim::Unclear].contains(&claim))
            };
            if !ledgers.iter().any(wished) {
                let what = format!("{recipient} was granted {} though no live share wished it", act.image);
                found.push(self.violation(Invariant::NoGrantWithoutWish, what, act, recipient));
            }
        }
    }

    /// A revoke must be in the ledger before, and nobody may have wished or held the recipient then.
    pub(super) fn judge_revokes(&self, act: &Act, found: &mut Vec<Violation>) {
        if !act.by_an_account() {
            return;
        }
        for recipient in act.removed.iter().filter(|recipient| !act.added.contains(recipient)) {
            let ledgers = self.ledgers(act, act.asked, |state| state == Some("Revoking"), recipient);
            if ledgers.is_empty() {
                let what = format!("{recipient} lost {} without a ledger entry that says so", act.image);
                found.push(self.violation(Invariant::NoWrongfulRevoke, what, act, recipient));
                continue;
            }
            let wanted_by = |newest: &&Version| {
                // The list after the intent may have shown anything written until the call.
                let lists = self.witnessed.lists(self.witnessed.horizon(newest, act.asked), act.asked);
                let wanting = self.witnessed.since_written(newest, act.asked).flat_map(|image| {
                    lists.iter().map(move |revision| {
                        let claims = self.claims_by(image, recipient, *revision, act.asked);
                        claims.into_iter().find(|(claim, _)| *claim >= Claim::Held).map(|(_, share)| share)
                    })
                });
                wanting.collect::<Option<Vec<String>>>()?.pop()
            };
            let wanting: Vec<String> = ledgers.iter().filter_map(wanted_by).collect();
            if wanting.len() == ledgers.len() {
                let what = format!("{recipient} lost {} though {} names it", act.image, wanting.join(", "));
                found.push(self.violation(Invariant::NoWrongfulRevoke, what, act, recipient));
            }
        }
    }

    /// Whose image it is, and how many may have it.
    pub(super) fn judge_manners(&self, act: &Act, found: &mut Vec<Violation>) {
        let owner = self.owners.get(&act.image);
        let foreign = owner.is_some_and(|owner| *owner != act.principal) && !self.copies_what_it_received(act);
        if act.by_an_account() && act.changes() && !act.answers() && foreign {
            let what = format!("{} called {} on the image {} of another account", act.principal, act.action, act.image);
            let evidence = vec![act.line()];
            found.push(Violation { invariant: Invariant::OwnImagesOnly, at: act.time, what, evidence });
        }
        if OVER_LIMIT.contains(&act.code.as_str()) {
            let what = format!("more recipients were asked for than {} may have", act.image);
            let evidence = vec![act.line()];
            found.push(Violation { invariant: Invariant::WithinLimit, at: act.time, what, evidence });
        }
    }

    /// Nothing of a share that left may be left at the cloud, unless another share wants it or it was to stay.
    pub(super) fn judge_share_left(&self, share: &Version, found: &mut Vec<Violation>) {
        if share.text("/spec/deletionPolicy") == "Retain" {
            return;
        }
        let images = self.witnessed.lives("CloudImage");
        for (life, image) in images.filter_map(|life| Some((life, alive(life, share.revision)?))) {
            if !names(share, image) {
                continue;
            }
            let named = recipients(self.witnessed.as_wished(share));
            for recipient in named.filter(|recipient| self.may_have_been_served(share, life, recipient)) {
                // Once another share claimed it when this one had ended or was leaving, it was that one's; not if that one
                // was leaving too, or each would excuse the other.
                let kept = self.while_ending(life, share).into_iter().any(|(revision, at)| {
                    // By the consent of that moment: it may have been withdrawn since.
                    let image = alive(life, revision).unwrap_or(image);
                    let claims = self.claims_by(image, recipient, revision, at);
                    claims.into_iter().any(|(claim, title)| claim > Claim::Leaving && title != self::title(share))
                        || self.is_kept_by_paused(life, (recipient, share), revision, at)
                });
                let retained = ledger_state(image, recipient) == Some("Retained");
                // What was given after the ledger had counted it out was given for another one.
                let out = counted_out(life, share);
                let own = |act: &&Act| out.is_none_or(|out| act.asked <= self.witnessed.latest(out));
                if let Some(act) = self.left_behind(life, share, recipient).filter(own).filter(|_| !kept && !retained) {
                    let what = format!("{recipient} still has {} though its share left", act.image);
                    let mut violation = self.violation(Invariant::NoLeak, what, act, recipient);
                    violation.at = share.seen_at;
                    violation.evidence.push(line(share));
                    found.push(violation);
                }
            }
        }
    }

    /// Whether the image's ledger counted a share in as it was when it named a recipient. One that came and went while nothing
    /// could be done had nothing of its own, nor had a wish that was never acted on; whom it named and others had shared with
    /// is theirs.
    fn may_have_been_served(&self, share: &Version, image: &Life, recipient: &str) -> bool {
        let tells = image.iter().any(|version| serves(version, share).is_some());
        let counted = |version: &&Version| version.revision <= share.revision && serves(version, share) == Some(true);
        if !image.iter().any(|version| counted(&version)) {
            // Nor had a share of a `CloudImage` that never granted anything, as one without proven credentials.
            return !tells && image.iter().any(|version| !ids_in_ledger(version).is_empty());
        }
        let over = counted_out(image, share).map(|version| version.revision);
        let acted_on = image.iter().filter(counted).filter_map(|version| generation_served(version, share)).max();
        let in_time =
            |version: &Version| acted_on.zip(generation(&version.object)).is_none_or(|(acted, own)| own <= acted);
        let named = |version: &&Version| in_time(version) && recipients(version).any(|id| id == recipient);
        let own = self.witnessed.life_of(share).into_iter().flatten();
        own.filter(named).any(|version| over.is_none_or(|over| version.revision < over))
    }

    /// The moments, as revisions and times, from a share's end to its departure: from its deletion being asked for, its
    /// expiry, or the loss of its image's consent.
    fn while_ending(&self, image: &Life, share: &Version) -> Vec<(u64, Timestamp)> {
        let known = self.witnessed.lives("ImageShare").flatten().chain(image);
        let known = known.filter(|version| version.revision <= share.revision);
        let mut moments: Vec<(u64, Timestamp)> = known.map(|version| (version.revision, version.seen_at)).collect();
        moments.sort_unstable();
        let expiry = share.text("/spec/expirationTime").parse::<Timestamp>().ok();
        if let Some((place, expiry)) = expiry.and_then(|at| Some((moments.iter().rposition(|m| m.1 <= at)?, at))) {
            let revision = moments.get(place).map_or(share.revision, |moment| moment.0);
            moments.insert(place + 1, (revision, expiry));
        }
        let own = self.witnessed.life_of(share);
        let has_ended = |(revision, at): &(u64, Timestamp)| {
            let own = own.and_then(|life| life.iter().rfind(|version| version.revision <= *revision));
            let image = image.iter().rfind(|version| version.revision <= *revision);
            own.zip(image).is_some_and(|(own, image)| claim(own, image, *at) <= Claim::Leaving)
        };
        // One that nobody held leaves without having ended before.
        let earlier = moments.into_iter().rev().filter(|moment| moment.0 < share.revision).take_while(has_ended);
        // When the ledger counted it out, what it had was others' or was gone.
        let out = counted_out(image, share).map(|version| (version.revision, version.seen_at));
        [(share.revision, share.seen_at)].into_iter().chain(out).chain(earlier).collect()
    }

    /// The act that gave a recipient what it still had when a share left, if it was this operator's or became so.
    fn left_behind(&self, life: &Life, share: &Version, recipient: &str) -> Option<&Act> {
        let image = life.first()?;
        let (region, id) = (image.text("/spec/region"), image.text("/spec/imageID"));
        let of_image = |act: &&Act| act.image == id && act.region == region;
        let by = |time: Timestamp| {
            let touching = |act: &&Act| gives(act, recipient) || act.removed.iter().any(|id| id == recipient);
            let last = self.acts.iter().filter(of_image).filter(touching).rfind(|act| act.time <= time);
            last.filter(|act| gives(act, recipient))
        };
        let act = by(self.witnessed.earliest(share))?;
        by(self.witnessed.latest(share))?;
        // Adopted: the ledger named it after somebody else had granted it.
        let later = |index: usize| life.get(index + 1).is_none_or(|next| self.witnessed.latest(next) > act.time);
        let mut versions = life.iter().enumerate().filter(|(_, version)| version.revision <= share.revision);
        let adopted = versions.any(|(index, version)| ledger_state(version, recipient).is_some() && later(index));
        (act.by_an_account() || adopted).then_some(act)
    }

    /// An image leaves last. One that went before anybody had looked at it was nobody's to hold, nor one that the API server
    /// let go while a finalizer was put on it.
    pub(super) fn judge_image_left(&self, image: &Version, found: &mut Vec<Violation>) {
        if !is_deleting(image) && is_held(image) {
            return;
        }
        let touched = ["/status/conditions", "/status/grants", "/metadata/finalizers"];
        let life = self.witnessed.life_of(image);
        if !life.is_some_and(|life| life.iter().any(|v| touched.iter().any(|at| v.object.pointer(at).is_some()))) {
            return;
        }
        let mut blame = |what: String, evidence: Vec<String>| {
            found.push(Violation { invariant: Invariant::ImageLast, at: image.seen_at, what, evidence });
        };
        let grants = image.object.pointer("/status/grants").and_then(Value::as_array).into_iter().flatten();
        for grant in grants.filter(|grant| grant.get("state").and_then(Value::as_str) != Some("Retained")) {
            blame(
                format!("{}/{} left with a ledger entry {grant}", image.namespace(), image.name()),
                vec![line(image)],
            );
        }
        for life in self.witnessed.lives("ImageShare") {
            let Some(share) = alive(life, image.revision) else { continue };
            // One that came while the image was leaving could not be known.
            let known = life.first().is_some_and(|first| {
                let left = self.witnessed.earliest(image).saturating_sub(self.witnessed.lag);
                self.witnessed.latest(first) < left.unwrap_or(Timestamp::MIN)
            });
            let stays = !is_deleting(share) && names(share, image) && consent(share, image) == Some(true);
            if known && stays {
                let what = format!("{}/{} left though {} names it", image.namespace(), image.name(), title(share));
                blame(what, vec![line(image), line(share)]);
            }
        }
    }

    /// Versions of `CloudImages` for the act's image that may have been the newest then, and whose ledger fits.
    fn ledgers(&self, act: &Act, at: Timestamp, fits: impl Fn(Option<&str>) -> bool, id: &str) -> Vec<&Version> {
        let lives = self.witnessed.standing_for(&act.region, &act.image);
        let newest = lives.flat_map(|life| self.witnessed.newest_at(life, at));
        newest.filter(|version| fits(ledger_state(version, id))).collect()
    }

    /// What live shares claimed for a recipient at a revision.
    fn claims_by(&self, image: &Version, recipient: &str, revision: u64, at: Timestamp) -> Vec<(Claim, String)> {
        let shares = self.witnessed.lives("ImageShare").filter_map(|life| alive(life, revision));
        let asks = |share: &Version| recipients(self.witnessed.as_wished(share)).any(|id| id == recipient);
        let naming = shares.filter(|share| names(share, image) && asks(share));
        let claims = naming.map(|share| {
            let claim = claim(share, image, at);
            // Until it is held it may go without a word: it is granted nothing, and whom it names keeps what it has.
            (if is_held(share) { claim } else { claim.min(Claim::Held) }, title(share))
        });
        claims.collect()
    }

    /// Whether another share that is paused named a recipient when it was paused, or since: it keeps what it holds, also whom its
    /// list lost meanwhile.
    fn is_kept_by_paused(
        &self,
        images: &Life,
        (recipient, share): (&str, &Version),
        revision: u64,
        at: Timestamp,
    ) -> bool {
        let Some(image) = alive(images, revision).or(images.last()) else { return false };
        let others = self.witnessed.lives("ImageShare").filter(|life| {
            alive(life, revision).is_some_and(|other| other.uid() != share.uid() && names(other, image))
        });
        others.into_iter().any(|life| {
            let versions = || life.iter().rev().skip_while(|version| version.revision > revision);
            let active = |served: &i64| {
                let mut of_it = versions().filter(|version| generation(&version.object) == Some(*served));
                of_it.any(|version| claim(version, image, at) != Claim::Held)
            };
            // The ledger counts in each generation that was seen; nobody acts on those of a pause.
            let counted = images.iter().take_while(|image| image.revision <= revision);
            let counted = counted.filter_map(|image| generation_served(image, versions().next()?));
            let acted_on = counted.filter(active).max();
            let mut paused = true;
            // Its versions while it was paused, the last one before, and those that nobody had acted on when it was.
            let since = versions().take_while(|version| {
                let unacted = acted_on.zip(generation(&version.object)).is_some_and(|(acted, own)| own >= acted);
                std::mem::replace(&mut paused, claim(version, image, at) == Claim::Held) || unacted
            });
            let since: Vec<&Version> = since.collect();
            since.first().is_some_and(|last| claim(last, image, at) == Claim::Held)
                && since.iter().any(|version| recipients(version).any(|id| id == recipient))
        })
    }

    fn violation(&self, invariant: Invariant, what: String, act: &Act, recipient: &str) -> Violation {
        let mut evidence = vec![act.line()];
        for life in self.witnessed.standing_for(&act.region, &act.image) {
            for image in self.witnessed.newest_at(life, act.asked) {
                let state = ledger_state(image, recipient).unwrap_or("no entry");
                evidence.push(format!("{}: {state} for {recipient}", line(image)));
                let horizon = self.witnessed.horizon(image, act.asked);
                let shares = self.witnessed.lives("ImageShare");
                let naming = shares.filter(|life| life.first().is_some_and(|share| names(share, image)));
                evidence.extend(naming.filter_map(|life| life.iter().rfind(|v| v.revision <= horizon)).map(line));
            }
        }
        Violation { invariant, at: act.time, what, evidence }
    }
}

/// Whether the image's ledger counts a share in; `None` where it tells of no shares.
fn serves(image: &Version, share: &Version) -> Option<bool> {
    image.object.pointer("/status/shares").and_then(Value::as_array)?;
    Some(entry_of(image, share).is_some())
}

/// Which generation of a share the image's ledger tells of, if it counts the share in.
fn generation_served(image: &Version, share: &Version) -> Option<i64> {
    entry_of(image, share)?.get("generation")?.as_i64()
}

/// What the image's ledger says of a share that it counts in.
pub(super) fn entry_of<'a>(image: &'a Version, share: &Version) -> Option<&'a Value> {
    let shares = image.object.pointer("/status/shares").and_then(Value::as_array)?;
    shares.iter().find(|served| served.get("uid").and_then(Value::as_str) == Some(share.uid()))
}

fn generation(object: &Value) -> Option<i64> {
    object.pointer("/metadata/generation")?.as_i64()
}

/// The first version of the image whose ledger did not count a share in any more, for good.
fn counted_out<'a>(image: &'a Life, share: &Version) -> Option<&'a Version> {
    let before = || image.iter().filter(|version| version.revision <= share.revision);
    let last = before().rfind(|version| serves(version, share) == Some(true))?.revision;
    before().find(|version| version.revision > last)
}

fn gives(act: &Act, recipient: &str) -> bool {
    act.added.iter().any(|id| id == recipient)
}

fn claim(share: &Version, image: &Version, at: Timestamp) -> Claim {
    let written = share.text("/spec/expirationTime");
    let expires = written.parse::<Timestamp>().ok();
    // A date that no calendar knows pauses its share.
    let odd = expires.is_none() && !written.is_empty();
    let suspended = odd || share.object.pointer("/spec/suspend").and_then(Value::as_bool) == Some(true);
    let consent = consent(share, image);
    if consent == Some(false) {
        Claim::None
    } else if is_deleting(share) {
        Claim::Leaving
    } else if consent.is_none() {
        Claim::Unclear
    } else if suspended {
        Claim::Held
    } else if expires.is_some_and(|end| end <= at) {
        Claim::None
    } else {
        Claim::Wished
    }
}

/// Whether an object carries the finalizer.
fn is_held(object: &Version) -> bool {
    object.object.pointer("/metadata/finalizers").is_some()
}

/// Whether the image's owner certainly lets the share use it.
pub(super) fn consents(share: &Version, image: &Version) -> bool {
    consent(share, image) == Some(true)
}

pub(super) fn is_deleting(object: &Version) -> bool {
    object.object.pointer("/metadata/deletionTimestamp").is_some()
}

/// Whether the image's owner lets the share use it; `None` where only a namespace's labels tell.
pub(super) fn consent(share: &Version, image: &Version) -> Option<bool> {
    match image.text("/spec/shareableFrom/namespaces/from") {
        "All" => Some(true),
        "Selector" => None,
        _ => Some(share.namespace() == image.namespace()),
    }
}

/// Whether a share that goes with `Retain` may leave its recipients behind: the image consents, and, where the share is of
/// another namespace, says that such shares may retain. Where only a namespace's labels tell, it may.
pub(super) fn may_retain(share: &Version, image: &Version) -> bool {
    let own = share.namespace() == image.namespace();
    consent(share, image) != Some(false) && (own || image.text("/spec/shareableFrom/retain") == "Allow")
}

pub(super) fn title(object: &Version) -> String {
    format!("{}/{}", object.namespace(), object.name())
}

pub(super) fn line(version: &Version) -> String {
    let (kind, title, spec) = (version.kind(), title(version), version.object.get("spec"));
    let leaving = if is_deleting(version) { ", deleting" } else { "" };
    let spec = spec.map(ToString::to_string).unwrap_or_default();
    format!("{:?} {kind} {title} at {} told {}{leaving} {spec}", version.change, version.revision, version.seen_at)
}
