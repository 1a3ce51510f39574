//! `servin network …`: networks for containers.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::arguments::{Command, Given, Group, flag};
use super::format::{self as form, Column, Filters};
use super::{Invocation, network_flags, output};
use crate::container::people::{Entry, Store};
use crate::container::time;
use crate::error::{Error, Result};
use crate::fs::read_text;
use crate::gather::Gather as _;
use crate::network::create::{self, Wanted};
use crate::network::definition::{self, Definition, Driver};
use crate::network::state::{Record, State};
use crate::network::subnet::Subnet;
use crate::network::{Container, Mode, Places, attach, restore};
use crate::order;
use crate::spec::json::{Encode, Present, written};

/// `servin network create`.
pub const CREATE: Command = Command {
    name: "servin network create",
    usage: "[FLAGS] NAME",
    about: "Make a network.",
    groups: &[Group(
        "Network",
        &[
            flag("driver", Some('d'), Some("NAME"), "bridge (the default), macvlan or ipvlan"),
            flag("subnet", None, Some("ADDRESS/PREFIX"), "its addresses; one of each family at most"),
            flag("gateway", None, Some("ADDRESS"), "the way out (default: the first address)"),
            flag("ip-range", None, Some("ADDRESS/PREFIX"), "give containers addresses of these alone"),
            flag("ipv6", None, None, "IPv6 too; addresses are chosen if --subnet has none"),
            flag("internal", None, None, "reach nothing outside"),
            flag("opt", Some('o'), Some("KEY=VALUE"), "parent=INTERFACE, mtu=N, mode=MODE, bridge=NAME"),
            flag("label", None, Some("KEY[=VALUE]"), "note something at it"),
        ],
    )],
    last_word: usize::MAX,
};

/// `servin network ls`.
pub const LIST: Command = Command {
    name: "servin network ls",
    usage: "[FLAGS]",
    about: "List the networks.",
    groups: &[form::LIST],
    last_word: usize::MAX,
};

/// `servin network inspect`.
pub const INSPECT: Command = Command {
    name: "servin network inspect",
    usage: "[FLAGS] NETWORK…",
    about: "Print all about networks, and who is in them.",
    groups: &[form::INSPECT],
    last_word: usize::MAX,
};

/// `servin network rm`.
pub const REMOVE: Command = Command {
    name: "servin network rm",
    usage: "[FLAGS] NETWORK…",
    about: "Remove networks that no container is in.",
    groups: &[Group("Removal", &[flag("force", Some('f'), None, "it is no error that there is none")])],
    last_word: usize::MAX,
};

/// `servin network prune`.
pub const PRUNE: Command = Command {
    name: "servin network prune",
    usage: "[FLAGS]",
    about: "Remove all networks that no container is in.",
    groups: &[Group(
        "Removal",
        &[
            flag("force", Some('f'), None, "do not ask"),
            flag("filter", None, Some("KEY=VALUE"), "label=KEY[=VALUE], label!=KEY[=VALUE]"),
        ],
    )],
    last_word: usize::MAX,
};

/// `servin network connect`.
pub const CONNECT: Command = Command {
    name: "servin network connect",
    usage: "[FLAGS] NETWORK CONTAINER",
    about: "Connect a container to one more network.",
    groups: &[Group(
        "Place",
        &[
            flag("ip", None, Some("ADDRESS"), "its IPv4 address there"),
            flag("ip6", None, Some("ADDRESS"), "its IPv6 address there"),
            flag("mac-address", None, Some("ADDRESS"), "its hardware address there"),
            flag("alias", None, Some("NAME"), "another name for the others there"),
        ],
    )],
    last_word: usize::MAX,
};

/// `servin network disconnect`.
pub const DISCONNECT: Command = Command {
    name: "servin network disconnect",
    usage: "[FLAGS] NETWORK CONTAINER",
    about: "Take a container out of a network.",
    groups: &[Group("Removal", &[flag("force", Some('f'), None, "for Docker's sake")])],
    last_word: usize::MAX,
};

/// What is said of networks that nobody has used.
fn places<'a>(home: &'a str, root: &'a str) -> Places<'a> {
    Places { home, root, warn: Some(&output::warning) }
}

