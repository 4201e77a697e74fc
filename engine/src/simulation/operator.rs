//! Operators: change endpoints, take messages back, send them again.

use std::rc::Rc;

use base64::Engine as _;

use super::fault::Fault;
use super::model::{Endpoint, type_name};
use super::plan::EVENT_TYPES;
use super::process::Process;
use super::receiver::host_name;
use super::world::World;
use crate::api::{Again, History as _, Messages as _};
use crate::catalog::{ApplicationDraft, CatalogError, CommitError, EndpointDraft, NewSecret};
use crate::core::ids::EndpointId;

fn url(host: usize, endpoint: usize) -> String {
    format!("http://{}/e/{endpoint}", host_name(host))
}

fn new_key(world: &World) -> Vec<u8> {
    (0..world.dice.between(24..=64)).map(|_| world.dice.next() as u8).collect()
}

fn key_text(key: &[u8]) -> String {
    format!("whsec_{}", base64::engine::general_purpose::STANDARD.encode(key))
}

/// Makes applications and endpoints, at the very beginning, while all is well.
pub(super) async fn set_up(world: &Rc<World>, process: &Process) {
    let editor = &process.parts.editor;
    for application in 0..world.plan.applications {
        let draft = ApplicationDraft {
            uid: Some(format!("a{application}")),
            name: format!("application {application}"),
            ..ApplicationDraft::default()
        };
        let made = editor.create_application(draft).await.expect("all is well");
        world.applications.borrow_mut().push(made.id);
    }
    for (number, plan) in world.plan.endpoints.iter().enumerate() {
        let draft = EndpointDraft {
            url: url(plan.host, number),
            event_types: plan.event_types.as_ref().map(|types| types.iter().map(|t| type_name(*t)).collect()),
            retry_policy: Some(plan.retry_policy.to_owned()),
            throttle_rate: plan.throttle_rate,
            ..EndpointDraft::default()
        };
        let key = new_key(world);
        let application = world.applications.borrow()[plan.application];
        let made =
            editor.create_endpoint(application, draft, Some(&key_text(&key))).await.expect("all is well");
        let types = plan.event_types.clone();
        let endpoint = Endpoint::new(made.id, plan.application, types, (plan.host, key), plan.wait_ms);
        world.model().push(endpoint);
    }
}

/// At the start of a life: what was acknowledged must be so, and what was not is known now.
pub(super) fn look_around(world: &World, process: &Process) {
    let catalog = process.parts.editor.catalog();
    let mut violations = Vec::new();
    for (number, endpoint) in world.model().iter_mut().enumerate() {
        let before = endpoint.clone();
        let was_changing = endpoint.is_changing();
        if was_changing {
            endpoint.look(catalog);
            continue;
        }
        let mut looked = before.clone();
        looked.look(catalog);
        let said = |endpoint: &Endpoint| {
            let Endpoint { is_there, is_enabled, host, .. } = *endpoint;
            (is_there, is_enabled, host, endpoint.event_types.clone(), endpoint.newest_key.clone())
        };
        let is_same = said(&looked) == said(&before);
        if !is_same {
            violations.push(format!(
                "I1: endpoint {number} is not as it was acknowledged: {looked:?}, not {before:?}"
            ));
        }
    }
    violations.into_iter().for_each(|what| world.violation(what));
}

/// Does something to an endpoint, or to one of its messages.
pub(super) async fn operate(world: &Rc<World>, process: &Process, deed: Fault, number: usize) {
    match deed {
        Fault::MessageCancelled => cancel(world, process).await,
        Fault::MessageResent => resend(world, process).await,
        _ => change(world, process, deed, number).await,
    }
}

async fn change(world: &Rc<World>, process: &Process, deed: Fault, number: usize) {
    let now = world.now_ms();
    let before = world.model()[number].clone();
    let may = match deed {
        Fault::EndpointEnabled => !before.is_enabled && !before.is_changing(),
        _ => before.is_there && !before.is_changing(),
    };
    if !before.is_there || !may {
        return;
    }
    world.count(deed);
    world.model()[number].begin_change();
    if matches!(deed, Fault::EndpointDisabled | Fault::EndpointRemoved) {
        world.account().disturb(number, now);
    }
    world.account().new_door(number);
    match make(world, process, deed, number, before.id).await {
        Ok(()) => {
            let mut model = world.model();
            let endpoint = &mut model[number];
            endpoint.look(process.parts.editor.catalog());
            endpoint.changed_ms = world.now_ms();
            drop(model);
            world.account().new_door(number);
        }
        // Nothing was changed.
        Err(CatalogError::Commit(CommitError::Full)) => world.model()[number].end_change(),
        // Nothing is known until the next start.
        Err(CatalogError::Commit(_)) => {}
        Err(error) => world.violation(format!("{deed:?} of endpoint {number} was refused: {error}")),
    }
}

