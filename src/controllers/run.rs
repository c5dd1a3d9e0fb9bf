//! The watches and the controllers they drive: one of each per kind. Each watch fills a cache; `triggers` maps a change to the
//! objects to enqueue. The watches drop managed fields before they cache an object.

use std::borrow::Cow;
use std::convert::Infallible;
use std::fmt::Debug;
use std::future::Future;
use std::sync::Arc;
use std::time::Instant;

use futures::stream::BoxStream;
use futures::{FutureExt, Stream, StreamExt, TryStreamExt};
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

use crate::api::{
    ChannelShare, CloudAccount, CloudImage, ImageChannel, ImageReplica, ImageShare, SharedImage, SharedImageAcceptance,
};
use crate::cluster::changes::{WatchBackoff, changes, watch};
use crate::cluster::definitions::Definitions;
use crate::cluster::guard::Guarded;
use crate::cluster::object::Object;
use crate::controllers::secrets::watch_secrets;
use crate::controllers::startup::enqueue_all;
use crate::controllers::triggers::{self, Change, Trigger};
use crate::reconcile::admission::Admission;
use crate::reconcile::context::{Context, Stores};
use crate::reconcile::frame::{Reconcile, reconcile};
use crate::reconcile::index::Index;
use crate::reconcile::metrics::QueueDepth;
use crate::reconcile::queue::{QueueSenders, queues, send_all};

/// Reconciles of one kind that work with Kubernetes at the same time. A reconcile that calls a cloud holds a seat of its
/// account instead (`admission`), so that an account delays another one only by the API server's latency.
const WORKERS: usize = 64;

/// Reconciles of one kind that call clouds at the same time, besides the first of each account and region: each holds an
/// object, its plan and a connection in memory.
const SHARED_SEATS: usize = 128;

/// Reconciles of one kind that have started, so that a flood of events does not become a flood of tasks.
const CONCURRENCY: u16 = 1024;

/// The writers of the caches.
#[derive(Default)]
pub struct Writers {
    accounts: Writer<Guarded<CloudAccount>>,
    pub(super) images: Writer<Guarded<CloudImage>>,
    pub(super) shares: Writer<Guarded<ImageShare>>,
    acceptances: Writer<Guarded<SharedImageAcceptance>>,
    replicas: Writer<Guarded<ImageReplica>>,
    channels: Writer<Guarded<ImageChannel>>,
    channel_shares: Writer<Guarded<ChannelShare>>,
    shared_images: Writer<Guarded<SharedImage>>,
    namespaces: Writer<PartialObjectMeta<Namespace>>,
}

/// Creates the empty caches.
pub fn stores() -> (Stores, Writers) {
    let writers = Writers::default();
    let stores = Stores {
        accounts: writers.accounts.as_reader(),
        images: writers.images.as_reader(),
        shares: writers.shares.as_reader(),
        shares_by_image: Index::default(),
        images_by_identity: Index::default(),
        acceptances: writers.acceptances.as_reader(),
        acceptances_by_identity: Index::default(),
        replicas: writers.replicas.as_reader(),
        replicas_by_image: Index::default(),
        channels: writers.channels.as_reader(),
        channel_shares: writers.channel_shares.as_reader(),
        shared_images: writers.shared_images.as_reader(),
        shared_images_by_place: Index::default(),
        namespaces: writers.namespaces.as_reader(),
    };
    (stores, writers)
}