/// `servin network create`.
pub fn create(invocation: &Invocation, given: &Given) -> Result<i32> {
    let [name] = given.words.as_slice() else {
        return Err(Error::new(format_args!(
            "a name for the network is missing, or there are several: see {CREATE}"
        )));
    };
    let subnets = subnets(given, "subnet")?;
    let ranges = self::subnets(given, "ip-range")?;
    let mut gateways = Vec::new();
    for text in given.values("gateway") {
        gateways.push(
            text.parse().map_err(|_| Error::new(format_args!("--gateway {text}: that is no address")))?,
        );
    }
    if let Some(stray) = gateways.iter().find(|gateway| !subnets.iter().any(|s| s.contains(**gateway))) {
        return Err(Error::new(format_args!("--gateway {stray}: it is in no --subnet")));
    }
    if let Some(stray) = ranges.iter().find(|range| !subnets.iter().any(|s| s.covers(range))) {
        return Err(Error::new(format_args!("--ip-range {stray}: it is in no --subnet")));
    }
    let driver = given.value("driver").unwrap_or("bridge");
    let at = Driver::WORDS.iter().position(|word| *word == driver);
    let Some(driver) = at.and_then(|at| Driver::ALL.get(at)) else {
        return Err(Error::new(format_args!("--driver {driver}: there are {}", Driver::WORDS.join(", "))));
    };
    let wanted = Wanted {
        name: (*name).into(),
        driver: *driver,
        blocks: subnets.iter().map(|subnet| create::block(*subnet, &gateways, &ranges)).gather(),
        ipv6: given.switch("ipv6", false),
        internal: given.switch("internal", false),
        labels: pairs(given, "label", false)?,
        options: pairs(given, "opt", true)?,
    };
    let (home, root) = (invocation.home(given)?, invocation.root(given)?);
    let made = create::create(&places(&home, &root), wanted)?;
    output::result(&made.id).map(|()| 0)
}

fn subnets(given: &Given, name: &'static str) -> Result<Vec<Subnet>> {
    let parse = |text: &str| Subnet::parse(text).map_err(|error| error.within(format_args!("--{name}")));
    given.values(name).map(parse).gather()
}

fn pairs(given: &Given, name: &'static str, whole: bool) -> Result<Vec<(String, String)>> {
    let mut pairs: Vec<(String, String)> = Vec::new();
    for text in given.values(name) {
        let (key, value) = text.split_once('=').unwrap_or((text, ""));
        if key.is_empty() || whole && !text.contains('=') {
            return Err(Error::new(format_args!("--{name} {text}: it takes KEY=VALUE")));
        }
        pairs.retain(|(other, _)| other != key);
        pairs.push((key.into(), value.into()));
    }
    Ok(pairs)
}

/// A network, and when it was made.
type Dated = (Definition, i64);

/// All networks: the default one too, where nobody has used it, and who is in them.
fn all(invocation: &Invocation, given: &Given) -> Result<(Vec<Dated>, Vec<Record>)> {
    let (home, root) = (invocation.home(given)?, invocation.root(given)?);
    let places = places(&home, &root);
    restore::check(&places)?;
    let state = State::lock(&places)?;
    let mut definitions = state.definitions()?;
    if definitions.iter().all(|definition| definition.name != definition::DEFAULT) {
        definitions.push(Definition {
            name: definition::DEFAULT.into(),
            bridge: Some(definition::DEFAULT_BRIDGE.into()),
            automatic: true,
            ..Definition::default()
        });
    }
    order::sort_by(&mut definitions, |one, other| one.name.cmp(&other.name));
    let dated = definitions.into_iter().map(|definition| {
        let made = state.made_at(&definition.name);
        (definition, made)
    });
    let dated = dated.gather();
    Ok((dated, state.records()?.into_iter().filter(Record::lives).gather()))
}

/// `servin network ls`.
pub fn list(invocation: &Invocation, given: &Given) -> Result<i32> {
    const COLUMNS: &[Column] = &[
        Column("NETWORK ID", "ID"),
        Column("NAME", "Name"),
        Column("DRIVER", "Driver"),
        Column("SCOPE", "Scope"),
    ];
    let filters = Filters::read(given, &["name", "id", "driver", "label", "label!"])?;
    let (definitions, _) = all(invocation, given)?;
    let shown = definitions.iter().filter(|(definition, _)| {
        filters.admit("name", &|name| definition.name.contains(name))
            && filters.admit("id", &|id| definition.id.starts_with(id))
            && filters.admit("driver", &|driver| definition.driver.as_str() == driver)
            && filters.admit_labels(&definition.labels)
    });
    let rows: Vec<_> = shown
        .map(|(definition, made)| {
            let labels: Vec<String> =
                definition.labels.iter().map(|(key, value)| format!("{key}={value}")).gather();
            form::row(&[
                ("ID", form::id(given, &definition.id)),
                ("Name", &definition.name),
                ("Driver", definition.driver.as_str()),
                ("Scope", "local"),
                ("IPv6", if definition.has_ipv6() { "true" } else { "false" }),
                ("Internal", if definition.internal { "true" } else { "false" }),
                ("Labels", &labels.join(",")),
                ("CreatedAt", &time::at(*made)),
            ])
        })
        .gather();
    form::list(given, COLUMNS, "ID", &rows)
}

