//! What all shares of one image want together: who is wanted, who stays because a share holds it, who is left behind by
//! `deletionPolicy: Retain`, and which wishes can never be fulfilled as written.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::ledger::Ledger;
use crate::api::conditions::Reason;
use crate::api::limits::SHARES_PER_IMAGE_MAX;
use crate::domain::identifiers::{PrincipalId, Recipient, RegionId};
use crate::domain::provider::{Provider, Site};
use crate::domain::share::{Activity, AskedRecipient, Share};

/// What the account and the place of an image allow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Terms {
    /// The cloud.
    pub provider: Provider,
    /// The owner: its account and, where images belong to projects, the project.
    pub ourselves: BTreeSet<PrincipalId>,
    /// The owner's site, where the cloud has sites.
    pub site: Option<Site>,
    /// Where the image lives.
    pub region: RegionId,
    /// Regions per site, where the account overrides the built-in table.
    pub sites: BTreeMap<Site, BTreeSet<String>>,
    /// Recipients an image may have; 0 means no limit.
    pub recipients_per_image: u32,
    /// Recipients a full-server image may have; 0 means no limit.
    pub recipients_per_full_server_image: u32,
}

impl Terms {
    /// Whether a site sells the image's region.
    pub fn sold_on(&self, site: Site) -> bool {
        match self.sites.get(&site) {
            Some(regions) => regions.contains(self.region.as_str()),
            None => self.provider.site_has_region(site, &self.region),
        }
    }

    /// Judges one recipient as written: what it is, or why it can never be granted as written.
    pub fn judge(&self, asked: &AskedRecipient) -> Result<Recipient, Reason> {
        if !self.provider.rules().recipient_kinds.contains(&asked.kind) {
            return Err(Reason::RecipientKindUnsupported);
        }
        let recipient = self.provider.parse_recipient(asked.kind, &asked.id).map_err(|_| Reason::InvalidRecipient)?;
        if self.ourselves.contains(&recipient.id) {
            return Err(Reason::InvalidRecipient);
        }
        if asked.site.is_some_and(|site| !self.sold_on(site)) {
            return Err(Reason::RegionNotOnSite);
        }
        Ok(recipient)
    }
}

/// The order in which places are given: share's age, its uid, index in its list.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct SlotPriority {
    created: Timestamp,
    uid: String,
    index: usize,
}

/// One wanted recipient.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// Its turn.
    pub slot_priority: SlotPriority,
    /// A share names another site than the owner's for it.
    pub across_sites: bool,
}

/// What all shares want together.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DesiredRecipients {
    /// Wanted recipients.
    pub wanted: BTreeMap<Recipient, Wanted>,
    /// Recipients a holding share names: neither added nor revoked.
    pub held: BTreeSet<Recipient>,
    /// Recipients that a share being deleted leaves behind.
    pub retained: BTreeSet<Recipient>,
    /// By recipient, the uids of the shares that its grant is held for.
    pub holders: BTreeMap<Recipient, BTreeSet<String>>,
    /// Recipients that cannot be fulfilled as written.
    pub declined: BTreeMap<Recipient, Reason>,
    /// At least one share is wishing.
    pub anyone_wishing: bool,
}

impl DesiredRecipients {
    /// Adds the shares up.
    pub fn gather(terms: &Terms, shares: &[Share], ledger: &Ledger, now: Timestamp) -> Self {
        Self::gather_under(Some(terms), shares, ledger, now)
    }

    /// Adds the shares up without judging them: for when the account, and so its terms, cannot be known.
    pub fn gather_unjudged(shares: &[Share], ledger: &Ledger, now: Timestamp) -> Self {
        Self::gather_under(None, shares, ledger, now)
    }

    fn gather_under(terms: Option<&Terms>, shares: &[Share], ledger: &Ledger, now: Timestamp) -> Self {
        let mut desired = Self::default();
        let served: BTreeSet<&str> = served(shares, ledger, now).into_iter().map(|share| share.uid.as_str()).collect();
        let mut in_turn: Vec<&Share> = shares.iter().collect();
        in_turn.sort_by(|a, b| (a.created, &a.uid).cmp(&(b.created, &b.uid)));
        for share in in_turn {
            match share.activity(now) {
                Activity::Ended => planted!(
                    "ended-share-ends-all",
                    desired.add_ended(share, ledger),
                    named(share).for_each(|recipient| drop(desired.wanted.remove(&recipient)))
                ),
                Activity::Active if served.contains(share.uid.as_str()) => desired.add_wishing(terms, share),
                // Beyond the bound a wishing share waits, but loses nothing it may have had.
                Activity::Active | Activity::Paused => desired.add_holding(share, ledger),
            }
        }
        desired.declined.retain(|recipient, _| !desired.wanted.contains_key(recipient));
        desired
    }

