use std::collections::BTreeSet;
use std::sync::Arc;

use axum::body::{Body, to_bytes};
use axum::http::{Method, Request, StatusCode, header};
use axum::response::Response;
use serde_json::{Value, json};
use tower::ServiceExt;

use super::endpoint::{Access, Endpoint};
use super::{LONGEST_BODY, description, router, table};
use crate::access::{Principal, Role};
use crate::controller::fixture::{DOCUMENT, Fixture, SCHEDULE, somebody};
use crate::dispatch::Listener;

/// A controller with two hosts, a run that has a journal, one of each token, and a token for each role.
struct Api {
    fixture: Fixture,
    run: String,
    waiting: (String, String),
    ids: [String; 2],
    game_day: (String, String),
    tokens: Vec<(Role, String)>,
}

impl Api {
    async fn new() -> Self {
        let fixture = Fixture::new().await;
        fixture.host("db-1", &[("role", "db")]).await;
        let controller = &fixture.controller;
        let root = somebody("root", Role::Admin);
        let mut tokens = Vec::new();
        for role in Role::ALL {
            let made =
                controller.create_api_token(&root, &format!("a-{role}"), role.as_str(), "*", None).await.unwrap();
            tokens.push((role, made.token));
        }
        let submission = |approvals| crate::controller::submit::Submission {
            document: DOCUMENT.into(),
            approvals,
            ..Default::default()
        };
        let run = controller.submit(&root, submission(0)).await.unwrap().id;
        let waiting = controller.submit(&root, submission(2)).await.unwrap();
        let folder = controller.runs_folder().join(&run);
        std::fs::create_dir_all(&folder).unwrap();
        let entries = crate::report::fixture::journal(crate::report::fixture::Ending::Held);
        std::fs::write(folder.join("journal.jsonl"), crate::report::fixture::lines(&entries)).unwrap();
        controller.put_schedule(&root, SCHEDULE, None).await.unwrap();
        let hour = std::time::Duration::from_secs(3600);
        let enrolment = controller.create_enrolment_token(&root, Default::default(), hour, 1).await.unwrap().id;
        let token = controller.create_api_token(&root, "old", "viewer", "*", None).await.unwrap().id;
        let now = controller.now().await.unwrap();
        controller.store().try_lead("controller-a", hour, now).await.unwrap();
        let day = controller.submit_game_day(&root, &game_day()).await.unwrap();
        let game_day = (day.game_day.id, day.plan_hash);
        Self { fixture, run, waiting: (waiting.id, waiting.plan_hash), ids: [enrolment, token], game_day, tokens }
    }

    fn token(&self, role: Role) -> &str {
        &self.tokens.iter().find(|(of, _)| *of == role).unwrap().1
    }

    async fn send(&self, request: Request<Body>) -> Response {
        router(&self.fixture.controller).oneshot(request).await.unwrap()
    }

    /// What a list has under that key, page by page.
    async fn pages(&self, uri: &str, list: &str, key: &str) -> Vec<String> {
        let (mut seen, mut after) = (Vec::new(), String::new());
        loop {
            let request = Request::builder().uri(format!("{uri}{after}"));
            let request = request.header(header::AUTHORIZATION, format!("Bearer {}", self.token(Role::Viewer)));
            let (_, _, page) = read(self.send(request.body(Body::empty()).unwrap()).await).await;
            seen.extend(page[list].as_array().unwrap().iter().map(|element| element[key].as_str().unwrap().to_owned()));
            let Some(next) = page["next"].as_str() else { return seen };
            after = format!("&after={next}");
        }
    }

