//! HTTPS on loopback: accepting, serving, and cutting a connection short when a fault asks for it.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use axum::body::Body;
use axum::http::{Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rustls::ServerConfig;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

/// How a connection is cut short.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cut {
    /// A TCP reset: the peer sees "connection reset".
    Reset,
    /// A normal close without a reply: the peer sees "closed before the message was complete".
    Close,
}

/// A handle on the connection of a request, found among the request's extensions.
#[derive(Debug, Clone)]
pub(super) struct Wire(mpsc::UnboundedSender<Cut>);

impl Wire {
    /// Ends the connection; never returns, since the request ends with it.
    pub(super) async fn cut(&self, how: Cut) -> Infallible {
        let _ = self.0.send(how);
        std::future::pending().await
    }
}

/// Loopback sockets of one port: IPv4, and IPv6 where the machine has it.
///
/// `localhost` means either, and a client that tries the missing one first would wait for nothing.
pub(super) async fn listen(port: u16) -> Result<Vec<TcpListener>, (SocketAddr, io::Error)> {
    let mut tries = if port == 0 { 20 } else { 1 };
    loop {
        tries -= 1;
        let v4 = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let v4 = TcpListener::bind(v4).await.map_err(|e| (v4, e))?;
        let chosen = v4
            .local_addr()
            .map_err(|e| (SocketAddr::from((Ipv4Addr::LOCALHOST, port)), e))?
            .port();
        let v6 = SocketAddr::from((Ipv6Addr::LOCALHOST, chosen));
        match TcpListener::bind(v6).await {
            Ok(v6) => return Ok(vec![v4, v6]),
            // Another process has this port: a client that asks for localhost would reach it instead.
            Err(e) if e.kind() == io::ErrorKind::AddrInUse => {
                if tries == 0 {
                    return Err((v6, e));
                }
            }
            Err(_) => return Ok(vec![v4]),
        }
    }
}

/// Serves until the returned future is dropped, which also ends every connection.
///
/// `refuse` is called for each connection; if it returns true, the connection is reset before the TLS handshake,
/// which a client can distinguish from a request that was sent.
pub(super) async fn serve<H, F, R>(listener: TcpListener, tls: Arc<ServerConfig>, refuse: R, handle: H)
where
    H: Fn(Request<Incoming>) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Response<Body>> + Send + 'static,
    R: Fn() -> bool,
{
    let tls = TlsAcceptor::from(tls);
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((tcp, _)) if refuse() => reset(&tcp),
                Ok((tcp, _)) => {
                    connections.spawn(connection(tcp, tls.clone(), handle.clone()));
                }
                // Probably out of file descriptors: wait until some are closed.
                Err(_) => tokio::time::sleep(std::time::Duration::from_millis(20)).await,
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn connection<H, F>(tcp: TcpStream, tls: TlsAcceptor, handle: H)
where
    H: Fn(Request<Incoming>) -> F + Send + Sync + 'static,
    F: Future<Output = Response<Body>> + Send + 'static,
{
    let _ = tcp.set_nodelay(true);
    let Ok(stream) = tls.accept(tcp).await else { return };
    let (wire, mut cuts) = mpsc::unbounded_channel();
    let wire = Wire(wire);
    let service = service_fn(|mut request: Request<Incoming>| {
        request.extensions_mut().insert(wire.clone());
        let reply = handle(request);
        async { Ok::<_, Infallible>(reply.await) }
    });
    let mut http = http1::Builder::new();
    // An idle connection is kept: closing it under a client's next request would be our own fault.
    http.header_read_timeout(None);
    let mut connection = http.serve_connection(TokioIo::new(stream), service);
    tokio::select! {
        _ = &mut connection => {}
        Some(cut) = cuts.recv() => {
            let mut stream = connection.into_parts().io.into_inner();
            match cut {
                Cut::Reset => reset(stream.get_ref().0),
                Cut::Close => {
                    let _ = tokio::io::AsyncWriteExt::shutdown(&mut stream).await;
                }
            }
        }
    }
}

/// Resets a connection: without time to linger, dropping the socket sends a reset instead of a normal close.
fn reset(tcp: &TcpStream) {
    let _ = tcp.set_zero_linger();
}
