//! `faultline init`: makes the authority of a fleet and the first token.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use jiff::Timestamp;
use serde::Serialize;

use super::flags::{DataFormat, Global};
use super::output;
use crate::access::first_admin::{self, FirstAdmin};
use crate::access::{ApiToken, Principal, Role, Scope};
use crate::authority::Authority;

/// Make what a controller needs: an authority for certificates, and the first token of the API
///
/// Makes DIR/authority, which only its owner may enter. In it are the keys by which hosts trust this controller: keep a
/// copy in a safe place, as with a new authority every host has to be enrolled again. The token is printed once and
/// kept nowhere. Never overwrites anything: exits with 3 if there is an authority already.
///
/// --join makes the folder of a further controller of the same fleet instead, from a copy of DIR/authority of one that is
/// there: both then share one store (`faultline serve --store`), and hosts trust both. There is no new token then; remove
/// the copy afterwards, since it holds the keys.
///
/// --json prints an object whose fields keep their names: `data`, `authority` (folder), `names`, `fingerprint` (SHA-256
/// of the authority's certificate, base64url), `notAfter`, and without --join `admin`, `tokenId`, `token`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The controller's data folder
    #[arg(long, value_name = "DIR")]
    pub data: PathBuf,
    /// Names and addresses by which hosts and people reach this controller; the first is the one that agents are told
    #[arg(long = "name", value_name = "HOST[,IP]", value_delimiter = ',', required = true)]
    pub names: Vec<String>,
    /// A copy of the authority of a controller of the same fleet, only readable for its owner
    #[arg(long, value_name = "DIR", conflicts_with = "admin")]
    pub join: Option<PathBuf>,
    /// Whose the first token is, as the audit log will say
    #[arg(long, default_value = "admin", value_name = "PERSON")]
    pub admin: String,
    /// How to print
    #[command(flatten)]
    pub format: DataFormat,
}

/// What was made.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Made<'a> {
    data: &'a Path,
    authority: &'a Path,
    names: &'a [String],
    fingerprint: String,
    not_after: Timestamp,
    #[serde(flatten)]
    first: Option<First<'a>>,
}

/// The first token.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct First<'a> {
    admin: &'a str,
    token_id: &'a str,
    token: String,
}

