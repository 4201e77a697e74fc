//! The log as its users see it: what is promised, under every way a disk may fail.

mod crash;
mod damage;
mod erase;
mod faults;
mod find;
mod kit;
mod model;
mod real;
mod search;
