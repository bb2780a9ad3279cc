//! The backend: `/price` after a small, fixed time of work.

use std::time::Duration;

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::{Response, StatusCode};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::server::{json, serve};

/// Serves until `stop`; each price takes `work` to find.
pub async fn run(listener: TcpListener, work: Duration, stop: CancellationToken) {
    serve(listener, stop, move |request| {
        let path = request.uri().path().to_owned();
        async move { answer(&path, work).await }
    })
    .await;
}

async fn answer(path: &str, work: Duration) -> Response<Full<Bytes>> {
    match path {
        "/price" => {
            if !work.is_zero() {
                tokio::time::sleep(work).await;
            }
            json(StatusCode::OK, "{\"price\":\"19.90\"}\n")
        }
        "/healthz" => json(StatusCode::OK, "{\"status\":\"up\"}\n"),
        _ => json(StatusCode::NOT_FOUND, "{\"error\":\"no such page\"}\n"),
    }
}
