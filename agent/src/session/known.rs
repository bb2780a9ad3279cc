use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::dial::TlsDial;
use super::{Address, Dial, Directory, Enrolled};
use crate::credentials::private_file;

/// The controllers that others told this host of: in a file beside its credentials, so that a host that is started while
/// the controller at which it was enrolled is gone finds the others.
#[derive(Debug)]
pub struct KnownControllers {
    file: PathBuf,
    enrolled: Enrolled,
}

#[derive(Default, Serialize, Deserialize)]
struct Stored {
    /// host:port of the port for agents of each.
    agents: Vec<String>,
}

impl KnownControllers {
    /// Those in the folder of the credentials.
    pub fn in_folder(credentials: &Path, enrolled: Enrolled) -> Self {
        Self { file: credentials.join("controllers.json"), enrolled }
    }

    fn read(&self) -> Vec<String> {
        let read = private_file::read(&self.file).map_err(|error| error.to_string());
        let stored = read.and_then(|text| match text {
            Some(text) => serde_json::from_str::<Stored>(&text).map_err(|error| error.to_string()),
            None => Ok(Stored::default()),
        });
        stored.map(|stored| stored.agents).unwrap_or_else(|error| {
            tracing::warn!(error, "the controllers that were told of before are not known any more");
            Vec::new()
        })
    }
}

impl Directory for KnownControllers {
    /// What cannot be read is not known.
    fn known(&self) -> Vec<Arc<dyn Dial>> {
        self.read().iter().filter_map(|address| self.dial(address)).collect()
    }

    fn dial(&self, address: &str) -> Option<Arc<dyn Dial>> {
        let Address { host, port } = address.parse().ok()?;
        Some(Arc::new(TlsDial::new(host, port, self.enrolled.clone())))
    }

    fn remember(&self, addresses: &[String]) {
        if self.read() == addresses {
            return;
        }
        let stored = Stored { agents: addresses.to_vec() };
        let written = serde_json::to_string(&stored).map_err(|error| error.to_string());
        let written =
            written.and_then(|text| private_file::write(&self.file, &(text + "\n")).map_err(|error| error.to_string()));
        if let Err(error) = written {
            tracing::warn!(error, "the other controllers are not remembered for the next start");
        }
    }
}
