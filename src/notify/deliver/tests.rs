//! Delivery to receivers on this host, well and badly behaved. Time is told by the outbox, so pauses cost none; only the
//! timeouts of hanging receivers are waited for.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use jiff::Timestamp;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::notify::counts::{Counters, Counts};
use crate::notify::occurrence::{FaultSubject, Importance, Occurrence, RunSubject, What};
use crate::notify::outbox::{MemoryOutbox, NewMessage, Outbox};
use crate::notify::settings::{Endpoint, Settings};
use crate::notify::signature::{TOLERANCE, verify};
use crate::notify::{Notifier, signature};

const SECRETS: [&str; 2] = ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVo="];

/// A request as it came.
#[derive(Debug, Clone)]
struct Got {
    path: String,
    headers: BTreeMap<String, String>,
    body: Vec<u8>,
}

impl Got {
    fn event(&self) -> String {
        let body: serde_json::Value = serde_json::from_slice(&self.body).unwrap();
        let name = body["type"].as_str().unwrap().trim_start_matches("dev.faultline.").trim_end_matches(".v1");
        format!("{} {}", body["subject"].as_str().unwrap(), name)
    }
}

/// A receiver that answers as it is told: `answer` gets the request and how many came before.
struct Receiver {
    address: SocketAddr,
    got: Arc<Mutex<Vec<Got>>>,
}

impl Receiver {
    async fn start(answer: impl Fn(&Got, usize) -> Response<Full<Bytes>> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let receiver = Self { address: listener.local_addr().unwrap(), got: Arc::default() };
        let (got, answer) = (receiver.got.clone(), Arc::new(answer));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (got, answer) = (got.clone(), answer.clone());
                let service = service_fn(move |request: Request<Incoming>| {
                    let (got, answer) = (got.clone(), answer.clone());
                    async move {
                        let (head, body) = request.into_parts();
                        let text = |value: &http::HeaderValue| value.to_str().unwrap().to_owned();
                        let headers = head.headers.iter().map(|(name, value)| (name.to_string(), text(value)));
                        let body = body.collect().await?.to_bytes().to_vec();
                        let one = Got { path: head.uri.to_string(), headers: headers.collect(), body };
                        let before = got.lock().unwrap().len();
                        got.lock().unwrap().push(one.clone());
                        Ok::<_, hyper::Error>(answer(&one, before))
                    }
                });
                let connection = hyper::server::conn::http1::Builder::new();
                tokio::spawn(async move { connection.serve_connection(TokioIo::new(stream), service).await.ok() });
            }
        });
        receiver
    }

    fn got(&self) -> Vec<Got> {
        self.got.lock().unwrap().clone()
    }
}

fn status(code: u16) -> Response<Full<Bytes>> {
    Response::builder().status(code).body(Full::new(Bytes::from_static(b"thus"))).unwrap()
}

/// The settings of one endpoint on this host, and the folder with its secrets.
fn settings(format: &str, address: SocketAddr, more: &str) -> (Settings, tempfile::TempDir) {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in [("secret", SECRETS.join("\n")), ("key", "thekeyofthereceiver".to_owned())] {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    }
    let secret = match format {
        "webhook" => "secretFile: secret",
        "pagerduty" | "grafana" => "secretFile: key",
        _ => "queue: 1000",
    };
    let more = if more.is_empty() { String::new() } else { format!(", {more}") };
    let text = format!(
        "source: https://f.example\nendpoints:\n  - {{ name: one, format: {format}, url: 'http://{address}/in', {secret}{more} }}\n"
    );
    let file = folder.path().join("notifications.yaml");
    std::fs::write(&file, text).unwrap();
    (Settings::load(&file).unwrap_or_else(|error| panic!("{}", error.render(false))).document, folder)
}

