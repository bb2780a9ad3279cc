//! nftables over netlink: tables that belong to the socket which made them, and vanish with it.
//!
//! A table with `NFT_TABLE_F_OWNER` is removed by the kernel, with all its chains, rules and sets, when its owner's
//! socket closes, whatever closed it; nobody else may change it (`nf_tables_api.c`, `nft_rcv_nl_event`; Linux 5.12).

pub(crate) mod expression;
pub(crate) mod object;

use std::io;

use nix::errno::Errno;

use self::object::{GET_CHAIN, GET_RULE, GET_TABLE, INET, SUBSYSTEM, family};
use super::raw_netlink::{Answer, NETFILTER, RawNetlink, Refusal, Request, attribute, attributes, text};

/// The owner flag of a table, as the kernel dumps it (`NFT_TABLE_F_OWNER`).
const OWNER_FLAG: u32 = 2;
/// The bytes of `struct nfgenmsg` before the attributes.
const HEADER: usize = 4;

/// One of our tables (family `inet`), and the socket on which it hangs.
#[derive(Debug)]
pub(crate) struct OwnedTable {
    netlink: RawNetlink,
    name: String,
}

/// What the counters of a table's rules have counted together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counted {
    /// How many rules there are.
    pub(crate) rules: usize,
    /// Packets that met one of them.
    pub(crate) packets: u64,
    /// Their bytes.
    pub(crate) bytes: u64,
}

impl OwnedTable {
    /// Opens the socket, in the namespace of this thread; the table itself comes with the first commit.
    pub(crate) fn open(name: &str) -> io::Result<Self> {
        Ok(Self { netlink: RawNetlink::open(NETFILTER)?, name: name.into() })
    }

    /// Its name.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Sends changes as one transaction.
    pub(crate) fn commit(&mut self, requests: &[Request]) -> Result<(), Refusal> {
        self.netlink.transaction(SUBSYSTEM, requests)
    }

    /// Reads back whether the kernel lists the table as ours.
    pub(crate) fn is_ours(&mut self) -> Result<bool, Refusal> {
        let port = self.netlink.port()?;
        Ok(owner(&mut self.netlink, &self.name)? == Some(Some(port)))
    }

    /// Reads the counters of its rules.
    pub(crate) fn counted(&mut self) -> Result<Counted, Refusal> {
        const TABLE: u16 = 1;
        const EXPRESSIONS: u16 = 4;
        let filter = family().put_text(TABLE, &self.name).into_bytes();
        let mut counted = Counted::default();
        for rule in self.netlink.dump(SUBSYSTEM << 8 | GET_RULE, &filter)? {
            let rule = &rule.payload[HEADER..];
            // Older kernels list all rules whatever the filter says.
            if attribute(rule, TABLE).map(text).as_deref() != Some(&*self.name) {
                continue;
            }
            counted.rules += 1;
            for (_, expression) in attributes(attribute(rule, EXPRESSIONS).unwrap_or_default()) {
                if let Some((packets, bytes)) = expression::counter_of(expression) {
                    counted.packets += packets;
                    counted.bytes += bytes;
                }
            }
        }
        Ok(counted)
    }

    /// The priority behind those of all Faultline chains at the hooks, so that packets which pass an older fault go on
    /// to this one; `base` if there is none.
    pub(crate) fn free_priority(&mut self, base: i32) -> Result<i32, Refusal> {
        let chains = self.netlink.dump(SUBSYSTEM << 8 | GET_CHAIN, &family().into_bytes())?;
        let ours = chains.iter().filter_map(|chain| priority_of(&chain.payload[HEADER..]));
        Ok(ours.max().map_or(base, |highest| highest.saturating_add(1).max(base)))
    }
}

fn priority_of(chain: &[u8]) -> Option<i32> {
    const TABLE: u16 = 1;
    const HOOK: u16 = 4;
    const PRIORITY: u16 = 2;
    attribute(chain, TABLE).map(text).filter(|name| name.starts_with(crate::identity::TABLE_PREFIX))?;
    let priority = attribute(attribute(chain, HOOK)?, PRIORITY)?;
    Some(i32::from_be_bytes(*priority.first_chunk()?))
}

/// Whether a table is there and which socket owns it: `None` if it is not there, `Some(None)` if nobody owns it.
pub(crate) fn owner_of(name: &str) -> Result<Option<Option<u32>>, Refusal> {
    owner(&mut RawNetlink::open(NETFILTER)?, name)
}

/// Deletes a table that nobody owns (any more). Its owner alone may delete an owned one.
pub(crate) fn delete(name: &str) -> Result<(), Refusal> {
    let mut netlink = RawNetlink::open(NETFILTER)?;
    netlink.transaction(SUBSYSTEM, &[object::delete_table(name)])
}

fn owner(netlink: &mut RawNetlink, name: &str) -> Result<Option<Option<u32>>, Refusal> {
    const NAME: u16 = 1;
    const FLAGS: u16 = 2;
    const OWNER: u16 = 7;
    let number = |bytes: &[u8]| bytes.first_chunk().map(|bytes| u32::from_be_bytes(*bytes));
    let tables = match netlink.dump(SUBSYSTEM << 8 | GET_TABLE, &family().into_bytes()) {
        // A kernel without nftables has no tables.
        Err(refusal) if refusal.is(Errno::EINVAL) || refusal.is(Errno::EOPNOTSUPP) => Vec::new(),
        tables => tables?,
    };
    let found = tables.iter().find(|table: &&Answer| {
        table.payload.first() == Some(&INET)
            && attribute(&table.payload[HEADER..], NAME).map(text).as_deref() == Some(name)
    });
    Ok(found.map(|table| {
        let table = &table.payload[HEADER..];
        let owned = attribute(table, FLAGS).and_then(number).is_some_and(|flags| flags & OWNER_FLAG != 0);
        attribute(table, OWNER).and_then(number).filter(|_| owned)
    }))
}
