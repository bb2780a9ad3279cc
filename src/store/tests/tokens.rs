use std::collections::BTreeMap;

use serde_json::json;

use super::{around, at, both};
use crate::store::{
    CertificateRole, NewApiToken, NewCertificate, NewEnrolmentToken, Refusal, StoreError, TokenRefusal,
};

fn refused<T: std::fmt::Debug>(result: Result<T, StoreError>) -> TokenRefusal {
    match result.unwrap_err().refusal() {
        Some(Refusal::Token(why)) => *why,
        other => panic!("{other:?}"),
    }
}

fn enrolment(id: &str) -> NewEnrolmentToken {
    NewEnrolmentToken {
        id: id.into(),
        secret_hash: format!("hash of {id}"),
        labels: BTreeMap::from([("role".into(), "db".into())]),
        created_by: "ann".into(),
        expires_at: at(100),
        uses: 1,
    }
}

pub(super) fn of(agent: &str, serial: &str) -> NewCertificate {
    let (role, not_after) = (CertificateRole::Agent, at(1_000));
    let (authority, trusts) = ("old".into(), vec!["old".into()]);
    NewCertificate { serial: serial.into(), subject: agent.into(), role, not_after, authority, trusts }
}

#[test]
fn an_enrolment_token_says_why_it_is_refused() {
    both(|place| async move {
        let store = place.open().await;
        for id in ["used", "expired", "revoked"] {
            store.create_enrolment_token(&enrolment(id), at(0)).await.unwrap();
        }
        let twice = store.create_enrolment_token(&enrolment("used"), at(0)).await.unwrap_err();
        assert!(matches!(twice.refusal(), Some(Refusal::Exists { .. })));
        assert_eq!(store.redeemable_token("hash of used", at(1)).await.unwrap().uses_left, 1);
        let redeemed = store.enrol("hash of used", &of("db-1", "01"), at(1)).await.unwrap();
        assert_eq!((redeemed.labels, redeemed.uses_left), (enrolment("used").labels, 0));
        assert_eq!((redeemed.used_at, redeemed.used_by.as_deref()), (Some(at(1)), Some("db-1")));
        store.revoke_enrolment_token("revoked", at(2)).await.unwrap();
        assert_eq!(store.revoke_enrolment_token("revoked", at(9)).await.unwrap().revoked_at, Some(at(2)));
        assert!(store.revoke_enrolment_token("nobody's", at(2)).await.is_err());

        for (id, at, why) in [
            ("used", at(3), TokenRefusal::Used),
            ("revoked", at(3), TokenRefusal::Revoked),
            ("nothing", at(3), TokenRefusal::Unknown),
            ("expired", at(100), TokenRefusal::Expired),
        ] {
            assert_eq!(refused(store.redeemable_token(&format!("hash of {id}"), at).await), why);
        }
        assert_eq!(refused(store.enrol("hash of used", &of("db-2", "02"), at(3)).await), TokenRefusal::Used);
        assert_eq!(refused(store.enrol("hash of revoked", &of("db-2", "02"), at(3)).await), TokenRefusal::Revoked);
        assert_eq!(refused(store.enrol("hash of nothing", &of("db-2", "02"), at(3)).await), TokenRefusal::Unknown);
        assert_eq!(refused(store.enrol("hash of expired", &of("db-2", "02"), at(100)).await), TokenRefusal::Expired);
        let left: Vec<_> =
            store.enrolment_tokens().await.unwrap().into_iter().map(|token| (token.id, token.uses_left)).collect();
        assert_eq!(left, [("expired".into(), 1), ("revoked".into(), 1), ("used".into(), 0)], "a refusal uses nothing");
        assert_eq!(store.prune_enrolment_tokens(at(101)).await.unwrap(), 3);
    });
}

#[test]
fn nobody_is_enrolled_under_a_name_that_another_has_and_that_costs_no_token() {
    both(|place| async move {
        let store = place.open().await;
        for id in ["one", "two"] {
            store.create_enrolment_token(&enrolment(id), at(0)).await.unwrap();
        }
        store.enrol("hash of one", &of("db-1", "01"), at(1)).await.unwrap();
        let taken = store.enrol("hash of two", &of("db-1", "02"), at(2)).await.unwrap_err();
        assert_eq!(taken.refusal(), Some(&Refusal::NameTaken { name: "db-1".into() }));
        assert_eq!(store.certificates(Some("db-1")).await.unwrap().len(), 1);
        assert_eq!(store.redeemable_token("hash of two", at(2)).await.unwrap().uses_left, 1);
        let revoked = store.revoke_agent("db-1", "replaced", at(3)).await.unwrap();
        assert_eq!(revoked.iter().map(|one| one.serial.as_str()).collect::<Vec<_>>(), ["01"]);
        store.enrol("hash of two", &of("db-1", "02"), at(4)).await.unwrap();
    });
}

