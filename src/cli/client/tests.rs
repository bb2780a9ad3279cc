//! The client against a controller's API over real TLS.

use std::sync::Arc;
use std::time::Duration;

use http::Method;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::follow::Followed;
use super::{Client, ControllerFlags};
use crate::access::Role;
use crate::cli::failure::{Failure, exit_code, render};
use crate::console::{PlanRequest, Reason, RunRequest, router};
use crate::controller::Controller;
use crate::controller::agents::AgentsList;
use crate::controller::api_tokens::ApiTokensList;
use crate::controller::fixture::{DOCUMENT, Fixture, somebody};
use crate::controller::halt::HaltAnswer;
use crate::controller::plan::PlanAnswer;
use crate::controller::runs::RunView;
use crate::report::fixture::{Ending, journal, lines};
use crate::serve::api_port;

/// A controller with one host, behind its API port, in a runtime of its own.
struct Served {
    controller: Arc<Controller>,
    url: String,
    tokens: Vec<(Role, String)>,
    fingerprint: faultline_agent::credentials::Fingerprint,
    runtime: tokio::runtime::Runtime,
    _fixture: Fixture,
}

fn served() -> Served {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let (fixture, url, tokens) = runtime.block_on(async {
        let fixture = Fixture::new().await;
        fixture.host("db-1", &[("role", "db")]).await;
        let root = somebody("root", Role::Admin);
        let mut tokens = Vec::new();
        for role in Role::ALL {
            let made = fixture.controller.create_api_token(&root, &format!("a-{role}"), role.as_str(), "*", None).await;
            tokens.push((role, made.unwrap().token));
        }
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("https://{}", listener.local_addr().unwrap());
        let tls = api_port::tls(fixture.controller.authority()).unwrap();
        tokio::spawn(api_port::serve(listener, tls, router(&fixture.controller), CancellationToken::new()));
        (fixture, url, tokens)
    });
    let controller = Arc::clone(&fixture.controller);
    let fingerprint = controller.authority().fingerprint().unwrap();
    Served { controller, url, tokens, fingerprint, runtime, _fixture: fixture }
}

impl Served {
    fn client(&self, role: Role) -> Client {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("token");
        let token = &self.tokens.iter().find(|(of, _)| *of == role).unwrap().1;
        std::fs::write(&file, format!("{token}\n")).unwrap();
        let fingerprint = vec![self.fingerprint];
        let flags = ControllerFlags { controller: None, token_file: Some(file), ca: None, fingerprint };
        flags.client_of(&self.url).unwrap()
    }
}

fn told(failure: Failure) -> (String, u8) {
    let error: anyhow::Error = failure.into();
    (render(&error, false), exit_code(&error))
}

#[test]
fn a_list_is_read_to_its_end_whatever_the_length_of_its_pages() {
    let served = served();
    let client = served.client(Role::Viewer);
    let ids = |list: ApiTokensList| list.tokens.into_iter().map(|token| token.id).collect::<Vec<_>>();
    let whole = ids(client.list("/v1/tokens").unwrap());
    assert_eq!(whole.len(), Role::ALL.len());
    for limit in 1..6 {
        assert_eq!(ids(client.list_by("/v1/tokens", limit).unwrap()), whole, "{limit}");
    }
    let agents: AgentsList = client.list_by("/v1/agents", 1).unwrap();
    assert_eq!(agents.agents.len(), 1);
}

#[test]
fn a_run_is_sent_followed_and_has_its_whole_journal() {
    let served = served();
    let client = served.client(Role::Operator);
    let agents: AgentsList = client.get("/v1/agents").unwrap();
    assert_eq!(agents.agents[0].name, "db-1");
    let request = PlanRequest { document: DOCUMENT.into(), seed: None };
    let plan: PlanAnswer = client.send(Method::POST, "/v1/plans", Some(&request)).unwrap();
    let request = RunRequest {
        document: DOCUMENT.into(),
        seed: None,
        approvals: 0,
        plan_hash: Some(plan.plan_hash),
        not_before: None,
        deadline: None,
    };
    let run: RunView = client.send(Method::POST, "/v1/runs", Some(&request)).unwrap();
    // Whoever drives it writes its journal bit by bit, the last line torn for a while.
    let (controller, id) = (Arc::clone(&served.controller), run.id.clone());
    served.runtime.spawn(async move {
        let store = controller.store();
        let now = controller.now().await.unwrap();
        let claimed = store.claim_next("controller-a", Duration::from_secs(60), now).await.unwrap().unwrap();
        let folder = controller.runs_folder().join(&id);
        std::fs::create_dir_all(&folder).unwrap();
        let text = lines(&journal(Ending::Held));
        for part in [text.len() / 3, text.len() / 2 + 7, text.len()] {
            std::fs::write(folder.join("journal.jsonl"), &text[..part]).unwrap();
            tokio::time::sleep(Duration::from_millis(150)).await;
        }
        store.finish(&id, claimed.epoch, "held", "it held", now).await.unwrap();
    });
    let (mut heard, mut words) = (0, String::new());
    let followed = client.follow(&run, |_| heard += 1, |text| words.push_str(text)).unwrap();
    let Followed::Finished(entries) = followed else { panic!("{followed:?}") };
    assert_eq!(entries, journal(Ending::Held));
    assert_eq!(heard, entries.len());
    let report = crate::report::RunReport::from_entries(&entries).unwrap();
    assert_eq!(report.exit_code, 0);
}

