//! Connections to a cloud's port: plain ones, and TLS ones handed over by the port that stands in for the vendors' hosts.
//! A handler may close its connection without an answer.

use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_rustls::server::TlsStream;

/// TLS connections that wait to be taken in; past that, new ones wait for their handshake.
const WAITING: usize = 64;

/// A handler's hold on its connection.
#[derive(Debug, Clone)]
pub(crate) struct Connection {
    cut: Arc<AtomicBool>,
    scheme: &'static str,
}

impl Connection {
    /// From here on nothing more is written; the server closes the connection at its next attempt.
    pub(crate) fn cut(&self) {
        self.cut.store(true, Ordering::SeqCst);
    }

    /// `http` or `https`.
    pub(crate) fn scheme(&self) -> &'static str {
        self.scheme
    }

    fn check(&self) -> io::Result<()> {
        if self.cut.load(Ordering::SeqCst) { Err(io::ErrorKind::ConnectionAborted.into()) } else { Ok(()) }
    }
}

/// A TLS connection, and who is at its other end.
pub(crate) type Handed = (Box<TlsStream<TcpStream>>, SocketAddr);

/// The connections of one cloud.
pub(crate) struct Connections {
    listener: TcpListener,
    handed: mpsc::Receiver<Handed>,
}

impl Connections {
    /// Those of a listener, and those that the sender hands over.
    pub(crate) fn of(listener: TcpListener) -> (Self, mpsc::Sender<Handed>) {
        let (sender, handed) = mpsc::channel(WAITING);
        (Self { listener, handed }, sender)
    }
}

enum Transport {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// A connection that can be cut.
pub(crate) struct CuttableStream {
    transport: Transport,
    connection: Connection,
}

impl CuttableStream {
    fn new(transport: Transport) -> Self {
        let scheme = if matches!(transport, Transport::Tls(_)) { "https" } else { "http" };
        Self { transport, connection: Connection { cut: Arc::default(), scheme } }
    }

    fn on_transport<T>(
        &mut self,
        poll: impl FnOnce(Pin<&mut dyn Duplex>) -> Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        match &mut self.transport {
            Transport::Plain(stream) => poll(Pin::new(stream)),
            Transport::Tls(stream) => poll(Pin::new(stream.as_mut())),
        }
    }
}

trait Duplex: AsyncRead + AsyncWrite + Unpin {}

impl<T: AsyncRead + AsyncWrite + Unpin> Duplex for T {}

impl Listener for Connections {
    type Io = CuttableStream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (CuttableStream, SocketAddr) {
        tokio::select! {
            (stream, address) = Listener::accept(&mut self.listener) => (CuttableStream::new(Transport::Plain(stream)), address),
            Some((stream, address)) = self.handed.recv() => (CuttableStream::new(Transport::Tls(stream)), address),
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

impl Connected<IncomingStream<'_, Connections>> for Connection {
    fn connect_info(stream: IncomingStream<'_, Connections>) -> Self {
        stream.io().connection.clone()
    }
}

impl AsyncRead for CuttableStream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.on_transport(|transport| transport.poll_read(cx, buf))
    }
}

impl AsyncWrite for CuttableStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.connection.check()?;
        self.on_transport(|transport| transport.poll_write(cx, bytes))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.on_transport(|transport| transport.poll_flush(cx))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.on_transport(|transport| transport.poll_shutdown(cx))
    }
}
