//! The objects of a set of documents, and what is wrong with them before any cloud is asked: shape, identity, references,
//! consent.

use std::collections::BTreeMap;

use kube::{Resource, ResourceExt};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::documents::Document;
use super::schema::Schemas;
use crate::api::{CloudAccount, CloudImage, GROUP, ImageReplica, ImageShare, SharedImageAcceptance, VERSION};

/// Namespace and name.
pub(crate) type Key = (String, String);

/// An object, and where it is written.
#[derive(Debug, Clone)]
pub(crate) struct Placed<K> {
    pub(crate) object: K,
    pub(crate) document: Document,
}

/// An object that a cluster is asked about.
#[derive(Debug, Clone)]
pub(crate) struct Accepted {
    pub(crate) kind: String,
    /// Of a `Namespace`, the namespace is empty.
    pub(crate) key: Key,
    pub(crate) document: Document,
}

impl Accepted {
    /// The document as it is applied: in its namespace.
    pub(crate) fn to_apply(&self) -> Value {
        let mut value = self.document.value.clone();
        let metadata = value.get_mut("metadata").and_then(Value::as_object_mut);
        if let Some(metadata) = metadata.filter(|_| !self.key.0.is_empty()) {
            metadata.insert("namespace".to_owned(), self.key.0.clone().into());
        }
        value
    }

    /// A finding about a field of this object.
    pub(crate) fn finding(&self, field: &str, message: impl Into<String>) -> Finding {
        let object = if self.key.0.is_empty() {
            format!("{} {}", self.kind, self.key.1)
        } else {
            name_of(&self.kind, &self.key)
        };
        let field_name = Some(field.to_owned()).filter(|field| !field.is_empty());
        Finding { place: self.document.place(field), object: Some(object), field: field_name, message: message.into() }
    }
}

/// Something that would be refused, or that cannot be known from the set.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(crate) struct Finding {
    /// `file:line`.
    pub(crate) place: String,
    /// Kind, namespace and name; absent for text that is no object.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) object: Option<String>,
    /// The field; absent for the whole object.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) field: Option<String>,
    /// What is wrong, and what to do.
    pub(crate) message: String,
}

/// The objects of a set.
#[derive(Debug, Default)]
pub(crate) struct Set {
    pub(crate) accounts: BTreeMap<Key, Placed<CloudAccount>>,
    /// In the order of the documents: it stands for their age.
    pub(crate) images: Vec<Placed<CloudImage>>,
    pub(crate) shares: Vec<Placed<ImageShare>>,
    pub(crate) acceptances: Vec<Placed<SharedImageAcceptance>>,
    pub(crate) replicas: Vec<Placed<ImageReplica>>,
    /// Labels of the namespaces in the set.
    pub(crate) namespaces: BTreeMap<String, BTreeMap<String, String>>,
    /// Everything that is in one of the lists above, and the channels.
    pub(crate) accepted: Vec<Accepted>,
    pub(crate) refused: Vec<Finding>,
    /// Documents of other groups, which are nothing to do with sharing.
    pub(crate) others: usize,
}

impl<K: Resource<DynamicType = ()>> Placed<K> {
    /// A finding about a field of this object.
    pub(crate) fn finding(&self, field: &str, message: impl Into<String>) -> Finding {
        Finding {
            place: self.document.place(field),
            object: Some(name_of(&K::kind(&()), &self.key())),
            field: Some(field.to_owned()).filter(|field| !field.is_empty()),
            message: message.into(),
        }
    }

    /// Its namespace and name.
    pub(crate) fn key(&self) -> Key {
        (self.object.namespace().unwrap_or_default(), self.object.name_any())
    }
}

fn name_of(kind: &str, (namespace, name): &Key) -> String {
    format!("{kind} {namespace}/{name}")
}

impl Set {
    /// The objects of these documents. An object without a namespace is in `namespace`. What is refused is in no list.
    pub(crate) fn of(documents: Vec<Document>, namespace: &str) -> Self {
        let (mut set, schemas) = (Self::default(), Schemas::new());
        let mut seen: BTreeMap<(String, Key), String> = BTreeMap::new();
        for document in documents {
            let kind = document.text(&["kind"]).unwrap_or_default().to_owned();
            let version = document.text(&["apiVersion"]).unwrap_or_default();
            let group = version.split_once('/').map_or("", |(group, _)| group);
            if kind.is_empty() || version.is_empty() {
                let message = "is no Kubernetes object: apiVersion and kind are missing".to_owned();
                set.refused.push(Finding { place: document.place(""), object: None, field: None, message });
            } else if group == GROUP {
                set.take(&kind, document, namespace, &schemas, &mut seen);
            } else {
                if (version, kind.as_str()) == ("v1", "Namespace") {
                    set.note_namespace(&document);
                }
                set.others += 1;
            }
        }
        set
    }

