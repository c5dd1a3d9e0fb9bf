//! The parameters of an RPC-style request, from query and form body.

use crate::names::{AccountId, ImageId, RegionId};
use crate::rules::{self, Refusal};
use crate::wire::decode_pairs;

/// The parameters of one request.
#[derive(Debug, Clone, Default)]
pub(super) struct Params(Vec<(String, String)>);

impl Params {
    /// Query first, then the form body: of a repeated name the first counts.
    pub(super) fn new(query: &str, form: &str) -> Self {
        let mut pairs = decode_pairs(query);
        pairs.extend(decode_pairs(form));
        Self(pairs)
    }

    /// A parameter's value; an empty one counts as absent.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }

    fn required(&self, name: &str) -> Result<&str, Refusal> {
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

    /// The accounts of a list `name.1`, `name.2`, ... in the order of their numbers.
    pub(super) fn accounts(&self, name: &str) -> Vec<AccountId> {
        let numbered = |(key, value): &(String, String)| {
            let number: u32 = key.strip_prefix(name)?.strip_prefix('.')?.parse().ok()?;
            (!value.is_empty()).then(|| (number, AccountId::from(value.as_str())))
        };
        let mut accounts: Vec<_> = self.0.iter().filter_map(numbered).collect();
        accounts.sort_by_key(|(number, _)| *number);
        accounts.into_iter().map(|(_, account)| account).collect()
    }

    /// The first parameter given that is `name` or a member of the list `name.`.
    pub(super) fn given<'a>(&self, names: &[&'a str]) -> Option<&'a str> {
        let is =
            |key: &str, name: &str| key.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
        names.iter().copied().find(|name| self.0.iter().any(|(key, value)| is(key, name) && !value.is_empty()))
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
