//! How ids look at AWS, and its partitions: clouds of their own, each with its accounts, organizations and regions.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::identifiers::{InvalidIdentifier, PrincipalId};

/// A partition of AWS. Accounts, organizations, images and keys never cross partitions. An account id does not show its
/// partition; an ARN does. The isolated partitions are left out.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize, schemars::JsonSchema,
)]
pub enum Partition {
    /// The commercial partition.
    #[default]
    #[serde(rename = "aws")]
    Commercial,
    /// Mainland China.
    #[serde(rename = "aws-cn")]
    China,
    /// `GovCloud` (US).
    #[serde(rename = "aws-us-gov")]
    GovCloud,
    /// The European Sovereign Cloud.
    #[serde(rename = "aws-eusc")]
    Europe,
}

/// First parts of the regions of the commercial partition (the vendor's SDK, `partitions.json`).
const COMMERCIAL_AREAS: [&str; 9] = ["us", "eu", "ap", "sa", "ca", "me", "af", "il", "mx"];

impl Partition {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Commercial, Self::China, Self::GovCloud, Self::Europe];

    /// The id, as ARNs write it.
    pub fn id(self) -> &'static str {
        match self {
            Self::Commercial => "aws",
            Self::China => "aws-cn",
            Self::GovCloud => "aws-us-gov",
            Self::Europe => "aws-eusc",
        }
    }

    /// The region whose services an account is asked at if it names none: every account of the partition has it.
    pub fn home_region(self) -> &'static str {
        match self {
            Self::Commercial => "us-east-1",
            Self::China => "cn-northwest-1",
            Self::GovCloud => "us-gov-west-1",
            Self::Europe => "eusc-de-east-1",
        }
    }

    /// Whether a region is one of this partition, by the shape of its name: it holds for regions to come, too. The shapes of
    /// two partitions have no name in common.
    pub fn has_region(self, region: &str) -> bool {
        let parts: Vec<&str> = region.split('-').collect();
        let ends_well = |place: &str, number: &str| {
            is_made_of(place, |b| b.is_ascii_lowercase()) && is_made_of(number, |b| b.is_ascii_digit())
        };
        match (self, parts.as_slice()) {
            (Self::Commercial, [area, place, number]) => COMMERCIAL_AREAS.contains(area) && ends_well(place, number),
            (Self::China, ["cn", place, number])
            | (Self::GovCloud, ["us", "gov", place, number])
            | (Self::Europe, ["eusc", "de", place, number]) => ends_well(place, number),
            _ => false,
        }
    }
}

impl fmt::Display for Partition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.id())
    }
}

fn is_made_of(text: &str, fits: impl Fn(u8) -> bool) -> bool {
    !text.is_empty() && text.bytes().all(fits)
}

/// Parses an account id: 12 digits, leading zeros included.
pub(super) fn parse_account(text: &str) -> Result<PrincipalId, InvalidIdentifier> {
    if text.len() == 12 && is_made_of(text, |b| b.is_ascii_digit()) {
        PrincipalId::parse(text)
    } else {
        Err(InvalidIdentifier::new(text, "an AWS account id (12 digits)"))
    }
}

/// Parses the ARN of an organization or of an organizational unit (API reference of EC2 Image Builder,
/// `LaunchPermissionConfiguration`).
pub(super) fn parse_organization(text: &str) -> Result<PrincipalId, InvalidIdentifier> {
    if organization_partition(text).is_some() {
        PrincipalId::parse(text)
    } else {
        Err(InvalidIdentifier::new(
            text,
            "an organization's ARN, as arn:aws:organizations::<account id>:organization/o-... or \
             arn:aws:organizations::<account id>:ou/o-.../ou-...",
        ))
    }
}

/// The partition of an organization or organizational unit; `None` if the text is not its ARN.
pub(super) fn organization_partition(arn: &str) -> Option<Partition> {
    let mut parts = arn.strip_prefix("arn:")?.splitn(5, ':');
    let partition = parts.next()?;
    let partition = Partition::ALL.into_iter().find(|known| known.id() == partition)?;
    let (service, region, account, resource) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let parsed = (service, region) == ("organizations", "") && parse_account(account).is_ok();
    let mut path = resource.split('/');
    let names_it = match (path.next()?, path.next()?, path.next(), path.next()) {
        ("organization", organization, None, None) => is_organization(organization),
        ("ou", organization, Some(unit), None) => is_organization(organization) && is_unit(unit),
        _ => false,
    };
    (parsed && names_it).then_some(partition)
}

/// What of an organization's or unit's ARN tells it from others: the partition, and `organization/o-...` or `ou/o-.../ou-...`. Whether the vendor
/// returns an ARN with the account that it was given with, or with the management account, is not documented.
pub(super) fn organization_path(arn: &str) -> Option<(&str, &str)> {
    organization_partition(arn)?;
    Some((arn.split(':').nth(1)?, arn.rsplit(':').next()?))
}

fn is_id_part(text: &str, least: usize) -> bool {
    (least..=32).contains(&text.len()) && is_made_of(text, |b| b.is_ascii_lowercase() || b.is_ascii_digit())
}

