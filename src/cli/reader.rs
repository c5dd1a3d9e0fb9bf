//! Reads objects with the user's own rights. A right that is missing ends no command: it is recorded, and the answer says
//! which part of it is unknown.

use std::collections::BTreeMap;
use std::fmt;

use http::HeaderValue;
use http::header::USER_AGENT;
use k8s_openapi::api::core::v1::Namespace;
use kube::api::{Api, ListParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::core::NamespaceResourceScope;
use kube::{Client, Config, Resource};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::arguments::{Connection, Search};
use super::{Answer, CliError, INCOMPLETE};
use crate::cluster::guard::Guarded;
use crate::cluster::{ClusterError, connect, within_deadline};

/// Objects of one page of a list.
const PAGE: u32 = 250;

/// How audit logs name this program.
const NAME_AND_VERSION: &str = concat!("kubectl-imageshare/", env!("CARGO_PKG_VERSION"));

const FORBIDDEN: u16 = 403;
const NOT_FOUND: u16 = 404;

/// Which namespaces a search reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Scope {
    /// This one.
    One(String),
    /// All of them.
    All,
    /// All of them, or this one alone where the user may not read all.
    AllOr(String),
}

/// A right that the user lacks, and what is therefore unknown.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(super) struct Missing {
    /// The verb, as RBAC names it.
    pub(super) verb: &'static str,
    /// The resource, as `cloudimages.imageshare.dev`.
    pub(super) resource: String,
    /// The namespace; absent for all namespaces.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) namespace: Option<String>,
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { verb, resource, namespace } = self;
        match namespace {
            Some(namespace) => write!(f, "you may not {verb} {resource} in the namespace {namespace}"),
            None => write!(f, "you may not {verb} {resource} in all namespaces"),
        }
    }
}

/// An object that was looked up.
#[derive(Debug, Clone)]
pub(super) enum Found<K> {
    /// It exists.
    There(Box<Guarded<K>>),
    /// It does not exist.
    Absent,
    /// The user may not read it.
    Hidden,
}

/// A kind that commands read.
pub(super) trait Kind:
    Resource<Scope = NamespaceResourceScope, DynamicType = ()> + DeserializeOwned + Clone + fmt::Debug + Send + 'static
{
}

impl<K> Kind for K where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>
        + DeserializeOwned
        + Clone
        + fmt::Debug
        + Send
        + 'static
{
}

/// A client with the user's rights, and the rights that were missing so far.
pub(super) struct Reader {
    pub(super) client: Client,
    /// The namespace of the arguments, or of the context.
    pub(super) namespace: String,
    pub(super) missing: Vec<Missing>,
}

impl Reader {
    /// Connects as the kubeconfig says. Nothing is sent yet.
    pub(super) async fn connect(connection: &Connection) -> Result<Self, CliError> {
        let Connection { kubeconfig, context, namespace } = connection;
        let options = KubeConfigOptions { context: context.clone(), ..KubeConfigOptions::default() };
        let mut config = match kubeconfig {
            Some(file) => Config::from_custom_kubeconfig(Kubeconfig::read_from(file)?, &options).await?,
            None => Config::from_kubeconfig(&options).await?,
        };
        if let Some(namespace) = namespace {
            config.default_namespace.clone_from(namespace);
        }
        let namespace = config.default_namespace.clone();
        config.headers.push((USER_AGENT, HeaderValue::from_static(NAME_AND_VERSION)));
        let address = config.cluster_url.to_string();
        let client = connect::connect(config);
        let client = client.map_err(|error| cluster(format!("connecting to {address}"), error.into()))?;
        Ok(Self { client, namespace, missing: Vec::new() })
    }

    /// The same client for another answer, in a namespace: no right is missing so far.
    pub(super) fn anew(&self, namespace: &str) -> Self {
        Self { client: self.client.clone(), namespace: namespace.to_owned(), missing: Vec::new() }
    }

    /// What a search covers.
    pub(super) fn scope(&self, connection: &Connection, search: &Search) -> Scope {
        match (search.all_namespaces, &connection.namespace) {
            (true, _) => Scope::All,
            (false, Some(namespace)) => Scope::One(namespace.clone()),
            (false, None) => Scope::AllOr(self.namespace.clone()),
        }
    }

    /// All objects of a kind in a scope, as far as the user may read them.
    pub(super) async fn list<K: Kind>(&mut self, scope: &Scope) -> Result<Vec<Guarded<K>>, CliError> {
        let wide = match scope {
            Scope::One(namespace) => return Ok(self.list_in::<K>(Some(namespace)).await?.unwrap_or_default()),
            Scope::All | Scope::AllOr(_) => self.list_in::<K>(None).await?,
        };
        match (wide, scope) {
            (Some(all), _) => Ok(all),
            (None, Scope::AllOr(namespace)) => Ok(self.list_in::<K>(Some(namespace)).await?.unwrap_or_default()),
            (None, _) => Ok(Vec::new()),
        }
    }