    /// A request that the endpoint must be able to do.
    fn request(&self, endpoint: &Endpoint, token: Option<&str>) -> Request<Body> {
        let [enrolment, token_id] = &self.ids;
        let run = if endpoint.name == "approveRun" { &self.waiting.0 } else { &self.run };
        let path = endpoint.path.replace("{run}", run).replace("{agent}", "db-1").replace("{schedule}", "nightly");
        let path = path.replace("{gameDay}", &self.game_day.0).replace("{baseline}", "main");
        let path = match endpoint.path.contains("enrolment") {
            true => path.replace("{token}", enrolment),
            false => path.replace("{token}", token_id),
        };
        let body = match endpoint.name {
            "plan" | "submitRun" => json!({ "document": DOCUMENT }),
            "approveRun" => json!({ "planHash": self.waiting.1 }),
            "submitGameDay" => json!({ "document": game_day() }),
            "approveGameDay" => json!({ "planHash": self.game_day.1 }),
            "answerGameDay" => json!({ "to": "question-1", "answer": "go", "remark": "nobody is" }),
            "noteGameDay" => json!({ "text": "it is slow", "tags": ["detected"] }),
            "findInGameDay" => json!({ "text": "no runbook", "severity": "high", "owner": "ann", "due": "2026-12-24" }),
            "cancelRun" | "revokeAgent" | "acknowledgeAgent" | "halt" | "abortGameDay" => json!({ "reason": "a test" }),
            "createEnrolmentToken" | "verifyAudit" | "beginRotation" => json!({}),
            "switchRotation" | "finishRotation" => json!({ "force": { "reason": "a test" } }),
            "putSchedule" => json!({ "document": SCHEDULE }),
            "putBaseline" => {
                let empty = json!({ "apiVersion": "faultline.dev/v1", "kind": "GateBaseline", "baselines": {} });
                json!({ "document": empty.to_string(), "version": 0 })
            }
            "createToken" => json!({ "name": "ci", "role": "viewer" }),
            _ => Value::Null,
        };
        assert_eq!(body.is_null(), endpoint.body.is_none(), "{endpoint:?} needs an example in this test");
        let mut request = Request::builder().method(endpoint.method.clone()).uri(path);
        if let Some(token) = token {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        request.body(if body.is_null() { Body::empty() } else { body.to_string().into() }).unwrap()
    }
}

/// A game day that the token of the approver approves and that of the operator answers.
fn game_day() -> String {
    format!(
        "apiVersion: faultline.dev/v1\nkind: GameDay\nmetadata: {{ name: day }}\nspec:\n  title: A day\n  roles: {{ all: \
         [a-approver, a-operator] }}\n  approvals: {{ required: 1, of: [all] }}\n  checklist: [{{ ask: Ready? }}, {{ ask: \
         Steady? }}]\n  experiments: [{{ experiment: checkout-survives-a-slow-database }}]\n---\n{}",
        DOCUMENT.trim_start()
    )
}

async fn read(response: Response) -> (StatusCode, String, Value) {
    let status = response.status();
    let media = response.headers()[header::CONTENT_TYPE].to_str().unwrap().to_owned();
    let bytes = to_bytes(response.into_body(), usize::MAX).await.unwrap();
    let text = String::from_utf8(bytes.to_vec()).unwrap();
    (status, media, serde_json::from_str(&text).unwrap_or(Value::String(text)))
}

/// Whether a value is what the description says of an answer.
fn fits(
    description: &Value,
    endpoint: &Endpoint,
    status: StatusCode,
    media: &str,
    value: &Value,
) -> Result<(), String> {
    let method = endpoint.method.as_str().to_lowercase();
    let answer = &description["paths"][endpoint.path][&method]["responses"][status.as_str()];
    if answer.is_null() {
        return Err(format!("{status} is not described"));
    }
    let Some(content) = answer["content"].get(media) else {
        return Err(format!("{media} is not described for {status}"));
    };
    let Some(schema) = content.get("schema") else { return Ok(()) };
    let whole = json!({ "allOf": [schema], "components": description["components"] });
    let validator = jsonschema::draft202012::new(&whole).map_err(|error| error.to_string())?;
    let errors: Vec<String> =
        validator.iter_errors(value).map(|error| format!("{}: {error}", error.instance_path())).collect();
    if errors.is_empty() { Ok(()) } else { Err(errors.join("; ")) }
}

#[tokio::test]
async fn every_endpoint_wants_a_token_of_its_role_and_answers_as_described() {
    let api = Api::new().await;
    let description = description();
    // What ends something comes last.
    let mut endpoints = table::endpoints();
    endpoints.sort_by_key(|endpoint| {
        [
            "approveGameDay",
            "answerGameDay",
            "withdrawFromGameDay",
            "abortGameDay",
            "deleteSchedule",
            "cancelRun",
            "revokeAgent",
            "halt",
            "release",
            "beginRotation",
            "switchRotation",
            "finishRotation",
        ]
        .iter()
        .position(|last| endpoint.name == *last)
    });
    for endpoint in endpoints {
        let Access::Needs(action) = endpoint.access else {
            let (status, media, value) = read(api.send(api.request(&endpoint, None)).await).await;
            assert_eq!(status, StatusCode::OK, "{endpoint:?} {value}");
            fits(&description, &endpoint, status, &media, &value)
                .unwrap_or_else(|error| panic!("{endpoint:?}: {error}"));
            continue;
        };
        for token in [None, Some("fla1.0123456789abcdef.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"), Some("")] {
            let response = api.send(api.request(&endpoint, token)).await;
            assert_eq!(response.headers()[header::WWW_AUTHENTICATE], "Bearer realm=\"faultline\"");
            let (status, media, value) = read(response).await;
            assert_eq!(status, StatusCode::UNAUTHORIZED, "{endpoint:?} {value}");
            fits(&description, &endpoint, status, &media, &value)
                .unwrap_or_else(|error| panic!("{endpoint:?}: {error}"));
        }
        let least = action.rule().role;
        for role in Role::ALL.into_iter().filter(|role| *role < least) {
            let (status, media, value) = read(api.send(api.request(&endpoint, Some(api.token(role)))).await).await;
            assert_eq!(status, StatusCode::FORBIDDEN, "{endpoint:?} {role}: {value}");
            assert!(value["hint"].as_str().unwrap().contains(least.as_str()), "{endpoint:?}: {value}");
            fits(&description, &endpoint, status, &media, &value)
                .unwrap_or_else(|error| panic!("{endpoint:?}: {error}"));
        }
        let response = api.send(api.request(&endpoint, Some(api.token(least)))).await;
        assert_eq!(response.headers()[header::X_CONTENT_TYPE_OPTIONS], "nosniff");
        assert_eq!(response.headers()[header::CACHE_CONTROL], "no-store");
        assert!(response.headers().get(header::ACCESS_CONTROL_ALLOW_ORIGIN).is_none());
        let (status, media, value) = read(response).await;
        assert_eq!(status, endpoint.success.status, "{endpoint:?} {value}");
        fits(&description, &endpoint, status, &media, &value).unwrap_or_else(|error| panic!("{endpoint:?}: {error}"));
    }
}

#[tokio::test]
async fn nothing_else_answers() {
    let api = Api::new().await;
    let known: BTreeSet<&str> = table::endpoints().iter().map(|endpoint| endpoint.path).collect();
    for path in [
        "/",
        "/v1",
        "/v1/",
        "/v2/runs",
        "/debug",
        "/debug/pprof",
        "/debug/vars",
        "/actuator",
        "/admin",
        "/config",
        "/env",
        "/graphql",
        "/metrics/",
        "/openapi",
        "/swagger",
        "/docs",
        "/v1/runs/a/b/c",
        "//metrics",
        "/v1/tokens/../../metrics",
    ] {
        assert!(!known.contains(path));
        let request =
            Request::builder().uri(path).header(header::AUTHORIZATION, format!("Bearer {}", api.token(Role::Admin)));
        let (status, media, value) = read(api.send(request.body(Body::empty()).unwrap()).await).await;
        assert_eq!((status, media.as_str()), (StatusCode::NOT_FOUND, "application/problem+json"), "{path} {value}");
    }
    for method in [Method::PUT, Method::PATCH, Method::TRACE, Method::OPTIONS, Method::CONNECT] {
        let request = Request::builder().method(method.clone()).uri("/v1/runs").body(Body::empty()).unwrap();
        let (status, _, value) = read(api.send(request).await).await;
        assert_eq!(status, StatusCode::METHOD_NOT_ALLOWED, "{method} {value}");
    }
}

#[tokio::test]
async fn the_description_is_the_table_and_is_openapi() {
    let description = description();
    assert_eq!(description["openapi"], "3.1.0");
    let mut described = BTreeSet::new();
    let mut names = BTreeSet::new();
    for (path, methods) in description["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            described.insert(format!("{} {path}", method.to_uppercase()));
            assert!(names.insert(operation["operationId"].as_str().unwrap().to_owned()), "{path}");
            assert!(!operation["summary"].as_str().unwrap().is_empty());
        }
    }
    let table: BTreeSet<String> = table::endpoints().iter().map(|endpoint| format!("{endpoint:?}")).collect();
    assert_eq!(described, table);
    let open: Vec<&str> = table::endpoints()
        .into_iter()
        .filter(|endpoint| endpoint.access == Access::Open)
        .map(|endpoint| endpoint.path)
        .collect();
    assert_eq!(open, ["/healthz", "/readyz"]);
    // Every reference leads somewhere.
    let text = description.to_string();
    for reference in text.split("\"$ref\":\"").skip(1).map(|rest| rest.split('"').next().unwrap()) {
        assert!(description.pointer(reference.trim_start_matches('#')).is_some(), "{reference}");
    }
    let api = Api::new().await;
    let request = Request::builder()
        .uri("/openapi.json")
        .header(header::AUTHORIZATION, format!("Bearer {}", api.token(Role::Viewer)));
    let (_, _, served) = read(api.send(request.body(Body::empty()).unwrap()).await).await;
    assert_eq!(served, description);
}

