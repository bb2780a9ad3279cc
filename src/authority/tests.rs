use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::time::Duration;

use faultline_agent::credentials::{CertificateFacts, KeyRequest, certificates};
use jiff::Timestamp;
use proptest::prelude::*;
use rcgen::{CertificateParams, DnType, KeyPair, PKCS_ECDSA_P384_SHA384, SanType};

use super::*;

fn names() -> Vec<String> {
    vec!["controller.example.org".into(), "10.0.0.7".into()]
}

fn made() -> (tempfile::TempDir, PathBuf, Authority) {
    let scratch = tempfile::tempdir().unwrap();
    let folder = Authority::folder(scratch.path());
    let authority = Authority::create(&folder, &names(), Timestamp::now()).unwrap();
    (scratch, folder, authority)
}

fn name() -> AgentName {
    "db-1".parse().unwrap()
}

fn issue(authority: &Authority, request: &str) -> Result<IssuedCertificate, IssueError> {
    authority.issue_agent(request, &name(), &BTreeMap::new(), AGENT_LIFE, Timestamp::now())
}

#[test]
fn its_folder_and_files_are_private_and_it_opens_as_it_was() {
    let (_scratch, folder, authority) = made();
    assert_eq!(fs::metadata(&folder).unwrap().mode() & 0o777, 0o700);
    let files: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap()).collect();
    assert_eq!(files.len(), 2);
    for file in files {
        assert_eq!(file.metadata().unwrap().mode() & 0o777, 0o600, "{:?}", file.path());
    }
    let opened = Authority::open(&folder, Timestamp::now()).unwrap();
    assert_eq!(opened.fingerprint().unwrap(), authority.fingerprint().unwrap());
    assert_eq!((opened.names(), opened.server_not_after()), (names(), authority.server_not_after()));
}

#[test]
fn it_is_never_overwritten() {
    let (_scratch, folder, authority) = made();
    let error = Authority::create(&folder, &names(), Timestamp::now()).unwrap_err();
    assert!(matches!(error, AuthorityError::Exists(_)) && error.hint().contains("serve"), "{error}");
    let opened = Authority::open(&folder, Timestamp::now()).unwrap();
    assert_eq!(opened.fingerprint().unwrap(), authority.fingerprint().unwrap());
}

#[test]
fn keys_that_others_may_read_or_write_are_refused() {
    for mode in [0o640, 0o604, 0o620, 0o644, 0o666] {
        let (_scratch, folder, _) = made();
        fs::set_permissions(folder.join("authority.json"), fs::Permissions::from_mode(mode)).unwrap();
        let error = Authority::open(&folder, Timestamp::now()).unwrap_err();
        assert!(error.to_string().contains("may be read or written by others"), "{error}");
        assert!(error.hint().contains("chmod 600"), "{}", error.hint());
    }
    for mode in [0o750, 0o701, 0o755, 0o777] {
        let (_scratch, folder, _) = made();
        fs::set_permissions(&folder, fs::Permissions::from_mode(mode)).unwrap();
        let error = Authority::open(&folder, Timestamp::now()).unwrap_err();
        assert!(error.hint().contains("chmod 700"), "{}", error.hint());
    }
    let scratch = tempfile::tempdir().unwrap();
    fs::set_permissions(scratch.path(), fs::Permissions::from_mode(0o755)).unwrap();
    assert!(Authority::create(scratch.path(), &names(), Timestamp::now()).is_err());
    assert_eq!(fs::read_dir(scratch.path()).unwrap().count(), 0);
}

#[test]
fn a_damaged_file_is_refused_without_quoting_it_and_a_missing_one_named() {
    let (_scratch, folder, _) = made();
    let file = folder.join("authority.json");
    let text = fs::read_to_string(&file).unwrap();
    for damaged in [&text[..text.len() / 2], "", "{}", &text.replace("\"signing\": 0", "\"signing\": 3")] {
        fs::write(&file, damaged).unwrap();
        let error = Authority::open(&folder, Timestamp::now()).unwrap_err();
        assert!(matches!(error, AuthorityError::Damaged { .. }), "{error}");
        assert!(!format!("{error:?}").contains("PRIVATE"), "{error:?}");
    }
    fs::remove_file(&file).unwrap();
    assert!(matches!(Authority::open(&folder, Timestamp::now()), Err(AuthorityError::Missing(_))));
}

#[test]
fn names_that_are_none_are_refused() {
    let scratch = tempfile::tempdir().unwrap();
    for names in [vec![], vec![String::new()], vec!["a b".into()], vec!["ok".into(), "https://x".into()]] {
        let error = Authority::create(&scratch.path().join("a"), &names, Timestamp::now()).unwrap_err();
        assert!(matches!(error, AuthorityError::Name(_) | AuthorityError::NoName), "{error}");
    }
    assert!(!scratch.path().join("a").exists());
}

