//! The operations: each turns an authenticated request into a step of the world and the vendor's answer.

use super::authentication::{Access, Caller};
use super::bodies::Wanted;
use super::images::{self, Query};
use super::recipient::Recipient;
use super::route::Operation;
use super::world::{Asker, JobFailure, Member, Order, Submission, World};
use super::{answers, iam, rules};
use crate::journal::Replica;
use crate::names::{AccountId, ImageId};
use crate::rules::Refusal;
use crate::world::Effect;
use jiff::Timestamp;
use serde_json::{Value, json};

/// What an operation came to.
#[derive(Debug, Default)]
pub(super) struct Done {
    /// HTTP status.
    pub(super) status: u16,
    /// Body; null for none.
    pub(super) answer: Value,
    /// A token given out.
    pub(super) token: Option<String>,
    /// The job started.
    pub(super) job: Option<String>,
    /// What changed at once, in which image.
    pub(super) effect: Effect,
    /// The copy that was begun.
    pub(super) copy: Option<Replica>,
}

impl Done {
    fn ok(answer: Value) -> Self {
        Self { status: 200, answer, ..Self::default() }
    }

    fn no_content() -> Self {
        Self { status: 204, ..Self::default() }
    }
}

/// One authenticated request on its way to the world.
pub(super) struct Call<'a> {
    pub(super) operation: &'a Operation,
    pub(super) caller: &'a Caller,
    pub(super) wanted: Option<Wanted>,
    pub(super) query: &'a Query,
    pub(super) now: Timestamp,
    /// The instant whose members are listed; `now` but for the weather.
    pub(super) members_as_of: Timestamp,
    /// An id or token not used before.
    pub(super) fresh: &'a str,
    /// An image id not used before.
    pub(super) fresh_image: &'a str,
    pub(super) doom: Option<JobFailure>,
    pub(super) slow_millis: u64,
}

impl Call<'_> {
    /// Takes the step.
    ///
    /// # Errors
    /// The vendor's refusal; then nothing changed.
    pub(super) fn perform(self, world: &mut World, access: &mut Access) -> Result<Done, Refusal> {
        let caller = self.caller;
        match self.operation {
            Operation::CreateToken => {
                let answer = iam::give_token(&mut access.sessions, world, caller, self.fresh, self.now);
                Ok(Done { status: 201, answer, token: Some(self.fresh.to_owned()), ..Done::default() })
            }
            Operation::ListProjects => {
                self.query.only(&["name"])?;
                Ok(Done::ok(iam::projects(world, caller, self.query.get("name"))))
            }
            Operation::ListDomains => Ok(Done::ok(iam::domains(world, caller))),
            Operation::ListRegions => Ok(Done::ok(iam::regions(world, caller))),
            _ => self.perform_ims(world),
        }
    }

    fn perform_ims(self, world: &mut World) -> Result<Done, Refusal> {
        let asker = self.caller.asker()?;
        if self.operation.project().is_some_and(|project| *project != asker.project) {
            return Err(rules::PROJECT_MISMATCH.about("path"));
        }
        match self.operation {
            Operation::ListImages => images::list(world, &asker.project, self.query).map(Done::ok),
            Operation::ShowImageQuota => Ok(Done::ok(quota(world, &asker.project))),
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
        self.query.only(&["limit", "marker"])?;
        let limit = self.query.limit()?;
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
        let Wanted { order, project } = self.wanted.ok_or_else(|| rules::EMPTY_BODY.refuse())?;
        if project.is_some_and(|project| project != asker.project) {
            return Err(rules::PROJECT_MISMATCH.about("an offer is answered by the project it was made to"));
        }
        let id = self.fresh.to_owned();
        let submission = Submission { id: id.clone(), doom: self.doom, slow_millis: self.slow_millis };
        match self.operation {
            Operation::DeleteImage { image } => {
                world.delete_image(asker, image, Submission { doom: None, ..submission }, self.now)?;
                Ok(Done::no_content())
            }
            Operation::AddMember { image } | Operation::UpdateMember { image, .. } => {
                change_one(world, &asker.project, image, &order, self.now)
            }
            Operation::DeleteMember { image, .. } => {
                let effect = apply_now(world, &asker.project, &order, self.now)?;
                if effect.removed.is_empty() {
                    return Err(rules::MEMBER_NOT_FOUND.about(image.as_str()));
                }
                Ok(Done { effect, ..Done::no_content() })
            }
            _ => {
                let copy = if let Order::Copy(order) = order {
                    Some(world.submit_copy(asker, order, ImageId::from(self.fresh_image), submission, self.now)?)
                } else {
                    world.submit(asker, order, submission, self.now)?;
                    None
                };
                Ok(Done { job: Some(id.clone()), copy, ..Done::ok(json!({ "job_id": id })) })
            }
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
