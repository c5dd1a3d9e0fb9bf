//! Proxies by the variables of the process.

use anyhow::{Result, ensure};
use imageshare_harness::ControlPlane;
use serde_json::json;

use crate::forward_proxy::{ADMITTED, PASSWORD};
use crate::scene::{Clouds, Scene};

#[tokio::test]
async fn calls_to_clouds_and_to_the_api_server_pass_through_the_proxy() -> Result<()> {
    let clouds = Clouds::start().await?;
    let proxy = clouds.proxy().await?;
    let file = clouds.authority_file()?;
    let mut scene = Scene::open(&[], |launch| {
        launch.environment("HTTPS_PROXY", proxy.url(ADMITTED)).environment("SSL_CERT_FILE", file.display().to_string())
    })
    .await?;
    scene.secret("golden", &[]).await?;
    scene.account("golden", json!({}), json!({})).await?;
    scene.until("golden", "Verified").await?;
    for host in ["CONNECT sts.aliyuncs.com:443", "CONNECT ecs.aliyuncs.com:443"] {
        ensure!(proxy.passed_to(host) > 0, "{host}: {:?}", proxy.passed());
    }
    let api_server = ControlPlane::shared().await?.url().trim_start_matches("https://").to_owned();
    ensure!(proxy.passed_to(&format!("CONNECT {api_server}")) > 0, "{api_server}: {:?}", proxy.passed());
    ensure!(proxy.refused() == 0, "{} requests had no credentials", proxy.refused());
    let log = scene.operator.process.log();
    ensure!(log.contains(&format!("through the proxy {}", proxy.address)), "the log names no proxy:\n{log}");
    scene.ensure_hidden(&[PASSWORD]).await
}

#[tokio::test]
async fn hosts_of_no_proxy_are_reached_directly_and_plain_http_has_a_proxy_of_its_own() -> Result<()> {
    let clouds = Clouds::start().await?;
    let (https, http) = (clouds.proxy().await?, clouds.proxy().await?);
    let (file, simulator) = (clouds.authority_file()?, clouds.simulator.cloud_url());
    let variables = |direct: &'static str| {
        let (https, http, file) = (https.url(ADMITTED), http.url(ADMITTED), file.display().to_string());
        move |launch: imageshare_harness::process::Launch| {
            launch
                .environment("https_proxy", https)
                .environment("HTTP_PROXY", http)
                .environment("NO_PROXY", direct)
                .environment("SSL_CERT_FILE", file)
        }
    };
    let mut scene = Scene::open(&["--allowed-endpoint", &simulator], variables(".example, 127.0.0.1")).await?;
    for (name, at) in [("direct", json!({"endpoint": simulator})), ("proxied", json!({}))] {
        scene.secret(name, &[]).await?;
        scene.account(name, at, json!({})).await?;
        scene.until(name, "Verified").await?;
    }
    ensure!(http.passed().is_empty(), "plain requests to 127.0.0.1 passed: {:?}", http.passed());
    ensure!(https.passed_to("127.0.0.1") == 0, "the API server is not reached directly: {:?}", https.passed());
    ensure!(https.passed_to("sts.aliyuncs.com") > 0, "{:?}", https.passed());

    let mut scene = Scene::open(&["--allowed-endpoint", &simulator], variables("localhost")).await?;
    scene.secret("plain", &[]).await?;
    scene.account("plain", json!({"endpoint": simulator}), json!({})).await?;
    scene.until("plain", "Verified").await?;
    let to = format!("POST {simulator}/");
    ensure!(http.passed_to(&to) > 0, "{:?}", http.passed());
    scene.ensure_hidden(&[PASSWORD]).await
}

/// A stranger reads which proxy, and what is wrong with it.
#[tokio::test]
async fn wrong_credentials_of_the_proxy_are_told_as_its_failure_without_its_password() -> Result<()> {
    const WRONG: &str = "CanaryThatIsWrong";
    let clouds = Clouds::start().await?;
    let proxy = clouds.proxy().await?;
    let url = proxy.url(&format!("golden:{WRONG}"));
    let mut scene =
        Scene::open(&[], |launch| launch.environment("HTTPS_PROXY", url).environment("NO_PROXY", "127.0.0.0/8"))
            .await?;
    scene.secret("golden", &[]).await?;
    scene.account("golden", json!({}), json!({})).await?;
    let message = scene.until("golden", "CloudUnavailable").await?;
    let wanted = format!(
        "the operator cannot reach sts.aliyuncs.com through the proxy {}: the proxy refuses its user and password",
        proxy.address
    );
    ensure!(message.contains(&wanted), "{message}");
    ensure!(proxy.refused() > 0 && proxy.passed().is_empty(), "{:?}", proxy.passed());
    scene.ensure_hidden(&[WRONG]).await
}

/// What a tenant may not name is refused before anybody is asked, the proxy included, which may reach what the operator cannot.
#[tokio::test]
async fn no_endpoint_that_is_not_allowed_is_asked_of_the_proxy() -> Result<()> {
    let clouds = Clouds::start().await?;
    let proxy = clouds.proxy().await?;
    let url = proxy.url(ADMITTED);
    let mut scene = Scene::open(&[], |launch| {
        launch
            .environment("HTTPS_PROXY", url.clone())
            .environment("HTTP_PROXY", url)
            .environment("NO_PROXY", "127.0.0.1")
    })
    .await?;
    for (name, endpoint) in [("elsewhere", "https://internal.example"), ("metadata", "http://100.100.100.200")] {
        scene.secret(name, &[]).await?;
        scene.account(name, json!({"endpoint": endpoint}), json!({})).await?;
        scene.until(name, "EndpointNotAllowed").await?;
    }
    ensure!(proxy.passed().is_empty() && proxy.refused() == 0, "{:?}", proxy.passed());
    Ok(())
}

#[tokio::test]
async fn a_variable_that_is_no_proxy_ends_the_operator_with_its_name_and_without_its_value() -> Result<()> {
    let mut scene =
        Scene::open(&[], |launch| launch.environment("HTTPS_PROXY", "socks5://golden:CanaryOfSocks@proxy:1")).await?;
    let ended = imageshare_harness::eventually(support::PATIENCE, "the operator to end", async || {
        scene.operator.process.ended()
    })
    .await?;
    let log = scene.operator.process.log();
    ensure!(ended != 0 && log.contains("HTTPS_PROXY: a proxy is http://host:port"), "{ended}: {log}");
    scene.ensure_hidden(&["CanaryOfSocks"]).await
}

#[tokio::test]
async fn an_allowed_endpoint_that_is_none_ends_the_operator_with_its_text() -> Result<()> {
    let mut scene = Scene::open(&["--allowed-endpoint", "http://ecs.example.com"], |launch| launch).await?;
    let ended = imageshare_harness::eventually(support::PATIENCE, "the operator to end", async || {
        scene.operator.process.ended()
    })
    .await?;
    let log = scene.operator.process.log();
    ensure!(ended != 0 && log.contains("--allowed-endpoint \"http://ecs.example.com\": "), "{ended}: {log}");
    Ok(())
}