    /// All objects of a kind whose field has a value, in a namespace or in all of them; `None` where the user may not.
    pub(super) async fn list_where<K: Kind>(
        &mut self,
        namespace: Option<&str>,
        selector: &str,
    ) -> Result<Option<Vec<Guarded<K>>>, CliError> {
        self.pages(namespace, ListParams::default().fields(selector)).await
    }

    /// The labels of a namespace; `None` where there is none, or where the user may not read them.
    pub(super) async fn labels_of(&mut self, namespace: &str) -> Result<Option<BTreeMap<String, String>>, CliError> {
        let api: Api<Namespace> = Api::all(self.client.clone());
        match within_deadline(api.get_opt(namespace)).await {
            Ok(found) => Ok(found.map(|found| found.metadata.labels.unwrap_or_default())),
            Err(error) if code(&error) == Some(FORBIDDEN) => {
                let missing = Missing { verb: "get", resource: "namespaces".to_owned(), namespace: None };
                self.note_missing(missing);
                Ok(None)
            }
            Err(error) => Err(cluster(format!("reading the namespace {namespace}"), error)),
        }
    }

    /// `None` where the user may not.
    async fn list_in<K: Kind>(&mut self, namespace: Option<&str>) -> Result<Option<Vec<Guarded<K>>>, CliError> {
        self.pages(namespace, ListParams::default()).await
    }

    async fn pages<K: Kind>(
        &mut self,
        namespace: Option<&str>,
        params: ListParams,
    ) -> Result<Option<Vec<Guarded<K>>>, CliError> {
        let api: Api<Guarded<K>> = match namespace {
            Some(namespace) => Api::namespaced(self.client.clone(), namespace),
            None => Api::all(self.client.clone()),
        };
        let mut all = Vec::new();
        let mut params = params.limit(PAGE);
        loop {
            let page = match within_deadline(api.list(&params)).await {
                Ok(page) => page,
                Err(error) if code(&error) == Some(FORBIDDEN) => {
                    self.lacks::<K>("list", namespace);
                    return Ok(None);
                }
                Err(error) => return Err(explained::<K>(error)),
            };
            all.extend(page.items);
            match page.metadata.continue_.filter(|token| !token.is_empty()) {
                Some(token) => params = params.continue_token(&token),
                None => return Ok(Some(all)),
            }
        }
    }

    /// One object.
    pub(super) async fn get<K: Kind>(&mut self, namespace: &str, name: &str) -> Result<Found<K>, CliError> {
        let api: Api<Guarded<K>> = Api::namespaced(self.client.clone(), namespace);
        match within_deadline(api.get_opt(name)).await {
            Ok(Some(object)) => Ok(Found::There(Box::new(object))),
            Ok(None) => Ok(Found::Absent),
            Err(error) if code(&error) == Some(FORBIDDEN) => {
                self.lacks::<K>("get", Some(namespace));
                Ok(Found::Hidden)
            }
            Err(error) => Err(explained::<K>(error)),
        }
    }

    fn lacks<K: Kind>(&mut self, verb: &'static str, namespace: Option<&str>) {
        self.note_missing(Missing { verb, resource: resource_of::<K>(), namespace: namespace.map(ToOwned::to_owned) });
    }

    /// Records a right that is missing, once.
    pub(super) fn note_missing(&mut self, missing: Missing) {
        if !self.missing.contains(&missing) {
            self.missing.push(missing);
        }
    }
}

/// `cloudimages.imageshare.dev`.
pub(super) fn resource_of<K: Resource<DynamicType = ()>>() -> String {
    format!("{}.{}", K::plural(&()), K::group(&()))
}

fn code(error: &ClusterError) -> Option<u16> {
    match error {
        ClusterError::Api(kube::Error::Api(status)) => Some(status.code),
        _ => None,
    }
}

fn explained<K: Kind>(error: ClusterError) -> CliError {
    let resource = resource_of::<K>();
    if code(&error) == Some(NOT_FOUND) {
        return CliError::Refused(format!("the cluster has no {resource}: imageshare-operator is not installed there"));
    }
    cluster(format!("reading {resource}"), error)
}

pub(super) fn cluster(what: String, source: ClusterError) -> CliError {
    CliError::Cluster { what, source }
}

/// An answer that may lack a part: `gaps` say which, each as a sentence. The text repeats them, since it may go where
/// standard error does not.
pub(super) fn answer(text: String, gaps: &[String], is_table: bool, otherwise: u8) -> Answer {
    let notes: Vec<String> = gaps.iter().map(|gap| format!("incomplete: {gap}")).collect();
    let shown = if is_table && !notes.is_empty() { format!("{text}\n{}\n", notes.join("\n")) } else { text };
    let exit = if gaps.is_empty() { otherwise } else { INCOMPLETE };
    // Where both go to one terminal, once is enough.
    Answer { text: shown, notes: if is_table { Vec::new() } else { notes }, exit }
}
