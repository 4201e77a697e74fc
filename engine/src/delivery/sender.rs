//! The sender of a shard: makes attempts, keeps connections.
//!
//! An attempt goes over a pooled connection where there is one. A connection may have been closed by the
//! receiver while it was idle; if that shows before a byte of the request was written, the attempt goes on
//! over a new connection. Later it is a failure, because the receiver may have seen the request: repeating
//! it is the retry policy's decision, and recorded as an attempt of its own.

use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use crate::core::outcome::{Outcome, Phase};

use super::config::{DeliveryConfig, Timeouts};
use super::connect::Connector;
use super::deadline::Deadline;
use super::egress::EgressPolicy;
use super::ended::{Answer, Ended, Timing, micros_since};
use super::failure::Failure;
use super::lease::{Lease, Unanswered};
use super::pool::Pool;
use super::request::{MessageHead, Request};
use super::resolver::{DnsResolver, Resolve};
use super::response::{ResponseLimits, judge};
use super::target::Target;
use crate::core::retry::RetryAfterLimits;

/// The longest that any attempt may last, so that no sum of times overflows.
const TOTAL_MAX: Duration = Duration::from_secs(3_600);

/// Makes the attempts of one shard. Not shared between threads.
pub struct Sender {
    pool: Pool,
    connector: Connector,
    timeouts: Timeouts,
    response: ResponseLimits,
    retry_after: RetryAfterLimits,
}

impl Sender {
    /// A sender that asks the name servers of its configuration, or else those of the operating system.
    ///
    /// # Errors
    /// If the TLS library refuses its settings.
    pub fn new(config: &DeliveryConfig) -> Result<Self, rustls::Error> {
        Self::with_resolver(config, Rc::new(DnsResolver::asking(&config.name_servers)))
    }

    /// A sender that resolves names in its own way.
    ///
    /// # Errors
    /// If the TLS library refuses its settings.
    pub fn with_resolver(config: &DeliveryConfig, resolver: Rc<dyn Resolve>) -> Result<Self, rustls::Error> {
        Ok(Self {
            pool: Pool::new(config.pool),
            connector: Connector::new(config, resolver)?,
            timeouts: config.timeouts,
            response: config.response,
            retry_after: config.retry_after,
        })
    }

    /// A sender whose names and connections are a simulation's.
    #[cfg(any(test, feature = "simulation"))]
    pub(crate) fn on_network(
        config: &DeliveryConfig,
        resolver: Rc<dyn Resolve>,
        network: Rc<dyn super::network::Network>,
    ) -> Result<Self, rustls::Error> {
        let mut sender = Self::with_resolver(config, resolver)?;
        sender.connector.network = Some(network);
        Ok(sender)
    }

    /// Makes one attempt. Ends within the total deadline, whatever the receiver does; dropped before, it
    /// closes its connection. `unix_secs` becomes the timestamp of the signature.
    ///
    /// Must run inside a `LocalSet` on a current-thread runtime.
    pub async fn attempt(
        &self,
        target: &Target,
        message: MessageHead<'_>,
        payload: Bytes,
        unix_secs: u64,
    ) -> Ended {
        let began = Instant::now();
        let total = target.timeout_total().unwrap_or(self.timeouts.total).min(TOTAL_MAX);
        let mut attempt = Attempt {
            sender: self,
            target,
            unix_secs,
            began,
            deadline: Deadline::new(began + total),
            timing: Timing::default(),
            reused: false,
        };
        let result = attempt.run(message, payload).await;
        let timing = Timing { total_us: micros_since(began), ..attempt.timing };
        let span = message.parent.map(|parent| parent.span);
        Ended { signed_secs: Some(unix_secs), span, ..Ended::new(result, timing, attempt.reused) }
    }

    /// Closes connections that are idle for too long, too old or closed by the receiver. To be called about
    /// once a second.
    pub fn close_idle(&self, now: Instant) {
        self.pool.sweep(now);
    }

    /// How many connections are open, idle or in use.
    pub fn connections(&self) -> usize {
        self.connector.open_count()
    }

    /// From now on this policy applies: idle connections are closed, those in use are not used again.
    pub fn set_policy(&self, policy: EgressPolicy) {
        self.connector.set_policy(policy);
        self.pool.renew();
    }
}

/// One attempt under way.
struct Attempt<'a> {
    sender: &'a Sender,
    target: &'a Target,
    unix_secs: u64,
    began: Instant,
    deadline: Deadline,
    timing: Timing,
    reused: bool,
}

impl Attempt<'_> {
    async fn run(&mut self, message: MessageHead<'_>, payload: Bytes) -> Result<Answer, Failure> {
        let (sender, target) = (self.sender, self.target);
        let request = Request::new(target, message, payload, self.unix_secs)?;
        if let Some(lease) = sender.pool.checkout(target.place(), self.began) {
            self.reused = true;
            match self.exchange(lease, &request, self.began).await {
                Ok(answer) => return Ok(answer),
                Err(Unanswered::Failed(failure)) => return Err(failure),
                // It was closed while it was idle.
                Err(Unanswered::NotSent) => self.reused = false,
            }
        }
        // Boxed, so that the many attempts that need no connection are not as large as those that do.
        let opening = Box::pin(sender.connector.open(target, &mut self.deadline, &mut self.timing));
        let lease = sender.pool.adopt(target.place(), opening.await?);
        self.exchange(lease, &request, Instant::now()).await.map_err(|unanswered| match unanswered {
            Unanswered::Failed(failure) => failure,
            Unanswered::NotSent => {
                Failure::new(Outcome::ConnectionLost, "the receiver closed the connection at once")
            }
        })
    }

    /// Sends the request over this connection, reads the response, gives the connection back if both sides want
    /// it, and says what the response means.
    async fn exchange(
        &mut self,
        mut lease: Lease,
        request: &Request<'_>,
        began: Instant,
    ) -> Result<Answer, Unanswered> {
        let (sender, target) = (self.sender, self.target);
        let mut limits = sender.response;
        limits.body_bytes_kept_max = target.response_body_bytes_max().unwrap_or(limits.body_bytes_kept_max);
        let first_byte = sender.timeouts.first_byte;

        lease.swap_timer(&mut self.deadline);
        // Pinned within the statement, so that the lease is free behind it.
        let sent = self
            .deadline
            .within(Phase::FirstByte, began, first_byte, pin!(lease.send(target, request, limits)))
            .await;
        self.timing.first_byte_us = micros_since(began);
        let head = match sent {
            Ok(answered) => answered?,
            Err(timed_out) => {
                lease.distrust(began);
                return Err(Unanswered::Failed(timed_out));
            }
        };
        let read =
            self.deadline.within(Phase::Total, self.began, TOTAL_MAX, pin!(lease.read_body(limits))).await;
        let body = read.flatten().map_err(Unanswered::Failed)?;
        lease.swap_timer(&mut self.deadline);
        sender.pool.put_back(target.place(), lease, Instant::now());

        let (outcome, detail) = judge(&head, target.success(), self.unix_secs, &sender.retry_after);
        Ok(Answer { outcome, detail, headers: head.text, body })
    }
}
