//! A TLS server that ends each connection at one chosen point, and counts what reached it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rustls::ServerConfig;
use rustls::pki_types::PrivatePkcs8KeyDer;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::support::certificate::{Certified, certified};

/// Where a connection ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Until {
    /// Accepted, and nothing more.
    Accepted,
    /// The TLS handshake is done; nothing of the request is read.
    Handshake,
    /// The first byte of the request is read.
    FirstByte,
    /// The head of the request is read, the body is not.
    Head,
    /// The whole request is read.
    Request,
    /// Half a line of the reply is sent.
    StatusLine,
    /// The head of the reply is sent, and half of the body that it promises.
    HalfReply,
    /// The whole reply is sent, and the connection is kept for the next request, but that closes it.
    Reply,
    /// Nothing ends: the request is read, and no reply comes.
    Never,
}

impl Until {
    pub(crate) const ALL: [Self; 8] = [
        Self::Accepted,
        Self::Handshake,
        Self::FirstByte,
        Self::Head,
        Self::Request,
        Self::StatusLine,
        Self::HalfReply,
        Self::Reply,
    ];
}

/// How a connection ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum How {
    /// In good order.
    Close,
    /// By a reset.
    Reset,
}

/// What is counted.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) connections: AtomicUsize,
    pub(crate) requests: AtomicUsize,
}

pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) ca_pem: Vec<u8>,
    counts: Arc<Counts>,
}

impl Server {
    /// Serves until the runtime ends; `reply` is the whole reply, head and body.
    pub(crate) async fn start(until: Until, how: How, reply: &str) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (tls, ca_pem) = tls();
        let counts = Arc::new(Counts::default());
        let (counted, reply) = (Arc::clone(&counts), Arc::<str>::from(reply));
        tokio::spawn(async move {
            loop {
                let (tcp, _) = listener.accept().await.unwrap();
                counted.connections.fetch_add(1, Ordering::SeqCst);
                let serve = one(
                    tcp,
                    tls.clone(),
                    until,
                    how,
                    Arc::clone(&reply),
                    Arc::clone(&counted),
                );
                tokio::spawn(serve);
            }
        });
        Self {
            address,
            ca_pem,
            counts,
        }
    }

    /// `https://localhost:PORT/v1/`
    pub(crate) fn url(&self) -> url::Url {
        format!("https://localhost:{}/v1/", self.address.port())
            .parse()
            .unwrap()
    }

    /// Connections and requests so far. Whatever was sent to this server before is in them: connections are
    /// accepted in order, so that the one made here comes last, and is left out.
    pub(crate) async fn counts(&self) -> (usize, usize) {
        let before = self.counts.connections.load(Ordering::SeqCst);
        let _last = TcpStream::connect(self.address).await.unwrap();
        while self.counts.connections.load(Ordering::SeqCst) == before {
            tokio::task::yield_now().await;
        }
        let connections = self.counts.connections.fetch_sub(1, Ordering::SeqCst) - 1;
        (connections, self.counts.requests.load(Ordering::SeqCst))
    }
}

async fn one(tcp: TcpStream, tls: TlsAcceptor, until: Until, how: How, reply: Arc<str>, counts: Arc<Counts>) {
    if until == Until::Accepted {
        end(&tcp, how);
        return;
    }
    let Ok(mut stream) = tls.accept(tcp).await else {
        return;
    };
    if until == Until::Handshake {
        return finish(stream, how).await;
    }
    loop {
        let Some(_) = read(&mut stream, until, &counts).await else {
            return;
        };
        match until {
            Until::FirstByte | Until::Head | Until::Request => return finish(stream, how).await,
            Until::StatusLine => {
                let _ = stream.write_all(&reply.as_bytes()[..8]).await;
                let _ = stream.flush().await;
                return finish(stream, how).await;
            }
            Until::HalfReply => {
                let half = reply.find("\r\n\r\n").unwrap() + 4 + 5;
                let _ = stream.write_all(&reply.as_bytes()[..half]).await;
                let _ = stream.flush().await;
                return finish(stream, how).await;
            }
            Until::Never => std::future::pending().await,
            _ => {
                let _ = stream.write_all(reply.as_bytes()).await;
                let _ = stream.flush().await;
                // The next request on this connection would find it closed.
            }
        }
    }
}

/// Reads a request as far as asked; counts it once its first line has begun.
async fn read(stream: &mut (impl AsyncRead + Unpin), until: Until, counts: &Counts) -> Option<Vec<u8>> {
    let mut seen = Vec::new();
    let mut buffer = [0; 1024];
    loop {
        let size = if until == Until::FirstByte {
            1
        } else {
            buffer.len()
        };
        let n = stream.read(&mut buffer[..size]).await.ok().filter(|n| *n > 0)?;
        if seen.is_empty() {
            counts.requests.fetch_add(1, Ordering::SeqCst);
        }
        seen.extend_from_slice(&buffer[..n]);
        let head = seen.windows(4).position(|w| w == b"\r\n\r\n").map(|at| at + 4);
        match (until, head) {
            (Until::FirstByte, _) | (Until::Head, Some(_)) => return Some(seen),
            (_, Some(head)) => {
                let text = String::from_utf8_lossy(&seen[..head]).to_lowercase();
                let length = text.lines().find_map(|line| {
                    line.strip_prefix("content-length: ")?
                        .trim()
                        .parse::<usize>()
                        .ok()
                });
                if seen.len() >= head + length.unwrap_or(0) {
                    return Some(seen);
                }
            }
            _ => {}
        }
    }
}

async fn finish(mut stream: TlsStream<TcpStream>, how: How) {
    if how == How::Close {
        let _ = stream.shutdown().await;
    }
    end(stream.get_ref().0, how);
}

fn end(tcp: &TcpStream, how: How) {
    if how == How::Reset {
        // With no time to linger, dropping the socket sends a reset.
        let _ = tcp.set_zero_linger();
    }
}

fn tls() -> (TlsAcceptor, Vec<u8>) {
    castline::net::tls::install_provider();
    let Certified { ca_pem, leaf, key } = certified();
    let mut config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(
            vec![leaf.der().clone()],
            PrivatePkcs8KeyDer::from(key.serialize_der()).into(),
        )
        .unwrap();
    // A server that would rather speak HTTP/2, where streams can be refused and sent again.
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    (TlsAcceptor::from(Arc::new(config)), ca_pem)
}
