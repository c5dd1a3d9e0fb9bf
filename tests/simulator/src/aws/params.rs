//! The parameters of a request: a form by POST, or a query by GET.

use super::rules::{self, bad_value, missing};
use crate::chassis::names::ImageId;
use crate::chassis::pairs::Pairs;
use crate::chassis::refusal::Refusal;
use crate::chassis::wire::Wire;
use std::collections::BTreeMap;

/// What every request may carry.
const COMMON: [&str; 2] = ["Action", "Version"];

/// The parameters of one request.
#[derive(Debug, Clone, Default)]
pub(super) struct Params(Pairs);

impl Params {
    /// Those of a request.
    pub(super) fn of(wire: &Wire) -> Self {
        Self(Pairs::of(wire))
    }

    /// Query first, then the form: of a repeated name the first counts.
    #[cfg(test)]
    pub(super) fn new(query: &str, form: &str) -> Self {
        Self(Pairs::new(query, form))
    }

    /// A parameter's value; an empty one counts as absent.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name)
    }

    /// A parameter's value, where one is needed.
    pub(super) fn required(&self, name: &str) -> Result<&str, Refusal> {
        self.get(name).ok_or_else(|| missing(name))
    }

    /// The image, where one is needed.
    pub(super) fn image(&self) -> Result<ImageId, Refusal> {
        self.required("ImageId").map(ImageId::from)
    }

    /// The snapshot, where one is needed.
    pub(super) fn snapshot(&self) -> Result<ImageId, Refusal> {
        self.required("SnapshotId").map(ImageId::from)
    }

    /// A truth value; false where it is absent.
    pub(super) fn flag(&self, name: &str) -> Result<bool, Refusal> {
        self.maybe(name).map(Option::unwrap_or_default)
    }

    /// A truth value.
    pub(super) fn maybe(&self, name: &str) -> Result<Option<bool>, Refusal> {
        match self.get(name) {
            None => Ok(None),
            Some("true") => Ok(Some(true)),
            Some("false") => Ok(Some(false)),
            Some(value) => Err(bad_value(name, value)),
        }
    }

    /// A number.
    pub(super) fn number(&self, name: &str) -> Result<Option<usize>, Refusal> {
        let Some(value) = self.get(name) else { return Ok(None) };
        value.parse().map(Some).map_err(|_| bad_value(name, value))
    }

    /// The values of a list `name.1`, `name.2`, ... in the order of their numbers.
    pub(super) fn list(&self, name: &str) -> Vec<&str> {
        self.0.list(name)
    }

    /// The ids of a list, each once.
    pub(super) fn ids(&self, name: &str) -> Vec<ImageId> {
        let mut ids = Vec::new();
        for id in self.list(name).into_iter().map(ImageId::from) {
            if !ids.contains(&id) {
                ids.push(id);
            }
        }
        ids
    }

    /// The rows `name.1.…`, `name.2.…` in the order of their numbers, each with its own parameters.
    pub(super) fn rows(&self, name: &str) -> Vec<Self> {
        let mut rows: BTreeMap<u32, Self> = BTreeMap::new();
        for (number, field, value) in self.0.fields(name) {
            rows.entry(number).or_default().0.push(field, value);
        }
        rows.into_values().collect()
    }

    /// Names and values.
    pub(super) fn pairs(&self) -> &[(String, String)] {
        self.0.all()
    }

    /// The tags of rows `name.N.Key` and `name.N.Value`; a key given twice is none.
    pub(super) fn tags(&self, name: &str) -> Result<BTreeMap<String, String>, Refusal> {
        let mut tags = BTreeMap::new();
        for row in self.rows(name) {
            let key = row.required("Key")?;
            if key.starts_with("aws:") {
                return Err(rules::INVALID_VALUE.saying(rules::TAG_RESERVED.to_owned()));
            }
            if tags.insert(key.to_owned(), row.get("Value").unwrap_or_default().to_owned()).is_some() {
                return Err(bad_value("Tag.Key", key));
            }
        }
        if tags.len() > rules::MAX_TAGS { Err(rules::TOO_MANY_TAGS.refuse()) } else { Ok(tags) }
    }

    /// Refuses parameters other than these, members of lists included: none may be ignored without a word.
    pub(super) fn only(&self, known: &[&str]) -> Result<(), Refusal> {
        let stranger = self.0.stranger(&COMMON, known);
        let refusal = |key: &str| rules::UNKNOWN_PARAMETER.saying(format!("The parameter {key} is not recognized"));
        stranger.map_or(Ok(()), |key| Err(refusal(key)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_and_rows_are_in_the_order_of_their_numbers() {
        let params = Params::new("", "ImageId.10=c&ImageId.2=b&ImageId.1=a&ImageId.x=d&ImageIds.1=e&ImageId.3=a");
        assert_eq!(params.list("ImageId"), ["a", "b", "a", "c"]);
        assert_eq!(params.ids("ImageId"), ["a", "b", "c"].map(ImageId::from));
        let params = Params::new("", "Filter.2.Name=n&Filter.1.Value.2=y&Filter.1.Value.1=x&Filter.1.Name=m");
        let rows: Vec<_> = params
            .rows("Filter")
            .iter()
            .map(|row| (row.get("Name").unwrap().to_owned(), row.list("Value").join(",")))
            .collect();
        assert_eq!(rows, [("m".to_owned(), "x,y".to_owned()), ("n".to_owned(), String::new())]);
    }

    #[test]
    fn a_parameter_that_nobody_reads_is_refused() {
        let params = Params::new("", "Action=A&Version=V&ImageId.1=a&Extra=");
        assert!(params.only(&["ImageId"]).is_ok());
        let refusal = params.only(&["Image"]).unwrap_err();
        assert_eq!(refusal.message, "The parameter ImageId.1 is not recognized");
    }

    #[test]
    fn flags_numbers_and_tags_are_read_strictly() {
        let params = Params::new("", "A=true&B=True&C=7&D=-1&Tag.1.Key=k&Tag.1.Value=v&Tag.2.Key=w&Bad.1.Key=aws:x");
        assert_eq!((params.flag("A"), params.flag("none"), params.flag("B").is_err()), (Ok(true), Ok(false), true));
        assert_eq!((params.number("C"), params.number("D").is_err()), (Ok(Some(7)), true));
        let tags = [("k".to_owned(), "v".to_owned()), ("w".to_owned(), String::new())];
        assert_eq!(params.tags("Tag"), Ok(tags.into()));
        assert!(params.tags("Bad").is_err());
    }
}
