//! # imageshare-operator
//!
//! Sharing cloud machine images, declared in Kubernetes. This page is the architecture: what a newcomer reads first.
//!
//! ## Bird's-eye view
//!
//! A person writes a [`CloudAccount`](api::CloudAccount) (one account at one cloud, and the Secret with its key), a
//! [`CloudImage`](api::CloudImage) (one image of it) and any number of [`ImageShare`](api::ImageShare)s (who may use the
//! image). On the other side, a [`SharedImageAcceptance`](api::SharedImageAcceptance) says what to answer to an offered
//! image. The operator makes the clouds agree, keeps them so, and says in status what is true; it also lists what others
//! share with an account, one [`SharedImage`](api::SharedImage) each. An [`ImageReplica`](api::ImageReplica) copies an
//! image, own or received, into an own one, also to another region; a `CloudImage` stands for the copy.
//!
//! ```text
//! ImageShare.spec ──► CloudImage reconcile ──► cloud
//!       ▲                    │ ledger
//!       │                    ▼
//! ImageShare.status ◄── CloudImage.status
//! ```
//!
//! The unit of reconciliation is the image, because recipients, limits and deletion are properties of an image at the
//! cloud. A cloud keeps no mark of who granted what, so the operator keeps a ledger, in `CloudImage.status`: it is the
//! only memory there is. Whatever is in this process's memory may be lost at any moment.
//!
//! ## The flow
//!
//! One pass over one image, in `controllers/cloud_image/pass.rs`:
//!
//! 1. **observe** the account, the shares and the image at the cloud with everybody it is shared with; each is a fact, or
//!    the trouble that hides it;
//! 2. **plan**: a pure function of wishes, ledger, sight and time makes every choice;
//! 3. write the intent into the ledger, then list the shares afresh from the API server, and drop what they no longer ask
//!    for;
//! 4. **execute** the batched calls; decide nothing;
//! 5. observe again, and **report** in one write: ledger, conditions, and then events.
//!
//! Where a cloud carries calls out by jobs, the ledger holds the job: the pass ends, later ones ask for it, nothing else is
//! sent before it ended, and only a read proves what it did.
//!
//! The `ImageShare` controller never talks to a cloud: it holds its object until no grant of its own is left, and projects
//! the ledger onto its recipients. The `CloudAccount` controller proves that the credentials are the account's and keeps
//! its inventory. The `SharedImageAcceptance` controller answers one offer, in the same order: observe, plan, write down
//! what is about to be answered, answer, observe again, report. The `ImageReplica` controller carries one copy from stage to
//! stage, each written down before the cloud is asked for the next ([`planning::replica`]); clouds copy by token, by job, or
//! have their content streamed through this process ([`clouds::copying`]).
//!
//! ## Code map
//!
//! | module | what lives there |
//! |---|---|
//! | [`domain`] | the vocabulary: identifiers parsed once, images, provider rules, shares, calls and faults. Pure |
//! | [`api`] | the kinds, their schema and rules, conditions and reasons |
//! | [`planning`] | every choice, as pure functions: wishes, ledger, sharing, places, exchange, aftermath, deletion, duplicates, projection, unreadable, acceptance, replica, inventory, admission, schedule, lease |
//! | [`clouds`] | the edge towards the clouds: one trait, transport, call budgets, `alibaba`, `huawei`, `openstack` |
//! | [`cluster`] | the edge towards Kubernetes: watches within its scope, guarded reads, status, finalizers, events, Secrets, the lease |
//! | [`accounts`] | from a `CloudAccount` to a client: its Secret, the proof of its identity, its circuit |
//! | [`reconcile`] | what every reconcile uses: requeue, what is kept between two, access, conversion, status, metrics, leader |
//! | [`controllers`] | how they run, what wakes them, and one folder a kind |
//! | [`telemetry`] | logs, metrics, health, traces: it is told what to tell |
//! | [`operator`] | the composition root: arguments, clients, caches, controllers, an orderly stop |
//!
//! `main.rs` turns arguments into [`operator::run`] or into the definitions of `crds/`. `tests/simulator` is a cloud to try and
//! test against, a crate that shares no code with this one. `tests/harness` starts real servers for the tests and holds the demo, the benchmark and the fault campaign.
//!
//! ## Invariants
//!
//! What must always hold, and where it is kept. Whoever changes the place keeps the invariant.
//!
//! 1. **Ledger before call.** An intent, to grant or to revoke, is written with the object's version before the cloud is
//!    called; then the shares are listed afresh, and steps they no longer ask for are dropped.
//!    `controllers/cloud_image/pass.rs`, [`planning::sharing::confirm`], [`cluster::status`].
//! 2. **No wrongful revoke.** What is revoked comes from the ledger, less what any share wishes, holds or retains; never
//!    from "seen but not wished". A share that cannot be read is paused: whom its spec names keep what they have.
//!    [`planning::sharing`], [`planning::desired`], [`planning::unreadable`].
//! 3. **No leak.** A grant has ended only when a complete read shows it absent, long enough after the last call that may
//!    have added it; twice, where its removal is not known to have been made. An incomplete list proves nothing.
//!    [`planning::sharing`], [`planning::ledger`], [`RecipientList`](domain::image::RecipientList),
//!    `clouds/alibaba/wire.rs`.
//! 4. **Image last.** The finalizer of a `CloudImage` goes when no admitted share names it and its ledger holds nothing;
//!    with `deletionPolicy: Delete` the image is deleted only when nobody at all has it, never by force, and is gone after
//!    two absent reads. [`planning::deletion`].
//! 5. **Foreign grants are not ours.** They are reported and left alone; `unmanagedRecipients: Revoke` acts after a while,
//!    and only while a share wishes something. A wished recipient that is already there is adopted. What was retained is
//!    touched by no policy. [`planning::sharing`].
//! 6. **At rest, nothing moves.** What matches causes no mutating call and no write: status holds no times, counters or
//!    request ids that change by themselves. `controllers/cloud_image/report.rs`, [`planning::projection`].
//! 7. **Places.** Who has a place keeps it, also if foreign; free ones go in the order of a share's age, its uid, and the
//!    index in its list; removals come before additions. The rest wait with the figure, counted as the vendor counts.
//!    `planning/slots.rs`, [`planning::batch`].
//! 8. **One way.** `domain`, `api` and `planning` are pure; `clouds` and `cluster` are edges that do not know each other;
//!    `accounts`, `reconcile` and `controllers` alone see both; the simulator is another crate, or one mistake would cancel itself out.
//!    `tests/layering.rs` reads the sources.
//! 9. **Bounded and fair.** Every call has a deadline; pages, bodies, texts, lists and concurrency have bounds. A reconcile
//!    begins to call a cloud only with a seat in the line of its account and region, and holds no worker while it waits for
//!    one, so that no account waits for another; an edit does not wait for a thousand made before it. Calls pass a token
//!    bucket for each account and region, which calls that end access use most and no priority alone; what began first is
//!    finished first. An endpoint that hangs is left alone for a while.
//!    [`planning::admission`], [`clouds::budget`], [`clouds::transport`], [`api::limits`], [`planning::schedule`].
//! 10. **Secrets** are read by name, one read for the whole key, never listed, watched or printed. They go only to the
//!     vendor's hosts or to endpoints that the operator was started to allow; no redirect is followed. A refused key opens
//!     one circuit for its account. [`cluster::credentials`], [`clouds::endpoint_rule`], [`clouds::transport`],
//!     [`accounts::connections`].
//! 11. **Namespaces are walls, and a name is not a proof.** References stay in their namespace; only `imageRef` may leave it,
//!     where the image consents. Of several objects for one image, only those count that saw it as their own through proven
//!     credentials; those of other namespaces are not named. [`reconcile::convert`], [`planning::duplicates`].
//! 12. **Ends can be reached.** A `CloudAccount` stays while images, acceptances or replicas refer to it; credentials last
//!     known good may finish deletions for a while after their Secret vanished. [`controllers::cloud_account`], [`accounts::connections`].
//! 13. **No panic reachable from input.** An object that cannot be read says which field it is, can be deleted, and stops
//!     nobody else; lints forbid `unwrap`, `expect` and indexing. [`cluster::guard`], `Cargo.toml`.
//! 14. **One copy.** What an `ImageReplica` asks of a cloud is written down first, and carries a mark by which it is found
//!     again, so that there is never a second; that nothing is found of it counts when it was looked for twice. A copy
//!     that is not wanted any more is removed before its object goes.
//!     [`planning::replica`], [`CopyMark`](clouds::CopyMark), `controllers/image_replica/pass.rs`.
//! 15. **One leader.** Of several processes one holds the lease; it gives up before the lease can run out, and the gate is the
//!     last thing looked at before a request goes out. Who follows a leader that left without a word revokes nobody, and
//!     believes no absence, before that one's calls are over. [`planning::lease`], [`clouds::fence`],
//!     [`reconcile::leader`].

#[macro_use]
pub mod planted;

pub mod accounts;
pub mod api;
pub mod clouds;
pub mod cluster;
pub mod controllers;
pub mod domain;
pub mod operator;
pub mod planning;
pub mod reconcile;
pub mod telemetry;