fn time(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

fn run(id: &str) -> RunSubject {
    RunSubject { id: id.into(), experiment: "e".into(), hosts: vec!["h".into()] }
}

fn started(id: &str) -> Occurrence {
    let what = What::RunStarted { run: run(id), requested_by: "ada".into(), hypothesis: "so".into() };
    Occurrence::new(time(0), BTreeMap::new(), what)
}

fn queued(id: &str) -> Occurrence {
    Occurrence::new(time(0), BTreeMap::new(), What::RunQueued { run: run(id), requested_by: "ada".into() })
}

fn cancelled(id: &str) -> Occurrence {
    Occurrence::new(time(1), BTreeMap::new(), What::RunCancelled { run: run(id), because: "so".into() })
}

fn halt(second: i64) -> Occurrence {
    let what = What::HaltSet { by: "ada".into(), reason: "so".into(), stopped: 0, cancelled: 0 };
    Occurrence::new(time(second), BTreeMap::new(), what)
}

/// One endpoint, its outbox, and a courier that is moved by hand.
struct Bench {
    outbox: Arc<MemoryOutbox>,
    notifier: Notifier<Arc<MemoryOutbox>>,
    courier: Courier<Arc<MemoryOutbox>>,
    counters: Arc<Counters>,
    stop: CancellationToken,
    second: i64,
    _folder: tempfile::TempDir,
}

impl Bench {
    fn new(format: &str, address: SocketAddr, more: &str) -> Self {
        Self::over(Arc::new(MemoryOutbox::new()), format, address, more)
    }

    fn over(outbox: Arc<MemoryOutbox>, format: &str, address: SocketAddr, more: &str) -> Self {
        let (settings, folder) = settings(format, address, more);
        let counters = Arc::new(Counters::default());
        let endpoint: Endpoint = settings.endpoints[0].clone();
        let source = settings.source.clone();
        let courier = Courier::new(source, Arc::new(endpoint), outbox.clone(), counters.clone(), 7);
        let notifier = Notifier::new(settings, outbox.clone(), 7);
        outbox.set_time(time(0));
        Self { outbox, notifier, courier, counters, stop: CancellationToken::new(), second: 0, _folder: folder }
    }

    async fn tell(&self, occurrences: &[Occurrence]) {
        for occurrence in occurrences {
            self.notifier.tell(occurrence).await.unwrap();
        }
    }

    /// Works until nothing waits or `until` is reached, letting the time pass at once; when each attempt was due.
    async fn work_until(&mut self, until: i64) {
        loop {
            match self.courier.turn(&self.stop).await.unwrap() {
                Turn::More => {}
                Turn::Idle => return,
                Turn::Until(at) if at > time(until) => return,
                Turn::Until(at) => {
                    self.second = (at.as_second() - time(0).as_second()).max(self.second) + 1;
                    self.outbox.set_time(time(self.second));
                }
            }
        }
    }

    fn counts(&self) -> (u64, u64, u64) {
        let Counts { delivered, failed_attempts, given_up, .. } = self.counters.counts("one");
        (delivered, failed_attempts, given_up)
    }
}

#[tokio::test]
async fn what_is_signed_is_believed_by_us_and_by_an_independent_implementation() {
    let receiver = Receiver::start(|_, _| status(204)).await;
    let mut bench = Bench::new("webhook", receiver.address, "");
    bench.tell(&[started("1")]).await;
    bench.work_until(0).await;
    let [got] = receiver.got().try_into().unwrap();
    assert_eq!((got.path.as_str(), got.headers["content-type"].as_str()), ("/in", "application/json"));
    assert!(got.headers["user-agent"].starts_with("Faultline/"));
    let header = |name: &str| got.headers[name].as_str();
    let (id, second, signatures) = (header("webhook-id"), header("webhook-timestamp"), header("webhook-signature"));
    assert_eq!((id, second), ("run/1/run-started", "1800000000"));
    for secret in SECRETS {
        let known = [secret.parse::<signature::SigningSecret>().unwrap()];
        assert_eq!(verify(&known, id, second, signatures, &got.body, time(5), TOLERANCE), Ok(()));
    }
    let script = "import base64,hashlib,hmac,sys\n\
        id,second,signatures,secret=sys.argv[1:]\n\
        key=base64.b64decode(secret.removeprefix('whsec_'))\n\
        content=id.encode()+b'.'+second.encode()+b'.'+sys.stdin.buffer.read()\n\
        good='v1,'+base64.b64encode(hmac.new(key,content,hashlib.sha256).digest()).decode()\n\
        sys.exit(0 if any(hmac.compare_digest(good,one) for one in signatures.split(' ')) else 1)";
    for (secret, expected) in SECRETS.into_iter().map(|secret| (secret, 0)).chain([("whsec_AAAA", 1)]) {
        let mut command = Command::new("python3");
        command.args(["-c", script, id, second, signatures, secret]).stdin(std::process::Stdio::piped());
        let mut child = match command.spawn() {
            Ok(child) => child,
            Err(error) => {
                println!("skipped: no python3 to check the signature with: {error}");
                return;
            }
        };
        std::io::Write::write_all(&mut child.stdin.take().unwrap(), &got.body).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(expected));
    }
}

