//! When a share's access ends by itself. The API server accepts dates that no [`Timestamp`] holds; one that is stored all
//! the same is kept as text, so that it stops its own share and nothing else.

use std::borrow::Cow;

use jiff::Timestamp;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use super::patterns::TIME;

/// A point in time as written, and the same as read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "serde_json::Value", into = "String")]
pub enum Expiration {
    /// It reads.
    At(Timestamp),
    /// It is not a time that this operator can represent.
    Odd(String),
}

impl Expiration {
    /// The time, if it reads.
    pub fn at(&self) -> Option<Timestamp> {
        match self {
            Self::At(time) => Some(*time),
            Self::Odd(_) => None,
        }
    }

    /// What was written, if it does not read.
    pub fn odd(&self) -> Option<&str> {
        match self {
            Self::At(_) => None,
            Self::Odd(text) => Some(text),
        }
    }
}

impl From<serde_json::Value> for Expiration {
    fn from(written: serde_json::Value) -> Self {
        let text = written.as_str().map_or_else(|| written.to_string(), ToOwned::to_owned);
        text.parse().map_or(Self::Odd(text), Self::At)
    }
}

impl From<Expiration> for String {
    fn from(expiration: Expiration) -> Self {
        match expiration {
            Expiration::At(time) => time.to_string(),
            Expiration::Odd(text) => text,
        }
    }
}

impl JsonSchema for Expiration {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Expiration".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "format": "date-time", "maxLength": 64, "pattern": TIME})
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{from_value, json, to_value};

    use super::*;

    #[test]
    fn a_time_reads_with_any_offset_and_what_no_timestamp_holds_is_kept_as_written() {
        for (written, read) in [
            (json!("2027-01-31T00:00:00Z"), "2027-01-31T00:00:00Z"),
            (json!("2027-01-31T02:00:00.5+02:00"), "2027-01-31T00:00:00.5Z"),
        ] {
            let expiration: Expiration = from_value(written).unwrap();
            assert_eq!(expiration.at(), Some(read.parse().unwrap()));
        }
        for odd in ["9999-12-31T23:59:59Z", "2027-01-31T00:00:00+99:00", "2027-01-31T00:00:00ZTrash", "never", ""] {
            let expiration: Expiration = from_value(json!(odd)).unwrap();
            assert_eq!((expiration.at(), expiration.odd()), (None, Some(odd)));
            assert_eq!(to_value(expiration).unwrap(), odd, "written as it was read");
        }
        assert_eq!(from_value::<Expiration>(json!(7)).unwrap().odd(), Some("7"));
    }
}
