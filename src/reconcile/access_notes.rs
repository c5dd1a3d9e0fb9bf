//! What the audit log says of a change of access beyond the ledger: names, field managers, request ids. In memory only: after
//! a restart, the lines about changes already under way lack them.

use std::collections::{BTreeMap, BTreeSet};

use crate::domain::identifiers::{Recipient, RecipientKind};
use crate::domain::share::Share;
use crate::planning::ledger::Ledger;

/// These facts about one image.
#[derive(Debug, Default)]
pub(crate) struct AccessNotes {
    /// By uid of the share and recipient.
    names: BTreeMap<(String, Recipient), String>,
    /// By uid of the share.
    managers: BTreeMap<String, String>,
    requests: BTreeMap<Recipient, String>,
    /// Changes that the audit log has and the status may not have yet.
    logged: BTreeSet<Logged>,
}

/// A change in the audit log: whose access, the uid of the share, and the word.
type Logged = (Recipient, Option<String>, &'static str);

impl AccessNotes {
    /// Notes what the shares call their recipients. The name of a recipient that was taken out of a share is kept while the
    /// ledger has it: until its access has ended.
    pub(crate) fn note_names(&mut self, shares: &[Share], ledger: &Ledger) {
        let former = std::mem::take(&mut self.names);
        let listed: BTreeSet<(&str, RecipientKind, &str)> = shares
            .iter()
            .flat_map(|share| share.recipients.iter().map(|asked| (share.uid.as_str(), asked.kind, asked.id.as_str())))
            .filter(|_| !former.is_empty())
            .collect();
        let lists = |uid: &str, who: &Recipient| listed.contains(&(uid, who.kind, who.id.as_str()));
        self.names = former
            .into_iter()
            .filter(|((uid, recipient), _)| ledger.grants.contains_key(recipient) && !lists(uid, recipient))
            .collect();
        for share in shares {
            for (recipient, name) in share.names() {
                self.names.insert((share.uid.clone(), recipient), name.to_owned());
            }
        }
    }

    /// Notes who changed the shares last.
    pub(crate) fn note_managers(&mut self, managers: impl IntoIterator<Item = (String, String)>) {
        self.managers = managers.into_iter().collect();
    }

    /// Notes the requests that were to change the access of these recipients.
    pub(crate) fn note_requests(&mut self, requests: BTreeMap<Recipient, String>) {
        self.requests.extend(requests);
    }

    /// What a share calls a recipient.
    pub(crate) fn name(&self, share: &str, recipient: &Recipient) -> Option<String> {
        self.names.get(&(share.to_owned(), recipient.clone())).cloned()
    }

    /// Who changed a share last.
    pub(crate) fn manager(&self, share: &str) -> Option<String> {
        self.managers.get(share).cloned()
    }

    /// The request that changed the access of a recipient.
    pub(crate) fn request(&self, recipient: &Recipient) -> Option<String> {
        self.requests.get(recipient).cloned()
    }

    /// Whether the audit log does not have a change yet: a reconcile whose write failed reports it again.
    pub(crate) fn is_news(&mut self, change: Logged) -> bool {
        self.logged.insert(change)
    }

    /// The status has all changes: what happens from now on is new.
    pub(crate) fn are_recorded(&mut self) {
        self.logged.clear();
    }

    /// Forgets the requests whose effect is known.
    pub(crate) fn forget_settled(&mut self, ledger: &Ledger) {
        self.requests.retain(|recipient, _| ledger.is_moving(recipient));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::cloud_image::GrantState;
    use crate::domain::identifiers::PrincipalId;
    use crate::domain::share::{AskedRecipient, Consent, Finalizer};
    use crate::planning::ledger::Entry;

    fn recipient() -> Recipient {
        Recipient { kind: RecipientKind::Account, id: PrincipalId::parse("100001").unwrap() }
    }

    fn share(name: Option<&str>) -> Share {
        let asked = AskedRecipient {
            kind: RecipientKind::Account,
            id: "100001".into(),
            site: None,
            name: name.map(ToOwned::to_owned),
            copyable: false,
        };
        Share {
            uid: "u1".into(),
            namespace: "team".into(),
            name: "team".into(),
            generation: 1,
            created: jiff::Timestamp::UNIX_EPOCH,
            deleting: false,
            suspended: false,
            finalizer: Finalizer::Carried,
            requested: None,
            expires: None,
            retain: false,
            consent: Consent::Given,
            recipients: vec![asked],
        }
    }

    fn ledger(state: Option<GrantState>) -> Ledger {
        let entry = |state| (recipient(), Entry::new(state, jiff::Timestamp::UNIX_EPOCH));
        Ledger { grants: state.map(entry).into_iter().collect(), ..Ledger::default() }
    }

    #[test]
    fn a_name_is_known_until_the_access_has_ended_and_no_longer_than_the_share_gives_it() {
        let (mut notes, granted) = (AccessNotes::default(), ledger(Some(GrantState::Granted)));
        let name = |notes: &AccessNotes| notes.name("u1", &recipient());
        notes.note_names(&[share(Some("Team A"))], &granted);
        assert_eq!(name(&notes).as_deref(), Some("Team A"));
        let without = Share { recipients: Vec::new(), ..share(None) };
        notes.note_names(std::slice::from_ref(&without), &granted);
        assert_eq!(name(&notes).as_deref(), Some("Team A"), "taken out, and not ended yet");
        notes.note_names(&[without], &ledger(None));
        assert_eq!(name(&notes), None);
        notes.note_names(&[share(Some("Team A"))], &granted);
        notes.note_names(&[share(None)], &granted);
        assert_eq!(name(&notes), None, "the name was taken away");
    }

    #[test]
    fn a_request_is_known_until_its_effect_is() {
        let mut notes = AccessNotes::default();
        notes.note_requests([(recipient(), "req-1".to_owned())].into());
        notes.forget_settled(&ledger(Some(GrantState::Revoking)));
        assert_eq!(notes.request(&recipient()).as_deref(), Some("req-1"));
        notes.forget_settled(&ledger(Some(GrantState::Granted)));
        assert_eq!(notes.request(&recipient()), None);
    }
}
