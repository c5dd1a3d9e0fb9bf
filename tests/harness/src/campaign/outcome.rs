//! What must be so in the end, told from the wishes alone and without a word of the operator's: who has which image, what
//! stands in Kubernetes and is ready, which copies there are.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::attempt::Attempt;
use super::clouds::{ACCOMPLICES, Cloud};
use super::mistakes::SECOND;
use super::plan::Plan;
use super::wish::{Kind, Object, Standing, Wish, flag, text};

/// What is so: the clouds' dump, and all objects of our kinds.
#[derive(Debug, Clone)]
pub(super) struct Sight {
    pub(super) clouds: Value,
    pub(super) objects: BTreeMap<Object, Value>,
}

/// Who may and must have an image.
#[derive(Debug, Clone, Default)]
struct Recipients {
    must: BTreeSet<String>,
    /// Who has it or not, depending on when the operator saw what.
    may: BTreeSet<String>,
    /// It is to be there.
    stands: bool,
    /// How many may have it.
    limit: Option<usize>,
}

impl Recipients {
    /// Whether there is certainly a place for each.
    fn have_room(&self) -> bool {
        self.limit.is_none_or(|limit| self.must.union(&self.may).count() <= limit)
    }
}

/// What must be so in the end.
#[derive(Debug, Clone)]
pub(super) struct Outcome {
    standing: Standing,
    images: BTreeMap<String, Recipients>,
}

impl Outcome {
    pub(super) fn of(plan: &Plan) -> Self {
        let standing = plan.standing();
        let mut images = BTreeMap::new();
        // One that is created by mistake for an image that has one already is not served.
        let served = standing.ever(Kind::CloudImage).filter(|(object, _)| !object.name.starts_with(SECOND));
        for (object, spec) in served {
            let recipients = recipients(&standing, plan, object, spec);
            images.insert(text(spec, "/imageID").to_owned(), recipients);
        }
        Self { standing, images }
    }

    /// What is not as it must be.
    pub(super) fn amiss(&self, sight: &Sight) -> Vec<String> {
        let mut amiss = Vec::new();
        self.judge_images(sight, &mut amiss);
        self.judge_objects(sight, &mut amiss);
        self.judge_copies(sight, &mut amiss);
        self.judge_answers(sight, &mut amiss);
        amiss
    }

    fn judge_images(&self, sight: &Sight, amiss: &mut Vec<String>) {
        let shared = shared(&sight.clouds);
        for (image, wanted) in &self.images {
            let Some(found) = shared.get(image) else {
                if wanted.stands {
                    amiss.push(format!("the image {image} is gone"));
                }
                continue;
            };
            let found: BTreeSet<String> = found.keys().cloned().collect();
            let lacking: Vec<&String> = wanted.must.difference(&found).collect();
            let excess: Vec<&String> =
                found.iter().filter(|id| !wanted.must.contains(*id) && !wanted.may.contains(*id)).collect();
            // Who waits for a place lacks it, and no place is free then.
            if !lacking.is_empty() && wanted.limit.is_none_or(|limit| found.len() < limit) {
                amiss.push(format!("{lacking:?} do not have {image} and should"));
            }
            if !excess.is_empty() {
                amiss.push(format!("{excess:?} have {image} and should not"));
            }
        }
    }

    fn judge_objects(&self, sight: &Sight, amiss: &mut Vec<String>) {
        for (object, spec) in &self.standing.objects {
            let Some(found) = sight.objects.get(object) else {
                amiss.push(format!("{} is gone", title(object)));
                continue;
            };
            if self.is_to_be_ready(object, spec) && (!is_ready(found) || is_stalled(found)) {
                amiss.push(format!("{} is not ready: {}", title(object), status(found)));
            }
        }
        let copied = |object: &Object| object.kind == Kind::CloudImage && object.name.starts_with("copy-");
        let ended = |object: &Object| self.standing.ended.contains(&object.namespace);
        let others = sight.objects.iter().filter(|(object, _)| !self.standing.objects.contains_key(object));
        let others =
            others.filter(|(object, _)| !self.standing.attempted.contains_key(object) && !self.is_held(object, sight));
        for (object, found) in others.filter(|(object, _)| !copied(object) || ended(object)) {
            amiss.push(format!("{} is still there: {}", title(object), status(found)));
        }
    }

