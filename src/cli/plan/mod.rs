//! What a set of files would share, and what of it would be refused: without a cluster, or against one. Nothing is written.
//!
//! | file | content |
//! |---|---|
//! | `documents` | YAML to documents whose fields know their lines |
//! | `schema` | the definitions and their rules |
//! | `set` | the objects of a set |
//! | `references` | what they name: is it there, does its owner consent, does something else name the same |
//! | `images` | who would get each image, by the operator's own planner |
//! | `applying`, `dry_run` | against a cluster: what the API server would store |
//! | `world` | against a cluster: the images that the set touches, with everything their plans depend on |
//! | `live` | against a cluster: what becomes of each image, by the operator's own planner |
//! | `report` | text, JSON, Markdown |

mod applying;
mod documents;
mod dry_run;
mod images;
mod live;
mod references;
mod report;
mod schema;
mod set;
mod world;

use std::ffi::OsStr;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use documents::{Document, NotYaml, TEXT_BYTES_MAX};
use jiff::Timestamp;
pub(super) use report::PlanFormat;
use report::{ObjectChange, OfCluster, Report};
use set::{Accepted, Finding, Set};

use super::arguments::{Connection, Plan};
use super::output::safe;
use super::reader::Reader;
use super::{Answer, CliError};

/// Exit status where something is refused.
const REFUSED: u8 = 1;
/// Exit status where something changes.
const CHANGES: u8 = 2;

/// The namespace of objects that name none, as kubectl's.
const DEFAULT_NAMESPACE: &str = "default";

/// Endings of files that a folder is searched for.
const ENDINGS: [&str; 3] = ["yaml", "yml", "json"];

/// Most files of one plan.
const FILES_MAX: usize = 10_000;

pub(super) async fn run(connection: &Connection, asked: &Plan) -> Result<Answer, CliError> {
    let texts = load_all(&asked.filename, asked.recursive)?;
    let report = if asked.live {
        let before = load_all(&asked.base, asked.recursive)?;
        plan_live(&mut Reader::connect(connection).await?, &texts, &before, Timestamp::now()).await?
    } else {
        let namespace = connection.namespace.as_deref().unwrap_or(DEFAULT_NAMESPACE);
        plan(&texts, namespace, asked.strict, Timestamp::now())
    };
    let text = report.print(asked.output)?;
    let exit = match (report.is_refused(), report.changes()) {
        (true, _) => REFUSED,
        (false, 0) => super::DONE,
        (false, _) => CHANGES,
    };
    Ok(Answer { text, notes: Vec::new(), exit })
}

fn load_all(names: &[PathBuf], recursive: bool) -> Result<Vec<Text>, CliError> {
    let mut texts = Vec::new();
    for name in names {
        texts.extend(load(name, recursive)?);
    }
    Ok(texts)
}

/// A file's name and its text.
type Text = (String, String);

/// The documents of these texts, and what is no YAML.
fn documents_of(texts: &[Text]) -> (Vec<Document>, Vec<Finding>) {
    let (mut documents, mut refused): (Vec<Document>, Vec<Finding>) = (Vec::new(), Vec::new());
    for (file, text) in texts {
        match documents::read(file, text) {
            Ok(found) => documents.extend(found),
            Err(NotYaml { line, message }) => {
                let message = format!("is no YAML, and nothing of this file is judged: {}", safe(&message));
                refused.push(Finding { place: format!("{file}:{line}"), object: None, field: None, message });
            }
        }
    }
    (documents, refused)
}

