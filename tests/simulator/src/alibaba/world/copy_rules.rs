//! Who may copy what, checked in the order of the `CopyImage` error table, and the forms of its texts.

use super::{Image, Relation, World, relation};
use crate::alibaba::rules;
use crate::alibaba::world_file::{Encryption, Origin, Status};
use crate::chassis::effect::CopyRequest;
use crate::chassis::names::{AccountId, ImageId, RegionId};
use crate::chassis::refusal::Refusal;

impl World {
    /// Whether the rules allow a copy, to which region it goes, and how it is encrypted. The region comes first because
    /// an image is looked for in it.
    pub(super) fn may_copy(
        &self,
        caller: &AccountId,
        region: &RegionId,
        id: &ImageId,
        request: &CopyRequest,
    ) -> Result<(RegionId, Encryption), Refusal> {
        let open = self.regions(caller);
        if !open.contains(&region) {
            return Err(rules::SOURCE_REGION_NOT_FOUND.about(region.as_str()));
        }
        let (image, relation) = self.to_copy(caller, region, id)?;
        // That an absent destination means the image's own region is unconfirmed.
        let destination = request.destination.as_ref().unwrap_or(region);
        if !open.contains(&destination) {
            return Err(rules::DESTINATION_REGION_NOT_FOUND.about(destination.as_str()));
        }
        if image.spec.status != Status::Available {
            return Err(rules::IMAGE_STATUS.about(image.spec.status.word()));
        }
        self.check_texts(caller, destination, request)?;
        self.check_room(caller)?;
        if relation == Relation::Received && destination != region {
            return Err(rules::SAME_REGION_ONLY.refuse());
        }
        if self.rules.copy_size_gib.is_some_and(|limit| image.spec.size_gib > limit) {
            return Err(rules::TOO_LARGE_TO_COPY.about(&format!("{} GiB", image.spec.size_gib)));
        }
        let encryption = self.encryption_of_copy(caller, image, relation, request)?;
        Ok((destination.clone(), encryption))
    }

    /// The image to be copied: an own one (also one that is published; unconfirmed) or a received one. That others the
    /// caller can see are not copied is the vendor's page; with which code is unconfirmed.
    fn to_copy(&self, caller: &AccountId, region: &RegionId, id: &ImageId) -> Result<(&Image, Relation), Refusal> {
        let image = self.images.get(id).filter(|image| image.spec.region == *region);
        match image.and_then(|image| Some((image, relation(image, caller)?))) {
            Some((image, relation @ (Relation::Own | Relation::Received))) => Ok((image, relation)),
            Some(_) => Err(rules::NOT_COPYABLE_UNCONFIRMED.about(id.as_str())),
            None => Err(rules::IMAGE_NOT_FOUND.about(id.as_str())),
        }
    }

    fn check_texts(&self, caller: &AccountId, region: &RegionId, request: &CopyRequest) -> Result<(), Refusal> {
        if let Some(name) = &request.name {
            self.may_be_named(caller, region, name)?;
        }
        request.description.as_deref().map_or(Ok(()), check_description)?;
        super::attributes::check_tags(&request.tags)
    }

    /// Whether an account's image may have a name in a region.
    pub(super) fn may_be_named(&self, caller: &AccountId, region: &RegionId, name: &str) -> Result<(), Refusal> {
        if !is_image_name(name) {
            return Err(rules::NAME_MALFORMED.refuse());
        }
        if self.own_images(caller).any(|image| image.spec.region == *region && image.spec.name == name) {
            return Err(rules::NAME_DUPLICATED.about(name));
        }
        Ok(())
    }

    /// Images being made count, and those of all regions do (both unconfirmed).
    pub(super) fn check_room(&self, caller: &AccountId) -> Result<(), Refusal> {
        let own = self.accounts.get(caller).and_then(|account| account.private_images);
        let limit = own.or(self.rules.private_images);
        if limit.is_some_and(|limit| self.own_images(caller).count() >= limit) {
            return Err(rules::TOO_MANY_IMAGES.refuse());
        }
        Ok(())
    }

    fn own_images(&self, caller: &AccountId) -> impl Iterator<Item = &Image> {
        self.images.values().filter(move |image| image.spec.owner == *caller && image.spec.alias == Origin::Own)
    }

    fn encryption_of_copy(
        &self,
        caller: &AccountId,
        image: &Image,
        relation: Relation,
        request: &CopyRequest,
    ) -> Result<Encryption, Refusal> {
        let source = image.spec.encryption;
        let needs_own_key = match relation {
            Relation::Received => source != Encryption::None,
            _ => source == Encryption::ServiceKey,
        };
        let Some(key) = &request.kms_key else {
            return match (source, request.encrypted) {
                _ if needs_own_key => Err(rules::ENCRYPTED_SNAPSHOT.refuse()),
                // A copy does not decrypt; that asking for it is refused so is unconfirmed.
                (Encryption::CustomerKey, Some(false)) => Err(rules::ENCRYPTED_ILLEGAL.refuse()),
                (Encryption::None, Some(true)) => Ok(Encryption::ServiceKey),
                _ => Ok(source),
            };
        };
        let keys = self.accounts.get(caller).map(|account| account.kms_keys.as_slice()).unwrap_or_default();
        if !keys.contains(key) {
            return Err(rules::KMS_KEY_NOT_FOUND.about(key));
        }
        if request.encrypted == Some(false) {
            return Err(rules::ENCRYPTED_ILLEGAL.refuse());
        }
        Ok(Encryption::CustomerKey)
    }
}

/// 2 to 128 characters; a letter (also a Chinese one) first, then letters, digits, `.`, `:`, `_` or `-`; neither
/// `aliyun` nor `acs:` first, no `http://` or `https://`. `CopyImage` page, `DestinationImageName`.
fn is_image_name(name: &str) -> bool {
    (2..=128).contains(&name.chars().count())
        && name.starts_with(char::is_alphabetic)
        && name.chars().all(|c| c.is_alphabetic() || c.is_ascii_digit() || ".:_-".contains(c))
        && ["aliyun", "acs:"].iter().all(|start| !name.starts_with(start))
        && !is_address(name)
}

/// 2 to 256 characters that do not start with `http://` or `https://`. `CopyImage` page, `DestinationDescription`.
pub(super) fn check_description(text: &str) -> Result<(), Refusal> {
    let fits = (2..=256).contains(&text.chars().count()) && !is_address(text);
    if fits { Ok(()) } else { Err(rules::DESCRIPTION_MALFORMED.refuse()) }
}

/// The slashes of an address further on in a name are refused as characters.
fn is_address(text: &str) -> bool {
    text.starts_with("http://") || text.starts_with("https://")
}
