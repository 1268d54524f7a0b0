//! TLS for the clients of the other tests, which speak without it: a port of this machine behind which a server with TLS is.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

/// The server that is tried, and the certificate that it has to have.
#[derive(Clone)]
pub(crate) struct Edge {
    address: SocketAddr,
    connector: TlsConnector,
}

impl Edge {
    pub(crate) fn new(address: SocketAddr, certificate: &str) -> Self {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(certificate).expect("a certificate")).expect("it is one");
        let mut config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Self { address, connector: TlsConnector::from(Arc::new(config)) }
    }

    /// A port without TLS whose connections reach the server from the address `from` of this machine.
    pub(crate) async fn from(&self, from: [u8; 4]) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener.local_addr().expect("it is bound");
        let edge = self.clone();
        tokio::spawn(async move {
            while let Ok((plain, _)) = listener.accept().await {
                tokio::spawn(edge.clone().pass(plain, IpAddr::from(from)));
            }
        });
        port
    }

    /// One connection. What breaks on one side ends on the other.
    async fn pass(self, mut plain: TcpStream, from: IpAddr) {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.bind(SocketAddr::new(from, 0)).expect("an address of this machine");
        let Ok(stream) = socket.connect(self.address).await else { return };
        let name = ServerName::try_from("hub.example").expect("a name");
        let mut stream = self.connector.connect(name, stream).await.expect("the certificate is right");
        let _ = stream.get_ref().0.set_nodelay(true);
        let _ = copy_bidirectional(&mut plain, &mut stream).await;
    }
}
