//! The operations: each turns an authenticated request into a step of the world and the vendor's answer.

use super::authentication::Caller;
use super::bodies::Wanted;
use super::query::Query;
use super::recipient::Recipient;
use super::route::Operation;
use super::world::{Asker, Making, Member, Order, Submission, World};
use super::{Cloud, answers, by_tags, catalog, iam, images, native, rules};
use crate::chassis::effect::Effect;
use crate::chassis::exchange::{Done, Fresh, JobFailure};
use crate::chassis::names::{AccountId, ImageId};
use crate::chassis::refusal::Refusal;
use jiff::Timestamp;
use serde_json::{Value, json};

/// One authenticated request on its way to the world.
pub(super) struct Call<'a> {
    pub(super) operation: &'a Operation,
    pub(super) caller: &'a Caller,
    pub(super) wanted: Option<Wanted>,
    pub(super) body: &'a [u8],
    pub(super) query: &'a Query,
    /// Where the client believes the cloud to be, for documents that hold addresses.
    pub(super) origin: String,
    pub(super) now: Timestamp,
    /// The instant whose members are listed; `now` but for injected lag.
    pub(super) members_as_of: Timestamp,
    pub(super) fresh: &'a Fresh,
    pub(super) job_failure: Option<JobFailure>,
    pub(super) slow_millis: u64,
}

