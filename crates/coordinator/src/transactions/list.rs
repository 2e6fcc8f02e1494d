//! DescribeTransactions and ListTransactions (KIP-664, KIP-994, KIP-1152).

use protocol::messages::describe_transactions_response::{TopicData, TransactionState};
use protocol::messages::list_transactions_response::{self, ListTransactionsResponse};
use protocol::{ErrorCode, Str};

use super::state::State;
use super::transaction::Transaction;
use super::{Filter, Turn, listed};

impl Turn<'_> {
    pub(super) fn describe(&self, id: &Str) -> TransactionState {
        let refused =
            |error: ErrorCode| TransactionState { error_code: error.code(), ..TransactionState::default() };
        let described = match self.logged.get(id) {
            _ if id.is_empty() => refused(ErrorCode::InvalidRequest),
            None => refused(ErrorCode::TransactionalIdNotFound),
            Some(known) => self.described(id, known),
        };
        TransactionState { transactional_id: id.clone(), ..described }
    }

    fn described(&self, id: &Str, known: &Transaction) -> TransactionState {
        // Of a transaction that is being completed, what is left to do.
        let left = self.soft.live.get(id).map(|live| &live.unmarked).filter(|_| known.state.is_completing());
        let topics = listed(left.unwrap_or(&known.partitions)).into_iter();
        TransactionState {
            transaction_state: Str::from_static(known.state.name()),
            transaction_timeout_ms: known.timeout_ms,
            transaction_start_time_ms: known.start_ms,
            producer_id: known.producer_id.0,
            producer_epoch: known.epoch,
            topics: topics.map(|(topic, partitions)| TopicData { topic, partitions }).collect(),
            ..TransactionState::default()
        }
    }

    pub(super) fn list(&self, filter: &Filter) -> ListTransactionsResponse {
        let mut response = ListTransactionsResponse::default();
        let mut states = Vec::new();
        for name in &filter.states {
            match State::from_name(name) {
                Some(state) => states.push(state),
                None => response.unknown_state_filters.push(name.clone()),
            }
        }
        let pattern = match filter.pattern.as_ref().filter(|pattern| !pattern.is_empty()) {
            Some(pattern) => match whole(pattern) {
                Ok(pattern) => Some(pattern),
                Err(error) => {
                    response.error_code = error.code();
                    return response;
                }
            },
            None => None,
        };
        let is_wanted = |(id, known): &(&Str, &Transaction)| {
            let age_ms = self.now.wall_ms.saturating_sub(known.start_ms);
            (filter.producer_ids.is_empty() || filter.producer_ids.contains(&known.producer_id.0))
                && (filter.states.is_empty() || states.contains(&known.state))
                && (filter.duration_ms < 0 || age_ms > filter.duration_ms)
                && pattern.as_ref().is_none_or(|pattern| pattern.is_match(id))
        };
        let shown = |(id, known): (&Str, &Transaction)| list_transactions_response::TransactionState {
            transactional_id: id.clone(),
            producer_id: known.producer_id.0,
            transaction_state: Str::from_static(known.state.name()),
        };
        response.transaction_states = self.logged.ids().iter().filter(is_wanted).map(shown).collect();
        response
    }
}

/// Bytes that a compiled pattern may take.
const PATTERN_BYTES_MAX: usize = 1 << 20;

/// For all of a text.
fn whole(pattern: &str) -> Result<regex::Regex, ErrorCode> {
    // Whatever is outside the group cannot be part of a pattern that is valid by itself.
    let compile = |pattern: &str| {
        let built = regex::RegexBuilder::new(pattern).size_limit(PATTERN_BYTES_MAX).build();
        built.map_err(|_| ErrorCode::InvalidRegularExpression)
    };
    compile(pattern)?;
    compile(&format!("^(?:{pattern})$"))
}
