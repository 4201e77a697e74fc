//! The management API, as plain HTTP with JSON.

use std::net::SocketAddr;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1;
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpStream;

/// Calls the API of one process.
pub(crate) struct Api {
    address: SocketAddr,
    token: Option<&'static str>,
}

impl Api {
    pub(crate) fn at(address: SocketAddr) -> Self {
        Self { address, token: None }
    }

    /// Calls with this bearer token from now on.
    pub(crate) fn with_token(self, token: &'static str) -> Self {
        Self { token: Some(token), ..self }
    }

    /// One request, on a connection of its own. Status and body; the body as text if it is not JSON.
    pub(crate) async fn call(&self, method: Method, path: &str, body: Option<&Value>) -> (u16, Value) {
        let socket = TcpStream::connect(self.address).await.expect("the API accepts");
        let (mut sender, connection) = http1::handshake(TokioIo::new(socket)).await.expect("HTTP/1.1");
        tokio::spawn(connection);
        let mut request =
            Request::builder().method(method).uri(path).header("host", self.address.to_string());
        if let Some(token) = self.token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let body = body.map(ToString::to_string).unwrap_or_default();
        let request = request.header("content-type", "application/json").body(Full::new(Bytes::from(body)));
        let response = sender.send_request(request.expect("a request")).await.expect("an answer");
        let status = response.status().as_u16();
        let bytes = response.into_body().collect().await.expect("a body").to_bytes();
        let text = || Value::String(String::from_utf8_lossy(&bytes).into_owned());
        (status, serde_json::from_slice(&bytes).unwrap_or_else(|_| text()))
    }

    /// `GET` of something that is there.
    pub(crate) async fn get(&self, path: &str) -> Value {
        self.succeed(Method::GET, path, None).await
    }

    /// `POST` of something that is accepted.
    pub(crate) async fn post(&self, path: &str, body: &Value) -> Value {
        self.succeed(Method::POST, path, Some(body)).await
    }

    /// `PATCH` of something that is there.
    pub(crate) async fn patch(&self, path: &str, body: &Value) -> Value {
        self.succeed(Method::PATCH, path, Some(body)).await
    }

    /// `DELETE` of something that is there.
    pub(crate) async fn delete(&self, path: &str) -> Value {
        self.succeed(Method::DELETE, path, None).await
    }

    async fn succeed(&self, method: Method, path: &str, body: Option<&Value>) -> Value {
        let (status, answer) = self.call(method.clone(), path, body).await;
        assert!((200..300).contains(&status), "{method} {path} was answered {status}: {answer}");
        answer
    }

    /// Makes an application.
    pub(crate) async fn make_application(&self, uid: &str) {
        self.post("/api/v1/app", &json!({ "name": uid, "uid": uid })).await;
    }

    /// Makes an event type.
    pub(crate) async fn make_event_type(&self, name: &str) {
        self.post("/api/v1/event-type", &json!({ "name": name, "description": "of a test" })).await;
    }

    /// Makes an endpoint, and returns its id.
    pub(crate) async fn make_endpoint(&self, application: &str, body: &Value) -> String {
        let made = self.post(&format!("/api/v1/app/{application}/endpoint"), body).await;
        made["id"].as_str().expect("an id").to_owned()
    }

    /// What the endpoint's signatures are made with.
    pub(crate) async fn secret(&self, application: &str, endpoint: &str) -> String {
        let secret = self.get(&format!("/api/v1/app/{application}/endpoint/{endpoint}/secret")).await;
        secret["key"].as_str().expect("a key").to_owned()
    }

    /// The attempts of a message, newest first.
    pub(crate) async fn attempts(&self, application: &str, message: &str) -> Vec<Value> {
        let page = self.get(&format!("/api/v1/app/{application}/attempt/msg/{message}?limit=250")).await;
        page["data"].as_array().expect("a list").clone()
    }

    /// A metric without labels.
    pub(crate) async fn metric(&self, name: &str) -> u64 {
        let page = self.get("/metrics").await;
        let page = page.as_str().expect("text");
        let value = page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        let value = value.unwrap_or_else(|| panic!("no metric {name} in:\n{page}"));
        value.parse().unwrap_or_else(|_| panic!("{name} is {value}"))
    }
}
