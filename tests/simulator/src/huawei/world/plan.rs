//! What a call on members would change: every rule is asked here, nothing is changed. A plan is a list of steps, in the
//! order of the request; carrying them out is for `apply`, whole or, where a failure is injected, only the first few.

use super::copies::CopyOrder;
use super::making::Making;
use super::{Image, Member, Relation, World};
use crate::chassis::effect::{Answered, Effect};
use crate::chassis::names::{AccountId, ImageId};
use crate::chassis::refusal::Refusal;
use crate::huawei::recipient::{self, MemberKind, Recipient};
use crate::huawei::rules;
use crate::huawei::world_file::{Kind, MemberStatus, Status, first_status};
use jiff::Timestamp;
use std::collections::BTreeSet;

/// What a request wants done to images and their members.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Order {
    /// Offer the images to recipients.
    Add {
        /// Which.
        images: Vec<ImageId>,
        /// To whom; organizations by URN.
        recipients: Vec<Recipient>,
    },
    /// Take offers back.
    Remove {
        /// Of which images.
        images: Vec<ImageId>,
        /// From whom; organizations by bare id or by URN.
        recipients: Vec<Recipient>,
    },
    /// Answer the offers made to the asking project.
    Answer {
        /// Of which images.
        images: Vec<ImageId>,
        /// How.
        status: MemberStatus,
        /// The vault a full-ECS image is taken into.
        vault: Option<String>,
    },
    /// Delete an image.
    Delete {
        /// Which.
        image: ImageId,
    },
    /// Make a private image of an image.
    Copy(CopyOrder),
    /// Make one of a server or of a disk.
    Make(Making),
}

impl Order {
    /// The images concerned.
    pub fn images(&self) -> &[ImageId] {
        match self {
            Self::Add { images, .. } | Self::Remove { images, .. } | Self::Answer { images, .. } => images,
            Self::Delete { image } => std::slice::from_ref(image),
            Self::Copy(order) => std::slice::from_ref(&order.source),
            Self::Make(making) => making.image.as_slice(),
        }
    }
}

/// One change of one image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::huawei) struct Step {
    /// The image.
    pub(in crate::huawei) image: ImageId,
    change: Change,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Change {
    /// Becomes a member, or its status changes.
    Set(Recipient, MemberStatus),
    /// Ceases to be one.
    Remove(Recipient),
    /// The image goes, and its members with it.
    Delete,
}

impl World {
    /// The steps that `order` of the project `caller` comes to.
    ///
    /// # Errors
    /// The vendor's refusal.
    pub(in crate::huawei) fn plan(&self, caller: &AccountId, order: &Order) -> Result<Vec<Step>, Refusal> {
        match order {
            Order::Add { images, recipients } => self.plan_add(caller, &distinct(images), &distinct(recipients)),
            Order::Remove { images, recipients } => self.plan_remove(caller, &distinct(images), recipients),
            Order::Answer { images, status, vault } => {
                let steps =
                    distinct(images).into_iter().map(|id| self.plan_answer(caller, id, *status, vault.as_deref()));
                steps.filter_map(Result::transpose).collect()
            }
            Order::Delete { image } => Ok(self
                .images
                .get(image)
                .map(|_| Step { image: image.clone(), change: Change::Delete })
                .into_iter()
                .collect()),
            // A copy changes no image that is there; see `copies`.
            Order::Copy(_) => Ok(Vec::new()),
            // Nor does what is made of something else; see `making`.
            Order::Make(making) => self.may_make(caller, making).map(|()| Vec::new()),
        }
    }

    fn plan_add(
        &self,
        caller: &AccountId,
        images: &[&ImageId],
        recipients: &[&Recipient],
    ) -> Result<Vec<Step>, Refusal> {
        let images: Vec<_> = images.iter().map(|id| self.shareable(caller, id)).collect::<Result<_, _>>()?;
        for image in &images {
            for recipient in recipients {
                self.may_receive(image, recipient)?;
            }
        }
        let mut steps = Vec::new();
        for image in images {
            let before = steps.len();
            for recipient in recipients {
                let status = match image.member(recipient).map(|member| member.status) {
                    None => first_status(recipient.kind),
                    // Asking the owner to share again is the vendor's way back from a rejection (sharing FAQ); that the
                    // offer then waits anew is unconfirmed.
                    Some(MemberStatus::Rejected) => MemberStatus::Pending,
                    // A success without effect (unconfirmed); so is removing one that is not there.
                    Some(_) => continue,
                };
                let change = Change::Set((*recipient).clone(), status);
                steps.push(Step { image: image.spec.id.clone(), change });
            }
            let new = steps.iter().skip(before).filter(|step| step.accepts()).count();
            self.check_quota(image, new)?;
        }
        Ok(steps)
    }

