//! The order in which services start: each after those that it names.

use std::collections::BTreeMap;

use super::ServiceError;
use crate::experiment::document::Service;

/// The names, each after all that it must come `after`; otherwise by the alphabet.
///
/// # Errors
/// If one names a service that is not there, or they wait for each other in a circle.
pub(super) fn starting_order(services: &BTreeMap<String, Service>) -> Result<Vec<String>, ServiceError> {
    for (name, service) in services {
        if let Some(missing) = service.after.iter().find(|after| !services.contains_key(*after)) {
            return Err(ServiceError::Unknown { name: name.clone(), missing: missing.clone() });
        }
    }
    let mut order: Vec<String> = Vec::new();
    while order.len() < services.len() {
        let next = services
            .iter()
            .find(|(name, service)| !order.contains(name) && service.after.iter().all(|after| order.contains(after)));
        match next {
            Some((name, _)) => order.push(name.clone()),
            None => {
                let waiting = services.keys().filter(|name| !order.contains(name)).cloned().collect();
                return Err(ServiceError::Circle { names: waiting });
            }
        }
    }
    Ok(order)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn services(after: &[(&str, &[&str])]) -> BTreeMap<String, Service> {
        let service = |after: &[&str]| Service {
            files: BTreeMap::new(),
            run: vec!["true".into()],
            environment: BTreeMap::new(),
            directory: None,
            user: None,
            ready: None,
            after: after.iter().map(ToString::to_string).collect(),
            restart: None,
        };
        after.iter().map(|(name, after)| ((*name).to_owned(), service(after))).collect()
    }

    #[test]
    fn each_starts_after_those_it_names() {
        let order = starting_order(&services(&[("front", &["backend"]), ("backend", &["db"]), ("db", &[])])).unwrap();
        assert_eq!(order, ["db", "backend", "front"]);
    }

    #[test]
    fn a_circle_and_a_stranger_are_refused_by_name() {
        let circle = starting_order(&services(&[("a", &["b"]), ("b", &["a"]), ("c", &[])])).unwrap_err();
        assert!(circle.to_string().contains("`a`, `b`"), "{circle}");
        let stranger = starting_order(&services(&[("a", &["x"])])).unwrap_err();
        assert!(stranger.to_string().contains("`x`"), "{stranger}");
    }
}
