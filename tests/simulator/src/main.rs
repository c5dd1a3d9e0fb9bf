//! The cloud simulator as its own process: serves a world until SIGTERM or SIGINT.

use clap::{Parser, ValueEnum};
use cloud_simulator::{Ports, Simulator, WorldFile};
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use tokio::signal::unix::{SignalKind, signal};

/// Simulates the clouds' image sharing APIs, each on a plain HTTP port, with an admin interface on another.
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
    /// Where Amazon Web Services listens; port 0 picks a free one.
    #[arg(long, default_value = "127.0.0.1:0")]
    aws_address: SocketAddr,
    /// Where the admin interface listens; port 0 picks a free one. It asks no credentials: keep it on loopback.
    #[arg(long, default_value = "127.0.0.1:0")]
    control_address: SocketAddr,
    /// Where TLS stands in for the vendors' hosts, for clients that know no other: directly, or as an HTTPS proxy. Port 0 picks
    /// a free one. Default nowhere.
    #[arg(long, requires = "tls_certificate", value_name = "ADDRESS")]
    tls_address: Option<SocketAddr>,
    /// Where the certificate is written that clients of `--tls-address` have to trust, in PEM; a new one at each start.
    #[arg(long, requires = "tls_address", value_name = "FILE")]
    tls_certificate: Option<PathBuf>,
    /// Print all addresses as one line of JSON once listening.
    #[arg(long)]
    print_addresses: bool,
    /// What is logged to standard error: one line at the start, or a line for each request too. No line holds credentials.
    #[arg(long, value_enum, default_value = "requests")]
    log: Log,
}

/// What is logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Log {
    /// One line: what listens where.
    Start,
    /// The same, and a line for each request.
    Requests,
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
    let Options { cloud_address, huawei_address, aws_address, control_address, tls_address, .. } = options;
    let ports = Ports {
        cloud: cloud_address,
        huawei: huawei_address,
        aws: aws_address,
        control: control_address,
        tls: tls_address,
    };
    let simulator = Simulator::start(world, ports).await.map_err(|error| error.to_string())?;
    if let (Some(stand_in), Some(file)) = (simulator.stand_in(), &options.tls_certificate) {
        let written = tokio::fs::write(file, &stand_in.certificate).await;
        written.map_err(|error| format!("{}: {error}", file.display()))?;
    }
    say(&simulator.summary());
    if options.log == Log::Requests {
        simulator.log_requests(say);
    }
    if options.print_addresses {
        let (cloud, huawei, aws) = (simulator.cloud_url(), simulator.huawei_url(), simulator.aws_url());
        let control = simulator.control_url();
        let tls = simulator.stand_in().map(|stand_in| stand_in.address.to_string());
        println!(
            "{}",
            serde_json::json!({"cloud": cloud, "huawei": huawei, "aws": aws, "control": control, "tls": tls})
        );
    }
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    simulator.stop().await;
    Ok(())
}

/// A line on standard error, which somebody may have closed.
fn say(line: &str) {
    drop(writeln!(std::io::stderr(), "{line}"));
}
