use proptest::prelude::*;

use super::{Broken, Deed, Fault, Hash, Head, Record, Verifier, verify};

fn at(microseconds: i64) -> jiff::Timestamp {
    jiff::Timestamp::from_microsecond(microseconds).unwrap()
}

fn chain(deeds: impl IntoIterator<Item = Deed>) -> Vec<Record> {
    let mut head = Head::EMPTY;
    let mut records = Vec::new();
    for (index, deed) in (0_i64..).zip(deeds) {
        let record = Record::following(&head, at(1_000_000 * index), deed);
        head = record.head();
        records.push(record);
    }
    records
}

fn deed(number: usize) -> Deed {
    Deed::new(
        format!("token/{number}"),
        "run.submit",
        format!("run/{number}"),
        "done",
        &serde_json::json!({"n": number}),
    )
}

/// Whoever changes the encoding breaks every log that exists.
#[test]
fn the_encoding_is_the_documented_one() {
    let deed = Deed::new("token/ci", "halt", "fleet", "done", &serde_json::json!({"reason": "it hurts"}));
    let record = Record::following(&Head::EMPTY, at(1_763_733_600_000_001), deed);
    let mut bytes = b"faultline-audit-1\n".to_vec();
    bytes.extend([0; 32]);
    bytes.extend(1_u64.to_be_bytes());
    bytes.extend(1_763_733_600_000_001_i64.to_be_bytes());
    for text in ["token/ci", "halt", "fleet", "done", r#"{"reason":"it hurts"}"#] {
        bytes.extend((text.len() as u64).to_be_bytes());
        bytes.extend(text.as_bytes());
    }
    assert_eq!(record.hash, Hash::of(&bytes));
    insta::assert_snapshot!(record.hash, @"b838e9d06a7850f68306b678b4a318bd1bfd71c89a13b75f2544b12997579160");
}

#[test]
fn a_head_is_read_as_it_is_written() {
    let head = chain([deed(0), deed(1)])[1].head();
    assert_eq!(head.to_string().parse(), Ok(head));
    assert!("2:xyz".parse::<Head>().is_err());
    assert!("x".parse::<Head>().is_err());
    assert!(head.to_string().to_uppercase().parse::<Head>().is_err());
}

#[test]
fn a_record_survives_json() {
    let record = chain([deed(0), deed(1)]).remove(1);
    let text = serde_json::to_string(&record).unwrap();
    assert_eq!(serde_json::from_str::<Record>(&text).unwrap(), record);
}

#[test]
fn text_cannot_wander_from_one_field_into_the_next() {
    let one = Record::following(&Head::EMPTY, at(0), Deed { actor: "ab".into(), action: "c".into(), ..deed(0) });
    let other = Record::following(&Head::EMPTY, at(0), Deed { actor: "a".into(), action: "bc".into(), ..deed(0) });
    assert_ne!(one.hash, other.hash);
}

#[test]
fn a_log_that_was_cut_off_or_written_anew_is_found_by_a_kept_head() {
    let records = chain((0..5).map(deed));
    let kept = records[3].head();
    let with_kept = |records: &[Record]| {
        let mut verifier = Verifier::default().must_contain(kept);
        records.iter().try_for_each(|record| verifier.push(record))?;
        verifier.finish()
    };
    assert_eq!(with_kept(&records), Ok(records[4].head()));
    assert_eq!(verify(&records[..2]), Ok(records[1].head()), "a chain alone does not show that it was cut off");
    assert_eq!(with_kept(&records[..2]), Err(Broken { sequence: 3, why: Fault::CutOff }));
    let anew = chain((0..5).map(|number| if number == 1 { deed(7) } else { deed(number) }));
    assert_eq!(verify(&anew), Ok(anew[4].head()), "nor that it was made anew");
    assert_eq!(with_kept(&anew), Err(Broken { sequence: 4, why: Fault::Rewritten }));
}

proptest! {
    /// Each way of tampering with a log that is not just cut off is found.
    #[test]
    fn tampering_is_found(length in 2_usize..20, place in any::<prop::sample::Index>(), kind in 0..7) {
        let mut records = chain((0..length).map(deed));
        prop_assert_eq!(verify(&records), Ok(records[length - 1].head()));
        let place = place.index(length - 1);
        match kind {
            0 => records[place].deed.actor.push('x'),
            1 => records[place].at = at(12_345),
            2 => { records.remove(place); }
            3 => records.swap(place, place + 1),
            4 => {
                // A consistent record in place of the old one: then the next one does not follow it.
                let head = if place == 0 { Head::EMPTY } else { records[place - 1].head() };
                records[place] = Record::following(&head, at(5), deed(99));
            }
            5 => { let copy = records[place].clone(); records.insert(place, copy); }
            _ => records[place].deed.details.push(' '),
        }
        prop_assert!(verify(&records).is_err());
    }
}
