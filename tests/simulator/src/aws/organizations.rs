//! The organizations there are, and which accounts belong to which of their units.

use super::recipient::{Recipient, is_organization, is_unit};
use super::world_file::{Organization, Unit};
use crate::chassis::names::AccountId;

/// The organizations of a world.
#[derive(Debug, Clone, Default)]
pub(super) struct Organizations(Vec<Organization>);

impl Organizations {
    /// Those of a file.
    ///
    /// # Errors
    /// When ids are not of the vendor's form or repeat, a parent is not there, or an account is in two places.
    pub(super) fn load(organizations: Vec<Organization>) -> Result<Self, String> {
        let mut accounts = Vec::new();
        for organization in &organizations {
            check(organization)?;
            let direct = organization.accounts.iter();
            let in_units = organization.units.iter().flat_map(|unit| unit.accounts.iter());
            for account in direct.chain(in_units) {
                if accounts.contains(&account) {
                    return Err(format!("account {account} is in two places of organizations"));
                }
                accounts.push(account);
            }
        }
        let mut ids: Vec<_> = organizations.iter().map(|one| &one.id).collect();
        ids.sort_unstable();
        if ids.windows(2).any(|pair| pair.first() == pair.last()) {
            return Err("an organization is there twice".to_owned());
        }
        Ok(Self(organizations))
    }

    /// As in a file.
    pub(super) fn dump(&self) -> Vec<Organization> {
        self.0.clone()
    }

    /// Whether what a recipient is given reaches an account; everybody's does not count, which is no explicit permission.
    pub(super) fn reaches(&self, recipient: &Recipient, account: &AccountId) -> bool {
        match recipient.place() {
            None => recipient.id() == account,
            Some((id, unit)) => {
                let organization = self.0.iter().find(|one| one.id == id);
                organization.is_some_and(|one| unit.map_or_else(|| has(one, account), |unit| holds(one, unit, account)))
            }
        }
    }

    /// The management account of a recipient's organization.
    pub(super) fn management(&self, recipient: &Recipient) -> Option<&AccountId> {
        let (id, _) = recipient.place()?;
        self.0.iter().find(|one| one.id == id).map(|one| &one.management)
    }
}

fn check(organization: &Organization) -> Result<(), String> {
    if !is_organization(&organization.id) {
        return Err(format!("{} is no id of an organization", organization.id));
    }
    for unit in &organization.units {
        if !is_unit(&unit.id) {
            return Err(format!("{} is no id of an organizational unit", unit.id));
        }
        if organization.units.iter().filter(|other| other.id == unit.id).count() > 1 {
            return Err(format!("unit {} is there twice", unit.id));
        }
        if unit.parent.as_deref().is_some_and(|parent| find(organization, parent).is_none()) {
            return Err(format!("unit {}: its parent is not there", unit.id));
        }
    }
    Ok(())
}

fn find<'a>(organization: &'a Organization, unit: &str) -> Option<&'a Unit> {
    organization.units.iter().find(|one| one.id == unit)
}

fn has(organization: &Organization, account: &AccountId) -> bool {
    let in_units = organization.units.iter().any(|unit| unit.accounts.contains(account));
    organization.management == *account || organization.accounts.contains(account) || in_units
}

/// Whether an account is in a unit or below it. A circle of parents ends by the number of units.
fn holds(organization: &Organization, unit: &str, account: &AccountId) -> bool {
    let mut at = organization.units.iter().find(|one| one.accounts.contains(account));
    for _ in 0..=organization.units.len() {
        match at {
            None => return false,
            Some(one) if one.id == unit => return true,
            Some(one) => at = one.parent.as_deref().and_then(|parent| find(organization, parent)),
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    const TREE: &str = "
- id: o-abcdefghij
  management: '111111111111'
  accounts: ['222222222222']
  units:
    - {id: ou-abcd-00000001, accounts: ['333333333333']}
    - {id: ou-abcd-00000002, parent: ou-abcd-00000001, accounts: ['444444444444']}
    - {id: ou-abcd-00000003, accounts: ['555555555555']}
";

    fn load(text: &str) -> Result<Organizations, String> {
        Organizations::load(serde_yaml::from_str(text).unwrap())
    }

    #[test]
    fn a_unit_reaches_what_is_below_it_and_an_organization_all_of_its_accounts() {
        let tree = load(TREE).unwrap();
        let reached = |arn: &str| {
            let recipient = Recipient::parse(&format!("arn:aws:organizations::111111111111:{arn}")).unwrap();
            let is = |n: &u8| tree.reaches(&recipient, &AccountId::from(n.to_string().repeat(12).as_str()));
            (1..=6_u8).filter(is).collect::<Vec<_>>()
        };
        assert_eq!(reached("organization/o-abcdefghij"), [1, 2, 3, 4, 5]);
        assert_eq!(reached("ou/o-abcdefghij/ou-abcd-00000001"), [3, 4]);
        assert_eq!(reached("ou/o-abcdefghij/ou-abcd-00000002"), [4]);
        assert_eq!(reached("ou/o-abcdefghij/ou-abcd-00000009"), [0_u8; 0]);
        assert_eq!(reached("organization/o-otherother"), [0_u8; 0]);
        let everybody = Recipient::everybody();
        assert!(!tree.reaches(&everybody, &AccountId::from("222222222222")));
    }

    #[test]
    fn a_tree_that_contradicts_itself_is_refused() {
        for (from, to) in [
            ("o-abcdefghij", "o-abc"),
            ("ou-abcd-00000003", "ou-abcd-00000001"),
            ("ou-abcd-00000003", "ou-abcd-3"),
            ("parent: ou-abcd-00000001", "parent: ou-abcd-00000009"),
            ("'555555555555'", "'222222222222'"),
        ] {
            assert!(load(&TREE.replace(from, to)).is_err(), "{to}");
        }
        assert!(load(&format!("{TREE}{TREE}")).is_err());
        let circle = TREE.replace("{id: ou-abcd-00000001,", "{id: ou-abcd-00000001, parent: ou-abcd-00000002,");
        let recipient = Recipient::parse("arn:aws:organizations::1:ou/x/y");
        assert!(recipient.is_none());
        let unit = Recipient::parse("arn:aws:organizations::111111111111:ou/o-abcdefghij/ou-abcd-00000003").unwrap();
        assert!(!load(&circle).unwrap().reaches(&unit, &AccountId::from("444444444444")));
    }
}
