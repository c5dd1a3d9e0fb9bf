//! # imageshare-operator
//!
//! Declarative sharing of cloud machine images, as Kubernetes objects. This page is the architecture: read it first.
//!
//! ## Bird's-eye view
//!
//! The operator reconciles the clouds with these objects, corrects drift, and reports the actual state in `status`:
//!
//! | kind | written by | meaning |
//! |---|---|---|
//! | [`CloudAccount`](api::CloudAccount) | platform engineer | one account at one cloud, and the Secret with its key |
//! | [`CloudImage`](api::CloudImage) | image owner | one image of that account; its status holds the ledger of grants |
//! | [`ImageShare`](api::ImageShare) | whoever wants to share | an image and its recipients; many may name one `CloudImage` |
//! | [`ImageChannel`](api::ImageChannel) | image owner | which own images make up a rotating line, and which one is the latest |
//! | [`ChannelShare`](api::ChannelShare) | whoever wants to share | a channel and its recipients; it makes one `ImageShare` a version |
//! | [`SharedImageAcceptance`](api::SharedImageAcceptance) | receiving side | the answer to one offered image |
//! | [`ImageReplica`](api::ImageReplica) | either side | a copy of an own or received image, also in another region |
//! | [`SharedImage`](api::SharedImage) | the operator | inventory: one image that others share with an account |
//!
//! For a finished copy, the operator creates a `CloudImage`, so that the copy can be shared like any other image.
//!
//! ```text
//! ImageShare.spec ──► CloudImage reconcile ──► cloud
//!       ▲                    │ ledger
//!       │                    ▼
//! ImageShare.status ◄── CloudImage.status
//! ```
//!
//! The unit of reconciliation is the image, because recipients, limits and deletion are properties of an image at the
//! cloud. A cloud does not record who granted what. The operator does: `CloudImage.status` is its ledger, and the only
//! record there is. The ledger survives restarts; the process may lose everything it holds in memory at any moment.
//!
//! ## The flow
//!
//! Each watch enqueues the object that changed, and `controllers/triggers.rs` the related ones: an edited `ImageShare` enqueues
//! its `CloudImage`, and a changed ledger enqueues the shares. One reconcile of one image takes five steps
//! (`controllers/cloud_image/sharing.rs`):
//!
//! 1. **Observe** the account, the shares, and the image at the cloud with all its recipients. Each is a fact, or the
//!    [`Problem`](planning::problem::Problem) that hides it.
//! 2. **Plan**: a pure function of desired recipients, ledger, observed state and time makes every choice.
//! 3. **Record** the intent in the ledger, list the shares afresh from the API server, and drop the steps that they no
//!    longer ask for.
//! 4. **Execute** the batched calls; this step decides nothing.
//! 5. Observe again, and **report** in one write: ledger and conditions. Events follow.
//!
//! Some clouds carry calls out by asynchronous jobs. Then the ledger holds the job and the reconcile ends. Later reconciles
//! poll the job, send nothing else before it has ended, and read the cloud to learn what the job did.
//!
//! The other controllers:
//!
//! - `ImageShare` never calls a cloud. It keeps the share's finalizer until the share has no grant left, and projects the
//!   ledger onto the share's recipients.
//! - `ImageChannel` lists the account's own images, decides the stage of each version ([`planning::channel`]), and makes the
//!   `CloudImage`s. `ChannelShare` makes one `ImageShare` for each version in service ([`planning::channel_share`]). Neither
//!   calls a sharing operation, and neither has owner references to what it makes: garbage collection must not end access.
//! - `CloudAccount` proves that the credentials belong to the account, and maintains the account's inventory.
//! - `SharedImageAcceptance` answers one offer in the same order: observe, plan, record the intended answer, answer, observe
//!   again, report.
//! - `ImageReplica` takes one copy from stage to stage, and records each stage before it asks the cloud for the next
//!   ([`planning::replica`]). Clouds copy by token or by job, or this process streams the content ([`clouds::copying`]).
//!
//! ## Code map
//!
//! | module | content |
//! |---|---|
//! | [`domain`] | the vocabulary: identifiers parsed at the boundary, images, provider rules, shares, calls, faults. Pure |
//! | [`api`] | the kinds, their schemas and validation rules, conditions and reasons |
//! | [`planning`] | every choice, as pure functions: `desired`, `sharing`, `batch`, `deletion`, `duplicates`, `replica`, … |
//! | [`clouds`] | the edge towards the clouds: one trait, transport, call budgets, `alibaba`, `huawei`, `openstack`, `aws` |
//! | [`cluster`] | the edge towards Kubernetes: watches, guarded reads, status, finalizers, events, Secrets, the lease |
//! | [`accounts`] | from a `CloudAccount` to a client: its Secret, the proof of its identity, its circuit |
//! | [`reconcile`] | what all reconciles share: the frame, caches as inputs, requeue, reporter, object state, access, leader |
//! | [`controllers`] | how controllers run (`run`, `startup`), watch mappers (`triggers`), `secrets`, and one folder a kind |
//! | `cli` | the kubectl plugin (feature `cli`): reads with the user's own rights, explains, answers offers, plans |
//! | [`telemetry`] | logs, metrics, health, traces; it depends on no other module |
//! | [`operator`] | the composition root: arguments, clients, caches, controllers, orderly shutdown |
//!
//! `main.rs` turns arguments into [`operator::run`], or writes the definitions of `crds/`; `bin/kubectl-imageshare.rs` runs
//! `cli`. `planted.rs` holds known bugs that score the tests; only the feature `planted` compiles them in. `tests/simulator`
//! is a cloud to try and test against, a crate that shares no code with this one. `tests/harness` starts real servers for the
//! tests, and holds the demo, the benchmark and the chaos run.
//!
//! ## Invariants
//!
//! These always hold. Each names the code that keeps it; a change of that code must keep the invariant.
//!
//! 1. **Ledger before call.** The operator writes every intent, to grant or to revoke, with the object's `resourceVersion`
//!    before it calls the cloud. Then it lists the shares afresh and drops the steps that they no longer ask for.
//!    `controllers/cloud_image/sharing.rs`, [`planning::sharing::Plan`], [`cluster::status`].
//! 2. **No wrongful revoke.** Revokes come from the ledger, less the recipients of active and paused shares and retained
//!    ones; never from "observed minus desired". An unreadable share is paused: recipients that its spec names keep access.
//!    [`planning::sharing`], [`planning::desired`], [`planning::unreadable`].
//! 3. **No leak.** A grant has ended only when a complete read shows it absent, long enough after the last call that may
//!    have added it; two reads, where the operator does not know that the removal was made. An incomplete list proves
//!    nothing. [`planning::sharing`], [`planning::ledger`], [`RecipientList`](domain::image::RecipientList),
//!    `clouds/alibaba/wire.rs`.
//! 4. **Image last.** A `CloudImage` loses its finalizer when no admitted share names it and its ledger is empty. With
//!    `deletionPolicy: Delete` the operator deletes the image only when nobody at all has it, never by force, and counts it
//!    as deleted after two absent reads. [`planning::deletion`].
//! 5. **Foreign grants are not ours.** The operator reports them and does not touch them; `unmanagedRecipients: Revoke` acts
//!    after a while, and only while a share is active. The operator adopts a desired recipient that already has the image.
//!    No policy touches a retained recipient. [`planning::sharing`].
//! 6. **Settled means silent.** Matching state causes no mutating call and no write: status holds no times, counters or
//!    request ids that change by themselves. `controllers/cloud_image/report.rs`, [`planning::projection`].
//! 7. **Quota slots.** A recipient that has a slot keeps it, also a foreign one. Free slots go by the share's age, its uid,
//!    and the index in its list; removals come before additions. The others wait, and their status shows the figure, counted
//!    as the vendor counts. `planning/sharing/slots.rs`, [`planning::batch`].
//! 8. **One way.** `domain`, `api` and `planning` are pure; `clouds` and `cluster` are edges that do not know each other;
//!    `accounts`, `reconcile`, `controllers` and `cli` alone see both. The simulator is another crate: shared code would cancel
//!    its own mistakes out. `tests/operator/tests/layering.rs` reads the sources.
//! 9. **Bounded and fair.** Every call has a deadline; pages, bodies, texts, lists and concurrency have bounds. A reconcile
//!    calls a cloud only with a seat of its account and region, and holds no worker while it waits for one: no account waits
//!    for another, and an edit does not wait for a thousand earlier ones. Calls pass a token bucket for each account and
//!    region; calls that end access get most tokens, but no priority takes all, and earlier reconciles finish first. After
//!    calls that hang, the operator pauses calls to that endpoint. [`planning::admission`], [`clouds::budget`],
//!    [`clouds::transport`], [`api::limits`], [`planning::schedule`].
//! 10. **Secrets.** The operator reads a Secret by name, in one read for the whole key, and never lists, watches or prints
//!     it. Keys go only to the vendor's hosts or to endpoints that the operator was started to allow; it follows no redirect.
//!     A refused key opens one circuit for its account. [`cluster::credentials`], [`clouds::endpoint_rule`],
//!     [`clouds::transport`], [`accounts::connections`].
//! 11. **Namespaces are walls, and a name is not a proof.** References stay in their namespace; only `imageRef` may leave it,
//!     with the image's consent. Of several objects for one image, only those count that observed it as their own through
//!     proven credentials; messages do not name those of other namespaces. [`reconcile::convert`], [`planning::duplicates`].
//! 12. **Ends can be reached.** A `CloudAccount` stays while images, acceptances or replicas refer to it. Credentials last
//!     known good may finish deletions for a while after their Secret was deleted. [`controllers::cloud_account`],
//!     [`accounts::connections`].
//! 13. **No panic reachable from input.** An unreadable object reports the field at fault, can be deleted, and blocks no
//!     other object; lints forbid `unwrap`, `expect` and indexing. [`cluster::guard`], `Cargo.toml`.
//! 14. **One copy.** An `ImageReplica` records each request before it makes it. The copy carries a mark by which the operator
//!     finds it again, so that there is never a second one; only two reads that find nothing prove that there is none. The
//!     operator removes an unwanted copy before it releases the object. [`planning::replica`],
//!     [`CopyMark`](clouds::CopyMark), `controllers/image_replica/copy.rs`.
//! 15. **One leader.** Of several processes one holds the lease. This leader stops before the lease can expire, and checks
//!     the fence as the last step before each request. The successor of a leader that left without notice revokes nothing,
//!     and trusts no absence, before that leader's calls are over. [`planning::lease`], [`clouds::fence`],
//!     [`reconcile::leader`].
//! 16. **A channel never empties.** A list of images that fails, is incomplete, or holds no match moves no version and ends no
//!     access; an image is gone when two complete lists lack it. `latest` goes back only by a pin, an exclusion, an edited
//!     `select`, or the end of its image. Deleting or suspending an `ImageChannel` changes no access. In mode Rotate, access to
//!     an old version ends after a grace that status told, by two complete lists that were asked for later, and only while each
//!     recipient that it works for has another version that works. Only `exclude` with `revoke: Now` waits for none of that.
//!     [`planning::channel`], [`planning::channel_share`].

#[macro_use]
pub mod planted;

pub mod accounts;
pub mod api;
#[cfg(feature = "cli")]
pub mod cli;
pub mod clouds;
pub mod cluster;
pub mod controllers;
pub mod domain;
pub mod operator;
pub mod planning;
pub mod reconcile;
pub mod telemetry;
