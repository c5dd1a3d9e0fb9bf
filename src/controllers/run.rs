//! The watches and the controllers they drive: one of each per kind. Each watch fills a cache; `triggers` maps a change to the
//! objects to enqueue. The watches drop managed fields before they cache an object.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt::Debug;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use futures::stream::BoxStream;
use futures::{FutureExt, Stream, StreamExt, TryStreamExt};
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::core::v1::Namespace;
use kube::core::PartialObjectMeta;
use kube::runtime::controller::Action;
use kube::runtime::reflector::{ObjectRef, Store, store::Writer};
use kube::runtime::{Controller, WatchStreamExt, reflector, watcher};
use kube::{Api, Resource, ResourceExt};
use serde::de::DeserializeOwned;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use crate::api::{CloudAccount, CloudImage, ImageReplica, ImageShare, SharedImage, SharedImageAcceptance};
use crate::cluster::changes::{WatchBackoff, changes, watch};
use crate::cluster::definitions::Definitions;
use crate::cluster::guard::Guarded;
use crate::controllers::acceptance;
use crate::controllers::cloud_account;
use crate::controllers::cloud_image;
use crate::controllers::image_replica;
use crate::controllers::image_share;
use crate::controllers::secrets::watch_secrets;
use crate::controllers::startup::enqueue_all;
use crate::controllers::triggers::{self, Change, Trigger};
use crate::planning::schedule::{Requeue, pause};
use crate::reconcile::Outcome;
use crate::reconcile::ReconcileError;
use crate::reconcile::ReconcileOutcome;
use crate::reconcile::admission::{Admission, Worker};
use crate::reconcile::context::{Context, Stores};
use crate::reconcile::index::Index;
use crate::reconcile::metrics::Waiting;
use crate::reconcile::queue::{QueueSenders, queues, send_all};

/// Reconciles of one kind that work with Kubernetes at the same time. A reconcile that calls a cloud holds a seat of its
/// account instead (`admission`), so that an account delays another one only by the API server's latency.
const WORKERS: usize = 64;

/// Reconciles of one kind that have started, so that a flood of events does not become a flood of tasks.
const CONCURRENCY: u16 = 1024;

/// The writers of the caches.
pub struct Writers {
    accounts: Writer<Guarded<CloudAccount>>,
    pub(super) images: Writer<Guarded<CloudImage>>,
    pub(super) shares: Writer<Guarded<ImageShare>>,
    acceptances: Writer<Guarded<SharedImageAcceptance>>,
    replicas: Writer<Guarded<ImageReplica>>,
    shared_images: Writer<Guarded<SharedImage>>,
    namespaces: Writer<PartialObjectMeta<Namespace>>,
}

/// Creates the empty caches.
pub fn stores() -> (Stores, Writers) {
    let (accounts, write_accounts) = reflector::store();
    let (images, write_images) = reflector::store();
    let (shares, write_shares) = reflector::store();
    let (acceptances, write_acceptances) = reflector::store();
    let (replicas, write_replicas) = reflector::store();
    let (shared_images, write_shared_images) = reflector::store();
    let (namespaces, write_namespaces) = reflector::store();
    let writers = Writers {
        accounts: write_accounts,
        images: write_images,
        shares: write_shares,
        acceptances: write_acceptances,
        replicas: write_replicas,
        shared_images: write_shared_images,
        namespaces: write_namespaces,
    };
    let stores = Stores {
        accounts,
        images,
        shares,
        shares_by_image: Index::default(),
        images_by_identity: Index::default(),
        acceptances,
        acceptances_by_identity: Index::default(),
        replicas,
        replicas_by_image: Index::default(),
        shared_images,
        shared_images_by_place: Index::default(),
        namespaces,
    };
    (stores, writers)
}

