use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::super::test_server::{TestServer, request_head, samples};
use super::*;

fn clock() -> f64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs_f64()
}

/// A successful answer with these series: part, name and value.
fn vector(series: &[(&str, &str, &str)]) -> (u16, String) {
    let result: Vec<Value> = series
        .iter()
        .map(|(part, name, value)| json!({"metric": {PART: part, "name": name}, "value": [clock(), value]}))
        .collect();
    (200, json!({"status": "success", "data": {"resultType": "vector", "result": result}}).to_string())
}

/// A Prometheus that gives these answers in turn, the last one again and again, and remembers what it was asked.
struct Fake {
    server: TestServer,
    asked: Arc<Mutex<Vec<String>>>,
}

async fn fake(answers: Vec<(u16, String)>) -> Fake {
    let (answers, asked) = (Arc::new(Mutex::new(VecDeque::from(answers))), Arc::new(Mutex::new(Vec::new())));
    let queries = asked.clone();
    let server = TestServer::start(move |mut stream, _| {
        let (answers, queries) = (answers.clone(), queries.clone());
        async move {
            let Some(head) = request_head(&mut stream).await else { return };
            let length =
                head.to_lowercase().lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
            let mut body = vec![0; length.unwrap_or(0)];
            stream.read_exact(&mut body).await.unwrap();
            let body = String::from_utf8(body).unwrap();
            queries.lock().unwrap().push(format!("{} {body}", head.lines().next().unwrap()));
            let (status, text) = {
                let mut answers = answers.lock().unwrap();
                if answers.len() > 1 { answers.pop_front().unwrap() } else { answers[0].clone() }
            };
            let answer = format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\n\r\n{text}", text.len());
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    })
    .await;
    Fake { server, asked }
}

async fn readings(answers: Vec<(u16, String)>, queries: Value, count: usize) -> Vec<Reading> {
    let fake = fake(answers).await;
    let mut signal = json!({"url": format!("http://{}/", fake.server.address), "interval": "20ms"});
    signal.as_object_mut().unwrap().extend(queries.as_object().unwrap().clone());
    let samples = samples(json!({"prometheus": signal}), count).await;
    samples.into_iter().map(|sample| sample.reading).collect()
}

async fn counted(answers: Vec<(u16, String)>, count: usize) -> Vec<Reading> {
    readings(answers, json!({"bad": "sum(b)", "total": "sum(t)"}), count).await
}

/// The reason why a value is missing when this is the answer.
async fn missing(answer: (u16, impl Into<String>)) -> String {
    match &readings(vec![(answer.0, answer.1.into())], json!({"value": "v + 0"}), 1).await[0] {
        Reading::Missing { reason } => reason.clone(),
        other => panic!("{other:?} should be missing"),
    }
}

fn reason(reading: &Reading) -> &str {
    match reading {
        Reading::Missing { reason } => reason,
        other => panic!("{other:?} should be missing"),
    }
}

#[tokio::test]
async fn growth_is_counted_over_all_series_and_the_first_reading_says_nothing() {
    let answers = vec![
        vector(&[("bad", "a", "1"), ("total", "a", "100"), ("total", "b", "1000")]),
        vector(&[("bad", "a", "1"), ("total", "a", "110"), ("total", "b", "1005")]),
        vector(&[("bad", "a", "4"), ("total", "a", "120"), ("total", "b", "1005")]),
    ];
    let readings = counted(answers, 3).await;
    assert_eq!(readings[0], Reading::Counts { bad: 0.0, total: 15.0 });
    assert_eq!(readings[1], Reading::Counts { bad: 3.0, total: 10.0 });
    assert_eq!(readings[2], Reading::Counts { bad: 0.0, total: 0.0 });
}

#[tokio::test]
async fn a_reset_or_a_change_of_series_is_missing_once_and_never_negative() {
    let answers = vec![
        vector(&[("bad", "a", "5"), ("total", "a", "100")]),
        vector(&[("bad", "a", "0"), ("total", "a", "3")]),
        vector(&[("bad", "a", "1"), ("total", "a", "9")]),
        vector(&[("bad", "a", "1"), ("bad", "new", "7"), ("total", "a", "9")]),
        vector(&[("bad", "a", "1"), ("total", "a", "9")]),
        vector(&[("bad", "a", "3"), ("total", "a", "10")]),
    ];
    let readings = counted(answers, 5).await;
    assert_eq!(reason(&readings[0]), "`bad` was reset: {name=\"a\"} went from 5 to 0");
    assert_eq!(readings[1], Reading::Counts { bad: 1.0, total: 6.0 });
    assert!(reason(&readings[2]).starts_with("`bad` has a new series, {name=\"new\"}"), "{readings:?}");
    assert!(reason(&readings[3]).starts_with("`bad` lost its series {name=\"new\"}"), "{readings:?}");
    assert!(reason(&readings[4]).starts_with("`bad` grew by 2 but `total` only by 1"), "{readings:?}");
}

#[tokio::test]
async fn what_was_counted_while_prometheus_did_not_answer_is_in_the_next_growth() {
    let answers = vec![
        vector(&[("bad", "a", "0"), ("total", "a", "100")]),
        (503, "busy".into()),
        vector(&[("total", "a", "105")]),
        vector(&[("bad", "a", "2"), ("total", "a", "110")]),
    ];
    let readings = counted(answers, 3).await;
    assert_eq!(reason(&readings[0]), "Prometheus answered with status 503");
    assert!(reason(&readings[1]).starts_with("`bad` has no series"), "{readings:?}");
    assert_eq!(readings[2], Reading::Counts { bad: 2.0, total: 10.0 });
}

#[tokio::test]
async fn whatever_is_not_one_finite_number_is_missing_with_its_reason() {
    assert!(missing(vector(&[])).await.starts_with("the query has no series"));
    assert_eq!(missing(vector(&[("value", "a", "NaN")])).await, "{name=\"a\"} is NaN");
    assert_eq!(missing(vector(&[("value", "a", "+Inf")])).await, "{name=\"a\"} is +Inf");
    assert!(missing(vector(&[("value", "a", "x")])).await.contains("`x`, which is not a number"));
    let two = missing(vector(&[("value", "a", "1"), ("value", "b", "2")])).await;
    assert!(two.starts_with("`value` has 2 series where one is expected"), "{two}");
    let scalar = json!({"status": "success", "data": {"resultType": "scalar", "result": [0, "1"]}});
    assert!(missing((200, scalar.to_string())).await.starts_with("the answer is a scalar"));
    let histogram = json!({"status": "success", "data": {"resultType": "vector", "result": [{"metric": {}, "histogram": [0, {}]}]}});
    assert_eq!(missing((200, histogram.to_string())).await, "{} is a histogram, not a number");
    let old =
        json!({"status": "success", "data": {"resultType": "vector", "result": [{"metric": {}, "value": [0, "1"]}]}});
    assert!(missing((200, old.to_string())).await.contains("not of this hour"));
    let refused = json!({"status": "error", "errorType": "bad_data", "error": "parse error at char 3"});
    assert_eq!(
        missing((400, refused.to_string())).await,
        "Prometheus refused the query (bad_data): parse error at char 3"
    );
    let (_, warned) = vector(&[("value", "a", "1")]);
    let warned = warned.replacen('{', "{\"warnings\":[\"a store is away\"],", 1);
    assert_eq!(missing((200, warned)).await, "Prometheus warned: a store is away");
    assert!(missing((200, "<html>")).await.starts_with("not an answer of Prometheus"));
    assert_eq!(missing((502, "<html>")).await, "Prometheus answered with status 502");
    let nobody = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let signal = json!({"prometheus": {"url": format!("http://{nobody}"), "value": "v", "interval": "20ms"}});
    assert_eq!(reason(&samples(signal, 1).await[0].reading), "connection refused");
}

#[tokio::test]
async fn a_stale_sample_is_missing_and_the_same_query_asks_for_its_time() {
    let stamped = |age: f64| vector(&[("value", "a", "7"), ("value-time", "a", &(clock() - age).to_string())]);
    let fake = fake(vec![stamped(30.0), stamped(0.01), stamped(30.0)]).await;
    let signal = json!({"prometheus": {"url": format!("http://{}", fake.server.address), "value": "up{job=\"a b\"}",
        "interval": "1s"}});
    let samples = samples(signal, 2).await;
    assert!(reason(&samples[0].reading).starts_with("the newest sample is 30.0 s old"), "{samples:?}");
    assert_eq!(samples[1].reading, Reading::Value { value: 7.0 });
    let asked = fake.asked.lock().unwrap()[0].clone();
    assert!(
        asked.starts_with("POST /api/v1/query HTTP/1.1 query=label_replace%28up%7Bjob%3D%22a%20b%22%7D%0A"),
        "{asked}"
    );
    assert!(asked.contains("timestamp%28up"), "{asked}");
}

#[tokio::test]
async fn an_answer_that_takes_too_long_makes_each_skipped_moment_missing() {
    let server = TestServer::start(|mut stream, _| async move {
        request_head(&mut stream).await;
        std::future::pending::<()>().await;
    })
    .await;
    let url = format!("http://{}", server.address);
    let signal = json!({"prometheus": {"url": url, "value": "v", "interval": "50ms", "timeout": "210ms"}});
    let samples = samples(signal, 5).await;
    assert_eq!(reason(&samples[0].reading), "timeout after 210ms");
    assert_eq!(reason(&samples[1].reading), "not asked: the answer before came too late");
    assert!(samples.windows(2).all(|pair| (pair[1].at - pair[0].at - 0.05).abs() < 1e-6), "{samples:?}");
}

#[test]
fn only_a_name_with_matchers_is_a_plain_selector() {
    for query in ["up", " orders_total{code=~\"5..\"} ", "job:rate:sum{}"] {
        assert!(is_plain_selector(query), "{query}");
    }
    for query in ["sum(up)", "up + 1", "1", "up{a=\"b\"} offset 5m", "up{a=\"}\"}", "{__name__=\"up\"}", "up # {}", ""]
    {
        assert!(!is_plain_selector(query), "{query}");
    }
}

#[test]
fn what_cannot_be_asked_is_refused_beforehand() {
    let cases = [
        (json!({"url": "http://p", "bad": "b"}), "both `bad` and `total`"),
        (json!({"url": "http://p", "bad": "b", "total": "t", "value": "v"}), "both `bad` and `total`"),
        (json!({"url": "http://p?x=1", "value": "v"}), "holds a query"),
        (json!({"url": "p:9090", "value": "v"}), "http://"),
        (json!({"url": "http://p", "value": " "}), "`value` is an empty query"),
        (json!({"url": "http://p", "value": "v", "interval": "0"}), "`interval`"),
    ];
    for (signal, part) in cases {
        let error = PrometheusReader::new(&serde_json::from_value(signal).unwrap()).unwrap_err();
        assert!(error.contains(part), "{error}");
    }
}