    fn note_namespace(&mut self, document: &Document) {
        let labels = document.value.pointer("/metadata/labels").and_then(Value::as_object);
        let labels =
            labels.into_iter().flatten().filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())));
        if let Some(name) = document.text(&["metadata", "name"]) {
            self.namespaces.insert(name.to_owned(), labels.collect());
            let key = (String::new(), name.to_owned());
            self.accepted.push(Accepted { kind: "Namespace".to_owned(), key, document: document.clone() });
        }
    }

    fn take(
        &mut self,
        kind: &str,
        mut document: Document,
        namespace: &str,
        schemas: &Schemas,
        seen: &mut BTreeMap<(String, Key), String>,
    ) {
        let name = document.text(&["metadata", "name"]).unwrap_or_default().to_owned();
        let key = (document.text(&["metadata", "namespace"]).unwrap_or(namespace).to_owned(), name);
        let object = Some(name_of(kind, &key)).filter(|_| !key.1.is_empty());
        let mut wrong = Vec::new();
        let mut refuse = |field: &str, message: String| {
            let field_name = Some(field.to_owned()).filter(|field| !field.is_empty());
            wrong.push(Finding { place: document.place(field), object: object.clone(), field: field_name, message });
        };
        if document.text(&["apiVersion"]) != Some(&format!("{GROUP}/{VERSION}")) {
            refuse("apiVersion", format!("must be {GROUP}/{VERSION}"));
        } else if !schemas.kinds().any(|known| known == kind) {
            let known: Vec<&str> = schemas.kinds().collect();
            refuse("kind", format!("{GROUP} has no kind {kind:?}: it has {}", known.join(", ")));
        } else if kind == "SharedImage" {
            refuse(
                "kind",
                "the operator writes SharedImages: to answer an offer, write a SharedImageAcceptance".to_owned(),
            );
        }
        if key.1.is_empty() {
            refuse("metadata.name", "is missing, or no text".to_owned());
        }
        for violation in schemas.check(kind, &document.value) {
            refuse(&violation.path, violation.message);
        }
        if let Some(first) = seen.get(&(kind.to_owned(), key.clone())) {
            refuse("metadata.name", format!("is in the set twice: the other one is at {first}"));
        }
        if !wrong.is_empty() {
            self.refused.append(&mut wrong);
            return;
        }
        seen.insert((kind.to_owned(), key.clone()), document.place("metadata.name"));
        document.value = schemas.taken(kind, &document.value);
        let accepted = Accepted { kind: kind.to_owned(), key: key.clone(), document: document.clone() };
        match self.keep(kind, key, document) {
            Ok(()) => self.accepted.push(accepted),
            Err(finding) => self.refused.push(finding),
        }
    }

    fn keep(&mut self, kind: &str, key: Key, document: Document) -> Result<(), Finding> {
        match kind {
            "CloudAccount" => {
                let account = typed(&key, document)?;
                self.accounts.insert(key, account);
            }
            "CloudImage" => self.images.push(typed(&key, document)?),
            "ImageShare" => self.shares.push(typed(&key, document)?),
            "SharedImageAcceptance" => self.acceptances.push(typed(&key, document)?),
            "ImageReplica" => self.replicas.push(typed(&key, document)?),
            _ => {}
        }
        Ok(())
    }

    /// Whether an object of this name is in the set, and refused.
    pub(crate) fn refuses(&self, kind: &str, key: &Key) -> bool {
        let object = name_of(kind, key);
        self.refused.iter().any(|finding| finding.object.as_ref() == Some(&object))
    }

    /// The `CloudImage` of this name.
    pub(crate) fn image(&self, key: &Key) -> Option<&Placed<CloudImage>> {
        self.images.iter().find(|image| image.key() == *key)
    }

    /// The replica whose copy gets a `CloudImage` of this name.
    pub(crate) fn replica(&self, key: &Key) -> Option<&Placed<ImageReplica>> {
        self.replicas.iter().find(|replica| replica.key() == *key)
    }
}

/// The object as its type. Of its metadata only the name counts here.
fn typed<K: Resource<DynamicType = ()> + DeserializeOwned>(
    key: &Key,
    document: Document,
) -> Result<Placed<K>, Finding> {
    let mut value = document.value.clone();
    if let Some(fields) = value.as_object_mut() {
        fields.insert("metadata".to_owned(), serde_json::json!({"name": key.1, "namespace": key.0}));
    }
    match serde_path_to_error::deserialize(&value) {
        Ok(object) => Ok(Placed { object, document }),
        Err(error) => {
            let field = error.path().to_string();
            let message = error.into_inner().to_string();
            let object = Some(name_of(&K::kind(&()), key));
            Err(Finding { place: document.place(&field), object, field: Some(field), message })
        }
    }
}
