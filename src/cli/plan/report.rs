//! A plan as text, as JSON, and as Markdown for a comment on a pull request.

use clap::ValueEnum;
use serde::Serialize;

use super::dry_run::{Change, NAMESPACE};
use super::images::{GrantPlan, ImagePlan, RevokePlan};
use super::set::{Finding, Key, Set};
use crate::api::acceptance::AcceptanceDecision;
use crate::cli::CliError;
use crate::cli::output::safe;
use crate::cli::reader::Missing;
use crate::domain::identifiers::RecipientKind;

/// How a plan is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum PlanFormat {
    /// Lines for people.
    Text,
    /// One JSON document, for programs.
    Json,
    /// For a comment on a pull request.
    Markdown,
}

/// The plan of a set.
#[derive(Debug, PartialEq, Serialize)]
pub(crate) struct Report {
    /// What would not be done, and why.
    refused: Vec<Finding>,
    /// What the set does not tell.
    unknown: Vec<Finding>,
    /// Of a plan against a cluster.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    cluster: Option<OfCluster>,
    images: Vec<ImagePlan>,
    /// Copies that are asked for, as sentences.
    copies: Vec<String>,
    /// Answers to offers, as sentences.
    answers: Vec<String>,
    summary: Summary,
}

/// What only a cluster tells.
#[derive(Debug, PartialEq, Serialize)]
pub(crate) struct OfCluster {
    /// Whether everything could be read and judged that the plan depends on.
    pub(super) complete: bool,
    /// Rights that were missing.
    pub(super) missing: Vec<Missing>,
    /// What else is not known, as sentences.
    pub(super) gaps: Vec<String>,
    /// The objects that applying the set changes.
    pub(super) objects: Vec<ObjectChange>,
}

/// An object that applying the set changes.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(crate) struct ObjectChange {
    kind: String,
    namespace: String,
    name: String,
    change: Verb,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Verb {
    Created,
    Changed,
    Deleted,
}

impl ObjectChange {
    /// `None` where applying the set leaves the object as it is.
    pub(super) fn of(change: &Change) -> Option<Self> {
        let verb = match (&change.before, change.is_deletion()) {
            (None, _) => Verb::Created,
            (Some(_), true) => Verb::Deleted,
            (Some(_), false) => Verb::Changed,
        };
        let (namespace, name) = change.key.clone();
        change.is_change().then(|| Self { kind: change.kind.clone(), namespace, name, change: verb })
    }

    fn is(&self, kind: &str, key: &Key) -> bool {
        self.kind == kind && (&self.namespace, &self.name) == (&key.0, &key.1)
    }

    fn told(&self) -> String {
        let Self { kind, namespace, name, change } = self;
        let verb = match change {
            Verb::Created => "created",
            Verb::Changed => "changed",
            Verb::Deleted => "deleted",
        };
        let slash = if kind == NAMESPACE { "" } else { "/" };
        let follows = match kind.as_str() {
            "ImageChannel" | "ChannelShare" => {
                ": what follows depends on the images that are at the cloud then, and is not planned"
            }
            _ => "",
        };
        format!("{verb}  {kind} {namespace}{slash}{name}{follows}")
    }
}

#[derive(Debug, PartialEq, Eq, Serialize)]
struct Summary {
    grants: usize,
    /// Absent without a cluster.
    #[serde(skip_serializing_if = "Option::is_none")]
    revokes: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    calls: Option<usize>,
    copies: usize,
    answers: usize,
    refused: usize,
    unknown: usize,
    /// Objects of other groups, which were not judged.
    others: usize,
}

impl Report {
    pub(super) fn new(
        set: &Set,
        mut images: Vec<ImagePlan>,
        mut refused: Vec<Finding>,
        mut unknown: Vec<Finding>,
        cluster: Option<OfCluster>,
    ) -> Self {
        refused.sort();
        refused.dedup();
        unknown.sort();
        images.retain(|image| !image.is_empty());
        // Of a cluster, only what changes counts: the others were copied or answered before.
        let counts = |kind: &str, key: &Key| {
            let changes = |cluster: &OfCluster| {
                cluster.objects.iter().any(|object| object.change != Verb::Deleted && object.is(kind, key))
            };
            cluster.as_ref().is_none_or(changes)
        };
        let copies: Vec<String> = set
            .replicas
            .iter()
            .filter(|replica| !replica.object.spec.suspend && counts("ImageReplica", &replica.key()))
            .map(|replica| {
                let ((namespace, name), to) = (replica.key(), &replica.object.spec.destination);
                format!("{namespace}/{name} copies an image to {} as {}", to.region, to.name)
            })
            .collect();
        let answers: Vec<String> = set
            .acceptances
            .iter()
            .filter(|acceptance| !acceptance.object.spec.suspend && counts("SharedImageAcceptance", &acceptance.key()))
            .map(|acceptance| {
                let ((namespace, name), spec) = (acceptance.key(), &acceptance.object.spec);
                let verb = match spec.decision {
                    AcceptanceDecision::Accept => "accepts",
                    AcceptanceDecision::Reject => "rejects",
                };
                format!("{namespace}/{name} {verb} {} ({}) of {}", spec.image_id, spec.region, spec.owner)
            })
            .collect();
        let summary = Summary {
            grants: images.iter().map(|image| image.grants.len()).sum(),
            revokes: cluster.as_ref().map(|_| images.iter().map(|image| image.revokes.len()).sum()),
            calls: cluster.as_ref().map(|_| images.iter().filter_map(|image| image.calls).sum()),
            copies: copies.len(),
            answers: answers.len(),
            refused: refused.len(),
            unknown: unknown.len(),
            others: set.others,
        };
        Self { refused, unknown, cluster, images, copies, answers, summary }
    }

