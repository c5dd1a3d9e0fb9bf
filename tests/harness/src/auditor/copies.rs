//! Copies as questions to the witnesses: each was written down before, there is one of each, and what was made goes only
//! where somebody wanted it gone.

use serde_json::Value;

use super::rules::{is_deleting, line};
use super::witness::{Act, Life, alive};
use super::{Auditor, Invariant, Violation, text};
use crate::history::{Change, Version};

/// What became of a copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Began,
    Done,
    Failed,
}

/// A step in the life of a copy.
#[derive(Debug, Clone)]
pub(super) struct CopyStep {
    step: Step,
    /// Its own image, which need not be there yet.
    pub(super) image: String,
    pub(super) owner: String,
    source: String,
    source_region: String,
    region: String,
    name: String,
    /// For which `ImageReplica` it was made, by its uid, and by which of its tries.
    mark: Option<(String, String)>,
    /// Whether there is anything of its image.
    there: bool,
}

impl CopyStep {
    /// From an entry of the journal, in either cloud's form.
    pub(super) fn read(entry: &Value) -> Option<Self> {
        match (entry.pointer("/effect/copy"), entry.get("copy")) {
            (Some(copy), _) if copy.is_object() => Self::read_alibaba(entry, copy),
            (_, Some(copy)) if copy.is_object() => Self::read_huawei(entry, copy),
            _ => None,
        }
    }

    fn read_alibaba(entry: &Value, copy: &Value) -> Option<Self> {
        let step = match copy.get("state")?.as_str()? {
            "began" => Step::Began,
            "done" => Step::Done,
            "failed" => Step::Failed,
            // The entry says that the image is gone.
            _ => return None,
        };
        let token = text(copy, "clientToken").unwrap_or_default();
        Some(Self {
            step,
            image: text(copy, "image")?,
            owner: text(entry, "principal")?,
            source: text(copy, "source")?,
            source_region: text(copy, "sourceRegion")?,
            region: text(copy, "destination")?,
            name: text(copy, "name")?,
            mark: token.rsplit_once('-').map(|(uid, attempt)| (uid.to_owned(), attempt.to_owned())),
            there: true,
        })
    }

    fn read_huawei(entry: &Value, copy: &Value) -> Option<Self> {
        let step = match (text(entry, "action")?.as_str(), text(entry, "code")?.as_str()) {
            ("JobEffect", "OK") => Step::Done,
            ("JobEffect", _) => Step::Failed,
            _ => Step::Began,
        };
        let described = text(copy, "description").unwrap_or_default();
        let mark = described.split_once("ImageReplica ").and_then(|(_, mark)| mark.strip_suffix(')'));
        Some(Self {
            step,
            image: text(copy, "image")?,
            owner: text(copy, "owner")?,
            source: text(copy, "source")?,
            source_region: text(entry, "region")?,
            region: text(copy, "region")?,
            name: text(copy, "name")?,
            mark: mark
                .and_then(|mark| mark.split_once(" ("))
                .map(|(uid, attempt)| (uid.to_owned(), attempt.to_owned())),
            there: copy.get("there").and_then(Value::as_bool).unwrap_or(true),
        })
    }

    fn is_for(&self, uid: &str) -> bool {
        self.mark.as_ref().is_some_and(|(marked, _)| marked == uid)
    }
}

fn begun(act: &Act) -> Option<&CopyStep> {
    act.copy.as_ref().filter(|copy| copy.step == Step::Began)
}

impl Auditor {
    /// A copy must have been written down in an `ImageReplica` that wanted it, and be the only one of it.
    pub(super) fn judge_copy(&self, act: &Act, found: &mut Vec<Violation>) {
        let Some(copy) = begun(act).filter(|_| act.by_an_account()) else { return };
        let uid = copy.mark.as_ref().map(|(uid, _)| uid.as_str()).unwrap_or_default();
        let life = self.witnessed.lives("ImageReplica").find(|life| life.first().is_some_and(|v| v.uid() == uid));
        let newest =
            || life.into_iter().flat_map(|life| self.witnessed.newest_at(life, act.asked).map(move |v| (life, v)));
        let asking: Vec<(&Life, &Version)> =
            newest().filter(|(_, version)| self.asks_for(version, act, copy)).collect();
        let wanting = asking.iter().any(|(life, v)| !is_deleting(self.witnessed.last_written(life, v, act.asked)));
        if !wanting {
            let why = if asking.is_empty() { "without its being written down" } else { "though it was not wanted" };
            let what = format!("{} was copied as {} {why}", copy.source, copy.image);
            let evidence = [act.line()].into_iter().chain(newest().map(|(_, version)| told(version))).collect();
            found.push(Violation { invariant: Invariant::IntentBeforeCopy, at: act.time, what, evidence });
        }
        let Some(life) = life else { return };
        for other in self.copies_left(uid, act.time).filter(|other| other.place < act.place) {
            let what = format!("a second copy {} was made for {}", copy.image, life.first().map_or("?", Version::name));
            let evidence = vec![other.line(), act.line()];
            found.push(Violation { invariant: Invariant::OneCopy, at: act.time, what, evidence });
        }
    }

