use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, SanType, SerialNumber,
};
use rustls_pki_types::CertificateDer;

use super::*;

/// An authority as the controller has it, for tests of this crate alone.
struct Signs {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

impl Signs {
    fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut wanted = CertificateParams::default();
        wanted.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        wanted.distinguished_name = DistinguishedName::new();
        wanted.distinguished_name.push(DnType::CommonName, Serial::random().unwrap().to_string());
        let pem = wanted.self_signed(&key).unwrap().pem();
        Self { issuer: Issuer::new(wanted, key), pem }
    }

    fn sign(&self, request: &str, name: &str, not_before: (i32, u8, u8), not_after: (i32, u8, u8)) -> String {
        let mut request = CertificateSigningRequestParams::from_pem(request).unwrap();
        let wanted = &mut request.params;
        wanted.serial_number = Some(SerialNumber::from_slice(&Serial::random().unwrap().bytes()));
        wanted.not_before = rcgen::date_time_ymd(not_before.0, not_before.1, not_before.2);
        wanted.not_after = rcgen::date_time_ymd(not_after.0, not_after.1, not_after.2);
        wanted.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        wanted.subject_alt_names = vec![SanType::URI(name.try_into().unwrap())];
        request.signed_by(&self.issuer).unwrap().pem()
    }
}

fn controller() -> Controller {
    Controller { address: "controller.example.org:7443".into(), server_name: "controller.example.org".into() }
}

fn private() -> tempfile::TempDir {
    tempfile::Builder::new().permissions(fs::Permissions::from_mode(0o700)).tempdir().unwrap()
}

fn noon() -> Timestamp {
    "2026-11-21T12:00:00Z".parse().unwrap()
}

fn enrolled(signs: &Signs, name: &str) -> Credentials {
    let request = KeyRequest::new().unwrap();
    let chain = signs.sign(
        &request.signing_request().unwrap(),
        &format!("faultline://agent/{name}"),
        (2026, 11, 21),
        (2026, 11, 24),
    );
    request.accept(&chain, &signs.pem, controller(), noon()).unwrap()
}

#[test]
fn credentials_are_kept_privately_and_read_as_they_were() {
    let scratch = tempfile::tempdir().unwrap();
    let folder = scratch.path().join("credentials");
    assert_eq!(Credentials::load(&folder).unwrap(), None);
    let own = enrolled(&Signs::new(), "db-1");
    own.save(&folder).unwrap();
    assert_eq!(Credentials::load(&folder).unwrap().as_ref(), Some(&own));
    assert_eq!(own.identity().name.as_str(), "db-1");
    assert_eq!(fs::metadata(&folder).unwrap().mode() & 0o777, 0o700);
    assert_eq!(fs::metadata(Credentials::file(&folder)).unwrap().mode() & 0o777, 0o600);
    let shown = format!("{own:?}");
    assert!(shown.contains("db-1") && !shown.contains("PRIVATE"), "{shown}");
}

#[test]
fn a_crash_half_way_through_a_renewal_leaves_the_old_pair() {
    let scratch = tempfile::tempdir().unwrap();
    let folder = scratch.path().join("credentials");
    let signs = Signs::new();
    let (old, new) = (enrolled(&signs, "db-1"), enrolled(&signs, "db-1"));
    old.save(&folder).unwrap();
    let path = Credentials::file(&folder);
    new.save(&scratch.path().join("other")).unwrap();
    let text = fs::read_to_string(Credentials::file(&scratch.path().join("other"))).unwrap();
    // Written so far when the power failed, at each of these points; then renewed again.
    for length in [0, 1, text.len() / 2, text.len()] {
        fs::write(private_file::beside(&path), &text[..length]).unwrap();
        assert_eq!(Credentials::load(&folder).unwrap().as_ref(), Some(&old), "{length}");
    }
    new.save(&folder).unwrap();
    assert_eq!(Credentials::load(&folder).unwrap().as_ref(), Some(&new));
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 1);
}

