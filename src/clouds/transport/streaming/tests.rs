use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures::future::pending;
use reqwest::{Method, Url};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::{mpsc, oneshot};

use super::super::{ANSWER_BYTES_MAX, TransportSettings};
use super::*;
use crate::domain::fault::{Cause, Unreachable};

const MIB: u64 = 1024 * 1024;
/// Most bytes of a body that sockets and connections may buffer.
const HELD_MAX: u64 = 16 * MIB;
const SHORT: Duration = Duration::from_millis(500);
const LONG: Duration = Duration::from_secs(60);

fn transport(idle: Duration, stored_within: Duration) -> Transport {
    // Much shorter than these tests take: this deadline must not end a stream.
    let deadline = Duration::from_millis(50);
    Transport::new(TransportSettings { deadline, idle, stored_within, ..TransportSettings::default() }).unwrap()
}

fn request(address: &str) -> Request {
    let url = Url::parse(&format!("http://{address}/file")).unwrap();
    Request { method: Method::PUT, url, headers: HeaderMap::new(), body: Vec::new() }
}

/// A server for one connection.
fn server<F>(serve: impl FnOnce(TcpStream) -> F + Send + 'static) -> String
where
    F: Future<Output = ()> + Send + 'static,
{
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_send_buffer_size(64 * 1024).unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(1).unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move { serve(listener.accept().await.unwrap().0).await });
    address
}

/// A server that answers a request with these bytes and keeps the connection open.
fn says(answer: impl Into<Vec<u8>>) -> String {
    let answer = answer.into();
    server(async move |mut stream| {
        head_of(&mut stream).await;
        stream.write_all(&answer).await.unwrap();
        pending::<()>().await;
    })
}

/// Reads up to the end of the headers; returns the headers and the part of the body that arrived with them.
async fn head_of(stream: &mut TcpStream) -> (String, Vec<u8>) {
    let mut seen = Vec::new();
    loop {
        let mut piece = [0; 4096];
        let length = stream.read(&mut piece).await.unwrap();
        assert_ne!(length, 0, "the connection ended within the headers");
        seen.extend_from_slice(&piece[..length]);
        if let Some(end) = seen.windows(4).position(|window| window == b"\r\n\r\n") {
            let body = seen.split_off(end + 4);
            return (String::from_utf8(seen).unwrap().to_ascii_lowercase(), body);
        }
    }
}

/// Endless pieces of 64 KiB, and the count of bytes taken from them.
fn endless() -> (Pieces, Arc<AtomicU64>) {
    let (piece, taken) = (Bytes::from(vec![7; 64 * 1024]), Arc::new(AtomicU64::new(0)));
    let counted = Arc::clone(&taken);
    let pieces = stream::repeat_with(move || {
        counted.fetch_add(piece.len() as u64, Ordering::SeqCst);
        Ok(piece.clone())
    });
    (pieces.boxed(), taken)
}

fn of(parts: impl IntoIterator<Item = Result<&'static str, Fault>>) -> Pieces {
    let parts: Vec<_> = parts.into_iter().map(|part| part.map(Bytes::from)).collect();
    stream::iter(parts).boxed()
}

fn sent_in_vain(address: &str, cause: Cause) -> Fault {
    Fault::Unreachable(Unreachable { host: address.to_owned(), cause, sent: true })
}

fn timed_out(address: &str) -> Fault {
    sent_in_vain(address, Cause::Timeout)
}