    /// Whether an `ImageReplica` says so of this copy, and its spec wants it.
    fn asks_for(&self, replica: &Version, act: &Act, copy: &CopyStep) -> bool {
        let (status, spec) = (|field: &str| replica.text(&format!("/status/copy/{field}")), |p: &str| replica.text(p));
        let attempt = replica.object.pointer("/status/copy/number").and_then(Value::as_u64).map(|n| n.to_string());
        let written = status("state") == "Asked"
            && attempt.as_ref() == copy.mark.as_ref().map(|(_, attempt)| attempt)
            && (status("source/imageID"), status("source/region")) == (&copy.source, &copy.source_region);
        let wanted = (spec("/spec/destination/region"), spec("/spec/destination/name")) == (&copy.region, &copy.name);
        let named = spec("/spec/source/imageRef/name");
        let received = ("/spec/source/received/imageID", "/spec/source/received/region");
        let source = (spec(received.0), spec(received.1)) == (&copy.source, &copy.source_region)
            || self
                .witnessed
                .standing_for(&copy.source_region, &copy.source)
                .any(|life| life.first().is_some_and(|v| v.namespace() == replica.namespace() && v.name() == named));
        written && wanted && source && self.goes_by(replica, status("source/account"), &act.principal)
    }

    /// Whether the account of this name beside an object is who acted.
    fn goes_by(&self, object: &Version, name: &str, principal: &str) -> bool {
        let accounts = self.witnessed.lives("CloudAccount").filter_map(|life| life.first());
        let mut named = accounts.filter(|account| account.namespace() == object.namespace() && account.name() == name);
        match self.domains.get(principal) {
            Some(domain) => named.any(|account| account.text("/spec/huawei/domainID") == domain),
            None => named.any(|account| {
                ["/spec/alibaba/accountID", "/spec/aws/accountID"].iter().any(|id| account.text(id) == principal)
            }),
        }
    }

    /// The beginnings of an `ImageReplica`'s copies of which there was something then.
    fn copies_left(&self, uid: &str, at: jiff::Timestamp) -> impl Iterator<Item = &Act> {
        let past = move |act: &&Act| act.time <= at;
        let begun = self.acts.iter().filter(past).filter(move |act| begun(act).is_some_and(|copy| copy.is_for(uid)));
        begun.filter(move |act| {
            let Some(copy) = &act.copy else { return false };
            let mut since = self.acts.iter().filter(past);
            !since.any(|act| {
                let vain = |end: &CopyStep| end.step == Step::Failed && !end.there && end.image == copy.image;
                act.deletes(&copy.image) || act.copy.as_ref().is_some_and(vain)
            })
        })
    }

    /// An image goes only where its `CloudImage` was deleted with it, or where it was a copy that nobody stood for and its
    /// `ImageReplica` wrote down that it is to go.
    pub(super) fn judge_deletion(&self, act: &Act, found: &mut Vec<Violation>) {
        if !act.by_an_account() || !act.deletes(&act.image) {
            return;
        }
        let standing: Vec<&Life> = self.witnessed.standing_for(&act.region, &act.image).collect();
        let goes_along = |version: &Version| is_deleting(version) && version.text("/spec/deletionPolicy") == "Delete";
        // When it was asked for, or when a job carried it out.
        let along = [act.asked, act.time].into_iter().any(|at| {
            standing.iter().any(|life| {
                let mut newest = self.witnessed.newest_at(life, at);
                newest.any(|v| goes_along(v) || goes_along(self.witnessed.last_written(life, v, at)))
            })
        });
        let certainly = |life: &&Life| {
            let came = life.first().is_some_and(|first| self.witnessed.latest(first) <= act.time);
            let left = life.last().filter(|last| last.change == Change::Deleted);
            came && left.is_none_or(|left| self.witnessed.earliest(left) > act.time)
        };
        let stood_for = standing.iter().copied().find(certainly);
        let cleared = self.acts.iter().filter_map(begun).filter(|copy| copy.image == act.image).any(|copy| {
            let mut replicas = self.witnessed.lives("ImageReplica");
            let life = replicas.find(|life| life.first().is_some_and(|v| copy.is_for(v.uid())));
            let newest = life.into_iter().flat_map(|life| self.witnessed.newest_at(life, act.time));
            newest.into_iter().any(|version| version.text("/status/copy/state") == "Clearing")
        });
        if along || (cleared && stood_for.is_none()) {
            return;
        }
        let what = format!("{} was deleted though nobody wanted it gone", act.image);
        let evidence = [act.line()].into_iter().chain(stood_for.and_then(|life| life.last()).map(line)).collect();
        found.push(Violation { invariant: Invariant::NoWrongfulDeletion, at: act.time, what, evidence });
    }