#[test]
fn files_that_others_may_reach_are_refused_and_so_is_a_link() {
    let own = enrolled(&Signs::new(), "db-1");
    let kept = || {
        let scratch = private();
        own.save(scratch.path()).unwrap();
        scratch
    };
    let mode = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    for loose in [0o640, 0o604, 0o620, 0o602, 0o610] {
        let scratch = kept();
        mode(&Credentials::file(scratch.path()), loose);
        let error = Credentials::load(scratch.path()).unwrap_err();
        assert!(error.to_string().contains("may be read or written by others") && error.hint.contains("chmod 600"));
    }
    for loose in [0o750, 0o705, 0o777] {
        let scratch = kept();
        mode(scratch.path(), loose);
        assert!(Credentials::load(scratch.path()).unwrap_err().hint.contains("chmod 700"));
        assert!(own.save(scratch.path()).unwrap_err().hint.contains("chmod 700"));
    }
    let (scratch, other) = (kept(), kept());
    fs::remove_file(Credentials::file(scratch.path())).unwrap();
    symlink(Credentials::file(other.path()), Credentials::file(scratch.path())).unwrap();
    assert!(Credentials::load(scratch.path()).is_err());
}

#[test]
fn a_damaged_file_is_refused_without_quoting_it() {
    let scratch = private();
    let own = enrolled(&Signs::new(), "db-1");
    own.save(scratch.path()).unwrap();
    let path = Credentials::file(scratch.path());
    let text = fs::read_to_string(&path).unwrap();
    let another = KeyPair::generate().unwrap().serialize_pem().replace('\n', "\\n");
    let start = text.find("-----BEGIN PRIVATE").unwrap();
    let end = text.find("END PRIVATE KEY-----\\n").unwrap() + "END PRIVATE KEY-----\\n".len();
    let swapped = format!("{}{another}{}", &text[..start], &text[end..]);
    for damaged in [&text[..text.len() / 2], "", "[]", &text.replace("\"version\": 1", "\"version\": 9"), &swapped] {
        fs::write(&path, damaged).unwrap();
        let error = Credentials::load(scratch.path()).unwrap_err();
        assert!(!format!("{error:?}").contains("PRIVATE"), "{error:?}");
    }
    fs::write(&path, &swapped).unwrap();
    let error = Credentials::load(scratch.path()).unwrap_err();
    assert!(error.to_string().contains("is not for this host's key"), "{error}");
}