    /// Whether an image that is to go stays, because shares with consent still name it: those of the plan, and those of
    /// tenants which the API server took.
    fn is_held(&self, object: &Object, sight: &Sight) -> bool {
        let mut deleted = self.standing.deleted.iter().rev();
        let Some((image, spec)) = deleted.find(|(deleted, _)| deleted == object) else { return false };
        let attempted = self.standing.attempted.keys().filter(|object| object.kind == Kind::ImageShare);
        let attempted = attempted.filter_map(|share| Some((share, sight.objects.get(share)?.get("spec")?)));
        let mut shares = self.standing.of(Kind::ImageShare).chain(attempted);
        image.kind == Kind::CloudImage
            && shares.any(|(share, share_spec)| names(share, share_spec, image) && consents(share, image, spec))
    }

    fn is_to_be_ready(&self, object: &Object, spec: &Value) -> bool {
        match object.kind {
            Kind::CloudAccount | Kind::ImageReplica => !flag(spec, "/suspend"),
            Kind::CloudImage => true,
            Kind::ImageShare => self.standing.image_of(object, spec).is_some_and(|(image, image_spec)| {
                let has_room = self.images.get(text(image_spec, "/imageID")).is_some_and(Recipients::have_room);
                has_room && self.standing.wishes(object, spec, image, image_spec)
            }),
            Kind::SharedImageAcceptance => self.is_offered(object, spec),
        }
    }

    /// Whether who is to answer certainly has the image, and trusts its owner.
    fn is_offered(&self, object: &Object, spec: &Value) -> bool {
        let image = self.images.get(text(spec, "/imageID"));
        let receiver = self.receiver(object, spec);
        let trusted = self.standing.of(Kind::CloudImage).any(|(image, image_spec)| {
            let account = self.standing.account_of(image, image_spec);
            let owner = account.map(|account| text(account, "/huawei/projects/0/projectID"));
            text(image_spec, "/imageID") == text(spec, "/imageID") && owner == Some(text(spec, "/owner"))
        });
        trusted && image.is_some_and(|image| image.have_room() && image.must.contains(receiver))
    }

    /// The project of an acceptance's account.
    fn receiver<'a>(&'a self, object: &Object, spec: &Value) -> &'a str {
        let account = Object::new(Kind::CloudAccount, &object.namespace, text(spec, "/accountRef/name"));
        self.standing.objects.get(&account).map(|spec| text(spec, "/huawei/projects/0/projectID")).unwrap_or_default()
    }

    fn judge_copies(&self, sight: &Sight, amiss: &mut Vec<String>) {
        let replicas = self.standing.of(Kind::ImageReplica).map(|(object, spec)| (object, spec, true));
        let deleted = self.standing.deleted.iter().filter(|(object, _)| object.kind == Kind::ImageReplica);
        for (object, spec, stands) in replicas.chain(deleted.map(|(object, spec)| (object, spec, false))) {
            let lists = ["/images", "/huawei/images"].map(|list| sight.clouds.pointer(list).and_then(Value::as_array));
            let made =
                lists.into_iter().flatten().flatten().filter(|image| text(image, "/name") == object.name).count();
            let most = usize::from(stands || text(spec, "/deletionPolicy") == "Retain");
            if made > most || (stands && made == 0) {
                amiss.push(format!("there are {made} copies of {}", title(object)));
            }
        }
    }

    fn judge_answers(&self, sight: &Sight, amiss: &mut Vec<String>) {
        let shared = shared(&sight.clouds);
        for (object, spec) in self.standing.of(Kind::SharedImageAcceptance) {
            if !self.is_offered(object, spec) {
                continue;
            }
            let wanted = if text(spec, "/decision") == "Accept" { "accepted" } else { "rejected" };
            let image = shared.get(text(spec, "/imageID"));
            let said = image.and_then(|image| image.get(self.receiver(object, spec)));
            if said.is_none_or(|said| said != wanted) {
                amiss.push(format!("{} is {said:?} at the cloud and not {wanted}", title(object)));
            }
        }
    }
}

