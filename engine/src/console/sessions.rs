//! Sessions: who is signed in, as a cookie says it.
//!
//! ```text
//!   sign in --> new session (a new id each time) --requests--> ends: idle too long | 12 h | signed out | its key ended
//! ```
//!
//! An id is 256 random bits. What is kept is its SHA-256, so that a look into memory opens no session. What somebody
//! signed in with is kept with the session and judged anew at each request: a key that is revoked ends it.
//!
//! Invariants
//! - At most [`SESSIONS_MAX`] are kept; the one that was used longest ago goes first.
//! - Nothing is on disk: a restart signs everybody out.

use std::collections::HashMap;
use std::fmt;
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand;
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use parking_lot::Mutex;
use zeroize::Zeroizing;

use crate::core::tick::Tick;

/// See the head of this file. About half a kilobyte each.
const SESSIONS_MAX: usize = 10_000;
const ID_BYTES: usize = 32;

/// See the head of this file.
pub(super) struct Sessions {
    idle: Duration,
    longest: Duration,
    known: Mutex<HashMap<Digest, Session>>,
}

type Digest = [u8; 32];

/// What somebody signed in with.
#[derive(Clone)]
pub(super) enum Holder {
    /// A key of the API, or a link of an application.
    Token(Zeroizing<String>),
    /// The operator's password.
    Password,
    /// Nothing: nobody is asked.
    Anybody,
}

/// A session.
#[derive(Clone)]
pub(super) struct Session {
    pub(super) holder: Holder,
    /// What forms of this session carry, so that no other page can send them.
    pub(super) form_token: String,
    began: Tick,
    seen: Tick,
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Session(redacted)")
    }
}

impl Sessions {
    /// None yet. They end after being unused for `idle`, and in any case after `longest`.
    pub(super) fn new(idle: Duration, longest: Duration) -> Self {
        Self { idle, longest, known: Mutex::default() }
    }

    /// Begins one. Returns its id, which is kept nowhere.
    pub(super) fn begin(&self, holder: Holder, now: Tick) -> (String, Session) {
        let (id, form_token) = (random(), random());
        let session = Session { holder, form_token, began: now, seen: now };
        let mut known = self.known.lock();
        if known.len() >= SESSIONS_MAX {
            known.retain(|_, session| self.lasts(session, now));
        }
        if known.len() >= SESSIONS_MAX {
            let oldest = known.iter().min_by_key(|(_, session)| session.seen).map(|(digest, _)| *digest);
            oldest.and_then(|digest| known.remove(&digest));
        }
        known.insert(digest_of(&id), session.clone());
        (id, session)
    }

    /// The session with this id, which is used now.
    pub(super) fn find(&self, id: &str, now: Tick) -> Option<Session> {
        let mut known = self.known.lock();
        let session = known.get_mut(&digest_of(id))?;
        if !self.lasts(session, now) {
            known.remove(&digest_of(id));
            return None;
        }
        session.seen = session.seen.max(now);
        Some(session.clone())
    }

    /// Whether this one still lasts, without using it.
    pub(super) fn is_alive(&self, id: &str, now: Tick) -> bool {
        self.known.lock().get(&digest_of(id)).is_some_and(|session| self.lasts(session, now))
    }

    /// Ends one.
    pub(super) fn end(&self, id: &str) {
        self.known.lock().remove(&digest_of(id));
    }

    fn lasts(&self, session: &Session, now: Tick) -> bool {
        now.since(session.began) < self.longest && now.since(session.seen) < self.idle
    }
}

impl fmt::Debug for Sessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sessions({})", self.known.lock().len())
    }
}

fn random() -> String {
    let mut bytes = [0; ID_BYTES];
    rand::fill(&mut bytes).expect("the system's random source works");
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

fn digest_of(id: &str) -> Digest {
    digest(&SHA256, id.as_bytes()).as_ref().try_into().expect("SHA-256 has 32 bytes")
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Tick = Tick::from_ms(1_732_300_000_000);

    fn sessions() -> Sessions {
        Sessions::new(Duration::from_secs(1_800), Duration::from_secs(43_200))
    }

    fn after(minutes: u64) -> Tick {
        START + Duration::from_secs(minutes * 60)
    }

    #[test]
    fn a_session_ends_when_it_is_not_used_and_in_any_case_after_its_longest_time() {
        let sessions = sessions();
        let (unused, _) = sessions.begin(Holder::Anybody, START);
        let (used, _) = sessions.begin(Holder::Anybody, START);
        assert!((1..720).step_by(25).all(|minute| sessions.find(&used, after(minute)).is_some()));
        assert!(sessions.find(&unused, after(30)).is_none());
        assert!(sessions.find(&used, after(720)).is_none());
    }

    #[test]
    fn looking_whether_a_session_lasts_does_not_make_it_last() {
        let sessions = sessions();
        let (id, _) = sessions.begin(Holder::Anybody, START);
        assert!(sessions.is_alive(&id, after(29)));
        assert!(!sessions.is_alive(&id, after(30)));
    }

    #[test]
    fn ids_and_form_tokens_are_new_each_time_and_an_ended_session_is_gone() {
        let sessions = sessions();
        let (one, first) = sessions.begin(Holder::Password, START);
        let (two, second) = sessions.begin(Holder::Password, START);
        assert!(one != two && first.form_token != second.form_token && one.len() == 43);
        sessions.end(&one);
        assert!(sessions.find(&one, START).is_none() && sessions.find(&two, START).is_some());
        assert!(sessions.find("", START).is_none());
    }

    #[test]
    fn beyond_the_bound_the_one_that_was_used_longest_ago_goes() {
        let sessions = sessions();
        let (first, _) = sessions.begin(Holder::Anybody, START);
        let (second, _) = sessions.begin(Holder::Anybody, START);
        sessions.find(&first, after(1));
        (2..=SESSIONS_MAX).for_each(|_| drop(sessions.begin(Holder::Anybody, after(2))));
        assert!(sessions.find(&first, after(2)).is_some() && sessions.find(&second, after(2)).is_none());
    }
}
