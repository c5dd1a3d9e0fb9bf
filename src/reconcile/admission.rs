//! Workers, and seats at the clouds. A reconcile holds one of a few workers while it works with Kubernetes. It returns the
//! worker when it begins to call a cloud, for which it needs a seat in the queue (`Line`) of its account and region. While it
//! waits for a seat, it holds nothing (`planning::admission`).

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use kube::Resource;
use kube::runtime::reflector::ObjectRef;
use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::clouds::budget::Begun;
use crate::clouds::clock::Clock;
use crate::planning::admission::{Ask, Line, Seat, SharedSeats};
use crate::reconcile::queue::send_all;

/// Namespace and name of an object.
type Name = Arc<(String, String)>;

/// The workers of one kind, and its queues.
pub(crate) struct Admission<K: Resource<DynamicType = ()>> {
    workers: Arc<Semaphore>,
    seats: usize,
    lines: Mutex<Lines>,
    queue: UnboundedSender<ObjectRef<K>>,
    clock: Arc<dyn Clock>,
}

struct Lines {
    /// By account and region.
    all: HashMap<String, Line<Name>>,
    /// The queue of each object.
    of: HashMap<Name, String>,
    shared: SharedSeats,
    /// The queues in which somebody waits for a shared seat, in turn.
    in_turn: VecDeque<String>,
    queued: HashSet<String>,
}

impl Lines {
    fn new(shared: usize) -> Self {
        let shared = SharedSeats::new(shared);
        Self { all: HashMap::new(), of: HashMap::new(), shared, in_turn: VecDeque::new(), queued: HashSet::new() }
    }

    /// Ends a reconcile or withdraws its request. A shared seat that it held goes to the queue whose turn it is. Returns the
    /// reconciles to requeue now.
    fn leave(&mut self, who: &Name, line_name: &str, now: Timestamp) -> Vec<Name> {
        let Some(line) = self.all.get_mut(line_name) else { return Vec::new() };
        line.leave(who, &mut self.shared);
        let mut called = line.call(now, &mut SharedSeats::new(0));
        if line.is_empty() {
            self.all.remove(line_name);
        } else if self.queued.insert(line_name.to_owned()) {
            self.in_turn.push_back(line_name.to_owned());
        }
        called.extend(self.share(now));
        called
    }

    /// Notes that a queue may wait for a shared seat.
    fn await_turn(&mut self, name: &str) {
        let waits = self.all.get(name).is_some_and(Line::waits);
        if waits && !self.shared.any_left() && self.queued.insert(name.to_owned()) {
            self.in_turn.push_back(name.to_owned());
        }
    }

    /// Gives free shared seats to the queues that wait for one. Returns the reconciles to requeue now.
    fn share(&mut self, now: Timestamp) -> Vec<Name> {
        let mut called = Vec::new();
        while self.shared.any_left()
            && let Some(name) = self.in_turn.pop_front()
        {
            self.queued.remove(&name);
            if let Some(line) = self.all.get_mut(&name) {
                called.extend(line.call(now, &mut self.shared));
            }
            self.await_turn(&name);
        }
        called
    }
}

impl<K: Resource<DynamicType = ()>> Admission<K> {
    /// `seats`: how many reconciles of an account, region and priority may call at a time, and how many besides the first of
    /// each queue. `queue`: enqueues an object.
    pub(crate) fn new(
        workers: usize,
        (seats, shared): (usize, usize),
        queue: UnboundedSender<ObjectRef<K>>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let (workers, lines) = (Arc::new(Semaphore::new(workers)), Mutex::new(Lines::new(shared)));
        Self { workers, seats, lines, queue, clock }
    }

    /// Waits for a worker.
    pub(crate) async fn worker(self: Arc<Self>, object: &ObjectRef<K>) -> Worker<K> {
        // It is never closed.
        let permit = Arc::clone(&self.workers).acquire_owned().await.ok();
        let name = Arc::new((object.namespace.clone().unwrap_or_default(), object.name.clone()));
        Worker { permit, entry: QueueEntry { admission: self, name, waits: false } }
    }

    /// Removes a deleted object.
    pub(crate) fn leave(&self, namespace: Option<String>, name: String) {
        self.leave_line(&Arc::new((namespace.unwrap_or_default(), name)));
    }

    fn lines(&self) -> MutexGuard<'_, Lines> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ask(&self, name: &Name, line_name: &str, ask: Ask) -> Option<Seat> {
        let now = self.clock.now();
        if self.lines().of.get(name).is_some_and(|line| line != line_name) {
            self.leave_line(name);
        }
        let mut lines = self.lines();
        lines.of.insert(Arc::clone(name), line_name.to_owned());
        let Lines { all, shared, .. } = &mut *lines;
        let line = all.entry(line_name.to_owned()).or_insert_with(|| Line::new(self.seats));
        let (seat, called) = line.ask(name, ask, now, shared);
        lines.await_turn(line_name);
        drop(lines);
        self.call(&called);
        seat
    }

    fn leave_line(&self, name: &Name) {
        let mut lines = self.lines();
        let Some(place) = lines.of.remove(name) else { return };
        let called = lines.leave(name, &place, self.clock.now());
        drop(lines);
        self.call(&called);
    }

    fn call(&self, names: &[Name]) {
        send_all(&self.queue, names.iter().map(|name| ObjectRef::new(&name.1).within(&name.0)));
    }
}

/// An object's entry in a queue. Dropping it removes the object from the queue, unless the object still waits there.
pub(crate) struct QueueEntry<K: Resource<DynamicType = ()>> {
    admission: Arc<Admission<K>>,
    name: Name,
    waits: bool,
}

impl<K: Resource<DynamicType = ()>> Drop for QueueEntry<K> {
    fn drop(&mut self) {
        if !self.waits {
            self.admission.leave_line(&self.name);
        }
    }
}

/// The permit of a reconcile until it calls a cloud.
pub struct Worker<K: Resource<DynamicType = ()>> {
    permit: Option<OwnedSemaphorePermit>,
    entry: QueueEntry<K>,
}

impl<K: Resource<DynamicType = ()>> Worker<K> {
    /// Returns the worker and asks for a seat at an account of the object's namespace in a region. `None`: the object is
    /// enqueued again once it has a seat, and whenever it changes before.
    pub(crate) fn begin(mut self, account: &str, region: &str, ask: Ask) -> Option<(QueueEntry<K>, Begun)> {
        self.permit.take();
        let line = format!("{}/{account}/{region}", self.entry.name.0);
        let seat = self.entry.admission.ask(&self.entry.name, &line, ask);
        self.entry.waits = seat.is_none();
        seat.map(|seat| (self.entry, Begun::now(seat.fresh)))
    }
}