/// The plan of these texts against a cluster. `before`: what these texts hold and the others do not is deleted.
async fn plan_live(reader: &mut Reader, texts: &[Text], before: &[Text], now: Timestamp) -> Result<Report, CliError> {
    let (documents, mut refused) = documents_of(texts);
    let (old, mut unreadable) = documents_of(before);
    refused.append(&mut unreadable);
    let mut set = Set::of(documents, &reader.namespace);
    refused.append(&mut set.refused);
    refused.append(&mut references::check_alone(&set));
    // What is wrong with an object that goes does not matter; whether it is in the set does, refused or not.
    let stays = |old: &Accepted| {
        let is_same = |new: &Accepted| (&new.kind, &new.key) == (&old.kind, &old.key);
        set.accepted.iter().any(is_same) || refused.iter().any(|finding| finding.object == old.finding("", "").object)
    };
    let deleted: Vec<Accepted> =
        Set::of(old, &reader.namespace).accepted.into_iter().filter(|old| !stays(old)).collect();
    let mut judged = dry_run::judge(&reader.client, &set.accepted, &deleted, now).await?;
    refused.append(&mut judged.refused);
    let subjects = world::observe(reader, &judged.changes).await?;
    let (mut images, mut gaps) = (Vec::new(), Vec::new());
    for subject in &subjects {
        let mut planned = live::plan_image(subject, &set, now);
        refused.append(&mut planned.refused);
        gaps.append(&mut planned.unknown);
        images.push(planned.plan);
    }
    judged.missing.into_iter().for_each(|missing| reader.note_missing(missing));
    let missing = reader.missing.clone();
    let objects = judged.changes.iter().filter_map(ObjectChange::of).collect();
    let cluster = OfCluster { complete: missing.is_empty() && gaps.is_empty(), missing, gaps, objects };
    Ok(Report::new(&set, images, refused, Vec::new(), Some(cluster)))
}

/// The plan of these texts. `strict`: what the set does not tell is refused.
fn plan(texts: &[Text], namespace: &str, strict: bool, now: Timestamp) -> Report {
    let (documents, mut refused) = documents_of(texts);
    let mut set = Set::of(documents, namespace);
    let mut references = references::check(&set);
    refused.append(&mut set.refused);
    refused.append(&mut references.refused);
    let (images, mut of_images) = images::plan_images(&set, now);
    refused.append(&mut of_images);
    if strict {
        refused.append(&mut references.unknown);
    }
    Report::new(&set, images, refused, references.unknown, None)
}

/// The texts of a file, of the files of a folder, or of standard input.
fn load(name: &Path, recursive: bool) -> Result<Vec<Text>, CliError> {
    if name == Path::new("-") {
        return Ok(vec![text_of("-", std::io::stdin().lock())?]);
    }
    let failed = |error: std::io::Error| CliError::Refused(format!("{}: {error}", name.display()));
    if !fs::metadata(name).map_err(failed)?.is_dir() {
        return Ok(vec![load_file(name)?]);
    }
    let mut found = Vec::new();
    search(name, recursive, &mut found)?;
    if found.is_empty() {
        let hint = if recursive { "" } else { "; -R searches the folders in it too" };
        return Err(CliError::Refused(format!("{}: no file ends in .yaml, .yml or .json{hint}", name.display())));
    }
    found.iter().map(|file| load_file(file)).collect()
}

fn load_file(file: &Path) -> Result<Text, CliError> {
    let name = file.display().to_string();
    let opened = fs::File::open(file).map_err(|error| CliError::Refused(format!("{name}: {error}")))?;
    text_of(&name, opened)
}

/// All of it; what is too long is cut one byte beyond the bound, which is refused with the other texts that are no YAML.
fn text_of(name: &str, from: impl Read) -> Result<Text, CliError> {
    let most = u64::try_from(TEXT_BYTES_MAX).unwrap_or(u64::MAX).saturating_add(1);
    let mut text = String::new();
    match from.take(most).read_to_string(&mut text) {
        Ok(_) => Ok((name.to_owned(), text)),
        Err(error) => Err(CliError::Refused(format!("{name}: {error}"))),
    }
}

/// The files of a folder, by name. Links to folders are not followed, so that the search ends.
fn search(folder: &Path, recursive: bool, found: &mut Vec<PathBuf>) -> Result<(), CliError> {
    let failed = |error: std::io::Error| CliError::Refused(format!("{}: {error}", folder.display()));
    let entries: Result<Vec<_>, _> = fs::read_dir(folder).map_err(failed)?.collect();
    let mut entries = entries.map_err(failed)?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let path = entry.path();
        if entry.file_type().map_err(failed)?.is_dir() {
            if recursive {
                search(&path, recursive, found)?;
            }
        } else if path.extension().and_then(OsStr::to_str).is_some_and(|ending| ENDINGS.contains(&ending)) {
            found.push(path);
            if found.len() > FILES_MAX {
                return Err(CliError::Refused(format!("{}: more than {FILES_MAX} files", folder.display())));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
