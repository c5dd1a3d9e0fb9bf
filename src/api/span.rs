//! A length of time in an object, as Kubernetes writes one: `24h`, `1h30m`.

use std::borrow::Cow;

use jiff::SignedDuration;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use super::patterns::SPAN;

/// A length of time, as written.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Span(pub String);

impl Span {
    /// The length; zero for a text that the schema does not admit.
    pub fn length(&self) -> SignedDuration {
        self.0.parse().ok().filter(|length: &SignedDuration| length.is_positive()).unwrap_or_default()
    }
}

impl JsonSchema for Span {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Span".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "minLength": 2, "maxLength": 15, "pattern": SPAN})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_read_as_kubernetes_writes_them_and_nothing_else_delays_anything() {
        for (text, hours, minutes) in [("24h", 24, 0), ("1h30m", 1, 30), ("9999h", 9999, 0), ("90m", 0, 90)] {
            let wanted = SignedDuration::from_hours(hours) + SignedDuration::from_mins(minutes);
            assert_eq!(Span(text.to_owned()).length(), wanted, "{text}");
        }
        assert_eq!(Span("0h0m10s".to_owned()).length(), SignedDuration::from_secs(10));
        for text in ["", "-1h", "soon", "h"] {
            assert_eq!(Span(text.to_owned()).length(), SignedDuration::ZERO, "{text}");
        }
    }
}
