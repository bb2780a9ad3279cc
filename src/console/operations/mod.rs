//! What each endpoint does: from the texts of a request to one call of the controller, and back.

mod about;
mod agents;
mod audit;
mod authority;
mod baselines;
mod game_days;
mod halt;
mod runs;
mod schedules;

use std::collections::BTreeMap;

use super::problem::Problem;
use super::requests::{PageQuery, Reason};

pub(super) use self::about::*;
pub(super) use self::agents::*;
pub(super) use self::audit::*;
pub(super) use self::authority::*;
pub(super) use self::baselines::*;
pub(super) use self::game_days::*;
pub(super) use self::halt::*;
pub(super) use self::runs::*;
pub(super) use self::schedules::*;

type Answered<T> = Result<T, Problem>;

/// So many columns has a report for people.
const COLUMNS: usize = 100;

fn reason(given: &Reason) -> Answered<&str> {
    let reason = given.reason.trim();
    match reason.chars().count() {
        1..=500 => Ok(reason),
        _ => Err(Problem::request("a reason has 1 to 500 letters", "say it in a sentence, for those whom it concerns")),
    }
}

fn told(text: &str) -> Answered<&str> {
    let text = text.trim();
    match text.chars().count() {
        1..=2000 => Ok(text),
        _ => Err(Problem::request("this text has 1 to 2000 letters", "say what is seen")),
    }
}

/// How many are wanted on a page.
fn of_a_page(page: &PageQuery) -> Answered<u32> {
    within(page.limit, 50, 500)
}

fn within(limit: Option<u32>, usual: u32, most: u32) -> Answered<u32> {
    match limit.unwrap_or(usual) {
        limit if (1..=most).contains(&limit) => Ok(limit),
        limit => Err(Problem::request(format!("`limit` is {limit}"), format!("1 to {most}"))),
    }
}

fn labels_of(text: &str) -> Answered<BTreeMap<String, String>> {
    let pairs = text.split(',').filter(|pair| !pair.trim().is_empty());
    pairs
        .map(|pair| match pair.split_once('=') {
            Some((name, value)) => Ok((name.trim().to_owned(), value.trim().to_owned())),
            None => Err(Problem::request(format!("`{pair}` is no label"), "as in `team=payments,tier=1`")),
        })
        .collect()
}
