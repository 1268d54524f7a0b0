//! Somebody between the hub and Postgres.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use crate::support::authority::authority;
use crate::support::{StoreKind, TestApp};

/// What a client of Postgres sends first when it wants TLS (its protocol, 55.2.10).
const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 47];

/// Speaks TLS, or refuses to, and passes on to the Postgres at `to`. The answer is the port.
async fn in_front_of(to: String, server: Option<TlsAcceptor>) -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let (to, server) = (to.clone(), server.clone());
            tokio::spawn(async move {
                let mut request = [0; 8];
                client.read_exact(&mut request).await.unwrap();
                assert_eq!(request, SSL_REQUEST, "nothing is said before");
                let Some(server) = server else {
                    client.write_all(b"N").await.unwrap();
                    // Nothing may follow.
                    assert_eq!(client.read(&mut request).await.unwrap_or(0), 0);
                    return;
                };
                client.write_all(b"S").await.unwrap();
                // Who does not believe the certificate ends it here.
                let Ok(mut client) = server.accept(client).await else { return };
                let mut database = TcpStream::connect(to).await.unwrap();
                let _ = tokio::io::copy_bidirectional(&mut client, &mut database).await;
            });
        }
    });
    port
}

#[tokio::test]
async fn postgres_is_spoken_to_over_tls_when_its_certificate_is_of_a_known_authority_and_for_its_name() {
    let mut app = TestApp::start(StoreKind::Postgres).await;
    app.stop();
    let url = app.postgres_url().unwrap().to_owned();
    let (before, rest) = url.rsplit_once('@').unwrap();
    let (address, database) = rest.split_once('/').unwrap();
    let (known, other) = (authority("localhost"), authority("elsewhere.example"));
    let file = |name: &str, pem: &str| {
        let path = app.data_folder().join(name);
        std::fs::write(&path, pem).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let (known_file, other_file) = (file("known.pem", &known.pem), file("other.pem", &other.pem));
    for (what, server, root, good) in [
        ("its own authority", Some(known.server.clone()), &known_file, true),
        ("an authority that is not known", Some(known.server.clone()), &other_file, false),
        ("a certificate for another name", Some(other.server.clone()), &other_file, false),
        ("no TLS at all", None, &known_file, false),
    ] {
        let port = in_front_of(address.to_owned(), server).await;
        let query = format!("sslmode=verify-full&sslrootcert={root}");
        app.set("database.url", &format!("{before}@localhost:{port}/{database}?{query}"));
        let (done, said) = app.bellhop(&["migrate"]).await;
        assert_eq!(done, good, "{what}: {said}");
    }
}
