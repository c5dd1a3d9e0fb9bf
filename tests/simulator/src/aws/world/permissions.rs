//! Who may launch an image, and who may make volumes of a snapshot: changed whole or not at all.

use super::sight::unavailable;
use super::{Asker, Image, Recipient, View, World, is_public};
use crate::aws::recipient::Kind;
use crate::aws::rules;
use crate::aws::world_file::{Encryption, Partition, State};
use crate::chassis::effect::Effect;
use crate::chassis::names::{AccountId, ImageId};
use crate::chassis::refusal::Refusal;
use jiff::Timestamp;

/// A change of permissions, as a request asks for it.
#[derive(Debug, Clone, Default)]
pub(in crate::aws) struct PermissionChange {
    /// Recipients to add.
    pub(in crate::aws) add: Vec<Recipient>,
    /// Recipients to remove.
    pub(in crate::aws) remove: Vec<Recipient>,
    /// Check only.
    pub(in crate::aws) dry_run: bool,
}

impl World {
    /// Changes the launch permissions of an image. Adding a present and removing an absent recipient is a success without
    /// effect, and what is added and removed is removed (both unconfirmed).
    ///
    /// # Errors
    /// The vendor's refusal; then nothing changed (that one bad entry fails the whole call is unconfirmed).
    pub(in crate::aws) fn modify_image_permissions(
        &mut self,
        asker: &Asker,
        id: &ImageId,
        change: PermissionChange,
        view: &View,
    ) -> Result<Effect, Refusal> {
        let image = self.owned(asker, id, view)?;
        if image.spec.state != State::Available {
            return Err(unavailable(id));
        }
        if change.add.len() + change.remove.len() > rules::CHANGES_PER_CALL {
            return Err(rules::INVALID_VALUE.about("too many permissions in one call"));
        }
        change.add.iter().try_for_each(|one| self.may_receive(asker, one))?;
        self.check_keys(image, &change.add)?;
        self.check_public(asker, image, &change.add)?;
        self.check_recipient_quota(asker, image, &change.add)?;
        if change.dry_run {
            return Err(rules::DRY_RUN.refuse());
        }
        let before = image.permissions().to_vec();
        let after = changed(&before, self.as_returned(change.add), &change.remove);
        let effect = effect_of(&before, &after);
        if let Some(image) = self.images.get_mut(id).filter(|_| effect != Effect::default()) {
            image.permissions.set(after, view.now);
        }
        Ok(effect)
    }

    /// Changes who may make volumes of a snapshot: adds or removes, but not both.
    ///
    /// # Errors
    /// The vendor's refusal; then nothing changed.
    pub(in crate::aws) fn modify_snapshot_permissions(
        &mut self,
        asker: &Asker,
        id: &ImageId,
        change: PermissionChange,
        now: Timestamp,
    ) -> Result<Effect, Refusal> {
        let snapshot = self.owned_snapshot(asker, id)?;
        if change.add.len() + change.remove.len() > rules::SNAPSHOT_CHANGES_PER_CALL {
            return Err(rules::INVALID_VALUE.about("too many permissions in one call"));
        }
        if !change.add.is_empty() && !change.remove.is_empty() {
            return Err(rules::INVALID_COMBINATION.about("add or remove permissions, not both"));
        }
        change.add.iter().try_for_each(|one| self.may_receive(asker, one))?;
        let publishes = is_public(&change.add);
        match &snapshot.spec.encryption {
            Encryption::Default if !change.add.is_empty() => return Err(rules::DEFAULT_KEY_SNAPSHOT.refuse()),
            Encryption::Key(_) if publishes => return Err(rules::ENCRYPTED_PUBLIC.refuse()),
            _ => {}
        }
        let before = snapshot.permissions().to_vec();
        let after = changed(&before, change.add, &change.remove);
        let accounts = after.iter().filter(|one| one.kind() == Kind::Account).count();
        let grows = after.len() > before.len();
        if grows && self.rules.accounts_per_snapshot.is_some_and(|limit| accounts > limit) {
            return Err(rules::RESOURCE_LIMIT.about("accounts of a snapshot"));
        }
        if change.dry_run {
            return Err(rules::DRY_RUN.refuse());
        }
        let effect = effect_of(&before, &after);
        if let Some(snapshot) = self.snapshots.get_mut(id).filter(|_| effect != Effect::default()) {
            snapshot.permissions.set(after, now);
        }
        Ok(effect)
    }

    /// Drops all launch permissions.
    ///
    /// # Errors
    /// The vendor's refusal; then nothing changed.
    pub(in crate::aws) fn reset_image_permissions(
        &mut self,
        asker: &Asker,
        id: &ImageId,
        view: &View,
    ) -> Result<Effect, Refusal> {
        let remove = self.owned(asker, id, view)?.permissions().to_vec();
        let change = PermissionChange { remove, ..PermissionChange::default() };
        self.modify_image_permissions(asker, id, change, view)
    }

