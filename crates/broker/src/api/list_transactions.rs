//! ListTransactions (66): the transactional ids that this broker coordinates (KIP-664, KIP-994, KIP-1152).

use std::ops::RangeInclusive;

use coordinator::transactions::{Filter, Reply, Request};
use protocol::ErrorCode;
use protocol::messages::list_transactions_request::ListTransactionsRequest;
use protocol::messages::list_transactions_response::ListTransactionsResponse;

use super::{Call, Handler, Protest};
use crate::coordinators::caller;

pub(crate) struct ListTransactions;

impl Handler for ListTransactions {
    type Request = ListTransactionsRequest;

    const ADVERTISED: RangeInclusive<i16> = 0..=2;

    async fn handle(
        call: Call,
        request: ListTransactionsRequest,
    ) -> Result<Option<ListTransactionsResponse>, Protest> {
        let asked = Request::List(Filter {
            states: request.state_filters,
            producer_ids: request.producer_id_filters,
            duration_ms: request.duration_filter,
            pattern: request.transactional_id_pattern,
        });
        let mut response = ListTransactionsResponse::default();
        for reply in call.broker.transactions.ask_all(&caller(&call), &asked).await {
            match reply {
                Ok(Reply::Listed(part)) => {
                    // All say the same of the filters.
                    response.error_code = part.error_code;
                    response.unknown_state_filters = part.unknown_state_filters;
                    response.transaction_states.extend(part.transaction_states);
                }
                // A coordinator answers a request with the reply of its kind.
                other => {
                    response.error_code = other.err().unwrap_or(ErrorCode::UnknownServerError).code();
                    break;
                }
            }
        }
        Ok(Some(response))
    }
}