/// Runs every controller until `stop` is cancelled; returns when all have finished their reconciles, at once if none has
/// started. Each controller is a task of its own, so that the process reads long lists of two kinds in parallel.
pub async fn run(ctx: Arc<Context>, writers: Writers, stop: CancellationToken) {
    let stores = ctx.stores.clone();
    let (queues, told) = queues();
    let mut watches = Watches { ctx: &ctx, queues: &queues, filled: Vec::new() };
    let accounts = watches.of(writers.accounts, Some(&queues.accounts), &triggers::ACCOUNT);
    let images = watches.of(writers.images, Some(&queues.images), &triggers::IMAGE);
    let shares = watches.of(writers.shares, Some(&queues.shares), &triggers::SHARE);
    let acceptances = watches.of(writers.acceptances, Some(&queues.acceptances), &triggers::ACCEPTANCE);
    let replicas = watches.of(writers.replicas, Some(&queues.replicas), &triggers::REPLICA);
    let shared_images = watches.of(writers.shared_images, None, &triggers::SHARED_IMAGE);
    let namespaces = watches.of_namespaces(writers.namespaces);
    let ready = watches.all_filled();
    let early = told_before(ready.clone(), &stop);
    let mut acting = JoinSet::new();
    let all = (queues.clone(), stores.clone());
    ctx.relistings.connect(queues.accounts.clone());
    acting.spawn(until(stop.clone(), watch_secrets(ready.clone(), Arc::clone(&ctx), queues.accounts.clone())));
    let mut begun = Vec::new();
    let mut act = || {
        begun.push(CancellationToken::new());
        let begun = begun.last().cloned().unwrap_or_default();
        Acting { ctx: Arc::clone(&ctx), ready: ready.clone(), begun, stop: stop.clone() }
    };
    let queue = (queues.accounts, told.accounts);
    acting.spawn(act().control(stores.accounts, accounts, queue, cloud_account::reconcile));
    acting.spawn(act().control(stores.images, images, (queues.images, told.images), cloud_image::reconcile));
    acting.spawn(act().control(stores.shares, shares, (queues.shares, told.shares), image_share::reconcile));
    let queue = (queues.acceptances, told.acceptances);
    acting.spawn(act().control(stores.acceptances, acceptances, queue, acceptance::reconcile));
    let queue = (queues.replicas, told.replicas);
    acting.spawn(act().control(stores.replicas, replicas, queue, image_replica::reconcile));
    // From here on, each controller receives changes from its watch; its cache holds the earlier ones.
    let begun = futures::future::join_all(begun.into_iter().map(CancellationToken::cancelled_owned));
    acting.spawn(enqueue_all(begun.map(drop), all.0, all.1));
    acting.spawn(drain(namespaces, stop.clone()));
    acting.spawn(drain(shared_images, stop.clone()));
    tokio::select! {
        _ = acting.join_all() => {}
        () = early => {}
    }
}

/// Works until `stop` is cancelled.
async fn until(stop: CancellationToken, work: impl Future<Output = ()>) {
    tokio::select! {
        () = work => {}
        () = stop.cancelled() => {}
    }
}

/// Completes when `stop` is cancelled before `ready`. No controller has started then, and a cache that never fills would
/// keep the process running for ever.
async fn told_before(ready: impl Future<Output = ()>, stop: &CancellationToken) {
    tokio::select! {
        biased;
        () = ready => std::future::pending().await,
        () = stop.cancelled() => {}
    }
}

/// Keeps the cache of a kind filled that no controller reconciles.
async fn drain<K>(objects: impl Stream<Item = Result<K, watcher::Error>>, stop: CancellationToken) {
    until(stop, objects.for_each(|_| futures::future::ready(()))).await;
}

/// The same changes, but a list enters the cache only after a check that the API server hid no fields of it. If it did,
/// `outdated` is about to drop the controllers that read the cache.
fn believed<K: Send + 'static>(
    changes: BoxStream<'static, Result<watcher::Event<K>, watcher::Error>>,
    definitions: Arc<Definitions>,
) -> BoxStream<'static, Result<watcher::Event<K>, watcher::Error>> {
    let believe = move |change| {
        let definitions = Arc::clone(&definitions);
        async move {
            if matches!(change, Ok(watcher::Event::InitDone)) && definitions.check_at_last().await.is_err() {
                std::future::pending::<()>().await;
            }
            change
        }
    };
    changes.then(believe).boxed()
}

/// The shared input of the watches.
struct Watches<'a> {
    ctx: &'a Context,
    queues: &'a QueueSenders,
    /// One token for each cache, cancelled when the cache has been filled once.
    filled: Vec<CancellationToken>,
}

