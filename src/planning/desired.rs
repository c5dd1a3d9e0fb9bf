//! The desired recipients of all shares of one image: which are wanted, which stay because a share holds them, which
//! `deletionPolicy: Retain` leaves behind, and which can never be granted as written.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::ledger::Ledger;
use super::spelling::Spellings;
use crate::api::conditions::Reason;
use crate::api::limits::SHARES_PER_IMAGE_MAX;
use crate::domain::identifiers::{PrincipalId, Recipient, RecipientKind, RegionId};
use crate::domain::provider::{Provider, Site};
use crate::domain::share::{Activity, AskedRecipient, Share};

/// What the account and region of an image allow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Terms {
    /// The cloud.
    pub provider: Provider,
    /// The owner: its account and, where images belong to projects, the project.
    pub ourselves: BTreeSet<PrincipalId>,
    /// The owner's site, where the cloud has sites.
    pub site: Option<Site>,
    /// The image's region.
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

    /// Validates one recipient as written: returns it, or why it can never be granted as written.
    pub fn judge(&self, asked: &AskedRecipient) -> Result<Recipient, Reason> {
        let rules = self.provider.rules();
        if !rules.recipient_kinds.contains(&asked.kind) {
            return Err(Reason::RecipientKindUnsupported);
        }
        if asked.copyable && !(rules.copy_permissions && asked.kind == RecipientKind::Account) {
            return Err(Reason::CopyableUnsupported);
        }
        let recipient = self.provider.parse_recipient(asked.kind, &asked.id).map_err(|_| Reason::InvalidRecipient)?;
        if self.ourselves.contains(&recipient.id) {
            return Err(Reason::RecipientIsOwner);
        }
        if asked.site.is_some_and(|site| !self.sold_on(site)) {
            return Err(Reason::RegionNotOnSite);
        }
        if self.provider.site_of(&recipient).is_some_and(|site| self.site != Some(site)) {
            return Err(Reason::RegionNotOnSite);
        }
        Ok(recipient)
    }
}

/// The order in which slots are assigned: the share's age, its uid, the index in its list.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct SlotPriority {
    created: Timestamp,
    uid: String,
    index: usize,
}

/// One wanted recipient.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// Its priority for a slot.
    pub slot_priority: SlotPriority,
    /// A share names a site for it that differs from the owner's.
    pub across_sites: bool,
    /// A share asks that it can copy the image.
    pub copyable: bool,
}

/// The desired recipients of all shares.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DesiredRecipients {
    /// Wanted recipients.
    pub wanted: BTreeMap<Recipient, Wanted>,
    /// Recipients of paused shares: neither added nor revoked.
    pub held: BTreeSet<Recipient>,
    /// Recipients that a share being deleted leaves behind.
    pub retained: BTreeSet<Recipient>,
    /// By recipient, the uids of the shares that hold its grant.
    pub holders: BTreeMap<Recipient, BTreeSet<String>>,
    /// Recipients that cannot be granted as written.
    pub declined: BTreeMap<Recipient, Reason>,
    /// At least one share is active.
    pub anyone_asking: bool,
}

impl DesiredRecipients {
    /// Combines the shares.
    pub fn gather(terms: &Terms, shares: &[Share], ledger: &Ledger, now: Timestamp) -> Self {
        Self::gather_under(Some(terms), shares, ledger, now)
    }

    /// Combines the shares without validation: for when the account, and so its terms, cannot be known.
    pub fn gather_unjudged(shares: &[Share], ledger: &Ledger, now: Timestamp) -> Self {
        Self::gather_under(None, shares, ledger, now)
    }

    fn gather_under(terms: Option<&Terms>, shares: &[Share], ledger: &Ledger, now: Timestamp) -> Self {
        let mut desired = Self::default();
        let served: BTreeSet<&str> = served(shares, ledger, now).into_iter().map(|share| share.uid.as_str()).collect();
        let mut spellings = Spellings::of(ledger);
        let mut in_turn: Vec<&Share> = shares.iter().collect();
        in_turn.sort_by(|a, b| (a.created, &a.uid).cmp(&(b.created, &b.uid)));
        for share in in_turn {
            match share.activity(now) {
                Activity::Ended => planted!(
                    "ended-share-ends-all",
                    desired.add_ended(share, ledger, &mut spellings),
                    named(share, &mut spellings).for_each(|recipient| drop(desired.wanted.remove(&recipient)))
                ),
                Activity::Active if served.contains(share.uid.as_str()) => {
                    desired.add_active(terms, share, &mut spellings);
                }
                // Beyond the limit an active share waits, but keeps every grant it may have had.
                Activity::Active | Activity::Paused => desired.add_holding(share, ledger, &mut spellings),
            }
        }
        desired.declined.retain(|recipient, _| !desired.wanted.contains_key(recipient));
        desired
    }