#[tokio::test]
async fn what_is_not_understood_is_refused_and_nothing_is_done() {
    let api = Api::new().await;
    let before = api.fixture.audited().await.len();
    let long = format!("{{\"document\":\"{}\"}}", "x".repeat(LONGEST_BODY));
    for (method, path, body, expected) in [
        ("POST", "/v1/runs", "{", 400),
        ("POST", "/v1/runs", "", 400),
        ("POST", "/v1/runs", "{\"document\":\"x\",\"sed\":1}", 400),
        ("POST", "/v1/runs", "{\"document\":7}", 400),
        ("POST", "/v1/halt", "{\"reason\":\"  \"}", 400),
        ("GET", "/v1/runs?limit=0", "", 400),
        ("GET", "/v1/runs?limit=501", "", 400),
        ("GET", "/v1/runs?state=asleep", "", 400),
        ("GET", "/v1/runs?stat=queued", "", 400),
        ("GET", "/v1/runs?limit=many", "", 400),
        ("GET", "/v1/agents?x=1", "", 400),
        ("GET", "/v1/agents?limit=501", "", 400),
        ("GET", "/v1/agents?limit=-1", "", 400),
        ("GET", "/v1/tokens?after=nothing", "", 400),
        ("GET", "/v1/enrolment-tokens?after=nothing", "", 400),
        ("GET", "/v1/agents", "{}", 400),
        ("GET", "/v1/audit?since=yesterday", "", 400),
        ("POST", "/v1/audit/verify", "{\"head\":\"1:zz\"}", 400),
        ("GET", "/v1/runs/nothing", "", 404),
        ("POST", "/v1/game-days", "{\"document\":\"x\",\"more\":1}", 400),
        ("GET", "/v1/game-days?limit=0", "", 400),
        ("GET", "/v1/game-days/nothing", "", 404),
        ("GET", "/v1/game-days/nothing/sheet?format=pdf", "", 400),
        ("POST", "/v1/game-days/nothing/answer", "{\"to\":\"lunch\",\"answer\":\"go\"}", 400),
        ("POST", "/v1/game-days/nothing/notes", "{\"text\":\" \"}", 400),
        ("POST", "/v1/game-days/nothing/notes", "{\"text\":\"x\",\"tags\":[\"a b\"]}", 400),
        ("POST", "/v1/game-days/nothing/findings", "{\"text\":\"x\",\"severity\":\"bad\"}", 400),
        ("POST", "/v1/game-days/nothing/abort", "{\"reason\":\"\"}", 400),
        ("DELETE", "/v1/tokens/nothing", "", 404),
        ("POST", "/v1/runs", long.as_str(), 413),
    ] {
        let request = Request::builder().method(method).uri(path);
        let request = request.header(header::AUTHORIZATION, format!("bearer {}", api.token(Role::Admin)));
        let (status, media, value) = read(api.send(request.body(body.to_owned().into()).unwrap()).await).await;
        assert_eq!(status.as_u16(), expected, "{method} {path}: {value}");
        assert_eq!(media, "application/problem+json");
        assert_eq!(value["status"], expected);
    }
    // Two tokens in one request are as good as none.
    let token = format!("Bearer {}", api.token(Role::Admin));
    let request = Request::builder()
        .uri("/v1/agents")
        .header(header::AUTHORIZATION, &token)
        .header(header::AUTHORIZATION, &token);
    assert_eq!(api.send(request.body(Body::empty()).unwrap()).await.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(api.fixture.audited().await.len(), before, "nothing was done");
}

#[tokio::test]
async fn a_request_with_a_key_makes_one_run() {
    let api = Api::new().await;
    let ask = async |role, path: &str, keys: &[&str], body: &Value| {
        let mut request = Request::builder().method(Method::POST).uri(path);
        request = request.header(header::AUTHORIZATION, format!("Bearer {}", api.token(role)));
        for key in keys {
            request = request.header("Idempotency-Key", *key);
        }
        let (status, _, value) = read(api.send(request.body(body.to_string().into()).unwrap()).await).await;
        (status.as_u16(), value)
    };
    let body = json!({ "document": DOCUMENT, "approvals": 3 });
    let (status, made) = ask(Role::Operator, "/v1/runs", &["one"], &body).await;
    assert_eq!(status, 201, "{made}");
    let before = api.fixture.audited().await.len();
    // A document that is written differently is another request; the order of the fields is not.
    let reordered: Value =
        serde_json::from_str(&format!("{{\"approvals\":3,\"document\":{}}}", json!(DOCUMENT))).unwrap();
    assert_eq!(ask(Role::Operator, "/v1/runs", &["one"], &reordered).await, (201, made.clone()));
    // Also when it could not be submitted now: its host is gone.
    api.fixture.controller.registry().end("db-1", "its cable was pulled", true);
    assert_eq!(ask(Role::Operator, "/v1/runs", &["one"], &body).await, (201, made.clone()));
    for other in [json!({ "document": DOCUMENT }), json!({ "document": format!("{DOCUMENT} "), "approvals": 3 })] {
        let (status, problem) = ask(Role::Operator, "/v1/runs", &["one"], &other).await;
        assert_eq!((status, &problem["type"]), (422, &json!("urn:faultline:key-reused")), "{problem}");
        assert!(problem["detail"].as_str().unwrap().contains(made["id"].as_str().unwrap()), "{problem}");
    }
    assert_eq!(ask(Role::Viewer, "/v1/runs", &["one"], &body).await.0, 403);
    assert_ne!(ask(Role::Admin, "/v1/runs", &["one"], &body).await.0, 201, "the key of another is no key of his");
    let (long, longer) = ("x".repeat(255), "x".repeat(256));
    assert_ne!(ask(Role::Operator, "/v1/runs", &[&long], &body).await.0, 400);
    for keys in [&[""] as &[&str], &["one", "one"], &["\u{e9}"], &[&longer]] {
        assert_eq!(ask(Role::Operator, "/v1/runs", keys, &body).await.0, 400, "{keys:?}");
    }
    let (status, problem) = ask(Role::Admin, "/v1/tokens", &["one"], &json!({ "name": "ci", "role": "viewer" })).await;
    assert!(status == 400 && problem["detail"] == "this takes no Idempotency-Key", "{problem}");
    let audited = api.fixture.audited().await;
    assert!(audited[before..].iter().all(|line| line.contains("refused")), "{audited:?}");
    let described = description();
    let takers: Vec<&str> =
        table::endpoints().into_iter().filter(|endpoint| endpoint.once).map(|one| one.name).collect();
    assert_eq!(takers, ["submitRun"]);
    assert_eq!(described["paths"]["/v1/runs"]["post"]["parameters"][0]["name"], "Idempotency-Key");
}

#[tokio::test]
async fn runs_are_paged() {
    let api = Api::new().await;
    let root = somebody("root", Role::Admin);
    for _ in 0..5 {
        let submission = crate::controller::submit::Submission { document: DOCUMENT.into(), ..Default::default() };
        api.fixture.controller.submit(&root, submission).await.unwrap();
    }
    let seen = api.pages("/v1/runs?limit=3&labels=team=payments", "runs", "id").await;
    assert_eq!((seen.len(), seen.iter().collect::<BTreeSet<_>>().len()), (7, 7));
}

#[tokio::test]
async fn agents_and_tokens_are_paged_in_their_order_and_none_is_left_out() {
    let api = Api::new().await;
    for number in 2..8 {
        api.fixture.host(&format!("db-{number}"), &[("role", "db")]).await;
    }
    let root = somebody("root", Role::Admin);
    let all = api.fixture.controller.api_tokens(&root, None, 500).await.unwrap();
    let ids: Vec<String> = all.tokens.iter().map(|token| token.id.clone()).collect();
    assert!(ids.len() >= 5 && all.next.is_none(), "{ids:?}");
    for limit in 1..9 {
        let agents = api.pages(&format!("/v1/agents?limit={limit}"), "agents", "name").await;
        assert_eq!(agents, ["db-1", "db-2", "db-3", "db-4", "db-5", "db-6", "db-7"], "{limit}");
        assert_eq!(api.pages(&format!("/v1/tokens?limit={limit}"), "tokens", "id").await, ids, "{limit}");
    }
    let enrolment = api.pages("/v1/enrolment-tokens?limit=1", "tokens", "id").await;
    assert_eq!(enrolment, [api.ids[0].as_str()]);
    let scoped = Principal { scope: "role=db".parse().unwrap(), ..somebody("eve", Role::Viewer) };
    api.fixture.host("db-0", &[("role", "web")]).await;
    let first = api.fixture.controller.agents(&scoped, None, 2).await.unwrap();
    assert_eq!((first.agents.len(), first.next.as_deref()), (2, Some("db-2")), "what is not seen takes no place");
    let gone = api.fixture.controller.agents(&scoped, Some("db-25"), 2).await.unwrap();
    assert_eq!(gone.agents[0].name, "db-3", "one that is not there any more still has its place in the order");
}

#[tokio::test]
async fn metrics_say_what_is_so() {
    let api = Api::new().await;
    let controller = Arc::clone(&api.fixture.controller);
    let now = controller.now().await.unwrap();
    let hour = std::time::Duration::from_secs(3600);
    let claimed = controller.store().claim_next("controller-a", hour, now).await.unwrap().unwrap();
    let finished = controller.store().finish(&claimed.id, claimed.epoch, "held", "it held", now).await.unwrap();
    let injected = crate::report::fixture::journal(crate::report::fixture::Ending::Held);
    injected.iter().for_each(|entry| controller.metrics().entry(&finished, entry));
    controller.metrics().over(&finished);
    let text = controller.exposition(&somebody("eve", Role::Viewer)).await.unwrap();
    for line in [
        "faultline_agents_connected 1",
        "faultline_faults_active 0",
        "faultline_halted 0",
        "faultline_store_up 1",
        "faultline_runs{state=\"queued\"} 0",
        "faultline_runs{state=\"waiting-for-approval\"} 1",
        "faultline_runs_finished_total{verdict=\"held\"} 1",
        "faultline_dispatch_seconds_count 1",
    ] {
        assert!(text.lines().any(|other| other == line), "{line} is not in\n{text}");
    }
    assert!(text.contains("faultline_build_info{version=\"") && text.ends_with("# EOF\n"));
}
