//! When the fields that say what an object stands for stop being correctable: from its first contact on, and not before. Until
//! then a typo is mended in place. The API server keeps the status over an edit of the spec, so that a rule may ask it.

/// A rule of the whole object: a field of its spec stays as it is once its status shows a contact.
pub(super) fn stays(field: &str, contact: &str) -> String {
    let field = format!("spec.{field}");
    format!("self.{field} == oldSelf.{field} || !has(oldSelf.status) || !({contact})")
}

/// The same for a field of one of several alternatives, which may be left out.
pub(super) fn stays_in(part: &str, field: &str, contact: &str) -> String {
    let part = format!("spec.{part}");
    format!(
        "!has(self.{part}) || !has(oldSelf.{part}) || self.{part}.{field} == oldSelf.{part}.{field} || \
         !has(oldSelf.status) || !({contact})"
    )
}

/// `CloudImage`: the image was found as the account's own, or somebody was to get it.
pub(super) const IMAGE_FOUND: &str = "has(oldSelf.status.owner) || has(oldSelf.status.job) || has(oldSelf.status.grants) && \
                                      oldSelf.status.grants.size() > 0";

/// `ImageShare`: a `CloudImage` served it.
pub(super) const SHARE_SERVED: &str = "has(oldSelf.status.image)";

/// `SharedImageAcceptance`: the image was found, or answered.
pub(super) const OFFER_FOUND: &str =
    "has(oldSelf.status.account) || has(oldSelf.status.answering) || has(oldSelf.status.job)";

/// `ImageReplica`: there is, or may be, a copy. Of an attempt that failed nothing is left.
pub(super) const COPY_BEGUN: &str =
    "has(oldSelf.status.copy) && oldSelf.status.copy.state != 'Failed' || has(oldSelf.status.cloudImageUID)";

/// `CloudAccount`: the credentials were proven to be the account's.
pub(super) const ACCOUNT_PROVEN: &str = "has(oldSelf.status.account)";
