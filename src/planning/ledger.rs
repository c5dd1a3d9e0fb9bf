//! The ledger of one image: whom it was granted, read from and written to `CloudImage.status`. It is the only memory of
//! what is ours at a cloud that keeps no mark of ownership.

use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use crate::api::cloud_image::{CloudImageStatus, Declined, Grant, GrantState, PendingJob, ServedShare, Unmanaged};
use crate::api::conditions::Reason;
use crate::api::limits::UNMANAGED_LISTED_MAX;
use crate::domain::identifiers::{InvalidIdentifier, JobId, PartyId, Recipient};
use crate::domain::image::Answer;

/// Most entries a ledger holds, so that the object stays far below etcd's limit of 1.5 MB.
pub const GRANTS_MAX: usize = 5000;
const DECLINED_MAX: usize = 2000;

/// One entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// Where the grant is in its life.
    pub state: GrantState,
    /// When a call that may have added it was last recorded.
    pub since: Timestamp,
    /// Why the cloud refused it, if it did.
    pub refusal: Option<Reason>,
    /// What the recipient said, where the cloud asks for an answer.
    pub answer: Option<Answer>,
    /// Where nobody wants it: we removed it, or it was read as absent, and that it is gone counts from `since`. Until then
    /// an absence that is read once proves nothing: the removal may never have reached the cloud.
    pub absent: bool,
}

impl Entry {
    /// An entry nothing else is known of.
    pub fn new(state: GrantState, since: Timestamp) -> Self {
        Self { state, since, refusal: None, answer: None, absent: false }
    }
}

/// A job at the cloud that may still change the image's recipients.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// Its id.
    pub id: JobId,
    /// When it was asked for.
    pub since: Timestamp,
}

/// A share the image serves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Served {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its generation last acted on.
    pub generation: i64,
}

/// What the image's status remembers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ledger {
    /// By recipient.
    pub grants: BTreeMap<Recipient, Entry>,
    /// Wished, not asked for at the cloud, and why.
    pub declined: BTreeMap<Recipient, Reason>,
    /// By share uid.
    pub shares: BTreeMap<String, Served>,
    /// Recipients nobody here asked for, and since when while a share was wishing.
    pub unmanaged: BTreeMap<Recipient, Option<Timestamp>>,
    /// A job under way: nothing is concluded and nothing else sent before it ended.
    pub job: Option<Job>,
    /// When the image was first read as absent.
    pub absent_since: Option<Timestamp>,
}

/// Kubernetes keeps whole seconds and cuts the rest off: rounded up, so that no wait counted from here ends early.
pub(super) fn written(time: Timestamp) -> Time {
    let whole = time.as_second();
    let up = if time.subsec_nanosecond() > 0 { whole.saturating_add(1) } else { whole };
    Time(Timestamp::from_second(up).unwrap_or(time))
}

impl Job {
    /// Reads a job from a status.
    pub fn parse(job: &PendingJob) -> Result<Self, InvalidIdentifier> {
        Ok(Self { id: JobId::parse(&job.id)?, since: job.since.0 })
    }

    /// Writes the job for a status.
    pub fn encode(&self) -> PendingJob {
        PendingJob { id: self.id.to_string(), since: written(self.since) }
    }
}

impl Ledger {
    /// Reads the ledger from status. An entry that does not parse makes the whole unreadable: nothing is concluded from
    /// half a ledger.
    pub fn parse(status: Option<&CloudImageStatus>) -> Result<Self, InvalidIdentifier> {
        let Some(status) = status else { return Ok(Self::default()) };
        let mut ledger = Self { absent_since: status.absent_since.as_ref().map(|t| t.0), ..Self::default() };
        if let Some(job) = &status.job {
            ledger.job = Some(Job::parse(job)?);
        }
        for grant in &status.grants {
            let recipient = Recipient { kind: grant.kind, id: PartyId::parse(&grant.id)? };
            let entry = Entry {
                state: grant.state,
                since: grant.since.0,
                refusal: grant.refusal,
                answer: grant.answer,
                absent: grant.absent,
            };
            ledger.grants.insert(recipient, entry);
        }
        for declined in &status.declined {
            let recipient = Recipient { kind: declined.kind, id: PartyId::parse(&declined.id)? };
            ledger.declined.insert(recipient, declined.reason);
        }
        for unmanaged in &status.unmanaged {
            let recipient = Recipient { kind: unmanaged.kind, id: PartyId::parse(&unmanaged.id)? };
            ledger.unmanaged.insert(recipient, unmanaged.since.as_ref().map(|t| t.0));
        }
        for share in &status.shares {
            let served =
                Served { namespace: share.namespace.clone(), name: share.name.clone(), generation: share.generation };
            ledger.shares.insert(share.uid.clone(), served);
        }
        Ok(ledger)
    }

    /// Writes the ledger into status; lists are sorted and bounded.
    pub fn encode_into(&self, status: &mut CloudImageStatus) {
        status.absent_since = self.absent_since.map(written);
        status.job = self.job.as_ref().map(Job::encode);
        status.grants = self
            .grants
            .iter()
            .map(|(recipient, entry)| Grant {
                kind: recipient.kind,
                id: recipient.id.to_string(),
                state: entry.state,
                since: written(entry.since),
                refusal: entry.refusal,
                answer: entry.answer,
                absent: entry.absent,
            })
            .collect();
        status.declined = self
            .declined
            .iter()
            .take(DECLINED_MAX)
            .map(|(recipient, reason)| Declined { kind: recipient.kind, id: recipient.id.to_string(), reason: *reason })
            .collect();
        status.unmanaged = self
            .unmanaged
            .iter()
            .take(UNMANAGED_LISTED_MAX)
            .map(|(recipient, since)| Unmanaged {
                kind: recipient.kind,
                id: recipient.id.to_string(),
                since: since.map(written),
            })
            .collect();
        status.shares = self
            .shares
            .iter()
            .map(|(uid, share)| ServedShare {
                uid: uid.clone(),
                namespace: share.namespace.clone(),
                name: share.name.clone(),
                generation: share.generation,
                last_handled_reconcile_at: None,
            })
            .collect();
    }

    /// Whether anything of ours may still be at the cloud.
    pub fn holds_anything(&self) -> bool {
        self.grants.values().any(|entry| entry.state != GrantState::Retained)
    }

    /// Recipients being revoked.
    pub fn revoking(&self) -> impl Iterator<Item = &Recipient> {
        self.grants.iter().filter(|(_, entry)| entry.state == GrantState::Revoking).map(|(recipient, _)| recipient)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_counted_from_a_written_ledger_never_ends_early() {
        for millisecond in [0, 1, 500, 999, -1, -999] {
            let time = Timestamp::from_millisecond(millisecond).unwrap();
            let ledger = Ledger { absent_since: Some(time), ..Ledger::default() };
            let mut status = CloudImageStatus::default();
            ledger.encode_into(&mut status);
            let stored: CloudImageStatus = serde_json::from_value(serde_json::to_value(&status).unwrap()).unwrap();
            let read = Ledger::parse(Some(&stored)).unwrap().absent_since.unwrap();
            assert!(read >= time && read.duration_since(time).as_millis() < 1000, "{time} became {read}");
            assert_eq!(stored, status, "what was written reads back the same");
        }
    }
}
