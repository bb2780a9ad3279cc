//! Why a token is refused. Shared by enrolment tokens and API tokens.

use super::columns::words;

words! {
    /// Why a token is refused. Whoever presents it is told only that it is; the log and the audit say why.
    TokenRefusal {
        /// No token has this secret.
        Unknown = "unknown",
        /// Its time is over.
        Expired = "expired",
        /// It was used as often as it may be: this is what a replay looks like.
        Used = "used",
        /// It was taken back.
        Revoked = "revoked",
    }
}