#[test]
fn of_a_request_only_the_key_is_taken() {
    let (_scratch, _, authority) = made();
    let key = KeyPair::generate().unwrap();
    let mut greedy = CertificateParams::new(vec!["controller.example.org".to_owned()]).unwrap();
    greedy.subject_alt_names.push(SanType::URI("faultline://agent/db-2".try_into().unwrap()));
    greedy.distinguished_name.push(DnType::CommonName, "db-2");
    greedy.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    greedy.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ServerAuth];
    let request = greedy.serialize_request(&key).unwrap().pem().unwrap();
    let issued = issue(&authority, &request).unwrap();
    assert_eq!(issued.identity.name, name());
    let chain = certificates(&issued.certificate_chain).unwrap();
    assert_eq!(PeerIdentity::of(&chain[0]).unwrap(), issued.identity);
    let facts = CertificateFacts::of(&chain[0]).unwrap();
    assert!(facts.is_for_clients && !facts.is_for_servers);
    let (_, parsed) = x509_parser::parse_x509_certificate(&chain[0]).unwrap();
    assert!(!parsed.is_ca());
    assert_eq!(parsed.subject().to_string(), "CN=db-1");
    assert_eq!(chain[1], authority.certificate().unwrap());
}

#[test]
fn certificates_are_short_lived_backdated_and_of_random_serials() {
    let (_scratch, _, authority) = made();
    let request = KeyRequest::new().unwrap().signing_request().unwrap();
    let now: Timestamp = "2026-11-21T12:00:00Z".parse().unwrap();
    let issued = authority.issue_agent(&request, &name(), &BTreeMap::new(), AGENT_LIFE, now).unwrap();
    assert_eq!(issued.identity.not_before, "2026-11-21T11:55:00Z".parse().unwrap());
    assert_eq!(issued.identity.not_after, "2026-11-22T12:00:00Z".parse().unwrap());
    let serials: std::collections::HashSet<_> =
        (0..64).map(|_| issue(&authority, &request).unwrap().identity.serial).collect();
    assert_eq!(serials.len(), 64);
    let life = authority.issue_agent(&request, &name(), &BTreeMap::new(), Duration::ZERO, now);
    assert!(matches!(life, Err(IssueError::Life(_))));
}

#[test]
fn labels_are_bound_and_only_those_that_can_be_read_again() {
    let (_scratch, _, authority) = made();
    let request = KeyRequest::new().unwrap().signing_request().unwrap();
    let bind = |pairs: &[(&str, &str)]| {
        let labels = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        authority.issue_agent(&request, &name(), &labels, AGENT_LIFE, Timestamp::now())
    };
    let issued = bind(&[("team", "payments"), ("example.org/zone", "")]).unwrap();
    let read = PeerIdentity::of(&certificates(&issued.certificate_chain).unwrap()[0]).unwrap();
    assert_eq!(read, issued.identity);
    assert_eq!((read.labels["team"].as_str(), read.labels["example.org/zone"].as_str()), ("payments", ""));
    assert_eq!(read.name, name(), "no label is taken for a name");
    for wrong in [("team", "a=b"), ("a=b", "c"), ("team", "x y"), ("team", "ü"), ("", "x")] {
        assert!(matches!(bind(&[wrong]), Err(IssueError::Labels | IssueError::Authority(_))), "{wrong:?}");
    }
}

#[test]
fn malformed_oversized_and_wrongly_signed_requests_are_refused() {
    let (_scratch, _, authority) = made();
    let request = KeyRequest::new().unwrap().signing_request().unwrap();
    assert!(issue(&authority, &request).is_ok());

    let long = format!("{request}{}", " ".repeat(8 * 1024));
    assert!(matches!(issue(&authority, &long), Err(IssueError::TooLong { most: 8192 })));
    for text in
        ["", "hello", "-----BEGIN CERTIFICATE REQUEST-----\n-----END CERTIFICATE REQUEST-----\n", &request[40..]]
    {
        assert!(matches!(issue(&authority, text), Err(IssueError::Malformed)), "{text}");
    }
    let certificate = authority.trust_bundle();
    assert!(matches!(issue(&authority, &certificate), Err(IssueError::Malformed)));

    // The last byte of the signature, and the key of another.
    let der = faultline_der(&request);
    let mut tampered = der.clone();
    *tampered.last_mut().unwrap() ^= 1;
    assert!(matches!(issue(&authority, &pem(&tampered)), Err(IssueError::WrongSignature)));
    let (one, other) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
    let of_one = faultline_der(&CertificateParams::default().serialize_request(&one).unwrap().pem().unwrap());
    let (from, to) = (one.public_key_raw(), other.public_key_raw());
    let place = of_one.windows(from.len()).position(|window| window == from).unwrap();
    let mut stolen = of_one.clone();
    stolen[place..place + to.len()].copy_from_slice(to);
    assert!(matches!(issue(&authority, &pem(&stolen)), Err(IssueError::WrongSignature)));

    let other_curve = KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384).unwrap();
    let request = CertificateParams::default().serialize_request(&other_curve).unwrap().pem().unwrap();
    assert!(matches!(issue(&authority, &request), Err(IssueError::Key)));
}

