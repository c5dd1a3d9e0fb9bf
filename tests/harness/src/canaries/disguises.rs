//! What a secret may look like where it must not be: as text, escaped, encoded, or as a list of its bytes.

use std::collections::BTreeSet;

use super::KNOWN_BY;

/// One look of one secret.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Disguise {
    /// What it looks like; the part that only its first bytes decide.
    pub(super) looks: Vec<u8>,
    /// Which secret.
    pub(super) secret: usize,
    /// What the look is called.
    pub(super) name: &'static str,
}

/// All disguises of a secret but lists of its bytes; no two look alike.
pub(super) fn of(secret: usize, bytes: &[u8]) -> Vec<Disguise> {
    let known = bytes.get(..KNOWN_BY).unwrap_or(bytes);
    let json = escaped_json(known);
    let mut looks = vec![
        ("plain", known.to_vec()),
        ("escaped for JSON", json.clone()),
        ("escaped for JSON twice", escaped_json(&json)),
        ("in hexadecimal digits", each(known, |byte| format!("{byte:02x}"))),
        ("in upper case hexadecimal digits", each(known, |byte| format!("{byte:02X}"))),
        ("percent-encoded", each(known, percent)),
        ("percent-encoded in lower case", each(known, percent_in_lower_case)),
        ("percent-encoded, every byte", each(known, |byte| format!("%{byte:02X}"))),
        ("as an HTML form", each(known, |byte| if byte == b' ' { "+".to_owned() } else { percent(byte) })),
    ];
    for offset in 0..3 {
        looks.push(("in base64", base64(known, offset, *b"+/")));
        looks.push(("in base64 for URLs", base64(known, offset, *b"-_")));
    }
    let mut met = BTreeSet::new();
    let fresh = looks.into_iter().filter(|(_, looks)| met.insert(looks.clone()));
    fresh.map(|(name, looks)| Disguise { looks, secret, name }).collect()
}

fn each(bytes: &[u8], look: impl Fn(u8) -> String) -> Vec<u8> {
    bytes.iter().flat_map(|byte| look(*byte).into_bytes()).collect()
}

fn percent(byte: u8) -> String {
    if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
        char::from(byte).to_string()
    } else {
        format!("%{byte:02X}")
    }
}

/// Only the digits of escapes change: letters are the secret's own.
fn percent_in_lower_case(byte: u8) -> String {
    let text = percent(byte);
    if text.starts_with('%') { text.to_ascii_lowercase() } else { text }
}

/// As inside a string of JSON, and as Rust's `Debug` shows it.
fn escaped_json(bytes: &[u8]) -> Vec<u8> {
    let escape = |byte: &u8| if matches!(byte, b'"' | b'\\') { vec![b'\\', *byte] } else { vec![*byte] };
    bytes.iter().flat_map(escape).collect()
}

/// The letters of base64 that these bytes alone decide, when `offset` others come before them.
fn base64(bytes: &[u8], offset: usize, last_two: [u8; 2]) -> Vec<u8> {
    let bits = bytes.iter().flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1));
    // Letters of six bits: what is left of the one in which the bytes before end is not ours alone.
    let foreign = (6 - offset * 8 % 6) % 6;
    let bits: Vec<u8> = bits.skip(foreign).collect();
    let number = |letter: &[u8]| letter.iter().fold(0, |number: u8, bit| number << 1 | bit);
    bits.chunks_exact(6).map(|letter| letter_of(number(letter), last_two)).collect()
}

fn letter_of(number: u8, [plus, slash]: [u8; 2]) -> u8 {
    match number {
        0..26 => b'A' + number,
        26..52 => b'a' + number - 26,
        52..62 => b'0' + number - 52,
        62 => plus,
        _ => slash,
    }
}

/// Secrets as lists of the numbers of their bytes, as `[67, 97]` of a debug print: on one line or many, with or without
/// spaces.
#[derive(Debug, Default)]
pub(super) struct Lists(Vec<(usize, Vec<u8>)>);

impl Lists {
    pub(super) fn add(&mut self, secret: usize, bytes: &[u8]) {
        self.0.push((secret, bytes.get(..KNOWN_BY).unwrap_or(bytes).to_vec()));
    }

    /// Where the first list of each secret ends, which secret, and what the look is called.
    pub(super) fn sightings(&self, text: &[u8]) -> Vec<(usize, usize, &'static str)> {
        let mut met = vec![None; self.0.len()];
        for (at, run) in runs(text) {
            for ((_, known), place) in self.0.iter().zip(&mut met) {
                if place.is_none() && run == known.as_slice() {
                    *place = Some(at);
                }
            }
        }
        let named = met.into_iter().zip(&self.0);
        named.filter_map(|(at, (secret, _))| Some((at?, *secret, "as a list of bytes"))).collect()
    }
}

/// Every run of as many numbers as secrets are known by, with where it ends: numbers of one byte with one comma, and white
/// space, between them.
fn runs(text: &[u8]) -> Vec<(usize, Vec<u8>)> {
    let (mut found, mut run) = (Vec::new(), Vec::new());
    let (mut number, mut commas): (Option<u32>, usize) = (None, 0);
    for (at, byte) in text.iter().chain(b".").enumerate() {
        if byte.is_ascii_digit() {
            if number.is_none() && commas != 1 {
                run.clear();
            }
            commas = 0;
            number = Some(number.unwrap_or(0).saturating_mul(10).saturating_add(u32::from(byte - b'0')));
            continue;
        }
        if let Some(whole) = number.take() {
            match u8::try_from(whole) {
                Ok(whole) => run.push(whole),
                Err(_) => run.clear(),
            }
            if run.len() > KNOWN_BY {
                run.remove(0);
            }
            if run.len() == KNOWN_BY {
                found.push((at, run.clone()));
            }
        }
        match byte {
            b',' => commas += 1,
            byte if byte.is_ascii_whitespace() => {}
            _ => run.clear(),
        }
    }
    found
}
