//! XML answers as bounded trees. The vendor promises no order of elements, adds new ones without notice, and writes its
//! namespace in several ways, so readers ask for elements by name and ignore prefixes and attributes. Document types are
//! refused: no answer has one, and entities could make a small answer large.

use quick_xml::Reader;
use quick_xml::events::Event;

use crate::clouds::Fault;

/// Deepest nesting read; answers about images have six levels.
const DEPTH_MAX: usize = 16;
/// Most elements read from one answer: a page of 200 images has some 20,000, and as many 10,000 recipients.
const ELEMENTS_MAX: usize = 60_000;

/// An element with its text and its children.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Element {
    name: String,
    text: String,
    children: Vec<Element>,
}

impl Element {
    /// Parses a whole document; any fault in it makes it `Unintelligible`.
    pub(super) fn parse(body: &[u8]) -> Result<Self, Fault> {
        let text = std::str::from_utf8(body).map_err(|_| Fault::Unintelligible)?;
        read_tree(text).ok_or(Fault::Unintelligible)
    }

    /// Its name without a prefix.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Its own text, without white space around it.
    pub(super) fn text(&self) -> &str {
        self.text.trim()
    }

    /// The child of this name. Several of them make the answer `Unintelligible`.
    pub(super) fn child(&self, name: &str) -> Result<Option<&Self>, Fault> {
        let mut found = self.children.iter().filter(|child| child.name == name);
        match (found.next(), found.next()) {
            (child, None) => Ok(child),
            _ => Err(Fault::Unintelligible),
        }
    }

    /// The text of the child of this name; `None` also for an empty one. A child with children of its own is no text.
    pub(super) fn text_of(&self, name: &str) -> Result<Option<&str>, Fault> {
        match self.child(name)? {
            Some(child) if !child.children.is_empty() => Err(Fault::Unintelligible),
            child => Ok(child.map(Self::text).filter(|text| !text.is_empty())),
        }
    }

    /// The text of the child of this name, which must be there.
    pub(super) fn demand(&self, name: &str) -> Result<&str, Fault> {
        self.text_of(name)?.ok_or(Fault::Unintelligible)
    }

    /// The rows of the list of this name; `None` without the list. Anything but rows in it makes it `Unintelligible`:
    /// it could hide one.
    pub(super) fn rows(&self, name: &str) -> Result<Option<&[Self]>, Fault> {
        let Some(list) = self.child(name)? else { return Ok(None) };
        let only_rows = list.text().is_empty() && list.children.iter().all(|row| row.name == "item");
        if only_rows { Ok(Some(&list.children)) } else { Err(Fault::Unintelligible) }
    }

    /// The rows of a list whose absence would prove something.
    pub(super) fn demand_rows(&self, name: &str) -> Result<&[Self], Fault> {
        self.rows(name)?.ok_or(Fault::Unintelligible)
    }
}

fn read_tree(text: &str) -> Option<Element> {
    let mut reader = Reader::from_str(text);
    let (mut open, mut root, mut count): (Vec<Element>, _, _) = (Vec::new(), None, 0_usize);
    loop {
        let closed = match reader.read_event().ok()? {
            Event::Start(tag) => {
                count += 1;
                let element = Element { name: tag.local_name().into_inner().to_owned(), ..Element::default() };
                open.push(element);
                if count > ELEMENTS_MAX || open.len() > DEPTH_MAX {
                    return None;
                }
                continue;
            }
            Event::Empty(tag) => {
                count += 1;
                if count > ELEMENTS_MAX || open.len() >= DEPTH_MAX {
                    return None;
                }
                Element { name: tag.local_name().into_inner().to_owned(), ..Element::default() }
            }
            // The reader compares the names of both tags.
            Event::End(_) => open.pop()?,
            Event::Text(part) => {
                add_text(&mut open, &part)?;
                continue;
            }
            Event::CData(part) => {
                open.last_mut()?.text.push_str(&part);
                continue;
            }
            Event::GeneralRef(reference) => {
                let character = match reference.resolve_char_ref().ok()? {
                    Some(character) => character,
                    None => named_character(&reference)?,
                };
                open.last_mut()?.text.push(character);
                continue;
            }
            Event::Comment(_) | Event::Decl(_) | Event::PI(_) => continue,
            Event::DocType(_) => return None,
            Event::Eof => return root.filter(|_| open.is_empty()),
        };
        match (open.last_mut(), &root) {
            (Some(parent), _) => parent.children.push(closed),
            (None, None) => root = Some(closed),
            // A document has one root.
            (None, Some(_)) => return None,
        }
    }
}

