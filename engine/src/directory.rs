//! The directory: carries changes of the catalog to the shards.
//!
//! Called by the catalog after each change, in order. Prepares once, outside the hot path, all that an
//! attempt needs of an endpoint (URL, headers, keys), decides which shard makes its deliveries, and keeps
//! the health of URLs and hosts where every thread can read it.

use std::collections::BTreeMap;
use std::num::NonZeroU16;
use std::sync::Arc;
use std::time::Duration;

use papaya::HashMap;

use crate::catalog::{self, CatalogEvent, Disabled, Endpoint, FieldError};
use crate::clock::{self, Clock};
use crate::core::delivery::DeliveryState;
use crate::core::health::{HealthCell, HealthPhase, HealthView};
use crate::core::ids::{ApplicationId, EndpointId};
use crate::core::pace::PaceCell;
use crate::core::retry::RetryPolicy;
use crate::core::shard::{EndpointSettings, Gone};
use crate::core::tick::Tick;
use crate::delivery::{
    self, Authorization, BodyFormat, ClientCertificatePem, HeaderNames, Identity, IdentityError,
    IdentityPart, SigningSecret, SuccessRule, Target, TargetSpec,
};
use crate::shard::{Shards, ToShard};
use crate::writer::ANSWER_BYTES_MAX;

// Every secret that an endpoint may have must find room in its requests.
const _: () = assert!(catalog::limits::SECRETS_MAX <= delivery::SECRETS_MAX);

/// See the head of this file.
pub(crate) struct Directory {
    shards: Arc<Shards>,
    clock: Clock,
    in_flight_max: u16,
    default_policy: Arc<RetryPolicy>,
    named_policies: BTreeMap<String, Arc<RetryPolicy>>,
    urls: HashMap<EndpointId, UrlHealth>,
    hosts: HashMap<u64, Arc<HealthCell>>,
    application_paces: HashMap<ApplicationId, Arc<PaceCell>>,
}

/// The health of the URL that an endpoint has now, and of the host it leads to. Another URL begins healthy.
#[derive(Debug, Clone)]
struct UrlHealth {
    url: Arc<str>,
    cell: Arc<HealthCell>,
    host: Arc<HealthCell>,
}

/// The health of an endpoint's URL and of the host it leads to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct EndpointHealth {
    /// Of its URL.
    pub url: HealthView,
    /// Of its host.
    pub host: HealthView,
}

impl UrlHealth {
    fn view(&self, now: Tick) -> EndpointHealth {
        EndpointHealth { url: self.cell.view(now), host: self.host.view(now) }
    }
}

impl Directory {
    /// An empty directory. Policies were checked with the configuration.
    pub(crate) fn new(
        shards: Arc<Shards>,
        clock: Clock,
        in_flight_max: u16,
        default_policy: RetryPolicy,
        named_policies: BTreeMap<String, RetryPolicy>,
    ) -> Arc<Self> {
        let named_policies = named_policies.into_iter().map(|(name, policy)| (name, Arc::new(policy)));
        Arc::new(Self {
            shards,
            clock,
            in_flight_max,
            default_policy: Arc::new(default_policy),
            named_policies: named_policies.collect(),
            urls: HashMap::new(),
            hosts: HashMap::new(),
            application_paces: HashMap::new(),
        })
    }

    /// Tells the shards what changed.
    pub(crate) fn on_event(&self, event: &CatalogEvent) {
        match event {
            CatalogEvent::EndpointChanged(endpoint) => match endpoint.disabled {
                None => self.put(endpoint),
                Some(why @ Disabled::Gone) => self.remove(endpoint.id, DeliveryState::Exhausted, Some(why)),
                Some(why) => self.remove(endpoint.id, DeliveryState::Cancelled, Some(why)),
            },
            CatalogEvent::EndpointRemoved(id, _) => {
                self.remove(*id, DeliveryState::Cancelled, None);
                self.urls.pin().remove(id);
            }
            CatalogEvent::ApplicationChanged(application) => {
                self.application_pace(application.id)
                    .set(application.throttle_rate.and_then(NonZeroU16::new));
            }
            CatalogEvent::ApiKeyChanged(_) | CatalogEvent::ApiKeyRemoved(_) => {}
            CatalogEvent::ApplicationRemoved(id) => {
                self.application_paces.pin().remove(id);
            }
        }
    }

