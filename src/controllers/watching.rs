//! The watches and the controllers they drive: one of each per kind, each watch feeding a cache. Whom a change concerns is
//! told in `concerns`. Objects lose their managed fields before they are cached.

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
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use super::concerns::{Bells, bells, send_all};
use super::context::{Context, Stores};
use super::counting::Waiting;
use super::index::Index;
use super::{Look, Outcome, ReconcileError, acceptance, cloud_account, cloud_image, image_replica, image_share};
use crate::api::{CloudAccount, CloudImage, ImageReplica, ImageShare, SharedImage, SharedImageAcceptance};
use crate::cluster::changes::{WatchBackoff, changes, watch};
use crate::cluster::guard::Guarded;
use crate::planning::schedule::{Verdict, pause};

/// Reconciles of one kind that run at the same time. Two cloud accounts never wait for each other below it; the calls of
/// one account are paced by its budget.
const CONCURRENCY: u16 = 64;

/// The writing ends of the caches.
pub struct Writers {
    accounts: Writer<Guarded<CloudAccount>>,
    images: Writer<Guarded<CloudImage>>,
    shares: Writer<Guarded<ImageShare>>,
    acceptances: Writer<Guarded<SharedImageAcceptance>>,
    replicas: Writer<Guarded<ImageReplica>>,
    shared_images: Writer<Guarded<SharedImage>>,
    namespaces: Writer<PartialObjectMeta<Namespace>>,
}

/// Makes the caches, still empty.
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
        namespaces,
    };
    (stores, writers)
}

/// Runs every controller until `stop`; returns when all have finished what they were doing, at once if none has begun.
pub async fn run(ctx: Arc<Context>, writers: Writers, stop: CancellationToken) {
    let stores = ctx.stores.clone();
    let (bells, told) = bells();
    let mut watches = Watches { ctx: &ctx, bells: &bells, filled: Vec::new() };
    let accounts = watches.of(writers.accounts, Some(&bells.accounts), Bells::account);
    let images = watches.of(writers.images, Some(&bells.images), Bells::image);
    let shares = watches.of(writers.shares, Some(&bells.shares), Bells::share);
    let acceptances = watches.of(writers.acceptances, Some(&bells.acceptances), Bells::acceptance);
    let replicas = watches.of(writers.replicas, Some(&bells.replicas), Bells::replica);
    let shared_images = watches.of(writers.shared_images, None, Bells::shared_image);
    let namespaces = watches.of_namespaces(writers.namespaces);
    let ready = watches.all_filled();
    let early = told_before(ready.clone(), &stop);
    let acting = async {
        tokio::join!(
            control(&ctx, stores.accounts, accounts, told.accounts, cloud_account::reconcile, ready.clone(), &stop),
            control(&ctx, stores.images, images, told.images, cloud_image::reconcile, ready.clone(), &stop),
            control(&ctx, stores.shares, shares, told.shares, image_share::reconcile, ready.clone(), &stop),
            control(
                &ctx,
                stores.acceptances,
                acceptances,
                told.acceptances,
                acceptance::reconcile,
                ready.clone(),
                &stop
            ),
            control(&ctx, stores.replicas, replicas, told.replicas, image_replica::reconcile, ready, &stop),
            drain(namespaces, &stop),
            drain(shared_images, &stop),
        );
    };
    tokio::select! {
        () = acting => {}
        () = early => {}
    }
}

/// Ends when the process is told to stop before it may act. Nothing has begun then, and looks that wait for their
/// turn, or for a cache that nobody fills, would keep the process for ever.
async fn told_before(ready: impl Future<Output = ()>, stop: &CancellationToken) {
    tokio::select! {
        biased;
        () = ready => std::future::pending().await,
        () = stop.cancelled() => {}
    }
}