#[test]
fn a_certificate_that_was_revoked_is_not_renewed() {
    both(|place| async move {
        let store = place.open().await;
        store.record_certificate(&of("db-1", "01"), at(0)).await.unwrap();
        store.record_renewal("01", &of("db-1", "02"), at(1)).await.unwrap();
        assert_eq!(store.revoke_agent("db-1", "stolen", at(2)).await.unwrap().len(), 2, "also the renewed one");
        let refused = store.record_renewal("02", &of("db-1", "03"), at(3)).await.unwrap_err();
        assert_eq!(refused.refusal(), Some(&Refusal::RevokedCertificate { serial: "02".into() }));
        assert!(store.record_renewal("09", &of("db-1", "03"), at(3)).await.is_err(), "nobody knows that one");
        assert_eq!(store.certificates(None).await.unwrap().len(), 2);
        assert_eq!(store.revoke_agent("db-1", "again", at(4)).await.unwrap(), [], "nothing is left to revoke");
        assert!(store.revoke_agent("db-9", "", at(4)).await.is_err());
    });
}

#[test]
fn an_api_token_is_valid_until_it_expires_or_is_revoked() {
    both(|place| async move {
        let store = place.open().await;
        let token = |id: &str, expires| NewApiToken {
            id: id.into(),
            secret_hash: format!("hash of {id}"),
            name: "ci".into(),
            role: "operator".into(),
            scope: json!({ "team": ["payments"] }),
            created_by: "ann".into(),
            expires_at: expires,
        };
        store.create_api_token(&token("one", Some(at(100))), at(0)).await.unwrap();
        store.create_api_token(&token("two", None), at(1)).await.unwrap();
        assert!(store.create_api_token(&token("two", None), at(1)).await.is_err());
        let found = store.api_token("hash of one", at(2)).await.unwrap();
        assert_eq!(
            (found.name.as_str(), found.role.as_str(), found.scope),
            ("ci", "operator", json!({ "team": ["payments"] }))
        );
        let used = async || store.api_tokens().await.unwrap().iter().find(|token| token.id == "one").unwrap().used_at;
        assert_eq!(used().await, Some(at(2)));
        store.api_token("hash of one", at(61)).await.unwrap();
        assert_eq!(used().await, Some(at(2)), "not written for every call");
        store.api_token("hash of one", at(62)).await.unwrap();
        assert_eq!(used().await, Some(at(62)));

        assert_eq!(refused(store.api_token("hash of one", at(100)).await), TokenRefusal::Expired);
        assert_eq!(refused(store.api_token("hash of three", at(2)).await), TokenRefusal::Unknown);
        store.api_token("hash of two", at(1_000_000)).await.unwrap();
        store.revoke_api_token("two", at(5)).await.unwrap();
        assert_eq!(refused(store.api_token("hash of two", at(6)).await), TokenRefusal::Revoked);
        assert!(store.revoke_api_token("three", at(5)).await.is_err());
        let shown = serde_json::to_string(&store.api_tokens().await.unwrap()).unwrap();
        assert!(!shown.contains("hash of"), "{shown}");
    });
}

#[test]
fn certificates_are_revoked_for_ever() {
    both(|place| async move {
        let store = place.open().await;
        let certificate =
            |serial: &str, subject: &str, end| NewCertificate { not_after: at(end), ..of(subject, serial) };
        store.record_certificate(&certificate("01", "db-1", 100), at(0)).await.unwrap();
        store.record_certificate(&certificate("02", "db-1", 200), at(50)).await.unwrap();
        store.record_certificate(&certificate("03", "db-2", 200), at(50)).await.unwrap();
        assert!(store.record_certificate(&certificate("03", "db-3", 200), at(50)).await.is_err());
        assert_eq!(store.certificate("03").await.unwrap().subject, "db-2");
        assert!(store.certificate("04").await.is_err());
        assert_eq!(store.revoked_serials(at(50)).await.unwrap(), [""; 0]);
        assert_eq!(store.revoke_agent("db-1", "the host was stolen", at(60)).await.unwrap().len(), 2);
        assert_eq!(store.revoke_agent("db-1", "by mistake", at(70)).await.unwrap(), []);
        let first = store.certificate("02").await.unwrap();
        assert_eq!((first.revoked_at, first.revoked_because.as_deref()), (Some(at(60)), Some("the host was stolen")));
        let mut revoked = store.revoked_serials(at(99)).await.unwrap();
        revoked.sort();
        assert_eq!(revoked, ["01", "02"]);
        assert_eq!(store.revoked_serials(at(100)).await.unwrap(), ["02"], "the other has expired anyway");
        let serials = |list: Vec<crate::store::Certificate>| list.into_iter().map(|one| one.serial).collect::<Vec<_>>();
        assert_eq!(serials(store.certificates(Some("db-1")).await.unwrap()), ["02", "01"]);
        assert_eq!(store.prune_certificates(at(150)).await.unwrap(), 1);
        assert_eq!(serials(store.certificates(None).await.unwrap()), ["02", "03"]);
        around(&store, "UPDATE certificates SET not_after = -1").await;
        assert_eq!(store.revoked_serials(at(0)).await.unwrap(), [""; 0]);
    });
}
