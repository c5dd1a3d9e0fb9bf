//! Why an object is not ready: reads the objects of its chain, and prints where it breaks and what to do.

mod chain;
#[cfg(test)]
mod tests;

use chain::{Explanation, World};

use super::arguments::{Connection, Format, Why};
use super::output::{print, safe, table};
use super::reader::{self, Found, Kind, Reader};
use super::{Answer, CliError, DONE};
use crate::api::{CloudAccount, CloudImage, ImageReplica, ImageShare, SharedImageAcceptance};
use crate::cluster::guard::Guarded;
use crate::reconcile::convert::{accounts_named, image_named_by};

/// Exit status where a link is broken, or waits.
const NOT_READY: u8 = 2;

/// A kind that can be explained, by every word that kubectl takes for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Target {
    Account,
    Image,
    Share,
    Acceptance,
    Replica,
}

impl Target {
    fn named(word: &str) -> Option<Self> {
        let word = word.to_lowercase();
        let word = word.strip_suffix(&format!(".{}", crate::api::GROUP)).unwrap_or(&word);
        Some(match word {
            "cloudaccount" | "cloudaccounts" | "cla" => Self::Account,
            "cloudimage" | "cloudimages" | "cli" => Self::Image,
            "imageshare" | "imageshares" | "ish" => Self::Share,
            "sharedimageacceptance" | "sharedimageacceptances" | "sia" => Self::Acceptance,
            "imagereplica" | "imagereplicas" | "irep" => Self::Replica,
            _ => return None,
        })
    }
}

pub(super) async fn run(connection: &Connection, asked: &Why) -> Result<Answer, CliError> {
    let refused = || {
        CliError::Refused(format!(
            "{}: name an object as KIND/NAME, with a cloudaccount, cloudimage, imageshare, sharedimageacceptance or \
             imagereplica",
            safe(&asked.object)
        ))
    };
    let (kind, name) = asked.object.split_once('/').ok_or_else(refused)?;
    let target = Target::named(kind).ok_or_else(refused)?;
    let mut reader = Reader::connect(connection).await?;
    let namespace = reader.namespace.clone();
    let mut world = World::default();
    let explanation = match target {
        Target::Account => {
            require(world.add_account(&mut reader, &namespace, name).await?, &namespace, name)?;
            world.explain_account(&namespace, name)
        }
        Target::Image => {
            require(world.add_image(&mut reader, &namespace, name).await?, &namespace, name)?;
            world.explain_image(&namespace, name)
        }
        Target::Share => {
            let share = require(reader.get::<ImageShare>(&namespace, name).await?, &namespace, name)?;
            if let Some((namespace, name)) = share.as_ref().and_then(image_named_by) {
                world.add_image(&mut reader, &namespace, &name).await?;
            }
            world.explain_share(share.as_ref())
        }
        Target::Acceptance => {
            let found = require(reader.get::<SharedImageAcceptance>(&namespace, name).await?, &namespace, name)?;
            if let Some(acceptance) = found.as_ref().and_then(Guarded::readable) {
                world.add_account(&mut reader, &namespace, &acceptance.spec.account_ref.name).await?;
            }
            world.explain_acceptance(found.as_ref())
        }
        Target::Replica => {
            let found = require(reader.get::<ImageReplica>(&namespace, name).await?, &namespace, name)?;
            if let Some(replica) = found.as_ref().and_then(Guarded::readable) {
                if let Some(source) = &replica.spec.source.image_ref {
                    world.add_image(&mut reader, &namespace, &source.name).await?;
                }
                for account in accounts_named(replica, None) {
                    world.add_account(&mut reader, &namespace, &account).await?;
                }
            }
            world.explain_replica(found.as_ref())
        }
    };
    let explanation = Explanation { complete: reader.missing.is_empty(), missing: reader.missing, ..explanation };
    let gaps: Vec<String> = explanation.missing.iter().map(ToString::to_string).collect();
    let text = print(asked.output, &explanation, shown)?;
    let otherwise = if explanation.broken.is_some() { NOT_READY } else { DONE };
    Ok(reader::answer(text, &gaps, asked.output == Format::Table, otherwise))
}

/// The object that was asked for; `None` where the user may not read it.
fn require<K: Kind>(found: Found<K>, namespace: &str, name: &str) -> Result<Option<Guarded<K>>, CliError> {
    match found {
        Found::There(object) => Ok(Some(*object)),
        Found::Hidden => Ok(None),
        Found::Absent => Err(CliError::Refused(format!(
            "the namespace {namespace} has no {} {name}: see `kubectl get {} -A`",
            K::kind(&()),
            K::plural(&())
        ))),
    }
}

impl World {
    /// Reads an account.
    async fn add_account(
        &mut self,
        reader: &mut Reader,
        namespace: &str,
        name: &str,
    ) -> Result<Found<CloudAccount>, CliError> {
        let key = (namespace.to_owned(), name.to_owned());
        if let Some(found) = self.accounts.get(&key) {
            return Ok(found.clone());
        }
        let found = reader.get::<CloudAccount>(namespace, name).await?;
        self.accounts.insert(key, found.clone());
        Ok(found)
    }

    /// Reads an image and its account.
    async fn add_image(
        &mut self,
        reader: &mut Reader,
        namespace: &str,
        name: &str,
    ) -> Result<Found<CloudImage>, CliError> {
        let found = reader.get::<CloudImage>(namespace, name).await?;
        if let Found::There(image) = &found
            && let Some(image) = image.readable()
        {
            self.add_account(reader, namespace, &image.spec.account_ref.name).await?;
        }
        self.images.insert((namespace.to_owned(), name.to_owned()), found.clone());
        Ok(found)
    }
}

fn shown(explanation: &Explanation) -> String {
    let row = |link: &chain::Link| {
        vec![
            link.state.to_string(),
            link.kind.to_owned(),
            link.name.clone(),
            link.reason.clone().unwrap_or_default(),
            link.message.clone(),
        ]
    };
    let rows: Vec<Vec<String>> = explanation.chain.iter().map(row).collect();
    let table = table(&["STATE", "KIND", "NAME", "REASON", "MESSAGE"], &rows);
    let Some(broken) = &explanation.broken else {
        let is_known = explanation.complete && explanation.chain.iter().all(|link| link.state != chain::State::Unknown);
        let what = if is_known { "of the chain" } else { "that you may read" };
        return format!("{table}\nNo link {what} is broken.\n");
    };
    let reason = broken.reason.as_deref().map(|reason| format!(" ({})", safe(reason))).unwrap_or_default();
    let verb = if broken.state == chain::State::Waiting { "waits at" } else { "breaks at" };
    let (kind, name, message) = (broken.kind, safe(&broken.name), safe(&broken.message));
    let remedy = explanation.remedy.as_ref();
    let remedy = remedy.map(|remedy| format!("  check: {}\n  do:    {}\n", remedy.check, remedy.action));
    format!("{table}\nThe chain {verb} {kind} {name}{reason}: {message}\n{}", remedy.unwrap_or_default())
}
