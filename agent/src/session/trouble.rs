use std::error::Error;
use std::io;

use rustls::{AlertDescription, CertificateError};

/// Why the controller cannot be spoken to, and the way on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Trouble {
    /// What happened.
    pub message: String,
    /// A way on.
    pub hint: String,
    /// Whether a person must do something before another try can succeed.
    pub lasting: bool,
}

impl Trouble {
    /// Nobody answers.
    pub fn unreachable(peer: &str, why: &str) -> Self {
        Self {
            message: format!("cannot reach the controller at {peer}: {why}"),
            hint:
                "is `faultline serve` running there, is this its port for agents, and does a firewall let it through?"
                    .into(),
            lasting: false,
        }
    }

    /// What an error of the connection means.
    pub fn of(peer: &str, error: &(dyn Error + 'static)) -> Self {
        match tls_error(error) {
            Some(error) => Self::of_tls(peer, error),
            None => Self::unreachable(peer, &chain(error)),
        }
    }

    fn of_tls(peer: &str, error: &rustls::Error) -> Self {
        let lasting = |message: String, hint: String| Self { message, hint, lasting: true };
        match error {
            rustls::Error::InvalidCertificate(reason) => match reason {
                CertificateError::NotValidYetContext { time, not_before } => lasting(
                    format!(
                        "the certificate of the controller at {peer} is valid from {}, and this host's clock says {}",
                        moment(not_before.as_secs()),
                        moment(time.as_secs())
                    ),
                    "set this host's clock (or that of the controller), best by NTP".into(),
                ),
                CertificateError::NotValidYet => lasting(
                    format!("the certificate of the controller at {peer} is not valid yet by this host's clock"),
                    "set this host's clock (or that of the controller), best by NTP".into(),
                ),
                CertificateError::ExpiredContext { time, not_after } => lasting(
                    format!(
                        "the certificate of the controller at {peer} was valid until {}, and this host's clock says {}",
                        moment(not_after.as_secs()),
                        moment(time.as_secs())
                    ),
                    "is this host's clock right? Else restart the controller, which renews its certificate".into(),
                ),
                CertificateError::UnknownIssuer | CertificateError::BadSignature => lasting(
                    format!(
                        "the controller at {peer} is not the one at which this host was enrolled: another authority signed its certificate"
                    ),
                    "enrol this host there: `faultline-agent enrol --controller URL --token TOKEN`; if the authority was \
                     replaced since (`faultline rotate`), with a token made since"
                        .into(),
                ),
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => lasting(
                    format!("the certificate of the controller at {peer} is for another name"),
                    "name the controller as its certificate does, or have `faultline init` add this name".into(),
                ),
                other => lasting(
                    format!("the certificate of the controller at {peer} is not accepted: {other:?}"),
                    "enrol this host there: `faultline-agent enrol --controller URL --token TOKEN`".into(),
                ),
            },
            rustls::Error::AlertReceived(
                AlertDescription::CertificateExpired | AlertDescription::CertificateRevoked,
            ) => lasting(
                format!(
                    "the controller at {peer} does not accept this host's certificate any more: it has expired or was revoked"
                ),
                "enrol this host again, with a new token: `faultline-agent enrol`; is this host's clock right?".into(),
            ),
            rustls::Error::AlertReceived(
                AlertDescription::UnknownCA
                | AlertDescription::BadCertificate
                | AlertDescription::CertificateUnknown
                | AlertDescription::CertificateRequired
                | AlertDescription::DecryptError
                | AlertDescription::AccessDenied,
            ) => lasting(
                format!("the controller at {peer} does not accept this host's certificate"),
                "enrol this host there: `faultline-agent enrol --controller URL --token TOKEN`".into(),
            ),
            other => Self {
                message: format!("no secure connection to {peer}: {other}"),
                hint: "is this the controller's port for agents (TLS 1.3)?".into(),
                lasting: false,
            },
        }
    }

    /// What a status of the controller means.
    pub fn of_status(peer: &str, status: &tonic::Status) -> Self {
        let source: Option<&(dyn Error + 'static)> = status.source();
        if let Some(error) = source.and_then(tls_error) {
            return Self::of_tls(peer, error);
        }
        match status.code() {
            tonic::Code::Unavailable | tonic::Code::Unknown | tonic::Code::Cancelled | tonic::Code::Internal => {
                let told = source.map_or_else(|| status.message().to_owned(), chain);
                Self::unreachable(peer, &told)
            }
            _ => Self {
                message: format!("the controller at {peer} refuses: {}", status.message()),
                hint: "its log (`faultline serve`) says the same, with this host's address".into(),
                lasting: true,
            },
        }
    }
}

fn moment(seconds: u64) -> String {
    let seconds = i64::try_from(seconds).unwrap_or(i64::MAX);
    jiff::Timestamp::from_second(seconds)
        .map_or_else(|_| format!("{seconds} s after 1970"), |moment| moment.to_string())
}

/// The TLS error among the causes of an error.
fn tls_error<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a rustls::Error> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref::<rustls::Error>() {
            return Some(found);
        }
        // The cause of an io::Error made of another error is that error's cause, and not that error.
        let inside = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        if let Some(inside) = inside
            && let Some(found) = tls_error(inside)
        {
            return Some(found);
        }
        next = error.source();
    }
    None
}

/// An error with its causes.
fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(error) = next {
        let cause = error.to_string();
        if !text.contains(&cause) {
            text = format!("{text}: {cause}");
        }
        next = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use rustls_pki_types::UnixTime;

    use super::*;

    fn of(error: rustls::Error) -> Trouble {
        Trouble::of("c:7443", &io::Error::new(io::ErrorKind::InvalidData, error))
    }

    #[test]
    fn a_wrong_clock_is_told_with_both_times() {
        let at = |seconds| UnixTime::since_unix_epoch(std::time::Duration::from_secs(seconds));
        let error = CertificateError::NotValidYetContext { time: at(1_700_000_000), not_before: at(1_800_000_000) };
        let trouble = of(rustls::Error::InvalidCertificate(error));
        assert_eq!(
            trouble.message,
            "the certificate of the controller at c:7443 is valid from 2027-01-15T08:00:00Z, and this host's clock says \
             2023-11-14T22:13:20Z"
        );
        assert!(trouble.hint.contains("NTP") && trouble.lasting);
    }

    #[test]
    fn a_foreign_controller_a_refused_certificate_and_silence_are_three_things() {
        let foreign = of(rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer));
        assert!(foreign.message.contains("not the one at which this host was enrolled"), "{foreign}");
        let refused = of(rustls::Error::AlertReceived(AlertDescription::CertificateRevoked));
        assert!(refused.message.contains("expired or was revoked") && refused.lasting, "{refused}");
        let silent = Trouble::of("c:7443", &io::Error::from(io::ErrorKind::ConnectionRefused));
        assert_eq!(silent.message, "cannot reach the controller at c:7443: connection refused");
        assert!(!silent.lasting);
        let status = tonic::Status::failed_precondition("protocol 9 is not spoken here");
        assert!(Trouble::of_status("c:7443", &status).message.ends_with("refuses: protocol 9 is not spoken here"));
    }
}
