//! The flags by which a controller is named, and by what it is known.

use std::path::PathBuf;
use std::sync::Mutex;

use clap::Args;
use faultline_agent::credentials::Fingerprint;
use faultline_agent::credentials::tls::{ControllerTrust, anonymous, system_time};

use super::Client;
use super::exchange::Address;
use crate::cli::failure::Failure;

/// Where the controller is, and how to speak to it.
///
/// The token is read from FAULTLINE_TOKEN, or from the file that --token-file names; never from the command line, which
/// others can read.
#[derive(Debug, Clone, Default, Args)]
pub struct ControllerFlags {
    /// The controller, as in `https://chaos.example:7443`; of several, separated by commas, any that answers
    #[arg(long, global = true, value_name = "URL", help_heading = "Controller")]
    pub controller: Option<String>,
    /// A file with the token of the API [default: what FAULTLINE_TOKEN holds]
    #[arg(long, global = true, value_name = "FILE", help_heading = "Controller")]
    pub token_file: Option<PathBuf>,
    /// A file with the certificate of the controller's authority (PEM)
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        env = "FAULTLINE_CA",
        hide_env_values = true,
        help_heading = "Controller"
    )]
    pub ca: Option<PathBuf>,
    /// The fingerprint of that certificate instead, as `faultline init` prints it; of two while it is being replaced
    #[arg(
        long,
        global = true,
        value_name = "SHA256,…",
        value_delimiter = ',',
        env = "FAULTLINE_FINGERPRINT",
        help_heading = "Controller"
    )]
    pub fingerprint: Vec<Fingerprint>,
}

impl ControllerFlags {
    /// The controller that is meant by a subcommand that is about nothing else: also FAULTLINE_CONTROLLER names it.
    pub(in crate::cli) fn client(&self) -> Result<Client, Failure> {
        let named = self.controller.clone().or_else(|| std::env::var("FAULTLINE_CONTROLLER").ok());
        let named = named.filter(|named| !named.is_empty());
        let url = named.ok_or_else(|| {
            Failure::usage("no controller is named").hint("give --controller URL, or set FAULTLINE_CONTROLLER")
        })?;
        self.client_of(&url)
    }

    /// The controller at this address, or any of those at these.
    pub(in crate::cli) fn client_of(&self, urls: &str) -> Result<Client, Failure> {
        let addresses = urls.split(',').map(|url| Address::parse(url.trim())).collect::<Result<Vec<_>, _>>();
        let addresses = addresses.map_err(|error| Failure::usage(error).hint("as in https://chaos.example:7443"))?;
        let addresses = Mutex::new(addresses);
        let tls = anonymous(&self.trust()?, &[b"http/1.1"], system_time())
            .map_err(|error| Failure::usage("TLS cannot be set up").because(error))?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| Failure::precondition("this host has too few resources").because(error))?;
        Ok(Client { runtime, addresses, tls, token: self.token()? })
    }

    fn trust(&self) -> Result<ControllerTrust, Failure> {
        match (&self.ca, &*self.fingerprint) {
            (Some(file), _) => match std::fs::read_to_string(file) {
                Ok(pem) => Ok(ControllerTrust::Bundle(pem)),
                Err(error) => Err(Failure::usage(format!("cannot read the certificate {}", file.display())).because(error)),
            },
            (None, pinned @ [_, ..]) => Ok(ControllerTrust::Pinned(pinned.to_vec())),
            (None, []) => Err(Failure::usage("it is not said by what the controller is known").hint(
                "give --fingerprint (or FAULTLINE_FINGERPRINT) as `faultline init` printed it, or --ca FILE (FAULTLINE_CA)",
            )),
        }
    }

    fn token(&self) -> Result<String, Failure> {
        let token = match &self.token_file {
            Some(file) => std::fs::read_to_string(file)
                .map_err(|error| Failure::usage(format!("cannot read the token {}", file.display())).because(error))?,
            None => std::env::var("FAULTLINE_TOKEN").unwrap_or_default(),
        };
        let token = token.trim().to_owned();
        if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            let hint = "set FAULTLINE_TOKEN, or give --token-file FILE; `faultline token create` makes one";
            return Err(Failure::usage("there is no token of the API").hint(hint));
        }
        Ok(token)
    }
}
