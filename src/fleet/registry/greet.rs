use std::collections::VecDeque;
use std::sync::Arc;

use faultline_agent::session::limits::{HEARTBEAT_ACTIVE, HEARTBEAT_IDLE, PROTOCOL, SILENCE};
use faultline_agent::session::wire::{Hello, Welcome};
use tokio::time::Instant;

use super::{FleetEvent, Host, Labelled, Line, Outgoing, Peer, Registry};
use crate::targets::hosts::HostLife;

/// A host that was let in.
#[derive(Debug)]
pub(crate) struct Greeted {
    pub(crate) line: Arc<Line>,
    pub(crate) outgoing: Outgoing,
    pub(crate) welcome: Welcome,
}

impl Registry {
    /// Lets a host in, or says why not.
    pub(crate) fn greet(&self, peer: &Peer, address: &str, hello: Hello) -> Result<Greeted, String> {
        check(peer, &hello)?;
        let status = serde_json::from_str(&hello.status)
            .map_err(|error| format!("the status of the host cannot be understood: {error}"))?;
        let life = HostLife { boot: hello.boot_id.clone(), process: hello.process_began_ns };
        let (line, outgoing) = Line::new(self.number(), life, hello.clock_ns);
        let line = Arc::new(line);
        let labels = Labelled::new(&peer.labels, hello.labels, hello.discovered)?;
        for (name, told) in &labels.contradicted {
            let bound = labels.bound.get(name);
            tracing::warn!(host = peer.name, label = name, told, bound, "a label that is bound was told otherwise");
        }
        let fresh = Host {
            labels,
            program: hello.program,
            address: address.to_owned(),
            serial: peer.serial.clone(),
            valid_until: peer.valid_until,
            boot_id: hello.boot_id,
            process_began: hello.process_began_ns,
            session: hello.session,
            heard: Instant::now(),
            status,
            statuses: 0,
            alone: VecDeque::new(),
            line: Some(Arc::clone(&line)),
        };
        let host = peer.name.clone();
        let mut hosts = self.hosts();
        let event = match hosts.get(&host) {
            None => FleetEvent::Joined { host: host.clone() },
            Some(present) => {
                if present.line.is_some() {
                    is_newer(&fresh, present)?;
                }
                if present.boot_id == fresh.boot_id && present.process_began == fresh.process_began {
                    FleetEvent::Rejoined { host: host.clone() }
                } else {
                    FleetEvent::Restarted { host: host.clone() }
                }
            }
        };
        let replaced = hosts.insert(host.clone(), fresh).and_then(|mut earlier| {
            if let Some(fresh) = hosts.get_mut(&host) {
                fresh.alone.append(&mut earlier.alone);
            }
            earlier.line
        });
        drop(hosts);
        if let Some(earlier) = replaced {
            earlier.end("a newer session of this host took its place", true);
        }
        self.tell(event);
        self.alone(&host, hello.undone_alone);
        self.joined.send_modify(|count| *count += 1);
        let others = self.others_for(&line);
        let milliseconds = |span: std::time::Duration| u32::try_from(span.as_millis()).unwrap_or(u32::MAX);
        let welcome = Welcome {
            protocol: PROTOCOL,
            program: env!("CARGO_PKG_VERSION").into(),
            heartbeat_active_ms: milliseconds(HEARTBEAT_ACTIVE),
            heartbeat_idle_ms: milliseconds(HEARTBEAT_IDLE),
            controller: self.controller.clone(),
            others,
        };
        Ok(Greeted { line, outgoing, welcome })
    }
}

fn check(peer: &Peer, hello: &Hello) -> Result<(), String> {
    if hello.protocol != PROTOCOL {
        return Err(format!(
            "this controller (faultline {}) speaks protocol {PROTOCOL}, and this agent (faultline-agent {}) speaks \
             protocol {}: install the same version on both",
            env!("CARGO_PKG_VERSION"),
            hello.program,
            hello.protocol
        ));
    }
    if hello.name != peer.name {
        return Err(format!("the certificate is that of `{}`, and the agent calls itself `{}`", peer.name, hello.name));
    }
    Ok(())
}

/// Whether a session may take the place of the present one of its name: it is a later one of the same process, or of a
/// process that began later in the same boot. Which of two boots is the later one cannot be told, so the present one
/// keeps its place for as long as it is heard.
fn is_newer(fresh: &Host, present: &Host) -> Result<(), String> {
    let newer = if fresh.boot_id == present.boot_id {
        (fresh.process_began, fresh.session) > (present.process_began, present.session)
    } else {
        present.heard.elapsed() > SILENCE
    };
    if newer {
        return Ok(());
    }
    Err(format!(
        "a host of this name is connected already, from {} since before: if this host was started anew, it is let in {} s \
         after the other was last heard; else two hosts have the same certificate, and one must be enrolled anew",
        present.address,
        SILENCE.as_secs()
    ))
}

#[cfg(test)]
mod tests;