    /// Whether anything is refused, or the plan lacks a part.
    pub(super) fn is_refused(&self) -> bool {
        !self.refused.is_empty() || self.cluster.as_ref().is_some_and(|cluster| !cluster.complete)
    }

    /// How much changes.
    pub(super) fn changes(&self) -> usize {
        let Summary { grants, revokes, copies, answers, .. } = self.summary;
        let objects = self.cluster.as_ref().map_or(0, |cluster| cluster.objects.len());
        grants + revokes.unwrap_or_default() + copies + answers + objects
    }

    pub(super) fn print(&self, format: PlanFormat) -> Result<String, CliError> {
        match format {
            PlanFormat::Text => Ok(self.text()),
            PlanFormat::Markdown => Ok(self.markdown()),
            PlanFormat::Json => {
                let json = serde_json::to_string_pretty(self).map_err(|error| CliError::Output(error.to_string()))?;
                Ok(json + "\n")
            }
        }
    }

    fn text(&self) -> String {
        let mut text = String::new();
        for finding in &self.refused {
            line(&mut text, &format!("refused  {}", told(finding)));
        }
        for finding in &self.unknown {
            line(&mut text, &format!("unknown  {}", told(finding)));
        }
        self.gaps().for_each(|gap| line(&mut text, &format!("incomplete  {gap}")));
        self.objects().iter().for_each(|object| line(&mut text, &object.told()));
        for image in &self.images {
            line(&mut text, &headline(image));
            image.grants.iter().for_each(|grant| line(&mut text, &format!("  + {}", told_grant(grant))));
            image.revokes.iter().for_each(|revoke| line(&mut text, &format!("  - {}", told_revoke(revoke))));
            if let Some(revoke) = image.revokes.first() {
                line(&mut text, &format!("    whoever loses it: {}", revoke.breaks));
            }
            image.waits.iter().for_each(|waits| line(&mut text, &format!("    waits: {waits}")));
            image.notes.iter().for_each(|note| line(&mut text, &format!("    {note}")));
        }
        for sentence in self.copies.iter().chain(&self.answers) {
            line(&mut text, sentence);
        }
        line(&mut text, &self.summary());
        text
    }

    fn objects(&self) -> &[ObjectChange] {
        self.cluster.as_ref().map_or(&[], |cluster| &cluster.objects)
    }

    /// What the plan lacks, as sentences.
    fn gaps(&self) -> impl Iterator<Item = String> {
        let cluster = self.cluster.iter();
        cluster.flat_map(|cluster| cluster.missing.iter().map(ToString::to_string).chain(cluster.gaps.iter().cloned()))
    }

    fn summary(&self) -> String {
        let Summary { grants, revokes, calls, copies, answers, refused, unknown, others } = &self.summary;
        let counted = |count: usize, one: &str, many: &str| {
            (count > 0).then(|| format!("{count} {}", if count == 1 { one } else { many }))
        };
        let without_grants = match &self.cluster {
            Some(_) if self.changes() > 0 => None,
            Some(_) => Some("nothing changes"),
            None => Some("no grants"),
        };
        let parts: Vec<String> = [
            counted(*grants, "grant", "grants").or_else(|| without_grants.map(ToOwned::to_owned)),
            counted(revokes.unwrap_or_default(), "revoke", "revokes"),
            counted(calls.unwrap_or_default(), "call", "calls"),
            counted(*copies, "copy", "copies"),
            counted(*answers, "answer", "answers"),
            counted(*refused, "refused", "refused"),
            counted(*unknown, "unknown here", "unknown here"),
            counted(*others, "object of another group not judged", "objects of other groups not judged"),
        ]
        .into_iter()
        .flatten()
        .collect();
        if parts.is_empty() { "objects change, and no access does".to_owned() } else { parts.join(", ") }
    }

