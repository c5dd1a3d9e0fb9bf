//! The journal: append-only truth of what happened in the world, request by request. What is not here did not happen.

use super::effect::{Asked, Effect, Replica};
use super::names::{ImageId, RegionId};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

/// Most entries a journal holds; when full, the simulator refuses every request rather than forget.
pub(crate) const MAX_ENTRIES: usize = 1_000_000;
/// Most entries of one reading.
pub(crate) const MAX_READING: usize = 10_000;

/// Whether the connection was cut, and on which side of the effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Cut {
    /// The answer was sent.
    #[default]
    None,
    /// Closed without effect and without an answer.
    Before,
    /// Closed without an answer; the effect stands.
    After,
}

/// Whose cloud something happened in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Provider {
    /// Alibaba Cloud.
    Alibaba,
    /// Huawei Cloud.
    Huawei,
    /// Amazon Web Services.
    Aws,
}

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Entry {
    /// Position, from 1.
    pub seq: u64,
    /// By the simulator's clock; a job's effect at the time the job ended, likewise a copy's end.
    pub time: Timestamp,
    /// Whose cloud; `None` where it is about the whole world.
    pub provider: Option<Provider>,
    /// The account (at Huawei Cloud the project, or the domain where there is none); else the key a failed request claimed;
    /// else `anonymous`. `out-of-band` for the admin interface, `world` for a world that was loaded.
    pub principal: String,
    /// The key of an authenticated request.
    pub key_id: Option<String>,
    /// The host the request was sent to; empty where there was no request.
    pub host: String,
    /// The region named.
    pub region: Option<RegionId>,
    /// The action named; `JobEffect` for what a job changed when it ended, `CopyEnded` for a copy that ended by itself.
    pub action: String,
    /// The image named, at Amazon Web Services also a snapshot; the first where there were several.
    pub image: Option<ImageId>,
    /// The job started or ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub job: Option<String>,
    /// What was asked.
    pub parameters: Asked,
    /// What changed, if anything did.
    pub effect: Option<Effect>,
    /// The copy begun, ended or failed; its source is the image named.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub copy: Option<Replica>,
    /// HTTP status of the answer; 0 where there was none.
    pub status: u16,
    /// `OK` or the code of refusal, also where the answer was cut after the effect; empty when cut before. `CreateFailed`
    /// for a copy that ended so.
    pub code: String,
    /// Whether the connection was cut.
    pub cut: Cut,
    /// The injected faults that struck the request, by kind.
    #[serde(rename = "weather")]
    pub faults: Vec<&'static str>,
    /// Method and path of a request for an API the simulator does not know.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unknown: Option<String>,
}

impl Entry {
    /// An entry without a request behind it: what the admin interface or a loaded world did.
    pub fn without_request(time: Timestamp, principal: &str, action: &str) -> Self {
        Self {
            seq: 0,
            time,
            provider: None,
            principal: principal.to_owned(),
            key_id: None,
            host: String::new(),
            region: None,
            action: action.to_owned(),
            image: None,
            job: None,
            parameters: Asked::default(),
            effect: None,
            copy: None,
            status: 0,
            code: "OK".to_owned(),
            cut: Cut::None,
            faults: Vec::new(),
            unknown: None,
        }
    }
}

/// The entries so far.
#[derive(Debug, Default)]
pub(crate) struct Journal {
    entries: Vec<Entry>,
    /// The number of the last entry, for those who wait for the next one.
    grown: watch::Sender<u64>,
}

impl Journal {
    /// Whether another entry fits.
    pub(crate) fn has_room(&self) -> bool {
        self.entries.len() < MAX_ENTRIES
    }

    /// Appends `entry` and numbers it.
    pub(crate) fn append(&mut self, mut entry: Entry) {
        entry.seq = self.last() + 1;
        self.grown.send_replace(entry.seq);
        self.entries.push(entry);
    }

    /// The number of the last entry, as it grows.
    pub(crate) fn grown(&self) -> watch::Receiver<u64> {
        self.grown.subscribe()
    }

    /// The number of the last entry, 0 before the first.
    pub(crate) fn last(&self) -> u64 {
        self.entries.last().map_or(0, |entry| entry.seq)
    }

    /// The entries after number `seq`, at most [`MAX_READING`].
    pub(crate) fn since(&self, seq: u64) -> &[Entry] {
        let from = usize::try_from(seq).unwrap_or(usize::MAX).min(self.entries.len());
        let to = from.saturating_add(MAX_READING).min(self.entries.len());
        self.entries.get(from..to).unwrap_or_default()
    }

    /// All entries.
    pub(crate) fn entries(&self) -> &[Entry] {
        &self.entries
    }
}
