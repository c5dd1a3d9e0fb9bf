//! Wishes: what people ask of Kubernetes, as data, and what stands of them after each.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::attempt::Attempt;
use super::clouds::Seat;

/// A kind of object that wishes are about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    CloudAccount,
    CloudImage,
    ImageShare,
    SharedImageAcceptance,
    ImageReplica,
}

impl Kind {
    pub(super) const ALL: [Self; 5] =
        [Self::CloudAccount, Self::CloudImage, Self::ImageShare, Self::SharedImageAcceptance, Self::ImageReplica];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::CloudAccount => "CloudAccount",
            Self::CloudImage => "CloudImage",
            Self::ImageShare => "ImageShare",
            Self::SharedImageAcceptance => "SharedImageAcceptance",
            Self::ImageReplica => "ImageReplica",
        }
    }

    pub(super) fn plural(self) -> String {
        format!("{}s", self.name().to_lowercase())
    }
}

/// Which object.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Object {
    pub(super) kind: Kind,
    pub(super) namespace: String,
    pub(super) name: String,
}

impl Object {
    pub(super) fn new(kind: Kind, namespace: &str, name: &str) -> Self {
        Self { kind, namespace: namespace.to_owned(), name: name.to_owned() }
    }
}

/// What somebody asks for.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Wish {
    /// A namespace, with the Secrets of these seats, each by its first key.
    Namespace { name: String, seats: Vec<Seat> },
    /// The end of a namespace and of all that is in it.
    EndNamespace { name: String },
    /// An object that is not there. The endpoint of an account is added when it is made.
    Create { object: Object, spec: Value },
    /// Other fields of an object that is there.
    Edit { object: Object, change: Value },
    /// That an object is looked at now.
    Look { object: Object },
    /// The end of a share a while from now, by itself.
    Expire { object: Object, millis: u64 },
    /// The end of an object.
    Delete { object: Object },
    /// Another key of an account, in the Secret of this namespace; the old one is withdrawn so many milliseconds later, or
    /// before.
    Rotate { namespace: String, seat: Seat, to: usize, overlap: Option<u64> },
    /// What may be refused.
    Attempt(Attempt),
}

/// Everything that stands, and what once stood.
#[derive(Debug, Clone, Default)]
pub(super) struct Standing {
    /// What is wished, by object.
    pub(super) objects: BTreeMap<Object, Value>,
    /// What was wished once: earlier specs of what stands, and all specs of what was deleted.
    pub(super) past: Vec<(Object, Value)>,
    /// The last specs of what was deleted.
    pub(super) deleted: Vec<(Object, Value)>,
    /// Namespaces that were ended.
    pub(super) ended: BTreeSet<String>,
    /// Shares that end, or have ended, by themselves.
    pub(super) expired: BTreeSet<Object>,
    /// What tenants who mean harm created and did not delete: it may be there, in whatever state.
    pub(super) attempted: BTreeMap<Object, Value>,
}

impl Standing {
    /// After all of these.
    pub(super) fn after<'a>(wishes: impl IntoIterator<Item = &'a Wish>) -> Self {
        let mut standing = Self::default();
        wishes.into_iter().for_each(|wish| standing.apply(wish));
        standing
    }

    pub(super) fn apply(&mut self, wish: &Wish) {
        match wish {
            Wish::Create { object, spec } => {
                self.expired.remove(object);
                self.objects.insert(object.clone(), spec.clone());
            }
            Wish::Edit { object, change } => {
                if let Some(spec) = self.objects.get_mut(object) {
                    self.past.push((object.clone(), spec.clone()));
                    merge(spec, change);
                }
            }
            Wish::Expire { object, .. } => drop(self.expired.insert(object.clone())),
            Wish::Delete { object } => self.delete(object),
            Wish::EndNamespace { name } => {
                self.ended.insert(name.clone());
                self.attempted.retain(|object, _| object.namespace != *name);
                let inside: Vec<Object> = self.objects.keys().filter(|o| o.namespace == *name).cloned().collect();
                for object in &inside {
                    self.delete(object);
                }
            }
            Wish::Attempt(Attempt::Create { object, spec }) => {
                self.attempted.insert(object.clone(), spec.clone());
            }
            Wish::Attempt(Attempt::Delete { object }) => drop(self.attempted.remove(object)),
            Wish::Namespace { .. } | Wish::Look { .. } | Wish::Rotate { .. } | Wish::Attempt(_) => {}
        }
    }

    fn delete(&mut self, object: &Object) {
        if let Some(spec) = self.objects.remove(object) {
            self.past.push((object.clone(), spec.clone()));
            self.deleted.push((object.clone(), spec));
        }
    }

    /// What stands of one kind.
    pub(super) fn of(&self, kind: Kind) -> impl Iterator<Item = (&Object, &Value)> {
        self.objects.iter().filter(move |(object, _)| object.kind == kind)
    }
}

/// Merges as the API server does: null removes.
fn merge(spec: &mut Value, change: &Value) {
    let (Some(spec), Some(change)) = (spec.as_object_mut(), change.as_object()) else {
        spec.clone_from(change);
        return;
    };
    for (field, value) in change {
        if value.is_null() {
            spec.remove(field);
        } else if value.is_object() {
            merge(spec.entry(field).or_insert_with(|| Value::Object(serde_json::Map::new())), value);
        } else {
            spec.insert(field.clone(), value.clone());
        }
    }
}

/// A text inside JSON by pointer; empty where there is none.
pub(super) fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// Whether a field is true.
pub(super) fn flag(value: &Value, pointer: &str) -> bool {
    value.pointer(pointer).and_then(Value::as_bool).unwrap_or_default()
}
