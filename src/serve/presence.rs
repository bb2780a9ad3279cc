//! Which agents are connected here and how they are, as the store knows it: what changes is written, and nothing else, so
//! that heartbeats cost the store nothing. An agent that is connected to several controllers has a connection with each in
//! the store, and is connected while one of them lives.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use faultline_agent::node::NodeStatus;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::telling::Telling;
use crate::fleet::registry::{HostView, Mark, Registry};
use crate::store::{AgentConnection, AgentHealth, Report, Store, StoreError};

/// How often it is looked at.
const LOOK: Duration = Duration::from_secs(1);

/// Of a connection whose status is not written yet: no status has this number.
const UNTOLD: u64 = u64::MAX;

/// What was written last of a host that is connected.
struct Written {
    epoch: i64,
    /// What of it is in the store; of a status that is not, [`UNTOLD`].
    mark: Mark,
    stuck: BTreeSet<String>,
}

/// Keeps the store up to date until the stop.
pub(super) async fn keep(
    store: Store,
    registry: Arc<Registry>,
    controller: String,
    telling: Telling,
    stop: CancellationToken,
) {
    let mut written: BTreeMap<String, Written> = BTreeMap::new();
    loop {
        for (view, mark) in registry.changed_since(|host| written.get(host).map(|known| known.mark)) {
            let noted = match mark {
                Some(mark) => note(&store, &controller, &view, mark, &telling, &mut written).await,
                None => forget(&store, &view.name, &mut written).await,
            };
            if let Err(error) = noted {
                tracing::warn!(host = view.name, %error, "the store does not know how this host is");
            }
        }
        tokio::select! {
            () = stop.cancelled() => break,
            () = tokio::time::sleep(LOOK) => {}
        }
    }
    let _ = store.agents_lost(&controller).await;
}

/// It is not connected any more; told until the store knows.
async fn forget(store: &Store, host: &str, written: &mut BTreeMap<String, Written>) -> Result<(), StoreError> {
    if let Some(gone) = written.get(host) {
        store.agent_disconnected(host, gone.epoch, store.now().await?).await?;
        written.remove(host);
    }
    Ok(())
}

async fn note(
    store: &Store,
    controller: &str,
    view: &HostView,
    mark: Mark,
    telling: &Telling,
    written: &mut BTreeMap<String, Written>,
) -> Result<(), StoreError> {
    let before = written.get(&view.name);
    let stuck_before = before.map(|known| known.stuck.clone()).unwrap_or_default();
    let epoch = match before {
        Some(known) if known.mark.line == mark.line => known.epoch,
        _ => {
            let epoch = store.agent_connected(&connection(view, controller), store.now().await?).await?;
            let known = Written { epoch, mark: Mark { statuses: UNTOLD, ..mark }, stuck: stuck_before.clone() };
            written.insert(view.name.clone(), known);
            epoch
        }
    };
    let reported = store.agent_reported(&view.name, epoch, &report(&view.status), store.now().await?).await;
    if let Err(error) = reported {
        if error.refusal().is_some() {
            // The store does not know this connection any more: it is told of it anew.
            written.remove(&view.name);
        }
        return Err(error);
    }
    let stuck = view.status.stuck.iter().map(|fault| fault.id.to_string()).collect();
    telling.stuck(view, &stuck_before);
    written.insert(view.name.clone(), Written { epoch, mark, stuck });
    Ok(())
}

fn connection(view: &HostView, controller: &str) -> AgentConnection {
    AgentConnection {
        name: view.name.clone(),
        labels: view.labels.clone(),
        bound: view.bound.clone(),
        capabilities: Value::Null,
        certificate: view.serial.clone(),
        version: view.program.clone(),
        controller: controller.to_owned(),
    }
}

fn report(status: &NodeStatus) -> Report {
    let well = status.stuck.is_empty() && status.must_stop.is_none();
    Report {
        health: if well { AgentHealth::Healthy } else { AgentHealth::Degraded },
        active: serde_json::to_value(&status.active).unwrap_or_default(),
        stuck: serde_json::to_value(&status.stuck).unwrap_or_default(),
    }
}