#[tokio::test]
async fn a_receiver_in_trouble_is_asked_again_with_the_same_id_and_a_new_time() {
    let receiver = Receiver::start(|_, before| status(if before < 3 { 500 } else { 200 })).await;
    let mut bench = Bench::new("webhook", receiver.address, "");
    bench.tell(&[started("1")]).await;
    bench.work_until(3600).await;
    let got = receiver.got();
    assert_eq!(got.len(), 4);
    assert!(got.iter().all(|one| one.headers["webhook-id"] == "run/1/run-started" && one.body == got[0].body));
    assert!(got[3].headers["webhook-timestamp"] > got[0].headers["webhook-timestamp"]);
    assert_eq!(bench.counts(), (1, 3, 0));
    assert_eq!(bench.outbox.delivered_ids(), ["run/1/run-started/one"]);
}

#[tokio::test]
async fn a_receiver_that_asks_for_time_gets_it() {
    let receiver = Receiver::start(|_, before| match before {
        0 => Response::builder().status(429).header("retry-after", "120").body(Full::default()).unwrap(),
        _ => status(202),
    })
    .await;
    let mut bench = Bench::new("webhook", receiver.address, "");
    bench.tell(&[started("1"), started("2")]).await;
    bench.work_until(119).await;
    assert_eq!(receiver.got().len(), 1, "the other message waits too: it is the receiver that asked");
    bench.work_until(1000).await;
    assert_eq!(receiver.got().len(), 3);
    assert!(bench.second >= 120);
}

#[tokio::test]
async fn what_a_receiver_refuses_is_given_up_at_once_and_the_next_goes_on() {
    let receiver = Receiver::start(|_, before| status(if before == 0 { 410 } else { 200 })).await;
    let mut bench = Bench::new("webhook", receiver.address, "");
    bench.tell(&[started("1"), started("2")]).await;
    bench.work_until(0).await;
    assert_eq!(bench.counts(), (1, 0, 1));
    assert_eq!(bench.outbox.given_up(), [("run/1/run-started/one".into(), "answered 410: thus".into())]);
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let elsewhere = Receiver::start(|_, _| status(200)).await;
    let location = format!("http://{}/", elsewhere.address);
    let receiver = Receiver::start(move |_, _| {
        Response::builder().status(307).header("location", &location).body(Full::default()).unwrap()
    })
    .await;
    let mut bench = Bench::new("webhook", receiver.address, "");
    bench.tell(&[started("1")]).await;
    bench.work_until(5).await;
    assert!(!receiver.got().is_empty() && elsewhere.got().is_empty());
    assert_eq!(bench.counts().0, 0);
}

#[tokio::test]
async fn what_nobody_takes_is_given_up_in_the_end() {
    let receiver = Receiver::start(|_, _| status(503)).await;
    let mut bench = Bench::new("webhook", receiver.address, "giveUpAfter: 1h");
    bench.tell(&[started("1")]).await;
    bench.work_until(100_000).await;
    let [(_, why)] = bench.outbox.given_up().try_into().unwrap();
    let attempts = receiver.got().len();
    assert!(why == format!("tried {attempts} times until now; at last: answered 503: thus"), "{why}");
    assert!((6..60).contains(&attempts), "{attempts} attempts in an hour");
    assert!((3600..3700).contains(&bench.second), "{}", bench.second);
}