#[test]
fn a_session_ends_with_its_certificate() {
    let (_scratch, _, authority) = made();
    let request = KeyRequest::new().unwrap().signing_request().unwrap();
    let (revocations, peer) = (Revocations::default(), issue(&authority, &request).unwrap().identity);
    assert_eq!(revocations.check(&peer, Timestamp::now()), Ok(()));
    let late = peer.not_after + jiff::SignedDuration::from_secs(1);
    assert_eq!(revocations.check(&peer, late), Err(NotValid::Expired(peer.not_after)));
    let clone = revocations.clone();
    assert!(clone.revoke(peer.serial) && !clone.revoke(peer.serial));
    assert_eq!(revocations.check(&peer, Timestamp::now()), Err(NotValid::Revoked));
    revocations.replace([].into());
    assert!(!clone.contains(peer.serial));
}

/// What the fleet decides upon the authority that was prepared here.
fn successions(authority: &Authority) -> [Succession; 3] {
    let (former, certificate) = (authority.fingerprint().unwrap(), authority.prepare(Timestamp::now()).unwrap());
    [Step::Begun, Step::Switched, Step::Finished].map(|step| Succession {
        step,
        former,
        certificate: certificate.clone(),
    })
}

#[test]
fn one_that_was_prepared_is_trusted_by_nobody_and_each_step_can_be_followed_again() {
    let (_scratch, folder, authority) = made();
    let now = Timestamp::now();
    let (old, bundle) = (authority.fingerprint().unwrap(), authority.trust_bundle());
    let steps @ [begun, switched, finished] = &successions(&authority);
    assert_eq!(authority.prepare(now).unwrap(), begun.certificate, "the same, as after a crash before it was told");
    assert_eq!(Authority::open(&folder, now).unwrap().trust_bundle(), bundle);
    let next = Fingerprint::of(&certificates(&begun.certificate).unwrap()[0]);
    for (step, signs, trusted) in [(begun, old, 2), (switched, next, 2), (finished, next, 1)] {
        let old_server = fs::read_to_string(folder.join("server.json")).unwrap();
        assert!(authority.follow(step, now).unwrap());
        assert!(!authority.follow(step, now).unwrap());
        // As if the power had failed after the authorities were written and before the server certificate was.
        fs::write(folder.join("server.json"), old_server).unwrap();
        for authority in [&authority, &Authority::open(&folder, now).unwrap()] {
            assert_eq!(authority.fingerprint().unwrap(), signs, "{step:?}");
            assert_eq!(certificates(&authority.trust_bundle()).unwrap().len(), trusted, "{step:?}");
            let text = fs::read_to_string(folder.join("server.json")).unwrap();
            let stored: serde_json::Value = serde_json::from_str(&text).unwrap();
            let chain = certificates(stored["certificateChain"].as_str().unwrap()).unwrap();
            assert_eq!(chain[1], authority.certificate().unwrap(), "{step:?}");
        }
    }
    assert_eq!(authority.held().unwrap(), [next]);
    assert!(!fs::read_to_string(folder.join("authority.json")).unwrap().contains("prepared"));
    // A controller that was down follows at once to where the fleet is.
    let (_scratch, _, late) = made();
    let steps_of_late = successions(&late);
    late.follow(&steps_of_late[2], now).unwrap();
    assert_eq!(late.trust_bundle(), steps_of_late[2].certificate);
    assert_ne!(steps, &steps_of_late);
    // One that missed a whole rotation never signs with what it made itself instead.
    let begun = Succession { former: next, ..successions(&late)[0].clone() };
    assert!(matches!(late.follow(&begun, now), Err(AuthorityError::NoKey { authority }) if authority == next));
    assert_eq!(late.trust_bundle(), steps_of_late[2].certificate);
}

