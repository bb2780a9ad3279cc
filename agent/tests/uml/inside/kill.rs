use super::is_inside;
use super::netem::load_netem;
use crate::matrix::kill::survive;
use crate::matrix::rows::{self, Wants};

#[test]
#[ignore = "runs in user-mode Linux"]
fn faults_that_need_netem() {
    if !is_inside() {
        return;
    }
    load_netem();
    for row in rows::ALL.iter().filter(|row| row.wants == Wants::Netem) {
        assert_eq!(row.missing(), None, "{}", row.name);
        survive(row);
    }
}