    fn plan_remove(
        &self,
        caller: &AccountId,
        images: &[&ImageId],
        recipients: &[Recipient],
    ) -> Result<Vec<Step>, Refusal> {
        let images: Vec<_> = images.iter().map(|id| self.owned(caller, id)).collect::<Result<_, _>>()?;
        let mut steps = Vec::new();
        for image in images {
            for named in distinct(recipients) {
                let is = |member: &&Member| {
                    member.recipient.kind == named.kind && member.recipient.is_named(named.id.as_str())
                };
                if let Some(member) = image.members().iter().find(is) {
                    let change = Change::Remove(member.recipient.clone());
                    steps.push(Step { image: image.spec.id.clone(), change });
                }
            }
        }
        // An organization named twice, by URN and by bare id, is removed once.
        let mut seen = Vec::new();
        steps.retain(|step| {
            !seen.contains(step) && {
                seen.push(step.clone());
                true
            }
        });
        Ok(steps)
    }

    fn plan_answer(
        &self,
        caller: &AccountId,
        id: &ImageId,
        status: MemberStatus,
        vault: Option<&str>,
    ) -> Result<Option<Step>, Refusal> {
        let (image, relation) = self.visible(caller, id)?;
        let own = Recipient::project(caller);
        let member = image.member(&own).filter(|_| relation == Relation::Received);
        let member = member.ok_or_else(|| rules::MEMBER_NOT_FOUND.about(caller.as_str()))?;
        if status == MemberStatus::Pending {
            return Err(rules::MALFORMED_BODY.about("status"));
        }
        let accepts = status == MemberStatus::Accepted;
        if accepts && image.spec.kind == Kind::FullServer && vault.is_none_or(str::is_empty) {
            return Err(rules::VAULT_NEEDED.about(id.as_str()));
        }
        if member.status == status {
            return Ok(None);
        }
        if accepts {
            usable(image)?;
            self.check_quota(image, 1)?;
        }
        Ok(Some(Step { image: id.clone(), change: Change::Set(own, status) }))
    }

    /// Checks whether `caller` may delete an image.
    pub(super) fn may_delete(&self, caller: &AccountId, id: &ImageId) -> Result<(), Refusal> {
        let image = match self.visible(caller, id)? {
            (image, Relation::Own) => image,
            (_, Relation::Gold) => return Err(rules::DELETE_PUBLIC.about(id.as_str())),
            _ => return Err(rules::DELETE_BY_OWNER.about(id.as_str())),
        };
        if image.spec.protected {
            return Err(rules::PROTECTED.about(id.as_str()));
        }
        if matches!(image.spec.status, Status::Queued | Status::Saving) {
            return Err(rules::IMAGE_CREATING.about(image.spec.status.word()));
        }
        if image.members().iter().any(|member| member.recipient.kind != MemberKind::Project) {
            return Err(rules::DELETE_SHARED_UNCONFIRMED.about(id.as_str()));
        }
        Ok(())
    }

    /// The caller's own image, in a state to be shared.
    fn shareable(&self, caller: &AccountId, id: &ImageId) -> Result<&Image, Refusal> {
        let image = self.owned(caller, id)?;
        if image.spec.encrypted {
            return Err(rules::ENCRYPTED.about(id.as_str()));
        }
        if image.spec.kind == Kind::FullServer && !image.spec.from_cbr {
            return Err(rules::FULL_SERVER_NOT_CBR.about(id.as_str()));
        }
        usable(image)?;
        Ok(image)
    }

    fn may_receive(&self, image: &Image, recipient: &Recipient) -> Result<(), Refusal> {
        let id = &recipient.id;
        let unknown = || rules::TENANT_NOT_FOUND.about(id.as_str());
        match recipient.kind {
            MemberKind::Project if *id == image.spec.project => Err(rules::SELF_SHARE.refuse()),
            MemberKind::Project => {
                let (_, project) = self.project(id).ok_or_else(unknown)?;
                if project.region == image.region { Ok(()) } else { Err(rules::OTHER_REGION.about(id.as_str())) }
            }
            MemberKind::Domain => {
                let domain = self.domain(id).ok_or_else(unknown)?;
                let owner = self.places.get(&image.spec.project).map(|place| &place.domain);
                if owner == Some(&domain.id) {
                    return Err(rules::SELF_SHARE.refuse());
                }
                // Sites: a recipient is served only in regions its own site has (sharing FAQ).
                let reached = self.regions(id).contains(&image.region);
                if reached { Ok(()) } else { Err(rules::OTHER_REGION.about(id.as_str())) }
            }
            MemberKind::Organization => {
                let known = self.domains.values().flat_map(|domain| &domain.organizations);
                let exists = known.into_iter().any(|home| recipient::reaches(id.as_str(), home.as_str()));
                if exists { Ok(()) } else { Err(unknown()) }
            }
        }
    }

