//! [`Instances`]: the clients that were told what to push, and when they may speak next.
//!
//! Invariants:
//! * A subscription id follows from the metrics, the interval and the client: another broker, or this one after a
//!   restart, comes to the same.
//! * A change of the subscriptions counts with a client's next request, whatever its interval.
//! * At most [`CLIENTS_MAX`] clients are known, those that spoke last. Who is forgotten may speak at once.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use host::Instant;
use metadata::Image;
use metadata::config::{ClientFacts, Subscription};
use metadata::image::Configs;
use metadata::record::ResourceKind;
use protocol::records::{Codec, crc32c};
use protocol::{ErrorCode, Str, Uuid};

/// As many as Kafka remembers.
const CLIENTS_MAX: usize = 16_384;
/// A client that is silent for three of its intervals, but for no less than this, is forgotten.
const SILENT_MIN: Duration = Duration::from_secs(60);
/// What clients without a subscription are told.
const INTERVAL_MS: i32 = 300_000;
/// The subscription to everything.
const ALL: &str = "*";

/// What a client is told to push.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Subscribed {
    pub(crate) id: i32,
    pub(crate) interval_ms: i32,
    /// Prefixes of names, sorted; `*` alone for all.
    pub(crate) metrics: Vec<Str>,
}

/// What a push says of itself.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Push {
    pub(crate) id: Uuid,
    pub(crate) subscription_id: i32,
    pub(crate) terminating: bool,
    pub(crate) compression_type: i8,
}

#[derive(Debug)]
struct Instance {
    /// Of the subscriptions when this was made.
    version: u64,
    subscription_id: i32,
    interval: Duration,
    /// When it was told its subscription, or pushed.
    last: Option<Instant>,
    pushed_at: Option<Instant>,
    /// It was told its subscription after its last push.
    told: bool,
    terminating: bool,
    error: ErrorCode,
    spoke_at: Instant,
    /// Its place in the order of those who spoke.
    turn: u64,
}

impl Instance {
    fn may_subscribe(&self, now: Instant) -> bool {
        // Who has just been told that its subscription is no longer good asks for the new one at once.
        let told_to_ask =
            matches!(self.error, ErrorCode::UnknownSubscriptionId | ErrorCode::UnsupportedCompressionType);
        told_to_ask || self.last.is_none_or(|last| now.since(last) >= self.interval)
    }

    fn may_push(&self, now: Instant) -> bool {
        // The first push comes earlier than after an interval, for clients do not all begin at once.
        self.told || self.pushed_at.is_none_or(|last| now.since(last) >= self.interval)
    }
}

#[derive(Debug, Default)]
pub(super) struct Instances {
    clients: HashMap<Uuid, Instance>,
    /// Clients in the order in which they spoke last.
    turns: BTreeMap<u64, Uuid>,
    next_turn: u64,
    subscriptions: BTreeMap<Str, (Configs, Subscription)>,
    /// The entry of the metadata log up to which they are known.
    index: u64,
    version: u64,
}

impl Instances {
    /// Takes over the subscriptions of the image at `index`.
    pub(super) fn learn(&mut self, image: &Image, index: u64) {
        if index <= self.index {
            return;
        }
        self.index = index;
        let set: BTreeMap<&Str, &Configs> = image
            .configs_of_kind(ResourceKind::ClientMetrics)
            .map(|(of, configs)| (&of.name, configs))
            .collect();
        let known = self.subscriptions.iter().map(|(name, (configs, _))| (name, configs));
        if set.iter().map(|(name, configs)| (*name, *configs)).eq(known) {
            return;
        }
        let mut old = std::mem::take(&mut self.subscriptions);
        for (name, configs) in set {
            let same = old.remove(name).filter(|(known, _)| known == configs);
            let subscription = same.unwrap_or_else(|| (configs.clone(), Subscription::of(configs)));
            self.subscriptions.insert(name.clone(), subscription);
        }
        self.version += 1;
    }

    pub(super) fn subscribe(
        &mut self,
        id: Uuid,
        facts: &ClientFacts,
        now: Instant,
    ) -> Result<Subscribed, ErrorCode> {
        let subscribed = self.subscribed(id, facts);
        let client = self.client(id, &subscribed, now);
        if !client.may_subscribe(now) {
            return Err(ErrorCode::ThrottlingQuotaExceeded);
        }
        (client.last, client.told) = (Some(now), true);
        client.error = ErrorCode::None;
        // A client may match others than when it was told first, for it may have changed its address.
        client.subscription_id = subscribed.id;
        client.interval = interval(&subscribed);
        Ok(subscribed)
    }

