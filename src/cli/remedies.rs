//! What to check and what to do about each condition reason: the tables of `docs/troubleshooting.md`, so that the plugin and
//! the page say the same.

use serde::Serialize;

const PAGE: &str = include_str!("../../docs/troubleshooting.md");

/// The header of the tables that have a remedy.
const HEADER: [&str; 3] = ["reason", "check", "what to do"];

/// What to check and what to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Remedy {
    pub(super) check: String,
    #[serde(rename = "do")]
    pub(super) action: String,
}

/// The remedy of a reason; `None` for reasons that need none.
pub(super) fn remedy(reason: &str) -> Option<Remedy> {
    let mut has_remedies = false;
    for line in PAGE.lines() {
        let Some(cells) = cells(line) else {
            has_remedies = false;
            continue;
        };
        match cells.as_slice() {
            header if header == HEADER.as_slice() => has_remedies = true,
            [name, check, action] if has_remedies && name.trim_matches('`') == reason => {
                return Some(Remedy { check: plain(check), action: plain(action) });
            }
            _ => {}
        }
    }
    None
}

/// The cells of a row of a Markdown table. A `|` in a code span is no border.
fn cells(line: &str) -> Option<Vec<String>> {
    let inner = line.trim().strip_prefix('|')?.strip_suffix('|')?;
    let (mut cells, mut cell, mut is_code) = (Vec::new(), String::new(), false);
    for character in inner.chars() {
        is_code ^= character == '`';
        if character == '|' && !is_code {
            cells.push(std::mem::take(&mut cell).trim().to_owned());
        } else {
            cell.push(character);
        }
    }
    cells.push(cell.trim().to_owned());
    Some(cells)
}

/// Markdown as text: links as their words.
fn plain(markdown: &str) -> String {
    let mut text = String::new();
    let mut rest = markdown;
    while let Some((before, after)) = rest.split_once('[') {
        text.push_str(before);
        match after.split_once("](").and_then(|(words, target)| Some((words, target.split_once(')')?))) {
            Some((words, (_, behind))) if !words.contains(['[', ']']) => {
                text.push_str(words);
                rest = behind;
            }
            _ => {
                text.push('[');
                rest = after;
            }
        }
    }
    text.push_str(rest);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_remedy_is_the_text_of_the_page_without_its_links() {
        let found = remedy("ImageRefUnresolved").unwrap();
        assert!(found.check.starts_with("Does the CloudImage exist under this name"), "{found:?}");
        assert!(found.action.starts_with("Correct `imageRef` (in place, until a CloudImage served"), "{found:?}");
        assert_eq!(remedy("Verified"), None);
        assert_eq!(remedy("NoSuchReason"), None);
        assert_eq!(plain("a [b](c#d) [e] `f[0]`"), "a b [e] `f[0]`");
    }

    #[test]
    fn a_border_in_a_command_is_no_border() {
        assert_eq!(cells("| `a` | `b | c` | d |").unwrap(), ["`a`", "`b | c`", "d"]);
        assert_eq!(cells("text"), None);
    }
}