    /// The policy that an endpoint asks for: by name, or written out.
    ///
    /// # Errors
    /// In words, when there is no such name and the text is not a policy.
    pub(crate) fn policy(&self, asked: Option<&str>) -> Result<Arc<RetryPolicy>, String> {
        let Some(asked) = asked else { return Ok(self.default_policy.clone()) };
        if let Some(policy) = self.named_policies.get(asked) {
            return Ok(policy.clone());
        }
        asked.parse().map(Arc::new).map_err(|error| {
            let names: Vec<&str> = self.named_policies.keys().map(String::as_str).collect();
            let names = if names.is_empty() { "none".into() } else { names.join(", ") };
            format!("{error} (named policies in the configuration: {names})")
        })
    }

    /// How healthy an endpoint is, if it ever had a shard.
    pub(crate) fn health(&self, id: EndpointId) -> Option<EndpointHealth> {
        let now = self.clock.now();
        self.urls.pin().get(&id).map(|known| known.view(now))
    }

    /// Those endpoints whose URL or host is not healthy.
    pub(crate) fn unhealthy(&self) -> Vec<(EndpointId, EndpointHealth)> {
        let now = self.clock.now();
        let views = self.urls.pin();
        let views = views.iter().map(|(id, known)| (*id, known.view(now)));
        let is_healthy = |health: &EndpointHealth| {
            health.url.phase == HealthPhase::Healthy && health.host.phase == HealthPhase::Healthy
        };
        views.filter(|(_, health)| !is_healthy(health)).collect()
    }

    fn put(&self, endpoint: &Endpoint) {
        let target = prepare(endpoint);
        let host = target.as_ref().map_or(0, |target| target.host().stable_hash());
        let shard = self.shards.places.shard_of_host(host);
        if let Some(before) = self.shards.places.set(endpoint.id, shard)
            && before != shard
        {
            self.shards.tell(before, ToShard::EndpointGone(endpoint.id, Gone::Moved));
        }
        let retry = self.policy(endpoint.retry_policy.as_deref()).unwrap_or_else(|why| {
            tracing::warn!(endpoint = %endpoint.id, why, "the default retry policy is used");
            self.default_policy.clone()
        });
        let host_health = self.hosts.pin().get_or_insert_with(host, Arc::default).clone();
        let settings = EndpointSettings {
            id: endpoint.id,
            application: endpoint.application,
            host,
            revision: endpoint.revision,
            retry,
            in_flight_max: endpoint.concurrency.unwrap_or(self.in_flight_max),
            pace: endpoint
                .throttle_rate
                .and_then(NonZeroU16::new)
                .map(|rate| Arc::new(PaceCell::new(Some(rate)))),
            application_pace: self.application_pace(endpoint.application),
            url_health: self.url_health(endpoint, &host_health),
            host_health,
        };
        self.shards.tell(shard, ToShard::Endpoint(settings, target.map(Arc::new)));
    }

    fn application_pace(&self, id: ApplicationId) -> Arc<PaceCell> {
        self.application_paces.pin().get_or_insert_with(id, Arc::default).clone()
    }

    fn url_health(&self, endpoint: &Endpoint, host: &Arc<HealthCell>) -> Arc<HealthCell> {
        let urls = self.urls.pin();
        match urls.get(&endpoint.id) {
            Some(known) if *known.url == *endpoint.url => known.cell.clone(),
            _ => {
                let cell = Arc::<HealthCell>::default();
                let url = endpoint.url.as_str().into();
                urls.insert(endpoint.id, UrlHealth { url, cell: cell.clone(), host: host.clone() });
                cell
            }
        }
    }