    /// A recipient takes back the permission it was given itself; what it has by its unit, its organization or with everybody
    /// stays, and does not count (cloud-custodian issue 8728).
    ///
    /// # Errors
    /// There is no such permission.
    pub(in crate::aws) fn cancel_permission(
        &mut self,
        asker: &Asker,
        id: &ImageId,
        view: &View,
        dry_run: bool,
    ) -> Result<Effect, Refusal> {
        super::check_image_id(id)?;
        let missing = || super::sight::not_found(&[id.as_str()]);
        let is_own = |one: &Recipient| one.kind() == Kind::Account && one.id() == &asker.account;
        let seen = self.images.get(id).filter(|image| self.relation(image, asker, view).is_some() && !image.is_gone());
        let image = seen.filter(|image| image.permissions().iter().any(is_own)).ok_or_else(missing)?;
        if dry_run {
            return Err(rules::DRY_RUN.refuse());
        }
        let before = image.permissions().to_vec();
        let after: Vec<_> = before.iter().filter(|one| !is_own(one)).cloned().collect();
        let effect = effect_of(&before, &after);
        if let Some(image) = self.images.get_mut(id) {
            image.permissions.set(after, view.now);
        }
        Ok(effect)
    }

    /// What AWS answers to recipients of another partition is unconfirmed.
    fn may_receive(&self, asker: &Asker, recipient: &Recipient) -> Result<(), Refusal> {
        let own = Partition::of(&asker.region).word();
        let foreign = recipient.partition().is_some_and(|partition| partition != own);
        let known = |id: &AccountId| self.accounts.get(id).is_some_and(|account| !account.closed);
        let unknown = recipient.kind() == Kind::Account && !known(recipient.id());
        if foreign || (unknown && self.rules.refuses_unknown_accounts) {
            return Err(bad_recipient(recipient.kind(), recipient.id().as_str()));
        }
        Ok(())
    }

    fn check_keys(&self, image: &Image, add: &[Recipient]) -> Result<(), Refusal> {
        let has =
            |wanted: fn(&Encryption) -> bool| self.snapshots_of(&image.spec).any(|one| wanted(&one.spec.encryption));
        if !add.is_empty() && has(|encryption| *encryption == Encryption::Default) {
            return Err(rules::DEFAULT_KEY_IMAGE.refuse());
        }
        if is_public(add) && has(|encryption| *encryption != Encryption::None) {
            return Err(rules::ENCRYPTED_PUBLIC.refuse());
        }
        Ok(())
    }

    fn check_public(&self, asker: &Asker, image: &Image, add: &[Recipient]) -> Result<(), Refusal> {
        if !is_public(add) || image.is_public() {
            return Ok(());
        }
        if self.accounts.get(&asker.account).is_some_and(|account| account.blocks_public_access) {
            return Err(rules::PUBLIC_BLOCKED.refuse());
        }
        let own = self.images.values().filter(|one| one.spec.owner == asker.account && one.spec.region == asker.region);
        let limit = self.rules.public_images;
        if own.filter(|one| one.is_public() && !one.is_gone()).count() < limit {
            return Ok(());
        }
        let message = format!(
            "You have reached your quota of {limit} for the number of public images allowed in this Region. Deregister unused \
             public images, or request an increase in your public AMIs quota."
        );
        Err(rules::RESOURCE_LIMIT.saying(message))
    }

    /// What is removed by the same call makes no room (unconfirmed: the strict answer).
    fn check_recipient_quota(&self, asker: &Asker, image: &Image, add: &[Recipient]) -> Result<(), Refusal> {
        let own = self.accounts.get(&asker.account).and_then(|account| account.recipients_per_image);
        let limit = own.unwrap_or(self.rules.recipients_per_image);
        let count = |all: &[Recipient]| all.iter().filter(|one| one.kind() != Kind::Group).count();
        let before = count(image.permissions());
        let after = count(&changed(image.permissions(), add.to_vec(), &[]));
        if after <= limit || after == before {
            return Ok(());
        }
        let message =
            format!("You have reached your quota of {limit} for the number of entities an image is shared with");
        Err(rules::RESOURCE_LIMIT.saying(message))
    }

    /// Recipients as they are returned from now on.
    fn as_returned(&self, recipients: Vec<Recipient>) -> Vec<Recipient> {
        if !self.rules.normalizes_arns {
            return recipients;
        }
        let returned = |one: Recipient| match self.organizations.management(&one) {
            Some(management) => one.managed_by(management),
            None => one,
        };
        recipients.into_iter().map(returned).collect()
    }
}

/// The recipients after a change.
pub(super) fn changed(before: &[Recipient], add: Vec<Recipient>, remove: &[Recipient]) -> Vec<Recipient> {
    let mut after: Vec<_> = before.iter().filter(|one| !remove.contains(one)).cloned().collect();
    for one in add {
        if !after.contains(&one) && !remove.contains(&one) {
            after.push(one);
        }
    }
    after
}

/// What became of the recipients.
pub(super) fn effect_of(before: &[Recipient], after: &[Recipient]) -> Effect {
    let new = |these: &[Recipient], those: &[Recipient]| {
        let other = these.iter().filter(|one| one.kind() != Kind::Group && !those.contains(one));
        other.map(|one| one.id().clone()).collect()
    };
    let published = (is_public(before) != is_public(after)).then(|| is_public(after));
    Effect { added: new(after, before), removed: new(before, after), published, ..Effect::default() }
}

/// The refusal of a recipient, which names it.
pub(in crate::aws) fn bad_recipient(kind: Kind, value: &str) -> Refusal {
    let item = match kind {
        Kind::Account => "userId",
        Kind::Group => "UserGroup",
        Kind::Organization => "OrganizationArn",
        Kind::Unit => "OrganizationalUnitArn",
    };
    rules::RECIPIENT.saying(format!("Invalid attribute item value \"{value}\" for {item} item type."))
}
