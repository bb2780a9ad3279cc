//! What of a document a controller carries out, and what it refuses.

use super::{ControllerError, Settings};
use crate::document::Document;
use crate::document::load::{Loaded, from_text};
use crate::experiment::document::{Experiment, Signal};
use crate::game_day::document::GameDay;

/// The one experiment in a text, checked, and fit for a fleet.
///
/// # Errors
/// If the text is wrong, holds anything else, or asks for what only a run on one host can do.
pub(super) fn experiment(text: &str, settings: &Settings) -> Result<Loaded<Experiment>, ControllerError> {
    let mut loaded = from_text("the document", text, &[])?;
    let (Some(first), true) = (loaded.pop(), loaded.is_empty()) else {
        return Err(ControllerError::unsuitable(
            "the text must hold exactly one experiment",
            "send one document after the other: `faultline run FILE --controller URL` does so",
        ));
    };
    let experiment = first.experiment().map_err(|other: Box<Document>| {
        let message = format!("this is the {} {}, and no experiment", other.kind().noun(), other.metadata().name);
        ControllerError::unsuitable(message, "schedules are put by `faultline schedule apply`")
    })?;
    fit(&experiment.document, settings)?;
    Ok(experiment)
}

/// Whether a controller can run it at all.
///
/// # Errors
/// If it asks for what only a run on one host can do.
pub(super) fn fit(experiment: &Experiment, settings: &Settings) -> Result<(), ControllerError> {
    let spec = &experiment.spec;
    if let Some(service) = spec.services.keys().next() {
        return Err(ControllerError::unsuitable(
            format!("the experiment starts services of its own (`{service}`), which no host of a fleet does"),
            "run it on one host with `faultline run`, or experiment on services that are there already",
        ));
    }
    let exec = spec.signals.iter().find(|(_, signal)| matches!(signal, Signal::Exec(_)));
    if let Some((name, _)) = exec.filter(|_| !settings.allow_exec_signals) {
        return Err(ControllerError::unsuitable(
            format!("signal `{name}` runs a command, which would run on the controller's own host"),
            "use an http, tcp, prometheus or host signal; whoever runs the controller can allow it: \
             `faultline serve --allow-exec-signals`",
        ));
    }
    // Where a name leads is asked whenever a connection is made; what is plain already is said at once.
    for (name, signal) in &spec.signals {
        let asked = match signal {
            Signal::Http(signal) => Some(signal.url.clone()),
            Signal::Tcp(signal) => Some(format!("tcp://{}", signal.address)),
            Signal::Prometheus(signal) => Some(signal.url.clone()),
            Signal::Exec(_) | Signal::Host(_) => None,
        };
        if let Some(url) = asked {
            in_reach(&format!("signal `{name}`"), &url, settings)?;
        }
    }
    Ok(())
}

/// Whether a controller may ask the Alertmanager of a game day, as far as its address is plain.
///
/// # Errors
/// If not, with the reason.
pub(super) fn alerts_in_reach(game_day: &GameDay, settings: &Settings) -> Result<(), ControllerError> {
    let alertmanager = game_day.spec.alertmanager.as_ref();
    alertmanager.map_or(Ok(()), |asked| in_reach("alertmanager", &asked.url, settings))
}

fn in_reach(what: &str, url: &str, settings: &Settings) -> Result<(), ControllerError> {
    let uri = url.parse::<http::Uri>().ok();
    let host = uri.as_ref().and_then(http::Uri::host).map(|host| host.trim_matches(['[', ']']));
    let Some(Ok(address)) = host.map(str::parse) else { return Ok(()) };
    settings.signal_reach.check(address).map_err(|why| {
        let hint = "signals and alerts are asked from the controller's own host; ask another address";
        ControllerError::unsuitable(format!("{what}: {why}"), hint)
    })
}
