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
use crate::fleet::registry::{HostView, Registry};
use crate::store::{AgentConnection, AgentHealth, Report, Store, StoreError};

/// How often it is looked at.
const LOOK: Duration = Duration::from_secs(1);

/// What was written last of a host.
struct Written {
    epoch: i64,
    serial: String,
    boot: String,
    labels: BTreeMap<String, String>,
    known: Option<Signs>,
}

/// What of a status is worth writing: not how long each fault still has, which is another number each time.
#[derive(Default, PartialEq)]
struct Signs {
    active: BTreeSet<String>,
    stuck: BTreeSet<String>,
    stops: bool,
}

impl Signs {
    fn of(status: &NodeStatus) -> Self {
        Self {
            active: status.active.iter().map(|fault| fault.id.to_string()).collect(),
            stuck: status.stuck.iter().map(|fault| fault.id.to_string()).collect(),
            stops: status.must_stop.is_some(),
        }
    }
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
        for view in registry.views() {
            if let Err(error) = note(&store, &controller, &view, &telling, &mut written).await {
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

async fn note(
    store: &Store,
    controller: &str,
    view: &HostView,
    telling: &Telling,
    written: &mut BTreeMap<String, Written>,
) -> Result<(), StoreError> {
    let known = written.get(&view.name);
    if !view.connected {
        if let Some(gone) = written.remove(&view.name) {
            store.agent_disconnected(&view.name, gone.epoch, store.now().await?).await?;
        }
        return Ok(());
    }
    if known
        .is_none_or(|known| known.serial != view.serial || known.boot != view.boot_id || known.labels != view.labels)
    {
        let connection = AgentConnection {
            name: view.name.clone(),
            labels: view.labels.clone(),
            bound: view.bound.clone(),
            capabilities: Value::Null,
            certificate: view.serial.clone(),
            version: view.program.clone(),
            controller: controller.to_owned(),
        };
        let epoch = store.agent_connected(&connection, store.now().await?).await?;
        let (serial, boot, labels) = (view.serial.clone(), view.boot_id.clone(), view.labels.clone());
        let now = Written { epoch, serial, boot, labels, known: None };
        written.insert(view.name.clone(), now);
    }
    let Some(known) = written.get_mut(&view.name) else { return Ok(()) };
    let signs = Signs::of(&view.status);
    if known.known.as_ref() != Some(&signs) {
        let reported = store.agent_reported(&view.name, known.epoch, &report(&view.status), store.now().await?).await;
        if let Err(error) = reported {
            if error.refusal().is_some() {
                // The store does not know this connection any more: it is told of it anew.
                written.remove(&view.name);
            }
            return Err(error);
        }
        let before = known.known.replace(signs).unwrap_or_default();
        telling.stuck(view, &before.stuck);
    }
    Ok(())
}

fn report(status: &NodeStatus) -> Report {
    let well = status.stuck.is_empty() && status.must_stop.is_none();
    Report {
        health: if well { AgentHealth::Healthy } else { AgentHealth::Degraded },
        active: serde_json::to_value(&status.active).unwrap_or_default(),
        stuck: serde_json::to_value(&status.stuck).unwrap_or_default(),
    }
}
