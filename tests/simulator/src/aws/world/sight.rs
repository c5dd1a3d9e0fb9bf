//! Who sees which images and snapshots, as of when.

use super::{Asker, Image, Recipient, Snapshot, World, check_image_id, check_snapshot_id, is_public};
use crate::aws::recipient::Kind;
use crate::aws::rules;
use crate::aws::world_file::{Allowing, State};
use crate::chassis::names::{AccountId, ImageId};
use crate::chassis::refusal::Refusal;
use jiff::{SignedDuration, Timestamp};

/// The present, and the instants that answers are of.
#[derive(Debug, Clone, Copy)]
pub(in crate::aws) struct View {
    /// The present.
    pub(in crate::aws) now: Timestamp,
    /// That of owners' lists of permissions.
    pub(in crate::aws) owner: Timestamp,
    /// That of what recipients see.
    pub(in crate::aws) recipient: Timestamp,
}

/// How an image relates to the account that asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::aws) enum Relation {
    /// Owned.
    Own,
    /// Shared with the account, its unit or its organization.
    Shared,
    /// Everybody's.
    Public,
}

/// Which images `DescribeImages` was asked for, besides its filters.
#[derive(Debug, Clone, Default)]
pub(in crate::aws) struct ImageQuery {
    /// These alone; empty for all.
    pub(in crate::aws) ids: Vec<ImageId>,
    /// Owners: accounts, `self`, aliases; empty for all.
    pub(in crate::aws) owners: Vec<String>,
    /// Who may launch them: accounts, `self`, `all`; empty for all.
    pub(in crate::aws) executable_by: Vec<String>,
    /// Whether those count that are deprecated.
    pub(in crate::aws) deprecated: bool,
    /// Whether those count that are disabled.
    pub(in crate::aws) disabled: bool,
}

impl World {
    /// The present, with what the rules and fault injection take away.
    pub(in crate::aws) fn view(&self, now: Timestamp, as_of: Timestamp) -> View {
        let before = |millis: u32| {
            let lag = SignedDuration::from_millis(i64::from(millis));
            now.checked_sub(lag).map_or(as_of, |instant| instant.min(as_of))
        };
        View { now, owner: before(self.rules.owner_lag_millis), recipient: before(self.rules.recipient_lag_millis) }
    }

    /// How an image relates to an account; `None` where the account does not see it. A pending image is its owner's alone, a
    /// disabled one as well: its permissions are gone, and those that lag do not matter.
    pub(in crate::aws) fn relation(&self, image: &Image, asker: &Asker, view: &View) -> Option<Relation> {
        if image.spec.region != asker.region {
            return None;
        }
        if image.is_owned_by(&asker.account) {
            return Some(Relation::Own);
        }
        if !matches!(image.spec.state, State::Available | State::Deregistered) || self.is_hidden(image, asker) {
            return None;
        }
        let permissions = image.permissions_at(view.recipient);
        let explicit = permissions.iter().any(|one| self.organizations.reaches(one, &asker.account));
        match (explicit, is_public(permissions) || image.spec.is_offered_to_all()) {
            (true, _) => Some(Relation::Shared),
            (false, true) => Some(Relation::Public),
            (false, false) => None,
        }
    }

    /// Whether an account allows an image; `None` where Allowed AMIs do not say.
    pub(in crate::aws) fn is_allowed(&self, image: &Image, account: &AccountId) -> Option<bool> {
        let settings = &self.accounts.get(account)?.allowed_images;
        let words = [Some(image.spec.owner.as_str()), image.spec.alias.map(crate::aws::world_file::Alias::word)];
        let listed = words.iter().flatten().any(|word| settings.providers.iter().any(|one| one == word));
        (settings.state != Allowing::Disabled).then_some(listed || image.is_owned_by(account))
    }

    fn is_hidden(&self, image: &Image, asker: &Asker) -> bool {
        let enforced =
            self.accounts.get(&asker.account).is_some_and(|one| one.allowed_images.state == Allowing::Enabled);
        enforced && self.is_allowed(image, &asker.account) == Some(false)
    }

    /// The images asked for, in the order of their ids.
    ///
    /// # Errors
    /// An id that is malformed, or that names no image the account sees or saw.
    pub(in crate::aws) fn find_images(
        &self,
        asker: &Asker,
        query: &ImageQuery,
        view: &View,
    ) -> Result<Vec<(&Image, Relation)>, Refusal> {
        query.ids.iter().try_for_each(check_image_id)?;
        let seen = |image: &Image| self.relation(image, asker, view);
        let missing: Vec<_> =
            query.ids.iter().filter(|id| self.images.get(*id).and_then(seen).is_none()).map(ImageId::as_str).collect();
        if !missing.is_empty() {
            return Err(not_found(&missing));
        }
        let images: Vec<_> = if query.ids.is_empty() {
            self.images.values().collect()
        } else {
            query.ids.iter().filter_map(|id| self.images.get(id)).collect()
        };
        let related = images.into_iter().filter_map(|image| Some((image, seen(image)?)));
        Ok(related.filter(|(image, relation)| is_asked_for(image, *relation, asker, query, view)).collect())
    }

