//! A resolver that notes what it answered, so that it is known afterwards where a connection may have led.

use std::cell::RefCell;
use std::net::IpAddr;
use std::rc::Rc;

use crate::delivery::{Resolve, Resolving};

/// See the head of this file.
pub(super) struct Noting {
    within: Rc<dyn Resolve>,
    answers: RefCell<Vec<IpAddr>>,
}

impl Noting {
    pub(super) fn new(within: Rc<dyn Resolve>) -> Rc<Self> {
        Rc::new(Self { within, answers: RefCell::default() })
    }

    /// Everything that was answered so far.
    pub(super) fn answers(&self) -> Vec<IpAddr> {
        self.answers.borrow().clone()
    }
}

impl Resolve for Noting {
    fn resolve<'a>(&'a self, name: &'a str) -> Resolving<'a> {
        Box::pin(async move {
            let answers = self.within.resolve(name).await?;
            self.answers.borrow_mut().extend_from_slice(&answers);
            Ok(answers)
        })
    }
}