/// Adds text to the innermost element; outside of the root there is only white space.
fn add_text(open: &mut [Element], part: &str) -> Option<()> {
    match open.last_mut() {
        Some(element) => element.text.push_str(part),
        None if part.trim_start_matches('\u{feff}').trim().is_empty() => {}
        None => return None,
    }
    Some(())
}

/// The five named characters of XML; other entities come with document types alone.
fn named_character(name: &str) -> Option<char> {
    match name {
        "lt" => Some('<'),
        "gt" => Some('>'),
        "amp" => Some('&'),
        "apos" => Some('\''),
        "quot" => Some('"'),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Element, Fault> {
        Element::parse(text.as_bytes())
    }

    #[test]
    fn elements_are_found_by_name_in_any_order_and_namespace() {
        for text in [
            "<r><b>2</b><a>1</a><list><item><id>x</id></item><item/></list></r>",
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<r xmlns=\"http://ec2.amazonaws.com/doc/2016-11-15/\">\n  <a>1</a>\n  \
             <new><deep>3</deep></new><list>\n<item><id> x </id></item>\n<item></item></list><b><!-- no -->2</b></r>\n",
            "<e:r xmlns:e=\"u\"><e:a x='y'><![CDATA[1]]></e:a><e:b>&#50;</e:b><e:list><e:item><e:id>&#x78;</e:id></e:item>\
             <e:item/></e:list></e:r>",
        ] {
            let root = parse(text).unwrap();
            assert_eq!((root.name(), root.demand("a"), root.demand("b")), ("r", Ok("1"), Ok("2")), "{text}");
            let rows = root.demand_rows("list").unwrap();
            assert_eq!((rows.len(), rows[0].demand("id")), (2, Ok("x")), "{text}");
            assert_eq!(root.text_of("c"), Ok(None));
            assert_eq!(root.rows("c"), Ok(None));
            assert_eq!(root.demand("c"), Err(Fault::Unintelligible));
            assert_eq!(root.demand_rows("c"), Err(Fault::Unintelligible));
        }
    }

    #[test]
    fn text_is_read_with_its_references() {
        let root =
            parse("<r><a>&lt;b&gt; &amp;amp; &quot;&apos;&#169; 镜像</a><empty/><blank> \n</blank></r>").unwrap();
        assert_eq!(root.demand("a"), Ok("<b> &amp; \"'© 镜像"));
        assert_eq!((root.text_of("empty"), root.text_of("blank")), (Ok(None), Ok(None)));
    }

    #[test]
    fn what_may_hide_something_is_unintelligible() {
        let root =
            parse("<r><a>1</a><a>2</a><list><item/><other/></list><texts>x<item/></texts><b><c/></b></r>").unwrap();
        assert_eq!(root.child("a"), Err(Fault::Unintelligible));
        assert_eq!(root.text_of("a"), Err(Fault::Unintelligible));
        assert_eq!(root.text_of("b"), Err(Fault::Unintelligible));
        assert_eq!(root.rows("list"), Err(Fault::Unintelligible));
        assert_eq!(root.rows("texts"), Err(Fault::Unintelligible));
        assert_eq!(root.rows("a"), Err(Fault::Unintelligible));
    }

    #[test]
    fn documents_that_are_broken_or_too_large_are_unintelligible() {
        let deep = |levels: usize| format!("{}{}", "<a>".repeat(levels), "</a>".repeat(levels));
        assert!(parse(&deep(DEPTH_MAX)).is_ok());
        let wide = |count: usize| format!("<a>{}</a>", "<b/>".repeat(count));
        assert!(parse(&wide(ELEMENTS_MAX - 1)).is_ok());
        for text in [
            "",
            " ",
            "text",
            "<a>",
            "<a></b>",
            "<a/><a/>",
            "<a/>x",
            "x<a/>",
            "</a>",
            "<a><b></a></b>",
            "<a>&unknown;</a>",
            "<a>&#xd800;</a>",
            "<a>&#0;</a>",
            "<a>&</a>",
            "<a",
            "<a x=\"",
            "<!DOCTYPE a><a/>",
            "<!DOCTYPE a [<!ENTITY x \"y\">]><a>&x;</a>",
            "<html><head><title>502 Bad Gateway</title></head><body><hr></body></html>",
            "{\"a\":1}",
            &deep(DEPTH_MAX + 1),
            &wide(ELEMENTS_MAX),
            &"<a>".repeat(50_000),
        ] {
            assert_eq!(parse(text), Err(Fault::Unintelligible), "{}", text.chars().take(80).collect::<String>());
        }
        assert_eq!(Element::parse(b"<a>\xff</a>"), Err(Fault::Unintelligible));
    }
}