/// Makes both.
///
/// # Errors
/// If there is an authority already, a name is none, or the folder cannot be written or is not private.
pub fn run(arguments: Arguments, _: &Global) -> anyhow::Result<ExitCode> {
    let Arguments { data, names, join, admin, format } = arguments;
    let names: Vec<String> = names.iter().map(|name| name.trim().to_owned()).collect();
    let folder = Authority::folder(&data);
    let now = Timestamp::now();
    let (authority, token) = match &join {
        Some(copy) => (Authority::join(&folder, copy, &names, now)?, None),
        None => {
            let authority = Authority::create(&folder, &names, now)?;
            let token = ApiToken::random()?;
            let principal = Principal { name: admin.clone(), role: Role::Admin, scope: Scope::everything() };
            let (id, secret_hash) = (token.id.clone(), token.secret.hash());
            first_admin::write(&folder, &FirstAdmin { id, secret_hash, principal, created_at: now })?;
            (authority, Some(token))
        }
    };
    let first =
        token.as_ref().map(|token| First { admin: &admin, token_id: token.id.as_str(), token: token.to_string() });
    let made = Made {
        data: &data,
        authority: &folder,
        names: &names,
        fingerprint: authority.fingerprint()?.to_string(),
        not_after: authority.not_after()?,
        first,
    };
    if format.json {
        output::print_json(&made)?;
    } else {
        output::print(&human(&made))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn human(made: &Made<'_>) -> String {
    let Made { data, authority, names, fingerprint, not_after, first } = made;
    let (data, authority, names) = (data.display(), authority.display(), names.join(", "));
    let valid = not_after.strftime("%Y-%m-%d");
    let common = format!(
        "authority    {authority} (keys: keep a copy in a safe place)\n\
         controller   {names}\n\
         fingerprint  {fingerprint} (SHA-256 of the authority's certificate)\n\
         valid until  {valid}\n"
    );
    match first {
        Some(First { admin, token, .. }) => format!(
            "{common}\
             token        {token}\n\
             \x20            of {admin}, who may do everything; it is shown this once and kept nowhere\n\
             \n\
             Next, here:     faultline serve --data {data}\n\
             then on a host: faultline-agent enrol --controller URL --token ENROLMENT-TOKEN\n"
        ),
        None => format!(
            "{common}\
             \n\
             Next, here: faultline serve --data {data} --store postgres://… (that of the other controllers)\n\
             Then remove the copy of the authority from which this was made.\n"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_says_what_was_made_and_how_to_go_on() {
        let names = ["controller.example.org".to_owned(), "10.0.0.7".to_owned()];
        let made = Made {
            data: Path::new("/var/lib/faultline-controller"),
            authority: Path::new("/var/lib/faultline-controller/authority"),
            names: &names,
            fingerprint: "FINGERPRINT".into(),
            not_after: "2036-11-20T12:00:00Z".parse().unwrap(),
            first: Some(First {
                admin: "ann",
                token_id: "0123456789abcdef",
                token: "fla1.0123456789abcdef.SECRET".into(),
            }),
        };
        insta::assert_snapshot!(human(&made), @r"
        authority    /var/lib/faultline-controller/authority (keys: keep a copy in a safe place)
        controller   controller.example.org, 10.0.0.7
        fingerprint  FINGERPRINT (SHA-256 of the authority's certificate)
        valid until  2036-11-20
        token        fla1.0123456789abcdef.SECRET
                     of ann, who may do everything; it is shown this once and kept nowhere

        Next, here:     faultline serve --data /var/lib/faultline-controller
        then on a host: faultline-agent enrol --controller URL --token ENROLMENT-TOKEN
        ");
    }

    #[test]
    fn it_makes_a_first_admin_that_serve_finds_and_never_overwrites() {
        let scratch = tempfile::tempdir().unwrap();
        let arguments = || Arguments {
            data: scratch.path().to_owned(),
            names: vec!["localhost".into(), " 127.0.0.1".into()],
            join: None,
            admin: "ann".into(),
            format: DataFormat { json: true },
        };
        assert_eq!(run(arguments(), &Global::default()).unwrap(), ExitCode::SUCCESS);
        let folder = Authority::folder(scratch.path());
        let admin = first_admin::read(&folder).unwrap().unwrap();
        assert_eq!((admin.principal.name.as_str(), admin.principal.role), ("ann", Role::Admin));
        let opened = Authority::open(&folder, Timestamp::now()).unwrap();
        assert_eq!(opened.names(), ["localhost", "127.0.0.1"]);
        let error = run(arguments(), &Global::default()).unwrap_err();
        assert_eq!(super::super::failure::exit_code(&error), super::super::failure::PRECONDITION);
        assert!(super::super::failure::hints(&error)[0].contains("faultline serve"));
        assert_eq!(first_admin::read(&folder).unwrap(), Some(admin));
    }

    #[test]
    fn a_further_controller_has_the_same_authority_names_of_its_own_and_no_token() {
        use std::os::unix::fs::PermissionsExt;
        let (first, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let arguments = |data: &Path, name: &str, join: Option<&Path>| Arguments {
            data: data.to_owned(),
            names: vec![name.to_owned()],
            join: join.map(Path::to_owned),
            admin: "ann".into(),
            format: DataFormat { json: true },
        };
        run(arguments(first.path(), "a.example", None), &Global::default()).unwrap();
        let copy = Authority::folder(first.path());
        for from in [first.path(), &*copy] {
            let data = second.path().join(from.file_name().unwrap());
            run(arguments(&data, "b.example", Some(from)), &Global::default()).unwrap();
            let folder = Authority::folder(&data);
            let (one, other) = (
                Authority::open(&copy, Timestamp::now()).unwrap(),
                Authority::open(&folder, Timestamp::now()).unwrap(),
            );
            assert_eq!(one.fingerprint().unwrap(), other.fingerprint().unwrap());
            assert_eq!((other.names(), other.known_as()), (vec!["b.example".to_owned()], one.known_as()));
            assert_eq!(first_admin::read(&folder).unwrap(), None);
            let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
            assert_eq!((mode(&folder), mode(&folder.join("authority.json"))), (0o700, 0o600));
            assert!(run(arguments(&data, "b.example", Some(from)), &Global::default()).is_err(), "never overwrites");
        }
        // A copy that others may read is no secret any more.
        let loose = std::fs::Permissions::from_mode(0o644);
        std::fs::set_permissions(copy.join("authority.json"), loose).unwrap();
        let refused =
            run(arguments(&second.path().join("c"), "c.example", Some(&copy)), &Global::default()).unwrap_err();
        assert!(!second.path().join("c").exists(), "{refused}");
    }
}