    /// A `CloudImage` is deleted by the operator only along with the `ImageReplica` whose copy it stands for, where that is to
    /// take its copy along.
    pub(super) fn judge_asked_deletions(&self, found: &mut Vec<Violation>) {
        for call in self.deletions.iter().filter(|call| call.status.is_some_and(|status| status < 300)) {
            let ends = |version: &Version| {
                let path = format!("/namespaces/{}/cloudimages/{}", version.namespace(), version.name());
                call.path.split('?').next().is_some_and(|asked| asked.ends_with(&path))
            };
            let images = self.witnessed.lives("CloudImage").filter(|life| life.first().is_some_and(ends));
            let image = images.flat_map(|life| self.witnessed.newest_at(life, call.asked_at)).next();
            let Some(image) = image else { continue };
            let along = |replica: &Version| {
                let stands = replica.text("/status/cloudImageUID") == image.uid();
                stands && is_deleting(replica) && replica.text("/spec/deletionPolicy") == "Delete"
            };
            if self.witnessed.lives("ImageReplica").flatten().any(along) {
                continue;
            }
            let what = format!("{} was asked to go though no replica takes it along", image.name());
            let evidence = vec![call.line(), line(image)];
            found.push(Violation { invariant: Invariant::NoWrongfulDeletion, at: call.asked_at, what, evidence });
        }
    }

    /// Nothing of a copy may be left that no `CloudImage` stands for, nor that was to go with its `ImageReplica`.
    pub(super) fn judge_replica_left(&self, replica: &Version, found: &mut Vec<Violation>) {
        let blame = |what: String, evidence: Vec<String>| Violation {
            invariant: Invariant::NoCopyLeftBehind,
            at: replica.seen_at,
            what: format!("{}/{} left {what}", replica.namespace(), replica.name()),
            evidence,
        };
        let standing = replica.text("/status/cloudImageUID");
        if !standing.is_empty() {
            let mut images = self.witnessed.lives("CloudImage").filter_map(|life| alive(life, replica.revision));
            let image = images.find(|image| image.uid() == standing);
            if let Some(image) = image.filter(|_| replica.text("/spec/deletionPolicy") == "Delete") {
                found.push(blame("before its CloudImage".to_owned(), vec![told(replica), line(image)]));
            }
            return;
        }
        // Without its account nothing can be ended, and with another one nothing may.
        let name = replica.text("/status/copy/source/account");
        let named = |v: &Version| v.namespace() == replica.namespace() && v.name() == name;
        let mut accounts = self.witnessed.lives("CloudAccount").filter(|life| life.first().is_some_and(named));
        let known =
            accounts.next().is_some_and(|life| alive(life, replica.revision).is_some()) && accounts.next().is_none();
        let left = self.copies_left(replica.uid(), self.witnessed.latest(replica));
        for act in left.filter(|act| known && act.time <= self.witnessed.earliest(replica)) {
            found.push(blame("its copy behind".to_owned(), vec![act.line(), told(replica)]));
        }
    }

    /// Whether a call is the copy of an image that whoever asks has received, within its region if it was made.
    pub(super) fn copies_what_it_received(&self, act: &Act) -> bool {
        let here = begun(act).is_none_or(|copy| copy.region == copy.source_region);
        act.action.starts_with("CopyImage") && here && self.received(act)
    }

    /// Whether the image was ever shared with who acts. Who is in an organization is not known here.
    fn received(&self, act: &Act) -> bool {
        let domain = self.domains.get(&act.principal);
        let is_us = |id: &String| *id == act.principal || Some(id) == domain || id.contains(':');
        let told = self.members.get(&act.image).is_some_and(|members| members.iter().any(is_us));
        let mut past = self.acts.iter().filter(|other| other.time <= act.time && other.image == act.image);
        told || past.any(|other| other.added.iter().any(is_us))
    }
}

/// An `ImageReplica` with what it says of its copy.
fn told(replica: &Version) -> String {
    let copy = replica.object.pointer("/status/copy").map(ToString::to_string).unwrap_or_default();
    format!("{} copy {copy}", line(replica))
}
