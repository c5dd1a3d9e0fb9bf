//! Makes text from other sources safe for a terminal and for status.

/// Longest image name kept in status, in characters.
const IMAGE_NAME_CHARS_MAX: usize = 128;

/// Replaces every character that moves, colours, hides or reorders terminal output by `\u{FFFD}`, so that the loss
/// stays visible. Returns at most `chars_max` characters.
pub fn plain(text: &str, chars_max: usize) -> String {
    text.chars()
        .take(chars_max)
        .map(|c| if planted!("text-not-cleaned", is_plain(c), is_plain(c) || c.is_control()) { c } else { '\u{FFFD}' })
        .collect()
}

/// An image's name as the cloud reports it, for status; `None` if it has none.
pub fn image_name(text: &str) -> Option<String> {
    Some(plain(text, IMAGE_NAME_CHARS_MAX)).filter(|name| !name.is_empty())
}

fn is_plain(c: char) -> bool {
    let reorders_or_hides = matches!(c,
        '\u{00AD}' | '\u{061C}' | '\u{180E}' | '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2060}'..='\u{206F}'
        | '\u{FEFF}' | '\u{FFF9}'..='\u{FFFB}' | '\u{E0000}'..='\u{E007F}');
    !c.is_control() && !reorders_or_hides
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_and_reordering_are_shown_as_lost_and_letters_are_kept() {
        assert_eq!(plain("golden 镜像 é", 100), "golden 镜像 é");
        assert_eq!(plain("a\u{1b}[31mb\nc\u{202e}d\u{200b}e", 100), "a\u{FFFD}[31mb\u{FFFD}c\u{FFFD}d\u{FFFD}e");
        assert_eq!(plain("abcdef", 3), "abc");
    }
}
