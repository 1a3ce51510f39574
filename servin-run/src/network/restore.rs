//! What another program took away from the packet filter (`nft flush ruleset`, a firewall that is started anew) is put
//! back, by whoever looks at networks next: nobody stays to watch for it.

use alloc::vec::Vec;

use super::netlink::Socket;
use super::state::{Places, Record, State};
use super::{attach, bridge, link, nftables, ports};
use crate::error::{Result, Step};
use crate::gather::Gather as _;

/// Puts back what is missing of the networks and ports of these containers. Who calls this holds the lock.
pub fn restore(places: &Places, state: &State, host: &Socket, records: &[Record]) -> Result<()> {
    let endpoints = || records.iter().flat_map(|record| &record.endpoints);
    if endpoints().all(|endpoint| endpoint.bridge.is_none()) {
        return Ok(());
    }
    // Where there is no nftables nothing is missing.
    let Ok(known) = nftables::known_bridges() else { return Ok(()) };
    let missing = |bridge: &str| known.iter().all(|other| other != bridge);
    let mut restored: Vec<&str> = Vec::new();
    for endpoint in endpoints() {
        let Some(bridge) = endpoint.bridge.as_deref().filter(|bridge| missing(bridge)) else { continue };
        // A command in another network namespace than the containers' bridges has nothing to put back.
        if !restored.contains(&bridge)
            && link::find(host, bridge)?.is_some()
            && let Some(definition) = state.definition(&endpoint.network)?
        {
            bridge::let_through(bridge, &definition)?;
            restored.push(bridge);
        }
    }
    if restored.is_empty() {
        return Ok(());
    }
    places.say(
        "another program had removed the rules of networks and published ports from nftables: they are back",
    );
    ports::restore(places.root, &|id| records.iter().any(|record| record.id == id))
}

/// The same for a command that looks at networks alone.
pub fn check(places: &Places) -> Result<()> {
    if !attach::has_records(places) {
        return Ok(());
    }
    let state = State::lock(places)?;
    let records: Vec<Record> = state.records()?.into_iter().filter(Record::lives).gather();
    let host = Socket::open().step(|| "open a netlink socket")?;
    restore(places, &state, &host, &records)
}