    fn check_quota(&self, image: &Image, new: usize) -> Result<(), Refusal> {
        let limit = match image.spec.kind {
            Kind::FullServer => rules::RECIPIENTS_PER_FULL_SERVER,
            Kind::System | Kind::Data | Kind::Iso => self.rules.recipients_per_image,
        };
        let accepted = image.members().iter().filter(|member| member.status == MemberStatus::Accepted).count();
        let full = new > 0 && accepted + new > limit;
        if full { Err(rules::TOO_MANY_RECIPIENTS.about(image.spec.id.as_str())) } else { Ok(()) }
    }

    /// Takes the steps and says what each image's share of them changed, in the order of the steps.
    pub(in crate::huawei) fn apply(&mut self, steps: &[Step], now: Timestamp) -> Vec<(ImageId, Effect)> {
        let mut effects = Vec::new();
        for id in distinct(&steps.iter().map(|step| step.image.clone()).collect::<Vec<_>>()) {
            let Some(image) = self.images.get_mut(id) else { continue };
            let mut members = image.members().to_vec();
            let mut effect = Effect::default();
            for step in steps.iter().filter(|step| step.image == *id) {
                step.change.carry_out(&mut members, &mut effect, now);
            }
            if effect.deleted {
                self.images.remove(id);
            } else if effect != Effect::default() {
                image.set_members(members, now);
            }
            effects.push((id.clone(), effect));
        }
        effects
    }
}

impl Step {
    fn accepts(&self) -> bool {
        matches!(self.change, Change::Set(_, MemberStatus::Accepted))
    }

    /// A step without asking any rule.
    pub(super) fn forced(image: &ImageId, recipient: Recipient, status: Option<MemberStatus>) -> Self {
        let change = match status {
            Some(status) => Change::Set(recipient, status),
            None => Change::Remove(recipient),
        };
        Self { image: image.clone(), change }
    }

    /// The deletion of an image without asking any rule.
    pub(super) fn deletion(image: &ImageId) -> Self {
        Self { image: image.clone(), change: Change::Delete }
    }
}

impl Change {
    fn carry_out(&self, members: &mut Vec<Member>, effect: &mut Effect, now: Timestamp) {
        match self {
            Self::Set(recipient, status) => match members.iter_mut().find(|member| member.recipient == *recipient) {
                Some(member) if member.status == *status => {}
                Some(member) => {
                    (member.status, member.updated) = (*status, now);
                    let status = status.word().to_owned();
                    effect.answered.push(Answered { recipient: recipient.id.clone(), status });
                }
                None => {
                    let recipient = recipient.clone();
                    effect.added.push(recipient.id.clone());
                    members.push(Member { recipient, status: *status, created: now, updated: now });
                }
            },
            Self::Remove(recipient) => {
                if members.iter().any(|member| member.recipient == *recipient) {
                    members.retain(|member| member.recipient != *recipient);
                    effect.removed.push(recipient.id.clone());
                }
            }
            Self::Delete => {
                effect.removed.extend(members.drain(..).map(|member| member.recipient.id));
                effect.deleted = true;
            }
        }
    }
}

/// Checks whether an image is ready to be offered, taken or copied.
pub(super) fn usable(image: &Image) -> Result<(), Refusal> {
    match image.spec.status {
        _ if image.deleting => Err(rules::IMAGE_UNAVAILABLE.about("being deleted")),
        Status::Active => Ok(()),
        Status::Queued | Status::Saving => Err(rules::IMAGE_CREATING.about(image.spec.status.word())),
        Status::Deleted | Status::Killed => Err(rules::IMAGE_UNAVAILABLE.about(image.spec.status.word())),
    }
}

/// Each once, in their order.
fn distinct<T: Ord>(all: &[T]) -> Vec<&T> {
    let mut seen = BTreeSet::new();
    all.iter().filter(|one| seen.insert(*one)).collect()
}
