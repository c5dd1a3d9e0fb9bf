//! What each provider allows: limits, kinds of recipients, sites and their regions. Every figure names its source and can
//! be overridden on the `CloudAccount`, since vendors raise limits by ticket and open regions.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::identifiers::{InvalidIdentifier, PartyId, Recipient, RecipientKind, RegionId};

/// The clouds this operator speaks to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Provider {
    /// Alibaba Cloud ECS.
    Alibaba,
}

impl fmt::Display for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Alibaba => "Alibaba Cloud",
        })
    }
}

/// A vendor's site: who sells the account. Sharing crosses sites only in regions both have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema)]
pub enum Site {
    /// The Chinese Mainland site.
    China,
    /// The International site.
    International,
}

impl fmt::Display for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::China => "China",
            Self::International => "International",
        })
    }
}

/// The numbers and kinds a provider allows where the account says nothing else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    /// Recipients one image may have; 0 means no limit.
    pub recipients_per_image: u32,
    /// Recipients a full-server image may have; 0 means no limit.
    pub recipients_per_full_server_image: u32,
    /// Images one account may receive; 0 means no limit. Only the cloud can count it for others' accounts.
    pub received_images: u32,
    /// Kinds of recipients the provider knows.
    pub recipient_kinds: &'static [RecipientKind],
}

/// Alibaba ECS: 50 accounts per image (API page of `ModifyImageSharePermission`), 30 received images per account
/// (product page; the figure is unconfirmed and therefore configurable), recipients are account UIDs only.
const ALIBABA: Rules = Rules {
    recipients_per_image: 50,
    recipients_per_full_server_image: 50,
    received_images: 30,
    recipient_kinds: &[RecipientKind::Account],
};

/// Regions sold only on the China site (Alibaba finance and government clouds; the vendor publishes no list per site, so
/// every other region is taken to be on both).
const ALIBABA_CHINA_ONLY: [&str; 6] = [
    "cn-hangzhou-finance",
    "cn-shanghai-finance-1",
    "cn-shenzhen-finance-1",
    "cn-shenzhen-finance",
    "cn-beijing-finance-1",
    "cn-north-2-gov-1",
];

impl Provider {
    /// The provider's published rules.
    pub fn rules(self) -> Rules {
        match self {
            Self::Alibaba => ALIBABA,
        }
    }

    /// Whether a region is sold on a site, by the built-in table.
    pub fn site_has_region(self, site: Site, region: &RegionId) -> bool {
        match (self, site) {
            (Self::Alibaba, Site::China) => true,
            (Self::Alibaba, Site::International) => !ALIBABA_CHINA_ONLY.contains(&region.as_str()),
        }
    }

    /// Parses an account's own id as this provider writes it.
    ///
    /// Alibaba: decimal UID of 5 to 20 digits without a leading zero (samples have 12 to 16; the vendor gives no grammar).
    pub fn parse_account(self, text: &str) -> Result<PartyId, InvalidIdentifier> {
        match self {
            Self::Alibaba => {
                let digits = (5..=20).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
                if digits && !text.starts_with('0') {
                    PartyId::parse(text)
                } else {
                    Err(InvalidIdentifier::new(text, "an Alibaba Cloud account UID (5 to 20 digits, no leading zero)"))
                }
            }
        }
    }

    /// Parses a recipient as this provider writes it. The kind must be one of `rules().recipient_kinds`.
    pub fn parse_recipient(self, kind: RecipientKind, id: &str) -> Result<Recipient, InvalidIdentifier> {
        Ok(Recipient { kind, id: self.parse_account(id)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alibaba_accounts_are_digits_without_a_leading_zero() {
        for bad in
            ["", "1234", "0123456789", "12345a", "١٢٣٤٥٦", "123456789012345678901", "0a1b2c3d4e5f60718293a4b5c6d7e8f9"]
        {
            assert!(Provider::Alibaba.parse_account(bad).is_err(), "{bad}");
        }
        assert!(Provider::Alibaba.parse_account("1000000000000001").is_ok());
    }

    #[test]
    fn finance_regions_are_sold_on_the_china_site_only() {
        let finance = RegionId::parse("cn-hangzhou-finance").unwrap();
        assert!(Provider::Alibaba.site_has_region(Site::China, &finance));
        assert!(!Provider::Alibaba.site_has_region(Site::International, &finance));
        let public = RegionId::parse("cn-hangzhou").unwrap();
        assert!(Provider::Alibaba.site_has_region(Site::International, &public));
    }
}
