//! The credentials of an account's calls. This module never prints them.

use secrecy::SecretString;

use crate::clouds::signing::{InvalidCredentials, part, phrase};

/// Credentials that sign calls or request tokens. `Debug` never shows their parts.
#[derive(Debug, Clone)]
pub enum Credentials {
    /// An access key; a temporary one has a security token.
    AccessKey {
        /// AK.
        id: SecretString,
        /// SK.
        secret: SecretString,
        /// Security token.
        token: Option<SecretString>,
    },
    /// An IAM user of the domain, which requests tokens.
    Password {
        /// Name of the user.
        user: SecretString,
        /// The user's password.
        password: SecretString,
        /// Name of the user's domain.
        domain: SecretString,
    },
}

impl Credentials {
    /// Parses an access key. Trims white space around its parts, since secrets read from files often end in a line feed.
    pub fn access_key(id: &str, secret: &str, token: Option<&str>) -> Result<Self, InvalidCredentials> {
        Ok(Self::AccessKey {
            id: part("access key id", id, 128)?,
            secret: part("access key secret", secret, 256)?,
            token: token.map(|token| part("security token", token, 8192)).transpose()?,
        })
    }

    /// Parses a user's name, password and domain.
    pub fn password(user: &str, password: &str, domain: &str) -> Result<Self, InvalidCredentials> {
        let user = phrase("user name", user, 128)?;
        Ok(Self::Password {
            user,
            password: phrase("password", password, 256)?,
            domain: phrase("domain name", domain, 128)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    #[test]
    fn credentials_are_parsed_strictly_and_never_shown() {
        let key = Credentials::access_key(" AK-text\n", "sk-text\n", Some("token-text")).unwrap();
        let user = Credentials::password("user-text", "pass text", "domain-text").unwrap();
        let Credentials::AccessKey { id, .. } = &key else { panic!("no key") };
        assert_eq!(id.expose_secret(), "AK-text");
        let shown = format!("{key:?} {user:?}");
        for part in ["AK-text", "sk-text", "token-text", "user-text", "pass text", "domain-text"] {
            assert!(!shown.contains(part), "{shown}");
        }
        assert!(
            Credentials::access_key("ключ", "s", None).is_err() && Credentials::access_key("k", "ключ", None).is_err()
        );
        assert!(Credentials::password("müller", "pässwort", "домен").is_ok(), "people choose their own letters");
        for bad in ["", " ", "a\nb", &"x".repeat(9000)] {
            for fault in [
                Credentials::access_key(bad, "s", None).unwrap_err(),
                Credentials::access_key("k", bad, None).unwrap_err(),
                Credentials::access_key("k", "s", Some(bad)).unwrap_err(),
                Credentials::password(bad, "p", "d").unwrap_err(),
                Credentials::password("u", bad, "d").unwrap_err(),
                Credentials::password("u", "p", bad).unwrap_err(),
            ] {
                assert!(bad.trim().is_empty() || !fault.to_string().contains(bad));
            }
        }
    }
}
