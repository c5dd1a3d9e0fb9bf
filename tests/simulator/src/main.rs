//! The cloud simulator as its own process: serves a world until SIGTERM or SIGINT.

use clap::Parser;
use cloud_simulator::{Ports, Simulator, WorldFile};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use tokio::signal::unix::{SignalKind, signal};

/// Simulates the clouds' image sharing APIs, each on a plain HTTP port, and a control API on another.
#[derive(Debug, Parser)]
#[command(version)]
struct Options {
    /// The world to serve, in YAML or JSON.
    #[arg(long, value_name = "FILE")]
    world: PathBuf,
    /// Where Alibaba Cloud listens; port 0 picks a free one.
    #[arg(long, default_value = "127.0.0.1:0")]
    cloud_address: SocketAddr,
    /// Where Huawei Cloud listens; port 0 picks a free one.
    #[arg(long, default_value = "127.0.0.1:0")]
    huawei_address: SocketAddr,
    /// Where the control API listens; port 0 picks a free one. It asks no credentials: keep it on loopback.
    #[arg(long, default_value = "127.0.0.1:0")]
    control_address: SocketAddr,
    /// Print all addresses as one line of JSON once listening.
    #[arg(long)]
    print_addresses: bool,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Options::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("cloud-simulator: {why}");
            ExitCode::FAILURE
        }
    }
}

async fn run(options: Options) -> Result<(), String> {
    let mut terminate = signal(SignalKind::terminate()).map_err(|error| error.to_string())?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(|error| error.to_string())?;
    let path = options.world.display();
    let text = tokio::fs::read_to_string(&options.world).await.map_err(|error| format!("{path}: {error}"))?;
    let world = WorldFile::parse(&text).map_err(|error| format!("{path}: {error}"))?;
    let Options { cloud_address, huawei_address, control_address, .. } = options;
    let ports = Ports { cloud: cloud_address, huawei: huawei_address, control: control_address };
    let simulator = Simulator::start(world, ports).await.map_err(|error| error.to_string())?;
    if options.print_addresses {
        let (cloud, huawei, control) = (simulator.cloud_url(), simulator.huawei_url(), simulator.control_url());
        println!("{}", serde_json::json!({"cloud": cloud, "huawei": huawei, "control": control}));
    }
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    simulator.stop().await;
    Ok(())
}