impl Call<'_> {
    /// Takes the step.
    ///
    /// # Errors
    /// The vendor's refusal; then nothing changed.
    pub(super) fn perform(self, cloud: &mut Cloud) -> Result<Done, Refusal> {
        let (caller, world) = (self.caller, &cloud.world);
        if !self.operation.reads_query() {
            let identity = self.operation.is_identity();
            self.query.only(&[], if identity { rules::IAM_BAD_PARAMETER } else { rules::MALFORMED_BODY })?;
        }
        match self.operation {
            Operation::ShowVersion { version } => Ok(Done::ok(catalog::version(*version, &self.origin))),
            Operation::CreateToken => {
                self.query.only(&["nocatalog"], rules::IAM_BAD_PARAMETER)?;
                let token = &self.fresh.thing;
                let without_catalog = self.query.0.iter().any(|(name, _)| name == "nocatalog");
                let origin = Some(self.origin.as_str()).filter(|_| !without_catalog);
                let answer = iam::give_token(&mut cloud.access.sessions, world, caller, (token, origin), self.now);
                Ok(Done { status: 201, headers: vec![("x-subject-token", token.clone())], ..Done::ok(answer) })
            }
            Operation::CreateTemporaryKey => {
                let answer = cloud.access.give_key(world, caller, self.body, self.fresh, self.now)?;
                Ok(Done { status: 201, ..Done::ok(answer) })
            }
            Operation::ListProjects | Operation::ListAuthProjects => {
                iam::projects(world, caller, self.query).map(Done::ok)
            }
            Operation::ListDomains => Ok(Done::ok(iam::domains(world, caller))),
            Operation::ListRegions => Ok(Done::ok(iam::regions(world, caller))),
            _ => self.perform_ims(&mut cloud.world),
        }
    }

    fn perform_ims(self, world: &mut World) -> Result<Done, Refusal> {
        let asker = self.caller.asker()?;
        if self.operation.project().is_some_and(|project| *project != asker.project) {
            return Err(rules::PROJECT_MISMATCH.about("path"));
        }
        match self.operation {
            Operation::ListImages => {
                let page = images::list(world, &asker.project, self.query, rules::DEFAULT_PAGE)?;
                Ok(Done::ok(json!({"images": page.rows})))
            }
            Operation::NativeList => native::list(world, &asker.project, self.query).map(Done::ok),
            Operation::NativeShow { image } => native::show(world, &asker.project, image).map(Done::ok),
            Operation::ShowSchema { name } => catalog::schema(name).map(Done::ok),
            Operation::ShowImageQuota => Ok(Done::ok(quota(world, &asker.project))),
            Operation::ListTags { image, .. } => {
                let (image, _) = world.visible(&asker.project, image)?;
                Ok(Done::ok(answers::tags(&image.spec().tags)))
            }
            Operation::ListSystems => systems(self.query).map(Done::ok),
            Operation::ListByTags { .. } => by_tags::list(world, &asker.project, self.body).map(Done::ok),
            Operation::ListProjectTags { .. } => Ok(Done::ok(answers::all_tags(world, &asker.project))),
            Operation::ListImageMembers { image, .. } | Operation::ListMembers { image } => {
                self.list_members(world, &asker.project, image).map(Done::ok)
            }
            Operation::ShowImageMember { image, member, .. } | Operation::ShowMember { image, member } => {
                let seen = world.members_seen(&asker.project, image, self.members_as_of)?;
                let found = seen.into_iter().find(|one| one.recipient.is_named(member));
                let found = found.ok_or_else(|| rules::MEMBER_NOT_FOUND.about(member))?;
                Ok(Done::ok(answers::member_row(image, found)))
            }
            Operation::ShowJob { job, .. } => self.show_job(world, &asker.project, job, true),
            Operation::ShowJobProgress { job } => self.show_job(world, &asker.project, job, false),
            _ => self.change(world, &asker),
        }
    }

    fn show_job(&self, world: &World, project: &AccountId, id: &str, with_results: bool) -> Result<Done, Refusal> {
        let job = world.job(project, id).ok_or_else(|| rules::JOB_NOT_FOUND.about(id))?;
        Ok(Done::ok(answers::job(id, job, self.now, with_results)))
    }

    fn list_members(&self, world: &World, project: &AccountId, image: &ImageId) -> Result<Value, Refusal> {
        self.query.only(&["limit", "marker"], rules::MALFORMED_BODY)?;
        let limit = self.query.limit(rules::DEFAULT_PAGE)?;
        let members = world.members_seen(project, image, self.members_as_of)?;
        let after = match self.query.get("marker") {
            None => 0,
            Some(marker) => {
                let at = members.iter().position(|member| answers::marker(member) == marker);
                at.ok_or_else(|| rules::MALFORMED_BODY.about("marker"))? + 1
            }
        };
        let page: Vec<&&Member> = members.iter().skip(after).take(limit).collect();
        let more = members.len() > after + page.len();
        let next = page.last().filter(|_| more).map(|member| answers::marker(member));
        let rows: Vec<_> = page.into_iter().map(|member| answers::member_row(image, member)).collect();
        Ok(answers::member_page(&rows, next))
    }

    fn change(self, world: &mut World, asker: &Asker) -> Result<Done, Refusal> {
        let image = self.operation.image();
        match (self.wanted, image) {
            (Some(Wanted::Attributes(attributes)), Some(image)) => {
                let effect = world.update_image(&asker.project, image, &attributes, self.now)?;
                let (image, relation) = world.visible(&asker.project, image)?;
                Ok(Done { effect, ..Done::ok(answers::image_row(image, relation, false)) })
            }
            (Some(Wanted::Tags(change)), Some(image)) => {
                let effect = world.change_tags(&asker.project, image, &change, self.now)?;
                let absent = effect.updated.is_empty() && matches!(self.operation, Operation::DeleteTag { .. });
                if absent {
                    Err(rules::TAG_NOT_FOUND_UNCONFIRMED.refuse())
                } else {
                    Ok(Done { effect, ..Done::no_content() })
                }
            }
            (Some(Wanted::Members { order, project }), _) => {
                if project.is_some_and(|project| project != asker.project) {
                    let native = matches!(self.operation, Operation::UpdateMember { .. });
                    let rule = if native { rules::NOT_THE_MEMBER_UNCONFIRMED } else { rules::PROJECT_MISMATCH };
                    return Err(rule.about("an offer is answered by the project it was made to"));
                }
                let Self { operation, fresh, now, job_failure: failure, slow_millis, .. } = self;
                let submission = Submission { id: fresh.thing.clone(), failure, slow_millis };
                obey(world, asker, operation, order, submission, (fresh, now))
            }
            _ => Err(rules::EMPTY_BODY.refuse()),
        }
    }
}