    fn hold(&mut self, recipient: &Recipient, share: &Share) {
        self.holders.entry(recipient.clone()).or_default().insert(share.uid.clone());
    }

    /// A paused share keeps whom it names and what it holds: a recipient that was taken out of its list meanwhile too.
    fn add_holding(&mut self, share: &Share, ledger: &Ledger) {
        for recipient in named(share).chain(ledger.held_for(&share.uid).cloned()) {
            self.hold(&recipient, share);
            self.held.insert(recipient);
        }
    }

    /// What an ended share holds stays recorded as its own until its access has ended: `deletionPolicy: Retain` may still
    /// be set while that waits. A share leaves behind whom it names, as far as their grants are its own; whom it named before
    /// loses access, also where that was not reconciled yet.
    fn add_ended(&mut self, share: &Share, ledger: &Ledger) {
        for recipient in ledger.held_for(&share.uid) {
            self.hold(recipient, share);
        }
        if share.leaves_its_grants() {
            let of_another = |recipient: &Recipient| {
                ledger.holders.get(recipient).is_some_and(|holders| !holders.contains(&share.uid))
            };
            let named = named(share).filter(|recipient| !of_another(recipient));
            planted!("retain-ignored", self.retained.extend(named), ());
        }
    }

    fn add_wishing(&mut self, terms: Option<&Terms>, share: &Share) {
        self.anyone_wishing = true;
        for (index, asked) in share.recipients.iter().enumerate() {
            match judge(terms, asked) {
                Ok(recipient) => {
                    let slot_priority = SlotPriority { created: share.created, uid: share.uid.clone(), index };
                    let across_sites =
                        asked.site.is_some_and(|site| terms.is_some_and(|terms| terms.site != Some(site)));
                    self.hold(&recipient, share);
                    let wanted = self.wanted.entry(recipient).or_insert(Wanted { slot_priority, across_sites });
                    wanted.across_sites |= across_sites;
                }
                Err(reason) => {
                    // What does not even parse as an identifier is refused by the schema; nothing to remember it by.
                    if let Some(recipient) = as_written(asked) {
                        self.declined.entry(recipient).or_insert(reason);
                    }
                }
            }
        }
    }

    /// Whether a grant of this recipient must stay as it is, whoever else wants it gone.
    pub fn keeps(&self, recipient: &Recipient) -> bool {
        planted!("paused-share-blocks-all", self.held.contains(recipient), !self.held.is_empty())
    }
}

fn judge(terms: Option<&Terms>, asked: &AskedRecipient) -> Result<Recipient, Reason> {
    match terms {
        Some(terms) => terms.judge(asked),
        None => as_written(asked).ok_or(Reason::InvalidRecipient),
    }
}

fn as_written(asked: &AskedRecipient) -> Option<Recipient> {
    Some(Recipient { kind: asked.kind, id: PrincipalId::parse(&asked.id).ok()? })
}

/// Everybody a share names who could ever have been granted, whatever the terms are now.
fn named(share: &Share) -> impl Iterator<Item = Recipient> {
    share.recipients.iter().filter_map(as_written)
}

/// The shares to serve: those that wish or hold, up to the bound; the others wait. Whoever is served stays so, then age and uid
/// decide. Ended shares that the ledger still lists use slots too. Newcomers are served when they carry our finalizer.
pub fn served<'a>(shares: &'a [Share], ledger: &Ledger, now: Timestamp) -> Vec<&'a Share> {
    let listed = |share: &Share| ledger.shares.contains_key(&share.uid);
    let mut served: Vec<&Share> = to_serve(shares, now).collect();
    let still_listed = ledger.shares.len().saturating_sub(served.iter().filter(|share| listed(share)).count());
    served.sort_by(|a, b| (!listed(a), a.created, &a.uid).cmp(&(!listed(b), b.created, &b.uid)));
    served.truncate(SHARES_PER_IMAGE_MAX.saturating_sub(still_listed));
    served
}

/// The shares that would be served if there were no bound.
pub fn to_serve(shares: &[Share], now: Timestamp) -> impl Iterator<Item = &Share> {
    shares.iter().filter(move |share| share.activity(now) != Activity::Ended && !share.lacks_finalizer())
}
