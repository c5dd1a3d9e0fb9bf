//! What a walk needs of a cloud: places to walk in, and the cloud's own word on who has an image.

use std::collections::BTreeMap;

use anyhow::Result;
use async_trait::async_trait;
use imageshare_harness::proxy::Rule;
use serde_json::{Value, json};

/// More than there are plans on one stage.
pub const PLANS: u32 = 120;

/// Recipients of a place, beside its owner.
pub const RECIPIENTS: u32 = 4;

/// Who has an image, and what each answered in lower case; empty where none was asked for.
pub type Members = BTreeMap<String, String>;

/// Somebody at a cloud.
pub struct Tenant {
    /// As whom it owns and receives images.
    pub id: String,
    /// As whom it receives those of [`World::elsewhere`].
    pub id_elsewhere: String,
    /// Its `CloudAccount`'s spec, without the credentials.
    pub account: Value,
    /// What its Secret holds.
    pub secret: Value,
}

/// One plan's own part of a cloud.
pub struct Place {
    pub image: String,
    /// The owner and its recipients.
    pub tenants: Vec<Tenant>,
}

/// What truly happened, as the auditor judges it.
pub struct Testimony {
    pub journal: Vec<Value>,
    pub owners: Value,
}

/// A cloud of a stage's own.
#[async_trait]
pub trait World: Send + Sync {
    /// Where the calls go that the proxy carries, `http://HOST:PORT`.
    fn address(&self) -> String;
    /// What the operator may call besides the proxy.
    fn besides(&self) -> Vec<String> {
        Vec::new()
    }
    fn region(&self) -> &'static str;
    /// The type of recipients.
    fn kind(&self) -> &'static str;
    /// What a recipient is said to have answered that was not heard yet; empty where none is asked for.
    fn unheard(&self) -> &'static str;
    /// A place with an image of its owner; calls are to go to `door`.
    async fn open(&self, number: u32, door: &str) -> Result<Place>;
    /// Who has the image; `None` when it is gone.
    async fn members(&self, place: &Place) -> Result<Option<Members>>;
    /// Where copies to another region go.
    fn elsewhere(&self) -> &'static str {
        self.region()
    }
    /// Fields of a copy's destination that only this cloud asks for, where it is another region.
    fn across(&self) -> Value {
        json!({})
    }
    /// Copies of this image that are begun from now on are under way for as long as it takes to end them.
    async fn slow_copies(&self, _: &Place) -> Result<()> {
        Ok(())
    }
    /// What keeps copies of this image under way at the proxy, where the cloud cannot.
    fn halt_of_copies(&self, _: &Place) -> Option<Rule> {
        None
    }
    /// The copies made of the image, and of those: by name, how many were begun and what is there of them.
    async fn copies(&self, place: &Place) -> Result<Value>;
    /// What is there of a copy that was made, in this region, and shared with so many.
    fn made(&self, region: &str, shared: usize) -> Value;
    /// What is told of a copy that was begun and of which nothing is left; nothing where the cloud forgets it.
    fn made_and_gone(&self) -> Option<Value> {
        Some(json!({"begun": 1, "left": []}))
    }
    /// Whether many plans may stand side by side. Else each is prepared when its turn comes, and leaves after its end.
    fn is_roomy(&self) -> bool {
        true
    }
    /// What happened since the beginning, where the cloud keeps a journal.
    async fn testimony(&self) -> Result<Option<Testimony>>;
}
