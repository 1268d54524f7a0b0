//! Somebody between the hub and Redis.

use std::time::Duration;

use bellhop::redis_client::{RedisClient, RedisSettings};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

use crate::support::authority::{Authority, authority};
use crate::support::{own_prefix, redis_url};

/// Speaks TLS with a certificate for `name` and passes on to the Redis at `to`. The answer is the port, and the certificate of the
/// authority that signed it.
async fn in_front_of(to: String, name: &str) -> (u16, String) {
    let Authority { pem, server } = authority(name);
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let (to, server) = (to.clone(), server.clone());
            tokio::spawn(async move {
                // Who does not believe the certificate ends it here.
                let Ok(mut client) = server.accept(client).await else { return };
                let mut redis = TcpStream::connect(to).await.unwrap();
                let _ = tokio::io::copy_bidirectional(&mut client, &mut redis).await;
            });
        }
    });
    (port, pem)
}

/// Whether a client with this authority finds Redis behind a server with a certificate for `name`; none where there is no Redis.
async fn finds(name: &str, knows_authority: bool) -> Option<bool> {
    let url = redis_url("BELLHOP_TEST_REDIS")?;
    let rest = url.strip_prefix("redis://").expect("without TLS");
    let (credentials, place) =
        rest.rsplit_once('@').map_or((String::new(), rest), |(c, p)| (format!("{c}@"), p));
    let to = place.split('/').next().unwrap().to_owned();
    let (port, pem) = in_front_of(to, name).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ca.pem");
    std::fs::write(&file, pem).unwrap();
    let ca_file = if knows_authority { file.to_str().unwrap().to_owned() } else { String::new() };
    let url = format!("rediss://{credentials}localhost:{port}/").into();
    let settings = RedisSettings { url, ca_file, prefix: own_prefix(), ..RedisSettings::default() };
    let (client, stop) = (RedisClient::new(&settings).unwrap().unwrap(), CancellationToken::new());
    let keeping = tokio::spawn(client.keep(stop.clone()));
    let patience = Duration::from_secs(if knows_authority && name == "localhost" { 20 } else { 1 });
    let found =
        tokio::time::timeout(patience, client.connected()).await.is_ok() && client.look().await.is_ok();
    stop.cancel();
    keeping.await.unwrap();
    Some(found)
}

#[tokio::test]
async fn redis_is_spoken_to_over_tls_when_its_certificate_is_of_a_known_authority_and_for_its_name() {
    let Some(found) = finds("localhost", true).await else { return };
    assert!(found);
    assert_eq!(finds("somewhere-else.example", true).await, Some(false), "a certificate for another name");
    assert_eq!(finds("localhost", false).await, Some(false), "an authority that nobody knows");
}
