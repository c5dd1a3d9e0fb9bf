//! A plan as text, as JSON, and as Markdown for a comment on a pull request.

use clap::ValueEnum;
use serde::Serialize;

use super::images::{GrantPlan, ImagePlan};
use super::set::{Finding, Set};
use crate::api::acceptance::AcceptanceDecision;
use crate::cli::CliError;
use crate::cli::output::safe;

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
    images: Vec<ImagePlan>,
    /// Copies that are asked for, as sentences.
    copies: Vec<String>,
    /// Answers to offers, as sentences.
    answers: Vec<String>,
    summary: Summary,
}

#[derive(Debug, PartialEq, Eq, Serialize)]
struct Summary {
    grants: usize,
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
    ) -> Self {
        refused.sort();
        refused.dedup();
        unknown.sort();
        images.retain(|image| !(image.grants.is_empty() && image.notes.is_empty()));
        let copies: Vec<String> = set
            .replicas
            .iter()
            .filter(|replica| !replica.object.spec.suspend)
            .map(|replica| {
                let ((namespace, name), to) = (replica.key(), &replica.object.spec.destination);
                format!("{namespace}/{name} copies an image to {} as {}", to.region, to.name)
            })
            .collect();
        let answers: Vec<String> = set
            .acceptances
            .iter()
            .filter(|acceptance| !acceptance.object.spec.suspend)
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
            copies: copies.len(),
            answers: answers.len(),
            refused: refused.len(),
            unknown: unknown.len(),
            others: set.others,
        };
        Self { refused, unknown, images, copies, answers, summary }
    }

    /// Whether anything is refused.
    pub(super) fn is_refused(&self) -> bool {
        !self.refused.is_empty()
    }

    /// How much changes.
    pub(super) fn changes(&self) -> usize {
        self.summary.grants + self.summary.copies + self.summary.answers
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
        for image in &self.images {
            line(&mut text, &headline(image));
            image.grants.iter().for_each(|grant| line(&mut text, &format!("  + {}", told_grant(grant))));
            image.notes.iter().for_each(|note| line(&mut text, &format!("    {note}")));
        }
        for sentence in self.copies.iter().chain(&self.answers) {
            line(&mut text, sentence);
        }
        line(&mut text, &self.summary());
        text
    }

    fn summary(&self) -> String {
        let Summary { grants, copies, answers, refused, unknown, others } = &self.summary;
        let counted = |count: usize, one: &str, many: &str| {
            (count > 0).then(|| format!("{count} {}", if count == 1 { one } else { many }))
        };
        let parts: Vec<String> = [
            Some(counted(*grants, "grant", "grants").unwrap_or_else(|| "no grants".to_owned())),
            counted(*copies, "copy", "copies"),
            counted(*answers, "answer", "answers"),
            counted(*refused, "refused", "refused"),
            counted(*unknown, "unknown here", "unknown here"),
            counted(*others, "object of another group not judged", "objects of other groups not judged"),
        ]
        .into_iter()
        .flatten()
        .collect();
        parts.join(", ")
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
        if self.images.iter().any(|image| !image.grants.is_empty()) {
            text.push_str("| image | gets it | by |\n|---|---|---|\n");
            for image in &self.images {
                for grant in &image.grants {
                    let whom = with_name(grant);
                    let by = grant.image_shares.join(", ");
                    line(
                        &mut text,
                        &format!(
                            "| {} | {} | {} |",
                            cell(&format!("{}/{}", image.namespace, image.name)),
                            cell(&whom),
                            cell(&by)
                        ),
                    );
                }
            }
            text.push('\n');
        }
        let notes = self.images.iter().flat_map(|image| &image.notes);
        for sentence in notes.chain(&self.copies).chain(&self.answers) {
            line(&mut text, &format!("- {}", cell(sentence)));
        }
        text
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
    let slots = image.limit.map(|limit| format!("  {}/{limit}", image.grants.len())).unwrap_or_default();
    format!("{}/{} ({place})  +{}{slots}", image.namespace, image.name, image.grants.len())
}

fn with_name(grant: &GrantPlan) -> String {
    let name = grant.name.as_ref().map(|name| format!(" ({name})")).unwrap_or_default();
    format!("{} {}{name}", grant.kind, grant.id)
}

fn told_grant(grant: &GrantPlan) -> String {
    format!("{}  by {}", with_name(grant), grant.image_shares.join(", "))
}