/// It reads the request, and then does what it is told with the connection.
async fn raw(then: &'static [u8], hang: bool) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut request = [0; 16 * 1024];
                let _ = stream.read(&mut request).await;
                let _ = stream.write_all(then).await;
                if hang {
                    tokio::time::sleep(Duration::from_secs(30)).await;
                }
            });
        }
    });
    address
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_no_answer() {
    for then in ["", "HTTP/1.1 200 OK\r\n", "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhal", "SSH-2.0\r\n"] {
        let mut bench = Bench::new("webhook", raw(then.as_bytes(), false).await, "");
        bench.tell(&[started("1")]).await;
        bench.work_until(0).await;
        assert_eq!(bench.counts(), (0, 1, 0), "{then:?}");
    }
}

#[tokio::test]
async fn an_endless_answer_is_cut_off_and_taken_for_what_it_begins_with() {
    static ENDLESS: [u8; 300_000] = {
        let mut all = [b'a'; 300_000];
        let head = b"HTTP/1.1 200 OK\r\ncontent-length: 999999999\r\n\r\n";
        let mut at = 0;
        while at < head.len() {
            all[at] = head[at];
            at += 1;
        }
        all
    };
    let mut bench = Bench::new("webhook", raw(&ENDLESS, true).await, "timeout: 5s");
    bench.tell(&[started("1")]).await;
    let begun = std::time::Instant::now();
    bench.work_until(0).await;
    assert_eq!(bench.counts(), (1, 0, 0));
    assert!(begun.elapsed() < Duration::from_secs(4));
}