/// Runs every controller until `stop` is cancelled; returns when all have finished their reconciles, at once if none has
/// started. Each controller is a task of its own, so that the process reads long lists of two kinds in parallel.
pub async fn run(ctx: Arc<Context>, writers: Writers, stop: CancellationToken) {
    let stores = ctx.stores.clone();
    let (queues, receivers) = queues();
    let mut watches = Watches { ctx: &ctx, queues: &queues, filled: Vec::new() };
    let accounts = watches.of(writers.accounts, Some(&queues.accounts), &triggers::ACCOUNT);
    let images = watches.of(writers.images, Some(&queues.images), &triggers::IMAGE);
    let shares = watches.of(writers.shares, Some(&queues.shares), &triggers::SHARE);
    let acceptances = watches.of(writers.acceptances, Some(&queues.acceptances), &triggers::ACCEPTANCE);
    let replicas = watches.of(writers.replicas, Some(&queues.replicas), &triggers::REPLICA);
    let channels = watches.of(writers.channels, Some(&queues.channels), &triggers::CHANNEL);
    let channel_shares = watches.of(writers.channel_shares, Some(&queues.channel_shares), &triggers::CHANNEL_SHARE);
    let shared_images = watches.of(writers.shared_images, None, &triggers::SHARED_IMAGE);
    let namespaces = watches.of_namespaces(writers.namespaces);
    let ready = watches.all_filled();
    let early = stopped_before(ready.clone(), &stop);
    let mut tasks = JoinSet::new();
    let all = (queues.clone(), stores.clone());
    ctx.relistings.connect(queues.accounts.clone());
    tasks.spawn(until(stop.clone(), watch_secrets(ready.clone(), Arc::clone(&ctx), queues.accounts.clone())));
    let mut begun = Vec::new();
    let mut input = || {
        begun.push(CancellationToken::new());
        let begun = begun.last().cloned().unwrap_or_default();
        ControllerInput { ctx: Arc::clone(&ctx), ready: ready.clone(), begun, stop: stop.clone() }
    };
    tasks.spawn(input().control(stores.accounts, accounts, (queues.accounts, receivers.accounts)));
    tasks.spawn(input().control(stores.images, images, (queues.images, receivers.images)));
    tasks.spawn(input().control(stores.shares, shares, (queues.shares, receivers.shares)));
    tasks.spawn(input().control(stores.acceptances, acceptances, (queues.acceptances, receivers.acceptances)));
    tasks.spawn(input().control(stores.replicas, replicas, (queues.replicas, receivers.replicas)));
    tasks.spawn(input().control(stores.channels, channels, (queues.channels, receivers.channels)));
    let shared_channels = (queues.channel_shares, receivers.channel_shares);
    tasks.spawn(input().control(stores.channel_shares, channel_shares, shared_channels));
    // From here on, each controller receives changes from its watch; its cache holds the earlier ones.
    let begun = futures::future::join_all(begun.into_iter().map(CancellationToken::cancelled_owned));
    tasks.spawn(enqueue_all(begun.map(drop), all.0, all.1));
    tasks.spawn(drain(namespaces, stop.clone()));
    tasks.spawn(drain(shared_images, stop.clone()));
    tokio::select! {
        _ = tasks.join_all() => {}
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
async fn stopped_before(ready: impl Future<Output = ()>, stop: &CancellationToken) {
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
fn checked<K: Send + 'static>(
    changes: BoxStream<'static, Result<watcher::Event<K>, watcher::Error>>,
    definitions: Arc<Definitions>,
) -> BoxStream<'static, Result<watcher::Event<K>, watcher::Error>> {
    let check = move |change| {
        let definitions = Arc::clone(&definitions);
        async move {
            if matches!(change, Ok(watcher::Event::InitDone)) && definitions.check_at_last().await.is_err() {
                std::future::pending::<()>().await;
            }
            change
        }
    };
    changes.then(check).boxed()
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
        trigger: &'static Trigger<K>,
    ) -> BoxStream<'static, Result<K, watcher::Error>>
    where
        K: Object + Send + Sync + 'static,
    {
        let api_server = self.ctx.definitions.api_server();
        let changes = changes(&self.ctx.client, &self.ctx.scope, writer.as_reader(), api_server);
        let changes = checked(changes, Arc::clone(&self.ctx.definitions));
        self.fill(changes, writer, enqueue, trigger)
    }

    /// Watches the labels of namespaces, which are cluster-scoped.
    fn of_namespaces(
        &mut self,
        writer: Writer<PartialObjectMeta<Namespace>>,
    ) -> BoxStream<'static, Result<PartialObjectMeta<Namespace>, watcher::Error>> {
        if !self.ctx.scope.sees_namespaces() {
            return futures::stream::pending().boxed();
        }
        self.fill(
            watch(Api::all(self.ctx.client.clone()), self.ctx.definitions.api_server()),
            writer,
            None,
            &triggers::NAMESPACE,
        )
    }

    /// Fills a cache and applies `trigger` to each object that was created, changed or deleted, always after the cache holds the
    /// change. A list enters the cache as a whole, at its end: only then this applies `trigger` to its objects, sends them to
    /// their own controller (`enqueue`), and treats missing objects as deleted. The first list marks the cache as filled.
    /// `trigger` enqueues nothing before all caches are filled, since `startup` then enqueues every object.
    fn fill<K>(
        &mut self,
        changes: BoxStream<'static, Result<watcher::Event<K>, watcher::Error>>,
        writer: Writer<K>,
        enqueue: Option<&UnboundedSender<ObjectRef<K>>>,
        trigger: &'static Trigger<K>,
    ) -> BoxStream<'static, Result<K, watcher::Error>>
    where
        K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + Sync + 'static,
    {
        let filled = CancellationToken::new();
        self.filled.push(filled.clone());
        let (store, enqueue) = (writer.as_reader(), enqueue.cloned());
        let (queues, stores, all_filled) = (self.queues.clone(), self.ctx.stores.clone(), self.ctx.filled.clone());
        let notify = move |object: &K, gone| {
            let lost = (trigger.index)(&stores, object, gone);
            if all_filled.is_cancelled() {
                (trigger.enqueue)(&queues, &stores, object, &Change { gone, lost });
            }
        };
        let mut former = Vec::new();
        let events = reflector(writer, changes.modify(|object| object.managed_fields_mut().clear()));
        events
            .inspect_ok(move |event| match event {
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
        let stores = self.ctx.stores.clone();
        let ready = async move {
            filled.await;
            tracing::info!(
                accounts = stores.accounts.len(),
                images = stores.images.len(),
                shares = stores.shares.len(),
                acceptances = stores.acceptances.len(),
                replicas = stores.replicas.len(),
                channels = stores.channels.len(),
                channel_shares = stores.channel_shares.len(),
                shared_images = stores.shared_images.len(),
                "caches synced"
            );
            all.cancel();
            leading.cancelled().await;
        };
        ready.shared()
    }
}

/// The reference to an object of a kind in a queue.
type Reference<K> = ObjectRef<Guarded<K>>;

/// The input of one controller.
struct ControllerInput<Ready> {
    ctx: Arc<Context>,
    ready: Ready,
    /// Cancelled once changes reach the controller as well as its cache.
    begun: CancellationToken,
    stop: CancellationToken,
}

impl<Ready: Future<Output = ()> + Clone + Send + 'static> ControllerInput<Ready> {
    /// Reconciles the objects of one kind, once this process may act. `enqueue_all` enqueues the objects cached by then; until
    /// then changes only fill the cache, so that no queued reconcile holds an outdated object.
    async fn control<K: Reconcile>(
        self,
        store: Store<Guarded<K>>,
        mut objects: impl Stream<Item = Result<Guarded<K>, watcher::Error>> + Unpin + Send + 'static,
        (sender, mut receiver): (UnboundedSender<Reference<K>>, UnboundedReceiver<Reference<K>>),
    ) {
        let Self { ctx, ready, begun, stop } = self;
        fill_until(ready, &mut objects).await;
        begun.cancel();
        let admission =
            Arc::new(Admission::new(WORKERS, (ctx.settings.seats, SHARED_SEATS), sender, Arc::clone(&ctx.clock)));
        let depth = Arc::new(QueueDepth::new(kind_of::<K>(), ctx.metrics.clone()));
        let (changed, notified) = (Arc::clone(&depth), Arc::clone(&depth));
        let gone = (Arc::clone(&depth), Arc::clone(&admission));
        let objects = objects.inspect_ok(move |object| changed.enqueued(object.namespace(), object.name_any()));
        let triggered = futures::stream::poll_fn(move |task| receiver.poll_recv(task))
            .inspect(move |one| notified.enqueued(one.namespace.clone(), one.name.clone()));
        let stopped = stop.clone();
        let dispatch = Arc::new(Dispatch { store: store.clone(), admission, depth, stop });
        Controller::for_stream(objects, store)
            .with_config(kube::runtime::controller::Config::default().concurrency(CONCURRENCY))
            .trigger_backoff(WatchBackoff::default())
            .reconcile_on(triggered)
            .graceful_shutdown_on(async move { stopped.cancelled().await })
            .run(
                move |object, ctx| {
                    let span = span_of(object.as_ref());
                    Arc::clone(&dispatch).run(ObjectRef::from_obj(object.as_ref()), ctx).instrument(span)
                },
                |_, never: &Infallible, _| match *never {},
                ctx,
            )
            .for_each(move |reconciled| {
                if let Err(kube::runtime::controller::Error::ObjectNotFound(object)) = reconciled {
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

/// Dispatches the reconciles of a kind to its workers.
struct Dispatch<K: Reconcile> {
    store: Store<Guarded<K>>,
    admission: Arc<Admission<Guarded<K>>>,
    depth: Arc<QueueDepth>,
    stop: CancellationToken,
}

impl<K: Reconcile> Dispatch<K> {
    /// Waits for a worker, then reconciles the object as the cache holds it by then.
    async fn run(self: Arc<Self>, reference: Reference<K>, ctx: Arc<Context>) -> Result<Action, Infallible> {
        let worker = tokio::select! {
            biased;
            () = self.stop.cancelled() => return Ok(Action::await_change()),
            worker = Arc::clone(&self.admission).worker(&reference) => worker,
        };
        self.depth.reconciled(reference.namespace.clone(), reference.name.clone());
        let Some(object) = self.store.get(&reference) else { return Ok(Action::await_change()) };
        let begun = Instant::now();
        // Boxed apart from the wait for a worker, since many tasks may wait.
        let reconciled = Box::pin(reconcile(object, Arc::clone(&ctx), worker)).await;
        ctx.metrics.reconciled(kind_of::<K>(), reconciled.outcome.name(), begun.elapsed());
        Ok(reconciled.next)
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
        "reconcile",
        object.kind = kind_of::<K>(),
        object.namespace = object.namespace().unwrap_or_default(),
        object.name = object.name_any(),
        object.generation = object.meta().generation
    )
}
