//! What a share's conditions say about its recipients.

use std::collections::HashSet;
use std::fmt;

use crate::api::cloud_image::{CloudImage, CloudImageStatus, RetainPolicy};
use crate::api::conditions::{DELETABLE, Reason, find};
use crate::api::image_share::{ImageShare, RecipientAnswer, ShareDeletionPolicy, SpecRecipient};
use crate::domain::identifiers::{RecipientKind, known_as};
use crate::domain::image::Answer;
use crate::domain::openstack::is_unlikely_project;
use crate::domain::provider::Provider;
use crate::planning::copies::COPIES_MAX;
use crate::planning::problem::{name_some, with_name};

/// A recipient of the share with the name that the share gives it. Only what is shown looks the name up.
pub(super) struct Shown<'a> {
    share: &'a ImageShare,
    kind: RecipientKind,
    id: &'a str,
}

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut asked = self.share.spec.recipients.iter();
        let asked = asked.find(|asked| known_as(asked.kind, &asked.id) == known_as(self.kind, self.id));
        let name = asked.and_then(SpecRecipient::shown_name);
        f.write_str(&with_name(&format!("{} {}", self.kind, self.id), name.as_deref()))
    }
}

/// The recipients of a share; one that it names in two spellings once.
pub(super) fn named_once(share: &ImageShare) -> impl Iterator<Item = &SpecRecipient> {
    let mut named = HashSet::new();
    share.spec.recipients.iter().filter(move |asked| named.insert(known_as(asked.kind, &asked.id)))
}

pub(super) fn shown<'a>(share: &'a ImageShare, kind: RecipientKind, id: &'a str) -> Shown<'a> {
    Shown { share, kind, id }
}

/// The message of a served share, which says if its image is being deleted, and if its own deletion will not do what its
/// `deletionPolicy` says.
pub(super) fn shared(share: &ImageShare, image: &CloudImage, said: &[RecipientAnswer]) -> String {
    let undecided = said.iter().filter(|said| said.answer != Answer::Accepted);
    let undecided = name_some(undecided.map(|said| shown(share, said.kind, &said.id)));
    let may_use = if undecided.is_empty() {
        "every recipient may use the image".to_owned()
    } else {
        format!("the image is offered to every recipient; these can use it once they accept it: {undecided}")
    };
    let unlikely = share.spec.recipients.iter().filter(|asked| is_unlikely_project(asked.kind, &asked.id));
    let unlikely = name_some(unlikely.map(|asked| shown(share, asked.kind, &asked.id)));
    let may_use = if unlikely.is_empty() {
        may_use
    } else {
        format!(
            "{may_use}; the cloud takes any text as a project: if these are names, put the projects' ids (32 hexadecimal \
             digits) in their place: {unlikely}"
        )
    };
    let may_use = match &image.metadata.deletion_timestamp {
        Some(_) => {
            format!("{may_use}; the CloudImage is being deleted, which waits for this ImageShare: delete it too")
        }
        None => may_use,
    };
    let retains = share.spec.deletion_policy == ShareDeletionPolicy::Retain;
    if retains
        && image.metadata.namespace != share.metadata.namespace
        && image.spec.shareable_from.retain == RetainPolicy::Forbid
    {
        return format!(
            "{may_use}; spec.deletionPolicy: Retain has no effect, since the CloudImage does not allow it \
             (shareableFrom.retain: Forbid): deleting this object revokes their access"
        );
    }
    may_use
}

/// The message about recipients that wait for this reason.
pub(super) fn explain(reason: Reason, whom: &str, status: Option<&CloudImageStatus>) -> String {
    match reason {
        Reason::RecipientKindUnsupported => {
            let types = Provider::ALL.map(|provider| {
                let kinds: Vec<String> = provider.rules().recipient_kinds.iter().map(ToString::to_string).collect();
                format!("{provider}: {}", kinds.join(", "))
            });
            format!(
                "spec.recipients: this cloud does not share with recipients of this type ({}), left out: {whom}",
                types.join(" / ")
            )
        }
        Reason::InvalidRecipient => {
            let hint = if whom.contains(RecipientKind::Organization.to_string().as_str()) {
                " (an organization is named by its URN at Huawei Cloud, as organizations::<account id>:ou:o-.../ou-..., and by its ARN at \
                 AWS, as arn:aws:organizations::<account id>:ou/o-.../ou-...)"
            } else if whom.contains(RecipientKind::Project.to_string().as_str()) {
                " (a project is named by its id, 32 hexadecimal digits without dashes)"
            } else {
                ""
            };
            format!("spec.recipients: no such account or project, or not an id of this cloud{hint}: {whom}")
        }
        Reason::RecipientIsOwner => {
            format!("spec.recipients: this is the owner of the image; take it off the list: {whom}")
        }
        Reason::RegionNotOnSite => {
            format!(
                "spec.recipients: the image's region is not sold on the site, or is not in the partition, of: {whom}"
            )
        }
        Reason::ImageNotShareable => format!(
            "spec.recipients: the image was made from the marketplace and cannot leave its site, so these of another site \
             are left out: {whom}"
        ),
        Reason::RecipientFull => {
            format!("these hold as many shared images as an account may receive; they must give one up first: {whom}")
        }
        Reason::RecipientLimit => {
            let figure = status.and_then(|s| s.recipients.clone()).unwrap_or_default();
            format!("the image has {figure} recipients; waiting for a free place: {whom}")
        }
        Reason::RecipientLeft => format!(
            "these gave the image back, and did so again when it was given to them again: nothing is shared with them until a \
             spec of an ImageShare that names them is edited; ask them, or take them off the list: {whom}"
        ),
        Reason::CopyableUnsupported => format!(
            "spec.recipients: copyable goes with accounts of AWS only; elsewhere whoever may use an image may copy it, or \
             nobody may: leave copyable out for: {whom}"
        ),
        Reason::CopyRefused => format!(
            "the operator cannot let these copy the image, and gives it to none of them before; the condition Copyable of the \
             CloudImage says why: {whom}"
        ),
        Reason::CopyableLimit => format!(
            "spec.recipients: {COPIES_MAX} recipients of one image can be copyable; leave it out for some, or share a copy of \
             the image with these: {whom}"
        ),
        Reason::RecipientRefused => format!("the cloud refuses these recipients: {whom}"),
        Reason::ImageDeleting => {
            let held = status.and_then(|s| find(&s.conditions, DELETABLE)).is_some_and(|c| c.status == "False");
            let hint = if held { " (it waits for the shares that name it)" } else { "" };
            format!("the CloudImage is being deleted{hint} and admits nobody new: {whom}")
        }
        Reason::ImageNotAvailable => format!("the image is not available; waiting to share it with: {whom}"),
        Reason::Pending => format!("waiting for the image to be shared with: {whom}"),
        Reason::Revoking => format!("access is being ended first: {whom}"),
        _ => format!("waiting ({}): {whom}", reason.as_str()),
    }
}
