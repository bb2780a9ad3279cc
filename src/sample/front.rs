//! The front end: `/checkout` asks the backend for a price; `/healthz` and `/metrics` answer by themselves.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::{Response, StatusCode};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::checkout::{AttemptError, Backend, CheckoutOptions};
use super::metrics::Metrics;
use super::server::{json, response, serve};

/// Serves until `stop`.
pub async fn run(listener: TcpListener, options: CheckoutOptions, stop: CancellationToken) {
    let backend = Arc::new(Backend::new(options));
    let metrics = Arc::new(Mutex::new(Metrics::default()));
    serve(listener, stop, move |request| {
        let (backend, metrics) = (backend.clone(), metrics.clone());
        let path = request.uri().path().to_owned();
        async move {
            match path.as_str() {
                "/checkout" => checkout(&backend, &metrics).await,
                "/healthz" => json(StatusCode::OK, "{\"status\":\"up\"}\n"),
                "/metrics" => {
                    let text = metrics.lock().unwrap_or_else(PoisonError::into_inner).render();
                    response(StatusCode::OK, "text/plain; version=0.0.4", text)
                }
                _ => json(StatusCode::NOT_FOUND, "{\"error\":\"no such page\"}\n"),
            }
        }
    })
    .await;
}

async fn checkout(backend: &Backend, metrics: &Mutex<Metrics>) -> Response<Full<Bytes>> {
    let began = Instant::now();
    let (price, attempts) = backend.price().await;
    let (status, degraded, body) = match price {
        Ok(price) => (StatusCode::OK, false, order("confirmed", &price)),
        Err(_) if backend.options().fallback => {
            (StatusCode::OK, true, Bytes::from_static(b"{\"order\":\"accepted\",\"degraded\":true}\n"))
        }
        Err(AttemptError::Timeout) => {
            (StatusCode::GATEWAY_TIMEOUT, false, Bytes::from_static(b"{\"error\":\"the backend is too slow\"}\n"))
        }
        Err(AttemptError::Unavailable) => {
            (StatusCode::BAD_GATEWAY, false, Bytes::from_static(b"{\"error\":\"the backend is not there\"}\n"))
        }
    };
    metrics.lock().unwrap_or_else(PoisonError::into_inner).checkout(
        status.as_u16(),
        degraded,
        attempts,
        began.elapsed(),
    );
    json(status, body)
}

fn order(state: &str, price: &Bytes) -> Bytes {
    let price = String::from_utf8_lossy(price);
    format!("{{\"order\":\"{state}\",\"degraded\":false,\"answer\":{}}}\n", price.trim_end()).into()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;

    use super::*;

    async fn get(address: std::net::SocketAddr, path: &str) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream
            .write_all(format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").as_bytes())
            .await
            .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    struct Shop {
        front: std::net::SocketAddr,
        stop: CancellationToken,
        stop_backend: CancellationToken,
        backend: tokio::task::JoinHandle<()>,
    }

    async fn shop(work: Duration, change: impl FnOnce(&mut CheckoutOptions)) -> Shop {
        let (front, backend) = (TcpListener::bind("127.0.0.1:0").await, TcpListener::bind("127.0.0.1:0").await);
        let (front, backend) = (front.unwrap(), backend.unwrap());
        let (stop, stop_backend) = (CancellationToken::new(), CancellationToken::new());
        let mut options = CheckoutOptions {
            backend: backend.local_addr().unwrap().to_string(),
            timeout: Duration::from_millis(200),
            retries: 0,
            fallback: false,
            keep_alive: false,
        };
        change(&mut options);
        let address = front.local_addr().unwrap();
        tokio::spawn(run(front, options, stop.clone()));
        let backend = tokio::spawn(super::super::backend::run(backend, work, stop_backend.clone()));
        Shop { front: address, stop, stop_backend, backend }
    }

    impl Drop for Shop {
        fn drop(&mut self) {
            self.stop.cancel();
            self.stop_backend.cancel();
        }
    }

    #[tokio::test]
    async fn a_checkout_is_confirmed_with_the_backends_price_on_new_and_on_kept_connections() {
        for keep_alive in [false, true] {
            let shop = shop(Duration::ZERO, |options| options.keep_alive = keep_alive).await;
            for _ in 0..3 {
                let answer = get(shop.front, "/checkout").await;
                assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
                assert!(answer.contains("\"degraded\":false,\"answer\":{\"price\":\"19.90\"}"), "{answer}");
            }
            assert!(get(shop.front, "/metrics").await.contains("orders_total{code=\"200\"} 3"));
        }
    }

    #[tokio::test]
    async fn a_slow_backend_is_a_504_or_a_degraded_200_with_a_fallback() {
        let without = shop(Duration::from_secs(5), |options| options.timeout = Duration::from_millis(20)).await;
        assert!(get(without.front, "/checkout").await.starts_with("HTTP/1.1 504 "));
        let with = shop(Duration::from_secs(5), |options| {
            options.timeout = Duration::from_millis(20);
            options.fallback = true;
            options.retries = 2;
        })
        .await;
        let answer = get(with.front, "/checkout").await;
        assert!(answer.starts_with("HTTP/1.1 200 ") && answer.contains("\"degraded\":true"), "{answer}");
        let metrics = get(with.front, "/metrics").await;
        assert!(
            metrics.contains("backend_retries_total 2") && metrics.contains("orders_degraded_total 1"),
            "{metrics}"
        );
    }

    #[tokio::test]
    async fn a_backend_that_went_away_is_a_502_also_on_a_kept_connection() {
        let mut shop = shop(Duration::ZERO, |options| options.keep_alive = true).await;
        assert!(get(shop.front, "/checkout").await.starts_with("HTTP/1.1 200 "));
        shop.stop_backend.cancel();
        (&mut shop.backend).await.unwrap();
        assert!(get(shop.front, "/checkout").await.starts_with("HTTP/1.1 502 "));
        assert!(get(shop.front, "/healthz").await.starts_with("HTTP/1.1 200 "));
    }
}
