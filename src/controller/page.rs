//! Lists that are given page by page, and are short enough to be in memory as a whole.

use super::ControllerError;

/// The beginning of a list, and the key of its last element if there is more.
pub(super) fn first<T>(mut all: Vec<T>, limit: u32, key: impl Fn(&T) -> &str) -> (Vec<T>, Option<String>) {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let more = all.len() > limit;
    all.truncate(limit);
    let next = all.last().filter(|_| more).map(|last| key(last).to_owned());
    (all, next)
}

/// What stands behind the element with this key; everything if none is named.
///
/// # Errors
/// If there is none with this key.
pub(super) fn behind<T>(
    mut all: Vec<T>,
    after: Option<&str>,
    kind: &'static str,
    key: impl Fn(&T) -> &str,
) -> Result<Vec<T>, ControllerError> {
    let Some(after) = after else { return Ok(all) };
    match all.iter().position(|element| key(element) == after) {
        Some(place) => Ok(all.split_off(place + 1)),
        None => {
            Err(ControllerError::request(format!("there is no {kind} `{after}`"), "begin again with the first page"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pages_of_a_list_are_the_list_whatever_their_length() {
        let all: Vec<String> = (0..7).map(|number| format!("n{number}")).collect();
        for limit in 1..9 {
            let (mut seen, mut after) = (Vec::new(), None::<String>);
            loop {
                let left = behind(all.clone(), after.as_deref(), "thing", String::as_str).unwrap();
                let (page, next) = first(left, limit, String::as_str);
                assert!(!page.is_empty() && page.len() <= limit as usize, "{limit}: {page:?}");
                assert_eq!(next.as_ref(), page.last().filter(|_| next.is_some()));
                seen.extend(page);
                after = next;
                if after.is_none() {
                    break;
                }
            }
            assert_eq!(seen, all, "{limit}");
        }
        let unknown = behind(all, Some("n9"), "thing", String::as_str).unwrap_err();
        assert_eq!((unknown.class().0, unknown.to_string().as_str()), (400, "there is no thing `n9`"));
        assert_eq!(first(Vec::<String>::new(), 5, String::as_str), (Vec::new(), None));
    }
}
