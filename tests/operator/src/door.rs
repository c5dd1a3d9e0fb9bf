//! Doors: servers on loopback that tell who came.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// One who came: the first line of the request, or nothing if none was sent.
pub type Visits = Arc<Mutex<Vec<String>>>;

/// What a door says to a request: the whole answer.
pub type Says = Arc<dyn Fn(&str) -> String + Send + Sync>;

/// What tries whether a door counts.
const CONTROL: &str = "GET /control HTTP/1.1";

/// A door that answers.
pub struct Door {
    pub address: SocketAddr,
    visits: Visits,
}

/// An answer with this status, further headers (each with its line's end) and body.
pub fn answer(status: u16, headers: &str, body: &str) -> String {
    format!("HTTP/1.1 {status} x\r\ncontent-length: {}\r\nconnection: close\r\n{headers}\r\n{body}", body.len())
}

impl Door {
    pub fn open(says: impl Fn(&str) -> String + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (address, visits) = (listener.local_addr().unwrap(), Visits::default());
        serve(listener, Arc::clone(&visits), Arc::new(says));
        Self { address, visits }
    }

    /// The door at which nobody must ever knock, at every address of this machine that a trick may lead to.
    pub fn forbidden() -> Self {
        let says: Says = Arc::new(|_: &str| answer(200, "", "{}"));
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (address, visits) = (listener.local_addr().unwrap(), Visits::default());
        for other in ["127.0.0.2", "[::1]"] {
            // A machine may have no such address, or its port may be taken: then nobody can come to it there.
            if let Ok(listener) = TcpListener::bind(format!("{other}:{}", address.port())) {
                serve(listener, Arc::clone(&visits), Arc::clone(&says));
            }
        }
        serve(listener, Arc::clone(&visits), says);
        Self { address, visits }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Everybody who came, but for those who only tried whether it counts.
    pub fn visits(&self) -> Vec<String> {
        let visits = self.visits.lock().unwrap();
        visits.iter().filter(|line| *line != CONTROL).cloned().collect()
    }

    /// It does count: one more visit is seen.
    pub fn counts(&self) {
        let seen = || self.visits.lock().unwrap().len();
        let before = seen();
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.write_all(format!("{CONTROL}\r\n\r\n").as_bytes()).unwrap();
        stream.read_to_end(&mut Vec::new()).unwrap();
        assert!(seen() > before, "this door does not count");
    }
}

/// Serves until the process ends.
fn serve(listener: TcpListener, visits: Visits, says: Says) {
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let (visits, says) = (Arc::clone(&visits), Arc::clone(&says));
            thread::spawn(move || attend(stream, &visits, &says));
        }
    });
}

fn attend(mut stream: TcpStream, visits: &Visits, says: &Says) {
    stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    let request = read(&mut stream);
    let line = request.lines().next().unwrap_or_default().to_owned();
    visits.lock().unwrap().push(line);
    // The visitor may have gone.
    let _written = stream.write_all(says(&request).as_bytes());
}

/// A request with its body, as long as its head says.
fn read(stream: &mut TcpStream) -> String {
    let (mut bytes, mut buffer) = (Vec::new(), [0_u8; 4096]);
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length =
                head.lines().find_map(|line| line.to_lowercase().strip_prefix("content-length:")?.trim().parse().ok());
            if body.len() >= length.unwrap_or(0) {
                return text;
            }
        }
        match stream.read(&mut buffer) {
            Ok(read @ 1..) => bytes.extend_from_slice(&buffer[..read]),
            _ => return text,
        }
    }
}