impl Watches<'_> {
    /// Watches one kind in the namespaces where the operator acts.
    fn of<K>(
        &mut self,
        writer: Writer<K>,
        enqueue: Option<&UnboundedSender<ObjectRef<K>>>,
        concern: &'static Trigger<K>,
    ) -> BoxStream<'static, Result<K, watcher::Error>>
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>,
        K: Clone + Debug + DeserializeOwned + Send + Sync + 'static,
    {
        let changes = changes(&self.ctx.client, &self.ctx.scope, writer.as_reader());
        let changes = believed(changes, Arc::clone(&self.ctx.definitions));
        self.fill(changes, writer, enqueue, concern)
    }

    /// Watches the labels of namespaces, which are cluster-scoped.
    fn of_namespaces(
        &mut self,
        writer: Writer<PartialObjectMeta<Namespace>>,
    ) -> BoxStream<'static, Result<PartialObjectMeta<Namespace>, watcher::Error>> {
        if !self.ctx.scope.sees_namespaces() {
            return futures::stream::pending().boxed();
        }
        self.fill(watch(Api::all(self.ctx.client.clone())), writer, None, &triggers::NAMESPACE)
    }

    /// Fills a cache and applies `concern` to each object that was created, changed or deleted, always after the cache holds the
    /// change. A list enters the cache as a whole, at its end: only then this applies `concern` to its objects, sends them to
    /// their own controller (`enqueue`), and treats missing objects as deleted. The first list marks the cache as filled.
    /// `concern` enqueues nothing before all caches are filled, since `startup` then enqueues every object.
    fn fill<K>(
        &mut self,
        changes: BoxStream<'static, Result<watcher::Event<K>, watcher::Error>>,
        writer: Writer<K>,
        enqueue: Option<&UnboundedSender<ObjectRef<K>>>,
        concern: &'static Trigger<K>,
    ) -> BoxStream<'static, Result<K, watcher::Error>>
    where
        K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + Sync + 'static,
    {
        let filled = CancellationToken::new();
        self.filled.push(filled.clone());
        let (store, enqueue) = (writer.as_reader(), enqueue.cloned());
        let (queues, stores, all_filled) = (self.queues.clone(), self.ctx.stores.clone(), self.ctx.filled.clone());
        let notify = move |object: &K, gone| {
            let lost = (concern.index)(&stores, object, gone);
            if all_filled.is_cancelled() {
                (concern.enqueue)(&queues, &stores, object, &Change { gone, lost });
            }
        };
        let mut former = Vec::new();
        let told = reflector(writer, changes.modify(|object| object.managed_fields_mut().clear()));
        told.inspect_ok(move |event| match event {
            watcher::Event::Apply(object) => notify(object, false),
            watcher::Event::Delete(object) => notify(object, true),
            watcher::Event::Init => former = store.state(),
            watcher::Event::InitApply(_) => {}
            watcher::Event::InitDone => {
                let gone = |object: &Arc<K>| store.get(&ObjectRef::from_obj(object.as_ref())).is_none();
                former.drain(..).filter(gone).for_each(|object| notify(&object, true));
                for object in store.state() {
                    notify(&object, false);
                    if let Some(enqueue) = enqueue.as_ref().filter(|_| filled.is_cancelled()) {
                        send_all(enqueue, [ObjectRef::from_obj(object.as_ref())]);
                    }
                }
                filled.cancel();
            }
        })
        .try_filter(|event| futures::future::ready(!matches!(event, watcher::Event::InitApply(_))))
        .applied_objects()
        .boxed()
    }

    /// No controller may act before every cache that determines credentials or desired recipients has been filled once, and
    /// before this process leads: a standby fills its caches before it becomes the leader. A cache's own `wait_until_ready`
    /// wakes only its last caller, and the controller calls it too: other callers would wait for ever.
    fn all_filled(self) -> impl Future<Output = ()> + Clone + Send + use<> {
        let filled = futures::future::join_all(self.filled.into_iter().map(CancellationToken::cancelled_owned));
        let (all, leading) = (self.ctx.filled.clone(), self.ctx.leading.begun.clone());
        let ready = async move {
            filled.await;
            tracing::info!("caches synced");
            all.cancel();
            leading.cancelled().await;
        };
        ready.shared()
    }
}

/// Consecutive failed reconciles by uid: while the API server is down, the retries of each object back off.
#[derive(Default)]
struct Failures(Mutex<HashMap<String, u32>>);

impl Failures {
    fn add(&self, uid: &str) -> u32 {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let failures = all.entry(uid.to_owned()).or_default();
        *failures = failures.saturating_add(1);
        *failures
    }

    fn end_if(&self, ended: bool, uid: &str) {
        if !ended {
            return;
        }
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(uid);
    }
}

/// The input of one controller.
struct Acting<Ready> {
    ctx: Arc<Context>,
    ready: Ready,
    /// Cancelled once changes reach the controller as well as its cache.
    begun: CancellationToken,
    stop: CancellationToken,
}