    /// The caller's own image in its region: the only ones whose permissions it may see or change. One that is gone is none.
    ///
    /// # Errors
    /// A malformed id, an image of another's, no such image.
    pub(in crate::aws) fn owned(&self, asker: &Asker, id: &ImageId, view: &View) -> Result<&Image, Refusal> {
        check_image_id(id)?;
        let image = self.images.get(id).filter(|image| self.relation(image, asker, view).is_some());
        let image = image.ok_or_else(|| not_found(&[id.as_str()]))?;
        if !image.is_owned_by(&asker.account) {
            let gone = image.is_gone();
            let refusal = || rules::NOT_AUTHORIZED.saying(format!("Not authorized for image:{id}"));
            return Err(if gone { unavailable(id) } else { refusal() });
        }
        if image.is_gone() { Err(unavailable(id)) } else { Ok(image) }
    }

    /// The caller's own snapshot in its region.
    ///
    /// # Errors
    /// A malformed id, a snapshot of another's, no such snapshot.
    pub(in crate::aws) fn owned_snapshot(&self, asker: &Asker, id: &ImageId) -> Result<&Snapshot, Refusal> {
        check_snapshot_id(id)?;
        let here = self.snapshots.get(id).filter(|snapshot| snapshot.spec.region == asker.region);
        let snapshot = here.ok_or_else(|| snapshot_not_found(id))?;
        if snapshot.spec.owner == asker.account {
            return Ok(snapshot);
        }
        let now = snapshot.is_usable_by(&asker.account, Timestamp::MAX);
        Err(if now { rules::SNAPSHOT_NOT_AUTHORIZED.about(id.as_str()) } else { snapshot_not_found(id) })
    }

    /// The snapshots that an account may use in a region: these, or all.
    ///
    /// # Errors
    /// One of them is malformed, or not for the account to use.
    pub(in crate::aws) fn find_snapshots(
        &self,
        asker: &Asker,
        ids: &[ImageId],
        view: &View,
    ) -> Result<Vec<&Snapshot>, Refusal> {
        ids.iter().try_for_each(check_snapshot_id)?;
        let usable = |snapshot: &&Snapshot| {
            snapshot.spec.region == asker.region && snapshot.is_usable_by(&asker.account, view.recipient)
        };
        if ids.is_empty() {
            return Ok(self.snapshots.values().filter(usable).collect());
        }
        let find = |id: &ImageId| self.snapshots.get(id).filter(usable).ok_or_else(|| snapshot_not_found(id));
        ids.iter().map(find).collect()
    }

    /// The images that an account may launch without owning them, in all regions and as they are at present.
    pub fn received(&self, account: &AccountId) -> Vec<&ImageId> {
        let reaches = |image: &&Image| {
            let mut permissions = image.permissions().iter();
            !image.is_gone() && permissions.any(|one| self.organizations.reaches(one, account))
        };
        self.images.values().filter(reaches).map(|image| &image.spec.id).collect()
    }
}

/// Whether a query means an image. One that is gone is not listed, also by its id (moto issue 5050).
fn is_asked_for(image: &Image, relation: Relation, asker: &Asker, query: &ImageQuery, view: &View) -> bool {
    let deprecated = image.spec.deprecated_from.is_some_and(|from| from <= view.now);
    let hides_deprecated = relation != Relation::Own && query.ids.is_empty() && !query.deprecated;
    let is_of = |word: &String| match word.as_str() {
        "self" => relation == Relation::Own,
        word => image.spec.owner.as_str() == word || image.spec.alias.is_some_and(|alias| alias.word() == word),
    };
    let is_for = |word: &String| is_executable_by(image, relation, word, asker, view);
    let hidden = image.is_gone() || (deprecated && hides_deprecated);
    !hidden
        && (query.disabled || image.spec.state != State::Disabled)
        && (query.owners.is_empty() || query.owners.iter().any(is_of))
        && (query.executable_by.is_empty() || query.executable_by.iter().any(is_for))
}

/// `ExecutableBy`: the own account by its unit and organization as well, another's by itself alone, everybody's by `all`.
fn is_executable_by(image: &Image, relation: Relation, word: &str, asker: &Asker, view: &View) -> bool {
    match word {
        "all" => is_public(image.permissions_at(view.recipient)) || image.spec.is_offered_to_all(),
        "self" => relation == Relation::Shared,
        id if id == asker.account.as_str() => relation == Relation::Shared,
        id => {
            let is = |one: &Recipient| one.kind() == Kind::Account && one.id().as_str() == id;
            image.permissions_at(view.owner).iter().any(is)
        }
    }
}

/// One refusal for all the ids that are missing.
pub(super) fn not_found(ids: &[&str]) -> Refusal {
    let words = if ids.len() == 1 { ("id", "does") } else { ("ids", "do") };
    rules::IMAGE_NOT_FOUND.saying(format!("The image {} '[{}]' {} not exist", words.0, ids.join(", "), words.1))
}

/// The image is gone, or in a state that does not allow it.
pub(super) fn unavailable(id: &ImageId) -> Refusal {
    rules::IMAGE_UNAVAILABLE.saying(format!("The image ID '{id}' is no longer available"))
}

/// There is no such snapshot.
pub(super) fn snapshot_not_found(id: &ImageId) -> Refusal {
    rules::SNAPSHOT_NOT_FOUND.saying(format!("The snapshot '{id}' does not exist."))
}