    fn markdown(&self) -> String {
        let mut text = String::from("### Image shares\n\n");
        line(&mut text, &format!("**{}**\n", self.summary()));
        if !self.refused.is_empty() || !self.unknown.is_empty() {
            text.push_str("| | where | what |\n|---|---|---|\n");
            let rows = self.refused.iter().map(|finding| ("refused", finding));
            for (word, finding) in rows.chain(self.unknown.iter().map(|finding| ("unknown here", finding))) {
                let what = match (&finding.object, &finding.field) {
                    (Some(object), Some(field)) => format!("{object}: {field}: {}", finding.message),
                    (Some(object), None) => format!("{object}: {}", finding.message),
                    (None, _) => finding.message.clone(),
                };
                line(&mut text, &format!("| {word} | {} | {} |", cell(&finding.place), cell(&what)));
            }
            text.push('\n');
        }
        self.markdown_recipients(&mut text);
        let named = |image: &ImagePlan, note: &String| format!("{}/{}: {note}", image.namespace, image.name);
        let notes = self.images.iter().flat_map(|image| {
            let waits = image.waits.iter().map(|waits| format!("waits: {waits}"));
            waits.chain(image.notes.iter().cloned()).map(|note| named(image, &note)).collect::<Vec<_>>()
        });
        let gaps = self.gaps().map(|gap| format!("incomplete: {gap}"));
        let objects = self.objects().iter().map(ObjectChange::told);
        let sentences = self.copies.iter().chain(&self.answers).cloned();
        for sentence in gaps.chain(objects).chain(notes).chain(sentences) {
            line(&mut text, &format!("- {}", cell(&sentence)));
        }
        text
    }

    /// A table of who gets and who loses what.
    fn markdown_recipients(&self, text: &mut String) {
        let mut rows = Vec::new();
        for image in &self.images {
            let slots = image
                .slots
                .zip(image.limit)
                .map(|(slots, limit)| format!(" ({}→{}/{limit})", slots.before, slots.after));
            let name = format!("{}/{}{}", image.namespace, image.name, slots.unwrap_or_default());
            for grant in &image.grants {
                rows.push([
                    name.clone(),
                    format!("{} gets it", with_name(grant)),
                    format!("by {}", grant.image_shares.join(", ")),
                ]);
            }
            for revoke in &image.revokes {
                let whom = named(revoke.kind, &revoke.id, revoke.name.as_deref());
                rows.push([name.clone(), format!("{whom} loses it"), revoke.why.clone()]);
            }
        }
        if rows.is_empty() {
            return;
        }
        text.push_str("| image | who | why |\n|---|---|---|\n");
        for row in rows {
            let cells: Vec<String> = row.iter().map(|text| cell(text)).collect();
            line(text, &format!("| {} |", cells.join(" | ")));
        }
        text.push('\n');
        let mut breaks = self.images.iter().flat_map(|image| &image.revokes).map(|revoke| &revoke.breaks);
        if let Some(breaks) = breaks.next() {
            line(text, &format!("Whoever loses it: {}\n", cell(breaks)));
        }
    }
}

/// Adds a line; one that ends in a line break ends a paragraph.
fn line(text: &mut String, words: &str) {
    let (words, end) = words.strip_suffix('\n').map_or((words, "\n"), |words| (words, "\n\n"));
    text.push_str(&safe(words));
    text.push_str(end);
}

/// Text in a cell of a Markdown table: no border, no markup, no mention of anybody.
fn cell(text: &str) -> String {
    let mut safe_text = String::new();
    for character in safe(text).chars() {
        match character {
            '|' | '\\' | '`' | '*' | '_' | '[' | ']' | '<' | '>' | '@' | '#' | '!' | '~' => {
                safe_text.push('\\');
                safe_text.push(character);
            }
            _ => safe_text.push(character),
        }
    }
    safe_text
}

fn told(finding: &Finding) -> String {
    let mut words = finding.place.clone();
    for part in [&finding.object, &finding.field].into_iter().flatten() {
        words = format!("{words}: {part}");
    }
    format!("{words}: {}", finding.message)
}

fn headline(image: &ImagePlan) -> String {
    let place: Vec<&str> = [&image.image_id, &image.region].into_iter().flatten().map(String::as_str).collect();
    let place = if place.is_empty() { "not in the set".to_owned() } else { place.join(", ") };
    let lost = if image.revokes.is_empty() { String::new() } else { format!(" -{}", image.revokes.len()) };
    let taken = match image.slots {
        Some(slots) if slots.before == slots.after => slots.after.to_string(),
        Some(slots) => format!("{}→{}", slots.before, slots.after),
        None => image.grants.len().to_string(),
    };
    let slots = image.limit.map(|limit| format!("  {taken}/{limit}")).unwrap_or_default();
    format!("{}/{} ({place})  +{}{lost}{slots}", image.namespace, image.name, image.grants.len())
}

fn with_name(grant: &GrantPlan) -> String {
    named(grant.kind, &grant.id, grant.name.as_deref())
}

fn named(kind: RecipientKind, id: &str, name: Option<&str>) -> String {
    let name = name.map(|name| format!(" ({name})")).unwrap_or_default();
    format!("{kind} {id}{name}")
}

fn told_revoke(revoke: &RevokePlan) -> String {
    format!("{}  {}", named(revoke.kind, &revoke.id, revoke.name.as_deref()), revoke.why)
}

fn told_grant(grant: &GrantPlan) -> String {
    format!("{}  by {}", with_name(grant), grant.image_shares.join(", "))
}