impl<Ready: Future<Output = ()> + Clone + Send + 'static> Acting<Ready> {
    /// Reconciles the objects of one kind, once this process may act. `enqueue_all` enqueues the objects cached by then; until
    /// then changes only fill the cache, so that no queued reconcile holds an outdated object.
    async fn control<K, F>(
        self,
        store: Store<K>,
        mut objects: impl Stream<Item = Result<K, watcher::Error>> + Unpin + Send + 'static,
        (enqueue, mut told): (UnboundedSender<ObjectRef<K>>, UnboundedReceiver<ObjectRef<K>>),
        reconcile: impl Fn(Arc<K>, Arc<Context>, Worker<K>) -> F + Send + Sync + Copy + 'static,
    ) where
        K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + Sync + 'static,
        F: Future<Output = Result<ReconcileOutcome, ReconcileError>> + Send + 'static,
    {
        let Self { ctx, ready, begun, stop } = self;
        fill_until(ready, &mut objects).await;
        begun.cancel();
        let admission = Arc::new(Admission::new(WORKERS, ctx.settings.seats, enqueue, Arc::clone(&ctx.clock)));
        let failures = Arc::new(Failures::default());
        let failed = Arc::clone(&failures);
        let waiting = Arc::new(Waiting::new(kind_of::<K>(), ctx.metrics.clone()));
        let (seen, notified) = (Arc::clone(&waiting), Arc::clone(&waiting));
        let gone = (Arc::clone(&waiting), Arc::clone(&admission));
        let objects = objects.inspect_ok(move |object| seen.told(object.namespace(), object.name_any()));
        let told = futures::stream::poll_fn(move |task| told.poll_recv(task))
            .inspect(move |one| notified.told(one.namespace.clone(), one.name.clone()));
        let stopped = stop.clone();
        let frame = Arc::new(Frame { store: store.clone(), admission, failures, waiting, stop });
        Controller::for_stream(objects, store)
            .with_config(kube::runtime::controller::Config::default().concurrency(CONCURRENCY))
            .trigger_backoff(WatchBackoff::default())
            .reconcile_on(told)
            .graceful_shutdown_on(async move { stopped.cancelled().await })
            .run(
                move |object, ctx| {
                    let span = span_of(object.as_ref());
                    let reference = ObjectRef::from_obj(object.as_ref());
                    Arc::clone(&frame).run(reference, ctx, reconcile).instrument(span)
                },
                move |object, error, ctx| {
                    tracing::warn!(object.name = %object.name_any(), %error, "reconcile failed; will retry");
                    let failures = failed.add(&object.uid().unwrap_or_default());
                    let verdict = Requeue::Retrying { not_before: None };
                    Action::requeue(pause(&verdict, ctx.settings.intervals, failures, ctx.chance(), ctx.clock.now()))
                },
                ctx,
            )
            .for_each(move |looked| {
                if let Err(kube::runtime::controller::Error::ObjectNotFound(object)) = looked {
                    gone.0.reconciled(object.namespace.clone(), object.name.clone());
                    gone.1.leave(object.namespace, object.name);
                }
                futures::future::ready(())
            })
            .await;
    }
}

/// Fills a cache until the process may act.
async fn fill_until<K>(ready: impl Future<Output = ()>, objects: &mut (impl Stream<Item = K> + Unpin)) {
    tokio::select! {
        () = ready => {}
        () = objects.for_each(|_| futures::future::ready(())) => {}
    }
}

/// The frame around every reconcile of a kind.
struct Frame<K: Resource<DynamicType = ()> + 'static> {
    store: Store<K>,
    admission: Arc<Admission<K>>,
    failures: Arc<Failures>,
    waiting: Arc<Waiting>,
    stop: CancellationToken,
}

impl<K: Resource<DynamicType = ()> + Clone + 'static> Frame<K> {
    /// Waits for a worker, then reconciles the object as the cache holds it by then.
    async fn run<F>(
        self: Arc<Self>,
        reference: ObjectRef<K>,
        ctx: Arc<Context>,
        reconcile: impl Fn(Arc<K>, Arc<Context>, Worker<K>) -> F,
    ) -> Result<Action, ReconcileError>
    where
        F: Future<Output = Result<ReconcileOutcome, ReconcileError>>,
    {
        let worker = tokio::select! {
            biased;
            () = self.stop.cancelled() => return Ok(Action::await_change()),
            worker = Arc::clone(&self.admission).worker(&reference) => worker,
        };
        self.waiting.reconciled(reference.namespace.clone(), reference.name.clone());
        let Some(object) = self.store.get(&reference) else { return Ok(Action::await_change()) };
        let (uid, begun) = (object.uid().unwrap_or_default(), Instant::now());
        // Boxed apart from the wait for a worker, since many tasks may wait.
        let look = Box::pin(reconcile(object, Arc::clone(&ctx), worker)).await;
        let outcome = look.as_ref().map_or(Outcome::Failed, |look| look.outcome);
        ctx.metrics.looked(kind_of::<K>(), outcome.name(), begun.elapsed());
        self.failures.end_if(look.is_ok(), &uid);
        Ok(look?.next)
    }
}

/// The kind's name, for logs and metrics.
fn kind_of<K: Resource<DynamicType = ()>>() -> &'static str {
    match K::kind(&()) {
        Cow::Borrowed(kind) => kind,
        Cow::Owned(_) => "",
    }
}

/// The span of one reconcile: every log line in it names the object.
fn span_of<K: Resource<DynamicType = ()>>(object: &K) -> tracing::Span {
    tracing::info_span!(
        "look",
        object.kind = kind_of::<K>(),
        object.namespace = object.namespace().unwrap_or_default(),
        object.name = object.name_any(),
        object.generation = object.meta().generation
    )
}
