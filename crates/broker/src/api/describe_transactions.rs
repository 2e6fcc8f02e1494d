//! DescribeTransactions (65): the transactions of some transactional ids (KIP-664).

use std::collections::HashSet;
use std::ops::RangeInclusive;

use coordinator::transactions::{Reply, Request};
use protocol::ErrorCode;
use protocol::messages::describe_transactions_request::DescribeTransactionsRequest;
use protocol::messages::describe_transactions_response::{DescribeTransactionsResponse, TransactionState};

use super::transactions::ask;
use super::{Call, Handler, Protest};

pub(crate) struct DescribeTransactions;

impl Handler for DescribeTransactions {
    type Request = DescribeTransactionsRequest;

    const ADVERTISED: RangeInclusive<i16> = 0..=0;

    async fn handle(
        call: Call,
        request: DescribeTransactionsRequest,
    ) -> Result<Option<DescribeTransactionsResponse>, Protest> {
        let mut transaction_states = Vec::with_capacity(request.transactional_ids.len());
        let mut seen = HashSet::new();
        for id in request.transactional_ids {
            // Each once: a transaction may have many partitions.
            if !seen.insert(id.clone()) {
                continue;
            }
            let asked = Request::Describe { transactional_id: id.detached() };
            let state = match ask(&call, &id, asked).await {
                Ok(Reply::Described(state)) => state,
                other => TransactionState {
                    // A coordinator answers a request with the reply of its kind.
                    error_code: other.err().unwrap_or(ErrorCode::UnknownServerError).code(),
                    transactional_id: id,
                    ..Default::default()
                },
            };
            transaction_states.push(state);
        }
        Ok(Some(DescribeTransactionsResponse { transaction_states, ..Default::default() }))
    }
}