    fn remove(&self, id: EndpointId, state: DeliveryState, disabled: Option<Disabled>) {
        if let Some(shard) = self.shards.places.remove(id, disabled.map(Disabled::in_words)) {
            self.shards.tell(shard, ToShard::EndpointGone(id, Gone::Ended(state)));
        }
    }
}

/// Everything that requests to this endpoint have in common; or why none can be made, in words.
pub(crate) fn prepare(endpoint: &Endpoint) -> Result<Target, Arc<str>> {
    prepare_at(endpoint, clock::unix_ms())
}

/// The same as it is, or was, at this time.
pub(crate) fn prepare_at(endpoint: &Endpoint, unix_ms: u64) -> Result<Target, Arc<str>> {
    if let Some(why) = endpoint.unreadable() {
        return Err(format!("the secrets of the endpoint cannot be read: {why}").into());
    }
    let secrets = endpoint
        .secrets_at(unix_ms)
        .map(|secret| SigningSecret::parse(&secret.key).map(|parsed| parsed.expiring_at(secret.expires_ms)));
    let secrets = secrets.collect::<Result<Vec<_>, _>>().map_err(|error| Arc::from(error.to_string()))?;
    let headers: Vec<(String, String)> =
        endpoint.headers.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
    let authorization = endpoint.authorization.as_ref().map(|authorization| match authorization {
        catalog::Authorization::Bearer { token } => Authorization::Bearer(token.clone()),
        catalog::Authorization::Basic { username, password } => {
            Authorization::Basic { user: username.clone(), password: password.clone() }
        }
    });
    let client = endpoint.client_certificate.as_deref().map(pem_of);
    let identity = Identity::read(client, endpoint.ca_certificates.as_deref());
    let identity = identity.map_err(|error| Arc::from(error.to_string()))?;
    Target::prepare(TargetSpec {
        headers: &headers,
        authorization: authorization.as_ref(),
        secrets: &secrets,
        timeout_total: endpoint.timeout_ms.map(|ms| Duration::from_millis(ms.into())),
        success: match endpoint.success {
            catalog::SuccessRule::Any2xx => SuccessRule::Any2xx,
            catalog::SuccessRule::Only200 => SuccessRule::Only200,
        },
        // What others of the chain wait for, or who follows the outcomes, is kept as a whole.
        response_body_bytes_max: (endpoint.chain.is_some() || endpoint.tell_response)
            .then_some(ANSWER_BYTES_MAX),
        body: match endpoint.format {
            catalog::Format::Json => BodyFormat::AsPublished,
            catalog::Format::Form => {
                BodyFormat::Form { secret: endpoint.body_secret.as_ref().map(|secret| &*secret.0) }
            }
        },
        header_names: match endpoint.header_names {
            catalog::HeaderNames::Webhook => HeaderNames::Webhook,
            catalog::HeaderNames::Svix => HeaderNames::Svix,
            catalog::HeaderNames::Both => HeaderNames::Both,
        },
        identity: identity.as_ref(),
        ..TargetSpec::new(&endpoint.url)
    })
    .map_err(|error| Arc::from(error.to_string()))
}

fn pem_of(certificate: &catalog::ClientCertificate) -> ClientCertificatePem<'_> {
    ClientCertificatePem { certificate: &certificate.certificate, key: &certificate.key }
}

/// What is wrong with the certificates of an endpoint, by the name of its field in the API.
pub(crate) fn check_identity(
    client: Option<&catalog::ClientCertificate>,
    authorities: Option<&str>,
) -> Result<(), FieldError> {
    let problem = |error: IdentityError| FieldError {
        field: match error.part {
            IdentityPart::Certificate => "clientCertificate.certificate",
            IdentityPart::Key => "clientCertificate.key",
            IdentityPart::Authorities => "caCertificates",
        },
        problem: error.problem,
    };
    Identity::read(client.map(pem_of), authorities).map(drop).map_err(problem)
}
