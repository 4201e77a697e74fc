//! A resolver that notes what it answered for one name, so that it is known afterwards where a connection may have led.
//!
//! For that name only: a proxy has a name too, and where the proxy is says nothing about the receiver.

use std::cell::RefCell;
use std::net::IpAddr;
use std::rc::Rc;

use crate::delivery::{Resolve, Resolving};

/// See the head of this file.
pub(super) struct Noting {
    within: Rc<dyn Resolve>,
    name: String,
    answers: RefCell<Vec<IpAddr>>,
}

impl Noting {
    pub(super) fn new(within: Rc<dyn Resolve>, name: &str) -> Rc<Self> {
        Rc::new(Self { within, name: name.to_owned(), answers: RefCell::default() })
    }

    /// All addresses that the name had so far.
    pub(super) fn answers(&self) -> Vec<IpAddr> {
        self.answers.borrow().clone()
    }
}

impl Resolve for Noting {
    fn resolve<'a>(&'a self, name: &'a str) -> Resolving<'a> {
        Box::pin(async move {
            let answers = self.within.resolve(name).await?;
            if name == self.name {
                self.answers.borrow_mut().extend_from_slice(&answers);
            }
            Ok(answers)
        })
    }
}