#[test]
fn a_key_that_is_elsewhere_is_brought_by_hand_and_signs_then() {
    let (_scratch, folder, one) = made();
    let scratch = tempfile::tempdir().unwrap();
    let other_folder = Authority::folder(scratch.path());
    let now = Timestamp::now();
    let other = Authority::join(&other_folder, &folder, &["b.example".into()], now).unwrap();
    let old = one.fingerprint().unwrap();
    let [begun, switched, finished] = successions(&one);
    let next = Fingerprint::of(&certificates(&begun.certificate).unwrap()[0]);
    assert!(other.follow(&begun, now).unwrap());
    assert_eq!((other.held().unwrap(), other.fingerprint().unwrap()), (vec![old], old));
    assert_eq!(certificates(&other.trust_bundle()).unwrap().len(), 2, "it is trusted by its public part");
    // It goes on with the old one as long as that is trusted.
    assert!(!other.follow(&switched, now).unwrap());
    assert_eq!(other.fingerprint().unwrap(), old);
    let request = KeyRequest::new().unwrap().signing_request().unwrap();
    assert!(issue(&other, &request).is_ok());
    // Then it has nothing to sign with, says so, and does not start.
    let error = other.follow(&finished, now).unwrap_err();
    assert!(matches!(&error, AuthorityError::NoKey { authority } if *authority == next), "{error}");
    assert!(error.hint().contains("faultline rotate join"), "{}", error.hint());
    assert_eq!(other.trust_bundle(), finished.certificate, "what is over is trusted no more");
    assert!(matches!(issue(&other, &request), Err(IssueError::Authority(AuthorityError::NoKey { .. }))));
    assert!(matches!(Authority::open(&other_folder, now), Err(AuthorityError::NoKey { .. })));
    assert!(!fs::read_to_string(other_folder.join("authority.json")).unwrap().contains("PRIVATE"));
    // Taken while it serves.
    one.follow(&begun, now).unwrap();
    assert_eq!(Authority::take(&other_folder, &folder).unwrap().len(), 2);
    assert!(other.follow(&begun, now).unwrap());
    assert_eq!(other.held().unwrap().len(), 2);
    for step in [&switched, &finished] {
        assert!(other.follow(step, now).unwrap());
        assert_eq!((other.fingerprint().unwrap(), other.names()), (next, vec!["b.example".to_owned()]));
    }
    Authority::open(&other_folder, now).unwrap();
}

#[test]
fn a_begun_rotation_can_be_begun_anew_and_the_authority_of_another_fleet_is_not_taken() {
    let (_scratch, folder, authority) = made();
    let now = Timestamp::now();
    let [begun, ..] = successions(&authority);
    authority.follow(&begun, now).unwrap();
    let lost = Fingerprint::of(&certificates(&begun.certificate).unwrap()[0]);
    let [again, switched, _] = successions(&authority);
    authority.follow(&again, now).unwrap();
    assert_eq!(certificates(&authority.trust_bundle()).unwrap().len(), 2);
    assert!(!authority.held().unwrap().contains(&lost), "the one that was given up is not trusted any more");
    authority.follow(&switched, now).unwrap();
    assert_eq!(authority.trust_bundle().matches("BEGIN").count(), 2);

    let scratch = tempfile::tempdir().unwrap();
    let foreign = Authority::folder(scratch.path());
    Authority::create(&foreign, &["elsewhere.example".into()], now).unwrap();
    let before = fs::read_to_string(folder.join("authority.json")).unwrap();
    let error = Authority::take(&folder, scratch.path()).unwrap_err();
    assert!(error.to_string().contains("elsewhere.example"), "{error}");
    assert_eq!(fs::read_to_string(folder.join("authority.json")).unwrap(), before);
    fs::set_permissions(foreign.join("authority.json"), fs::Permissions::from_mode(0o644)).unwrap();
    assert!(Authority::take(&folder, &foreign).is_err(), "others may have read it");
}

fn faultline_der(pem: &str) -> Vec<u8> {
    use rustls_pki_types::pem::PemObject;
    rustls_pki_types::CertificateSigningRequestDer::from_pem_slice(pem.as_bytes()).unwrap().to_vec()
}

fn pem(der: &[u8]) -> String {
    use base64::Engine;
    let text = base64::engine::general_purpose::STANDARD.encode(der);
    format!("-----BEGIN CERTIFICATE REQUEST-----\n{text}\n-----END CERTIFICATE REQUEST-----\n")
}

proptest! {
    // What is outside of what the signature covers may be written in several ways.
    #[test]
    fn a_damaged_request_never_panics_and_gets_no_certificate_for_another_key(
        place in 0usize..4096, bit in 0u8..8, cut: bool
    ) {
        let (_scratch, _, authority) = made();
        let key = KeyPair::generate().unwrap();
        let mut der = faultline_der(&CertificateParams::default().serialize_request(&key).unwrap().pem().unwrap());
        let place = place % der.len();
        der[place] ^= 1 << bit;
        if cut { der.truncate(place); }
        if let Ok(issued) = issue(&authority, &pem(&der)) {
            prop_assert!(!cut);
            let facts = CertificateFacts::of(&certificates(&issued.certificate_chain).unwrap()[0]).unwrap();
            prop_assert_eq!(facts.public_key, key.public_key_raw());
            prop_assert_eq!(issued.identity.name, name());
        }
    }
}
