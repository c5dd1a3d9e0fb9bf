//! The credentials that request tokens, and their form in a request. Sends nothing.

use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};

use crate::clouds::signing::{InvalidCredentials, part, phrase};
use crate::domain::identifiers::PrincipalId;

/// The credentials that request tokens. `Debug` never shows their parts.
#[derive(Debug, Clone)]
pub enum Credentials {
    /// An application credential: it includes its project.
    Application {
        /// Its id.
        id: SecretString,
        /// Its secret.
        secret: SecretString,
    },
    /// A user that requests a token of the project.
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
    /// Parses an application credential.
    pub fn application(id: &str, secret: &str) -> Result<Self, InvalidCredentials> {
        let id = part("application credential id", id, 128)?;
        Ok(Self::Application { id, secret: part("application credential secret", secret, 512)? })
    }

    /// Parses a user's name, password and domain.
    pub fn password(user: &str, password: &str, domain: &str) -> Result<Self, InvalidCredentials> {
        let user = phrase("user name", user, 255)?;
        Ok(Self::Password {
            user,
            password: phrase("password", password, 512)?,
            domain: phrase("domain name", domain, 64)?,
        })
    }
}

impl Credentials {
    /// Builds the body that requests a token of the project. It is secret. For an application credential it names no
    /// project: the credential has one, and Keystone refuses a scope beside it.
    pub(super) fn question(&self, project: &PrincipalId) -> Value {
        match self {
            Self::Application { id, secret } => json!({"auth": {"identity": {
                "methods": ["application_credential"],
                "application_credential": {"id": id.expose_secret(), "secret": secret.expose_secret()},
            }}}),
            Self::Password { user, password, domain } => json!({"auth": {
                "identity": {"methods": ["password"], "password": {"user": {
                    "name": user.expose_secret(),
                    "domain": {"name": domain.expose_secret()},
                    "password": password.expose_secret(),
                }}},
                "scope": {"project": {"id": project}},
            }}),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_that_are_missing_too_long_or_unprintable_are_refused_without_showing_them() {
        for (id, secret) in [("", "s3cr3t"), (" ", "s3cr3t"), ("id", ""), ("id", "s3cr3t\nx"), ("id", "s3cr3t\u{e9}")] {
            let refused = Credentials::application(id, secret).unwrap_err();
            assert!(!refused.to_string().contains("s3cr3t"), "{refused}");
        }
        assert!(Credentials::application(&"i".repeat(129), "s").is_err());
        assert!(Credentials::password("user", "pass word", "Default").is_ok());
        assert!(Credentials::password("müller", "pässwort-ß", "Default").is_ok());
        for (user, password, domain) in [("", "p", "d"), ("u", "", "d"), ("u", "p", ""), ("u", "p", &"d".repeat(65))] {
            assert!(Credentials::password(user, password, domain).is_err(), "{user} {password} {domain}");
        }
    }

    #[test]
    fn secrets_stay_out_of_debug() {
        let shown = format!(
            "{:?} {:?}",
            Credentials::application("id-text", "s3cr3t").unwrap(),
            Credentials::password("user-text", "s3cr3t", "domain-text").unwrap()
        );
        for text in ["id-text", "s3cr3t", "user-text", "domain-text"] {
            assert!(!shown.contains(text), "{shown}");
        }
    }

    #[test]
    fn an_application_credential_names_no_project_and_a_password_does() {
        let project = PrincipalId::parse("0a1b").unwrap();
        let question = Credentials::application(" id\n", "secret").unwrap().question(&project);
        let wanted = json!({"auth": {"identity": {"methods": ["application_credential"],
            "application_credential": {"id": "id", "secret": "secret"}}}});
        assert_eq!(question, wanted);
        let question = Credentials::password("u", "p", "Default").unwrap().question(&project);
        let user = json!({"name": "u", "domain": {"name": "Default"}, "password": "p"});
        let wanted = json!({"auth": {"identity": {"methods": ["password"], "password": {"user": user}},
            "scope": {"project": {"id": "0a1b"}}}});
        assert_eq!(question, wanted);
    }
}