#[test]
fn what_the_controller_signed_is_checked_before_it_is_kept() {
    let (signs, other) = (Signs::new(), Signs::new());
    let agent = "faultline://agent/db-1";
    let (from, until) = ((2026, 11, 21), (2026, 11, 24));
    let accept = |signs: &Signs, of: Option<&KeyRequest>, name: &str, trust: &str, now| {
        let request = KeyRequest::new().unwrap();
        let text = of.unwrap_or(&request).signing_request().unwrap();
        let chain = signs.sign(&text, name, from, until);
        request.accept(&chain, trust, controller(), now).map(|_| ()).map_err(|error| error.to_string())
    };
    assert_eq!(accept(&signs, None, agent, &signs.pem, noon()), Ok(()));
    let others_key = KeyRequest::new().unwrap();
    for (answer, expected) in [
        (accept(&signs, Some(&others_key), agent, &signs.pem, noon()), "is not for this host's key"),
        (accept(&other, None, agent, &signs.pem, noon()), "UnknownIssuer"),
        (accept(&signs, None, "https://db-1", &signs.pem, noon()), "does not name an agent"),
        (accept(&signs, None, agent, "", noon()), "cannot be read as PEM"),
        (accept(&signs, None, agent, &signs.pem, noon() + SignedDuration::from_hours(100)), "expired"),
        (accept(&signs, None, agent, &signs.pem, noon() - SignedDuration::from_hours(100)), "not valid yet"),
    ] {
        let error = answer.unwrap_err();
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn a_renewal_is_due_between_two_thirds_and_77_hundredths_of_the_life() {
    let own = enrolled(&Signs::new(), "db-1");
    let (from, until) = (own.identity().not_before, own.identity().not_after);
    assert_eq!(until.duration_since(from), SignedDuration::from_hours(72));
    let due: Vec<Timestamp> = (0..500).map(|seed| own.renew_at(seed)).collect();
    let (first, last) = (due.iter().min().unwrap(), due.iter().max().unwrap());
    assert!(*first >= from + SignedDuration::from_hours(48) && *last < from + SignedDuration::from_mins(3312));
    assert!(last.duration_since(*first) > SignedDuration::from_hours(7));
    assert_eq!(own.renew_at(7), own.renew_at(7));
    assert!(!own.needs_renewal(own.renew_at(7) - SignedDuration::from_secs(1), 7));
    assert!(own.needs_renewal(own.renew_at(7), 7));
}

#[test]
fn a_signing_request_says_no_name() {
    let request = KeyRequest::new().unwrap().signing_request().unwrap();
    let read = CertificateSigningRequestParams::from_pem(&request).unwrap();
    assert_eq!(read.params.distinguished_name.iter().count(), 0);
    assert!(read.params.subject_alt_names.is_empty());
}

#[test]
fn a_token_tells_its_secret_to_nobody_but_by_display() {
    let authority = Fingerprint::of(&CertificateDer::from(vec![1, 2, 3]));
    let token = EnrolmentToken::random(authority).unwrap();
    let text = token.to_string();
    assert_eq!(text.parse::<EnrolmentToken>().unwrap(), token);
    assert_eq!(format!(" {text}\n").parse::<EnrolmentToken>().unwrap(), token);
    let shown = format!("{token:?}");
    assert!(!shown.contains(&token.secret.reveal()) && shown.contains(token.id.as_str()), "{shown}");
    for (text, problem) in [
        (text.replace("flt1", "flt2"), "it does not begin with flt1."),
        (text.replace("flt1", "fla1"), "it is a token for the API"),
        (text[..40].to_owned(), "it is not of four parts: was it cut short?"),
        (format!("{text}.x"), "it is not of four parts: was it cut short?"),
        (text[..text.len() - 1].to_owned(), "its fourth part is not 43 letters of base64url"),
    ] {
        let error = text.parse::<EnrolmentToken>().unwrap_err();
        assert_eq!((error.kind, error.problem), ("enrolment token", problem));
        assert!(!error.to_string().contains(&token.secret.reveal()));
    }
}

#[test]
fn serials_and_names_are_read_strictly() {
    let serial = Serial::random().unwrap();
    assert_eq!(serial.to_string().parse::<Serial>().unwrap(), serial);
    assert_eq!(Serial::from_der(&[&[0][..], &serial.bytes()[..]].concat()), Some(serial));
    assert_eq!((Serial::from_der(&[]), Serial::from_der(&[0]), Serial::from_der(&[1; 17])), (None, None, None));
    for text in ["", "0", &"0".repeat(32), &"+".repeat(32), &"f".repeat(33)] {
        assert!(text.parse::<Serial>().is_err(), "{text}");
    }
    for name in ["", "-a", ".", "..", "a/b", "a b", "a\0", "ä", &"a".repeat(254)] {
        assert!(name.parse::<AgentName>().is_err(), "{name}");
    }
    let name = "db-1.example_a.org".parse::<AgentName>().unwrap();
    assert_eq!(AgentName::from_uri(&name.uri()), Some(name));
    for uri in ["faultline://agent/", "faultline://agent/a/b", "Faultline://agent/a", "faultline://controller/a"] {
        assert_eq!(AgentName::from_uri(uri), None, "{uri}");
    }
}

proptest! {
    #[test]
    fn no_text_makes_a_parser_panic(
        text in "\\PC{0,160}",
        mixed in "flt1\\.[0-9a-f]{15,17}\\.[A-Za-z0-9_-]{42,44}\\.[A-Za-z0-9_-]{42,44}",
        bytes in proptest::collection::vec(any::<u8>(), 0..300),
    ) {
        for text in [&text, &mixed] {
            let _ = (text.parse::<Serial>(), text.parse::<AgentName>(), text.parse::<SecretHash>(), certificates(text));
            if let Ok(token) = text.parse::<EnrolmentToken>() {
                prop_assert_eq!(token.to_string(), text.trim());
            }
        }
        prop_assert!(PeerIdentity::of(&CertificateDer::from(bytes)).is_err());
    }
}