#[tokio::test]
async fn one_that_hangs_costs_nothing_but_its_own_queue() {
    let (good, folder) = settings("webhook", "127.0.0.1:1".parse().unwrap(), "timeout: 10s");
    let receiver = Receiver::start(|_, _| status(200)).await;
    let text = format!(
        "source: a\nendpoints:\n  - {{ name: hangs, format: cloud-events, url: 'http://{}/', timeout: 10s }}\n  \
         - {{ name: works, format: webhook, url: 'http://{}/', secretFile: secret }}\n",
        raw(b"", true).await,
        receiver.address
    );
    assert_eq!(good.endpoints.len(), 1);
    let file = folder.path().join("notifications.yaml");
    std::fs::write(&file, text).unwrap();
    let notifier = Notifier::new(Settings::load(&file).unwrap().document, Arc::new(MemoryOutbox::new()), 7);
    let stop = CancellationToken::new();
    let delivering = tokio::spawn({
        let (notifier, stop) = (notifier.clone(), stop.clone());
        async move { notifier.deliver(stop).await }
    });
    let begun = std::time::Instant::now();
    for run in 0..100 {
        notifier.tell(&started(&run.to_string())).await.unwrap();
    }
    assert!(begun.elapsed() < Duration::from_secs(2), "telling waits for nobody");
    while receiver.got().len() < 100 {
        assert!(begun.elapsed() < Duration::from_secs(8), "{} of 100", receiver.got().len());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    stop.cancel();
    tokio::time::timeout(Duration::from_secs(2), delivering).await.unwrap().unwrap();
    let waiting = notifier.waiting().await.unwrap();
    assert_eq!(waiting, [("hangs".to_owned(), 100), ("works".to_owned(), 0)]);
}

#[tokio::test]
async fn a_delivery_that_was_cut_off_by_a_restart_is_done_again_with_the_same_id() {
    let outbox = Arc::new(MemoryOutbox::new());
    let mut first = Bench::over(outbox.clone(), "webhook", raw(b"", true).await, "timeout: 30s");
    first.tell(&[queued("1"), cancelled("1")]).await;
    let stop = first.stop.clone();
    let (_, turn) = tokio::join!(
        async {
            tokio::time::sleep(Duration::from_millis(200)).await;
            stop.cancel();
        },
        first.courier.turn(&first.stop)
    );
    assert_eq!(turn.unwrap(), Turn::More);
    // The next process, over the same outbox. What is told again is not sent again.
    let receiver = Receiver::start(|_, _| status(200)).await;
    let mut second = Bench::over(outbox, "webhook", receiver.address, "");
    second.tell(&[queued("1"), cancelled("1")]).await;
    second.work_until(0).await;
    let got: Vec<String> = receiver.got().iter().map(Got::event).collect();
    assert_eq!(got, ["runs/1 run.queued", "runs/1 run.cancelled"]);
    assert_eq!(receiver.got()[0].headers["webhook-id"], "run/1/run-queued");
}

#[tokio::test]
async fn one_killed_in_mid_delivery_leaves_the_message_to_be_taken_after_its_lease() {
    let receiver = Receiver::start(|_, _| status(200)).await;
    let mut bench = Bench::new("webhook", receiver.address, "timeout: 10s");
    bench.tell(&[started("1")]).await;
    let taken = bench.outbox.take("run/1/run-started/one", Duration::from_secs(40), time(0)).await.unwrap();
    bench.work_until(39).await;
    assert!(receiver.got().is_empty());
    bench.work_until(41).await;
    assert_eq!(receiver.got().len(), 1);
    // The one that was thought dead reports late: it changes nothing.
    assert!(!bench.outbox.give_up(&taken.unwrap(), "late", time(50)).await.unwrap());
    assert_eq!(bench.outbox.delivered_ids().len(), 1);
}

#[tokio::test]
async fn one_subjects_events_keep_their_order_and_a_message_that_nobody_takes_blocks_only_them() {
    let receiver = Receiver::start(|got, _| status(if got.event() == "runs/1 run.queued" { 500 } else { 200 })).await;
    let mut bench = Bench::new("webhook", receiver.address, "giveUpAfter: 1h");
    bench.tell(&[queued("1"), cancelled("1"), queued("2"), cancelled("2"), halt(3)]).await;
    bench.work_until(60).await;
    let got: Vec<String> = receiver.got().iter().map(Got::event).filter(|event| event != "runs/1 run.queued").collect();
    assert_eq!(got, ["halt halt.set", "runs/2 run.queued", "runs/2 run.cancelled"]);
    bench.work_until(4000).await;
    assert_eq!(receiver.got().last().unwrap().event(), "runs/1 run.cancelled");
}

#[tokio::test]
async fn a_full_queue_drops_what_matters_least_and_never_a_halt() {
    let mut bench = Bench::new("webhook", "127.0.0.1:1".parse().unwrap(), "queue: 10");
    let details: Vec<Occurrence> = (0..10).map(|run| queued(&run.to_string())).collect();
    bench.tell(&details).await;
    bench.tell(&[started("a"), halt(1), queued("10")]).await;
    let dropped: Vec<String> = bench.outbox.given_up().into_iter().map(|(id, _)| id).collect();
    assert_eq!(dropped, ["run/0/run-queued/one", "run/1/run-queued/one", "run/2/run-queued/one"]);
    bench.tell(&(10..40).map(halt).collect::<Vec<_>>()).await;
    bench.tell(&[started("b")]).await;
    let waiting = bench.outbox.waiting("one").await.unwrap();
    assert_eq!(waiting.len(), 31, "only halts are left, all of them");
    assert!(waiting.iter().all(|message| message.id.starts_with("halt/")));
    assert_eq!(bench.notifier.counts()[0].dropped, 13);
    assert_eq!(halt(1).importance(), Importance::Vital);
    bench.work_until(0).await;
}

#[tokio::test]
async fn keys_go_where_the_receiver_looks_for_them_and_nowhere_else() {
    let receiver = Receiver::start(|got, _| {
        let echoed = format!("bad key {}", got.headers.get("authorization").cloned().unwrap_or_default());
        Response::builder().status(403).body(Full::new(Bytes::from(echoed))).unwrap()
    })
    .await;
    let mut grafana = Bench::new("grafana", receiver.address, "");
    let fault = FaultSubject { id: "f".into(), name: "disk-fill".into(), host: "h".into(), dose: "80%".into() };
    let undone = What::FaultUndone { run: run("1"), fault: fault.clone(), since: time(0) };
    grafana.tell(&[Occurrence::new(time(9), BTreeMap::new(), undone)]).await;
    grafana.work_until(0).await;
    let because = "cannot".to_owned();
    let stuck = What::FaultStuck { run: Some(run("1")), fault, because, command: "rm /x".into() };
    let mut pager = Bench::new("pagerduty", receiver.address, "");
    pager.tell(&[Occurrence::new(time(9), BTreeMap::new(), stuck)]).await;
    pager.work_until(0).await;
    let [annotation, alert] = receiver.got().try_into().unwrap();
    assert_eq!(annotation.path, "/in/api/annotations");
    assert_eq!(annotation.headers["authorization"], "Bearer thekeyofthereceiver");
    assert!(!String::from_utf8_lossy(&annotation.body).contains("thekey"));
    let body: serde_json::Value = serde_json::from_slice(&alert.body).unwrap();
    assert_eq!(body["routing_key"], "thekeyofthereceiver");
    assert!(!alert.headers.contains_key("authorization"));
    let kept = format!("{:?} {:?} {:?}", grafana.outbox, pager.outbox, grafana.notifier);
    assert!(!kept.contains("thekey"), "{kept}");
    assert_eq!(grafana.outbox.given_up()[0].1, "answered 403: bad key Bearer …");
}

#[tokio::test]
async fn a_secret_that_cannot_be_read_just_now_is_waited_for() {
    let receiver = Receiver::start(|_, _| status(200)).await;
    let mut bench = Bench::new("webhook", receiver.address, "");
    let secret = bench._folder.path().join("secret");
    let away = bench._folder.path().join("away");
    std::fs::rename(&secret, &away).unwrap();
    bench.tell(&[started("1")]).await;
    bench.work_until(0).await;
    assert_eq!((receiver.got().len(), bench.counts()), (0, (0, 1, 0)));
    std::fs::rename(&away, &secret).unwrap();
    bench.work_until(60).await;
    assert_eq!(bench.counts(), (1, 1, 0));
}

#[tokio::test]
async fn what_is_no_occurrence_is_given_up() {
    let receiver = Receiver::start(|_, _| status(200)).await;
    let mut bench = Bench::new("webhook", receiver.address, "");
    let foreign = NewMessage { id: "x".into(), endpoint: "one".into(), payload: "{\"newer\": 1}".into() };
    bench.outbox.put(&[foreign], time(0)).await.unwrap();
    bench.tell(&[started("1")]).await;
    bench.work_until(0).await;
    assert_eq!(bench.counts(), (1, 0, 1));
}

#[tokio::test]
async fn what_waits_for_an_endpoint_that_is_gone_is_given_up_after_a_day() {
    let receiver = Receiver::start(|_, _| status(200)).await;
    let bench = Bench::new("webhook", receiver.address, "");
    let put = |id: &str, endpoint: &str| NewMessage { id: id.into(), endpoint: endpoint.into(), payload: "{}".into() };
    bench.outbox.put(&[put("old", "gone")], time(0)).await.unwrap();
    bench.outbox.put(&[put("new", "gone")], time(60)).await.unwrap();
    bench.outbox.set_time(time(24 * 3600 + 1));
    let stop = CancellationToken::new();
    let delivering = tokio::spawn({
        let (notifier, stop) = (bench.notifier.clone(), stop.clone());
        async move { notifier.deliver(stop).await }
    });
    let begun = std::time::Instant::now();
    while bench.outbox.given_up().is_empty() {
        assert!(begun.elapsed() < Duration::from_secs(10));
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    stop.cancel();
    delivering.await.unwrap();
    let ids: Vec<String> = bench.outbox.given_up().into_iter().map(|(id, _)| id).collect();
    assert_eq!(ids, ["old"], "the other may come back into the settings");
}