impl Standing {
    /// Objects of a kind that stand or stood, each once with its last spec.
    fn ever(&self, kind: Kind) -> impl Iterator<Item = (&Object, &Value)> {
        let gone = self.deleted.iter().filter(|(object, _)| !self.objects.contains_key(object));
        let all = self.objects.iter().chain(gone.map(|(object, spec)| (object, spec)));
        all.filter(move |(object, _)| object.kind == kind)
    }

    /// The image that a share names, if it stands.
    pub(super) fn image_of(&self, share: &Object, spec: &Value) -> Option<(&Object, &Value)> {
        let image = Object::new(Kind::CloudImage, &namespace_of_image(share, spec), text(spec, "/imageRef/name"));
        self.objects.get_key_value(&image)
    }

    /// Whether a share of this image wants its recipients to have it.
    fn wishes(&self, share: &Object, spec: &Value, image: &Object, image_spec: &Value) -> bool {
        consents(share, image, image_spec)
            && !flag(spec, "/suspend")
            && !self.expired.contains(share)
            && !self.is_suspended(image, image_spec)
    }

    fn account_of(&self, image: &Object, spec: &Value) -> Option<&Value> {
        self.objects.get(&Object::new(Kind::CloudAccount, &image.namespace, text(spec, "/accountRef/name")))
    }

    fn is_suspended(&self, image: &Object, spec: &Value) -> bool {
        self.account_of(image, spec).is_some_and(|account| flag(account, "/suspend"))
    }

    fn limit_of(&self, image: &Object, spec: &Value) -> Option<usize> {
        let limit = self.account_of(image, spec)?.pointer("/limits/recipientsPerImage")?.as_u64()?;
        usize::try_from(limit).ok()
    }
}

fn namespace_of_image(share: &Object, spec: &Value) -> String {
    let named = text(spec, "/imageRef/namespace");
    if named.is_empty() { share.namespace.clone() } else { named.to_owned() }
}

fn names(share: &Object, spec: &Value, image: &Object) -> bool {
    text(spec, "/imageRef/name") == image.name && namespace_of_image(share, spec) == image.namespace
}

fn ids(spec: &Value) -> impl Iterator<Item = String> {
    let all = spec.pointer("/recipients").and_then(Value::as_array).into_iter().flatten();
    all.map(|recipient| text(recipient, "/id").to_owned())
}

fn recipients(standing: &Standing, plan: &Plan, image: &Object, spec: &Value) -> Recipients {
    let stands = standing.objects.contains_key(image);
    let mut wanted = Recipients { stands, limit: standing.limit_of(image, spec), ..Recipients::default() };
    let shares = || standing.of(Kind::ImageShare).filter(|(share, spec)| names(share, spec, image));
    for (share, share_spec) in shares() {
        if stands && standing.wishes(share, share_spec, image, spec) {
            wanted.must.extend(ids(share_spec));
        } else if flag(share_spec, "/suspend") || standing.is_suspended(image, spec) {
            // What it holds is what it had when that was seen.
            let past = standing.past.iter().filter(|(object, _)| object.kind == Kind::ImageShare);
            let past = past.filter(|(object, spec)| names(object, spec, image));
            wanted.may.extend(past.flat_map(|(_, spec)| ids(spec)).chain(ids(share_spec)));
        }
    }
    let image_spec = spec;
    let retained = standing.deleted.iter().filter(|(share, spec)| {
        let admitted = share.namespace == image.namespace || text(image_spec, "/shareableFrom/retain") == "Allow";
        share.kind == Kind::ImageShare
            && names(share, spec, image)
            && text(spec, "/deletionPolicy") == "Retain"
            && admitted
    });
    wanted.may.extend(retained.flat_map(|(_, spec)| ids(spec)));
    if !stands {
        // It stays for those who hold it, or is gone.
        let held = shares().filter(|(share, _)| consents(share, image, spec));
        wanted.may.extend(held.flat_map(|(_, spec)| ids(spec)));
    }
    // Where shares from elsewhere may retain, tenants retain whom they named while they had the consent.
    let past = standing.past.iter().filter(|(object, _)| object == image).map(|(_, spec)| spec);
    if past.chain([spec]).any(|spec| text(spec, "/shareableFrom/retain") == "Allow") {
        let attempts = plan.wishes().filter_map(|wish| match wish {
            Wish::Attempt(Attempt::Create { object, spec } | Attempt::Haste { object, spec, .. }) => {
                Some((object, spec))
            }
            _ => None,
        });
        let shares = attempts.filter(|(object, spec)| object.kind == Kind::ImageShare && names(object, spec, image));
        wanted.may.extend(shares.flat_map(|(_, spec)| ids(spec)));
    }
    if text(spec, "/shareableFrom/namespaces/from") == "All" {
        // Whom tenants with consent name is theirs.
        let seats = Cloud::ALL.into_iter().flat_map(Cloud::owners);
        let accomplices = seats.flat_map(|seat| (0..ACCOMPLICES).map(move |n| seat.accomplice(n).id()));
        wanted.may.extend(accomplices);
    }
    by_hand(standing, plan, (image, spec), &mut wanted);
    wanted
}

