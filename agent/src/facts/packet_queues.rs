use super::FactsError;
use crate::identity::NetworkNamespace;
use crate::kernel::namespace;

const LISTING: &str = "/proc/thread-self/net/netfilter/nfnetlink_queue";

/// The numbers of the packet queues that somebody listens on: the first column of the kernel's listing
/// (`nfnetlink_queue.c`, `seq_show`). A kernel without queues has no listing and none taken.
pub(super) fn taken(network: &NetworkNamespace) -> Result<Vec<u16>, FactsError> {
    let text = namespace::within(network, || std::fs::read_to_string(LISTING))
        .map_err(|error| FactsError::new(network.to_string(), std::io::Error::other(error)))?;
    match text {
        Ok(text) => Ok(numbers(&text)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(FactsError::new(LISTING, error)),
    }
}

fn numbers(text: &str) -> Vec<u16> {
    text.lines().filter_map(|line| line.split_whitespace().next()?.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_column_is_the_queue() {
        let listing =
            "    9  12345     0 2 65531     0     0        0  1\n 1066    77     3 1     0     0     0        9  1\n";
        assert_eq!(numbers(listing), [9, 1066]);
        assert!(numbers("").is_empty());
    }
}