async fn make(
    world: &Rc<World>,
    process: &Process,
    deed: Fault,
    number: usize,
    id: EndpointId,
) -> Result<(), CatalogError> {
    let editor = &process.parts.editor;
    let edit = |edit: Box<dyn FnOnce(&mut EndpointDraft)>| async move {
        editor.edit_endpoint(id, edit).await.map(drop)
    };
    match deed {
        Fault::EndpointDisabled => edit(Box::new(|draft| draft.disabled = true)).await,
        Fault::EndpointEnabled => edit(Box::new(|draft| draft.disabled = false)).await,
        Fault::EndpointMoved => {
            let moved = url(world.dice.index(world.plan.hosts), number);
            edit(Box::new(move |draft| draft.url = moved)).await
        }
        Fault::SubscriptionChanged => {
            let types =
                world.dice.one_in(2).then(|| [type_name(world.dice.index(EVENT_TYPES.into()) as u8)].into());
            edit(Box::new(move |draft| draft.event_types = types)).await
        }
        Fault::EndpointRemoved => editor.remove_endpoint(id).await,
        Fault::SecretRotated => {
            let key = new_key(world);
            let text = key_text(&key);
            world.model()[number].keys.push(key);
            let new = NewSecret { key: Some(&text), kind: None };
            editor.rotate_secret(id, new, world.dice.between(0..=86_400) as u32).await
        }
        other => unreachable!("{other:?} is no change of an endpoint"),
    }
}

/// A message that was acknowledged: its number, the application and its id.
fn some_message(world: &World) -> Option<(usize, usize, String)> {
    let account = world.account();
    let acknowledged: Vec<usize> = (0..account.messages.len())
        .filter(|number| account.messages[*number].acknowledged_ms.is_some())
        .collect();
    if acknowledged.is_empty() {
        return None;
    }
    let number = acknowledged[world.dice.index(acknowledged.len())];
    let message = &account.messages[number];
    Some((number, message.application, message.id.clone()?))
}

async fn cancel(world: &Rc<World>, process: &Process) {
    let Some((number, application, id)) = some_message(world) else { return };
    world.count(Fault::MessageCancelled);
    let now = world.now_ms();
    world.account().messages[number].cancelled_ms = Some(now);
    let application = world.applications.borrow()[application];
    let id = id.parse().expect("an id that was acknowledged");
    // What is said to an operator matters little here; what happens to the message is seen at the receivers.
    let _ = process.publisher.cancel(application, id).await;
}

async fn resend(world: &Rc<World>, process: &Process) {
    let Some((number, application, id)) = some_message(world) else { return };
    let sure: Vec<usize> = world.account().messages[number].sure.iter().copied().collect();
    if sure.is_empty() {
        return;
    }
    let endpoint = world.dice.pick(&sure);
    world.count(Fault::MessageResent);
    let now = world.now_ms();
    world.account().resent(number, endpoint, now);
    let again = Again {
        application: world.applications.borrow()[application],
        message: id.parse().expect("an id that was acknowledged"),
        endpoint: world.model()[endpoint].id,
    };
    let _ = process.publisher.deliver_again(vec![again]).await;
}

/// What the engine itself says of deliveries of which nobody has heard the end, for whoever looks into a violation.
pub(super) async fn ask_about_open(world: &Rc<World>, process: &Process) {
    let open = world.account().open();
    for (number, endpoint) in open {
        let (application, id) = {
            let account = world.account();
            (account.messages[number].application, account.messages[number].id.clone())
        };
        let application = world.applications.borrow()[application];
        let Some(id) = id.and_then(|id| id.parse().ok()) else { continue };
        let deliveries = process.publisher.history.deliveries(application, id).await;
        let wanted = world.model()[endpoint].id;
        let said = deliveries.map(|all| all.into_iter().find(|delivery| delivery.endpoint == wanted));
        world.account().said(number, endpoint, format!("{said:?}"));
    }
}
