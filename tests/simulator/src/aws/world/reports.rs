//! Usage reports: who of the other accounts uses an image, as it was when the report was asked for.

use super::{Asker, View, World};
use crate::aws::rules;
use crate::aws::world_file::Usage;
use crate::chassis::names::{AccountId, ImageId};
use crate::chassis::refusal::Refusal;
use jiff::{SignedDuration, Timestamp};

/// Most reports remembered; past that the oldest is forgotten.
const MAX_REPORTS: usize = 10_000;
/// How long a report is there, in hours. Model, `ExpirationTime`: 30 days.
const KEPT_HOURS: i64 = 30 * 24;

/// What a report is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::aws) struct ReportOrder {
    pub(in crate::aws) image: ImageId,
    pub(in crate::aws) resource_types: Vec<String>,
    /// These accounts alone; all where there are none.
    pub(in crate::aws) accounts: Vec<AccountId>,
    pub(in crate::aws) client_token: Option<String>,
}

/// A report.
#[derive(Debug, Clone)]
pub(in crate::aws) struct Report {
    pub(in crate::aws) id: String,
    asker: Asker,
    pub(in crate::aws) order: ReportOrder,
    pub(in crate::aws) created: Timestamp,
    ready: Timestamp,
    pub(in crate::aws) expires: Timestamp,
    entries: Vec<Usage>,
}

impl Report {
    /// The vendor's word for how it stands.
    pub(in crate::aws) fn state(&self, now: Timestamp) -> &'static str {
        if now < self.ready { "pending" } else { "available" }
    }

    /// What it tells; nothing while it is pending.
    pub(in crate::aws) fn entries(&self, now: Timestamp) -> &[Usage] {
        if now < self.ready { &[] } else { &self.entries }
    }
}

/// The reports there are, oldest first.
#[derive(Debug, Clone, Default)]
pub(super) struct Reports {
    all: Vec<Report>,
    count: u64,
}

impl World {
    /// Begins a report on an own image: its id. A repetition known by its client token begins none.
    ///
    /// # Errors
    /// The vendor's refusal.
    pub(in crate::aws) fn begin_report(
        &mut self,
        asker: &Asker,
        order: ReportOrder,
        dry_run: bool,
        view: &View,
    ) -> Result<String, Refusal> {
        let usage = &self.owned(asker, &order.image, view)?.spec.usage;
        let wanted = |one: &&Usage| {
            one.account != asker.account
                && order.resource_types.contains(&one.resource_type)
                && (order.accounts.is_empty() || order.accounts.contains(&one.account))
        };
        let entries = usage.iter().filter(wanted).cloned().collect();
        let same = |one: &&Report| order.client_token.is_some() && one.order.client_token == order.client_token;
        if let Some(made) = self.reports_of(asker, view.now).find(same) {
            let equal = made.order == order;
            return if equal { Ok(made.id.clone()) } else { Err(rules::TOKEN_OF_ANOTHER.refuse()) };
        }
        if dry_run {
            return Err(rules::DRY_RUN.refuse());
        }
        self.reports.count += 1;
        let id = format!("amiur-0c0de{:012x}", self.reports.count);
        let after = |span| view.now.checked_add(span).unwrap_or(Timestamp::MAX);
        let ready = after(SignedDuration::from_secs(i64::from(self.rules.report_seconds)));
        let expires = after(SignedDuration::from_hours(KEPT_HOURS));
        let (asker, created) = (asker.clone(), view.now);
        self.reports.all.push(Report { id: id.clone(), asker, order, created, ready, expires, entries });
        if self.reports.all.len() > MAX_REPORTS {
            self.reports.all.remove(0);
        }
        Ok(id)
    }

    /// The reports of an account in a region that are not past their time.
    pub(in crate::aws) fn reports_of(&self, asker: &Asker, now: Timestamp) -> impl Iterator<Item = &Report> {
        self.reports.all.iter().filter(move |report| report.asker == *asker && now < report.expires)
    }

    /// Deletes a report.
    ///
    /// # Errors
    /// There is no such report.
    pub(in crate::aws) fn delete_report(
        &mut self,
        asker: &Asker,
        id: &str,
        dry_run: bool,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        if !self.reports_of(asker, now).any(|report| report.id == id) {
            return Err(rules::REPORT_NOT_FOUND_UNCONFIRMED.about(id));
        }
        if dry_run {
            return Err(rules::DRY_RUN.refuse());
        }
        self.reports.all.retain(|report| report.id != id);
        Ok(())
    }
}
