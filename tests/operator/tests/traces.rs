//! Traces, where they are built in: each look at an object is a span that arrives where the environment says.

#![cfg(feature = "otlp")]
use std::time::Duration;

use anyhow::{Result, ensure};
use axum::Router;
use axum::body::Bytes;
use axum::http::Uri;
use imageshare_harness::{ControlPlane, Namespace, Operator, eventually, run};
use imageshare_operator::api::CloudAccount;
use kube::api::PostParams;
use serde_json::json;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

/// Somebody who takes what is sent to it; gives its address.
async fn collector() -> Result<(String, UnboundedReceiver<(String, Bytes)>)> {
    let (tell, told) = unbounded_channel();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let address = format!("http://{}", listener.local_addr()?);
    let take = move |path: Uri, body: Bytes| {
        let tell = tell.clone();
        async move { drop(tell.send((path.path().to_owned(), body))) }
    };
    tokio::spawn(async move { axum::serve(listener, Router::new().fallback(take)).await });
    Ok((address, told))
}

fn holds(body: &[u8], text: &str) -> bool {
    body.windows(text.len()).any(|part| part == text.as_bytes())
}

#[tokio::test]
async fn each_look_arrives_as_a_span_that_names_its_object() -> Result<()> {
    let control_plane = ControlPlane::shared().await?;
    let (address, mut told) = collector().await?;
    let launch = Operator::launch(control_plane.operator_kubeconfig().await?)?
        .environment("OTEL_EXPORTER_OTLP_ENDPOINT", &address)
        .environment("OTEL_BSP_SCHEDULE_DELAY", "200");
    let mut operator = Operator::start(launch, &run::folder_of_this_binary()?)?;
    let namespace = Namespace::create(&control_plane.client().await?, "traced").await?;
    let spec = json!({"alibaba": {"accountID": "1000000000000001", "site": "China",
        "credentials": {"secretRef": {"name": "none"}}}});
    let account = CloudAccount::new("golden", serde_json::from_value(spec)?);
    namespace.api().create(&PostParams::default(), &account).await?;
    eventually(Duration::from_secs(60), "a span about the account", async || {
        let (path, body) = told.recv().await.unwrap();
        ensure!(path == "/v1/traces", "{path}");
        let wanted = ["imageshare-operator", "reconcile", "object.kind", "CloudAccount", namespace.name()];
        Ok(wanted.iter().all(|text| holds(&body, text)).then_some(()))
    })
    .await?;
    ensure!(operator.stop(Duration::from_secs(10)).await? == 0, "it stops in order");
    Ok(())
}
