//! The thread of the prober: a few probes at a time, each with a sender of its own.

use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};
use tokio::task::{LocalSet, spawn_local};

use super::noting::Noting;
use super::{Order, Probe, Probed, Prober};
use crate::clock::unix_secs;
use crate::core::ids::MessageId;
use crate::core::outcome::Outcome;
use crate::delivery::{
    DeliveryConfig, DnsResolver, Ended, MessageHead, Resolve, Sender, Target, request_headers,
};
use crate::directory;

/// What the prober works with.
#[derive(Debug, Clone)]
pub(crate) struct ProbeSettings {
    /// The same as for deliveries.
    pub(crate) delivery: DeliveryConfig,
    /// `probe.in_flight_max`
    pub(crate) in_flight_max: usize,
    /// `probe.waiting_max`
    pub(crate) waiting_max: usize,
    /// `probe.per_application_max`
    pub(crate) per_application_max: usize,
    /// `probe.show_private`
    pub(crate) show_private: bool,
}

/// Starts the thread. It ends when `stop` says so; what is under way then is given up.
///
/// Should it ever panic, tests are answered as if the server were stopping, and deliveries go on.
pub(crate) fn spawn(settings: ProbeSettings, stop: watch::Receiver<bool>) -> std::io::Result<Arc<Prober>> {
    let (orders, waiting) = mpsc::channel(settings.waiting_max);
    let per_application_max = settings.per_application_max;
    std::thread::Builder::new().name("prober".into()).spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .max_blocking_threads(1)
            .build()
            .expect("a runtime needs an epoll and an eventfd");
        let resolver: Rc<dyn Resolve> = Rc::new(DnsResolver::asking(&settings.delivery.name_servers));
        LocalSet::new().block_on(&runtime, run(Rc::new(settings), resolver, waiting, stop));
        runtime.shutdown_background();
    })?;
    Ok(Arc::new(Prober::new(orders, per_application_max)))
}

/// Takes one order after the other, as long as there is room for another probe.
pub(super) async fn run(
    settings: Rc<ProbeSettings>,
    resolver: Rc<dyn Resolve>,
    mut waiting: mpsc::Receiver<Order>,
    mut stop: watch::Receiver<bool>,
) {
    let places = Arc::new(Semaphore::new(settings.in_flight_max));
    loop {
        let next = async {
            let place = places.clone().acquire_owned().await.ok()?;
            Some((place, waiting.recv().await?))
        };
        let (place, order) = tokio::select! {
            next = next => match next {
                Some(next) => next,
                None => return,
            },
            // An engine that is gone has stopped too.
            _ = stop.wait_for(|stop| *stop) => return,
        };
        spawn_local(fulfil(settings.clone(), resolver.clone(), order, place));
    }
}

async fn fulfil(
    settings: Rc<ProbeSettings>,
    resolver: Rc<dyn Resolve>,
    order: Order,
    _place: OwnedSemaphorePermit,
) {
    let Order { probe, message, mut answer } = order;
    let probed = tokio::select! {
        probed = make(&settings, resolver, probe, message) => probed,
        // Whoever asked has gone.
        () = answer.closed() => return,
    };
    // The same.
    let _ = answer.send(probed);
}

/// Makes the attempt.
pub(super) async fn make(
    settings: &ProbeSettings,
    resolver: Rc<dyn Resolve>,
    probe: Probe,
    message: MessageId,
) -> Probed {
    let unsent = |why: String| Probed {
        message,
        request_headers: Vec::new(),
        ended: Ended::unsent(Outcome::RequestInvalid, why),
        is_hidden: false,
    };
    let target = match directory::prepare(&probe.endpoint) {
        Ok(target) => target,
        Err(why) => return unsent(why.to_string()),
    };
    let noting = Noting::new(resolver, target.url().host().name());
    let sender = match Sender::with_resolver(&settings.delivery, noting.clone()) {
        Ok(sender) => sender,
        Err(error) => return unsent(error.to_string()),
    };
    let (head, now) = (MessageHead { id: message, content_type: None, parent: None }, unix_secs());
    let request_headers = request_headers(&target, head, probe.payload.clone(), now);
    let ended = sender.attempt(&target, head, probe.payload, now).await;
    let is_hidden = !settings.show_private
        && ended.outcome.status().is_some()
        && !leads_to_the_public(settings, &target, &noting.answers());
    let ended = if is_hidden { without_answer(ended) } else { ended };
    Probed { message, request_headers, ended, is_hidden }
}

/// Whether the connection can only have led to the public internet. A name that a proxy looks up may lead anywhere, and so
/// may one whose addresses are not known.
pub(super) fn leads_to_the_public(settings: &ProbeSettings, target: &Target, answers: &[IpAddr]) -> bool {
    let DeliveryConfig { egress, proxy, .. } = &settings.delivery;
    let is_looked_up_elsewhere = proxy.as_ref().is_some_and(|proxy| !proxy.pin);
    match target.url().address() {
        Some(address) => egress.is_public(address),
        None if is_looked_up_elsewhere => false,
        None => !answers.is_empty() && answers.iter().all(|&answer| egress.is_public(answer)),
    }
}

/// What the receiver said is taken out; how it ended and how long it took stays.
fn without_answer(ended: Ended) -> Ended {
    // The detail of a redirect says where to.
    let detail = match ended.outcome {
        Outcome::Redirect { status } => format!("redirect ({status}) not followed").into(),
        _ => ended.detail,
    };
    Ended { response_headers: Bytes::new(), response_body: Bytes::new(), detail, ..ended }
}
