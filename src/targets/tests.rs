use std::collections::BTreeSet;

use super::seed_of_fault;

#[test]
fn each_fault_has_a_seed_of_its_own_that_repeats() {
    let seeds: Vec<u64> = (0..4).map(|number| seed_of_fault(7, number)).collect();
    assert_eq!(seeds, (0..4).map(|number| seed_of_fault(7, number)).collect::<Vec<_>>());
    let distinct: BTreeSet<_> = seeds.iter().collect();
    assert_eq!(distinct.len(), 4);
    assert_ne!(seed_of_fault(8, 0), seeds[0]);
}
