use faultline_agent::credentials::{CredentialsError, Fingerprint};

/// The authority cannot be made, opened or changed.
#[derive(Debug, thiserror::Error)]
pub enum AuthorityError {
    /// There is one already.
    #[error("there is an authority in {0} already; it is not overwritten")]
    Exists(String),
    /// There is none.
    #[error("there is no authority in {0}")]
    Missing(String),
    /// The file cannot be understood.
    #[error("the authority in {file} {problem}")]
    Damaged {
        /// The file.
        file: String,
        /// What is wrong, as the rest of a sentence.
        problem: String,
    },
    /// A name of the controller is none.
    #[error("`{0}` is no name of a host, nor an address")]
    Name(String),
    /// No name of the controller was given.
    #[error("the controller needs a name by which agents reach it")]
    NoName,
    /// The key of the authority that signs is on other controllers alone.
    #[error("this controller does not have the key of the fleet's authority {authority}")]
    NoKey {
        /// That authority.
        authority: Fingerprint,
    },
    /// What is to be taken is of another fleet.
    #[error(
        "this is the authority of another fleet: hosts know its controllers as {other}, and those of this one as {own}"
    )]
    OtherFleet {
        /// By which name hosts know the controllers of this one.
        own: String,
        /// And those of the other.
        other: String,
    },
    /// A certificate cannot be made.
    #[error("cannot make a certificate: {0}")]
    Sign(#[from] rcgen::Error),
    /// A file or a folder is not as it must be.
    #[error(transparent)]
    Files(#[from] CredentialsError),
    /// TLS cannot be set up.
    #[error("TLS cannot be set up: {0}")]
    Tls(String),
}

impl AuthorityError {
    /// A way on.
    pub fn hint(&self) -> String {
        match self {
            Self::Exists(_) => "start the controller with `faultline serve --data DIR`, or name another folder".into(),
            Self::Missing(_) => "make one with `faultline init --data DIR --name HOST`".into(),
            Self::Damaged { .. } => {
                "restore the folder from a copy; a new authority means to enrol every host again".into()
            }
            Self::Name(_) | Self::NoName => "as in `--name controller.example.org,10.0.0.7`".into(),
            Self::NoKey { .. } => {
                "copy the authority's folder of a controller that has it, as `faultline rotate status` says, and take it: \
                 `faultline rotate join --data DIR --from COPY`"
                    .into()
            }
            Self::OtherFleet { .. } => "copy the folder of a controller of the same fleet".into(),
            Self::Sign(_) | Self::Tls(_) => "this is a fault of the program".into(),
            Self::Files(error) => error.hint.clone(),
        }
    }
}

/// No certificate is signed for this request.
#[derive(Debug, thiserror::Error)]
pub enum IssueError {
    /// It is too long to be one.
    #[error("the signing request is longer than {most} bytes")]
    TooLong {
        /// The longest that is read.
        most: usize,
    },
    /// It cannot be read.
    #[error("this is no signing request (PKCS #10 in PEM)")]
    Malformed,
    /// Its sender does not have the key.
    #[error("the signature of the signing request is wrong: its sender has not shown to have the key")]
    WrongSignature,
    /// The key is of another kind.
    #[error("the key of the signing request is not ECDSA on P-256")]
    Key,
    /// Its labels are too many, or of letters that no label has.
    #[error("these labels cannot be bound to a certificate")]
    Labels,
    /// It is longer than it may be.
    #[error("a certificate cannot be valid for {0:?}")]
    Life(std::time::Duration),
    /// It could be signed, and was not.
    #[error(transparent)]
    Authority(#[from] AuthorityError),
}
