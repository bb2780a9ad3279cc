use proptest::prelude::*;

use super::first_admin::{self, FirstAdmin};
use super::*;

fn labels(text: &str) -> Labels {
    text.split(',').filter_map(|term| term.split_once('=')).map(|(label, value)| (label.into(), value.into())).collect()
}

fn principal(name: &str, role: Role, scope: &str) -> Principal {
    Principal { name: name.into(), role, scope: scope.parse().unwrap() }
}

#[test]
fn the_table_says_for_each_action_the_least_role() {
    let table: String = ACTIONS
        .iter()
        .map(|rule| {
            let apart = if rule.by_another { ", by another" } else { "" };
            format!("{:<18} {:<9} {:?}{apart}\n", rule.action, rule.role, rule.reach)
        })
        .collect();
    insta::assert_snapshot!(table, @r"
    halt               viewer    Anyone
    see                viewer    Labelled
    see-fleet          viewer    Fleet
    see-audit          viewer    Fleet
    plan               operator  Labelled
    run                operator  Labelled
    abort              operator  Labelled
    keep-baseline      operator  Anyone
    recover            operator  Labelled
    acknowledge        operator  Labelled
    schedule           operator  Labelled
    lead-game-day      operator  Labelled
    approve            approver  Labelled, by another
    release-halt       approver  Fleet
    enrol-host         admin     Labelled
    revoke-host        admin     Labelled
    make-token         admin     Token
    revoke-token       admin     Token
    set-limits         admin     Fleet
    set-notifications  admin     Fleet
    rotate-authority   admin     Fleet
    ");
    for rule in ACTIONS {
        assert_eq!(rule.action.rule(), *rule);
    }
}

#[test]
fn each_role_is_refused_what_needs_a_higher_one() {
    let everything = Scope::everything();
    for role in Role::ALL {
        let object =
            Object { requested_by: Some("somebody"), token: Some((Role::Viewer, &everything)), ..Object::default() };
        for rule in ACTIONS {
            let answer = allow(&principal("ann", role, "*"), rule.action, &object);
            let denied = Denied::Role { action: rule.action, needed: rule.role, has: role };
            assert_eq!(answer, if role < rule.role { Err(denied) } else { Ok(()) }, "{role} {}", rule.action);
        }
    }
}

#[test]
fn a_scope_must_fit_the_experiment_and_every_host() {
    let bob = principal("bob", Role::Operator, "team=payments,env=staging|test");
    let (fits, other) = (labels("team=payments,env=test,x=y"), labels("team=payments,env=production"));
    let hosts = |hosts: &[(&'static str, Option<&'static str>)]| {
        hosts.iter().map(|(name, text)| (*name, text.map(labels))).collect::<Vec<_>>()
    };
    let ask = |experiment: Option<&Labels>, of: &[(&'static str, Option<&'static str>)]| {
        let of = hosts(of);
        let hosts = of.iter().map(|(name, labels)| (*name, labels.as_ref())).collect();
        allow(&bob, Action::Run, &Object { experiment, hosts, ..Object::default() })
            .map_err(|denied| denied.to_string())
    };
    let good = Some("team=payments,env=staging");
    assert_eq!(ask(Some(&fits), &[("db-1", good), ("db-2", good)]), Ok(()));
    assert_eq!(ask(None, &[("db-1", good)]), Ok(()));
    assert_eq!(ask(Some(&fits), &[]), Ok(()));
    let scope = "env=staging|test,team=payments";
    assert_eq!(
        ask(Some(&fits), &[("db-1", good), ("db-2", Some("team=payments"))]),
        Err(format!("the host db-2 is not in the scope {scope} of this token: see its label `env`"))
    );
    assert_eq!(
        ask(Some(&other), &[("db-1", good)]),
        Err(format!("the experiment is not in the scope {scope} of this token: see its label `env`"))
    );
    assert_eq!(
        ask(Some(&fits), &[("db-1", None)]),
        Err(format!(
            "it is not known what `run` would touch (db-1 has told no labels), and this token is for {scope} only"
        ))
    );
    assert_eq!(
        ask(None, &[]),
        Err(format!("it is not known what `run` would touch, and this token is for {scope} only"))
    );
    let fleet = allow(&principal("eve", Role::Admin, "team=x"), Action::SetLimits, &Object::default());
    assert!(matches!(fleet, Err(Denied::Fleet { .. })), "{fleet:?}");
}

#[test]
fn nobody_approves_what_he_asked_for_himself_not_even_an_admin() {
    for role in [Role::Approver, Role::Admin] {
        let ann = principal("Ann", role, "*");
        let ask = |by| allow(&ann, Action::Approve, &Object { requested_by: by, ..Object::default() });
        assert_eq!(ask(Some("bob")), Ok(()));
        for own in ["Ann", "ann", " ANN "] {
            assert_eq!(ask(Some(own)), Err(Denied::Own { name: "Ann".into() }));
        }
        assert_eq!(ask(None), Err(Denied::NobodyAsked));
        assert_eq!(ask(Some(" ")), Err(Denied::NobodyAsked));
    }
}

#[test]
fn nobody_makes_a_token_mightier_than_his_own() {
    let (wide, narrow, own) = (Scope::everything(), "team=a,env=test".parse().unwrap(), "team=a".parse().unwrap());
    let admin = principal("ann", Role::Admin, "team=a");
    let ask = |token| allow(&admin, Action::MakeToken, &Object { token, ..Object::default() });
    assert_eq!(ask(Some((Role::Admin, &own))), Ok(()));
    assert_eq!(ask(Some((Role::Viewer, &narrow))), Ok(()));
    assert!(matches!(ask(Some((Role::Viewer, &wide))), Err(Denied::Beyond { .. })));
    assert_eq!(ask(None), Err(Denied::NoToken));
}

#[test]
fn anyone_may_halt() {
    assert_eq!(allow(&principal("ann", Role::Viewer, "team=a"), Action::Halt, &Object::default()), Ok(()));
}

#[test]
fn a_scope_is_read_or_refused_as_a_whole() {
    for text in ["*", "team=payments", "env=staging|test,team=payments"] {
        assert_eq!(text.parse::<Scope>().unwrap().to_string(), text);
    }
    for text in ["", " ", "team", "=x", "team=a,", "team=a,team=b", "team=a|", "te am=a", "team=a;b", "**", "*,a=b"] {
        assert!(text.parse::<Scope>().is_err(), "{text:?}");
    }
}

#[test]
fn a_token_tells_its_secret_to_nobody_but_by_display() {
    let token = ApiToken::random().unwrap();
    let text = token.to_string();
    assert_eq!(text.parse::<ApiToken>().unwrap(), token);
    assert_eq!(text.len(), 4 + 1 + 16 + 1 + 43);
    assert!(!format!("{token:?}").contains(&token.secret.reveal()));
    assert!(token.secret.hash().is_of(&token.secret));
    assert!(!token.secret.hash().is_of(&ApiToken::random().unwrap().secret));
    let error = text[..text.len() - 3].parse::<ApiToken>().unwrap_err().to_string();
    assert_eq!(error, "this is no token for the API: its third part is not 43 letters of base64url");
}

#[test]
fn the_first_admin_is_recorded_once_and_without_a_secret() {
    let scratch = tempfile::tempdir().unwrap();
    let folder = scratch.path().join("authority");
    let token = ApiToken::random().unwrap();
    let admin = FirstAdmin {
        id: token.id.clone(),
        secret_hash: token.secret.hash(),
        principal: principal("admin", Role::Admin, "*"),
        created_at: "2026-11-21T12:00:00Z".parse().unwrap(),
    };
    assert!(first_admin::write(&folder, &admin).is_ok());
    assert_eq!(first_admin::read(&folder).unwrap(), Some(admin.clone()));
    let text = std::fs::read_to_string(first_admin::file(&folder)).unwrap();
    assert!(!text.contains(&token.secret.reveal()) && text.contains(&token.secret.hash().to_string()));
    assert!(first_admin::write(&folder, &admin).is_err());
}

fn any_scope() -> impl Strategy<Value = Scope> {
    let term = ("[abc]", proptest::collection::btree_set("[xyz]", 1..3));
    proptest::collection::vec(term, 0..3).prop_map(|terms| {
        terms.into_iter().fold(Scope::everything(), |scope, (label, values)| {
            let values: Vec<String> = values.into_iter().collect();
            scope.and(&format!("{label}={}", values.join("|")).parse().unwrap())
        })
    })
}

fn any_labels() -> impl Strategy<Value = Labels> {
    proptest::collection::btree_map("[abc]", "[xyz]", 0..4)
}

proptest! {
    #[test]
    fn a_lower_role_or_a_narrower_scope_never_allows_more(
        action in 0..ACTIONS.len(), role in 0usize..4, lower in 0usize..4, wide in any_scope(), narrowing in any_scope(),
        experiment in proptest::option::of(any_labels()),
        hosts in proptest::collection::vec(proptest::option::of(any_labels()), 0..3),
        requester in proptest::option::of("[ab]"), token_role in 0usize..4, token_scope in any_scope(),
    ) {
        prop_assume!(lower <= role);
        let object = Object {
            experiment: experiment.as_ref(),
            hosts: hosts.iter().map(|labels| ("host", labels.as_ref())).collect(),
            requested_by: requester.as_deref(),
            token: Some((Role::ALL[token_role], &token_scope)),
        };
        let greater = Principal { name: "a".into(), role: Role::ALL[role], scope: wide.clone() };
        let lesser = Principal { name: "a".into(), role: Role::ALL[lower], scope: wide.and(&narrowing) };
        let action = ACTIONS[action].action;
        if allow(&lesser, action, &object).is_ok() {
            prop_assert_eq!(allow(&greater, action, &object), Ok(()));
        }
        prop_assert!(wide.includes(&lesser.scope));
        prop_assert_eq!(lesser.scope.to_string().parse::<Scope>().unwrap(), lesser.scope);
    }

    #[test]
    fn no_text_makes_a_parser_panic(text in "\\PC{0,120}", mixed in "fla1\\.[0-9a-f.]{0,20}\\.[A-Za-z0-9_.=-]{0,60}") {
        for text in [&text, &mixed] {
            let _ = text.parse::<Scope>();
            let _ = text.parse::<Role>();
            if let Ok(token) = text.parse::<ApiToken>() {
                prop_assert_eq!(token.to_string(), text.trim());
            }
        }
    }
}
