//! The simulator as a process: what it prints, and what it says when it cannot start.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use serde_json::Value;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const SECRET: &str = "fakeAlibabaSecretForCapture0001";
/// A request that its own key signed, of the time at which the world's clock stands.
const REGIONS: &str = include_str!("../../captures/alibaba/DescribeRegions.raw");

/// A process, and the file that holds what it wrote to standard error; dropping it ends it.
struct Process {
    child: Child,
    log: PathBuf,
    folder: PathBuf,
}

impl Process {
    fn start(arguments: &[&str]) -> Self {
        let folder = std::env::temp_dir().join(format!("cloud-simulator-{:016x}", rand::random::<u64>()));
        fs::create_dir(&folder).unwrap();
        let (world, log) = (folder.join("world.yaml"), folder.join("log"));
        let text = format!(
            "
clock: 2026-11-21T23:42:00Z
regions: [cn-hangzhou]
accounts:
  - {{id: '2000000000000000', keys: [{{id: LTAI5tFakeAccessKeyId01, secret: {SECRET}}}]}}
  - {{id: '1000000000000001'}}
images: [{{id: m-bp67acfmxazb4p0000, region: cn-hangzhou, owner: '2000000000000000'}}]"
        );
        fs::write(&world, text).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_cloud-simulator"));
        command.arg("--world").arg(&world).arg("--print-addresses").args(arguments);
        command.stdout(Stdio::piped()).stderr(File::create(&log).unwrap());
        Self { child: command.spawn().unwrap(), log, folder }
    }

    /// Where Alibaba Cloud listens, as it is printed.
    fn cloud(&mut self) -> String {
        let mut line = String::new();
        BufReader::new(self.child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let addresses: Value = serde_json::from_str(&line).unwrap();
        addresses["cloud"].as_str().unwrap().strip_prefix("http://").unwrap().to_owned()
    }

    fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap()
    }

    /// The log once it has that many lines.
    fn lines(&self, wanted: usize) -> Vec<String> {
        let begun = Instant::now();
        loop {
            let lines: Vec<String> = self.log().lines().map(ToOwned::to_owned).collect();
            if lines.len() >= wanted {
                return lines;
            }
            assert!(begun.elapsed() < Duration::from_secs(10), "{lines:?}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
        drop(fs::remove_dir_all(&self.folder));
    }
}

fn send(address: &str, request: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = [0; 1024];
    let read = stream.read(&mut answer).unwrap();
    String::from_utf8_lossy(&answer[..read]).into_owned()
}

#[test]
fn an_address_that_is_taken_is_named_with_what_wanted_it() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    for (flag, what) in [
        ("--cloud-address", "the simulated Alibaba Cloud"),
        ("--huawei-address", "the simulated Huawei Cloud"),
        ("--control-address", "the control of the simulator"),
    ] {
        let mut process = Process::start(&[flag, &taken]);
        assert!(!process.child.wait().unwrap().success());
        let log = process.log();
        assert!(log.contains(&format!("{what} at {taken}: Address already in use")), "{log}");
    }
    let mut process = Process::start(&["--tls-address", &taken, "--tls-certificate", "/dev/null"]);
    assert!(!process.child.wait().unwrap().success());
    let log = process.log();
    assert!(log.contains(&format!("TLS for the vendors' hosts at {taken}: Address already in use")), "{log}");
}

#[test]
fn the_log_says_where_what_listens_and_what_was_asked_and_holds_no_secret() {
    let mut process = Process::start(&[]);
    let cloud = process.cloud();
    let first = process.lines(1).remove(0);
    for words in [&format!("Alibaba Cloud at http://{cloud} (2 accounts, 1 image)"), "Huawei Cloud at http://", "admin"]
    {
        assert!(first.contains(words), "{words}: {first}");
    }
    assert!(send(&cloud, REGIONS).contains(" 200 "));
    let unsigned = "GET /?Action=DeleteImage HTTP/1.1\r\nHost: ecs.aliyuncs.com\r\nContent-Length: 0\r\n\r\n";
    assert!(!send(&cloud, unsigned).contains(" 200 "));
    let oversized = format!(
        "GET /?Action={}%0Aforged HTTP/1.1\r\nHost: ecs.aliyuncs.com\r\nContent-Length: 0\r\n\r\n",
        "x".repeat(5000)
    );
    send(&cloud, &oversized);
    let lines = process.lines(4);
    assert_eq!(lines.len(), 4, "{lines:?}");
    assert!(lines[1].ends_with("Alibaba DescribeRegions account=2000000000000000 200 OK"), "{lines:?}");
    assert!(lines[2].contains(" DeleteImage ") && !lines[2].contains("account="), "{lines:?}");
    assert!(lines.iter().all(|line| line.len() < 600 && !line.starts_with("forged")), "{lines:?}");
    let log = process.log();
    assert!(!log.contains(SECRET) && !log.contains("LTAI5tFakeAccessKeyId01"), "{log}");
}

#[test]
fn requests_are_left_out_of_the_log_when_asked() {
    let mut process = Process::start(&["--log", "start"]);
    let cloud = process.cloud();
    assert!(send(&cloud, REGIONS).contains(" 200 "));
    std::thread::sleep(Duration::from_millis(500));
    assert_eq!(process.lines(1).len(), 1);
}