/// Carries an order out, at once or by a job.
fn obey(
    world: &mut World,
    asker: &Asker,
    operation: &Operation,
    order: Order,
    submission: Submission,
    (fresh, now): (&Fresh, Timestamp),
) -> Result<Done, Refusal> {
    let id = submission.id.clone();
    match operation {
        Operation::DeleteImage { image } => {
            world.delete_image(asker, image, Submission { failure: None, ..submission }, now)?;
            Ok(Done::no_content())
        }
        Operation::AddMember { image } | Operation::UpdateMember { image, .. } => {
            change_one(world, &asker.project, image, &order, now)
        }
        Operation::DeleteMember { image, .. } => {
            let effect = apply_now(world, &asker.project, &order, now)?;
            if effect.removed.is_empty() {
                return Err(rules::MEMBER_NOT_FOUND.about(image.as_str()));
            }
            Ok(Done { effect, ..Done::no_content() })
        }
        _ => {
            let image = ImageId::from(fresh.image.as_str());
            let copy = match order {
                Order::Copy(order) => Some(world.submit_copy(asker, order, image, submission, now)?),
                Order::Make(making) => {
                    let making = Making { image: Some(image), ..making };
                    world.submit(asker, Order::Make(making), submission, now)?;
                    None
                }
                order => {
                    world.submit(asker, order, submission, now)?;
                    None
                }
            };
            Ok(Done { job: Some(id.clone()), copy, ..Done::ok(json!({ "job_id": id })) })
        }
    }
}

/// The calls on a single member take effect at once.
fn apply_now(world: &mut World, project: &AccountId, order: &Order, now: Timestamp) -> Result<Effect, Refusal> {
    let steps = world.plan(project, order)?;
    Ok(world.apply(&steps, now).pop().map(|(_, effect)| effect).unwrap_or_default())
}

fn change_one(
    world: &mut World,
    project: &AccountId,
    image: &ImageId,
    order: &Order,
    now: Timestamp,
) -> Result<Done, Refusal> {
    let effect = apply_now(world, project, order, now)?;
    let recipient = match order {
        Order::Add { recipients, .. } => recipients.first().cloned(),
        _ => Some(Recipient::project(project)),
    };
    let member = recipient.and_then(|recipient| world.image(image)?.member(&recipient).cloned());
    let member = member.ok_or_else(|| rules::MEMBER_NOT_FOUND.about(image.as_str()))?;
    Ok(Done { effect, ..Done::ok(answers::member_row(image, &member)) })
}

/// The vendor's sister cloud tells of more kinds; the vendor's own page of this one. How it tells of no limit is
/// unconfirmed.
fn quota(world: &World, project: &AccountId) -> Value {
    const MOST: u32 = 1_000_000;
    let quota = match world.rules().image_quota {
        0 => MOST,
        quota => quota,
    };
    let resource = json!({"type": "image", "used": world.owned_images(project), "quota": quota, "min": 0, "max": MOST});
    json!({"quotas": {"resources": [resource]}})
}

/// The systems an image may have, of those the one that all simulated images have. `ListOsVersions` page.
fn systems(query: &Query) -> Result<Value, Refusal> {
    query.only(&["tag"], rules::MALFORMED_BODY)?;
    let mut tags = query.beginning("tag").map(|(_, word)| word);
    if let Some(stranger) = tags.clone().find(|word| !["bms", "uefi", "arm", "x86"].contains(word)) {
        return Err(rules::MALFORMED_BODY.about(stranger));
    }
    let version = json!({
        "platform": answers::PLATFORM, "os_version": answers::SYSTEM, "os_version_key": answers::SYSTEM, "os_bit": 64,
        "os_type": "Linux",
    });
    let rows = if tags.all(|word| word == "x86") { vec![version] } else { Vec::new() };
    let platforms: Vec<_> =
        rows.into_iter().map(|row| json!({"platform": answers::PLATFORM, "version_list": [row]})).collect();
    Ok(Value::Array(platforms))
}
