//! Who may copy what, and how the copy is encrypted.

use super::sight::{not_found, unavailable};
use super::{Asker, CopyOrder, Image, View, World};
use crate::aws::rules::{self, bad_value};
use crate::aws::world_file::{Encryption, ImageSpec, KmsKey, Partition, State};
use crate::chassis::refusal::Refusal;

/// What the name of an image may have besides letters and digits. Model, `RegisterImage.Name`.
const NAME_SIGNS: &str = "()[] ./-'@_";

impl World {
    /// Whether the rules allow a copy, and of what. The order of the checks is unconfirmed.
    pub(super) fn may_copy(&self, asker: &Asker, order: &CopyOrder, view: &View) -> Result<&Image, Refusal> {
        self.check_texts(asker, order)?;
        let region = order.source_region();
        if Partition::of(&region) != Partition::of(&asker.region) || !self.has_region(&asker.account, &region) {
            return Err(bad_value("SourceRegion", &order.source_region));
        }
        let at_source = Asker { account: asker.account.clone(), region };
        let id = order.source();
        super::check_image_id(&id)?;
        let seen = self.images.get(&id).filter(|image| self.relation(image, &at_source, view).is_some());
        let image = seen.ok_or_else(|| not_found(&[id.as_str()]))?;
        if image.spec.state != State::Available {
            return Err(unavailable(&id));
        }
        self.may_read_storage(asker, image, view)?;
        if let Some(snapshot) = self.encrypted_snapshot(&image.spec)
            && order.encrypted != Some(true)
        {
            // That leaving `Encrypted` out is refused as well as `false` is unconfirmed: the strict answer.
            let message = format!(
                "Snapshot {snapshot} is encrypted. Creating an unencrypted copy from an encrypted snapshot is not supported."
            );
            return Err(rules::NOT_COPYABLE.saying(message));
        }
        if self.copies_under_way(asker) >= self.rules.copies_at_once {
            return Err(rules::RESOURCE_LIMIT.saying(rules::TOO_MANY_COPIES.to_owned()));
        }
        Ok(image)
    }

    fn check_texts(&self, asker: &Asker, order: &CopyOrder) -> Result<(), Refusal> {
        let fits = |c: char| c.is_ascii_alphanumeric() || NAME_SIGNS.contains(c);
        if !(3..=128).contains(&order.name.len()) || !order.name.chars().all(fits) {
            return Err(rules::NAME_MALFORMED.refuse());
        }
        if order.description.chars().count() > rules::MAX_DESCRIPTION {
            return Err(bad_value("Description", "longer than 255 characters"));
        }
        let token = order.client_token.as_deref().unwrap_or_default();
        if token.len() > rules::MAX_CLIENT_TOKEN || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(bad_value("ClientToken", token));
        }
        if order.kms_key.is_some() && order.encrypted != Some(true) {
            return Err(rules::INVALID_DEPENDENCY.refuse());
        }
        let named = |image: &&Image| {
            let spec = &image.spec;
            spec.owner == asker.account && spec.region == asker.region && spec.name == order.name && !image.is_gone()
        };
        match self.images.values().find(named) {
            Some(other) => {
                let (name, id) = (&order.name, &other.spec.id);
                Err(rules::NAME_DUPLICATE.saying(format!("AMI name {name} is already in use by AMI {id}")))
            }
            None => Ok(()),
        }
    }

    /// What of a received image keeps an account from its storage.
    fn may_read_storage(&self, asker: &Asker, image: &Image, view: &View) -> Result<(), Refusal> {
        let refuse = |why: &str| Err(rules::NOT_COPYABLE.saying(why.to_owned()));
        if image.spec.instance_store {
            return refuse("the image is backed by instance store and cannot be copied");
        }
        if image.is_owned_by(&asker.account) {
            return Ok(());
        }
        if !image.spec.product_codes.is_empty() {
            return refuse(rules::MARKETPLACE_COPY);
        }
        if image.spec.billed {
            return refuse(rules::BILLED_COPY);
        }
        let mut snapshots = self.snapshots_of(&image.spec);
        if snapshots.all(|snapshot| snapshot.is_usable_by(&asker.account, view.recipient)) {
            Ok(())
        } else {
            refuse(rules::NO_STORAGE)
        }
    }

    fn encrypted_snapshot(&self, image: &ImageSpec) -> Option<&str> {
        let mut snapshots = self.snapshots_of(image);
        let found = snapshots.find(|snapshot| snapshot.spec.encryption != Encryption::None);
        found.map(|snapshot| snapshot.spec.id.as_str())
    }

    /// How a copy is encrypted, and why it will fail: keys are looked at only once the call has succeeded (model, `KmsKeyId`).
    pub(super) fn encryption_of_copy(
        &self,
        asker: &Asker,
        source: &ImageSpec,
        order: &CopyOrder,
    ) -> (Option<Encryption>, Option<String>) {
        let failure = || Some(rules::KEY_NOT_ACCESSIBLE.to_owned());
        let unreadable = self.snapshots_of(source).any(|snapshot| match &snapshot.spec.encryption {
            Encryption::None => false,
            // The AWS managed key serves its own account only.
            Encryption::Default => snapshot.spec.owner != asker.account,
            Encryption::Key(arn) => !self.may_use_key(asker, arn),
        });
        let by_default = self.accounts.get(&asker.account).is_some_and(|account| account.encrypts_by_default);
        let encryption = match &order.kms_key {
            None if order.encrypted == Some(true) || by_default => Some(Encryption::Default),
            None => None,
            Some(key) => match self.resolve_key(asker, key) {
                Some(encryption) => Some(encryption),
                None => return (None, failure()),
            },
        };
        (encryption, if unreadable { failure() } else { None })
    }

    fn may_use_key(&self, asker: &Asker, arn: &str) -> bool {
        let usable = |key: &KmsKey, owner: &super::AccountId| {
            !key.disabled && (*owner == asker.account || key.usable_by.contains(&asker.account))
        };
        self.kms_key(arn).is_some_and(|(owner, key)| usable(key, &owner.id))
    }

    /// The key that a text names: a key's id, a key's ARN, an alias, an alias' ARN. Of the destination's region, and one that the
    /// account may use.
    fn resolve_key(&self, asker: &Asker, text: &str) -> Option<Encryption> {
        if text == "alias/aws/ebs" {
            return Some(Encryption::Default);
        }
        let is_named = |owner: &super::AccountId, key: &KmsKey| {
            let (base, id) = key.arn.split_once(":key/").unwrap_or_default();
            let alias = key.alias.as_deref().unwrap_or_default();
            let own = *owner == asker.account && (text == id || (!alias.is_empty() && text == alias));
            own || text == key.arn || (!alias.is_empty() && text == format!("{base}:{alias}"))
        };
        let here = |arn: &str| arn.split(':').nth(3) == Some(asker.region.as_str());
        let mut all =
            self.accounts.values().flat_map(|account| account.kms_keys.iter().map(move |key| (&account.id, key)));
        let (_, key) = all.find(|(owner, key)| here(&key.arn) && is_named(owner, key))?;
        self.may_use_key(asker, &key.arn).then(|| Encryption::Key(key.arn.clone()))
    }
}