/// Keeps a cache filled that no controller reconciles.
async fn drain<K>(objects: impl Stream<Item = Result<K, watcher::Error>>, stop: &CancellationToken) {
    tokio::select! {
        () = objects.for_each(|_| futures::future::ready(())) => {}
        () = stop.cancelled() => {}
    }
}

/// What the watches are begun with.
struct Watches<'a> {
    ctx: &'a Context,
    bells: &'a Bells,
    /// Cancelled when a cache has been filled once; one for each.
    filled: Vec<CancellationToken>,
}

impl Watches<'_> {
    /// The watch of one kind, where the operator acts.
    fn of<K>(
        &mut self,
        writer: Writer<K>,
        tell: Option<&UnboundedSender<ObjectRef<K>>>,
        concern: fn(&Bells, &Stores, &K, bool),
    ) -> BoxStream<'static, Result<K, watcher::Error>>
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>,
        K: Clone + Debug + DeserializeOwned + Send + Sync + 'static,
    {
        let changes = changes(&self.ctx.client, &self.ctx.scope, writer.as_reader());
        self.fill(changes, writer, tell, concern)
    }

    /// The watch of namespaces' labels, which belong to the whole cluster.
    fn of_namespaces(
        &mut self,
        writer: Writer<PartialObjectMeta<Namespace>>,
    ) -> BoxStream<'static, Result<PartialObjectMeta<Namespace>, watcher::Error>> {
        if !self.ctx.scope.sees_namespaces() {
            return futures::stream::pending().boxed();
        }
        self.fill(watch(Api::all(self.ctx.client.clone())), writer, None, Bells::namespace)
    }

    /// Fills a cache and calls `concern` with each object that came, changed or went (`true`), always after the cache
    /// knows. A list that follows a broken watch enters the cache as a whole, at its end: only then everything in it is
    /// told, to its own controller (`tell`) too, and what is missing in it is told as gone. The first time, this is when
    /// the cache is said to be filled.
    fn fill<K>(
        &mut self,
        changes: BoxStream<'static, Result<watcher::Event<K>, watcher::Error>>,
        writer: Writer<K>,
        tell: Option<&UnboundedSender<ObjectRef<K>>>,
        concern: fn(&Bells, &Stores, &K, bool),
    ) -> BoxStream<'static, Result<K, watcher::Error>>
    where
        K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + Sync + 'static,
    {
        let filled = CancellationToken::new();
        self.filled.push(filled.clone());
        let (store, tell) = (writer.as_reader(), tell.cloned());
        let concern = self.bells.hear(&self.ctx.stores, concern);
        let mut former = Vec::new();
        let told = reflector(writer, changes.modify(|object| object.managed_fields_mut().clear()));
        told.inspect_ok(move |event| match event {
            watcher::Event::Apply(object) => concern(object, false),
            watcher::Event::Delete(object) => concern(object, true),
            watcher::Event::Init => former = store.state(),
            watcher::Event::InitApply(_) => {}
            watcher::Event::InitDone => {
                let gone = |object: &Arc<K>| store.get(&ObjectRef::from_obj(object.as_ref())).is_none();
                former.drain(..).filter(gone).for_each(|object| concern(&object, true));
                for object in store.state() {
                    concern(&object, false);
                    if let Some(tell) = &tell {
                        send_all(tell, [ObjectRef::from_obj(object.as_ref())]);
                    }
                }
                filled.cancel();
            }
        })
        .applied_objects()
        .boxed()
    }

    /// Nothing may act before every cache that chooses credentials or wishes has been filled once, and before this process
    /// leads: one that waits to lead has its caches filled when its turn comes. A cache's own `wait_until_ready` wakes only
    /// whoever asked last, and its controller asks too: the others would wait for ever.
    fn all_filled(self) -> impl Future<Output = ()> + Clone + Send + use<> {
        let filled = futures::future::join_all(self.filled.into_iter().map(CancellationToken::cancelled_owned));
        let (all, leading) = (self.ctx.filled.clone(), self.ctx.leading.begun.clone());
        let ready = async move {
            filled.await;
            all.cancel();
            leading.cancelled().await;
        };
        ready.shared()
    }
}