written! {
    /// Docker's document of a network.
    pub struct Document<'a> {
        "Name" => name: &'a str,
        "Id" => id: &'a str,
        "Created" => created: String,
        "Scope" => scope: &'a str,
        "Driver" => driver: &'a str,
        "EnableIPv4" => ipv4: bool,
        "EnableIPv6" => ipv6: bool,
        "IPAM" => ipam: Ipam,
        "Internal" => internal: bool,
        "Attachable" => attachable: bool,
        "Ingress" => ingress: bool,
        "ConfigOnly" => config_only: bool,
        "Containers" => containers: Present<Vec<(String, Member<'a>)>>,
        "Options" => options: Present<Vec<(String, String)>>,
        "Labels" => labels: Present<&'a [(String, String)]>,
    }

    /// Its addresses.
    pub struct Ipam {
        "Driver" => driver: &'static str,
        "Config" => config: Vec<IpamBlock>,
    }

    /// A block of them.
    pub struct IpamBlock {
        "Subnet" => subnet: String,
        "IPRange" => range: Option<String>,
        "Gateway" => gateway: Option<String>,
    }

    /// A container in it.
    pub struct Member<'a> {
        "Name" => name: &'a str,
        "EndpointID" => endpoint: &'a str,
        "MacAddress" => mac: &'a str,
        "IPv4Address" => ipv4: String,
        "IPv6Address" => ipv6: String,
    }
}

/// `servin network inspect`.
pub fn inspect(invocation: &Invocation, given: &Given) -> Result<i32> {
    if given.words.is_empty() {
        return Err(Error::new(format_args!("which network? see {INSPECT}")));
    }
    let (definitions, records) = all(invocation, given)?;
    let mut documents = Vec::new();
    for word in &given.words {
        let named = definitions.iter().find(|(definition, _)| definition.name == *word);
        let by_id =
            || definitions.iter().find(|(definition, _)| word.len() >= 3 && definition.id.starts_with(word));
        let Some((definition, made)) = named.or_else(by_id) else {
            return Err(
                Error::new(format_args!("there is no network {word}")).hint("`servin network ls` lists them")
            );
        };
        documents.push(document(definition, *made, &records));
    }
    let documents: Vec<&dyn Encode> = documents.iter().map(|document| document as &dyn Encode).gather();
    form::inspect(given, &documents)
}

/// Whether there is such a network.
pub fn exists(invocation: &Invocation, given: &Given, name: &str) -> Result<bool> {
    Ok(all(invocation, given)?.0.iter().any(|(definition, _)| definition.name == name))
}

fn document<'a>(definition: &'a Definition, made: i64, records: &'a [Record]) -> Document<'a> {
    let mut options = definition.options.clone();
    let named = [("parent", &definition.parent), ("com.docker.network.bridge.name", &definition.bridge)];
    for (key, value) in named {
        if let Some(value) = value
            && options.iter().all(|(other, _)| other != key)
        {
            options.push((key.into(), value.clone()));
        }
    }
    Document {
        name: &definition.name,
        id: &definition.id,
        created: time::at(made),
        scope: "local",
        driver: definition.driver.as_str(),
        ipv4: definition.block(true).is_some(),
        ipv6: definition.has_ipv6(),
        ipam: Ipam {
            driver: "default",
            config: definition
                .blocks
                .iter()
                .map(|block| IpamBlock {
                    subnet: block.subnet.to_string(),
                    range: block.range.map(|range| range.to_string()),
                    gateway: block.gateway.map(|gateway| gateway.to_string()),
                })
                .gather(),
        },
        internal: definition.internal,
        attachable: true,
        containers: Present(records.iter().filter_map(|record| member(definition, record)).gather()),
        options: Present(options),
        labels: Present(&definition.labels),
        ..Document::default()
    }
}

fn member<'a>(definition: &Definition, record: &'a Record) -> Option<(String, Member<'a>)> {
    let endpoint = record.endpoints.iter().find(|endpoint| endpoint.network == definition.name)?;
    let address = |is_ipv4| {
        let mut all = endpoint.addresses.iter();
        let found = all.find(|assigned| assigned.address.0.is_ipv4() == is_ipv4);
        found.map_or(String::new(), |assigned| format!("{}/{}", assigned.address, assigned.subnet.prefix))
    };
    let member = Member {
        name: &record.name,
        endpoint: endpoint.host_interface.as_deref().unwrap_or(&endpoint.interface),
        mac: endpoint.mac.as_deref().unwrap_or_default(),
        ipv4: address(true),
        ipv6: address(false),
    };
    Some((record.id.clone(), member))
}