    fn hold(&mut self, recipient: &Recipient, share: &Share) {
        self.holders.entry(recipient.clone()).or_default().insert(share.uid.clone());
    }

    /// A paused share keeps the recipients it names and the grants it holds, also of recipients removed from its list
    /// meanwhile.
    fn add_holding(&mut self, share: &Share, ledger: &Ledger, spellings: &mut Spellings) {
        for recipient in named(share, spellings).chain(ledger.held_for(&share.uid).cloned()) {
            self.hold(&recipient, share);
            self.held.insert(recipient);
        }
    }

    /// Keeps an ended share recorded as the holder of its grants until their access has ended: a user may still set
    /// `deletionPolicy: Retain` until then. A share leaves behind the recipients it names, as far as their grants are
    /// its own. Recipients it named before lose access, even if that edit was not reconciled yet.
    fn add_ended(&mut self, share: &Share, ledger: &Ledger, spellings: &mut Spellings) {
        for recipient in ledger.held_for(&share.uid) {
            self.hold(recipient, share);
        }
        if share.leaves_its_grants() {
            let of_another = |recipient: &Recipient| {
                ledger.holders.get(recipient).is_some_and(|holders| !holders.contains(&share.uid))
            };
            let named = named(share, spellings).filter(|recipient| !of_another(recipient));
            planted!("retain-ignored", self.retained.extend(named), ());
        }
    }

    fn add_active(&mut self, terms: Option<&Terms>, share: &Share, spellings: &mut Spellings) {
        self.anyone_asking = true;
        for (index, asked) in share.recipients.iter().enumerate() {
            match judge(terms, asked).map(|recipient| spellings.spell(recipient)) {
                Ok(recipient) => {
                    let slot_priority = SlotPriority { created: share.created, uid: share.uid.clone(), index };
                    let across_sites =
                        asked.site.is_some_and(|site| terms.is_some_and(|terms| terms.site != Some(site)));
                    self.hold(&recipient, share);
                    let new = Wanted { slot_priority, across_sites, copyable: false };
                    let wanted = self.wanted.entry(recipient).or_insert(new);
                    wanted.across_sites |= across_sites;
                    wanted.copyable |= asked.copyable;
                }
                Err(reason) => {
                    // The schema refuses text that is no identifier; there is no key to record it by.
                    if let Some(recipient) = as_written(asked) {
                        self.declined.entry(recipient).or_insert(reason);
                    }
                }
            }
        }
    }

    /// Whether a share asks that this recipient can copy the image.
    pub fn copyable(&self, recipient: &Recipient) -> bool {
        self.wanted.get(recipient).is_some_and(|wanted| wanted.copyable)
    }

    /// Whether the grant of this recipient must stay as it is, even if other shares or policies would end it.
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

/// All recipients of a share that could ever have been granted, whatever the terms are now.
fn named(share: &Share, spellings: &mut Spellings) -> impl Iterator<Item = Recipient> {
    share.recipients.iter().filter_map(as_written).map(|recipient| spellings.spell(recipient))
}

/// The shares to serve: active and paused ones, up to the limit; the others wait. Served shares stay served, then age
/// and uid decide. Ended shares that the ledger still lists use slots too. A share is served once it carries our
/// finalizer.
pub fn served<'a>(shares: &'a [Share], ledger: &Ledger, now: Timestamp) -> Vec<&'a Share> {
    let listed = |share: &Share| ledger.shares.contains_key(&share.uid);
    let mut served: Vec<&Share> = to_serve(shares, now).collect();
    let still_listed = ledger.shares.len().saturating_sub(served.iter().filter(|share| listed(share)).count());
    served.sort_by(|a, b| (!listed(a), a.created, &a.uid).cmp(&(!listed(b), b.created, &b.uid)));
    served.truncate(SHARES_PER_IMAGE_MAX.saturating_sub(still_listed));
    served
}

/// The shares that would be served without the limit.
pub fn to_serve(shares: &[Share], now: Timestamp) -> impl Iterator<Item = &Share> {
    shares.iter().filter(move |share| share.activity(now) != Activity::Ended && !share.lacks_finalizer())
}
