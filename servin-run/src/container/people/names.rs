//! Names for containers that were given none: an adjective and somebody who is known for containers of another kind.

use alloc::format;
use alloc::string::String;

use crate::error::{Result, Step};

const ADJECTIVES: &str = "able agile airy amber ample azure bold brave breezy bright brisk calm candid cheery civil clear \
    clever cosy crisp deft eager early easy fair fancy fleet fond frank fresh gentle glad golden grand happy hardy humble \
    jolly keen kind lively loyal lucid lucky mellow merry mild modest neat nimble noble patient plucky polite proud \
    quick quiet rapid ready serene sharp silent smart snug solid spry steady sunny swift tidy upbeat vivid warm wise witty";

/// Ships of exploration, trade and rescue, and what carries things.
const NOUNS: &str = "argo barge barque basket beagle bottle bucket caravel carton casket chest clipper cog coracle crate \
    cutter dhow discovery dory endeavour endurance ferry flask fram frigate galleon gallop gig goblet hamper hulk \
    jar junk kayak kettle ketch knarr launch lighter locker longboat lugger matthew mayflower nina packet pinnace \
    pinta pitcher pod pouch prau punt raft satchel schooner skiff sloop tanker tender trawler trunk tug urn vase \
    victoria vial wherry yacht yawl";

/// All of them.
#[cfg(test)]
pub fn all() -> impl Iterator<Item = String> {
    let nouns = |adjective| NOUNS.split_ascii_whitespace().map(move |noun| format!("{adjective}_{noun}"));
    ADJECTIVES.split_ascii_whitespace().flat_map(nouns)
}

/// A random name.
pub fn generate() -> Result<String> {
    let mut bytes = [0; 4];
    let flags = rustix::rand::GetRandomFlags::empty();
    rustix::rand::getrandom(&mut bytes[..], flags).step(|| "get random bytes")?;
    let word = |words: &'static str, low: u8, high: u8| {
        let number = usize::from(u16::from_ne_bytes([low, high]));
        let count = words.split_ascii_whitespace().count();
        words.split_ascii_whitespace().nth(number % count).unwrap_or_default()
    };
    Ok(format!("{}_{}", word(ADJECTIVES, bytes[0], bytes[1]), word(NOUNS, bytes[2], bytes[3])))
}