    /// Whether a push may be taken; how it is packed.
    pub(super) fn push(
        &mut self,
        push: &Push,
        facts: &ClientFacts,
        too_large: bool,
        now: Instant,
    ) -> Result<Codec, ErrorCode> {
        if push.id.is_zero() || push.id == Uuid::ONE {
            return Err(ErrorCode::InvalidRequest);
        }
        let subscribed = self.subscribed(push.id, facts);
        let client = self.client(push.id, &subscribed, now);
        let judged = judge(client, push, too_large, now);
        client.terminating = push.terminating;
        client.error = judged.err().unwrap_or(ErrorCode::None);
        judged
    }

    /// What was taken turned out to be no good.
    pub(super) fn failed(&mut self, id: Uuid, code: ErrorCode) {
        if let Some(client) = self.clients.get_mut(&id) {
            client.error = code;
        }
    }

    fn client(&mut self, id: Uuid, subscribed: &Subscribed, now: Instant) -> &mut Instance {
        let (version, turn) = (self.version, self.next_turn);
        self.next_turn += 1;
        let fresh = || Instance {
            version,
            subscription_id: subscribed.id,
            interval: interval(subscribed),
            last: None,
            pushed_at: None,
            told: false,
            terminating: false,
            error: ErrorCode::None,
            spoke_at: now,
            turn,
        };
        let client = self.clients.entry(id).or_insert_with(fresh);
        self.turns.remove(&client.turn);
        let silent_max = (client.interval * 3).max(SILENT_MIN);
        if client.version != version || now.since(client.spoke_at) > silent_max {
            *client = fresh();
        }
        (client.spoke_at, client.turn) = (now, turn);
        self.turns.insert(turn, id);
        if self.turns.len() > CLIENTS_MAX
            && let Some((_, eldest)) = self.turns.pop_first()
        {
            self.clients.remove(&eldest);
        }
        self.clients.entry(id).or_insert_with(fresh)
    }

    fn subscribed(&self, id: Uuid, facts: &ClientFacts) -> Subscribed {
        let matching = self.subscriptions.values().map(|(_, subscription)| subscription);
        let (mut interval_ms, mut metrics) = (INTERVAL_MS, BTreeSet::new());
        for subscription in matching.filter(|subscription| subscription.matches(facts)) {
            interval_ms = interval_ms.min(subscription.interval_ms);
            metrics.extend(subscription.metrics.iter().map(String::as_str));
        }
        if metrics.contains(ALL) {
            metrics = BTreeSet::from([ALL]);
        }
        let id = subscription_id(&metrics, interval_ms, id);
        Subscribed { id, interval_ms, metrics: metrics.into_iter().map(Str::from).collect() }
    }
}

fn judge(client: &mut Instance, push: &Push, too_large: bool, now: Instant) -> Result<Codec, ErrorCode> {
    if client.terminating {
        // It has said that this was its last.
        return Err(ErrorCode::InvalidRequest);
    }
    let may_push = client.may_push(now);
    if may_push {
        (client.last, client.pushed_at, client.told) = (Some(now), Some(now), false);
    } else if !push.terminating {
        return Err(ErrorCode::ThrottlingQuotaExceeded);
    }
    if push.subscription_id != client.subscription_id {
        return Err(ErrorCode::UnknownSubscriptionId);
    }
    let codec = u8::try_from(push.compression_type).ok().and_then(Codec::from_id);
    let codec = codec.ok_or(ErrorCode::UnsupportedCompressionType)?;
    if too_large { Err(ErrorCode::TelemetryTooLarge) } else { Ok(codec) }
}

fn interval(subscribed: &Subscribed) -> Duration {
    Duration::from_millis(u64::try_from(subscribed.interval_ms).unwrap_or(0))
}

/// CRC32C of what is subscribed to, mixed with the hash that Kafka's ids have.
fn subscription_id(metrics: &BTreeSet<&str>, interval_ms: i32, id: Uuid) -> i32 {
    let list = metrics.iter().copied().collect::<Vec<_>>().join(", ");
    let crc = crc32c(format!("[{list}]{interval_ms}").as_bytes());
    let words = id
        .as_bytes()
        .chunks_exact(4)
        .map(|word| word.iter().fold(0, |all, byte| all << 8 | u32::from(*byte)));
    words.fold(crc, |mixed, word| mixed ^ word).cast_signed()
}

#[cfg(test)]
mod tests;