/// What was done behind the operator's back: whom somebody wished once may have been adopted meanwhile, and whom nobody
/// ever wished is left alone, unless the image's policy is to revoke.
fn by_hand(standing: &Standing, plan: &Plan, (image, spec): (&Object, &Value), wanted: &mut Recipients) {
    let all = standing.objects.iter().chain(standing.past.iter().map(|(object, spec)| (object, spec)));
    let shares = all.filter(|(object, spec)| object.kind == Kind::ImageShare && names(object, spec, image));
    let wished: BTreeSet<String> = shares.flat_map(|(_, spec)| ids(spec)).collect();
    let report = text(spec, "/unmanagedRecipients") != "Revoke";
    // That policy acts only while somebody wishes something.
    if !report && !wanted.must.is_empty() {
        return;
    }
    let mut strangers = BTreeSet::new();
    for change in plan.by_hand().filter(|change| change.image == text(spec, "/imageID")) {
        for id in &change.add {
            strangers.insert(id.clone());
        }
        for id in &change.remove {
            strangers.remove(id);
        }
    }
    for id in strangers {
        if report && !wished.contains(&id) {
            wanted.must.insert(id)
        } else {
            wanted.may.insert(id)
        };
    }
}

/// By image, who has it and what each said.
fn shared(clouds: &Value) -> BTreeMap<String, BTreeMap<String, String>> {
    let images = |list: &str| clouds.pointer(list).and_then(Value::as_array).cloned().unwrap_or_default();
    let list = |image: &Value, field: &str| image.get(field).and_then(Value::as_array).cloned().unwrap_or_default();
    let alibaba = images("/images").into_iter().map(|image| {
        let ids = list(&image, "sharedWith").into_iter().filter_map(|id| id.as_str().map(ToOwned::to_owned));
        (text(&image, "/id").to_owned(), ids.map(|id| (id, String::new())).collect())
    });
    let huawei = images("/huawei/images").into_iter().map(|image| {
        let members = list(&image, "members").into_iter();
        let said = members.map(|member| (text(&member, "/id").to_owned(), text(&member, "/status").to_owned()));
        (text(&image, "/id").to_owned(), said.collect())
    });
    alibaba.chain(huawei).collect()
}

/// `Ready=True` of the newest generation.
pub(super) fn is_ready(object: &Value) -> bool {
    is_true(object, "Ready", |condition| condition.get("observedGeneration") == object.pointer("/metadata/generation"))
}

/// `Stalled=True`, of whatever generation: whoever waits for an object gives it up.
fn is_stalled(object: &Value) -> bool {
    is_true(object, "Stalled", |_| true)
}

fn is_true(object: &Value, kind: &str, so: impl Fn(&Value) -> bool) -> bool {
    let conditions = object.pointer("/status/conditions").and_then(Value::as_array);
    conditions
        .into_iter()
        .flatten()
        .any(|condition| text(condition, "/type") == kind && text(condition, "/status") == "True" && so(condition))
}

fn status(object: &Value) -> String {
    object.get("status").map(ToString::to_string).unwrap_or_default()
}

fn title(object: &Object) -> String {
    format!("{} {}/{}", object.kind.name(), object.namespace, object.name)
}

fn consents(share: &Object, image: &Object, spec: &Value) -> bool {
    share.namespace == image.namespace || text(spec, "/shareableFrom/namespaces/from") == "All"
}
