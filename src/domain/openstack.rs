//! Identifiers of `OpenStack`. Keystone makes ids of 32 hexadecimal digits; other backends use other forms.

use super::identifiers::{InvalidIdentifier, PrincipalId, RecipientKind};

/// Parses the id of a project: 1 to 64 letters, digits, `-` and `_`.
pub(super) fn parse_project(text: &str) -> Result<PrincipalId, InvalidIdentifier> {
    let plain = text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
    if plain && (1..=64).contains(&text.len()) {
        PrincipalId::parse(text)
    } else {
        Err(InvalidIdentifier::new(text, "a project id (up to 64 letters, digits, '-' and '_')"))
    }
}

/// Parses the project of a recipient. A UUID with dashes names nobody: Keystone's have none.
pub(super) fn parse_recipient(text: &str) -> Result<PrincipalId, InvalidIdentifier> {
    let hexadecimal = text.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-');
    if hexadecimal && text.split('-').map(str::len).eq([8, 4, 4, 4, 12]) {
        return Err(InvalidIdentifier::new(text, "a project id (32 hexadecimal digits without dashes)"));
    }
    parse_project(text)
}

/// Whether a recipient may be named by its name in place of its id. Glance takes any text as a member and does not ask Keystone
/// for it (`glance/api/v2/image_members.py`).
pub fn is_unlikely_project(kind: RecipientKind, id: &str) -> bool {
    let likely = id.len() == 32 && id.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    kind == RecipientKind::Project && !likely
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        #[test]
        fn an_id_is_read_as_it_is_or_refused(text in ".{0,80}", plain in "[0-9A-Za-z_-]{0,66}") {
            for text in [text, plain] {
                for read in [parse_project(&text), parse_recipient(&text)].into_iter().flatten() {
                    proptest::prop_assert_eq!(read.as_str(), text.as_str());
                    proptest::prop_assert!((1..=64).contains(&text.len()) && text.is_ascii());
                }
            }
        }
    }
}