#[test]
fn a_run_that_never_begins_says_why() {
    let served = served();
    let client = served.client(Role::Operator);
    let request = RunRequest {
        document: DOCUMENT.into(),
        seed: None,
        approvals: 1,
        plan_hash: None,
        not_before: None,
        deadline: None,
    };
    let run: RunView = client.send(Method::POST, "/v1/runs", Some(&request)).unwrap();
    let halting = served.client(Role::Viewer);
    let halted: HaltAnswer = halting.send(Method::POST, "/v1/halt", Some(&Reason { reason: "a leak".into() })).unwrap();
    assert!(halted.clean);
    let followed = client.follow(&run, |_| {}, |_| {}).unwrap();
    let Followed::Cancelled(because) = followed else { panic!("{followed:?}") };
    assert_eq!(because, "halted by a-viewer: a leak");
    let (text, code) = told(client.send::<RunView>(Method::POST, "/v1/runs", Some(&request)).unwrap_err());
    assert!(text.contains("the fleet is halted since") && text.contains("hint: ") && code == 3, "{text}");
}

#[test]
fn every_way_to_be_refused_is_told_with_the_way_on() {
    let served = served();
    let (text, code) = told(served.client(Role::Viewer).get::<AgentsList>("/v1/tokens/").unwrap_err());
    assert!(code == 3 && text.contains("there is nothing at GET /v1/tokens/"), "{text}");
    let (text, code) =
        told(served.client(Role::Viewer).send::<RunView>(Method::DELETE, "/v1/tokens/0", None::<&()>).unwrap_err());
    assert!(
        code == 3 && text.contains("needs the role admin") && text.contains("hint: ask somebody with the role admin"),
        "{text}"
    );
    let wrong = PlanRequest { document: "kind: Experiment".into(), seed: None };
    let client = served.client(Role::Operator);
    let (text, code) = told(client.send::<PlanAnswer>(Method::POST, "/v1/plans", Some(&wrong)).unwrap_err());
    assert!(code == 2 && text.contains("`apiVersion`"), "{text}");

    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    std::fs::write(&file, "fla1.0123456789abcdef.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA").unwrap();
    let flags =
        ControllerFlags { controller: None, token_file: Some(file), ca: None, fingerprint: vec![served.fingerprint] };
    let (text, code) = told(flags.client_of(&served.url).unwrap().get::<AgentsList>("/v1/agents").unwrap_err());
    assert!(code == 3 && text.contains("the token is not accepted"), "{text}");
    let other = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA".parse().unwrap();
    let stranger = ControllerFlags { fingerprint: vec![other], ..flags.clone() };
    let (text, code) = told(stranger.client_of(&served.url).unwrap().get::<AgentsList>("/v1/agents").unwrap_err());
    assert!(code == 3 && text.contains("it is not the controller of this authority"), "{text}");
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let (text, code) =
        told(flags.client_of(&format!("https://{free}")).unwrap().get::<AgentsList>("/v1/agents").unwrap_err());
    assert!(code == 3 && text.contains("is `faultline serve` running there"), "{text}");
    let by_name = served.url.replace("127.0.0.1", "localhost");
    let (text, _) = told(flags.client_of(&by_name).unwrap().get::<AgentsList>("/v1/agents").unwrap_err());
    assert!(text.contains("the token is not accepted"), "{text}");

    for (flags, hint) in [
        (ControllerFlags { fingerprint: Vec::new(), ..flags.clone() }, "--fingerprint"),
        (ControllerFlags { token_file: Some(folder.path().join("none")), ..flags.clone() }, "cannot read the token"),
        (ControllerFlags { ca: Some(folder.path().join("none")), ..flags }, "cannot read the certificate"),
    ] {
        let (text, code) = told(flags.client_of(&served.url).unwrap_err());
        assert!(code == 2 && text.contains(hint), "{text}");
    }
}
