//! The world file: what a world is made of, as written in YAML or JSON. Unknown fields are errors.

use crate::alibaba::{Account, ImageSpec, Rules};
use crate::aws::AwsFile;
use crate::chassis::names::RegionId;
use crate::chassis::throttling::CallLimit;
use crate::huawei::HuaweiFile;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// A whole world.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct WorldFile {
    /// Where the clock stands, fixed until moved; absent for real time.
    #[serde(default)]
    pub clock: Option<Timestamp>,
    /// The rules that differ from the vendor's defaults.
    #[serde(default)]
    pub rules: Rules,
    /// The regions there are.
    pub regions: Vec<RegionId>,
    /// The accounts there are.
    pub accounts: Vec<Account>,
    /// The images there are.
    #[serde(default)]
    pub images: Vec<ImageSpec>,
    /// How many calls of an API an account has in a minute. Default as many as it makes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub limits: Vec<CallLimit>,
    /// Huawei Cloud's part; what is above is Alibaba Cloud's. Default none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub huawei: Option<HuaweiFile>,
    /// Amazon Web Services' part. Default none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aws: Option<AwsFile>,
}

impl WorldFile {
    /// Reads a world from YAML or JSON text.
    ///
    /// # Errors
    /// When it is not one; the text says where.
    pub fn parse(text: &str) -> Result<Self, String> {
        serde_yaml::from_str(text).map_err(|error| format!("not a world file: {error}"))
    }
}
