//! Copies as a simulator's journal tells of them, and the cloud of what is left of each.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use anyhow::Result;
use imageshare_harness::Simulator;
use serde_json::{Value, json};

/// What the journal told of copies so far: it is long, and asked often.
#[derive(Default)]
pub(crate) struct Book(Mutex<(u64, Vec<Value>)>);

impl Book {
    async fn read(&self, cloud: &Simulator) -> Result<Vec<Value>> {
        let known = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let since = known().0;
        let news = cloud.journal(since).await?;
        let mut known = known();
        // Somebody else may have read on meanwhile.
        for entry in news.into_iter().filter(|entry| entry["seq"].as_u64() > Some(known.0)).collect::<Vec<_>>() {
            known.0 = entry["seq"].as_u64().unwrap_or(known.0);
            if begins(&entry).is_some() {
                known.1.push(entry);
            }
        }
        Ok(known.1.clone())
    }
}

/// The copy that an entry says was begun.
fn begins(entry: &Value) -> Option<&Value> {
    let at_alibaba = Some(&entry["effect"]["copy"]).filter(|copy| copy["state"] == "began");
    let asked = entry["action"].as_str().is_some_and(|action| action.starts_with("CopyImage"));
    at_alibaba.or(Some(&entry["copy"]).filter(|copy| asked && copy.is_object()))
}

/// Copies that were begun of an image, and of those: their ids by name.
fn begun(journal: &[Value], image: &str) -> BTreeMap<String, Vec<String>> {
    let text = |value: &Value| value.as_str().unwrap_or("?").to_owned();
    let (mut family, mut found) = (vec![image.to_owned()], BTreeMap::<String, Vec<String>>::new());
    for copy in journal.iter().filter_map(begins) {
        if family.contains(&text(&copy["source"])) {
            family.push(text(&copy["image"]));
            found.entry(text(&copy["name"])).or_default().push(text(&copy["image"]));
        }
    }
    found
}

/// Copies of an image, and of those: by name, how many were begun, and of each that is there where it is, its state and
/// with how many it is shared.
pub(crate) async fn told(cloud: &Simulator, book: &Book, image: &str) -> Result<Value> {
    let mut all = serde_json::Map::new();
    for (name, copies) in begun(&book.read(cloud).await?, image) {
        let (count, mut left) = (copies.len(), Vec::new());
        for copy in copies {
            let at_alibaba = cloud.image(&copy).await?.map(|found| (found, "sharedWith"));
            let at_huawei = cloud.huawei_image(&copy).await?.map(|found| (found, "members"));
            let at_aws = cloud.aws_image(&copy).await?.filter(|found| found["state"] != "deregistered");
            let at_aws = at_aws.map(|found| (found, "sharedWith"));
            let Some((found, shared)) = at_alibaba.or(at_huawei).or(at_aws) else { continue };
            let state = found.get("status").unwrap_or(&found["state"]);
            left.push(json!([found["region"], state, found[shared].as_array().map_or(0, Vec::len)]));
        }
        all.insert(name, json!({"begun": count, "left": left}));
    }
    Ok(Value::Object(all))
}