#[tokio::test]
async fn a_server_that_sends_without_end_is_not_read_ahead_of_the_reader() {
    let (stalls, mut stalled) = mpsc::channel(1);
    let address = server(async move |mut stream| {
        head_of(&mut stream).await;
        stream.write_all(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n").await.unwrap();
        let (piece, mut sent, mut told) = (vec![7; 16 * 1024], 0, 0);
        // Until the reader closes the connection.
        loop {
            match timeout(SHORT, stream.write(&piece)).await {
                Ok(Ok(length)) => sent += length as u64,
                Ok(Err(_)) => return,
                Err(_) if told < sent => {
                    told = sent;
                    stalls.send(sent).await.unwrap();
                }
                Err(_) => {}
            }
        }
    });
    let opened = transport(LONG, LONG).open(request(&address)).await.unwrap();
    assert_eq!((opened.status, opened.length), (200, None));
    let mut pieces = opened.pieces();
    let mut read = pieces.next().await.unwrap().unwrap().len() as u64;
    let sent = stalled.recv().await.unwrap();
    assert!(sent < HELD_MAX, "{sent} bytes were taken for {read} that were asked for");
    while read < 2 * HELD_MAX {
        let piece = pieces.next().await.unwrap().unwrap();
        assert!(piece.len() < 1024 * 1024, "a piece is small: {}", piece.len());
        read += piece.len() as u64;
    }
    let sent = stalled.recv().await.unwrap();
    assert!((read..read + HELD_MAX).contains(&sent), "{sent} for {read}");
}

#[tokio::test]
async fn a_body_may_take_long_as_long_as_it_moves() {
    let address = server(async |mut stream| {
        head_of(&mut stream).await;
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 8\r\n\r\n").await.unwrap();
        for _ in 0..8 {
            sleep(SHORT).await;
            stream.write_all(b"x").await.unwrap();
        }
        pending::<()>().await;
    });
    let opened = transport(SHORT * 4, LONG).open(request(&address)).await.unwrap();
    assert_eq!(opened.length, Some(8));
    let pieces: Vec<_> = opened.pieces().map(Result::unwrap).collect().await;
    assert_eq!(pieces.concat(), b"xxxxxxxx");
}

#[tokio::test]
async fn a_body_that_stands_still_or_breaks_off_is_a_fault_after_its_beginning() {
    let half = "HTTP/1.1 200 OK\r\ncontent-length: 8\r\n\r\nhalf";
    let breaks = server(async move |mut stream| {
        head_of(&mut stream).await;
        stream.write_all(half.as_bytes()).await.unwrap();
    });
    for (address, cause) in [(says(half), Cause::Timeout), (breaks, Cause::Closed)] {
        let opened = transport(SHORT, LONG).open(request(&address)).await.unwrap();
        let pieces: Vec<_> = opened.pieces().collect().await;
        assert_eq!(pieces, [Ok(Bytes::from("half")), Err(sent_in_vain(&address, cause))]);
    }
    let address = says("");
    let fault = transport(SHORT, LONG).open(request(&address)).await.err();
    assert_eq!(fault, Some(timed_out(&address)), "an answer that never begins");
}

#[tokio::test]
async fn an_answer_opened_can_be_read_whole_and_bounded() {
    let long = |more: usize| format!("HTTP/1.1 403 No\r\nx-why: 7\r\ncontent-length: {}\r\n\r\nhi", 2 + more);
    let read = async |answer: String| transport(SHORT, LONG).open(request(&says(answer))).await.unwrap().whole().await;
    let answer = read(long(0)).await.unwrap();
    assert_eq!((answer.status, answer.body.as_slice()), (403, b"hi".as_slice()));
    assert_eq!(answer.headers.get("x-why").unwrap(), "7");
    assert!(matches!(read(long(7)).await, Err(Fault::Unreachable(Unreachable { cause: Cause::Timeout, .. }))));
    assert_eq!(read(long(ANSWER_BYTES_MAX)).await.unwrap_err(), Fault::Unintelligible);
}

#[tokio::test]
async fn nobody_there_refuses_the_connection() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    drop(listener);
    let transport = transport(LONG, LONG);
    let refused = Fault::Unreachable(Unreachable { host: address.clone(), cause: Cause::Refused, sent: false });
    assert_eq!(transport.open(request(&address)).await.err(), Some(refused.clone()));
    let sent = transport.send_streamed(request(&address), 2, of([Ok("hi")])).await;
    assert_eq!(sent.unwrap_err(), refused);
}

#[tokio::test]
async fn a_body_is_sent_with_its_length_and_as_it_is() {
    let (told, seen) = oneshot::channel();
    let address = server(async move |mut stream| {
        let (head, mut body) = head_of(&mut stream).await;
        while body.len() < 9 {
            stream.read_buf(&mut body).await.unwrap();
        }
        stream.write_all(b"HTTP/1.1 204 Done\r\n\r\n").await.unwrap();
        told.send((head, body)).unwrap();
    });
    let pieces = of([Ok("one"), Ok(""), Ok("two"), Ok("six")]);
    let answer = transport(LONG, LONG).send_streamed(request(&address), 9, pieces).await.unwrap();
    let (head, body) = seen.await.unwrap();
    assert_eq!((answer.status, body.as_slice()), (204, b"onetwosix".as_slice()));
    assert!(head.contains("content-length: 9\r\n") && !head.contains("transfer-encoding"), "{head}");
}

#[tokio::test]
async fn an_empty_body_is_sent_too() {
    let address = server(async |mut stream| {
        let (head, _) = head_of(&mut stream).await;
        assert!(head.contains("content-length: 0\r\n"), "{head}");
        stream.write_all(b"HTTP/1.1 204 Done\r\n\r\n").await.unwrap();
    });
    assert_eq!(transport(LONG, LONG).send_streamed(request(&address), 0, of([])).await.unwrap().status, 204);
}

