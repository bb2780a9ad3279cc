use faultline_agent::units::TimeSpan;
use http::Request;
use http::header::{ACCEPT, CONNECTION, HOST, HeaderName, HeaderValue};
use http_body_util::Full;
use hyper::body::Bytes;

use super::{Alert, Reading, answer};
use crate::game_day::document::Alertmanager;
use crate::signals::exchange::{Endpoint, drain, send};
use crate::signals::reach::Reach;

/// The longest answer that is read.
const LONGEST: usize = 16 << 20;

/// Reads alerts from Alertmanager (API version 2).
#[derive(Debug)]
pub struct Reader {
    endpoint: Endpoint,
    headers: Vec<(HeaderName, HeaderValue)>,
    timeout: TimeSpan,
    reach: Reach,
}

impl Reader {
    /// A reader of this Alertmanager, which connects to what `reach` allows alone; nothing is asked yet.
    ///
    /// # Errors
    /// What is wrong with its address or its header fields.
    pub fn new(alertmanager: &Alertmanager, reach: Reach) -> Result<Self, String> {
        let mut endpoint = Endpoint::parse(&alertmanager.url)?;
        if endpoint.path.contains('?') {
            return Err(format!("`{}` holds a query; give the server's address alone", alertmanager.url));
        }
        // Alerts that are silenced or inhibited fire too; that nobody is told is said with them.
        endpoint.path = format!(
            "{}/api/v2/alerts?active=true&silenced=true&inhibited=true&unprocessed=true",
            endpoint.path.trim_end_matches('/')
        );
        let headers = alertmanager
            .headers
            .iter()
            .map(|(name, value)| {
                let field = HeaderName::try_from(name).map_err(|_| format!("`{name}` is no header field"))?;
                let value = HeaderValue::try_from(value).map_err(|_| format!("the value of `{name}` is none"))?;
                Ok((field, value))
            })
            .collect::<Result<_, String>>()?;
        Ok(Self { endpoint, headers, timeout: alertmanager.timeout, reach })
    }

    /// What fires now, or why that is not known.
    pub async fn read(&self) -> Reading {
        match tokio::time::timeout(self.timeout.duration(), self.ask()).await {
            Ok(Ok(alerts)) => Reading::Firing(alerts),
            Ok(Err(reason)) => Reading::Unknown(reason),
            Err(_) => Reading::Unknown(format!("timeout after {}", self.timeout)),
        }
    }

    async fn ask(&self) -> Result<Vec<Alert>, String> {
        let mut sender = self.endpoint.connect_within(&self.reach).await.map_err(|failure| failure.into_reason())?;
        let mut request = Request::get(self.endpoint.path.as_str())
            .header(HOST, self.endpoint.authority.clone())
            .header(CONNECTION, "close")
            .header(ACCEPT, "application/json");
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        let request = request.body(Full::new(Bytes::new())).map_err(|error| error.to_string())?;
        let response = send(&mut sender, request).await.map_err(|unanswered| unanswered.failure.into_reason())?;
        let status = response.status().as_u16();
        let body = drain(response.into_body(), LONGEST + 1).await.map_err(|failure| failure.into_reason())?;
        if body.len() > LONGEST {
            return Err("the answer is longer than 16 MiB".into());
        }
        answer::parse(status, &body)
    }
}
