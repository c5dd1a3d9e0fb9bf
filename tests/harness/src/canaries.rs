//! Canaries: secrets made for a test, and whether any place that people read shows one of them, plain or disguised: logs,
//! every object of every kind, every version there was of one, metrics.
//!
//! A disguise is looked for by what the first eight bytes of a secret become in it, so that a secret which was cut off is
//! found as well.

mod disguises;
mod places;

use std::fmt;

use anyhow::{Result, ensure};

use disguises::{Disguise, Lists};
pub use places::{logs, metrics, objects, versions};

/// Bytes of a secret by which it is known.
const KNOWN_BY: usize = 8;

/// Letters shown around a sighting.
const AROUND: usize = 60;

/// Something that people can read.
#[derive(Debug, Clone)]
pub struct Shown {
    /// Where: a log file's name, an object's kind and name.
    pub place: String,
    /// What is read there.
    pub text: String,
}

/// One secret, seen where it must not be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sighting {
    /// Where it was seen.
    pub place: String,
    /// Which secret: its place in the order they were given in.
    pub secret: usize,
    /// What it looked like there.
    pub disguise: &'static str,
    /// The text just before and just after; canaries open nothing, so they may be shown to whoever reads a failed test.
    pub around: String,
}

impl fmt::Display for Sighting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { place, secret, disguise, around } = self;
        write!(f, "{place} shows secret {secret}, {disguise}: {around:?}")
    }
}

/// Secrets, in all their disguises.
#[derive(Debug)]
pub struct Canaries {
    disguises: Vec<Disguise>,
    /// The disguises by their first two bytes, since logs are long.
    by_start: Vec<Vec<usize>>,
    lists: Lists,
}

impl Canaries {
    /// Fails for a secret of fewer than eight bytes: it would be seen everywhere.
    pub fn of<S: AsRef<str>>(secrets: impl IntoIterator<Item = S>) -> Result<Self> {
        let (mut all, mut lists) = (Vec::new(), Lists::default());
        for (number, secret) in secrets.into_iter().enumerate() {
            let secret = secret.as_ref();
            ensure!(secret.len() >= KNOWN_BY, "secret {number} is shorter than {KNOWN_BY} bytes");
            all.extend(disguises::of(number, secret.as_bytes()));
            lists.add(number, secret.as_bytes());
        }
        ensure!(!all.is_empty(), "without a secret nothing can be seen");
        let mut by_start = vec![Vec::new(); 1 << 16];
        for (index, disguise) in all.iter().enumerate() {
            if let Some(place) = start(&disguise.looks).and_then(|start| by_start.get_mut(start)) {
                place.push(index);
            }
        }
        Ok(Self { disguises: all, by_start, lists })
    }

    /// The first sighting of each secret in each disguise.
    pub fn sightings(&self, shown: &Shown) -> Vec<Sighting> {
        let text = shown.text.as_bytes();
        let mut met = vec![None; self.disguises.len()];
        for at in 0..text.len() {
            let rest = text.get(at..).unwrap_or_default();
            for index in start(rest).and_then(|start| self.by_start.get(start)).into_iter().flatten() {
                let is_it = self.disguises.get(*index).is_some_and(|disguise| rest.starts_with(&disguise.looks));
                if let Some(place) = met.get_mut(*index).filter(|place| is_it && place.is_none()) {
                    *place = Some(at);
                }
            }
        }
        let plain = met.into_iter().zip(&self.disguises);
        let plain = plain.filter_map(|(at, disguise)| Some((at?, disguise.secret, disguise.name)));
        plain.chain(self.lists.sightings(text)).map(|(at, secret, name)| sighting(shown, at, secret, name)).collect()
    }

    /// Fails with every sighting, by place.
    pub fn ensure_hidden<'a>(&self, shown: impl IntoIterator<Item = &'a Shown>) -> Result<()> {
        let seen: Vec<String> =
            shown.into_iter().flat_map(|shown| self.sightings(shown)).map(|sighting| sighting.to_string()).collect();
        ensure!(seen.is_empty(), "{} sightings of secrets:\n{}", seen.len(), seen.join("\n"));
        Ok(())
    }
}

fn start(text: &[u8]) -> Option<usize> {
    let [first, second, ..] = text else { return None };
    Some(usize::from(*first) << 8 | usize::from(*second))
}

fn sighting(shown: &Shown, at: usize, secret: usize, disguise: &'static str) -> Sighting {
    let around = shown.text.as_bytes().get(at.saturating_sub(AROUND)..).unwrap_or_default();
    let around = around.get(..2 * AROUND).unwrap_or(around);
    Sighting { place: shown.place.clone(), secret, disguise, around: String::from_utf8_lossy(around).into_owned() }
}

#[cfg(test)]
mod tests;
