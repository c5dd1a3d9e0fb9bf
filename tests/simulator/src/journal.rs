//! The journal: append-only truth of what happened in the world, request by request. What is not here did not happen.

use super::names::{AccountId, ImageId, RegionId};
use super::world::{CopyRequest, Effect};
use jiff::Timestamp;
use serde::Serialize;

/// Most entries a journal holds; when full, the simulator refuses every request rather than forget.
pub(super) const MAX_ENTRIES: usize = 1_000_000;
/// Most entries of one reading.
pub(super) const MAX_READING: usize = 10_000;

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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Provider {
    /// Alibaba Cloud.
    Alibaba,
    /// Huawei Cloud.
    Huawei,
}

/// What a request asked, as far as it concerns sharing.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Asked {
    /// Recipients to add, all of them, also those past the vendor's ten.
    pub add: Vec<AccountId>,
    /// Recipients to remove, likewise.
    pub remove: Vec<AccountId>,
    /// The images, where the request named more than one.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub images: Vec<ImageId>,
    /// The answer a recipient gave to an offer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub answer: Option<String>,
    /// Whether the deletion was to be forced.
    pub force: bool,
    /// Whether the request was a dry run.
    pub dry_run: bool,
    /// Whether the image was to be published or withdrawn.
    pub is_public: Option<bool>,
    /// The copy asked for at Alibaba Cloud.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub copy: Option<CopyRequest>,
}

/// A copy of an image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Replica {
    /// Of which image.
    pub source: ImageId,
    /// Where it is made.
    pub region: RegionId,
    /// Who owns it; at Huawei Cloud the project.
    pub owner: AccountId,
    /// Its own id, also while it is being made.
    pub image: ImageId,
    /// Its name.
    pub name: String,
    /// Its description, as it was asked for: by it a copy is told from others of its name.
    pub description: String,
    /// Whether there is anything of its image: not before it is begun in earnest, nor if it failed before that.
    pub there: bool,
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
    /// The account (at Huawei Cloud the project, or the domain where there is none); else the key a failed request claimed; else `anonymous`. `out-of-band` for the control API, `world`
    /// for a world that was loaded.
    pub principal: String,
    /// The key of an authenticated request.
    pub key_id: Option<String>,
    /// The host the request was sent to; empty where there was no request.
    pub host: String,
    /// The region named.
    pub region: Option<RegionId>,
    /// The action named; `JobEffect` for what a job changed when it ended, `CopyEnded` for a copy that ended by itself.
    pub action: String,
    /// The image named; the first where there were several.
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
    /// The weather that befell the request, by kind.
    pub weather: Vec<&'static str>,
}

impl Entry {
    /// An entry without a request behind it: what the control API or a loaded world did.
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
            weather: Vec::new(),
        }
    }
}

impl Entry {
    /// This entry, with what was asked.
    pub(super) fn asking(self, parameters: Asked) -> Self {
        Self { parameters, ..self }
    }
}

/// The entries so far.
#[derive(Debug, Default)]
pub(super) struct Journal {
    entries: Vec<Entry>,
}

impl Journal {
    /// Whether another entry fits.
    pub(super) fn has_room(&self) -> bool {
        self.entries.len() < MAX_ENTRIES
    }

    /// Appends `entry` and numbers it.
    pub(super) fn append(&mut self, mut entry: Entry) {
        entry.seq = self.last() + 1;
        self.entries.push(entry);
    }

    /// The number of the last entry, 0 before the first.
    pub(super) fn last(&self) -> u64 {
        self.entries.last().map_or(0, |entry| entry.seq)
    }

    /// The entries after number `seq`, at most [`MAX_READING`].
    pub(super) fn since(&self, seq: u64) -> &[Entry] {
        let from = usize::try_from(seq).unwrap_or(usize::MAX).min(self.entries.len());
        let to = from.saturating_add(MAX_READING).min(self.entries.len());
        self.entries.get(from..to).unwrap_or_default()
    }

    /// All entries.
    pub(super) fn entries(&self) -> &[Entry] {
        &self.entries
    }
}
