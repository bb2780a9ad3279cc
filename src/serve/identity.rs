//! Who a controller is, and where it is reached.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::{Listening, ServeError};

/// The controller's id, the same after a restart: by it it finds the runs that it had, and agents know whose their faults
/// are. It belongs to this folder alone: in a copy of the folder, which another controller may be made of, it is made anew,
/// since two with one id would take each other's runs. So the file says its own number in the file system, which no copy has.
pub(super) fn identity(data: &Path) -> Result<String, ServeError> {
    let path = data.join("controller-id");
    let failed = |source| ServeError::File { path: path.clone(), source };
    let number = || std::fs::metadata(&path).map(|metadata| metadata.ino()).map_err(failed);
    let known = std::fs::read_to_string(&path).unwrap_or_default();
    match known.split_whitespace().collect::<Vec<_>>()[..] {
        [id, own] if own == number()?.to_string() => return Ok(id.to_owned()),
        // As a start leaves it that was cut off half-way.
        [id] => {
            std::fs::write(&path, format!("{id} {}\n", number()?)).map_err(failed)?;
            return Ok(id.to_owned());
        }
        [id, _] => tracing::warn!(id, "this folder is a copy of that of another controller: it gets an id of its own"),
        _ => {}
    }
    let id = format!("controller-{:08x}", crate::targets::draw_seed());
    std::fs::write(&path, format!("{id}\n")).map_err(failed)?;
    std::fs::write(&path, format!("{id} {}\n", number()?)).map_err(failed)?;
    Ok(id)
}

/// Where a controller is reached from elsewhere, as it tells others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Reached {
    /// The URL of its API.
    pub(super) api: String,
    /// host:port for agents.
    pub(super) agents: String,
}

impl Reached {
    pub(super) fn of(host: &str, listening: Listening) -> Self {
        let host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
        let (api, agents) = (listening.api.port(), listening.agents.port());
        Self { api: format!("https://{host}:{api}"), agents: format!("{host}:{agents}") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_stays_with_its_folder_and_a_copy_gets_another() {
        let scratch = tempfile::tempdir().unwrap();
        let id = identity(scratch.path()).unwrap();
        assert_eq!(identity(scratch.path()).unwrap(), id);
        let copy = tempfile::tempdir().unwrap();
        std::fs::copy(scratch.path().join("controller-id"), copy.path().join("controller-id")).unwrap();
        let other = identity(copy.path()).unwrap();
        assert_ne!(other, id);
        assert_eq!(identity(copy.path()).unwrap(), other);
        assert_eq!(identity(scratch.path()).unwrap(), id);
        std::fs::write(copy.path().join("controller-id"), "controller-7\n").unwrap();
        assert_eq!(identity(copy.path()).unwrap(), "controller-7", "half-way through its first start");
    }

    #[test]
    fn others_are_told_a_name_with_the_ports_that_are_open() {
        let listening = Listening { api: "0.0.0.0:7443".parse().unwrap(), agents: "0.0.0.0:7444".parse().unwrap() };
        let told = |host| Reached::of(host, listening);
        let reached = told("chaos.example");
        assert_eq!((&*reached.api, &*reached.agents), ("https://chaos.example:7443", "chaos.example:7444"));
        assert_eq!(told("fd00::1").agents, "[fd00::1]:7444");
    }
}
