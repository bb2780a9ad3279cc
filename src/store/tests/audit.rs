use serde_json::json;

use super::{around, at, both};
use crate::audit::{Broken, Deed, Fault, Head, Record};
use crate::store::{AuditFilter, Refusal, Store};

async fn append(store: &Store, actor: &str, number: i64) -> Record {
    let deed = Deed::new(actor, "run.submit", format!("run/{number}"), "done", &json!({ "ratio": 0.1, "n": number }));
    store.append_audit(&deed, at(number)).await.unwrap()
}

async fn broken(store: &Store, kept: Option<Head>) -> Broken {
    match store.verify_audit(kept).await.unwrap_err().refusal() {
        Some(Refusal::Audit(broken)) => broken.clone(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_is_appended_is_listed_and_verified() {
    both(|place| async move {
        let store = place.open().await;
        assert_eq!(store.verify_audit(None).await.unwrap(), Head::EMPTY);
        let mut records = Vec::new();
        for number in 0..7 {
            records.push(append(&store, if number % 2 == 0 { "token/ann" } else { "token/bob" }, number).await);
        }
        assert_eq!(store.verify_audit(None).await.unwrap(), records[6].head());
        assert_eq!(store.audit_head().await.unwrap(), records[6].head());
        records.reverse();
        assert_eq!(store.audit(&AuditFilter::default(), 100).await.unwrap(), records);
        let ann = AuditFilter { actor: Some("token/ann".into()), before: Some(7), ..AuditFilter::default() };
        let sequences: Vec<_> = store.audit(&ann, 2).await.unwrap().iter().map(|record| record.sequence).collect();
        assert_eq!(sequences, [5, 3]);
        let late = AuditFilter {
            since: Some(at(5)),
            action: Some("run.submit".into()),
            object: None,
            ..AuditFilter::default()
        };
        assert_eq!(store.audit(&late, 100).await.unwrap().len(), 2);
        let one = AuditFilter { object: Some("run/3".into()), ..AuditFilter::default() };
        assert_eq!(store.audit(&one, 100).await.unwrap().len(), 1);
        let refused = AuditFilter { outcome: Some("refused".into()), ..AuditFilter::default() };
        assert_eq!(store.audit(&refused, 100).await.unwrap(), []);
        let done = AuditFilter { outcome: Some(records[0].deed.outcome.clone()), ..AuditFilter::default() };
        assert_eq!(store.audit(&done, 100).await.unwrap(), records);
    });
}

/// Longer than a page, with texts that are hard to keep: quotes, line ends, all kinds of letters, even NUL.
#[test]
fn a_long_log_with_hostile_texts_is_followed_to_its_end() {
    both(|place| async move {
        let store = place.open().await;
        let hostile = Deed::new("ann\0'; DROP TABLE audit; --", "ö\n\t\"", "\u{1f525}\\", "", &json!({"\u{0}": "\0"}));
        let record = store.append_audit(&hostile, at(0)).await.unwrap();
        assert_eq!(record.deed.actor, "ann\u{fffd}'; DROP TABLE audit; --");
        for number in 0..1_050 {
            append(&store, "token/ann", number).await;
        }
        assert_eq!(store.verify_audit(None).await.unwrap().sequence, 1_051);
        around(&store, "UPDATE audit SET outcome = 'refused' WHERE sequence = 1040").await;
        assert_eq!(broken(&store, None).await, Broken { sequence: 1_040, why: Fault::Changed });
    });
}

#[test]
fn each_way_of_tampering_is_found_where_it_was_done() {
    const WAYS: &[(&str, u64, Fault)] = &[
        ("UPDATE audit SET actor = 'token/eve' WHERE sequence = 3", 3, Fault::Changed),
        ("UPDATE audit SET recorded_at = recorded_at + 1 WHERE sequence = 5", 5, Fault::Changed),
        ("UPDATE audit SET details = '{}' WHERE sequence = 1", 1, Fault::Changed),
        ("UPDATE audit SET hash = (SELECT hash FROM audit_head) WHERE sequence = 2", 2, Fault::Changed),
        ("UPDATE audit SET previous = hash WHERE sequence = 4", 4, Fault::Unlinked),
        ("DELETE FROM audit WHERE sequence = 3", 4, Fault::Missing(3)),
        ("DELETE FROM audit WHERE sequence = 1", 2, Fault::Missing(1)),
        ("DELETE FROM audit WHERE sequence = 3; UPDATE audit SET sequence = sequence - 1 WHERE sequence > 3", 3, Fault::Unlinked),
        (
            "UPDATE audit SET sequence = -3 WHERE sequence = 3; UPDATE audit SET sequence = 3 WHERE sequence = 4;
             UPDATE audit SET sequence = 4 WHERE sequence = -3",
            3,
            Fault::Unlinked,
        ),
        ("DELETE FROM audit WHERE sequence > 4", 5, Fault::CutOff),
        ("DELETE FROM audit", 1, Fault::CutOff),
        (
            "INSERT INTO audit SELECT 7, recorded_at, actor, action, object, outcome, details, hash, previous FROM audit
             WHERE sequence = 6",
            7,
            Fault::Changed,
        ),
        ("DELETE FROM audit_head", 0, Fault::CutOff),
        ("UPDATE audit_head SET hash = '0000000000000000000000000000000000000000000000000000000000000000'", 6, Fault::Rewritten),
    ];
    both(|place| async move {
        let store = place.open().await;
        for (sql, sequence, why) in WAYS {
            around(&store, "DELETE FROM audit; DELETE FROM audit_head").await;
            around(&store, "INSERT INTO audit_head VALUES (1, 0, '0000000000000000000000000000000000000000000000000000000000000000')").await;
            for number in 0..6 {
                append(&store, "token/ann", number).await;
            }
            assert_eq!(store.verify_audit(None).await.unwrap().sequence, 6);
            around(&store, sql).await;
            assert_eq!(broken(&store, None).await, Broken { sequence: *sequence, why: why.clone() }, "{sql}");
        }
    });
}

/// A record that follows in every detail, but was not appended by the store.
#[test]
fn a_record_that_was_added_around_the_log_is_found() {
    both(|place| async move {
        let store = place.open().await;
        let last = append(&store, "token/ann", 0).await;
        let added = Record::following(&last.head(), at(1), Deed::new("token/ann", "halt", "fleet", "done", &json!({})));
        let Deed { actor, action, object, outcome, details } = added.deed.clone();
        let insert = sqlx::query("INSERT INTO audit VALUES (2, $1, $2, $3, $4, $5, $6, $7, $8)");
        insert
            .bind(added.at.as_microsecond())
            .bind(actor)
            .bind(action)
            .bind(object)
            .bind(outcome)
            .bind(details)
            .bind(added.previous.to_string())
            .bind(added.hash.to_string())
            .execute(&store.writers)
            .await
            .unwrap();
        assert_eq!(broken(&store, None).await, Broken { sequence: 2, why: Fault::Added });
    });
}

/// What the store cannot know by itself, and a head that was kept elsewhere shows.
#[test]
fn a_log_that_was_cut_off_together_with_its_head_is_found_by_a_kept_head_only() {
    both(|place| async move {
        let store = place.open().await;
        for number in 0..6 {
            append(&store, "token/ann", number).await;
        }
        let kept = store.audit_head().await.unwrap();
        store.verify_audit(Some(kept)).await.unwrap();
        around(&store, "DELETE FROM audit WHERE sequence > 4").await;
        around(&store, "UPDATE audit_head SET sequence = 4, hash = (SELECT hash FROM audit WHERE sequence = 4)").await;
        assert_eq!(store.verify_audit(None).await.unwrap().sequence, 4, "as the documentation says");
        assert_eq!(broken(&store, Some(kept)).await, Broken { sequence: 5, why: Fault::CutOff });
        append(&store, "token/eve", 4).await;
        append(&store, "token/eve", 5).await;
        assert_eq!(broken(&store, Some(kept)).await, Broken { sequence: 6, why: Fault::Rewritten });
    });
}