/// How many looks at an object failed in a row, by uid: while the API server is away, the tries of each grow rare.
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

async fn control<K, F>(
    ctx: &Arc<Context>,
    store: Store<K>,
    objects: impl Stream<Item = Result<K, watcher::Error>> + Send + 'static,
    mut told: UnboundedReceiver<ObjectRef<K>>,
    reconcile: impl Fn(Arc<K>, Arc<Context>) -> F + Send + Sync + Copy + 'static,
    ready: impl Future<Output = ()> + Clone + Send + 'static,
    stop: &CancellationToken,
) where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + Sync + 'static,
    F: Future<Output = Result<Look, ReconcileError>> + Send + 'static,
{
    let stop = stop.clone();
    let failures = Arc::new(Failures::default());
    let failed = Arc::clone(&failures);
    let waiting = Arc::new(Waiting::new(kind_of::<K>(), ctx.metrics.clone()));
    let (seen, heard, gone) = (Arc::clone(&waiting), Arc::clone(&waiting), Arc::clone(&waiting));
    let objects = objects.inspect_ok(move |object| seen.told(ObjectRef::from_obj(object)));
    let told = futures::stream::poll_fn(move |task| told.poll_recv(task)).inspect(move |one| heard.told(one.clone()));
    Controller::for_stream(objects, store)
        .with_config(kube::runtime::controller::Config::default().concurrency(CONCURRENCY))
        .trigger_backoff(WatchBackoff::default())
        .reconcile_on(told)
        .graceful_shutdown_on(async move { stop.cancelled().await })
        .run(
            move |object, ctx| {
                let (ready, failures, waiting) = (ready.clone(), Arc::clone(&failures), Arc::clone(&waiting));
                let span = span_of(object.as_ref());
                let look = async move {
                    ready.await;
                    waiting.looked_at(&ObjectRef::from_obj(object.as_ref()));
                    let (uid, begun) = (object.uid().unwrap_or_default(), Instant::now());
                    let look = reconcile(object, Arc::clone(&ctx)).await;
                    let outcome = look.as_ref().map_or(Outcome::Failed, |look| look.outcome);
                    ctx.metrics.looked(kind_of::<K>(), outcome.name(), begun.elapsed());
                    failures.end_if(look.is_ok(), &uid);
                    Ok::<_, ReconcileError>(look?.next)
                };
                look.instrument(span)
            },
            move |object, error, ctx| {
                tracing::warn!(object.name = %object.name_any(), %error, "the look failed and is tried again");
                let failures = failed.add(&object.uid().unwrap_or_default());
                let verdict = Verdict::Retrying { not_before: None };
                Action::requeue(pause(&verdict, ctx.settings.pace, failures, ctx.chance(), ctx.clock.now()))
            },
            Arc::clone(ctx),
        )
        .for_each(move |looked| {
            if let Err(kube::runtime::controller::Error::ObjectNotFound(object)) = looked {
                let name = ObjectRef::new(&object.name);
                gone.looked_at(&object.namespace.map_or(name.clone(), |namespace| name.within(&namespace)));
            }
            futures::future::ready(())
        })
        .await;
}

/// The kind's name, for people and metrics.
fn kind_of<K: Resource<DynamicType = ()>>() -> &'static str {
    match K::kind(&()) {
        Cow::Borrowed(kind) => kind,
        Cow::Owned(_) => "",
    }
}

/// Everything logged during one look says which object it was about.
fn span_of<K: Resource<DynamicType = ()>>(object: &K) -> tracing::Span {
    tracing::info_span!(
        "look",
        object.kind = kind_of::<K>(),
        object.namespace = object.namespace().unwrap_or_default(),
        object.name = object.name_any(),
        object.generation = object.meta().generation
    )
}
