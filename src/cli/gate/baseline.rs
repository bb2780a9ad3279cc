//! Where the baseline of a gate is: in a file, or with the controller on whose fleet it runs.

use std::path::PathBuf;

use http::Method;

use super::Arguments;
use crate::cli::client::{Client, part};
use crate::cli::failure::Failure;
use crate::console::BaselineRequest;
use crate::controller::baselines::BaselineView;
use crate::gate::baseline::BaselineFile;
use crate::report::RunReport;

/// So often runs are added anew to a baseline that another gate changed in the same moment.
const TRIES: usize = 5;

/// A baseline with the place where it is kept.
pub(super) struct Baseline {
    place: Place,
    /// The runs before these.
    pub(super) before: BaselineFile,
}

enum Place {
    File(PathBuf),
    Controller { client: Client, url: String, version: i64 },
}

impl Baseline {
    /// Reads the one that is meant: of `--baseline FILE`, else of the controller, if there is one.
    pub(super) fn read(arguments: &Arguments) -> anyhow::Result<Option<Self>> {
        if let Some(path) = &arguments.baseline {
            let before = BaselineFile::read(path).map_err(|error| {
                Failure::usage(error.to_string())
                    .hint("give another file, or move this one away: it is never written over")
            })?;
            return Ok(Some(Self { place: Place::File(path.clone()), before }));
        }
        let Some(url) = &arguments.controller.controller else {
            let asked = [
                ("--update-baseline", arguments.update_baseline),
                ("--fail-if-worse", arguments.fail_if_worse.is_some()),
            ];
            if let Some((flag, _)) = asked.into_iter().find(|(_, asked)| *asked) {
                return Err(Failure::usage(format!("{flag} needs a baseline"))
                    .hint("give --baseline FILE, or --controller, which keeps baselines by name")
                    .into());
            }
            return Ok(None);
        };
        let client = arguments.controller.client_of(url)?;
        let (version, before) = fetch(&client, url, &arguments.baseline_name)?;
        Ok(Some(Self { place: Place::Controller { client, url: url.clone(), version }, before }))
    }

    /// Where it is kept, in words.
    pub(super) fn place(&self) -> String {
        match &self.place {
            Place::File(path) => path.display().to_string(),
            Place::Controller { url, .. } => url.clone(),
        }
    }

    /// Adds runs under that name, of which so many are kept of each experiment, to what is kept by now.
    ///
    /// # Errors
    /// In words, why it was not kept.
    pub(super) fn add(&mut self, name: &str, reports: &[Box<RunReport>], kept: usize) -> Result<(), String> {
        let with = |mut file: BaselineFile| {
            reports.iter().for_each(|report| file.add(name, report, kept));
            file
        };
        match &mut self.place {
            Place::File(path) => with(self.before.clone()).write(path).map_err(|error| error.to_string()),
            Place::Controller { client, url, version } => {
                let mut file = self.before.clone();
                for left in (0..TRIES).rev() {
                    let put = put(client, name, *version, &with(file));
                    let Err(failure) = put else { return Ok(()) };
                    let read = *version;
                    (*version, file) = fetch(client, url, name).map_err(|error| error.to_string())?;
                    if left == 0 || *version == read {
                        return Err(format!("cannot write the baseline {name} of {url}: {failure}"));
                    }
                }
                Ok(())
            }
        }
    }
}

fn path(name: &str) -> String {
    format!("/v1/baselines/{}", part(name))
}

fn fetch(client: &Client, url: &str, name: &str) -> anyhow::Result<(i64, BaselineFile)> {
    let view: BaselineView = client.get(&path(name))?;
    if view.version == 0 {
        return Ok((0, BaselineFile::empty()));
    }
    let file = serde_json::from_str(&view.document).map_err(|error| {
        Failure::precondition(format!("cannot read the baseline {name} of {url}: {error}"))
            .hint("is this faultline older than the one that kept it?")
    })?;
    Ok((view.version, file))
}

fn put(client: &Client, name: &str, version: i64, file: &BaselineFile) -> Result<(), Failure> {
    let document = serde_json::to_string(file).unwrap_or_default();
    client.send::<BaselineView>(Method::PUT, &path(name), Some(&BaselineRequest { document, version }))?;
    Ok(())
}