/// `servin network rm`.
pub fn remove(invocation: &Invocation, given: &Given) -> Result<i32> {
    if given.words.is_empty() {
        return Err(Error::new(format_args!("which network? see {REMOVE}")));
    }
    let (home, root) = (invocation.home(given)?, invocation.root(given)?);
    let places = places(&home, &root);
    let mut code = 0;
    for word in &given.words {
        let known = || State::lock(&places).and_then(|state| state.find(word)).is_ok();
        match create::remove(&places, word) {
            Ok(name) => output::result(name)?,
            Err(_) if given.switch("force", false) && !known() => {}
            Err(error) => {
                output::error(&error);
                code = 1;
            }
        }
    }
    Ok(code)
}

/// `servin network prune`.
pub fn prune(invocation: &Invocation, given: &Given) -> Result<i32> {
    match output::confirm(given, "This removes all networks that no container is in.")? {
        true => remove_unused(invocation, given),
        false => Ok(1),
    }
}

/// Removes the networks that no container is in.
pub fn remove_unused(invocation: &Invocation, given: &Given) -> Result<i32> {
    let filters = Filters::read(given, &["label", "label!"])?;
    let (home, root) = (invocation.home(given)?, invocation.root(given)?);
    let places = places(&home, &root);
    attach::prune(&places, &|_| true)?;
    let (definitions, records) = all(invocation, given)?;
    let mut removed = Vec::new();
    for (definition, _) in definitions.iter().filter(|(definition, _)| {
        definition.name != definition::DEFAULT && filters.admit_labels(&definition.labels)
    }) {
        if !records.iter().any(|record| record.is_in(&definition.name)) {
            removed.push(create::remove(&places, &definition.name)?);
        }
    }
    if removed.is_empty() {
        return Ok(0);
    }
    output::result(format!("Deleted Networks:\n{}", removed.join("\n"))).map(|()| 0)
}

/// The network and the container that two words name.
fn ends(
    invocation: &Invocation,
    given: &Given,
    command: &Command,
) -> Result<(String, &'static Store, Box<Entry>)> {
    let [network, container] = given.words.as_slice() else {
        return Err(Error::new(format_args!("a network and a container are needed: see {command}")));
    };
    let store = super::places::store(invocation, given)?;
    let entry = store.find(container)?;
    let network = match *network {
        definition::DEFAULT => definition::DEFAULT.into(),
        other => State::lock(&store.places.network(None))?.find(other)?.name.clone(),
    };
    if entry.record.network.mode != Mode::Networks {
        return Err(Error::new(format_args!(
            "the container {} is in no network, and stays so",
            entry.record.name
        ))
        .hint("it was made with another --network: host, none or container:NAME"));
    }
    Ok((network, store, entry))
}

/// `servin network connect`.
pub fn connect(invocation: &Invocation, given: &Given) -> Result<i32> {
    let (network, store, mut entry) = ends(invocation, given, &CONNECT)?;
    let membership = network_flags::membership(given, &network)?;
    let _lock = entry.reload()?;
    let record = &mut entry.record;
    if record.network.networks.iter().any(|member| member.network == network) {
        return Err(Error::new(format_args!(
            "the container {} is in the network {network} already",
            record.name
        )));
    }
    if let Some(attached) = &mut record.attached {
        let places = store.places.network(Some(&output::warning));
        let hostname = read_text(&places.file(&record.id, "hostname")).unwrap_or_default();
        let process = store.process(&record.id)?;
        let container = Container {
            id: &record.id,
            name: &record.name,
            hostname: hostname.trim_end(),
            pid: process.map_or(0, |process| process.pid.as_raw_nonzero().get()),
        };
        attached.endpoints.push(attach::connect_running(&places, &container, &record.network, &membership)?);
    }
    record.network.networks.push(membership);
    entry.save().map(|()| 0)
}

/// `servin network disconnect`.
pub fn disconnect(invocation: &Invocation, given: &Given) -> Result<i32> {
    let (network, store, mut entry) = ends(invocation, given, &DISCONNECT)?;
    let _lock = entry.reload()?;
    let record = &mut entry.record;
    if record.network.networks.iter().all(|member| member.network != network) {
        return Err(Error::new(format_args!(
            "the container {} is not in the network {network}",
            record.name
        )));
    }
    if let Some(attached) = &mut record.attached {
        let places = store.places.network(Some(&output::warning));
        attach::disconnect_running(&places, &record.id, &network)?;
        attached.endpoints.retain(|endpoint| endpoint.network != network);
    }
    record.network.networks.retain(|member| member.network != network);
    entry.save().map(|()| 0)
}
