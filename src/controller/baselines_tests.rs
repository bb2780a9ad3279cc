//! Baselines and ledgers that a controller keeps for all who ask.

use super::fixture::{Fixture, somebody};
use crate::access::Role;

const EMPTY: &str = r#"{"apiVersion": "faultline.dev/v1", "kind": "GateBaseline", "baselines": {}}"#;

#[tokio::test]
async fn a_baseline_is_read_by_viewers_and_kept_by_operators_who_have_read_it() {
    let fixture = Fixture::new().await;
    let controller = &fixture.controller;
    let (ann, viewer) = (somebody("ann", Role::Operator), somebody("vic", Role::Viewer));
    let none = controller.baseline(&viewer, "main").await.unwrap();
    assert_eq!((none.version, none.document.as_str()), (0, ""));
    let put = async |who, version, document: &str| {
        let put = controller.put_baseline(who, "main", version, document.to_owned()).await;
        put.map(|view| view.version).map_err(|error| error.class().0)
    };
    assert_eq!(put(&viewer, 0, EMPTY).await, Err(403));
    assert_eq!(put(&ann, 0, "{}").await, Err(400), "it is no baseline");
    assert_eq!(put(&ann, 0, EMPTY).await, Ok(1));
    assert_eq!(put(&ann, 0, EMPTY).await, Err(409), "somebody kept one meanwhile");
    assert_eq!(put(&ann, 1, EMPTY).await, Ok(2));
    assert_eq!(controller.baseline(&viewer, "main").await.unwrap().document, EMPTY);
    let audited = fixture.audited().await;
    assert!(audited.iter().any(|line| line.contains("keep-baseline") && line.contains("done")), "{audited:?}");
}

#[tokio::test]
async fn the_ledger_of_error_budgets_is_read_by_viewers() {
    let fixture = Fixture::new().await;
    let (controller, viewer) = (&fixture.controller, somebody("vic", Role::Viewer));
    assert!(controller.budgets(&viewer).await.unwrap().budgets.is_empty());
    let now = controller.now().await.unwrap();
    let spending = serde_json::json!({
        "run": "r-1", "experiment": "pause", "time": now, "bad": 3.5, "usual": 0.5,
        "before": {"slo": "checkout", "service": "shop", "window": "30d", "events": 1e6, "budget": 1000.0,
            "spent": 0.0, "allowance": 10.0},
    });
    controller.store.keep_spending("r-1", now, &spending.to_string()).await.unwrap();
    let budgets = controller.budgets(&viewer).await.unwrap().budgets;
    assert_eq!(budgets[0].sentence, "chaos spent 0.3% of the 30d budget of shop (checkout, 1 run)");
}
