//! The parameters of an RPC-style request, from query and form body.

use super::rules;
use crate::chassis::names::{AccountId, ImageId, RegionId};
use crate::chassis::pairs::Pairs;
use crate::chassis::refusal::Refusal;
use crate::chassis::wire::Wire;
use std::collections::BTreeMap;

/// What every request may carry: how it is signed and answered, and whose resources it means, which SDKs send empty or as
/// the caller's own.
const COMMON: [&str; 16] = [
    "Action",
    "Version",
    "Format",
    "AccessKeyId",
    "SecurityToken",
    "Signature",
    "SignatureMethod",
    "SignatureType",
    "SignatureVersion",
    "SignatureNonce",
    "Timestamp",
    "RegionId",
    "OwnerId",
    "OwnerAccount",
    "ResourceOwnerId",
    "ResourceOwnerAccount",
];

/// The parameters of one request.
#[derive(Debug, Clone, Default)]
pub(super) struct Params(Pairs);

impl Params {
    /// Those of a request.
    pub(super) fn of(wire: &Wire) -> Self {
        Self(Pairs::of(wire))
    }

    /// All of them, empty ones as well.
    pub(super) fn pairs(&self) -> &[(String, String)] {
        self.0.all()
    }

    /// Query first, then the form body: of a repeated name the first counts.
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
        self.get(name).ok_or_else(|| rules::MISSING_PARAMETER.about(name))
    }

    /// The region, which every ECS operation needs.
    pub(super) fn region(&self) -> Result<RegionId, Refusal> {
        self.required("RegionId").map(RegionId::from)
    }

    /// The image, where one is needed.
    pub(super) fn image(&self) -> Result<ImageId, Refusal> {
        self.required("ImageId").map(ImageId::from)
    }

    /// A truth value, in any case: official SDKs write `True`, the documentation `true`.
    pub(super) fn flag(&self, name: &str) -> Result<Option<bool>, Refusal> {
        let Some(value) = self.get(name) else { return Ok(None) };
        match value.to_ascii_lowercase().as_str() {
            "true" => Ok(Some(true)),
            "false" => Ok(Some(false)),
            _ => Err(rules::INVALID_PARAMETER.about(name)),
        }
    }

    /// Page number and size, checked.
    pub(super) fn page(&self) -> Result<(u32, u32), Refusal> {
        let number = self.number("PageNumber", 1, u32::MAX)?;
        let size = self.number("PageSize", rules::DEFAULT_PAGE_SIZE, rules::MAX_PAGE_SIZE)?;
        Ok((number, size))
    }

    fn number(&self, name: &str, default: u32, max: u32) -> Result<u32, Refusal> {
        let Some(value) = self.get(name) else { return Ok(default) };
        let number = value.parse().ok().filter(|number| (1..=max).contains(number));
        number.ok_or_else(|| rules::INVALID_PARAMETER.about(name))
    }

    /// The values of a list `name.1`, `name.2`, ... in the order of their numbers; empty ones count as absent.
    pub(super) fn list(&self, name: &str) -> Vec<&str> {
        self.0.list(name)
    }

    /// The accounts of a list.
    pub(super) fn accounts(&self, name: &str) -> Vec<AccountId> {
        self.list(name).into_iter().map(AccountId::from).collect()
    }

    /// The rows `name.1.Key`, `name.1.Value`, ... in the order of their numbers; a value may be absent.
    pub(super) fn rows(&self, name: &str) -> Vec<(String, Option<String>)> {
        let mut rows: BTreeMap<u32, (String, Option<String>)> = BTreeMap::new();
        for (number, field, value) in self.0.fields(name) {
            let row = rows.entry(number).or_default();
            match field.to_ascii_lowercase().as_str() {
                "key" => value.clone_into(&mut row.0),
                "value" => row.1 = Some(value.to_owned()),
                _ => {}
            }
        }
        rows.into_values().filter(|(key, _)| !key.is_empty()).collect()
    }

    /// The tags of a request, each key once.
    pub(super) fn tags(&self) -> Result<BTreeMap<String, String>, Refusal> {
        let rows = self.rows("Tag");
        let count = rows.len();
        let tags: BTreeMap<_, _> = rows.into_iter().map(|(key, value)| (key, value.unwrap_or_default())).collect();
        if tags.len() == count { Ok(tags) } else { Err(rules::TAG_TWICE.refuse()) }
    }

    /// Refuses parameters other than these, members of lists included: none may be ignored without a word.
    pub(super) fn only(&self, known: &[&str]) -> Result<(), Refusal> {
        let stranger = self.0.stranger(&COMMON, known);
        stranger.map_or(Ok(()), |key| Err(rules::UNSUPPORTED_PARAMETER.about(key)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_in_the_order_of_their_numbers() {
        let params = Params::new("AddAccount.10=10&AddAccount.2=2&AddAccount.x=9&AddAccounts.1=8", "AddAccount.1=1");
        assert_eq!(params.accounts("AddAccount"), ["1", "2", "10"].map(AccountId::from));
    }

    #[test]
    fn pages_past_the_maximum_are_refused() {
        assert_eq!(Params::new("", "").page().unwrap(), (1, 10));
        assert_eq!(Params::new("PageNumber=3&PageSize=100", "").page().unwrap(), (3, 100));
        for bad in ["PageSize=101", "PageSize=0", "PageNumber=0", "PageNumber=-1", "PageSize=x"] {
            assert_eq!(Params::new(bad, "").page().unwrap_err().code, "InvalidParameter", "{bad}");
        }
    }
}