#[tokio::test]
async fn a_server_that_takes_nothing_more_ends_it_and_few_pieces_were_taken_for_it() {
    let address = server(async |mut stream| {
        head_of(&mut stream).await;
        pending::<()>().await;
    });
    let (pieces, taken) = endless();
    let sent = transport(SHORT, LONG).send_streamed(request(&address), 1024 * MIB, pieces).await;
    assert_eq!(sent.unwrap_err(), timed_out(&address));
    let taken = taken.load(Ordering::SeqCst);
    assert!(taken < HELD_MAX, "{taken} bytes were taken");
}

#[tokio::test]
async fn an_answer_is_waited_for_longer_than_a_piece_but_not_for_ever() {
    for (stored_within, answered) in [(LONG, true), (SHORT * 4, false)] {
        let address = server(async move |mut stream| {
            head_of(&mut stream).await;
            sleep(SHORT * 2).await;
            if answered {
                stream.write_all(b"HTTP/1.1 204 Done\r\n\r\n").await.unwrap();
            }
            pending::<()>().await;
        });
        let sent = transport(SHORT, stored_within).send_streamed(request(&address), 2, of([Ok("hi")])).await;
        assert_eq!(sent.map(|answer| answer.status), if answered { Ok(204) } else { Err(timed_out(&address)) });
    }
}

/// The server sees the end as well: the declared length never arrives.
#[tokio::test]
async fn pieces_that_break_off_or_are_not_as_many_as_said_end_it_with_their_own_fault() {
    for (pieces, wanted) in [
        (of([Ok("part"), Err(Fault::ClockSkew)]), Fault::ClockSkew),
        (of([Err(Fault::Unavailable)]), Fault::Unavailable),
        (of([Ok("part")]), Fault::Unintelligible),
        (of([Ok("part"), Ok("too much")]), Fault::Unintelligible),
    ] {
        let (told, seen) = oneshot::channel();
        let address = server(async move |mut stream| {
            let mut body = Vec::new();
            // A read error is an end as well.
            stream.read_to_end(&mut body).await.ok();
            told.send(body).unwrap();
        });
        let sent = transport(LONG, LONG).send_streamed(request(&address), 8, pieces).await;
        assert_eq!(sent.unwrap_err(), wanted);
        let seen = String::from_utf8(seen.await.unwrap()).unwrap();
        assert!(!seen.contains("too much"), "{seen}");
    }
}

#[tokio::test]
async fn pieces_that_do_not_come_end_it_in_the_end() {
    let address = says("");
    let never = stream::pending().boxed();
    let sent = transport(SHORT, LONG).send_streamed(request(&address), 8, never).await;
    assert_eq!(sent.unwrap_err(), timed_out(&address));
}

#[tokio::test]
async fn an_early_answer_is_heard_and_the_rest_of_the_body_let_go() {
    let address = server(async |mut stream| {
        head_of(&mut stream).await;
        stream.write_all(b"HTTP/1.1 409 No\r\ncontent-length: 2\r\n\r\nno").await.unwrap();
        // Reads until the body ends.
        let mut piece = vec![0; 64 * 1024];
        while stream.read(&mut piece).await.is_ok_and(|length| length > 0) {}
    });
    let (pieces, taken) = endless();
    let (held, let_go) = oneshot::channel::<()>();
    let pieces = pieces.inspect(move |_| assert!(!held.is_closed())).boxed();
    let answer = transport(LONG, LONG).send_streamed(request(&address), u64::MAX, pieces).await.unwrap();
    assert_eq!((answer.status, answer.body.as_slice()), (409, b"no".as_slice()));
    // Dropping the pieces drops the sender.
    assert!(let_go.await.is_err());
    assert!(taken.load(Ordering::SeqCst) > 0);
}

#[tokio::test]
async fn who_no_longer_waits_ends_it() {
    let (told, seen) = oneshot::channel();
    let address = server(async move |mut stream| {
        let mut piece = vec![0; 64 * 1024];
        while stream.read(&mut piece).await.is_ok_and(|length| length > 0) {}
        told.send(()).unwrap();
    });
    let (pieces, taken) = endless();
    let transport = transport(LONG, LONG);
    let sending = transport.send_streamed(request(&address), u64::MAX, pieces);
    let enough = async {
        while taken.load(Ordering::SeqCst) < 2 * HELD_MAX {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        sent = sending => panic!("{:?}", sent.map(|answer| answer.status)),
        () = enough => {}
    }
    seen.await.unwrap();
}