fn is_organization(text: &str) -> bool {
    text.strip_prefix("o-").is_some_and(|rest| is_id_part(rest, 10))
}

fn is_unit(text: &str) -> bool {
    let parts = text.strip_prefix("ou-").and_then(|rest| rest.split_once('-'));
    parts.is_some_and(|(root, unit)| is_id_part(root, 4) && is_id_part(unit, 8))
}

/// Whether a text can be an image's name: 3 to 128 characters (API page of `RegisterImage`), no space at either end.
pub(super) fn is_image_name(text: &str) -> bool {
    let fits = |b: u8| b.is_ascii_alphanumeric() || b"()[] ./-'@_".contains(&b);
    (3..=128).contains(&text.len()) && text.trim() == text && is_made_of(text, fits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_region_belongs_to_one_partition_at_most() {
        for (region, partition) in [
            ("us-east-1", Some(Partition::Commercial)),
            ("ap-southeast-7", Some(Partition::Commercial)),
            ("mx-central-1", Some(Partition::Commercial)),
            ("il-central-1", Some(Partition::Commercial)),
            ("eu-west-12", Some(Partition::Commercial)),
            ("cn-north-1", Some(Partition::China)),
            ("cn-northwest-1", Some(Partition::China)),
            ("us-gov-west-1", Some(Partition::GovCloud)),
            ("us-gov-east-1", Some(Partition::GovCloud)),
            ("eusc-de-east-1", Some(Partition::Europe)),
            ("us-iso-east-1", None),
            ("us-isob-east-1", None),
            ("eu-isoe-west-1", None),
            ("us-east", None),
            ("us-east-", None),
            ("us--1", None),
            ("us-east-1a", None),
            ("us-east-1-1", None),
            ("us-gov-1", Some(Partition::Commercial)),
            ("US-EAST-1", None),
            ("xx-east-1", None),
            ("us-east-1.evil", None),
            ("us-east_x-1", None),
            ("", None),
        ] {
            let found: Vec<Partition> = Partition::ALL.into_iter().filter(|p| p.has_region(region)).collect();
            assert_eq!(found, partition.into_iter().collect::<Vec<_>>(), "{region}");
        }
        for partition in Partition::ALL {
            assert!(partition.has_region(partition.home_region()), "{partition}");
        }
    }

    #[test]
    fn accounts_are_twelve_digits_and_keep_leading_zeros() {
        assert_eq!(parse_account("012345678901").unwrap().as_str(), "012345678901");
        for bad in ["", "12345678901", "1234567890123", "12345678901a", "١٢٣٤٥٦", "123456789012 ", "-12345678901"]
        {
            assert!(parse_account(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn organizations_are_named_by_their_whole_arn() {
        for (arn, partition) in [
            ("arn:aws:organizations::111122223333:organization/o-abcdefghij", Partition::Commercial),
            ("arn:aws:organizations::111122223333:ou/o-abcdefghij/ou-abcd-12345678", Partition::Commercial),
            ("arn:aws-cn:organizations::111122223333:organization/o-abcdefghij", Partition::China),
            ("arn:aws-us-gov:organizations::111122223333:ou/o-abcdefghij/ou-abcd-12345678", Partition::GovCloud),
            ("arn:aws-eusc:organizations::111122223333:organization/o-abcdefghij", Partition::Europe),
        ] {
            assert_eq!(organization_partition(arn), Some(partition), "{arn}");
            assert_eq!(parse_organization(arn).unwrap().as_str(), arn);
        }
        for bad in [
            "",
            "o-abcdefghij",
            "111122223333",
            "arn:aws:organizations::111122223333:account/o-abcdefghij/123456789012",
            "arn:aws:organizations::111122223333:root/o-abcdefghij/r-abcd",
            "arn:aws:organizations::111122223333:organization/o-abc",
            "arn:aws:organizations::111122223333:organization/o-ABCDEFGHIJ",
            "arn:aws:organizations::111122223333:organization/o-abcdefghij/ou-abcd-12345678",
            "arn:aws:organizations::111122223333:ou/o-abcdefghij",
            "arn:aws:organizations::111122223333:ou/o-abcdefghij/ou-abcd",
            "arn:aws:organizations::111122223333:ou/o-abcdefghij/ou-abcd-12345678/x",
            "arn:aws:organizations::1111:organization/o-abcdefghij",
            "arn:aws:organizations:us-east-1:111122223333:organization/o-abcdefghij",
            "arn:aws:iam::111122223333:organization/o-abcdefghij",
            "arn:aws-iso:organizations::111122223333:organization/o-abcdefghij",
            "arn:gcp:organizations::111122223333:organization/o-abcdefghij",
        ] {
            assert!(parse_organization(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn image_names_are_ascii_of_3_to_128_characters() {
        for good in ["abc", "golden 1.2 (final) [x] /a-b'@_", &"n".repeat(128)] {
            assert!(is_image_name(good), "{good}");
        }
        for bad in ["", "ab", " abc", "abc ", "a:b", "a+b", "naïve", "镜像镜像", "a\nb", &"n".repeat(129)] {
            assert!(!is_image_name(bad), "{bad}");
        }
    }
}
