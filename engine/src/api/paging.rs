//! Pages as the API hands them out: `limit` and `iterator` in, `iterator`, `prevIterator` and `done` out.
//!
//! An iterator is the name of the last item of a page; with a `-` in front, that of the first, to go back.

use std::str::FromStr;

use serde::Serialize;

use super::error::ApiError;
use super::query::Query;
use crate::catalog::{Start, Window};

/// Items of a page when nothing is said.
pub(super) const LIMIT_DEFAULT: usize = 50;
/// The most items of a page.
pub(super) const LIMIT_MAX: usize = 250;

/// A page on its way out.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ListOut<T> {
    data: Vec<T>,
    /// Always a text, since some SDKs insist; where the page is empty, the iterator it was asked with.
    iterator: String,
    prev_iterator: Option<String>,
    done: bool,
}

impl<T> ListOut<T> {
    /// The same page of other items.
    pub(super) fn map<U>(self, show: impl FnMut(T) -> U) -> ListOut<U> {
        let Self { data, iterator, prev_iterator, done } = self;
        ListOut { data: data.into_iter().map(show).collect(), iterator, prev_iterator, done }
    }
}

/// Which page is wanted.
#[derive(Debug)]
pub(super) struct Paging<'q> {
    pub(super) limit: usize,
    iterator: Option<&'q str>,
    descending: bool,
}

impl<'q> Paging<'q> {
    pub(super) fn read(query: &'q Query) -> Result<Self, ApiError> {
        let limit = match query.number("limit")? {
            None => LIMIT_DEFAULT,
            Some(limit) if limit <= LIMIT_MAX as u64 => limit as usize,
            Some(limit) => {
                return Err(ApiError::query(
                    "limit",
                    format!("limit is {limit}; it must not exceed {LIMIT_MAX}"),
                ));
            }
        };
        let descending = match query.text("order") {
            None | Some("ascending") => false,
            Some("descending") => true,
            Some(_) => return Err(ApiError::query("order", "order must be ascending or descending")),
        };
        Ok(Self { limit, iterator: query.text("iterator"), descending })
    }

    pub(super) fn start<K: FromStr>(&self) -> Result<Start<K>, ApiError> {
        let parse = |text: &str| {
            text.parse().map_err(|_| ApiError::query("iterator", "iterator is not one that was handed out"))
        };
        match self.iterator.map(|text| text.strip_prefix('-').ok_or(text)) {
            None => Ok(Start::First),
            Some(Err(after)) => parse(after).map(Start::After),
            Some(Ok(before)) => parse(before).map(Start::Before),
        }
    }

    pub(super) fn window<K: FromStr>(&self) -> Result<Window<K>, ApiError> {
        Ok(Window { start: self.start()?, descending: self.descending, limit: self.limit })
    }

    /// The page of a list that is at hand as a whole, in the order of its keys.
    pub(super) fn slice<'l, T, K>(
        &self,
        items: &'l [T],
        key: impl Fn(&T) -> K,
    ) -> Result<(&'l [T], bool), ApiError>
    where
        K: FromStr + Ord,
    {
        let page = match self.start::<K>()? {
            Start::Before(first) => {
                let end = items.partition_point(|item| key(item) < first);
                let begin = end.saturating_sub(self.limit);
                return Ok((&items[begin..end], begin == 0));
            }
            Start::After(last) => &items[items.partition_point(|item| key(item) <= last)..],
            Start::First => items,
        };
        Ok((&page[..page.len().min(self.limit)], page.len() <= self.limit))
    }

    /// A page of history as it goes out. `resume` is where the next one begins if not behind the last item.
    pub(super) fn history<T>(
        &self,
        data: Vec<T>,
        done: bool,
        resume: Option<String>,
        name: impl Fn(&T) -> String,
    ) -> ListOut<T> {
        let mut page = self.list(data, done, name);
        match resume {
            Some(resume) if self.iterator.is_some_and(|iterator| iterator.starts_with('-')) => {
                page.prev_iterator = Some(format!("-{resume}"));
            }
            Some(resume) => page.iterator = resume,
            None => {}
        }
        page
    }

    /// The iterator of a list that only goes forward.
    pub(super) fn cursor<K: FromStr>(&self) -> Result<Option<K>, ApiError> {
        match self.start()? {
            Start::First => Ok(None),
            Start::After(cursor) => Ok(Some(cursor)),
            Start::Before(_) => Err(ApiError::query("iterator", "this list only goes forward")),
        }
    }

    /// A page of a list that only goes forward, and where the next one begins.
    pub(super) fn forward_only<T>(&self, data: Vec<T>, next: Option<String>) -> ListOut<T> {
        let done = next.is_none();
        let iterator = next.or_else(|| self.iterator.map(Into::into)).unwrap_or_default();
        ListOut { data, iterator, prev_iterator: None, done }
    }

    /// The page as it goes out; `name` is what iterators say of an item.
    pub(super) fn list<T>(&self, data: Vec<T>, done: bool, name: impl Fn(&T) -> String) -> ListOut<T> {
        let iterator = data.last().map(&name).or_else(|| self.iterator.map(Into::into)).unwrap_or_default();
        let prev_iterator = data.first().map(|first| format!("-{}", name(first)));
        ListOut { data, iterator, prev_iterator, done }
    }
}
